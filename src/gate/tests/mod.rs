//! The cap holds whatever callers do; `beside` has what is told of other processes and of this machine.

mod beside;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::{Adapt, Ask, Config, Gate, Lane, Refused};

fn config(max_in_flight: usize, queue: usize) -> Config {
    Config {
        max_in_flight,
        queue,
        queue_timeout: Duration::from_millis(500),
        settle: Duration::from_secs(5),
        sync_share: 0.5,
        ..Config::default()
    }
}

#[tokio::test(start_paused = true)]
async fn the_cap_is_hard_and_the_queue_has_a_deadline() {
    let gate = Gate::new("erp", config(2, 10), None);
    let first = gate.acquire(Lane::Interactive, None).await.unwrap();
    let _second = gate.acquire(Lane::Interactive, None).await.unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(gate.acquire(Lane::Interactive, None).await.err(), Some(Refused::Deadline));
    assert_eq!(started.elapsed().as_millis(), 500);
    let waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { gate.acquire(Lane::Interactive, None).await.map(drop) }
    });
    tokio::task::yield_now().await;
    assert_eq!(gate.status().queued.iter().sum::<usize>(), 1);
    drop(first);
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(gate.status().high_water, 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_at_once() {
    let gate = Gate::new("erp", config(1, 1), None);
    let _held = gate.acquire(Lane::Interactive, None).await.unwrap();
    let _waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { gate.acquire(Lane::Interactive, Some(Duration::from_secs(60))).await.map(drop) }
    });
    tokio::task::yield_now().await;
    assert!(matches!(gate.acquire(Lane::Interactive, None).await.err(), Some(Refused::QueueFull { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_keeps_its_place_until_it_is_settled() {
    let gate = Gate::new("erp", config(1, 10), None);
    let permit = gate.acquire(Lane::Interactive, None).await.unwrap();
    let call = permit.begin();
    drop(call);
    drop(permit);
    assert_eq!(gate.status().lingering, 1);
    let held_back = Some(Refused::HeldBack { retry_after: Duration::from_secs(5) });
    let started = tokio::time::Instant::now();
    assert_eq!(gate.acquire(Lane::Interactive, None).await.err(), held_back);
    assert_eq!(started.elapsed().as_millis(), 0, "nothing comes free before");
    let permit = gate.acquire(Lane::Interactive, Some(Duration::from_secs(60))).await.unwrap();
    assert_eq!(started.elapsed().as_millis(), 5000);
    permit.begin().answered();
    drop(permit);
    assert_eq!(gate.status().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_already_when_a_call_is_left_to_itself_is_served_when_it_has_settled() {
    let gate = Gate::new("erp", config(1, 10), None);
    let permit = gate.acquire(Lane::Interactive, None).await.unwrap();
    let call = permit.begin();
    let waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { gate.acquire(Lane::Interactive, Some(Duration::from_secs(60))).await.map(drop) }
    });
    tokio::task::yield_now().await;
    let started = tokio::time::Instant::now();
    drop(call);
    drop(permit);
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(started.elapsed().as_millis(), 5000);
}

#[tokio::test(start_paused = true)]
async fn scheduled_runs_leave_room_for_people() {
    let gate = Gate::new("erp", config(4, 10), None);
    let _one = gate.acquire(Lane::Sync, None).await.unwrap();
    let _two = gate.acquire(Lane::Sync, None).await.unwrap();
    assert_eq!(gate.acquire(Lane::Sync, None).await.err(), Some(Refused::Deadline));
    let _three = gate.acquire(Lane::Interactive, None).await.unwrap();
    let _four = gate.acquire(Lane::Operator, None).await.unwrap();
    assert_eq!(gate.status().in_flight(), 4);
}

#[tokio::test(start_paused = true)]
async fn people_go_before_runs_that_waited_longer() {
    let gate = Gate::new("erp", config(1, 10), None);
    let held = gate.acquire(Lane::Interactive, None).await.unwrap();
    let order = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for lane in [Lane::Sync, Lane::Operator, Lane::Interactive] {
        let (gate, order) = (Arc::clone(&gate), Arc::clone(&order));
        waiting.push(tokio::spawn(async move {
            let _permit = gate.acquire(lane, Some(Duration::from_secs(9))).await.unwrap();
            order.lock().push(lane);
        }));
        tokio::task::yield_now().await;
    }
    drop(held);
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(*order.lock(), [Lane::Interactive, Lane::Operator, Lane::Sync]);
}

#[tokio::test(start_paused = true)]
async fn closing_sends_everybody_home() {
    let gate = Gate::new("erp", config(1, 10), None);
    let _held = gate.acquire(Lane::Interactive, None).await.unwrap();
    let waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { gate.acquire(Lane::Interactive, Some(Duration::from_secs(60))).await.map(drop) }
    });
    tokio::task::yield_now().await;
    gate.close();
    assert_eq!(waiting.await.unwrap(), Err(Refused::Closed));
    assert_eq!(gate.acquire(Lane::Interactive, None).await.err(), Some(Refused::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_new_cap_is_in_force_at_once_and_drops_nobody() {
    let gate = Gate::new("erp", config(1, 10), None);
    let first = gate.acquire(Lane::Interactive, None).await.unwrap();
    let waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { gate.acquire(Lane::Interactive, None).await }
    });
    tokio::task::yield_now().await;
    gate.reconfigure(config(2, 10));
    let second = waiting.await.unwrap().unwrap();
    gate.reconfigure(config(1, 10));
    drop(first);
    assert_eq!(gate.acquire(Lane::Interactive, None).await.err(), Some(Refused::Deadline));
    drop(second);
    assert!(gate.acquire(Lane::Interactive, None).await.is_ok());
}

/// What one caller does: when it comes, how long it works, when it loses patience, how its call ends.
#[derive(Clone, Debug)]
struct Caller {
    arrives: u64,
    works: u64,
    patience: u64,
    answered: bool,
    lane: usize,
}

fn caller() -> impl Strategy<Value = Caller> {
    (0u64..2000, 0u64..400, 1u64..900, any::<bool>(), 0usize..Lane::COUNT)
        .prop_map(|(arrives, works, patience, answered, lane)| Caller { arrives, works, patience, answered, lane })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The backend's own count, work that goes on after a hang-up included, never exceeds the cap; and at rest
    /// every place is back.
    #[test]
    fn never_over_the_cap(callers in proptest::collection::vec(caller(), 1..60), cap in 1usize..6, queue in 0usize..20) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let result = runtime.block_on(async move {
            let gate = Gate::new("erp", config(cap, queue), None);
            let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let mut tasks = Vec::new();
            for caller in callers {
                let (gate, now, most) = (Arc::clone(&gate), Arc::clone(&now), Arc::clone(&most));
                tasks.push(tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(caller.arrives)).await;
                    let call = async {
                        let Ok(permit) = gate.acquire(Lane::ALL[caller.lane], None).await else { return };
                        let busy = now.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(busy, Ordering::SeqCst);
                        let started = permit.begin();
                        // The backend works for as long as it works, whether or not the caller stays.
                        let backend = tokio::spawn({
                            let now = Arc::clone(&now);
                            async move {
                                tokio::time::sleep(Duration::from_millis(caller.works)).await;
                                now.fetch_sub(1, Ordering::SeqCst);
                            }
                        });
                        let _ = backend.await;
                        if caller.answered {
                            started.answered();
                        }
                    };
                    let _ = tokio::time::timeout(Duration::from_millis(caller.patience), call).await;
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
            let over = most.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(6)).await;
            (over, gate.status())
        });
        prop_assert!(result.0 <= cap, "{} in flight over a cap of {cap}", result.0);
        prop_assert_eq!(result.1.in_flight(), 0);
        prop_assert!(result.1.high_water <= cap);
    }
}

#[tokio::test(start_paused = true)]
async fn two_processes_keep_one_cap_and_neither_waits_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let gate = || Gate::shared("erp", config(2, 10), None, folder.path()).unwrap();
    let (service, command) = (gate(), gate());
    let first = service.acquire(Lane::Interactive, None).await.unwrap();
    let second = command.acquire(Lane::Sync, None).await.unwrap();
    assert_eq!(service.acquire(Lane::Interactive, None).await.err(), Some(Refused::Deadline));
    assert_eq!(command.acquire(Lane::Interactive, None).await.err(), Some(Refused::Deadline));
    let waiting = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.acquire(Lane::Interactive, Some(Duration::from_secs(9))).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    second.begin().answered();
    drop(second);
    let third = waiting.await.unwrap().unwrap();
    // A call that is dropped half-way keeps its place for the other process as well.
    drop(third.begin());
    drop(third);
    let refused = command.acquire(Lane::Interactive, None).await.err();
    assert!(
        matches!(refused, Some(Refused::HeldBack { retry_after }) if retry_after <= Duration::from_secs(5)),
        "{refused:?}"
    );
    assert_eq!(service.status().lingering, 1);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(service.status().lingering, 0);
    let fourth = command.acquire(Lane::Interactive, None).await;
    assert!(fourth.is_ok());
    drop((first, fourth));
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_a_serial_key_lets_the_next_go() {
    let gate = Gate::new("erp", config(1, 10), None);
    let order = || Ask::new(Lane::Interactive).serial("7").wait(Duration::from_secs(60));
    let asks = |ask| {
        let gate = Arc::clone(&gate);
        tokio::spawn(async move { gate.admit(ask).await })
    };
    let held = gate.admit(order()).await.unwrap();
    let first = asks(order());
    tokio::task::yield_now().await;
    let second = asks(order());
    tokio::task::yield_now().await;
    let third = asks(order());
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.is_err_and(|error| error.is_cancelled()));
    drop(held);
    let second = second.await.unwrap().expect("it is its turn");
    assert_eq!(gate.status().queued.iter().sum::<usize>(), 1);
    second.begin().answered();
    drop(second);
    assert!(third.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_status_shows_the_limit_that_follows_the_backend() {
    let adaptive = |adaptive| Config { adaptive, min_in_flight: 2, ..config(8, 10) };
    let gate = Gate::new("erp", adaptive(Adapt::Off), None);
    assert_eq!((gate.status().adaptive, gate.status().adaptive_limit), (Adapt::Off, None));
    gate.reconfigure(adaptive(Adapt::Shadow));
    assert_eq!((gate.status().adaptive, gate.status().adaptive_limit), (Adapt::Shadow, Some(8)));
    let gate = Gate::new("erp", adaptive(Adapt::On), None);
    assert_eq!(gate.status().adaptive_limit, Some(2));
    let _held =
        [gate.acquire(Lane::Interactive, None).await.unwrap(), gate.acquire(Lane::Interactive, None).await.unwrap()];
    assert_eq!(gate.acquire(Lane::Interactive, None).await.err(), Some(Refused::Deadline));
    assert_eq!(gate.status().max_in_flight, 8);
}

fn moment(text: &str) -> jiff::Timestamp {
    text.parse().unwrap()
}

fn freeze(until: Option<&str>) -> super::Freeze {
    let since = moment("2026-01-10T12:00:00Z");
    super::Freeze { reason: "stock taking".to_owned(), since, until: until.map(moment) }
}

#[tokio::test(start_paused = true)]
async fn a_closed_gate_refuses_all_lanes_until_its_end_and_lets_running_calls_finish() {
    let gate = Gate::new("erp", config(1, 10), None);
    let running = gate.acquire(Lane::Interactive, None).await.unwrap();
    let waiting = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { gate.acquire(Lane::Operator, Some(Duration::from_secs(60))).await.map(drop) }
    });
    tokio::task::yield_now().await;
    gate.set_freeze(Some(freeze(Some("2026-01-10T12:10:00Z"))));
    let hours = gate.tick(moment("2026-01-10T12:00:30Z"));
    assert_eq!(hours.changes_at(), Some(moment("2026-01-10T12:10:00Z")));
    let until = |seconds| Refused::Window { retry_after: Some(Duration::from_secs(seconds)) };
    assert_eq!(waiting.await.unwrap(), Err(until(570)));
    tokio::time::sleep(Duration::from_secs(70)).await;
    for lane in Lane::ALL {
        assert_eq!(gate.acquire(lane, None).await.err(), Some(until(500)), "{lane:?}");
    }
    let status = gate.status();
    assert_eq!((status.limit, status.max_in_flight, status.in_flight()), (0, 1, 1));
    running.begin().answered();
    drop(running);
    assert_eq!((gate.status().in_flight(), gate.shut_out()), (0, Some(until(500))));

    // The wall clock was put forward by five minutes meanwhile: the end comes sooner.
    gate.tick(moment("2026-01-10T12:06:40Z"));
    assert_eq!(gate.acquire(Lane::Health, None).await.err(), Some(until(200)));
    let opened = tokio::spawn({
        let gate = Arc::clone(&gate);
        async move { gate.opened().await }
    });
    tokio::task::yield_now().await;
    assert!(!opened.is_finished());
    assert_eq!(gate.tick(moment("2026-01-10T12:10:00Z")).closed, None);
    opened.await.unwrap();
    assert!(gate.acquire(Lane::Sync, None).await.is_ok());
    // It was put back: the freeze holds again.
    gate.tick(moment("2026-01-10T12:09:00Z"));
    assert_eq!(gate.acquire(Lane::Health, None).await.err(), Some(until(60)));
    // Without an end nobody is told one.
    gate.set_freeze(Some(freeze(None)));
    gate.tick(moment("2026-01-10T12:09:00Z"));
    assert_eq!(gate.acquire(Lane::Health, None).await.err(), Some(Refused::Window { retry_after: None }));
    gate.set_freeze(None);
    gate.tick(moment("2026-01-10T12:09:00Z"));
    assert!(gate.acquire(Lane::Health, None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn after_a_closed_time_calls_go_slowly_at_first_also_without_a_breaker() {
    for failures in [0, 5] {
        let breaker = super::Breaker { failures, ..super::Breaker::default() };
        let gate = Gate::new("erp", super::Config { breaker, ..config(5, 10) }, None);
        gate.set_freeze(Some(freeze(Some("2026-01-10T12:10:00Z"))));
        gate.tick(moment("2026-01-10T12:00:00Z"));
        gate.tick(moment("2026-01-10T12:10:00Z"));
        let mut limits = vec![gate.status().limit];
        for _ in 0..7 {
            let permit = gate.acquire(Lane::Interactive, None).await.unwrap();
            permit.begin().answered();
            drop(permit);
            limits.push(gate.status().limit);
        }
        // One place; two after one good call, four after two more, then after four the whole cap.
        assert_eq!(limits, [1, 2, 2, 4, 4, 4, 4, 5], "{failures}");
        // Only closing begins anew.
        gate.tick(moment("2026-01-10T12:11:00Z"));
        assert_eq!(gate.status().limit, 5);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_keeps_the_hours_of_its_calendar() {
    let source = crate::diagnostic::SourceText::new(
        std::path::Path::new("t.toml"),
        "max_in_flight = 2\ncalendar = [{ closed = \"02:00-04:30\", zone = \"Europe/Berlin\", reason = \"batch\" }]"
            .to_owned(),
    );
    let faults = crate::diagnostic::Faults::new();
    let root = crate::diagnostic::parse(&source, &faults);
    let read = super::Config::read(&crate::diagnostic::Table::new(&root, &super::SECTION, &faults).unwrap());
    let gate = Gate::new("erp", read.unwrap(), None);
    // 2026-01-10 02:00 in Berlin is 01:00 UTC.
    assert_eq!(gate.tick(moment("2026-01-10T00:59:59Z")).changes_at(), Some(moment("2026-01-10T01:00:00Z")));
    assert!(gate.acquire(Lane::Health, None).await.is_ok());
    let hours = gate.tick(moment("2026-01-10T01:00:00Z"));
    let refused = Refused::Window { retry_after: Some(Duration::from_secs(150 * 60)) };
    assert_eq!(gate.acquire(Lane::Health, None).await.err(), Some(refused));
    assert_eq!(
        (hours.closed.unwrap().reason, gate.hours().next.unwrap().from),
        ("batch".to_owned(), moment("2026-01-11T01:00:00Z"))
    );
    assert_eq!((refused.as_str(), refused.retry_after()), ("closed_window", Some(Duration::from_secs(9000))));
}

/// How long it takes until a call is refused, and why.
async fn refusal(gate: &Arc<Gate>, ask: Ask) -> (u128, Option<Refused>) {
    let started = tokio::time::Instant::now();
    let refused = gate.admit(ask).await.err();
    (started.elapsed().as_millis(), refused)
}

fn held_back(millis: u64) -> Option<Refused> {
    Some(Refused::HeldBack { retry_after: Duration::from_millis(millis) })
}

#[tokio::test(start_paused = true)]
async fn while_places_settle_nobody_waits_in_vain() {
    let gate = Gate::new("erp", config(2, 10), None);
    let ask = || Ask::new(Lane::Interactive);
    let lost = [gate.admit(ask()).await.unwrap(), gate.admit(ask()).await.unwrap()];
    let calls: Vec<_> = lost.iter().map(super::Permit::begin).collect();
    let waits = |wait| {
        let gate = Arc::clone(&gate);
        tokio::spawn(async move { refusal(&gate, ask().wait(Duration::from_secs(wait))).await })
    };
    let (short, long) = (waits(3), waits(60));
    tokio::time::sleep(Duration::from_millis(200)).await;
    // Both callers hang up: whoever cannot wait for what is held back is told so, whoever waits already included.
    drop(calls);
    drop(lost);
    assert_eq!(short.await.unwrap(), (200, held_back(5000)));
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert_eq!(refusal(&gate, ask()).await, (0, held_back(4000)));
    // The caller's own deadline counts as well.
    let patient = ask().wait(Duration::from_secs(9)).within(Duration::from_secs(3));
    assert_eq!(refusal(&gate, patient).await, (0, held_back(4000)));
    tokio::time::sleep(Duration::from_millis(3700)).await;
    let late = gate.admit(ask()).await;
    assert!(late.is_ok(), "it can wait for the 300 ms that are left");
    assert_eq!(long.await.unwrap(), (5200, None));
    // With a place that works the wait is worth it.
    drop(late);
    let (held, lost) = (gate.admit(ask()).await.unwrap(), gate.admit(ask()).await.unwrap());
    drop(lost.begin());
    drop(lost);
    assert_eq!(refusal(&gate, ask()).await, (500, held_back(4500)), "most of the places are held back");
    drop(held);
    assert!(gate.admit(ask()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn of_a_busy_gate_those_are_refused_who_would_need_the_places_that_are_held_back() {
    let gate = Gate::new("erp", config(4, 100), None);
    let ask = || Ask::new(Lane::Interactive);
    for _ in 0..8 {
        let permit = gate.admit(ask()).await.unwrap();
        let call = permit.begin();
        tokio::time::sleep(Duration::from_millis(200)).await;
        call.answered();
    }
    let held = gate.admit(ask()).await.unwrap();
    let lost = [gate.admit(ask()).await.unwrap(), gate.admit(ask()).await.unwrap(), gate.admit(ask()).await.unwrap()];
    lost.iter().for_each(|permit| drop(permit.begin()));
    drop(lost);
    // One place is left, and serves two in the 500 ms that they wait: the call that has it takes 200 ms more.
    let wait = |_| {
        let gate = Arc::clone(&gate);
        tokio::spawn(async move { refusal(&gate, ask()).await })
    };
    let waiting: Vec<_> = (0..4).map(wait).collect();
    tokio::task::yield_now().await;
    let mut at_once = 0;
    for task in waiting {
        let (after, refused) = task.await.unwrap();
        at_once += usize::from(after == 0);
        assert!(matches!(refused, Some(Refused::HeldBack { retry_after }) if retry_after <= Duration::from_secs(5)));
    }
    assert_eq!(at_once, 2);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn after_a_process_died_nobody_waits_for_its_places_in_vain() {
    let folder = tempfile::tempdir().unwrap();
    let (boot, now) = (super::Boot::current().unwrap(), super::machine_time());
    let mut died = super::Slots::open(folder.path(), Duration::from_secs(5), boot, now).unwrap();
    let term = super::slots::Term { longest: Some(Duration::from_secs(30)), settle: Duration::from_secs(5) };
    let calls: Vec<_> = (0..2).map(|_| died.take(2, term, None, now).unwrap().unwrap()).collect();
    drop((died, calls));
    let gate = Gate::shared("erp", config(2, 10), None, folder.path()).unwrap();
    assert_eq!(gate.status().lingering, 2);
    let ask = || Ask::new(Lane::Interactive);
    for _ in 0..20 {
        let (after, refused) = refusal(&gate, ask()).await;
        let Some(Refused::HeldBack { retry_after }) = refused else { panic!("{refused:?}") };
        assert_eq!(after, 0);
        assert!(retry_after > Duration::from_secs(34) && retry_after <= Duration::from_secs(35), "{retry_after:?}");
    }
    let started = tokio::time::Instant::now();
    assert!(gate.admit(ask().wait(Duration::from_secs(60))).await.is_ok());
    assert!(started.elapsed() <= Duration::from_millis(35_020), "{:?}", started.elapsed());
}

/// The wall clock may be put forward by hours: places must not come free by that.
#[tokio::test(start_paused = true)]
async fn places_are_held_by_the_clock_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let before = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec;
    let gate = Gate::shared("erp", config(1, 10), None, folder.path()).unwrap();
    let permit = gate.acquire(Lane::Interactive, None).await.unwrap();
    permit.begin().lost();
    drop(permit);
    let after = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).tv_sec;
    let mark = std::fs::read(folder.path().join("00000")).unwrap();
    assert_eq!((mark[0], mark.len()), (b'L', 57));
    let until = i64::from_le_bytes(mark[1..9].try_into().unwrap()) / 1000;
    assert!((before + 5..=after + 6).contains(&until), "{until} is not 5 s after {before}");
}

#[tokio::test(start_paused = true)]
async fn places_that_another_process_lost_count_here_too() {
    let folder = tempfile::tempdir().unwrap();
    let gate = || Gate::shared("erp", config(2, 10), None, folder.path()).unwrap();
    let (one, other) = (gate(), gate());
    for _ in 0..2 {
        let permit = one.acquire(Lane::Interactive, None).await.unwrap();
        drop(permit.begin());
    }
    let (after, refused) = refusal(&other, Ask::new(Lane::Interactive)).await;
    assert!(matches!((after, refused), (0, Some(Refused::HeldBack { .. }))), "{after} {refused:?}");
    assert_eq!((one.status().lingering, other.status().lingering), (2, 2), "none is counted twice");
    tokio::time::sleep(Duration::from_millis(5001)).await;
    assert!(other.acquire(Lane::Interactive, None).await.is_ok());
    assert_eq!((one.status().in_flight(), other.status().in_flight()), (0, 0));
}

/// Two gates, as of two processes, whose callers come as fast as they are let; on the real clock, with threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_busy_processes_never_have_more_than_the_cap_and_each_has_its_part() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { queue: 1000, queue_timeout: Duration::from_secs(20), ..config(4, 1000) };
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let until = tokio::time::Instant::now() + Duration::from_secs(2);
    let mut callers = Vec::new();
    let mut gates = Vec::new();
    for side in 0..2 {
        let gate = Gate::shared("erp", config.clone(), None, folder.path()).unwrap();
        for _ in 0..8 {
            let (gate, now, most) = (Arc::clone(&gate), Arc::clone(&now), Arc::clone(&most));
            callers.push(tokio::spawn(async move {
                let mut calls = [0, 0];
                while tokio::time::Instant::now() < until {
                    let permit = gate.acquire(Lane::Interactive, None).await.unwrap();
                    let call = permit.begin();
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    call.answered();
                    calls[side] += 1;
                }
                calls
            }));
        }
        gates.push(gate);
    }
    let mut calls = [0, 0];
    for caller in callers {
        let [one, other] = caller.await.unwrap();
        calls = [calls[0] + one, calls[1] + other];
    }
    assert!((1..=4).contains(&most.load(Ordering::SeqCst)), "{most:?} at once");
    assert!(calls.iter().all(|side| side * 5 >= calls.iter().sum::<usize>()), "{calls:?}");
    // Whoever comes alone has all of them soon, although the others' gate is still there.
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(gates[0].acquire(Lane::Interactive, Some(Duration::from_secs(5))).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_serial_key_go_one_at_a_time_over_two_processes() {
    let folder = tempfile::tempdir().unwrap();
    let gate = || Gate::shared("erp", config(4, 10), None, folder.path()).unwrap();
    let (one, other) = (gate(), gate());
    let ask = |order| Ask::new(Lane::Interactive).serial(order).wait(Duration::from_secs(9));
    let first = one.admit(ask("7")).await.unwrap();
    let waiting = tokio::spawn({
        let other = Arc::clone(&other);
        async move { other.admit(ask("7")).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    let beside = other.admit(ask("8")).await.unwrap();
    first.begin().answered();
    drop(first);
    let second = tokio::time::timeout(Duration::from_millis(50), waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(one.admit(ask("7").wait(Duration::from_millis(50))).await.err(), Some(Refused::Deadline));
    drop((second, beside));
    assert!(one.admit(ask("7")).await.is_ok());
}
