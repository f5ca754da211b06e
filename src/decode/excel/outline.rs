//! What the sheets of a workbook look like: where their cells lie, in which row names seem to stand, and what is below.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use super::cell::{Cell, Content, place};
use super::producer::Sheet;
use super::reader::shown;
use super::settings::{Settings, Sheet as Which, letters};
use crate::decode::reader::StreamFault;

/// The most sheets that are looked at, and the most rows of each that are shown.
const MOST_SHEETS: usize = 20;
const MOST_ROWS: usize = 1000;
/// The most rows in which the names of the columns are looked for.
const MOST_TITLES: usize = 20;

/// One sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Its name.
    pub name: String,
    /// From its first cell to its last, like `A1:H12`; `None` for a sheet without cells.
    pub area: Option<String>,
    /// Rows that have a cell.
    pub rows: usize,
    /// The row that seems to have the names of the columns, from 1.
    pub header_row: Option<u32>,
    /// From that row to the last column, like `A3:H`.
    pub range: Option<String>,
    /// The columns below it, each with its name and the cells of its first rows.
    pub columns: Vec<(String, Vec<String>)>,
}

/// Looks at the sheets of a workbook, which is refused as it is refused for reading: by itself, or with so much as `max_mib`.
pub fn outline<R: Read + Seek>(mut input: R, max_mib: Option<u64>) -> Result<Vec<Outline>, StreamFault> {
    let max_bytes = max_mib.map_or(Settings::default().max_bytes, |mib| mib << 20);
    let mut found = Vec::new();
    for number in 1..=MOST_SHEETS {
        let settings = Settings { sheet: Which::At(number), max_bytes, ..Settings::default() };
        match Sheet::open(&mut input, &settings) {
            Ok(sheet) => found.push(of(sheet)?),
            // Behind the last sheet there is none.
            Err(fault) if found.is_empty() => return Err(fault),
            Err(_) => break,
        }
    }
    Ok(found)
}

fn of<R: Read + Seek>(mut sheet: Sheet<R>) -> Result<Outline, StreamFault> {
    let mut rows: BTreeMap<u32, Vec<Cell>> = BTreeMap::new();
    while let Some(cell) = sheet.next()? {
        if rows.len() == MOST_TITLES + MOST_ROWS && !rows.contains_key(&cell.row) {
            break;
        }
        rows.entry(cell.row).or_default().push(cell);
    }
    let area = sheet.survey.area;
    let last = area.map(|(_, (_, right))| right);
    let area = area.map(|((top, bottom), (left, right))| format!("{}:{}", place(top, left), place(bottom, right)));
    let (name, number) = (sheet.name, sheet.survey.rows);
    let mut outline = Outline { name, area, rows: number, header_row: None, range: None, columns: Vec::new() };
    // Above a table a title may stand, which is narrower.
    let widest = rows.values().take(MOST_ROWS).map(Vec::len).max().unwrap_or_default();
    let is_name = |cell: &Cell| matches!(&cell.content, Content::Text(text) if !text.trim().is_empty());
    let is_header = |row: &&Vec<Cell>| row.len() * 3 >= widest * 2 && row.iter().all(is_name);
    let header = rows.iter().take(MOST_TITLES).find(|(_, row)| is_header(row));
    let Some((header, names)) = header else { return Ok(outline) };
    let (Some(left), Some(right)) = (names.first().map(|cell| cell.column), last) else { return Ok(outline) };
    outline.header_row = Some(header + 1);
    outline.range = Some(format!("{}:{}", place(*header, left), letters(right)));
    let below: Vec<&Vec<Cell>> = rows.range(header + 1..).map(|(_, row)| row).take(MOST_ROWS).collect();
    for column in left..=right {
        let at = |row: &[Cell]| {
            let cell = row.iter().find(|cell| cell.column == column);
            cell.map_or_else(String::new, |cell| shown(&cell.content).into_owned())
        };
        let (name, cells) = (at(names), below.iter().map(|row| at(row)).collect::<Vec<_>>());
        if !name.trim().is_empty() || cells.iter().any(|cell| !cell.is_empty()) {
            let name = if name.trim().is_empty() { letters(column) } else { name.trim().to_owned() };
            outline.columns.push((name, cells));
        }
    }
    Ok(outline)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::outline;

    /// See `fixtures/decode/excel/generate.py` for what the sheets have.
    #[test]
    fn sheets_of_a_workbook() {
        for content in [
            include_bytes!("../../../fixtures/decode/excel/rows.xlsx").as_slice(),
            include_bytes!("../../../fixtures/decode/excel/rows.xls"),
        ] {
            let sheets = outline(Cursor::new(content), None).unwrap();
            let names: Vec<_> = sheets.iter().map(|sheet| sheet.name.as_str()).collect();
            assert_eq!(names, ["Notes", "Data", "Kinds"]);
            let data = &sheets[1];
            assert_eq!((data.area.as_deref(), data.rows, data.header_row), (Some("A1:H10"), 8, Some(3)));
            assert_eq!(data.range.as_deref(), Some("A3:H"));
            let columns: Vec<_> = data.columns.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(columns, ["No", "Artikel", "Preis", "Am", "Um", "Zeitpunkt", "Aktiv", "H"]);
            assert_eq!(data.columns[2].1[..2], ["19.99", "0.1"]);
            assert_eq!(data.columns[3].1[0], "2026-01-02");
        }
        assert!(outline(Cursor::new(b"no workbook"), None).is_err());
    }
}
