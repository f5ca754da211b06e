//! The regular expressions of XML Schema (part 2, appendix F) in the words of the `regex` crate. They always match the
//! whole text; `^` and `$` are ordinary characters; `\i` and `\c` are the characters of names; a class may subtract
//! another.

/// Longer patterns are not checked.
const MAX_PATTERN: usize = 4096;
/// The first character of a name, and any (XML 1.0).
const INITIAL: &str = r":A-Z_a-z\u{C0}-\u{D6}\u{D8}-\u{F6}\u{F8}-\u{2FF}\u{370}-\u{37D}\u{37F}-\u{1FFF}\u{200C}-\u{200D}\u{2070}-\u{218F}\u{2C00}-\u{2FEF}\u{3001}-\u{D7FF}\u{F900}-\u{FDCF}\u{FDF0}-\u{FFFD}\u{10000}-\u{EFFFF}";
const FURTHER: &str = r"\-.0-9\u{B7}\u{300}-\u{36F}\u{203F}-\u{2040}";

/// The same pattern for the `regex` crate, or why there is none.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    if pattern.len() > MAX_PATTERN {
        return Err("it is too long".to_owned());
    }
    let mut parser = Parser { rest: pattern.chars().peekable(), out: String::from(r"^(?:"), depth: 0 };
    parser.outside()?;
    parser.out.push_str(r")$");
    Ok(parser.out)
}

struct Parser<'p> {
    rest: std::iter::Peekable<std::str::Chars<'p>>,
    out: String,
    depth: usize,
}

impl Parser<'_> {
    fn outside(&mut self) -> Result<(), String> {
        while let Some(char) = self.rest.next() {
            match char {
                '[' => self.class()?,
                '\\' => self.escape(false)?,
                '^' | '$' => {
                    self.out.push('\\');
                    self.out.push(char);
                }
                // XML Schema knows no groups that are not numbered, no lazy repetition and no flags.
                '(' if self.rest.peek() == Some(&'?') => return Err("`(?` is not of XML Schema".to_owned()),
                '?' | '*' | '+' | '}' if self.rest.peek() == Some(&'?') => {
                    return Err(format!("`{char}?` is not of XML Schema"));
                }
                '{' => {
                    self.out.push('{');
                    // `{,5}` is said by some; it means from none.
                    if self.rest.peek() == Some(&',') {
                        self.out.push('0');
                    }
                }
                // Any but a line's end.
                '.' => self.out.push_str(r"[^\n\r]"),
                _ => self.out.push(char),
            }
        }
        Ok(())
    }

    /// A class, from behind its bracket on.
    fn class(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > 20 {
            return Err("its classes lie too deep".to_owned());
        }
        let start = self.out.len();
        self.out.push('[');
        if self.rest.peek() == Some(&'^') {
            self.rest.next();
            self.out.push('^');
        }
        let mut is_first = true;
        while let Some(char) = self.rest.next() {
            match char {
                ']' if !is_first => {
                    self.out.push(']');
                    self.depth -= 1;
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '-' if self.rest.peek() == Some(&'[') => {
                    self.rest.next();
                    // What is subtracted is subtracted from all before it, a `^` included.
                    self.out.insert(start, '[');
                    self.out.push_str("]--");
                    self.class()?;
                }
                '-' if is_first || self.rest.peek() == Some(&']') => self.out.push_str(r"\-"),
                '-' => self.out.push('-'),
                // What means something in a class of the crate and nothing here.
                '[' | ']' | '&' | '~' | '^' => {
                    self.out.push('\\');
                    self.out.push(char);
                }
                char => self.out.push(char),
            }
            is_first = false;
        }
        Err("a class does not end".to_owned())
    }

    fn escape(&mut self, in_class: bool) -> Result<(), String> {
        let char = self.rest.next().ok_or("it ends with a backslash")?;
        let wrapped = |parser: &mut Self, inside: &str, negated: bool| {
            let caret = if negated { "^" } else { "" };
            if in_class && !negated {
                parser.out.push_str(inside);
            } else {
                parser.out.push_str(&format!("[{caret}{inside}]"));
            }
        };
        match char {
            'i' | 'I' => wrapped(self, INITIAL, char == 'I'),
            'c' | 'C' => wrapped(self, &format!("{INITIAL}{FURTHER}"), char == 'C'),
            's' | 'S' => wrapped(self, r" \t\n\r", char == 'S'),
            'd' | 'D' => self.out.push_str(if char == 'd' { r"\p{Nd}" } else { r"\P{Nd}" }),
            'w' | 'W' => wrapped(self, r"\p{P}\p{Z}\p{C}", char == 'w'),
            'p' | 'P' => self.property(char)?,
            'n' | 'r' | 't' => {
                self.out.push('\\');
                self.out.push(char);
            }
            // Letters of other dialects.
            char if char.is_ascii_alphanumeric() => return Err(format!("`\\{char}` is not of XML Schema")),
            char if char.is_ascii() => {
                self.out.push('\\');
                self.out.push(char);
            }
            char => self.out.push(char),
        }
        Ok(())
    }

    /// `\p{L}`; blocks (`\p{IsBasicLatin}`) are known as far as they are used.
    fn property(&mut self, letter: char) -> Result<(), String> {
        let mut name = String::new();
        if self.rest.next() != Some('{') {
            return Err(format!("`\\{letter}` stands alone"));
        }
        loop {
            match self.rest.next() {
                Some('}') => break,
                Some(char) if name.len() < 64 => name.push(char),
                _ => return Err(format!("`\\{letter}{{` does not end")),
            }
        }
        let caret = if letter == 'P' { "^" } else { "" };
        let block = match name.strip_prefix("Is") {
            None => {
                self.out.push_str(&format!(r"\{letter}{{{name}}}"));
                return Ok(());
            }
            Some("BasicLatin") => r"\u{0}-\u{7F}",
            Some("Latin-1Supplement") => r"\u{80}-\u{FF}",
            Some("LatinExtended-A") => r"\u{100}-\u{17F}",
            Some("LatinExtended-B") => r"\u{180}-\u{24F}",
            Some("Greek" | "GreekandCoptic") => r"\u{370}-\u{3FF}",
            Some("Cyrillic") => r"\u{400}-\u{4FF}",
            Some("Hebrew") => r"\u{590}-\u{5FF}",
            Some("Arabic") => r"\u{600}-\u{6FF}",
            Some("Hiragana") => r"\u{3040}-\u{309F}",
            Some("Katakana") => r"\u{30A0}-\u{30FF}",
            Some("CJKUnifiedIdeographs") => r"\u{4E00}-\u{9FFF}",
            Some(other) => return Err(format!("the block `{other}` is not known")),
        };
        self.out.push_str(&format!("[{caret}{block}]"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::translate;

    /// Which of the texts fit. What is right was taken from the recommendation, and asked of libxml2.
    #[track_caller]
    fn check(pattern: &str, fit: &[&str], others: &[&str]) {
        let regex = Regex::new(&translate(pattern).unwrap()).unwrap();
        for text in fit {
            assert!(regex.is_match(text), "{pattern} fits {text}");
        }
        for text in others {
            assert!(!regex.is_match(text), "{pattern} does not fit {text}");
        }
    }

    #[test]
    fn patterns_of_schemas() {
        check("[A-Z]{2}\\d{3}", &["AB123"], &["AB1234", "xAB123", "AB12"]);
        check("a|bc", &["a", "bc"], &["ac", "abc", "b"]);
        check("[a-z-[aeiou]]+", &["xyz"], &["xaz", ""]);
        check("[^a-z-[A-Z]]", &["1"], &["a", "A"]);
        check("\\i\\c*", &["_a-1", "ns:b", "\u{e4}x"], &["1a", "-", ""]);
        check("[\\i-[:]][\\c-[:]]*", &["abc"], &["a:b"]);
        check("^a$", &["^a$"], &["a"]);
        check("a.b", &["axb"], &["a\nb"]);
        check("\\p{L}+\\p{IsBasicLatin}", &["\u{e4}!"], &["!!"]);
        check("[+\\-]?[0-9.,]+", &["-1.5", "2,5"], &["a"]);
        check("[-a]", &["-", "a"], &["b"]);
        check("[a&&b~^]", &["&", "~", "^", "a"], &["c"]);
        check("\\w\\W\\s\\S", &["a! b"], &["!a b"]);
        check("x{,2}", &["", "xx"], &["xxx"]);
        check("\\d{4}-(0[1-9]|1[0-2])", &["2026-11"], &["2026-13"]);
        check("", &[""], &["a"]);
    }

    #[test]
    fn what_is_not_of_schemas_is_said() {
        for (pattern, word) in [
            ("(?i)a", "(?"),
            ("a*?", "*?"),
            ("\\bword\\b", "\\b"),
            ("[a", "end"),
            ("\\", "backslash"),
            ("\\p{IsKlingon}", "Klingon"),
        ] {
            let fault = translate(pattern).unwrap_err();
            assert!(fault.contains(word), "{pattern}: {fault}");
        }
    }
}
