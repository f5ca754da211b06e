//! The items of a copybook as a tree. What each of them holds is [`super::storage`]'s to say, where it lies
//! [`super::places`]'.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::entry::Entry;
use super::{Alignment, Dialect, EditMark, Spot};
use crate::diagnostic::{Diagnostic, Faults, SourceText};

/// A copybook with every item in its place.
#[derive(Clone, Debug)]
pub struct Copybook {
    /// All items, each behind the group that holds it; those of level 66 behind all others.
    pub items: Vec<Item>,
    /// Indexes of the records: the items of level 01, or of the lowest level where there is none.
    pub records: Vec<usize>,
    /// How it was read.
    pub dialect: Dialect,
    /// Paths of the texts that it copies.
    pub texts: Vec<String>,
}

impl Copybook {
    /// Records of text items, as a file of fixed columns has them.
    pub(in crate::decode) fn of_columns(records: Vec<ColumnRecord>) -> Copybook {
        let mut copybook =
            Copybook { items: Vec::new(), records: Vec::new(), dialect: Dialect::default(), texts: Vec::new() };
        // There is no copybook that a fault could be at.
        let spot = Spot { source: SourceText::new(Path::new(""), String::new()), span: 0..0 };
        for ColumnRecord { name, columns, length } in records {
            let record = copybook.items.len();
            let end = columns.iter().map(|column| column.offset + column.length).max().unwrap_or_default();
            let length = length.unwrap_or(end);
            copybook.records.push(record);
            copybook.items.push(Item { length, ..item(1, Some(name), None, spot.clone()) });
            for Column { name, offset, length, data, picture } in columns {
                let child = copybook.items.len();
                copybook.items[record].children.push(child);
                let column = item(5, Some(name), Some(record), spot.clone());
                copybook.items.push(Item { data: Some(data), offset, length, picture, ..column });
            }
        }
        copybook
    }

    /// The copybook with the records of another behind its own.
    pub(in crate::decode) fn join(mut self, other: Copybook) -> Copybook {
        let shift = self.items.len();
        self.texts.extend(other.texts);
        self.records.extend(other.records.iter().map(|record| record + shift));
        self.items.extend(other.items.into_iter().map(|mut item| {
            item.parent = item.parent.map(|parent| parent + shift);
            item.redefines = item.redefines.map(|target| target + shift);
            item.renames = item.renames.map(|(first, last)| (first + shift, last + shift));
            item.children.iter_mut().for_each(|child| *child += shift);
            if let Some(occurs) = &mut item.occurs {
                occurs.depending = occurs.depending.map(|counter| counter + shift);
            }
            item
        }));
        self
    }

    /// The copybook with one of its records alone.
    pub(in crate::decode) fn only(mut self, record: usize) -> Copybook {
        self.records = vec![record];
        self
    }
}

/// A record of items in fixed columns.
pub(in crate::decode) struct ColumnRecord {
    /// Its name.
    pub(in crate::decode) name: String,
    /// The items.
    pub(in crate::decode) columns: Vec<Column>,
    /// Its bytes, where they are more than the columns take.
    pub(in crate::decode) length: Option<usize>,
}

/// An item in fixed columns.
pub(in crate::decode) struct Column {
    /// Its name.
    pub(in crate::decode) name: String,
    /// Its first byte, from 0.
    pub(in crate::decode) offset: usize,
    /// Its bytes.
    pub(in crate::decode) length: usize,
    /// What it holds.
    pub(in crate::decode) data: Data,
    /// The same for people.
    pub(in crate::decode) picture: String,
}

/// An item of a record.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its level number.
    pub level: u8,
    /// As written; `None` for FILLER.
    pub name: Option<String>,
    /// The group that holds it.
    pub parent: Option<usize>,
    /// What it holds, in order; empty for elementary items. Items of level 66 are nobody's children.
    pub children: Vec<usize>,
    /// What an elementary item holds; `None` for groups.
    pub data: Option<Data>,
    /// Offset of its first occurrence in the record, in bytes.
    pub offset: usize,
    /// Length of one occurrence in bytes.
    pub length: usize,
    /// Set for tables.
    pub occurs: Option<Occurs>,
    /// The item whose bytes it shares.
    pub redefines: Option<usize>,
    /// The first and the last item that an item of level 66 is another name for.
    pub renames: Option<(usize, usize)>,
    /// True for numbers that are blank when they are zero.
    pub blank_when_zero: bool,
    /// True for text that is padded at its start.
    pub justified: bool,
    /// Picture and usage for people: `S9(9)V99 COMP-3`.
    pub picture: String,
    /// The characters of an edited number; else empty.
    pub marks: Vec<EditMark>,
    /// The condition-names of level 88.
    pub values: Vec<ValueName>,
    /// Its place in the copybook.
    pub spot: Spot,
}

/// A name for some values of an item: level 88.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueName {
    /// As written.
    pub name: String,
    /// As written: `'A', 'B' THRU 'F'`.
    pub values: String,
}

/// How often an item occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurs {
    /// The fewest elements.
    pub min: usize,
    /// The most elements.
    pub max: usize,
    /// Bytes from one element to the next.
    pub stride: usize,
    /// The item that says how many there are, where they vary.
    pub depending: Option<usize>,
}

/// What an elementary item holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Characters of the code page.
    Text,
    /// Characters in UTF-16, high byte first.
    National,
    /// Double-byte characters of the code page, without shifts.
    DoubleByte,
    /// Characters in UTF-8.
    Utf8,
    /// Digits among editing characters.
    Edited {
        /// The most digits.
        digits: u8,
        /// Digits behind the point.
        scale: i8,
        /// Whether it can be negative.
        signed: bool,
        /// Whether its characters are UTF-16.
        national: bool,
    },
    /// One digit a byte.
    Zoned {
        /// Stored digits.
        digits: u8,
        /// Power of ten by which the stored integer is divided; negative: multiplied.
        scale: i8,
        /// Where the sign is, if it has one.
        sign: Option<SignPosition>,
    },
    /// One digit a character of UTF-16.
    NationalZoned {
        /// As in [`Data::Zoned`].
        digits: u8,
        /// As in [`Data::Zoned`].
        scale: i8,
        /// As in [`Data::Zoned`]; always separate.
        sign: Option<SignPosition>,
    },
    /// Two digits a byte.
    Packed {
        /// Stored digits.
        digits: u8,
        /// As in [`Data::Zoned`].
        scale: i8,
        /// Whether it can be negative.
        signed: bool,
        /// Whether the last half-byte is a sign (COMP-3) or a digit (COMP-6).
        sign_nibble: bool,
    },
    /// A binary integer in two's complement.
    Binary {
        /// Digits of the picture; 0 where there is none.
        digits: u8,
        /// As in [`Data::Zoned`].
        scale: i8,
        /// Whether it can be negative.
        signed: bool,
        /// Whether it is in the machine's byte order (COMP-5).
        native: bool,
        /// Whether it may be as large as its bytes allow.
        full: bool,
    },
    /// Mantissa and exponent as text (external floating point); the marks of the item say how.
    External {
        /// Whether its characters are UTF-16.
        national: bool,
    },
    /// Floating point of 4 bytes.
    Float,
    /// Floating point of 8 bytes.
    Double,
    /// Floating point of IEEE 754 in the machine's byte order: binary of 4 or 8 bytes, decimal of 8 or 16.
    Ieee {
        /// Whether it is decimal.
        decimal: bool,
    },
}

/// Where the sign of a zoned number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignPosition {
    /// Over the last digit.
    Trailing,
    /// Over the first digit.
    Leading,
    /// In a byte of its own behind the digits.
    TrailingSeparate,
    /// In a byte of its own before the digits.
    LeadingSeparate,
}

/// The record that an item is in: the outermost group around it.
pub(in crate::decode) fn record_of(items: &[Item], index: usize) -> usize {
    let mut record = index;
    while let Some(parent) = items[record].parent {
        record = parent;
    }
    record
}

/// The tables that an item is inside of, from the inside out.
pub(in crate::decode) fn tables_above(items: &[Item], index: usize) -> Vec<usize> {
    let mut tables = Vec::new();
    let mut above = items[index].parent;
    while let Some(at) = above {
        if items[at].occurs.is_some() {
            tables.push(at);
        }
        above = items[at].parent;
    }
    tables
}

pub(super) fn build(entries: Vec<Entry>, source: &Arc<SourceText>, dialect: &Dialect, faults: &Faults) -> Copybook {
    let mut builder = Builder { items: Vec::new(), entries: Vec::new(), by_name: HashMap::new(), dialect, faults };
    let mut renames = Vec::new();
    let mut roots = builder.tree(entries, &mut renames);
    let mut copybook = Copybook { items: Vec::new(), records: Vec::new(), dialect: dialect.clone(), texts: Vec::new() };
    if roots.is_empty() {
        let help = "a copybook describes a record, like `01 ORDER-REC.` with items below it";
        let fault = Diagnostic::new(source, 0..source.text.len().min(1), "the copybook describes no record");
        faults.push(fault.help(help));
        return copybook;
    }
    builder.inherit(&roots);
    // Level 77 stands beside the records, not in them.
    if roots.iter().any(|&root| builder.items[root].level != 77) {
        for &root in &roots {
            if builder.items[root].level == 77 {
                builder.place(root, 0);
            }
        }
        roots.retain(|&root| builder.items[root].level != 77);
    }
    if roots.iter().any(|&root| builder.items[root].level == 1) {
        for &root in &roots {
            if builder.items[root].level != 1 {
                let fault = builder.items[root].spot.fault("an item stands before the first record (level 01)");
                faults.push(fault);
            }
            builder.place(root, 0);
        }
        builder.redefined_records(&roots);
    } else {
        // Items without a record above them follow one another.
        roots = vec![builder.wrap(roots)];
        builder.place(roots[0], 0);
    }
    for (index, item) in builder.items.iter().enumerate() {
        if let Some(name) = &item.name {
            builder.by_name.entry(name.to_ascii_uppercase()).or_default().push(index);
        }
    }
    builder.counters();
    builder.renames(renames);
    copybook.items = builder.items;
    copybook.records = roots;
    copybook
}

pub(super) struct Builder<'a> {
    pub(super) items: Vec<Item>,
    /// The entry of every item.
    pub(super) entries: Vec<Entry>,
    /// Items by name in upper case, in order; known when all are read.
    pub(super) by_name: HashMap<String, Vec<usize>>,
    pub(super) dialect: &'a Dialect,
    pub(super) faults: &'a Faults,
}

/// An item that holds nothing yet.
fn item(level: u8, name: Option<String>, parent: Option<usize>, spot: Spot) -> Item {
    Item {
        level,
        name,
        parent,
        children: Vec::new(),
        data: None,
        offset: 0,
        length: 0,
        occurs: None,
        redefines: None,
        renames: None,
        blank_when_zero: false,
        justified: false,
        picture: String::new(),
        marks: Vec::new(),
        values: Vec::new(),
        spot,
    }
}

impl Builder<'_> {
    /// Hangs every entry below the nearest one before it with a lower level; answers those that hang below none. Entries
    /// of level 66 are put aside, each with the record that it follows.
    fn tree(&mut self, entries: Vec<Entry>, renames: &mut Vec<(usize, Entry)>) -> Vec<usize> {
        let mut open: Vec<usize> = Vec::new();
        let mut roots = Vec::new();
        for entry in entries {
            if entry.level == 66 {
                match roots.last() {
                    Some(&record) => renames.push((record, entry)),
                    None => self.faults.push(entry.spot.fault("there is no record whose items this could rename")),
                }
                continue;
            }
            let index = self.items.len();
            while open.last().is_some_and(|&last| self.items[last].level >= entry.level || entry.level == 77) {
                open.pop();
            }
            let parent = open.last().copied();
            let sister = parent.and_then(|parent| self.items[parent].children.last());
            if let Some(sister) = sister.map(|&sister| self.items[sister].level)
                && self.dialect.strict_levels
                && sister != entry.level
            {
                let help = "items of one group have one level number; Enterprise COBOL and Micro Focus take others too";
                let message = format!("level {:02} stands in a group of level {sister:02}", entry.level);
                self.faults.push(entry.spot.fault(message).help(help));
            }
            match parent {
                Some(parent) => self.items[parent].children.push(index),
                None => roots.push(index),
            }
            let new = item(entry.level, entry.name.clone(), parent, entry.spot.clone());
            let (blank_when_zero, justified) = (entry.blank_when_zero, entry.justified);
            self.items.push(Item { blank_when_zero, justified, values: entry.values.clone(), ..new });
            self.entries.push(entry);
            open.push(index);
        }
        roots
    }

    /// A group without a name over items that have no record above them.
    fn wrap(&mut self, roots: Vec<usize>) -> usize {
        let index = self.items.len();
        let mut spot = None;
        for &root in &roots {
            self.items[root].parent = Some(index);
            spot.get_or_insert_with(|| self.items[root].spot.clone());
        }
        let Some(spot) = spot else { return index };
        self.items.push(Item { children: roots, ..item(0, None, None, spot.clone()) });
        self.entries.push(Entry::new(0, spot));
        index
    }

    /// USAGE, SIGN and SYNCHRONIZED of a group hold for what is below it; then every elementary item is given its data.
    fn inherit(&mut self, roots: &[usize]) {
        let mut order: Vec<usize> = roots.iter().rev().copied().collect();
        while let Some(index) = order.pop() {
            let above = &self.entries[index];
            let (usage, sign, synchronized) = (above.usage, above.sign, above.synchronized);
            for &child in &self.items[index].children {
                let entry = &mut self.entries[child];
                entry.usage = entry.usage.or(usage);
                entry.sign = entry.sign.or(sign);
                // GnuCOBOL aligns only what says it itself.
                entry.synchronized |= synchronized && self.dialect.alignment != Alignment::Natural;
            }
            order.extend(self.items[index].children.iter().rev());
            if self.items[index].children.is_empty() {
                self.elementary(index);
            } else if let Some((_, spot)) = &self.entries[index].picture {
                let first = self.items[index].children.first().map(|&child| self.items[child].spot.clone());
                let help = "an item with a PICTURE is elementary: check the level numbers behind it";
                let fault = first.unwrap_or(spot.clone()).fault("an item stands below one that has a PICTURE");
                self.faults.push(fault.help(help));
            }
        }
    }

    /// Items of level 66: other names for bytes of their record.
    fn renames(&mut self, entries: Vec<(usize, Entry)>) {
        for (record, entry) in entries {
            let Some((first, last)) = &entry.renames else { continue };
            let (Some(from), Some(to)) = (self.find_in(record, first), self.find_in(record, last)) else { continue };
            let name = entry.name.clone();
            let repeats = [from, to]
                .iter()
                .any(|&index| self.items[index].occurs.is_some() || !tables_above(&self.items, index).is_empty());
            let (start, end) = (self.items[from].offset, self.items[to].offset + self.items[to].length);
            if repeats || end <= start || name.is_none() {
                let help = "RENAMES goes from one item of the record to a later one, and neither is in a table";
                self.faults.push(entry.spot.fault("these items cannot be renamed").help(help));
                continue;
            }
            let whole = &self.items[from];
            let (data, picture) = if from == to { (whole.data, whole.picture.clone()) } else { (None, String::new()) };
            let (blank_when_zero, justified) = (whole.blank_when_zero, whole.justified);
            let new = item(66, name, Some(record), entry.spot.clone());
            // Several items read as the text of all their bytes, as a group does.
            let data = Some(data.unwrap_or(Data::Text));
            let picture = if picture.is_empty() { format!("X({})", end - start) } else { picture };
            let length = end - start;
            let (values, marks) = (entry.values.clone(), if from == to { whole.marks.clone() } else { Vec::new() });
            let new = Item { data, picture, marks, offset: start, length, blank_when_zero, justified, values, ..new };
            self.items.push(Item { renames: Some((from, to)), ..new });
            self.entries.push(entry);
        }
    }
}
