//! A `files` backend's settings.

use std::path::{Path, PathBuf};

use crate::adapters::inbox::{self, Pickup};
use crate::diagnostic::{Key, Presence, Section, Table};

/// Keys of `[backends.NAME.files]`.
pub static SECTION: Section = Section {
    path: "backends.NAME.files",
    doc: "A folder that a legacy system puts files into.",
    keys: &[
        Key {
            name: "inbox",
            shape: "path",
            presence: Presence::Required,
            doc: "the folder; done and failed files move to `archive` and `rejected` beside it",
        },
        Key {
            name: "archive",
            shape: "path",
            presence: Presence::Optional,
            doc: "where read files go; default `archive` beside the inbox",
        },
        Key {
            name: "rejected",
            shape: "path",
            presence: Presence::Optional,
            doc: "where refused files go; default `rejected` beside the inbox",
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
    ],
};

/// A `files` backend's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where files arrive.
    pub inbox: PathBuf,
    /// Where read files go.
    pub archive: PathBuf,
    /// Where refused files go.
    pub rejected: PathBuf,
    /// Which files are taken, and when.
    pub pickup: Pickup,
}

impl Config {
    /// Reads the table; relative paths start at `base`. `None` after a fault was reported.
    pub fn read(table: &Table<'_>, base: &Path) -> Option<Config> {
        let inbox = table.filled("inbox").map(|path| base.join(path));
        let pickup = Pickup::read(table);
        let beside = |name: &str, inbox: &Path| match table.filled(name) {
            Some(path) => base.join(path),
            None => inbox.parent().unwrap_or(base).join(name),
        };
        let (inbox, pickup) = (inbox?, pickup?);
        let (archive, rejected) = (beside("archive", &inbox), beside("rejected", &inbox));
        for (name, folder) in [("archive", &archive), ("rejected", &rejected)] {
            let is_read_again = if pickup.recursive { folder.starts_with(&inbox) } else { *folder == inbox };
            if is_read_again {
                let node = table.get(name).unwrap_or(table.node());
                table.fail(node.fault(format!("`{name}` must lie outside of the inbox, or its files are read again")));
                return None;
            }
        }
        Some(Config { archive, rejected, inbox, pickup })
    }
}
