//! Objects, written while their elements come: in the order of the schema, whatever order that is, and with an array for
//! what may stand several times, however often it does.
//!
//! Members are written as they come. Mostly they come in order; then nothing is written twice. Else, when the object is
//! whole, its members are put in order.

use std::io::Read;

use super::leniency::Leniency;
use super::machine::{Machine, Outcome};
use super::shape::{Elements, ShapeId, key};
use crate::record::RejectCode;

/// Values of one member that were written one after another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    member: u32,
    from: usize,
    to: usize,
    count: u32,
}

/// An object that is written.
pub(super) struct Object {
    /// Where its members begin, those for attributes first.
    start: usize,
    /// Where the members for elements begin.
    head: usize,
    /// Which runs are its own: from here on.
    runs: usize,
    /// The member that was written last.
    last: Option<usize>,
    is_in_order: bool,
    /// How many of those were seen that have to be there.
    required: u32,
}

/// Members that no element declares have numbers behind those of the schema.
pub(super) const ANY: usize = 0;
/// Elements that the schema does not have.
pub(super) const EXTRA: usize = 1;

impl Elements {
    /// The number of what wildcards take, and of what is unknown.
    pub(super) fn beyond(&self, which: usize) -> usize {
        self.members.len() + which
    }

    fn is_many(&self, member: usize) -> bool {
        self.members.get(member).is_none_or(|member| member.is_many)
    }

    fn push_key(&self, member: usize, out: &mut Vec<u8>) {
        match self.members.get(member) {
            Some(own) => out.extend_from_slice(&own.key),
            None if member == self.beyond(ANY) => out.extend_from_slice(&self.any_key),
            None => out.extend_from_slice(&key(super::EXTRA)),
        }
    }
}

impl<R: Read> Machine<R> {
    /// Begins an object. Its attributes come next.
    pub(super) fn object(&self) -> Object {
        let start = self.out.len();
        Object { start, head: start, runs: self.runs.len(), last: None, is_in_order: true, required: 0 }
    }

    /// The attributes are written.
    pub(super) fn head(&self, object: &mut Object) {
        object.head = self.out.len();
    }

    /// A value of a member comes next. `at` is where its element begins.
    #[inline]
    pub(super) fn begin(&mut self, object: &mut Object, shape: ShapeId, member: usize, at: usize) -> Outcome<()> {
        if object.last == Some(member) {
            return self.again(shape, member, at);
        }
        let Machine { shapes, out, runs, .. } = self;
        let Some(elements) = shapes.elements(shape) else { return Ok(()) };
        let next = match object.last {
            Some(last) => {
                end_run(elements, runs, out);
                last + 1
            }
            None => 0,
        };
        if member >= next {
            absent(elements, next..member, out);
        } else {
            object.is_in_order = false;
        }
        object.last = Some(member);
        object.required += u32::from(elements.members.get(member).is_some_and(|member| member.is_required));
        elements.push_key(member, out);
        if elements.is_many(member) {
            out.push(b'[');
        }
        runs.push(Run { member: member as u32, from: out.len(), to: 0, count: 1 });
        Ok(())
    }

    /// One more value of the member that came last.
    fn again(&mut self, shape: ShapeId, member: usize, at: usize) -> Outcome<()> {
        if !self.shapes.elements(shape).is_some_and(|elements| elements.is_many(member)) {
            return Err(self.twice(shape, member, at));
        }
        self.out.push(b',');
        if let Some(run) = self.runs.last_mut() {
            run.count += 1;
        }
        Ok(())
    }

    #[cold]
    fn twice(&self, shape: ShapeId, member: usize, at: usize) -> Box<super::machine::Stop> {
        let name = self.shapes.member(shape, member).map_or("", |member| &member.json);
        self.problem(RejectCode::BadCount, at, format!("one `{name}`"), "several of them")
    }

    /// How many values the last run has: the index of the next is one less.
    pub(super) fn index(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.count.saturating_sub(1))
    }

    /// The object is whole. `at` is where its element begins.
    #[inline]
    pub(super) fn close(&mut self, object: Object, shape: ShapeId, at: usize) -> Outcome<()> {
        let Machine { shapes, out, runs, settings, .. } = self;
        let Some(elements) = shapes.elements(shape) else { return Ok(()) };
        if object.last.is_some() {
            end_run(elements, runs, out);
        }
        let wants_choice = settings.choice && !elements.is_ordered;
        if object.is_in_order && !wants_choice {
            absent(elements, object.last.map_or(0, |last| last + 1)..elements.members.len(), out);
            runs.truncate(object.runs);
            if object.required < elements.required {
                self.missing(&object, shape, at)?;
            }
        } else {
            self.put_in_order(&object, shape, at, wants_choice)?;
        }
        close(object.start, &mut self.out);
        Ok(())
    }

    /// Something is missing: it is looked for.
    #[cold]
    fn missing(&mut self, object: &Object, shape: ShapeId, at: usize) -> Outcome<()> {
        let text = self.out.get(object.head..).unwrap_or_default();
        let Some(elements) = self.shapes.elements(shape) else { return Ok(()) };
        // Lists that are absent are written, too; that one is empty is no fault of its own where it is.
        let is_there = |member: &&super::shape::MemberShape| {
            member.is_required
                && memchr::memmem::find(text, &member.key)
                    .is_none_or(|at| text[at + member.key.len()..].starts_with(b"[]"))
        };
        let name = elements.members.iter().find(is_there).map_or("", |member| &member.json).to_owned();
        self.lenient(Leniency::Missing, at, RejectCode::Absent, &format!("an element `{name}`"), |_| "none".to_owned())
    }

    #[cold]
    fn put_in_order(&mut self, object: &Object, shape: ShapeId, at: usize, wants_choice: bool) -> Outcome<()> {
        let mut runs = self.runs.split_off(object.runs);
        let Some(elements) = self.shapes.elements(shape) else { return Ok(()) };
        let (is_ordered, count) = (elements.is_ordered, elements.members.len());
        let mut ordered = Vec::with_capacity(self.out.len() - object.head + 64);
        let mut order = Vec::new();
        if wants_choice {
            order = choice(elements, &runs);
        }
        // Stable, so that values of one member stay in the order in which they came.
        runs.sort_by_key(|run| run.member);
        let (mut next, mut required, mut twice) = (0, 0, None);
        for group in runs.chunk_by(|one, other| one.member == other.member) {
            let member = group.first().map_or(0, |run| run.member as usize);
            absent(elements, next..member, &mut ordered);
            next = member + 1;
            required += u32::from(elements.members.get(member).is_some_and(|member| member.is_required));
            elements.push_key(member, &mut ordered);
            let is_many = elements.is_many(member);
            if !is_many && group.len() > 1 {
                twice = Some(member);
            }
            if is_many {
                ordered.push(b'[');
            }
            for (index, run) in group.iter().enumerate() {
                if index > 0 {
                    ordered.push(b',');
                }
                ordered.extend_from_slice(self.out.get(run.from..run.to).unwrap_or_default());
            }
            if is_many {
                ordered.push(b']');
            }
        }
        absent(elements, next..count, &mut ordered);
        ordered.extend_from_slice(&order);
        let is_missing = required < elements.required;
        if let Some(member) = twice {
            return Err(self.twice(shape, member, at));
        }
        self.out.truncate(object.head);
        self.out.extend_from_slice(&ordered);
        if is_missing {
            self.missing(object, shape, at)?;
        }
        if is_ordered && !object.is_in_order {
            self.lenient(
                Leniency::OutOfOrder,
                at,
                RejectCode::Unexpected,
                "elements in the order of the schema",
                |_| "another order".to_owned(),
            )?;
        }
        Ok(())
    }
}

/// The values that were written last are all for now.
#[inline]
fn end_run(elements: &Elements, runs: &mut [Run], out: &mut Vec<u8>) {
    if let Some(run) = runs.last_mut() {
        run.to = out.len();
        if elements.is_many(run.member as usize) {
            out.push(b']');
        }
    }
}

/// Arrays of what may stand several times and does not once.
#[inline]
fn absent(elements: &Elements, members: std::ops::Range<usize>, out: &mut Vec<u8>) {
    for member in elements.members.get(members.start..members.end.min(elements.members.len())).unwrap_or_default() {
        if member.is_many {
            out.extend_from_slice(&member.key);
            out.extend_from_slice(b"[]");
        }
    }
}

/// `,"_choice":["a","b","a"]`: the order in which elements came.
fn choice(elements: &Elements, runs: &[Run]) -> Vec<u8> {
    let mut out = key(super::CHOICE).into_vec();
    out.push(b'[');
    for run in runs {
        let Some(member) = elements.members.get(run.member as usize) else { continue };
        // The key without the comma before it and the colon behind it.
        let name = member.key.get(1..member.key.len() - 1).unwrap_or_default();
        for _ in 0..run.count {
            out.extend_from_slice(name);
            out.push(b',');
        }
    }
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(b']');
    out
}

/// Makes an object of members that each begin with a comma.
pub(super) fn close(start: usize, out: &mut Vec<u8>) {
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

impl Object {
    /// The member that came last.
    pub(super) fn last(&self) -> Option<usize> {
        self.last
    }
}
