//! A value that is there becomes JSON of the declared type, exactly or not at all.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use regex::Regex;

use super::json::write_string;
use super::lookup::{Lookup, Missing};
use super::number::{NumberStyle, code};
use super::scalar::Scalar;
use super::temporal::{Format, Misread, Moment};
use crate::record::{Decimal, RejectCode};

/// Values of a source: texts compare as texts, numbers as numbers (`007` is 7).
#[derive(Debug, Default)]
pub(super) struct Matches {
    pub(super) texts: Vec<String>,
    pub(super) numbers: Vec<Decimal>,
}

impl Matches {
    /// True when nothing matches.
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.numbers.is_empty()
    }

    pub(super) fn has_text(&self, text: &str, style: NumberStyle) -> bool {
        if self.texts.iter().any(|known| known == text) {
            return true;
        }
        // Values of the source are compared as it writes them, before any implied decimal point.
        let raw = NumberStyle { implied_scale: None, ..style };
        !self.numbers.is_empty() && raw.parse(text).is_ok_and(|number| self.numbers.contains(&number))
    }

    pub(super) fn has_number(&self, number: Decimal) -> bool {
        self.numbers.contains(&number)
    }
}

/// Smallest and largest number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    pub(super) min: Option<Decimal>,
    pub(super) max: Option<Decimal>,
}

/// What a text must be.
#[derive(Debug, Default)]
pub(super) struct TextRules {
    pub(super) case: Option<Case>,
    pub(super) pattern: Option<Regex>,
    pub(super) min_length: Option<usize>,
    pub(super) max_length: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Lower,
}

/// What a value outside a table becomes.
#[derive(Debug)]
pub(super) enum Otherwise {
    Reject,
    Null,
    Keep,
    Write(Vec<u8>),
}

/// How a value that is there becomes JSON.
#[derive(Debug)]
pub(super) enum Convert {
    Text(TextRules),
    /// `safe`: must lie within the integers that every JSON reader holds exactly.
    Integer {
        as_string: bool,
        safe: bool,
        bounds: Bounds,
    },
    /// `largest`: the digits of the largest number of the type, without the point.
    Decimal {
        scale: u8,
        largest: u128,
        as_string: bool,
        bounds: Bounds,
    },
    Number {
        bounds: Bounds,
    },
    Boolean {
        truths: Option<Matches>,
        falsehoods: Option<Matches>,
    },
    /// Bounds are ISO texts: equal length makes their order that of time.
    Moment {
        moment: Moment,
        formats: Vec<Format>,
        zone: Option<TimeZone>,
        min: Option<String>,
        max: Option<String>,
        /// Days that stand for none, as the source writes them.
        empty_days: Vec<Date>,
    },
    Bytes,
    Any {
        as_string: bool,
    },
    /// Value of the source = JSON; sorted by text.
    Values {
        texts: Vec<(String, Vec<u8>)>,
        numbers: Vec<(Decimal, Vec<u8>)>,
        otherwise: Otherwise,
    },
    Lookup(Arc<Lookup>),
}

/// 2^53 - 1: up to here every double is an exact integer.
const SAFE_INTEGER: i128 = 9_007_199_254_740_991;

const TRUE_WORDS: [&str; 5] = ["true", "yes", "y", "t", "1"];
const FALSE_WORDS: [&str; 5] = ["false", "no", "n", "f", "0"];

/// A fault without its surroundings: the code and what is there instead.
pub(super) type Found = (RejectCode, String);

impl Convert {
    /// Whether numbers become JSON strings.
    pub(super) fn writes_strings(&self) -> bool {
        matches!(self, Convert::Integer { as_string: true, .. } | Convert::Decimal { as_string: true, .. })
    }

    /// The most digits of a number with so many decimals that becomes what it is, whatever it is.
    pub(super) fn keeps(&self, decimals: u8) -> Option<usize> {
        let is_free = |bounds: &Bounds| bounds.min.is_none() && bounds.max.is_none();
        match self {
            Convert::Integer { safe, bounds, .. } if decimals == 0 && is_free(bounds) => {
                Some(if *safe { 15 } else { 18 })
            }
            Convert::Decimal { scale, largest, bounds, .. } if *scale == decimals && is_free(bounds) => {
                largest.checked_ilog10().map(|last| last as usize + 1)
            }
            _ => None,
        }
    }
}

impl Scalar {
    pub(super) fn text(&self, text: &str, out: &mut Vec<u8>) -> Result<(), Found> {
        match &self.convert {
            Convert::Text(rules) => rules.write(text, out),
            Convert::Integer { .. } | Convert::Decimal { .. } | Convert::Number { .. } => {
                let number = self.style.parse(text).map_err(|code| (code, shown(text)))?;
                self.number(number, out)
            }
            Convert::Boolean { truths, falsehoods } => {
                let bare = text.trim_ascii();
                let is = |matches: &Option<Matches>, words: [&str; 5]| match matches {
                    Some(matches) => matches.has_text(bare, self.style) || matches.has_text(text, self.style),
                    None => words.iter().any(|word| word.eq_ignore_ascii_case(bare)),
                };
                if is(truths, TRUE_WORDS) {
                    out.extend_from_slice(b"true");
                } else if is(falsehoods, FALSE_WORDS) {
                    out.extend_from_slice(b"false");
                } else {
                    return Err((RejectCode::UnknownValue, shown(text)));
                }
                Ok(())
            }
            Convert::Moment { moment, formats, zone, min, max, empty_days } => {
                let bare = text.trim_ascii();
                let is_empty = |format: &Format| format.day(bare).is_some_and(|day| empty_days.contains(&day));
                if !empty_days.is_empty() && formats.iter().any(is_empty) {
                    return self.null(out);
                }
                let start = out.len() + 1;
                out.push(b'"');
                let mut wrong: Option<Misread> = None;
                for format in formats {
                    match format.convert(bare, *moment, zone.as_ref(), out) {
                        Ok(()) => {
                            let written = &out[start..];
                            let too_early = min.as_ref().is_some_and(|min| written < min.as_bytes());
                            if too_early || max.as_ref().is_some_and(|max| written > max.as_bytes()) {
                                return Err((RejectCode::RuleBroken, shown(text)));
                            }
                            out.push(b'"');
                            return Ok(());
                        }
                        Err(misread) => {
                            out.truncate(start);
                            // What a format could read but the calendar does not have says more.
                            if wrong.is_none_or(|wrong| !wrong.follows_format) {
                                wrong = Some(misread);
                            }
                        }
                    }
                }
                let why = wrong.map(|wrong| wrong.phrase).unwrap_or_default();
                Err((RejectCode::BadDate, format!("{}: {why}", shown(text))))
            }
            Convert::Any { .. } => {
                write_string(out, text);
                Ok(())
            }
            Convert::Values { texts, numbers, otherwise } => {
                let bare = text.trim_ascii();
                let found =
                    texts.binary_search_by(|(known, _)| known.as_str().cmp(bare)).ok().map(|index| &texts[index].1);
                let found = found.or_else(|| {
                    let number = if numbers.is_empty() { None } else { self.style.parse(bare).ok() };
                    number.and_then(|number| numbers.iter().find(|(known, _)| *known == number)).map(|(_, json)| json)
                });
                match (found, otherwise) {
                    (Some(json), _) | (None, Otherwise::Write(json)) => out.extend_from_slice(json),
                    (None, Otherwise::Keep) => write_string(out, bare),
                    (None, Otherwise::Null) => return self.null(out),
                    (None, Otherwise::Reject) => return Err((RejectCode::UnknownValue, shown(text))),
                }
                Ok(())
            }
            Convert::Lookup(lookup) => {
                let bare = text.trim_ascii();
                match (lookup.get(bare), lookup.missing) {
                    (Some(value), _) => write_string(out, value),
                    (None, Missing::Keep) => write_string(out, bare),
                    (None, Missing::Null) => return self.null(out),
                    (None, Missing::Reject) => return Err((RejectCode::UnknownValue, shown(text))),
                }
                Ok(())
            }
            Convert::Bytes => Err((RejectCode::BadType, "text".to_owned())),
        }
    }

    pub(super) fn number(&self, number: Decimal, out: &mut Vec<u8>) -> Result<(), Found> {
        let (number, as_string, bounds) = match &self.convert {
            Convert::Integer { as_string, safe, bounds } => {
                let whole = number.rescale(0).map_err(|error| (code(error), number.to_string()))?;
                if *safe && whole.units().unsigned_abs() > SAFE_INTEGER.unsigned_abs() {
                    let found =
                        format!("{number}, which a JSON number does not hold exactly (as = \"string\" serves it)");
                    return Err((RejectCode::Overflow, found));
                }
                (whole, *as_string, bounds)
            }
            Convert::Decimal { scale, largest, as_string, bounds } => {
                let exact = number.rescale(*scale).map_err(|error| (code(error), number.to_string()))?;
                if exact.units().unsigned_abs() > *largest {
                    return Err((RejectCode::Overflow, number.to_string()));
                }
                (exact, *as_string, bounds)
            }
            Convert::Number { bounds } => (number, false, bounds),
            Convert::Any { as_string } => (number, *as_string, &Bounds { min: None, max: None }),
            Convert::Values { numbers, otherwise, .. } if !numbers.is_empty() => {
                return match (numbers.iter().find(|(known, _)| *known == number), otherwise) {
                    (Some((_, json)), _) | (None, Otherwise::Write(json)) => {
                        out.extend_from_slice(json);
                        Ok(())
                    }
                    (None, Otherwise::Keep) => {
                        write_string(out, &self.digits(number));
                        Ok(())
                    }
                    (None, Otherwise::Null) => self.null(out),
                    (None, Otherwise::Reject) => Err((RejectCode::UnknownValue, number.to_string())),
                };
            }
            Convert::Boolean { truths: Some(truths), .. } if truths.has_number(number) => return self.truth(true, out),
            Convert::Boolean { falsehoods: Some(falsehoods), .. } if falsehoods.has_number(number) => {
                return self.truth(false, out);
            }
            _ => return self.text(&self.digits(number), out),
        };
        if bounds.min.is_some_and(|min| number < min) || bounds.max.is_some_and(|max| number > max) {
            return Err((RejectCode::RuleBroken, number.to_string()));
        }
        if as_string {
            out.push(b'"');
            number.write(out);
            out.push(b'"');
        } else {
            number.write(out);
        }
        Ok(())
    }

    /// The number as a text: an account number keeps the zeros its picture gives it.
    fn digits(&self, number: Decimal) -> String {
        match u64::try_from(number.units()) {
            Ok(units) if number.scale() == 0 => {
                let mut buffer = itoa::Buffer::new();
                let digits = buffer.format(units);
                let mut text = String::with_capacity(self.width.max(digits.len()));
                text.extend(std::iter::repeat_n('0', self.width.saturating_sub(digits.len())));
                text.push_str(digits);
                text
            }
            _ => number.to_string(),
        }
    }

    pub(super) fn float(&self, number: f64, out: &mut Vec<u8>) -> Result<(), Found> {
        if !number.is_finite() {
            return Err((RejectCode::BadType, number.to_string()));
        }
        let bounds = match &self.convert {
            Convert::Number { bounds } => *bounds,
            Convert::Any { .. } => Bounds::default(),
            _ => return Err((RejectCode::BadType, "a binary float".to_owned())),
        };
        // Bounds are written in decimal; a float that looks like one of them is the same double.
        let double = |bound: Decimal| bound.to_string().parse::<f64>().unwrap_or(f64::NAN);
        if bounds.min.is_some_and(|min| number < double(min)) || bounds.max.is_some_and(|max| number > double(max)) {
            return Err((RejectCode::RuleBroken, number.to_string()));
        }
        serde_json::to_writer(out, &number).map_err(|error| (RejectCode::BadType, error.to_string()))
    }

    pub(super) fn truth(&self, truth: bool, out: &mut Vec<u8>) -> Result<(), Found> {
        match &self.convert {
            Convert::Boolean { .. } | Convert::Any { .. } => {
                out.extend_from_slice(if truth { b"true" } else { b"false" });
                Ok(())
            }
            _ => self.text(if truth { "true" } else { "false" }, out),
        }
    }

    pub(super) fn bytes(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Found> {
        if !matches!(self.convert, Convert::Bytes | Convert::Any { .. }) {
            return Err((RejectCode::BadType, format!("{} bytes that are no text", bytes.len())));
        }
        write_string(out, &STANDARD.encode(bytes));
        Ok(())
    }
}

impl TextRules {
    /// True when every text is good as it is.
    pub(super) fn is_empty(&self) -> bool {
        self.case.is_none() && self.pattern.is_none() && self.min_length.is_none() && self.max_length.is_none()
    }

    pub(super) fn write(&self, text: &str, out: &mut Vec<u8>) -> Result<(), Found> {
        let text = match self.case {
            None => Cow::Borrowed(text),
            Some(Case::Upper) => Cow::Owned(text.to_uppercase()),
            Some(Case::Lower) => Cow::Owned(text.to_lowercase()),
        };
        if self.min_length.is_some() || self.max_length.is_some() {
            let length = text.chars().count();
            if self.min_length.is_some_and(|min| length < min) || self.max_length.is_some_and(|max| length > max) {
                return Err((RejectCode::RuleBroken, format!("{} ({length} characters)", shown(&text))));
            }
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(&text)) {
            return Err((RejectCode::RuleBroken, shown(&text)));
        }
        write_string(out, &text);
        Ok(())
    }
}

/// A text for a message: quoted, control characters escaped, cut where it gets long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use crate::mapping::testing::{Held, bad, blank_number, check, number, text, unsigned};

    #[test]
    fn types_by_layout() {
        check(text("a \"b\""), "", Ok(r#""a \"b\"""#));
        check(number("-12.50"), "", Ok("-12.50"));
        check(number("123456789012345.6"), "", Ok("\"123456789012345.6\""));
        check(number("1234567890123456"), "", Ok("\"1234567890123456\""));
        check(unsigned(7, 9), "", Ok("7"));
        check(Held::Float(1.5), "", Ok("1.5"));
        check(Held::Float(1e300), "", Ok("1e+300"));
        check(Held::Float(f64::NAN), "", Err("value.bad_type f: expected number in F, found NaN"));
        check(Held::Bytes(vec![0xff, 0]), "", Ok("\"/wA=\""));
        check(bad(), "", Err("numeric.bad_digit f: expected layout in F, found nibble A"));
        check(text("x"), "type = 'any'", Ok("\"x\""));
        check(number("1.50"), "type = 'any'", Ok("1.50"));
    }

    #[test]
    fn numbers_from_text() {
        check(text("007"), "type = 'integer'", Ok("7"));
        check(text("-7"), "type = 'integer'", Ok("-7"));
        check(text("7.5"), "type = 'integer'", Err("numeric.inexact"));
        check(text("7x"), "type = 'integer'", Err("numeric.bad_digit f: expected integer"));
        check(text("9007199254740991"), "type = 'integer'", Ok("9007199254740991"));
        check(text("9007199254740992"), "type = 'integer'", Err("numeric.overflow"));
        check(text("9007199254740992"), "type = 'integer', as = 'string'", Ok("\"9007199254740992\""));
        check(text("9007199254740992"), "type = 'integer', as = 'number'", Ok("9007199254740992"));
        check(text("1.5"), "type = 'decimal(5,2)'", Ok("1.50"));
        check(text("1.555"), "type = 'decimal(5,2)'", Err("numeric.inexact"));
        check(text("1234.5"), "type = 'decimal(5,2)'", Err("numeric.overflow"));
        check(text("1.5"), "type = 'decimal(16,2)'", Ok("\"1.50\""));
        check(text("1.5"), "type = 'decimal(16,2)', as = 'number'", Ok("1.50"));
        check(text("1.234,5"), "type = 'decimal(9,2)', decimal_point = ',', grouping = '.'", Ok("1234.50"));
        check(text("1,234.5"), "type = 'decimal(9,2)', decimal_point = ',', grouping = '.'", Err("decimal point `,`"));
        check(text("000012345"), "type = 'decimal(9,2)', implied_scale = 2", Ok("123.45"));
        check(unsigned(12345, 9), "type = 'decimal(9,2)', implied_scale = 2", Ok("123.45"));
        check(text("-0.10"), "type = 'number'", Ok("-0.10"));
        check(text("x"), "type = 'number'", Err("numeric.bad_digit"));
    }

    #[test]
    fn numbers_as_text_keep_their_zeros() {
        check(unsigned(42, 8), "type = 'string'", Ok("\"00000042\""));
        check(number("-42"), "type = 'string'", Ok("\"-42\""));
        check(number("4.20"), "type = 'string'", Ok("\"4.20\""));
    }

    #[test]
    fn value_tables() {
        let values = "values = { OP = 'open', CL = 'closed' }";
        check(text("OP "), values, Ok("\"open\""));
        check(text("XX"), values, Err("value.unknown f: expected one of `CL`, `OP` in F, found \"XX\""));
        check(text(""), values, Err("value.unknown"));
        check(text(""), &format!("{values}, blank = 'null'"), Ok("null"));
        check(text("XX"), &format!("{values}, values_default = 'other'"), Ok("\"other\""));
        check(text("XX"), &format!("{values}, unknown = 'null'"), Ok("null"));
        check(text("XX"), &format!("{values}, unknown = 'keep'"), Ok("\"XX\""));
        check(text(""), "values = { '' = 'none', A = 'a' }", Ok("\"none\""));
        check(text("A"), "type = 'integer', values = { A = 1 }", Ok("1"));
        check(text("J"), "type = 'boolean', values = { J = true, N = false }", Ok("true"));
        check(unsigned(1, 2), "values = { '01' = 'one', 02 = 'two' }", Ok("\"one\""));
        check(unsigned(2, 2), "values = { '01' = 'one', 02 = 'two' }", Ok("\"two\""));
        check(unsigned(3, 2), "values = { '01' = 'one' }", Err("value.unknown"));
        check(unsigned(3, 2), "values = { '01' = 'one' }, unknown = 'keep'", Ok("\"03\""));
        check(blank_number(2, 0), "values = { '1' = 'one', '' = 'none' }", Ok("\"none\""));
    }

    #[test]
    fn booleans() {
        check(text("Y"), "type = 'boolean'", Ok("true"));
        check(text("False"), "type = 'boolean'", Ok("false"));
        check(text("J"), "type = 'boolean'", Err("value.unknown f: expected true/yes/y/t/1 for true"));
        check(text("J"), "type = 'boolean', true_if = ['J']", Ok("true"));
        check(text("N"), "type = 'boolean', true_if = ['J']", Ok("false"));
        check(text("?"), "type = 'boolean', true_if = ['J']", Err("value.unknown"));
        check(text(""), "type = 'boolean', true_if = ['X']", Err("value.blank"));
        check(text(" "), "type = 'boolean', true_if = ['X'], false_if = ['']", Ok("false"));
        check(unsigned(1, 1), "type = 'boolean'", Ok("true"));
        check(unsigned(2, 2), "type = 'boolean', true_if = [1], false_if = [2]", Ok("false"));
    }

    #[test]
    fn rules_for_texts() {
        check(text("0012"), "pattern = '^[0-9]{4}$'", Ok("\"0012\""));
        check(
            text("012"),
            "pattern = '^[0-9]{4}$'",
            Err("value.rule f: expected string matching ^[0-9]{4}$ in F, found \"012\""),
        );
        check(text("äöü"), "min_length = 3, max_length = 3", Ok("\"äöü\""));
        check(text("äö"), "min_length = 3", Err("value.rule"));
        check(text(" a "), "trim = 'both'", Ok("\"a\""));
        check(text(" a "), "trim = 'left'", Ok("\"a \""));
        check(text(" a "), "trim = 'right'", Ok("\" a\""));
        check(text("Straße"), "case = 'upper'", Ok("\"STRASSE\""));
        check(text("ABC"), "case = 'lower', pattern = '^abc$'", Ok("\"abc\""));
    }

    #[test]
    fn rules_for_numbers_and_moments() {
        check(number("-1"), "min = 0", Err("value.rule f: expected integer, at least 0 in F, found -1"));
        check(number("0.10"), "min = 0.1, max = '0.10'", Ok("0.10"));
        check(number("0.11"), "max = 0.1", Err("value.rule"));
        check(Held::Float(2.5), "max = 2", Err("value.rule"));
        check(text("2026-01-01"), "type = 'date', min = '2000-01-01'", Ok("\"2026-01-01\""));
        check(text("1999-12-31"), "type = 'date', min = 2000-01-01", Err("value.rule"));
        check(text("31.12.1999"), "type = 'date', format = ['%Y-%m-%d', '%d.%m.%Y']", Ok("\"1999-12-31\""));
        check(
            text("31.02.1999"),
            "type = 'date', format = '%d.%m.%Y'",
            Err("value.bad_date f: expected date %d.%m.%Y in F, found \"31.02.1999\": there is no such day"),
        );
        check(text("010130"), "type = 'date', format = '%d%m%y', century_pivot = 40", Ok("\"2030-01-01\""));
        check(unsigned(50102, 6), "type = 'date', format = '%y%m%d'", Ok("\"2005-01-02\""));
        check(number("-050102"), "type = 'date', format = '%y%m%d'", Err("value.bad_date"));
        check(text("12:30"), "type = 'time', format = '%H:%M'", Ok("\"12:30:00\""));
        check(
            text("2026-07-01 12:00"),
            "type = 'datetime', format = '%Y-%m-%d %H:%M', zone = 'Europe/Berlin'",
            Ok("\"2026-07-01T10:00:00Z\""),
        );
        check(text("2026-07-01T12:00:00"), "type = 'datetime'", Ok("\"2026-07-01T12:00:00\""));
        check(
            text("2026-07-01T12:00:00.25"),
            "type = 'datetime', format = '%Y-%m-%dT%H:%M:%S.%f'",
            Ok("\"2026-07-01T12:00:00.250000000\""),
        );
    }

    #[test]
    fn long_texts_are_cut_in_messages() {
        check(text(&"x".repeat(500)), "type = 'integer'", Err("xxx\"..."));
    }
}
