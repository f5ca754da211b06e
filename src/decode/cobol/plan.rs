//! A copybook compiled for reading: every item by slot, its names, and the value at its bytes.

use std::borrow::Cow;
use std::collections::HashMap;

use super::number::{Bad, Number, POWERS, binary, edited, float, packed, value, zoned};
use super::settings::{Framing, Odo, Settings};
use crate::decode::code_page::Unmappable;
use crate::decode::copybook::{Copybook, Data, Item};
use crate::decode::format::Trim;
use crate::decode::json::Digits;
use crate::decode::{CodePage, LayoutRow};
use crate::diagnostic::nearest;
use crate::record::{Decimal, FieldFault, FieldKind, Position, RejectCode, Resolved, Slot, Unresolved, Value};

/// The compiled layout.
pub(super) struct Plan {
    pub(super) items: Vec<Item>,
    pub(super) records: Vec<usize>,
    /// Items by name in upper case.
    names: HashMap<String, Vec<usize>>,
    /// For every item the tables of varying length that it lies behind, so that it moves with them. Empty unless the
    /// settings say that such items move.
    pub(super) moved_by: Vec<Vec<usize>>,
    pub(super) encoding: CodePage,
    pub(super) settings: Settings,
    /// Length of the longest record.
    pub(super) length: usize,
}

impl Plan {
    pub(super) fn new(copybook: Copybook, settings: &Settings) -> Plan {
        let Copybook { items, records } = copybook;
        let mut names: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            if let Some(name) = &item.name {
                names.entry(name.to_uppercase()).or_default().push(index);
            }
        }
        let length = records.iter().map(|&record| items[record].length).max().unwrap_or_default();
        let mut plan = Plan {
            moved_by: vec![Vec::new(); items.len()],
            items,
            records,
            names,
            encoding: settings.encoding.clone(),
            settings: settings.clone(),
            length,
        };
        // A record that ends behind its last element moves what follows a table.
        if settings.odo == Some(Odo::Variable) || settings.framing == Framing::Odo {
            for (table, item) in plan.behind_tables() {
                plan.moved_by[item].push(table);
            }
        }
        plan
    }

    /// Every pair of a table of varying length and an item that lies behind it in the same record.
    pub(super) fn behind_tables(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for (table, varying) in self.items.iter().enumerate() {
            let Some(occurs) = varying.occurs.as_ref().filter(|occurs| occurs.depending.is_some()) else { continue };
            let end = varying.offset + occurs.stride * occurs.max;
            let record = self.record_of(table);
            for (index, item) in self.items.iter().enumerate().skip(table + 1) {
                if item.offset >= end && self.record_of(index) == record && !self.is_below(index, table) {
                    pairs.push((table, index));
                }
            }
        }
        pairs
    }

    pub(super) fn record_of(&self, index: usize) -> usize {
        let mut at = index;
        while let Some(parent) = self.items[at].parent {
            at = parent;
        }
        at
    }

    /// True when `index` is somewhere inside the group `group`.
    fn is_below(&self, index: usize, group: usize) -> bool {
        let mut above = self.items[index].parent;
        while let Some(at) = above {
            if at == group {
                return true;
            }
            above = self.items[at].parent;
        }
        false
    }

    /// The tables around an item, from the outside in.
    pub(super) fn tables_around(&self, index: usize) -> Vec<usize> {
        let mut tables = Vec::new();
        let mut above = self.items[index].parent;
        while let Some(at) = above {
            if self.items[at].occurs.is_some() {
                tables.push(at);
            }
            above = self.items[at].parent;
        }
        tables.reverse();
        tables
    }

    pub(super) fn item(&self, slot: Slot) -> Option<&Item> {
        self.items.get(slot.0 as usize)
    }

    /// The item's name qualified from the outside in, the record's own name left out.
    pub(super) fn path(&self, index: usize) -> String {
        let mut names = Vec::new();
        let mut at = Some(index);
        while let Some(current) = at {
            let item = &self.items[current];
            if item.parent.is_some() || current == index {
                names.extend(item.name.as_deref());
            }
            at = item.parent;
        }
        names.reverse();
        names.join(".")
    }

    pub(super) fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        let unresolved = |reason: String, nearest: Option<String>| Unresolved { reason, nearest };
        let parent = match parent {
            None => None,
            Some(slot) if self.item(slot).is_some() => Some(slot.0 as usize),
            Some(_) => return Err(unresolved("the group belongs to another layout".to_owned(), None)),
        };
        let parts: Vec<String> = name.split('.').map(|part| part.trim().to_uppercase()).collect();
        let last = parts.last().cloned().unwrap_or_default();
        let named = self.names.get(&last).map(Vec::as_slice).unwrap_or_default();
        let qualified: Vec<usize> = named.iter().copied().filter(|&index| self.is_qualified(index, &parts)).collect();
        let below: Vec<usize> =
            qualified.iter().copied().filter(|&index| parent.is_none_or(|group| self.is_below(index, group))).collect();
        let found = match below.as_slice() {
            [one] => *one,
            [] if !qualified.is_empty() => {
                let group = parent.map(|group| self.path(group)).unwrap_or_default();
                return Err(unresolved(format!("`{name}` is not below `{group}`"), None));
            }
            [] => {
                let known = self.items.iter().filter_map(|item| item.name.as_deref());
                let nearest = nearest(&last, known).map(str::to_owned);
                return Err(unresolved(format!("the copybook has no `{name}`"), nearest));
            }
            several => {
                let paths: Vec<_> = several.iter().map(|&index| format!("`{}`", self.qualified_path(index))).collect();
                return Err(unresolved(format!("`{name}` is ambiguous: it may be {}", paths.join(" or ")), None));
            }
        };
        let inside = self.tables_around(found).into_iter().rfind(|table| Some(*table) != parent);
        let inside = inside.filter(|&table| parent.is_none_or(|group| self.is_below(table, group)));
        if let Some(table) = inside {
            let table = self.items[table].name.as_deref().unwrap_or("FILLER");
            let reason = format!("`{name}` is inside the table `{table}`: read it with `each` from `{table}`");
            return Err(unresolved(reason, None));
        }
        let slot = Slot(u32::try_from(found).map_err(|_| unresolved("too many items".to_owned(), None))?);
        Ok(Resolved { slot, kind: self.kind(found), repeats: self.items[found].occurs.is_some() })
    }

    /// The path with the record's name, where it takes that to be unique.
    pub(super) fn qualified_path(&self, index: usize) -> String {
        match (self.records.len(), self.items[self.record_of(index)].name.as_deref()) {
            (2.., Some(record)) => format!("{record}.{}", self.path(index)),
            _ => self.path(index),
        }
    }

    /// True when the groups around an item bear the names before the last, in order, perhaps with others between.
    pub(super) fn is_qualified(&self, index: usize, parts: &[String]) -> bool {
        let mut above = self.items[index].parent;
        for wanted in parts.iter().rev().skip(1) {
            loop {
                let Some(at) = above else { return false };
                above = self.items[at].parent;
                if self.items[at].name.as_ref().is_some_and(|name| name.to_uppercase() == *wanted) {
                    break;
                }
            }
        }
        true
    }

    fn kind(&self, index: usize) -> FieldKind {
        let item = &self.items[index];
        let number = |digits: u8, scale: i8, signed: bool| {
            // Zeros that a P stands for are digits of the number too.
            let zeros = scale.min(0).unsigned_abs();
            let scale = scale.max(0).unsigned_abs();
            FieldKind::Number { digits: digits.saturating_add(zeros).max(scale), scale, signed }
        };
        match item.data {
            None => FieldKind::Group,
            Some(Data::Text) => FieldKind::Text { max_chars: u32::try_from(item.length).ok() },
            Some(Data::Edited { digits, scale, signed } | Data::Packed { digits, scale, signed, .. }) => {
                number(digits, scale, signed)
            }
            Some(Data::Zoned { digits, scale, sign }) => number(digits, scale, sign.is_some()),
            Some(Data::Binary { digits, scale, signed, native }) => {
                // COMP-5 holds whatever its bytes hold.
                let by_size = match item.length {
                    2 => 5,
                    4 => 10,
                    _ if signed => 19,
                    _ => 20,
                };
                number(if native { by_size } else { digits }, scale, signed)
            }
            Some(Data::Float | Data::Double) => FieldKind::Float,
        }
    }

    /// The value of an elementary item's bytes.
    pub(super) fn value<'a>(&self, item: &Item, bytes: &'a [u8]) -> Result<Value<'a>, FieldFault> {
        let Some(data) = item.data else { return self.text(item, bytes).map(Value::Text) };
        match data {
            Data::Text => self.text(item, bytes).map(Value::Text),
            Data::Float | Data::Double => {
                float(bytes, self.settings.float).map(Value::Float).map_err(|bad| self.fault(item, bytes, bad))
            }
            _ => match self.number(data, bytes) {
                Ok((number, scale)) => self.decimal(item, bytes, number, scale).map(Value::Decimal),
                Err(bad) if item.blank_when_zero && (bad == Bad::Blank || self.is_blank(bytes)) => {
                    Ok(Value::Decimal(Decimal::ZERO))
                }
                Err(bad) => Err(self.fault(item, bytes, bad)),
            },
        }
    }

    /// The number in the bytes of an item that is one, and the power of ten it is divided by.
    #[inline]
    pub(super) fn number(&self, data: Data, bytes: &[u8]) -> Result<(Number, i8), Bad> {
        match data {
            Data::Zoned { scale, sign, .. } => {
                let mut text = Digits::new();
                let negative = zoned(bytes, sign, self.encoding.family(), &mut text)?;
                Ok((value(negative, &text), scale))
            }
            Data::Packed { digits, scale, signed, sign_nibble } => {
                let mut text = Digits::new();
                let negative = packed(bytes, digits, signed, sign_nibble, &mut text)?;
                Ok((value(negative, &text), scale))
            }
            Data::Binary { digits, scale, signed, native } => {
                Ok((binary(bytes, digits, signed, native, self.settings.comp5)?, scale))
            }
            Data::Edited { digits, scale, signed } => match self.encoding.decode(bytes) {
                Ok(text) => Ok((edited(&text, digits, scale, signed)?, scale)),
                Err(Unmappable { index, .. }) => Err(Bad::Digit(index)),
            },
            Data::Text | Data::Float | Data::Double => Err(Bad::Digit(0)),
        }
    }

    fn decimal(&self, item: &Item, bytes: &[u8], number: Number, scale: i8) -> Result<Decimal, FieldFault> {
        let too_large = || self.fault(item, bytes, Bad::Overflow);
        let zeros = usize::from(scale.min(0).unsigned_abs());
        let magnitude = number.magnitude.checked_mul(POWERS[zeros]).ok_or_else(too_large)?;
        let units = i128::try_from(magnitude).map_err(|_| too_large())?;
        let units = if number.negative { -units } else { units };
        Decimal::new(units, scale.max(0).unsigned_abs()).map_err(|_| too_large())
    }

    /// The text of an item's bytes; low values throughout are a fault, because they are no text.
    pub(super) fn text<'a>(&self, item: &Item, bytes: &'a [u8]) -> Result<Cow<'a, str>, FieldFault> {
        let trimmed = self.trim().apply(bytes, self.encoding.blank());
        if bytes.first() == Some(&0) && bytes.iter().all(|byte| *byte == 0) {
            return Err(self.fault(item, bytes, Bad::Blank));
        }
        self.encoding.decode(trimmed).map_err(|unmappable| self.unmappable(item, unmappable))
    }

    pub(super) fn trim(&self) -> Trim {
        self.settings.trim
    }

    /// True for blanks or low values throughout.
    pub(super) fn is_blank(&self, bytes: &[u8]) -> bool {
        let blank = self.encoding.blank();
        bytes.iter().all(|byte| *byte == blank) || bytes.iter().all(|byte| *byte == 0)
    }

    /// What an item is, for messages.
    fn expected(&self, item: &Item) -> String {
        match item.data {
            Some(Data::Float | Data::Double) => item.picture.clone(),
            None => "a group".to_owned(),
            Some(_) => format!("PIC {}", item.picture),
        }
    }

    /// The fault of an item whose bytes are no value.
    #[cold]
    pub(super) fn fault(&self, item: &Item, bytes: &[u8], bad: Bad) -> FieldFault {
        let hex = hex(bytes);
        let nibbles = matches!(item.data, Some(Data::Packed { .. }));
        let at = |index: usize| {
            let byte = bytes.get(index).copied().unwrap_or_default();
            format!("{byte:02X} at byte {} of {hex}", index + 1)
        };
        let blank = bad != Bad::NotFinite && self.is_blank(bytes) && !bytes.is_empty();
        let (code, found) = match bad {
            _ if blank && bytes.first() == Some(&0) => (RejectCode::Blank, format!("low values ({hex})")),
            _ if blank => (RejectCode::Blank, format!("blanks ({hex})")),
            Bad::Blank => (RejectCode::Blank, format!("no digits ({hex})")),
            Bad::Digit(index) if nibbles => (RejectCode::BadDigit, format!("a digit above 9 in {}", at(index))),
            Bad::Digit(index) => (RejectCode::BadDigit, format!("no digit: {}", at(index))),
            Bad::Sign(index) if nibbles => {
                let sign = bytes.get(index).copied().unwrap_or_default() & 15;
                (RejectCode::BadSign, format!("sign {sign:X} in {}", at(index)))
            }
            Bad::Sign(index) => (RejectCode::BadSign, format!("no sign that its picture allows: {}", at(index))),
            Bad::Overflow => (RejectCode::Overflow, format!("a number that its picture cannot hold ({hex})")),
            Bad::NotFinite => (RejectCode::BadType, format!("no finite number ({hex})")),
        };
        FieldFault { code, expected: self.expected(item), found }
    }

    #[cold]
    pub(super) fn unmappable(&self, item: &Item, unmappable: Unmappable) -> FieldFault {
        FieldFault {
            code: RejectCode::Unmappable,
            expected: format!("{} in {}", self.expected(item), self.encoding.name()),
            found: format!("byte {:02X} after {} bytes of the text", unmappable.byte, unmappable.index),
        }
    }

    /// The fault of an item that the record ends before.
    #[cold]
    pub(super) fn too_short(&self, item: &Item, offset: usize, record: usize) -> FieldFault {
        FieldFault {
            code: RejectCode::RecordTooShort,
            expected: format!("{} at bytes {} to {}", self.expected(item), offset + 1, offset + item.length),
            found: format!("a record of {record} bytes"),
        }
    }

    pub(super) fn describe(&self) -> Vec<LayoutRow> {
        let mut rows = Vec::new();
        for &record in &self.records {
            self.describe_below(record, 0, &mut rows);
        }
        rows
    }

    fn describe_below(&self, index: usize, depth: usize, rows: &mut Vec<LayoutRow>) {
        let item = &self.items[index];
        let inner = if item.level == 0 { depth } else { depth + 1 };
        if item.level != 0 {
            let name_of = |index: usize| self.items[index].name.clone().unwrap_or_else(|| "FILLER".to_owned());
            let occurs = item.occurs.as_ref().map(|occurs| match occurs.depending {
                Some(counter) => format!("{}-{} by {}", occurs.min, occurs.max, name_of(counter)),
                None => occurs.max.to_string(),
            });
            rows.push(LayoutRow {
                depth,
                level: Some(item.level),
                name: name_of(index),
                picture: item.picture.clone(),
                kind: match self.kind(index) {
                    FieldKind::Group => "group".to_owned(),
                    FieldKind::Number { digits, scale: 0, .. } => format!("integer({digits})"),
                    FieldKind::Number { digits, scale, .. } => format!("decimal({digits},{scale})"),
                    FieldKind::Float => "float".to_owned(),
                    FieldKind::Text { .. } | FieldKind::Bytes { .. } => "text".to_owned(),
                },
                offset: Some(item.offset),
                length: Some(item.length),
                occurs,
                redefines: item.redefines.map(name_of),
            });
        }
        for &child in &item.children {
            self.describe_below(child, inner, rows);
        }
    }

    /// Whether a record that ends early counts as filled up with blanks, as LINE SEQUENTIAL files are read: only lines
    /// have a number.
    pub(super) fn pads(&self, position: &Position) -> bool {
        position.line.is_some() && self.settings.pad_lines
    }

    /// True when what is behind the layout in a record is only padding.
    pub(super) fn is_padding(&self, bytes: &[u8]) -> bool {
        let blank = self.encoding.blank();
        bytes.iter().all(|byte| *byte == blank || *byte == 0)
    }
}

/// Bytes in hex, as many as help a person.
fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 24;
    let mut text: String = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02X}")).collect();
    if bytes.len() > SHOWN {
        text.push_str("...");
    }
    text
}
