//! The database whose counters say what has changed.
//!
//! A SQL Server counts rowversions, versions of Change Tracking and numbers of its log by database, and tells those of the one
//! that the connection is in. Of a table of another one (`db.schema.table`) they say nothing: the rowversion up to which
//! nothing changes any more would be another database's, and rows would be missed for ever.

use super::reading::Reading;
use crate::adapters::sql::{Dialect, TableName, Value};
use crate::mapping::{Changes, Relation, RowSource};
use crate::pipeline::PipelineError;

const HOME: &str = "select case when db_id(?) = db_id() then 1 else 0 end as home";

/// The table and its database, where that is named and a SQL Server would count its changes by database.
pub(super) fn counted(source: &RowSource, dialect: Dialect) -> Option<(&TableName, &str)> {
    let is_counted = match &source.changes {
        Changes::Watermark(watermark) => watermark.is_rowversion,
        Changes::Tracking | Changes::Capture(_) => true,
        Changes::Snapshot => false,
    };
    match &source.relation {
        Relation::Table { name, .. } if is_counted && dialect == Dialect::SqlServer => {
            name.catalog.as_deref().map(|database| (name, database))
        }
        _ => None,
    }
}

/// Why such a table cannot be followed where its database is another than the connection's.
pub(super) fn elsewhere((name, database): (&TableName, &str)) -> String {
    format!(
        "{name} stands in another database than the backend, and the server counts changes by database: give {database} a \
         backend of its own (its connection in that database), or read by a time, a number or `snapshot`"
    )
}

impl Reading<'_> {
    /// A fault where changes are followed by counters that are another database's than the table.
    pub(super) async fn see_to_home(&self) -> Result<(), PipelineError> {
        let Some(counted) = counted(self.source(), self.database.dialect()) else { return Ok(()) };
        let answer = self.one(HOME.to_owned(), vec![Value::Text(counted.1.to_owned())]).await?;
        let is_home = answer.first().and_then(|(_, cell)| cell.as_ref()).is_some_and(|cell| cell.text == "1");
        if is_home { Ok(()) } else { Err(self.fault(elsewhere(counted))) }
    }
}
