//! SAP IDocs: flat files of EDI_DC40 and data records (port type file, release 4 on), and IDoc XML.
//!
//! One record is one IDoc. Both forms become the same tree of segments, by PSGNUM (or HLEVEL, where that is blank) of
//! the data records, or as the elements of XML lie in one another. As JSON it is
//! `{"EDI_DC40":{...},"E1EDK01":[{"_segment":1,"BELNR":"...","E1EDKT1":[...]}],...}`: segments by the name of their type,
//! always as arrays, with their number in the IDoc; fields that hold something as strings.
//!
//! | name | means |
//! | --- | --- |
//! | `EDI_DC40.DOCNUM` | a field of the control record |
//! | `E1EDK01.BELNR` | a field of the one segment E1EDK01 |
//! | `E1EDK03[IDDAT=012].DATUM` | of the one whose field has that value |
//! | `E1EDP01` | every segment E1EDP01, for `each` |
//! | `MENGE`, `E1EDP19[QUALF=002].IDTNR`, `E1EDP20` | within `each`: its fields, those of segments below it, segments below it |
//! | `E1EDP01[POSEX=10]/E1EDP19.IDTNR` | from one segment to those below it |
//! | `/E1EDK01.BELNR` | from within `each`: of the whole IDoc |
//!
//! Without a list of segments a name alone is that of a segment within `each` when it begins with E1, E2, Z1, Z2 or `_-`.

mod encode;
mod flat;
mod lent;
mod names;
mod reader;
mod segments;
mod settings;
#[cfg(test)]
mod tests;
mod tree;
mod xml;

use std::io::{Read, Seek};
use std::sync::Arc;

use super::json::JsonOptions;
use super::reader::{foreign_record, foreign_slot, length32};
use super::{CodePage, LayoutRow, Resume, StreamFault};
use crate::diagnostic::{Faults, SourceText};
use crate::record::{Layout, Position, RawRecord, Reject, RejectCode, Resolved, Slot, Unresolved};
use lent::Lent;
use names::Names;
use segments::{Segment, Segments};

pub use reader::Reader;
pub(super) use settings::{FORM, SECTION};
pub use settings::{Form, Settings};

/// How deep segments may lie in one another. SAP's deepest types have fewer than ten levels.
const MAX_DEPTH: usize = 24;

/// What is due in place of a segment whose name its document has already.
const ANOTHER_NAME: &str = "a segment whose name is none of the members beside it";

/// A compiled IDoc layout.
#[derive(Clone)]
pub struct Idoc(Arc<Inner>);

struct Inner {
    encoding: CodePage,
    form: Form,
    control: Segment,
    segments: Option<Segments>,
    names: Names,
}

impl Idoc {
    pub(super) fn compile(
        settings: &Settings,
        texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
        faults: &Faults,
    ) -> Option<Idoc> {
        let segments = match &settings.segments {
            None => None,
            Some((path, place)) => {
                let Some(source) = texts(path) else {
                    faults.push(place.fault(format!("cannot read the list of segments `{path}`")));
                    return None;
                };
                Some(segments::read(&source, faults)?)
            }
        };
        let (encoding, control) = (settings.encoding.clone(), segments::control());
        Some(Idoc(Arc::new(Inner { encoding, form: settings.form, control, segments, names: Names::default() })))
    }

    pub(super) fn reader<R: Read + Seek>(&self, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        Reader::open(self, input, from)
    }

    pub(super) fn writer(&self) -> encode::Writer<'_> {
        encode::Writer::new(&self.0)
    }

    pub(super) fn describe(&self) -> Vec<LayoutRow> {
        let row = |depth: usize, name: &str, picture: &str, place: Option<(usize, usize)>| LayoutRow {
            depth,
            level: None,
            name: name.to_owned(),
            picture: picture.to_owned(),
            kind: if depth == 0 { "group" } else { "text" }.to_owned(),
            offset: place.map(|(offset, _)| offset),
            length: place.map(|(_, length)| length),
            occurs: None,
            redefines: None,
        };
        let mut rows = Vec::new();
        let listed = self.0.segments.iter().flat_map(|segments| segments.all());
        for segment in std::iter::once(&self.0.control).chain(listed) {
            rows.push(row(0, &segment.kind, &segment.definition, None));
            let base = if segment.kind == segments::CONTROL_NAME { 0 } else { segments::PREFIX };
            let fields = segment.fields.iter();
            rows.extend(fields.map(|field| row(1, &field.name, "", Some((base + field.start, field.length)))));
        }
        rows
    }
}

/// Appends the record as JSON; it must come from a reader of this format.
pub(super) fn write_json(record: &RawRecord<'_>, options: &JsonOptions, out: &mut Vec<u8>) -> Result<(), Reject> {
    match record.fields.as_any().and_then(|fields| fields.downcast_ref::<Lent>()) {
        Some(lent) => lent.write_json(record.position, options, out),
        None => Err(foreign_record(foreign_slot(), record)),
    }
}

impl Layout for Idoc {
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        self.0.names.resolve(self.0.segments.as_ref(), &self.0.control, parent, name)
    }

    fn names(&self) -> Vec<String> {
        let listed = self.0.segments.iter().flat_map(|segments| segments.all());
        let all = std::iter::once(&self.0.control).chain(listed);
        all.flat_map(|segment| segment.fields.iter().map(|field| format!("{}.{}", segment.kind, field.name))).collect()
    }
}

/// What is wrong with an IDoc.
#[derive(Debug)]
struct Wrong {
    code: RejectCode,
    expected: String,
    found: String,
    field: Option<String>,
    span: Option<(usize, usize)>,
}

impl Wrong {
    fn new(code: RejectCode, expected: impl Into<String>, found: impl Into<String>) -> Wrong {
        Wrong { code, expected: expected.into(), found: found.into(), field: None, span: None }
    }

    /// A field, and where in the IDoc it begins and ends.
    fn at(self, field: &str, span: (usize, usize)) -> Wrong {
        Wrong { field: Some(field.to_owned()), span: Some(span), ..self }
    }

    /// Which data record it is in, from 1, and the name of its segment.
    fn in_record(self, number: usize, name: &str) -> Wrong {
        let field = self.field.as_deref().map(|field| format!(".{field}")).unwrap_or_default();
        Wrong { field: Some(format!("{name}{field} (data record {number})")), ..self }
    }

    fn reject(self, position: Position, raw: &[u8]) -> Reject {
        let field_span = self.span.map(|(from, to)| (length32(from), length32(to.saturating_sub(from))));
        let Wrong { code, expected, found, field, .. } = self;
        Reject { code, field, field_span, expected, found, key: None, position, raw: raw.to_vec() }
    }
}
