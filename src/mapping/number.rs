//! Numbers as people and old systems write them in text: decimal comma, grouping, a sign behind, a decimal
//! point that is only implied. Exact to the last digit.

use crate::record::{Decimal, DecimalError, RejectCode};

/// How a text writes its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumberStyle {
    /// The decimal point: `.` or `,`.
    pub(super) point: u8,
    /// May stand between groups of three digits.
    pub(super) grouping: Option<u8>,
    /// The text has no decimal point; so many of its digits stand behind it.
    pub(super) implied_scale: Option<u8>,
}

impl NumberStyle {
    /// `-1234.5`
    pub(super) const PLAIN: NumberStyle = NumberStyle { point: b'.', grouping: None, implied_scale: None };

    /// Reads a number. Blanks around it are ignored; the sign stands before or, as SAP and COBOL reports write
    /// it, behind the digits.
    pub(super) fn parse(self, text: &str) -> Result<Decimal, RejectCode> {
        let text = text.trim_ascii();
        let (text, negative_behind) = match text.as_bytes() {
            [first, .., last @ (b'-' | b'+')] if !matches!(first, b'-' | b'+') => {
                (&text[..text.len() - 1], *last == b'-')
            }
            _ => (text, false),
        };
        if let Some(grouping) = self.grouping
            && !groups_of_three(text.as_bytes(), self.point, grouping)
        {
            return Err(RejectCode::BadDigit);
        }
        if self.implied_scale.is_some() && text.as_bytes().contains(&self.point) {
            return Err(RejectCode::BadDigit);
        }
        let number = Decimal::parse(text, self.point, self.grouping).map_err(code)?;
        let number = match self.implied_scale {
            Some(scale) => Decimal::new(number.units(), scale).map_err(code)?,
            None => number,
        };
        if negative_behind { Decimal::new(-number.units(), number.scale()).map_err(code) } else { Ok(number) }
    }

    /// What a number in this style looks like, for messages.
    pub(super) fn describe(self) -> String {
        let mut words = Vec::new();
        if self.point != b'.' {
            words.push(format!("decimal point `{}`", char::from(self.point)));
        }
        if let Some(grouping) = self.grouping {
            words.push(format!("groups of three by `{}`", char::from(grouping)));
        }
        if let Some(scale) = self.implied_scale {
            words.push(format!("{scale} implied decimals"));
        }
        if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
    }
}

/// The reject code of a number that cannot be read.
pub(super) fn code(error: DecimalError) -> RejectCode {
    match error {
        DecimalError::NotANumber => RejectCode::BadDigit,
        DecimalError::TooManyDigits => RejectCode::Overflow,
        DecimalError::Inexact => RejectCode::Inexact,
    }
}

/// A grouping mark in the wrong place is more likely a decimal point of another country than a group: `1.5`
/// must not become fifteen.
fn groups_of_three(text: &[u8], point: u8, grouping: u8) -> bool {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let whole = digits.split(|&byte| byte == point).next().unwrap_or(digits);
    let mut groups = whole.split(|&byte| byte == grouping);
    let first = groups.next().map_or(0, <[u8]>::len);
    let mut grouped = false;
    for group in groups {
        grouped = true;
        if group.len() != 3 {
            return false;
        }
    }
    !grouped || (1..=3).contains(&first)
}

#[cfg(test)]
mod tests {
    use super::NumberStyle;
    use crate::record::RejectCode;
    use proptest::prelude::*;

    const GERMAN: NumberStyle = NumberStyle { point: b',', grouping: Some(b'.'), implied_scale: None };
    const IMPLIED: NumberStyle = NumberStyle { point: b'.', grouping: None, implied_scale: Some(2) };

    fn check(style: NumberStyle, text: &str, expected: Result<&str, RejectCode>) {
        assert_eq!(style.parse(text).map(|d| d.to_string()), expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn reads_what_old_systems_write() {
        check(GERMAN, "1.234.567,89", Ok("1234567.89"));
        check(GERMAN, "-12,5", Ok("-12.5"));
        check(GERMAN, "1.234,50-", Ok("-1234.50"));
        check(GERMAN, "  7 ", Ok("7"));
        check(GERMAN, "1.5", Err(RejectCode::BadDigit));
        check(GERMAN, "1234.567,0", Err(RejectCode::BadDigit));
        check(GERMAN, "1.2345", Err(RejectCode::BadDigit));
        check(GERMAN, "12,5,0", Err(RejectCode::BadDigit));
        check(NumberStyle::PLAIN, "12+", Ok("12"));
        check(NumberStyle::PLAIN, "-12-", Err(RejectCode::BadDigit));
        check(NumberStyle::PLAIN, "1,5", Err(RejectCode::BadDigit));
        check(NumberStyle::PLAIN, "-", Err(RejectCode::BadDigit));
        check(NumberStyle::PLAIN, "1e3", Err(RejectCode::BadDigit));
        check(NumberStyle::PLAIN, "999999999999999999999999999999999999999", Err(RejectCode::Overflow));
    }

    #[test]
    fn implied_decimals() {
        check(IMPLIED, "000012345", Ok("123.45"));
        check(IMPLIED, "-5", Ok("-0.05"));
        check(IMPLIED, "0000012345-", Ok("-123.45"));
        check(IMPLIED, "123.45", Err(RejectCode::BadDigit));
    }

    proptest! {
        /// Against a reference that works on the digits as text.
        #[test]
        fn exact_to_the_last_digit(negative: bool, whole in "[1-9][0-9]{0,18}", fraction in "[0-9]{1,19}") {
            let mut grouped = String::new();
            for (index, digit) in whole.chars().enumerate() {
                if index > 0 && (whole.len() - index) % 3 == 0 {
                    grouped.push('.');
                }
                grouped.push(digit);
            }
            let sign = if negative { "-" } else { "" };
            let read = GERMAN.parse(&format!("{sign}{grouped},{fraction}")).unwrap();
            prop_assert_eq!(read.to_string(), format!("{sign}{whole}.{fraction}"));
        }

        #[test]
        fn never_panics(text in any::<String>(), digits in "[-+.,0-9 ]{0,50}") {
            for style in [GERMAN, IMPLIED, NumberStyle::PLAIN] {
                let _ = style.parse(&text);
                let _ = style.parse(&digits);
            }
        }
    }
}
