//! What stands next in a text: a tag, characters, a comment. Only where it ends; what it says is for others.

use std::io::{self, Read};

use memchr::memmem;
use quick_xml::parser::{ElementParser, Parser};

use crate::decode::MAX_RECORD;
use crate::decode::window::Window;

/// What stands at a place in the window. Offsets count from the window's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode) enum Token {
    /// Characters up to the next `<`, or to the end.
    Text { end: usize },
    /// `<![CDATA[…]]>`
    CData { end: usize },
    /// A comment or a processing instruction.
    Remark { end: usize },
    /// `<name …>` or `<name …/>`; the name ends at `name`.
    Start { end: usize, name: usize, empty: bool },
    /// `</name>`; the name ends at `name`.
    End { end: usize, name: usize },
    /// `<!DOCTYPE`
    Doctype,
    /// There is nothing more.
    Eof,
    /// The end comes before the markup does.
    Cut,
    /// It does not end within what a record may have.
    TooLong,
    /// No markup begins so.
    Broken(&'static str),
}

const COMMENT: &[u8] = b"<!--";
const CDATA: &[u8] = b"<![CDATA[";
pub(super) const CDATA_START: usize = CDATA.len();
pub(super) const CDATA_END: usize = 3;

/// Finds the token at `at`, reading on as far as it goes.
pub(in crate::decode) fn token<R: Read>(window: &mut Window, input: &mut R, at: usize) -> io::Result<Token> {
    if !window.fill(input, at + 1)? {
        return Ok(Token::Eof);
    }
    if window.bytes()[at] != b'<' {
        return Ok(match find(window, input, at, b"<")? {
            Found::At(end) => Token::Text { end },
            Found::Missing => Token::Text { end: window.bytes().len() },
            Found::TooLong => Token::TooLong,
        });
    }
    let ended = |found: Found, token: fn(usize) -> Token, length: usize| match found {
        Found::At(end) => token(end + length),
        Found::Missing => Token::Cut,
        Found::TooLong => Token::TooLong,
    };
    // At the very end there may be less than what a CDATA section begins with.
    window.fill(input, at + CDATA.len())?;
    let start = &window.bytes()[at..];
    match start.get(1) {
        Some(b'!') if start.starts_with(COMMENT) => {
            let found = find(window, input, at + COMMENT.len(), b"-->")?;
            Ok(ended(found, |end| Token::Remark { end }, 3))
        }
        Some(b'!') if start.starts_with(CDATA) => {
            let found = find(window, input, at + CDATA.len(), b"]]>")?;
            Ok(ended(found, |end| Token::CData { end }, CDATA_END))
        }
        Some(b'!') if start.starts_with(b"<!DOCTYPE") => Ok(Token::Doctype),
        Some(b'!') => Ok(if start.len() < CDATA.len() { Token::Cut } else { Token::Broken("`<!`") }),
        Some(b'?') => {
            let found = find(window, input, at + 2, b"?>")?;
            Ok(ended(found, |end| Token::Remark { end }, 2))
        }
        Some(_) => tag(window, input, at),
        None => Ok(Token::Cut),
    }
}

/// Moves the window to the next `<`, or to the end, handing out what lies before it piece by piece.
pub(super) fn pass_text<R: Read>(window: &mut Window, input: &mut R, mut see: impl FnMut(&[u8])) -> io::Result<()> {
    loop {
        let found = memchr::memchr(b'<', window.bytes());
        let length = found.unwrap_or(window.bytes().len());
        see(window.first(length));
        window.consume(length);
        if found.is_some() || !window.fill(input, 1)? {
            return Ok(());
        }
    }
}

enum Found {
    At(usize),
    Missing,
    TooLong,
}

fn find<R: Read>(window: &mut Window, input: &mut R, from: usize, what: &[u8]) -> io::Result<Found> {
    let mut searched = from;
    loop {
        let bytes = window.bytes();
        let rest = bytes.get(searched..).unwrap_or_default();
        let found = match what {
            [byte] => memchr::memchr(*byte, rest),
            _ => memmem::find(rest, what),
        };
        if let Some(found) = found {
            return Ok(Found::At(searched + found));
        }
        searched = from.max((bytes.len() + 1).saturating_sub(what.len()));
        if bytes.len() > MAX_RECORD {
            return Ok(Found::TooLong);
        }
        if !window.grow(input)? {
            return Ok(Found::Missing);
        }
    }
}

/// A start or end tag at `at`.
fn tag<R: Read>(window: &mut Window, input: &mut R, at: usize) -> io::Result<Token> {
    let mut parser = ElementParser::default();
    let mut searched = at + 1;
    let end = loop {
        let bytes = window.bytes();
        if let Some(found) = parser.feed(&bytes[searched..]) {
            break searched + found + 1;
        }
        searched = bytes.len();
        if searched > MAX_RECORD {
            return Ok(Token::TooLong);
        }
        if !window.grow(input)? {
            return Ok(Token::Cut);
        }
    };
    let tag = &window.bytes()[..end];
    let is_end = tag[at + 1] == b'/';
    let first = at + 1 + usize::from(is_end);
    let name = first + tag[first..].iter().take_while(|byte| IN_NAME[usize::from(**byte)]).count();
    // A quote that is not closed swallows the tags behind it.
    if memchr::memchr(b'<', &tag[first..]).is_some() {
        return Ok(Token::Broken("`<` within a tag"));
    }
    if name == first || matches!(tag[first], b'-' | b'.' | b'0'..=b'9') {
        return Ok(Token::Broken("`<` that begins no tag"));
    }
    if is_end {
        let is_clean = tag[name..end - 1].trim_ascii().is_empty();
        return Ok(if is_clean { Token::End { end, name } } else { Token::Broken("an end tag with more than a name") });
    }
    let empty = end - 2 >= name && tag[end - 2] == b'/';
    match tag[name] {
        b' ' | b'\t' | b'\r' | b'\n' | b'>' => Ok(Token::Start { end, name, empty }),
        b'/' if empty && name == end - 2 => Ok(Token::Start { end, name, empty }),
        _ => Ok(Token::Broken("a character that no name has")),
    }
}

/// Bytes of names: letters, digits, `_`, `-`, `.`, `:` and everything beyond ASCII.
static IN_NAME: [bool; 256] = in_name();

const fn in_name() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let ascii = byte as u8;
        table[byte] = ascii >= 0x80 || ascii.is_ascii_alphanumeric() || matches!(ascii, b'_' | b'-' | b'.' | b':');
        byte += 1;
    }
    table
}

/// A byte that no text of XML has, and the encoding that is at fault.
pub(in crate::decode) struct BadByte {
    /// Where.
    pub(in crate::decode) at: usize,
    /// What was expected there.
    pub(in crate::decode) expected: &'static str,
    /// What is there.
    pub(in crate::decode) found: String,
}

/// The first byte that is no part of a character that XML has. `broken` is the name of the encoding that the text was
/// turned from, when some of its bytes mean nothing there.
pub(in crate::decode) fn bad_byte(bytes: &[u8], broken: Option<&'static str>) -> Option<BadByte> {
    if let Some(encoding) = broken {
        let text = String::from_utf8_lossy(bytes);
        let at = text.find('\u{FFFD}').unwrap_or(0);
        let found = format!("bytes that {encoding} does not have");
        return Some(BadByte { at, expected: "text in the encoding of the file", found });
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        return Some(BadByte { at, expected: "text in UTF-8", found: format!("byte {byte:02X}") });
    }
    let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    // Looking at all of them without a way out in between is what the machine does fastest.
    if !bytes.iter().fold(false, |seen, byte| seen | is_control(byte)) {
        return None;
    }
    let at = bytes.iter().position(is_control).unwrap_or(0);
    let found = format!("the character U+{:04X}", bytes.get(at).copied().unwrap_or_default());
    Some(BadByte { at, expected: "characters that XML allows", found })
}
