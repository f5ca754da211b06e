//! TLS as far as TDS 7 knows it: up to version 1.2, with the server's certificate checked as it was asked for.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

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
    let Some(path) = ca else { return tls::settings_of(None, versions) };
    let settings = tls::settings_of(Some(path), versions)?;
    let text = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let pinned: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(pinned.iter().cloned());
    let provider = Arc::clone(settings.crypto_provider());
    let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let usual = usual.map_err(|error| format!("{} cannot be used: {error}", path.display()))?;
    let mut settings = ClientConfig::clone(&settings);
    settings.dangerous().set_certificate_verifier(Arc::new(Pinned { usual, pinned }));
    Ok(Arc::new(settings))
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
             certificate of your own, or name that one)",
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
        CertificateError::Other(fault) if format!("{fault:?}").contains(SELF_SIGNED) => (
            "nobody whom we trust vouches for the server's certificate: it signs itself".to_owned(),
            "name by `ca` the PEM file of that certificate, or better give the server one of your own authority",
        ),
        other => (
            format!("the server's certificate cannot be used ({other})"),
            "give the server a certificate for TLS servers with a key of at least 2048 bits and a subject alternative name",
        ),
    }
}

/// Checks a certificate as usual, and takes one besides that stands itself in the file: one that signs itself as an
/// authority, as SQL Server and administrators make them, may not usually be a server's.
#[derive(Debug)]
struct Pinned {
    usual: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

/// Whether all that is wrong with a certificate is who has signed it.
fn is_stranger(fault: &CertificateError) -> bool {
    match fault {
        CertificateError::UnknownIssuer => true,
        CertificateError::Other(other) => format!("{other:?}").contains(SELF_SIGNED),
        _ => false,
    }
}

/// How the usual check names one that signs itself as an authority.
const SELF_SIGNED: &str = "CaUsedAsEndEntity";

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.usual.verify_server_cert(end, between, name, ocsp, now) {
            // Its time has been looked at before this is found, its name has not.
            Err(Error::InvalidCertificate(fault)) if is_stranger(&fault) && self.pinned.iter().any(|it| it == end) => {
                verify_server_name(&ParsedCertificate::try_from(end)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            usual => usual,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tls_finds_wrong_has_a_cause_and_a_remedy() {
        let certificate = |fault| Error::InvalidCertificate(fault);
        for (error, words, remedy) in [
            (certificate(CertificateError::UnknownIssuer), "nobody whom we trust", "`ca`"),
            (certificate(CertificateError::Expired), "has expired", "new certificate"),
            (certificate(CertificateError::NotValidYet), "not valid yet", "clocks"),
            (certificate(CertificateError::NotValidForName), "another name", "`certificate_host`"),
            (certificate(CertificateError::BadEncoding), "cannot be used", "2048 bits"),
            (Error::AlertReceived(AlertDescription::ProtocolVersion), "no TLS 1.2", "`odbc`"),
            (Error::AlertReceived(AlertDescription::HandshakeFailure), "no TLS 1.2", "`odbc`"),
            (Error::AlertReceived(AlertDescription::AccessDenied), "refuses the TLS handshake", "`odbc`"),
        ] {
            let found = fault(&io::Error::new(io::ErrorKind::InvalidData, error));
            assert!(found.said.contains(words) && found.remedy.contains(remedy), "{} {}", found.said, found.remedy);
        }
        let ended = fault(&io::ErrorKind::UnexpectedEof.into());
        assert!(ended.said.contains("ended the connection") && ended.remedy.contains("`odbc`"));
    }
}
