//! Values in a query string: the schema of one, and the pattern of several in a row.
//!
//! Lists are texts with a pattern and no arrays: clients are made to send arrays as the parameter once for each element,
//! and a parameter that is there twice is refused here.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::facade::value;
use crate::mapping::{DATE_PATTERN, FieldType, Fraction, Offset, TIME_PATTERN, decimal_text_pattern};

/// The distance of a moment from UTC.
const OFFSET: &str = "(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])";

/// A fraction of a second that says nothing, where records have none.
const NO_FRACTION: &str = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.0{1,9})?";

/// A text in a list: as it is, or in double quotes.
const TEXT: &str = "[^,()\"]*|\"([^\"\\\\]|\\\\[\"\\\\])*\"";

/// Values of one list at most, less one.
const MORE_VALUES: usize = crate::facade::query::MAX_VALUES - 1;

/// The schema of a single value that a record can have.
pub(super) fn schema(field_type: FieldType) -> Value {
    match field_type {
        FieldType::Integer { .. } => {
            json!({ "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX })
        }
        FieldType::Number => json!({ "type": "number" }),
        FieldType::Boolean => json!({ "type": "boolean" }),
        FieldType::Date => json!({ "type": "string", "format": "date" }),
        FieldType::Decimal { .. } | FieldType::Time { .. } | FieldType::Datetime { .. } => {
            json!({ "type": "string", "pattern": format!("^{}$", pattern(field_type)) })
        }
        _ => json!({ "type": "string" }),
    }
}

/// The schema of a value that bounds others, which may be finer than they are.
pub(super) fn bound(field_type: FieldType) -> Value {
    schema(match field_type {
        FieldType::Time { .. } => FieldType::Time { fraction: Fraction::Shortest },
        FieldType::Datetime { offset, .. } => FieldType::Datetime { offset, fraction: Fraction::Shortest },
        other => other,
    })
}

/// The schema of several with commas between them.
pub(super) fn list(field_type: FieldType) -> Value {
    let one = pattern(field_type);
    json!({ "type": "string", "pattern": format!("^({one})(,({one})){{0,{MORE_VALUES}}}$") })
}

/// A text as it stands in a list; nothing at all is the empty one.
pub(super) fn in_list(text: &str) -> String {
    if text.is_empty() { String::new() } else { value::quoted(text) }
}

/// The schema of several of these values with commas between them.
pub(super) fn list_of(declared: &[Cow<'_, str>]) -> Value {
    let one: Vec<String> = declared.iter().map(|text| literal(&in_list(text))).collect();
    let one = one.join("|");
    json!({ "type": "string", "pattern": format!("^({one})(,({one})){{0,{MORE_VALUES}}}$") })
}

/// How a value is written, as a regular expression.
fn pattern(field_type: FieldType) -> String {
    match field_type {
        // Longer ones are judged by their value.
        FieldType::Integer { .. } => "-?[0-9]{1,18}".to_owned(),
        FieldType::Decimal { precision, scale, .. } => decimal_text_pattern(precision, scale, true),
        FieldType::Number => "-?[0-9]{1,15}(\\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?".to_owned(),
        FieldType::Boolean => "true|false".to_owned(),
        FieldType::Date => DATE_PATTERN.to_owned(),
        FieldType::Time { fraction } => time(fraction).to_owned(),
        FieldType::Datetime { offset, fraction } => {
            let behind = match offset {
                Offset::Utc => OFFSET.to_owned(),
                Offset::Local => String::new(),
                Offset::AsRead => format!("{OFFSET}?"),
            };
            format!("{DATE_PATTERN}T{}{behind}", time(fraction))
        }
        _ => TEXT.to_owned(),
    }
}

fn time(fraction: Fraction) -> &'static str {
    match fraction {
        Fraction::Absent => NO_FRACTION,
        Fraction::Whole | Fraction::Shortest => TIME_PATTERN,
    }
}

/// A pattern of one or more of `one` with commas between them.
pub(super) fn several(one: &str) -> String {
    format!("^({one})(,({one}))*$")
}

/// The dotted paths of a schema's fields, as a regular expression; `None` where it names none.
pub(super) fn paths(schema: &Value) -> Option<String> {
    let properties = schema.get("properties").or_else(|| schema.get("items")?.get("properties"))?.as_object()?;
    if properties.is_empty() {
        return None;
    }
    let one = |(name, schema): (&String, &Value)| match paths(schema) {
        Some(below) => format!("{}(\\.({below}))?", literal(name)),
        None => literal(name),
    };
    Some(properties.iter().map(one).collect::<Vec<_>>().join("|"))
}

/// A name as it stands in a regular expression.
pub(super) fn literal(name: &str) -> String {
    let special = |c: char| "\\^$.|?*+()[]{}/".contains(c);
    name.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// A declared value as the schema of a single one lists it: of the type that the schema has.
pub(super) fn listed(field_type: FieldType, text: &str) -> Value {
    match field_type {
        FieldType::Integer { .. } | FieldType::Boolean => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    }
}

/// One of these values, as it is written in a query.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// An object with these members.
pub(super) fn object<N: Into<String>>(members: impl IntoIterator<Item = (N, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::{bound, list, paths, schema, several};
    use crate::facade::value;
    use crate::mapping::{FieldType, Fraction, Offset};
    use proptest::prelude::*;
    use regex::Regex;
    use serde_json::{Value, json};

    fn pattern(schema: &Value) -> Regex {
        Regex::new(schema["pattern"].as_str().unwrap()).unwrap()
    }

    const MONEY: FieldType = FieldType::Decimal { precision: 11, scale: 2, as_string: false };

    #[test]
    fn patterns_take_what_is_taken() {
        let check = |field_type: FieldType, text: &str, expected: bool| {
            assert_eq!(pattern(&list(field_type)).is_match(text), expected, "{field_type:?} {text}");
        };
        check(MONEY, "1.50,-2", true);
        check(MONEY, "1.505", false);
        check(MONEY, "", false);
        check(FieldType::Decimal { precision: 2, scale: 2, as_string: false }, "0.25", true);
        check(FieldType::Date, "2024-02-29,2024-12-31", true);
        check(FieldType::Date, "2024-04-31", false);
        let moment = |offset| FieldType::Datetime { offset, fraction: Fraction::Whole };
        check(moment(Offset::AsRead), "2024-02-29T12:00:00+02:00,2024-02-29T12:00:00.5", true);
        check(moment(Offset::Utc), "2024-02-29T12:00:00+02:00,2024-02-29T12:00:00.5Z", true);
        check(moment(Offset::Utc), "2024-02-29T12:00:00", false);
        check(moment(Offset::Local), "2024-02-29T12:00:00", true);
        check(moment(Offset::Local), "2024-02-29T12:00:00Z", false);
        check(FieldType::Time { fraction: Fraction::Absent }, "24:00:00", false);
        check(FieldType::Time { fraction: Fraction::Absent }, "23:00:00.5", false);
        check(FieldType::Time { fraction: Fraction::Absent }, "23:00:00.0", true);
        check(FieldType::String, "a b,\"New York, \\\"NY\\\"\",", true);
        check(FieldType::String, "a(b", false);
        check(FieldType::Boolean, "true,false", true);
        let sort = Regex::new(&several("-?(a|b)")).unwrap();
        assert!(sort.is_match("-a,b") && !sort.is_match("a,"));
    }

    #[test]
    fn paths_reach_into_objects_and_arrays() {
        let schema = json!({ "properties": {
            "no": {},
            "customer": { "properties": { "name": {}, "bank": { "properties": { "iban": {} } } } },
            "lines": { "items": { "properties": { "sku": {} } } },
        } });
        let one = Regex::new(&format!("^({})$", paths(&schema).unwrap())).unwrap();
        for path in ["no", "customer", "customer.name", "customer.bank.iban", "lines.sku"] {
            assert!(one.is_match(path), "{path}");
        }
        for path in ["name", "no.x", "customer.iban", "customerXname", ""] {
            assert!(!one.is_match(path), "{path}");
        }
    }

    proptest! {
        /// What the description promises of a single value is kept.
        #[test]
        fn what_fits_a_pattern_is_taken(
            money in "-?[0-9]{1,9}(\\.[0-9]{1,2})?",
            time in "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?",
            local in "[12][0-9]{3}-(0[469]|11)-(0[1-9]|[12][0-9]|30)T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?",
            offset in "(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])",
        ) {
            let fractions = [Fraction::Absent, Fraction::Whole, Fraction::Shortest];
            let zoned = format!("{local}{offset}");
            for fraction in fractions {
                let of_offset = |offset| FieldType::Datetime { offset, fraction };
                for (field_type, text) in [
                    (MONEY, &money),
                    (FieldType::Time { fraction }, &time),
                    (of_offset(Offset::Utc), &zoned),
                    (of_offset(Offset::Local), &local),
                    (of_offset(Offset::AsRead), &zoned),
                    (of_offset(Offset::AsRead), &local),
                ] {
                    prop_assert!(pattern(&bound(field_type)).is_match(text), "{field_type:?} {text}");
                    prop_assert!(value::parse_bound(field_type, text).is_ok(), "{field_type:?} {text}");
                    let is_taken = value::parse(field_type, text).is_ok();
                    prop_assert_eq!(pattern(&schema(field_type)).is_match(text), is_taken, "{:?} {}", field_type, text);
                }
            }
        }
    }
}
