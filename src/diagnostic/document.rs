//! TOML as a tree in which every key and value knows its place.

use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Diagnostic, Faults, SourceText};

/// The entries of a table, in the order they were written.
pub type Entries = IndexMap<String, Node>;

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The file it stands in (values from the environment have a source of their own).
    pub source: Arc<SourceText>,
    /// The place of the value.
    pub span: Range<usize>,
    /// The place of the key that names it; for array elements and the root, the value's own.
    pub key_span: Range<usize>,
    /// The value.
    pub value: Written,
}

/// A TOML value as written.
#[derive(Clone, Debug)]
pub enum Written {
    /// A string.
    String(String),
    /// An integer that fits 64 bits.
    Integer(i64),
    /// A float, as its text: exact decimals are read from it.
    Float(String),
    /// A boolean.
    Boolean(bool),
    /// A date or time, as its text.
    Datetime(String),
    /// An array.
    Array(Vec<Node>),
    /// A table.
    Table(Entries),
}

impl Node {
    /// What it is, for "expected a string, found ...".
    pub fn kind(&self) -> &'static str {
        match self.value {
            Written::String(_) => "a string",
            Written::Integer(_) => "an integer",
            Written::Float(_) => "a float",
            Written::Boolean(_) => "a boolean",
            Written::Datetime(_) => "a date",
            Written::Array(_) => "an array",
            Written::Table(_) => "a table",
        }
    }

    /// A fault at the value.
    pub fn fault(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(&self.source, self.span.clone(), message)
    }

    /// A fault at the key.
    pub fn key_fault(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(&self.source, self.key_span.clone(), message)
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Written::String(text) = &self.value { Some(text) } else { None }
    }

    /// The table's entries, if it is one.
    pub fn as_table(&self) -> Option<&Entries> {
        if let Written::Table(entries) = &self.value { Some(entries) } else { None }
    }

    /// The array's elements, if it is one.
    pub fn as_array(&self) -> Option<&[Node]> {
        if let Written::Array(elements) = &self.value { Some(elements) } else { None }
    }
}

/// Parses a whole TOML file. Syntax faults go to `faults`; what could be read is returned all the same, so
/// that faults of meaning are reported with them.
pub fn parse(source: &Arc<SourceText>, faults: &Faults) -> Node {
    let (root, errors) = DeTable::parse_recoverable(&source.text);
    for error in errors {
        let end = source.text.len();
        let span = error.span().unwrap_or(end..end);
        faults.push(Diagnostic::new(source, span, error.message().to_owned()));
    }
    let span = root.span();
    let value = Written::Table(entries(source, root.get_ref(), faults));
    Node { source: Arc::clone(source), key_span: span.clone(), span, value }
}

fn entries(source: &Arc<SourceText>, table: &DeTable<'_>, faults: &Faults) -> Entries {
    let mut written: Vec<_> = table.iter().collect();
    // The parser sorts keys; people want them in the order they wrote.
    written.sort_by_key(|(key, _)| key.span().start);
    written
        .into_iter()
        .map(|(key, value)| (key.get_ref().to_string(), node(source, key.span(), value, faults)))
        .collect()
}

fn node(source: &Arc<SourceText>, key_span: Range<usize>, value: &Spanned<DeValue<'_>>, faults: &Faults) -> Node {
    let span = value.span();
    let written = match value.get_ref() {
        DeValue::String(text) => Written::String(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Written::Integer(number),
            Err(_) => {
                faults.push(Diagnostic::new(source, span.clone(), "integer does not fit 64 bits"));
                Written::Integer(0)
            }
        },
        DeValue::Float(number) => Written::Float(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Written::Boolean(*flag),
        DeValue::Datetime(moment) => Written::Datetime(moment.to_string()),
        DeValue::Array(elements) => {
            Written::Array(elements.iter().map(|e| node(source, e.span(), e, faults)).collect())
        }
        DeValue::Table(table) => Written::Table(entries(source, table, faults)),
    };
    Node { source: Arc::clone(source), span, key_span, value: written }
}
