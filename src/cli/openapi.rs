//! `openapi`: the description of the API, as the service serves it under the same configuration.

use super::{Context, Exit, output, report};
use crate::config;
use crate::facade;

pub(super) fn run(context: &Context) -> Exit {
    let loaded = config::find(context.config.as_deref()).and_then(|path| config::look(&path, config::environment()));
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return report(&error),
    };
    loaded.withheld.iter().for_each(|withheld| output::fault(&withheld.to_string()));
    let exposures = loaded.plans.iter().map(|plan| plan.exposure.clone()).collect();
    let document = facade::describe(exposures, &loaded.config.server, &loaded.config.auth);
    match serde_json::from_slice::<serde_json::Value>(&document) {
        Ok(document) if context.json => output::json(&document),
        Ok(document) => output::line(format!("{document:#}")),
        Err(error) => {
            output::fault(&format!("the description cannot be printed: {error}"));
            return Exit::Incomplete;
        }
    }
    // What is left out is not described.
    if loaded.withheld.is_empty() { Exit::Done } else { Exit::Incomplete }
}
