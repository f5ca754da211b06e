//! What a caller may write: no record out of their sight, and no field of which they lack the scope.
//!
//! It is judged by what the operation itself has read of the body, and nothing of a body is done that was not judged: there
//! is one parser, and no way around it.

use super::OperateError;
use super::within::Within;
use crate::decode::Json;
use crate::mapping::{InputFault, MOST_FAULTS, Masked, NotARequest, Verb, WriteOperation, WriteRequest};

/// What a caller may write of a resource.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// The records that they see: what is written must stay one of them.
    pub within: Within,
    /// The fields of which they lack the scope.
    pub hidden: Vec<Masked>,
}

/// Why a write is none that its caller may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overreach {
    /// The body has fields that take scopes which the caller lacks.
    Hidden {
        /// Where.
        faults: Vec<InputFault>,
        /// Which.
        scopes: Vec<String>,
    },
    /// It would make or leave a record that its caller does not see, by the field at this path.
    Beyond(String),
}

/// The body and key of a request, judged: what they are, and whether the caller may ask for it. Of a body that they may not
/// send no faults are told.
pub(super) fn judged(
    write: &WriteOperation,
    body: Option<&str>,
    key: Option<&str>,
    allowed: &Allowed,
) -> Result<(WriteRequest, Option<Overreach>), OperateError> {
    let body = match body {
        Some(text) if write.takes_body() => Some(Json::parse(text).map_err(OperateError::NotJson)?),
        Some(_) => return Err(OperateError::NoBody),
        None => None,
    };
    let hidden = body.as_ref().and_then(|body| allowed.hides(write, body));
    let is_new = write.exposed.verb == Verb::Create;
    let beyond = || allowed.within.first_beyond(write, body.as_ref(), is_new);
    let overreach = hidden.or_else(|| beyond().map(|path| Overreach::Beyond(path.to_owned())));
    match write.read(body.as_ref(), key) {
        Ok(request) => Ok((request, overreach)),
        Err(NotARequest::Key) => Err(OperateError::NoRecord),
        Err(NotARequest::Body(faults)) => {
            Err(overreach.map_or(OperateError::Invalid(faults), OperateError::NotAllowed))
        }
    }
}

impl Allowed {
    /// Every member of a body for a field of which the caller lacks the scope, be it null.
    fn hides(&self, write: &WriteOperation, body: &Json<'_>) -> Option<Overreach> {
        let (mut faults, mut scopes) = (Vec::new(), Vec::new());
        for member in &write.exposed.members {
            let hides = |path: &str| {
                member.field.strip_prefix(path).is_some_and(|rest| matches!(rest.as_bytes(), [] | [b'.', ..]))
            };
            let Some(masked) = self.hidden.iter().find(|masked| hides(&masked.path)) else { continue };
            let before = faults.len();
            find(body, &member.path, &mut String::new(), &mut faults);
            for fault in faults.iter_mut().skip(before) {
                fault.detail = format!("writing it takes the scope `{}`", masked.scope);
            }
            if faults.len() > before && !scopes.contains(&masked.scope) {
                scopes.push(masked.scope.clone());
            }
        }
        (!faults.is_empty()).then_some(Overreach::Hidden { faults, scopes })
    }
}

/// Notes where in a body something stands at this path, be it null.
fn find(value: &Json<'_>, path: &[String], pointer: &mut String, faults: &mut Vec<InputFault>) {
    let length = pointer.len();
    if faults.len() >= MOST_FAULTS {
        return;
    }
    match (value, path.split_first()) {
        (_, None) => faults.push(InputFault { pointer: pointer.clone(), detail: String::new() }),
        (Json::Array(elements), Some(_)) => {
            for (number, element) in elements.iter().enumerate() {
                pointer.push_str(&format!("/{number}"));
                find(&element, path, pointer, faults);
                pointer.truncate(length);
                if faults.len() >= MOST_FAULTS {
                    return;
                }
            }
        }
        (Json::Object(_), Some((name, rest))) => {
            if let Some(below) = value.member(name) {
                pointer.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                find(below, rest, pointer, faults);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowed, Overreach, judged};
    use crate::decode::Json;
    use crate::diagnostic::{Faults, SourceText};
    use crate::mapping::{Bound, Masked, ReadyAction, WriteOperation, compile};
    use crate::pipeline::operate::{FieldBound, OperateError, Within};
    use crate::staging::{ColumnType, Scalar};
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::Arc;

    const MAPPING: &str = r#"
resource = "orders"
version = 1
key = ["no"]
[source]
backend = "erp"
[source.csv]
files = "*.csv"
[fields]
no = { from = "NO" }
customer = { from = "CU", type = "integer" }
amount = { from = "AMT", type = "decimal(9,2)" }
[fields.buyer.object]
name = { from = "BN" }
vip = { from = "BV" }
[operations.update]
sql = [
  "update t set customer = coalesce(:customer, customer), amount = :sum, x = :any, y = :large where no = :no",
  { sql = "update b set vip = :vip, name = :name", with = { vip = "/buyer/vip", name = "/buyer/name" } },
  { sql = "insert into l values (:price, :sku)", each = "lines" },
]
[operations.update.body]
customer = { field = "customer", required = false, nullable = true }
sum = { field = "amount", required = false, nullable = true }
any = { type = "string", required = false }
large = { type = "number", required = false }
buyer = { required = false, object = { vip = { type = "string", required = false, nullable = true }, name = { type = "string", required = false } } }
lines = { required = false, each = { price = { field = "amount", required = false, nullable = true }, sku = "string" } }
"#;

    fn update() -> Arc<WriteOperation> {
        let faults = Faults::new();
        let source = SourceText::new(Path::new("m.toml"), MAPPING.to_owned());
        let plan = compile(&source, &|_| None, &faults);
        let plan = plan.unwrap_or_else(|| panic!("{:#?}", faults.into_sorted()));
        Arc::clone(&plan.operations[0])
    }

    fn hiding(paths: &[(&str, &str)]) -> Allowed {
        let masked = |(path, scope): &(&str, &str)| Masked { path: (*path).to_owned(), scope: (*scope).to_owned() };
        Allowed { hidden: paths.iter().map(masked).collect(), ..Allowed::default() }
    }

    fn customer(number: i64) -> Allowed {
        let values = vec![Scalar::Integer(number)];
        let bound = FieldBound { path: "customer".to_owned(), column: ColumnType::Integer, values };
        Allowed { within: Within::new(vec![bound]), hidden: Vec::new() }
    }

    /// Where a body has what is hidden; `None` where it is no JSON.
    fn told(body: &str, allowed: &Allowed) -> Option<Vec<String>> {
        match judged(&update(), Some(body), Some("1"), allowed) {
            Ok((_, None)) | Err(OperateError::Invalid(_)) => Some(Vec::new()),
            Ok((_, Some(Overreach::Hidden { faults, .. })))
            | Err(OperateError::NotAllowed(Overreach::Hidden { faults, .. })) => {
                Some(faults.into_iter().map(|fault| fault.pointer).collect())
            }
            Err(OperateError::NotJson(_)) => None,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn each_member_that_is_hidden_is_told() {
        let both = [("buyer", "pii:read"), ("amount", "money:read")];
        let body = r#"{"sum":null,"buyer":{"vip":"x"},"lines":[{"price":1},{},{"price":2}],"customer":3,"amount":"no member"}"#;
        let check = |hidden: &[(&str, &str)], body: &str, expected: &[&str]| {
            assert_eq!(told(body, &hiding(hidden)).unwrap(), expected, "{body}");
        };
        check(&both, body, &["/sum", "/buyer/vip", "/lines/0/price", "/lines/2/price"]);
        check(&both[..1], body, &["/buyer/vip"]);
        check(&[], body, &[]);
        check(&both, r#"{"customer":3}"#, &[]);
        check(&both, "[1]", &[]);
        check(&[("buyer.v", "pii:read")], r#"{"buyer":{"vip":"x"}}"#, &[]);
        let Ok((_, Some(Overreach::Hidden { faults, scopes }))) =
            judged(&update(), Some(r#"{"sum":1}"#), Some("1"), &hiding(&both))
        else {
            panic!("it is hidden");
        };
        assert_eq!(
            (scopes, faults[0].detail.as_str()),
            (vec!["money:read".to_owned()], "writing it takes the scope `money:read`")
        );
        let many = format!(r#"{{"lines":[{}]}}"#, vec![r#"{"price":1,"sku":"s"}"#; 25_000].join(","));
        assert_eq!(told(&many, &hiding(&both)).unwrap().len(), crate::mapping::MOST_FAULTS);
    }

    #[test]
    fn what_other_readers_refuse_is_judged_all_the_same() {
        let hidden = hiding(&[("amount", "money:read")]);
        let deep = |depth: usize| format!(r#"{{"sum":9,"deep":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        for body in [
            r#"{"sum":99999,"large":17976931348623158e292}"#.to_owned(),
            r#"{"sum":9,"large":1e400}"#.to_owned(),
            deep(200),
        ] {
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_err(), "the premise: {body}");
            assert_eq!(told(&body, &hidden).unwrap(), ["/sum"], "{body}");
        }
        assert_eq!(told(&deep(300), &hidden), None);
    }

    #[test]
    fn what_is_written_is_judged_by_its_value() {
        let ends = |body: &str| match judged(&update(), Some(body), Some("1"), &customer(1250)) {
            Ok((_, overreach)) => overreach.is_none(),
            Err(OperateError::NotAllowed(Overreach::Beyond(path))) if path == "customer" => false,
            Err(other) => panic!("{body}: {other}"),
        };
        for way in ["1250", "\"1250\"", "1250.0", "\"1250.00\"", "\"+1250\"", "\"01250\"", "1.25e3"] {
            assert!(ends(&format!(r#"{{"customer":{way}}}"#)), "{way}");
        }
        for way in [
            "\"125.0\"",
            "125.0",
            "\"12.50\"",
            "\"1.250\"",
            "125",
            "null",
            "true",
            "\"\"",
            "[1250]",
            "{}",
            "1.25e2",
            "-1250",
        ] {
            assert!(!ends(&format!(r#"{{"customer":{way}}}"#)), "{way}");
        }
        assert!(ends(r#"{"any":"1"}"#));
        // Of one that is to be made, what is not said is not theirs.
        assert_eq!(customer(1250).within.first_beyond(&update(), None, true), Some("customer"));
    }

    /// JSON of every kind, with numbers that no other reader takes.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|truth| truth.to_string()),
            "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,5})?",
            any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(" ,"))),
                proptest::collection::vec(("[a-f]{1,3}", inner), 0..4).prop_map(|all| {
                    let members: Vec<_> = all.iter().map(|(name, value)| format!("\"{name}\" : {value}")).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        /// Whatever the operation's parser accepts, the check judges: a hidden member is found beside anything.
        #[test]
        fn nothing_that_is_accepted_passes_unjudged(
            beside in proptest::collection::vec(json(), 0..4),
            value in json(),
            depth in 0usize..260,
            at in 0usize..4,
            is_escaped in any::<bool>(),
        ) {
            let mut members: Vec<String> =
                beside.iter().enumerate().map(|(number, json)| format!("\"m{number}\":{json}")).collect();
            let name = if is_escaped { "\\u0073um" } else { "sum" };
            members.insert(at.min(members.len()), format!("\"{name}\":{value}"));
            members.push(format!("\"deep\":{}{}", "[".repeat(depth), "]".repeat(depth)));
            let body = format!("{{{}}}", members.join(","));
            let told = told(&body, &hiding(&[("amount", "money:read")]));
            prop_assert_eq!(told, Json::parse(&body).ok().map(|_| vec!["/sum".to_owned()]), "{}", body);
        }

        /// What a bounded caller's body passes with is the value that is bound, however it is written; digits that would be
        /// the caller's without their point are not.
        #[test]
        fn what_passes_is_what_is_bound(
            number in -20_000i64..20_000,
            scale in 0u32..5,
            is_text in any::<bool>(),
            is_attack in any::<bool>(),
        ) {
            let write = update();
            let power = 10i64.pow(scale);
            let (sign, whole, part) = (if number < 0 { "-" } else { "" }, number.abs() / power, number.abs() % power);
            let digits = match usize::try_from(scale).unwrap() {
                0 => number.to_string(),
                width => format!("{sign}{whole}.{part:0width$}"),
            };
            let value = if is_text { format!("\"{digits}\"") } else { digits };
            let body = format!("{{\"customer\":{value}}}");
            let wanted = if is_attack { number } else { number / power };
            let passes = match judged(&write, Some(&body), Some("1"), &customer(wanted)) {
                Ok((request, None)) => {
                    let given = write.given(&request, "k", "id", "c", jiff::Timestamp::UNIX_EPOCH);
                    let steps = write.steps(&given);
                    let ReadyAction::Statement(_, values) = &steps[0].action else { panic!("a statement") };
                    prop_assert_eq!(&values[0], &Bound::Integer(wanted), "{}", body);
                    true
                }
                _ => false,
            };
            prop_assert_eq!(passes, number == wanted * power, "{} {}", body, wanted);
        }

        /// And the other way round: each way of writing the number is taken.
        #[test]
        fn every_way_of_writing_a_number_is_taken(wanted in any::<i32>(), zeros in 0usize..5, is_text in any::<bool>()) {
            let digits = format!("{wanted}{}{}", if zeros > 0 { "." } else { "" }, "0".repeat(zeros));
            let value = if is_text { format!("\"{digits}\"") } else { digits };
            let body = format!("{{\"customer\":{value}}}");
            let (_, overreach) = judged(&update(), Some(&body), Some("1"), &customer(i64::from(wanted))).unwrap();
            prop_assert_eq!(overreach, None, "{}", body);
        }
    }
}
