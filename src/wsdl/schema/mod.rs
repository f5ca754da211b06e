//! Schemas, from documents to compiled types: what is declared ([`Schemas`]), and what it means ([`Compiler`]).

mod array;
mod attributes;
mod compiler;
mod content;
mod declared;
mod element;
mod pattern;
mod simple;

pub(super) use compiler::{At, Compiler};
pub(super) use declared::{Context, Kind, Schemas};
