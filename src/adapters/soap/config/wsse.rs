//! WS-Security in a backend's settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;

use super::login::{PEM, Pem};
use crate::adapters::soap::security::{PasswordType, UsernameToken};
use crate::diagnostic::{Key, Presence, Section, Table, parse_duration};
use crate::secret::{SHAPE, SecretRef};

/// Keys of `[backends.NAME.soap.wsse]`.
pub static WSSE: Section = Section {
    path: "backends.NAME.soap.wsse",
    doc: "WS-Security: what stands in the header of each envelope. A table of its own parts: account, time, signature.",
    keys: &[
        Key {
            name: "username",
            shape: "string",
            presence: Presence::Optional,
            doc: "the account of the UsernameToken",
        },
        Key { name: "password", shape: SHAPE, presence: Presence::Optional, doc: "where its password is" },
        Key {
            name: "digest",
            shape: "boolean",
            presence: Presence::Default("false"),
            doc: "send a digest of the password, of the nonce and of the time instead of the password; services of the WCF family take none",
        },
        Key {
            name: "nonce",
            shape: "boolean",
            presence: Presence::Optional,
            doc: "send a nonce, another each time; as `digest` when absent",
        },
        Key {
            name: "created",
            shape: "boolean",
            presence: Presence::Optional,
            doc: "send the time in the token; as `digest` when absent",
        },
        Key {
            name: "timestamp",
            shape: "duration",
            presence: Presence::Optional,
            doc: "send a Timestamp that is good for so long, like \"5m\"; none when absent",
        },
        Key {
            name: "clock_offset",
            shape: "duration, with `-` before it where it is behind",
            presence: Presence::Default("\"0s\""),
            doc: "how far the service's clock is ahead of ours; `tollbridge doctor` tells",
        },
        Key {
            name: "must_understand",
            shape: "boolean",
            presence: Presence::Default("false"),
            doc: "tell the service to refuse the call if it does not look at the header",
        },
        Key { name: "sign", shape: "table", presence: Presence::Optional, doc: "sign what is sent: see below" },
        Key {
            name: "verify",
            shape: "table",
            presence: Presence::Optional,
            doc: "take signed answers only: see below",
        },
    ],
};

/// Keys of `[backends.NAME.soap.wsse.sign]`.
pub static SIGN: Section = Section {
    path: "backends.NAME.soap.wsse.sign",
    doc: "Body, Timestamp and the headers of `addressing` are signed (RSA with SHA-256, exclusive canonicalization); the certificate goes with the signature.",
    keys: &PEM,
};

/// Keys of `[backends.NAME.soap.wsse.verify]`.
pub static VERIFY: Section = Section {
    path: "backends.NAME.soap.wsse.verify",
    doc: "An answer counts only if its body is signed by one of these certificates (RSA with SHA-256, 384 or 512). Faults and answers in parts are not verified: a fault is no data, and signed parts are refused.",
    keys: &[
        Key {
            name: "certificate",
            shape: "path",
            presence: Presence::Required,
            doc: "PEM file of the service's certificates, each of which is trusted by itself",
        },
        Key {
            name: "timestamp",
            shape: "boolean",
            presence: Presence::Default("true"),
            doc: "a time must be signed as well, and be now",
        },
        Key {
            name: "sha1",
            shape: "boolean",
            presence: Presence::Default("false"),
            doc: "take SHA-1 as well, although others may forge it",
        },
    ],
};

/// What stands in the header of each envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wsse {
    /// Name and password, and how they are sent.
    pub account: Option<(String, SecretRef, UsernameToken)>,
    /// How long a message is good, where it says so.
    pub timestamp: Option<Duration>,
    /// How far the service's clock is ahead.
    pub clock_offset: SignedDuration,
    /// The service must look at it.
    pub must_understand: bool,
    /// What messages are signed with.
    pub sign: Option<Pem>,
    /// Whose signatures are taken.
    pub verify: Option<Verify>,
}

/// Whose signatures are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    /// The file of their certificates.
    pub certificate: PathBuf,
    /// A time must be signed.
    pub timestamp: bool,
    /// SHA-1 is taken.
    pub sha1: bool,
}

impl Wsse {
    /// Whether envelopes get a header by it.
    pub(in crate::adapters::soap) fn writes(&self) -> bool {
        self.account.is_some() || self.timestamp.is_some() || self.sign.is_some()
    }

    pub(super) fn read(table: &Table<'_>, base: &Path) -> Option<Wsse> {
        let username = table.filled("username");
        let password = SecretRef::read(table, "password", base);
        for (has, lacks) in [("username", "password"), ("password", "username")] {
            if let (Some(node), false) = (table.get(has), table.has(lacks)) {
                table.fail(node.key_fault(format!("`{has}` needs `{lacks}` beside it")));
            }
        }
        let is_digest = table.boolean("digest")?;
        let has_nonce = if table.has("nonce") { table.boolean("nonce")? } else { is_digest };
        let has_created = if table.has("created") { table.boolean("created")? } else { is_digest };
        for name in ["digest", "nonce", "created"] {
            if let (Some(node), false) = (table.get(name), table.has("username")) {
                table.fail(node.key_fault(format!("`{name}` needs `username` and `password`")));
            }
        }
        let timestamp = table.get("timestamp").map(|_| table.positive_duration("timestamp"));
        let clock_offset = table.read("clock_offset", |node| {
            let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
            let (sign, length) = text.strip_prefix('-').map_or((1, text), |length| (-1, length));
            let length = parse_duration(length).and_then(|length| SignedDuration::try_from(length).ok());
            length.map(|length| length * sign).ok_or_else(|| format!("`{text}` is no duration like \"90s\" or \"-2m\""))
        });
        let must_understand = table.boolean("must_understand");
        let sign = table.get("sign").map(|_| Pem::read(&table.table("sign", &SIGN)?, base));
        let verify = table.get("verify").map(|_| {
            let inner = table.table("verify", &VERIFY)?;
            let certificate = inner.filled("certificate").map(|path| base.join(path));
            let (timestamp, sha1) = (inner.boolean("timestamp"), inner.boolean("sha1"));
            Some(Verify { certificate: certificate?, timestamp: timestamp?, sha1: sha1? })
        });
        let password_type = if is_digest { PasswordType::Digest } else { PasswordType::Text };
        let token = UsernameToken { password_type, has_nonce, has_created };
        let account = match (username, password) {
            (Some(username), Some(password)) => Some((username, password, token)),
            _ => None,
        };
        if account.is_none() && timestamp.is_none() && sign.is_none() && verify.is_none() && !table.failed() {
            table.fail(
                table.node().key_fault("`wsse` says nothing: it has `username`, `timestamp`, `sign` or `verify`"),
            );
        }
        if table.failed() {
            return None;
        }
        Some(Wsse {
            account,
            timestamp: flip(timestamp)?,
            clock_offset: clock_offset?,
            must_understand: must_understand?,
            sign: flip(sign)?,
            verify: flip(verify)?,
        })
    }
}

/// A part that is absent is well; one that is faulty is not.
pub(super) fn flip<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        Some(None) => None,
        Some(found) => Some(found),
        None => Some(None),
    }
}
