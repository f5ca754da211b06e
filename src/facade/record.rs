//! `GET /v1/{resource}/{key}`: one record.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use hyper::http::request::Parts;

use super::catalog::Published;
use super::projection::Projection;
use super::{Facade, accept, conditional};
use crate::http::{Problem, Reason, parameters, staging_problem};
use crate::mapping::LONGEST_KEY;
use crate::record::{ContentHash, key};

/// The fields of a full answer, with those that the edge adds.
const FIELDS: usize = 14;

pub(super) async fn answer(
    facade: &Facade,
    published: &Published,
    request: &Parts,
    written_key: &str,
) -> Result<Response, Problem> {
    accept::require(&request.headers, &[accept::JSON])?;
    let fields = fields(published, request.uri.query())?;
    let key = canonical_key(published, written_key)?;
    let id = &published.exposure.id;
    let found = facade.staging.document(id, &key).await.map_err(staging_problem)?;
    let Some(document) = found else { return Err(absent(facade, published, &key).await) };

    let (payload, hash) = represent(fields, document.payload.into(), document.hash)?;
    let etag = conditional::etag(hash);
    let unchanged = conditional::is_unchanged(&request.headers, &etag, Some(document.changed_at));
    let mut headers = HeaderMap::with_capacity(FIELDS);
    conditional::write_validators(&mut headers, etag, document.changed_at);
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

/// The document, or the fields of it that were asked for, with its hash.
pub(super) fn represent(
    fields: Option<Projection>,
    payload: Bytes,
    hash: ContentHash,
) -> Result<(Bytes, ContentHash), Problem> {
    let Some(fields) = fields else { return Ok((payload, hash)) };
    let mut cut = Vec::with_capacity(payload.len());
    fields.write(&payload, &mut cut).map_err(Problem::internal)?;
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
pub(super) async fn absent(facade: &Facade, published: &Published, key: &str) -> Problem {
    match facade.staging.tombstone(&published.exposure.id, key).await {
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

/// The one parameter that a single record takes.
pub(super) fn fields(published: &Published, query: Option<&str>) -> Result<Option<Projection>, Problem> {
    let Some(query) = query else { return Ok(None) };
    let mut fields = None;
    for pair in parameters::pairs(query)? {
        if pair.name != "fields" {
            let problem = Reason::UnknownParameter.because(format!("`{}` is no parameter of a record", pair.name));
            return Err(problem.hint("parameters of a record: fields"));
        }
        fields = Some(Projection::parse(&published.exposure.schema, &parameters::decode(pair.raw_value)?)?);
    }
    Ok(fields)
}
