//! A step of a transaction: what is done, with what earlier steps bring, and what it must come to.

use super::{SqlErrorKind, Value};
use crate::decode::rows::{Cell, ColumnKind, RowBatch};
use crate::record::Decimal;

/// A statement of a transaction.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// The rows it must touch, at least and at most; everything is undone where it does not.
    pub expect: Option<(u64, u64)>,
    /// Values that are known only when earlier steps are done; they go in the places of others.
    pub taken: Vec<Taken>,
    /// What a procedure returns when all is well; everything is undone where it returns something else. Empty for anything.
    pub returns: Vec<i32>,
}

/// A value that an earlier step brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which parameter or argument it is, from 0.
    pub place: usize,
    /// Which step brings it, from 0.
    pub step: usize,
    /// A column of the first row of its first result set, or an argument that comes out.
    pub from: String,
    /// What it is.
    pub kind: ColumnKind,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// A statement.
    Statement {
        /// With the placeholders of the database's dialect.
        sql: String,
        /// What is bound to them.
        parameters: Vec<Value>,
    },
    /// A stored procedure.
    Procedure {
        /// Its name, as it is written in SQL, perhaps with its schema.
        name: String,
        /// Its arguments, in order.
        arguments: Vec<Argument>,
    },
}

/// An argument of a procedure.
#[derive(Clone, Debug)]
pub struct Argument {
    /// The parameter's name without `@`; empty where it is told by its place.
    pub name: String,
    /// What goes in.
    pub value: Value,
    /// Of what kind is what comes out, where something does.
    pub out: Option<ColumnKind>,
}

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepOutcome {
    /// Rows touched, where the database counts them.
    pub affected: Option<u64>,
    /// Its result sets.
    pub sets: Vec<RowBatch>,
    /// What came out of a procedure's arguments, by name, in canonical form.
    pub out: Vec<(String, Option<Vec<u8>>)>,
    /// What a procedure returned.
    pub return_code: Option<i32>,
}

/// Why a step has not come to what it must. Everything is to be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// What kind of trouble it is.
    pub kind: SqlErrorKind,
    /// One sentence.
    pub message: String,
    /// What a procedure returned.
    pub native: Option<i32>,
}

impl Step {
    /// What is done and no more: whatever it touches and returns is well.
    pub fn of(action: Action) -> Step {
        Step { action, expect: None, taken: Vec::new(), returns: Vec::new() }
    }

    /// The action with the values that the steps before it brought. A door calls this before each step.
    pub fn filled(&self, before: &[StepOutcome]) -> Result<Action, Unmet> {
        let mut action = self.action.clone();
        for taken in &self.taken {
            let value =
                before.get(taken.step).and_then(|outcome| outcome.value(&taken.from, taken.kind)).ok_or_else(|| {
                    let message = format!("step {} has brought no value `{}`", taken.step + 1, taken.from);
                    Unmet { kind: SqlErrorKind::Unexpected, message, native: None }
                })?;
            let place = match &mut action {
                Action::Statement { parameters, .. } => parameters.get_mut(taken.place),
                Action::Procedure { arguments, .. } => {
                    arguments.get_mut(taken.place).map(|argument| &mut argument.value)
                }
            };
            if let Some(place) = place {
                *place = value;
            }
        }
        Ok(action)
    }

    /// Whether it has come to what it must. A door calls this after each step, before anything is committed.
    pub fn judge(&self, outcome: &StepOutcome) -> Result<(), Unmet> {
        if let (Some((least, most)), Some(affected)) = (self.expect, outcome.affected)
            && !(least..=most).contains(&affected)
        {
            let message = match least == most {
                true => format!("{affected} rows were touched where it must be {least}"),
                false => format!("{affected} rows were touched where it must be {least} to {most}"),
            };
            return Err(Unmet { kind: SqlErrorKind::of_rows(affected), message, native: None });
        }
        match outcome.return_code {
            Some(code) if !self.returns.is_empty() && !self.returns.contains(&code) => Err(Unmet {
                kind: SqlErrorKind::Business,
                message: format!("the procedure returned {code}"),
                native: Some(code),
            }),
            _ => Ok(()),
        }
    }
}

impl StepOutcome {
    /// What it brought under this name: an argument that came out, or a column of the first row of the first result set
    /// that has it. `None` where there is no such name, or its value cannot be read. Databases write names in capitals or
    /// not as they like.
    pub fn value(&self, name: &str, kind: ColumnKind) -> Option<Value> {
        let is_it = |own: &str| own.eq_ignore_ascii_case(name);
        if let Some((_, out)) = self.out.iter().find(|(own, _)| is_it(own)) {
            return out.as_deref().map_or(Some(Value::Null(kind)), |bytes| read(kind, bytes));
        }
        self.sets.iter().find_map(|set| {
            let row = set.first()?;
            let (_, cell) = row.into_iter().find(|(column, _)| is_it(&column.name))?;
            match cell {
                Cell::Null => Some(Value::Null(kind)),
                Cell::Value(bytes) => read(kind, bytes),
                Cell::Fault(..) => None,
            }
        })
    }
}

/// A value in canonical form as one to bind.
fn read(kind: ColumnKind, bytes: &[u8]) -> Option<Value> {
    if let ColumnKind::Bytes { .. } = kind {
        return Some(Value::Bytes(bytes.to_vec()));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let number = || Decimal::parse(text.trim(), b'.', None).ok();
    match kind {
        ColumnKind::Boolean => Some(Value::Boolean(matches!(text, "1" | "true" | "t"))),
        ColumnKind::Integer => {
            let number = number()?.rescale(0).ok()?;
            Some(i64::try_from(number.units()).map_or(Value::Decimal(number), Value::Integer))
        }
        ColumnKind::Decimal { .. } => number().map(Value::Decimal),
        ColumnKind::Float => text.parse().ok().map(Value::Float),
        ColumnKind::Text { .. } => Some(Value::Text(text.to_owned())),
        kind => Some(Value::Written(kind, text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Step, StepOutcome, Taken};
    use crate::adapters::sql::{SqlErrorKind, Value};
    use crate::decode::rows::{BatchWriter, Column, ColumnKind, RowBatch};

    fn set(name: &str, value: &[u8]) -> RowBatch {
        let column =
            Column { name: name.to_owned(), kind: ColumnKind::Integer, declared: String::new(), nullable: None };
        let mut writer = BatchWriter::new(vec![column].into());
        writer.begin();
        writer.value(value);
        writer.end();
        writer.take()
    }

    fn insert() -> Step {
        Step::of(Action::Statement { sql: "insert".to_owned(), parameters: vec![Value::Integer(1), Value::Integer(0)] })
    }

    #[test]
    fn what_earlier_steps_brought_goes_in_its_place() {
        let step = Step {
            taken: vec![Taken { place: 1, step: 0, from: "id".to_owned(), kind: ColumnKind::Integer }],
            ..insert()
        };
        let parameters = |outcome: StepOutcome| match step.filled(&[outcome]) {
            Ok(Action::Statement { parameters, .. }) => Ok(parameters),
            Ok(other) => panic!("{other:?}"),
            Err(unmet) => Err(unmet.message),
        };
        let brought = StepOutcome { sets: vec![set("ID", b"42")], ..StepOutcome::default() };
        assert_eq!(parameters(brought), Ok(vec![Value::Integer(1), Value::Integer(42)]));
        let out = StepOutcome { out: vec![("id".to_owned(), None)], ..StepOutcome::default() };
        assert_eq!(parameters(out), Ok(vec![Value::Integer(1), Value::Null(ColumnKind::Integer)]));
        let none = StepOutcome { sets: vec![set("other", b"42")], ..StepOutcome::default() };
        assert_eq!(parameters(none), Err("step 1 has brought no value `id`".to_owned()));
        let odd = StepOutcome { sets: vec![set("ID", b"x")], ..StepOutcome::default() };
        assert!(parameters(odd).is_err());
    }

    #[test]
    fn a_step_must_come_to_what_is_expected() {
        let step = Step { expect: Some((1, 1)), returns: vec![0], ..insert() };
        let judge = |affected, return_code| {
            let outcome = StepOutcome { affected, return_code, ..StepOutcome::default() };
            step.judge(&outcome).map_err(|unmet| (unmet.kind, unmet.native))
        };
        assert_eq!(judge(Some(1), Some(0)), Ok(()));
        assert_eq!(judge(None, None), Ok(()));
        assert_eq!(judge(Some(0), None), Err((SqlErrorKind::Untouched, None)));
        assert_eq!(judge(Some(2), None), Err((SqlErrorKind::Unexpected, None)));
        assert_eq!(judge(Some(1), Some(51)), Err((SqlErrorKind::Business, Some(51))));
    }
}
