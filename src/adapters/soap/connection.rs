//! Connections to one server: made when needed, kept for the next call.
//!
//! A connection carries one call at a time. So many are open as calls are in flight, which the gate bounds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant as Deadline, timeout};
use tokio_rustls::TlsConnector;

use super::SoapError;
use super::binding::binding;
use super::config::{Endpoint, Pem};
use super::ntlm::Ntlm;
use crate::adapters::{own, tls};

/// What sends a call.
pub(super) struct Line {
    pub(super) sender: SendRequest<Full<Bytes>>,
    /// What an account is bound to: the server's certificate.
    pub(super) binding: Option<Vec<u8>>,
    /// Whether the server knows by now who speaks over it.
    pub(super) is_known: bool,
    /// Whether it has carried a call since then without being asked again.
    pub(super) has_carried: bool,
    /// How often in a row it was asked again right after it was let in.
    pub(super) in_vain: u32,
}

/// A connection that nothing was sent over for this long is not trusted any more: servers close theirs after five
/// seconds and more.
const KEPT: Duration = Duration::from_secs(4);

/// The most connections that wait for a call.
const WAITING: usize = 64;

/// So long is a certificate of ours used that was read from a file.
const OWN: Duration = Duration::from_secs(60);

/// A server, the connections to it that wait for their next call, and how more are made.
pub(super) struct Lines {
    endpoint: Endpoint,
    ca: Option<PathBuf>,
    own: Option<Pem>,
    pub(super) patience: Duration,
    /// The account of Windows that connections are let in by.
    pub(super) ntlm: Option<Arc<Ntlm>>,
    waiting: Mutex<Vec<(Line, Instant)>>,
    tls: Mutex<Option<(Arc<ClientConfig>, Instant)>>,
}

impl Lines {
    /// Touches nothing yet. A connection is waited for as long as `patience`.
    pub(super) fn new(endpoint: &Endpoint, ca: Option<&PathBuf>, own: Option<&Pem>, patience: Duration) -> Lines {
        Lines {
            endpoint: endpoint.clone(),
            ca: ca.cloned(),
            own: own.cloned(),
            patience,
            ntlm: None,
            waiting: Mutex::default(),
            tls: Mutex::default(),
        }
    }

    /// Lets connections in by an account of Windows.
    pub(super) fn with_ntlm(self, ntlm: Option<Arc<Ntlm>>) -> Lines {
        Lines { ntlm, ..self }
    }

    /// Sends it over a connection that is there, or a new one, and waits for the answer's head. A kept connection that
    /// turns out to be closed before anything was sent over it makes room for the next: no call has begun. Its time is over
    /// then, for whoever has to wait before it is begun; the caller ends what has begun.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        until: Deadline,
    ) -> Result<(Response<Incoming>, Line), SoapError> {
        if let Some(ntlm) = &self.ntlm {
            return self.send_known(ntlm, request, until).await;
        }
        let mut request = request;
        loop {
            let (mut line, is_new) = self.any().await?;
            match self.over(&mut line, is_new, request).await? {
                Sent::Answered(response) => return Ok((response, line)),
                Sent::Not(unsent) => request = unsent,
            }
        }
    }

    /// A connection that is there, or a new one; which of both.
    pub(super) async fn any(&self) -> Result<(Line, bool), SoapError> {
        match self.take() {
            Some(line) => Ok((line, false)),
            None => Ok((self.new_line().await?, true)),
        }
    }

    /// A new connection.
    pub(super) async fn new_line(&self) -> Result<Line, SoapError> {
        self.open().await.map_err(|none| self.none(none))
    }

    /// Sends it over this connection.
    pub(super) async fn over(
        &self,
        line: &mut Line,
        is_new: bool,
        request: Request<Full<Bytes>>,
    ) -> Result<Sent, SoapError> {
        let mut failed = match line.sender.try_send_request(request).await {
            Ok(response) => return Ok(Sent::Answered(response)),
            Err(failed) => failed,
        };
        match failed.take_message() {
            Some(unsent) if !is_new => Ok(Sent::Not(unsent)),
            Some(_) => Err(self.unreachable(failed.error().to_string())),
            None if failed.error().is_parse() => Err(SoapError::Cut { reason: format!("no HTTP: {}", failed.error()) }),
            None => {
                // The server says so before it looks at a call: of TLS 1.3, what it thinks of our certificate.
                if is_new && let Some(reason) = refusal(failed.error()) {
                    return Err(self.unreachable(reason));
                }
                Err(SoapError::Lost { endpoint: self.endpoint.describe(), reason: failed.error().to_string() })
            }
        }
    }

    pub(super) fn unreachable(&self, reason: String) -> SoapError {
        SoapError::Unreachable { endpoint: self.endpoint.describe(), reason }
    }

    fn none(&self, NoLine { reason, is_ours }: NoLine) -> SoapError {
        if is_ours { SoapError::Own { reason } } else { self.unreachable(reason) }
    }

    /// One that was used before and is still good.
    pub(super) fn take(&self) -> Option<Line> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|(line, since)| since.elapsed() < KEPT && !line.sender.is_closed());
        // The newest: the others may grow old.
        let at = waiting.iter().rposition(|(line, _)| line.sender.is_ready())?;
        Some(waiting.remove(at).0)
    }

    /// Keeps one whose answer was read to its end.
    pub(super) fn keep(&self, line: Line) {
        let mut waiting = self.waiting.lock();
        if !line.sender.is_closed() && waiting.len() < WAITING {
            waiting.push((line, Instant::now()));
        }
    }

    /// A new one. While there is none no call has begun, so that nothing is waited for beyond `patience`.
    pub(super) async fn open(&self) -> Result<Line, NoLine> {
        let opened = timeout(self.patience, self.connect()).await;
        opened.unwrap_or_else(|_| Err(NoLine::from(format!("no connection within {} s", self.patience.as_secs_f32()))))
    }

    async fn connect(&self) -> Result<Line, NoLine> {
        let endpoint = &self.endpoint;
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
        let stream = stream.map_err(|error| match own::lack(&error) {
            Some(reason) => NoLine { reason, is_ours: true },
            None => NoLine::from(error.to_string()),
        })?;
        // A small call must not wait for the answer to the one before it.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        if !endpoint.is_secure {
            return Ok(speak(stream, None).await?);
        }
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(self.settings()?);
        let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let binding = certificate.filter(|_| self.ntlm.is_some()).and_then(|certificate| binding(certificate));
        Ok(speak(stream, binding).await?)
    }

    /// Read once: a file of certificates is large. A certificate of ours may be renewed while the service runs.
    fn settings(&self) -> Result<Arc<ClientConfig>, String> {
        let mut known = self.tls.lock();
        if let Some((settings, since)) = &*known
            && (self.own.is_none() || since.elapsed() < OWN)
        {
            return Ok(Arc::clone(settings));
        }
        let made = match &self.own {
            None => tls::settings(self.ca.as_deref())?,
            Some(own) => {
                let key = own.key.reveal().map_err(|error| error.to_string())?;
                tls::settings_with(self.ca.as_deref(), &own.certificate, key.reveal())?
            }
        };
        Ok(Arc::clone(&known.insert((made, Instant::now())).0))
    }
}

/// What became of a request.
pub(super) enum Sent {
    /// The head of its answer has come.
    Answered(Response<Incoming>),
    /// A kept connection was closed before anything was sent over it.
    Not(Request<Full<Bytes>>),
}

/// Why there is no connection.
pub(super) struct NoLine {
    pub(super) reason: String,
    /// For something that this machine lacks.
    is_ours: bool,
}

impl From<String> for NoLine {
    fn from(reason: String) -> NoLine {
        NoLine { reason, is_ours: false }
    }
}

/// What a server may say of a client's certificate (RFC 8446 section 6.2).
const REFUSALS: [AlertDescription; 10] = [
    AlertDescription::HandshakeFailure,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::DecryptError,
    AlertDescription::CertificateRequired,
];

/// What a server says in TLS of a client that it does not take. It says so after the handshake, and has read nothing.
fn refusal(error: &hyper::Error) -> Option<String> {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let tls = inner.downcast_ref::<rustls::Error>().or_else(|| {
            let inner = inner.downcast_ref::<std::io::Error>()?.get_ref()?;
            inner.downcast_ref::<rustls::Error>()
        });
        if let Some(rustls::Error::AlertReceived(alert)) = tls
            && REFUSALS.contains(alert)
        {
            return Some(format!("the server refused our TLS: {alert:?}"));
        }
        cause = inner.source();
    }
    None
}

/// HTTP over a stream.
pub(super) async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    binding: Option<Vec<u8>>,
) -> Result<Line, String> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // It ends when the line is dropped or the server closes; whoever waits for an answer is told by the line.
    tokio::spawn(connection);
    Ok(Line { sender, binding, is_known: false, has_carried: false, in_vain: 0 })
}
