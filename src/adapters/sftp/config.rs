//! An `sftp` backend's settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::trust::Trust;
use crate::adapters::inbox::remote::{self, Account};
use crate::adapters::inbox::{self, Pickup};
use crate::adapters::outbox::{OUTBOX, OUTBOX_WORK};
use crate::diagnostic::{Key, Presence, Section, Table, Written};
use crate::secret::{self, SecretRef};

/// Keys of `[backends.NAME.sftp]`.
pub static SECTION: Section = Section {
    path: "backends.NAME.sftp",
    doc: "Folders on an SFTP server that a system puts files into, and takes files from.",
    keys: &[
        remote::HOST,
        Key { name: "port", shape: "integer", presence: Presence::Default("22"), doc: "its port" },
        remote::USERNAME,
        remote::PASSWORD,
        Key {
            name: "private_key",
            shape: "path",
            presence: Presence::Optional,
            doc: "the key to log in with, instead of a password: OpenSSH, PEM or PuTTY format",
        },
        Key {
            name: "passphrase",
            shape: secret::SHAPE,
            presence: Presence::Optional,
            doc: "where the passphrase of the private key is",
        },
        Key {
            name: "host_key",
            shape: "string or array of strings",
            presence: Presence::Optional,
            doc: "fingerprint of the server's key, like `SHA256:...`; without it (or `known_hosts`) `check` shows the one that the server has, and nothing is read",
        },
        Key {
            name: "known_hosts",
            shape: "path",
            presence: Presence::Optional,
            doc: "a file of known host keys as OpenSSH keeps it, instead of `host_key`",
        },
        remote::INBOX,
        remote::ARCHIVE,
        remote::REJECTED,
        remote::TIMEOUT,
        Key {
            name: "keepalive",
            shape: "duration",
            presence: Presence::Default("\"15s\""),
            doc: "a silent server is asked so often whether it lives; after three without an answer the connection is over",
        },
        inbox::STABLE_FOR,
        inbox::DONE_FILE,
        inbox::IGNORE,
        inbox::TRAILER_WAIT,
        inbox::RECURSIVE,
        inbox::MATCH_CASE,
        inbox::ORDER,
        inbox::DUPLICATES,
        inbox::EMPTY,
        inbox::POLL,
        OUTBOX,
        OUTBOX_WORK,
    ],
};

/// An `sftp` backend's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where and who.
    pub account: Account,
    /// How to log in.
    pub login: Login,
    /// How the server is known.
    pub trust: Trust,
    /// Pause between signs of life.
    pub keepalive: Duration,
    /// Which files are taken, and when.
    pub pickup: Pickup,
}

/// How to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// By password.
    Password(SecretRef),
    /// By key.
    Key {
        /// The private key's file.
        path: PathBuf,
        /// What opens it.
        passphrase: Option<SecretRef>,
    },
}

impl Config {
    /// Reads the table; relative paths of this machine start at `base`. `None` after a fault was reported.
    pub fn read(table: &Table<'_>, base: &Path) -> Option<Config> {
        let pickup = Pickup::read(table);
        let account = Account::read(table, 22, pickup.as_ref().is_some_and(|pickup| pickup.recursive));
        let login = Login::read(table, base);
        let trust = Trust::read(table, base);
        let keepalive = remote::patience(table, "keepalive");
        if table.failed() {
            return None;
        }
        Some(Config { account: account?, login: login?, trust: trust?, keepalive: keepalive?, pickup: pickup? })
    }
}

impl Login {
    fn read(table: &Table<'_>, base: &Path) -> Option<Login> {
        let password = remote::secret(table, "password", base);
        let path = table.filled("private_key").map(|path| base.join(path));
        let passphrase = remote::secret(table, "passphrase", base);
        if let Some(node) = table.get("passphrase").filter(|_| !table.has("private_key")) {
            table.fail(node.key_fault("`passphrase` belongs to a `private_key`"));
        }
        match table.exactly_one(&["password", "private_key"])? {
            "password" => password.map(Login::Password),
            _ => path.map(|path| Login::Key { path, passphrase }),
        }
    }
}

impl Trust {
    fn read(table: &Table<'_>, base: &Path) -> Option<Trust> {
        if let Some(node) = table.get("known_hosts").filter(|_| table.has("host_key")) {
            table.fail(node.key_fault("`host_key` and `known_hosts` exclude each other"));
        }
        if let Some(path) = table.filled("known_hosts") {
            return Some(Trust::KnownHosts(base.join(path)));
        }
        if !table.has("host_key") {
            return Some(Trust::Nobody);
        }
        let keys = table.read("host_key", |node| {
            let texts = match &node.value {
                Written::String(text) => vec![text.as_str()],
                Written::Array(elements) => {
                    elements.iter().map(|e| e.as_str().ok_or("expected fingerprints")).collect::<Result<_, _>>()?
                }
                _ => return Err("expected a fingerprint like \"SHA256:...\"".to_owned()),
            };
            let parse = |text: &str| {
                text.parse().map_err(|_| {
                    format!("`{text}` is no fingerprint; `ssh-keygen -lf KEY.pub` prints one like \"SHA256:...\"")
                })
            };
            match texts.iter().map(|text| parse(text)).collect::<Result<Vec<_>, _>>()? {
                keys if keys.is_empty() => Err("names no key".to_owned()),
                keys => Ok(keys),
            }
        });
        keys.map(Trust::Fingerprints)
    }
}
