//! The `ftps` backend: a folder on an FTP server, over TLS.
//!
//! Connections live for one run: its first call opens one, later calls use it again. The server's clock is not
//! ours, so a file is complete when two looks find it unchanged for long enough. A download that breaks off goes
//! on where it ended (REST), as long as the file has kept its size and time.

mod config;
mod download;
mod session;
mod tls;

use std::path::PathBuf;

use parking_lot::Mutex;
use suppaftp::FtpError;

use crate::adapters::inbox::remote::{free_names, is_plain, join};
use crate::adapters::inbox::{Candidate, Claim, Door, Fate, Found, Inbox, InboxError, Listing};
use crate::gate::Permit;
use session::{Session, fault, io_fault};

pub use config::{Config, SECTION, Tls};

/// Folders below folders.
const DEEPEST: usize = 32;

/// The door to the folder in `config`. Touches nothing yet.
pub fn door(config: Config) -> Door {
    let pickup = config.pickup.clone();
    let scheme = match config.tls {
        Tls::Explicit | Tls::Implicit => "ftps",
        Tls::Off => "ftp",
    };
    let place = config.account.url(scheme);
    if config.tls == Tls::Off {
        tracing::warn!(inbox = place, "tls is off: whoever is on the way can read and change password and files");
    }
    Door::new(Server { place, config, idle: Mutex::default() }, pickup)
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
    fn call<T>(&self, permit: &Permit, work: impl FnOnce(&mut Session) -> Result<T, Fault>) -> Result<T, InboxError> {
        let call = permit.begin();
        let done = self.session().and_then(|mut session| {
            let done = work(&mut session);
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

    /// The connection that is there, or a new one.
    fn session(&self) -> Result<Session, Fault> {
        let idle = self.idle.lock().take();
        match idle {
            Some(session) => Ok(session),
            None => Session::open(&self.config, &self.place).map_err(|error| (error, true)),
        }
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
    fn of_inbox(&self, error: &FtpError) -> Fault {
        match io_fault(error) {
            Some(source) => (InboxError::Inbox { place: self.place.clone(), source }, true),
            None => (fault(&self.place, error), false),
        }
    }

    /// The fault of a call that is about one file.
    fn of_file(&self, name: &str, error: &FtpError) -> Fault {
        match io_fault(error) {
            Some(source) => (InboxError::file(self.place_of(name), source), true),
            None => (fault(&self.place, error), false),
        }
    }

    /// Lists the inbox and, where asked, the folders below it.
    fn visit(&self, session: &mut Session, wanted: &dyn Fn(&str) -> bool) -> Result<Listing, Fault> {
        let mut listing = Listing::default();
        let mut open = vec![(String::new(), 0)];
        while let Some((below, depth)) = open.pop() {
            let folder = self.path(&below);
            let entries = match session.list(folder.trim_end_matches('/')) {
                Ok(entries) => entries,
                Err(error) if below.is_empty() => return Err(self.of_inbox(&error)),
                Err(error) => match self.of_file(&below, &error) {
                    (InboxError::Vanished { .. }, _) => continue,
                    (error, true) => {
                        listing.closed.push(error);
                        continue;
                    }
                    fault => return Err(fault),
                },
            };
            for entry in entries {
                if !is_plain(&entry.name) {
                    continue;
                }
                let name = format!("{below}{}", entry.name);
                let is_deeper = self.config.pickup.recursive && depth < DEEPEST && !entry.name.starts_with('.');
                if entry.is_folder && is_deeper {
                    open.push((format!("{name}/"), depth + 1));
                } else if entry.is_file && !wanted(&name) {
                    listing.others.insert(name);
                } else if entry.is_file {
                    match session.state_of_listed(&self.path(&name), &entry) {
                        Ok(stamp) => {
                            let path = PathBuf::from(&name);
                            listing.found.push(Found { name, path, stamp, has_our_clock: false });
                        }
                        // Gone again, or not for us: reading it would tell, if it is still there then.
                        Err(error) if io_fault(&error).is_some() => {}
                        Err(error) => return Err(self.of_file(&name, &error)),
                    }
                }
            }
        }
        Ok(listing)
    }

    /// Moves a file under the first name that is free; answers it.
    fn rename(&self, session: &mut Session, from: &str, to: &str) -> Result<String, FtpError> {
        for target in free_names(to) {
            if !session.exists(&target)? {
                session.rename(from, &target)?;
                return Ok(target);
            }
        }
        Err(FtpError::BadResponse)
    }
}

impl Inbox for Server {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn probe(&self, permit: &Permit) -> Result<(), InboxError> {
        self.call(permit, |session| {
            let folder = self.config.account.folders.inbox.as_str();
            session.list(folder).map(drop).map_err(|error| self.of_inbox(&error))
        })
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
        self.call(permit, |session| {
            if session.state(&from).map_err(|error| self.of_file(&candidate.name, &error))? != candidate.stamp {
                return Err((InboxError::Changed { place: self.place_of(&candidate.name) }, true));
            }
            let moved = |error: FtpError| match io_fault(&error) {
                Some(source) => (InboxError::Move { from: from.clone(), to: to.clone(), source }, true),
                None => (fault(&self.place, &error), false),
            };
            let folder = to.rsplit_once('/').map_or("", |(folder, _)| folder);
            session.make_folder(folder).map_err(moved)?;
            let target = self.rename(session, &from, &to).map_err(moved)?;
            if let Some(done) = beside {
                let to = join(self.config.account.folders.of(fate), done);
                if let Err(error) = self.rename(session, &self.path(done), &to) {
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
        if let Some(session) = session {
            session.close();
        }
    }
}
