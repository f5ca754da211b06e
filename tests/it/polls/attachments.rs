//! Writes that send parts beside their envelope (SOAP with attachments).

use serde_json::json;

use super::site_at;
use super::typed::started;
use crate::facade::client::{exchange, request};
use crate::live::erp::{Call, Erp, Reply, envelope};

const WSDL: &str = r#"<definitions name="Scans" targetNamespace="urn:scans" xmlns="http://schemas.xmlsoap.org/wsdl/"
  xmlns:t="urn:scans" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:mime="http://schemas.xmlsoap.org/wsdl/mime/"
  xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/">
  <types><xs:schema targetNamespace="urn:scans" elementFormDefault="qualified">
    <xs:element name="Enter"><xs:complexType><xs:sequence><xs:element name="No" type="xs:string"/></xs:sequence></xs:complexType></xs:element>
    <xs:element name="EnterResponse"><xs:complexType><xs:sequence><xs:element name="Id" type="xs:string"/></xs:sequence></xs:complexType></xs:element>
  </xs:schema></types>
  <message name="In"><part name="order" element="t:Enter"/><part name="scan" type="xs:base64Binary"/><part name="note" type="xs:string"/></message>
  <message name="Out"><part name="result" element="t:EnterResponse"/></message>
  <portType name="Scans"><operation name="Enter"><input message="t:In"/><output message="t:Out"/></operation></portType>
  <binding name="B" type="t:Scans"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Enter"><soap:operation soapAction="urn:scans/Enter"/>
      <input><mime:multipartRelated>
        <mime:part><soap:body parts="order" use="literal"/></mime:part>
        <mime:part><mime:content part="scan" type="image/png"/><mime:content part="scan" type="image/tiff"/></mime:part>
        <mime:part><mime:content part="note" type="text/plain"/></mime:part>
      </mime:multipartRelated></input>
      <output><soap:body use="literal"/></output>
    </operation></binding>
  <service name="S"><port name="P" binding="t:B"><soap:address location="http://nowhere/"/></port></service>
</definitions>"#;

const MAPPING: &str = r#"
resource = "items"
version = 1
key = ["no"]
[source]
backend = "erp"
[source.soap]
operation = "urn:scans/Get"
envelope = '''<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><Get><No>{no}</No></Get></s:Body></s:Envelope>'''
record_path = "//Order"
[fields]
no = { from = "No" }
[operations.create]
body = { no = "string", scan = "string", kind = "string" }
answer = { id = ":id" }
[operations.create.soap]
operation = "Enter"
take = { id = "/EnterResponse/Id" }
"#;

const SENT: &str = "body = { body = { No = \"{no}\" }, attachments = { scan = { data = \"{scan}\", content_type = \"{kind}\" }, note = \"aGVsbG8=\" } }\n";

#[test]
fn parts_go_beside_the_envelope() {
    let erp = Erp::start(|_: &Call| {
        let answer = "<EnterResponse xmlns='urn:scans'><Id>S-1</Id></EnterResponse>";
        Reply::Answer(200, "text/xml", envelope(answer))
    });
    let site = site_at(&erp.url(), "wsdl = \"scans.wsdl\"", &format!("{MAPPING}{SENT}"));
    site.write("scans.wsdl", WSDL.as_bytes());
    let shown = site.run(&["inspect", "scans.wsdl", "--operation", "Enter"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("\"scan\": \"base64 (image/png, image/tiff)\""), "{shown}");

    let (service, key) = started(&site);
    let post = |reference: &str, scan: &str, kind: &str| {
        let body = json!({ "no": "7", "scan": scan, "kind": kind }).to_string();
        let bearer = format!("Bearer {key}");
        let fields =
            [("Authorization", bearer.as_str()), ("Content-Type", "application/json"), ("Idempotency-Key", reference)];
        let sent = request("POST", "/v1/items", &fields, body.as_bytes());
        exchange(service.address().parse().unwrap(), &sent).expect("an answer")
    };
    let answer = post("a", "UE5HISBhYmM=", "image/tiff");
    assert_eq!((answer.status, &answer.json()["id"]), (201, &json!("S-1")), "{}", answer.json());
    let calls = erp.calls();
    let body = &calls[0].body;
    let parts: Vec<&str> = body.split("--tollbridge-").collect();
    // Before the first, three parts, and the end.
    assert_eq!(parts.len(), 5, "{body}");
    assert!(parts[1].contains("Content-Type: text/xml; charset=utf-8") && parts[1].contains(":No>7<"), "{}", parts[1]);
    assert!(parts[2].contains("Content-Type: image/tiff") && parts[2].contains("Content-ID: <scan="), "{}", parts[2]);
    assert!(parts[2].ends_with("\r\n\r\nPNG! abc\r\n"), "{}", parts[2]);
    assert!(parts[3].contains("text/plain") && parts[3].ends_with("\r\n\r\nhello\r\n"), "{}", parts[3]);

    // What cannot be sent is told with its place, and nothing is.
    for (reference, scan, kind, words) in [
        ("b", "not base64", "image/png", "/attachments/scan: it is no base64"),
        ("c", "AAAA", "image/gif", "is none of: image/png, image/tiff"),
    ] {
        let refused = post(reference, scan, kind);
        assert!((400..500).contains(&refused.status), "{}", refused.status);
        assert!(refused.json().to_string().contains(words), "{}", refused.json());
    }
    assert_eq!(erp.calls().len(), 1);
}

#[test]
fn what_is_missing_beside_the_envelope_is_told_where_it_is_written() {
    let erp = Erp::start(|_: &Call| Reply::Answer(200, "text/xml", envelope("")));
    for (sent, words) in [
        ("body = { No = \"{no}\" }\n", "has no part `scan`, which goes beside the envelope"),
        ("body = { body = { No = \"{no}\" }, attachments = { scan = \"{scan}\" } }\n", "`attachments` has no `note`"),
        (&SENT.replace("note =", "nota ="), "no part `nota` beside its envelope"),
    ] {
        let site = site_at(&erp.url(), "wsdl = \"scans.wsdl\"", &format!("{MAPPING}{sent}"));
        site.write("scans.wsdl", WSDL.as_bytes());
        let output = site.run(&["check", "--offline"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(words), "{said}");
    }
}
