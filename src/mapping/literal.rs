//! Values that stand in the mapping itself (`default`, `constant`, `values`, `min`), checked against the
//! field's type and turned into JSON once.

use jiff::civil::{Date, DateTime, Time};

use super::json;
use super::types::Type;
use crate::diagnostic::{Node, Written};
use crate::record::Decimal;

/// An exact number as written: TOML integers and floats, or a string.
pub(super) fn number(node: &Node) -> Result<Decimal, String> {
    match &node.value {
        Written::Integer(number) => Ok(Decimal::from_i64(*number)),
        Written::Float(text) | Written::String(text) => {
            Decimal::parse(text, b'.', None).map_err(|error| format!("`{text}`: {error}"))
        }
        _ => Err(format!("expected a number, found {}", node.kind())),
    }
}

/// A boundary for dates and times: the ISO text that the field is served as.
pub(super) fn moment(node: &Node, wanted: Type, utc: bool) -> Result<String, String> {
    let text = match &node.value {
        Written::String(text) | Written::Datetime(text) => text.as_str(),
        _ => return Err(format!("expected a date or time, found {}", node.kind())),
    };
    let right = match wanted {
        Type::Date => text.parse::<Date>().is_ok_and(|date| date.to_string() == text),
        Type::Time => text.parse::<Time>().is_ok_and(|time| time.to_string() == text),
        _ => {
            let local = if utc { text.strip_suffix('Z').unwrap_or("") } else { text };
            local.parse::<DateTime>().is_ok_and(|moment| moment.to_string() == local)
        }
    };
    let form = match wanted {
        Type::Date => "2026-12-31",
        Type::Time => "23:59:59",
        _ if utc => "2026-12-31T23:59:59Z",
        _ => "2026-12-31T23:59:59",
    };
    if right { Ok(text.to_owned()) } else { Err(format!("`{text}` is not written like {form}")) }
}

/// The value as JSON of the type.
pub(super) fn value(node: &Node, wanted: Type, as_string: bool, utc: bool) -> Result<Vec<u8>, String> {
    let expected = |what: &str| format!("expected {what}, found {}", node.kind());
    match wanted {
        Type::String | Type::Bytes => node.as_str().map(json::string).ok_or_else(|| expected("a string")),
        Type::Boolean => match node.value {
            Written::Boolean(truth) => Ok(truth.to_string().into_bytes()),
            _ => Err(expected("true or false")),
        },
        Type::Integer => exact(node, 38, 0, as_string),
        Type::Decimal { precision, scale } => exact(node, precision, scale, as_string),
        Type::Number => number(node).map(|number| number.to_string().into_bytes()),
        Type::Date | Type::Time | Type::Datetime => moment(node, wanted, utc).map(|text| json::string(&text)),
        Type::Any => match &node.value {
            Written::String(text) => Ok(json::string(text)),
            Written::Boolean(truth) => Ok(truth.to_string().into_bytes()),
            Written::Integer(_) | Written::Float(_) => number(node).map(|number| number.to_string().into_bytes()),
            _ => Err(expected("a string, a number or a boolean")),
        },
        Type::Object | Type::Array => Err(format!("an {} cannot be written here", wanted.name())),
    }
}

fn exact(node: &Node, precision: u8, scale: u8, as_string: bool) -> Result<Vec<u8>, String> {
    let number = number(node)?;
    let exact = number.rescale(scale).map_err(|error| format!("`{number}` {error}"))?;
    if exact.integer_digits() > u32::from(precision - scale) {
        return Err(format!("`{number}` has more digits than the type"));
    }
    Ok(if as_string { json::string(&exact.to_string()) } else { exact.to_string().into_bytes() })
}

/// The type that a constant has by itself.
pub(super) fn type_of(node: &Node) -> Option<Type> {
    match &node.value {
        Written::String(_) => Some(Type::String),
        Written::Integer(_) => Some(Type::Integer),
        Written::Boolean(_) => Some(Type::Boolean),
        Written::Float(text) => Decimal::parse(text, b'.', None).ok().map(|number| {
            let digits = number.units().unsigned_abs().checked_ilog10().map_or(1, |log| log as u8 + 1);
            Type::Decimal { precision: digits.max(number.scale()).max(1), scale: number.scale() }
        }),
        _ => None,
    }
}
