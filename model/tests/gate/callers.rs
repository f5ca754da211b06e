//! Callers who come, wait, leave and run out of time.

use std::sync::Arc;

use shuttle::future::spawn;
use shuttle::rand::Rng;
use tollbridge_model::gate::{Ask, Gate, Lane, Priority, Refused};
use tollbridge_model::{First, first};

use crate::backend::{Backend, Going};
use crate::{FOR_EVER, all, check, config, is_at_rest, ms};

fn ask() -> Ask {
    Ask::new(Lane::Interactive)
}

#[test]
fn everybody_who_waits_is_served() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", config(2), None), Backend::new(2));
        let goings = [Going::Answered, Going::Unused, Going::Failed, Going::Answered, Going::Unused];
        let callers = backend.callers(&gate, goings);
        assert_eq!(all(callers).await, [Ok(()); 5]);
        let status = gate.status();
        assert_eq!((status.granted, status.refused), (5, 0), "each had one verdict");
        assert!(status.high_water <= 2);
        is_at_rest(&gate).await;
    });
}

#[test]
fn clients_and_lanes_of_all_kinds_are_served() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", config(2), None), Backend::new(2));
        let asks = [
            Ask::new(Lane::Sync),
            Ask::new(Lane::Sync),
            ask().of("one", 2, Priority::High),
            ask().of("other", 1, Priority::Low),
            Ask::new(Lane::Health),
        ];
        let callers = asks.map(|ask| {
            let (gate, backend) = (Arc::clone(&gate), backend.clone());
            spawn(async move { backend.serve(&gate, ask, Going::Answered).await })
        });
        assert_eq!(all(callers).await, [Ok(()); 5]);
        is_at_rest(&gate).await;
    });
}

/// Somebody who leaves takes no place along: not while it waits, not in the moment the place is handed over, not
/// after.
#[test]
fn who_leaves_takes_no_place_along() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", config(1), None), Backend::new(1));
        let leaving = (0..3).map(|_| {
            let (gate, backend) = (Arc::clone(&gate), backend.clone());
            spawn(async move {
                let leaves = async {
                    for _ in 0..shuttle::rand::thread_rng().gen_range(0..6) {
                        shuttle::future::yield_now().await;
                    }
                };
                // The call itself is not dropped: only the wait is.
                if let First::One(permit) = first(gate.admit(ask()), leaves, std::future::pending::<()>()).await {
                    backend.call(permit.unwrap(), Going::Answered).await;
                }
            })
        });
        let leaving: Vec<_> = leaving.collect();
        let staying = backend.callers(&gate, [Going::Answered, Going::Unused]);
        assert_eq!(all(staying).await, [Ok(()); 2]);
        all(leaving).await;
        is_at_rest(&gate).await;
    });
}

/// Deadlines fire at any moment, also together with the place.
#[test]
fn a_deadline_in_the_moment_of_the_place_is_one_verdict() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", config(1), None), Backend::new(1));
        let callers = [ms(0), ms(50), ms(50), ms(60), FOR_EVER].map(|wait| {
            let (gate, backend) = (Arc::clone(&gate), backend.clone());
            spawn(async move { backend.serve(&gate, ask().wait(wait), Going::Answered).await })
        });
        let verdicts = all(callers).await;
        assert!(
            verdicts.iter().all(|verdict| matches!(verdict, Ok(()) | Err(Refused::Deadline | Refused::TooLong { .. })))
        );
        assert_eq!(verdicts[4], Ok(()), "who has time enough is served");
        let (status, served) = (gate.status(), verdicts.iter().filter(|verdict| verdict.is_ok()).count() as u64);
        assert_eq!(status.refused, 5 - served);
        // A place that came in the very moment of the deadline was given on.
        assert!(status.granted >= served);
        is_at_rest(&gate).await;
    });
}

#[test]
fn calls_with_one_key_go_one_at_a_time_and_all_go() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", config(3), None), Backend::new(3));
        let of_key = Backend::new(1);
        let callers = [Some("A"), Some("A"), Some("A"), None, Some("B")].map(|key| {
            let (gate, backend, of_key) = (Arc::clone(&gate), backend.clone(), of_key.clone());
            spawn(async move {
                let ask = key.map_or_else(ask, |key| ask().serial(key));
                let permit = gate.admit(ask).await?;
                let counter = if key == Some("A") { of_key } else { backend };
                counter.call(permit, Going::Answered).await;
                Ok(())
            })
        });
        assert_eq!(all(callers).await, [Ok::<(), Refused>(()); 5]);
        is_at_rest(&gate).await;
    });
}
