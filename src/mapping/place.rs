//! Where in a record a value is read: a slot of the layout, and which of the nested repeating groups it is
//! read in. Names are found once, from the innermost group outward.

use crate::record::{Fields, Layout, Resolved, Scope, Slot, Unresolved, Wanted};

/// How deep repeating groups may nest.
pub(super) const MAX_DEPTH: usize = 8;

/// A slot and the nesting level whose scope it is read in; 0 is the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) slot: Slot,
    pub(super) level: u8,
}

/// The groups that a rule stands in, from the record inward.
#[derive(Clone)]
pub(super) struct Surroundings<'a> {
    layout: &'a dyn Layout,
    groups: Vec<(u8, Option<Slot>)>,
}

impl<'a> Surroundings<'a> {
    /// The record itself.
    pub(super) fn record(layout: &'a dyn Layout) -> Surroundings<'a> {
        Surroundings { layout, groups: vec![(0, None)] }
    }

    /// Inside a group that does not repeat.
    pub(super) fn inside(&self, place: Place) -> Surroundings<'a> {
        let mut inner = self.clone();
        inner.groups.push((place.level, Some(place.slot)));
        inner
    }

    /// Inside one occurrence of a group that repeats.
    pub(super) fn inside_each(&self, place: Place) -> Surroundings<'a> {
        let mut inner = self.clone();
        inner.groups.push((self.level() + 1, Some(place.slot)));
        inner
    }

    /// The nesting level of repeating groups.
    pub(super) fn level(&self) -> u8 {
        self.groups.iter().map(|(level, _)| *level).max().unwrap_or(0)
    }

    /// Finds a name, innermost group first; the fault is the innermost group's.
    pub(super) fn resolve(&self, name: &str) -> Result<(Place, Resolved), Unresolved> {
        self.resolve_as(name, Wanted::Value)
    }

    /// The same, with what it is wanted for.
    pub(super) fn resolve_as(&self, name: &str, wanted: Wanted) -> Result<(Place, Resolved), Unresolved> {
        let mut first_fault = None;
        for (level, group) in self.groups.iter().rev() {
            match self.layout.resolve_as(*group, name, wanted) {
                Ok(resolved) => return Ok((Place { slot: resolved.slot, level: *level }, resolved)),
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        Err(first_fault.unwrap_or(Unresolved { reason: format!("there is no field `{name}`"), nearest: None }))
    }
}

/// The scopes of one record while it is walked: the record's own and one for each level of repetition.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) fields: &'a dyn Fields,
    scopes: [Scope; MAX_DEPTH + 1],
}

impl<'a> Walk<'a> {
    pub(super) fn new(fields: &'a dyn Fields) -> Walk<'a> {
        Walk { fields, scopes: [Scope::ROOT; MAX_DEPTH + 1] }
    }

    /// The scope that a place is read in.
    pub(super) fn scope(&self, place: Place) -> Scope {
        self.scopes[usize::from(place.level)]
    }

    /// Steps into an occurrence at `level`.
    pub(super) fn enter(&mut self, level: u8, scope: Scope) {
        self.scopes[usize::from(level)] = scope;
    }
}
