//! An `odbc` backend's settings.

use std::path::Path;
use std::time::Duration;

use super::connection_string::ConnectionString;
use super::quirks::{DIALECTS, QUIRKS, Quirks, TextWidth};
use crate::adapters::sql::Dialect;
use crate::decode::code_page::CodePage;
use crate::diagnostic::{Key, Presence, Section, Table};
use crate::secret::{SHAPE, SecretRef, literal_fault};

/// Keys of `[backends.NAME.odbc]`.
pub static SECTION: Section = Section {
    path: "backends.NAME.odbc",
    doc: "A database, asked in SQL through an ODBC driver that the site brings. What is known of the driver (options that keep memory flat, how text is read, whether a call can be cancelled) is set by itself; what is written here wins.",
    keys: &[
        Key {
            name: "connection",
            shape: "string",
            presence: Presence::Required,
            doc: "the connection string, like `Driver=SQLite3;Database=legacy.sqlite` or `DSN=old`, without a password; a file of a driver that reads files starts at the configuration's folder",
        },
        Key { name: "username", shape: "string", presence: Presence::Optional, doc: "the account (`UID`)" },
        Key { name: "password", shape: SHAPE, presence: Presence::Optional, doc: "where its password is (`PWD`)" },
        Key {
            name: "timeout",
            shape: "duration",
            presence: Presence::Default("\"30s\""),
            doc: "how long a call may take that says nothing else; then it is cancelled",
        },
        Key {
            name: "connect_timeout",
            shape: "duration",
            presence: Presence::Default("\"10s\""),
            doc: "how long connecting may take",
        },
        Key {
            name: "text",
            shape: "\"wide\" | \"narrow\"",
            presence: Presence::Optional,
            doc: "how text is asked for: in UTF-16, or in bytes of a code page; what suits the driver when absent",
        },
        Key { name: "encoding", shape: "code page", presence: Presence::Default("\"utf-8\""), doc: "of narrow text" },
        Key {
            name: "max_value_bytes",
            shape: "integer",
            presence: Presence::Default("65536"),
            doc: "a longer value makes its record a dead letter (`value.too_long`), 256 to 268435456",
        },
        Key {
            name: "batch_rows",
            shape: "integer",
            presence: Presence::Default("2048"),
            doc: "the most rows that are asked of the driver at a time, 1 to 65536",
        },
        Key {
            name: "dialect",
            shape: "word",
            presence: Presence::Optional,
            doc: "how statements are written: `sql-server`, `postgres`, `mysql`, `sqlite`, `oracle`, `db2`, `informix`, `progress`, `firebird`, `generic`; what the driver says when absent",
        },
        Key {
            name: "quirks",
            shape: "word",
            presence: Presence::Optional,
            doc: "what is taken for known of the driver: `psqlodbc`, `sqlite`, `mariadb`, `freetds`, `mdbtools`, `msodbcsql`, `ibmi`, `db2`, `oracle`, `informix`, `progress`, `firebird`, `generic`; found by the driver's name when absent",
        },
    ],
};

/// An `odbc` backend's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whom to connect to, as written; paths of files are absolute.
    pub connection: ConnectionString,
    /// The account.
    pub username: Option<String>,
    /// Where its password is.
    pub password: Option<SecretRef>,
    /// Of calls that say nothing else.
    pub timeout: Duration,
    /// For connecting.
    pub connect_timeout: Duration,
    /// How text is asked for, where it is said.
    pub text: Option<TextWidth>,
    /// The name of the code page of narrow text.
    pub encoding: String,
    /// The longest value that is read.
    pub max_value: usize,
    /// The most rows of a block.
    pub batch_rows: usize,
    /// How statements are written, where it is said.
    pub dialect: Option<Dialect>,
    /// The row of the table of quirks, where it is said.
    pub quirks: Option<&'static str>,
}

impl Config {
    /// Reads the table; relative paths start at `base`. `None` after a fault was reported.
    pub fn read(table: &Table<'_>, base: &Path) -> Option<Config> {
        if !cfg!(feature = "odbc") {
            let fault = table.node().key_fault("this program was built without ODBC");
            table.fail(fault.help("build it with the feature `odbc`, which is on by default and needs unixODBC"));
            return None;
        }
        let quirks = table.read("quirks", |node| match node.as_str().and_then(Quirks::named) {
            Some(quirks) => Ok(quirks.name),
            None => {
                let known: Vec<_> = QUIRKS.iter().map(|quirks| format!("`{}`", quirks.name)).collect();
                Err(format!("is none of {}", known.join(", ")))
            }
        });
        let connection = connection(table, base, quirks);
        let encoding = table.read("encoding", |node| {
            let name = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
            CodePage::find(name)
                .map(|page| page.name().to_owned())
                .map_err(|fault| format!("{fault}; {}", fault.help()))
        });
        let text = table.one_of("text", &[("wide", TextWidth::Wide), ("narrow", TextWidth::Narrow)]);
        if let (Some(TextWidth::Wide), Some(node)) = (text, table.get("encoding")) {
            table.fail(node.key_fault("`encoding` has no meaning where text is read in UTF-16 (`text = \"wide\"`)"));
        }
        let username = table.filled("username");
        if let (Some(node), Some(string)) = (table.get("username"), &connection)
            && string.first(&["UID", "User", "Username"]).is_some()
        {
            table.fail(node.key_fault("the account stands in `connection` already"));
        }
        let password = SecretRef::read(table, "password", base);
        let timeout = table.positive_duration("timeout");
        let connect_timeout = table.positive_duration("connect_timeout");
        let max_value = table.integer("max_value_bytes", 256..=268_435_456);
        let batch_rows = table.integer("batch_rows", 1..=65_536);
        let dialect = table.one_of("dialect", DIALECTS);
        if table.failed() {
            return None;
        }
        Some(Config {
            connection: connection?,
            username,
            password,
            timeout: timeout?,
            connect_timeout: connect_timeout?,
            text,
            encoding: encoding?,
            max_value: usize::try_from(max_value?).ok()?,
            batch_rows: usize::try_from(batch_rows?).ok()?,
            dialect,
            quirks,
        })
    }

    /// Where it is, for people: what a secret is never part of.
    pub fn place(&self) -> String {
        format!("odbc:{}", self.connection)
    }

    /// What is known of the driver. `None` where the string names a data source, whose driver only the driver manager
    /// knows.
    pub fn quirks(&self) -> Option<&'static Quirks> {
        let named = self.quirks.and_then(Quirks::named);
        named.or_else(|| self.connection.get("Driver").map(Quirks::of_driver))
    }
}

fn connection(table: &Table<'_>, base: &Path, quirks: Option<&'static str>) -> Option<ConnectionString> {
    if let Some(node) = table.get("connection")
        && let Some(text) = node.as_str()
        && let Ok(string) = ConnectionString::parse(text)
        && let Some((key, value)) = string.secret()
    {
        let message = format!("`connection`: a secret is not written here, and `{key}` is one");
        table.fail(literal_fault(node, value, message).help("say where it is by `password`, like { env = \"NAME\" }"));
        return None;
    }
    let mut string = table.read("connection", |node| {
        let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
        let string = ConnectionString::parse(text)?;
        match string.first(&["Driver", "DSN", "FileDSN"]) {
            Some(name) if !name.is_empty() => Ok(string),
            _ => Err("names neither a driver (`Driver=...`) nor a data source (`DSN=...`)".to_owned()),
        }
    })?;
    let quirks = quirks.and_then(Quirks::named).or_else(|| string.get("Driver").map(Quirks::of_driver));
    for key in quirks.map_or(&[][..], |quirks| quirks.file) {
        if let Some(path) = string.get(key)
            && !path.is_empty()
            && !path.starts_with(':')
        {
            let path = base.join(path).to_string_lossy().into_owned();
            string.replace(key, path);
        }
    }
    Some(string)
}
