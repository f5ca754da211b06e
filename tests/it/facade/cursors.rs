//! Cursors while others write: whoever goes through a list page by page, or through a stream that breaks off again and
//! again, meets each record that stays as it is exactly once and in its order, whatever comes, goes and moves meanwhile.
//! And no cursor is taken but one that was given.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::app::TestApp;
use super::client::request;
use crate::support::dice::Dice;

/// A record's values: few, so that many are equal, and nulls.
#[derive(Clone, Copy, Debug)]
struct Row {
    status: Option<&'static str>,
    day: Option<usize>,
    amount: Option<usize>,
}

fn roll(dice: &mut Dice) -> Row {
    let mut below = |count: f64| dice.between(0.0, count) as usize;
    Row {
        status: [None, Some("open"), Some("closed")][below(3.0)],
        day: Some(below(5.0)).filter(|day| *day > 0),
        amount: Some(below(6.0)).filter(|amount| *amount > 0),
    }
}

/// Keys in no order that the numbers have, so that those of all kinds of records lie among each other.
fn key(number: usize) -> String {
    format!("{:06}", number * 7919 % 100_003)
}

fn payload(number: usize, row: Row, round: usize) -> String {
    let status = row.status.map_or("null".to_owned(), |status| format!("\"{status}\""));
    let day = row.day.map_or("null".to_owned(), |day| format!("\"2026-01-0{day}\""));
    let amount = row.amount.map_or("null".to_owned(), |amount| format!("{amount}0.50"));
    let key = key(number);
    format!(r#"{{"order_no":"{key}","status":{status},"ordered_on":{day},"amount":{amount},"round":{round}}}"#)
}

/// How a list is sorted: by these members, the largest first or not.
type Sort = &'static [(&'static str, bool)];

/// A question with its order, and which records belong to its answer.
type Case<'a> = (&'a str, Sort, &'a dyn Fn(&Value) -> bool);

/// The order of a list: no value is less than any, and the key decides last.
fn compare(sort: Sort, one: &Value, other: &Value) -> Ordering {
    for (member, descending) in sort {
        let order = match (&one[*member], &other[*member]) {
            (Value::Number(one), Value::Number(other)) => one.as_f64().unwrap().total_cmp(&other.as_f64().unwrap()),
            (one, other) => one.as_str().cmp(&other.as_str()).then(one.is_number().cmp(&other.is_number())),
        };
        let order = if *descending { order.reverse() } else { order };
        if order.is_ne() {
            return order;
        }
    }
    one["order_no"].as_str().cmp(&other["order_no"].as_str())
}

/// Somebody who writes: of the records that are not to stay some become others, some go, and new ones come.
struct Writer {
    dice: Dice,
    loose: Vec<usize>,
    newest: usize,
    round: usize,
}

impl Writer {
    fn write(&mut self, app: &TestApp) {
        self.round += 1;
        let mut changed: BTreeMap<usize, Row> = BTreeMap::new();
        for _ in 0..8 {
            let one = self.loose[self.dice.between(0.0, self.loose.len() as f64) as usize];
            changed.insert(one, roll(&mut self.dice));
        }
        for _ in 0..2 {
            self.newest += 1;
            self.loose.push(self.newest);
            changed.insert(self.newest, roll(&mut self.dice));
        }
        let staged: Vec<_> = changed.iter().map(|(one, row)| (key(*one), payload(*one, *row, self.round))).collect();
        let staged: Vec<_> = staged.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect();
        app.stage("orders.v1", &staged);
        let at = self.dice.between(0.0, self.loose.len() as f64) as usize;
        let gone = [self.loose.swap_remove(at), self.loose.swap_remove(0)].map(key);
        app.delete("orders.v1", &[&gone[0], &gone[1]]);
    }
}

/// Records that stay as they are, beside others that do not; and somebody who writes as long as `read` takes, which is
/// given a way to wait until something more was written.
fn while_others_write(count: usize, read: impl FnOnce(&TestApp, &[Value], &dyn Fn())) {
    let app = TestApp::start();
    let mut dice = Dice(7);
    let loose: Vec<usize> = (count..count + count / 4).collect();
    let staged: Vec<_> =
        (0..count + loose.len()).map(|number| (key(number), payload(number, roll(&mut dice), 0))).collect();
    let documents: Vec<_> = staged.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect();
    app.stage("orders.v1", &documents);
    let still: Vec<Value> = staged[..count].iter().map(|(_, payload)| serde_json::from_str(payload).unwrap()).collect();
    let (stops, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let mut writer = Writer { dice, newest: count + loose.len(), loose, round: 0 };
        let (app, stops, written) = (&app, &stops, &written);
        scope.spawn(move || {
            while !stops.load(SeqCst) {
                writer.write(app);
                written.fetch_add(1, SeqCst);
            }
        });
        // It ends also where the reading fails.
        struct Stops<'a>(&'a AtomicBool);
        impl Drop for Stops<'_> {
            fn drop(&mut self) {
                self.0.store(true, SeqCst);
            }
        }
        let _stops = Stops(stops);
        read(app, &still, &|| {
            let (before, since) = (written.load(SeqCst), Instant::now());
            // The one that was under way may have been before the last page.
            while written.load(SeqCst) < before + 2 {
                assert!(since.elapsed() < Duration::from_secs(120), "nothing is written any more");
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    });
}

/// Holds what was met against the records that stayed as they are, of which some belong to the answer.
#[track_caller]
fn check(what: &str, sort: Sort, met: &[Value], still: &[Value], belongs: &dyn Fn(&Value) -> bool) {
    // Each record stands behind the one before, as it was when it was read: so nothing is there twice as it is.
    for pair in met.windows(2) {
        assert_eq!(compare(sort, &pair[0], &pair[1]), Ordering::Less, "{what}: {} before {}", pair[0], pair[1]);
    }
    let mut expected: Vec<&Value> = still.iter().filter(|record| belongs(record)).collect();
    expected.sort_by(|one, other| compare(sort, one, other));
    let keys: HashSet<&str> = still.iter().map(|record| record["order_no"].as_str().unwrap()).collect();
    let unmoved: Vec<&Value> =
        met.iter().filter(|record| keys.contains(record["order_no"].as_str().unwrap())).collect();
    assert_eq!(unmoved, expected, "{what}");
    let changed = met.iter().filter(|record| record["round"] != 0).count();
    assert!(changed > 0, "{what}: nothing of what others wrote was met");
}

#[test]
fn what_stays_comes_once_whatever_others_write_between_the_pages() {
    let is = |member: &'static str, value: &'static str| move |record: &Value| record[member] == value;
    let any = |_: &Value| true;
    let cases: [Case<'_>; 8] = [
        ("", &[], &any),
        ("sort=status", &[("status", false)], &any),
        ("sort=-amount", &[("amount", true)], &any),
        ("sort=-status,amount", &[("status", true), ("amount", false)], &any),
        ("sort=ordered_on,-amount,status", &[("ordered_on", false), ("amount", true), ("status", false)], &any),
        ("sort=-amount&status[ne]=closed", &[("amount", true)], &|record| !is("status", "closed")(record)),
        ("sort=status&amount[null]=false", &[("status", false)], &|record| !record["amount"].is_null()),
        ("sort=-ordered_on&or=(status=open,amount[null]=true)", &[("ordered_on", true)], &|record| {
            is("status", "open")(record) || record["amount"].is_null()
        }),
    ];
    while_others_write(200, |app, still, more_is_written| {
        for (question, sort, belongs) in cases {
            let mut next = Some(format!("/v1/orders?{question}&limit=19").replace("?&", "?"));
            let (mut met, mut pages) = (Vec::new(), 0);
            while let Some(path) = next {
                let answer = app.get(&path);
                assert_eq!(answer.status, 200, "{path}: {answer:?}");
                let body = answer.json();
                met.extend(body["data"].as_array().unwrap().iter().cloned());
                next = body["page"]["next"].as_str().map(str::to_owned);
                pages += 1;
                assert!(pages < 1000, "{question}: it does not end");
                more_is_written();
            }
            assert!(pages > 3, "{question}: {pages} pages");
            check(question, sort, &met, still, belongs);
        }
    });
}

#[test]
fn what_stays_comes_once_in_a_stream_that_is_gone_on_with() {
    let cases: [(&str, Sort); 3] = [
        ("/v1/orders", &[]),
        ("/v1/orders?sort=-status,amount", &[("status", true), ("amount", false)]),
        ("/v1/orders?sort=ordered_on", &[("ordered_on", false)]),
    ];
    while_others_write(1100, |app, still, more_is_written| {
        let bearer = format!("Bearer {}", app.key);
        let fields = [("Authorization", bearer.as_str()), ("Accept", "application/x-ndjson; cursors=true")];
        for (path, sort) in cases {
            let (mut next, mut met, mut streams) = (Some(path.to_owned()), Vec::new(), 0);
            while let Some(path) = next {
                let mut connection = app.connect();
                connection.send(&request("GET", &path, &fields, b""));
                assert_eq!(connection.receive(false).unwrap().status, 200, "{path}");
                // Up to where it says how to go on; what comes behind that comes again.
                let mut text = Vec::new();
                let aside = loop {
                    text.extend(connection.chunk().expect("more of the stream"));
                    let lines = std::str::from_utf8(&text).unwrap().split_inclusive('\n');
                    let whole = lines.filter(|line| line.ends_with('\n'));
                    let lines: Vec<Value> = whole.map(|line| serde_json::from_str(line).unwrap()).collect();
                    if let Some(at) = lines.iter().position(|line| line.get("$next").is_some()) {
                        met.extend(lines[..at].iter().cloned());
                        break lines[at].clone();
                    }
                };
                next = aside["$next"].as_str().map(str::to_owned);
                streams += 1;
                assert!(streams < 1000, "{path}: it does not end");
                more_is_written();
            }
            assert!(streams > 2, "{path}: {streams} streams");
            check(path, sort, &met, still, &|_| true);
        }
    });
}

/// What somebody might make of a cursor.
fn forged(cursor: &str) -> Vec<String> {
    let mut forged = Vec::new();
    for at in 0..cursor.len() {
        let (before, rest) = cursor.split_at(at);
        let other = if rest.starts_with('A') { 'B' } else { 'A' };
        forged.push(format!("{before}{other}{}", &rest[1..]));
        forged.push(before.to_owned());
    }
    forged.extend(["A", "AA", "AAAA", "%3D", "%0A", "%00"].map(|more| format!("{cursor}{more}")));
    forged.push(format!("{cursor}{cursor}"));
    forged
}

/// The values of one cursor under the seal of another.
fn mixed(one: &str, other: &str) -> String {
    let bytes = [one, other].map(|cursor| URL_SAFE_NO_PAD.decode(cursor).unwrap());
    let seal = &bytes[1][bytes[1].len() - 16..];
    URL_SAFE_NO_PAD.encode([&bytes[0][..bytes[0].len() - 16], seal].concat())
}

#[test]
fn no_cursor_of_a_list_is_taken_but_one_that_was_given() {
    let app = TestApp::start();
    app.stage_orders(20);
    let page = |path: &str| {
        let next = app.get(path).json()["page"]["next"].as_str().unwrap().to_owned();
        next.split_once("cursor=").unwrap().1.to_owned()
    };
    let first = page("/v1/orders?sort=-amount&limit=3");
    let second = page(&format!("/v1/orders?sort=-amount&limit=3&cursor={first}"));
    let ask = |cursor: &str| app.get(&format!("/v1/orders?sort=-amount&cursor={cursor}"));
    assert_eq!((ask(&first).status, ask(&second).status), (200, 200));
    for cursor in forged(&first) {
        ask(&cursor).problem(400, "invalid-cursor");
    }
    // Neither the values of one page nor its seal are of use with those of another.
    ask(&mixed(&first, &second)).problem(400, "invalid-cursor");
    // Nor is a cursor with another question.
    for other in ["sort=amount", "sort=-amount,status", "sort=-amount&status=open", "sort=-amount&or=(status=open)"] {
        app.get(&format!("/v1/orders?{other}&cursor={first}")).problem(400, "invalid-cursor");
    }
    // How it is shown is no part of the question.
    for same in ["sort=-amount&limit=1", "sort=-amount&fields=order_no", "sort=-amount&count=true"] {
        assert_eq!(app.get(&format!("/v1/orders?{same}&cursor={first}")).status, 200, "{same}");
    }
}

#[test]
fn no_cursor_of_a_feed_is_taken_but_one_that_was_given() {
    let app = TestApp::start();
    app.stage_orders(20);
    let behind = |count: usize| {
        let page = app.get(&format!("/v1/orders/changes?limit={count}")).json();
        page["since"].as_str().unwrap().to_owned()
    };
    let (first, second) = (behind(3), behind(5));
    let ask = |cursor: &str| app.get(&format!("/v1/orders/changes?since={cursor}"));
    assert_eq!((ask(&first).status, ask(&second).status), (200, 200));
    for cursor in forged(&first).iter().filter(|cursor| !cursor.is_empty()) {
        ask(cursor).problem(400, "invalid-cursor");
    }
    ask(&mixed(&first, &second)).problem(400, "invalid-cursor");
    let events = |cursor: &str| {
        app.get_with("/v1/orders/changes", &[("Accept", "text/event-stream"), ("Last-Event-ID", cursor)])
    };
    for cursor in forged(&first).iter().filter(|cursor| !cursor.is_empty() && !cursor.contains('%')) {
        events(cursor).problem(400, "invalid-cursor");
    }
    // A list is gone on with by cursors of its own.
    app.get(&format!("/v1/orders?cursor={first}")).problem(400, "invalid-cursor");
}
