//! In which order the symbols of an edited number stand. What stands otherwise has no meaning that all compilers share.

use std::iter::Peekable;

/// What takes a place of its own, and stands anywhere among the digits.
const INSERTED: &str = "B0/,";

/// Whether these symbols (CR and DB as `C` and `D`) can be a number: a sign and the currency; digits that are suppressed or
/// over which the sign or the currency floats, then others; a point, and behind it more of either kind; and at the end zeros
/// up to the point (`P`), or the currency and a sign where none stands before.
pub(super) fn is_in_order(symbols: impl Iterator<Item = char>, floating: Option<char>) -> bool {
    let mut rest = Symbols(symbols.peekable());
    let sign_floats = floating.is_some_and(|symbol| symbol != '$');
    let has_sign = sign_floats || rest.take("+-");
    let has_currency = floating == Some('$') || rest.take("$");
    let soft = floating.map_or_else(|| "Z*".to_owned(), String::from);
    let mut has_digits = false;
    while let Some(symbol) = rest.of(&soft, "9") {
        if symbol != '9' && has_digits {
            return false;
        }
        has_digits |= symbol == '9';
    }
    if rest.take(".V") {
        // Suppressed or floating to the end, or not at all.
        let mut kind = has_digits.then_some('9');
        while let Some(symbol) = rest.of(&soft, "9") {
            if *kind.get_or_insert(symbol) != symbol {
                return false;
            }
        }
    }
    if rest.take("P") {
        rest.take("V");
        return rest.is_over();
    }
    if !has_currency && !sign_floats {
        rest.take("$");
    }
    if !has_sign {
        rest.take("+-CD");
    }
    rest.is_over()
}

struct Symbols<I: Iterator<Item = char>>(Peekable<I>);

impl<I: Iterator<Item = char>> Symbols<I> {
    /// Passes over the next symbol, if it is one of these.
    fn take(&mut self, wanted: &str) -> bool {
        self.0.next_if(|symbol| wanted.contains(*symbol)).is_some()
    }

    /// Takes the next digit of these kinds; what is inserted before it or behind the last one is passed over.
    fn of(&mut self, soft: &str, hard: &str) -> Option<char> {
        while self.take(INSERTED) {}
        self.0.next_if(|symbol| soft.contains(*symbol) || hard.contains(*symbol))
    }

    fn is_over(&mut self) -> bool {
        self.0.peek().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::is_in_order;

    #[test]
    fn orders_of_symbols() {
        let check = |written: &str, expected: bool| {
            let floating = ['+', '-', '$'].into_iter().find(|symbol| written.matches(*symbol).count() > 1);
            assert_eq!(is_in_order(written.chars(), floating), expected, "{written}");
        };
        for right in [
            "+ZZ,ZZ9.99",
            "$ZZ9.99-",
            "+$99.9",
            "$$,$$9.99C",
            "+$$$9.99",
            "-,---,--9.99",
            "$--9",
            "**,**9.99D",
            "Z.ZZ",
            "99/99/9999",
            "9B9",
            "Z9PV",
            "ZZP",
            "+++.++",
            "9$-",
            "9+",
            "V99-",
            ".99",
            "$,$$9",
        ] {
            check(right, true);
        }
        for wrong in [
            "9Z", "9*", "Z9Z", "Z.9Z", "9.Z", "C9", "9C9", "9-9", "+9-", "+9C", "$+9", "9+$", "B+9", "B$9", "$9$9",
            "+++9-", "9PB", "9P9", "Z9PP-", "$$+9", "9CD", "--9$",
        ] {
            check(wrong, false);
        }
    }
}
