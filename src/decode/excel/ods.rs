//! How large the sheets of an .ods file are: a cell and a row can say that they stand a million times, and a reader that
//! lays them all out would need memory for each.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Whether every sheet lies within so many cells, from its first to its last that is not empty.
pub(super) fn check(document: &[u8], max_cells: usize) -> Result<(), String> {
    let mut reader = Reader::from_reader(document);
    // Rows and the widest of them so far, columns of the row, and how many of them are filled.
    let (mut row, mut width, mut column, mut filled) = (0u64, 0u64, 0u64, 0u64);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(tag) | Event::Empty(tag)) => match tag.name().into_inner() {
                "table:table" => (row, width) = (0, 0),
                "table:table-row" => {
                    row = row.saturating_add(repeats(&tag, "table:number-rows-repeated"));
                    (column, filled) = (0, 0);
                }
                "table:table-cell" | "table:covered-table-cell" => {
                    column = column.saturating_add(repeats(&tag, "table:number-columns-repeated"));
                    let has_value = tag.attributes().flatten().any(|attribute| {
                        let name = attribute.key.into_inner();
                        name.starts_with("office:") || name == "table:formula" || name.starts_with("calcext:")
                    });
                    if has_value {
                        filled = column;
                    }
                }
                "text:p" => filled = column,
                _ => {}
            },
            Ok(Event::End(tag)) if tag.name().into_inner() == "table:table-row" && filled > 0 => {
                width = width.max(filled);
                let cells = width.saturating_mul(row);
                if cells > max_cells as u64 {
                    return Err(format!(
                        "a sheet of the workbook spans {cells} cells, and {max_cells} are read at most: have it sent as CSV"
                    ));
                }
            }
            // What is broken is told by who reads it.
            Ok(Event::Eof) | Err(_) => return Ok(()),
            Ok(_) => {}
        }
    }
}

fn repeats(tag: &BytesStart<'_>, name: &str) -> u64 {
    let attribute = tag.attributes().flatten().find(|attribute| attribute.key.into_inner() == name);
    attribute.and_then(|attribute| attribute.value.trim().parse().ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn repeated_cells_are_counted() {
        let rows = |rows: &str| format!("<d><table:table>{rows}</table:table></d>");
        let cell = "<table:table-cell office:value='1'/>";
        let small = rows(&format!("<table:table-row>{cell}</table:table-row>"));
        assert_eq!(check(small.as_bytes(), 1), Ok(()));
        // What is empty at the end counts for nothing.
        let trailing = rows(&format!(
            "<table:table-row>{cell}<table:table-cell table:number-columns-repeated='16383'/></table:table-row>\
             <table:table-row table:number-rows-repeated='1048575'><table:table-cell/></table:table-row>"
        ));
        assert_eq!(check(trailing.as_bytes(), 1), Ok(()));
        for large in [
            format!("<table:table-row table:number-rows-repeated='999999999'>{cell}</table:table-row>"),
            format!(
                "<table:table-row table:number-rows-repeated='1048575'><table:table-cell/></table:table-row>\
                 <table:table-row><table:table-cell table:number-columns-repeated='16383'/>{cell}</table:table-row>"
            ),
            "<table:table-row><table:table-cell table:number-columns-repeated='99999999999'><text:p>x</text:p>\
             </table:table-cell></table:table-row>"
                .to_owned(),
        ] {
            assert!(check(rows(&large).as_bytes(), 5_000_000).is_err(), "{large}");
        }
        assert_eq!(check(b"<a><b", 1), Ok(()));
    }
}
