//! An outbox on a server, whatever it speaks.

use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use super::{Folder, Shelf, WORK};
use crate::adapters::inbox::InboxError;
use crate::adapters::inbox::remote::{is_plain, join, trim};
use crate::adapters::inbox::server::{Connect, Fault, Kind, Session};
use crate::diagnostic::Table;

/// A receipt is not longer.
const LONGEST: u64 = 1 << 16;

/// The folders on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// Where files appear.
    pub outbox: String,
    /// Where they are written first.
    pub work: String,
}

impl Folders {
    /// Reads the keys; `None` where no outbox is declared, or after a fault was reported.
    pub(in crate::adapters) fn read(table: &Table<'_>) -> Option<Folders> {
        if !table.has("outbox") {
            if let Some(node) = table.get("outbox_work") {
                table.fail(node.key_fault("`outbox_work` belongs to an `outbox`"));
            }
            return None;
        }
        let outbox = trim(table.filled("outbox")?);
        let work = if table.has("outbox_work") { trim(table.filled("outbox_work")?) } else { join(&outbox, WORK) };
        if work == outbox {
            let node = table.get("outbox_work").unwrap_or(table.node());
            table.fail(node.fault("files would appear before they are whole: it is the outbox itself"));
            return None;
        }
        Some(Folders { outbox, work })
    }
}

/// The outbox that is a folder of a server.
pub(in crate::adapters) struct Remote {
    place: String,
    folders: Folders,
    connect: Connect,
}

impl Remote {
    /// Touches nothing yet.
    pub(in crate::adapters) fn new(place: String, folders: Folders, connect: Connect) -> Remote {
        Remote { place, folders, connect }
    }
}

impl Folder for Remote {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn work(&self) -> String {
        format!("{} of {}", self.folders.work, self.place)
    }

    fn open(&self) -> Result<Box<dyn Shelf>, InboxError> {
        let mut session = (self.connect)(&self.place)?;
        // A folder that is not there is not made: it may be the wrong server.
        match session.list(&self.folders.outbox) {
            Ok(_) => {}
            Err(Fault::Lost(error)) => return Err(error),
            Err(Fault::Refused(source)) => return Err(InboxError::Outbox { place: self.place.clone(), source }),
        }
        Ok(Box::new(Open { session, folders: self.folders.clone() }))
    }
}

/// An outbox with a connection to it, which ends with it.
struct Open {
    session: Box<dyn Session>,
    folders: Folders,
}

impl Open {
    fn path(&self, name: &str) -> String {
        join(&self.folders.work, name)
    }
}

impl Shelf for Open {
    fn make_work(&mut self) -> Result<(), Fault> {
        match self.session.list(&self.folders.work) {
            Err(Fault::Refused(_)) => self.session.make_folder(&self.folders.work),
            found => found.map(drop),
        }
    }

    /// By the listing: of a file that is not there servers say all kinds of things.
    fn named(&mut self, prefix: &str) -> Result<Vec<String>, Fault> {
        let names = self.session.list(&self.folders.work)?.into_iter().map(|entry| entry.name);
        Ok(names.filter(|name| name.starts_with(prefix)).collect())
    }

    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let path = self.path(name);
        let mut transfer = self.session.retrieve(&path, 0)?;
        let mut content = Vec::new();
        match (&mut transfer).take(LONGEST).read_to_end(&mut content) {
            // Some servers just hang up at the end.
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error.into()),
            _ => {}
        }
        transfer.finish()?;
        Ok(Some(content))
    }

    fn write(&mut self, name: &str, content: &[u8]) -> Result<(), Fault> {
        let path = self.path(name);
        let session = &mut self.session;
        session.store(&path, content)?;
        // Not every server says how a transfer went.
        match session.state(&path) {
            Ok(stamp) if stamp.size != content.len() as u64 => {
                let said = format!("the server has {} bytes of {}", stamp.size, content.len());
                Err(io::Error::other(said).into())
            }
            Err(lost @ Fault::Lost(_)) => Err(lost),
            _ => Ok(()),
        }
    }

    fn remove(&mut self, name: &str) -> Result<(), Fault> {
        let path = self.path(name);
        match self.session.remove(&path) {
            Err(Fault::Refused(error)) => {
                if self.named(name)?.iter().any(|there| there == name) {
                    return Err(error.into());
                }
                Ok(())
            }
            done => done,
        }
    }

    fn hide(&mut self, name: &str, hidden: &str) -> Result<(), Fault> {
        let (from, to) = (self.path(name), self.path(hidden));
        self.session.move_at_once(&from, &to)
    }

    fn show(&mut self, name: &str, shown: &str) -> Result<(), Fault> {
        // Many servers replace without a question.
        if self.is_taken(shown)? {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
        }
        let (from, to) = (self.path(name), join(&self.folders.outbox, shown));
        self.session.move_at_once(&from, &to)
    }

    fn is_taken(&mut self, shown: &str) -> Result<bool, Fault> {
        match self.session.state(&join(&self.folders.outbox, shown)) {
            Ok(_) => Ok(true),
            Err(Fault::Refused(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            // Whatever that means: the listing tells.
            Err(Fault::Refused(_)) => {
                Ok(self.session.list(&self.folders.outbox)?.iter().any(|entry| entry.name == shown))
            }
            Err(lost) => Err(lost),
        }
    }

    fn settle(&mut self) -> Result<(), Fault> {
        // What the server has said is done, is.
        Ok(())
    }

    fn older(&mut self, age: Duration) -> Result<Vec<String>, Fault> {
        let now = SystemTime::now();
        let mut names = Vec::new();
        for entry in self.session.list(&self.folders.work)? {
            if entry.kind != Kind::File || !is_plain(&entry.name) {
                continue;
            }
            let path = self.path(&entry.name);
            let stamp = match entry.stamp {
                Some(stamp) => stamp,
                None => match self.session.state(&path) {
                    Ok(stamp) => stamp,
                    Err(Fault::Refused(_)) => continue,
                    Err(lost) => return Err(lost),
                },
            };
            // A server that knows no times has nothing that is old.
            if stamp.modified.0 > 0 && stamp.age(now).is_some_and(|old| old > age) {
                names.push(entry.name);
            }
        }
        Ok(names)
    }

    fn close(self: Box<Self>) {
        self.session.close();
    }
}
