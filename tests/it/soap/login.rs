//! Sessions and tokens: begun once for all, begun once more when they are over, and never past the cap.

use std::sync::Arc;
use std::time::Duration;

use tollbridge::adapters::soap::{Request, SoapError};

use super::raw::{Raw, Say, http};
use super::{Door, node, settings, spyne};
use crate::support::soap::{PASSWORD, SoapServer};

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// Logging in to spyne's service; its token goes where `carrier` says.
fn session(carrier: &str) -> String {
    format!(
        "session = {{ envelope = \"\"\"<s:Envelope xmlns:s='{SOAP}'><s:Body><Login xmlns='urn:tollbridge:orders'>\
         <User>{{username}}</User><Password>{{password}}</Password></Login></s:Body></s:Envelope>\"\"\", operation = \"Login\", \
         username = \"svc\", password = {{ file = \"password\" }}, token = \"LoginResult\", {carrier}, \
         expired = [\"SessionExpired\"] }}"
    )
}

const BLOCK: &str = "element = \"<o:Session xmlns:o='urn:tollbridge:orders'><o:Token>{token}</o:Token></o:Session>\"";

fn question() -> Request {
    spyne("GetOrder", "<Number>7</Number>")
}

#[tokio::test]
async fn a_session_is_begun_once_and_once_more_when_it_is_over() {
    for carrier in [BLOCK, "header = \"X-Session\""] {
        let server = SoapServer::spyne(&["--token-calls", "3"]);
        let door = Door::to(&server.url("session"), &session(carrier));
        for _ in 0..7 {
            assert!(door.ask(&question()).await.contains("REF-7"));
        }
        // Three calls a session.
        assert_eq!(server.count("logins"), 3, "{carrier}");
        // Logins and refused calls are calls as well.
        assert_eq!(server.count("calls"), 7 + 3 + 2);
        door.rests().await;
    }
}

#[tokio::test]
async fn cookies_carry_a_session() {
    let server = SoapServer::node();
    let lines = format!(
        "session = {{ envelope = \"\"\"<s:Envelope xmlns:s='{SOAP}'><s:Body><Login xmlns='urn:tollbridge:node'>\
         <User>{{username}}</User><Password>{{password}}</Password></Login></s:Body></s:Envelope>\"\"\", \
         operation = \"urn:tollbridge:node/Login\", username = \"svc\", password = {{ file = \"password\" }} }}"
    );
    let door = Door::to(&server.url("session"), &lines);
    for _ in 0..7 {
        assert!(door.ask(&node("GetOrder", "<Number>7</Number>")).await.contains("REF-7"));
    }
    assert_eq!(server.count("logins"), 3);
    // Without it nobody is let in.
    let refused = Door::to(&server.url("session"), "").call(&node("GetOrder", "<Number>7</Number>")).await;
    assert!(matches!(refused, Err(SoapError::Denied { status: 401, .. })), "{refused:?}");
}

/// Everybody's session ends at once, again and again: no more calls than the cap are ever at the service, logins among
/// them, and each end costs one login.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_logins_stays_under_the_cap() {
    let server = SoapServer::spyne(&["--token-calls", "10"]);
    let door = Arc::new(Door::with_cap(&server.url("session"), &session(BLOCK), 4));
    let calls: Vec<_> = (0..60)
        .map(|_| {
            let door = Arc::clone(&door);
            tokio::spawn(async move { door.call(&spyne("Slow", "<Millis>20</Millis>")).await })
        })
        .collect();
    let mut expired = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => {}
            // A second session may be used up by others before its turn has come.
            Err(SoapError::Fault(fault)) if fault.code == "SessionExpired" => expired += 1,
            Err(error) => panic!("{error}"),
        }
    }
    door.rests().await;
    let (most, logins, calls) = (server.count("most"), server.count("logins"), server.count("calls"));
    assert!(most <= 4, "{most} calls at once");
    assert!((6..=18).contains(&logins), "{logins} logins");
    assert!(expired <= 6, "{expired} calls found their second session used up");
    assert!(calls <= 60 * 2 + logins, "{calls} calls");
    assert!(door.gate.status().high_water <= 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_tried_once_for_all_who_wait() {
    let server = SoapServer::spyne(&[]);
    let door = Arc::new(Door::with_cap(&server.url("session"), &session(BLOCK), 8));
    std::fs::write(door.folder.path().join("password"), "wrong").unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let door = Arc::clone(&door);
            tokio::spawn(async move { door.call(&question()).await })
        })
        .collect();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(
            matches!(error, SoapError::Login { .. }) && error.to_string().contains("Wrong user or password"),
            "{error}"
        );
    }
    assert_eq!((server.count("logins"), server.count("calls")), (1, 1));
    door.rests().await;
    // Nor is it by who comes later: the service may lock an account that is tried again and again.
    let told = door.call(&question()).await.unwrap_err().to_string();
    assert!(told.contains("so that the account is not locked, logging in is not tried for"), "{told}");
    assert!(door.service.refused_until().is_some());
    assert_eq!(server.count("logins"), 1);
    // Another password is tried at once.
    std::fs::write(door.folder.path().join("password"), PASSWORD).unwrap();
    assert!(door.ask(&question()).await.contains("REF-7"));
    assert_eq!((server.count("logins"), door.service.refused_until()), (2, None));
}

/// What is no word on the account is tried again before long.
#[tokio::test]
async fn a_login_that_nobody_has_judged_is_no_refusal() {
    for say in [
        Say::Bytes(http("503 Busy", "", b"<html>maintenance</html>")),
        Say::Bytes(http("502 Bad Gateway", "Content-Type: text/xml\r\n", fault("Server").as_bytes())),
        Say::Bytes(http("503 Busy", "Content-Type: text/xml\r\n", fault("Server").as_bytes())),
        Say::Bytes(Vec::new()),
    ] {
        let service = Raw::saying(say.clone());
        let door = Door::to(&service.url(), &session(BLOCK));
        assert!(door.call(&question()).await.is_err());
        assert_eq!((service.requests().len(), door.service.refused_until()), (1, None), "{say:?}");
    }
    for say in [
        Say::Bytes(http("500 No", "Content-Type: text/xml\r\n", fault("Server").as_bytes())),
        Say::Bytes(http("401 Unauthorized", "", b"<html>who?</html>")),
        // Many a service says so by an answer.
        Say::Bytes(http(
            "200 OK",
            "Content-Type: text/xml\r\n",
            "<s:Envelope xmlns:s='SOAP'><s:Body><LoginResponse><LoginResult/></LoginResponse></s:Body></s:Envelope>"
                .replace("SOAP", SOAP)
                .as_bytes(),
        )),
    ] {
        let service = Raw::saying(say.clone());
        let door = Door::to(&service.url(), &session(BLOCK));
        for _ in 0..3 {
            assert!(matches!(door.call(&question()).await, Err(SoapError::Login { .. })));
        }
        assert!(door.service.refused_until().is_some(), "{say:?}");
        assert_eq!(service.requests().len(), 1, "{say:?}");
    }
}

fn fault(code: &str) -> String {
    format!(
        "<s:Envelope xmlns:s='{SOAP}'><s:Body><s:Fault><faultcode>s:{code}</faultcode><faultstring>no</faultstring></s:Fault>\
         </s:Body></s:Envelope>"
    )
}

/// A block of SOAP's header that is the service's own, as services of .NET want it.
#[tokio::test]
async fn an_account_goes_in_a_block_of_the_header() {
    let echo = format!(
        "<s:Envelope xmlns:s='{SOAP}'><s:Header><a:Auth xmlns:a='urn:a'><a:Pin>s3cret &amp; &lt;safe></a:Pin></a:Auth></s:Header>\
         <s:Body><r><Pin>7</Pin></r></s:Body></s:Envelope>"
    );
    let service = Raw::saying(Say::Bytes(http("200 OK", "Content-Type: text/xml\r\n", echo.as_bytes())));
    let account = "account = { element = \"<a:Auth xmlns:a='urn:a' user='{username}'><a:Pin>{password}</a:Pin></a:Auth>\", \
        username = \"a&b\", password = { file = \"password\" } }";
    let door = Door::to(&service.url(), account);
    let answer = door.ask(&question()).await;
    let sent = service.requests().remove(0);
    let header = sent.split_once("Header>").unwrap().1;
    assert!(
        header
            .starts_with("<a:Auth xmlns:a='urn:a' user='a&amp;b'><a:Pin>s3cret &amp; &lt;safe&gt;</a:Pin></a:Auth></"),
        "{sent}"
    );
    // What it repeats of it is not kept; what is data is.
    assert!(!answer.contains("s3cret") && answer.contains("<Pin>7</Pin>"), "{answer}");
    assert!(!door.service.shown(&sent).contains("s3cret"));
    let folder = tempfile::tempdir().unwrap();
    for (written, words) in [
        ("<A><Password>literal</Password><Pin>{password}</Pin></A>", "a secret is written out in it"),
        ("<A>{username}</A>", "no place for the `{password}`"),
        ("<A>{password}", "it is no XML"),
        ("{password}", "it is no XML"),
        ("<A>{pasword}</A>", "a brace that belongs to none of"),
    ] {
        let account = format!("account = {{ element = \"{written}\", password = {{ env = \"X\" }} }}");
        let told = settings(&format!("endpoint = \"http://erp/x\"\n{account}\n"), folder.path()).unwrap_err();
        assert!(told.contains(words), "{written}: {told}");
    }
}

#[tokio::test]
async fn ways_that_are_not_spoken_are_named() {
    for (fields, is_named) in [
        ("WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n", true),
        ("WWW-Authenticate: NTLM TlRMTVNTUAAC\r\n", true),
        ("WWW-Authenticate: NTLM\r\nWWW-Authenticate: Basic realm=\"x\"\r\n", false),
        ("", false),
    ] {
        let service = Raw::saying(Say::Bytes(http("401 Unauthorized", fields, b"")));
        let door = Door::to(&service.url(), "");
        let doubts = door.service.probe(&door.permit().await).await.unwrap();
        assert_eq!(
            doubts[0].contains("wants a Windows account: give it one by `ntlm`"),
            is_named,
            "{fields} {doubts:?}"
        );
    }
}

#[tokio::test]
async fn a_login_without_a_token_is_none() {
    let bad = session(BLOCK).replace("LoginResult", "Ticket");
    let server = SoapServer::spyne(&[]);
    let error = Door::to(&server.url("session"), &bad).call(&question()).await.unwrap_err();
    assert!(error.to_string().contains("no element `Ticket`"), "{error}");
}

/// A server that gives tokens t0, t1, ...; a service that takes one of them.
fn tokens(expires: &str) -> Raw {
    let expires = expires.to_owned();
    Raw::start(move |number, _| {
        let body = format!("{{\"access_token\":\"t{number}\",\"token_type\":\"Bearer\"{expires}}}");
        Say::Bytes(http("200 OK", "Content-Type: application/json\r\n", body.as_bytes()))
    })
}

fn takes(token: &'static str) -> Raw {
    let good = format!("<s:Envelope xmlns:s='{SOAP}'><s:Body><r/></s:Body></s:Envelope>");
    Raw::start(move |_, request| {
        match request.to_ascii_lowercase().contains(&format!("authorization: bearer {token}\r\n")) {
            true => Say::Bytes(http("200 OK", "Content-Type: text/xml\r\n", good.as_bytes())),
            false => Say::Bytes(http("401 Unauthorized", "", b"who?")),
        }
    })
}

fn oauth(giver: &Raw, more: &str) -> String {
    format!(
        "oauth2 = {{ token_url = \"{}\", client_id = \"tb:1\", client_secret = {{ file = \"password\" }}, scope = \"a b\"{more} }}",
        giver.url()
    )
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_once_more_after_401() {
    let (giver, service) = (tokens(", \"expires_in\": 3600"), takes("t0"));
    let door = Door::to(&service.url(), &oauth(&giver, ""));
    for _ in 0..3 {
        door.call(&question()).await.unwrap();
    }
    assert_eq!((giver.requests().len(), service.requests().len()), (1, 3));
    let asked = giver.requests().remove(0).to_ascii_lowercase();
    // Python: base64(quote("tb:1", "") + ":" + quote("s3cret & <safe>", ""))
    assert!(
        asked.contains(&"authorization: basic dGIlM0ExOnMzY3JldCUyMCUyNiUyMCUzQ3NhZmUlM0U=".to_ascii_lowercase()),
        "{asked}"
    );
    assert!(asked.ends_with("grant_type=client_credentials&scope=a%20b"), "{asked}");

    // The first is taken no more: another is asked for, once.
    let (giver, service) = (tokens(""), takes("t1"));
    let door = Door::to(&service.url(), &oauth(&giver, ", client = \"body\", audience = \"erp\""));
    door.call(&question()).await.unwrap();
    assert_eq!((giver.requests().len(), service.requests().len()), (2, 2));
    assert!(giver.requests()[0].ends_with("&audience=erp&client_id=tb%3A1&client_secret=s3cret%20%26%20%3Csafe%3E"));
    let service = takes("t9");
    let door = Door::to(&service.url(), &oauth(&giver, ""));
    assert!(matches!(door.call(&question()).await, Err(SoapError::Denied { status: 401, .. })));
    assert_eq!(service.requests().len(), 2);

    // What is over by its own word is not sent any more.
    let (giver, service) = (tokens(", \"expires_in\": \"0\""), takes("t1"));
    let door = Door::to(&service.url(), &oauth(&giver, ""));
    assert!(door.call(&question()).await.is_ok());
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test]
async fn a_token_that_is_not_given_is_told() {
    async fn check(say: Say, words: &str) {
        let (giver, service) = (Raw::saying(say), takes("t0"));
        let door = Door::to(&service.url(), &oauth(&giver, ", timeout = \"300ms\""));
        let error = door.call(&question()).await.unwrap_err();
        assert!(matches!(error, SoapError::Login { .. }) && error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains(PASSWORD));
        // The backend was not asked, and its gate knows that.
        assert_eq!(service.requests().len(), 0);
        door.rests().await;
    }
    let refused = b"{\"error\":\"invalid_client\",\"error_description\":\"unknown\"}";
    // It is not asked again and again, until it has another secret.
    let (giver, service) = (Raw::saying(Say::Bytes(http("401 Unauthorized", "", refused))), takes("t0"));
    let door = Door::to(&service.url(), &oauth(&giver, ""));
    for _ in 0..3 {
        assert!(door.call(&question()).await.is_err());
    }
    assert_eq!(giver.requests().len(), 1);
    std::fs::write(door.folder.path().join("password"), "another").unwrap();
    assert!(door.call(&question()).await.is_err());
    assert_eq!((giver.requests().len(), service.requests().len()), (2, 0));
    check(Say::Bytes(http("401 Unauthorized", "", refused)), "status 401: invalid_client (unknown)").await;
    check(Say::Bytes(http("200 OK", "", b"<html>")), "no token in JSON").await;
    check(Say::Bytes(http("200 OK", "", b"{\"access_token\":\"x\",\"token_type\":\"mac\"}")), "another kind").await;
    check(Say::Bytes(http("200 OK", "", &vec![b' '; 100_000])), "more than 65536 bytes").await;
    check(Say::Pieces(vec![b"HTTP/1.1 200 OK\r\n".to_vec(), b"\r\n".to_vec()], Duration::from_secs(2)), "within 0.3 s")
        .await;
    check(Say::Bytes(Vec::new()), "ended").await;
}

#[test]
fn faults_of_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let check = |lines: &str, words: &str| {
        let told = settings(&format!("endpoint = \"http://erp/x\"\n{lines}\n"), folder.path()).unwrap_err();
        assert!(told.contains(words), "{lines}: {told}");
    };
    let secret = "{ env = \"X\" }";
    check(
        &format!(
            "bearer = {secret}\noauth2 = {{ token_url = \"http://a/b\", client_id = \"c\", client_secret = {secret} }}"
        ),
        "takes `bearer` or `oauth2`, not both",
    );
    check("oauth2 = { token_url = \"ftp://a\", client_id = \"c\", client_secret = \"geheim\" }", "no URL of HTTP");
    check("wsse = { username = \"u\" }", "`username` needs `password`");
    check(&format!("wsse = {{ password = {secret} }}"), "`password` needs `username`");
    check("wsse = { digest = true, timestamp = \"5m\" }", "`digest` needs `username` and `password`");
    check("wsse = { must_understand = true }", "`wsse` says nothing");
    check("wsse = { timestamp = \"5m\", clock_offset = \"+3\" }", "no duration like");
    check("wsse = { sign = { certificate = \"c.pem\" } }", "has no `key`");
    check("wsse = { verify = { certificate = \"c.pem\", sha2 = true } }", "unknown key `sha2`");
    check(
        &format!("mtls = {{ certificate = \"c.pem\", key = {secret} }}"),
        "`mtls` has no meaning where `endpoint` is `http://`",
    );
    check("session = { envelope = \"missing.xml\" }", "missing.xml cannot be read");
    check("session = { envelope = \"<a/>\" }", "no envelope of SOAP");
    let login = format!("<s:Envelope xmlns:s='{SOAP}'><s:Body>{{user}}</s:Body></s:Envelope>");
    check(&format!("session = {{ envelope = \"{login}\" }}"), "belongs to none of {username}, {password}");
    let login = login.replace("{user}", "");
    check(&format!("session = {{ envelope = \"{login}\", token = \"T\" }}"), "needs `header` or `element`");
    check(&format!("session = {{ envelope = \"{login}\", header = \"X-S\" }}"), "need `token`");
    check(
        &format!("session = {{ envelope = \"{login}\", token = \"T\", header = \"Host\" }}"),
        "`header`: expected the name",
    );
    check(
        &format!("session = {{ envelope = \"{login}\", token = \"T\", element = \"<a>{{token}}\" }}"),
        "it is no XML",
    );
    check(
        &format!(
            "session = {{ envelope = \"{login}\", token = \"T\", element = \"<a>{{token}}</a>\", header = \"X\" }}"
        ),
        "not both",
    );
    check("wsdl = \"\"", "a path or a URL");
    check("addressing = \"yes\"", "`addressing`");
}

#[test]
fn the_session_of_the_readme_is_one() {
    let text = crate::readme::readme();
    let block = |name: &str| crate::readme::block_after(&text, &format!("<!-- live: {name} -->")).to_owned();
    let site = crate::site::Site::new();
    site.write("tollbridge.toml", (block("tollbridge.toml") + &block("session.toml")).as_bytes());
    site.write("mappings/orders.v1.toml", block("orders.v1.toml").as_bytes());
    let told = site.run(&["check", "--offline"]);
    assert_eq!(told.status.code(), Some(0), "{}", String::from_utf8_lossy(&told.stderr));
}
