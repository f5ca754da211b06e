//! The REST API over real sockets and a real SQLite file, route by route.

pub(crate) mod app;
mod auth;
mod changes;
pub(crate) mod client;
mod compression;
mod conditional;
mod connections;
mod cors;
mod cursors;
mod deleted;
mod formats;
mod freshness;
mod health;
mod hostile;
mod lineage;
mod lists;
mod manners;
mod openapi;
mod queries;
mod rates;
mod records;
mod relations;
mod reload;
mod strangers;
mod streams;
mod versions;
