//! Exact decimals: an integer of up to 38 digits and the number of them behind the point.
//!
//! COBOL carries 31 digits and SQL Server 38; a binary float carries 15, so no amount ever passes
//! through one. 38 digits is what an `i128` holds with room to spare.

use std::cmp::Ordering;
use std::fmt;

/// The largest magnitude: 38 nines.
const MAX_UNITS: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

const fn powers() -> [i128; 39] {
    let mut table = [1i128; 39];
    let mut i = 1;
    while i < 39 {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
}

static POWERS: [i128; 39] = powers();

/// An exact decimal number: `units / 10^scale`.
///
/// The scale is kept as given (`19.00` stays `19.00` when written), but plays no part in comparison:
/// `19.00 == 19`.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    units: i128,
    scale: u8,
}

/// Why a text or a number is not a [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// The text has something other than a sign, digits and one decimal point.
    #[error("not a decimal number")]
    NotANumber,
    /// More than 38 digits.
    #[error("more than 38 digits")]
    TooManyDigits,
    /// The value would lose digits at the wanted scale.
    #[error("has more digits behind the decimal point than the type allows")]
    Inexact,
}

impl Decimal {
    /// The number zero.
    pub const ZERO: Decimal = Decimal { units: 0, scale: 0 };

    /// `units / 10^scale`. Fails when `units` has more than 38 digits or `scale` is over 38.
    pub const fn new(units: i128, scale: u8) -> Result<Decimal, DecimalError> {
        if units > MAX_UNITS || units < -MAX_UNITS || scale > 38 {
            return Err(DecimalError::TooManyDigits);
        }
        Ok(Decimal { units, scale })
    }

    /// A whole number.
    pub const fn from_i64(value: i64) -> Decimal {
        Decimal { units: value as i128, scale: 0 }
    }

    /// The digits without the point.
    pub const fn units(self) -> i128 {
        self.units
    }

    /// How many of the digits stand behind the point.
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// Reads `[+-]digits[POINT digits]`, where `point` is `.` or `,` and `grouping`, if given, may stand
    /// between digits before the point. No blanks, no exponent.
    pub fn parse(text: &str, point: u8, grouping: Option<u8>) -> Result<Decimal, DecimalError> {
        let bytes = text.as_bytes();
        let (negative, digits) = match bytes.first() {
            Some(b'-') => (true, &bytes[1..]),
            Some(b'+') => (false, &bytes[1..]),
            _ => (false, bytes),
        };
        let mut units: i128 = 0;
        let (mut seen_digit, mut seen_point, mut scale, mut significant) = (false, false, 0u8, 0u8);
        for &byte in digits {
            match byte {
                b'0'..=b'9' => {
                    seen_digit = true;
                    if significant > 0 || byte != b'0' {
                        significant += 1;
                    }
                    if seen_point {
                        scale += 1;
                    }
                    if significant > 38 || scale > 38 {
                        return Err(DecimalError::TooManyDigits);
                    }
                    units = units * 10 + i128::from(byte - b'0');
                }
                _ if byte == point && !seen_point => seen_point = true,
                _ if Some(byte) == grouping && !seen_point && seen_digit => {}
                _ => return Err(DecimalError::NotANumber),
            }
        }
        if !seen_digit {
            return Err(DecimalError::NotANumber);
        }
        Ok(Decimal { units: if negative { -units } else { units }, scale })
    }

    /// Reads a JSON number, which may have an exponent; exact.
    pub fn parse_json(text: &str) -> Result<Decimal, DecimalError> {
        let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return Decimal::parse(text, b'.', None) };
        let Decimal { mut units, scale } = Decimal::parse(mantissa, b'.', None)?;
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DecimalError::NotANumber);
        }
        if units == 0 {
            return Ok(Decimal::ZERO);
        }
        let exponent: i32 = exponent.parse().map_err(|_| DecimalError::TooManyDigits)?;
        let mut scale = i32::from(scale).saturating_sub(exponent);
        // Zeros at the end say nothing behind the point.
        while scale > 0 && units % 10 == 0 {
            (units, scale) = (units / 10, scale - 1);
        }
        match u8::try_from(scale) {
            Ok(scale) => Decimal::new(units, scale),
            Err(_) => {
                let zeros = usize::try_from(scale.unsigned_abs()).ok().filter(|_| scale < 0);
                let factor = zeros.and_then(|zeros| POWERS.get(zeros)).ok_or(DecimalError::TooManyDigits)?;
                Decimal::new(units.checked_mul(*factor).ok_or(DecimalError::TooManyDigits)?, 0)
            }
        }
    }

    /// The same number with exactly `scale` digits behind the point; fails rather than round.
    pub fn rescale(self, scale: u8) -> Result<Decimal, DecimalError> {
        match scale.cmp(&self.scale) {
            Ordering::Equal => Ok(self),
            Ordering::Greater => {
                let factor = POWERS.get(usize::from(scale - self.scale)).ok_or(DecimalError::TooManyDigits)?;
                let units = self.units.checked_mul(*factor).ok_or(DecimalError::TooManyDigits)?;
                Decimal::new(units, scale)
            }
            Ordering::Less => {
                let factor = POWERS[usize::from(self.scale - scale)];
                if self.units % factor != 0 {
                    return Err(DecimalError::Inexact);
                }
                Ok(Decimal { units: self.units / factor, scale })
            }
        }
    }

    /// How many digits stand before the point, leading zeros not counted.
    pub fn integer_digits(self) -> u32 {
        let whole = (self.units / POWERS[usize::from(self.scale)]).unsigned_abs();
        if whole == 0 { 0 } else { whole.ilog10() + 1 }
    }

    /// The whole number this is, if it is one and fits.
    pub fn to_i64(self) -> Option<i64> {
        self.rescale(0).ok().and_then(|whole| i64::try_from(whole.units).ok())
    }

    /// Appends the number with all digits of its scale: `-12.50`.
    pub fn write(self, out: &mut Vec<u8>) {
        let magnitude = self.units.unsigned_abs();
        if self.units < 0 {
            out.push(b'-');
        }
        let mut buffer = itoa::Buffer::new();
        let digits = match u64::try_from(magnitude) {
            Ok(small) => buffer.format(small),
            Err(_) => buffer.format(magnitude),
        };
        let scale = usize::from(self.scale);
        if scale == 0 {
            out.extend_from_slice(digits.as_bytes());
        } else if digits.len() > scale {
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            out.extend_from_slice(whole.as_bytes());
            out.push(b'.');
            out.extend_from_slice(fraction.as_bytes());
        } else {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + scale - digits.len(), b'0');
            out.extend_from_slice(digits.as_bytes());
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(44);
        self.write(&mut out);
        f.pad(&String::from_utf8_lossy(&out))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Decimal) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        if self.scale == other.scale {
            return self.units.cmp(&other.units);
        }
        // Whole parts first, then the fractions at a common scale: neither step can overflow.
        let (a, b) = (POWERS[usize::from(self.scale)], POWERS[usize::from(other.scale)]);
        (self.units / a).cmp(&(other.units / b)).then_with(|| {
            let (fraction_a, fraction_b) = (self.units % a, other.units % b);
            match self.scale.cmp(&other.scale) {
                Ordering::Equal => fraction_a.cmp(&fraction_b),
                Ordering::Less => (fraction_a * POWERS[usize::from(other.scale - self.scale)]).cmp(&fraction_b),
                Ordering::Greater => fraction_a.cmp(&(fraction_b * POWERS[usize::from(self.scale - other.scale)])),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, DecimalError};
    use proptest::prelude::*;

    fn check(text: &str, expected: Result<&str, DecimalError>) {
        assert_eq!(Decimal::parse(text, b'.', None).map(|d| d.to_string()), expected.map(str::to_owned));
    }

    #[test]
    fn parses_what_it_prints() {
        check("0", Ok("0"));
        check("-0.05", Ok("-0.05"));
        check("+19.00", Ok("19.00"));
        check(".5", Ok("0.5"));
        check("99999999999999999999999999999999999999", Ok("99999999999999999999999999999999999999"));
        check("999999999999999999999999999999999999999", Err(DecimalError::TooManyDigits));
        check("1.2.3", Err(DecimalError::NotANumber));
        check("1e5", Err(DecimalError::NotANumber));
        check("", Err(DecimalError::NotANumber));
        check("-", Err(DecimalError::NotANumber));
    }

    #[test]
    fn json_numbers_may_have_an_exponent() {
        let check = |text: &str, expected: Result<&str, DecimalError>| {
            let parsed = Decimal::parse_json(text).map(|number| number.to_string());
            assert_eq!(parsed, expected.map(str::to_owned), "{text}");
        };
        check("19.00", Ok("19.00"));
        check("1e2", Ok("100"));
        check("-1.50E+1", Ok("-15"));
        check("12345e-2", Ok("123.45"));
        check("1e-05", Ok("0.00001"));
        check("100e-2", Ok("1"));
        check("0.0e-999999999999", Ok("0"));
        check("1e37", Ok("10000000000000000000000000000000000000"));
        check("1e38", Err(DecimalError::TooManyDigits));
        check("1e-39", Err(DecimalError::TooManyDigits));
        check("1e99999999999", Err(DecimalError::TooManyDigits));
        for text in ["1e", "1e+", "e5", "1e1.5", "1e++2", "1e2e3"] {
            check(text, Err(DecimalError::NotANumber));
        }
    }

    #[test]
    fn decimal_comma_and_grouping() {
        let parsed = Decimal::parse("-1.234.567,89", b',', Some(b'.')).map(|d| d.to_string());
        assert_eq!(parsed.as_deref(), Ok("-1234567.89"));
    }

    proptest! {
        #[test]
        fn round_trip(units in -super::MAX_UNITS..=super::MAX_UNITS, scale in 0u8..=38) {
            let decimal = Decimal::new(units, scale).unwrap();
            let again = Decimal::parse(&decimal.to_string(), b'.', None).unwrap();
            prop_assert_eq!((again.units(), again.scale()), (units, scale));
        }

        #[test]
        fn an_exponent_moves_the_point(units in -super::MAX_UNITS..=super::MAX_UNITS, scale in 0u8..=38) {
            let decimal = Decimal::new(units, scale).unwrap();
            prop_assert_eq!(Decimal::parse_json(&format!("{units}e-{scale}")).unwrap(), decimal);
            let printed = decimal.to_string();
            prop_assert_eq!(Decimal::parse_json(&format!("{printed}E0")).unwrap(), decimal);
        }

        #[test]
        fn order_is_the_order_of_numbers(a in -1_000_000_000i64..1_000_000_000, b in -1_000_000_000i64..1_000_000_000, s in 0u8..9, t in 0u8..9) {
            let (x, y) = (Decimal::new(a.into(), s).unwrap(), Decimal::new(b.into(), t).unwrap());
            let common = (i128::from(a) * 10i128.pow(t.into())).cmp(&(i128::from(b) * 10i128.pow(s.into())));
            prop_assert_eq!(x.cmp(&y), common);
        }

        #[test]
        fn rescaling_up_and_down_is_the_identity(units in -1_000_000_000_000i128..1_000_000_000_000, scale in 0u8..10, more in 0u8..10) {
            let decimal = Decimal::new(units, scale).unwrap();
            let back = decimal.rescale(scale + more).unwrap().rescale(scale).unwrap();
            prop_assert_eq!(back.units(), units);
        }
    }
}
