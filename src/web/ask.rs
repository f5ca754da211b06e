//! One question over a connection of its own: bounded in time and in bytes; redirects are not followed.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Endpoint, tls};

/// What stays in a form as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How is asked, and how much may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// PEM file of the certificates that vouch for the server; those of the system when `None`.
    pub ca: Option<PathBuf>,
    /// For all of it.
    pub within: Duration,
    /// Bytes of the answer's body.
    pub most: usize,
}

impl Asking {
    /// What is at `endpoint`. The fault is a phrase.
    pub async fn get(&self, endpoint: &Endpoint) -> Result<Response<Bytes>, String> {
        self.ask(endpoint, Method::GET, &[], Bytes::new()).await
    }

    /// The answer to a form, sent with these fields. The fault is a phrase.
    pub async fn post(
        &self,
        endpoint: &Endpoint,
        fields: &[(HeaderName, HeaderValue)],
        form: String,
    ) -> Result<Response<Bytes>, String> {
        let kind = (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        self.ask(endpoint, Method::POST, &[fields, &[kind]].concat(), Bytes::from(form)).await
    }

    async fn ask(
        &self,
        endpoint: &Endpoint,
        method: Method,
        fields: &[(HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Response<Bytes>, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(endpoint.path.clone())
            .header(HOST, endpoint.authority.clone())
            .header(USER_AGENT, HeaderValue::from_static(concat!("tollbridge/", env!("CARGO_PKG_VERSION"))))
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .header(CONNECTION, HeaderValue::from_static("close"));
        for (name, value) in fields {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let answered = timeout(self.within, self.exchange(endpoint, request)).await;
        answered.unwrap_or_else(|_| Err(format!("no answer within {} s", self.within.as_secs_f32())))
    }

    async fn exchange(&self, endpoint: &Endpoint, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        if !endpoint.is_secure {
            return self.speak(stream, request).await;
        }
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(tls::settings(self.ca.as_deref())?);
        self.speak(connector.connect(name, stream).await.map_err(|error| error.to_string())?, request).await
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, String> {
        let (mut line, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        // It ends with the line, or when the server closes.
        tokio::spawn(connection);
        let answer = line.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, self.most).collect().await;
        let body = body.map_err(|error| match error.is::<http_body_util::LengthLimitError>() {
            true => format!("the answer has more than {} bytes", self.most),
            false => format!("the answer broke off: {error}"),
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

/// A form's text.
pub fn form(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.join("&")
}
