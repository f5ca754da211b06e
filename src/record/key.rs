//! A record's key as URLs and the database have it: its parts percent-encoded in one canonical way and
//! joined by `~`.
//!
//! RFC 3986 lets a client encode more than it must, so one record has many legal URLs. There is one
//! canonical form: `A-Z a-z 0-9 - . _` stand for themselves, every other byte of the UTF-8 text (`~`
//! included, since it joins parts) is `%XX` in upper case. Keys are stored so, and a request's key is brought
//! to this form before it is looked up.

use std::borrow::Cow;

/// The character between the parts of a composite key.
pub const SEPARATOR: char = '~';

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The text is not a percent-encoded UTF-8 text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeKeyError {
    /// A `%` is not followed by two hexadecimal digits.
    #[error("a `%` must be followed by two hexadecimal digits")]
    BadEscape,
    /// The decoded bytes are not UTF-8.
    #[error("the percent-encoded bytes are not UTF-8")]
    NotUtf8,
}

/// Whether the byte stands for itself in the canonical form.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// Appends the canonical form of one part.
pub fn encode_part(part: &str, out: &mut String) {
    for &byte in part.as_bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// The text that a part stands for, however legally it was encoded.
pub fn decode_part(part: &str) -> Result<Cow<'_, str>, DecodeKeyError> {
    if !part.contains('%') {
        return Ok(Cow::Borrowed(part));
    }
    let mut decoded = Vec::with_capacity(part.len());
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(DecodeKeyError::BadEscape) };
        decoded.push((high * 16 + low) as u8);
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| DecodeKeyError::NotUtf8)
}

/// Brings a key of `parts` parts, as a caller wrote it, to the canonical form. `Ok(None)` when it has another
/// number of parts; a key of one part may hold an unencoded `~`.
pub fn canonical(written: &str, parts: usize) -> Result<Option<Cow<'_, str>>, DecodeKeyError> {
    let separators = written.bytes().filter(|byte| *byte == SEPARATOR as u8).count();
    if parts != 1 && separators + 1 != parts {
        return Ok(None);
    }
    if written.bytes().all(|byte| is_plain(byte) || (parts != 1 && byte == SEPARATOR as u8)) {
        return Ok(Some(Cow::Borrowed(written)));
    }
    let mut key = String::with_capacity(written.len());
    if parts == 1 {
        encode_part(&decode_part(written)?, &mut key);
        return Ok(Some(Cow::Owned(key)));
    }
    for (number, part) in written.split(SEPARATOR).enumerate() {
        if number > 0 {
            key.push(SEPARATOR);
        }
        encode_part(&decode_part(part)?, &mut key);
    }
    Ok(Some(Cow::Owned(key)))
}

#[cfg(test)]
mod tests {
    use super::{DecodeKeyError, canonical, decode_part, encode_part};
    use proptest::prelude::*;

    fn check(written: &str, parts: usize, expected: Result<Option<&str>, DecodeKeyError>) {
        let found = canonical(written, parts);
        assert_eq!(found.as_ref().map(|key| key.as_deref()), expected.as_ref().map(|key| *key), "{written}");
    }

    #[test]
    fn any_legal_encoding_finds_the_record() {
        check("0000000042", 1, Ok(Some("0000000042")));
        check("%30042", 1, Ok(Some("0042")));
        check("a%2fb", 1, Ok(Some("a%2Fb")));
        check("a~b", 1, Ok(Some("a%7Eb")));
        check("a%7eb", 1, Ok(Some("a%7Eb")));
        check("M\u{fc}ller", 1, Ok(Some("M%C3%BCller")));
        check("a b!", 1, Ok(Some("a%20b%21")));
        check("DE~%34711", 2, Ok(Some("DE~4711")));
        check("DE~47%7E11", 2, Ok(Some("DE~47%7E11")));
        check("DE", 2, Ok(None));
        check("DE~4~5", 2, Ok(None));
        check("100%", 1, Err(DecodeKeyError::BadEscape));
        check("%zz", 1, Err(DecodeKeyError::BadEscape));
        check("%ff", 1, Err(DecodeKeyError::NotUtf8));
        check("..%2F..%2Fetc", 1, Ok(Some("..%2F..%2Fetc")));
    }

    proptest! {
        #[test]
        fn encoding_is_undone_by_decoding(part in "\\PC*") {
            let mut key = String::new();
            encode_part(&part, &mut key);
            let decoded = decode_part(&key).unwrap();
            prop_assert_eq!(decoded.as_ref(), part.as_str());
            let again = canonical(&key, 1).unwrap().unwrap();
            prop_assert_eq!(again.as_ref(), key.as_str());
        }

        #[test]
        fn canonical_never_panics_and_is_idempotent(written in "[ -~%]{0,20}", parts in 1usize..4) {
            if let Ok(Some(key)) = canonical(&written, parts) {
                let again = canonical(&key, parts).unwrap().unwrap();
                prop_assert_eq!(again.as_ref(), key.as_ref());
            }
        }
    }
}
