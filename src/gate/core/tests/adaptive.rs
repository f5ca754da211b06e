//! The limit that follows the backend, against backends of many kinds.

use std::time::Duration;

use proptest::prelude::*;

use super::super::adaptive::{Adaptive, Sample};
use super::super::simulation::{Change, Coming, Kind, Nature, Result, Scatter, Simulation, limits, long_runs, ms};
use super::super::{Core, End, Limits};
use super::{ask, granted};
use crate::gate::Adapt;

const SEEDS: std::ops::Range<u64> = 0..5;

/// For runs that take long.
const FEW_SEEDS: std::ops::Range<u64> = 0..2;

fn adapting(max_in_flight: usize, adapt: Adapt) -> Limits {
    Limits { adapt, ..limits(max_in_flight) }
}

/// More callers than any backend here can serve.
fn crowd() -> Kind {
    Kind { coming: Coming::Closed(40, ms(100)), ..Kind::default() }
}

/// Serves no more with five at a time than with three, and is locked by seven.
fn weak() -> Nature {
    Nature { knee: 4.0, halts_above: 6, ..Nature::default() }
}

fn least(limits: &[usize]) -> usize {
    limits.iter().copied().min().unwrap_or_default()
}

fn most(limits: &[usize]) -> usize {
    limits.iter().copied().max().unwrap_or_default()
}

#[test]
fn a_cap_that_is_three_times_too_high_does_no_harm() {
    for seed in SEEDS {
        let run = |adapt| {
            let simulation = Simulation::new(adapting(12, adapt), vec![crowd()]).backend(weak()).seed(seed);
            simulation.timeout(ms(2000)).run(ms(150_000))
        };
        let (off, on) = (run(Adapt::Off), run(Adapt::On));
        assert!(off.halts > 0 && off.rate(0..150) < 5.0, "the cap is not too high: {off:?}");
        // It slows down before it is locked, so that it is never locked, not even before anything was learned.
        assert_eq!((on.halts, on.most.min(6)), (0, on.most), "seed {seed}");
        assert!(least(&on.limits[10..]) >= 2 && most(&on.limits) <= 6, "seed {seed}: {:?}", on.limits);
        // The most that the backend can do is 42/s, at three to four at a time.
        assert!(on.rate(10..150) >= 38.0, "seed {seed}: {}/s", on.rate(10..150));
    }
}

#[test]
fn a_backend_that_gives_no_warning_is_hurt_once_and_then_more_and_more_rarely() {
    let cliff = Nature { knee: 40.0, halts_above: 6, ..Nature::default() };
    let simulation = Simulation::new(adapting(12, Adapt::On), vec![crowd()]).backend(cliff).seed(0);
    let result = simulation.timeout(ms(2000)).run(ms(2_400_000));
    let tries = result.limits.windows(2).filter(|pair| pair[0] < 7 && pair[1] == 7).count();
    // After 0, 5, 15 and 35 minutes.
    assert!(tries <= 4, "{tries} times in forty minutes");
    assert!(result.halts <= 2 * tries, "{} halts", result.halts);
    assert_eq!((result.most, most(&result.limits)), (7, 7));
    let first = result.limits[20..290].iter().all(|limit| *limit == 6);
    assert!(first, "{:?}", &result.limits[..300]);
    assert!(result.rate(20..290) >= 110.0, "{}/s", result.rate(20..290));
}

#[test]
fn a_good_cap_is_used_all_the_same() {
    for seed in FEW_SEEDS {
        let run = |nature, adapt| {
            Simulation::new(adapting(8, adapt), vec![crowd()]).backend(nature).seed(seed).run(ms(150_000))
        };
        let bound = run(Nature::default(), Adapt::On).rate(10..150) / run(Nature::default(), Adapt::Off).rate(10..150);
        assert!(bound >= 0.98, "seed {seed}: {bound} of what a fixed cap gives");
        // However wildly the times of a backend scatter that does not mind its load.
        for (deviation, part) in [(0.5, 0.97), (1.0, 0.85), (1.5, 0.75)] {
            let wild = Nature { knee: 40.0, scatter: Scatter::LogNormal(deviation), ..Nature::default() };
            let bound = run(wild, Adapt::On).rate(10..150) / run(wild, Adapt::Off).rate(10..150);
            assert!(bound >= part, "seed {seed}, deviation {deviation}: {bound} of what a fixed cap gives");
        }
    }
}

#[test]
fn a_slow_day_is_no_reason_to_serve_fewer() {
    for seed in SEEDS {
        let run = |adapt| {
            let simulation = Simulation::new(adapting(8, adapt), vec![crowd()]).seed(seed);
            let slow = simulation.change(ms(60_000), Change::Slow(3.0)).change(ms(180_000), Change::Slow(1.0));
            slow.run(ms(240_000))
        };
        let (off, on) = (run(Adapt::Off), run(Adapt::On));
        let during = on.rate(65..180) / off.rate(65..180);
        assert!(during >= 0.95, "seed {seed}: {during}, {:?}", on.limits);
        // Ten seconds after it is over everything is as before.
        let after = on.rate(190..240) / off.rate(190..240);
        assert!(after >= 0.97, "seed {seed}: {after}, {:?}", on.limits);
    }
}

#[test]
fn a_backend_that_grows_slower_by_and_by_is_followed() {
    for seed in FEW_SEEDS {
        let run = |adapt| {
            let simulation = Simulation::new(adapting(8, adapt), vec![crowd()]).seed(seed);
            let drift = (0..100).fold(simulation, |simulation, step| {
                simulation.change(ms(30_000 + step * 3000), Change::Slow(1.0 + step as f64 * 0.02))
            });
            drift.run(ms(400_000))
        };
        let (off, on) = (run(Adapt::Off), run(Adapt::On));
        let part = on.rate(30..400) / off.rate(30..400);
        assert!(part >= 0.97, "seed {seed}: {part}, {:?}", on.limits);
    }
}

#[test]
fn long_reports_among_quick_calls_are_no_trouble() {
    for seed in SEEDS {
        let quick = Kind { client: "quick", coming: Coming::Closed(40, ms(100)), ..Kind::default() };
        // A report takes three seconds, sixty times as long as the rest, and half of the places is taken by reports.
        let reports =
            Kind { client: "reports", times: 60.0, deadline: ms(20_000), coming: Coming::Open(0.8), ..Kind::default() };
        let flat = Nature { knee: 12.0, ..Nature::default() };
        let simulation = Simulation::new(adapting(8, Adapt::On), vec![quick, reports]).backend(flat).seed(seed);
        let result = simulation.run(ms(300_000));
        // At the floor a report stands in the only place there is; so the beginning takes a while.
        assert!(least(&result.limits[30..]) >= 7, "seed {seed}: {:?}", result.limits);
        assert!(result.good["reports"] > 150, "seed {seed}: {:?}", result.good);
    }
}

#[test]
fn faults_that_have_nothing_to_do_with_the_load_do_not_bring_it_down() {
    for seed in FEW_SEEDS {
        let run = |adapt| {
            let simulation = Simulation::new(adapting(8, adapt), vec![crowd()]).seed(seed);
            simulation.change(ms(0), Change::Fails(0.05)).run(ms(300_000))
        };
        let (off, on) = (run(Adapt::Off), run(Adapt::On));
        assert!(on.rate(20..300) >= 0.97 * off.rate(20..300), "seed {seed}: {:?}", on.limits);
    }
}

#[test]
fn a_slow_day_does_not_make_it_forget_where_it_was_hurt() {
    let cliff = Nature { knee: 40.0, halts_above: 6, ..Nature::default() };
    for seed in FEW_SEEDS {
        let simulation = Simulation::new(adapting(12, Adapt::On), vec![crowd()]).backend(cliff).seed(seed);
        let slow = simulation.change(ms(60_000), Change::Slow(3.0)).change(ms(150_000), Change::Slow(1.0));
        let result = slow.timeout(ms(2000)).run(ms(290_000));
        assert!(most(&result.limits[20..]) == 6, "seed {seed}: {:?}", result.limits);
        assert!(least(&result.limits[80..]) >= 3, "seed {seed}: {:?}", result.limits);
    }
}

#[test]
fn lone_calls_say_nothing_of_how_many_are_too_many() {
    for seed in SEEDS {
        let lone = Kind { coming: Coming::Open(1.0), ..Kind::default() };
        let simulation = Simulation::new(adapting(8, Adapt::On), vec![lone]).seed(seed);
        let result = simulation.change(ms(100_000), Change::Slow(5.0)).run(ms(500_000));
        // Five times slower, those that happen to overlap make it try whether fewer are better. They are not.
        let (before, after) = (&result.limits[..100], most(&result.limits[440..]));
        assert!(before.is_sorted() && after >= before[99], "seed {seed}: {:?}", result.limits);
        assert!(most(&result.limits) <= 4, "seed {seed}: it grows only when it is used up: {:?}", result.limits);
        assert_eq!(result.refused, 0);
    }
}

#[test]
fn after_an_outage_it_is_back_in_seconds_but_for_the_place_at_which_it_began() {
    let flat = Nature { knee: 40.0, halts_above: 100, ..Nature::default() };
    for seed in FEW_SEEDS {
        let simulation = Simulation::new(adapting(8, Adapt::On), vec![crowd()]).backend(flat).seed(seed);
        let outage = simulation.change(ms(60_000), Change::Fails(1.0)).change(ms(90_000), Change::Fails(0.0));
        let result = outage.run(ms(420_000));
        assert_eq!(result.limits[59], 8, "seed {seed}");
        // The breaker finds out at 100 s: open for 10 s, then for 20 s. It lets one through, then two, then four.
        let back = result.limits[60..].iter().rposition(|limit| *limit < 7).map(|second| second + 61);
        assert!(back.is_some_and(|back| back <= 110), "seed {seed}: at {back:?}, {:?}", result.limits);
        let full = result.limits[60..].iter().position(|limit| *limit == 8).map(|second| second + 61);
        assert!(full.is_some_and(|full| (360..372).contains(&full)), "seed {seed}: at {full:?}");
    }
}

#[test]
fn runs_alone_do_not_leave_it_at_the_floor() {
    // A run takes five seconds; how long runs take says nothing.
    let limits = Limits { sync_places: 8, ..adapting(8, Adapt::On) };
    let result = Simulation::new(limits, vec![long_runs()]).run(ms(600_000));
    assert!(result.limits.is_sorted() && most(&result.limits) == 8, "{:?}", result.limits);
}

#[test]
fn in_the_shadow_it_changes_nothing_and_shows_what_it_would_do() {
    for seed in SEEDS {
        let run = |adapt| {
            // Sometimes too much, sometimes not.
            let kind = Kind { coming: Coming::Open(20.0), ..Kind::default() };
            let simulation = Simulation::new(adapting(12, adapt), vec![kind]).backend(weak()).seed(seed);
            let waves = (0..10).fold(simulation, |simulation, wave| {
                simulation.change(ms(wave * 30_000), Change::Coming(0, if wave % 2 == 0 { 20.0 } else { 45.0 }))
            });
            waves.timeout(ms(2000)).run(ms(300_000))
        };
        let (off, shadow) = (run(Adapt::Off), run(Adapt::Shadow));
        let seen = |result: &Result| (result.good.clone(), result.refused, result.most, result.latencies.clone());
        assert_eq!(seen(&off), seen(&shadow), "seed {seed}");
        assert_eq!((shadow.limits[0], most(&off.limits)), (12, 0), "seed {seed}");
        assert!((2..=8).contains(&shadow.limits[299]), "seed {seed}: {:?}", shadow.limits);
    }
}

/// A call takes 0.1 s with seven at work; once the knee lies at 4.35, 0.31 s, and 0.11 s with four.
fn sinking() -> Nature {
    Nature { alone: ms(60), halts_above: 100, ..Nature::default() }
}

fn seven() -> Kind {
    Kind { coming: Coming::Closed(7, ms(5)), ..Kind::default() }
}

#[test]
fn times_that_rise_threefold_are_seen_also_where_it_was_never_calm() {
    for seed in SEEDS {
        let run = |adapt| {
            let simulation = Simulation::new(adapting(8, adapt), vec![seven()]).backend(sinking()).seed(seed);
            simulation.change(ms(60_000), Change::Knee(4.35)).run(ms(120_000))
        };
        // In the shadow seven are at work from the first moment on.
        let (shadow, on) = (run(Adapt::Shadow), run(Adapt::On));
        assert_eq!(least(&shadow.limits[..60]), 8, "seed {seed}: {:?}", shadow.limits);
        assert!(most(&shadow.limits[64..]) <= 5, "seed {seed}: {:?}", shadow.limits);
        assert_eq!(shadow.most, 7, "it changes nothing");
        assert!(least(&on.limits[20..60]) >= 7 && most(&on.limits[64..]) <= 5, "seed {seed}: {:?}", on.limits);
        assert!(on.rate(70..120) >= 1.2 * shadow.rate(70..120), "seed {seed}: {}/s", on.rate(70..120));
    }
}

#[test]
fn times_that_rise_threefold_are_seen_also_in_bursts() {
    for seed in SEEDS {
        let bursts = Kind { coming: Coming::Bursts(8, ms(500)), ..Kind::default() };
        let simulation = Simulation::new(adapting(8, Adapt::On), vec![bursts]).backend(sinking()).seed(seed);
        let result = simulation.change(ms(60_000), Change::Knee(4.35)).run(ms(150_000));
        let after = &result.limits[90..];
        let mean = after.iter().sum::<usize>() as f64 / after.len() as f64;
        assert!(result.limits[59] >= 7 && mean <= 5.0, "seed {seed}: {mean}, {:?}", result.limits);
    }
}

#[test]
fn what_was_learned_on_a_slow_day_is_corrected() {
    for seed in SEEDS {
        let simulation = Simulation::new(adapting(8, Adapt::On), vec![seven()]).backend(sinking()).seed(seed);
        let slow = simulation.change(ms(0), Change::Slow(3.0)).change(ms(30_000), Change::Slow(1.0));
        let result = slow.change(ms(90_000), Change::Knee(4.35)).run(ms(150_000));
        assert!(least(&result.limits[70..90]) >= 7, "seed {seed}: {:?}", result.limits);
        let after = &result.limits[96..];
        let mean = after.iter().sum::<usize>() as f64 / after.len() as f64;
        assert!(mean <= 5.5 && most(after) <= 7, "seed {seed}: {mean}, {:?}", result.limits);
    }
}

/// Who comes first of a crowd is not alone: what it takes is nothing of calm times.
#[test]
fn the_first_of_a_crowd_is_no_calm_call() {
    let mut core = Core::new(Limits { min_in_flight: 8, ..adapting(8, Adapt::On) });
    core.set_limits(Limits { min_in_flight: 1, ..adapting(8, Adapt::On) });
    let mut now = ms(0);
    let mut crowd = |core: &mut Core, took: u64, count: usize| {
        now += ms(1000);
        let grants: Vec<_> = (0..count).map(|_| granted(core.arrive(ask("a", now), now, &mut Vec::new()))).collect();
        now += ms(took);
        grants.iter().for_each(|grant| core.end(grant, End::Answered, true, now));
    };
    for _ in 0..20 {
        crowd(&mut core, 50, 1);
    }
    // Eight at a time take long, all of them; the first as long as the last.
    for _ in 0..60 {
        let count = core.cap();
        crowd(&mut core, 50 + 50 * count as u64, count);
    }
    assert!(core.cap() <= 4, "{}", core.cap());
}

#[test]
fn turned_on_under_load_it_looks_once_whether_fewer_are_quicker() {
    for seed in FEW_SEEDS {
        let run = |nature| {
            let simulation = Simulation::new(adapting(8, Adapt::Shadow), vec![crowd()]).backend(nature).seed(seed);
            simulation.change(ms(20_000), Change::Limits(adapting(8, Adapt::On))).run(ms(200_000))
        };
        // At eight a call takes seven times as long as alone, at three a good half longer; it was so from the start.
        let steep = Nature { knee: 4.35, halts_above: 100, ..Nature::default() };
        let result = run(steep);
        assert_eq!(least(&result.limits[..20]), 8, "seed {seed}: {:?}", result.limits);
        assert!(result.rate(100..200) >= 1.2 * result.rate(5..20), "seed {seed}: {:?}", result.limits);
        // Where it makes no difference they are back at once.
        let flat = run(Nature { knee: 40.0, halts_above: 100, ..Nature::default() });
        let fewer = flat.limits.iter().filter(|limit| **limit < 8).count();
        assert!((0..=4).contains(&fewer), "seed {seed}: {:?}", flat.limits);
    }
}

#[test]
fn the_operators_bounds_hold_also_when_they_move() {
    let flat = Nature { knee: 40.0, halts_above: 100, ..Nature::default() };
    for seed in SEEDS {
        let bounds = |floor, cap| Change::Limits(Limits { min_in_flight: floor, ..adapting(cap, Adapt::On) });
        let simulation = Simulation::new(adapting(12, Adapt::On), vec![crowd()]).backend(flat).seed(seed);
        let moved = simulation
            .change(ms(30_500), bounds(1, 3))
            .change(ms(60_500), bounds(1, 12))
            .change(ms(90_500), bounds(5, 12))
            .change(ms(100_500), Change::Slow(50.0))
            .change(ms(160_500), bounds(20, 4));
        let result = moved.run(ms(200_000));
        assert_eq!((result.limits[29], most(&result.limits[30..60])), (12, 3), "seed {seed}");
        assert_eq!(result.limits[75], 12, "seed {seed}: what the cap alone held back comes back quickly");
        assert!(least(&result.limits[90..160]) >= 5, "seed {seed}: {:?}", result.limits);
        assert!(result.limits[160..].iter().all(|limit| *limit == 4), "seed {seed}: {:?}", result.limits);
    }
}

#[test]
fn what_was_seen_in_the_shadow_holds_when_it_is_turned_on() {
    let mut core = Core::new(adapting(8, Adapt::Off));
    assert_eq!(core.adaptive_limit(), None);
    core.set_limits(adapting(8, Adapt::Shadow));
    assert_eq!((core.adaptive_limit(), core.cap()), (Some(8), 8));
    // Of eight at a time four fail.
    let grants: Vec<_> = (0..8).map(|_| granted(core.arrive(ask("a", ms(0)), ms(0), &mut Vec::new()))).collect();
    for (number, grant) in grants.iter().enumerate() {
        core.end(grant, if number < 4 { End::Failed } else { End::Answered }, true, ms(100));
    }
    let seen = core.adaptive_limit().expect("it is on");
    assert!(seen < 6, "{seen}");
    assert_eq!(core.cap(), 8);
    core.set_limits(adapting(8, Adapt::On));
    assert_eq!((core.adaptive_limit(), core.cap()), (Some(seen), seen));
    core.set_limits(adapting(8, Adapt::Off));
    assert_eq!((core.adaptive_limit(), core.cap()), (None, 8));
    // Without the shadow it begins at the floor.
    core.set_limits(Limits { min_in_flight: 2, ..adapting(8, Adapt::On) });
    assert_eq!(core.cap(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever it is told, in whatever order, it stays within the bounds in force.
    #[test]
    fn it_never_leaves_its_bounds(
        events in proptest::collection::vec((0usize..40, 0u64..20_000, 0u64..5_000, 0u8..12, 1usize..20, 1usize..20), 1..400),
        from_floor: bool,
    ) {
        let mut adaptive = Adaptive::new(3, 7, from_floor);
        let (mut floor, mut cap, mut now) = (3, 7, Duration::ZERO);
        for (beside, took, passes, kind, other_floor, other_cap) in events {
            now += ms(passes);
            if kind == 0 {
                (floor, cap) = (other_floor.min(other_cap), other_cap);
                adaptive.bound(other_floor, cap, kind != 0 || took % 2 == 0);
            } else {
                let granted = now.saturating_sub(ms(took));
                let before = adaptive.limit();
                let load = beside as f64;
                adaptive.ended(Sample { beside, load, granted, ended: now, lost: kind < 4, is_timed: kind != 11 });
                prop_assert!(adaptive.limit() <= before + 1 || kind >= 4, "a loss never raises it");
            }
            prop_assert!((floor..=cap).contains(&adaptive.limit()), "{} in {floor}..={cap}", adaptive.limit());
        }
    }
}
