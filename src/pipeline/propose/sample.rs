//! What some rows of a table say beyond its types.

use std::borrow::Cow;
use std::io::Cursor;

use super::fields::SENTINELS;
use crate::adapters::sql::TableInfo;
use crate::decode::rows::{self, ColumnKind};
use crate::decode::{Format, Item, Resume, StreamFault};
use crate::diagnostic::Faults;
use crate::pipeline::PipelineError;
use crate::record::{RawRecord, RejectCode, Scope, Slot, Value};

/// The most different values that are remembered of a column.
const DISTINCT: usize = 3;

/// Letters and numbers that stand for yes and no: English, German, Dutch, French, Spanish, Italian; FoxPro and Access.
const YES_NO: [(&str, &str); 8] =
    [("Y", "N"), ("J", "N"), ("T", "F"), ("O", "N"), ("S", "N"), ("X", ""), ("-1", "0"), ("YES", "NO")];

/// Up to here every double is a whole number of its own.
const SAFE: u128 = (1 << 53) - 1;

/// Fewer values prove nothing.
const ENOUGH: u64 = 20;

/// What some rows say, column by column.
#[derive(Clone, Debug)]
pub struct Sample {
    rows: u64,
    columns: Vec<Column>,
    none: Column,
}

/// What the values of a column say.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    is_text: bool,
    is_number: bool,
    is_padding: bool,
    pub(super) values: u64,
    pub(super) nulls: u64,
    /// Why values could not be read, and how often.
    pub(super) faults: Vec<(RejectCode, u64)>,
    /// Texts that end in spaces.
    pub(super) padded: u64,
    /// Numbers and texts that are zero.
    pub(super) zeros: u64,
    /// Whole numbers that a JSON number does not hold exactly.
    pub(super) large: u64,
    /// How often each of [`SENTINELS`] comes.
    pub(super) sentinels: [u64; SENTINELS.len()],
    days: u64,
    distinct: Vec<String>,
    is_varied: bool,
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// NULL.
    Null,
    /// In canonical form.
    Value(&'a [u8]),
    /// It could not be read, for this reason.
    Fault(RejectCode),
}

impl Sample {
    /// Of a table of which no row was seen yet.
    pub fn new(info: &TableInfo) -> Sample {
        let column = |kind: ColumnKind| Column {
            is_text: matches!(kind, ColumnKind::Text { .. }),
            is_number: matches!(kind, ColumnKind::Integer | ColumnKind::Decimal { scale: 0, .. }),
            is_padding: matches!(kind, ColumnKind::Text { .. }),
            ..Column::default()
        };
        let columns = super::shown(info).columns.iter().map(|known| column(known.column.kind)).collect();
        Sample { rows: 0, columns, none: Column::default() }
    }

    /// Adds the rows of a landed batch.
    pub fn read(&mut self, batch: &[u8]) -> Result<(), PipelineError> {
        let unread = |reason: String| PipelineError::Sample { reason };
        let unreadable = |fault: StreamFault| match fault {
            StreamFault::Io(error) => unread(error.to_string()),
            StreamFault::Layout { message, .. } => unread(message),
        };
        let names = rows::columns(Cursor::new(batch)).map_err(unreadable)?;
        // Padding is one of the things that are looked for.
        let settings = rows::Settings { padding: rows::Padding::None, ..rows::Settings::default() };
        let decoder = Format::Rows(settings).compile(&|_| None, &Faults::new());
        let Some(decoder) = decoder else { return Err(unread("rows have no layout".to_owned())) };
        let slots: Vec<_> = names
            .iter()
            .map(|column| decoder.layout().resolve(None, &column.name).ok().map(|name| name.slot))
            .collect();
        let mut reader = decoder.reader(Cursor::new(batch), Resume::default()).map_err(unreadable)?;
        while let Some(item) = reader.next().map_err(unreadable)? {
            let Item::Record(record) = item else { continue };
            let cells: Vec<_> = slots.iter().map(|slot| text_of(&record, *slot)).collect();
            self.add(cells.iter().map(|cell| match cell {
                Ok(Some(text)) => Seen::Value(text.as_bytes()),
                Ok(None) => Seen::Null,
                Err(code) => Seen::Fault(*code),
            }));
        }
        Ok(())
    }

    /// Adds a row: its values in the order of the table's columns.
    pub fn add<'a>(&mut self, row: impl Iterator<Item = Seen<'a>>) {
        self.rows += 1;
        for (column, seen) in self.columns.iter_mut().zip(row) {
            column.add(seen);
        }
    }

    pub(super) fn column(&self, at: usize) -> &Column {
        self.columns.get(at).unwrap_or(&self.none)
    }

    /// What it is made of, for people.
    pub(super) fn describe(&self) -> String {
        match self.rows {
            0 => "No row was looked at: what types do not say is not known.".to_owned(),
            1 => "One row was looked at, the first that came.".to_owned(),
            rows => format!("{rows} rows were looked at, the first that came; others may hold other values."),
        }
    }
}

impl Column {
    fn add(&mut self, seen: Seen<'_>) {
        let bytes = match seen {
            Seen::Null => {
                self.nulls += 1;
                return;
            }
            Seen::Fault(code) => {
                match self.faults.iter_mut().find(|(known, _)| *known == code) {
                    Some((_, count)) => *count += 1,
                    None => self.faults.push((code, 1)),
                }
                return;
            }
            Seen::Value(bytes) => bytes,
        };
        self.values += 1;
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        self.padded += u64::from(self.is_padding && text.ends_with(' ') && !text.trim_end().is_empty());
        for ((value, _), count) in SENTINELS.iter().zip(&mut self.sentinels) {
            let is_day = !self.is_text && !self.is_number && text.starts_with(value);
            *count += u64::from(is_day && (text.len() == value.len() || text[value.len()..].starts_with("T00:00:00")));
        }
        let text = text.trim_end();
        let is_zero = !text.is_empty() && text.bytes().all(|byte| byte == b'0');
        self.zeros += u64::from(is_zero);
        let is_large = || text.parse::<i128>().is_ok_and(|number| number.unsigned_abs() > SAFE);
        self.large += u64::from(self.is_number && text.len() > 15 && is_large());
        self.days += u64::from(is_day(text));
        if !self.is_varied && !self.distinct.iter().any(|known| known == text) {
            self.is_varied = self.distinct.len() == DISTINCT;
            if !self.is_varied {
                self.distinct.push(text.to_owned());
            }
        }
    }

    /// What stands for yes and for no, where nothing else comes and each of them does.
    pub(super) fn yes_and_no(&self) -> Option<(String, String)> {
        if !(self.is_text || self.is_number) || self.values < ENOUGH || self.is_varied || self.distinct.len() != 2 {
            return None;
        }
        let find = |wanted: &str| self.distinct.iter().find(|known| known.eq_ignore_ascii_case(wanted)).cloned();
        let pair = |(yes, no): &(&str, &str)| find(yes).zip(find(no));
        let found = YES_NO.iter().find_map(pair);
        // 1 and 0 in a number may count something; in a text they do not.
        found.or_else(|| pair(&("1", "0")).filter(|_| self.is_text))
    }

    /// The format of days that are written as eight digits, where all values are, but for zeros.
    pub(super) fn day_format(&self) -> Option<&'static str> {
        let is_candidate = (self.is_text || self.is_number) && self.days >= ENOUGH;
        (is_candidate && self.days + self.zeros == self.values).then_some("%Y%m%d")
    }
}

/// What a cell says, as it was landed; nothing of bytes that are no text.
fn text_of<'r>(record: &'r RawRecord<'_>, slot: Option<Slot>) -> Result<Option<Cow<'r, str>>, RejectCode> {
    let Some(slot) = slot else { return Err(RejectCode::BadType) };
    match record.fields.read(slot, Scope::ROOT) {
        Ok(Value::Null) => Ok(None),
        Ok(Value::Text(text)) => Ok(Some(text)),
        Ok(Value::Decimal(number)) => {
            let mut text = Vec::new();
            number.write(&mut text);
            Ok(Some(Cow::Owned(String::from_utf8(text).unwrap_or_default())))
        }
        Ok(Value::Float(number)) => Ok(Some(Cow::Owned(number.to_string()))),
        Ok(Value::Boolean(is)) => Ok(Some(Cow::Borrowed(if is { "1" } else { "0" }))),
        Ok(Value::Bytes(_)) => Ok(Some(Cow::Borrowed(""))),
        Err(fault) if fault.code == RejectCode::Blank => Ok(Some(Cow::Borrowed(""))),
        Err(fault) => Err(fault.code),
    }
}

/// Whether eight digits are a day between 1900 and 2199.
fn is_day(text: &str) -> bool {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<i16>().ok()).unwrap_or(0);
    let (year, month, day) = (part(0, 4), part(4, 6) as i8, part(6, 8) as i8);
    (1900..2200).contains(&year) && jiff::civil::Date::new(year, month, day).is_ok()
}
