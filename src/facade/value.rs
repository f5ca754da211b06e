//! A filter's value, read exactly as its field's type says, into what staging compares.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::mapping::{FieldType, Fraction, Offset};
use crate::record::Decimal;
use crate::staging::{ColumnType, Scalar};

/// A value that only bounds others: no record has it where it is finer than they are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bound {
    /// The value, or the next one before it that a record can have.
    pub(super) at: Scalar,
    /// The bound lies behind that value, and before the next.
    pub(super) is_behind: bool,
}

/// A value that bounds others, or what was expected, as a phrase. Moments finer than those of the records, as clients make
/// them who write milliseconds always, lie between two.
pub(super) fn parse_bound(field_type: FieldType, text: &str) -> Result<Bound, String> {
    if let FieldType::Time { fraction: Fraction::Absent } | FieldType::Datetime { fraction: Fraction::Absent, .. } =
        field_type
        && let Some((whole, finer, rest)) = split_fraction(text)
    {
        let at = parse(field_type, &format!("{whole}{rest}"))?;
        return Ok(Bound { at, is_behind: finer.bytes().any(|digit| digit != b'0') });
    }
    parse(field_type, text).map(|at| Bound { at, is_behind: false })
}

/// What stands before the fraction of a second, its digits (one to nine), and what stands behind them.
fn split_fraction(text: &str) -> Option<(&str, &str, &str)> {
    let (whole, rest) = text.split_once('.')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = rest.split_at_checked(digits).filter(|(digits, _)| (1..=9).contains(&digits.len()))?;
    Some((whole, digits, rest))
}

/// The value, or what was expected, as a phrase.
pub(super) fn parse(field_type: FieldType, text: &str) -> Result<Scalar, String> {
    let expected = || describe(field_type);
    match field_type {
        FieldType::String => Ok(Scalar::Text(text.to_owned())),
        FieldType::Integer { .. } => integer(text).map(Scalar::Integer).ok_or_else(expected),
        FieldType::Decimal { precision, scale, as_string } => {
            decimal(text, precision, scale, as_string).ok_or_else(expected)
        }
        FieldType::Number => {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number.map(Scalar::Number).ok_or_else(expected)
        }
        FieldType::Boolean => match text {
            "true" => Ok(Scalar::Integer(1)),
            "false" => Ok(Scalar::Integer(0)),
            _ => Err(expected()),
        },
        FieldType::Date => {
            let date = text.parse::<Date>().ok().filter(|_| text.len() == "2026-01-31".len());
            date.map(|date| Scalar::Text(date.to_string())).ok_or_else(expected)
        }
        FieldType::Time { fraction } => {
            let time = text.parse::<Time>().ok().filter(|_| !text.contains(['-', '+', 'T', 't', 'Z', 'z', '[']));
            let written = time.and_then(|time| with_fraction(time.to_string(), time, (fraction, false)));
            written.map(Scalar::Text).ok_or_else(expected)
        }
        FieldType::Datetime { offset, fraction } => {
            datetime(text, offset, fraction).map(Scalar::Text).ok_or_else(expected)
        }
        FieldType::Bytes | FieldType::Object | FieldType::Array | FieldType::Any => Err(expected()),
    }
}

/// The values that a field may have, as they stand in a query, where its schema lists them; null is none of them.
pub(super) fn declared<'s>(schema: &'s Value, path: &str) -> Option<Vec<Cow<'s, str>>> {
    let field = path.split('.').try_fold(schema, |schema, name| schema.get("properties")?.get(name))?;
    let listed = field.get("enum")?.as_array()?.iter().filter(|value| !value.is_null());
    Some(listed.map(|value| value.as_str().map_or_else(|| value.to_string().into(), Cow::Borrowed)).collect())
}

/// A text as it stands in a list or a group.
pub(super) fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains([',', '(', ')', '"']) {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text.to_owned()
}

/// How staging compares fields of this type; `None` for what cannot be filtered or sorted by.
pub fn column_of(field_type: FieldType) -> Option<ColumnType> {
    match field_type {
        FieldType::String | FieldType::Date | FieldType::Time { .. } | FieldType::Datetime { .. } => {
            Some(ColumnType::Text)
        }
        FieldType::Integer { as_string: false } => Some(ColumnType::Integer),
        FieldType::Integer { as_string: true } => Some(ColumnType::ScaledInteger { scale: 0 }),
        FieldType::Decimal { as_string: false, .. } | FieldType::Number => Some(ColumnType::Number),
        FieldType::Decimal { scale, as_string: true, .. } => Some(ColumnType::ScaledInteger { scale }),
        FieldType::Boolean => Some(ColumnType::Boolean),
        FieldType::Bytes | FieldType::Object | FieldType::Array | FieldType::Any => None,
    }
}

/// The type for people.
pub(super) fn describe(field_type: FieldType) -> String {
    match field_type {
        FieldType::String => "a text".to_owned(),
        FieldType::Integer { .. } => "an integer like 42".to_owned(),
        FieldType::Decimal { precision, scale: 0, .. } => format!("a whole number of up to {precision} digits"),
        FieldType::Decimal { precision, scale, .. } => {
            let whole = precision.saturating_sub(scale);
            format!("a decimal number with up to {whole} digits before the point and {scale} behind it, like 12.50")
        }
        FieldType::Number => "a number like 1.5".to_owned(),
        FieldType::Boolean => "true or false".to_owned(),
        FieldType::Date => "a date like 2026-01-31".to_owned(),
        FieldType::Time { .. } => "a time like 23:59:59".to_owned(),
        FieldType::Datetime { offset: Offset::Utc, .. } => {
            "a timestamp with its offset, like 2026-01-31T23:59:59Z (a `+` in an address is written %2B)".to_owned()
        }
        FieldType::Datetime { offset: Offset::Local, .. } => {
            "a timestamp without an offset, like 2026-01-31T23:59:59: the records have none".to_owned()
        }
        FieldType::Datetime { offset: Offset::AsRead, .. } => {
            "a timestamp as the records have it, like 2026-01-31T23:59:59Z, or 2026-01-31T23:59:59 where theirs have no offset"
                .to_owned()
        }
        FieldType::Bytes | FieldType::Object | FieldType::Array | FieldType::Any => "nothing comparable".to_owned(),
    }
}

/// Whether values of the type have an order that a caller can ask for.
pub(super) fn is_ordered(field_type: FieldType) -> bool {
    field_type != FieldType::Boolean
}

/// Whether values are compared as text, so that a prefix makes sense.
pub(super) fn is_text(field_type: FieldType) -> bool {
    matches!(field_type, FieldType::String | FieldType::Date | FieldType::Time { .. } | FieldType::Datetime { .. })
}

/// Digits with perhaps a minus: no sign or blank that only some parsers take.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn decimal(text: &str, precision: u8, scale: u8, as_string: bool) -> Option<Scalar> {
    let value = Decimal::parse(text, b'.', None).ok()?.rescale(scale).ok()?;
    if value.integer_digits() > u32::from(precision.saturating_sub(scale)) {
        return None;
    }
    if as_string {
        return i64::try_from(value.units()).ok().map(Scalar::Integer);
    }
    // Up to 15 digits: the nearest double is the one that the stored JSON number reads as.
    value.to_string().parse().ok().map(Scalar::Number)
}

/// In the form that documents have.
fn datetime(text: &str, offset: Offset, fraction: Fraction) -> Option<String> {
    let (_, time) = text.split_once(['T', 't', ' '])?;
    if text.contains('[') {
        return None;
    }
    // A local time is not known to lie anywhere: read with an offset it would be another.
    let is_local = !time.contains(['Z', 'z', '+', '-']);
    match (offset, is_local) {
        (Offset::Utc | Offset::AsRead, false) => {
            let moment: Timestamp = text.parse().ok()?;
            let utc = moment.to_zoned(TimeZone::UTC).datetime();
            with_fraction(utc.to_string(), utc.time(), (fraction, true)).map(|written| written + "Z")
        }
        (Offset::Local | Offset::AsRead, true) => {
            let local: DateTime = text.parse().ok()?;
            with_fraction(local.to_string(), local.time(), (fraction, false))
        }
        _ => None,
    }
}

/// What was written of this time in its shortest form, with as many digits of a second as documents have; `None` where it is
/// finer than they are.
fn with_fraction(shortest: String, time: Time, (fraction, is_utc): (Fraction, bool)) -> Option<String> {
    let nanoseconds = time.subsec_nanosecond();
    match (fraction, is_utc) {
        (Fraction::Absent, _) => (nanoseconds == 0).then_some(shortest),
        (Fraction::Shortest, false) => Some(shortest),
        (Fraction::Whole, _) | (Fraction::Shortest, true) => {
            let whole = shortest.split_once('.').map_or(shortest.as_str(), |(whole, _)| whole);
            Some(format!("{whole}.{nanoseconds:09}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{describe, parse, parse_bound};
    use crate::mapping::{FieldType, Fraction, Offset};
    use crate::staging::Scalar;

    const MONEY: FieldType = FieldType::Decimal { precision: 11, scale: 2, as_string: false };
    const LARGE: FieldType = FieldType::Decimal { precision: 18, scale: 4, as_string: true };

    fn good(field_type: FieldType, text: &str, expected: Scalar) {
        assert_eq!(parse(field_type, text), Ok(expected), "{field_type:?} {text}");
    }

    fn bad(field_type: FieldType, texts: &[&str]) {
        for text in texts {
            assert_eq!(parse(field_type, text), Err(describe(field_type)), "{text}");
        }
    }

    #[test]
    fn numbers_are_exact() {
        good(FieldType::Integer { as_string: false }, "-42", Scalar::Integer(-42));
        bad(FieldType::Integer { as_string: false }, &["", "-", "+1", " 1", "1.0", "1e3", "9223372036854775808"]);
        good(MONEY, "19", Scalar::Number(19.0));
        good(MONEY, "-0.10", Scalar::Number(-0.1));
        good(MONEY, "999999999.99", Scalar::Number(999_999_999.99));
        bad(MONEY, &["1.005", "1000000000", "1e2", "1,5", "", "NaN"]);
        good(LARGE, "12345678901234.5678", Scalar::Integer(123_456_789_012_345_678));
        good(LARGE, "-0.5", Scalar::Integer(-5000));
        bad(LARGE, &["123456789012345", "0.00001"]);
        good(FieldType::Number, "1.5e3", Scalar::Number(1500.0));
        bad(FieldType::Number, &["inf", "NaN", "x"]);
    }

    #[test]
    fn dates_have_the_form_of_documents() {
        good(FieldType::Date, "2024-02-29", Scalar::Text("2024-02-29".into()));
        bad(FieldType::Date, &["2023-02-29", "2024-2-9", "20240229", "2024-02-29T00:00:00", "today"]);
        let time = |fraction| FieldType::Time { fraction };
        good(time(Fraction::Absent), "08:30:00", Scalar::Text("08:30:00".into()));
        good(time(Fraction::Whole), "08:30:00", Scalar::Text("08:30:00.000000000".into()));
        bad(time(Fraction::Absent), &["24:00:00", "2024-02-29T08:30:00", "08:30:00Z", "08:30:00+02:00", "08:30:00.5"]);
    }

    #[test]
    fn timestamps_are_in_utc_or_are_not() {
        let (utc, local) = (moment(Offset::Utc, Fraction::Absent), moment(Offset::Local, Fraction::Absent));
        let text = |text: &str| Scalar::Text(text.to_owned());
        good(utc, "2024-02-29T12:00:00+02:00", text("2024-02-29T10:00:00Z"));
        good(utc, "2024-02-29T12:00:00.000Z", text("2024-02-29T12:00:00Z"));
        bad(utc, &["2024-02-29T12:00:00", "2024-02-29", "noon", "2024-02-29T12:00:00 02:00", "2024-02-29T12:00:00.5Z"]);
        good(local, "2024-02-29T12:00:00", text("2024-02-29T12:00:00"));
        good(local, "2024-02-29 12:00:00", text("2024-02-29T12:00:00"));
        let with_offset = ["2024-02-29T12:00:00Z", "2024-02-29T12:00:00z", "2024-02-29T12:00:00+05:00"];
        bad(local, &with_offset);
        bad(local, &["2024-02-29T12:00:00-05:00", "2024-02-29T12:00:00[Europe/Berlin]", "2024-02-29"]);
        // As the column has it.
        let as_read = moment(Offset::AsRead, Fraction::Shortest);
        good(as_read, "2024-02-29T12:00:00+05:00", text("2024-02-29T07:00:00.000000000Z"));
        good(as_read, "2024-02-29T12:00:00.50", text("2024-02-29T12:00:00.5"));
        // In as many digits as the records have them: they are compared as texts.
        let fine = moment(Offset::Utc, Fraction::Whole);
        good(fine, "2024-02-29T12:00:00Z", text("2024-02-29T12:00:00.000000000Z"));
        good(fine, "2024-02-29T12:00:00.123+01:00", text("2024-02-29T11:00:00.123000000Z"));
        good(moment(Offset::Local, Fraction::Whole), "2024-02-29T12:00:00.5", text("2024-02-29T12:00:00.500000000"));
    }

    #[test]
    fn what_is_finer_than_the_records_lies_between_two() {
        let bound = |text: &str| {
            let found = parse_bound(moment(Offset::Utc, Fraction::Absent), text)?;
            Ok::<_, String>((found.at, found.is_behind))
        };
        let at = Scalar::Text("2024-02-29T12:00:00Z".into());
        assert_eq!(bound("2024-02-29T12:00:00Z"), Ok((at.clone(), false)));
        assert_eq!(bound("2024-02-29T12:00:00.000Z"), Ok((at.clone(), false)));
        assert_eq!(bound("2024-02-29T12:00:00.123Z"), Ok((at.clone(), true)));
        assert_eq!(bound("2024-02-29T13:00:00.5+01:00"), Ok((at, true)));
        for text in ["2024-02-29T12:00:00.Z", "2024-02-29T12:00:00.1234567890Z", "2024-02-29T12:00:00.5", "1.5"] {
            assert!(bound(text).is_err(), "{text}");
        }
    }

    fn moment(offset: Offset, fraction: Fraction) -> FieldType {
        FieldType::Datetime { offset, fraction }
    }

    #[test]
    fn declared_values_are_those_of_the_schema() {
        let schema = serde_json::json!({ "properties": {
            "status": { "type": ["string", "null"], "enum": ["open", "closed", null] },
            "size": { "properties": { "inch": { "enum": [10, 12.5] } } },
            "note": { "type": "string" },
        } });
        let declared = |path: &str| super::declared(&schema, path).map(|values| values.join("|"));
        assert_eq!(declared("status").as_deref(), Some("open|closed"));
        assert_eq!(declared("size.inch").as_deref(), Some("10|12.5"));
        assert_eq!((declared("note"), declared("size"), declared("none.at.all")), (None, None, None));
    }

    #[test]
    fn values_with_commas_are_told_from_several() {
        let written = |text| super::quoted(text);
        assert_eq!([written("good"), written("bad, really"), written("")], ["good", "\"bad, really\"", "\"\""]);
        assert_eq!(written("a \"b\" (c)"), "\"a \\\"b\\\" (c)\"");
    }

    #[test]
    fn booleans() {
        good(FieldType::Boolean, "true", Scalar::Integer(1));
        bad(FieldType::Boolean, &["1", "yes", "TRUE", ""]);
    }
}
