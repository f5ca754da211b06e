//! A `files` backend's settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

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
            name: "stable_for",
            shape: "duration",
            presence: Presence::Default("\"5s\""),
            doc: "a file is taken when it has not changed for this long",
        },
        Key {
            name: "done_file",
            shape: "string",
            presence: Presence::Optional,
            doc: "a file is taken only when this one is there too; `{name}` stands for the file's name: \"{name}.done\"",
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
    /// How long a file must be unchanged.
    pub stable_for: Duration,
    /// Name of the file that announces another, with `{name}` in it.
    pub done_file: Option<String>,
}

impl Config {
    /// Reads the table; relative paths start at `base`. `None` after a fault was reported.
    pub fn read(table: &Table<'_>, base: &Path) -> Option<Config> {
        let inbox = table.filled("inbox").map(|path| base.join(path));
        let stable_for = table.duration("stable_for");
        let done_file = table.filled("done_file");
        let beside = |name: &str, inbox: &Path| match table.filled(name) {
            Some(path) => base.join(path),
            None => inbox.parent().unwrap_or(base).join(name),
        };
        if let (Some(done), Some(node)) = (&done_file, table.get("done_file"))
            && (!done.contains("{name}") || done.contains('/') || done == "{name}")
        {
            let fault =
                node.fault(format!("`done_file` \"{done}\" must be a file name with `{{name}}` and more in it"));
            table.fail(fault.help("for example \"{name}.done\""));
            return None;
        }
        let (inbox, stable_for) = (inbox?, stable_for?);
        let (archive, rejected) = (beside("archive", &inbox), beside("rejected", &inbox));
        if archive == inbox || rejected == inbox {
            table.fail(table.node().key_fault("`archive` and `rejected` must be other folders than `inbox`"));
            return None;
        }
        Some(Config { archive, rejected, inbox, stable_for, done_file })
    }

    /// The name of the file that announces `name`.
    pub(super) fn done_file_of(&self, name: &str) -> Option<String> {
        self.done_file.as_ref().map(|done| done.replace("{name}", name))
    }
}
