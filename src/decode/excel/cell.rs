//! What a cell of a workbook holds, out of what the library says of it.

use std::ops::Range;

use calamine::{Data, DataRef, ExcelDateTime, ExcelDateTimeType};

use super::settings::letters;

/// What a cell holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    Text(Box<str>),
    /// As the file has it: a binary float, of which the shortest decimal is shown that means the same.
    Number(f64),
    Whole(i64),
    Boolean(bool),
    /// A date, time or both in ISO 8601.
    Moment(Box<str>),
    /// `#N/A` and its like.
    Error(Box<str>),
    /// What no cell can hold: reading it rejects the record, whatever is said of errors.
    Wrong(Box<str>),
}

/// A cell, by row and column from 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) row: u32,
    pub(super) column: u32,
    pub(super) content: Content,
}

impl Cell {
    /// Bytes that it takes in memory.
    pub(super) fn size(&self) -> u64 {
        let text = match &self.content {
            Content::Text(text) | Content::Moment(text) | Content::Error(text) | Content::Wrong(text) => text.len(),
            Content::Number(_) | Content::Whole(_) | Content::Boolean(_) => 0,
        };
        (text + std::mem::size_of::<Cell>()) as u64
    }
}

/// What a cell holds whose value may lie in the list of the workbook's texts. A program that does not compute writes
/// formulas without values: that is not the same as an empty cell.
pub(super) fn of_reference(value: &DataRef<'_>, has_formula: bool) -> Option<Content> {
    match value {
        DataRef::SharedString(text) => text_of(text),
        DataRef::String(text) => text_of(text),
        DataRef::Empty if has_formula => Some(Content::Error("a formula without a stored value".into())),
        other => of_value(&Data::from(other.clone())),
    }
}

fn text_of(text: &str) -> Option<Content> {
    (!text.is_empty()).then(|| Content::Text(text.into()))
}

/// What a cell holds; `None` for an empty one.
pub(super) fn of_value(value: &Data) -> Option<Content> {
    Some(match value {
        Data::Empty => return None,
        Data::String(text) => return text_of(text),
        Data::Int(number) => Content::Whole(*number),
        Data::Float(number) if !number.is_finite() => Content::Wrong(format!("{number}, which is no number").into()),
        Data::Float(number) => Content::Number(*number),
        Data::Bool(value) => Content::Boolean(*value),
        Data::DateTime(moment) => moment_of(moment),
        Data::DateTimeIso(text) => Content::Moment(text.as_str().into()),
        Data::DurationIso(text) => Content::Moment(time_of(text).unwrap_or_else(|| text.clone()).into()),
        Data::Error(error) => Content::Error(error.to_string().into()),
    })
}

/// Days since the workbook's epoch as a date, a time of day where there is no day, or both; a duration as hours,
/// minutes and seconds.
///
/// Below one day it is a time of day. So the day before the first of 1900 is none, and 1904-01-01, which is day 0 of
/// workbooks from 1904 on, is told as `00:00:00`: formats do not say which of the two is meant, and times are the usual.
fn moment_of(moment: &ExcelDateTime) -> Content {
    // Days to be counted up to 9999-12-31, from 1900 and from 1904 on.
    const ENDS: [f64; 2] = [2_958_466.0, 2_957_004.0];
    // February 29th of a year that had none, which a program of 1983 counted.
    const NO_DAY: Range<f64> = 60.0..61.0;
    let days = moment.as_f64();
    if !days.is_finite() {
        return Content::Wrong(format!("{days}, which is no number").into());
    }
    let from_1904 = [ExcelDateTimeType::DateTime, ExcelDateTimeType::TimeDelta]
        .into_iter()
        .any(|kind| *moment == ExcelDateTime::new(days, kind, true));
    if !(0.0..ENDS[usize::from(from_1904)]).contains(&days) {
        return Content::Error(format!("{days}, which is no date of a workbook").into());
    }
    if moment.is_duration() {
        let milliseconds = (days * 86_400_000.0).round() as u64;
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
        let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        return Content::Moment((text + &fraction(rest)).into());
    }
    let (year, month, day, hour, minute, second, milli) = moment.to_ymd_hms_milli();
    if NO_DAY.contains(&days) && (month, day) == (2, 29) && !from_1904 {
        return Content::Error("1900-02-29, a day that never was".into());
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let time = format!("{hour:02}:{minute:02}:{second:02}{}", fraction(u64::from(milli)));
    let has_time = (hour, minute, second, milli) != (0, 0, 0, 0);
    Content::Moment(if days < 1.0 {
        time.into()
    } else if has_time {
        format!("{date}T{time}").into()
    } else {
        date.into()
    })
}

/// `PT7H5M9S`, as .ods files write times of day and durations, in the way of the other kinds: `07:05:09`.
fn time_of(text: &str) -> Option<String> {
    let mut rest = text.strip_prefix("PT")?;
    let mut part = |unit: char| -> Option<u64> {
        let Some((digits, behind)) = rest.split_once(unit) else { return Some(0) };
        rest = behind;
        digits.parse().ok()
    };
    let (hours, minutes) = (part('H')?, part('M')?);
    let (seconds, digits) = match rest.strip_suffix('S') {
        Some(seconds) => seconds.split_once(['.', ',']).unwrap_or((seconds, "")),
        None if rest.is_empty() => ("0", ""),
        None => return None,
    };
    let seconds: u64 = seconds.parse().ok()?;
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| format!("{hours:02}:{minutes:02}:{seconds:02}{point}{digits}"))
}

fn fraction(milliseconds: u64) -> String {
    if milliseconds == 0 { String::new() } else { format!(".{milliseconds:03}") }
}

/// `C5`, for messages.
pub(super) fn place(row: u32, column: u32) -> String {
    format!("{}{}", letters(column), row + 1)
}
