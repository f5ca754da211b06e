//! The list of fields in a file of its own: lines `name,start,length`, with type and scale behind where a field holds no
//! text, and a record type where there are several; or a ruler, which is a picture of a line of text. A first line with
//! these words says in which order they come.
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
use super::types::{Form, Type};
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
    let mut spec = Spec { source, faults, fields: Vec::new(), order: None };
    match lines.as_slice() {
        [line] if line.1.trim_start().starts_with('<') => spec.marks(*line),
        [names, runs] if is_runs(runs.1) => spec.runs(*names, *runs),
        lines => {
            let lines = match lines.split_first() {
                Some((head, rest)) if spec.head(head.1) => rest,
                _ => lines,
            };
            lines.iter().for_each(|line| spec.list(*line));
        }
    }
    let fields = spec.fields;
    if fields.is_empty() && faults.len() == before {
        faults.push(Diagnostic::new(source, 0..source.text.len(), "the list of fields is empty"));
    }
    (faults.len() == before).then_some(fields)
}

/// What is wrong with a word that is no type, where nothing tells record types apart.
pub(super) fn untold(record: &str) -> (String, String) {
    let message = format!("`{record}` is no type of a field, and a record type needs `segment_field`");
    let help =
        format!("the types are {}; `segment_field` says which field tells the record types apart", Type::names());
    (message, help)
}

struct Spec<'a> {
    source: &'a Arc<SourceText>,
    faults: &'a Faults,
    fields: Vec<Field>,
    /// What the values of a line are, by the list's first line.
    order: Option<Vec<Word>>,
}

/// What a value of a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Name,
    Start,
    Length,
    Type,
    Scale,
    Record,
}

const WORDS: [(&str, Word); 6] = [
    ("name", Word::Name),
    ("start", Word::Start),
    ("length", Word::Length),
    ("type", Word::Type),
    ("scale", Word::Scale),
    ("record", Word::Record),
];

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

    /// A first line that says what the others have: `name,start,length,type`. False for one that does not.
    fn head(&mut self, text: &str) -> bool {
        let word = |text: &str| WORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim()));
        let words: Option<Vec<Word>> = text.split(',').map(|text| word(text).map(|(_, word)| *word)).collect();
        let needed = [Word::Name, Word::Start, Word::Length];
        self.order = words.filter(|words| {
            let once = |(index, word): (usize, &Word)| !words[..index].contains(word);
            words.iter().enumerate().all(once) && needed.iter().all(|word| words.contains(word))
        });
        self.order.is_some()
    }

    /// What the values of a line are that has so many, where no first line says it.
    fn order(&self, parts: &[&str]) -> Option<Vec<Word>> {
        if let Some(order) = &self.order {
            // What is empty at the end may be left out.
            let enough = parts.len() <= order.len() && parts.len() >= 3;
            return enough.then(|| order[..parts.len()].to_vec());
        }
        let mut order = vec![Word::Name, Word::Start, Word::Length];
        // A record type may have any name, but the words for types are written small.
        let typed = parts.get(3).is_some_and(|word| Type::find(word).is_some());
        match (parts.len(), typed) {
            (3, _) => {}
            (4, false) => order.push(Word::Record),
            (4, true) => order.push(Word::Type),
            (5, true) if parts[4].bytes().all(|byte| byte.is_ascii_digit()) => order.extend([Word::Type, Word::Scale]),
            (5, true) => order.extend([Word::Type, Word::Record]),
            (6, true) => order.extend([Word::Type, Word::Scale, Word::Record]),
            _ => return None,
        }
        Some(order)
    }

    /// `SKU,1,12`, `PRICE,13,4,packed,2` or `SKU,1,12,DETAIL`
    fn list(&mut self, (start, line): Line<'_>) {
        let text = line.trim_start();
        let at = start + line.len() - text.len();
        let help = "a line is `name,start,length`, like `SKU,1,12`, with type, scale and record behind where they are \
                    needed; the first column is 1";
        let parts: Vec<_> = text.split(',').map(str::trim).collect();
        let Some(order) = self.order(&parts) else {
            return match parts.get(3) {
                Some(word) if self.order.is_none() && parts.len() <= 6 => {
                    let help = format!("the types are {}", Type::names());
                    self.fault(at, text, format!("`{word}` is no type of a field"), &help)
                }
                _ => self.fault(at, text, format!("expected three values, found {}", parts.len()), help),
            };
        };
        let value =
            |word: Word| order.iter().position(|own| *own == word).map(|index| parts[index]).unwrap_or_default();
        let bounds = 1..=MAX_RECORD;
        let number = |word: Word| value(word).parse::<usize>().ok().filter(|number| bounds.contains(number));
        let (Some(column), Some(length), name) = (number(Word::Start), number(Word::Length), value(Word::Name)) else {
            let message = "expected a name, a first column from 1, and a length from 1".to_owned();
            return self.fault(at, text, message, help);
        };
        if name.is_empty()
            || (value(Word::Record).is_empty() && order.ends_with(&[Word::Record]) && self.order.is_none())
        {
            let message = "expected a name, a first column from 1, and a length from 1".to_owned();
            return self.fault(at, text, message, help);
        }
        let kind = match value(Word::Type) {
            "" => Type::Text,
            word => match Type::find(word) {
                Some(found) => found,
                None => {
                    let help = format!("the types are {}", Type::names());
                    return self.fault(at, text, format!("`{word}` is no type of a field"), &help);
                }
            },
        };
        let scale = match value(Word::Scale) {
            "" => 0,
            digits => match digits.parse::<u8>().ok().filter(|scale| *scale <= 38) {
                Some(scale) => scale,
                None => {
                    let message = format!("`{digits}` is no number of digits behind the point");
                    return self.fault(at, text, message, "it is a number from 0 to 38");
                }
            },
        };
        let form = Form { kind, scale };
        if let Err(message) = form.data(length) {
            return self.fault(at, text, message, "the length counts bytes, the scale digits behind the point");
        }
        let record = Some(value(Word::Record).to_owned()).filter(|record| !record.is_empty());
        self.add(at, text, Field { name: name.to_owned(), start: column - 1, length, record, form });
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
            self.add(
                start + at,
                mark,
                Field { name: name.to_owned(), start: column, length, record: None, form: Form::default() },
            );
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
            self.add(
                at,
                name,
                Field { name: name.to_owned(), start: column, length, record: None, form: Form::default() },
            );
        }
    }
}
