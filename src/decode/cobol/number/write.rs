//! Numbers become the bytes of their usage again: exact, or a fault.

use super::{POWERS, zone_tables};
use crate::decode::cobol::reading::Zone;
use crate::decode::cobol::settings::{ByteOrder, FloatFormat};
use crate::decode::copybook::SignPosition;

/// A whole number in the units of its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode::cobol) struct Units {
    pub(in crate::decode::cobol) negative: bool,
    pub(in crate::decode::cobol) magnitude: u128,
}

/// Why a text is no number that can be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode::cobol) enum Unfit {
    /// It is no number.
    NotANumber,
    /// It has digits behind the last one that is stored.
    Inexact,
    /// It has more digits than are stored, or is beyond what the bytes hold.
    TooLarge,
    /// It is negative and the picture has no sign.
    Negative,
}

/// Reads a number as JSON writes it, in units of ten to the power of `-scale`. No float is involved.
pub(in crate::decode::cobol) fn units(text: &str, scale: i8) -> Result<Units, Unfit> {
    let Parts { negative, whole, fraction, exponent } = Parts::of(text)?;
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0').collect();
    if digits.is_empty() {
        return Ok(Units { negative: false, magnitude: 0 });
    }
    let shift = i64::from(exponent) + i64::from(scale) - fraction.len() as i64;
    let kept = match usize::try_from(-shift) {
        // Digits that are not stored must be zeros.
        Ok(cut) => {
            let kept = digits.len().saturating_sub(cut);
            if digits[kept..].iter().any(|digit| *digit != b'0') || cut > digits.len() {
                return Err(Unfit::Inexact);
            }
            &digits[..kept]
        }
        Err(_) => &digits[..],
    };
    let zeros = usize::try_from(shift).unwrap_or_default();
    if kept.len().saturating_add(zeros) > 38 {
        return Err(Unfit::TooLarge);
    }
    let magnitude = kept.iter().fold(0u128, |number, digit| number * 10 + u128::from(digit - b'0')) * POWERS[zeros];
    Ok(Units { negative, magnitude })
}

/// A number as JSON writes it: its sign, the digits before and behind its point, and its exponent.
pub(super) struct Parts<'a> {
    pub(super) negative: bool,
    pub(super) whole: &'a str,
    pub(super) fraction: &'a str,
    pub(super) exponent: i32,
}

impl<'a> Parts<'a> {
    pub(super) fn of(text: &'a str) -> Result<Parts<'a>, Unfit> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) || mantissa.len() > 4096 {
            return Err(Unfit::NotANumber);
        }
        Ok(Parts { negative, whole, fraction, exponent })
    }
}

/// The most and the least that an exponent is taken for: what is beyond them is out of every number's reach all the same.
const MAX_EXPONENT: i32 = 1_000_000_000;

fn exponent_of(text: &str) -> Result<i32, Unfit> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unfit::NotANumber);
    }
    let magnitude = digits.parse::<i32>().unwrap_or(MAX_EXPONENT).min(MAX_EXPONENT);
    Ok(if negative { -magnitude } else { magnitude })
}

impl Units {
    /// The digits, as many as asked for.
    pub(in crate::decode::cobol) fn digits(self, count: u8) -> Result<Vec<u8>, Unfit> {
        if self.magnitude >= POWERS[usize::from(count).min(38)] {
            return Err(Unfit::TooLarge);
        }
        let width = usize::from(count);
        Ok(format!("{:0width$}", self.magnitude).into_bytes())
    }
}

/// One digit a byte. In ASCII `zone` says how a sign is written over a digit.
pub(in crate::decode::cobol) fn zoned(
    units: Units,
    digits: u8,
    sign: Option<SignPosition>,
    zone: Zone,
) -> Result<Vec<u8>, Unfit> {
    let ebcdic = zone == Zone::Ebcdic;
    let mut bytes = units.digits(digits)?;
    if units.negative && sign.is_none() {
        return Err(Unfit::Negative);
    }
    if ebcdic {
        bytes.iter_mut().for_each(|byte| *byte |= 0xF0);
    }
    let last = bytes.len() - 1;
    let separate = match (ebcdic, units.negative) {
        (true, false) => 0x4E,
        (true, true) => 0x60,
        (false, false) => b'+',
        (false, true) => b'-',
    };
    match sign {
        None => {}
        Some(SignPosition::Trailing) => bytes[last] = over(bytes[last] & 15, units.negative, zone),
        Some(SignPosition::Leading) => bytes[0] = over(bytes[0] & 15, units.negative, zone),
        Some(SignPosition::TrailingSeparate) => bytes.push(separate),
        Some(SignPosition::LeadingSeparate) => bytes.insert(0, separate),
    }
    Ok(bytes)
}

/// A digit with a sign over it: of the bytes that are read so, the one that compilers write.
fn over(digit: u8, negative: bool, zone: Zone) -> u8 {
    if zone == Zone::Ebcdic {
        return digit | if negative { 0xD0 } else { 0xC0 };
    }
    let (_, signed) = zone_tables(zone);
    let wanted = digit | if negative { super::NEGATIVE } else { 0 };
    let translated = signed[usize::from(b'{')] == 0;
    // Translated from EBCDIC a plus is a letter too; elsewhere it is the digit.
    let plain = (b'0' + digit, !negative && !translated);
    if plain.1 {
        return plain.0;
    }
    let found = (0u8..=255).filter(|byte| !byte.is_ascii_digit()).find(|byte| signed[usize::from(*byte)] == wanted);
    found.unwrap_or(plain.0)
}

/// Two digits a byte, with a sign in the last half-byte when `sign_nibble`.
pub(in crate::decode::cobol) fn packed(
    units: Units,
    digits: u8,
    signed: bool,
    sign_nibble: bool,
) -> Result<Vec<u8>, Unfit> {
    if units.negative && !signed {
        return Err(Unfit::Negative);
    }
    let mut nibbles: Vec<u8> = units.digits(digits)?.iter().map(|digit| digit & 15).collect();
    if sign_nibble {
        nibbles.push(match (signed, units.negative) {
            (false, _) => 0xF,
            (true, false) => 0xC,
            (true, true) => 0xD,
        });
    }
    if nibbles.len() % 2 == 1 {
        nibbles.insert(0, 0);
    }
    Ok(nibbles.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Two's complement of `length` bytes; held to the digits of its picture unless `full`.
pub(in crate::decode::cobol) fn binary(
    units: Units,
    length: usize,
    digits: u8,
    signed: bool,
    full: bool,
    order: ByteOrder,
) -> Result<Vec<u8>, Unfit> {
    if units.negative && !signed {
        return Err(Unfit::Negative);
    }
    let bits = 8 * length.min(16) as u32 - u32::from(signed);
    let beyond = if bits >= 128 { u128::MAX } else { 1u128 << bits };
    let fits = units.magnitude < beyond || (units.negative && units.magnitude == beyond);
    if !fits || (!full && units.magnitude >= POWERS[usize::from(digits).min(38)]) {
        return Err(Unfit::TooLarge);
    }
    let value = if units.negative { units.magnitude.wrapping_neg() } else { units.magnitude };
    let mut bytes = value.to_be_bytes()[16 - length.min(16)..].to_vec();
    if order == ByteOrder::Little {
        bytes.reverse();
    }
    Ok(bytes)
}

/// Floating point of 4 or 8 bytes: the nearest number to the text.
pub(in crate::decode::cobol) fn float(text: &str, length: usize, format: FloatFormat) -> Result<Vec<u8>, Unfit> {
    let double: f64 = text.parse().map_err(|_| Unfit::NotANumber)?;
    let single: f32 = text.parse().map_err(|_| Unfit::NotANumber)?;
    // What is too small for the format would be a zero that nobody has said.
    let is_zero = |stored: bool| {
        stored && text.split(['e', 'E']).next().is_some_and(|digits| digits.contains(|c| matches!(c, '1'..='9')))
    };
    if is_zero(double == 0.0 || (format != FloatFormat::Ibm && length == 4 && single == 0.0)) {
        return Err(Unfit::Inexact);
    }
    let mut bytes = match (format, length) {
        // Its exponents reach further than those of an IEEE number of 4 bytes.
        (FloatFormat::Ibm, 4) => ibm(double, 24)?[..4].to_vec(),
        (FloatFormat::Ibm, _) => ibm(double, 56)?.to_vec(),
        (_, 4) if single.is_finite() => single.to_be_bytes().to_vec(),
        (_, 8) if double.is_finite() => double.to_be_bytes().to_vec(),
        _ => return Err(Unfit::TooLarge),
    };
    if format == FloatFormat::IeeeLittle {
        bytes.reverse();
    }
    Ok(bytes)
}

/// IBM hexadecimal floating point with a fraction of `bits` bits, rounded to the nearest.
fn ibm(number: f64, bits: u32) -> Result<[u8; 8], Unfit> {
    if !number.is_finite() {
        return Err(Unfit::TooLarge);
    }
    let raw = number.to_bits();
    let (sign, exponent, mantissa) = (raw >> 63, (raw >> 52 & 0x7FF) as i32, raw & ((1 << 52) - 1));
    if number == 0.0 {
        return Ok([0; 8]);
    }
    if exponent == 0 {
        return Err(Unfit::Inexact);
    }
    // The number is `fraction` times two to the power of `power`, with 53 bits.
    let (fraction, power) = (mantissa | 1 << 52, exponent - 1075);
    // As 0.hhhhhh times sixteen to the power of `hex`: the first hexadecimal digit is not zero.
    let hex = (power + 53).div_euclid(4) + i32::from((power + 53).rem_euclid(4) != 0);
    // 56 bits stand behind the point.
    let shift = power - 4 * hex + 56;
    let wide = u128::from(fraction) << 64;
    let placed = if shift >= 0 { wide << shift.min(63) } else { wide >> (-shift).min(127) };
    // Bits that are not stored round the last one that is.
    let unused = 64 + 56 - bits;
    let mut stored = placed >> unused;
    let rest = placed & ((1u128 << unused) - 1);
    let half = 1u128 << (unused - 1);
    if rest > half || (rest == half && stored & 1 == 1) {
        stored += 1;
    }
    let mut hex = hex;
    if stored >> bits != 0 {
        stored >>= 4;
        hex += 1;
    }
    match hex + 64 {
        128.. => Err(Unfit::TooLarge),
        biased @ 0..=127 => {
            let word = sign << 63 | (biased as u64) << 56 | (stored as u64) << (56 - bits);
            Ok(word.to_be_bytes())
        }
        _ => Err(Unfit::Inexact),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{binary as read_binary, float as read_float};
    use super::{Unfit, Units, binary, float, packed, units, zoned};
    use crate::decode::cobol::reading::{Overpunch, Zone};
    use crate::decode::cobol::settings::{ByteOrder, FloatFormat};
    use crate::decode::copybook::SignPosition;
    use proptest::prelude::*;

    #[test]
    fn floats_reach_as_far_as_their_format() {
        // 16 to the power of -60, and seven times 16 to the power of 60: beyond what IEEE has in four bytes.
        assert_eq!(float("5.6597994242667e-73", 4, FloatFormat::Ibm), Ok(vec![0x05, 0x10, 0, 0]));
        assert_eq!(float("7.0e72", 4, FloatFormat::Ibm).map(|bytes| bytes[0]), Ok(0x7D));
        for (text, length, format) in [
            ("1e-80", 4, FloatFormat::Ibm),
            ("1e-80", 8, FloatFormat::Ibm),
            ("1e-50", 4, FloatFormat::Ieee),
            ("1e-400", 8, FloatFormat::Ieee),
        ] {
            assert_eq!(float(text, length, format), Err(Unfit::Inexact), "{text}");
        }
        assert_eq!(float("0e9", 4, FloatFormat::Ieee), Ok(vec![0; 4]));
        assert_eq!(float("-0.0", 8, FloatFormat::Ibm), Ok(vec![0; 8]));
    }

    #[test]
    fn texts_become_units() {
        let check = |text: &str, scale, expected: Result<i128, Unfit>| {
            let read = units(text, scale);
            let signed = |u: Units| if u.negative { -(u.magnitude as i128) } else { u.magnitude as i128 };
            assert_eq!(read.map(signed), expected, "{text}");
        };
        check("12.50", 2, Ok(1250));
        check("-0.05", 2, Ok(-5));
        check("-0.00", 2, Ok(0));
        check("12.505", 2, Err(Unfit::Inexact));
        check("12.500", 2, Ok(1250));
        check("1.5E3", 0, Ok(1500));
        check("15e-1", 1, Ok(15));
        check("12000", -3, Ok(12));
        check("12001", -3, Err(Unfit::Inexact));
        check("0.001", 0, Err(Unfit::Inexact));
        check("1e99999999", 0, Err(Unfit::TooLarge));
        check("0e99999999", 0, Ok(0));
        check("99999999999999999999999999999999999999", 0, Ok(10i128.pow(38) - 1));
        check("100000000000000000000000000000000000000", 0, Err(Unfit::TooLarge));
        for wrong in ["", "-", "1.2.3", "0x1", "1 ", "e5", ".", "١"] {
            check(wrong, 0, Err(Unfit::NotANumber));
        }
    }

    /// The bytes that the manuals print, and that `tests/it/gnucobol.rs` gets from a compiler.
    #[test]
    fn bytes_of_numbers() {
        let number = |signed: i64| Units { negative: signed < 0, magnitude: u128::from(signed.unsigned_abs()) };
        let trailing = Some(SignPosition::Trailing);
        assert_eq!(zoned(number(-123), 5, trailing, Zone::Ebcdic).unwrap(), b"\xF0\xF0\xF1\xF2\xD3");
        assert_eq!(zoned(number(123), 3, None, Zone::Ebcdic).unwrap(), b"\xF1\xF2\xF3");
        let leading = Some(SignPosition::LeadingSeparate);
        assert_eq!(zoned(number(-12), 2, leading, Zone::Ebcdic).unwrap(), b"\x60\xF1\xF2");
        let ascii = |overpunch, value| zoned(number(value), 2, trailing, Zone::Ascii(overpunch)).unwrap();
        assert_eq!(ascii(Overpunch::Translated, 10), b"1{");
        assert_eq!(ascii(Overpunch::Translated, -19), b"1R");
        assert_eq!(ascii(Overpunch::MicroFocus, 19), b"19");
        assert_eq!(ascii(Overpunch::MicroFocus, -19), b"1y");
        assert_eq!(ascii(Overpunch::Realia, -10), b"1 ");
        assert_eq!(zoned(number(-1), 2, None, Zone::Ebcdic), Err(Unfit::Negative));
        assert_eq!(packed(number(-123), 5, true, true).unwrap(), b"\x00\x12\x3D");
        assert_eq!(packed(number(1234), 4, false, true).unwrap(), b"\x01\x23\x4F");
        assert_eq!(packed(number(123), 3, false, false).unwrap(), b"\x01\x23");
        assert_eq!(packed(number(1000), 3, true, true), Err(Unfit::TooLarge));
        assert_eq!(binary(number(-2), 2, 4, true, false, ByteOrder::Big).unwrap(), b"\xFF\xFE");
        assert_eq!(binary(number(-2), 3, 7, true, true, ByteOrder::Little).unwrap(), b"\xFE\xFF\xFF");
        assert_eq!(binary(number(10_000), 2, 4, true, false, ByteOrder::Big), Err(Unfit::TooLarge));
        assert_eq!(binary(number(-32_768), 2, 4, true, true, ByteOrder::Big).unwrap(), b"\x80\x00");
        assert_eq!(binary(number(32_768), 2, 4, true, true, ByteOrder::Big), Err(Unfit::TooLarge));
        assert_eq!(float("-118.625", 8, FloatFormat::Ibm).unwrap(), b"\xC2\x76\xA0\0\0\0\0\0");
        assert_eq!(float("3.141593", 4, FloatFormat::Ibm).unwrap(), [0x41, 0x32, 0x43, 0xF7]);
        assert_eq!(float("1", 4, FloatFormat::Ibm).unwrap(), [0x41, 0x10, 0, 0]);
        assert_eq!(float("0", 8, FloatFormat::Ibm).unwrap(), [0; 8]);
        assert_eq!(float("1e200", 8, FloatFormat::Ibm), Err(Unfit::TooLarge));
        assert_eq!(float("1.5", 4, FloatFormat::IeeeLittle).unwrap(), 1.5f32.to_le_bytes());
    }

    proptest! {
        #[test]
        fn hexadecimal_floats_read_back(fraction in 1u64..1 << 56, exponent in 1u64..127, negative in any::<bool>()) {
            // Normalised: the first hexadecimal digit is not zero; as many bits as a double has.
            let fraction = (fraction | 1 << 55) & !0b111;
            let word = u64::from(negative) << 63 | exponent << 56 | fraction;
            let read = read_float(&word.to_be_bytes(), FloatFormat::Ibm).unwrap();
            prop_assert_eq!(float(&format!("{read:e}"), 8, FloatFormat::Ibm).unwrap(), word.to_be_bytes());
            let short = (word >> 32) as u32;
            let read = read_float(&short.to_be_bytes(), FloatFormat::Ibm).unwrap();
            if (1e-30..1e30).contains(&read.abs()) {
                prop_assert_eq!(float(&format!("{read}"), 4, FloatFormat::Ibm).unwrap(), short.to_be_bytes());
            }
        }

        #[test]
        fn binary_numbers_read_back(bytes in proptest::collection::vec(any::<u8>(), 1..9), signed in any::<bool>(), little in any::<bool>()) {
            let order = if little { ByteOrder::Little } else { ByteOrder::Big };
            let read = read_binary(&bytes, 0, signed, true, order).unwrap();
            let number = Units { negative: read.negative, magnitude: read.magnitude };
            prop_assert_eq!(binary(number, bytes.len(), 0, signed, true, order).unwrap(), bytes);
        }
    }
}
