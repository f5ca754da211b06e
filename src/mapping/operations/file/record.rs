//! The records of a file that is written, as JSON-shaped TOML with places: `{order_no}` stands for a value of the body, of
//! the key, or of the write itself. What comes out is the JSON that `encode` takes, one object a record.

use serde_json::Value;

use super::super::Given;
use super::super::bound::Bound;
use super::super::input::{InputKind, InputValues};
use super::super::steps::{Origin, Scope};
use crate::diagnostic::{Node, Written};
use crate::mapping::soap::{Cut, cut, suggest};

/// Deeper records than this are none.
const DEEPEST: usize = 64;

/// What repeats a part for each element of an array of the body.
const EACH: &str = "each";
/// The part.
const ITEM: &str = "item";

/// A part of a record.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Object(Vec<(String, Part)>),
    Array(Vec<Part>),
    /// One for each element of an array of the body.
    Each(String, Box<Part>),
    /// The same each time, as JSON.
    Constant(String),
    /// A value as it is: a number stays one, and what is absent is null.
    Value(Origin),
    /// A text with places.
    Text(Text),
}

/// A text with places.
#[derive(Clone, Debug)]
pub(super) struct Text(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Plain(String),
    Place(Origin),
}

/// Where in a body a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// This JSON pointer.
    Body(String),
    /// The record's key in the path.
    Key,
}

/// What a part is compiled with.
pub(super) struct Compiler<'c, 's> {
    pub(super) scope: &'c mut Scope<'s>,
}

impl Compiler<'_, '_> {
    /// The records: one, or those of an array. `None` after a fault was reported.
    pub(super) fn records(&mut self, node: &Node) -> Option<Vec<Part>> {
        let Some(nodes) = node.as_array() else { return Some(vec![self.record(node)?]) };
        let mut parts = Vec::new();
        for node in nodes {
            parts.push(self.record(node)?);
        }
        if parts.is_empty() {
            return self.fail(node, "there is no record".to_owned(), None);
        }
        Some(parts)
    }

    fn record(&mut self, node: &Node) -> Option<Part> {
        let help = "write a table: the names of the layout, and what stands there";
        if node.as_table().is_none() {
            return self.fail(node, format!("a record is a table, found {}", node.kind()), Some(help.to_owned()));
        }
        match self.part(node, None, 1)? {
            part @ Part::Object(_) => Some(part),
            Part::Each(array, item) if matches!(*item, Part::Object(_)) => Some(Part::Each(array, item)),
            _ => self.fail(node, "each of these records is a table".to_owned(), Some(help.to_owned())),
        }
    }

    fn part(&mut self, node: &Node, array: Option<&str>, depth: usize) -> Option<Part> {
        if depth > DEEPEST {
            return self.fail(node, format!("a record is at most {DEEPEST} levels deep"), None);
        }
        Some(match &node.value {
            Written::Table(entries) => {
                if let (Some(each), Some(item), 2) = (entries.get(EACH), entries.get(ITEM), entries.len()) {
                    return self.each(each, item, array, depth);
                }
                let mut members = Vec::new();
                for (name, node) in entries {
                    members.push((name.clone(), self.part(node, array, depth + 1)?));
                }
                Part::Object(members)
            }
            Written::Array(nodes) => {
                let mut parts = Vec::new();
                for node in nodes {
                    parts.push(self.part(node, array, depth + 1)?);
                }
                Part::Array(parts)
            }
            Written::Integer(number) => Part::Constant(number.to_string()),
            Written::Boolean(truth) => Part::Constant(truth.to_string()),
            Written::Float(text) if text.parse::<f64>().is_ok_and(f64::is_finite) => Part::Constant(text.clone()),
            Written::Float(text) | Written::Datetime(text) => Part::Constant(Value::from(text.as_str()).to_string()),
            Written::String(text) => match self.text(node, text, array)? {
                Text(pieces) if matches!(pieces.as_slice(), [Piece::Place(_)]) => match pieces.into_iter().next() {
                    Some(Piece::Place(origin)) => Part::Value(origin),
                    _ => return None,
                },
                text => Part::Text(text),
            },
        })
    }

    fn each(&mut self, each: &Node, item: &Node, outer: Option<&str>, depth: usize) -> Option<Part> {
        let Some(array) = each.as_str() else {
            return self.fail(each, format!("`{EACH}` names an array of the body, found {}", each.kind()), None);
        };
        if let Some(outer) = outer {
            let message = format!("it lies within the elements of `{outer}`: arrays of the body have no arrays in them");
            return self.fail(each, message, None);
        }
        if !matches!(self.scope.input.find(array).map(|field| &field.kind), Some(InputKind::Each { .. })) {
            return self.fail(each, format!("there is no array `{array}` at the top level of the body"), None);
        }
        Some(Part::Each(array.to_owned(), Box::new(self.part(item, Some(array), depth + 1)?)))
    }

    /// A text with places; `array` is the one for whose elements it is written.
    pub(super) fn text(&mut self, node: &Node, text: &str, array: Option<&str>) -> Option<Text> {
        let Ok(cuts) = cut(text) else {
            let help = "a brace itself is written twice: `{{` or `}}`".to_owned();
            return self.fail(node, "a brace that belongs to no place like `{order_no}`".to_owned(), Some(help));
        };
        let mut pieces = Vec::new();
        for piece in cuts {
            pieces.push(match piece {
                Cut::Text(text) => Piece::Plain(text),
                Cut::Name(name, _) => Piece::Place(self.place(node, name, array)?),
            });
        }
        Some(Text(pieces))
    }

    fn place(&mut self, node: &Node, name: &str, array: Option<&str>) -> Option<Origin> {
        let input = self.scope.input;
        let each = array.and_then(|array| match input.find(array).map(|field| &field.kind) {
            Some(InputKind::Each { fields, .. }) => Some((array, fields)),
            _ => None,
        });
        let found = match name.strip_prefix('/') {
            Some(path) => self.scope.at(path.split('/').map(str::to_owned).collect()),
            None => self.scope.find(name, each),
        };
        if found.is_none() {
            let fault = node.fault(format!("`{{{name}}}` is nothing that is known here"));
            self.scope.around.faults.push(suggest(fault, name, &self.scope.names(each)));
        }
        found
    }

    fn fail<T>(&self, node: &Node, message: String, help: Option<String>) -> Option<T> {
        let fault = node.fault(message);
        self.scope.around.faults.push(match help {
            Some(help) => fault.help(help),
            None => fault,
        });
        None
    }
}

impl Text {
    /// With the values of its places; an absent one is nothing.
    pub(super) fn written(&self, given: &Given<'_>, element: Option<&InputValues>) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(plain) => text.push_str(plain),
                Piece::Place(origin) => text.push_str(&origin.value(given, element).text().unwrap_or_default()),
            }
        }
        text
    }

    /// Whether a place of the write's own stands in it that no other write has.
    pub(super) fn is_of_one_write(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Place(Origin::OperationId)))
    }

    /// Where the first of its values came from that a caller can do something about.
    pub(super) fn from(&self, element: Option<(&str, usize)>) -> Option<From> {
        self.0.iter().find_map(|piece| match piece {
            Piece::Plain(_) => None,
            Piece::Place(origin) => from(origin, element),
        })
    }
}

fn from(origin: &Origin, element: Option<(&str, usize)>) -> Option<From> {
    let below = |path: &[String]| -> String {
        path.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
    };
    match (origin, element) {
        (Origin::Body(path, _), _) => Some(From::Body(below(path))),
        (Origin::Element(path, _), Some((array, index))) => {
            Some(From::Body(format!("{}/{index}{}", below(&[array.to_owned()]), below(path))))
        }
        (Origin::Key(_), _) => Some(From::Key),
        _ => None,
    }
}

impl Part {
    /// The records that it is, as JSON, each with the index of the element that it is made of.
    pub(super) fn records(&self, given: &Given<'_>) -> Vec<(Option<usize>, String)> {
        let write = |part: &Part, element| {
            let mut out = String::new();
            part.write(given, element, &mut out);
            out
        };
        match self {
            Part::Each(array, item) => {
                let elements = given.request.values.elements(array).iter().enumerate();
                elements.map(|(index, element)| (Some(index), write(item, Some(element)))).collect()
            }
            part => vec![(None, write(part, None))],
        }
    }

    fn write(&self, given: &Given<'_>, element: Option<&InputValues>, out: &mut String) {
        let list = |parts: &mut dyn Iterator<Item = (&Part, Option<&InputValues>)>, out: &mut String| {
            out.push('[');
            for (number, (part, element)) in parts.enumerate() {
                if number > 0 {
                    out.push(',');
                }
                part.write(given, element, out);
            }
            out.push(']');
        };
        match self {
            Part::Object(members) => {
                out.push('{');
                for (number, (name, part)) in members.iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    out.push_str(&Value::from(name.as_str()).to_string());
                    out.push(':');
                    part.write(given, element, out);
                }
                out.push('}');
            }
            Part::Array(parts) => list(&mut parts.iter().map(|part| (part, element)), out),
            Part::Each(array, item) => {
                let elements = given.request.values.elements(array);
                list(&mut elements.iter().map(|element| (&**item, Some(element))), out);
            }
            Part::Constant(json) => out.push_str(json),
            Part::Value(origin) => value(&origin.value(given, element), out),
            Part::Text(text) => out.push_str(&Value::from(text.written(given, element)).to_string()),
        }
    }

    /// Where the value at a JSON pointer below it came from, as far as a caller can do something about it. `element` is the
    /// one of an array that the part is written for.
    pub(super) fn from(&self, pointer: &str, element: Option<(&str, usize)>) -> Option<From> {
        let (step, rest) = match pointer.strip_prefix('/') {
            Some(below) => {
                let (step, _) = below.split_once('/').unwrap_or((below, ""));
                (step, &below[step.len()..])
            }
            None => ("", ""),
        };
        let name = step.replace("~1", "/").replace("~0", "~");
        match self {
            Part::Object(members) => members.iter().find(|(own, _)| *own == name)?.1.from(rest, element),
            Part::Array(parts) => parts.get(step.parse::<usize>().ok()?)?.from(rest, element),
            Part::Each(array, _) if step.is_empty() => Some(From::Body(format!("/{array}"))),
            Part::Each(array, item) => item.from(rest, Some((array, step.parse().ok()?))),
            Part::Constant(_) => None,
            Part::Value(origin) => from(origin, element),
            Part::Text(text) => text.from(element),
        }
    }

    /// The array that it is written for, where it is a record for each of its elements.
    pub(super) fn array(&self) -> Option<(&str, &Part)> {
        match self {
            Part::Each(array, item) => Some((array, item)),
            _ => None,
        }
    }
}

/// A value as JSON has it. Exact numbers stay exact.
fn value(bound: &Bound, out: &mut String) {
    match bound {
        Bound::Null(_) | Bound::Taken { .. } => out.push_str("null"),
        Bound::Boolean(_) | Bound::Integer(_) | Bound::Decimal(_) | Bound::Float(_) => {
            out.push_str(&bound.text().unwrap_or_default());
        }
        Bound::Text(_) | Bound::Written(..) | Bound::Bytes(_) => {
            out.push_str(&Value::from(bound.text().unwrap_or_default()).to_string());
        }
    }
}
