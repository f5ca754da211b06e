//! The text of an element: as it stands in the window where that can be, else put together from its pieces.

use std::borrow::Cow;
use std::io::Read;

use super::leniency::Leniency;
use super::machine::{Machine, Outcome, Piece};
use super::names::Special;
use super::parts::percent_decoded;
use super::scalar::is_space;
use super::tag::Tag;
use crate::decode::xml::Form;
use crate::record::RejectCode;

/// Where a text is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leaf {
    /// In the window, as it is.
    Plain(usize, usize),
    /// In [`Machine::text`].
    Made,
}

impl<R: Read> Machine<R> {
    /// The text of an element, read to its end. Of a binary one it may lie in a part beside the envelope.
    #[inline]
    pub(super) fn leaf(&mut self, tag: &Tag, is_binary: bool) -> Outcome<Leaf> {
        if tag.empty {
            return Ok(Leaf::Plain(tag.end, tag.end));
        }
        let window = self.window.bytes();
        // Nearly all are characters and an end tag, and in the window already.
        if let Some(rest) = window.get(tag.end..)
            && let Some(length) = memchr::memchr(b'<', rest)
        {
            let (name, end) = (tag.name - tag.at - 1, tag.end + length);
            let behind = end + 2 + name;
            if window.get(end + 1) == Some(&b'/')
                && window.get(behind) == Some(&b'>')
                && window[end + 2..behind] == window[tag.at + 1..tag.name]
                && memchr::memchr2(b'&', b'\r', &rest[..length]).is_none()
            {
                self.at = behind + 1;
                return Ok(Leaf::Plain(tag.end, end));
            }
        }
        self.made(tag, is_binary)
    }

    /// Puts a text together.
    fn made(&mut self, tag: &Tag, is_binary: bool) -> Outcome<Leaf> {
        self.text.clear();
        loop {
            match self.next()? {
                Piece::Text(from, to) => self.push_text(from, to, Form::Escaped)?,
                Piece::CData(from, to) => self.push_text(from, to, Form::CData)?,
                Piece::Remark => {}
                Piece::End { name } => {
                    self.check_end(tag, name)?;
                    return Ok(Leaf::Made);
                }
                Piece::Start(child) => self.child_of_text(&child, is_binary)?,
            }
        }
    }

    /// Appends characters to the text.
    pub(super) fn push_text(&mut self, from: usize, to: usize, form: Form) -> Outcome<()> {
        let piece = self.window.first(to).get(from..).unwrap_or_default();
        let special = if form == Form::CData { b'\r' } else { b'&' };
        if memchr::memchr2(special, b'\r', piece).is_none() {
            self.text.extend_from_slice(piece);
            return Ok(());
        }
        let was = self.text.len();
        let mut wrong = None;
        for chunk in piece.utf8_chunks() {
            match form.read(Cow::Borrowed(chunk.valid())) {
                Ok(text) => self.text.extend_from_slice(text.as_bytes()),
                Err(what) => {
                    wrong = Some(what);
                    break;
                }
            }
            // Bytes that are no text are found when the record is whole, in the text of an element as well.
            self.text.extend_from_slice(chunk.invalid());
        }
        match wrong {
            None => Ok(()),
            Some(what) => {
                self.text.truncate(was);
                Err(self.problem(RejectCode::Malformed, from, "well-formed XML", what))
            }
        }
    }

    /// An element where text is due: the bytes of a part, or what should not be there.
    fn child_of_text(&mut self, child: &Tag, is_binary: bool) -> Outcome<()> {
        let scope = self.names.scope;
        self.open(child)?;
        let resolved = self.resolve(child)?;
        let is_include =
            resolved.special == Special::Xop && self.shown((child.at + 1, child.name)).ends_with("Include");
        if is_binary && is_include {
            self.include(child)?;
        } else {
            self.lenient(Leniency::UnknownElement, child.at, RejectCode::Unexpected, "text", |own| {
                own.shown_name(child)
            })?;
        }
        self.skip(child)?;
        self.names.scope = scope;
        Ok(())
    }

    /// `<xop:Include href="cid:…"/>` (XOP 1.0, section 4.1): the bytes as text.
    fn include(&mut self, child: &Tag) -> Outcome<()> {
        let href = self.attributes.iter().find(|raw| self.bytes(raw.name) == b"href").copied();
        let Some(href) = href else {
            return Err(self.problem(RejectCode::Absent, child.at, "an attribute `href`", "none"));
        };
        let href = self.attribute_text(&href)?;
        let id = percent_decoded(href.strip_prefix("cid:").unwrap_or(&href));
        let Some(bytes) = self.parts.as_ref().and_then(|parts| parts.part(&id)) else {
            return Err(self.problem(
                RejectCode::Absent,
                child.at,
                format!("the part `{id}` beside the envelope"),
                "none",
            ));
        };
        use base64::Engine;
        let start = self.text.len();
        let room = bytes.len().div_ceil(3) * 4;
        self.text.resize(start + room, 0);
        let written = base64::engine::general_purpose::STANDARD.encode_slice(bytes, &mut self.text[start..]);
        self.text.truncate(start + written.unwrap_or(0));
        Ok(())
    }

    /// Text between elements, where none is due, has only white space in it; other text is counted.
    pub(super) fn stray(&mut self, from: usize, to: usize) -> Outcome<()> {
        if self.bytes((from, to)).iter().all(|byte| is_space(*byte)) {
            return Ok(());
        }
        self.lenient(Leniency::StrayText, from, RejectCode::Unexpected, "elements alone", |own| {
            format!("the text `{}`", own.shown((from, to)))
        })
    }
}
