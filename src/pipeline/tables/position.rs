//! How far a table or query is read: what staging keeps for us, in the transaction of each batch.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::batch::order;
use super::cell::Cell;
use crate::decode::rows::Column;
use crate::staging::SourcePosition;

/// The form of the text. Another form is no fault: the source is then read as a whole.
const FORM: u32 = 1;

/// Where a source stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) form: u32,
    /// Hash of the mapping that read it last.
    pub(super) mapping: String,
    /// What is read and how changes are found, hashed: another source begins anew.
    pub(super) source: String,
    /// The columns as they were read last.
    pub(super) columns: Vec<Column>,
    /// What is going on.
    pub(super) phase: Phase,
    /// When that was last tried, whether it came to a judgement or not.
    #[serde(with = "moment")]
    pub(super) tried_at: Option<Timestamp>,
    /// When everything that was there was last compared with what is staged.
    #[serde(with = "moment")]
    pub(super) compared_at: Option<Timestamp>,
    /// What was missing when it was last tried, where that was too much to be deleted: it stands until another look.
    #[serde(default)]
    pub(super) held: Option<Held>,
}

/// More documents were missing than may be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    /// So many,
    pub(super) missing: u64,
    /// of so many.
    pub(super) documents: u64,
    /// Hash of the mapping that judged it: another one may judge otherwise.
    pub(super) mapping: String,
}

/// What is going on with a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Everything is being read.
    Everything {
        /// The snapshot in staging that notes what was seen.
        snapshot: i64,
        /// The key of the last row that is staged; `None` at the beginning, and where no key leads on.
        after: Option<Vec<Cell>>,
        /// Whether only rows with a NULL in their key are left.
        only_null_keys: bool,
        /// Where what changes meanwhile begins.
        mark: Mark,
    },
    /// Changes are read.
    Changes {
        /// Up to here they are.
        mark: Mark,
        /// The comparison of keys that is going on.
        comparing: Option<Comparing>,
    },
}

/// A comparison of all keys that is going on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Comparing {
    /// The snapshot in staging that notes what was seen.
    pub(super) snapshot: i64,
    /// The last key that was seen.
    pub(super) after: Option<Vec<Cell>>,
}

/// Up to where changes are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    /// Nothing has said a mark yet.
    None,
    /// The values of the watermark's columns.
    Values(Vec<Cell>),
    /// All rowversions below this one, in hex.
    Rowversion(String),
    /// A version of Change Tracking.
    Version(i64),
    /// A log sequence number of CDC, in hex.
    Lsn(String),
}

impl Mark {
    /// The one from which on both have still to be read; `None` where they cannot be compared, or not be read together: of a
    /// log each change stands in the history of its document, where none of them may be staged once more behind later ones.
    pub(super) fn earliest(&self, other: &Mark) -> Option<Mark> {
        let is_first = match (self, other) {
            (Mark::None, _) => true,
            (_, Mark::None) => false,
            (Mark::Values(own), Mark::Values(theirs)) => {
                let kinds = |cells: &[Cell]| cells.iter().map(|cell| cell.kind).collect::<Vec<_>>();
                if kinds(own) != kinds(theirs) {
                    return None;
                }
                order(own, theirs).is_le()
            }
            (Mark::Rowversion(own), Mark::Rowversion(theirs)) => {
                if own.len() != theirs.len() {
                    return None;
                }
                own <= theirs
            }
            (Mark::Lsn(own), Mark::Lsn(theirs)) => {
                if own != theirs {
                    return None;
                }
                true
            }
            (Mark::Version(own), Mark::Version(theirs)) => own <= theirs,
            _ => return None,
        };
        Some(if is_first { self } else { other }.clone())
    }
}

impl Standing {
    pub(super) fn new(mapping: String, source: String, columns: Vec<Column>, phase: Phase) -> Standing {
        Standing { form: FORM, mapping, source, columns, phase, tried_at: None, compared_at: None, held: None }
    }

    /// Reads the text; `None` for one of another form.
    pub(super) fn read(position: &SourcePosition) -> Option<Standing> {
        serde_json::from_str(&position.text).ok().filter(|standing: &Standing| standing.form == FORM)
    }

    pub(super) fn write(&self) -> SourcePosition {
        // Names, numbers and texts: JSON can say them.
        SourcePosition { text: serde_json::to_string(self).unwrap_or_default() }
    }
}

/// A moment as text.
mod moment {
    use jiff::Timestamp;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(moment: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        moment.map(|moment| moment.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::rows::ColumnKind;

    #[test]
    fn two_marks_have_an_earliest_one() {
        let values = |kind, texts: &[&str]| {
            Mark::Values(texts.iter().map(|text| Cell { kind, text: (*text).to_owned() }).collect())
        };
        let number = |text| values(ColumnKind::Integer, &[text]);
        let version = |text: &str| Mark::Rowversion(text.to_owned());
        for (one, other, expected) in [
            (number("9"), number("10"), Some(number("9"))),
            (Mark::None, number("10"), Some(Mark::None)),
            (number("9"), values(ColumnKind::Integer, &["9", "1"]), None),
            (number("9"), values(ColumnKind::Text { max_chars: None }, &["9"]), None),
            (Mark::Version(8), Mark::Version(7), Some(Mark::Version(7))),
            (version("00ff"), version("0100"), Some(version("00ff"))),
            (version("ff"), version("0100"), None),
            (Mark::Version(8), number("7"), None),
            (Mark::Lsn("0a".to_owned()), Mark::Lsn("0a".to_owned()), Some(Mark::Lsn("0a".to_owned()))),
            (Mark::Lsn("0a".to_owned()), Mark::Lsn("0b".to_owned()), None),
        ] {
            assert_eq!((one.earliest(&other), other.earliest(&one)), (expected.clone(), expected), "{one:?} {other:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let key = Cell { kind: ColumnKind::Decimal { precision: 9, scale: 2 }, text: "-1.50".to_owned() };
        let columns = vec![Column {
            name: "NO".to_owned(),
            kind: ColumnKind::Text { max_chars: Some(9) },
            declared: "char(9)".to_owned(),
            nullable: Some(false),
        }];
        for phase in [
            Phase::Everything {
                snapshot: 7,
                after: Some(vec![key.clone()]),
                only_null_keys: false,
                mark: Mark::Version(3),
            },
            Phase::Changes { mark: Mark::Values(vec![key]), comparing: Some(Comparing { snapshot: 8, after: None }) },
            Phase::Changes { mark: Mark::Rowversion("00000000000007d1".to_owned()), comparing: None },
        ] {
            let mut standing = Standing::new("m".to_owned(), "s".to_owned(), columns.clone(), phase);
            standing.compared_at = Some("2026-11-28T09:30:00Z".parse().unwrap());
            standing.held = Some(Held { missing: 3, documents: 4, mapping: "m".to_owned() });
            assert_eq!(Standing::read(&standing.write()), Some(standing));
        }
        assert_eq!(Standing::read(&SourcePosition { text: "{}".to_owned() }), None);
        let other = SourcePosition { text: "{\"form\":2}".to_owned() };
        assert_eq!(Standing::read(&other), None);
    }
}
