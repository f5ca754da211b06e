//! What a caller may see of a resource, once its scope lets it in: the one place that decides it, for every read.

use serde_json::Value;

use super::catalog::{Catalog, Published};
use crate::http::{Caller, Problem};
use crate::staging::{Comparison, Filter, Scalar};

/// A read of a resource: who reads, what is published, and what of it they may see.
pub(super) struct View<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) published: &'a Published,
    pub(super) caller: &'a Caller,
    pub(super) sight: Sight,
}

/// What a caller may see of one resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// Only records for which all of these hold; for the caller the others do not exist. Passed to every read of staging.
    /// Paths are of declared fields, and of [`ResourceSpec::bounds`](crate::staging::ResourceSpec::bounds).
    pub(super) only: Vec<Filter>,
}

impl Sight {
    /// What `caller` may see, who has the resource's scope.
    #[expect(clippy::unnecessary_wraps, reason = "a claim that a row filter needs may be missing, which is a 403")]
    pub(super) fn of(_published: &Published, _caller: &Caller) -> Result<Sight, Problem> {
        Ok(Sight::default())
    }

    /// Whether a document that did not come from staging, which knows of [`Sight::only`], may be seen. What cannot be judged
    /// is not shown.
    pub(super) fn shows(&self, document: &[u8]) -> bool {
        if self.only.is_empty() {
            return true;
        }
        let Ok(document) = serde_json::from_slice::<Value>(document) else { return false };
        self.only.iter().all(|filter| holds(filter, &document))
    }
}

/// Whether an equality holds. Decimals that are strings compare by all their digits, as staging has them.
fn holds(filter: &Filter, document: &Value) -> bool {
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

#[cfg(test)]
mod tests {
    use super::Sight;
    use crate::staging::{Comparison, Filter, Scalar};

    fn check(path: &str, values: &[Scalar], document: &str, expected: bool) {
        let filter = Filter { path: path.to_owned(), comparison: Comparison::In, values: values.to_vec() };
        assert_eq!(Sight { only: vec![filter] }.shows(document.as_bytes()), expected, "{path} {values:?} {document}");
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
        check("no", &[Scalar::Null], r#"{}"#, true);
        check("no", &[], r#"{"no":null}"#, false);
        check("no", &[text("7")], "not json", false);
        assert!(Sight::default().shows(b"not json"));
    }
}
