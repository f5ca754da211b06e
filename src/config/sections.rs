//! The sections that belong to no other part, and how sections are composed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::BackendConfig;
use crate::adapters::AdapterConfig;
use crate::diagnostic::{Faults, Key, Node, Presence, Section, Table, Written};
use crate::{gate, landing};

/// The file's own keys.
pub(super) static ROOT: Section = Section {
    path: "tollbridge.toml",
    doc: "The file's top level.",
    keys: &[
        Key {
            name: "mappings",
            shape: "path",
            presence: Presence::Default("\"mappings\""),
            doc: "folder of the mapping files; every `*.toml` in it is one resource version",
        },
        Key { name: "server", shape: "table", presence: Presence::Optional, doc: "the listeners" },
        Key { name: "auth", shape: "table", presence: Presence::Optional, doc: "who may read" },
        Key {
            name: "clients",
            shape: "tables",
            presence: Presence::Optional,
            doc: "the callers, by the name of their keys",
        },
        Key { name: "staging", shape: "table", presence: Presence::Optional, doc: "the staging database" },
        Key { name: "landing", shape: "table", presence: Presence::Optional, doc: "the store of raw input" },
        Key { name: "backends", shape: "tables", presence: Presence::Required, doc: "the legacy systems, by name" },
        Key { name: "telemetry", shape: "table", presence: Presence::Optional, doc: "logs" },
    ],
};

/// Keys of `[staging]`.
pub(super) static STAGING: Section = Section {
    path: "staging",
    doc: "The database of translated records.",
    keys: &[
        Key {
            name: "url",
            shape: "string",
            presence: Presence::Default("\"sqlite:var/staging.db\""),
            doc: "`sqlite:PATH` for the embedded database",
        },
        Key {
            name: "keep_deleted",
            shape: "duration",
            presence: Presence::Default("\"90d\""),
            doc: "how long a deleted document is remembered: its history, its changes in the feed, and that it was there",
        },
        Key {
            name: "keep_changes",
            shape: "duration",
            presence: Presence::Default("\"90d\""),
            doc: "how long a change is remembered, in the feed and in lineage, that a later one of the same document has overtaken",
        },
        Key {
            name: "keep_operations",
            shape: "duration",
            presence: Presence::Default("\"7d\""),
            doc: "how long a write is kept that is over, and with it its idempotency key; what is not over is kept longer",
        },
        Key {
            name: "keep_audit",
            shape: "duration",
            presence: Presence::Default("\"400d\""),
            doc: "how long the audit keeps who wrote what, and what the backend said; what operators decided is kept for ever",
        },
    ],
};

/// Keys of `[landing]`.
pub(super) static LANDING: Section = Section {
    path: "landing",
    doc: "The content-addressed store of raw input.",
    keys: &[
        Key { name: "path", shape: "path", presence: Presence::Default("\"var/landing\""), doc: "its folder" },
        Key {
            name: "keep",
            shape: "duration",
            presence: Presence::Default("\"90d\""),
            doc: "how long input is kept; what an open dead letter needs is kept longer",
        },
    ],
};

/// Keys of `[backends.NAME]`.
pub(super) static BACKEND: Section = Section {
    path: "backends.NAME",
    doc: "A legacy system: one table for how to reach it, one for its gate.",
    keys: &[
        Key { name: "files", shape: "table", presence: Presence::Optional, doc: "it writes files into a folder" },
        Key { name: "sftp", shape: "table", presence: Presence::Optional, doc: "it puts files on an SFTP server" },
        Key { name: "ftps", shape: "table", presence: Presence::Optional, doc: "it puts files on an FTP server" },
        Key { name: "soap", shape: "table", presence: Presence::Optional, doc: "it is a SOAP service" },
        Key {
            name: "odbc",
            shape: "table",
            presence: Presence::Optional,
            doc: "it is a database, asked through an ODBC driver",
        },
        Key { name: "mssql", shape: "table", presence: Presence::Optional, doc: "it is a SQL Server" },
        Key { name: "gate", shape: "table", presence: Presence::Optional, doc: "how much load it may see" },
    ],
};

/// The staging database's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagingConfig {
    /// The SQLite file.
    pub sqlite: PathBuf,
    /// How long deleted documents are remembered.
    pub keep_deleted: Duration,
    /// How long changes are remembered that later ones have overtaken.
    pub keep_changes: Duration,
    /// How long operations are kept that are over.
    pub keep_operations: Duration,
    /// How long the audit of writes is kept.
    pub keep_audit: Duration,
}

impl StagingConfig {
    pub(super) fn read(table: &Table<'_>, base: &Path) -> Option<StagingConfig> {
        let (keep_operations, keep_audit) = (table.duration("keep_operations"), table.duration("keep_audit"));
        let path = table.read("url", |node| {
            let url = node.as_str().unwrap_or_default();
            match url.split_once(':') {
                Some(("sqlite", path)) if !path.trim_start_matches('/').is_empty() => Ok(path.to_owned()),
                Some(("postgres" | "postgresql", _)) => {
                    Err("staging on PostgreSQL is not available in this version; use \"sqlite:PATH\"".to_owned())
                }
                _ => Err("this is no database; write \"sqlite:PATH\"".to_owned()),
            }
        })?;
        let keep_deleted = table.duration("keep_deleted")?;
        let keep_changes = table.duration("keep_changes")?;
        Some(StagingConfig {
            sqlite: base.join(path),
            keep_deleted,
            keep_changes,
            keep_operations: keep_operations?,
            keep_audit: keep_audit?,
        })
    }
}

/// Reads `[landing]`.
pub(super) fn landing(table: &Table<'_>, base: &Path) -> Option<landing::Config> {
    let (path, keep) = (table.filled("path"), table.duration("keep"));
    Some(landing::Config { path: base.join(path?), keep: keep? })
}

/// Reads a section that may be absent: then all its keys have their defaults.
pub(super) fn part<T>(
    table: &Table<'_>,
    name: &str,
    section: &'static Section,
    faults: &Faults,
    read: impl Fn(&Table<'_>) -> Option<T>,
) -> Option<T> {
    match table.get(name) {
        Some(node) => Table::new(node, section, faults).and_then(|table| read(&table)),
        None => {
            let node = table.node();
            let absent = Node { value: Written::Table(Default::default()), ..node.clone() };
            Table::new(&absent, section, faults).and_then(|table| read(&table))
        }
    }
}

/// The mappings' folder as written, or its default.
pub(super) fn mappings_folder(root: &Node) -> String {
    let quiet = Faults::new();
    let folder = Table::new(root, &ROOT, &quiet).and_then(|table| table.filled("mappings"));
    folder.unwrap_or_else(|| "mappings".to_owned())
}

/// What is known of a backend before it is read, even of one with faults.
pub(super) struct Known {
    pub(super) name: String,
    /// `None` where the kind is not clear.
    pub(super) kind: Option<&'static str>,
    /// Whether files come from it.
    pub(super) has_inbox: bool,
    /// Whether files go to it.
    pub(super) has_outbox: bool,
}

/// All backends by name.
pub(super) fn known_backends(root: &Node) -> Vec<Known> {
    let backends = root.as_table().and_then(|entries| entries.get("backends")).and_then(Node::as_table);
    let kind = |node: &Node| {
        let mut written = AdapterConfig::KINDS
            .iter()
            .copied()
            .filter(|kind| node.as_table().is_some_and(|entries| entries.contains_key(*kind)));
        written.next().filter(|_| written.next().is_none())
    };
    let known = |(name, node): (&String, &Node)| {
        let kind = kind(node);
        let settings = node.as_table().and_then(|entries| entries.get(kind?)?.as_table());
        let has = |key: &str| settings.is_some_and(|settings| settings.contains_key(key));
        Known { name: name.clone(), kind, has_inbox: has("inbox"), has_outbox: has("outbox") }
    };
    backends.into_iter().flatten().map(known).collect()
}

/// Reads all backends; those with faults are left out.
pub(super) fn backends(table: &Table<'_>, base: &Path, faults: &Faults) -> BTreeMap<String, BackendConfig> {
    if !table.has("backends") {
        table.table("backends", &BACKEND);
    }
    let mut backends: BTreeMap<String, BackendConfig> = BTreeMap::new();
    for (name, node) in table.free("backends") {
        let Some(backend) = Table::new(node, &BACKEND, faults) else { continue };
        let kind = backend.exactly_one(AdapterConfig::KINDS);
        let adapter = kind.zip(kind.and_then(AdapterConfig::section)).and_then(|(kind, section)| {
            part(&backend, kind, section, faults, |table| AdapterConfig::read(kind, table, base))
        });
        let gate = part(&backend, "gate", &gate::SECTION, faults, gate::Config::read);
        if let (Some(adapter), Some(gate)) = (adapter, gate) {
            let places = adapter.places();
            let shares = |place: &String, other: &BackendConfig| {
                other.adapter.places().iter().any(|theirs| same_place(theirs, place))
            };
            let shared = places.iter().find_map(|place| {
                backends.iter().find(|(_, other)| shares(place, other)).map(|(other, _)| (other.clone(), place))
            });
            if let Some((other, place)) = shared {
                let shared = match &adapter {
                    AdapterConfig::Soap(_) => "calls the same service",
                    AdapterConfig::Database(_) => "asks the same database",
                    AdapterConfig::Files(_) => "has the same folder",
                };
                let message = format!("backend `{other}` {shared}, {place}");
                let help = "an old system has one gate: let the mappings name one backend";
                faults.push(node.key_fault(message).help(help));
                continue;
            }
            let gate_values = backend.get("gate").map(gate::tuning::written).unwrap_or_default();
            backends.insert(name.to_owned(), BackendConfig { adapter, gate, gate_values });
        }
    }
    backends
}

/// Whether two places are one, however it is written.
fn same_place(one: &str, other: &str) -> bool {
    let real = |place: &str| std::fs::canonicalize(place).ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}
