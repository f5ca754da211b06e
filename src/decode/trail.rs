//! Where in a record things were found, so that nothing is looked for from the start again and again.
//!
//! A mapping asks for the elements of a table one after another, and inside of each for the same values around it. In a
//! record of many thousand segments a search from its start for every one of them would take for ever.

use std::cell::RefCell;

/// What was found for a slot last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The scope that it was looked for in.
    pub(super) scope: u32,
    /// Which element of a table; 0 for what is no table.
    pub(super) index: usize,
    /// Where; `None` where it is not there.
    pub(super) at: Option<usize>,
    /// Where the search ends.
    pub(super) to: usize,
}

/// The last find of every slot in one record.
#[derive(Debug, Default)]
pub(super) struct Trail(RefCell<Slots>);

#[derive(Debug, Default)]
struct Slots {
    record: u64,
    found: Vec<(u64, Option<Found>)>,
}

impl Trail {
    /// Forgets all: another record begins.
    pub(super) fn clear(&self) {
        self.0.borrow_mut().record += 1;
    }

    /// What was found last for the slot in this scope.
    pub(super) fn last(&self, slot: u32, scope: u32) -> Option<Found> {
        let slots = self.0.borrow();
        let (record, found) = slots.found.get(slot as usize)?;
        found.filter(|found| *record == slots.record && found.scope == scope)
    }

    /// Keeps what was found.
    pub(super) fn keep(&self, slot: u32, found: Found) {
        let slots = &mut *self.0.borrow_mut();
        let index = slot as usize;
        if slots.found.len() <= index {
            slots.found.resize(index + 1, (0, None));
        }
        if let Some(entry) = slots.found.get_mut(index) {
            *entry = (slots.record, Some(found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Trail};

    #[test]
    fn finds_are_of_their_record_slot_and_scope() {
        let trail = Trail::default();
        trail.clear();
        let found = Found { scope: 2, index: 1, at: Some(7), to: 9 };
        trail.keep(3, found);
        assert_eq!(trail.last(3, 2), Some(found));
        assert_eq!((trail.last(3, 1), trail.last(2, 2), trail.last(9, 2)), (None, None, None));
        trail.clear();
        assert_eq!(trail.last(3, 2), None);
    }
}
