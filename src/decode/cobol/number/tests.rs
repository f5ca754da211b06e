//! Every number form against encodings made independently, digit by digit.

use super::{Bad, Number, binary, float, packed_word, value, zoned_word};
use crate::decode::cobol::reading::{Overpunch, Zone};
use crate::decode::cobol::settings::{ByteOrder, FloatFormat};
use crate::decode::code_page::Family;
use crate::decode::copybook::SignPosition;
use crate::decode::json::Digits;
use proptest::prelude::*;

fn zoned(bytes: &[u8], sign: Option<SignPosition>, family: Family) -> Result<Number, Bad> {
    let mut digits = Digits::new();
    let zone = if family == Family::Ebcdic { Zone::Ebcdic } else { Zone::Ascii(Overpunch::Auto) };
    let read = super::zoned(bytes, sign, zone, &mut digits).map(|negative| value(negative, &digits));
    if bytes.len() <= 8 && matches!(sign, None | Some(SignPosition::Trailing)) {
        // The short way says the same, or nothing.
        let word = bytes.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        if let Some((negative, digits)) = zoned_word(word, bytes.len(), sign.is_some(), family) {
            let magnitude = digits.to_be_bytes().iter().fold(0u128, |number, digit| number * 10 + u128::from(*digit));
            assert_eq!(read, Ok(Number { negative: negative && magnitude != 0, magnitude }), "{bytes:X?}");
        }
    }
    read
}

fn packed(bytes: &[u8], picture_digits: u8, signed: bool, sign_nibble: bool) -> Result<Number, Bad> {
    let mut digits = Digits::new();
    let read =
        super::packed(bytes, picture_digits, signed, sign_nibble, &mut digits).map(|negative| value(negative, &digits));
    if sign_nibble && bytes.len() <= 8 {
        // The short way says the same.
        let word = bytes.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        let short = packed_word(word, picture_digits, signed);
        assert_eq!(short.map(|(negative, nibbles)| expected(&format!("{nibbles:x}"), negative).unwrap()), read.ok());
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
fn signs_over_digits_in_ascii() {
    let check = |overpunch, bytes: &[u8], expected| {
        let mut digits = Digits::new();
        let sign = Some(SignPosition::Trailing);
        let read = super::zoned(bytes, sign, Zone::Ascii(overpunch), &mut digits);
        assert_eq!(read.map(|negative| value(negative, &digits)), expected, "{overpunch:?} {bytes:X?}");
    };
    check(Overpunch::Translated, b"12C", plus(123));
    check(Overpunch::Translated, b"12}", minus(120));
    check(Overpunch::Translated, b"123", plus(123));
    check(Overpunch::Translated, b"12s", Err(Bad::Sign(2)));
    check(Overpunch::MicroFocus, b"12s", minus(123));
    check(Overpunch::MicroFocus, b"12p", minus(120));
    check(Overpunch::MicroFocus, b"12C", Err(Bad::Sign(2)));
    check(Overpunch::Realia, b"12#", minus(123));
    check(Overpunch::Realia, b"12 ", minus(120));
    check(Overpunch::Realia, b"129", plus(129));
    check(Overpunch::Realia, b"12)", minus(129));
    check(Overpunch::Realia, b"12*", Err(Bad::Digit(2)));
}

#[test]
fn zoned_decimals_as_printed_in_the_manuals() {
    let check = |bytes: &[u8], sign, family, expected| assert_eq!(zoned(bytes, sign, family), expected, "{bytes:X?}");
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
    assert_eq!(binary(&[0xFE], 2, true, true, ByteOrder::Little), minus(2));
    assert_eq!(binary(&[0x12, 0x34, 0x56], 7, false, true, ByteOrder::Big), plus(0x12_3456));
    assert_eq!(binary(&[0xFE, 0xFF, 0xFF], 7, true, true, ByteOrder::Little), minus(2));
    let wide = 12_345_678_901_234_567_890_123i128;
    assert_eq!(binary(&(-wide).to_be_bytes(), 23, true, false, ByteOrder::Big), minus(wide.unsigned_abs()));
    assert_eq!(binary(&wide.to_le_bytes(), 23, true, false, ByteOrder::Little), plus(wide.unsigned_abs()));
    assert_eq!(binary(&wide.to_be_bytes(), 22, true, false, ByteOrder::Big), Err(Bad::Overflow));
    assert_eq!(binary(&i128::MIN.to_be_bytes(), 38, true, true, ByteOrder::Big), Err(Bad::Overflow));
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
    check(&[0x7F, 0xFF, 0xFF, 0xFF], FloatFormat::Ibm, 7.237_005e75);
    // A fraction of 24 bits, the first hexadecimal digit of which may be 1: between the sixth and the eighth digit.
    check(&[0x41, 0x28, 0x00, 0x01], FloatFormat::Ibm, 2.500_001);
    check(&[0x40, 0x1A, 0x36, 0xE3], FloatFormat::Ibm, 0.1024);
    check(&[0x40, 0x19, 0x99, 0x9A], FloatFormat::Ibm, 0.1);
    check(&[0x46, 0x10, 0x00, 0x01], FloatFormat::Ibm, 1_048_577.0);
    // One that is not normalised is the number that it is.
    check(&[0x43, 0x00, 0x76, 0xA0], FloatFormat::Ibm, 7.414_062_5);
    check(&1.5f32.to_le_bytes(), FloatFormat::IeeeLittle, 1.5);
    check(&(-0.1f64).to_le_bytes(), FloatFormat::IeeeLittle, -0.1);
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
        prop_assert!((read - value).abs() <= value.abs() * 5e-7, "{} {}", read, value);
        // It is stored as these bytes, and no decimal number of fewer digits is.
        let store = |text: &str| super::write::float(text, 4, FloatFormat::Ibm).unwrap();
        prop_assert_eq!(store(&read.to_string()), word.to_be_bytes());
        let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
        let shown = format!("{read:e}");
        let (mantissa, _) = shown.split_once('e').unwrap();
        if digits(mantissa) > 1 {
            let fewer = digits(mantissa) - 2;
            prop_assert_ne!(store(&format!("{value:.fewer$e}")), word.to_be_bytes());
        }
        let double = [&word.to_be_bytes()[..], &[0; 4]].concat();
        prop_assert_eq!(float(&double, FloatFormat::Ibm), Ok(value));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 1..39)) {
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
    }
}
