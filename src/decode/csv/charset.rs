//! The encoding of a CSV file: a code page, in which delimiters are looked for as bytes, or UTF-16, which is rewritten
//! as UTF-8 before anything is looked for.

use crate::decode::{CodePage, UnknownCodePage};

/// The encoding of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Charset {
    page: CodePage,
    utf16: Option<Utf16>,
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

impl Charset {
    /// UTF-8.
    pub fn utf8() -> Charset {
        CodePage::utf8().into()
    }

    /// The encoding with this name: a code page, `utf-16` (little-endian where no mark says otherwise), `utf-16le` or
    /// `utf-16be`. Any byte order mark is passed over in reading; `utf-8-sig` and `utf-16` write one.
    pub fn find(name: &str) -> Result<Charset, UnknownCodePage> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let utf16 = |order, marked| Ok(Charset { page: CodePage::utf8(), utf16: Some(order), marked });
        match plain.as_str() {
            "utf16" => utf16(Utf16::Little, true),
            "utf16le" => utf16(Utf16::Little, false),
            "utf16be" => utf16(Utf16::Big, false),
            "utf8sig" | "utf8bom" => Ok(Charset { marked: true, ..Charset::utf8() }),
            _ => CodePage::find(name).map(Charset::from),
        }
    }

    /// The name for messages.
    pub fn name(&self) -> &'static str {
        match self.utf16 {
            Some(Utf16::Little) => "utf-16le",
            Some(Utf16::Big) => "utf-16be",
            None => self.page.name(),
        }
    }

    /// The code page in which rows are cut and cells read: UTF-8 where the file is UTF-16.
    pub(super) fn page(&self) -> &CodePage {
        &self.page
    }

    /// The order of bytes where the file is UTF-16.
    pub(super) fn utf16(&self) -> Option<Utf16> {
        self.utf16
    }

    /// The same text in UTF-16 of this order.
    pub(super) fn in_utf16(&self, order: Utf16) -> Charset {
        Charset { utf16: Some(order), ..self.clone() }
    }

    /// The byte order mark that is written, in UTF-8.
    pub(super) fn mark(&self) -> &'static [u8] {
        if self.marked { b"\xEF\xBB\xBF" } else { b"" }
    }
}

impl From<CodePage> for Charset {
    fn from(page: CodePage) -> Charset {
        Charset { page, utf16: None, marked: false }
    }
}
