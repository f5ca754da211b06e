//! What a caller gets of an operation that is done: fields made of what the last steps brought.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::bound::single_type;
use super::keys::ANSWER;
use super::steps::{Origin, Scope};
use super::{Brought, Given, rules};
use crate::diagnostic::{Entries, Node, Table, Written};
use crate::mapping::is_name;
use crate::mapping::types::Type;
use crate::record::Decimal;

/// What is answered.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Where the operation stands.
    Status,
    /// The record, read again.
    Record,
    /// These fields.
    Fields(Vec<AnswerField>),
}

#[derive(Clone, Debug)]
pub(super) struct AnswerField {
    name: String,
    from: From,
    value_type: Type,
    values: Vec<(String, Value)>,
    title: Option<String>,
    description: Option<String>,
}

#[derive(Clone, Debug)]
enum From {
    /// A column or argument of the last step that has it.
    Result(String),
    Known(Origin),
}

/// Decimals of up to so many digits are JSON numbers.
const NUMBER_DIGITS: u8 = 15;

/// The largest whole number that every reader of JSON keeps exact.
const LARGEST: i128 = (1 << 53) - 1;

impl Answer {
    pub(super) fn compile(node: Option<&Node>, scope: &mut Scope<'_>) -> Option<Answer> {
        let Some(node) = node else { return Some(Answer::Status) };
        match &node.value {
            Written::String(text) if text == "record" => Some(Answer::Record),
            Written::Table(entries) if !entries.is_empty() => fields(entries, scope).map(Answer::Fields),
            _ => {
                scope.around.faults.push(node.fault("`answer` is \"record\" or a table of fields"));
                None
            }
        }
    }

    /// The answer as JSON; the fault says what is not as declared. `None` where it is not made of results.
    pub(super) fn write(&self, given: &Given<'_>, brought: &[Brought]) -> Option<Result<String, String>> {
        let Answer::Fields(fields) = self else { return None };
        let mut out = String::from("{");
        for (number, field) in fields.iter().enumerate() {
            if number > 0 {
                out.push(',');
            }
            out.push_str(&Value::from(field.name.as_str()).to_string());
            out.push(':');
            match field.written(given, brought) {
                Ok(json) => out.push_str(&json),
                Err(fault) => return Some(Err(format!("`{}` of the answer: {fault}", field.name))),
            }
        }
        out.push('}');
        Some(Ok(out))
    }

    /// A field's value as text.
    pub(super) fn text(&self, name: &str, given: &Given<'_>, brought: &[Brought]) -> Option<String> {
        let Answer::Fields(fields) = self else { return None };
        let field = fields.iter().find(|field| field.name == name)?;
        let json = field.written(given, brought).ok()?;
        match serde_json::from_str(&json).ok()? {
            Value::Null => None,
            Value::String(text) => Some(text),
            _ => Some(json),
        }
    }

    /// Whether it has a field of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        matches!(self, Answer::Fields(fields) if fields.iter().any(|field| field.name == name))
    }

    /// JSON Schema (2020-12) of the fields.
    pub(super) fn schema(&self) -> Option<Value> {
        let Answer::Fields(fields) = self else { return None };
        let properties: Map<String, Value> = fields.iter().map(|field| (field.name.clone(), field.schema())).collect();
        let required: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        Some(json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false }))
    }
}

fn fields(entries: &Entries, scope: &mut Scope<'_>) -> Option<Vec<AnswerField>> {
    let mut fields = Vec::new();
    let mut is_sound = true;
    for (name, node) in entries {
        if !is_name(name) {
            scope.around.faults.push(node.key_fault(format!("`{name}` is no name for a field")));
            is_sound = false;
            continue;
        }
        match field(name, node, scope) {
            Some(field) => fields.push(field),
            None => is_sound = false,
        }
    }
    is_sound.then_some(fields)
}

fn field(name: &str, node: &Node, scope: &mut Scope<'_>) -> Option<AnswerField> {
    let node = rules::merged(node, "from", scope.around)?;
    let table = Table::new(&node, &ANSWER, scope.around.faults)?;
    let from = table.filled("from")?;
    let from = match from.strip_prefix(':') {
        Some(known) => From::Known(scope.resolve(known, table.get("from")?, None)?),
        None => From::Result(from),
    };
    let value_type = table.read("type", single_type)?;
    let mut values = Vec::new();
    for (source, node) in table.free("values") {
        let served = match &node.value {
            Written::String(text) => json!(text),
            Written::Integer(number) => json!(number),
            Written::Boolean(truth) => json!(truth),
            _ => {
                table.fail(node.fault(format!("expected a string, an integer or a boolean, found {}", node.kind())));
                continue;
            }
        };
        values.push((source.to_owned(), served));
    }
    let (title, description) = (table.filled("title"), table.filled("description"));
    let field = AnswerField { name: name.to_owned(), from, value_type, values, title, description };
    (!table.failed()).then_some(field)
}

impl AnswerField {
    fn written(&self, given: &Given<'_>, brought: &[Brought]) -> Result<String, String> {
        let found = match &self.from {
            From::Result(name) => {
                let last = brought.iter().rev().find_map(|step| step.get(name));
                last.ok_or_else(|| format!("no step has brought `{name}`"))?.map(<[u8]>::to_vec)
            }
            From::Known(Origin::Taken { step, from, .. }) => {
                // Steps before it may have been done several times; it itself was not.
                let start = given.starts.get(*step).copied().unwrap_or(usize::MAX);
                let step = brought.get(start).and_then(|step| step.get(from));
                step.ok_or_else(|| format!("its step has not brought `{from}`"))?.map(<[u8]>::to_vec)
            }
            From::Known(origin) => origin.value(given, None).text().map(String::into_bytes),
        };
        let Some(bytes) = found else { return Ok("null".to_owned()) };
        if self.value_type == Type::Bytes {
            return Ok(Value::from(STANDARD.encode(bytes)).to_string());
        }
        let text = String::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
        if let Some((_, served)) = self.values.iter().find(|(source, _)| *source == text) {
            return Ok(served.to_string());
        }
        value(self.value_type, &text)
    }

    fn schema(&self) -> Value {
        let mut schema = match self.value_type {
            Type::Integer => json!({ "type": ["integer", "string", "null"] }),
            Type::Decimal { precision, .. } if precision <= NUMBER_DIGITS => json!({ "type": ["number", "null"] }),
            Type::Number => json!({ "type": ["number", "null"] }),
            Type::Boolean => json!({ "type": ["boolean", "null"] }),
            Type::Date => json!({ "type": ["string", "null"], "format": "date" }),
            Type::Bytes => json!({ "type": ["string", "null"], "contentEncoding": "base64" }),
            _ => json!({ "type": ["string", "null"] }),
        };
        if !self.values.is_empty() {
            // Any other value stays as it is.
            schema = json!({});
        }
        for (name, text) in [("title", &self.title), ("description", &self.description)] {
            if let (Some(members), Some(text)) = (schema.as_object_mut(), text) {
                members.insert(name.to_owned(), json!(text));
            }
        }
        schema
    }
}

/// A canonical value of a database as JSON of a type.
fn value(value_type: Type, text: &str) -> Result<String, String> {
    let quoted = |text: &str| Value::from(text).to_string();
    let wrong = || format!("`{text}` is no {}", value_type.name());
    let exact = |scale: u8| {
        Decimal::parse(text.trim(), b'.', None).and_then(|number| number.rescale(scale)).map_err(|_| wrong())
    };
    match value_type {
        Type::Integer => {
            let number = exact(0)?;
            let is_safe = number.units().abs() <= LARGEST;
            Ok(if is_safe { number.to_string() } else { quoted(&number.to_string()) })
        }
        Type::Decimal { precision, scale } => {
            let number = exact(scale)?;
            if number.integer_digits() > u32::from(precision - scale) {
                return Err(wrong());
            }
            Ok(if precision <= NUMBER_DIGITS { number.to_string() } else { quoted(&number.to_string()) })
        }
        Type::Number => {
            let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            number.map(|number| json!(number).to_string()).ok_or_else(wrong)
        }
        Type::Boolean => match text.trim() {
            "1" | "true" | "t" => Ok("true".to_owned()),
            "0" | "false" | "f" => Ok("false".to_owned()),
            _ => Err(wrong()),
        },
        _ => Ok(quoted(text)),
    }
}
