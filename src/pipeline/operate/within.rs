//! Which records a caller sees who does not see all: by what fields of theirs must be. It is kept with a write, so that
//! whoever begins that judges by it the record that it is about.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::staging::{Comparison, Filter, Scalar};

/// Whether a document is one of those for which all of these hold. What cannot be judged is none.
pub fn shows(only: &[Filter], document: &[u8]) -> bool {
    if only.is_empty() {
        return true;
    }
    let Ok(document) = serde_json::from_slice::<Value>(document) else { return false };
    only.iter().all(|filter| holds(filter, &document))
}

/// Whether an equality holds. Decimals that are strings compare by all their digits, as staging has them.
pub fn holds(filter: &Filter, document: &Value) -> bool {
    let found = filter.path.split('.').try_fold(document, |value, name| value.get(name)).unwrap_or(&Value::Null);
    let is = |wanted: &Scalar| match (wanted, found) {
        (Scalar::Null, Value::Null) => true,
        (Scalar::Text(wanted), Value::String(text)) => wanted == text,
        (Scalar::Integer(wanted), Value::Number(number)) => number.as_i64() == Some(*wanted),
        (Scalar::Integer(wanted), Value::Bool(truth)) => *wanted == i64::from(*truth),
        (Scalar::Integer(wanted), Value::String(digits)) => digits.replacen('.', "", 1).parse() == Ok(*wanted),
        (Scalar::Number(wanted), Value::Number(number)) => number.as_f64() == Some(*wanted),
        _ => false,
    };
    match filter.comparison {
        Comparison::Equal | Comparison::In => filter.values.iter().any(is),
        _ => false,
    }
}

/// A field and what it may be, as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    path: String,
    values: Vec<KeptValue>,
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

/// As it is kept; nothing of nothing. An operator that is no equality is kept as one that nothing meets.
pub(super) fn to_json(only: &[Filter]) -> Option<String> {
    let value = |scalar: &Scalar| match scalar {
        Scalar::Null => KeptValue::Null,
        Scalar::Text(text) => KeptValue::Text(text.clone()),
        Scalar::Integer(number) => KeptValue::Integer(*number),
        Scalar::Number(number) => KeptValue::Number(number.to_bits()),
    };
    let kept = |filter: &Filter| {
        let is_equality = matches!(filter.comparison, Comparison::Equal | Comparison::In);
        let values = if is_equality { filter.values.iter().map(value).collect() } else { Vec::new() };
        Kept { path: filter.path.clone(), values }
    };
    // Text and numbers: writing them cannot fail.
    let all = || serde_json::to_string(&only.iter().map(kept).collect::<Vec<_>>()).unwrap_or_default();
    (!only.is_empty()).then(all)
}

/// As it was kept; `None` where it cannot be read.
pub(super) fn from_json(json: &str) -> Option<Vec<Filter>> {
    let scalar = |value| match value {
        KeptValue::Null => Scalar::Null,
        KeptValue::Text(text) => Scalar::Text(text),
        KeptValue::Integer(number) => Scalar::Integer(number),
        KeptValue::Number(bits) => Scalar::Number(f64::from_bits(bits)),
    };
    let kept: Vec<Kept> = serde_json::from_str(json).ok()?;
    let filter = |Kept { path, values }| Filter {
        path,
        comparison: Comparison::In,
        values: values.into_iter().map(scalar).collect(),
    };
    Some(kept.into_iter().map(filter).collect())
}

#[cfg(test)]
mod tests {
    use super::{from_json, shows, to_json};
    use crate::staging::{Comparison, Filter, Scalar};

    fn check(path: &str, values: &[Scalar], document: &str, expected: bool) {
        let filter = Filter { path: path.to_owned(), comparison: Comparison::In, values: values.to_vec() };
        let only = vec![filter];
        assert_eq!(shows(&only, document.as_bytes()), expected, "{path} {values:?} {document}");
        assert_eq!(from_json(&to_json(&only).unwrap()).unwrap(), only);
    }

    #[test]
    fn a_document_from_a_backend_is_judged_like_a_staged_one() {
        let text = |text: &str| Scalar::Text(text.to_owned());
        check("no", &[text("7")], r#"{"no":"7"}"#, true);
        check("no", &[text("8"), text("7")], r#"{"no":"7"}"#, true);
        check("no", &[text("7")], r#"{"no":"70"}"#, false);
        check("no", &[text("7")], r#"{"no":7}"#, false);
        check("a.b", &[Scalar::Integer(7)], r#"{"a":{"b":7}}"#, true);
        check("a.b", &[Scalar::Integer(7)], r#"{"a":null}"#, false);
        check("vip", &[Scalar::Integer(1)], r#"{"vip":true}"#, true);
        check("sum", &[Scalar::Integer(-1250)], r#"{"sum":"-12.50"}"#, true);
        check("sum", &[Scalar::Number(12.5)], r#"{"sum":12.50}"#, true);
        check("sum", &[Scalar::Number(0.1 + 0.2)], r#"{"sum":0.3}"#, false);
        check("no", &[Scalar::Null], r#"{}"#, true);
        check("no", &[], r#"{"no":null}"#, false);
        check("no", &[text("7")], "not json", false);
        assert!(shows(&[], b"not json"));
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        assert_eq!((to_json(&[]), from_json("{}"), from_json("")), (None, None, None));
        let odd = Filter { path: "no".to_owned(), comparison: Comparison::Greater, values: vec![Scalar::Integer(1)] };
        assert!(!shows(&from_json(&to_json(&[odd]).unwrap()).unwrap(), br#"{"no":2}"#));
    }
}
