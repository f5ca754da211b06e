//! Services that are polled, and services that are called by their WSDL: what is asked of them, what is staged, and what
//! stays true when something breaks. spyne stands for services of strangers; where a service has to misbehave, a script
//! does.

mod attachments;
mod bare;
mod broken;
mod by_key;
mod fetched;
mod newcomer;
mod one_way;
mod packaged;
mod paging;
mod parts;
mod peers;
mod sessions;
mod strict;
mod trouble;
mod typed;
mod versions;
mod writes;
mod written_out;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::live::erp::{Call, Erp, Reply, envelope};
use crate::site::Site;
use crate::tables::documents;

/// A site whose backend `erp` is at this endpoint; `soap` are further lines of it.
pub(crate) fn site_at(endpoint: &str, soap: &str, mapping: &str) -> Site {
    let site = Site::new();
    let config = format!(
        "[backends.erp.soap]\nendpoint = \"{endpoint}\"\n{soap}\n[backends.erp.gate]\nsettle = \"0s\"\n[telemetry]\nlog = \"text\"\n"
    );
    site.write("tollbridge.toml", config.as_bytes());
    site.write("mappings/items.v1.toml", mapping.as_bytes());
    site
}

/// `items.v1`, polled by an envelope with these places; `source` are further lines of `[source.soap]`.
pub(crate) fn polled(places: &str, source: &str) -> String {
    format!(
        "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\noperation = \"urn:erp/List\"\n\
         envelope = '''<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><List xmlns=\"urn:erp\">{places}</List></s:Body></s:Envelope>'''\n\
         record_path = \"//ListResponse/Item\"\n{source}\n[fields]\nno = {{ from = \"No\" }}\nname = {{ from = \"Name\" }}\nat = {{ from = \"At\", blank = \"null\" }}\n"
    )
}

/// An answer with these items, each as number and time of change, and what else stands beside them.
pub(crate) fn list(items: &[(u32, &str)], beside: &str) -> Reply {
    Reply::Answer(200, "text/xml; charset=utf-8", list_text(items, beside))
}

pub(crate) fn list_text(items: &[(u32, &str)], beside: &str) -> String {
    let items: String =
        items.iter().map(|(no, at)| format!("<Item><No>{no}</No><Name>n{no}</Name><At>{at}</At></Item>")).collect();
    envelope(&format!("<ListResponse xmlns=\"urn:erp\">{items}{beside}</ListResponse>"))
}

/// What stands in an element of a call, where it is there.
pub(crate) fn sent(call: &Call, element: &str) -> Option<String> {
    let (_, rest) = call.body.split_once(&format!("<{element}>"))?;
    Some(rest.split_once("</")?.0.to_owned())
}

/// What was sent in an element, call by call.
pub(crate) fn all_sent(erp: &Erp, element: &str) -> Vec<String> {
    erp.calls().iter().map(|call| sent(call, element).unwrap_or_default()).collect()
}

/// One run that ends well, with its summary.
pub(crate) fn sync(site: &Site) -> Value {
    let (said, code) = site.json(&["sync", "items"]);
    let summary = said[0].clone();
    assert!(code <= 1 && summary["error"].is_null(), "{said:?}");
    let number = |name: &str| summary[name].as_u64().unwrap_or(0);
    let parts = number("staged") + number("unchanged") + number("dead") + number("skipped");
    assert_eq!(number("read"), parts, "{summary}");
    summary
}

/// One run that fails; why.
pub(crate) fn sync_fails(site: &Site) -> String {
    let output = site.run(&["sync", "items"]);
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The staged items by number.
pub(crate) fn staged(site: &Site) -> BTreeMap<String, Value> {
    documents(&site.path("var/staging.db"))
}

/// Their numbers.
pub(crate) fn keys(site: &Site) -> Vec<u32> {
    let mut keys: Vec<u32> = staged(site).keys().map(|key| key.parse().unwrap()).collect();
    keys.sort_unstable();
    keys
}
