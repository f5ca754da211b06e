//! EBCDIC as UTF-8 and back, without loss: every byte is one character, and one that the page does not have goes through
//! as bytes that are no UTF-8, so that the cell which holds it is rejected and its raw bytes can be shown.
//!
//! Lines end with NL (0x15) or with LF (0x25), with CR before it or without. Which of the two a file has is seen from the
//! first that it has; the other one is a character in it.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

use super::utf16::HALF;
use crate::decode::CodePage;

/// New line, as host systems end lines of text.
const NL: u8 = 0x15;
/// Line feed, which stands behind CR.
const LF: u8 = 0x25;

/// How far into a file its first line end is looked for.
const LOOKED: u64 = 1 << 20;

/// A page of one byte a character, with the byte that ends a line.
#[derive(Clone)]
pub struct Ebcdic(Arc<Table>);

struct Table {
    page: CodePage,
    line_end: u8,
    /// By byte: its UTF-8, and in the last element how many bytes that is.
    utf8: Vec<[u8; 4]>,
    bytes: HashMap<char, u8>,
}

impl PartialEq for Ebcdic {
    fn eq(&self, other: &Ebcdic) -> bool {
        self.0.page == other.0.page && self.0.line_end == other.0.line_end
    }
}

impl std::fmt::Debug for Ebcdic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with lines that end with {:02X}", self.0.page.name(), self.0.line_end)
    }
}

impl Ebcdic {
    /// The page, with lines that end with NL; `None` for one that is no EBCDIC of one byte a character.
    pub(super) fn of(page: &CodePage) -> Option<Ebcdic> {
        let is_ebcdic = page.family() == crate::decode::code_page::Family::Ebcdic;
        (is_ebcdic && page.tables().is_some()).then(|| Ebcdic::ending(page.clone(), NL))
    }

    /// The same with lines that end as they do where CR and LF are written.
    pub(super) fn with_line_feeds(&self) -> Ebcdic {
        Ebcdic::ending(self.0.page.clone(), LF)
    }

    fn ending(page: CodePage, line_end: u8) -> Ebcdic {
        let mut utf8 = Vec::with_capacity(256);
        let mut bytes = HashMap::new();
        for byte in 0..=u8::MAX {
            // The two line ends change places where it is NL that ends lines.
            let read = match byte {
                NL if line_end == NL => LF,
                LF if line_end == NL => NL,
                other => other,
            };
            let char = page.decode(&[read]).ok().and_then(|text| text.chars().next());
            let char = if byte == line_end { Some('\n') } else { char };
            utf8.push(match char {
                Some(char) => {
                    bytes.insert(char, byte);
                    let mut entry = [0; 4];
                    let length = char.encode_utf8(&mut entry[..3]).len();
                    entry[3] = length as u8;
                    entry
                }
                None => [HALF, 0x80 | byte >> 4, 0x80 | byte & 15, 3],
            });
        }
        Ebcdic(Arc::new(Table { page, line_end, utf8, bytes }))
    }

    /// The name of the page.
    pub(super) fn name(&self) -> &'static str {
        self.0.page.name()
    }

    /// The byte that ends a line.
    pub(super) fn line_end(&self) -> u8 {
        self.0.line_end
    }

    /// The same page with the line end that comes first in a file, from where that stands.
    pub(super) fn seen(&self, file: &mut impl Read) -> io::Result<Ebcdic> {
        let mut file = file.take(LOOKED);
        let mut block = vec![0; 64 << 10];
        loop {
            match file.read(&mut block) {
                Ok(0) => return Ok(self.clone()),
                Ok(read) => {
                    if let Some(at) = memchr::memchr2(NL, LF, &block[..read]) {
                        return Ok(if block[at] == LF { self.with_line_feeds() } else { self.clone() });
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Appends the UTF-8 of some bytes.
    pub(super) fn to_utf8(&self, bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len() * 2);
        for byte in bytes {
            let entry = self.0.utf8.get(usize::from(*byte)).copied().unwrap_or_default();
            out.extend_from_slice(entry.get(..usize::from(entry[3])).unwrap_or_default());
        }
    }

    /// Appends the bytes that the file has for some of the UTF-8 made of it, or that a file would have for some text. What
    /// the page does not have is left out: see [`Ebcdic::absent`].
    pub(super) fn to_file(&self, mut utf8: &[u8], out: &mut Vec<u8>) {
        while !utf8.is_empty() {
            let valid = match std::str::from_utf8(utf8) {
                Ok(text) => text,
                Err(error) => std::str::from_utf8(&utf8[..error.valid_up_to()]).unwrap_or_default(),
            };
            out.extend(valid.chars().filter_map(|char| self.0.bytes.get(&char)));
            utf8 = match utf8.get(valid.len()..).unwrap_or_default() {
                [HALF, high, low, rest @ ..] => {
                    out.push(high << 4 | low & 15);
                    rest
                }
                [_, rest @ ..] => rest,
                [] => &[],
            };
        }
    }

    /// The first character of a text that the page does not have, or that would be taken for the end of a line.
    pub(super) fn absent(&self, text: &str) -> Option<char> {
        text.chars().find(|char| *char == '\u{85}' || !self.0.bytes.contains_key(char))
    }
}

#[cfg(test)]
mod tests {
    use super::{Ebcdic, LF, NL};
    use crate::decode::CodePage;

    #[test]
    fn every_byte_of_every_page_comes_back() {
        for name in ["cp037", "cp500", "cp1047", "cp1140", "cp273", "cp875", "cp1026", "cp424"] {
            let ebcdic = Ebcdic::of(&CodePage::find(name).unwrap()).unwrap();
            for (page, end) in [(ebcdic.clone(), NL), (ebcdic.with_line_feeds(), LF)] {
                let bytes: Vec<u8> = (0..=255).collect();
                let (mut utf8, mut back) = (Vec::new(), Vec::new());
                page.to_utf8(&bytes, &mut utf8);
                page.to_file(&utf8, &mut back);
                assert_eq!(back, bytes, "{name}");
                let mut line_end = Vec::new();
                page.to_utf8(&[end], &mut line_end);
                assert_eq!(line_end, b"\n");
            }
        }
        assert!(Ebcdic::of(&CodePage::find("cp930").unwrap()).is_none());
        assert!(Ebcdic::of(&CodePage::find("cp850").unwrap()).is_none());
    }

    #[test]
    fn the_first_line_end_says_which_it_is() {
        let ebcdic = Ebcdic::of(&CodePage::find("cp037").unwrap()).unwrap();
        let seen = |bytes: &[u8]| ebcdic.seen(&mut std::io::Cursor::new(bytes.to_vec())).unwrap().line_end();
        assert_eq!(seen(b"\xC1\x15\xC2\x25"), NL);
        assert_eq!(seen(b"\xC1\x0D\x25\xC2\x15"), LF);
        assert_eq!(seen(b"\xC1"), NL);
        assert_eq!(seen(&[&[0x40; 100_000][..], b"\x25"].concat()), LF);
    }
}
