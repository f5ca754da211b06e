//! Numbers as COBOL stores them: zoned, packed, binary, edited and floating point.
//!
//! Every function answers with the exact number or with what is wrong at which byte. Nothing is repaired: a nibble that
//! is no digit, a sign that is none, a value that its picture cannot hold are faults.

use super::settings::{ByteOrder, FloatFormat};
use crate::decode::code_page::Family;
use crate::decode::copybook::SignPosition;
use crate::decode::json::Digits;

/// A whole number; the layout knows where its point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// False for zero.
    pub(super) negative: bool,
    pub(super) magnitude: u128,
}

/// Why bytes are no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// Blanks or low values throughout.
    Blank,
    /// Something other than a digit at this byte.
    Digit(usize),
    /// Something other than a sign at this byte, or a minus where the picture has no sign.
    Sign(usize),
    /// More digits than the picture has.
    Overflow,
    /// A float that is infinite or not a number.
    NotFinite,
}

/// In the tables below: no digit here.
const NONE: u8 = 0xFF;
/// In the tables of signed digits: negative.
const NEGATIVE: u8 = 0x10;

static EBCDIC_DIGITS: [u8; 256] = digits(0xF0);
static ASCII_DIGITS: [u8; 256] = digits(b'0');
static EBCDIC_SIGNED: [u8; 256] = ebcdic_signed();
static ASCII_SIGNED: [u8; 256] = ascii_signed();
static PAIRS: [u16; 256] = pairs();

const fn digits(zero: u8) -> [u8; 256] {
    let mut table = [NONE; 256];
    let mut digit = 0;
    while digit < 10 {
        table[(zero + digit) as usize] = digit;
        digit += 1;
    }
    table
}

/// A digit with its sign in the zone: C, F, A and E are plus, D and B are minus.
const fn ebcdic_signed() -> [u8; 256] {
    let mut table = [NONE; 256];
    let mut zone = 0xA;
    while zone <= 0xF {
        let mut digit = 0;
        while digit < 10 {
            let minus = zone == 0xB || zone == 0xD;
            table[(zone << 4 | digit) as usize] = if minus { digit | NEGATIVE } else { digit };
            digit += 1;
        }
        zone += 1;
    }
    table
}

/// The same digits after a translation to ASCII (`{ABCDEFGHI` plus, `}JKLMNOPQR` minus), and the form that compilers of
/// ASCII machines write themselves (digits plus, `p` to `y` minus).
const fn ascii_signed() -> [u8; 256] {
    let mut table = digits(b'0');
    table[b'{' as usize] = 0;
    table[b'}' as usize] = NEGATIVE;
    table[b'p' as usize] = NEGATIVE;
    let mut digit = 1;
    while digit < 10 {
        table[(b'A' + digit - 1) as usize] = digit;
        table[(b'J' + digit - 1) as usize] = digit | NEGATIVE;
        table[(b'p' + digit) as usize] = digit | NEGATIVE;
        digit += 1;
    }
    table
}

/// Two digits in one byte as two characters, the first in the low byte; [`NO_PAIR`] in both where they are none.
const fn pairs() -> [u16; 256] {
    let mut table = [NO_PAIR; 256];
    let mut byte = 0;
    while byte < 256 {
        if byte >> 4 < 10 && byte & 15 < 10 {
            table[byte] = ((byte >> 4) | (byte & 15) << 8) as u16 | 0x3030;
        }
        byte += 1;
    }
    table
}

/// Bits that no pair of digits has.
const NO_PAIR: u16 = 0xC0C0;

const fn powers() -> [u128; 39] {
    let mut table = [1u128; 39];
    let mut exponent = 1;
    while exponent < 39 {
        table[exponent] = table[exponent - 1] * 10;
        exponent += 1;
    }
    table
}

/// Powers of ten, to 38.
pub(super) static POWERS: [u128; 39] = powers();

fn number(negative: bool, magnitude: u128) -> Number {
    Number { negative: negative && magnitude != 0, magnitude }
}

/// One digit a byte. Writes the digits and answers whether the sign is a minus.
#[inline]
pub(super) fn zoned(
    bytes: &[u8],
    sign: Option<SignPosition>,
    family: Family,
    digits: &mut Digits,
) -> Result<bool, Bad> {
    let ebcdic = family == Family::Ebcdic;
    let (plain, signed) = if ebcdic { (&EBCDIC_DIGITS, &EBCDIC_SIGNED) } else { (&ASCII_DIGITS, &ASCII_SIGNED) };
    let (plus, minus) = if ebcdic { (0x4E, 0x60) } else { (b'+', b'-') };
    let last = bytes.len() - 1;
    let separate = |at: usize| match bytes[at] {
        byte if byte == plus => Ok(false),
        byte if byte == minus => Ok(true),
        _ => Err(Bad::Sign(at)),
    };
    match sign {
        Some(SignPosition::TrailingSeparate) => {
            let negative = separate(last)?;
            run(&bytes[..last], 0, plain, digits)?;
            Ok(negative)
        }
        Some(SignPosition::LeadingSeparate) => {
            let negative = separate(0)?;
            run(&bytes[1..], 1, plain, digits)?;
            Ok(negative)
        }
        Some(SignPosition::Leading) => {
            let first = signed[usize::from(bytes[0])];
            if first == NONE {
                return Err(over_digit(bytes[0], 0));
            }
            push(digits, first);
            run(&bytes[1..], 1, plain, digits)?;
            Ok(first & NEGATIVE != 0)
        }
        Some(SignPosition::Trailing) | None => {
            let digit = signed[usize::from(bytes[last])];
            if digit == NONE {
                return Err(over_digit(bytes[last], last));
            }
            let negative = digit & NEGATIVE != 0;
            // An unsigned number may carry the plus that a program left there. A minus contradicts its picture, and the
            // rarer signs are letters (`S` to `Z`) far more often than signs.
            let usual = !ebcdic || bytes[last] >= 0xF0 || bytes[last] & 0xF0 == 0xC0;
            if sign.is_none() && (negative || !usual) {
                return Err(Bad::Sign(last));
            }
            run(&bytes[..last], 0, plain, digits)?;
            push(digits, digit);
            Ok(negative)
        }
    }
}

fn push(digits: &mut Digits, digit: u8) {
    digits.ascii[digits.end] = digit & 15 | b'0';
    digits.end += 1;
}

/// What is wrong with a byte that should hold a digit and perhaps a sign.
#[cold]
fn over_digit(byte: u8, at: usize) -> Bad {
    if byte & 15 < 10 { Bad::Sign(at) } else { Bad::Digit(at) }
}

/// Digits without a sign; `first` is the index of the first one in its field.
#[inline]
fn run(bytes: &[u8], first: usize, table: &[u8; 256], digits: &mut Digits) -> Result<(), Bad> {
    let mut seen = 0u8;
    let start = digits.end;
    for (to, &byte) in digits.ascii[start..start + bytes.len()].iter_mut().zip(bytes) {
        let digit = table[usize::from(byte)];
        seen |= digit;
        *to = digit | b'0';
    }
    if seen == NONE {
        let bad = bytes.iter().position(|byte| table[usize::from(*byte)] == NONE).unwrap_or_default();
        return Err(Bad::Digit(first + bad));
    }
    digits.end += bytes.len();
    Ok(())
}

/// Two digits a byte; with a sign in the last half-byte when `sign_nibble`. Writes the digits, as many as the bytes
/// have, and answers whether the sign is a minus.
#[inline]
pub(super) fn packed(
    bytes: &[u8],
    picture_digits: u8,
    signed: bool,
    sign_nibble: bool,
    digits: &mut Digits,
) -> Result<bool, Bad> {
    let (body, last) = if sign_nibble { bytes.split_at(bytes.len() - 1) } else { (bytes, &bytes[..0]) };
    let mut seen = 0u16;
    for (to, &byte) in digits.ascii[..2 * body.len()].chunks_exact_mut(2).zip(body) {
        let pair = PAIRS[usize::from(byte)];
        seen |= pair;
        to.copy_from_slice(&pair.to_le_bytes());
    }
    if seen & NO_PAIR != 0 {
        let bad = body.iter().position(|byte| PAIRS[usize::from(*byte)] & NO_PAIR != 0).unwrap_or_default();
        return Err(Bad::Digit(bad));
    }
    digits.end = 2 * body.len();
    let mut negative = false;
    if let Some(&byte) = last.first() {
        if byte >> 4 > 9 {
            return Err(Bad::Digit(body.len()));
        }
        negative = match byte & 15 {
            0xC | 0xF | 0xA | 0xE => false,
            0xD | 0xB if signed => true,
            _ => return Err(Bad::Sign(body.len())),
        };
        push(digits, byte >> 4);
    }
    // A picture that leaves a half-byte over wants a zero in it.
    if digits.end > usize::from(picture_digits) && digits.ascii[0] != b'0' {
        return Err(Bad::Overflow);
    }
    Ok(negative)
}

/// [`packed`] for a field of up to 8 bytes with a sign, given as the low bytes of a word with zeros above. `None` when
/// something is wrong: then [`packed`] says what.
#[inline]
pub(super) fn packed_word(word: u64, picture_digits: u8, signed: bool) -> Option<(bool, u64)> {
    let nibbles = word >> 4;
    // A half-byte above 9 has its high bit set and one of the next two.
    let above_nine = nibbles >> 3 & (nibbles >> 2 | nibbles >> 1) & 0x1111_1111_1111_1111;
    let too_long = picture_digits < 16 && nibbles >> (4 * picture_digits) != 0;
    let negative = match word & 15 {
        0xC | 0xF | 0xA | 0xE => false,
        0xD | 0xB if signed => true,
        _ => return None,
    };
    (above_nine == 0 && !too_long).then_some((negative, nibbles))
}

/// The number that digits stand for; at most 38 of them can be other than zero.
#[inline]
pub(super) fn value(negative: bool, digits: &Digits) -> Number {
    let mut magnitude = 0u128;
    // 18 digits at a time fit 64 bits.
    for (index, chunk) in digits.all().chunks(18).enumerate() {
        let part = chunk.iter().fold(0u64, |part, digit| part * 10 + u64::from(digit & 15));
        magnitude = if index == 0 { u128::from(part) } else { magnitude * POWERS[chunk.len()] + u128::from(part) };
    }
    number(negative, magnitude)
}

/// Two's complement of 2, 4 or 8 bytes; held to the digits of its picture unless it is native (COMP-5).
#[inline]
pub(super) fn binary(bytes: &[u8], digits: u8, signed: bool, native: bool, order: ByteOrder) -> Result<Number, Bad> {
    let mut wide = [0u8; 8];
    let length = bytes.len().min(8);
    wide[8 - length..].copy_from_slice(&bytes[..length]);
    if native && order == ByteOrder::Little {
        wide[8 - length..].reverse();
    }
    let bits = u64::from_be_bytes(wide);
    let unused = 64 - 8 * length as u32;
    let (negative, magnitude) = if signed {
        let value = ((bits << unused) as i64) >> unused;
        (value < 0, value.unsigned_abs())
    } else {
        (false, bits)
    };
    if !native && u128::from(magnitude) >= POWERS[usize::from(digits)] {
        return Err(Bad::Overflow);
    }
    Ok(number(negative, u128::from(magnitude)))
}

/// Digits among editing characters, as text. The number is answered at exactly `scale` digits behind the point.
pub(super) fn edited(text: &str, digits: u8, scale: i8, signed: bool) -> Result<Number, Bad> {
    let scale = usize::try_from(scale).unwrap_or_default();
    let (mut magnitude, mut count, mut behind) = (0u128, 0usize, None);
    let mut negative = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '0'..='9' => {
                if magnitude >= POWERS[37] {
                    return Err(Bad::Overflow);
                }
                magnitude = magnitude * 10 + u128::from(char as u32 - '0' as u32);
                count += 1;
                behind = behind.map(|digits: usize| digits + 1);
            }
            '.' if behind.is_none() => behind = Some(0),
            '-' if signed => negative = true,
            'C' if signed && chars.next_if(|(_, next)| *next == 'R').is_some() => negative = true,
            'D' if signed && chars.next_if(|(_, next)| *next == 'B').is_some() => negative = true,
            '+' | ' ' | ',' | '/' | '*' | '$' | '€' | '£' | '¥' => {}
            '-' => return Err(Bad::Sign(at)),
            _ => return Err(Bad::Digit(at)),
        }
    }
    if count == 0 {
        return Err(Bad::Blank);
    }
    // Without a point in the text the picture has a V: the digits end where the picture ends.
    let behind = behind.unwrap_or(scale);
    let missing = scale.checked_sub(behind).ok_or(Bad::Overflow)?;
    let scaled = magnitude.checked_mul(POWERS[missing]).ok_or(Bad::Overflow)?;
    if scaled >= POWERS[usize::from(digits).max(scale).min(38)] {
        return Err(Bad::Overflow);
    }
    Ok(number(negative, scaled))
}

/// Floating point of 4 or 8 bytes, high byte first.
///
/// A short one is answered as the number its shortest decimal text stands for: `3.14` and not `3.140000104904175`.
pub(super) fn float(bytes: &[u8], format: FloatFormat) -> Result<f64, Bad> {
    let mut wide = [0u8; 8];
    let length = bytes.len().min(8);
    wide[..length].copy_from_slice(&bytes[..length]);
    let bits = u64::from_be_bytes(wide);
    let exact = match format {
        FloatFormat::Ibm => {
            let fraction = (bits & 0x00FF_FFFF_FFFF_FFFF) as f64;
            let exponent = 4 * (((bits >> 56) & 0x7F) as i32 - 64) - 56;
            let magnitude = fraction * 2f64.powi(exponent);
            if bits >> 63 == 1 { -magnitude } else { magnitude }
        }
        FloatFormat::Ieee if length == 4 => f64::from(f32::from_bits((bits >> 32) as u32)),
        FloatFormat::Ieee => f64::from_bits(bits),
    };
    if !exact.is_finite() {
        return Err(Bad::NotFinite);
    }
    let short = exact as f32;
    if length == 4 && f64::from(short) == exact {
        return Ok(short.to_string().parse().unwrap_or(exact));
    }
    Ok(exact)
}

#[cfg(test)]
mod tests {
    use super::{Bad, Number, binary, edited, float, packed_word, value};
    use crate::decode::cobol::settings::{ByteOrder, FloatFormat};
    use crate::decode::code_page::Family;
    use crate::decode::copybook::SignPosition;
    use crate::decode::json::Digits;
    use proptest::prelude::*;

    fn zoned(bytes: &[u8], sign: Option<SignPosition>, family: Family) -> Result<Number, Bad> {
        let mut digits = Digits::new();
        super::zoned(bytes, sign, family, &mut digits).map(|negative| value(negative, &digits))
    }

    fn packed(bytes: &[u8], picture_digits: u8, signed: bool, sign_nibble: bool) -> Result<Number, Bad> {
        let mut digits = Digits::new();
        let read = super::packed(bytes, picture_digits, signed, sign_nibble, &mut digits)
            .map(|negative| value(negative, &digits));
        if sign_nibble && bytes.len() <= 8 {
            // The short way says the same.
            let word = bytes.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
            let short = packed_word(word, picture_digits, signed);
            assert_eq!(short.map(|(negative, nibbles)| value(negative, &Digits::of_nibbles(nibbles))), read.ok());
        }
        read
    }

    fn plus(magnitude: u128) -> Result<Number, Bad> {
        Ok(Number { negative: false, magnitude })
    }

    fn minus(magnitude: u128) -> Result<Number, Bad> {
        Ok(Number { negative: true, magnitude })
    }

    #[test]
    fn zoned_decimals_as_printed_in_the_manuals() {
        let check =
            |bytes: &[u8], sign, family, expected| assert_eq!(zoned(bytes, sign, family), expected, "{bytes:X?}");
        use Family::{Ascii, Ebcdic};
        use SignPosition::{Leading, LeadingSeparate, Trailing, TrailingSeparate};
        check(b"\xF1\xF2\xC3", Some(Trailing), Ebcdic, plus(123));
        check(b"\xF1\xF2\xD3", Some(Trailing), Ebcdic, minus(123));
        check(b"\xF1\xF2\xF3", Some(Trailing), Ebcdic, plus(123));
        check(b"\xF0\xF0\xD0", Some(Trailing), Ebcdic, plus(0));
        check(b"\xD1\xF2\xF3", Some(Leading), Ebcdic, minus(123));
        check(b"\xA1\xF2", Some(Leading), Ebcdic, plus(12));
        check(b"\x60\xF1\xF2", Some(LeadingSeparate), Ebcdic, minus(12));
        check(b"\xF1\xF2\x4E", Some(TrailingSeparate), Ebcdic, plus(12));
        check(b"12{", Some(Trailing), Ascii, plus(120));
        check(b"12R", Some(Trailing), Ascii, minus(129));
        check(b"12y", Some(Trailing), Ascii, minus(129));
        check(b"-12", Some(LeadingSeparate), Ascii, minus(12));
        // Without a sign in the picture, a plus is harmless and a minus is not.
        check(b"\xF1\xF2\xC3", None, Ebcdic, plus(123));
        check(b"\xF1\xF2\xD3", None, Ebcdic, Err(Bad::Sign(2)));
        check(b"\xF1\xF2\xE3", None, Ebcdic, Err(Bad::Sign(2)));
        check(b"\xF1\xF2\xE3", Some(Trailing), Ebcdic, plus(123));
        check(b"\xF1\x40\xF3", None, Ebcdic, Err(Bad::Digit(1)));
        check(b"\xF1\xC2\xF3", Some(Trailing), Ebcdic, Err(Bad::Digit(1)));
        check(b"\xF1\xF2\x43", Some(Trailing), Ebcdic, Err(Bad::Sign(2)));
        check(b"\xF1\xF2\xFF", Some(Trailing), Ebcdic, Err(Bad::Digit(2)));
        check(b"12?", Some(TrailingSeparate), Ascii, Err(Bad::Sign(2)));
    }

    #[test]
    fn every_sign_nibble() {
        for sign in 0u8..16 {
            let expected = match sign {
                0xA | 0xC | 0xE | 0xF => plus(123),
                0xB | 0xD => minus(123),
                _ => Err(Bad::Sign(1)),
            };
            assert_eq!(packed(&[0x12, 0x30 | sign], 3, true, true), expected, "{sign:X}");
            let unsigned = if expected == minus(123) { Err(Bad::Sign(1)) } else { expected };
            assert_eq!(packed(&[0x12, 0x30 | sign], 3, false, true), unsigned, "{sign:X}");
        }
    }

    #[test]
    fn packed_that_is_none() {
        assert_eq!(packed(&[0x1A, 0x3C], 3, true, true), Err(Bad::Digit(0)));
        assert_eq!(packed(&[0x12, 0xAC], 3, true, true), Err(Bad::Digit(1)));
        // The spare half-byte of an even number of digits.
        assert_eq!(packed(&[0x01, 0x2C], 2, true, true), plus(12));
        assert_eq!(packed(&[0x11, 0x2C], 2, true, true), Err(Bad::Overflow));
        assert_eq!(packed(&[0x12, 0x34], 4, false, false), plus(1234));
        assert_eq!(packed(&[0x12, 0x3C], 4, false, false), Err(Bad::Digit(1)));
    }

    #[test]
    fn binary_is_held_to_its_picture_unless_native() {
        let big = |bytes: &[u8], digits, signed, native| binary(bytes, digits, signed, native, ByteOrder::Big);
        assert_eq!(big(&[0x27, 0x0F], 4, true, false), plus(9999));
        assert_eq!(big(&[0x27, 0x10], 4, true, false), Err(Bad::Overflow));
        assert_eq!(big(&[0x27, 0x10], 4, true, true), plus(10_000));
        assert_eq!(big(&[0xFF, 0xFF], 4, true, false), minus(1));
        assert_eq!(big(&[0xF1, 0x06], 3, false, false), Err(Bad::Overflow));
        assert_eq!(big(&[0xFF; 8], 18, false, true), plus(u128::from(u64::MAX)));
        assert_eq!(big(&[0x80, 0, 0, 0, 0, 0, 0, 0], 18, true, true), minus(1 << 63));
        assert_eq!(binary(&[1, 0, 0, 0], 9, true, true, ByteOrder::Little), plus(1));
        assert_eq!(binary(&[0, 0, 0, 1], 9, true, false, ByteOrder::Little), plus(1));
    }

    #[test]
    fn edited_numbers() {
        let check = |text: &str, expected| assert_eq!(edited(text, 7, 2, true), expected, "{text}");
        check("12,345.67", plus(1_234_567));
        check("   -45.60", minus(4560));
        check("$***45.60CR", minus(4560));
        check("45.60DB", minus(4560));
        check("45.6", plus(4560));
        check("         ", Err(Bad::Blank));
        check("12.3x", Err(Bad::Digit(4)));
        check("1.2.3", Err(Bad::Digit(3)));
        check("12345678.00", Err(Bad::Overflow));
        check("1.234", Err(Bad::Overflow));
        assert_eq!(edited("-1", 1, 0, false), Err(Bad::Sign(0)));
    }

    #[test]
    fn floats() {
        let check = |bytes: &[u8], format, expected: f64| assert_eq!(float(bytes, format), Ok(expected), "{bytes:X?}");
        check(&[0x42, 0x76, 0xA0, 0x00], FloatFormat::Ibm, 118.625);
        check(&[0xC2, 0x76, 0xA0, 0x00], FloatFormat::Ibm, -118.625);
        check(&[0x41, 0x10, 0, 0, 0, 0, 0, 0], FloatFormat::Ibm, 1.0);
        check(&[0; 4], FloatFormat::Ibm, 0.0);
        check(&2.7f32.to_be_bytes(), FloatFormat::Ieee, 2.7);
        check(&2.7f64.to_be_bytes(), FloatFormat::Ieee, 2.7);
        check(&[0x7F, 0xFF, 0xFF, 0xFF], FloatFormat::Ibm, 16_777_215.0 * 16f64.powi(57));
        assert_eq!(float(&f32::NAN.to_be_bytes(), FloatFormat::Ieee), Err(Bad::NotFinite));
        assert_eq!(float(&f64::INFINITY.to_be_bytes(), FloatFormat::Ieee), Err(Bad::NotFinite));
    }

    /// A number of at most `digits` digits as its text, with the value that text has.
    fn digits(count: usize) -> impl Strategy<Value = (String, bool)> {
        (proptest::collection::vec(0u8..10, count), any::<bool>())
            .prop_map(|(digits, negative)| (digits.iter().map(|digit| char::from(b'0' + digit)).collect(), negative))
    }

    fn expected(text: &str, negative: bool) -> Result<Number, Bad> {
        let magnitude: u128 = text.parse().unwrap();
        if negative && magnitude != 0 { minus(magnitude) } else { plus(magnitude) }
    }

    proptest! {
        /// Encoded from text digit by digit, and read back.
        #[test]
        fn packed_reads_back((text, negative) in (1usize..=38).prop_flat_map(digits)) {
            let even = text.len() % 2 == 0;
            let nibbles = format!("{}{text}{}", if even { "0" } else { "" }, if negative { 'D' } else { 'C' });
            let bytes: Vec<u8> = nibbles.as_bytes().chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
            prop_assert_eq!(packed(&bytes, text.len() as u8, true, true), expected(&text, negative));
        }

        #[test]
        fn zoned_reads_back((text, negative) in (1usize..=38).prop_flat_map(digits), position in 0u8..4, ascii in any::<bool>()) {
            let (zero, family) = if ascii { (b'0', Family::Ascii) } else { (0xF0, Family::Ebcdic) };
            let mut bytes: Vec<u8> = text.bytes().map(|digit| digit - b'0' + zero).collect();
            let over = |byte: u8| -> u8 {
                let digit = usize::from(byte & 15);
                match (ascii, negative) {
                    (true, false) => b"{ABCDEFGHI"[digit],
                    (true, true) => b"}JKLMNOPQR"[digit],
                    (false, false) => 0xC0 | byte & 15,
                    (false, true) => 0xD0 | byte & 15,
                }
            };
            let separate = match (ascii, negative) {
                (true, true) => b'-',
                (true, false) => b'+',
                (false, true) => 0x60,
                (false, false) => 0x4E,
            };
            let last = bytes.len() - 1;
            let sign = match position {
                0 => { bytes[last] = over(bytes[last]); SignPosition::Trailing }
                1 => { bytes[0] = over(bytes[0]); SignPosition::Leading }
                2 => { bytes.push(separate); SignPosition::TrailingSeparate }
                _ => { bytes.insert(0, separate); SignPosition::LeadingSeparate }
            };
            prop_assert_eq!(zoned(&bytes, Some(sign), family), expected(&text, negative));
        }

        #[test]
        fn binary_reads_back(value in any::<i64>(), little in any::<bool>(), size in 0usize..3) {
            let length = [2, 4, 8][size];
            let value = value >> (64 - 8 * length);
            let mut bytes = value.to_be_bytes()[8 - length..].to_vec();
            if little { bytes.reverse(); }
            let order = if little { ByteOrder::Little } else { ByteOrder::Big };
            let read = binary(&bytes, 1, true, true, order).unwrap();
            prop_assert_eq!((read.negative, read.magnitude), (value < 0, u128::from(value.unsigned_abs())));
            // Within the picture, the bounded form says the same.
            let digits = value.unsigned_abs().to_string().len() as u8;
            if !little {
                prop_assert_eq!(binary(&bytes, digits, true, false, order), Ok(read));
                if digits > 1 {
                    prop_assert_eq!(binary(&bytes, digits - 1, true, false, order), Err(Bad::Overflow));
                }
            }
        }

        /// IBM floats made by the definition: sign, exponent of 16 with excess 64, fraction below 1.
        #[test]
        fn ibm_floats_read_back(fraction in 0x10_0000u32..0x100_0000, exponent in -20i32..20, negative in any::<bool>()) {
            let word = (u32::from(negative) << 31) | (((exponent + 64) as u32) << 24) | fraction;
            let value = f64::from(fraction) / 16_777_216.0 * 16f64.powi(exponent) * if negative { -1.0 } else { 1.0 };
            let read = float(&word.to_be_bytes(), FloatFormat::Ibm).unwrap();
            prop_assert!((read - value).abs() <= value.abs() * 1e-7, "{} {}", read, value);
            let double = [&word.to_be_bytes()[..], &[0; 4]].concat();
            prop_assert_eq!(float(&double, FloatFormat::Ibm), Ok(value));
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 1..39), text in any::<String>()) {
            for family in [Family::Ascii, Family::Ebcdic] {
                let _ = zoned(&bytes, None, family);
                let _ = zoned(&bytes, Some(SignPosition::Leading), family);
                let _ = zoned(&bytes, Some(SignPosition::TrailingSeparate), family);
                let _ = zoned(&bytes, Some(SignPosition::LeadingSeparate), family);
            }
            let _ = packed(&bytes[..bytes.len().min(20)], 38, true, true);
            let _ = packed(&bytes[..bytes.len().min(19)], 38, true, false);
            let _ = binary(&bytes[..bytes.len().min(8)], 18, true, false, ByteOrder::Little);
            let _ = float(&bytes[..bytes.len().min(8)], FloatFormat::Ieee);
            let _ = edited(&text, 38, 5, true);
        }
    }
}
