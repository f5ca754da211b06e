//! `doctor BACKEND`: what keeps us out of a backend, step by step, each with its cause and what to do.

use clap::Args;
use serde_json::json;

use super::{Context, Exit, fail, output};
use crate::app::Entrance;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The backend, by its name in the configuration
    backend: String,
}

/// 0: all is well; 1: it can be reached, and something is wrong; 2: usage or configuration; 3: it cannot be reached.
pub(super) async fn run(context: &Context, options: &Options) -> Exit {
    let config = match context.load_alone() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let findings = match Entrance::to(&config, &options.backend).await {
        Ok(entrance) => entrance.diagnose().await,
        Err(error) => Err(error),
    };
    let findings = match findings {
        Ok(findings) => findings,
        Err(error) => return fail(&error),
    };
    if context.json {
        let steps = findings.iter().map(|finding| {
            json!({"step": finding.step, "ok": finding.is_well, "said": finding.said, "remedy": finding.remedy})
        });
        output::json(&json!({"backend": options.backend, "steps": steps.collect::<Vec<_>>()}));
    } else {
        for finding in &findings {
            let mark = if finding.is_well { "ok   " } else { "WRONG" };
            output::line(format!("{mark}  {:<9} {}", finding.step, output::plain(&finding.said)));
            if let Some(remedy) = finding.remedy.as_deref().filter(|_| !finding.is_well) {
                output::line(format!("                 what to do: {}", output::plain(remedy)));
            }
        }
    }
    let lets_in = |step: &str| matches!(step, "login" | "database" | "rights" | "version" | "inbox");
    let is_in = findings.iter().any(|finding| finding.is_well && lets_in(finding.step));
    let is_in = is_in || findings.iter().any(|finding| matches!(finding.step, "answer" | "inbox"));
    match findings.iter().all(|finding| finding.is_well) {
        true => Exit::Done,
        false if is_in => Exit::Incomplete,
        false => Exit::Unreachable,
    }
}
