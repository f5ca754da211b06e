//! New numbers and the end, while callers come and go; and two processes with one cap.

use std::sync::Arc;

use shuttle::future::spawn;
use tollbridge_model::gate::{Ask, Gate, Lane, Refused};
use tollbridge_model::time;

use crate::backend::{Backend, Going};
use crate::{all, check, check_some, config, is_at_rest, ms};

fn ask() -> Ask {
    Ask::new(Lane::Interactive)
}

#[test]
fn a_higher_cap_wakes_those_who_wait() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", config(1), None), Backend::new(3));
        // This one holds its place until the others have been served: they can go by the new cap alone.
        let held = gate.admit(ask()).await.unwrap();
        let callers = backend.callers(&gate, [Going::Answered; 3]);
        gate.reconfigure(config(3));
        assert_eq!(all(callers).await, [Ok(()); 3]);
        drop(held);
        is_at_rest(&gate).await;
    });
}

#[test]
fn a_lower_cap_drops_nobody_and_holds_as_soon_as_the_running_calls_are_over() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", config(3), None), Backend::new(3));
        let callers = backend.callers(&gate, [Going::Answered; 5]);
        gate.reconfigure(config(1));
        let running = gate.status().in_flight();
        backend.bears(running.max(1));
        assert_eq!(all(callers).await, [Ok(()); 5]);
        is_at_rest(&gate).await;
    });
}

#[test]
fn the_end_sends_everybody_home_once() {
    check(|| async {
        let (gate, backend) = (Gate::new("erp", config(1), None), Backend::new(1));
        let callers = backend.callers(&gate, [Going::Answered; 4]);
        // Whoever waits waits for the end alone, should this one have come first.
        let held = gate.acquire(Lane::Interactive, Some(ms(0))).await;
        gate.close();
        let verdicts = all(callers).await;
        drop(held);
        assert!(verdicts.iter().all(|verdict| matches!(verdict, Ok(()) | Err(Refused::Closed))), "{verdicts:?}");
        let status = gate.status();
        assert_eq!(status.granted + status.refused, 5, "each had one verdict");
        assert_eq!((status.in_flight(), status.queued.iter().sum::<usize>()), (0, 0));
    });
}

/// Two gates over the same files are as two processes.
#[test]
fn two_processes_keep_one_cap_and_both_come_through() {
    // Files take longer than locks.
    check_some(150, || async {
        let folder = tempfile::tempdir().unwrap();
        let gate = || Gate::shared("erp", config(1), None, folder.path()).unwrap();
        let (gates, backend) = ([gate(), gate()], Backend::new(1));
        let goings = [Going::Answered, Going::Dropped, Going::Unused, Going::Answered];
        let callers: Vec<_> = goings
            .into_iter()
            .enumerate()
            .map(|(number, going)| {
                let (gate, backend) = (Arc::clone(&gates[number % 2]), backend.clone());
                spawn(async move { backend.serve(&gate, ask(), going).await })
            })
            .collect();
        assert_eq!(all(callers).await, [Ok(()); 4]);
        time::sleep(ms(20_000)).await;
        for gate in gates {
            is_at_rest(&gate).await;
        }
    });
}
