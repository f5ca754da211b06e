//! The clauses of an entry.

use super::entry::{Entry, OTHER_USAGES, OccursClause, Sign, USAGES, Usage};
use super::lexer::{Token, TokenKind};
use super::parser::{CLAUSES, Parser, is_clause, is_number};
use super::picture::Picture;
use crate::diagnostic::nearest;

impl Parser<'_> {
    /// Reads the clause that `token` begins; false when nothing more of the statement can be understood.
    pub(super) fn clause(&mut self, token: &Token, entry: &mut Entry) -> bool {
        let word = token.text.to_ascii_uppercase();
        match word.as_str() {
            _ if token.kind != TokenKind::Word => self.unknown(token),
            "PIC" | "PICTURE" => {
                self.once(token, "PICTURE", entry.picture.is_some());
                self.picture(entry)
            }
            "USAGE" | "GROUP-USAGE" => {
                self.accept(&["IS"]);
                match self.take() {
                    Some(usage) => self.usage(usage, entry),
                    None => false,
                }
            }
            "REDEFINES" => match self.peek().filter(|name| name.kind == TokenKind::Word && !is_clause(name)) {
                Some(name) => {
                    self.once(token, "REDEFINES", entry.redefines.is_some());
                    self.at += 1;
                    entry.redefines = Some((name.text.clone(), name.spot.clone()));
                    true
                }
                None => self.expected("the name of the item that is redefined"),
            },
            "RENAMES" => {
                self.once(token, "RENAMES", entry.renames.is_some());
                self.renames(entry)
            }
            "OCCURS" => {
                self.once(token, "OCCURS", entry.occurs.is_some());
                self.occurs(token, entry)
            }
            "SIGN" => {
                self.accept(&["IS"]);
                match self.peek() {
                    Some(next) if next.is("LEADING") || next.is("TRAILING") => {
                        self.at += 1;
                        self.sign(next, entry)
                    }
                    _ => self.expected("LEADING or TRAILING"),
                }
            }
            "LEADING" | "TRAILING" => self.sign(token, entry),
            "SYNC" | "SYNCHRONIZED" => {
                self.accept(&["LEFT", "RIGHT"]);
                self.once(token, "SYNCHRONIZED", entry.synchronized);
                entry.synchronized = true;
                true
            }
            "JUST" | "JUSTIFIED" => {
                self.accept(&["RIGHT"]);
                self.once(token, "JUSTIFIED", entry.justified);
                entry.justified = true;
                true
            }
            "BLANK" => {
                self.accept(&["WHEN"]);
                self.once(token, "BLANK WHEN ZERO", entry.blank_when_zero);
                entry.blank_when_zero = true;
                self.accept(&["ZERO", "ZEROS", "ZEROES"]) || self.expected("ZERO")
            }
            "VALUE" | "VALUES" => {
                self.once(token, "VALUE", std::mem::replace(&mut entry.valued, true));
                self.values().is_some()
            }
            // `name IS GLOBAL`.
            "IS" => true,
            "GLOBAL" | "EXTERNAL" | "VOLATILE" => true,
            _ => self.usage(token, entry),
        }
    }

    /// A fault where an entry has a clause that it had already: which one is meant nobody can know.
    fn once(&self, token: &Token, clause: &str, seen: bool) {
        if seen {
            self.push(token.spot.fault(format!("{clause} is given twice for this item")));
        }
    }

    pub(super) fn unknown(&self, token: &Token) -> bool {
        let words = CLAUSES.iter().copied().chain(USAGES.iter().map(|(name, _)| *name));
        let fault = token.spot.fault(format!("`{}` begins no clause that is known", token.text));
        self.push(match nearest(&token.text, words) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => {
                fault.help("known are PICTURE, USAGE, OCCURS, REDEFINES, SIGN, SYNC, JUSTIFIED, BLANK WHEN ZERO, VALUE")
            }
        });
        false
    }

    fn picture(&mut self, entry: &mut Entry) -> bool {
        self.accept(&["IS"]);
        let Some(token) = self.peek().filter(|token| token.kind == TokenKind::Word) else {
            return self.expected("a PICTURE like `X(10)` or `S9(7)V99`");
        };
        self.at += 1;
        match Picture::parse(&self.with_constants(&token.text), self.dialect) {
            Ok(picture) => entry.picture = Some((picture, token.spot.clone())),
            Err(message) => {
                self.push(token.spot.fault(message));
                // Text of one character stands in, so that the rest of the copybook is checked.
                entry.picture = Picture::parse("X", self.dialect).ok().map(|picture| (picture, token.spot.clone()));
            }
        }
        true
    }

    fn usage(&mut self, token: &Token, entry: &mut Entry) -> bool {
        if let Some((_, usage)) = USAGES.iter().find(|(name, _)| token.is(name)) {
            self.once(token, "USAGE", entry.usage.is_some());
            if matches!(usage, Usage::DecimalFloat { .. }) && !self.dialect.decimal_floats {
                let help = "GnuCOBOL knows it: say `dialect = \"gnu\"` if that wrote the file";
                let message = format!("USAGE {} is not known to this dialect", token.text.to_uppercase());
                self.push(token.spot.fault(message).help(help));
            }
            entry.usage = Some(match *usage {
                Usage::Integer { size, .. } if self.accept(&["UNSIGNED"]) => Usage::Integer { size, signed: false },
                Usage::Integer { size, signed } => {
                    self.accept(&["SIGNED"]);
                    Usage::Integer { size, signed }
                }
                Usage::Packed if token.is("PACKED-DECIMAL") && self.no_sign() => Usage::PackedUnsigned,
                Usage::Pointer if self.accept(&["TO"]) => {
                    self.at += 1;
                    Usage::Pointer
                }
                usage => usage,
            });
            return true;
        }
        if let Some(name) = OTHER_USAGES.iter().find(|name| token.is(name)) {
            let help = "its bytes depend on the machine or on the compiler's options: describe them as `PIC X(n)`, or as \
                        what they are on the machine that wrote the file";
            self.push(token.spot.fault(format!("USAGE {name} is not supported")).help(help));
            if token.is("OBJECT") {
                self.accept(&["REFERENCE"]);
            }
            return true;
        }
        self.unknown(token)
    }

    /// `WITH NO SIGN` of PACKED-DECIMAL.
    fn no_sign(&mut self) -> bool {
        let start = self.at;
        self.accept(&["WITH"]);
        if self.accept(&["NO"]) && self.accept(&["SIGN"]) {
            return true;
        }
        self.at = start;
        false
    }

    fn sign(&mut self, token: &Token, entry: &mut Entry) -> bool {
        self.once(token, "SIGN", entry.own_sign.is_some());
        entry.own_sign = Some(token.spot.clone());
        let separate = self.accept(&["SEPARATE"]);
        self.accept(&["CHARACTER"]);
        entry.sign = Some(Sign { leading: token.is("LEADING"), separate });
        true
    }

    fn renames(&mut self, entry: &mut Entry) -> bool {
        let Some(first) = self.path() else { return self.expected("the name of the first item that is renamed") };
        let mut last = first.clone();
        if self.accept(&["THRU", "THROUGH"]) {
            match self.path() {
                Some(path) => last = path,
                None => return self.expected("the name of the last item that is renamed"),
            }
        }
        entry.renames = Some((first, last));
        true
    }

    fn occurs(&mut self, clause: &Token, entry: &mut Entry) -> bool {
        let Some(first) = self.number() else { return self.expected("a number of occurrences") };
        let mut occurs = OccursClause { min: first, max: first, depending: None, spot: clause.spot.clone() };
        if self.accept(&["TO"]) {
            let Some(max) = self.number() else { return self.expected("the largest number of occurrences") };
            occurs.max = max;
        }
        self.accept(&["TIMES"]);
        loop {
            if self.accept(&["DEPENDING"]) {
                self.accept(&["ON"]);
                match self.path() {
                    Some(path) => occurs.depending = Some(path),
                    None => return self.expected("the name of the counter"),
                }
            } else if self.accept(&["ASCENDING", "DESCENDING"]) {
                self.accept(&["KEY"]);
                self.accept(&["IS"]);
                self.names();
            } else if self.accept(&["INDEXED"]) {
                self.accept(&["BY"]);
                self.names();
            } else {
                break;
            }
        }
        if occurs.depending.is_none() && occurs.min != occurs.max {
            let help = "say what counts them by DEPENDING ON, or say their number alone: `OCCURS 3`";
            let message = format!("OCCURS {} TO {} needs DEPENDING ON", occurs.min, occurs.max);
            self.push(clause.spot.fault(message).help(help));
        }
        if occurs.depending.is_none() {
            // Without a counter the table always has all its elements.
            occurs.min = occurs.max;
        } else if occurs.min == occurs.max {
            // `OCCURS 5 DEPENDING ON N`: none to five.
            occurs.min = 0;
        }
        if occurs.max == 0 || occurs.min > occurs.max {
            self.push(clause.spot.fault("the table can have no elements"));
        }
        entry.occurs = Some(occurs);
        true
    }

    fn number(&mut self) -> Option<usize> {
        let token = self.peek().filter(|token| token.kind == TokenKind::Word)?;
        let text = if is_number(token) { token.text.as_str() } else { self.constant_of(&token.text)? };
        let number = text.parse().ok()?;
        self.at += 1;
        Some(number)
    }

    /// Passes over names, which end with the next clause.
    fn names(&mut self) {
        const ENDS: &[&str] = &["ASCENDING", "DESCENDING", "INDEXED", "DEPENDING"];
        while let Some(token) = self.peek() {
            if token.kind != TokenKind::Word || is_clause(token) || token.is_one_of(ENDS) {
                return;
            }
            self.at += 1;
        }
    }
}
