//! `trace`: a record's whole life.

use clap::Args;

use super::{Context, Exit, fail, output};
use crate::console::view;
use crate::pipeline::trace::Trace;
use crate::staging::ChangeKind;

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
        Ok(trace) if context.json => match view::trace(&trace).and_then(|view| serde_json::to_string(&view)) {
            Ok(json) => output::line(json),
            Err(error) => {
                output::fault(&format!("what is staged under {} is no JSON: {error}", trace.key));
                return Exit::Incomplete;
            }
        },
        Ok(trace) => print(&trace),
        Err(error) => return fail(&error),
    }
    Exit::Done
}

fn print(trace: &Trace) {
    output::line(format!("{} {}", trace.resource, trace.key));
    match &trace.document {
        Some(document) => output::line(format!("  now         {}", String::from_utf8_lossy(&document.payload))),
        None => output::line("  now         not staged"),
    }
    for change in &trace.versions {
        output::line(format!(
            "  version {:<3} {} {}{}, run {}, feed {}",
            change.version,
            change.changed_at,
            if change.kind == ChangeKind::Deleted { "deleted " } else { "" },
            match &change.input {
                Some(input) => format!("from {}, {}", output::plain(&input.path), input.position),
                None => "as a snapshot had it no more".to_owned(),
            },
            change.run,
            change.sequence
        ));
    }
    for letter in &trace.dead_letters {
        output::line(format!(
            "  rejected    {} from {}, {}: dead letter {} ({})",
            letter.created_at,
            output::plain(&letter.path),
            letter.reject.sentence(),
            letter.id,
            letter.state.as_str()
        ));
    }
}
