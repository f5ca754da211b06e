//! What is missing or odd in a WSDL. None of it stops an import: a finding says what is done instead, and which
//! operations have untyped places because of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingCode {
    /// A document that is imported or included is not to be had.
    MissingDocument,
    /// It lies outside of the folder, or on a host that is not allowed.
    RefusedDocument,
    /// It is not XML, too large, or in an encoding that is not read.
    UnreadableDocument,
    /// It has another namespace than the import says.
    WrongNamespace,
    /// A type, element, group or message is named that nothing declares.
    UnknownName,
    /// The same, where something with this local name is taken in its place.
    TakenByLocalName,
    /// A type is derived from itself, or a group contains itself.
    Circular,
    /// A name is declared twice, differently; the first one counts.
    DeclaredTwice,
    /// More than the limits allow.
    TooLarge,
    /// What is written cannot be, and what is done about it.
    Odd,
    /// Two members of an object would have the same name in JSON; one is called otherwise.
    RenamedMember,
    /// A pattern that cannot be checked.
    UncheckedPattern,
    /// A binding or port that is not for SOAP over HTTP, and is left out.
    LeftOut,
}

impl FindingCode {
    /// Its name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            FindingCode::MissingDocument => "missing_document",
            FindingCode::RefusedDocument => "refused_document",
            FindingCode::UnreadableDocument => "unreadable_document",
            FindingCode::WrongNamespace => "wrong_namespace",
            FindingCode::UnknownName => "unknown_name",
            FindingCode::TakenByLocalName => "taken_by_local_name",
            FindingCode::Circular => "circular",
            FindingCode::DeclaredTwice => "declared_twice",
            FindingCode::TooLarge => "too_large",
            FindingCode::Odd => "odd",
            FindingCode::RenamedMember => "renamed_member",
            FindingCode::UncheckedPattern => "unchecked_pattern",
            FindingCode::LeftOut => "left_out",
        }
    }

    /// Whether what has it is untyped, or in part.
    pub const fn leaves_untyped(self) -> bool {
        matches!(self, FindingCode::UnknownName | FindingCode::Circular | FindingCode::TooLarge)
    }

    /// Whether a strict import fails over it. What is not is a note: the WSDL is sound.
    pub const fn is_fault(self) -> bool {
        !matches!(self, FindingCode::RenamedMember | FindingCode::UncheckedPattern | FindingCode::LeftOut)
    }
}

/// Something missing or odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub code: FindingCode,
    /// The document, as it is known in the import.
    pub document: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// What it is, and what is done about it, as a sentence without a full stop.
    pub message: String,
    /// The operations that have untyped places because of it, as indexes into those of the WSDL.
    pub degrades: Vec<u32>,
}

impl fmt::Display for Finding {
    /// One line: `document:line: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.document, self.line, self.message)
    }
}

/// All findings of an import; of too many the rest is counted.
#[derive(Debug, Default)]
pub(in crate::wsdl) struct Findings {
    pub(in crate::wsdl) all: Vec<Finding>,
    /// Indexes, by what is said and where.
    known: HashMap<(Arc<str>, u32, String), usize>,
    /// How many more there are.
    pub(in crate::wsdl) untold: usize,
}

/// More are only counted.
const MOST: usize = 2_000;

impl Findings {
    /// Adds one, unless it was said of this place already; answers its index, if it has one.
    pub(in crate::wsdl) fn push(
        &mut self,
        code: FindingCode,
        document: &Arc<str>,
        line: u32,
        message: impl Into<String>,
    ) -> Option<usize> {
        let key = (Arc::clone(document), line, message.into());
        if let Some(known) = self.known.get(&key) {
            return Some(*known);
        }
        if self.all.len() >= MOST {
            self.untold += 1;
            return None;
        }
        let (document, message) = (Arc::clone(document), key.2.clone());
        self.known.insert(key, self.all.len());
        self.all.push(Finding { code, document, line, message, degrades: Vec::new() });
        Some(self.all.len() - 1)
    }
}
