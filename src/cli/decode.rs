//! `decode FILE`: what a layout says of a file, without any mapping. One JSON object a record on stdout, one a reject on
//! stderr.
//!
//! The command is for finding out whether a layout fits a file before anything is built on it, so it reports every bad
//! record and goes on. It writes in large pieces and ends quietly when nobody reads any more.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::decode::cobol::{self, ByteOrder, FloatFormat, Framing, Odo};
use crate::decode::copybook::SourceFormat;
use crate::decode::{
    Blank, CodePage, Decoder, Detached, Format, Item, JsonOptions, Place, Reader, Resume, StreamFault, Trim, csv,
    fixed_width,
};
use crate::diagnostic::{Faults, SourceText};
use crate::record::{Position, Reject};

/// Output is written in pieces of about this many bytes.
const PIECE: usize = 256 << 10;

/// The file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatName {
    /// Delimited text.
    Csv,
    /// Text in fixed columns.
    FixedWidth,
    /// Records of a COBOL copybook.
    Cobol,
}

/// Whether items without a name are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Fillers {
    /// They are left out.
    #[default]
    Drop,
    /// They are written as FILLER_1, FILLER_2 and so on.
    Keep,
}

/// Options of `decode`.
#[derive(Args, Debug)]
pub(super) struct DecodeArgs {
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
    /// Add _offset, _length and _record to every object
    #[arg(long)]
    pub meta: bool,
    /// Add the raw bytes of every field in hex, as NAME_hex
    #[arg(long)]
    pub hex: bool,
    /// Threads that write JSON (cobol and fixed-width)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,

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
    pub delimiter: Option<u8>,
    /// Stands around cells; empty when nothing is quoted [default: "]
    #[arg(long, value_name = "C", help_heading = "csv")]
    pub quote: Option<String>,
    /// The first row is a record; columns are called column_1, column_2 and so on
    #[arg(long, help_heading = "csv")]
    pub no_header: bool,

    /// fixed-width: file of lines name,start,length
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

/// Why the command could not do its work.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Usage(String),
    /// Faults of the layout, already rendered.
    #[error("{0}")]
    Layout(String),
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: {message}")]
    Unfit { path: PathBuf, message: String },
    #[error("cannot write the output: {0}")]
    Write(io::Error),
}

/// Runs the command. 0: all records decoded; 1: some were rejected; 2: the options, the layout or the file will not do.
pub(super) fn run(args: &DecodeArgs) -> ExitCode {
    match decode(args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        // Nobody reads any more: that is their choice and no failure.
        Err(Failure::Write(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::from(2)
        }
    }
}

fn decode(args: &DecodeArgs) -> Result<u64, Failure> {
    let format = format_of(args)?;
    let decoder = compile(&format)?;
    let records = decoder.records();
    if records.len() > 1 {
        let message = format!("the copybook has several records: choose one with --record ({})", records.join(", "));
        return Err(Failure::Usage(message));
    }
    let read_error = |source| Failure::Read { path: args.file.clone(), source };
    let file = File::open(&args.file).map_err(read_error)?;
    let metadata = file.metadata().map_err(read_error)?;
    if metadata.is_dir() {
        return Err(read_error(io::Error::from(ErrorKind::IsADirectory)));
    }
    let mut reader = decoder.reader(file, Resume::default()).map_err(|fault| match fault {
        StreamFault::Io(source) => read_error(source),
        StreamFault::Layout { message, .. } => Failure::Unfit { path: args.file.clone(), message },
    })?;
    let options = JsonOptions {
        fillers: args.fillers == Some(Fillers::Keep),
        blank: args.blank.unwrap_or_default(),
        meta: args.meta,
        hex: args.hex,
    };
    let mut output = Output::new(metadata.len());
    match decoder.detached() {
        Some(detached) if args.threads > 1 => {
            decode_on_threads(&mut reader, detached, &options, usize::from(args.threads), &mut output)?;
        }
        _ => decode_here(&mut reader, &decoder, &options, &mut output)?,
    }
    output.finish()
}

fn decode_here(
    reader: &mut Reader<File>,
    decoder: &Decoder,
    options: &JsonOptions,
    output: &mut Output,
) -> Result<(), Failure> {
    loop {
        match reader.next() {
            Ok(None) => return Ok(()),
            Ok(Some(Item::Skipped)) => {}
            Ok(Some(Item::Reject(reject))) => output.reject(&reject)?,
            Ok(Some(Item::Record(record))) => {
                match decoder.write_json(&record, options, &mut output.buffer) {
                    Ok(()) => output.buffer.push(b'\n'),
                    Err(reject) => output.reject(&reject)?,
                }
                let read_to = record.position.offset;
                output.flush_if_large(read_to)?;
            }
            Err(fault) => return output.lost(&fault),
        }
    }
}

/// Records on their way to a thread: their bytes one after another, and where each one lies in them.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    records: Vec<(usize, Position)>,
    rejects: Vec<Reject>,
}

/// What a thread made of a batch.
#[derive(Default)]
struct Done {
    json: Vec<u8>,
    rejects: Vec<Reject>,
    read_to: u64,
}

/// Batches go round the threads in turn and come back in the same turn, so the output is in the order of the file. Every
/// thread has at most two batches before it, which bounds memory.
fn decode_on_threads(
    reader: &mut Reader<File>,
    detached: Detached<'_>,
    options: &JsonOptions,
    threads: usize,
    output: &mut Output,
) -> Result<(), Failure> {
    std::thread::scope(|scope| {
        let mut workers: Vec<(SyncSender<Batch>, Receiver<Done>)> = Vec::new();
        for _ in 0..threads {
            let (batches, inbox) = sync_channel::<Batch>(2);
            let (outbox, done) = sync_channel::<Done>(2);
            scope.spawn(move || {
                for batch in inbox {
                    if outbox.send(write_batch(batch, detached, options)).is_err() {
                        return;
                    }
                }
            });
            workers.push((batches, done));
        }
        let (mut sent, mut received) = (0usize, 0usize);
        let mut lost = None;
        loop {
            let batch = read_batch(reader, &mut lost);
            let is_last = batch.records.is_empty() && batch.rejects.is_empty();
            while received < sent && (is_last || sent - received >= 2 * threads) {
                let done = workers.get(received % threads).and_then(|(_, done)| done.recv().ok());
                output.done(done.unwrap_or_default())?;
                received += 1;
            }
            if is_last {
                break;
            }
            if let Some((batches, _)) = workers.get(sent % threads) {
                // A thread only ends when its sender is gone.
                let _ = batches.send(batch);
            }
            sent += 1;
        }
        lost.map_or(Ok(()), |fault| output.lost(&fault))
    })
}

fn read_batch(reader: &mut Reader<File>, lost: &mut Option<StreamFault>) -> Batch {
    let mut batch = Batch { bytes: Vec::with_capacity(PIECE), ..Batch::default() };
    while batch.bytes.len() < PIECE && batch.rejects.len() < 100 && lost.is_none() {
        match reader.next() {
            Ok(None) => break,
            Ok(Some(Item::Skipped)) => {}
            Ok(Some(Item::Reject(reject))) => batch.rejects.push(reject),
            Ok(Some(Item::Record(record))) => {
                batch.bytes.extend_from_slice(record.raw);
                batch.records.push((batch.bytes.len(), record.position));
            }
            Err(fault) => *lost = Some(fault),
        }
    }
    batch
}

fn write_batch(batch: Batch, detached: Detached<'_>, options: &JsonOptions) -> Done {
    let mut done = Done { json: Vec::with_capacity(4 * batch.bytes.len()), rejects: batch.rejects, read_to: 0 };
    let mut start = 0;
    for (end, position) in batch.records {
        let raw = batch.bytes.get(start..end).unwrap_or_default();
        match detached.write_json(raw, position, options, &mut done.json) {
            Ok(()) => done.json.push(b'\n'),
            Err(reject) => done.rejects.push(reject),
        }
        (start, done.read_to) = (end, position.offset);
    }
    done.rejects.sort_by_key(|reject| reject.position.record);
    done
}

/// Where results go.
struct Output {
    buffer: Vec<u8>,
    rejected: u64,
    progress: Option<ProgressBar>,
}

impl Output {
    fn new(size: u64) -> Output {
        // A bar between the lines of the result would help nobody.
        let wanted = io::stderr().is_terminal() && !io::stdout().is_terminal();
        let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}");
        let progress = wanted.then(|| ProgressBar::new(size).with_style(style.unwrap_or(ProgressStyle::default_bar())));
        Output { buffer: Vec::with_capacity(2 * PIECE), rejected: 0, progress }
    }

    fn flush_if_large(&mut self, read_to: u64) -> Result<(), Failure> {
        if self.buffer.len() < PIECE {
            return Ok(());
        }
        if let Some(progress) = &self.progress {
            progress.set_position(read_to);
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Failure> {
        // Past the line buffer of the standard handle, which would look for line ends.
        io::stdout().lock().write_all(&self.buffer).map_err(Failure::Write)?;
        self.buffer.clear();
        Ok(())
    }

    fn done(&mut self, done: Done) -> Result<(), Failure> {
        self.buffer.extend_from_slice(&done.json);
        for reject in &done.rejects {
            self.reject(reject)?;
        }
        self.flush_if_large(done.read_to)
    }

    fn reject(&mut self, reject: &Reject) -> Result<(), Failure> {
        self.rejected += 1;
        self.tell(&reject_json(reject))
    }

    /// The stream is lost: told like a reject, because what came before it stands.
    fn lost(&mut self, fault: &StreamFault) -> Result<(), Failure> {
        self.rejected += 1;
        match fault {
            StreamFault::Io(error) => self.tell(&json!({ "code": "file.unreadable", "message": error.to_string() })),
            StreamFault::Layout { code, message, offset, line } => {
                self.tell(&json!({ "code": code.as_str(), "message": message, "offset": offset, "line": line }))
            }
        }
    }

    fn tell(&mut self, line: &serde_json::Value) -> Result<(), Failure> {
        let tell = || writeln!(io::stderr(), "{line}").map_err(Failure::Write);
        match &self.progress {
            Some(progress) => progress.suspend(tell),
            None => tell(),
        }
    }

    fn finish(mut self) -> Result<u64, Failure> {
        self.flush()?;
        io::stdout().flush().map_err(Failure::Write)?;
        if let Some(progress) = &self.progress {
            progress.finish_and_clear();
        }
        Ok(self.rejected)
    }
}

/// A reject as commands print it.
pub(super) fn reject_json(reject: &Reject) -> serde_json::Value {
    let Position { record, offset, length, line } = reject.position;
    let raw: String = reject.raw.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "code": reject.code.as_str(),
        "record": record,
        "offset": offset,
        "length": length,
        "line": line,
        "field": reject.field,
        "field_offset": reject.field_span.map(|(offset, _)| offset),
        "field_length": reject.field_span.map(|(_, length)| length),
        "expected": reject.expected,
        "found": reject.found,
        "raw": raw,
    })
}

/// What the options say of the layout.
fn format_of(args: &DecodeArgs) -> Result<Format, Failure> {
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
            Format::FixedWidth(fixed_width::Settings {
                encoding: encoding("utf-8")?,
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

/// An option that the format does not have is a mistake that would otherwise go unseen.
fn refuse_foreign_options(args: &DecodeArgs, name: FormatName) -> Result<(), Failure> {
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

/// Reads the files that the layout needs and compiles it.
fn compile(format: &Format) -> Result<Decoder, Failure> {
    let mut texts = Vec::new();
    for path in format.texts() {
        let bytes = std::fs::read(&path).map_err(|source| Failure::Read { path: PathBuf::from(&path), source })?;
        texts.push((path.clone(), SourceText::new(Path::new(&path), text_of(bytes))));
    }
    let faults = Faults::new();
    let found = |wanted: &str| texts.iter().find(|(path, _)| path == wanted).map(|(_, text)| Arc::clone(text));
    match format.compile(&found, &faults) {
        Some(decoder) => Ok(decoder),
        None => {
            let color = io::stderr().is_terminal();
            let rendered: Vec<_> = faults.into_sorted().iter().map(|fault| fault.render(color)).collect();
            Err(Failure::Layout(rendered.join("\n\n")))
        }
    }
}

/// The text of a copybook or field list: UTF-8, or else ISO 8859-1, in which every byte is a character (old comments).
pub(super) fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect())
}
