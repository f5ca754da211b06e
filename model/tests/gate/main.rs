//! What must hold of the gate under every schedule: the backend never sees more than the cap; whoever waits is woken
//! when there is a place; everybody who asks gets one verdict; at rest every place is back.
//!
//! Each test runs some thousand schedules, half of them random, half by PCT (Burckhardt and others, 2010), with seeds
//! that are fixed, so that a schedule that fails once fails always. Where nobody may wait for ever a deadlock that the
//! checker reports is a lost wake-up: most waits here have no end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod backend;
mod callers;
mod changes;
mod endings;

use std::sync::Arc;
use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, Runner};
use tollbridge_model::gate;
use tollbridge_model::time;

/// Schedules of each kind.
const SCHEDULES: usize = 3000;

/// Longer than any schedule goes on.
const FOR_EVER: Duration = Duration::from_secs(10_000_000);

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A gate's settings in which nothing happens by time alone.
fn config(max_in_flight: usize) -> gate::Config {
    gate::Config {
        max_in_flight,
        queue: 100,
        queue_timeout: FOR_EVER,
        settle: ms(5000),
        sync_share: 0.5,
        breaker: gate::Breaker { failures: 0, ..gate::Breaker::default() },
        ..gate::Config::default()
    }
}

/// Runs this under many schedules.
fn check<F: Future<Output = ()> + 'static>(story: fn() -> F) {
    check_some(SCHEDULES, story);
}

/// Runs this under so many schedules of each kind.
fn check_some<F: Future<Output = ()> + 'static>(schedules: usize, story: fn() -> F) {
    run(RandomScheduler::new_from_seed(0x0070_11B0, schedules), schedules, story);
    run(PctScheduler::new_from_seed(0x0070_11B1, 3, schedules), schedules, story);
}

fn run<F: Future<Output = ()> + 'static>(scheduler: impl Scheduler + 'static, schedules: usize, story: fn() -> F) {
    let mut config = Config::new();
    config.stack_size = 512 * 1024;
    config.failure_persistence = FailurePersistence::Print;
    config.silence_warnings = true;
    let runner = Runner::new(scheduler, config);
    let done = runner.run(move || {
        shuttle::future::block_on(async {
            let clock = shuttle::future::spawn(time::run_clock());
            story().await;
            time::stop_clock();
            clock.await.unwrap();
        });
    });
    assert_eq!(done, schedules);
}

/// Waits for all of these.
async fn all<T>(tasks: impl IntoIterator<Item = shuttle::future::JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// Nobody is in flight, nobody waits, and as many as the cap can go at once.
async fn is_at_rest(gate: &Arc<gate::Gate>) {
    let status = gate.status();
    assert_eq!((status.in_flight(), status.queued.iter().sum::<usize>()), (0, 0), "{status:?}");
    let mut permits = Vec::new();
    for _ in 0..status.max_in_flight {
        permits.push(gate.acquire(gate::Lane::Interactive, Some(ms(0))).await.expect("a place is lost"));
    }
    assert!(gate.acquire(gate::Lane::Interactive, Some(ms(0))).await.is_err());
}
