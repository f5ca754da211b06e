//! JSON becomes a record's bytes: the way back of [`super::json`], along the same steps.
//!
//! A record begins as what COBOL's INITIALIZE leaves: blanks in text, zero in numbers, low values where nothing is
//! described. Then the values are put in their places, in the longest record; last, where items follow the last element
//! of a table, the room of elements that are not there is taken out.
//!
//! Of a document with several records each is written where it stands: a record, then those below it, kind by kind. The
//! type of the topmost one is what its own bytes say; `_segment`, where it is given, says it before.
//!
//! What comes back as other bytes than those it was read from, with the same values: blanks that trimming took away,
//! other signs than those compilers write (F where C is usual, minus zero), what lay in unused elements, fillers and
//! slack, bits of floats beyond their decimal text, and the order among records of several types below the same one, unless
//! `_id`s tell it.

use std::collections::{HashMap, HashSet};

use super::agree::differs;
use super::fields::Body;
use super::frame_writer::FrameWriter;
use super::gaps::Gaps;
use super::json::JsonPlan;
use super::moving::room;
use super::plan::Plan;
use super::reading::{Compiler, Overpunch, Zone};
use super::segments::Segments;
use super::settings::Framing;
use super::steps::{Element, Step};
use super::store::Store;
use crate::decode::JsonOptions;
use crate::decode::copybook::{Data, SignPosition};
use crate::decode::encode::{EncodeFault, Json, RecordWriter};
use crate::decode::json::{Blank, Cursor};
use crate::record::Position;

/// Writes the records of one file.
pub(in crate::decode) struct Writer<'a> {
    /// The record, or one for each kind of record.
    pub(super) types: Vec<Type<'a>>,
    segments: Option<&'a Segments>,
    pub(super) record: Record<'a>,
    frames: FrameWriter<'a>,
}

/// A type of record.
pub(super) struct Type<'a> {
    /// Its item of level 01.
    record: usize,
    /// The members of a record without and with fillers, and the plans that decode them.
    pub(super) shapes: [Shape<'a>; 2],
    /// A record that nothing was put into.
    blank: Vec<u8>,
}

/// The record that is being written, in its longest form.
pub(super) struct Record<'a> {
    pub(super) plan: &'a Plan,
    store: Store<'a>,
    bytes: Vec<u8>,
    /// The alternatives that were written, each with the bytes that it takes.
    alternatives: HashMap<usize, usize>,
}

pub(super) struct Shape<'a> {
    pub(super) members: Vec<Member>,
    json: &'a JsonPlan,
    /// Whether items share bytes, so that a record may contradict itself.
    overlaid: bool,
}

/// A member of an object.
pub(super) struct Member {
    /// Empty for items that share bytes, whose members are members of the object itself.
    name: String,
    kind: Kind,
}

enum Kind {
    Value(usize),
    Object(Vec<Member>),
    Array {
        table: usize,
        element: Box<Kind>,
    },
    /// Items that share bytes, each with its members.
    Overlay(Vec<(usize, Vec<Member>)>),
}

/// A record that was written.
pub(super) struct Written {
    /// Its bytes, without the room of elements that are not there.
    pub(super) bytes: Vec<u8>,
    /// How many of them it has at least: what is behind is room of alternatives that it is not.
    used: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        json: &'a [JsonPlan; 2],
        segments: Option<&'a Segments>,
        frames: FrameWriter<'a>,
    ) -> Writer<'a> {
        let mut record = Record { plan, store: Store::new(plan), bytes: Vec::new(), alternatives: HashMap::new() };
        let types = match segments {
            None => {
                let first = plan.records.first().copied().unwrap_or_default();
                vec![Type::new(&mut record, first, plan.length, json)]
            }
            Some(segments) => {
                let kinds = segments.kinds.iter();
                kinds.map(|kind| Type::new(&mut record, kind.record, kind.length, &kind.json)).collect()
            }
        };
        Writer { types, segments, record, frames }
    }
}

impl Writer<'_> {
    /// The record without what it does not need to have, or as long as its own item says.
    pub(super) fn cut(&self, written: Written) -> Vec<u8> {
        let Written { mut bytes, used } = written;
        let told = self.frames.told_length(&bytes).filter(|told| (used..=bytes.len()).contains(told));
        bytes.truncate(told.unwrap_or(used));
        bytes
    }
}

impl<'a> Type<'a> {
    fn new(record: &mut Record<'a>, index: usize, length: usize, json: &'a [JsonPlan; 2]) -> Type<'a> {
        let shape = |json: &'a JsonPlan| {
            let members = members(&json.members);
            let overlaid = members.iter().any(is_overlaid) || overlap(record.plan, index);
            Shape { members, json, overlaid }
        };
        let shapes = [shape(&json[0]), shape(&json[1])];
        // Bytes that nothing describes lie between columns of text.
        let settings = &record.plan.settings;
        let fill = if settings.framing == Framing::Line { record.plan.encoding.blank() } else { 0 };
        record.bytes.clear();
        record.bytes.resize(length, fill);
        record.initialise(index, 0);
        Type { record: index, shapes, blank: record.bytes.clone() }
    }
}

impl Record<'_> {
    /// The bytes of a record; `beside` are members of the object that are none of its own.
    pub(super) fn write(
        &mut self,
        layout: &Type<'_>,
        which: usize,
        value: &Json<'_>,
        beside: &[&str],
    ) -> Result<Written, EncodeFault> {
        self.alternatives.clear();
        self.bytes.clear();
        self.bytes.extend_from_slice(&layout.blank);
        let shape = &layout.shapes[which];
        self.object(&shape.members, value, 0, beside)?;
        if shape.overlaid {
            self.verify(layout.record, shape, value, beside)?;
        }
        let unused = if self.plan.settings.keeps_room() { 0 } else { self.unused(layout.record) };
        let bytes = self.compacted(layout.record);
        Ok(Written { used: bytes.len().saturating_sub(unused), bytes })
    }

    /// Puts blanks and zeros into an item and all below it; what redefines another is left as that one.
    fn initialise(&mut self, index: usize, scope: usize) {
        let item = &self.plan.items[index];
        match item.data {
            Some(_) => {
                if let Some(bytes) = self.store.initial(item) {
                    self.put(item.offset + scope, &bytes);
                }
            }
            None => {
                for &child in item.children.iter().filter(|&&child| self.plan.items[child].redefines.is_none()) {
                    self.initialise(child, scope);
                }
            }
        }
        // All elements of a table begin alike.
        let first = item.offset + scope;
        let Some(occurs) = item.occurs.as_ref().filter(|_| first + item.length <= self.bytes.len()) else { return };
        for element in (1..occurs.max).map(|element| first + element * occurs.stride) {
            if element + item.length <= self.bytes.len() {
                self.bytes.copy_within(first..first + item.length, element);
            }
        }
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        if let Some(room) = self.bytes.get_mut(offset..offset + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    }

    fn object(
        &mut self,
        members: &[Member],
        value: &Json<'_>,
        scope: usize,
        beside: &[&str],
    ) -> Result<(), EncodeFault> {
        let Json::Object(given) = value else { return Err(EncodeFault::here("an object", value)) };
        let mut known = HashSet::new();
        collect_names(members, &mut known);
        known.extend(beside);
        let foreign = given.iter().find(|(name, _)| !known.contains(name.as_ref()) && !is_added(name, &known));
        if let Some((name, value)) = foreign {
            return Err(EncodeFault::here("a member that the copybook has", value).below(name));
        }
        self.members(members, value, scope)
    }

    fn members(&mut self, members: &[Member], object: &Json<'_>, scope: usize) -> Result<(), EncodeFault> {
        for member in members {
            if let Kind::Overlay(views) = &member.kind {
                self.overlay(views, object, scope)?;
                continue;
            }
            match object.member(&member.name) {
                Some(value) => self.kind(&member.kind, value, scope).map_err(|fault| fault.below(&member.name))?,
                None => return Err(EncodeFault::here(self.expected(&member.kind), "nothing").below(&member.name)),
            }
        }
        Ok(())
    }

    fn kind(&mut self, kind: &Kind, value: &Json<'_>, scope: usize) -> Result<(), EncodeFault> {
        match kind {
            Kind::Value(index) => {
                let item = &self.plan.items[*index];
                let bytes = self.store.value(item, value)?;
                self.put(item.offset + scope, &bytes);
                Ok(())
            }
            Kind::Object(members) => self.object(members, value, scope, &[]),
            Kind::Array { table, element } => self.array(*table, element, value, scope),
            Kind::Overlay(views) => self.overlay(views, value, scope),
        }
    }

    fn array(&mut self, table: usize, element: &Kind, value: &Json<'_>, scope: usize) -> Result<(), EncodeFault> {
        let Some(occurs) = &self.plan.items[table].occurs else { return Ok(()) };
        let Json::Array(elements) = value else { return Err(EncodeFault::here("an array", value)) };
        let fits = match occurs.depending {
            None => elements.len() == occurs.max,
            Some(_) => (occurs.min..=occurs.max).contains(&elements.len()),
        };
        let found = || format!("{} elements", elements.len());
        if !fits {
            let wanted = match occurs.depending {
                None => format!("{} elements", occurs.max),
                Some(_) if occurs.min > 0 => format!("{} to {} elements", occurs.min, occurs.max),
                Some(_) => format!("at most {} elements", occurs.max),
            };
            return Err(EncodeFault::here(wanted, found()));
        }
        if let Some(counter) = occurs.depending {
            // The counter lies before its table and was written.
            let counted = Body { plan: self.plan, bytes: &self.bytes, gaps: Gaps::NONE }.count(table, occurs, scope);
            if counted.as_ref().ok() != Some(&elements.len()) {
                let path = self.plan.path(counter);
                let wanted = match counted {
                    Ok(count) => format!("{count} elements, as {path} says"),
                    Err(fault) => fault.expected,
                };
                return Err(EncodeFault::here(wanted, found()));
            }
        }
        for (index, value) in elements.iter().enumerate() {
            self.kind(element, &value, scope + index * occurs.stride).map_err(|fault| fault.below(index))?;
        }
        Ok(())
    }

    /// Every view whose members are there, in order: where two of them write the same bytes, the later one stays.
    fn overlay(&mut self, views: &[(usize, Vec<Member>)], object: &Json<'_>, scope: usize) -> Result<(), EncodeFault> {
        let mut any = false;
        for (item, view) in views {
            let mut names = HashSet::new();
            collect_names(view, &mut names);
            if names.iter().any(|name| object.member(name).is_some()) {
                any = true;
                self.alternative(*item, view, object, scope)?;
            }
        }
        if any || views.iter().any(|(_, view)| view.is_empty()) {
            return Ok(());
        }
        let names: Vec<&str> = views.iter().flat_map(|(_, view)| view).map(|member| member.name.as_str()).collect();
        Err(EncodeFault::here(format!("one of {}", names.join(", ")), "none of them"))
    }

    /// Writes one view. What is in it follows the last element of its tables, what is behind it stays where it is.
    fn alternative(
        &mut self,
        item: usize,
        view: &[Member],
        object: &Json<'_>,
        scope: usize,
    ) -> Result<(), EncodeFault> {
        let plan = self.plan;
        let start = plan.items[item].offset + scope;
        let whole = room(&plan.items[item]);
        if plan.settings.keeps_room() || !plan.varies[item] {
            self.alternatives.insert(item, whole);
            return self.members(view, object, scope);
        }
        let before = self.bytes.get(start..start + whole).unwrap_or_default().to_vec();
        self.members(view, object, scope)?;
        let own = self.without(&Gaps::in_longest(plan, &self.bytes, item, scope), start, start + whole);
        self.put(start + own.len(), before.get(own.len()..).unwrap_or_default());
        self.put(start, &own);
        self.alternatives.insert(item, own.len());
        Ok(())
    }

    /// Bytes at the end of the record that belong to none of the alternatives that it ends with: to the one that is meant
    /// where rules choose, else to those that were written.
    fn unused(&self, group: usize) -> usize {
        let plan = self.plan;
        let Some(area) = plan.moving.last.get(&group) else { return 0 };
        let [first, _, ..] = area.as_slice() else { return area.first().map_or(0, |&only| self.unused(only)) };
        let end = plan.items[group].offset + plan.items[group].length;
        let is_chosen = plan.rules.contains_key(first);
        // Without a rule nothing but the whole room tells where such a record ends.
        if !is_chosen && plan.settings.framing == Framing::Odo {
            return 0;
        }
        let gaps = Gaps::within(plan, &self.bytes, plan.record_of(group));
        let body = Body { plan, bytes: &self.bytes, gaps: &gaps };
        let is_meant = |alternative: usize| match is_chosen {
            true => body.holds(alternative, alternative, 0).unwrap_or_default(),
            false => self.alternatives.contains_key(&alternative),
        };
        let unused = |&alternative: &usize| {
            let item = &plan.items[alternative];
            let length = self.alternatives.get(&alternative).copied().unwrap_or(room(item));
            end.saturating_sub(item.offset + length) + self.unused(alternative)
        };
        area.iter().filter(|alternative| is_meant(**alternative)).map(unused).min().unwrap_or(0)
    }

    fn expected(&self, kind: &Kind) -> String {
        match kind {
            Kind::Value(index) => self.plan.expected(&self.plan.items[*index]),
            Kind::Array { .. } => "an array".to_owned(),
            Kind::Object(_) | Kind::Overlay(_) => "an object".to_owned(),
        }
    }

    /// That the bytes hold what was put in, where items share them.
    fn verify(&self, record: usize, shape: &Shape<'_>, value: &Json<'_>, beside: &[&str]) -> Result<(), EncodeFault> {
        let gaps = Gaps::within(self.plan, &self.bytes, record);
        let body = Body { plan: self.plan, bytes: &self.bytes, gaps: &gaps };
        let (mut out, position) = (Vec::new(), Position { record: 1, offset: 0, length: 0, line: None });
        let options = JsonOptions { blank: Blank::Null, ..JsonOptions::default() };
        let mut cursor = Cursor::new(&mut out);
        let written = shape.json.write(body, &position, &options, &mut cursor);
        cursor.finish();
        let contradiction = |fault: EncodeFault| EncodeFault {
            expected: format!("{}, as other items have it that share its bytes", fault.expected),
            ..fault
        };
        if let Err(failure) = written {
            let fault = EncodeFault::here(failure.fault.expected, failure.fault.found);
            return Err(contradiction(fault.below(self.plan.path(failure.item))));
        }
        let text = String::from_utf8_lossy(&out);
        match Json::parse(&text) {
            Ok(read) => differs(value, &read, beside, self.plan.trim()).map_err(contradiction),
            Err(error) => Err(EncodeFault::here("a record", error)),
        }
    }

    /// The record without the room of elements that are not there.
    fn compacted(&mut self, record: usize) -> Vec<u8> {
        let plan = self.plan;
        if plan.settings.keeps_room() || !plan.varies[record] {
            // Nothing is asked of it any more: a long record is not there twice.
            return std::mem::take(&mut self.bytes);
        }
        self.without(&Gaps::in_longest(plan, &self.bytes, record, 0), 0, self.bytes.len())
    }

    /// Bytes of the record without some gaps, which stand in order.
    fn without(&self, gaps: &[(usize, usize)], from: usize, to: usize) -> Vec<u8> {
        let mut compact = Vec::with_capacity(to - from);
        let mut at = from;
        for &(start, end) in gaps {
            compact.extend_from_slice(self.bytes.get(at..start.max(at)).unwrap_or_default());
            at = end.max(at);
        }
        compact.extend_from_slice(self.bytes.get(at..to).unwrap_or_default());
        compact
    }
}

impl RecordWriter for Writer<'_> {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        check(self.record.plan)?;
        self.frames.begin(out);
        Ok(())
    }

    fn record(&mut self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        if let Some(segments) = self.segments {
            let records = self.document(segments, value)?;
            return self.frames.document(&records, out).map_err(|(index, fault)| match index {
                0 => fault,
                _ => EncodeFault { found: format!("{} in record {} of the document", fault.found, index + 1), ..fault },
            });
        }
        let Some(layout) = self.types.first() else { return Ok(()) };
        let record = self.record.write(layout, usize::from(has_fillers(value)), value, &[])?;
        let record = self.cut(record);
        self.frames.record(&record, out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.frames.finish(out)
    }
}

/// A fault where the settings leave open what is to be written: bytes that are known by their number only.
fn check(plan: &Plan) -> Result<(), EncodeFault> {
    let settings = &plan.settings;
    let over = |index: usize| {
        let Some(Data::Zoned { sign, .. }) = plan.items[index].data else { return false };
        let is_over = matches!(sign, Some(SignPosition::Trailing | SignPosition::Leading));
        is_over && plan.records.contains(&plan.record_of(index))
    };
    let is_open = plan.zone == Zone::Ascii(Overpunch::Auto) && settings.reading.compiler == Compiler::Ibm;
    if is_open && let Some(item) = (0..plan.items.len()).find(|&index| over(index)) {
        let expected = "`sign` or `dialect`, which say how a sign lies over a digit in ASCII";
        return Err(EncodeFault::here(expected, format!("neither for {}", plan.path(item))));
    }
    let unknown = [
        ("header_bytes", settings.header_bytes > 0),
        ("footer_bytes", settings.footer_bytes > 0),
        ("record_prefix", settings.record_prefix > 0),
        ("record_suffix", settings.record_suffix > 0),
    ];
    match unknown.into_iter().find(|(_, given)| *given) {
        Some((name, _)) => {
            Err(EncodeFault::here("a layout that says what all bytes are", format!("`{name}`, which only counts them")))
        }
        None => Ok(()),
    }
}

fn members(steps: &[Step]) -> Vec<Member> {
    let of = |step: &Step| match step {
        Step::Value { name, leaf, .. } => Member { name: name.text(), kind: Kind::Value(leaf.item) },
        Step::Object { name, members: below } => Member { name: name.text(), kind: Kind::Object(members(below)) },
        Step::Array { name, table, element, .. } => {
            let element = Box::new(match element {
                Element::Value(leaf) => Kind::Value(leaf.item),
                Element::Object(below) => Kind::Object(members(below)),
            });
            Member { name: name.text(), kind: Kind::Array { table: *table, element } }
        }
        Step::Overlay { views, .. } => {
            let views = views.iter().map(|(item, view)| (*item, members(view))).collect();
            Member { name: String::new(), kind: Kind::Overlay(views) }
        }
    };
    steps.iter().map(of).collect()
}

fn is_overlaid(member: &Member) -> bool {
    let in_kind = |kind: &Kind| match kind {
        Kind::Value(_) => false,
        Kind::Object(members) => members.iter().any(is_overlaid),
        Kind::Array { .. } => false,
        Kind::Overlay(_) => true,
    };
    match &member.kind {
        Kind::Array { element, .. } => in_kind(element),
        kind => in_kind(kind),
    }
}

/// Whether columns of a record share bytes. Items of a copybook only do where they redefine one another, and where
/// GnuCOBOL puts the slack of nested tables before their last item, which then reaches into the next element.
fn overlap(plan: &Plan, record: usize) -> bool {
    let reaches_on = |index: usize| {
        let item = &plan.items[index];
        let end = item.offset + item.length;
        plan.tables_around(index).iter().any(|&table| {
            let table = &plan.items[table];
            table.occurs.as_ref().is_some_and(|occurs| end > table.offset + occurs.stride)
        })
    };
    if (0..plan.items.len()).any(|index| plan.record_of(index) == record && reaches_on(index)) {
        return true;
    }
    let items = plan.items[record].children.iter().map(|&child| &plan.items[child]);
    let mut columns: Vec<_> =
        items.filter(|item| item.redefines.is_none()).map(|item| (item.offset, item.length)).collect();
    columns.sort_unstable();
    columns.windows(2).any(|pair| matches!(pair, [(start, length), (next, _)] if start + length > *next))
}

/// The names of an object's members, those of items that share bytes among them.
pub(super) fn collect_names<'a>(members: &'a [Member], names: &mut HashSet<&'a str>) {
    for member in members {
        match &member.kind {
            Kind::Overlay(views) => views.iter().for_each(|(_, view)| collect_names(view, names)),
            _ => {
                names.insert(&member.name);
            }
        }
    }
}

/// What `decode` adds when it is asked to: the position, and the bytes of a field in hex.
pub(super) fn is_added(name: &str, known: &HashSet<&str>) -> bool {
    matches!(name, "_offset" | "_length" | "_record") || hex_of(name).is_some_and(|own| known.contains(own))
}

/// The field whose bytes a member of this name would show in hex; it is numbered where a field has that name itself.
pub(super) fn hex_of(name: &str) -> Option<&str> {
    name.strip_suffix("_hex").or_else(|| {
        let (own, number) = name.rsplit_once('_')?;
        own.strip_suffix("_hex").filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Whether a record was written with its fillers.
pub(super) fn has_fillers(value: &Json<'_>) -> bool {
    match value {
        Json::Object(members) => members.iter().any(|(name, value)| name.starts_with("FILLER_") || has_fillers(value)),
        Json::Array(elements) => elements.iter().any(|element| has_fillers(&element)),
        _ => false,
    }
}
