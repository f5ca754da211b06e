//! A look into a batch of rows without decoding it: the cells of a few columns, as they stand there.

use serde::Deserialize;

use super::cell::Cell;
use crate::decode::rows::{Column, MAGIC};

/// The columns of a batch, and where its rows begin.
struct Head {
    columns: Vec<Column>,
    rows: usize,
}

/// What of a batch is needed to go on behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// How many rows it has.
    pub(super) rows: u64,
    /// The watched cells of the last row in which all of them can be read and none is NULL.
    pub(super) last: Option<Vec<Cell>>,
    /// Rows in which one of them is NULL.
    pub(super) nulls: u64,
    /// The greatest watched cells of all rows, by their order here; not beyond `limit`.
    pub(super) greatest: Option<Vec<Cell>>,
    /// Rows whose first watched cell is a time beyond the limit.
    pub(super) ahead: u64,
}

/// A batch that is none: a fault of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a batch of rows is not in its own form; this is a fault of Tollbridge, please report it")]
pub(super) struct Malformed;

/// Looks at these columns of each row. A first value that is a time after `limit` counts as ahead and moves no mark.
pub(super) fn look(bytes: &[u8], watched: &[String], limit: jiff::Timestamp) -> Result<Facts, Malformed> {
    let head = head(bytes)?;
    let position = |name: &String| {
        let exact = head.columns.iter().position(|column| column.name == *name);
        exact.or_else(|| head.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)))
    };
    let watched: Vec<usize> = watched.iter().map(position).collect::<Option<_>>().ok_or(Malformed)?;
    let mut facts = Facts::default();
    let mut rest = bytes.get(head.rows..).ok_or(Malformed)?;
    let mut cells: Vec<Found<'_>> = Vec::new();
    while !rest.is_empty() {
        let (row, after) = row(rest)?;
        rest = after;
        facts.rows += 1;
        if watched.is_empty() {
            continue;
        }
        cells.clear();
        cut(row, head.columns.len(), &mut cells)?;
        if watched.iter().any(|&index| matches!(cells.get(index), Some(Found::Null))) {
            facts.nulls += 1;
            continue;
        }
        let value = |index: &usize| match (cells.get(*index), head.columns.get(*index)) {
            (Some(Found::Value(bytes)), Some(column)) => Cell::of(column.kind, bytes),
            _ => None,
        };
        let Some(values) = watched.iter().map(value).collect::<Option<Vec<Cell>>>() else { continue };
        if values.first().is_some_and(|first| first.is_after(limit)) {
            facts.ahead += 1;
        } else if facts.greatest.as_ref().is_none_or(|greatest| order(greatest, &values).is_lt()) {
            facts.greatest = Some(values.clone());
        }
        facts.last = Some(values);
    }
    Ok(facts)
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
    let head = head(bytes)?;
    let rest = bytes.get(head.rows..).ok_or(Malformed)?;
    if rest.is_empty() {
        return Ok(None);
    }
    let mut cells = Vec::new();
    cut(row(rest)?.0, head.columns.len(), &mut cells)?;
    let named = head.columns.iter().zip(cells).map(|(column, cell)| match cell {
        Found::Value(bytes) => (column.name.clone(), Cell::of(column.kind, bytes)),
        Found::Null | Found::Fault => (column.name.clone(), None),
    });
    Ok(Some(named.collect()))
}

/// The raw rows of a batch with its columns: each without its length.
pub(super) fn rows(bytes: &[u8]) -> Result<(Vec<Column>, Vec<&[u8]>), Malformed> {
    let head = head(bytes)?;
    let mut rest = bytes.get(head.rows..).ok_or(Malformed)?;
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let (row, after) = row(rest)?;
        rows.push(row);
        rest = after;
    }
    Ok((head.columns, rows))
}

fn head(bytes: &[u8]) -> Result<Head, Malformed> {
    #[derive(Deserialize)]
    struct Written {
        columns: Vec<Column>,
    }
    let rest = bytes.strip_prefix(MAGIC).ok_or(Malformed)?;
    let (length, rest) = number(rest)?;
    let text = rest.get(..length).ok_or(Malformed)?;
    let written: Written = serde_json::from_slice(text).map_err(|_| Malformed)?;
    Ok(Head { columns: written.columns, rows: MAGIC.len() + 4 + length })
}

fn number(bytes: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let (number, rest) = bytes.split_first_chunk::<4>().ok_or(Malformed)?;
    Ok((u32::from_le_bytes(*number) as usize, rest))
}

fn row(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let (length, rest) = number(bytes)?;
    rest.split_at_checked(length).ok_or(Malformed)
}

/// A cell as it stands in a row.
#[derive(Clone, Copy)]
enum Found<'a> {
    Null,
    Fault,
    Value(&'a [u8]),
}

fn cut<'a>(mut row: &'a [u8], count: usize, cells: &mut Vec<Found<'a>>) -> Result<(), Malformed> {
    for _ in 0..count {
        let (kind, rest) = leb128(row)?;
        let (cell, rest) = match kind {
            0 => (Found::Null, rest),
            1 => {
                let (length, rest) = leb128(rest.get(1..).ok_or(Malformed)?)?;
                (Found::Fault, rest.get(length..).ok_or(Malformed)?)
            }
            length => {
                let (value, rest) = rest.split_at_checked(length - 2).ok_or(Malformed)?;
                (Found::Value(value), rest)
            }
        };
        cells.push(cell);
        row = rest;
    }
    if row.is_empty() { Ok(()) } else { Err(Malformed) }
}

fn leb128(bytes: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let mut number = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        number |= u64::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            let number = usize::try_from(number).map_err(|_| Malformed)?;
            return Ok((number, bytes.get(at + 1..).unwrap_or_default()));
        }
    }
    Err(Malformed)
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
        assert_eq!(look(&bytes, &["X".to_owned()], limit), Err(Malformed));
        let first = first_row(&bytes).unwrap().unwrap();
        assert_eq!((first[0].0.as_str(), first[0].1.as_ref().unwrap().text.as_str()), ("NO", "10"));
        assert_eq!(first_row(&batch(&[])).unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
            let mut whole = batch(&[(Some("1"), None), (Some("2"), Some("2026-01-01T00:00:00"))]);
            whole.truncate(cut.min(whole.len()));
            whole.extend(bytes);
            let _ = look(&whole, &["NO".to_owned()], jiff::Timestamp::MAX);
            let _ = first_row(&whole);
            let _ = rows(&whole);
        }
    }
}
