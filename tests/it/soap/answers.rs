//! What services answer, whatever they should.

use tollbridge::adapters::soap::{Answer, Leniency, Request, SoapError, Version};

use super::raw::{Raw, Say, http, xml};
use super::{Door, request};

const MESSAGE: &str =
    "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><r>\u{e4}</r></s:Body></s:Envelope>";

fn question() -> Request {
    request(Version::V11, "urn:op", "<q/>")
}

async fn told(bytes: Vec<u8>) -> Result<Answer, SoapError> {
    let raw = Raw::saying(Say::Bytes(bytes));
    let door = Door::to(&raw.url(), "timeout = \"5s\"\nlate = \"0s\"\nmax_answer_mib = 1");
    let answer = door.call(&question()).await;
    door.rests().await;
    answer
}

async fn message(bytes: Vec<u8>, leniencies: &[Leniency]) {
    let answer = told(bytes).await.unwrap();
    assert_eq!(std::str::from_utf8(&answer.envelope).unwrap(), MESSAGE);
    assert_eq!(answer.leniencies, leniencies);
}

#[tokio::test]
async fn messages_whatever_is_around_them() {
    let kind = "Content-Type: text/xml\r\n";
    message(http("200 OK", kind, MESSAGE.as_bytes()), &[]).await;
    message(http("500 Internal Server Error", kind, MESSAGE.as_bytes()), &[Leniency::Status]).await;
    message(http("200 OK", "Content-Type: text/html\r\n", MESSAGE.as_bytes()), &[Leniency::ContentType]).await;
    message(http("200 OK", "", MESSAGE.as_bytes()), &[Leniency::ContentType]).await;
    message(http("200 OK", "Content-Type: Text/XML ;charset=utf-8\r\n", MESSAGE.as_bytes()), &[]).await;
    let junk = format!(
        "<br />\n<b>Warning</b>: session in <b>x.php</b>\n<?xml version=\"1.0\"?>{MESSAGE}\n<!-- cached -->bye"
    );
    message(http("200 OK", kind, junk.as_bytes()), &[Leniency::Junk]).await;
    // In Latin-1 by HTTP, by the declaration; and UTF-8 that says to be Latin-1.
    let latin = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<u8>>();
    message(http("200 OK", "Content-Type: text/xml; charset=ISO-8859-1\r\n", &latin(MESSAGE)), &[]).await;
    let declared = format!("<?xml version='1.0' encoding='ISO-8859-1'?>{MESSAGE}");
    message(http("200 OK", kind, &latin(&declared)), &[]).await;
    message(
        http("200 OK", "Content-Type: text/xml; charset=\"iso-8859-1\"\r\n", MESSAGE.as_bytes()),
        &[Leniency::Encoding],
    )
    .await;
    let wide: Vec<u8> = format!("\u{feff}{MESSAGE}").encode_utf16().flat_map(u16::to_be_bytes).collect();
    message(http("200 OK", kind, &wide), &[]).await;
    // In chunks, and until the connection is closed.
    let chunks = format!(
        "HTTP/1.1 200 OK\r\n{kind}Transfer-Encoding: chunked\r\n\r\n5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        &MESSAGE[..5],
        MESSAGE.len() - 5,
        &MESSAGE[5..]
    );
    message(chunks.into_bytes(), &[]).await;
    message(format!("HTTP/1.0 200 OK\r\n{kind}\r\n{MESSAGE}").into_bytes(), &[]).await;
}

#[tokio::test]
async fn faults_whatever_their_status() {
    let fault = "<?xml version='1.0'?><s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' xmlns:o='urn:o'><s:Body><s:Fault>\
                 <s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>o:Late</s:Value></s:Subcode></s:Code><s:Reason><s:Text \
                 xml:lang='de'>Zu sp\u{e4}t</s:Text><s:Text xml:lang='en'>Too late</s:Text></s:Reason><s:Detail><o:Late \
                 days='3'/></s:Detail></s:Fault></s:Body></s:Envelope>";
    for status in ["200 OK", "500 Internal Server Error", "400 Bad Request", "401 Unauthorized"] {
        match told(http(status, "Content-Type: text/html\r\n", fault.as_bytes())).await {
            Err(SoapError::Fault(fault)) => {
                assert_eq!(
                    (fault.version, fault.code.as_str(), fault.reason.as_str()),
                    (Version::V12, "Sender", "Too late")
                );
                assert_eq!(fault.subcodes, ["Late"]);
                assert_eq!(fault.status.to_string(), status[..3]);
                let detail = "<s:Detail xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:o=\"urn:o\"><o:Late days='3'/></s:Detail>";
                assert_eq!(fault.detail.as_deref(), Some(detail.as_bytes()));
                let is_odd = (status == "200 OK").then_some(Leniency::FaultStatus);
                let odd = [is_odd, Some(Leniency::ContentType), Some(Leniency::Version)];
                assert_eq!(fault.leniencies, odd.into_iter().flatten().collect::<Vec<_>>(), "{status}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Each SOAP has a content type of its own.
#[tokio::test]
async fn the_content_type_is_that_of_the_soap() {
    let newer = MESSAGE.replace("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope");
    for (body, kind, leniencies) in [
        (MESSAGE, "text/xml", &[][..]),
        (MESSAGE, "application/soap+xml", &[Leniency::ContentType]),
        (MESSAGE, "application/xml", &[Leniency::ContentType]),
        (&newer, "application/soap+xml; charset=utf-8; action=\"urn:x\"", &[Leniency::Version]),
        (&newer, "text/xml", &[Leniency::ContentType, Leniency::Version]),
    ] {
        let answer = told(http("200 OK", &format!("Content-Type: {kind}\r\n"), body.as_bytes())).await.unwrap();
        assert_eq!(answer.leniencies, leniencies, "{kind} {body}");
    }
}

/// An answer is of the SOAP that was sent; whoever does not know that may say so in the other.
#[tokio::test]
async fn an_answer_of_the_other_soap_is_counted_and_refused_where_that_is_wanted() {
    let (older, newer) = ("http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope");
    let fault = |code: &str| {
        format!(
            "<s:Envelope xmlns:s='{older}'><s:Body><s:Fault><faultcode>s:{code}</faultcode><faultstring>no</faultstring>\
             </s:Fault></s:Body></s:Envelope>"
        )
    };
    for (asked, said) in [(Version::V11, newer), (Version::V12, older)] {
        let kind = if said == older { "text/xml" } else { "application/soap+xml" };
        let bytes = http("200 OK", &format!("Content-Type: {kind}\r\n"), MESSAGE.replace(older, said).as_bytes());
        let raw = Raw::saying(Say::Bytes(bytes));
        let door = Door::to(&raw.url(), "");
        let question = request(asked, "urn:op", "<q/>");
        let answer = door.call(&question).await.unwrap();
        assert_eq!(answer.leniencies, [Leniency::Version]);
        let streamed = door.service.stream(door.permit().await, question.clone()).await.map(|read| read.leniencies);
        assert_eq!(streamed.unwrap(), [Leniency::Version]);
        let strict = Request { is_strict: true, ..question };
        let told = door.call(&strict).await.unwrap_err().to_string();
        let words = if asked == Version::V11 { "it is of SOAP 1.2, and what was" } else { "it is of SOAP 1.1, and" };
        assert!(told.contains("`strict`") && told.contains(words), "{told}");
    }
    for (code, leniencies) in [("VersionMismatch", &[][..]), ("Server", &[Leniency::Version])] {
        let raw = Raw::saying(Say::Bytes(http("500 No", "Content-Type: text/xml\r\n", fault(code).as_bytes())));
        match Door::to(&raw.url(), "").call(&request(Version::V12, "urn:op", "<q/>")).await {
            Err(SoapError::Fault(fault)) => assert_eq!(fault.leniencies, leniencies, "{code}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn everything_else_is_named() {
    async fn check(bytes: Vec<u8>, words: &str) {
        let said = told(bytes).await.unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
    let page = b"<!DOCTYPE html><html><body>Login: <input name='password' value='x'></body></html>";
    check(http("200 OK", "Content-Type: text/html\r\n", page), "DOCTYPE").await;
    check(http("503 Busy", "", b"<html><body>busy</body></html>"), "status 503 and a page of HTML").await;
    check(http("500 Oops", "", b""), "status 500 and an empty body").await;
    check(http("403 No", "", b""), "does not take our account (status 403)").await;
    check(http("200 OK", "", MESSAGE.replace("s:Body>", "s:Header>").as_bytes()), "without a body").await;
    let bomb = format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{MESSAGE}");
    check(http("200 OK", "", bomb.as_bytes()), "DOCTYPE").await;
    // Nobody is followed.
    check(http("302 Found", "Location: http://127.0.0.1:1/other\r\n", b""), "status 302").await;
    check(http("200 OK", "Content-Encoding: br\r\n", b"x"), "compressed by `br`").await;
    check(http("200 OK", "Content-Encoding: gzip\r\n", &[0x1f, 0x8b, 8, 0, 1, 2]), "cannot be unpacked").await;
    // A few bytes that become many.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        std::io::Write::write_all(&mut gzip, &vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    for fields in ["Content-Encoding: gzip\r\n", ""] {
        check(http("200 OK", fields, &bomb), "more than 1048576 bytes").await;
    }
    check(http("200 OK", "", &vec![b' '; 2 << 20]), "more than 1048576 bytes").await;
    let half = http("200 OK", "", MESSAGE.as_bytes());
    check(half[..half.len() - 20].to_vec(), "broke off").await;
}

#[tokio::test]
async fn a_call_with_one_way_is_over_when_it_was_taken() {
    let one_way = Request { is_one_way: true, ..question() };
    for (bytes, is_well) in [
        (http("202 Accepted", "", b""), true),
        (http("202 Accepted", "", b"queued"), true),
        (http("200 OK", "", b" \r\n"), true),
        (http("204 No Content", "", b""), true),
        (http("200 OK", "", MESSAGE.as_bytes()), true),
        (http("200 OK", "", b"<html>Error</html>"), false),
        (http("500 Oops", "", b""), false),
    ] {
        let raw = Raw::saying(Say::Bytes(bytes.clone()));
        let answer = Door::to(&raw.url(), "").call(&one_way).await;
        assert_eq!(answer.is_ok(), is_well, "{}: {answer:?}", String::from_utf8_lossy(&bytes));
    }
    // Nothing is no answer where one is due.
    assert!(told(http("202 Accepted", "", b"")).await.is_err());
}

/// Parts that break off anywhere, in an HTTP that says that they are whole, and in one that does not.
#[tokio::test]
async fn parts_that_break_off_are_no_answer() {
    let package = format!(
        "--b\r\nContent-Type: application/xop+xml\r\nContent-ID: <r>\r\n\r\n{}\r\n--b\r\nContent-ID: <p>\r\n\r\n\
         bytes\r\n--b--\r\n",
        MESSAGE.replace(
            "<r>\u{e4}</r>",
            "<r><x:Include xmlns:x='http://www.w3.org/2004/08/xop/include' href='cid:p'/></r>"
        )
    );
    let kind = "Content-Type: multipart/related; type=\"application/xop+xml\"; start=\"<r>\"; boundary=b\r\n";
    let answer = told(http("200 OK", kind, package.as_bytes())).await.unwrap();
    let whole = String::from_utf8(answer.inlined(1 << 20).unwrap().to_vec()).unwrap();
    assert!(whole.contains("<r>Ynl0ZXM=</r>") && answer.leniencies.is_empty(), "{whole} {:?}", answer.leniencies);
    let end = package.len() - 2;
    for length in (1..20).map(|at| at * end / 20).chain([end - 7, end - 2, end - 1]) {
        let half = &package.as_bytes()[..length];
        let error = told(http("200 OK", kind, half)).await.unwrap_err();
        assert!(matches!(error, SoapError::NoEnvelope { .. }), "{length}: {error:?}");
        let mut cut = http("200 OK", kind, package.as_bytes());
        cut.truncate(cut.len() - package.len() + length);
        let error = told(cut).await.unwrap_err();
        assert!(matches!(error, SoapError::Cut { .. }), "{length}: {error:?}");
    }
    // A boundary that is not the one is no announcement.
    let kind = kind.replace("boundary=b", "boundary=other");
    let answer = told(http("200 OK", &kind, package.as_bytes())).await.unwrap();
    assert_eq!((answer.parts.len(), answer.leniencies), (1, vec![Leniency::Parts]));
    // What the part with the envelope says to be counts, as it does of an answer in one piece.
    for (said, odd) in [("text/xml", false), ("application/soap+xml", true), ("text/html", true)] {
        let package = package.replace("application/xop+xml\r\nContent-ID: <r>", &format!("{said}\r\nContent-ID: <r>"));
        let kind = "Content-Type: multipart/related; start=\"<r>\"; boundary=b\r\n";
        let answer = told(http("200 OK", kind, package.as_bytes())).await.unwrap();
        assert_eq!(answer.leniencies, if odd { vec![Leniency::ContentType] } else { Vec::new() }, "{said}");
    }
    // A body that says to be shorter than it is breaks off, one that says to be longer does not come to its end.
    let shorter = format!("HTTP/1.1 200 OK\r\n{kind}Content-Length: 100\r\nConnection: close\r\n\r\n{package}");
    assert!(matches!(told(shorter.into_bytes()).await, Err(SoapError::NoEnvelope { .. })));
    let longer = format!("HTTP/1.1 200 OK\r\n{kind}Content-Length: 99999\r\nConnection: close\r\n\r\n{package}");
    assert!(matches!(told(longer.into_bytes()).await, Err(SoapError::Cut { .. })));
    let both = format!("HTTP/1.1 200 OK\r\n{kind}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{package}");
    assert!(matches!(told(both.into_bytes()).await, Err(SoapError::Cut { .. })));
}

/// Whoever is moved is not followed, and our account goes nowhere else.
#[tokio::test]
async fn a_call_is_not_moved_to_another_host() {
    let other = Raw::saying(xml(MESSAGE));
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("Location: {}\r\n", other.url());
        let moves = Raw::saying(Say::Bytes(http(status, &location, b"")));
        let door = Door::to(&moves.url(), "basic = { username = \"svc\", password = { file = \"password\" } }");
        let told = door.call(&question()).await.unwrap_err().to_string();
        assert!(told.contains(&format!("status {}", &status[..3])), "{told}");
        assert_eq!(moves.requests().len(), 1);
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn what_an_answer_repeats_of_our_credentials_is_masked() {
    let raw = Raw::start(|_, request| {
        let header = request.split_once("<s:Header>").unwrap().1.split_once("</s:Header>").unwrap().0;
        xml(&MESSAGE.replace("<s:Body>", &format!("<s:Header>{header}</s:Header><s:Body>")))
    });
    let door = Door::to(&raw.url(), &super::wsse(""));
    let answer = door.ask(&question()).await;
    assert!(answer.contains(">svc</wsse:Username>") && answer.contains(">***</wsse:Password>"), "{answer}");
    // Nor is it in one that is read while it comes.
    let mut streamed = door.service.stream(door.permit().await, question()).await.unwrap();
    let mut text = Vec::new();
    while let Some(piece) = streamed.next().await {
        text.extend_from_slice(&piece.unwrap());
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(">***</wsse:Password>") && !text.contains("s3cret") && text.contains("<r>"), "{text}");
    let sent = &raw.requests()[0];
    assert!(sent.contains("s3cret &amp; &lt;safe&gt;"), "{sent}");
    let shown = door.service.shown(sent);
    assert!(!shown.contains("s3cret") && shown.contains("<q/>"), "{shown}");
}

#[tokio::test]
async fn addresses_are_written_into_the_header() {
    let raw = Raw::saying(xml(MESSAGE));
    let door = Door::to(&raw.url(), "addressing = true");
    door.ask(&question()).await;
    let sent = raw.requests().remove(0);
    let endpoint = raw.url();
    for part in [
        format!("<wsa:To xmlns:wsa=\"http://www.w3.org/2005/08/addressing\">{endpoint}</wsa:To>"),
        ">urn:op</wsa:Action>".to_owned(),
        ">urn:uuid:".to_owned(),
        "<wsa:Address>http://www.w3.org/2005/08/addressing/anonymous</wsa:Address>".to_owned(),
    ] {
        assert!(sent.contains(&part), "no {part} in {sent}");
    }
    assert!(sent.ends_with("</s:Header><s:Body><q/></s:Body></s:Envelope>"), "{sent}");
    // What it calls the operation otherwise than SOAP does.
    door.ask(&Request { addressing_action: "urn:x&y".into(), ..question() }).await;
    let sent = raw.requests().remove(1);
    assert!(sent.contains(">urn:x&amp;y</wsa:Action>") && sent.contains("\"urn:op\""), "{sent}");
}
