//! What must be so before a transaction does anything: rows that are read on its own connection, and judged.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::step::{Action, Step, StepOutcome, Unmet};
use super::{SqlErrorKind, Value};
use crate::decode::rows::RowBatch;

/// A question that is asked before the first step of a [`Transaction`](super::Transaction), in the same transaction where
/// there is one. Nothing is begun where its rows are not as they must be. Clones share what was found.
#[derive(Clone)]
pub struct Guard {
    sql: String,
    parameters: Vec<Value>,
    judge: Arc<dyn Fn(&RowBatch) -> bool + Send + Sync>,
    has_refused: Arc<AtomicBool>,
}

impl Guard {
    /// Asks this, and goes on only where `judge` says so of what comes.
    pub fn new(
        (sql, parameters): (String, Vec<Value>),
        judge: impl Fn(&RowBatch) -> bool + Send + Sync + 'static,
    ) -> Guard {
        Guard { sql, parameters, judge: Arc::new(judge), has_refused: Arc::default() }
    }

    /// The question as a step. A door does it first.
    pub fn step(&self) -> Step {
        Step::of(Action::Statement { sql: self.sql.clone(), parameters: self.parameters.clone() })
    }

    /// Whether what the question has brought is as it must be. A door calls this before the first step.
    pub fn judge(&self, outcome: &StepOutcome) -> Result<(), Unmet> {
        let is_good = outcome.sets.first().is_some_and(|rows| (self.judge)(rows));
        self.has_refused.store(!is_good, Ordering::Release);
        let message = "the rows that it is about are not as they must be".to_owned();
        if is_good { Ok(()) } else { Err(Unmet { kind: SqlErrorKind::Unexpected, message, native: None }) }
    }

    /// Whether what came last was not as it must be: then it is this that the transaction has failed for.
    pub fn has_refused(&self) -> bool {
        self.has_refused.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("sql", &self.sql).finish_non_exhaustive()
    }
}
