//! Decimal floating point of 8 and 16 bytes: IEEE 754-2008 decimal64 and decimal128 with the coefficient as a binary
//! integer (§3.5.2), as GnuCOBOL stores FLOAT-DECIMAL-16 and -34.

use super::Bad;
use super::write::{Parts, Unfit};
use crate::decode::cobol::settings::ByteOrder;

/// A coefficient times ten to the power of an exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decode::cobol) struct DecimalFloat {
    pub(in crate::decode::cobol) negative: bool,
    pub(in crate::decode::cobol) coefficient: u128,
    pub(in crate::decode::cobol) exponent: i32,
}

/// One of the two formats.
struct Form {
    /// Bits of the coefficient where its first bits are zeros.
    bits: u32,
    /// The most digits of it.
    digits: u32,
    /// What is taken from the stored exponent, whose largest value is three times two to the power of its bits less two,
    /// less one.
    bias: i32,
    largest: i32,
}

impl Form {
    fn of(length: usize) -> Form {
        match length {
            8 => Form { bits: 53, digits: 16, bias: 398, largest: 767 },
            _ => Form { bits: 113, digits: 34, bias: 6176, largest: 12_287 },
        }
    }
}

/// The number in 8 or 16 bytes.
pub(in crate::decode::cobol) fn decimal_float(bytes: &[u8], order: ByteOrder) -> Result<DecimalFloat, Bad> {
    let form = Form::of(bytes.len());
    let add = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
    let raw = match order {
        ByteOrder::Big => bytes.iter().fold(0, add),
        ByteOrder::Little => bytes.iter().rev().fold(0, add),
    };
    let width = 8 * bytes.len() as u32;
    let negative = raw >> (width - 1) & 1 == 1;
    if raw >> (width - 5) & 0xF == 0xF {
        // Infinity, and what is no number.
        return Err(Bad::NotFinite);
    }
    let exponent_mask = u128::MAX >> (128 - (width - 1 - form.bits));
    let (exponent, coefficient) = match raw >> (width - 3) & 3 {
        3 => {
            let low = raw & (u128::MAX >> (128 - (form.bits - 2)));
            (raw >> (form.bits - 2), low | 1 << form.bits)
        }
        _ => (raw >> form.bits, raw & (u128::MAX >> (128 - form.bits))),
    };
    if coefficient >= 10u128.pow(form.digits) {
        return Err(Bad::Overflow);
    }
    let exponent = i32::try_from(exponent & exponent_mask).unwrap_or_default() - form.bias;
    Ok(DecimalFloat { negative: negative && coefficient != 0, coefficient, exponent })
}

/// The bytes of a number, without zeros at the end of its coefficient, as GnuCOBOL stores it.
pub(in crate::decode::cobol) fn write_decimal_float(
    text: &str,
    length: usize,
    order: ByteOrder,
) -> Result<Vec<u8>, Unfit> {
    let form = Form::of(length);
    let DecimalFloat { negative, mut coefficient, mut exponent } = parse(text)?;
    while coefficient != 0 && coefficient.is_multiple_of(10) {
        coefficient /= 10;
        exponent += 1;
    }
    if coefficient == 0 {
        return Ok(vec![0; length]);
    }
    if coefficient >= 10u128.pow(form.digits) {
        return Err(Unfit::Inexact);
    }
    // An exponent that is too large gives zeros to the coefficient.
    while exponent + form.bias > form.largest {
        coefficient = coefficient.checked_mul(10).filter(|c| *c < 10u128.pow(form.digits)).ok_or(Unfit::TooLarge)?;
        exponent -= 1;
    }
    let stored = u128::try_from(exponent + form.bias).map_err(|_| Unfit::Inexact)?;
    let width = 8 * length as u32;
    let sign = u128::from(negative) << (width - 1);
    let raw = if coefficient >> form.bits == 0 {
        sign | stored << form.bits | coefficient
    } else {
        sign | 3 << (width - 3) | stored << (form.bits - 2) | (coefficient & (u128::MAX >> (128 - (form.bits - 2))))
    };
    let bytes = raw.to_be_bytes();
    let mut bytes = bytes.get(16 - length..).unwrap_or_default().to_vec();
    if order == ByteOrder::Little {
        bytes.reverse();
    }
    Ok(bytes)
}

/// The number that a text of JSON is.
pub(super) fn parse(text: &str) -> Result<DecimalFloat, Unfit> {
    let Parts { negative, whole, fraction, exponent } = Parts::of(text)?;
    let digits = whole.bytes().chain(fraction.trim_end_matches('0').bytes());
    if exponent.abs() > 100_000 {
        let is_zero = digits.clone().all(|digit| digit == b'0');
        return match exponent {
            _ if is_zero => Ok(DecimalFloat { negative, coefficient: 0, exponent: 0 }),
            0.. => Err(Unfit::TooLarge),
            _ => Err(Unfit::Inexact),
        };
    }
    let (mut coefficient, mut zeros) = (0u128, 0i32);
    for digit in digits {
        let digit = digit & 15;
        // Zeros at the end take no digits.
        if digit == 0 {
            zeros += 1;
            continue;
        }
        for _ in 0..if coefficient == 0 { 0 } else { zeros } {
            coefficient = coefficient.checked_mul(10).ok_or(Unfit::Inexact)?;
        }
        zeros = 0;
        let longer = coefficient.checked_mul(10).and_then(|number| number.checked_add(u128::from(digit)));
        coefficient = longer.ok_or(Unfit::Inexact)?;
    }
    let behind = i32::try_from(fraction.trim_end_matches('0').len()).map_err(|_| Unfit::NotANumber)?;
    Ok(DecimalFloat { negative, coefficient, exponent: exponent - behind + zeros })
}

#[cfg(test)]
mod tests {
    use super::{ByteOrder, decimal_float, write_decimal_float};

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// What GnuCOBOL 3.1.2 writes on a machine with the low byte first.
    #[test]
    fn as_gnucobol_writes_them() {
        let check = |text: &str, bytes: &str, negative, coefficient, exponent| {
            let bytes = hex(bytes);
            let read = decimal_float(&bytes, ByteOrder::Little).unwrap();
            assert_eq!((read.negative, read.coefficient, read.exponent), (negative, coefficient, exponent), "{text}");
            assert_eq!(write_decimal_float(text, bytes.len(), ByteOrder::Little).unwrap(), bytes, "{text}");
            let big: Vec<u8> = bytes.iter().rev().copied().collect();
            assert_eq!(decimal_float(&big, ByteOrder::Big).unwrap(), read);
            assert_eq!(write_decimal_float(text, bytes.len(), ByteOrder::Big).unwrap(), big);
        };
        check("1.5", "0f0000000000a031", false, 15, -1);
        check("1.50", "0f000000000000000000000000003e30", false, 15, -1);
        check("-123456789.9876543", "bf8c1f3dd562e4b0", true, 1_234_567_899_876_543, -7);
        check("-123456789.987654321", "b1fa52e04b9bb6010000000000002eb0", true, 123_456_789_987_654_321, -9);
        check("0", "0000000000000000", false, 0, -398);
        check("9999999999999999", "ffffc06ff286736c", false, 9_999_999_999_999_999, 0);
        check("9999999999999999", "ffffc06ff28623000000000000004030", false, 9_999_999_999_999_999, 0);
        check("0.000000001", "010000000000a030", false, 1, -9);
        check("1e-9", "01000000000000000000000000002e30", false, 1, -9);
        check("100", "0100000000000032", false, 1, 2);
        check("0100.00", "01000000000000000000000000004430", false, 1, 2);
    }

    #[test]
    fn what_does_not_fit() {
        let write = |text: &str| write_decimal_float(text, 8, ByteOrder::Big);
        assert!(write("12345678901234567").is_err());
        assert!(write("12345678901234560").is_ok());
        assert!(write("1e384").is_ok());
        assert!(write("1e385").is_err());
        assert!(write("1e-399").is_err());
        assert!(write("abc").is_err() && write("").is_err() && write("1e").is_err() && write(".").is_err());
        assert!(decimal_float(&[0x78, 0, 0, 0, 0, 0, 0, 0], ByteOrder::Big).is_err());
        assert!(decimal_float(&[0x7C, 0, 0, 0, 0, 0, 0, 0], ByteOrder::Big).is_err());
        assert!(decimal_float(&[0x6F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], ByteOrder::Big).is_err());
        assert!(decimal_float(&[0x60; 16], ByteOrder::Big).is_err());
    }
}
