//! The options of `decode`, and the layout that they describe.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Failure;
use crate::decode::cobol::{self, ByteOrder, FloatFormat, FrameHeader, Framing, Odo};
use crate::decode::copybook::SourceFormat;
use crate::decode::{Blank, CodePage, Format, Place, Trim, csv, fixed_width};

/// The file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatName {
    /// Delimited text.
    Csv,
    /// Text in fixed columns.
    FixedWidth,
    /// Records of a COBOL copybook.
    Cobol,
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

/// Options of `decode`.
#[derive(Args, Clone, Debug)]
pub(crate) struct DecodeArgs {
    /// The file to decode
    pub file: PathBuf,
    /// Format of the file; found out from --copybook or --spec where one is given
    #[arg(long, value_enum)]
    pub format: Option<FormatName>,
    /// Code page, like cp037, cp850, windows-1252 [default: cp037 for cobol, else utf-8]
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<String>,
    /// At which ends of a text blanks are padding [default: both]
    #[arg(long, value_name = "ENDS", value_parser = word(Trim::WORDS))]
    pub trim: Option<Trim>,
    /// Add _offset, _length and _record to every object; with several record types also _segment and a generated _id
    #[arg(long)]
    pub meta: bool,
    /// Add the raw bytes of every field in hex, as NAME_hex
    #[arg(long)]
    pub hex: bool,
    /// Threads that write JSON (cobol and fixed-width)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,

    /// cobol: the copybook; more than once where record types have copybooks of their own
    #[arg(long, value_name = "FILE", help_heading = "cobol")]
    pub copybook: Vec<PathBuf>,
    /// Whether the copybook keeps to columns 8 to 72: auto, fixed, free [default: auto]
    #[arg(long, value_name = "FORM", value_parser = word(SourceFormat::WORDS), help_heading = "cobol")]
    pub source_format: Option<SourceFormat>,
    /// The record (level 01) to decode, where the copybook has several
    #[arg(long, value_name = "NAME", help_heading = "cobol")]
    pub record: Option<String>,
    /// Where a record ends: fixed, line, rdw-be, rdw-le, bdw, header, length-field, odo, or auto: as only one of them
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
    /// Format of COMP-1 and COMP-2: ibm, ieee [default: ibm]
    #[arg(long, value_name = "FORMAT", value_parser = word(FloatFormat::WORDS), help_heading = "cobol")]
    pub float: Option<FloatFormat>,
    /// Byte order of COMP-5: big, little [default: big]
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
    /// Leaves out records that have the field with another value; several values of one field are alternatives
    #[arg(long, value_name = "FIELD=VALUE", value_parser = cobol::Settings::parse_pair,
          help_heading = "several record types")]
    pub filter: Vec<(String, String)>,
    /// What becomes of items called FILLER [default: drop]
    #[arg(long, value_enum, help_heading = "cobol")]
    pub fillers: Option<Fillers>,
    /// What becomes of numbers that are blank: null, zero, reject [default: reject]
    #[arg(long, value_name = "VALUE", value_parser = word(Blank::WORDS), help_heading = "cobol")]
    pub blank: Option<Blank>,

    /// csv: stands between cells [default: ,]
    #[arg(long, value_name = "C", value_parser = csv::Settings::parse_delimiter, help_heading = "csv")]
    pub delimiter: Option<u8>,
    /// Stands around cells; empty when nothing is quoted [default: "]
    #[arg(long, value_name = "C", help_heading = "csv")]
    pub quote: Option<String>,
    /// The first row is a record; columns are called column_1, column_2 and so on
    #[arg(long, help_heading = "csv")]
    pub no_header: bool,

    /// fixed-width: file of lines name,start,length; with several record types name,start,length,record
    #[arg(long, value_name = "FILE", help_heading = "fixed-width")]
    pub spec: Option<PathBuf>,
    /// A line that ends before a field counts as filled up with blanks
    #[arg(long, help_heading = "fixed-width")]
    pub pad: bool,
}

/// A parser for one of a list of words, so that the command line and the mapping know the same ones.
fn word<T: Copy + Send + Sync + 'static>(
    words: &'static [(&'static str, T)],
) -> impl clap::builder::TypedValueParser<Value = T> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    let names = words.iter().map(|(name, _)| *name);
    PossibleValuesParser::new(names).try_map(move |written| {
        let found = words.iter().find(|(name, _)| *name == written);
        found.map(|(_, value)| *value).ok_or("not one of the words")
    })
}

/// What the options say of the layout.
pub(super) fn format_of(args: &DecodeArgs) -> Result<Format, Failure> {
    let name = match (args.format, args.copybook.first(), &args.spec) {
        (Some(name), _, _) => name,
        (None, Some(_), None) => FormatName::Cobol,
        (None, None, Some(_)) => FormatName::FixedWidth,
        _ => {
            let help = "say what the file is: --format csv, --copybook FILE for cobol, --spec FILE for fixed-width";
            return Err(Failure::Usage(help.to_owned()));
        }
    };
    refuse_foreign_options(args, name)?;
    let encoding = |default: &str| {
        CodePage::find(args.encoding.as_deref().unwrap_or(default))
            .map_err(|unknown| Failure::Usage(format!("{unknown}: {}", unknown.help())))
    };
    let path = |path: &Path| path.display().to_string();
    Ok(match name {
        FormatName::Csv => {
            let quote = args.quote.as_deref().map_or(Ok(Some(b'"')), csv::Settings::parse_quote);
            let settings = csv::Settings {
                encoding: encoding("utf-8")?,
                delimiter: args.delimiter.unwrap_or(b','),
                quote: quote.map_err(Failure::Usage)?,
                header: !args.no_header,
                ..csv::Settings::default()
            };
            settings.check().map_err(Failure::Usage)?;
            Format::Csv(settings)
        }
        FormatName::FixedWidth => {
            let Some(spec) = &args.spec else {
                return Err(Failure::Usage(
                    "fixed-width needs --spec FILE, with a line name,start,length a field".into(),
                ));
            };
            let place = Place::command_line(&format!("--spec {}", path(spec)));
            let fields = fixed_width::Fields::Spec { path: path(spec), place };
            let segments = segments(args)?;
            // Columns of record types count bytes; files of one type may have characters of several.
            let is_plain = segments.is_none() && args.filter.is_empty();
            Format::FixedWidth(fixed_width::Settings {
                encoding: encoding(if is_plain { "utf-8" } else { "ascii" })?,
                pad: args.pad,
                segments,
                filter: args.filter.clone(),
                place: Some(Place::command_line(&typed(args, &format!("--spec {}", path(spec))))),
                trim: args.trim.unwrap_or_default(),
                ..fixed_width::Settings::new(fields)
            })
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
                float: args.float.unwrap_or_default(),
                comp5: args.comp5.unwrap_or_default(),
                odo: args.odo,
                trim: args.trim.unwrap_or_default(),
                ..cobol::Settings::new(path(copybook), encoding("cp037")?, place)
            })
        }
    })
}

/// The options that faults of compiling are about, as they were typed.
fn typed(args: &DecodeArgs, layout: &str) -> String {
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
fn segments(args: &DecodeArgs) -> Result<Option<cobol::SegmentSettings>, Failure> {
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

/// An option that the format does not have is a mistake that would otherwise go unseen.
fn refuse_foreign_options(args: &DecodeArgs, name: FormatName) -> Result<(), Failure> {
    use FormatName::{Cobol, Csv, FixedWidth};
    let given: &[(&str, bool, &[FormatName])] = &[
        ("--trim", args.trim.is_some(), &[Cobol, FixedWidth]),
        ("--copybook", !args.copybook.is_empty(), &[Cobol]),
        ("--length-field", args.length_field.is_some(), &[Cobol]),
        ("--frame-header", args.frame_header.is_some(), &[Cobol]),
        ("--length-adjust", args.length_adjust.is_some(), &[Cobol]),
        ("--segment-field", args.segment_field.is_some(), &[Cobol, FixedWidth]),
        ("--segment-map", !args.segment_map.is_empty(), &[Cobol, FixedWidth]),
        ("--segment-children", !args.segment_children.is_empty(), &[Cobol, FixedWidth]),
        ("--segment-unknown", args.segment_unknown.is_some(), &[Cobol, FixedWidth]),
        ("--filter", !args.filter.is_empty(), &[Cobol, FixedWidth]),
        ("--source-format", args.source_format.is_some(), &[Cobol]),
        ("--record", args.record.is_some(), &[Cobol]),
        ("--framing", args.framing.is_some(), &[Cobol]),
        ("--rdw-adjust", args.rdw_adjust.is_some(), &[Cobol]),
        ("--bdw-adjust", args.bdw_adjust.is_some(), &[Cobol]),
        ("--header-bytes", args.header_bytes.is_some(), &[Cobol]),
        ("--footer-bytes", args.footer_bytes.is_some(), &[Cobol]),
        ("--record-prefix", args.record_prefix.is_some(), &[Cobol]),
        ("--record-suffix", args.record_suffix.is_some(), &[Cobol]),
        ("--float", args.float.is_some(), &[Cobol]),
        ("--comp5", args.comp5.is_some(), &[Cobol]),
        ("--odo", args.odo.is_some(), &[Cobol]),
        ("--fillers", args.fillers.is_some(), &[Cobol]),
        ("--blank", args.blank.is_some(), &[Cobol]),
        ("--delimiter", args.delimiter.is_some(), &[Csv]),
        ("--quote", args.quote.is_some(), &[Csv]),
        ("--no-header", args.no_header, &[Csv]),
        ("--spec", args.spec.is_some(), &[FixedWidth]),
        ("--pad", args.pad, &[FixedWidth]),
    ];
    let foreign = given.iter().find(|(_, given, formats)| *given && !formats.contains(&name));
    match foreign {
        Some((option, _, formats)) => {
            let names: Vec<_> = formats.iter().filter_map(|format| format.to_possible_value()).collect();
            let names: Vec<_> = names.iter().map(|name| name.get_name().to_owned()).collect();
            Err(Failure::Usage(format!("{option} belongs to --format {}", names.join(" or "))))
        }
        None => Ok(()),
    }
}
