//! What the callers do, and what is to come of it.

use std::collections::HashMap;
use std::time::Duration;

use crate::seats::{CAP, HIGH, LOW, Name, Taken};
use crate::support::erp::{Erp, Manner, Settings, Trace};
use crate::support::load::{Coming, Fate, Kind, Load, Outcome};

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// What happens to the seat or to the ERP while they come.
#[derive(Clone, Copy, PartialEq)]
enum Event {
    None,
    /// The ERP is locked for three seconds.
    Stall,
    /// The seat reads its configuration again, three times.
    Reload,
    /// The seat is killed and started anew while calls take a second, twice.
    Kill,
}

struct Story {
    name: &'static str,
    /// What is to be reached.
    wanted: &'static str,
    kinds: fn(&Taken) -> Vec<Kind>,
    event: Event,
    seats: &'static [Name],
}

const BOTH: &[Name] = &[Name::HaProxy, Name::Ours];

/// A pause after a refusal.
const PAUSE: Duration = Duration::from_millis(100);

const STORIES: &[Story] = &[
    Story {
        name: "peak: eight callers",
        wanted: "what the ERP can do",
        kinds: |seat| vec![seat.kind("c", Coming::Closed(CAP, Duration::ZERO))],
        event: Event::None,
        seats: &[Name::Direct, Name::HaProxy, Name::Ours],
    },
    Story {
        name: "burst: 500 callers, deadline 2 s",
        wanted: ">= 80/s, p99 <= 700 ms",
        kinds: |seat| vec![seat.kind("c", Coming::Closed(500, PAUSE))],
        event: Event::None,
        seats: BOTH,
    },
    Story {
        name: "open loop: 800/s, ten times what it can do",
        wanted: ">= 81/s, p99 <= 700 ms",
        kinds: |seat| vec![seat.kind("c", Coming::Open(800.0))],
        event: Event::None,
        seats: BOTH,
    },
    Story {
        name: "tight loop: 500 callers without a pause",
        wanted: ">= 76/s",
        kinds: |seat| vec![seat.kind("c", Coming::Closed(500, Duration::ZERO))],
        event: Event::None,
        seats: BOTH,
    },
    Story {
        name: "storm: 800/s, 80% leave after 40 ms",
        wanted: ">= 74/s, better 78",
        kinds: |seat| vec![seat.kind("c", Coming::Open(800.0)).leaving(0.8, 40, 40)],
        event: Event::None,
        seats: BOTH,
    },
    Story {
        name: "leaving in service: 800/s, 70% leave after 570 ms",
        wanted: "> 35/s, aiming at 75",
        kinds: |seat| vec![seat.kind("c", Coming::Open(800.0)).leaving(0.7, 570, 570)],
        event: Event::None,
        seats: BOTH,
    },
    Story {
        name: "greedy: one key with 400 callers, four with 25",
        wanted: "Jain >= 0.98",
        kinds: |seat| {
            let of = |(client, callers)| seat.kind(client, Coming::Closed(callers, PAUSE));
            [("greedy", 400), ("a", 25), ("b", 25), ("c", 25), ("d", 25)].map(of).into()
        },
        event: Event::None,
        seats: BOTH,
    },
    Story {
        name: "interactive: 20/s beside 200 bulk callers",
        wanted: ">= 19.5/s, p99 <= 200 ms, bulk >= 60/s",
        kinds: |seat| vec![seat.kind(HIGH, Coming::Open(20.0)), seat.kind(LOW, Coming::Closed(200, PAUSE))],
        event: Event::None,
        seats: BOTH,
    },
    Story {
        name: "lock: 60/s, the ERP stands still for 3 s",
        wanted: ">= 90% within 2 s of the unlock",
        kinds: |seat| vec![seat.kind("c", Coming::Open(60.0))],
        event: Event::Stall,
        seats: BOTH,
    },
    Story {
        name: "reload: 500 callers",
        wanted: "max 8, no halt",
        kinds: |seat| vec![seat.kind("c", Coming::Closed(500, PAUSE))],
        event: Event::Reload,
        seats: BOTH,
    },
    Story {
        name: "kill -9 and start, calls of 1 s",
        wanted: "max 8, no halt",
        kinds: |seat| vec![seat.kind("c", Coming::Closed(100, PAUSE))],
        event: Event::Kill,
        seats: BOTH,
    },
];

/// Runs the stories whose names have this word in them.
pub(crate) fn run(time: f64, word: &str) {
    for story in STORIES.iter().filter(|story| story.name.contains(word)) {
        println!("\n{}   (wanted: {})", story.name, story.wanted);
        let mut good = HashMap::new();
        for name in story.seats {
            let erp = Erp::start(Settings::default());
            let mut seat = Taken::take(*name, &erp);
            let outcome = play(story, &erp, &mut seat, time);
            let rate = report(*name, story, &outcome, &erp.at_rest(), time);
            good.insert(name.as_str(), rate);
        }
        if let (Some(haproxy), Some(ours)) = (good.get("HAProxy"), good.get("ours")) {
            println!("  ours / HAProxy  {:.2}", ours / haproxy.max(0.1));
        }
    }
}

/// When the ERP is locked.
fn stall_at(time: f64) -> f64 {
    (time / 4.0).max(1.0)
}

fn length(story: &Story, time: f64) -> f64 {
    if story.event == Event::Stall { time.max(stall_at(time) + 3.0 + 2.5) } else { time }
}

fn play(story: &Story, erp: &Erp, seat: &mut Taken, time: f64) -> Outcome {
    let time = length(story, time);
    if story.event == Event::Kill {
        erp.set(Manner { slower: 10.0, ..Manner::default() });
    }
    let kinds = (story.kinds)(seat);
    let load = Load::start(kinds, seconds(time), 7);
    match story.event {
        Event::None => {}
        Event::Stall => {
            load.until(seconds(stall_at(time)));
            erp.stall(seconds(3.0));
        }
        Event::Reload => {
            for part in 1..4 {
                load.until(seconds(time * f64::from(part) / 4.0));
                seat.reload();
            }
        }
        Event::Kill => {
            for part in 1..3 {
                load.until(seconds(time * f64::from(part) / 3.0));
                seat.kill_and_start();
            }
        }
    }
    load.join()
}

/// Prints a line; answers the good answers a second.
fn report(name: Name, story: &Story, outcome: &Outcome, trace: &Trace, time: f64) -> f64 {
    let time = length(story, time);
    let rate = outcome.count(|fate| *fate == Fate::Good) as f64 / time;
    let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let left: std::collections::HashSet<&str> =
        outcome.shots.iter().filter(|shot| shot.fate == Fate::Left).map(|shot| shot.key.as_str()).collect();
    let for_nobody = trace.calls.iter().filter(|call| left.contains(call.key.as_str())).count();
    let mut line = format!(
        "  {:8}{:6.1}/s  p50 {:4.0} p99 {:4.0} ms  refused {:6.0}/s p50 {:5.1} ms  ERP: max {:3}, halts {}, {:5.1} calls/s, {:4.1}% for nobody",
        name.as_str(),
        rate,
        ms(outcome.percentile(0.5, None)),
        ms(outcome.percentile(0.99, None)),
        outcome.count(|fate| matches!(fate, Fate::Refused { .. })) as f64 / time,
        ms(outcome.refusal_percentile(0.5)),
        trace.most,
        trace.halts,
        trace.calls.len() as f64 / time,
        100.0 * for_nobody as f64 / trace.calls.len().max(1) as f64,
    );
    let clients = outcome.by_client();
    if clients.len() > 1 {
        line += &format!("  Jain {:.3}", outcome.fairness());
    }
    if clients.contains_key(HIGH) {
        for client in [HIGH, LOW] {
            let p99 = ms(outcome.percentile(0.99, Some(client)));
            line += &format!("  {client} {:.1}/s p99 {p99:.0} ms", clients[client] as f64 / time);
        }
    }
    if story.event == Event::Stall {
        let stall = stall_at(time);
        let before = outcome.good_rate(seconds(stall / 4.0), seconds(stall));
        let after = outcome.good_rate(seconds(stall + 3.0), seconds(stall + 5.0));
        line += &format!("  {before:.0}/s before, {after:.0}/s in the 2 s after: {:.0}%", 100.0 * after / before);
    }
    let odd = |fate: &Fate| matches!(fate, Fate::Broken(_) | Fate::Unanswered | Fate::Failed(_));
    let odd = outcome.count(odd);
    if odd > 0 {
        line += &format!("  {odd} broken or failed");
    }
    println!("{line}");
    rate
}
