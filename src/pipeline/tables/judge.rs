//! What can be said against a table as a source before anything of it is read.

use std::time::Duration;

use super::home;
use super::shape::Shape;
use crate::adapters::sql::{Dialect, TableInfo, TableName};
use crate::decode::rows::ColumnKind;
use crate::mapping::{LiveColumn, LiveRows, Origin, Plan, ROW, Relation, Rows};

/// What speaks against a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// It cannot be read so: a sentence each.
    pub faults: Vec<String>,
    /// It can, and a person should know this.
    pub doubts: Vec<String>,
}

/// The table that a mapping reads, with how long its database may take to describe it.
pub fn table_of(plan: &Plan) -> Option<(&TableName, Option<Duration>)> {
    match &plan.origin {
        Origin::Rows(Rows { source, .. }) => match &source.relation {
            Relation::Table { name, .. } => Some((name, source.timeout)),
            Relation::Query(_) => None,
        },
        _ => None,
    }
}

/// Judges what a database says of the table of this mapping.
pub fn judge(plan: &Plan, dialect: Dialect, info: &TableInfo) -> Judgement {
    let (mut judgement, id) = (Judgement::default(), &plan.exposure.id);
    let Origin::Rows(rows) = &plan.origin else { return judgement };
    let Relation::Table { name, columns, .. } = &rows.source.relation else { return judgement };
    let mut wanted: Vec<String> =
        columns.iter().chain(&rows.source.key).chain(rows.key_columns.iter()).cloned().collect();
    wanted.retain(|name| name != ROW);
    if let Some(hidden) = info.hides(&wanted) {
        judgement.faults.push(format!("{id}: {hidden}"));
        return judgement;
    }
    let shape = match Shape::of(dialect, name, info, &wanted) {
        Ok(shape) => shape,
        Err(missing) => {
            judgement.faults.push(format!("{id}: {name} has no {}", missing.join(", ")));
            return judgement;
        }
    };
    if let Some(counted) = home::counted(&rows.source, dialect).filter(|_| info.is_elsewhere) {
        judgement.faults.push(format!("{id}: {}", home::elsewhere(counted)));
    }
    let key: Vec<String> = rows.key_columns.iter().filter(|name| *name != ROW).cloned().collect();
    for column in key.iter().filter(|name| shape.kind(name) == Some(ColumnKind::Float)) {
        judgement.faults.push(format!(
            "{id}: {column} is a binary float and cannot be part of the key: the same number is written in several ways, and \
             few are met again by comparing; take another column, or a view that casts it to a decimal"
        ));
    }
    if !key.is_empty() && judgement.faults.is_empty() && !info.columns.is_empty() && !shape.is_unique(&key) {
        judgement.doubts.push(format!(
            "{id}: {name} has no unique index on {}: of rows with the same key the first is served, and the others become \
             dead letters, for which each change is asked about; where it is unique all the same, add the index",
            key.join(", ")
        ));
    }
    if let Some(live) = &rows.live {
        judgement.doubts.extend(spelt(plan, live, &shape));
    }
    judgement
}

/// Numbers and moments that callers name, and that this database would compare as texts.
fn spelt(plan: &Plan, live: &LiveRows, shape: &Shape) -> Vec<String> {
    let (id, (key, filter)) = (&plan.exposure.id, live.columns());
    let is_spelt = |column: &&LiveColumn| column.is_spelt(shape.compared_as(&column.column), shape.dialect);
    let told = |column: &LiveColumn, what: &str| {
        let LiveColumn { path, column, .. } = column;
        format!("{id}: {column} is a text, in which `{path}` may be written in several ways: {what}")
    };
    let keys = key.iter().filter(is_spelt).map(|column| {
        let what = "a record that is asked for at the backend is found only where the text is just as its key (7, not 007); make \
                    it a string, or read a view that casts it";
        told(column, what)
    });
    let filters = filter.iter().filter(is_spelt).map(|column| {
        let what = "callers who filter by it get a 400; take it out of `filter`, make it a string, or read a view that casts it";
        told(column, what)
    });
    keys.chain(filters).collect()
}
