//! One value of a record becomes one value of the document, or the reason why it does not. This runs for
//! every field of every record and writes straight into the document's buffer.
//!
//! Here stands what is decided before a value is looked at closely: is it there, is it blank, does it mean null.
//! What is there goes on to [`Convert`].

use super::convert::{Convert, Found, Matches};
use super::number::{NumberStyle, code};
use super::place::{Place, Walk};
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
    /// A value that is not there is null, and no blank.
    pub(super) says_null: bool,
    pub(super) on_blank: OnBlank,
    /// The mapping says what a blank is, of a number.
    pub(super) blank_is_said: bool,
    /// A blank is looked up in `values`, `true_if` or `false_if` like any other text.
    pub(super) blank_is_value: bool,
    /// What null becomes: its JSON (`null` or the default), or `None` for a reject.
    pub(super) null: Option<Vec<u8>>,
    /// How numbers in text are written.
    pub(super) style: NumberStyle,
    /// Numbers that become text are padded with zeros to so many digits.
    pub(super) width: usize,
    pub(super) convert: Convert,
    /// The format's own shorter way may be taken, because no rule asks for more.
    pub(super) short: Short,
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

/// A shorter way through the format to the same outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Short {
    None,
    /// A text without rules is written by the format itself.
    Text,
    /// A number with so many digits behind the point needs no [`Value`] in between.
    Number {
        scale: u8,
        /// One of so many digits may be taken as it is written.
        written: Option<usize>,
    },
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

impl Scalar {
    /// Appends the value as JSON.
    pub(super) fn write(&self, walk: &Walk<'_>, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let (slot, scope) = (self.place.slot, walk.scope(self.place));
        if self.blank_is_said
            && let Some(fault) = walk.fields.filled(slot, scope)
        {
            return self.blank_fault(walk, fault, out);
        }
        match self.short {
            Short::Text if walk.fields.write_text(slot, scope, out) => return Ok(()),
            Short::Number { scale: digits, written } => {
                if written.is_some_and(|most| self.as_written(walk, most, out)) {
                    return Ok(());
                }
                let units = walk.fields.read_units(slot, scope);
                if let Some(Ok(number)) = units.map(|units| Decimal::new(units.into(), digits)) {
                    return self.decimal(number, out).map_err(|found| self.fault(walk, found));
                }
            }
            Short::Text | Short::None => {}
        }
        match walk.fields.read(slot, scope) {
            Ok(value) => self.value(value, out).map_err(|found| self.fault(walk, found)),
            Err(fault) if fault.code == RejectCode::Blank => self.blank_fault(walk, fault, out),
            Err(fault) => Err(self.layout_fault(walk, fault)),
        }
    }

    /// What is blank to the layout, and why.
    fn blank_fault(&self, walk: &Walk<'_>, fault: FieldFault, out: &mut Vec<u8>) -> Result<(), Box<Fault>> {
        let found = if self.blank_is_value { self.text("", out) } else { self.blank("", out) };
        found.map_err(|found| match found.0 {
            RejectCode::Blank => self.layout_fault(walk, fault),
            _ => self.fault(walk, found),
        })
    }

    /// Appends a number as the source has it, where that is how it is written.
    fn as_written(&self, walk: &Walk<'_>, most: usize, out: &mut Vec<u8>) -> bool {
        let (slot, scope, start) = (self.place.slot, walk.scope(self.place), out.len());
        let as_string = self.convert.writes_strings();
        if as_string {
            out.push(b'"');
        }
        let is_written = walk.fields.write_number(slot, scope, most, out);
        match (is_written, as_string) {
            (true, true) => out.push(b'"'),
            (true, false) => {}
            (false, _) => out.truncate(start),
        }
        is_written
    }

    fn value(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<(), Found> {
        match value {
            Value::Null if self.says_null && !self.in_key => self.null(out),
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
            Value::Decimal(number) => self.decimal(number, out),
            Value::Float(number) => self.float(number, out),
            Value::Boolean(truth) => self.truth(truth, out),
            Value::Bytes(bytes) => self.bytes(&bytes, out),
        }
    }

    fn decimal(&self, number: Decimal, out: &mut Vec<u8>) -> Result<(), Found> {
        if self.null_if.has_number(number) {
            return self.null(out);
        }
        match self.style.implied_scale {
            None => self.number(number, out),
            Some(scale) => {
                let shifted = Decimal::new(number.units(), number.scale().saturating_add(scale));
                self.number(shifted.map_err(|error| (code(error), number.to_string()))?, out)
            }
        }
    }

    pub(super) fn null(&self, out: &mut Vec<u8>) -> Result<(), Found> {
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

#[cfg(test)]
mod tests {
    use crate::mapping::testing::{Double, Held, bad, blank_number, check, map, text, unsigned};
    use crate::record::{Decimal, FieldKind};

    #[test]
    fn blanks() {
        check(text(""), "", Ok("\"\""));
        check(text("  "), "blank = 'null'", Ok("null"));
        check(text(""), "blank = 'reject'", Err("value.blank f: expected string in F, found blanks"));
        check(text(""), "required = true", Err("value.missing f: expected string, required in F"));
        check(text(""), "default = 'none'", Ok("\"none\""));
        check(text(""), "type = 'integer'", Err("value.blank"));
        check(text(""), "type = 'integer', blank = 'zero'", Ok("0"));
        check(text(""), "type = 'decimal(16,2)', blank = 'zero'", Ok("\"0.00\""));
        check(text(""), "type = 'date', blank = 'null'", Ok("null"));
        check(text(""), "type = 'date'", Err("value.blank"));
        check(blank_number(5, 2), "", Err("value.blank f: expected layout in F, found 40404040"));
        check(blank_number(5, 2), "blank = 'null'", Ok("null"));
        check(blank_number(5, 2), "blank = 'zero'", Ok("0.00"));
        check(blank_number(5, 2), "default = 1.5", Ok("1.50"));
        check(blank_number(5, 2), "required = true", Err("value.missing"));
        check(bad(), "blank = 'null', default = 'x'", Err("numeric.bad_digit"));
    }

    #[test]
    fn blanks_that_could_be_a_number() {
        let kind = FieldKind::Number { digits: 10, scale: 0, signed: true };
        let check = |rules: &str, expected| {
            check(Held::Filled(Decimal::from_i64(1_077_952_576), kind), rules, expected);
        };
        for rules in ["", "required = true", "default = 1"] {
            check(rules, Ok("1077952576"));
        }
        check("blank = 'null'", Ok("null"));
        check("blank = 'zero'", Ok("0"));
        check("blank = 'zero', type = 'decimal(12,2)'", Ok("0.00"));
        check("blank = 'reject'", Err("value.blank f: expected layout in F, found blanks (40404040)"));
        check("blank = 'null', default = 7", Ok("7"));
    }

    #[test]
    fn null_of_a_database_is_null_and_no_blank() {
        let said = |rules: &str, held: Held| {
            let mut double = Double::new(vec![("F", held)]);
            double.says_null = true;
            map(&double, &format!("[fields]\nf = {{ from = 'F', {rules} }}"))
        };
        for rules in ["", "type = 'integer'", "type = 'date'", "blank = 'reject'", "blank = 'zero', type = 'integer'"] {
            assert_eq!(said(rules, Held::Null).as_deref(), Ok(r#"{"f":null}"#), "{rules}");
        }
        assert_eq!(said("default = 'x'", Held::Null).as_deref(), Ok(r#"{"f":"x"}"#));
        assert_eq!(said("", text("")).as_deref(), Ok(r#"{"f":""}"#));
        assert!(said("required = true", Held::Null).unwrap_err().starts_with("value.missing"));
        // Moments are as rows are landed: dates alone or at midnight, fractions where there are some.
        for (rules, held, expected) in [
            ("type = 'date'", "2026-11-28", r#"{"f":"2026-11-28"}"#),
            ("type = 'date'", "2026-11-28T00:00:00", r#"{"f":"2026-11-28"}"#),
            ("type = 'datetime'", "2026-11-28T01:02:03", r#"{"f":"2026-11-28T01:02:03"}"#),
            ("type = 'datetime'", "2026-11-28T01:02:03.25", r#"{"f":"2026-11-28T01:02:03.25"}"#),
            ("type = 'time'", "01:02:03.25", r#"{"f":"01:02:03.25"}"#),
        ] {
            assert_eq!(said(rules, text(held)).as_deref(), Ok(expected), "{rules}");
        }
        assert!(said("type = 'date'", text("2026-11-28T00:00:01")).unwrap_err().starts_with("value.bad_date"));
        // In files a value that is not there is blank.
        check(Held::Null, "", Ok("\"\""));
        check(Held::Null, "type = 'integer'", Err("value.blank"));
    }

    #[test]
    fn nulls() {
        check(text("N/A"), "null_if = ['N/A', '-']", Ok("null"));
        check(text("N/A "), "null_if = ['N/A']", Ok("null"));
        check(text("ok"), "null_if = ['N/A']", Ok("\"ok\""));
        check(text(""), "null_if = ['']", Ok("null"));
        check(text(""), "type = 'integer', null_if = ['']", Ok("null"));
        check(text("N/A"), "null_if = ['N/A'], required = true", Err("value.missing"));
        check(text("N/A"), "null_if = ['N/A'], default = 'x'", Ok("\"x\""));
        check(text("0,0"), "type = 'decimal(5,2)', decimal_point = ',', null_if = [0]", Ok("null"));
        check(unsigned(0, 8), "type = 'date', null_if = ['00000000', 99999999]", Ok("null"));
        check(unsigned(99_999_999, 8), "type = 'date', null_if = ['00000000', 99999999]", Ok("null"));
        check(unsigned(20240229, 8), "type = 'date', null_if = ['00000000']", Ok("\"2024-02-29\""));
        check(unsigned(7, 3), "null_if = ['007']", Ok("null"));
    }
}
