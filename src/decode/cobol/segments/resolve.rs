//! The names of a file of several record types, as a mapping finds them.
//!
//! A kind below another is a group that repeats: `from = "LINE-REC"` with `each`. At the top, names are those of the
//! kinds that begin a document. `_segment` is the record's type.

use super::super::plan::Plan;
use super::{ANY, Segments};
use crate::record::{FieldKind, Resolved, Slot, Unresolved};

/// The slot of `_segment`.
pub(in crate::decode::cobol) const SEGMENT_SLOT: Slot = Slot(u32::MAX - 1);
const SEGMENT_NAME: &str = "_segment";

impl Segments {
    pub(in crate::decode::cobol) fn resolve(
        &self,
        plan: &Plan,
        parent: Option<Slot>,
        name: &str,
    ) -> Result<Resolved, Unresolved> {
        if name == SEGMENT_NAME {
            return Ok(Resolved { slot: SEGMENT_SLOT, kind: FieldKind::Text { max_chars: None }, repeats: false });
        }
        // The kind that the name is looked for in, when it is a record itself.
        let within = parent.map(|slot| (self.kind_of(slot.0 as usize), slot));
        let children: Vec<u16> = match within {
            None => self.roots().flat_map(|root| self.kinds[usize::from(root)].children.clone()).collect(),
            Some((kind, slot)) if kind != ANY && self.slot(kind) == slot => {
                self.kinds.get(usize::from(kind)).map(|kind| kind.children.clone()).unwrap_or_default()
            }
            Some(_) => Vec::new(),
        };
        let is_child = |kind: &&u16| self.kinds[usize::from(**kind)].name.eq_ignore_ascii_case(name);
        if let Some(&child) = children.iter().find(is_child) {
            return Ok(Resolved { slot: self.slot(child), kind: FieldKind::Group, repeats: true });
        }
        if parent.is_some() {
            return plan.resolve(parent, name);
        }
        let found: Vec<(u16, Resolved)> = self
            .roots()
            .filter_map(|root| plan.resolve(Some(self.slot(root)), name).ok().map(|resolved| (root, resolved)))
            .collect();
        match found.as_slice() {
            [(_, one)] => Ok(*one),
            [] => Err(self.not_at_the_top(plan, name)),
            // The field that tells the types apart reads alike in all of them.
            [(_, first), ..] if self.field_items.contains(&(first.slot.0 as usize)) => Ok(*first),
            several => {
                let paths = several.iter().map(|(kind, _)| format!("`{}.{name}`", self.kinds[usize::from(*kind)].name));
                let paths: Vec<String> = paths.collect();
                let reason = format!("`{name}` is ambiguous: it may be {}", paths.join(" or "));
                Err(Unresolved { reason, nearest: None })
            }
        }
    }

    fn not_at_the_top(&self, plan: &Plan, name: &str) -> Unresolved {
        let below = self.kinds.iter().find(|kind| {
            let slot = Slot(u32::try_from(kind.record).unwrap_or(u32::MAX));
            kind.parent.is_some() && (plan.resolve(Some(slot), name).is_ok() || kind.name.eq_ignore_ascii_case(name))
        });
        if let Some(kind) = below {
            let reason = format!("`{name}` is in records `{}`: read it with `each` from `{}`", kind.name, kind.name);
            return Unresolved { reason, nearest: None };
        }
        // A name inside a table of a record, or none at all: the records say it best.
        let faults = self.roots().filter_map(|root| plan.resolve(Some(self.slot(root)), name).err());
        let told = faults.into_iter().find(|fault| fault.reason.contains("inside the table"));
        match told.or_else(|| plan.resolve(None, name).err()) {
            Some(fault) => fault,
            None => Unresolved { reason: format!("`{name}` is in no record of `segment_map`"), nearest: None },
        }
    }
}
