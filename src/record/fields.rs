//! The two questions a mapping asks of a format: "what is this name?" once, when it is compiled, and
//! "what does it hold?" for every record.
//!
//! A format answers the first with a [`Slot`] and the second by slot, so that no name is looked up per
//! record. Groups that repeat are walked by [`Scope`]: one element of a table is a scope, and the slots
//! below the table are read relative to it.

use super::{Position, RejectCode, Value};

/// A named place of a layout, valid for the layout that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub u32);

/// An element of a repeating group within one record; [`Scope::ROOT`] is the record itself. What the
/// number means is the format's own (a byte offset, a node).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope(pub u32);

impl Scope {
    /// The whole record.
    pub const ROOT: Scope = Scope(0);
}

/// What stands at a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Text.
    Text {
        /// The most characters it can have, where the layout bounds it.
        max_chars: Option<u32>,
    },
    /// An exact number.
    Number {
        /// All its digits.
        digits: u8,
        /// Those behind the decimal point.
        scale: u8,
        /// Whether it can be negative.
        signed: bool,
    },
    /// A binary float.
    Float,
    /// Raw bytes.
    Bytes {
        /// How many, where the layout fixes it.
        length: Option<u32>,
    },
    /// Fields below it, once.
    Group,
}

/// The answer to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The place, for [`Fields`].
    pub slot: Slot,
    /// What one occurrence of it is.
    pub kind: FieldKind,
    /// True when it repeats relative to the scope it was resolved in: read it through
    /// [`Fields::count`] and [`Fields::element`].
    pub repeats: bool,
}

/// A name that a layout does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// One clear sentence: what is wrong with the name (not there, ambiguous, inside a table).
    pub reason: String,
    /// The nearest name that exists.
    pub nearest: Option<String>,
}

/// What a name is wanted for. Formats that know nothing of a file before they read it take it for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A single value.
    Value,
    /// A group, once.
    Group,
    /// Each occurrence of a group.
    EachGroup,
    /// Each occurrence of a single field.
    EachValue,
}

/// A format's compiled layout, as a mapping sees it.
pub trait Layout: Send + Sync {
    /// Finds `name` (`ORD-NO`, or qualified from the outside in: `CUSTOMER.NAME`) below `parent`, or in the
    /// whole record. A name below a repeating group resolves only with that group as `parent`.
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved>;

    /// As [`resolve`](Layout::resolve), with what the name is wanted for. A layout that knows what its names are says
    /// so, whatever is wanted; whether it fits is for the caller to judge.
    fn resolve_as(&self, parent: Option<Slot>, name: &str, wanted: Wanted) -> Result<Resolved, Unresolved> {
        let _ = wanted;
        self.resolve(parent, name)
    }

    /// The names of all elementary fields, in the order of the record, for messages and proposals.
    fn names(&self) -> Vec<String>;

    /// Whether a field without a value was said to have none, as databases say NULL: it is null then, whatever becomes of
    /// blanks.
    fn says_null(&self) -> bool {
        false
    }

    /// The record type of this name, where the layout tells several apart: the parent under which its fields resolve, and
    /// what [`Part::record`] says.
    fn record(&self, name: &str) -> Option<Slot> {
        let _ = name;
        None
    }

    /// The names of the record types; none where there is only one.
    fn record_types(&self) -> Vec<String> {
        Vec::new()
    }
}

/// One of the records that a document is made of, where a source nests several into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its type: the slot of the record in the layout.
    pub record: Slot,
    /// The scope in which its fields are read.
    pub scope: Scope,
    /// Where its bytes begin in those of the document.
    pub offset: u32,
    /// How many it has.
    pub length: u32,
    /// The part that it is below; its own index for the first part, which is below none.
    pub parent: u32,
    /// The index behind the last part that is below it.
    pub end: u32,
}

/// The values of one record.
pub trait Fields {
    /// The value at `slot` in `scope`.
    ///
    /// `Ok(Text("""))` is an empty text; blank numbers, bad digits, low values and bytes that the code page
    /// does not have are faults.
    fn read(&self, slot: Slot, scope: Scope) -> Result<Value<'_>, FieldFault>;

    /// A shorter way to what [`read`](Fields::read) says, for formats that have one: appends the text at `slot`
    /// as a JSON string, quotes included. Answers false, with `out` as it was, for everything but a text that is
    /// there, sound and not blank; then `read` tells.
    fn write_text(&self, slot: Slot, scope: Scope, out: &mut Vec<u8>) -> bool {
        let _ = (slot, scope, out);
        false
    }

    /// A shorter way to what [`read`](Fields::read) says, for formats that have one: the number at `slot`
    /// without its decimal point, whose place [`FieldKind::Number`] tells. `None` for everything but a sound
    /// number that fits; then `read` tells.
    fn read_units(&self, slot: Slot, scope: Scope) -> Option<i64> {
        let _ = (slot, scope);
        None
    }

    /// The shortest way, for formats that have numbers as they are written: appends the number at `slot` and answers true
    /// where it has the decimals that [`FieldKind::Number`] tells, `most` digits at most, and no sign or zero that would not
    /// be written. Else nothing is appended.
    fn write_number(&self, slot: Slot, scope: Scope, most: usize, out: &mut Vec<u8>) -> bool {
        let _ = (slot, scope, most, out);
        false
    }

    /// The fault that the bytes at `slot` are if blanks are none of its values, although they can be the bytes of a number
    /// that [`read`](Fields::read) tells: of binary numbers and floats filled with blanks. Asked only for fields of which a
    /// mapping says what a blank is.
    fn filled(&self, slot: Slot, scope: Scope) -> Option<FieldFault> {
        let _ = (slot, scope);
        None
    }

    /// How often the repeating `slot` occurs in `scope`.
    fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault>;

    /// The scope of occurrence `index` (from 0) of the repeating `slot`.
    fn element(&self, slot: Slot, scope: Scope, index: usize) -> Scope;

    /// Where the field's bytes lie: offset within the record and length. `None` where a field has no bytes
    /// of its own.
    fn span(&self, slot: Slot, scope: Scope) -> Option<(u32, u32)>;

    /// The record itself, for the format that made it: formats that keep more than fields find it again by its type.
    fn as_any(&self) -> Option<&dyn std::any::Any> {
        None
    }

    /// What may be wrong with the whole record, when the value at this offset cannot be read: one sentence, a guess.
    /// Dear: asked for a record that is rejected anyway.
    fn hint(&self, from: u32) -> Option<String> {
        let _ = from;
        None
    }

    /// The layout's own name of the slot.
    fn name(&self, slot: Slot) -> &str;

    /// The records that the document is made of, in the order of the file: where a source has several record types, also
    /// for a record that stands alone. Empty for sources of one type.
    fn parts(&self) -> &[Part] {
        &[]
    }
}

/// Why a field has no value. Turned into a value or into a [`Reject`](super::Reject) by the mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// The kind of fault; [`RejectCode::Blank`] is the one that a mapping's `blank` policy can forgive.
    pub code: RejectCode,
    /// What the layout expected here, as a phrase: `packed decimal S9(9)V99 COMP-3`.
    pub expected: String,
    /// What stands there, in hex or as text with a position: `nibble A at byte 3`.
    pub found: String,
}

/// One record as its source wrote it.
pub struct RawRecord<'a> {
    /// The record's own bytes, without framing.
    pub raw: &'a [u8],
    /// Where it lies in its source.
    pub position: Position,
    /// What it says.
    pub fields: &'a dyn Fields,
}
