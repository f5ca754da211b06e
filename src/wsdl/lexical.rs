//! The forms in which values of built-in types are written (XML Schema 1.0 part 2). The writer of requests asks before
//! anything is sent, and so does whoever reads responses strictly.

use super::Builtin;

/// Whether a text, white space already dealt with, is a value of a built-in type; else what was expected, as a phrase.
pub(super) fn check(builtin: Builtin, text: &str) -> Result<(), String> {
    let (is_good, expected) = match builtin {
        Builtin::AnySimple | Builtin::String | Builtin::NormalizedString | Builtin::Token | Builtin::AnyUri => {
            (true, "a text")
        }
        Builtin::Boolean => (matches!(text, "true" | "false" | "1" | "0"), "`true` or `false`"),
        Builtin::Decimal => (is_decimal(text), "a decimal number"),
        Builtin::Float | Builtin::Double => (is_float(text), "a number"),
        Builtin::Duration => (is_duration(text), "a duration like `P1DT2H`"),
        Builtin::DateTime => (is_date_time(text), "a date and time like `2026-11-28T12:00:00Z`"),
        Builtin::Time => (zoned(text, is_time), "a time like `12:00:00`"),
        Builtin::Date => (zoned(text, is_date), "a date like `2026-11-28`"),
        Builtin::YearMonth => (zoned(text, is_year_month), "a year and month like `2026-11`"),
        Builtin::Year => (zoned(text, is_year), "a year like `2026`"),
        Builtin::MonthDay => (zoned(text, is_month_day), "a month and day like `--11-28`"),
        Builtin::Day => (zoned(text, |text| number(text.strip_prefix("---"), 1, 31)), "a day like `---28`"),
        Builtin::Month => (zoned(text, |text| number(text.strip_prefix("--"), 1, 12)), "a month like `--11`"),
        Builtin::HexBinary => {
            let is_hex = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            (is_hex, "bytes in hexadecimal")
        }
        Builtin::Base64Binary => (is_base64(text), "bytes in base64"),
        Builtin::Language => (is_language(text), "a language like `en-US`"),
        Builtin::NmToken => (!text.is_empty() && text.chars().all(is_name_char), "a name token"),
        Builtin::NameText => (is_name(text, true), "a name"),
        Builtin::NcName | Builtin::Id | Builtin::IdRef | Builtin::Entity => {
            (is_name(text, false), "a name without `:`")
        }
        Builtin::QName | Builtin::Notation => {
            (text.split(':').count() <= 2 && text.split(':').all(|part| is_name(part, false)), "a qualified name")
        }
        _ => return whole(builtin, text),
    };
    if is_good { Ok(()) } else { Err(expected.to_owned()) }
}

/// A whole number within the range of its type.
fn whole(builtin: Builtin, text: &str) -> Result<(), String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a whole number".to_owned());
    }
    let (min, max) = builtin.range().unwrap_or((-i128::MAX, i128::MAX));
    let is_within = match text.parse::<i128>() {
        Ok(value) => (min..=max).contains(&value),
        // Longer than what is counted with: beyond every bound.
        Err(_) if text.starts_with('-') => min == -i128::MAX,
        Err(_) => max == i128::MAX,
    };
    if is_within {
        return Ok(());
    }
    Err(match (min == -i128::MAX, max == i128::MAX) {
        (false, false) => format!("a whole number from {min} to {max}"),
        (false, true) => format!("a whole number from {min}"),
        _ => format!("a whole number up to {max}"),
    })
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `[+-]`, then digits with a point among, before or behind them.
pub(super) fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty())
}

fn is_float(text: &str) -> bool {
    if matches!(text, "INF" | "-INF" | "NaN") {
        return true;
    }
    match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            is_decimal(mantissa) && is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
        }
        None => is_decimal(text),
    }
}

/// Two digits within bounds.
fn number(text: Option<&str>, least: u32, most: u32) -> bool {
    text.is_some_and(|text| {
        text.len() == 2 && is_digits(text) && text.parse().is_ok_and(|n| (least..=most).contains(&n))
    })
}

/// A value with or without a zone.
fn zoned(text: &str, is_value: impl Fn(&str) -> bool) -> bool {
    if let Some(text) = text.strip_suffix('Z') {
        return is_value(text);
    }
    let at = text.len().checked_sub(6).filter(|at| text.is_char_boundary(*at));
    if let Some((value, zone)) = at.map(|at| text.split_at(at))
        && let Some((hours, minutes)) = zone.strip_prefix(['+', '-']).and_then(|zone| zone.split_once(':'))
        && is_value(value)
    {
        return (number(Some(hours), 0, 13) && number(Some(minutes), 0, 59)) || (hours == "14" && minutes == "00");
    }
    is_value(text)
}

fn is_year(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    is_digits(digits) && (digits.len() == 4 || (digits.len() > 4 && !digits.starts_with('0')))
}

fn is_year_month(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(year, month)| is_year(year) && number(Some(month), 1, 12))
}

fn days(year: Option<u64>, month: &str) -> u32 {
    match month {
        "04" | "06" | "09" | "11" => 30,
        "02" => match year {
            Some(year) if year % 4 != 0 || (year % 100 == 0 && year % 400 != 0) => 28,
            _ => 29,
        },
        _ => 31,
    }
}

fn is_month_day(text: &str) -> bool {
    let parts = text.strip_prefix("--").and_then(|text| text.split_once('-'));
    parts.is_some_and(|(month, day)| number(Some(month), 1, 12) && number(Some(day), 1, days(None, month)))
}

fn is_date(text: &str) -> bool {
    let Some((year_month, day)) = text.rsplit_once('-') else { return false };
    let Some((year, month)) = year_month.rsplit_once('-') else { return false };
    is_year(year)
        && number(Some(month), 1, 12)
        && number(Some(day), 1, days(year.trim_start_matches('-').parse().ok(), month))
}

fn is_time(text: &str) -> bool {
    let mut parts = text.split(':');
    let (hours, minutes, seconds, rest) = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(seconds), None) = (seconds, rest) else { return false };
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let is_midnight =
        hours == Some("24") && minutes == Some("00") && whole == "00" && fraction.bytes().all(|b| b == b'0');
    let is_clock = number(hours, 0, 23) && number(minutes, 0, 59) && number(Some(whole), 0, 59);
    is_digits(fraction) && (is_clock || is_midnight)
}

fn is_date_time(text: &str) -> bool {
    text.split_once('T').is_some_and(|(date, time)| is_date(date) && zoned(time, is_time))
}

fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('-').unwrap_or(text).strip_prefix('P') else { return false };
    let (date, time) = match rest.split_once('T') {
        Some((_, "")) => return false,
        Some((date, time)) => (date, time),
        None => (rest, ""),
    };
    let fields = |mut text: &str, units: &str| {
        let mut units = units.chars();
        while !text.is_empty() {
            let Some(at) = text.find(|c: char| !c.is_ascii_digit() && c != '.') else { return false };
            let (amount, unit) = text.split_at(at);
            let Some(unit) = unit.chars().next() else { return false };
            // In their order, each once.
            if !units.any(|own| own == unit) {
                return false;
            }
            let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
            if !is_digits(whole) || !is_digits(fraction) || (amount.contains('.') && unit != 'S') {
                return false;
            }
            text = text.get(at + unit.len_utf8()..).unwrap_or_default();
        }
        true
    };
    !rest.is_empty() && fields(date, "YMD") && fields(time, "HMS")
}

/// White space may stand anywhere.
fn is_base64(text: &str) -> bool {
    let (mut count, mut padding) = (0usize, 0usize);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        match byte {
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return false,
        }
        count += 1;
    }
    count.is_multiple_of(4) && padding <= 2
}

fn is_language(text: &str) -> bool {
    let part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.split(['-', '_']).all(part) && text.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn is_name_char(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '-' | '.' | '_' | ':' | '\u{B7}') || is_extending(char)
}

/// Marks that join a letter.
fn is_extending(char: char) -> bool {
    matches!(char, '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}' | '\u{93C}'..='\u{94D}' | '\u{E31}'..='\u{E4E}')
}

fn is_name(text: &str, with_colon: bool) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_' || (with_colon && c == ':'))
        && text.chars().all(|c| is_name_char(c) && (with_colon || c != ':'))
}

#[cfg(test)]
mod tests {
    use super::{Builtin, check};

    #[track_caller]
    fn forms(builtin: Builtin, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(check(builtin, text), Ok(()), "{} takes {text}", builtin.name());
        }
        for text in bad {
            assert!(check(builtin, text).is_err(), "{} does not take {text}", builtin.name());
        }
    }

    #[test]
    fn forms_of_the_recommendation() {
        forms(Builtin::Boolean, &["true", "0"], &["TRUE", "yes", ""]);
        forms(Builtin::Decimal, &["-1.23", "+100", ".5", "5.", "0123"], &["1e5", "", ".", "1,5", "--1", "INF"]);
        forms(Builtin::Double, &["1e5", "-1.5E-10", "INF", "NaN", "12"], &["inf", "1e", "e5", "+INF"]);
        forms(Builtin::Int, &["2147483647", "-2147483648", "+007"], &["2147483648", "1.0", "0x1F", "", " 1"]);
        forms(Builtin::UnsignedByte, &["255"], &["256", "-1"]);
        forms(Builtin::Integer, &["123456789012345678901234567890123456789012345"], &["1.5"]);
        forms(
            Builtin::NegativeInteger,
            &["-123456789012345678901234567890123456789012345"],
            &["0", "99999999999999999999999999999999999999999999"],
        );
        forms(
            Builtin::Date,
            &["2024-02-29", "2026-11-28+13:00", "-0044-03-15", "12026-01-01Z"],
            &[
                "2026-02-29",
                "26-01-01",
                "2026-13-01",
                "2026-1-1",
                "2026-11-28T00:00:00",
                "2026-11-28+15:00",
                "01.01.2026",
            ],
        );
        forms(
            Builtin::DateTime,
            &["2026-11-28T12:00:00", "2026-11-28T12:00:00.123-05:00", "2026-11-28T24:00:00Z"],
            &["2026-11-28 12:00:00", "2026-11-28T12:00", "2026-11-28T25:00:00", "2026-11-28T12:00:00+0100"],
        );
        forms(Builtin::Time, &["12:00:00", "12:00:00.5Z"], &["12:00", "12:60:00", "12:00:00.", "1:00:00"]);
        forms(
            Builtin::Duration,
            &["P1Y2M3DT4H5M6.7S", "-P1D", "PT1M", "P1M"],
            &["P", "PT", "1D", "P1D2Y", "P1.5D", "P1DT", "P1H"],
        );
        forms(Builtin::Year, &["2026", "-0001"], &["26", "02026"]);
        forms(Builtin::YearMonth, &["2026-11"], &["2026-00"]);
        forms(Builtin::MonthDay, &["--02-29"], &["--02-30", "02-29"]);
        forms(Builtin::Day, &["---31"], &["---32", "--31"]);
        forms(Builtin::Month, &["--12"], &["--13"]);
        forms(Builtin::HexBinary, &["", "0aF0"], &["0", "xx"]);
        forms(Builtin::Base64Binary, &["", "YQ==", "YWJj YWJj"], &["YQ=", "Y=Q=", "Y Q", "YQ=a", "a-b_"]);
        forms(Builtin::Language, &["en", "de-CH"], &["", "e n", "toolonglang"]);
        forms(Builtin::NcName, &["_a-1.b"], &["1a", "a:b", ""]);
        forms(Builtin::QName, &["a:b", "b"], &["a:b:c", ":a"]);
        forms(Builtin::NmToken, &["1a:b"], &["a b", ""]);
        assert_eq!(check(Builtin::Byte, "300"), Err("a whole number from -128 to 127".to_owned()));
        assert_eq!(check(Builtin::PositiveInteger, "0"), Err("a whole number from 1".to_owned()));
    }
}
