//! From SQLite's errors to the contract's.
//!
//! Statements inside this folder fail with [`Fault`], which needs no words; the one place that knows what was
//! being done, and to which database, adds them ([`Fault::told`]).

use std::path::Path;

use rusqlite::ErrorCode;

use crate::staging::StagingError;

/// SQLite's extended code for "the shared-memory file cannot grow": in practice, a full disk.
const SQLITE_IOERR_SHMSIZE: i32 = 4874;

/// Why a step failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite says no.
    Sql(rusqlite::Error),
    /// The contract says no.
    Refused(StagingError),
    /// The machinery around SQLite says no.
    Broken(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sql(error)
    }
}

impl From<StagingError> for Fault {
    fn from(error: StagingError) -> Fault {
        Fault::Refused(error)
    }
}

impl Fault {
    /// The contract's error: `doing` is a verb and an object.
    pub(super) fn told(self, doing: &'static str, path: &Path) -> StagingError {
        let error = match self {
            Fault::Refused(error) => return error,
            Fault::Broken(reason) => return StagingError::Failed { doing, reason },
            Fault::Sql(error) => error,
        };
        let extended_code = error.sqlite_error().map(|cause| cause.extended_code);
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => StagingError::Cancelled,
            Some(ErrorCode::DiskFull) => StagingError::DiskFull { path: path.display().to_string() },
            _ if extended_code == Some(SQLITE_IOERR_SHMSIZE) => {
                StagingError::DiskFull { path: path.display().to_string() }
            }
            _ => StagingError::Failed { doing, reason: sentence(&error) },
        }
    }
}

/// SQLite's own words, with a remedy where one is known.
fn sentence(error: &rusqlite::Error) -> String {
    let remedy = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            " (another process has been writing for too long; wait for its run to end)"
        }
        Some(ErrorCode::DatabaseCorrupt) => " (the file is damaged; stop the service and restore a backup)",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            " (the service's user may not write to the file or its folder)"
        }
        _ => "",
    };
    format!("{error}{remedy}")
}
