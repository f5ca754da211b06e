//! The records of a file that is written, as JSON-shaped TOML with places: `{order_no}` stands for a value of the body, of
//! the key, or of the write itself. What comes out is the JSON that `encode` takes, one object a record.

use serde_json::Value;

use super::super::bound::Bound;
use super::super::input::{InputKind, InputValues};
use super::super::steps::{Origin, Scope};
use super::super::{Given, OfCaller};
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
    /// A list; what is a list in it is a part of it.
    Array(Vec<Part>),
    /// A list of what each element of an array of the body makes.
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
    /// What is known of the caller.
    Caller(OfCaller),
}

/// What a part is compiled with.
pub(super) struct Compiler<'c, 's> {
    pub(super) scope: &'c mut Scope<'s>,
}

impl Compiler<'_, '_> {
    /// The records of a file: one, or those of an array. `None` after a fault was reported.
    pub(super) fn records(&mut self, node: &Node) -> Option<Part> {
        let part = self.part(node, None, 1)?;
        if matches!(&part, Part::Array(parts) if parts.is_empty()) {
            return self.fail(node, "there is no record".to_owned(), None);
        }
        if !part.is_of_tables() {
            let help = "write a table: the names of the layout, and what stands there".to_owned();
            return self.fail(node, "each record is a table".to_owned(), Some(help));
        }
        Some(part)
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
            let message =
                format!("it lies within the elements of `{outer}`: arrays of the body have no arrays in them");
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
        if found.is_none() && !self.scope.is_broken(name) {
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
    pub(super) fn written(&self, given: &Given<'_>, element: Element<'_>) -> String {
        self.pieces(given, element).into_iter().map(|(piece, _)| piece).collect()
    }

    /// Whether a place of the write's own stands in it that no other write has.
    pub(super) fn is_of_one_write(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Place(Origin::OperationId)))
    }

    /// Whether a place of the caller's stands in it.
    pub(super) fn tells_of_caller(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Place(Origin::IdempotencyKey | Origin::Client)))
    }

    /// What it is made of: each piece with where it came from, where a caller can do something about that.
    pub(super) fn pieces(&self, given: &Given<'_>, element: Element<'_>) -> Vec<(String, Option<From>)> {
        let of = values(given, element);
        let piece = |piece: &Piece| match piece {
            Piece::Plain(plain) => (plain.clone(), None),
            Piece::Place(origin) => (origin.value(given, of).text().unwrap_or_default(), from(origin, element)),
        };
        self.0.iter().map(piece).collect()
    }

    /// Where it came from as far as a caller can do something about it: of several values the first with letters that not every
    /// code page has, or else the longest.
    pub(super) fn from(&self, given: &Given<'_>, element: Element<'_>) -> Option<From> {
        let pieces = self.pieces(given, element);
        let of_callers = || pieces.iter().filter(|(_, from)| from.is_some());
        let odd = of_callers().find(|(piece, _)| piece.contains(|c: char| !c.is_ascii() || c.is_control()));
        odd.or_else(|| of_callers().max_by_key(|(piece, _)| piece.len())).and_then(|(_, from)| from.clone())
    }
}

fn from(origin: &Origin, element: Element<'_>) -> Option<From> {
    let below = |path: &[String]| -> String {
        path.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
    };
    match (origin, element) {
        (Origin::Body(path, _), _) => Some(From::Body(below(path))),
        (Origin::Element(path, _), Some((array, index))) => {
            Some(From::Body(format!("{}/{index}{}", below(&[array.to_owned()]), below(path))))
        }
        (Origin::Key(_), _) => Some(From::Key),
        (Origin::IdempotencyKey, _) => Some(From::Caller(OfCaller::IdempotencyKey)),
        (Origin::Client, _) => Some(From::Caller(OfCaller::Client)),
        _ => None,
    }
}

/// An element of an array of the body: the array's name, and the index.
pub(super) type Element<'p> = Option<(&'p str, usize)>;

/// What a caller has sent as this element.
fn values<'g>(given: &Given<'g>, element: Element<'_>) -> Option<&'g InputValues> {
    let (array, index) = element?;
    given.request.values.elements(array).get(index)
}

impl Part {
    /// What it is as elements of a list, in order, each with the element of the body that it is made of.
    pub(super) fn list<'p>(&'p self, given: &Given<'_>, element: Element<'p>, out: &mut Vec<(&'p Part, Element<'p>)>) {
        match self {
            Part::Array(parts) => parts.iter().for_each(|part| part.list(given, element, out)),
            Part::Each(array, item) => {
                for index in 0..given.request.values.elements(array).len() {
                    item.list(given, Some((array, index)), out);
                }
            }
            part => out.push((part, element)),
        }
    }

    /// It as JSON.
    pub(super) fn write(&self, given: &Given<'_>, element: Element<'_>, out: &mut String) {
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
            Part::Array(_) | Part::Each(..) => {
                let mut elements = Vec::new();
                self.list(given, element, &mut elements);
                out.push('[');
                for (number, (part, element)) in elements.into_iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    part.write(given, element, out);
                }
                out.push(']');
            }
            Part::Constant(json) => out.push_str(json),
            Part::Value(origin) => value(&origin.value(given, values(given, element)), out),
            Part::Text(text) => out.push_str(&Value::from(text.written(given, element)).to_string()),
        }
    }

    /// Where the value at a JSON pointer below it came from, as far as a caller can do something about it.
    pub(super) fn from(&self, given: &Given<'_>, pointer: &str, element: Element<'_>) -> Option<From> {
        let (step, rest) = match pointer.strip_prefix('/') {
            Some(below) => {
                let (step, _) = below.split_once('/').unwrap_or((below, ""));
                (step, &below[step.len()..])
            }
            None => ("", ""),
        };
        match self {
            Part::Object(members) => {
                let name = step.replace("~1", "/").replace("~0", "~");
                members.iter().find(|(own, _)| *own == name)?.1.from(given, rest, element)
            }
            // Of the list as a whole: too many elements, or too few.
            Part::Each(array, _) if step.is_empty() => Some(From::Body(format!("/{array}"))),
            Part::Array(_) | Part::Each(..) => {
                let mut elements = Vec::new();
                self.list(given, element, &mut elements);
                let (part, element) = elements.get(step.parse::<usize>().ok()?)?;
                part.from(given, rest, *element)
            }
            Part::Constant(_) => None,
            Part::Value(origin) => from(origin, element),
            Part::Text(text) => text.from(given, element),
        }
    }

    /// Whether a place of the caller's stands in it.
    pub(super) fn tells_of_caller(&self) -> bool {
        match self {
            Part::Object(members) => members.iter().any(|(_, part)| part.tells_of_caller()),
            Part::Array(parts) => parts.iter().any(Part::tells_of_caller),
            Part::Each(_, item) => item.tells_of_caller(),
            Part::Constant(_) => false,
            Part::Value(origin) => matches!(origin, Origin::IdempotencyKey | Origin::Client),
            Part::Text(text) => text.tells_of_caller(),
        }
    }

    /// The first array of the body that it is made of.
    pub(super) fn array(&self) -> Option<&str> {
        match self {
            Part::Each(array, _) => Some(array),
            Part::Array(parts) => parts.iter().find_map(Part::array),
            _ => None,
        }
    }

    /// Whether every element of the list that it is is a table.
    fn is_of_tables(&self) -> bool {
        match self {
            Part::Object(_) => true,
            Part::Array(parts) => parts.iter().all(Part::is_of_tables),
            Part::Each(_, item) => item.is_of_tables(),
            Part::Constant(_) | Part::Value(_) | Part::Text(_) => false,
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
