//! The list of fields in a file of its own: lines `name,start,length`, with a record type behind where
//! there are several, or a ruler, which is a picture of a line.
//!
//! A ruler is either a line of marks, each as wide as its field and with the name in it,
//!
//! ```text
//! <--SKU-----><QTY-><PRICE-->
//! ```
//!
//! or a line of names over a line of runs, each as wide as its field. Fields that touch one another take turns with `-`
//! and `=`, and the names are those of the runs from left to right, wherever they stand:
//!
//! ```text
//! T SKU          QTY   PRICE
//! - ------------ -----========
//! ```

use std::sync::Arc;

use super::settings::Field;
use crate::decode::MAX_RECORD;
use crate::diagnostic::{Diagnostic, Faults, SourceText};

/// A line that says something: its offset in the text, and the line without blanks behind it.
type Line<'a> = (usize, &'a str);

/// Reads the fields. Empty lines and lines that start with `#` are passed over. Faults point into the text.
pub(super) fn parse(source: &Arc<SourceText>, faults: &Faults) -> Option<Vec<Field>> {
    let mut start = 0;
    let mut lines: Vec<Line<'_>> = Vec::new();
    for line in source.text.split_inclusive('\n') {
        let text = line.trim_end();
        if !text.is_empty() && !text.trim_start().starts_with('#') {
            lines.push((start, text));
        }
        start += line.len();
    }
    let before = faults.len();
    let is_runs = |text: &str| text.chars().all(|char| matches!(char, '-' | '=' | ' '));
    let mut spec = Spec { source, faults, fields: Vec::new() };
    match lines.as_slice() {
        [line] if line.1.trim_start().starts_with('<') => spec.marks(*line),
        [names, runs] if is_runs(runs.1) => spec.runs(*names, *runs),
        lines => lines.iter().for_each(|line| spec.triple(*line)),
    }
    let fields = spec.fields;
    if fields.is_empty() && faults.len() == before {
        faults.push(Diagnostic::new(source, 0..source.text.len(), "the list of fields is empty"));
    }
    (faults.len() == before).then_some(fields)
}

struct Spec<'a> {
    source: &'a Arc<SourceText>,
    faults: &'a Faults,
    fields: Vec<Field>,
}

impl Spec<'_> {
    fn fault(&self, start: usize, text: &str, message: String, help: &str) {
        self.faults.push(Diagnostic::new(self.source, start..start + text.len(), message).help(help));
    }

    /// Adds a field, unless its name is taken.
    fn add(&mut self, at: usize, text: &str, field: Field) {
        if self.fields.iter().any(|other| other.name == field.name && other.record == field.record) {
            let message = format!("there is another field `{}`", field.name);
            self.fault(at, text, message, "give it another name");
        }
        self.fields.push(field);
    }

    /// `SKU,1,12` or `SKU,1,12,DETAIL`
    fn triple(&mut self, (start, line): Line<'_>) {
        let text = line.trim_start();
        let at = start + line.len() - text.len();
        if ["name,start,length", "name,start,length,record"].iter().any(|head| text.eq_ignore_ascii_case(head)) {
            return;
        }
        let help = "a line is `name,start,length`, like `SKU,1,12`; the first column is 1";
        let parts: Vec<_> = text.split(',').map(str::trim).collect();
        let (name, column, length, record) = match parts.as_slice() {
            [name, column, length] => (name, column, length, None),
            [name, column, length, record] if !record.is_empty() => (name, column, length, Some((*record).to_owned())),
            _ => return self.fault(at, text, format!("expected three values, found {}", parts.len()), help),
        };
        let bounds = 1..=MAX_RECORD;
        match (column.parse::<usize>(), length.parse::<usize>()) {
            (Ok(column), Ok(length)) if bounds.contains(&column) && bounds.contains(&length) && !name.is_empty() => {
                self.add(at, text, Field { name: (*name).to_owned(), start: column - 1, length, record });
            }
            _ => {
                let message = "expected a name, a first column from 1, and a length from 1".to_owned();
                self.fault(at, text, message, help);
            }
        }
    }

    /// `<--SKU-----><QTY->`
    fn marks(&mut self, (start, line): Line<'_>) {
        let help = "a ruler is marks like `<--SKU--->`, each as wide as its field, with blanks between them at most";
        let (mut at, mut column) = (0, 0);
        while let Some(rest) = line.get(at..).filter(|rest| !rest.is_empty()) {
            let blanks = rest.len() - rest.trim_start_matches(' ').len();
            (at, column) = (at + blanks, column + blanks);
            let rest = rest.get(blanks..).unwrap_or_default();
            let mark = rest.find('>').and_then(|end| rest.get(..=end)).filter(|mark| mark.starts_with('<'));
            let Some(mark) = mark else {
                return self.fault(start + at, rest, "this is no mark of a ruler".to_owned(), help);
            };
            let name = mark.trim_matches(['<', '>', '-', ' ']);
            let length = mark.chars().count();
            if name.is_empty() || name.contains('<') {
                return self.fault(start + at, mark, "this mark has no name".to_owned(), help);
            }
            self.add(start + at, mark, Field { name: name.to_owned(), start: column, length, record: None });
            (at, column) = (at + mark.len(), column + length);
        }
    }

    /// Names over `- ------------ -----====`.
    fn runs(&mut self, (names_start, names): Line<'_>, (start, line): Line<'_>) {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        let bytes = line.as_bytes();
        for (column, byte) in bytes.iter().enumerate().filter(|(_, byte)| **byte != b' ') {
            let continues = column > 0 && bytes.get(column - 1) == Some(byte);
            match runs.last_mut() {
                Some((_, length)) if continues => *length += 1,
                _ => runs.push((column, 1)),
            }
        }
        let found: Vec<&str> = names.split_whitespace().collect();
        if found.len() != runs.len() {
            let message = format!("{} runs of columns stand under {} names", runs.len(), found.len());
            let help = "a run is a row of `-` or of `=`; fields that touch one another take turns";
            return self.fault(start, line, message, help);
        }
        for (name, (column, length)) in found.into_iter().zip(runs) {
            let at = names_start + names.find(name).unwrap_or_default();
            self.add(at, name, Field { name: name.to_owned(), start: column, length, record: None });
        }
    }
}
