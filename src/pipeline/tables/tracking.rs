//! Following SQL Server Change Tracking: the server notes the keys of rows that change, and versions of itself.
//!
//! The version is asked before the changes are, and only up to that version they count as read: a change that comes
//! between is read now and once more the next time. A row that was gone before its change was read counts as deleted.

use super::position::{Mark, Phase};
use super::reading::{Question, Reading};
use crate::adapters::sql::Value;
use crate::mapping::{OPERATION, Relation};
use crate::pipeline::PipelineError;

const VERSIONS: &str = "select change_tracking_current_version() as current_version, change_tracking_min_valid_version(object_id(?)) as oldest";

impl Reading<'_> {
    /// The version of now.
    pub(super) async fn version_now(&mut self) -> Result<Mark, PipelineError> {
        Ok(Mark::Version(self.versions().await?.0))
    }

    /// The newest version, and the oldest from which on all changes are known.
    async fn versions(&mut self) -> Result<(i64, i64), PipelineError> {
        let table = Value::Text(self.shape.from.clone());
        let answer = self.one(VERSIONS.to_owned(), vec![table]).await?;
        let number = |at: usize| answer.get(at).and_then(|(_, cell)| cell.as_ref()?.text.parse::<i64>().ok());
        let remedy = "or the login may not see it (it takes VIEW CHANGE TRACKING and SELECT on the table)";
        match (number(0), number(1)) {
            (Some(newest), Some(oldest)) => Ok((newest, oldest)),
            (None, _) => Err(self.fault(format!("Change Tracking is not on for the database, {remedy}"))),
            (_, None) => Err(self.fault(format!("Change Tracking is not on for {}, {remedy}", self.shape.from))),
        }
    }

    /// Reads what has changed. Answers false where changes are not known any more back to what was read: then everything
    /// has to be read.
    pub(super) async fn follow_tracking(&mut self) -> Result<bool, PipelineError> {
        let Phase::Changes { mark: Mark::Version(mark), .. } = self.lead.standing.phase.clone() else {
            return Ok(false);
        };
        let (newest, oldest) = self.versions().await?;
        if newest < mark {
            self.tell(format!(
                "the server's changes end at version {newest}, but were read up to {mark} before: it is an older copy of \
                 itself, and everything is read anew"
            ));
            return Ok(false);
        }
        if !self.is_known(mark, oldest) {
            return Ok(false);
        }
        if newest == mark {
            return Ok(true);
        }
        loop {
            let question = Question {
                sql: self.changes_sql(),
                parameters: vec![Value::Integer(mark)],
                watched: &[],
                snapshot: None,
                ids: None,
                once: false,
            };
            match self.take(question, |_, _| ()).await {
                Ok(_) => break,
                Err(error) if self.tries_again(&error).await => {}
                Err(error) => return Err(error),
            }
        }
        // The server may have forgotten changes while they were read.
        let (_, oldest) = self.versions().await?;
        if !self.is_known(mark, oldest) {
            return Ok(false);
        }
        let mut standing = self.lead.standing.clone();
        if let Phase::Changes { mark, .. } = &mut standing.phase {
            *mark = Mark::Version(newest);
        }
        self.stand(standing).await?;
        Ok(true)
    }

    fn is_known(&mut self, mark: i64, oldest: i64) -> bool {
        if mark < oldest {
            self.tell(format!(
                "the server has forgotten changes from before version {oldest}, and they were read up to {mark} only: \
                 everything is read anew"
            ));
        }
        mark >= oldest
    }

    fn changes_sql(&self) -> String {
        let (shape, key) = (&self.shape, &self.source().key);
        let columns = match &self.source().relation {
            Relation::Table { columns, .. } => columns.as_slice(),
            Relation::Query(_) => &[],
        };
        let dialect = shape.dialect;
        let mut selected: Vec<String> = columns
            .iter()
            .map(|name| {
                let from = if key.contains(name) { "ct" } else { "t" };
                format!("{from}.{} as {}", shape.quoted(name), dialect.quoted(name))
            })
            .collect();
        let first = key.first().map(|name| shape.quoted(name)).unwrap_or_default();
        selected.push(format!("case when t.{first} is null then 'D' else 'U' end as {}", dialect.quoted(OPERATION)));
        let joined: Vec<String> =
            key.iter().map(|name| shape.quoted(name)).map(|name| format!("t.{name} = ct.{name}")).collect();
        // A row that does not meet the condition any more is gone for us.
        let table = match &shape.condition {
            Some(condition) => format!("(select * from {} where {condition})", shape.from),
            None => shape.from.clone(),
        };
        format!(
            "select {} from changetable(changes {}, ?) as ct left outer join {table} as t on {}",
            selected.join(", "),
            shape.from,
            joined.join(" and ")
        )
    }
}
