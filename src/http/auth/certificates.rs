//! `[[auth.certificates]]`: whose the certificates are that callers show, and what they may.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Caller, is_key_name, is_scope};
use crate::diagnostic::{Key, Presence, Section, Table};
use crate::http::clients::{ANONYMOUS, Clients};
use crate::http::tls::Certificate;

/// `[[auth.certificates]]`.
pub static CERTIFICATES: Section = Section {
    path: "auth.certificates",
    doc: "A client certificate that is taken in place of a key (`[server.tls] client_ca` says whose certificates can be shown), written as `[[auth.certificates]]`. Exactly one of `dns`, `uri`, `email`, `common_name`, `fingerprint`; the first that fits decides. A key or token beside it counts more.",
    keys: &[
        Key { name: "client", shape: "string", presence: Presence::Required, doc: "whose it is: the client's name" },
        Key {
            name: "scopes",
            shape: "array of scopes",
            presence: Presence::Default("[\"read\"]"),
            doc: "what it may do",
        },
        Key {
            name: "claims",
            shape: "table",
            presence: Presence::Optional,
            doc: "what is known of its bearer beside, by name: rows may be bounded by it",
        },
        Key { name: "dns", shape: "string", presence: Presence::Optional, doc: "a host among its alternative names" },
        Key { name: "uri", shape: "string", presence: Presence::Optional, doc: "a URI among them, as SPIFFE has it" },
        Key { name: "email", shape: "string", presence: Presence::Optional, doc: "an address of mail among them" },
        Key {
            name: "common_name",
            shape: "string",
            presence: Presence::Optional,
            doc: "its subject's one common name",
        },
        Key {
            name: "fingerprint",
            shape: "string",
            presence: Presence::Optional,
            doc: "SHA-256 of all of it, in hexadecimal, with or without colons",
        },
    ],
};

/// What a certificate must have.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mark {
    Dns(String),
    Uri(String),
    Email(String),
    CommonName(String),
    Fingerprint(String),
}

/// A certificate that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCertificate {
    mark: Mark,
    client: String,
    scopes: Vec<String>,
    claims: BTreeMap<String, String>,
}

impl KnownCertificate {
    /// Reads `certificates` of `[auth]`. `None` after reporting what is wrong.
    pub fn read_all(auth: &Table<'_>) -> Option<Vec<KnownCertificate>> {
        let tables = auth.tables("certificates", &CERTIFICATES);
        let written = auth.get("certificates").and_then(|node| node.as_array()).map_or(0, <[_]>::len);
        let read: Vec<KnownCertificate> = tables.iter().filter_map(KnownCertificate::read).collect();
        (read.len() == written && !auth.failed()).then_some(read)
    }

    fn read(table: &Table<'_>) -> Option<KnownCertificate> {
        let kind = table.exactly_one(&["dns", "uri", "email", "common_name", "fingerprint"]);
        let client = table.filled("client");
        if let (Some(name), Some(node)) = (&client, table.get("client"))
            && (!is_key_name(name) || name == ANONYMOUS)
        {
            table.fail(node.fault(format!("`{name}` cannot be a client's name")));
        }
        let scopes = table.strings("scopes").unwrap_or_default();
        if let Some(bad) = scopes.iter().find(|scope| !is_scope(scope))
            && let Some(node) = table.get("scopes")
        {
            table.fail(node.fault(format!("`{bad}` is no scope")).help("scopes look like `read` or `orders:read`"));
        }
        let mut claims = BTreeMap::new();
        for (name, node) in table.free("claims") {
            match node.as_str() {
                Some(text) => drop(claims.insert(name.to_owned(), text.to_owned())),
                None => table.fail(node.fault(format!("expected a string, found {}", node.kind()))),
            }
        }
        let value = table.filled(kind?);
        if table.failed() {
            return None;
        }
        let mark = match (kind?, value?) {
            ("dns", name) => Mark::Dns(name.to_ascii_lowercase()),
            ("uri", uri) => Mark::Uri(uri),
            ("email", address) => Mark::Email(address),
            ("common_name", name) => Mark::CommonName(name),
            (_, digits) => {
                let digits = digits.replace(':', "").to_ascii_lowercase();
                if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    let node = table.get("fingerprint").unwrap_or(table.node());
                    table.fail(node.fault("a fingerprint is SHA-256: 64 digits in hexadecimal"));
                    return None;
                }
                Mark::Fingerprint(digits)
            }
        };
        Some(KnownCertificate { mark, client: client?, scopes, claims })
    }

    fn is(&self, certificate: &Certificate) -> bool {
        match &self.mark {
            Mark::Dns(name) => certificate.dns.contains(name),
            Mark::Uri(uri) => certificate.uris.contains(uri),
            Mark::Email(address) => certificate.emails.contains(address),
            Mark::CommonName(name) => certificate.common_name.as_ref() == Some(name),
            Mark::Fingerprint(digits) => certificate.fingerprint() == *digits,
        }
    }
}

/// The caller who has shown a certificate, where it is somebody's.
pub(super) fn caller(known: &[KnownCertificate], shown: &Certificate, clients: &Clients) -> Option<Arc<Caller>> {
    let known = known.iter().find(|known| known.is(shown))?;
    let id = format!("certificate {}", shown.fingerprint().get(..16).unwrap_or_default());
    let caller = Caller::new(&id, clients.of(&known.client), known.scopes.clone());
    let claims = known.claims.iter().map(|(name, text)| (name.clone(), text.clone().into())).collect();
    Some(Arc::new(caller.with_claims(claims)))
}
