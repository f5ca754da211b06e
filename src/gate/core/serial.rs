//! Calls that go one at a time, in the order in which they came.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::Ticket;

/// The keys of calls that run or wait.
#[derive(Default)]
pub(super) struct Serials(HashMap<Arc<str>, Key>);

#[derive(Default)]
struct Key {
    runs: bool,
    waiting: BTreeSet<Ticket>,
}

impl Key {
    /// Who may go.
    fn next(&self) -> Option<Ticket> {
        self.waiting.first().copied().filter(|_| !self.runs)
    }
}

impl Serials {
    /// Whether a call that comes now may go: none of its key runs, and none waits.
    pub(super) fn is_free(&self, key: Option<&Arc<str>>) -> bool {
        key.is_none_or(|key| !self.0.contains_key(key))
    }

    /// Somebody waits; answers whether only for a place.
    pub(super) fn wait(&mut self, key: Option<&Arc<str>>, ticket: Ticket) -> bool {
        let Some(key) = key else { return true };
        let key = self.0.entry(Arc::clone(key)).or_default();
        key.waiting.insert(ticket);
        key.next() == Some(ticket)
    }

    /// Somebody does not wait any more; answers who may go in its place.
    pub(super) fn leave(&mut self, key: Option<&Arc<str>>, ticket: Ticket) -> Option<Ticket> {
        let name = key?;
        let key = self.0.get_mut(name)?;
        let was_next = key.next() == Some(ticket);
        key.waiting.remove(&ticket);
        let next = key.next().filter(|_| was_next);
        if key.waiting.is_empty() && !key.runs {
            self.0.remove(name);
        }
        next
    }

    /// A call of this key runs, be it one that waited.
    pub(super) fn run(&mut self, key: Option<&Arc<str>>, waited: Option<Ticket>) {
        if let Some(key) = key {
            let key = self.0.entry(Arc::clone(key)).or_default();
            key.runs = true;
            if let Some(ticket) = waited {
                key.waiting.remove(&ticket);
            }
        }
    }

    /// The call of this key is over; answers who may go now.
    pub(super) fn end(&mut self, key: Option<&Arc<str>>) -> Option<Ticket> {
        let name = key?;
        let key = self.0.get_mut(name)?;
        key.runs = false;
        let next = key.next();
        if next.is_none() {
            self.0.remove(name);
        }
        next
    }

    /// Nobody waits any more.
    pub(super) fn drain(&mut self) {
        self.0.retain(|_, key| {
            key.waiting.clear();
            key.runs
        });
    }
}
