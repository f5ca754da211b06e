//! Whether a text has the form of a date or time of XML Schema (part 2, 3.2.6 to 3.2.14). Its value stays as it is
//! written; a mapping says what becomes of it.

use crate::wsdl::Builtin;

/// Whether a text is a value of one of the types of dates and times.
pub(super) fn is_sound(builtin: Builtin, text: &[u8]) -> bool {
    let form: &[u8] = match builtin {
        Builtin::DateTime => b"Y-M-DTh:m:s",
        Builtin::Date => b"Y-M-D",
        Builtin::Time => b"h:m:s",
        Builtin::YearMonth => b"Y-M",
        Builtin::Year => b"Y",
        Builtin::MonthDay => b"--M-D",
        Builtin::Day => b"---D",
        Builtin::Month => b"--M",
        Builtin::Duration => return is_duration(text),
        _ => return true,
    };
    let mut rest = text;
    let (mut hour, mut month) = (0, 12);
    for part in form {
        let limits = match part {
            b'Y' => {
                let digits = rest.strip_prefix(b"-").unwrap_or(rest);
                let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
                if count < 4 || count > 4 && digits[0] == b'0' {
                    return false;
                }
                rest = &digits[count..];
                continue;
            }
            b'M' => 1..=12,
            b'D' => 1..=[31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][usize::from(month - 1)],
            b'h' => 0..=24,
            b'm' => 0..=59,
            // A second that leaps is none of XML Schema, and is sent.
            b's' => 0..=60,
            mark => {
                let Some(behind) = rest.strip_prefix(std::slice::from_ref(mark)) else { return false };
                rest = behind;
                continue;
            }
        };
        let Some(([tens, ones], behind)) = rest.split_first_chunk::<2>() else { return false };
        if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
            return false;
        }
        let number = (tens - b'0') * 10 + ones - b'0';
        if !limits.contains(&number) {
            return false;
        }
        match part {
            b'M' => month = number,
            b'h' => hour = number,
            _ if hour == 24 && number != 0 && part != &b'D' => return false,
            _ => {}
        }
        rest = behind;
    }
    if form.ends_with(b"s")
        && let Some(fraction) = rest.strip_prefix(b".")
    {
        let count = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    match rest {
        b"" | b"Z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit())
                && ([*h1, *h2] < *b"14" && *m1 < b'6' || [*h1, *h2, *m1, *m2] == *b"1400")
        }
        _ => false,
    }
}

/// `P1Y2M3DT4H5M6.7S`
fn is_duration(text: &[u8]) -> bool {
    let Some(mut rest) = text.strip_prefix(b"-").unwrap_or(text).strip_prefix(b"P") else { return false };
    let (mut units, mut parts) = (&b"YMD"[..], 0);
    let mut is_time = false;
    while let Some((&first, behind)) = rest.split_first() {
        if first == b'T' && !is_time {
            (is_time, units, parts, rest) = (true, b"HMS", 0, behind);
            continue;
        }
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut unit_at = count;
        if count > 0 && rest.get(count) == Some(&b'.') {
            let fraction = rest[count + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            unit_at = count + 1 + fraction;
            if fraction == 0 || rest.get(unit_at) != Some(&b'S') {
                return false;
            }
        }
        let unit = rest.get(unit_at).and_then(|unit| units.iter().position(|own| own == unit));
        let Some(place) = unit.filter(|_| count > 0) else { return false };
        units = &units[place + 1..];
        rest = &rest[unit_at + 1..];
        parts += 1;
    }
    parts > 0
}

#[cfg(test)]
mod tests {
    use super::is_sound;
    use crate::wsdl::Builtin;

    #[test]
    fn forms() {
        let check = |builtin, sound: &[&str], odd: &[&str]| {
            for (texts, expected) in [(sound, true), (odd, false)] {
                for text in texts {
                    assert_eq!(is_sound(builtin, text.as_bytes()), expected, "{builtin:?} {text}");
                }
            }
        };
        check(
            Builtin::DateTime,
            &[
                "2026-11-28T23:59:59",
                "2026-11-28T24:00:00Z",
                "-0044-03-15T00:00:00.123+14:00",
                "12026-01-01T00:00:00-13:59",
            ],
            &[
                "2026-11-28",
                "2026-11-28T24:00:01",
                "2026-11-28 23:59:59",
                "02026-01-01T00:00:00",
                "2026-11-28T23:59:59.",
                "2026-11-28T23:59:59+14:01",
                "2026-11-28T23:59:59z",
            ],
        );
        check(
            Builtin::Date,
            &["2026-02-29", "2026-11-28Z"],
            &["2026-02-30", "2026-13-01", "2026-00-01", "26-01-01", "2026-1-1", ""],
        );
        check(Builtin::Time, &["00:00:00", "23:59:60.5Z"], &["24:00:01", "12:00", "25:00:00"]);
        check(Builtin::YearMonth, &["2026-11"], &["2026-11-01"]);
        check(Builtin::Year, &["2026", "2026Z"], &["26"]);
        check(Builtin::MonthDay, &["--02-29"], &["02-29", "--02-30"]);
        check(Builtin::Day, &["---31"], &["---32", "31"]);
        check(Builtin::Month, &["--12"], &["--13", "--12--"]);
        check(
            Builtin::Duration,
            &["P1Y2M3DT4H5M6.7S", "-P30D", "PT0S", "P1M"],
            &["P", "PT", "P1YT", "1Y", "P1S", "PT1.S", "P1D2Y", "PT1.5M"],
        );
    }
}
