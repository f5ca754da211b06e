//! Data description entries: a level number, a name, clauses, a period.

use std::collections::HashMap;
use std::sync::Arc;

use super::copying::spot_of;
use super::entry::{Entry, OTHER_USAGES, Path, USAGES};
use super::lexer::{Token, TokenKind};
use super::{Dialect, Spot};
use crate::diagnostic::{Diagnostic, Faults, SourceText};

/// Words that begin a clause.
pub(super) const CLAUSES: &[&str] = &[
    "PIC",
    "PICTURE",
    "USAGE",
    "GROUP-USAGE",
    "REDEFINES",
    "RENAMES",
    "OCCURS",
    "SIGN",
    "LEADING",
    "TRAILING",
    "SYNC",
    "SYNCHRONIZED",
    "JUST",
    "JUSTIFIED",
    "BLANK",
    "VALUE",
    "VALUES",
    "GLOBAL",
    "EXTERNAL",
    "VOLATILE",
];

/// Statements of the compiler's listing, which say nothing of data.
const LISTING: &[&str] = &["EJECT", "SKIP1", "SKIP2", "SKIP3"];

/// The entries of a text. Those of level 88 go to the entry before them.
pub(super) fn entries(tokens: &[Token], source: &Arc<SourceText>, dialect: &Dialect, faults: &Faults) -> Vec<Entry> {
    let end = spot_of(tokens, source);
    let mut parser = Parser { tokens, at: 0, end, constants: HashMap::new(), dialect, faults };
    let mut entries: Vec<Entry> = Vec::new();
    while let Some(token) = parser.peek() {
        if token.kind == TokenKind::Period || token.is_one_of(LISTING) {
            parser.at += 1;
        } else if token.is("TITLE") {
            parser.at += 1;
            parser.literal();
        } else if token.text == "78" && is_number(token) {
            parser.at += 1;
            parser.level_78(token);
        } else if token.text == "88" && is_number(token) {
            parser.at += 1;
            let name = parser.value_name(token);
            match (entries.iter_mut().rev().find(|entry| entry.level != 66), name) {
                (Some(entry), Some(name)) => entry.values.push(name),
                (None, Some(_)) => faults.push(token.spot.fault("there is no item whose value this could name")),
                _ => {}
            }
        } else if let Some(entry) = parser.entry() {
            entries.push(entry);
        }
    }
    entries
}

pub(super) struct Parser<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
    /// The last word's place.
    end: Spot,
    /// Constants by name in upper case.
    pub(super) constants: HashMap<String, String>,
    pub(super) dialect: &'a Dialect,
    pub(super) faults: &'a Faults,
}

pub(super) fn is_clause(token: &Token) -> bool {
    let known = CLAUSES.iter().chain(OTHER_USAGES).chain(USAGES.iter().map(|(name, _)| name));
    token.kind == TokenKind::Word && known.into_iter().any(|word| token.is(word))
}

pub(super) fn is_number(token: &Token) -> bool {
    token.kind == TokenKind::Word && !token.text.is_empty() && token.text.bytes().all(|byte| byte.is_ascii_digit())
}

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn take(&mut self) -> Option<&'a Token> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    /// Takes the next token when it is one of these words.
    pub(super) fn accept(&mut self, words: &[&str]) -> bool {
        let found = self.peek().is_some_and(|token| token.is_one_of(words));
        self.at += usize::from(found);
        found
    }

    fn literal(&mut self) {
        self.at += usize::from(self.peek().is_some_and(|token| token.kind == TokenKind::Literal));
    }

    /// The place of the next token, or of the last one at the end.
    pub(super) fn here(&self) -> Spot {
        self.peek().map_or_else(|| self.end.clone(), |token| token.spot.clone())
    }

    pub(super) fn skip_statement(&mut self) {
        while let Some(token) = self.take() {
            if token.kind == TokenKind::Period {
                return;
            }
        }
    }

    pub(super) fn push(&self, fault: Diagnostic) {
        self.faults.push(fault);
    }

    /// Reads one entry up to and including its period; `None` after a fault that leaves nothing of it.
    fn entry(&mut self) -> Option<Entry> {
        let level_token = self.take()?;
        let level = match level_token.text.parse::<u8>() {
            Ok(level) if is_number(level_token) => level,
            _ => return self.no_entry(level_token),
        };
        if !matches!(level, 1..=49 | 66 | 77) {
            let message = format!("`{level:02}` is no level number");
            self.push(level_token.spot.fault(message).help("levels are 01 to 49, 66, 77, 78 and 88"));
            self.skip_statement();
            return None;
        }
        let mut entry = Entry::new(level, level_token.spot.clone());
        if let Some(token) = self.peek()
            && token.kind == TokenKind::Word
            && !is_clause(token)
        {
            self.at += 1;
            self.name(token, &mut entry);
            if level == 1 && self.accept(&["CONSTANT"]) {
                self.constant_entry(token);
                return None;
            }
        }
        loop {
            let Some(token) = self.peek() else {
                self.no_period();
                return Some(entry);
            };
            if token.kind == TokenKind::Period {
                self.at += 1;
                return self.complete(entry);
            }
            if is_number(token) {
                let help = "end the entry before it with a period";
                self.push(token.spot.fault("an entry begins before the last one ended").help(help));
                return Some(entry);
            }
            self.at += 1;
            let faults = self.faults.len();
            let understood = self.clause(token, &mut entry);
            entry.broken |= self.faults.len() > faults;
            if !understood {
                self.skip_statement();
                return Some(entry);
            }
        }
    }

    /// An entry that ended with its period.
    fn complete(&self, entry: Entry) -> Option<Entry> {
        if (entry.level == 66) != entry.renames.is_some() && !entry.broken {
            self.push(entry.spot.fault("level 66 is for RENAMES, and RENAMES for level 66"));
            return None;
        }
        Some(entry)
    }

    fn no_entry(&mut self, token: &Token) -> Option<Entry> {
        let fault = token.spot.fault(format!("expected a level number, found `{}`", token.text));
        let help = if token.is("EXEC") || token.text.starts_with("++") || token.is("-INC") {
            "only COPY is carried out: put the text that this stands for in its place, or copy it"
        } else if token.is_one_of(&["FD", "SD", "DATA", "FILE", "WORKING-STORAGE", "LINKAGE"]) {
            "a copybook holds data description entries only: leave out the FD and the headers of sections"
        } else {
            "an entry is a level number, a name, clauses and a period, like `05 ORD-NO PIC X(10).`"
        };
        self.push(fault.help(help));
        self.skip_statement();
        None
    }

    fn name(&mut self, token: &Token, entry: &mut Entry) {
        entry.spot = token.spot.clone();
        if token.is("FILLER") {
            return;
        }
        self.check_name(token);
        entry.name = Some(token.text.clone());
    }

    pub(super) fn check_name(&self, token: &Token) {
        if token.text.contains(':') {
            let help =
                "copy the text from another one with COPY ... REPLACING ==:TAG:== BY ==...==, as the program does";
            self.push(token.spot.fault(format!("`{}` has a tag", token.text)).help(help));
        } else if !token.text.chars().all(|char| char.is_alphanumeric() || matches!(char, '-' | '_' | '#' | '@' | '$'))
        {
            self.push(token.spot.fault(format!("`{}` is no name", token.text)));
        }
    }

    /// A name with what qualifies it.
    pub(super) fn path(&mut self) -> Option<Path> {
        let spot = self.here();
        let mut names = Vec::new();
        loop {
            let name = self.peek().filter(|token| token.kind == TokenKind::Word && !is_number(token))?;
            names.push(name.text.clone());
            self.at += 1;
            if !self.accept(&["OF", "IN"]) {
                return Some(Path { names, spot });
            }
        }
    }

    pub(super) fn no_period(&self) -> bool {
        self.push(self.here().fault("the last entry has no period at its end"));
        false
    }

    pub(super) fn expected(&mut self, what: &str) -> bool {
        self.push(self.here().fault(format!("expected {what}")));
        false
    }
}
