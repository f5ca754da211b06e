//! `serve`: the service, until SIGTERM.

use std::sync::Arc;

use super::{Context, Exit, output, sync};
use crate::app::{self, Announcement};
use crate::pipeline::Bridge;
use crate::telemetry;

pub(super) async fn run(context: &Context) -> Exit {
    let loaded = match context.load() {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    telemetry::init(&loaded.config.telemetry);
    match app::serve(loaded, announce).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            output::fault(&error.to_string());
            Exit::Incomplete
        }
    }
}

/// Tells the person who started the service where everything is, and shows the first sync.
fn announce(service: &Announcement, bridge: &Arc<Bridge>) {
    let (api, admin) = (service.api, service.admin);
    output::line(format!("Tollbridge {} is ready.", env!("CARGO_PKG_VERSION")));
    output::line(format!("  API       http://{api}/v1"));
    output::line(format!("  API docs  http://{api}/docs"));
    output::line(format!("  console   http://{admin}/"));
    if let (Some(key), Some(path)) = (&service.demo_key, &service.example) {
        output::line("Try it:");
        output::line(format!("  curl -H 'Authorization: Bearer {key}' 'http://{api}{path}?limit=2'"));
    }
    let bridge = Arc::clone(bridge);
    tokio::spawn(async move {
        sync::follow(&bridge.progress, || bridge.first_round_is_over()).await;
        let now = bridge.progress.snapshot();
        if now.records > 0 {
            output::note(format!("First sync done: {} records read, {} of them rejected.", now.records, now.rejects));
        }
        if now.rejects > 0 {
            output::note("See what was rejected, and why: the console, or `tollbridge dead-letters list`.");
        }
    });
}
