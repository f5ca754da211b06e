//! What the gate itself costs: a call with nobody else there; a call that finds two thousand of five hundred clients
//! waiting; a million clients that come once.
//!
//!     cargo bench --bench gate_core
//!
//! Times are nanoseconds of this thread's own processor time for each call, held against the same calls on a semaphore
//! of tokio, which keeps a cap and nothing else. Memory is what the process has in use.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and has sound inputs")]

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tollbridge::gate::{Adapt, Ask, Config, Gate, Lane, Permit, Priority};

const CALLS: u32 = 300_000;
const WAITING: usize = 2000;
const CLIENTS: usize = 500;

/// Processor time of this thread.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the kernel keeps schedstat"))
}

/// Nanoseconds of one of `calls` calls, in the best of three rounds.
fn nanoseconds(calls: u32, mut work: impl FnMut(u32)) -> f64 {
    let round = |work: &mut dyn FnMut(u32)| {
        let start = processor_time();
        (0..calls).for_each(work);
        (processor_time() - start).as_secs_f64() * 1e9 / f64::from(calls)
    };
    (0..3).map(|_| round(&mut work)).fold(f64::INFINITY, f64::min)
}

/// Bytes in use.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("the kernel keeps statm") * 4096
}

fn config(adaptive: Adapt) -> Config {
    Config { max_in_flight: 8, queue: WAITING, queue_timeout: Duration::from_secs(600), adaptive, ..Config::default() }
}

/// Polls once: for what is there at once, or is to wait.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

fn permit(gate: &Arc<Gate>, ask: Ask) -> Permit {
    now(gate.admit(ask)).expect("there is a place").expect("it is not refused")
}

fn alone() {
    let semaphore = Arc::new(tokio::sync::Semaphore::new(8));
    let bare = nanoseconds(CALLS, |_| {
        let permit = now(Arc::clone(&semaphore).acquire_owned()).expect("there is a place").expect("it is open");
        drop(black_box(permit));
    });
    println!("alone, a semaphore of tokio              {bare:8.0} ns");
    let client: Arc<str> = Arc::from("shop");
    for (name, adaptive) in [("off", Adapt::Off), ("on", Adapt::On)] {
        let gate = Gate::new("erp", config(adaptive), None);
        let gated = nanoseconds(CALLS, |_| {
            let permit = permit(&gate, Ask::new(Lane::Interactive).of(Arc::clone(&client), 1, Priority::Normal));
            permit.begin().answered();
        });
        println!("alone, a gate with `adaptive` {name:3}        {gated:8.0} ns ({:.1} x)", gated / bare);
    }
    let folder = std::env::temp_dir().join(format!("tollbridge-bench-gate-{}", std::process::id()));
    let gate = Gate::shared("erp", config(Adapt::Off), None, &folder).expect("the folder can be made");
    let shared = nanoseconds(CALLS / 10, |_| {
        let permit = permit(&gate, Ask::new(Lane::Interactive).of(Arc::clone(&client), 1, Priority::Normal));
        permit.begin().answered();
    });
    println!("alone, the places seen by all processes  {shared:8.0} ns ({:.1} x)", shared / bare);
    drop(gate);
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}

/// A call that comes, finds `waiting` others in the queue, and leaves it again.
fn comes_and_leaves(waiting: usize, serial: bool) -> f64 {
    let gate = Gate::new("erp", config(Adapt::Off), None);
    let clients: Vec<Arc<str>> = (0..CLIENTS).map(|number| Arc::from(format!("client {number}"))).collect();
    let orders: Vec<Arc<str>> = (0..CLIENTS).map(|number| Arc::from(format!("order {number}"))).collect();
    let ask = |number: usize| {
        let ask = Ask::new(Lane::Interactive).of(Arc::clone(&clients[number % CLIENTS]), 1, Priority::Normal);
        if serial { ask.serial(Arc::clone(&orders[number * 7 % CLIENTS])) } else { ask }
    };
    let held: Vec<_> = (0..8).map(|_| permit(&gate, Ask::new(Lane::Interactive))).collect();
    let mut queue: Vec<_> = (0..waiting).map(|number| Box::pin(gate.admit(ask(number)))).collect();
    for call in &mut queue {
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it waits");
    }
    let mut next = waiting;
    let time = nanoseconds(CALLS / 3, |_| {
        next += 1;
        black_box(now(gate.admit(ask(next))));
    });
    drop((queue, held));
    time
}

fn crowded() {
    for (name, serial) in [("", false), (", with orders", true)] {
        let one = comes_and_leaves(1, serial);
        let many = comes_and_leaves(WAITING - 1, serial);
        let full = comes_and_leaves(WAITING, serial);
        println!("comes and leaves{name:13}: one waits {one:6.0} ns, 1999 wait {many:6.0} ns, full {full:6.0} ns");
    }
}

fn a_million_clients() {
    let gate = Gate::new("erp", config(Adapt::On), None);
    let before = memory();
    let mut most = 0;
    let mut number = 0;
    let each = nanoseconds(1_000_000, |_| {
        number += 1;
        let client = format!("client {number}");
        let permit = permit(&gate, Ask::new(Lane::Interactive).of(client, 1, Priority::Normal));
        let call = permit.begin();
        // Every third leaves before the answer.
        if number % 3 == 0 {
            permit.caller_left();
        }
        call.answered();
        drop(permit);
        if number % 100_000 == 0 {
            most = most.max(memory());
        }
    });
    println!("of three million clients each            {each:8.0} ns, {} MB more", most.saturating_sub(before) >> 20);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime can be made");
    let _entered = runtime.enter();
    alone();
    crowded();
    a_million_clients();
}
