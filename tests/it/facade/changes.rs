//! `GET /v1/{resource}/changes`

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use futures_util::StreamExt;
use serde_json::Value;
use tollbridge::http::ServerConfig;
use tower::ServiceExt;

use super::app::{Options, TestApp};
use super::client::{Connection, request};
use crate::support::dice::Dice;

const NDJSON: (&str, &str) = ("Accept", "application/x-ndjson");
const EVENTS: (&str, &str) = ("Accept", "text/event-stream");

fn sequences(body: &Value) -> Vec<u64> {
    body["data"].as_array().unwrap().iter().map(|change| change["sequence"].as_u64().unwrap()).collect()
}

#[test]
fn the_feed_can_be_followed_without_gaps() {
    let app = TestApp::start();
    app.stage_orders(5);
    let first = app.get("/v1/orders/changes?limit=3").json();
    assert_eq!((sequences(&first), &first["page"]["complete"]), (vec![1, 2, 3], &false.into()));
    assert_eq!(first["data"][0]["href"], "/v1/orders/0001");
    let second = app.get(first["page"]["next"].as_str().unwrap()).json();
    assert_eq!((sequences(&second), &second["page"]["complete"]), (vec![4, 5], &true.into()));

    let idle = app.get(second["page"]["next"].as_str().unwrap()).json();
    assert_eq!((sequences(&idle), &idle["since"]), (vec![], &second["data"][1]["cursor"]));
    app.stage("orders.v1", &[("0004", "{\"order_no\":\"0004\"}")]);
    let later = app.get(idle["page"]["next"].as_str().unwrap()).json();
    assert_eq!(sequences(&later), [6]);
    assert_eq!((&later["data"][0]["key"], &later["data"][0]["version"]), (&"0004".into(), &2.into()));
    // The cursor of any change goes on behind it.
    let third = first["data"][2]["cursor"].as_str().unwrap();
    assert_eq!(sequences(&app.get(&format!("/v1/orders/changes?since={third}")).json()), [4, 5, 6]);
    let now = app.get("/v1/orders/changes?since=now").json();
    assert_eq!((sequences(&now), &now["since"]), (vec![], &later["since"]));
}

#[test]
fn a_cursor_that_is_not_of_this_feed_is_refused() {
    let app = TestApp::start();
    app.stage_orders(2);
    app.stage("stock.v1", &[("A~1", "{}")]);
    let cursor = app.get("/v1/orders/changes").json()["since"].as_str().unwrap().to_owned();
    let since = |cursor: &str| app.get(&format!("/v1/orders/changes?since={cursor}"));
    assert_eq!(since(&cursor).status, 200);
    let changed = format!("{}{}", if cursor.starts_with('B') { "C" } else { "B" }, &cursor[1..]);
    for odd in [changed.as_str(), "1", "-1", "18446744073709551615", "", "x", "%20"] {
        assert!(since(odd).problem(400, "invalid-cursor").contains("since=now"), "{odd}");
    }
    app.get(&format!("/v1/stock/changes?since={cursor}")).problem(400, "invalid-cursor");
    app.get_with("/v1/orders/changes", &[EVENTS, ("Last-Event-ID", "12")]).problem(400, "invalid-cursor");
    app.get("/v1/orders/changes?limit=0").problem(400, "invalid-parameter");
    app.get("/v1/orders/changes?from=1").problem(400, "unknown-parameter");
}

#[test]
fn a_place_behind_the_end_is_of_a_feed_that_is_no_more() {
    let app = TestApp::start();
    app.stage_orders(5);
    let cursor = app.get("/v1/orders/changes").json()["since"].as_str().unwrap().to_owned();
    // The same installation with a new database.
    let app = TestApp::start();
    app.stage_orders(2);
    for form in [("Accept", "application/json"), NDJSON, EVENTS] {
        let answer = app.get_with(&format!("/v1/orders/changes?since={cursor}"), &[form]);
        assert!(answer.problem(410, "feed-restarted").contains("number 2"), "{form:?}");
    }
}

#[test]
fn changes_that_were_overtaken_are_forgotten_and_old_cursors_with_them() {
    let app = TestApp::start();
    let stage =
        |key: &str, value: u32| app.stage("orders.v1", &[(key, &format!("{{\"order_no\":\"{key}\",\"n\":{value}}}"))]);
    stage("A", 1);
    stage("B", 1);
    let old = app.get("/v1/orders/changes?limit=1").json()["since"].as_str().unwrap().to_owned();
    stage("A", 2);
    stage("A", 3);
    let young = app.get("/v1/orders/changes").json()["since"].as_str().unwrap().to_owned();
    stage("B", 2);
    let forget = |moment: jiff::Timestamp| {
        app.runtime.block_on(app.staging.forget_overtaken(&"orders.v1".parse().unwrap(), moment)).unwrap()
    };
    let now = jiff::Timestamp::now();
    assert_eq!(forget(now - jiff::SignedDuration::from_secs(60)), 0);
    assert_eq!(forget(now + jiff::SignedDuration::from_secs(1)), 3);
    assert_eq!(forget(now + jiff::SignedDuration::from_secs(1)), 0);
    app.get(&format!("/v1/orders/changes?since={old}")).problem(410, "feed-restarted");
    assert_eq!(sequences(&app.get(&format!("/v1/orders/changes?since={young}")).json()), [5]);
    // From the beginning it says all that is there, page by page.
    let first = app.get("/v1/orders/changes?limit=1").json();
    let second = app.get(first["page"]["next"].as_str().unwrap()).json();
    assert_eq!((sequences(&first), sequences(&second), &second["page"]["complete"]), (vec![4], vec![5], &true.into()));
    let lineage = app.get("/v1/orders/A/lineage").json();
    assert_eq!(lineage["lineage"].as_array().map(Vec::len), Some(1));
    assert_eq!(lineage["lineage"][0]["version"], 3);
    stage("A", 4);
    assert_eq!(app.get("/v1/orders/A/lineage").json()["lineage"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_long_poll_answers_when_something_comes_or_its_time_is_over() {
    let app = TestApp::start();
    app.stage_orders(1);
    let next = app.get("/v1/orders/changes").json()["page"]["next"].as_str().unwrap().to_owned();
    let began = Instant::now();
    let idle = app.get_with(&next, &[("Prefer", "wait=1")]);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!((sequences(&idle.json()), idle.field("preference-applied")), (vec![], Some("wait=1")));
    for form in [("Accept", "application/json"), NDJSON] {
        let next = app.get("/v1/orders/changes?since=now").json()["page"]["next"].as_str().unwrap().to_owned();
        let (answer, took) = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let began = Instant::now();
                (app.get_with(&next, &[form, ("Prefer", "wait=20")]), began.elapsed())
            });
            std::thread::sleep(Duration::from_millis(300));
            app.stage("orders.v1", &[("0001", &format!("{{\"order_no\":\"0001\",\"by\":\"{}\"}}", form.1))]);
            waiting.join().unwrap()
        });
        assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(15), "{took:?}");
        match form {
            NDJSON => {
                let lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                assert_eq!((lines.len(), &lines[0]["key"]), (1, &"0001".into()));
            }
            _ => assert_eq!(answer.json()["data"][0]["key"], "0001"),
        }
    }
}

#[test]
fn lines_are_all_that_there_is() {
    let app = TestApp::start();
    app.stage_orders(1203);
    let all = app.get_with("/v1/orders/changes", &[NDJSON]);
    assert_eq!((all.field("content-type"), all.text().lines().count()), (Some("application/x-ndjson"), 1203));
    let line: Value = serde_json::from_str(all.text().lines().nth(1000).unwrap()).unwrap();
    let rest = app.get_with(&format!("/v1/orders/changes?since={}", line["cursor"].as_str().unwrap()), &[NDJSON]);
    assert_eq!(rest.text(), all.text().lines().skip(1001).map(|line| format!("{line}\n")).collect::<String>());
}

/// A client of events, as the HTML standard describes one.
struct Source {
    connection: Connection,
    text: String,
    last_id: String,
    comments: usize,
}

impl Source {
    fn open(app: &TestApp, path: &str, last_id: &str) -> Source {
        Source::try_open(app, path, last_id).unwrap_or_else(|status| panic!("{path}: {status}"))
    }

    /// The status of another answer than a stream.
    fn try_open(app: &TestApp, path: &str, last_id: &str) -> Result<Source, u16> {
        let mut connection = app.connect();
        let bearer = format!("Bearer {}", app.key);
        let mut fields = vec![("Authorization", bearer.as_str()), EVENTS];
        if !last_id.is_empty() {
            fields.push(("Last-Event-ID", last_id));
        }
        connection.send(&request("GET", path, &fields, b""));
        let head = connection.receive(false).unwrap();
        if head.status != 200 {
            return Err(head.status);
        }
        assert_eq!((head.field("content-type"), head.field("content-encoding")), (Some("text/event-stream"), None));
        Ok(Source { connection, text: String::new(), last_id: last_id.to_owned(), comments: 0 })
    }

    /// The next event's data; `None` when the connection ends, or is silent for its read timeout.
    fn next(&mut self) -> Option<Value> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                let mut data = None;
                for line in block.lines() {
                    match line.split_once(": ") {
                        Some(("id", id)) => self.last_id = id.to_owned(),
                        Some(("data", json)) => data = Some(serde_json::from_str(json).unwrap()),
                        Some(("retry", time)) => assert!(time.parse::<u32>().unwrap() > 0),
                        Some(("", _)) => self.comments += 1,
                        other => assert!(line.is_empty(), "{other:?}"),
                    }
                }
                if data.is_some() {
                    return data;
                }
            }
            let chunk = self.connection.chunk().filter(|chunk| !chunk.is_empty())?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[test]
fn events_come_as_they_happen_and_go_on_behind_the_last_one() {
    let server = ServerConfig { heartbeat: Duration::from_millis(100), ..ServerConfig::default() };
    let mut app = TestApp::with(Options { server, ..Options::default() });
    app.stage_orders(3);
    let mut source = Source::open(&app, "/v1/orders/changes", "");
    let keys: Vec<Value> = (0..3).map(|_| source.next().unwrap()["key"].clone()).collect();
    assert_eq!(keys, ["0001", "0002", "0003"]);
    // Nothing happens for a while: the connection is kept alive.
    std::thread::sleep(Duration::from_millis(500));
    app.delete("orders.v1", &["0002"]);
    let began = Instant::now();
    let deleted = source.next().unwrap();
    assert_eq!(
        (&deleted["kind"], &deleted["key"], &deleted["etag"]),
        (&"deleted".into(), &"0002".into(), &Value::Null)
    );
    assert!(source.comments >= 2 && began.elapsed() < Duration::from_secs(10), "{}", source.comments);
    let last_id = source.last_id.clone();
    assert_eq!(Some(last_id.as_str()), deleted["cursor"].as_str());
    drop(source);
    app.stage("orders.v1", &[("0002", "{\"order_no\":\"0002\"}")]);
    // What the client has is more than what its address says.
    let mut source = Source::open(&app, "/v1/orders/changes?since=0", &last_id);
    let again = source.next().unwrap();
    assert_eq!((&again["sequence"], &again["kind"], &again["version"]), (&5.into(), &"created".into(), &3.into()));
    // Followers do not hold up the end of the service.
    let began = Instant::now();
    let drained = app.stop();
    assert!(drained.cut == 0 && began.elapsed() < Duration::from_secs(10), "{drained:?}");
    assert_eq!(source.next(), None);
}

#[test]
fn a_cursor_is_good_after_a_restart() {
    let mut app = TestApp::start();
    app.stage_orders(4);
    let cursor = app.get("/v1/orders/changes?limit=2").json()["since"].as_str().unwrap().to_owned();
    app.stop();
    let folder = std::mem::replace(&mut app.folder, tempfile::tempdir().unwrap());
    drop(app);
    let app = TestApp::with(Options { folder: Some(folder), ..Options::default() });
    assert_eq!(sequences(&app.get(&format!("/v1/orders/changes?since={cursor}")).json()), [3, 4]);
}

/// What a counter of the metrics says.
fn counter(app: &TestApp, name: &str) -> u64 {
    let metrics = app.metrics.render().unwrap();
    let line = metrics.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit_once(' ')).map_or(0, |(_, value)| value.parse().unwrap())
}

#[test]
fn a_thousand_followers_cost_one_watcher_and_one_read() {
    const FOLLOWERS: u64 = 1000;
    let app = TestApp::start();
    app.stage_orders(2);
    let service = tollbridge::facade::service(app.facade.clone());
    let bearer = format!("Bearer {}", app.key);
    let mut followers = Vec::new();
    let wait_until = |what: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !what() {
            assert!(began.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let told = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    for _ in 0..FOLLOWERS {
        let request = axum::http::Request::get("/v1/orders/changes?since=now").header("Authorization", &bearer);
        let request = request.header("Host", "localhost").header("Accept", "text/event-stream");
        let request = request.body(Body::empty()).unwrap();
        let response = app.runtime.block_on(service.clone().oneshot(request)).unwrap();
        assert_eq!(response.status(), 200);
        let told = told.clone();
        followers.push(app.runtime.spawn(async move {
            let mut body = response.into_body().into_data_stream();
            while let Some(Ok(piece)) = body.next().await {
                let events = String::from_utf8(piece.to_vec()).unwrap().matches("data: ").count();
                told.fetch_add(events as u64, Ordering::Relaxed);
            }
        }));
    }
    assert_eq!(counter(&app, "tollbridge_feed_followers{"), FOLLOWERS);
    // Each has looked once where it stands: a check and a read at the end. Then only the watcher looks.
    wait_until(&|| counter(&app, "tollbridge_feed_reads_total{") >= FOLLOWERS * 3);
    let (reads, looks) = (counter(&app, "tollbridge_feed_reads_total{"), counter(&app, "tollbridge_feed_looks_total"));
    let began = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(counter(&app, "tollbridge_feed_reads_total{"), reads);
    let looked = counter(&app, "tollbridge_feed_looks_total") - looks;
    assert!(looked >= 1 && u128::from(looked) <= began.elapsed().as_millis() / 100 + 2, "{looked}");
    app.stage("orders.v1", &[("0001", "{\"order_no\":\"0001\"}"), ("0009", "{\"order_no\":\"0009\"}")]);
    wait_until(&|| told.load(Ordering::Relaxed) == 2 * FOLLOWERS);
    let read = counter(&app, "tollbridge_feed_reads_total{") - reads;
    assert!(read <= 5, "{read} reads for {FOLLOWERS} followers");
    // When nobody waits any more, nobody looks.
    followers.iter().for_each(tokio::task::JoinHandle::abort);
    wait_until(&|| counter(&app, "tollbridge_feed_followers{") == 0);
    std::thread::sleep(Duration::from_millis(300));
    let looks = counter(&app, "tollbridge_feed_looks_total");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(counter(&app, "tollbridge_feed_looks_total"), looks);
}

/// A copy of the resource, kept by its feed alone.
struct Copy<'a> {
    app: &'a TestApp,
    records: BTreeMap<String, String>,
    cursor: String,
    dice: Dice,
    begun: u32,
}

impl Copy<'_> {
    fn roll(&mut self, sides: u32) -> u32 {
        self.dice.between(0.0, f64::from(sides)) as u32
    }

    /// Begins with all records.
    fn begin(&mut self) {
        self.begun += 1;
        self.cursor = self.app.get("/v1/orders/changes?since=now").json()["since"].as_str().unwrap().to_owned();
        let all = self.app.get_with("/v1/orders", &[NDJSON]);
        let key = |line: &str| serde_json::from_str::<Value>(line).unwrap()["order_no"].as_str().unwrap().to_owned();
        self.records = all.text().lines().map(|line| (key(line), line.to_owned())).collect();
    }

    /// Takes in a change by its record as it is now.
    fn take_in(&mut self, change: &Value) {
        let record = self.app.get(change["href"].as_str().unwrap());
        let key = change["key"].as_str().unwrap().to_owned();
        match record.status {
            200 => drop(self.records.insert(key, record.text().to_owned())),
            404 => drop(self.records.remove(&key)),
            other => panic!("{other}"),
        }
        self.cursor = change["cursor"].as_str().unwrap().to_owned();
    }

    /// Asks once, in one way or another, and takes in some of what is told; answers whether it is said that there is nothing.
    fn go_on(&mut self) -> bool {
        let path = format!("/v1/orders/changes?since={}", self.cursor);
        let (manner, most) = (self.roll(3), 1 + self.roll(6) as usize);
        let changes: Vec<Value> = match manner {
            0 => {
                let answer = self.app.get(&format!("{path}&limit={most}"));
                if answer.status == 410 {
                    self.begin();
                    return false;
                }
                answer.json()["data"].as_array().unwrap().clone()
            }
            1 => {
                let answer = self.app.get_with(&path, &[NDJSON]);
                if answer.status == 410 {
                    self.begin();
                    return false;
                }
                answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
            }
            _ => {
                // The address is the first one; the place is what the client remembers.
                let mut source = match Source::try_open(self.app, "/v1/orders/changes", &self.cursor) {
                    Ok(source) => source,
                    Err(status) => {
                        assert_eq!(status, 410);
                        self.begin();
                        return false;
                    }
                };
                source.connection.socket.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
                std::iter::from_fn(|| source.next()).take(most).collect()
            }
        };
        let numbers: Vec<u64> = changes.iter().map(|change| change["sequence"].as_u64().unwrap()).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        // The connection breaks off anywhere.
        changes.iter().take(most).for_each(|change| self.take_in(change));
        // Events that are silent for a moment may only be late.
        changes.is_empty() && manner < 2
    }
}

/// Whatever happens, and wherever the follower is torn off, its copy is what is staged in the end.
#[test]
fn a_copy_kept_by_the_feed_is_the_staged_state() {
    for seed in [1, 2, 3] {
        let app = TestApp::start();
        app.stage_orders(20);
        let is_over = AtomicBool::new(false);
        let (copy, begun) = std::thread::scope(|scope| {
            let following = scope.spawn(|| {
                let (records, cursor) = (BTreeMap::new(), String::new());
                let mut copy = Copy { app: &app, records, cursor, dice: Dice(seed), begun: 0 };
                copy.begin();
                loop {
                    let was_over = is_over.load(Ordering::SeqCst);
                    if copy.go_on() && was_over {
                        return (copy.records, copy.begun);
                    }
                }
            });
            let mut dice = Dice(seed + 100);
            for round in 0..60 {
                let key = |dice: &mut Dice| format!("{:04}", dice.between(1.0, 31.0) as u32);
                let document = |key: &str| format!("{{\"order_no\":\"{key}\",\"status\":\"{round}\"}}");
                match dice.between(0.0, 12.0) as u32 {
                    0..=5 => {
                        let mut keys: Vec<String> = (0..1 + round % 5).map(|_| key(&mut dice)).collect();
                        keys.sort();
                        keys.dedup();
                        let made: Vec<(String, String)> = keys.iter().map(|key| (key.clone(), document(key))).collect();
                        let documents: Vec<(&str, &str)> =
                            made.iter().map(|(key, json)| (key.as_str(), json.as_str())).collect();
                        app.stage("orders.v1", &documents);
                    }
                    6..=8 => app.delete("orders.v1", &[&key(&mut dice)]),
                    9 => app.forget("orders.v1"),
                    10 => {
                        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
                        let id = "orders.v1".parse().unwrap();
                        app.runtime.block_on(app.staging.forget_overtaken(&id, soon)).unwrap();
                    }
                    _ => {
                        let (one, other) = (key(&mut dice), "0100");
                        app.sweep("orders.v1", &[(&one, &document(&one)), (other, &document(other))]);
                    }
                }
            }
            is_over.store(true, Ordering::SeqCst);
            following.join().unwrap()
        });
        let staged = app.get_with("/v1/orders", &[NDJSON]);
        let copied: Vec<&String> = copy.values().collect();
        assert_eq!(copied, staged.text().lines().collect::<Vec<_>>(), "seed {seed}, begun {begun} times");
    }
}
