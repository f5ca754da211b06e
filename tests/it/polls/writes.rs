//! Writes to a service: what is sent, what is answered, and that nothing is done twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::site_at;
use super::typed::{spyne, started};
use crate::facade::client::{Connection, exchange, request};
use crate::live::erp::{Call, Erp, Reply, envelope};
use crate::site::{Service, Site};

pub(super) const MAPPING: &str = "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\noperation = \"GetOrder\"\n\
    request = { OrderNo = \"{no}\" }\nrecord_path = \"/GetOrderResponse/Order\"\n[fields]\nno = { from = \"OrderNo\", type = \"string\" }\n\
    amount = { from = \"Amount\", type = \"decimal(11,2)\" }\n[operations.create]\nbody = { customer = \"string\", amount = \"decimal(11,2)\" }\n\
    answer = { no = \":no\" }\n[operations.create.soap]\noperation = \"CreateOrder\"\n\
    body = { Reference = \"{idempotency_key}\", Customer = \"{customer}\", Amount = \"{amount}\" }\n\
    take = { no = \"/CreateOrderResponse/OrderNo\" }\n[[operations.create.soap.faults]]\ndetail = \"DuplicateReference\"\nstatus = 409\ntitle = \"It is there\"\n";

pub(super) const RECONCILE: &str = "[operations.create.reconcile.soap]\noperation = \"GetOrderByReference\"\nbody = { Reference = \"{idempotency_key}\" }\n\
    found = \"/GetOrderByReferenceResponse/Order/OrderNo\"\ntake = { no = \"/GetOrderByReferenceResponse/Order/OrderNo\" }\n";

/// What the service has: numbers by reference.
pub(super) type Orders = Arc<Mutex<BTreeMap<String, u32>>>;

/// A service of the demo's WSDL that may do with a `CreateOrder` what a test says, before or behind entering the order.
pub(super) fn shop(create: impl Fn(usize, Reply) -> (bool, Reply) + Send + Sync + 'static) -> (Erp, Orders) {
    let orders = Orders::default();
    let (kept, count) = (Arc::clone(&orders), std::sync::atomic::AtomicUsize::new(0));
    let erp = Erp::start(move |call: &Call| {
        let reference = element(call, "Reference");
        let ok = |inner: &str| Reply::Answer(200, "text/xml", envelope(inner));
        if call.body.contains("CreateOrder") {
            let number = 100 + u32::try_from(kept.lock().unwrap().len()).unwrap();
            let good = ok(&format!(
                "<CreateOrderResponse xmlns='urn:demo:erp'><OrderNo>{number}</OrderNo></CreateOrderResponse>"
            ));
            let (enters, reply) = create(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst), good);
            if enters {
                kept.lock().unwrap().insert(reference, number);
            }
            return reply;
        }
        let found = kept.lock().unwrap().get(&reference).copied();
        let order = found.map(|no| format!("<Order><OrderNo>{no}</OrderNo><Reference>r</Reference><Customer>c</Customer><Amount>1.00</Amount><Status>OPEN</Status></Order>"));
        ok(&format!(
            "<GetOrderByReferenceResponse xmlns='urn:demo:erp'>{}</GetOrderByReferenceResponse>",
            order.unwrap_or_default()
        ))
    });
    (erp, orders)
}

/// The text of an element of any prefix.
pub(super) fn element(call: &Call, name: &str) -> String {
    let prefixed = call.body.split_once(&format!(":{name}>"));
    let Some((_, rest)) = prefixed.or_else(|| call.body.split_once(&format!("<{name}>"))) else { return String::new() };
    rest.split('<').next().unwrap().to_owned()
}

pub(super) fn site(erp: &Erp, mapping: &str) -> Site {
    let site = site_at(&erp.url(), "wsdl = \"erp.wsdl\"\ntimeout = \"3s\"\nlate = \"1s\"", mapping);
    site.copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo/erp.wsdl"), "erp.wsdl");
    site
}

pub(super) fn post(service: &Service, key: &str, reference: &str, body: &Value) -> (u16, Value) {
    let (bearer, body) = (format!("Bearer {key}"), body.to_string());
    let fields =
        [("Authorization", bearer.as_str()), ("Content-Type", "application/json"), ("Idempotency-Key", reference)];
    let answer = exchange(service.address().parse().unwrap(), &request("POST", "/v1/items", &fields, body.as_bytes()));
    let answer = answer.expect("an answer");
    (answer.status, answer.json())
}

/// Sends a write, and kills the service as soon as `is_there` says so.
fn post_and_kill(service: &Service, key: &str, is_there: impl Fn() -> bool) {
    let (bearer, body) = (format!("Bearer {key}"), body().to_string());
    let fields =
        [("Authorization", bearer.as_str()), ("Content-Type", "application/json"), ("Idempotency-Key", "WEB-1")];
    let mut connection = Connection::to(service.address().parse().unwrap());
    connection.send(&request("POST", "/v1/items", &fields, body.as_bytes()));
    service.until(|| is_there().then_some(()));
    service.signal("KILL");
    // The next one would find its database taken.
    service.wait();
}

pub(super) fn body() -> Value {
    json!({ "customer": "Müller & <Co>", "amount": 12.50 })
}

#[test]
fn an_order_is_entered_once_whoever_asks_again() {
    let (erp, orders) = shop(|_, good| (true, good));
    let site = site(&erp, &format!("{MAPPING}{RECONCILE}"));
    let (service, key) = started(&site);
    let (status, answer) = post(&service, &key, "WEB-1", &body());
    assert_eq!((status, &answer["no"]), (201, &json!("100")), "{answer}");
    assert_eq!(post(&service, &key, "WEB-1", &body()), (201, answer));
    let call = erp.calls().into_iter().next().unwrap();
    assert_eq!((element(&call, "Reference"), element(&call, "Amount")), ("WEB-1".into(), "12.50".into()));
    assert!(call.body.contains("Müller &amp; &lt;Co&gt;"), "{}", call.body);
    assert_eq!((orders.lock().unwrap().len(), erp.count()), (1, 1));
    // A body that is none is told before anything is sent.
    let (status, answer) = post(&service, &key, "WEB-2", &json!({ "customer": 7 }));
    assert_eq!((status, answer["errors"].as_array().unwrap().len(), erp.count()), (422, 2, 1), "{answer}");
    assert_eq!(erp.count(), 1);
}

/// How many operations are kept.
fn kept(service: &Service) -> usize {
    let (status, page) = service.admin("GET", "/admin/v1/operations");
    assert_eq!(status, 200, "{page}");
    serde_json::from_str::<Value>(&page).unwrap()["data"].as_array().unwrap().len()
}

/// A key, or a client's name, that the type of an element does not take is told before anything of the write is kept: at the
/// call, and at the question what became of it.
#[test]
fn what_the_service_does_not_take_of_a_caller_begins_nothing() {
    let refuses = |(service, key): &(Service, String), reference: &str, says: &str| {
        // Another body under the same key is no mistake: the key was not used.
        for body in [body(), json!({ "customer": "c", "amount": 1 })] {
            let (status, problem) = post(service, key, reference, &body);
            assert_eq!((status, problem["code"].as_str()), (422, Some("operation-refused")), "{problem}");
            assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
            assert_eq!(kept(service), 0, "{problem}");
        }
    };
    let (erp, orders) = shop(|_, good| (true, good));
    let whole = format!("{MAPPING}{RECONCILE}");
    let of_call = site(&erp, &whole);
    let at = started(&of_call);
    refuses(&at, &"x".repeat(81), "`Idempotency-Key` and takes at most 80 characters");
    assert_eq!(erp.count(), 0);
    assert_eq!((post(&at.0, &at.1, &"x".repeat(80), &body()).0, orders.lock().unwrap().len()), (201, 1));
    drop(at);
    // The write could be sent, but nobody could ask what became of it.
    let count = erp.count();
    let of_look = with_wsdl(&erp, &whole, ASKED, &ASKED.replace(" type=\"xs:string\"/>", SHORT));
    let at = started(&of_look);
    refuses(&at, "web-1", "`Idempotency-Key` and takes a text that fits `[A-Z]+-[0-9]{1,6}`");
    assert_eq!((post(&at.0, &at.1, "WEB-1", &body()).0, erp.count()), (201, count + 1));
    drop(at);
    // Where several callers share a client, a UUID stands for the key.
    let of_uuid = with_wsdl(&erp, &whole, "<xs:maxLength value=\"80\"/>", "<xs:maxLength value=\"20\"/>");
    let (service, _) = started(&of_uuid);
    let (made, _) = of_uuid.json(&["keys", "create", "test", "--claim", "customer=A", "--scope", "*"]);
    let with_claims = made[0]["key"].as_str().unwrap().to_owned();
    service.until(|| service.get("/health/ready", &with_claims).ok());
    refuses(&(service, with_claims), "WEB-2", "a UUID in place of the `Idempotency-Key`");
    let named = MAPPING.replace("Reference = \"{idempotency_key}\"", "Reference = \"{client}\"");
    let of_client = with_wsdl(&erp, &named, "<xs:maxLength value=\"80\"/>", "<xs:maxLength value=\"3\"/>");
    refuses(&started(&of_client), "WEB-3", "the client's name and takes at most 3 characters");
    assert_eq!(erp.count(), count + 1);
    // The id of an operation is the same length always.
    let by_id = MAPPING.replace("Reference = \"{idempotency_key}\"", "Reference = \"{operation_id}\"");
    let of_id = with_wsdl(&erp, &by_id, "<xs:maxLength value=\"80\"/>", "<xs:maxLength value=\"35\"/>");
    let told = of_id.run(&["check"]);
    let told = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    assert!(told.contains("the service takes at most 35 characters, and the id of an operation is a UUID"), "{told}");
}

/// What the type of an element does not take is told where it stands in the body, and nothing is kept of it.
#[test]
fn what_the_service_does_not_take_is_a_fault_of_the_body() {
    let (erp, _) = shop(|_, good| (true, good));
    let mapping = MAPPING
        .replace("body = { customer", "body = { reference = \"string\", customer")
        .replace("Reference = \"{idempotency_key}\"", "Reference = \"{reference}\"");
    let site = site(&erp, &mapping);
    let (service, key) = started(&site);
    let document: Value = serde_json::from_str(&service.get("/openapi.json", &key).unwrap()).unwrap();
    let schema = &document["components"]["schemas"]["items.v1.create.body"]["properties"];
    assert_eq!(schema["reference"]["maxLength"], 80, "{schema:#}");
    let body = |length: usize| json!({ "reference": "é".repeat(length), "customer": "c", "amount": 1e0 });
    let (status, problem) = post(&service, &key, "WEB-1", &body(81));
    assert_eq!((status, &problem["code"]), (422, &json!("invalid-body")), "{problem}");
    assert_eq!(problem["errors"][0]["pointer"], "#/reference", "{problem}");
    assert!(
        problem["errors"][0]["detail"].as_str().unwrap().starts_with("expected at most 80 characters"),
        "{problem}"
    );
    assert_eq!(erp.count(), 0);
    // The key is still good.
    assert_eq!(post(&service, &key, "WEB-1", &body(80)).0, 201);
    assert_eq!(erp.count(), 1);
    drop(service);
    // Nor is anything sent of which the service could not be asked.
    let asked = RECONCILE.replace("{idempotency_key}", "{reference}");
    let site = with_wsdl(&erp, &format!("{mapping}{asked}"), ASKED, &ASKED.replace(" type=\"xs:string\"/>", SHORT));
    let (service, key) = started(&site);
    let (status, problem) = post(&service, &key, "WEB-2", &body(4));
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("#/reference")), "{problem}");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("[A-Z]+-[0-9]{1,6}"), "{problem}");
    assert_eq!(erp.count(), 1);
}

/// The element by which an order is asked for, and one that takes less.
const ASKED: &str =
    "name=\"GetOrderByReference\"><xs:complexType><xs:sequence><xs:element name=\"Reference\" type=\"xs:string\"/>";
const SHORT: &str = "><xs:simpleType><xs:restriction base=\"xs:string\"><xs:pattern value=\"[A-Z]+-[0-9]{1,6}\"/></xs:restriction></xs:simpleType></xs:element>";

/// A site whose WSDL says something else in one place.
fn with_wsdl(erp: &Erp, mapping: &str, from: &str, to: &str) -> Site {
    let site = site(erp, mapping);
    let wsdl = std::fs::read_to_string(site.path("erp.wsdl")).unwrap();
    assert!(wsdl.contains(from));
    site.write("erp.wsdl", wsdl.replace(from, to).as_bytes());
    site
}

#[test]
fn a_no_of_the_service_is_a_problem_with_its_detail() {
    let fault = "<s:Fault xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><faultcode>s:Client.Duplicate</faultcode><faultstring>taken</faultstring>\
        <detail><DuplicateReference xmlns='urn:demo:erp'><OrderNo>7</OrderNo></DuplicateReference></detail></s:Fault>";
    let (erp, _) = shop(move |_, _| (false, Reply::Answer(500, "text/xml", envelope(fault))));
    let site = site(&erp, MAPPING);
    let (service, key) = started(&site);
    let (status, problem) = post(&service, &key, "WEB-1", &body());
    assert_eq!((status, problem["title"].as_str()), (409, Some("It is there")), "{problem}");
    assert_eq!(problem["soap"]["detail"]["DuplicateReference"]["OrderNo"], 7, "{problem}");
    assert_eq!(post(&service, &key, "WEB-1", &body()).0, 409);
    assert_eq!(erp.count(), 1, "the same key is told what is kept");
    // One that the mapping has no words for: the caller's.
    erp.script(|_| Reply::fault(500, "s:Client", "no such customer"));
    let (status, problem) = post(&service, &key, "WEB-2", &body());
    assert_eq!((status, problem["soap"]["code"].as_str()), (422, Some("Client")), "{problem}");
}

#[test]
fn what_a_call_before_was_told_is_not_said_of_the_next() {
    // The first is told to come again, the second is not let in.
    let (erp, _) = shop(|number, _| match number {
        0 => (false, Reply::fault(500, "s:Server.Busy", "the shop is full")),
        _ => (false, Reply::Answer(401, "text/plain", "who are you?".to_owned())),
    });
    let passing = "[[operations.create.soap.faults]]\ncode = \"Server.Busy\"\nstatus = 503\nretry = true\n";
    let site = site(&erp, &format!("{MAPPING}{passing}"));
    let (service, key) = started(&site);
    let (status, problem) = post(&service, &key, "WEB-1", &body());
    assert_eq!(erp.count(), 2);
    assert_eq!((status, problem["code"].as_str()), (502, Some("backend-answer")), "{problem}");
    assert!(problem["soap"].is_null() && !problem.to_string().contains("full"), "{problem}");
}

#[test]
fn a_write_of_unknown_outcome_is_asked_for_and_not_done_twice() {
    // The order is entered, and the connection ends without an answer.
    let (erp, orders) = shop(|_, _| (true, Reply::Gone));
    let site = site(&erp, &format!("{MAPPING}{RECONCILE}"));
    let (service, key) = started(&site);
    let (status, answer) = post(&service, &key, "WEB-1", &body());
    let answer = match status {
        201 => answer,
        _ => service.until(|| Some(post(&service, &key, "WEB-1", &body())).filter(|(status, _)| *status == 201)).1,
    };
    assert_eq!((&answer["no"], orders.lock().unwrap().len()), (&json!("100"), 1), "{answer}");
    let creates = erp.calls().iter().filter(|call| call.body.contains("CreateOrder")).count();
    assert_eq!(creates, 1);
}

/// A gateway that has lost its patience says no by a fault, and the order is entered all the same.
#[test]
fn a_fault_that_proves_nothing_is_asked_for() {
    let gateway = |_: usize, _: Reply| (true, Reply::fault(504, "s:Server", "timeout of the gateway"));
    let named = |_: usize, _: Reply| (true, Reply::fault(500, "s:Server.Timeout", "no answer of the host"));
    let rule = "[[operations.create.soap.faults]]\ncode = \"Server.Timeout\"\nunknown = true\n";
    let shops: [(Erp, Orders); 2] = [shop(gateway), shop(named)];
    for (erp, orders) in shops {
        let site = site(&erp, &format!("{MAPPING}{rule}{RECONCILE}"));
        let (service, key) = started(&site);
        let (status, answer) = post(&service, &key, "WEB-1", &body());
        let answer = match status {
            201 => answer,
            _ => service.until(|| Some(post(&service, &key, "WEB-1", &body())).filter(|(status, _)| *status == 201)).1,
        };
        assert_eq!((&answer["no"], orders.lock().unwrap().len()), (&json!("100"), 1), "{answer}");
        let creates = erp.calls().iter().filter(|call| call.body.contains("CreateOrder")).count();
        assert_eq!(creates, 1);
    }
}

#[test]
fn what_is_not_found_is_begun_again_only_where_a_lost_call_is_over() {
    // The first call is lost before the order is entered.
    let first_lost = |number, good| if number == 0 { (false, Reply::Gone) } else { (true, good) };
    let (erp, orders) = shop(first_lost);
    let site_of = |more: &str| site(&erp, &format!("{MAPPING}{RECONCILE}{more}"));
    let settled = site_of("settled_after = \"1s\"\n");
    let (service, key) = started(&settled);
    post(&service, &key, "WEB-1", &body());
    let answer = service.until(|| Some(post(&service, &key, "WEB-1", &body())).filter(|(status, _)| *status == 201)).1;
    assert_eq!((&answer["no"], orders.lock().unwrap().len()), (&json!("100"), 1), "{answer}");
    drop(service);
    // Where nobody says so, it stays unknown.
    let (erp, orders) = shop(first_lost);
    let site = site(&erp, &format!("{MAPPING}{RECONCILE}"));
    let (service, key) = started(&site);
    assert_eq!(post(&service, &key, "WEB-1", &body()).0, 504);
    std::thread::sleep(Duration::from_secs(6));
    let (status, problem) = post(&service, &key, "WEB-1", &body());
    assert_eq!((status, problem["code"].as_str()), (504, Some("outcome-unknown")), "{problem}");
    assert_eq!(orders.lock().unwrap().len(), 0);
}

#[test]
fn a_service_that_is_killed_between_call_and_answer_asks_when_it_is_back() {
    let (erp, orders) = shop(|_, good| (true, good.after(Duration::from_secs(3))));
    let site = site(&erp, &format!("{MAPPING}{RECONCILE}"));
    let (service, key) = started(&site);
    post_and_kill(&service, &key, || erp.count() == 1);
    let again = site.serve_again(&service);
    drop(service);
    again.until(|| again.get("/health/ready", &key).ok());
    let answer = again.until(|| Some(post(&again, &key, "WEB-1", &body())).filter(|(status, _)| *status == 201)).1;
    assert_eq!((&answer["no"], orders.lock().unwrap().len()), (&json!("100"), 1), "{answer}");
    assert_eq!(erp.calls().iter().filter(|call| call.body.contains("CreateOrder")).count(), 1);
}

#[test]
fn a_service_that_is_killed_between_any_two_steps_enters_an_order_once() {
    for point in ["asked", "written_down", "before_running", "running", "answered", "kept"] {
        let (erp, orders) = shop(|_, good| (true, good));
        let site = site(&erp, &format!("{MAPPING}{RECONCILE}settled_after = \"500ms\"\n"));
        let made = site.run(&["keys", "create", "test", "--scope", "*", "--json"]);
        let key = serde_json::from_slice::<Value>(&made.stdout).unwrap()["key"].as_str().unwrap().to_owned();
        let halted = site.path("halted");
        let halt = format!("{point}={}", halted.display());
        let service = site.serve_with(&[("TOLLBRIDGE_HALT_AT", &halt)]);
        service.until(|| service.get("/health/ready", &key).ok());
        post_and_kill(&service, &key, || halted.exists());
        let again = site.serve_again(&service);
        drop(service);
        again.until(|| again.get("/health/ready", &key).ok());
        let done = |(status, _): &(u16, Value)| *status == 201;
        let answer = again.until(|| Some(post(&again, &key, "WEB-1", &body())).filter(done)).1;
        assert_eq!((&answer["no"], orders.lock().unwrap().len()), (&json!("100"), 1), "{point}: {answer}");
        let calls = erp.calls().iter().filter(|call| call.body.contains("CreateOrder")).count();
        assert_eq!(calls, 1, "{point}");
    }
}

#[test]
fn an_order_with_lines_is_entered_at_a_service_of_strangers() {
    let mapping =
        "operation = \"GetOrder\"\nrequest = { Number = \"{no}\" }\nrecord_path = \"/GetOrderResponse/GetOrderResult\"";
    let (_server, site) = spyne(mapping);
    let written = std::fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    let create = "[operations.create]\nanswer = { no = \":no\" }\n[operations.create.body]\nname = \"string\"\namount = \"decimal(22,4)\"\n\
        lines = { each = { sku = \"string\", quantity = \"integer\" } }\n[operations.create.soap]\noperation = \"CreateOrder\"\n\
        body = { Reference = \"{idempotency_key}\", Customer = \"{name}\", Amount = \"{amount}\", Lines = { Line = { each = \"lines\", item = { Sku = \"{sku}\", Quantity = \"{quantity}\", Price = \"1.50\" } } } }\n\
        take = { no = \"/CreateOrderResponse/CreateOrderResult/Number\" }\n";
    site.write("mappings/items.v1.toml", format!("{written}{create}").as_bytes());
    let (service, key) = started(&site);
    let body = json!({ "name": "Ünal", "amount": "1234567890123456.7800", "lines": [{ "sku": "A", "quantity": 2 }, { "sku": "B<", "quantity": 3 }] });
    let (status, answer) = post(&service, &key, "REF-NEW", &body);
    assert_eq!((status, &answer["no"]), (201, &json!("26")), "{answer}");
    let order: Value = serde_json::from_str(&service.get("/v1/items/26", &key).unwrap()).unwrap();
    assert_eq!(
        (&order["amount"], order["lines"][1]["sku"].as_str()),
        (&json!("1234567890123456.7800"), Some("B<")),
        "{order}"
    );
}
