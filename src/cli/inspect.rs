//! `inspect COPYBOOK`: the layout as the decoder sees it, to hold against the data before anything is mapped. Of any
//! other file, what it looks like (`data_file`), and of a WSDL its operations (`wsdl`).
//! `inspect --backend B` is `database`.
//! `inspect FILE --copybook F`: which framing explains a data file, and what speaks for and against each.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::data_file;
use super::decode::{Input, LayoutArgs, layout, text_at};
use super::output;
use super::wsdl::{self, WsdlArgs};
use crate::decode::{CodePage, Compression, Decoder, Format, Item, LayoutRow, Place, Resume, StreamFault, cobol, rows};
use crate::diagnostic::{Faults, SourceText, text_of};
use crate::record::{Scope, Slot};

/// No copybook is larger.
const MAX_COPYBOOK: u64 = 64 << 20;
/// How far into a WSDL its outermost element may reach.
const WSDL_START: u64 = 8 << 10;

/// Options of `inspect`.
#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    /// A copybook, a WSDL (or its URL), or a file of data, - for the standard input; with --copybook its framing is found out. The other options are those of decode
    #[arg(required_unless_present = "backend")]
    pub file: Option<PathBuf>,
    /// Show the tables of a database of the configuration instead
    #[arg(long, value_name = "BACKEND", conflicts_with = "file")]
    pub backend: Option<String>,
    /// With --backend: the columns, keys and indexes of this table, and how it can be kept up to date
    #[arg(long, value_name = "TABLE", requires = "backend")]
    pub table: Option<String>,
    #[command(flatten)]
    pub layout: LayoutArgs,
    #[command(flatten)]
    pub wsdl: WsdlArgs,
}

impl InspectArgs {
    /// The file; there is one unless a backend is looked at.
    fn path(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new(""))
    }
}

/// Runs the command. 0: shown; 1: no framing explains the data file, or more than one; 2: the copybook has faults, or
/// something cannot be read.
pub(super) fn run(args: &InspectArgs, json: bool) -> ExitCode {
    if !args.layout.copybook.is_empty() {
        return match evidence(args) {
            Ok((evidence, filled)) => show(&evidence, &filled, json),
            Err(message) => {
                output::note(message);
                ExitCode::from(2)
            }
        };
    }
    let path = args.path();
    let (mut input, size) = match Input::open(path) {
        Ok(opened) => opened,
        Err(error) => {
            output::note(format!("cannot read {}: {error}", path.display()));
            return ExitCode::from(2);
        }
    };
    let mut start = Vec::new();
    let looked = input.by_ref().take(WSDL_START).read_to_end(&mut start).and_then(|_| input.rewind());
    if looked.is_ok() && wsdl::is_wsdl(path, &start) {
        return wsdl::run(path, &args.wsdl, json);
    }
    match data_file::look(path, &mut input, size, args.layout.max_mib) {
        Ok(Some((_, report))) if report.kind == "rows" => {
            let columns = rows::columns(&mut input).map_err(|fault| match fault {
                StreamFault::Io(error) => format!("cannot read {}: {error}", path.display()),
                StreamFault::Layout { message, .. } => format!("{}: {message}", path.display()),
            });
            return match columns {
                Ok(columns) => {
                    let rows = rows::describe(&columns);
                    let text = if json { as_json(&rows) } else { as_table(&rows) };
                    let _ = io::stdout().lock().write_all(text.as_bytes());
                    ExitCode::SUCCESS
                }
                Err(message) => {
                    output::note(message);
                    ExitCode::from(2)
                }
            };
        }
        Ok(Some((size, report))) => {
            let text = if json { data_file::as_json(&report) } else { data_file::as_text(path, size, &report) };
            let _ = io::stdout().lock().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Ok(None) => {}
        Err(message) => {
            output::note(message);
            return ExitCode::from(2);
        }
    }
    let rows = match layout_rows(args, input) {
        Ok(rows) => rows,
        Err(message) => {
            let _ = writeln!(io::stderr(), "{message}");
            return ExitCode::from(2);
        }
    };
    let text = if json { as_json(&rows) } else { as_table(&rows) };
    // A reader that went away has seen enough.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// What speaks for each framing of the data file; and by the one that explains it, what [`filled`] finds.
fn evidence(args: &InspectArgs) -> Result<(cobol::Evidence, Vec<Filled>), String> {
    let open = LayoutArgs { framing: Some(cobol::Framing::Auto), ..args.layout.clone() };
    let decoder = layout(&open)?;
    let path = args.path().display();
    let (mut file, _) = Input::open(args.path()).map_err(|error| format!("cannot read {path}: {error}"))?;
    let told = |fault| match fault {
        StreamFault::Io(error) => format!("cannot read {path}: {error}"),
        StreamFault::Layout { message, .. } => format!("{path}: {message}"),
    };
    let found = decoder.evidence(&mut file).map_err(told)?;
    let evidence = found.ok_or_else(|| "the framing of this format is not open".to_owned())?;
    let filled = match evidence.chosen {
        Some(_) => decoder.settled(&evidence).and_then(|decoder| filled(&decoder, &mut file)).map_err(told)?,
        None => Vec::new(),
    };
    Ok((evidence, filled))
}

/// A number whose bytes are blanks in some records, where blanks can be the bytes of a number.
struct Filled {
    field: String,
    records: u64,
    /// Records that were looked at.
    sample: u64,
}

/// Finds such numbers in the first records. Nobody means 1077952576 by blanks, but nothing rejects them before a mapping
/// says so. Those in tables are not looked at.
fn filled(decoder: &Decoder, file: &mut Input) -> Result<Vec<Filled>, StreamFault> {
    const SAMPLE: u64 = 1000;
    let layout = decoder.layout();
    let mut counted: Vec<(String, Slot, u64)> = Vec::new();
    for name in layout.names() {
        if let Ok(found) = layout.resolve(None, &name)
            && !found.repeats
        {
            counted.push((name, found.slot, 0));
        }
    }
    let mut reader = decoder.reader(file, Resume::default())?;
    let mut sample = 0;
    while sample < SAMPLE
        && let Some(item) = reader.next()?
    {
        let Item::Record(record) = item else { continue };
        sample += 1;
        for (_, slot, records) in &mut counted {
            *records += u64::from(record.fields.filled(*slot, Scope::ROOT).is_some());
        }
    }
    let found = counted.into_iter().filter(|(_, _, records)| *records > 0);
    Ok(found.map(|(field, _, records)| Filled { field, records, sample }).collect())
}

fn show(evidence: &cobol::Evidence, filled: &[Filled], json: bool) -> ExitCode {
    let chosen = evidence.chosen.and_then(|chosen| evidence.candidates.get(chosen));
    if json {
        let candidates = evidence.candidates.iter().map(|candidate| {
            json!({
                "framing": candidate.name,
                "consumes": candidate.consumes,
                "records": candidate.records,
                "sample": candidate.sample,
                "fitting": candidate.fitting,
                "fault": candidate.fault,
            })
        });
        output::json(&json!({
            "framing": chosen.map(|chosen| &chosen.name),
            "verdict": evidence.verdict(),
            "candidates": candidates.collect::<Vec<_>>(),
            "filled_with_blanks": filled
                .iter()
                .map(|found| json!({ "field": found.field, "records": found.records, "sample": found.sample }))
                .collect::<Vec<_>>(),
        }));
    } else {
        let row = |candidate: &cobol::Candidate| {
            let fitting = format!("{} of {}", candidate.fitting, candidate.sample);
            let fault = candidate.fault.clone().unwrap_or_else(|| "consumes the file exactly".to_owned());
            vec![candidate.name.clone(), candidate.records.to_string(), fitting, fault]
        };
        let rows: Vec<_> = evidence.candidates.iter().map(row).collect();
        output::table(&["FRAMING", "RECORDS", "AS THE COPYBOOK SAYS", "EVIDENCE"], &rows);
        output::line("");
        output::line(match chosen {
            Some(chosen) => format!("framing: {}", chosen.name),
            None => "framing: none of these explains the file alone; more options of decode may".to_owned(),
        });
    }
    for Filled { field, records, sample } in filled.iter().filter(|_| !json) {
        output::line(format!(
            "blanks: {field} is filled with blanks in {records} of {sample} records, and they are read as a number; say what \
             they mean by `blank` in the mapping, or --blank of decode"
        ));
    }
    if chosen.is_some() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn layout_rows(args: &InspectArgs, mut file: Input) -> Result<Vec<LayoutRow>, String> {
    let path = args.path().display().to_string();
    file.seek(SeekFrom::Start(0)).map_err(|error| format!("cannot read {path}: {error}"))?;
    let bytes = Compression::default().read_all(file, MAX_COPYBOOK).map_err(|fault| match fault {
        StreamFault::Io(error) => format!("cannot read {path}: {error}"),
        StreamFault::Layout { message, .. } => format!("{path}: {message}"),
    })?;
    let source = SourceText::new(args.path(), text_of(bytes));
    let texts = RefCell::new(HashMap::from([(path.clone(), Some(source))]));
    let encoding = CodePage::find("cp037").map_err(|unknown| unknown.to_string())?;
    let place = Place::command_line(&format!("inspect {path}"));
    let mut settings = cobol::Settings::new(path, encoding, place);
    // Where items behind a table of varying length begin is a question of the data, not of the layout.
    settings.odo = Some(cobol::Odo::Fixed);
    settings.source_format = args.layout.source_format.unwrap_or_default();
    settings.reading = args.layout.cobol.reading();
    let faults = Faults::new();
    match Format::Cobol(settings).compile(&|path| text_at(path, &texts), &faults) {
        Some(decoder) => Ok(decoder.describe()),
        None => {
            let color = io::stderr().is_terminal();
            let rendered: Vec<_> = faults.into_sorted().iter().map(|fault| fault.render(color)).collect();
            Err(rendered.join("\n\n"))
        }
    }
}

fn as_json(rows: &[LayoutRow]) -> String {
    let fields: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "level": row.level,
                "depth": row.depth,
                "name": row.name,
                "picture": (!row.picture.is_empty()).then_some(&row.picture),
                "type": row.kind,
                "offset": row.offset,
                "length": row.length,
                "occurs": row.occurs,
                "redefines": row.redefines,
            })
        })
        .collect();
    format!("{}\n", json!({ "fields": fields }))
}

/// A table for people: positions count from 1, as in COBOL; of a table they are those of its first element.
fn as_table(rows: &[LayoutRow]) -> String {
    let mut lines = vec![["LEVEL", "FIELD", "PICTURE", "TYPE", "START", "END", "LENGTH", "OCCURS"].map(str::to_owned)];
    for row in rows {
        let redefines = row.redefines.as_ref().map(|name| format!(" (redefines {name})")).unwrap_or_default();
        let number = |number: Option<usize>| number.map(|number| number.to_string()).unwrap_or_default();
        lines.push([
            row.level.map(|level| format!("{level:02}")).unwrap_or_default(),
            format!("{}{}{redefines}", "  ".repeat(row.depth), row.name),
            row.picture.clone(),
            row.kind.clone(),
            number(row.offset.map(|offset| offset + 1)),
            number(row.offset.zip(row.length).map(|(offset, length)| offset + length)),
            number(row.length),
            row.occurs.clone().unwrap_or_default(),
        ]);
    }
    let mut widths = [0usize; 8];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut shown = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let is_number = (4..=6).contains(&column);
            shown.push_str(&if is_number { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") });
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}
