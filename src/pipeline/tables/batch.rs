//! A look into a batch of rows without decoding it: the cells of a few columns, as they stand there.

use super::cell::Cell;
use crate::decode::rows::{self, BatchWriter, Column, Malformed, RowBatch, Walk};

/// What of a batch is needed to go on behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// How many rows it has.
    pub(super) rows: u64,
    /// The watched cells of the last row in which all of them can be read and none is NULL.
    pub(super) last: Option<Vec<Cell>>,
    /// How many rows at the end have these cells.
    pub(super) tied: u64,
    /// Rows in which one of them is NULL.
    pub(super) nulls: u64,
    /// The greatest watched cells of all rows, by their order here; not beyond `limit`.
    pub(super) greatest: Option<Vec<Cell>>,
    /// Rows whose first watched cell is a time beyond the limit.
    pub(super) ahead: u64,
}

/// Looks at these columns of each row. A first value that is a time after `limit` counts as ahead and moves no mark.
pub(super) fn look(bytes: &[u8], watched: &[String], limit: jiff::Timestamp) -> Result<Facts, Malformed> {
    let mut walk = Walk::over(bytes)?;
    let columns = std::sync::Arc::clone(walk.columns());
    let watched: Vec<usize> =
        watched.iter().map(|name| position(&columns, name)).collect::<Option<_>>().ok_or(Malformed)?;
    let mut facts = Facts::default();
    let mut cells = Vec::new();
    // Mostly the last row is the greatest: it is kept once, until another one comes.
    let mut last_is_greatest = false;
    while let Some(row) = walk.next()? {
        facts.rows += 1;
        if watched.is_empty() {
            continue;
        }
        walk.cells(row, &mut cells)?;
        if watched.iter().any(|&index| matches!(cells.get(index), Some(rows::Cell::Null))) {
            facts.nulls += 1;
            continue;
        }
        let values = watched.iter().map(|index| value(&columns, &cells, *index)).collect::<Option<Vec<Cell>>>();
        let Some(values) = values else { continue };
        let before = if last_is_greatest { &facts.greatest } else { &facts.last };
        facts.tied = if before.as_ref() == Some(&values) { facts.tied + 1 } else { 1 };
        let is_ahead = values.first().is_some_and(|first| first.is_after(limit));
        facts.ahead += u64::from(is_ahead);
        last_is_greatest = !is_ahead && facts.greatest.as_ref().is_none_or(|greatest| order(greatest, &values).is_lt());
        *(if last_is_greatest { &mut facts.greatest } else { &mut facts.last }) = Some(values);
    }
    if last_is_greatest {
        facts.last.clone_from(&facts.greatest);
    }
    Ok(facts)
}

/// Of what [`look`] finds, how many rows there are and the last of them alone.
pub(super) fn end(bytes: &[u8], watched: &[String]) -> Result<Facts, Malformed> {
    let mut walk = Walk::over(bytes)?;
    let columns = std::sync::Arc::clone(walk.columns());
    let watched: Vec<usize> =
        watched.iter().map(|name| position(&columns, name)).collect::<Option<_>>().ok_or(Malformed)?;
    let mut rows = Vec::new();
    while let Some(row) = walk.next()? {
        rows.push(row);
    }
    let mut facts = Facts { rows: rows.len() as u64, ..Facts::default() };
    let mut cells = Vec::new();
    for row in rows.into_iter().rev() {
        if facts.last.is_some() || watched.is_empty() {
            break;
        }
        walk.cells(row, &mut cells)?;
        facts.last = watched.iter().map(|index| value(&columns, &cells, *index)).collect();
    }
    Ok(facts)
}

/// A cell that can be read and is not NULL.
fn value(columns: &[Column], cells: &[rows::Cell<'_>], index: usize) -> Option<Cell> {
    match (cells.get(index), columns.get(index)) {
        (Some(rows::Cell::Value(bytes)), Some(column)) => Cell::of(column.kind, bytes),
        _ => None,
    }
}

/// A walk over the rows of these numbers, counted from 1 and ascending.
struct Chosen<'b, 'n> {
    walk: Walk<'b>,
    row: u64,
    wanted: std::slice::Iter<'n, u64>,
}

impl<'b, 'n> Chosen<'b, 'n> {
    fn of(bytes: &'b [u8], numbers: &'n [u64]) -> Result<Chosen<'b, 'n>, Malformed> {
        Ok(Chosen { walk: Walk::over(bytes)?, row: 0, wanted: numbers.iter() })
    }

    fn columns(&self) -> std::sync::Arc<[Column]> {
        std::sync::Arc::clone(self.walk.columns())
    }

    /// Where these columns stand; `None` where one of them is not there.
    fn positions(&self, names: &[String]) -> Option<Vec<usize>> {
        names.iter().map(|name| position(self.walk.columns(), name)).collect()
    }

    /// The cells of the next one; false where there is none.
    fn next(&mut self, cells: &mut Vec<rows::Cell<'b>>) -> Result<bool, Malformed> {
        let Some(&number) = self.wanted.next() else { return Ok(false) };
        while let Some(row) = self.walk.next()? {
            self.row += 1;
            if self.row >= number {
                self.walk.cells(row, cells)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The cells of these columns in the rows of these numbers, counted from 1 and ascending; of rows only in which all of
/// them can be read and none is NULL.
pub(in crate::pipeline) fn cells_of(
    bytes: &[u8],
    names: &[String],
    numbers: &[u64],
) -> Result<Vec<Vec<Cell>>, Malformed> {
    let mut found = Vec::with_capacity(numbers.len());
    if numbers.is_empty() {
        return Ok(found);
    }
    let mut chosen = Chosen::of(bytes, numbers)?;
    let (columns, positions) = (chosen.columns(), chosen.positions(names).ok_or(Malformed)?);
    let mut cells = Vec::new();
    while chosen.next(&mut cells)? {
        found.extend(positions.iter().map(|index| value(&columns, &cells, *index)).collect::<Option<Vec<Cell>>>());
    }
    Ok(found)
}

/// Only these columns of the rows of these numbers, counted from 1 and ascending; `None` where one of the columns is not there.
pub(super) fn narrowed(bytes: &[u8], names: &[String], numbers: &[u64]) -> Result<Option<RowBatch>, Malformed> {
    let mut chosen = Chosen::of(bytes, numbers)?;
    let Some(positions) = chosen.positions(names) else { return Ok(None) };
    let columns = chosen.columns();
    let mut writer = BatchWriter::new(positions.iter().filter_map(|&index| columns.get(index)).cloned().collect());
    let mut cells = Vec::new();
    while chosen.next(&mut cells)? {
        writer.begin();
        for index in &positions {
            match cells.get(*index) {
                Some(rows::Cell::Value(bytes)) => writer.value(bytes),
                Some(rows::Cell::Fault(fault, raw)) => writer.fault(*fault, raw),
                Some(rows::Cell::Null) | None => writer.null(),
            }
        }
        writer.end();
    }
    Ok(Some(writer.take()))
}

/// How many of the rows of these numbers, counted from 1 and ascending, have no key: NULL stands in a column of it, and all
/// of them can be read.
pub(super) fn keyless(bytes: &[u8], names: &[String], numbers: &[u64]) -> Result<u64, Malformed> {
    let mut found = 0;
    if numbers.is_empty() || names.is_empty() {
        return Ok(found);
    }
    let mut chosen = Chosen::of(bytes, numbers)?;
    let Some(positions) = chosen.positions(names) else { return Ok(found) };
    let mut cells = Vec::new();
    while chosen.next(&mut cells)? {
        let of_key = || positions.iter().filter_map(|&index| cells.get(index));
        let is_read = of_key().all(|cell| !matches!(cell, rows::Cell::Fault(..)));
        found += u64::from(is_read && of_key().any(|cell| matches!(cell, rows::Cell::Null)));
    }
    Ok(found)
}

fn position(columns: &[Column], name: &str) -> Option<usize> {
    let exact = columns.iter().position(|column| column.name == name);
    exact.or_else(|| columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)))
}

/// The cells of these columns in all rows in which each of them can be read and is not NULL.
pub(super) fn all_cells(batch: &RowBatch, names: &[String]) -> Result<Vec<Vec<Cell>>, Malformed> {
    cells_of(&batch.bytes, names, &(1..=batch.rows).collect::<Vec<_>>())
}

/// The order of two keys.
pub(super) fn order(one: &[Cell], other: &[Cell]) -> std::cmp::Ordering {
    let pairs = one.iter().zip(other).map(|(one, other)| one.order(other));
    pairs.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
}

/// Values by the names of their columns.
pub(super) type Named = Vec<(String, Option<Cell>)>;

/// The values of the first row, by name, where there is one: of questions that have one answer.
pub(super) fn first_row(bytes: &[u8]) -> Result<Option<Named>, Malformed> {
    let mut walk = Walk::over(bytes)?;
    let Some(row) = walk.next()? else { return Ok(None) };
    let mut cells = Vec::new();
    walk.cells(row, &mut cells)?;
    let named = walk.columns().iter().zip(cells).map(|(column, cell)| match cell {
        rows::Cell::Value(bytes) => (column.name.clone(), Cell::of(column.kind, bytes)),
        rows::Cell::Null | rows::Cell::Fault(..) => (column.name.clone(), None),
    });
    Ok(Some(named.collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::rows::{BatchWriter, CellFault, ColumnKind};

    fn columns() -> std::sync::Arc<[Column]> {
        let column = |name: &str, kind| Column { name: name.to_owned(), kind, declared: String::new(), nullable: None };
        vec![column("NO", ColumnKind::Integer), column("AT", ColumnKind::DateTime)].into()
    }

    fn batch(rows: &[(Option<&str>, Option<&str>)]) -> Vec<u8> {
        let mut writer = BatchWriter::new(columns());
        for (no, at) in rows {
            writer.begin();
            for cell in [no, at] {
                match cell {
                    Some("!") => writer.fault(CellFault::Invalid, b"\xFF"),
                    Some(text) => writer.value(text.as_bytes()),
                    None => writer.null(),
                }
            }
            writer.end();
        }
        writer.take().bytes.to_vec()
    }

    fn texts(cells: &Option<Vec<Cell>>) -> Vec<&str> {
        cells.iter().flatten().map(|cell| cell.text.as_str()).collect()
    }

    #[test]
    fn the_last_and_the_greatest_row_are_found() {
        let limit = "2026-06-01T00:00:00Z".parse().unwrap();
        let bytes = batch(&[
            (Some("10"), Some("2026-01-02T00:00:00")),
            (Some("9"), Some("2026-01-01T00:00:00")),
            (Some("8"), None),
            (Some("7"), Some("2999-01-01T00:00:00")),
            (Some("!"), Some("2026-01-03T00:00:00")),
        ]);
        let at = look(&bytes, &["AT".to_owned(), "NO".to_owned()], limit).unwrap();
        assert_eq!((at.rows, at.nulls, at.ahead), (5, 1, 1));
        assert_eq!(texts(&at.greatest), ["2026-01-02T00:00:00", "10"]);
        assert_eq!(texts(&at.last), ["2999-01-01T00:00:00", "7"]);
        let no = look(&bytes, &["NO".to_owned()], limit).unwrap();
        assert_eq!((texts(&no.greatest), texts(&no.last), no.nulls), (vec!["10"], vec!["7"], 0));
        let (early, late) = (Some("2026-01-02T00:00:00"), Some("2026-02-02T00:00:00"));
        for (times, tied) in [(&[early, early, late][..], 1), (&[late, early, early], 2), (&[late; 3], 3), (&[None], 0)]
        {
            let rows: Vec<_> = times.iter().map(|time| (Some("1"), *time)).collect();
            assert_eq!(look(&batch(&rows), &["AT".to_owned()], limit).unwrap().tied, tied, "{times:?}");
        }
        assert_eq!(look(&bytes, &["X".to_owned()], limit), Err(Malformed));
        let first = first_row(&bytes).unwrap().unwrap();
        assert_eq!((first[0].0.as_str(), first[0].1.as_ref().unwrap().text.as_str()), ("NO", "10"));
        assert_eq!(first_row(&batch(&[])).unwrap(), None);
        let nulls = |name: &str, numbers: &[u64]| keyless(&bytes, &[name.to_owned()], numbers).unwrap();
        assert_eq!((nulls("AT", &[1, 3]), nulls("AT", &[1, 2]), nulls("NO", &[3, 5]), nulls("X", &[3])), (1, 0, 0, 0));
        assert_eq!(keyless(&bytes, &["NO".to_owned(), "AT".to_owned()], &[3, 5]).unwrap(), 1);
        let narrow = narrowed(&bytes, &["at".to_owned()], &[2, 3, 5]).unwrap().unwrap();
        let found = all_cells(&narrow, &["AT".to_owned()]).unwrap();
        assert_eq!((narrow.rows, found.len()), (3, 2));
        assert_eq!(
            (found[0][0].text.as_str(), found[1][0].text.as_str()),
            ("2026-01-01T00:00:00", "2026-01-03T00:00:00")
        );
        assert_eq!(narrowed(&bytes, &["X".to_owned()], &[1]).unwrap(), None);
        let found = cells_of(&bytes, &["NO".to_owned()], &[1, 3, 5]).unwrap();
        assert_eq!(found.iter().map(|cells| cells[0].text.as_str()).collect::<Vec<_>>(), ["10", "8"]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
            let mut whole = batch(&[(Some("1"), None), (Some("2"), Some("2026-01-01T00:00:00"))]);
            whole.truncate(cut.min(whole.len()));
            whole.extend(bytes);
            let _ = look(&whole, &["NO".to_owned()], jiff::Timestamp::MAX);
            let _ = first_row(&whole);
            let _ = cells_of(&whole, &["NO".to_owned()], &[1, 2, 9]);
            let _ = keyless(&whole, &["NO".to_owned()], &[1, 2, 9]);
            let _ = narrowed(&whole, &["NO".to_owned()], &[1, 2, 9]);
        }
    }
}
