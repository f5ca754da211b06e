//! Where every item lies: entries become a tree with offsets and lengths.
//!
//! A table takes the room of its largest number of elements. Items of several records (level 01) all begin at offset 0:
//! the records of a file share one record area.

use std::ops::Range;
use std::sync::Arc;

use super::parser::{Entry, Usage};
use super::picture::Category;
use crate::decode::MAX_RECORD;
use crate::diagnostic::{Diagnostic, Faults, SourceText};

/// A copybook with every item in its place.
#[derive(Clone, Debug)]
pub struct Copybook {
    /// All items, each behind the group that holds it.
    pub items: Vec<Item>,
    /// Indexes of the records: the items of level 01, or of the lowest level where there is none.
    pub records: Vec<usize>,
}

impl Copybook {
    /// Records of text items, as a file of fixed columns has them.
    pub(in crate::decode) fn of_columns(records: Vec<ColumnRecord>) -> Copybook {
        let mut copybook = Copybook { items: Vec::new(), records: Vec::new() };
        for ColumnRecord { name, columns } in records {
            let record = copybook.items.len();
            let length = columns.iter().map(|(_, offset, length)| offset + length).max().unwrap_or_default();
            let item = |name: String, offset: usize, length: usize| Item {
                level: 1,
                name: Some(name),
                parent: None,
                children: Vec::new(),
                data: None,
                offset,
                length,
                occurs: None,
                redefines: None,
                blank_when_zero: false,
                picture: String::new(),
                span: 0..0,
            };
            copybook.records.push(record);
            copybook.items.push(item(name, 0, length));
            for (name, offset, length) in columns {
                let child = copybook.items.len();
                copybook.items[record].children.push(child);
                let picture = format!("X({length})");
                let column = item(name, offset, length);
                copybook.items.push(Item { level: 5, parent: Some(record), data: Some(Data::Text), picture, ..column });
            }
        }
        copybook
    }

    /// The copybook with the records of another behind its own.
    pub(in crate::decode) fn join(mut self, other: Copybook) -> Copybook {
        let shift = self.items.len();
        self.records.extend(other.records.iter().map(|record| record + shift));
        self.items.extend(other.items.into_iter().map(|mut item| {
            item.parent = item.parent.map(|parent| parent + shift);
            item.redefines = item.redefines.map(|target| target + shift);
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
        let root_of = |mut at: usize, items: &[Item]| {
            while let Some(parent) = items[at].parent {
                at = parent;
            }
            at
        };
        for index in 0..self.items.len() {
            if root_of(index, &self.items) != record {
                // Nobody finds an item by name that has none.
                self.items[index].name = None;
            }
        }
        self.records = vec![record];
        self
    }
}

/// A record of text items in fixed columns.
pub(in crate::decode) struct ColumnRecord {
    /// Its name.
    pub(in crate::decode) name: String,
    /// The items: name, offset, length.
    pub(in crate::decode) columns: Vec<(String, usize, usize)>,
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
    /// What it holds, in order; empty for elementary items.
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
    /// True for numbers that are blank when they are zero.
    pub blank_when_zero: bool,
    /// Picture and usage for people: `S9(9)V99 COMP-3`.
    pub picture: String,
    /// Its place in the copybook.
    pub span: Range<usize>,
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
    /// Characters.
    Text,
    /// Digits among editing characters.
    Edited {
        /// The most digits.
        digits: u8,
        /// Digits behind the point.
        scale: i8,
        /// Whether it can be negative.
        signed: bool,
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
        /// Digits of the picture.
        digits: u8,
        /// As in [`Data::Zoned`].
        scale: i8,
        /// Whether it can be negative.
        signed: bool,
        /// COMP-5: in the machine's byte order, and as large as its bytes allow.
        native: bool,
    },
    /// Floating point of 4 bytes.
    Float,
    /// Floating point of 8 bytes.
    Double,
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

/// The most digits of a binary number: what 8 bytes hold.
const MAX_BINARY_DIGITS: u8 = 18;

pub(super) fn build(entries: Vec<Entry>, source: &Arc<SourceText>, faults: &Faults) -> Copybook {
    let mut builder = Builder { items: Vec::new(), entries: Vec::new(), source, faults };
    let mut roots = builder.tree(entries);
    if roots.is_empty() {
        let help = "a copybook describes a record, like `01 ORDER-REC.` with items below it";
        faults
            .push(Diagnostic::new(source, 0..source.text.len().min(1), "the copybook describes no record").help(help));
        return Copybook { items: Vec::new(), records: Vec::new() };
    }
    builder.inherit(&roots);
    // Level 77 stands beside the records, not in them.
    if roots.iter().any(|&root| builder.items[root].level != 77) {
        roots.retain(|&root| builder.items[root].level != 77);
    }
    if roots.iter().any(|&root| builder.items[root].level == 1) {
        for &root in &roots {
            if builder.items[root].level != 1 {
                let span = builder.items[root].span.clone();
                faults.push(Diagnostic::new(source, span, "an item stands before the first record (level 01)"));
            }
            builder.place(root, 0);
        }
    } else {
        // Items without a record above them follow one another.
        roots = vec![builder.wrap(roots)];
        builder.place(roots[0], 0);
    }
    builder.counters();
    Copybook { items: builder.items, records: roots }
}

struct Builder<'a> {
    items: Vec<Item>,
    /// The entry of every item.
    entries: Vec<Entry>,
    source: &'a Arc<SourceText>,
    faults: &'a Faults,
}

impl Builder<'_> {
    fn fault(&self, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.source, span, message)
    }

    /// Hangs every entry below the nearest one before it with a lower level; answers those that hang below none.
    fn tree(&mut self, entries: Vec<Entry>) -> Vec<usize> {
        let mut open: Vec<usize> = Vec::new();
        let mut roots = Vec::new();
        for entry in entries {
            let index = self.items.len();
            while open.last().is_some_and(|&last| self.items[last].level >= entry.level || entry.level == 77) {
                open.pop();
            }
            let parent = open.last().copied();
            match parent {
                Some(parent) => self.items[parent].children.push(index),
                None => roots.push(index),
            }
            self.items.push(Item {
                level: entry.level,
                name: entry.name.clone(),
                parent,
                children: Vec::new(),
                data: None,
                offset: 0,
                length: 0,
                occurs: None,
                redefines: None,
                blank_when_zero: entry.blank_when_zero,
                picture: String::new(),
                span: entry.span.clone(),
            });
            self.entries.push(entry);
            open.push(index);
        }
        roots
    }

    /// A group without a name over items that have no record above them.
    fn wrap(&mut self, roots: Vec<usize>) -> usize {
        let index = self.items.len();
        for &root in &roots {
            self.items[root].parent = Some(index);
        }
        let span = roots.first().map_or(0..0, |&root| self.items[root].span.clone());
        self.items.push(Item {
            level: 0,
            name: None,
            parent: None,
            children: roots,
            data: None,
            offset: 0,
            length: 0,
            occurs: None,
            redefines: None,
            blank_when_zero: false,
            picture: String::new(),
            span,
        });
        self.entries.push(Entry::default());
        index
    }

    /// USAGE and SIGN of a group hold for what is below it; then every elementary item is given its data.
    fn inherit(&mut self, roots: &[usize]) {
        let mut order: Vec<usize> = roots.iter().rev().copied().collect();
        while let Some(index) = order.pop() {
            let (usage, sign) = (self.entries[index].usage, self.entries[index].sign);
            for &child in &self.items[index].children {
                let entry = &mut self.entries[child];
                entry.usage = entry.usage.or(usage);
                entry.sign = entry.sign.or(sign);
            }
            order.extend(self.items[index].children.iter().rev());
            if self.items[index].children.is_empty() {
                self.elementary(index);
            } else if let Some((_, span)) = &self.entries[index].picture {
                let first = self.items[index].children.first().map(|&child| self.items[child].span.clone());
                let help = "an item with a PICTURE is elementary: check the level numbers behind it";
                let fault = self.fault(first.unwrap_or(span.clone()), "an item stands below one that has a PICTURE");
                self.faults.push(fault.help(help));
            }
        }
    }

    fn elementary(&mut self, index: usize) {
        let entry = &self.entries[index];
        let usage = entry.usage.unwrap_or(Usage::Display);
        let name = entry.name.as_deref().unwrap_or("FILLER");
        let Some((picture, span)) = &entry.picture else {
            let (data, length, words) = match usage {
                Usage::Float => (Data::Float, 4, "COMP-1"),
                Usage::Double => (Data::Double, 8, "COMP-2"),
                _ if entry.broken => return,
                _ => {
                    let help = "give it a PICTURE, or put items with higher level numbers below it";
                    self.faults.push(self.fault(entry.span.clone(), format!("`{name}` has no PICTURE")).help(help));
                    return;
                }
            };
            let item = &mut self.items[index];
            (item.data, item.length, item.picture) = (Some(data), length, words.to_owned());
            return;
        };
        let refuse = |message: String| self.faults.push(self.fault(span.clone(), message));
        let words = match usage {
            Usage::Display => "",
            Usage::Binary => " COMP",
            Usage::Native => " COMP-5",
            Usage::Packed => " COMP-3",
            Usage::PackedUnsigned => " COMP-6",
            Usage::Float | Usage::Double => return refuse(format!("`{name}` is floating point and has no PICTURE")),
        };
        let (data, length) = match (picture.category, usage) {
            (Category::Text, Usage::Display) => (Data::Text, picture.size),
            (Category::Edited { digits, scale, signed }, Usage::Display) => {
                (Data::Edited { digits, scale, signed }, picture.size)
            }
            (Category::Numeric { digits, scale, signed }, Usage::Display) => {
                let sign = signed.then_some(match entry.sign {
                    Some(super::parser::Sign { leading: true, separate: true }) => SignPosition::LeadingSeparate,
                    Some(super::parser::Sign { leading: true, separate: false }) => SignPosition::Leading,
                    Some(super::parser::Sign { leading: false, separate: true }) => SignPosition::TrailingSeparate,
                    _ => SignPosition::Trailing,
                });
                let separate = matches!(sign, Some(SignPosition::LeadingSeparate | SignPosition::TrailingSeparate));
                (Data::Zoned { digits, scale, sign }, picture.size + usize::from(separate))
            }
            (Category::Numeric { digits, scale, signed }, Usage::Packed) => {
                (Data::Packed { digits, scale, signed, sign_nibble: true }, usize::from(digits) / 2 + 1)
            }
            (Category::Numeric { digits, scale, signed }, Usage::PackedUnsigned) => {
                if signed {
                    return refuse(format!("`{name}` is COMP-6 and cannot be signed"));
                }
                (Data::Packed { digits, scale, signed, sign_nibble: false }, usize::from(digits).div_ceil(2))
            }
            (Category::Numeric { digits, scale, signed }, Usage::Binary | Usage::Native) => {
                let length = match digits {
                    1..=4 => 2,
                    5..=9 => 4,
                    10..=MAX_BINARY_DIGITS => 8,
                    _ => return refuse(format!("`{name}` is binary and has more than {MAX_BINARY_DIGITS} digits")),
                };
                (Data::Binary { digits, scale, signed, native: usage == Usage::Native }, length)
            }
            _ => return refuse(format!("`{name}` is{words} and needs a PICTURE of `9`, `S`, `V` and `P`")),
        };
        let text = format!("{}{words}{}", picture.text, sign_words(entry));
        // A number whose digits are all suppressed is blank when it is zero.
        let suppressed = matches!(data, Data::Edited { .. }) && !picture.text.contains('9');
        let item = &mut self.items[index];
        (item.data, item.length, item.picture) = (Some(data), length, text);
        item.blank_when_zero |= suppressed;
    }

    /// Gives an item and all below it their places; answers the bytes that all its occurrences take.
    fn place(&mut self, index: usize, offset: usize) -> usize {
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
        // Every element of a table begins as well aligned as the first.
        let alignment = self.alignment_within(index);
        let stride = length.next_multiple_of(alignment.max(1));
        if self.items[index].parent.is_none() {
            self.faults.push(self.fault(clause.span.clone(), "a record cannot occur more than once"));
        }
        self.items[index].occurs = Some(Occurs { min: clause.min, max: clause.max, stride, depending: None });
        self.bounded(index, stride.saturating_mul(clause.max))
    }

    /// Holds sizes within what a record may have, so that no sum overflows.
    fn bounded(&self, index: usize, length: usize) -> usize {
        if length <= MAX_RECORD {
            return length;
        }
        let item = &self.items[index];
        let help = format!("a record may have {MAX_RECORD} bytes");
        let name = item.name.as_deref().unwrap_or("FILLER");
        let fault = self.fault(item.span.clone(), format!("`{name}` takes {length} bytes"));
        // The groups above would say the same again.
        if item.children.iter().all(|&child| self.items[child].length <= MAX_RECORD) {
            self.faults.push(fault.help(help));
        }
        MAX_RECORD
    }

    /// The item that a child redefines: the nearest of that name before it in the same group.
    fn redefined(&self, child: usize, children: &[usize]) -> Option<usize> {
        let (name, span) = self.entries[child].redefines.as_ref()?;
        let position = children.iter().position(|&other| other == child).unwrap_or_default();
        let before = children[..position].iter().rev();
        let same = |other: &&usize| self.items[**other].name.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(name));
        let found = before.copied().find(|other| same(&other));
        if found.is_none() {
            let help = "REDEFINES names an item before it in the same group";
            self.faults.push(self.fault(span.clone(), format!("there is no `{name}` to redefine here")).help(help));
        }
        found
    }

    /// Bytes that SYNCHRONIZED leaves free before an item that would begin at `offset`. They come before the whole
    /// group whose first item is to be aligned.
    fn slack(&self, index: usize, offset: usize) -> usize {
        let mut first = index;
        while let Some(&child) = self.items[first].children.first() {
            first = child;
        }
        let alignment = self.alignment(first);
        offset.next_multiple_of(alignment) - offset
    }

    /// What an elementary item's offset must be a multiple of (Enterprise COBOL: halfword, fullword; COMP-2 doubleword).
    fn alignment(&self, index: usize) -> usize {
        if !self.entries[index].synchronized {
            return 1;
        }
        match (self.items[index].data, self.items[index].length) {
            (Some(Data::Binary { .. }), 2) => 2,
            (Some(Data::Binary { .. } | Data::Float), _) => 4,
            (Some(Data::Double), _) => 8,
            _ => 1,
        }
    }

    fn alignment_within(&self, index: usize) -> usize {
        let below = self.items[index].children.iter().map(|&child| self.alignment_within(child)).max();
        below.unwrap_or_else(|| self.alignment(index))
    }

    /// Finds the counters of tables of varying length.
    fn counters(&mut self) {
        for index in 0..self.items.len() {
            let clause = self.entries[index].occurs.as_ref();
            let Some((path, span)) = clause.and_then(|clause| clause.depending.clone()) else { continue };
            let named = |item: &Item, name: &str| item.name.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(name));
            let matches = |&candidate: &usize| {
                let mut above = Some(candidate);
                path.iter().all(|name| {
                    while let Some(at) = above {
                        above = self.items[at].parent;
                        if named(&self.items[at], name) {
                            return true;
                        }
                        if at == candidate {
                            return false;
                        }
                    }
                    false
                })
            };
            let name = path.first().cloned().unwrap_or_default();
            // The nearest one before the table is the one of the same record.
            let Some(counter) = (0..index).rev().find(matches) else {
                let help = "the counter must stand before the table, outside of it";
                self.faults.push(self.fault(span, format!("there is no counter `{name}` before the table")).help(help));
                continue;
            };
            let whole = match self.items[counter].data {
                Some(Data::Zoned { scale, .. } | Data::Packed { scale, .. } | Data::Binary { scale, .. }) => scale <= 0,
                _ => false,
            };
            let shares_tables = self.tables_above(counter).iter().all(|table| self.tables_above(index).contains(table));
            if !whole || !shares_tables || self.items[counter].occurs.is_some() {
                self.faults.push(self.fault(span, format!("`{name}` is no counter: it must be one whole number")));
                continue;
            }
            if let Some(occurs) = &mut self.items[index].occurs {
                occurs.depending = Some(counter);
            }
        }
    }

    /// The tables that an item is inside of, from the inside out.
    fn tables_above(&self, index: usize) -> Vec<usize> {
        let mut tables = Vec::new();
        let mut above = self.items[index].parent;
        while let Some(at) = above {
            if self.items[at].occurs.is_some() {
                tables.push(at);
            }
            above = self.items[at].parent;
        }
        tables
    }
}

fn sign_words(entry: &Entry) -> &'static str {
    let signed = matches!(&entry.picture, Some((p, _)) if matches!(p.category, Category::Numeric { signed: true, .. }));
    let display = matches!(entry.usage, None | Some(Usage::Display));
    match entry.sign {
        Some(sign) if signed && display => match (sign.leading, sign.separate) {
            (true, true) => " SIGN LEADING SEPARATE",
            (true, false) => " SIGN LEADING",
            (false, true) => " SIGN TRAILING SEPARATE",
            (false, false) => "",
        },
        _ => "",
    }
}
