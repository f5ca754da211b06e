//! The unpacked bytes as something that can be read and sought in.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::stream::Stream;
use super::{Compression, Damage, Packing};

/// Bytes unpacked at a time.
const PIECE: usize = 128 << 10;
/// Unpacked bytes that stay in memory behind the place that is read, so that a look back does not start again: the last
/// lines of a file are found by looking from its end.
const KEPT: usize = 256 << 10;
/// The most that is held.
const HELD: usize = 4 * KEPT;

/// A file as its format sees it: unpacked where it is packed.
pub(in crate::decode) struct Input<R>(Inner<R>);

enum Inner<R> {
    Plain(R),
    Packed(Box<Unpacked<R>>),
}

struct Unpacked<R> {
    stream: Stream<R>,
    /// What was unpacked last: everything from `start` up to what the stream gives next.
    held: Vec<u8>,
    start: u64,
    /// Where reading goes on; may lie before or behind what is held.
    position: u64,
    /// How many bytes there are, once the end was seen.
    length: Option<u64>,
    damage: Option<Damage>,
    /// How far the compressed file was read, for those who watch.
    consumed: Arc<AtomicU64>,
}

impl<R: Read + Seek> Input<R> {
    pub(super) fn new(input: R, packing: Packing, settings: &Compression) -> io::Result<Input<R>> {
        if matches!(packing, Packing::None | Packing::Auto) {
            return Ok(Input(Inner::Plain(input)));
        }
        let stream = Stream::open(input, packing, settings)?;
        let unpacked = Unpacked {
            stream,
            held: Vec::new(),
            start: 0,
            position: 0,
            length: None,
            damage: None,
            consumed: Arc::default(),
        };
        Ok(Input(Inner::Packed(Box::new(unpacked))))
    }

    /// Reads compressed data to its end. Says nothing of data that is not compressed.
    pub(in crate::decode) fn verify(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Inner::Plain(_) => Ok(()),
            Inner::Packed(unpacked) => unpacked.find_length().map(|_| ()),
        }
    }

    /// What counts the bytes of the compressed file that were read; `None` where nothing is compressed.
    pub(in crate::decode) fn counter(&self) -> Option<Arc<AtomicU64>> {
        match &self.0 {
            Inner::Plain(_) => None,
            Inner::Packed(unpacked) => Some(Arc::clone(&unpacked.consumed)),
        }
    }
}

impl<R: Read + Seek> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Plain(input) => input.read(buffer),
            Inner::Packed(unpacked) => unpacked.read(buffer),
        }
    }
}

impl<R: Read + Seek> Seek for Input<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.0 {
            Inner::Plain(input) => input.seek(to),
            Inner::Packed(unpacked) => unpacked.seek(to),
        }
    }
}

impl<R: Read + Seek> Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position < self.start {
            self.stream.restart()?;
            self.held.clear();
            (self.start, self.damage) = (0, None);
        }
        loop {
            let from = usize::try_from(self.position - self.start).unwrap_or(usize::MAX);
            if let Some(bytes) = self.held.get(from..).filter(|bytes| !bytes.is_empty()) {
                let length = bytes.len().min(buffer.len());
                buffer[..length].copy_from_slice(&bytes[..length]);
                self.position += length as u64;
                return Ok(length);
            }
            if !self.unpack()? {
                return Ok(0);
            }
        }
    }

    /// Unpacks the next piece; false at the end.
    fn unpack(&mut self) -> io::Result<bool> {
        if let Some(damage) = &self.damage {
            return Err(damage.clone().into_error());
        }
        if self.held.len() + PIECE > HELD {
            let gone = self.held.len() - KEPT;
            self.held.drain(..gone);
            self.start += gone as u64;
        }
        let filled = self.held.len();
        self.held.resize(filled + PIECE, 0);
        let read = self.stream.read(&mut self.held[filled..]);
        self.held.truncate(filled + read.as_ref().map_or(0, |read| *read));
        self.consumed.store(self.stream.offset(), Ordering::Relaxed);
        match read {
            Ok(0) => {
                self.length = Some(self.start + self.held.len() as u64);
                Ok(false)
            }
            Ok(_) => Ok(true),
            Err(error) => {
                self.damage = Damage::of(&error).cloned();
                Err(error)
            }
        }
    }

    fn find_length(&mut self) -> io::Result<u64> {
        loop {
            if let Some(length) = self.length {
                return Ok(length);
            }
            self.unpack()?;
        }
    }

    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(position) => {
                self.position = position;
                return Ok(position);
            }
            SeekFrom::Current(by) => (self.position, by),
            SeekFrom::End(by) => (self.find_length()?, by),
        };
        let target = base.checked_add_signed(by);
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
