//! One value of a record becomes one value of the document, or the reason why it does not. This runs for
//! every field of every record: it writes straight into the document's buffer.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use regex::Regex;

use super::json::write_string;
use super::lookup::{Lookup, Missing};
use super::number::{NumberStyle, code};
use super::place::{Place, Walk};
use super::temporal::{Format, Moment};
use crate::record::{Decimal, FieldFault, RejectCode, Value};

/// Why a field has no value; becomes the record's [`Reject`](crate::record::Reject).
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: RejectCode,
    pub(super) expected: String,
    pub(super) found: String,
    /// Path of the field in the document, built from the inside out while the fault rises.
    pub(super) path: String,
    pub(super) span: Option<(u32, u32)>,
}

/// The compiled rules of one value.
#[derive(Debug)]
pub(super) struct Scalar {
    pub(super) place: Place,
    pub(super) trim: Trim,
    /// Values of the source that mean null.
    pub(super) null_if: Matches,
    pub(super) on_blank: OnBlank,
    /// A blank is looked up in `values`, `true_if` or `false_if` like any other text.
    pub(super) blank_is_value: bool,
    /// What null becomes: its JSON (`null` or the default), or `None` for a reject.
    pub(super) null: Option<Vec<u8>>,
    /// How numbers in text are written.
    pub(super) style: NumberStyle,
    /// Numbers that become text are padded with zeros to so many digits.
    pub(super) width: usize,
    pub(super) convert: Convert,
    /// The phrase for rejects: `decimal(11,2), at least 0`.
    pub(super) expected: String,
    /// Part of the key: must not be blank.
    pub(super) in_key: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trim {
    AsLayout,
    Both,
    Left,
    Right,
}

/// What a blank becomes.
#[derive(Debug)]
pub(super) enum OnBlank {
    /// The text as it is.
    Keep,
    Null,
    /// This JSON.
    Zero(Vec<u8>),
    Reject,
}

/// Values of a source: texts compare as texts, numbers as numbers (`007` is 7).
#[derive(Debug, Default)]
pub(super) struct Matches {
    pub(super) texts: Vec<String>,
    pub(super) numbers: Vec<Decimal>,
}

impl Matches {
    fn has_text(&self, text: &str, style: NumberStyle) -> bool {
        if self.texts.iter().any(|known| known == text) {
            return true;
        }
        !self.numbers.is_empty() && style.parse(text).is_ok_and(|number| self.numbers.contains(&number))
    }

    fn has_number(&self, number: Decimal) -> bool {
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
    Decimal {
        precision: u8,
        scale: u8,
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
type Found = (RejectCode, String);

impl Scalar {
    /// Appends the value as JSON.
    pub(super) fn write(&self, walk: &Walk<'_>, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        match walk.fields.read(self.place.slot, walk.scope(self.place)) {
            Ok(value) => self.value(value, out).map_err(|found| self.fault(walk, found)),
            Err(fault) if fault.code == RejectCode::Blank => {
                let found = if self.blank_is_value { self.text("", out) } else { self.blank("", out) };
                found.map_err(|found| match found.0 {
                    RejectCode::Blank => self.layout_fault(walk, fault),
                    _ => self.fault(walk, found),
                })
            }
            Err(fault) => Err(self.layout_fault(walk, fault)),
        }
    }

    fn value(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<(), Found> {
        match value {
            Value::Null => self.blank("", out),
            Value::Text(text) => {
                let text = match self.trim {
                    Trim::AsLayout => &*text,
                    Trim::Both => text.trim(),
                    Trim::Left => text.trim_start(),
                    Trim::Right => text.trim_end(),
                };
                if !self.null_if.texts.is_empty() || !self.null_if.numbers.is_empty() {
                    let bare = text.trim_ascii();
                    if self.null_if.has_text(text, self.style) || self.null_if.texts.iter().any(|known| known == bare) {
                        return self.null(out);
                    }
                }
                let is_blank = text.trim_ascii().is_empty();
                if is_blank && !self.blank_is_value { self.blank(text, out) } else { self.text(text, out) }
            }
            Value::Decimal(number) if self.null_if.has_number(number) => self.null(out),
            Value::Decimal(number) => self.number(number, out),
            Value::Float(number) => self.float(number, out),
            Value::Boolean(truth) => self.truth(truth, out),
            Value::Bytes(bytes) => self.bytes(&bytes, out),
        }
    }

    fn null(&self, out: &mut Vec<u8>) -> Result<(), Found> {
        match &self.null {
            Some(json) => {
                out.extend_from_slice(json);
                Ok(())
            }
            None => Err((RejectCode::Missing, "null".to_owned())),
        }
    }

    fn blank(&self, text: &str, out: &mut Vec<u8>) -> Result<(), Found> {
        if self.in_key {
            return Err((RejectCode::BadKey, "nothing".to_owned()));
        }
        match &self.on_blank {
            OnBlank::Keep => self.text(text, out),
            OnBlank::Null if self.null.is_none() => Err((RejectCode::Missing, "nothing".to_owned())),
            OnBlank::Null => self.null(out),
            OnBlank::Zero(json) => {
                out.extend_from_slice(json);
                Ok(())
            }
            OnBlank::Reject => Err((RejectCode::Blank, "blanks".to_owned())),
        }
    }

    fn text(&self, text: &str, out: &mut Vec<u8>) -> Result<(), Found> {
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
            Convert::Moment { moment, formats, zone, min, max } => {
                let bare = text.trim_ascii();
                let start = out.len() + 1;
                out.push(b'"');
                let mut wrong = "";
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
                        Err(phrase) => {
                            out.truncate(start);
                            wrong = phrase;
                        }
                    }
                }
                Err((RejectCode::BadDate, format!("{}: {wrong}", shown(text))))
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

    fn number(&self, number: Decimal, out: &mut Vec<u8>) -> Result<(), Found> {
        let (number, as_string, bounds) = match &self.convert {
            Convert::Integer { as_string, safe, bounds } => {
                let whole = number.rescale(0).map_err(|error| (code(error), number.to_string()))?;
                if *safe && whole.units().unsigned_abs() > SAFE_INTEGER.unsigned_abs() {
                    return Err((RejectCode::Overflow, number.to_string()));
                }
                (whole, *as_string, bounds)
            }
            Convert::Decimal { precision, scale, as_string, bounds } => {
                let exact = number.rescale(*scale).map_err(|error| (code(error), number.to_string()))?;
                if exact.integer_digits() > u32::from(precision - scale) {
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
        let width = self.width;
        if number.units() < 0 || number.scale() > 0 {
            number.to_string()
        } else {
            format!("{:0>width$}", number.units())
        }
    }

    fn float(&self, number: f64, out: &mut Vec<u8>) -> Result<(), Found> {
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

    fn truth(&self, truth: bool, out: &mut Vec<u8>) -> Result<(), Found> {
        match &self.convert {
            Convert::Boolean { .. } | Convert::Any { .. } => {
                out.extend_from_slice(if truth { b"true" } else { b"false" });
                Ok(())
            }
            _ => self.text(if truth { "true" } else { "false" }, out),
        }
    }

    fn bytes(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Found> {
        if !matches!(self.convert, Convert::Bytes | Convert::Any { .. }) {
            return Err((RejectCode::BadType, format!("{} bytes that are no text", bytes.len())));
        }
        write_string(out, &STANDARD.encode(bytes));
        Ok(())
    }

    fn fault(&self, walk: &Walk<'_>, (code, found): Found) -> Box<Fault> {
        let name = walk.fields.name(self.place.slot);
        Box::new(Fault {
            code: self.code(code),
            expected: format!("{} in {name}", self.expected),
            found,
            path: String::new(),
            span: walk.fields.span(self.place.slot, walk.scope(self.place)),
        })
    }

    fn layout_fault(&self, walk: &Walk<'_>, fault: FieldFault) -> Box<Fault> {
        let name = walk.fields.name(self.place.slot);
        Box::new(Fault {
            code: self.code(fault.code),
            expected: format!("{} in {name}", fault.expected),
            found: fault.found,
            path: String::new(),
            span: walk.fields.span(self.place.slot, walk.scope(self.place)),
        })
    }

    /// Nothing where the key should be is a fault of its own kind: the record cannot be addressed.
    fn code(&self, code: RejectCode) -> RejectCode {
        match code {
            RejectCode::Blank | RejectCode::Missing if self.in_key => RejectCode::BadKey,
            other => other,
        }
    }
}

impl TextRules {
    fn write(&self, text: &str, out: &mut Vec<u8>) -> Result<(), Found> {
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
