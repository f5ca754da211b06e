//! What a bad record becomes: a value, never an error.

use super::{Document, Position};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Why something is in the dead-letter queue. The text forms are part of the product's interface:
        /// they never change meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RejectCode { $($(#[doc = $doc])+ $name,)+ }

        impl RejectCode {
            /// Every code, in families.
            pub const ALL: &'static [RejectCode] = &[$(RejectCode::$name,)+];

            /// The stable text: `numeric.bad_digit`.
            pub const fn as_str(self) -> &'static str {
                match self { $(RejectCode::$name => $text,)+ }
            }

            /// One line for the operator: what happened.
            pub const fn summary(self) -> &'static str {
                match self { $(RejectCode::$name => concat!($($doc,)+),)+ }
            }

            /// The code with this text.
            pub fn from_text(text: &str) -> Option<RejectCode> {
                RejectCode::ALL.iter().copied().find(|code| code.as_str() == text)
            }
        }
    };
}

codes! {
    /// The record ends before its layout does.
    RecordTooShort = "framing.record_too_short",
    /// The record goes on after its layout ends.
    RecordTooLong = "framing.record_too_long",
    /// The file ends in the middle of a record.
    Truncated = "framing.truncated",
    /// A length prefix is zero, too large, or leads past the end of the file.
    BadLength = "framing.bad_length",
    /// The row has another number of columns than the header.
    ColumnCount = "framing.column_count",
    /// A quoted field is never closed, or text follows a closing quote.
    BadQuote = "framing.bad_quote",
    /// The row is the header once more.
    RepeatedHeader = "framing.repeated_header",
    /// Bytes that the code page does not have.
    Unmappable = "encoding.unmappable",
    /// The field is blank (spaces, low values, or empty) where a value is expected.
    Blank = "value.blank",
    /// A digit position holds something other than a digit.
    BadDigit = "numeric.bad_digit",
    /// The sign is not one that the format knows.
    BadSign = "numeric.bad_sign",
    /// The number has more digits than its picture or type allows.
    Overflow = "numeric.overflow",
    /// The number would have to be rounded to fit its type.
    Inexact = "numeric.inexact",
    /// The text is not of the declared type.
    BadType = "value.bad_type",
    /// The date, time or timestamp does not exist or has another format.
    BadDate = "value.bad_date",
    /// The value is longer than what is read of its column.
    ValueTooLong = "value.too_long",
    /// The source gave only a part of the value, and cannot give the rest.
    ValueTruncated = "value.truncated",
    /// The value is not in the mapping's table of values.
    UnknownValue = "value.unknown",
    /// The value breaks a rule of the mapping (pattern, min, max, length).
    RuleBroken = "value.rule",
    /// A required value is missing or null.
    Missing = "value.missing",
    /// A part of the key is missing, null or empty.
    BadKey = "key.invalid",
    /// Another record of the same reading has its key, and a document can be only one of them.
    RepeatedKey = "key.repeated",
    /// A table's counter is outside the bounds its layout declares.
    BadCount = "structure.bad_count",
    /// The record's type is none that the layout knows.
    UnknownType = "structure.unknown_type",
    /// The record belongs below another that is not there, or stands where its type has no place.
    Orphan = "structure.orphan",
    /// More records belong to one document than it may have.
    TooManyParts = "structure.too_many_parts",
    /// The record's markup is not well-formed, or uses what is not allowed.
    Malformed = "structure.malformed",
    /// The headers and trailers around the messages of a file are incomplete, or do not belong together.
    Envelope = "structure.envelope",
    /// Bytes that are no segment of the file's syntax.
    BadSegment = "structure.bad_segment",
    /// A segment, element or occurrence that the schema does not have at this place.
    Unexpected = "structure.unexpected",
    /// A segment, loop or element that the schema requires is not there.
    Absent = "structure.missing",
    /// Several segments fit where one is asked for.
    Ambiguous = "structure.ambiguous",
    /// The service answered with a fault.
    ServiceFault = "service.fault",
    /// A control number that has come before in the file.
    Duplicate = "control.duplicate",
    /// The trailer's control count or sum does not match the records.
    ControlTotal = "control.total",
    /// The trailer that the mapping asks for is missing.
    MissingTrailer = "control.missing_trailer",
    /// A sequence number is not the one that is due.
    SequenceGap = "control.sequence",
    /// The file cannot be read as its layout says (empty header, missing columns, wrong compression).
    FileUnreadable = "file.unreadable",
    /// The file's content was read before under another name.
    FileDuplicate = "file.duplicate",
    /// The file has no bytes at all.
    FileEmpty = "file.empty",
    /// The file unpacks to more, or is larger, than the mapping allows.
    TooLarge = "file.too_large",
    /// The mapping's `on_reject` refused the whole file because of other records in it.
    FileRefused = "file.refused",
}

/// A record that could not become a document, with all that a person needs to find out why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Why.
    pub code: RejectCode,
    /// The field of the mapping (`lines[2].quantity`), or of the layout where no mapping is in play; `None`
    /// when the whole record is at fault.
    pub field: Option<String>,
    /// Offset of the field within the record, and its length, where it has bytes of its own.
    pub field_span: Option<(u32, u32)>,
    /// What was expected, as a phrase.
    pub expected: String,
    /// What was there instead, as a phrase.
    pub found: String,
    /// The key of the document it would have become, where the record has one that can be read.
    pub key: Option<String>,
    /// Where the record lies in its input; record 0 is the file itself, which counts as no record.
    pub position: Position,
    /// The record's bytes as they were read.
    pub raw: Vec<u8>,
}

impl Reject {
    /// Of a record that has the key of another one, whose document stays; `input` is what it was read from.
    pub fn repeats(document: &Document, input: &[u8]) -> Reject {
        let position = document.position;
        let from = usize::try_from(position.offset).unwrap_or(usize::MAX);
        let raw =
            input.get(from..).map(|rest| rest.get(..position.length as usize).unwrap_or(rest)).unwrap_or_default();
        Reject {
            code: RejectCode::RepeatedKey,
            field: None,
            field_span: None,
            expected: "one record of each key".to_owned(),
            found: "another record of the same reading has this key, and its document stays".to_owned(),
            key: Some(document.key.clone()),
            position,
            raw: raw.to_vec(),
        }
    }

    /// Of the raw bytes so many are shown to people.
    pub const SHOWN: usize = 64 << 10;

    /// The raw bytes that are shown.
    pub fn shown(&self) -> &[u8] {
        self.raw.get(..Reject::SHOWN).unwrap_or(&self.raw)
    }

    /// How many raw bytes there are, where that is more than are shown.
    pub fn cut_from(&self) -> Option<usize> {
        Some(self.raw.len()).filter(|length| *length > Reject::SHOWN)
    }

    /// The raw bytes in hex, as far as they are shown.
    pub fn raw_hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = self.shown().iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
    }

    /// One sentence for logs and lists.
    pub fn sentence(&self) -> String {
        let field = self.field.as_deref().map(|field| format!("field {field}: ")).unwrap_or_default();
        format!("{}: {field}expected {}, found {}", self.position, self.expected, self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::{Reject, RejectCode};
    use crate::record::Position;
    use std::collections::HashSet;

    #[test]
    fn a_long_record_is_shown_by_its_first_bytes() {
        let reject = |raw: Vec<u8>| Reject {
            code: RejectCode::Malformed,
            field: None,
            field_span: None,
            expected: String::new(),
            found: String::new(),
            key: None,
            position: Position { record: 1, offset: 0, length: 0, line: None },
            raw,
        };
        let whole = reject(vec![0xA7; Reject::SHOWN]);
        assert_eq!((whole.raw_hex(), whole.cut_from()), ("a7".repeat(65_536), None));
        let long = reject([vec![0x0F; Reject::SHOWN], vec![0xFF; 9]].concat());
        assert_eq!((long.raw_hex(), long.cut_from()), ("0f".repeat(65_536), Some(65_545)));
    }

    #[test]
    fn codes_are_distinct_and_read_back() {
        let texts: HashSet<_> = RejectCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), RejectCode::ALL.len());
        for &code in RejectCode::ALL {
            assert_eq!(RejectCode::from_text(code.as_str()), Some(code));
            assert!(!code.summary().is_empty());
        }
    }
}
