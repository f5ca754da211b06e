//! Tables and queries of an old system as sources: what is read of them, what is found of changes and deletes, and what
//! stays true when something breaks. SQLite files stand for the old database where nothing else matters, PostgreSQL where
//! transactions do.

mod broken;
mod changes;
mod elsewhere;
mod ends;
mod freetds;
mod keys;
mod kill;
mod letters;
mod mariadb;
mod odbc_faults;
mod old_tls;
mod postgres;
mod presets;
mod proposals;
mod snapshot;
mod sql_server;
mod sql_server_faults;
mod sql_server_ways;
mod together;
mod together_log;
mod too_long;
mod types;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tollbridge::record::ResourceId;
use tollbridge::staging::sqlite::{Config, SqliteStaging};
use tollbridge::staging::{ListQuery, Staging, StagingError};

use crate::site::Site;

/// A folder with a configuration and the mapping `items` of a table in a SQLite file.
pub(crate) struct Legacy {
    pub(crate) site: Site,
}

/// The fields of most tests.
const FIELDS: &str =
    "no = { from = 'NO' }\nname = { from = 'NAME', blank = 'null' }\nqty = { from = 'QTY', type = 'integer' }\n";

impl Legacy {
    /// `source` is the table `[source.table]` or `[source.query]`; `schema` makes the old database.
    fn new(source: &str, fields: &str, schema: &str) -> Legacy {
        let legacy = Legacy::with_backend("connection = \"Driver=SQLite3;Database=old.sqlite\"", source, fields);
        legacy.sql(schema);
        legacy
    }

    /// Changes a word of the configuration.
    fn reconfigure(&self, from: &str, to: &str) {
        let config = std::fs::read_to_string(self.site.path("tollbridge.toml")).unwrap();
        assert!(config.contains(from), "{config}");
        self.site.write("tollbridge.toml", config.replace(from, to).as_bytes());
    }

    fn with_backend(connection: &str, source: &str, fields: &str) -> Legacy {
        Legacy::with_kind("odbc", connection, source, fields)
    }

    fn with_kind(kind: &str, connection: &str, source: &str, fields: &str) -> Legacy {
        let site = Site::new();
        let config = format!(
            "[backends.old.{kind}]\n{connection}\n[backends.old.gate]\nsettle = \"0s\"\n[telemetry]\nlog = \"text\"\n"
        );
        site.write("tollbridge.toml", config.as_bytes());
        let legacy = Legacy { site };
        legacy.mapping("schedule = 'manual'", source, fields);
        legacy
    }

    fn mapping(&self, schedule: &str, source: &str, fields: &str) {
        let mapping = format!(
            "resource = 'items'\nversion = 1\nkey = ['no']\n[source]\nbackend = 'old'\n{schedule}\n{source}\n[fields]\n{fields}"
        );
        self.site.write("mappings/items.v1.toml", mapping.as_bytes());
    }

    /// Does statements in the old database.
    fn sql(&self, statements: &str) {
        let database = rusqlite::Connection::open(self.site.path("old.sqlite")).unwrap();
        database.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        database.execute_batch(statements).unwrap();
    }

    /// One run that ends well, with its balance.
    fn sync(&self) -> Value {
        self.sync_as(&["sync", "items"])
    }

    fn sync_as(&self, arguments: &[&str]) -> Value {
        let (said, code) = self.site.json(arguments);
        let summary = said[0].clone();
        assert!(code <= 1 && summary["error"].is_null(), "{said:?}");
        balanced(&summary);
        self.balances();
        summary
    }

    /// One run that fails, with its words.
    fn fails(&self) -> String {
        let (said, code) = self.site.json(&["sync", "items"]);
        assert!(code >= 1, "{said:?}");
        self.balances();
        said[0]["error"].as_str().unwrap_or_else(|| panic!("{said:?}")).to_owned()
    }

    /// All documents by key.
    fn documents(&self) -> BTreeMap<String, Value> {
        documents(&self.site.path("var/staging.db"))
    }

    fn keys(&self) -> Vec<String> {
        self.documents().into_keys().collect()
    }

    /// Whether the balance of every run holds.
    fn balances(&self) {
        let path = self.site.path("var/staging.db");
        on_staging(&path, async |staging| {
            for run in staging.runs(None, 10_000).await.unwrap() {
                assert!(run.balance.holds(), "{run:?}");
            }
        });
    }
}

fn balanced(summary: &Value) {
    let number = |name: &str| summary[name].as_u64().unwrap();
    let sum = number("staged") + number("unchanged") + number("dead") + number("skipped");
    assert_eq!(number("read"), sum, "{summary}");
}

fn on_staging<T>(path: &Path, work: impl AsyncFnOnce(&SqliteStaging) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let staging = SqliteStaging::open(path, &Config::default()).unwrap();
        work(&staging).await
    })
}

pub(crate) fn documents(path: &Path) -> BTreeMap<String, Value> {
    documents_of("items.v1", path)
}

pub(crate) fn documents_of(resource: &str, path: &Path) -> BTreeMap<String, Value> {
    on_staging(path, async |staging| {
        let id: ResourceId = resource.parse().unwrap();
        let mut found = BTreeMap::new();
        let mut query = ListQuery { limit: 5000, ..ListQuery::default() };
        loop {
            let page = match staging.list(&id, query.clone()).await {
                Err(StagingError::UnknownResource(_)) => return found,
                page => page.unwrap(),
            };
            for row in page.rows.iter() {
                let document: Value = serde_json::from_slice(row).unwrap();
                let key = &document["no"];
                found.insert(key.as_str().map_or_else(|| key.to_string(), str::to_owned), document);
            }
            query.after = page.next;
            if query.after.is_none() {
                return found;
            }
        }
    })
}

/// Some counts of a summary.
fn counts(summary: &Value) -> [u64; 4] {
    ["read", "staged", "dead", "deleted"].map(|name| summary[name].as_u64().unwrap())
}
