//! `trace`: a record's whole life.

use clap::Args;
use serde_json::{Value, json};

use super::{Context, Exit, dead_letters, fail, output};
use crate::pipeline::trace::Trace;
use crate::staging::Change;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The resource: `orders.v1`, or `orders` for its highest version
    resource: String,
    /// The key as in the URL; for a record whose key is broken its place: `line:LINE`, `record:NUMBER`, `offset:BYTE`
    key: String,
}

pub(super) async fn run(context: &Context, options: &Options) -> Exit {
    let bridge = match context.open().await {
        Ok(bridge) => bridge,
        Err(exit) => return exit,
    };
    match bridge.trace(&options.resource, &options.key).await {
        Ok(trace) if context.json => output::json(&as_json(&trace)),
        Ok(trace) => print(&trace),
        Err(error) => return fail(&error),
    }
    Exit::Done
}

fn as_json(trace: &Trace) -> Value {
    let document = trace.document.as_ref().map(|document| {
        // What is staged is JSON; should it ever not be, the text itself is shown.
        let text = String::from_utf8_lossy(&document.payload).into_owned();
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    });
    json!({
        "resource": trace.resource.to_string(),
        "key": trace.key,
        "document": document,
        "versions": trace.versions.iter().map(version).collect::<Vec<_>>(),
        "dead_letters": trace.dead_letters.iter().map(dead_letters::as_json).collect::<Vec<_>>(),
    })
}

fn version(change: &Change) -> Value {
    json!({
        "version": change.version,
        "sequence": change.sequence,
        "changed_at": change.changed_at.to_string(),
        "run": change.run.to_string(),
        "file": change.path,
        "blob": change.blob.to_string(),
        "record": change.position.record,
        "offset": change.position.offset,
        "length": change.position.length,
        "line": change.position.line,
    })
}

fn print(trace: &Trace) {
    output::line(format!("{} {}", trace.resource, trace.key));
    match &trace.document {
        Some(document) => output::line(format!("  now         {}", String::from_utf8_lossy(&document.payload))),
        None => output::line("  now         not staged"),
    }
    for change in &trace.versions {
        output::line(format!(
            "  version {:<3} {} from {}, {}, run {}, feed {}",
            change.version, change.changed_at, change.path, change.position, change.run, change.sequence
        ));
    }
    for letter in &trace.dead_letters {
        output::line(format!(
            "  rejected    {} from {}, {}: dead letter {} ({})",
            letter.created_at,
            letter.path,
            letter.reject.sentence(),
            letter.id,
            letter.state.as_str()
        ));
    }
}
