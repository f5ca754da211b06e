//! The record that a reader lends, as a mapping reads it.

use std::any::Any;

use super::Edi;
use super::generic::{Place, View};
use super::message::Message;
use crate::decode::json::JsonOptions;
use crate::record::{FieldFault, Fields, Position, Reject, Scope, Slot, Value};

/// A message, and by what its values are named.
pub(super) struct Lent {
    pub(super) message: Message,
    places: Vec<Place>,
}

impl Lent {
    pub(super) fn new(edi: &Edi, message: Message) -> Lent {
        Lent { message, places: edi.places() }
    }

    fn view(&self) -> View<'_> {
        View { message: &self.message, places: &self.places }
    }

    /// Holds the message against the schema, where there is one.
    pub(super) fn understand(&mut self, position: Position) -> Result<(), Box<Reject>> {
        let _ = position;
        Ok(())
    }

    /// The message is none that a schema describes.
    pub(super) fn forget_tree(&mut self) {}

    pub(super) fn write_json(
        &self,
        position: Position,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        self.message.write_json(position, options, out)
    }
}

impl Fields for Lent {
    fn read(&self, slot: Slot, scope: Scope) -> Result<Value<'_>, FieldFault> {
        self.view().read(slot, scope)
    }

    fn write_text(&self, slot: Slot, scope: Scope, out: &mut Vec<u8>) -> bool {
        self.view().write_text(slot, scope, out)
    }

    fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault> {
        self.view().count(slot, scope)
    }

    fn element(&self, slot: Slot, scope: Scope, index: usize) -> Scope {
        self.view().element(slot, scope, index)
    }

    fn span(&self, slot: Slot, scope: Scope) -> Option<(u32, u32)> {
        self.view().span(slot, scope)
    }

    fn name(&self, slot: Slot) -> &str {
        self.places.get(slot.0 as usize).map_or("", |place| &place.name)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
