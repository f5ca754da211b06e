//! The first rows of a source as they would be staged. They come through the gate like any others; nothing is landed,
//! staged or remembered.

use std::io::Cursor;
use std::sync::Arc;

use super::cell::Cell;
use super::row_ids::RowIds;
use super::statement::Select;
use crate::adapters::sql::{Isolation, Query};
use crate::gate::Lane;
use crate::mapping::{Changes, OPERATION, Plan, ROW, Relation, Rows};
use crate::pipeline::preview::{Shown, shown};
use crate::pipeline::{Bridge, PipelineError, admission};
use crate::staging::Balance;

impl Bridge {
    /// Maps the first rows of a table or query, up to `limit`, and hands them to `show` until it answers false.
    pub async fn preview_rows(
        &self,
        plan: &Arc<Plan>,
        rows: &Rows,
        limit: Option<u64>,
        mut show: impl FnMut(Shown) -> bool,
    ) -> Result<Balance, PipelineError> {
        let asked = self.world.load().database(plan)?;
        admission::closed(&asked.gate)?;
        let shape = self.shape(plan, rows, &asked, Lane::Operator, None).await?;
        let source = &rows.source;
        let mut ids = rows.columns.iter().any(|name| name == ROW).then(RowIds::default);
        let (sql, parameters) = match &source.relation {
            Relation::Table { columns, .. } => {
                let select = Select::new(&shape, columns);
                let select = if source.changes.tells_deletes() { select.also("'U'", OPERATION) } else { select };
                let select = match limit.and_then(|limit| u32::try_from(limit).ok()) {
                    Some(limit) => select.first(limit.max(1)),
                    None => select,
                };
                // Equal rows are numbered as they come.
                if ids.is_some() { select.ordered(columns).build() } else { select.build() }
            }
            Relation::Query(sql) => {
                let start = match &source.changes {
                    Changes::Watermark(watermark) => watermark.start.as_deref().map(Cell::written),
                    _ => None,
                };
                let bound = sql.names().filter_map(|_| start.as_ref().map(Cell::value)).collect();
                (sql.written(asked.database.dialect()), bound)
            }
        };
        let query = Query {
            sql,
            parameters,
            isolation: source.isolation.unwrap_or(Isolation::ReadCommitted),
            // Whoever looks at ten rows must not wait for ten thousand.
            batch_rows: limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(1000).clamp(1, source.batch_rows),
            batch_bytes: super::ahead::BATCH_BYTES,
            max_rows_per_second: source.max_rows_per_second,
            timeout: source.timeout.unwrap_or_else(|| asked.database.timeout()),
        };
        let permit = self.pass(&asked.gate, Lane::Operator).await?;
        let mut answer = asked.database.query(permit, query).await?;
        let mut total = Balance::default();
        while let Some(batch) = answer.batches.recv().await {
            let batch = batch?;
            let batch = match &mut ids {
                Some(ids) => ids.added(&batch).unwrap_or(batch),
                None => batch,
            };
            let left = limit.map(|limit| limit.saturating_sub(total.read));
            let name = plan.exposure.id.to_string();
            let mut is_enough = false;
            let balance = shown(plan, Cursor::new(&batch.bytes[..]), &name, left, |record| {
                let goes_on = show(record);
                is_enough = !goes_on;
                goes_on
            })?;
            total.add(balance);
            if is_enough || limit.is_some_and(|limit| total.read >= limit) {
                break;
            }
        }
        Ok(total)
    }
}
