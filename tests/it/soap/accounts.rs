//! An account that a service does not take is not sent with every call until it is locked; and a no to what was asked is none to
//! the account.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tollbridge::adapters::soap::{Answer, Request, SoapError, Version};

use super::raw::{Raw, Say, http, xml};
use super::{Door, envelope, node, request, spyne, wsse};
use crate::support::soap::{PASSWORD, SoapServer};

const BASIC: &str = "basic = { username = \"svc\", password = { file = \"password\" } }";

const LEFT_ALONE: &str = "so that the account is not locked, it is not tried for";

fn question(action: &str) -> Request {
    request(Version::V11, action, "<q/>")
}

fn denied() -> Say {
    Say::Bytes(http("401 Unauthorized", "", b"who?"))
}

fn fault(code: &str) -> Say {
    let body = format!("<s:Fault><faultcode>{code}</faultcode><faultstring>no</faultstring></s:Fault>");
    Say::Bytes(http("500 No", "Content-Type: text/xml\r\n", envelope(Version::V11, &body).as_bytes()))
}

fn good() -> Say {
    xml(&envelope(Version::V11, "<r/>"))
}

/// How many calls came.
fn calls(service: &Raw) -> usize {
    service.requests().iter().filter(|request| request.starts_with("POST")).count()
}

/// So many calls at once.
async fn many(door: &Arc<Door>, number: usize) -> Vec<Result<Answer, SoapError>> {
    let calls = (0..number).map(|_| {
        let door = Arc::clone(door);
        tokio::spawn(async move { door.call(&question("urn:op")).await })
    });
    let mut ended = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        ended.push(call.await.unwrap());
    }
    ended
}

fn is_left_alone(result: &Result<Answer, SoapError>) -> bool {
    matches!(result, Err(error @ SoapError::Login { .. }) if error.to_string().contains(LEFT_ALONE))
}

/// What is so as long as the account is left alone.
#[track_caller]
fn holds(until: Instant, is_so: bool, what: &str) {
    assert!(is_so || Instant::now() >= until, "{what}");
}

/// Waits until the account may be tried again.
async fn rested(door: &Door) {
    let until = door.service.refused_until().expect("it is refused");
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One call tries, the others are told and not sent; after a while one tries again, and when it is let in all are.
async fn left_alone(lines: &str, no: Say, tries: usize) {
    let (is_locked, is_first_in) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (at_once, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let service = Raw::start({
        let (is_locked, is_first_in) = (Arc::clone(&is_locked), Arc::clone(&is_first_in));
        let (at_once, answered) = (Arc::clone(&at_once), Arc::clone(&answered));
        move |_, _| {
            if is_locked.load(Ordering::SeqCst) {
                return no.clone();
            }
            if !is_first_in.swap(true, Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(300));
                answered.store(1, Ordering::SeqCst);
            } else if answered.load(Ordering::SeqCst) == 0 {
                at_once.fetch_add(1, Ordering::SeqCst);
            }
            good()
        }
    });
    let giver = Raw::start(|number, _| {
        let token = format!("{{\"access_token\":\"t{number}\",\"token_type\":\"Bearer\",\"expires_in\":3600}}");
        Say::Bytes(http("200 OK", "Content-Type: application/json\r\n", token.as_bytes()))
    });
    let door = Arc::new(Door::with_cap(&service.url(), &lines.replace("GIVER", &giver.url()), 8));
    let ended = many(&door, 20).await;
    assert_eq!(calls(&service), tries, "{lines}");
    assert_eq!(ended.iter().filter(|result| is_left_alone(result)).count(), 19, "{lines}: {ended:?}");
    let until = door.service.refused_until().expect("it is refused");
    let other = door.call(&question("urn:other")).await;
    holds(until, is_left_alone(&other), lines);
    assert!(!format!("{ended:?}").contains(PASSWORD));
    let streamed = door.service.stream(door.permit().await, question("urn:op")).await;
    holds(until, streamed.is_err_and(|error| error.to_string().contains(LEFT_ALONE)), lines);
    holds(until, calls(&service) == tries, lines);
    // Whether it answers at all is found out without the account.
    let doubts = door.service.probe(&door.permit().await).await.unwrap();
    let looks: Vec<String> = service.requests().into_iter().filter(|request| request.starts_with("GET")).collect();
    assert_eq!(looks.len(), 1);
    assert!(!looks[0].to_ascii_lowercase().contains("authorization:"), "{lines}: {}", looks[0]);
    assert_eq!(
        doubts.iter().any(|doubt| doubt.contains(LEFT_ALONE)),
        !lines.contains("wsse") && !lines.contains("account")
    );
    // It is the service's own no, and no trouble of it.
    door.rests().await;
    assert_eq!(door.gate.status().breaker.as_str(), "closed");

    // Somebody has unlocked it.
    is_locked.store(false, Ordering::SeqCst);
    rested(&door).await;
    let ended = many(&door, 20).await;
    assert!(ended.iter().all(Result::is_ok), "{lines}: {ended:?}");
    assert_eq!(at_once.load(Ordering::SeqCst), 0, "{lines}: calls that went along with the one that tried it");
    assert_eq!((door.service.refused_until(), calls(&service)), (None, tries + 20), "{lines}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_refused_is_left_alone_and_tried_later_by_one_call() {
    let own = "refused = [\"BadLogin\"]\naccount = { element = \"<Auth><User>{username}</User><Pin>{password}</Pin></Auth>\", \
        username = \"svc\", password = { file = \"password\" } }";
    let oauth =
        "oauth2 = { token_url = \"GIVER\", client_id = \"tb\", client_secret = { file = \"password\" } }".to_owned();
    let tried = [
        (BASIC.to_owned(), denied(), 1),
        (wsse(", digest = true"), fault("wsse:FailedAuthentication"), 1),
        (wsse(""), fault("wsse:InvalidSecurityToken"), 1),
        (own.to_owned(), fault("s:Client.BadLogin"), 1),
        // A token may be over: another one is asked for, once.
        (oauth, denied(), 2),
    ];
    let running: Vec<_> = tried
        .into_iter()
        .map(|(lines, no, tries)| tokio::spawn(async move { left_alone(&lines, no, tries).await }))
        .collect();
    for one in running {
        one.await.unwrap();
    }
}

/// Services of strangers, with a wrong password; and with the right one, which is tried at once.
#[tokio::test]
async fn services_of_strangers_are_asked_once_with_a_wrong_password() {
    let (one, two) = (SoapServer::spyne(&[]), SoapServer::node());
    let of_one = spyne("GetOrder", "<Number>7</Number>");
    let of_two = node("GetOrder", "<Number>7</Number>");
    for (server, path, lines, question) in [
        (&one, "basic", BASIC.to_owned(), &of_one),
        (&one, "secured", wsse(", digest = true"), &of_one),
        // A fault with status 401.
        (&two, "secured", wsse(""), &of_two),
    ] {
        let door = Door::to(&server.url(path), &lines);
        std::fs::write(door.folder.path().join("password"), format!("wrong for {path}")).unwrap();
        let before = server.count("calls");
        assert!(!is_left_alone(&door.call(question).await));
        let until = door.service.refused_until().expect("it is refused");
        for _ in 0..5 {
            let result = door.call(question).await;
            holds(until, is_left_alone(&result), &format!("{path}: {result:?}"));
        }
        // Of the npm package calls are counted that it has let in.
        holds(until, server.count("calls") - before <= 1, path);
        // Another service of the host's with the same account, and a configuration that was read anew, know it too.
        let other = Door::to(&server.url(path), &lines);
        std::fs::write(other.folder.path().join("password"), format!("wrong for {path}")).unwrap();
        holds(until, is_left_alone(&other.call(question).await), path);
        assert!(other.service.refused_until().is_some(), "{path}");
        std::fs::write(door.folder.path().join("password"), PASSWORD).unwrap();
        assert!(door.ask(question).await.contains("REF-7"), "{path}");
        assert_eq!(door.service.refused_until(), None);
    }
}

#[tokio::test]
async fn a_no_to_what_was_asked_is_none_to_the_account() {
    let service = Raw::start(|_, request| match request {
        _ if request.contains("urn:secret") => denied(),
        _ if request.contains("urn:forbidden") => Say::Bytes(http("403 Forbidden", "", b"not you")),
        _ if request.contains("urn:business") => fault("s:Client.NoSuchOrder"),
        _ if request.contains("urn:expired") => fault("wsse:MessageExpired"),
        _ => good(),
    });
    let door = Door::to(&service.url(), BASIC);
    let says = async |action: &str| match door.call(&question(action)).await {
        Ok(_) => "good",
        result if is_left_alone(&result) => "left alone",
        Err(SoapError::Denied { status: 401, .. }) => "401",
        Err(SoapError::Denied { status: 403, .. }) => "403",
        Err(SoapError::Fault(_)) => "fault",
        Err(error) => panic!("{action}: {error}"),
    };
    // Before anything was let in, what says nothing of the account shuts nobody out.
    for _ in 0..4 {
        assert_eq!((says("urn:forbidden").await, says("urn:expired").await), ("403", "fault"));
    }
    // A fault of the service's is said to whom it has let in.
    assert_eq!(says("urn:business").await, "fault");
    for _ in 0..4 {
        assert_eq!(
            (says("urn:secret").await, says("urn:secret").await, says("urn:good").await),
            ("401", "401", "good")
        );
        assert_eq!(
            (says("urn:secret").await, says("urn:secret").await, says("urn:business").await),
            ("401", "401", "fault")
        );
    }
    assert_eq!(door.service.refused_until(), None);
    // Three in a row without another word: it may be the account.
    for _ in 0..3 {
        assert_eq!(says("urn:secret").await, "401");
    }
    assert_eq!((says("urn:secret").await, says("urn:good").await), ("left alone", "left alone"));
    rested(&door).await;
    // It is not. From now on that operation's no is its own.
    assert_eq!(says("urn:good").await, "good");
    assert_eq!((says("urn:secret").await, says("urn:secret").await), ("401", "left alone"));
    for _ in 0..5 {
        assert_eq!((says("urn:good").await, says("urn:secret").await), ("good", "left alone"));
    }
    assert_eq!(door.service.refused_until(), None);
}

/// Tokens that are over with each call are asked for with each call; that is no refusal.
#[tokio::test]
async fn a_token_that_is_over_speaks_against_nobody() {
    let giver = Raw::start(|number, _| {
        let token = format!("{{\"access_token\":\"t{number}.\",\"token_type\":\"Bearer\",\"expires_in\":3600}}");
        Say::Bytes(http("200 OK", "Content-Type: application/json\r\n", token.as_bytes()))
    });
    // Each is good for the call that it was asked for.
    let used = std::sync::Mutex::new(std::collections::HashSet::new());
    let service = Raw::start(move |_, request| {
        let token = request.to_ascii_lowercase().split_once("bearer ").unwrap().1.split('.').next().unwrap().to_owned();
        if used.lock().unwrap().insert(token) { good() } else { denied() }
    });
    let lines = format!(
        "oauth2 = {{ token_url = \"{}\", client_id = \"tb\", client_secret = {{ file = \"password\" }} }}",
        giver.url()
    );
    let door = Door::to(&service.url(), &lines);
    for _ in 0..8 {
        door.call(&question("urn:op")).await.unwrap();
        assert_eq!(door.service.refused_until(), None);
    }
    assert_eq!((giver.requests().len(), calls(&service)), (8, 15));
}

/// A description that lies behind the account is fetched with it, and is not asked for with one that was refused.
#[tokio::test]
async fn a_description_is_fetched_with_the_account() {
    let giver = Raw::start(|_, _| {
        let token = b"{\"access_token\":\"for-us\",\"token_type\":\"Bearer\",\"expires_in\":3600}";
        Say::Bytes(http("200 OK", "Content-Type: application/json\r\n", token))
    });
    let service = Raw::start(|_, request| match request.contains("Bearer for-us\r\n") {
        true => Say::Bytes(http("200 OK", "Content-Type: text/xml\r\n", b"<definitions/>")),
        false => denied(),
    });
    let oauth = format!(
        "oauth2 = {{ token_url = \"{}\", client_id = \"tb\", client_secret = {{ file = \"password\" }} }}",
        giver.url()
    );
    let fetch = async |lines: &str| {
        let door = Door::to(&service.url(), lines);
        let permit = door.permit().await;
        let fetched = door.service.document(&permit, &format!("{}?wsdl", service.url()), 1 << 20).await;
        fetched.map(|fetched| fetched.bytes)
    };
    assert_eq!(fetch(&oauth).await.as_deref(), Ok(&b"<definitions/>"[..]));
    assert_eq!((giver.requests().len(), service.requests().len()), (1, 1));
    let began = Instant::now();
    assert!(fetch(BASIC).await.is_err_and(|told| told.contains("status 401")));
    let again = fetch(BASIC).await;
    holds(
        began + Duration::from_secs(5),
        again.is_err_and(|told| told.contains(LEFT_ALONE)),
        "it is not fetched again",
    );
    holds(began + Duration::from_secs(5), service.requests().len() == 2, "it was not asked for again");
}

/// What has no action is told apart by what is called.
#[tokio::test]
async fn operations_without_an_action_are_told_apart() {
    let service = Raw::start(|_, request| if request.contains("<Secret/>") { denied() } else { good() });
    let door = Door::to(&service.url(), BASIC);
    let ask = |body: &str| request(Version::V11, "", body);
    door.call(&ask("<Good/>")).await.unwrap();
    for _ in 0..3 {
        assert!(door.call(&ask("<Secret/>")).await.is_err());
    }
    rested(&door).await;
    door.call(&ask("<Good/>")).await.unwrap();
    assert!(!is_left_alone(&door.call(&ask("<Secret/>")).await));
    assert!(is_left_alone(&door.call(&ask("<Secret/>")).await));
    door.call(&ask("<Good/>")).await.unwrap();
}
