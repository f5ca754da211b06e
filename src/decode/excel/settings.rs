//! The keys of `[source.excel]`.

use crate::decode::format::{FILES, SKIP, TRAILER};
use crate::diagnostic::{Key, Presence, Section, Table, Written};

/// Rows and columns that a sheet can have (those of .xlsx).
pub(super) const MAX_ROWS: u32 = 1 << 20;
pub(super) const MAX_COLUMNS: u32 = 1 << 14;
/// The most that `max_mib` may be.
pub const MAX_MIB: u64 = 4096;

/// What a person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which sheet.
    pub sheet: Sheet,
    /// The part of the sheet that is looked at.
    pub range: Area,
    /// Whether the first row that is not blank has the names of the columns.
    pub header: bool,
    /// The row with the names, from 1, where it is another.
    pub header_row: Option<u32>,
    /// Rows at the end, of those that are not empty, that are no records.
    pub footer_rows: u32,
    /// What becomes of a cell that shows an error like `#N/A`.
    pub errors: OnError,
    /// Every cell of a merged region has the value of the first.
    pub fill_merged: bool,
    /// A workbook that unpacks to more bytes is refused.
    pub max_bytes: u64,
}

/// Which sheet of a workbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sheet {
    /// By its place, from 1.
    At(usize),
    /// By its name.
    Named(String),
}

/// What becomes of a cell that shows an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// Reading it rejects the record.
    #[default]
    Reject,
    /// It is null.
    Null,
}

/// Cells from one row and column to another, both counted from 0 and included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// First and last row.
    pub rows: (u32, u32),
    /// First and last column.
    pub columns: (u32, u32),
}

impl Area {
    /// The whole sheet.
    pub const ALL: Area = Area { rows: (0, MAX_ROWS - 1), columns: (0, MAX_COLUMNS - 1) };

    /// Reads `B3:F200`, `B3:F` (to the last row), `B:F` (whole columns), `3:200` (whole rows).
    pub fn parse(text: &str) -> Result<Area, String> {
        let wrong = || format!("`{text}` is no range; write it like B3:F200, B3:F, B:F or 3:200");
        let (from, to) = text.split_once(':').ok_or_else(wrong)?;
        let (from, to) = (corner(from).ok_or_else(wrong)?, corner(to).ok_or_else(wrong)?);
        let all = Area::ALL;
        let area = Area {
            rows: (from.1.unwrap_or(all.rows.0), to.1.unwrap_or(all.rows.1)),
            columns: (from.0.unwrap_or(all.columns.0), to.0.unwrap_or(all.columns.1)),
        };
        if area.rows.0 > area.rows.1 || area.columns.0 > area.columns.1 {
            return Err(format!("`{text}` ends before it begins"));
        }
        Ok(area)
    }

    pub(super) fn has(&self, row: u32, column: u32) -> bool {
        (self.rows.0..=self.rows.1).contains(&row) && (self.columns.0..=self.columns.1).contains(&column)
    }
}

/// `B3` as column and row from 0; either may be missing, not both.
fn corner(text: &str) -> Option<(Option<u32>, Option<u32>)> {
    let digits = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let (letters, number) = text.split_at(digits);
    let mut column = None;
    for letter in letters.bytes() {
        let digit = u32::from(letter.to_ascii_uppercase().checked_sub(b'A').filter(|digit| *digit < 26)?) + 1;
        column = Some(column.unwrap_or(0) * 26 + digit).filter(|column| *column <= MAX_COLUMNS);
        column?;
    }
    let row = match number {
        "" => None,
        number => Some(number.parse::<u32>().ok().filter(|row| (1..=MAX_ROWS).contains(row))?),
    };
    (column.is_some() || row.is_some()).then_some((column.map(|column| column - 1), row.map(|row| row - 1)))
}

/// The letters of a column, from 0: `A`, `B`, …, `AA`.
pub(super) fn letters(mut column: u32) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(b'A' + (column % 26) as u8);
        match column / 26 {
            0 => break,
            rest => column = rest - 1,
        }
    }
    letters.iter().rev().map(|letter| char::from(*letter)).collect()
}

pub(in crate::decode) static SECTION: Section = Section {
    path: "source.excel",
    doc: "Sheets of workbooks (.xlsx, .xlsm, .xlsb, .xls, .ods): a row is a record.",
    keys: &[
        FILES,
        Key {
            name: "sheet",
            shape: "string or integer",
            presence: Presence::Default("1"),
            doc: "the sheet, by its name or by its place from 1, hidden ones counted",
        },
        Key {
            name: "range",
            shape: "string",
            presence: Presence::Optional,
            doc: "the part of the sheet that is looked at, like `B3:F200`, `B3:F` or `B:F`; all of it when absent",
        },
        Key {
            name: "header",
            shape: "boolean",
            presence: Presence::Default("true"),
            doc: "whether a row has the names of the columns; else they are called by their letters, A, B and so on",
        },
        Key {
            name: "header_row",
            shape: "integer",
            presence: Presence::Optional,
            doc: "the row with the names, from 1; the first one that is not blank when absent",
        },
        Key {
            name: "footer_rows",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "rows at the end, of those that are not empty, that are no records",
        },
        Key {
            name: "errors",
            shape: "\"reject\" | \"null\"",
            presence: Presence::Default("\"reject\""),
            doc: "what becomes of a cell that shows an error like #N/A when it is read",
        },
        Key {
            name: "fill_merged",
            shape: "boolean",
            presence: Presence::Default("false"),
            doc: "whether all cells of a merged region have the value of its first one (.xlsx and .xls); else they are empty",
        },
        Key {
            name: "max_mib",
            shape: "integer",
            presence: Presence::Default("256"),
            doc: "a workbook that has, or unpacks to, more MiB is refused, and so is one whose formats, or whose cells and texts where they are held at once, take more",
        },
        SKIP,
        TRAILER,
    ],
};

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sheet: Sheet::At(1),
            range: Area::ALL,
            header: true,
            header_row: None,
            footer_rows: 0,
            errors: OnError::Reject,
            fill_merged: false,
            max_bytes: 256 << 20,
        }
    }
}

impl Settings {
    pub(in crate::decode) fn read(table: &Table<'_>) -> Option<Settings> {
        let sheet = table.read("sheet", |node| match &node.value {
            Written::Integer(place) => usize::try_from(*place)
                .ok()
                .filter(|place| *place > 0)
                .map(Sheet::At)
                .ok_or_else(|| "sheets are counted from 1".to_owned()),
            Written::String(name) if !name.is_empty() => Ok(Sheet::Named(name.clone())),
            _ => Err(format!("expected a name or a number, found {}", node.kind())),
        });
        let range = table.read("range", |node| match node.as_str() {
            Some(text) => Area::parse(text),
            None => Err(format!("expected a string, found {}", node.kind())),
        });
        let header = table.boolean("header");
        let header_row = table.integer("header_row", 1..=i64::from(MAX_ROWS));
        let footer_rows = table.integer("footer_rows", 0..=i64::from(MAX_ROWS));
        let errors = table.one_of("errors", &[("reject", OnError::Reject), ("null", OnError::Null)]);
        let fill_merged = table.boolean("fill_merged");
        let max_mib = table.integer("max_mib", 1..=MAX_MIB as i64);
        if let Some(node) = table.get("header_row")
            && header == Some(false)
        {
            table.fail(node.key_fault("`header_row` has no place beside `header = false`"));
        }
        let settings = Settings {
            sheet: sheet?,
            range: range.unwrap_or(Area::ALL),
            header: header?,
            header_row: header_row.and_then(|row| u32::try_from(row).ok()),
            footer_rows: u32::try_from(footer_rows?).ok()?,
            errors: errors?,
            fill_merged: fill_merged?,
            max_bytes: u64::try_from(max_mib?).ok()? << 20,
        };
        (!table.failed()).then_some(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::{Area, letters};

    #[test]
    fn ranges() {
        let check = |text: &str, rows: (u32, u32), columns: (u32, u32)| {
            assert_eq!(Area::parse(text), Ok(Area { rows, columns }), "{text}");
        };
        check("B3:F200", (2, 199), (1, 5));
        check("b3:f", (2, (1 << 20) - 1), (1, 5));
        check("B:XFD", (0, (1 << 20) - 1), (1, 16_383));
        check("3:200", (2, 199), (0, 16_383));
        for broken in
            ["", "B3", "F:B", "B9:F3", ":", "B3:", "XFE:XFE", "B0:F1", "B3:F1048577", "3B:4C", "ä:b", "AAAAAAAAAA:B"]
        {
            assert!(Area::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn columns_have_letters() {
        let check = |column: u32, expected: &str| assert_eq!(letters(column), expected);
        check(0, "A");
        check(25, "Z");
        check(26, "AA");
        check(701, "ZZ");
        check(702, "AAA");
        check(16_383, "XFD");
    }
}
