//! Freshness rules without a backend.

use std::time::Duration;

use super::{Rules, Wish};

const fn s(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A hybrid resource with `max_age` 60 s that may be stale for an hour.
fn rules(wish: Wish) -> Rules {
    Rules {
        wish,
        max_age: Some(s(60)),
        is_hybrid: true,
        stale_if_error: Some(s(3600)),
        is_stored: true,
        is_alone: false,
    }
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
    let check =
        |wish: Wish, age: u64, may: bool| assert_eq!(rules(wish).may_be_stale(s(age), false), may, "{wish:?} {age}");
    check(Wish::default(), 3660, true);
    check(Wish::default(), 3661, false);
    let no_cache = Wish { no_cache: true, ..Wish::default() };
    check(no_cache, 100, false);
    check(Wish { stale_if_error: Some(s(50)), ..no_cache }, 100, true);
    check(Wish { stale_if_error: Some(s(50)), ..no_cache }, 120, false);
    check(Wish { max_age: Some(s(5)), ..Wish::default() }, 70, false);
    check(Wish { stale_if_error: Some(Duration::MAX), ..Wish::default() }, 3661, false);
    let never = Rules { stale_if_error: None, ..rules(Wish::default()) };
    assert!(!never.may_be_stale(s(61), false));
}

#[test]
fn while_it_is_closed_a_hybrid_resource_is_read_from_staging() {
    let year = 365 * 86_400;
    let undeclared = |wish| Rules { stale_if_error: None, ..rules(wish) };
    assert!(undeclared(Wish::default()).may_be_stale(s(year), true));
    assert!(rules(Wish::default()).may_be_stale(s(year), true));
    // Callers decide for themselves.
    let no_cache = Wish { no_cache: true, ..Wish::default() };
    assert!(!undeclared(no_cache).may_be_stale(s(61), true));
    let bounded = Wish { stale_if_error: Some(s(50)), ..no_cache };
    assert!(undeclared(bounded).may_be_stale(s(110), true) && !undeclared(bounded).may_be_stale(s(111), true));
    // A live resource has only what its mapping declares.
    let live = Rules { is_hybrid: false, max_age: None, stale_if_error: None, ..rules(Wish::default()) };
    assert!(!live.may_be_stale(s(1), true));
    let declared = Rules { stale_if_error: Some(s(3600)), ..live };
    assert!(declared.may_be_stale(s(3600), true) && !declared.may_be_stale(s(3601), true));
}
