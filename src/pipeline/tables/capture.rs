//! Following SQL Server CDC: each change stands in a table of the server's, by its log sequence number.

use super::cell::{Cell, hex, unhex};
use super::position::{Mark, Phase};
use super::reading::{Question, Reading};
use crate::adapters::sql::Value;
use crate::mapping::{OPERATION, Relation};
use crate::pipeline::PipelineError;

const RANGE: &str = "select sys.fn_cdc_get_max_lsn() as newest, sys.fn_cdc_get_min_lsn(?) as oldest";

/// The column by which it is known how far the changes are read.
const LSN: &str = "_lsn";

impl Reading<'_> {
    /// Where changes end now.
    pub(super) async fn lsn_now(&mut self, instance: &str) -> Result<Mark, PipelineError> {
        Ok(Mark::Lsn(self.range(instance).await?.0))
    }

    /// The newest number, and the oldest from which on all changes are there; in hex.
    async fn range(&mut self, instance: &str) -> Result<(String, String), PipelineError> {
        let answer = self.one(RANGE.to_owned(), vec![Value::Text(instance.to_owned())]).await?;
        let lsn = |at: usize| answer.get(at).and_then(|(_, cell)| Some(cell.as_ref()?.text.to_lowercase()));
        let is_number = |text: &String| text.len() == 20 && text.bytes().any(|digit| digit != b'0');
        match (lsn(0).filter(is_number), lsn(1).filter(is_number)) {
            (Some(newest), Some(oldest)) => Ok((newest, oldest)),
            (_, None) => Err(self.fault(format!(
                "there is no capture instance {instance}, or the login may not see it (it takes SELECT on the captured \
                 columns, and the gating role where there is one)"
            ))),
            (None, _) => {
                Err(self.fault("the server has captured nothing yet: is the SQL Server Agent's capture job running?"))
            }
        }
    }

    /// Reads what has changed, in the order in which it was committed. Answers false where changes are not there any more
    /// back to what was read: then everything has to be read.
    pub(super) async fn follow_capture(&mut self, instance: &str) -> Result<bool, PipelineError> {
        let Phase::Changes { mark: Mark::Lsn(mark), .. } = self.lead.standing.phase.clone() else { return Ok(false) };
        let (newest, oldest) = self.range(instance).await?;
        if newest < mark {
            self.tell(format!(
                "the server's changes end at {newest}, but were read up to {mark} before: it is an older copy of itself, \
                 and everything is read anew"
            ));
            return Ok(false);
        }
        let Some(from) = neighbour(&mark, true) else {
            return Err(self.fault(format!("`{mark}` is no number of a log")));
        };
        if from < oldest {
            self.tell(format!(
                "the server keeps changes from {oldest} on only, and they were read up to {mark}: everything is read anew"
            ));
            return Ok(false);
        }
        if newest == mark {
            return Ok(true);
        }
        // Where another version is ahead, up to its place: from there on both go together.
        let newest = match self.bridge.next_place(self, &mark).await? {
            Some(place) if place < newest => place,
            _ => newest,
        };
        let mut from = from;
        loop {
            let bytes = |hex: &str| unhex(hex).map(Value::Bytes);
            let (Some(low), Some(high)) = (bytes(&from), bytes(&newest)) else {
                return Err(self.fault(format!("`{newest}` is no number of a log")));
            };
            let watched = [LSN.to_owned()];
            let question = Question {
                sql: self.captured_sql(instance),
                parameters: vec![low, high],
                watched: &watched,
                snapshot: None,
                ids: None,
                once: false,
            };
            let taken = self.take(question, |standing, facts| {
                // The transaction of the last row may go on in the next batch.
                let done = facts.last.as_ref().and_then(|cells| cells.first()).and_then(before);
                if let (Phase::Changes { mark: Mark::Lsn(mark), .. }, Some(done)) = (&mut standing.phase, done)
                    && done > *mark
                {
                    *mark = done;
                }
            });
            match taken.await {
                Ok(_) => break,
                Err(error) if self.tries_again(&error).await => {
                    if let Phase::Changes { mark: Mark::Lsn(mark), .. } = &self.lead.standing.phase {
                        from = neighbour(mark, true).unwrap_or(from);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let mut standing = self.lead.standing.clone();
        if let Phase::Changes { mark, .. } = &mut standing.phase {
            *mark = Mark::Lsn(newest);
        }
        self.stand(standing).await?;
        Ok(true)
    }

    fn captured_sql(&self, instance: &str) -> String {
        let (shape, dialect) = (&self.shape, self.shape.dialect);
        let columns = match &self.source().relation {
            Relation::Table { columns, .. } => columns.as_slice(),
            Relation::Query(_) => &[],
        };
        let mut selected: Vec<String> = columns.iter().map(|name| shape.selected(name)).collect();
        let operation = dialect.quoted("__$operation");
        // A row that does not meet the condition any more is gone for us.
        let kept = match &shape.condition {
            Some(condition) => format!("when {condition} then 'U' else 'D' end"),
            None => "else 'U' end".to_owned(),
        };
        selected.push(format!("case when {operation} = 1 then 'D' {kept} as {}", dialect.quoted(OPERATION)));
        selected.push(format!("{} as {}", dialect.quoted("__$start_lsn"), dialect.quoted(LSN)));
        let function = dialect.quoted(&format!("fn_cdc_get_all_changes_{instance}"));
        let order = ["__$start_lsn", "__$seqval", "__$operation"].map(|name| dialect.quoted(name)).join(", ");
        format!("select {} from cdc.{function}(?, ?, N'all') order by {order}", selected.join(", "))
    }
}

fn before(cell: &Cell) -> Option<String> {
    neighbour(&cell.text, false)
}

/// The number behind or before this one.
fn neighbour(lsn: &str, is_next: bool) -> Option<String> {
    let mut bytes = unhex(lsn)?;
    let (from, to, step) = if is_next { (0xFF, 0, 1u8) } else { (0, 0xFF, u8::MAX) };
    for byte in bytes.iter_mut().rev() {
        if *byte != from {
            *byte = byte.wrapping_add(step);
            return Some(hex(&bytes));
        }
        *byte = to;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::neighbour;

    #[test]
    fn numbers_of_a_log_have_neighbours() {
        for (one, next) in
            [("00000000000000000000", "00000000000000000001"), ("0000002c000000ffffff", "0000002c000001000000")]
        {
            assert_eq!(neighbour(one, true).as_deref(), Some(next));
            assert_eq!(neighbour(next, false).as_deref(), Some(one));
        }
        assert_eq!((neighbour("ffff", true), neighbour("0000", false), neighbour("x", true)), (None, None, None));
    }
}
