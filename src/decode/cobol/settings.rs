//! The keys of `[source.cobol]`.

use super::framing::FrameHeader;
use super::reading::{self, Compiler, Reading};
use super::segments::{self, SegmentSettings};
use crate::decode::CodePage;
use crate::decode::blank_lines::{BLANK_LINES, BlankLines};
use crate::decode::copybook::SourceFormat;
use crate::decode::format::{CONTROLS, FILES, Place, SKIP, TRAILER, Trim, read_encoding};
use crate::diagnostic::{Key, Presence, Section, Table};

/// What a person wrote.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Path of the copybook, as written.
    pub copybook: String,
    /// Paths of further copybooks, whose records join those of the first.
    pub more_copybooks: Vec<String>,
    /// Where the path is written.
    pub place: Place,
    /// How the copybook's lines are laid out.
    pub source_format: SourceFormat,
    /// The record (level 01) to take where the copybook has several; all of them, one over the other, when `None`.
    pub record: Option<String>,
    /// The code page of text and of digits in text form.
    pub encoding: CodePage,
    /// Where records end.
    pub framing: Framing,
    /// Added to the length in a record descriptor word: -4 where the word counts itself. Found out from the file when
    /// `None`.
    pub rdw_adjust: Option<i64>,
    /// Added to the length in a block descriptor word: -4 where the word counts itself. Found out from the file when
    /// `None`.
    pub bdw_adjust: Option<i64>,
    /// The numeric item that has the record's length; for [`Framing::LengthField`].
    pub length_field: Option<String>,
    /// The sender's own header before every record; for [`Framing::Header`].
    pub frame_header: Option<FrameHeader>,
    /// Added to the length that a header or an item of the record gives.
    pub length_adjust: i64,
    /// Bytes at the start of the file that are no records.
    pub header_bytes: u64,
    /// Bytes at the end of the file that are no records.
    pub footer_bytes: u64,
    /// Lines at the start of a text file that are no records.
    pub header_lines: u64,
    /// Lines at the end of a text file that are no records.
    pub footer_lines: u64,
    /// What a blank line amid the data of a text file is.
    pub blank_lines: BlankLines,
    /// Whether a line that ends early counts as filled up with blanks.
    pub pad_lines: bool,
    /// Whether lines of ASCII are written with CR and LF at their end and not with LF alone; both are read.
    pub crlf: bool,
    /// Bytes before the layout in every record.
    pub record_prefix: usize,
    /// Bytes behind the layout in every record.
    pub record_suffix: usize,
    /// The format of COMP-1 and COMP-2; the dialect's when `None`.
    pub float: Option<FloatFormat>,
    /// The byte order of COMP-5; the dialect's when `None`.
    pub comp5: Option<ByteOrder>,
    /// What else the compiler was and was told.
    pub reading: Reading,
    /// Whether items behind a table of varying length move with it; needed only where there are such items.
    pub odo: Option<Odo>,
    /// Which blanks of a text field are padding.
    pub trim: Trim,
    /// Which of several record types a record is, and how they nest.
    pub segments: Option<SegmentSettings>,
    /// `FIELD=VALUE` pairs: records that have the field are left out unless it has one of its values.
    pub filter: Vec<(String, String)>,
    /// Where some keys are written.
    pub places: Places,
}

/// Where some keys are written, for what shows only on compiling.
#[derive(Clone, Debug, Default)]
pub struct Places(Vec<(&'static str, Place)>);

impl Places {
    /// Those of these keys that are written.
    pub(in crate::decode) fn of(table: &Table<'_>, keys: &[&'static str]) -> Places {
        Places(keys.iter().filter_map(|key| Some((*key, Place::of(table.get(key)?)))).collect())
    }
}

/// Where the items behind a table of varying length (OCCURS DEPENDING ON) begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odo {
    /// Behind the room of its largest number of elements.
    Fixed,
    /// Behind the elements that it has in the record.
    Variable,
}

impl Odo {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Odo)] = &[("fixed", Odo::Fixed), ("variable", Odo::Variable)];
}

/// Where a record ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// All records have the length of the layout.
    #[default]
    Fixed,
    /// A line is a record (LINE SEQUENTIAL).
    Line,
    /// A record descriptor word of 4 bytes comes first, its length in bytes 1 and 2, high byte first.
    RdwBig,
    /// A record descriptor word of 4 bytes comes first, its length in bytes 3 and 4, low byte first.
    RdwLittle,
    /// Blocks with a block descriptor word (RECFM=VB); in them records with record descriptor words, high byte first.
    Blocks,
    /// Blocks with a block descriptor word whose records go on from block to block in segments (RECFM=VBS).
    Spanned,
    /// A header of the sender's own comes first and says the length.
    Header,
    /// An item of the record says its length.
    LengthField,
    /// A record ends behind its last item, by its type and by the counters of its tables of varying length.
    Odo,
    /// The one that consumes the file exactly, found out from the file.
    Auto,
}

impl Framing {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Framing)] = &[
        ("fixed", Framing::Fixed),
        ("line", Framing::Line),
        ("rdw-be", Framing::RdwBig),
        ("rdw-le", Framing::RdwLittle),
        ("bdw", Framing::Blocks),
        ("vbs", Framing::Spanned),
        ("header", Framing::Header),
        ("length-field", Framing::LengthField),
        ("odo", Framing::Odo),
        ("auto", Framing::Auto),
    ];

    /// The name.
    pub fn word(self) -> &'static str {
        Framing::WORDS.iter().find(|(_, framing)| *framing == self).map_or("", |(word, _)| word)
    }
}

/// The format of binary floating-point numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FloatFormat {
    /// IBM hexadecimal floating point, high byte first.
    #[default]
    Ibm,
    /// IEEE 754 binary32 and binary64, high byte first.
    Ieee,
    /// IEEE 754 binary32 and binary64, low byte first.
    IeeeLittle,
}

impl FloatFormat {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, FloatFormat)] =
        &[("ibm", FloatFormat::Ibm), ("ieee", FloatFormat::Ieee), ("ieee-le", FloatFormat::IeeeLittle)];
}

/// Which byte of a number comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ByteOrder {
    /// The high byte.
    #[default]
    Big,
    /// The low byte.
    Little,
}

impl ByteOrder {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, ByteOrder)] = &[("big", ByteOrder::Big), ("little", ByteOrder::Little)];
}

pub(in crate::decode) static SECTION: Section = Section {
    path: "source.cobol",
    doc: "Records that a COBOL copybook describes.",
    keys: &[
        FILES,
        Key {
            name: "copybook",
            shape: "path or array of paths",
            presence: Presence::Required,
            doc: "the copybook, as it is; the records of several join",
        },
        Key {
            name: "source_format",
            shape: "\"auto\" | \"fixed\" | \"free\"",
            presence: Presence::Default("\"auto\""),
            doc: "whether the copybook's text stands in columns 8 to 72 (fixed) or anywhere (free)",
        },
        Key {
            name: "record",
            shape: "string",
            presence: Presence::Optional,
            doc: "the record (level 01) to take where the copybook has several; else they all share the same bytes",
        },
        Key {
            name: "encoding",
            shape: "code page",
            presence: Presence::Default("\"cp037\""),
            doc: "code page of text and of digits in text form, like \"cp1141\" or \"windows-1252\"",
        },
        Key {
            name: "framing",
            shape: "\"fixed\" | \"line\" | \"rdw-be\" | \"rdw-le\" | \"bdw\" | \"vbs\" | \"header\" | \"length-field\" | \"odo\" | \"auto\"",
            presence: Presence::Default("\"fixed\""),
            doc: "where a record ends: after the layout's length, at the line's end, by descriptor words, by a header or a \
                  field that has the length, behind the last element of its tables (odo), or as only one of these \
                  consumes the file exactly (auto)",
        },
        Key {
            name: "rdw_adjust",
            shape: "integer",
            presence: Presence::Optional,
            doc: "added to the length in a record descriptor word: -4 where it counts itself, 0 where not; found out \
                  from the first records unless given",
        },
        Key {
            name: "bdw_adjust",
            shape: "integer",
            presence: Presence::Optional,
            doc: "the same for block descriptor words",
        },
        Key {
            name: "length_field",
            shape: "string",
            presence: Presence::Optional,
            doc: "with framing \"length-field\": the numeric item that has the record's length in bytes",
        },
        Key {
            name: "frame_header",
            shape: "table",
            presence: Presence::Optional,
            doc: "with framing \"header\": what stands before each record, \
                  `{ bytes = 6, offset = 2, size = 2, type = \"big\", counts = \"record\" }`",
        },
        Key {
            name: "length_adjust",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "added to the length that a header or a field gives, as where it leaves out a part of the record",
        },
        BLANK_LINES,
        Key {
            name: "header_bytes",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "bytes at the start of the file that are no records",
        },
        Key {
            name: "footer_bytes",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "bytes at the end of the file that are no records",
        },
        Key {
            name: "record_prefix",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "bytes in every record before its layout begins",
        },
        Key {
            name: "record_suffix",
            shape: "integer",
            presence: Presence::Default("0"),
            doc: "bytes in every record behind its layout",
        },
        Key {
            name: "float",
            shape: "\"ibm\" | \"ieee\" | \"ieee-le\"",
            presence: Presence::Optional,
            doc: "format of COMP-1 and COMP-2: IBM hexadecimal, or IEEE 754 with the high or the low byte first; `ibm` \
                  for ibm, `ieee-le` for gnu and mf",
        },
        Key {
            name: "comp5",
            shape: "\"big\" | \"little\"",
            presence: Presence::Optional,
            doc: "byte order of COMP-5: that of the machine which wrote the file; `big` for ibm, `little` for gnu and mf",
        },
        reading::COMPILER,
        reading::BINARY_SIZE,
        reading::BINARY_RANGE,
        reading::SIGN,
        reading::POINTER,
        reading::DECIMAL_COMMA,
        reading::CURRENCY,
        reading::EDITED,
        reading::ODO_MAP,
        reading::VIEWS,
        reading::DEFINE,
        Key {
            name: "odo",
            shape: "\"fixed\" | \"variable\"",
            presence: Presence::Optional,
            doc: "whether items behind a table of varying length stay in place or follow its last element",
        },
        Key {
            name: "trim",
            shape: "\"both\" | \"left\" | \"right\" | \"none\"",
            presence: Presence::Default("\"both\""),
            doc: "at which ends of a text blanks and low values are padding",
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

/// Keys whose places are kept.
const WRITTEN: &[&str] =
    &["framing", "length_field", "frame_header", "odo", "rdw_adjust", "bdw_adjust", "length_adjust", "sign"];

impl Settings {
    /// The defaults, for this copybook.
    pub fn new(copybook: String, encoding: CodePage, place: Place) -> Settings {
        Settings {
            copybook,
            more_copybooks: Vec::new(),
            place,
            source_format: SourceFormat::Auto,
            record: None,
            encoding,
            framing: Framing::Fixed,
            rdw_adjust: None,
            bdw_adjust: None,
            length_field: None,
            frame_header: None,
            length_adjust: 0,
            header_bytes: 0,
            footer_bytes: 0,
            header_lines: 0,
            footer_lines: 0,
            blank_lines: BlankLines::Record,
            pad_lines: true,
            crlf: false,
            record_prefix: 0,
            record_suffix: 0,
            float: None,
            comp5: None,
            reading: Reading::default(),
            odo: None,
            trim: Trim::Both,
            segments: None,
            filter: Vec::new(),
            places: Places::default(),
        }
    }

    /// The place of a key; that of the copybook where it is not known.
    pub(super) fn place_of(&self, key: &str) -> &Place {
        self.places.0.iter().find(|(known, _)| *known == key).map_or(&self.place, |(_, place)| place)
    }

    pub(in crate::decode) fn read(table: &Table<'_>) -> Option<Settings> {
        let bytes = |name: &str| table.integer(name, 0..=1 << 40);
        let within = |name: &str| table.integer(name, 0..=1 << 20);
        let mut copybooks = table.strings("copybook").unwrap_or_default().into_iter();
        let copybook = copybooks.next().filter(|path| !path.is_empty());
        if copybook.is_none()
            && !table.failed()
            && let Some(node) = table.get("copybook")
        {
            table.fail(node.fault("`copybook` must not be empty"));
        }
        let source_format = table.one_of("source_format", SourceFormat::WORDS);
        let record = table.filled("record");
        let encoding = read_encoding(table);
        let framing = table.one_of("framing", Framing::WORDS);
        let blank_lines = table.one_of("blank_lines", BlankLines::WORDS);
        let rdw_adjust = table.integer("rdw_adjust", -64..=64);
        let bdw_adjust = table.integer("bdw_adjust", -64..=64);
        let (header_bytes, footer_bytes) = (bytes("header_bytes"), bytes("footer_bytes"));
        let (record_prefix, record_suffix) = (within("record_prefix"), within("record_suffix"));
        let float = table.one_of("float", FloatFormat::WORDS);
        let comp5 = table.one_of("comp5", ByteOrder::WORDS);
        let trim = table.one_of("trim", Trim::WORDS);
        let odo = table.one_of("odo", Odo::WORDS);
        let reading = Reading::read(table);
        let length_field = table.filled("length_field");
        let frame_header = FrameHeader::read(table);
        let length_adjust = table.integer("length_adjust", -(1 << 20)..=1 << 20);
        let segments = SegmentSettings::read(table);
        let filter = segments::read_filter(table);
        // Tables within the table have reported their own faults.
        let is_broken = |name: &str, read: bool| table.has(name) && !read;
        if table.failed() || is_broken("frame_header", frame_header.is_some()) {
            return None;
        }
        Some(Settings {
            copybook: copybook?,
            more_copybooks: copybooks.collect(),
            place: Place::of(table.get("copybook")?),
            source_format: source_format?,
            record,
            encoding: encoding?,
            framing: framing?,
            rdw_adjust,
            bdw_adjust,
            length_field,
            frame_header,
            length_adjust: length_adjust?,
            header_bytes: u64::try_from(header_bytes?).ok()?,
            footer_bytes: u64::try_from(footer_bytes?).ok()?,
            header_lines: 0,
            footer_lines: 0,
            blank_lines: blank_lines?,
            pad_lines: true,
            crlf: false,
            record_prefix: usize::try_from(record_prefix?).ok()?,
            record_suffix: usize::try_from(record_suffix?).ok()?,
            float,
            comp5,
            reading: reading?,
            odo,
            trim: trim?,
            segments,
            filter,
            places: Places::of(table, &[WRITTEN, segments::KEYS].concat()),
        })
    }

    /// Whether items behind a table of varying length follow its last element. A record that ends behind its last
    /// element has them so.
    pub(super) fn moves_items(&self) -> bool {
        self.odo == Some(Odo::Variable) || self.framing == Framing::Odo
    }

    /// Whether tables of varying length take their whole room in every record.
    pub(super) fn keeps_room(&self) -> bool {
        self.odo == Some(Odo::Fixed) || (self.odo.is_none() && self.framing == Framing::Fixed)
    }

    /// The format of COMP-1 and COMP-2.
    pub(super) fn float_format(&self) -> FloatFormat {
        let usual = if self.reading.compiler == Compiler::Ibm { FloatFormat::Ibm } else { FloatFormat::IeeeLittle };
        self.float.unwrap_or(usual)
    }

    /// The byte order of the machine that wrote the file.
    pub(super) fn native_order(&self) -> ByteOrder {
        let usual = if self.reading.compiler == Compiler::Ibm { ByteOrder::Big } else { ByteOrder::Little };
        self.comp5.unwrap_or(usual)
    }
}
