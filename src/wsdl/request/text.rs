//! From JSON to the text of a simple type.

use std::borrow::Cow;

use super::Writer;
use super::element::clark;
use super::input::Input;
use super::markup::impossible;
use crate::wsdl::{Builtin, JsonKind, Preset, TypeId, Variety};

/// Digits that a number with an exponent may have when it is written out.
const MAX_DIGITS: usize = 4096;

impl Writer<'_> {
    /// The text of a value, or a fault.
    pub(super) fn text(&mut self, ty: TypeId, value: &Input<'_>, preset: Option<&Preset>) -> Option<String> {
        let text = self.unchecked_text(ty, value)?;
        if let Some(char) = impossible(&text) {
            self.faults.push(format!("it has the character U+{:04X}, which XML cannot hold", u32::from(char)));
            return None;
        }
        if let Err(expected) = self.plan.types.check(ty, &text) {
            self.faults.push(format!("expected {expected}, found `{}`", shown(&text)));
            return None;
        }
        if let Some(Preset::Fixed(fixed)) = preset
            && **fixed != *text
            && fixed.trim() != text.trim()
        {
            self.faults.push(format!("the value is always `{}`", shown(fixed)));
            return None;
        }
        Some(text)
    }

    fn unchecked_text(&mut self, ty: TypeId, value: &Input<'_>) -> Option<String> {
        let Some(simple) = self.plan.types.simple(ty) else {
            // What cannot be known takes every scalar.
            return self.any_text(value);
        };
        match &simple.variety {
            Variety::List(item) => {
                let item = *item;
                match value {
                    Input::Array(elements) => {
                        let mut words = Vec::with_capacity(elements.len());
                        for (index, element) in elements.iter().enumerate() {
                            let back = self.faults.enter_index(index);
                            let word = self.text(item, element, None);
                            if word
                                .as_ref()
                                .is_some_and(|word| word.is_empty() || word.contains([' ', '\t', '\n', '\r']))
                            {
                                self.faults.push("an item of a list is not empty and has no blanks");
                            }
                            words.extend(word);
                            self.faults.leave(back);
                        }
                        Some(words.join(" "))
                    }
                    Input::Text(text) => Some(text.to_string()),
                    other => self.wrong("an array", other),
                }
            }
            Variety::Union(_) => self.any_text(value),
            Variety::Atomic(builtin) => {
                let builtin = *builtin;
                match (builtin.json(), value) {
                    (_, Input::Text(text)) if matches!(builtin, Builtin::QName | Builtin::Notation) => {
                        self.qualified(text)
                    }
                    (_, Input::Text(text)) => Some(text.to_string()),
                    (JsonKind::Boolean, Input::Boolean(value)) => Some(value.to_string()),
                    (JsonKind::Float, Input::Number(text)) => Some(text.to_string()),
                    (JsonKind::Integer | JsonKind::LargeInteger | JsonKind::Decimal, Input::Number(text)) => {
                        match written_out(text) {
                            Some(text) => Some(text.into_owned()),
                            None => {
                                self.faults.push(format!("the number `{}` is too long", shown(text)));
                                None
                            }
                        }
                    }
                    (_, Input::Number(_) | Input::Boolean(_)) if builtin == Builtin::AnySimple => self.any_text(value),
                    (JsonKind::Text, other) => self.wrong("a string", other),
                    (JsonKind::Boolean, other) => self.wrong("`true` or `false`", other),
                    (_, other) => self.wrong("a number", other),
                }
            }
        }
    }

    /// The text of a scalar of no type.
    pub(super) fn any_text(&mut self, value: &Input<'_>) -> Option<String> {
        match value {
            Input::Text(text) => Some(text.to_string()),
            Input::Boolean(value) => Some(value.to_string()),
            Input::Number(text) => Some(text.to_string()),
            other => self.wrong("a string, number or boolean", other),
        }
    }

    pub(super) fn wrong<T>(&mut self, expected: &str, found: &Input<'_>) -> Option<T> {
        let found = match found {
            Input::Number(text) => format!("the number {}", shown(text)),
            Input::Boolean(value) => value.to_string(),
            other => other.kind().to_owned(),
        };
        self.faults.push(format!("expected {expected}, found {found}"));
        None
    }

    /// A qualified name is given as `{namespace}name`, and written with the prefix that this has here.
    fn qualified(&mut self, name: &str) -> Option<String> {
        let (uri, local) = clark(name.trim());
        if local.contains([':', '{', '}']) {
            self.faults.push("a qualified name is given as `{namespace}name`: prefixes mean nothing here");
            return None;
        }
        Some(self.prefixed(uri, local))
    }
}

/// A text as it is told of.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
    }
}

/// A JSON number without an exponent, and exact; `None` when it would be too long.
fn written_out(text: &str) -> Option<Cow<'_, str>> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return Some(Cow::Borrowed(text)) };
    let exponent: i32 = exponent.parse().ok()?;
    let (sign, digits) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    // Where the point comes to stand.
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    if point.unsigned_abs() as usize > MAX_DIGITS || all.len() > MAX_DIGITS {
        return None;
    }
    let (whole, fraction) = if point <= 0 {
        let zeros = usize::try_from(-point).ok()?;
        ("0".to_owned(), format!("{}{all}", "0".repeat(zeros)))
    } else {
        let point = usize::try_from(point).ok()?;
        if point >= all.len() {
            (format!("{all}{}", "0".repeat(point - all.len())), String::new())
        } else {
            (all[..point].to_owned(), all[point..].to_owned())
        }
    };
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let fraction = fraction.trim_end_matches('0');
    let separator = if fraction.is_empty() { "" } else { "." };
    Some(Cow::Owned(format!("{sign}{whole}{separator}{fraction}")))
}

#[cfg(test)]
mod tests {
    use super::written_out;

    #[test]
    fn numbers_are_written_out_exactly() {
        for (text, expected) in [
            ("12345678901234567.89", "12345678901234567.89"),
            ("1e3", "1000"),
            ("-1.50E+2", "-150"),
            ("1.5e-3", "0.0015"),
            ("123e-2", "1.23"),
            ("0e0", "0"),
            ("1e0", "1"),
        ] {
            assert_eq!(written_out(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!((written_out("1e999999999999"), written_out("1e5000"), written_out("1e-5000")), (None, None, None));
    }
}
