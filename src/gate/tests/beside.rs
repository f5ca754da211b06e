//! Places that other processes have, and calls that this machine cannot make.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Ask, Gate, Lane, Refused, config};
use crate::gate::{BreakerState, Config, Observer};

const INTERACTIVE: [usize; Lane::COUNT] = [0, 1, 0, 0];

#[tokio::test(start_paused = true)]
async fn places_of_another_process_are_told_as_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let gate = || Gate::shared("erp", config(2, 10), None, folder.path()).unwrap();
    let (one, other) = (gate(), gate());
    let ask = || Ask::new(Lane::Interactive).lasting(Duration::from_secs(60)).wait(Duration::from_secs(9));
    let held = [one.admit(ask()).await.unwrap(), one.admit(ask()).await.unwrap()];
    held.iter().for_each(|permit| permit.begin().answered());
    let waiting = tokio::spawn({
        let other = Arc::clone(&other);
        async move { other.admit(ask()).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let status = other.status();
    assert_eq!((status.active, status.queued, status.lingering), ([0; 4], INTERACTIVE, 0), "it waits");
    assert_eq!((status.in_flight(), status.high_water), (2, 0));
    let [held_there] = &status.elsewhere[..] else { panic!("{status:?}") };
    assert_eq!((held_there.process, held_there.places), (Some(std::process::id()), 2));
    let span = held_there.until.unwrap().duration_since(held_there.since).as_secs_f64();
    assert!((59.9..61.0).contains(&span), "{held_there:?}");
    assert_eq!((one.status().active, one.status().elsewhere), ([0, 2, 0, 0], Vec::new()), "its own are not elsewhere");
    let [first, second] = held;
    drop(first);
    let permit = waiting.await.unwrap().unwrap();
    assert!(permit.waited() >= Duration::from_millis(100), "the wait for the other's place is a wait");
    let status = other.status();
    assert_eq!((status.active, status.queued, status.held_elsewhere()), (INTERACTIVE, [0; 4], 1));
    assert_eq!(status.high_water, 1);
    // Who gives up while it waits leaves nothing behind.
    let late = other.admit(ask().wait(Duration::from_millis(50))).await.err();
    assert_eq!((late, other.status().queued), (Some(Refused::Deadline), [0; 4]));
    let gone = tokio::time::timeout(Duration::from_millis(20), other.admit(ask())).await;
    assert!(gone.is_err() && other.status().queued == [0; 4]);
    drop((permit, second));
    assert_eq!((one.status().in_flight(), other.status().in_flight()), (0, 0));
}

/// How long a call takes is measured from when it has its place, not from when this process would have had one for it.
#[tokio::test(start_paused = true)]
async fn a_wait_for_another_process_is_no_time_of_the_backends() {
    let folder = tempfile::tempdir().unwrap();
    let gate = || Gate::shared("erp", config(1, 10), None, folder.path()).unwrap();
    let (one, other) = (gate(), gate());
    for _ in 0..6 {
        let held = one.acquire(Lane::Interactive, None).await.unwrap();
        let waiting = tokio::spawn({
            let other = Arc::clone(&other);
            async move { other.acquire(Lane::Interactive, None).await }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(held);
        let permit = waiting.await.unwrap().unwrap();
        let call = permit.begin();
        tokio::time::sleep(Duration::from_millis(10)).await;
        call.answered();
    }
    let took = other.status().service_time.unwrap();
    assert!(took < Duration::from_millis(20), "{took:?}");
}

/// Nobody announces that a place has settled. Whoever waits looks when it does, although it was found after they had begun to
/// wait that it is held back.
#[tokio::test(start_paused = true)]
async fn who_waits_looks_when_a_place_settles_that_was_held_back_meanwhile() {
    let gate = Gate::new("erp", config(1, 10), None);
    let held = gate.acquire(Lane::Interactive, None).await.unwrap();
    let waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { gate.admit(Ask::new(Lane::Interactive).wait(Duration::from_secs(9))).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    gate.hold_back(&[gate.machine_time(gate.now() + Duration::from_secs(1))]);
    drop(held);
    let permit = waiting.await.unwrap().unwrap();
    assert!((1100..1200).contains(&permit.waited().as_millis()), "{:?}", permit.waited());
}

#[derive(Default)]
struct Refusals(AtomicUsize);

impl Observer for Refusals {
    fn granted(&self, _: Lane, _: Duration) {}

    fn refused(&self, reason: Refused) {
        assert_eq!(reason, Refused::OwnResources);
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn ended(&self, _: bool, _: Duration) {}
}

#[tokio::test(start_paused = true)]
async fn what_this_machine_lacks_is_no_failure_of_the_backend() {
    let refusals = Arc::new(Refusals::default());
    let gate = Gate::new("erp", config(2, 10), Some(Arc::clone(&refusals) as Arc<dyn Observer>));
    let call = || async { gate.acquire(Lane::Interactive, None).await.unwrap() };
    for _ in 0..50 {
        call().await.begin().not_made(&"Too many open files");
    }
    let status = gate.status();
    assert_eq!((status.breaker, status.in_flight(), status.refused), (BreakerState::Closed, 0, 50));
    assert_eq!((status.service_time, refusals.0.load(Ordering::SeqCst)), (None, 50));
    assert!(status.trouble.unwrap().contains("Too many open files"));
    // A call that is made shows that it is over.
    call().await.begin().answered();
    assert_eq!(gate.status().trouble, None);
    // The probe of a broken backend finds nothing out by it: the next call is it.
    for _ in 0..5 {
        call().await.begin().failed();
    }
    assert_eq!(gate.status().breaker, BreakerState::Open);
    tokio::time::sleep(Duration::from_secs(10)).await;
    call().await.begin().not_made(&"Too many open files");
    assert_eq!(gate.status().breaker, BreakerState::HalfOpen);
    call().await.begin().answered();
    assert_eq!(gate.status().breaker, BreakerState::Closed);
    // What was answered before stays answered.
    let permit = call().await;
    permit.begin().lost();
    permit.begin().not_made(&"no memory");
    drop(permit);
    assert_eq!(gate.status().lingering, 1);
}

/// Places that cannot be written are told once, keep nobody out for longer than that lasts, and are found mended by the
/// gate's own looks.
#[tokio::test(start_paused = true)]
async fn places_that_cannot_be_written_are_told_until_they_can() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("00000");
    std::os::unix::fs::symlink("/dev/full", &place).unwrap();
    let gate = Gate::shared("erp", config(1, 10), None, folder.path()).unwrap();
    for _ in 0..3 {
        assert_eq!(gate.acquire(Lane::Interactive, None).await.err(), Some(Refused::Unmarked));
    }
    let told = gate.trouble().unwrap();
    assert!(told.contains("No space left on device") && told.contains("see that the disk"), "{told}");
    gate.tick(jiff::Timestamp::now());
    assert_eq!(gate.trouble().as_ref(), Some(&told), "it is as before");
    assert_eq!((gate.status().in_flight(), gate.status().trouble), (0, Some(told)));
    // Nobody has kept the lock of what could not be written.
    assert!(std::fs::File::open("/dev/full").unwrap().try_lock().is_ok());
    // As the same file on a disk with room again; this one is open, so another place stands for it.
    gate.reconfigure(crate::gate::Config { max_in_flight: 2, ..config(2, 10) });
    std::fs::remove_file(&place).unwrap();
    drop(gate);
    let gate = Gate::shared("erp", config(1, 10), None, folder.path()).unwrap();
    assert!(gate.acquire(Lane::Interactive, None).await.is_ok() && gate.trouble().is_none());
}

/// Whoever looks while places change hands sees as many calls as there are, and never one twice: not in the moment in which
/// a call was let through and has no place yet, nor in that in which it has given it back and is still to be told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_look_counts_more_calls_than_there_are_places() {
    use std::sync::atomic::AtomicBool;
    const CAP: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let settings = Config { settle: Duration::from_millis(3), ..config(CAP, 1000) };
    let gates: Vec<Arc<Gate>> =
        (0..3).map(|_| Gate::shared("erp", settings.clone(), None, folder.path()).unwrap()).collect();
    let callers: Vec<_> = (0..36u64)
        .map(|number| {
            let gate = Arc::clone(&gates[number as usize % gates.len()]);
            tokio::spawn(async move {
                for round in 0..20u64 {
                    let Ok(permit) = gate.admit(Ask::new(Lane::ALL[(number % 4) as usize])).await else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    let call = permit.begin();
                    tokio::time::sleep(Duration::from_micros((number * 7 + round * 13) % 700)).await;
                    match (number + round) % 7 {
                        0 => drop(call),
                        1 => {
                            call.overdue();
                            call.answered();
                        }
                        _ => call.answered(),
                    }
                }
            })
        })
        .collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let lookers: Vec<_> = gates
        .iter()
        .map(|gate| {
            let (gate, is_over) = (Arc::clone(gate), Arc::clone(&is_over));
            tokio::task::spawn_blocking(move || {
                let mut busy = 0;
                while !is_over.load(Ordering::Acquire) {
                    let status = gate.status();
                    assert!(status.in_flight() <= CAP, "{status:#?}");
                    busy += usize::from(status.in_flight() > 0 && status.held_elsewhere() > 0);
                }
                busy
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    is_over.store(true, Ordering::Release);
    for looker in lookers {
        assert!(looker.await.unwrap() > 0, "it has seen others at work");
    }
}
