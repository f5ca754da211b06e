//! `[server.tls]`.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Key, Node, Presence, Section, Table};
use crate::secret::{SHAPE, SecretRef};

/// `[server.tls]`.
pub static TLS: Section = Section {
    path: "server.tls",
    doc: "TLS of the REST API's listener, and of the console's where that is no loopback address (TLS 1.2 and 1.3). The files are read again on SIGHUP.",
    keys: &[
        Key {
            name: "cert",
            shape: "path",
            presence: Presence::Required,
            doc: "PEM file of the certificate, with those between it and its authority behind it",
        },
        Key {
            name: "key",
            shape: SHAPE_OF_KEY,
            presence: Presence::Required,
            doc: "where its private key is, in PEM without a passphrase",
        },
        Key {
            name: "client_ca",
            shape: "path",
            presence: Presence::Optional,
            doc: "PEM file of the authorities whose certificates callers may show; `[[auth.certificates]]` says whose they are",
        },
        Key {
            name: "client_certificates",
            shape: "\"optional\" | \"required\"",
            presence: Presence::Default("\"optional\""),
            doc: "with `client_ca`: whether a caller without one is let in, to say who it is by a key or token",
        },
    ],
};

const SHAPE_OF_KEY: &str = "path | { env = \"NAME\" } | { file = \"path\" } | { credential = \"name\" }";

/// Whether callers must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// They may.
    Optional,
    /// Without one there is no connection.
    Required,
}

/// Settings of `[server.tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate's file.
    pub cert: PathBuf,
    /// Where its key is.
    pub key: SecretRef,
    /// The file of the authorities that vouch for callers.
    pub client_ca: Option<PathBuf>,
    /// Whether callers must show a certificate.
    pub demand: Demand,
}

impl TlsConfig {
    /// Reads `[server.tls]`; `None` after reporting what is wrong. Relative paths start at `base`.
    pub fn read(table: &Table<'_>, base: &Path) -> Option<TlsConfig> {
        let cert = table.filled("cert").map(|path| base.join(path));
        if let Some(node) = table.get("key")
            && node.as_str().is_some_and(|text| text.contains("-----BEGIN"))
            && let Some(fault) = SecretRef::literal("key", node)
        {
            table.fail(fault);
            return None;
        }
        let key = table.read("key", |node: &Node| match node.as_str() {
            Some("") => Err(format!("expected {SHAPE}")),
            Some(path) => Ok(SecretRef::File(base.join(path))),
            None => SecretRef::parse(node, base),
        });
        let client_ca = table.filled("client_ca").map(|path| base.join(path));
        let words = [("optional", Demand::Optional), ("required", Demand::Required)];
        let demand = table.one_of("client_certificates", &words);
        if client_ca.is_none()
            && let Some(node) = table.get("client_certificates")
        {
            table.fail(node.key_fault("`client_certificates` needs `client_ca`: somebody has to vouch for them"));
        }
        if table.failed() {
            return None;
        }
        Some(TlsConfig { cert: cert?, key: key?, client_ca, demand: demand? })
    }
}
