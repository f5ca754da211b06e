//! What is looked at in an .ods file before the library reads it as a whole: how large its sheets are, since a cell and a
//! row can say that they stand a million times and each of them takes memory, and which cells show errors, since the
//! library takes those for texts.

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::cell::place;
use super::settings::Settings;
use super::workbook::{MAX_CELLS, Unfit, too_large};

/// Cells that show errors.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) sheet: String,
    rows: Range<u32>,
    columns: Range<u32>,
}

impl Shown {
    /// The places, by row and column from 0.
    pub(super) fn places(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.rows.clone().flat_map(|row| self.columns.clone().map(move |column| (row, column)))
    }
}

/// A sheet as far as it was looked at.
#[derive(Default)]
struct Table {
    name: String,
    /// Rows so far, and the widest of them.
    rows: u64,
    width: u64,
}

/// A row, with how often it stands there.
#[derive(Default)]
struct Row {
    repeats: u64,
    columns: u64,
    /// Columns up to the last one that is filled.
    filled: u64,
    /// Bytes that its cells take.
    bytes: u64,
    /// The columns that show errors.
    errors: Vec<Range<u64>>,
}

/// A cell, with how often it stands there.
#[derive(Default)]
struct Own {
    repeats: u64,
    bytes: u64,
    is_filled: bool,
    is_error: bool,
}

/// Whether every sheet lies within so many cells, from its first to its last that is not empty, and all of them within the
/// memory that there is; the cells that show errors.
pub(super) fn check(document: &[u8], settings: &Settings) -> Result<Vec<Shown>, Unfit> {
    let mut reader = Reader::from_reader(document);
    reader.config_mut().expand_empty_elements = true;
    let (mut table, mut row, mut cell) = (Table::default(), Row::default(), Own::default());
    let (mut bytes, mut shown) = (0u64, Vec::new());
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(tag)) => match tag.name().into_inner() {
                "table:table" => {
                    table = Table { name: text(&tag, "table:name").unwrap_or_default(), ..Table::default() }
                }
                "table:table-row" => {
                    row = Row { repeats: number(&tag, "table:number-rows-repeated"), ..Row::default() };
                }
                "table:table-cell" | "table:covered-table-cell" => {
                    let is_filled = tag.attributes().flatten().any(|attribute| {
                        let name = attribute.key.into_inner();
                        name.starts_with("office:") || name == "table:formula" || name.starts_with("calcext:")
                    });
                    cell = Own {
                        repeats: number(&tag, "table:number-columns-repeated"),
                        bytes: tag.len() as u64,
                        is_filled,
                        is_error: text(&tag, "calcext:value-type").as_deref() == Some("error"),
                    };
                }
                "text:p" => cell.is_filled = true,
                // So many blanks.
                "text:s" => cell.bytes = cell.bytes.saturating_add(number(&tag, "text:c")),
                _ => cell.bytes += 1,
            },
            Ok(Event::Text(text)) => cell.bytes = cell.bytes.saturating_add(text.len() as u64),
            Ok(Event::GeneralRef(_)) => cell.bytes += 4,
            Ok(Event::CData(_)) => {
                let place = place(short(table.rows), short(row.columns));
                return Err(Unfit::unreadable(format!(
                    "the workbook is damaged: the value of the cell {place} of sheet `{}` is more than plain text",
                    table.name
                )));
            }
            Ok(Event::End(tag)) => match tag.name().into_inner() {
                "table:table-cell" | "table:covered-table-cell" => {
                    let from = row.columns;
                    row.columns = from.saturating_add(cell.repeats);
                    if cell.is_filled {
                        row.filled = row.columns;
                        row.bytes = row.bytes.saturating_add(cell.bytes.saturating_mul(cell.repeats));
                    }
                    if cell.is_error {
                        row.errors.push(from..row.columns);
                    }
                    cell = Own::default();
                }
                "table:table-row" => {
                    let from = table.rows;
                    table.rows = from.saturating_add(row.repeats);
                    if row.filled > 0 {
                        table.width = table.width.max(row.filled);
                        let cells = table.width.saturating_mul(table.rows);
                        if cells > MAX_CELLS as u64 {
                            return Err(Unfit::too_large(format!(
                                "a sheet of the workbook spans {cells} cells, and {MAX_CELLS} are read at most: have \
                                 it sent as CSV"
                            )));
                        }
                        bytes = bytes.saturating_add(row.bytes.saturating_mul(row.repeats));
                        if bytes > settings.max_bytes {
                            return Err(too_large("has cells that take", settings));
                        }
                    }
                    for columns in row.errors.drain(..) {
                        let (rows, columns) =
                            (short(from)..short(table.rows), short(columns.start)..short(columns.end));
                        shown.push(Shown { sheet: table.name.clone(), rows, columns });
                    }
                }
                _ => {}
            },
            // What is broken is told by who reads it.
            Ok(Event::Eof) | Err(_) => return Ok(shown),
            Ok(_) => {}
        }
    }
}

fn short(place: u64) -> u32 {
    u32::try_from(place).map_or(u32::MAX - 1, |place| place.min(u32::MAX - 1))
}

fn text(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.attributes().flatten().find(|attribute| attribute.key.into_inner() == name)?;
    quick_xml::escape::unescape(&attribute.value).ok().map(|value| value.into_owned())
}

fn number(tag: &BytesStart<'_>, name: &str) -> u64 {
    text(tag, name).and_then(|value| value.trim().parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::super::workbook::Unfit;
    use super::{Shown, check};

    fn rows(rows: &str) -> String {
        format!("<d><table:table table:name='A &amp; B'>{rows}</table:table></d>")
    }

    /// The message, or where errors are shown.
    fn judged(document: &str) -> Result<Vec<Shown>, String> {
        check(document.as_bytes(), &Settings::default()).map_err(|Unfit(_, message)| message)
    }

    const CELL: &str = "<table:table-cell office:value='1'/>";

    #[test]
    fn repeated_cells_are_counted() {
        let small = rows(&format!("<table:table-row>{CELL}</table:table-row>"));
        assert_eq!(judged(&small), Ok(Vec::new()));
        // What is empty at the end counts for nothing.
        let trailing = rows(&format!(
            "<table:table-row>{CELL}<table:table-cell table:number-columns-repeated='16383'/></table:table-row>\
             <table:table-row table:number-rows-repeated='1048575'><table:table-cell/></table:table-row>"
        ));
        assert_eq!(judged(&trailing), Ok(Vec::new()));
        for large in [
            format!("<table:table-row table:number-rows-repeated='999999999'>{CELL}</table:table-row>"),
            format!("<table:table-row table:number-rows-repeated='&#57;99999999'>{CELL}</table:table-row>"),
            format!(
                "<table:table-row table:number-rows-repeated='1048575'><table:table-cell/></table:table-row>\
                 <table:table-row><table:table-cell table:number-columns-repeated='16383'/>{CELL}</table:table-row>"
            ),
            "<table:table-row><table:table-cell table:number-columns-repeated='99999999999'><text:p>x</text:p>\
             </table:table-cell></table:table-row>"
                .to_owned(),
        ] {
            assert!(judged(&rows(&large)).unwrap_err().contains("are read at most"), "{large}");
        }
        assert_eq!(judged("<a><b"), Ok(Vec::new()));
    }

    /// A hundred kilobytes that stand ten thousand times, and blanks that are said and not written.
    #[test]
    fn repeated_texts_are_weighed() {
        let text = "x".repeat(100_000);
        let cell = |repeats: u32, text: &str| {
            format!(
                "<table:table-cell office:value-type='string' table:number-columns-repeated='{repeats}'><text:p>{text}\
                 </text:p></table:table-cell>"
            )
        };
        let row = |repeats: u32, cell: &str| {
            rows(&format!("<table:table-row table:number-rows-repeated='{repeats}'>{cell}</table:table-row>"))
        };
        assert_eq!(judged(&row(1, &cell(10, &text))), Ok(Vec::new()));
        let told = "has cells that take more than 256 MiB";
        for large in [
            row(1, &cell(10_000, &text)),
            row(10_000, &cell(1, &text)),
            row(100, &cell(100, &text)),
            row(1, &cell(1, "<text:s text:c='9999999999'/>")),
            row(1, &cell(1, &"<text:s text:c='99999999'/>".repeat(3))),
            row(100, &cell(100, &"&amp;".repeat(100_000))),
            row(100, &cell(1000, &"<text:tab/>".repeat(100_000))),
        ] {
            assert!(judged(&large).unwrap_err().contains(told));
        }
        let hidden = judged(&row(1, &cell(1, "<![CDATA[12]]>"))).unwrap_err();
        assert!(hidden.ends_with("the value of the cell A1 of sheet `A & B` is more than plain text"), "{hidden}");
    }

    #[test]
    fn errors_are_found_where_they_stand() {
        let error = |repeats: u32| {
            format!(
                "<table:covered-table-cell/><table:table-cell table:number-columns-repeated='{repeats}' \
                 office:value-type='string' calcext:value-type='error'><text:p>#N/A</text:p></table:table-cell>"
            )
        };
        let document = rows(&format!(
            "<table:table-row table:number-rows-repeated='3'><table:table-cell/></table:table-row>\
             <table:table-row table:number-rows-repeated='2'>{CELL}{}</table:table-row>",
            error(2)
        ));
        let found = judged(&document).unwrap();
        assert_eq!(found, [Shown { sheet: "A & B".to_owned(), rows: 3..5, columns: 2..4 }]);
        assert_eq!(found[0].places().collect::<Vec<_>>(), [(3, 2), (3, 3), (4, 2), (4, 3)]);
    }
}
