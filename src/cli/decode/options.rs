//! The options that say what a file's layout is, for `decode` and `encode` alike, and the layout that they describe.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Failure;
use crate::decode::cobol::{self, ByteOrder, FloatFormat, Framing, Odo};
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

/// What the file is.
#[derive(Args, Debug)]
pub(crate) struct LayoutArgs {
    /// Format of the file; found out from --copybook or --spec where one is given
    #[arg(long, value_enum)]
    pub format: Option<FormatName>,
    /// Code page, like cp037, cp850, windows-1252 [default: cp037 for cobol, else utf-8]
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<String>,
    /// At which ends of a text blanks are padding [default: both]
    #[arg(long, value_name = "ENDS", value_parser = word(Trim::WORDS))]
    pub trim: Option<Trim>,

    /// cobol: the copybook
    #[arg(long, value_name = "FILE", help_heading = "cobol")]
    pub copybook: Option<PathBuf>,
    /// Whether the copybook keeps to columns 8 to 72: auto, fixed, free [default: auto]
    #[arg(long, value_name = "FORM", value_parser = word(SourceFormat::WORDS), help_heading = "cobol")]
    pub source_format: Option<SourceFormat>,
    /// The record (level 01) to decode, where the copybook has several
    #[arg(long, value_name = "NAME", help_heading = "cobol")]
    pub record: Option<String>,
    /// Where a record ends: fixed, line, rdw-be, rdw-le, bdw [default: fixed]
    #[arg(long, value_name = "FRAMING", value_parser = word(Framing::WORDS), help_heading = "cobol")]
    pub framing: Option<Framing>,
    /// Added to the length in record descriptor words: -4 where they count themselves [default: found out]
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "cobol")]
    pub rdw_adjust: Option<i64>,
    /// The same for block descriptor words
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "cobol")]
    pub bdw_adjust: Option<i64>,
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
    /// What becomes of items called FILLER [default: drop]
    #[arg(long, value_enum, help_heading = "cobol")]
    pub fillers: Option<Fillers>,
    /// What becomes of numbers that are blank: null, zero, reject [default: reject]
    #[arg(long, value_name = "VALUE", value_parser = word(Blank::WORDS), help_heading = "cobol")]
    pub blank: Option<Blank>,

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
    /// The first row is a record; columns are called column_1, column_2 and so on, or as --columns says
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
    /// Lines at the end of the file that are no records (csv and fixed-width)
    #[arg(long, value_name = "N", help_heading = "csv")]
    pub footer_lines: Option<u32>,
    /// What becomes of rows with another number of cells: reject, pad, truncate [default: reject]
    #[arg(long, value_name = "WHAT", value_parser = word(csv::Ragged::WORDS), help_heading = "csv")]
    pub ragged: Option<csv::Ragged>,
    /// What becomes of NUL characters: reject, strip, replace, keep [default: reject]
    #[arg(long, value_name = "WHAT", value_parser = word(csv::Nul::WORDS), help_heading = "csv")]
    pub nul: Option<csv::Nul>,

    /// fixed-width: file of lines name,start,length, or with a ruler like <--SKU---><-QTY->
    #[arg(long, value_name = "FILE", help_heading = "fixed-width")]
    pub spec: Option<PathBuf>,
    /// Lines at the start of the file that are no records
    #[arg(long, value_name = "N", help_heading = "fixed-width")]
    pub header_lines: Option<u32>,
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
pub(super) fn format_of(args: &LayoutArgs) -> Result<Format, Failure> {
    let name = match (args.format, &args.copybook, &args.spec) {
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
            Format::FixedWidth(fixed_width::Settings {
                encoding: encoding("utf-8")?,
                header_lines: args.header_lines.unwrap_or_default().into(),
                footer_lines: args.footer_lines.unwrap_or_default().into(),
                crlf: args.line_end != Some(csv::LineEnd::Lf),
                pad: args.pad,
                trim: args.trim.unwrap_or_default(),
                ..fixed_width::Settings::new(fields)
            })
        }
        FormatName::Cobol => {
            let Some(copybook) = &args.copybook else {
                return Err(Failure::Usage("cobol needs --copybook FILE".to_owned()));
            };
            let place = Place::command_line(&format!("--copybook {}", path(copybook)));
            Format::Cobol(cobol::Settings {
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

/// An option that the format does not have is a mistake that would otherwise go unseen.
fn refuse_foreign_options(args: &LayoutArgs, name: FormatName) -> Result<(), Failure> {
    use FormatName::{Cobol, Csv, FixedWidth};
    let given: &[(&str, bool, &[FormatName])] = &[
        ("--trim", args.trim.is_some(), &[Cobol, FixedWidth]),
        ("--copybook", args.copybook.is_some(), &[Cobol]),
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
        ("--escape", args.escape.is_some(), &[Csv]),
        ("--line-end", args.line_end.is_some(), &[Csv, FixedWidth]),
        ("--comment", args.comment.is_some(), &[Csv]),
        ("--no-header", args.no_header, &[Csv]),
        ("--header-rows", args.header_rows.is_some(), &[Csv]),
        ("--columns", args.columns.is_some(), &[Csv]),
        ("--header-match", args.header_match.is_some(), &[Csv]),
        ("--repeated-header", args.repeated_header.is_some(), &[Csv]),
        ("--preamble-lines", args.preamble_lines.is_some(), &[Csv]),
        ("--footer-lines", args.footer_lines.is_some(), &[Csv, FixedWidth]),
        ("--header-lines", args.header_lines.is_some(), &[FixedWidth]),
        ("--ragged", args.ragged.is_some(), &[Csv]),
        ("--nul", args.nul.is_some(), &[Csv]),
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
