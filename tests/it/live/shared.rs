//! Who waits for a call, who leaves it, and what the service has of that.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use super::erp::{Erp, Reply};
use super::site::{LiveSite, Running, ms, new_key};
use crate::facade::client::{exchange, request};

/// So many GETs at once; their statuses, and how often `Cache-Status` says that a call was shared.
fn at_once(site: &Running, count: usize, path: &str) -> (Vec<u16>, usize) {
    let start = Barrier::new(count);
    std::thread::scope(|scope| {
        let ask = || {
            start.wait();
            site.get(path)
        };
        let callers: Vec<_> = (0..count).map(|_| scope.spawn(ask)).collect();
        let answers: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
        let shared = |field: Option<&str>| field.is_some_and(|status| status.ends_with("; collapsed"));
        let count = answers.iter().filter(|answer| shared(answer.field("cache-status"))).count();
        (answers.iter().map(|answer| answer.status).collect(), count)
    })
}

#[test]
fn equal_reads_share_one_call_and_others_do_not() {
    let erp = Erp::start(|call| Reply::order(&call.order_no, "1.00").after(ms(400)));
    let site = LiveSite::new(&erp.url()).gate("max_in_flight = 2").start();
    let (statuses, shared) = at_once(&site, 20, "/v1/orders/7");
    assert_eq!((statuses, shared, erp.count()), (vec![200; 20], 19, 1));
    // What was answered is not kept.
    assert_eq!((site.get("/v1/orders/7").status, erp.count()), (200, 2));
    std::thread::scope(|scope| {
        let one = scope.spawn(|| site.get("/v1/orders/1").status);
        let other = scope.spawn(|| site.get("/v1/orders/2").status);
        assert_eq!((one.join().unwrap(), other.join().unwrap()), (200, 200));
    });
    assert_eq!(erp.count(), 4);
}

#[test]
fn a_fault_is_told_to_all_who_wait_and_forgotten() {
    let erp = Erp::start(|_| Reply::fault(500, "s:Server", "locked").after(ms(400)));
    let site = LiveSite::new(&erp.url()).start();
    assert_eq!((at_once(&site, 5, "/v1/orders/7").0, erp.count()), (vec![502; 5], 1));
    erp.script(|call| Reply::order(&call.order_no, "1.00"));
    assert_eq!(site.get("/v1/orders/7").status, 200);
}

/// Sends a GET and leaves.
fn ask_and_leave(site: &Running, path: &str, erp: &Erp, calls: usize) {
    let mut stream = TcpStream::connect(site.address()).unwrap();
    stream.write_all(&site.request(path, &[])).unwrap();
    site.until(|| (erp.count() >= calls).then_some(()));
    drop(stream);
}

#[test]
fn a_call_goes_on_when_its_first_caller_leaves_and_the_others_have_their_answer() {
    let erp = Erp::start(|call| Reply::order(&call.order_no, "1.00").after(ms(700)));
    let site = LiveSite::new(&erp.url()).start();
    let mut first = TcpStream::connect(site.address()).unwrap();
    first.write_all(&site.request("/v1/orders/7", &[])).unwrap();
    site.until(|| (erp.in_flight() == 1).then_some(()));
    std::thread::scope(|scope| {
        let second = scope.spawn(|| site.get("/v1/orders/7"));
        std::thread::sleep(ms(200));
        drop(first);
        assert_eq!(second.join().unwrap().status, 200);
    });
    assert_eq!(erp.count(), 1);
}

#[test]
fn whoever_leaves_does_not_free_the_place_of_a_call_that_the_service_works_on() {
    let erp = Erp::start(|call| Reply::order(&call.order_no, "1.00").after(ms(800)));
    let gate = "max_in_flight = 1\nqueue_timeout = \"150ms\"\nsettle = \"0s\"";
    let site = LiveSite::new(&erp.url()).gate(gate).start();
    ask_and_leave(&site, "/v1/orders/1", &erp, 1);
    std::thread::sleep(ms(100));
    site.get("/v1/orders/2").problem(503, "backend-busy");
    assert_eq!((erp.count(), erp.in_flight()), (1, 1));
    site.until(|| (erp.in_flight() == 0).then_some(()));
    // Free as soon as the answer was there, and the connection is used again.
    let answer = site.until(|| Some(site.get("/v1/orders/3")).filter(|answer| answer.status == 200));
    assert!(answer.text().contains("\"3\""));
    assert_eq!((erp.most_in_flight(), site.gate()["lingering"].as_u64()), (1, Some(0)));
}

#[test]
fn a_call_that_still_waits_is_given_up_when_all_have_left() {
    let may_answer = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&may_answer);
    let erp = Erp::start(move |call| {
        while !held.load(Ordering::SeqCst) {
            std::thread::sleep(ms(10));
        }
        Reply::order(&call.order_no, "1.00")
    });
    let site = LiveSite::new(&erp.url()).gate("max_in_flight = 1\nqueue_timeout = \"30s\"").start();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| site.get("/v1/orders/1").status);
        site.until(|| (erp.in_flight() == 1).then_some(()));
        let mut second = TcpStream::connect(site.address()).unwrap();
        second.write_all(&site.request("/v1/orders/2", &[])).unwrap();
        site.until(|| (site.gate()["queued"] == 1).then_some(()));
        drop(second);
        site.until(|| (site.gate()["queued"] == 0).then_some(()));
        may_answer.store(true, Ordering::SeqCst);
        assert_eq!(first.join().unwrap(), 200);
    });
    assert_eq!(erp.calls().iter().map(|call| call.order_no.as_str()).collect::<Vec<_>>(), ["1"]);
}

#[test]
fn a_caller_says_how_long_it_waits() {
    let erp = Erp::start(|call| Reply::order(&call.order_no, "1.00").after(ms(2500)));
    let site = LiveSite::new(&erp.url()).gate("max_in_flight = 1\nqueue_timeout = \"10s\"").start();
    let began = std::time::Instant::now();
    let answer = site.get_with("/v1/orders/1", &[("Prefer", "respond-async, wait=1")]);
    answer.problem(504, "backend-timeout");
    assert_eq!(
        (answer.json()["reason"].as_str(), answer.field("preference-applied")),
        (Some("wait_over"), Some("wait=1"))
    );
    assert!(began.elapsed() < ms(2400), "{:?}", began.elapsed());
    // In the queue its time counts too.
    let answer = site.get_with("/v1/orders/2", &[("Prefer", "wait=1")]);
    answer.problem(503, "backend-busy");
    // Its neighbours wait as long as the gate has it; the preference is honoured when the answer is in time.
    let answer = site.get_with("/v1/orders/3", &[("Prefer", "wait=20")]);
    assert_eq!((answer.status, answer.field("preference-applied")), (200, Some("wait=20")));
    assert_eq!((site.get("/v1/orders/4").field("preference-applied"), erp.most_in_flight()), (None, 1));
}

#[test]
fn another_clients_refusal_is_not_ours() {
    let erp = Erp::start(|call| match call.order_no.as_str() {
        "1" => Reply::order("1", "1.00").after(ms(2500)),
        other => Reply::order(other, "1.00"),
    });
    let site = LiveSite::new(&erp.url()).gate("max_in_flight = 1\nqueue_timeout = \"10s\"").start();
    let bearer = format!("Bearer {}", new_key(&site.site, "other"));
    let patient = request("GET", "/v1/orders/2", &[("Authorization", bearer.as_str())], b"");
    let (site, patient) = (&site, &patient);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| site.get("/v1/orders/1").status);
        site.until(|| (erp.in_flight() == 1).then_some(()));
        // It leads the flight, with no time to wait for its end.
        let hasty = scope.spawn(|| site.get_with("/v1/orders/2", &[("Prefer", "wait=1")]).status);
        site.until(|| (site.gate()["queued"] == 1).then_some(()));
        let patient = scope.spawn(|| exchange(site.address(), patient).unwrap().status);
        assert_eq!((first.join().unwrap(), hasty.join().unwrap(), patient.join().unwrap()), (200, 503, 200));
    });
}

#[test]
fn a_call_that_cannot_have_begun_is_tried_again_within_its_budget() {
    // Nobody listens: every try is a connection that is refused.
    let url = Erp::with_every_order().url();
    let site = LiveSite::new(&url).gate("breaker = { failures = 0 }\nretry = { attempts = 2, budget = 0.1 }").start();
    for number in 0..20 {
        site.get(&format!("/v1/orders/{number}")).problem(503, "backend-unavailable");
    }
    let metrics = site.metrics();
    let line =
        metrics.lines().find(|line| line.contains("call_seconds_count") && line.contains("unreachable")).unwrap();
    let tries: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((22..=24).contains(&tries), "{line}");
}

#[test]
fn what_the_service_may_have_begun_is_never_tried_again() {
    let erp = Erp::start(|call| match call.order_no.as_str() {
        "gone" => Reply::Gone,
        "busy" => Reply::Answer(503, "text/plain", "limit reached".to_owned()),
        "cut" => Reply::Cut(super::erp::order("cut", "1.00")),
        _ => Reply::fault(500, "s:Server", "limit reached"),
    });
    let site = LiveSite::new(&erp.url()).gate("settle = \"0s\"\nretry = { attempts = 5, budget = 1.0 }").start();
    for key in ["gone", "busy", "cut", "fault"] {
        assert_eq!(site.get(&format!("/v1/orders/{key}")).status, 502, "{key}");
    }
    assert_eq!(erp.count(), 4);
}

#[test]
fn a_crowd_of_which_half_leaves_never_exceeds_the_cap_and_everybody_else_is_answered() {
    let erp = Erp::start(|call| {
        // Between 10 and 40 ms, by the key.
        let number: u64 = call.order_no.parse().unwrap();
        Reply::order(&call.order_no, "1.00").after(ms(10 + number * 7 % 31))
    });
    let gate = "max_in_flight = 4\nqueue = 1000\nqueue_timeout = \"60s\"\nsettle = \"0s\"";
    let site = LiveSite::new(&erp.url()).gate(gate).start();
    // Those who leave are another client: the gate learns how long each client's callers stay.
    let hasty = format!("Bearer {}", new_key(&site.site, "hasty"));
    const CALLERS: usize = 160;
    let start = Barrier::new(CALLERS);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let one = |number: usize| {
            let (site, start, hasty) = (&site, &start, hasty.as_str());
            move || {
                let path = format!("/v1/orders/{number}");
                start.wait();
                if number.is_multiple_of(2) {
                    let request = request("GET", &path, &[("Authorization", hasty)], b"");
                    let mut stream = TcpStream::connect(site.address()).unwrap();
                    stream.write_all(&request).unwrap();
                    std::thread::sleep(ms(number as u64 * 13 % 400));
                    return 0;
                }
                site.get(&path).status
            }
        };
        let callers: Vec<_> = (0..CALLERS).map(|number| scope.spawn(one(number))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).filter(|status| *status > 0).collect()
    });
    assert_eq!(statuses, vec![200; CALLERS / 2]);
    assert_eq!(erp.most_in_flight(), 4);
    site.until(|| {
        let gate = site.gate();
        let idle = ["interactive_in_flight", "lingering", "queued"].iter().all(|name| gate[*name] == 0);
        (idle && erp.in_flight() == 0).then_some(())
    });
}

#[test]
fn whoever_joins_a_call_that_hangs_is_told_when_it_is_over() {
    let erp = Erp::start(|call| Reply::order(&call.order_no, "1.00").after(ms(2500)));
    let site = LiveSite::new(&erp.url()).soap("timeout = \"500ms\"\nlate = \"20s\"").gate("settle = \"5s\"").start();
    let ask = || {
        let began = std::time::Instant::now();
        let answer = site.get("/v1/orders/7");
        answer.problem(504, "backend-timeout");
        assert_eq!(answer.json()["reason"], "timeout");
        (answer.field("retry-after").unwrap().parse::<u64>().unwrap(), began.elapsed())
    };
    let (first, _) = ask();
    // Should no answer come, its place is kept for 5 s more.
    assert!((23..=25).contains(&first), "{first}");
    // It hangs, so nobody waits for it any more; and nobody makes it a second call.
    let (second, took) = ask();
    assert!(second <= first && second >= 22 && took < ms(450), "{second} s, after {took:?}");
    assert_eq!(erp.count(), 1);
}

#[test]
fn metrics_are_those_of_the_moment() {
    let erp = Erp::start(|call| Reply::order(&call.order_no, "1.00").after(ms(700)));
    let site = LiveSite::new(&erp.url()).gate("max_in_flight = 1\nqueue_timeout = \"20s\"").start();
    let gauges = || {
        let metrics = site.metrics();
        let value = |name: &str| {
            let line =
                metrics.lines().find(|line| line.starts_with(&format!("tollbridge_gate_{name}{{backend=\"erp\"")));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or_else(|| panic!("{metrics}"))
        };
        let lane = "in_flight{backend=\"erp\",lane=\"interactive\"} ";
        let in_flight = metrics.split(lane).nth(1).and_then(|rest| rest.lines().next()).unwrap().to_owned();
        (in_flight, value("queue_depth"), value("limit"))
    };
    // Each of these is there for less than a second.
    for round in 0..3 {
        let paths = ["a", "b"].map(|order| format!("/v1/orders/{order}{round}"));
        std::thread::scope(|scope| {
            let callers = paths.each_ref().map(|path| scope.spawn(|| site.get(path).status));
            site.until(|| (site.gate()["queued"] == 1).then_some(()));
            assert_eq!(gauges(), ("1".to_owned(), 1, 1));
            assert_eq!(callers.map(|caller| caller.join().unwrap()), [200, 200]);
        });
        assert_eq!(gauges(), ("0".to_owned(), 0, 1));
    }
}
