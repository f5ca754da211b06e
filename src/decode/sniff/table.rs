//! The table within the rows: where it begins and ends, whether its first row is a header, and what its columns hold.

use std::collections::HashMap;

use super::kinds::{Cell, Column};

/// A table and what stands around it.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Cells that most rows have.
    pub(super) width: usize,
    /// Rows of this width, of all that were looked at.
    pub(super) regular: usize,
    pub(super) rows: usize,
    /// Rows of the table that have more or fewer cells, where that can be told from lines around it.
    pub(super) ragged: usize,
    /// Lines before the first row.
    pub(super) preamble_lines: u64,
    /// Lines behind the last row, where the end of the file was seen.
    pub(super) footer_lines: u64,
    /// What lines that are no rows begin with.
    pub(super) comment: Option<String>,
    /// The names of the columns, if the first row has them, and why that is thought.
    pub(super) header: Option<Vec<String>>,
    pub(super) header_because: String,
    /// Rows that are the header once more.
    pub(super) repeated: usize,
    pub(super) columns: Vec<Column>,
}

/// Finds the table in rows with their lines; `lines` is how many the text has, where it is the whole file.
pub(super) fn find(rows: &[(u64, Vec<String>)], lines: Option<u64>) -> Option<Table> {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    rows.iter()
        .filter(|(_, cells)| cells.len() > 1)
        .for_each(|(_, cells)| *counts.entry(cells.len()).or_default() += 1);
    let (width, regular) = counts.into_iter().max_by_key(|(width, count)| (*count, *width))?;
    let is_row = |row: &&(u64, Vec<String>)| row.1.len() == width;
    // A single row of the right width may be chance; two that follow one another are not.
    let pairs = rows.iter().zip(rows.iter().skip(1).map(Some).chain([None]));
    let first =
        pairs.clone().position(|(row, next)| row.1.len() == width && next.is_none_or(|next| next.1.len() == width))?;
    let last = rows.iter().rposition(|row| is_row(&row))?;
    let comment = ["#", "//", "--"].iter().copied().find(|mark| {
        let begins = |row: &&(u64, Vec<String>)| row.1.first().is_some_and(|cell| cell.starts_with(mark));
        let mut irregular = rows.iter().filter(|row| !is_row(row)).peekable();
        irregular.peek().is_some()
            && irregular.all(|row| begins(&row))
            && !rows.iter().filter(is_row).any(|row| begins(&row))
    });
    let line_of = |at: usize| rows.get(at).map_or(1, |(line, _)| *line);
    let footer_lines = match (lines, rows.get(last + 1)) {
        (Some(lines), Some((line, _))) if comment.is_none() => (lines + 1).saturating_sub(*line),
        _ => 0,
    };
    let table: Vec<&Vec<String>> =
        rows.get(first..=last)?.iter().map(|(_, cells)| cells).filter(|cells| cells.len() == width).collect();
    let (is_header, header_because) = is_header(&table);
    // Without names above the values, what has cells before the first regular row is a row as well.
    let before = rows.get(..first).unwrap_or_default().iter().rev().take_while(|(_, cells)| cells.len() > 1).count();
    let ragged = if is_header || comment.is_some() { 0 } else { before };
    let begin = first - ragged;
    let preamble_lines = match (comment.is_some(), begin) {
        (true, _) | (_, 0) => 0,
        _ => line_of(begin).saturating_sub(1),
    };
    let names: Vec<String> =
        table.first().map(|cells| cells.iter().map(|cell| cell.trim().to_owned()).collect()).unwrap_or_default();
    let repeated =
        if is_header { table.iter().skip(1).filter(|row| Some(row) == table.first().as_ref()).count() } else { 0 };
    let body =
        || table.iter().skip(usize::from(is_header)).filter(|row| !is_header || Some(row) != table.first().as_ref());
    let columns = (0..width).map(|column| {
        let cells: Vec<&str> = body().filter_map(|row| row.get(column)).map(String::as_str).collect();
        let name = names.get(column).filter(|name| is_header && !name.is_empty()).cloned();
        Column::of(name.unwrap_or_else(|| format!("column_{}", column + 1)), &cells)
    });
    Some(Table {
        width,
        regular,
        rows: rows.len(),
        ragged,
        preamble_lines,
        footer_lines,
        comment: comment.map(str::to_owned),
        columns: columns.collect(),
        header: is_header.then_some(names),
        header_because,
        repeated,
    })
}

/// Whether the first row has names and not values, and what speaks for it.
fn is_header(table: &[&Vec<String>]) -> (bool, String) {
    let Some((first, rows)) = table.split_first() else { return (false, "there is no row".to_owned()) };
    // A header that comes again between the rows is none of them.
    let body: Vec<&&Vec<String>> = rows.iter().filter(|row| *row != first).collect();
    let is_value = |cell: &String| !matches!(Cell::of(cell), Cell::Text | Cell::Odd | Cell::Empty | Cell::Boolean);
    if let Some(value) = first.iter().find(|cell| is_value(cell)) {
        return (false, format!("its first row has the value `{value}`"));
    }
    if first.iter().all(|cell| cell.trim().is_empty()) {
        return (false, "its first row is blank".to_owned());
    }
    let other = (0..first.len()).find(|&column| {
        let filled = || body.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.trim().is_empty());
        let values = filled().filter(|cell| is_value(cell)).count();
        values > 0 && values * 10 >= filled().count() * 9
    });
    if let Some(name) = other.and_then(|column| first.get(column)) {
        return (true, format!("its first row has no values, and below `{name}` there are nothing but values"));
    }
    let repeats = |column: usize, name: &String| body.iter().any(|row| row.get(column) == Some(name));
    let mut sorted: Vec<&String> = first.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let is_distinct = sorted.len() == first.len() && first.iter().all(|cell| !cell.trim().is_empty());
    if is_distinct && !first.iter().enumerate().any(|(column, name)| repeats(column, name)) {
        return (true, "all cells of its first row differ, and none comes again below: likely, not sure".to_owned());
    }
    (false, "its first row is like the others".to_owned())
}

#[cfg(test)]
mod tests {
    use super::find;

    /// Lines before the table, and rows of other widths at its start.
    fn around(text: &str) -> (u64, usize) {
        let rows: Vec<(u64, Vec<String>)> =
            (1..).zip(text.lines().map(|line| line.split(';').map(str::to_owned).collect())).collect();
        let table = find(&rows, Some(rows.len() as u64)).unwrap();
        (table.preamble_lines, table.ragged)
    }

    #[test]
    fn a_record_is_no_preamble() {
        assert_eq!(around("1;Hammer;10;x\n2;Saw;5\n3;Axe;6\n4;Pin;7"), (0, 1));
        assert_eq!(around("1;Hammer\n2;Saw;5\n3;Axe;6\n4;Pin;7"), (0, 1));
        assert_eq!(around("Report\n1;Hammer\n2;Saw;5\n3;Axe;6\n4;Pin;7"), (1, 1));
        assert_eq!(around("Report\nof;today\nno;name;price\n2;Saw;5\n3;Axe;6\n4;Pin;7"), (2, 0));
        assert_eq!(around("no;name;price\n2;Saw;5\n3;Axe;6\n4;Pin;7"), (0, 0));
    }
}
