//! The numbers of real loads, against the fragile backend: a cap of eight, with which it serves 80 calls a second.

use super::super::Limits;
use super::super::simulation::{Change, Coming, Kind, Result, Simulation, limits, long_runs, ms};
use crate::gate::{Lane, Priority};

/// What the backend serves at a cap of eight: 8 calls of 50 ms x 2.
const PEAK: f64 = 80.0;

const SEEDS: std::ops::Range<u64> = 0..5;

/// Runs a load with one seed after the other.
fn each(seconds: u64, kinds: &[Kind], check: impl Fn(&Result, f64)) {
    each_of(seconds, || Simulation::new(limits(8), kinds.to_vec()), check);
}

fn each_of(seconds: u64, simulation: impl Fn() -> Simulation, check: impl Fn(&Result, f64)) {
    for seed in SEEDS {
        let result = simulation().seed(seed).run(ms(seconds * 1000));
        assert_eq!((result.most, result.halts), (8, 0), "seed {seed}");
        check(&result, result.total() as f64 / seconds as f64);
    }
}

#[test]
fn ten_times_the_load_loses_nothing_of_what_the_backend_can_do() {
    each(20, &[Kind { coming: Coming::Open(800.0), ..Kind::default() }], |result, rate| {
        assert!(rate >= 0.988 * PEAK, "{rate}/s");
        assert!(result.percentile("", 0.99) <= ms(700), "{:?}", result.percentile("", 0.99));
    });
}

#[test]
fn a_burst_of_five_hundred_is_served_as_fast_as_the_backend_can() {
    // Whoever is refused comes again half a second later.
    each(12, &[Kind { coming: Coming::Closed(500, ms(500)), ..Kind::default() }], |result, rate| {
        assert!(rate >= 0.976 * PEAK, "{rate}/s");
        assert!(result.percentile("", 0.99) <= ms(700), "{:?}", result.percentile("", 0.99));
    });
}

#[test]
fn a_tight_loop_of_callers_does_not_starve_the_admitted() {
    // At once, and with refusals that are held.
    for (pause, seconds) in [(5, 4), (250, 10)] {
        let kind = Kind { coming: Coming::Closed(500, ms(pause)), ..Kind::default() };
        each(seconds, &[kind], |_, rate| assert!(rate >= 77.0, "{rate}/s"));
    }
}

#[test]
fn callers_who_leave_while_they_wait_cost_little() {
    let kind = Kind { coming: Coming::Open(800.0), leaves: Some((80, ms(40))), ..Kind::default() };
    each(20, &[kind], |_, rate| assert!(rate >= 78.0, "{rate}/s"));
}

#[test]
fn callers_who_leave_in_service_are_learned_and_told_before() {
    let kind = Kind { coming: Coming::Open(800.0), leaves: Some((70, ms(570))), ..Kind::default() };
    each(20, &[kind], |_, rate| assert!(rate >= 77.0, "{rate}/s"));
}

#[test]
fn a_greedy_client_gets_its_share_and_no_more() {
    let greedy = Kind { client: "greedy", coming: Coming::Closed(400, ms(40)), ..Kind::default() };
    let modest =
        ["a", "b", "c", "d"].map(|client| Kind { client, coming: Coming::Closed(25, ms(20)), ..Kind::default() });
    let kinds: Vec<_> = std::iter::once(greedy).chain(modest).collect();
    each(10, &kinds, |result, rate| {
        assert!(result.fairness() >= 0.99, "{:?}", result.good);
        assert!(rate >= 0.97 * PEAK, "{rate}/s");
    });
}

#[test]
fn weights_are_kept_at_saturation() {
    let of = |client, weight| Kind { client, weight, coming: Coming::Closed(60, ms(20)), ..Kind::default() };
    each(20, &[of("one", 1), of("two", 2), of("five", 5)], |result, _| {
        let total = result.total() as f64;
        for (client, weight) in [("one", 1.0), ("two", 2.0), ("five", 5.0)] {
            let part = result.good[client] as f64 / total / (weight / 8.0);
            assert!((0.9..=1.1).contains(&part), "{client}: {part} of its share, {:?}", result.good);
        }
    });
}

#[test]
fn people_go_before_bulk() {
    let people = Kind { client: "people", priority: Priority::High, coming: Coming::Steady(20.0), ..Kind::default() };
    let bulk = Kind { client: "bulk", priority: Priority::Low, coming: Coming::Closed(200, ms(50)), ..Kind::default() };
    let check = |result: &Result, _: f64| {
        let [people, bulk] = ["people", "bulk"].map(|client| result.good[client] as f64 / 30.0);
        assert!(people >= 19.9, "{people}/s");
        assert!(result.percentile("people", 0.99) <= ms(180), "{:?}", result.percentile("people", 0.99));
        // Together they are all that the backend serves.
        assert!(bulk >= 0.99 * (PEAK - people), "{bulk}/s");
    };
    each(30, &[people.clone(), bulk.clone()], check);
    // Also when people come as they like.
    let people = Kind { coming: Coming::Open(20.0), ..people };
    each(30, &[people, bulk], |result, _| {
        assert!(result.good["people"] as f64 >= 0.975 * result.came["people"] as f64, "{:?}", result.good);
        assert!(result.percentile("people", 0.99) <= ms(200), "{:?}", result.percentile("people", 0.99));
        assert!(result.total() as f64 / 30.0 >= 0.99 * PEAK, "{:?}", result.good);
    });
}

#[test]
fn nobody_starves_behind_a_crowd() {
    let of = |client, lane, priority, coming| Kind { client, lane, priority, coming, ..Kind::default() };
    let few = Coming::Closed(10, ms(50));
    let kinds = [
        of("high", Lane::Interactive, Priority::High, Coming::Open(400.0)),
        of("normal", Lane::Interactive, Priority::Normal, Coming::Open(400.0)),
        of("low", Lane::Interactive, Priority::Low, few),
        of("operator", Lane::Operator, Priority::Normal, few),
        of("sync", Lane::Sync, Priority::Normal, few),
    ];
    let kinds = kinds.map(|kind| Kind { waits: ms(5000), deadline: ms(9000), ..kind });
    each(20, &kinds, |result, rate| {
        assert!(rate >= 0.95 * PEAK, "{rate}/s");
        let total: usize = result.grants.values().map(Vec::len).sum();
        for line in ["normal", "low", "operator", "sync"] {
            // One in nine while all wait, and none waits for its turn longer than nine times nine others.
            let part = result.grants[line].len() as f64 / total as f64;
            assert!((0.1..0.13).contains(&part), "{line}: {part}");
            assert!(result.longest_gap(line) <= ms(1000), "{line}: {:?}", result.longest_gap(line));
        }
    });
}

#[test]
fn runs_yield_to_people() {
    let runs = Kind {
        client: "runs",
        lane: Lane::Sync,
        waits: ms(60_000),
        deadline: ms(60_000),
        coming: Coming::Closed(20, ms(1)),
        ..Kind::default()
    };
    // Alone they have half of the places, of 56 ms each.
    for seed in SEEDS {
        let alone = Simulation::new(limits(8), vec![runs.clone()]).seed(seed).run(ms(20_000));
        assert_eq!(alone.most, 4);
        assert!(alone.total() as f64 / 20.0 >= 68.0, "{}", alone.total());
    }
    // A few people are served as soon as if there were four more of them.
    let people = Kind { client: "people", coming: Coming::Open(20.0), ..Kind::default() };
    for seed in SEEDS {
        let few = Simulation::new(limits(8), vec![runs.clone(), people.clone()]).seed(seed).run(ms(20_000));
        assert_eq!(few.good["people"], few.came["people"]);
        assert!(few.percentile("people", 0.99) <= ms(160), "{:?}", few.percentile("people", 0.99));
    }
    // Of many people's places they get one in nine.
    let crowd = Kind { coming: Coming::Open(400.0), ..people };
    each(20, &[runs, crowd], |result, _| {
        let part = result.good["runs"] as f64 / result.total() as f64;
        assert!((0.1..0.13).contains(&part), "{part}");
    });
}

#[test]
fn long_runs_take_their_places_and_no_more() {
    // A run takes five seconds, and five wait. People have the other four places, and what is promised to them is kept.
    let people = Kind { client: "people", coming: Coming::Open(200.0), ..Kind::default() };
    each(60, &[long_runs(), people], |result, _| {
        let rate = result.good["people"] as f64 / 60.0;
        assert!(rate >= 0.95 * PEAK / 2.0, "{rate}/s");
        assert!(result.percentile("people", 0.99) <= ms(700), "{:?}", result.percentile("people", 0.99));
        assert!(result.good["runs"] >= 20, "{:?}", result.good);
    });
}

#[test]
fn calls_of_one_order_go_one_at_a_time_and_the_others_do_not_mind() {
    let of = |orders, callers| Kind {
        orders: Some(orders),
        coming: Coming::Closed(callers, ms(20)),
        waits: ms(2000),
        deadline: ms(3000),
        ..Kind::default()
    };
    // The backend itself looks that no order is worked on twice at once.
    each(20, &[of(200, 60)], |_, rate| assert!(rate >= 0.97 * PEAK, "{rate}/s"));
    // Four orders are four places, each of 56 ms.
    for seed in SEEDS {
        let four = Simulation::new(limits(8), vec![of(4, 60)]).seed(seed).run(ms(20_000));
        assert_eq!(four.most, 4);
        assert!(four.total() as f64 / 20.0 >= 0.95 * 4.0 / 0.056_25, "{}", four.total());
    }
    // Lost calls keep their order as well.
    let lost =
        || Simulation::new(limits(8), vec![of(20, 60)]).timeout(ms(2000)).change(ms(5000), Change::Lock(ms(3000)));
    each_of(20, lost, |result, _| assert!(result.rate(15..20) >= 0.8 * PEAK, "{:?}", result.by_second));
}

#[test]
fn after_a_lock_everything_is_as_before() {
    let kind = Kind { coming: Coming::Open(60.0), ..Kind::default() };
    let locked = || Simulation::new(limits(8), vec![kind.clone()]).change(ms(5000), Change::Lock(ms(3000)));
    each_of(20, locked, |result, _| {
        assert!(result.served(8..10) >= 0.95, "{:?} of {:?}", result.by_second, result.came_by_second);
        assert!(result.served(10..20) >= 0.95, "{:?} of {:?}", result.by_second, result.came_by_second);
    });
}

/// A backend that takes ten times as long from one moment to the next, and then no longer: who cannot be served is told at
/// once, but for the few who wait to use a place, and when it is quick again everybody is served.
#[test]
fn a_change_of_pace_is_seen_at_once_in_both_directions() {
    let kind = Kind { coming: Coming::Open(60.0), ..Kind::default() };
    let changes = || {
        let simulation = Simulation::new(limits(8), vec![kind.clone()]).change(ms(10_000), Change::Slow(10.0));
        simulation.change(ms(20_000), Change::Slow(1.0))
    };
    each_of(30, changes, |result, _| {
        let said = format!("late {:?}, good {:?}", result.late_by_second, result.by_second);
        // Within its first second there is hardly a call that has ended: it is seen by those that run.
        assert!(result.late(10..11) <= 12.0, "{said}");
        assert!(result.late(11..20) <= 10.0, "{said}");
        // What it can do is done: eight at a time, a second each.
        assert!(result.rate(11..20) >= 7.0, "{said}");
        assert!(result.served(21..23) >= 0.95 && result.served(23..30) >= 0.95, "{said}, {:?}", result.came_by_second);
    });
}

#[test]
fn after_a_lock_that_calls_were_given_up_in_it_is_back_when_they_are_settled() {
    // Calls are given up at 7 s and settled at 9 s.
    let kind = Kind { coming: Coming::Open(60.0), ..Kind::default() };
    let locked = || {
        let limits = Limits { settle: ms(2000), ..limits(8) };
        let simulation = Simulation::new(limits, vec![kind.clone()]).timeout(ms(2000));
        simulation.change(ms(5000), Change::Lock(ms(3000)))
    };
    each_of(25, locked, |result, _| {
        assert!(result.rate(9..11) >= 0.9 * 60.0, "{:?}", result.by_second);
        assert!(result.rate(11..25) >= 0.9 * 60.0, "{:?}", result.by_second);
    });
}

#[test]
fn newest_first_is_quick_for_the_patient_and_bad_where_callers_hang_up() {
    let run = |newest_first, leaves, seed| {
        let kind = Kind { coming: Coming::Open(400.0), leaves, ..Kind::default() };
        Simulation::new(Limits { newest_first, ..limits(8) }, vec![kind]).seed(seed).run(ms(20_000))
    };
    for seed in SEEDS {
        let [oldest, newest] = [false, true].map(|newest| run(newest, None, seed));
        assert!(newest.total() as f64 / 20.0 >= 0.97 * PEAK, "{}", newest.total());
        assert!(3 * newest.percentile("", 0.5) < oldest.percentile("", 0.5), "{:?}", newest.percentile("", 0.5));
        let [oldest, newest] = [false, true].map(|newest| run(newest, Some((80, ms(40))), seed));
        assert!(2 * newest.total() < oldest.total(), "{} of {}", newest.total(), oldest.total());
    }
}
