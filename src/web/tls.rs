//! Whom a client of TLS trusts: the certificates of a file, or the system's.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

/// Where systems keep the certificates that they trust: Debian, Red Hat, SUSE, Alpine.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The settings of a client that trusts who is in `ca`, or else whom the system trusts.
pub fn settings(ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    settings_of(ca, rustls::DEFAULT_VERSIONS)
}

/// The same, for some versions of TLS only.
pub fn settings_of(
    ca: Option<&Path>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Arc<ClientConfig>, String> {
    made(ca, versions, None)
}

/// The same, of a client that shows a certificate of its own: the PEM file of it and of those between it and its
/// authority, and its key in PEM.
pub fn settings_with(ca: Option<&Path>, certificate: &Path, key: &str) -> Result<Arc<ClientConfig>, String> {
    let unreadable = |reason: String| format!("our certificate in {} cannot be read: {reason}", certificate.display());
    let text = fs::read(certificate).map_err(|error| unreadable(error.to_string()))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| unreadable(error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable("there is none in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|_| "the key of our certificate is no private key in PEM without a passphrase".to_owned())?;
    made(ca, rustls::DEFAULT_VERSIONS, Some((chain, key)))
}

fn made(
    ca: Option<&Path>,
    versions: &[&'static SupportedProtocolVersion],
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<Arc<ClientConfig>, String> {
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
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
    let builder = builder.map_err(|error| error.to_string())?;
    let builder = builder.with_root_certificates(roots);
    Ok(Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| format!("our certificate and its key cannot be used: {error}"))?,
    }))
}
