//! What attributes say: those of SOAP and XML Schema that are about the element, and those that are values.

use std::io::Read;

use super::leniency::Leniency;
use super::machine::{Machine, Outcome};
use super::names::{Resolved, Special, TooMany, local};
use super::scalar::Verdict;
use super::shape::{Kind, ShapeId, key};
use super::tag::{Raw, Tag};
use crate::decode::json::write_string_bytes;
use crate::record::RejectCode;
use crate::wsdl::{Builtin, TypeKind};

/// Attributes of one type that are told apart; what lies beyond is unknown.
const MAX_DECLARED: usize = 128;

/// What attributes say of their element.
#[derive(Default)]
pub(super) struct Given {
    pub(super) is_nil: bool,
    /// The attribute that names its type.
    pub(super) ty: Option<Raw>,
    /// The id of the element that has its value.
    pub(super) refers: Option<Vec<u8>>,
    /// It has an id.
    pub(super) is_target: bool,
}

/// What an attribute is.
enum Found {
    Declared(usize),
    /// It is about the document, and no value.
    Technical,
    /// One that any is allowed beside.
    Free,
    /// One of the element, in another namespace.
    Loose(usize),
    Unknown,
}

impl<R: Read> Machine<R> {
    /// Looks at the attributes of the tag that was opened last.
    pub(super) fn given(&mut self) -> Outcome<Given> {
        let mut given = Given::default();
        for index in 0..self.attributes.len() {
            let raw = self.attributes[index];
            let name = self.bytes(raw.name);
            if memchr::memchr(b':', name).is_none() {
                if self.is_encoded {
                    match name {
                        b"href" => given.refers = self.bytes(raw.value).strip_prefix(b"#").map(<[u8]>::to_vec),
                        b"id" => given.is_target = true,
                        _ => {}
                    }
                }
                continue;
            }
            let resolved = self.attribute(&raw)?;
            let name = self.bytes(raw.name);
            // Old programs write them without ever binding the prefix.
            let is_instance =
                resolved.special == Special::Instance || resolved.space.is_none() && name.starts_with(b"xsi:");
            match local(name) {
                // `null` in the drafts.
                b"nil" | b"null" if is_instance => {
                    given.is_nil = matches!(self.bytes(raw.value).trim_ascii(), b"true" | b"1");
                }
                b"type" if is_instance => given.ty = Some(raw),
                b"ref" if self.is_encoded && resolved.special == Special::Encoding => {
                    let id = self.bytes(raw.value);
                    given.refers = Some(id.strip_prefix(b"#").unwrap_or(id).to_vec());
                }
                b"id" if self.is_encoded && resolved.special == Special::Encoding => given.is_target = true,
                _ => {}
            }
        }
        Ok(given)
    }

    /// Resolves the name of an attribute.
    pub(super) fn attribute(&mut self, raw: &Raw) -> Outcome<Resolved> {
        let (from, to) = raw.name;
        let written = self.window.first(to).get(from..).unwrap_or_default();
        match self.names.attribute(&self.types.names, written) {
            Ok(resolved) => Ok(resolved),
            Err(TooMany) => Err(self.too_many(from)),
        }
    }

    /// The attribute of SOAP's encoding with this local name.
    pub(super) fn encoding_attribute(&mut self, wanted: &[u8]) -> Outcome<Option<String>> {
        for index in 0..self.attributes.len() {
            let raw = self.attributes[index];
            if local(self.bytes(raw.name)) == wanted && self.attribute(&raw)?.special == Special::Encoding {
                return self.attribute_text(&raw).map(Some);
            }
        }
        Ok(None)
    }

    /// The shape of an element that names its type.
    pub(super) fn actual(&mut self, declared: ShapeId, named: &Raw, tag: &Tag) -> Outcome<ShapeId> {
        let (from, to) = named.value;
        let value = self.window.first(to).get(from..).unwrap_or_default().trim_ascii();
        let name = local(value).to_vec();
        let resolved = match self.names.element(&self.types.names, value) {
            Ok(resolved) => resolved,
            Err(TooMany) => return Err(self.too_many(from)),
        };
        let types = std::sync::Arc::clone(&self.types);
        let (is_any, own) = {
            let shape = self.shapes.get(declared);
            (matches!(shape.kind, Kind::Any), shape.ty)
        };
        if let Some(ty) = resolved.name().and_then(|name| types.named(name)) {
            if own == Some(ty) {
                return Ok(declared);
            }
            let is_simple = matches!(types.get(ty).kind, TypeKind::Simple(_));
            if is_any || own.is_some_and(|own| types.is_derived(ty, own)) {
                // A text of a type that the schema derives is read as what it is; so is the rest.
                return Ok(self.shapes.of_type(&types, ty));
            }
            if is_simple && matches!(self.shapes.get(declared).kind, Kind::Scalar(_)) {
                // Services name the type of their own language; the text is what counts.
                return Ok(declared);
            }
            if matches!(self.shapes.get(declared).kind, Kind::Array(..)) && self.is_encoded {
                return Ok(declared);
            }
            return self.untold_type(declared, named, tag);
        }
        match (resolved.special, name.as_slice()) {
            (Special::ApacheMap, b"Map") if is_any => Ok(self.shapes.map()),
            (Special::Schema, b"anyType" | b"ur-type") => Ok(declared),
            (Special::Encoding, b"Array" | b"Struct" | b"Vector") => Ok(declared),
            (Special::ApacheMap, _) => Ok(declared),
            (Special::Schema | Special::Encoding, name) => {
                let builtin = Builtin::ALL.iter().find(|builtin| builtin.name().as_bytes() == name).copied();
                let builtin = match name {
                    b"base64" => Some(Builtin::Base64Binary),
                    // Of the drafts.
                    b"timeInstant" => Some(Builtin::DateTime),
                    _ => builtin,
                };
                match builtin {
                    Some(builtin) if is_any => Ok(self.shapes.of_builtin(builtin)),
                    Some(_) => Ok(declared),
                    None => self.untold_type(declared, named, tag),
                }
            }
            // What nothing is known of is read as it comes.
            _ if is_any => Ok(declared),
            _ => self.untold_type(declared, named, tag),
        }
    }

    /// A type that cannot be taken: the declared one is.
    fn untold_type(&mut self, declared: ShapeId, named: &Raw, tag: &Tag) -> Outcome<ShapeId> {
        let expected = format!("a type that is derived from `{}`", self.shapes.get(declared).name);
        self.lenient(Leniency::UnknownType, tag.at, RejectCode::UnknownType, &expected, |own| {
            format!("`{}`", own.shown(named.value))
        })?;
        Ok(declared)
    }

    fn find_attribute(&mut self, shape: ShapeId, raw: &Raw) -> Outcome<Found> {
        let resolved = self.attribute(raw)?;
        let name = self.bytes(raw.name);
        let shape = self.shapes.get(shape);
        let declared = shape.attributes.iter().take(MAX_DECLARED);
        if let Some(own) = resolved.name()
            && let Some(index) = declared.clone().position(|attribute| attribute.name == own)
        {
            return Ok(Found::Declared(index));
        }
        let is_encoding = matches!(name, b"id" | b"href" | b"offset" | b"root" | b"arrayType") && self.is_encoded;
        Ok(match resolved.special {
            Special::Instance | Special::Envelope11 | Special::Envelope12 | Special::Encoding | Special::Xml => {
                Found::Technical
            }
            _ if is_encoding || resolved.space.is_none() && name.starts_with(b"xsi:") => Found::Technical,
            _ if shape.any_attribute => Found::Free,
            _ => {
                let mut alike = declared.enumerate().filter(|(_, own)| Some(own.name.local) == resolved.local);
                match (alike.next(), alike.next()) {
                    (Some((index, _)), None) => Found::Loose(index),
                    _ => Found::Unknown,
                }
            }
        })
    }

    /// Appends the attributes of an element as members, by its shape.
    pub(super) fn write_attributes(&mut self, shape: ShapeId, tag: &Tag) -> Outcome<()> {
        let mut seen = 0u128;
        let mut guess = 0;
        for index in 0..self.attributes.len() {
            let raw = self.attributes[index];
            let name = self.bytes(raw.name);
            // Attributes mostly come in the order of the schema.
            let ahead = self.shapes.get(shape).attributes.iter().take(MAX_DECLARED).skip(guess);
            let quick = ahead.take(4).position(|own| own.plain.as_deref() == Some(name)).map(|ahead| guess + ahead);
            let found = match quick {
                Some(found) => Found::Declared(found),
                None => self.find_attribute(shape, &raw)?,
            };
            let number = match found {
                Found::Declared(number) => number,
                Found::Loose(number) => {
                    self.lenient(
                        Leniency::WrongNamespace,
                        tag.at,
                        RejectCode::Unexpected,
                        "an attribute of the schema",
                        |own| format!("`{}`", own.shown(raw.name)),
                    )?;
                    number
                }
                Found::Technical => continue,
                Found::Free => {
                    self.write_free(&raw)?;
                    continue;
                }
                Found::Unknown => {
                    self.unknown_attribute(&raw, tag)?;
                    continue;
                }
            };
            guess = number + 1;
            if seen & 1 << number != 0 {
                return Err(self.problem(
                    RejectCode::BadCount,
                    tag.at,
                    "attributes of different names",
                    "two of one name",
                ));
            }
            seen |= 1 << number;
            self.write_attribute(shape, number, &raw)?;
        }
        if self.shapes.get(shape).asks_attributes {
            self.absent_attributes(shape, seen, tag)?;
        }
        Ok(())
    }

    fn write_attribute(&mut self, shape: ShapeId, number: usize, raw: &Raw) -> Outcome<()> {
        let (from, to) = raw.value;
        let made;
        let bytes = self.window.first(to).get(from..).unwrap_or_default();
        let is_plain = !bytes.iter().any(|byte| matches!(byte, b'&' | b'\t' | b'\r' | b'\n'));
        let value = if is_plain {
            bytes
        } else {
            made = self.attribute_text(raw)?;
            made.as_bytes()
        };
        let Some(own) = self.shapes.get(shape).attributes.get(number) else { return Ok(()) };
        self.out.extend_from_slice(&own.key);
        match own.scalar.write(value, self.settings.numbers, &mut self.out) {
            Verdict::Sound => Ok(()),
            verdict => {
                let (expected, name) = (own.scalar.wanted(value).into_owned(), own.json.clone());
                let found = format!("`{}`", self.shown(raw.value));
                self.not_sound(verdict, from, &expected, found).map_err(|stop| stop.within(|| name.into()))
            }
        }
    }

    /// An attribute that no schema speaks of.
    pub(super) fn write_free(&mut self, raw: &Raw) -> Outcome<()> {
        let name = String::from_utf8_lossy(local(self.bytes(raw.name))).into_owned();
        let value = self.attribute_text(raw)?;
        self.out.extend_from_slice(&key(&format!("@{name}")));
        write_string_bytes(value.as_bytes(), &mut self.out);
        Ok(())
    }

    #[cold]
    fn absent_attributes(&mut self, shape: ShapeId, seen: u128, tag: &Tag) -> Outcome<()> {
        for number in 0..self.shapes.get(shape).attributes.len().min(MAX_DECLARED) {
            if seen & 1 << number != 0 {
                continue;
            }
            let Some(own) = self.shapes.get(shape).attributes.get(number) else { continue };
            match &own.preset {
                Some(preset) => {
                    let before = self.out.len();
                    self.out.extend_from_slice(&own.key);
                    let text = preset.text().as_bytes();
                    if own.scalar.write(text, self.settings.numbers, &mut self.out) == Verdict::Wrong {
                        self.out.truncate(before);
                    }
                }
                None if own.is_required => {
                    let expected = format!("an attribute `{}`", own.json);
                    self.lenient(Leniency::Missing, tag.at, RejectCode::Absent, &expected, |_| "none".to_owned())?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Counts attributes of an element that has text alone.
    #[cold]
    pub(super) fn foreign_attributes(&mut self, tag: &Tag) -> Outcome<()> {
        for index in 0..self.attributes.len() {
            let raw = self.attributes[index];
            if let Found::Unknown | Found::Loose(_) = self.find_attribute(super::shape::ANY, &raw)? {
                self.unknown_attribute(&raw, tag)?;
            }
        }
        Ok(())
    }

    fn unknown_attribute(&mut self, raw: &Raw, tag: &Tag) -> Outcome<()> {
        self.lenient(Leniency::UnknownAttribute, tag.at, RejectCode::Unexpected, "an attribute of the schema", |own| {
            format!("`{}`", own.shown(raw.name))
        })
    }

    /// Whether an attribute is about the document, and no value.
    pub(super) fn is_technical(&mut self, raw: &Raw) -> Outcome<bool> {
        Ok(matches!(self.find_attribute(super::shape::ANY, raw)?, Found::Technical))
    }
}
