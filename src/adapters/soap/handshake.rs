//! Letting a connection in by an account of Windows: the three messages of NTLM, over one and the same connection.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, HeaderValue};
use hyper::http::response;
use hyper::{Request, Response, StatusCode, Version};
use tokio::time::Instant;

use super::SoapError;
use super::body::drain;
use super::connection::{Line, Lines, Sent};
use super::lockout::Outcome;
use super::ntlm::{Asked, Entry, Ntlm};

/// What a connection is after the first two messages.
enum Shaken {
    /// The call goes with the third.
    Third(HeaderValue),
    /// The server asks nobody; whether it closes the connection behind its answer.
    Unasked { closes: bool },
    /// A kept connection that is closed by now.
    Closed,
}

impl Lines {
    /// Sends it over a connection on which the server knows who we are. A call is sent once: what is sent before it has
    /// nothing of it, and one that is answered by the question who we are was not begun. Whoever has to wait for another call
    /// to try the account waits until then at most, as long as for a connection.
    pub(super) async fn send_known(
        &self,
        ntlm: &Ntlm,
        request: Request<Full<Bytes>>,
        until: Instant,
    ) -> Result<(Response<Incoming>, Line), SoapError> {
        let until = until.min(Instant::now() + self.patience);
        let (mut entry, mut in_vain) = (None, 0);
        loop {
            let mut taken = self.take();
            if let Some(line) = taken.as_mut()
                && line.is_known
                && ntlm.tries_known()
            {
                // The others need not wait for this call.
                entry = None;
                match self.over(line, false, request.clone()).await? {
                    Sent::Answered(response) => {
                        let was_asked = response.status() == StatusCode::UNAUTHORIZED;
                        ntlm.went(line, was_asked);
                        in_vain = line.in_vain;
                        match taken {
                            Some(line) if !was_asked => return Ok((response, line)),
                            // What breaks off here is found when it is used next; the call was not begun.
                            _ => drop(drain(response.into_body()).await),
                        }
                    }
                    Sent::Not(_) => continue,
                }
            }
            let ours = match entry.take() {
                Some(ours) => ours,
                None => match ntlm.enter()? {
                    Some(ours) => ours,
                    None => {
                        // Who has tried it may have left a connection that is known.
                        entry = Some(ntlm.waits(until).await?);
                        continue;
                    }
                },
            };
            let (mut line, is_new) = match taken {
                Some(line) => (line, false),
                None => (self.new_line().await?, true),
            };
            if is_new {
                line.in_vain = in_vain;
            }
            let (tried, authorization) = match self.shake(ntlm, &ours, &mut line, is_new, &request).await? {
                Shaken::Closed => {
                    entry = Some(ours);
                    continue;
                }
                Shaken::Unasked { closes } => {
                    // Nothing was tried.
                    drop(ours);
                    if closes {
                        line = self.any().await?.0;
                    }
                    (None, None)
                }
                Shaken::Third(third) => (Some(ours), Some(third)),
            };
            let mut request = request.clone();
            request.headers_mut().extend(authorization.map(|third| (AUTHORIZATION, third)));
            // What was not sent was not begun, but whoever closes connections between two messages does so each time.
            let sent_at = Instant::now();
            let tried = tried.map(|ours| ntlm.tries(ours));
            let sent = self.over(&mut line, true, request).await;
            let outcome = outcome(&sent, sent_at.elapsed());
            if let Some(tried) = tried {
                tried.ended(outcome);
            }
            line.is_known = outcome == Some(Outcome::Taken);
            match sent? {
                Sent::Answered(response) => return Ok((response, line)),
                Sent::Not(_) => return Err(self.unreachable(CLOSED.to_owned())),
            }
        }
    }

    /// The first two messages.
    async fn shake(
        &self,
        ntlm: &Ntlm,
        entry: &Entry,
        line: &mut Line,
        is_new: bool,
        request: &Request<Full<Bytes>>,
    ) -> Result<Shaken, SoapError> {
        loop {
            // Of the call itself nothing goes out before the server knows who we are.
            let (mut begun, first) = ntlm.begin(entry)?;
            let mut asking = Request::new(Full::new(Bytes::new()));
            (*asking.method_mut(), *asking.uri_mut()) = (request.method().clone(), request.uri().clone());
            *asking.headers_mut() = request.headers().clone();
            asking.headers_mut().insert(AUTHORIZATION, first);
            if !line.is_ready().await {
                return if is_new { Err(self.unreachable(CLOSED.to_owned())) } else { Ok(Shaken::Closed) };
            }
            let response = match self.over(line, is_new, asking).await {
                Ok(Sent::Answered(response)) => response,
                Ok(Sent::Not(_)) => return Ok(Shaken::Closed),
                // Nothing of the call was sent.
                Err(SoapError::Lost { .. }) if !is_new => return Ok(Shaken::Closed),
                Err(SoapError::Lost { reason, .. }) => return Err(self.unreachable(reason)),
                Err(error) => return Err(error),
            };
            let (head, body) = response.into_parts();
            let is_whole = drain(body).await.is_ok();
            let closes = closes(&head) || !is_whole || !line.is_ready().await;
            if head.status != StatusCode::UNAUTHORIZED {
                return Ok(Shaken::Unasked { closes });
            }
            let challenge = match ntlm.asked(&head.headers) {
                Asked::Challenge(challenge) => challenge,
                Asked::ByOtherName if closes && !is_new => return Ok(Shaken::Closed),
                Asked::ByOtherName if closes => {
                    *line = self.any().await?.0;
                    continue;
                }
                Asked::ByOtherName => continue,
                Asked::No(error) => return Err(error),
            };
            if closes {
                return Err(self.unreachable(CLOSED.to_owned()));
            }
            let third = ntlm.answer(entry, &mut begun, &challenge, line.binding.as_deref())?;
            return Ok(Shaken::Third(third));
        }
    }
}

/// What a server says of us, in answer to the third message and the call: nothing where it was not sent, and where a gateway
/// says that it is too busy to pass it on.
fn outcome(sent: &Result<Sent, SoapError>, after: Duration) -> Option<Outcome> {
    match sent {
        Ok(Sent::Answered(response)) => match response.status() {
            StatusCode::UNAUTHORIZED => Some(Outcome::Refused),
            // Behind the gateway the connection was closed, or nothing was said.
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Some(Outcome::Closed(after)),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::PROXY_AUTHENTICATION_REQUIRED => None,
            _ => Some(Outcome::Taken),
        },
        Err(SoapError::Lost { .. } | SoapError::Cut { .. }) => Some(Outcome::Closed(after)),
        Ok(Sent::Not(_)) | Err(_) => None,
    }
}

/// Whether a server says that it closes the connection behind its answer (RFC 9112 section 9.3).
fn closes(head: &response::Parts) -> bool {
    let fields: Vec<&str> = head.headers.get_all(CONNECTION).iter().filter_map(|field| field.to_str().ok()).collect();
    let mut words = fields.iter().flat_map(|field| field.split(',')).map(str::trim);
    let says_close = words.clone().any(|word| word.eq_ignore_ascii_case("close"));
    says_close || (head.version == Version::HTTP_10 && !words.any(|word| word.eq_ignore_ascii_case("keep-alive")))
}

/// What is told when the messages cannot go over one connection.
const CLOSED: &str =
    "the connection is closed between the messages of NTLM, which lets in connections; is a proxy on the way?";
