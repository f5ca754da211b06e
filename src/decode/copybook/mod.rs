//! COBOL copybooks, read as they are: a copybook is the contract with the old system, and retyping it is where layouts
//! drift.
//!
//! The way through: [`source`] takes the text out of its columns, [`lexer`] cuts it into words, [`parser`] reads the data
//! description entries, [`layout`] gives every item its place. What is not supported is a fault at its line; nothing is
//! guessed, and all faults are reported at once. What this knows nothing of: code pages, bytes, records.

mod layout;
mod lexer;
mod parser;
mod picture;
mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::diagnostic::{Faults, SourceText};

pub(in crate::decode) use layout::ColumnRecord;
pub use layout::{Copybook, Data, Item, Occurs, SignPosition};

/// How the lines of a copybook are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceFormat {
    /// Found out from the text.
    #[default]
    Auto,
    /// Sequence number in columns 1 to 6, indicator in 7, text in 8 to 72.
    Fixed,
    /// Text anywhere.
    Free,
}

impl SourceFormat {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, SourceFormat)] =
        &[("auto", SourceFormat::Auto), ("fixed", SourceFormat::Fixed), ("free", SourceFormat::Free)];
}

/// Reads a copybook; `None` when it has faults.
pub fn parse(source: &Arc<SourceText>, format: SourceFormat, faults: &Faults) -> Option<Copybook> {
    let before = faults.len();
    let text = source::Text::of(source, format, faults);
    let tokens = lexer::tokens(&text, source, faults);
    let entries = parser::entries(&tokens, source, faults);
    let copybook = layout::build(entries, source, faults);
    (faults.len() == before).then_some(copybook)
}
