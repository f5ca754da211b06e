//! JSON Schema (2020-12) of what the plan produces, built rule by rule beside the plan itself.
//!
//! Decimals served as JSON numbers say their scale by `x-scale` and not by `multipleOf`: widespread
//! validators divide in binary floating point and would refuse 19.99 as a multiple of 0.01.

use serde_json::{Map, Value, json};

use super::convert::Bounds;
use super::exposure::{FieldType, Fraction, Offset};
use super::pattern::portable;
use super::types::Type;
use crate::record::Decimal;

/// What is known of one field: for the schema, and for deciding what may be a key, a filter or sorted by.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) field_type: FieldType,
    /// A rule of the field makes it null. That a source may have no value there is another matter.
    pub(super) nullable: bool,
    /// The most digits its numbers can have, where known.
    pub(super) digits: Option<u8>,
    pub(super) schema: Value,
    pub(super) children: Vec<(String, Shape)>,
    /// Its rules have faults: nothing more can be said of it than that it is there.
    pub(super) broken: bool,
}

impl Shape {
    /// A field whose rules have faults.
    pub(super) fn broken() -> Shape {
        Shape {
            field_type: FieldType::Any,
            nullable: false,
            digits: None,
            schema: Value::Null,
            children: Vec::new(),
            broken: true,
        }
    }

    /// The field at a dotted path; `None` when there is none, or an array is on the way.
    pub(super) fn find(&self, path: &str) -> Option<&Shape> {
        let mut shape = self;
        for name in path.split('.') {
            if shape.broken {
                return Some(shape);
            }
            if shape.field_type != FieldType::Object {
                return None;
            }
            shape = shape.children.iter().find(|(known, _)| known == name).map(|(_, child)| child)?;
        }
        Some(shape)
    }

    /// The dotted paths of all scalars that no array holds.
    pub(super) fn scalar_paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for (name, child) in &self.children {
            match child.field_type {
                FieldType::Object => {
                    paths.extend(child.scalar_paths().into_iter().map(|path| format!("{name}.{path}")))
                }
                FieldType::Array => {}
                _ => paths.push(name.clone()),
            }
        }
        paths
    }
}

/// An object of fields; every field is always there, null where it has no value.
pub(super) fn object(children: Vec<(String, Shape)>) -> Shape {
    let names: Vec<&String> = children.iter().map(|(name, _)| name).collect();
    let properties: Map<String, Value> =
        children.iter().map(|(name, shape)| (name.clone(), shape.schema.clone())).collect();
    let schema = json!({
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    });
    Shape { field_type: FieldType::Object, nullable: false, digits: None, schema, children, broken: false }
}

/// An array of elements of one kind.
pub(super) fn array(element: Shape) -> Shape {
    let schema = json!({ "type": "array", "items": element.schema });
    Shape { field_type: FieldType::Array, nullable: false, digits: None, schema, children: Vec::new(), broken: false }
}

/// What the schema of a scalar is made from.
pub(super) struct Facts<'a> {
    pub(super) value_type: Type,
    pub(super) as_string: bool,
    pub(super) nullable: bool,
    /// It can be null because of a rule, and not only because the source may have no value.
    pub(super) null_by_rule: bool,
    pub(super) digits: Option<u8>,
    pub(super) bounds: Bounds,
    pub(super) min_length: Option<usize>,
    pub(super) max_length: Option<usize>,
    pub(super) pattern: Option<&'a str>,
    /// In UTC, with `Z`.
    pub(super) utc: bool,
    pub(super) fraction: bool,
    /// The fraction as far as it says something.
    pub(super) loose: bool,
    /// A moment with an offset is in UTC, with `Z`, where others are not.
    pub(super) offset_as_given: bool,
    /// Every JSON value that it can have, where they can be listed.
    pub(super) values: Option<Vec<Vec<u8>>>,
}

/// A single value.
pub(super) fn scalar(facts: &Facts<'_>) -> Shape {
    let mut schema = Map::new();
    let kind = match facts.value_type {
        Type::Integer if !facts.as_string => Some("integer"),
        Type::Decimal { .. } if !facts.as_string => Some("number"),
        Type::Number => Some("number"),
        Type::Boolean => Some("boolean"),
        Type::Any => None,
        _ => Some("string"),
    };
    if let Some(kind) = kind {
        schema.insert("type".into(), if facts.nullable { json!([kind, "null"]) } else { json!(kind) });
    }
    match facts.value_type {
        Type::Integer if facts.as_string => {
            schema.insert("pattern".into(), json!("^(0|-?[1-9][0-9]*)$"));
        }
        Type::Decimal { precision, scale } => {
            if facts.as_string {
                schema.insert("pattern".into(), json!(decimal_pattern(precision, scale)));
            }
            schema.insert("x-precision".into(), json!(precision));
            schema.insert("x-scale".into(), json!(scale));
        }
        Type::Date => {
            schema.insert("format".into(), json!("date"));
        }
        Type::Datetime if facts.utc => {
            schema.insert("format".into(), json!("date-time"));
        }
        // The formats `time` and `date-time` of JSON Schema demand an offset from UTC.
        Type::Time | Type::Datetime => {
            let fraction = match (facts.fraction, facts.loose) {
                (false, _) => "",
                (true, false) => "\\.[0-9]{9}",
                (true, true) => "(\\.[0-9]{1,9})?",
            };
            let offset = if facts.offset_as_given { "Z?" } else { "" };
            let date = if facts.value_type == Type::Time { "" } else { "[0-9]{4}-[0-9]{2}-[0-9]{2}T" };
            schema
                .insert("pattern".into(), json!(format!("^{date}[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}{fraction}{offset}$")));
        }
        Type::Bytes => {
            schema.insert("contentEncoding".into(), json!("base64"));
        }
        _ => {}
    }
    if !facts.as_string {
        insert_number(&mut schema, "minimum", facts.bounds.min);
        insert_number(&mut schema, "maximum", facts.bounds.max);
    }
    if let Some(pattern) = facts.pattern {
        match portable(pattern) {
            Some(said) => schema.insert("pattern".into(), json!(said)),
            None => schema.insert("x-pattern".into(), json!(pattern)),
        };
    }
    if let Some(length) = facts.min_length {
        schema.insert("minLength".into(), json!(length));
    }
    if let Some(length) = facts.max_length {
        schema.insert("maxLength".into(), json!(length));
    }
    if let Some(values) = &facts.values {
        let mut listed: Vec<Value> = Vec::new();
        for value in values.iter().filter_map(|json| serde_json::from_slice(json).ok()) {
            if !listed.contains(&value) {
                listed.push(value);
            }
        }
        if facts.nullable && !listed.contains(&Value::Null) {
            listed.push(Value::Null);
        }
        schema.insert("enum".into(), Value::Array(listed));
    }
    Shape {
        field_type: exposed(facts),
        nullable: facts.null_by_rule,
        digits: facts.digits,
        schema: Value::Object(schema),
        children: Vec::new(),
        broken: false,
    }
}

/// The type as the facade sees it, with the form of times and timestamps.
fn exposed(facts: &Facts<'_>) -> FieldType {
    let fraction = match (facts.fraction, facts.loose) {
        (false, _) => Fraction::Absent,
        (true, false) => Fraction::Whole,
        (true, true) => Fraction::Shortest,
    };
    let offset = match (facts.utc, facts.offset_as_given) {
        (true, _) => Offset::Utc,
        (false, true) => Offset::AsRead,
        (false, false) => Offset::Local,
    };
    match facts.value_type {
        Type::Time => FieldType::Time { fraction },
        Type::Datetime => FieldType::Datetime { offset, fraction },
        other => other.exposed(facts.as_string),
    }
}

/// Texts for people.
pub(super) fn annotate(shape: &mut Shape, title: Option<String>, description: Option<String>) {
    if let Value::Object(schema) = &mut shape.schema {
        if let Some(title) = title {
            schema.insert("title".into(), Value::String(title));
        }
        if let Some(description) = description {
            schema.insert("description".into(), Value::String(description));
        }
    }
}

fn decimal_pattern(precision: u8, scale: u8) -> String {
    let whole = match precision - scale {
        0 => "0".to_owned(),
        1 => "[0-9]".to_owned(),
        digits => format!("(0|[1-9][0-9]{{0,{}}})", digits - 1),
    };
    if scale == 0 { format!("^-?{whole}$") } else { format!("^-?{whole}\\.[0-9]{{{scale}}}$") }
}

fn insert_number(schema: &mut Map<String, Value>, key: &str, number: Option<Decimal>) {
    if let Some(value) = number.and_then(|number| serde_json::from_str(&number.to_string()).ok()) {
        schema.insert(key.into(), value);
    }
}
