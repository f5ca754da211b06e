//! `sync`: one run now, with its balance.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Context, Exit, exit_of, output};
use crate::adapters::inbox::Waiting;
use crate::diagnostic::parse_duration;
use crate::gate::Lane;
use crate::mapping::Plan;
use crate::pipeline::progress::Progress;
use crate::pipeline::sync::{Request, Summary};
use crate::pipeline::{Bridge, PipelineError};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The resource: `orders.v1`, or `orders` for its highest version
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    resource: Option<String>,
    /// All resources
    #[arg(long)]
    all: bool,
    /// Also read again the files that were read before and still lie in the inbox; of a table, read all of it, and take its
    /// columns as they are now
    #[arg(long)]
    full: bool,
    /// How long to wait for files that have just arrived or wait for another; longer than any sensible `stable_for` unless it
    /// is said. `0s` takes what is complete now
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    wait: Duration,
}

fn time(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "no length of time like \"0s\", \"5m\"".to_owned())
}

pub(super) async fn run(context: &Context, options: &Options) -> Exit {
    let bridge = match context.open().await {
        Ok(bridge) => bridge,
        Err(exit) => return exit,
    };
    let world = bridge.world.load_full();
    let plans: Vec<Arc<Plan>> = match &options.resource {
        Some(wanted) => match world.plan(wanted) {
            Ok(plan) => vec![Arc::clone(plan)],
            Err(error) => return super::fail(&error),
        },
        // What is read record by record has no run.
        None => world.plans.iter().filter(|plan| plan.is_run()).cloned().collect(),
    };
    let bar = tokio::spawn(show(Arc::clone(&bridge)));
    let interrupted = tokio::spawn(stop_on_interrupt(Arc::clone(&bridge)));
    let mut exit = Exit::Done;
    let request = Request { trigger: "command", lane: Lane::Operator, full: options.full, patience: options.wait };
    let lines = bridge.sync_all(&plans, request).await;
    for (_, result) in &lines {
        exit = exit.max(match result {
            Ok(summary) if !summary.is_complete() => Exit::Incomplete,
            Ok(_) => Exit::Done,
            Err(error) => exit_of(error),
        });
    }
    bar.abort();
    interrupted.abort();
    // An aborted task has dropped its bar, and with it the line on the terminal, once it is joined.
    let _ = bar.await;
    let mut told = HashSet::new();
    for (plan, result) in lines {
        // Of an inbox that several resources read.
        let unclaimed = result.as_ref().map(|summary| summary.unclaimed.clone()).unwrap_or_default();
        print(context, &plan, result);
        if !context.json && unclaimed.files > 0 && told.insert(plan.backend.clone()) {
            output::note(format!("{}: no mapping reads {unclaimed}", plan.backend));
        }
    }
    exit
}

fn print(context: &Context, plan: &Plan, result: Result<Summary, PipelineError>) {
    let id = plan.exposure.id.to_string();
    match result {
        Ok(summary) if context.json => output::json(&as_json(&summary)),
        Err(error) if context.json => {
            output::json(&json!({"resource": id, "state": "failed", "error": error.chain()}));
        }
        Ok(summary) => {
            for Waiting { name, until } in &summary.unsettled {
                let (name, until) = (output::plain(name), until.to_string());
                let until = output::plain(&until);
                output::note(format!("{id}: {name} {until}; it is left for the next run"));
            }
            for name in &summary.changed {
                let name = output::plain(name);
                output::note(format!("{id}: {name} changed while it was read; it is left for the next run"));
            }
            for name in &summary.refused {
                output::note(format!("{id}: {} was refused; its dead letter says why", output::plain(name)));
            }
            for note in &summary.notes {
                output::note(format!("{id}: {}", output::plain(note)));
            }
            if !summary.together.is_empty() {
                let others: Vec<String> = summary.together.iter().map(ToString::to_string).collect();
                output::line(format!("{id}: read together with {}", others.join(", ")));
            }
            let Some(run) = &summary.run else {
                output::line(format!("{id}: nothing new"));
                return;
            };
            let balance = run.balance;
            let refused = match balance.refused {
                0 => String::new(),
                refused => format!(" ({refused} of them good ones of refused files)"),
            };
            let deleted = match balance.deleted {
                0 => String::new(),
                deleted => format!("; deleted {deleted}"),
            };
            output::line(format!(
                "{id}: read {} = staged {} + unchanged {} + dead {} + skipped {}{refused}{deleted}",
                balance.read, balance.staged, balance.unchanged, balance.dead, balance.skipped
            ));
            if let Some(deletes) = &summary.deletes {
                output::line(format!("{id}: deletes detected: {deletes}"));
            }
            if balance.dead > 0 || !summary.refused.is_empty() {
                output::note(format!("{id}: see `tollbridge dead-letters list --resource {id}`"));
            }
        }
        Err(error) => output::fault(&format!("{id}: {}", error.chain())),
    }
}

fn as_json(summary: &Summary) -> serde_json::Value {
    let balance = summary.balance();
    json!({
        "resource": summary.resource.to_string(),
        "run": summary.run.as_ref().map(|run| run.id.to_string()),
        "state": summary.run.as_ref().map_or("idle", |run| run.state.as_str()),
        "read": balance.read,
        "staged": balance.staged,
        "unchanged": balance.unchanged,
        "dead": balance.dead,
        "skipped": balance.skipped,
        "refused_records": balance.refused,
        "deleted": balance.deleted,
        "files": summary.run.as_ref().map_or(0, |run| run.files),
        "unsettled": summary.unsettled.iter().map(|file| &file.name).collect::<Vec<_>>(),
        "waiting": summary.unsettled.iter().map(|file| format!("{} {}", file.name, file.until)).collect::<Vec<_>>(),
        "changed": summary.changed,
        "refused": summary.refused,
        "unclaimed": {"files": summary.unclaimed.files, "first": summary.unclaimed.first},
        "deletes_detected": summary.deletes,
        "read_together_with": summary.together.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "notes": summary.notes,
    })
}

/// Ctrl-C ends the run at its next commit; the next run goes on from there.
async fn stop_on_interrupt(bridge: Arc<Bridge>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        bridge.stop.cancel();
    }
}

async fn show(bridge: Arc<Bridge>) {
    follow(&bridge.progress, || false).await;
}

/// Draws a bar of the bytes committed until `done`, where stderr is a terminal.
pub(super) async fn follow(progress: &Progress, done: impl Fn() -> bool) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    while !done() {
        let now = progress.snapshot();
        bar.set_length(now.bytes_found);
        bar.set_position(now.bytes_done);
        bar.set_message(format!("{} records, {} rejected", now.records, now.rejects));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bar.finish_and_clear();
}
