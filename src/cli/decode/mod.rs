//! `decode FILE`: what a layout says of a file, without any mapping. One JSON object a record on stdout, one a reject on
//! stderr.
//!
//! The command is for finding out whether a layout fits a file before anything is built on it, so it reports every bad
//! record and goes on. It writes in large pieces and ends quietly when nobody reads any more.

mod cobol_options;
mod foreign;
mod input;
mod options;
mod soap_options;
mod threads;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::output;
use crate::decode::cobol::Unknown;
use crate::decode::csv;
use crate::decode::{BlankLines, Decoder, Format, Item, JsonOptions, LARGE, Reader, Resume, StreamFault, Unwritten};
use crate::diagnostic::{Faults, SourceText, text_of};
use crate::record::Reject;
pub(super) use input::Input;
use options::{compression_of, format_of, refuse_hex};
use soap_options::SoapOptions;

pub(crate) use options::{Fillers, FormatName, LayoutArgs};

/// Output is written in pieces of about this many bytes.
pub(super) const PIECE: usize = 256 << 10;

/// Options of `decode`.
#[derive(Args, Debug)]
pub(crate) struct DecodeArgs {
    /// The file to decode; - is the standard input
    pub file: PathBuf,
    #[command(flatten)]
    pub layout: LayoutArgs,
    #[command(flatten)]
    pub soap: SoapOptions,
    /// Add _offset, _length and _record to every object; with several record types also _segment and a generated _id
    #[arg(long)]
    pub meta: bool,
    /// Add the raw bytes of every field in hex, as NAME_hex
    #[arg(long)]
    pub hex: bool,
    /// Threads that write JSON
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
}

/// Why `decode` or `encode` could not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
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

/// Runs the command. 0: all records decoded; 1: some were rejected; 2: the options, the layout or the file will not do, as
/// an empty one does not.
pub(crate) fn run(args: &DecodeArgs) -> ExitCode {
    exit_code(decode(args))
}

/// The exit code of a command that answers how many records it could not do.
pub(super) fn exit_code(answer: Result<u64, Failure>) -> ExitCode {
    match answer {
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
    let soap = args.soap.decoder(&args.layout)?;
    let is_soap = soap.is_some();
    if args.hex && soap.is_some() {
        return Err(Failure::Usage("--hex is not for --format soap".to_owned()));
    }
    if args.hex {
        refuse_hex(&args.layout)?;
    }
    let decoder = match soap {
        Some(decoder) => decoder,
        None => decoder_of(&args.layout)?,
    };
    let read_error = |source| Failure::Read { path: args.file.clone(), source };
    let (file, size) = Input::open(&args.file).map_err(read_error)?;
    let file = not_empty(&decoder, file, &args.file)?;
    let file = if is_soap { soap_options::whole(file, &args.file)? } else { file };
    let (decoder, file) = settle(decoder, file, &args.file)?;
    let mut reader = decoder.reader(file, Resume::default()).map_err(|fault| unfit(fault, &args.file))?;
    let options = JsonOptions {
        fillers: args.layout.fillers == Some(Fillers::Keep),
        blank: args.layout.blank.unwrap_or_default(),
        meta: args.meta,
        hex: args.hex,
    };
    let mut output = Output::new(size);
    output.counted = reader.resume_point();
    match decoder.detached(&reader) {
        Some(detached) if args.threads > 1 => {
            threads::decode(&mut reader, &detached, &options, usize::from(args.threads), &mut output)?;
        }
        _ => decode_here(&mut reader, &decoder, &options, &mut output)?,
    }
    let left_out = reader.left_out();
    let rejected = output.finish()?;
    if let Some(answer) = reader.answer() {
        soap_options::tell(answer);
    }
    if left_out > 0 {
        let rules = [
            ("--filter", !args.layout.filter.is_empty()),
            ("--segment-unknown skip", args.layout.segment_unknown == Some(Unknown::Skip)),
            ("--comment", args.layout.comment.is_some()),
            ("--repeated-header skip", args.layout.repeated_header == Some(csv::RepeatedHeader::Skip)),
            ("--blank-lines skip", args.layout.blank_lines == Some(BlankLines::Skip)),
        ];
        let by: Vec<_> = rules.iter().filter(|(_, given)| *given).map(|(rule, _)| *rule).collect();
        output::note(match by.as_slice() {
            // Those of delimited text are no records without being asked.
            [] if left_out == 1 => "1 blank line was left out".to_owned(),
            [] => format!("{left_out} blank lines were left out"),
            by => format!("{left_out} records were left out by {}", by.join(" and ")),
        });
    }
    match reader.marks_within() {
        0 => {}
        1 => output::note("1 byte order mark within the file was passed over: two files were put together there"),
        marks => output::note(format!(
            "{marks} byte order marks within the file were passed over: files were put together there"
        )),
    }
    Ok(rejected)
}

/// Refuses a file without a byte, in every format alike: whether there was nothing to send or all of it was lost nobody can
/// tell.
fn not_empty(decoder: &Decoder, mut file: Input, path: &Path) -> Result<Input, Failure> {
    match decoder.is_empty(&mut file) {
        Ok(false) => Ok(file),
        Ok(true) => Err(Failure::Unfit { path: path.to_owned(), message: "the file is empty".to_owned() }),
        Err(fault) => Err(unfit(fault, path)),
    }
}

fn unfit(fault: StreamFault, path: &Path) -> Failure {
    match fault {
        StreamFault::Io(source) => Failure::Read { path: path.to_owned(), source },
        StreamFault::Layout { message, .. } => Failure::Unfit { path: path.to_owned(), message },
    }
}

/// Finds out the framing where the options leave it open, and tells what speaks for it.
fn settle(decoder: Decoder, mut file: Input, path: &Path) -> Result<(Decoder, Input), Failure> {
    let unfit = |fault| unfit(fault, path);
    let Some(evidence) = decoder.evidence(&mut file).map_err(unfit)? else { return Ok((decoder, file)) };
    let settled = decoder.settled(&evidence).map_err(unfit)?;
    file.check_start().map_err(|source| Failure::Read { path: path.to_owned(), source })?;
    output::note(evidence.verdict());
    Ok((settled, file))
}

fn decode_here(
    reader: &mut Reader<Input>,
    decoder: &Decoder,
    options: &JsonOptions,
    output: &mut Output,
) -> Result<(), Failure> {
    loop {
        match reader.next() {
            Ok(None) => return Ok(()),
            Ok(Some(Item::Skipped)) => {}
            Ok(Some(Item::Reject(reject))) => output.reject(&reject)?,
            Ok(Some(Item::Record(record))) if record.raw.len() > LARGE => {
                output.flush()?;
                let written = decoder.write_pieces(&record, options, &mut to_stdout);
                output.written_large(written)?;
            }
            Ok(Some(Item::Record(record))) => {
                match decoder.write_json(&record, options, &mut output.buffer) {
                    Ok(()) => output.buffer.push(b'\n'),
                    Err(reject) => output.reject(&reject)?,
                }
                if output.is_large() {
                    output.flush_large(reader.consumed())?;
                }
            }
            Err(fault) => return output.lost(&fault),
        }
    }
}

/// Past the line buffer of the standard handle, which would look for line ends.
fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    io::stdout().lock().write_all(bytes)
}

/// Where results go.
struct Output {
    buffer: Vec<u8>,
    rejected: u64,
    /// Records and lines of what the threads have done.
    counted: Resume,
    progress: Option<ProgressBar>,
    told: output::Told,
}

impl Output {
    fn new(size: u64) -> Output {
        Output {
            buffer: Vec::with_capacity(2 * PIECE),
            rejected: 0,
            counted: Resume::default(),
            progress: progress(size),
            told: output::Told::default(),
        }
    }

    fn is_large(&self) -> bool {
        self.buffer.len() >= PIECE
    }

    fn flush_large(&mut self, read_to: u64) -> Result<(), Failure> {
        if let Some(progress) = &self.progress {
            progress.set_position(read_to);
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.write(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        to_stdout(bytes).map_err(Failure::Write)
    }

    /// What became of a record that was written in pieces.
    fn written_large(&mut self, written: Result<(), Unwritten>) -> Result<(), Failure> {
        match written {
            Ok(()) => self.write(b"\n"),
            Err(Unwritten::Output(error)) => Err(Failure::Write(error)),
            Err(Unwritten::Rejected(reject)) => self.reject(&reject),
        }
    }

    fn reject(&mut self, reject: &Reject) -> Result<(), Failure> {
        self.rejected += 1;
        self.tell(&output::reject(reject))
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
        let text = format!("{line}\n");
        let mut tell = || self.told.push(text.as_bytes()).map_err(Failure::Write);
        match &self.progress {
            Some(progress) => progress.suspend(tell),
            None => tell(),
        }
    }

    fn finish(mut self) -> Result<u64, Failure> {
        self.flush()?;
        io::stdout().flush().map_err(Failure::Write)?;
        self.told.flush().map_err(Failure::Write)?;
        if let Some(progress) = &self.progress {
            progress.finish_and_clear();
        }
        Ok(self.rejected)
    }
}

/// A bar on the terminal, for work on so many bytes. Between the lines of the result it would help nobody.
pub(super) fn progress(size: u64) -> Option<ProgressBar> {
    let wanted = io::stderr().is_terminal() && !io::stdout().is_terminal();
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}");
    wanted.then(|| ProgressBar::new(size).with_style(style.unwrap_or(ProgressStyle::default_bar())))
}

/// The layout that the options describe, compiled.
pub(super) fn decoder_of(args: &LayoutArgs) -> Result<Decoder, Failure> {
    let decoder = compile(&format_of(args)?)?.with_compression(compression_of(args)?);
    let records = decoder.records();
    if records.len() > 1 {
        let records = records.join(", ");
        let message = format!(
            "the copybook has several records: choose one with --record ({records}), or tell them apart by --segment-field"
        );
        return Err(Failure::Usage(message));
    }
    Ok(decoder)
}

/// The same, however many records the copybook has; else what is wrong with the options, as it is to be printed.
pub(super) fn layout(args: &LayoutArgs) -> Result<Decoder, String> {
    let packed = || Ok(compile(&format_of(args)?)?.with_compression(compression_of(args)?));
    packed().map_err(|failure: Failure| failure.to_string())
}

/// Reads the files that the layout needs and compiles it.
fn compile(format: &Format) -> Result<Decoder, Failure> {
    let texts = RefCell::new(HashMap::new());
    for path in format.texts() {
        let bytes = std::fs::read(&path).map_err(|source| Failure::Read { path: PathBuf::from(&path), source })?;
        texts.borrow_mut().insert(path.clone(), Some(SourceText::new(Path::new(&path), text_of(bytes))));
    }
    let faults = Faults::new();
    match format.compile(&|path| text_at(path, &texts), &faults) {
        Some(decoder) => Ok(decoder),
        None => {
            let color = io::stderr().is_terminal();
            let rendered: Vec<_> = faults.into_sorted().iter().map(|fault| fault.render(color)).collect();
            Err(Failure::Layout(rendered.join("\n\n")))
        }
    }
}

/// A text that compiling asks for, read once: the copybook, or what it copies.
pub(super) fn text_at(path: &str, read: &RefCell<HashMap<String, Option<Arc<SourceText>>>>) -> Option<Arc<SourceText>> {
    if let Some(known) = read.borrow().get(path) {
        return known.clone();
    }
    let file = Path::new(path);
    let bytes = if file.is_file() { std::fs::read(file).ok() } else { None };
    let text = bytes.map(|bytes| SourceText::new(file, text_of(bytes)));
    read.borrow_mut().insert(path.to_owned(), text.clone());
    text
}
