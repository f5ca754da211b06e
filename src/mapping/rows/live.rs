//! What of a table or query can be asked for while somebody waits: a record by its key, records by the declared filters.
//! A value that a caller names goes the mapping's way back, so each such field must have one.

use crate::decode::Json;
use crate::decode::rows::ColumnKind;
use crate::diagnostic::{Entries, Faults, Node};
use crate::mapping::exposure::{FieldType, QueryField};
use crate::mapping::operations::{Bound, Scalar, Surroundings, rule_of, written_field};
use crate::record::key::{SEPARATOR, decode_part};

/// What makes several values of the source one of ours, or one of ours that the source does not have.
const LOSSY: [(&str, &str); 6] = [
    ("case", "its letters are changed"),
    ("default", "its nulls have another value"),
    ("blank", "its blanks have another value"),
    ("values_default", "many of its values become one"),
    ("unknown", "values that are not listed become others"),
    ("implied_scale", "its decimal point is not written"),
];

/// What can be asked for by a caller.
#[derive(Clone, Debug)]
pub struct LiveRows {
    key: Vec<LiveColumn>,
    filter: Vec<LiveColumn>,
}

/// A field that is one column.
#[derive(Clone, Debug)]
pub struct LiveColumn {
    /// The field's path.
    pub path: String,
    /// The column, as the mapping writes it.
    pub column: String,
    rules: Scalar,
    field_type: FieldType,
}

impl LiveRows {
    /// The columns of the key, in its order.
    pub fn key_columns(&self) -> Vec<String> {
        self.key.iter().map(|column| column.column.clone()).collect()
    }

    /// The columns of the key with what is bound to them for a key in its canonical form; `None` where no record has
    /// such a key.
    pub fn of_key(&self, key: &str) -> Option<Vec<(&str, Bound)>> {
        let parts: Vec<_> = key.split(SEPARATOR).map(decode_part).collect::<Result<_, _>>().ok()?;
        if parts.len() != self.key.len() {
            return None;
        }
        let bind = |(column, part): (&'_ LiveColumn, &std::borrow::Cow<'_, str>)| column.rules.read_text(part);
        let bound: Option<Vec<_>> = self.key.iter().zip(&parts).map(bind).collect();
        Some(self.key.iter().map(|column| column.column.as_str()).zip(bound?).collect())
    }

    /// Whether the database takes no other way of writing this key for the same, as far as is known; `is_exact` says of a
    /// column of text whether it tells apart whatever is written differently.
    pub fn is_written_one_way(&self, key: &str, is_exact: impl Fn(&str) -> bool) -> bool {
        let Some(bound) = self.of_key(key) else { return true };
        bound.iter().zip(key.split(SEPARATOR)).all(|((column, bound), part)| match bound {
            Bound::Text(_) => is_exact(column),
            Bound::Integer(number) => part == number.to_string(),
            Bound::Written(ColumnKind::Date, text) => part == text,
            _ => false,
        })
    }

    /// The column that a declared filter compares.
    pub fn filter(&self, path: &str) -> Option<&LiveColumn> {
        self.filter.iter().find(|column| column.path == path)
    }
}

impl LiveColumn {
    /// What is bound for a value as a caller writes it; `None` where no record can have it.
    pub fn bind(&self, text: &str) -> Option<Bound> {
        match self.field_type {
            FieldType::Integer { .. } | FieldType::Decimal { .. } | FieldType::Number => {
                self.rules.read(&Json::Number(text)).ok()
            }
            _ => self.rules.read_text(text),
        }
    }

    /// Of a field that lists its values, what is bound for those that begin so.
    pub fn listed(&self, beginning: &str) -> Option<Vec<Bound>> {
        let values = self.rules.values.as_ref()?;
        Some(values.iter().filter(|(text, _)| text.starts_with(beginning)).map(|(_, bound)| bound.clone()).collect())
    }

    /// The field's type.
    pub fn field_type(&self) -> FieldType {
        self.field_type
    }

    /// Whether its order in the database is that of its values here.
    pub fn is_ordered(&self) -> bool {
        self.rules.values.is_none() && self.rules.format.is_none()
    }
}

/// Compiles what can be asked for; a field without a way back is a fault at `at`.
pub(in crate::mapping) fn compile(at: &Node, filter: &[QueryField], around: &Surroundings<'_>) -> Option<LiveRows> {
    let before = around.faults.len();
    let key: Vec<_> = around.key.iter().filter_map(|path| column(path, at, around)).collect();
    let filter: Vec<_> = filter.iter().filter_map(|field| column(&field.path, at, around)).collect();
    (around.faults.len() == before).then_some(LiveRows { key, filter })
}

fn column(path: &str, at: &Node, around: &Surroundings<'_>) -> Option<LiveColumn> {
    let written = written_field(around.fields, path)?;
    let field_type = around.shape.find(path).filter(|shape| !shape.broken)?.field_type;
    if let Some(why) = lossy(written) {
        one_way(path, why, at, around.faults);
        return None;
    }
    let Some(column) = written.get("from").and_then(Node::as_str) else {
        one_way(path, "it is no column", at, around.faults);
        return None;
    };
    let rules = rule_of(path, at, around)?;
    Some(LiveColumn { path: path.to_owned(), column: column.to_owned(), rules, field_type })
}

fn lossy(written: &Entries) -> Option<&'static str> {
    let trims = written.get("trim").and_then(Node::as_str).is_some_and(|trim| trim != "right");
    if trims {
        return Some("blanks before it are taken off");
    }
    LOSSY.iter().find(|(key, _)| written.contains_key(*key)).map(|(_, why)| *why)
}

fn one_way(path: &str, why: &str, at: &Node, faults: &Faults) {
    let fault = at.fault(format!("`{path}` cannot be asked for at the backend: {why}"));
    faults.push(fault.help("take it out of `filter`, or serve the resource as \"staged\""));
}
