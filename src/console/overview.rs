//! `GET /`: the state of the house on one page, readable without scripts.
//!
//! Everything that comes from outside, and that is nearly all, goes through `escape`.

use std::fmt::Write;

use axum::body::Body;
use axum::response::Response;
use jiff::{Timestamp, Unit};

use super::{Console, form};
use crate::http::{Problem, escape, page_with_forms, staging_problem};
use crate::staging::{Balance, DeadLetterFilter, DeadLetterState, RunState};

/// Rows of the lists.
const ROWS: usize = 20;

pub(super) async fn answer(console: &Console) -> Result<Response, Problem> {
    let mut body = String::with_capacity(16 * 1024);
    put(&mut body, format_args!("<h1>Tollbridge <span class=\"dim\">{}</span></h1>\n", env!("CARGO_PKG_VERSION")));
    resources(&mut body, console).await?;
    inboxes(&mut body, console);
    form::section(&mut body, console);
    clients(&mut body, console);
    old_versions(&mut body, console);
    dead_letters(&mut body, console).await?;
    runs(&mut body, console).await?;
    body.push_str(
        "<h2>More</h2>\n<nav><a href=\"/metrics\">metrics</a><a href=\"/health/ready\">health</a>\
         <a href=\"/admin/v1/runs\">runs</a><a href=\"/admin/v1/dead-letters\">dead letters</a>\
         <a href=\"/admin/v1/gates\">gates</a><a href=\"/admin/v1/clients\">clients</a>\
         <a href=\"/admin/v1/audit\">audit</a><a href=\"/admin/v1/files\">files</a><a href=\"/admin/v1/inboxes\">inboxes</a>\
         <a href=\"/admin/v1/keys\">keys</a></nav>\n",
    );
    Ok(page_with_forms("Tollbridge", &body).map(Body::from))
}

async fn resources(body: &mut String, console: &Console) -> Result<(), Problem> {
    body.push_str("<h2>Resources</h2>\n");
    head(body, &["resource", "", "from", "schedule", "#records", "#dead letters", "last file", "as of"]);
    for resource in console.operator.resources() {
        let status = console.staging.status(&resource.id).await.map_err(staging_problem)?;
        let dead = match status.dead_letters {
            0 => "0".to_owned(),
            count => format!("<span class=\"bad\">{count}</span>"),
        };
        let last_file = status.last_file.map_or_else(|| "never".to_owned(), when);
        let last_file = match resource.is_silent(status.last_file) {
            true => format!("<span class=\"bad\">{last_file}: silent</span>"),
            false => last_file,
        };
        put(
            body,
            format_args!(
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{dead}</td><td>{last_file}</td><td>{}</td></tr>\n",
                escape(&resource.id.to_string()),
                escape(&resource.title),
                escape(&resource.backend),
                escape(&resource.schedule),
                status.documents,
                status.as_of.map_or_else(|| "never".to_owned(), when),
            ),
        );
    }
    body.push_str("</table>\n");
    Ok(())
}

/// What lies in inboxes and should not.
fn inboxes(body: &mut String, console: &Console) {
    let inboxes = console.operator.inboxes();
    if inboxes.is_empty() {
        return;
    }
    body.push_str("<h2>Inboxes</h2>\n");
    head(body, &["backend", "", "#resources", "#cannot be moved", "#read by no mapping", ""]);
    for inbox in inboxes {
        let bad = |count: usize| match count {
            0 => "0".to_owned(),
            count => format!("<span class=\"bad\">{count}</span>"),
        };
        put(
            body,
            format_args!(
                "<tr><td>{}</td><td><code>{}</code></td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td><td>{}</td></tr>\n",
                escape(&inbox.backend),
                escape(&inbox.place),
                inbox.resources,
                bad(inbox.unmoved),
                bad(inbox.unclaimed),
                escape(&inbox.unclaimed_names.join(", ")),
            ),
        );
    }
    body.push_str("</table>\n");
}

fn clients(body: &mut String, console: &Console) {
    body.push_str("<h2>Clients</h2>\n");
    let clients = console.clients.status(ROWS);
    if clients.is_empty() {
        body.push_str("<p>None has called yet.</p>\n");
        return;
    }
    head(body, &["client", "priority", "#weight", "rate", "#used", "#requests", "#refused"]);
    for client in clients {
        put(
            body,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td>{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
                escape(&client.name),
                client.priority,
                client.weight,
                client.rate.as_deref().unwrap_or(""),
                client.used.map(|used| used.to_string()).unwrap_or_default(),
                client.requests_total,
                client.refused_total,
            ),
        );
    }
    body.push_str("</table>\n");
}

/// Who must move before versions of resources come to their end.
fn old_versions(body: &mut String, console: &Console) {
    let uses = console.metrics.old_versions_used();
    if uses.is_empty() {
        return;
    }
    body.push_str("<h2>Deprecated versions in use</h2>\n");
    head(body, &["resource", "client", "#requests", "last"]);
    for used in uses.iter().take(ROWS) {
        put(
            body,
            format_args!(
                "<tr><td><code>{}</code></td><td>{}</td><td class=\"n\">{}</td><td>{}</td></tr>\n",
                escape(&used.resource),
                escape(&used.client),
                used.requests,
                when(used.last),
            ),
        );
    }
    body.push_str("</table>\n<p><a href=\"/admin/v1/versions\">all of them</a></p>\n");
}

async fn dead_letters(body: &mut String, console: &Console) -> Result<(), Problem> {
    let open = DeadLetterState::Open;
    let filter = DeadLetterFilter { state: Some(open), limit: ROWS, ..DeadLetterFilter::default() };
    let letters = console.staging.dead_letters(&filter).await.map_err(staging_problem)?;
    body.push_str("<h2>Open dead letters</h2>\n");
    if letters.is_empty() {
        body.push_str("<p>None.</p>\n");
        return Ok(());
    }
    head(body, &["#id", "resource", "file", "#record", "field", "code", "expected", "found", "since"]);
    for letter in letters {
        let reject = &letter.reject;
        put(
            body,
            format_args!(
                "<tr><td class=\"n\"><a href=\"/admin/v1/dead-letters/{0}\">{0}</a></td><td><code>{1}</code></td>\
                 <td>{2}</td><td class=\"n\">{3}</td><td>{4}</td><td><code>{5}</code></td><td>{6}</td><td>{7}</td>\
                 <td>{8}</td></tr>\n",
                letter.id,
                escape(&letter.resource.to_string()),
                escape(&letter.path),
                reject.position.record,
                escape(reject.field.as_deref().unwrap_or("")),
                reject.code.as_str(),
                escape(&reject.expected),
                escape(&reject.found),
                when(letter.created_at),
            ),
        );
    }
    body.push_str("</table>\n");
    Ok(())
}

async fn runs(body: &mut String, console: &Console) -> Result<(), Problem> {
    let runs = console.staging.runs(None, ROWS).await.map_err(staging_problem)?;
    body.push_str("<h2>Newest runs</h2>\n");
    let columns = [
        "began",
        "resource",
        "by",
        "state",
        "#read",
        "#staged",
        "#unchanged",
        "#dead",
        "#skipped",
        "#of refused files",
        "#deleted",
        "",
    ];
    head(body, &columns);
    for run in runs {
        let state = run.state.as_str();
        let state = match run.state {
            RunState::Failed | RunState::Interrupted => format!("<span class=\"bad\">{state}</span>"),
            RunState::Running | RunState::Succeeded => state.to_owned(),
        };
        put(
            body,
            format_args!(
                "<tr><td>{}</td><td><code>{}</code></td><td>{}</td><td>{state}</td>",
                when(run.started_at),
                escape(&run.resource.to_string()),
                escape(&run.trigger),
            ),
        );
        let Balance { read, staged, unchanged, dead, skipped, refused, deleted } = run.balance;
        for number in [read, staged, unchanged, dead, skipped, refused, deleted] {
            put(body, format_args!("<td class=\"n\">{number}</td>"));
        }
        put(body, format_args!("<td>{}</td></tr>\n", escape(run.error.as_deref().unwrap_or(""))));
    }
    body.push_str("</table>\n");
    Ok(())
}

/// Opens a table; `#` marks columns of numbers.
fn head(body: &mut String, columns: &[&str]) {
    body.push_str("<table><tr>");
    for column in columns {
        match column.strip_prefix('#') {
            Some(column) => put(body, format_args!("<th class=\"n\">{column}</th>")),
            None => put(body, format_args!("<th>{column}</th>")),
        }
    }
    body.push_str("</tr>\n");
}

fn when(moment: Timestamp) -> String {
    moment.round(Unit::Second).unwrap_or(moment).to_string()
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
}
