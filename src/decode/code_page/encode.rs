//! Text becomes bytes again.

use std::collections::HashMap;
use std::fmt;

use encoding_rs::EncoderResult;

use super::double::DoubleByte;
use super::{ABSENT, CodePage, Family, Method, SI, SO, Tables};

/// A character that the page has no bytes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Unencodable {
    /// Index of the character in the text, in bytes of UTF-8.
    pub index: usize,
    /// The character.
    pub char: char,
}

/// For messages: the character as it is where it can be seen, and its code point.
impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.char.is_control() && !self.char.is_whitespace() {
            write!(f, "`{}` ", self.char)?;
        }
        write!(f, "(U+{:04X})", u32::from(self.char))
    }
}

/// Writes text in a code page.
pub(in crate::decode) struct PageWriter(CodePage);

impl PageWriter {
    /// Appends the bytes of `text`; nothing after a fault.
    pub(in crate::decode) fn write(&self, text: &str, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        let page = &self.0.0;
        let is_ascii = page.family == Family::Ascii;
        match &page.method {
            // Most text is ASCII, of which these are bytes already.
            Method::Utf8 => out.extend_from_slice(text.as_bytes()),
            Method::SingleByte(_) if is_ascii && text.is_ascii() => out.extend_from_slice(text.as_bytes()),
            Method::SingleByte(tables) => {
                let start = out.len();
                let bytes = page.bytes.get_or_init(|| by_char(tables));
                out.reserve(text.len());
                for (index, char) in text.char_indices() {
                    let byte = if is_ascii && char.is_ascii() { Some(char as u8) } else { bytes.get(&char).copied() };
                    match byte {
                        Some(byte) => out.push(byte),
                        None => {
                            out.truncate(start);
                            return Err(Unencodable { index, char });
                        }
                    }
                }
            }
            Method::Mixed(..) | Method::MultiByte(_) => out.extend(self.0.encode(text)?),
        }
        Ok(())
    }
}

impl CodePage {
    /// The bytes of a text. Decoded, they are the same text again.
    pub fn encode(&self, text: &str) -> Result<Vec<u8>, Unencodable> {
        match &self.0.method {
            Method::Utf8 => Ok(text.as_bytes().to_vec()),
            Method::SingleByte(tables) => {
                let bytes = self.0.bytes.get_or_init(|| by_char(tables));
                let byte = |(index, char)| bytes.get(&char).copied().ok_or(Unencodable { index, char });
                text.char_indices().map(byte).collect()
            }
            Method::Mixed(tables, double) => mixed(self.0.bytes.get_or_init(|| by_char(tables)), double, text),
            Method::MultiByte(encoding) => {
                let mut encoder = encoding.new_encoder();
                let room = encoder.max_buffer_length_from_utf8_without_replacement(text.len());
                let mut bytes = Vec::with_capacity(room.unwrap_or(4 * text.len() + 16));
                match encoder.encode_from_utf8_to_vec_without_replacement(text, &mut bytes, true) {
                    // Some of these encodings write two characters alike, and one of them would read back as the other.
                    (EncoderResult::InputEmpty, _) => match self.first_that_differs(text, &bytes) {
                        Some(other) => Err(other),
                        None => Ok(bytes),
                    },
                    (EncoderResult::Unmappable(char), read) => {
                        Err(Unencodable { index: read.saturating_sub(char.len_utf8()), char })
                    }
                    // The room is what the encoder asked for.
                    (EncoderResult::OutputFull, read) => Err(Unencodable { index: read, char: ABSENT }),
                }
            }
        }
    }

    /// A writer of text in this page.
    pub(in crate::decode) fn writer(&self) -> PageWriter {
        PageWriter(self.clone())
    }

    /// The first character that its bytes do not give back.
    fn first_that_differs(&self, text: &str, bytes: &[u8]) -> Option<Unencodable> {
        if text.is_ascii() {
            return None;
        }
        let back = self.decode(bytes).unwrap_or_default();
        let mut others = back.chars();
        text.char_indices()
            .find(|(_, char)| others.next() != Some(*char))
            .map(|(index, char)| Unencodable { index, char })
    }

    /// The bytes of a text in double-byte characters without shifts, as `PIC G` has them. See
    /// [`decode_double`](CodePage::decode_double).
    pub fn encode_double(&self, text: &str) -> Result<Vec<u8>, Unencodable> {
        match &self.0.method {
            Method::Mixed(_, double) => {
                let mut bytes = Vec::with_capacity(2 * text.len());
                let mut chars = text.char_indices().peekable();
                while let Some((index, char)) = chars.next() {
                    let next = chars.peek().map(|(_, next)| *next);
                    // A blank is written as the wide one, which it is read as.
                    let (code, both) = match char {
                        ' ' => ([0x40, 0x40], false),
                        '\0' => ([0, 0], false),
                        _ => double.encode(char, next).ok_or(Unencodable { index, char })?,
                    };
                    bytes.extend(code);
                    if both {
                        chars.next();
                    }
                }
                Ok(bytes)
            }
            Method::MultiByte(_) => self.encode(text),
            Method::SingleByte(_) | Method::Utf8 => match text.chars().next() {
                None => Ok(Vec::new()),
                Some(char) => Err(Unencodable { index: 0, char }),
            },
        }
    }
}

/// The byte of every character; the first one where several bytes are the same character.
fn by_char(tables: &Tables) -> HashMap<char, u8> {
    let mut bytes = HashMap::with_capacity(256);
    for (byte, &char) in (0u8..=255).zip(&tables.chars) {
        if char != ABSENT {
            bytes.entry(char).or_insert(byte);
        }
    }
    bytes
}

/// Double-byte characters are put between SO and SI, as few of them as will do.
fn mixed(single: &HashMap<char, u8>, double: &DoubleByte, text: &str) -> Result<Vec<u8>, Unencodable> {
    let mut bytes = Vec::with_capacity(2 * text.len());
    let mut shifted = false;
    let mut chars = text.char_indices().peekable();
    while let Some((index, char)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        if let Some(&byte) = single.get(&char) {
            if std::mem::take(&mut shifted) {
                bytes.push(SI);
            }
            bytes.push(byte);
            continue;
        }
        let (code, both) = double.encode(char, next).ok_or(Unencodable { index, char })?;
        if !std::mem::replace(&mut shifted, true) {
            bytes.push(SO);
        }
        bytes.extend(code);
        if both {
            chars.next();
        }
    }
    if shifted {
        bytes.push(SI);
    }
    Ok(bytes)
}
