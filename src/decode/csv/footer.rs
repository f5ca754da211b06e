//! Where the last lines of a file begin, for those that are no records.

use std::io::{self, Read, Seek, SeekFrom};

use super::charset::{Rewriting, Utf16};
use super::glued::CTRL_Z;
use super::settings::LineEnd;

/// Bytes that are looked at at a time, from the end: a whole number of UTF-16 units.
const BLOCK: u64 = 64 << 10;

/// Offset of the first of the last `count` lines of the file, which may lie at its start, and how many lines there are
/// from there on: fewer than `count` where the file has no more. The Ctrl-Z that ends a file is no line. The place in the file
/// is changed.
pub(super) fn start_of_last<R: Read + Seek>(
    file: &mut R,
    count: u64,
    line_end: LineEnd,
    rewriting: Option<&Rewriting>,
) -> io::Result<(u64, u64)> {
    let order = if let Some(Rewriting::Utf16(order)) = rewriting { Some(*order) } else { None };
    let line_feed = if let Some(Rewriting::Ebcdic(ebcdic)) = rewriting { ebcdic.line_end() } else { b'\n' };
    let width = if order.is_some() { 2 } else { 1 };
    // An odd byte at the end of UTF-16 is no unit.
    let mut length = file.seek(SeekFrom::End(0))? / width * width;
    let is_ebcdic = matches!(rewriting, Some(Rewriting::Ebcdic(_)));
    let (mut found, mut block_end) = (0, length);
    let mut block = Vec::new();
    // The unit behind the one that is looked at.
    let mut behind = 0u16;
    while block_end > 0 && count > 0 {
        let block_start = block_end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(block_start))?;
        block.clear();
        file.by_ref().take(block_end - block_start).read_to_end(&mut block)?;
        for (index, bytes) in block.chunks_exact(width as usize).enumerate().rev() {
            let unit = match (bytes, order) {
                (&[first, second], Some(Utf16::Little)) => u16::from_le_bytes([first, second]),
                (&[first, second], Some(Utf16::Big)) => u16::from_be_bytes([first, second]),
                (bytes, _) => match bytes.first() {
                    Some(byte) if *byte == line_feed => 0x0A,
                    // A line feed that ends no line in this file.
                    Some(b'\n') => 0,
                    byte => byte.copied().unwrap_or_default().into(),
                },
            };
            let (is_lf, is_cr, before_lf) = (unit == 0x0A, unit == 0x0D, behind == 0x0A);
            let after = block_start + (index as u64 + 1) * width;
            if after == length && unit == u16::from(CTRL_Z) && !is_ebcdic {
                length -= width;
                continue;
            }
            // Of CRLF the LF ends the line; in files where only both together do, the CR finds it.
            let line_start = match line_end {
                LineEnd::Any if is_lf || (is_cr && !before_lf) => Some(after),
                LineEnd::Lf if is_lf => Some(after),
                LineEnd::Cr if is_cr => Some(after),
                LineEnd::CrLf if is_cr && before_lf => Some(after + width),
                _ => None,
            };
            behind = unit;
            // The end of the last line begins no line.
            if let Some(line_start) = line_start.filter(|start| *start < length) {
                found += 1;
                if found == count {
                    return Ok((line_start, count));
                }
            }
        }
        block_end = block_start;
    }
    Ok(match count {
        0 => (length, 0),
        _ => (0, found + u64::from(length > 0)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::charset::{Charset, Rewriting};
    use super::{LineEnd, Utf16, start_of_last};
    use std::io::Cursor;

    #[test]
    fn last_lines_of_all_kinds() {
        let check = |text: &str, count: u64, line_end: LineEnd, expected: u64| {
            let found = start_of_last(&mut Cursor::new(text), count, line_end, None).unwrap();
            assert_eq!(found.0, expected, "{text:?}");
            for order in [Utf16::Little, Utf16::Big] {
                let unit = |unit: u16| if order == Utf16::Little { unit.to_le_bytes() } else { unit.to_be_bytes() };
                let bytes: Vec<u8> = text.encode_utf16().flat_map(unit).collect();
                let rewriting = Rewriting::Utf16(order);
                let found = start_of_last(&mut Cursor::new(bytes), count, line_end, Some(&rewriting)).unwrap();
                assert_eq!(found.0, 2 * expected, "{text:?} {order:?}");
            }
        };
        let host = Charset::find("cp037").unwrap();
        let lines = b"\xC1\x15\xC2\x0A\x15\xC3\x15".to_vec();
        let found = |count| start_of_last(&mut Cursor::new(&lines), count, LineEnd::Any, host.rewriting()).unwrap();
        assert_eq!([found(1), found(2), found(3), found(4)], [(5, 1), (2, 2), (0, 3), (0, 3)]);
        assert_eq!(start_of_last(&mut Cursor::new(""), 2, LineEnd::Any, None).unwrap(), (0, 0));
        check("a\nb\rc\r\n", 1, LineEnd::Any, 4);
        check("a\nb\rc\r\n", 2, LineEnd::Any, 2);
        check("a\nb\rc\r\nd", 1, LineEnd::Any, 7);
        check("a\nb\rc", 9, LineEnd::Any, 0);
        check("a\nb\n", 0, LineEnd::Any, 4);
        check("", 1, LineEnd::Any, 0);
        check("a\nb\r\n\u{1a}\u{1a}", 1, LineEnd::Any, 2);
        check("a\r\nb\r\n\u{1a}", 1, LineEnd::CrLf, 3);
        check("a\nb\u{1a}", 1, LineEnd::Any, 2);
        check("a\n\u{1a}\nb", 2, LineEnd::Any, 2);
        check("a\r\nb\rc\nd\r\n", 1, LineEnd::CrLf, 3);
        check("a\rb\nc\r", 1, LineEnd::Cr, 2);
        check("a\nb\rc\n", 1, LineEnd::Lf, 2);
        let long = format!("{}\r\n{}", "x".repeat(65_535), "y".repeat(65_535));
        check(&long, 1, LineEnd::Any, 65_537);
        check(&long, 1, LineEnd::CrLf, 65_537);
    }
}
