//! External floating point: a mantissa and an exponent of ten as text, `+1.2345E+02` (Enterprise COBOL Language Reference,
//! "External floating-point items").

use super::write::Unfit;
use super::{Bad, DecimalFloat, decimal_float};
use crate::decode::copybook::EditMark;

/// The largest exponent that two digits say.
const LARGEST: i32 = 99;

/// The number in the characters of an item. Faults are at the character, counted from 0.
pub(in crate::decode::cobol) fn external(marks: &[EditMark], text: &str, point: char) -> Result<DecimalFloat, Bad> {
    let mut chars = text.chars().enumerate();
    let (mut coefficient, mut behind, mut has_point) = (0u128, 0i32, false);
    let (mut exponent, mut signs) = (0i32, [false; 2]);
    let mut in_exponent = false;
    let length = text.chars().count();
    for &mark in marks {
        if mark == EditMark::ImpliedPoint {
            has_point = true;
            continue;
        }
        let Some((at, char)) = chars.next() else { return Err(Bad::Digit(length)) };
        match mark {
            EditMark::Floating(sign) => match char {
                '-' => signs[usize::from(in_exponent)] = true,
                '+' if sign == '+' => {}
                ' ' if sign == '-' => {}
                _ => return Err(Bad::Sign(at)),
            },
            EditMark::Point if char == point => has_point = true,
            EditMark::Inserted('E') if char == 'E' => in_exponent = true,
            EditMark::Digit => {
                let digit = char.to_digit(10).ok_or(Bad::Digit(at))?;
                if in_exponent {
                    exponent = exponent * 10 + digit as i32;
                } else {
                    coefficient = coefficient * 10 + u128::from(digit);
                    behind += i32::from(has_point);
                }
            }
            _ => return Err(Bad::Digit(at)),
        }
    }
    if let Some((at, _)) = chars.next() {
        return Err(Bad::Digit(at));
    }
    let [negative, is_small] = signs;
    let exponent = if is_small { -exponent } else { exponent };
    Ok(DecimalFloat { negative: negative && coefficient != 0, coefficient, exponent: exponent - behind })
}

/// The characters of a number: as many digits as the picture has, the first of them not zero.
pub(in crate::decode::cobol) fn write_external(text: &str, marks: &[EditMark], point: char) -> Result<String, Unfit> {
    let DecimalFloat { negative, mut coefficient, mut exponent } = decimal_float::parse(text)?;
    let mantissa = marks.iter().take_while(|mark| **mark != EditMark::Inserted('E'));
    let is_point = |mark: &&EditMark| matches!(mark, EditMark::Point | EditMark::ImpliedPoint);
    let digits = mantissa.clone().filter(|mark| **mark == EditMark::Digit).count() as u32;
    let behind = mantissa.skip_while(|mark| !is_point(mark)).filter(|mark| **mark == EditMark::Digit).count() as i32;
    while coefficient != 0 && coefficient.is_multiple_of(10) {
        coefficient /= 10;
        exponent += 1;
    }
    let own = coefficient.checked_ilog10().map_or(0, |power| power + 1);
    if own > digits {
        return Err(Unfit::Inexact);
    }
    coefficient *= 10u128.pow(digits - own);
    exponent -= (digits - own) as i32;
    exponent += behind;
    // A number that is too small for the first digit may still be one with zeros before its own.
    while coefficient != 0 && exponent < -LARGEST && coefficient.is_multiple_of(10) {
        coefficient /= 10;
        exponent += 1;
    }
    match exponent {
        _ if coefficient == 0 => exponent = 0,
        ..-99 => return Err(Unfit::Inexact),
        100.. => return Err(Unfit::TooLarge),
        _ => {}
    }
    let shown = format!("{coefficient:0width$}{:02}", exponent.unsigned_abs(), width = digits as usize);
    let mut shown = shown.chars();
    let mut signs = [negative && coefficient != 0, exponent < 0].into_iter();
    let mut out = String::with_capacity(marks.len());
    for &mark in marks {
        match mark {
            EditMark::Digit => out.extend(shown.next()),
            EditMark::Floating(sign) => out.push(match (signs.next().unwrap_or_default(), sign) {
                (true, _) => '-',
                (false, '+') => '+',
                (false, _) => ' ',
            }),
            EditMark::Point => out.push(point),
            EditMark::Inserted(char) => out.push(char),
            _ => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{external, write_external};
    use crate::decode::cobol::number::{Bad, DecimalFloat};
    use crate::decode::copybook::{Dialect, edit_marks};

    fn read(picture: &str, text: &str) -> Result<(bool, u128, i32), Bad> {
        let marks = edit_marks(picture, &Dialect::default());
        let DecimalFloat { negative, coefficient, exponent } = external(&marks, text, '.')?;
        Ok((negative, coefficient, exponent))
    }

    fn write(picture: &str, text: &str) -> Option<String> {
        write_external(text, &edit_marks(picture, &Dialect::default()), '.').ok()
    }

    /// By the rules of the manual: an implied point takes no room, a `-` of the picture shows a plus as a blank.
    #[test]
    fn texts_and_the_numbers_that_they_are() {
        let check = |picture: &str, text: &str, number: (bool, u128, i32), json: &str| {
            assert_eq!(read(picture, text), Ok(number), "{picture} {text}");
            assert_eq!(write(picture, json).as_deref(), Some(text), "{picture} {json}");
        };
        check("+9.9(4)E+99", "+1.2345E+02", (false, 12345, -2), "123.45");
        check("+9.9(4)E+99", "-1.2345E-02", (true, 12345, -6), "-0.012345");
        check("+9.9(4)E+99", "+0.0000E+00", (false, 0, -4), "-0");
        check("-9V9(4)E-99", " 12345E 02", (false, 12345, -2), "1.2345e2");
        check("-9V9(4)E-99", "-12345E-99", (true, 12345, -103), "-1.2345E-99");
        check("+V9(3)E+99", "+123E+01", (false, 123, -2), "1.23");
        check("+9(3)V E+99".replace(' ', "").as_str(), "+123E+99", (false, 123, 99), "1.23E101");
        check("+9(16)E+99", "+1000000000000000E-15", (false, 1_000_000_000_000_000, -15), "1");
        // Below what the exponent says the first digits are zeros.
        check("+9.9(4)E+99", "+0.0010E-99", (false, 10, -103), "1e-102");
    }

    #[test]
    fn what_is_no_number_and_what_does_not_fit() {
        let picture = "+9.9(4)E+99";
        for (text, bad) in [
            (" 1.2345E+02", Bad::Sign(0)),
            ("+1,2345E+02", Bad::Digit(2)),
            ("+1.23x5E+02", Bad::Digit(5)),
            ("+1.2345e+02", Bad::Digit(7)),
            ("+1.2345E 02", Bad::Sign(8)),
            ("+1.2345E+0", Bad::Digit(10)),
            ("+1.2345E+021", Bad::Digit(11)),
            ("", Bad::Digit(0)),
        ] {
            assert_eq!(read(picture, text), Err(bad), "{text}");
        }
        assert_eq!(read("-9.9E-99", "+1.2E 02"), Err(Bad::Sign(0)));
        for text in ["1.23456", "1e100", "1e-104", "1.2345e-100", "x", "1e999999999"] {
            assert_eq!(write(picture, text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_read_back(coefficient in 0u64..100_000, exponent in -90i32..90, negative in any::<bool>()) {
            let sign = if negative { "-" } else { "" };
            let text = write("-9.9(4)E+99", &format!("{sign}{coefficient}E{exponent}")).unwrap();
            let (minus, read, power) = read("-9.9(4)E+99", &text).unwrap();
            prop_assert_eq!(minus, negative && coefficient != 0);
            // The same number, whatever zeros stand at the end.
            let scaled = |number: u128, power: i32| number * 10u128.pow((power + 100) as u32 % 40);
            let least = power.min(exponent);
            prop_assert_eq!(scaled(read, power - least - 100), scaled(u128::from(coefficient), exponent - least - 100));
        }

        #[test]
        fn any_text_has_an_answer(text in "\\PC{0,12}") {
            let _ = read("+9.9(4)E+99", &text);
        }
    }
}
