//! A number under an edited picture, and back: zeros suppressed, signs and currencies floated, characters inserted
//! (ISO/IEC 1989, editing rules of the PICTURE clause).

use super::number::{Bad, Editing, Number};
use crate::decode::copybook::EditMark;

/// The characters of a number. `digits` are as many as the picture has, in ASCII.
pub(super) fn edit(marks: &[EditMark], digits: &[u8], negative: bool, editing: Editing) -> String {
    let floating = floating(marks);
    let suppressing = |mark: &EditMark| matches!(mark, EditMark::Suppressed(_)) || is_floating(*mark, floating);
    let all_suppressed = !marks.contains(&EditMark::Digit) && marks.iter().any(suppressing);
    let stars = marks.contains(&EditMark::Suppressed('*'));
    if all_suppressed && digits.iter().all(|digit| *digit == b'0') {
        return nothing(marks, stars, editing);
    }
    let mut line = Line { chars: Vec::new(), fill: if stars { '*' } else { ' ' }, in_zone: false, significant: false };
    let mut digits = digits.iter().map(|digit| char::from(*digit));
    // Where the floating character goes: the last place that a suppressed digit left free.
    let mut float_at = None;
    for &mark in marks {
        match mark {
            EditMark::Digit => {
                line.significant = true;
                line.chars.extend(digits.next());
            }
            EditMark::Floating(_) if is_floating(mark, floating) && float_at.is_none() => {
                line.in_zone = true;
                float_at = Some(line.chars.len());
                line.chars.push(' ');
            }
            EditMark::Suppressed(_) | EditMark::Floating(_)
                if is_floating(mark, floating) || matches!(mark, EditMark::Suppressed(_)) =>
            {
                line.in_zone = true;
                let digit = digits.next().unwrap_or('0');
                line.significant |= digit != '0';
                if line.significant {
                    line.chars.push(digit);
                } else {
                    float_at = float_at.map(|_| line.chars.len());
                    line.chars.push(line.fill);
                }
            }
            EditMark::Suppressed(_) => {}
            EditMark::Floating('$') => line.chars.push(editing.currency),
            EditMark::Floating(sign) => line.chars.push(sign_of(sign, negative)),
            EditMark::Credit(letter) => {
                let words = if letter == 'C' { "CR" } else { "DB" };
                line.chars.extend(if negative { words } else { "  " }.chars());
            }
            EditMark::Point | EditMark::ImpliedPoint => {
                // Digits behind the point are never suppressed alone.
                line.significant = true;
                if mark == EditMark::Point {
                    line.chars.push(editing.point);
                }
            }
            EditMark::Inserted(char) => {
                let shown = if char == ',' { editing.grouping } else { char };
                if line.in_zone && !line.significant {
                    float_at = float_at.map(|_| line.chars.len());
                    line.chars.push(line.fill);
                } else {
                    line.chars.push(shown);
                }
            }
        }
    }
    if let (Some(at), Some(symbol)) = (float_at, floating)
        && let Some(slot) = line.chars.get_mut(at)
    {
        *slot = if symbol == '$' { editing.currency } else { sign_of(symbol, negative) };
    }
    line.chars.into_iter().collect()
}

/// The number that an edited text stands for, in units of its last digit.
///
/// Every character must be one that its mark can print. Zeros that a program left standing where the picture suppresses
/// them are no fault: they change no value. Faults are at the character, counted from 0.
pub(super) fn unedit(marks: &[EditMark], text: &str, editing: Editing) -> Result<Number, Bad> {
    if text.chars().all(|char| char == ' ') {
        return Err(Bad::Blank);
    }
    if text.starts_with('*') && !marks.contains(&EditMark::Digit) && text == nothing(marks, true, editing) {
        return Ok(Number { negative: false, magnitude: 0 });
    }
    let floating = floating(marks);
    let stars = marks.contains(&EditMark::Suppressed('*'));
    let mut found = Found { magnitude: 0, negative: false, significant: false, floated: false };
    let fill = if stars { '*' } else { ' ' };
    let (mut first, mut in_zone) = (true, false);
    let mut chars = text.chars().enumerate();
    let mut end = 0;
    for &mark in marks.iter().filter(|mark| **mark != EditMark::ImpliedPoint) {
        let (at, char) = chars.next().ok_or(Bad::Digit(end))?;
        end = at + 1;
        let is_symbol = floating.is_some_and(|symbol| prints(symbol, char, editing));
        match mark {
            EditMark::Digit => found.digit(at, char)?,
            EditMark::Floating(_) if is_floating(mark, floating) && std::mem::take(&mut first) => {
                in_zone = true;
                match char {
                    ' ' => {}
                    _ if is_symbol => found.float(char),
                    _ => return Err(wrong(at, char)),
                }
            }
            EditMark::Suppressed(_) | EditMark::Floating(_)
                if is_floating(mark, floating) || matches!(mark, EditMark::Suppressed(_)) =>
            {
                in_zone = true;
                let free = !found.significant && !found.floated;
                match char {
                    '0'..='9' => found.digit(at, char)?,
                    _ if free && char == fill => {}
                    _ if free && is_symbol && matches!(mark, EditMark::Floating(_)) => found.float(char),
                    _ => return Err(wrong(at, char)),
                }
            }
            EditMark::Suppressed(_) => return Err(wrong(at, char)),
            EditMark::Floating(symbol) => match char {
                _ if prints(symbol, char, editing) => found.negative |= char == '-',
                ' ' if symbol != '$' => {}
                _ => return Err(if symbol == '$' { wrong(at, char) } else { Bad::Sign(at) }),
            },
            EditMark::Credit(letter) => {
                let (_, second) = chars.next().ok_or(Bad::Sign(at))?;
                end = at + 2;
                match (letter, char, second) {
                    (_, ' ', ' ') => {}
                    ('C', 'C', 'R') | ('D', 'D', 'B') => found.negative = true,
                    _ => return Err(Bad::Sign(at)),
                }
            }
            EditMark::Point if char == editing.point => found.significant = true,
            EditMark::Point | EditMark::ImpliedPoint => return Err(wrong(at, char)),
            EditMark::Inserted(inserted) => {
                let shown = if inserted == ',' { editing.grouping } else { inserted };
                match char {
                    // GnuCOBOL suppresses commas only.
                    _ if in_zone && !found.significant => match char {
                        _ if char == shown && inserted == '/' => {}
                        _ if !found.floated && char == fill => {}
                        _ if !found.floated && is_symbol => found.float(char),
                        _ => return Err(wrong(at, char)),
                    },
                    _ if char == shown => {}
                    _ => return Err(wrong(at, char)),
                }
            }
        }
    }
    match chars.next() {
        Some((at, char)) => Err(wrong(at, char)),
        None => Ok(Number { negative: found.negative && found.magnitude != 0, magnitude: found.magnitude }),
    }
}

/// What was read of an edited text.
struct Found {
    magnitude: u128,
    negative: bool,
    /// Whether a digit was seen, or the point: from there on nothing is suppressed.
    significant: bool,
    /// Whether the floating character was seen.
    floated: bool,
}

impl Found {
    fn digit(&mut self, at: usize, char: char) -> Result<(), Bad> {
        let digit = char.to_digit(10).ok_or_else(|| wrong(at, char))?;
        let longer = self.magnitude.checked_mul(10).and_then(|magnitude| magnitude.checked_add(u128::from(digit)));
        self.magnitude = longer.ok_or(Bad::Overflow)?;
        self.significant = true;
        Ok(())
    }

    fn float(&mut self, char: char) {
        self.floated = true;
        self.negative |= char == '-';
    }
}

/// Whether a symbol of a picture can print a character. The code points of currencies differ from page to page.
fn prints(symbol: char, char: char, editing: Editing) -> bool {
    match symbol {
        '$' => char == editing.currency || matches!(char, '$' | '€' | '£' | '¥'),
        _ => matches!(char, '+' | '-'),
    }
}

fn wrong(at: usize, char: char) -> Bad {
    if matches!(char, '+' | '-') { Bad::Sign(at) } else { Bad::Digit(at) }
}

struct Line {
    chars: Vec<char>,
    /// What stands for suppressed digits.
    fill: char,
    /// Whether a place was seen in which digits may be suppressed.
    in_zone: bool,
    /// Whether a digit was seen that is not suppressed.
    significant: bool,
}

/// The symbol that floats: the one that stands twice or more.
fn floating(marks: &[EditMark]) -> Option<char> {
    let count = |symbol: char| marks.iter().filter(|mark| **mark == EditMark::Floating(symbol)).count();
    ['+', '-', '$'].into_iter().find(|symbol| count(*symbol) > 1)
}

fn is_floating(mark: EditMark, floating: Option<char>) -> bool {
    matches!((mark, floating), (EditMark::Floating(symbol), Some(floating)) if symbol == floating)
}

fn sign_of(symbol: char, negative: bool) -> char {
    match (symbol, negative) {
        (_, true) => '-',
        ('+', false) => '+',
        _ => ' ',
    }
}

/// Zero under a picture that suppresses all its digits: blanks, or asterisks around the point.
fn nothing(marks: &[EditMark], stars: bool, editing: Editing) -> String {
    let mut text = String::new();
    for mark in marks {
        match mark {
            EditMark::ImpliedPoint => {}
            EditMark::Point if stars => text.push(editing.point),
            EditMark::Credit(_) => text.push_str(if stars { "**" } else { "  " }),
            _ => text.push(if stars { '*' } else { ' ' }),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Bad, Editing, Number, edit, unedit};
    use crate::decode::copybook::{Dialect, edit_marks};

    const POINT: Editing = Editing { point: '.', grouping: ',', currency: '$' };

    /// What the compilers' manuals print beside these pictures; `tests/it/gnucobol.rs` asks a compiler.
    #[test]
    fn numbers_under_pictures() {
        let check = |picture: &str, digits: &str, negative, expected: &str| {
            let marks = edit_marks(picture, &Dialect::default());
            assert_eq!(edit(&marks, digits.as_bytes(), negative, POINT), expected, "{picture} {digits}");
            let magnitude: u128 = digits.parse().unwrap();
            let number = if expected.trim().is_empty() {
                Err(Bad::Blank)
            } else {
                Ok(Number { negative: negative && magnitude != 0, magnitude })
            };
            assert_eq!(unedit(&marks, expected, POINT), number, "{picture} {digits}");
        };
        check("ZZ9.99", "00512", false, "  5.12");
        check("ZZZ.ZZ", "00005", false, "   .05");
        check("ZZZ.ZZ", "00000", false, "      ");
        check("***.**", "00000", false, "***.**");
        check("***,**9.99", "00012345", false, "****123.45");
        check("Z,ZZ9.99-", "123456", true, "1,234.56-");
        check("Z,ZZ9.99-", "001234", false, "   12.34 ");
        check("-(4)9.99", "000599", true, "   -5.99");
        check("-(4)9.99", "123499", true, "-1234.99");
        check("----9", "0012", true, "  -12");
        check("$$,$$9.99", "000123", false, "    $1.23");
        check("$$,$$9.99", "123456", false, "$1,234.56");
        check("$$$.$$", "0005", false, "  $.05");
        check("$ZZ9.99CR", "01234", true, "$ 12.34CR");
        check("$ZZ9.99CR", "01234", false, "$ 12.34  ");
        check("+++9", "012", false, " +12");
        check("99/99/9999", "31122026", false, "31/12/2026");
        check("9(3)B9(2)", "12345", false, "123 45");
        check("990099", "1234", false, "120034");
        check("+Z9", "05", false, "+ 5");
        check("Z9V99", "0512", false, " 512");
    }

    fn back(picture: &str, text: &str) -> Result<i128, Bad> {
        let number = unedit(&edit_marks(picture, &Dialect::default()), text, POINT)?;
        let magnitude = i128::try_from(number.magnitude).unwrap();
        Ok(if number.negative { -magnitude } else { magnitude })
    }

    /// What GnuCOBOL's MOVE writes under pictures with zeros of their own.
    #[test]
    fn zeros_that_are_inserted_are_no_digits() {
        assert_eq!(back("9990", "2000"), Ok(200));
        assert_eq!(back("99.990", "12.340"), Ok(1234));
        assert_eq!(back("9990", "2001"), Err(Bad::Digit(3)));
    }

    #[test]
    fn characters_that_the_picture_cannot_print() {
        let check = |picture: &str, text: &str, expected| assert_eq!(back(picture, text), expected, "{picture} {text}");
        check("Z(5)9", "1    2", Err(Bad::Digit(1)));
        check("Z(5)9", "000012", Ok(12));
        check("ZZZ,ZZZ,ZZ9", ",,,,,,,,,,1", Err(Bad::Digit(0)));
        check("Z,ZZ9.99-", "1-2-4.50 ", Err(Bad::Sign(1)));
        check("Z,ZZ9.99-", "1,234.50+", Ok(123_450));
        check("Z,ZZ9.99-", "1,234.50x", Err(Bad::Sign(8)));
        check("Z,ZZ9.99-", "1 234.50-", Err(Bad::Digit(1)));
        check("99/99/9999", "31 12 2026", Err(Bad::Digit(2)));
        check("99/99/9999", "31/12/2026", Ok(31_122_026));
        check("-(4)9.99", " - 12.50", Err(Bad::Digit(2)));
        check("-(4)9.99", "--112.50", Err(Bad::Sign(1)));
        check("-(4)9.99", "99999.99", Err(Bad::Digit(0)));
        check("$$,$$9.99", "  $123.45", Ok(12_345));
        check("$$,$$9.99", "  $,23.45", Err(Bad::Digit(3)));
        check("$ZZ9.99CR", "$ 12.34DB", Err(Bad::Sign(7)));
        check("$ZZ9.99CR", "  12.34CR", Err(Bad::Digit(0)));
        check("$ZZ9.99CR", "£ 12.34CR", Ok(-1234));
        check("***,**9.99", "****123.45", Ok(12_345));
        check("***,**9.99", "    123.45", Err(Bad::Digit(0)));
        check("***.**", "***.**", Ok(0));
        check("ZZ/ZZ", "  / 5", Ok(5));
        check("ZZ/ZZ", "    5", Ok(5));
        check("***.**", "***.*1", Err(Bad::Digit(4)));
        check("ZZ9.99", "12.3.4", Err(Bad::Digit(2)));
        check("ZZ9.99", "12", Err(Bad::Digit(2)));
        check("ZZ9.99", "123.456", Err(Bad::Digit(6)));
        check("ZZ9", "   ", Err(Bad::Blank));
    }

    #[test]
    fn a_decimal_comma_and_another_currency() {
        let dialect = Dialect { decimal_comma: true, currency: 'F', ..Dialect::default() };
        let marks = edit_marks("F9.999,99-", &dialect);
        let editing = Editing { point: ',', grouping: '.', currency: 'F' };
        assert_eq!(unedit(&marks, "F1.234,50-", editing), Ok(Number { negative: true, magnitude: 123_450 }));
        assert_eq!(unedit(&marks, "F1,234.50-", editing), Err(Bad::Digit(2)));
    }

    proptest! {
        /// What one way writes, the other reads; and no text is more than a fault.
        #[test]
        fn there_and_back(
            which in 0usize..PICTURES.len(),
            digits in proptest::collection::vec(b'0'..=b'9', 12),
            negative in any::<bool>(),
            text in "[ 0-9.,*$+CRDB/-]{0,10}",
        ) {
            let (picture, count, signed) = PICTURES[which];
            let marks = edit_marks(picture, &Dialect::default());
            let digits = &digits[..count];
            let written = edit(&marks, digits, negative && signed, POINT);
            let magnitude: u128 = std::str::from_utf8(digits).unwrap().parse().unwrap();
            let expected = if written.trim().is_empty() {
                Err(Bad::Blank)
            } else {
                Ok(Number { negative: negative && signed && magnitude != 0, magnitude })
            };
            prop_assert_eq!(unedit(&marks, &written, POINT), expected, "{} {}", picture, written);
            let _ = unedit(&marks, &text, POINT);
        }
    }

    /// Pictures, their digits, and whether they have a sign.
    const PICTURES: &[(&str, usize, bool)] = &[
        ("ZZZ,ZZ9.99", 8, false),
        ("Z(4)", 4, false),
        ("***,***.**", 8, false),
        ("$$,$$9.99CR", 6, true),
        ("-(4)9.99", 6, true),
        ("+++,+++.99", 7, true),
        ("+Z(5)", 5, true),
        ("$Z,ZZ9.99-", 6, true),
        ("9B9/9099", 5, false),
        ("Z9V99DB", 4, true),
        ("$$$.$$", 4, false),
    ];
}
