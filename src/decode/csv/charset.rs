//! The encoding of a CSV file: a code page, in which delimiters are looked for as bytes, or UTF-16 or EBCDIC, which are
//! rewritten as UTF-8 before anything is looked for.

use super::ebcdic::Ebcdic;
use super::utf16;
use crate::decode::{CodePage, UnknownCodePage};

/// The encoding of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Charset {
    page: CodePage,
    rewriting: Option<Rewriting>,
    /// Whether a byte order mark is written.
    marked: bool,
}

/// In which order the two bytes of a UTF-16 unit stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Utf16 {
    /// The low one first, as on Windows.
    Little,
    /// The high one first.
    Big,
}

/// What a file is that is rewritten.
#[derive(Clone, Debug, PartialEq)]
pub enum Rewriting {
    /// Units of two bytes.
    Utf16(Utf16),
    /// Bytes that do not agree with ASCII.
    Ebcdic(Ebcdic),
}

impl Rewriting {
    /// Appends the UTF-8 of some bytes of the file and answers how many of them that were; the rest is a part of a
    /// character, of which more may come until the file has `ended`.
    pub(super) fn to_utf8(&self, bytes: &[u8], ended: bool, out: &mut Vec<u8>) -> usize {
        match self {
            Rewriting::Utf16(order) => utf16::to_utf8(bytes, *order, ended, out),
            Rewriting::Ebcdic(ebcdic) => {
                ebcdic.to_utf8(bytes, out);
                bytes.len()
            }
        }
    }

    /// How many bytes of the file some of the UTF-8 made of it were.
    pub(super) fn length_in_file(&self, bytes: &[u8]) -> usize {
        match self {
            Rewriting::Utf16(_) => utf16::length_in_file(bytes),
            Rewriting::Ebcdic(_) => bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count(),
        }
    }

    /// Appends the bytes that the file has for some of the UTF-8 made of it, or that a file would have for some text.
    pub(super) fn to_file(&self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Rewriting::Utf16(order) => utf16::to_file(bytes, *order, out),
            Rewriting::Ebcdic(ebcdic) => ebcdic.to_file(bytes, out),
        }
    }

    /// What stands at a place of the UTF-8 that is no text.
    pub(super) fn misfit(&self, bytes: &[u8], index: usize) -> String {
        let length = self.length_in_file(bytes.get(..index).unwrap_or(bytes));
        match (self, bytes.get(index..index + 3)) {
            (Rewriting::Ebcdic(_), Some([_, high, low])) => {
                format!("byte {:02X} after {length} bytes of the text", high << 4 | low & 15)
            }
            _ => format!("half of a character after {length} bytes of the text"),
        }
    }
}

impl Charset {
    /// UTF-8.
    pub fn utf8() -> Charset {
        CodePage::utf8().into()
    }

    /// The encoding with this name: a code page, `utf-16` (little-endian where no mark says otherwise), `utf-16le` or
    /// `utf-16be`. Any byte order mark is passed over in reading; `utf-8-sig` and `utf-16` write one. Pages of EBCDIC are
    /// those of one byte a character.
    pub fn find(name: &str) -> Result<Charset, UnknownCodePage> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let utf16 =
            |order, marked| Ok(Charset { page: CodePage::utf8(), rewriting: Some(Rewriting::Utf16(order)), marked });
        match plain.as_str() {
            "utf16" => utf16(Utf16::Little, true),
            "utf16le" => utf16(Utf16::Little, false),
            "utf16be" => utf16(Utf16::Big, false),
            "utf8sig" | "utf8bom" => Ok(Charset { marked: true, ..Charset::utf8() }),
            _ => CodePage::find(name).map(|page| match Ebcdic::of(&page) {
                Some(ebcdic) => Charset::utf8().rewritten(Rewriting::Ebcdic(ebcdic)),
                None => page.into(),
            }),
        }
    }

    /// The name for messages.
    pub fn name(&self) -> &'static str {
        match &self.rewriting {
            Some(Rewriting::Utf16(Utf16::Little)) => "utf-16le",
            Some(Rewriting::Utf16(Utf16::Big)) => "utf-16be",
            Some(Rewriting::Ebcdic(ebcdic)) => ebcdic.name(),
            None => self.page.name(),
        }
    }

    /// The code page in which rows are cut and cells read: UTF-8 where the file is rewritten.
    pub(super) fn page(&self) -> &CodePage {
        &self.page
    }

    /// What the file is where it is rewritten.
    pub(super) fn rewriting(&self) -> Option<&Rewriting> {
        self.rewriting.as_ref()
    }

    /// The same text in a file that is rewritten.
    pub(super) fn rewritten(&self, rewriting: Rewriting) -> Charset {
        Charset { rewriting: Some(rewriting), ..self.clone() }
    }

    /// The byte order mark that is written, in UTF-8.
    pub(super) fn mark(&self) -> &'static [u8] {
        if self.marked { b"\xEF\xBB\xBF" } else { b"" }
    }
}

impl From<CodePage> for Charset {
    fn from(page: CodePage) -> Charset {
        Charset { page, rewriting: None, marked: false }
    }
}
