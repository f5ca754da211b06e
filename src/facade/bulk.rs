//! `POST /v1/{resource}` with NDJSON: many writes, one a line, and a line of what came of each, in the same order.
//!
//! Each line is a write of its own, durable under a key of its own: the key of the line, or `KEY/NUMBER` of the request's
//! key and the line's number. So a bulk that broke off anywhere is sent again as it was: what is done is told, the rest is
//! done. One line is under way at a time, and the next is read when the connection has taken what came of the one before:
//! however long the bulk, it takes the memory of some lines, and a slow client holds no place at a backend.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::{Body as HttpBody, Frame};
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, LOCATION,
};
use hyper::http::request::Parts;
use memchr::memchr;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::catalog::{Catalog, Published};
use super::operation::Listener;
use super::route::{Route, Target};
use super::sight::Sight;
use super::{Facade, accept, conditional, prefer, record, writable, write};
use crate::http::{Caller, Pass, Problem, Reason, RequestId, is_of_type, parameters, refuse_coded, staging_problem};
use crate::mapping::ExposedOperation;
use crate::pipeline::live::Live;
use crate::pipeline::operate::{Condition, Operate, OperateError, Submission, Submitted, Veil};
use crate::staging::{OperationState, Staging};

/// Lines of answers that wait for the connection to take them.
const READY: usize = 256;

/// Accepted writes of a bulk that go on at the same time: each takes memory.
const MOST_OPEN: usize = 100;

/// How often a write that is under way is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Whether a request brings many writes.
pub(super) fn is_meant(request: &Parts, route: &Route<'_>) -> bool {
    request.method == Method::POST && matches!(route, Route::List(_)) && is_of_type(request, accept::NDJSON)
}

/// A line as it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'l> {
    /// Which operation; `create` when absent.
    operation: Option<String>,
    /// The record, as in a path.
    key: Option<String>,
    /// As the body of a single write.
    #[serde(borrow)]
    body: Option<&'l RawValue>,
    /// In place of the one that is made of the request's.
    idempotency_key: Option<String>,
    /// As the header field.
    if_match: Option<String>,
}

/// What came of a line.
#[derive(Serialize)]
struct Answer<'a> {
    line: u64,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a RawValue>,
}

/// Begins to answer.
pub(super) fn answer(
    facade: &Facade,
    catalog: Arc<Catalog>,
    target: Target<'_>,
    caller: &Caller,
    (request, body): (&Parts, Body),
) -> Result<Response, Problem> {
    accept::require(&request.headers, &[accept::NDJSON])?;
    parameters::refuse_any(request.uri.query().unwrap_or(""))?;
    refuse_coded(request)?;
    let published = catalog.find(target)?;
    let operations = &published.exposure.operations;
    if !operations.iter().any(|operation| write::permit(published, operation, caller).is_ok()) {
        operations.iter().try_for_each(|operation| write::permit(published, operation, caller))?;
    }
    let sight = Sight::of(published, caller)?;
    let conditions = [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE];
    if let Some(name) = conditions.iter().find(|name| request.headers.contains_key(*name)) {
        return Err(Reason::InvalidHeader
            .because(format!("`{name}` of a request with many writes would be of none of them"))
            .hint("say `if_match` in the lines that it is meant for"));
    }
    let key = match request.headers.contains_key(write::IDEMPOTENCY_KEY) {
        true => Some(write::idempotency_key(&request.headers)?),
        false => None,
    };
    let most = facade.server.request_timeout.mul_f64(write::SHARE_OF_TIMEOUT);
    let (sender, receiver) = mpsc::channel(READY);
    let bulk = Bulk {
        operate: Arc::clone(&facade.operate),
        staging: Arc::clone(&facade.staging),
        live: Arc::clone(&facade.live),
        sight,
        veil: facade.veil.clone(),
        pass: Pass::new(&facade.authenticator, request, caller),
        version: target.version,
        name: target.name.to_owned(),
        catalog,
        caller: caller.clone(),
        key,
        wait: prefer::of(&request.headers).wait.unwrap_or(most).min(most),
        request: RequestId::of(&request.headers).as_str().to_owned(),
        path: request.uri.path().to_owned(),
        open: VecDeque::new(),
    };
    let lines = Lines {
        body,
        buffer: BytesMut::new(),
        searched: 0,
        number: 0,
        most: facade.server.max_body,
        within: facade.server.header_timeout,
        is_over: false,
    };
    // A task of its own: what of a line has begun is known to the end, whoever leaves.
    tokio::spawn(bulk.run(lines, sender));
    let mut response = Response::new(Body::new(Answers(receiver)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(accept::NDJSON));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The answer's body: a line for each line.
struct Answers(mpsc::Receiver<Bytes>);

impl HttpBody for Answers {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

/// The lines of a request as they come.
struct Lines {
    body: Body,
    buffer: BytesMut,
    /// Bytes of the buffer that hold no end of a line.
    searched: usize,
    /// Of the line before.
    number: u64,
    /// Bytes of a line.
    most: usize,
    /// How long the next bytes may take.
    within: Duration,
    is_over: bool,
}

enum Next {
    /// A line that is not blank.
    Line(BytesMut),
    TooLong,
    /// Nothing came for so long.
    Late,
    End,
}

impl Lines {
    async fn next(&mut self) -> Next {
        let mut is_too_long = false;
        loop {
            if let Some(end) = memchr(b'\n', self.buffer.get(self.searched..).unwrap_or_default()) {
                let line = self.buffer.split_to(self.searched + end + 1);
                self.searched = 0;
                self.number += 1;
                match line.trim_ascii() {
                    _ if is_too_long || line.len() > self.most => return Next::TooLong,
                    b"" => continue,
                    _ => return Next::Line(line),
                }
            }
            self.searched = self.buffer.len();
            if self.is_over {
                let line = self.buffer.split();
                self.searched = 0;
                self.number += 1;
                return match line.trim_ascii() {
                    _ if is_too_long => Next::TooLong,
                    b"" => Next::End,
                    _ => Next::Line(line),
                };
            }
            if self.buffer.len() > self.most {
                is_too_long = true;
                self.buffer.clear();
                self.searched = 0;
            }
            match timeout(self.within, self.body.frame()).await {
                Err(_) => return Next::Late,
                Ok(None) => self.is_over = true,
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                // It broke off: what came of the last line is not all of it.
                Ok(Some(Err(_))) => {
                    self.buffer.clear();
                    self.searched = 0;
                    return Next::End;
                }
            }
        }
    }
}

/// A bulk under way.
struct Bulk {
    operate: Arc<Operate>,
    staging: Arc<dyn Staging>,
    live: Arc<Live>,
    sight: Sight,
    veil: Veil,
    pass: Pass,
    catalog: Arc<Catalog>,
    version: u32,
    name: String,
    caller: Caller,
    /// The key of the request.
    key: Option<String>,
    /// How long each line is waited for.
    wait: Duration,
    request: String,
    path: String,
    /// Accepted writes that went on when they were last looked at, oldest first.
    open: VecDeque<String>,
}

impl Bulk {
    async fn run(mut self, mut lines: Lines, sender: mpsc::Sender<Bytes>) {
        loop {
            // Nothing is begun for somebody who is gone, or does not read.
            let Ok(place) = sender.reserve().await else { return };
            let next = lines.next().await;
            let number = lines.number;
            let (answer, is_end) = match next {
                Next::End => return,
                // Whoever may not ask any more has nothing more begun; that is looked at now and then.
                Next::Line(line) => match self.pass.check().await {
                    Ok(()) => (self.line(number, line.trim_ascii()).await, false),
                    Err(problem) => (self.refused(number, None, problem).await, true),
                },
                Next::TooLong => {
                    let detail = format!("the line is longer than {} bytes", lines.most);
                    let hint = "the operator sets the limit of a line with `[server] max_body`";
                    (self.refused(number, None, Reason::BodyTooLarge.because(detail).hint(hint)).await, false)
                }
                Next::Late => {
                    let detail = format!("no line came for {} seconds", lines.within.as_secs_f32());
                    (self.refused(number + 1, None, Reason::RequestTimeout.because(detail)).await, true)
                }
            };
            place.send(answer);
            if is_end {
                return;
            }
        }
    }

    /// Does a line; what came of it.
    async fn line(&mut self, number: u64, text: &[u8]) -> Bytes {
        // An array would be taken for its members in their order.
        let read = match text.first() {
            Some(b'{') => serde_json::from_slice(text).map_err(|fault| fault.to_string()),
            _ => Err("it is no object".to_owned()),
        };
        let line: Line<'_> = match read {
            Ok(line) => line,
            Err(fault) => {
                let problem = Reason::MalformedBody.because(format!("the line is no write: {fault}")).hint(
                    "a line is an object with `body`, and `operation` and `key` where it is no `create`; it may have \
                     `idempotency_key` and `if_match`",
                );
                return self.refused(number, None, problem).await;
            }
        };
        let key = match (&line.idempotency_key, &self.key) {
            (Some(own), _) => own.clone(),
            (None, Some(key)) => format!("{key}/{number}"),
            (None, None) => String::new(),
        };
        match self.done(&line, &key).await {
            Ok(response) => self.told(number, Some(&key), response).await,
            Err(problem) => self.refused(number, Some(&key), problem).await,
        }
    }

    async fn done(&mut self, line: &Line<'_>, idempotency_key: &str) -> Result<Response, Problem> {
        write::check_key(idempotency_key)?;
        if self.open.len() >= MOST_OPEN {
            self.look_at_open().await;
        }
        if self.open.len() >= MOST_OPEN {
            return Err(Reason::ClientBusy
                .because(format!("{MOST_OPEN} writes of this bulk are accepted and not over"))
                .hint("send the bulk again with the same key when they are"));
        }
        self.keep_to_the_rate().await;
        let catalog = Arc::clone(&self.catalog);
        let published = catalog.find(Target { version: self.version, name: &self.name })?;
        let whole = published;
        let seen = published.seen_by(&self.caller);
        let published = seen.as_deref().unwrap_or(published);
        let exposed = operation(published, line)?;
        write::permit(published, exposed, &self.caller)?;
        let key = line.key.as_deref().map(|key| record::canonical_key(published, key)).transpose()?;
        let body = line.body.map(RawValue::get);
        let condition = condition(line, exposed)?.of_view(published.view.as_deref());
        let of = (whole, &self.caller, &self.sight);
        if !self.sight.only.is_empty() {
            let (id, by) = (&published.exposure.id, (&*self.caller.name, &*self.caller.principal));
            let known = self.operate.is_known(by, (id, &exposed.name), idempotency_key).await;
            if !known.map_err(staging_problem)? {
                writable::check((&*self.staging, &*self.live), of, key.as_deref()).await?;
            }
        }
        let submission = Submission {
            resource: published.exposure.id.clone(),
            name: exposed.name.clone(),
            key: key.map(|key| key.into_owned()),
            body: body.map(str::to_owned),
            condition,
            allowed: writable::allowed(of),
            idempotency_key: idempotency_key.to_owned(),
            client: self.caller.name.clone(),
            principal: self.caller.principal.clone(),
            caller: self.caller.id.clone(),
            place: self.caller.client.at_gate(),
            wait: self.wait,
        };
        let asked = submission.key.clone();
        let submitted = match self.operate.submit(submission.clone()).await {
            // Of an earlier sending of the same bulk, most likely: what comes of it is waited for.
            Err(OperateError::Running(operation)) => {
                self.until_over(&operation.id).await;
                self.operate.submit(submission).await
            }
            submitted => submitted,
        };
        if let Ok(Submitted::Accepted(operation)) = &submitted {
            self.open.push_back(operation.id.clone());
        }
        let to =
            Listener { published: Some(published), caller: &self.caller, sight: Some(&self.sight), veil: &self.veil };
        write::told(published, asked.as_deref(), submitted, &to)
    }

    /// Waits until an operation is over, and no longer than a line is waited for.
    async fn until_over(&self, id: &str) {
        let deadline = Instant::now() + self.wait;
        while Instant::now() < deadline {
            match self.operate.operation(id).await {
                Ok(Some(operation)) if !operation.state.is_over() && operation.state != OperationState::Unknown => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                _ => return,
            }
        }
    }

    /// Forgets those that are over.
    async fn look_at_open(&mut self) {
        let mut open = VecDeque::new();
        while let Some(id) = self.open.pop_front() {
            match self.operate.operation(&id).await {
                Ok(Some(operation)) if operation.state.is_over() => {}
                Ok(None) => {}
                _ => open.push_back(id),
            }
        }
        self.open = open;
    }

    /// Each line counts as a request of the client's; whoever has used up the rate is not refused but slowed.
    async fn keep_to_the_rate(&self) {
        while let Err(wait) = self.caller.client.draw() {
            tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
        }
    }

    async fn refused(&self, number: u64, key: Option<&str>, problem: Problem) -> Bytes {
        if let Some(cause) = problem.cause() {
            tracing::info!(request_id = self.request, line = number, cause, "a line of a bulk is not done");
        }
        self.told(number, key, problem.into_response(&self.path, &self.request).map(Body::from)).await
    }

    /// An answer as a line.
    async fn told(&self, number: u64, key: Option<&str>, response: Response) -> Bytes {
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let json = serde_json::from_slice::<&RawValue>(&body).ok();
        let is_good = head.status.is_success();
        let text = |name: hyper::header::HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
        let answer = Answer {
            line: number,
            status: head.status.as_u16(),
            idempotency_key: key.filter(|key| !key.is_empty()),
            location: text(LOCATION),
            replayed: head.headers.contains_key(write::REPLAYED),
            result: json.filter(|_| is_good),
            problem: json.filter(|_| !is_good),
        };
        // JSON has no line break of its own here: what a backend says may.
        let mut line = serde_json::to_vec(&answer).unwrap_or_else(|_| b"{}".to_vec());
        line.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
        line.push(b'\n');
        Bytes::from(line)
    }
}

/// The operation that a line names.
fn operation<'p>(published: &'p Published, line: &Line<'_>) -> Result<&'p ExposedOperation, Problem> {
    let name = line.operation.as_deref().unwrap_or("create");
    let operations = &published.exposure.operations;
    let found = operations.iter().find(|operation| operation.name == name);
    let found = found.ok_or_else(|| {
        let known: Vec<&str> = operations.iter().map(|operation| operation.name.as_str()).collect();
        let detail = format!("`operation`: {} has no operation `{name}`", published.exposure.id);
        Reason::MalformedBody.because(detail).hint(format!("there are: {}", known.join(", ")))
    })?;
    match (found.verb == crate::mapping::Verb::Create, &line.key) {
        (true, Some(_)) => Err(Reason::MalformedBody.because("`key`: a record that is not there yet has none here")),
        (false, None) => Err(Reason::MalformedBody.because(format!("`key`: the operation `{name}` needs a record"))),
        _ => Ok(found),
    }
}

/// What a line wants to be so of its record.
fn condition(line: &Line<'_>, exposed: &ExposedOperation) -> Result<Condition, Problem> {
    let mut headers = HeaderMap::new();
    if let Some(text) = &line.if_match {
        let value = HeaderValue::from_str(text).map_err(|_| {
            Reason::InvalidHeader.because("`if_match` has no entity tags").hint("send the `ETag` with its quotes")
        })?;
        headers.insert(hyper::header::IF_MATCH, value);
    }
    let condition = conditional::condition(&headers)?;
    write::check_match(exposed, &condition)?;
    Ok(condition)
}
