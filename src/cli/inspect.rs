//! `inspect COPYBOOK`: the layout as the decoder sees it, to hold against the data before anything is mapped.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::decode::text_of;
use crate::decode::{CodePage, Compression, Format, LayoutRow, Place, StreamFault, cobol};
use crate::diagnostic::{Faults, SourceText};

/// No copybook is larger.
const MAX_COPYBOOK: u64 = 64 << 20;

/// Options of `inspect`.
#[derive(Args, Debug)]
pub(super) struct InspectArgs {
    /// The copybook
    pub copybook: PathBuf,
}

/// Runs the command. 0: shown; 2: the copybook has faults or cannot be read.
pub(super) fn run(args: &InspectArgs, json: bool) -> ExitCode {
    let rows = match rows(args) {
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

fn rows(args: &InspectArgs) -> Result<Vec<LayoutRow>, String> {
    let path = args.copybook.display().to_string();
    let file = File::open(&args.copybook).map_err(|error| format!("cannot read {path}: {error}"))?;
    let bytes = Compression::default().read_all(file, MAX_COPYBOOK).map_err(|fault| match fault {
        StreamFault::Io(error) => format!("cannot read {path}: {error}"),
        StreamFault::Layout { message, .. } => format!("{path}: {message}"),
    })?;
    let source = SourceText::new(&args.copybook, text_of(bytes));
    let encoding = CodePage::find("cp037").map_err(|unknown| unknown.to_string())?;
    let place = Place::command_line(&format!("inspect {path}"));
    let mut settings = cobol::Settings::new(path, encoding, place);
    // Where items behind a table of varying length begin is a question of the data, not of the layout.
    settings.odo = Some(cobol::Odo::Fixed);
    let faults = Faults::new();
    match Format::Cobol(settings).compile(&|_| Some(Arc::clone(&source)), &faults) {
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
