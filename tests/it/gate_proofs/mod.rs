//! A backend that cannot be hurt: the program itself between a fragile ERP and callers who do their worst.
//!
//! In each of these stories the ERP's own count never exceeds the cap, it is never locked by too many, every request
//! has exactly one answer (or its caller hung up), and at the end nobody waits and nothing is in flight.

mod adaptive;
mod backends;
mod caps;
mod changes;
mod clocks;
mod crowds;
mod gauges;
mod locked;
mod machine;
mod odbc;
mod processes;
mod serial;
mod shares;
mod sql_server;
mod streamed;
mod typed;
mod weights;

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::site::Service;
use crate::support::erp::{Erp, Trace};
use crate::support::load::{Fate, Load, Outcome};
use crate::support::seat;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Gate settings of most stories.
const GATE: &str = "max_in_flight = 8\nqueue = 2000\nqueue_timeout = \"500ms\"\nsettle = \"1s\"";

/// What must be true after any story under a cap; answers what the ERP has done.
#[track_caller]
fn holds(erp: &Erp, cap: usize, outcome: &Outcome) -> Trace {
    let trace = erp.at_rest();
    assert!(trace.most <= cap, "{} calls were at work under a cap of {cap}: {:?}", trace.most, outcome.fates());
    assert!(trace.most_by_the_clock() <= cap);
    assert_eq!(trace.halts, 0);
    let wrong = |fate: &Fate| matches!(fate, Fate::Unanswered | Fate::Broken(_));
    assert_eq!(outcome.count(wrong), 0, "{:?}", outcome.fates());
    // No call was made twice: the ERP was asked for each order at most once.
    let mut keys: Vec<&str> = trace.calls.iter().map(|call| call.key.as_str()).collect();
    keys.sort_unstable();
    let calls = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), calls, "an order was asked for twice");
    trace
}

/// A time of a load in which its service was not there: from before it was killed until it answered again.
type Outage = Range<Duration>;

/// Kills the service and starts it again at once; when that was.
fn kill_and_serve(seat: &seat::Seat, service: &mut Service, load: &Load) -> Outage {
    let killed = load.age();
    *service = seat.kill_and_serve(service);
    killed..load.age()
}

/// Each caller of these kinds has had one whole answer, and no other; or its connection has ended, and a kill is the reason:
/// it was made before the service was back, and ended behind the kill.
#[track_caller]
fn each_has_one_answer(outcome: &Outcome, kinds: Range<usize>, outages: &[Outage]) {
    assert_eq!(outcome.surplus, 0, "more was answered than asked");
    for shot in outcome.shots.iter().filter(|shot| kinds.contains(&shot.kind)) {
        let is_whole = match &shot.fate {
            Fate::Good | Fate::Late | Fate::Failed(_) => true,
            Fate::Refused { reason, .. } => !reason.is_empty(),
            Fate::Broken(how) => {
                let is_foreign = how.contains("another request") || how.contains("more was answered");
                let explains = |outage: &Outage| shot.connected <= outage.end && outage.start <= shot.ended;
                !is_foreign && outages.iter().any(explains)
            }
            Fate::Left | Fate::Unanswered => false,
        };
        assert!(is_whole, "{shot:?}, killed at {outages:?}: {:?}", outcome.fates());
    }
}

/// What was answered with an order was asked of the ERP, once, and what was refused was not.
#[track_caller]
fn answers_are_of_calls(outcome: &Outcome, trace: &Trace) {
    let mut asked: HashMap<&str, usize> = HashMap::new();
    trace.calls.iter().for_each(|call| *asked.entry(&call.key).or_default() += 1);
    for shot in &outcome.shots {
        let calls = asked.get(shot.key.as_str()).copied().unwrap_or_default();
        let is_so = match shot.fate {
            Fate::Good | Fate::Late => calls == 1,
            Fate::Refused { .. } => calls == 0,
            _ => calls <= 1,
        };
        assert!(is_so, "{shot:?}: {calls} calls");
    }
}

/// A gauge or a counter of the backend, as it stands at `/metrics`; `more` are its other labels.
#[track_caller]
fn metric(service: &Service, name: &str, more: &str) -> u64 {
    let (status, text) = service.admin("GET", "/metrics");
    assert_eq!(status, 200, "{text}");
    let series = format!("tollbridge_{name}{{backend=\"erp\"{more}}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(series.as_str()));
    value.map_or(0, |value| value.parse().unwrap())
}

/// Waits until the gate is empty: nobody waits, nothing is in flight, nothing lingers; and every place that the
/// processes share is free, by its file and not by what the service says of it.
#[track_caller]
fn drains(service: &Service) {
    let patience = Instant::now() + seconds(60.0);
    loop {
        let (gate, places) = (seat::gate(service), places(service));
        let left = ["queued", "lingering", "interactive_in_flight"].map(|name| gate[name].as_u64().unwrap());
        if left == [0, 0, 0] && places.iter().all(|place| *place == Place::Free) {
            return;
        }
        assert!(Instant::now() < patience, "something is left: {places:?}, {gate:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How a place stands that the processes of the machine share.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Free,
    /// A process has it locked.
    Taken,
    /// Nobody has it, but its call is not over by what is written.
    HeldBack,
}

/// All places of the backend, from their files: whether somebody holds the lock, and what is written.
fn places(service: &Service) -> Vec<Place> {
    let folder = std::fs::read_dir(service.path("var/gates/erp")).unwrap();
    // The history of calls lies there too.
    let numbered =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().bytes().all(|byte| byte.is_ascii_digit());
    let place = |path: PathBuf| {
        let mut file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        if file.try_lock().is_err() {
            return Place::Taken;
        }
        let mut written = Vec::new();
        file.read_to_end(&mut written).unwrap();
        let until = written.get(1..9).map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap());
        match written.first() {
            None | Some(b'F') => Place::Free,
            Some(b'L') if Duration::from_millis(until) <= now => Place::Free,
            _ => Place::HeldBack,
        }
    };
    let places: Vec<Place> = folder.map(|entry| entry.unwrap().path()).filter(numbered).map(place).collect();
    assert!(!places.is_empty(), "the gate has no places");
    places
}

fn good(fate: &Fate) -> bool {
    *fate == Fate::Good
}
