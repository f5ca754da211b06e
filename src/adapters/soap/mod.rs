//! SOAP services: one operation called while somebody waits for its answer.
//!
//! A service goes on working when its caller leaves: closing the connection proves nothing. So a call, once sent, is
//! read to its end, by a task that holds the permit and that no caller's leaving ends; and what is known of its end
//! decides when its place is free ([`Service::call`]). Answers are judged by what they are, not by their status:
//! services send faults with 200, good answers with 500, and pages of HTML with either.
//!
//! It carries envelopes. What stands in them it does not know.

mod config;
mod connection;
mod envelope;
mod error;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use encoding_rs::Encoding;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request as HttpRequest, Response, StatusCode};
use tokio::time::{Instant, timeout, timeout_at};

use crate::gate::Permit;
use connection::{Line, Lines};
use envelope::Verdict;

pub use config::{BASIC, Config, Endpoint, Field, Login, SECTION};
pub use error::{Fault, SoapError};

/// Which SOAP an envelope is of; it decides the header fields beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// SOAP 1.1.
    V11,
    /// SOAP 1.2.
    V12,
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// The whole envelope, in UTF-8.
    pub envelope: Bytes,
    /// The operation as the service knows it (`SOAPAction`); may be empty.
    pub action: Arc<str>,
    /// The SOAP that the envelope is of.
    pub version: Version,
}

/// What came back: an envelope with a message in it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The whole envelope, in an encoding that it says of itself.
    pub envelope: Bytes,
}

/// A SOAP service behind one endpoint.
pub struct Service {
    config: Config,
    lines: Lines,
}

/// What is known of a call's end.
enum End {
    /// The service is done, and well.
    Answered,
    /// The service is done, and in trouble.
    Failed,
    /// The service may still be at work.
    Lost,
}

impl SoapError {
    fn end(&self) -> End {
        match self {
            // A no of its own is no trouble.
            SoapError::Fault(_) | SoapError::Denied { .. } | SoapError::Secret(_) => End::Answered,
            // A gateway that has lost its patience or its connection says nothing of the service behind it.
            SoapError::NoEnvelope { status: 502 | 504, .. } => End::Lost,
            SoapError::Unreachable { .. } | SoapError::NoEnvelope { .. } | SoapError::TooLarge { .. } => End::Failed,
            // Half an answer is no proof that the work is done.
            SoapError::Cut { .. } | SoapError::Lost { .. } | SoapError::Silent { .. } => End::Lost,
        }
    }
}

impl Service {
    /// Touches nothing yet.
    pub fn new(config: Config) -> Service {
        Service { config, lines: Lines::default() }
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        self.config.endpoint.describe()
    }

    /// How long a caller waits for an answer once the call was sent.
    pub fn timeout(&self) -> Duration {
        self.config.timeout
    }

    /// How long a call may take until it is given up.
    pub fn longest(&self) -> Duration {
        self.config.timeout.saturating_add(self.config.late)
    }

    /// What a person should know of it although it works.
    pub fn doubts(&self) -> Vec<String> {
        self.config.doubts()
    }

    /// Calls the operation and reads its answer to the end. The future must be driven to its end by a task of its own:
    /// dropping it counts as a call whose end nobody saw. It ends after `timeout` and `late` at the latest.
    ///
    /// The call counts as answered when the service has said something, a fault included; as failed when there was no
    /// connection, when what it said is no SOAP, or came later than `timeout`; as lost when the connection ended before the
    /// whole answer was there, none came, or a gateway says that it has given up.
    pub async fn call(&self, permit: &Permit, request: &Request) -> Result<Answer, SoapError> {
        // Without the account's secret there is no call.
        let prepared = self.prepare(request)?;
        let call = permit.begin();
        let began = Instant::now();
        let after = self.longest();
        let result = match timeout_at(began + after, self.exchange(prepared)).await {
            Ok(result) => result,
            Err(_) => Err(SoapError::Silent { endpoint: self.place(), after }),
        };
        let is_late = began.elapsed() > self.config.timeout;
        match result.as_ref().map_or_else(SoapError::end, |_| End::Answered) {
            End::Answered if is_late => call.failed(),
            End::Answered => call.answered(),
            End::Failed => call.failed(),
            End::Lost => call.lost(),
        }
        result
    }

    /// Whether the service answers at all, for `check` and for health: any answer to a plain GET is one. Answers what a
    /// person should know although it does.
    pub async fn probe(&self, permit: &Permit) -> Result<Vec<String>, SoapError> {
        let request = self.head(Method::GET)?.body(Full::default()).map_err(|error| self.unreachable(&error))?;
        let call = permit.begin();
        let deadline = Instant::now() + self.config.timeout;
        let asked = async {
            let (response, line) = self.send(request).await?;
            let status = response.status();
            self.read(response, line).await.map(|_| status)
        };
        let result = match timeout_at(deadline, asked).await {
            Ok(result) => result,
            Err(_) => Err(SoapError::Silent { endpoint: self.place(), after: self.config.timeout }),
        };
        // What it says to a GET is no answer to a call; that it says something is what was asked.
        match &result {
            Ok(_) | Err(SoapError::TooLarge { .. }) => call.answered(),
            Err(SoapError::Lost { .. } | SoapError::Silent { .. }) => call.lost(),
            Err(_) => call.failed(),
        }
        let status = result?;
        let mut doubts = Vec::new();
        if is_denial(status) {
            doubts.push(format!("{} answers status {status}: it may not take our account", self.place()));
        } else if status == StatusCode::NOT_FOUND || status.is_redirection() {
            doubts.push(format!("{} answers status {status}: is the path of `endpoint` right?", self.place()));
        }
        Ok(doubts)
    }

    fn prepare(&self, request: &Request) -> Result<HttpRequest<Full<Bytes>>, SoapError> {
        let mut head = self.head(Method::POST)?;
        // An action is a URI; what cannot stand in a header field was refused where it is written.
        let action = request.action.replace(['"', '\r', '\n'], "");
        head = match request.version {
            Version::V11 => head
                .header(CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"))
                .header("SOAPAction", format!("\"{action}\"")),
            Version::V12 if action.is_empty() => {
                head.header(CONTENT_TYPE, HeaderValue::from_static("application/soap+xml; charset=utf-8"))
            }
            Version::V12 => {
                head.header(CONTENT_TYPE, format!("application/soap+xml; charset=utf-8; action=\"{action}\""))
            }
        };
        head.body(Full::new(request.envelope.clone())).map_err(|error| self.unreachable(&error))
    }

    /// What every request to the service begins with. Secrets are read anew each time.
    fn head(&self, method: Method) -> Result<hyper::http::request::Builder, SoapError> {
        let endpoint = &self.config.endpoint;
        let mut head = HttpRequest::builder()
            .method(method)
            .uri(endpoint.path.clone())
            .header(HOST, endpoint.authority.clone())
            .header(USER_AGENT, HeaderValue::from_static(concat!("tollbridge/", env!("CARGO_PKG_VERSION"))))
            .header(ACCEPT, HeaderValue::from_static("text/xml, application/soap+xml"))
            .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, field) in &self.config.headers {
            head = match field {
                Field::Text(value) => head.header(name, value),
                Field::Secret(secret) => head.header(name, self.sensitive(secret.reveal()?.reveal())?),
            };
        }
        let credentials = match &self.config.login {
            Login::None => return Ok(head),
            Login::Basic { username, password } => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.reveal()?.reveal())))
            }
            Login::Bearer(token) => format!("Bearer {}", token.reveal()?.reveal()),
        };
        Ok(head.header(AUTHORIZATION, self.sensitive(&credentials)?))
    }

    /// A value that nobody prints.
    fn sensitive(&self, text: &str) -> Result<HeaderValue, SoapError> {
        let mut value = HeaderValue::from_str(text).map_err(|_| SoapError::Unreachable {
            endpoint: self.place(),
            reason: "a secret cannot stand in a header field".to_owned(),
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn unreachable(&self, reason: &dyn std::fmt::Display) -> SoapError {
        SoapError::Unreachable { endpoint: self.place(), reason: reason.to_string() }
    }

    async fn exchange(&self, request: HttpRequest<Full<Bytes>>) -> Result<Answer, SoapError> {
        let (response, line) = self.send(request).await?;
        let status = response.status();
        let charset = charset(&response);
        let body = self.read(response, line).await?;
        match envelope::judge(&body, charset) {
            Verdict::Message => Ok(Answer { envelope: in_own_words(body, charset) }),
            Verdict::Fault(fault) => Err(SoapError::Fault(fault)),
            Verdict::Other(_) if is_denial(status) => {
                Err(SoapError::Denied { endpoint: self.place(), status: status.as_u16() })
            }
            Verdict::Other(found) => Err(SoapError::NoEnvelope { status: status.as_u16(), found }),
        }
    }

    /// Sends it over a connection that is there, or a new one, and waits for the answer's head. A kept connection that
    /// turns out to be closed before anything was sent over it makes room for the next: no call has begun.
    async fn send(&self, request: HttpRequest<Full<Bytes>>) -> Result<(Response<Incoming>, Line), SoapError> {
        let mut request = request;
        loop {
            let (mut line, is_new) = match self.lines.take() {
                Some(line) => (line, false),
                None => (self.open().await.map_err(|reason| self.unreachable(&reason))?, true),
            };
            let mut failed = match line.try_send_request(request).await {
                Ok(response) => return Ok((response, line)),
                Err(failed) => failed,
            };
            match failed.take_message() {
                Some(unsent) if !is_new => request = unsent,
                Some(_) => return Err(self.unreachable(failed.error())),
                None if failed.error().is_parse() => {
                    return Err(SoapError::Cut { reason: format!("no HTTP: {}", failed.error()) });
                }
                None => {
                    return Err(SoapError::Lost { endpoint: self.place(), reason: failed.error().to_string() });
                }
            }
        }
    }

    /// A new connection. While there is none no call has begun, so that nothing is waited for beyond `timeout`.
    async fn open(&self) -> Result<Line, String> {
        let opened = timeout(self.config.timeout, self.lines.open(&self.config)).await;
        opened.unwrap_or_else(|_| Err(format!("no connection within {} s", self.config.timeout.as_secs_f32())))
    }

    /// Reads the answer to its end, also when it is too large to be kept: until then the service is at work.
    async fn read(&self, response: Response<Incoming>, line: Line) -> Result<Bytes, SoapError> {
        let mut body = response.into_body();
        let (mut kept, mut total) = (Vec::new(), 0usize);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| self.broken(&error))?;
            let Some(data) = frame.data_ref() else { continue };
            total = total.saturating_add(data.len());
            if total <= self.config.max_answer {
                kept.extend_from_slice(data);
            }
        }
        drop(body);
        self.lines.keep(line);
        if total > self.config.max_answer {
            return Err(SoapError::TooLarge { limit: self.config.max_answer });
        }
        Ok(Bytes::from(kept))
    }

    /// An answer that ended before its end: cut where the service closed the connection in order, lost where the
    /// connection was torn.
    fn broken(&self, error: &hyper::Error) -> SoapError {
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            let torn = inner.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            if matches!(torn, Some(kind) if kind != std::io::ErrorKind::UnexpectedEof) {
                return SoapError::Lost { endpoint: self.place(), reason: inner.to_string() };
            }
            cause = inner.source();
        }
        SoapError::Cut { reason: error.to_string() }
    }
}

fn is_denial(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 407)
}

/// The encoding that HTTP says.
fn charset(response: &Response<Incoming>) -> Option<&'static Encoding> {
    let media_type = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let parameter = |part: &&str| part.trim_start().get(..8).is_some_and(|name| name.eq_ignore_ascii_case("charset="));
    let label = media_type.split(';').find(parameter)?.trim().get(8..)?;
    Encoding::for_label(label.trim_matches('"').as_bytes())
}

/// The answer so that it says itself how it is encoded: what only HTTP says is told by writing it in UTF-8.
fn in_own_words(body: Bytes, charset: Option<&'static Encoding>) -> Bytes {
    let says_itself = envelope::declared(&body).is_some() || Encoding::for_bom(&body).is_some();
    match charset.filter(|encoding| !says_itself && *encoding != encoding_rs::UTF_8) {
        Some(encoding) => Bytes::from(encoding.decode(&body).0.into_owned()),
        None => body,
    }
}
