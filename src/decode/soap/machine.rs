//! What runs a plan over a document: the window on its text, the scope of its names, and the JSON that comes of it.
//!
//! A value is read by one call for each element in it, and the bytes of its record stay in the window until it is whole.
//! What is wrong with a record ends these calls with a [`Problem`], which takes the names of the elements with it on its
//! way out; what is wrong with the document ends the reading.

use std::io::Read;
use std::sync::Arc;

use super::leniency::{Leniencies, Leniency};
use super::names::{Names, Resolved, TooMany};
use super::object::Run;
use super::parts::Parts;
use super::refs::Refs;
use super::settings::Settings;
use super::shape::Shapes;
use super::tag::{Raw, Tag, attributes};
use crate::decode::MAX_RECORD;
use crate::decode::reader::StreamFault;
use crate::decode::window::Window;
use crate::decode::xml::{BadByte, Form, Source, Token, bad_byte, token};
use crate::record::RejectCode;
use crate::wsdl::Types;

/// How deep elements may lie in one another.
pub(super) const MAX_DEPTH: usize = 128;

/// What is wrong with a record.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: RejectCode,
    /// The names of the elements around the place, the innermost first.
    pub(super) path: Vec<String>,
    /// Where, and how many bytes.
    pub(super) span: (usize, usize),
    pub(super) expected: String,
    pub(super) found: String,
}

/// Why a value could not be read.
#[derive(Debug)]
pub(super) enum Stop {
    /// The document goes on behind the record.
    Record(Problem),
    /// Nothing behind it can be read.
    Document(StreamFault),
}

/// The answer of what reads a part of a record.
pub(super) type Outcome<T> = Result<T, Box<Stop>>;

/// What stands at a place, where the document is sound there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece {
    Text(usize, usize),
    CData(usize, usize),
    Remark,
    Start(Tag),
    End { name: (usize, usize) },
}

/// See the module.
pub(super) struct Machine<R> {
    pub(super) source: Source<R>,
    pub(super) window: Window,
    /// The place in the window that is read next.
    pub(super) at: usize,
    /// Where the record begins that is read.
    pub(super) begin: usize,
    pub(super) types: Arc<Types>,
    pub(super) settings: Arc<Settings>,
    pub(super) shapes: Shapes,
    pub(super) names: Names,
    /// The attributes of the tag that was opened last.
    pub(super) attributes: Vec<Raw>,
    pub(super) out: Vec<u8>,
    pub(super) runs: Vec<Run>,
    /// Text that does not stand in the window as it is.
    pub(super) text: Vec<u8>,
    pub(super) counts: Leniencies,
    pub(super) depth: usize,
    /// Values may be referred to.
    pub(super) is_encoded: bool,
    pub(super) refs: Refs,
    pub(super) parts: Option<Arc<dyn Parts>>,
    /// Line ends before the window.
    pub(super) lines: u64,
}

impl<R: Read> Machine<R> {
    pub(super) fn new(source: Source<R>, start: u64, types: Arc<Types>, settings: Arc<Settings>) -> Machine<R> {
        Machine {
            source,
            window: Window::new(start, u64::MAX),
            at: 0,
            begin: 0,
            types,
            settings,
            shapes: Shapes::new(),
            names: Names::new(),
            attributes: Vec::new(),
            out: Vec::new(),
            runs: Vec::new(),
            text: Vec::new(),
            counts: Leniencies::default(),
            depth: 0,
            is_encoded: false,
            refs: Refs::default(),
            parts: None,
            lines: 0,
        }
    }

    /// What stands at the place, which then is behind it.
    #[inline]
    pub(super) fn next(&mut self) -> Outcome<Piece> {
        let from = self.at;
        if from.saturating_sub(self.begin) > MAX_RECORD {
            return Err(self.too_long());
        }
        match token(&mut self.window, &mut self.source, from) {
            Ok(Token::Text { end }) => {
                self.at = end;
                Ok(Piece::Text(from, end))
            }
            Ok(Token::Start { end, name, empty }) => {
                self.at = end;
                Ok(Piece::Start(Tag { at: from, name, end, empty }))
            }
            Ok(Token::End { end, name }) => {
                self.at = end;
                Ok(Piece::End { name: (from + 2, name) })
            }
            Ok(Token::CData { end }) => {
                self.at = end;
                Ok(Piece::CData(from + "<![CDATA[".len(), end - "]]>".len()))
            }
            Ok(Token::Remark { end }) => {
                self.at = end;
                Ok(Piece::Remark)
            }
            Ok(Token::TooLong) => Err(self.too_long()),
            Ok(other) => Err(Box::new(Stop::Document(self.broken(from, other)))),
            Err(error) => Err(Box::new(Stop::Document(error.into()))),
        }
    }

    /// What stands next in an element that was begun; `None` where its tag is its end.
    pub(super) fn piece_in(&mut self, tag: &Tag) -> Outcome<Option<Piece>> {
        if tag.empty { Ok(None) } else { self.next().map(Some) }
    }

    #[cold]
    fn too_long(&self) -> Box<Stop> {
        let found = format!("more than {MAX_RECORD} bytes");
        self.problem(RejectCode::RecordTooLong, self.begin, "a record that can be held in memory", found)
    }

    /// What is wrong at a place.
    #[cold]
    pub(super) fn problem(
        &self,
        code: RejectCode,
        at: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Box<Stop> {
        let (expected, found) = (expected.into(), found.into());
        let length = self.at.saturating_sub(at);
        Box::new(Stop::Record(Problem { code, path: Vec::new(), span: (at, length), expected, found }))
    }

    /// What is wrong with these bytes if they are no text.
    pub(super) fn no_text(&self, from: usize, to: usize) -> Option<Problem> {
        let bytes = self.window.first(to).get(from..).unwrap_or_default();
        let start = self.window.offset() + from as u64;
        let broken = self.source.broken(start, start + bytes.len() as u64);
        let BadByte { at, expected, found } = bad_byte(bytes, broken)?;
        let (expected, span) = (expected.to_owned(), (from + at, 1));
        Some(Problem { code: RejectCode::Unmappable, path: Vec::new(), span, expected, found })
    }

    /// What is wrong with the document at a place.
    #[cold]
    pub(super) fn fault(&self, at: usize, code: RejectCode, what: &str) -> StreamFault {
        let before = self.window.first(at);
        let line = self.lines + memchr::memchr_iter(b'\n', before).count() as u64 + 1;
        let offset = self.source.raw_offset(self.window.offset() + at as u64, before);
        let message = format!("{what} (line {line}, byte {offset})");
        StreamFault::Layout { code, message, offset, line: Some(line) }
    }

    #[cold]
    pub(super) fn malformed(&self, at: usize, what: &str) -> Box<Stop> {
        let message = format!("the document is not well-formed: {what}");
        Box::new(Stop::Document(self.fault(at, RejectCode::Malformed, &message)))
    }

    /// What cannot be followed any further.
    #[cold]
    pub(super) fn broken(&self, at: usize, token: Token) -> StreamFault {
        let fault = |code, what: &str| self.fault(at, code, what);
        match token {
            Token::Doctype => fault(
                RejectCode::FileUnreadable,
                "the answer has a DOCTYPE, which SOAP does not allow and which is refused because it can define entities",
            ),
            Token::Broken(what) => fault(RejectCode::Malformed, &format!("the document is not well-formed: {what}")),
            Token::TooLong => {
                fault(RejectCode::RecordTooLong, &format!("a tag or text of more than {MAX_RECORD} bytes"))
            }
            _ => fault(RejectCode::Truncated, "the answer breaks off in the middle of an element"),
        }
    }

    /// Counts what is taken although it is not allowed; where nothing is, the record is rejected for it.
    #[cold]
    pub(super) fn lenient(
        &mut self,
        kind: Leniency,
        at: usize,
        code: RejectCode,
        expected: &str,
        found: impl FnOnce(&Self) -> String,
    ) -> Outcome<()> {
        if self.settings.strict {
            return Err(self.problem(code, at, expected, found(self)));
        }
        self.counts.add(kind);
        Ok(())
    }

    /// Looks at what is in a start tag beside its name, and binds the namespaces that it declares. To go back, keep the
    /// scope.
    #[inline]
    pub(super) fn open(&mut self, tag: &Tag) -> Outcome<()> {
        if !tag.has_more() {
            self.attributes.clear();
            return Ok(());
        }
        match attributes(self.window.bytes(), tag, &mut self.attributes) {
            Ok(false) => Ok(()),
            Ok(true) => self.bind(tag),
            Err(what) => Err(self.malformed(tag.at, what)),
        }
    }

    fn bind(&mut self, tag: &Tag) -> Outcome<()> {
        for index in 0..self.attributes.len() {
            let raw = self.attributes[index];
            let (from, to) = raw.name;
            let prefix = match self.window.first(to).get(from..) {
                Some(b"xmlns") => Vec::new(),
                Some(name) if name.starts_with(b"xmlns:") => name[6..].to_vec(),
                _ => continue,
            };
            let uri = self.attribute_text(&raw)?;
            // The number of a scope is the place where it is found; there is a bound on them.
            if self.names.bind(&self.types.names, &prefix, &uri).is_err() {
                return Err(self.too_many(tag.at));
            }
        }
        let window = self.window.bytes();
        self.attributes.retain(|raw| !is_declaration(&window[raw.name.0..raw.name.1]));
        Ok(())
    }

    #[cold]
    pub(super) fn too_many(&self, at: usize) -> Box<Stop> {
        let what = "a name or the name of a namespace that is too long, or too many of them";
        self.problem(RejectCode::RecordTooLong, at, "a record that can be held in memory", what)
    }

    /// Resolves the name of an element that is open.
    pub(super) fn resolve(&mut self, tag: &Tag) -> Outcome<Resolved> {
        let written = tag.written(self.window.bytes());
        match self.names.element(&self.types.names, written) {
            Ok(resolved) => Ok(resolved),
            Err(TooMany) => Err(self.too_many(tag.at)),
        }
    }

    /// The bytes of a part of the window.
    pub(super) fn bytes(&self, (from, to): (usize, usize)) -> &[u8] {
        self.window.first(to).get(from..).unwrap_or_default()
    }

    /// The same as a text for messages.
    pub(super) fn shown(&self, span: (usize, usize)) -> String {
        let text = String::from_utf8_lossy(self.bytes(span));
        match text.char_indices().nth(80) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text.into_owned(),
        }
    }

    /// The name of a tag for messages.
    pub(super) fn shown_name(&self, tag: &Tag) -> String {
        format!("`{}`", self.shown((tag.at + 1, tag.name)))
    }

    /// The value of an attribute, its references resolved.
    pub(super) fn attribute_text(&self, raw: &Raw) -> Outcome<String> {
        let text = String::from_utf8_lossy(self.bytes(raw.value));
        match Form::Value.read(text) {
            Ok(text) => Ok(text.into_owned()),
            Err(what) => Err(self.problem(RejectCode::Malformed, raw.value.0, "well-formed XML", what)),
        }
    }

    /// An end tag is that of the element that was begun.
    #[inline]
    pub(super) fn check_end(&self, tag: &Tag, name: (usize, usize)) -> Outcome<()> {
        let window = self.window.bytes();
        if window[tag.at + 1..tag.name] == window[name.0..name.1] {
            return Ok(());
        }
        let (found, expected) = (self.shown(name), self.shown((tag.at + 1, tag.name)));
        Err(self.malformed(name.0, &format!("`</{found}>` where `</{expected}>` is due")))
    }

    /// Passes over what is left of an element.
    pub(super) fn skip(&mut self, tag: &Tag) -> Outcome<()> {
        let mut deeper = u64::from(!tag.empty);
        while deeper > 0 {
            match self.next()? {
                Piece::Start(tag) if !tag.empty => deeper += 1,
                Piece::End { .. } => deeper -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// Moves the window on, counting lines.
    pub(super) fn consume(&mut self, length: usize) {
        self.lines += memchr::memchr_iter(b'\n', self.window.first(length)).count() as u64;
        self.window.consume(length);
        self.source.release(self.window.offset());
    }
}

/// Whether an attribute declares a namespace.
fn is_declaration(name: &[u8]) -> bool {
    name.strip_prefix(b"xmlns").is_some_and(|rest| rest.is_empty() || rest[0] == b':')
}

impl Stop {
    /// The same, within an element.
    #[cold]
    pub(super) fn within(mut self: Box<Stop>, name: impl FnOnce() -> String) -> Box<Stop> {
        if let Stop::Record(problem) = &mut *self {
            problem.path.push(name());
        }
        self
    }
}

impl Problem {
    /// The place as people write it: `Lines.Line[2].Qty`.
    pub(super) fn field(&self) -> Option<String> {
        let names: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join("."))
    }
}
