//! TLS for control and data connections, with a server whose certificate is verified. Data connections resume what the
//! control connection has begun, as servers ask of them to prove that both are of one client.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use suppaftp::{FtpError, FtpResult, RustlsConnector, TlsConnector};

/// Makes TLS of a connection that does not wait for ever.
pub(super) struct Connector {
    inner: RustlsConnector,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(settings: Arc<ClientConfig>, timeout: Duration) -> Connector {
        Connector { inner: settings.into(), timeout }
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl TlsConnector for Connector {
    type Stream = <RustlsConnector as TlsConnector>::Stream;

    fn connect(&self, domain: &str, stream: TcpStream) -> FtpResult<Self::Stream> {
        patient(&stream, self.timeout).map_err(FtpError::ConnectionError)?;
        self.inner.connect(domain, stream)
    }
}

/// Bounds every wait on the connection.
pub(super) fn patient(stream: &TcpStream, timeout: Duration) -> std::io::Result<()> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.set_nodelay(true)
}
