//! The elements that a record does not have, where the items behind a table of varying length follow its last element.
//!
//! The layout is that of a record with all its elements, and offsets and scopes are those of this longest record. What
//! is missing in a record is a list of gaps in it; an item begins as many bytes earlier as there are gaps before it. So
//! tables of varying length may lie in one another and behind one another.

use super::fields::Body;
use super::plan::Plan;
use crate::record::FieldFault;

/// See the module.
#[derive(Default)]
pub(super) struct Gaps {
    /// By record (level 01), which each have their own.
    records: Vec<(usize, RecordGaps)>,
}

#[derive(Default)]
struct RecordGaps {
    /// Where each one ends in the longest record, and how many bytes are missing up to there.
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

impl Gaps {
    /// None.
    pub(super) const NONE: &'static Gaps = &Gaps { records: Vec::new() };

    /// Those of bytes that any of these records may be.
    pub(super) fn of(plan: &Plan, bytes: &[u8], records: &[usize]) -> Gaps {
        let mut gaps = Gaps::default();
        if plan.settings.moves_items() {
            gaps.find(plan, bytes, records);
        }
        gaps
    }

    fn find(&mut self, plan: &Plan, bytes: &[u8], records: &[usize]) {
        for &record in records.iter().filter(|&&record| plan.varies[record]) {
            self.records.push((record, RecordGaps::default()));
            let place = self.records.len() - 1;
            if let Err(broken) = self.walk(place, plan, bytes, record, 0) {
                self.records[place].1.broken = Some(broken);
            }
        }
    }

    /// The length of a record that ends behind its last element; a fault with the table that cannot be counted.
    pub(super) fn length(plan: &Plan, bytes: &[u8], record: usize) -> Result<usize, (usize, FieldFault)> {
        let longest = plan.items[record].length;
        let mut gaps = Gaps::default();
        gaps.find(plan, bytes, &[record]);
        match gaps.records.pop() {
            None => Ok(longest),
            Some((_, RecordGaps { broken: Some(broken), .. })) => Err((broken.table, broken.fault)),
            Some((_, found)) => {
                let missing = found.missing.last().map_or(0, |(_, missing)| *missing);
                Ok(longest.saturating_sub(missing))
            }
        }
    }

    /// The gaps of a record that has its longest form still: where each begins and ends, in order.
    pub(super) fn in_longest(plan: &Plan, bytes: &[u8], record: usize) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        in_longest(plan, bytes, record, 0, &mut found);
        found
    }

    /// Goes through the tables of varying length below an item in order; every counter lies before its table.
    fn walk(&mut self, place: usize, plan: &Plan, bytes: &[u8], index: usize, scope: usize) -> Result<(), Broken> {
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
                self.walk(place, plan, bytes, child, scope)?;
            }
        }
        if let Some(occurs) = item.occurs.as_ref().filter(|occurs| occurs.max > count)
            && let Some((_, record)) = self.records.get_mut(place)
        {
            let before = record.missing.last().map_or(0, |(_, missing)| *missing);
            let end = item.offset + scope + occurs.stride * occurs.max;
            record.missing.push((end, before + occurs.stride * (occurs.max - count)));
        }
        Ok(())
    }

    /// Where something begins that begins at `offset` in the longest record.
    pub(super) fn actual(&self, offset: usize, record: usize) -> Result<usize, FieldFault> {
        let Some((_, gaps)) = self.records.iter().find(|(own, _)| *own == record) else { return Ok(offset) };
        if let Some(broken) = &gaps.broken
            && offset >= broken.offset
        {
            return Err(broken.fault.clone());
        }
        let before = gaps.missing.partition_point(|(end, _)| *end <= offset);
        let missing = before.checked_sub(1).and_then(|last| gaps.missing.get(last)).map_or(0, |(_, missing)| *missing);
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
        for &child in item.children.iter().filter(|&&child| plan.varies[child]) {
            in_longest(plan, bytes, child, scope + element * stride, found);
        }
    }
    if count < max {
        let start = item.offset + scope;
        found.push((start + stride * count, start + stride * max));
    }
}
