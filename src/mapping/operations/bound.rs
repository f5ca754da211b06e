//! Values on their way to a statement.

use crate::decode::rows::ColumnKind;
use crate::diagnostic::{Node, Written};
use crate::mapping::literal;
use crate::mapping::types::Type;
use crate::record::Decimal;

/// A value that is bound to a statement or handed to a procedure.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// NULL, of this kind.
    Null(ColumnKind),
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// An exact number.
    Decimal(Decimal),
    /// A binary floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A date, time or timestamp in the canonical form of its kind.
    Written(ColumnKind, String),
    /// What an earlier step brings.
    Taken {
        /// The number of the step, from 0.
        step: usize,
        /// Its column or argument.
        from: String,
        /// What it is.
        kind: ColumnKind,
    },
}

impl Bound {
    /// A constant of the mapping.
    pub(super) fn constant(node: &Node) -> Result<Bound, String> {
        match &node.value {
            Written::String(text) => Ok(Bound::Text(text.clone())),
            Written::Integer(number) => Ok(Bound::Integer(*number)),
            Written::Boolean(truth) => Ok(Bound::Boolean(*truth)),
            Written::Float(_) => literal::number(node).map(Bound::Decimal),
            _ => Err(format!("expected a string, a number or a boolean, found {}", node.kind())),
        }
    }

    /// As text: in a serial key, in a record's key, in an answer. `None` for NULL and for what is not known yet.
    pub fn text(&self) -> Option<String> {
        match self {
            Bound::Null(_) | Bound::Taken { .. } => None,
            Bound::Boolean(truth) => Some(truth.to_string()),
            Bound::Integer(number) => Some(number.to_string()),
            Bound::Decimal(number) => Some(number.to_string()),
            Bound::Float(number) => Some(number.to_string()),
            Bound::Text(text) | Bound::Written(_, text) => Some(text.clone()),
            Bound::Bytes(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }
}

/// How a database has values of a type.
pub(super) fn kind_of(value_type: Type) -> ColumnKind {
    match value_type {
        Type::Integer => ColumnKind::Integer,
        Type::Decimal { precision, scale } => ColumnKind::Decimal { precision, scale },
        Type::Number => ColumnKind::Float,
        Type::Boolean => ColumnKind::Boolean,
        Type::Date => ColumnKind::Date,
        Type::Time => ColumnKind::Time,
        Type::Datetime => ColumnKind::DateTime,
        Type::Bytes => ColumnKind::Bytes { max: None },
        Type::String | Type::Any | Type::Object | Type::Array => ColumnKind::Text { max_chars: None },
    }
}

/// The type of a single value at a key of a table; the fault is the table's.
pub(super) fn single_type(node: &Node) -> Result<Type, String> {
    let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
    match Type::parse(text)? {
        Type::Any | Type::Object | Type::Array => Err(format!("`{text}` is no type of a single value")),
        other => Ok(other),
    }
}
