//! A finished file's way out of the inbox.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::{InboxConfig, beneath, walk};
use crate::adapters::inbox::remote::free_number;
use crate::adapters::inbox::{Candidate, Fate, InboxError, Stamp};

/// Names that are tried when somebody else takes those that were free.
const ATTEMPTS: usize = 1000;

/// Files of one name in the archive that are looked at to find a copy that was made before.
const NEWEST: u64 = 8;

/// Moves the file (and the one that announced it) to where its fate says.
pub(super) fn move_away(config: &InboxConfig, candidate: &Candidate, fate: Fate) -> Result<PathBuf, InboxError> {
    let archive = match fate {
        Fate::Archived => &config.archive,
        Fate::Rejected => &config.rejected,
    };
    let from = config.inbox.join(&candidate.path);
    let still = fs::symlink_metadata(&from).map(|meta| Stamp::of(&meta) == candidate.stamp);
    match still {
        Ok(true) => {}
        Ok(false) => return Err(InboxError::Changed { place: from.display().to_string() }),
        Err(source) => return Err(InboxError::file(from.display().to_string(), source)),
    }
    // The folders below the inbox are made again in the archive.
    let below = candidate.path.parent().unwrap_or(Path::new(""));
    let folder = archive.join(below);
    let fault = |source| InboxError::Move {
        from: from.display().to_string(),
        to: archive.join(&candidate.path).display().to_string(),
        source,
    };
    DirBuilder::new().recursive(true).mode(0o750).create(&folder).map_err(fault)?;
    let way =
        Way { inbox: &config.inbox, below, source: beneath::folder(&config.inbox, below).map_err(fault)?, folder };
    let name = candidate.path.file_name().unwrap_or_default();
    let target = way.take(name).map_err(fault)?;
    if let Some(done) = &candidate.beside {
        let moved = way.find(done).and_then(|name| name.map_or(Ok(()), |name| way.take(&name).map(drop)));
        if let Err(source) = moved {
            tracing::warn!(file = done, error = %source, "the done file of a finished file stays in the inbox");
        }
    }
    Ok(target)
}

/// From a folder of the inbox to one of the archive.
struct Way<'a> {
    inbox: &'a Path,
    below: &'a Path,
    source: OwnedFd,
    folder: PathBuf,
}

impl Way<'_> {
    /// The entry of the source folder that goes by this name. Only where bytes of it are no text does the folder have to be
    /// read for it.
    fn find(&self, done: &str) -> io::Result<Option<OsString>> {
        let wanted = done.rsplit('/').next().unwrap_or(done);
        let folder = self.inbox.join(self.below);
        if fs::symlink_metadata(folder.join(wanted)).is_ok() {
            return Ok(Some(wanted.into()));
        }
        if !wanted.contains('%') {
            return Ok(None);
        }
        let mut names = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name()));
        names.find(|name| name.as_ref().map_or(true, |name| walk::text(name) == wanted)).transpose()
    }

    /// The name in the archive: with a number behind it from 2 on.
    fn target(&self, name: &OsStr, number: u64) -> PathBuf {
        let mut target = name.to_owned();
        if number > 1 {
            target.push(format!(".{number}"));
        }
        self.folder.join(target)
    }

    /// The first number of a name that is free.
    fn free(&self, name: &OsStr) -> io::Result<u64> {
        free_number(|number| match fs::symlink_metadata(self.target(name, number)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
    }

    /// Moves one file under its name, or its name with a number behind it where that is taken.
    fn take(&self, name: &OsStr) -> io::Result<PathBuf> {
        let mut number = 1;
        for _ in 0..ATTEMPTS {
            let target = self.target(name, number);
            match rename(self.source.as_fd(), name, &target) {
                Ok(()) => return Ok(target),
                Err(Errno::EXIST) => number = self.free(name)?,
                Err(Errno::XDEV) => return self.copy(name),
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The way to another file system: the copy is whole and on the disk before it has its name, and only then
    /// the file leaves the inbox. A death in between leaves a copy that the next attempt finds.
    fn copy(&self, name: &OsStr) -> io::Result<PathBuf> {
        let mut source = beneath::file(self.inbox, &self.below.join(name))?;
        let meta = source.metadata()?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".tollbridge-copy");
        let copy = self.folder.join(hidden);
        for _ in 0..ATTEMPTS {
            let free = self.free(name)?;
            let target = match self.copied(&mut source, name, free)? {
                Some(target) => target,
                None => {
                    let target = self.target(name, free);
                    // Held until it has its name, so that nobody else writes into it.
                    let _held = write_copy(&mut source, &copy, meta.modified().ok())?;
                    match rename(rustix::fs::CWD, copy.as_os_str(), &target) {
                        Ok(()) => {}
                        Err(Errno::EXIST) => continue,
                        Err(error) => return Err(error.into()),
                    }
                    File::open(&self.folder)?.sync_all()?;
                    target
                }
            };
            rustix::fs::unlinkat(&self.source, name, AtFlags::empty())?;
            return Ok(target);
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The copy that an attempt before made: one of the newest below the number that is free.
    fn copied(&self, source: &mut File, name: &OsStr, free: u64) -> io::Result<Option<PathBuf>> {
        for number in (free.saturating_sub(NEWEST).max(1)..free).rev() {
            let target = self.target(name, number);
            if is_copy(source, &target)? {
                return Ok(Some(target));
            }
        }
        Ok(None)
    }
}

/// Renames without ever replacing what has the name; where the file system cannot promise that, by a second
/// link, or else after a look.
fn rename(from: impl AsFd, name: &OsStr, target: &Path) -> Result<(), Errno> {
    use rustix::fs::{CWD, linkat, renameat, renameat_with, unlinkat};
    match renameat_with(&from, name, CWD, target, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        result => return result,
    }
    match linkat(&from, name, CWD, target, AtFlags::empty()) {
        Ok(()) => unlinkat(&from, name, AtFlags::empty()),
        Err(Errno::EXIST) => Err(Errno::EXIST),
        Err(_) if fs::symlink_metadata(target).is_ok() => Err(Errno::EXIST),
        Err(_) => renameat(&from, name, CWD, target),
    }
}

/// Writes the copy and answers it, locked. What an attempt before left is overwritten.
fn write_copy(source: &mut File, copy: &Path, modified: Option<SystemTime>) -> io::Result<File> {
    let mut target = OpenOptions::new().write(true).create(true).truncate(false).mode(0o640).open(copy)?;
    let is_ours = target.try_lock().is_ok();
    // Whoever held it may have given it its final name since we opened it.
    let in_place = fs::symlink_metadata(copy).and_then(|there| Ok(there.ino() == target.metadata()?.ino()));
    if !is_ours || !in_place.unwrap_or(false) {
        return Err(io::Error::new(io::ErrorKind::WouldBlock, "it is being moved at this moment"));
    }
    target.set_len(0)?;
    source.seek(SeekFrom::Start(0))?;
    let copied = io::copy(source, &mut target).and_then(|_| {
        if let Some(modified) = modified {
            target.set_modified(modified)?;
        }
        target.sync_all()
    });
    match copied {
        Ok(()) => Ok(target),
        Err(error) => {
            // A full disk must not stay full because of us.
            let _ = fs::remove_file(copy);
            Err(error)
        }
    }
}

/// Whether the target is the copy that an attempt before made: same time, same bytes.
fn is_copy(source: &mut File, target: &Path) -> io::Result<bool> {
    let (Ok(found), ours) = (fs::symlink_metadata(target), source.metadata()?) else { return Ok(false) };
    if !found.is_file() || found.len() != ours.len() || found.modified().ok() != ours.modified().ok() {
        return Ok(false);
    }
    source.seek(SeekFrom::Start(0))?;
    let mut other = File::open(target)?;
    let (mut here, mut there) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let count = source.read(&mut here)?;
        if count == 0 {
            return Ok(true);
        }
        match other.read_exact(&mut there[..count]) {
            Ok(()) if here[..count] == there[..count] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}
