//! The last step of every answer to GET and HEAD: in which coding it is sent, and whether it may and need be sent at all.
//!
//! Both in one place, because they depend on each other: a representation in another coding is another representation with
//! a tag of its own (RFC 9110 section 8.8.3), and whether the caller has it already is a question about that tag. Handlers
//! make the plain answer with the tag of the plain answer; HEAD takes the same way, so that its fields are those of GET.
//!
//! *Why coding answers gives nothing away (BREACH):* the length of a coded answer can tell a secret in it to whoever can make
//! somebody else's client ask, choose words that stand in the same answer, and see its length. Browsers send no key of ours
//! by themselves, so a foreign page cannot ask in a caller's name; with client certificates it could, and there what a page
//! of another origin asks for is sent plain. Problems, which repeat what was asked, and answers to writes are always plain.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::coding::{self, Coding};
use super::compress::{self, Compressed};
use super::{conditional, retire};
use crate::http::clients::{Bucket, Rate};
use crate::http::{Cors, Problem};

/// Answers of less are not worth a coding: they fit into a packet or two as they are.
const THRESHOLD: u64 = 1024;

/// Answers of up to so many bytes are coded before they are sent, so that their length is known.
const AT_ONCE: u64 = 256 * 1024;

/// How often answers are coded that are given to everybody, whoever asks. Whoever is known has a rate; who is not could have the
/// description coded again and again, at a hundred times of what the request costs them. Beyond this it is sent plain.
pub(super) const CODINGS_FOR_EVERYBODY: Rate = Rate::per_second(5, 50);

/// That an answer is given to everybody: told by the handler, among the answer's extensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct ForEverybody;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Finishes an answer. Conditions count where without them it would be a good one, in the order of RFC 9110 section 13.2.2.
pub(super) async fn finish(
    request: &Parts,
    (cors, codings): (Option<&Cors>, &Bucket),
    mut response: Response,
) -> Result<Response, Problem> {
    let reads = request.method == Method::GET || request.method == Method::HEAD;
    if !reads || response.status() != StatusCode::OK {
        return Ok(response);
    }
    conditional::check_read(&request.headers, response.headers())
        .map_err(|problem| retire::as_told(response.headers(), problem))?;
    if is_worth_it(response.headers()) && !response.headers().contains_key(VARY) {
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    let coding = coding_of(request, cors, &response);
    let plain = coding.and_then(|_| response.headers().get(ETAG).cloned());
    if let (Some(coding), Some(tag)) = (coding, &plain) {
        let tag = conditional::in_coding(tag, coding);
        response.headers_mut().insert(ETAG, tag);
    }
    if conditional::is_unchanged(&request.headers, response.headers()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        // Of no known length: a length of nothing would be told to HEAD as that of the representation.
        *response.body_mut() = Body::from_stream(futures_util::stream::empty::<Result<Bytes, Infallible>>());
        for of_body in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING] {
            response.headers_mut().remove(of_body);
        }
        return Ok(response);
    }
    let is_worth_it =
        coding.is_some() && (response.extensions().get::<ForEverybody>().is_none() || codings.take().is_ok());
    match coding {
        Some(coding) if is_worth_it => Ok(code(response, coding).await),
        Some(_) => {
            if let Some(tag) = plain {
                response.headers_mut().insert(ETAG, tag);
            }
            Ok(response)
        }
        None => Ok(response),
    }
}

/// The coding for an answer.
fn coding_of(request: &Parts, cors: Option<&Cors>, response: &Response) -> Option<Coding> {
    if !is_worth_it(response.headers()) || is_from_a_stranger(&request.headers, cors) {
        return None;
    }
    let taken = coding::taken(&request.headers);
    let is_small = response.body().size_hint().exact().is_some_and(|length| length < THRESHOLD);
    taken.coding.filter(|_| !is_small || !taken.plain)
}

/// Whether it is text, or as good as. A feed of events is not coded: each of a thousand followers would hold a window.
fn is_worth_it(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = media_type.split(';').next().unwrap_or("");
    const WORTH_IT: [&str; 6] = [
        "application/json",
        "application/x-ndjson",
        "text/csv",
        "application/cbor",
        "application/cbor-seq",
        "text/html",
    ];
    WORTH_IT.contains(&essence) && !headers.contains_key(CONTENT_ENCODING)
}

/// Whether a browser asks for a page of another origin that is not named in the configuration.
fn is_from_a_stranger(request: &HeaderMap, cors: Option<&Cors>) -> bool {
    let is_cross_site = request.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site");
    let is_named = || cors.zip(request.get(ORIGIN)).is_some_and(|(cors, origin)| cors.allows(origin));
    is_cross_site && !is_named()
}

/// The answer in a coding.
async fn code(mut response: Response, coding: Coding) -> Response {
    let body = std::mem::take(response.body_mut());
    let coded = match body.size_hint().exact() {
        Some(length) if length <= AT_ONCE => match body.collect().await {
            Ok(bytes) => compress::whole(coding, &bytes.to_bytes()).map(Body::from).map_err(|fault| fault.to_string()),
            Err(fault) => Err(fault.to_string()),
        },
        _ => Compressed::new(body, coding).map(Body::new).map_err(|fault| fault.to_string()),
    };
    match coded {
        Ok(body) => {
            *response.body_mut() = body;
            response.headers_mut().insert(CONTENT_ENCODING, coding.value());
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        Err(fault) => {
            tracing::error!(cause = fault, coding = coding.name(), "an answer could not be coded");
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        }
    }
    response
}
