//! A fault in a file that a person wrote (configuration, mapping, copybook): what is wrong, where, and
//! what to do about it.
//!
//! Reading never stops at the first fault: [`Faults`] collects them all, and every one renders as
//! `file:line:column` with the line, a caret and a help. [`Table`] reads TOML tables that way.

mod document;
mod duration;
mod excerpt;
mod table;

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

pub use document::{Entries, Node, Written, parse};
pub use duration::{format_duration, parse_duration};
pub use table::{Key, Presence, Section, Table};

/// A file's text with the name it is shown under.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceText {
    /// Path as the user would type it, or `$TOLLBRIDGE__...` for a value from the environment.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl SourceText {
    /// A text under the path it was read from.
    pub fn new(path: &Path, text: String) -> Arc<SourceText> {
        Arc::new(SourceText { name: path.display().to_string(), text })
    }
}

/// The text of a file that people wrote (copybook, list of fields, table): UTF-8 with a byte order mark or without, UTF-16
/// by its byte order mark or because every other byte is zero, or else ISO 8859-1, in which every byte is a character.
pub fn text_of(bytes: Vec<u8>) -> String {
    let units = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    let zeros = |at: usize| bytes.len() >= 4 && bytes.iter().skip(at).step_by(2).take(64).all(|byte| *byte == 0);
    match bytes.as_slice() {
        [0xFF, 0xFE, rest @ ..] => units(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => units(rest, u16::from_be_bytes),
        all if zeros(1) && !zeros(0) => units(all, u16::from_le_bytes),
        all if zeros(0) && !zeros(1) => units(all, u16::from_be_bytes),
        _ => {
            let text = String::from_utf8(bytes)
                .unwrap_or_else(|error| error.as_bytes().iter().map(|byte| char::from(*byte)).collect());
            match text.strip_prefix('\u{feff}') {
                Some(text) => text.to_owned(),
                None => text,
            }
        }
    }
}

#[cfg(test)]
mod text_tests {
    use super::text_of;

    #[test]
    fn texts_in_the_encodings_of_editors() {
        let text = "# f\u{fc}r\nSKU,1,12\n";
        let utf16 = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let (little, big) = (utf16(u16::to_le_bytes), utf16(u16::to_be_bytes));
        let marked = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            marked(b"\xEF\xBB\xBF", text.as_bytes()),
            text.chars().map(|char| char as u8).collect(),
            marked(b"\xFF\xFE", &little),
            marked(b"\xFE\xFF", &big),
            little,
            big,
        ] {
            assert_eq!(text_of(bytes), text);
        }
        assert_eq!(text_of(Vec::new()), "");
        assert_eq!(text_of(vec![0; 9]), "\0".repeat(9));
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// The file.
    pub source: Arc<SourceText>,
    /// The bytes of the file that are at fault.
    pub span: Range<usize>,
    /// What stands beside the caret.
    pub label: Option<String>,
    /// What to do, as a sentence without a full stop.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A fault at a place, without help.
    pub fn new(source: &Arc<SourceText>, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic { message: message.into(), source: Arc::clone(source), span, label: None, help: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Adds the words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = Some(label.into());
        self
    }

    /// Line and column, both from 1; the column counts characters.
    pub fn location(&self) -> (usize, usize) {
        let before = self.source.text.get(..self.span.start).unwrap_or(&self.source.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// The fault as compilers print it: message, file:line:column, the line, a caret, the help.
    pub fn render(&self, color: bool) -> String {
        let shown = excerpt::excerpt(&self.source.text, self.span.clone());
        let annotation = AnnotationKind::Primary.span(shown.span).label(self.label.as_deref());
        let snippet =
            Snippet::source(&shown.text).line_start(shown.line).path(&self.source.name).annotation(annotation);
        let mut group = Level::ERROR.primary_title(&self.message).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `file:line:column: message (help)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.location();
        write!(f, "{}:{line}:{column}: {}", self.source.name, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

/// All the faults found so far. Readers share it and go on after reporting.
#[derive(Debug, Default)]
pub struct Faults(RefCell<Vec<Diagnostic>>);

impl Faults {
    /// None yet.
    pub fn new() -> Faults {
        Faults::default()
    }

    /// Adds one.
    pub fn push(&self, diagnostic: Diagnostic) {
        self.0.borrow_mut().push(diagnostic);
    }

    /// Adds many.
    pub fn extend(&self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        self.0.borrow_mut().extend(diagnostics);
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// True while nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// All of them, by file and place, the same fault once.
    pub fn into_sorted(self) -> Vec<Diagnostic> {
        self.take_sorted()
    }

    /// As [`Faults::into_sorted`], leaving none.
    pub fn take_sorted(&self) -> Vec<Diagnostic> {
        let mut all = self.0.take();
        all.sort_by(|a, b| (&a.source.name, a.span.start).cmp(&(&b.source.name, b.span.start)));
        all.dedup();
        all
    }
}

/// The name nearest to `wanted` among `known`, if any is near enough to be what was meant.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wanted.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.len().max(wanted.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, SourceText, nearest};
    use std::path::Path;

    #[test]
    fn renders_file_line_column_caret_and_help() {
        let source = SourceText::new(Path::new("tollbridge.toml"), "[server]\nlistn = 1\n".to_owned());
        let fault = Diagnostic::new(&source, 9..14, "unknown key `listn`").help("did you mean `listen`?");
        let shown = fault.render(false);
        assert!(shown.contains("tollbridge.toml:2:1"), "{shown}");
        assert!(shown.contains("^^^^^"), "{shown}");
        assert!(shown.contains("did you mean `listen`?"), "{shown}");
        assert_eq!(fault.to_string(), "tollbridge.toml:2:1: unknown key `listn` (did you mean `listen`?)");
    }

    #[test]
    fn nearest_name_is_near() {
        assert_eq!(nearest("listn", ["listen", "mappings"]), Some("listen"));
        assert_eq!(nearest("ORD_NO", ["ORD-NO", "CUST-NO"]), Some("ORD-NO"));
        assert_eq!(nearest("xyz", ["listen", "mappings"]), None);
    }
}
