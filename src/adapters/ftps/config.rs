//! An `ftps` backend's settings.

use std::path::{Path, PathBuf};

use encoding_rs::Encoding;

use crate::adapters::inbox::remote::{self, Account};
use crate::adapters::inbox::{self, Pickup};
use crate::adapters::outbox::{OUTBOX, OUTBOX_WORK};
use crate::diagnostic::{Key, Presence, Section, Table};
use crate::secret::SecretRef;

/// Keys of `[backends.NAME.ftps]`.
pub static SECTION: Section = Section {
    path: "backends.NAME.ftps",
    doc: "Folders on an FTP server that a system puts files into, and takes files from; over TLS unless it says otherwise, always in passive mode.",
    keys: &[
        remote::HOST,
        Key {
            name: "port",
            shape: "integer",
            presence: Presence::Optional,
            doc: "its port; default 21, and 990 where TLS is implicit",
        },
        remote::USERNAME,
        remote::PASSWORD,
        Key {
            name: "tls",
            shape: "\"explicit\" | \"implicit\" | \"off\"",
            presence: Presence::Default("\"explicit\""),
            doc: "asked for on the plain port; from the first byte on; not at all: then password and files can be read and changed on the way",
        },
        Key {
            name: "ca",
            shape: "path",
            presence: Presence::Optional,
            doc: "PEM file of the certificates that vouch for the server; those of the system when absent",
        },
        Key {
            name: "encoding",
            shape: "string",
            presence: Presence::Default("\"utf-8\""),
            doc: "the encoding of file names, by its WHATWG label: old servers speak `windows-1252` and the like",
        },
        remote::INBOX,
        remote::ARCHIVE,
        remote::REJECTED,
        remote::TIMEOUT,
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

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Asked for on the plain port (RFC 4217).
    Explicit,
    /// From the first byte on.
    Implicit,
    /// Not at all.
    Off,
}

/// An `ftps` backend's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where and who.
    pub account: Account,
    /// The password.
    pub password: SecretRef,
    /// How the connection is protected.
    pub tls: Tls,
    /// Who vouches for the server; the system's list when absent.
    pub ca: Option<PathBuf>,
    /// The encoding of file names.
    pub encoding: &'static Encoding,
    /// Which files are taken, and when.
    pub pickup: Pickup,
}

impl Config {
    /// Reads the table; relative paths of this machine start at `base`. `None` after a fault was reported.
    pub fn read(table: &Table<'_>, base: &Path) -> Option<Config> {
        let pickup = Pickup::read(table);
        let tls = table.one_of("tls", &[("explicit", Tls::Explicit), ("implicit", Tls::Implicit), ("off", Tls::Off)]);
        let port = if tls == Some(Tls::Implicit) { 990 } else { 21 };
        let account = Account::read(table, port, pickup.as_ref().is_some_and(|pickup| pickup.recursive));
        let password = remote::secret(table, "password", base);
        if !table.has("password") {
            let missing = table.node().key_fault("`backends.NAME.ftps` has no `password`");
            table.fail(missing.help("add where it is, like password = { env = \"NAME\" }"));
        }
        let encoding = table.read("encoding", |node| {
            let label = node.as_str().unwrap_or_default();
            let known = Encoding::for_label(label.as_bytes()).filter(|encoding| encoding.is_ascii_compatible());
            known.ok_or_else(|| format!("`{label}` is no encoding of file names"))
        });
        let ca = table.filled("ca").map(|path| base.join(path));
        if let Some(node) = table.get("ca").filter(|_| tls == Some(Tls::Off)) {
            table.fail(node.key_fault("`ca` has no meaning where `tls` is off"));
        }
        if table.failed() {
            return None;
        }
        Some(Config { account: account?, password: password?, tls: tls?, ca, encoding: encoding?, pickup: pickup? })
    }
}
