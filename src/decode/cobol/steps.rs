//! The steps that write a record as JSON, made once from the layout.

use super::json::NUMBER;
use super::plan::Plan;
use crate::decode::copybook::{Data, SignPosition};
use crate::decode::json::{ESCAPED, Name};
use crate::decode::member_names::{META_NAMES, Names};
use crate::decode::pieces::LONG;

pub(super) enum Step {
    /// An elementary item; `hex` is the name of the member that shows its bytes.
    Value { name: Name, hex: Name, leaf: Leaf },
    /// A group.
    Object { name: Name, members: Vec<Step> },
    /// A table; `room` is what one element takes, `hex` the name of the member that shows the bytes of elementary ones.
    Array { name: Name, hex: Name, table: usize, element: Element, room: usize },
    /// Items that share bytes, each with its index: those are written whose values the bytes hold, at least one; where
    /// rules choose (`chosen`), those that are meant.
    Overlay { views: Vec<(usize, Vec<Step>)>, chosen: bool },
}

pub(super) enum Element {
    Value(Leaf),
    Object(Vec<Step>),
}

/// What is needed of an elementary item to write it.
#[derive(Clone, Copy)]
pub(super) struct Leaf {
    pub(super) item: usize,
    pub(super) offset: usize,
    pub(super) length: usize,
    /// Whether it lies behind a table of varying length and moves with it.
    pub(super) moves: bool,
    pub(super) data: Data,
    pub(super) quick: Quick,
}

/// How the usual values of an item are written quickly; see `json::Run::quick_value`.
#[derive(Clone, Copy)]
pub(super) enum Quick {
    Text,
    /// At most 8 bytes with a sign, `scale` at most 15.
    Packed {
        digits: u8,
        scale: u8,
        signed: bool,
    },
    /// At most 8 bytes with the sign, if any, over the last one, `scale` at most 15.
    Zoned {
        scale: u8,
        signed: bool,
    },
    No,
}

impl Quick {
    fn of(data: Data, length: usize, moves: bool) -> Quick {
        match data {
            _ if moves => Quick::No,
            Data::Text if length > LONG => Quick::No,
            Data::Text => Quick::Text,
            Data::Packed { digits, scale: scale @ 0..=15, signed, sign_nibble: true } if length <= 8 => {
                Quick::Packed { digits, scale: scale.unsigned_abs(), signed }
            }
            Data::Zoned { scale: scale @ 0..=15, sign, .. }
                if length <= 8 && matches!(sign, None | Some(SignPosition::Trailing)) =>
            {
                Quick::Zoned { scale: scale.unsigned_abs(), signed: sign.is_some() }
            }
            _ => Quick::No,
        }
    }
}

/// The steps of a record's members; `fillers` says whether items without a name are written. The members' names are put
/// to `names`.
pub(super) fn steps_of(plan: &Plan, record: usize, fillers: bool, names: &mut Names) -> Vec<Step> {
    let mut compiler = Compiler { plan, fillers, filler_number: 0 };
    // Members that are added to a record when they are asked for.
    for added in META_NAMES.iter().chain(&["_segment", "_id"]) {
        names.unique((*added).to_owned());
    }
    let mut steps = match plan.items[record].children.as_slice() {
        [] => compiler.steps(&[record], names),
        children => compiler.steps(children, names),
    };
    name_hex(&mut steps, names);
    steps
}

/// Names the members that show bytes in hex, when all other members of their object are named.
fn name_hex(steps: &mut [Step], names: &mut Names) {
    for step in steps {
        match step {
            Step::Value { name, hex, .. } | Step::Array { name, hex, element: Element::Value(_), .. } => {
                *hex = Name::new(&names.unique(format!("{}_hex", name.text())))
            }
            Step::Overlay { views, .. } => views.iter_mut().for_each(|(_, view)| name_hex(view, names)),
            Step::Object { .. } | Step::Array { .. } => {}
        }
    }
}

struct Compiler<'a> {
    plan: &'a Plan,
    fillers: bool,
    filler_number: usize,
}

impl Compiler<'_> {
    /// The steps of an object of its own.
    fn object(&mut self, items: &[usize]) -> Vec<Step> {
        let mut names = Names::default();
        let mut steps = self.steps(items, &mut names);
        name_hex(&mut steps, &mut names);
        steps
    }

    /// The steps for items of one object; `names` are those the object has already.
    fn steps(&mut self, items: &[usize], names: &mut Names) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut at = 0;
        while let Some(&item) = items.get(at) {
            let first = &self.plan.moving.first;
            let views = items[at + 1..].iter().take_while(|&&other| first[other] == first[item]).count();
            if views == 0 {
                self.item(item, names, &mut steps);
            } else {
                let chosen = self.plan.rules.contains_key(&item);
                let views = items[at..=at + views].iter().map(|&view| {
                    let mut view_steps = Vec::new();
                    self.item(view, names, &mut view_steps);
                    (view, view_steps)
                });
                // An alternative without members may be the one that is meant.
                let views: Vec<_> = views.collect::<Vec<_>>();
                let views: Vec<_> = views.into_iter().filter(|(_, view)| chosen || !view.is_empty()).collect();
                if !views.is_empty() {
                    steps.push(Step::Overlay { views, chosen });
                }
            }
            at += views + 1;
        }
        steps
    }

    fn item(&mut self, index: usize, names: &mut Names, steps: &mut Vec<Step>) {
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
        let own = names.unique(own);
        let name = Name::new(&own);
        let moves = self.plan.moves[index];
        let (offset, length) = (item.offset, item.length);
        let leaf = item.data.map(|data| {
            let quick = Quick::of(data, length, moves);
            Leaf { item: index, offset, length, moves, data, quick }
        });
        steps.push(match (leaf, &item.occurs) {
            (Some(leaf), None) => Step::Value { hex: name.clone(), name, leaf },
            (None, None) => Step::Object { name, members: self.object(&item.children) },
            (leaf, Some(_)) => {
                let element = match leaf {
                    Some(leaf) => Element::Value(leaf),
                    None => Element::Object(self.object(&item.children)),
                };
                let room = match &element {
                    Element::Value(leaf) => leaf_room(leaf),
                    Element::Object(members) => members.iter().map(room).sum::<usize>() + 4,
                };
                Step::Array { hex: name.clone(), name, table: index, element, room }
            }
        });
    }
}

/// The most bytes that a value takes.
fn leaf_room(leaf: &Leaf) -> usize {
    match leaf.data {
        Data::Text | Data::National | Data::DoubleByte | Data::Utf8 => leaf.length * ESCAPED + 2,
        Data::Float | Data::Double | Data::Ieee { decimal: false } => 32,
        Data::Zoned { digits, scale, .. } | Data::Packed { digits, scale, .. } | Data::Binary { digits, scale, .. }
            if digits <= 18 && (0..=18).contains(&scale) =>
        {
            24
        }
        _ => NUMBER,
    }
}

/// As [`leaf_room`], where long texts make room for themselves.
pub(super) fn leaf_piece_room(leaf: &Leaf) -> usize {
    match leaf.data {
        Data::Text if leaf.length > LONG => 2,
        Data::National | Data::DoubleByte | Data::Utf8 => 2,
        _ => leaf_room(leaf),
    }
}

/// The most bytes that a step writes itself, where what is in it makes room for itself.
pub(super) fn piece_room(step: &Step) -> usize {
    match step {
        Step::Value { name, leaf, .. } => name.len() + leaf_piece_room(leaf) + 1,
        Step::Object { name, .. } | Step::Array { name, .. } => name.len() + 4,
        Step::Overlay { .. } => 0,
    }
}

/// The most bytes that a step writes, the elements of tables not counted: they reserve their own.
pub(super) fn room(step: &Step) -> usize {
    match step {
        Step::Value { name, leaf, .. } => name.len() + leaf_room(leaf) + 1,
        Step::Object { name, members } => name.len() + members.iter().map(room).sum::<usize>() + 4,
        Step::Array { name, .. } => name.len() + 4,
        Step::Overlay { views, .. } => views.iter().flat_map(|(_, view)| view).map(room).sum(),
    }
}

/// The most bytes that one element of every table takes, tables within tables too.
pub(super) fn elements_room(steps: &[Step]) -> usize {
    let of = |step: &Step| match step {
        Step::Value { .. } => 0,
        Step::Object { members, .. } => elements_room(members),
        Step::Array { element: Element::Value(_), room, .. } => *room,
        Step::Array { element: Element::Object(members), room, .. } => room + elements_room(members),
        Step::Overlay { views, .. } => views.iter().map(|(_, view)| elements_room(view)).sum(),
    };
    steps.iter().map(of).sum()
}
