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
mod frame;
mod framing;
mod gaps;
mod hints;
mod json;
mod number;
mod plan;
mod reading;
mod settings;
mod steps;
mod store;
mod table;
#[cfg(test)]
mod tests;

use std::io::{Read, Seek};
use std::sync::Arc;

use super::json::{Cursor, JsonOptions};
use super::{LayoutRow, Resume, StreamFault, copybook};
use crate::diagnostic::{Faults, SourceText, nearest};
use crate::record::{Layout, Position, Reject, Resolved, Slot, Unresolved};
use fields::Body;
use gaps::Gaps;
use json::JsonPlan;
use plan::Plan;

pub use framing::Reader;
pub use reading::{BinaryRange, Compiler, CounterMap, EditedAs, Overpunch, Reading, View};
pub(super) use settings::SECTION;
pub use settings::{ByteOrder, FloatFormat, Framing, Odo, Settings};

/// A compiled copybook with its framing and code page.
#[derive(Clone)]
pub struct Cobol(Arc<Compiled>);

struct Compiled {
    plan: Arc<Plan>,
    /// How a record is written, without and with fillers.
    json: [JsonPlan; 2],
}

impl Cobol {
    pub(super) fn compile(
        settings: &Settings,
        texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
        faults: &Faults,
    ) -> Option<Cobol> {
        let Some(source) = texts(&settings.copybook) else {
            faults.push(settings.place.fault(format!("cannot read the copybook `{}`", settings.copybook)));
            return None;
        };
        let dialect = settings.reading.dialect(settings.source_format);
        let mut copybook = copybook::parse(&settings.copybook, &source, &dialect, texts, faults)?;
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
            copybook = copybook.only(found);
        }
        let mut plan = Plan::new(copybook, settings);
        if !choice::resolve(&mut plan, settings, faults) {
            return None;
        }
        if settings.odo.is_none()
            && let Some((table, behind)) = plan.behind_tables().first().copied()
        {
            let name = |index: usize| plan.items[index].name.clone().unwrap_or_else(|| "FILLER".to_owned());
            let message = format!("`{}` lies behind `{}`, whose length varies", name(behind), name(table));
            let help = "say `odo = \"variable\"` if it follows the last element, as IBM compilers have it, or \
                        `odo = \"fixed\"` if the table always takes the room of its largest number of elements";
            faults.push(plan.items[behind].spot.fault(message).help(help));
            return None;
        }
        let record = plan.records.first().copied()?;
        let json = [JsonPlan::new(&plan, record, false), JsonPlan::new(&plan, record, true)];
        Some(Cobol(Arc::new(Compiled { plan: Arc::new(plan), json })))
    }

    /// The names of the copybook's records (level 01). With more than one, [`Settings::record`] chooses the one that is
    /// written as JSON; the first unless it does.
    pub(super) fn records(&self) -> Vec<String> {
        let plan = &self.0.plan;
        plan.records.iter().filter_map(|&record| plan.items[record].name.clone()).collect()
    }

    /// Paths of the texts that the copybook copies.
    pub(super) fn copied(&self) -> &[String] {
        &self.0.plan.copied
    }

    pub(super) fn reader<R: Read + Seek>(&self, input: R, from: Resume) -> Result<Reader<R>, StreamFault> {
        Reader::open(Arc::clone(&self.0.plan), input, from)
    }

    pub(super) fn writer(&self) -> encode::Writer<'_> {
        encode::Writer::new(&self.0.plan, &self.0.json)
    }

    pub(super) fn describe(&self) -> Vec<LayoutRow> {
        self.0.plan.describe()
    }

    pub(super) fn write_json(
        &self,
        raw: &[u8],
        position: Position,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        let plan = &*self.0.plan;
        let json = &self.0.json[usize::from(options.fillers)];
        let padded;
        let bytes = if plan.pads() && raw.len() < plan.length {
            padded = framing::padded(raw, plan);
            padded.as_slice()
        } else {
            raw
        };
        let mut cursor = Cursor::new(out);
        let gaps = Gaps::of(plan, bytes);
        let written = json.write(Body { plan, bytes, gaps: &gaps }, &position, options, &mut cursor);
        cursor.finish();
        written.map_err(|failure| Reject {
            code: failure.fault.code,
            field: Some(plan.path(failure.item)),
            field_span: u32::try_from(failure.offset).ok().zip(u32::try_from(plan.items[failure.item].length).ok()),
            expected: failure.fault.expected,
            found: match hints::hint(plan, raw, failure.offset) {
                Some(hint) => format!("{}; {hint}", failure.fault.found),
                None => failure.fault.found,
            },
            key: None,
            position,
            raw: raw.to_vec(),
        })
    }
}

impl Layout for Cobol {
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        self.0.plan.resolve(parent, name)
    }

    fn names(&self) -> Vec<String> {
        let plan = &self.0.plan;
        let elementary = |index: &usize| plan.items[*index].data.is_some() && plan.items[*index].name.is_some();
        (0..plan.items.len()).filter(elementary).map(|index| plan.path(index)).collect()
    }
}
