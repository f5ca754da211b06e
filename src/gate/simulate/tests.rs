//! Replays of calls that were made up, and of those of a gate.

use super::{Side, simulate};
use crate::gate::history::testing::Kept;
use crate::gate::history::{Fate, Outcome, PastCall};
use crate::gate::{Ask, Config, Gate, Lane, Observer, Priority};
use std::sync::Arc;
use std::time::Duration;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn config(max_in_flight: usize) -> Config {
    Config { max_in_flight, sync_share: 1.0, ..Config::default() }
}

fn served(came: Duration, took: Duration) -> PastCall {
    let fate = Fate::Served { waited: Duration::ZERO, took, outcome: Outcome::Answered, left: None, overdue: None };
    PastCall {
        came: Duration::from_secs(1_700_000_000) + came,
        lane: Lane::Interactive,
        client: Arc::from("webshop"),
        weight: 1,
        priority: Priority::Normal,
        serial: None,
        wait: None,
        patience: None,
        fate,
    }
}

fn replayed(calls: &[PastCall], settings: &Config) -> Side {
    simulate(calls, &config(4), settings).unwrap().replayed
}

#[test]
fn four_calls_at_once_each_second_at_half_the_cap() {
    // Each takes 100 ms. Through four places nobody waits; through two the third and fourth wait 100 ms; through
    // one the waits are 0, 100, 200 and 300 ms.
    let calls: Vec<PastCall> =
        (0..100).flat_map(|second| (0..4).map(move |_| served(ms(second * 1000), ms(100)))).collect();
    let report = simulate(&calls, &config(4), &config(2)).unwrap();
    assert_eq!((report.calls, report.until - report.from), (400, ms(99_000)));
    let (then, two) = (&report.happened, &report.replayed);
    assert_eq!((then.served, then.wait_p50, then.wait_p99, then.most_in_flight), (400, ms(0), ms(0), 4));
    assert_eq!((two.served, two.refusals(), two.left), (400, 0, 0));
    assert_eq!((two.wait_p50, two.wait_p99, two.wait_max, two.most_in_flight), (ms(0), ms(100), ms(100), 2));
    // 40 s of work from the first arrival to the last end, after 99.1 s, or after 99.2 s.
    assert!((then.mean_in_flight - 40.0 / 99.1).abs() < 1e-9 && (then.utilisation() - 10.0 / 99.1).abs() < 1e-9);
    assert!((two.mean_in_flight - 40.0 / 99.2).abs() < 1e-9 && (two.utilisation() - 20.0 / 99.2).abs() < 1e-9);
    let one = replayed(&calls, &config(1));
    assert_eq!((one.served, one.wait_p50, one.wait_p99, one.wait_max), (400, ms(100), ms(300), ms(300)));
    assert_eq!(replayed(&calls, &config(4)).wait_max, ms(0));
}

#[test]
fn a_constant_stream_twice_as_fast_as_the_places() {
    // One call each 25 ms, each takes 100 ms: four places are just enough, two serve every second one.
    let calls: Vec<PastCall> = (0..4000).map(|number| served(ms(number * 25), ms(100))).collect();
    let four = replayed(&calls, &config(4));
    assert_eq!((four.served, four.refusals(), four.wait_max, four.most_in_flight), (4000, 0, ms(0), 4));
    let two = replayed(&calls, &config(2));
    assert_eq!(two.served + two.refusals(), 4000);
    // Two places at 100 ms are 20 calls a second in 100 s.
    assert!((1990..=2015).contains(&two.served), "{two:?}");
    // The queue holds what is served in the time to wait: nobody waits longer, and many wait about that long.
    assert!(two.wait_max <= ms(500) && two.wait_p50 >= ms(250), "{two:?}");
    assert!(two.utilisation() > 0.99 && two.most_in_flight == 2, "{two:?}");
    // A shorter time to wait: shorter waits, the same work.
    let hasty = replayed(&calls, &Config { queue_timeout: ms(200), ..config(2) });
    assert!(hasty.wait_max <= ms(200) && (1990..=2015).contains(&hasty.served), "{hasty:?}");
}

#[test]
fn refusals_of_the_past_get_another_chance_but_not_those_by_other_reasons() {
    let mut calls: Vec<PastCall> = (0..10).map(|number| served(ms(number * 1000), ms(100))).collect();
    let refused = |reason: &str| Fate::Refused(reason.to_owned());
    calls[1].fate = refused("queue_full");
    calls[2].fate = refused("closed_window");
    calls[3].fate = Fate::Left(ms(50));
    calls[4].fate = refused("closed");
    // A client's own bound is none of the cap's.
    calls[5].fate = refused("client_busy");
    let report = simulate(&calls, &config(1), &config(1)).unwrap();
    let (then, now) = (&report.happened, &report.replayed);
    assert_eq!((then.served, then.refusals(), then.left), (5, 4, 1));
    assert_eq!((now.served, now.left), (7, 0), "{now:?}");
    assert_eq!(
        now.refused.iter().map(|(reason, count)| (reason.as_str(), *count)).collect::<Vec<_>>(),
        [("client_busy", 1), ("closed", 1), ("closed_window", 1)]
    );
    calls.iter_mut().for_each(|call| call.fate = refused("queue_full"));
    assert_eq!(simulate(&calls, &config(1), &config(1)), None);
    assert_eq!(simulate(&[], &config(1), &config(1)), None);
}

#[test]
fn a_caller_who_left_leaves_again_and_serial_keys_are_kept_apart() {
    let mut calls: Vec<PastCall> = (0..3).map(|number| served(ms(number), ms(100))).collect();
    calls[1].fate = Fate::Left(ms(50));
    let one = replayed(&calls, &config(1));
    assert_eq!((one.served, one.left, one.wait_max), (2, 1, ms(98)), "{one:?}");
    // Calls of one order go one at a time, through however many places.
    let calls: Vec<PastCall> = (0..3).map(|_| PastCall { serial: Some(7), ..served(ms(0), ms(100)) }).collect();
    let four = replayed(&calls, &config(4));
    assert_eq!((four.wait_max, four.most_in_flight), (ms(200), 1));
}

/// Half of the places are held back for longer than anybody waits who comes then.
#[test]
fn whoever_has_waited_for_places_that_are_held_back_is_told_so() {
    let Fate::Served { waited, took, left, overdue, .. } = served(ms(0), ms(100)).fate else { panic!() };
    let lost = Fate::Served { waited, took, outcome: Outcome::Lost, left, overdue };
    let calls = [
        PastCall { fate: lost, ..served(ms(0), ms(100)) },
        served(ms(0), ms(1000)),
        PastCall { wait: Some(ms(300)), ..served(ms(50), ms(100)) },
    ];
    let reasons = |cap: usize| replayed(&calls, &config(cap)).refused.into_iter().collect::<Vec<_>>();
    assert_eq!((reasons(2), reasons(3)), (vec![("held_back".to_owned(), 1)], Vec::new()));
}

/// Who leaves the queue may have stood before another call of its order, for which there is a place.
#[test]
fn whoever_stood_in_the_way_of_another_makes_way_for_it() {
    let run = PastCall { lane: Lane::Sync, ..served(ms(0), ms(1000)) };
    let in_the_way =
        PastCall { lane: Lane::Sync, serial: Some(7), fate: Fate::Left(ms(100)), ..served(ms(10), ms(100)) };
    let person = PastCall { serial: Some(7), wait: Some(ms(900)), ..served(ms(20), ms(100)) };
    let settings = Config { sync_share: 0.5, ..config(2) };
    let side = replayed(&[run, in_the_way, person], &settings);
    assert_eq!((side.served, side.left, side.wait_max), (2, 1, ms(90)), "{side:?}");
}

/// Busy times, and then nobody is answered for half a minute: calls run past their time, the breaker opens although most
/// calls of its window were good, and closes when they are answered at last.
#[tokio::test(start_paused = true)]
async fn a_lock_is_replayed_as_it_was() {
    let kept = Arc::new(Kept::default());
    let settings = config(4);
    let gate = Gate::new("erp", settings.clone(), Some(Arc::clone(&kept) as Arc<dyn Observer>));
    let began = tokio::time::Instant::now();
    let (locked, unlocked) = (began + ms(20_000), began + ms(50_000));
    let calls = (0..1600u64).map(|number| {
        let gate = Arc::clone(&gate);
        tokio::spawn(async move {
            tokio::time::sleep(ms(number * 50)).await;
            let Ok(permit) = gate.admit(Ask::new(Lane::Interactive)).await else { return };
            let call = permit.begin();
            let mut work = std::pin::pin!(async {
                tokio::time::sleep(ms(80 + number * 7919 % 40)).await;
                if tokio::time::Instant::now() >= locked {
                    tokio::time::sleep_until(unlocked).await;
                }
            });
            if tokio::time::timeout(ms(10_000), &mut work).await.is_err() {
                call.overdue();
                work.await;
            }
            call.answered();
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let mut calls = kept.0.lock().clone();
    calls.sort_by_key(|call| call.came);
    let is_late = |call: &&PastCall| matches!(call.fate, Fate::Served { outcome: Outcome::Late, .. });
    assert_eq!((calls.len(), calls.iter().filter(is_late).count()), (1600, 4));
    let report = simulate(&calls, &settings, &settings).unwrap();
    let (then, again) = (&report.happened, &report.replayed);
    let of = |side: &Side, reason: &str| side.refused.get(reason).copied().unwrap_or_default();
    let said = format!("{then:?}\n{again:?}");
    assert!((180..=220).contains(&of(then, "breaker_open")), "{said}");
    assert!(of(then, "breaker_open").abs_diff(of(again, "breaker_open")) <= 5, "{said}");
    assert!(then.served.abs_diff(again.served) <= 5 && then.refusals().abs_diff(again.refusals()) <= 5, "{said}");
    assert_eq!((then.most_in_flight, again.most_in_flight), (4, 4), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_run_through_a_gate_is_replayed_as_it_was() {
    let kept = Arc::new(Kept::default());
    let settings = config(3);
    let gate = Gate::new("erp", settings.clone(), Some(Arc::clone(&kept) as Arc<dyn Observer>));
    let mut tasks = Vec::new();
    for number in 0..600u64 {
        let gate = Arc::clone(&gate);
        tasks.push(tokio::spawn(async move {
            // Some more come than can be served; they come in no rhythm and take now longer, now shorter.
            tokio::time::sleep(ms(number * 20 + number * 7919 % 60)).await;
            let client = ["webshop", "crm", "app"][(number % 3) as usize];
            let ask = Ask::new(Lane::Interactive).of(client, 1 + (number % 2) as u32, Priority::Normal);
            let work = async {
                if let Ok(permit) = gate.admit(ask).await {
                    let call = permit.begin();
                    tokio::time::sleep(ms(40 + number * 104_729 % 70)).await;
                    call.answered();
                }
            };
            // One in ten leaves while it waits.
            if number % 10 == 0 { drop(tokio::time::timeout(ms(30), work).await) } else { work.await }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut calls = kept.0.lock().clone();
    assert_eq!(calls.len(), 600);
    calls.sort_by_key(|call| call.came);
    let report = simulate(&calls, &settings, &settings).unwrap();
    let (then, again) = (&report.happened, &report.replayed);
    assert!(then.refusals() > 20 && then.left > 5, "it was too calm to say anything: {then:?}");
    let near = |one: usize, other: usize| one.abs_diff(other) <= 12;
    assert!(near(then.served, again.served) && near(then.refusals(), again.refusals()), "{then:?}\n{again:?}");
    let close = |one: Duration, other: Duration| one.abs_diff(other) <= ms(40);
    assert!(close(then.wait_p50, again.wait_p50) && close(then.wait_p99, again.wait_p99), "{then:?}\n{again:?}");
    assert_eq!((then.most_in_flight, again.most_in_flight), (3, 3));
    // Twice the cap, and hardly anybody is refused.
    let six = simulate(&calls, &settings, &config(6)).unwrap().replayed;
    assert!(six.refusals() < 5 && six.wait_p99 < again.wait_p99, "{six:?}");
}
