//! The options that say what a file's layout is, for `decode` and `encode` alike, and the layout that they describe.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Failure;
use super::cobol_options::CobolOptions;
use super::foreign::refuse_foreign_options;
use crate::decode::cobol::{self, ByteOrder, FloatFormat, FrameHeader, Framing, Odo};
use crate::decode::copybook::SourceFormat;
use crate::decode::{
    Blank, BlankLines, CodePage, Compression, Format, Packing, Place, Trim, csv, edi, excel, fixed_width, idoc, rows,
    xml,
};

/// The file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatName {
    /// Delimited text.
    Csv,
    /// Text in fixed columns.
    FixedWidth,
    /// Records of a COBOL copybook.
    Cobol,
    /// Elements of an XML file.
    Xml,
    /// Rows of a sheet of a workbook.
    Excel,
    /// Interchanges of X12 or EDIFACT.
    Edi,
    /// SAP IDocs, flat or XML.
    Idoc,
    /// Rows of a database, as they were landed.
    Rows,
    /// Answers of a SOAP service.
    Soap,
}

/// Whether items without a name are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fillers {
    /// They are left out.
    #[default]
    Drop,
    /// They are written as FILLER_1, FILLER_2 and so on.
    Keep,
}

/// What the file is.
#[derive(Args, Clone, Debug)]
pub(crate) struct LayoutArgs {
    /// Format of the file; found out from --copybook or --spec where one is given
    #[arg(long, value_enum)]
    pub format: Option<FormatName>,
    /// Code page, like cp037, cp850, windows-1252 [default: cp037 for cobol, what UNB says for EDIFACT, else utf-8]
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<String>,
    /// At which ends of a text blanks are padding [default: both]
    #[arg(long, value_name = "ENDS", value_parser = word(Trim::WORDS))]
    pub trim: Option<Trim>,

    /// How the file is packed: auto (by its first bytes), none, gzip, zip, zstd, bzip2 [default: auto]
    #[arg(long, value_name = "HOW", value_parser = word(Packing::WORDS))]
    pub compression: Option<Packing>,
    /// Which member of a zip archive is read, with * and ?
    #[arg(long, value_name = "PATTERN", value_parser = Compression::parse_member)]
    pub member: Option<glob::Pattern>,
    /// Stop when a compressed file unpacks to more MiB [default: 65536]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub max_unpacked_mib: Option<u64>,
    /// Stop when more bytes of a compressed file come out of one [default: 300]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_unpack_ratio: Option<u64>,

    /// cobol: the copybook; more than once where record types have copybooks of their own
    #[arg(long, value_name = "FILE", help_heading = "cobol")]
    pub copybook: Vec<PathBuf>,
    /// Whether the copybook keeps to columns 8 to 72: auto, fixed, free [default: auto]
    #[arg(long, value_name = "FORM", value_parser = word(SourceFormat::WORDS), help_heading = "cobol")]
    pub source_format: Option<SourceFormat>,
    /// The record (level 01) to decode, where the copybook has several
    #[arg(long, value_name = "NAME", help_heading = "cobol")]
    pub record: Option<String>,
    /// Where a record ends: fixed, line, rdw-be, rdw-le, bdw, vbs, header, length-field, odo, or auto: as only one of them
    /// consumes the file exactly [default: fixed]
    #[arg(long, value_name = "FRAMING", value_parser = word(Framing::WORDS), help_heading = "cobol")]
    pub framing: Option<Framing>,
    /// Added to the length in record descriptor words: -4 where they count themselves [default: found out]
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "cobol")]
    pub rdw_adjust: Option<i64>,
    /// The same for block descriptor words
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "cobol")]
    pub bdw_adjust: Option<i64>,
    /// With --framing length-field: the numeric item that has the record's length
    #[arg(long, value_name = "FIELD", help_heading = "cobol")]
    pub length_field: Option<String>,
    /// With --framing header: what stands before each record, and where in it the length; TYPE is big, little, digits or
    /// packed, COUNTS record or frame (the header too)
    #[arg(long, value_name = "BYTES:OFFSET:SIZE[:TYPE[:COUNTS]]", value_parser = FrameHeader::parse,
          help_heading = "cobol")]
    pub frame_header: Option<FrameHeader>,
    /// Added to the length that a header or an item gives [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "cobol",
          value_parser = clap::value_parser!(i64).range(-(1 << 20)..=1 << 20))]
    pub length_adjust: Option<i64>,
    /// Bytes at the start of the file that are no records
    #[arg(long, value_name = "N", help_heading = "cobol")]
    pub header_bytes: Option<u64>,
    /// Bytes at the end of the file that are no records
    #[arg(long, value_name = "N", help_heading = "cobol")]
    pub footer_bytes: Option<u64>,
    /// Bytes in every record before its layout
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1 << 20), help_heading = "cobol")]
    pub record_prefix: Option<u32>,
    /// Bytes in every record behind its layout
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1 << 20), help_heading = "cobol")]
    pub record_suffix: Option<u32>,
    /// Format of COMP-1 and COMP-2: ibm, ieee, ieee-le [default: the dialect's]
    #[arg(long, value_name = "FORMAT", value_parser = word(FloatFormat::WORDS), help_heading = "cobol")]
    pub float: Option<FloatFormat>,
    /// Byte order of COMP-5: big, little [default: the dialect's]
    #[arg(long, value_name = "ORDER", value_parser = word(ByteOrder::WORDS), help_heading = "cobol")]
    pub comp5: Option<ByteOrder>,
    /// Whether items behind a table of varying length stay (fixed) or follow its last element (variable)
    #[arg(long, value_name = "WHERE", value_parser = word(Odo::WORDS), help_heading = "cobol")]
    pub odo: Option<Odo>,
    /// The item whose value says which record (level 01) a record is, or its place OFFSET:LENGTH in bytes from 0
    #[arg(long, value_name = "FIELD", help_heading = "several record types")]
    pub segment_field: Option<String>,
    /// A value of it and the record that it stands for; once for each
    #[arg(long, value_name = "ID=RECORD", value_parser = cobol::Settings::parse_pair,
          help_heading = "several record types")]
    pub segment_map: Vec<(String, String)>,
    /// Nests records: those behind a PARENT become arrays of it; once for each parent
    #[arg(long, value_name = "PARENT=CHILD,...", value_parser = cobol::Settings::parse_children,
          help_heading = "several record types")]
    pub segment_children: Vec<(String, Vec<String>)>,
    /// What becomes of records of other types: reject, skip [default: reject]
    #[arg(long, value_name = "WHAT", value_parser = word(cobol::Unknown::WORDS),
          help_heading = "several record types")]
    pub segment_unknown: Option<cobol::Unknown>,
    /// Leaves out records that have the field with another value; several values of one field are alternatives. Where record types do not nest, those without the field are left out as well
    #[arg(long, value_name = "FIELD=VALUE", value_parser = cobol::Settings::parse_pair,
          help_heading = "several record types")]
    pub filter: Vec<(String, String)>,
    /// What becomes of items called FILLER [default: drop]
    #[arg(long, value_enum, help_heading = "cobol")]
    pub fillers: Option<Fillers>,
    /// What becomes of numbers that are blank: null, zero, reject; said, it goes for binary numbers and floats too that are filled with blanks (40404040) and could be numbers [default: reject, but for those]
    #[arg(long, value_name = "VALUE", value_parser = word(Blank::WORDS), help_heading = "cobol")]
    pub blank: Option<Blank>,
    #[command(flatten)]
    pub cobol: CobolOptions,

    /// csv: stands between cells [default: ,]
    #[arg(long, value_name = "C", value_parser = csv::Settings::parse_delimiter, help_heading = "csv")]
    pub delimiter: Option<String>,
    /// Stands around cells; empty when nothing is quoted [default: "]
    #[arg(long, value_name = "C", help_heading = "csv")]
    pub quote: Option<String>,
    /// Takes the meaning of the character behind it, like \; quotes may be doubled all the same
    #[arg(long, value_name = "C", help_heading = "csv")]
    pub escape: Option<String>,
    /// What ends a row (csv), or is written at the end of a line (fixed-width); any takes LF, CRLF and CR, and writes CRLF: any, lf, crlf, cr [default: any]
    #[arg(long, value_name = "END", value_parser = word(csv::LineEnd::WORDS), help_heading = "csv")]
    pub line_end: Option<csv::LineEnd>,
    /// Lines that begin with this are no rows
    #[arg(long, value_name = "TEXT", help_heading = "csv")]
    pub comment: Option<String>,
    /// csv and excel: the first row is a record; columns are called column_1, column_2 and so on, as --columns says, or
    /// A, B and so on
    #[arg(long, help_heading = "csv")]
    pub no_header: bool,
    /// Rows of the header; what a column has in them is joined by a blank [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100), help_heading = "csv")]
    pub header_rows: Option<u32>,
    /// Names of the columns: without a header in order; with one, what --header-match holds it against
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', help_heading = "csv")]
    pub columns: Option<Vec<String>>,
    /// How a header must agree with --columns: contains, same_columns, identical [default: contains]
    #[arg(long, value_name = "HOW", value_parser = word(csv::HeaderMatch::WORDS), requires = "columns", help_heading = "csv")]
    pub header_match: Option<csv::HeaderMatch>,
    /// What becomes of a row that is the header once more: reject, skip, keep [default: reject]
    #[arg(long, value_name = "WHAT", value_parser = word(csv::RepeatedHeader::WORDS), help_heading = "csv")]
    pub repeated_header: Option<csv::RepeatedHeader>,
    /// Lines before the header that are neither header nor record
    #[arg(long, value_name = "N", help_heading = "csv")]
    pub preamble_lines: Option<u32>,
    /// Lines at the end of the file, or rows of the sheet, that are no records (csv, fixed-width, excel)
    #[arg(long, value_name = "N", help_heading = "csv")]
    pub footer_lines: Option<u32>,
    /// What becomes of rows with another number of cells: reject, pad, truncate [default: reject]
    #[arg(long, value_name = "WHAT", value_parser = word(csv::Ragged::WORDS), help_heading = "csv")]
    pub ragged: Option<csv::Ragged>,
    /// What becomes of NUL characters (csv and fixed-width): reject, strip, replace, keep [default: reject]
    #[arg(long, value_name = "WHAT", value_parser = word(csv::Nul::WORDS), help_heading = "csv")]
    pub nul: Option<csv::Nul>,

    /// xml and soap: which elements are records, like /Orders/Order or //Order
    #[arg(long, value_name = "PATH", help_heading = "xml")]
    pub record_path: Option<String>,
    /// A prefix for the paths; without any, elements are known by their local names (repeatable)
    #[arg(long, value_name = "PREFIX=URI", help_heading = "xml")]
    pub namespace: Vec<String>,
    /// An element that is an array also where it stands once, like Line or Lines.Line (repeatable)
    #[arg(long, value_name = "NAME", help_heading = "xml")]
    pub array: Vec<String>,
    /// A value from before the records to add to each, like /Orders/@batch (repeatable)
    #[arg(long, value_name = "PATH", help_heading = "xml")]
    pub parent: Vec<String>,

    /// excel: the sheet, by its name or its place from 1 [default: 1]
    #[arg(long, value_name = "SHEET", help_heading = "excel")]
    pub sheet: Option<String>,
    /// The part of the sheet to look at, like B3:F200, B3:F or B:F
    #[arg(long, value_name = "RANGE", value_parser = excel::Area::parse, help_heading = "excel")]
    pub range: Option<excel::Area>,
    /// Stop when a workbook has, or unpacks to, more MiB, or when what is held of it takes more [default: 256]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=excel::MAX_MIB), help_heading = "excel")]
    pub max_mib: Option<u64>,

    /// fixed-width: file of lines name,start,length with ,type ,scale and ,record behind where they are needed, or with a
    /// ruler like <--SKU---><-QTY->
    #[arg(long, value_name = "FILE", help_heading = "fixed-width")]
    pub spec: Option<PathBuf>,
    /// Lines at the start of the file that are no records
    #[arg(long, value_name = "N", help_heading = "fixed-width")]
    pub header_lines: Option<u32>,
    /// Bytes of every record, in a file without line ends
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 24), help_heading = "fixed-width")]
    pub record_length: Option<u32>,
    /// What a blank line amid the data is (fixed-width and cobol's --framing line): record, skip [default: record]
    #[arg(long, value_name = "WHAT", value_parser = word(BlankLines::WORDS), help_heading = "fixed-width")]
    pub blank_lines: Option<BlankLines>,
    /// A line that ends before a field counts as filled up with blanks
    #[arg(long, help_heading = "fixed-width")]
    pub pad: bool,

    /// edi: file that describes the message's segments and loops
    #[arg(long, value_name = "FILE", help_heading = "edi")]
    pub schema: Option<PathBuf>,

    /// idoc: list of the segments' fields: parser report of WE60, or lines SEGMENT TYPE and indented FIELD LENGTH
    #[arg(long, value_name = "FILE", help_heading = "idoc")]
    pub segments: Option<PathBuf>,
    /// What encode writes: flat, xml; decode sees it itself [default: flat]
    #[arg(long, value_name = "FORM", value_parser = word(idoc::Form::WORDS), help_heading = "idoc")]
    pub form: Option<idoc::Form>,
}

/// A parser for one of a list of words, so that the command line and the mapping know the same ones.
pub(super) fn word<T: Copy + Send + Sync + 'static>(
    words: &'static [(&'static str, T)],
) -> impl clap::builder::TypedValueParser<Value = T> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let names = words.iter().map(|(name, _)| *name);
    PossibleValuesParser::new(names).try_map(move |written| {
        let found = words.iter().find(|(name, _)| *name == written);
        found.map(|(_, value)| *value).ok_or("not one of the words")
    })
}

/// What the options say of how the file is packed.
pub(super) fn compression_of(args: &LayoutArgs) -> Result<Compression, Failure> {
    let default = Compression::default();
    let packing = args.compression.unwrap_or_default();
    if args.member.is_some() && !matches!(packing, Packing::Auto | Packing::Zip) {
        return Err(Failure::Usage("--member belongs to --compression zip".to_owned()));
    }
    Ok(Compression {
        packing,
        member: args.member.clone(),
        max_unpacked: args.max_unpacked_mib.map_or(default.max_unpacked, |mib| mib << 20),
        max_ratio: args.max_unpack_ratio.unwrap_or(default.max_ratio),
    })
}

/// The format, as named or as the other options imply it.
fn format_name(args: &LayoutArgs) -> Result<FormatName, Failure> {
    match (args.format, args.copybook.first(), &args.spec) {
        (Some(name), _, _) => Ok(name),
        (None, Some(_), None) => Ok(FormatName::Cobol),
        (None, None, Some(_)) => Ok(FormatName::FixedWidth),
        (None, None, None) if args.record_path.is_some() => Ok(FormatName::Xml),
        _ => {
            let help = "say what the file is: --format csv, edi, idoc or excel, --copybook FILE for cobol, --spec FILE for \
                        fixed-width, --record-path PATH for xml, --wsdl FILE for soap";
            Err(Failure::Usage(help.to_owned()))
        }
    }
}

/// What the options say of the layout.
pub(super) fn format_of(args: &LayoutArgs) -> Result<Format, Failure> {
    let name = format_name(args)?;
    refuse_foreign_options(args, name)?;
    let encoding = |default: &str| {
        CodePage::find(args.encoding.as_deref().unwrap_or(default))
            .map_err(|unknown| Failure::Usage(format!("{unknown}: {}", unknown.help())))
    };
    let path = |path: &Path| path.display().to_string();
    Ok(match name {
        FormatName::Csv => Format::Csv(csv_settings(args)?),
        FormatName::FixedWidth => {
            let Some(spec) = &args.spec else {
                return Err(Failure::Usage(
                    "fixed-width needs --spec FILE, with a line name,start,length a field".into(),
                ));
            };
            let place = Place::command_line(&format!("--spec {}", path(spec)));
            let fields = fixed_width::Fields::Spec { path: path(spec), place };
            if args.line_end == Some(csv::LineEnd::Cr) {
                return Err(Failure::Usage("fixed-width has lines that end with LF or CRLF".to_owned()));
            }
            let segments = segments(args)?;
            Format::FixedWidth(fixed_width::Settings {
                encoding: encoding("utf-8")?,
                nul: args.nul,
                sign: args.cobol.sign,
                record_length: args.record_length.map(|length| length as usize),
                header_lines: args.header_lines.unwrap_or_default().into(),
                footer_lines: args.footer_lines.unwrap_or_default().into(),
                crlf: args.line_end != Some(csv::LineEnd::Lf),
                blank_lines: args.blank_lines.unwrap_or_default(),
                pad: args.pad,
                segments,
                filter: args.filter.clone(),
                place: Some(Place::command_line(&typed(args, &format!("--spec {}", path(spec))))),
                trim: args.trim.unwrap_or_default(),
                ..fixed_width::Settings::new(fields)
            })
        }
        FormatName::Xml => Format::Xml(xml_of(args)?),
        FormatName::Rows => Format::Rows(rows::Settings::default()),
        FormatName::Soap => return Err(Failure::Usage("answers of SOAP services are only decoded".to_owned())),
        FormatName::Excel => {
            let sheet = args.sheet.as_ref().map(|sheet| match sheet.parse() {
                Ok(place) if place > 0 => excel::Sheet::At(place),
                _ => excel::Sheet::Named(sheet.clone()),
            });
            let default = excel::Settings::default();
            Format::Excel(excel::Settings {
                sheet: sheet.unwrap_or(excel::Sheet::At(1)),
                range: args.range.unwrap_or(excel::Area::ALL),
                header: !args.no_header,
                footer_rows: args.footer_lines.unwrap_or_default(),
                max_bytes: args.max_mib.map_or(default.max_bytes, |mib| mib << 20),
                ..default
            })
        }
        FormatName::Edi => {
            let encoding = args.encoding.as_ref().map(|_| encoding("utf-8")).transpose()?;
            if let Some(message) = encoding.as_ref().and_then(edi::Settings::unfit) {
                return Err(Failure::Usage(message));
            }
            let place = |file: &Path| Place::command_line(&format!("--schema {}", path(file)));
            let schema = args.schema.as_deref().map(|file| (path(file), place(file)));
            Format::Edi(edi::Settings { encoding, schema })
        }
        FormatName::Idoc => {
            let encoding = encoding("utf-8")?;
            if let Some(message) = idoc::Settings::unfit(&encoding) {
                return Err(Failure::Usage(message));
            }
            let place = |file: &Path| Place::command_line(&format!("--segments {}", path(file)));
            let segments = args.segments.as_deref().map(|file| (path(file), place(file)));
            Format::Idoc(idoc::Settings { encoding, segments, form: args.form.unwrap_or_default() })
        }
        FormatName::Cobol => {
            let Some((copybook, more)) = args.copybook.split_first() else {
                return Err(Failure::Usage("cobol needs --copybook FILE".to_owned()));
            };
            let place = Place::command_line(&typed(args, &format!("--copybook {}", path(copybook))));
            Format::Cobol(cobol::Settings {
                more_copybooks: more.iter().map(|copybook| path(copybook)).collect(),
                length_field: args.length_field.clone(),
                frame_header: args.frame_header,
                length_adjust: args.length_adjust.unwrap_or_default(),
                segments: segments(args)?,
                filter: args.filter.clone(),
                source_format: args.source_format.unwrap_or_default(),
                record: args.record.clone(),
                framing: args.framing.unwrap_or_default(),
                rdw_adjust: args.rdw_adjust,
                bdw_adjust: args.bdw_adjust,
                header_bytes: args.header_bytes.unwrap_or_default(),
                footer_bytes: args.footer_bytes.unwrap_or_default(),
                record_prefix: args.record_prefix.unwrap_or_default() as usize,
                record_suffix: args.record_suffix.unwrap_or_default() as usize,
                float: args.float,
                comp5: args.comp5,
                reading: args.cobol.reading(),
                odo: args.odo,
                blank_lines: args.blank_lines.unwrap_or_default(),
                trim: args.trim.unwrap_or_default(),
                ..cobol::Settings::new(path(copybook), encoding("cp037")?, place)
            })
        }
    })
}

/// Refuses `--hex` where values have no bytes of their own.
pub(super) fn refuse_hex(args: &LayoutArgs) -> Result<(), Failure> {
    match args.format.map_or_else(|| format_name(args), Ok) {
        Ok(FormatName::Xml | FormatName::Excel | FormatName::Soap) => {
            Err(Failure::Usage("--hex belongs to --format cobol, csv, edi, fixed-width, idoc or rows".to_owned()))
        }
        _ => Ok(()),
    }
}

/// What the options say of a CSV file.
fn csv_settings(args: &LayoutArgs) -> Result<csv::Settings, Failure> {
    let defaults = csv::Settings::default();
    let name = args.encoding.as_deref().unwrap_or("utf-8");
    let settings = csv::Settings {
        encoding: csv::Charset::find(name)
            .map_err(|unknown| Failure::Usage(format!("{unknown}: {}", unknown.help())))?,
        delimiter: args.delimiter.clone().unwrap_or(defaults.delimiter),
        quote: args.quote.as_deref().map_or(Ok(defaults.quote), csv::Settings::parse_quote).map_err(Failure::Usage)?,
        escape: args.escape.as_deref().map_or(Ok(None), csv::Settings::parse_escape).map_err(Failure::Usage)?,
        line_end: args.line_end.unwrap_or_default(),
        comment: args.comment.as_deref().map_or(Ok(None), csv::Settings::parse_comment).map_err(Failure::Usage)?,
        header: !args.no_header,
        header_rows: args.header_rows.unwrap_or(1),
        columns: args.columns.clone(),
        header_match: args.header_match.unwrap_or_default(),
        repeated_header: args.repeated_header.unwrap_or_default(),
        preamble_lines: args.preamble_lines.unwrap_or_default().into(),
        footer_lines: args.footer_lines.unwrap_or_default().into(),
        ragged: args.ragged.unwrap_or_default(),
        nul: args.nul.unwrap_or_default(),
        // Nothing is read by name here.
        duplicate_columns: defaults.duplicate_columns,
    };
    settings.check().map_err(Failure::Usage)?;
    Ok(settings)
}

/// The options that faults of compiling are about, as they were typed.
fn typed(args: &LayoutArgs, layout: &str) -> String {
    let mut typed = layout.to_owned();
    let mut add = |option: &str, value: &str| {
        typed.push_str(&format!(" --{option} {value}"));
    };
    if let Some(framing) = args.framing {
        add("framing", framing.word());
    }
    if let Some(field) = &args.length_field {
        add("length-field", field);
    }
    if let Some(field) = &args.segment_field {
        add("segment-field", field);
    }
    for (id, record) in &args.segment_map {
        add("segment-map", &format!("{id}={record}"));
    }
    for (parent, children) in &args.segment_children {
        add("segment-children", &format!("{parent}={}", children.join(",")));
    }
    for (field, value) in &args.filter {
        add("filter", &format!("{field}={value}"));
    }
    typed
}

/// How record types are told apart.
fn segments(args: &LayoutArgs) -> Result<Option<cobol::SegmentSettings>, Failure> {
    let usage = |message: &str| Err(Failure::Usage(message.to_owned()));
    match &args.segment_field {
        None if !args.segment_map.is_empty() => usage("--segment-map needs --segment-field FIELD"),
        None if !args.segment_children.is_empty() => usage("--segment-children needs --segment-field FIELD"),
        None if args.segment_unknown.is_some() => usage("--segment-unknown needs --segment-field FIELD"),
        None => Ok(None),
        Some(_) if args.segment_map.is_empty() => usage("--segment-field needs --segment-map ID=RECORD, once for each"),
        Some(field) => Ok(Some(cobol::SegmentSettings {
            field: field.clone(),
            map: args.segment_map.clone(),
            children: args.segment_children.clone(),
            unknown: args.segment_unknown.unwrap_or_default(),
        })),
    }
}

/// The prefixes of paths.
pub(super) fn namespaces(args: &LayoutArgs) -> Result<Vec<(String, String)>, Failure> {
    let pair = |written: &String| {
        let pair = written.split_once('=').map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned()));
        pair.ok_or_else(|| Failure::Usage(format!("--namespace {written}: write it like o=urn:example:orders")))
    };
    args.namespace.iter().map(pair).collect()
}

/// Refuses options of other formats beside those of SOAP.
pub(super) fn foreign_to_soap(args: &LayoutArgs) -> Result<(), Failure> {
    refuse_foreign_options(args, FormatName::Soap)
}

fn xml_of(args: &LayoutArgs) -> Result<xml::Settings, Failure> {
    let Some(record_path) = &args.record_path else {
        return Err(Failure::Usage("xml needs --record-path PATH, like /Orders/Order".to_owned()));
    };
    let mut settings = xml::Settings::new(record_path.clone());
    settings.namespaces = namespaces(args)?;
    settings.arrays.clone_from(&args.array);
    settings.parent.clone_from(&args.parent);
    settings.trim = match args.trim {
        None | Some(Trim::Both) => true,
        Some(Trim::None) => false,
        Some(_) => return Err(Failure::Usage("--trim of xml is both or none".to_owned())),
    };
    if let Some(label) = &args.encoding {
        settings.encoding = Some(xml::Settings::parse_encoding(label).map_err(Failure::Usage)?);
    }
    settings.check().map_err(|(key, message)| Failure::Usage(format!("{}: {message}", option_of(key))))?;
    Ok(settings)
}

/// The option that is called otherwise than its key.
fn option_of(key: &str) -> String {
    match key {
        "namespaces" => "--namespace".to_owned(),
        "arrays" => "--array".to_owned(),
        other => format!("--{}", other.replace('_', "-")),
    }
}
