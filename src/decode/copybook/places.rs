//! Where every item lies, which item another one redefines, and which one counts a table.
//!
//! A table takes the room of its largest number of elements. Items of several records (level 01) all begin at offset 0:
//! the records of a file share one record area.

use super::Alignment;
use super::entry::{Path, Usage};
use super::layout::{Builder, Data, Item, Occurs, record_of, tables_above};
use crate::decode::MAX_RECORD;

impl Builder<'_> {
    /// Gives an item and all below it their places; answers the bytes that all its occurrences take.
    pub(super) fn place(&mut self, index: usize, offset: usize) -> usize {
        self.items[index].offset = offset;
        let children = self.items[index].children.clone();
        if !children.is_empty() {
            let mut end = offset;
            for &child in &children {
                let start = match self.redefined(child, &children) {
                    Some(target) => {
                        self.items[child].redefines = Some(target);
                        self.items[target].offset
                    }
                    None => end.saturating_add(self.slack(child, end)),
                };
                end = end.max(start.saturating_add(self.place(child, start)));
            }
            self.items[index].length = end - offset;
        }
        let length = self.items[index].length;
        let Some(clause) = self.entries[index].occurs.clone() else { return self.bounded(index, length) };
        let stride = self.stride(index, length);
        if self.items[index].parent.is_none() {
            self.faults.push(clause.spot.fault("a record cannot occur more than once"));
        }
        self.items[index].occurs = Some(Occurs { min: clause.min, max: clause.max, stride, depending: None });
        self.bounded(index, stride.saturating_mul(clause.max))
    }

    /// Bytes from one element of a table to the next: every one begins as well aligned as the first.
    fn stride(&mut self, index: usize, length: usize) -> usize {
        let stride = length.next_multiple_of(self.alignment_within(index).max(1));
        let last = self.items[index].children.last().copied();
        match (self.dialect.alignment, last) {
            // GnuCOBOL puts the slack before the last item, and none where that is a group.
            (Alignment::Natural, Some(last)) if self.items[last].children.is_empty() => {
                if self.items[last].redefines.is_none() {
                    self.items[last].offset += stride - length;
                }
                self.items[index].length = stride;
                stride
            }
            (Alignment::Natural, Some(_)) => length,
            _ => stride,
        }
    }

    /// Holds sizes within what a record may have, so that no sum overflows.
    fn bounded(&self, index: usize, length: usize) -> usize {
        if length <= MAX_RECORD {
            return length;
        }
        let item = &self.items[index];
        let help = format!("a record may have {MAX_RECORD} bytes");
        let name = item.name.as_deref().unwrap_or("FILLER");
        let fault = item.spot.fault(format!("`{name}` takes {length} bytes"));
        // The groups above would say the same again.
        if item.children.iter().all(|&child| self.items[child].length <= MAX_RECORD) {
            self.faults.push(fault.help(help));
        }
        MAX_RECORD
    }

    /// The item that a child redefines: the nearest of that name before it in the same group.
    fn redefined(&self, child: usize, children: &[usize]) -> Option<usize> {
        let (name, spot) = self.entries[child].redefines.as_ref()?;
        let before = children.iter().take_while(|&&other| other != child);
        let found = before.copied().filter(|&other| named(&self.items[other], name)).last();
        if found.is_none() {
            let help = "REDEFINES names an item before it in the same group";
            self.faults.push(spot.fault(format!("there is no `{name}` to redefine here")).help(help));
        }
        found
    }

    /// A record that redefines another says what is so anyway; but it must be another.
    pub(super) fn redefined_record(&self, record: usize, records: &[usize]) {
        self.redefined(record, records);
    }

    /// Bytes that SYNCHRONIZED leaves free before an item that would begin at `offset`.
    fn slack(&self, index: usize, offset: usize) -> usize {
        let mut first = index;
        // IBM's compilers align the whole group whose first item is to be aligned, GnuCOBOL that item alone.
        while let Some(&child) = self.items[first].children.first()
            && self.dialect.alignment == Alignment::Ibm
        {
            first = child;
        }
        offset.next_multiple_of(self.alignment(first)) - offset
    }

    /// What an elementary item's offset must be a multiple of.
    fn alignment(&self, index: usize) -> usize {
        let (item, entry) = (&self.items[index], &self.entries[index]);
        if !entry.synchronized || !item.children.is_empty() {
            return 1;
        }
        let binary = matches!(item.data, Some(Data::Binary { .. } | Data::Float | Data::Double));
        match (self.dialect.alignment, item.data) {
            _ if !binary => 1,
            (Alignment::None, _) => 1,
            (Alignment::Natural, _) if item.length.is_power_of_two() => item.length,
            (Alignment::Natural, _) => 1,
            (Alignment::Ibm, Some(Data::Double)) => 8,
            (Alignment::Ibm, _) if matches!(entry.usage, Some(Usage::Pointer | Usage::FunctionPointer)) => item.length,
            (Alignment::Ibm, _) => item.length.clamp(1, 4),
        }
    }

    fn alignment_within(&self, index: usize) -> usize {
        let item = &self.items[index];
        match item.children.iter().map(|&child| self.alignment_within(child)).max() {
            Some(alignment) => alignment,
            None => self.alignment(index),
        }
    }

    /// Finds the counters of tables of varying length.
    pub(super) fn counters(&mut self) {
        for index in 0..self.items.len() {
            let clause = self.entries[index].occurs.as_ref();
            let Some(path) = clause.and_then(|clause| clause.depending.clone()) else { continue };
            let name = path.names.first().cloned().unwrap_or_default();
            let found: Vec<usize> = (0..index).filter(|&candidate| self.is_at(candidate, &path)).collect();
            // Those of the same record come first.
            let record = record_of(&self.items, index);
            let own: Vec<usize> =
                found.iter().copied().filter(|&candidate| record_of(&self.items, candidate) == record).collect();
            let reached = if own.is_empty() { found } else { own };
            if reached.len() > 1 {
                let fault = path.spot.fault(format!(
                    "the counter `{name}` is ambiguous: {} items before the table bear the name",
                    reached.len()
                ));
                self.faults.push(fault.help(format!("say in which group: `{name} OF ...`")));
                continue;
            }
            let Some(counter) = reached.first().copied() else {
                let help = "the counter must stand before the table, outside of it";
                self.faults.push(path.spot.fault(format!("there is no counter `{name}` before the table")).help(help));
                continue;
            };
            let counts = match self.items[counter].data {
                Some(
                    Data::Zoned { scale, .. }
                    | Data::Packed { scale, .. }
                    | Data::Binary { scale, .. }
                    | Data::NationalZoned { scale, .. },
                ) => scale <= 0,
                // The values of a text are counted by a map, which the settings give.
                Some(Data::Text) => true,
                _ => false,
            };
            let around = tables_above(&self.items, index);
            let shares_tables = tables_above(&self.items, counter).iter().all(|table| around.contains(table));
            if !counts || !shares_tables || self.items[counter].occurs.is_some() {
                self.faults.push(path.spot.fault(format!("`{name}` is no counter: it must be one whole number")));
                continue;
            }
            if let Some(occurs) = &mut self.items[index].occurs {
                occurs.depending = Some(counter);
            }
        }
    }

    /// The item of a record that a qualified name means; a fault where there is none, or more than one.
    pub(super) fn find_in(&self, record: usize, path: &Path) -> Option<usize> {
        let in_record = |index: usize| {
            let own = record_of(&self.items, index);
            own == record || self.items[own].level == 0
        };
        let mut found = (0..self.items.len()).filter(|&index| in_record(index) && self.is_at(index, path));
        let name = path.names.first().map(String::as_str).unwrap_or_default();
        let fault = match (found.next(), found.next()) {
            (Some(one), None) => return Some(one),
            (None, _) => path.spot.fault(format!("there is no `{name}` in the record")),
            (Some(_), Some(_)) => {
                path.spot.fault(format!("`{name}` is ambiguous")).help(format!("say in which group: `{name} OF ...`"))
            }
        };
        self.faults.push(fault);
        None
    }

    /// True when an item bears the name, in groups that bear the others, perhaps with more between.
    fn is_at(&self, index: usize, path: &Path) -> bool {
        let mut names = path.names.iter();
        if !names.next().is_some_and(|name| named(&self.items[index], name)) {
            return false;
        }
        let mut above = self.items[index].parent;
        names.all(|name| {
            while let Some(at) = above {
                above = self.items[at].parent;
                if named(&self.items[at], name) {
                    return true;
                }
            }
            false
        })
    }
}

fn named(item: &Item, name: &str) -> bool {
    item.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
}
