//! Two of them in one process are as two processes: locks belong to an opened file.

use super::{BEYOND, Boot, KEPT, Slot, Slots, TEND, TURN, Term, key_of};
use std::time::Duration;
use tempfile::TempDir;

const SETTLE: Term = Term { longest: None, settle: Duration::from_secs(5) };

const NONE: Term = Term { longest: None, settle: Duration::ZERO };

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000_000 + seconds)
}

fn open(folder: &TempDir, now: Duration) -> Slots {
    Slots::open(folder.path(), SETTLE.settle, Boot(1), now).unwrap()
}

/// As another start of the machine finds the folder.
fn open_after_reboot(folder: &TempDir, now: Duration) -> Slots {
    Slots::open(folder.path(), SETTLE.settle, Boot(2), now).unwrap()
}

#[test]
fn two_processes_share_one_cap() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (open(&folder, at(0)), open(&folder, at(0)));
    let first = one.take(2, SETTLE, None, at(0)).unwrap().unwrap();
    let second = other.take(2, SETTLE, None, at(0)).unwrap().unwrap();
    assert!(one.take(2, SETTLE, None, at(0)).unwrap().is_none());
    assert!(other.take(2, SETTLE, None, at(0)).unwrap().is_none());
    one.give_back(first, None, at(0)).unwrap();
    let first = other.take(2, SETTLE, None, at(0)).unwrap().unwrap();
    assert!(one.take(2, SETTLE, None, at(0)).unwrap().is_none());
    let third = one.take(3, SETTLE, None, at(0)).unwrap().expect("the cap was raised");
    other.give_back(first, None, at(0)).unwrap();
    other.give_back(second, None, at(0)).unwrap();
    one.give_back(third, None, at(0)).unwrap();
    assert!(one.take(1, SETTLE, None, at(0)).unwrap().is_some());
    assert!(other.take(1, SETTLE, None, at(0)).unwrap().is_none(), "the cap was lowered");
}

#[test]
fn a_place_whose_process_died_lingers_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut died = open(&folder, at(0));
    let call = died.take(1, SETTLE, None, at(0)).unwrap().unwrap();
    drop((died, call));
    // Who finds it may die as well: what it found stays written.
    let mut next = open(&folder, at(100));
    assert!(next.take(1, SETTLE, None, at(100)).unwrap().is_none());
    drop(next);
    let mut third = open(&folder, at(104));
    assert!(third.take(1, SETTLE, None, at(104)).unwrap().is_none());
    let call = third.take(1, SETTLE, None, at(105)).unwrap().unwrap();
    third.give_back(call, None, at(105)).unwrap();
    assert!(open(&folder, at(105)).take(1, SETTLE, None, at(105)).unwrap().is_some());
}

#[test]
fn a_call_whose_end_nobody_saw_keeps_its_place_also_when_the_clock_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(&folder, at(5000));
    let call = slots.take(1, SETTLE, None, at(5000)).unwrap().unwrap();
    slots.give_back(call, Some(SETTLE.settle), at(5000)).unwrap();
    assert!(slots.take(1, SETTLE, None, at(5004)).unwrap().is_none());
    assert!(slots.take(1, SETTLE, None, at(0)).unwrap().is_none());
    assert!(slots.take(1, SETTLE, None, at(6)).unwrap().is_some());
}

#[test]
fn what_an_earlier_start_of_the_machine_left_is_held_for_its_whole_term_from_when_it_is_found() {
    let long = Term { longest: Some(Duration::from_secs(60)), ..SETTLE };
    // The clock begins anew; after a long time before, and also after a short one.
    for found in [Duration::from_secs(20), at(0), at(100_000)] {
        let folder = tempfile::tempdir().unwrap();
        let mut died = open(&folder, at(0));
        let calls =
            [died.take(3, long, None, at(0)).unwrap().unwrap(), died.take(3, SETTLE, None, at(0)).unwrap().unwrap()];
        let unseen = died.take(3, long, None, at(0)).unwrap().unwrap();
        died.give_back(unseen, Some(Duration::from_secs(30)), at(0)).unwrap();
        drop((died, calls));
        let seconds = Duration::from_secs;
        let mut next = open_after_reboot(&folder, found);
        let mut until: Vec<_> = next.held_back(found).foreign.into_iter().map(|until| until - found).collect();
        until.sort();
        assert_eq!(until, [seconds(5), seconds(30), seconds(65)], "found at {found:?}");
        // The time that is left goes by, also for who comes later.
        drop(next);
        next = open_after_reboot(&folder, found + seconds(4));
        assert!(next.take(3, SETTLE, None, found + seconds(4)).unwrap().is_none());
        for (after, places) in [(5, 1), (29, 0), (30, 1), (64, 0), (65, 1)] {
            for place in 0..places {
                let call = next.take(3, SETTLE, None, found + seconds(after)).unwrap();
                std::mem::forget(call.unwrap_or_else(|| panic!("place {place} after {after} s")));
            }
            assert!(next.take(3, SETTLE, None, found + seconds(after)).unwrap().is_none(), "after {after} s");
        }
    }
}

/// Files of an earlier version have the wall clock's times, and no start of the machine.
#[test]
fn times_of_another_clock_are_held_for_what_they_say_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let mut mark = vec![b'R'];
    for number in [1_760_000_060_000_u64, 1_760_000_000_000, 0] {
        mark.extend(number.to_le_bytes());
    }
    std::fs::write(folder.path().join("00000"), mark).unwrap();
    let mut slots = open(&folder, at(0));
    assert!(slots.take(1, SETTLE, None, at(64)).unwrap().is_none());
    assert!(slots.take(1, SETTLE, None, at(65)).unwrap().is_some());
}

#[test]
fn a_start_of_the_machine_has_one_number_in_all_processes() {
    assert_eq!(Boot::of("a\n"), Boot(0xaf63_dc4c_8601_ec8c));
    assert_eq!(Boot::current().unwrap(), Boot::current().unwrap());
}

#[test]
fn nothing_settles_when_there_is_nothing_to_wait_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut died = open(&folder, at(0));
    let call = died.take(1, NONE, None, at(0)).unwrap().unwrap();
    drop((died, call));
    assert!(
        Slots::open(folder.path(), Duration::ZERO, Boot(1), at(0))
            .unwrap()
            .take(1, NONE, None, at(0))
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_call_that_may_take_long_is_waited_for_after_its_process_died() {
    let folder = tempfile::tempdir().unwrap();
    let long = Term { longest: Some(Duration::from_secs(60)), ..SETTLE };
    let mut died = open(&folder, at(0));
    let call = died.take(1, long, None, at(0)).unwrap().unwrap();
    drop((died, call));
    let mut next = open(&folder, at(10));
    // At second 60 it would have been given up, at 65 settled.
    assert!(next.take(1, long, None, at(10)).unwrap().is_none());
    assert!(next.take(1, long, None, at(64)).unwrap().is_none());
    assert!(next.take(1, long, None, at(65)).unwrap().is_some());
}

#[test]
fn calls_beyond_a_lowered_cap_count_until_they_are_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = open(&folder, at(0));
    let mut calls: Vec<_> = (0..6).map(|_| before.take(6, SETTLE, None, at(0)).unwrap().unwrap()).collect();
    // Places 4 and 5 go on, 0 to 3 are over; under a cap of three one more may go.
    for call in calls.drain(..4) {
        before.give_back(call, None, at(0)).unwrap();
    }
    let mut other = open(&folder, at(1));
    let only = other.take(3, SETTLE, None, at(1)).unwrap().unwrap();
    assert!(other.take(3, SETTLE, None, at(1)).unwrap().is_none());
    assert!(before.take(3, SETTLE, None, at(1)).unwrap().is_none());
    // The process of the two dies: they linger.
    drop((before, calls));
    assert!(other.take(3, SETTLE, None, at(2)).unwrap().is_none());
    let mut second = open(&folder, at(6));
    assert!(second.take(3, SETTLE, None, at(6)).unwrap().is_none());
    let more: Vec<_> = (0..2).map(|_| second.take(3, SETTLE, None, at(7)).unwrap().unwrap()).collect();
    assert!(second.take(3, SETTLE, None, at(7)).unwrap().is_none());
    assert!(other.take(4, SETTLE, None, at(7)).unwrap().is_some(), "the cap was raised");
    drop((only, more));
}

#[test]
fn a_call_that_may_take_long_is_waited_for_also_by_those_whose_calls_are_short() {
    let folder = tempfile::tempdir().unwrap();
    let long = Term { longest: Some(Duration::from_secs(60)), ..SETTLE };
    let mut died = open(&folder, at(0));
    let call = died.take(1, long, None, at(0)).unwrap().unwrap();
    drop((died, call));
    let mut next = open(&folder, at(10));
    assert_eq!(next.held_back(at(10)).foreign, [at(65)], "seen before anybody asks");
    assert!(next.take(1, SETTLE, None, at(64)).unwrap().is_none());
    assert!(next.take(1, SETTLE, None, at(65)).unwrap().is_some());
}

/// So many calls that places are kept; answers when the last was over.
fn busy(slots: &mut Slots, term: Term, from: Duration) -> Duration {
    let mut now = from;
    for _ in 0..40 {
        let call = slots.take(1, term, None, now).unwrap().unwrap();
        now += Duration::from_micros(100);
        slots.give_back(call, None, now).unwrap();
    }
    assert_eq!(slots.kept.len(), 1);
    now
}

/// How often this thread has called the kernel to write.
fn writes() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    text.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap().parse().unwrap()
}

#[test]
fn a_busy_process_keeps_its_places_and_gives_them_back_when_it_is_idle() {
    let folder = tempfile::tempdir().unwrap();
    let mut one = open(&folder, at(0));
    let now = busy(&mut one, SETTLE, at(0));
    let mut other = open(&folder, now);
    assert!(other.take(1, SETTLE, None, now).unwrap().is_none(), "it is kept");
    assert!(one.tend(now + KEPT - TEND).is_ok_and(|is_kept| !is_kept), "the other wants it");
    let call = other.take(1, SETTLE, None, now).unwrap().expect("it was given back");
    other.give_back(call, None, now).unwrap();
    // Long after that wish, nobody else asks.
    let later = now + Duration::from_secs(1);
    let now = busy(&mut one, SETTLE, later);
    assert!(one.tend(now + KEPT - TEND).unwrap());
    assert!(!one.tend(now + KEPT).unwrap());
    // Few calls are not worth it.
    let now = now + Duration::from_secs(1);
    let call = one.take(1, SETTLE, None, now).unwrap().unwrap();
    one.give_back(call, None, now).unwrap();
    assert!(other.take(1, SETTLE, None, now).unwrap().is_some());
}

#[test]
fn a_kept_place_is_taken_without_writing_and_its_file_says_enough_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let long = Term { longest: Some(Duration::from_secs(60)), ..SETTLE };
    let mut slots = open(&folder, at(0));
    let now = busy(&mut slots, long, at(0));
    let before = writes();
    for round in 1..=100 {
        let moment = now + Duration::from_micros(100) * round;
        let call = slots.take(1, long, None, moment).unwrap().unwrap();
        slots.give_back(call, None, moment).unwrap();
    }
    assert_eq!(writes(), before);
    // However long it is kept: who dies with a call is waited for as long as that call may take.
    let mut now = now;
    let mut call: Option<Slot> = None;
    for _ in 0..3000 {
        now += Duration::from_millis(1);
        if let Some(call) = call.take() {
            slots.give_back(call, None, now).unwrap();
        }
        call = slots.take(1, long, None, now).unwrap();
        assert!(call.is_some());
    }
    drop((slots, call));
    let over = now + Duration::from_secs(65);
    let mut next = open(&folder, now);
    assert!(next.take(1, long, None, over - Duration::from_millis(1)).unwrap().is_none());
    assert!(next.take(1, long, None, over + BEYOND).unwrap().is_some());
}

#[test]
fn what_is_kept_is_free_when_the_process_ends_in_order_and_held_back_when_it_dies() {
    let folder = tempfile::tempdir().unwrap();
    let mut ends = open(&folder, at(0));
    let now = busy(&mut ends, SETTLE, at(0));
    drop(ends);
    let mut dies = open(&folder, now);
    let now = busy(&mut dies, SETTLE, now);
    // Its locks go with its files; it cannot write any more.
    drop(std::mem::take(&mut dies.kept));
    let mut next = open(&folder, now);
    assert_eq!(next.held_back(now).count, 1);
    assert!(next.take(1, SETTLE, None, now).unwrap().is_none());
    assert!(next.take(1, SETTLE, None, now + SETTLE.settle).unwrap().is_some());
}

#[test]
fn kept_places_beyond_a_lowered_cap_are_no_calls() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(&folder, at(0));
    let mut calls: Vec<_> = (0..30).map(|_| slots.take(30, SETTLE, None, at(0)).unwrap().unwrap()).collect();
    for call in calls.drain(..) {
        slots.give_back(call, None, at(0)).unwrap();
    }
    assert!(slots.kept.len() > 10);
    assert!(slots.take(1, SETTLE, None, at(0)).unwrap().is_some());
    assert!(slots.take(1, SETTLE, None, at(0)).unwrap().is_none());
}

/// Two who both want all they can get, and look every few milliseconds: how many calls each makes.
fn fight(cap: usize, calls_take: Duration) -> [u32; 2] {
    let folder = tempfile::tempdir().unwrap();
    let mut sides = [open(&folder, at(0)), open(&folder, at(0))];
    let mut running: [Vec<(Duration, Slot)>; 2] = [Vec::new(), Vec::new()];
    let mut made = [0; 2];
    let mut now = at(0);
    while now < at(20) {
        for side in 0..2 {
            let before = running[side].len();
            while let Some(at) = running[side].iter().position(|(over, _)| *over <= now) {
                let (_, slot) = running[side].swap_remove(at);
                sides[side].give_back(slot, None, now).unwrap();
            }
            // The first one has the advantage of looking always; the other looks every ten, and when a call has ended.
            if side == 0 || now.as_millis().is_multiple_of(10) || running[side].len() < before {
                while let Some(slot) = sides[side].take(cap, SETTLE, None, now).unwrap() {
                    running[side].push((now + calls_take, slot));
                    made[side] += 1;
                }
            }
            assert!(running.iter().map(Vec::len).sum::<usize>() <= cap);
        }
        now += Duration::from_millis(1);
    }
    made
}

#[test]
fn two_processes_that_both_want_more_than_there_is_have_the_same() {
    for (cap, calls_take) in [(8, 50), (8, 3), (3, 40), (1, 50), (1, 3)] {
        let [one, other] = fight(cap, Duration::from_millis(calls_take));
        let most = one.max(other);
        assert!(one.min(other) * 10 >= most * 6, "cap {cap}, calls of {calls_take} ms: {one} and {other}");
        let possible = 20_000 / calls_take * cap as u64;
        assert!(
            u64::from(one + other) * 2 >= possible.min(20_000 / TURN.as_millis() as u64 * cap as u64),
            "{one} {other}"
        );
    }
}

#[test]
fn calls_of_one_key_go_one_at_a_time_over_processes_and_through_a_death() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (open(&folder, at(0)), open(&folder, at(0)));
    let (seven, eight) = (Some(key_of("order 7")), Some(key_of("order 8")));
    let call = one.take(4, SETTLE, seven, at(0)).unwrap().unwrap();
    assert!(other.take(4, SETTLE, seven, at(0)).unwrap().is_none());
    // Whoever waits for a key alone takes nothing from others.
    assert_eq!(one.wishes.others(at(0)).unwrap().0, 0);
    let others =
        [other.take(4, SETTLE, eight, at(0)).unwrap().unwrap(), other.take(4, SETTLE, None, at(0)).unwrap().unwrap()];
    one.give_back(call, None, at(1)).unwrap();
    let call = other.take(4, SETTLE, seven, at(1)).unwrap().unwrap();
    assert!(one.take(4, SETTLE, seven, at(1)).unwrap().is_none());
    // Its end was not seen.
    other.give_back(call, Some(SETTLE.settle), at(1)).unwrap();
    assert!(one.take(4, SETTLE, seven, at(5)).unwrap().is_none());
    let call = one.take(4, SETTLE, seven, at(6)).unwrap().unwrap();
    drop((one, call));
    assert!(other.take(4, SETTLE, seven, at(6)).unwrap().is_none(), "its process died");
    assert!(other.take(4, SETTLE, seven, at(11)).unwrap().is_some());
    drop(others);
}

#[test]
fn a_key_is_the_same_number_in_every_process() {
    // By the definition of FNV-1a: of nothing, and of `a`.
    assert_eq!((key_of(""), key_of("a")), (0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c));
}

#[test]
fn a_cap_lowered_in_one_process_binds_the_other_within_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (open(&folder, at(0)), open(&folder, at(0)));
    let calls: Vec<_> = (0..2).map(|_| other.take(4, SETTLE, None, at(0)).unwrap().unwrap()).collect();
    one.announce(1, 7).unwrap();
    // The other one still thinks that it is four.
    assert!(other.take(4, SETTLE, None, at(0)).unwrap().is_none());
    calls.into_iter().for_each(|call| _ = other.give_back(call, None, at(1)).unwrap());
    let only = other.take(4, SETTLE, None, at(2)).unwrap().unwrap();
    assert!(other.take(4, SETTLE, None, at(2)).unwrap().is_none());
    // It has read an older decision, then that one: its own counts.
    other.knows(6);
    assert!(other.take(4, SETTLE, None, at(3)).unwrap().is_none());
    other.knows(7);
    assert!(other.take(4, SETTLE, None, at(4)).unwrap().is_some());
    // Who has not heard of a newer decision does not announce over it.
    other.announce(9, 6).unwrap();
    let mut third = open(&folder, at(5));
    third.announce(2, 7).unwrap();
    assert_eq!((other.caps.bound(9), third.caps.bound(9)), (9, 9));
    other.caps.look().unwrap();
    assert_eq!(other.caps.bound(9), 2, "a reload of the configuration");
    assert_eq!(open(&folder, at(5)).caps.bound(9), 9, "who comes has read the configuration now");
    drop(only);
}

#[test]
fn a_kept_place_is_not_taken_beyond_a_cap_that_another_process_has_lowered() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut other) = (open(&folder, at(0)), open(&folder, at(0)));
    let mut calls: Vec<_> = (0..30).map(|_| other.take(30, SETTLE, None, at(0)).unwrap().unwrap()).collect();
    calls.drain(..).for_each(|call| _ = other.give_back(call, None, at(0)).unwrap());
    assert!(other.kept.len() > 10);
    one.announce(2, 1).unwrap();
    let now = at(0) + Duration::from_millis(5);
    // Whoever looks for wishes meanwhile leaves no look undone.
    assert!(other.tend(now).unwrap());
    let taken: Vec<_> = std::iter::from_fn(|| other.take(30, SETTLE, None, now).unwrap()).collect();
    assert_eq!(taken.len(), 2);
}

#[test]
fn places_that_another_process_takes_beyond_a_lower_cap_are_seen_at_every_look() {
    let folder = tempfile::tempdir().unwrap();
    let (mut low, mut high) = (open(&folder, at(0)), open(&folder, at(0)));
    let first: Vec<_> = (0..4).map(|_| high.take(4, SETTLE, None, at(0)).unwrap().unwrap()).collect();
    first.into_iter().for_each(|call| _ = high.give_back(call, None, at(0)).unwrap());
    // Nothing is beyond: all is looked at and found free.
    let call = low.take(2, SETTLE, None, at(1)).unwrap().unwrap();
    low.give_back(call, None, at(1)).unwrap();
    let mut calls: Vec<_> = (0..5).map(|_| high.take(5, SETTLE, None, at(2)).unwrap().unwrap()).collect();
    // Those beyond go on, also one whose file was not there before; those below are over.
    calls.drain(..3).for_each(|call| _ = high.give_back(call, None, at(2)).unwrap());
    assert!(low.take(2, SETTLE, None, at(3)).unwrap().is_none());
    high.give_back(calls.remove(0), None, at(3)).unwrap();
    let call = low.take(2, SETTLE, None, at(4)).unwrap();
    assert!(call.is_some());
    assert!(low.take(2, SETTLE, None, at(4)).unwrap().is_none());
    drop(calls);
}

#[test]
fn after_a_lowered_cap_places_are_kept_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut slots = open(&folder, at(0));
    let mut calls: Vec<_> = (0..30).map(|_| slots.take(30, SETTLE, None, at(0)).unwrap().unwrap()).collect();
    // One of them is lost; the others are over.
    let lost = calls.pop().unwrap();
    slots.give_back(lost, Some(SETTLE.settle), at(0)).unwrap();
    calls.drain(..).for_each(|call| _ = slots.give_back(call, None, at(0)).unwrap());
    let mut now = at(0);
    let rounds = |slots: &mut Slots, now: &mut Duration| {
        let before = writes();
        for _ in 0..1000 {
            let call = slots.take(2, SETTLE, None, *now).unwrap().unwrap();
            *now += Duration::from_micros(100);
            slots.give_back(call, None, *now).unwrap();
        }
        writes() - before
    };
    assert!(rounds(&mut slots, &mut now) >= 1000, "a place beyond the cap is held back: each call looks anew");
    now = at(6);
    rounds(&mut slots, &mut now);
    assert_eq!(rounds(&mut slots, &mut now), 0, "a call costs nothing as long as nobody has a place beyond the cap");
    // Another process, whose cap is higher, takes one beyond: from the next look on it counts.
    let mut high = open(&folder, now);
    let beyond: Vec<_> = std::iter::from_fn(|| high.take(4, SETTLE, None, now).unwrap()).collect();
    assert!(beyond.len() >= 2, "{}", beyond.len());
    now += Duration::from_millis(6);
    assert!(slots.take(2, SETTLE, None, now).unwrap().is_none());
}

#[test]
fn who_has_a_place_is_told_and_who_has_died_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let long = Term { longest: Some(Duration::from_secs(60)), ..SETTLE };
    let (mut one, mut other) = (open(&folder, at(0)), open(&folder, at(0)));
    let calls = [one.take(3, long, None, at(0)).unwrap().unwrap(), one.take(3, SETTLE, None, at(1)).unwrap().unwrap()];
    let told = other.elsewhere(SETTLE.settle, at(2));
    let said: Vec<_> = told.iter().map(|taken| (taken.process, taken.since, taken.until)).collect();
    let me = Some(std::process::id());
    assert_eq!(said, [(me, at(0), Some(at(60))), (me, at(1), None)]);
    assert!(one.elsewhere(SETTLE.settle, at(2)).is_empty(), "its own");
    // The look has taken nothing.
    let third = other.take(3, SETTLE, None, at(2)).unwrap().unwrap();
    assert!(other.take(3, SETTLE, None, at(2)).unwrap().is_none());
    drop((one, calls));
    assert!(other.elsewhere(SETTLE.settle, at(3)).is_empty());
    assert_eq!(other.held_back(at(3)).foreign, [at(65), at(8)], "they linger from the look on");
    drop(third);
}
