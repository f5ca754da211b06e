//! Records as JSON, by a tree of steps that is made once: names are ready as bytes, offsets are known, and what a record
//! adds is only the bytes of its values.

use std::collections::HashSet;

use super::fields::Body;
use super::number::Bad;
use super::number::POWERS;
use super::plan::Plan;
use crate::decode::copybook::{Data, Item};
use crate::decode::json::{Blank, Cursor, ESCAPED, JsonOptions, META, Name};
use crate::record::{FieldFault, Position, Value};

/// How the records of a layout are written.
pub(super) struct JsonPlan {
    members: Vec<Step>,
    /// Room that the record takes without the elements of its tables.
    room: usize,
    /// Room for whatever may follow an element of a table.
    tail: usize,
}

enum Step {
    /// An elementary item; `hex` is the name of the member that shows its bytes.
    Value { name: Name, hex: Name, leaf: Leaf },
    /// A group.
    Object { name: Name, members: Vec<Step> },
    /// A table; `room` is what one element takes.
    Array { name: Name, table: usize, element: Element, room: usize },
    /// Items that share bytes: those are written whose values the bytes hold, at least one.
    Overlay { views: Vec<Vec<Step>> },
}

enum Element {
    Value(Leaf),
    Object(Vec<Step>),
}

/// What is needed of an elementary item to write it.
#[derive(Clone, Copy)]
struct Leaf {
    item: usize,
    data: Data,
    blank_when_zero: bool,
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

/// The most digits, sign, point and leading zeros of a number, or of a float.
const NUMBER: usize = 96;

impl JsonPlan {
    /// The plan for one record; `fillers` says whether items without a name are written.
    pub(super) fn new(plan: &Plan, record: usize, fillers: bool) -> JsonPlan {
        let mut compiler = Compiler { plan, fillers, filler_number: 0 };
        let members = match plan.items[record].children.as_slice() {
            [] => compiler.steps(&[record], &mut HashSet::new()),
            children => compiler.steps(children, &mut HashSet::new()),
        };
        let room = members.iter().map(|step| room(step, plan)).sum::<usize>() + META + 2;
        let tail = room + elements_room(&members);
        JsonPlan { members, room, tail }
    }

    /// Writes a record. After a failure the cursor stands somewhere in the middle of it.
    pub(super) fn write(
        &self,
        body: Body<'_>,
        position: &Position,
        options: &JsonOptions,
        cursor: &mut Cursor<'_>,
    ) -> Result<(), Box<Failure>> {
        let factor = if options.hex { HEX } else { 1 };
        let run = Run { options, factor, tail: self.tail * factor };
        cursor.reserve(self.room * factor);
        cursor.byte(b'{');
        if options.meta {
            cursor.meta(position);
        }
        run.members(&self.members, body, 0, cursor)?;
        cursor.close(b'}');
        Ok(())
    }
}

struct Compiler<'a> {
    plan: &'a Plan,
    fillers: bool,
    filler_number: usize,
}

impl Compiler<'_> {
    /// The steps for items of one object; `names` are those the object has already.
    fn steps(&mut self, items: &[usize], names: &mut HashSet<String>) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut at = 0;
        while let Some(&item) = items.get(at) {
            let target = item;
            let views = items[at + 1..].iter().take_while(|&&other| self.redefines(other, target)).count();
            if views == 0 {
                self.item(item, names, &mut steps);
            } else {
                let views = items[at..=at + views].iter().map(|&view| {
                    let mut view_steps = Vec::new();
                    self.item(view, names, &mut view_steps);
                    view_steps
                });
                let views: Vec<_> = views.collect::<Vec<_>>().into_iter().filter(|view| !view.is_empty()).collect();
                if !views.is_empty() {
                    steps.push(Step::Overlay { views });
                }
            }
            at += views + 1;
        }
        steps
    }

    /// True when an item redefines another, perhaps through a third.
    fn redefines(&self, item: usize, target: usize) -> bool {
        let mut at = item;
        while let Some(next) = self.plan.items[at].redefines {
            if next == target {
                return true;
            }
            at = next;
        }
        false
    }

    fn item(&mut self, index: usize, names: &mut HashSet<String>, steps: &mut Vec<Step>) {
        let item = &self.plan.items[index];
        if item.name.is_none() {
            if item.children.is_empty() && !self.fillers {
                return;
            }
            // A group without a name that occurs once lends its items to the group around it.
            if !item.children.is_empty() && item.occurs.is_none() && !self.fillers {
                steps.extend(self.steps(&item.children, names));
                return;
            }
        }
        let own = match &item.name {
            Some(name) => name.clone(),
            None => {
                self.filler_number += 1;
                format!("FILLER_{}", self.filler_number)
            }
        };
        let own = unique(own, names);
        let name = Name::new(&own);
        let leaf = item.data.map(|data| Leaf { item: index, data, blank_when_zero: item.blank_when_zero });
        steps.push(match (leaf, &item.occurs) {
            (Some(leaf), None) => Step::Value { name, hex: Name::new(&format!("{own}_hex")), leaf },
            (None, None) => Step::Object { name, members: self.steps(&item.children, &mut HashSet::new()) },
            (leaf, Some(_)) => {
                let element = match leaf {
                    Some(leaf) => Element::Value(leaf),
                    None => Element::Object(self.steps(&item.children, &mut HashSet::new())),
                };
                let room = match &element {
                    Element::Value(leaf) => leaf_room(leaf, self.plan),
                    Element::Object(members) => members.iter().map(|step| room(step, self.plan)).sum::<usize>() + 4,
                };
                Step::Array { name, table: index, element, room }
            }
        });
    }
}

/// A name that the object does not have yet.
fn unique(name: String, names: &mut HashSet<String>) -> String {
    let mut candidate = name.clone();
    let mut number = 2;
    while !names.insert(candidate.clone()) {
        candidate = format!("{name}_{number}");
        number += 1;
    }
    candidate
}

fn leaf_room(leaf: &Leaf, plan: &Plan) -> usize {
    let length = plan.items.get(leaf.item).map_or(0, |item| item.length);
    length * ESCAPED + NUMBER
}

/// The most bytes that a step writes, the elements of tables not counted: they reserve their own.
fn room(step: &Step, plan: &Plan) -> usize {
    match step {
        Step::Value { name, leaf, .. } => name.len() + leaf_room(leaf, plan) + 1,
        Step::Object { name, members } => name.len() + members.iter().map(|step| room(step, plan)).sum::<usize>() + 4,
        Step::Array { name, .. } => name.len() + 4,
        Step::Overlay { views } => views.iter().flatten().map(|step| room(step, plan)).sum(),
    }
}

/// The most bytes that one element of every table takes, tables within tables too.
fn elements_room(steps: &[Step]) -> usize {
    let of = |step: &Step| match step {
        Step::Value { .. } => 0,
        Step::Object { members, .. } => elements_room(members),
        Step::Array { element: Element::Value(_), room, .. } => *room,
        Step::Array { element: Element::Object(members), room, .. } => room + elements_room(members),
        Step::Overlay { views } => views.iter().map(|view| elements_room(view)).sum(),
    };
    steps.iter().map(of).sum()
}

/// What all steps of one call share.
struct Run<'a> {
    options: &'a JsonOptions,
    /// By how much hex makes a field longer.
    factor: usize,
    tail: usize,
}

impl Run<'_> {
    fn members(&self, steps: &[Step], body: Body<'_>, scope: usize, cursor: &mut Cursor<'_>) -> Written {
        for step in steps {
            match step {
                Step::Value { name, hex, leaf } => {
                    cursor.name(name);
                    let bytes = self.value(leaf, body, scope, cursor)?;
                    cursor.byte(b',');
                    if self.options.hex {
                        cursor.name(hex);
                        cursor.hex(bytes);
                        cursor.byte(b',');
                    }
                }
                Step::Object { name, members } => {
                    cursor.name(name);
                    cursor.byte(b'{');
                    self.members(members, body, scope, cursor)?;
                    cursor.close(b'}');
                    cursor.byte(b',');
                }
                Step::Array { name, table, element, room } => {
                    cursor.name(name);
                    self.array(*table, element, *room, body, scope, cursor)?;
                }
                Step::Overlay { views } => self.overlay(views, body, scope, cursor)?,
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
            cursor.reserve(room * self.factor + self.tail);
            let scope = scope + index * occurs.stride;
            match element {
                Element::Value(leaf) => {
                    self.value(leaf, body, scope, cursor)?;
                }
                Element::Object(members) => {
                    cursor.byte(b'{');
                    self.members(members, body, scope, cursor)?;
                    cursor.close(b'}');
                }
            }
            cursor.byte(b',');
        }
        cursor.close(b']');
        cursor.byte(b',');
        Ok(())
    }

    /// Writes every view whose values the bytes hold. The first view's failure stands when there is none.
    #[inline(never)]
    fn overlay(&self, views: &[Vec<Step>], body: Body<'_>, scope: usize, cursor: &mut Cursor<'_>) -> Written {
        let mut first_failure = None;
        let mut written = false;
        for view in views {
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

    /// Writes a value; answers its bytes.
    #[inline]
    fn value<'a>(
        &self,
        leaf: &Leaf,
        body: Body<'a>,
        scope: usize,
        cursor: &mut Cursor<'_>,
    ) -> Result<&'a [u8], Box<Failure>> {
        let plan = body.plan;
        let item = &plan.items[leaf.item];
        let offset = if plan.moved_by[leaf.item].is_empty() {
            item.offset + scope
        } else {
            body.offset(leaf.item, scope).map_err(|fault| failure(leaf.item, item.offset + scope, fault))?
        };
        let Some(bytes) = body.bytes.get(offset..offset + item.length) else {
            return Err(failure(leaf.item, offset, plan.too_short(item, offset, body.bytes.len())));
        };
        match leaf.data {
            Data::Text => {
                let trimmed = plan.trim().apply(bytes, plan.encoding.blank());
                let Some(tables) = plan.encoding.tables() else {
                    return self.decoded_text(leaf, item, offset, bytes, plan, cursor);
                };
                if bytes.first() == Some(&0) && bytes.iter().all(|byte| *byte == 0) {
                    // Low values are no text.
                    cursor.bytes(b"null");
                } else if let Err(unmappable) = cursor.text(trimmed, tables) {
                    return Err(failure(leaf.item, offset, plan.unmappable(item, unmappable)));
                }
            }
            Data::Float | Data::Double => self.float(leaf, item, offset, bytes, plan, cursor)?,
            data => match plan.number(data, bytes) {
                Ok((number, scale)) if scale >= 0 => {
                    let scale = usize::from(scale.unsigned_abs());
                    match u64::try_from(number.magnitude) {
                        Ok(magnitude) => cursor.decimal(number.negative, magnitude, scale),
                        Err(_) => cursor.decimal(number.negative, number.magnitude, scale),
                    }
                }
                Ok((number, scale)) => {
                    let magnitude = number.magnitude * POWERS[usize::from(scale.unsigned_abs())];
                    cursor.decimal(number.negative, magnitude, 0);
                }
                Err(bad) => self.bad(leaf, item, offset, bytes, bad, plan, cursor)?,
            },
        }
        Ok(bytes)
    }

    #[cold]
    fn decoded_text<'a>(
        &self,
        leaf: &Leaf,
        item: &Item,
        offset: usize,
        bytes: &'a [u8],
        plan: &Plan,
        cursor: &mut Cursor<'_>,
    ) -> Result<&'a [u8], Box<Failure>> {
        if !bytes.is_empty() && bytes.iter().all(|byte| *byte == 0) {
            cursor.bytes(b"null");
            return Ok(bytes);
        }
        match plan.text(item, bytes) {
            Ok(text) => cursor.string(&text),
            Err(fault) => return Err(failure(leaf.item, offset, fault)),
        }
        Ok(bytes)
    }

    #[cold]
    fn float(
        &self,
        leaf: &Leaf,
        item: &Item,
        offset: usize,
        bytes: &[u8],
        plan: &Plan,
        cursor: &mut Cursor<'_>,
    ) -> Written {
        match plan.value(item, bytes) {
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
    #[expect(clippy::too_many_arguments, reason = "the cold half of one function")]
    fn bad(
        &self,
        leaf: &Leaf,
        item: &Item,
        offset: usize,
        bytes: &[u8],
        bad: Bad,
        plan: &Plan,
        cursor: &mut Cursor<'_>,
    ) -> Written {
        let blank = bad == Bad::Blank || plan.is_blank(bytes);
        let scale = match leaf.data {
            Data::Zoned { scale, .. } | Data::Packed { scale, .. } => scale,
            Data::Binary { scale, .. } | Data::Edited { scale, .. } => scale,
            Data::Text | Data::Float | Data::Double => 0,
        };
        let zero = leaf.blank_when_zero || self.options.blank == Blank::Zero;
        match self.options.blank {
            _ if blank && zero => cursor.decimal(false, 0u64, usize::from(scale.max(0).unsigned_abs())),
            Blank::Null if blank => cursor.bytes(b"null"),
            _ => return Err(failure(leaf.item, offset, plan.fault(item, bytes, bad))),
        }
        Ok(())
    }
}

#[cold]
fn failure(item: usize, offset: usize, fault: FieldFault) -> Box<Failure> {
    Box::new(Failure { item, offset, fault })
}
