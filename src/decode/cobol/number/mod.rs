//! Numbers as COBOL stores them: zoned, packed, binary, edited and floating point.
//!
//! Every function answers with the exact number or with what is wrong at which byte. Nothing is repaired: a nibble that
//! is no digit, a sign that is none, a value that its picture cannot hold are faults.

mod decimal_float;
mod external;
#[cfg(test)]
mod tests;
pub(super) mod write;

pub(super) use decimal_float::{DecimalFloat, decimal_float, write_decimal_float};
pub(super) use external::{external, write_external};

use super::reading::{Overpunch, Zone};
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

impl Bad {
    /// The same in bytes that are `width` times as many.
    pub(super) fn times(self, width: usize) -> Bad {
        match self {
            Bad::Digit(at) => Bad::Digit(at * width),
            Bad::Sign(at) => Bad::Sign(at * width),
            other => other,
        }
    }
}

/// In the tables below: no digit here.
const NONE: u8 = 0xFF;
/// In the tables of signed digits: negative.
const NEGATIVE: u8 = 0x10;

static EBCDIC_DIGITS: [u8; 256] = digits(0xF0);
static ASCII_DIGITS: [u8; 256] = digits(b'0');
static EBCDIC_SIGNED: [u8; 256] = ebcdic_signed();
static ASCII_SIGNED: [u8; 256] = ascii_signed(true, true);
static ASCII_TRANSLATED: [u8; 256] = ascii_signed(true, false);
static ASCII_MICRO_FOCUS: [u8; 256] = ascii_signed(false, true);
static ASCII_REALIA: [u8; 256] = realia_signed();
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
const fn ascii_signed(translated: bool, own: bool) -> [u8; 256] {
    let mut table = digits(b'0');
    let mut digit = 0;
    while digit < 10 {
        if translated {
            let (plus, minus) = if digit == 0 { (b'{', b'}') } else { (b'A' + digit - 1, b'J' + digit - 1) };
            table[plus as usize] = digit;
            table[minus as usize] = digit | NEGATIVE;
        }
        if own {
            table[(b'p' + digit) as usize] = digit | NEGATIVE;
        }
        digit += 1;
    }
    table
}

/// Digits plus, the bytes from blank to `)` minus.
const fn realia_signed() -> [u8; 256] {
    let mut table = digits(b'0');
    let mut digit = 0;
    while digit < 10 {
        table[(b' ' + digit) as usize] = digit | NEGATIVE;
        digit += 1;
    }
    table
}

/// The tables of digits without and with a sign over them.
#[inline]
pub(super) fn zone_tables(zone: Zone) -> (&'static [u8; 256], &'static [u8; 256]) {
    match zone {
        Zone::Ebcdic => (&EBCDIC_DIGITS, &EBCDIC_SIGNED),
        Zone::Ascii(Overpunch::Auto) => (&ASCII_DIGITS, &ASCII_SIGNED),
        Zone::Ascii(Overpunch::Translated) => (&ASCII_DIGITS, &ASCII_TRANSLATED),
        Zone::Ascii(Overpunch::MicroFocus) => (&ASCII_DIGITS, &ASCII_MICRO_FOCUS),
        Zone::Ascii(Overpunch::Realia) => (&ASCII_DIGITS, &ASCII_REALIA),
    }
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
pub(super) fn zoned(bytes: &[u8], sign: Option<SignPosition>, zone: Zone, digits: &mut Digits) -> Result<bool, Bad> {
    let ebcdic = zone == Zone::Ebcdic;
    let (plain, signed) = zone_tables(zone);
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

/// [`zoned`] for a field of up to 8 bytes whose sign, if any, is over its last digit, given as the low bytes of a word
/// with zeros above: the digits, one in each byte. `None` when something is wrong or unusual: then [`zoned`] says what.
#[inline]
pub(super) fn zoned_word(word: u64, length: usize, signed: bool, family: Family) -> Option<(bool, u64)> {
    const ZONES: u64 = 0xF0F0_F0F0_F0F0_F0F0;
    let zone = if family == Family::Ebcdic { ZONES } else { 0x3030_3030_3030_3030 };
    let unlike = (word & ZONES) ^ (zone >> (8 * (8 - length)));
    let negative = match unlike {
        0 => false,
        // C and D over the last digit differ so from the F that is due.
        0x30 if signed && family == Family::Ebcdic => false,
        0x20 if signed && family == Family::Ebcdic => true,
        _ => return None,
    };
    let digits = word & !ZONES;
    let above_nine = (digits + 0x0606_0606_0606_0606) & 0x1010_1010_1010_1010;
    (above_nine == 0).then_some((negative, digits))
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

/// Two's complement of 1 to 8 or 16 bytes; held to the digits of its picture unless `full`.
#[inline]
pub(super) fn binary(bytes: &[u8], digits: u8, signed: bool, full: bool, order: ByteOrder) -> Result<Number, Bad> {
    if bytes.len() > 8 {
        return wide_binary(bytes, digits, signed, full, order);
    }
    let mut wide = [0u8; 8];
    let length = bytes.len();
    wide[8 - length..].copy_from_slice(bytes);
    if order == ByteOrder::Little {
        wide[8 - length..].reverse();
    }
    let bits = u64::from_be_bytes(wide);
    let unused = 64 - 8 * length.max(1) as u32;
    let (negative, magnitude) = if signed {
        let value = ((bits << unused) as i64) >> unused;
        (value < 0, value.unsigned_abs())
    } else {
        (false, bits)
    };
    if !full && u128::from(magnitude) >= POWERS[usize::from(digits)] {
        return Err(Bad::Overflow);
    }
    Ok(number(negative, u128::from(magnitude)))
}

#[cold]
fn wide_binary(bytes: &[u8], digits: u8, signed: bool, full: bool, order: ByteOrder) -> Result<Number, Bad> {
    let mut wide = [0u8; 16];
    let length = bytes.len().min(16);
    wide[16 - length..].copy_from_slice(&bytes[..length]);
    if order == ByteOrder::Little {
        wide[16 - length..].reverse();
    }
    let bits = u128::from_be_bytes(wide);
    let (negative, magnitude) =
        if signed { ((bits as i128) < 0, (bits as i128).unsigned_abs()) } else { (false, bits) };
    // Numbers of the product have at most 38 digits, and so has every picture.
    if magnitude >= POWERS[38] || (!full && magnitude >= POWERS[usize::from(digits).min(38)]) {
        return Err(Bad::Overflow);
    }
    Ok(number(negative, magnitude))
}

/// What stands in edited numbers beside digits and signs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Editing {
    /// The decimal point, and what groups digits.
    pub(super) point: char,
    pub(super) grouping: char,
    pub(super) currency: char,
}

/// The shortest decimal number that is stored as a short hexadecimal float is. Of such floats no two have the same six
/// digits, so a number that is shorter shows in them by its zeros.
fn shortest_ibm(exact: f64) -> f64 {
    let Ok(stored) = write::float(&format!("{exact:e}"), 4, FloatFormat::Ibm) else { return exact };
    let mut texts = (5..=8).map(|behind: usize| format!("{exact:.behind$e}"));
    let found = texts.find(|text| write::float(text, 4, FloatFormat::Ibm).is_ok_and(|bytes| bytes == stored));
    found.and_then(|text| text.parse().ok()).unwrap_or(exact)
}

/// Floating point of 4 or 8 bytes.
///
/// A short one is answered as the number its shortest decimal text stands for: `3.14` and not `3.140000104904175`.
pub(super) fn float(bytes: &[u8], format: FloatFormat) -> Result<f64, Bad> {
    let mut wide = [0u8; 8];
    let length = bytes.len().min(8);
    wide[..length].copy_from_slice(&bytes[..length]);
    if format == FloatFormat::IeeeLittle {
        wide[..length].reverse();
    }
    let bits = u64::from_be_bytes(wide);
    let exact = match format {
        FloatFormat::Ibm => {
            let fraction = (bits & 0x00FF_FFFF_FFFF_FFFF) as f64;
            let exponent = 4 * (((bits >> 56) & 0x7F) as i32 - 64) - 56;
            let magnitude = fraction * 2f64.powi(exponent);
            if bits >> 63 == 1 { -magnitude } else { magnitude }
        }
        _ if length == 4 => f64::from(f32::from_bits((bits >> 32) as u32)),
        FloatFormat::Ieee | FloatFormat::IeeeLittle => f64::from_bits(bits),
    };
    if !exact.is_finite() {
        return Err(Bad::NotFinite);
    }
    if length == 4 && format == FloatFormat::Ibm {
        return Ok(shortest_ibm(exact));
    }
    let short = exact as f32;
    if length == 4 && f64::from(short) == exact {
        return Ok(short.to_string().parse().unwrap_or(exact));
    }
    Ok(exact)
}
