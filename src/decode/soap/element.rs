//! One element becomes one value, by the shape of its type.

use std::io::Read;

use super::leniency::Leniency;
use super::machine::{MAX_DEPTH, Machine, Outcome, Piece};
use super::object::{ANY, EXTRA, Object, close};
use super::scalar::{Verdict, is_space, trim};
use super::shape::{Kind, MemberShape, NONE, ShapeId};
use super::tag::Tag;
use super::text::Leaf;
use crate::decode::json::write_string_bytes;
use crate::decode::xml::Form;
use crate::record::RejectCode;
use crate::wsdl::{Name, TypeId, TypeKind};

/// Members that are looked at for the one that comes next, before its name is resolved.
const GUESSES: usize = 3;

/// What a child element is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Child {
    /// The member of a number.
    Member(usize),
    /// One that a wildcard takes.
    Wild,
    /// None that the schema has.
    Unknown,
}

/// How elements of a shape are read.
#[derive(Clone, Copy)]
enum Way {
    Scalar,
    Text,
    Elements,
    Empty,
    Array(TypeId, u8),
    Map,
    Any,
    DataSet,
}

/// Where an element is declared.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Declared {
    /// The shape and member; `None` for what stands for itself.
    pub(super) member: Option<(ShapeId, usize)>,
}

impl<R: Read> Machine<R> {
    /// Appends the value of an element whose tag is [open](Machine::open).
    pub(super) fn value(&mut self, shape: ShapeId, tag: &Tag, declared: Declared) -> Outcome<()> {
        let mut shape = shape;
        let mut is_target = false;
        if !self.attributes.is_empty() {
            let given = self.given()?;
            if let Some(id) = given.refers {
                return self.referred(shape, tag, &id, declared);
            }
            if let Some(named) = given.ty {
                shape = self.actual(shape, &named, tag)?;
            }
            if given.is_nil {
                return self.nil(tag, declared);
            }
            is_target = given.is_target && self.refs.enter(tag.at);
        }
        let way = match &self.shapes.get(shape).kind {
            Kind::Scalar(_) => Way::Scalar,
            Kind::Text(..) => Way::Text,
            Kind::Elements(_) => Way::Elements,
            Kind::Empty => Way::Empty,
            Kind::Array(item, dimensions) => Way::Array(*item, *dimensions),
            Kind::Map => Way::Map,
            Kind::Any => Way::Any,
            Kind::DataSet => Way::DataSet,
        };
        if let Way::Scalar = way {
            if !self.attributes.is_empty() {
                self.foreign_attributes(tag)?;
            }
            return self.scalar(shape, tag, declared);
        }
        self.deeper(tag)?;
        match way {
            Way::Scalar => {}
            Way::Text => self.text_with_attributes(shape, tag, declared)?,
            Way::Elements | Way::Empty => self.complex(shape, tag, declared)?,
            Way::Array(item, dimensions) => self.array(item, dimensions, tag)?,
            Way::Map => self.map(tag)?,
            Way::Any => self.untyped(tag)?,
            Way::DataSet => self.data_set(tag)?,
        }
        self.depth -= 1;
        if is_target {
            self.refs.leave();
        }
        Ok(())
    }

    /// One more element lies around what is read.
    pub(super) fn deeper(&mut self, tag: &Tag) -> Outcome<()> {
        self.depth += 1;
        if self.depth <= MAX_DEPTH {
            return Ok(());
        }
        let found = format!("elements that lie more than {MAX_DEPTH} deep");
        Err(self.problem(RejectCode::Malformed, tag.at, "a record that can be held in memory", found))
    }

    /// An element that says it is null.
    fn nil(&mut self, tag: &Tag, declared: Declared) -> Outcome<()> {
        let is_allowed = match declared.member {
            Some((shape, member)) => self.shapes.member(shape, member).is_none_or(|member| member.is_nillable),
            None => true,
        };
        if !is_allowed && !self.is_encoded {
            self.lenient(Leniency::Nil, tag.at, RejectCode::Blank, "a value", |_| "xsi:nil".to_owned())?;
        }
        let mut is_empty = true;
        if !tag.empty {
            loop {
                match self.next()? {
                    Piece::Text(from, to) => is_empty &= self.bytes((from, to)).iter().all(|byte| is_space(*byte)),
                    Piece::CData(from, to) => is_empty &= from == to,
                    Piece::Remark => {}
                    Piece::Start(child) => {
                        is_empty = false;
                        self.skip(&child)?;
                    }
                    Piece::End { name } => break self.check_end(tag, name)?,
                }
            }
        }
        if !is_empty {
            self.lenient(Leniency::Nil, tag.at, RejectCode::Unexpected, "nothing in an element that is nil", |_| {
                "something".to_owned()
            })?;
        }
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    /// Text alone.
    fn scalar(&mut self, shape: ShapeId, tag: &Tag, declared: Declared) -> Outcome<()> {
        let is_binary = matches!(&self.shapes.get(shape).kind, Kind::Scalar(scalar) if scalar.is_binary());
        let leaf = self.leaf(tag, is_binary)?;
        self.write_leaf(shape, leaf, tag, declared)
    }

    /// Appends a text as its type has it.
    fn write_leaf(&mut self, shape: ShapeId, leaf: Leaf, tag: &Tag, declared: Declared) -> Outcome<()> {
        let Machine { window, shapes, out, text, settings, .. } = self;
        let (Kind::Scalar(scalar) | Kind::Text(scalar, _)) = &shapes.get(shape).kind else { return Ok(()) };
        let (span, own) = match leaf {
            Leaf::Plain(from, to) => ((from, to), window.first(to).get(from..).unwrap_or_default()),
            Leaf::Made => ((tag.end, tag.end), text.as_slice()),
        };
        let preset = match declared.member {
            Some((shape, member)) if own.is_empty() => shapes.member(shape, member).and_then(|own| own.preset.as_ref()),
            _ => None,
        };
        let own = preset.map_or(own, |preset| preset.text().as_bytes());
        match scalar.write(own, settings.numbers, out) {
            Verdict::Sound => Ok(()),
            verdict => {
                let found = format!("`{}`", String::from_utf8_lossy(own).chars().take(80).collect::<String>());
                let expected = scalar.wanted(own).into_owned();
                self.not_sound(verdict, span.0, &expected, found)
            }
        }
    }

    /// What becomes of a text that is no sound value.
    #[cold]
    pub(super) fn not_sound(&mut self, verdict: Verdict, at: usize, expected: &str, found: String) -> Outcome<()> {
        match verdict {
            Verdict::Sound => Ok(()),
            Verdict::Odd => self.lenient(Leniency::OddValue, at, RejectCode::BadType, expected, |_| found),
            Verdict::Empty => self.lenient(Leniency::Empty, at, RejectCode::Blank, expected, |_| "nothing".to_owned()),
            Verdict::Wrong => Err(self.problem(RejectCode::BadType, at, expected, found)),
        }
    }

    /// Text with attributes: an object.
    fn text_with_attributes(&mut self, shape: ShapeId, tag: &Tag, declared: Declared) -> Outcome<()> {
        let start = self.out.len();
        self.write_attributes(shape, tag)?;
        if let Kind::Text(_, key) = &self.shapes.get(shape).kind {
            self.out.extend_from_slice(key);
        }
        let is_binary = matches!(&self.shapes.get(shape).kind, Kind::Text(scalar, _) if scalar.is_binary());
        let leaf = self.leaf(tag, is_binary)?;
        self.write_leaf(shape, leaf, tag, declared)?;
        close(start, &mut self.out);
        Ok(())
    }

    /// Elements, or nothing, with attributes.
    fn complex(&mut self, shape: ShapeId, tag: &Tag, declared: Declared) -> Outcome<()> {
        let mut object = self.object();
        let own = self.shapes.get(shape);
        if own.is_abstract {
            self.lenient(
                Leniency::UnknownType,
                tag.at,
                RejectCode::UnknownType,
                "xsi:type, for this type is abstract",
                |_| "none".to_owned(),
            )?;
        }
        self.name_type(shape, declared);
        if !self.attributes.is_empty() || self.shapes.get(shape).asks_attributes {
            self.write_attributes(shape, tag)?;
        }
        self.head(&mut object);
        let start = self.out.len();
        let is_unwrapped = self.settings.unwrap_lists
            && self.shapes.elements(shape).is_some_and(|elements| elements.is_list)
            && declared.member.is_some();
        let is_mixed = self.shapes.elements(shape).is_some_and(|elements| elements.mixed_key.is_some());
        let mut texts = Vec::new();
        if !tag.empty {
            loop {
                match self.next()? {
                    Piece::Start(child) => self.child(&mut object, shape, &child)?,
                    Piece::End { name } => {
                        self.check_end(tag, name)?;
                        break;
                    }
                    Piece::Text(from, to) if is_mixed => self.keep(&mut texts, from, to, Form::Escaped)?,
                    Piece::CData(from, to) if is_mixed => self.keep(&mut texts, from, to, Form::CData)?,
                    Piece::Text(from, to) | Piece::CData(from, to) => self.stray(from, to)?,
                    Piece::Remark => {}
                }
            }
        }
        if self.shapes.elements(shape).is_none() {
            close(start, &mut self.out);
            return Ok(());
        }
        self.close(object, shape, tag.at)?;
        if is_mixed {
            self.write_mixed(shape, &texts);
        }
        if is_unwrapped {
            self.unwrap(start, shape);
        }
        Ok(())
    }

    /// Keeps text that stands between elements.
    pub(super) fn keep(&mut self, texts: &mut Vec<u8>, from: usize, to: usize, form: Form) -> Outcome<()> {
        let start = self.text.len();
        self.push_text(from, to, form)?;
        texts.extend_from_slice(self.text.get(start..).unwrap_or_default());
        self.text.truncate(start);
        Ok(())
    }

    fn write_mixed(&mut self, shape: ShapeId, texts: &[u8]) {
        let text = trim(texts);
        let Some(key) = self.shapes.elements(shape).and_then(|elements| elements.mixed_key.as_ref()) else { return };
        if text.is_empty() {
            return;
        }
        self.out.pop();
        let key = if self.out.last() == Some(&b'{') { key.get(1..).unwrap_or_default() } else { key };
        self.out.extend_from_slice(key);
        write_string_bytes(text, &mut self.out);
        self.out.push(b'}');
    }

    /// `{"Line":[…]}` becomes `[…]`.
    fn unwrap(&mut self, start: usize, shape: ShapeId) {
        let Some(member) = self.shapes.member(shape, 0) else { return };
        // The comma of the key is a bracket now.
        let key = member.key.len();
        if self.out.get(start + 1..start + key) == member.key.get(1..) && self.out.last() == Some(&b'}') {
            self.out.pop();
            self.out.drain(start..start + key);
        }
    }

    /// Says which derived type an element is of.
    fn name_type(&mut self, shape: ShapeId, declared: Declared) {
        let Some((owner, member)) = declared.member else { return };
        let own = self.shapes.get(shape);
        let base = self.shapes.member(owner, member).map(|member| member.ty);
        let is_any = |ty: TypeId| matches!(self.types.get(ty).kind, TypeKind::Any | TypeKind::Untyped);
        if own.ty != base && own.ty.is_some() && !own.name.is_empty() && !base.is_some_and(is_any) {
            self.out.extend_from_slice(&own.type_key);
            write_string_bytes(own.name.as_bytes(), &mut self.out);
        }
    }

    /// An element in an element.
    #[inline]
    pub(super) fn child(&mut self, object: &mut Object, shape: ShapeId, child: &Tag) -> Outcome<()> {
        let scope = self.names.scope;
        self.open(child)?;
        match self.find(object.last().unwrap_or(0), shape, child)? {
            Child::Member(member) => {
                let own = match self.shapes.member(shape, member).map(|member| member.shape) {
                    Some(known) if known != NONE => known,
                    _ => {
                        let types = std::sync::Arc::clone(&self.types);
                        self.shapes.of_member(&types, shape, member)
                    }
                };
                self.begin(object, shape, member, child.at)?;
                let declared = Declared { member: Some((shape, member)) };
                let runs = self.runs.len();
                if let Err(stop) = self.value(own, child, declared) {
                    // What lies in the value has left its traces.
                    self.runs.truncate(runs);
                    return Err(stop.within(|| self.place_name(shape, member)));
                }
            }
            Child::Wild => {
                let member = self.shapes.elements(shape).map_or(0, |elements| elements.beyond(ANY));
                self.begin(object, shape, member, child.at)?;
                self.named(child)?;
            }
            Child::Unknown => self.unknown(object, shape, child)?,
        }
        self.names.scope = scope;
        Ok(())
    }

    /// The name of a member for messages, with the number of the value that is read.
    #[cold]
    fn place_name(&self, shape: ShapeId, member: usize) -> String {
        match self.shapes.member(shape, member) {
            Some(own) if own.is_many => format!("{}[{}]", own.json, self.index()),
            Some(own) => own.json.to_string(),
            None => String::new(),
        }
    }

    #[cold]
    fn unknown(&mut self, object: &mut Object, shape: ShapeId, child: &Tag) -> Outcome<()> {
        self.lenient(Leniency::UnknownElement, child.at, RejectCode::Unexpected, "an element of the schema", |own| {
            own.shown_name(child)
        })?;
        let extra = self.shapes.elements(shape).map(|elements| (elements.beyond(EXTRA), elements.is_list));
        match extra {
            // An unwrapped list has no place for it.
            Some((extra, is_list)) if self.settings.extra && !(is_list && self.settings.unwrap_lists) => {
                self.begin(object, shape, extra, child.at)?;
                self.named(child)
            }
            _ => self.skip(child),
        }
    }

    /// Which member an element is: mostly the one behind the last one, or the same again.
    #[inline]
    pub(super) fn find(&mut self, first: usize, shape: ShapeId, tag: &Tag) -> Outcome<Child> {
        if let Some(elements) = self.shapes.elements(shape) {
            let written = tag.written(self.window.bytes());
            let is_it = |own: &MemberShape| own.scope == self.names.scope && *own.written == *written;
            for (ahead, member) in elements.members.iter().skip(first).take(GUESSES).enumerate() {
                if is_it(member) && !member.is_loose {
                    return Ok(Child::Member(first + ahead));
                }
            }
        }
        self.find_slowly(shape, tag)
    }

    fn find_slowly(&mut self, shape: ShapeId, tag: &Tag) -> Outcome<Child> {
        let resolved = self.resolve(tag)?;
        let Some(ty) = self.shapes.get(shape).ty else { return Ok(Child::Unknown) };
        let types = std::sync::Arc::clone(&self.types);
        let TypeKind::Complex(complex) = &types.get(ty).kind else { return Ok(Child::Unknown) };
        let Some(elements) = complex.elements() else { return Ok(Child::Unknown) };
        let (member, is_loose) = match resolved.name().and_then(|name: Name| elements.find(name)) {
            Some(member) => (member, false),
            None => {
                let wildcards = self.shapes.elements(shape).map_or(&[][..], |elements| &elements.wildcards);
                if wildcards.iter().any(|wildcard| wildcard.allows(resolved.namespace)) {
                    return Ok(Child::Wild);
                }
                match resolved.local.and_then(|local| elements.find_local(local)) {
                    Some(member) => (member, true),
                    None => return Ok(Child::Unknown),
                }
            }
        };
        if is_loose {
            let uri = self.names.uri(resolved.space).to_owned();
            let expected = elements.members.get(member).map(|member| types.names.display(member.element.name));
            self.lenient(
                Leniency::WrongNamespace,
                tag.at,
                RejectCode::Unexpected,
                &expected.unwrap_or_default(),
                |own| format!("{} of the namespace `{uri}`", own.shown_name(tag)),
            )?;
        }
        let scope = self.names.scope;
        let written = tag.written(self.window.bytes());
        if let Some(own) = self.shapes.elements_mut(shape).and_then(|elements| elements.members.get_mut(member)) {
            if *own.written != *written {
                own.written = written.into();
            }
            (own.scope, own.is_loose) = (scope, is_loose);
        }
        Ok(Child::Member(member))
    }
}
