//! What flows through the house: a record as its source wrote it, the values in it, where it came
//! from, the document it becomes, and the reject it becomes when it cannot.
//!
//! Nothing here reads a file, knows a format or a database. Every other module speaks in these words.

mod decimal;
mod document;
mod fields;
pub mod key;
mod position;
mod reject;
mod resource;
mod value;

pub use decimal::{Decimal, DecimalError};
pub use document::{ContentHash, Document};
pub use fields::{FieldFault, FieldKind, Fields, Layout, Part, RawRecord, Resolved, Scope, Slot, Unresolved, Wanted};
pub use position::{BlobId, ParseBlobIdError, Position, Provenance};
pub use reject::{Reject, RejectCode};
pub use resource::{ParseResourceIdError, ResourceId};
pub use value::Value;
