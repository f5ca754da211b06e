//! `doctor BACKEND`: what keeps us out of a backend, step by step, each with its cause and what to do; `doctor --issuers`:
//! the same of those who sign tokens.

use clap::Args;
use serde_json::json;

use super::{Context, Exit, fail, output};
use crate::adapters::Finding;
use crate::app::{self, Entrance};
use crate::config::{self, Config, WsdlState};
use crate::http::auth::token;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The backend, by its name in the configuration
    #[arg(required_unless_present = "issuers", conflicts_with = "issuers")]
    backend: Option<String>,
    /// Look at the issuers of `[auth.oidc]` instead: their discovery, their keys, their clocks
    #[arg(long)]
    issuers: bool,
}

/// 0: all is well; 1: it can be reached, and something is wrong; 2: usage or configuration; 3: it cannot be reached.
pub(super) async fn run(context: &Context, options: &Options) -> Exit {
    let mut config = match context.load_alone() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let Some(backend) = &options.backend else { return issuers(context, &config).await };
    config::settle_logins(&mut config);
    // A broken mapping is no reason not to look at the backend.
    let plans = config::look(&config.path, config::environment()).ok().map(|loaded| loaded.plans);
    let findings = match Entrance::to(&config, backend).await {
        Ok(entrance) => entrance.diagnose(plans.as_deref()).await,
        Err(error) => Err(error),
    };
    let mut findings = match findings {
        Ok(findings) => findings,
        Err(error) => return fail(&error),
    };
    app::refresh(&config).await.faults.iter().for_each(output::note);
    findings.extend(config::wsdl_of(&config, backend).map(|state| of_wsdl(&state)));
    if context.json {
        let steps = findings.iter().map(|finding| {
            json!({"step": finding.step, "ok": finding.is_well, "said": finding.said, "remedy": finding.remedy})
        });
        output::json(&json!({"backend": backend, "steps": steps.collect::<Vec<_>>()}));
    } else {
        for finding in &findings {
            step((finding.step, finding.is_well), &finding.said, finding.remedy.as_deref());
        }
    }
    let lets_in = |step: &str| matches!(step, "login" | "database" | "rights" | "version" | "inbox" | "outbox");
    let is_in = findings.iter().any(|finding| finding.is_well && lets_in(finding.step));
    let is_in = is_in || findings.iter().any(|finding| matches!(finding.step, "answer" | "inbox" | "outbox"));
    match findings.iter().all(|finding| finding.is_well) {
        true => Exit::Done,
        false if is_in => Exit::Incomplete,
        false => Exit::Unreachable,
    }
}

/// A step, for people.
fn step((name, is_well): (&str, bool), said: &str, remedy: Option<&str>) {
    let mark = if is_well { "ok   " } else { "WRONG" };
    output::line(format!("{mark}  {name:<9} {}", output::plain(said)));
    if let Some(remedy) = remedy.filter(|_| !is_well) {
        output::line(format!("                 what to do: {}", output::plain(remedy)));
    }
}

/// 0: all are well; 1: something is wrong; 3: one cannot be reached, or is another than it should be.
async fn issuers(context: &Context, config: &Config) -> Exit {
    if config.auth.issuers.is_empty() {
        output::fault("the configuration names no issuer; `[auth.oidc]` does");
        return Exit::Usage;
    }
    let mut exit = Exit::Done;
    for issuer in &config.auth.issuers {
        let looked = token::look(issuer).await;
        let has_keys = looked.iter().any(|looked| looked.step == "keys" && looked.is_well);
        exit = exit.max(match looked.iter().all(|looked| looked.is_well) {
            true => Exit::Done,
            false if has_keys => Exit::Incomplete,
            false => Exit::Unreachable,
        });
        if context.json {
            let steps = looked.iter().map(|looked| {
                json!({"step": looked.step, "ok": looked.is_well, "said": looked.said, "remedy": looked.remedy})
            });
            output::json(&json!({"issuer": issuer.issuer, "steps": steps.collect::<Vec<_>>()}));
        } else {
            output::line(output::plain(&issuer.issuer));
            for looked in &looked {
                step((looked.step, looked.is_well), &looked.said, Some(looked.remedy));
            }
        }
    }
    exit
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
