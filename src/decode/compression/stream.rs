//! One pass over compressed data, from its start to its end: member after member, checked and counted.

use std::io::{self, BufRead, ErrorKind, Read, Seek, SeekFrom};

use bzip2::bufread::BzDecoder;
use flate2::Crc;
use flate2::bufread::{DeflateDecoder, GzDecoder};
use zstd::stream::read::Decoder as ZstdDecoder;

use super::zip::{self, Member, Method};
use super::{Compression, Damage, MAGIC, Packing, RATIO_FROM};
use crate::record::RejectCode;

/// Compressed bytes read at a time.
const BLOCK: usize = 128 << 10;

/// The largest window of a zstd frame, as a power of two: what `zstd` itself reads without being told otherwise. It
/// bounds the memory that a frame can ask for.
const ZSTD_WINDOW: u32 = 27;

/// Compressed data that is being unpacked.
pub(super) struct Stream<R> {
    /// Only absent while it is exchanged for the next.
    decoder: Option<Decoder<R>>,
    packing: Packing,
    /// Of a zip archive, what is read.
    member: Option<Member>,
    crc: Crc,
    unpacked: u64,
    ended: bool,
    max_unpacked: u64,
    max_ratio: u64,
}

enum Decoder<R> {
    Gzip(Box<GzDecoder<Feed<R>>>),
    Deflate(DeflateDecoder<Feed<R>>),
    Zstd(Box<ZstdDecoder<'static, Feed<R>>>),
    Bzip2(BzDecoder<Feed<R>>),
    Stored(Feed<R>),
}

impl<R: Read + Seek> Stream<R> {
    /// Begins at the start of `input`.
    pub(super) fn open(mut input: R, packing: Packing, settings: &Compression) -> io::Result<Stream<R>> {
        let member = match packing {
            Packing::Zip => Some(zip::find(&mut input, settings.member.as_ref())?),
            _ => None,
        };
        let decoder = begin(Feed::open(input, member.as_ref())?, packing, member.as_ref())?;
        Ok(Stream {
            decoder: Some(decoder),
            packing,
            member,
            crc: Crc::new(),
            unpacked: 0,
            ended: false,
            max_unpacked: settings.max_unpacked,
            max_ratio: settings.max_ratio,
        })
    }

    /// One member of an archive, without limits: the caller counts.
    pub(super) fn of_member(input: R, member: Member) -> io::Result<Stream<R>> {
        let decoder = begin(Feed::open(input, Some(&member))?, Packing::Zip, Some(&member))?;
        Ok(Stream {
            decoder: Some(decoder),
            packing: Packing::Zip,
            member: Some(member),
            crc: Crc::new(),
            unpacked: 0,
            ended: false,
            max_unpacked: u64::MAX,
            max_ratio: u64::MAX,
        })
    }

    /// Goes back to the start.
    pub(super) fn restart(&mut self) -> io::Result<()> {
        let input = self.take_feed()?.input;
        let feed = Feed::open(input, self.member.as_ref())?;
        self.decoder = Some(begin(feed, self.packing, self.member.as_ref())?);
        (self.crc, self.unpacked, self.ended) = (Crc::new(), 0, false);
        Ok(())
    }

    /// Offset in the compressed file of the next byte that is looked at.
    pub(super) fn offset(&self) -> u64 {
        self.decoder.as_ref().map_or(0, |decoder| decoder.feed().offset())
    }

    /// Unpacks some bytes; 0 at the end of all members.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.ended {
            let Some(decoder) = &mut self.decoder else { break };
            match decoder.read(buffer) {
                Ok(0) => self.end_member()?,
                Ok(read) => {
                    self.unpacked += read as u64;
                    if self.member.is_some() {
                        self.crc.update(&buffer[..read]);
                    }
                    self.check_limits()?;
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Of the input, and no fault of what it holds.
                Err(error) if decoder.feed().failed => return Err(error),
                Err(error) => {
                    let what = match error.kind() {
                        ErrorKind::UnexpectedEof => "breaks off".to_owned(),
                        _ if decoder.feed().is_at_end() => "breaks off".to_owned(),
                        _ => format!("is damaged ({error})"),
                    };
                    return Err(self.damage(&what));
                }
            }
        }
        Ok(0)
    }

    /// What comes behind a member: another, the end, or something that does not belong there.
    fn end_member(&mut self) -> io::Result<()> {
        if let Some(member) = &self.member {
            if self.unpacked < member.size {
                return Err(self.damage("breaks off"));
            }
            if self.unpacked > member.size || self.crc.sum() != member.crc {
                return Err(self.damage("is damaged (its length or checksum is another than the archive says)"));
            }
            self.ended = true;
            return Ok(());
        }
        let mut feed = self.take_feed()?;
        let start = feed.peek(MAGIC)?;
        if Packing::detect(start) == self.packing {
            self.decoder = Some(begin(feed, self.packing, None)?);
            return Ok(());
        }
        // Tapes and block devices fill up with zeros.
        feed.skip_zeros()?;
        let is_clean = feed.fill_buf()?.is_empty();
        self.decoder = Some(Decoder::Stored(feed));
        self.ended = is_clean;
        if is_clean { Ok(()) } else { Err(self.damage("is followed by bytes that do not belong to it")) }
    }

    fn check_limits(&self) -> io::Result<()> {
        let too_large = |message: String| {
            let damage = Damage { code: RejectCode::TooLarge, message, unpacked: self.unpacked };
            Err(damage.into_error())
        };
        let consumed = self.offset();
        let name = self.packing.name();
        if self.unpacked > self.max_unpacked {
            return too_large(format!(
                "the {name} data unpacks to more than {} MiB, at byte {consumed} of the compressed file: raise \
                 `max_unpacked_mib` if that is right",
                self.max_unpacked >> 20
            ));
        }
        if self.unpacked > RATIO_FROM && self.unpacked / consumed.max(1) > self.max_ratio {
            return too_large(format!(
                "more than {} bytes come out of one, at byte {consumed} of the compressed file, as in a file that is \
                 made to fill disks: raise `max_unpack_ratio` if that is right",
                self.max_ratio
            ));
        }
        Ok(())
    }

    fn damage(&self, what: &str) -> io::Error {
        let subject = match &self.member {
            Some(member) => format!("the member {} of the zip archive", super::zip::shown(&member.name)),
            None => format!("the {} data", self.packing.name()),
        };
        let offset = self.offset();
        let message = format!("{subject} {what} at byte {offset} of the compressed file: have it sent again");
        Damage { code: RejectCode::FileUnreadable, message, unpacked: self.unpacked }.into_error()
    }

    fn take_feed(&mut self) -> io::Result<Feed<R>> {
        let lost = || io::Error::other("the compressed input was lost after an earlier fault");
        self.decoder.take().map(Decoder::into_feed).ok_or_else(lost)
    }
}

/// A decoder for the member at the start of the feed.
fn begin<R: Read>(feed: Feed<R>, packing: Packing, member: Option<&Member>) -> io::Result<Decoder<R>> {
    Ok(match (member.map(|member| member.method), packing) {
        (Some(Method::Stored), _) => Decoder::Stored(feed),
        (Some(Method::Deflate), _) => Decoder::Deflate(DeflateDecoder::new(feed)),
        (Some(Method::Zstd), _) | (None, Packing::Zstd) => {
            let mut decoder = ZstdDecoder::with_buffer(feed)?.single_frame();
            decoder.window_log_max(ZSTD_WINDOW)?;
            Decoder::Zstd(Box::new(decoder))
        }
        (Some(Method::Bzip2), _) | (None, Packing::Bzip2) => Decoder::Bzip2(BzDecoder::new(feed)),
        (None, _) => Decoder::Gzip(Box::new(GzDecoder::new(feed))),
    })
}

impl<R: Read> Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Deflate(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
            Decoder::Bzip2(decoder) => decoder.read(buffer),
            Decoder::Stored(feed) => feed.read(buffer),
        }
    }

    fn feed(&self) -> &Feed<R> {
        match self {
            Decoder::Gzip(decoder) => decoder.get_ref(),
            Decoder::Deflate(decoder) => decoder.get_ref(),
            Decoder::Zstd(decoder) => decoder.get_ref(),
            Decoder::Bzip2(decoder) => decoder.get_ref(),
            Decoder::Stored(feed) => feed,
        }
    }

    fn into_feed(self) -> Feed<R> {
        match self {
            Decoder::Gzip(decoder) => decoder.into_inner(),
            Decoder::Deflate(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.finish(),
            Decoder::Bzip2(decoder) => decoder.into_inner(),
            Decoder::Stored(feed) => feed,
        }
    }
}

/// The compressed bytes, counted, and no further than they go.
pub(super) struct Feed<R> {
    input: R,
    block: Vec<u8>,
    at: usize,
    filled: usize,
    /// Offset in the file behind what is in the block.
    read_to: u64,
    /// Offset at which the data ends.
    end: u64,
    /// The end was reached.
    ended: bool,
    /// The input itself could not be read.
    failed: bool,
}

impl<R: Read + Seek> Feed<R> {
    fn open(mut input: R, member: Option<&Member>) -> io::Result<Feed<R>> {
        let (from, end) = member.map_or((0, u64::MAX), |member| (member.start, member.start + member.packed));
        input.seek(SeekFrom::Start(from))?;
        Ok(Feed { input, block: vec![0; BLOCK], at: 0, filled: 0, read_to: from, end, ended: false, failed: false })
    }
}

impl<R: Read> Feed<R> {
    fn offset(&self) -> u64 {
        self.read_to - (self.filled - self.at) as u64
    }

    /// All was consumed, and there is no more.
    fn is_at_end(&self) -> bool {
        self.at == self.filled && self.ended
    }

    /// The next bytes without consuming them: `count`, or all there are.
    fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.filled - self.at < count {
            self.block.copy_within(self.at..self.filled, 0);
            (self.filled, self.at) = (self.filled - self.at, 0);
            if self.more()? == 0 {
                break;
            }
        }
        let held = &self.block[self.at..self.filled];
        Ok(&held[..held.len().min(count)])
    }

    fn skip_zeros(&mut self) -> io::Result<()> {
        loop {
            let held = self.fill_buf()?;
            let zeros = held.iter().take_while(|byte| **byte == 0).count();
            let is_more = zeros > 0 && zeros == held.len();
            self.consume(zeros);
            if !is_more {
                return Ok(());
            }
        }
    }

    fn more(&mut self) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.read_to)).unwrap_or(usize::MAX);
        let to = self.filled + left.min(self.block.len() - self.filled);
        loop {
            match self.input.read(&mut self.block[self.filled..to]) {
                Ok(read) => {
                    self.filled += read;
                    self.read_to += read as u64;
                    self.ended = read == 0;
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
            }
        }
    }
}

impl<R: Read> Read for Feed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let held = self.fill_buf()?;
        let length = held.len().min(buffer.len());
        buffer[..length].copy_from_slice(&held[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl<R: Read> BufRead for Feed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.filled {
            (self.at, self.filled) = (0, 0);
            self.more()?;
        }
        Ok(&self.block[self.at..self.filled])
    }

    fn consume(&mut self, length: usize) {
        self.at = (self.at + length).min(self.filled);
    }
}
