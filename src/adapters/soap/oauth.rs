//! Tokens that are asked for with our own credentials (RFC 6749 section 4.4). Who gives them is not the backend: asking
//! takes no place at its gate, is done by one for all, and ends after `timeout`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::body::whole;
use super::config::OAuth2;
use super::connection::Lines;
use super::keep::{Secret, Unmet, told_apart};

/// What the server may say in so many bytes.
const MOST: usize = 64 << 10;

/// A token that says nothing of its end is kept so long.
const USUAL: Duration = Duration::from_secs(300);

/// What stays in a form as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A token, and nobody who prints it.
pub(super) struct Token(pub(super) HeaderValue);

/// The server that gives tokens.
pub(super) struct Giver {
    config: OAuth2,
    lines: Lines,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    error_description: Option<String>,
}

impl Giver {
    pub(super) fn new(config: &OAuth2) -> Giver {
        let lines = Lines::new(&config.token_url, config.ca.as_ref(), None, config.timeout);
        Giver { config: config.clone(), lines }
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        self.config.token_url.describe()
    }

    /// What our secret is told from others by; none where it cannot be read.
    pub(super) fn secret(&self) -> Option<Secret> {
        self.config.client_secret.reveal().ok().map(|secret| told_apart(secret.reveal()))
    }

    /// A new token, and until when it is used.
    pub(super) async fn ask(&self) -> Result<(Token, Option<Instant>), Unmet> {
        let asked = Instant::now();
        let answered = timeout(self.config.timeout, self.exchange()).await;
        let (status, body) =
            answered.map_err(|_| format!("no token within {} s", self.config.timeout.as_secs_f32()))??;
        if status != 200 {
            // A request like ours is refused for who asks (RFC 6749 section 5.2).
            let is_refusal = matches!(status, 400 | 401 | 403);
            let said = serde_json::from_slice::<Refused>(&body).ok();
            let said = said.map(|refused| match refused.error_description {
                Some(why) => format!(": {} ({why})", refused.error),
                None => format!(": {}", refused.error),
            });
            let reason = format!("the token server answered with status {status}{}", said.unwrap_or_default());
            return Err(Unmet { reason, is_refusal });
        }
        let given: Given = serde_json::from_slice(&body)
            .map_err(|_| "what the token server answered is no token in JSON".to_owned())?;
        if given.token_type.as_ref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err("the token server gives another kind of token than bearer".to_owned().into());
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {}", given.access_token))
            .map_err(|_| "the token cannot stand in a header field".to_owned())?;
        header.set_sensitive(true);
        // Some servers write the number as text.
        let seconds = given.expires_in.and_then(|value| match value {
            serde_json::Value::Number(number) => number.as_f64(),
            serde_json::Value::String(text) => text.trim().parse().ok(),
            _ => None,
        });
        let lasts = seconds.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(USUAL);
        // It must not end on its way: a tenth earlier, and half a minute at most.
        let margin = (lasts / 10).min(Duration::from_secs(30));
        Ok((Token(header), asked.checked_add(lasts - margin)))
    }

    async fn exchange(&self) -> Result<(u16, Bytes), String> {
        let config = &self.config;
        let secret = config.client_secret.reveal().map_err(|error| error.to_string())?;
        let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
        let mut form = "grant_type=client_credentials".to_owned();
        let more = [("scope", &config.scope), ("audience", &config.audience)];
        for (name, value) in more.into_iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value))) {
            form.push_str(&format!("&{name}={}", encoded(value)));
        }
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(config.token_url.path.clone())
            .header(HOST, config.token_url.authority.clone())
            .header(USER_AGENT, HeaderValue::from_static(concat!("tollbridge/", env!("CARGO_PKG_VERSION"))))
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let (id, secret) = (encoded(&config.client_id), encoded(secret.reveal()));
        if config.is_in_body {
            form.push_str(&format!("&client_id={id}&client_secret={secret}"));
        } else {
            let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
                .map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(Full::new(Bytes::from(form))).map_err(|error| error.to_string())?;
        let (response, line) =
            self.lines.send(request, Instant::now() + config.timeout).await.map_err(|error| error.to_string())?;
        let (bytes, body) = whole(response, line, &self.lines, MOST).await.map_err(|error| error.to_string())?;
        Ok((body.status(), bytes))
    }
}
