//! Freshness rules without a backend.

use std::time::Duration;

use super::{Rules, Wish};

const fn s(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A hybrid resource with `max_age` 60 s that may be stale for an hour.
fn rules(wish: Wish) -> Rules {
    Rules { wish, max_age: Some(s(60)), stale_if_error: Some(s(3600)), is_stored: true }
}

#[test]
fn the_caller_can_only_ask_for_fresher() {
    let check = |wish: Wish, age: u64, fresh: bool| assert_eq!(rules(wish).is_fresh(s(age)), fresh, "{wish:?} {age}");
    check(Wish::default(), 0, true);
    check(Wish::default(), 60, true);
    check(Wish::default(), 61, false);
    let max_age = |age| Wish { max_age: Some(s(age)), ..Wish::default() };
    check(max_age(30), 30, true);
    check(max_age(30), 31, false);
    check(max_age(600), 61, false);
    check(max_age(0), 0, false);
    check(Wish { no_cache: true, ..Wish::default() }, 0, false);
    let live = Rules { max_age: None, ..rules(Wish::default()) };
    assert!(!live.is_fresh(s(0)));
}

#[test]
fn stale_answers_are_for_those_who_take_them() {
    let check = |wish: Wish, age: u64, may: bool| assert_eq!(rules(wish).may_be_stale(s(age)), may, "{wish:?} {age}");
    check(Wish::default(), 3660, true);
    check(Wish::default(), 3661, false);
    let no_cache = Wish { no_cache: true, ..Wish::default() };
    check(no_cache, 100, false);
    check(Wish { stale_if_error: Some(s(50)), ..no_cache }, 100, true);
    check(Wish { stale_if_error: Some(s(50)), ..no_cache }, 120, false);
    check(Wish { max_age: Some(s(5)), ..Wish::default() }, 70, false);
    check(Wish { stale_if_error: Some(Duration::MAX), ..Wish::default() }, 3661, false);
    let never = Rules { stale_if_error: None, ..rules(Wish::default()) };
    assert!(!never.may_be_stale(s(61)));
}
