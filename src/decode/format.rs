//! What a person wrote of a layout, before it is compiled.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use super::{CodePage, Decoder, Kind, cobol, csv, edi, excel, fixed_width, idoc, rows, xml};
use crate::diagnostic::{Diagnostic, Faults, Key, Node, Presence, Section, SourceText, Table};

/// The layout of a source: from `[source.csv]`, `[source.fixed_width]` or `[source.cobol]` of a mapping, or from the
/// options of a command.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one a mapping")]
pub enum Format {
    /// Delimited text.
    Csv(csv::Settings),
    /// Text in fixed columns, one record a line.
    FixedWidth(fixed_width::Settings),
    /// Records that a COBOL copybook describes.
    Cobol(cobol::Settings),
    /// Elements of XML files.
    Xml(xml::Settings),
    /// Rows of a sheet of a workbook.
    Excel(excel::Settings),
    /// Interchanges of X12 or EDIFACT.
    Edi(edi::Settings),
    /// SAP IDocs, flat or XML.
    Idoc(idoc::Settings),
    /// Rows of a database, as they were landed.
    Rows(rows::Settings),
}

impl Format {
    /// Every kind that has files in an inbox, as the mapping's tables are named.
    pub const KINDS: &'static [&'static str] = &["csv", "fixed_width", "cobol", "edi", "idoc", "xml", "excel"];

    /// The kinds that are written as well as read.
    pub const WRITTEN_KINDS: &'static [&'static str] = &["csv", "fixed_width", "cobol", "edi", "idoc", "xml"];

    /// The keys of `frame_header` in `[source.cobol]`.
    pub const FRAME_HEADER: &'static Section = &cobol::FRAME_HEADER;

    /// The keys of `[source.<kind>]`: the format's own, and `files`, `skip` and `trailer`, which are the mapping's to
    /// read.
    pub fn section(kind: &str) -> Option<&'static Section> {
        match kind {
            "csv" => Some(&csv::SECTION),
            "fixed_width" => Some(&fixed_width::SECTION),
            "cobol" => Some(&cobol::SECTION),
            "xml" => Some(&xml::SECTION),
            "excel" => Some(&excel::SECTION),
            "edi" => Some(&edi::SECTION),
            "idoc" => Some(&idoc::SECTION),
            _ => None,
        }
    }

    /// The keys of a format where a file is written: without those that say which files are read, and what is read of them.
    pub fn written_section(kind: &str) -> Option<&'static Section> {
        static SECTIONS: LazyLock<Vec<(&'static str, Section)>> = LazyLock::new(|| {
            let paths = [
                "operations.NAME.file.csv",
                "operations.NAME.file.fixed_width",
                "operations.NAME.file.cobol",
                "operations.NAME.file.edi",
                "operations.NAME.file.idoc",
                "operations.NAME.file.xml",
            ];
            let written = |(kind, path): (&&'static str, &'static str)| {
                let section = Format::section(kind)?;
                let of_reading = [FILES.name, SKIP.name, TRAILER.name, CONTROLS.name];
                let mut keys: Vec<Key> =
                    section.keys.iter().filter(|key| !of_reading.contains(&key.name)).copied().collect();
                if *kind == "idoc" {
                    keys.push(idoc::FORM);
                }
                // There is one of each kind, for as long as the process lives.
                Some((*kind, Section { path, doc: section.doc, keys: keys.leak() }))
            };
            Format::WRITTEN_KINDS.iter().zip(paths).filter_map(written).collect()
        });
        SECTIONS.iter().find(|(known, _)| *known == kind).map(|(_, section)| section)
    }

    /// Whether a format's table may have `controls`.
    pub fn has_controls(table: &Table<'_>) -> bool {
        table.section().key(CONTROLS.name).is_some()
    }

    /// Reads the format's own keys. Faults are reported through the table; `None` when there were any, or when there
    /// is no such kind.
    pub fn read(kind: &str, table: &Table<'_>) -> Option<Format> {
        match kind {
            "csv" => csv::Settings::read(table).map(Format::Csv),
            "fixed_width" => fixed_width::Settings::read(table).map(Format::FixedWidth),
            "cobol" => cobol::Settings::read(table).map(Format::Cobol),
            "xml" => xml::Settings::read(table).map(Format::Xml),
            "excel" => excel::Settings::read(table).map(Format::Excel),
            "edi" => edi::Settings::read(table).map(Format::Edi),
            "idoc" => idoc::Settings::read(table).map(Format::Idoc),
            _ => None,
        }
    }

    /// Paths of the files that compiling needs (copybook, field list), as they were written. What a copybook copies shows
    /// only on compiling: it is asked for then, as a file of the copybook's folder.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Format::Csv(_) | Format::Xml(_) | Format::Excel(_) | Format::Rows(_) => Vec::new(),
            Format::FixedWidth(settings) => settings.texts(),
            Format::Cobol(settings) => {
                std::iter::once(&settings.copybook).chain(&settings.more_copybooks).cloned().collect()
            }
            Format::Edi(settings) => settings.schema.iter().map(|(path, _)| path.clone()).collect(),
            Format::Idoc(settings) => settings.segments.iter().map(|(path, _)| path.clone()).collect(),
        }
    }

    /// Compiles the layout. Pure: `texts` answers with what the caller has read. Faults of a copybook or field list
    /// point into it; a text that is missing is a fault at the key that names it.
    pub fn compile(&self, texts: &dyn Fn(&str) -> Option<Arc<SourceText>>, faults: &Faults) -> Option<Decoder> {
        let kind = match self {
            Format::Csv(settings) => Kind::Csv(csv::Csv::new(settings.clone())),
            Format::FixedWidth(settings) => {
                let fields = settings.fields(texts, faults)?;
                if fixed_width::records::wanted(settings, &fields) {
                    Kind::Cobol(fixed_width::records::compile(settings, fields, faults)?)
                } else {
                    Kind::FixedWidth(fixed_width::FixedWidth::compile(settings, fields, faults)?)
                }
            }
            Format::Cobol(settings) => Kind::Cobol(cobol::Cobol::compile(settings, texts, faults)?),
            Format::Xml(settings) => Kind::Xml(xml::Xml::compile(settings)?),
            Format::Excel(settings) => Kind::Excel(excel::Excel::new(settings.clone())),
            Format::Edi(settings) => Kind::Edi(edi::Edi::compile(settings, texts, faults)?),
            Format::Idoc(settings) => Kind::Idoc(idoc::Idoc::compile(settings, texts, faults)?),
            Format::Rows(settings) => Kind::Rows(rows::Rows::new(settings.clone())),
        };
        Some(Decoder(kind, Arc::default()))
    }
}

/// Where the settings of a format stand, so that what shows only on compiling is reported there.
#[derive(Clone, Debug)]
pub struct Place {
    source: Arc<SourceText>,
    span: Range<usize>,
}

impl Place {
    /// The value of a node.
    pub fn of(node: &Node) -> Place {
        Place { source: Arc::clone(&node.source), span: node.span.clone() }
    }

    /// The options of a command, shown as they were typed.
    pub fn command_line(typed: &str) -> Place {
        let source = Arc::new(SourceText { name: "command line".to_owned(), text: typed.to_owned() });
        Place { source, span: 0..typed.len() }
    }

    /// A fault there.
    pub fn fault(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(&self.source, self.span.clone(), message)
    }
}

/// Which blanks of a text field are padding. Low values (NUL) pad like blanks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trim {
    /// Those at either end.
    #[default]
    Both,
    /// Those at the start.
    Left,
    /// Those at the end.
    Right,
    /// None.
    None,
}

impl Trim {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Trim)] =
        &[("both", Trim::Both), ("left", Trim::Left), ("right", Trim::Right), ("none", Trim::None)];

    /// The bytes without blanks at these ends, and with all else.
    pub(super) fn apply_blanks(self, bytes: &[u8], blank: u8) -> &[u8] {
        let solid = |byte: &u8| *byte != blank;
        let mut rest = bytes;
        if matches!(self, Trim::Both | Trim::Right) {
            rest = &rest[..rest.iter().rposition(solid).map_or(0, |last| last + 1)];
        }
        if matches!(self, Trim::Both | Trim::Left) {
            rest = &rest[rest.iter().position(solid).unwrap_or(rest.len())..];
        }
        rest
    }

    /// The bytes without their padding: blanks and NULs.
    #[inline]
    pub(super) fn apply(self, bytes: &[u8], blank: u8) -> &[u8] {
        let solid = |byte: &u8| *byte != blank && *byte != 0;
        let (mut from, mut to) = (0, bytes.len());
        if matches!(self, Trim::Both | Trim::Right) {
            // Text is mostly padding: eight blanks at a time.
            while let Some(eight) = bytes[..to].last_chunk::<8>() {
                let others = u64::from_le_bytes(*eight) ^ u64::from_le_bytes([blank; 8]);
                to -= others.leading_zeros() as usize / 8;
                if others != 0 {
                    break;
                }
            }
            while to > 0 && !solid(&bytes[to - 1]) {
                to -= 1;
            }
        }
        if matches!(self, Trim::Both | Trim::Left) {
            while from < to && !solid(&bytes[from]) {
                from += 1;
            }
        }
        &bytes[from..to]
    }
}

impl Trim {
    /// The text without its padding, for encodings in which a blank is more than a byte. The blank of East Asian text
    /// (U+3000) pads too.
    pub(super) fn apply_text(self, text: &str) -> &str {
        let padding = |char: char| matches!(char, ' ' | '\0' | '\u{3000}');
        let text = if matches!(self, Trim::Both | Trim::Right) { text.trim_end_matches(padding) } else { text };
        if matches!(self, Trim::Both | Trim::Left) { text.trim_start_matches(padding) } else { text }
    }
}

/// The keys that the mapping reads itself, listed here so that every `[source.<kind>]` shows them.
pub(super) const FILES: Key = Key {
    name: "files",
    shape: "string",
    presence: Presence::Required,
    doc: "file names to take from the backend's inbox, with `*` and `?`",
};
/// See [`FILES`].
pub const SKIP: Key = Key {
    name: "skip",
    shape: "condition or array of conditions",
    presence: Presence::Optional,
    doc: "records for which one of these holds are counted and left out, like `REC-TYPE = 'H'`",
};
/// See [`FILES`].
pub(super) const TRAILER: Key = Key {
    name: "trailer",
    shape: "table",
    presence: Presence::Optional,
    doc: "which record is the trailer (`when`) and what it has to agree with (`count`, `sum`, `sequence`)",
};

/// The key of formats that tell record types apart.
pub(super) const CONTROLS: Key = Key {
    name: "controls",
    shape: "array of tables",
    presence: Presence::Optional,
    doc: "counts, sums, hash totals and sequence numbers by record type, per file or group",
};

/// Reads `encoding`.
pub(super) fn read_encoding(table: &Table<'_>) -> Option<CodePage> {
    table.read("encoding", |node| {
        let name = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
        CodePage::find(name).map_err(|unknown| format!("{unknown}: {}", unknown.help()))
    })
}

#[cfg(test)]
mod tests {
    use super::{Format, Trim};
    use crate::diagnostic::{Faults, SourceText, Table, parse};
    use std::path::Path;

    #[test]
    fn every_section_has_the_mappings_keys_and_sound_defaults() {
        for kind in Format::KINDS {
            let section = Format::section(kind).unwrap();
            assert_eq!(section.path, format!("source.{kind}"));
            for name in ["files", "skip", "trailer"] {
                assert!(section.key(name).is_some(), "{kind} {name}");
            }
            // A table with only what is required takes every default without a fault.
            let text = match *kind {
                "csv" | "excel" | "edi" | "idoc" => "files = \"x\"",
                "fixed_width" => "files = \"x\"\nspec = \"y\"",
                "xml" => "files = \"x\"\nrecord_path = \"/a/b\"",
                _ => "files = \"x\"\ncopybook = \"y\"",
            };
            let faults = Faults::new();
            let root = parse(&SourceText::new(Path::new("t.toml"), text.to_owned()), &faults);
            let table = Table::new(&root, section, &faults).unwrap();
            assert!(Format::read(kind, &table).is_some(), "{kind}");
            assert_eq!(faults.into_sorted(), []);
        }
    }

    #[test]
    fn what_is_written_has_no_keys_of_reading() {
        for kind in Format::KINDS {
            let Some(section) = Format::written_section(kind) else {
                assert!(!Format::WRITTEN_KINDS.contains(kind), "{kind}");
                continue;
            };
            assert_eq!(section.path, format!("operations.NAME.file.{kind}"));
            let text = match *kind {
                "fixed_width" => "spec = \"y\"",
                "xml" => "record_path = \"/a/b\"",
                "cobol" => "copybook = \"y\"",
                _ => "",
            };
            let faults = Faults::new();
            let root = parse(&SourceText::new(Path::new("t.toml"), text.to_owned()), &faults);
            let table = Table::new(&root, section, &faults).unwrap();
            assert!(Format::read(kind, &table).is_some(), "{kind}");
            assert_eq!(faults.into_sorted(), []);
            for name in ["files", "skip", "trailer", "controls"] {
                assert!(section.key(name).is_none(), "{kind} {name}");
            }
        }
    }

    #[test]
    fn trimming() {
        let check = |trim: Trim, expected: &[u8]| assert_eq!(trim.apply(b" \0 a b \0", b' '), expected);
        check(Trim::Both, b"a b");
        check(Trim::Left, b"a b \0");
        check(Trim::Right, b" \0 a b");
        check(Trim::None, b" \0 a b \0");
        assert_eq!(Trim::Both.apply(b"   ", b' '), b"");
        for blanks in 0..40 {
            let padded = [b"a b".as_slice(), &vec![b' '; blanks]].concat();
            assert_eq!(Trim::Right.apply(&padded, b' '), b"a b");
            assert_eq!(Trim::Both.apply(&padded[3..], b' '), b"");
        }
    }
}
