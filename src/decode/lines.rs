//! Where lines end: LF, CRLF, and what EBCDIC systems write (NL 0x15 or LF 0x25, with or without CR).

use std::io::{self, Read, Seek, SeekFrom};

use super::code_page::Family;
use super::window::Window;
use super::{MAX_RECORD, StreamFault};
use crate::record::RejectCode;

/// A line at the start of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Bytes before the line's end.
    pub(super) content: usize,
    /// Bytes with the line's end.
    pub(super) total: usize,
    /// False when the line is longer than a record may be: `content` is then what was looked at.
    pub(super) whole: bool,
}

/// The line at the start of the window; `None` at the end of the input.
pub(super) fn next_line<R: Read>(window: &mut Window, input: &mut R, family: Family) -> io::Result<Option<Line>> {
    next_line_at(window, input, family, 0)
}

/// The line that begins `at` bytes behind the start of the window; its lengths count from there.
pub(super) fn next_line_at<R: Read>(
    window: &mut Window,
    input: &mut R,
    family: Family,
    at: usize,
) -> io::Result<Option<Line>> {
    let mut searched = 0;
    loop {
        let bytes = window.bytes().get(at..).unwrap_or_default();
        if let Some(found) = bytes.get(searched..).and_then(|rest| find_end(rest, family)) {
            let end = searched + found;
            let content = if end > 0 && bytes[end - 1] == b'\r' { end - 1 } else { end };
            return Ok(Some(Line { content, total: end + 1, whole: content <= MAX_RECORD }));
        }
        searched = bytes.len();
        if searched > MAX_RECORD {
            return Ok(Some(Line { content: MAX_RECORD, total: searched, whole: false }));
        }
        if !window.grow(input)? {
            let held = window.bytes().len().saturating_sub(at);
            return Ok((held > 0).then_some(Line { content: held, total: held, whole: true }));
        }
    }
}

/// Moves the window behind the end of the line it stands in, however far that is.
pub(super) fn skip_line<R: Read>(window: &mut Window, input: &mut R, family: Family) -> io::Result<()> {
    loop {
        if let Some(end) = find_end(window.bytes(), family) {
            window.consume(end + 1);
            return Ok(());
        }
        window.consume(usize::MAX);
        if !window.fill(input, 1)? {
            return Ok(());
        }
    }
}

/// Offset of the first of the last `count` lines of the input, which may lie at its start. The input's position is
/// changed.
pub(super) fn start_of_last<R: Read + Seek>(input: &mut R, count: u64, family: Family) -> io::Result<u64> {
    const BLOCK: u64 = 64 << 10;
    let length = input.seek(SeekFrom::End(0))?;
    let mut found = 0;
    let mut block_end = length;
    let mut block = Vec::new();
    while block_end > 0 && count > 0 {
        let block_start = block_end.saturating_sub(BLOCK);
        input.seek(SeekFrom::Start(block_start))?;
        block.clear();
        input.by_ref().take(block_end - block_start).read_to_end(&mut block)?;
        for (index, &byte) in block.iter().enumerate().rev() {
            let after = block_start + index as u64 + 1;
            // The end of the last line begins no line.
            if is_end(byte, family) && after < length {
                found += 1;
                if found == count {
                    return Ok(after);
                }
            }
        }
        block_end = block_start;
    }
    Ok(if count == 0 { length } else { 0 })
}

/// Refuses a file that has fewer lines than its header and footer are said to have. The input's position is changed.
pub(super) fn check_count<R: Read + Seek>(
    input: &mut R,
    header: u64,
    footer: u64,
    family: Family,
) -> Result<(), StreamFault> {
    let wanted = header.saturating_add(footer);
    if wanted == 0 {
        return Ok(());
    }
    input.seek(SeekFrom::Start(0))?;
    let (mut lines, mut length) = (0, 0);
    // A line without an end is one too.
    let mut open = false;
    let mut block = vec![0; 64 << 10];
    loop {
        let read = match input.read(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let Some(last) = block[..read].last() else { break };
        open = !is_end(*last, family);
        length += read as u64;
        lines += block[..read].iter().filter(|byte| is_end(**byte, family)).count() as u64;
        if lines >= wanted {
            return Ok(());
        }
    }
    lines += u64::from(open);
    if lines >= wanted {
        return Ok(());
    }
    let plural = |count: u64| if count == 1 { "line" } else { "lines" };
    let message = match (header, footer) {
        (header, 0) => format!("{header} {} of a header", plural(header)),
        (0, footer) => format!("{footer} {} of a footer", plural(footer)),
        (header, footer) => format!("{header} {} of a header and {footer} of a footer", plural(header)),
    };
    let message = format!("the file has {lines} {}: too few for {message}", plural(lines));
    Err(StreamFault::Layout { code: RejectCode::Truncated, message, offset: length, line: Some(lines) })
}

fn find_end(bytes: &[u8], family: Family) -> Option<usize> {
    match family {
        Family::Ascii => memchr::memchr(b'\n', bytes),
        Family::Ebcdic => memchr::memchr2(0x15, 0x25, bytes),
    }
}

fn is_end(byte: u8, family: Family) -> bool {
    match family {
        Family::Ascii => byte == b'\n',
        Family::Ebcdic => byte == 0x15 || byte == 0x25,
    }
}

/// True for a line that holds nothing: blanks, low values, or the Ctrl-Z that ends files of DOS.
pub(super) fn is_blank(content: &[u8], blank: u8) -> bool {
    content == [0x1A] || content.iter().all(|&byte| byte == blank || byte == 0)
}

#[cfg(test)]
mod tests {
    use super::{check_count, next_line, skip_line, start_of_last};
    use crate::decode::MAX_RECORD;
    use crate::decode::code_page::Family;
    use crate::decode::window::Window;
    use std::io::Cursor;

    fn check(text: &[u8], family: Family, expected: &[&[u8]]) {
        let mut input = Cursor::new(text);
        let mut window = Window::new(0, u64::MAX);
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut window, &mut input, family).unwrap() {
            lines.push(window.first(line.content).to_vec());
            window.consume(line.total);
        }
        assert_eq!(lines, expected);
    }

    #[test]
    fn line_ends() {
        check(b"a\nb\r\n\nc", Family::Ascii, &[b"a", b"b", b"", b"c"]);
        check(b"", Family::Ascii, &[]);
        check(b"\n", Family::Ascii, &[b""]);
        check(b"\xC1\x15\xC2\x0D\x25\xC3", Family::Ebcdic, &[b"\xC1", b"\xC2", b"\xC3"]);
    }

    #[test]
    fn an_endless_line_is_not_held() {
        let mut input = Cursor::new([vec![b'x'; MAX_RECORD + 3_000_000], b"\nnext".to_vec()].concat());
        let mut window = Window::new(0, u64::MAX);
        let line = next_line(&mut window, &mut input, Family::Ascii).unwrap().unwrap();
        assert!(!line.whole);
        skip_line(&mut window, &mut input, Family::Ascii).unwrap();
        let line = next_line(&mut window, &mut input, Family::Ascii).unwrap().unwrap();
        assert_eq!(window.first(line.content), b"next");
    }

    #[test]
    fn files_of_too_few_lines() {
        let check = |text: &[u8], (header, footer): (u64, u64), family: Family, expected: Option<&str>| {
            let found =
                check_count(&mut Cursor::new(text), header, footer, family).err().map(|fault| fault.to_string());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        };
        check(b"", (0, 0), Family::Ascii, None);
        check(b"a\nb", (1, 1), Family::Ascii, None);
        check(b"a\nb\n", (1, 1), Family::Ascii, None);
        check(
            b"a\nb\n",
            (2, 1),
            Family::Ascii,
            Some("the file has 2 lines: too few for 2 lines of a header and 1 of a footer"),
        );
        check(b"a", (0, 2), Family::Ascii, Some("the file has 1 line: too few for 2 lines of a footer"));
        check(b"", (1, 0), Family::Ascii, Some("the file has 0 lines: too few for 1 line of a header"));
        check(b"\xC1\x15\xC2\x25\xC3", (3, 0), Family::Ebcdic, None);
        let long = [vec![b'x'; 200_000], b"\n".to_vec()].concat();
        check(&long, (1, 0), Family::Ascii, None);
        check(&long, (2, 0), Family::Ascii, Some("the file has 1 line: too few for 2 lines of a header"));
    }

    #[test]
    fn last_lines() {
        let check = |text: &str, count: u64, expected: u64| {
            assert_eq!(start_of_last(&mut Cursor::new(text), count, Family::Ascii).unwrap(), expected, "{text:?}");
        };
        check("a\nb\nc\n", 1, 4);
        check("a\nb\nc", 1, 4);
        check("a\nb\nc\n", 2, 2);
        check("a\nb\nc\n", 9, 0);
        check("a\nb\nc\n", 0, 6);
        check("", 1, 0);
        check(&"x".repeat(200_000), 1, 0);
        check(&format!("{}\n{}", "x".repeat(200_000), "y".repeat(100_000)), 1, 200_001);
    }
}
