//! Outboxes: places that a legacy system takes files from, wherever they are.
//!
//! The promise: a file appears in the outbox whole, and once, whatever dies on the way; and what became of it is known
//! afterwards, although the backend may have taken it away meanwhile.
//!
//! For that each handover goes through a work folder beside the outbox, on the same file system. First its files are written
//! there ([`Outbox::prepare`]), and when all are on the disk, a receipt with their names. Then each moves into the outbox in
//! one step, in order ([`Outbox::deliver`]). While the first of them is in the work folder, nothing has appeared; when it is
//! not, the handover is under way and goes on to its end. What has moved cannot move again. One that is not done is held back
//! before that is said to anybody: its first file gets another name, in one step too, so that whatever an earlier try may
//! still do finds nothing to move. What is left in the work folder goes when what came of it is kept elsewhere
//! ([`Outbox::kept`]), with the next handover; without a receipt nothing is concluded.
//!
//! A kind of outbox implements [`Folder`] and [`Shelf`]: a few steps each of which is done or not.

mod error;
mod remote;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

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

/// Handovers whose rests are cleared away at once.
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
    /// Takes the work folder away again where this has made it, for whoever only looks: it would be theirs.
    fn unmake_work(&mut self) {}
    /// Whether there is such a file. Without a work folder that is a fault.
    fn has(&mut self, name: &str) -> Result<bool, Fault>;
    /// What a small file holds; `None` where it is not there.
    fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, Fault>;
    /// Writes a file to the disk; one of that name is replaced.
    fn write(&mut self, name: &str, content: &[u8]) -> Result<(), Fault>;
    /// Takes a file away. One that is not there is no fault.
    fn remove(&mut self, name: &str) -> Result<(), Fault>;
    /// Gives a file another name in the work folder, in one step.
    fn hide(&mut self, name: &str, hidden: &str) -> Result<(), Fault>;
    /// Moves a file into the outbox under a name, in one step. `AlreadyExists` where that is taken. A no that may have been
    /// done all the same is a loss.
    fn show(&mut self, name: &str, shown: &str) -> Result<(), Fault>;
    /// Has the names in both folders be on the disk.
    fn settle(&mut self) -> Result<(), Fault>;
    /// Names of files that have not changed for so long.
    fn older(&mut self, age: Duration) -> Result<Vec<String>, Fault>;
    /// Says goodbye, which may block. Dropping it ends it without.
    fn close(self: Box<Self>) {}
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
    /// Handovers whose rests nobody needs any more.
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

/// The places whose work folders were there in the life of this process.
static SEEN: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Who gives a file its name in an outbox, by place.
static SHOWING: LazyLock<Mutex<HashMap<String, Arc<Mutex<()>>>>> = LazyLock::new(Mutex::default);

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

    /// The turn to work on a handover; `None` while somebody in this process has it. A thread that waits for a share has it
    /// until that answers, long after everybody has given it up: what it does then must not come between.
    pub fn turn(&self, id: &str) -> Option<Turn> {
        AT_WORK.lock().insert(id.to_owned()).then(|| Turn(id.to_owned()))
    }

    /// Writes the files where nobody looks for them, under the handover's id, which no other has; whoever does has its turn.
    /// Nothing of it has appeared when this fails. One that was prepared before and of which nothing has appeared is taken up
    /// as it is, any other is written anew: whoever asks for it knows that it is not done.
    pub fn prepare(&self, permit: &Permit, id: &str, files: &[Outgoing]) -> Result<Prepared, OutboxError> {
        let prepared = self.call_keeping(permit, |shelf| {
            let place = self.place();
            // A work folder that is gone is not made again: another folder may be mounted there now, or none.
            if !SEEN.lock().contains(&place) {
                shelf.make_work()?;
            }
            self.kept.lock().retain(|kept| kept != id);
            self.clear(shelf);
            let names = match receipt(shelf, id)? {
                Some(names) if left(shelf, id, &names)? => names,
                found => {
                    if found.is_some() {
                        shelf.remove(&receipt_of(id))?;
                        shelf.settle()?;
                    }
                    let written = write_all(shelf, id, files);
                    if let Err(Fault::Refused(_)) = &written {
                        // A disk that is full does not stay full because of us.
                        let _ = take_away(shelf, id, files.len());
                    }
                    written?
                }
            };
            SEEN.lock().insert(place);
            Ok(names)
        });
        prepared.map(|(names, shelf)| Prepared { shelf, id: id.to_owned(), names })
    }

    /// Has the files appear, one after the other. Answers their names.
    pub fn deliver(&self, permit: &Permit, prepared: Prepared) -> Result<Vec<String>, NotDelivered> {
        let Prepared { mut shelf, id, names } = prepared;
        let call = permit.begin();
        let done = match self.move_all(&mut *shelf, &id, &names) {
            Ok(()) => Ok(names),
            Err(Broken { error, is_begun }) => {
                let may_be_done = is_begun || error.is_lost() || !matches!(hold_back(&mut *shelf, &id), Ok(true));
                Err(NotDelivered { error, may_be_done })
            }
        };
        if !done.as_ref().is_err_and(|failed| failed.error.is_lost()) {
            shelf.close();
        }
        end(call, done.as_ref().err().map(|failed| &failed.error));
        done
    }

    /// What became of a handover that was prepared: the names of its files where it is done; `None` where nothing of it has
    /// appeared, nor will. One that is done in part is brought to its end first. That there is no trace of it is a fault.
    pub fn look(&self, permit: &Permit, id: &str) -> Result<Option<Vec<String>>, OutboxError> {
        self.call(permit, |shelf| {
            let untraced = || OutboxError::Untraced { place: self.place() };
            let names = match receipt(shelf, id) {
                Ok(Some(names)) => names,
                // Without a work folder it is not this outbox.
                Ok(None) | Err(Fault::Refused(_)) => return Err(Ended::Told(untraced())),
                Err(lost) => return Err(lost.into()),
            };
            if hold_back(shelf, id)? {
                return Ok(None);
            }
            self.move_all(shelf, id, &names).map_err(|broken| Ended::Told(broken.error))?;
            Ok(Some(names))
        })
    }

    /// What came of a handover is kept elsewhere: nobody needs what is left of it.
    pub fn kept(&self, id: &str) {
        self.kept.lock().push(id.to_owned());
    }

    /// Whether files can be put there, by doing it in the work folder.
    pub fn diagnose(&self, permit: &Permit) -> Finding {
        let tried = self.call(permit, |shelf| {
            shelf.make_work()?;
            let trial = format!("{}.trial", Uuid::now_v7());
            let tried = shelf.write(&trial, b"").and_then(|()| shelf.remove(&trial));
            shelf.unmake_work();
            Ok(tried?)
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

    /// Moves what has not moved yet.
    fn move_all(&self, shelf: &mut dyn Shelf, id: &str, names: &[String]) -> Result<(), Broken> {
        // Where a name is looked for before it is given, nobody else gives one in between.
        let showing = Arc::clone(SHOWING.lock().entry(self.place()).or_default());
        for (number, name) in names.iter().enumerate() {
            let part = part(id, number);
            let shown = {
                let _alone = showing.lock();
                shelf.show(&part, name)
            };
            let Err(fault) = shown else { continue };
            let broken = |is_begun, fault| Broken { error: self.fault(fault, name.clone()), is_begun };
            if let Fault::Lost(_) = fault {
                return Err(broken(number > 0, fault));
            }
            match shelf.has(&part) {
                Ok(true) => return Err(broken(number > 0, fault)),
                Ok(false) if number == 0 && shelf.has(&back(id)).unwrap_or(false) => return Err(broken(false, fault)),
                // It has moved before; unless somebody has cleared the folder.
                Ok(false) => match receipt(shelf, id) {
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        let error = OutboxError::Untraced { place: self.place() };
                        return Err(Broken { error, is_begun: true });
                    }
                    Err(fault) => return Err(broken(true, fault)),
                },
                Err(fault) => return Err(broken(true, fault)),
            }
        }
        let settled = shelf.settle();
        settled.map_err(|fault| Broken { error: self.fault(fault, String::new()), is_begun: true })
    }

    /// Clears away what nobody needs any more, as far as that goes.
    fn clear(&self, shelf: &mut dyn Shelf) {
        // Only such as nobody works on: it may have been begun anew.
        let kept: Vec<Turn> = {
            let mut kept = self.kept.lock();
            let mut turns = Vec::new();
            kept.retain(|id| match self.turn(id) {
                Some(turn) if turns.len() < MOST_CLEARED => {
                    turns.push(turn);
                    false
                }
                _ => true,
            });
            turns
        };
        for turn in kept {
            let files = receipt(shelf, &turn.0).ok().flatten().map_or(1, |names| names.len());
            if let Err(fault) = take_away(shelf, &turn.0, files) {
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
            Ok(names) => {
                let mut names: Vec<String> = names.into_iter().filter(|name| is_ours(name)).collect();
                // Receipts first, so that what is left of a handover never looks as if it were done.
                names.sort_by_key(|name| !name.ends_with(RECEIPT));
                for name in names {
                    let outbox = self.place();
                    tracing::warn!(outbox, file = name, "what was forgotten in an outbox's work folder goes");
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
        work: impl FnOnce(&mut dyn Shelf) -> Result<T, Ended>,
    ) -> Result<T, OutboxError> {
        let (done, shelf) = self.call_keeping(permit, work)?;
        shelf.close();
        Ok(done)
    }

    /// The same; the outbox stays open.
    fn call_keeping<T>(
        &self,
        permit: &Permit,
        work: impl FnOnce(&mut dyn Shelf) -> Result<T, Ended>,
    ) -> Result<(T, Box<dyn Shelf>), OutboxError> {
        let call = permit.begin();
        let done = match self.folder.open() {
            Ok(mut shelf) => match work(&mut *shelf) {
                Ok(done) => Ok((done, shelf)),
                Err(ended) => {
                    let error = match ended {
                        Ended::Fault(fault) => self.fault(fault, String::new()),
                        Ended::Told(error) => error,
                    };
                    if !error.is_lost() {
                        shelf.close();
                    }
                    Err(error)
                }
            },
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
    /// At the outbox.
    Fault(Fault),
    /// As is told already.
    Told(OutboxError),
}

/// How moving broke off.
struct Broken {
    error: OutboxError,
    /// Whether something has appeared, or nobody can say.
    is_begun: bool,
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Ended {
        Ended::Fault(fault)
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

/// The name of the first of a handover's files when it is held back.
fn back(id: &str) -> String {
    format!("{id}.back")
}

/// Whether all of a handover's files are in the work folder still.
fn left(shelf: &mut dyn Shelf, id: &str, names: &[String]) -> Result<bool, Fault> {
    for number in 0..names.len() {
        if !shelf.has(&part(id, number))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes the files of a handover, and then its receipt. Answers their names.
fn write_all(shelf: &mut dyn Shelf, id: &str, files: &[Outgoing]) -> Result<Vec<String>, Fault> {
    for (number, file) in files.iter().enumerate() {
        shelf.write(&part(id, number), &file.content)?;
    }
    shelf.remove(&back(id))?;
    shelf.settle()?;
    let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    shelf.write(&receipt_of(id), serde_json::json!(names).to_string().as_bytes())?;
    shelf.settle()?;
    Ok(names)
}

/// Gives the first of a handover's files another name, so that it cannot appear any more. Answers whether that is so; else it
/// has appeared.
fn hold_back(shelf: &mut dyn Shelf, id: &str) -> Result<bool, Fault> {
    match shelf.hide(&part(id, 0), &back(id)) {
        Ok(()) => shelf.settle().map(|()| true),
        Err(Fault::Refused(_)) if shelf.has(&back(id))? => Ok(true),
        Err(Fault::Refused(error)) if shelf.has(&part(id, 0))? => Err(Fault::Refused(error)),
        Err(Fault::Refused(_)) => Ok(false),
        Err(lost) => Err(lost),
    }
}

/// Takes away what is left of a handover: the receipt first.
fn take_away(shelf: &mut dyn Shelf, id: &str, files: usize) -> Result<(), Fault> {
    shelf.remove(&receipt_of(id))?;
    shelf.remove(&back(id))?;
    (0..files).try_for_each(|number| shelf.remove(&part(id, number)))
}

/// The name of a handover's receipt.
fn receipt_of(id: &str) -> String {
    format!("{id}{RECEIPT}")
}

/// Whether a file of the work folder has a name that this gives: the id of an operation, and what it is of it.
fn is_ours(name: &str) -> bool {
    let Some((id, kind)) = name.split_once('.') else { return false };
    let is_kind = matches!(kind, "whole" | "back" | "trial") || kind.bytes().all(|byte| byte.is_ascii_digit());
    is_kind && Uuid::try_parse(id).is_ok()
}

/// The names that a handover's files will have, where all are written.
fn receipt(shelf: &mut dyn Shelf, id: &str) -> Result<Option<Vec<String>>, Fault> {
    let content = shelf.read(&receipt_of(id))?;
    // One that is not whole was being written when something died: nothing has moved then.
    Ok(content
        .and_then(|content| serde_json::from_slice(&content).ok())
        .filter(|names: &Vec<String>| !names.is_empty()))
}
