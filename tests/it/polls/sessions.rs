//! A session that ends in the middle of a reading: one login, and the reading goes on with the same page.

use super::{keys, site_at, sync};
use crate::support::soap::{PASSWORD, SoapServer};

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

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
