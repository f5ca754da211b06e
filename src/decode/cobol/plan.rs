//! A copybook compiled for reading: every item by slot, its names, and the value at its bytes.

use std::borrow::Cow;
use std::collections::HashMap;

use super::edit::unedit;
use super::moving::Moving;
use super::number::{
    Bad, DecimalFloat, Editing, Number, POWERS, binary, decimal_float, external, float, packed, value, zoned,
};
use super::reading::{Overpunch, Zone};
use super::settings::{ByteOrder, FloatFormat, Settings};
use crate::decode::CodePage;
use crate::decode::code_page::Unmappable;
use crate::decode::copybook::{Copybook, Data, EditMark, Item, record_of, tables_above};
use crate::decode::format::Trim;
use crate::decode::json::Digits;
use crate::diagnostic::nearest;
use crate::record::{Decimal, FieldFault, FieldKind, Position, Resolved, Slot, Unresolved, Value};

/// The compiled layout.
pub(super) struct Plan {
    pub(super) items: Vec<Item>,
    pub(super) records: Vec<usize>,
    /// Items by name in upper case.
    names: HashMap<String, Vec<usize>>,
    /// For every item whether it moves with the number of elements of tables. None does unless the settings say that
    /// items behind a table of varying length move.
    pub(super) moves: Vec<bool>,
    /// For every item whether it is, or has below it, a table of varying length.
    pub(super) varies: Vec<bool>,
    /// What else there is to know of what moves.
    pub(super) moving: Moving,
    /// For every item the tables around it, from the outside in.
    around: Vec<Vec<usize>>,
    /// Counters whose values are not the numbers of elements, with what they stand for.
    pub(super) counter_maps: HashMap<usize, Vec<(String, usize)>>,
    /// For items that share bytes: the field that tells whether they are meant, and its values.
    pub(super) rules: HashMap<usize, Rule>,
    /// For every item those around it, itself included, that a rule may exclude.
    pub(super) guards: Vec<Vec<usize>>,
    pub(super) encoding: CodePage,
    pub(super) zone: Zone,
    pub(super) editing: Editing,
    pub(super) float: FloatFormat,
    pub(super) native: ByteOrder,
    /// Paths of the texts that the copybook copies.
    pub(super) copied: Vec<String>,
    pub(super) settings: Settings,
    /// Length of the longest record.
    pub(super) length: usize,
}

/// When an item that shares its bytes with others is the one that is meant.
pub(super) enum Rule {
    /// When this field has one of these values.
    When(usize, Vec<String>),
    /// When the rule of none of these items holds.
    Else(Vec<usize>),
}

impl Plan {
    pub(super) fn new(copybook: Copybook, settings: &Settings) -> Plan {
        let Copybook { items, records, dialect, texts } = copybook;
        let mut names: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, item) in items.iter().enumerate() {
            let root = record_of(&items, index);
            // What is in no record (another one was chosen; level 77) is not found by name.
            if let Some(name) = item.name.as_ref().filter(|_| records.contains(&root)) {
                names.entry(name.to_uppercase()).or_default().push(index);
            }
        }
        let (point, grouping) = if dialect.decimal_comma { (',', '.') } else { ('.', ',') };
        let around = (0..items.len()).map(|index| tables_above(&items, index).into_iter().rev().collect()).collect();
        let length = records.iter().map(|&record| items[record].length).max().unwrap_or_default();
        let moving = Moving::of(&items, &records);
        let moves = moving.by.iter().map(|by| by.is_some() && settings.moves_items()).collect();
        Plan {
            moves,
            varies: moving.varies.clone(),
            moving,
            around,
            counter_maps: HashMap::new(),
            rules: HashMap::new(),
            guards: vec![Vec::new(); items.len()],
            zone: settings.reading.zone(settings.encoding.family()),
            editing: Editing { point, grouping, currency: dialect.currency },
            float: settings.float_format(),
            native: settings.native_order(),
            copied: texts,
            items,
            records,
            names,
            encoding: settings.encoding.clone(),
            settings: settings.clone(),
            length,
        }
    }

    pub(super) fn record_of(&self, index: usize) -> usize {
        record_of(&self.items, index)
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
    pub(super) fn tables_around(&self, index: usize) -> &[usize] {
        self.around.get(index).map(Vec::as_slice).unwrap_or_default()
    }

    /// True when a rule may exclude an item.
    #[inline]
    pub(super) fn is_guarded(&self, index: usize) -> bool {
        self.guards.get(index).is_some_and(|guards| !guards.is_empty())
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
        let qualified = self.named(name);
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
                let last = name.rsplit('.').next().unwrap_or_default().trim();
                let nearest = nearest(last, known).map(str::to_owned);
                return Err(unresolved(format!("the copybook has no `{name}`"), nearest));
            }
            several => {
                let paths: Vec<_> = several.iter().map(|&index| format!("`{}`", self.qualified_path(index))).collect();
                return Err(unresolved(format!("`{name}` is ambiguous: it may be {}", paths.join(" or ")), None));
            }
        };
        let inside = self.tables_around(found).iter().copied().rfind(|table| Some(*table) != parent);
        let inside = inside.filter(|&table| parent.is_none_or(|group| self.is_below(table, group)));
        if let Some(table) = inside {
            let table = self.items[table].name.as_deref().unwrap_or("FILLER");
            let reason = format!("`{name}` is inside the table `{table}`: read it with `each` from `{table}`");
            return Err(unresolved(reason, None));
        }
        let slot = Slot(u32::try_from(found).map_err(|_| unresolved("too many items".to_owned(), None))?);
        Ok(Resolved { slot, kind: self.kind(found), repeats: self.items[found].occurs.is_some() })
    }

    /// The items of a name, qualified from the outside in.
    pub(super) fn named(&self, name: &str) -> Vec<usize> {
        let parts: Vec<String> = name.split('.').map(|part| part.trim().to_uppercase()).collect();
        let last = parts.last().cloned().unwrap_or_default();
        let named = self.names.get(&last).map(Vec::as_slice).unwrap_or_default();
        named.iter().copied().filter(|&index| self.is_qualified(index, &parts)).collect()
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

    pub(super) fn kind(&self, index: usize) -> FieldKind {
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
            Some(Data::National | Data::DoubleByte) => {
                FieldKind::Text { max_chars: u32::try_from(item.length / 2).ok() }
            }
            Some(Data::Utf8) => FieldKind::Text { max_chars: u32::try_from(item.length).ok() },
            Some(Data::Edited { digits, scale, signed, .. } | Data::Packed { digits, scale, signed, .. }) => {
                number(digits, scale, signed)
            }
            Some(Data::Zoned { digits, scale, sign } | Data::NationalZoned { digits, scale, sign }) => {
                number(digits, scale, sign.is_some())
            }
            Some(Data::Binary { digits, scale, signed, full, .. }) => {
                // It may hold whatever its bytes hold.
                const BY_LENGTH: [u8; 9] = [0, 3, 5, 8, 10, 13, 15, 17, 20];
                let by_size = BY_LENGTH.get(item.length).copied().unwrap_or(38);
                let by_size = if signed && item.length == 8 { 19 } else { by_size };
                number(if full { by_size } else { digits }, scale, signed)
            }
            Some(Data::Float | Data::Double | Data::Ieee { .. } | Data::External { .. }) => FieldKind::Float,
        }
    }

    /// The value of an elementary item's bytes.
    pub(super) fn value<'a>(&self, item: &Item, bytes: &'a [u8]) -> Result<Value<'a>, FieldFault> {
        let Some(data) = item.data else { return self.text(item, bytes).map(Value::Text) };
        match data {
            Data::Text | Data::National | Data::DoubleByte | Data::Utf8 => self.text(item, bytes).map(Value::Text),
            Data::Ieee { decimal: true } | Data::External { .. } => {
                let number = self.decimal_float(item, bytes).map_err(|bad| self.fault(item, bytes, bad))?;
                let scale = i8::try_from(-number.exponent);
                let own = Number { negative: number.negative, magnitude: number.coefficient };
                match scale {
                    _ if own.magnitude == 0 => Ok(Value::Decimal(Decimal::ZERO)),
                    Ok(scale @ -38..=38) => self.decimal(item, bytes, own, scale).map(Value::Decimal),
                    _ => Err(self.fault(item, bytes, Bad::Overflow)),
                }
            }
            Data::Ieee { decimal: false } => {
                float(bytes, self.ieee()).map(Value::Float).map_err(|bad| self.fault(item, bytes, bad))
            }
            Data::Float | Data::Double => {
                float(bytes, self.float).map(Value::Float).map_err(|bad| self.fault(item, bytes, bad))
            }
            _ => match self.number(data, &item.marks, bytes) {
                Ok((number, scale)) => self.decimal(item, bytes, number, scale).map(Value::Decimal),
                Err(bad) if self.stands_for_zero(item, bytes, bad) => Ok(Value::Decimal(Decimal::ZERO)),
                Err(bad) => Err(self.fault(item, bytes, bad)),
            },
        }
    }

    /// The number in the bytes of an item that is one, and the power of ten it is divided by. `marks` are those of its
    /// picture.
    #[inline]
    pub(super) fn number(&self, data: Data, marks: &[EditMark], bytes: &[u8]) -> Result<(Number, i8), Bad> {
        match data {
            Data::Zoned { scale, sign, .. } => {
                let mut text = Digits::new();
                let negative = zoned(bytes, sign, self.zone, &mut text)?;
                Ok((value(negative, &text), scale))
            }
            Data::NationalZoned { scale, sign, .. } => {
                let narrow = narrow(bytes)?;
                let mut text = Digits::new();
                let zone = Zone::Ascii(Overpunch::Auto);
                let negative = zoned(&narrow, sign, zone, &mut text).map_err(|bad| bad.times(2))?;
                Ok((value(negative, &text), scale))
            }
            Data::Packed { digits, scale, signed, sign_nibble } => {
                let mut text = Digits::new();
                let negative = packed(bytes, digits, signed, sign_nibble, &mut text)?;
                Ok((value(negative, &text), scale))
            }
            Data::Binary { digits, scale, signed, native, full } => {
                let order = if native { self.native } else { ByteOrder::Big };
                Ok((binary(bytes, digits, signed, full, order)?, scale))
            }
            Data::Edited { scale, national, .. } => {
                let text = self.characters(bytes, national)?;
                let width = if national { 2 } else { 1 };
                Ok((unedit(marks, &text, self.editing).map_err(|bad| bad.times(width))?, scale))
            }
            Data::Text | Data::National | Data::DoubleByte | Data::Utf8 => Err(Bad::Digit(0)),
            Data::Float | Data::Double | Data::Ieee { .. } | Data::External { .. } => Err(Bad::Digit(0)),
        }
    }

    /// The number in the bytes of an item that has an exponent of ten.
    pub(super) fn decimal_float(&self, item: &Item, bytes: &[u8]) -> Result<DecimalFloat, Bad> {
        let Some(Data::External { national }) = item.data else { return decimal_float(bytes, self.native) };
        let text = self.characters(bytes, national)?;
        let width = if national { 2 } else { 1 };
        external(&item.marks, &text, self.editing.point).map_err(|bad| bad.times(width))
    }

    /// The characters of a number in text form.
    fn characters<'a>(&self, bytes: &'a [u8], national: bool) -> Result<Cow<'a, str>, Bad> {
        let text = if national { utf16(bytes).map(Cow::Owned) } else { self.encoding.decode(bytes) };
        text.map_err(|unmappable| Bad::Digit(unmappable.index))
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
        if bytes.first() == Some(&0) && bytes.iter().all(|byte| *byte == 0) {
            return Err(self.fault(item, bytes, Bad::Blank));
        }
        let text = match item.data {
            Some(Data::National) => utf16(bytes),
            Some(Data::DoubleByte) => self.encoding.decode_double(bytes),
            Some(Data::Utf8) => {
                let trimmed = self.trim().apply(bytes, b' ');
                return CodePage::utf8().decode(trimmed).map_err(|unmappable| self.unmappable(item, unmappable));
            }
            _ if self.encoding.is_mixed() => self.encoding.decode(bytes).map(Cow::into_owned),
            _ => {
                let trimmed = self.trim().apply(bytes, self.encoding.blank());
                return self.encoding.decode(trimmed).map_err(|unmappable| self.unmappable(item, unmappable));
            }
        };
        match text {
            Ok(mut text) => {
                // In place: a long one is not there twice.
                let trimmed = self.trim().apply_text(&text);
                let start = trimmed.as_ptr() as usize - text.as_ptr() as usize;
                let end = start + trimmed.len();
                text.truncate(end);
                text.drain(..start);
                Ok(Cow::Owned(text))
            }
            Err(unmappable) => Err(self.unmappable(item, unmappable)),
        }
    }

    /// IEEE 754 in the machine's byte order.
    pub(super) fn ieee(&self) -> FloatFormat {
        if self.native == ByteOrder::Big { FloatFormat::Ieee } else { FloatFormat::IeeeLittle }
    }

    pub(super) fn trim(&self) -> Trim {
        self.settings.trim
    }

    /// True for blanks or low values throughout.
    pub(super) fn is_blank(&self, bytes: &[u8]) -> bool {
        let blank = self.encoding.blank();
        let (pairs, rest) = bytes.as_chunks::<2>();
        if rest.is_empty() && !pairs.is_empty() && pairs.iter().all(|pair| pair == b"\0 ") {
            return true;
        }
        bytes.iter().all(|byte| *byte == blank) || bytes.iter().all(|byte| *byte == 0)
    }

    /// Whether bytes that can be a number look like a place that nobody filled: blanks throughout, where text of the same
    /// record has them. A single byte is too likely to be meant.
    pub(super) fn is_filled(&self, data: Data, bytes: &[u8]) -> bool {
        let is_open = match data {
            Data::Binary { .. } | Data::Float | Data::Double | Data::Ieee { .. } => true,
            Data::Zoned { .. } | Data::NationalZoned { .. } | Data::Packed { .. } | Data::Edited { .. } => false,
            Data::External { .. } | Data::Text | Data::National | Data::DoubleByte | Data::Utf8 => false,
        };
        let blank = self.encoding.blank();
        is_open && bytes.len() > 1 && bytes.iter().all(|byte| *byte == blank)
    }

    /// Whether bytes that are no number are a zero that its picture leaves blank. Low values are never written for it.
    pub(super) fn stands_for_zero(&self, item: &Item, bytes: &[u8], bad: Bad) -> bool {
        let low = bytes.iter().all(|byte| *byte == 0);
        item.blank_when_zero && !low && (bad == Bad::Blank || self.is_blank(bytes))
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

/// The text of UTF-16 with the high byte first.
pub(super) fn utf16(bytes: &[u8]) -> Result<String, Unmappable> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(pairs.len());
    let mut index = 0;
    for char in char::decode_utf16(pairs.iter().map(|pair| u16::from_be_bytes(*pair))) {
        match char {
            Ok(char) => {
                text.push(char);
                index += 2 * char.len_utf16();
            }
            Err(_) => return Err(Unmappable { index, byte: bytes.get(index).copied().unwrap_or_default() }),
        }
    }
    match rest.first() {
        None => Ok(text),
        Some(&byte) => Err(Unmappable { index, byte }),
    }
}

/// Characters of UTF-16 that are ASCII, as single bytes.
fn narrow(bytes: &[u8]) -> Result<Vec<u8>, Bad> {
    let (pairs, _) = bytes.as_chunks::<2>();
    match pairs.iter().position(|pair| pair[0] != 0) {
        Some(index) => Err(Bad::Digit(2 * index)),
        None => Ok(pairs.iter().map(|pair| pair[1]).collect()),
    }
}
