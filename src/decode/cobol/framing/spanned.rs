//! Spanned records (RECFM=VBS): records that go on from block to block in segments, put together.
//!
//! Every segment has a descriptor word: its length in two bytes with the word counted, then a control code: 0 is a whole
//! record, 1 the first segment of one, 3 one in the middle, 2 the last (DFSMS Using Data Sets, "Spanned Variable-Length
//! Records"). What comes out is one record behind the other, each behind a word of four bytes with its length, high byte
//! first; that word counts nothing but the record. Offsets are those of what comes out, as in a file that is unpacked.

use std::io::{self, Read, Seek, SeekFrom};

use super::WORD;
use crate::decode::MAX_RECORD;
use crate::decode::compression::Damage;
use crate::record::RejectCode;

/// Set in the control code of a segment without any bytes.
const NULL_SEGMENT: u8 = 0x80;

/// See the module.
pub(in crate::decode::cobol) struct Spanned<R> {
    input: R,
    /// Where in the input the blocks begin and end.
    first: u64,
    limit: u64,
    /// Where in the input the next byte lies.
    at: u64,
    /// Bytes that are left of the block.
    left: u64,
    /// The record that is given out, with its word, and how much of it was.
    record: Vec<u8>,
    taken: usize,
    /// Where in what comes out the record begins.
    offset: u64,
    /// Records that lay in more than one segment.
    pub(in crate::decode::cobol) joined: u64,
}

impl<R: Read + Seek> Spanned<R> {
    pub(in crate::decode::cobol) fn new(input: R, first: u64, limit: u64) -> Spanned<R> {
        let record = Vec::new();
        Spanned { input, first, limit, at: u64::MAX, left: 0, record, taken: 0, offset: 0, joined: 0 }
    }

    fn restart(&mut self) -> io::Result<()> {
        self.input.seek(SeekFrom::Start(self.first))?;
        (self.at, self.left, self.taken, self.offset, self.joined) = (self.first, 0, 0, 0, 0);
        self.record.clear();
        Ok(())
    }

    /// Puts the next record together; false at the end.
    fn next(&mut self) -> io::Result<bool> {
        if self.at == u64::MAX {
            self.restart()?;
        }
        self.offset += self.record.len() as u64;
        self.taken = 0;
        self.record.clear();
        self.record.extend([0; WORD]);
        let mut open = false;
        loop {
            let before = self.at;
            if self.left == 0 {
                let Some(word) = self.word()? else {
                    return if open {
                        Err(self.cut("inside a record that goes on in another block"))
                    } else {
                        Ok(false)
                    };
                };
                let length = match word[0] & 0x80 {
                    0 => u64::from(u16::from_be_bytes([word[0], word[1]])),
                    _ => u64::from(u32::from_be_bytes(word) & 0x7FFF_FFFF),
                };
                self.left = length.checked_sub(WORD as u64).filter(|left| *left > 0).ok_or_else(|| {
                    lost(
                        before,
                        &format!("the block descriptor word {} gives no length that a block can have", hex(word)),
                    )
                })?;
                continue;
            }
            let Some(word) = self.word()? else { return Err(self.cut("inside a block")) };
            let length = u64::from(u16::from_be_bytes([word[0], word[1]]));
            let code = word[2] & !NULL_SEGMENT;
            if length < WORD as u64 || length > self.left || code > 3 || word[3] != 0 {
                return Err(lost(
                    before,
                    &format!("the segment descriptor word {} is none that a segment can have", hex(word)),
                ));
            }
            self.left -= length;
            let length = length as usize - WORD;
            if word[2] & NULL_SEGMENT != 0 {
                self.pass(length as u64)?;
                continue;
            }
            // A whole record or the first segment of one where none is open, else a later one.
            if matches!(code, 0 | 1) == open {
                let found = if open { "begins a record inside another" } else { "goes on with no record" };
                return Err(lost(before, &format!("the segment with the descriptor word {} {found}", hex(word))));
            }
            if self.record.len() - WORD + length > MAX_RECORD {
                return Err(lost(before, &format!("a record of more than {MAX_RECORD} bytes goes on here")));
            }
            let start = self.record.len();
            self.record.resize(start + length, 0);
            let filled = fill(&mut self.input, &mut self.record[start..], self.limit.saturating_sub(self.at))?;
            self.at += filled as u64;
            if filled < length {
                return Err(self.cut("inside a segment"));
            }
            open = matches!(code, 1 | 3);
            self.joined += u64::from(code == 2);
            if !open {
                break;
            }
        }
        let length = (self.record.len() - WORD) as u32;
        if let Some(word) = self.record.first_chunk_mut::<WORD>() {
            *word = length.to_be_bytes();
        }
        Ok(true)
    }

    /// The next four bytes; `None` at the end.
    fn word(&mut self) -> io::Result<Option<[u8; WORD]>> {
        let mut word = [0u8; WORD];
        let filled = fill(&mut self.input, &mut word, self.limit.saturating_sub(self.at))?;
        self.at += filled as u64;
        match filled {
            0 => Ok(None),
            WORD => Ok(Some(word)),
            _ => Err(self.cut("inside a descriptor word")),
        }
    }

    fn pass(&mut self, length: u64) -> io::Result<()> {
        let wanted = length.min(self.limit.saturating_sub(self.at));
        let passed = io::copy(&mut (&mut self.input).take(wanted), &mut io::sink())?;
        self.at += passed;
        if passed < length { Err(self.cut("inside a segment")) } else { Ok(()) }
    }

    #[cold]
    fn cut(&self, place: &str) -> io::Error {
        damage(RejectCode::Truncated, self.at, &format!("the file ends {place}: it is cut off"))
    }
}

impl<R: Read + Seek> Read for Spanned<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.record.len() && !self.next()? {
            self.offset += self.record.len() as u64;
            self.record.clear();
            self.taken = 0;
            return Ok(0);
        }
        let rest = self.record.get(self.taken..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.taken += length;
        Ok(length)
    }
}

impl<R: Read + Seek> Seek for Spanned<R> {
    /// Goes through the records from the start where the place is behind. There is no place from the end.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(wanted) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        if self.at == u64::MAX || wanted < self.offset {
            self.restart()?;
        }
        while wanted > self.offset + self.record.len() as u64 {
            if !self.next()? {
                break;
            }
        }
        let within = usize::try_from(wanted.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        self.taken = within.min(self.record.len());
        Ok(wanted)
    }
}

/// Reads until the buffer is full, the input ends or `limit` bytes were read.
fn fill<R: Read>(input: &mut R, buffer: &mut [u8], limit: u64) -> io::Result<usize> {
    let end = buffer.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
    let mut filled = 0;
    while filled < end {
        match input.read(&mut buffer[filled..end]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cold]
fn lost(at: u64, what: &str) -> io::Error {
    damage(RejectCode::BadLength, at, what)
}

fn damage(code: RejectCode, at: u64, what: &str) -> io::Error {
    io::Error::other(Damage { code, message: format!("at byte {at}: {what}"), unpacked: at })
}

fn hex(word: [u8; WORD]) -> String {
    word.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// An input, and where its records are spanned what comes of it.
pub(in crate::decode::cobol) enum Stream<R> {
    Plain(R),
    Spanned(Box<Spanned<R>>),
}

impl<R: Read + Seek> Read for Stream<R> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(input) => input.read(buffer),
            Stream::Spanned(input) => input.read(buffer),
        }
    }
}

impl<R: Read + Seek> Seek for Stream<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Stream::Plain(input) => input.seek(to),
            Stream::Spanned(input) => input.seek(to),
        }
    }
}
