//! A message's segments put into the places of its schema.

use super::super::message::Message;
use super::super::segment::{id, text_of};
use super::value::{Bad, check_segment};
use super::{Pattern, Schema, What};
use crate::record::RejectCode;

/// A place of the schema that is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode::edi) struct Instance {
    /// The use; of the message itself none is looked at.
    pub(in crate::decode::edi) place: usize,
    /// Its segment; of a loop the first one.
    pub(in crate::decode::edi) segment: usize,
    /// Index behind the last instance within it.
    pub(in crate::decode::edi) end: usize,
}

/// The instances in the order of the message, each before what is within it; the first one is the message.
#[derive(Debug, Default)]
pub(in crate::decode::edi) struct Tree {
    pub(in crate::decode::edi) instances: Vec<Instance>,
}

impl Tree {
    /// The instances directly within one.
    pub(in crate::decode::edi) fn within(&self, parent: usize) -> impl Iterator<Item = usize> {
        let end = self.instances.get(parent).map_or(0, |parent| parent.end);
        let mut at = parent + 1;
        std::iter::from_fn(move || {
            let found = (at < end).then_some(at)?;
            at = self.instances.get(found)?.end.max(found + 1);
            Some(found)
        })
    }
}

/// What does not fit: the segment's index, and what is wrong.
pub(in crate::decode::edi) type Misfit = (usize, Bad);

struct Building<'a> {
    schema: &'a Schema,
    message: &'a Message,
    instances: Vec<Instance>,
    at: usize,
    /// The place that took as many segments as it may, and could have had another.
    full: Option<usize>,
}

/// Puts the segments behind the header into their places, and checks every element. `before` is a tree whose memory is
/// not needed any more.
pub(in crate::decode::edi) fn build(schema: &Schema, message: &Message, before: Tree) -> Result<Tree, Misfit> {
    let Tree { mut instances } = before;
    instances.clear();
    let mut building = Building { schema, message, instances, at: 1, full: None };
    building.instances.push(Instance { place: 0, segment: 0, end: 0 });
    building.content(&schema.content, None)?;
    building.close(0);
    let segments = message.spans.len();
    if building.at < segments {
        let found = building.id(building.at);
        let expected = match building.full.map(|full| &schema.uses[full]) {
            Some(full) if building.segment_of(full).is_some_and(|pattern| pattern.id == found) => {
                format!("at most {} of `{}`", full.max, full.name)
            }
            _ => format!("a segment of the schema for {} at its place", schema.message),
        };
        return Err((building.at, Bad::new(RejectCode::Unexpected, expected, found)));
    }
    Ok(Tree { instances: building.instances })
}

impl<'a> Building<'a> {
    fn close(&mut self, instance: usize) {
        let end = self.instances.len();
        if let Some(instance) = self.instances.get_mut(instance) {
            instance.end = end;
        }
    }

    fn id(&self, segment: usize) -> String {
        match self.message.syntax() {
            Some(syntax) => text_of(id(self.message.segment(segment).bytes, &syntax.separators), &syntax.separators),
            None => String::new(),
        }
    }

    /// The segment that a use begins with.
    fn segment_of(&self, place: &'a super::Use) -> Option<&'a Pattern> {
        match &place.what {
            What::Segment { pattern, .. } => Some(pattern),
            What::Loop(content) => content.first().and_then(|first| self.segment_of(self.schema.uses.get(*first)?)),
        }
    }

    /// True when the next segment begins this use.
    fn begins(&self, place: &'a super::Use) -> bool {
        let (Some(pattern), Some(syntax)) = (self.segment_of(place), self.message.syntax()) else { return false };
        let segment = self.message.segment(self.at).bytes;
        id(segment, &syntax.separators) == pattern.id.as_bytes()
            && pattern.values.iter().all(|(item, value)| {
                let data = syntax.value(segment, (item.element, item.component.max(1)));
                data == value.as_bytes() || text_of(data, &syntax.separators) == *value
            })
    }

    /// Fills the places of the message or of a loop. `begun`: the first one is known to be there.
    fn content(&mut self, content: &'a [usize], begun: Option<()>) -> Result<(), Misfit> {
        let schema = self.schema;
        for (index, &number) in content.iter().enumerate() {
            let Some(place) = schema.uses.get(number) else { continue };
            let first = begun.is_some() && index == 0;
            // The segment that begins a loop stands in it once; the next one begins the next loop.
            let (min, max) = if first { (1, 1) } else { (place.min, place.max) };
            let mut count = 0;
            while count < max && self.at < self.message.spans.len() && self.begins(place) {
                let instance = self.instances.len();
                self.instances.push(Instance { place: number, segment: self.at, end: instance + 1 });
                match &place.what {
                    What::Segment { .. } => {
                        let elements = schema.elements(number);
                        check_segment(self.message, self.at, elements).map_err(|bad| (self.at, bad))?;
                        self.at += 1;
                    }
                    What::Loop(inner) => self.content(inner, Some(()))?,
                }
                self.close(instance);
                count += 1;
            }
            if count == max && !first && self.at < self.message.spans.len() && self.begins(place) {
                self.full = Some(number);
            }
            if count < min {
                let what = self.segment_of(place).map_or("", |pattern| pattern.id.as_str());
                let expected = format!("{min} of `{}` (segment {what})", place.name);
                let next = if self.at < self.message.spans.len() { self.id(self.at) } else { "the end".to_owned() };
                return Err((self.at, Bad::new(RejectCode::Absent, expected, format!("{count} before {next}"))));
            }
        }
        Ok(())
    }
}
