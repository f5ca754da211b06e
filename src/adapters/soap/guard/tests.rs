//! Who may try a secret when, and what comes of it.

use super::{Barred, Guard, OWN_TRIES, Outcome, PATIENCE, Turn};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, advance, sleep};

/// The right to try it, where it can be had at once.
fn enter_now(guard: &Arc<Guard>, operation: &str) -> Result<Turn, Barred> {
    let entered = std::pin::pin!(guard.enter(operation, Instant::now()));
    match entered.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(entered) => entered,
        Poll::Pending => Err(Barred::Late),
    }
}

fn tries(guard: &Arc<Guard>, operation: &str) -> Turn {
    enter_now(guard, operation).expect("nobody else tries it")
}

fn ended(turn: Turn, outcome: Outcome) {
    turn.ended(outcome, "erp", || "no".to_owned());
}

fn says(guard: &Arc<Guard>, operation: &str, outcome: Outcome) {
    ended(tries(guard, operation), outcome);
}

/// Seconds for which it is left alone.
fn left(guard: &Arc<Guard>, operation: &str) -> u64 {
    match guard.known.lock().barred(operation) {
        Some(Barred::Refused { left, said }) => {
            assert_eq!(said, "no");
            left.as_secs()
        }
        _ => 0,
    }
}

async fn pass(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn one_goes_first_with_a_secret_that_nobody_has_taken() {
    for outcome in [Outcome::Refused, Outcome::Taken] {
        let guard = Arc::new(Guard::default());
        let first = tries(&guard, "a");
        assert!(matches!(guard.enter_to_look("b"), Err(Barred::Late)));
        let others: Vec<_> = (0..15)
            .map(|number| {
                let (guard, until) = (Arc::clone(&guard), Instant::now() + Duration::from_secs(30));
                tokio::spawn(async move { guard.enter(if number % 2 == 0 { "a" } else { "b" }, until).await })
            })
            .collect();
        sleep(Duration::from_secs(2)).await;
        assert!(others.iter().all(|other| !other.is_finished()));
        ended(first, outcome);
        let mut let_in = 0;
        for other in others {
            match other.await.unwrap() {
                Ok(turn) => {
                    assert!(turn.flight.is_none());
                    let_in += 1;
                }
                Err(barred) => assert!(matches!(barred, Barred::Refused { .. }), "{barred:?}"),
            }
        }
        // All of them at once, or none.
        assert_eq!(let_in, if outcome == Outcome::Taken { 15 } else { 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_call_that_takes_long_is_not_waited_for_for_ever() {
    let guard = Arc::new(Guard::default());
    let first = tries(&guard, "a");
    let (began, far) = (Instant::now(), Instant::now() + Duration::from_secs(60));
    assert!(guard.enter("a", far).await.is_ok_and(|turn| turn.flight.is_none()));
    assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());
    // Nor by whoever has less time.
    assert!(guard.enter("a", Instant::now() + Duration::from_secs(1)).await.is_ok());
    assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs() + 1);
    // What has ended without a word leaves the next one to try it.
    drop(first);
    assert!(guard.enter("a", far).await.is_ok_and(|turn| turn.flight.is_some()));
    // With one that was refused nobody goes along.
    says(&guard, "a", Outcome::Refused);
    pass(5).await;
    let probe = tries(&guard, "a");
    assert!(matches!(guard.enter("a", Instant::now() + Duration::from_secs(1)).await, Err(Barred::Late)));
    ended(probe, Outcome::Taken);
    assert!(guard.enter("a", Instant::now()).await.is_ok_and(|turn| turn.flight.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_wrong_is_tried_four_times_in_half_an_hour() {
    for was_good in [false, true] {
        let guard = Arc::new(Guard::default());
        if was_good {
            says(&guard, "a", Outcome::Taken);
        }
        let (began, mut tried) = (Instant::now(), Vec::new());
        while began.elapsed() < Duration::from_secs(1800) {
            if let Ok(turn) = enter_now(&guard, "a") {
                ended(turn, Outcome::Refused);
                tried.push(began.elapsed().as_secs());
            }
            pass(1).await;
        }
        match was_good {
            false => assert_eq!(tried, [0, 5, 155, 1055]),
            // Two more, since a no may be one to what was asked.
            true => assert_eq!(tried, [0, 1, 2, 7, 157, 1057]),
        }
        assert!(guard.refused_until().is_some());
        pass(1000).await;
        says(&guard, "a", Outcome::Taken);
        assert_eq!((guard.refused_until(), left(&guard, "a")), (None, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn many_operations_do_not_try_it_one_after_another() {
    let guard = Arc::new(Guard::default());
    let (began, mut tried) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(600) {
        for operation in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            if let Ok(turn) = enter_now(&guard, operation) {
                ended(turn, Outcome::Refused);
                tried += 1;
            }
        }
        pass(1).await;
    }
    // The first of them twice.
    assert_eq!(tried, OWN_TRIES + 1);
}

#[tokio::test(start_paused = true)]
async fn a_no_to_one_record_or_operation_shuts_nobody_out() {
    let guard = Arc::new(Guard::default());
    says(&guard, "b", Outcome::Taken);
    // As long as others are let in between, it is none to the secret.
    for _ in 0..100 {
        says(&guard, "a", Outcome::Refused);
        says(&guard, "a", Outcome::Refused);
        says(&guard, "b", Outcome::Taken);
        pass(1).await;
    }
    assert_eq!((left(&guard, "a"), left(&guard, "b"), guard.refused_until()), (0, 0, None));
    // Where only it is called for a while nobody knows; the other one finds out.
    (0..3).for_each(|_| says(&guard, "a", Outcome::Refused));
    assert_eq!((left(&guard, "a"), left(&guard, "b")), (5, 5));
    pass(5).await;
    says(&guard, "a", Outcome::Refused);
    assert_eq!((left(&guard, "a"), left(&guard, "b")), (150, 5));
    pass(5).await;
    says(&guard, "b", Outcome::Taken);
    assert_eq!((left(&guard, "a"), left(&guard, "b"), guard.refused_until()), (0, 0, None));
    // From now on it is its own.
    says(&guard, "a", Outcome::Refused);
    says(&guard, "b", Outcome::Taken);
    assert_eq!((left(&guard, "a"), left(&guard, "b"), left(&guard, "c")), (150, 0, 0));
    pass(150).await;
    says(&guard, "a", Outcome::Taken);
    assert_eq!(left(&guard, "a"), 0);
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_under_way_count_once_and_late_good_ones_prove_nothing() {
    let guard = Arc::new(Guard::default());
    says(&guard, "a", Outcome::Taken);
    let mut under_way: Vec<Turn> = (0..8).map(|_| tries(&guard, "a")).collect();
    let slow = tries(&guard, "b");
    pass(1).await;
    under_way.drain(..).for_each(|turn| ended(turn, Outcome::Refused));
    assert_eq!((left(&guard, "a"), left(&guard, "b")), (5, 5));
    // Its secret was looked at before it was changed.
    pass(1).await;
    ended(slow, Outcome::Taken);
    assert_eq!((left(&guard, "a"), left(&guard, "b")), (4, 4));
    pass(4).await;
    says(&guard, "a", Outcome::Refused);
    assert_eq!(left(&guard, "a"), 150);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_asks_has_it_tried_once_and_at_once() {
    let guard = Arc::new(Guard::default());
    let enter = |operation: &'static str| {
        let guard = Arc::clone(&guard);
        async move { guard.enter(operation, Instant::now() + Duration::from_secs(30)).await }
    };
    // Nothing is left alone: what is asked for now is no try for later.
    guard.ask();
    says(&guard, "a", Outcome::Refused);
    assert!(guard.is_left_alone() && enter("a").await.is_err());
    for seconds in [5, 150] {
        pass(seconds).await;
        says(&guard, "a", Outcome::Refused);
    }
    for _ in 0..3 {
        guard.ask();
        // A look does not use it up.
        assert!(matches!(guard.enter_to_look("a"), Err(Barred::Refused { .. })));
        let turn = enter("a").await.ok().filter(|turn| turn.flight.is_some()).expect("it may try it");
        assert!(enter("a").await.is_err(), "one alone");
        ended(turn, Outcome::Refused);
        assert_eq!(left(&guard, "a"), 900);
        assert!(enter("a").await.is_err());
    }
    // Of two who find at the same time that it may be tried one does.
    guard.ask();
    let held = Arc::clone(&guard.flight).try_lock_owned().unwrap();
    let both = [enter("a"), enter("a")].map(tokio::spawn);
    sleep(Duration::from_secs(1)).await;
    drop(held);
    let mut tried = 0;
    for one in both {
        if let Ok(turn) = one.await.unwrap() {
            ended(turn, Outcome::Refused);
            tried += 1;
        }
    }
    assert_eq!((tried, left(&guard, "a")), (1, 900));
    // Whoever gave up without a word has used it up as well.
    guard.ask();
    drop(enter("a").await.expect("it may try it"));
    assert!(enter("a").await.is_err());
    guard.ask();
    ended(enter("a").await.expect("it may try it"), Outcome::Taken);
    assert!(!guard.is_left_alone() && guard.refused_until().is_none());
    assert!(enter("a").await.is_ok_and(|turn| turn.flight.is_none()), "all of them");
    // What one operation refuses alone.
    (0..3).for_each(|_| says(&guard, "a", Outcome::Refused));
    pass(5).await;
    says(&guard, "a", Outcome::Refused);
    pass(5).await;
    says(&guard, "b", Outcome::Taken);
    says(&guard, "a", Outcome::Refused);
    assert!(guard.is_left_alone() && guard.refused_until().is_none());
    guard.ask();
    assert!(enter("b").await.is_ok_and(|turn| turn.flight.is_none()));
    ended(enter("a").await.expect("it may try it"), Outcome::Taken);
    assert_eq!((left(&guard, "a"), guard.is_left_alone()), (0, false));
    // Nothing is left of it when its time comes by itself.
    (0..3).for_each(|_| says(&guard, "b", Outcome::Refused));
    guard.ask();
    pass(5).await;
    ended(enter("b").await.expect("its time has come"), Outcome::Refused);
    assert!(enter("b").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_look_does_not_try_what_was_refused() {
    let guard = Arc::new(Guard::default());
    let looks = |outcome: Outcome| ended(guard.enter_to_look("GET /").expect("nobody has refused it"), outcome);
    // It may be the first to find that it is wrong.
    looks(Outcome::Refused);
    assert!(matches!(guard.enter_to_look("GET /"), Err(Barred::Refused { .. })));
    // Its time has come, and a service that says no to a look alone does not keep calls out.
    for _ in 0..20 {
        pass(5).await;
        assert!(matches!(guard.enter_to_look("GET /"), Err(Barred::Doubted { .. })));
    }
    says(&guard, "a", Outcome::Taken);
    // From now on its no is its own.
    looks(Outcome::Refused);
    assert!(guard.enter_to_look("GET /").is_err() && tries(&guard, "a").flight.is_none());
    pass(150).await;
    looks(Outcome::Refused);
}

#[test]
fn another_secret_or_host_is_another_account() {
    let one = Guard::of("erp:80", &[("basic", "svc", "one")]);
    assert!(Arc::ptr_eq(&one, &Guard::of("erp:80", &[("basic", "svc", "one")])));
    for (host, secrets) in [
        ("erp:81", [("basic", "svc", "one")]),
        ("erp:80", [("basic", "svc", "two")]),
        ("erp:80", [("basic", "svcone", "")]),
        ("erp:80", [("wsse", "svc", "one")]),
    ] {
        assert!(!Arc::ptr_eq(&one, &Guard::of(host, &secrets)), "{host} {secrets:?}");
    }
}
