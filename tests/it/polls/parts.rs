//! Answers in parts (MTOM, SOAP with attachments): what is beside the envelope is a field like any other, for a poll, for a
//! record that is asked for, and for a look at what would be staged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::typed::{problem, started};
use super::{site_at, staged, sync};
use crate::live::erp::{Call, Erp, Reply, envelope};
use crate::site::Site;
use crate::support::soap::SoapServer;

/// A document that is polled as a whole.
const DOCUMENT: &str = "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\n\
    operation = \"GetDocument\"\n\
    envelope = '''<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><GetDocument xmlns=\"urn:tollbridge:orders\">\
    <Size>50</Size></GetDocument></s:Body></s:Envelope>'''\n\
    record_path = \"//GetDocumentResponse\"\nsnapshot = true\n[fields]\nno = { from = \"GetDocumentResult\" }\n";

/// The documents that a preview shows.
fn previewed(site: &Site) -> Vec<Value> {
    let output = site.run(&["preview", "items"]);
    let (said, told) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{said} {told}");
    said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|fault| panic!("{fault}: {line}"))).collect()
}

#[test]
fn a_page_in_parts_is_staged_and_shown_as_one_in_one_piece() {
    let server = SoapServer::spyne(&[]);
    let expected = STANDARD.encode((0..50).collect::<Vec<u8>>());
    for path in ["soap11", "mtom", "swa", "quiet"] {
        let site = site_at(&server.url(path), "", DOCUMENT);
        let shown = previewed(&site);
        assert!(shown.len() == 1 && shown[0].to_string().contains(&expected), "{path}: {shown:?}");
        let summary = sync(&site);
        assert_eq!(summary["staged"], 1, "{path}: {summary}");
        assert_eq!(staged(&site).into_keys().collect::<Vec<_>>(), [expected.as_str()], "{path}");
        let is_told = summary["notes"].to_string().contains("parts_unannounced 1");
        assert_eq!(is_told, path == "quiet", "{path}: {summary}");
    }
}

/// What is said to be an answer, and is a no, is one for whoever looks as well.
#[test]
fn a_look_is_told_the_services_no() {
    let erp = Erp::start(|_| {
        Reply::Answer(200, "text/xml", envelope("<ListResponse><State>E7</State><Words>closed</Words></ListResponse>"))
    });
    let source = "snapshot = true\nerror_when = { path = \"/ListResponse/State\", not = \"OK\", message = \"/ListResponse/Words\" }";
    let site = site_at(&erp.url(), "", &super::polled("", source));
    let output = site.run(&["preview", "items"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("the fault E7: closed"), "{told}");
}

const LIVE: &str = "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\n\
    operation = \"urn:erp/Get\"\n\
    envelope = '''<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><Get><No>{no}</No></Get></s:Body></s:Envelope>'''\n\
    record_path = \"//GetResponse/Item\"\n[fields]\nno = { from = \"No\" }\nscan = { from = \"Scan\" }\n";

const INCLUDE: &str = "<x:Include xmlns:x='http://www.w3.org/2004/08/xop/include' href='cid:p%40erp'/>";

/// An answer to a call that refers to its only part so many times.
fn referring(call: &Call, part: &str, times: usize) -> Reply {
    let no = super::sent(call, "No").unwrap();
    let body = format!("<GetResponse><Item><No>{no}</No><Scan>{INCLUDE}</Scan>{}</Item></GetResponse>", {
        format!("<More>{INCLUDE}</More>").repeat(times - 1)
    });
    let package = format!(
        "--b\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"text/xml\"\r\nContent-ID: <r>\r\n\r\n{}\r\n\
         --b\r\nContent-ID: <p@erp>\r\nContent-Type: text/plain\r\n\r\n{part}\r\n--b--\r\n",
        envelope(&body)
    );
    let kind = "multipart/related; type=\"application/xop+xml\"; start=\"<r>\"; start-info=\"text/xml\"; boundary=b";
    Reply::Answer(200, kind, package)
}

#[test]
fn a_record_in_parts_is_served_and_does_not_grow_without_end() {
    let is_large = Arc::new(AtomicBool::new(false));
    let grows = Arc::clone(&is_large);
    let erp = Erp::start(move |call| match grows.load(Ordering::SeqCst) {
        // 600 KB that are referred to ten times.
        true => referring(call, &"m".repeat(600_000), 10),
        false => referring(call, "hello", 2),
    });
    let site = site_at(&erp.url(), "max_answer_mib = 1", LIVE);
    let (service, key) = started(&site);
    let item: Value = serde_json::from_str(&service.get("/v1/items/7", &key).unwrap()).unwrap();
    assert_eq!((&item["no"], &item["scan"]), (&json!("7"), &json!("aGVsbG8=")), "{item}");
    is_large.store(true, Ordering::SeqCst);
    let told = problem(&service, "/v1/items/8", &key);
    assert_eq!(told["status"], 502, "{told}");
}
