//! Rows of a database, as they are landed: a file of its own kind, so that what a query brought is kept, read again,
//! replayed and traced like any other input.
//!
//! Such a file has [`MAGIC`], the length of its head (4 bytes, little endian), the head (JSON: the columns), and then its
//! rows. A row has its length (4 bytes, little endian, itself not included) and one cell a column. A cell begins with a
//! number in LEB128: 0 is NULL; 1 is a value that could not be read, followed by the byte of its [`CellFault`], the length
//! of its raw bytes in LEB128, and these; from 2 on it is a value of that many bytes less 2.
//!
//! A value stands in its canonical form ([`ColumnKind`]), whatever the driver gave: two drivers that read the same row
//! write the same bytes.

mod layout;
mod reader;
mod row;
#[cfg(test)]
mod tests;
mod walk;
mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use layout::{Padding, Rows, Settings, columns, describe};
pub(super) use reader::FRAME;
pub use reader::Reader;
pub(super) use row::write_json;
pub use walk::{Cell, Malformed, Walk};
pub use write::BatchWriter;

/// The first bytes of a file of rows; the digit is the version of the form.
pub const MAGIC: &[u8; 8] = b"TBROWS1\n";

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, as the database says it.
    pub name: String,
    /// What its values are.
    #[serde(flatten)]
    pub kind: ColumnKind,
    /// The type in the database's own words: `decimal(11,2)`, `VARCHAR2(30)`. Empty where the driver does not say.
    pub declared: String,
    /// Whether it may be NULL, where the database says so.
    pub nullable: Option<bool>,
}

/// What the values of a column are, and how they are written in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ColumnKind {
    /// `1` or `0`.
    Boolean,
    /// A whole number: `-` and digits without leading zeros.
    Integer,
    /// An exact number, with as many decimals as `scale` says: `-1234.50`.
    Decimal {
        /// All its digits; at most 38.
        precision: u8,
        /// Those behind the point.
        scale: u8,
    },
    /// A binary floating-point number, in the fewest digits that give it back; `NaN`, `inf`, `-inf`.
    Float,
    /// UTF-8.
    Text {
        /// The most characters, where the database bounds it.
        max_chars: Option<u32>,
    },
    /// Bytes as they are.
    Bytes {
        /// The most bytes, where the database bounds it.
        max: Option<u32>,
    },
    /// `2026-11-28`.
    Date,
    /// `23:59:59`, with a fraction of a second where there is one, without zeros at its end.
    Time,
    /// `2026-11-28T23:59:59`, with a fraction as in `Time`; a time of no zone.
    DateTime,
    /// As `DateTime`, followed by its offset: `+01:00`, `Z` for none.
    DateTimeOffset,
    /// Lower case with hyphens (RFC 9562): `0197f7a2-…`.
    Uuid,
}

impl fmt::Display for ColumnKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnKind::Boolean => f.write_str("boolean"),
            ColumnKind::Integer => f.write_str("integer"),
            ColumnKind::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            ColumnKind::Float => f.write_str("float"),
            ColumnKind::Text { max_chars: Some(most) } => write!(f, "text({most})"),
            ColumnKind::Text { max_chars: None } => f.write_str("text"),
            ColumnKind::Bytes { max: Some(most) } => write!(f, "bytes({most})"),
            ColumnKind::Bytes { max: None } => f.write_str("bytes"),
            ColumnKind::Date => f.write_str("date"),
            ColumnKind::Time => f.write_str("time"),
            ColumnKind::DateTime => f.write_str("datetime"),
            ColumnKind::DateTimeOffset => f.write_str("datetime with offset"),
            ColumnKind::Uuid => f.write_str("uuid"),
        }
    }
}

/// Why a value could not be read. The row is read all the same: it becomes a reject with its raw bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CellFault {
    /// The bytes are no text of the column's encoding.
    Encoding = 1,
    /// The value is longer than what is read of the column (`max_value_bytes`); the raw bytes are its beginning.
    TooLong = 2,
    /// The value is no value of the column's type, or out of the range that its canonical form can say.
    Invalid = 3,
    /// The driver gave only a part of the value, and cannot give the rest.
    Truncated = 4,
}

impl CellFault {
    /// The fault of a byte in a file.
    pub fn from_byte(byte: u8) -> Option<CellFault> {
        [CellFault::Encoding, CellFault::TooLong, CellFault::Invalid, CellFault::Truncated]
            .into_iter()
            .find(|fault| *fault as u8 == byte)
    }
}

/// Rows as they are landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowBatch {
    /// A whole file of rows.
    pub bytes: bytes::Bytes,
    /// How many rows it has.
    pub rows: u64,
}
