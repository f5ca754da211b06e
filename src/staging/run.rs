//! Runs and what they leave: batches, balances, ledger entries, dead letters.

use std::fmt;

use jiff::Timestamp;

use super::source::{Deletion, SnapshotId, SourcePosition};
use crate::record::{BlobId, Document, Reject, RejectCode, ResourceId};

/// A run's id: a UUID of version 7, so that ids sort by time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of the records read: `read = staged + unchanged + dead + skipped`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Records read.
    pub read: u64,
    /// Documents written because they are new or changed.
    pub staged: u64,
    /// Documents that were there already, to the byte.
    pub unchanged: u64,
    /// Records that became dead letters.
    pub dead: u64,
    /// Records left out by a rule (header and trailer lines, filters, refused files).
    pub skipped: u64,
    /// Of those left out, the good records of files that were refused as a whole.
    pub refused: u64,
    /// Documents deleted, beside the equation: by a record that says so, which is among `read` and `staged` too, or
    /// because a snapshot had no record of them any more: nothing was read then.
    pub deleted: u64,
}

impl Balance {
    /// Whether nothing was lost.
    pub fn holds(&self) -> bool {
        self.read == self.staged + self.unchanged + self.dead + self.skipped && self.refused <= self.skipped
    }

    /// Adds another balance to this one.
    pub fn add(&mut self, other: Balance) {
        self.read += other.read;
        self.staged += other.staged;
        self.unchanged += other.unchanged;
        self.dead += other.dead;
        self.skipped += other.skipped;
        self.refused += other.refused;
        self.deleted += other.deleted;
    }
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Going on.
    Running,
    /// Ended well; there may be dead letters.
    Succeeded,
    /// Ended with an error; what was committed stays.
    Failed,
    /// The process died; a later run went on from the last commit.
    Interrupted,
}

impl RunState {
    /// All states.
    pub const ALL: [RunState; 4] = [RunState::Running, RunState::Succeeded, RunState::Failed, RunState::Interrupted];

    /// The text in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            RunState::Running => "running",
            RunState::Succeeded => "succeeded",
            RunState::Failed => "failed",
            RunState::Interrupted => "interrupted",
        }
    }
}

/// A sync of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What was synced.
    pub resource: ResourceId,
    /// Who asked: `schedule`, `command`, `admin`, `replay`, `live`.
    pub trigger: String,
    /// Hash of the mapping in force.
    pub mapping: String,
    /// How it stands.
    pub state: RunState,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What became of its records so far.
    pub balance: Balance,
    /// Files it finished.
    pub files: u64,
    /// Why it failed.
    pub error: Option<String>,
    /// The other versions of the resource for which the same was read, where the backend was asked once for all of them.
    pub read_with: Vec<ResourceId>,
}

/// How to close a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// All went through.
    Succeeded,
    /// It could not go on, with the reason for the operator.
    Failed(String),
}

/// A ledger entry's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId(pub i64);

/// The numbers that the files of a resource give themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileSequence {
    /// Of the file asked for, when it was read before.
    pub own: Option<i64>,
    /// The highest of the other files that are staged.
    pub previous: Option<i64>,
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Entered; perhaps partly staged up to its checkpoint.
    Claimed,
    /// Read to its end.
    Staged,
    /// Refused as a whole.
    Rejected,
}

impl FileState {
    /// The text in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            FileState::Claimed => "claimed",
            FileState::Staged => "staged",
            FileState::Rejected => "rejected",
        }
    }
}

/// Where to go on reading a file: everything before it is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Byte offset of the next record (its framing included).
    pub offset: u64,
    /// Records read before it.
    pub records: u64,
    /// Line number of the next record, from 1; 0 for binary files.
    pub line: u64,
}

/// A file in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its number.
    pub id: FileId,
    /// The resource it was read for.
    pub resource: ResourceId,
    /// Path below the inbox.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its content, as landed.
    pub blob: BlobId,
    /// How far it is.
    pub state: FileState,
    /// Where a next run goes on.
    pub checkpoint: Checkpoint,
    /// Tells this delivery of the content from the next; empty until noted.
    pub delivery: String,
    /// Hash of the mapping it was read with; empty until noted.
    pub mapping: String,
    /// When it was first seen.
    pub claimed_at: Timestamp,
    /// When it was finished.
    pub finished_at: Option<Timestamp>,
    /// The how manieth of the resource's files it was to be finished; of one that was begun anew, when it last had been.
    /// Clocks are put back, this is not.
    pub turn: Option<u64>,
}

/// What one transaction writes.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The run it belongs to.
    pub run: RunId,
    /// The resource.
    pub resource: ResourceId,
    /// The file it was read from.
    pub file: FileId,
    /// The file as landed.
    pub blob: BlobId,
    /// Good records, in the order of the file. Staging may reorder different keys, never the same one.
    pub documents: Vec<Document>,
    /// Records that say that a document is no more. Each counts as a record read: staged when there was a document to
    /// delete, else unchanged. Of one key, documents and deletions take effect in the order of their positions.
    pub deletions: Vec<Deletion>,
    /// Bad records.
    pub rejects: Vec<Reject>,
    /// Records left out by a rule.
    pub skipped: u64,
    /// Of these, the good records of a file that is refused as a whole.
    pub refused: u64,
    /// Where the next record begins.
    pub checkpoint: Checkpoint,
    /// The file's state after this batch.
    pub file_state: FileState,
    /// A dead letter that this batch settles (replay).
    pub resolves: Option<i64>,
    /// How far the source is read after this batch, where it is one that is read a part at a time.
    pub source: Option<SourcePosition>,
    /// The snapshot that this batch is a part of. Rejects without a key are then remembered: they forbid its sweep.
    pub snapshot: Option<SnapshotId>,
    /// Of the rejects without a key, those that have none and could be read: NULL stands there. They forbid nothing, since
    /// they are no document's record.
    pub keyless: u64,
    /// Whether no two records of the source have one key: a bad record is then known by it, whatever else of it has changed,
    /// and a good one says that it is bad no more.
    pub is_keyed: bool,
    /// The input itself, where a key stands for one record only: a second one with a key that the batch, or an earlier
    /// batch of its snapshot, has had is written as a dead letter (`key.repeated`) with its bytes from here, and the first
    /// stays what the document is. None where the last record of a key is the one that counts.
    pub once: Option<bytes::Bytes>,
}

impl Batch {
    /// A batch without a record, which only says how far its file is read.
    pub fn new(
        (run, resource): (RunId, ResourceId),
        (file, blob): (FileId, BlobId),
        checkpoint: Checkpoint,
        file_state: FileState,
    ) -> Batch {
        Batch {
            run,
            resource,
            file,
            blob,
            documents: Vec::new(),
            deletions: Vec::new(),
            rejects: Vec::new(),
            skipped: 0,
            refused: 0,
            checkpoint,
            file_state,
            resolves: None,
            source: None,
            snapshot: None,
            keyless: 0,
            is_keyed: false,
            once: None,
        }
    }
}

/// A file that one batch is all of, to be entered into the ledger with it. Its path is its delivery as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// What stands for it.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Hash of the mapping it was read with.
    pub mapping: String,
}

/// A document that was read from its backend because somebody asked for it.
#[derive(Clone, Debug)]
pub struct LiveRead {
    /// The resource.
    pub resource: ResourceId,
    /// Hash of the mapping in force.
    pub mapping: String,
    /// The document.
    pub document: Document,
    /// When the backend said it.
    pub as_of: Timestamp,
    /// What stands for the call where files have their path.
    pub path: String,
    /// The answer as landed.
    pub blob: BlobId,
    /// Its bytes.
    pub size: u64,
}

/// What a commit did. `read` is documents + deletions + rejects + skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// What became of the batch's records.
    pub balance: Balance,
    /// The resource's newest feed sequence after it.
    pub sequence: u64,
    /// Records that had the key of another one; they are among the dead.
    pub repeated: u64,
}

/// How a dead letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterState {
    /// Waits for a person.
    Open,
    /// Went through on replay.
    Replayed,
    /// A person decided that it does not matter.
    Discarded,
}

impl DeadLetterState {
    /// All states.
    pub const ALL: [DeadLetterState; 3] =
        [DeadLetterState::Open, DeadLetterState::Replayed, DeadLetterState::Discarded];

    /// The text in the database and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            DeadLetterState::Open => "open",
            DeadLetterState::Replayed => "replayed",
            DeadLetterState::Discarded => "discarded",
        }
    }
}

/// One thing that needs a person. Unique by resource, input and offset: the same bad record found again
/// updates it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number.
    pub id: i64,
    /// The resource it was meant for.
    pub resource: ResourceId,
    /// The run that found it last.
    pub run: RunId,
    /// The file, in the ledger.
    pub file: FileId,
    /// The file as landed.
    pub blob: BlobId,
    /// The file's path below the inbox.
    pub path: String,
    /// What is wrong, with the raw bytes.
    pub reject: Reject,
    /// How it stands.
    pub state: DeadLetterState,
    /// When it was found last.
    pub created_at: Timestamp,
    /// When it was closed.
    pub resolved_at: Option<Timestamp>,
    /// How often it was tried, the first time included.
    pub attempts: u32,
}

/// Which records have the key of another no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unrepeated {
    /// All records of these keys were read by this run: those that it has not found again.
    Keys {
        /// The keys.
        keys: Vec<String>,
        /// The run.
        run: RunId,
    },
    /// Those of whose key there is no document at all.
    Gone,
}

/// Which dead letters of records are such no more: those that a later reading has not found again, although it has read the
/// record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfound {
    /// All that there is was read since this snapshot was begun: whatever it has not found again has come whole, or is gone.
    All(SnapshotId),
    /// Of keys of which this snapshot has brought a document.
    Brought(SnapshotId),
    /// Of these keys, of which this run has read all records.
    Keys {
        /// The keys.
        keys: Vec<String>,
        /// The run.
        run: RunId,
    },
}

/// A record's place in its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The line it begins on, from 1.
    Line(u64),
    /// Its number, from 1.
    Record(u64),
    /// The offset of its first byte.
    Offset(u64),
}

/// Which dead letters to list. All conditions that are set must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// Of this resource only.
    pub resource: Option<ResourceId>,
    /// In this state only.
    pub state: Option<DeadLetterState>,
    /// With this code only.
    pub code: Option<RejectCode>,
    /// From this landed input only.
    pub blob: Option<BlobId>,
    /// Of records with this key only.
    pub key: Option<String>,
    /// At this place only.
    pub place: Option<Place>,
    /// At most this many.
    pub limit: usize,
}

impl Default for DeadLetterFilter {
    /// All, the newest thousand.
    fn default() -> DeadLetterFilter {
        DeadLetterFilter { resource: None, state: None, code: None, blob: None, key: None, place: None, limit: 1000 }
    }
}
