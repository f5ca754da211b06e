//! A value as the layout says it, before any mapping.

use std::borrow::Cow;

use super::Decimal;

/// What one field of a record holds once its bytes are understood.
///
/// Blank, low-value and invalid fields are not values: they are [`FieldFault`](super::FieldFault)s, so that
/// the mapping has to say what becomes of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// The source has no value here (a CSV row that ends early where the dialect permits it).
    Null,
    /// Text in UTF-8, trimmed as the layout says.
    Text(Cow<'a, str>),
    /// An exact number; a whole number has scale 0.
    Decimal(Decimal),
    /// A binary floating-point number (COMP-1, COMP-2): the only kind that may be inexact.
    Float(f64),
    /// True or false, from formats that have the notion.
    Boolean(bool),
    /// Bytes that are no text.
    Bytes(Cow<'a, [u8]>),
}

impl Value<'_> {
    /// The name of the kind, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Text(_) => "text",
            Value::Decimal(_) => "number",
            Value::Float(_) => "floating-point number",
            Value::Boolean(_) => "boolean",
            Value::Bytes(_) => "bytes",
        }
    }
}
