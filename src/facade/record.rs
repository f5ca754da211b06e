//! `GET /v1/{resource}/{key}`: one record.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, VARY};
use hyper::http::request::Parts;

use super::catalog::Published;
use super::shape::Shape;
use super::sight::{Sight, View};
use super::{Facade, accept, conditional, query};
use crate::http::{Problem, Reason, staging_problem};
use crate::mapping::LONGEST_KEY;
use crate::record::{ContentHash, key};
use crate::staging::Included;

/// The fields of a full answer, with those that the edge adds.
const FIELDS: usize = 14;

pub(super) async fn answer(
    facade: &Facade,
    view: &View<'_>,
    (request, written_key): (&Parts, &str),
) -> Result<Response, Problem> {
    let View { published, sight, .. } = view;
    accept::require(&request.headers, &[accept::JSON])?;
    let (include, shape) = query::of_record(view, request.uri.query())?;
    let key = canonical_key(published, written_key)?;
    let id = &published.exposure.id;
    let (staging, only) = (&facade.staging, &sight.only);
    let found = match include.is_empty() {
        true => staging.document_within(id, &key, only).await.map(|found| found.map(|found| (found, Vec::new()))),
        false => staging.document_with(id, &key, only, &include).await,
    };
    let Some((document, included)) = found.map_err(staging_problem)? else {
        return Err(absent(facade, published, sight, &key).await);
    };

    let (payload, hash) = represent(facade, &shape, (document.payload.into(), document.hash), &included)?;
    let etag = conditional::etag(hash);
    // When what stands beside it has changed is not known, so its tag alone tells whether the answer has.
    let changed_at = include.is_empty().then_some(document.changed_at);
    let unchanged = conditional::is_unchanged(&request.headers, &etag, changed_at);
    let mut headers = HeaderMap::with_capacity(FIELDS);
    match changed_at {
        Some(changed_at) => conditional::write_validators(&mut headers, etag, changed_at),
        None => drop(headers.insert(ETAG, etag)),
    }
    conditional::write_freshness(&mut headers, published, document.as_of);
    headers.insert(VARY, HeaderValue::from_static("Authorization"));
    Ok(respond(headers, payload, unchanged))
}

/// The representation under these header fields, or 304 where the caller has it already.
pub(super) fn respond(mut headers: HeaderMap, payload: Bytes, unchanged: bool) -> Response {
    let mut response = if unchanged {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(accept::JSON));
        Response::new(Body::from(payload))
    };
    *response.headers_mut() = headers;
    response
}

/// The document in the form that was asked for, with its hash.
pub(super) fn represent(
    facade: &Facade,
    shape: &Shape,
    (payload, hash): (Bytes, ContentHash),
    included: &[Included],
) -> Result<(Bytes, ContentHash), Problem> {
    if shape.is_plain() {
        return Ok((payload, hash));
    }
    let mut cut = Vec::with_capacity(payload.len());
    shape.write(&payload, (0, included), &facade.seal, &mut cut).map_err(Problem::internal)?;
    let hash = ContentHash::of(&cut);
    Ok((cut.into(), hash))
}

/// The key in the form it is stored in.
pub(super) fn canonical_key<'k>(published: &Published, written: &'k str) -> Result<std::borrow::Cow<'k, str>, Problem> {
    let parts = published.exposure.key.len();
    let key = key::canonical(written, parts)
        .map_err(|fault| Reason::BadPath.because(format!("the key in the path cannot be read: {fault}")))?;
    if key.as_ref().is_some_and(|key| key.chars().count() > LONGEST_KEY) {
        let detail =
            format!("{} has no record with a key of more than {LONGEST_KEY} characters", published.exposure.id);
        return Err(Reason::NoSuchRecord.because(detail));
    }
    key.ok_or_else(|| {
        let names = published.exposure.key.join("~");
        no_such_record(published, written)
            .hint(format!("a key here has {parts} parts, {names}, each percent-encoded and joined by `~`"))
    })
}

pub(super) fn no_such_record(published: &Published, key: &str) -> Problem {
    Reason::NoSuchRecord.because(format!("{} has no record with the key `{key}`", published.exposure.id))
}

/// As [`no_such_record`], with the moment at which it was deleted, if it was.
pub(super) async fn absent(facade: &Facade, published: &Published, sight: &Sight, key: &str) -> Problem {
    match facade.staging.tombstone_within(&published.exposure.id, key, &sight.only).await {
        Ok(None) => no_such_record(published, key),
        Ok(Some(tombstone)) => {
            let (id, at) = (&published.exposure.id, tombstone.deleted_at);
            let detail = format!("{id} has no record with the key `{key}` any more: it was deleted at {at}");
            let hint = format!("its versions are told by {}/{key}/lineage", published.path);
            Reason::NoSuchRecord.because(detail).why("deleted").hint(hint)
        }
        Err(fault) => staging_problem(fault),
    }
}
