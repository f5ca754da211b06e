//! What has changed at a database under a mapping that is read live: told in the log when it begins and when it is over, with
//! what to do.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::rows::{Table, of};
use super::{LiveError, Trouble};
use crate::adapters::sql::{Database, SqlError, SqlErrorKind};
use crate::decode::rows::Column;
use crate::gate::Gate;
use crate::mapping::{Plan, Relation, Rows};
use crate::pipeline::{Bridge, tables};
use crate::record::ResourceId;

/// What a person can do.
const REMEDY: &str = "see by `tollbridge check` what the mapping asks for that is not there, and change the mapping, or bring \
                      it back at the database";

/// What is known of the answers for each resource, with the hash of the mapping that they were read by.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<ResourceId, Known>>);

struct Known {
    mapping: String,
    /// As the last answer had them.
    columns: Arc<[Column]>,
    /// Whether what the mapping reads is not there.
    lacks: bool,
}

impl Seen {
    /// An answer has come with these columns.
    pub(super) fn answered(&self, plan: &Plan, columns: &Arc<[Column]>) {
        let id = &plan.exposure.id;
        let mut all = self.0.lock();
        let Some(known) = all.get_mut(id).filter(|known| known.mapping == plan.hash) else {
            let known = Known { mapping: plan.hash.clone(), columns: Arc::clone(columns), lacks: false };
            all.insert(id.clone(), known);
            return;
        };
        if std::mem::take(&mut known.lacks) {
            tracing::info!(resource = %id, "what the mapping reads is there again");
        }
        if known.columns == *columns {
            return;
        }
        let before = std::mem::replace(&mut known.columns, Arc::clone(columns));
        drop(all);
        let changes = tables::changed(&before, columns);
        if !changes.is_empty() {
            tracing::warn!(
                resource = %id, changes = changes.join("; "),
                remedy = "where the mapping's `type` does not fit any more, records are refused: change the mapping",
                "columns have become others since they were read last"
            );
        }
    }

    /// A read has failed.
    pub(super) fn failed(&self, plan: &Plan, error: &LiveError) {
        let LiveError::Backend { trouble: Trouble::Drift, message } = error else { return };
        let id = &plan.exposure.id;
        let mut all = self.0.lock();
        let known = all.entry(id.clone()).or_insert_with(|| Known {
            mapping: plan.hash.clone(),
            columns: Arc::default(),
            lacks: false,
        });
        if known.mapping != plan.hash {
            *known = Known { mapping: plan.hash.clone(), columns: Arc::default(), lacks: false };
        }
        if !std::mem::replace(&mut known.lacks, true) {
            tracing::warn!(
                resource = %id, error = message, remedy = REMEDY,
                "what the mapping reads is not there, or is another than it was"
            );
        }
    }
}

/// What a database's error is to those who read a table or query live. One that the table's own changes explain is told by
/// what has changed: the table is looked at anew.
pub(super) async fn explained(
    bridge: &Bridge,
    plan: &Plan,
    (database, gate): (&Arc<dyn Database>, &Arc<Gate>),
    rows: &Rows,
    (error, timeout): (&SqlError, Duration),
) -> LiveError {
    let told = of(error, timeout);
    let is_table = matches!(rows.source.relation, Relation::Table { .. });
    if !is_table || !matches!(error.kind, SqlErrorKind::Missing | SqlErrorKind::Statement) {
        return told;
    }
    bridge.shapes.forget(&plan.exposure.id);
    match Table::of(bridge, plan, database, gate, rows).await {
        Err(drift @ LiveError::Backend { trouble: Trouble::Drift, .. }) => drift,
        _ => told,
    }
}
