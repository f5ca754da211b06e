//! Which columns a mapping uses: a layout that listens.

use indexmap::IndexSet;
use parking_lot::Mutex;

use crate::record::{Layout, Resolved, Slot, Unresolved, Wanted};

/// A layout that keeps the names that were found in it.
pub(in crate::mapping) struct Heard<'a> {
    layout: &'a dyn Layout,
    names: Mutex<IndexSet<String>>,
}

impl<'a> Heard<'a> {
    pub(in crate::mapping) fn new(layout: &'a dyn Layout) -> Heard<'a> {
        Heard { layout, names: Mutex::default() }
    }

    /// The names so far, in the order in which they were asked for first.
    pub(in crate::mapping) fn names(&self) -> Vec<String> {
        self.names.lock().iter().cloned().collect()
    }
}

impl Layout for Heard<'_> {
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        self.resolve_as(parent, name, Wanted::Value)
    }

    fn resolve_as(&self, parent: Option<Slot>, name: &str, wanted: Wanted) -> Result<Resolved, Unresolved> {
        let resolved = self.layout.resolve_as(parent, name, wanted)?;
        self.names.lock().insert(name.to_owned());
        Ok(resolved)
    }

    fn names(&self) -> Vec<String> {
        self.layout.names()
    }

    fn says_null(&self) -> bool {
        self.layout.says_null()
    }

    fn record(&self, name: &str) -> Option<Slot> {
        self.layout.record(name)
    }

    fn record_types(&self) -> Vec<String> {
        self.layout.record_types()
    }
}
