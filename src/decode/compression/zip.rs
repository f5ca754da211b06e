//! The directory of a zip archive (PKWARE APPNOTE 6.3, with the zip64 extensions): which members there are, and where
//! the bytes of the one that is wanted lie.
//!
//! The directory at the end of the file is what counts; local headers are only asked where a member's data begins. It
//! is read entry by entry, so memory does not follow their number.

use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};

use super::Damage;
use crate::record::RejectCode;

/// Names that a message lists, and characters that it shows of each.
const LISTED: usize = 20;
const SHOWN: usize = 100;

/// How a member is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflate,
    Bzip2,
    Zstd,
}

/// The member that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) method: Method,
    /// Offset of its data.
    pub(super) start: u64,
    /// Length of its data.
    pub(super) packed: u64,
    /// Length when unpacked.
    pub(super) size: u64,
    pub(super) crc: u32,
}

/// An entry of the directory.
struct Entry {
    name: String,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    /// Offset of the local header.
    header: u64,
}

/// Where the directory lies.
struct Directory {
    offset: u64,
    entries: u64,
    /// Bytes before the archive proper (a program that unpacks itself): all its offsets count from behind them.
    shift: u64,
}

fn broken(what: impl std::fmt::Display) -> io::Error {
    let message = format!("the zip archive {what}: have it sent again");
    Damage::new(RejectCode::FileUnreadable, message).into_error()
}

fn unfit(message: String) -> io::Error {
    Damage::new(RejectCode::FileUnreadable, message).into_error()
}

/// A name that anybody may have chosen, on one line and not without end.
pub(super) fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.chars().nth(SHOWN).is_some() {
        shown.push('\u{2026}');
    }
    format!("`{shown}`")
}

/// Finds the one member that the pattern means, or the only one that there is. Folders are no members.
pub(super) fn find<R: Read + Seek>(input: &mut R, pattern: Option<&glob::Pattern>) -> io::Result<Member> {
    let directory = directory(input)?;
    input.seek(SeekFrom::Start(directory.offset))?;
    let mut entries = BufReader::new(&mut *input);
    let mut chosen: Option<Entry> = None;
    let (mut fitting, mut fits) = (Vec::new(), 0u64);
    let (mut all, mut count, mut is_workbook) = (Vec::new(), 0u64, false);
    for _ in 0..directory.entries {
        let entry = entry(&mut entries)?;
        if entry.name.ends_with('/') {
            continue;
        }
        count += 1;
        is_workbook |= entry.name == "[Content_Types].xml";
        if all.len() < LISTED {
            all.push(shown(&entry.name));
        }
        if pattern.is_none_or(|pattern| is_meant(pattern, &entry.name)) {
            fits += 1;
            if fitting.len() < LISTED {
                fitting.push(shown(&entry.name));
            }
            chosen.get_or_insert(entry);
        }
    }
    let listed = |names: &[String], count: u64| {
        let more = count - names.len() as u64;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", names.join(", "))
    };
    match (chosen, pattern) {
        _ if is_workbook && pattern.is_none() => {
            Err(unfit("the file is an Excel workbook: read it with the format `excel`".to_owned()))
        }
        (Some(entry), _) if fits == 1 => locate(input, entry, directory.shift),
        (Some(_), None) => {
            let names = listed(&all, count);
            Err(unfit(format!("the zip archive has {count} members, say by `member` which one is meant: {names}")))
        }
        (Some(_), Some(pattern)) => {
            let names = listed(&fitting, fits);
            Err(unfit(format!("`member` = \"{pattern}\" fits {fits} members of the zip archive: {names}")))
        }
        (None, Some(pattern)) if count > 0 => {
            let names = listed(&all, count);
            Err(unfit(format!("the zip archive has no member \"{pattern}\"; it has {names}")))
        }
        (None, _) => Err(unfit("the zip archive has no members".to_owned())),
    }
}

/// Members that an archive may have which is read as a whole.
const MAX_MEMBERS: u64 = 10_000;

/// All members of an archive, in the order of its directory.
pub(super) fn members<R: Read + Seek>(input: &mut R) -> io::Result<Vec<Member>> {
    let directory = directory(input)?;
    if directory.entries > MAX_MEMBERS {
        return Err(unfit(format!("the zip archive has more than {MAX_MEMBERS} members")));
    }
    input.seek(SeekFrom::Start(directory.offset))?;
    let mut reader = BufReader::new(&mut *input);
    let entries = (0..directory.entries).map(|_| entry(&mut reader)).collect::<io::Result<Vec<_>>>()?;
    let files = entries.into_iter().filter(|entry| !entry.name.ends_with('/'));
    files.map(|entry| locate(input, entry, directory.shift)).collect()
}

fn is_meant(pattern: &glob::Pattern, name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or(name);
    pattern.matches(name) || (!pattern.as_str().contains('/') && pattern.matches(base))
}

/// Finds the record at the end of the archive, behind which there may be a comment of up to 64 KiB.
fn directory<R: Read + Seek>(input: &mut R) -> io::Result<Directory> {
    const RECORD: u64 = 22;
    let length = input.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(RECORD + 0xFFFF);
    input.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    input.by_ref().take(length - from).read_to_end(&mut tail)?;
    let starts = (0..tail.len().saturating_sub(RECORD as usize - 1)).rev();
    // The comment may hold what looks like the record: it is the one whose comment ends with the file.
    let is_record = |at: &usize| {
        let record = &tail[*at..];
        record.starts_with(b"PK\x05\x06") && *at + RECORD as usize + usize::from(short(record, 20)) == tail.len()
    };
    let Some(at) = starts.into_iter().find(is_record) else {
        return Err(broken("has no directory at its end: it breaks off, or something follows it"));
    };
    let record = &tail[at..];
    let position = from + at as u64;
    if short(record, 4) != short(record, 6) {
        return Err(unfit("the zip archive is one part of several: have it sent in one piece".to_owned()));
    }
    let (entries, size, offset) = (short(record, 10), long(record, 12), long(record, 16));
    let is_large = entries == 0xFFFF || size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF;
    if is_large && let Some(directory) = large_directory(input, position)? {
        return Ok(directory);
    }
    let (size, offset) = (u64::from(size), u64::from(offset));
    let begins = position.checked_sub(size).filter(|begins| *begins >= offset);
    let begins = begins.ok_or_else(|| broken("has a directory that lies outside of it"))?;
    Ok(Directory { offset: begins, entries: u64::from(entries), shift: begins - offset })
}

/// The zip64 form of the record, if there is one before the plain one.
fn large_directory<R: Read + Seek>(input: &mut R, plain: u64) -> io::Result<Option<Directory>> {
    const LOCATOR: u64 = 20;
    const RECORD: usize = 56;
    let Some(at) = plain.checked_sub(LOCATOR) else { return Ok(None) };
    let locator = bytes_at(input, at, LOCATOR as usize)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    let told = wide(&locator, 8);
    // The record ends where its locator begins, unless it was extended: that tells what lies before the archive.
    let near = at.checked_sub(RECORD as u64).filter(|near| *near >= told);
    for begins in [Some(told), near].into_iter().flatten() {
        let record = bytes_at(input, begins, RECORD)?;
        if record.starts_with(b"PK\x06\x06") {
            let shift = begins - told;
            let offset = wide(&record, 48).checked_add(shift).filter(|offset| *offset <= begins);
            let offset = offset.ok_or_else(|| broken("has a directory that lies outside of it"))?;
            return Ok(Some(Directory { offset, entries: wide(&record, 32), shift }));
        }
    }
    Err(broken("has a directory that is damaged"))
}

/// Reads the next entry of the directory.
fn entry(input: &mut impl Read) -> io::Result<Entry> {
    let mut fixed = [0u8; 46];
    let cut = |error: io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => broken("has a directory that breaks off"),
        _ => error,
    };
    input.read_exact(&mut fixed).map_err(cut)?;
    if !fixed.starts_with(b"PK\x01\x02") {
        return Err(broken("has a directory that is damaged"));
    }
    let mut name = vec![0; usize::from(short(&fixed, 28))];
    let mut extra = vec![0; usize::from(short(&fixed, 30))];
    let mut comment = vec![0; usize::from(short(&fixed, 32))];
    for part in [&mut name, &mut extra, &mut comment] {
        input.read_exact(part).map_err(cut)?;
    }
    let flags = short(&fixed, 8);
    let mut entry = Entry {
        name: text(&name, flags),
        flags,
        method: short(&fixed, 10),
        crc: long(&fixed, 16),
        packed: u64::from(long(&fixed, 20)),
        size: u64::from(long(&fixed, 24)),
        header: u64::from(long(&fixed, 42)),
    };
    enlarge(&mut entry, &extra);
    Ok(entry)
}

/// Takes from the zip64 extra field (0x0001) what does not fit 32 bits: only those values that say so, in this order.
fn enlarge(entry: &mut Entry, mut extra: &[u8]) {
    const NOT_HERE: u64 = 0xFFFF_FFFF;
    while extra.len() >= 4 {
        let (kind, length) = (short(extra, 0), usize::from(short(extra, 2)));
        let end = (4 + length).min(extra.len());
        if kind == 1 {
            let mut values = extra[4..end].chunks_exact(8);
            for value in [&mut entry.size, &mut entry.packed, &mut entry.header] {
                if *value == NOT_HERE
                    && let Some(large) = values.next()
                {
                    *value = wide(large, 0);
                }
            }
        }
        extra = &extra[end..];
    }
}

/// A name: UTF-8 where the archive says so (flag 11), or where it is; else IBM code page 437, of which only what is
/// ASCII is kept.
fn text(name: &[u8], flags: u16) -> String {
    match std::str::from_utf8(name) {
        Ok(text) => text.to_owned(),
        Err(_) if flags & 1 << 11 != 0 => String::from_utf8_lossy(name).into_owned(),
        Err(_) => name.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{FFFD}' }).collect(),
    }
}

/// Where the data of an entry begins, and whether it can be read.
fn locate<R: Read + Seek>(input: &mut R, entry: Entry, shift: u64) -> io::Result<Member> {
    let name = shown(&entry.name);
    // Flag 0: the data is encrypted; flag 6: strongly; method 99: by AES.
    if entry.flags & 0b0100_0001 != 0 || entry.method == 99 {
        return Err(unfit(format!(
            "the member {name} of the zip archive is encrypted: have it sent without a password"
        )));
    }
    let method = match entry.method {
        0 => Method::Stored,
        8 => Method::Deflate,
        12 => Method::Bzip2,
        20 | 93 => Method::Zstd,
        other => {
            return Err(unfit(format!(
                "the member {name} of the zip archive is packed by method {other}: have it packed by deflate"
            )));
        }
    };
    let outside = || broken(format!("has no data of its member {name}"));
    let header_at = entry.header.checked_add(shift).ok_or_else(outside)?;
    let header = bytes_at(input, header_at, 30)?;
    if header.len() < 30 || !header.starts_with(b"PK\x03\x04") {
        return Err(outside());
    }
    let start = header_at + 30 + u64::from(short(&header, 26)) + u64::from(short(&header, 28));
    let length = input.seek(SeekFrom::End(0))?;
    if start.checked_add(entry.packed).is_none_or(|end| end > length) {
        return Err(broken(format!("ends before its member {name} does, which begins at byte {start}")));
    }
    Ok(Member { start, method, packed: entry.packed, size: entry.size, crc: entry.crc, name: entry.name })
}

/// The bytes at an offset: `count`, or as many as there are.
fn bytes_at<R: Read + Seek>(input: &mut R, offset: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(count);
    input.seek(SeekFrom::Start(offset))?;
    input.by_ref().take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(number(bytes, at))
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(number(bytes, at))
}

fn wide(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(number(bytes, at))
}
