//! What a file of rows is read as: its own columns, checked against those that were declared.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use indexmap::IndexSet;
use parking_lot::Mutex;
use serde::Deserialize;

use super::reader::Reader;
use super::{Column, ColumnKind, MAGIC};
use crate::decode::{LayoutRow, Resume, StreamFault};
use crate::diagnostic::nearest;
use crate::record::{FieldKind, Layout, RejectCode, Resolved, Slot, Unresolved};

/// The most bytes of a head: a thousand columns with names of a hundred characters have a tenth of it.
pub(super) const MAX_HEAD: usize = 4 << 20;

/// How files of rows are read.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The columns that are expected, where they are known beforehand: names are then checked before a file is seen, and a
    /// file in which a wanted column is gone or of another kind is refused. Without them a file's own columns count.
    pub columns: Option<Arc<[Column]>>,
    /// Which blanks at the end of texts are padding.
    pub padding: Padding,
}

/// Which blanks at the end of texts are padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Those in columns of a fixed width, like `CHAR(10)`: the database has put them there.
    #[default]
    Fixed,
    /// All.
    All,
    /// None.
    None,
}

/// A compiled layout of rows.
#[derive(Clone)]
pub struct Rows(Arc<Inner>);

struct Inner {
    settings: Settings,
    /// Names that were resolved; a slot is an index into them.
    wanted: Mutex<IndexSet<String>>,
}

/// The head of a file of rows.
pub(super) struct Head {
    pub(super) columns: Arc<[Column]>,
    /// Where the first row begins.
    pub(super) end: u64,
}

/// Why a name means no column.
pub(super) enum NoColumn<'c> {
    /// None has it; the nearest name.
    Missing(Option<&'c str>),
    /// Several have it.
    Several,
}

/// The column with this name: as it is written, else the only one that differs by upper and lower case alone.
pub(super) fn find<'c>(columns: &'c [Column], name: &str) -> Result<usize, NoColumn<'c>> {
    let only = |matches: &dyn Fn(&str) -> bool| {
        let mut found = columns.iter().enumerate().filter(|(_, column)| matches(&column.name));
        match (found.next(), found.next()) {
            (Some((index, _)), None) => Some(Ok(index)),
            (Some(_), Some(_)) => Some(Err(NoColumn::Several)),
            (None, _) => None,
        }
    };
    let lower = name.to_lowercase();
    only(&|own| own == name)
        .or_else(|| only(&|own| own.to_lowercase() == lower))
        .unwrap_or_else(|| Err(NoColumn::Missing(nearest(name, columns.iter().map(|column| column.name.as_str())))))
}

/// Reads the head of a file of rows and leaves the input at its first row.
pub(super) fn head(input: &mut (impl Read + Seek)) -> Result<Head, StreamFault> {
    let fault = |message: String, offset: u64| StreamFault::Layout {
        code: RejectCode::FileUnreadable,
        message,
        offset,
        line: None,
    };
    input.seek(SeekFrom::Start(0))?;
    let mut start = Vec::with_capacity(12);
    input.by_ref().take(12).read_to_end(&mut start)?;
    let Some((magic, length)) = start.split_first_chunk::<8>() else {
        return Err(fault(format!("it has {} bytes; a file of rows begins with `TBROWS1`", start.len()), 0));
    };
    if magic != MAGIC {
        return Err(fault("it is no file of rows: it does not begin with `TBROWS1`".to_owned(), 0));
    }
    let length = length.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize);
    let Some(length) = length.filter(|length| *length <= MAX_HEAD) else {
        return Err(fault(format!("its head would be longer than {MAX_HEAD} bytes, or its length is cut off"), 8));
    };
    let mut text = Vec::new();
    input.by_ref().take(length as u64).read_to_end(&mut text)?;
    if text.len() < length {
        return Err(fault(format!("its head has {length} bytes, of which {} are there", text.len()), 12));
    }
    #[derive(Deserialize)]
    struct Said {
        columns: Vec<Column>,
    }
    let said: Said = serde_json::from_slice(&text)
        .map_err(|error| fault(format!("its head is not the JSON of its columns: {error}"), 12))?;
    Ok(Head { columns: said.columns.into(), end: 12 + length as u64 })
}

/// The columns of a file of rows.
pub fn columns(mut input: impl Read + Seek) -> Result<Arc<[Column]>, StreamFault> {
    Ok(head(&mut input)?.columns)
}

impl Rows {
    pub(in crate::decode) fn new(settings: Settings) -> Rows {
        Rows(Arc::new(Inner { settings, wanted: Mutex::new(IndexSet::new()) }))
    }

    pub(in crate::decode) fn reader<R: Read + Seek>(
        &self,
        mut input: R,
        from: Resume,
    ) -> Result<Reader<R>, StreamFault> {
        let head = head(&mut input)?;
        let wanted: Vec<String> = self.0.wanted.lock().iter().cloned().collect();
        let bound = self.bind(&head.columns, &wanted)?;
        Reader::open(input, head, wanted, bound, self.0.settings.padding, from)
    }

    /// The columns of the file that the wanted names mean.
    fn bind(&self, columns: &[Column], wanted: &[String]) -> Result<Vec<u32>, StreamFault> {
        let declared = self.0.settings.columns.as_deref().unwrap_or_default();
        let (mut bound, mut wrong) = (Vec::new(), Vec::new());
        for name in wanted {
            match find(columns, name) {
                Ok(index) => {
                    let now = columns.get(index);
                    let before = find(declared, name).ok().and_then(|index| declared.get(index));
                    if let (Some(now), Some(before)) = (now, before)
                        && std::mem::discriminant(&now.kind) != std::mem::discriminant(&before.kind)
                    {
                        wrong.push(format!("`{name}` was {} and is {} now", type_of(before), type_of(now)));
                    }
                    bound.push(u32::try_from(index).unwrap_or(u32::MAX));
                }
                Err(NoColumn::Several) => wrong.push(format!("several columns are called `{name}`")),
                Err(NoColumn::Missing(Some(near))) => {
                    wrong.push(format!("the column `{name}` is gone (renamed to `{near}`?)"));
                }
                Err(NoColumn::Missing(None)) => wrong.push(format!("the column `{name}` is gone")),
            }
        }
        if wrong.is_empty() {
            return Ok(bound);
        }
        let has: Vec<_> = columns.iter().take(50).map(|column| format!("`{}`", column.name)).collect();
        let message = format!("the rows do not fit the mapping: {}; they have {}", wrong.join(", "), has.join(", "));
        Err(StreamFault::Layout { code: RejectCode::FileUnreadable, message, offset: 0, line: None })
    }

    pub(in crate::decode) fn describe(&self) -> Vec<LayoutRow> {
        describe(self.0.settings.columns.as_deref().unwrap_or_default())
    }
}

/// Columns as a table for people.
pub fn describe(columns: &[Column]) -> Vec<LayoutRow> {
    let row = |column: &Column| LayoutRow {
        depth: 0,
        level: None,
        name: column.name.clone(),
        picture: column.declared.clone(),
        kind: column.kind.words(),
        offset: None,
        length: None,
        occurs: None,
        redefines: None,
    };
    columns.iter().map(row).collect()
}

/// A column's type as the database says it, or what its values are.
fn type_of(column: &Column) -> String {
    if column.declared.is_empty() { column.kind.words() } else { column.declared.clone() }
}

impl ColumnKind {
    /// In a word or two: `decimal(11,2)`, `text`.
    pub fn words(self) -> String {
        match self {
            ColumnKind::Boolean => "boolean".to_owned(),
            ColumnKind::Integer => "integer".to_owned(),
            ColumnKind::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            ColumnKind::Float => "float".to_owned(),
            ColumnKind::Text { .. } => "text".to_owned(),
            ColumnKind::Bytes { .. } => "bytes".to_owned(),
            ColumnKind::Date => "date".to_owned(),
            ColumnKind::Time => "time".to_owned(),
            ColumnKind::DateTime => "datetime".to_owned(),
            ColumnKind::DateTimeOffset => "datetime with offset".to_owned(),
            ColumnKind::Uuid => "uuid".to_owned(),
        }
    }

    /// Whether its values have a date in them.
    pub(super) fn is_dated(self) -> bool {
        matches!(self, ColumnKind::Date | ColumnKind::DateTime | ColumnKind::DateTimeOffset)
    }

    fn field(self) -> FieldKind {
        match self {
            ColumnKind::Integer => FieldKind::Number { digits: 20, scale: 0, signed: true },
            ColumnKind::Decimal { precision, scale } => FieldKind::Number { digits: precision, scale, signed: true },
            ColumnKind::Float => FieldKind::Float,
            ColumnKind::Bytes { .. } => FieldKind::Bytes { length: None },
            ColumnKind::Text { max_chars } => FieldKind::Text { max_chars },
            ColumnKind::Boolean
            | ColumnKind::Date
            | ColumnKind::Time
            | ColumnKind::DateTime
            | ColumnKind::DateTimeOffset
            | ColumnKind::Uuid => FieldKind::Text { max_chars: None },
        }
    }
}

impl Column {
    /// Whether the database fills its texts with blanks to a fixed width.
    pub(super) fn is_padded(&self) -> bool {
        let declared = self.declared.to_ascii_lowercase();
        let word = declared.split('(').next().unwrap_or_default().trim();
        let fixed = ["char", "nchar", "bpchar", "character", "national char", "national character", "graphic"];
        matches!(self.kind, ColumnKind::Text { .. }) && fixed.contains(&word)
    }
}

impl Layout for Rows {
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        let unresolved =
            |reason: String, nearest: Option<&str>| Err(Unresolved { reason, nearest: nearest.map(str::to_owned) });
        if parent.is_some() {
            return unresolved("a row has no groups".to_owned(), None);
        }
        if name.is_empty() {
            return unresolved("a column needs a name".to_owned(), None);
        }
        let kind = match &self.0.settings.columns {
            None => FieldKind::Text { max_chars: None },
            Some(columns) => match find(columns, name) {
                Ok(index) => columns.get(index).map_or(FieldKind::Text { max_chars: None }, |found| found.kind.field()),
                Err(NoColumn::Several) => {
                    return unresolved(format!("several columns are called `{name}`; tell them apart by AS"), None);
                }
                Err(NoColumn::Missing(near)) => return unresolved(format!("there is no column `{name}`"), near),
            },
        };
        let (index, _) = self.0.wanted.lock().insert_full(name.to_owned());
        match u32::try_from(index).ok() {
            Some(slot) => Ok(Resolved { slot: Slot(slot), kind, repeats: false }),
            None => unresolved("too many columns".to_owned(), None),
        }
    }

    fn names(&self) -> Vec<String> {
        self.0.settings.columns.iter().flat_map(|columns| columns.iter()).map(|column| column.name.clone()).collect()
    }

    fn says_null(&self) -> bool {
        true
    }
}
