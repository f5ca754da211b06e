//! Names of fields, resolved by the plan: members as JSON has them, parted by points: `Lines.Line.Sku`, `@id`. A path from
//! the answer on, `/Total`, means a value around the records, and `/Header/Session/Id` one of a block of the envelope's header.

use super::Soap;
use super::record::{Asked, Begins, Reading, Record};
use crate::decode::LayoutRow;
use crate::decode::whole::WHOLE;
use crate::diagnostic::nearest;
use crate::record::{FieldKind, Layout, Resolved, Slot, Unresolved, Wanted};
use crate::wsdl::{Builtin, Complex, Content, JsonKind, Simple, TypeId, TypeKind, Types, VALUE, Variety};

/// What a path into the envelope's header begins with.
const HEADER: &str = "Header";

/// How deep types are shown, and how many rows.
const MAX_SHOWN: (usize, usize) = (12, 4000);

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Type(TypeId),
    /// Where no schema leads.
    Unknown,
}

/// One step of a name.
struct Stepped {
    place: Place,
    repeats: bool,
}

impl Soap {
    /// A record with the slots that were resolved so far.
    pub(super) fn record(&self) -> Record {
        let asked: Vec<Asked> = self.0.wanted.lock().keys().cloned().collect();
        let shown = asked.iter().map(|asked| match asked.from {
            Begins::Record => asked.path.join("."),
            Begins::Answer => format!("/{}", asked.path.join("/")),
            Begins::Header => format!("/{HEADER}/{}", asked.path.join("/")),
        });
        let shown = shown.collect();
        Record::new(asked, shown)
    }

    /// Where the records' type is known.
    fn start(&self) -> Place {
        self.0.record_type.map_or(Place::Unknown, Place::Type)
    }

    fn walk(&self, start: Place, parts: &[&str], wanted: Wanted) -> Result<Stepped, String> {
        let types = &self.0.plan.types;
        let mut at = Stepped { place: start, repeats: false };
        for (index, part) in parts.iter().enumerate() {
            if at.repeats {
                let list = parts[..index].join(".");
                return Err(format!("`{list}` repeats: name its fields within `each`"));
            }
            at = match at.place {
                Place::Unknown => {
                    let is_each = matches!(wanted, Wanted::EachGroup | Wanted::EachValue) && index + 1 == parts.len();
                    Stepped { place: Place::Unknown, repeats: is_each }
                }
                Place::Type(ty) => step(types, ty, part, self.0.settings.unwrap_lists)?,
            };
        }
        Ok(at)
    }

    /// What a block of the envelope's header is. Where the operation declares none it may have any that a schema knows.
    fn block(&self, name: Option<&str>) -> Result<Place, String> {
        let name = name.ok_or_else(|| format!("name a block of the header: `/{HEADER}/Session`"))?;
        let declared = self.0.plan.operation.output.as_ref().map_or(&[][..], |output| &output.headers);
        if declared.is_empty() {
            return Ok(Place::Unknown);
        }
        let found = declared.iter().find(|header| *header.json == *name);
        found.map(|header| Place::Type(header.element.ty)).ok_or_else(|| {
            let names: Vec<&str> = declared.iter().map(|header| &*header.json).collect();
            format!("the answer's header has no `{name}`; it has: {}", names.join(", "))
        })
    }

    fn kind(&self, place: Place, wanted: Wanted) -> (FieldKind, Reading) {
        let text = (FieldKind::Text { max_chars: None }, Reading::Json);
        let Place::Type(ty) = place else {
            let is_group = matches!(wanted, Wanted::Group | Wanted::EachGroup);
            return if is_group { (FieldKind::Group, Reading::Json) } else { text };
        };
        match &self.0.plan.types.get(ty).kind {
            TypeKind::Simple(simple) => of_simple(simple),
            TypeKind::Complex(Complex { content: Content::Text(_), .. })
                if !matches!(wanted, Wanted::Group | Wanted::EachGroup) =>
            {
                self.0.plan.types.simple(ty).map_or(text, of_simple)
            }
            TypeKind::Complex(_) | TypeKind::Map | TypeKind::Array(_) => (FieldKind::Group, Reading::Json),
            TypeKind::Any | TypeKind::Untyped => self.kind(Place::Unknown, wanted),
        }
    }

    /// What the records are like, as a table.
    pub(in crate::decode) fn describe(&self) -> Vec<LayoutRow> {
        let mut rows = Vec::new();
        if let Some(ty) = self.0.record_type {
            rows_of(&self.0.plan.types, ty, 0, &mut rows);
        }
        rows
    }
}

/// What a member of a type is.
fn step(types: &Types, ty: TypeId, part: &str, unwraps: bool) -> Result<Stepped, String> {
    let single = |ty| Ok(Stepped { place: Place::Type(ty), repeats: false });
    let complex = match &types.get(ty).kind {
        TypeKind::Any | TypeKind::Untyped | TypeKind::Map => {
            return Ok(Stepped { place: Place::Unknown, repeats: false });
        }
        TypeKind::Complex(complex) => complex,
        TypeKind::Array(_) => return Err(format!("there is no `{part}`: the value before it is a list")),
        // A record that is a text is an object with it.
        TypeKind::Simple(_) if part == VALUE => return single(ty),
        TypeKind::Simple(_) => return Err(format!("there is no `{part}`: the value before it is a text")),
    };
    if let Some(attribute) = complex.attributes.iter().find(|attribute| *attribute.json == *part) {
        return single(attribute.ty);
    }
    let mut names: Vec<&str> = complex.attributes.iter().map(|attribute| &*attribute.json).collect();
    match &complex.content {
        Content::Text(text) if part == VALUE => return single(*text),
        Content::Text(_) => names.push(VALUE),
        Content::DataSet => return Ok(Stepped { place: Place::Unknown, repeats: false }),
        Content::Elements(elements) => {
            if let Some(member) = elements.members.iter().find(|member| *member.json == *part) {
                let own = member.element.ty;
                return Ok(match &types.get(own).kind {
                    _ if member.is_many => Stepped { place: Place::Type(own), repeats: true },
                    TypeKind::Array(array) => Stepped { place: Place::Type(array.item), repeats: true },
                    TypeKind::Complex(inner) if unwraps && inner.list_member().is_some() => {
                        let item = inner.list_member().map_or(own, |item| item.element.ty);
                        Stepped { place: Place::Type(item), repeats: true }
                    }
                    TypeKind::Simple(Simple { variety: Variety::List(item), .. }) => {
                        Stepped { place: Place::Type(*item), repeats: true }
                    }
                    _ => Stepped { place: Place::Type(own), repeats: false },
                });
            }
            if part.starts_with('_') || elements.mixed.as_deref() == Some(part) {
                return Ok(Stepped { place: Place::Unknown, repeats: false });
            }
            names.extend(elements.members.iter().map(|member| &*member.json));
        }
        Content::Empty => {}
    }
    if part.starts_with('@') && complex.any_attribute {
        return Ok(Stepped { place: Place::Unknown, repeats: false });
    }
    Err(match nearest(part, names.iter().copied()) {
        Some(nearest) => format!("there is no `{part}`; did you mean `{nearest}`?"),
        None => format!("there is no `{part}`"),
    })
}

fn of_simple(simple: &Simple) -> (FieldKind, Reading) {
    let builtin = match &simple.variety {
        Variety::Atomic(builtin) => *builtin,
        Variety::List(_) | Variety::Union(_) => return (FieldKind::Text { max_chars: None }, Reading::Json),
    };
    let facets = simple.facets.as_deref();
    let kind = match builtin.json() {
        JsonKind::Integer => FieldKind::Number { digits: 10, scale: 0, signed: true },
        JsonKind::LargeInteger => FieldKind::Number { digits: 38, scale: 0, signed: true },
        JsonKind::Float => FieldKind::Float,
        JsonKind::Decimal => match facets.and_then(|facets| facets.total_digits.zip(facets.fraction_digits)) {
            Some((digits, scale)) if digits <= 38 => {
                FieldKind::Number { digits: digits as u8, scale: scale.min(digits) as u8, signed: true }
            }
            // How many digits are behind the point the schema does not say.
            _ => FieldKind::Text { max_chars: None },
        },
        JsonKind::Boolean | JsonKind::Text => match builtin {
            Builtin::Base64Binary => return (FieldKind::Bytes { length: None }, Reading::Base64),
            Builtin::HexBinary => return (FieldKind::Bytes { length: None }, Reading::Hex),
            _ => {
                let max = facets.and_then(|facets| facets.max_length).and_then(|length| u32::try_from(length).ok());
                FieldKind::Text { max_chars: max }
            }
        },
    };
    (kind, Reading::Json)
}

impl Layout for Soap {
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        self.resolve_as(parent, name, Wanted::Value)
    }

    fn resolve_as(&self, parent: Option<Slot>, name: &str, wanted: Wanted) -> Result<Resolved, Unresolved> {
        let unresolved = |reason: String| Unresolved { reason, nearest: None };
        let (around, name) = name.strip_prefix('/').map_or((false, name), |name| (true, name));
        let separator = if around || name.contains('/') { '/' } else { '.' };
        let parts: Vec<&str> = name.split(separator).map(|part| if part == "#text" { VALUE } else { part }).collect();
        if parts.iter().any(|part| part.is_empty()) {
            return Err(unresolved(format!("`{name}` is no path of names")));
        }
        let mut wanted_slots = self.0.wanted.lock();
        let parent = match parent {
            Some(_) if around => None,
            Some(slot) => match wanted_slots.get_index(slot.0 as usize) {
                Some((asked, place)) => Some((asked.clone(), *place)),
                None => return Err(unresolved("a group of another layout".to_owned())),
            },
            None => None,
        };
        let start = match (&parent, around) {
            (_, true) => self.0.answer.map_or(Place::Unknown, Place::Type),
            (Some((_, place)), _) => place.map_or(Place::Unknown, Place::Type),
            (None, _) => self.start(),
        };
        // The answer's own element may be named.
        let root = self.0.root.as_deref().filter(|root| around && parts.first() == Some(root)).is_some();
        let mut parts = &parts[usize::from(root)..];
        let from = match around {
            false => Begins::Record,
            // An answer may have an element of that name.
            true if !root && parts[0] == HEADER && self.walk(start, &parts[..1], Wanted::Group).is_err() => {
                Begins::Header
            }
            true => Begins::Answer,
        };
        let at = match from {
            Begins::Header => {
                parts = &parts[1..];
                self.block(parts.first().copied()).and_then(|start| self.walk(start, &parts[1..], wanted))
            }
            Begins::Record | Begins::Answer => self.walk(start, parts, wanted),
        };
        let at = at.map_err(unresolved)?;
        if around && at.repeats {
            return Err(unresolved(format!("`/{name}` repeats, and only single values around the records are kept")));
        }
        let (kind, reading) = self.kind(at.place, wanted);
        let path: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        let (within, path) = match parent {
            Some((asked, _)) if asked.repeats => ([asked.within, asked.path].concat(), path),
            Some((asked, _)) => (asked.within, [asked.path, path].concat()),
            None => (Vec::new(), path),
        };
        let asked = Asked { within, path, repeats: at.repeats, from, reading };
        let place = match at.place {
            Place::Type(ty) => Some(ty),
            Place::Unknown => None,
        };
        let (index, _) = wanted_slots.insert_full(asked, place);
        match u32::try_from(index).ok().map(Slot).filter(|slot| *slot != WHOLE) {
            Some(slot) => Ok(Resolved { slot, kind, repeats: at.repeats }),
            None => Err(unresolved("too many fields".to_owned())),
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut path: Vec<String> = Vec::new();
        for row in self.describe() {
            path.truncate(row.depth);
            path.push(row.name);
            if row.kind != "group" {
                names.push(path.join("."));
            }
        }
        names
    }

    fn says_null(&self) -> bool {
        true
    }
}

/// Appends a row for every member of a type, and for what is in it.
fn rows_of(types: &Types, ty: TypeId, depth: usize, rows: &mut Vec<LayoutRow>) {
    if depth > MAX_SHOWN.0 || rows.len() > MAX_SHOWN.1 {
        return;
    }
    let row = |name: &str, kind: String, occurs: Option<String>| LayoutRow {
        depth,
        level: None,
        name: name.to_owned(),
        picture: String::new(),
        kind,
        offset: None,
        length: None,
        occurs,
        redefines: None,
    };
    let complex = match &types.get(ty).kind {
        TypeKind::Complex(complex) => complex,
        TypeKind::Simple(_) if depth == 0 => {
            rows.push(row(VALUE, words(types, ty), None));
            return;
        }
        TypeKind::Array(array) => return rows_of(types, array.item, depth, rows),
        _ => return,
    };
    for attribute in &complex.attributes {
        rows.push(row(&attribute.json, words(types, attribute.ty), None));
    }
    match &complex.content {
        Content::Text(text) => rows.push(row(VALUE, words(types, *text), None)),
        Content::Elements(elements) => {
            for member in &elements.members {
                let own = member.element.ty;
                let repeats = member.is_many || matches!(types.get(own).kind, TypeKind::Array(_));
                rows.push(row(&member.json, words(types, own), repeats.then(|| "any".to_owned())));
                rows_of(types, own, depth + 1, rows);
            }
        }
        Content::Empty | Content::DataSet => {}
    }
}

/// What a type is, in a word.
fn words(types: &Types, ty: TypeId) -> String {
    match (&types.get(ty).kind, types.simple(ty)) {
        (TypeKind::Simple(_), Some(Simple { variety: Variety::Atomic(builtin), .. })) => builtin.name().to_owned(),
        (TypeKind::Simple(_), _) => "list or union".to_owned(),
        (TypeKind::Any | TypeKind::Untyped, _) => "any".to_owned(),
        _ => "group".to_owned(),
    }
}
