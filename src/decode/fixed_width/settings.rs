//! The keys of `[source.fixed_width]`, and the list of fields: in the mapping itself or in a file of its own.

use std::collections::HashSet;
use std::sync::Arc;

use super::spec;
use super::types::{Form, Type};
use crate::decode::blank_lines::{BLANK_LINES, BlankLines};
use crate::decode::cobol::segments::{self, SegmentSettings};
use crate::decode::cobol::{self, Overpunch, Places};
use crate::decode::csv::Nul;
use crate::decode::format::{CONTROLS, FILES, Place, SKIP, TRAILER, Trim, read_encoding};
use crate::decode::{CodePage, MAX_RECORD};
use crate::diagnostic::{Faults, Key, Presence, Section, SourceText, Table};

/// What a person wrote.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The code page of the file.
    pub encoding: CodePage,
    /// The fields.
    pub fields: Fields,
    /// Lines at the start that are no records.
    pub header_lines: u64,
    /// Lines at the end that are no records.
    pub footer_lines: u64,
    /// What a blank line amid the data is.
    pub blank_lines: BlankLines,
    /// Whether a line may be shorter than a field that is read from it: the rest counts as blanks.
    pub pad: bool,
    /// Which blanks of a field are padding.
    pub trim: Trim,
    /// What becomes of NUL characters in files of one record type, [`Nul::Reject`] when `None`.
    pub nul: Option<Nul>,
    /// How a sign lies over a digit in ASCII.
    pub sign: Option<Overpunch>,
    /// Bytes of every record, in a file without line ends.
    pub record_length: Option<usize>,
    /// Whether lines are written with CR and LF at their end and not with LF alone; both are read.
    pub crlf: bool,
    /// Which of several record types a line is, and how they nest.
    pub segments: Option<SegmentSettings>,
    /// `FIELD=VALUE` pairs: records that have the field are left out unless it has one of its values.
    pub filter: Vec<(String, String)>,
    /// Where `segment_field` is written.
    pub place: Option<Place>,
    /// Where the keys of record types are written.
    pub places: Places,
}

/// Where the fields are listed.
#[derive(Clone, Debug)]
pub enum Fields {
    /// In the mapping.
    Inline(Vec<Field>),
    /// In a file of lines `name,start,length`, or of a ruler.
    Spec {
        /// Its path, as written.
        path: String,
        /// Where the path is written.
        place: Place,
    },
}

/// A field of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its first column, from 0.
    pub start: usize,
    /// How many columns it has, at least 1.
    pub length: usize,
    /// The record type that has it; all of them when `None`.
    pub record: Option<String>,
    /// What it holds.
    pub form: Form,
}

impl Field {
    /// What stands in a line at the field, for messages.
    pub(super) fn expected(&self) -> String {
        format!("text in columns {} to {}", self.start + 1, self.start + self.length)
    }
}

pub(in crate::decode) static SECTION: Section = Section {
    path: "source.fixed_width",
    doc: "Text in fixed columns, one record a line.",
    keys: &[
        FILES,
        Key {
            name: "fields",
            shape: "array of tables",
            presence: Presence::Optional,
            doc: "the columns: `{ name = \"SKU\", start = 1, length = 12 }`, `start` from 1; instead of `spec`",
        },
        Key {
            name: "spec",
            shape: "path",
            presence: Presence::Optional,
            doc: "file that lists the columns, a line `name,start,length` each, with `,type`, `,scale` and `,record` behind \
                  where they are needed, or a ruler; instead of `fields`",
        },
        Key {
            name: "encoding",
            shape: "code page",
            presence: Presence::Default("\"utf-8\""),
            doc: "code page of the file, like \"cp850\" or \"windows-1252\"",
        },
        Key {
            name: "header_lines",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "lines at the start of the file that are no records",
        },
        Key {
            name: "footer_lines",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "lines at the end of the file that are no records",
        },
        BLANK_LINES,
        Key {
            name: "pad",
            shape: "boolean",
            presence: Presence::Default("false"),
            doc: "a line that ends before a field counts as filled up with blanks, for senders that cut blanks off",
        },
        Key {
            name: "trim",
            shape: "\"both\" | \"left\" | \"right\" | \"none\"",
            presence: Presence::Default("\"both\""),
            doc: "at which ends of a field blanks are padding",
        },
        Key {
            name: "nul",
            shape: "\"reject\" | \"strip\" | \"replace\" | \"keep\"",
            presence: Presence::Default("\"reject\""),
            doc: "what becomes of NUL characters: the record is rejected, they are left out, blanks take their place, or they are text; between record types and numbers they pad, as low values do in COBOL",
        },
        cobol::SIGN,
        Key {
            name: "record_length",
            shape: "integer",
            presence: Presence::Optional,
            doc: "bytes of every record, in a file without line ends",
        },
        segments::FIELD,
        segments::MAP,
        segments::CHILDREN,
        segments::UNKNOWN,
        segments::FILTER,
        SKIP,
        TRAILER,
        CONTROLS,
    ],
};

/// An element of `fields`.
pub static FIELD_SECTION: Section = Section {
    path: "source.fixed_width.fields",
    doc: "A field of a line.",
    keys: &[
        Key { name: "name", shape: "string", presence: Presence::Required, doc: "the name that `from` uses" },
        Key { name: "start", shape: "integer", presence: Presence::Required, doc: "first column, from 1" },
        Key { name: "length", shape: "integer", presence: Presence::Required, doc: "number of columns" },
        Key {
            name: "record",
            shape: "string",
            presence: Presence::Optional,
            doc: "with `segment_field`: the record type that has the field; all of them when absent",
        },
        Key {
            name: "type",
            shape: "string",
            presence: Presence::Default("\"text\""),
            doc: "what it holds: text; zoned, zoned-unsigned, zoned-leading, sign-trailing, sign-leading; packed, packed-unsigned, packed-bare; binary, binary-unsigned, binary-le, binary-le-unsigned; float-ibm, float-ieee, float-ieee-le. Numbers count bytes, and those of packed, binary and float need `record_length`",
        },
        Key {
            name: "scale",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "digits of the number behind a point that is not written",
        },
    ],
};

impl Settings {
    /// The defaults, with these fields.
    pub fn new(fields: Fields) -> Settings {
        let encoding = CodePage::utf8();
        Settings {
            encoding,
            fields,
            header_lines: 0,
            footer_lines: 0,
            blank_lines: BlankLines::Record,
            pad: false,
            trim: Trim::Both,
            nul: None,
            sign: None,
            record_length: None,
            crlf: true,
            segments: None,
            filter: Vec::new(),
            place: None,
            places: Places::default(),
        }
    }

    pub(in crate::decode) fn read(table: &Table<'_>) -> Option<Settings> {
        let encoding = read_encoding(table);
        let header_lines = table.integer("header_lines", 0..=1_000_000);
        let footer_lines = table.integer("footer_lines", 0..=1_000_000);
        let blank_lines = table.one_of("blank_lines", BlankLines::WORDS);
        let pad = table.boolean("pad");
        let trim = table.one_of("trim", Trim::WORDS);
        let nul = if table.has("nul") { table.one_of("nul", Nul::WORDS) } else { None };
        let sign = if table.has("sign") { table.one_of("sign", Overpunch::WORDS) } else { None };
        let record_length = table.integer("record_length", 1..=MAX_RECORD as i64);
        let segments = SegmentSettings::read(table);
        let filter = segments::read_filter(table);
        let fields = match table.exactly_one(&["fields", "spec"])? {
            "fields" => read_fields(table),
            _ => table.filled("spec").zip(table.get("spec")).map(|(path, node)| {
                let place = Place::of(node);
                Fields::Spec { path, place }
            }),
        };
        Some(Settings {
            encoding: encoding?,
            fields: fields?,
            header_lines: u64::try_from(header_lines?).ok()?,
            footer_lines: u64::try_from(footer_lines?).ok()?,
            blank_lines: blank_lines?,
            pad: pad?,
            trim: trim?,
            nul,
            sign,
            record_length: record_length.and_then(|length| usize::try_from(length).ok()),
            crlf: true,
            segments,
            filter,
            place: ["segment_field", "filter", "record_length", "fields", "spec"]
                .iter()
                .find_map(|key| table.get(key))
                .map(Place::of),
            places: Places::of(table, segments::KEYS),
        })
        .filter(|_| !table.failed())
    }

    pub(in crate::decode) fn texts(&self) -> Vec<String> {
        match &self.fields {
            Fields::Inline(_) => Vec::new(),
            Fields::Spec { path, .. } => vec![path.clone()],
        }
    }

    pub(in crate::decode) fn fields(
        &self,
        texts: &dyn Fn(&str) -> Option<Arc<SourceText>>,
        faults: &Faults,
    ) -> Option<Vec<Field>> {
        match &self.fields {
            Fields::Inline(fields) => Some(fields.clone()),
            Fields::Spec { path, place } => match texts(path) {
                Some(source) => spec::parse(&source, faults),
                None => {
                    faults.push(place.fault(format!("cannot read the list of fields `{path}`")));
                    None
                }
            },
        }
    }
}

fn read_fields(table: &Table<'_>) -> Option<Fields> {
    let mut fields = Vec::new();
    let mut names = HashSet::new();
    let mut sound = true;
    for element in table.tables("fields", &FIELD_SECTION) {
        let name = element.filled("name");
        let start = element.integer("start", 1..=MAX_RECORD as i64);
        let length = element.integer("length", 1..=MAX_RECORD as i64);
        let (Some(name), Some(start), Some(length)) = (name, start, length) else {
            sound = false;
            continue;
        };
        let record = element.filled("record");
        let kind = element.one_of("type", Type::WORDS).unwrap_or_default();
        let scale = element.integer("scale", 0..=38).and_then(|scale| u8::try_from(scale).ok()).unwrap_or_default();
        let form = Form { kind, scale };
        if let Err(message) = form.data(length as usize) {
            table.fail(element.node().fault(message));
        }
        if !names.insert((name.clone(), record.clone())) {
            table.fail(element.node().fault(format!("there is another field `{name}`")).help("give it another name"));
        }
        fields.push(Field { name, start: start as usize - 1, length: length as usize, record, form });
    }
    if fields.is_empty() && sound && !table.failed() {
        table.fail(table.node().key_fault("`fields` lists no field"));
    }
    (sound && !table.failed()).then_some(Fields::Inline(fields))
}
