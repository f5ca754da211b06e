//! The body of an operation: compiled from what is written, and read from what a caller sends. Every fault of a body is
//! told at once, each by its JSON pointer (RFC 6901).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::bound::Bound;
use super::keys::INPUT;
use super::scalar::Scalar;
use super::wanted::Wanted;
use super::{Surroundings, rules};
use crate::decode::Json;
use crate::diagnostic::{Entries, Node, Table, nearest};
use crate::mapping::is_name;

/// How deep objects and arrays may lie in one another.
const DEEPEST: usize = 8;

/// The most faults of a body that are told. A body may have as many as it has bytes, and each is longer than that.
pub const MOST_FAULTS: usize = 100;

/// What a caller may send.
#[derive(Clone, Debug, Default)]
pub(super) struct Input(pub(super) Vec<InputField>);

/// A field of it.
#[derive(Clone, Debug)]
pub(super) struct InputField {
    pub(super) name: String,
    pub(super) kind: InputKind,
    /// The field of the resource that it is, where it says so.
    of: Option<String>,
    is_required: bool,
    is_nullable: bool,
    /// Stands for an absent one; NULL when there is none.
    pub(super) default: Option<Bound>,
    title: Option<String>,
    description: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum InputKind {
    Scalar(Box<Scalar>),
    Object(Input),
    Each { fields: Input, most: usize },
}

/// What a caller has sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct InputValues(BTreeMap<String, InputValue>);

#[derive(Clone, Debug, PartialEq)]
enum InputValue {
    Scalar(Bound),
    Object(InputValues),
    Each(Vec<InputValues>),
}

/// A fault of what a caller has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFault {
    /// JSON pointer of the value; empty for the whole body.
    pub pointer: String,
    /// What is wrong with it, as a phrase.
    pub detail: String,
}

/// A single value of a body, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyMember {
    /// Where it stands: names, of the elements of an array as of an object.
    pub path: Vec<String>,
    /// The path of the resource's field that it is.
    pub field: String,
}

impl InputValues {
    /// The value at a path of names; of the fields of an object that is absent it is NULL.
    pub(super) fn get(&self, path: &[String], null: &Bound) -> Bound {
        let Some((first, rest)) = path.split_first() else { return null.clone() };
        match (self.0.get(first), rest) {
            (Some(InputValue::Scalar(bound)), []) => bound.clone(),
            (Some(InputValue::Object(inner)), rest) => inner.get(rest, null),
            _ => null.clone(),
        }
    }

    /// The elements of an array.
    pub(super) fn elements(&self, name: &str) -> &[InputValues] {
        match self.0.get(name) {
            Some(InputValue::Each(elements)) => elements,
            _ => &[],
        }
    }
}

/// Keeps a fault, unless there are enough.
fn note(faults: &mut Vec<InputFault>, pointer: &str, detail: String) {
    if faults.len() < MOST_FAULTS {
        faults.push(InputFault { pointer: pointer.to_owned(), detail });
    }
}

impl Input {
    pub(super) fn find(&self, name: &str) -> Option<&InputField> {
        self.0.iter().find(|field| field.name == name)
    }

    /// The rules of the single value at a path of names.
    pub(super) fn scalar(&self, path: &[String]) -> Option<&Scalar> {
        let (first, rest) = path.split_first()?;
        match (&self.find(first)?.kind, rest) {
            (InputKind::Scalar(scalar), []) => Some(scalar),
            (InputKind::Object(inner), rest) => inner.scalar(rest),
            _ => None,
        }
    }

    /// Whether the single value at a path of names may be absent or null.
    pub(super) fn may_be_null(&self, path: &[String]) -> bool {
        let Some((field, rest)) = path.split_first().and_then(|(name, rest)| Some((self.find(name)?, rest))) else {
            return true;
        };
        let may_be_absent = (!field.is_required && field.default.is_none()) || field.is_nullable;
        match &field.kind {
            InputKind::Object(inner) if !rest.is_empty() => may_be_absent || inner.may_be_null(rest),
            _ => may_be_absent,
        }
    }

    /// Every single value, by path; of an array under its name.
    pub(super) fn paths(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        for field in &self.0 {
            match &field.kind {
                InputKind::Scalar(_) => paths.push(vec![field.name.clone()]),
                InputKind::Object(inner) | InputKind::Each { fields: inner, .. } => {
                    for below in inner.paths() {
                        paths.push([vec![field.name.clone()], below].concat());
                    }
                }
            }
        }
        paths
    }

    /// Every single value with the field of the resource that it is: the one that it names, or that of its own path.
    pub(super) fn members(&self) -> Vec<BodyMember> {
        let mut members = Vec::new();
        self.members_below(&[], &mut members);
        members
    }

    fn members_below(&self, above: &[String], members: &mut Vec<BodyMember>) {
        for field in &self.0 {
            let path = [above, std::slice::from_ref(&field.name)].concat();
            match &field.kind {
                InputKind::Scalar(_) => {
                    let field = field.of.clone().unwrap_or_else(|| path.join("."));
                    members.push(BodyMember { path, field });
                }
                InputKind::Object(inner) | InputKind::Each { fields: inner, .. } => inner.members_below(&path, members),
            }
        }
    }

    /// Compiles a table of fields; those with faults are left out.
    pub(super) fn compile(entries: &Entries, depth: usize, around: &Surroundings<'_>) -> Input {
        let mut fields = Vec::new();
        for (name, node) in entries {
            if !is_name(name) {
                let fault = node.key_fault(format!("`{name}` is no name for a field"));
                around.faults.push(
                    fault.help("a name has up to 64 letters, digits, `_` or `-`, and starts with a letter or `_`"),
                );
                continue;
            }
            fields.extend(InputField::compile(name, node, depth, around));
        }
        Input(fields)
    }

    /// Says of every text that it is sent in XML.
    pub(super) fn be_of_xml(&mut self) {
        for field in &mut self.0 {
            match &mut field.kind {
                InputKind::Scalar(scalar) => scalar.is_of_xml = true,
                InputKind::Object(inner) | InputKind::Each { fields: inner, .. } => inner.be_of_xml(),
            }
        }
    }

    /// Has a place of a service want something of the value at a path of names; of an array below its name.
    pub(super) fn wants(&mut self, path: &[String], wanted: &Wanted) {
        let Some((first, rest)) = path.split_first() else { return };
        let Some(field) = self.0.iter_mut().find(|field| field.name == *first) else { return };
        match &mut field.kind {
            InputKind::Scalar(scalar) if rest.is_empty() => scalar.wanted.push(wanted.clone()),
            InputKind::Scalar(_) => {}
            InputKind::Object(inner) | InputKind::Each { fields: inner, .. } => inner.wants(rest, wanted),
        }
    }

    /// What the value at a path of names can be by the mapping alone, each with how a caller knows it: what a table of values
    /// has, and what stands for an absent one.
    pub(super) fn constants(&self, path: &[String]) -> Vec<(String, &Bound)> {
        let Some((field, rest)) = path.split_first().and_then(|(name, rest)| Some((self.find(name)?, rest))) else {
            return Vec::new();
        };
        match &field.kind {
            InputKind::Scalar(scalar) => {
                let listed = scalar.values.iter().flatten().map(|(known, bound)| (format!("\"{known}\""), bound));
                listed.chain(field.default.iter().map(|bound| ("its default".to_owned(), bound))).collect()
            }
            InputKind::Object(inner) | InputKind::Each { fields: inner, .. } => inner.constants(rest),
        }
    }

    /// Reads what a caller has sent, or tells all that is wrong with it, up to [`MOST_FAULTS`].
    pub(super) fn read(&self, body: &Json<'_>) -> Result<InputValues, Vec<InputFault>> {
        let mut faults = Vec::new();
        let values = self.read_into(body, "", &mut faults);
        if faults.is_empty() { Ok(values) } else { Err(faults) }
    }

    fn read_into(&self, body: &Json<'_>, pointer: &str, faults: &mut Vec<InputFault>) -> InputValues {
        let Json::Object(members) = body else {
            let detail = format!("expected an object, found {}", body.kind());
            note(faults, pointer, detail);
            return InputValues::default();
        };
        let at = |name: &str| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        for (name, _) in members.iter().filter(|(name, _)| self.find(name).is_none()) {
            if faults.len() >= MOST_FAULTS {
                break;
            }
            let known = || self.0.iter().map(|field| field.name.as_str());
            let detail = match nearest(name, known()) {
                Some(near) => format!("there is no such field; did you mean `{near}`?"),
                None => format!("there is no such field; there are: {}", known().collect::<Vec<_>>().join(", ")),
            };
            note(faults, &at(name), detail);
        }
        let mut values = BTreeMap::new();
        for field in &self.0 {
            let value = field.read(body.member(&field.name), &at(&field.name), faults);
            values.extend(value.map(|value| (field.name.clone(), value)));
        }
        InputValues(values)
    }

    /// Some value for each field, one element for each array.
    pub(super) fn sample(&self) -> InputValues {
        let sample = |field: &InputField| {
            let value = match &field.kind {
                InputKind::Scalar(scalar) => InputValue::Scalar(scalar.sample()),
                InputKind::Object(inner) => InputValue::Object(inner.sample()),
                InputKind::Each { fields, .. } => InputValue::Each(vec![fields.sample()]),
            };
            (field.name.clone(), value)
        };
        InputValues(self.0.iter().map(sample).collect())
    }

    /// JSON Schema (2020-12) of what is taken.
    pub(super) fn schema(&self) -> Value {
        let required: Vec<&str> =
            self.0.iter().filter(|field| field.is_required).map(|field| field.name.as_str()).collect();
        let properties: Map<String, Value> = self.0.iter().map(|field| (field.name.clone(), field.schema())).collect();
        json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
    }
}

impl InputField {
    fn compile(name: &str, node: &Node, depth: usize, around: &Surroundings<'_>) -> Option<InputField> {
        let node = rules::merged(node, "type", around)?;
        let table = Table::new(&node, &INPUT, around.faults)?;
        let (is_required, is_nullable) = (table.boolean("required"), table.boolean("nullable"));
        let (title, description) = (table.filled("title"), table.filled("description"));
        let inner = |name: &str| {
            table.read(name, |node| match node.as_table() {
                Some(entries) if !entries.is_empty() => Ok(()),
                Some(_) => Err("it has no fields".to_owned()),
                None => Err(format!("expected a table, found {}", node.kind())),
            })?;
            if depth >= DEEPEST {
                table.fail(node.key_fault(format!("fields lie at most {DEEPEST} deep")));
                return None;
            }
            let entries = table.get(name).and_then(Node::as_table)?;
            Some(Input::compile(entries, depth + 1, around))
        };
        let kind = match (table.has("object"), table.has("each")) {
            (false, false) => InputKind::Scalar(Box::new(rules::scalar(&table, name)?)),
            (true, false) => InputKind::Object(inner("object")?),
            (false, true) => {
                let most = table.integer("max_items", 1..=100_000)?;
                InputKind::Each { fields: inner("each")?, most: usize::try_from(most).unwrap_or(usize::MAX) }
            }
            (true, true) => {
                table.fail(node.key_fault("a field takes only one of `object`, `each`"));
                return None;
            }
        };
        if !matches!(kind, InputKind::Scalar(_)) {
            for key in
                ["field", "type", "default", "null", "values", "pattern", "format", "zone", "min", "max", "nullable"]
            {
                if let Some(node) = table.get(key) {
                    table.fail(node.key_fault(format!("`{key}` has no meaning beside `object` or `each`")));
                }
            }
        }
        let default = match (&kind, table.get("default")) {
            (InputKind::Scalar(scalar), Some(node)) => {
                if is_required == Some(true) {
                    table.fail(
                        node.key_fault("`default` has no meaning for a field that must be there")
                            .help("say `required = false`"),
                    );
                }
                table.read("default", |node| rules::default(scalar, node))
            }
            _ => None,
        };
        (!table.failed()).then_some(())?;
        Some(InputField {
            name: name.to_owned(),
            kind,
            of: table.get("field").and_then(Node::as_str).map(str::to_owned),
            is_required: is_required?,
            is_nullable: is_nullable?,
            default,
            title,
            description,
        })
    }

    fn read(&self, json: Option<&Json<'_>>, pointer: &str, faults: &mut Vec<InputFault>) -> Option<InputValue> {
        let mut fault = |detail: String| note(faults, pointer, detail);
        match (json, &self.kind) {
            (None, _) if self.is_required => {
                fault("it is missing".to_owned());
                None
            }
            (None, InputKind::Scalar(scalar)) => {
                Some(InputValue::Scalar(self.default.clone().unwrap_or_else(|| scalar.null.clone())))
            }
            (None, _) => None,
            (Some(Json::Null), InputKind::Scalar(scalar)) if self.is_nullable => {
                Some(InputValue::Scalar(scalar.null.clone()))
            }
            (Some(json), InputKind::Scalar(scalar)) => match scalar.read(json) {
                Ok(bound) => Some(InputValue::Scalar(bound)),
                Err(detail) => {
                    fault(detail);
                    None
                }
            },
            (Some(json), InputKind::Object(inner)) => Some(InputValue::Object(inner.read_into(json, pointer, faults))),
            (Some(Json::Array(elements)), InputKind::Each { most, .. }) if elements.len() > *most => {
                fault(format!("expected at most {most} elements, found {}", elements.len()));
                None
            }
            (Some(Json::Array(elements)), InputKind::Each { fields, .. }) => {
                let read = |(index, element): (usize, Cow<'_, Json<'_>>)| {
                    if faults.len() >= MOST_FAULTS {
                        return InputValues::default();
                    }
                    fields.read_into(&element, &format!("{pointer}/{index}"), faults)
                };
                Some(InputValue::Each(elements.iter().enumerate().map(read).collect()))
            }
            (Some(json), InputKind::Each { .. }) => {
                fault(format!("expected an array, found {json}"));
                None
            }
        }
    }

    fn schema(&self) -> Value {
        let mut schema = match &self.kind {
            InputKind::Scalar(scalar) => scalar.schema(self.is_nullable),
            InputKind::Object(inner) => inner.schema(),
            InputKind::Each { fields, most } => {
                json!({ "type": "array", "items": fields.schema(), "maxItems": most })
            }
        };
        for (name, text) in [("title", &self.title), ("description", &self.description)] {
            if let (Some(members), Some(text)) = (schema.as_object_mut(), text) {
                members.insert(name.to_owned(), json!(text));
            }
        }
        schema
    }
}

/// A body in the one form in which two that say the same are the same: names sorted, no blanks, no zeros behind a
/// decimal point that say nothing.
pub(super) fn canonical(json: &Json<'_>, out: &mut String) {
    let text = |text: &str| Value::from(text).to_string();
    match json {
        Json::Null => out.push_str("null"),
        Json::Boolean(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Json::Number(number) => {
            let is_plain = number.contains('.') && !number.contains(['e', 'E']);
            let short = if is_plain { number.trim_end_matches('0').trim_end_matches('.') } else { number };
            out.push_str(short);
        }
        Json::Text(value) => out.push_str(&text(value)),
        Json::Array(elements) => {
            for (number, element) in elements.iter().enumerate() {
                out.push(if number == 0 { '[' } else { ',' });
                canonical(&element, out);
            }
            out.push_str(if elements.is_empty() { "[]" } else { "]" });
        }
        Json::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
            for (number, (name, value)) in sorted.into_iter().enumerate() {
                out.push(if number == 0 { '{' } else { ',' });
                out.push_str(&text(name));
                out.push(':');
                canonical(value, out);
            }
            out.push_str(if members.is_empty() { "{}" } else { "}" });
        }
    }
}
