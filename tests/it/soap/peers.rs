//! Services of strangers, called.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use tollbridge::adapters::soap::{Leniency, Request, SoapError, Version};

use super::{Door, node, request, spyne, wsse};
use crate::support::soap::SoapServer;

const ORDER: &str = "<Number>7</Number>";

#[tokio::test]
async fn messages_and_faults_of_three_stacks() {
    let (one, two, three) = (SoapServer::spyne(&[]), SoapServer::node(), SoapServer::php());
    let door = Door::to(&one.url("soap11"), "");
    assert!(door.ask(&spyne("GetOrder", ORDER)).await.contains("<tns:Reference>REF-7</tns:Reference>"));
    let missing = "<Number>99</Number>";
    let said = "\"NotFound\", \"OrderNotFound\"] There is no order 99";
    assert_eq!(
        door.fault(&spyne("GetOrder", missing)).await,
        "Client.NotFound [\"OrderNotFound\"] There is no order 99"
    );
    assert_eq!(door.fault(&spyne("Fail", "<Kind>server</Kind>")).await, "Server.Locked [] The database is locked");
    let of_12 = |operation: &str, inner: &str| Request { version: Version::V12, ..spyne(operation, inner) };
    let with_12 = |request: Request| {
        let text = String::from_utf8(request.envelope.to_vec()).unwrap().replace(super::SOAP[0], super::SOAP[1]);
        Request { envelope: Bytes::from(text), ..request }
    };
    let door = Door::to(&one.url("soap12"), "");
    assert!(door.ask(&with_12(of_12("GetOrder", ORDER))).await.contains("REF-7"));
    assert!(door.fault(&with_12(of_12("GetOrder", missing))).await.ends_with(said), "{said}");

    let door = Door::to(&two.url("orders"), "");
    assert!(door.ask(&node("GetOrder", ORDER)).await.contains("<Reference>REF-7</Reference>"));
    assert_eq!(
        door.fault(&node("GetOrder", missing)).await,
        "Client.NotFound [\"OrderNotFound\"] There is no order 99"
    );
    // One way: 202 and nothing.
    let notify = node("Notify", "<Text>hello</Text>");
    assert!(door.call(&notify).await.is_err());
    let answer = door.call(&Request { is_one_way: true, ..notify }).await.unwrap();
    assert!(answer.envelope.is_empty());
    assert_eq!(two.count("notified"), 2);

    let door = Door::to(&three.url("plain"), "");
    let of_php = |operation: &str, inner: &str| {
        request(Version::V11, "x", &format!("<o:{operation} xmlns:o=\"urn:tollbridge:php\">{inner}</o:{operation}>"))
    };
    assert!(door.ask(&of_php("getOrder", "<number>4</number>")).await.contains(">REF-4</reference>"));
    match door.call(&of_php("getOrder", "<number>99</number>")).await {
        Err(SoapError::Fault(fault)) => {
            let detail = String::from_utf8(fault.detail.unwrap().to_vec()).unwrap();
            assert!(
                detail.starts_with("<detail xmlns:") && detail.contains("<wanted xsi:type=\"xsd:string\">99</wanted>"),
                "{detail}"
            );
            assert!(detail.contains("xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\""), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn answers_come_compressed_where_they_may() {
    let (one, two) = (SoapServer::spyne(&[]), SoapServer::node());
    for path in ["gzip", "deflate"] {
        let answer = Door::to(&one.url(path), "").ask(&spyne("ListOrders", "<Limit>25</Limit>")).await;
        assert!(answer.contains("REF-25"), "{answer}");
        let plain =
            Door::to(&one.url(path), "compression = false").ask(&spyne("ListOrders", "<Limit>25</Limit>")).await;
        assert_eq!(plain, answer);
    }
    assert!(Door::to(&two.url("gzip"), "").ask(&node("GetOrder", ORDER)).await.contains("REF-7"));
}

#[tokio::test]
async fn answers_come_in_parts() {
    let server = SoapServer::spyne(&[]);
    let data: Vec<u8> = (0..1000u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let whole = Door::to(&server.url("soap11"), "").ask(&spyne("GetDocument", "<Size>1000</Size>")).await;
    for (path, leniencies) in [("mtom", &[][..]), ("swa", &[]), ("quiet", &[Leniency::Parts])] {
        let door = Door::to(&server.url(path), "");
        let answer = door.call(&spyne("GetDocument", "<Size>1000</Size>")).await.unwrap();
        assert_eq!(answer.leniencies, leniencies, "{path}");
        assert_eq!(answer.parts.len(), 1);
        assert_eq!(&answer.parts.get("cid:part%2B1%40orders.example").unwrap().content[..], data, "{path}");
        let inlined = String::from_utf8(answer.inlined(1 << 20).unwrap().to_vec()).unwrap();
        let value = |text: &str| {
            text.split_once("Result").unwrap().1.split_once('>').unwrap().1.split_once("</").unwrap().0.to_owned()
        };
        assert_eq!(value(&inlined), value(&whole), "{path}");
    }
}

#[tokio::test]
async fn accounts_of_http() {
    let server = SoapServer::spyne(&[]);
    let question = spyne("GetOrder", ORDER);
    let basic = "basic = { username = \"svc\", password = { file = \"password\" } }";
    assert!(Door::to(&server.url("basic"), basic).ask(&question).await.contains("REF-7"));
    let door = Door::to(&server.url("basic"), "");
    assert!(matches!(door.call(&question).await, Err(SoapError::Denied { status: 401, .. })));
    let door = Door::to(&server.url("bearer"), "bearer = { file = \"token\" }");
    assert!(matches!(door.call(&question).await, Err(SoapError::Secret(_))));
    std::fs::write(door.folder.path().join("token"), "bearer-1\n").unwrap();
    assert!(door.ask(&question).await.contains("REF-7"));
}

#[tokio::test]
async fn username_tokens() {
    let (one, two, three) = (SoapServer::spyne(&[]), SoapServer::node(), SoapServer::php());
    let secured = one.url("secured");
    let question = spyne("GetOrder", ORDER);
    for more in [
        "",
        ", digest = true",
        ", nonce = true",
        ", created = true",
        ", nonce = true, created = true, timestamp = \"5m\"",
        ", digest = true, nonce = false",
        ", digest = true, created = false",
    ] {
        let door = Door::to(&secured, &wsse(more));
        // A nonce twice is refused: each call has another.
        for _ in 0..2 {
            assert!(door.ask(&question).await.contains("REF-7"), "{more}");
        }
    }
    assert_eq!(Door::to(&secured, "").fault(&question).await, "InvalidSecurity [] No UsernameToken");
    let door = Door::to(&secured, &wsse(", digest = true"));
    std::fs::write(door.folder.path().join("password"), "wrong").unwrap();
    assert_eq!(door.fault(&question).await, "FailedAuthentication [] The password is wrong");

    let question = node("GetOrder", ORDER);
    for more in ["", ", digest = true", ", must_understand = true"] {
        assert!(Door::to(&two.url("secured"), &wsse(more)).ask(&question).await.contains("REF-7"), "{more}");
    }
    // Status 401 and a fault of 1.2 in an envelope of 1.1.
    match Door::to(&two.url("secured"), "").call(&question).await {
        Err(SoapError::Fault(fault)) => {
            assert_eq!(
                (fault.status, fault.code.as_str(), fault.subcodes.as_slice()),
                (401, "Client", &["AuthenticationFailure".to_owned()][..])
            );
        }
        other => panic!("{other:?}"),
    }
    let question =
        request(Version::V11, "x", "<o:getOrder xmlns:o=\"urn:tollbridge:php\"><number>4</number></o:getOrder>");
    let door = Door::to(&three.url("secured"), &wsse(", must_understand = true"));
    assert!(door.ask(&question).await.contains("REF-4"));
    std::fs::write(door.folder.path().join("password"), "wrong").unwrap();
    let said = door.fault(&question).await;
    assert!(said.starts_with("FailedAuthentication ") && said.ends_with(" The password is wrong"), "{said}");
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_counted_in() {
    let server = SoapServer::spyne(&["--skew", "600"]);
    let question = spyne("GetOrder", ORDER);
    let door = Door::to(&server.url("secured"), &wsse(", digest = true"));
    assert!(door.fault(&question).await.starts_with("MessageExpired"));
    let door = Door::to(&server.url("secured"), &wsse(", digest = true, clock_offset = \"10m\""));
    assert!(door.ask(&question).await.contains("REF-7"));
}

/// An authority, a server's certificate and ours, and one of ours that is over.
pub(super) fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        let made = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -days 9 -keyout ca.key -out ca.pem -subj /CN=authority");
    std::fs::write(folder.join("server.ext"), "subjectAltName=IP:127.0.0.1").unwrap();
    std::fs::write(folder.join("client.ext"), "extendedKeyUsage=clientAuth").unwrap();
    for (name, ext, more) in
        [("server", "server", "-days 9"), ("client", "client", "-days 9"), ("old", "client", "-days -1")]
    {
        openssl(&format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile {ext}.ext {more} -out {name}.pem"
        ));
    }
}

#[tokio::test]
async fn certificates_of_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let server = SoapServer::spyne(&[
        "--cert",
        &file("server.pem"),
        "--key",
        &file("server.key"),
        "--client-ca",
        &file("ca.pem"),
    ]);
    let question = spyne("GetOrder", ORDER);
    let ca = format!("ca = \"{}\"\n", file("ca.pem"));
    let of = |name: &str| {
        format!(
            "{ca}mtls = {{ certificate = \"{}\", key = {{ file = \"{}\" }} }}",
            file(&format!("{name}.pem")),
            file(&format!("{name}.key"))
        )
    };
    let door = Door::to(&server.url("soap11"), &of("client"));
    assert!(door.ask(&question).await.contains("REF-7"));
    let found = door.service.diagnose(&door.permit().await).await;
    assert!(found.iter().all(|finding| finding.is_well), "{found:?}");

    // Whom the server does not take has not been heard: the call has not begun.
    let door = Door::to(&server.url("soap11"), &ca);
    let refused = door.call(&question).await.unwrap_err();
    assert!(refused.was_not_begun(), "{refused:?}");
    let found = door.service.diagnose(&door.permit().await).await;
    let last = found.last().unwrap();
    assert!(last.remedy.as_ref().is_some_and(|remedy| remedy.contains("`mtls`")), "{found:?}");
    let door = Door::to(&server.url("soap11"), &of("old"));
    assert!(door.call(&question).await.unwrap_err().was_not_begun());
    let found = door.service.diagnose(&door.permit().await).await;
    assert_eq!((found[0].step, found[0].is_well), ("certificate", false));
    assert!(found[0].said.contains("`mtls` has expired on"), "{found:?}");
    // The name is another than the certificate's.
    let door = Door::to(&server.url("soap11").replace("127.0.0.1", "localhost"), &of("client"));
    let found = door.service.diagnose(&door.permit().await).await;
    let last = found.last().unwrap();
    assert!(last.step == "tls" && last.said.contains("another name"), "{found:?}");
    assert_eq!(server.count_by(&file("client.pem"), &file("client.key"), "calls"), 1);
}

#[tokio::test]
async fn what_keeps_us_out_is_told() {
    async fn last(url: &str, lines: &str, password: Option<&str>) -> (String, String) {
        let door = Door::to(url, lines);
        if let Some(password) = password {
            std::fs::write(door.folder.path().join("password"), password).unwrap();
        }
        let found = door.service.diagnose(&door.permit().await).await;
        let last = found.last().unwrap();
        (format!("{}: {}", last.step, last.said), last.remedy.clone().unwrap_or_default())
    }
    let server = SoapServer::spyne(&[]);
    let secured = server.url("secured");
    let (said, _) = last(&secured, &wsse(", digest = true"), None).await;
    assert_eq!(said, "login: it says nothing against our WS-Security header");
    let (said, remedy) = last(&secured, &wsse(", digest = true"), Some("wrong")).await;
    assert!(
        said.starts_with("login: it does not take our account (FailedAuthentication")
            && remedy.contains("wsse.password"),
        "{said}"
    );
    let (said, remedy) = last(&secured, &wsse(", digest = true, clock_offset = \"-10m\""), None).await;
    let is_clock = said.starts_with("clock: its clock is ") && said.contains("s ahead of ours");
    assert!(is_clock && remedy.contains("wsse.clock_offset = \"") && !remedy.contains("-"), "{said} {remedy}");
    let (said, remedy) = last(&secured, &wsse(", nonce = true"), Some("")).await;
    assert!(said.starts_with("secret: ") && !remedy.is_empty(), "{said}");
    // Its `Date` is right, and all the same it thinks otherwise.
    let skewed = SoapServer::spyne(&["--skew", "900"]);
    let (said, remedy) = last(&skewed.url("secured"), &wsse(", digest = true"), None).await;
    assert!(said.starts_with("login: it takes our message for outdated") && remedy.contains("clock_offset"), "{said}");
}
