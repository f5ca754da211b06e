//! What of a table or query can be asked for while somebody waits: a record by its key, records by the declared filters.
//! A value that a caller names goes the mapping's way back, so each such field must have one.

use super::nulls::{Null, Nulls};
use crate::decode::Json;
use crate::decode::rows::ColumnKind;
use crate::diagnostic::{Entries, Faults, Node};
use crate::mapping::access::RowBound;
use crate::mapping::exposure::{FieldType, QueryField};
use crate::mapping::operations::{Bound, Scalar, Surroundings, rule_of, written_field};
use crate::mapping::preset::Preset;
use crate::record::key::{SEPARATOR, decode_part};
use crate::sql::Dialect;

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
    /// By which some callers see a part of the records, where nobody may filter by them.
    bounds: Vec<LiveColumn>,
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
    nulls: Nulls,
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

    /// The columns that are compared with what callers name: those of the key, and those of the declared filters.
    pub fn columns(&self) -> (&[LiveColumn], &[LiveColumn]) {
        (&self.key, &self.filter)
    }

    /// The column of a field that bounds what callers see; `None` where the database cannot be asked by it.
    pub fn bound(&self, path: &str) -> Option<&LiveColumn> {
        self.filter.iter().chain(&self.bounds).find(|column| column.path == path)
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

    /// What else than NULL is no value in its column, of which this is the kind where that is known; `None` where it cannot be
    /// told apart there from what is one.
    pub fn nulls(&self, kind: Option<ColumnKind>) -> Option<Vec<Null>> {
        self.nulls.in_column(kind, self.is_worded())
    }

    /// Whether what is bound for a value means null in the source: then no record has it.
    pub fn is_null(&self, bound: &Bound) -> bool {
        self.nulls.has(bound)
    }

    /// Whether a number or a moment of this field is compared as a text in a column of this kind, or may be: then `9` comes
    /// behind `10`, and `1.50` is not `1.5`. Some databases are known to make a number of what such a column holds.
    pub fn is_spelt(&self, kind: Option<ColumnKind>, dialect: Dialect) -> bool {
        if !matches!(kind, Some(ColumnKind::Text { .. })) || self.is_worded() {
            return false;
        }
        match self.field_type {
            FieldType::Integer { .. } => !dialect.makes_numbers_of_texts(),
            // The driver of MariaDB sends these as texts.
            FieldType::Decimal { .. } | FieldType::Number => {
                dialect == Dialect::MySql || !dialect.makes_numbers_of_texts()
            }
            FieldType::Time { .. } | FieldType::Datetime { .. } => dialect != Dialect::SqlServer,
            _ => false,
        }
    }

    /// Whether values are bound as the texts that the mapping has for them, in a list or by a form.
    pub fn is_worded(&self) -> bool {
        self.rules.values.is_some() || self.rules.format.is_some()
    }

    /// The field's type.
    pub fn field_type(&self) -> FieldType {
        self.field_type
    }

    /// Whether its order in the database is that of its values here.
    pub fn is_ordered(&self) -> bool {
        !self.is_worded()
    }
}

/// Compiles what can be asked for; a field without a way back is a fault at `at`.
pub(in crate::mapping) fn compile(
    at: &Node,
    filter: &[QueryField],
    rows: &[RowBound],
    preset: Option<&Preset>,
    around: &Surroundings<'_>,
) -> Option<LiveRows> {
    let before = around.faults.len();
    let compiled = |path: &str| column(path, at, preset, around);
    let key: Vec<_> = around.key.iter().filter_map(|path| compiled(path)).collect();
    let filter: Vec<_> = filter.iter().filter_map(|field| compiled(&field.path)).collect();
    // What comes is judged by them in any case.
    let silent = Faults::new();
    let unheard = Surroundings { faults: &silent, ..*around };
    let others = rows.iter().filter(|bound| filter.iter().all(|column| column.path != bound.field.path));
    let bounds = others.filter_map(|bound| column(&bound.field.path, at, preset, &unheard)).collect();
    (around.faults.len() == before).then_some(LiveRows { key, filter, bounds })
}

fn column(path: &str, at: &Node, preset: Option<&Preset>, around: &Surroundings<'_>) -> Option<LiveColumn> {
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
    let nulls = Nulls::of(written, rules.value_type(), preset);
    Some(LiveColumn { path: path.to_owned(), column: column.to_owned(), rules, field_type, nulls })
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
