//! A value that was read and is bound again: a key to go on behind, a watermark to begin at.

use std::cmp::Ordering;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::adapters::sql::Value;
use crate::decode::rows::ColumnKind;
use crate::record::Decimal;

/// A value in the canonical form of its kind; bytes in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::pipeline) struct Cell {
    pub(super) kind: ColumnKind,
    pub(super) text: String,
}

impl Cell {
    /// The value of a column as it stands in a file of rows. `None` for text that is no UTF-8.
    pub(super) fn of(kind: ColumnKind, bytes: &[u8]) -> Option<Cell> {
        let text = match kind {
            ColumnKind::Bytes { .. } => hex(bytes),
            _ => std::str::from_utf8(bytes).ok()?.to_owned(),
        };
        Some(Cell { kind, text })
    }

    /// What a person wrote as the first value of a watermark.
    pub(super) fn written(text: &str) -> Cell {
        let kind = if text.parse::<i64>().is_ok() {
            ColumnKind::Integer
        } else if text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok() {
            ColumnKind::Date
        } else if text.parse::<DateTime>().is_ok() && text.contains(['T', ' ']) {
            return Cell { kind: ColumnKind::DateTime, text: text.replacen(' ', "T", 1) };
        } else {
            ColumnKind::Text { max_chars: None }
        };
        Cell { kind, text: text.to_owned() }
    }

    /// What is bound to a statement.
    pub(super) fn value(&self) -> Value {
        let text = || Value::Text(self.text.clone());
        let decimal = || Decimal::parse(&self.text, b'.', None).map_or_else(|_| text(), Value::Decimal);
        match self.kind {
            ColumnKind::Boolean => Value::Boolean(self.text == "1"),
            ColumnKind::Integer => self.text.parse().map_or_else(|_| decimal(), Value::Integer),
            ColumnKind::Decimal { .. } => decimal(),
            ColumnKind::Float => self.text.parse().map_or_else(|_| text(), Value::Float),
            ColumnKind::Text { .. } => text(),
            ColumnKind::Bytes { .. } => unhex(&self.text).map_or_else(text, Value::Bytes),
            ColumnKind::Date
            | ColumnKind::Time
            | ColumnKind::DateTime
            | ColumnKind::DateTimeOffset
            | ColumnKind::Uuid => Value::Written(self.kind, self.text.clone()),
        }
    }

    /// Whether it is bound as what it was read as, so that what is equal in the database is equal here. Times are not:
    /// some databases round them, and floats never are.
    pub(super) fn leads_on(kind: ColumnKind) -> bool {
        matches!(
            kind,
            ColumnKind::Boolean
                | ColumnKind::Integer
                | ColumnKind::Decimal { .. }
                | ColumnKind::Text { .. }
                | ColumnKind::Bytes { .. }
                | ColumnKind::Date
                | ColumnKind::Uuid
        )
    }

    /// The order of two values of one column.
    pub(super) fn order(&self, other: &Cell) -> Ordering {
        let moment = |cell: &Cell| cell.text.parse::<Timestamp>().ok();
        match self.kind {
            ColumnKind::Integer | ColumnKind::Decimal { .. } | ColumnKind::Boolean => {
                compare_numbers(&self.text, &other.text)
            }
            ColumnKind::Float => {
                let number = |cell: &Cell| cell.text.parse::<f64>().unwrap_or(f64::NAN);
                number(self).total_cmp(&number(other))
            }
            ColumnKind::DateTimeOffset => moment(self).cmp(&moment(other)),
            _ => self.text.cmp(&other.text),
        }
    }

    /// The value so long before; `None` where it is no time.
    pub(super) fn earlier(&self, by: SignedDuration) -> Option<Cell> {
        let text = match self.kind {
            ColumnKind::DateTime => {
                let moment: DateTime = self.text.parse().ok()?;
                // Before the first moment there is nothing to miss.
                moment.checked_sub(by).unwrap_or(DateTime::MIN).to_string()
            }
            ColumnKind::DateTimeOffset => {
                let moment: Timestamp = self.text.parse().ok()?;
                moment.checked_sub(by).unwrap_or(Timestamp::MIN).to_string()
            }
            ColumnKind::Date => {
                let date: jiff::civil::Date = self.text.parse().ok()?;
                let days = by.as_secs().div_euclid(86_400) + i64::from(by.as_secs().rem_euclid(86_400) > 0);
                date.checked_sub(SignedDuration::from_hours(days.saturating_mul(24)))
                    .unwrap_or(jiff::civil::Date::MIN)
                    .to_string()
            }
            _ => return None,
        };
        Some(Cell { kind: self.kind, text })
    }

    /// The number so much less; `None` where it is no number. Below the least that can be said there is nothing to miss.
    pub(super) fn less(&self, by: u64) -> Option<Cell> {
        let text = match self.kind {
            ColumnKind::Integer => {
                let number: i128 = self.text.parse().ok()?;
                number.saturating_sub(i128::from(by)).max(i128::from(i64::MIN)).to_string()
            }
            ColumnKind::Decimal { .. } => {
                let number = Decimal::parse(&self.text, b'.', None).ok()?;
                let one = 10i128.checked_pow(u32::from(number.scale()))?;
                let lower = i128::from(by).checked_mul(one).and_then(|by| number.units().checked_sub(by));
                // Where it has no room for so many digits, it is the least that has.
                let lower = lower.and_then(|units| Decimal::new(units, number.scale()).ok());
                let lower = lower.or_else(|| Decimal::new(-number.units().abs(), number.scale()).ok())?;
                let mut text = Vec::new();
                lower.write(&mut text);
                String::from_utf8(text).ok()?
            }
            ColumnKind::Float => (self.text.parse::<f64>().ok()? - by as f64).to_string(),
            _ => return None,
        };
        Some(Cell { kind: self.kind, text })
    }

    /// A binary float by so little less that whatever a driver's digits have lost of it is made good; others as they are.
    pub(super) fn widened(&self) -> Cell {
        match (self.kind, self.text.parse::<f64>()) {
            // A single has seven digits.
            (ColumnKind::Float, Ok(number)) if number.is_finite() => {
                Cell { kind: self.kind, text: (number - number.abs() * 1e-6).to_string() }
            }
            _ => self.clone(),
        }
    }

    /// A value surely not less in the database, where it may be bound as a little other than it was read; others as they
    /// are. `None` where no greater one can be said.
    pub(super) fn surely(&self, rounding: SignedDuration) -> Option<Cell> {
        let text = match (self.kind, self.text.parse::<f64>()) {
            (ColumnKind::DateTime, _) => self.text.parse::<DateTime>().ok()?.checked_add(rounding).ok()?.to_string(),
            (ColumnKind::DateTimeOffset, _) => {
                self.text.parse::<Timestamp>().ok()?.checked_add(rounding).ok()?.to_string()
            }
            (ColumnKind::Float, Ok(number)) if number.is_finite() => (number + number.abs() * 1e-6).to_string(),
            _ => self.text.clone(),
        };
        Some(Cell { kind: self.kind, text })
    }

    /// Whether it is a time that lies ahead of this moment.
    pub(super) fn is_after(&self, moment: Timestamp) -> bool {
        match self.kind {
            ColumnKind::DateTimeOffset => self.text.parse::<Timestamp>().is_ok_and(|time| time > moment),
            ColumnKind::DateTime => self.text.parse::<DateTime>().is_ok_and(|time| time > civil(moment)),
            ColumnKind::Date => self.text.parse::<jiff::civil::Date>().is_ok_and(|date| date > civil(moment).date()),
            _ => false,
        }
    }
}

fn civil(moment: Timestamp) -> DateTime {
    moment.to_zoned(jiff::tz::TimeZone::UTC).datetime()
}

/// Exact numbers in canonical form, of any length.
fn compare_numbers(one: &str, other: &str) -> Ordering {
    let parts = |text: &str| {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits.to_owned()),
            None => (false, text.to_owned()),
        };
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) => (whole.to_owned(), fraction.trim_end_matches('0').to_owned()),
            None => (digits, String::new()),
        };
        (negative, whole.trim_start_matches('0').to_owned(), fraction)
    };
    let ((negative, whole, fraction), (is_negative, other_whole, other_fraction)) = (parts(one), parts(other));
    let size = whole.len().cmp(&other_whole.len()).then_with(|| whole.cmp(&other_whole));
    let size = size.then_with(|| fraction.cmp(&other_fraction));
    let is_zero = |whole: &str, fraction: &str| whole.is_empty() && fraction.is_empty();
    match (negative && !is_zero(&whole, &fraction), is_negative && !is_zero(&other_whole, &other_fraction)) {
        (true, true) => size.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => size,
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cell(kind: ColumnKind, text: &str) -> Cell {
        Cell { kind, text: text.to_owned() }
    }

    #[test]
    fn earlier_and_less() {
        let earlier =
            |kind, text: &str, seconds| cell(kind, text).earlier(SignedDuration::from_secs(seconds)).map(|c| c.text);
        assert_eq!(
            earlier(ColumnKind::DateTime, "2026-03-01T00:00:00.25", 60).as_deref(),
            Some("2026-02-28T23:59:00.25")
        );
        assert_eq!(
            earlier(ColumnKind::DateTimeOffset, "2026-03-01T01:00:00+01:00", 1).as_deref(),
            Some("2026-02-28T23:59:59Z")
        );
        assert_eq!(earlier(ColumnKind::Date, "2026-03-01", 1).as_deref(), Some("2026-02-28"));
        assert_eq!(
            earlier(ColumnKind::DateTime, "-009999-01-01T00:00:00", 1).as_deref(),
            Some("-009999-01-01T00:00:00")
        );
        assert_eq!(earlier(ColumnKind::Integer, "5", 1), None);
        assert_eq!(cell(ColumnKind::Integer, "5").less(10).map(|c| c.text).as_deref(), Some("-5"));
        let less = |kind, text: &str, by| cell(kind, text).less(by).map(|cell| cell.text);
        let decimal = ColumnKind::Decimal { precision: 38, scale: 2 };
        assert_eq!(less(decimal, "5.25", 10).as_deref(), Some("-4.75"));
        assert_eq!(
            less(decimal, "-999999999999999999999999999999999999.99", 10).as_deref(),
            Some("-999999999999999999999999999999999999.99")
        );
        assert_eq!(less(ColumnKind::Float, "1.5", 1).as_deref(), Some("0.5"));
        assert_eq!(less(ColumnKind::Text { max_chars: None }, "5", 1), None);
        assert_eq!(cell(ColumnKind::Float, "-0.5").widened().text, "-0.5000005");
        assert_eq!(cell(ColumnKind::Integer, "7").widened().text, "7");
        let surely = |kind, text: &str| cell(kind, text).surely(SignedDuration::from_millis(2)).map(|cell| cell.text);
        assert_eq!(surely(ColumnKind::DateTime, "2026-03-01T00:00:00").as_deref(), Some("2026-03-01T00:00:00.002"));
        assert_eq!(surely(ColumnKind::DateTime, "9999-12-31T23:59:59.9999999"), None);
        assert_eq!(surely(ColumnKind::Float, "-0.5").as_deref(), Some("-0.4999995"));
        assert_eq!(surely(ColumnKind::Integer, "7").as_deref(), Some("7"));
    }

    #[test]
    fn what_is_written_gets_the_kind_it_looks_like() {
        for (text, kind) in [
            ("0", ColumnKind::Integer),
            ("1900-01-01", ColumnKind::Date),
            ("1900-01-01T00:00:00", ColumnKind::DateTime),
            ("1900-01-01 00:00:00", ColumnKind::DateTime),
            ("A1", ColumnKind::Text { max_chars: None }),
        ] {
            assert_eq!(Cell::written(text).kind, kind, "{text}");
        }
    }

    #[test]
    fn bytes_are_bound_as_bytes() {
        let kind = ColumnKind::Bytes { max: Some(8) };
        let read = Cell::of(kind, &[0, 0, 0, 0, 0, 0, 7, 0xD1]).unwrap();
        assert_eq!(read.text, "00000000000007d1");
        assert_eq!(read.value(), Value::Bytes(vec![0, 0, 0, 0, 0, 0, 7, 0xD1]));
        assert_eq!((unhex("7"), unhex("zz"), unhex("äö")), (None, None, None));
    }

    proptest! {
        #[test]
        fn numbers_are_ordered_as_numbers(one in -10_000i64..10_000, other in -10_000i64..10_000) {
            let decimal = |units: i64| format!("{}{}.{:02}", if units < 0 { "-" } else { "" }, units.abs() / 100, units.abs() % 100);
            prop_assert_eq!(compare_numbers(&decimal(one), &decimal(other)), one.cmp(&other));
            prop_assert_eq!(compare_numbers(&one.to_string(), &other.to_string()), one.cmp(&other));
        }
    }
}
