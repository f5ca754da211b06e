//! Which items begin elsewhere when tables have fewer elements, and where records end that may be shorter than their
//! layout.
//!
//! Items that share their bytes (REDEFINES) are alternatives of one area. The area keeps the room of its longest
//! alternative, so what stands behind it does not move with tables inside of it; within an alternative everything moves
//! as in a record of its own. An area at the end of a record ends where the alternative ends that is meant.

use std::collections::HashMap;

use super::plan::Plan;
use crate::decode::copybook::Item;

/// See the module.
pub(super) struct Moving {
    /// For every item a table of varying length that moves it.
    pub(super) by: Vec<Option<usize>>,
    /// For every item whether it is, or has below it, a table of varying length.
    pub(super) varies: Vec<bool>,
    /// For every item whether it shares its bytes with others of its group. Records share theirs too, but each is read as
    /// itself.
    pub(super) shares: Vec<bool>,
    /// For every item the one that it redefines, perhaps through others; itself where it redefines none.
    pub(super) first: Vec<usize>,
    /// For every item the alternatives around it, itself included, whose length varies, from the outside in.
    pub(super) alternatives: Vec<Vec<usize>>,
    /// For records, and for groups at their end, what they end with: an item, or the alternatives of an area.
    pub(super) last: HashMap<usize, Vec<usize>>,
    /// Records that end with an area whose alternatives do not all end alike.
    pub(super) open: HashMap<usize, Vec<usize>>,
}

impl Moving {
    pub(super) fn of(items: &[Item], records: &[usize]) -> Moving {
        let mut moving = Moving {
            by: vec![None; items.len()],
            varies: vec![false; items.len()],
            shares: vec![false; items.len()],
            first: Vec::with_capacity(items.len()),
            alternatives: vec![Vec::new(); items.len()],
            last: HashMap::new(),
            open: HashMap::new(),
        };
        for (index, item) in items.iter().enumerate() {
            // What is redefined stands before what redefines it.
            let first = item.redefines.and_then(|target| moving.first.get(target).copied());
            moving.first.push(first.unwrap_or(index));
            if item.occurs.as_ref().is_some_and(|occurs| occurs.depending.is_some()) {
                let mut at = Some(index);
                while let Some(varying) = at {
                    moving.varies[varying] = true;
                    at = items[varying].parent;
                }
            }
            if let Some(target) = item.redefines.filter(|_| item.parent.is_some()) {
                moving.shares[index] = true;
                moving.shares[target] = true;
            }
        }
        for &record in records {
            moving.walk(items, record, None, &mut None, &mut Vec::new());
            moving.end(items, record, record);
        }
        for (index, item) in items.iter().enumerate() {
            // RENAMES: what it begins with says where it begins.
            if let Some((first, _)) = item.renames {
                moving.by[index] = moving.by[first];
                moving.alternatives[index] = moving.alternatives[first].clone();
            }
        }
        moving
    }

    /// Goes through an item and what is below it. `outer` is a table that moves all of it, `behind` one that lies before
    /// it in the same alternative.
    fn walk(
        &mut self,
        items: &[Item],
        index: usize,
        outer: Option<usize>,
        behind: &mut Option<usize>,
        around: &mut Vec<usize>,
    ) {
        let item = &items[index];
        let is_alternative = self.shares[index];
        let enters = is_alternative && self.varies[index];
        if enters {
            around.push(index);
        }
        self.by[index] = outer.or(*behind);
        self.alternatives[index].clone_from(around);
        let mut own = None;
        let (outer, behind) = if is_alternative { (outer.or(*behind), &mut own) } else { (outer, behind) };
        // Elements of a table have no fixed length when there are tables of varying length in them.
        let inner = item.occurs.as_ref().and_then(|_| self.table_below(items, index));
        let outer = outer.or(inner);
        for &child in &item.children {
            self.walk(items, child, outer, behind, around);
        }
        if item.occurs.as_ref().is_some_and(|occurs| occurs.depending.is_some()) || inner.is_some() {
            behind.get_or_insert(inner.unwrap_or(index));
        }
        if enters {
            around.pop();
        }
    }

    /// A table of varying length below an item, in the same alternative.
    fn table_below(&self, items: &[Item], index: usize) -> Option<usize> {
        items[index].children.iter().filter(|&&child| self.varies[child] && !self.shares[child]).find_map(|&child| {
            let is_table = items[child].occurs.as_ref().is_some_and(|occurs| occurs.depending.is_some());
            if is_table { Some(child) } else { self.table_below(items, child) }
        })
    }

    /// Finds out what a group at the end of a record ends with.
    fn end(&mut self, items: &[Item], record: usize, group: usize) {
        let item = &items[group];
        let Some(&last) = item.children.last().filter(|_| item.occurs.is_none()) else { return };
        let first = self.first[last];
        let area: Vec<usize> = item.children.iter().copied().filter(|&child| self.first[child] == first).collect();
        let is_behind = |&child: &usize| {
            let start = items[child].offset;
            start + room(&items[child]) > items[first].offset && self.first[child] != first
        };
        if item.children.iter().any(is_behind) {
            return;
        }
        let end = item.offset + item.length;
        let differs = |&alternative: &usize| {
            let item = &items[alternative];
            item.offset + room(item) != end || self.varies[alternative]
        };
        if area.len() > 1 && area.iter().any(differs) {
            self.open.entry(record).or_insert_with(|| area.clone());
        }
        for &alternative in &area {
            self.end(items, record, alternative);
        }
        self.last.insert(group, area);
    }
}

/// The bytes of all occurrences of an item.
pub(super) fn room(item: &Item) -> usize {
    item.occurs.as_ref().map_or(item.length, |occurs| occurs.stride * occurs.max)
}

impl Plan {
    /// A table of varying length and an item that it moves.
    pub(super) fn moved_item(&self) -> Option<(usize, usize)> {
        self.moving.by.iter().enumerate().find_map(|(item, table)| Some(((*table)?, item)))
    }

    /// A table whose counter moves with tables of an alternative that the table is not in.
    pub(super) fn foreign_counter(&self) -> Option<(usize, usize)> {
        self.items.iter().enumerate().find_map(|(table, item)| {
            let counter = item.occurs.as_ref()?.depending.filter(|&counter| self.moves[counter])?;
            let around = &self.moving.alternatives[table];
            let foreign = |alternative: &usize| !around.contains(alternative);
            self.moving.alternatives[counter].iter().any(foreign).then_some((table, counter))
        })
    }

    /// Whether a record may be shorter than its layout: by a table of varying length, or by the alternative that it ends
    /// with and that a rule chooses.
    pub(super) fn ends_early(&self, record: usize) -> bool {
        self.varies[record] || self.chosen_end(record)
    }

    fn chosen_end(&self, record: usize) -> bool {
        let area = self.moving.open.get(&record);
        area.and_then(|area| area.first()).is_some_and(|first| self.rules.contains_key(first))
    }

    /// The alternatives that a record ends with, where their lengths vary and no rule chooses among them: nothing says
    /// where the record ends.
    pub(super) fn undecided_end(&self, record: usize) -> Option<&[usize]> {
        let area = self.moving.open.get(&record).filter(|_| !self.chosen_end(record))?;
        area.iter().any(|&alternative| self.varies[alternative]).then_some(area)
    }
}
