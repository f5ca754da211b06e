//! Following a column that grows with each change.
//!
//! Reading begins at the last value itself, or so far before it as the mapping says, never behind it: of two rows with the
//! same value one may have come later. What is read twice is found equal by its hash. Many rows with one value are a
//! [`Crowd`], which is walked another way.

use jiff::SignedDuration;

use super::cell::Cell;
use super::crowd::Crowd;
use super::position::{Mark, Phase};
use super::reading::{Question, Reading};
use super::statement::Select;
use crate::adapters::sql::Dialect;
use crate::decode::rows::ColumnKind;
use crate::mapping::{Overlap, Watermark};
use crate::pipeline::PipelineError;

/// Databases may round a time that is bound: SQL Server's `datetime` to a three-hundredth of a second.
pub(super) const ROUNDING: SignedDuration = SignedDuration::from_millis(4);

/// Where a statement begins.
#[derive(Clone, Debug, PartialEq, Eq)]
struct From {
    values: Vec<Cell>,
    or_equal: bool,
}

impl Reading<'_> {
    /// The greatest watermark there is now, so that what changes while everything is read is found behind it.
    pub(super) async fn watermark_now(&mut self, watermark: &Watermark) -> Result<Mark, PipelineError> {
        let Some(first) = watermark.columns.first() else { return Ok(Mark::None) };
        let mut found = self.greatest(watermark, None).await?;
        let limit = self.too_late();
        if let Some(cell) = found.as_ref().and_then(|cells| cells.first()).filter(|cell| cell.is_after(limit)) {
            // A time to come is no time of a change. What is greatest among the others is.
            let condition = format!("{} <= ?", self.shape.quoted(first));
            found = self.greatest(watermark, Some((condition, at(cell.kind, limit)))).await?;
        }
        Ok(found.map_or(Mark::None, Mark::Values))
    }

    /// Times behind this moment are none of a change.
    fn too_late(&self) -> jiff::Timestamp {
        self.started_at.checked_add(SignedDuration::from_hours(24)).unwrap_or(self.started_at)
    }

    /// Tells rows with a time to come. They are counted by the database: a reading may meet them more than once.
    async fn tell_ahead(&mut self, watermark: &Watermark, kind: ColumnKind) -> Result<(), PipelineError> {
        let Some(first) = watermark.columns.first() else { return Ok(()) };
        let condition = format!("{} > ?", self.shape.quoted(first));
        let select = Select::new(&self.shape, &[]).also("count(*)", "n");
        let (sql, parameters) = select.only(condition, [at(kind, self.too_late()).value()]).build();
        let count = self.one(sql, parameters).await?.pop().and_then(|(_, cell)| cell);
        if let Some(count) = count.filter(|count| count.text != "0") {
            self.tell(format!(
                "{} rows have a {} more than a day ahead of now: they are read each time, and no mark is set by them",
                count.text,
                watermark.columns.join(", ")
            ));
        }
        Ok(())
    }

    /// The greatest values of the watermark among rows that meet a condition.
    async fn greatest(
        &self,
        watermark: &Watermark,
        only: Option<(String, Cell)>,
    ) -> Result<Option<Vec<Cell>>, PipelineError> {
        let columns = &watermark.columns;
        // A function of a column has no type in some databases, so the row itself is asked for. Where a dialect has no
        // words for its first row alone, the first column's greatest value is enough.
        let select = if self.shape.dialect == Dialect::Generic {
            let first = columns.first().map(|name| format!("max({})", self.shape.quoted(name))).unwrap_or_default();
            Select::new(&self.shape, &[]).also(&first, "greatest")
        } else {
            Select::new(&self.shape, columns).without_nulls(columns).descending(columns).first(1)
        };
        let select = match only {
            Some((condition, cell)) => select.only(condition, [cell.value()]),
            None => select,
        };
        let (sql, parameters) = select.build();
        let row = self.one(sql, parameters).await?;
        Ok(row.into_iter().map(|(_, cell)| cell).collect::<Option<Vec<Cell>>>().filter(|cells| !cells.is_empty()))
    }

    /// Reads what has changed.
    pub(super) async fn follow_watermark(&mut self, watermark: &Watermark) -> Result<(), PipelineError> {
        let Phase::Changes { mark, .. } = self.lead.standing.phase.clone() else { return Ok(()) };
        let mut from = match &mark {
            Mark::Values(values) => {
                let values = begin(values, watermark.overlap).map_err(|reason| self.fault(reason))?;
                Some(From { values, or_equal: true })
            }
            _ => None,
        };
        let (chunk, mut ahead) = (self.chunk_rows(), None);
        // Mostly little has changed, and what is a crowd already shows in a few rows.
        let mut limit = Some(chunk.min(self.source().batch_rows));
        loop {
            let select = self.selected().without_nulls(&watermark.columns);
            let select = match &from {
                Some(from) => select.behind(&watermark.columns, &from.values, from.or_equal),
                None => select,
            };
            let select = select.ordered(&watermark.columns);
            let (sql, parameters) = match limit {
                Some(limit) => select.first(limit),
                None => select,
            }
            .build();
            let question = Question {
                sql,
                parameters,
                watched: &watermark.columns,
                snapshot: None,
                ids: None,
                once: self.tells_apart(),
            };
            let (mut last, mut tied, mut beyond): (Option<Vec<Cell>>, _, _) = (None, 0, 0);
            let taken = self.take(question, |standing, facts| {
                if let (Phase::Changes { mark, .. }, Some(greatest)) = (&mut standing.phase, &facts.greatest) {
                    advance(mark, greatest);
                }
                let goes_on = facts.tied == facts.rows && facts.last == last;
                tied = if goes_on { tied + facts.tied } else { facts.tied };
                last = facts.last.clone().or(last.take());
                beyond += facts.ahead;
            });
            let rows = match taken.await {
                Ok(rows) => rows,
                Err(error) if self.tries_again(&error).await => continue,
                Err(error) => return Err(error),
            };
            let kind = last.as_ref().and_then(|last| last.first()).map(|cell| cell.kind);
            ahead = ahead.or(kind.filter(|_| beyond > 0));
            if limit.is_none_or(|limit| rows < u64::from(limit)) {
                break;
            }
            limit = Some(chunk);
            let Some(last) = last else {
                // None of so many rows says where to go on: the rest is asked for as a whole.
                limit = None;
                continue;
            };
            let next =
                From { values: begin(&last, Overlap::None).map_err(|reason| self.fault(reason))?, or_equal: true };
            if tied * 2 < rows && Some(&next) != from.as_ref() {
                from = Some(next);
                continue;
            }
            let crowd = Crowd::around(&watermark.columns, &last, next.values);
            let beyond = self.read_crowd(watermark, &crowd).await?;
            ahead = ahead.or(kind.filter(|_| beyond > 0));
            let Some(high) = crowd.high else { break };
            let behind = From { values: high, or_equal: false };
            if from.as_ref() == Some(&behind) {
                // They stand behind themselves: the database does not take them for what they were read as.
                limit = None;
            }
            from = Some(behind);
        }
        if let Some(kind) = ahead {
            self.tell_ahead(watermark, kind).await?;
        }
        Ok(())
    }
}

/// A moment as a value of this kind.
fn at(kind: ColumnKind, moment: jiff::Timestamp) -> Cell {
    let local = moment.to_zoned(jiff::tz::TimeZone::UTC);
    let text = match kind {
        ColumnKind::Date => local.date().to_string(),
        ColumnKind::DateTimeOffset => format!("{moment:.0}"),
        _ => format!("{:.0}", local.datetime()),
    };
    Cell { kind, text }
}

/// Moves a mark to these values, unless it is there already.
pub(super) fn advance(mark: &mut Mark, values: &[Cell]) {
    let is_further = match &*mark {
        Mark::Values(known) => super::batch::order(known, values).is_lt() || (known.len() < values.len()),
        _ => true,
    };
    if is_further {
        *mark = Mark::Values(values.to_vec());
    }
}

/// Where reading begins when it has come to these values. The fault: the overlap does not fit them.
pub(super) fn begin(values: &[Cell], overlap: Overlap) -> Result<Vec<Cell>, String> {
    let Some(first) = values.first() else { return Ok(Vec::new()) };
    let is_time = matches!(first.kind, ColumnKind::DateTime | ColumnKind::DateTimeOffset);
    let misfit = |what: &str| format!("the watermark's `overlap` is {what}, but its value is `{}`", first.text);
    let alone = match overlap {
        Overlap::Time(length) => {
            let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
            let length = if is_time { length.max(ROUNDING) } else { length };
            first.earlier(length).ok_or_else(|| misfit("a length of time"))?
        }
        Overlap::Number(number) => first.less(number).ok_or_else(|| misfit("a number"))?,
        Overlap::None if is_time => first.earlier(ROUNDING).unwrap_or_else(|| first.clone()),
        Overlap::None if first.kind == ColumnKind::Float => first.widened(),
        // Values that are bound as they were read say together where to go on; behind one that is not, none counts.
        Overlap::None => {
            let sure = values.iter().take_while(|cell| Cell::leads_on(cell.kind)).count();
            return Ok(values.iter().take(sure.max(1)).cloned().collect());
        }
    };
    Ok(vec![alone])
}

/// Tells rows that no watermark will ever lead to.
pub(super) async fn tell_nulls(reading: &mut Reading<'_>, watermark: &Watermark) -> Result<(), PipelineError> {
    let crate::mapping::Relation::Table { .. } = &reading.source().relation else { return Ok(()) };
    let nullable: Vec<String> = watermark
        .columns
        .iter()
        .filter(|name| reading.shape.may_be_null(name))
        .map(|name| format!("{} is null", reading.shape.quoted(name)))
        .collect();
    if nullable.is_empty() {
        return Ok(());
    }
    let select =
        Select::new(&reading.shape, &[]).also("count(*)", "n").only(format!("({})", nullable.join(" or ")), []);
    let (sql, parameters) = select.build();
    let count = reading.one(sql, parameters).await?.pop().and_then(|(_, cell)| cell);
    if let Some(count) = count.filter(|count| count.text != "0") {
        reading.tell(format!(
            "{} rows have no {}: they were read now, and what changes in them is found only when everything is read",
            count.text,
            watermark.columns.join(", ")
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cell(kind: ColumnKind, text: &str) -> Cell {
        Cell { kind, text: text.to_owned() }
    }

    #[test]
    fn reading_begins_never_behind_the_last_value() {
        let texts = |values: &[Cell], overlap| {
            begin(values, overlap).map(|cells| cells.iter().map(|cell| cell.text.clone()).collect::<Vec<_>>())
        };
        let at = cell(ColumnKind::DateTime, "2026-01-01T00:00:00");
        let number = cell(ColumnKind::Integer, "500");
        let day = cell(ColumnKind::Date, "2026-01-01");
        let time = cell(ColumnKind::Time, "12:00:00");
        let check = |values: &[Cell], overlap, expected: &[&str]| assert_eq!(texts(values, overlap).unwrap(), expected);
        check(std::slice::from_ref(&at), Overlap::None, &["2025-12-31T23:59:59.996"]);
        check(&[at.clone(), number.clone()], Overlap::None, &["2025-12-31T23:59:59.996"]);
        check(std::slice::from_ref(&at), Overlap::Time(Duration::from_secs(300)), &["2025-12-31T23:55:00"]);
        check(std::slice::from_ref(&number), Overlap::Number(100), &["400"]);
        check(&[number.clone(), at.clone()], Overlap::None, &["500"]);
        check(&[day.clone(), number.clone()], Overlap::None, &["2026-01-01", "500"]);
        check(&[day, time], Overlap::None, &["2026-01-01"]);
        let amount = cell(ColumnKind::Decimal { precision: 9, scale: 2 }, "500.25");
        check(std::slice::from_ref(&amount), Overlap::Number(100), &["400.25"]);
        check(&[amount.clone(), number.clone()], Overlap::None, &["500.25", "500"]);
        check(&[cell(ColumnKind::Float, "0.5")], Overlap::None, &["0.4999995"]);
        assert!(texts(&[number], Overlap::Time(Duration::from_secs(1))).unwrap_err().contains("a length of time"));
        assert!(texts(&[at], Overlap::Number(1)).unwrap_err().contains("a number"));
    }

    #[test]
    fn a_mark_moves_only_forward() {
        let number = |text: &str| vec![cell(ColumnKind::Integer, text)];
        let mut mark = Mark::None;
        for (value, expected) in [("9", "9"), ("10", "10"), ("2", "10")] {
            advance(&mut mark, &number(value));
            assert_eq!(mark, Mark::Values(number(expected)));
        }
    }
}
