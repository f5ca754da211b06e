//! `check`: is everything written right, and does every backend answer?

use clap::Args;
use serde_json::json;

use super::{Context, Exit, output};
use crate::app;
use crate::config::{self, LoadError, Loaded};
use crate::http::Tls;
use crate::http::auth::token;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Do not reach the backends
    #[arg(long)]
    offline: bool,
}

pub(super) async fn run(context: &Context, options: &Options) -> Exit {
    let loaded = config::find(context.config.as_deref()).and_then(|path| config::look(&path, config::environment()));
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return report(context, &error),
    };
    let (loaded, unfetched) = match options.offline {
        true => (loaded, Vec::new()),
        false => match with_wsdls(loaded).await {
            Ok(loaded) => loaded,
            Err(error) => return report(context, &error),
        },
    };
    let mut doubts = app::doubts(&loaded).await;
    doubts.extend(loaded.wsdls.doubts());
    loaded.withheld.iter().for_each(|withheld| output::fault(&withheld.to_string()));
    let (mut unreachable, mut closed) = (0, 0);
    // What a backend was asked and cannot do: the runs go on, and a person has to see to it.
    let mut impaired = unfetched.len() + loaded.withheld.len();
    doubts.extend(unfetched);
    let mut backends = Vec::new();
    if !options.offline {
        for (name, result) in app::probe(&loaded).await {
            // Of one that was left alone nobody knows.
            let (reachable, error) = match result {
                Ok(app::Probed::Reached(found)) => {
                    impaired += found.faults.len();
                    doubts.extend(found.faults);
                    doubts.extend(found.doubts);
                    (Some(true), None)
                }
                Ok(app::Probed::Closed(reason)) => {
                    closed += 1;
                    doubts.push(reason);
                    (None, None)
                }
                Err(error) => {
                    unreachable += 1;
                    output::fault(&format!("backend {name}: {}", error.chain()));
                    (Some(false), Some(error.chain()))
                }
            };
            backends.push(json!({"backend": name, "reachable": reachable, "error": error}));
        }
    }
    for issuer in loaded.config.auth.issuers.iter().filter(|_| !options.offline) {
        for wrong in token::look(issuer).await.iter().filter(|looked| !looked.is_well) {
            impaired += 1;
            doubts.push(format!("issuer {}: {}: {}; {}", issuer.issuer, wrong.step, wrong.said, wrong.remedy));
        }
    }
    if let Some(tls) = &loaded.config.server.tls
        && let Err(error) = Tls::load(tls)
    {
        impaired += 1;
        doubts.push(format!("`server.tls`: {error}"));
    }
    // The configuration alone and the backend that was reached may give the same cause.
    let mut told = std::collections::HashSet::new();
    doubts.retain(|doubt| told.insert(doubt.clone()));
    doubts.iter().for_each(output::note);
    let resources: Vec<_> = loaded.plans.iter().map(|plan| plan.exposure.id.to_string()).collect();
    let presets: serde_json::Map<_, _> =
        loaded.plans.iter().filter_map(|plan| Some((plan.exposure.id.to_string(), plan.preset?.name.into()))).collect();
    let left_out: Vec<_> = loaded.withheld.iter().map(ToString::to_string).collect();
    if context.json {
        output::json(
            &json!({"presets": presets, "ok": unreachable == 0 && impaired == 0, "faults": [], "doubts": doubts, "left_out": left_out, "resources": resources, "backends": backends}),
        );
    } else {
        let reached = match (options.offline, closed) {
            (true, _) => "not tried".to_owned(),
            (false, 0) => format!("{} reached", backends.len() - unreachable),
            (false, _) => format!("{} reached, {closed} closed", backends.len() - unreachable - closed),
        };
        output::line(format!(
            "{}: {} resources ({}), {} backends ({reached})",
            loaded.config.path.display(),
            resources.len(),
            resources.join(", "),
            loaded.config.backends.len()
        ));
        for plan in &loaded.plans {
            if let Some(preset) = plan.preset {
                output::line(format!("{}: preset {}: {}", plan.exposure.id, preset.name, preset.summary()));
            }
        }
    }
    match (unreachable, impaired) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::Incomplete,
        _ => Exit::Unreachable,
    }
}

/// The same with WSDLs as they are in the web now; and what could not be had.
async fn with_wsdls(loaded: Loaded) -> Result<(Loaded, Vec<String>), LoadError> {
    let refreshed = app::refresh(&loaded.config).await;
    let loaded = match refreshed.is_new {
        true => config::load(&loaded.config.path, config::environment())?,
        false => loaded,
    };
    Ok((loaded, refreshed.faults))
}

fn report(context: &Context, error: &LoadError) -> Exit {
    let faults: &[_] = if let LoadError::Faults(faults) = error { faults } else { &[] };
    if context.json {
        let faults: Vec<_> = faults
            .iter()
            .map(|fault| {
                let (line, column) = fault.location();
                json!({"file": fault.source.name, "line": line, "column": column, "message": fault.message, "help": fault.help})
            })
            .collect();
        output::json(&json!({"ok": false, "error": error.to_string(), "faults": faults}));
    } else {
        faults.iter().for_each(output::diagnostic);
        output::fault(&error.to_string());
    }
    Exit::Usage
}
