//! Several record types in one file: which one a record is, and how they nest into documents.
//!
//! A [`Router`] looks at bytes of a record and answers its kind. Kinds may hang below one another
//! (`segment_children`): a record of the topmost kind begins a document, and records of the kinds below it that follow
//! belong to it, in whatever depth. What belongs to no open record is an orphan.

mod document;
mod encode;
mod json;
mod resolve;
mod router;
mod settings;
mod split;
#[cfg(test)]
mod tests;

use super::fields::Body;
use super::gaps::Gaps;
use super::json::JsonPlan;
use super::plan::Plan;
use crate::decode::json::Name;
use crate::diagnostic::{Diagnostic, Faults, Key, nearest};
use crate::record::{FieldFault, Part, RejectCode, Scope, Slot, Value};
use router::Router;

pub(super) use document::{Gathered, Gatherer, Span, Wrong, pass_over};
pub(super) use json::{Document, padded_to};
pub(super) use resolve::SEGMENT_SLOT;
pub(super) use router::Unroutable;
pub(in crate::decode) use settings::{CHILDREN, FIELD, FILTER, KEYS, MAP, UNKNOWN, read_filter};
pub use settings::{SegmentSettings, Unknown};
pub(super) use split::split;

/// How deep records may lie in one another: what is written is read again, which has a bound too.
const MAX_DEPTH: usize = 64;

/// No kind: an item that all kinds share.
pub(super) const ANY: u16 = u16::MAX;

/// The record types of a file, compiled.
pub(super) struct Segments {
    router: Router,
    pub(super) kinds: Vec<Kind>,
    /// For every item the kind whose record it is in, or [`ANY`].
    kind_of_item: Vec<u16>,
    pub(super) unknown: Unknown,
    /// Whether records nest.
    pub(super) nested: bool,
    filters: Vec<Filter>,
    /// The items of the field that tells the types apart: it reads alike in all of them.
    field_items: Vec<usize>,
}

/// A record type.
pub(super) struct Kind {
    /// The item of level 01.
    pub(super) record: usize,
    pub(super) name: String,
    pub(super) length: usize,
    pub(super) parent: Option<u16>,
    pub(super) children: Vec<u16>,
    /// How its items are written, without and with fillers, and the name under which its parent has it.
    pub(super) json: [JsonPlan; 2],
    member: [Name; 2],
}

/// What a field must have for a record to stay.
struct Filter {
    /// The field in every kind that has it.
    items: Vec<(u16, usize)>,
    values: Vec<String>,
}

impl Segments {
    /// Compiles what the settings say; `None` where they say nothing, and after a fault.
    pub(super) fn compile(plan: &Plan, faults: &Faults) -> Option<Segments> {
        let settings = plan.settings.segments.as_ref()?;
        let place = |key: &Key| plan.settings.place_of(key.name);
        let mut kinds: Vec<Kind> = Vec::new();
        let mut map = Vec::new();
        let before = faults.len();
        for (id, wanted) in &settings.map {
            match plan.record_named(wanted) {
                Ok(record) => {
                    let kind = kinds.iter().position(|kind| kind.record == record).unwrap_or_else(|| {
                        kinds.push(Kind::new(plan, record));
                        kinds.len() - 1
                    });
                    map.push((id.clone(), kind as u16));
                }
                Err(fault) => faults.push(fault),
            }
        }
        for (id, _) in &settings.map {
            if settings.map.iter().filter(|(other, _)| other.trim() == id.trim()).count() > 1 {
                faults.push(place(&MAP).fault(format!("the record type `{id}` is mapped more than once")));
                break;
            }
        }
        for (parent, children) in &settings.children {
            for child in children {
                hang(plan, &mut kinds, parent, child, faults);
            }
        }
        if let Some(kind) = (0..kinds.len()).find(|&kind| is_circular(&kinds, kind)) {
            let message = format!("`{}` is below itself in `segment_children`", kinds[kind].name);
            faults.push(place(&CHILDREN).fault(message));
        }
        if kinds.iter().any(|kind| depth(&kinds, kind) > MAX_DEPTH) {
            faults.push(place(&CHILDREN).fault(format!("records lie more than {MAX_DEPTH} deep in one another")));
        }
        let router = match Router::compile(plan, &settings.field, &map) {
            Ok(router) => Some(router),
            Err(message) => {
                faults.push(place(&FIELD).fault(format!("`segment_field`: {message}")));
                None
            }
        };
        if faults.len() > before {
            return None;
        }
        for kind in 0..kinds.len() {
            name_members(&mut kinds, kind);
        }
        let kind_of = |item: usize| kinds.iter().position(|kind| kind.record == plan.record_of(item));
        let kind_of_item: Vec<u16> =
            (0..plan.items.len()).map(|item| kind_of(item).map_or(ANY, |k| k as u16)).collect();
        let nested = kinds.iter().any(|kind| kind.parent.is_some());
        let mut segments = Segments {
            router: router?,
            kinds,
            kind_of_item,
            unknown: settings.unknown,
            nested,
            filters: Vec::new(),
            field_items: plan.named(&settings.field),
        };
        segments.filters = filters(plan, Some(&segments), faults)?;
        Some(segments)
    }

    /// The kind of a record.
    #[inline]
    pub(super) fn route(&self, plan: &Plan, record: &[u8]) -> Result<u16, Unroutable> {
        self.router.route(plan, record)
    }

    /// The bytes that a record must have for its kind to be known.
    pub(super) fn routed(&self) -> usize {
        self.router.end()
    }

    /// The kinds that begin a document.
    pub(super) fn roots(&self) -> impl Iterator<Item = u16> {
        (0u16..).zip(&self.kinds).filter(|(_, kind)| kind.parent.is_none()).map(|(index, _)| index)
    }

    /// The kind whose record an item is in.
    #[inline]
    pub(super) fn kind_of(&self, item: usize) -> u16 {
        self.kind_of_item.get(item).copied().unwrap_or(ANY)
    }

    /// Whether an item can be read from a record of a kind.
    #[inline]
    pub(super) fn has(&self, kind: u16, item: usize) -> bool {
        let own = self.kind_of(item);
        own == kind || self.field_items.contains(&item)
    }

    /// The kind of a part of a document.
    #[inline]
    pub(super) fn kind_of_part(&self, part: &Part) -> u16 {
        self.kind_of(part.record.0 as usize)
    }

    /// The slot of the record of this name.
    pub(super) fn record(&self, name: &str) -> Option<Slot> {
        let kind = self.kinds.iter().position(|kind| kind.name.eq_ignore_ascii_case(name.trim()))?;
        Some(self.slot(kind as u16))
    }

    /// The name of a kind.
    pub(super) fn name(&self, kind: u16) -> &str {
        self.kinds.get(usize::from(kind)).map_or("", |kind| kind.name.as_str())
    }

    /// The answer to a slot of another kind of record.
    #[cold]
    pub(super) fn other_kind(&self, kind: u16, slot: Slot) -> FieldFault {
        FieldFault {
            code: RejectCode::BadType,
            expected: format!("a field of {}", self.name(self.kind_of(slot.0 as usize))),
            found: format!("a record {}", self.name(kind)),
        }
    }

    /// The number of a part among those of its kind below the same parent, from 0, as its array in JSON counts.
    pub(super) fn ordinal(&self, parts: &[Part], index: usize) -> usize {
        let Some(part) = parts.get(index) else { return 0 };
        let before = parts.iter().take(index).skip(1);
        before.filter(|other| other.parent == part.parent && other.record == part.record).count()
    }

    /// The slot of a kind's record.
    pub(super) fn slot(&self, kind: u16) -> Slot {
        let record = self.kinds.get(usize::from(kind)).map_or(usize::MAX, |kind| kind.record);
        Slot(u32::try_from(record).unwrap_or(u32::MAX))
    }

    /// A record that stands alone.
    pub(super) fn part(&self, kind: u16, length: usize) -> Part {
        Part {
            record: self.slot(kind),
            scope: Scope::ROOT,
            offset: 0,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            parent: 0,
            end: 1,
        }
    }

    /// Whether the filters let a record pass. A record that has none of the fields passes where records nest, and only
    /// there: else it is not what was asked for.
    pub(super) fn passes(&self, plan: &Plan, kind: u16, bytes: &[u8]) -> bool {
        self.filters.iter().all(|filter| {
            let item = filter.items.iter().find(|(of, _)| *of == kind).map(|(_, item)| *item);
            item.map_or(self.nested, |item| holds(plan, item, &filter.values, bytes))
        })
    }

    /// Whether there is any filter.
    pub(super) fn has_filters(&self) -> bool {
        !self.filters.is_empty()
    }
}

impl Kind {
    fn new(plan: &Plan, record: usize) -> Kind {
        let item = &plan.items[record];
        let name = item.name.clone().unwrap_or_else(|| "FILLER".to_owned());
        Kind {
            record,
            member: [Name::new(&name), Name::new(&name)],
            name,
            length: item.length,
            parent: None,
            children: Vec::new(),
            json: [JsonPlan::new(plan, record, false), JsonPlan::new(plan, record, true)],
        }
    }
}

fn hang(plan: &Plan, kinds: &mut [Kind], parent: &str, child: &str, faults: &Faults) {
    let place = plan.settings.place_of(CHILDREN.name);
    let found = |name: &str| {
        let known = |kind: &Kind| kind.name.eq_ignore_ascii_case(name);
        let found = kinds.iter().position(known);
        if found.is_none() {
            let fault = place.fault(format!("`segment_children` names `{name}`, which `segment_map` does not have"));
            faults.push(match nearest(name, kinds.iter().map(|kind| kind.name.as_str())) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            });
        }
        found
    };
    let (Some(parent), Some(child)) = (found(parent), found(child)) else { return };
    if let Some(other) = kinds[child].parent {
        let (child, other) = (&kinds[child].name, &kinds[usize::from(other)].name);
        faults.push(place.fault(format!("`{child}` is below `{other}` already; a record type has one parent")));
        return;
    }
    kinds[child].parent = Some(parent as u16);
    kinds[parent].children.push(child as u16);
}

/// How many records lie around one of a kind.
fn depth(kinds: &[Kind], kind: &Kind) -> usize {
    let above = |kind: &&Kind| kind.parent.and_then(|parent| kinds.get(usize::from(parent)));
    // One that is below itself is told apart from this.
    std::iter::successors(Some(kind), above).take(kinds.len()).count() - 1
}

fn is_circular(kinds: &[Kind], kind: usize) -> bool {
    let mut at = kinds[kind].parent;
    for _ in 0..kinds.len() {
        match at {
            None => return false,
            Some(parent) if usize::from(parent) == kind => return true,
            Some(parent) => at = kinds[usize::from(parent)].parent,
        }
    }
    false
}

/// Names the arrays of the kinds below one apart from its items.
fn name_members(kinds: &mut [Kind], parent: usize) {
    for fillers in 0..2 {
        let mut names = kinds[parent].json[fillers].names().clone();
        for child in kinds[parent].children.clone() {
            let child = &mut kinds[usize::from(child)];
            let name = names.unique(child.name.clone());
            child.member[fillers] = Name::new(&name);
        }
    }
}

/// The filters of the settings, each with the items that it asks; `None` after a fault.
fn filters(plan: &Plan, segments: Option<&Segments>, faults: &Faults) -> Option<Vec<Filter>> {
    let mut filters: Vec<(String, Filter)> = Vec::new();
    for (field, value) in &plan.settings.filter {
        if let Some((_, filter)) = filters.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(field)) {
            filter.values.push(value.clone());
            continue;
        }
        let items: Vec<(u16, usize)> = plan
            .named(field)
            .into_iter()
            .filter(|&item| plan.items[item].data.is_some() && plan.tables_around(item).is_empty())
            .filter(|&item| plan.items[item].occurs.is_none())
            .map(|item| (segments.map_or(ANY, |segments| segments.kind_of(item)), item))
            .collect();
        if items.is_empty() {
            let fault =
                plan.settings.place_of(FILTER.name).fault(format!("`filter`: there is no single item `{field}`"));
            faults.push(match nearest(field, plan.items.iter().filter_map(|item| item.name.as_deref())) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault,
            });
            return None;
        }
        filters.push((field.clone(), Filter { items, values: vec![value.clone()] }));
    }
    Some(filters.into_iter().map(|(_, filter)| filter).collect())
}

/// Filters of a file of one record type.
pub(super) struct PlainFilter(Vec<Filter>);

impl PlainFilter {
    /// `None` where there is none, and after a fault.
    pub(super) fn compile(plan: &Plan, faults: &Faults) -> Option<PlainFilter> {
        if plan.settings.filter.is_empty() || plan.settings.segments.is_some() {
            return None;
        }
        filters(plan, None, faults).map(PlainFilter)
    }

    /// Whether a record stays.
    pub(super) fn passes(&self, plan: &Plan, bytes: &[u8]) -> bool {
        let asks = |filter: &Filter| filter.items.iter().any(|(_, item)| holds(plan, *item, &filter.values, bytes));
        self.0.iter().all(asks)
    }
}

/// Whether an item has one of some values. What cannot be read stays, to be rejected with its reason.
fn holds(plan: &Plan, index: usize, values: &[String], bytes: &[u8]) -> bool {
    let item = &plan.items[index];
    let gaps = Gaps::of(plan, bytes, &[plan.record_of(index)]);
    let body = Body { plan, bytes, gaps: &gaps };
    match body.is_meant(index, 0) {
        Ok(true) => {}
        Ok(false) => return false,
        Err(_) => return true,
    }
    let field = body.offset(index, 0).and_then(|offset| body.at(item, offset));
    match field.and_then(|field| plan.value(item, field)) {
        Ok(Value::Text(text)) => values.iter().any(|value| value.trim() == text.trim()),
        Ok(Value::Decimal(number)) => values
            .iter()
            .any(|value| crate::record::Decimal::parse(value, b'.', None).is_ok_and(|wanted| wanted == number)),
        Ok(_) => false,
        Err(fault) if fault.code == RejectCode::Blank => values.iter().any(|value| value.trim().is_empty()),
        Err(_) => true,
    }
}

impl Plan {
    /// The one item of this name, or any of several that lie at the same place in different records and hold the same.
    pub(super) fn same_place(&self, name: &str) -> Result<usize, String> {
        let found = self.named(name);
        let Some(&first) = found.first() else {
            let near = nearest(name, self.items.iter().filter_map(|item| item.name.as_deref()));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(format!("the copybook has no `{name}`{near}"));
        };
        let alike = |&index: &usize| {
            let (one, other) = (&self.items[first], &self.items[index]);
            (one.offset, one.length, one.data) == (other.offset, other.length, other.data)
        };
        if found.iter().all(alike) {
            return Ok(first);
        }
        let paths: Vec<String> = found.iter().map(|&index| format!("`{}`", self.qualified_path(index))).collect();
        Err(format!("`{name}` lies at different places: {}", paths.join(", ")))
    }

    /// The record (level 01) of this name.
    fn record_named(&self, wanted: &str) -> Result<usize, Diagnostic> {
        let name = |record: &usize| self.items[*record].name.as_deref().unwrap_or_default();
        let found = self.records.iter().copied().find(|record| name(record).eq_ignore_ascii_case(wanted.trim()));
        found.ok_or_else(|| {
            let fault = self
                .settings
                .place_of(MAP.name)
                .fault(format!("`segment_map` names `{wanted}`, which is no record of the copybook"));
            let known: Vec<&str> = self.records.iter().map(name).collect();
            match nearest(wanted, known.iter().copied()) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("its records are {}", known.join(", "))),
            }
        })
    }
}
