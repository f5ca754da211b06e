//! From an unknown WSDL to a working REST call with `inspect` and `infer` alone, at a service of strangers.

use serde_json::Value;

use super::site_at;
use super::typed::started;
use crate::site::Site;
use crate::support::soap::SoapServer;

#[test]
fn a_newcomer_gets_from_a_wsdl_to_an_answer() {
    let server = SoapServer::spyne(&[]);
    let site = site_at(&server.url("/soap11"), "wsdl = \"orders.wsdl\"", "");
    std::fs::remove_file(site.path("mappings/items.v1.toml")).unwrap();
    let wsdl = ureq::get(server.url("/soap11?wsdl")).call().unwrap().body_mut().read_to_string().unwrap();
    site.write("orders.wsdl", wsdl.as_bytes());
    // What is there?
    let shown = site.run(&["inspect", "orders.wsdl"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("GetOrder ") && shown.contains("ListOrders "), "{shown}");
    let shown = String::from_utf8(site.run(&["inspect", "--backend", "erp"]).stdout).unwrap();
    assert!(shown.contains("GetOrder ") && shown.contains("ListOrders "), "{shown}");
    // One record, asked for by its key; and all of them, polled.
    let infer = |arguments: &[&str], file: &str| {
        let output = site.run(&[&["infer"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        site.write(&format!("mappings/{file}"), &output.stdout);
        String::from_utf8(output.stdout).unwrap()
    };
    let order = infer(&["--wsdl", "orders.wsdl", "--operation", "GetOrder", "--backend", "erp"], "order.v1.toml");
    let orders = infer(&["--backend", "erp", "--operation", "ListOrders"], "orders.v1.toml");
    // It only looks: nothing is kept by it.
    std::fs::remove_dir_all(site.path("var")).ok();
    let check = site.run(&["check", "--offline"]);
    assert!(!site.path("var/wsdl").exists());
    assert!(check.status.success(), "{}\n{order}\n{orders}", String::from_utf8_lossy(&check.stderr));
    let (said, code) = site.json(&["sync", "orders"]);
    assert_eq!((code, said[0]["staged"].as_u64()), (0, Some(25)), "{said:?}\n{orders}");
    let (service, key) = started(&site);
    let live: Value = serde_json::from_str(&service.get("/v1/order/7", &key).unwrap()).unwrap();
    let staged: Value = serde_json::from_str(&service.get("/v1/orders/7", &key).unwrap()).unwrap();
    for found in [&live, &staged] {
        assert_eq!(
            (found["reference"].as_str(), found["customer"].as_str()),
            (Some("REF-7"), Some("Müller & Söhne <7>")),
            "{found}"
        );
        assert_eq!(found["lines"].as_array().unwrap().len(), 1, "{found}");
    }
    assert_eq!(live, staged);
    // An answer that was captured in parts is read like one in one piece.
    let question = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><GetDocument xmlns='urn:tollbridge:orders'><Size>50</Size></GetDocument></s:Body></s:Envelope>";
    let captured = |path: &str| {
        let mut answer = ureq::post(server.url(path)).header("Content-Type", "text/xml").send(question).unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, answer.body_mut().read_to_vec().unwrap())
    };
    let decoded = |name: &str, bytes: &[u8]| {
        site.write(name, bytes);
        let output = site.run(&["decode", name, "--wsdl", "orders.wsdl", "--operation", "GetDocument"]);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let plain = decoded("plain.xml", &captured("soap11").1);
    assert!(plain.contains("GetDocumentResult") && plain.len() > 80, "{plain}");
    for path in ["mtom", "swa"] {
        let (kind, bytes) = captured(path);
        assert!(kind.starts_with("multipart/related"), "{kind}");
        assert_eq!(decoded("parts.bin", &bytes), plain, "{path}");
        let with_head = [format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n").as_bytes(), &bytes].concat();
        assert_eq!(decoded("http.bin", &with_head), plain, "{path}");
        let cut = site.path("cut.bin");
        std::fs::write(&cut, &bytes[..bytes.len() - 20]).unwrap();
        let told = site.run(&["decode", "cut.bin", "--wsdl", "orders.wsdl", "--operation", "GetDocument"]);
        assert_eq!(told.status.code(), Some(2), "{told:?}");
    }
    // By its address alone, of a service that no configuration names.
    let url = server.url("/soap11?wsdl");
    let shown = String::from_utf8(site.run(&["inspect", &url]).stdout).unwrap();
    assert!(shown.contains("GetOrder ") && shown.contains("ListOrders "), "{shown}");
    let by_url = site.run(&["infer", "--wsdl", &url, "--operation", "GetOrder", "--backend", "erp"]);
    assert_eq!(String::from_utf8(by_url.stdout).unwrap().trim(), order.trim());
    let gone = site.run(&["inspect", &server.url("/nowhere?wsdl=")]);
    let moved = site.run(&["inspect", "http://127.0.0.1:1/x?wsdl"]);
    assert!(gone.status.success() || gone.status.code() == Some(2), "{gone:?}");
    let told = String::from_utf8_lossy(&moved.stderr).into_owned();
    assert!(moved.status.code() == Some(2) && told.contains("cannot be reached"), "{told}");
    let doctor = String::from_utf8(site.run(&["doctor", "erp"]).stdout).unwrap();
    assert!(doctor.contains("wsdl"), "{doctor}");
}

/// In a folder where there is nothing yet: what `infer` says of the backend is the configuration, and what it says of faults
/// a 404.
#[test]
fn a_newcomer_needs_no_more_than_what_is_proposed() {
    let server = SoapServer::spyne(&[]);
    let site = Site::new();
    let url = server.url("soap11?wsdl");
    let output = site.run(&["infer", "--wsdl", &url, "--operation", "GetOrder"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let proposed = String::from_utf8(output.stdout).unwrap();
    let lines = proposed.lines().filter_map(|line| line.strip_prefix("#   "));
    let config: String = lines.map(|line| line.to_owned() + "\n").collect();
    site.write("tollbridge.toml", config.as_bytes());
    let faults: Vec<&str> = proposed.lines().skip_while(|line| *line != "# [[source.soap.faults]]").take(3).collect();
    let heeded: Vec<&str> = faults.iter().map(|line| &line[2..]).collect();
    site.write("mappings/order.v1.toml", proposed.replace(&faults.join("\n"), &heeded.join("\n")).as_bytes());
    let check = site.run(&["check"]);
    assert!(check.status.success(), "{}\n{config}\n{proposed}", String::from_utf8_lossy(&check.stderr));
    let (service, key) = started(&site);
    let order: Value = serde_json::from_str(&service.get("/v1/order/7", &key).unwrap()).unwrap();
    assert_eq!(order["reference"], "REF-7", "{order}");
    assert_eq!(service.get("/v1/order/99", &key), Err(404));
    // Where the configuration has the backend, it is not proposed again.
    let again = site.run(&["infer", "--wsdl", &url, "--operation", "GetOrder"]);
    assert!(!String::from_utf8(again.stdout).unwrap().contains("[backends.erp.soap]"));
    let shown = String::from_utf8(site.run(&["inspect", &url, "--operation", "GetOrder"]).stdout).unwrap();
    assert!(shown.contains(&format!("at {}, as the WSDL says", server.url("soap11"))), "{shown}");
}

/// A write as .NET declares it: an object that may be left out, with members that may not, and an attribute. A scan, which is
/// nothing but bytes; and what answers nothing, by whatever name.
const ENTITY: &str = r#"<definitions targetNamespace="urn:e" xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:t="urn:e"
  xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/">
  <types><x:schema targetNamespace="urn:e" elementFormDefault="qualified">
    <x:complexType name="Entity"><x:sequence><x:element name="No" type="x:string" minOccurs="0"/>
      <x:element name="Balance" type="x:decimal"/><x:element name="Owner" minOccurs="0"><x:complexType><x:sequence>
        <x:element name="Name" type="x:string" minOccurs="0"/></x:sequence></x:complexType></x:element>
      </x:sequence><x:attribute name="version" type="x:int" use="required"/></x:complexType>
    <x:element name="CreateEntity"><x:complexType><x:sequence><x:element name="entity" type="t:Entity" minOccurs="0"/>
      </x:sequence></x:complexType></x:element>
    <x:element name="CreateEntityResponse"><x:complexType><x:sequence>
      <x:element name="CreateEntityResult" type="x:string" minOccurs="0"/></x:sequence></x:complexType></x:element>
    <x:element name="GetScan"><x:complexType><x:sequence><x:element name="no" type="x:int"/></x:sequence></x:complexType></x:element>
    <x:element name="GetScanResponse"><x:complexType><x:sequence>
      <x:element name="GetScanResult" type="x:base64Binary"/></x:sequence></x:complexType></x:element>
    <x:element name="Ring"><x:complexType><x:sequence><x:element name="Bell" type="x:string"/></x:sequence></x:complexType></x:element>
  </x:schema></types>
  <message name="CreateIn"><part name="p" element="t:CreateEntity"/></message>
  <message name="CreateOut"><part name="p" element="t:CreateEntityResponse"/></message>
  <message name="ScanIn"><part name="p" element="t:GetScan"/></message><message name="ScanOut"><part name="p" element="t:GetScanResponse"/></message>
  <message name="RingIn"><part name="p" element="t:Ring"/></message>
  <portType name="P"><operation name="CreateEntity"><input message="t:CreateIn"/><output message="t:CreateOut"/></operation>
    <operation name="GetScan"><input message="t:ScanIn"/><output message="t:ScanOut"/></operation>
    <operation name="Ring"><input message="t:RingIn"/></operation></portType>
  <binding name="B" type="t:P"><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="CreateEntity"><soap:operation soapAction="c"/><input><soap:body use="literal"/></input><output><soap:body use="literal"/></output></operation>
    <operation name="GetScan"><soap:operation soapAction="g"/><input><soap:body use="literal"/></input><output><soap:body use="literal"/></output></operation>
    <operation name="Ring"><soap:operation soapAction="r"/><input><soap:body use="literal"/></input></operation></binding>
  <service name="S"><port name="P" binding="t:B"><soap:address location="http://nowhere/"/></port></service>
</definitions>"#;

#[test]
fn what_is_proposed_of_odd_operations_is_sound_or_is_refused() {
    let live = "resource = \"items\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.soap]\noperation = \"g\"\n\
        envelope = '''<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><G>{no}</G></s:Body></s:Envelope>'''\n\
        record_path = \"//E\"\n[fields]\nno = { from = \"No\" }\n";
    let site = site_at("http://127.0.0.1:1/erp", "wsdl = \"entity.wsdl\"", live);
    site.write("entity.wsdl", ENTITY.as_bytes());
    let infer = |operation: &str| site.run(&["infer", "--backend", "erp", "--operation", operation]);
    let object =
        "entity = { object = { no = { type = \"string\", required = false }, balance = \"decimal(28,6)\", owner = ";
    for (operation, words, more) in [
        ("CreateEntity", object, "version = \"integer\" } } }"),
        ("Ring", "# It answers nothing, so this is no resource of its own", "[operations.ring]"),
    ] {
        let proposed = String::from_utf8(infer(operation).stdout).unwrap();
        assert!(proposed.contains(words) && proposed.contains(more), "{proposed}");
        site.write("mappings/items.v1.toml", format!("{live}{proposed}").as_bytes());
        let check = site.run(&["check", "--offline"]);
        assert!(check.status.success(), "{}\n{proposed}", String::from_utf8_lossy(&check.stderr));
    }
    let refused = infer("GetScan");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("no single value that could be a key"), "{told}");
}
