//! One reading of one file, and its way out of the inbox.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Candidate, Config, FilesError, Stamp};
use crate::gate::{Call, Permit};

/// The name must not have become a link, or a pipe that would block, since it was listed.
const OPEN_FLAGS: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Read to its end.
    Archived,
    /// Refused as a whole.
    Rejected,
}

/// An open file. Read it to its end, then ask [`Claim::finish`] whether it stood still meanwhile.
pub struct Claim<'p> {
    file: File,
    path: PathBuf,
    stamp: Stamp,
    read: u64,
    call: Option<Call<'p>>,
}

impl<'p> Claim<'p> {
    pub(super) fn open(permit: &'p Permit, candidate: &Candidate) -> Result<Claim<'p>, FilesError> {
        let call = permit.begin();
        let opened = OpenOptions::new().read(true).custom_flags(OPEN_FLAGS).open(&candidate.path);
        let checked = opened.and_then(|file| file.metadata().map(|meta| (file, meta)));
        match checked {
            Ok((file, meta)) if meta.is_file() && Stamp::of(&meta) == candidate.stamp => {
                let path = candidate.path.clone();
                Ok(Claim { file, path, stamp: candidate.stamp, read: 0, call: Some(call) })
            }
            Ok(_) => {
                call.answered();
                Err(FilesError::Changed { path: candidate.path.clone() })
            }
            Err(source) => {
                call.answered();
                Err(FilesError::File { path: candidate.path.clone(), source })
            }
        }
    }

    /// Whether what was read is the file as it was found: same bytes, same file, nothing written meanwhile.
    pub fn finish(mut self) -> Result<(), FilesError> {
        let still = self.file.metadata().map(|meta| Stamp::of(&meta) == self.stamp);
        let in_place = fs::symlink_metadata(&self.path).map(|meta| Stamp::of(&meta) == self.stamp);
        if let Some(call) = self.call.take() {
            call.answered();
        }
        let path = std::mem::take(&mut self.path);
        match (still, in_place) {
            (Ok(true), Ok(true)) if self.read == self.stamp.size => Ok(()),
            (Err(source), _) => Err(FilesError::File { path, source }),
            _ => Err(FilesError::Changed { path }),
        }
    }
}

impl Drop for Claim<'_> {
    /// A reading given up half-way is over too: between two reads the backend does nothing for us.
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            call.answered();
        }
    }
}

impl Read for Claim<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

/// Moves the file (and the one that announced it) to where its fate says.
pub(super) fn move_away(config: &Config, candidate: &Candidate, fate: Fate) -> Result<PathBuf, FilesError> {
    let folder = match fate {
        Fate::Archived => &config.archive,
        Fate::Rejected => &config.rejected,
    };
    let still = fs::symlink_metadata(&candidate.path).map(|meta| Stamp::of(&meta) == candidate.stamp);
    match still {
        Ok(true) => {}
        Ok(false) => return Err(FilesError::Changed { path: candidate.path.clone() }),
        Err(source) => return Err(FilesError::File { path: candidate.path.clone(), source }),
    }
    let target = free_name(folder, &candidate.name);
    let fault = |source| FilesError::Move { from: candidate.path.clone(), to: target.clone(), source };
    fs::DirBuilder::new().recursive(true).mode(0o750).create(folder).map_err(fault)?;
    move_file(&candidate.path, &target).map_err(fault)?;
    if let Some(done) = config.done_file_of(&candidate.name) {
        let (from, to) = (config.inbox.join(&done), free_name(folder, &done));
        if let Err(source) = move_file(&from, &to) {
            tracing::warn!(file = %from.display(), error = %source, "the done file of a finished file stays in the inbox");
        }
    }
    Ok(target)
}

/// The name, or the name with a number behind it where it is taken.
fn free_name(folder: &Path, name: &str) -> PathBuf {
    let wanted = folder.join(name);
    if fs::symlink_metadata(&wanted).is_err() {
        return wanted;
    }
    (2u64..)
        .map(|number| folder.join(format!("{name}.{number}")))
        .find(|path| fs::symlink_metadata(path).is_err())
        .unwrap_or(wanted)
}

/// Renames; where the folder lies on another file system, copies, syncs and removes.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let mut target = OpenOptions::new().write(true).create_new(true).open(to)?;
            io::copy(&mut File::open(from)?, &mut target)?;
            target.sync_all()?;
            fs::remove_file(from)
        }
        result => result,
    }
}
