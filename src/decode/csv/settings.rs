//! What a person says of a CSV file, on the command line or in a mapping.

use super::charset::{Charset, Rewriting};
use crate::decode::code_page::Family;

/// What a person wrote.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The encoding of the file: a code page that agrees with ASCII below 0x80, UTF-16, or EBCDIC of one byte a character.
    pub encoding: Charset,
    /// Stands between cells: one character or several.
    pub delimiter: String,
    /// Stands around cells that hold a delimiter, a quote or a line end. `None`: nothing is quoted.
    pub quote: Option<u8>,
    /// Takes the meaning of the character behind it, in quotes and outside. Quotes may be doubled all the same.
    pub escape: Option<u8>,
    /// What ends a row.
    pub line_end: LineEnd,
    /// Lines that begin so are no rows.
    pub comment: Option<String>,
    /// Whether the first row has the names of the columns.
    pub header: bool,
    /// Rows that the header has; a column's names in them are joined by a blank.
    pub header_rows: u32,
    /// The names: of a file without header, in order; of a file with header, those that are held against it.
    pub columns: Option<Vec<String>>,
    /// How a header is held against `columns`.
    pub header_match: HeaderMatch,
    /// What becomes of a name that stands twice in the header.
    pub duplicate_columns: Duplicates,
    /// What becomes of rows that repeat the header.
    pub repeated_header: RepeatedHeader,
    /// Lines before the header (or the first record) that say nothing.
    pub preamble_lines: u64,
    /// Lines at the end of the file that say nothing.
    pub footer_lines: u64,
    /// What becomes of a row with another number of cells.
    pub ragged: Ragged,
    /// What becomes of NUL characters in cells.
    pub nul: Nul,
}

/// What ends a row outside quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnd {
    /// LF, CRLF or CR, also mixed; CRLF is written.
    #[default]
    Any,
    /// LF alone; CR is text.
    Lf,
    /// CR and LF together; each alone is text.
    CrLf,
    /// CR alone; LF is text.
    Cr,
}

impl LineEnd {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, LineEnd)] =
        &[("any", LineEnd::Any), ("lf", LineEnd::Lf), ("crlf", LineEnd::CrLf), ("cr", LineEnd::Cr)];
}

/// How the header of a file is held against the declared columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderMatch {
    /// It has them all, and may have more, in any order.
    #[default]
    Contains,
    /// It has these and no others, in any order.
    SameColumns,
    /// It has these and no others, in this order.
    Identical,
}

impl HeaderMatch {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, HeaderMatch)] = &[
        ("contains", HeaderMatch::Contains),
        ("same_columns", HeaderMatch::SameColumns),
        ("identical", HeaderMatch::Identical),
    ];
}

/// What becomes of a name that stands more than once in a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// A file in which a column that is read by this name stands twice is refused.
    #[default]
    Reject,
    /// The name means the first, `NAME_2` the second, and so on.
    Number,
}

impl Duplicates {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Duplicates)] =
        &[("reject", Duplicates::Reject), ("number", Duplicates::Number)];
}

/// What becomes of a row that is the header once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RepeatedHeader {
    /// It is rejected.
    #[default]
    Reject,
    /// It is passed over and counted.
    Skip,
    /// It is a record like any other.
    Keep,
}

impl RepeatedHeader {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, RepeatedHeader)] =
        &[("reject", RepeatedHeader::Reject), ("skip", RepeatedHeader::Skip), ("keep", RepeatedHeader::Keep)];
}

/// What becomes of a row that has another number of cells than there are columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ragged {
    /// It is rejected.
    #[default]
    Reject,
    /// Cells that are missing at the end are null; surplus cells must be empty.
    Pad,
    /// Cells that are missing at the end are null; surplus cells are dropped.
    Truncate,
}

impl Ragged {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Ragged)] =
        &[("reject", Ragged::Reject), ("pad", Ragged::Pad), ("truncate", Ragged::Truncate)];
}

/// What becomes of NUL characters in cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nul {
    /// The record is rejected.
    #[default]
    Reject,
    /// They are left out.
    Strip,
    /// A blank takes the place of each.
    Replace,
    /// They are text.
    Keep,
}

impl Nul {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Nul)] =
        &[("reject", Nul::Reject), ("strip", Nul::Strip), ("replace", Nul::Replace), ("keep", Nul::Keep)];
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            encoding: Charset::utf8(),
            delimiter: ",".to_owned(),
            quote: Some(b'"'),
            escape: None,
            line_end: LineEnd::Any,
            comment: None,
            header: true,
            header_rows: 1,
            columns: None,
            header_match: HeaderMatch::Contains,
            duplicate_columns: Duplicates::Reject,
            repeated_header: RepeatedHeader::Reject,
            preamble_lines: 0,
            footer_lines: 0,
            ragged: Ragged::Reject,
            nul: Nul::Reject,
        }
    }
}

impl Settings {
    /// What the single settings cannot show: whether they go together.
    pub fn check(&self) -> Result<(), String> {
        let page = self.encoding.page();
        if page.family() != Family::Ascii {
            let name = page.name();
            return Err(format!(
                "a CSV file cannot be in {name}: of EBCDIC it may have the pages of one byte a character"
            ));
        }
        let quote = self.quote.map(char::from);
        let escape = self.escape.map(char::from);
        if quote.is_some_and(|quote| self.delimiter.starts_with(quote)) {
            return Err("`quote` and `delimiter` must differ".to_owned());
        }
        if escape.is_some_and(|escape| self.delimiter.contains(escape)) {
            return Err("`escape` and `delimiter` must differ".to_owned());
        }
        if escape.is_some() && escape == quote {
            return Err("`escape` and `quote` must differ: that a quote is doubled need not be declared".to_owned());
        }
        if let Some(comment) = &self.comment
            && (quote.is_some_and(|quote| comment.starts_with(quote)) || self.delimiter.starts_with(comment.as_str()))
        {
            return Err("`comment` must not begin like a quote or a delimiter".to_owned());
        }
        if let Some(char) =
            self.delimiter.chars().chain(self.comment.iter().flat_map(|text| text.chars())).find(|char| {
                let mut bytes = Vec::new();
                page.writer().write(char.encode_utf8(&mut [0; 4]), &mut bytes).is_err()
            })
        {
            return Err(format!("{} has no `{char}`", page.name()));
        }
        if let Some(Rewriting::Ebcdic(ebcdic)) = self.encoding.rewriting() {
            let quote = self.quote.iter().chain(&self.escape).map(|byte| char::from(*byte));
            let marks: String =
                self.delimiter.chars().chain(self.comment.iter().flat_map(|text| text.chars())).chain(quote).collect();
            if let Some(char) = ebcdic.absent(&marks) {
                return Err(format!("{} has no `{char}`", ebcdic.name()));
            }
        }
        // Letters and `@[\\]^_{|}~` are the second bytes of two-byte characters in these encodings.
        let marks = self.delimiter.chars().chain(quote).chain(escape);
        match marks.into_iter().find(|mark| *mark >= '@') {
            Some(mark) if page.tables().is_none() && !page.is_utf8() => Err(format!(
                "`{mark}` cannot mark off cells in {}, where it is a part of other characters",
                page.name()
            )),
            _ => Ok(()),
        }
    }

    /// A delimiter as people write it: one character or several, or `tab`.
    pub fn parse_delimiter(text: &str) -> Result<String, String> {
        let tabs = text.replace("\\t", "\t");
        match tabs.as_str() {
            tab if tab.eq_ignore_ascii_case("tab") => Ok("\t".to_owned()),
            text if !text.is_empty() && !text.contains(['\n', '\r', '\0']) => Ok(text.to_owned()),
            _ => Err(format!(
                "{text:?} is no delimiter: characters of one line are needed, like \";\", \"\\t\" or \"||\""
            )),
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

    /// An escape as people write it: one ASCII character, or nothing.
    pub fn parse_escape(text: &str) -> Result<Option<u8>, String> {
        Settings::parse_quote(text).map_err(|message| message.replace("quote", "escape"))
    }

    /// The beginning of comment lines as people write it, or nothing.
    pub fn parse_comment(text: &str) -> Result<Option<String>, String> {
        match text {
            "" => Ok(None),
            text if !text.contains(['\n', '\r']) => Ok(Some(text.to_owned())),
            _ => Err(format!("{text:?} cannot begin a line")),
        }
    }
}
