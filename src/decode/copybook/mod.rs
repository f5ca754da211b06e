//! COBOL copybooks, read as they are: a copybook is the contract with the old system, and retyping it is where layouts
//! drift.
//!
//! The way through: [`source`] takes the text out of its columns, [`lexer`] cuts it into words, [`copying`] puts in what
//! COPY names and [`replace`] changes the words that REPLACING and REPLACE say, [`parser`] reads the data description
//! entries, [`storage`] says what every item holds, [`layout`] gives it its place. What is not supported is a fault at
//! its line; nothing is guessed, and all faults are reported at once. What this knows nothing of: code pages, bytes,
//! records.

mod clauses;
mod conditional;
mod constants;
mod copying;
mod editing;
mod entry;
mod layout;
mod lexer;
mod parser;
mod picture;
mod places;
mod replace;
mod source;
mod storage;
#[cfg(test)]
mod tests;
mod values;

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Faults, SourceText};

pub(in crate::decode) use layout::{Column, ColumnRecord};
pub use layout::{Copybook, Data, Item, Occurs, SignPosition, ValueName};
pub(in crate::decode) use layout::{record_of, tables_above};
pub use picture::{EditMark, edit_marks};

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

/// How many bytes a binary number takes, by the digits of its picture. The names are those that GnuCOBOL gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinarySize {
    /// 2, 4 or 8 (Enterprise COBOL; Micro Focus with IBMCOMP).
    TwoFourEight,
    /// 1, 2, 4 or 8, and 16 beyond 18 digits (GnuCOBOL).
    OneTwoFourEight,
    /// As few as hold the digits, and 16 beyond 18 digits (Micro Focus without IBMCOMP).
    OneToEight,
}

impl BinarySize {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, BinarySize)] = &[
        ("2-4-8", BinarySize::TwoFourEight),
        ("1-2-4-8", BinarySize::OneTwoFourEight),
        ("1--8", BinarySize::OneToEight),
    ];
}

/// What SYNCHRONIZED does to an item's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// Halfword to 4 digits, fullword beyond, doubleword for COMP-2 (Enterprise COBOL).
    Ibm,
    /// A multiple of the item's own length (GnuCOBOL).
    Natural,
    /// Nothing (Micro Focus without IBMCOMP).
    None,
}

/// How a compiler would have read the copybook.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// How the lines are laid out.
    pub format: SourceFormat,
    /// DECIMAL-POINT IS COMMA: in pictures comma and point change places.
    pub decimal_comma: bool,
    /// The character that stands for the currency in pictures.
    pub currency: char,
    /// Bytes of binary numbers.
    pub binary_size: BinarySize,
    /// Whether a binary number may be as large as its bytes allow (TRUNC(BIN)), or is held to its picture.
    pub binary_full: bool,
    /// What SYNCHRONIZED does.
    pub alignment: Alignment,
    /// Bytes of an address: 4 or 8.
    pub pointer: usize,
    /// Whether edited numbers are read as text.
    pub edited_text: bool,
    /// Whether items of one group must have one level number (GnuCOBOL).
    pub strict_levels: bool,
    /// Whether what redefines an item below level 01 may be larger than it (Micro Focus).
    pub larger_redefines: bool,
    /// Whether FLOAT-DECIMAL-16 and -34 are known (GnuCOBOL).
    pub decimal_floats: bool,
    /// What the compiler was told to define: names with their values.
    pub defines: Vec<(String, String)>,
}

impl Default for Dialect {
    /// Enterprise COBOL.
    fn default() -> Dialect {
        Dialect {
            format: SourceFormat::Auto,
            decimal_comma: false,
            currency: '$',
            binary_size: BinarySize::TwoFourEight,
            binary_full: false,
            alignment: Alignment::Ibm,
            pointer: 4,
            edited_text: false,
            strict_levels: false,
            larger_redefines: false,
            decimal_floats: false,
            defines: Vec::new(),
        }
    }
}

/// A place in a copybook or in a text that it copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The text.
    pub source: Arc<SourceText>,
    /// Its bytes.
    pub span: Range<usize>,
}

impl Spot {
    /// A fault there.
    pub fn fault(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(&self.source, self.span.clone(), message)
    }
}

/// Reads a copybook; `None` when it has faults. `texts` answers with what COPY may name: files in the copybook's own
/// folder, `path` being the copybook's path as written.
pub fn parse(
    path: &str,
    source: &Arc<SourceText>,
    dialect: &Dialect,
    texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
    faults: &Faults,
) -> Option<Copybook> {
    let before = faults.len();
    let library = copying::Library::new(path, texts, dialect, faults);
    let tokens = library.read(source);
    let tokens = replace::replace_statements(tokens, faults);
    let entries = parser::entries(&tokens, source, dialect, faults);
    let mut copybook = layout::build(entries, source, dialect, faults);
    copybook.texts = library.into_used();
    (faults.len() == before).then_some(copybook)
}
