//! A session that ends in the middle of a reading: one login, and the reading goes on with the same page.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use super::typed::{problem, started};
use super::{keys, site_at, sync};
use crate::live::erp::{Call, Erp, Reply, envelope};
use crate::support::soap::{PASSWORD, SoapServer};
use crate::tuning::{gate, gate_json};

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// The session's token in a block of SOAP's header.
const CARRIER: &str = "operation = \"Login\"\ntoken = \"LoginResult\"\nexpired = [\"SessionExpired\"]\n\
    element = \"<o:Session xmlns:o='urn:tollbridge:orders'><o:Token>{token}</o:Token></o:Session>\"";

const LIVE: &str =
    "operation = \"GetOrder\"\nrequest = { Number = \"{no}\" }\nrecord_path = \"/GetOrderResponse/GetOrderResult\"";

/// Logging in by `login`, an element in the service's namespace.
fn session(namespace: &str, more: &str) -> String {
    format!(
        "wsdl = \"orders.wsdl\"\n[backends.erp.soap.session]\nusername = \"svc\"\npassword = {{ file = \"password\" }}\n{more}\n\
         envelope = \"\"\"<s:Envelope xmlns:s='{SOAP}'><s:Body><Login xmlns='{namespace}'><User>{{username}}</User>\
         <Password>{{password}}</Password></Login></s:Body></s:Envelope>\"\"\"\n"
    )
}

fn mapping(soap: &str) -> String {
    format!(
        "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\noperation = \"ListOrders\"\n\
         {soap}\n[fields]\nno = {{ from = \"Number\", type = \"string\" }}\n"
    )
}

#[test]
fn a_token_that_is_used_up_is_asked_for_once_and_the_page_again() {
    let server = SoapServer::spyne(&["--token-calls", "3"]);
    let by_page = "request = { Offset = \"{page}\", Limit = \"{size}\" }\nrecord_path = \"/ListOrdersResponse/ListOrdersResult/Order\"\n\
        snapshot = true\npage = { start = 0, step = 5, size = 5 }";
    let carrier = "operation = \"Login\"\ntoken = \"LoginResult\"\nexpired = [\"SessionExpired\"]\n\
        element = \"<o:Session xmlns:o='urn:tollbridge:orders'><o:Token>{token}</o:Token></o:Session>\"";
    let site = site_at(&server.url("session"), &session("urn:tollbridge:orders", carrier), &mapping(by_page));
    site.write("password", PASSWORD.as_bytes());
    let wsdl = ureq::get(server.url("soap11?wsdl")).call().unwrap().body_mut().read_to_string().unwrap();
    site.write("orders.wsdl", wsdl.as_bytes());
    let summary = sync(&site);
    assert_eq!((summary["read"].as_u64(), summary["staged"].as_u64()), (Some(25), Some(25)), "{summary}");
    assert_eq!(keys(&site), (1..=25).collect::<Vec<_>>());
    // Six pages, three a session: two logins, and one call that was told that its session is over.
    assert_eq!((server.count("logins"), server.count("calls")), (2, 6 + 2 + 1));
    // The password is nowhere.
    let output = site.run(&["sync", "items"]);
    let said = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&said).contains("s3cret"), "{}", String::from_utf8_lossy(&said));
}

/// A wrong password is not tried again and again, for that may lock the account; who looks is told, and another one is tried
/// at once.
#[test]
fn a_wrong_password_is_left_alone_and_told() {
    let server = SoapServer::spyne(&["--token-calls", "1000"]);
    let live =
        "operation = \"GetOrder\"\nrequest = { Number = \"{no}\" }\nrecord_path = \"/GetOrderResponse/GetOrderResult\"";
    let carrier = "operation = \"Login\"\ntoken = \"LoginResult\"\nexpired = [\"SessionExpired\"]\n\
        element = \"<o:Session xmlns:o='urn:tollbridge:orders'><o:Token>{token}</o:Token></o:Session>\"";
    let mapping = mapping("").replace("operation = \"ListOrders\"\n", &format!("{live}\n"));
    let site = site_at(&server.url("session"), &session("urn:tollbridge:orders", carrier), &mapping);
    site.write("password", b"wr0ng");
    let wsdl = ureq::get(server.url("soap11?wsdl")).call().unwrap().body_mut().read_to_string().unwrap();
    site.write("orders.wsdl", wsdl.as_bytes());
    let (service, key) = started(&site);
    let before = server.count("logins");
    for number in 1..=8 {
        assert_eq!(service.get(&format!("/v1/items/{number}"), &key).map(drop), Err(502));
    }
    // Half a minute may have passed on a machine that is busy.
    let logins = server.count("logins") - before;
    assert!((1..=2).contains(&logins), "{logins}");
    let health = || -> Value { serde_json::from_str(&service.get("/health/backends", &key).unwrap()).unwrap() };
    let told = service.until(|| Some(health()["data"][0].clone()).filter(|found| !found["reason"].is_null()));
    assert_eq!((&told["reachable"], &told["reason"]), (&true.into(), &"login_refused".into()), "{told}");
    assert!(told["next_login_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{told}");
    let doctor = String::from_utf8(site.run(&["doctor", "erp"]).stdout).unwrap();
    assert!(doctor.contains("Wrong user or password") && doctor.contains("ever more seldom"), "{doctor}");
    site.write("password", PASSWORD.as_bytes());
    assert!(service.get("/v1/items/7", &key).unwrap().contains('7'));
    service.until(|| Some(()).filter(|()| health()["data"][0]["reason"].is_null()));
    assert!(health()["data"][0]["next_login_at"].is_null());
}

#[test]
fn cookies_that_are_used_up_are_asked_for_once_and_the_page_again() {
    let server = SoapServer::node();
    let by_token = "request = { Cursor = \"{token}\", Limit = 4 }\nrecord_path = \"/ListOrdersResponse/Order\"\nsnapshot = true\n\
        token = { path = \"/ListOrdersResponse/Cursor\" }";
    let carrier = "operation = \"urn:tollbridge:node/Login\"";
    let site = site_at(&server.url("session"), &session("urn:tollbridge:node", carrier), &mapping(by_token));
    site.write("password", PASSWORD.as_bytes());
    site.copy(&super::peers::wsdl("node"), "orders.wsdl");
    let summary = sync(&site);
    assert_eq!(summary["staged"].as_u64(), Some(25), "{summary}");
    // Seven pages, three a session.
    assert_eq!((server.count("logins"), server.count("calls")), (3, 7 + 3 + 2));
}

/// A password that goes with every call is not sent with every call either once it was refused.
#[test]
fn a_wrong_password_of_http_is_left_alone_and_told() {
    let server = SoapServer::spyne(&[]);
    let soap = "wsdl = \"orders.wsdl\"\nbasic = { username = \"svc\", password = { file = \"password\" } }";
    let site = site_at(&server.url("basic"), soap, &mapping("").replace("operation = \"ListOrders\"", LIVE));
    site.write("password", b"wr0ng");
    let wsdl = ureq::get(server.url("soap11?wsdl")).call().unwrap().body_mut().read_to_string().unwrap();
    site.write("orders.wsdl", wsdl.as_bytes());
    let (service, key) = started(&site);
    for number in 1..=8 {
        let problem = problem(&service, &format!("/v1/items/{number}"), &key);
        assert_eq!(problem["status"], 502, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|told| told.contains("does not take the account")), "{problem}");
    }
    // Five seconds may have passed on a machine that is busy.
    let calls = server.count("calls");
    assert!((1..=2).contains(&calls), "{calls}");
    let health = || -> Value { serde_json::from_str(&service.get("/health/backends", &key).unwrap()).unwrap() };
    let told = service.until(|| Some(health()["data"][0].clone()).filter(|found| !found["reason"].is_null()));
    assert_eq!((&told["reachable"], &told["reason"]), (&true.into(), &"login_refused".into()), "{told}");
    assert!(told["next_login_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{told}");
    assert_eq!(told["breaker"], "closed", "{told}");
    // Each process tries it for itself.
    let doctor = String::from_utf8(site.run(&["doctor", "erp"]).stdout).unwrap();
    assert!(doctor.contains("does not take our account") && doctor.contains("every quarter of an hour"), "{doctor}");
    site.write("password", PASSWORD.as_bytes());
    assert!(service.get("/v1/items/7", &key).unwrap().contains('7'));
    service.until(|| Some(()).filter(|()| health()["data"][0]["reason"].is_null()));
    assert!(health()["data"][0]["next_login_at"].is_null());
}

/// Where a policy demands MTOM, one logs in by a package as well; also where only somebody looks.
#[test]
fn a_login_goes_as_a_package_where_the_policy_demands_it() {
    let server = SoapServer::spyne(&["--token-calls", "1000"]);
    let mapping = mapping("").replace("operation = \"ListOrders\"", LIVE);
    let site = |more: &str, is_policed: bool| {
        let carrier = format!("{CARRIER}\n{more}");
        let site = site_at(&server.url("packaged-session"), &session("urn:tollbridge:orders", &carrier), &mapping);
        site.write("password", PASSWORD.as_bytes());
        let wsdl = ureq::get(server.url("soap11?wsdl")).call().unwrap().body_mut().read_to_string().unwrap();
        site.write("orders.wsdl", if is_policed { super::packaged::with_policy(&wsdl) } else { wsdl }.as_bytes());
        site
    };
    let policed = site("", true);
    let (service, key) = started(&policed);
    assert!(service.get("/v1/items/7", &key).is_ok_and(|item| item.contains('7')));
    let doctor = policed.run(&["doctor", "erp"]);
    let said = String::from_utf8_lossy(&doctor.stdout);
    assert!(said.contains("it lets us in"), "{said}");
    assert_eq!((server.count("logins"), server.count("plain")), (2, 0));
    drop(service);
    // Without one it does not, and what is written counts before both.
    for (more, is_policed, plain) in
        [("", false, 1), ("mtom = true", false, 0), ("mtom = false", true, 1), ("# by its element", true, 0)]
    {
        let before = server.count("plain");
        let site = site(more, is_policed);
        if more.starts_with('#') {
            let config = std::fs::read_to_string(site.path("tollbridge.toml")).unwrap();
            site.write("tollbridge.toml", config.replace("operation = \"Login\"\n", "").as_bytes());
        }
        let said = site.run(&["doctor", "erp"]);
        let said = String::from_utf8_lossy(&said.stdout);
        assert_eq!(said.contains("it lets us in"), plain == 0, "{more}: {said}");
        assert_eq!(server.count("plain") - before, plain, "{more}");
    }
}

/// Who has unlocked an account need not wait until it is tried again: one call tries it at once where a person asks for that, and
/// no second one.
#[test]
fn an_account_that_is_left_alone_is_tried_once_where_a_person_asks() {
    let (is_locked, tries) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let erp = Erp::start({
        let (is_locked, tries) = (Arc::clone(&is_locked), Arc::clone(&tries));
        move |call: &Call| {
            if !call.body.contains("GetOrder") {
                return Reply::Answer(405, "text/plain", String::new());
            }
            tries.fetch_add(1, Ordering::SeqCst);
            if is_locked.load(Ordering::SeqCst) {
                return Reply::Answer(401, "text/plain", "who are you?".to_owned());
            }
            let order = "<OrderNo>7</OrderNo><Reference>r</Reference><Customer>c</Customer><Amount>1.00</Amount><Status>OPEN</Status>";
            let answer = format!("<GetOrderResponse xmlns='urn:demo:erp'><Order>{order}</Order></GetOrderResponse>");
            Reply::Answer(200, "text/xml", envelope(&answer))
        }
    });
    let soap = "wsdl = \"erp.wsdl\"\nbasic = { username = \"svc\", password = { file = \"password\" } }";
    let site = site_at(&erp.url(), soap, super::writes::MAPPING);
    site.copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo/erp.wsdl"), "erp.wsdl");
    site.write("password", PASSWORD.as_bytes());
    let (service, key) = started(&site);
    let tried = || tries.load(Ordering::SeqCst);
    let get = || service.get("/v1/items/7", &key).map(drop);
    let next = || gate_json(&site, &service, &["list"]).remove(0)["next_login_at"].clone();
    // After the second refusal it is left alone for minutes.
    service.until(|| get().err().filter(|_| tried() == 2));
    let left_alone = |times: usize| {
        for _ in 0..3 {
            assert_eq!((get(), tried()), (Err(502), times));
        }
    };
    left_alone(2);
    assert!(next().as_str().is_some_and(|at| at.ends_with('Z')), "{}", next());
    let ask = |reason: &str| gate_json(&site, &service, &["login", "erp", "--reason", reason]).remove(0);
    let decided = ask("it should be unlocked");
    assert_eq!(decided["decision"]["action"], "login", "{decided}");
    assert_eq!(get(), Err(502));
    left_alone(3);
    is_locked.store(false, Ordering::SeqCst);
    left_alone(3);
    ask("now it is");
    assert_eq!((get(), tried()), (Ok(()), 4));
    assert_eq!((get(), tried(), next()), (Ok(()), 5, Value::Null));
    // There is nothing more to be tried.
    let refused = gate(&site, &service, &["login", "erp", "--reason", "once more"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("no account is left alone at backend erp"), "{told}");
    let audit = gate_json(&site, &service, &["audit"]);
    let told: Vec<(&str, &str)> =
        audit.iter().map(|entry| (entry["action"].as_str().unwrap(), entry["reason"].as_str().unwrap())).collect();
    assert_eq!(told, [("login", "now it is"), ("login", "it should be unlocked")]);
}
