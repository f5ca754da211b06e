//! Live reads over sockets: facade, gate, SOAP adapter, mapping, against a service that behaves and misbehaves.

mod backend;
pub(crate) mod erp;
mod fresh;
mod read;
mod shared;
pub(crate) mod site;
mod unseen;
