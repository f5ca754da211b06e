//! Many rows with one value of the watermark: a program that has set them all at once, a column that was added later.
//!
//! A walk by the watermark has no way through them but from their beginning each time. So they are a range of their own,
//! walked by the key of the table, and the walk goes on behind the range. Its upper end is bound to both statements as the
//! same value: whatever the database makes of that, each row is in exactly one of them.

use jiff::SignedDuration;

use super::cell::Cell;
use super::position::{Mark, Phase};
use super::reading::{Question, Reading};
use super::statement::Select;
use super::watermark::advance;
use crate::decode::rows::ColumnKind;
use crate::mapping::Watermark;
use crate::pipeline::PipelineError;

/// The range ends so far behind the value. A mark at its end begins, less what databases round, before the value all the same.
const BEHIND: SignedDuration = SignedDuration::from_millis(2);

/// The rows around a value of the watermark.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crowd {
    columns: Vec<String>,
    low: Vec<Cell>,
    /// Where it ends; `None` where nothing can be said to lie behind it.
    pub(super) high: Option<Vec<Cell>>,
}

impl Crowd {
    /// Around the value of a row; `low` is where a reading of it begins.
    pub(super) fn around(columns: &[String], value: &[Cell], low: Vec<Cell>) -> Crowd {
        let columns = columns.get(..low.len()).unwrap_or(columns).to_vec();
        let is_sure =
            |cell: &Cell| !matches!(cell.kind, ColumnKind::DateTime | ColumnKind::DateTimeOffset | ColumnKind::Float);
        let high = match value.first() {
            Some(first) if !is_sure(first) => first.surely(BEHIND).map(|high| vec![high]),
            _ => Some(low.clone()),
        };
        Crowd { columns, low, high }
    }

    /// Only these rows.
    fn within<'a>(&self, select: Select<'a>) -> Select<'a> {
        let select = select.behind(&self.columns, &self.low, true);
        match &self.high {
            Some(high) => select.up_to(&self.columns, high),
            None => select,
        }
    }
}

impl Reading<'_> {
    /// Reads all rows of a crowd; answers how many of them lie ahead of now.
    pub(super) async fn read_crowd(&mut self, watermark: &Watermark, crowd: &Crowd) -> Result<u64, PipelineError> {
        let key = self.source().key.clone();
        let is_unique = self.shape.is_unique(&key);
        let leads_on =
            |name: &String| self.shape.kind(name).is_some_and(Cell::leads_on) && !self.shape.may_be_null(name);
        let has_pages = !key.is_empty() && key.iter().all(leads_on);
        let marks = watermark.columns.len();
        let watched: Vec<String> = watermark.columns.iter().chain(key.iter().filter(|_| has_pages)).cloned().collect();
        let mut limit = self.chunk_rows();
        let (mut after, mut ahead): (Option<Vec<Cell>>, u64) = (None, 0);
        let mut greatest = Mark::None;
        loop {
            let select = crowd.within(self.selected().without_nulls(&watermark.columns));
            let select = match (has_pages, &after) {
                // Without a unique key the last row may have others beside it that no page has brought yet.
                (true, Some(after)) => select.behind(&key, after, !is_unique).ordered(&key).first(limit),
                (true, None) => select.ordered(&key).first(limit),
                (false, _) => select,
            };
            let (sql, parameters) = select.build();
            let once = self.tells_apart();
            let question = Question { sql, parameters, watched: &watched, snapshot: None, ids: None, once };
            let (mut last, mut beyond) = (None, 0);
            let taken = self.take(question, |_, facts| {
                // Rows come in no order of the mark: it moves when all are read.
                if let Some(values) = &facts.greatest {
                    advance(&mut greatest, values.get(..marks).unwrap_or(values));
                }
                last =
                    facts.last.as_ref().map(|values| values.get(marks..).unwrap_or_default().to_vec()).or(last.take());
                beyond += facts.ahead;
            });
            let rows = match taken.await {
                Ok(rows) => rows,
                Err(error) if self.tries_again(&error).await => continue,
                Err(error) => return Err(error),
            };
            ahead += beyond;
            if !has_pages || rows < u64::from(limit) {
                break;
            }
            match last {
                Some(last) if Some(&last) != after.as_ref() => after = Some(last),
                // So many rows have one key, or none that can be read: a longer page gets behind them.
                _ => limit = limit.saturating_mul(2),
            }
        }
        if let Mark::Values(values) = greatest {
            let mut standing = self.lead.standing.clone();
            if let Phase::Changes { mark, .. } = &mut standing.phase {
                advance(mark, &values);
            }
            if standing != self.lead.standing {
                self.stand(standing).await?;
            }
        }
        Ok(ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::Shape;
    use super::super::watermark::ROUNDING;
    use super::*;
    use crate::adapters::sql::{Dialect, Value};

    fn cell(kind: ColumnKind, text: &str) -> Cell {
        Cell { kind, text: text.to_owned() }
    }

    #[test]
    fn a_crowd_ends_where_the_walk_goes_on() {
        let shape = Shape::plain(Dialect::Postgres, "t".to_owned());
        let names = ["A".to_owned(), "B".to_owned()];
        let at = |text: &str| cell(ColumnKind::DateTime, text);
        let built = |crowd: &Crowd| crowd.within(Select::new(&shape, &names)).build();
        let low = vec![at("2025-12-31T23:59:59.996")];
        let crowd = Crowd::around(&names, &[at("2026-01-01T00:00:00"), cell(ColumnKind::Integer, "7")], low);
        assert!(BEHIND < ROUNDING);
        assert_eq!(crowd.high, Some(vec![at("2026-01-01T00:00:00.002")]));
        let (sql, bound) = built(&crowd);
        assert_eq!((sql.as_str(), bound.len()), (r#"select "A", "B" from t where "A" >= ? and "A" <= ?"#, 2));

        let exact = vec![cell(ColumnKind::Date, "2026-01-01"), cell(ColumnKind::Integer, "7")];
        let crowd = Crowd::around(&names, &exact, exact.clone());
        assert_eq!(crowd.high, Some(exact));
        let (sql, bound) = built(&crowd);
        assert!(sql.ends_with(r#"and ("A" < ? or ("A" = ? and "B" <= ?))"#), "{sql}");
        assert!(bound.contains(&Value::Integer(7)) && bound.len() == 8, "{bound:?}");

        let last = at("9999-12-31T23:59:59.9999999");
        assert_eq!(Crowd::around(&names, std::slice::from_ref(&last), vec![last.clone()]).high, None);
    }
}
