//! Documents in CBOR (RFC 8949), made from the JSON that is stored.
//!
//! A number keeps its value to the last digit: an integer is an integer (a bignum beyond 64 bits), and any other a decimal
//! fraction (tag 4: exponent to ten and mantissa), never a binary float. Objects keep the order of their members. Lengths are
//! definite and heads the shortest, as a deterministic encoding wants it, but for the order.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How deep documents may nest.
const DEEPEST: usize = 256;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

/// Appends a JSON text as one CBOR item.
pub(super) fn write(json: &[u8], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let text = std::str::from_utf8(json).map_err(serde_json::Error::custom)?;
    value(text, DEEPEST, out)
}

fn value(text: &str, depth: usize, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let text = text.trim_ascii();
    if depth == 0 {
        return Err(serde_json::Error::custom("the document nests too deep"));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    match text.as_bytes().first() {
        Some(b'{') => reader.deserialize_map(Items { depth, out }),
        Some(b'[') => reader.deserialize_seq(Items { depth, out }),
        Some(b'"') => {
            let string: Cow<'_, str> = serde_json::from_str(text)?;
            self::text(&string, out);
            Ok(())
        }
        Some(word @ (b't' | b'f' | b'n')) => {
            out.push(match word {
                b't' => 0xf5,
                b'f' => 0xf4,
                _ => 0xf6,
            });
            Ok(())
        }
        _ => number(text, out).ok_or_else(|| serde_json::Error::custom("a number has too many digits")),
    }
}

/// The head of an item: its kind and a number in as few bytes as possible.
fn head(kind: u8, number: u64, out: &mut Vec<u8>) {
    let kind = kind << 5;
    match number {
        0..=23 => out.push(kind | number as u8),
        24..=0xff => out.extend([kind | 24, number as u8]),
        0x100..=0xffff => {
            out.push(kind | 25);
            out.extend((number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(kind | 26);
            out.extend((number as u32).to_be_bytes());
        }
        _ => {
            out.push(kind | 27);
            out.extend(number.to_be_bytes());
        }
    }
}

fn text(string: &str, out: &mut Vec<u8>) {
    head(TEXT, string.len() as u64, out);
    out.extend_from_slice(string.as_bytes());
}

/// A JSON number, exactly. `None` when it has more than 38 digits.
fn number(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (digits, power) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mantissa = format!("{whole}{fraction}").parse::<u128>().ok()?;
    let power = power.trim_start_matches('+').parse::<i64>().ok()?.checked_sub(fraction.len() as i64)?;
    if power == 0 {
        integer(negative, mantissa, out);
        return Some(());
    }
    head(TAG, 4, out);
    head(ARRAY, 2, out);
    integer(power < 0, u128::from(power.unsigned_abs()), out);
    integer(negative, mantissa, out);
    Some(())
}

fn integer(negative: bool, magnitude: u128, out: &mut Vec<u8>) {
    // There is no minus zero among integers.
    let negative = negative && magnitude > 0;
    let number = if negative { magnitude - 1 } else { magnitude };
    match u64::try_from(number) {
        Ok(number) => head(if negative { NEGATIVE } else { UNSIGNED }, number, out),
        Err(_) => {
            head(TAG, if negative { 3 } else { 2 }, out);
            let bytes = number.to_be_bytes();
            let from = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
            let bytes = bytes.get(from..).unwrap_or_default();
            head(BYTES, bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
    }
}

struct Items<'o> {
    depth: usize,
    out: &'o mut Vec<u8>,
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object or array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut members: Vec<(String, &RawValue)> = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        head(MAP, members.len() as u64, self.out);
        for (name, member) in members {
            text(&name, self.out);
            value(member.get(), self.depth - 1, self.out).map_err(A::Error::custom)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let mut elements: Vec<&RawValue> = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        head(ARRAY, elements.len() as u64, self.out);
        for element in elements {
            value(element.get(), self.depth - 1, self.out).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::write;
    use proptest::prelude::*;

    fn hex(json: &str) -> String {
        let mut out = Vec::new();
        write(json.as_bytes(), &mut out).unwrap();
        out.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The examples of RFC 8949, appendix A, and of its section 3.4.4.
    #[test]
    fn items_are_those_of_the_standard() {
        for (json, expected) in [
            ("0", "00"),
            ("10", "0a"),
            ("23", "17"),
            ("24", "1818"),
            ("100", "1864"),
            ("1000", "1903e8"),
            ("1000000", "1a000f4240"),
            ("1000000000000", "1b000000e8d4a51000"),
            ("18446744073709551615", "1bffffffffffffffff"),
            ("18446744073709551616", "c249010000000000000000"),
            ("-18446744073709551616", "3bffffffffffffffff"),
            ("-18446744073709551617", "c349010000000000000000"),
            ("-1", "20"),
            ("-100", "3863"),
            ("-1000", "3903e7"),
            ("-0", "00"),
            ("false", "f4"),
            ("true", "f5"),
            ("null", "f6"),
            ("\"\"", "60"),
            ("\"IETF\"", "6449455446"),
            ("\"\\\"\\\\\"", "62225c"),
            ("\"\\u00fc\"", "62c3bc"),
            ("\"\\ud800\\udd51\"", "64f0908591"),
            ("[]", "80"),
            ("[1,2,3]", "83010203"),
            ("[1, [2, 3], [4, 5]]", "8301820203820405"),
            ("{}", "a0"),
            ("{\"a\": 1, \"b\": [2, 3]}", "a26161016162820203"),
            // 273.15
            ("273.15", "c48221196ab3"),
            ("-273.15", "c48221396ab2"),
            ("10.50", "c4822119041a"),
            ("1e3", "c4820301"),
            ("1.5E-7", "c482270f"),
        ] {
            assert_eq!(hex(json), expected, "{json}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for json in ["", "1234567890123456789012345678901234567890", deep.as_str(), "{\"a\"", "1e99999999999999999999"]
        {
            assert!(write(json.as_bytes(), &mut Vec::new()).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[ -~]{0,60}") {
            let _ = write(text.as_bytes(), &mut Vec::new());
        }
    }
}
