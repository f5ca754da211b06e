//! The outbox that is a folder, on a disk of this machine or on a share.
//!
//! Both folders are held open for a handover, so that what happens to their names meanwhile leads nowhere else; no link in
//! them is followed.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{
    Access, AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, RenameFlags, accessat, fchmod, fchown, fstat, mkdirat,
    openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use crate::adapters::inbox::server::Fault;
use crate::adapters::inbox::{InboxError, Stamp};
use crate::adapters::outbox::{Folder, Shelf, WORK};
use crate::diagnostic::{Key, Presence, Table};

/// A receipt is not longer.
const LONGEST: u64 = 1 << 16;

pub(super) const OUTBOX_MODE: Key = Key {
    name: "outbox_mode",
    shape: "string",
    presence: Presence::Default("\"0640\""),
    doc: "the rights of files in the outbox, in octal: who takes them must be able to read them",
};

/// The folders that a system takes files from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxConfig {
    /// Where files appear.
    pub outbox: PathBuf,
    /// Where they are written first; a folder in the outbox when absent.
    pub work: Option<PathBuf>,
    /// Their rights.
    pub mode: u32,
}

impl OutboxConfig {
    /// Reads the keys; `None` where no outbox is declared, or after a fault was reported.
    pub(super) fn read(table: &Table<'_>, base: &Path) -> Option<OutboxConfig> {
        if !table.has("outbox") {
            for node in ["outbox_work", "outbox_mode"].iter().filter_map(|key| table.get(key)) {
                table.fail(node.key_fault("this belongs to an `outbox`"));
            }
            return None;
        }
        let outbox = table.filled("outbox").map(|path| base.join(path));
        let work = if table.has("outbox_work") { Some(table.filled("outbox_work")?) } else { None };
        let mode = table.read("outbox_mode", |node| {
            let digits = node.as_str().filter(|text| (3..=4).contains(&text.len()));
            let mode = digits.and_then(|text| u32::from_str_radix(text, 8).ok()).filter(|mode| *mode <= 0o777);
            mode.filter(|mode| mode & 0o600 == 0o600).ok_or_else(|| "expected rights like \"0640\"".to_owned())
        });
        let (outbox, work) = (outbox?, work.map(|path| base.join(path)));
        if work.as_ref() == Some(&outbox) {
            let node = table.get("outbox_work").unwrap_or(table.node());
            table.fail(node.fault("files would appear before they are whole: it is the outbox itself"));
            return None;
        }
        Some(OutboxConfig { outbox, work, mode: mode? })
    }
}

/// The outbox that is a folder.
pub(super) struct Outgoing(pub(super) OutboxConfig);

impl Folder for Outgoing {
    fn place(&self) -> String {
        self.0.outbox.display().to_string()
    }

    fn work(&self) -> String {
        let work = self.0.work.clone().unwrap_or_else(|| self.0.outbox.join(WORK));
        work.display().to_string()
    }

    fn open(&self) -> Result<Box<dyn Shelf>, InboxError> {
        let outbox = open_folder(&self.0.outbox);
        let outbox = outbox.map_err(|source| InboxError::Outbox { place: self.place(), source: source.into() })?;
        Ok(Box::new(Open { config: self.0.clone(), outbox, work: None, has_made: false }))
    }
}

/// How a folder is opened.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn open_folder(path: &Path) -> Result<OwnedFd, Errno> {
    openat(CWD, path, FOLDER, Mode::empty())
}

/// What a system says when it has not renamed.
const CLEAR: [Errno; 14] = [
    Errno::NOENT,
    Errno::EXIST,
    Errno::ACCESS,
    Errno::PERM,
    Errno::ROFS,
    Errno::NOSPC,
    Errno::DQUOT,
    Errno::XDEV,
    Errno::NAMETOOLONG,
    Errno::INVAL,
    Errno::LOOP,
    Errno::NOTDIR,
    Errno::ISDIR,
    Errno::BADF,
];

struct Open {
    config: OutboxConfig,
    outbox: OwnedFd,
    work: Option<OwnedFd>,
    /// Whether the work folder was not there before.
    has_made: bool,
}

fn refused(error: impl Into<io::Error>) -> Fault {
    Fault::Refused(error.into())
}

impl Open {
    fn work(&mut self) -> Result<&OwnedFd, Fault> {
        let opened = match self.work.take() {
            Some(work) => work,
            None => match &self.config.work {
                Some(work) => open_folder(work).map_err(refused)?,
                // Who takes files from the outbox may write there, too: nothing leads elsewhere.
                None => openat(&self.outbox, WORK, FOLDER | OFlags::NOFOLLOW, Mode::empty()).map_err(refused)?,
            },
        };
        Ok(self.work.insert(opened))
    }

    /// Renames in one step, and never onto what has the name. Where the file system cannot promise the latter, a look must
    /// do: that it is one step matters more.
    fn rename(&mut self, name: &str, shown: &str) -> Result<(), Errno> {
        let Some(work) = &self.work else { return Err(Errno::BADF) };
        match renameat_with(work, name, &self.outbox, shown, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            done => return done,
        }
        match self.has(shown)? {
            false => renameat(work, name, &self.outbox, shown),
            true => Err(Errno::EXIST),
        }
    }

    /// Whether the outbox has an entry of this name.
    fn has(&self, shown: &str) -> Result<bool, Errno> {
        match statat(&self.outbox, shown, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Shelf for Open {
    fn make_work(&mut self) -> Result<(), Fault> {
        // Others have no business in it.
        let mode = Mode::RWXU;
        let made = match &self.config.work {
            Some(work) => mkdirat(CWD, work, mode),
            None => mkdirat(&self.outbox, WORK, mode),
        };
        match made {
            Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(refused(error)),
            Ok(()) => {
                self.has_made = true;
                Ok(())
            }
        }?;
        // What would only show when everything is ready.
        let device = |folder: &OwnedFd| fstat(folder).map(|state| state.st_dev).map_err(refused);
        if device(&self.outbox)? != device(self.work()?)? {
            return Err(refused(Errno::XDEV));
        }
        accessat(&self.outbox, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).map_err(refused)
    }

    fn unmake_work(&mut self) -> bool {
        if self.has_made {
            // What somebody has put there meanwhile keeps it there.
            let _ = match &self.config.work {
                Some(work) => unlinkat(CWD, work, AtFlags::REMOVEDIR),
                None => unlinkat(&self.outbox, WORK, AtFlags::REMOVEDIR),
            };
        }
        self.has_made
    }

    fn named(&mut self, prefix: &str) -> Result<Vec<String>, Fault> {
        let folder = Dir::read_from(self.work()?.as_fd()).map_err(refused)?;
        let mut names = Vec::new();
        for entry in folder {
            let entry = entry.map_err(refused)?;
            names.extend(entry.file_name().to_str().ok().filter(|name| name.starts_with(prefix)).map(str::to_owned));
        }
        Ok(names)
    }

    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(self.work()?, name, flags, Mode::empty()) {
            Ok(file) => {
                let mut content = Vec::new();
                File::from(file).take(LONGEST).read_to_end(&mut content).map_err(refused)?;
                Ok(Some(content))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    fn write(&mut self, name: &str, content: &[u8]) -> Result<(), Fault> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(self.config.mode);
        let mut file = File::from(openat(self.work()?, name, flags, mode).map_err(refused)?);
        // What the process's umask takes is given back, and the group is the outbox's where that says so; shares may know no
        // rights.
        let _ = fchmod(&file, mode);
        if let Ok(state) = fstat(&self.outbox)
            && Mode::from_raw_mode(state.st_mode).contains(Mode::SGID)
        {
            let _ = fchown(&file, None, Some(Gid::from_raw(state.st_gid)));
        }
        file.write_all(content).and_then(|()| file.sync_all()).map_err(refused)
    }

    fn remove(&mut self, name: &str) -> Result<(), Fault> {
        match unlinkat(self.work()?, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }

    fn hide(&mut self, name: &str, hidden: &str) -> Result<(), Fault> {
        let work = self.work()?;
        renameat(work, name, work, hidden).map_err(refused)
    }

    fn show(&mut self, name: &str, shown: &str) -> Result<(), Fault> {
        self.work()?;
        self.rename(name, shown).map_err(|error| match CLEAR.contains(&error) {
            true => refused(error),
            // A share that does not answer may do it yet.
            false => Fault::Lost(InboxError::Unreachable {
                place: self.config.outbox.display().to_string(),
                reason: io::Error::from(error).to_string(),
            }),
        })
    }

    fn is_taken(&mut self, shown: &str) -> Result<bool, Fault> {
        self.has(shown).map_err(refused)
    }

    fn settle(&mut self) -> Result<(), Fault> {
        // Some shares have no such call for folders: then their server does as it does.
        let sync = |folder: &OwnedFd| match rustix::fs::fsync(folder) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::BADF) => Ok(()),
            done => done.map_err(refused),
        };
        sync(self.work()?)?;
        sync(&self.outbox)
    }

    fn older(&mut self, age: Duration) -> Result<Vec<String>, Fault> {
        let folder = Dir::read_from(self.work()?.as_fd()).map_err(refused)?;
        let now = SystemTime::now();
        let mut names = Vec::new();
        for entry in folder {
            let entry = entry.map_err(refused)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let Ok(state) = statat(self.work()?, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let modified = (state.st_mtime, 0);
            let is_old = Stamp { modified, ..Stamp::default() }.age(now).is_some_and(|old| old > age);
            if is_old && FileType::from_raw_mode(state.st_mode) == FileType::RegularFile {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}
