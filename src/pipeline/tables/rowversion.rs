//! Following SQL Server's rowversion.
//!
//! A rowversion is given when a statement writes, not when its transaction commits: behind the greatest one that can be
//! seen there may be smaller ones still to come. So reading ends below `min_active_rowversion()`, under which nothing can
//! change any more, and the next begins there. One transaction that stays open holds all of that up, and is told.

use super::cell::{Cell, hex, unhex};
use super::position::{Mark, Phase};
use super::reading::{Question, Reading};
use crate::adapters::sql::Value;
use crate::mapping::Watermark;
use crate::pipeline::PipelineError;

const CEILING: &str = "select min_active_rowversion() as ceiling, @@dbts as newest";

/// What the server says of its rowversions, in hex.
struct Ceiling {
    /// Nothing below it can change any more.
    ceiling: String,
    /// The newest that was given, perhaps in a transaction that is still open.
    newest: String,
}

impl Reading<'_> {
    /// Where rowversions stand now.
    pub(super) async fn rowversion_now(&mut self) -> Result<Mark, PipelineError> {
        Ok(Mark::Rowversion(self.ceiling().await?.ceiling))
    }

    async fn ceiling(&mut self) -> Result<Ceiling, PipelineError> {
        let answer = self.one(CEILING.to_owned(), Vec::new()).await?;
        let value = |name: &str| {
            let found = answer.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found
                .and_then(|(_, cell)| cell.as_ref())
                .map(|cell| cell.text.to_lowercase())
                .filter(|text| text.len() == 16)
        };
        match (value("ceiling"), value("newest")) {
            (Some(ceiling), Some(newest)) => Ok(Ceiling { ceiling, newest }),
            _ => Err(self.fault("the server does not say up to which rowversion nothing changes any more")),
        }
    }

    /// Reads what has changed below the ceiling. Answers false where the server is behind what was read: then it is an
    /// older copy of itself, and everything has to be read.
    pub(super) async fn follow_rowversion(&mut self, watermark: &Watermark) -> Result<bool, PipelineError> {
        let Phase::Changes { mark: Mark::Rowversion(mark), .. } = self.lead.standing.phase.clone() else {
            return Ok(false);
        };
        let Ceiling { ceiling, newest } = self.ceiling().await?;
        if ceiling < mark {
            self.tell(format!(
                "the server's rowversions end at {ceiling}, but were read up to {mark} before: it is an older copy of \
                 itself, and everything is read anew"
            ));
            return Ok(false);
        }
        if ceiling == mark {
            if newest >= ceiling {
                self.tell(format!(
                    "a transaction that has been open since rowversion {ceiling} holds back what was written after it, \
                     up to {newest}: nothing of that can be read before it ends"
                ));
            }
            return Ok(true);
        }
        let column = watermark.columns.first().map(|name| self.shape.quoted(name)).unwrap_or_default();
        let (mut from, limit) = (mark, self.chunk_rows());
        let bytes = |hex: &str| unhex(hex).map(Value::Bytes);
        loop {
            let (Some(low), Some(high)) = (bytes(&from), bytes(&ceiling)) else {
                return Err(self.fault(format!("`{from}` is no rowversion")));
            };
            let select = self.selected().only(format!("{column} >= ?"), [low]).only(format!("{column} < ?"), [high]);
            let (sql, parameters) = select.ordered(&watermark.columns).first(limit).build();
            let question = Question {
                sql,
                parameters,
                watched: &watermark.columns,
                snapshot: None,
                ids: None,
                once: self.tells_apart(),
            };
            let mut last: Option<String> = None;
            let taken = self.take(question, |standing, facts| {
                let next = facts.last.as_ref().and_then(|cells| cells.first()).and_then(behind);
                if let (Phase::Changes { mark, .. }, Some(next)) = (&mut standing.phase, next) {
                    last = Some(next.clone());
                    *mark = Mark::Rowversion(next);
                }
            });
            let rows = match taken.await {
                Ok(rows) => rows,
                Err(error) if self.tries_again(&error).await => continue,
                Err(error) => return Err(error),
            };
            match last {
                Some(last) if rows >= u64::from(limit) => from = last,
                _ => break,
            }
        }
        let mut standing = self.lead.standing.clone();
        if let Phase::Changes { mark, .. } = &mut standing.phase {
            *mark = Mark::Rowversion(ceiling);
        }
        self.stand(standing).await?;
        Ok(true)
    }
}

/// The rowversion behind this one. No two rows of a database have the same.
fn behind(cell: &Cell) -> Option<String> {
    let bytes: [u8; 8] = unhex(&cell.text)?.try_into().ok()?;
    Some(hex(&u64::from_be_bytes(bytes).checked_add(1)?.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::rows::ColumnKind;

    #[test]
    fn the_next_rowversion() {
        let cell = |text: &str| Cell { kind: ColumnKind::Bytes { max: Some(8) }, text: text.to_owned() };
        assert_eq!(behind(&cell("00000000000000ff")).as_deref(), Some("0000000000000100"));
        assert_eq!(behind(&cell("ffffffffffffffff")), None);
        assert_eq!(behind(&cell("00ff")), None);
    }
}
