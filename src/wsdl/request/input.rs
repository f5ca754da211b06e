//! What a request is made of: a JSON value whose numbers are the text they were written as.

use std::borrow::Cow;

use serde_json::Value;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number, as it is written.
    Number(Cow<'a, str>),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Input<'a>>),
    /// An object, in its order.
    Object(Vec<(Cow<'a, str>, Input<'a>)>),
}

impl<'a> Input<'a> {
    /// The kind, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Input::Null => "null",
            Input::Boolean(_) => "a boolean",
            Input::Number(_) => "a number",
            Input::Text(_) => "a string",
            Input::Array(_) => "an array",
            Input::Object(_) => "an object",
        }
    }

    /// The member of an object.
    pub fn member(&self, name: &str) -> Option<&Input<'a>> {
        let Input::Object(members) = self else { return None };
        members.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }
}

/// Numbers are as exact as the value has them: a decimal that went through a float is not what it was. Where decimals
/// matter, what reads the text keeps it, and makes an [`Input`] of that.
impl<'a> From<&'a Value> for Input<'a> {
    fn from(value: &'a Value) -> Input<'a> {
        match value {
            Value::Null => Input::Null,
            Value::Bool(value) => Input::Boolean(*value),
            Value::Number(number) => Input::Number(number.to_string().into()),
            Value::String(text) => Input::Text(text.as_str().into()),
            Value::Array(elements) => Input::Array(elements.iter().map(Input::from).collect()),
            Value::Object(members) => {
                Input::Object(members.iter().map(|(name, value)| (name.as_str().into(), value.into())).collect())
            }
        }
    }
}
