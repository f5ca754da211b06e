//! `GET /v1/{resource}`: a page of records, or all of them as a stream.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, LINK, VARY};
use hyper::http::request::Parts;
use serde_json::Value;

use super::accept::Format;
use super::catalog::Published;
use super::pieces::Pieces;
use super::query::{Asked, DoubtTest, Paging};
use super::sight::View;
use super::{Facade, accept, cache_control, cbor, conditional, query, stream};
use crate::http::{Problem, staging_problem};
use crate::mapping::Mode;
use crate::record::ContentHash;
use crate::staging::{ListQuery, Page, Total};

/// Refuses values that the staged records, as far as the caller sees them, speak against.
async fn settle(facade: &Facade, view: &View<'_>, asked: &mut Asked) -> Result<(), Problem> {
    for doubt in asked.doubts.drain(..) {
        let only = view.sight.only.clone();
        let question = ListQuery { filters: vec![doubt.filter], only, limit: 1, ..ListQuery::default() };
        let path = question.filters.first().map(|filter| filter.path.clone()).unwrap_or_default();
        let page = facade.staging.list(&view.published.exposure.id, question).await.map_err(staging_problem)?;
        let found = page.rows.iter().next();
        let is_taken = match doubt.test {
            DoubtTest::IsThere => found.is_some(),
            DoubtTest::HasOffset(wanted) => found.is_none_or(|payload| has_offset(payload, &path) == wanted),
        };
        if !is_taken {
            return Err(doubt.problem);
        }
    }
    Ok(())
}

/// Whether the timestamp at a path of a document has an offset.
fn has_offset(payload: &[u8], path: &str) -> bool {
    let document: Value = serde_json::from_slice(payload).unwrap_or_default();
    let found = path.split('.').try_fold(&document, |value, name| value.get(name));
    found.and_then(Value::as_str).is_some_and(|text| text.ends_with('Z'))
}

pub(super) async fn answer(facade: &Facade, view: &View<'_>, request: &Parts) -> Result<Response, Problem> {
    let published = view.published;
    let parameters = request.uri.query().unwrap_or("");
    let chosen = accept::choose(&request.headers, &Format::ALL.map(Format::media_type))?;
    if !matches!(chosen.format(), Format::Json | Format::Cbor) {
        let mut asked = query::parse(view, parameters, (Paging::Stream, &facade.seal))?;
        settle(facade, view, &mut asked).await?;
        return Box::pin(stream::answer(facade, view, request, (asked, &chosen))).await;
    }
    let mut asked = query::parse(view, parameters, (Paging::pages(&facade.server), &facade.seal))?;
    settle(facade, view, &mut asked).await?;
    let id = &published.exposure.id;
    let page = facade.staging.list(id, asked.query.clone()).await.map_err(staging_problem)?;
    cache_control::check_staged(&request.headers, published, page.as_of)?;
    let next = page.next.as_ref().map(|after| {
        let cursor = facade.seal.close(&published.exposure, &asked.query, after);
        next_url(published, &asked.carried, &cursor)
    });

    let as_of = page.as_of;
    // What is only read when somebody asks for it holds what was asked for, until a run has read it all.
    let is_whole = published.exposure.mode != Mode::Hybrid || as_of.is_some();
    let (body, hash) = body(facade, &asked, page, next.as_deref(), is_whole)?;
    let mut headers = HeaderMap::with_capacity(12);
    conditional::write_freshness(&mut headers, published, as_of);
    // `as_of` moves on with every look at the source. A tag that followed it would never be met again, so the tag says what
    // the records are: it is weak for that, and `Age` of a 304 tells the rest.
    headers.insert(ETAG, conditional::tag(hash, chosen.format().suffix().unwrap_or(""), true));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(chosen.media_type));
    headers.insert(VARY, HeaderValue::from_static(conditional::VARIES));
    if let Some(next) = next
        && let Ok(link) = HeaderValue::from_str(&format!("<{next}>; rel=\"next\""))
    {
        headers.insert(LINK, link);
    }
    let body = match chosen.format() {
        Format::Cbor => {
            let mut item = Vec::new();
            let json = Body::new(body).collect().await.map_err(Problem::internal)?.to_bytes();
            cbor::write(&json, &mut item).map_err(Problem::internal)?;
            Body::from(item)
        }
        _ => Body::new(body),
    };
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    Ok(response)
}

pub(super) fn next_url(published: &Published, carried: &str, cursor: &str) -> String {
    let path = &published.path;
    if carried.is_empty() { format!("{path}?cursor={cursor}") } else { format!("{path}?{carried}&cursor={cursor}") }
}

/// The page's JSON: the documents' own bytes, as staging joined them, with the frame around them. The hash is of all but
/// `as_of`.
fn body(
    facade: &Facade,
    asked: &Asked,
    page: Page,
    next: Option<&str>,
    is_whole: bool,
) -> Result<(Pieces, ContentHash), Problem> {
    let Page { rows, included, total, as_of, .. } = page;
    let mut out = asked.shape.join(rows, &included, &facade.seal).map_err(Problem::internal)?;
    out.extend_from_slice(b"],\"page\":{\"limit\":");
    out.extend_from_slice(itoa::Buffer::new().format(asked.query.limit).as_bytes());
    out.extend_from_slice(b",\"next\":");
    match next {
        // Only characters of a URL: nothing to escape.
        Some(next) => {
            out.push(b'"');
            out.extend_from_slice(next.as_bytes());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
    let complete: &[u8] = if next.is_none() && is_whole { b",\"complete\":true" } else { b",\"complete\":false" };
    out.extend_from_slice(complete);
    if let Some(total) = total {
        let (name, total): (&[u8], u64) = match total {
            Total::Exact(total) => (b",\"total\":", total),
            Total::Estimate(total) => (b",\"total_estimate\":", total),
        };
        out.extend_from_slice(name);
        out.extend_from_slice(itoa::Buffer::new().format(total).as_bytes());
    }
    let hash = ContentHash::of(&out);
    out.extend_from_slice(b"},\"as_of\":");
    match as_of {
        Some(as_of) => out.extend_from_slice(format!("\"{as_of}\"").as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    Ok((Pieces::new([Bytes::from_static(b"{\"data\":["), Bytes::from(out)]), hash))
}
