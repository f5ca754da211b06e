//! The text of a copybook without its columns: sequence numbers, indicators, comments and what stands behind column 72
//! are gone, continued lines are joined. Every byte knows where it came from.

use std::sync::Arc;

use super::conditional::Conditions;
use super::{SourceFormat, Spot};
use crate::diagnostic::{Diagnostic, Faults, SourceText};

/// Column at which tabs stop.
const TAB: usize = 8;
/// The indicator's column in fixed format, from 0.
const INDICATOR: usize = 6;
/// The first column behind the text in fixed format, from 0.
const TEXT_END: usize = 72;

/// The text that is left.
pub(super) struct Text {
    /// It, with a newline for every line's end.
    pub(super) chars: Vec<char>,
    /// The byte of the source that every character comes from.
    pub(super) origins: Vec<usize>,
    /// The quote of the literal that is open at the end of `chars`.
    literal: Option<char>,
    /// Whether the lines that follow keep to columns.
    fixed: bool,
}

/// A character at its column, with the source's byte.
type Column = (char, usize);

impl Text {
    pub(super) fn of(
        source: &Arc<SourceText>,
        format: SourceFormat,
        conditions: &mut Conditions,
        faults: &Faults,
    ) -> Text {
        let entered = conditions.enter();
        let mut lines = Vec::new();
        let mut offset = 0;
        for line in source.text.split_inclusive('\n') {
            lines.push((columns(line, offset), offset + line.trim_end().len()));
            offset += line.len();
        }
        let fixed = match format {
            SourceFormat::Fixed => true,
            SourceFormat::Free => false,
            SourceFormat::Auto => lines.iter().all(|(line, _)| looks_fixed(line)),
        };
        let mut text = Text { chars: Vec::new(), origins: Vec::new(), literal: None, fixed };
        for (line, end) in &lines {
            let visible = line.iter().any(|(char, _)| !char.is_whitespace());
            if visible && text.directive(line, source, conditions, entered, faults) {
                continue;
            }
            let visible = visible && conditions.takes();
            if visible && text.fixed {
                text.fixed_line(line, *end, source, faults);
            } else if visible {
                text.free_line(line, *end, source, faults);
            }
        }
        if let Some(spot) = conditions.leave(entered) {
            faults.push(spot.fault("this IF has no END-IF in its text"));
        }
        text
    }

    /// Carries out a line that is a directive to the compiler (`>>SOURCE FORMAT IS FREE`, `$SET SOURCEFORMAT"FREE"`, `>>IF`).
    fn directive(
        &mut self,
        line: &[Column],
        source: &Arc<SourceText>,
        conditions: &mut Conditions,
        entered: usize,
        faults: &Faults,
    ) -> bool {
        let at = line.iter().position(|(char, _)| !char.is_whitespace()).unwrap_or_default();
        // In fixed format `$` stands in column 7, behind a sequence number perhaps.
        let at = if self.fixed && line.get(INDICATOR).is_some_and(|(char, _)| *char == '$') { INDICATOR } else { at };
        let text: String = line.get(at..).unwrap_or_default().iter().map(|(char, _)| *char).collect();
        if !(text.starts_with(">>") || (text.starts_with('$') && self.literal.is_none())) {
            return false;
        }
        let span = (line.get(at), line.last());
        let spot = Spot {
            source: Arc::clone(source),
            span: span.0.map_or(0, |(_, from)| *from)..span.1.map_or(0, |(char, last)| last + char.len_utf8()),
        };
        let cut = if self.fixed { TEXT_END.saturating_sub(at) } else { usize::MAX };
        let shown: String = text.chars().take(cut).skip_while(|char| matches!(char, '>' | '$')).collect();
        if let Some(carried_out) = conditions.directive(&shown, entered, &spot) {
            if let Err(message) = carried_out {
                faults.push(spot.fault(message));
            }
            return true;
        }
        let text = text.to_uppercase();
        let words: String = text.chars().map(|char| if char.is_alphanumeric() { char } else { ' ' }).collect();
        let words: Vec<&str> = words.split_whitespace().collect();
        match words.as_slice() {
            ["SOURCE", rest @ ..] | ["SET", "SOURCEFORMAT", rest @ ..] => match rest.last() {
                Some(&"FREE") => self.fixed = false,
                Some(&("FIXED" | "VARIABLE")) => self.fixed = true,
                _ => return self.unknown_directive(line, at, source, faults),
            },
            ["D" | "LISTING" | "PAGE" | "SET" | "TURN" | "FLAG02" | "FLAG14", ..] => {}
            _ => return self.unknown_directive(line, at, source, faults),
        }
        true
    }

    fn unknown_directive(&self, line: &[Column], at: usize, source: &Arc<SourceText>, faults: &Faults) -> bool {
        let start = line.get(at).map_or(0, |(_, origin)| *origin);
        let end = line.last().map_or(start, |(char, origin)| origin + char.len_utf8());
        let help = "leave in the copybook only what was compiled";
        faults.push(Diagnostic::new(source, start..end, "this directive is not carried out").help(help));
        true
    }

    fn fixed_line(&mut self, line: &[Column], end: usize, source: &Arc<SourceText>, faults: &Faults) {
        let Some(&(indicator, at)) = line.get(INDICATOR) else { return };
        let area = &line[INDICATOR + 1..line.len().min(TEXT_END)];
        match indicator {
            // Comments, page breaks, lines for the debugger, directives of the compiler.
            '*' | '/' | 'D' | 'd' => {}
            ' ' => self.line(area, end, source, faults),
            '-' => self.continued(area, end),
            other => {
                let message = format!("unknown indicator `{other}` in column 7");
                let help = "column 7 is blank, `*`, `/`, `-` or `D` in fixed format; say `source_format = \"free\"` if \
                            the text does not keep to columns";
                faults.push(Diagnostic::new(source, at..at + other.len_utf8(), message).help(help));
            }
        }
    }

    fn free_line(&mut self, line: &[Column], end: usize, source: &Arc<SourceText>, faults: &Faults) {
        let mut visible = line.iter().map(|(char, _)| *char).skip_while(|char| char.is_whitespace());
        match (visible.next(), visible.next()) {
            (Some('*' | '/'), _) | (Some('>'), Some('>')) => {}
            _ => self.line(line, end, source, faults),
        }
    }

    fn line(&mut self, area: &[Column], end: usize, source: &Arc<SourceText>, faults: &Faults) {
        if self.literal.take().is_some()
            && let Some(&last) = self.origins.last()
        {
            faults.push(Diagnostic::new(source, last..last + 1, "the literal is not closed on its line"));
        }
        self.push(area, end);
    }

    /// A line that goes on where the last one stopped: inside a literal behind its new quote, else in the same word.
    fn continued(&mut self, area: &[Column], end: usize) {
        while self.chars.last() == Some(&'\n') || (self.literal.is_none() && self.chars.last() == Some(&' ')) {
            self.chars.pop();
            self.origins.pop();
        }
        let blanks = area.iter().take_while(|(char, _)| *char == ' ').count();
        let rest = &area[blanks..];
        let reopened = self.literal.is_some() && rest.first().map(|(char, _)| *char) == self.literal;
        self.push(if reopened { &rest[1..] } else { rest }, end);
    }

    fn push(&mut self, area: &[Column], end: usize) {
        for (index, &(char, origin)) in area.iter().enumerate() {
            let is_comment = char == '*' && area.get(index + 1).is_some_and(|(next, _)| *next == '>');
            match self.literal {
                None if is_comment => break,
                None if char == '"' || char == '\'' => self.literal = Some(char),
                Some(quote) if quote == char => self.literal = None,
                _ => {}
            }
            self.chars.push(char);
            self.origins.push(origin);
        }
        self.chars.push('\n');
        self.origins.push(end);
    }
}

/// The characters of a line by column, tabs made blanks.
fn columns(line: &str, offset: usize) -> Vec<Column> {
    let mut columns = Vec::new();
    for (index, char) in line.trim_end_matches(['\n', '\r', '\u{1a}']).char_indices() {
        if char == '\t' {
            let stop = (columns.len() / TAB + 1) * TAB;
            columns.resize(stop, (' ', offset + index));
        } else {
            columns.push((char, offset + index));
        }
    }
    columns
}

/// True for a line that could stand in a fixed-format source: nothing, or a sequence number or blanks before an
/// indicator.
fn looks_fixed(line: &[Column]) -> bool {
    let char_at = |column: usize| line.get(column).map_or(' ', |(char, _)| *char);
    if line.iter().all(|(char, _)| char.is_whitespace()) {
        return true;
    }
    if !matches!(char_at(INDICATOR), ' ' | '*' | '/' | '-' | 'D' | 'd' | '$') {
        return false;
    }
    let number = line.iter().take(INDICATOR).take_while(|(char, _)| *char != ' ').count();
    let blank_behind = (number..INDICATOR).all(|column| char_at(column) == ' ');
    // A level number in the columns of the sequence number: the rest of the line begins with a name.
    let mut area = line.iter().skip(INDICATOR + 1).map(|(char, _)| *char).skip_while(|char| *char == ' ');
    let begins_with_number = area.next().is_none_or(|char| char.is_ascii_digit());
    let is_comment = char_at(INDICATOR) != ' ';
    number == 0 && blank_behind || number == INDICATOR || (blank_behind && (begins_with_number || is_comment))
}
