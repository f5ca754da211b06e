//! `encode FILE`: the twin of `decode`. JSON, one object a line, becomes the file that the layout describes.
//!
//! A record that the layout cannot hold is told on stderr with its line and the JSON pointer of the value, and the others
//! are written. Lines are read one at a time, so memory does not follow the file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;

use super::decode::{Failure, FormatName, LayoutArgs, PIECE, decoder_of, exit_code, progress};
use super::json_line::Line;
use super::output::Told;
use crate::decode::{EncodeFault, Json};
use crate::record::RejectCode;

/// Options of `encode`.
#[derive(Args, Debug)]
pub(super) struct EncodeArgs {
    /// The records as JSON, one object a line; - for stdin
    pub file: PathBuf,
    /// Write here and not to stdout; the file appears when it is whole
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub layout: LayoutArgs,
}

/// Runs the command. 0: all records written; 1: some could not be; 2: the options, the layout or the file will not do.
pub(super) fn run(args: &EncodeArgs) -> ExitCode {
    exit_code(encode(args))
}

fn encode(args: &EncodeArgs) -> Result<u64, Failure> {
    let decoder = decoder_of(&args.layout)?;
    let Some(mut encoder) = decoder.encoder() else {
        return Err(Failure::Usage(only_read(&args.layout).to_owned()));
    };
    let mut head = Vec::new();
    encoder.begin(&mut head).map_err(|EncodeFault { expected, found, .. }| {
        Failure::Usage(format!("the layout says too little to be written: expected {expected}, found {found}"))
    })?;
    let (mut input, size) = open(&args.file)?;
    let mut output = Output::open(args.output.as_deref(), size)?;
    output.buffer.extend(head);
    let mut line = Line::default();
    let (mut number, mut read) = (0u64, 0u64);
    let read_error = |source| Failure::Read { path: args.file.clone(), source };
    loop {
        let length = line.next(&mut input).map_err(read_error)?;
        if length == 0 {
            break;
        }
        number += 1;
        read += length;
        let text = match line.text(number == 1) {
            Ok(text) if text.trim_ascii().is_empty() => continue,
            Ok(text) => text,
            Err(found) => {
                output.fault(number, &not_json(found))?;
                continue;
            }
        };
        let written = match Json::parse(text) {
            Ok(record) => encoder.record(&record, &mut output.buffer),
            Err(fault) => Err(not_json(fault.to_string())),
        };
        match written {
            Ok(()) => output.flush_if_large(read)?,
            Err(fault) => output.fault(number, &fault)?,
        }
    }
    let start = output.buffer.len();
    if let Err(fault) = encoder.finish(&mut output.buffer) {
        output.buffer.truncate(start);
        output.fault(number, &fault)?;
    }
    output.finish()
}

/// Why nothing can be written in a layout.
fn only_read(layout: &LayoutArgs) -> &'static str {
    match layout.format {
        Some(FormatName::Excel) => {
            "workbooks are only read; write --format csv, which every program opens that opens workbooks"
        }
        Some(FormatName::Soap) => "answers of SOAP services are only read",
        Some(FormatName::Rows) => "rows of a database are only read; `[operations]` of a mapping write to one",
        _ => "framing `auto` finds out how a file is framed: say with --framing how it is to be written",
    }
}

fn not_json(found: String) -> EncodeFault {
    EncodeFault { pointer: String::new(), expected: "a JSON object on one line".to_owned(), found }
}

/// The input, and its size where it has one.
fn open(path: &Path) -> Result<(Box<dyn BufRead>, u64), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::with_capacity(PIECE, io::stdin())), 0));
    }
    let read_error = |source| Failure::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read_error)?;
    let metadata = file.metadata().map_err(read_error)?;
    if metadata.is_dir() {
        return Err(read_error(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    Ok((Box::new(BufReader::with_capacity(PIECE, file)), metadata.len()))
}

/// Where the records go.
struct Output {
    target: Box<dyn Write>,
    /// A file that is being written, and what it will be called.
    renamed: Option<(PathBuf, PathBuf)>,
    buffer: Vec<u8>,
    faults: u64,
    progress: Option<ProgressBar>,
    told: Told,
}

impl Output {
    fn open(path: Option<&Path>, size: u64) -> Result<Output, Failure> {
        let renamed = path.map(|path| {
            let mut name = path.as_os_str().to_owned();
            name.push(".part");
            (PathBuf::from(name), path.to_owned())
        });
        let target: Box<dyn Write> = match &renamed {
            None => Box::new(io::stdout().lock()),
            Some((part, _)) => Box::new(File::create(part).map_err(Failure::Write)?),
        };
        let progress = progress(size).filter(|_| size > 0);
        Ok(Output {
            target,
            renamed,
            buffer: Vec::with_capacity(2 * PIECE),
            faults: 0,
            progress,
            told: Told::default(),
        })
    }

    fn flush_if_large(&mut self, read: u64) -> Result<(), Failure> {
        if self.buffer.len() < PIECE {
            return Ok(());
        }
        if let Some(progress) = &self.progress {
            progress.set_position(read);
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.target.write_all(&self.buffer).map_err(Failure::Write)?;
        self.buffer.clear();
        Ok(())
    }

    fn fault(&mut self, line: u64, fault: &EncodeFault) -> Result<(), Failure> {
        self.faults += 1;
        let code = RejectCode::BadType.as_str();
        let EncodeFault { pointer, expected, found } = fault;
        let told =
            json!({ "code": code, "line": line, "pointer": pointer, "expected": expected, "found": found }).to_string();
        let tell = || self.told.push((told + "\n").as_bytes()).map_err(Failure::Write);
        match &self.progress {
            Some(progress) => progress.suspend(tell),
            None => tell(),
        }
    }

    fn finish(mut self) -> Result<u64, Failure> {
        self.flush()?;
        self.target.flush().map_err(Failure::Write)?;
        if let Some((part, path)) = &self.renamed {
            std::fs::rename(part, path).map_err(Failure::Write)?;
        }
        if let Some(progress) = &self.progress {
            progress.finish_and_clear();
        }
        self.told.flush().map_err(Failure::Write)?;
        Ok(self.faults)
    }
}
