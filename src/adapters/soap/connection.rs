//! Connections to one service: made when needed, kept for the next call.
//!
//! A connection carries one call at a time. So many are open as calls are in flight, which the gate bounds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::config::Config;
use crate::adapters::tls;

/// What sends a call.
pub(super) type Line = SendRequest<Full<Bytes>>;

/// A connection that nothing was sent over for this long is not trusted any more: servers close theirs after five
/// seconds and more.
const KEPT: Duration = Duration::from_secs(4);

/// The most connections that wait for a call.
const WAITING: usize = 64;

/// The connections that wait for their next call, and how more are made.
#[derive(Default)]
pub(super) struct Lines {
    waiting: Mutex<Vec<(Line, Instant)>>,
    tls: Mutex<Option<Arc<ClientConfig>>>,
}

impl Lines {
    /// One that was used before and is still good.
    pub(super) fn take(&self) -> Option<Line> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|(line, since)| since.elapsed() < KEPT && !line.is_closed());
        // The newest: the others may grow old.
        let at = waiting.iter().rposition(|(line, _)| line.is_ready())?;
        Some(waiting.remove(at).0)
    }

    /// Keeps one whose answer was read to its end.
    pub(super) fn keep(&self, line: Line) {
        let mut waiting = self.waiting.lock();
        if !line.is_closed() && waiting.len() < WAITING {
            waiting.push((line, Instant::now()));
        }
    }

    /// A new one.
    pub(super) async fn open(&self, config: &Config) -> Result<Line, String> {
        let endpoint = &config.endpoint;
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        // A small call must not wait for the answer to the one before it.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        if !endpoint.is_secure {
            return speak(stream).await;
        }
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(self.settings(config)?);
        speak(connector.connect(name, stream).await.map_err(|error| error.to_string())?).await
    }

    /// Read once: a file of certificates is large.
    fn settings(&self, config: &Config) -> Result<Arc<ClientConfig>, String> {
        let mut known = self.tls.lock();
        if let Some(settings) = &*known {
            return Ok(Arc::clone(settings));
        }
        Ok(Arc::clone(known.insert(tls::settings(config.ca.as_deref())?)))
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Line, String> {
    let (line, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // It ends when the line is dropped or the server closes; whoever waits for an answer is told by the line.
    tokio::spawn(connection);
    Ok(line)
}
