//! `GET /v1/{resource}/{key}`: one record.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, VARY};
use hyper::http::request::Parts;
use jiff::Timestamp;

use super::accept::Chosen;
use super::catalog::Published;
use super::projection::Projection;
use super::writer::Writer;
use super::{Facade, accept, cache_control, conditional};
use crate::http::{Problem, Reason, parameters, staging_problem};
use crate::mapping::LONGEST_KEY;
use crate::record::{ContentHash, key};

/// The fields of a full answer, with those that the edge adds.
const FIELDS: usize = 12;

/// The formats of one record.
pub(super) const FORMATS: [&str; 4] = [accept::JSON, accept::CBOR, accept::NDJSON, accept::CSV];

pub(super) async fn answer(
    facade: &Facade,
    published: &Published,
    request: &Parts,
    written_key: &str,
) -> Result<Response, Problem> {
    let chosen = accept::choose(&request.headers, &FORMATS)?;
    let fields = fields(published, request.uri.query())?;
    let key = canonical_key(published, written_key)?;
    let id = &published.exposure.id;
    let found = facade.staging.document(id, &key).await.map_err(staging_problem)?;
    let Some(document) = found else { return Err(absent(facade, published, &key).await) };
    cache_control::check_staged(&request.headers, published, document.as_of)?;

    let content =
        Content { payload: document.payload.into(), hash: document.hash, changed_at: Some(document.changed_at) };
    let mut headers = HeaderMap::with_capacity(FIELDS);
    conditional::write_freshness(&mut headers, published, document.as_of);
    respond(headers, published, &chosen, fields, content)
}

/// A document to be answered with.
pub(super) struct Content {
    pub(super) payload: Bytes,
    pub(super) hash: ContentHash,
    /// When it was staged like this, where it is known.
    pub(super) changed_at: Option<Timestamp>,
}

/// The document, or the fields of it that were asked for, in the format that was chosen, under these header fields.
pub(super) fn respond(
    mut headers: HeaderMap,
    published: &Published,
    chosen: &Chosen,
    fields: Option<Projection>,
    content: Content,
) -> Result<Response, Problem> {
    let Content { mut payload, mut hash, changed_at } = content;
    // The usual answer is the bytes that are staged.
    if fields.is_none() && chosen.media_type == accept::JSON {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(accept::JSON));
        write_validators(&mut headers, conditional::etag(hash), changed_at);
    } else {
        if let Some(fields) = &fields {
            let mut cut = Vec::with_capacity(payload.len());
            fields.write(&payload, &mut cut).map_err(Problem::internal)?;
            hash = ContentHash::of(&cut);
            payload = cut.into();
        }
        // Without fields that are not wanted it has no columns for them either.
        let writer = Writer::new(chosen, &published.exposure, fields)?;
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
