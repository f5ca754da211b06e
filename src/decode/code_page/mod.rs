//! Code pages: what character a byte of the old system stands for.
//!
//! Single-byte pages (EBCDIC, DOS, Windows, ISO 8859) are tables of our own, because no maintained library has the
//! EBCDIC and DOS ones and because a byte that a page does not have must be a fault, not a guess. UTF-8 and the
//! multi-byte encodings of East Asia are `encoding_rs`'s work. What a page knows nothing of: fields, padding, lines.

mod tables;
mod writer;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use encoding_rs::Encoding;

use crate::diagnostic::nearest;

pub(super) use writer::PageWriter;

/// Which of the two great families a page belongs to: where its digits, its blank and its line ends lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Bytes below 0x80 are ASCII.
    Ascii,
    /// IBM mainframes and midrange: digits at 0xF0, blank at 0x40.
    Ebcdic,
}

/// A page as the table lists it.
struct Page {
    family: Family,
    names: &'static [&'static str],
    /// The characters from byte 0x40 (EBCDIC) or 0x80 (ASCII) on; U+FFFD where there is none.
    chars: &'static str,
}

const ABSENT: char = '\u{fffd}';

/// A code page, ready to decode with. Cheap to clone.
#[derive(Clone)]
pub struct CodePage(Arc<Inner>);

struct Inner {
    name: &'static str,
    family: Family,
    method: Method,
}

enum Method {
    SingleByte(Box<Tables>),
    Utf8,
    MultiByte(&'static Encoding),
}

/// The tables of a single-byte page, by byte.
pub(super) struct Tables {
    /// The character.
    chars: [char; 256],
    /// The character where it is ASCII; else [`NOT_PLAIN`].
    ascii: [u8; 256],
    /// The byte as ASCII where that is one character which JSON does not escape; else [`NOT_PLAIN`].
    pub(super) plain: [u8; 256],
    /// The character in UTF-8 as it stands inside a JSON string, at most six bytes; the last element is the number of
    /// bytes, 0 where the page has no character.
    pub(super) json: [[u8; 8]; 256],
}

/// Marks bytes in [`Tables::plain`] that take more than one byte in JSON. No ASCII character has its bit.
pub(super) const NOT_PLAIN: u8 = 0x80;

/// A byte (or the start of a sequence) that the page has no character for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmappable {
    /// Index of the byte in what was to be decoded.
    pub index: usize,
    /// The byte.
    pub byte: u8,
}

/// A name that is no code page's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown code page `{name}`")]
pub struct UnknownCodePage {
    /// As written.
    pub name: String,
    /// The nearest name that is known.
    pub nearest: Option<&'static str>,
}

impl UnknownCodePage {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self.nearest {
            Some(near) => format!("did you mean `{near}`?"),
            None => "known are cp037, cp273, cp500, cp1047, cp1140 to cp1149 and other EBCDIC pages, cp437, cp850, \
                     cp852, cp858 and other DOS pages, windows-1250 to -1258, iso-8859-1 to -16, utf-8"
                .to_owned(),
        }
    }
}

impl CodePage {
    /// The page with this name. All usual spellings are taken: `cp037`, `IBM-037`, `ccsid 37`, `Windows-1252`,
    /// `latin1`.
    pub fn find(name: &str) -> Result<CodePage, UnknownCodePage> {
        let wanted = normalised(name);
        if wanted == "utf8" || wanted == "utf8sig" {
            return Ok(CodePage::utf8());
        }
        let same = |spelling: &&'static str| normalised(spelling) == wanted;
        if let Some(page) = tables::PAGES.iter().find(|page| page.names.iter().any(same)) {
            let method = Method::SingleByte(Box::new(Tables::of(page)));
            let name = page.names.first().copied().unwrap_or_default();
            return Ok(CodePage(Arc::new(Inner { name, family: page.family, method })));
        }
        let label = name.trim().replace('_', "-");
        match Encoding::for_label_no_replacement(label.as_bytes()) {
            Some(encoding) if !encoding.is_single_byte() && encoding.is_ascii_compatible() => {
                let method = Method::MultiByte(encoding);
                Ok(CodePage(Arc::new(Inner { name: encoding.name(), family: Family::Ascii, method })))
            }
            _ => {
                let known = tables::PAGES.iter().flat_map(|page| page.names.iter().copied()).chain(["utf-8"]);
                let nearest = nearest(name, known.filter(|name| !name.starts_with(|c: char| c.is_ascii_digit())));
                Err(UnknownCodePage { name: name.to_owned(), nearest })
            }
        }
    }

    /// UTF-8.
    pub fn utf8() -> CodePage {
        CodePage(Arc::new(Inner { name: "utf-8", family: Family::Ascii, method: Method::Utf8 }))
    }

    /// The name it is best known by.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// ASCII or EBCDIC.
    pub fn family(&self) -> Family {
        self.0.family
    }

    /// The byte of the blank.
    pub fn blank(&self) -> u8 {
        match self.0.family {
            Family::Ascii => b' ',
            Family::Ebcdic => 0x40,
        }
    }

    /// True for UTF-8, where one character may be several bytes.
    pub fn is_utf8(&self) -> bool {
        matches!(self.0.method, Method::Utf8)
    }

    /// The text of `bytes`. Costs nothing where the bytes are UTF-8 already.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Cow<'a, str>, Unmappable> {
        if self.0.family == Family::Ascii
            && bytes.is_ascii()
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            return Ok(Cow::Borrowed(text));
        }
        match &self.0.method {
            Method::Utf8 => {
                std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|e| unmappable(bytes, e.valid_up_to()))
            }
            Method::SingleByte(tables) => match self.0.family {
                Family::Ascii => tables.decode_mostly_ascii(bytes).map(Cow::Owned),
                Family::Ebcdic => tables.decode(bytes).map(Cow::Owned),
            },
            Method::MultiByte(encoding) => match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
                Some(text) => Ok(text),
                None => Err(unmappable(bytes, valid_prefix(encoding, bytes))),
            },
        }
    }

    /// The tables of a single-byte page.
    pub(super) fn tables(&self) -> Option<&Tables> {
        if let Method::SingleByte(tables) = &self.0.method { Some(tables) } else { None }
    }
}

impl fmt::Debug for CodePage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodePage({})", self.name())
    }
}

impl PartialEq for CodePage {
    fn eq(&self, other: &CodePage) -> bool {
        self.name() == other.name()
    }
}

impl Tables {
    fn of(page: &Page) -> Tables {
        let mut chars = [ABSENT; 256];
        match page.family {
            Family::Ebcdic => {
                let all = tables::EBCDIC_CONTROLS.chars().chain(page.chars.chars());
                chars.iter_mut().zip(all).for_each(|(slot, char)| *slot = char);
            }
            Family::Ascii => {
                let lower = (0u8..0x80).map(char::from);
                chars.iter_mut().zip(lower.chain(page.chars.chars())).for_each(|(slot, char)| *slot = char);
            }
        }
        let mut tables = Tables { chars, ascii: [NOT_PLAIN; 256], plain: [NOT_PLAIN; 256], json: [[0; 8]; 256] };
        for (byte, char) in chars.into_iter().enumerate() {
            if char == ABSENT {
                continue;
            }
            if char.is_ascii() {
                tables.ascii[byte] = char as u8;
            }
            let escaped = escape(char);
            if let [only] = escaped.as_bytes() {
                tables.plain[byte] = *only;
            }
            tables.json[byte][..escaped.len()].copy_from_slice(escaped.as_bytes());
            tables.json[byte][7] = escaped.len() as u8;
        }
        tables
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, Unmappable> {
        // Most text is ASCII once it is decoded, and then as long as its bytes.
        let ascii: Vec<u8> = bytes.iter().map(|byte| self.ascii[usize::from(*byte)]).collect();
        if let Ok(text) = String::from_utf8(ascii) {
            return Ok(text);
        }
        let mut text = String::with_capacity(bytes.len() + bytes.len() / 4 + 8);
        for (index, &byte) in bytes.iter().enumerate() {
            match self.chars[usize::from(byte)] {
                ABSENT => return Err(Unmappable { index, byte }),
                char => text.push(char),
            }
        }
        Ok(text)
    }
}

impl Tables {
    /// [`Tables::decode`] for a page that agrees with ASCII below 0x80.
    fn decode_mostly_ascii(&self, bytes: &[u8]) -> Result<String, Unmappable> {
        let mut text = String::with_capacity(bytes.len() + bytes.len() / 4 + 8);
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let run = rest.iter().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
            let (ascii, behind) = rest.split_at(run);
            text.push_str(std::str::from_utf8(ascii).unwrap_or_default());
            at += run;
            if let Some(&byte) = behind.first() {
                match self.chars[usize::from(byte)] {
                    ABSENT => return Err(Unmappable { index: at, byte }),
                    char => text.push(char),
                }
                at += 1;
            }
        }
        Ok(text)
    }
}

/// A character as it stands inside a JSON string (RFC 8259 section 7).
fn escape(char: char) -> String {
    match char {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        control if control < ' ' => format!("\\u{:04x}", u32::from(control)),
        other => other.to_string(),
    }
}

fn unmappable(bytes: &[u8], index: usize) -> Unmappable {
    Unmappable { index, byte: bytes.get(index).copied().unwrap_or_default() }
}

/// How many bytes decode well; only asked once it is known that not all do.
fn valid_prefix(encoding: &'static Encoding, bytes: &[u8]) -> usize {
    let decodes = |end: &usize| {
        bytes.get(..*end).is_some_and(|b| encoding.decode_without_bom_handling_and_without_replacement(b).is_some())
    };
    (0..=bytes.len()).take(4096).filter(decodes).last().unwrap_or(0)
}

/// Lower case, without separators, `ccsid` and leading zeros of the number: `IBM-037` and `ibm37` are one name.
fn normalised(name: &str) -> String {
    let lower: String = name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).collect::<String>().to_lowercase();
    let lower =
        lower.strip_prefix("ccsid").or(lower.strip_prefix("cs").filter(|r| r.starts_with("ibm"))).unwrap_or(&lower);
    let letters = lower.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (prefix, number) = lower.split_at(letters);
    if number.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("{prefix}{}", number.trim_start_matches('0'))
    } else {
        lower.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{CodePage, Family, tables};
    use std::collections::HashMap;

    fn check(page: &str, bytes: &[u8], expected: &str) {
        assert_eq!(CodePage::find(page).unwrap().decode(bytes).as_deref(), Ok(expected), "{page}");
    }

    #[test]
    fn names_in_all_spellings() {
        for name in ["cp037", "CP037", "ibm037", "IBM-037", "ibm_037", "cp37", "037", "37", "ccsid 37", "CCSID00037"] {
            assert_eq!(CodePage::find(name).unwrap().name(), "cp037", "{name}");
        }
        for name in ["windows-1252", "Windows1252", "cp1252", "WIN-1252"] {
            assert_eq!(CodePage::find(name).unwrap().name(), "windows-1252", "{name}");
        }
        assert_eq!(CodePage::find("latin1").unwrap().name(), "iso-8859-1");
        assert_eq!(CodePage::find("ISO8859-15").unwrap().name(), "iso-8859-15");
        assert_eq!(CodePage::find("UTF8").unwrap().name(), "utf-8");
        assert_eq!(CodePage::find("IBM01140").unwrap().name(), "cp1140");
        assert_eq!(CodePage::find("shift_jis").unwrap().name(), "Shift_JIS");
    }

    #[test]
    fn an_unknown_name_names_the_nearest() {
        assert_eq!(CodePage::find("cp0377").unwrap_err().nearest, Some("cp037"));
        assert_eq!(CodePage::find("windos-1252").unwrap_err().nearest, Some("windows-1252"));
        assert_eq!(CodePage::find("klingon").unwrap_err().nearest, None);
        // It has no place in a file of lines and columns of bytes.
        assert!(CodePage::find("utf-16").is_err());
    }

    #[test]
    fn no_name_stands_for_two_pages() {
        let mut seen = HashMap::new();
        for page in tables::PAGES {
            for name in page.names {
                let before = seen.insert(super::normalised(name), page.names[0]);
                assert!(before.is_none_or(|other| other == page.names[0]), "{name}: {before:?}");
            }
        }
    }

    #[test]
    fn every_page_is_whole() {
        for page in tables::PAGES {
            let expected = if page.family == Family::Ebcdic { 0xC0 } else { 0x80 };
            assert_eq!(page.chars.chars().count(), expected, "{}", page.names[0]);
            let found = CodePage::find(page.names[0]).unwrap();
            // The digits, which the number formats rely on, stand where they belong.
            let zero = if page.family == Family::Ebcdic { 0xF0u8 } else { b'0' };
            for digit in 0..10 {
                assert_eq!(found.decode(&[zero + digit]).unwrap(), digit.to_string(), "{}", page.names[0]);
            }
            assert_eq!(found.decode(&[found.blank()]).unwrap(), " ");
        }
    }

    /// Windows pages agree with a library that other people keep, byte by byte.
    #[test]
    fn windows_and_iso_pages_agree_with_encoding_rs() {
        for page in tables::PAGES.iter().filter(|p| p.names[0].starts_with("windows-") || p.names[0] == "koi8-r") {
            let theirs = encoding_rs::Encoding::for_label(page.names[0].as_bytes()).unwrap();
            let ours = CodePage::find(page.names[0]).unwrap();
            for byte in 0u8..=255 {
                // WHATWG turns holes into C1 controls; here they are holes.
                if let Ok(text) = ours.decode(&[byte]) {
                    assert_eq!(text, theirs.decode_without_bom_handling(&[byte]).0, "{} {byte:02X}", page.names[0]);
                }
            }
        }
    }

    #[test]
    fn national_characters() {
        check("cp037", b"\xC8\xC5\xD3\xD3\xD6\x40\x4A\xB0\xBA\xBB", "HELLO ¢^[]");
        check("cp273", b"\xC0\x6A\xD0\xA1\x4A\xE0\x5A\x7C", "äöüßÄÖÜ§");
        check("cp1140", b"\x9F", "€");
        check("cp1141", b"\x9F\xC0", "€ä");
        check("cp500", b"\x4A\x5A\x4F", "[]!");
        check("cp1047", b"\xAD\xBD\x5F", "[]^");
        check("cp850", b"M\x81ller Stra\xE1e", "Müller Straße");
        check("cp858", b"\xD5", "€");
        check("windows-1252", b"\x80 \xFC", "€ ü");
        check("utf-8", "grün €".as_bytes(), "grün €");
        check("shift_jis", b"\x83e\x83X\x83g", "テスト");
    }

    #[test]
    fn a_byte_without_a_character_is_named() {
        let fault = |page: &str, bytes: &[u8]| {
            let unmappable = CodePage::find(page).unwrap().decode(bytes).unwrap_err();
            (unmappable.index, unmappable.byte)
        };
        assert_eq!(fault("windows-1252", b"ab\x81"), (2, 0x81));
        assert_eq!(fault("utf-8", b"ab\xFFc"), (2, 0xFF));
        assert_eq!(fault("cp274", b"\xC1\x41"), (1, 0x41));
        assert_eq!(fault("shift_jis", b"ab\xFFc").0, 2);
    }

    #[test]
    fn the_json_table_says_what_decode_says() {
        for name in ["cp037", "cp875", "windows-1252", "cp850"] {
            let page = CodePage::find(name).unwrap();
            let tables = page.tables().unwrap();
            for byte in 0u8..=255 {
                let entry = tables.json[usize::from(byte)];
                let escaped = &entry[..usize::from(entry[7])];
                match page.decode(&[byte]) {
                    Err(_) => assert_eq!(escaped, b""),
                    Ok(text) => {
                        let json = format!("\"{}\"", std::str::from_utf8(escaped).unwrap());
                        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
                        let plain = tables.plain[usize::from(byte)];
                        assert!(plain == super::NOT_PLAIN || text.as_bytes() == [plain]);
                    }
                }
            }
        }
    }
}
