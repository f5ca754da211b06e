//! Calls that do not end as they should.

use std::sync::Arc;

use shuttle::future::spawn;
use tollbridge_model::gate::{Ask, Breaker, BreakerState, Config, Gate, Lane, Refused};
use tollbridge_model::time;

use crate::backend::{Backend, Going};
use crate::{FOR_EVER, all, check, config, is_at_rest, ms};

fn ask() -> Ask {
    Ask::new(Lane::Interactive)
}

/// The place of a call whose end nobody saw comes back by time alone: whoever waits is woken for it.
#[test]
fn who_waits_for_a_place_that_lingers_is_woken_when_it_has_settled() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", config(1), None), Backend::new(1));
        let callers = backend.callers(&gate, [Going::Dropped, Going::Answered, Going::Lost, Going::Answered]);
        assert_eq!(all(callers).await, [Ok(()); 4]);
        time::sleep(ms(6000)).await;
        is_at_rest(&gate).await;
    });
}

/// A call that goes on past its time keeps its place to its end, and whoever waits is woken then.
#[test]
fn a_call_past_its_time_keeps_its_place_to_its_end() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", config(2), None), Backend::new(2));
        let goings = [Going::Overdue, Going::Answered, Going::Overdue, Going::Overdue, Going::Answered];
        assert_eq!(all(backend.callers(&gate, goings)).await, [Ok(()); 5]);
        is_at_rest(&gate).await;
    });
}

/// A caller of a call at work hangs up while the call ends.
#[test]
fn a_caller_who_leaves_while_the_call_ends_changes_nothing() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", config(1), None), Backend::new(1));
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let (gate, backend) = (Arc::clone(&gate), backend.clone());
                spawn(async move {
                    let permit = Arc::new(gate.admit(ask()).await.unwrap());
                    let hangs_up = spawn({
                        let permit = Arc::clone(&permit);
                        async move { permit.caller_left() }
                    });
                    let call = permit.begin();
                    assert!(backend.at_work() == 0);
                    shuttle::future::yield_now().await;
                    call.answered();
                    drop(permit);
                    hangs_up.await.unwrap();
                })
            })
            .collect();
        all(callers).await;
        is_at_rest(&gate).await;
    });
}

fn fragile() -> Config {
    Config { breaker: Breaker { failures: 2, window: ms(1_000_000), cool_down: ms(1000) }, ..config(2) }
}

/// The breaker opens, one call finds out that the backend is back, and all goes on: under every schedule.
#[test]
fn a_breaker_that_opened_closes_again_and_nobody_is_forgotten() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", fragile(), None), Backend::new(2));
        let goings = [Going::Failed, Going::Overdue, Going::Lost, Going::Answered, Going::Unused];
        let callers = backend.callers(&gate, goings);
        for verdict in all(callers).await {
            assert!(matches!(verdict, Ok(()) | Err(Refused::BreakerOpen { .. })), "{verdict:?}");
        }
        // However it stands: the backend is well again, and so is the gate in the end.
        for _ in 0..20 {
            let _ = backend.serve(&gate, ask().wait(ms(10_000)), Going::Answered).await;
            time::sleep(ms(1000)).await;
        }
        assert_eq!(gate.status().breaker, BreakerState::Closed);
        is_at_rest(&gate).await;
    });
}

/// A backend that stands still is left alone, however many calls were good before, and called again when it answers at last,
/// not only when its cool-down is over: that is longer than all this takes.
#[test]
fn a_backend_that_stood_still_is_called_again_when_it_answers() {
    check(|| async {
        let breaker = Breaker { failures: 2, window: FOR_EVER, cool_down: FOR_EVER };
        let (gate, backend) = (Gate::new("erp", Config { breaker, ..config(2) }, None), Backend::new(2));
        for _ in 0..6 {
            assert_eq!(backend.serve(&gate, ask(), Going::Answered).await, Ok(()));
        }
        let callers = backend.callers(&gate, [Going::Late, Going::Late, Going::Answered]);
        for verdict in all(callers).await {
            assert!(matches!(verdict, Ok(()) | Err(Refused::BreakerOpen { .. })), "{verdict:?}");
        }
        for _ in 0..3 {
            assert_eq!(backend.serve(&gate, ask(), Going::Answered).await, Ok(()));
        }
        assert_eq!(gate.status().breaker, BreakerState::Closed);
        is_at_rest(&gate).await;
    });
}

/// While it is found out whether the backend is back, one call at a time goes.
#[test]
fn a_half_open_breaker_lets_one_call_through() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", fragile(), None), Backend::new(2));
        let _ = backend.serve(&gate, ask(), Going::Failed).await;
        let _ = backend.serve(&gate, ask(), Going::Failed).await;
        assert_eq!(gate.status().breaker, BreakerState::Open);
        time::sleep(ms(1000)).await;
        // Until the first of these has come back, one.
        backend.bears(1);
        let probes = backend.callers(&gate, [Going::Unused, Going::Failed, Going::Failed]);
        for verdict in all(probes).await {
            assert!(matches!(verdict, Ok(()) | Err(Refused::BreakerOpen { .. })), "{verdict:?}");
        }
        assert_ne!(gate.status().breaker, BreakerState::Closed);
        assert_eq!((gate.status().in_flight(), gate.status().queued.iter().sum::<usize>()), (0, 0));
    });
}
