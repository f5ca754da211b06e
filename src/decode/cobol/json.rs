//! Records as JSON, by a tree of steps that is made once: names are ready as bytes, offsets are known, and what a record
//! adds is only the bytes of its values.

use super::fields::Body;
use super::number::{Bad, DecimalFloat, packed, packed_word, zoned, zoned_word};
use super::plan::Plan;
use super::steps::{Element, Leaf, Quick, Step, elements_room, leaf_piece_room, piece_room, room, steps_of};
use crate::decode::code_page::{Family, Tables};
use crate::decode::copybook::Data;
use crate::decode::format::Trim;
use crate::decode::json::{Blank, Cursor, Digits, JsonOptions, META, Name, Pen, spread_nibbles};
use crate::decode::member_names::Names;
use crate::decode::pieces::{LONG, MARGIN};
use crate::record::{FieldFault, Position, Value};

/// How the records of a layout are written.
pub(super) struct JsonPlan {
    pub(super) members: Vec<Step>,
    /// The names of the members.
    names: Names,
    /// Room that the record takes without the elements of its tables.
    room: usize,
    /// Room for whatever may follow an element of a table.
    tail: usize,
}

/// A field that could not be written: the item, its offset in the record, and why.
pub(super) struct Failure {
    pub(super) item: usize,
    pub(super) offset: usize,
    pub(super) fault: FieldFault,
}

/// Failures are rare and large.
type Written = Result<(), Box<Failure>>;

/// With their bytes in hex, fields take at most this many times the room.
const HEX: usize = 3;

/// The most digits, sign, point and zeros of a number.
pub(super) const NUMBER: usize = 88;

impl JsonPlan {
    /// The plan for one record; `fillers` says whether items without a name are written.
    pub(super) fn new(plan: &Plan, record: usize, fillers: bool) -> JsonPlan {
        let mut names = Names::default();
        let members = steps_of(plan, record, fillers, &mut names);
        let room = members.iter().map(room).sum::<usize>() + META + 2;
        let tail = room + elements_room(&members);
        JsonPlan { members, names, room, tail }
    }

    /// The most bytes of what it makes room for at once.
    pub(super) fn room(&self) -> usize {
        self.room + self.tail
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Writes a record. After a failure the cursor stands somewhere in the middle of it.
    pub(super) fn write(
        &self,
        body: Body<'_>,
        position: &Position,
        options: &JsonOptions,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), Box<Failure>> {
        let start = cursor.open_object();
        self.write_members(body, position, options, cursor)?;
        cursor.close_object(start);
        Ok(())
    }

    /// Writes the members of a record, each with a comma before it.
    pub(super) fn write_members(
        &self,
        body: Body<'_>,
        position: &Position,
        options: &JsonOptions,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), Box<Failure>> {
        let factor = if options.hex { HEX } else { 1 };
        let encoding = &body.plan.encoding;
        let run = Run {
            options,
            in_pieces: cursor.hands_on(),
            factor,
            tail: self.tail * factor,
            tables: encoding.tables(),
            trim: body.plan.trim(),
            blank: encoding.blank(),
            family: encoding.family(),
        };
        cursor.reserve(if run.in_pieces { MARGIN } else { self.room * factor });
        if options.meta {
            cursor.meta(position);
        }
        run.members(&self.members, body, 0, cursor)
    }
}

/// What all steps of one call share.
struct Run<'a> {
    options: &'a JsonOptions,
    /// Whether room is made for every value, and not once for all.
    in_pieces: bool,
    /// By how much hex makes a field longer.
    factor: usize,
    tail: usize,
    tables: Option<&'a Tables>,
    trim: Trim,
    blank: u8,
    family: Family,
}

impl Run<'_> {
    fn members(&self, steps: &[Step], body: Body<'_>, scope: usize, cursor: &mut Cursor<'_>) -> Written {
        for step in steps {
            if self.in_pieces {
                cursor.reserve(piece_room(step) * self.factor + MARGIN);
            }
            match step {
                Step::Value { name, hex, leaf } => {
                    let mut pen = cursor.pen();
                    pen.name(name);
                    let is_written = self.quick_value(leaf, body.bytes, scope, &mut pen);
                    let at = pen.at();
                    cursor.moved_to(at);
                    if !is_written || self.options.hex {
                        self.full_value(leaf, hex, is_written, body, scope, cursor)?;
                    }
                }
                Step::Object { name, members } => {
                    cursor.name(name);
                    let start = cursor.open_object();
                    self.members(members, body, scope, cursor)?;
                    cursor.close_object(start);
                }
                Step::Array { name, hex, table, element, room } => {
                    cursor.name(name);
                    self.array(*table, element, *room, body, scope, cursor)?;
                    if let Element::Value(leaf) = element
                        && self.options.hex
                    {
                        self.array_hex(*table, leaf, hex, body, scope, cursor)?;
                    }
                }
                Step::Overlay { views, chosen: false } => self.overlay(views, body, scope, cursor)?,
                Step::Overlay { views, chosen: true } => self.chosen(views, body, scope, cursor)?,
            }
        }
        Ok(())
    }

    fn array(
        &self,
        table: usize,
        element: &Element,
        room: usize,
        body: Body<'_>,
        scope: usize,
        cursor: &mut Cursor<'_>,
    ) -> Written {
        let item = &body.plan.items[table];
        let Some(occurs) = &item.occurs else { return Ok(()) };
        let count = match occurs.depending {
            None => occurs.max,
            Some(_) => body.count(table, occurs, scope).map_err(|fault| failure(table, item.offset + scope, fault))?,
        };
        cursor.byte(b'[');
        for index in 0..count {
            // What follows the table must fit as well when the last element is written.
            cursor.reserve(match (self.in_pieces, element) {
                (false, _) => room * self.factor + self.tail,
                (true, Element::Value(leaf)) => leaf_piece_room(leaf) + MARGIN,
                (true, Element::Object(_)) => MARGIN,
            });
            let scope = scope + index * occurs.stride;
            match element {
                Element::Value(leaf) => {
                    self.value(leaf, body, scope, cursor)?;
                }
                Element::Object(members) => {
                    let start = cursor.open_object();
                    self.members(members, body, scope, cursor)?;
                    cursor.close_object(start);
                }
            }
            cursor.byte(b',');
        }
        cursor.close_array();
        Ok(())
    }

    /// Writes the bytes of the elements of a table in hex.
    #[cold]
    fn array_hex(
        &self,
        table: usize,
        leaf: &Leaf,
        hex: &Name,
        body: Body<'_>,
        scope: usize,
        cursor: &mut Cursor<'_>,
    ) -> Written {
        let item = &body.plan.items[table];
        let Some(occurs) = &item.occurs else { return Ok(()) };
        let count = body.count(table, occurs, scope).map_err(|fault| failure(table, item.offset + scope, fault))?;
        let behind = if self.in_pieces { MARGIN } else { MARGIN + self.tail };
        cursor.reserve(hex.len() + behind);
        cursor.name(hex);
        cursor.byte(b'[');
        for scope in (0..count).map(|index| scope + index * occurs.stride) {
            let offset = if leaf.moves { self.moved(leaf, body, scope)? } else { leaf.offset + scope };
            let bytes = body.bytes.get(offset..offset + leaf.length).unwrap_or_default();
            if self.in_pieces {
                cursor.reserve(behind);
                cursor.long_hex(bytes);
            } else {
                // What follows the table must fit as well when the last element is written.
                cursor.reserve(2 * bytes.len() + behind);
                cursor.hex(bytes);
            }
            cursor.byte(b',');
        }
        cursor.close_array();
        Ok(())
    }

    /// Writes every view whose values the bytes hold. The first view's failure stands when there is none.
    #[inline(never)]
    fn overlay(&self, views: &[(usize, Vec<Step>)], body: Body<'_>, scope: usize, cursor: &mut Cursor<'_>) -> Written {
        let mut first_failure = None;
        let mut written = false;
        for (_, view) in views {
            if cursor.hands_on() && !cursor.is_on_trial() {
                // What is handed on is not taken back.
                cursor.begin_trial();
                let tried = self.members(view, body, scope, cursor);
                cursor.end_trial();
                match tried {
                    Ok(()) => self.members(view, body, scope, cursor)?,
                    Err(failure) => {
                        first_failure.get_or_insert(failure);
                        continue;
                    }
                }
                written = true;
                continue;
            }
            let before = cursor.len();
            match self.members(view, body, scope, cursor) {
                Ok(()) => written = true,
                Err(failure) => {
                    cursor.truncate(before);
                    first_failure.get_or_insert(failure);
                }
            }
        }
        match first_failure {
            Some(failure) if !written => Err(failure),
            _ => Ok(()),
        }
    }

    /// Writes the views that rules choose. That none of them is meant is a fault of the field that tells.
    #[inline(never)]
    fn chosen(&self, views: &[(usize, Vec<Step>)], body: Body<'_>, scope: usize, cursor: &mut Cursor<'_>) -> Written {
        let mut any = false;
        for (item, view) in views {
            let offset = body.plan.items[*item].offset + scope;
            if body.holds(*item, *item, scope).map_err(|fault| failure(*item, offset, fault))? {
                any = true;
                self.members(view, body, scope, cursor)?;
            }
        }
        if any {
            return Ok(());
        }
        let items: Vec<usize> = views.iter().map(|(item, _)| *item).collect();
        let (field, fault) = body.none_meant(&items, scope);
        Err(failure(field, body.plan.items[field].offset, fault))
    }

    /// Writes the values that most records are made of, if there is nothing unusual about them; false when nothing was
    /// written. What it writes is what [`Run::value`] writes.
    #[inline(always)]
    fn quick_value(&self, leaf: &Leaf, record: &[u8], scope: usize, pen: &mut Pen<'_>) -> bool {
        let offset = leaf.offset + scope;
        let end = offset + leaf.length;
        match leaf.quick {
            Quick::Text => {
                let (Some(tables), Some(bytes)) = (self.tables, record.get(offset..end)) else { return false };
                let trimmed = self.trim.apply(bytes, self.blank);
                bytes.first() != Some(&0) && pen.plain_text(trimmed, tables)
            }
            Quick::Packed { digits, scale, signed } => {
                let Some(word) = low_word(record, end, leaf.length) else { return false };
                let Some((negative, nibbles)) = packed_word(word, digits, signed) else { return false };
                let (high, low) = spread_nibbles(nibbles);
                pen.digits(negative && nibbles != 0, high, low, usize::from(scale));
                true
            }
            Quick::Zoned { scale, signed } => {
                let Some(word) = low_word(record, end, leaf.length) else { return false };
                let family = self.family;
                let Some((negative, digits)) = zoned_word(word, leaf.length, signed, family) else { return false };
                pen.digits(negative && digits != 0, 0, digits, usize::from(scale));
                true
            }
            Quick::No => false,
        }
    }

    /// Writes a value that is not written yet, and its bytes in hex where they are wanted.
    #[inline(never)]
    fn full_value(
        &self,
        leaf: &Leaf,
        hex: &Name,
        is_written: bool,
        body: Body<'_>,
        scope: usize,
        cursor: &mut Cursor<'_>,
    ) -> Written {
        let bytes = if is_written {
            body.bytes.get(leaf.offset + scope..leaf.offset + scope + leaf.length).unwrap_or_default()
        } else {
            self.value(leaf, body, scope, cursor)?
        };
        if self.options.hex {
            if self.in_pieces {
                cursor.reserve(hex.len() + MARGIN);
                cursor.name(hex);
                cursor.long_hex(bytes);
                return Ok(());
            }
            cursor.name(hex);
            cursor.hex(bytes);
        }
        Ok(())
    }

    /// Writes a value; answers its bytes.
    fn value<'a>(
        &self,
        leaf: &Leaf,
        body: Body<'a>,
        scope: usize,
        cursor: &mut Cursor<'_>,
    ) -> Result<&'a [u8], Box<Failure>> {
        let plan = body.plan;
        let offset = if leaf.moves { self.moved(leaf, body, scope)? } else { leaf.offset + scope };
        let Some(bytes) = body.bytes.get(offset..offset + leaf.length) else {
            let item = &plan.items[leaf.item];
            return Err(failure(leaf.item, offset, plan.too_short(item, offset, body.bytes.len())));
        };
        let bad = match leaf.data {
            Data::Text => match plan.encoding.tables() {
                // Low values are no text.
                _ if bytes.first() == Some(&0) && bytes.iter().all(|byte| *byte == 0) => {
                    cursor.bytes(b"null");
                    return Ok(bytes);
                }
                Some(tables) => {
                    let trimmed = plan.trim().apply(bytes, plan.encoding.blank());
                    let is_long = self.in_pieces && trimmed.len() > LONG;
                    let written =
                        if is_long { cursor.long_text(trimmed, tables) } else { cursor.text(trimmed, tables) };
                    return match written {
                        Ok(()) => Ok(bytes),
                        Err(unmappable) => {
                            let item = &plan.items[leaf.item];
                            Err(failure(leaf.item, offset, plan.unmappable(item, unmappable)))
                        }
                    };
                }
                None => {
                    self.decoded_text(leaf, offset, bytes, plan, cursor)?;
                    return Ok(bytes);
                }
            },
            Data::National | Data::DoubleByte | Data::Utf8 => {
                if bytes.first() == Some(&0) && bytes.iter().all(|byte| *byte == 0) {
                    cursor.bytes(b"null");
                } else {
                    self.decoded_text(leaf, offset, bytes, plan, cursor)?;
                }
                return Ok(bytes);
            }
            Data::Zoned { scale, sign, .. } => {
                let mut digits = Digits::new();
                match zoned(bytes, sign, plan.zone, &mut digits) {
                    Ok(negative) => {
                        write_number(negative, &mut digits, scale, cursor);
                        return Ok(bytes);
                    }
                    Err(bad) => bad,
                }
            }
            Data::Packed { digits: picture, scale, signed, sign_nibble } => {
                let mut digits = Digits::new();
                match packed(bytes, picture, signed, sign_nibble, &mut digits) {
                    Ok(negative) => {
                        write_number(negative, &mut digits, scale, cursor);
                        return Ok(bytes);
                    }
                    Err(bad) => bad,
                }
            }
            // A blank one is what any blank number is.
            Data::External { .. } if plan.is_blank(bytes) => Bad::Blank,
            // Blanks can be the bytes of a number. That they are not has to be said.
            _ if self.options.blank != Blank::Unsaid && plan.is_filled(leaf.data, bytes) => Bad::Blank,
            Data::Float | Data::Double | Data::Ieee { .. } | Data::External { .. } => {
                self.float(leaf, offset, bytes, plan, cursor)?;
                return Ok(bytes);
            }
            Data::Binary { .. } | Data::Edited { .. } | Data::NationalZoned { .. } => {
                match plan.number(leaf.data, &plan.items[leaf.item].marks, bytes) {
                    Ok((number, scale)) => {
                        let mut digits = match u64::try_from(number.magnitude) {
                            Ok(small) => Digits::of(small),
                            Err(_) => Digits::of(number.magnitude),
                        };
                        write_number(number.negative, &mut digits, scale, cursor);
                        return Ok(bytes);
                    }
                    Err(bad) => bad,
                }
            }
        };
        self.bad(leaf, offset, bytes, bad, plan, cursor)?;
        Ok(bytes)
    }

    /// The offset of a value that lies behind a table of varying length.
    #[cold]
    fn moved(&self, leaf: &Leaf, body: Body<'_>, scope: usize) -> Result<usize, Box<Failure>> {
        body.offset(leaf.item, scope).map_err(|fault| failure(leaf.item, leaf.offset + scope, fault))
    }

    #[cold]
    fn decoded_text(&self, leaf: &Leaf, offset: usize, bytes: &[u8], plan: &Plan, cursor: &mut Cursor<'_>) -> Written {
        match plan.text(&plan.items[leaf.item], bytes) {
            Ok(text) if self.in_pieces => cursor.long_string(&text),
            Ok(text) => cursor.string(&text),
            Err(fault) => return Err(failure(leaf.item, offset, fault)),
        }
        Ok(())
    }

    #[cold]
    fn float(&self, leaf: &Leaf, offset: usize, bytes: &[u8], plan: &Plan, cursor: &mut Cursor<'_>) -> Written {
        if matches!(leaf.data, Data::Ieee { decimal: true } | Data::External { .. }) {
            let number = plan
                .decimal_float(&plan.items[leaf.item], bytes)
                .map_err(|bad| failure(leaf.item, offset, plan.fault(&plan.items[leaf.item], bytes, bad)))?;
            write_decimal_float(number, cursor);
            return Ok(());
        }
        match plan.value(&plan.items[leaf.item], bytes) {
            Ok(Value::Float(number)) => {
                let text = serde_json::Number::from_f64(number).map(|number| number.to_string()).unwrap_or_default();
                cursor.bytes(text.as_bytes());
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(fault) => Err(failure(leaf.item, offset, fault)),
        }
    }

    /// A number that is none: what a blank one becomes is the caller's choice.
    #[cold]
    fn bad(&self, leaf: &Leaf, offset: usize, bytes: &[u8], bad: Bad, plan: &Plan, cursor: &mut Cursor<'_>) -> Written {
        let item = &plan.items[leaf.item];
        let blank = bad == Bad::Blank || plan.is_blank(bytes);
        let scale = match leaf.data {
            Data::Zoned { scale, .. } | Data::Packed { scale, .. } | Data::NationalZoned { scale, .. } => scale,
            Data::Binary { scale, .. } | Data::Edited { scale, .. } => scale,
            Data::Text | Data::National | Data::DoubleByte | Data::Utf8 => 0,
            Data::Float | Data::Double | Data::Ieee { .. } | Data::External { .. } => 0,
        };
        let zero = plan.stands_for_zero(item, bytes, bad) || self.options.blank == Blank::Zero;
        match self.options.blank {
            _ if blank && zero => write_number(false, &mut Digits::of(0u8), scale.max(0), cursor),
            Blank::Null if blank => cursor.bytes(b"null"),
            _ => return Err(failure(leaf.item, offset, plan.fault(item, bytes, bad))),
        }
        Ok(())
    }
}

/// The `length` bytes before `end` as a number, high byte first, when they are at most 8 and 8 can be read at once.
#[inline]
fn low_word(record: &[u8], end: usize, length: usize) -> Option<u64> {
    let bytes = record.get(..end)?.last_chunk::<8>()?;
    let above = 8usize.checked_sub(length)?;
    Some(u64::from_be_bytes(*bytes) << (8 * above) >> (8 * above))
}

/// A number from its digits; a negative scale adds zeros.
#[inline]
fn write_number(negative: bool, digits: &mut Digits, scale: i8, cursor: &mut Cursor<'_>) {
    let is_zero = |digits: &Digits| digits.all().iter().all(|digit| *digit == b'0');
    if scale < 0 && !is_zero(digits) {
        // What is behind the digits is zeros.
        digits.end += usize::from(scale.unsigned_abs());
    }
    let negative = negative && !is_zero(digits);
    cursor.decimal(negative, digits, usize::from(scale.max(0).unsigned_abs()));
}

/// With all its digits as long as they are no more than others have, else with its exponent.
fn write_decimal_float(number: DecimalFloat, cursor: &mut Cursor<'_>) {
    let DecimalFloat { negative, coefficient, exponent } = number;
    match i8::try_from(exponent) {
        _ if coefficient == 0 => cursor.byte(b'0'),
        Ok(exponent @ -38..=0) => write_number(negative, &mut Digits::of(coefficient), -exponent, cursor),
        Ok(zeros @ 1..=4) => write_number(negative, &mut Digits::of(coefficient), -zeros, cursor),
        _ => cursor.bytes(format!("{}{coefficient}E{exponent}", if negative { "-" } else { "" }).as_bytes()),
    }
}

#[cold]
fn failure(item: usize, offset: usize, fault: FieldFault) -> Box<Failure> {
    Box::new(Failure { item, offset, fault })
}
