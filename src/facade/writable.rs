//! What a caller may write of what they may see: no record out of their sight, and no field of which they lack the scope.
//!
//! Whether they see the record is judged here, when a write comes, by what is staged or by a live read; and once more when it
//! is begun, as late as can be. What the body says is judged by whoever reads it (`pipeline::operate`).

use std::time::Instant;

use super::catalog::Published;
use super::sight::Sight;
use super::write::fragment;
use super::{live, record};
use crate::http::{BodyFault, Caller, Problem, Reason, staging_problem};
use crate::mapping::{Masked, Mode};
use crate::pipeline::live::{Ask, Live, Reading, Wish};
use crate::pipeline::operate::{Allowed, Overreach};
use crate::record::ResourceId;
use crate::staging::Staging;

/// What they may write. `published` is all of the resource.
pub(super) fn allowed((published, caller, sight): (&Published, &Caller, &Sight)) -> Allowed {
    let is_hidden = |masked: &&Masked| !caller.has(&masked.scope);
    let hidden = published.exposure.access.mask.iter().filter(is_hidden).cloned().collect();
    Allowed { within: sight.within.clone(), hidden }
}

/// Refuses a write on a record that the caller does not see. `published` is all of the resource.
pub(super) async fn check(
    from: (&dyn Staging, &Live),
    (published, caller, sight): (&Published, &Caller, &Sight),
    key: Option<&str>,
) -> Result<(), Problem> {
    if !sight.only.is_empty()
        && let Some(key) = key
        && !is_seen(from, (published, caller, sight), key).await?
    {
        return Err(record::no_such_record(published, key));
    }
    Ok(())
}

async fn is_seen(
    (staging, live): (&dyn Staging, &Live),
    (published, caller, sight): (&Published, &Caller, &Sight),
    key: &str,
) -> Result<bool, Problem> {
    let id = &published.exposure.id;
    if published.exposure.mode == Mode::Staged {
        let found = staging.document_within(id, key, &sight.only).await;
        return Ok(found.map_err(staging_problem)?.is_some());
    }
    let ask = Ask { place: caller.client.at_gate(), patience: None };
    let asked = Instant::now();
    let read = live.read(id, key, (&ask, Wish::default()), |document| sight.shows(document)).await;
    let read = read.map_err(|error| {
        let seen = published.seen_by(caller);
        let error = live::as_seen((seen.as_deref().unwrap_or(published), sight), error);
        live::problem(published, key, error, asked.elapsed())
    })?;
    Ok(match read {
        Reading::Live { fetched, .. } => sight.shows(&fetched.payload),
        Reading::Staged(document) | Reading::Stale(document, _) => sight.shows(&document.payload),
    })
}

/// What is told of a write that its caller may not ask for.
pub(super) fn problem(id: &ResourceId, overreach: Overreach) -> Problem {
    match overreach {
        Overreach::Hidden { faults, scopes } => {
            let names = scopes.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ");
            let faults =
                faults.into_iter().map(|fault| BodyFault { pointer: fragment(&fault.pointer), detail: fault.detail });
            Reason::InsufficientScope
                .because(format!("the body has fields of {id} that take the scope {names}; nothing was sent"))
                .why("masked")
                .hint("leave them out, or ask the operator for a key with that scope, or the issuer for a token")
                .errors(faults.collect())
        }
        Overreach::Beyond(path) => Reason::InsufficientScope
            .because(format!("you may write records of {id} only with a `{path}` of yours"))
            .why("claim")
            .hint(format!("send `{path}` as your claim says")),
    }
}
