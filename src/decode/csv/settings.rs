//! The keys of `[source.csv]`.

use crate::decode::CodePage;
use crate::decode::code_page::Family;
use crate::decode::format::{FILES, SKIP, TRAILER, read_encoding};
use crate::diagnostic::{Key, Presence, Section, Table};

/// What a person wrote.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The code page of the file: one that agrees with ASCII below 0x80.
    pub encoding: CodePage,
    /// Stands between cells.
    pub delimiter: u8,
    /// Stands around cells that hold a delimiter, a quote or a line end; doubled inside. `None`: nothing is quoted.
    pub quote: Option<u8>,
    /// Whether the first row has the names of the columns.
    pub header: bool,
    /// The names: of a file without header, in order; of a file with header, those that it must have.
    pub columns: Option<Vec<String>>,
    /// Lines before the header (or the first record) that say nothing.
    pub preamble_lines: u64,
    /// What becomes of a row with another number of cells.
    pub ragged: Ragged,
}

/// What becomes of a row that has another number of cells than there are columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ragged {
    /// It is rejected.
    #[default]
    Reject,
    /// Cells that are missing at the end are null; surplus cells must be empty.
    Pad,
}

pub(in crate::decode) static SECTION: Section = Section {
    path: "source.csv",
    doc: "Delimited text (RFC 4180 and its relatives).",
    keys: &[
        FILES,
        Key {
            name: "encoding",
            shape: "code page",
            presence: Presence::Default("\"utf-8\""),
            doc: "code page of the file, like \"windows-1252\" or \"cp850\"",
        },
        Key {
            name: "delimiter",
            shape: "string of one character",
            presence: Presence::Default("\",\""),
            doc: "stands between cells; \"\\t\" is a tab",
        },
        Key {
            name: "quote",
            shape: "string of one character",
            presence: Presence::Default("'\"'"),
            doc: "stands around cells and is doubled inside them; \"\" when nothing is quoted",
        },
        Key {
            name: "header",
            shape: "boolean",
            presence: Presence::Default("true"),
            doc: "whether the first row has the names of the columns",
        },
        Key {
            name: "columns",
            shape: "array of strings",
            presence: Presence::Optional,
            doc: "names of the columns in order, needed without a header; with one, the columns it must have",
        },
        Key {
            name: "preamble_lines",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "lines before the header that are neither header nor record",
        },
        Key {
            name: "ragged",
            shape: "\"reject\" | \"pad\"",
            presence: Presence::Default("\"reject\""),
            doc: "what becomes of a row with another number of cells; \"pad\" makes missing cells null",
        },
        SKIP,
        TRAILER,
    ],
};

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            encoding: CodePage::utf8(),
            delimiter: b',',
            quote: Some(b'"'),
            header: true,
            columns: None,
            preamble_lines: 0,
            ragged: Ragged::Reject,
        }
    }
}

impl Settings {
    pub(in crate::decode) fn read(table: &Table<'_>) -> Option<Settings> {
        let encoding = read_encoding(table);
        let delimiter = table.read("delimiter", |node| match node.as_str().map(Settings::parse_delimiter) {
            Some(answer) => answer,
            None => Err(format!("expected a string, found {}", node.kind())),
        });
        let quote = table.read("quote", |node| match node.as_str().map(Settings::parse_quote) {
            Some(answer) => answer,
            None => Err(format!("expected a string, found {}", node.kind())),
        });
        let header = table.boolean("header");
        let columns = table.strings("columns");
        let preamble_lines = table.integer("preamble_lines", 0..=1_000_000);
        let ragged = table.one_of("ragged", &[("reject", Ragged::Reject), ("pad", Ragged::Pad)]);
        if let Some(columns) = &columns
            && let Some(node) = table.get("columns")
        {
            if columns.is_empty() || columns.iter().any(|name| name.trim().is_empty()) {
                table.fail(node.fault("`columns`: every column needs a name"));
            }
            let twice = columns.iter().enumerate().find(|(index, name)| columns[..*index].contains(name));
            if let Some((_, name)) = twice {
                table.fail(node.fault(format!("`columns` names `{name}` twice")));
            }
        }
        if header == Some(false) && !table.has("columns") {
            let help = "add `columns = [\"first\", \"second\"]` with a name for every column, in order";
            table.fail(table.node().key_fault("a file without header needs `columns`").help(help));
        }
        let settings = Settings {
            encoding: encoding?,
            delimiter: delimiter?,
            quote: quote?,
            header: header?,
            columns,
            preamble_lines: u64::try_from(preamble_lines?).ok()?,
            ragged: ragged?,
        };
        if let Err(message) = settings.check() {
            table.fail(table.node().key_fault(message));
        }
        (!table.failed()).then_some(settings)
    }

    /// What the single settings cannot show: whether they go together.
    pub fn check(&self) -> Result<(), String> {
        if self.encoding.family() != Family::Ascii {
            let name = self.encoding.name();
            return Err(format!("a CSV file cannot be in {name}: its delimiters are looked for in ASCII"));
        }
        if self.quote == Some(self.delimiter) {
            return Err("`quote` and `delimiter` must differ".to_owned());
        }
        Ok(())
    }

    /// A delimiter as people write it: one ASCII character, or `tab`.
    pub fn parse_delimiter(text: &str) -> Result<u8, String> {
        match text.as_bytes() {
            _ if text.eq_ignore_ascii_case("tab") || text == "\\t" => Ok(b'\t'),
            [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Ok(*byte),
            _ => Err(format!("`{text}` is no delimiter: one ASCII character is needed, like \";\" or \"\\t\"")),
        }
    }

    /// A quote as people write it: one ASCII character, or nothing.
    pub fn parse_quote(text: &str) -> Result<Option<u8>, String> {
        match text.as_bytes() {
            [] => Ok(None),
            [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Ok(Some(*byte)),
            _ => Err(format!("`{text}` is no quote: one ASCII character is needed, or \"\" for none")),
        }
    }
}
