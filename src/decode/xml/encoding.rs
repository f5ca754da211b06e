//! The text of an XML file: UTF-8 as it is, any other encoding turned into UTF-8 on the way, with a way back from a
//! place in the text to the byte of the file.
//!
//! Positions are only asked for at or shortly behind a `<`. So the bytes are turned piece by piece from one `<` to the
//! next, and where each piece begins is kept for as long as the text is in memory. In every encoding that is read, the
//! byte 3C (in UTF-16 the unit 003C) stands for `<` and nothing else.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::settings::Settings;
use super::within::Within;
use crate::decode::reader::StreamFault;
use crate::markup::{self, Sniffed};
use crate::record::RejectCode;

/// Bytes read at a time.
const BLOCK: usize = 64 << 10;

/// Gives the text of a file.
pub(in crate::decode) enum Source<R> {
    /// It is UTF-8 already.
    Utf8(R),
    /// It is turned into UTF-8.
    Other(Box<Transcoder<R>>),
    /// It is no file, but the text of an element of one.
    Within(Box<Within>),
}

impl<R: Read + Seek> Source<R> {
    /// Finds out the encoding and goes to where the text begins; answers how many bytes are before it.
    pub(in crate::decode) fn open(
        mut input: R,
        encoding: Option<&'static Encoding>,
    ) -> Result<(Source<R>, u64), StreamFault> {
        input.seek(SeekFrom::Start(0))?;
        let mut start = Vec::new();
        input.by_ref().take(markup::SNIFFED as u64).read_to_end(&mut start)?;
        let (encoding, mark) = sniff(&start, encoding).map_err(|message| StreamFault::Layout {
            code: RejectCode::FileUnreadable,
            message,
            offset: 0,
            line: Some(1),
        })?;
        input.seek(SeekFrom::Start(mark))?;
        let source = if encoding == UTF_8 {
            Source::Utf8(input)
        } else {
            Source::Other(Box::new(Transcoder::new(input, encoding, mark)))
        };
        Ok((source, mark))
    }
}

impl<R> Source<R> {
    /// The offset in the file of a place in the text; `before` is the text of at least the last tag before it.
    pub(in crate::decode) fn raw_offset(&self, place: u64, before: &[u8]) -> u64 {
        match self {
            Source::Utf8(_) => place,
            Source::Other(transcoder) => transcoder.raw_offset(place, before),
            Source::Within(text) => text.raw_offset(place),
        }
    }

    /// The bytes of the file between two offsets; `None` where they are the text itself.
    pub(in crate::decode) fn raw(&self, from: u64, to: u64) -> Option<&[u8]> {
        match self {
            Source::Utf8(_) | Source::Within(_) => None,
            Source::Other(transcoder) => Some(transcoder.raw(from, to)),
        }
    }

    /// The name of the encoding that the text is turned from, if it is.
    pub(in crate::decode) fn turned_from(&self) -> Option<&'static str> {
        match self {
            Source::Utf8(_) | Source::Within(_) => None,
            Source::Other(transcoder) => Some(transcoder.encoding.name()),
        }
    }

    /// What lies before a place in the text is not asked for any more.
    pub(in crate::decode) fn release(&mut self, place: u64) {
        if let Source::Other(transcoder) = self {
            transcoder.release(place);
        }
    }

    /// The encoding's name when the text between two places has bytes that the encoding does not know.
    pub(in crate::decode) fn broken(&self, from: u64, to: u64) -> Option<&'static str> {
        match self {
            Source::Utf8(_) => None,
            Source::Other(transcoder) => transcoder.broken(from, to),
            Source::Within(text) => text.broken(from, to),
        }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Utf8(input) => input.read(buffer),
            Source::Other(transcoder) => transcoder.read(buffer),
            Source::Within(text) => text.read(buffer),
        }
    }
}

/// The encoding by byte order mark, by the shape of the first character, or by declaration; and the mark's length.
fn sniff(start: &[u8], forced: Option<&'static Encoding>) -> Result<(&'static Encoding, u64), String> {
    // A file that is said to be in an encoding may begin like EBCDIC all the same.
    let is_ebcdic = start.starts_with(&[0x4C, 0x6F, 0xA7, 0x94]);
    if let Some(forced) = forced.filter(|_| is_ebcdic) {
        return Ok((forced, 0));
    }
    let sniffed = markup::sniff(start)?;
    if let Some(forced) = forced {
        return Ok((
            forced,
            if let Sniffed::Sure(found, mark) = sniffed
                && found == forced
            {
                mark as u64
            } else {
                0
            },
        ));
    }
    match sniffed {
        Sniffed::Sure(found, mark) => Ok((found, mark as u64)),
        Sniffed::Nothing => Ok((UTF_8, 0)),
        Sniffed::Declared(label) => {
            let encoding = Settings::parse_encoding(&label)
                .map_err(|message| format!("the file declares the encoding `{label}`: {message}"))?;
            // What could be read so far has one byte a character, whatever it says.
            let is_wide = encoding == UTF_16LE || encoding == UTF_16BE;
            Ok((if is_wide { UTF_8 } else { encoding }, 0))
        }
    }
}

/// See the module.
pub(in crate::decode) struct Transcoder<R> {
    input: R,
    encoding: &'static Encoding,
    /// Of the piece that is being turned.
    decoder: Decoder,
    /// Bytes of the file from `raw_start` on.
    raw: Vec<u8>,
    raw_start: u64,
    /// How many of them were turned.
    turned: usize,
    ended: bool,
    /// Text that was not taken yet.
    text: Vec<u8>,
    taken: usize,
    /// Where the next text lies in the whole.
    text_end: u64,
    /// Where pieces begin: in the text and in the file.
    pieces: VecDeque<(u64, u64)>,
    /// Stretches of text that have characters in the place of bytes that mean nothing.
    faults: VecDeque<(u64, u64)>,
}

impl<R: Read> Transcoder<R> {
    fn new(input: R, encoding: &'static Encoding, at: u64) -> Transcoder<R> {
        Transcoder {
            input,
            encoding,
            decoder: encoding.new_decoder_without_bom_handling(),
            raw: Vec::new(),
            raw_start: at,
            turned: 0,
            ended: false,
            text: Vec::new(),
            taken: 0,
            text_end: at,
            pieces: VecDeque::from([(at, at)]),
            faults: VecDeque::new(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.text.len() {
            (self.taken, self.text) = (0, std::mem::take(&mut self.text));
            self.text.clear();
            if !self.turn()? {
                return Ok(0);
            }
        }
        let rest = &self.text[self.taken..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.taken += length;
        Ok(length)
    }

    /// Turns what was read, piece by piece; false at the end.
    fn turn(&mut self) -> io::Result<bool> {
        if self.turned == self.usable() && !self.ended {
            self.read_block()?;
        }
        // The first byte of a piece is its `<`.
        let (unit, end) = (self.unit(), self.usable());
        while self.turned < end && self.text.len() < BLOCK {
            let is_new = self.pieces.back().is_some_and(|piece| piece.1 == self.raw_start + self.turned as u64);
            let skip = if is_new { unit } else { 0 };
            let from = (self.turned + skip).min(end);
            let next = self.find(from, end).map_or(end, |found| from + found);
            let is_whole = next < end;
            let was = self.text.len();
            self.decode(next, is_whole);
            let bytes = (self.text.len() - was) as u64;
            self.text_end += bytes;
            if is_whole {
                self.begin_piece();
            }
        }
        if self.ended && self.turned == end {
            let was = self.text.len();
            self.decode(self.raw.len(), true);
            self.text_end += (self.text.len() - was) as u64;
            self.decoder = self.encoding.new_decoder_without_bom_handling();
        }
        Ok(!self.text.is_empty() || !self.ended)
    }

    fn begin_piece(&mut self) {
        self.decoder = self.encoding.new_decoder_without_bom_handling();
        self.pieces.push_back((self.text_end, self.raw_start + self.turned as u64));
    }

    /// Turns the bytes up to `to`.
    fn decode(&mut self, to: usize, is_last: bool) {
        let was = self.text.len();
        loop {
            let source = &self.raw[self.turned..to];
            let start = self.text.len();
            let room = self.decoder.max_utf8_buffer_length(source.len()).unwrap_or(4 * source.len() + 16);
            self.text.resize(start + room.max(16), 0);
            let (result, read, written, has_faults) =
                self.decoder.decode_to_utf8(source, &mut self.text[start..], is_last);
            self.text.truncate(start + written);
            self.turned += read;
            if has_faults {
                let from = self.text_end + (start - was) as u64;
                let stretch = (from, from + written as u64);
                match self.faults.back_mut() {
                    Some(last) if last.1 >= stretch.0 => last.1 = stretch.1,
                    _ => self.faults.push_back(stretch),
                }
            }
            if result == CoderResult::InputEmpty {
                return;
            }
        }
    }

    fn read_block(&mut self) -> io::Result<()> {
        let filled = self.raw.len();
        self.raw.resize(filled + BLOCK, 0);
        let read = loop {
            match self.input.read(&mut self.raw[filled..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.raw.truncate(filled + read.as_ref().map_or(0, |read| *read));
        self.ended = read? == 0;
        Ok(())
    }

    /// How far the bytes can be turned: a unit that is there by half waits for the rest, it may be a `<`.
    fn usable(&self) -> usize {
        self.turned + (self.raw.len() - self.turned) / self.unit() * self.unit()
    }

    /// Bytes of the unit that `<` takes.
    fn unit(&self) -> usize {
        if self.is_wide() { 2 } else { 1 }
    }

    fn is_wide(&self) -> bool {
        self.encoding == UTF_16LE || self.encoding == UTF_16BE
    }

    /// How far the next `<` lies behind an index of the raw bytes.
    fn find(&self, from: usize, end: usize) -> Option<usize> {
        let bytes = &self.raw[from..end];
        if !self.is_wide() {
            return memchr::memchr(b'<', bytes);
        }
        let mark = if self.encoding == UTF_16LE { [b'<', 0] } else { [0, b'<'] };
        // Only whole units are turned, so this begins with one.
        Some(2 * bytes.chunks_exact(2).position(|unit| unit == mark)?)
    }
}

impl<R> Transcoder<R> {
    fn raw_offset(&self, place: u64, before: &[u8]) -> u64 {
        let index = self.pieces.partition_point(|piece| piece.0 <= place).saturating_sub(1);
        let Some((text, raw)) = self.pieces.get(index) else { return place };
        let length = usize::try_from(place - text).unwrap_or(usize::MAX);
        let part = before.len().checked_sub(length).map_or(before, |from| &before[from..]);
        let bytes = if self.encoding.is_single_byte() {
            String::from_utf8_lossy(part).chars().count()
        } else if self.encoding == UTF_16LE || self.encoding == UTF_16BE {
            2 * String::from_utf8_lossy(part).encode_utf16().count()
        } else {
            self.turned_into(*raw, part.len())
        };
        // A character may stand for less than it would be written as: half of one, at the end.
        (raw + bytes as u64).min(self.raw_start + self.raw.len() as u64)
    }

    /// How many bytes of the file, from where a piece begins, are turned into so much text. They are turned once more:
    /// in these encodings a character may be written in several ways, and one that is read may be one that is not
    /// written at all.
    fn turned_into(&self, raw: u64, length: usize) -> usize {
        let from = usize::try_from(raw.saturating_sub(self.raw_start)).unwrap_or(usize::MAX);
        let bytes = self.raw.get(from..).unwrap_or_default();
        let mut decoder = self.encoding.new_decoder_without_bom_handling();
        // Room for all that one byte can end: what was begun before it, and itself.
        let mut room = [0; 32];
        let (mut read, mut text) = (0, 0);
        while text < length
            && let Some(byte) = bytes.get(read..read + 1)
        {
            text += decoder.decode_to_utf8(byte, &mut room, false).2;
            read += 1;
        }
        read
    }

    fn raw(&self, from: u64, to: u64) -> &[u8] {
        let index = |offset: u64| usize::try_from(offset.saturating_sub(self.raw_start)).unwrap_or(usize::MAX);
        let to = index(to).min(self.raw.len());
        self.raw.get(index(from)..to).unwrap_or_default()
    }

    fn release(&mut self, place: u64) {
        while self.pieces.get(1).is_some_and(|next| next.0 <= place) {
            self.pieces.pop_front();
        }
        while self.faults.front().is_some_and(|fault| fault.1 <= place) {
            self.faults.pop_front();
        }
        let needed = self.pieces.front().map_or(self.raw_start, |piece| piece.1);
        let gone = usize::try_from(needed - self.raw_start).unwrap_or(0).min(self.turned);
        // Moving what stays is only worth it now and then.
        if gone > self.raw.len() / 2 && gone > BLOCK {
            self.raw.drain(..gone);
            self.raw_start += gone as u64;
            self.turned -= gone;
        }
    }

    fn broken(&self, from: u64, to: u64) -> Option<&'static str> {
        self.faults.iter().any(|fault| fault.0 < to && fault.1 > from).then(|| self.encoding.name())
    }
}
