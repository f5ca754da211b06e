//! One service for a staging database. Two would each run the schedules, and each would take the other's writes for left
//! behind by a process that has died. Commands beside the service are no services.
//!
//! It is a lock of the operating system on a file beside the database: it goes with the process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Why this process must not serve.
#[derive(Debug, thiserror::Error)]
pub enum AloneError {
    /// Another one does.
    #[error(
        "another Tollbridge{} serves this staging database already ({database}): stop it first, or give this one a \
         `staging.url` of its own", process.as_ref().map(|process| format!(" (process {process})")).unwrap_or_default()
    )]
    Taken {
        /// The database.
        database: PathBuf,
        /// The other's number, where it could be read.
        process: Option<u32>,
    },
    /// It cannot be found out.
    #[error("the lock {path} of the one service for the staging database cannot be taken: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// That this process serves the database, for as long as it is held.
#[must_use = "the lock goes with it"]
pub(super) struct Alone {
    #[expect(dead_code, reason = "held for its drop")]
    file: File,
}

/// Takes the right to serve a staging database.
pub(super) fn alone(database: &Path) -> Result<Alone, AloneError> {
    let mut path = database.as_os_str().to_owned();
    path.push("-serve");
    let path = PathBuf::from(path);
    let told = |source| AloneError::Io { path: path.clone(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(told)?;
    }
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(told)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Whose it is is said where it can be.
            let process = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(AloneError::Taken { database: database.to_owned(), process });
        }
        Err(TryLockError::Error(source)) => return Err(told(source)),
    }
    // For the one who is refused. On a full disk the lock holds all the same.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Alone { file })
}

#[cfg(test)]
mod tests {
    use super::{AloneError, alone};

    #[test]
    fn there_is_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("var/staging.db");
        let first = alone(&database).unwrap_or_else(|error| panic!("{error}"));
        let Err(error @ AloneError::Taken { process, .. }) = alone(&database) else { panic!("there are two") };
        assert_eq!(process, Some(std::process::id()));
        assert!(error.to_string().contains("serves this staging database already"), "{error}");
        assert!(alone(&folder.path().join("var/other.db")).is_ok());
        drop(first);
        assert!(alone(&database).is_ok());
    }
}
