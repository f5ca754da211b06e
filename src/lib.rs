#![doc = include_str!("ARCHITECTURE.md")]

pub mod record;

pub mod diagnostic;

pub mod decode;
pub mod gate;

pub mod adapters;

pub mod mapping;
pub mod staging;
