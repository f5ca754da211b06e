//! The keys of `[source.csv]`.

use super::charset::Charset;
use super::settings::{Duplicates, HeaderMatch, LineEnd, Nul, Ragged, RepeatedHeader, Settings};
use crate::decode::format::{FILES, SKIP, TRAILER};
use crate::diagnostic::{Key, Node, Presence, Section, Table};

pub(in crate::decode) static SECTION: Section = Section {
    path: "source.csv",
    doc: "Delimited text (RFC 4180 and its relatives).",
    keys: &[
        FILES,
        Key {
            name: "encoding",
            shape: "encoding",
            presence: Presence::Default("\"utf-8\""),
            doc: "encoding of the file, like \"windows-1252\", \"cp850\" or \"cp037\"; \"utf-16\", \"utf-16le\", \"utf-16be\"; a byte order mark tells UTF-8 and UTF-16 apart",
        },
        Key {
            name: "delimiter",
            shape: "string",
            presence: Presence::Default("\",\""),
            doc: "stands between cells: a character like \"\\t\" for a tab, or several like \"||\"",
        },
        Key {
            name: "quote",
            shape: "string of one character",
            presence: Presence::Default("'\"'"),
            doc: "stands around cells and is doubled inside them; \"\" when nothing is quoted",
        },
        Key {
            name: "escape",
            shape: "string of one character",
            presence: Presence::Default("\"\""),
            doc: "takes the meaning of the character behind it, like \"\\\\\"; \"\" for none",
        },
        Key {
            name: "line_end",
            shape: "\"any\" | \"lf\" | \"crlf\" | \"cr\"",
            presence: Presence::Default("\"any\""),
            doc: "what ends a row; \"any\" takes LF, CRLF and CR, also mixed; the others alone are text",
        },
        Key {
            name: "comment",
            shape: "string",
            presence: Presence::Default("\"\""),
            doc: "lines that begin with it are no rows and count as left out, as blank lines do; \"\" for none",
        },
        Key {
            name: "header",
            shape: "boolean",
            presence: Presence::Default("true"),
            doc: "whether the first row has the names of the columns",
        },
        Key {
            name: "header_rows",
            shape: "integer",
            presence: Presence::Default("1"),
            doc: "rows of the header; what a column has in them is joined by a blank",
        },
        Key {
            name: "columns",
            shape: "array of strings",
            presence: Presence::Optional,
            doc: "names of the columns in order, needed without a header; with one, what `header_match` holds it against",
        },
        Key {
            name: "header_match",
            shape: "\"contains\" | \"same_columns\" | \"identical\"",
            presence: Presence::Default("\"contains\""),
            doc: "how a header must agree with `columns`: have them all; no others; in the same order. A file with a changed header is refused and says how it changed",
        },
        Key {
            name: "duplicate_columns",
            shape: "\"reject\" | \"number\"",
            presence: Presence::Default("\"reject\""),
            doc: "a name that stands twice in the header cannot be read; with \"number\" it is the first and `NAME_2` the second",
        },
        Key {
            name: "repeated_header",
            shape: "\"reject\" | \"skip\" | \"keep\"",
            presence: Presence::Default("\"reject\""),
            doc: "what becomes of a row that is the header once more, also behind the byte order mark of a file that was appended",
        },
        Key {
            name: "preamble_lines",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "lines before the header that are neither header nor record",
        },
        Key {
            name: "footer_lines",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "lines at the end of the file that are no records",
        },
        Key {
            name: "ragged",
            shape: "\"reject\" | \"pad\" | \"truncate\"",
            presence: Presence::Default("\"reject\""),
            doc: "what becomes of a row with another number of cells; \"pad\" makes missing cells null, \"truncate\" also drops surplus ones",
        },
        Key {
            name: "nul",
            shape: "\"reject\" | \"strip\" | \"replace\" | \"keep\"",
            presence: Presence::Default("\"reject\""),
            doc: "what becomes of NUL characters; a blank replaces them",
        },
        SKIP,
        TRAILER,
    ],
};

impl Settings {
    pub(in crate::decode) fn read(table: &Table<'_>) -> Option<Settings> {
        let encoding = text(table, "encoding", |name| {
            Charset::find(name).map_err(|unknown| format!("{unknown}: {}", unknown.help()))
        });
        let delimiter = text(table, "delimiter", Settings::parse_delimiter);
        let quote = text(table, "quote", Settings::parse_quote);
        let escape = text(table, "escape", Settings::parse_escape);
        let line_end = table.one_of("line_end", LineEnd::WORDS);
        let comment = text(table, "comment", Settings::parse_comment);
        let header = table.boolean("header");
        let header_rows = table.integer("header_rows", 1..=100);
        let columns = table.strings("columns");
        let header_match = table.one_of("header_match", HeaderMatch::WORDS);
        let duplicate_columns = table.one_of("duplicate_columns", Duplicates::WORDS);
        let repeated_header = table.one_of("repeated_header", RepeatedHeader::WORDS);
        let preamble_lines = table.integer("preamble_lines", 0..=1_000_000);
        let footer_lines = table.integer("footer_lines", 0..=1_000_000);
        let ragged = table.one_of("ragged", Ragged::WORDS);
        let nul = table.one_of("nul", Nul::WORDS);
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
        if let Some(node) = table.get("header_match")
            && !table.has("columns")
        {
            let help = "add `columns`, as `tollbridge inspect FILE` shows them";
            table.fail(node.key_fault("`header_match` needs `columns` to hold the header against").help(help));
        }
        let settings = Settings {
            encoding: encoding?,
            delimiter: delimiter?,
            quote: quote?,
            escape: escape?,
            line_end: line_end?,
            comment: comment?,
            header: header?,
            header_rows: u32::try_from(header_rows?).ok()?,
            columns,
            header_match: header_match?,
            duplicate_columns: duplicate_columns?,
            repeated_header: repeated_header?,
            preamble_lines: u64::try_from(preamble_lines?).ok()?,
            footer_lines: u64::try_from(footer_lines?).ok()?,
            ragged: ragged?,
            nul: nul?,
        };
        if let Err(message) = settings.check() {
            table.fail(table.node().key_fault(message));
        }
        (!table.failed()).then_some(settings)
    }
}

/// Reads a string that has a form of its own.
fn text<T>(table: &Table<'_>, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
    table.read(name, |node: &Node| match node.as_str() {
        Some(text) => parse(text),
        None => Err(format!("expected a string, found {}", node.kind())),
    })
}
