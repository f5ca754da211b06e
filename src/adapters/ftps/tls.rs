//! TLS for control and data connections, with a server whose certificate is verified.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use suppaftp::{FtpError, FtpResult, RustlsConnector, TlsConnector};

/// Where systems keep the certificates that they trust: Debian, Red Hat, SUSE, Alpine.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The settings for one session. Data connections resume what the control connection has begun, as servers ask
/// of them to prove that both are of one client.
pub(super) fn settings(ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let path = match ca {
        Some(path) => path,
        None => SYSTEM
            .iter()
            .map(Path::new)
            .find(|path| path.exists())
            .ok_or_else(|| "this system has no list of trusted certificates; name one by `ca`".to_owned())?,
    };
    let unreadable = |reason: String| format!("the certificates in {} cannot be read: {reason}", path.display());
    let text = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        let added = roots.add(certificate);
        if let Err(error) = added {
            // The system's list may hold one that is too odd; a file written for us must be right.
            if ca.is_some() {
                return Err(unreadable(error.to_string()));
            }
        }
    }
    if roots.is_empty() {
        return Err(unreadable("there is none in it".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

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
