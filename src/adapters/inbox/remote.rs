//! What inboxes on servers have in common: their keys, their folders, and names that can be trusted.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::Fate;
use crate::adapters::outbox;
use crate::diagnostic::{Key, Presence, Table};
use crate::secret::{self, SecretRef};

pub(in crate::adapters) const HOST: Key =
    Key { name: "host", shape: "string", presence: Presence::Required, doc: "the server's name or address" };
pub(in crate::adapters) const USERNAME: Key =
    Key { name: "username", shape: "string", presence: Presence::Required, doc: "who logs in" };
pub(in crate::adapters) const PASSWORD: Key = Key {
    name: "password",
    shape: secret::SHAPE,
    presence: Presence::Optional,
    doc: "where the password is; never the password itself",
};
pub(in crate::adapters) const INBOX: Key = Key {
    name: "inbox",
    shape: "string",
    presence: Presence::Optional,
    doc: "the folder on the server that the system puts files into; done and failed files move to `archive` and `rejected` beside it. It or `outbox` is needed",
};
pub(in crate::adapters) const ARCHIVE: Key = Key {
    name: "archive",
    shape: "string",
    presence: Presence::Optional,
    doc: "where read files go, on the server; default `archive` beside the inbox",
};
pub(in crate::adapters) const REJECTED: Key = Key {
    name: "rejected",
    shape: "string",
    presence: Presence::Optional,
    doc: "where refused files go, on the server; default `rejected` beside the inbox",
};
pub(in crate::adapters) const TIMEOUT: Key = Key {
    name: "timeout",
    shape: "duration",
    presence: Presence::Default("\"30s\""),
    doc: "how long the server may take for any one answer, 1s at least",
};

/// Where and who: what every server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who logs in.
    pub username: String,
    /// How long any one answer may take.
    pub timeout: Duration,
    /// The folders that files come in.
    pub inbox: Option<Folders>,
    /// The folders that files go out by.
    pub outbox: Option<outbox::Folders>,
}

/// The folders on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// Where files arrive.
    pub inbox: String,
    /// Where read files go.
    pub archive: String,
    /// Where refused files go.
    pub rejected: String,
}

impl Account {
    /// Reads the keys; reports all faults before it answers `None`.
    pub(in crate::adapters) fn read(table: &Table<'_>, default_port: u16, recursive: bool) -> Option<Account> {
        let host = table.filled("host");
        let port = match table.get("port") {
            None => Some(default_port),
            Some(_) => table.integer("port", 1..=65535).and_then(|port| u16::try_from(port).ok()),
        };
        let username = table.filled("username");
        let timeout = patience(table, "timeout");
        let inbox = table.has("inbox").then(|| Folders::read(table, recursive));
        let outbox = outbox::Folders::read(table);
        let is_within = |folder: &str, above: &str| folder == above || folder.starts_with(&format!("{above}/"));
        if let (Some(Some(inbox)), Some(out), Some(node)) = (&inbox, &outbox, table.get("outbox"))
            && (out.outbox == inbox.inbox || (recursive && is_within(&out.outbox, &inbox.inbox)))
        {
            table.fail(node.fault("`outbox` must lie outside of the inbox, or its files are read"));
        }
        if let (Some(Some(inbox)), Some(out), Some(node)) = (&inbox, &outbox, table.get("outbox_work"))
            && [&inbox.inbox, &inbox.archive, &inbox.rejected].contains(&&out.work)
        {
            table.fail(node.fault("`outbox_work` is a folder that has files of its own"));
        }
        if inbox.is_none() && !table.has("outbox") {
            needs_a_folder(table);
        }
        if table.failed() {
            return None;
        }
        let inbox = inbox.flatten();
        Some(Account { host: host?, port: port?, username: username?, timeout: timeout?, inbox, outbox })
    }

    /// The address of a folder as in a URL, without a secret.
    pub(in crate::adapters) fn url(&self, scheme: &str, folder: &str) -> String {
        let folder = folder.trim_start_matches('/');
        format!("{scheme}://{}@{}:{}/{folder}", self.username, self.host, self.port)
    }
}

/// Reports a backend of files that has neither folder.
pub(in crate::adapters) fn needs_a_folder(table: &Table<'_>) {
    let fault = table.node().key_fault(format!("`{}` has neither `inbox` nor `outbox`", table.section().path));
    table
        .fail(fault.help("name the folder that the system puts files into, the one that it takes files from, or both"));
}

impl Folders {
    fn read(table: &Table<'_>, recursive: bool) -> Option<Folders> {
        let inbox = trim(table.filled("inbox")?);
        let beside = |name: &str| match table.filled(name) {
            Some(folder) => trim(folder),
            None => match inbox.rsplit_once('/') {
                Some((parent, _)) => format!("{parent}/{name}"),
                None => name.to_owned(),
            },
        };
        let folders = Folders { archive: beside("archive"), rejected: beside("rejected"), inbox };
        for (name, folder) in [("archive", &folders.archive), ("rejected", &folders.rejected)] {
            let is_below = recursive && folder.starts_with(&format!("{}/", folders.inbox));
            if *folder == folders.inbox || is_below {
                let node = table.get(name).unwrap_or(table.node());
                table.fail(node.fault(format!("`{name}` must lie outside of the inbox, or its files are read again")));
                return None;
            }
        }
        Some(folders)
    }

    /// Where a file with this fate goes.
    pub(in crate::adapters) fn of(&self, fate: Fate) -> &str {
        match fate {
            Fate::Archived => &self.archive,
            Fate::Rejected => &self.rejected,
        }
    }
}

/// Without the slashes at its end.
pub(in crate::adapters) fn trim(folder: String) -> String {
    match folder.trim_end_matches('/') {
        "" => folder,
        trimmed => trimmed.to_owned(),
    }
}

/// A length of time that a server is waited for.
pub(in crate::adapters) fn patience(table: &Table<'_>, name: &str) -> Option<Duration> {
    table.read(name, |node| {
        let patience = node.as_str().and_then(crate::diagnostic::parse_duration);
        patience
            .filter(|patience| (1..=3600).contains(&patience.as_secs()))
            .ok_or_else(|| "must be a length of time from \"1s\" to \"1h\"".to_owned())
    })
}

/// A secret's reference; `None` where it is absent or was faulty.
pub(in crate::adapters) fn secret(table: &Table<'_>, name: &str, base: &Path) -> Option<SecretRef> {
    SecretRef::read(table, name, base)
}

/// Folder and name.
pub(in crate::adapters) fn join(folder: &str, name: &str) -> String {
    if folder.ends_with('/') { format!("{folder}{name}") } else { format!("{folder}/{name}") }
}

/// Whether a server's listing may name an entry so: one part of a path, of text that reads back as the same
/// bytes. Anything else is passed over, as it could not be asked for again, or leads elsewhere.
pub(in crate::adapters) fn is_plain(name: &str) -> bool {
    let is_odd = |c: char| c.is_control() || c == '/' || c == char::REPLACEMENT_CHARACTER;
    !name.is_empty() && name != "." && name != ".." && !name.contains(is_odd)
}

/// The name with a number behind it from 2 on.
pub(in crate::adapters) fn numbered(target: &str, number: u64) -> String {
    if number == 1 { target.to_owned() } else { format!("{target}.{number}") }
}

/// A number, from 1 on, that is not taken: the first one where they were taken one after the other. A feed that always sends
/// the same name has tens of thousands in the archive, so not all of them are asked for.
pub(in crate::adapters) fn free_number<E: From<io::Error>>(
    mut is_taken: impl FnMut(u64) -> Result<bool, E>,
) -> Result<u64, E> {
    let (mut taken, mut free) = (0u64, 1u64);
    while is_taken(free)? {
        taken = free;
        free = free.checked_mul(2).ok_or_else(|| io::Error::from(io::ErrorKind::AlreadyExists))?;
    }
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_taken(middle)? {
            taken = middle;
        } else {
            free = middle;
        }
    }
    Ok(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_cannot_lead_astray() {
        for name in ["ORD1.DAT", "ä ö.csv", "a;b", "-rf"] {
            assert!(is_plain(name), "{name}");
        }
        for name in ["", ".", "..", "../../etc/passwd", "/etc/passwd", "a\nb", "a\rDELE b", "x\u{fffd}.csv"] {
            assert!(!is_plain(name), "{name:?}");
        }
    }

    #[test]
    fn names_of_the_archive() {
        assert_eq!([1, 2, 30].map(|number| numbered("a.csv", number)), ["a.csv", "a.csv.2", "a.csv.30"]);
        assert_eq!(
            (join("/", "a"), join("/in", "a"), join("in", "a")),
            ("/a".to_owned(), "/in/a".to_owned(), "in/a".to_owned())
        );
        assert_eq!((trim("/in//".to_owned()), trim("/".to_owned())), ("/in".to_owned(), "/".to_owned()));
    }

    /// However many there are, few are asked for, and the first one that is free is found.
    #[test]
    fn a_free_number() {
        for taken in [0u64, 1, 2, 3, 4, 5, 100, 4095, 4096, 1_000_000] {
            let mut asked = 0;
            let found = free_number(|number| {
                asked += 1;
                Ok::<_, io::Error>(number <= taken)
            });
            assert_eq!(found.unwrap(), taken + 1);
            assert!(asked <= 2 * (taken + 1).ilog2() + 2, "{taken}: {asked}");
        }
        // Where some were taken away any free one will do.
        let gaps = |number: u64| Ok::<_, io::Error>(number != 3 && number < 9);
        let found = free_number(gaps).unwrap();
        assert!(!gaps(found).unwrap());
        assert!(free_number(|_| Ok::<_, io::Error>(true)).is_err());
    }
}
