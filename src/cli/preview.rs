//! `preview`: a resource's records as they would be staged, and the rejects; stages nothing.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{Context, Exit, fail, output};
use crate::mapping::{Origin, Plan, Rows};
use crate::pipeline::preview::{Shown, preview};
use crate::pipeline::{Bridge, PipelineError};
use crate::staging::Balance;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The resource: `orders.v1`, or `orders` for its highest version
    resource: String,
    /// A data file; else the landed copy of the newest file that was read for the resource, or the rows of its table
    file: Option<PathBuf>,
    /// Stop after this many records
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

pub(super) async fn run(context: &Context, options: &Options) -> Exit {
    let (plan, path) = match &options.file {
        // A file by hand needs no database.
        Some(path) => {
            let loaded = match context.load() {
                Ok(loaded) => loaded,
                Err(exit) => return exit,
            };
            let world = crate::pipeline::World { plans: loaded.plans, ..Default::default() };
            match world.plan(&options.resource) {
                Ok(plan) => (plan.clone(), path.clone()),
                Err(error) => return fail(&error),
            }
        }
        None => {
            let bridge = match context.open().await {
                Ok(bridge) => bridge,
                Err(exit) => return exit,
            };
            let world = bridge.world.load_full();
            let plan = match world.plan(&options.resource) {
                Ok(plan) => plan.clone(),
                Err(error) => return fail(&error),
            };
            if let Origin::Rows(rows) = &plan.origin {
                return preview_rows(&bridge, &plan, rows, options.limit).await;
            }
            if let Origin::Call(operation) = &plan.origin
                && let Some(polling) = &operation.polling
            {
                let mut out = BufWriter::with_capacity(1 << 16, io::stdout());
                let shown =
                    bridge.preview_poll(&plan, operation, polling, options.limit, |shown| show(&mut out, shown)).await;
                // A reader that has gone away has seen enough.
                let _ = out.flush();
                return end(shown);
            }
            match bridge.newest_file(&plan).await {
                Ok(Some(path)) => (plan, path),
                Ok(None) => {
                    output::fault("no file was read for this resource yet; name a file to preview");
                    return Exit::Usage;
                }
                Err(error) => return fail(&error),
            }
        }
    };
    if let Some(preset) = plan.preset {
        output::note(format!("preset {}: {}", preset.name, preset.summary()));
    }
    let limit = options.limit;
    let shown = tokio::task::spawn_blocking(move || print(&plan, &path, limit)).await;
    match shown {
        Ok(shown) => end(shown),
        Err(_) => {
            output::fault("the preview ended unexpectedly; this is a fault of Tollbridge, please report it");
            Exit::Incomplete
        }
    }
}

fn end(shown: Result<Balance, PipelineError>) -> Exit {
    match shown {
        Ok(balance) if balance.dead > 0 => Exit::Incomplete,
        Ok(_) => Exit::Done,
        Err(error) => fail(&error),
    }
}

/// Rows come from their database, now.
async fn preview_rows(bridge: &Bridge, plan: &Arc<Plan>, rows: &Rows, limit: Option<u64>) -> Exit {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout());
    let shown = bridge.preview_rows(plan, rows, limit, |shown| show(&mut out, shown)).await;
    // A reader that has gone away has seen enough.
    let _ = out.flush();
    end(shown)
}

/// One record on a line; answers whether more are wanted.
fn show(out: &mut impl Write, shown: Shown) -> bool {
    match shown {
        Shown::Document(document) => out.write_all(&document.payload).and_then(|()| out.write_all(b"\n")).is_ok(),
        Shown::Reject(reject) => {
            output::note(bounded(output::reject(&reject)));
            true
        }
    }
}

/// The most hexadecimal digits of a record that are shown, and characters of a value: a preview is for the eye, and whoever
/// wants all of it has a dead letter.
const SHOWN: usize = 1024;

/// Says of texts that are longer how long they are.
fn bounded(mut reject: serde_json::Value) -> serde_json::Value {
    if let Some(raw) = reject["raw"].as_str().filter(|raw| raw.len() > SHOWN) {
        let (length, cut) = (raw.len() / 2, raw[..SHOWN].to_owned());
        if reject["raw_length"].is_null() {
            reject["raw_length"] = length.into();
        }
        reject["raw"] = cut.into();
    }
    for name in ["found", "expected", "key"] {
        let Some(text) = reject[name].as_str() else { continue };
        if let Some((end, _)) = text.char_indices().nth(SHOWN) {
            let cut = format!("{} ... ({} bytes in all)", &text[..end], text.len());
            reject[name] = cut.into();
        }
    }
    reject
}

fn print(plan: &Plan, path: &std::path::Path, limit: Option<u64>) -> Result<Balance, PipelineError> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let balance = preview(plan, path, limit, |shown| show(&mut out, shown))?;
    // A reader that has gone away has seen enough.
    let _ = out.flush();
    Ok(balance)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{SHOWN, bounded};

    #[test]
    fn what_is_long_is_shown_by_its_beginning() {
        let long = "ä".repeat(SHOWN + 1);
        let reject = |raw: &str, found: &str| json!({"raw": raw, "found": found, "expected": "integer", "key": null});
        let shown = bounded(reject(&"0f".repeat(600), &long));
        assert_eq!((shown["raw"].as_str().unwrap().len(), &shown["raw_length"]), (SHOWN, &json!(600)));
        assert_eq!(shown["found"], format!("{} ... (2050 bytes in all)", "ä".repeat(SHOWN)));
        assert_eq!(bounded(reject("0f", "x")), reject("0f", "x"));
    }
}
