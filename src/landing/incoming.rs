//! A blob that is being written, and the remains of those that never were finished.
//!
//! The writer holds a lock of the operating system on its file, so that another process that starts meanwhile can
//! tell work from remains.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use super::LandingError;

/// A file this young may not be locked yet by whoever just made it.
const GRACE: Duration = Duration::from_secs(60);
/// A reading that broke off is gone on with for so long.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// What the names of readings begin with that can be gone on with.
const PARTIAL: &str = "part-";

/// A file in `incoming/`; removed when dropped before it got its name.
pub(super) struct Incoming {
    file: File,
    path: PathBuf,
    /// Whether it stays when it is dropped: renamed, or to be gone on with.
    stays: bool,
}

impl Incoming {
    /// Makes the file. It is read-only (0440) for everyone who opens it later.
    pub(super) fn create(folder: &Path) -> Result<Incoming, LandingError> {
        let path = folder.join(Uuid::now_v7().to_string());
        let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o440).open(&path);
        let file = made.map_err(LandingError::failed("make", &path))?;
        let incoming = Incoming { file, path, stays: false };
        incoming.file.lock().map_err(LandingError::failed("lock", &incoming.path))?;
        Ok(incoming)
    }

    /// Goes on with the file of this name, or begins it. Answers it with its content so far still to be read;
    /// `None` when somebody else writes it now.
    pub(super) fn resume(folder: &Path, mark: &str) -> Result<Option<Incoming>, LandingError> {
        let path = folder.join(format!("{PARTIAL}{mark}"));
        let opened = OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(&path);
        let file = opened.map_err(LandingError::failed("open", &path))?;
        let is_ours = file.try_lock().is_ok();
        // Whoever had it may have given it its final name since we opened it.
        let in_place = fs::symlink_metadata(&path).and_then(|there| Ok((there.ino(), file.metadata()?.ino())));
        if !is_ours || !in_place.is_ok_and(|(there, here)| there == here) {
            return Ok(None);
        }
        Ok(Some(Incoming { file, path, stays: true }))
    }

    /// Its content so far.
    pub(super) fn content(&mut self) -> &mut File {
        &mut self.file
    }

    /// It will not be gone on with.
    pub(super) fn give_up(&mut self) {
        self.stays = false;
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds content.
    pub(super) fn write(&mut self, content: &[u8]) -> Result<(), LandingError> {
        self.file.write_all(content).map_err(LandingError::failed("write", &self.path))
    }

    /// Gives the content its name once it is on the disk.
    pub(super) fn rename_to(&mut self, path: &Path) -> Result<(), LandingError> {
        let read_only = Permissions::from_mode(0o440);
        self.file.set_permissions(read_only).map_err(LandingError::failed("protect", &self.path))?;
        self.file.sync_all().map_err(LandingError::failed("sync", &self.path))?;
        fs::rename(&self.path, path).map_err(LandingError::failed("rename", &self.path))?;
        self.stays = true;
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.stays {
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
    let is_partial = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL));
    age.is_some_and(|age| age > if is_partial { KEPT } else { GRACE }) && file.try_lock().is_ok()
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
        let broken_off = landing.incoming.join("part-00");
        let forgotten = landing.incoming.join("part-01");
        for (path, age) in [(&broken_off, 2 * GRACE), (&forgotten, 2 * KEPT)] {
            fs::write(path, "half").unwrap();
            File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
        }

        sweep(&landing.incoming).unwrap();
        assert!(writing.path.exists() && young.exists() && broken_off.exists());
        assert!(!left.exists() && !forgotten.exists());
    }
}
