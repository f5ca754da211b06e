//! An inbox on a server, whatever it speaks: the protocols differ only in how they list, send and rename.
//!
//! Connections live for one run: its first call opens one, later calls use it again. The server's clock is not
//! ours, so a file is complete when two looks find it unchanged for long enough. A download that breaks off goes
//! on where it ended, as long as the file has kept its size and time.

use std::io::{self, Read};
use std::path::PathBuf;

use parking_lot::Mutex;

use super::remote::{Folders, free_number, is_plain, join, numbered};
use super::{Candidate, Claim, Fate, Found, Inbox, InboxError, Listing, Stamp};
use crate::gate::{Call, Permit};

/// Folders below folders.
const DEEPEST: usize = 32;

/// Why something was not done.
pub(in crate::adapters) enum Fault {
    /// The server says no, and is done with it.
    Refused(io::Error),
    /// The server says nothing any more: the connection is of no use.
    Lost(InboxError),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Refused(error)
    }
}

/// An entry of a folder.
pub(in crate::adapters) struct Entry {
    /// Its name, as the server says it: not to be trusted.
    pub(in crate::adapters) name: String,
    /// What it is.
    pub(in crate::adapters) kind: Kind,
    /// Its state, where a listing says it well enough.
    pub(in crate::adapters) stamp: Option<Stamp>,
}

/// What an entry is; links are neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::adapters) enum Kind {
    File,
    Folder,
    Other,
}

/// A connection, logged in. Dropping it ends it. All methods block, but for no longer than the account allows.
pub(in crate::adapters) trait Session: Send {
    /// The entries of a folder.
    fn list(&mut self, folder: &str) -> Result<Vec<Entry>, Fault>;
    /// The state of a file.
    fn state(&mut self, path: &str) -> Result<Stamp, Fault>;
    /// Begins to send a file, from this offset on.
    fn retrieve(&mut self, path: &str, from: u64) -> Result<Box<dyn Transfer>, Fault>;
    /// Renames.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), Fault>;
    /// Renames in one step: never are both names there, nor neither. What has the name may be replaced.
    fn move_at_once(&mut self, from: &str, to: &str) -> Result<(), Fault> {
        self.rename(from, to)
    }
    /// Writes a file, to the server's disk where it can be told to; one that is there is replaced.
    fn store(&mut self, path: &str, content: &[u8]) -> Result<(), Fault>;
    /// Removes a file.
    fn remove(&mut self, path: &str) -> Result<(), Fault>;
    /// Makes a folder below one that is there.
    fn make_folder(&mut self, folder: &str) -> Result<(), Fault>;
    /// Whether the connection is known to be over.
    fn is_closed(&self) -> bool {
        false
    }
    /// Says goodbye.
    fn close(self: Box<Self>);
}

/// A file on its way.
pub(in crate::adapters) trait Transfer: Read + Send {
    /// Hears the server's last word on it.
    fn finish(self: Box<Self>) -> Result<(), Fault>;
}

/// Opens connections.
pub(in crate::adapters) type Connect = Box<dyn Fn(&str) -> Result<Box<dyn Session>, InboxError> + Send + Sync>;

/// The inbox that is a folder of a server.
pub(in crate::adapters) struct Server {
    folders: Folders,
    recursive: bool,
    place: String,
    doubts: Vec<String>,
    connect: Connect,
    /// The connection that the last call has left.
    idle: Mutex<Option<Box<dyn Session>>>,
}

impl Server {
    /// Touches nothing yet. `doubts` is what a person should know of how the server is reached.
    pub(in crate::adapters) fn new(
        place: String,
        folders: Folders,
        recursive: bool,
        doubts: Vec<String>,
        connect: Connect,
    ) -> Server {
        Server { folders, recursive, place, doubts, connect, idle: Mutex::default() }
    }

    /// Does one call with a connection, which stays for the next unless the call shows that it is of no use.
    fn call<T>(
        &self,
        permit: &Permit,
        work: impl FnOnce(&mut dyn Session) -> Result<T, Ended>,
    ) -> Result<T, InboxError> {
        let call = permit.begin();
        let done = self.session().and_then(|mut session| {
            let done = work(&mut *session);
            if !matches!(done, Err(Ended::Unknown(_))) {
                self.put_back(session);
            }
            done
        });
        end(call, done)
    }

    /// The connection that is there, or a new one.
    fn session(&self) -> Result<Box<dyn Session>, Ended> {
        let idle = self.idle.lock().take().filter(|session| !session.is_closed());
        idle.map_or_else(|| (self.connect)(&self.place).map_err(Ended::Known), Ok)
    }

    fn put_back(&self, session: Box<dyn Session>) {
        *self.idle.lock() = Some(session);
    }

    fn path(&self, name: &str) -> String {
        join(&self.folders.inbox, name)
    }

    fn place_of(&self, name: &str) -> String {
        join(&self.place, name)
    }

    /// The end of a call that was about one file.
    fn of_file(&self, name: &str, fault: Fault) -> Ended {
        match fault {
            Fault::Refused(source) => Ended::Known(InboxError::file(self.place_of(name), source)),
            Fault::Lost(error) => Ended::Unknown(error),
        }
    }

    fn of_inbox(&self, fault: Fault) -> Ended {
        match fault {
            Fault::Refused(source) => Ended::Known(InboxError::Inbox { place: self.place.clone(), source }),
            Fault::Lost(error) => Ended::Unknown(error),
        }
    }

    fn changed(&self, name: &str) -> Ended {
        Ended::Known(InboxError::Changed { place: self.place_of(name) })
    }

    /// Lists the inbox and, where asked, the folders below it.
    fn visit(&self, session: &mut dyn Session, wanted: &dyn Fn(&str) -> bool) -> Result<Listing, Ended> {
        let mut listing = Listing::default();
        let mut open = vec![(String::new(), 0)];
        while let Some((below, depth)) = open.pop() {
            let folder = if below.is_empty() { self.folders.inbox.clone() } else { self.path(&below) };
            let entries = match session.list(&folder) {
                Ok(entries) => entries,
                Err(fault) if below.is_empty() => return Err(self.of_inbox(fault)),
                Err(fault) => match self.of_file(&below, fault) {
                    Ended::Known(InboxError::Vanished { .. }) => continue,
                    Ended::Known(error) => {
                        listing.closed.push(error);
                        continue;
                    }
                    ended => return Err(ended),
                },
            };
            for entry in entries {
                if !is_plain(&entry.name) {
                    if entry.kind == Kind::File && wanted(&entry.name.replace('/', "?")) {
                        let reason = "its name is no plain text in UTF-8; rename it on the server";
                        let source = io::Error::new(io::ErrorKind::InvalidFilename, reason);
                        listing.closed.push(InboxError::File { place: self.place_of(&entry.name), source });
                    }
                    continue;
                }
                let name = if below.is_empty() { entry.name.clone() } else { format!("{below}/{}", entry.name) };
                match entry.kind {
                    Kind::Folder if self.recursive && depth < DEEPEST && !entry.name.starts_with('.') => {
                        open.push((name, depth + 1));
                    }
                    Kind::File if !wanted(&name) => {
                        listing.others.insert(name);
                    }
                    Kind::File => match entry.stamp.map_or_else(|| session.state(&self.path(&name)), Ok) {
                        Ok(stamp) => {
                            let path = PathBuf::from(&name);
                            listing.found.push(Found { name, path, stamp, has_our_clock: false });
                        }
                        // Gone again, or not for us: reading it would tell, if it is still there then.
                        Err(Fault::Refused(_)) => {}
                        Err(Fault::Lost(error)) => return Err(Ended::Unknown(error)),
                    },
                    Kind::Folder | Kind::Other => {}
                }
            }
        }
        Ok(listing)
    }

    /// Opens the file if it is still the one that was found.
    fn open(&self, session: &mut dyn Session, candidate: &Candidate, from: u64) -> Result<Box<dyn Transfer>, Ended> {
        let (path, name) = (self.path(&candidate.name), &candidate.name);
        if session.state(&path).map_err(|fault| self.of_file(name, fault))? != candidate.stamp {
            return Err(self.changed(name));
        }
        session.retrieve(&path, from).map_err(|fault| self.of_file(name, fault))
    }
}

/// Moves a file under the first name that is free; answers it.
fn rename(session: &mut dyn Session, from: &str, to: &str) -> Result<String, Fault> {
    let number = free_number(|number| match session.state(&numbered(to, number)) {
        Ok(_) => Ok(true),
        Err(Fault::Refused(_)) => Ok(false),
        Err(lost) => Err(lost),
    })?;
    let target = numbered(to, number);
    session.rename(from, &target)?;
    Ok(target)
}

/// Makes a folder with those above it. What is there already is no fault, and what cannot be made shows when
/// something is moved into it.
fn make_folders(session: &mut dyn Session, folder: &str) -> Result<(), Fault> {
    let ends = folder.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
    for end in ends.chain([folder.len()]) {
        if let Err(lost @ Fault::Lost(_)) = session.make_folder(&folder[..end]) {
            return Err(lost);
        }
    }
    Ok(())
}

/// How a call failed.
enum Ended {
    /// The server is done with it.
    Known(InboxError),
    /// Nobody knows: the server may still be at it.
    Unknown(InboxError),
}

/// Ends the call as it went.
fn end<T>(call: Call<'_>, done: Result<T, Ended>) -> Result<T, InboxError> {
    match done {
        Err(Ended::Unknown(error)) => Err(error),
        Err(Ended::Known(error)) => {
            call.answered();
            Err(error)
        }
        Ok(answer) => {
            call.answered();
            Ok(answer)
        }
    }
}

impl Inbox for Server {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn probe(&self, permit: &Permit) -> Result<Vec<String>, InboxError> {
        let list = |session: &mut dyn Session| session.list(&self.folders.inbox).map(|_| Vec::new());
        self.call(permit, |session| list(session).map_err(|fault| self.of_inbox(fault)))
    }

    fn doubts(&self) -> Vec<String> {
        self.doubts.clone()
    }

    fn list(&self, permit: &Permit, wanted: &dyn Fn(&str) -> bool) -> Result<Listing, InboxError> {
        self.call(permit, |session| self.visit(session, wanted))
    }

    fn claim<'p>(
        &'p self,
        permit: &'p Permit,
        candidate: &Candidate,
        from: u64,
    ) -> Result<Box<dyn Claim + 'p>, InboxError> {
        let call = permit.begin();
        let opened = self.session().and_then(|mut session| match self.open(&mut *session, candidate, from) {
            Ok(transfer) => Ok((transfer, session)),
            Err(ended) => {
                if matches!(ended, Ended::Known(_)) {
                    self.put_back(session);
                }
                Err(ended)
            }
        });
        match opened {
            Ok(open) => Ok(Box::new(Download {
                server: self,
                name: candidate.name.clone(),
                stamp: candidate.stamp,
                read: from,
                open: Some(open),
                call: Some(call),
            })),
            Err(ended) => end(call, Err(ended)),
        }
    }

    fn move_away(&self, permit: &Permit, candidate: &Candidate, fate: Fate) -> Result<String, InboxError> {
        let (from, to) = (self.path(&candidate.name), join(self.folders.of(fate), &candidate.name));
        self.call(permit, |session| {
            let found = session.state(&from).map_err(|fault| self.of_file(&candidate.name, fault))?;
            if found != candidate.stamp {
                return Err(self.changed(&candidate.name));
            }
            let ended = |fault| match fault {
                Fault::Refused(source) => {
                    Ended::Known(InboxError::Move { from: from.clone(), to: to.clone(), source })
                }
                Fault::Lost(error) => Ended::Unknown(error),
            };
            let folder = to.rsplit_once('/').map_or("", |(folder, _)| folder);
            make_folders(session, folder).map_err(ended)?;
            let target = rename(session, &from, &to).map_err(ended)?;
            if let Some(done) = &candidate.beside {
                let to = join(self.folders.of(fate), done);
                match rename(session, &self.path(done), &to) {
                    Ok(_) => {}
                    Err(Fault::Refused(source)) => {
                        tracing::warn!(file = done, error = %source, "the done file of a finished file stays in the inbox");
                    }
                    Err(Fault::Lost(error)) => return Err(Ended::Unknown(error)),
                }
            }
            Ok(target)
        })
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn rest(&self) {
        let session = self.idle.lock().take();
        if let Some(session) = session {
            session.close();
        }
    }
}

/// One reading of one file. Given up before its end, its connection ends with it.
struct Download<'p> {
    server: &'p Server,
    name: String,
    stamp: Stamp,
    read: u64,
    open: Option<(Box<dyn Transfer>, Box<dyn Session>)>,
    call: Option<Call<'p>>,
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((transfer, _)) = &mut self.open else { return Err(io::ErrorKind::NotConnected.into()) };
        let count = match transfer.read(buffer) {
            // Some servers just hang up at the end; anywhere else it is a line that broke.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && self.read == self.stamp.size => 0,
            Ok(0) if self.read < self.stamp.size && !buffer.is_empty() => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended before the file did"));
            }
            other => other?,
        };
        self.read += count as u64;
        Ok(count)
    }
}

impl Claim for Download<'_> {
    fn finish(mut self: Box<Self>) -> Result<(), InboxError> {
        let (Some((transfer, mut session)), Some(call)) = (self.open.take(), self.call.take()) else {
            return Err(InboxError::Changed { place: self.server.place_of(&self.name) });
        };
        let path = self.server.path(&self.name);
        // The server's word on the transfer, then the file's state after it.
        let found = transfer.finish().and_then(|()| session.state(&path));
        let done = match found {
            Ok(stamp) if stamp == self.stamp && self.read == self.stamp.size => Ok(()),
            Ok(_) => Err(self.server.changed(&self.name)),
            Err(fault) => Err(self.server.of_file(&self.name, fault)),
        };
        if !matches!(done, Err(Ended::Unknown(_))) {
            self.server.put_back(session);
        }
        end(call, done)
    }
}

impl Drop for Download<'_> {
    /// Given up half-way: the connection ends, and the server has nothing more to do for us.
    fn drop(&mut self) {
        self.open.take();
        if let Some(call) = self.call.take() {
            call.answered();
        }
    }
}

#[cfg(test)]
mod tests;
