//! Sources that are read a part at a time: how far they are read, what they say is gone, and what was seen while all of
//! one was read.

use std::fmt;

use jiff::Timestamp;

use super::FileId;
use crate::record::{BlobId, Position};

/// How far a source is read, in words of whoever reads it: JSON that staging keeps as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePosition {
    /// The text.
    pub text: String,
}

/// A record that says that a document is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The document's key as the URL has it.
    pub key: String,
    /// Where in the input it is said.
    pub position: Position,
}

/// A reading of everything that a source has. While one is open, staging notes which documents were said to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotId(pub i64);

/// Which dead letters tell what is wrong with records that have no document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBad {
    /// Those that were found by a run of this mapping
    pub mapping: String,
    /// since this moment.
    pub since: Timestamp,
}

/// What became of keys that were noted as seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// Those of them, by their place in the list, that no document has.
    pub lacking: Vec<usize>,
    /// How many more no document has, because their record is known to be bad.
    pub known: u64,
    /// How many of them had been noted before in this reading.
    pub repeated: u64,
}

/// How far a source is read when its snapshot is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// When what was missing is deleted.
    pub swept: SourcePosition,
    /// When nothing is, because it would be too much.
    pub refused: SourcePosition,
}

/// What a sweep found and did.
#[derive(Clone, Debug, PartialEq)]
pub struct Swept {
    /// Documents before it.
    pub documents: u64,
    /// Those of them that the snapshot has not seen.
    pub missing: u64,
    /// Those that were deleted: all that were missing, or none.
    pub deleted: u64,
    /// Why none were.
    pub refusal: Option<SweepRefusal>,
}

/// Why a snapshot is not believed where it lacks documents.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SweepRefusal {
    /// More would vanish than may.
    TooMany {
        /// The share of the documents that may, from 0 to 1.
        max_share: f64,
    },
    /// Records could not be read as far as their key: any missing document may be one of them.
    Unreadable {
        /// How many.
        records: u64,
    },
}

impl fmt::Display for SweepRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SweepRefusal::TooMany { max_share } => {
                write!(f, "more than {}% of the documents would be deleted", (max_share * 1000.0).round() / 10.0)
            }
            SweepRefusal::Unreadable { records: 1 } => {
                f.write_str("one record could not be read as far as its key, and any missing document may be that one")
            }
            SweepRefusal::Unreadable { records } => {
                write!(
                    f,
                    "{records} records could not be read as far as their keys, and missing documents may be these"
                )
            }
        }
    }
}

/// What is left of a deleted document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Its last version: the deletion's.
    pub version: u64,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

/// What happened to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is there for the first time, or again.
    Created,
    /// It says something else.
    Updated,
    /// It is no more.
    Deleted,
}

impl ChangeKind {
    /// The word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Created => "created",
            ChangeKind::Updated => "updated",
            ChangeKind::Deleted => "deleted",
        }
    }
}

/// The input that said a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeInput {
    /// Its entry in the ledger.
    pub file: FileId,
    /// As landed.
    pub blob: BlobId,
    /// Its path in its backend.
    pub path: String,
    /// Where in it.
    pub position: Position,
}
