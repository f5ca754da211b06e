//! The record that a reader lends, as a mapping reads it.

use std::any::Any;
use std::sync::Arc;

use super::generic::{self, Place};
use super::message::Message;
use super::path::Envelope;
use super::schema::{self, Tree};
use super::{Described, Edi};
use crate::decode::json::JsonOptions;
use crate::decode::pieces::{Sink, Unwritten};
use crate::record::{FieldFault, Fields, Position, Reject, RejectCode, Scope, Slot, Value};

/// A message, and by what its values are named.
pub(super) struct Lent {
    pub(super) message: Message,
    naming: Naming,
}

enum Naming {
    /// By path.
    Paths(Vec<Place>),
    /// By a schema; `tree` is there for the messages that it describes.
    Schema { schema: Arc<Described>, tree: Option<Tree> },
}

/// How values are found.
enum Seen<'a> {
    Paths(generic::View<'a>),
    Schema(schema::View<'a>),
}

impl Lent {
    pub(super) fn new(edi: &Edi, message: Message) -> Lent {
        let naming = match edi.described() {
            Some(schema) => Naming::Schema { schema: Arc::clone(schema), tree: None },
            None => Naming::Paths(edi.places()),
        };
        Lent { message, naming }
    }

    fn seen(&self) -> Seen<'_> {
        let message = &self.message;
        match &self.naming {
            Naming::Paths(places) => Seen::Paths(generic::View { message, places }),
            Naming::Schema { schema, tree } => {
                let (names, schema) = (&schema.names, &schema.schema);
                Seen::Schema(schema::View { schema, names, message, tree: tree.as_ref() })
            }
        }
    }

    /// Holds the message against the schema, where there is one. A message of another type is no fault of it: a mapping
    /// may well leave it out.
    pub(super) fn understand(&mut self, position: Position) -> Result<(), Box<Reject>> {
        let Naming::Schema { schema, tree } = &mut self.naming else { return Ok(()) };
        let before = tree.take().unwrap_or_default();
        let schema = &schema.schema;
        let message = &self.message;
        let same = message.syntax().is_some_and(|syntax| syntax.standard == schema.standard);
        if !same || message.kind().ok().as_deref() != Some(&*schema.message) {
            return Ok(());
        }
        if let Some(wanted) = &schema.version {
            let version = message.envelope(Envelope::Version).unwrap_or_default();
            if !version.starts_with(wanted.as_str()) {
                let (expected, found) = (format!("version {wanted} of {}", schema.message), format!("`{version}`"));
                let fault = FieldFault { code: RejectCode::Unexpected, expected, found };
                let span = message.segment(0).span();
                return Err(Box::new(message.reject(fault, Some(message.place(0)), Some(span), position)));
            }
        }
        match schema::build(schema, message, before) {
            Ok(built) => {
                *tree = Some(built);
                Ok(())
            }
            Err((segment, bad)) => {
                let span = bad.span.unwrap_or_else(|| message.segment(segment).span());
                let field = match &bad.element {
                    Some(element) => format!("{}, element {element}", message.place(segment)),
                    None => message.place(segment),
                };
                Err(Box::new(message.reject(bad.fault, Some(field), Some(span), position)))
            }
        }
    }

    /// The message is none that a schema describes.
    pub(super) fn forget_tree(&mut self) {
        if let Naming::Schema { tree, .. } = &mut self.naming {
            *tree = None;
        }
    }

    /// Hands the record on as JSON, piece by piece; `None` where a schema names its values.
    pub(super) fn write_pieces(
        &self,
        position: Position,
        options: &JsonOptions,
        sink: &mut Sink<'_>,
    ) -> Option<Result<(), Unwritten>> {
        let Naming::Paths(_) = &self.naming else { return None };
        Some(self.message.write_pieces(position, options, sink))
    }

    pub(super) fn write_json(
        &self,
        position: Position,
        options: &JsonOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), Reject> {
        let message = &self.message;
        let Naming::Schema { schema, tree } = &self.naming else { return message.write_json(position, options, out) };
        let Some(tree) = tree else {
            let expected = format!("a message of type {}", schema.schema.message);
            let found = message.kind().unwrap_or_default();
            let fault = FieldFault { code: RejectCode::BadType, expected, found };
            return Err(message.reject(fault, None, None, position));
        };
        message.write_head(position, options, out)?;
        message.write_header(out).and_then(|()| schema::write_json(&schema.schema, message, tree, out)).map_err(
            |(segment, fault)| {
                let span = message.segment(segment).span();
                message.reject(fault, Some(message.place(segment)), Some(span), position)
            },
        )?;
        out.push(b'}');
        Ok(())
    }
}

macro_rules! seen {
    ($lent:ident, $method:ident($($argument:expr),*)) => {
        match $lent.seen() {
            Seen::Paths(view) => view.$method($($argument),*),
            Seen::Schema(view) => view.$method($($argument),*),
        }
    };
}

impl Fields for Lent {
    fn read(&self, slot: Slot, scope: Scope) -> Result<Value<'_>, FieldFault> {
        seen!(self, read(slot, scope))
    }

    fn write_text(&self, slot: Slot, scope: Scope, out: &mut Vec<u8>) -> bool {
        seen!(self, write_text(slot, scope, out))
    }

    fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault> {
        seen!(self, count(slot, scope))
    }

    fn element(&self, slot: Slot, scope: Scope, index: usize) -> Scope {
        seen!(self, element(slot, scope, index))
    }

    fn span(&self, slot: Slot, scope: Scope) -> Option<(u32, u32)> {
        seen!(self, span(slot, scope))
    }

    fn name(&self, slot: Slot) -> &str {
        match &self.naming {
            Naming::Paths(places) => places.get(slot.0 as usize).map_or("", |place| &place.name),
            Naming::Schema { .. } => match self.seen() {
                Seen::Schema(view) => view.name(slot),
                Seen::Paths(_) => "",
            },
        }
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}
