//! A request as JSON-shaped TOML with places, compiled against the types of the operation's message. What is wrong with it
//! is told where it stands; what is left to a call are the values of the places.

use crate::diagnostic::{Entries, Faults, Node, Written, nearest};
use crate::wsdl::{
    ANY, Array, Builtin, Complex, Content, Elements, Facets, Input, JsonKind, Simple, TYPE, TypeId, TypeKind, Types,
    VALUE, Variety, XSI_TYPE,
};

use super::pieces::{Cut, Given, Known, Piece, cut, suggest};

/// Deeper requests than this are none: a type may contain itself.
const DEEPEST: usize = 64;

/// What repeats a part of a request for each element of an array.
const EACH: &str = "each";
/// The part.
const ITEM: &str = "item";

/// A compiled request.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::mapping) enum Template {
    Object(Vec<(Box<str>, Template)>),
    Array(Vec<Template>),
    /// One for each element of an array.
    Each {
        array: Box<str>,
        item: Box<Template>,
    },
    /// A value that is the same each time.
    Constant(Input<'static>),
    /// A text with places.
    Text {
        pieces: Vec<Piece>,
        form: Form,
        absent: Absent,
    },
}

/// How a text goes into a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mapping) enum Form {
    /// As a string.
    String,
    /// As a date: of a moment only its day.
    Day,
    /// As a number, where it is one.
    Number,
    /// As `true` or `false`, where it is one of these.
    Boolean,
}

/// What is sent where a place has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mapping) enum Absent {
    /// The member is left out.
    Omit,
    /// The member is null.
    Null,
    /// An empty text.
    Empty,
}

impl Template {
    /// The request with the values of its places.
    pub(in crate::mapping) fn render(&self, given: &dyn Given) -> Input<'static> {
        self.value(given, None).unwrap_or(Input::Object(Vec::new()))
    }

    /// Whether a place of this name stands in it.
    pub(in crate::mapping) fn uses(&self, place: &str) -> bool {
        match self {
            Template::Object(members) => members.iter().any(|(_, member)| member.uses(place)),
            Template::Array(items) => items.iter().any(|item| item.uses(place)),
            Template::Each { array, item } => **array == *place || item.uses(place),
            Template::Constant(_) => false,
            Template::Text { pieces, .. } => {
                pieces.iter().any(|piece| matches!(piece, Piece::Place(name) if **name == *place))
            }
        }
    }

    /// `None` where it is left out.
    fn value(&self, given: &dyn Given, element: Option<(&str, usize)>) -> Option<Input<'static>> {
        match self {
            Template::Object(members) => {
                let members = members
                    .iter()
                    .filter_map(|(name, member)| Some((name.to_string().into(), member.value(given, element)?)));
                Some(Input::Object(members.collect()))
            }
            Template::Array(items) => {
                Some(Input::Array(items.iter().filter_map(|item| item.value(given, element)).collect()))
            }
            Template::Each { array, item } => {
                let count = given.count(array);
                Some(Input::Array((0..count).filter_map(|index| item.value(given, Some((&**array, index)))).collect()))
            }
            Template::Constant(value) => Some(value.clone()),
            Template::Text { pieces, form, absent } => text(pieces, *form, *absent, given, element),
        }
    }
}

fn text(
    pieces: &[Piece],
    form: Form,
    absent: Absent,
    given: &dyn Given,
    element: Option<(&str, usize)>,
) -> Option<Input<'static>> {
    let mut text = String::new();
    let mut is_absent = pieces.iter().all(|piece| matches!(piece, Piece::Place(_))) && !pieces.is_empty();
    for piece in pieces {
        match piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Place(name) => {
                if let Some(value) = given.text(name, element) {
                    text.push_str(&value);
                    is_absent = false;
                }
            }
        }
    }
    match (is_absent, absent) {
        (true, Absent::Omit) => None,
        (true, Absent::Null) => Some(Input::Null),
        (true, Absent::Empty) | (false, _) => Some(written(text, form)),
    }
}

/// A text as it goes into a request. What does not fit its form stays a text: whoever writes the request says so.
fn written(text: String, form: Form) -> Input<'static> {
    match form {
        Form::Day if text.is_char_boundary(10) && text.as_bytes().get(10) == Some(&b'T') => {
            Input::Text(text[..10].to_owned().into())
        }
        Form::Number if text.parse::<f64>().is_ok_and(f64::is_finite) => Input::Number(text.into()),
        Form::Boolean if text == "true" => Input::Boolean(true),
        Form::Boolean if text == "false" => Input::Boolean(false),
        _ => Input::Text(text.into()),
    }
}

/// What a request is compiled with.
pub(in crate::mapping) struct Compiler<'c> {
    /// The types of the message.
    pub(in crate::mapping) types: &'c Types,
    /// The places.
    pub(in crate::mapping) known: &'c dyn Known,
    /// Where faults go.
    pub(in crate::mapping) faults: &'c Faults,
}

/// Where a part of a request stands.
#[derive(Clone, Copy)]
struct At<'a> {
    /// Its name, for messages.
    name: &'a str,
    is_optional: bool,
    is_nillable: bool,
    /// The array for whose elements it is written.
    array: Option<&'a str>,
    depth: usize,
}

impl Compiler<'_> {
    /// Compiles what stands at a node for the type of a message's body. `None` after a fault was reported.
    pub(in crate::mapping) fn request(&self, node: &Node, ty: TypeId, name: &str) -> Option<Template> {
        let before = self.faults.len();
        let at = At { name, is_optional: false, is_nillable: false, array: None, depth: 0 };
        let template = self.part(node, ty, at);
        template.filter(|_| self.faults.len() == before)
    }

    /// Compiles what stands at a node for a place of no type. `None` after a fault was reported.
    pub(in crate::mapping) fn open(&self, node: &Node, name: &str) -> Option<Template> {
        let before = self.faults.len();
        let template = self.free(node, At { name, is_optional: false, is_nillable: false, array: None, depth: 0 });
        template.filter(|_| self.faults.len() == before)
    }

    fn part(&self, node: &Node, ty: TypeId, at: At<'_>) -> Option<Template> {
        if at.depth > DEEPEST {
            return self.fail(node, format!("a request is at most {DEEPEST} levels deep"), None);
        }
        let at = At { depth: at.depth + 1, ..at };
        match &self.types.get(ty).kind {
            TypeKind::Simple(simple) => {
                let template = self.simple(node, simple, at)?;
                let alone = match &template {
                    Template::Text { pieces, .. } => match pieces.as_slice() {
                        [Piece::Place(place)] => Some(place),
                        _ => None,
                    },
                    _ => None,
                };
                match alone.map_or(Ok(()), |place| self.known.goes_into(place, at.array, ty)) {
                    Ok(()) => Some(template),
                    Err(wrong) => self.fail(node, format!("`{}`: {wrong}", at.name), None),
                }
            }
            TypeKind::Complex(complex) => self.complex(node, ty, complex, at),
            TypeKind::Array(Array { item, .. }) => self.items(node, *item, at),
            TypeKind::Map | TypeKind::Any | TypeKind::Untyped => self.free(node, at),
        }
    }

    fn complex(&self, node: &Node, ty: TypeId, complex: &Complex, at: At<'_>) -> Option<Template> {
        let Some(entries) = node.as_table() else {
            if let Content::Text(text) = &complex.content {
                // The text alone, where no attribute must be there.
                return match complex.attributes.iter().find(|attribute| attribute.is_required) {
                    None => Some(Template::Object(vec![(VALUE.into(), self.part(node, *text, at)?)])),
                    Some(needed) => self.fail(
                        node,
                        format!(
                            "`{}` has attributes besides its text, of which `{}` must be there",
                            at.name, needed.json
                        ),
                        Some(format!("write {{ {VALUE} = ..., \"{}\" = ... }}", needed.json)),
                    ),
                };
            }
            let help = self.members_of(complex);
            return self.fail(node, format!("`{}` is an object, found {}", at.name, node.kind()), Some(help));
        };
        let named = [TYPE, XSI_TYPE].iter().find_map(|name| entries.get(*name).map(|node| (*name, node)));
        if let Some((key, node)) = named {
            return self.derived(ty, entries, (key, node), at);
        }
        self.object(node, entries, complex, at, None)
    }

    /// An object that says which derived type it is of.
    fn derived(&self, base: TypeId, entries: &Entries, (key, node): (&str, &Node), at: At<'_>) -> Option<Template> {
        let Some(name) = node.as_str() else {
            return self.fail(node, format!("`{key}` names a type, found {}", node.kind()), None);
        };
        let (mut open, mut known) = (vec![base], Vec::new());
        while let Some(ty) = open.pop() {
            if let Some(own) = self.types.get(ty).name {
                let local = self.types.names.local(own.local);
                if local == name || self.types.names.display(own) == name {
                    let TypeKind::Complex(complex) = &self.types.get(ty).kind else { break };
                    return self.object(node, entries, complex, at, Some(key));
                }
                known.push(local.to_owned());
            }
            if known.len() > 10_000 {
                break;
            }
            open.extend(self.types.derived(ty));
        }
        let help = match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", known.join(", ")),
        };
        self.fail(node, format!("`{}` cannot be of a type `{name}`", at.name), Some(help))
    }

    fn object(
        &self,
        node: &Node,
        entries: &Entries,
        complex: &Complex,
        at: At<'_>,
        type_key: Option<&str>,
    ) -> Option<Template> {
        let none = Elements::default();
        let elements = complex.elements().unwrap_or(&none);
        let mut out: Vec<(Box<str>, Template)> = Vec::new();
        let mut is_sound = true;
        for (name, entry) in entries {
            let inner = At { name, array: at.array, depth: at.depth, is_optional: true, is_nillable: false };
            let member = elements.members.iter().find(|member| *member.json == **name);
            let attribute = complex.attributes.iter().find(|attribute| *attribute.json == **name);
            let part = match (member, attribute, &complex.content) {
                _ if type_key == Some(name.as_str()) => self.free(entry, inner),
                (Some(member), _, _) => {
                    let element = &member.element;
                    let inner = At { is_optional: member.is_optional, is_nillable: element.is_nillable, ..inner };
                    if member.is_many {
                        self.items(entry, element.ty, inner)
                    } else {
                        self.part(entry, element.ty, inner)
                    }
                }
                (None, Some(attribute), _) => {
                    self.part(entry, attribute.ty, At { is_optional: !attribute.is_required, ..inner })
                }
                (None, None, Content::Text(text)) if name == VALUE => {
                    self.part(entry, *text, At { is_optional: false, ..inner })
                }
                (None, None, Content::Elements(elements))
                    if elements.mixed.as_deref() == Some(name) || elements.any.as_deref() == Some(name) =>
                {
                    self.free(entry, inner)
                }
                (None, None, _) if name.starts_with('@') && complex.any_attribute => self.free(entry, inner),
                (None, None, Content::DataSet) => self.fail(
                    entry,
                    format!("`{}` is a DataSet of .NET, which is read and not written", at.name),
                    Some("write the `envelope` out".to_owned()),
                ),
                (None, None, _) => self.unknown(entry, name, complex, at),
            };
            match part {
                Some(part) => out.push((name.as_str().into(), part)),
                None => is_sound = false,
            }
        }
        let needed = elements.members.iter().filter(|member| !member.is_optional && !member.element.is_nillable);
        for member in needed.filter(|member| member.element.preset.is_none() && !entries.contains_key(&*member.json)) {
            self.fail::<()>(node, format!("`{}` has no `{}`, which the service needs", at.name, member.json), None);
            is_sound = false;
        }
        let needed = complex.attributes.iter().filter(|attribute| attribute.is_required && attribute.preset.is_none());
        for attribute in needed.filter(|attribute| !entries.contains_key(&*attribute.json)) {
            self.fail::<()>(node, format!("`{}` has no `{}`, which the service needs", at.name, attribute.json), None);
            is_sound = false;
        }
        is_sound.then_some(Template::Object(out))
    }

    fn unknown(&self, entry: &Node, name: &str, complex: &Complex, at: At<'_>) -> Option<Template> {
        let names = member_names(complex);
        let fault = entry.key_fault(format!("`{}` has no member `{name}`", at.name));
        self.faults.push(match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(self.members_of(complex)),
        });
        None
    }

    fn members_of(&self, complex: &Complex) -> String {
        match member_names(complex).as_slice() {
            [] => "it has no members: leave it empty".to_owned(),
            names => format!("its members are: {}", names.join(", ")),
        }
    }

    /// What may stand more than once.
    fn items(&self, node: &Node, item: TypeId, at: At<'_>) -> Option<Template> {
        if let Some(nodes) = node.as_array() {
            let items: Vec<_> =
                nodes.iter().map(|node| self.part(node, item, At { is_optional: true, ..at })).collect();
            return items.into_iter().collect::<Option<_>>().map(Template::Array);
        }
        let repeated =
            node.as_table().and_then(|entries| Some((entries.get(EACH)?, entries.get(ITEM)?, entries.len())));
        let Some((each, inner, 2)) = repeated else {
            let help = "write an array; `{ each = \"lines\", item = { ... } }` makes one of each element of the body's";
            return self.fail(node, format!("`{}` is a list, found {}", at.name, node.kind()), Some(help.to_owned()));
        };
        let Some(array) = each.as_str() else {
            return self.fail(each, format!("`{EACH}` names an array of the body, found {}", each.kind()), None);
        };
        if !self.known.has_array(array) {
            return self.fail(each, format!("there is no array `{array}` in the body"), None);
        }
        let at = At { array: Some(array), is_optional: true, ..at };
        let item = Box::new(self.part(inner, item, at)?);
        Some(Template::Each { array: array.into(), item })
    }

    fn simple(&self, node: &Node, simple: &Simple, at: At<'_>) -> Option<Template> {
        let builtin = match &simple.variety {
            Variety::List(item) => {
                return match node.value {
                    Written::Array(_) => self.items(node, *item, at),
                    // Its items stand in one text.
                    _ => self.scalar(node, Builtin::String, None, at),
                };
            }
            Variety::Union(_) => Builtin::AnySimple,
            Variety::Atomic(builtin) => *builtin,
        };
        self.scalar(node, builtin, simple.facets.as_deref(), at)
    }

    fn scalar(&self, node: &Node, builtin: Builtin, facets: Option<&Facets>, at: At<'_>) -> Option<Template> {
        let form = match builtin.json() {
            JsonKind::Integer | JsonKind::Float => Form::Number,
            JsonKind::Boolean => Form::Boolean,
            JsonKind::Text if builtin == Builtin::Date => Form::Day,
            JsonKind::Text | JsonKind::LargeInteger | JsonKind::Decimal => Form::String,
        };
        let text = match &node.value {
            Written::String(text) => {
                let pieces = self.pieces(node, text, at)?;
                if pieces.iter().any(|(_, is_place, _)| *is_place) {
                    return self.text(node, pieces, form, builtin, at);
                }
                pieces
                    .into_iter()
                    .map(|(piece, ..)| match piece {
                        Piece::Text(text) => text,
                        Piece::Place(_) => String::new(),
                    })
                    .collect::<String>()
            }
            Written::Integer(number) => number.to_string(),
            Written::Float(text) | Written::Datetime(text) => text.clone(),
            Written::Boolean(truth) => truth.to_string(),
            Written::Array(_) => {
                return self.fail(node, format!("`{}` is a single value, found an array", at.name), None);
            }
            Written::Table(_) => {
                return self.fail(node, format!("`{}` is a single value, found a table", at.name), None);
            }
        };
        if let Err(expected) = fits(&text, &node.value, builtin) {
            let found = format!("`{}` is {expected} (xs:{}), found `{text}`", at.name, builtin.name());
            return self.fail(node, found, None);
        }
        if let Some(facets) = facets.filter(|facets| !facets.enumeration.is_empty())
            && !facets.enumeration.iter().any(|value| **value == *text)
        {
            let known = || facets.enumeration.iter().map(|value| &**value);
            let help = match nearest(&text, known()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("there are: {}", known().take(20).collect::<Vec<_>>().join(", ")),
            };
            return self.fail(node, format!("`{}` cannot be \"{text}\"", at.name), Some(help));
        }
        Some(Template::Constant(written(text, form)))
    }

    /// A text with places; `None` after a fault.
    fn pieces(&self, node: &Node, text: &str, at: At<'_>) -> Option<Vec<(Piece, bool, bool)>> {
        let cuts = match cut(text) {
            Ok(cuts) => cuts,
            Err(_) => {
                let help = "a brace itself is written twice: `{{` or `}}`".to_owned();
                return self.fail(node, "a brace that belongs to no place like `{order_no}`".to_owned(), Some(help));
            }
        };
        let mut pieces = Vec::new();
        for piece in cuts {
            match piece {
                Cut::Text(text) => pieces.push((Piece::Text(text), false, false)),
                Cut::Name(name, _) => match self.known.place(name, at.array) {
                    Some(facts) => pieces.push((Piece::Place(facts.name), true, facts.may_be_absent)),
                    None if self.known.is_broken(name) => return None,
                    None => {
                        let fault = node.fault(format!("`{{{name}}}` is nothing that is known here"));
                        self.faults.push(suggest(fault, name, &self.known.names(at.array)));
                        return None;
                    }
                },
            }
        }
        Some(pieces)
    }

    fn text(
        &self,
        node: &Node,
        pieces: Vec<(Piece, bool, bool)>,
        form: Form,
        builtin: Builtin,
        at: At<'_>,
    ) -> Option<Template> {
        let may_be_absent = pieces.iter().all(|(_, is_place, may_be_absent)| *is_place && *may_be_absent);
        let absent = match (at.is_optional, at.is_nillable, builtin.takes_empty()) {
            (true, ..) => Absent::Omit,
            (false, true, _) => Absent::Null,
            (false, false, true) => Absent::Empty,
            (false, false, false) if may_be_absent => {
                let message = format!("`{}` must be there, and this place has no value in every call", at.name);
                return self.fail(
                    node,
                    message,
                    Some(
                        "of a poll give it a first value (`start`); of a write neither it nor what it lies in may have \
                         `required = false`"
                            .to_owned(),
                    ),
                );
            }
            (false, false, false) => Absent::Empty,
        };
        let pieces = pieces.into_iter().map(|(piece, ..)| piece).collect();
        Some(Template::Text { pieces, form, absent })
    }

    /// What the schema says nothing of: as it is written.
    fn free(&self, node: &Node, at: At<'_>) -> Option<Template> {
        if at.depth > DEEPEST {
            return self.fail(node, format!("a request is at most {DEEPEST} levels deep"), None);
        }
        let at = At { depth: at.depth + 1, is_optional: true, ..at };
        Some(match &node.value {
            Written::Table(entries) => {
                let parts: Option<Vec<_>> = entries
                    .iter()
                    .map(|(name, node)| Some((name.as_str().into(), self.free(node, At { name, ..at })?)))
                    .collect();
                Template::Object(parts?)
            }
            Written::Array(nodes) => {
                Template::Array(nodes.iter().map(|node| self.free(node, at)).collect::<Option<_>>()?)
            }
            Written::Integer(number) => Template::Constant(Input::Number(number.to_string().into())),
            Written::Boolean(truth) => Template::Constant(Input::Boolean(*truth)),
            Written::Float(text) => Template::Constant(written(text.clone(), Form::Number)),
            Written::Datetime(text) => Template::Constant(Input::Text(text.clone().into())),
            Written::String(text) => {
                let pieces = self.pieces(node, text, at)?;
                self.text(node, pieces, Form::String, Builtin::String, at)?
            }
        })
    }

    fn fail<T>(&self, node: &Node, message: String, help: Option<String>) -> Option<T> {
        let fault = node.fault(message);
        self.faults.push(match help {
            Some(help) => fault.help(help),
            None => fault,
        });
        None
    }
}

/// The names of what an object may have.
fn member_names(complex: &Complex) -> Vec<String> {
    let mut names: Vec<String> = complex
        .elements()
        .into_iter()
        .flat_map(|elements| &elements.members)
        .map(|member| member.json.to_string())
        .collect();
    names.extend(complex.attributes.iter().map(|attribute| attribute.json.to_string()));
    match &complex.content {
        Content::Text(_) => names.push(VALUE.to_owned()),
        Content::Elements(elements) if elements.any.is_some() => names.push(ANY.to_owned()),
        _ => {}
    }
    names
}

/// Whether a constant fits a built-in type, as far as its form goes; else what is expected.
fn fits(text: &str, written: &Written, builtin: Builtin) -> Result<(), &'static str> {
    let is_whole = || {
        let digits = text.trim_start_matches(['-', '+']);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    match builtin.json() {
        JsonKind::Integer | JsonKind::LargeInteger => {
            let in_range = match builtin.range() {
                Some((least, most)) => {
                    text.parse::<i128>().map_or(text.len() > 38, |number| (least..=most).contains(&number))
                }
                None => true,
            };
            if is_whole() && in_range { Ok(()) } else { Err("a whole number in the range of its type") }
        }
        JsonKind::Decimal => {
            crate::record::Decimal::parse(text, b'.', None).map(|_| ()).map_err(|_| "a decimal number")
        }
        JsonKind::Float if matches!(text, "INF" | "-INF" | "NaN") => Ok(()),
        JsonKind::Float => text.parse::<f64>().map(|_| ()).map_err(|_| "a number"),
        JsonKind::Boolean if matches!(text, "true" | "false" | "1" | "0") => Ok(()),
        JsonKind::Boolean => Err("true or false"),
        JsonKind::Text => match written {
            Written::Boolean(_) => Err("a text"),
            _ => Ok(()),
        },
    }
}
