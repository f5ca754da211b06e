//! One try at a time, and ever more seldom.

use super::{Barred, How, Lockout, Outcome, PRESUMED, Turn};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, advance, sleep};

fn tries(lockout: &Lockout, server: &str) -> Turn {
    lockout.turn(server).unwrap().expect("nobody else tries it")
}

/// Seconds for which it is left alone.
fn left(lockout: &Lockout, server: &str) -> u64 {
    match lockout.turn(server) {
        Err(Barred::Refused { left, .. }) => left.as_secs(),
        Ok(_) | Err(Barred::Late) => 0,
    }
}

fn refused(lockout: &Lockout, server: &str) {
    let turn = tries(lockout, server);
    lockout.ended(server, &turn, Outcome::Refused);
}

async fn pass(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn one_tries_first_and_the_others_wait_for_what_comes_of_it() {
    for was_refused in [true, false] {
        let lockout = Arc::new(Lockout::default());
        let first = tries(&lockout, "a");
        let until = Instant::now() + Duration::from_secs(30);
        let others: Vec<_> = (0..15)
            .map(|_| {
                let lockout = Arc::clone(&lockout);
                assert!(lockout.turn("a").unwrap().is_none());
                tokio::spawn(async move { lockout.waited("a", until).await })
            })
            .collect();
        sleep(Duration::from_secs(2)).await;
        assert!(others.iter().all(|other| !other.is_finished()));
        lockout.ended("a", &first, if was_refused { Outcome::Refused } else { Outcome::Taken });
        drop(first);
        let mut turns = Vec::new();
        for other in others {
            match other.await.unwrap() {
                Ok(turn) => turns.push(turn),
                Err(barred) => assert!(matches!(barred, Barred::Refused { is_here: true, .. }), "{barred:?}"),
            }
        }
        // All of them at once, or none.
        assert_eq!(turns.len(), if was_refused { 0 } else { 15 });
        assert!(turns.iter().all(|turn| turn.flight.is_none()));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_goes_when_its_time_is_over_and_follows_who_got_no_answer() {
    let lockout = Lockout::default();
    let first = tries(&lockout, "a");
    let began = Instant::now();
    let late = lockout.waited("a", began + Duration::from_secs(3)).await;
    assert!(matches!(late, Err(Barred::Late)));
    assert!(began.elapsed() < Duration::from_secs(3), "before the call's own time is over");
    drop(first);
    let next = lockout.waited("a", Instant::now() + Duration::from_secs(3)).await.unwrap();
    assert!(next.flight.is_some() && lockout.turn("a").unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_refused_password_is_tried_four_times_in_half_an_hour() {
    let lockout = Lockout::default();
    let (began, mut tried) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(1800) {
        if left(&lockout, "a") == 0 {
            refused(&lockout, "a");
            tried += 1;
        }
        pass(1).await;
    }
    assert_eq!(tried, 4);
    pass(1000).await;
    let turn = tries(&lockout, "a");
    lockout.ended("a", &turn, Outcome::Taken);
    assert!(tries(&lockout, "a").flight.is_none());
    drop(turn);
    // What comes later counts from the beginning.
    refused(&lockout, "a");
    assert_eq!(left(&lockout, "a"), 5);
}

#[tokio::test(start_paused = true)]
async fn a_password_that_was_good_is_tried_by_one_first_but_not_waited_for_long() {
    let lockout = Lockout::default();
    let turn = tries(&lockout, "a");
    lockout.ended("a", &turn, Outcome::Taken);
    drop(turn);
    let (one, other) = (tries(&lockout, "a"), tries(&lockout, "a"));
    // Two that try at once, and whose refusals count once.
    pass(1).await;
    lockout.ended("a", &one, Outcome::Refused);
    assert!(lockout.stands("a", &other).is_err(), "it is not sent any more");
    lockout.ended("a", &other, Outcome::Refused);
    assert_eq!(left(&lockout, "a"), 5);
    pass(5).await;
    let turn = tries(&lockout, "a");
    assert!(turn.flight.is_some());
    lockout.ended("a", &turn, Outcome::Taken);
    drop(turn);
    pass(61).await;
    let first = tries(&lockout, "a");
    assert!(first.flight.is_some(), "whether it is still good is asked by one");
    let began = Instant::now();
    let second = lockout.waited("a", began + Duration::from_secs(30)).await.unwrap();
    assert!(second.flight.is_none());
    assert_eq!(began.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_closed_counts_like_a_refusal() {
    let lockout = Arc::new(Lockout::default());
    let first = tries(&lockout, "a");
    let until = Instant::now() + Duration::from_secs(30);
    let other = tokio::spawn({
        let lockout = Arc::clone(&lockout);
        async move { lockout.waited("a", until).await }
    });
    sleep(Duration::from_secs(1)).await;
    lockout.ended("a", &first, Outcome::Closed(Duration::ZERO));
    drop(first);
    let barred = other.await.unwrap();
    assert!(matches!(barred, Err(Barred::Refused { is_here: true, how: How::Closed, .. })));
    assert!(matches!(lockout.turn("b"), Err(Barred::Refused { is_here: false, how: How::Closed, .. })));
    assert_eq!((left(&lockout, "a"), left(&lockout, "b")), (5, 5));
    // However long it takes, as long as nobody has taken it.
    let (began, mut tried) = (Instant::now(), 1);
    while began.elapsed() < Duration::from_secs(1800) {
        if left(&lockout, "a") == 0 {
            let turn = tries(&lockout, "a");
            lockout.ended("a", &turn, Outcome::Closed(Duration::from_secs(20)));
            tried += 1;
        }
        pass(1).await;
    }
    assert_eq!(tried, 4);
}

#[tokio::test(start_paused = true)]
async fn a_good_password_is_doubted_where_a_connection_is_closed_at_once() {
    let lockout = Lockout::default();
    let taken = |server: &str| {
        let turn = tries(&lockout, server);
        lockout.ended(server, &turn, Outcome::Taken);
    };
    taken("a");
    let (one, other) = (tries(&lockout, "a"), tries(&lockout, "a"));
    pass(1).await;
    // Later it is the call that has broken down.
    lockout.ended("a", &one, Outcome::Closed(PRESUMED + Duration::from_millis(1)));
    assert!(tries(&lockout, "a").flight.is_none());
    lockout.ended("a", &one, Outcome::Closed(Duration::ZERO));
    assert!(lockout.stands("a", &other).is_err(), "it is not sent any more");
    lockout.ended("a", &other, Outcome::Closed(Duration::ZERO));
    assert_eq!(left(&lockout, "a"), 1);
    pass(1).await;
    let next = tries(&lockout, "a");
    assert!(next.flight.is_some(), "one tries");
    lockout.ended("a", &next, Outcome::Closed(Duration::ZERO));
    drop(next);
    assert_eq!(left(&lockout, "a"), 150);
    pass(150).await;
    taken("a");
    assert!(tries(&lockout, "a").flight.is_none());
    // Where another server takes it, it is this one's own.
    taken("b");
    let turn = tries(&lockout, "a");
    lockout.ended("a", &turn, Outcome::Closed(Duration::ZERO));
    assert_eq!((left(&lockout, "a"), left(&lockout, "b")), (1, 0));
    // A refusal at the same time is one.
    let turn = Turn { began: turn.began, flight: None };
    lockout.ended("a", &turn, Outcome::Refused);
    assert_eq!((left(&lockout, "a"), left(&lockout, "b")), (5, 0));
}

/// A call that is given up `after` so many seconds.
async fn silent(lockout: &Lockout, server: &str, after: u64) {
    let turn = tries(lockout, server);
    pass(after).await;
    lockout.ended(server, &turn, Outcome::Silent);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_us_without_an_answer_may_have_refused_it() {
    for was_good in [false, true] {
        let lockout = Lockout::default();
        if was_good {
            let turn = tries(&lockout, "a");
            lockout.ended("a", &turn, Outcome::Taken);
            pass(600).await;
        }
        let (began, mut tried, mut first) = (Instant::now(), 0, None);
        while began.elapsed() < Duration::from_secs(1800) {
            if left(&lockout, "a") == 0 {
                silent(&lockout, "a", 40).await;
                // Where it was good, others may well take it.
                first.get_or_insert((left(&lockout, "a"), left(&lockout, "b")));
                tried += 1;
            }
            pass(1).await;
        }
        assert_eq!((tried, first), (4, Some(if was_good { (1, 0) } else { (5, 5) })), "{was_good}");
        let barred = lockout.turn("a");
        assert!(matches!(barred, Err(Barred::Refused { is_here: true, how: How::Silent, .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_says_nothing_where_others_are_let_in_meanwhile() {
    let lockout = Arc::new(Lockout::default());
    let taken = |server: &str| {
        let turn = tries(&lockout, server);
        lockout.ended(server, &turn, Outcome::Taken);
    };
    taken("a");
    let hangs = tries(&lockout, "a");
    pass(20).await;
    taken("a");
    pass(20).await;
    lockout.ended("a", &hangs, Outcome::Silent);
    assert!(tries(&lockout, "a").flight.is_none(), "all of them go on");
    // Nobody was let in, so one looks; the others wait for it, longer than for a good one.
    silent(&lockout, "a", 40).await;
    pass(1).await;
    let looks = tries(&lockout, "a");
    assert!(looks.flight.is_some());
    let other = tokio::spawn({
        let (lockout, until) = (Arc::clone(&lockout), Instant::now() + Duration::from_secs(30));
        async move { lockout.waited("a", until).await }
    });
    sleep(Duration::from_secs(20)).await;
    assert!(!other.is_finished());
    lockout.ended("a", &looks, Outcome::Taken);
    drop(looks);
    assert!(other.await.unwrap().is_ok_and(|turn| turn.flight.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_let_in_before_a_refusal_says_nothing_against_it() {
    let lockout = Lockout::default();
    let turn = tries(&lockout, "a");
    lockout.ended("a", &turn, Outcome::Taken);
    drop(turn);
    let (slow, next) = (tries(&lockout, "a"), tries(&lockout, "a"));
    pass(1).await;
    // The password was changed while the first of both was at work.
    lockout.ended("a", &next, Outcome::Refused);
    pass(1).await;
    lockout.ended("a", &slow, Outcome::Taken);
    assert_eq!((left(&lockout, "a"), left(&lockout, "b")), (4, 4));
    pass(4).await;
    assert!(tries(&lockout, "a").flight.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_domain_counts_the_refusals_of_all_its_servers() {
    let lockout = Lockout::default();
    refused(&lockout, "a");
    assert_eq!(left(&lockout, "b"), 5, "as long as nobody has taken it");
    pass(5).await;
    refused(&lockout, "b");
    assert_eq!((left(&lockout, "a"), left(&lockout, "b")), (150, 155));
    assert_eq!(left(&lockout, "c"), 5);
    pass(5).await;
    let turn = tries(&lockout, "c");
    lockout.ended("c", &turn, Outcome::Taken);
    drop(turn);
    // It is good: what the others said is their own.
    assert_eq!((left(&lockout, "a"), left(&lockout, "b")), (0, 0));
    refused(&lockout, "a");
    assert_eq!((left(&lockout, "a"), left(&lockout, "b"), left(&lockout, "c")), (150, 0, 0));
    // Until who took it does not any more.
    refused(&lockout, "c");
    assert_eq!(left(&lockout, "b"), 5);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_asks_has_it_tried_once_and_at_once() {
    let lockout = Lockout::default();
    lockout.ask("a");
    refused(&lockout, "a");
    assert_eq!(left(&lockout, "a"), 5, "what was asked for before is no try");
    pass(5).await;
    refused(&lockout, "a");
    for _ in 0..2 {
        pass(1).await;
        lockout.ask("a");
        // It is told as it is until then, and asked for at this server.
        assert!(lockout.refused_until("a").is_some() && lockout.turn("b").is_err());
        let turn = tries(&lockout, "a");
        assert!(turn.flight.is_some());
        let late = lockout.waited("a", Instant::now() + Duration::from_secs(1)).await;
        assert!(late.is_err(), "one alone");
        lockout.ended("a", &turn, Outcome::Refused);
        drop(turn);
        assert!(left(&lockout, "a") >= 899);
        assert!(lockout.waited("a", Instant::now() + Duration::from_secs(1)).await.is_err());
    }
    pass(1).await;
    lockout.ask("a");
    let turn = lockout.waited("a", Instant::now() + Duration::from_secs(1)).await.unwrap();
    lockout.ended("a", &turn, Outcome::Taken);
    drop(turn);
    assert!(lockout.refused_until("a").is_none() && tries(&lockout, "a").flight.is_none());
    // A call that had its right before the refusal does not send it for that.
    let (one, other) = (tries(&lockout, "a"), tries(&lockout, "a"));
    pass(1).await;
    lockout.ended("a", &one, Outcome::Refused);
    lockout.ask("a");
    assert!(lockout.stands("a", &other).is_err());
    assert!(tries(&lockout, "a").flight.is_some());
}
