//! A service of document/literal bare, from its WSDL to records and a write, by what `infer` proposes.

use std::path::Path;

use super::typed::started;
use super::{site_at, sync};
use crate::facade::client::{exchange, request};
use crate::live::erp::{Call, Erp, Reply, envelope};

/// What stands in the body of a call.
fn inner(call: &Call) -> &str {
    let (_, rest) = call.body.split_once("<soap:Body>").unwrap();
    rest.split_once("</soap:Body>").unwrap().0
}

fn answer(call: &Call) -> Reply {
    let order = |no: &str| {
        format!(
            "<Order xmlns='urn:bare' status='open'><OrderNo>{no}</OrderNo><Amount>1.50</Amount><Line><Sku>S</Sku></Line></Order>"
        )
    };
    let action = call.field("soapaction").unwrap_or_default().trim_matches('"').to_owned();
    let body = match action.rsplit('/').next().unwrap() {
        "FindOrder" => order("47 &amp; 11"),
        "ListOrders" => format!("<Orders xmlns='urn:bare'>{}{}</Orders>", order("1"), order("2")),
        "CancelOrder" => "<Receipt xmlns='urn:bare'>R-1</Receipt>".to_owned(),
        other => panic!("nobody calls {other}"),
    };
    Reply::Answer(200, "text/xml", envelope(&body))
}

#[test]
fn what_is_proposed_of_a_bare_service_works() {
    let erp = Erp::start(answer);
    let site = site_at(&erp.url(), "wsdl = \"bare.wsdl\"", "");
    std::fs::remove_file(site.path("mappings/items.v1.toml")).unwrap();
    site.copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/wsdl/bare.wsdl"), "bare.wsdl");
    let infer = |operation: &str| {
        let output = site.run(&["infer", "--backend", "erp", "--operation", operation]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // The request is the text itself, and has a place for the key.
    let (order, cancel) = (infer("FindOrder"), infer("CancelOrder"));
    // Of this record the number is known by its path.
    let cancel = cancel.replace("body    = { order_no = \"string\" }\n", "");
    assert!(order.contains("\nrequest     = \"{order_no}\"\n"), "{order}");
    assert!(cancel.contains("\nbody      = \"{order_no}\"\n"), "{cancel}");
    site.write("mappings/order.v1.toml", format!("{order}\n{cancel}").as_bytes());
    let orders = infer("ListOrders").replace("request     = \"\"", "request     = \"2026-01-01\"");
    site.write("mappings/items.v1.toml", orders.replace("resource = \"orders\"", "resource = \"items\"").as_bytes());
    let check = site.run(&["check", "--offline"]);
    assert!(check.status.success(), "{}\n{order}\n{cancel}\n{orders}", String::from_utf8_lossy(&check.stderr));

    assert_eq!(sync(&site)["staged"], 2);
    let (service, key) = started(&site);
    let read = service.get("/v1/order/47%20&%2011", &key).unwrap();
    assert!(read.contains("\"47 & 11\"") && read.contains("\"S\""), "{read}");
    let bearer = format!("Bearer {key}");
    let fields = [("Authorization", &*bearer), ("Idempotency-Key", "C-1")];
    let cancelled = request("POST", "/v1/order/47%20&%2011/cancel_order", &fields, b"");
    let told = exchange(service.address().parse().unwrap(), &cancelled).expect("an answer");
    assert!((200..300).contains(&told.status), "{} {}", told.status, told.json());
    assert_eq!(told.json()["receipt"], "R-1", "{}", told.json());
    let calls = erp.calls();
    // The schedule of the list may have come meanwhile.
    let (lists, others): (Vec<&str>, Vec<&str>) = calls.iter().map(inner).partition(|sent| sent.contains("Since"));
    assert!(!lists.is_empty() && lists.iter().all(|sent| *sent == "<ns1:Since>2026-01-01</ns1:Since>"), "{lists:?}");
    assert_eq!(others, ["<ns1:OrderNo>47 &amp; 11</ns1:OrderNo>"; 2]);
}
