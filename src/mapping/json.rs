//! JSON text, written straight into a buffer: the hot path makes no tree of values.

/// For every byte: 0 when it stands for itself in a JSON string, `u` for `\u00XX`, else the letter after `\`.
static ESCAPES: [u8; 256] = escapes();

const fn escapes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0A] = b'n';
    table[0x0C] = b'f';
    table[0x0D] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
}

/// Appends `text` as a JSON string with its quotes.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut start = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        let escape = ESCAPES[usize::from(byte)];
        if escape == 0 {
            continue;
        }
        out.extend_from_slice(&bytes[start..index]);
        start = index + 1;
        if escape == b'u' {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', escape]);
        }
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

/// `text` as a JSON string.
pub(super) fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_string(&mut out, text);
    out
}

/// Appends `number` with `width` digits, leading zeros included.
pub(super) fn write_padded(out: &mut Vec<u8>, mut number: u32, width: usize) {
    let start = out.len();
    out.resize(start + width, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::{string, write_padded};
    use proptest::prelude::*;

    #[test]
    fn pads_with_zeros() {
        let mut out = Vec::new();
        write_padded(&mut out, 7, 3);
        assert_eq!(out, b"007");
    }

    proptest! {
        #[test]
        fn strings_read_back(text in any::<String>(), control in "[\\x00-\\x7f]{0,8}") {
            for text in [text, control] {
                let read: String = serde_json::from_slice(&string(&text)).unwrap();
                prop_assert_eq!(read, text);
            }
        }
    }
}
