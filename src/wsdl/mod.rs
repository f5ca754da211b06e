//! WSDL 1.1 and XML Schema 1.0: what a SOAP service says of itself, imported once and compiled into the [`Plan`] of each
//! operation. Responses are read and requests are written by the plan; nothing looks at a schema at run time.
//!
//! This module opens no connection.

mod import;
mod json_schema;
mod lexical;
mod names;
mod plan;
mod request;
mod schema;
mod service;
mod skeleton;
#[cfg(test)]
mod testing;

pub use import::{
    Closure, Document, Fetched, Finding, FindingCode, ImportFault, Limits, Location, Offline, Settings, Store,
    StoreFault, Stored, Web,
};
pub use names::{LocalId, Name, Names, NamespaceId};
pub use plan::*;
pub(crate) use request::impossible;
pub use request::{ATTACHMENTS, Attached, BODY, Envelope, HEADERS, Input, RequestFault};
pub use service::{Choice, Imported, Kept, NoPlan, Wsdl, import, import_kept, import_stored, import_unkept};
