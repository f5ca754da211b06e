//! A blob that is being written, and the remains of those that never were finished.
//!
//! The writer holds a lock of the operating system on its file, so that another process that starts meanwhile can
//! tell work from remains.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use super::LandingError;

/// A file this young may not be locked yet by whoever just made it.
const GRACE: Duration = Duration::from_secs(60);

/// A file in `incoming/`; removed when dropped before it got its name.
pub(super) struct Incoming {
    file: File,
    path: PathBuf,
    is_renamed: bool,
}

impl Incoming {
    /// Makes the file. It is read-only (0440) for everyone who opens it later.
    pub(super) fn create(folder: &Path) -> Result<Incoming, LandingError> {
        let path = folder.join(Uuid::now_v7().to_string());
        let made = OpenOptions::new().write(true).create_new(true).mode(0o440).open(&path);
        let file = made.map_err(LandingError::failed("make", &path))?;
        let incoming = Incoming { file, path, is_renamed: false };
        incoming.file.lock().map_err(LandingError::failed("lock", &incoming.path))?;
        Ok(incoming)
    }

    /// Adds content.
    pub(super) fn write(&mut self, content: &[u8]) -> Result<(), LandingError> {
        self.file.write_all(content).map_err(LandingError::failed("write", &self.path))
    }

    /// Gives the content its name once it is on the disk.
    pub(super) fn rename_to(mut self, path: &Path) -> Result<(), LandingError> {
        self.file.sync_all().map_err(LandingError::failed("sync", &self.path))?;
        fs::rename(&self.path, path).map_err(LandingError::failed("rename", &self.path))?;
        self.is_renamed = true;
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.is_renamed {
            // What stays is swept at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes what writers left that are no more.
pub(super) fn sweep(folder: &Path) -> Result<(), LandingError> {
    for entry in fs::read_dir(folder).map_err(LandingError::failed("read", folder))? {
        let entry = entry.map_err(LandingError::failed("read", folder))?;
        let path = entry.path();
        if is_abandoned(&path) {
            match fs::remove_file(&path) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => {
                    return Err(LandingError::failed("remove", &path)(cause));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether nobody writes the file; when in doubt (it just vanished, it cannot be opened) it is left alone.
fn is_abandoned(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let age = file.metadata().and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age > GRACE) && file.try_lock().is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::tests::fresh;
    use super::*;

    #[test]
    fn only_what_nobody_writes_is_swept() {
        let (landing, _folder) = fresh();
        let old = SystemTime::now() - 2 * GRACE;
        let mut writing = Incoming::create(&landing.incoming).unwrap();
        writing.write(b"half").unwrap();
        writing.file.set_modified(old).unwrap();
        let young = landing.incoming.join("young");
        fs::write(&young, "just made").unwrap();
        let left = landing.incoming.join("left");
        fs::write(&left, "by a crash").unwrap();
        File::open(&left).unwrap().set_modified(old).unwrap();

        sweep(&landing.incoming).unwrap();
        assert!(writing.path.exists() && young.exists());
        assert!(!left.exists());
    }
}
