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
mod machine;
mod processes;
mod serial;
mod shares;
mod sql_server;
mod streamed;
mod typed;
mod weights;

use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::site::Service;
use crate::support::erp::{Erp, Trace};
use crate::support::load::{Fate, Outcome};
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
