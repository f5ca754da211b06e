//! The elements that a record does not have, where the items behind a table of varying length follow its last element.
//!
//! The layout is that of a record with all its elements, and offsets and scopes are those of this longest record. What
//! is missing in a record is a list of gaps in it; an item begins as many bytes earlier as there are gaps before it. So
//! tables of varying length may lie in one another and behind one another.
//!
//! Alternatives that share bytes have gaps of their own, which move what is in them and nothing else.

use super::fields::Body;
use super::moving::room;
use super::plan::Plan;
use crate::record::{FieldFault, RejectCode};

/// See the module.
#[derive(Default)]
pub(super) struct Gaps {
    /// By record (level 01), and by alternative whose length varies, which each have their own.
    areas: Vec<(usize, Vec<Area>)>,
    /// A record that has the room of all its elements, but for those of alternatives.
    longest: Option<usize>,
}

/// The gaps of a record, or of an alternative in one element of the tables around it.
struct Area {
    /// Where it begins and ends in the longest record.
    start: usize,
    end: usize,
    /// Where each gap ends in the longest record, and how many bytes are missing up to there.
    missing: Vec<(usize, usize)>,
    /// From where on nothing can be found, because a counter cannot be read.
    broken: Option<Broken>,
}

/// A table that cannot be counted.
struct Broken {
    /// Where it begins in the longest record.
    offset: usize,
    table: usize,
    fault: FieldFault,
}

/// Why the length of a record is not known: a table that cannot be counted, or alternatives none of which is meant.
pub(super) struct Unended {
    pub(super) item: usize,
    pub(super) fault: FieldFault,
}

impl Gaps {
    /// None.
    pub(super) const NONE: &'static Gaps = &Gaps { areas: Vec::new(), longest: None };

    /// Those of bytes that any of these records may be.
    pub(super) fn of(plan: &Plan, bytes: &[u8], records: &[usize]) -> Gaps {
        let mut gaps = Gaps::default();
        if plan.settings.moves_items() {
            gaps.find(plan, bytes, records);
        }
        gaps
    }

    /// Those within alternatives, of a record that has the room of all other elements.
    pub(super) fn within(plan: &Plan, bytes: &[u8], record: usize) -> Gaps {
        let mut gaps = Gaps { areas: Vec::new(), longest: Some(record) };
        if plan.settings.moves_items() {
            gaps.find(plan, bytes, &[record]);
        }
        gaps
    }

    fn find(&mut self, plan: &Plan, bytes: &[u8], records: &[usize]) {
        for &record in records.iter().filter(|&&record| plan.varies[record]) {
            self.area(plan, bytes, record, 0);
        }
    }

    /// The length of a record that ends behind its last element.
    pub(super) fn length(plan: &Plan, bytes: &[u8], record: usize) -> Result<usize, Unended> {
        let mut gaps = Gaps::default();
        gaps.find(plan, bytes, &[record]);
        let longest = plan.items[record].length;
        let missing = gaps.missing(record)?;
        let unused = gaps.unused(plan, bytes, record)?;
        Ok(longest.saturating_sub(missing + unused))
    }

    /// The same; the longest where it is not known, which is the fault of some field.
    pub(super) fn due_length(plan: &Plan, bytes: &[u8], record: usize) -> usize {
        Gaps::length(plan, bytes, record).unwrap_or(plan.items[record].length)
    }

    /// The bytes that a record, or its only element of an alternative, does not have.
    fn missing(&self, key: usize) -> Result<usize, Unended> {
        let areas = self.areas.iter().find(|(own, _)| *own == key);
        let Some(area) = areas.and_then(|(_, areas)| areas.first()) else { return Ok(0) };
        match &area.broken {
            Some(broken) => Err(Unended { item: broken.table, fault: broken.fault.clone() }),
            None => Ok(area.missing.last().map_or(0, |(_, missing)| *missing)),
        }
    }

    /// The bytes of an area at the end of a group that are behind the alternative which is meant.
    fn unused(&self, plan: &Plan, bytes: &[u8], group: usize) -> Result<usize, Unended> {
        let Some(area) = plan.moving.last.get(&group) else { return Ok(0) };
        let [first, _, ..] = area.as_slice() else {
            return area.first().map_or(Ok(0), |&only| self.unused(plan, bytes, only));
        };
        if !plan.rules.contains_key(first) {
            return Ok(0);
        }
        let end = plan.items[group].offset + plan.items[group].length;
        let body = Body { plan, bytes, gaps: self };
        let mut least: Option<usize> = None;
        for &alternative in area {
            let meant = body.holds(alternative, alternative, 0);
            if !meant.map_err(|fault| Unended { item: alternative, fault })? {
                continue;
            }
            let item = &plan.items[alternative];
            let behind = end.saturating_sub(item.offset + room(item));
            let unused = behind + self.missing(alternative)? + self.unused(plan, bytes, alternative)?;
            least = Some(least.map_or(unused, |least| least.min(unused)));
        }
        least.ok_or_else(|| {
            let (field, fault) = body.none_meant(area, 0);
            Unended { item: field, fault: FieldFault { code: RejectCode::UnknownValue, ..fault } }
        })
    }

    /// The gaps of a record, or of an alternative, that has its longest form still: where each begins and ends, in order.
    pub(super) fn in_longest(plan: &Plan, bytes: &[u8], index: usize, scope: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        in_longest(plan, bytes, index, scope, &mut found);
        found
    }

    /// Finds the gaps of a record or of an alternative.
    fn area(&mut self, plan: &Plan, bytes: &[u8], key: usize, scope: usize) {
        let item = &plan.items[key];
        let start = item.offset + scope;
        let area = Area { start, end: start + room(item), missing: Vec::new(), broken: None };
        match self.areas.iter_mut().find(|(own, _)| *own == key) {
            Some((_, areas)) => areas.push(area),
            None => self.areas.push((key, vec![area])),
        }
        if let Err(broken) = self.walk(key, plan, bytes, key, scope)
            && let Some(area) = self.last_area(key)
        {
            area.broken = Some(broken);
        }
    }

    fn last_area(&mut self, key: usize) -> Option<&mut Area> {
        self.areas.iter_mut().find(|(own, _)| *own == key).and_then(|(_, areas)| areas.last_mut())
    }

    /// Goes through the tables of varying length below an item in order; every counter lies before its table.
    fn walk(&mut self, key: usize, plan: &Plan, bytes: &[u8], index: usize, scope: usize) -> Result<(), Broken> {
        let item = &plan.items[index];
        let (count, stride) = match &item.occurs {
            None => (1, 0),
            Some(occurs) => {
                let body = Body { plan, bytes, gaps: self };
                let broken = |fault| Broken { offset: item.offset + scope, table: index, fault };
                let count = body.count(index, occurs, scope).map_err(broken)?;
                (count, occurs.stride)
            }
        };
        for element in 0..count {
            let scope = scope + element * stride;
            for &child in item.children.iter().filter(|&&child| plan.varies[child]) {
                if !plan.moving.shares[child] {
                    self.walk(key, plan, bytes, child, scope)?;
                    continue;
                }
                // What a rule excludes has no elements, and a rule that cannot be asked is the fault of its fields.
                let body = Body { plan, bytes, gaps: self };
                if body.holds(child, child, scope).unwrap_or_default() {
                    self.area(plan, bytes, child, scope);
                }
            }
        }
        if let Some(occurs) = item.occurs.as_ref().filter(|occurs| occurs.max > count)
            && self.longest != Some(key)
            && let Some(area) = self.last_area(key)
        {
            let before = area.missing.last().map_or(0, |(_, missing)| *missing);
            let end = item.offset + scope + occurs.stride * occurs.max;
            area.missing.push((end, before + occurs.stride * (occurs.max - count)));
        }
        Ok(())
    }

    /// Where something of an item begins that begins at `offset` in the longest record.
    pub(super) fn actual(&self, plan: &Plan, index: usize, offset: usize) -> Result<usize, FieldFault> {
        let alternatives = plan.moving.alternatives.get(index).map(Vec::as_slice).unwrap_or_default();
        let mut missing = 0;
        for &key in std::iter::once(&plan.record_of(index)).chain(alternatives) {
            let Some((_, areas)) = self.areas.iter().find(|(own, _)| *own == key) else { continue };
            let at = areas.partition_point(|area| area.start <= offset);
            let area = at.checked_sub(1).and_then(|at| areas.get(at)).filter(|area| offset < area.end);
            let Some(area) = area else { continue };
            if let Some(broken) = &area.broken
                && offset >= broken.offset
            {
                return Err(broken.fault.clone());
            }
            let before = area.missing.partition_point(|(end, _)| *end <= offset);
            missing += before.checked_sub(1).and_then(|last| area.missing.get(last)).map_or(0, |(_, missing)| *missing);
        }
        Ok(offset.saturating_sub(missing))
    }
}

fn in_longest(plan: &Plan, bytes: &[u8], index: usize, scope: usize, found: &mut Vec<(usize, usize)>) {
    let item = &plan.items[index];
    let (count, stride, max) = match &item.occurs {
        None => (1, 0, 1),
        Some(occurs) => {
            let body = Body { plan, bytes, gaps: Gaps::NONE };
            (body.count(index, occurs, scope).unwrap_or(occurs.max), occurs.stride, occurs.max)
        }
    };
    for element in 0..count {
        let below = item.children.iter().filter(|&&child| plan.varies[child] && !plan.moving.shares[child]);
        for &child in below {
            in_longest(plan, bytes, child, scope + element * stride, found);
        }
    }
    if count < max {
        let start = item.offset + scope;
        found.push((start + stride * count, start + stride * max));
    }
}
