//! Values of drivers in their canonical form ([`ColumnKind`]). What is none of its kind is a fault of that cell.
//!
//! The text that a driver gives is not trusted: `2.4690` and `2.469`, `1` and `1.0`, `t` and `1` are the same value.

use std::borrow::Cow;
use std::io::Write;

use crate::decode::rows::{BatchWriter, CellFault, ColumnKind};
use crate::record::Decimal;

/// Writes a value that came in ASCII.
pub(super) fn ascii(kind: ColumnKind, raw: &[u8], scratch: &mut Vec<u8>, out: &mut BatchWriter) {
    // The usual value is as it should be.
    if is_canonical(kind, raw) {
        return out.value(raw);
    }
    scratch.clear();
    match canonical(kind, raw, scratch) {
        Some(()) => out.value(scratch),
        None => out.fault(CellFault::Invalid, raw),
    }
}

/// Whether a value is known to be in its form. Where it is not known it is computed.
fn is_canonical(kind: ColumnKind, raw: &[u8]) -> bool {
    match kind {
        ColumnKind::Integer => match raw {
            [b'1'..=b'9', rest @ ..] => rest.len() < 18 && rest.iter().all(u8::is_ascii_digit),
            _ => false,
        },
        ColumnKind::Decimal { precision, scale } => is_canonical_decimal(raw, precision, scale),
        ColumnKind::Float => is_canonical_float(raw),
        ColumnKind::Date => raw.len() == 10 && is_day(raw),
        _ => false,
    }
}

/// Whether it is a short number without an exponent. Two such numbers of up to 15 digits are never the same double, so that
/// there is no shorter one for it.
fn is_canonical_float(raw: &[u8]) -> bool {
    let digits = raw.strip_prefix(b"-").unwrap_or(raw);
    let point = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = digits.split_at(point.unwrap_or(digits.len()));
    let is_led = matches!(whole, [b'1'..=b'9', ..] | [b'0']);
    let ends = match fraction {
        // `-0` is another number than `0`.
        [] => whole != b"0" || raw.len() == 1,
        [b'.', rest @ ..] => matches!(rest, [.., b'1'..=b'9']) && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    digits.len() <= 15 && is_led && ends && whole.iter().all(u8::is_ascii_digit)
}

/// A value that came in ASCII, by itself. `None` where it is none of its kind.
pub(super) fn alone(kind: ColumnKind, raw: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    canonical(kind, raw, &mut out)?;
    Some(out)
}

fn canonical(kind: ColumnKind, raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match kind {
        ColumnKind::Integer => integer(raw, out),
        ColumnKind::Decimal { precision, scale } => decimal(raw, precision, scale, out),
        ColumnKind::Boolean => boolean(raw, out),
        ColumnKind::Float => float(raw, out),
        ColumnKind::Date => date(raw, out),
        ColumnKind::Time => time(raw.trim_ascii(), out).filter(|rest| rest.is_empty()).map(drop),
        ColumnKind::DateTime => date_time(raw, out).filter(|rest| rest.is_empty()).map(drop),
        ColumnKind::DateTimeOffset => date_time_offset(raw, out),
        ColumnKind::Uuid => uuid(raw, out),
        ColumnKind::Text { .. } | ColumnKind::Bytes { .. } => {
            out.extend_from_slice(raw);
            Some(())
        }
    }
}

/// Writes a double.
pub(super) fn double(value: f64, scratch: &mut Vec<u8>, out: &mut BatchWriter) {
    scratch.clear();
    // A vector takes whatever is written.
    let _ = write!(scratch, "{value}");
    out.value(scratch);
}

/// Writes a single: its own fewest digits, not those of the double that it would be.
pub(super) fn single(value: f32, scratch: &mut Vec<u8>, out: &mut BatchWriter) {
    scratch.clear();
    let _ = write!(scratch, "{value}");
    out.value(scratch);
}

/// Writes text that came in UTF-16.
pub(super) fn wide(units: &[u16], scratch: &mut Vec<u8>, out: &mut BatchWriter) {
    scratch.clear();
    for unit in char::decode_utf16(units.iter().copied()) {
        let Ok(c) = unit else {
            let raw: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            return out.fault(CellFault::Encoding, &raw);
        };
        scratch.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    out.value(scratch);
}

fn integer(raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let text = raw.trim_ascii();
    let (negative, digits) = signed(text);
    // Drivers write whole numbers of wider types with zeros behind a point.
    let digits = match digits.iter().position(|byte| *byte == b'.') {
        Some(point) if digits[point + 1..].iter().all(|byte| *byte == b'0') => &digits[..point],
        Some(_) => return None,
        None => digits,
    };
    if digits.is_empty() || digits.len() > 40 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let zeros = digits.iter().take_while(|byte| **byte == b'0').count();
    let digits = &digits[zeros..];
    if digits.is_empty() {
        out.push(b'0');
    } else {
        if negative {
            out.push(b'-');
        }
        out.extend_from_slice(digits);
    }
    Some(())
}

fn signed(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn decimal(raw: &[u8], precision: u8, scale: u8, out: &mut Vec<u8>) -> Option<()> {
    let text = raw.trim_ascii();
    if is_canonical_decimal(text, precision, scale) {
        out.extend_from_slice(text);
        return Some(());
    }
    let text = std::str::from_utf8(text).ok()?;
    let value = match text.find(['e', 'E']) {
        Some(at) => shifted(text.get(..at)?, text.get(at + 1..)?.parse().ok()?)?,
        None => Decimal::parse(text, b'.', None).ok()?,
    };
    let value = value.rescale(scale).ok()?;
    if value.integer_digits() > u32::from(precision - scale) {
        return None;
    }
    value.write(out);
    Some(())
}

/// Whether it is what would be written: the usual case, for which nothing is to be computed.
fn is_canonical_decimal(text: &[u8], precision: u8, scale: u8) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, fraction) = match scale {
        0 => (digits, &[][..]),
        _ => match digits.len().checked_sub(usize::from(scale) + 1) {
            Some(point) if digits.get(point) == Some(&b'.') => (&digits[..point], &digits[point + 1..]),
            _ => return false,
        },
    };
    let is_led = matches!(whole, [b'1'..=b'9', ..]) || (whole == b"0" && precision > 0);
    let fits = whole.len() <= usize::from(precision - scale) || whole == b"0";
    let is_zero = text.len() != digits.len() && digits.iter().all(|byte| matches!(byte, b'0' | b'.'));
    is_led && fits && !is_zero && whole.iter().chain(fraction).all(u8::is_ascii_digit)
}

/// A number with an exponent, exactly.
fn shifted(mantissa: &str, exponent: i32) -> Option<Decimal> {
    let value = Decimal::parse(mantissa, b'.', None).ok()?;
    let scale = i32::from(value.scale()) - exponent;
    if scale >= 0 {
        return Decimal::new(value.units(), u8::try_from(scale).ok()?).ok();
    }
    let factor = 10i128.checked_pow(scale.unsigned_abs())?;
    Decimal::new(value.units().checked_mul(factor)?, 0).ok()
}

fn boolean(raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let text = raw.trim_ascii();
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
    // An MDB file says -1 of what is true.
    out.push(if is(&["1", "t", "true", "-1", "y", "yes", "\u{1}"]) {
        b'1'
    } else if is(&["0", "f", "false", "n", "no", "\0"]) {
        b'0'
    } else {
        return None;
    });
    Some(())
}

fn float(raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let text = std::str::from_utf8(raw.trim_ascii()).ok()?;
    let value: f64 = match text {
        "Inf" | "Infinity" => f64::INFINITY,
        "-Inf" | "-Infinity" => f64::NEG_INFINITY,
        _ => text.parse().ok()?,
    };
    let _ = write!(out, "{value}");
    Some(())
}

/// A date or a time with a date, whose year of fewer than four digits gets the zeros before it.
pub(super) fn with_whole_year(raw: &[u8]) -> Cow<'_, [u8]> {
    let text = raw.trim_ascii_start();
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..4).contains(&digits) || text.get(digits) != Some(&b'-') {
        return Cow::Borrowed(raw);
    }
    Cow::Owned([&b"000"[digits - 1..], text].concat())
}

/// A date. A time behind it is taken where it is midnight: some databases know no dates without one.
fn date(raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let rest = day(raw.trim_ascii(), out)?;
    let clock = match rest {
        [] => return Some(()),
        [b' ' | b'T', clock @ ..] => clock,
        _ => return None,
    };
    let midnight = clock.iter().all(|byte| matches!(byte, b'0' | b':' | b'.')) && clock.starts_with(b"00:00");
    midnight.then_some(())
}

fn number(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (head, rest) = text.split_at_checked(digits)?;
    let mut value = 0;
    for byte in head {
        value = value * 10 + u32::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    Some((value, rest))
}

/// Whether it begins with a day of the calendar, `2026-11-28`.
fn is_day(text: &[u8]) -> bool {
    let Some([y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2]) = text.first_chunk() else { return false };
    if ![y1, y2, y3, y4, m1, m2, d1, d2].into_iter().all(u8::is_ascii_digit) {
        return false;
    }
    let two = |tens: &u8, ones: &u8| u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
    let (year, month, day) = (two(y1, y2) * 100 + two(y3, y4), two(m1, m2), two(d1, d2));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return false,
    };
    year > 0 && (1..=days).contains(&day)
}

/// `2026-11-28` at the beginning; answers what follows.
fn day<'t>(text: &'t [u8], out: &mut Vec<u8>) -> Option<&'t [u8]> {
    let (date, rest) = text.split_at_checked(10)?;
    is_day(date).then(|| out.extend_from_slice(date))?;
    Some(rest)
}

/// `23:59:59.5` at the beginning, seconds and their fraction as they are there; answers what follows.
fn time<'t>(text: &'t [u8], out: &mut Vec<u8>) -> Option<&'t [u8]> {
    let (hour, rest) = number(text, 2)?;
    let (minute, rest) = number(rest.strip_prefix(b":")?, 2)?;
    out.extend_from_slice(text.get(..5)?);
    let (second, mut rest) = match rest {
        [b':', seconds @ ..] => {
            out.extend_from_slice(rest.get(..3)?);
            number(seconds, 2)?
        }
        _ => {
            out.extend_from_slice(b":00");
            (0, rest)
        }
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (fraction, after) = fraction.split_at_checked(digits)?;
        let kept = fraction.iter().rposition(|byte| *byte != b'0').map_or(0, |last| last + 1);
        if kept > 0 {
            out.push(b'.');
            out.extend_from_slice(fraction.get(..kept)?);
        }
        rest = after;
    }
    Some(rest)
}

/// A date and a time; answers what follows. A date alone is its midnight.
fn date_time<'t>(raw: &'t [u8], out: &mut Vec<u8>) -> Option<&'t [u8]> {
    let rest = day(raw.trim_ascii(), out)?;
    out.push(b'T');
    match rest {
        [] => {
            out.extend_from_slice(b"00:00:00");
            Some(rest)
        }
        [b' ' | b'T', clock @ ..] => time(clock, out),
        _ => None,
    }
}

/// A date and a time with its offset. One without is of no zone but ours: the session's is UTC.
fn date_time_offset(raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let rest = date_time(raw, out)?.trim_ascii();
    let (sign, rest) = match rest {
        [] | b"Z" | b"z" => {
            out.push(b'Z');
            return Some(());
        }
        [sign @ (b'+' | b'-'), rest @ ..] => (*sign, rest),
        _ => return None,
    };
    let (hours, rest) = number(rest, 2)?;
    let (minutes, rest) = match rest {
        [] => (0, rest),
        [b':', minutes @ ..] => number(minutes, 2)?,
        minutes => number(minutes, 2)?,
    };
    if !rest.is_empty() || hours > 15 || minutes > 59 {
        return None;
    }
    if hours == 0 && minutes == 0 {
        out.push(b'Z');
    } else {
        let _ = write!(out, "{}{hours:02}:{minutes:02}", sign as char);
    }
    Some(())
}

fn uuid(raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let text = std::str::from_utf8(raw.trim_ascii()).ok()?;
    let value = uuid::Uuid::parse_str(text).ok()?;
    let _ = write!(out, "{}", value.hyphenated());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: ColumnKind, raw: &str) -> Option<String> {
        alone(kind, raw.as_bytes()).map(|out| String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_same_value_is_written_in_the_same_way() {
        let decimal = ColumnKind::Decimal { precision: 11, scale: 2 };
        for (kind, raw, expected) in [
            (ColumnKind::Integer, "-0042", Some("-42")),
            (ColumnKind::Integer, "-0", Some("0")),
            (ColumnKind::Integer, "7.000", Some("7")),
            (ColumnKind::Integer, "18446744073709551615", Some("18446744073709551615")),
            (ColumnKind::Integer, "7.5", None),
            (ColumnKind::Integer, "x", None),
            (ColumnKind::Integer, "", None),
            (decimal, "12.30", Some("12.30")),
            (decimal, "12.3", Some("12.30")),
            (decimal, "12.3000", Some("12.30")),
            (decimal, ".5", Some("0.50")),
            (decimal, "-0.00", Some("0.00")),
            (decimal, "007.10", Some("7.10")),
            (decimal, "1.5e3", Some("1500.00")),
            (decimal, "15e-1", Some("1.50")),
            (decimal, "12.345", None),
            (decimal, "1234567890.00", None),
            (decimal, "999999999.99", Some("999999999.99")),
            (decimal, "NaN", None),
            (ColumnKind::Boolean, "t", Some("1")),
            (ColumnKind::Boolean, "-1", Some("1")),
            (ColumnKind::Boolean, "0", Some("0")),
            (ColumnKind::Boolean, "2", None),
            (ColumnKind::Float, "1.0", Some("1")),
            (ColumnKind::Float, "Inf", Some("inf")),
            (ColumnKind::Float, "0.1", Some("0.1")),
            (ColumnKind::Float, "-0", Some("-0")),
            (ColumnKind::Float, "0", Some("0")),
            (ColumnKind::Float, "-0.0", Some("-0")),
            (ColumnKind::Float, "007", Some("7")),
            (ColumnKind::Float, "1.50", Some("1.5")),
            (ColumnKind::Float, "0.10000000000000001", Some("0.1")),
            (ColumnKind::Float, "1e+15", Some("1000000000000000")),
            (ColumnKind::Float, "1e-05", Some("0.00001")),
            (ColumnKind::Float, "0.14285714285714285", Some("0.14285714285714285")),
            (ColumnKind::Float, "12.", Some("12")),
            (ColumnKind::Float, ".5", Some("0.5")),
            (ColumnKind::Float, "", None),
            (ColumnKind::Float, "-", None),
            (ColumnKind::Date, "2024-02-29", Some("2024-02-29")),
            (ColumnKind::Date, "2026-11-28 00:00:00", Some("2026-11-28")),
            (ColumnKind::Date, "2026-11-28 00:00:01", None),
            (ColumnKind::Date, "2023-02-29", None),
            (ColumnKind::Date, "0000-00-00", None),
            (ColumnKind::Time, "23:59:59.500000", Some("23:59:59.5")),
            (ColumnKind::Time, "24:00:00", None),
            (ColumnKind::Time, "-838:59:59", None),
            (ColumnKind::DateTime, "2026-11-28 10:11:12.000", Some("2026-11-28T10:11:12")),
            (ColumnKind::DateTime, "2026-11-28T10:11", Some("2026-11-28T10:11:00")),
            (ColumnKind::DateTime, "infinity", None),
            (ColumnKind::DateTimeOffset, "2026-11-28 10:11:12.25", Some("2026-11-28T10:11:12.25Z")),
            (ColumnKind::DateTimeOffset, "2026-11-28 10:11:12 +01:00", Some("2026-11-28T10:11:12+01:00")),
            (ColumnKind::DateTimeOffset, "2026-11-28 10:11:12-0330", Some("2026-11-28T10:11:12-03:30")),
            (ColumnKind::Uuid, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
            (ColumnKind::Uuid, "a0ee", None),
        ] {
            assert_eq!(written(kind, raw).as_deref(), expected, "{kind:?} {raw}");
        }
    }

    #[test]
    fn a_short_year_gets_its_zeros() {
        for (raw, expected) in [
            ("1-01-01", "0001-01-01"),
            ("1-01-01 00:00:00.000", "0001-01-01 00:00:00.000"),
            ("99-12-31", "0099-12-31"),
            ("999-12-31", "0999-12-31"),
            ("1000-01-01", "1000-01-01"),
            ("0001-01-01", "0001-01-01"),
            ("12:00:00", "12:00:00"),
            ("-1-01-01", "-1-01-01"),
            ("1", "1"),
            ("", ""),
        ] {
            assert_eq!(&*with_whole_year(raw.as_bytes()), expected.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn half_a_pair_of_utf_16_is_a_fault() {
        for (units, expected) in [
            (&[0x47, 0xfc, 0xd83d, 0xde00][..], "\tGü😀".as_bytes()),
            (&[0x41, 0xd83d], b"\x01\x01\x04\x41\x00\x3d\xd8"),
            (&[0xde00, 0x41], b"\x01\x01\x04\x00\xde\x41\x00"),
        ] {
            let mut out = BatchWriter::new(std::sync::Arc::from([]));
            let before = out.size();
            wide(units, &mut Vec::new(), &mut out);
            assert_eq!(&out.take().bytes[before..], expected, "{units:x?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_float_is_written_as_its_fewest_digits(bits in proptest::num::u64::ANY, short in -1_000_000_000_000i64..1_000_000_000_000, scale in 0usize..14) {
            let value = f64::from_bits(bits);
            let text = format!("{}{:0>15}", if short < 0 { "-" } else { "" }, short.unsigned_abs());
            let (whole, fraction) = text.split_at(text.len() - scale);
            for raw in [format!("{value}"), format!("{value:e}"), format!("{value:.17e}"), format!("{whole}.{fraction}")] {
                let expected = raw.parse::<f64>().unwrap().to_string();
                let mut scratch = Vec::new();
                let mut out = BatchWriter::new(std::sync::Arc::from([]));
                let before = out.size();
                ascii(ColumnKind::Float, raw.as_bytes(), &mut scratch, &mut out);
                let written = out.take().bytes;
                let skipped = if expected.len() + 2 < 128 { 1 } else { 2 };
                proptest::prop_assert_eq!(&written[before + skipped..], expected.as_bytes(), "{}", raw);
            }
        }

        #[test]
        fn no_bytes_do_harm(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..50)) {
            let kinds = [
                ColumnKind::Integer, ColumnKind::Decimal { precision: 38, scale: 38 }, ColumnKind::Boolean,
                ColumnKind::Float, ColumnKind::Date, ColumnKind::Time, ColumnKind::DateTime,
                ColumnKind::DateTimeOffset, ColumnKind::Uuid,
            ];
            let mut out = BatchWriter::new(std::sync::Arc::from([]));
            for kind in kinds {
                ascii(kind, &raw, &mut Vec::new(), &mut out);
            }
        }
    }
}
