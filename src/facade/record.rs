//! `GET /v1/{resource}/{key}`: one record.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, VARY};
use hyper::http::request::Parts;
use jiff::Timestamp;

use super::accept::Chosen;
use super::catalog::Published;
use super::shape::Shape;
use super::sight::{Sight, View};
use super::writer::Writer;
use super::{Facade, accept, cache_control, conditional, query};
use crate::http::{Problem, Reason, staging_problem};
use crate::mapping::LONGEST_KEY;
use crate::record::{ContentHash, key};
use crate::staging::Included;

/// The fields of a full answer, with those that the edge adds.
const FIELDS: usize = 14;

/// The formats of one record.
pub(super) const FORMATS: [&str; 4] = [accept::JSON, accept::CBOR, accept::NDJSON, accept::CSV];

pub(super) async fn answer(
    facade: &Facade,
    view: &View<'_>,
    (request, written_key): (&Parts, &str),
) -> Result<Response, Problem> {
    let View { published, sight, .. } = view;
    let chosen = accept::choose(&request.headers, &FORMATS)?;
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
    cache_control::check_staged(&request.headers, published, document.as_of)?;

    // When what stands beside it has changed is not known, so its tag alone tells whether the answer has.
    let changed_at = include.is_empty().then_some(document.changed_at);
    let content = Content { payload: document.payload.into(), hash: document.hash, changed_at };
    let mut headers = HeaderMap::with_capacity(FIELDS);
    conditional::write_freshness(&mut headers, published, document.as_of);
    respond(facade, (published, &chosen), shape, (content, &included), headers)
}

/// A document to be answered with.
pub(super) struct Content {
    pub(super) payload: Bytes,
    pub(super) hash: ContentHash,
    /// When it was staged like this, where it is known.
    pub(super) changed_at: Option<Timestamp>,
}

/// The document, or what was asked for of it and beside it, in the format that was chosen, under these header fields.
pub(super) fn respond(
    facade: &Facade,
    (published, chosen): (&Published, &Chosen),
    shape: Shape,
    (content, included): (Content, &[Included]),
    mut headers: HeaderMap,
) -> Result<Response, Problem> {
    let Content { mut payload, mut hash, changed_at } = content;
    // The usual answer is the bytes that are staged.
    if shape.is_plain() && chosen.media_type == accept::JSON {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(accept::JSON));
        write_validators(&mut headers, conditional::etag(hash), changed_at);
    } else {
        if !shape.is_plain() {
            let mut cut = Vec::with_capacity(payload.len());
            shape.write(&payload, (0, included), &facade.seal, &mut cut).map_err(Problem::internal)?;
            // Whoever sees a part is told a tag by which a write can be held against all of it.
            let view = published.view.as_ref().filter(|_| shape.beside.is_empty());
            hash = view.map_or_else(|| ContentHash::of(&cut), |view| facade.veil.over(view, hash));
            payload = cut.into();
        }
        // It is in shape already; columns are those of what is in it.
        let writer = Writer::new(chosen, &published.exposure, &shape)?;
        headers.insert(CONTENT_TYPE, writer.content_type());
        write_validators(&mut headers, conditional::tag(hash, &writer.suffix(), false), changed_at);
        if chosen.media_type != accept::JSON {
            let mut written = Vec::with_capacity(payload.len() + 64);
            writer.begin(&mut written);
            writer.write(&payload, &mut written).map_err(Problem::internal)?;
            payload = written.into();
        }
    }
    headers.insert(VARY, HeaderValue::from_static(conditional::VARIES));
    let mut response = Response::new(Body::from(payload));
    *response.headers_mut() = headers;
    Ok(response)
}

fn write_validators(headers: &mut HeaderMap, etag: HeaderValue, changed_at: Option<Timestamp>) {
    match changed_at {
        Some(changed_at) => conditional::write_validators(headers, etag, changed_at),
        None => drop(headers.insert(ETAG, etag)),
    }
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
