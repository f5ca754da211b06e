//! Controls of files of several record types: counts, sums and hash totals against what trailers say, per file or per
//! group, and sequence numbers without gaps.
//!
//! Records are taken in the order of the file, wherever in their documents they stand. A group begins with each record of
//! the type `within` and ends with the trailer; without `within` the file is the group. Sums are exact. What cannot be
//! verified, because a number in it cannot be read, is refused like what does not balance.

use std::sync::Arc;

use super::number::NumberStyle;
use super::plan::Rules;
use super::sections::CONTROL;
use crate::diagnostic::{Faults, Node, Table};
use crate::record::{Decimal, FieldKind, Fields, Layout, Part, Position, RawRecord, Reject, RejectCode, Slot, Value};

/// One of `controls`, compiled.
#[derive(Debug)]
pub(super) struct Control {
    kind: Kind,
    /// What is counted or added up; a record without a field is counted, no record stands for all.
    terms: Vec<Term>,
    /// The terms as they were written.
    name: String,
    equals: Option<Told>,
    within: Option<(Slot, String)>,
    style: NumberStyle,
}

#[derive(Debug)]
enum Kind {
    Count,
    Sum,
    /// A sum of which only the last digits count; the power of ten.
    Hash(i128),
    /// Each number is one more than the one before.
    Sequence {
        first: Option<i64>,
    },
    /// The file's own number.
    FileSequence,
}

#[derive(Clone, Copy, Debug)]
struct Term {
    record: Option<Slot>,
    field: Option<Slot>,
}

/// Where a trailer says what is due.
#[derive(Debug)]
struct Told {
    record: Slot,
    record_name: String,
    field: Slot,
    name: String,
}

/// Reads `controls`.
pub(super) fn compile(table: &Table<'_>, layout: &dyn Layout, style: NumberStyle, faults: &Faults) -> Vec<Control> {
    let Some(node) = table.get("controls") else { return Vec::new() };
    if layout.record_types().is_empty() {
        let help = "say by `segment_field` and `segment_map` which record is of which type";
        table.fail(node.key_fault("`controls` need record types").help(help));
        return Vec::new();
    }
    let mut controls = Vec::new();
    let tables = node.as_array().map_or(std::slice::from_ref(node), |elements| elements);
    for node in tables {
        let Some(table) = Table::new(node, &CONTROL, faults) else { continue };
        if let Some(control) = (Reading { table: &table, layout, style }).control() {
            controls.push(control);
        }
    }
    let sequences = controls.iter().filter(|control| matches!(control.kind, Kind::FileSequence)).count();
    if sequences > 1 {
        table.fail(node.fault("a file has one `file_sequence`"));
    }
    controls
}

struct Reading<'a> {
    table: &'a Table<'a>,
    layout: &'a dyn Layout,
    style: NumberStyle,
}

impl Reading<'_> {
    fn control(&self) -> Option<Control> {
        const KINDS: &[&str] = &["count", "sum", "hash", "sequence", "file_sequence"];
        let kind = self.table.exactly_one(KINDS)?;
        let names = self.table.strings(kind)?;
        let terms: Option<Vec<Term>> = names.iter().map(|name| self.term(kind, name)).collect();
        let digits = self.table.integer("digits", 1..=37);
        let first = self.table.integer("first", i64::MIN..=i64::MAX);
        let within = match self.table.get("within") {
            Some(node) => Some((self.record(node, &self.table.filled("within")?)?, self.table.filled("within")?)),
            None => None,
        };
        for (key, of) in [("digits", "hash"), ("first", "sequence")] {
            if kind != of {
                self.misplaced(key, kind);
            }
        }
        let compares = matches!(kind, "count" | "sum" | "hash");
        let equals = if compares {
            if !self.table.has("equals") {
                let fault = self.table.node().key_fault(format!("`{kind}` needs `equals`"));
                self.table.fail(fault.help("name the trailer's field that says what is due: `TRAILER-REC.COUNT`"));
            }
            self.told()
        } else {
            self.misplaced("equals", kind);
            None
        };
        if kind == "file_sequence" {
            self.misplaced("within", kind);
        }
        if !compares && names.len() != 1 {
            self.table.fail(self.table.get(kind)?.fault(format!("`{kind}` takes one field")));
        }
        if kind == "hash" && digits.is_none() && !self.table.has("digits") {
            let help = "say how many digits the total has: `digits = 10`";
            self.table.fail(self.table.node().key_fault("`hash` needs `digits`").help(help));
        }
        if self.table.failed() || (compares && equals.is_none()) {
            return None;
        }
        let kind = match kind {
            "count" => Kind::Count,
            "sum" => Kind::Sum,
            "hash" => Kind::Hash(10i128.checked_pow(u32::try_from(digits?).ok()?)?),
            "sequence" => Kind::Sequence { first },
            _ => Kind::FileSequence,
        };
        Some(Control { kind, terms: terms?, name: names.join(" and "), equals, within, style: self.style })
    }

    fn misplaced(&self, key: &str, kind: &str) {
        if let Some(node) = self.table.get(key) {
            self.table.fail(node.key_fault(format!("`{key}` has no place beside `{kind}`")));
        }
    }

    fn term(&self, kind: &str, name: &str) -> Option<Term> {
        let node = self.table.get(kind)?;
        if kind == "count" {
            let record = if name == "*" { None } else { Some(self.record(node, name)?) };
            return Some(Term { record, field: None });
        }
        let (record, field) = self.field(node, name)?;
        Some(Term { record: Some(record), field: Some(field) })
    }

    fn told(&self) -> Option<Told> {
        let name = self.table.filled("equals")?;
        let (record, field) = self.field(self.table.get("equals")?, &name)?;
        let record_name = name.split('.').next().unwrap_or_default().to_owned();
        Some(Told { record, record_name, field, name })
    }

    fn record(&self, node: &Node, name: &str) -> Option<Slot> {
        let found = self.layout.record(name);
        if found.is_none() {
            let known = self.layout.record_types();
            let fault = node.fault(format!("there is no record type `{name}`"));
            self.table.fail(match crate::diagnostic::nearest(name, known.iter().map(String::as_str)) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("there are {}", known.join(", "))),
            });
        }
        found
    }

    /// `RECORD.FIELD`.
    fn field(&self, node: &Node, name: &str) -> Option<(Slot, Slot)> {
        let Some((record_name, field)) = name.split_once('.') else {
            let fault = node.fault(format!("`{name}` does not say of which record type"));
            self.table.fail(fault.help("write RECORD.FIELD, like `DETAIL-REC.AMOUNT`"));
            return None;
        };
        let record = self.record(node, record_name)?;
        match self.layout.resolve(Some(record), field) {
            Ok(found) if found.repeats => {
                self.table.fail(node.fault(format!("`{name}` repeats; a control takes a single field")));
                None
            }
            Ok(found) if matches!(found.kind, FieldKind::Text { .. } | FieldKind::Number { .. }) => {
                Some((record, found.slot))
            }
            Ok(_) => {
                self.table.fail(node.fault(format!("`{name}` is no exact number")));
                None
            }
            Err(unresolved) => {
                let fault = node.fault(unresolved.reason);
                self.table.fail(match unresolved.nearest {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None => fault,
                });
                None
            }
        }
    }
}

/// The controls of one file while it is read.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    rules: Arc<Rules>,
    states: Vec<State>,
    /// The first that is wrong.
    wrong: Option<Box<Reject>>,
    /// Records that the decoder refused.
    unreadable: u64,
    file_sequence: Option<i64>,
    last: Position,
}

#[derive(Clone, Debug)]
struct State {
    /// `None` once it no longer fits 38 digits.
    total: Option<Decimal>,
    /// Where the group began that is open; a file is open from its start.
    open: Option<Position>,
    /// Whether the trailer was seen.
    closed: bool,
    last: Option<i64>,
}

impl State {
    fn opened(at: Position) -> State {
        State { total: Some(Decimal::ZERO), open: Some(at), closed: false, last: None }
    }
}

/// One record of the file.
struct Seen<'a> {
    fields: &'a dyn Fields,
    part: Part,
    position: Position,
    raw: &'a [u8],
}

impl Tally {
    /// `None` when there are no controls.
    pub(super) fn new(rules: &Arc<Rules>) -> Option<Tally> {
        let states: Vec<State> = rules
            .controls
            .iter()
            .map(|control| match control.within {
                None => State::opened(Position::default()),
                Some(_) => State { open: None, ..State::opened(Position::default()) },
            })
            .collect();
        let last = Position::default();
        let rules = Arc::clone(rules);
        (!states.is_empty()).then_some(Tally { rules, states, wrong: None, unreadable: 0, file_sequence: None, last })
    }

    /// Takes all records of a document.
    pub(super) fn add(&mut self, record: &RawRecord<'_>) {
        self.last = record.position;
        let rules = Arc::clone(&self.rules);
        for part in record.fields.parts() {
            let from = part.offset as usize;
            let position = Position {
                offset: record.position.offset + u64::from(part.offset),
                length: part.length,
                ..record.position
            };
            let raw = record.raw.get(from..from + part.length as usize).unwrap_or_default();
            let seen = Seen { fields: record.fields, part: *part, position, raw };
            for (control, state) in rules.controls.iter().zip(&mut self.states) {
                if self.wrong.is_some() {
                    return;
                }
                if matches!(control.kind, Kind::FileSequence) && control.counts(&seen).is_some() {
                    match (control.number(&seen), self.file_sequence) {
                        (Ok(number), None) => self.file_sequence = Some(number),
                        // A second header says the same, or it is another file that was glued on.
                        (Ok(number), Some(first)) if number == first => {}
                        (Ok(number), Some(first)) => {
                            let expected = format!("{first} in {}, as at the start of the file", control.name);
                            self.wrong =
                                Some(seen.wrong(RejectCode::SequenceGap, control, expected, number.to_string()));
                        }
                        (Err(wrong), _) => self.wrong = Some(wrong),
                    }
                    continue;
                }
                self.wrong = control.take(state, &seen).err();
            }
        }
    }

    /// Takes note of something that the decoder refused.
    pub(super) fn add_undecodable(&mut self, position: Position) {
        self.last = position;
        self.unreadable += 1;
    }

    /// The number that the file gives itself.
    pub(super) fn file_sequence(&self) -> Option<i64> {
        self.file_sequence
    }

    /// Judges the whole file, at its end.
    pub(super) fn verdict(&self) -> Result<(), Box<Reject>> {
        let mut wrong = self.wrong.clone();
        for (control, state) in self.rules.controls.iter().zip(&self.states) {
            if wrong.is_some() {
                break;
            }
            wrong = self.missing(control, state);
        }
        let Some(mut wrong) = wrong else { return Ok(()) };
        if self.unreadable > 0 {
            wrong.found.push_str(&format!(", and {} records that could not be read", self.unreadable));
        }
        Err(wrong)
    }

    /// What the end of the file finds open.
    fn missing(&self, control: &Control, state: &State) -> Option<Box<Reject>> {
        let found = match (&control.kind, &control.equals, state.open) {
            (Kind::FileSequence, _, _) if self.file_sequence.is_none() => {
                return Some(self.at_end(
                    RejectCode::SequenceGap,
                    control,
                    format!("the file's number in {}", control.name),
                    "no such record in the file".to_owned(),
                ));
            }
            (_, Some(_), Some(opened)) if !state.closed => match &control.within {
                Some((_, group)) => format!("the end of the file in the {group} of record {}", opened.record),
                None => "the end of the file without it".to_owned(),
            },
            _ => return None,
        };
        let told = control.equals.as_ref()?;
        Some(self.at_end(RejectCode::MissingTrailer, control, format!("a trailer {}", told.record_name), found))
    }

    fn at_end(&self, code: RejectCode, control: &Control, expected: String, found: String) -> Box<Reject> {
        let offset = self.last.offset + u64::from(self.last.length);
        let position = Position { offset, length: 0, ..self.last };
        let field = Some(control.name.clone());
        Box::new(Reject { code, field, field_span: None, expected, found, key: None, position, raw: Vec::new() })
    }
}

impl Control {
    /// The term that a record is one of.
    fn counts(&self, seen: &Seen<'_>) -> Option<&Term> {
        self.terms.iter().find(|term| term.record.is_none_or(|record| record == seen.part.record))
    }

    fn take(&self, state: &mut State, seen: &Seen<'_>) -> Result<(), Box<Reject>> {
        let record = seen.part.record;
        if let Some((within, group)) = &self.within
            && *within == record
        {
            if let (Some(told), Some(opened), false) = (&self.equals, state.open, state.closed) {
                let expected = format!("a trailer {} before the next {group}", told.record_name);
                let found = format!("none in the {group} of record {}", opened.record);
                return Err(seen.wrong(RejectCode::MissingTrailer, self, expected, found));
            }
            *state = State::opened(seen.position);
        }
        if let Some(term) = self.counts(seen) {
            if self.equals.is_some() && (state.closed || state.open.is_none()) && !self.is_trailer(record) {
                let found = if state.closed { "one behind it" } else { "one outside of any" };
                let place = match (&self.within, &self.equals) {
                    (Some((_, group)), _) if !state.closed => format!("its records in a {group}"),
                    (_, Some(told)) => format!("no records to count behind the trailer {}", told.record_name),
                    _ => String::new(),
                };
                return Err(seen.wrong(RejectCode::ControlTotal, self, place, found.to_owned()));
            }
            self.count(state, *term, seen)?;
        }
        match &self.equals {
            Some(told) if told.record == record => self.compare(state, told, seen),
            _ => Ok(()),
        }
    }

    fn is_trailer(&self, record: Slot) -> bool {
        self.equals.as_ref().is_some_and(|told| told.record == record)
    }

    fn count(&self, state: &mut State, term: Term, seen: &Seen<'_>) -> Result<(), Box<Reject>> {
        match (&self.kind, term.field) {
            (Kind::Sequence { first }, _) => {
                let number = self.number(seen)?;
                let due = match state.last {
                    None => *first,
                    Some(last) => last.checked_add(1),
                };
                if let Some(due) = due.filter(|due| *due != number) {
                    let before = if state.last.is_some() { "one more than before" } else { "the first one" };
                    let expected = format!("{due} in {}, {before}", self.name);
                    return Err(seen.wrong(RejectCode::SequenceGap, self, expected, number.to_string()));
                }
                state.last = Some(number);
            }
            (Kind::Count, _) | (_, None) => {
                state.total = state.total.and_then(|total| add(total, Decimal::from_i64(1)))
            }
            (kind, Some(field)) => {
                let number = self.decimal(seen, field, &self.name)?;
                state.total = state.total.and_then(|total| add(total, number)).and_then(|total| match kind {
                    // Only the last digits are kept, so that the total never grows.
                    Kind::Hash(modulus) => Decimal::new(total.rescale(0).ok()?.units() % modulus, 0).ok(),
                    _ => Some(total),
                });
            }
        }
        Ok(())
    }

    fn compare(&self, state: &mut State, told: &Told, seen: &Seen<'_>) -> Result<(), Box<Reject>> {
        if state.closed || state.open.is_none() {
            let found = if state.closed { "another one" } else { "one outside of any" };
            let group = self.within.as_ref().map_or("file", |(_, group)| group.as_str());
            let expected = format!("one trailer {} for each {group}", told.record_name);
            return Err(seen.wrong(RejectCode::ControlTotal, self, expected, found.to_owned()));
        }
        state.closed = true;
        let due = self.decimal(seen, told.field, &told.name)?;
        let what = match self.kind {
            Kind::Count => format!("{due} records {}", self.name),
            Kind::Hash(_) => format!("the hash total {due} of {}", self.name),
            _ => format!("the total {due} of {}", self.name),
        };
        let found = match state.total {
            Some(total) if total == due => return Ok(()),
            Some(total) => total.to_string(),
            None => "a total of more than 38 digits".to_owned(),
        };
        Err(seen.wrong(RejectCode::ControlTotal, self, format!("{what}, as {} says", told.name), found))
    }

    /// The whole number of the only term.
    fn number(&self, seen: &Seen<'_>) -> Result<i64, Box<Reject>> {
        let field = self.terms.first().and_then(|term| term.field);
        let number = match field {
            Some(field) => self.decimal(seen, field, &self.name)?,
            None => Decimal::ZERO,
        };
        let whole = number.rescale(0).ok().and_then(Decimal::to_i64);
        whole.ok_or_else(|| {
            seen.wrong(RejectCode::SequenceGap, self, format!("a whole number in {}", self.name), number.to_string())
        })
    }

    fn decimal(&self, seen: &Seen<'_>, field: Slot, name: &str) -> Result<Decimal, Box<Reject>> {
        let found = match seen.fields.read(field, seen.part.scope) {
            Ok(Value::Decimal(number)) => return Ok(number),
            Ok(Value::Text(text)) => match self.style.parse(&text) {
                Ok(number) => return Ok(number),
                Err(_) => super::convert::shown(&text),
            },
            Ok(other) => other.kind().to_owned(),
            Err(fault) => fault.found,
        };
        Err(seen.wrong(RejectCode::ControlTotal, self, format!("a number in {name}"), found))
    }
}

impl Seen<'_> {
    #[cold]
    fn wrong(&self, code: RejectCode, control: &Control, expected: String, found: String) -> Box<Reject> {
        Box::new(Reject {
            code,
            field: Some(control.name.clone()),
            field_span: None,
            expected,
            found,
            key: None,
            position: self.position,
            raw: self.raw.to_vec(),
        })
    }
}

pub(super) fn add(total: Decimal, number: Decimal) -> Option<Decimal> {
    let scale = total.scale().max(number.scale());
    let (total, number) = (total.rescale(scale).ok()?, number.rescale(scale).ok()?);
    Decimal::new(total.units().checked_add(number.units())?, scale).ok()
}
