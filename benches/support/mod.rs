//! Data for the benchmarks, the same in every run.

mod numbers;

pub(crate) use numbers::Numbers;

/// Text in cp037, filled up with blanks to its width.
pub(crate) fn ebcdic(text: &str, width: usize, out: &mut Vec<u8>) {
    for byte in text.bytes().chain(std::iter::repeat(b' ')).take(width) {
        out.push(match byte {
            b'0'..=b'9' => 0xF0 + byte - b'0',
            b'A'..=b'I' => 0xC1 + byte - b'A',
            b'J'..=b'R' => 0xD1 + byte - b'J',
            b'S'..=b'Z' => 0xE2 + byte - b'S',
            b'+' => 0x4E,
            b'&' => 0x50,
            _ => 0x40,
        });
    }
}

/// A packed decimal of so many digits.
pub(crate) fn packed(value: u64, digits: usize, out: &mut Vec<u8>) {
    let text = format!("{value:0width$}C", width = digits | 1);
    for pair in text.as_bytes().chunks(2) {
        let digit = |byte: u8| if byte == b'C' { 0xC } else { byte - b'0' };
        out.push(digit(pair[0]) << 4 | digit(pair[1]));
    }
}
