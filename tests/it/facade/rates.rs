//! Clients and their rates: who is let through, what is said of it, and what a storm of refusals costs others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tollbridge::http::clients::{ClientConfig, Hold, Rate};
use tollbridge::http::{AuthConfig, ClientsConfig, Drained};

use super::app::{Options, TestApp};
use super::client::{Answer, Connection, request};

fn settings(rate: &str) -> ClientConfig {
    ClientConfig { rate: Some(Rate::parse(rate).unwrap()), ..ClientConfig::default() }
}

fn clients(sections: &[(&str, &str)]) -> ClientsConfig {
    ClientsConfig::new(sections.iter().map(|(name, rate)| ((*name).to_owned(), settings(rate))))
}

/// With clients of these rates. The app's own key is of the client `test`.
fn start(sections: &[(&str, &str)]) -> TestApp {
    TestApp::with(Options { clients: clients(sections), ..Options::default() })
}

#[track_caller]
fn get(app: &TestApp, key: &str, path: &str) -> Answer {
    app.send_as_is("GET", path, &[("Authorization", &format!("Bearer {key}"))], b"")
}

/// `r` of `RateLimit`, having checked all the rest of both fields.
#[track_caller]
fn remaining(answer: &Answer, policy: &str) -> u32 {
    assert_eq!(answer.field("ratelimit-policy"), Some(policy), "{}", answer.head);
    let name = &policy[..policy.rfind(";q=").unwrap()];
    let limit = answer.field("ratelimit").unwrap();
    let parameters = limit.strip_prefix(name).unwrap_or_else(|| panic!("{limit}"));
    let (r, t) = parameters.strip_prefix(";r=").unwrap().split_once(";t=").unwrap();
    assert!(t.parse::<u64>().unwrap() >= 1);
    r.parse().unwrap()
}

#[test]
fn every_answer_to_a_client_with_a_rate_says_what_is_left() {
    let app = start(&[("test", "1/h burst 20")]);
    app.stage_orders(3);
    let policy = "\"test\";q=20;w=72000";
    let etag = app.get("/v1/orders/0001").field("etag").unwrap().to_owned();
    let mut left = 19;
    let mut check = |path: &str, fields: &[(&str, &str)], status: u16| {
        let answer = app.get_with(path, fields);
        left -= 1;
        assert_eq!((answer.status, remaining(&answer, policy)), (status, left), "{path}");
        answer
    };
    check("/v1/orders", &[], 200);
    check("/v1/orders/0002", &[], 200);
    check("/v1/orders/0001", &[("If-None-Match", &etag)], 304);
    let lines = check("/v1/orders", &[("Accept", "application/x-ndjson")], 200);
    assert_eq!(lines.text().lines().count(), 3);
    check("/v1/orders/changes", &[], 200);
    check("/v1/orders/0001/lineage", &[], 200);
    check("/v1", &[], 200);
    check("/v1/orders/9999", &[], 404);
    check("/v1/nothing", &[], 404);
    check("/v1/orders?limit=0", &[], 400);
    let head = app.send("HEAD", "/v1/orders", &[], b"");
    assert_eq!((head.status, remaining(&head, policy)), (200, 8));

    // Nothing is taken, and nothing said, where nobody is asked who they are, nor of a key that is none.
    let said = |answer: Answer| answer.field("ratelimit").or(answer.field("ratelimit-policy")).map(str::to_owned);
    for path in ["/health/live", "/openapi.json", "/docs", "/nowhere/at/all"] {
        assert_eq!(said(app.get(path)), None, "{path}");
    }
    assert_eq!(said(app.send_as_is("GET", "/v1", &[], b"")), None);
    // What can be done somewhere is asked like anything else.
    assert_eq!(remaining(&app.send("OPTIONS", "/v1", &[], b""), policy), 7);
    assert_eq!(remaining(&app.get("/v1"), policy), 6);
    // A client without a rate has no budget to speak of.
    assert_eq!(said(get(&app, &app.new_key_for("crm", &["read"]), "/v1")), None);
}

#[test]
fn beyond_the_rate_is_a_429_whose_wait_is_enough() {
    let app = start(&[("test", "1/s burst 2")]);
    let mut refused = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    while refused < 3 {
        assert!(Instant::now() < deadline);
        let answer = app.get("/v1");
        if answer.status == 200 {
            continue;
        }
        refused += 1;
        let said = answer.problem(429, "rate-limited");
        assert!(said.contains("1/s burst 2") && said.contains("[clients.NAME]"), "{said}");
        assert_eq!(answer.json()["reason"], "rate");
        assert_eq!(remaining(&answer, "\"test\";q=2;w=2"), 0);
        assert_eq!(answer.field("retry-after"), Some("1"));
        assert_eq!(answer.field("ratelimit"), Some("\"test\";r=0;t=1"));
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(app.get("/v1").status, 200);
    }
    let metrics = app.metrics.render().unwrap();
    assert!(metrics.contains("tollbridge_http_refusals_total{client=\"test\",reason=\"rate\"} 3"), "{metrics}");
    assert!(metrics.contains("status=\"429\"} 3"), "{metrics}");
}

#[test]
fn a_refused_request_costs_nothing() {
    let app = start(&[("test", "1/h burst 1")]);
    assert_eq!(app.get("/v1").status, 200);
    // Neither scope nor resource nor parameters are looked at.
    for path in ["/v1/orders?nonsense=1", "/v1/nothing", "/v1/stock"] {
        app.get(path).problem(429, "rate-limited");
    }
}

#[test]
fn keys_of_one_name_share_and_others_have_their_own() {
    let app = start(&[("webshop", "1/h burst 2"), ("default", "1/h burst 1")]);
    let keys = ["webshop", "webshop", "crm", "bi"].map(|name| app.new_key_for(name, &["read"]));
    let status = |key: &str| get(&app, key, "/v1").status;
    assert_eq!([&keys[0], &keys[1], &keys[0], &keys[1]].map(|key| status(key)), [200, 200, 429, 429]);
    assert_eq!([&keys[2], &keys[2], &keys[3], &keys[3]].map(|key| status(key)), [200, 429, 200, 429]);
}

#[test]
fn callers_without_a_key_share_one_budget() {
    let auth = AuthConfig { anonymous: vec!["read".to_owned()], ..AuthConfig::default() };
    let app = TestApp::with(Options { auth, clients: clients(&[("anonymous", "1/h burst 3")]), ..Options::default() });
    let answers: Vec<Answer> = (0..4).map(|_| app.send_as_is("GET", "/v1", &[], b"")).collect();
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200, 200, 429]);
    assert_eq!(remaining(&answers[0], "\"anonymous\";q=3;w=10800"), 2);
    assert_eq!(app.get("/v1").status, 200);
}

#[test]
fn a_name_full_of_tricks_stays_a_name() {
    for (name, policy) in [
        ("web\";q=999, \"other", r#""web\";q=999, \"other";q=5;w=18000"#),
        ("back\\slash", r#""back\\slash";q=5;w=18000"#),
        ("B\u{fc}ro \u{1f4e6}", "\"B%C3%BCro %F0%9F%93%A6\";q=5;w=18000"),
        ("<script>", "\"<script>\";q=5;w=18000"),
    ] {
        let app = start(&[(name, "1/h burst 5")]);
        let answer = get(&app, &app.new_key_for(name, &["read"]), "/v1");
        assert_eq!((answer.status, remaining(&answer, policy)), (200, 4), "{name}");
        assert!(app.metrics.render().unwrap().ends_with("# EOF\n"));
    }
}

/// Many connections at once, each sending so many requests with this key; how many came to each end.
fn at_once(app: &TestApp, key: &str, connections: usize, each: usize) -> (usize, usize) {
    let (good, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let ask = request("GET", "/v1/orders/0001", &[("Authorization", &format!("Bearer {key}"))], b"");
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut connection = Connection::to(app.address);
                for _ in 0..each {
                    connection.send(&ask);
                    let counter = match connection.receive(true).unwrap().status {
                        200 => &good,
                        429 => &refused,
                        other => panic!("{other}"),
                    };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    (good.into_inner(), refused.into_inner())
}

#[test]
fn a_thousand_at_once_get_exactly_the_burst() {
    let app = start(&[("test", "1/h burst 400")]);
    app.stage_orders(1);
    assert_eq!(at_once(&app, &app.key, 50, 20), (400, 600));
}

#[test]
fn a_reload_under_load_gives_nothing_away() {
    let app = start(&[("test", "1/h burst 300")]);
    app.stage_orders(1);
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0u32.. {
                if done.load(Ordering::Relaxed) == 1 {
                    break;
                }
                let test = ClientConfig { weight: round % 100 + 1, ..settings("1/h burst 300") };
                app.clients.reconfigure(ClientsConfig::new([("test".to_owned(), test)]));
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let ended = at_once(&app, &app.key, 10, 50);
        done.store(1, Ordering::Relaxed);
        assert_eq!(ended, (300, 200));
    });
    // A wider rate holds at once, less what was used.
    app.clients.reconfigure(clients(&[("test", "1/h burst 310")]));
    assert_eq!(at_once(&app, &app.key, 1, 20), (10, 10));
}

#[test]
fn failed_logins_are_slowed_and_keep_nobody_out() {
    let app = start(&[]);
    app.stage_orders(1);
    let mut connection = app.connect();
    let mut ended = [0, 0];
    for number in 0..1000 {
        let key = format!("Bearer tb_{number:012}_{}", "0".repeat(64));
        connection.send(&request("GET", "/v1", &[("Authorization", &key)], b""));
        let answer = connection.receive(true).unwrap();
        match answer.status {
            401 => ended[0] += 1,
            429 => {
                answer.problem(429, "rate-limited");
                assert_eq!(answer.json()["reason"], "failed_logins");
                assert!(answer.field("retry-after").is_some() && answer.field("ratelimit").is_none());
                ended[1] += 1;
            }
            other => panic!("{other}"),
        }
        if number % 100 == 99 {
            assert_eq!(app.get("/v1/orders/0001").status, 200);
        }
    }
    assert!(ended[0] >= 50 && ended[1] >= 100, "{ended:?}");
    // Nobody new is known for it.
    let known: Vec<String> = app.clients.status(100).into_iter().map(|client| client.name).collect();
    assert_eq!(known, ["test"]);
}

fn held(app: &TestApp) -> u32 {
    let metrics = app.metrics.render().unwrap();
    let line = metrics.lines().find_map(|line| line.strip_prefix("tollbridge_http_refusals_held ")).unwrap();
    line.parse().unwrap()
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An app of which `test` has had its burst, and a request of it that brings a refusal.
fn exhausted(time: Duration) -> (TestApp, Vec<u8>) {
    let hold = Hold { time, above: 1 };
    let clients = clients(&[("test", "1/h burst 1"), ("other", "1/h burst 1")]);
    let app = TestApp::with(Options { clients, hold, ..Options::default() });
    let ask = request("GET", "/v1", &[("Authorization", &format!("Bearer {}", app.key))], b"");
    assert_eq!(app.get("/v1").status, 200);
    (app, ask)
}

/// Sends request upon request on each of so many connections until all of them wait for an answer that is held back.
fn storm(app: &TestApp, ask: &[u8], count: usize) -> Vec<Connection> {
    std::thread::scope(|scope| {
        let looping = |_| {
            scope.spawn(|| {
                let mut connection = app.connect();
                connection.socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                let deadline = Instant::now() + Duration::from_secs(60);
                connection.send(ask);
                while held(app) < count as u32 {
                    assert!(Instant::now() < deadline, "never held");
                    if let Some(answer) = connection.receive(true) {
                        assert_eq!(answer.status, 429);
                        connection.send(ask);
                    }
                }
                connection.socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                connection
            })
        };
        let callers: Vec<_> = (0..count).map(looping).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    })
}

#[test]
fn a_loop_of_refusals_is_held_back_alone_and_let_go_with_its_callers() {
    let (app, ask) = exhausted(Duration::from_secs(3600));
    let callers = storm(&app, &ask, 4);
    assert_eq!(held(&app), 4);
    // Another client's refusals are not held, and who is served is served.
    let other = app.new_key_for("other", &["read"]);
    assert_eq!(get(&app, &other, "/v1").status, 200);
    get(&app, &other, "/v1").problem(429, "rate-limited");
    assert_eq!(get(&app, &app.new_key_for("third", &["read"]), "/v1").status, 200);
    drop(callers);
    until("held refusals end with their callers", || held(&app) == 0);
}

#[test]
fn a_held_refusal_comes_at_last() {
    let (app, ask) = exhausted(Duration::from_secs(2));
    let mut callers = storm(&app, &ask, 1);
    callers[0].receive(true).unwrap().problem(429, "rate-limited");
    assert_eq!(held(&app), 0);
}

#[test]
fn shutdown_does_not_wait_for_held_refusals() {
    let (mut app, ask) = exhausted(Duration::from_secs(3600));
    let mut callers = storm(&app, &ask, 2);
    assert_eq!(app.stop(), Drained { cut: 0 });
    for caller in &mut callers {
        caller.receive(true).unwrap().problem(429, "rate-limited");
        assert!(caller.is_closed_by_peer());
    }
}
