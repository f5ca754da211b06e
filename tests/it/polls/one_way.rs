//! Operations that answer nothing, as writes: what is taken is done.

use serde_json::json;

use super::site_at;
use super::typed::started;
use crate::facade::client::{exchange, request};
use crate::support::soap::SoapServer;

/// A service of strangers that answers 202 and nothing: from its WSDL to a write by what `infer` proposes.
#[test]
fn what_answers_nothing_is_done_when_it_was_taken() {
    let server = SoapServer::node();
    let site = site_at(&server.url("orders"), "wsdl = \"orders.wsdl\"", "");
    site.copy(&super::peers::wsdl("node"), "orders.wsdl");
    std::fs::remove_file(site.path("mappings/items.v1.toml")).unwrap();
    let infer = |operation: &str| {
        let output = site.run(&["infer", "--backend", "erp", "--operation", operation]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (order, notify) = (infer("GetOrder"), infer("Notify"));
    assert!(notify.contains("[operations.notify]") && !notify.contains("take "), "{notify}");
    site.write("mappings/order.v1.toml", format!("{order}\n{notify}").as_bytes());
    let check = site.run(&["check", "--offline"]);
    assert!(check.status.success(), "{}\n{order}\n{notify}", String::from_utf8_lossy(&check.stderr));
    let (service, key) = started(&site);
    let bearer = format!("Bearer {key}");
    let post = |reference: &str| {
        let fields =
            [("Authorization", &*bearer), ("Content-Type", "application/json"), ("Idempotency-Key", reference)];
        let body = json!({ "text": "hello & <all>" }).to_string();
        let sent = request("POST", "/v1/order/7/notify", &fields, body.as_bytes());
        exchange(service.address().parse().unwrap(), &sent).expect("an answer")
    };
    let told = post("one");
    assert!((200..300).contains(&told.status), "{} {}", told.status, told.text());
    assert_eq!(server.count("notified"), 1);
    // Sent again it is not done again.
    let again = post("one");
    assert_eq!((again.status, server.count("notified")), (told.status, 1), "{}", again.text());
    assert!((200..300).contains(&post("two").status));
    assert_eq!(server.count("notified"), 2);
}
