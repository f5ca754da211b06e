//! From a WSDL to its documents: where they come from, what they may not exceed, and where they are kept.

mod closure;
pub(super) mod dom;
pub(super) mod finding;
mod location;
mod store;
pub(super) mod well_known;

pub use closure::{Closure, Document, Fetched, ImportFault, Limits, Offline, Settings, Web};
pub(super) use closure::{Outside, Source};
pub use finding::{Finding, FindingCode};
pub use location::Location;
pub(super) use store::Remembering;
pub use store::{Store, StoreFault, Stored};
