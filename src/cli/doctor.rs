//! `doctor BACKEND`: what keeps us out of a backend, step by step, each with its cause and what to do.

use clap::Args;
use serde_json::json;

use super::{Context, Exit, fail, output};
use crate::adapters::Finding;
use crate::app::{self, Entrance};
use crate::config::{self, WsdlState};

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
    let mut findings = match findings {
        Ok(findings) => findings,
        Err(error) => return fail(&error),
    };
    app::refresh(&config).await.faults.iter().for_each(output::note);
    findings.extend(config::wsdl_of(&config, &options.backend).map(|state| of_wsdl(&state)));
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

/// What is to be said of a WSDL.
fn of_wsdl(state: &WsdlState) -> Finding {
    let findings = state.findings();
    match (&state.wsdl, &state.fault) {
        (Some(wsdl), None) if findings == 0 => {
            Finding::well("wsdl", format!("{}: {} operations", state.source, wsdl.operations.len()))
        }
        (Some(_), None) => Finding::wrong(
            "wsdl",
            format!("{}: {findings} things are missing or odd in it", state.source),
            "see them with `inspect --backend`; operations that do not reach them are as typed as ever",
        ),
        (kept, fault) => Finding::wrong(
            "wsdl",
            format!("{}: {}", state.source, fault.clone().unwrap_or_default()),
            match kept {
                Some(_) => "as it was read last is in force: bring the WSDL back, or take `wsdl` to where it is",
                None => "mappings that need it are left out: correct `wsdl` of the backend, or bring the WSDL back",
            },
        ),
    }
}
