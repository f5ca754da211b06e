//! `gate simulate`: what another cap would have done to the calls that the service has kept.

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{Context, Exit, output};
use crate::app::{self, SimulateError, Simulation};
use crate::diagnostic::{format_duration, parse_duration};
use crate::gate::Adapt;
use crate::gate::simulate::Side;
use crate::gate::tuning::Values;
use crate::telemetry;

/// What is said with every replay.
const CAVEAT: &str = "The backend is taken to need as long for each call as it did then; under another cap it would \
                      not: with fewer calls at once it is usually quicker, with more slower. Callers come when they \
                      came: those who would try again after a refusal are not there.";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The backend
    backend: String,
    /// The cap to try
    #[arg(long, value_name = "N")]
    max_in_flight: i64,
    /// Calls of the last so long: `90m`, `24h`
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time)]
    since: Duration,
    /// How long calls wait, instead of as in force
    #[arg(long, value_name = "TIME")]
    queue_timeout: Option<String>,
    /// How many wait at most, instead of as in force
    #[arg(long, value_name = "N")]
    queue: Option<i64>,
    /// The share of scheduled runs, instead of as in force
    #[arg(long, value_name = "PART")]
    sync_share: Option<f64>,
    /// Whether the limit follows the backend (`off`, `on`), instead of as in force
    #[arg(long, value_name = "off|on", value_parser = ["off", "on"])]
    adaptive: Option<String>,
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "no length of time like \"90m\", \"24h\"".to_owned())
}

pub(super) async fn run(context: &Context, options: &Options) -> Exit {
    let config = match context.load_alone() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    telemetry::init(&telemetry::Config { level: "warn".to_owned(), ..config.telemetry.clone() });
    let mut values = Values::new();
    values.insert("max_in_flight".to_owned(), json!(options.max_in_flight));
    let others = [
        ("queue_timeout", options.queue_timeout.as_ref().map(|time| json!(time))),
        ("queue", options.queue.map(|count| json!(count))),
        ("sync_share", options.sync_share.map(|part| json!(part))),
        ("adaptive", options.adaptive.as_ref().map(|word| json!(word))),
    ];
    values.extend(others.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    match app::simulate_gate(&config, &options.backend, options.since, &values).await {
        Ok(simulation) => {
            print(context, options, &simulation);
            Exit::Done
        }
        Err(error) => {
            output::fault(&error.to_string());
            match error {
                SimulateError::UnknownBackend(_) | SimulateError::Faults(_) => Exit::Usage,
                _ => Exit::Incomplete,
            }
        }
    }
}

fn moment(since_1970: Duration) -> String {
    let length = SignedDuration::try_from(since_1970).unwrap_or(SignedDuration::MAX);
    Timestamp::from_duration(length).map(|moment| moment.to_string()).unwrap_or_default()
}

fn print(context: &Context, options: &Options, simulation: &Simulation) {
    let backend = &options.backend;
    let report = &simulation.report;
    if context.json {
        output::json(&json!({
            "backend": backend,
            "calls": report.calls,
            "from": moment(report.from),
            "until": moment(report.until),
            "happened": side(&report.happened),
            "simulated": side(&report.replayed),
            "adaptive": report.adaptive.0.as_str(),
            "unreadable_lines": simulation.unreadable,
            "caveat": CAVEAT,
        }));
        return;
    }
    output::line(output::plain(&format!(
        "{backend}: {} calls from {} to {}",
        report.calls,
        moment(report.from),
        moment(report.until)
    )));
    let (then, now) = (&report.happened, &report.replayed);
    let count = |name: &str, of: fn(&Side) -> usize| vec![name.to_owned(), of(then).to_string(), of(now).to_string()];
    let wait = |name: &str, of: fn(&Side) -> Duration| vec![name.to_owned(), shown(of(then)), shown(of(now))];
    let mut rows = vec![
        count("cap (then: as in force now)", |side| side.max_in_flight),
        count("served", |side| side.served),
        count("left while waiting", |side| side.left),
        count("refused", Side::refusals),
    ];
    let mut reasons: Vec<&String> = then.refused.keys().chain(now.refused.keys()).collect();
    reasons.sort();
    reasons.dedup();
    for reason in reasons {
        let of = |side: &Side| side.refused.get(reason).copied().unwrap_or(0).to_string();
        rows.push(vec![format!("  {reason}"), of(then), of(now)]);
    }
    rows.push(wait("wait p50", |side| side.wait_p50));
    rows.push(wait("wait p99", |side| side.wait_p99));
    rows.push(wait("longest wait", |side| side.wait_max));
    rows.push(count("most in flight", |side| side.most_in_flight));
    let part = |side: &Side| format!("{:.1}%", side.utilisation() * 100.0);
    rows.push(vec!["places in use".to_owned(), part(then), part(now)]);
    output::table(&["", "HAPPENED", "SIMULATED"], &rows);
    if simulation.unreadable > 0 {
        output::note(format!("{} lines of the history cannot be read and are left out", simulation.unreadable));
    }
    output::note(adaptive(report.adaptive, options.adaptive.is_some()));
    output::note(CAVEAT);
}

/// What the limit did in the replay. What it was when the calls came is not kept.
fn adaptive((adaptive, floor): (Adapt, usize), is_chosen: bool) -> String {
    let whose = if is_chosen { "as asked for" } else { "as in force now" };
    let word = adaptive.as_str();
    match adaptive {
        Adapt::On => format!(
            "`adaptive = \"on\"`, {whose}: in the replay the limit begins with {floor} and follows the backend, so the cap \
             is only where it ends; `--adaptive off` tries the cap itself"
        ),
        Adapt::Off | Adapt::Shadow => format!("`adaptive = \"{word}\"`, {whose}: in the replay the limit is the cap"),
    }
}

/// A time to a tenth of a millisecond below a second, to a millisecond above.
fn shown(time: Duration) -> String {
    match time {
        zero if zero.is_zero() => "0s".to_owned(),
        short if short < Duration::from_secs(1) => format!("{:.1}ms", short.as_secs_f64() * 1000.0),
        long => format_duration(Duration::from_millis(u64::try_from(long.as_millis()).unwrap_or(u64::MAX))),
    }
}

fn side(side: &Side) -> Value {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    json!({
        "max_in_flight": side.max_in_flight,
        "served": side.served,
        "refused": side.refused,
        "left": side.left,
        "wait_p50_ms": ms(side.wait_p50),
        "wait_p99_ms": ms(side.wait_p99),
        "wait_max_ms": ms(side.wait_max),
        "most_in_flight": side.most_in_flight,
        "mean_in_flight": side.mean_in_flight,
        "utilisation": side.utilisation(),
    })
}
