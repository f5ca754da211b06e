//! Writes whose envelope is written out, for services that are not what their WSDL says.

use serde_json::{Value, json};

use super::site_at;
use super::typed::{spyne, started};
use super::writes::{body, element, post, shop};
use crate::facade::client::{exchange, request};
use crate::live::erp::Reply;

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// Orders that are read, written and looked for by envelopes alone: the backend names no WSDL.
fn mapping() -> String {
    let envelope =
        |inner: &str| format!("envelope = \"<s:Envelope xmlns:s='{SOAP}'><s:Body>{inner}</s:Body></s:Envelope>\"");
    let read = envelope("<GetOrder xmlns='urn:demo:erp'><OrderNo>{no}</OrderNo></GetOrder>");
    let look = envelope(
        "<GetOrderByReference xmlns='urn:demo:erp'><Reference>{idempotency_key}</Reference></GetOrderByReference>",
    );
    format!(
        "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\n{read}\n\
         record_path = \"//Order\"\n[fields]\nno = {{ from = \"OrderNo\", type = \"string\" }}\n\
         [operations.create]\nbody = {{ customer = \"string\", amount = \"decimal(11,2)\" }}\nanswer = {{ no = \":no\" }}\n\
         [operations.create.soap]\noperation = \"urn:demo:erp/CreateOrder\"\nenvelope = \"create.xml\"\n\
         take = {{ no = \"/CreateOrderResponse/OrderNo\" }}\n[operations.create.reconcile.soap]\n{look}\n\
         found = \"/GetOrderByReferenceResponse/Order/OrderNo\"\n\
         take = {{ no = \"/GetOrderByReferenceResponse/Order/OrderNo\" }}\n"
    )
}

const CREATE: &str = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body>\
    <CreateOrder xmlns='urn:demo:erp'><Amount>{amount}</Amount><Customer>{customer}</Customer>\
    <Reference>{idempotency_key}</Reference></CreateOrder></s:Body></s:Envelope>";

#[test]
fn a_write_is_sent_as_it_is_written_and_looked_for_when_its_answer_is_lost() {
    // The third is entered, and the connection closed without an answer.
    let (erp, orders) = shop(|count, good| match count {
        1 => (false, Reply::fault(500, "s:Client", "the customer is barred")),
        2 => (true, Reply::Gone),
        _ => (true, good),
    });
    let site = site_at(&erp.url(), "", &mapping());
    site.write("mappings/create.xml", CREATE.as_bytes());
    let (service, key) = started(&site);
    let (status, answer) = post(&service, &key, "WEB-1", &json!({ "customer": "A & <B>", "amount": "12.50" }));
    assert_eq!((status, &answer["no"]), (201, &json!("100")), "{answer}");
    let sent = erp.calls().remove(0);
    // In the order that this service wants, whatever a WSDL may say; what a caller sends is no markup.
    assert!(sent.body.contains("<Amount>12.50</Amount><Customer>A &amp; &lt;B&gt;</Customer>"), "{}", sent.body);
    assert_eq!(element(&sent, "Reference"), "WEB-1");
    // A no of the service is one to the caller, as with a WSDL.
    let (status, answer) = post(&service, &key, "WEB-2", &body());
    assert_eq!(status, 422, "{answer}");
    assert!(answer.to_string().contains("the customer is barred"), "{answer}");
    // What is lost is looked for, and found, and not sent again.
    let (status, answer) = post(&service, &key, "WEB-3", &body());
    let answer: Value = match status {
        202 | 504 | 502 => service.until(|| {
            let fields = [
                ("Authorization", format!("Bearer {key}")),
                ("Content-Type", "application/json".to_owned()),
                ("Idempotency-Key", "WEB-3".to_owned()),
            ];
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let sent = request("POST", "/v1/items", &fields, body().to_string().as_bytes());
            let answer = exchange(service.address().parse().unwrap(), &sent).expect("an answer");
            (answer.status == 201).then(|| answer.json())
        }),
        _ => answer,
    };
    assert_eq!(answer["no"], "101", "{answer}");
    assert_eq!(orders.lock().unwrap().keys().map(String::as_str).collect::<Vec<_>>(), ["WEB-1", "WEB-3"]);
    let creates = erp.calls().iter().filter(|call| call.body.contains("<CreateOrder")).count();
    assert_eq!(creates, 3);
}

#[test]
fn lines_are_written_for_each_of_a_body_at_a_service_of_strangers() {
    let read =
        "operation = \"GetOrder\"\nrequest = { Number = \"{no}\" }\nrecord_path = \"/GetOrderResponse/GetOrderResult\"";
    let (_server, site) = spyne(read);
    let written = std::fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    let create = "[operations.create]\nanswer = { no = \":no\" }\n[operations.create.body]\nname = \"string\"\namount = \"decimal(22,4)\"\n\
        lines = { each = { sku = \"string\", quantity = \"integer\" } }\n[operations.create.soap]\noperation = \"CreateOrder\"\n\
        envelope = \"order.xml\"\ntake = { no = \"/CreateOrderResponse/CreateOrderResult/Number\" }\n";
    site.write("mappings/items.v1.toml", format!("{written}{create}").as_bytes());
    let envelope = format!(
        "<s:Envelope xmlns:s='{SOAP}'><s:Body><CreateOrder xmlns='urn:tollbridge:orders'><Reference>{{idempotency_key}}</Reference>\
         <Customer>{{name}}</Customer><Amount>{{amount}}</Amount><Lines>{{each lines}}<Line><Sku>{{sku}}</Sku>\
         <Quantity>{{quantity}}</Quantity><Price>1.50</Price></Line>{{end lines}}</Lines></CreateOrder></s:Body></s:Envelope>"
    );
    site.write("mappings/order.xml", envelope.as_bytes());
    let (service, key) = started(&site);
    let lines = json!([{ "sku": "A", "quantity": 2 }, { "sku": "B<", "quantity": 3 }]);
    let new = json!({ "name": "\u{DC}nal", "amount": "1234567890123456.7800", "lines": lines });
    let (status, answer) = post(&service, &key, "REF-NEW", &new);
    assert_eq!((status, &answer["no"]), (201, &json!("26")), "{answer}");
    let order: Value = serde_json::from_str(&service.get("/v1/items/26", &key).unwrap()).unwrap();
    assert_eq!(
        (&order["amount"], order["lines"][1]["sku"].as_str(), order["lines"].as_array().map(Vec::len)),
        (&json!("1234567890123456.7800"), Some("B<"), Some(2)),
        "{order}"
    );
    // A control character is nothing that XML can carry: told at its place, before anything is sent.
    let (status, answer) = post(&service, &key, "REF-BAD", &json!({ "name": "a\u{1}", "amount": "1", "lines": [] }));
    assert_eq!((status, &answer["code"]), (422, &json!("invalid-body")), "{answer}");
    assert!(answer.to_string().contains("/name"), "{answer}");
}

#[test]
fn what_is_wrong_with_such_a_write_is_told_where_it_is() {
    let site = site_at("http://127.0.0.1:9/", "", &mapping());
    let told = || String::from_utf8(site.run(&["check", "--offline"]).stderr).unwrap();
    assert!(told().contains("the envelope `create.xml` cannot be read"), "{}", told());
    for (envelope, words) in [
        (CREATE.replace("{amount}", "{amuont}"), "did you mean `{amount}`?"),
        (CREATE.replace("{amount}", "{each lines}{end lines}"), "there is no array `lines` in the body"),
        (CREATE.replace("</Amount>", ""), "the envelope is no XML to be sent"),
    ] {
        site.write("mappings/create.xml", envelope.as_bytes());
        let told = told();
        assert!(told.contains(words) && told.contains("create.xml"), "{told}");
    }
    site.write("mappings/create.xml", CREATE.as_bytes());
    let mapping = mapping().replace("envelope = \"create.xml\"", "envelope = \"create.xml\"\nmtom = true");
    site.write("mappings/items.v1.toml", mapping.as_bytes());
    assert!(told().contains("this has no meaning beside an `envelope`"), "{}", told());
}
