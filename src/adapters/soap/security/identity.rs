//! Certificates and keys from PEM files: ours, with which messages are signed, and theirs, whose signatures we take.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{self, RSA_PKCS1_SHA256, RsaParameters, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate;
use crate::secret::SecretRef;

/// What messages are signed with.
pub(in crate::adapters::soap) struct Identity {
    /// The certificate that goes with the signature, in DER.
    pub(super) certificate: Vec<u8>,
    key: KeyPair,
}

impl Identity {
    /// Reads the certificate (the first of its file) and its key.
    pub(in crate::adapters::soap) fn read(certificate: &Path, key: &SecretRef) -> Result<Identity, String> {
        let certificate = certificates(certificate)?.swap_remove(0).to_vec();
        let read = certificate::read(&certificate).ok_or("the certificate to sign with cannot be read")?;
        if read.rsa_key.is_none() {
            return Err(
                "the certificate to sign with has no RSA key; messages are signed by RSA with SHA-256".to_owned()
            );
        }
        let pem = key.reveal().map_err(|error| error.to_string())?;
        let der = PrivateKeyDer::from_pem_slice(pem.reveal().as_bytes())
            .map_err(|_| "the key to sign with is no private key in PEM without a passphrase".to_owned())?;
        let pair = match &der {
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err("the key to sign with is no RSA key".to_owned()),
        };
        let key = pair.map_err(|_| "the key to sign with is no RSA key of 2048 to 8192 bits".to_owned())?;
        let public = aws_lc_rs::signature::KeyPair::public_key(&key).as_ref().to_vec();
        if read.rsa_key != Some(&public) {
            return Err("the key to sign with does not belong to its certificate".to_owned());
        }
        Ok(Identity { certificate, key })
    }

    /// The signature of a text (RSASSA-PKCS1-v1_5 with SHA-256).
    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature);
        signed.map_err(|_| "signing has failed".to_owned())?;
        Ok(signature)
    }
}

/// The certificates whose signatures are taken.
pub(in crate::adapters::soap) struct Trusted {
    keys: Vec<Vec<u8>>,
}

impl Trusted {
    /// Reads all certificates of a file. Each is trusted by itself: no authority is asked.
    pub(in crate::adapters::soap) fn read(path: &Path) -> Result<Trusted, String> {
        let mut keys = Vec::new();
        for der in certificates(path)? {
            let read = certificate::read(&der);
            let key = read.and_then(|read| read.rsa_key.map(<[u8]>::to_vec));
            keys.push(key.ok_or_else(|| format!("{} has a certificate without an RSA key", path.display()))?);
        }
        Ok(Trusted { keys })
    }

    /// Whether one of them has signed a text so.
    pub(super) fn has_signed(&self, text: &[u8], signature: &[u8], algorithm: &'static RsaParameters) -> bool {
        self.keys.iter().any(|key| UnparsedPublicKey::new(algorithm, key).verify(text, signature).is_ok())
    }
}

/// The signature algorithms that are taken, by their names in RFC 6931.
pub(super) fn algorithm(name: &str, takes_sha1: bool) -> Option<&'static RsaParameters> {
    match name {
        super::RSA_SHA256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1" if takes_sha1 => {
            Some(&signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY)
        }
        _ => None,
    }
}

/// The certificates of a PEM file; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |reason: String| format!("the certificates in {} cannot be read: {reason}", path.display());
    let text = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let read = read.map_err(|error| unreadable(error.to_string()))?;
    if read.is_empty() { Err(unreadable("there is none in it".to_owned())) } else { Ok(read) }
}
