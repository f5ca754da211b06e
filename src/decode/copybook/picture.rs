//! PICTURE character-strings.

use super::Dialect;
use super::editing::is_in_order;

/// What a character-string describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// As written, in upper case.
    pub(super) text: String,
    pub(super) category: Category,
    /// Characters that the item takes in DISPLAY form, without a separate sign.
    pub(super) size: usize,
}

/// The categories that matter to reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    /// Alphabetic, alphanumeric, or alphanumeric edited.
    Text,
    /// `N`: national, or double-byte where the usage says so.
    National,
    /// `G`: double-byte.
    DoubleByte,
    /// `U`: UTF-8.
    Utf8,
    /// Digits only.
    Numeric {
        /// Digits that are stored.
        digits: u8,
        /// Power of ten that the stored integer is divided by; negative when zeros are implied at the end.
        scale: i8,
        signed: bool,
    },
    /// Digits among editing characters; the decimal point stands in the text.
    Edited { digits: u8, scale: i8, signed: bool },
    /// A mantissa and an exponent of ten, both with their signs: external floating point.
    External,
}

/// The most digits a number may have.
const MAX_DIGITS: usize = 38;
/// The most digits of the mantissa of external floating point.
const MAX_MANTISSA: usize = 16;
/// The most repetitions that are looked at: beyond any record.
const MAX_SIZE: usize = super::super::MAX_RECORD;

impl Picture {
    /// Reads a character-string; answers one sentence when it is none that is supported.
    pub(super) fn parse(written: &str, dialect: &Dialect) -> Result<Picture, String> {
        let text = written.to_uppercase();
        let symbols = expand(&text, dialect)?;
        let has = |wanted: &str| symbols.iter().any(|(symbol, _)| wanted.contains(*symbol));
        if has("1") {
            return Err(format!("`{written}`: boolean pictures are not supported"));
        }
        let wide = [('N', Category::National), ('G', Category::DoubleByte), ('U', Category::Utf8)];
        let category = if let Some((symbol, category)) = wide.into_iter().find(|(symbol, _)| has(&symbol.to_string())) {
            let others = symbols.iter().any(|(other, _)| *other != symbol && !"B0/".contains(*other));
            if others || (symbol == 'U' && symbols.len() > 1) {
                return Err(format!("`{written}` mixes `{symbol}` with other characters"));
            }
            category
        } else if has("E") {
            external(&symbols, written)?
        } else if has("AX") {
            if has("SVPZ*+-$CD.,") {
                return Err(format!("`{written}` mixes characters of text and of numbers"));
            }
            Category::Text
        } else if has("Z*+-$CD.,B/0") {
            edited(&symbols, written)?
        } else {
            numeric(&symbols, written)?
        };
        let size = symbols.iter().filter(|(symbol, _)| !"SVP".contains(*symbol)).map(|(symbol, count)| {
            // CR and DB were read as C and D.
            if matches!(symbol, 'C' | 'D') { 2 * count } else { *count }
        });
        let size = size.sum::<usize>();
        if size == 0 || size > MAX_SIZE {
            return Err(format!("`{written}` describes an item of {size} characters"));
        }
        Ok(Picture { text, category, size })
    }
}

/// A character of an edited number, in the order of the picture. The decimal point is `.` and the currency `$` whatever
/// the dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditMark {
    /// `9`: a digit.
    Digit,
    /// `Z`, `*`: a digit that may be suppressed.
    Suppressed(char),
    /// `+`, `-`, `$`: a sign or the currency, fixed or floating.
    Floating(char),
    /// `CR` and `DB`, as `C` and `D`.
    Credit(char),
    /// `.`: the decimal point in the text.
    Point,
    /// `V`: the decimal point that takes no room.
    ImpliedPoint,
    /// `B`, `0`, `/`, `,`: a character of its own.
    Inserted(char),
}

/// The marks of an edited picture that was read once.
pub fn edit_marks(picture: &str, dialect: &Dialect) -> Vec<EditMark> {
    let mut marks = Vec::new();
    for (symbol, count) in expand(&picture.to_uppercase(), dialect).unwrap_or_default() {
        let mark = match symbol {
            '9' => EditMark::Digit,
            'Z' | '*' => EditMark::Suppressed(symbol),
            '+' | '-' | '$' => EditMark::Floating(symbol),
            'C' | 'D' => EditMark::Credit(symbol),
            '.' => EditMark::Point,
            'V' => EditMark::ImpliedPoint,
            'P' => continue,
            'B' => EditMark::Inserted(' '),
            other => EditMark::Inserted(other),
        };
        marks.extend(std::iter::repeat_n(mark, count));
    }
    marks
}

/// The symbols with how often each stands in a row; CR and DB as `C` and `D`.
fn expand(text: &str, dialect: &Dialect) -> Result<Vec<(char, usize)>, String> {
    let mut symbols: Vec<(char, usize)> = Vec::new();
    let mut rest = text;
    let currency = dialect.currency.to_uppercase().next().unwrap_or('$');
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        let symbol = match char {
            _ if char == currency => '$',
            'C' if rest.starts_with('R') => {
                rest = &rest[1..];
                'C'
            }
            'D' if rest.starts_with('B') => {
                rest = &rest[1..];
                'D'
            }
            '.' if dialect.decimal_comma => ',',
            ',' if dialect.decimal_comma => '.',
            'A' | 'X' | '9' | 'S' | 'V' | 'P' | 'Z' | '*' | '+' | '-' | '.' | ',' | 'B' | '/' | '0' | 'N' | 'G'
            | 'U' | 'E' | '1' => char,
            '(' => return Err("`(` stands before any symbol".to_owned()),
            other => return Err(format!("`{other}` is no symbol of a PICTURE")),
        };
        let count = match rest.strip_prefix('(') {
            None => 1,
            Some(behind) => {
                let Some((number, after)) = behind.split_once(')') else {
                    return Err("`(` is not closed".to_owned());
                };
                rest = after;
                match number.trim().parse::<usize>() {
                    Ok(count) if (1..=MAX_SIZE).contains(&count) => count,
                    _ => return Err(format!("`({number})` is no number of repetitions")),
                }
            }
        };
        match symbols.last_mut() {
            Some((last, total)) if *last == symbol => *total = total.saturating_add(count),
            _ => symbols.push((symbol, count)),
        }
    }
    Ok(symbols)
}

fn numeric(symbols: &[(char, usize)], written: &str) -> Result<Category, String> {
    let signed = match symbols.iter().position(|(symbol, _)| *symbol == 'S') {
        None => false,
        Some(0) if symbols.first() == Some(&('S', 1)) => true,
        Some(_) => return Err(format!("`{written}`: `S` stands once and first")),
    };
    let (mut digits, mut scale, mut points) = (0usize, 0isize, 0usize);
    let (mut zeros_before, mut zeros_behind) = (0usize, 0usize);
    for &(symbol, count) in symbols {
        match symbol {
            '9' => {
                if zeros_behind > 0 {
                    return Err(format!("`{written}`: `P` stands at one end"));
                }
                digits = digits.saturating_add(count);
                if points > 0 {
                    scale = scale.saturating_add_unsigned(count);
                }
            }
            // The zeros say where the point is: `V` may say so too, at that end of them that has no digits.
            'V' if zeros_before > 0 => return Err(misplaced_point(written)),
            'P' if digits > 0 && points > 0 => return Err(misplaced_point(written)),
            'V' => points = points.saturating_add(count),
            'P' if digits == 0 => zeros_before = zeros_before.saturating_add(count),
            'P' => zeros_behind = zeros_behind.saturating_add(count),
            _ => {}
        }
    }
    if digits == 0 || points > 1 || (zeros_before > 0 && zeros_behind > 0) {
        return Err(format!("`{written}` is no number: it needs digits (`9`) and at most one `V`"));
    }
    if zeros_before > 0 {
        // The point is assumed before the zeros.
        scale = 0isize.saturating_add_unsigned(zeros_before.saturating_add(digits));
    }
    if zeros_behind > 0 {
        scale = 0isize.saturating_sub_unsigned(zeros_behind);
    }
    bounded(digits, zeros_before.saturating_add(zeros_behind), scale, written)
        .map(|(digits, scale)| Category::Numeric { digits, scale, signed })
}

fn misplaced_point(written: &str) -> String {
    format!("`{written}`: `P` stands for zeros up to the decimal point, which is said to be elsewhere")
}

/// `+9.9(4)E+99`: a sign, digits with one point among them or at an end, E, a sign and two digits.
fn external(symbols: &[(char, usize)], written: &str) -> Result<Category, String> {
    let [sign, mantissa @ .., ('E', 1), exponent_sign, ('9', 2)] = symbols else {
        return Err(format!("`{written}` is no number: behind its mantissa it needs `E+99` or `E-99`"));
    };
    let is_sign = |symbol: &(char, usize)| matches!(symbol, ('+' | '-', 1));
    let count = |wanted: &str| -> usize {
        let of = mantissa.iter().filter(|(symbol, _)| wanted.contains(*symbol));
        of.map(|(_, count)| *count).fold(0, usize::saturating_add)
    };
    let others = mantissa.iter().any(|(symbol, _)| !"9.V".contains(*symbol));
    if !is_sign(sign) || !is_sign(exponent_sign) || others || count(".V") > 1 || count("9") == 0 {
        let message =
            "is no number: mantissa and exponent each have a sign, and the mantissa digits with one point at most";
        return Err(format!("`{written}` {message}"));
    }
    if count("9") > MAX_MANTISSA {
        return Err(format!("`{written}` has more than {MAX_MANTISSA} digits before its exponent"));
    }
    Ok(Category::External)
}

fn edited(symbols: &[(char, usize)], written: &str) -> Result<Category, String> {
    let count_of = |wanted: char| {
        symbols.iter().filter(|(symbol, _)| *symbol == wanted).map(|(_, count)| *count).fold(0, usize::saturating_add)
    };
    if count_of('S') > 0 || count_of('.') + count_of('V') > 1 || count_of('Z').min(count_of('*')) > 0 {
        return Err(format!("`{written}`: editing characters go with one point, with `Z` or `*`, and without `S`"));
    }
    // What stands twice or more floats: the first takes the sign or the currency, the others may be digits.
    let floating: Vec<char> = ['+', '-', '$'].into_iter().filter(|symbol| count_of(*symbol) > 1).collect();
    if floating.len() > 1 || count_of('+').min(count_of('-')) > 0 || count_of('C') + count_of('D') > 1 {
        return Err(format!("`{written}` has more than one sign, or more than one character that floats"));
    }
    if !is_in_order(symbols.iter().map(|(symbol, _)| *symbol), floating.first().copied()) {
        return Err(format!("`{written}` has its characters in an order that no edited number has"));
    }
    let signed = ['+', '-', 'C', 'D'].into_iter().any(|symbol| count_of(symbol) > 0);
    let (mut digits, mut scale, mut behind, mut zeros) = (0usize, 0isize, false, 0usize);
    for &(symbol, count) in symbols {
        match symbol {
            '9' | 'Z' | '*' | '+' | '-' | '$' => {
                if !"9Z*".contains(symbol) && !floating.contains(&symbol) {
                    continue;
                }
                if zeros > 0 {
                    return Err(format!("`{written}`: `P` stands at the end"));
                }
                digits = digits.saturating_add(count);
                if behind {
                    scale = scale.saturating_add_unsigned(count);
                }
            }
            'P' if digits == 0 => return Err(format!("`{written}`: `P` stands at the end")),
            'P' if behind => return Err(misplaced_point(written)),
            'P' => zeros = zeros.saturating_add(count),
            '.' if zeros > 0 => return Err(misplaced_point(written)),
            '.' | 'V' => behind = true,
            _ => {}
        }
    }
    digits = digits.saturating_sub(floating.len());
    if digits == 0 {
        return Err(format!("`{written}` has no digits"));
    }
    if zeros > 0 {
        scale = 0isize.saturating_sub_unsigned(zeros);
    }
    bounded(digits, zeros, scale, written).map(|(digits, scale)| Category::Edited { digits, scale, signed })
}

fn bounded(digits: usize, zeros: usize, scale: isize, written: &str) -> Result<(u8, i8), String> {
    let too_long = || format!("`{written}` has more than {MAX_DIGITS} digits");
    if digits.saturating_add(zeros) > MAX_DIGITS {
        return Err(too_long());
    }
    match (u8::try_from(digits), i8::try_from(scale)) {
        (Ok(digits), Ok(scale)) => Ok((digits, scale)),
        _ => Err(too_long()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Category, Dialect, Picture};

    fn parse(written: &str) -> Result<Picture, String> {
        Picture::parse(written, &Dialect::default())
    }

    fn numeric(written: &str) -> (u8, i8, bool, usize) {
        let picture = parse(written).unwrap();
        match picture.category {
            Category::Numeric { digits, scale, signed } => (digits, scale, signed, picture.size),
            other => panic!("{written}: {other:?}"),
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(numeric("9"), (1, 0, false, 1));
        assert_eq!(numeric("S9(9)V99"), (11, 2, true, 11));
        assert_eq!(numeric("s9(3)v9(2)"), (5, 2, true, 5));
        assert_eq!(numeric("9(3)PPP"), (3, -3, false, 3));
        assert_eq!(numeric("VPP99"), (2, 4, false, 2));
        assert_eq!(numeric("99PPV"), (2, -2, false, 2));
        assert_eq!(numeric("SP(2)9(3)"), (3, 5, true, 3));
        assert_eq!(numeric("9(38)"), (38, 0, false, 38));
    }

    #[test]
    fn texts_and_edited_numbers() {
        let check = |written: &str, category, size| {
            let picture = parse(written).unwrap();
            assert_eq!((picture.category, picture.size), (category, size), "{written}");
        };
        check("X(10)", Category::Text, 10);
        check("XX9(3)", Category::Text, 5);
        check("A(3)BX", Category::Text, 5);
        check("N(4)", Category::National, 4);
        check("G(4)BG", Category::DoubleByte, 6);
        check("U(5)", Category::Utf8, 5);
        check("Z(5)9.99", Category::Edited { digits: 8, scale: 2, signed: false }, 9);
        check("-(7)9.99", Category::Edited { digits: 9, scale: 2, signed: true }, 11);
        check("$$,$$9.99CR", Category::Edited { digits: 6, scale: 2, signed: true }, 11);
        check("9(4).9(2)", Category::Edited { digits: 6, scale: 2, signed: false }, 7);
        check("99/99/9999", Category::Edited { digits: 8, scale: 0, signed: false }, 10);
        check("+(4).++", Category::Edited { digits: 5, scale: 2, signed: true }, 7);
        check("+Z(3)", Category::Edited { digits: 3, scale: 0, signed: true }, 4);
        check("$Z(3).99-", Category::Edited { digits: 5, scale: 2, signed: true }, 8);
        check("+9.9(4)E+99", Category::External, 11);
        check("-9v9(9)E-99", Category::External, 15);
        check("+V9(3)E+99", Category::External, 8);
        check("+9(16).E-99", Category::External, 22);
        check("Z(3)PP", Category::Edited { digits: 3, scale: -2, signed: false }, 3);
        check("Z9PPV", Category::Edited { digits: 2, scale: -2, signed: false }, 2);
    }

    #[test]
    fn commas_and_currencies_of_other_countries() {
        let dialect = Dialect { decimal_comma: true, currency: 'F', ..Dialect::default() };
        let picture = Picture::parse("F(3).FF9,99", &dialect).unwrap();
        assert_eq!(picture.category, Category::Edited { digits: 7, scale: 2, signed: false });
        assert_eq!(picture.size, 10);
    }

    #[test]
    fn what_is_none_is_refused() {
        for wrong in [
            "",
            "9S",
            "SS9",
            "9V9V9",
            "X(",
            "X()",
            "X(0)",
            "(3)",
            "Q9",
            "9(39)",
            "SX",
            "V",
            "PPP",
            "9P9",
            "N9",
            "XG",
            "9.9E+99",
            "+9.9E99",
            "+9.9E+9",
            "+9.9E+999",
            "+.E+99",
            "+9.V9E+99",
            "+Z.9E+99",
            "+9(17)E+99",
            "E",
            "Z*9",
            // As GnuCOBOL has it, too.
            "PPV99",
            "PP99V",
            "SPPV9",
            "99VPP",
            "9V9P",
            "Z9.9PP",
            "Z9VPP",
            "Z9PP.9",
            "++--9",
            "Z.9.9",
            "X(99999999999)",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
