//! Whether the server is the one that is meant. An unknown key is never taken on first sight.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use russh::client::Handler;
use russh::keys::known_hosts::{check_known_hosts_path, known_host_keys_path};
use russh::keys::ssh_key::Fingerprint;
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};

/// How the server is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// By one of these fingerprints.
    Fingerprints(Vec<Fingerprint>),
    /// By a file of OpenSSH.
    KnownHosts(PathBuf),
    /// Not yet: connecting only tells the fingerprint.
    Nobody,
}

impl Trust {
    /// The kinds of key that the server is known by, where that is known: it may have others.
    pub(super) fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let Trust::KnownHosts(path) = self else { return Vec::new() };
        let known = known_host_keys_path(host, port, path).unwrap_or_default();
        let mut kinds: Vec<Algorithm> = Vec::new();
        for (_, key) in known {
            match key.algorithm() {
                // One kind of key signs in three ways; the old one is for servers that know no better.
                Algorithm::Rsa { .. } => kinds
                    .extend([Some(HashAlg::Sha512), Some(HashAlg::Sha256), None].map(|hash| Algorithm::Rsa { hash })),
                other => kinds.push(other),
            }
        }
        kinds
    }

    /// The reason why this key is not the server's, if there is one.
    fn refuse(&self, host: &str, port: u16, key: &PublicKey) -> Option<String> {
        let shown = key.fingerprint(HashAlg::Sha256);
        let kind = key.algorithm();
        match self {
            Trust::Fingerprints(known) => {
                let is_known = known.iter().any(|known| key.fingerprint(known.algorithm()) == *known);
                let known: Vec<_> = known.iter().map(ToString::to_string).collect();
                (!is_known).then(|| {
                    format!(
                        "it shows the {kind} key {shown}, but `host_key` says {}; either it was given a new key, or \
                         this is another server. Ask whoever runs it before you change `host_key`",
                        known.join(", ")
                    )
                })
            }
            Trust::KnownHosts(path) => match check_known_hosts_path(host, port, key, path) {
                Ok(true) => None,
                Ok(false) => Some(format!(
                    "it shows the {kind} key {shown}, and {} has no key for {host}; compare it with what whoever runs \
                     the server says (`ssh-keygen -lf`), then add it there",
                    path.display()
                )),
                Err(russh::keys::Error::KeyChanged { line }) => Some(format!(
                    "it shows the {kind} key {shown}, but line {line} of {} has another for it; either it was given a \
                     new key, or this is another server. Ask whoever runs it before you change the file",
                    path.display()
                )),
                Err(error) => Some(format!("{} cannot be read: {error}", path.display())),
            },
            Trust::Nobody => Some(format!(
                "its key is not known yet. It shows the {kind} key {shown}; compare it with what whoever runs the \
                 server says (`ssh-keygen -lf`), then write host_key = \"{shown}\""
            )),
        }
    }
}

/// Looks at the server's key while the connection is made.
pub(super) struct Verifier {
    pub(super) trust: Trust,
    pub(super) host: String,
    pub(super) port: u16,
    /// Why the key was refused.
    pub(super) refusal: Arc<Mutex<Option<String>>>,
}

impl Handler for Verifier {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let refusal = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.trust.refuse(&self.host, self.port, key),
            PublicKeyOrCertificate::Certificate(_) => {
                Some("it shows a certificate instead of a key; certificates of hosts are not supported".to_owned())
            }
        };
        let is_trusted = refusal.is_none();
        *self.refusal.lock() = refusal;
        Ok(is_trusted)
    }
}
