//! Questions to a resource's documents: declared fields only, each with a typed, indexed column.

use jiff::Timestamp;

use super::relation::{Include, Included};
use crate::record::ResourceId;

/// What staging needs to know of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceSpec {
    /// The resource.
    pub id: ResourceId,
    /// The fields declared for filter or sort.
    pub indexed: Vec<IndexedField>,
    /// Paths of those by which readers may be bounded: the feed notes their values with each change, so that a bounded
    /// reader hears of what it may see and of nothing else ([`Staging::feed_within`](super::Staging::feed_within)).
    pub bounds: Vec<String>,
}

/// A declared filter or sort field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedField {
    /// Dotted path in the document: `customer.crm_id`.
    pub path: String,
    /// How its values compare.
    pub column: ColumnType,
}

/// How a field's JSON values are compared in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// JSON string, compared by code point (ISO dates and times compare right this way).
    Text,
    /// JSON integer.
    Integer,
    /// JSON number of up to 15 digits: compares exactly as a double.
    Number,
    /// JSON string that holds a decimal with exactly `scale` digits behind the point and at most 18 in all:
    /// compared as the integer of all its digits.
    ScaledInteger {
        /// Digits behind the point.
        scale: u8,
    },
    /// JSON true or false: compared as 1 and 0.
    Boolean,
}

/// A value to compare with, of the column's type.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// JSON null or absent.
    Null,
    /// For [`ColumnType::Text`].
    Text(String),
    /// For [`ColumnType::Integer`], [`ColumnType::ScaledInteger`] and [`ColumnType::Boolean`].
    Integer(i64),
    /// For [`ColumnType::Number`].
    Number(f64),
}

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal; `Null` asks for null.
    Equal,
    /// Not equal; null counts as different.
    NotEqual,
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterOrEqual,
    /// Less.
    Less,
    /// Less or equal.
    LessOrEqual,
    /// One of several.
    In,
    /// None of several; null counts as different.
    NotIn,
    /// Text that begins so.
    Prefix,
}

/// One condition; all conditions of a query must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Path of a declared field.
    pub path: String,
    /// The operator.
    pub comparison: Comparison,
    /// One value, or several for [`Comparison::In`] and [`Comparison::NotIn`].
    pub values: Vec<Scalar>,
}

/// Conditions put together.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// One condition.
    Field(Filter),
    /// All of these.
    All(Vec<Condition>),
    /// At least one of these.
    Any(Vec<Condition>),
}

/// One sort criterion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// Path of a declared field.
    pub path: String,
    /// Largest first. Nulls come first ascending and last descending.
    pub descending: bool,
}

/// A list question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListQuery {
    /// All must hold.
    pub filters: Vec<Filter>,
    /// All of these must hold, too.
    pub groups: Vec<Condition>,
    /// What the reader may see at all: these must hold, too, whatever is asked.
    pub only: Vec<Filter>,
    /// Order; the key, ascending, is always the last criterion.
    pub sort: Vec<SortKey>,
    /// Continue after this row: its sort values and, last, its key. From [`Page::next`].
    pub after: Option<Vec<Scalar>>,
    /// The reader goes on to the end, page after page: to look at every row once is then no waste.
    pub whole: bool,
    /// Rows at most; at least 1. A page ends earlier when its payloads have [`PAGE_BYTES`].
    pub limit: usize,
    /// What is wanted beside the documents.
    pub include: Vec<Include>,
    /// Also count all that matches, or estimate it where counting takes long.
    pub count: bool,
}

/// Bytes of payload that a page has at most, unless its one row is larger: documents of megabytes must not fill the
/// memory a hundred at a time.
pub const PAGE_BYTES: usize = 8 << 20;

/// Payloads one behind the other in one buffer, separated by commas, so that a page of JSON is not copied again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    buffer: Vec<u8>,
    ends: Vec<usize>,
}

/// Bytes reserved at most for payloads not yet seen.
const MOST_ROOM: usize = 1 << 20;

impl Rows {
    /// Adds a payload. `more` is how many are expected after it: room is made for them at the first.
    pub fn push(&mut self, payload: &[u8], more: usize) {
        if self.ends.is_empty() {
            // An eighth more, since payloads differ in length.
            let room = payload.len().saturating_mul(more.saturating_add(1)).min(MOST_ROOM);
            self.buffer.reserve(room + room / 8);
            self.ends.reserve(more.min(MOST_ROOM / 64) + 1);
        } else {
            self.buffer.push(b',');
        }
        self.buffer.extend_from_slice(payload);
        self.ends.push(self.buffer.len());
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all payloads, commas included.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// The payloads separated by commas.
    pub fn into_joined(self) -> Vec<u8> {
        self.buffer
    }

    /// The payloads, each with a line end behind it.
    pub fn into_lines(self) -> Vec<u8> {
        let Rows { mut buffer, ends } = self;
        if ends.is_empty() {
            return buffer;
        }
        buffer.push(b'\n');
        for end in ends {
            if let Some(separator) = buffer.get_mut(end) {
                *separator = b'\n';
            }
        }
        buffer
    }

    /// The payload at a place.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let start = match index.checked_sub(1) {
            None => 0,
            Some(before) => self.ends.get(before)? + 1,
        };
        self.buffer.get(start..*self.ends.get(index)?)
    }

    /// The payloads in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|end| end + 1));
        starts.zip(&self.ends).map(|(start, &end)| &self.buffer[start..end])
    }
}

/// How many documents match a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// So many.
    Exact(u64),
    /// About so many: counting would have taken too long, so a sample of the documents was looked at.
    Estimate(u64),
}

/// An answer to a list question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The documents.
    pub rows: Rows,
    /// What was wanted beside them, one of each [`ListQuery::include`].
    pub included: Vec<Included>,
    /// Where to go on; `None` when this was the last page.
    pub next: Option<Vec<Scalar>>,
    /// How many match in all, when asked.
    pub total: Option<Total>,
    /// See [`StagedDocument::as_of`](super::StagedDocument::as_of).
    pub as_of: Option<Timestamp>,
    /// The newest number of the feed at the moment of the page: while it stays, so do all documents.
    pub sequence: u64,
}

#[cfg(test)]
mod tests {
    use super::Rows;

    fn check(payloads: &[&str], more: usize, joined: &str) {
        let filled = || {
            let mut rows = Rows::default();
            payloads.iter().for_each(|payload| rows.push(payload.as_bytes(), more));
            rows
        };
        let rows = filled();
        assert_eq!((rows.len(), rows.is_empty(), rows.bytes()), (payloads.len(), payloads.is_empty(), joined.len()));
        let each: Vec<&[u8]> = rows.iter().collect();
        assert_eq!((0..).map_while(|index| rows.get(index)).collect::<Vec<_>>(), each);
        assert_eq!(each, payloads.iter().map(|payload| payload.as_bytes()).collect::<Vec<_>>());
        assert_eq!(rows.into_joined(), joined.as_bytes());
        let lines: String = payloads.iter().map(|payload| format!("{payload}\n")).collect();
        assert_eq!(filled().into_lines(), lines.as_bytes());
    }

    #[test]
    fn rows_are_joined_by_commas_or_lines_and_still_told_apart() {
        check(&[], 0, "");
        check(&["{}"], 0, "{}");
        check(&["{\"a\":1}", "{}", "{\"a\":\",\"}"], 2, "{\"a\":1},{},{\"a\":\",\"}");
        check(&["{}", "{}"], usize::MAX, "{},{}");
        check(&["", "x", ""], 1, ",x,");
    }
}
