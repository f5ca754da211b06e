//! XML that is the text of an element of another document: as UTF-8, with a way back to where it stands there.
//!
//! A reference is longer than the character that it means, so a place in the text as it was written is never before the
//! same place in the text as it is read. That gives places which grow from tag to tag and never lie behind the element:
//! counted in bytes, where the document around is UTF-8, and else in characters, of which no encoding has one in less
//! than a byte.

use std::io::{self, Read};

/// Bytes of text between two places whose characters are known.
const STEP: usize = 4096;

/// See the module.
pub(in crate::decode) struct Within {
    text: Vec<u8>,
    read: usize,
    /// Where the text begins in the document around it.
    start: u64,
    /// How many characters lie before each [`STEP`] bytes, where places count them.
    characters: Option<Vec<u64>>,
    /// The encoding of the document around, and the stretches of the text in which it has bytes that mean nothing.
    faults: Option<(&'static str, Vec<(usize, usize)>)>,
}

impl Within {
    /// A text that begins at an offset of its document, which is UTF-8.
    pub(in crate::decode) fn utf8(text: Vec<u8>, start: u64) -> Within {
        Within { text, read: 0, start, characters: None, faults: None }
    }

    /// A text that was turned from another encoding; in `faults`, ordered stretches of it, characters stand in the place
    /// of bytes that mean nothing there.
    pub(in crate::decode) fn turned(
        text: Vec<u8>,
        start: u64,
        encoding: &'static str,
        faults: Vec<(usize, usize)>,
    ) -> Within {
        let steps = text.chunks(STEP).scan(0, |before, step| {
            let here = *before;
            *before += characters(step);
            Some(here)
        });
        let steps = steps.collect();
        Within { text, read: 0, start, characters: Some(steps), faults: Some((encoding, faults)) }
    }

    /// Passes over a byte order mark; answers how long it is.
    pub(in crate::decode) fn pass_mark(&mut self) -> u64 {
        self.read = if self.text.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
        self.read as u64
    }

    pub(super) fn raw_offset(&self, place: u64) -> u64 {
        let place = usize::try_from(place).map_or(self.text.len(), |place| place.min(self.text.len()));
        let Some(steps) = &self.characters else { return self.start + place as u64 };
        // The end of a text of whole steps has none of its own.
        let step = (place / STEP).min(steps.len().saturating_sub(1));
        let rest = self.text.get(step * STEP..place).unwrap_or_default();
        self.start + steps.get(step).copied().unwrap_or(0) + characters(rest)
    }

    pub(super) fn broken(&self, from: u64, to: u64) -> Option<&'static str> {
        let (encoding, faults) = self.faults.as_ref()?;
        let place = |place| usize::try_from(place).map_or(self.text.len(), |place: usize| place.min(self.text.len()));
        let (from, to) = (place(from), place(to));
        let first = faults.partition_point(|fault| fault.1 <= from);
        let around = faults.iter().skip(first).take_while(|fault| fault.0 < to);
        let mut parts = around.map(|fault| self.text.get(fault.0.max(from)..fault.1.min(to)).unwrap_or_default());
        // A stretch may be long, and hold many records that are sound.
        parts.any(|part| memchr::memmem::find(part, "\u{FFFD}".as_bytes()).is_some()).then_some(*encoding)
    }
}

impl Read for Within {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.text.get(self.read..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.read += length;
        Ok(length)
    }
}

/// How many characters begin in these bytes of a text in UTF-8.
fn characters(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as u64
}
