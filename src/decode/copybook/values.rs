//! VALUE clauses. What a program starts with is passed over: a file holds what it holds. The values that level 88 names
//! are kept for people to see.

use super::layout::ValueName;
use super::lexer::{Token, TokenKind};
use super::parser::{Parser, is_clause};

/// Words that stand for a value, or in front of one.
const FIGURATIVE: &[&str] = &[
    "ZERO",
    "ZEROS",
    "ZEROES",
    "SPACE",
    "SPACES",
    "HIGH-VALUE",
    "HIGH-VALUES",
    "LOW-VALUE",
    "LOW-VALUES",
    "QUOTE",
    "QUOTES",
    "NULL",
    "NULLS",
];
/// Prefixes of literals (`X'C1'`), and ALL.
const PREFIXES: &[&str] = &["ALL", "X", "N", "G", "Z", "H", "NX", "GX", "U", "UX", "B", "BX"];

impl Parser<'_> {
    /// A condition-name: level 88, whose number was taken.
    pub(super) fn value_name(&mut self, level: &Token) -> Option<ValueName> {
        let Some(name) = self.take().filter(|token| token.kind == TokenKind::Word && !is_clause(token)) else {
            self.push(level.spot.fault("level 88 needs a name"));
            self.skip_statement();
            return None;
        };
        self.check_name(name);
        if !self.accept(&["VALUE", "VALUES"]) {
            self.expected("VALUE");
            self.skip_statement();
            return None;
        }
        let Some(values) = self.values() else {
            self.skip_statement();
            return None;
        };
        match self.take() {
            Some(token) if token.kind == TokenKind::Period => {
                Some(ValueName { name: name.text.clone(), values: values.join(", ") })
            }
            Some(token) => {
                self.unknown(token);
                self.skip_statement();
                None
            }
            None => {
                self.no_period();
                None
            }
        }
    }

    /// The values of a VALUE clause as they are written, ranges as `A THRU B`; `None` after a fault.
    pub(super) fn values(&mut self) -> Option<Vec<String>> {
        self.accept(&["IS", "ARE"]);
        let mut values: Vec<String> = Vec::new();
        let mut open = String::new();
        while let Some(token) = self.peek() {
            if token.kind == TokenKind::Period || (token.kind == TokenKind::Word && is_clause(token)) {
                break;
            }
            if token.is_one_of(&["WHEN", "FALSE"]) {
                // `WHEN SET TO FALSE IS value` says what a program moves there.
                self.at += 1;
                self.accept(&["SET"]);
                self.accept(&["TO"]);
                self.accept(&["FALSE"]);
                self.values()?;
                break;
            }
            let unsigned = token.text.trim_start_matches(['+', '-']);
            let is_number = unsigned.chars().all(|char| char.is_ascii_digit() || matches!(char, '.' | ',' | 'E' | 'e'))
                && unsigned.contains(|char: char| char.is_ascii_digit());
            let is_range = token.is_one_of(&["THRU", "THROUGH"]);
            let is_prefix = token.is_one_of(PREFIXES);
            let constant = self.constant_of(&token.text).filter(|_| token.kind == TokenKind::Word).map(str::to_owned);
            let is_value =
                token.kind == TokenKind::Literal || token.is_one_of(FIGURATIVE) || is_number || constant.is_some();
            if !is_range && !is_prefix && !is_value {
                self.unknown(token);
                return None;
            }
            self.at += 1;
            if is_range {
                match values.pop() {
                    Some(first) if open.is_empty() => open = format!("{first} THRU "),
                    _ => {
                        self.push(token.spot.fault("no value stands before THRU"));
                        return None;
                    }
                }
            } else if is_prefix {
                open.push_str(&token.text);
                if token.is("ALL") {
                    open.push(' ');
                }
            } else {
                open.push_str(constant.as_deref().unwrap_or(&token.text));
                values.push(std::mem::take(&mut open));
            }
        }
        if values.is_empty() || !open.is_empty() {
            match self.peek() {
                Some(_) => self.expected("a value"),
                None => self.no_period(),
            };
            return None;
        }
        Some(values)
    }
}
