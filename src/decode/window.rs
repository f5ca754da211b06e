//! A sliding window over an input: the bytes that are in memory now, and where in the input they lie.
//!
//! Records are read out of the window in place. It grows only for a record that does not fit, so memory follows the
//! longest record and not the file.

use std::io::{self, ErrorKind, Read};

use super::MAX_RECORD;

/// Bytes asked of the input at a time: large enough that system calls do not count, small enough for the cache.
const READ_SIZE: usize = 256 << 10;

/// Bytes asked of an input at first: answers of services and other small inputs need no more room than these.
const FIRST_READ: usize = 4 << 10;

/// A window of more bytes than this becomes one for the longest record. What is not written to takes no memory, while what
/// is left of smaller ones on the way does.
const LARGE: usize = 1 << 20;

/// What may stand around records without being one: line ends, blanks, and what pads the ends of files.
pub(super) fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0 || byte == 0x1A
}

/// The window itself; the input is passed to [`Window::fill`], so that a record may borrow the window alone.
pub(super) struct Window {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the input of the byte at `start`.
    offset: u64,
    /// Bytes of the input that lie at or beyond this offset are not looked at.
    limit: u64,
    ended: bool,
    /// Bytes asked of the input at a time as yet; as more of it comes they grow to [`READ_SIZE`].
    reads: usize,
}

impl Window {
    /// An empty window on an input that stands at `offset` and is read up to `limit`.
    pub(super) fn new(offset: u64, limit: u64) -> Window {
        Window { buffer: Vec::new(), start: 0, end: 0, offset, limit, ended: false, reads: FIRST_READ }
    }

    /// A window on bytes that are all there is; the first lies at `offset`.
    pub(super) fn of(bytes: Vec<u8>, offset: u64) -> Window {
        Window { start: 0, end: bytes.len(), buffer: bytes, offset, limit: 0, ended: true, reads: FIRST_READ }
    }

    /// As [`Window::new`], with the room of this one.
    pub(super) fn restart(&mut self, offset: u64, limit: u64) {
        let buffer = std::mem::take(&mut self.buffer);
        *self = Window { buffer, ..Window::new(offset, limit) };
    }

    /// Bytes that it has room for.
    pub(super) fn room(&self) -> usize {
        self.buffer.capacity()
    }

    /// What is in memory and not consumed.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The first `length` of [`Window::bytes`], or as many as there are.
    pub(super) fn first(&self, length: usize) -> &[u8] {
        let bytes = self.bytes();
        &bytes[..length.min(bytes.len())]
    }

    /// Offset in the input of the first byte of [`Window::bytes`].
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads until `wanted` bytes are in the window; false when the input ends before.
    pub(super) fn fill<R: Read>(&mut self, input: &mut R, wanted: usize) -> io::Result<bool> {
        if self.end - self.start >= wanted {
            return Ok(true);
        }
        if self.ended {
            return Ok(false);
        }
        if self.start + wanted > self.buffer.capacity() {
            if self.buffer.capacity() > 0 {
                self.reads = (self.reads * 4).min(READ_SIZE);
            }
            let mut size = wanted.next_multiple_of(self.reads).max(2 * self.reads);
            if size > LARGE {
                size = size.max(MAX_RECORD + 2 * READ_SIZE);
            }
            if self.buffer.capacity() < size {
                let mut larger = Vec::with_capacity(size);
                larger.extend_from_slice(self.bytes());
                self.buffer = larger;
            } else {
                self.buffer.copy_within(self.start..self.end, 0);
            }
            self.end -= self.start;
            self.start = 0;
        }
        while self.end - self.start < wanted {
            if self.end == self.buffer.len() {
                // Zeros are written to no more of it than is read next.
                let more = (self.buffer.capacity() - self.end).min(self.reads);
                self.buffer.resize(self.end + more, 0);
            }
            let left = self.limit.saturating_sub(self.offset + (self.end - self.start) as u64);
            let room = (self.buffer.len() - self.end).min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = match input.read(&mut self.buffer[self.end..self.end + room]) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if read == 0 {
                self.ended = true;
                return Ok(false);
            }
            self.end += read;
        }
        Ok(true)
    }

    /// Reads more than there is; false when the input has ended.
    pub(super) fn grow<R: Read>(&mut self, input: &mut R) -> io::Result<bool> {
        let held = self.end - self.start;
        if self.start + held < self.buffer.capacity() {
            return self.fill(input, held + 1);
        }
        // Doubling keeps the copying of a growing record linear; beyond the cap of a record nobody asks for more.
        let wanted = (held * 2 + 1).min(MAX_RECORD + READ_SIZE).max(held + 1);
        match self.fill(input, wanted) {
            // What came before the fault is whole; the fault comes again to whoever needs more. So records before it are
            // the same wherever reading began.
            Err(_) if self.end - self.start > held => Ok(true),
            Err(error) => Err(error),
            Ok(_) => Ok(self.end - self.start > held),
        }
    }

    /// Moves the start of the window to the first byte that [is not blank](is_blank); false at the end of the input.
    pub(super) fn skip_blanks<R: Read>(&mut self, input: &mut R) -> io::Result<bool> {
        loop {
            if let Some(solid) = self.bytes().iter().position(|byte| !is_blank(*byte)) {
                self.consume(solid);
                return Ok(true);
            }
            self.consume(usize::MAX);
            if !self.fill(input, 1)? {
                return Ok(false);
            }
        }
    }

    /// Moves the start of the window on.
    pub(super) fn consume(&mut self, length: usize) {
        let length = length.min(self.end - self.start);
        self.start += length;
        self.offset += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::Window;
    use std::io::Read;

    /// Answers at most three bytes at a time.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = buffer.len().min(3).min(self.0.len());
            let (now, later) = self.0.split_at(length);
            buffer[..length].copy_from_slice(now);
            self.0 = later;
            Ok(length)
        }
    }

    #[test]
    fn every_byte_once_in_order() {
        let data: Vec<u8> = (0..2_000_000u32).map(|i| (i % 251) as u8).collect();
        for step in [1usize, 7, 263, 300_000] {
            let mut input = &data[..];
            let mut window = Window::new(0, u64::MAX);
            let mut seen = Vec::new();
            while window.fill(&mut input, step).unwrap() {
                assert_eq!(window.offset(), seen.len() as u64);
                seen.extend_from_slice(window.first(step));
                window.consume(step);
            }
            seen.extend_from_slice(window.bytes());
            assert_eq!(seen, data);
        }
    }

    #[test]
    fn stops_at_its_limit_and_grows_for_what_is_large() {
        let data = vec![7u8; 5_000_000];
        let mut window = Window::new(0, 4_000_000);
        let mut input = Dribble(&data);
        assert!(window.fill(&mut input, 10).unwrap());
        while window.grow(&mut input).unwrap() {}
        assert_eq!(window.bytes().len(), 4_000_000);
        assert!(!window.fill(&mut input, 4_000_001).unwrap());
    }
}
