//! XML files: every element that fits a path is a record.
//!
//! As JSON an element is an object: attributes as `@name`, elements under their names, text as `#text`. An element that
//! has text alone is a string, an empty one is `""`, and one with `xsi:nil="true"` is null. Elements of one name that
//! stand several times are an array; whether one that stands once is an array, the settings say (`arrays`), or the
//! `each` of a mapping's field. Nothing is known of a document before it is read, so a mapping may use any name: what
//! is not there is null.
//!
//! Names go by namespace where prefixes are declared, and by their local part alone where none is. Entities are the
//! five of XML and references to characters; a DOCTYPE is refused, so nothing can be defined, expanded or fetched.
//! Tags are cut and attributes and references read by quick-xml; what is well-formed beyond that is looked at here.
//!
//! A checkpoint is the offset behind a record. To go on there the document is read from its start, for the elements
//! around the records with their namespaces and values; records before the offset are passed over by their tags, about
//! twice as fast as they are read.

mod around;
mod build;
mod encode;
mod encoding;
#[cfg(test)]
mod large_tests;
mod markup;
mod names;
mod outside;
mod path;
mod pick;
mod reader;
mod record;
mod seen;
mod settings;
mod spare;
#[cfg(test)]
mod tests;
mod tree;
mod within;
mod write;

use std::io::{Read, Seek};
use std::sync::Arc;

use indexmap::IndexSet;
use parking_lot::Mutex;

use super::whole::WHOLE;
use super::window::Window;
use super::{LayoutRow, Resume, StreamFault};
use crate::record::{FieldKind, Layout, Resolved, Slot, Unresolved, Wanted};
use names::{NameFault, Names};
use outside::{MAX_VALUES, Outside};
use path::{FieldPath, RecordPath};
use record::{Bound, Record};
use spare::Spare;

pub(in crate::decode) use around::escaped;
pub(in crate::decode) use encode::{XmlWriter, check_characters};
pub(in crate::decode) use encoding::Source;
pub(in crate::decode) use markup::{BadByte, Token, bad_byte, token};
pub use pick::{ValuePath, pick};
pub use reader::Reader;
pub(super) use settings::SECTION;
pub use settings::{ARRAYS, ENCODING, NAMESPACES, RECORD_PATH, Settings, TRIM};
pub(in crate::decode) use tree::Form;
pub(in crate::decode) use within::Within;
pub(in crate::decode) use write::write_pieces;

/// A compiled XML layout.
#[derive(Clone)]
pub struct Xml(Arc<Inner>);

struct Inner {
    settings: Settings,
    path: Arc<RecordPath>,
    /// What was resolved; a slot is an index into it.
    wanted: Mutex<IndexSet<Asked>>,
    spare: Arc<Spare>,
}

/// A place that a mapping asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    /// The repeating elements that it lies in, from the record on.
    within: FieldPath,
    /// From the innermost of those on, or from the document's element.
    path: FieldPath,
    kind: AskedKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum AskedKind {
    /// It stands once.
    Single,
    /// Each of several.
    Each,
    /// It stands before the record.
    Outside,
}

impl Xml {
    /// Of settings that were checked where they are written.
    pub(super) fn compile(settings: &Settings) -> Option<Xml> {
        let path = Arc::new(RecordPath::parse(&settings.record_path, settings).ok()?);
        let (settings, wanted, spare) = (settings.clone(), Mutex::default(), Arc::default());
        Some(Xml(Arc::new(Inner { settings, path, wanted, spare })))
    }

    pub(super) fn reader<R: Read + Seek>(&self, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        let Inner { settings, path, spare, .. } = &*self.0;
        let (source, start) = Source::open(input, settings.encoding)?;
        let record = self.record(start).map_err(|fault| reader::unusable(&fault))?;
        Reader::open((source, start), Arc::clone(path), record, from, Arc::clone(spare))
    }

    /// What a document is read into whose text begins at `start`.
    fn record(&self, start: u64) -> Result<Record, NameFault> {
        let Inner { settings, spare, .. } = &*self.0;
        let slots = self.0.wanted.lock().len();
        if let Some(record) = spare.take(slots, start) {
            return Ok(record);
        }
        let wanted: Vec<Asked> = self.0.wanted.lock().iter().cloned().collect();
        let (window, names) = (Window::new(start, u64::MAX), Names::new(settings));
        let mut record = Record::new(window, names, Outside::default(), settings.trim);
        bind(&mut record, settings, &wanted)?;
        Ok(record)
    }

    /// What is declared: the document itself says the rest.
    pub(super) fn describe(&self) -> Vec<LayoutRow> {
        let row = |name: &String, occurs: Option<&str>| LayoutRow {
            depth: 0,
            level: None,
            name: name.clone(),
            picture: String::new(),
            kind: if occurs.is_some() { "element" } else { "text" }.to_owned(),
            offset: None,
            length: None,
            occurs: occurs.map(str::to_owned),
            redefines: None,
        };
        let settings = &self.0.settings;
        let arrays = settings.arrays.iter().map(|name| row(name, Some("any")));
        settings.parent.iter().map(|name| row(name, None)).chain(arrays).collect()
    }

    /// A writer of documents in this layout.
    pub(super) fn writer(&self) -> XmlWriter<'_> {
        XmlWriter::new(&self.0.settings, &self.0.path)
    }

    /// The names of a path that begins at the document's element, when it leads into the record.
    fn inside(&self, path: &FieldPath) -> Option<FieldPath> {
        let record = self.0.path.fixed()?;
        let (start, rest) = path.0.split_at_checked(record.len())?;
        (start == record && !rest.is_empty()).then(|| FieldPath(rest.to_vec()))
    }

    fn ask(&self, asked: Asked, kind: FieldKind, repeats: bool) -> Result<Resolved, Unresolved> {
        let mut wanted = self.0.wanted.lock();
        let is_outside = asked.kind == AskedKind::Outside;
        let outside = wanted.iter().filter(|asked| asked.kind == AskedKind::Outside).count();
        if is_outside && !wanted.contains(&asked) && outside + self.0.settings.parent.len() >= MAX_VALUES {
            return unresolved(format!("more than {MAX_VALUES} values from before the record"));
        }
        let (index, _) = wanted.insert_full(asked);
        let slot = u32::try_from(index).ok().map(Slot).filter(|slot| *slot != WHOLE);
        match slot {
            Some(slot) => Ok(Resolved { slot, kind, repeats }),
            None => unresolved("too many fields".to_owned()),
        }
    }
}

fn unresolved(reason: String) -> Result<Resolved, Unresolved> {
    Err(Unresolved { reason, nearest: None })
}

/// Binds what is asked for to the names of one file.
fn bind(record: &mut Record, settings: &Settings, wanted: &[Asked]) -> Result<(), NameFault> {
    let mut bound = Vec::new();
    let mut shown = Vec::new();
    for asked in wanted {
        let mut steps = Vec::new();
        for part in asked.path.0.iter().filter(|part| *part != "#text") {
            steps.push(record.names.number(part)?);
        }
        bound.push(match asked.kind {
            AskedKind::Outside => Bound::Outside(record.outside.add(steps, String::new(), false)),
            kind => {
                let text = asked.path.0.last().is_some_and(|last| last == "#text");
                Bound::Inside { steps, repeats: kind == AskedKind::Each, text }
            }
        });
        shown.push(match asked.kind {
            AskedKind::Outside => format!("/{}", asked.path.0.join("/")),
            _ => asked.path.to_string(),
        });
    }
    record.bind(bound, shown);
    let numbers = |record: &mut Record, path: FieldPath| {
        path.0.iter().map(|part| record.names.number(part)).collect::<Result<Vec<_>, _>>()
    };
    for written in &settings.parent {
        if let Ok(path) = FieldPath::absolute(written, settings) {
            let path = numbers(record, path)?;
            record.outside.add(path, written.clone(), true);
        }
    }
    for written in &settings.arrays {
        if let Ok(path) = FieldPath::parse(written, settings) {
            let path = numbers(record, path)?;
            record.arrays.insert(&path);
        }
    }
    Ok(())
}

impl Layout for Xml {
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        self.resolve_as(parent, name, Wanted::Value)
    }

    fn resolve_as(&self, parent: Option<Slot>, name: &str, wanted: Wanted) -> Result<Resolved, Unresolved> {
        let settings = &self.0.settings;
        let is_group = matches!(wanted, Wanted::Group | Wanted::EachGroup);
        let repeats = matches!(wanted, Wanted::EachGroup | Wanted::EachValue);
        let kind = if is_group { FieldKind::Group } else { FieldKind::Text { max_chars: None } };
        let mut path = None;
        if name.starts_with('/') {
            let absolute = FieldPath::absolute(name, settings).or_else(unresolved_path)?;
            match self.inside(&absolute) {
                // From within a group the record is asked next.
                Some(_) if parent.is_some() => return unresolved(format!("`{name}` is not below this group")),
                Some(inside) => path = Some(inside),
                None if wanted == Wanted::Value => {
                    let asked = Asked { within: FieldPath::default(), path: absolute, kind: AskedKind::Outside };
                    return self.ask(asked, kind, false);
                }
                None => return unresolved(format!("`{name}` lies before the record: only its text can be had")),
            }
        }
        let path = match path {
            Some(path) => path,
            None => FieldPath::parse(name, settings).or_else(unresolved_path)?,
        };
        if path.is_value() && (is_group || repeats) {
            return unresolved(format!("`{name}` is a single text, with nothing below it"));
        }
        let (within, start) = match parent {
            None => (Vec::new(), Vec::new()),
            Some(slot) => {
                let asked = self.0.wanted.lock().get_index(slot.0 as usize).cloned();
                let Some(asked) = asked else { return unresolved("a group of another layout".to_owned()) };
                match asked.kind {
                    AskedKind::Each => ([asked.within.0, asked.path.0].concat(), Vec::new()),
                    _ => (asked.within.0, asked.path.0),
                }
            }
        };
        let path = FieldPath([start, path.0].concat());
        let whole = FieldPath([within.clone(), path.0.clone()].concat());
        let is_array = settings.arrays.iter().any(|own| FieldPath::parse(own, settings).as_ref() == Ok(&whole));
        let kind_asked = if repeats { AskedKind::Each } else { AskedKind::Single };
        let asked = Asked { within: FieldPath(within), path, kind: kind_asked };
        self.ask(asked, kind, repeats || is_array)
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

fn unresolved_path<T>(reason: String) -> Result<T, Unresolved> {
    Err(Unresolved { reason, nearest: None })
}
