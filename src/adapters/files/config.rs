//! A `files` backend's settings.

use std::path::{Path, PathBuf};

use super::outgoing::{OUTBOX_MODE, OutboxConfig};
use crate::adapters::inbox::remote::needs_a_folder;
use crate::adapters::inbox::{self, Pickup};
use crate::adapters::outbox::{OUTBOX, OUTBOX_WORK};
use crate::diagnostic::{Key, Presence, Section, Table};

/// Keys of `[backends.NAME.files]`.
pub static SECTION: Section = Section {
    path: "backends.NAME.files",
    doc: "Folders that a legacy system puts files into, and takes files from.",
    keys: &[
        Key {
            name: "inbox",
            shape: "path",
            presence: Presence::Optional,
            doc: "the folder that the system puts files into; done and failed files move to `archive` and `rejected` beside it. It or `outbox` is needed",
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
        OUTBOX,
        OUTBOX_WORK,
        OUTBOX_MODE,
    ],
};

/// A `files` backend's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The folder that files come in by.
    pub inbox: Option<InboxConfig>,
    /// The folder that they go out by.
    pub outbox: Option<OutboxConfig>,
}

/// An inbox with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxConfig {
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
        let inbox = table.has("inbox").then(|| InboxConfig::read(table, base)).flatten();
        let outbox = OutboxConfig::read(table, base);
        if let (Some(inbox), Some(out), Some(node)) = (&inbox, &outbox, table.get("outbox"))
            && (out.outbox == inbox.inbox || (inbox.pickup.recursive && out.outbox.starts_with(&inbox.inbox)))
        {
            table.fail(node.fault("`outbox` must lie outside of the inbox, or its files are read"));
        }
        if let (Some(inbox), Some(work)) = (&inbox, outbox.as_ref().and_then(|out| out.work.as_ref()))
            && [&inbox.inbox, &inbox.archive, &inbox.rejected].contains(&work)
            && let Some(node) = table.get("outbox_work")
        {
            table.fail(node.fault("`outbox_work` is a folder that has files of its own"));
        }
        if !table.has("inbox") && !table.has("outbox") {
            needs_a_folder(table);
        }
        (!table.failed()).then_some(Config { inbox, outbox })
    }
}

impl InboxConfig {
    fn read(table: &Table<'_>, base: &Path) -> Option<InboxConfig> {
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
        Some(InboxConfig { archive, rejected, inbox, pickup })
    }
}
