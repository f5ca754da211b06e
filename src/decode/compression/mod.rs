//! Compressed input is read through: gzip, zip, zstd and bzip2, told by the first bytes or by declaration.
//!
//! [`Compression::open`] puts an [`Input`] before the reader of a format. It answers reads and seeks over the unpacked
//! bytes, so that positions, checkpoints and resuming mean the same for every file: **offsets count unpacked bytes**.
//! A seek backward starts again at the beginning and a seek forward reads on, both in bounded memory. What is landed
//! and hashed stays the compressed file as it came.
//!
//! Compressed data that breaks off, is damaged, or unpacks to more than is allowed is a [`Damage`], which names the
//! byte of the compressed file. Everything before it is handed out first; whether it may be seen is for the caller to
//! say, who can read the data to its end beforehand ([`Input::verify`]).

mod input;
mod stream;
#[cfg(test)]
mod tests;
mod zip;

use std::io::{self, Read, Seek, SeekFrom};

use super::reader::StreamFault;
use crate::record::RejectCode;

pub(super) use input::Input;

/// How a file is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Packing {
    /// As its first bytes say.
    #[default]
    Auto,
    /// Not at all: it is read as it is.
    None,
    /// RFC 1952, one or more members.
    Gzip,
    /// A zip archive (PKWARE APPNOTE 6.3), of which one member is read.
    Zip,
    /// RFC 8878, one or more frames.
    Zstd,
    /// bzip2, one or more streams.
    Bzip2,
}

impl Packing {
    /// Every choice with its name.
    pub const WORDS: &'static [(&'static str, Packing)] = &[
        ("auto", Packing::Auto),
        ("none", Packing::None),
        ("gzip", Packing::Gzip),
        ("zip", Packing::Zip),
        ("zstd", Packing::Zstd),
        ("bzip2", Packing::Bzip2),
    ];

    /// The name.
    pub fn name(self) -> &'static str {
        Packing::WORDS.iter().find(|(_, packing)| *packing == self).map_or("", |(name, _)| name)
    }

    /// What the first bytes of a file say. Each pattern has at least 24 bits that no text begins with.
    fn detect(start: &[u8]) -> Packing {
        match start {
            // Compression method 8 is the only one; the upper three bits of the flags are reserved.
            [0x1F, 0x8B, 8, flags, ..] if flags & 0xE0 == 0 => Packing::Gzip,
            // A member, or the end of an archive without members.
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Packing::Zip,
            // A frame, or one that is to be skipped.
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Packing::Zstd,
            // A block, or the end of a stream without blocks.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, ..] => Packing::Bzip2,
            _ => Packing::None,
        }
    }
}

/// Bytes that [`Packing::detect`] looks at.
const MAGIC: usize = 8;

/// How compressed files are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// How they are packed.
    pub packing: Packing,
    /// Which member of a zip archive is meant: a pattern for its name with `*` and `?`, compared with the last part of
    /// the name unless the pattern has a `/`.
    pub member: Option<glob::Pattern>,
    /// A file that unpacks to more bytes is refused.
    pub max_unpacked: u64,
    /// A file of which more than so many bytes come out of one is refused, once [`RATIO_FROM`] bytes came out.
    pub max_ratio: u64,
}

/// Below this many unpacked bytes nothing is said about the ratio: small files may well be all blanks.
pub const RATIO_FROM: u64 = 64 << 20;

impl Default for Compression {
    fn default() -> Compression {
        Compression { packing: Packing::Auto, member: None, max_unpacked: 64 << 30, max_ratio: 300 }
    }
}

impl Compression {
    /// A pattern for the name of a member.
    pub fn parse_member(text: &str) -> Result<glob::Pattern, String> {
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        glob::Pattern::new(text).map_err(|error| format!("`{text}` is no file name pattern: {}", error.msg))
    }

    /// The first `at_most` bytes of a compressed file, unpacked, and how many it has; `None` for one that is not
    /// compressed.
    pub fn beginning<R: Read + Seek>(&self, input: R, at_most: u64) -> Result<Option<(Vec<u8>, u64)>, StreamFault> {
        let mut input = self.open(input, false)?;
        if input.counter().is_none() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        input.by_ref().take(at_most).read_to_end(&mut bytes)?;
        let rest = std::io::copy(&mut input, &mut std::io::sink())?;
        let size = bytes.len() as u64 + rest;
        Ok(Some((bytes, size)))
    }

    /// A small file as a whole, unpacked; one of more than `max_bytes` is refused.
    pub fn read_all<R: Read + Seek>(&self, input: R, max_bytes: u64) -> Result<Vec<u8>, StreamFault> {
        let strict = Compression { max_unpacked: self.max_unpacked.min(max_bytes), ..self.clone() };
        let mut content = Vec::new();
        strict.open(input, false)?.take(max_bytes + 1).read_to_end(&mut content)?;
        if content.len() as u64 > max_bytes {
            let message = format!("the file has more than {} MiB", max_bytes >> 20);
            return Err(StreamFault::Layout { code: RejectCode::TooLarge, message, offset: max_bytes, line: None });
        }
        Ok(content)
    }

    /// Begins to read a file at its start. `of_zip` says that the format itself is a zip archive (a workbook), which is
    /// then only opened by declaration.
    pub(super) fn open<R: Read + Seek>(&self, mut input: R, of_zip: bool) -> io::Result<Input<R>> {
        input.seek(SeekFrom::Start(0))?;
        let packing = match self.packing {
            Packing::Auto => {
                let mut start = Vec::with_capacity(MAGIC);
                input.by_ref().take(MAGIC as u64).read_to_end(&mut start)?;
                input.seek(SeekFrom::Start(0))?;
                match Packing::detect(&start) {
                    Packing::Zip if of_zip => Packing::None,
                    found => found,
                }
            }
            declared => declared,
        };
        Input::new(input, packing, self)
    }
}

/// What is in a zip archive that is a document itself.
pub(super) struct Contents {
    /// The names of its members.
    pub(super) names: Vec<String>,
    /// The members that were wanted, by name, unpacked.
    pub(super) wanted: Vec<(String, Vec<u8>)>,
    /// It unpacks to more than was allowed, and was not read on.
    pub(super) is_cut: bool,
}

/// Unpacks all members of a zip archive, to know before it is given to others that it unpacks to at most so many bytes,
/// whatever it says itself. What is unpacked is dropped, but for what is wanted; `see` gets it piece by piece, each with
/// the member's name, and an empty one behind each member.
pub(super) fn unpack_all<R: Read + Seek>(
    mut input: R,
    max_bytes: u64,
    is_wanted: impl Fn(&str) -> bool,
    mut see: impl FnMut(&str, &[u8]),
) -> io::Result<Contents> {
    let mut contents = Contents { names: Vec::new(), wanted: Vec::new(), is_cut: false };
    let mut total = 0;
    for member in zip::members(&mut input)? {
        let mut kept = Vec::new();
        let name = member.name.clone();
        let is_kept = is_wanted(&name) && !contents.names.contains(&name);
        contents.names.push(name.clone());
        let mut stream = stream::Stream::of_member(&mut input, member)?;
        let mut piece = vec![0; 64 << 10];
        loop {
            let read = stream.read(&mut piece)?;
            total += read as u64;
            see(&name, &piece[..read]);
            contents.is_cut = total > max_bytes;
            if contents.is_cut {
                return Ok(contents);
            }
            if is_kept {
                kept.extend_from_slice(&piece[..read]);
            }
            if read == 0 {
                break;
            }
        }
        if is_kept {
            contents.wanted.push((name, kept));
        }
    }
    Ok(contents)
}

/// Why compressed data cannot be read on. It travels as the cause of an [`io::Error`], because that is what a
/// [`Read`] may answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct Damage {
    /// The kind of fault.
    pub(super) code: RejectCode,
    /// One sentence with the offset in the compressed file, and what to do.
    pub(super) message: String,
    /// How many bytes were unpacked before it.
    pub(super) unpacked: u64,
}

impl Damage {
    fn new(code: RejectCode, message: String) -> Damage {
        Damage { code, message, unpacked: 0 }
    }

    fn into_error(self) -> io::Error {
        io::Error::other(self)
    }

    /// The damage that an error carries, if it does.
    pub(super) fn of(error: &io::Error) -> Option<&Damage> {
        error.get_ref().and_then(|cause| cause.downcast_ref())
    }
}
