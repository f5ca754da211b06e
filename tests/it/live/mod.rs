//! Live reads over sockets: facade, gate, SOAP adapter, mapping, against a service that behaves and misbehaves.

pub(crate) mod erp;
mod read;
pub(crate) mod site;
