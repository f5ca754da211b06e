//! TLS of a listener: our certificate, and those that callers may show.
//!
//! The files are read again when the configuration is: connections that are open go on with what they began with.

mod certificate;
mod config;

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

pub use certificate::Certificate;
pub use config::{Demand, TLS, TlsConfig};

/// What a listener speaks TLS with.
pub struct Tls {
    config: TlsConfig,
    current: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads what `config` names; the fault is a sentence.
    pub fn load(config: &TlsConfig) -> Result<Tls, String> {
        Ok(Tls { config: config.clone(), current: ArcSwap::new(read(config)?) })
    }

    /// Reads the files again, for new connections. When anything is wrong with them, those before stay.
    pub fn reload(&self) -> Result<(), String> {
        self.current.store(read(&self.config)?);
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }
}

fn read(config: &TlsConfig) -> Result<Arc<ServerConfig>, String> {
    let chain = certificates(&config.cert)?;
    let key = config.key.reveal().map_err(|error| format!("the key of the certificate: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes())
        .map_err(|_| "the key of the certificate is no private key in PEM without a passphrase".to_owned())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| unreadable(path, &error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match config.demand {
                Demand::Required => verifier,
                Demand::Optional => verifier.allow_unauthenticated(),
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| unreadable(path, &error.to_string()))?)
        }
    };
    let mut made = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("the certificate in {} and its key cannot be used: {error}", config.cert.display()))?;
    made.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(made))
}

fn unreadable(path: &Path, why: &str) -> String {
    format!("the certificates in {} cannot be used: {why}", path.display())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = std::fs::read(path).map_err(|error| unreadable(path, &error.to_string()))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let read = read.map_err(|error| unreadable(path, &error.to_string()))?;
    if read.is_empty() { Err(unreadable(path, "there is none in it")) } else { Ok(read) }
}
