//! TLS as far as TDS 7 knows it: up to version 1.2, with the server's certificate checked as it was asked for.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::config::{Config, Trust};
use crate::adapters::tls;

/// Why there is no TLS, and what to do.
pub(super) struct TlsFault {
    /// What is wrong.
    pub(super) said: String,
    /// What to do.
    pub(super) remedy: String,
}

/// The settings for a server.
pub(super) fn settings(config: &Config) -> Result<Arc<ClientConfig>, String> {
    // Servers of TDS 7 end the handshake's packets as version 1.2 has it.
    let versions = &[&rustls::version::TLS12];
    let ca = match &config.trust {
        Trust::Anybody => {
            let provider = Arc::new(aws_lc_rs::default_provider());
            let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions);
            let builder = builder.map_err(|error| error.to_string())?;
            let verifier = Arc::new(Anybody(provider));
            return Ok(Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()));
        }
        Trust::System => None,
        Trust::File(path) => Some(path.as_path()),
    };
    tls::settings_of(ca, versions)
}

/// The name that the certificate is to have.
pub(super) fn name(config: &Config) -> Result<ServerName<'static>, String> {
    let name = config.certificate_host.as_ref().unwrap_or(&config.host);
    ServerName::try_from(name.clone()).map_err(|_| format!("`{name}` is no name that a certificate can have"))
}

/// What a handshake that failed means.
pub(super) fn fault(error: &io::Error) -> TlsFault {
    let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return TlsFault {
            said: format!("the server ended the connection during the TLS handshake ({error})"),
            remedy: OLD.to_owned(),
        };
    };
    let (said, remedy) = match cause {
        Error::InvalidCertificate(fault) => certificate(fault),
        Error::AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity,
        )
        | Error::PeerIncompatible(_)
        | Error::InvalidMessage(_) => {
            (format!("the server offers no TLS 1.2 or none of its ciphers that are still safe ({cause})"), OLD)
        }
        Error::AlertReceived(alert) => (format!("the server refuses the TLS handshake ({alert:?})"), OLD),
        other => (format!("the TLS handshake failed ({other})"), OLD),
    };
    TlsFault { said, remedy: remedy.to_owned() }
}

const OLD: &str = "update the server so that it offers TLS 1.2 (SQL Server 2008 to 2014 need an update for it), or reach it \
                   by `odbc` with a driver that still speaks older versions (FreeTDS, Microsoft's driver 17)";

fn certificate(fault: &CertificateError) -> (String, &'static str) {
    match fault {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "nobody whom we trust vouches for the server's certificate".to_owned(),
            "name by `ca` the PEM file of who issued it (one that SQL Server made for itself: give the server a \
             certificate of your own)",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "the server's certificate has expired".to_owned(),
            "give the server a new certificate; look at the clock of this machine as well",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "the server's certificate is not valid yet".to_owned(),
            "look at the clocks of this machine and of the server",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            format!("the server's certificate is for another name ({fault})"),
            "write the name that stands in it as `host`, or as `certificate_host`",
        ),
        other => (
            format!("the server's certificate cannot be used ({other})"),
            "give the server a certificate for TLS servers with a key of at least 2048 bits and a subject alternative name",
        ),
    }
}

/// Takes any certificate, but only from who has its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end: &CertificateDer<'_>,
        _between: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
