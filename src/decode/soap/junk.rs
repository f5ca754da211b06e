//! What is no envelope: before it, behind it, or instead of it.

use std::io::Read;

use super::around::Kind as LevelKind;
use super::leniency::Leniency;
use super::machine::{Outcome, Stop};
use super::reader::Reader;
use crate::decode::reader::StreamFault;
use crate::decode::xml::Token;
use crate::record::RejectCode;

/// How much may stand before the envelope.
const MAX_JUNK: u64 = 1 << 20;

impl<R: Read> Reader<R> {
    /// Text outside of records.
    pub(super) fn text(&mut self, from: usize, to: usize) -> Result<(), StreamFault> {
        let is_blank = self.machine.bytes((from, to)).iter().all(|byte| crate::decode::window::is_blank(*byte));
        if is_blank {
            return Ok(());
        }
        let outcome = match self.levels.last().map(|level| level.kind) {
            None => self.junk(from),
            Some(LevelKind::Free) => Ok(()),
            Some(_) => self.machine.stray(from, to),
        };
        outcome.map_err(|stop| self.lost(*stop))
    }

    /// Something that is no envelope.
    pub(super) fn junk(&mut self, at: usize) -> Outcome<()> {
        if self.is_bare && self.is_done {
            return Err(self.machine.malformed(at, "something behind the document's element"));
        }
        if !self.is_done && self.machine.window.offset() > MAX_JUNK {
            return Err(Box::new(Stop::Document(self.no_envelope())));
        }
        if !std::mem::replace(&mut self.has_junk, true) {
            self.opening = self.machine.window.first(200).to_vec();
            self.machine.lenient(Leniency::Junk, at, RejectCode::Envelope, "an envelope and nothing else", |own| {
                format!("`{}`", own.shown((at, at + 40)))
            })?;
        }
        Ok(())
    }

    /// What looks like markup outside of the envelope and is none.
    pub(super) fn pass_junk(&mut self, stop: Stop) -> Result<(), StreamFault> {
        let is_doctype =
            self.machine.window.bytes().get(self.machine.at..).is_some_and(|rest| rest.starts_with(b"<!DOCTYPE"));
        match stop {
            Stop::Document(StreamFault::Layout { code: RejectCode::Malformed | RejectCode::Truncated, .. })
                if !is_doctype && !self.is_bare =>
            {
                self.junk(self.machine.at).map_err(|stop| self.lost(*stop))?;
                self.machine.at += 1;
                Ok(())
            }
            Stop::Document(fault) if is_doctype && self.is_page() => {
                drop(fault);
                Err(self.no_envelope())
            }
            other => Err(self.lost(other)),
        }
    }

    /// Whether what comes is a page for people.
    pub(super) fn is_page(&self) -> bool {
        let rest = self.machine.window.bytes().get(self.machine.at..).unwrap_or_default();
        let start: Vec<u8> = rest.iter().take(30).map(u8::to_ascii_lowercase).collect();
        memchr::memmem::find(&start, b"html").is_some()
    }

    #[cold]
    pub(super) fn no_envelope(&self) -> StreamFault {
        let start = if self.opening.is_empty() { self.machine.window.first(200) } else { &self.opening };
        let shown: String = String::from_utf8_lossy(start).split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = shown.chars().take(100).collect();
        let what = match shown.as_str() {
            "" => "the answer is empty: there is no SOAP envelope".to_owned(),
            shown => format!("there is no SOAP envelope; the answer begins with `{shown}`"),
        };
        self.machine.fault(0, RejectCode::FileUnreadable, &what)
    }

    /// The end of the input.
    pub(super) fn finish(&mut self) -> Result<(), StreamFault> {
        if !self.levels.is_empty() {
            return Err(self.machine.broken(self.machine.at, Token::Eof));
        }
        if !self.is_done {
            return Err(self.no_envelope());
        }
        let is_due = self.soap.plan.operation.output.as_ref().is_some_and(|output| output.body.root.is_some());
        if is_due && !self.has_answer && !self.is_bare {
            self.has_answer = true;
            let outcome =
                self.machine.lenient(Leniency::Missing, self.machine.at, RejectCode::Absent, "an answer", |_| {
                    "an empty body".to_owned()
                });
            outcome.map_err(|stop| self.lost(*stop))?;
        }
        Ok(())
    }
}
