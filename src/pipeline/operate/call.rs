//! From a mapping's words to a database's: steps and values on the way out, what they brought on the way back.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::adapters::sql::{Action, Argument, Rows, Step, StepOutcome, Taken, Value};
use crate::decode::rows::{BatchWriter, Cell, Column, ColumnKind};
use crate::mapping::{Bound, Brought, ReadyAction, ReadyStep};

/// A value to bind. What an earlier step brings is NULL until then.
pub(in crate::pipeline) fn value(bound: &Bound) -> Value {
    match bound {
        Bound::Null(kind) | Bound::Taken { kind, .. } => Value::Null(*kind),
        Bound::Boolean(truth) => Value::Boolean(*truth),
        Bound::Integer(number) => Value::Integer(*number),
        Bound::Decimal(number) => Value::Decimal(*number),
        Bound::Float(number) => Value::Float(*number),
        Bound::Text(text) => Value::Text(text.clone()),
        Bound::Bytes(bytes) => Value::Bytes(bytes.clone()),
        Bound::Written(kind, text) => Value::Written(*kind, text.clone()),
    }
}

/// A step of a transaction.
pub(super) fn step(ready: &ReadyStep) -> Step {
    let bounds: Vec<&Bound> = match &ready.action {
        ReadyAction::Whole => Vec::new(),
        ReadyAction::Statement(_, values) => values.iter().collect(),
        ReadyAction::Procedure(_, arguments) => arguments.iter().map(|(_, bound, _)| bound).collect(),
    };
    let taken = bounds.iter().enumerate().filter_map(|(place, bound)| match bound {
        Bound::Taken { step, from, kind } => Some(Taken { place, step: *step, from: from.clone(), kind: *kind }),
        _ => None,
    });
    let taken = taken.collect();
    let action = match &ready.action {
        // Whoever does it has it already.
        ReadyAction::Whole => Action::Statement { sql: String::new(), parameters: Vec::new() },
        ReadyAction::Statement(sql, values) => {
            Action::Statement { sql: sql.clone(), parameters: values.iter().map(value).collect() }
        }
        ReadyAction::Procedure(name, arguments) => {
            let argument = |(name, bound, out): &(String, Bound, _)| Argument {
                name: name.clone(),
                value: value(bound),
                out: *out,
            };
            Action::Procedure { name: name.clone(), arguments: arguments.iter().map(argument).collect() }
        }
    };
    let returns = ready.returns.iter().filter_map(|code| i32::try_from(*code).ok()).collect();
    Step { action, expect: ready.expect, taken, returns }
}

/// The answer to whether a write is done: a row with what it would have brought, or none.
pub(super) fn found(names: Vec<String>, values: Option<Vec<Option<String>>>) -> Rows {
    let kind = ColumnKind::Text { max_chars: None };
    let column = |name| Column { name, kind, declared: String::new(), nullable: None };
    let columns: Arc<[Column]> = names.into_iter().map(column).collect();
    let (sender, batches) = mpsc::channel(1);
    if let Some(values) = values {
        let mut writer = BatchWriter::new(Arc::clone(&columns));
        writer.begin();
        for number in 0..columns.len() {
            match values.get(number).and_then(Option::as_ref) {
                Some(text) => writer.value(text.as_bytes()),
                None => writer.null(),
            }
        }
        writer.end();
        // The receiver lies beside it, and there is room for one.
        let _ = sender.try_send(Ok(writer.take()));
    }
    Rows { columns, batches }
}

/// What a step brought: what came out of its arguments, and the first row of each of its result sets.
pub(super) fn brought(outcome: StepOutcome) -> Brought {
    let mut values = outcome.out;
    for set in &outcome.sets {
        for (column, cell) in set.first().into_iter().flatten() {
            match cell {
                Cell::Null => values.push((column.name, None)),
                Cell::Value(bytes) => values.push((column.name, Some(bytes.to_vec()))),
                // As if it were not there: an answer that needs it says so.
                Cell::Fault(..) => {}
            }
        }
    }
    values.extend(outcome.return_code.map(|code| ("return".to_owned(), Some(code.to_string().into_bytes()))));
    Brought(values)
}
