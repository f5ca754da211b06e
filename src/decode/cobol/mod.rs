//! Records that a COBOL copybook describes, in EBCDIC or ASCII.
//!
//! The copybook is compiled once into a flat list of items with offsets ([`plan`]) and into the steps that write a record
//! as JSON ([`json`]); numbers are read by tables ([`number`]), records are found by their framing ([`framing`]).
//! A copybook with several records (level 01) describes one record area in several ways: a mapping may read fields of
//! all of them, and tells by a condition which one a record is.

mod agree;
mod choice;
mod edit;
mod encode;
mod faults;
mod fields;
mod frame_writer;
mod framing;
mod gaps;
mod hints;
mod json;
mod moving;
mod number;
mod plan;
mod reader;
mod reading;
pub(super) mod segments;
mod settings;
mod steps;
mod store;
mod table;
#[cfg(test)]
mod tests;

use std::io::{Read, Seek};
use std::ops::Range;
use std::sync::Arc;

use super::json::{Cursor, JsonOptions};
use super::{LARGE, LayoutRow, Resume, Sink, StreamFault, Unwritten, copybook};
use crate::diagnostic::{Faults, SourceText, nearest};
use crate::record::{Layout, Part, Position, Reject, Resolved, Slot, Unresolved};
use copybook::{ColumnRecord, Copybook};
use fields::Body;
use frame_writer::FrameWriter;
use framing::{Convention, Framer, Measure};
use gaps::Gaps;
use json::{Failure, JsonPlan};
use plan::Plan;
use reader::Start;
use segments::{PlainFilter, Segments};

pub use framing::{Candidate, Evidence, FrameHeader, LengthCounts, LengthType};
pub(super) use framing::{FRAME_HEADER, Place};
pub(super) use reader::Frames;
pub use reader::Reader;
pub(super) use reading::SIGN;
pub use reading::{BinaryRange, Compiler, CounterMap, EditedAs, Overpunch, Reading, View};
pub use segments::{SegmentSettings, Unknown};
pub(super) use settings::SECTION;
pub use settings::{ByteOrder, FloatFormat, Framing, Odo, Places, Settings};

/// A compiled copybook with its framing and code page.
#[derive(Clone)]
pub struct Cobol {
    compiled: Arc<Compiled>,
    /// The framing that was found out from a file, where the settings leave it open.
    settled: Option<Convention>,
}

struct Compiled {
    plan: Arc<Plan>,
    /// How a record is written, without and with fillers.
    json: [JsonPlan; 2],
    measure: Arc<Measure>,
    segments: Option<Arc<Segments>>,
    /// Whether a record may take much more room than most layouts' do: room is made for every value then.
    is_spacious: bool,
    /// What records are left out, where there is one type of them.
    filter: Option<Arc<PlainFilter>>,
}

impl Cobol {
    pub(super) fn compile(
        settings: &Settings,
        texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
        faults: &Faults,
    ) -> Option<Cobol> {
        Cobol::of(read_copybooks(settings, texts, faults)?, settings, faults)
    }

    /// Records of text fields alone, one a line: a file of fixed columns.
    pub(super) fn of_columns(records: Vec<ColumnRecord>, settings: &Settings, faults: &Faults) -> Option<Cobol> {
        Cobol::of(Copybook::of_columns(records), settings, faults)
    }

    fn of(mut copybook: Copybook, settings: &Settings, faults: &Faults) -> Option<Cobol> {
        let before = faults.len();
        if let Some(wanted) = &settings.record {
            let name = |record: &usize| copybook.items[*record].name.as_deref().unwrap_or_default();
            let found = copybook.records.iter().copied().find(|record| name(record).eq_ignore_ascii_case(wanted));
            let Some(found) = found else {
                let fault = settings.place.fault(format!("the copybook has no record `{wanted}`"));
                let known: Vec<&str> = copybook.records.iter().map(name).collect();
                faults.push(match nearest(wanted, known.iter().copied()) {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None => fault.help(format!("its records are {}", known.join(", "))),
                });
                return None;
            };
            if settings.segments.is_some() {
                faults
                    .push(settings.place_of("segment_field").fault("`record` and `segment_field` exclude each other"));
                return None;
            }
            copybook = copybook.only(found);
        }
        copybook = segments::split(copybook, settings, faults);
        let mut plan = Plan::new(copybook, settings);
        if !choice::resolve(&mut plan, settings, faults) {
            return None;
        }
        // A record that ends behind its last element moves what follows a table.
        if settings.odo.is_none()
            && settings.framing != Framing::Odo
            && let Some((table, behind)) = plan.moved_item()
        {
            let name = |index: usize| plan.items[index].name.clone().unwrap_or_else(|| "FILLER".to_owned());
            let message = format!("`{}` lies behind `{}`, whose length varies", name(behind), name(table));
            let help = "say `odo = \"variable\"` if it follows the last element, as IBM compilers have it, or \
                        `odo = \"fixed\"` if the table always takes the room of its largest number of elements";
            faults.push(plan.items[behind].spot.fault(message).help(help));
            return None;
        }
        if settings.framing == Framing::Odo
            && let Some(area) = plan.records.iter().find_map(|&record| plan.undecided_end(record))
        {
            let names: Vec<String> = area.iter().map(|&item| plan.path(item)).collect();
            let message = format!("where a record ends depends on which of {} it has", names.join(", "));
            let help = "say by `views` which value of which field means which of them";
            let spot = area
                .last()
                .map_or_else(|| settings.place.fault(&message), |&item| plan.items[item].spot.fault(&message));
            faults.push(spot.help(help));
            return None;
        }
        if let Some((table, counter)) = plan.foreign_counter() {
            let (table, counter) = (plan.path(table), plan.path(counter));
            let message = format!("`{counter}`, the counter of `{table}`, moves with tables of another alternative");
            faults.push(settings.place.fault(message));
            return None;
        }
        if settings.odo == Some(Odo::Fixed) && settings.framing == Framing::Odo {
            let message = "with `odo = \"fixed\"` all records have the same length: framing `fixed` reads them";
            faults.push(settings.place_of("odo").fault(message));
            return None;
        }
        let measure = match Measure::compile(&plan, settings) {
            Ok(measure) => Some(measure),
            Err(unmeasurable) => {
                let message = unmeasurable.message;
                faults.push(match unmeasurable.item {
                    Some(item) => plan.items[item].spot.fault(message),
                    None => settings.place_of(unmeasurable.key).fault(message),
                });
                None
            }
        };
        let segments = Segments::compile(&plan, faults);
        let filter = PlainFilter::compile(&plan, faults);
        if faults.len() > before {
            return None;
        }
        let record = plan.records.first().copied()?;
        let json = [JsonPlan::new(&plan, record, false), JsonPlan::new(&plan, record, true)];
        let rooms = segments.iter().flat_map(|segments| &segments.kinds).flat_map(|kind| &kind.json).chain(&json);
        let compiled = Compiled {
            is_spacious: rooms.map(JsonPlan::room).max().unwrap_or_default() > 4 * LARGE,
            plan: Arc::new(plan),
            json,
            measure: Arc::new(measure?),
            segments: segments.map(Arc::new),
            filter: filter.map(Arc::new),
        };
        Some(Cobol { compiled: Arc::new(compiled), settled: None })
    }

    /// The names of the copybook's records (level 01) that a reader does not tell apart. With more than one,
    /// [`Settings::record`] chooses the one that is written as JSON; the first unless it does.
    pub(super) fn records(&self) -> Vec<String> {
        let plan = &self.compiled.plan;
        let name = |&record: &usize| plan.items[record].name.clone();
        match &self.compiled.segments {
            Some(_) => plan.records.first().and_then(name).into_iter().collect(),
            None => plan.records.iter().filter_map(name).collect(),
        }
    }

    /// Paths of the texts that the copybook copies.
    pub(super) fn copied(&self) -> &[String] {
        &self.compiled.plan.copied
    }

    pub(super) fn reader<R: Read + Seek>(&self, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        Reader::open(&self.compiled, self.settled, input, Start::Frame(from))
    }

    /// A reader whose first record is the one whose first byte is at `from`; its frame begins before it.
    pub(super) fn reader_at<R: Read + Seek>(&self, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        Reader::open(&self.compiled, self.settled, input, Start::Record(from))
    }

    /// What speaks for each framing of the input.
    pub(super) fn evidence<R: Read + Seek>(&self, input: &mut R) -> Result<Evidence, StreamFault> {
        framing::detect(&self.compiled, input)
    }

    /// Whether the framing is to be found out from the file.
    pub(super) fn is_open(&self) -> bool {
        self.compiled.plan.settings.framing == Framing::Auto && self.settled.is_none()
    }

    /// The same with the framing that was found out.
    pub(super) fn settled(&self, evidence: &Evidence) -> Result<Cobol, StreamFault> {
        Ok(Cobol { compiled: Arc::clone(&self.compiled), settled: Some(evidence.settle()?) })
    }

    /// `None` where the framing is to be found out from a file: that says how it is read and not how it is written.
    pub(super) fn writer(&self) -> Option<encode::Writer<'_>> {
        let Compiled { plan, json, measure, segments, .. } = &*self.compiled;
        let frames = FrameWriter::new(plan, measure, segments.as_deref(), self.settled)?;
        Some(encode::Writer::new(plan, json, segments.as_deref(), frames))
    }

    pub(super) fn describe(&self) -> Vec<LayoutRow> {
        self.compiled.plan.describe()
    }

    #[inline]
    pub(super) fn write_json(
        &self,
        raw: &[u8],
        parts: &[Part],
        position: Position,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        self.compiled.write_json(raw, parts, position, options, out)
    }

    pub(super) fn write_pieces(
        &self,
        raw: &[u8],
        parts: &[Part],
        position: Position,
        options: &JsonOptions,
        sink: &mut Sink<'_>,
    ) -> Result<(), Unwritten> {
        self.compiled.write_pieces(raw, parts, position, options, sink)
    }
}

impl Compiled {
    fn framer(&self, convention: Convention) -> Framer {
        Framer {
            plan: Arc::clone(&self.plan),
            measure: Arc::clone(&self.measure),
            segments: self.segments.clone(),
            convention,
            footer: u64::MAX,
        }
    }

    fn write_json(
        &self,
        raw: &[u8],
        parts: &[Part],
        position: Position,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        if raw.len() > LARGE || self.is_spacious {
            // Room for the longest text that such a record could be would be many times what it needs.
            let mut sink = |piece: &[u8]| {
                out.extend_from_slice(piece);
                Ok(())
            };
            return match self.write_pieces(raw, parts, position, options, &mut sink) {
                Err(Unwritten::Rejected(reject)) => Err(*reject),
                Ok(()) | Err(Unwritten::Output(_)) => Ok(()),
            };
        }
        let mut cursor = Cursor::new(out);
        let written = self.write(raw, parts, position, options, &mut cursor);
        cursor.finish();
        written
    }

    fn write_pieces(
        &self,
        raw: &[u8],
        parts: &[Part],
        position: Position,
        options: &JsonOptions,
        sink: &mut Sink<'_>,
    ) -> Result<(), Unwritten> {
        let rejected = |reject| Unwritten::Rejected(Box::new(reject));
        let mut buffer = Vec::new();
        let mut nowhere = |_: &[u8]| Ok(());
        let mut trial = Cursor::in_pieces(&mut buffer, &mut nowhere);
        trial.begin_trial();
        self.write(raw, parts, position, options, &mut trial).map_err(rejected)?;
        buffer.clear();
        let mut cursor = Cursor::in_pieces(&mut buffer, sink);
        self.write(raw, parts, position, options, &mut cursor).map_err(rejected)?;
        cursor.finish_pieces().map_err(Unwritten::Output)
    }

    /// Writes a record or document; after a fault the cursor stands somewhere in the middle of it.
    #[inline]
    fn write(
        &self,
        raw: &[u8],
        parts: &[Part],
        position: Position,
        options: &JsonOptions,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), Reject> {
        let plan = &*self.plan;
        if let Some(segments) = &self.segments {
            let document = segments::Document { plan, segments, raw, parts, position, options };
            let written = document.write(cursor);
            return written.map_err(|failed| {
                let part = parts.get(failed.part);
                let own = part.map_or(0..raw.len(), |part| {
                    let start = part.offset as usize;
                    start..start + part.length as usize
                });
                let mut reject = self.reject(*failed.failure, raw, own, position);
                // A document's own record needs no name before its fields.
                if let Some(part) = part.filter(|_| failed.part > 0) {
                    let name = segments.name(segments.kind_of_part(part));
                    let field = reject.field.unwrap_or_default();
                    reject.field = Some(format!("{name}[{}].{field}", segments.ordinal(parts, failed.part)));
                }
                reject
            });
        }
        let json = &self.json[usize::from(options.fillers)];
        let padded;
        // Only a line may end early.
        let bytes = if plan.pads(&position) && raw.len() < plan.length {
            padded = segments::padded_to(raw, plan.length, plan);
            padded.as_slice()
        } else {
            raw
        };
        let gaps = Gaps::of(plan, bytes, &plan.records);
        let written = json.write(Body { plan, bytes, gaps: &gaps }, &position, options, cursor);
        written.map_err(|failure| self.reject(*failure, raw, 0..raw.len(), position))
    }

    /// The reject of what lies at `own` in the raw bytes: all of them, or one record of a document.
    #[cold]
    fn reject(&self, failure: Failure, raw: &[u8], own: Range<usize>, position: Position) -> Reject {
        let plan = &*self.plan;
        let span = u32::try_from(own.start + failure.offset).ok();
        let bytes = raw.get(own).unwrap_or_default();
        Reject {
            code: failure.fault.code,
            field: Some(plan.path(failure.item)),
            field_span: span.zip(u32::try_from(plan.items[failure.item].length).ok()),
            expected: failure.fault.expected,
            found: match hints::hint(plan, bytes, plan.record_of(failure.item), failure.offset) {
                Some(hint) => format!("{}; {hint}", failure.fault.found),
                None => failure.fault.found,
            },
            key: None,
            position,
            raw: raw.to_vec(),
        }
    }
}

/// The copybooks of a layout, joined.
fn read_copybooks(
    settings: &Settings,
    texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
    faults: &Faults,
) -> Option<Copybook> {
    let dialect = settings.reading.dialect(settings.source_format);
    let mut joined: Option<Copybook> = None;
    let mut sound = true;
    for path in std::iter::once(&settings.copybook).chain(&settings.more_copybooks) {
        let Some(source) = texts(path) else {
            faults.push(settings.place.fault(format!("cannot read the copybook `{path}`")));
            sound = false;
            continue;
        };
        let Some(copybook) = copybook::parse(path, &source, &dialect, texts, faults) else {
            sound = false;
            continue;
        };
        joined = Some(match joined {
            None => copybook,
            Some(first) => first.join(copybook),
        });
    }
    joined.filter(|_| sound)
}

impl Layout for Cobol {
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        let plan = &self.compiled.plan;
        match &self.compiled.segments {
            Some(segments) => segments.resolve(plan, parent, name),
            None => plan.resolve(parent, name),
        }
    }

    fn names(&self) -> Vec<String> {
        let plan = &self.compiled.plan;
        let elementary = |index: &usize| plan.items[*index].data.is_some() && plan.items[*index].name.is_some();
        (0..plan.items.len()).filter(elementary).map(|index| plan.path(index)).collect()
    }

    fn record(&self, name: &str) -> Option<Slot> {
        self.compiled.segments.as_ref()?.record(name)
    }

    fn record_types(&self) -> Vec<String> {
        let kinds = self.compiled.segments.iter().flat_map(|segments| &segments.kinds);
        kinds.map(|kind| kind.name.clone()).collect()
    }
}
