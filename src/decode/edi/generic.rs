//! Messages without a schema, as a mapping reads them: by the paths of [`path`](super::path).
//!
//! A [`Scope`] below a run is the index of the segment that it begins with; below a repeated element it is the offset of
//! the repetition in the message. Which of the two a slot means is known from its parent.

use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::Mutex;

use super::message::{Data, Message};
use super::path::{self, Item, Path, Pattern, Run, Target};
use super::segment::{components, id, text_of};
use crate::decode::reader::foreign_slot;
use crate::decode::trail::Found;
use crate::record::{FieldFault, FieldKind, RejectCode, Resolved, Scope, Slot, Unresolved, Value};

/// The names that were resolved; a slot is an index into them. Clones share what they learn.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<Known>>);

/// Places by parent and name.
type Known = IndexMap<(Option<u32>, String), Place>;

/// A name with its surroundings.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) name: String,
    parent: Option<u32>,
    path: Path,
    /// Where a run of this place ends: before a segment with one of these names. `None` where it is one segment.
    stops: Option<Vec<String>>,
}

impl Places {
    pub(super) fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        let unresolved = |reason: String| Unresolved { reason, nearest: None };
        let path = path::parse(name).map_err(|(reason, nearest)| Unresolved { reason, nearest })?;
        let mut places = self.0.lock();
        let above = match parent {
            Some(slot) => match places.get_index(slot.0 as usize) {
                Some((_, place)) => Some(place.clone()),
                None => return Err(unresolved("the name lies below one of another layout".to_owned())),
            },
            None => None,
        };
        match &above {
            None if matches!(path.target, Target::Own(_) | Target::Repetitions(None, _)) && path.through.is_empty() => {
                let reason =
                    format!("`{name}` names an element of no segment: write its name before it, like `BEG.{name}`");
                return Err(unresolved(reason));
            }
            Some(above) if matches!(above.path.target, Target::Repetitions(..)) => {
                return Err(unresolved(format!("`{}` is a single value", above.name)));
            }
            Some(_) if path.rooted => return Err(unresolved(format!("`{name}` begins at the whole message"))),
            // One segment alone: what is not in it is looked for around it.
            Some(above) if above.stops.is_none() && !own(above, &path) => {
                let reason = format!(
                    "`{name}` is no part of one segment; `each` over `{}..` takes in what follows it",
                    above.name
                );
                return Err(unresolved(reason));
            }
            _ => {}
        }
        let stops = match &path.target {
            Target::Runs(run) => run.ends.as_ref().map(|ends| {
                let outer = above.as_ref().and_then(|above| above.stops.as_ref());
                let outer = if path.through.is_empty() { outer } else { None };
                let own = std::iter::once(&run.pattern.id).chain(ends);
                own.chain(outer.into_iter().flatten()).cloned().collect()
            }),
            _ => None,
        };
        let text = FieldKind::Text { max_chars: None };
        let (kind, repeats) = match &path.target {
            Target::Runs(_) => (FieldKind::Group, true),
            Target::Repetitions(..) => (text, true),
            Target::Value(..) | Target::Own(_) | Target::Envelope(_) => (text, false),
        };
        let parent = parent.map(|slot| slot.0);
        let place = Place { name: name.to_owned(), parent, path, stops };
        let (index, _) = places.insert_full((parent, name.to_owned()), place);
        let slot = u32::try_from(index).map_err(|_| unresolved("too many names".to_owned()))?;
        Ok(Resolved { slot: Slot(slot), kind, repeats })
    }

    /// What is known now, for a reader.
    pub(super) fn snapshot(&self) -> Vec<Place> {
        self.0.lock().values().cloned().collect()
    }
}

/// True for a path that stays within the one segment of the place above it.
fn own(above: &Place, path: &Path) -> bool {
    let same = |pattern: &Pattern| matches!(&above.path.target, Target::Runs(run) if run.pattern.id == pattern.id);
    match &path.target {
        Target::Own(_) | Target::Repetitions(None, _) => path.through.is_empty(),
        Target::Value(pattern, _) | Target::Repetitions(Some(pattern), _) => path.through.is_empty() && same(pattern),
        Target::Runs(_) | Target::Envelope(_) => false,
    }
}

/// A message with the places that a mapping wants of it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) message: &'a Message,
    pub(super) places: &'a [Place],
}

impl<'a> View<'a> {
    fn place(&self, slot: Slot) -> Result<&'a Place, FieldFault> {
        self.places.get(slot.0 as usize).ok_or_else(foreign_slot)
    }

    pub(super) fn read(&self, slot: Slot, scope: Scope) -> Result<Value<'a>, FieldFault> {
        let place = self.place(slot)?;
        if let Target::Envelope(wanted) = place.path.target {
            let text = self.message.envelope(wanted).map_err(|unmappable| self.message.unmappable(unmappable))?;
            return Ok(if text.is_empty() { Value::Null } else { Value::Text(text) });
        }
        self.message.value(self.data(slot, scope)?)
    }

    /// The bytes of a value; `None` where it is not there.
    pub(super) fn data(&self, slot: Slot, scope: Scope) -> Result<Option<Data<'a>>, FieldFault> {
        let (message, place) = (self.message, self.place(slot)?);
        match &place.path.target {
            Target::Repetitions(..) => {
                let data = message.repetition_at(scope.0 as usize);
                let separators = message.syntax().map(|syntax| syntax.separators);
                if separators.is_some_and(|separators| components(data.bytes, &separators).count() > 1) {
                    let expected = format!("one value at {}", place.name);
                    let found = "a composite".to_owned();
                    return Err(FieldFault { code: RejectCode::BadType, expected, found });
                }
                Ok(Some(data))
            }
            Target::Value(_, item) | Target::Own(item) => match self.segment(slot, place, scope)? {
                Some(segment) => message.item(segment, *item, &place.name),
                None => Ok(None),
            },
            Target::Runs(_) | Target::Envelope(_) => Ok(None),
        }
    }

    /// The one segment that a place is in.
    fn segment(&self, slot: Slot, place: &Place, scope: Scope) -> Result<Option<usize>, FieldFault> {
        if let Some(found) = self.message.trail.last(slot.0, scope.0) {
            return Ok(found.at);
        }
        let at = match (self.range(place, scope)?, &place.path.target) {
            (Some((from, to)), Target::Value(pattern, _) | Target::Repetitions(Some(pattern), _)) => {
                self.only(pattern, from, to)?
            }
            (Some((from, _)), _) => Some(from),
            (None, _) => None,
        };
        self.message.trail.keep(slot.0, Found { scope: scope.0, index: 0, at, to: 0 });
        Ok(at)
    }

    /// The segments that a place is looked for in; `None` where a run on the way is not there.
    fn range(&self, place: &Place, scope: Scope) -> Result<Option<(usize, usize)>, FieldFault> {
        let all = self.message.spans.len();
        let (mut from, mut to) = match place.parent.filter(|_| !place.path.rooted) {
            None => (0, all),
            Some(parent) => {
                let from = scope.0 as usize;
                let stops = self.places.get(parent as usize).and_then(|parent| parent.stops.as_deref());
                (
                    from,
                    stops.map_or(from + 1, |stops| {
                        self.end(from, all, |id| stops.iter().any(|stop| stop.as_bytes() == id))
                    }),
                )
            }
        };
        for run in &place.path.through {
            let Some(start) = self.only(&run.pattern, from, to)? else { return Ok(None) };
            let ends = run.ends.as_deref().unwrap_or_default();
            let stops = |id: &[u8]| run.pattern.id.as_bytes() == id || ends.iter().any(|end| end.as_bytes() == id);
            (from, to) = (start, self.end(start, to, stops));
        }
        Ok(Some((from, to)))
    }

    /// Index of the first segment behind `start` that stops a run.
    fn end(&self, start: usize, to: usize, stops: impl Fn(&[u8]) -> bool) -> usize {
        (start + 1..to).find(|index| stops(self.id(*index))).unwrap_or(to)
    }

    fn id(&self, segment: usize) -> &'a [u8] {
        match self.message.syntax() {
            Some(syntax) => id(self.message.segment(segment).bytes, &syntax.separators),
            None => b"",
        }
    }

    /// The one segment that fits; two are a fault, because nobody has said which.
    fn only(&self, pattern: &Pattern, from: usize, to: usize) -> Result<Option<usize>, FieldFault> {
        let mut found = (from..to).filter(|index| self.fits(pattern, *index));
        let Some(first) = found.next() else { return Ok(None) };
        match found.next() {
            None => Ok(Some(first)),
            Some(second) => Err(FieldFault {
                code: RejectCode::Ambiguous,
                expected: format!("one segment {}", shown(pattern)),
                found: format!("more than one: segments {} and {}", first + 1, second + 1),
            }),
        }
    }

    fn fits(&self, pattern: &Pattern, index: usize) -> bool {
        if self.id(index) != pattern.id.as_bytes() {
            return false;
        }
        let Some(syntax) = self.message.syntax() else { return false };
        pattern.values.iter().all(|(item, value)| {
            // The first component of a composite is what a value without a component means.
            let data = syntax.value(self.message.segment(index).bytes, (item.element, item.component.max(1)));
            data == value.as_bytes() || text_of(data, &syntax.separators) == *value
        })
    }

    pub(super) fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault> {
        let place = self.place(slot)?;
        match &place.path.target {
            Target::Runs(run) => {
                let Some((from, to)) = self.range(place, scope)? else { return Ok(0) };
                Ok((from..to).filter(|index| self.fits(&run.pattern, *index)).count())
            }
            Target::Repetitions(_, number) => {
                let segment = self.segment(slot, place, scope)?;
                Ok(segment.map_or(0, |segment| self.message.repeated(segment, *number).count()))
            }
            _ => Ok(1),
        }
    }

    /// Elements are asked for one after another: the search goes on where it ended.
    pub(super) fn element(&self, slot: Slot, scope: Scope, index: usize) -> Scope {
        let Ok(place) = self.place(slot) else { return scope };
        let found = match &place.path.target {
            Target::Runs(run) => self.nth(run, place, slot, scope, index),
            Target::Repetitions(_, number) => {
                let segment = self.segment(slot, place, scope).ok().flatten();
                let data = segment.and_then(|segment| self.message.repeated(segment, *number).nth(index));
                data.map(|data| data.offset)
            }
            _ => None,
        };
        found.and_then(|found| u32::try_from(found).ok()).map_or(scope, Scope)
    }

    fn nth(&self, run: &Run, place: &Place, slot: Slot, scope: Scope, index: usize) -> Option<usize> {
        let trail = &self.message.trail;
        let last = trail.last(slot.0, scope.0).filter(|last| last.index < index);
        let (skip, from, to) = match last.and_then(|last| Some((last.index, last.at?, last.to))) {
            Some((before, at, to)) => (index - before - 1, at + 1, to),
            None => {
                let (from, to) = self.range(place, scope).ok()??;
                (index, from, to)
            }
        };
        let found = (from..to).filter(|at| self.fits(&run.pattern, *at)).nth(skip)?;
        trail.keep(slot.0, Found { scope: scope.0, index, at: Some(found), to });
        Some(found)
    }

    pub(super) fn span(&self, slot: Slot, scope: Scope) -> Option<(u32, u32)> {
        Some(self.data(slot, scope).ok()??.span())
    }

    pub(super) fn write_text(&self, slot: Slot, scope: Scope, out: &mut Vec<u8>) -> bool {
        let Ok(Some(data)) = self.data(slot, scope) else { return false };
        if !self.message.is_plain(data) {
            return false;
        }
        out.push(b'"');
        out.extend_from_slice(data.bytes);
        out.push(b'"');
        true
    }
}

/// A pattern as it is written.
fn shown(pattern: &Pattern) -> String {
    let item = |item: &Item| match item.component {
        0 => format!("{:02}", item.element),
        component => format!("{:02}.{component:02}", item.element),
    };
    let values: Vec<_> = pattern.values.iter().map(|(at, value)| format!("{}={value}", item(at))).collect();
    if values.is_empty() { pattern.id.clone() } else { format!("{}[{}]", pattern.id, values.join(",")) }
}
