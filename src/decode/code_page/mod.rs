//! Code pages: what character a byte of the old system stands for.
//!
//! Single-byte pages (EBCDIC, DOS, Windows, ISO 8859) are tables of our own, because no maintained library has the
//! EBCDIC and DOS ones and because a byte that a page does not have must be a fault, not a guess. So are the mixed EBCDIC
//! pages of East Asia, in which shift-out and shift-in stand around double-byte characters. UTF-8 and the multi-byte
//! encodings of ASCII machines are `encoding_rs`'s work. What a page knows nothing of: fields, padding, lines.

mod double;
mod encode;
mod tables;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use encoding_rs::Encoding;

use crate::diagnostic::nearest;
use double::DoubleByte;

pub use encode::Unencodable;

pub(super) use encode::PageWriter;

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
    /// The table of the double-byte characters of a mixed page.
    double: Option<u8>,
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
    /// Characters of a table by byte, made when text is first encoded.
    bytes: OnceLock<HashMap<char, u8>>,
}

enum Method {
    SingleByte(Box<Tables>),
    /// Single bytes, and double-byte characters between SO and SI.
    Mixed(Box<Tables>, Box<DoubleByte>),
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
            None => "known are cp037, cp273, cp500, cp1047, cp1140 to cp1149 and other EBCDIC pages, cp930, cp933, \
                     cp935, cp937, cp939 and other mixed ones, cp437, cp850, \
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
        let other = alias(&wanted);
        let wanted = other.map_or(wanted, normalised);
        if wanted == "utf8" || wanted == "utf8sig" {
            return Ok(CodePage::utf8());
        }
        let same = |spelling: &&'static str| normalised(spelling) == wanted;
        if let Some(page) = tables::PAGES.iter().find(|page| page.names.iter().any(same)) {
            let tables = Box::new(Tables::of(page));
            let method = match page.double {
                None => Method::SingleByte(tables),
                Some(table) => Method::Mixed(tables, Box::new(DoubleByte::load(table))),
            };
            return Ok(CodePage::of(page.names.first().copied().unwrap_or_default(), page.family, method));
        }
        let encoding = [name.trim(), &name.trim().replace('_', "-"), other.unwrap_or_default()]
            .into_iter()
            .find_map(|label| Encoding::for_label_no_replacement(label.as_bytes()));
        match encoding {
            Some(encoding) if encoding.is_single_byte() => {
                let method = Method::SingleByte(Box::new(Tables::of_encoding(encoding)));
                Ok(CodePage::of(encoding.name(), Family::Ascii, method))
            }
            Some(encoding) if encoding.is_ascii_compatible() => {
                Ok(CodePage::of(encoding.name(), Family::Ascii, Method::MultiByte(encoding)))
            }
            _ => {
                let known = tables::PAGES.iter().flat_map(|page| page.names.iter().copied()).chain(["utf-8"]);
                let nearest = nearest(name, known.filter(|name| !name.starts_with(|c: char| c.is_ascii_digit())));
                Err(UnknownCodePage { name: name.to_owned(), nearest })
            }
        }
    }

    /// The names of all pages that are tables of our own, each the one it is best known by.
    pub fn tabled() -> impl Iterator<Item = &'static str> {
        tables::PAGES.iter().filter_map(|page| page.names.first().copied())
    }

    /// UTF-8.
    pub fn utf8() -> CodePage {
        CodePage::of("utf-8", Family::Ascii, Method::Utf8)
    }

    fn of(name: &'static str, family: Family, method: Method) -> CodePage {
        CodePage(Arc::new(Inner { name, family, method, bytes: OnceLock::new() }))
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

    /// True for pages in which double-byte characters stand between SO and SI.
    pub fn is_mixed(&self) -> bool {
        matches!(self.0.method, Method::Mixed(..))
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
            Method::Mixed(tables, double) => mixed(tables, double, bytes).map(Cow::Owned),
            Method::MultiByte(encoding) => match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
                Some(text) => Ok(text),
                None => Err(unmappable(bytes, valid_prefix(encoding, bytes))),
            },
        }
    }

    /// The text of double-byte characters without shifts between them, as `PIC G` has them.
    pub fn decode_double(&self, bytes: &[u8]) -> Result<String, Unmappable> {
        match &self.0.method {
            Method::Mixed(_, double) => pairs(double, bytes, 0),
            Method::MultiByte(_) => self.decode(bytes).map(Cow::into_owned),
            Method::SingleByte(_) | Method::Utf8 => Err(unmappable(bytes, 0)),
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

/// Shift-out and shift-in.
const SO: u8 = 0x0E;
const SI: u8 = 0x0F;

/// Text of single bytes with double-byte characters between SO and SI.
fn mixed(tables: &Tables, double: &DoubleByte, bytes: &[u8]) -> Result<String, Unmappable> {
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 2 + 8);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != SO {
            match tables.chars[usize::from(byte)] {
                ABSENT => return Err(Unmappable { index: at, byte }),
                char => text.push(char),
            }
            at += 1;
            continue;
        }
        let inside = &bytes[at + 1..];
        // A text that is shifted out must be shifted in again: what is behind it cannot be read else.
        let Some(length) = inside.iter().position(|byte| *byte == SI) else {
            return Err(Unmappable { index: at, byte });
        };
        text.push_str(&pairs(double, &inside[..length], at + 1)?);
        at += length + 2;
    }
    Ok(text)
}

/// Double-byte characters; `first` is where they begin in the text. Pairs of low values are kept.
fn pairs(double: &DoubleByte, bytes: &[u8], first: usize) -> Result<String, Unmappable> {
    let (codes, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len() * 2);
    for (index, code) in codes.iter().enumerate() {
        if *code == [0, 0] {
            text.push('\0');
        } else if !double.decode(*code, &mut text) {
            return Err(Unmappable { index: first + 2 * index, byte: code[0] });
        }
    }
    match rest.first() {
        None => Ok(text),
        Some(&byte) => Err(Unmappable { index: first + 2 * codes.len(), byte }),
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
        if page.double.is_some() {
            chars[usize::from(SO)] = ABSENT;
            chars[usize::from(SI)] = ABSENT;
        }
        Tables::from_chars(chars)
    }

    /// The tables of a page that a library has.
    fn of_encoding(encoding: &'static Encoding) -> Tables {
        let mut chars = [ABSENT; 256];
        for (slot, byte) in chars.iter_mut().zip(0u8..=255) {
            let text = encoding.decode_without_bom_handling_and_without_replacement(std::slice::from_ref(&byte));
            *slot = text.and_then(|text| text.chars().next()).unwrap_or(ABSENT);
        }
        Tables::from_chars(chars)
    }

    fn from_chars(chars: [char; 256]) -> Tables {
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
/// What a normalised name also stands for. The multi-byte pages of Windows are those that the standards of the web have
/// under the older names.
fn alias(name: &str) -> Option<&'static str> {
    const ALIASES: &[(&str, &[&str])] = &[
        (
            "us-ascii",
            &[
                "646",
                "cp367",
                "ibm367",
                "isoir6",
                "iso646us",
                "iso646.irv1991",
                "us",
                "csascii",
                "ansix3.41968",
                "ansix341968",
                "ansix3.41986",
            ],
        ),
        ("utf-8", &["u8", "utf", "cp65001", "65001"]),
        ("shift_jis", &["shiftjis", "932", "cp932", "ms932", "windows932", "mskanji", "sjis"]),
        ("euc-kr", &["euckr", "949", "cp949", "ms949", "windows949", "uhc", "ksx1001", "ksc56011987", "ksc5601"]),
        ("big5", &["hkscs", "big5hkscs", "big5tw"]),
        ("gbk", &["936", "cp936", "ms936", "windows936", "gb2312", "euccn", "gb231280", "gb23121980", "eucgb2312cn"]),
        ("gb18030", &["54936", "cp54936", "gb180302000"]),
        ("euc-jp", &["eucjp", "ujis", "51932", "cp51932"]),
        ("cp37", &["ebcdiccpca", "ebcdiccpnl", "ebcdiccpwt", "ibm39"]),
        ("cp424", &["ebcdiccphe"]),
        ("cp500", &["ebcdiccpbe", "ebcdiccpch"]),
        ("cp1125", &["cp866u", "ruscii"]),
        ("cp437", &["pc8codepage437", "cspc8codepage437"]),
        ("cp775", &["cspc775baltic"]),
        ("cp850", &["cspc850multilingual"]),
        ("cp852", &["cspcp852"]),
        ("cp861", &["cpis"]),
        ("cp862", &["cspc862latinhebrew"]),
        ("cp869", &["cpgr"]),
        ("hproman8", &["cshproman8"]),
        ("ptcp154", &["csptcp154"]),
        ("iso885911", &["thai", "tis620", "tis6200", "tis62025290", "tis62025291", "isoir166"]),
        ("iso885913", &["l7", "latin7"]),
        ("iso885914", &["l8", "latin8", "isoceltic", "isoir199"]),
        ("iso885916", &["l10", "latin10", "isoir226"]),
        ("iso88597", &["elot928"]),
    ];
    ALIASES.iter().find(|(_, names)| names.contains(&name)).map(|(own, _)| *own)
}

fn normalised(name: &str) -> String {
    let lower: String = name.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).collect::<String>().to_lowercase();
    let lower =
        lower.strip_prefix("ccsid").or(lower.strip_prefix("cs").filter(|r| r.starts_with("ibm"))).unwrap_or(&lower);
    // `ISO_8859-5:1988`: the year of a part of the standard says nothing more.
    let year = ["1986", "1987", "1988", "1989", "1992", "1998", "2001"];
    let part = lower.strip_prefix("iso8859").and_then(|_| year.iter().find_map(|year| lower.strip_suffix(year)));
    let lower = part.map_or(lower, |part| part.trim_end_matches(':'));
    let letters = lower.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (prefix, number) = lower.split_at(letters);
    if number.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("{prefix}{}", number.trim_start_matches('0'))
    } else {
        lower.to_owned()
    }
}
