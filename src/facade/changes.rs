//! `GET /v1/{resource}/changes?since=`: the feed, in the order in which records changed.
//!
//! A caller keeps `page.next` and asks it again later: it never skips a change, since the feed's numbers have no
//! gaps. An entry names the record and its version; the record itself is read by its link.
//!
//! Records that were deleted long ago are forgotten, with their changes. Whoever stands before such a deletion and has not
//! heard of it has to begin anew; who began after it was forgotten never knew the record. `page.next` says which of the two
//! a caller is, by `forgotten`.

use axum::response::Response;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use super::catalog::Published;
use super::sight::View;
use super::{Facade, accept, conditional};
use crate::http::{Problem, Reason, json_answer, parameters, staging_problem};
use crate::staging::{Change, ChangeKind, Changes};

pub(super) async fn answer(facade: &Facade, view: &View<'_>, request: &Parts) -> Result<Response, Problem> {
    let View { published, sight, .. } = view;
    accept::require(&request.headers, &[accept::JSON])?;
    let Parameters { since, limit, forgotten: heard_of } = parameters(facade, request.uri.query().unwrap_or(""))?;
    let id = &published.exposure.id;
    let found = facade.staging.changes_within(id, since, limit, &sight.only).await.map_err(staging_problem)?;
    let Changes { entries: changes, reached, complete } = found;
    if changes.is_empty() && since > 0 {
        refuse_foreign_position(facade, published, since).await?;
    }
    // Read behind the changes: what is forgotten in between is told, not missed.
    let forgotten = facade.staging.forgotten(id).await.map_err(staging_problem)?;
    if since > 0 && since < forgotten && heard_of < forgotten {
        let detail = format!("deletions after `since`, which is {since}, are forgotten up to number {forgotten}");
        return Err(restarted(published, detail));
    }
    let passes = if reached < forgotten { format!("&forgotten={forgotten}") } else { String::new() };
    let next = format!("{}/changes?since={reached}&limit={limit}{passes}", published.path);
    let data: Vec<Value> = changes.iter().map(|change| entry(published, change)).collect();
    json_answer(&json!({
        "data": data,
        "page": { "limit": limit, "next": next, "complete": complete },
        "since": reached,
    }))
}

/// A position after the newest change comes from a feed that is no more.
async fn refuse_foreign_position(facade: &Facade, published: &Published, since: u64) -> Result<(), Problem> {
    let status = facade.staging.status(&published.exposure.id).await.map_err(staging_problem)?;
    if since <= status.sequence {
        return Ok(());
    }
    let detail = format!("`since` is {since}, but the newest change is number {}", status.sequence);
    Err(restarted(published, detail))
}

fn restarted(published: &Published, detail: String) -> Problem {
    let hint = format!("read {} again, then follow {0}/changes from its beginning", published.path);
    Reason::FeedRestarted.because(detail).hint(hint)
}

/// What is asked of the feed.
struct Parameters {
    since: u64,
    limit: usize,
    /// What was forgotten when the caller began.
    forgotten: u64,
}

fn parameters(facade: &Facade, raw: &str) -> Result<Parameters, Problem> {
    let (mut since, mut limit, mut forgotten) = (0, facade.server.page_size, 0);
    let most = facade.server.max_page_size;
    for pair in parameters::pairs(raw)? {
        let value = parameters::decode(pair.raw_value)?;
        let number = value.parse::<u64>().ok().filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()));
        match (pair.name.as_ref(), number) {
            ("since", Some(number)) => since = number,
            ("since", None) => {
                return Err(Reason::InvalidParameter
                    .because("`since` must be a number that an answer of this feed had, or 0 for its beginning"));
            }
            ("forgotten", Some(number)) => forgotten = number,
            ("forgotten", None) => {
                let detail = "`forgotten` is a number, as `page.next` of this feed has it";
                return Err(Reason::InvalidParameter.because(detail));
            }
            ("limit", number) => match number.and_then(|number| usize::try_from(number).ok()) {
                Some(number) if (1..=most).contains(&number) => limit = number,
                _ => {
                    let detail = format!("`limit` must be a whole number from 1 to {most}");
                    return Err(Reason::InvalidParameter.because(detail));
                }
            },
            (name, _) => {
                let problem = Reason::UnknownParameter.because(format!("`{name}` is no parameter of the feed"));
                return Err(problem.hint("parameters of the feed: since, limit, forgotten"));
            }
        }
    }
    // A sequence is stored as a signed number.
    Ok(Parameters { since: since.min(i64::MAX as u64), limit, forgotten })
}

fn entry(published: &Published, change: &Change) -> Value {
    // The tag of a whole document tells those something of it who see a part.
    let is_told = change.kind != ChangeKind::Deleted && published.mask.is_none();
    let etag = is_told.then(|| conditional::etag(change.hash));
    json!({
        "sequence": change.sequence,
        "kind": change.kind.as_str(),
        "key": change.key,
        "href": href(published, &change.key),
        "version": change.version,
        "etag": etag.as_ref().and_then(|etag| etag.to_str().ok()),
        "changed_at": change.changed_at.to_string(),
        "run": change.run.to_string(),
    })
}

/// The path of a record. A key that is also the name of the feed gets it encoded in another way, so that the two are
/// told apart.
fn href(published: &Published, key: &str) -> String {
    match key {
        "changes" => format!("{}/%63hanges", published.path),
        _ => format!("{}/{key}", published.path),
    }
}
