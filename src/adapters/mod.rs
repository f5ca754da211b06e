//! Doors to legacy systems. An adapter knows how to reach one kind of backend and nothing of what its data
//! mean: neither mapping nor staging.
//!
//! Every call that an adapter makes takes a [`Permit`](crate::gate::Permit) in its signature: an ungated call
//! does not compile.

pub mod files;
mod finding;
pub mod ftps;
pub mod inbox;
pub mod odbc;
pub mod outbox;
mod own;
pub mod sftp;
pub mod soap;
pub mod sql;
pub mod sql_server;

use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Section, Table};
use crate::web::tls;
use inbox::Door;
use outbox::Outbox;

pub use finding::Finding;

/// The settings of a legacy system of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdapterConfig {
    /// It puts files into an inbox, or takes files from an outbox.
    Files(Box<FilesConfig>),
    /// It is called.
    Soap(Box<soap::Config>),
    /// It is asked in SQL.
    Database(DatabaseConfig),
}

impl AdapterConfig {
    /// Every kind, by the key of its table.
    pub const KINDS: &[&str] = &["files", "sftp", "ftps", "soap", "odbc", "mssql"];

    /// The keys of a kind's table.
    pub fn section(kind: &str) -> Option<&'static Section> {
        match kind {
            "soap" => Some(&soap::SECTION),
            "odbc" => Some(&odbc::SECTION),
            "mssql" => Some(&sql_server::SECTION),
            _ => FilesConfig::section(kind),
        }
    }

    /// Reads the table of a kind; relative paths start at `base`. `None` after a fault was reported.
    pub fn read(kind: &str, table: &Table<'_>, base: &Path) -> Option<AdapterConfig> {
        match kind {
            "soap" => soap::Config::read(table, base).map(Box::new).map(AdapterConfig::Soap),
            "odbc" | "mssql" => DatabaseConfig::read(kind, table, base).map(AdapterConfig::Database),
            _ => FilesConfig::read(kind, table, base).map(Box::new).map(AdapterConfig::Files),
        }
    }

    /// Whether a backend of this kind is asked in SQL.
    pub fn is_database(kind: &str) -> bool {
        matches!(kind, "odbc" | "mssql")
    }

    /// Whether it is called, record by record.
    pub fn is_service(&self) -> bool {
        matches!(self, AdapterConfig::Soap(_))
    }

    /// Where the system is, for people: one place or, of files that come and go, two.
    pub fn places(&self) -> Vec<String> {
        match self {
            AdapterConfig::Files(files) => {
                let outbox = files.outbox().map(|outbox| outbox.place());
                files.inbox().map(|door| door.place()).into_iter().chain(outbox).collect()
            }
            AdapterConfig::Soap(soap) => vec![soap.endpoint.describe()],
            AdapterConfig::Database(database) => vec![database.place()],
        }
    }

    /// What a person should know of it although it works.
    pub fn doubts(&self) -> Vec<String> {
        match self {
            AdapterConfig::Files(files) => files.doubts(),
            AdapterConfig::Soap(soap) => soap.doubts(),
            AdapterConfig::Database(database) => database.doubts(),
        }
    }
}

/// The settings of a backend of files of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilesConfig {
    /// Folders.
    Folder(files::Config),
    /// Folders on an SFTP server.
    Sftp(sftp::Config),
    /// Folders on an FTP server.
    Ftps(ftps::Config),
}

impl FilesConfig {
    fn section(kind: &str) -> Option<&'static Section> {
        match kind {
            "files" => Some(&files::SECTION),
            "sftp" => Some(&sftp::SECTION),
            "ftps" => Some(&ftps::SECTION),
            _ => None,
        }
    }

    fn read(kind: &str, table: &Table<'_>, base: &Path) -> Option<FilesConfig> {
        match kind {
            "files" => files::Config::read(table, base).map(FilesConfig::Folder),
            "sftp" => sftp::Config::read(table, base).map(FilesConfig::Sftp),
            "ftps" => ftps::Config::read(table, base).map(FilesConfig::Ftps),
            _ => None,
        }
    }

    /// The door to the inbox, where there is one. Touches nothing yet.
    pub fn inbox(&self) -> Option<Door> {
        match self {
            FilesConfig::Folder(config) => config.inbox.clone().map(files::door),
            FilesConfig::Sftp(config) => sftp::door(config),
            FilesConfig::Ftps(config) => ftps::door(config),
        }
    }

    /// The outbox, where there is one. Touches nothing yet.
    pub fn outbox(&self) -> Option<Outbox> {
        match self {
            FilesConfig::Folder(config) => config.outbox.clone().map(files::outbox),
            FilesConfig::Sftp(config) => sftp::outbox(config),
            FilesConfig::Ftps(config) => ftps::outbox(config),
        }
    }

    fn doubts(&self) -> Vec<String> {
        match (self.inbox(), self, self.outbox()) {
            (Some(door), _, _) => door.doubts(),
            (None, FilesConfig::Ftps(config), Some(outbox)) => config.doubts(&outbox.place()),
            _ => Vec::new(),
        }
    }
}

/// The settings of a database of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseConfig {
    /// Behind an ODBC driver.
    #[cfg(feature = "odbc")]
    Odbc(odbc::Config),
    /// SQL Server.
    SqlServer(Box<sql_server::Config>),
}

impl DatabaseConfig {
    fn read(kind: &str, table: &Table<'_>, base: &Path) -> Option<DatabaseConfig> {
        if kind == "mssql" {
            let config = sql_server::Config::read(table, base)?;
            return Some(DatabaseConfig::SqlServer(Box::new(config)));
        }
        let config = odbc::Config::read(table, base)?;
        #[cfg(feature = "odbc")]
        return Some(DatabaseConfig::Odbc(config));
        #[cfg(not(feature = "odbc"))]
        {
            // Reading has reported that there is no ODBC in this program.
            drop(config);
            None
        }
    }

    /// The database; nothing is connected yet.
    pub fn open(&self) -> Arc<dyn sql::Database> {
        match self {
            #[cfg(feature = "odbc")]
            DatabaseConfig::Odbc(config) => Arc::new(odbc::Source::new(config.clone())),
            DatabaseConfig::SqlServer(config) => Arc::new(sql_server::SqlServer::new((**config).clone())),
        }
    }

    fn place(&self) -> String {
        match self {
            #[cfg(feature = "odbc")]
            DatabaseConfig::Odbc(config) => config.place(),
            DatabaseConfig::SqlServer(config) => config.place(),
        }
    }

    fn doubts(&self) -> Vec<String> {
        match self {
            #[cfg(feature = "odbc")]
            DatabaseConfig::Odbc(_) => self.open().doubts(),
            DatabaseConfig::SqlServer(config) => config.doubts(),
        }
    }
}
