//! More than one process before one ERP: one after the other, and side by side.

use std::time::{Duration, Instant};

use crate::facade::client::{exchange, request};
use crate::support::erp::{Erp, Manner, Settings};
use crate::support::load::{Coming, Fate, Load};
use crate::support::seat::{self, Seat};

use super::{GATE, answers_are_of_calls, drains, each_has_one_answer, good, kill_and_serve, seconds};

/// Two services before one ERP whose places are the same files.
pub(super) fn side_by_side(erp: &Erp, gate: &str) -> (Seat, Seat) {
    let (one, other) = (Seat::before(erp, gate), Seat::before(erp, gate));
    std::fs::create_dir_all(one.site.path("var/gates")).unwrap();
    std::fs::create_dir_all(other.site.path("var")).unwrap();
    std::os::unix::fs::symlink(one.site.path("var/gates"), other.site.path("var/gates")).unwrap();
    (one, other)
}

/// The places of calls that ran when the process was killed are held back: the ERP works on for them.
#[test]
fn killed_and_started_again_at_once() {
    killed_and_started_again(|erp, soap| Seat::calling(erp, soap, GATE));
}

/// The story, by a seat of either kind with these keys of the service.
pub(super) fn killed_and_started_again(seat: impl Fn(&Erp, &str) -> Seat) {
    let erp = Erp::start(Settings::default());
    // A call may be at work for three seconds, and that long its place is held back.
    let seat = seat(&erp, "timeout = \"2s\"\nlate = \"0s\"");
    let mut service = seat.serve();
    let crowd = seat.kind(&service, "crowd", Coming::Closed(40, seconds(0.05)));
    // Each call takes about a second: whatever ran at the kill runs on for long.
    erp.set(Manner { slower: 8.0, ..Manner::default() });
    let load = Load::start(vec![crowd], seconds(8.0), 1);
    let mut outages = Vec::new();
    for age in [1.5, 2.0] {
        load.until(seconds(age));
        if age < 2.0 {
            // However busy this machine is: the first kill meets a good part of the cap.
            service.until(|| (erp.trace().at_work >= 6).then_some(()));
        }
        outages.push(kill_and_serve(&seat, &mut service, &load));
    }
    let outcome = load.join();
    let trace = erp.at_rest();
    assert!(trace.most <= 8, "{} calls were at work", trace.most);
    assert!(trace.most_by_the_clock() <= 8);
    assert_eq!(trace.halts, 0);
    assert!(trace.dead() >= 4, "the kill met {} calls", trace.dead());
    each_has_one_answer(&outcome, 0..1, &outages);
    answers_are_of_calls(&outcome, &trace);
    let is_broken = |fate: &Fate| matches!(fate, Fate::Broken(_));
    assert!(outcome.count(is_broken) >= 4, "the kill met nobody: {:?}", outcome.fates());
    drains(&service);
    let answered = outcome.shots.iter().filter(|shot| shot.ended > seconds(3.0));
    let answered = answered.filter(|shot| matches!(shot.fate, Fate::Good | Fate::Late)).count();
    assert!(answered > 0, "nobody was served afterwards: {:?}", outcome.fates());
}

#[test]
fn two_side_by_side_keep_one_cap_and_both_serve() {
    let erp = Erp::start(Settings::default());
    let (one, other) = side_by_side(&erp, GATE);
    let (first, second) = (one.serve(), other.serve());
    let kinds = vec![
        one.kind(&first, "one", Coming::Closed(40, seconds(0.05))),
        other.kind(&second, "other", Coming::Closed(40, seconds(0.05))),
    ];
    let outcome = Load::start(kinds, seconds(4.0), 1).join();
    let trace = super::holds(&erp, 8, &outcome);
    drains(&first);
    drains(&second);
    assert_eq!(trace.most, 8);
    // Both want all they can get: each has its part.
    let served = outcome.by_client();
    let all: usize = served.values().sum();
    assert!(served.len() == 2 && served.values().all(|good| good * 10 >= all * 3), "{served:?}");
    assert!(outcome.count(good) > 0);
}

/// Of two services, one is killed: the other sees that its places are held back, and no more than the cap are at work.
#[test]
fn one_of_two_is_killed() {
    let erp = Erp::start(Settings::default());
    let (one, other) = side_by_side(&erp, GATE);
    let (mut first, second) = (one.serve(), other.serve());
    erp.set(Manner { slower: 4.0, ..Manner::default() });
    let kinds = vec![
        one.kind(&first, "one", Coming::Closed(40, seconds(0.05))),
        other.kind(&second, "other", Coming::Closed(40, seconds(0.05))),
    ];
    let load = Load::start(kinds, seconds(5.0), 1);
    load.until(seconds(1.5));
    let outage = kill_and_serve(&one, &mut first, &load);
    let outcome = load.join();
    let trace = erp.at_rest();
    assert!(trace.most <= 8 && trace.most_by_the_clock() <= 8, "{} calls were at work", trace.most);
    assert_eq!(trace.halts, 0);
    assert!(trace.dead() >= 1, "the kill met {} calls", trace.dead());
    // Of the other one's callers nobody has noticed.
    each_has_one_answer(&outcome, 0..1, &[outage]);
    each_has_one_answer(&outcome, 1..2, &[]);
    answers_are_of_calls(&outcome, &trace);
    drains(&first);
    drains(&second);
}

/// Nobody waits for places that are held back for longer than the wait: who comes is told at once, and when to come again.
#[test]
fn after_a_kill_callers_are_refused_at_once_until_the_places_are_free() {
    let erp = Erp::start(Settings::default());
    let gate = GATE.replace("max_in_flight = 8", "max_in_flight = 3");
    let seat = Seat::calling(&erp, "timeout = \"3s\"\nlate = \"0s\"", &gate);
    let service = seat.serve();
    let bearer = format!("Bearer {}", seat.key("all"));
    let get = |order: u32| request("GET", &format!("/v1/orders/{order}"), &[("Authorization", &bearer)], b"");
    // Each call takes about three seconds, and may be at work for as long as that and one second more.
    erp.set(Manner { slower: 55.0, ..Manner::default() });
    let address = seat::address(&service);
    let calls: Vec<_> = (0..3)
        .map(|order| {
            let get = get(order);
            std::thread::spawn(move || {
                use std::io::{Read, Write};
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                stream.write_all(&get).unwrap();
                let _ = stream.read(&mut [0]);
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let service = seat.kill_and_serve(&service);
    calls.into_iter().for_each(|call| call.join().unwrap());
    let address = seat::address(&service);
    let restarted = Instant::now();
    for order in 10..20 {
        let asked = Instant::now();
        let refused = exchange(address, &get(order)).unwrap();
        refused.problem(503, "backend-unavailable");
        assert_eq!(refused.json()["reason"], "held_back");
        assert!(asked.elapsed() < Duration::from_millis(400), "it waited for {:?}", asked.elapsed());
        let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
        assert!((1..=4).contains(&wait), "{wait}");
        let waited = refused.field("server-timing").unwrap().strip_prefix("queue;dur=").unwrap();
        assert!(waited.parse::<f64>().unwrap() < 400.0, "{waited}");
        if order == 10 {
            assert!(restarted.elapsed() < Duration::from_secs(1));
        }
    }
    erp.set(Manner::default());
    drains(&service);
    assert_eq!(exchange(address, &get(30)).unwrap().status, 200);
    assert!(erp.at_rest().most <= 3);
}
