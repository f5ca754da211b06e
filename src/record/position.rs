//! Where a record came from.

use std::fmt;
use std::str::FromStr;

use super::ResourceId;

/// A place in a piece of raw input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The record's number in its source, from 1.
    pub record: u64,
    /// Byte offset of the record's first byte (framing such as a record descriptor word comes before it).
    pub offset: u64,
    /// Length of the record in bytes, framing not counted.
    pub length: u32,
    /// Line in a text file, from 1; `None` for binary files.
    pub line: Option<u64>,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} at byte {}", self.record, self.offset)?;
        self.line.map_or(Ok(()), |line| write!(f, " (line {line})"))
    }
}

/// The SHA-256 of a piece of raw input, by which landing stores it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(pub [u8; 32]);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256: 64 hexadecimal digits expected")]
pub struct ParseBlobIdError;

impl FromStr for BlobId {
    type Err = ParseBlobIdError;

    fn from_str(text: &str) -> Result<BlobId, ParseBlobIdError> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(ParseBlobIdError);
        }
        let mut id = [0u8; 32];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (char::from(pair[0]).to_digit(16), char::from(pair[1]).to_digit(16));
            let (Some(high), Some(low)) = (high, low) else { return Err(ParseBlobIdError) };
            *byte = (high * 16 + low) as u8;
        }
        Ok(BlobId(id))
    }
}

/// The whole origin of a document: which input, where in it, by which run and mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The resource it was made for.
    pub resource: ResourceId,
    /// The landed input.
    pub blob: BlobId,
    /// The path the input had in its backend, relative to the inbox.
    pub path: String,
    /// Where in the input.
    pub position: Position,
    /// The run that staged it.
    pub run: String,
    /// Hash of the mapping (and its layout) that made it.
    pub mapping: String,
}
