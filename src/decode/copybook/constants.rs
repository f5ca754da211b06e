//! Constants: level 78, and entries of level 01 with CONSTANT (ISO/IEC 1989:2014 §13.10). They take no room; their names
//! stand for numbers in OCCURS and in pictures, and for values.

use super::lexer::{Token, TokenKind};
use super::parser::{Parser, is_clause, is_number};

impl Parser<'_> {
    /// `78 NAME VALUE literal`, whose level number was taken.
    pub(super) fn level_78(&mut self, level: &Token) {
        let name = self.take().filter(|token| token.kind == TokenKind::Word && !is_clause(token));
        let Some(name) = name else {
            self.push(level.spot.fault("level 78 needs a name"));
            return self.skip_statement();
        };
        self.check_name(name);
        if !self.accept(&["VALUE", "VALUES"]) {
            self.expected("VALUE");
            return self.skip_statement();
        }
        self.accept(&["IS"]);
        self.constant(name);
    }

    /// `01 NAME CONSTANT AS literal`, up to and including CONSTANT taken.
    pub(super) fn constant_entry(&mut self, name: &Token) {
        self.accept(&["IS"]);
        self.accept(&["GLOBAL"]);
        self.accept(&["AS"]);
        self.constant(name);
    }

    /// The value of a constant, and its period.
    fn constant(&mut self, name: &Token) {
        let value = match self.take() {
            Some(token) if is_number(token) || token.kind == TokenKind::Literal => Some(token.text.clone()),
            Some(token) if token.kind == TokenKind::Word => self.constant_of(&token.text).map(str::to_owned),
            _ => None,
        };
        let ends = self.peek().is_none_or(|token| token.kind == TokenKind::Period);
        match value.filter(|_| ends) {
            Some(value) => {
                self.constants.insert(name.text.to_uppercase(), value);
                self.at += 1;
            }
            None => {
                let help = "what it is computed from is not carried out: write the number or the literal itself";
                self.push(name.spot.fault(format!("the value of `{}` is no single literal", name.text)).help(help));
                self.skip_statement();
            }
        }
    }

    /// What the constant of a name stands for.
    pub(super) fn constant_of(&self, name: &str) -> Option<&str> {
        self.constants.get(&name.to_uppercase()).map(String::as_str)
    }

    /// A picture with the numbers that constants in its brackets stand for.
    pub(super) fn with_constants(&self, picture: &str) -> String {
        let mut text = String::with_capacity(picture.len());
        let mut rest = picture;
        while let Some((before, behind)) = rest.split_once('(') {
            let (name, after) = behind.split_once(')').unwrap_or((behind, ""));
            let closed = behind.len() > name.len();
            text.push_str(before);
            text.push('(');
            text.push_str(self.constant_of(name.trim()).unwrap_or(name));
            text.push_str(if closed { ")" } else { "" });
            rest = after;
        }
        text.push_str(rest);
        text
    }
}
