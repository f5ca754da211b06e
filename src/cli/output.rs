//! Writing to the terminal: results to stdout, everything else to stderr. A reader that has gone away ends the
//! command quietly.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde_json::json;

use crate::diagnostic::Diagnostic;
use crate::record::Reject;

/// Prints a line of the result.
pub(super) fn line(text: impl Display) {
    if let Err(error) = writeln!(io::stdout().lock(), "{text}")
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        super::leave_at_once(super::Exit::Done);
    }
}

/// Prints a JSON value as one line of the result.
pub(super) fn json(value: &serde_json::Value) {
    line(value);
}

/// Prints a line beside the result. Nobody can be told when stderr is gone.
pub(super) fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints what went wrong.
pub(super) fn fault(message: &str) {
    note(format!("error: {message}"));
}

/// Prints a fault in a user's file with its line and a caret.
pub(super) fn diagnostic(diagnostic: &Diagnostic) {
    note(diagnostic.render(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()));
}

/// The text with what would move the cursor or begin a line of its own written out: names of files come from outside.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        return Cow::Owned(text.chars().map(shown).collect());
    }
    Cow::Borrowed(text)
}

/// Lines for stderr, of which there may be many: written in large pieces, and what is left at the end, however that comes;
/// one by one where somebody looks on.
#[derive(Default)]
pub(super) struct Told {
    buffer: Vec<u8>,
}

impl Told {
    /// So many bytes are written at once.
    const PIECE: usize = 64 << 10;

    /// Adds a part of a line, or the whole of it with its end.
    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        let is_seen = bytes.ends_with(b"\n") && io::stderr().is_terminal();
        if is_seen || self.buffer.len() >= Told::PIECE { self.flush() } else { Ok(()) }
    }

    /// Writes what is held.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let written = io::stderr().lock().write_all(&self.buffer);
        self.buffer.clear();
        written
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        // Nobody can be told when stderr is gone.
        let _ = self.flush();
    }
}

/// Prints rows under a head, columns aligned.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) {
    let rows: Vec<Vec<Cow<'_, str>>> = rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|title| title.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let print = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    print(head.to_vec());
    for row in &rows {
        print(row.iter().map(AsRef::as_ref).collect());
    }
}

/// A reject as JSON, raw bytes in hex; of a very long record the first ones, and how many there are.
pub(super) fn reject(reject: &Reject) -> serde_json::Value {
    let mut shown = json!({
        "code": reject.code.as_str(),
        "record": reject.position.record,
        "offset": reject.position.offset,
        "length": reject.position.length,
        "line": reject.position.line,
        "key": reject.key,
        "field": reject.field,
        "field_offset": reject.field_span.map(|(offset, _)| offset),
        "field_length": reject.field_span.map(|(_, length)| length),
        "expected": reject.expected,
        "found": reject.found,
        "raw": reject.raw_hex(),
    });
    if let Some(length) = reject.cut_from() {
        shown["raw_length"] = json!(length);
    }
    shown
}
