//! What a body says of a field of the resource, in the terms of the resource's documents: whether a caller may write it is
//! judged by that. It is read by the very rules by which the value is bound, so that the judgement is about what the backend
//! gets, however it is written: `"125.0"` is the integer 125 for both.

use super::bound::Bound;
use super::input::{Input, InputField, InputKind};
use super::scalar::Scalar;
use crate::decode::Json;

/// What a body says of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing, and nothing is bound for it.
    Nothing,
    /// That it has no value.
    Null,
    /// This value: as text, as a document of the resource would have it but for the type that says how it is compared.
    Value(String),
    /// Something of which nobody can say what a document would have for it.
    Other,
}

impl Input {
    /// What a body says of the field at this path; what cannot be read is something other than a value.
    pub(super) fn said(&self, body: &Json<'_>, path: &str) -> Said {
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let Some(field) = self.find(first) else { return Said::Nothing };
        let sent = body.member(first);
        match (&field.kind, rest) {
            (InputKind::Scalar(scalar), None) => field.single(scalar, sent),
            (InputKind::Object(inner), Some(rest)) => match sent {
                Some(sent) => inner.said(sent, rest),
                None => inner.unsaid(rest),
            },
            // It is of another shape than the resource's field.
            (InputKind::Scalar(scalar), Some(_)) => match field.single(scalar, sent) {
                Said::Nothing => Said::Nothing,
                _ => Said::Other,
            },
            (InputKind::Object(_) | InputKind::Each { .. }, _) => sent.map_or(Said::Nothing, |_| Said::Other),
        }
    }

    /// What is bound for a field of an object that is not there: no default, but what stands for null.
    fn unsaid(&self, path: &str) -> Said {
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        self.scalar(&path).map_or(Said::Nothing, Scalar::unsaid)
    }
}

impl InputField {
    fn single(&self, scalar: &Scalar, sent: Option<&Json<'_>>) -> Said {
        match (sent, &self.default) {
            (Some(Json::Null), _) => Said::Null,
            (Some(sent), _) => scalar.told(sent).map_or(Said::Other, Said::Value),
            (None, Some(default)) => scalar.of_bound(default),
            (None, None) => scalar.unsaid(),
        }
    }
}

impl Scalar {
    /// What is bound for it where nothing is said. A word of the backend for no value sets it to that.
    fn unsaid(&self) -> Said {
        if matches!(self.null, Bound::Null(_)) { Said::Nothing } else { Said::Null }
    }

    /// What a document would have for a value that is bound.
    fn of_bound(&self, bound: &Bound) -> Said {
        if let Some(values) = &self.values {
            let known = values.iter().find(|(_, own)| own == bound);
            return known.map_or(Said::Other, |(known, _)| Said::Value(known.clone()));
        }
        // In a form of the backend's, or its local time.
        if self.format.is_some() || self.zone.is_some() {
            return Said::Other;
        }
        match bound {
            Bound::Null(_) => Said::Nothing,
            bound => bound.text().map_or(Said::Other, Said::Value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Said;
    use crate::decode::Json;
    use crate::mapping::operations::tests::one;

    const BODY: &str = r#"
[operations.create]
sql = "insert into t values (:no, :whole, :exact, :double, :flag, :day, :clock, :moment, :state, :kept, :blank, :x)"
[operations.create.body]
no = { type = "string" }
whole = { type = "integer", required = false }
exact = { type = "decimal(9,2)", required = false }
double = { type = "number", required = false, nullable = true }
flag = { type = "boolean", required = false, values = { true = "Y", false = "N" } }
day = { type = "date", required = false, format = "%d.%m.%Y" }
clock = { type = "time", required = false }
moment = { type = "datetime", required = false, zone = "Europe/Berlin" }
state = { type = "string", required = false, values = { open = "OP", closed = "CL" }, default = "open" }
kept = { type = "integer", required = false, default = 7 }
blank = { type = "string", required = false, null = "" }
x = { type = "string", required = false }
"#;

    #[test]
    fn it_is_what_is_bound_in_the_words_of_documents() {
        let write = one(BODY);
        let check = |path: &str, value: &str, expected: Said| {
            let body = format!(r#"{{"no":"1","{path}":{value}}}"#);
            let json = Json::parse(&body).unwrap();
            assert!(write.read(Some(&json), None).is_ok(), "{body}");
            assert_eq!(write.said(Some(&json), path), expected, "{body}");
        };
        let value = |text: &str| Said::Value(text.to_owned());
        for way in ["125", "\"125\"", "125.0", "\"125.0\"", "\"125.000\"", "\"0125\""] {
            check("whole", way, value("125"));
        }
        for way in ["12.5", "\"12.50\"", "12.500", "\"012.5\""] {
            check("exact", way, value("12.50"));
        }
        for way in ["1250", "1250.0", "1.25e3"] {
            check("double", way, value("1250"));
        }
        check("double", "null", Said::Null);
        check("flag", "true", value("true"));
        check("flag", "\"true\"", value("true"));
        check("day", "\"2026-01-31\"", value("2026-01-31"));
        check("clock", "\"08:30\"", value("08:30:00"));
        for way in ["\"2026-01-31T12:00:00+01:00\"", "\"2026-01-31T11:00:00Z\"", "\"2026-01-31 11:00:00.0z\""] {
            check("moment", way, value("2026-01-31T11:00:00Z"));
        }
        check("state", "\"closed\"", value("closed"));
        check("x", "\"125.0\"", value("125.0"));
    }

    #[test]
    fn what_is_not_said_is_what_is_bound_for_it() {
        let write = one(BODY);
        let json = Json::parse(r#"{"no":"1"}"#).unwrap();
        let of = |path: &str| write.said(Some(&json), path);
        assert_eq!((of("whole"), of("nowhere"), of("no.where")), (Said::Nothing, Said::Nothing, Said::Other));
        assert_eq!((of("state"), of("kept")), (Said::Value("open".to_owned()), Said::Value("7".to_owned())));
        assert_eq!(of("blank"), Said::Null);
    }
}
