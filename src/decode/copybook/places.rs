//! Where every item lies, which item another one redefines, and which one counts a table.
//!
//! A table takes the room of its largest number of elements. Items of several records (level 01) all begin at offset 0:
//! the records of a file share one record area.

use std::collections::HashMap;

use super::Alignment;
use super::entry::{Path, Usage};
use super::layout::{Builder, Data, Item, Occurs, record_of, tables_above};
use crate::decode::MAX_RECORD;

/// The children of a group that stand before another.
#[derive(Default)]
struct Siblings {
    /// By name in upper case; of several the last.
    named: HashMap<String, usize>,
    /// The last one that redefines none.
    last_own: Option<usize>,
}

impl Builder<'_> {
    /// Gives an item and all below it their places; answers the bytes that all its occurrences take.
    pub(super) fn place(&mut self, index: usize, offset: usize) -> usize {
        self.items[index].offset = offset;
        let children = self.items[index].children.clone();
        if !children.is_empty() {
            let mut end = offset;
            let mut before = Siblings::default();
            for &child in &children {
                let start = match self.redefined(child, &before) {
                    Some(target) => {
                        self.items[child].redefines = Some(target);
                        self.items[target].offset
                    }
                    None => end.saturating_add(self.slack(child, end)),
                };
                let length = self.place(child, start);
                if let Some(target) = self.items[child].redefines {
                    self.check_size(child, length, target);
                }
                end = end.max(start.saturating_add(length));
                self.pass(child, &mut before);
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
        if self.dialect.alignment != Alignment::Natural || self.items[index].children.is_empty() {
            return length.next_multiple_of(self.alignment_within(index).max(1));
        }
        // GnuCOBOL puts the slack before the last elementary item.
        let mut alignment = 1;
        self.natural_alignment(index, &mut alignment);
        let stride = length.next_multiple_of(alignment);
        let mut last = index;
        while let Some(&child) = self.items[last].children.last() {
            last = child;
        }
        if self.items[last].redefines.is_none() {
            self.items[last].offset += stride - length;
        }
        self.items[index].length = stride;
        stride
    }

    /// What GnuCOBOL 3 takes for the alignment of a table's elements: that of the items behind the start of the last
    /// group in it.
    fn natural_alignment(&self, group: usize, alignment: &mut usize) {
        *alignment = 1;
        for &child in &self.items[group].children {
            let item = &self.items[child];
            if !item.children.is_empty() {
                self.natural_alignment(child, alignment);
            } else if item.redefines.is_none() {
                *alignment = self.alignment(child).max(*alignment);
            }
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

    /// The item that a child redefines: the nearest of that name before it in the same group, with nothing but what
    /// redefines it too between them.
    fn redefined(&self, child: usize, before: &Siblings) -> Option<usize> {
        let (name, spot) = self.entries[child].redefines.as_ref()?;
        let found = before.named.get(&name.to_ascii_uppercase()).copied();
        if found.is_none() {
            let help = "REDEFINES names an item before it in the same group";
            self.faults.push(spot.fault(format!("there is no `{name}` to redefine here")).help(help));
        }
        if let Some((_, between)) = found.zip(before.last_own).filter(|(target, own)| target < own) {
            let between = self.items[between].name.as_deref().unwrap_or("FILLER");
            let help =
                "an item that redefines another follows it, with nothing but others that redefine it between them";
            self.faults.push(spot.fault(format!("`{between}` stands between `{name}` and this")).help(help));
        }
        found
    }

    /// Below level 01 an item may not be larger than the one that it redefines, but to Micro Focus' compiler.
    fn check_size(&self, child: usize, length: usize, target: usize) {
        let (item, entry) = (&self.items[target], &self.entries[child]);
        let room = item.occurs.as_ref().map_or(item.length, |occurs| occurs.stride.saturating_mul(occurs.max));
        if let Some((name, spot)) = entry.redefines.as_ref().filter(|_| length > room && !self.dialect.larger_redefines)
        {
            let own = entry.name.as_deref().unwrap_or("FILLER");
            let message = format!("`{own}` takes {length} bytes and redefines `{name}`, which has {room}");
            let help = "below level 01 what redefines an item may not be larger; where the compiler took it all the same \
                        (Micro Focus), say `dialect = \"mf\"`";
            self.faults.push(spot.fault(message).help(help));
        }
    }

    /// Takes note of a child for those behind it.
    fn pass(&self, child: usize, before: &mut Siblings) {
        if let Some(name) = &self.items[child].name {
            before.named.insert(name.to_ascii_uppercase(), child);
        }
        if self.entries[child].redefines.is_none() {
            before.last_own = Some(child);
        }
    }

    /// That records which redefine others say what is so anyway; but they must be others.
    pub(super) fn redefined_records(&self, records: &[usize]) {
        let mut before = Siblings::default();
        for &record in records {
            before.last_own = None;
            self.redefined(record, &before);
            self.pass(record, &mut before);
        }
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
        let binary = matches!(item.data, Some(Data::Binary { .. } | Data::Float | Data::Double | Data::Ieee { .. }));
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
            let named = self.by_name.get(&name.to_ascii_uppercase()).map(Vec::as_slice).unwrap_or_default();
            let before = named.iter().copied().take_while(|&candidate| candidate < index);
            let found: Vec<usize> = before.filter(|&candidate| self.is_at(candidate, &path)).collect();
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
        let name = path.names.first().map(String::as_str).unwrap_or_default();
        let named = self.by_name.get(&name.to_ascii_uppercase()).map(Vec::as_slice).unwrap_or_default();
        let mut found = named.iter().copied().filter(|&index| in_record(index) && self.is_at(index, path));
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
