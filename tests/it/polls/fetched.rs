//! Where documents of a WSDL are fetched from: its own host and those that its backend names. Another host is not asked at
//! all, be it named by the WSDL or by a redirect.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::site_at;
use crate::live::erp::{Erp, Reply};
use crate::site::Site;

const MAPPING: &str = "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\noperation = \"GetOrder\"\n\
    request = { OrderNo = \"{no}\" }\nrecord_path = \"/GetOrderResponse/Order\"\n[fields]\nno = { from = \"OrderNo\", type = \"string\" }\n";

const SCHEMA: &str = "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:other'/>";

/// The demo's WSDL, which imports a schema from this address as well.
fn wsdl(schema: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo/erp.wsdl");
    let schemas = "elementFormDefault=\"qualified\">";
    let import = format!("{schemas}<xs:import namespace=\"urn:other\" schemaLocation=\"{schema}\"/>");
    std::fs::read_to_string(path).unwrap().replacen(schemas, &import, 1)
}

/// A server with this document at every address, and how often it was asked.
fn host(document: String) -> (Erp, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Erp::start(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Reply::Answer(200, "text/xml", document.clone())
    });
    (server, asked)
}

/// Leads elsewhere.
fn moved(to: &str) -> Reply {
    // The head's fields follow the media type.
    let fields: &'static str = Box::leak(format!("text/plain\r\nLocation: {to}").into_boxed_str());
    Reply::Answer(302, fields, String::new())
}

/// What `check` says of a backend whose WSDL is at this server, with further lines of it.
fn checked(server: &Erp, more: &str) -> Value {
    let site = site_at(&server.url(), &format!("wsdl = \"{}?wsdl\"\n{more}", server.url()), MAPPING);
    site.json(&["check"]).0.remove(0)
}

/// What `inspect` says of the WSDL at this server.
fn inspected(server: &Erp) -> String {
    let output = Site::new().run(&["inspect", &format!("{}?wsdl", server.url())]);
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn schemas_come_from_named_hosts_only() {
    let (other, asked) = host(SCHEMA.to_owned());
    let (server, _) = host(wsdl(&other.url()));
    // What it imports is left out and told; all else is in force.
    let report = checked(&server, "");
    assert_eq!(report["resources"][0], "items.v1", "{report}");
    assert!(report["doubts"].to_string().contains(&format!("`{}` is left out", other.url())), "{report}");
    let shown = inspected(&server);
    let refused = format!("documents are not fetched from `{}`, which is not allowed", other.address);
    assert!(shown.contains(&refused), "{shown}");
    assert_eq!((asked.load(Ordering::SeqCst), other.connections()), (0, 0));
    // Named, it is asked, once.
    let report = checked(&server, &format!("wsdl_hosts = [\"{}\"]", other.address));
    assert_eq!(report["resources"][0], "items.v1", "{report}");
    assert!(!report["doubts"].to_string().contains("left out"), "{report}");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "{report}");
}

#[test]
fn no_redirect_leads_to_another_host() {
    let (other, asked) = host(wsdl("types.xsd"));
    let elsewhere = other.url();
    // The WSDL itself has moved.
    let away = elsewhere.clone();
    let server = Erp::start(move |_| moved(&away));
    let report = checked(&server, "");
    assert!(
        report["doubts"].to_string().contains("it was moved (status 302): name the address where it is"),
        "{report}"
    );
    assert_eq!(report["resources"], serde_json::json!([]), "{report}");
    // A schema has, of a host that may be asked.
    let text = wsdl("types.xsd");
    let server = Erp::start(move |call| match call.head.contains("types.xsd") {
        true => moved(&elsewhere),
        false => Reply::Answer(200, "text/xml", text.clone()),
    });
    let report = checked(&server, "");
    assert_eq!(report["resources"][0], "items.v1", "{report}");
    assert!(report["doubts"].to_string().contains("`types.xsd` is left out"), "{report}");
    let shown = inspected(&server);
    assert!(shown.contains("it was moved (status 302)"), "{shown}");
    assert_eq!((asked.load(Ordering::SeqCst), other.connections()), (0, 0));
}
