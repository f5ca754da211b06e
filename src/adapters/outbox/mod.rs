//! Outboxes: places that a legacy system takes files from, wherever they are.
//!
//! The promise: a file appears in the outbox whole, and once, whatever dies on the way; and what became of it is known
//! afterwards, although the backend may have taken it away meanwhile.
//!
//! For that each handover goes through a work folder beside the outbox, on the same file system. First its files are written
//! there ([`Outbox::prepare`]), and when all are on the disk, a receipt with their names. Then each moves into the outbox in
//! one step, in order ([`Outbox::deliver`]). While the first of them is in the work folder, nothing has appeared; when it is
//! not, the handover is under way and goes on to its end. What has moved cannot move again. One that is not done is held back
//! before that is said to anybody: its first file gets another name, in one step too. Each try has names of its own for its
//! files, so that whatever an earlier one may still do, however late, finds nothing to move. What is left in the work folder goes when what came of it is kept elsewhere
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
use serde::{Deserialize, Serialize};
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

/// Handovers whose rests are cleared away with one that is prepared.
const MOST_CLEARED: usize = 4;

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
    /// Answers whether it has.
    fn unmake_work(&mut self) -> bool {
        false
    }
    /// The names of its files that begin so. Without a work folder that is a fault.
    fn named(&mut self, prefix: &str) -> Result<Vec<String>, Fault>;
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
    /// Whether the outbox has a file of this name.
    fn is_taken(&mut self, shown: &str) -> Result<bool, Fault>;
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
    /// Where its work folder is, for people.
    fn work(&self) -> String;
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
    receipt: Receipt,
}

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Receipt {
    /// The names that the files will have.
    names: Vec<String>,
    /// What tells the try from others of the same handover.
    part: String,
}

impl Receipt {
    /// The name of a file in the work folder.
    fn part(&self, id: &str, number: usize) -> String {
        format!("{id}.{}.{number}", self.part)
    }

    /// The name of the first file when it is held back.
    fn back(&self, id: &str) -> String {
        format!("{id}.{}.back", self.part)
    }
}

/// The handovers that are worked on in this process. An outbox is made anew with each reload, and ids are nobody else's.
static AT_WORK: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// The work folders that were there in the life of this process.
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
            let work = self.folder.work();
            // A work folder that is gone is not made again: another folder may be mounted there now, or none.
            let is_seen = SEEN.lock().contains(&work);
            if !is_seen {
                shelf.make_work()?;
            }
            self.kept.lock().retain(|kept| kept != id);
            let of_it = match shelf.named(&format!("{id}.")) {
                Err(Fault::Refused(error)) if is_seen && error.kind() == io::ErrorKind::NotFound => {
                    return Err(Ended::Told(OutboxError::WorkGone { place: self.place(), work }));
                }
                found => found?,
            };
            self.clear(shelf);
            let known = receipt(shelf, id, &of_it)?;
            let is_whole =
                |known: &Receipt| (0..known.names.len()).all(|number| of_it.contains(&known.part(id, number)));
            let ready = match known {
                Some(known) if is_whole(&known) => known,
                known => {
                    if known.is_some() {
                        shelf.remove(&receipt_of(id))?;
                        shelf.settle()?;
                    }
                    let written = write_all(shelf, id, files);
                    if let Err(Fault::Refused(_)) = &written {
                        // A disk that is full does not stay full because of us.
                        let _ = take_away(shelf, id);
                    }
                    written?
                }
            };
            // What earlier tries have left.
            let own = format!("{id}.{}.", ready.part);
            let others = of_it.iter().filter(|name| **name != receipt_of(id) && !name.starts_with(&own));
            for name in others {
                shelf.remove(name)?;
            }
            SEEN.lock().insert(work);
            Ok(ready)
        });
        prepared.map(|(receipt, shelf)| Prepared { shelf, id: id.to_owned(), receipt })
    }

    /// Has the files appear, one after the other. Answers their names.
    pub fn deliver(&self, permit: &Permit, prepared: Prepared) -> Result<Vec<String>, NotDelivered> {
        let Prepared { mut shelf, id, receipt } = prepared;
        let call = permit.begin();
        let done = match self.move_all(&mut *shelf, &id, &receipt) {
            Ok(()) => Ok(receipt.names),
            Err(Broken { error, is_begun }) => {
                let is_open = is_begun || error.is_lost();
                let may_be_done = is_open || !matches!(hold_back(&mut *shelf, &id, &receipt), Ok(true));
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
            let of_it = match shelf.named(&format!("{id}.")) {
                Ok(of_it) => of_it,
                // Without a work folder it is not this outbox.
                Err(Fault::Refused(_)) => return Err(Ended::Told(untraced())),
                Err(lost) => return Err(lost.into()),
            };
            let Some(receipt) = receipt(shelf, id, &of_it)? else { return Err(Ended::Told(untraced())) };
            if hold_back(shelf, id, &receipt)? {
                return Ok(None);
            }
            self.move_all(shelf, id, &receipt).map_err(|broken| Ended::Told(broken.error))?;
            Ok(Some(receipt.names))
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
            let id = Uuid::now_v7();
            let (trial, moved) = (format!("{id}.trial"), format!("{id}.back"));
            let tried =
                shelf.write(&trial, b"").and_then(|()| shelf.hide(&trial, &moved)).and_then(|()| shelf.remove(&moved));
            let was_made = shelf.unmake_work();
            tried?;
            Ok(was_made)
        });
        match tried {
            Ok(false) => Finding::well("outbox", format!("files can be put into {}", self.place())),
            Ok(true) => Finding::well(
                "outbox",
                format!(
                    "files can be put into {}; its work folder is not there yet, the first write makes it",
                    self.place()
                ),
            ),
            Err(error) => Finding::wrong(error.step(), error.to_string(), error.remedy()),
        }
    }

    /// Whether the outbox is there.
    pub fn probe(&self, permit: &Permit) -> Result<(), OutboxError> {
        self.call(permit, |_| Ok(()))
    }

    /// Moves what has not moved yet.
    fn move_all(&self, shelf: &mut dyn Shelf, id: &str, receipt: &Receipt) -> Result<(), Broken> {
        // Where a name is looked for before it is given, nobody else gives one in between.
        let showing = Arc::clone(SHOWING.lock().entry(self.place()).or_default());
        let broken = |is_begun, fault, name: &str| Broken { error: self.fault(fault, name.to_owned()), is_begun };
        for (number, name) in receipt.names.iter().enumerate() {
            let part = receipt.part(id, number);
            let shown = {
                let _alone = showing.lock();
                match number {
                    // The others want their names as well: nothing appears before all can.
                    0 => others_are_free(shelf, &receipt.names).and_then(|()| shelf.show(&part, name)),
                    _ => shelf.show(&part, name),
                }
            };
            let Err(fault) = shown else { continue };
            if let Fault::Lost(_) = fault {
                return Err(broken(number > 0, fault, name));
            }
            let of_it = shelf.named(&format!("{id}.")).map_err(|fault| broken(true, fault, name))?;
            if of_it.contains(&part) {
                return Err(broken(number > 0, fault, name));
            }
            if number == 0 && of_it.contains(&receipt.back(id)) {
                return Err(broken(false, fault, name));
            }
            // It has moved before; unless somebody has cleared the folder, or has begun it anew.
            match self::receipt(shelf, id, &of_it) {
                Ok(Some(now)) if now.part == receipt.part => {}
                Ok(_) => return Err(Broken { error: OutboxError::Untraced { place: self.place() }, is_begun: true }),
                Err(fault) => return Err(broken(true, fault, name)),
            }
        }
        shelf.settle().map_err(|fault| broken(true, fault, ""))
    }

    /// Clears away what nobody needs any more, as far as that goes.
    fn clear(&self, shelf: &mut dyn Shelf) {
        for _ in 0..MOST_CLEARED {
            // Only such as nobody works on: it may have been begun anew.
            let turn = {
                let mut kept = self.kept.lock();
                let free = kept.iter().enumerate().find_map(|(place, id)| Some((place, self.turn(id)?)));
                free.map(|(place, turn)| {
                    kept.swap_remove(place);
                    turn
                })
            };
            let Some(turn) = turn else { break };
            if let Err(fault) = take_away(shelf, &turn.0) {
                self.kept(&turn.0);
                return self.told(fault);
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
                for name in receipts_first(names.into_iter().filter(|name| is_ours(name)).collect()) {
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

/// Whether no other file has the name of one that comes behind the first.
fn others_are_free(shelf: &mut dyn Shelf, names: &[String]) -> Result<(), Fault> {
    for name in names.iter().skip(1) {
        if shelf.is_taken(name)? {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists).into());
        }
    }
    Ok(())
}

/// Writes the files of a handover, and then its receipt.
fn write_all(shelf: &mut dyn Shelf, id: &str, files: &[Outgoing]) -> Result<Receipt, Fault> {
    let names = files.iter().map(|file| file.name.clone()).collect();
    let receipt = Receipt { names, part: Uuid::now_v7().simple().to_string() };
    for (number, file) in files.iter().enumerate() {
        shelf.write(&receipt.part(id, number), &file.content)?;
    }
    shelf.settle()?;
    shelf.write(&receipt_of(id), serde_json::json!(receipt).to_string().as_bytes())?;
    shelf.settle()?;
    Ok(receipt)
}

/// Gives the first of a handover's files another name, so that it cannot appear any more. Answers whether that is so; else it
/// has appeared.
fn hold_back(shelf: &mut dyn Shelf, id: &str, receipt: &Receipt) -> Result<bool, Fault> {
    let (part, back) = (receipt.part(id, 0), receipt.back(id));
    let refused = match shelf.hide(&part, &back) {
        Ok(()) => return shelf.settle().map(|()| true),
        Err(Fault::Refused(error)) => error,
        Err(lost) => return Err(lost),
    };
    let of_it = shelf.named(&format!("{id}."))?;
    match (of_it.contains(&back), of_it.contains(&part)) {
        (true, _) => Ok(true),
        (false, true) => Err(Fault::Refused(refused)),
        (false, false) => Ok(false),
    }
}

/// Takes away what is left of a handover: the receipt first.
fn take_away(shelf: &mut dyn Shelf, id: &str) -> Result<(), Fault> {
    let names = shelf.named(&format!("{id}."))?;
    receipts_first(names).iter().try_for_each(|name| shelf.remove(name))
}

/// The order in which files are taken away: what is left of a handover never looks as if it were done.
fn receipts_first(mut names: Vec<String>) -> Vec<String> {
    names.sort_by_key(|name| !name.ends_with(RECEIPT));
    names
}

/// The name of a handover's receipt.
fn receipt_of(id: &str) -> String {
    format!("{id}{RECEIPT}")
}

/// Whether a file of the work folder has a name that this gives: the id of an operation, and what it is of it.
fn is_ours(name: &str) -> bool {
    let Some((id, kind)) = name.split_once('.') else { return false };
    let is_part = |kind: &str| {
        let of_try = kind.split_once('.').filter(|(part, _)| Uuid::try_parse(part).is_ok());
        of_try.is_some_and(|(_, kind)| kind == "back" || kind.bytes().all(|byte| byte.is_ascii_digit()))
    };
    Uuid::try_parse(id).is_ok() && (matches!(kind, "whole" | "back" | "trial") || is_part(kind))
}

/// The receipt of a handover, where all its files are written; `of_it` are the names of what it has in the work folder.
fn receipt(shelf: &mut dyn Shelf, id: &str, of_it: &[String]) -> Result<Option<Receipt>, Fault> {
    let name = receipt_of(id);
    let content = if of_it.contains(&name) { shelf.read(&name)? } else { None };
    // One that is not whole was being written when something died: nothing has moved then.
    let receipt = content.and_then(|content| serde_json::from_slice::<Receipt>(&content).ok());
    Ok(receipt.filter(|receipt| !receipt.names.is_empty()))
}
