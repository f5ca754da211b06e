//! Which records a caller sees who does not see all: by what fields of theirs must be. It is kept with a write, so that
//! whoever begins that judges by it the record that it is about.
//!
//! Two things are judged: documents, which have a field's value in the one form that its type has, and what a caller would
//! write, which the operation has read already ([`Said`]). Nothing is judged by how it is written in a body: an exact
//! number may be sent in many ways, and what counts is what the backend gets.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decode::Json;
use crate::mapping::{Said, WriteOperation};
use crate::record::Decimal;
use crate::staging::{ColumnType, Scalar};

/// Records of which all of these hold; every record where there are none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Within(Vec<FieldBound>);

/// A field, and what it may be.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldBound {
    /// Its path.
    pub path: String,
    /// How its values compare.
    pub column: ColumnType,
    /// One of these, each of the column's type.
    pub values: Vec<Scalar>,
}

impl Within {
    /// Of these.
    pub fn new(bounds: Vec<FieldBound>) -> Within {
        Within(bounds)
    }

    /// Whether every record is seen.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a document is of one of the records. What cannot be judged is none.
    pub fn shows(&self, document: &[u8]) -> bool {
        if self.is_all() {
            return true;
        }
        let Ok(document) = serde_json::from_slice::<Value>(document) else { return false };
        self.0.iter().all(|bound| bound.has(&document))
    }

    /// The path of a field by which what a body writes would be out of sight. What is not written counts as such where
    /// `all_written`, for a record that is not there yet.
    pub fn first_beyond(&self, write: &WriteOperation, body: Option<&Json<'_>>, all_written: bool) -> Option<&str> {
        let is_beyond = |bound: &&FieldBound| match write.said(body, &bound.path) {
            Said::Nothing => all_written,
            Said::Value(text) => !bound.takes(&text),
            Said::Null | Said::Other => true,
        };
        self.0.iter().find(is_beyond).map(|bound| bound.path.as_str())
    }

    /// As it is kept; nothing of nothing.
    pub(super) fn to_json(&self) -> Option<String> {
        // Text and numbers: writing them cannot fail.
        let all = || serde_json::to_string(&self.0.iter().map(Kept::of).collect::<Vec<_>>()).unwrap_or_default();
        (!self.is_all()).then(all)
    }

    /// As it was kept; `None` where it cannot be read.
    pub(super) fn from_json(json: &str) -> Option<Within> {
        let kept: Vec<Kept> = serde_json::from_str(json).ok()?;
        Some(Within(kept.into_iter().map(Kept::bound).collect()))
    }
}

impl FieldBound {
    /// Whether a document's field is so.
    fn has(&self, document: &Value) -> bool {
        let found = self.path.split('.').try_fold(document, |value, name| value.get(name)).unwrap_or(&Value::Null);
        let found = match (self.column, found) {
            (_, Value::Null) => Some(Scalar::Null),
            (ColumnType::Text, Value::String(text)) => Some(Scalar::Text(text.clone())),
            (ColumnType::Integer, Value::Number(number)) => number.as_i64().map(Scalar::Integer),
            (ColumnType::Boolean, Value::Bool(truth)) => Some(Scalar::Integer(i64::from(*truth))),
            (ColumnType::Number, Value::Number(number)) => number.as_f64().map(Scalar::Number),
            // All its digits, of which a document has as many behind the point as the type says.
            (ColumnType::ScaledInteger { scale }, Value::String(digits)) => {
                let exact = Decimal::parse(digits, b'.', None).ok().filter(|number| number.scale() == scale);
                exact.and_then(units)
            }
            _ => None,
        };
        found.is_some_and(|found| self.values.contains(&found))
    }

    /// Whether a value that is written makes the field so.
    fn takes(&self, text: &str) -> bool {
        let number = || Decimal::parse(text, b'.', None).ok();
        let scaled = |scale| number()?.rescale(scale).ok().and_then(units);
        let found = match self.column {
            ColumnType::Text => Some(Scalar::Text(text.to_owned())),
            ColumnType::Integer => scaled(0),
            ColumnType::ScaledInteger { scale } => scaled(scale),
            ColumnType::Boolean => match text {
                "true" => Some(Scalar::Integer(1)),
                "false" => Some(Scalar::Integer(0)),
                _ => None,
            },
            // A double is the same number as a text only if it is its shortest one: nothing is rounded to fit.
            ColumnType::Number => {
                let is = |wanted: &Scalar| {
                    let Scalar::Number(wanted) = wanted else { return false };
                    let shortest = wanted.to_string();
                    match (number(), Decimal::parse(&shortest, b'.', None).ok()) {
                        (Some(number), Some(wanted)) => number == wanted,
                        _ => text == shortest,
                    }
                };
                return self.values.iter().any(is);
            }
        };
        found.is_some_and(|found| self.values.contains(&found))
    }
}

fn units(number: Decimal) -> Option<Scalar> {
    i64::try_from(number.units()).ok().map(Scalar::Integer)
}

/// A field and what it may be, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    path: String,
    column: KeptColumn,
    values: Vec<KeptValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptColumn {
    Text,
    Integer,
    Number,
    Scaled(u8),
    Boolean,
}

/// A value as it is kept; a number by its bits, so that it stays the same.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptValue {
    Null,
    Text(String),
    Integer(i64),
    Number(u64),
}

impl Kept {
    fn of(bound: &FieldBound) -> Kept {
        let value = |scalar: &Scalar| match scalar {
            Scalar::Null => KeptValue::Null,
            Scalar::Text(text) => KeptValue::Text(text.clone()),
            Scalar::Integer(number) => KeptValue::Integer(*number),
            Scalar::Number(number) => KeptValue::Number(number.to_bits()),
        };
        let column = match bound.column {
            ColumnType::Text => KeptColumn::Text,
            ColumnType::Integer => KeptColumn::Integer,
            ColumnType::Number => KeptColumn::Number,
            ColumnType::ScaledInteger { scale } => KeptColumn::Scaled(scale),
            ColumnType::Boolean => KeptColumn::Boolean,
        };
        Kept { path: bound.path.clone(), column, values: bound.values.iter().map(value).collect() }
    }

    fn bound(self) -> FieldBound {
        let value = |kept| match kept {
            KeptValue::Null => Scalar::Null,
            KeptValue::Text(text) => Scalar::Text(text),
            KeptValue::Integer(number) => Scalar::Integer(number),
            KeptValue::Number(bits) => Scalar::Number(f64::from_bits(bits)),
        };
        let column = match self.column {
            KeptColumn::Text => ColumnType::Text,
            KeptColumn::Integer => ColumnType::Integer,
            KeptColumn::Number => ColumnType::Number,
            KeptColumn::Scaled(scale) => ColumnType::ScaledInteger { scale },
            KeptColumn::Boolean => ColumnType::Boolean,
        };
        FieldBound { path: self.path, column, values: self.values.into_iter().map(value).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldBound, Within};
    use crate::staging::{ColumnType, Scalar};

    const SCALED: ColumnType = ColumnType::ScaledInteger { scale: 2 };

    fn bound(path: &str, column: ColumnType, values: &[Scalar]) -> FieldBound {
        FieldBound { path: path.to_owned(), column, values: values.to_vec() }
    }

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    #[test]
    fn a_document_from_a_backend_is_judged_like_a_staged_one() {
        let check = |path: &str, column: ColumnType, values: &[Scalar], document: &str, expected: bool| {
            let only = Within::new(vec![bound(path, column, values)]);
            assert_eq!(only.shows(document.as_bytes()), expected, "{path} {values:?} {document}");
            assert_eq!(Within::from_json(&only.to_json().unwrap()).unwrap(), only);
        };
        check("no", ColumnType::Text, &[text("7")], r#"{"no":"7"}"#, true);
        check("no", ColumnType::Text, &[text("8"), text("7")], r#"{"no":"7"}"#, true);
        check("no", ColumnType::Text, &[text("7")], r#"{"no":"70"}"#, false);
        check("no", ColumnType::Text, &[text("7")], r#"{"no":7}"#, false);
        check("a.b", ColumnType::Integer, &[Scalar::Integer(7)], r#"{"a":{"b":7}}"#, true);
        check("a.b", ColumnType::Integer, &[Scalar::Integer(7)], r#"{"a":null}"#, false);
        // Digits are no integer, whatever they would be without a point.
        check("a.b", ColumnType::Integer, &[Scalar::Integer(70)], r#"{"a":{"b":"7.0"}}"#, false);
        check("a.b", ColumnType::Integer, &[Scalar::Integer(7)], r#"{"a":{"b":"7"}}"#, false);
        check("vip", ColumnType::Boolean, &[Scalar::Integer(1)], r#"{"vip":true}"#, true);
        check("vip", ColumnType::Boolean, &[Scalar::Integer(1)], r#"{"vip":1}"#, false);
        check("sum", SCALED, &[Scalar::Integer(-1250)], r#"{"sum":"-12.50"}"#, true);
        for other in ["1250", "\"1250\"", "\"125.0\"", "\"1.250\"", "\"12.5\"", "\"0.1250\"", "12.50"] {
            check("sum", SCALED, &[Scalar::Integer(1250)], &format!(r#"{{"sum":{other}}}"#), false);
        }
        check("sum", ColumnType::Number, &[Scalar::Number(12.5)], r#"{"sum":12.50}"#, true);
        check("sum", ColumnType::Number, &[Scalar::Number(0.1 + 0.2)], r#"{"sum":0.3}"#, false);
        check("no", ColumnType::Text, &[Scalar::Null], r#"{}"#, true);
        check("no", ColumnType::Text, &[], r#"{"no":null}"#, false);
        check("no", ColumnType::Text, &[text("7")], "not json", false);
        assert!(Within::default().shows(b"not json"));
    }

    #[test]
    fn what_is_written_is_compared_as_its_type() {
        let check = |column: ColumnType, value: Scalar, good: &[&str], bad: &[&str]| {
            let bound = bound("x", column, &[value]);
            good.iter().for_each(|text| assert!(bound.takes(text), "{column:?} {text}"));
            bad.iter().for_each(|text| assert!(!bound.takes(text), "{column:?} {text}"));
        };
        check(ColumnType::Text, text("125"), &["125"], &["125.0", "1250", " 125", ""]);
        check(ColumnType::Integer, Scalar::Integer(1250), &["1250", "1250.0"], &["125.0", "12.50", "125", "", "x"]);
        check(SCALED, Scalar::Integer(1250), &["12.5", "12.50", "12.500"], &["1250", "125.0", "12.501", ""]);
        check(ColumnType::Boolean, Scalar::Integer(1), &["true"], &["false", "1", ""]);
        check(ColumnType::Number, Scalar::Number(12.5), &["12.5", "12.50"], &["12.500000000000000001", "125", ""]);
        check(ColumnType::Number, Scalar::Number(1e300), &[&1e300_f64.to_string()], &["1e300", "1"]);
        let near = "12.5000000000000000000000000000000000000000000000000001";
        check(ColumnType::Number, Scalar::Number(12.5), &[], &[near]);
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        assert_eq!((Within::default().to_json(), Within::from_json("{}"), Within::from_json("")), (None, None, None));
        // As it was kept before the type was.
        assert_eq!(Within::from_json(r#"[{"path":"no","values":[{"integer":7}]}]"#), None);
    }
}
