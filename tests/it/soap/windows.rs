//! Accounts of Windows, held against gss-ntlmssp: who is let in, over which connections, and what is told of who is not.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tollbridge::adapters::soap::{Request, SoapError, Version};
use tollbridge::gate::BreakerState;

use super::peers::certificates;
use super::raw::{Raw, Say, http};
use super::{Door, request, settings};
use crate::support::soap::SoapServer;

/// The account that the service knows.
const SVC: &str = "ntlm = { username = 'CORP\\svc', password = { file = \"password\" } }";

fn question() -> Request {
    request(Version::V11, "urn:windows/Hello", "<Hello xmlns=\"urn:windows\"/>")
}

fn account(username: &str) -> String {
    SVC.replace("CORP\\svc", username)
}

/// Why a call is not answered, and that it has not begun.
async fn refused(door: &Door) -> String {
    let error = door.call(&question()).await.unwrap_err();
    door.rests().await;
    error.to_string()
}

/// What `doctor` says last: step, words and remedy.
async fn last(door: &Door) -> (&'static str, String, String) {
    let found = door.service.diagnose(&door.permit().await).await;
    let last = found.last().unwrap();
    (last.step, last.said.clone(), last.remedy.clone().unwrap_or_default())
}

/// The peer takes and refuses whom its own client says.
#[test]
fn the_peer_is_what_it_should_be() {
    let server = SoapServer::windows(&[]);
    let program = r#"
import base64, gssapi, http.client, sys
NTLMSSP = gssapi.OID.from_int_seq("1.3.6.1.4.1.311.2.2.10")
def ask(user, password):
    name = gssapi.Name(user, gssapi.NameType.user)
    got = gssapi.raw.acquire_cred_with_password(name, password, mechs=[NTLMSSP], usage="initiate")
    target = gssapi.Name("HTTP@127.0.0.1", gssapi.NameType.hostbased_service)
    context = gssapi.SecurityContext(name=target, creds=gssapi.Credentials(got.creds), mech=NTLMSSP, usage="initiate")
    line, token = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1])), context.step()
    while token:
        line.request("GET", "/", headers={"Authorization": "NTLM " + base64.b64encode(token).decode()})
        answer = line.getresponse()
        answer.read()
        said = answer.headers.get("WWW-Authenticate", "").partition(" ")[2]
        token = context.step(base64.b64decode(said)) if said else None
    return answer.status
print(ask("CORP\\svc", b"s3cret & <safe>"), ask("CORP\\svc", b"wrong"), ask("OTHER\\svc", b"s3cret & <safe>"))
"#;
    let port = server.port().to_string();
    let ran = Command::new("/usr/bin/python3").args(["-c", program, &port]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "200 401 401\n", "{}", String::from_utf8_lossy(&ran.stderr));
}

#[tokio::test]
async fn a_connection_is_let_in_once_and_carries_many_calls() {
    for offers in ["NTLM", "Negotiate+NTLM", "Negotiate"] {
        let server = SoapServer::windows(&["--offers", offers]);
        let door = Door::to(&server.url("erp"), SVC);
        for _ in 0..5 {
            let said = door.ask(&question()).await;
            assert!(said.contains("<User>CORP\\svc</User>"), "{offers}: {said}");
        }
        let counted = ["handshakes", "calls", "empty", "refused"].map(|what| server.count(what));
        assert_eq!(counted, [1, 5, 0, 0], "{offers}");
        door.rests().await;
    }
}

#[tokio::test]
async fn many_at_once_have_connections_of_their_own_and_stay_under_the_cap() {
    let server = SoapServer::windows(&[]);
    let door = Arc::new(Door::with_cap(&server.url("erp"), SVC, 3));
    let question = question();
    let all = join_all((0..30).map(|_| door.ask(&question))).await;
    assert!(all.iter().all(|said| said.contains("CORP\\svc")));
    assert_eq!((server.count("calls"), server.count("refused")), (30, 0));
    assert!(server.count("handshakes") <= 3, "{}", server.count("handshakes"));
}

#[tokio::test]
async fn a_server_that_asks_each_time_is_answered_each_time() {
    let server = SoapServer::windows(&["--each-time"]);
    let door = Door::to(&server.url("erp"), SVC);
    for _ in 0..8 {
        assert!(door.ask(&question()).await.contains("CORP\\svc"));
    }
    // A call over a known connection was asked three times, before it was begun; then nobody tries it so any more.
    let counted = ["calls", "handshakes", "empty", "asked"].map(|what| server.count(what));
    assert_eq!(counted, [8, 8, 0, 3]);
}

#[tokio::test]
async fn an_account_that_is_not_taken_is_told_and_not_tried_until_it_is_locked() {
    for (username, password) in [("CORP\\svc", "wrong"), ("OTHER\\svc", "s3cret & <safe>"), ("CORP\\nobody", "x")] {
        let server = SoapServer::windows(&[]);
        let door = Door::to(&server.url("erp"), &account(username));
        let file = door.folder.path().join("password");
        std::fs::write(&file, password).unwrap();
        let error = door.call(&question()).await.unwrap_err();
        assert!(matches!(error, SoapError::Denied { status: 401, .. }), "{error:?}");
        for _ in 0..10 {
            let told = refused(&door).await;
            assert!(told.contains("so that the domain does not lock it") && !told.contains(password), "{told}");
        }
        assert_eq!((server.count("refused"), server.count("calls")), (1, 0));
        // It is an answer, not an outage.
        assert_eq!(door.gate.status().breaker, BreakerState::Closed);
        let (step, said, remedy) = last(&door).await;
        assert!(step == "answer" && said.contains("refused our Windows account"), "{step} {said}");
        assert!(remedy.contains("a new password is tried at once"), "{remedy}");
        if username == "CORP\\svc" {
            std::fs::write(&file, "s3cret & <safe>").unwrap();
            assert!(door.ask(&question()).await.contains("CORP\\svc"));
        }
    }
}

#[tokio::test]
async fn a_password_that_nobody_has_taken_yet_is_tried_by_one_for_all() {
    let server = SoapServer::windows(&["--account", "CORP:burst:s3cret & <safe>"]);
    let door = Arc::new(Door::with_cap(&server.url("erp"), &account("CORP\\burst"), 16));
    std::fs::write(door.folder.path().join("password"), "wrong").unwrap();
    assert!(burst(&door).await.iter().all(Result::is_err));
    assert_eq!((server.count("refused"), server.count("calls")), (1, 0));
    assert_eq!(door.gate.status().breaker, BreakerState::Closed);
    door.rests().await;
    // A reload makes everything anew, and another backend has the same account, written otherwise.
    for (path, username) in [("erp", "CORP\\burst"), ("other", "corp\\Burst")] {
        let next = Door::to(&server.url(path), &account(username));
        std::fs::write(next.folder.path().join("password"), "wrong").unwrap();
        let told = refused(&next).await;
        assert!(told.contains("so that the domain does not lock it"), "{told}");
    }
    assert_eq!(server.count("refused"), 1);
    // The right one is taken at once, and then by all of them.
    std::fs::write(door.folder.path().join("password"), "s3cret & <safe>").unwrap();
    assert!(burst(&door).await.iter().all(Result::is_ok));
    assert_eq!((server.count("refused"), server.count("calls")), (1, 16));
}

/// Many calls at once, and how each ended.
async fn burst(door: &Arc<Door>) -> Vec<Result<(), SoapError>> {
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let door = Arc::clone(door);
            tokio::spawn(async move { door.call(&question()).await.map(drop) })
        })
        .collect();
    join_all(calls).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_server_that_closes_the_connection_in_answer_to_an_account_has_it_tried_by_one() {
    let server = SoapServer::windows(&["--account", "CORP:mute:s3cret & <safe>", "--mute"]);
    let door = Arc::new(Door::with_cap(&server.url("erp"), &account("CORP\\mute"), 16));
    std::fs::write(door.folder.path().join("password"), "wrong").unwrap();
    let ends = burst(&door).await;
    // Of the one that tried nobody knows whether its call was begun; of the others nothing was sent.
    let lost = ends.iter().filter(|end| matches!(end, Err(SoapError::Lost { .. } | SoapError::Cut { .. }))).count();
    let told = ends.iter().filter(|end| {
        matches!(end, Err(SoapError::Login { reason, .. })
            if reason.contains("it has closed the connection in answer to our Windows account")
                && reason.contains("so that the domain does not lock it, it is not tried for"))
    });
    assert_eq!((lost, told.count()), (1, 15), "{ends:?}");
    assert_eq!((server.count("refused"), server.count("calls")), (1, 0));
    door.rests().await;
    // After a reload, and for another backend with the account.
    for path in ["erp", "other"] {
        let next = Door::to(&server.url(path), &account("CORP\\mute"));
        std::fs::write(next.folder.path().join("password"), "wrong").unwrap();
        let told = refused(&next).await;
        assert!(told.contains("it has closed the connection") && !told.contains("wrong"), "{told}");
    }
    assert_eq!(server.count("refused"), 1);
    std::fs::write(door.folder.path().join("password"), "s3cret & <safe>").unwrap();
    assert!(burst(&door).await.iter().all(Result::is_ok));
    assert_eq!(server.count("refused"), 1);
    // `doctor`, whose process knows nothing yet, tries once and says what it may be.
    let other = SoapServer::windows(&["--account", "CORP:other:x", "--mute"]);
    let (_, _, remedy) = last(&Door::to(&other.url("erp"), &account("CORP\\muted"))).await;
    assert!(remedy.contains("where they refuse a Windows account"), "{remedy}");
    assert_eq!(other.count("refused"), 1);
}

#[tokio::test]
async fn a_server_that_breaks_down_is_called_again_soon_with_a_password_that_was_good() {
    let server = SoapServer::windows(&["--account", "CORP:crash:s3cret & <safe>", "--each-time"]);
    let door = Arc::new(Door::with_cap(&server.url("erp"), &account("CORP\\crash"), 16));
    for _ in 0..5 {
        door.ask(&question()).await;
    }
    server.crash();
    let error = door.call(&question()).await.unwrap_err();
    assert!(matches!(error, SoapError::Lost { .. } | SoapError::Cut { .. }), "{error:?}");
    // Before long it is tried again, by one; it is good, and so by all.
    let patience = tokio::time::Instant::now() + Duration::from_secs(60);
    while let Err(error) = door.call(&question()).await {
        assert!(matches!(error, SoapError::Login { .. }) && tokio::time::Instant::now() < patience, "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(burst(&door).await.iter().all(Result::is_ok));
    assert_eq!((server.count("crashed"), server.count("refused"), server.count("calls")), (1, 0, 22));
}

/// A server that takes the proof of a wrong password and never answers: as a domain counts it, it was wrong all the same.
#[tokio::test]
async fn a_server_that_never_answers_an_account_has_it_tried_seldom() {
    let server = SoapServer::windows(&["--account", "CORP:tarpit:s3cret & <safe>", "--tarpit"]);
    let lines = format!("{}\ntimeout = \"2s\"\nlate = \"1s\"", account("CORP\\tarpit"));
    let door = Arc::new(Door::with_cap(&server.url("erp"), &lines, 16));
    std::fs::write(door.folder.path().join("password"), "wrong").unwrap();
    let ends = burst(&door).await;
    let since = std::time::Instant::now();
    let silent = ends.iter().filter(|end| matches!(end, Err(SoapError::Silent { .. }))).count();
    let untried = ends.iter().filter(|end| matches!(end, Err(SoapError::Login { .. }))).count();
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(door.call(&question()).await.unwrap_err());
    }
    let refused = server.count("refused");
    // It is tried again after five seconds.
    if since.elapsed() < Duration::from_secs(4) {
        assert_eq!((silent, untried, refused), (1, 15, 1), "{ends:?}");
        for error in &told {
            assert!(
                matches!(error, SoapError::Login { reason, .. }
                    if reason.contains("it has given no answer to our Windows account")
                        && reason.contains("so that the domain does not lock it, it is not tried for")),
                "{error:?}"
            );
        }
    }
    assert!(refused <= 2 && server.count("calls") == 0, "{refused} {ends:?}");
    std::fs::write(door.folder.path().join("password"), "s3cret & <safe>").unwrap();
    assert!(door.ask(&question()).await.contains("CORP\\tarpit"));
    assert_eq!(server.count("refused"), refused);
    // `doctor` says what it may be.
    let other = SoapServer::windows(&["--account", "CORP:other:x", "--tarpit"]);
    let lines = lines.replace("tarpit", "tarred");
    let (_, _, remedy) = last(&Door::to(&other.url("erp"), &lines)).await;
    assert!(remedy.contains("say nothing where they refuse a Windows account"), "{remedy}");
}

/// A call that hangs, with a password that is good: it is tried again before long.
#[tokio::test]
async fn a_call_that_hangs_does_not_keep_a_good_account_out() {
    let server = SoapServer::windows(&["--account", "CORP:hung:s3cret & <safe>", "--each-time"]);
    let lines = format!("{}\ntimeout = \"4s\"\nlate = \"1s\"", account("CORP\\hung"));
    let door = Arc::new(Door::to(&server.url("erp"), &lines));
    for _ in 0..5 {
        door.ask(&question()).await;
    }
    server.hang();
    let error = door.call(&question()).await.unwrap_err();
    assert!(matches!(error, SoapError::Silent { .. }), "{error:?}");
    let patience = tokio::time::Instant::now() + Duration::from_secs(60);
    while let Err(error) = door.call(&question()).await {
        assert!(matches!(error, SoapError::Login { .. }) && tokio::time::Instant::now() < patience, "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((server.count("hung"), server.count("refused"), server.count("calls")), (1, 0, 6));
}

#[tokio::test]
async fn who_waits_for_the_first_to_try_an_account_is_told_in_its_time_that_nothing_was_sent() {
    let server = SoapServer::windows(&["--account", "CORP:slow:s3cret & <safe>", "--takes", "4"]);
    let lines = format!("{}\ntimeout = \"2s\"\nlate = \"20s\"", account("CORP\\slow"));
    let door = Arc::new(Door::to(&server.url("erp"), &lines));
    let first = tokio::spawn({
        let door = Arc::clone(&door);
        async move { door.call(&question()).await }
    });
    while server.count("calls") == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let error = door.call(&question()).await.unwrap_err();
    assert!(matches!(&error, SoapError::Login { reason, .. } if reason.contains("nothing was sent")), "{error}");
    // Nothing lingers for it: the one call that was sent is still at work.
    assert_eq!((door.gate.status().in_flight(), server.count("handshakes")), (1, 1));
    assert!(first.await.unwrap().is_ok());
    door.rests().await;
}

#[tokio::test]
async fn a_server_that_begins_anew_is_asked_once_by_each_connection() {
    let server = SoapServer::windows(&["--takes", "0.2"]);
    let door = Door::with_cap(&server.url("erp"), SVC, 8);
    let question = question();
    let round = || async {
        let said = join_all((0..8).map(|_| door.ask(&question))).await;
        assert!(said.iter().all(|said| said.contains("CORP\\svc")));
    };
    for _ in 0..2 {
        round().await;
    }
    server.recycle();
    round().await;
    // Connections that were let in are asked nothing; one that grew old is made anew.
    let before = server.count("handshakes");
    for _ in 0..5 {
        round().await;
    }
    let since = server.count("handshakes") - before;
    assert!(since < 20, "{since} handshakes for 40 calls");
    assert_eq!((server.count("calls"), server.count("refused")), (64, 0));
}

/// What breaks off is the question, not the answer to a call.
#[tokio::test]
async fn a_call_is_sent_again_where_the_question_who_calls_breaks_off() {
    let server = SoapServer::windows(&["--torn"]);
    let door = Door::to(&server.url("erp"), SVC);
    for _ in 0..3 {
        assert!(door.ask(&question()).await.contains("CORP\\svc"));
        server.recycle();
    }
    let counted = ["calls", "handshakes", "asked"].map(|what| server.count(what));
    assert!(counted[0] == 3 && counted[1] == 3 && counted[2] <= 2, "{counted:?}");
}

#[tokio::test]
async fn what_keeps_us_out_is_told() {
    let server = SoapServer::windows(&[]);
    let door = Door::to(&server.url("erp"), SVC);
    assert_eq!(last(&door).await.1, "it takes our Windows account");
    let without = Door::to(&server.url("erp"), "");
    assert!(last(&without).await.1.contains("wants a Windows account: give it one by `ntlm`"));
    let wrong = Door::to(&server.url("erp"), &account("ELSEWHERE\\svc"));
    let (_, said, remedy) = last(&wrong).await;
    assert!(said.contains("does not take our Windows account") && remedy.contains("locked"), "{said} {remedy}");

    let basic = SoapServer::windows(&["--offers", "Basic"]);
    let door = Door::to(&basic.url("erp"), SVC);
    let told = refused(&door).await;
    assert!(told.contains("it wants Basic, not NTLM"), "{told}");
    assert!(last(&door).await.2.contains("`basic` for Basic"));
    assert_eq!((basic.count("calls"), basic.count("handshakes")), (0, 0));

    // Let in, and not allowed.
    let forbids = SoapServer::windows(&["--forbids"]);
    let error = Door::to(&forbids.url("erp"), SVC).call(&question()).await.unwrap_err();
    assert!(matches!(error, SoapError::Denied { status: 403, .. }), "{error:?}");

    // A file without a password: nothing is sent.
    let door = Door::to(&server.url("erp"), SVC);
    std::fs::write(door.folder.path().join("password"), "").unwrap();
    assert!(matches!(door.call(&question()).await, Err(SoapError::Secret(_))));
}

#[tokio::test]
async fn connections_that_end_between_the_messages() {
    for (at, is_begun) in [("first", false), ("challenge", false), ("third", true)] {
        // What is closed may be a refusal: no other test has the account.
        let server = SoapServer::windows(&["--close", at, "--account", "CORP:closed:s3cret & <safe>"]);
        let door = Door::to(&server.url("erp"), &account("CORP\\closed"));
        let error = door.call(&question()).await.unwrap_err();
        // With the third message goes the call: nobody knows then whether it was begun.
        assert_eq!(error.was_not_begun(), !is_begun, "{at}: {error:?}");
        assert_eq!(matches!(error, SoapError::Lost { .. }), is_begun, "{at}: {error:?}");
        door.rests().await;
        assert_eq!(server.count("calls"), 0, "{at}");
        if at == "challenge" {
            let (_, said, remedy) = last(&door).await;
            assert!(said.contains("is a proxy on the way?") && remedy.contains("one connection"), "{said} {remedy}");
        }
    }
}

#[tokio::test]
async fn a_server_that_asks_nobody_is_called_all_the_same() {
    let node = SoapServer::node();
    let question = super::node("GetOrder", "<Number>7</Number>");
    assert!(Door::to(&node.url("orders"), SVC).ask(&question).await.contains("REF-7"));

    // One that closes each connection is called over the next.
    let envelope = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><r/></s:Body></s:Envelope>";
    let service = Raw::saying(Say::Bytes(http("200 OK", "Content-Type: text/xml\r\n", envelope.as_bytes())));
    let door = Door::to(&service.url(), SVC);
    assert!(door.ask(&self::question()).await.contains("<r/>"));
    let sent = service.requests();
    assert!(sent.len() == 2 && sent[0].contains("TlRMTVNTU") && sent[0].ends_with("\r\n\r\n"), "{sent:?}");
    assert!(!sent[1].contains("TlRMTVNTU") && sent[1].contains("<Hello"), "{sent:?}");

    // A challenge that is none.
    for challenge in ["TlRMTVNTUAACAAAA", "AAAA"] {
        let fields = format!("WWW-Authenticate: NTLM {challenge}\r\n");
        let bytes =
            String::from_utf8(http("401 Unauthorized", &fields, b"")).unwrap().replace("Connection: close\r\n", "");
        let service = Raw::saying(Say::Pieces(vec![bytes.into_bytes(), Vec::new()], Duration::from_secs(3)));
        let told = refused(&Door::to(&service.url(), SVC)).await;
        assert!(told.contains("its challenge cannot be read"), "{told}");
        assert_eq!(service.requests().len(), 1);
    }
}

#[tokio::test]
async fn over_tls_the_account_is_bound_to_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let lines = format!("{SVC}\nca = \"{}\"", file("ca.pem"));
    let server = SoapServer::windows(&["--cert", &file("server.pem"), "--key", &file("server.key")]);
    let door = Door::to(&server.url("erp"), &lines);
    assert!(door.ask(&question()).await.contains("CORP\\svc"));
    assert_eq!(last(&door).await.1, "it takes our Windows account");

    // Somebody in between, with a certificate of his own: the same messages are of no use at the server.
    let between = SoapServer::windows(&[
        "--cert",
        &file("server.pem"),
        "--key",
        &file("server.key"),
        "--bound-to",
        &file("ca.pem"),
    ]);
    let error = Door::to(&between.url("erp"), &lines).call(&question()).await.unwrap_err();
    assert!(matches!(error, SoapError::Denied { status: 401, .. }), "{error:?}");
}

#[test]
fn settings_of_the_account() {
    let folder = tempfile::tempdir().unwrap();
    let read = |endpoint: &str, lines: &str| settings(&format!("endpoint = \"{endpoint}\"\n{lines}\n"), folder.path());
    for (username, words) in [
        ("", "expected 'DOMAIN"),
        ("CORP\\", "expected 'DOMAIN"),
        ("\\svc", "expected 'DOMAIN"),
        ("A\\B\\svc", "expected 'DOMAIN"),
    ] {
        let told = read("https://erp/x", &account(username)).unwrap_err();
        assert!(told.contains(words), "{username}: {told}");
    }
    for username in ["CORP\\svc", "svc@corp.example", "svc"] {
        read("https://erp/x", &account(username)).unwrap();
    }
    // Over plain HTTP only by a word of the operator's, and then with a doubt.
    let told = read("http://erp/x", SVC).unwrap_err();
    assert!(told.contains("passwords can be guessed") && told.contains("over_http = true"), "{told}");
    let allowed = "ntlm = { username = 'CORP\\svc', password = { file = \"password\" }, over_http = true }";
    assert_eq!(read("http://erp/x", allowed).unwrap().doubts().len(), 1);
    let told = read("https://erp/x", &format!("{SVC}\nbearer = {{ env = \"X\" }}")).unwrap_err();
    assert!(told.contains("`bearer` or `ntlm`, not both"), "{told}");
    let told = read("https://erp/x", "ntlm = { username = 'a', password = 'geheim' }").unwrap_err();
    assert!(told.contains("a secret is not written here") && !told.contains("geheim"), "{told}");
}
