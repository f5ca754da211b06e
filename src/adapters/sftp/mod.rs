//! The `sftp` backend: a folder on an SFTP server.
//!
//! Connections live for one run: its first call opens one, later calls use it again. The server's clock is not
//! ours, so a file is complete when two looks find it unchanged for long enough. A download that breaks off goes
//! on where it ended, as long as the file has kept its size and time.

mod config;
mod download;
mod session;
mod trust;

use std::future::Future;
use std::io;
use std::path::PathBuf;

use parking_lot::Mutex;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::fs::Metadata;
use tokio::runtime::Handle;

use crate::adapters::inbox::remote::{free_names, is_plain, join};
use crate::adapters::inbox::{Candidate, Claim, Door, Fate, Found, Inbox, InboxError, Listing, Stamp};
use crate::gate::Permit;
use session::{Session, io_fault};

pub use config::{Config, Login, SECTION};
pub use trust::Trust;

/// Folders below folders.
const DEEPEST: usize = 32;

/// The door to the folder in `config`. Touches nothing yet.
pub fn door(config: Config) -> Door {
    let pickup = config.pickup.clone();
    Door::new(Server { place: config.account.url("sftp"), config, idle: Mutex::default() }, pickup)
}

struct Server {
    config: Config,
    place: String,
    /// The connection that the last call has left.
    idle: Mutex<Option<Session>>,
}

/// Why a call failed: what is wrong, and whether the server has said so, and so is done with it.
type Fault = (InboxError, bool);

impl Server {
    /// Does one call with a connection, which stays for the next unless the call shows that it is broken.
    fn call<T>(&self, permit: &Permit, work: impl AsyncFnOnce(&Session) -> Result<T, Fault>) -> Result<T, InboxError> {
        let runtime = self.runtime()?;
        let call = permit.begin();
        let done = runtime.block_on(async {
            let session = match self.take() {
                Some(session) => session,
                None => Session::open(&self.config, &self.place).await.map_err(|error| (error, true))?,
            };
            let done = work(&session).await;
            if !matches!(done, Err((_, false))) {
                self.put_back(session);
            }
            done
        });
        if !matches!(done, Err((_, false))) {
            call.answered();
        }
        done.map_err(|(error, _)| error)
    }

    fn runtime(&self) -> Result<Handle, InboxError> {
        let reason = |error: tokio::runtime::TryCurrentError| error.to_string();
        Handle::try_current()
            .map_err(|error| InboxError::Unreachable { place: self.place.clone(), reason: reason(error) })
    }

    fn take(&self) -> Option<Session> {
        self.idle.lock().take().filter(|session| !session.is_closed())
    }

    fn put_back(&self, session: Session) {
        *self.idle.lock() = Some(session);
    }

    fn path(&self, name: &str) -> String {
        join(&self.config.account.folders.inbox, name)
    }

    fn place_of(&self, name: &str) -> String {
        join(&self.place, name)
    }

    /// The fault of a call that is about the whole inbox.
    fn of_inbox(&self, error: SftpError) -> Fault {
        let (source, is_answered) = io_fault(error);
        let place = self.place.clone();
        if is_answered {
            (InboxError::Inbox { place, source }, true)
        } else {
            (InboxError::Unreachable { place, reason: source.to_string() }, false)
        }
    }

    /// The fault of a call that is about one file.
    fn of_file(&self, name: &str, error: SftpError) -> Fault {
        let (source, is_answered) = io_fault(error);
        if is_answered {
            (InboxError::file(self.place_of(name), source), true)
        } else {
            (InboxError::Unreachable { place: self.place.clone(), reason: source.to_string() }, false)
        }
    }

    /// Lists a folder and, where asked, those below it. `below` is empty or ends with `/`.
    async fn visit(
        &self,
        session: &Session,
        wanted: &dyn Fn(&str) -> bool,
        listing: &mut Listing,
    ) -> Result<(), Fault> {
        let mut open = vec![(String::new(), 0)];
        while let Some((below, depth)) = open.pop() {
            let folder = self.path(&below);
            let entries = match session.files.read_dir(folder.trim_end_matches('/')).await {
                Ok(entries) => entries,
                Err(error) if below.is_empty() => return Err(self.of_inbox(error)),
                Err(error) => match self.of_file(&below, error) {
                    (InboxError::Vanished { .. }, _) => continue,
                    (error, true) => {
                        listing.closed.push(error);
                        continue;
                    }
                    fault => return Err(fault),
                },
            };
            for entry in entries {
                let last = entry.file_name();
                if !is_plain(&last) {
                    tracing::debug!(inbox = self.place, name = last, "passed over a name that cannot be asked for");
                    continue;
                }
                let name = format!("{below}{last}");
                let meta = entry.metadata();
                // A link says that it is one; what says nothing is asked for.
                let meta = match meta.permissions {
                    Some(_) => meta,
                    None => match session.files.symlink_metadata(self.path(&name)).await {
                        Ok(meta) => meta,
                        Err(_) => continue,
                    },
                };
                let kind = meta.file_type();
                if kind.is_dir() && self.config.pickup.recursive && depth < DEEPEST && !last.starts_with('.') {
                    open.push((format!("{name}/"), depth + 1));
                }
                if !kind.is_file() {
                    continue;
                }
                if wanted(&name) {
                    let (path, stamp) = (PathBuf::from(&name), stamp(&meta));
                    listing.found.push(Found { name, path, stamp, has_our_clock: false });
                } else {
                    listing.others.insert(name);
                }
            }
        }
        Ok(())
    }

    /// Moves a file under the first name that is free; answers it.
    async fn rename(&self, session: &Session, from: &str, to: &str) -> Result<String, SftpError> {
        for target in free_names(to) {
            match session.files.symlink_metadata(target.as_str()).await {
                Ok(_) => continue,
                Err(SftpError::Status(_)) => {}
                Err(error) => return Err(error),
            }
            session.files.rename(from, target.as_str()).await?;
            return Ok(target);
        }
        Err(SftpError::UnexpectedBehavior(format!("all names like {to} are taken")))
    }

    /// Makes a folder with those above it; what is there already is no fault, and what cannot be made shows when
    /// something is moved into it.
    async fn make_folder(&self, session: &Session, folder: &str) -> Result<(), SftpError> {
        if session.files.metadata(folder).await.is_ok() {
            return Ok(());
        }
        let ends = folder.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        for end in ends.chain([folder.len()]) {
            match session.files.create_dir(&folder[..end]).await {
                Ok(()) | Err(SftpError::Status(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What SFTP knows of a file's state.
fn stamp(meta: &Metadata) -> Stamp {
    let modified = (meta.mtime.map_or(0, i64::from), 0);
    Stamp { size: meta.size.unwrap_or(0), modified, ..Stamp::default() }
}

/// Waits for the answer, but no longer than the account allows.
async fn in_time<T>(
    limit: std::time::Duration,
    work: impl Future<Output = Result<T, io::Error>>,
) -> Result<T, io::Error> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the server did not answer in time");
    tokio::time::timeout(limit, work).await.map_err(late)?
}

impl Inbox for Server {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn probe(&self, permit: &Permit) -> Result<(), InboxError> {
        self.call(permit, async |session| {
            let folder = self.config.account.folders.inbox.as_str();
            session.files.read_dir(folder).await.map(drop).map_err(|error| self.of_inbox(error))
        })
    }

    fn list(&self, permit: &Permit, wanted: &dyn Fn(&str) -> bool) -> Result<Listing, InboxError> {
        self.call(permit, async |session| {
            let mut listing = Listing::default();
            self.visit(session, wanted, &mut listing).await?;
            Ok(listing)
        })
    }

    fn claim<'p>(
        &'p self,
        permit: &'p Permit,
        candidate: &Candidate,
        from: u64,
    ) -> Result<Box<dyn Claim + 'p>, InboxError> {
        Ok(Box::new(download::Download::open(self, permit, candidate, from)?))
    }

    fn move_away(
        &self,
        permit: &Permit,
        candidate: &Candidate,
        beside: Option<&str>,
        fate: Fate,
    ) -> Result<String, InboxError> {
        let (from, to) = (self.path(&candidate.name), join(self.config.account.folders.of(fate), &candidate.name));
        self.call(permit, async |session| {
            let found = session.files.symlink_metadata(from.as_str()).await;
            if stamp(&found.map_err(|error| self.of_file(&candidate.name, error))?) != candidate.stamp {
                return Err((InboxError::Changed { place: self.place_of(&candidate.name) }, true));
            }
            let fault = |error| match io_fault(error) {
                (source, true) => (InboxError::Move { from: from.clone(), to: to.clone(), source }, true),
                (source, false) => {
                    (InboxError::Unreachable { place: self.place.clone(), reason: source.to_string() }, false)
                }
            };
            let folder = to.rsplit_once('/').map_or("", |(folder, _)| folder);
            self.make_folder(session, folder).await.map_err(fault)?;
            let target = self.rename(session, &from, &to).await.map_err(fault)?;
            if let Some(done) = beside {
                let to = join(self.config.account.folders.of(fate), done);
                if let Err(error) = self.rename(session, &self.path(done), &to).await {
                    tracing::warn!(file = done, error = %error, "the done file of a finished file stays in the inbox");
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
        if let (Some(session), Ok(runtime)) = (session, self.runtime()) {
            runtime.block_on(session.close());
        }
    }
}
