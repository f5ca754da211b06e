//! The types that a mapping declares, and what a layout's fields are when it declares none.

use super::{FieldType, Fraction, Offset};
use crate::diagnostic::nearest;
use crate::record::FieldKind;

/// A date as it is written, as a regular expression.
pub const DATE_PATTERN: &str = "([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|\
     02-(0[1-9]|1[0-9]|2[0-8]))|([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)";

/// A time of the day as it is written.
pub const TIME_PATTERN: &str = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?";

/// A decimal as callers may write it, with as many digits before the point, and behind it, as it can have.
pub fn decimal_text_pattern(precision: u8, scale: u8, is_signed: bool) -> String {
    let sign = if is_signed { "-?" } else { "" };
    // Without digits before the point there may be a zero for looks.
    let whole = match precision.saturating_sub(scale) {
        0 => "0".to_owned(),
        digits => format!("[0-9]{{1,{digits}}}"),
    };
    let fraction = if scale == 0 { String::new() } else { format!("(\\.[0-9]{{1,{scale}}})?") };
    format!("{sign}{whole}{fraction}")
}

/// A declared type of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Integer,
    Decimal { precision: u8, scale: u8 },
    Number,
    Boolean,
    Date,
    Time,
    Datetime,
    Bytes,
    Any,
    Object,
    Array,
}

const WORDS: &[(&str, Type)] = &[
    ("string", Type::String),
    ("integer", Type::Integer),
    ("number", Type::Number),
    ("boolean", Type::Boolean),
    ("date", Type::Date),
    ("time", Type::Time),
    ("datetime", Type::Datetime),
    ("bytes", Type::Bytes),
    ("any", Type::Any),
    ("object", Type::Object),
    ("array", Type::Array),
];

impl Type {
    /// Reads `string`, `decimal(11,2)`, ...
    pub(super) fn parse(text: &str) -> Result<Type, String> {
        if let Some((_, found)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*found);
        }
        if text == "decimal" {
            return Err("a decimal says its digits and those behind the point: decimal(11,2)".to_owned());
        }
        if let Some(inner) = text.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')')) {
            return Type::decimal(inner).ok_or_else(|| {
                format!("`{text}`: decimal(p,s) has p from 1 to 38 digits in all, s of them behind the point, s <= p")
            });
        }
        let near = nearest(text, WORDS.iter().map(|(word, _)| *word).chain(["decimal(11,2)"]));
        Err(match near {
            Some(near) => format!("there is no type `{text}`; did you mean `{near}`?"),
            None => format!("there is no type `{text}`"),
        })
    }

    fn decimal(inner: &str) -> Option<Type> {
        let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
        let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
        ((1..=38).contains(&precision) && scale <= precision).then_some(Type::Decimal { precision, scale })
    }

    /// What a layout's field is when the mapping does not say; `None` for a group.
    pub(super) fn of(kind: FieldKind) -> Option<Type> {
        match kind {
            FieldKind::Text { .. } => Some(Type::String),
            FieldKind::Number { scale: 0, .. } => Some(Type::Integer),
            FieldKind::Number { digits, scale, .. } => Some(Type::Decimal { precision: digits.max(scale), scale }),
            FieldKind::Float => Some(Type::Number),
            FieldKind::Bytes { .. } => Some(Type::Bytes),
            FieldKind::Group => None,
        }
    }

    /// Whether a field of this kind can become this type, else what to do.
    pub(super) fn fits(self, kind: FieldKind) -> Result<(), &'static str> {
        match (kind, self) {
            (FieldKind::Float, Type::Number | Type::Any) | (FieldKind::Bytes { .. }, Type::Bytes | Type::Any) => Ok(()),
            (FieldKind::Float, _) => Err("a binary float is inexact and can only be a `number`"),
            (FieldKind::Bytes { .. }, _) => Err("bytes that are no text can only be `bytes` (base64)"),
            (FieldKind::Text { .. } | FieldKind::Number { .. }, Type::Bytes) => {
                Err("the layout says that this is no raw data; declare it `string`")
            }
            _ => Ok(()),
        }
    }

    /// True for numbers.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Type::Integer | Type::Decimal { .. } | Type::Number)
    }

    /// True for dates and times.
    pub(super) fn is_moment(self) -> bool {
        matches!(self, Type::Date | Type::Time | Type::Datetime)
    }

    /// As written in a mapping.
    pub(super) fn name(self) -> String {
        match self {
            Type::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            other => {
                WORDS.iter().find(|(_, known)| *known == other).map(|(word, _)| (*word).to_owned()).unwrap_or_default()
            }
        }
    }

    /// As the facade sees it; times and timestamps in their plainest form.
    pub(super) fn exposed(self, as_string: bool) -> FieldType {
        match self {
            Type::String => FieldType::String,
            Type::Integer => FieldType::Integer { as_string },
            Type::Decimal { precision, scale } => FieldType::Decimal { precision, scale, as_string },
            Type::Number => FieldType::Number,
            Type::Boolean => FieldType::Boolean,
            Type::Date => FieldType::Date,
            Type::Time => FieldType::Time { fraction: Fraction::Absent },
            Type::Datetime => FieldType::Datetime { offset: Offset::Local, fraction: Fraction::Absent },
            Type::Bytes => FieldType::Bytes,
            Type::Any => FieldType::Any,
            Type::Object => FieldType::Object,
            Type::Array => FieldType::Array,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DATE_PATTERN, Type};

    fn check(text: &str, expected: Result<Type, &str>) {
        match (Type::parse(text), expected) {
            (Ok(found), Ok(wanted)) => {
                assert_eq!(found, wanted);
                assert_eq!(Type::parse(&found.name()), Ok(found));
            }
            (Err(message), Err(words)) => assert!(message.contains(words), "{message}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn reads_types() {
        check("string", Ok(Type::String));
        check("decimal(11,2)", Ok(Type::Decimal { precision: 11, scale: 2 }));
        check("decimal(38, 38)", Ok(Type::Decimal { precision: 38, scale: 38 }));
        check("decimal(9)", Ok(Type::Decimal { precision: 9, scale: 0 }));
        check("decimal", Err("says its digits"));
        check("decimal(2,3)", Err("s <= p"));
        check("decimal(39,0)", Err("1 to 38"));
        check("decimal(0,0)", Err("1 to 38"));
        check("strng", Err("did you mean `string`?"));
        check("varchar", Err("no type `varchar`"));
    }

    /// Every day that there may be of four centuries, the longest month of all of them.
    #[test]
    fn the_pattern_of_dates_has_exactly_the_days_that_there_are() {
        let pattern = regex::Regex::new(&format!("^{DATE_PATTERN}$")).unwrap();
        for year in (0..3).chain(1896..=2008).chain(2096..=2104).chain([9999]) {
            for (month, day) in (0..=13).flat_map(|month| (0..=32).map(move |day| (month, day))) {
                let text = format!("{year:04}-{month:02}-{day:02}");
                assert_eq!(pattern.is_match(&text), text.parse::<jiff::civil::Date>().is_ok(), "{text}");
            }
        }
    }
}
