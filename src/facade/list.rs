//! `GET /v1/{resource}`: a page of records, or all of them as a stream of lines.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LINK, VARY};
use hyper::http::request::Parts;

use super::catalog::Published;
use super::pieces::Pieces;
use super::query::{Asked, Paging};
use super::sight::View;
use super::{Facade, accept, conditional, query, stream};
use crate::http::{Problem, staging_problem};
use crate::mapping::Mode;
use crate::staging::{Page, Total};

pub(super) async fn answer(facade: &Facade, view: &View<'_>, request: &Parts) -> Result<Response, Problem> {
    let published = view.published;
    let parameters = request.uri.query().unwrap_or("");
    if accept::require(&request.headers, &[accept::JSON, accept::NDJSON])? == accept::NDJSON {
        let asked = query::parse(view, parameters, (Paging::Stream, &facade.seal))?;
        return stream::answer(facade, published, asked).await;
    }
    let asked = query::parse(view, parameters, (Paging::pages(&facade.server), &facade.seal))?;
    let id = &published.exposure.id;
    let page = facade.staging.list(id, asked.query.clone()).await.map_err(staging_problem)?;
    let next = page.next.as_ref().map(|after| {
        let cursor = facade.seal.close(&published.exposure, &asked.query, after);
        next_url(published, &asked.carried, &cursor)
    });

    let as_of = page.as_of;
    // What is only read when somebody asks for it holds what was asked for, until a run has read it all.
    let is_whole = published.exposure.mode != Mode::Hybrid || as_of.is_some();
    let body = body(facade, &asked, page, next.as_deref(), is_whole)?;
    let mut headers = HeaderMap::with_capacity(10);
    conditional::write_freshness(&mut headers, published, as_of);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(accept::JSON));
    headers.insert(VARY, HeaderValue::from_static("Accept, Authorization"));
    if let Some(next) = next
        && let Ok(link) = HeaderValue::from_str(&format!("<{next}>; rel=\"next\""))
    {
        headers.insert(LINK, link);
    }
    let mut response = Response::new(Body::new(body));
    *response.headers_mut() = headers;
    Ok(response)
}

pub(super) fn next_url(published: &Published, carried: &str, cursor: &str) -> String {
    let path = &published.path;
    if carried.is_empty() { format!("{path}?cursor={cursor}") } else { format!("{path}?{carried}&cursor={cursor}") }
}

/// The page's JSON: the documents' own bytes, as staging joined them, with the frame around them.
fn body(facade: &Facade, asked: &Asked, page: Page, next: Option<&str>, is_whole: bool) -> Result<Pieces, Problem> {
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
    out.extend_from_slice(b"},\"as_of\":");
    match as_of {
        Some(as_of) => out.extend_from_slice(format!("\"{as_of}\"").as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    Ok(Pieces::new([Bytes::from_static(b"{\"data\":["), Bytes::from(out)]))
}
