//! Outboxes: places that a legacy system takes files from, wherever they are.
//!
//! The promise: a file appears in the outbox whole, and once, whatever dies on the way; and what became of it is known
//! afterwards, although the backend may have taken it away meanwhile.
//!
//! For that each handover goes through a work folder beside the outbox, on the same file system. First its files are written
//! there ([`Outbox::prepare`]), and when all are on the disk, a receipt with their names. Then each moves into the outbox in
//! one step, in order ([`Outbox::deliver`]). So a handover that has a receipt and none of its files in the work folder is
//! done; with some of them it is under way and goes on; and nothing is ever written a second time into the outbox, since what
//! has moved is not in the work folder any more. The receipt goes when what came of it is kept elsewhere ([`Outbox::kept`]),
//! with the next handover.
//!
//! A kind of outbox implements [`Folder`] and [`Shelf`]: a few steps each of which is done or not.

mod error;
mod remote;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::io;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::adapters::finding::Finding;
use crate::adapters::inbox::InboxError;
use crate::adapters::inbox::server::Fault;
use crate::diagnostic::{Key, Presence};
use crate::gate::{Call, Permit};

pub use error::OutboxError;
pub(in crate::adapters) use remote::{Folders, Remote};

/// The name of the work folder in the outbox, where none is declared.
pub(in crate::adapters) const WORK: &str = ".tollbridge";

/// How a receipt's name ends.
const RECEIPT: &str = ".whole";

/// The name of a file that is written and taken away to see whether that goes.
const TRIAL: &str = "trial";

/// Receipts that are cleared away at once.
const MOST_CLEARED: usize = 100;

/// What was forgotten in the work folder is looked for so often,
const SWEEPS: Duration = Duration::from_hours(6);

/// and cleared away when it is so old.
const FORGOTTEN: Duration = Duration::from_hours(30 * 24);

pub(in crate::adapters) const OUTBOX: Key = Key {
    name: "outbox",
    shape: "path",
    presence: Presence::Optional,
    doc: "a folder that the system takes files from: what `file` of an operation writes appears there, whole. It must be there",
};
pub(in crate::adapters) const OUTBOX_WORK: Key = Key {
    name: "outbox_work",
    shape: "path",
    presence: Presence::Optional,
    doc: "where files are written before they appear in the outbox, on the same file system; default `.tollbridge` in it. Nobody else may take anything away there",
};

/// A file to hand over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its name, one part of a path.
    pub name: String,
    /// Its content.
    pub content: Vec<u8>,
}

/// An outbox of some kind, open for one handover. All methods block; names are one part of a path, in the work folder where
/// nothing else is said. What the server or system says no to is refused, and was not done.
pub(in crate::adapters) trait Shelf: Send {
    /// Makes the work folder where it is not there.
    fn make_work(&mut self) -> Result<(), Fault>;
    /// Whether there is such a file. Without a work folder that is a fault.
    fn has(&mut self, name: &str) -> Result<bool, Fault>;
    /// What a small file holds; `None` where it is not there.
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, Fault>;
    /// Writes a file to the disk; one of that name is replaced.
    fn write(&mut self, name: &str, content: &[u8]) -> Result<(), Fault>;
    /// Takes a file away. One that is not there is no fault.
    fn remove(&mut self, name: &str) -> Result<(), Fault>;
    /// Moves a file into the outbox under a name, in one step. `AlreadyExists` where that is taken.
    fn show(&mut self, name: &str, shown: &str) -> Result<(), Fault>;
    /// Has the names in both folders be on the disk.
    fn settle(&mut self) -> Result<(), Fault>;
    /// Names of files that have not changed for so long.
    fn older(&mut self, age: Duration) -> Result<Vec<String>, Fault>;
}

/// A kind of outbox.
pub(in crate::adapters) trait Folder: Send + Sync {
    /// Where it is, for people.
    fn place(&self) -> String;
    /// Opens it, for one handover.
    fn open(&self) -> Result<Box<dyn Shelf>, InboxError>;
}

/// An outbox. All methods but [`Outbox::place`] and [`Outbox::kept`] block: call them from a blocking thread of the runtime.
pub struct Outbox {
    folder: Box<dyn Folder>,
    /// Handovers whose receipts nobody needs any more.
    kept: Mutex<Vec<String>>,
    swept: Mutex<Option<Instant>>,
}

/// A handover whose files are written and have not appeared yet.
pub struct Prepared {
    shelf: Box<dyn Shelf>,
    id: String,
    names: Vec<String>,
}

/// The handovers that are worked on in this process. An outbox is made anew with each reload, and ids are nobody else's.
static AT_WORK: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// That a handover is worked on.
pub struct Turn(String);

impl Drop for Turn {
    fn drop(&mut self) {
        AT_WORK.lock().remove(&self.0);
    }
}

/// Why a handover did not go through.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct NotDelivered {
    /// Why.
    pub error: OutboxError,
    /// Whether it may be done all the same, or a part of it.
    pub may_be_done: bool,
}

impl Outbox {
    /// Touches nothing yet.
    pub(in crate::adapters) fn new(folder: impl Folder + 'static) -> Outbox {
        Outbox { folder: Box::new(folder), kept: Mutex::default(), swept: Mutex::default() }
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        self.folder.place()
    }

    /// Writes the files where nobody looks for them, under the handover's id, which no other has. Nothing of it has appeared
    /// when this fails. One that was prepared before and of which nothing has appeared is taken up as it is.
    pub fn prepare(&self, permit: &Permit, id: &str, files: &[Outgoing]) -> Result<Prepared, OutboxError> {
        self.call(permit, |mut shelf| {
            shelf.make_work()?;
            self.clear(&mut *shelf);
            let names = match receipt(&mut *shelf, id)? {
                Some(names) if left(&mut *shelf, id, &names)?.iter().all(|left| *left) => names,
                found => {
                    if found.is_some() {
                        // It has appeared, and somebody has found that the backend has nothing of it.
                        shelf.remove(&receipt_of(id))?;
                        shelf.settle()?;
                    }
                    for (number, file) in files.iter().enumerate() {
                        shelf.write(&part(id, number), &file.content)?;
                    }
                    shelf.settle()?;
                    let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
                    shelf.write(&receipt_of(id), serde_json::json!(names).to_string().as_bytes())?;
                    shelf.settle()?;
                    names
                }
            };
            Ok(Prepared { shelf, id: id.to_owned(), names })
        })
    }

    /// The turn to work on a handover; `None` while somebody in this process has it. A thread that waits for a share has it
    /// until that answers, long after everybody has given it up: what it does then must not come between.
    pub fn turn(&self, id: &str) -> Option<Turn> {
        AT_WORK.lock().insert(id.to_owned()).then(|| Turn(id.to_owned()))
    }

    /// Has the files appear, one after the other. Answers their names.
    pub fn deliver(&self, permit: &Permit, prepared: Prepared) -> Result<Vec<String>, NotDelivered> {
        let Prepared { mut shelf, id, names } = prepared;
        let call = permit.begin();
        let done = self.move_all(&mut *shelf, &id, &names);
        let done = match done {
            Ok(()) => Ok(names),
            Err((fault, shown, name)) => {
                let error = self.fault(fault, name);
                let may_be_done = shown > 0 || error.is_lost();
                if !may_be_done {
                    take_back(&mut *shelf, &id, names.len());
                }
                Err(NotDelivered { error, may_be_done })
            }
        };
        end(call, done.as_ref().err().map(|failed| &failed.error));
        done
    }

    /// What became of a handover that was prepared: the names of its files where it is done, `None` where nothing of it has
    /// appeared. One that is done in part is brought to its end first. That there is no trace of it is a fault.
    pub fn look(&self, permit: &Permit, id: &str) -> Result<Option<Vec<String>>, OutboxError> {
        self.call(permit, |mut shelf| {
            let Some(names) = receipt(&mut *shelf, id)? else { return Err(Ended::Untraced) };
            let left = left(&mut *shelf, id, &names)?;
            if left.iter().all(|left| *left) {
                return Ok(None);
            }
            if left.iter().any(|left| *left) {
                self.move_all(&mut *shelf, id, &names).map_err(|(fault, _, name)| Ended::Fault(fault, Some(name)))?;
            }
            Ok(Some(names))
        })
    }

    /// Takes back a handover of which nothing has appeared, and which is not begun again.
    pub fn withdraw(&self, permit: &Permit, id: &str) -> Result<(), OutboxError> {
        self.call(permit, |mut shelf| {
            let Some(names) = receipt(&mut *shelf, id)? else { return Ok(()) };
            shelf.remove(&receipt_of(id))?;
            for number in 0..names.len() {
                shelf.remove(&part(id, number))?;
            }
            Ok(())
        })
    }

    /// What came of a handover is kept elsewhere: its receipt is not needed any more.
    pub fn kept(&self, id: &str) {
        self.kept.lock().push(id.to_owned());
    }

    /// Whether files can be put there, by doing it in the work folder.
    pub fn diagnose(&self, permit: &Permit) -> Finding {
        let tried = self.call(permit, |mut shelf| {
            shelf.make_work()?;
            shelf.write(TRIAL, b"")?;
            Ok(shelf.remove(TRIAL)?)
        });
        match tried {
            Ok(()) => Finding::well("outbox", format!("files can be put into {}", self.place())),
            Err(error) => Finding::wrong(error.step(), error.to_string(), error.remedy()),
        }
    }

    /// Whether the outbox is there.
    pub fn probe(&self, permit: &Permit) -> Result<(), OutboxError> {
        self.call(permit, |_| Ok(()))
    }

    /// Moves what has not moved yet. The fault comes with how many have appeared, and the name of the one that has not.
    fn move_all(&self, shelf: &mut dyn Shelf, id: &str, names: &[String]) -> Result<(), (Fault, usize, String)> {
        for (number, name) in names.iter().enumerate() {
            let part = part(id, number);
            let Err(fault) = shelf.show(&part, name) else { continue };
            let lost = |fault| (fault, number, name.clone());
            match fault {
                Fault::Lost(_) => return Err(lost(fault)),
                // It has moved before, where it is not there any more.
                Fault::Refused(_) => match shelf.has(&part) {
                    Ok(false) => {}
                    Ok(true) => return Err(lost(fault)),
                    Err(fault) => return Err((fault, number.max(1), name.clone())),
                },
            }
        }
        shelf.settle().map_err(|fault| (fault, names.len(), String::new()))
    }

    /// Clears away what nobody needs any more, as far as that goes: receipts first, so that what is left of a handover never
    /// looks as if it were done.
    fn clear(&self, shelf: &mut dyn Shelf) {
        let kept: Vec<String> = {
            let mut kept = self.kept.lock();
            let most = kept.len().min(MOST_CLEARED);
            kept.drain(..most).collect()
        };
        for id in kept {
            if let Err(fault) = shelf.remove(&receipt_of(&id)) {
                self.told(fault);
            }
        }
        {
            let mut swept = self.swept.lock();
            if swept.is_some_and(|at| at.elapsed() < SWEEPS) {
                return;
            }
            *swept = Some(Instant::now());
        }
        match shelf.older(FORGOTTEN) {
            Ok(mut names) => {
                names.sort_by_key(|name| !name.ends_with(RECEIPT));
                for name in names {
                    tracing::warn!(
                        outbox = self.place(),
                        file = name,
                        "what was forgotten in an outbox's work folder goes"
                    );
                    if let Err(fault) = shelf.remove(&name) {
                        return self.told(fault);
                    }
                }
            }
            Err(fault) => self.told(fault),
        }
    }

    fn told(&self, fault: Fault) {
        let error = self.fault(fault, String::new());
        tracing::warn!(outbox = self.place(), error = %error, "an outbox's work folder cannot be cleared");
    }

    /// One call, with the outbox opened for it.
    fn call<T>(
        &self,
        permit: &Permit,
        work: impl FnOnce(Box<dyn Shelf>) -> Result<T, Ended>,
    ) -> Result<T, OutboxError> {
        let call = permit.begin();
        let done = match self.folder.open() {
            Ok(shelf) => work(shelf).map_err(|ended| match ended {
                Ended::Fault(fault, name) => self.fault(fault, name.unwrap_or_default()),
                Ended::Untraced => OutboxError::Untraced { place: self.place() },
            }),
            Err(error) => Err(OutboxError::Unopened(error)),
        };
        end(call, done.as_ref().err());
        done
    }

    fn fault(&self, fault: Fault, name: String) -> OutboxError {
        let place = self.place();
        match fault {
            Fault::Refused(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                OutboxError::Taken { place, name }
            }
            Fault::Refused(source) => OutboxError::Refused { place, source },
            Fault::Lost(error) => OutboxError::Lost(error),
        }
    }
}

/// How a call failed.
enum Ended {
    /// With the name of the file that it is about.
    Fault(Fault, Option<String>),
    Untraced,
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Ended {
        Ended::Fault(fault, None)
    }
}

/// Ends the call as it went.
fn end(call: Call<'_>, error: Option<&OutboxError>) {
    match error {
        Some(OutboxError::Lost(_)) => call.lost(),
        Some(error) if error.is_outage() => call.failed(),
        _ => call.answered(),
    }
}

/// The name of a handover's file in the work folder.
fn part(id: &str, number: usize) -> String {
    format!("{id}.{number}")
}

/// Which of a handover's files are in the work folder still.
fn left(shelf: &mut dyn Shelf, id: &str, names: &[String]) -> Result<Vec<bool>, Fault> {
    (0..names.len()).map(|number| shelf.has(&part(id, number))).collect()
}

/// The name of a handover's receipt.
fn receipt_of(id: &str) -> String {
    format!("{id}{RECEIPT}")
}

/// The names that a handover's files will have, where all are written.
fn receipt(shelf: &mut dyn Shelf, id: &str) -> Result<Option<Vec<String>>, Fault> {
    let content = shelf.read(&receipt_of(id))?;
    // One that is not whole was being written when something died: nothing has moved then.
    Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
}

/// Takes back what has not appeared, as far as that goes; what stays is taken up when the same is begun again.
fn take_back(shelf: &mut dyn Shelf, id: &str, files: usize) {
    let names = std::iter::once(receipt_of(id)).chain((0..files).map(|number| part(id, number)));
    for name in names {
        if shelf.remove(&name).is_err() {
            return;
        }
    }
}
