//! Texts by their simple type: what their JSON is, or that they are none of it.

use std::borrow::Cow;

use super::numbers::{Digits, Numbers, float, integer};
use crate::decode::json::write_string_bytes;
use crate::wsdl::{Builtin, Facets, JsonKind, Simple, TypeId, Types, Variety, WhiteSpace};

/// Simple types may be made of one another so many times.
const MAX_NESTING: usize = 16;

/// What a text is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A value of its type.
    Sound,
    /// It is written, but the schema does not allow it: a date in a form of its own, a value that is not in its list.
    Odd,
    /// It is empty where no empty text is a value; null was written.
    Empty,
    /// It is no value. Nothing was written.
    Wrong,
}

/// A simple type, ready to run.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    kind: Kind,
    white_space: WhiteSpace,
    pub(super) takes_empty: bool,
    facets: Option<Box<Facets>>,
    /// What it comes down to where it is one value.
    builtin: Option<Builtin>,
    /// Its facets look at more than its length and a list of values.
    looks_at_values: bool,
    /// What is expected, in words.
    pub(super) expected: Box<str>,
}

#[derive(Clone, Debug)]
enum Kind {
    Text,
    Boolean,
    Integer(i64, i64),
    Large(i128, i128),
    Decimal,
    Float,
    Date(Builtin),
    Base64,
    Hex,
    List(Box<Scalar>),
    Union(Vec<Scalar>),
}

impl Scalar {
    /// A built-in type.
    pub(super) fn builtin(builtin: Builtin) -> Scalar {
        let kind = match (builtin, builtin.json()) {
            (Builtin::Base64Binary, _) => Kind::Base64,
            (Builtin::HexBinary, _) => Kind::Hex,
            (_, JsonKind::Boolean) => Kind::Boolean,
            (_, JsonKind::Decimal) => Kind::Decimal,
            (_, JsonKind::Float) => Kind::Float,
            (_, JsonKind::Integer | JsonKind::LargeInteger) => {
                let (low, high) = builtin.range().unwrap_or((-i128::MAX, i128::MAX));
                match (i64::try_from(low), i64::try_from(high)) {
                    (Ok(low), Ok(high)) if builtin.json() == JsonKind::Integer => Kind::Integer(low, high),
                    _ => Kind::Large(low, high),
                }
            }
            (
                Builtin::DateTime
                | Builtin::Date
                | Builtin::Time
                | Builtin::YearMonth
                | Builtin::Year
                | Builtin::MonthDay
                | Builtin::Day
                | Builtin::Month
                | Builtin::Duration,
                _,
            ) => Kind::Date(builtin),
            (_, JsonKind::Text) => Kind::Text,
        };
        Scalar {
            kind,
            white_space: builtin.white_space(),
            takes_empty: builtin.takes_empty(),
            facets: None,
            builtin: Some(builtin),
            looks_at_values: false,
            expected: format!("xs:{}", builtin.name()).into(),
        }
    }

    /// A text that is taken as it is.
    pub(super) fn text() -> Scalar {
        Scalar::builtin(Builtin::String)
    }

    /// The simple type of a plan, or the type of the text of one with attributes.
    pub(super) fn new(types: &Types, id: TypeId) -> Scalar {
        Scalar::nested(types, id, 0)
    }

    fn nested(types: &Types, id: TypeId, depth: usize) -> Scalar {
        match types.simple(id).filter(|_| depth < MAX_NESTING) {
            Some(simple) => Scalar::of(types, simple, depth),
            None => Scalar::text(),
        }
    }

    fn of(types: &Types, simple: &Simple, depth: usize) -> Scalar {
        let mut scalar = match &simple.variety {
            Variety::Atomic(builtin) => Scalar::builtin(*builtin),
            Variety::List(item) => {
                let item = Scalar::nested(types, *item, depth + 1);
                let expected = format!("a list of {}", item.expected).into();
                let kind = Kind::List(Box::new(item));
                Scalar {
                    kind,
                    white_space: WhiteSpace::Collapse,
                    takes_empty: true,
                    facets: None,
                    builtin: None,
                    looks_at_values: false,
                    expected,
                }
            }
            Variety::Union(members) => {
                let members: Vec<_> = members.iter().map(|id| Scalar::nested(types, *id, depth + 1)).collect();
                let all: Vec<&str> = members.iter().map(|member| &*member.expected).collect();
                let expected = format!("one of {}", all.join(", ")).into();
                let takes_empty = members.iter().any(|member| member.takes_empty);
                // Each member does with white space what it does.
                Scalar {
                    kind: Kind::Union(members),
                    white_space: WhiteSpace::Preserve,
                    takes_empty,
                    facets: None,
                    builtin: None,
                    looks_at_values: false,
                    expected,
                }
            }
        };
        if !matches!(scalar.kind, Kind::Union(_) | Kind::List(_)) {
            scalar.white_space = simple.white_space;
        }
        scalar.facets = simple.facets.clone();
        scalar.looks_at_values = scalar.facets.as_ref().is_some_and(|facets| facets.look_at_values());
        scalar
    }

    /// Whether the type is binary, so that it may lie in a part beside the envelope.
    pub(super) fn is_binary(&self) -> bool {
        matches!(self.kind, Kind::Base64)
    }

    /// Appends the JSON of a text.
    pub(super) fn write(&self, text: &[u8], numbers: Numbers, out: &mut Vec<u8>) -> Verdict {
        if let (Kind::Text, WhiteSpace::Preserve, None) = (&self.kind, self.white_space, &self.facets) {
            write_string_bytes(text, out);
            return Verdict::Sound;
        }
        self.write_other(text, numbers, out)
    }

    fn write_other(&self, text: &[u8], numbers: Numbers, out: &mut Vec<u8>) -> Verdict {
        let made;
        let text = match self.white_space {
            WhiteSpace::Preserve => text,
            WhiteSpace::Replace => {
                made = text.iter().map(|byte| if is_space(*byte) { b' ' } else { *byte }).collect::<Vec<_>>();
                &made
            }
            WhiteSpace::Collapse => {
                let trimmed = trim(text);
                if trimmed.iter().any(|byte| is_space(*byte)) {
                    made = collapsed(trimmed);
                    &made
                } else {
                    trimmed
                }
            }
        };
        if !self.takes_empty && trim(text).is_empty() {
            out.extend_from_slice(b"null");
            return Verdict::Empty;
        }
        let start = out.len();
        let verdict = match &self.kind {
            Kind::Text => {
                write_string_bytes(text, out);
                Verdict::Sound
            }
            Kind::Boolean => match text {
                b"true" | b"1" => push(out, b"true"),
                b"false" | b"0" => push(out, b"false"),
                // Programs of Visual Basic and Python say it so.
                _ if text.eq_ignore_ascii_case(b"true") => push_odd(out, b"true"),
                _ if text.eq_ignore_ascii_case(b"false") => push_odd(out, b"false"),
                _ => Verdict::Wrong,
            },
            Kind::Integer(low, high) => match integer(text) {
                Some(number) if (*low..=*high).contains(&number) => {
                    push(out, itoa::Buffer::new().format(number).as_bytes())
                }
                _ => Verdict::Wrong,
            },
            Kind::Large(low, high) => match Digits::of(text).filter(|digits| digits.fraction.is_none()) {
                Some(digits) if digits.is_within(*low, *high) => {
                    digits.write(numbers, out);
                    Verdict::Sound
                }
                _ => Verdict::Wrong,
            },
            Kind::Decimal => match Digits::of(text) {
                Some(digits) => {
                    digits.write(numbers, out);
                    Verdict::Sound
                }
                None => Verdict::Wrong,
            },
            Kind::Float => float(text, out),
            Kind::Date(builtin) => {
                write_string_bytes(text, out);
                if super::dates::is_sound(*builtin, text) { Verdict::Sound } else { Verdict::Odd }
            }
            Kind::Base64 => base64(text, out),
            Kind::Hex if text.len().is_multiple_of(2) && text.iter().all(u8::is_ascii_hexdigit) => {
                write_string_bytes(text, out);
                Verdict::Sound
            }
            Kind::Hex => Verdict::Wrong,
            Kind::List(item) => list(item, text, numbers, out),
            Kind::Union(members) => union(members, text, numbers, out),
        };
        match (&self.facets, verdict) {
            (_, Verdict::Wrong) => {
                out.truncate(start);
                Verdict::Wrong
            }
            (Some(facets), Verdict::Sound) if !self.fits(facets, text) => Verdict::Odd,
            (_, verdict) => verdict,
        }
    }

    /// What a text that is not sound should have been, in words: what the facets ask for where those are what it breaks.
    pub(super) fn wanted(&self, text: &[u8]) -> Cow<'_, str> {
        let text = String::from_utf8_lossy(text);
        let text = self.white_space.normalized(&text);
        match self.facets.as_ref().and_then(|facets| facets.wanted(&text, self.builtin)) {
            Some(wanted) => Cow::Owned(format!("{}, {wanted}", self.expected)),
            None => Cow::Borrowed(&*self.expected),
        }
    }

    /// Whether a text, its white space dealt with, keeps to the facets.
    fn fits(&self, facets: &Facets, text: &[u8]) -> bool {
        // Nearly all are as they are listed.
        let listed = &facets.enumeration;
        if !listed.is_empty()
            && !listed.iter().any(|value| value.as_bytes() == text)
            && !facets.lists(&String::from_utf8_lossy(text), self.builtin)
        {
            return false;
        }
        if self.looks_at_values && facets.check_value(&String::from_utf8_lossy(text), self.builtin).is_err() {
            return false;
        }
        let within = |length: u64| {
            facets.min_length.is_none_or(|least| length >= least) && facets.max_length.is_none_or(|most| length <= most)
        };
        match self.kind {
            Kind::Text if facets.min_length.is_some() || facets.max_length.is_some() => {
                // The bytes that begin a character.
                within(text.iter().filter(|byte| (**byte as i8) >= -0x40).count() as u64)
            }
            Kind::Hex => within(text.len() as u64 / 2),
            Kind::List(_) => within(words(text).count() as u64),
            _ => true,
        }
    }
}

fn push(out: &mut Vec<u8>, text: &[u8]) -> Verdict {
    out.extend_from_slice(text);
    Verdict::Sound
}

fn push_odd(out: &mut Vec<u8>, text: &[u8]) -> Verdict {
    out.extend_from_slice(text);
    Verdict::Odd
}

/// White space of XML.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The text without white space at its ends.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let from = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    let to = text.iter().rposition(|byte| !is_space(*byte)).map_or(from, |last| last + 1);
    &text[from..to]
}

/// What stands between white space.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| is_space(*byte)).filter(|word| !word.is_empty())
}

fn collapsed(text: &[u8]) -> Vec<u8> {
    words(text).collect::<Vec<_>>().join(&b' ')
}

/// The same characters without the line ends between them (RFC 2045 asks for these).
fn base64(text: &[u8], out: &mut Vec<u8>) -> Verdict {
    let start = out.len();
    out.push(b'"');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut padding = 0;
    for &byte in text {
        match byte {
            b'=' => padding += 1,
            byte if is_space(byte) => continue,
            byte if is_digit(byte) && padding == 0 => {}
            _ => return Verdict::Wrong,
        }
        out.push(byte);
    }
    if padding > 2 || !(out.len() - start - 1).is_multiple_of(4) {
        return Verdict::Wrong;
    }
    out.push(b'"');
    Verdict::Sound
}

fn list(item: &Scalar, text: &[u8], numbers: Numbers, out: &mut Vec<u8>) -> Verdict {
    let mut worst = Verdict::Sound;
    out.push(b'[');
    for (index, word) in words(text).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match item.write(word, numbers, out) {
            Verdict::Sound => {}
            Verdict::Wrong => return Verdict::Wrong,
            odd => worst = odd,
        }
    }
    out.push(b']');
    worst
}

/// The first member that the text fits; without such a one, the first that takes it at all.
fn union(members: &[Scalar], text: &[u8], numbers: Numbers, out: &mut Vec<u8>) -> Verdict {
    let start = out.len();
    for wanted in [Verdict::Sound, Verdict::Odd] {
        for member in members {
            if member.write(text, numbers, out) == wanted {
                return wanted;
            }
            out.truncate(start);
        }
    }
    Verdict::Wrong
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Numbers, Scalar, Verdict};
    use crate::wsdl::Builtin;

    fn written(builtin: Builtin, text: &str) -> String {
        let mut out = Vec::new();
        match Scalar::builtin(builtin).write(text.as_bytes(), Numbers::Exact, &mut out) {
            Verdict::Sound => String::from_utf8(out).unwrap(),
            Verdict::Wrong => {
                assert!(out.is_empty());
                "wrong".to_owned()
            }
            odd => format!("{odd:?} {}", String::from_utf8(out).unwrap()),
        }
    }

    #[test]
    fn texts_by_their_types() {
        for (builtin, text, expected) in [
            (Builtin::String, " a\"b\n", "\" a\\\"b\\n\""),
            (Builtin::Token, " a  b\n", "\"a b\""),
            (Builtin::NormalizedString, "a\tb ", "\"a b \""),
            (Builtin::String, "", "\"\""),
            (Builtin::Boolean, " 1 ", "true"),
            (Builtin::Boolean, "false", "false"),
            (Builtin::Boolean, "True", "Odd true"),
            (Builtin::Boolean, "yes", "wrong"),
            (Builtin::Boolean, " ", "Empty null"),
            (Builtin::Int, "+007", "7"),
            (Builtin::Int, "-0", "0"),
            (Builtin::Int, "2147483648", "wrong"),
            (Builtin::Int, "-2147483648", "-2147483648"),
            (Builtin::Int, "1.0", "wrong"),
            (Builtin::Int, "", "Empty null"),
            (Builtin::UnsignedByte, "256", "wrong"),
            (Builtin::UnsignedByte, "-1", "wrong"),
            (Builtin::Long, "9223372036854775807", "9223372036854775807"),
            (Builtin::Long, "9223372036854775808", "wrong"),
            (
                Builtin::Integer,
                "-0012345678901234567890123456789012345678901234567890",
                "-12345678901234567890123456789012345678901234567890",
            ),
            (Builtin::NonNegativeInteger, "-1", "wrong"),
            (Builtin::NonNegativeInteger, "-0", "0"),
            (
                Builtin::PositiveInteger,
                "99999999999999999999999999999999999999999",
                "99999999999999999999999999999999999999999",
            ),
            (Builtin::Decimal, "12345678901234567.89", "12345678901234567.89"),
            (Builtin::Decimal, "+010.10", "10.10"),
            (Builtin::Decimal, ".5", "0.5"),
            (Builtin::Decimal, "5.", "5"),
            (Builtin::Decimal, "-.00", "0.00"),
            (Builtin::Decimal, "1e5", "wrong"),
            (Builtin::Decimal, ".", "wrong"),
            (Builtin::Decimal, "1,5", "wrong"),
            (Builtin::Double, "1.50E-3", "1.50E-3"),
            (Builtin::Double, "-01", "-1"),
            (Builtin::Double, "INF", "\"INF\""),
            (Builtin::Double, "-INF", "\"-INF\""),
            (Builtin::Float, "NaN", "\"NaN\""),
            (Builtin::Float, "Infinity", "Odd \"INF\""),
            (Builtin::Float, "1e", "wrong"),
            (Builtin::Float, "0x1F", "wrong"),
            (Builtin::Base64Binary, "aGFs\nbG8=", "\"aGFsbG8=\""),
            (Builtin::Base64Binary, "", "\"\""),
            (Builtin::Base64Binary, "aGFsbG8", "wrong"),
            (Builtin::Base64Binary, "aGF*", "wrong"),
            (Builtin::HexBinary, "0aFF", "\"0aFF\""),
            (Builtin::HexBinary, "0aF", "wrong"),
            (Builtin::Date, "2026-11-28+01:00", "\"2026-11-28+01:00\""),
            (Builtin::Date, "28.11.2026", "Odd \"28.11.2026\""),
            (Builtin::Date, "", "Empty null"),
        ] {
            assert_eq!(written(builtin, text), expected, "{builtin:?} {text:?}");
        }
    }

    #[test]
    fn numbers_as_text_keep_their_digits() {
        let mut out = Vec::new();
        Scalar::builtin(Builtin::Decimal).write(b"+10.10", Numbers::Text, &mut out);
        Scalar::builtin(Builtin::Long).write(b"5", Numbers::Text, &mut out);
        Scalar::builtin(Builtin::Int).write(b"5", Numbers::Text, &mut out);
        assert_eq!(out, b"\"10.10\"\"5\"5");
    }

    proptest! {
        #[test]
        fn what_is_written_is_json(text in "[-+0-9.eEINFa \\t]{0,12}") {
            for builtin in Builtin::ALL {
                let mut out = Vec::new();
                if Scalar::builtin(*builtin).write(text.as_bytes(), Numbers::Exact, &mut out) != Verdict::Wrong {
                    prop_assert!(serde_json::from_slice::<&serde_json::value::RawValue>(&out).is_ok(), "{builtin:?} {text:?}");
                } else {
                    prop_assert!(out.is_empty());
                }
            }
        }
    }
}
