//! The commands.

pub mod decode;
pub mod inspect;
