//! More than one process before one ERP: one after the other, and side by side.

use crate::support::erp::{Erp, Manner, Settings};
use crate::support::load::{Coming, Fate, Load};
use crate::support::seat::Seat;

use super::{GATE, drains, good, seconds};

/// The places of calls that ran when the process was killed are held back: the ERP works on for them.
#[test]
fn killed_and_started_again_at_once() {
    let erp = Erp::start(Settings::default());
    // A call may be at work for three seconds, and that long its place is held back.
    let seat = Seat::calling(&erp, "timeout = \"2s\"\nlate = \"0s\"", GATE);
    let mut service = seat.serve();
    let crowd = seat.kind(&service, "crowd", Coming::Closed(40, seconds(0.05)));
    // Each call takes about a second: whatever ran at the kill runs on for long.
    erp.set(Manner { slower: 8.0, ..Manner::default() });
    let load = Load::start(vec![crowd], seconds(8.0), 1);
    for age in [1.5, 2.0] {
        load.until(seconds(age));
        service = seat.kill_and_serve(&service);
    }
    let outcome = load.join();
    let trace = erp.at_rest();
    assert!(trace.most <= 8, "{} calls were at work", trace.most);
    assert!(trace.most_by_the_clock() <= 8);
    assert_eq!(trace.halts, 0);
    assert!(trace.dead() >= 4, "the kill met {} calls", trace.dead());
    assert_eq!(outcome.count(|fate| *fate == Fate::Unanswered), 0, "{:?}", outcome.fates());
    drains(&service);
    let answered = outcome.shots.iter().filter(|shot| shot.ended > seconds(3.0));
    let answered = answered.filter(|shot| matches!(shot.fate, Fate::Good | Fate::Late)).count();
    assert!(answered > 0, "nobody was served afterwards: {:?}", outcome.fates());
}

#[test]
fn two_side_by_side_keep_one_cap_and_both_serve() {
    let erp = Erp::start(Settings::default());
    let (one, other) = (Seat::before(&erp, GATE), Seat::before(&erp, GATE));
    // Their places are the same files.
    std::fs::create_dir_all(one.site.path("var/gates")).unwrap();
    std::fs::create_dir_all(other.site.path("var")).unwrap();
    std::os::unix::fs::symlink(one.site.path("var/gates"), other.site.path("var/gates")).unwrap();
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
    assert!(outcome.by_client().values().all(|good| *good >= 20), "{:?}", outcome.by_client());
    assert!(outcome.count(good) > 0);
}
