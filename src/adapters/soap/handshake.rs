//! Letting a connection in by an account of Windows: the three messages of NTLM, over one and the same connection.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, HeaderValue};
use hyper::http::response;
use hyper::{Request, Response, StatusCode, Version};

use super::SoapError;
use super::body::drain;
use super::connection::{Line, Lines, Sent};
use super::ntlm::{Asked, Begun, Ntlm};

/// What a connection is after the first two messages.
enum Shaken {
    /// The call goes with the third.
    Third(Box<Begun>, HeaderValue),
    /// The server asks nobody; whether it closes the connection behind its answer.
    Unasked { closes: bool },
    /// A kept connection that is closed by now.
    Closed,
}

impl Lines {
    /// Sends it over a connection on which the server knows who we are. A call is sent once: what is sent before it has
    /// nothing of it, and one that is answered by the question who we are was not begun.
    pub(super) async fn send_known(
        &self,
        ntlm: &Ntlm,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Line), SoapError> {
        loop {
            let (mut line, is_new) = self.any().await?;
            if line.is_known && !ntlm.asks_each_time() {
                match self.over(&mut line, is_new, request.clone()).await? {
                    Sent::Answered(response) if response.status() != StatusCode::UNAUTHORIZED => {
                        ntlm.went(false);
                        return Ok((response, line));
                    }
                    Sent::Answered(response) => {
                        ntlm.went(true);
                        line.is_known = false;
                        drain(response.into_body()).await?;
                    }
                    Sent::Not(_) => continue,
                }
            }
            let (begun, authorization) = match self.shake(ntlm, &mut line, is_new, &request).await? {
                Shaken::Closed => continue,
                Shaken::Unasked { closes } => {
                    if closes {
                        line = self.any().await?.0;
                    }
                    (None, None)
                }
                Shaken::Third(begun, third) => (Some(begun), Some(third)),
            };
            let mut request = request.clone();
            request.headers_mut().extend(authorization.map(|third| (AUTHORIZATION, third)));
            // What was not sent was not begun, but whoever closes connections between two messages does so each time.
            let Sent::Answered(response) = self.over(&mut line, true, request).await? else {
                return Err(self.unreachable(CLOSED.to_owned()));
            };
            if let Some(begun) = begun {
                ntlm.ended(&begun, response.status() == StatusCode::UNAUTHORIZED);
            }
            line.is_known = response.status() != StatusCode::UNAUTHORIZED;
            return Ok((response, line));
        }
    }

    /// The first two messages.
    async fn shake(
        &self,
        ntlm: &Ntlm,
        line: &mut Line,
        is_new: bool,
        request: &Request<Full<Bytes>>,
    ) -> Result<Shaken, SoapError> {
        loop {
            // Of the call itself nothing goes out before the server knows who we are.
            let (mut begun, first) = ntlm.begin()?;
            let mut asking = Request::new(Full::new(Bytes::new()));
            (*asking.method_mut(), *asking.uri_mut()) = (request.method().clone(), request.uri().clone());
            *asking.headers_mut() = request.headers().clone();
            asking.headers_mut().insert(AUTHORIZATION, first);
            if line.sender.ready().await.is_err() {
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
            let closes = closes(&head) || !is_whole || line.sender.ready().await.is_err();
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
            let third = ntlm.answer(&mut begun, &challenge, line.binding.as_deref())?;
            return Ok(Shaken::Third(Box::new(begun), third));
        }
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
