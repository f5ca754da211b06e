//! Calls by the WSDL of a service of strangers.

use super::{keys, site_at, staged, sync};
use crate::site::{Service, Site};
use crate::support::soap::SoapServer;

const FIELDS: &str = "[fields]\nno = { from = \"Number\", type = \"string\" }\nreference = { from = \"Reference\" }\n\
    customer = { from = \"Customer\" }\namount = { from = \"Amount\", type = \"decimal(22,4)\", as = \"string\" }\n\
    paid = { from = \"Paid\", type = \"boolean\" }\nstatus = { from = \"@status\" }\ntags = { from = \"Tag\", each = { type = \"string\" } }\n\
    lines = { from = \"Lines.Line\", each = { sku = { from = \"Sku\" }, quantity = { from = \"Quantity\", type = \"integer\" } } }\n";

fn mapping(soap: &str) -> String {
    format!(
        "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\n{soap}\n{FIELDS}"
    )
}

/// spyne, and a site with its WSDL beside the configuration.
pub(super) fn spyne(soap: &str) -> (SoapServer, Site) {
    let server = SoapServer::spyne(&[]);
    let site = site_at(&server.url("/soap11"), "wsdl = \"orders.wsdl\"", &mapping(soap));
    let wsdl = ureq::get(server.url("/soap11?wsdl")).call().unwrap().body_mut().read_to_string().unwrap();
    site.write("orders.wsdl", wsdl.as_bytes());
    (server, site)
}

pub(super) fn started(site: &Site) -> (Service, String) {
    let (made, code) = site.json(&["keys", "create", "test", "--scope", "*"]);
    assert_eq!(code, 0, "{made:?}");
    let key = made[0]["key"].as_str().unwrap().to_owned();
    let service = site.serve();
    service.until(|| service.get("/health/ready", &key).ok());
    (service, key)
}

#[test]
fn pages_come_by_offset_and_by_token_with_types() {
    let by_page = "operation = \"ListOrders\"\nrequest = { Offset = \"{page}\", Limit = \"{size}\" }\n\
        record_path = \"/ListOrdersResponse/ListOrdersResult/Order\"\nsnapshot = true\npage = { start = 0, step = 10, size = 10 }";
    let (_server, site) = spyne(by_page);
    assert_eq!(sync(&site)["staged"], 25);
    assert_eq!(keys(&site), (1..=25).collect::<Vec<_>>());
    let order = &staged(&site)["7"];
    assert_eq!(order["amount"], "12345678901234574.8900", "{order}");
    assert_eq!(
        (&order["paid"], &order["status"], order["customer"].as_str()),
        (&false.into(), &"open".into(), Some("Müller & Söhne <7>"))
    );
    assert_eq!((order["lines"].as_array().unwrap().len(), order["tags"].as_array().unwrap().len()), (1, 1));
    // What is nil is null, and a list of none is a list.
    let order = &staged(&site)["15"];
    assert!(
        order["customer"].is_null()
            && order["lines"] == serde_json::json!([])
            && order["tags"] == serde_json::json!([]),
        "{order}"
    );

    let by_token = "operation = \"ListOrders\"\nrequest = { Offset = \"{token}\", Limit = 4 }\n\
        record_path = \"/ListOrdersResponse/ListOrdersResult/Order\"\nsnapshot = true\n\
        token = { path = \"/ListOrdersResponse/ListOrdersResult/Next\" }";
    let (_server, site) = spyne(by_token);
    assert_eq!(sync(&site)["staged"], 25);
    assert_eq!(sync(&site)["unchanged"], 25);
}

#[test]
fn a_record_is_asked_for_by_its_key_and_faults_are_problems() {
    let live = "operation = \"GetOrder\"\nrequest = { Number = \"{no}\" }\nrecord_path = \"/GetOrderResponse/GetOrderResult\"\n\
        [[source.soap.faults]]\ndetail = \"OrderNotFound\"\npath = \"/OrderNotFound/Hint\"\nequals = \"look in the archive\"\nstatus = 404\ntitle = \"It is in the archive\"";
    let (_server, site) = spyne(live);
    let (service, key) = started(&site);
    let order: serde_json::Value = serde_json::from_str(&service.get("/v1/items/7", &key).unwrap()).unwrap();
    assert_eq!(
        (order["no"].as_str(), order["amount"].as_str()),
        (Some("7"), Some("12345678901234574.8900")),
        "{order}"
    );
    let problem = problem(&service, "/v1/items/99", &key);
    assert_eq!(
        (problem["status"].as_u64(), problem["title"].as_str()),
        (Some(404), Some("It is in the archive")),
        "{problem}"
    );
    assert_eq!(problem["soap"]["code"], "Client.NotFound", "{problem}");
    assert_eq!(problem["soap"]["detail"]["OrderNotFound"]["Number"], "99", "{problem}");
    // A key that the schema does not know is no record, and nothing is asked.
    assert_eq!(service.get("/v1/items/abc", &key), Err(404));
    // A no of its own does not speak against the backend.
    for _ in 0..8 {
        assert_eq!(service.get("/v1/items/98", &key), Err(404));
    }
    assert!(service.get("/v1/items/8", &key).is_ok());
}

pub(super) fn problem(service: &Service, path: &str, key: &str) -> serde_json::Value {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let url = format!("http://{}{path}", service.address());
    let mut answer = agent.get(url).header("Authorization", format!("Bearer {key}")).call().unwrap();
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

#[test]
fn a_request_is_judged_against_the_wsdl_where_it_is_written() {
    let check = |soap: &str, words: &[&str]| {
        let (_server, site) = spyne(soap);
        let output = site.run(&["check", "--offline"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        for words in words {
            assert!(said.contains(words), "no `{words}` in\n{said}");
        }
    };
    check(
        "operation = \"GetOrdr\"\nrequest = {}",
        &["has no operation `GetOrdr`", "did you mean `GetOrder`?", "items.v1.toml:7:13"],
    );
    check(
        "operation = \"GetOrder\"\nrequest = { Numbr = \"{no}\" }",
        &["`GetOrder` has no member `Numbr`", "did you mean `Number`?", "items.v1.toml:8:13"],
    );
    check(
        "operation = \"GetOrder\"\nrequest = { Number = \"{nr}\" }",
        &["`{nr}` is nothing that is known here", "did you mean `{no}`?"],
    );
    check("operation = \"GetOrder\"\nrequest = { Number = 7 }", &["no place for `{no}`"]);
    check(
        "operation = \"GetOrder\"\nrequest = { Number = \"seven {no}\" }\nrecord_path = \"/GetOrderResponse/Nowhere\"",
        &["Nowhere"],
    );
    check(
        "operation = \"ListOrders\"\nrequest = { Offset = true, Limit = \"{size}\" }\nsnapshot = true",
        &["xs:int", "`{size}` is nothing"],
    );
    check(
        "operation = \"GetOrder\"\nrequest = { Number = [1] }\narrays = [\"x\"]",
        &["a single value, found an array", "the WSDL says it"],
    );
}

#[test]
fn a_wsdl_that_cannot_be_read_takes_away_only_what_needs_it() {
    let live =
        "operation = \"GetOrder\"\nrequest = { Number = \"{no}\" }\nrecord_path = \"/GetOrderResponse/GetOrderResult\"";
    let (_server, site) = spyne(live);
    let files = "resource = \"others\"\nversion = 1\nkey = [\"id\"]\n[source]\nbackend = \"files\"\n[source.csv]\nfiles = \"*.csv\"\n[fields]\nid = { from = \"ID\" }\n";
    site.write("mappings/others.v1.toml", files.as_bytes());
    let config = std::fs::read_to_string(site.path("tollbridge.toml")).unwrap();
    site.write("tollbridge.toml", format!("{config}[backends.files.files]\ninbox = \"inbox\"\n").as_bytes());
    std::fs::create_dir(site.path("inbox")).unwrap();
    let good = std::fs::read(site.path("orders.wsdl")).unwrap();
    // It was never read: its mapping is left out, the other is served.
    site.write("orders.wsdl", b"<html>moved</html>");
    let (report, code) = site.json(&["check", "--offline"]);
    assert_eq!(code, 1, "{report:?}");
    assert_eq!(report[0]["resources"], serde_json::json!(["others.v1"]), "{report:?}");
    assert!(
        report[0]["left_out"][0].as_str().unwrap().contains("the WSDL of backend erp cannot be read"),
        "{report:?}"
    );
    let (service, key) = started(&site);
    assert_eq!(service.get("/v1/items/7", &key), Err(404));
    assert!(service.get("/v1/others", &key).is_ok());
    let ready: serde_json::Value = serde_json::from_str(&service.get("/health/ready", &key).unwrap()).unwrap();
    assert_eq!(ready["parts"]["catalog"]["left_out"], 1, "{ready}");
    // It can be read: it is taken up by a reload; then it breaks again, and what was read last stays.
    site.write("orders.wsdl", &good);
    service.signal("HUP");
    service.until(|| service.get("/v1/items/7", &key).ok());
    site.write("orders.wsdl", b"");
    service.signal("HUP");
    let metrics = || service.admin("GET", "/metrics").1;
    service.until(|| metrics().contains("tollbridge_wsdl_stale{backend=\"erp\"} 1").then_some(()));
    assert!(service.get("/v1/items/7", &key).is_ok());
    let (report, code) = site.json(&["check", "--offline"]);
    assert!(code == 0 && report[0]["doubts"].to_string().contains("as it was read last stays in force"), "{report:?}");
}

#[test]
fn a_wsdl_of_the_web_is_fetched_through_the_gate_and_kept() {
    let server = SoapServer::spyne(&[]);
    let live =
        "operation = \"GetOrder\"\nrequest = { Number = \"{no}\" }\nrecord_path = \"/GetOrderResponse/GetOrderResult\"";
    let site = site_at(&server.url("/soap11"), &format!("wsdl = \"{}\"", server.url("/soap11?wsdl")), &mapping(live));
    // Offline nothing is fetched.
    let (report, code) = site.json(&["check", "--offline"]);
    assert!(code == 1 && report[0]["left_out"][0].as_str().unwrap().contains("has not been fetched yet"), "{report:?}");
    let (service, key) = started(&site);
    assert!(service.get("/v1/items/7", &key).is_ok());
    drop(service);
    // What was fetched is kept: the service may be away when we start.
    let port = server.port();
    drop(server);
    let (service, key) = started(&site);
    assert_eq!(service.get("/v1/items/7", &key), Err(503), "port {port}");
    let (report, code) = site.json(&["check", "--offline"]);
    assert_eq!((code, &report[0]["resources"]), (0, &serde_json::json!(["items.v1"])), "{report:?}");
}
