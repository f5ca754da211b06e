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
    let scheme = |tls: bool| if tls { "https" } else { "http" };
    let api = format!("{}://{}", scheme(service.tls.0), service.api);
    let admin = format!("{}://{}", scheme(service.tls.1), service.admin);
    output::line(format!("Tollbridge {} is ready.", env!("CARGO_PKG_VERSION")));
    output::line(format!("  API       {api}/v1"));
    if service.has_docs {
        output::line(format!("  API docs  {api}/docs"));
    }
    output::line(format!("  console   {admin}/"));
    if let (Some(key), Some(path)) = (&service.demo_key, &service.example) {
        output::line("Try it:");
        output::line(format!("  curl -H 'Authorization: Bearer {key}' '{api}{path}?limit=2'"));
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
