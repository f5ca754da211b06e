//! The way back: the bytes that stand for a text. Only what reads back as the same text is written.

use std::collections::HashMap;
use std::fmt;

use super::{ABSENT, CodePage, Family, Method};

/// Writes text in a code page. Made once for many texts by [`CodePage::writer`].
pub(in crate::decode) struct PageWriter {
    page: CodePage,
    /// The byte of every character of a single-byte page; of several the lowest.
    bytes: HashMap<char, u8>,
}

/// A character that the page has no bytes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode) struct Unencodable(pub(in crate::decode) char);

/// For messages: the character as it is where it can be seen, and its code point.
impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unencodable(char) = self;
        if !char.is_control() && !char.is_whitespace() {
            write!(f, "`{char}` ")?;
        }
        write!(f, "(U+{:04X})", u32::from(*char))
    }
}

impl CodePage {
    /// A writer of text in this page.
    pub(in crate::decode) fn writer(&self) -> PageWriter {
        let mut bytes = HashMap::new();
        if let Method::SingleByte(tables) = &self.0.method {
            for (byte, &char) in (0u8..=255).zip(&tables.chars) {
                if char != ABSENT {
                    bytes.entry(char).or_insert(byte);
                }
            }
        }
        PageWriter { page: self.clone(), bytes }
    }
}

impl PageWriter {
    /// Appends the bytes of `text`. After a fault `out` may hold a part of them.
    pub(in crate::decode) fn write(&self, text: &str, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        match &self.page.0.method {
            Method::Utf8 => out.extend_from_slice(text.as_bytes()),
            Method::SingleByte(_) => {
                out.reserve(text.len());
                if self.page.family() == Family::Ascii && text.is_ascii() {
                    out.extend_from_slice(text.as_bytes());
                    return Ok(());
                }
                for char in text.chars() {
                    out.push(*self.bytes.get(&char).ok_or(Unencodable(char))?);
                }
            }
            Method::MultiByte(encoding) => {
                if text.is_ascii() {
                    out.extend_from_slice(text.as_bytes());
                    return Ok(());
                }
                // Character by character, because some of these encodings write two characters alike, and such a one
                // would read back as the other.
                let mut utf8 = [0; 4];
                for char in text.chars() {
                    let (bytes, _, unmappable) = encoding.encode(char.encode_utf8(&mut utf8));
                    let back = encoding.decode_without_bom_handling_and_without_replacement(&bytes);
                    if unmappable || !back.is_some_and(|back| back.chars().eq([char])) {
                        return Err(Unencodable(char));
                    }
                    out.extend_from_slice(&bytes);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CodePage, tables};
    use super::Unencodable;

    fn check(page: &str, text: &str, expected: Result<&[u8], Unencodable>) {
        let mut out = Vec::new();
        let written = CodePage::find(page).unwrap().writer().write(text, &mut out);
        assert_eq!(written.map(|()| out), expected.map(<[u8]>::to_vec), "{page}");
    }

    #[test]
    fn bytes_of_national_characters() {
        check("cp037", "HELLO ¢", Ok(b"\xC8\xC5\xD3\xD3\xD6\x40\x4A"));
        check("cp1141", "€ä", Ok(b"\x9F\xC0"));
        check("cp850", "Schlüssel", Ok(b"Schl\x81ssel"));
        check("windows-1252", "€ŝ", Err(Unencodable('ŝ')));
        check("utf-8", "€", Ok(b"\xE2\x82\xAC"));
        check("shift_jis", "表", Ok(b"\x95\x5C"));
        // It would come back as a backslash.
        check("shift_jis", "¥", Err(Unencodable('¥')));
        assert_eq!(Unencodable('\u{7}').to_string(), "(U+0007)");
        assert_eq!(Unencodable('ŝ').to_string(), "`ŝ` (U+015D)");
    }

    #[test]
    fn every_character_of_every_page_reads_back() {
        for page in tables::PAGES {
            let page = CodePage::find(page.names[0]).unwrap();
            let writer = page.writer();
            for byte in 0u8..=255 {
                let byte = [byte];
                let Ok(text) = page.decode(&byte) else { continue };
                let mut out = Vec::new();
                writer.write(&text, &mut out).unwrap();
                assert_eq!(page.decode(&out).unwrap(), text, "{} {byte:02X?}", page.name());
            }
        }
    }
}
