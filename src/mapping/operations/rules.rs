//! The rules of a single value of a body: as written, or taken from a field of the resource and turned round.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use regex::Regex;

use super::Surroundings;
use super::bound::{Bound, kind_of, single_type};
use super::scalar::{Limit, Scalar};
use crate::decode::Json;
use crate::diagnostic::{Entries, Node, Table, Written};
use crate::mapping::exposure::FieldType;
use crate::mapping::literal;
use crate::mapping::types::Type;

/// What of a resource's field holds for what callers send, too.
const SAME: [&str; 9] = ["type", "pattern", "min_length", "max_length", "min", "max", "zone", "title", "description"];

/// What of a resource's field cannot be turned round.
const ONE_WAY: [(&str, &str); 6] = [
    ("lookup", "its values come from a table"),
    ("implied_scale", "its decimal point is not written"),
    ("constant", "it is the same in every record"),
    ("expr", "it is computed"),
    ("each", "it is an array"),
    ("object", "it is an object"),
];

/// A field as written, with what `field` brings. A string stands for a table with this `key` alone.
pub(super) fn merged(node: &Node, key: &str, around: &Surroundings<'_>) -> Option<Node> {
    let mut node = node.clone();
    if let Written::String(_) = node.value {
        let inner = node.clone();
        node.value = Written::Table(Entries::from_iter([(key.to_owned(), inner)]));
    }
    let Some(named) = node.as_table().and_then(|entries| entries.get("field")).cloned() else { return Some(node) };
    let Some(path) = named.as_str() else {
        around.faults.push(named.fault(format!("`field`: expected the path of a field, found {}", named.kind())));
        return None;
    };
    let mut entries = borrowed(path, &named, node.as_table()?, around)?;
    for (name, own) in node.as_table()? {
        entries.insert(name.clone(), own.clone());
    }
    node.value = Written::Table(entries);
    Some(node)
}

/// What the resource's field at this path brings; `own` is what is said beside it.
fn borrowed(path: &str, named: &Node, own: &Entries, around: &Surroundings<'_>) -> Option<Entries> {
    let (Some(shape), Some(written)) = (around.shape.find(path), written(around.fields, path)) else {
        let paths = around.shape.scalar_paths();
        let fault = named.fault(format!("there is no field `{path}` in the resource"));
        around.faults.push(match crate::diagnostic::nearest(path, paths.iter().map(String::as_str)) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(format!("the fields are: {}", paths.join(", "))),
        });
        return None;
    };
    if shape.broken {
        // Its faults are told where it is written.
        return None;
    }
    let says = |name: &str| own.contains_key(name);
    let one_way = |why: &str, help: &str| {
        let fault = named.fault(format!("`{path}` cannot be translated back: {why}"));
        around.faults.push(fault.help(help.to_owned()));
    };
    for (key, why) in ONE_WAY {
        if written.contains_key(key) && !(says("type") || says("values")) {
            one_way(why, "say `type`, and `values` where it has any, here");
            return None;
        }
    }
    let mut entries = Entries::new();
    for key in SAME {
        if let Some(node) = written.get(key) {
            entries.insert(key.to_owned(), node.clone());
        }
    }
    let synthetic = |value: Written| Node { value, ..named.clone() };
    if !entries.contains_key("type") {
        entries.insert("type".to_owned(), synthetic(Written::String(type_of(shape.field_type).name())));
    }
    if !says("values") {
        if let Some(Written::Table(table)) = written.get("values").map(|node| &node.value) {
            entries.insert("values".to_owned(), synthetic(Written::Table(turned(path, table, &one_way)?)));
            for key in ["pattern", "min_length", "max_length", "min", "max"] {
                entries.shift_remove(key);
            }
        } else if shape.field_type == FieldType::Boolean {
            let words =
                |key: &str| written.get(key).map(|node| node.as_array().map_or(vec![node], |all| all.iter().collect()));
            if let (Some(truths), Some(falsehoods)) = (words("true_if"), words("false_if")) {
                let ([truth], [falsehood]) = (truths.as_slice(), falsehoods.as_slice()) else {
                    one_way("several words mean true or false", "say `values = { true = \"Y\", false = \"N\" }` here");
                    return None;
                };
                let table = [("true".to_owned(), (*truth).clone()), ("false".to_owned(), (*falsehood).clone())];
                entries.insert("values".to_owned(), synthetic(Written::Table(Entries::from_iter(table))));
            }
        }
    }
    if !says("format")
        && let Some(node) = written.get("format")
    {
        match node.as_array() {
            None => drop(entries.insert("format".to_owned(), node.clone())),
            Some([one]) => drop(entries.insert("format".to_owned(), one.clone())),
            Some(_) => {
                one_way("it has several forms", "say `format` here");
                return None;
            }
        }
    }
    if !says("null")
        && let Some(node) = written.get("null_if")
    {
        // Of several words for nothing none is the one.
        match node.as_array() {
            None => drop(entries.insert("null".to_owned(), node.clone())),
            Some([one]) => drop(entries.insert("null".to_owned(), one.clone())),
            Some(_) => {}
        }
    }
    Some(entries)
}

/// A table of values turned round: what is served = what the source has.
fn turned(path: &str, table: &Entries, one_way: &impl Fn(&str, &str)) -> Option<Entries> {
    let mut turned = Entries::new();
    for (source, node) in table {
        let served = match &node.value {
            Written::String(text) | Written::Float(text) => text.clone(),
            Written::Integer(number) => number.to_string(),
            Written::Boolean(truth) => truth.to_string(),
            _ => continue,
        };
        let bound = Node { value: Written::String(source.clone()), ..node.clone() };
        if let Some(before) = turned.insert(served.clone(), bound) {
            let before = before.as_str().unwrap_or_default().to_owned();
            let why = format!("`{served}` stands for `{before}` and for `{source}` in `fields.{path}`");
            one_way(&why, &format!("say `values = {{ {served} = \"{source}\", ... }}` here"));
            return None;
        }
    }
    Some(turned)
}

/// The field of the resource as it is written.
pub(in crate::mapping) fn written<'a>(fields: Option<&'a Entries>, path: &str) -> Option<&'a Entries> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let entries = fields?.get(first)?.as_table()?;
    match rest {
        None => Some(entries),
        Some(rest) => written(entries.get("object")?.as_table(), rest),
    }
}

fn type_of(field_type: FieldType) -> Type {
    match field_type {
        FieldType::String => Type::String,
        FieldType::Integer { .. } => Type::Integer,
        FieldType::Decimal { precision, scale, .. } => Type::Decimal { precision, scale },
        FieldType::Number => Type::Number,
        FieldType::Boolean => Type::Boolean,
        FieldType::Date => Type::Date,
        FieldType::Time { .. } => Type::Time,
        FieldType::Datetime { .. } => Type::Datetime,
        FieldType::Bytes => Type::Bytes,
        FieldType::Object => Type::Object,
        FieldType::Array => Type::Array,
        FieldType::Any => Type::Any,
    }
}

/// The rules of a part of the record's key.
pub(in crate::mapping) fn of_key(path: &str, at: &Node, around: &Surroundings<'_>) -> Option<Scalar> {
    let named = Node { value: Written::String(path.to_owned()), ..at.clone() };
    let node = Node { value: Written::Table(Entries::from_iter([("field".to_owned(), named)])), ..at.clone() };
    let node = merged(&node, "type", around)?;
    let table = Table::new(&node, &super::keys::INPUT, around.faults)?;
    scalar(&table, path)
}

/// The rules of a single value.
pub(super) fn scalar(table: &Table<'_>, name: &str) -> Option<Scalar> {
    let has_values = table.has("values");
    if !table.has("type") && !has_values {
        let fault = table.node().key_fault(format!("`{name}` has no `type`"));
        table.fail(fault.help("say `type`, or by `field` which field of the resource it is"));
        return None;
    }
    let value_type = match table.has("type") {
        true => table.read("type", single_type)?,
        false => Type::String,
    };
    let mut scalar = Scalar::of(value_type);
    let refuse = |keys: &[&str], is_wrong: bool, why: &str| {
        for node in keys.iter().filter(|_| is_wrong).filter_map(|key| table.get(key)) {
            table.fail(
                node.key_fault(format!("this has no meaning in a value of type `{}`", value_type.name())).help(why),
            );
        }
    };
    refuse(&["pattern", "min_length", "max_length"], value_type != Type::String, "it belongs to string");
    refuse(
        &["min", "max"],
        !value_type.is_number() && !value_type.is_moment(),
        "it belongs to numbers, dates and times",
    );
    refuse(&["format"], !value_type.is_moment(), "it belongs to date, time and datetime");
    refuse(&["zone"], value_type != Type::Datetime, "it belongs to datetime");
    scalar.pattern = table.read("pattern", |node| {
        let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
        Regex::new(text).map_err(|error| format!("this is no regular expression: {error}"))
    });
    let length = |name: &str| table.integer(name, 0..=1 << 30).and_then(|length| usize::try_from(length).ok());
    (scalar.min_length, scalar.max_length) = (length("min_length"), length("max_length"));
    let limit = |name: &str| {
        table.read(name, |node| match value_type.is_moment() {
            true => literal::moment(node, value_type, false).map(Limit::Moment),
            false => literal::number(node).map(Limit::Number),
        })
    };
    (scalar.min, scalar.max) = (limit("min"), limit("max"));
    scalar.format = table.read("format", |node| format(node, value_type));
    scalar.zone = table.read("zone", zone);
    if has_values {
        scalar.values = table.read("values", values);
    }
    scalar.null = match table.has("null") {
        true => table.read("null", Bound::constant)?,
        false => Bound::Null(kind_of(value_type)),
    };
    Some(scalar)
}

fn values(node: &Node) -> Result<Vec<(String, Bound)>, String> {
    let Some(entries) = node.as_table() else { return Err(format!("expected a table, found {}", node.kind())) };
    if entries.is_empty() {
        return Err("it has no values".to_owned());
    }
    entries.iter().map(|(name, node)| Bound::constant(node).map(|bound| (name.clone(), bound))).collect()
}

/// A time zone by its name.
pub(super) fn zone(node: &Node) -> Result<TimeZone, String> {
    let name = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
    TimeZone::get(name).map_err(|_| format!("there is no time zone `{name}`"))
}

/// A form of dates that can be written: it is tried once.
fn format(node: &Node, value_type: Type) -> Result<String, String> {
    let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
    let sample: DateTime = jiff::civil::date(2026, 1, 31).at(23, 59, 59, 0);
    let written = match value_type {
        Type::Date => jiff::fmt::strtime::format(text, sample.date()),
        Type::Time => jiff::fmt::strtime::format(text, sample.time()),
        _ => jiff::fmt::strtime::format(text, sample),
    };
    written.map(|_| text.to_owned()).map_err(|error| format!("`{text}` is no form of a {}: {error}", value_type.name()))
}

/// A default, judged as if a caller had sent it.
pub(super) fn default(scalar: &Scalar, node: &Node) -> Result<Bound, String> {
    let number;
    let json = match &node.value {
        Written::String(text) | Written::Datetime(text) => Json::Text(text.as_str().into()),
        Written::Boolean(truth) => Json::Boolean(*truth),
        Written::Float(text) => Json::Number(text),
        Written::Integer(written) => {
            number = written.to_string();
            Json::Number(&number)
        }
        _ => return Err(format!("expected a single value, found {}", node.kind())),
    };
    scalar.read(&json)
}
