//! Numbers as XML Schema writes them (part 2, 3.2.3 to 3.2.5, 3.3.13), as JSON has them: digit by digit, never through a
//! float.

use super::scalar::Verdict;
use crate::decode::json::write_string_bytes;

/// How numbers are written that a double may not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbers {
    /// As JSON numbers with all their digits.
    #[default]
    Exact,
    /// As strings.
    Text,
}

impl Numbers {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Numbers)] = &[("exact", Numbers::Exact), ("text", Numbers::Text)];
}

/// A whole number of up to 18 digits.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let digits = match digits.iter().position(|byte| *byte != b'0') {
        Some(first) => &digits[first..],
        None if digits.is_empty() => return None,
        None => return Some(0),
    };
    if digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0i64, |number, digit| number * 10 + i64::from(digit - b'0'));
    Some(if negative { -number } else { number })
}

/// The digits of an exact number.
pub(super) struct Digits<'a> {
    is_negative: bool,
    /// Without zeros before them; none for zero.
    whole: &'a [u8],
    /// Those behind the point, all of them.
    pub(super) fraction: Option<&'a [u8]>,
}

impl Digits<'_> {
    pub(super) fn of(text: &[u8]) -> Option<Digits<'_>> {
        let (is_negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let point = rest.iter().position(|byte| *byte == b'.');
        let (whole, fraction) = point.map_or((rest, None), |at| (&rest[..at], Some(&rest[at + 1..])));
        let is_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        if whole.is_empty() && fraction.is_none_or(<[u8]>::is_empty) || !is_digits(whole) {
            return None;
        }
        if fraction.is_some_and(|fraction| !is_digits(fraction)) {
            return None;
        }
        let first = whole.iter().position(|byte| *byte != b'0').unwrap_or(whole.len());
        Some(Digits { is_negative, whole: &whole[first..], fraction: fraction.filter(|fraction| !fraction.is_empty()) })
    }

    pub(super) fn is_within(&self, low: i128, high: i128) -> bool {
        // More digits than these bounds have only where there is no bound.
        if self.whole.len() > 38 {
            return if self.is_negative { low == -i128::MAX } else { high == i128::MAX };
        }
        let number = self.whole.iter().fold(0i128, |number, digit| number * 10 + i128::from(digit - b'0'));
        let number = if self.is_negative { -number } else { number };
        (low..=high).contains(&number)
    }

    /// As JSON has numbers, with all digits behind the point; zero has no sign.
    pub(super) fn write(&self, numbers: Numbers, out: &mut Vec<u8>) {
        if numbers == Numbers::Text {
            out.push(b'"');
        }
        let is_zero = self.whole.is_empty() && self.fraction.is_none_or(|fraction| fraction.iter().all(|b| *b == b'0'));
        if self.is_negative && !is_zero {
            out.push(b'-');
        }
        out.extend_from_slice(if self.whole.is_empty() { b"0" } else { self.whole });
        if let Some(fraction) = self.fraction {
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
        if numbers == Numbers::Text {
            out.push(b'"');
        }
    }
}

/// Appends a floating-point number.
pub(super) fn float(text: &[u8], out: &mut Vec<u8>) -> Verdict {
    match text {
        b"INF" | b"-INF" | b"NaN" => {
            write_string_bytes(text, out);
            return Verdict::Sound;
        }
        // XSD 1.1, Java and .NET.
        b"+INF" | b"Infinity" => return odd(out, b"\"INF\""),
        b"-Infinity" => return odd(out, b"\"-INF\""),
        _ => {}
    }
    let exponent = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = exponent.map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])));
    let Some(digits) = Digits::of(mantissa) else { return Verdict::Wrong };
    let is_number = exponent.is_none_or(|exponent| integer(exponent).is_some_and(|number| number.abs() < 100_000));
    if !is_number {
        return Verdict::Wrong;
    }
    digits.write(Numbers::Exact, out);
    if let Some(exponent) = exponent {
        out.push(b'E');
        out.extend_from_slice(exponent);
    }
    Verdict::Sound
}

fn odd(out: &mut Vec<u8>, text: &[u8]) -> Verdict {
    out.extend_from_slice(text);
    Verdict::Odd
}
