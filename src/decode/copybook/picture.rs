//! PICTURE character-strings.

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
}

/// The most digits a number may have.
const MAX_DIGITS: usize = 38;
/// The most repetitions that are looked at: beyond any record.
const MAX_SIZE: usize = super::super::MAX_RECORD;

impl Picture {
    /// Reads a character-string; answers one sentence when it is none that is supported.
    pub(super) fn parse(written: &str) -> Result<Picture, String> {
        let text = written.to_ascii_uppercase();
        let symbols = expand(&text)?;
        let has = |wanted: &str| symbols.iter().any(|(symbol, _)| wanted.contains(*symbol));
        if has("NG") {
            return Err(format!("`{written}` describes double-byte characters, which are not supported yet"));
        }
        if has("E") || has("1") {
            return Err(format!("`{written}`: external floating point and boolean pictures are not supported yet"));
        }
        let category = if has("AX") {
            if has("SVPZ*+-$CD") {
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

/// The symbols with how often each stands in a row; CR and DB as `C` and `D`.
fn expand(text: &str) -> Result<Vec<(char, usize)>, String> {
    let mut symbols: Vec<(char, usize)> = Vec::new();
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        match char {
            'C' if rest.starts_with('R') => rest = &rest[1..],
            'D' if rest.starts_with('B') => rest = &rest[1..],
            'A' | 'X' | '9' | 'S' | 'V' | 'P' | 'Z' | '*' | '+' | '-' | '$' | '.' | ',' | 'B' | '/' | '0' | 'N'
            | 'G' | 'E' | '1' => {}
            '(' => return Err("`(` stands before any symbol".to_owned()),
            other => return Err(format!("`{other}` is no symbol of a PICTURE")),
        }
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
            Some((last, total)) if *last == char => *total = total.saturating_add(count),
            _ => symbols.push((char, count)),
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
                digits += count;
                if points > 0 {
                    scale += count as isize;
                }
            }
            'V' => points += count,
            'P' if digits == 0 => zeros_before += count,
            'P' => zeros_behind += count,
            _ => {}
        }
    }
    if digits == 0 || points > 1 || (zeros_before > 0 && zeros_behind > 0) {
        return Err(format!("`{written}` is no number: it needs digits (`9`) and at most one `V`"));
    }
    if zeros_before > 0 {
        // The point is assumed before the zeros.
        scale = (zeros_before + digits) as isize;
    }
    if zeros_behind > 0 {
        scale = -(zeros_behind as isize);
    }
    bounded(digits, zeros_before + zeros_behind, scale, written).map(|(digits, scale)| Category::Numeric {
        digits,
        scale,
        signed,
    })
}

fn edited(symbols: &[(char, usize)], written: &str) -> Result<Category, String> {
    if symbols.iter().any(|(symbol, _)| "SP".contains(*symbol)) {
        return Err(format!("`{written}`: `S` and `P` do not go with editing characters"));
    }
    let (mut digits, mut scale, mut behind) = (0usize, 0isize, false);
    let mut signed = false;
    for symbol in ['+', '-', '$'] {
        let count = symbols.iter().filter(|(other, _)| *other == symbol).map(|(_, count)| count).sum::<usize>();
        // The first of a floating string takes the sign, the others may be digits.
        digits += count.saturating_sub(1);
        signed |= count > 0 && symbol != '$';
    }
    for &(symbol, count) in symbols {
        match symbol {
            '9' | 'Z' | '*' => {
                digits += count;
                if behind {
                    scale += count as isize;
                }
            }
            '.' | 'V' => behind = true,
            'C' | 'D' => signed = true,
            _ => {}
        }
    }
    if digits == 0 {
        return Err(format!("`{written}` has no digits"));
    }
    bounded(digits, 0, scale, written).map(|(digits, scale)| Category::Edited { digits, scale, signed })
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
    use super::{Category, Picture};

    fn numeric(written: &str) -> (u8, i8, bool, usize) {
        let picture = Picture::parse(written).unwrap();
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
        assert_eq!(numeric("SP(2)9(3)"), (3, 5, true, 3));
        assert_eq!(numeric("9(38)"), (38, 0, false, 38));
    }

    #[test]
    fn texts_and_edited_numbers() {
        let check = |written: &str, category, size| {
            let picture = Picture::parse(written).unwrap();
            assert_eq!((picture.category, picture.size), (category, size), "{written}");
        };
        check("X(10)", Category::Text, 10);
        check("XX9(3)", Category::Text, 5);
        check("A(3)BX", Category::Text, 5);
        check("Z(5)9.99", Category::Edited { digits: 8, scale: 2, signed: false }, 9);
        check("-(7)9.99", Category::Edited { digits: 9, scale: 2, signed: true }, 11);
        check("$$,$$9.99CR", Category::Edited { digits: 6, scale: 2, signed: true }, 11);
        check("9(4).9(2)", Category::Edited { digits: 6, scale: 2, signed: false }, 7);
        check("99/99/9999", Category::Edited { digits: 8, scale: 0, signed: false }, 10);
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
            "N(4)",
            "X(99999999999)",
        ] {
            assert!(Picture::parse(wrong).is_err(), "{wrong}");
        }
    }
}
