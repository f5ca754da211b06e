//! Electronic data interchange: X12 (X12.5, X12.6) and UN/EDIFACT (ISO 9735, syntax versions 1 to 4).
//!
//! One record is one transaction set (ST to SE) or message (UNH to UNT), with the values of the envelopes around it.
//! Separators are taken from the interchange itself. Envelopes are verified: control numbers at both ends, counts,
//! numbers that have come before. What is wrong is rejected alone, a message or a trailer; a file that ends early cannot
//! be followed any further.
//!
//! As JSON a message is
//! `{"_interchange":{...},"_group":{...},"_type":"850","_control_number":"0001","_version":"004010","segments":[...]}`,
//! its segments as `{"id":"BEG","01":"00","02":"SA"}`, without the trailer, whose values follow from the rest. A mapping
//! names places of it by paths (`BEG.03`, `N1[ST].02`, `PO1..CTT`), or, with a schema, by the schema's names.

mod encode;
mod envelope;
mod follow;
mod generic;
mod json;
mod lent;
mod message;
mod path;
mod reader;
mod scan;
mod schema;
mod segment;
mod settings;
mod syntax;
#[cfg(test)]
mod tests;

use std::io::{Read, Seek};
use std::sync::Arc;

use super::json::JsonOptions;
use super::pieces::{Sink, Unwritten};
use super::reader::foreign_slot;
use super::{CodePage, LayoutRow, Resume, StreamFault};
use crate::diagnostic::{Faults, SourceText};
use crate::record::{Layout, RawRecord, Reject, Resolved, Slot, Unresolved};
use generic::{Place, Places};
use lent::Lent;

pub use reader::Reader;
pub use schema::{CONTENT, ELEMENT, SCHEMA, SEGMENT};
pub(super) use settings::SECTION;
pub use settings::Settings;

/// A compiled EDI layout.
#[derive(Clone)]
pub struct Edi(Arc<Inner>);

struct Inner {
    encoding: Option<CodePage>,
    places: Places,
    described: Option<Arc<Described>>,
}

/// A schema with its names.
struct Described {
    schema: schema::Schema,
    names: schema::Names,
}

impl Edi {
    pub(super) fn compile(
        settings: &Settings,
        texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
        faults: &Faults,
    ) -> Option<Edi> {
        let described = match &settings.schema {
            None => None,
            Some((path, place)) => {
                let Some(source) = texts(path) else {
                    faults.push(place.fault(format!("cannot read the schema `{path}`")));
                    return None;
                };
                let schema = schema::read(&source, faults)?;
                let names = schema::Names::new(&schema);
                Some(Arc::new(Described { schema, names }))
            }
        };
        let (encoding, places) = (settings.encoding.clone(), Places::default());
        Some(Edi(Arc::new(Inner { encoding, places, described })))
    }

    fn described(&self) -> Option<&Arc<Described>> {
        self.0.described.as_ref()
    }

    fn encoding(&self) -> Option<&CodePage> {
        self.0.encoding.as_ref()
    }

    fn places(&self) -> Vec<Place> {
        self.0.places.snapshot()
    }

    pub(super) fn reader<R: Read + Seek>(&self, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        Reader::open(self, input, from)
    }

    pub(super) fn writer(&self) -> encode::Writer<'_> {
        encode::Writer::new(&self.0)
    }

    pub(super) fn describe(&self) -> Vec<LayoutRow> {
        self.0.described.as_ref().map(|described| described.names.describe(&described.schema)).unwrap_or_default()
    }
}

/// Appends the record as JSON; it must come from a reader of this format.
pub(super) fn write_json(record: &RawRecord<'_>, options: &JsonOptions, out: &mut Vec<u8>) -> Result<(), Reject> {
    match record.fields.as_any().and_then(|fields| fields.downcast_ref::<Lent>()) {
        Some(lent) => lent.write_json(record.position, options, out),
        None => Err(super::reader::foreign_record(foreign_slot(), record)),
    }
}

/// Writes a record of this format in pieces; `None` for one of another, or where a schema names its values.
pub(super) fn write_pieces(
    record: &RawRecord<'_>,
    options: &JsonOptions,
    sink: &mut Sink<'_>,
) -> Option<Result<(), Unwritten>> {
    let own = record.fields.as_any().and_then(|fields| fields.downcast_ref::<Lent>())?;
    own.write_pieces(record.position, options, sink)
}

impl Layout for Edi {
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        match &self.0.described {
            Some(described) => described.names.resolve(parent, name),
            None => self.0.places.resolve(parent, name),
        }
    }

    fn names(&self) -> Vec<String> {
        match &self.0.described {
            Some(described) => described.names.all(),
            None => path::names().collect(),
        }
    }
}
