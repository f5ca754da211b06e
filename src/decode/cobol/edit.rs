//! A number under an edited picture: zeros suppressed, signs and currencies floated, characters inserted (ISO/IEC 1989,
//! editing rules of the PICTURE clause).

use super::number::Editing;
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
    use super::{Editing, edit};
    use crate::decode::copybook::{Dialect, edit_marks};

    const POINT: Editing = Editing { point: '.', grouping: ',', currency: '$' };

    /// What the compilers' manuals print beside these pictures; `tests/it/gnucobol.rs` asks a compiler.
    #[test]
    fn numbers_under_pictures() {
        let check = |picture: &str, digits: &str, negative, expected: &str| {
            let marks = edit_marks(picture, &Dialect::default());
            assert_eq!(edit(&marks, digits.as_bytes(), negative, POINT), expected, "{picture} {digits}");
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
}
