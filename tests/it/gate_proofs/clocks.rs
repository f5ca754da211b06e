//! A wall clock that is put forward or back by hours: it frees no place early, and holds none for longer.
//!
//! The clock is libfaketime's, which is set for one process by what a file says; clocks that nobody sets go on as they are.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::facade::client::{Answer, exchange, request};
use crate::site::Service;
use crate::support::erp::{Erp, Manner, Settings};
use crate::support::seat::{self, Seat};

use super::{drains, seconds};

/// A call may take two seconds, and counts for one more.
const CALLS: &str = "timeout = \"2s\"\nlate = \"0s\"";
/// Twice as long: a service must be there again before it is over.
const LONG_CALLS: &str = "timeout = \"4s\"\nlate = \"0s\"";
const GATE: &str = "max_in_flight = 3\nqueue_timeout = \"300ms\"\nsettle = \"1s\"\nbreaker = { failures = 0 }";

/// A service whose wall clock is what this file says.
struct Faked {
    seat: Seat,
    clock: PathBuf,
    bearer: String,
}

impl Faked {
    fn before(erp: &Erp, calls: &str) -> Faked {
        Faked::gated(erp, calls, GATE)
    }

    fn gated(erp: &Erp, calls: &str, gate: &str) -> Faked {
        let seat = Seat::calling(erp, calls, gate);
        let (clock, bearer) = (seat.site.path("clock"), format!("Bearer {}", seat.key("all")));
        let faked = Faked { seat, clock, bearer };
        faked.set("+0");
        faked
    }

    /// Puts the clock off by so much: `+7h`.
    fn set(&self, off: &str) {
        let new = self.clock.with_extension("new");
        std::fs::write(&new, off).unwrap();
        std::fs::rename(new, &self.clock).unwrap();
    }

    /// Puts the clock to a moment.
    fn set_to(&self, moment: &str) {
        let moment: jiff::Timestamp = moment.parse().unwrap();
        self.set(&format!("{:+}", moment.duration_since(jiff::Timestamp::now()).as_secs()));
    }

    fn serve(&self) -> Service {
        let library = library();
        let service = self.seat.site.serve_with(&[
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", self.clock.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
        ]);
        service.until(|| (service.admin("GET", "/health/ready").0 == 200).then_some(()));
        service
    }

    fn ask(&self, service: &Service, order: u32) -> Answer {
        exchange(seat::address(service), &self.get(order)).unwrap()
    }

    fn get(&self, order: u32) -> Vec<u8> {
        request("GET", &format!("/v1/orders/{order}"), &[("Authorization", &self.bearer)], b"")
    }

    /// Begins three calls that nobody waits for to the end, and answers when they are at the ERP.
    fn begin_three(&self, erp: &Erp, service: &Service, first: u32) {
        use std::io::Write;
        let connections: Vec<_> = (first..first + 3)
            .map(|order| {
                let mut connection = std::net::TcpStream::connect(seat::address(service)).unwrap();
                connection.write_all(&self.get(order)).unwrap();
                connection
            })
            .collect();
        service.until(|| (erp.trace().at_work == 3).then_some(()));
        drop(connections);
    }
}

/// Where Debian has it, whatever the machine is.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    let found =
        folders.map(|folder| folder.unwrap().path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("libfaketime is not installed: `scripts/setup test` does it"))
}

/// Hours by which a service's wall clock is off, by what it writes into its answers.
fn hours_off(answer: &Answer) -> i64 {
    let told = jiff::fmt::rfc2822::parse(answer.field("date").unwrap()).unwrap().timestamp();
    told.duration_since(jiff::Timestamp::now()).as_secs_f64().div_euclid(3600.0) as i64
}

/// The clock is put forward or back while the service is down, and again when it is back: what was called before it was killed
/// counts until it must be over, not a moment less and not hours more.
#[test]
fn places_of_a_killed_service_are_held_for_their_time_whatever_the_wall_clock_says() {
    for (down, back) in [("+7h", "+31h"), ("-7h", "-31h"), ("+7h", "-31h")] {
        let is_seen = (0..5).any(|_| places_are_held(down, back));
        assert!(is_seen, "{down}, {back}: no service was there again before its places were free");
    }
}

/// The story with these clocks. Answers false where the machine was so slow that the service was there again when it was over.
fn places_are_held(down: &str, back: &str) -> bool {
    let erp = Erp::start(Settings::default());
    let faked = Faked::before(&erp, LONG_CALLS);
    let service = faked.serve();
    // Each call takes about four seconds at the ERP, whatever becomes of its caller.
    erp.set(Manner { slower: 80.0, ..Manner::default() });
    let called = Instant::now();
    // Four seconds of the call and one to settle, counted from when it began.
    let is_over = || called.elapsed() >= seconds(5.0);
    faked.begin_three(&erp, &service, 0);
    service.signal("KILL");
    service.wait();
    faked.set(down);
    let service = faked.serve();
    let refused = faked.ask(&service, 10);
    if is_over() {
        return false;
    }
    let is_off = |answer: &Answer, off: &str| {
        let hours: i64 = off.trim_end_matches('h').parse().unwrap();
        assert!((hours - 1..=hours).contains(&hours_off(answer)), "{:?} is not {off}", answer.field("date"));
    };
    is_off(&refused, down);
    refused.problem(503, "backend-unavailable");
    assert_eq!(refused.json()["reason"], "held_back");
    let wait: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    faked.set(back);
    erp.set(Manner::default());
    let mut was_late = false;
    for order in 20.. {
        let answer = faked.ask(&service, order);
        is_off(&answer, back);
        if answer.status == 200 {
            break;
        }
        match answer.json()["reason"].as_str() {
            // A place came free while it waited, and it was woken too late for it. So there is one from now on.
            Some("deadline") => {
                answer.problem(503, "backend-busy");
                assert!(is_over() && !was_late, "{down}, {back}: {:?}", called.elapsed());
                was_late = true;
            }
            reason => {
                answer.problem(503, "backend-unavailable");
                assert_eq!(reason, Some("held_back"));
                assert!(!was_late, "a place was free: {answer:?}");
            }
        }
        assert!(called.elapsed() < seconds(30.0), "held for hours: {answer:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(is_over(), "{down}, {back}: free after {:?}", called.elapsed());
    drains(&service);
    assert!(erp.at_rest().most <= 3, "{down}, {back}");
    true
}

/// The same of a call that the running service has given up.
#[test]
fn a_lingering_call_settles_in_its_time_whatever_the_wall_clock_says() {
    let erp = Erp::start(Settings::default());
    let faked = Faked::before(&erp, CALLS);
    let service = faked.serve();
    for (number, off) in (0u32..).zip(["+26h", "-26h"]) {
        // Longer than it may take: it is given up after two seconds, and then its place counts for one more.
        erp.set(Manner { slower: 55.0, ..Manner::default() });
        faked.begin_three(&erp, &service, 100 * number);
        service.until(|| (seat::gate(&service)["lingering"] == 3).then_some(()));
        let given_up = Instant::now();
        faked.set(off);
        service.until(|| (seat::gate(&service)["lingering"] == 0).then_some(()));
        let held = given_up.elapsed();
        assert!((seconds(0.5)..seconds(20.0)).contains(&held), "{off}: {held:?}");
        erp.set(Manner::default());
        service.until(|| (erp.trace().at_work == 0).then_some(()));
        assert_eq!(faked.ask(&service, 100 * number + 50).status, 200);
    }
    drains(&service);
    assert!(erp.at_rest().most <= 3);
}

/// Two services whose clocks are days apart share the places, and each says by its own when the other gives them up.
#[test]
fn processes_whose_clocks_are_days_apart_share_the_places() {
    let erp = Erp::start(Settings::default());
    let faked = Faked::before(&erp, CALLS);
    let other = Seat::calling(&erp, CALLS, GATE);
    std::fs::create_dir_all(faked.seat.site.path("var/gates")).unwrap();
    std::fs::create_dir_all(other.site.path("var")).unwrap();
    std::os::unix::fs::symlink(faked.seat.site.path("var/gates"), other.site.path("var/gates")).unwrap();
    faked.set("+100h");
    let (first, second) = (faked.serve(), other.serve());
    let bearer = format!("Bearer {}", other.key("other"));
    let ask = |order: u32| {
        let get = request("GET", &format!("/v1/orders/{order}"), &[("Authorization", &bearer)], b"");
        exchange(seat::address(&second), &get).unwrap()
    };
    erp.set(Manner { slower: 40.0, ..Manner::default() });
    faked.begin_three(&erp, &first, 0);
    let gate = seat::gate(&second);
    assert_eq!(gate["held_elsewhere"], 3, "{gate:#}");
    let until: jiff::Timestamp = gate["elsewhere"][0]["until"].as_str().unwrap().parse().unwrap();
    let left = until.duration_since(jiff::Timestamp::now()).as_secs_f64();
    assert!((-30.0..4.0).contains(&left), "{gate:#}");
    assert!(hours_off(&faked.ask(&first, 40)) >= 99);
    // While they are at work the backend is busy; on a slow machine they may have been given up by now.
    let refused = ask(50);
    match refused.json()["reason"].as_str() {
        Some("held_back") => refused.problem(503, "backend-unavailable"),
        _ => refused.problem(503, "backend-busy"),
    };
    let killed = Instant::now();
    first.signal("KILL");
    first.wait();
    erp.set(Manner::default());
    let mut order = 51;
    while ask(order).status != 200 {
        assert!(killed.elapsed() < seconds(30.0), "the clock of the other one counts");
        order += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    drains(&second);
    assert!(erp.at_rest().most <= 3);
}

/// The nightly window of a zone whose clocks are changed within it, or just before: its begin is in an hour that is not there
/// in March, and there twice in October. Who is refused is told to the second how long it lasts.
#[test]
fn closed_times_follow_the_clock_of_their_zone_through_its_changes() {
    let erp = Erp::start(Settings::default());
    let calendar = "calendar = [{ closed = \"02:30-04:30\", zone = \"Europe/Berlin\", reason = \"nightly batch\" }]";
    let faked = Faked::gated(&erp, CALLS, &format!("{GATE}\n{calendar}"));
    let moments = [
        // From 02:00 to 03:00 at 01:00 UTC. It ends at 04:30, which is 02:30 UTC.
        ("2027-03-28T00:45:00Z", None),
        ("2027-03-28T01:10:00Z", Some(80 * 60)),
        ("2027-03-28T02:35:00Z", None),
        // From 03:00 back to 02:00 at 01:00 UTC. It begins at the first 02:30 and ends at 04:30, which is 03:30 UTC; it is 02:20
        // for the second time in its midst.
        ("2027-10-31T00:15:00Z", None),
        ("2027-10-31T00:40:00Z", Some(170 * 60)),
        ("2027-10-31T01:20:00Z", Some(130 * 60)),
        ("2027-10-31T03:35:00Z", None),
    ];
    for (order, (moment, left)) in (0u32..).zip(moments) {
        faked.set_to(moment);
        let service = faked.serve();
        let called = erp.trace().calls.len();
        let answer = faked.ask(&service, order);
        let Some(left) = left else {
            assert_eq!(answer.status, 200, "{moment}: {answer:?}");
            continue;
        };
        answer.problem(503, "backend-unavailable");
        assert_eq!(answer.json()["reason"], "closed_window", "{moment}");
        let wait: i64 = answer.field("retry-after").unwrap().parse().unwrap();
        // Less what it took to start and to ask, by the service's own clock.
        let told = jiff::fmt::rfc2822::parse(answer.field("date").unwrap()).unwrap().timestamp();
        let since = told.duration_since(moment.parse().unwrap()).as_secs();
        assert!((left - since - 2..=left - since + 2).contains(&wait), "{moment}: {wait}, {since} s later");
        assert_eq!(erp.trace().calls.len(), called, "{moment}: it was called");
    }
}
