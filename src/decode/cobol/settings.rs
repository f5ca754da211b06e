//! The keys of `[source.cobol]`.

use super::reading::{self, Compiler, Reading};
use crate::decode::CodePage;
use crate::decode::copybook::SourceFormat;
use crate::decode::format::{FILES, Place, SKIP, TRAILER, Trim, read_encoding};
use crate::diagnostic::{Key, Presence, Section, Table};

/// What a person wrote.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Path of the copybook, as written.
    pub copybook: String,
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
    /// Bytes at the start of the file that are no records.
    pub header_bytes: u64,
    /// Bytes at the end of the file that are no records.
    pub footer_bytes: u64,
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
}

impl Framing {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Framing)] = &[
        ("fixed", Framing::Fixed),
        ("line", Framing::Line),
        ("rdw-be", Framing::RdwBig),
        ("rdw-le", Framing::RdwLittle),
        ("bdw", Framing::Blocks),
    ];
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
        Key { name: "copybook", shape: "path", presence: Presence::Required, doc: "the copybook, as it is" },
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
            shape: "\"fixed\" | \"line\" | \"rdw-be\" | \"rdw-le\" | \"bdw\"",
            presence: Presence::Default("\"fixed\""),
            doc: "where a record ends: after the layout's length, at the line's end, or by descriptor words",
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
        SKIP,
        TRAILER,
    ],
};

impl Settings {
    /// The defaults, for this copybook.
    pub fn new(copybook: String, encoding: CodePage, place: Place) -> Settings {
        Settings {
            copybook,
            place,
            source_format: SourceFormat::Auto,
            record: None,
            encoding,
            framing: Framing::Fixed,
            rdw_adjust: None,
            bdw_adjust: None,
            header_bytes: 0,
            footer_bytes: 0,
            record_prefix: 0,
            record_suffix: 0,
            float: None,
            comp5: None,
            reading: Reading::default(),
            odo: None,
            trim: Trim::Both,
        }
    }

    pub(in crate::decode) fn read(table: &Table<'_>) -> Option<Settings> {
        let bytes = |name: &str| table.integer(name, 0..=1 << 40);
        let within = |name: &str| table.integer(name, 0..=1 << 20);
        let copybook = table.filled("copybook");
        let source_format = table.one_of("source_format", SourceFormat::WORDS);
        let record = table.filled("record");
        let encoding = read_encoding(table);
        let framing = table.one_of("framing", Framing::WORDS);
        let rdw_adjust = table.integer("rdw_adjust", -64..=64);
        let bdw_adjust = table.integer("bdw_adjust", -64..=64);
        let (header_bytes, footer_bytes) = (bytes("header_bytes"), bytes("footer_bytes"));
        let (record_prefix, record_suffix) = (within("record_prefix"), within("record_suffix"));
        let float = table.one_of("float", FloatFormat::WORDS);
        let comp5 = table.one_of("comp5", ByteOrder::WORDS);
        let trim = table.one_of("trim", Trim::WORDS);
        let odo = table.one_of("odo", Odo::WORDS);
        let reading = Reading::read(table);
        if table.failed() {
            return None;
        }
        Some(Settings {
            copybook: copybook?,
            place: Place::of(table.get("copybook")?),
            source_format: source_format?,
            record,
            encoding: encoding?,
            framing: framing?,
            rdw_adjust,
            bdw_adjust,
            header_bytes: u64::try_from(header_bytes?).ok()?,
            footer_bytes: u64::try_from(footer_bytes?).ok()?,
            record_prefix: usize::try_from(record_prefix?).ok()?,
            record_suffix: usize::try_from(record_suffix?).ok()?,
            float,
            comp5,
            reading: reading?,
            odo,
            trim: trim?,
        })
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
