//! Data description entries: a level number, a name, clauses, a period.

use std::ops::Range;
use std::sync::Arc;

use super::lexer::{Token, TokenKind};
use super::picture::Picture;
use crate::diagnostic::{Diagnostic, Faults, SourceText, nearest};

/// An entry of level 01 to 49 or 77. Those of level 88 describe no storage and those of level 66 no new one.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) level: u8,
    /// As written; `None` for FILLER.
    pub(super) name: Option<String>,
    /// The place of the name, or of the level number where there is none.
    pub(super) span: Range<usize>,
    pub(super) picture: Option<(Picture, Range<usize>)>,
    pub(super) usage: Option<Usage>,
    pub(super) sign: Option<Sign>,
    pub(super) occurs: Option<OccursClause>,
    pub(super) redefines: Option<(String, Range<usize>)>,
    pub(super) synchronized: bool,
    pub(super) blank_when_zero: bool,
    /// True when a fault of the entry itself was reported: what follows from it is not said again.
    pub(super) broken: bool,
}

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    Display,
    /// COMP, COMP-4, BINARY: high byte first, bounded by its picture.
    Binary,
    /// COMP-5: the machine's own byte order, bounded by its size.
    Native,
    /// COMP-1.
    Float,
    /// COMP-2.
    Double,
    /// COMP-3, PACKED-DECIMAL.
    Packed,
    /// COMP-6: packed without a sign.
    PackedUnsigned,
}

/// The SIGN clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sign {
    pub(super) leading: bool,
    pub(super) separate: bool,
}

/// The OCCURS clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OccursClause {
    pub(super) min: usize,
    pub(super) max: usize,
    /// The counter's name, qualified from the inside out, with its place.
    pub(super) depending: Option<(Vec<String>, Range<usize>)>,
    pub(super) span: Range<usize>,
}

const USAGES: &[(&str, Usage)] = &[
    ("DISPLAY", Usage::Display),
    ("BINARY", Usage::Binary),
    ("COMP", Usage::Binary),
    ("COMPUTATIONAL", Usage::Binary),
    ("COMP-4", Usage::Binary),
    ("COMPUTATIONAL-4", Usage::Binary),
    ("COMP-5", Usage::Native),
    ("COMPUTATIONAL-5", Usage::Native),
    ("COMP-1", Usage::Float),
    ("COMPUTATIONAL-1", Usage::Float),
    ("COMP-2", Usage::Double),
    ("COMPUTATIONAL-2", Usage::Double),
    ("COMP-3", Usage::Packed),
    ("COMPUTATIONAL-3", Usage::Packed),
    ("PACKED-DECIMAL", Usage::Packed),
    ("COMP-6", Usage::PackedUnsigned),
    ("COMPUTATIONAL-6", Usage::PackedUnsigned),
];

/// Usages that describe storage which no file can carry over to another machine, or that are not supported yet.
const OTHER_USAGES: &[&str] = &[
    "INDEX",
    "POINTER",
    "PROCEDURE-POINTER",
    "FUNCTION-POINTER",
    "OBJECT",
    "NATIONAL",
    "DISPLAY-1",
    "COMP-X",
    "COMPUTATIONAL-X",
    "COMP-N",
    "BINARY-CHAR",
    "BINARY-SHORT",
    "BINARY-LONG",
    "BINARY-DOUBLE",
    "FLOAT-SHORT",
    "FLOAT-LONG",
    "UTF-8",
];

/// Words that begin a clause.
const CLAUSES: &[&str] = &[
    "PIC",
    "PICTURE",
    "USAGE",
    "REDEFINES",
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

pub(super) fn entries(tokens: &[Token], source: &Arc<SourceText>, faults: &Faults) -> Vec<Entry> {
    let mut parser = Parser { tokens, at: 0, source, faults };
    let mut entries = Vec::new();
    while let Some(token) = parser.peek() {
        if token.kind == TokenKind::Period || LISTING.iter().any(|word| token.is(word)) {
            parser.at += 1;
        } else if let Some(entry) = parser.entry() {
            entries.push(entry);
        }
    }
    entries
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    source: &'a Arc<SourceText>,
    faults: &'a Faults,
}

fn is_clause(token: &Token) -> bool {
    let known = CLAUSES.iter().chain(OTHER_USAGES).chain(USAGES.iter().map(|(name, _)| name));
    token.kind == TokenKind::Word && known.into_iter().any(|word| token.is(word))
}

fn is_number(token: &Token) -> bool {
    token.kind == TokenKind::Word && token.text.bytes().all(|byte| byte.is_ascii_digit())
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn take(&mut self) -> Option<&'a Token> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    /// Takes the next token when it is one of these words.
    fn accept(&mut self, words: &[&str]) -> bool {
        let found = self.peek().is_some_and(|token| words.iter().any(|word| token.is(word)));
        self.at += usize::from(found);
        found
    }

    fn fault(&self, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.source, span, message)
    }

    /// The place of the next token, or of the last one at the end.
    fn here(&self) -> Range<usize> {
        let token = self.peek().or(self.tokens.last());
        token.map_or(0..0, |token| token.span.clone())
    }

    fn skip_statement(&mut self) {
        while let Some(token) = self.take() {
            if token.kind == TokenKind::Period {
                return;
            }
        }
    }

    /// Reads one entry up to and including its period; `None` for levels without storage and after a fault.
    fn entry(&mut self) -> Option<Entry> {
        let level_token = self.take()?;
        let level = match level_token.text.parse::<u8>() {
            Ok(level) if is_number(level_token) => level,
            _ => return self.no_entry(level_token),
        };
        match level {
            1..=49 | 77 => {}
            66 | 88 => {
                self.skip_statement();
                return None;
            }
            _ => {
                let message = format!("`{level:02}` is no level number");
                let help = "levels are 01 to 49, 66, 77 and 88";
                self.faults.push(self.fault(level_token.span.clone(), message).help(help));
                self.skip_statement();
                return None;
            }
        }
        let mut entry = Entry { level, span: level_token.span.clone(), ..Entry::default() };
        if let Some(token) = self.peek()
            && token.kind == TokenKind::Word
            && !is_clause(token)
        {
            self.at += 1;
            self.name(token, &mut entry);
        }
        loop {
            let Some(token) = self.peek() else {
                self.faults.push(self.fault(self.here(), "the last entry has no period at its end"));
                return Some(entry);
            };
            if token.kind == TokenKind::Period {
                self.at += 1;
                return Some(entry);
            }
            if is_number(token) {
                let help = "end the entry before it with a period";
                self.faults
                    .push(self.fault(token.span.clone(), "an entry begins before the last one ended").help(help));
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

    fn no_entry(&mut self, token: &Token) -> Option<Entry> {
        let word = &token.text;
        let fault = self.fault(token.span.clone(), format!("expected a level number, found `{word}`"));
        let help = if token.is("COPY") || token.is("REPLACE") || token.is("EXEC") {
            "COPY, REPLACE and EXEC are not carried out: put the text that they stand for in their place"
        } else if token.is("FD") || token.is("SD") || token.is("DATA") || token.is("WORKING-STORAGE") {
            "a copybook holds data description entries only: leave out the FD and the headers of sections"
        } else {
            "an entry is a level number, a name, clauses and a period, like `05 ORD-NO PIC X(10).`"
        };
        self.faults.push(fault.help(help));
        self.skip_statement();
        None
    }

    fn name(&mut self, token: &Token, entry: &mut Entry) {
        entry.span = token.span.clone();
        if token.is("FILLER") {
            return;
        }
        if token.text.contains(':') {
            let help = "replace the tag by the prefix that the program uses, as its COPY ... REPLACING does";
            self.faults.push(self.fault(token.span.clone(), format!("`{}` has a tag", token.text)).help(help));
        } else if !token.text.chars().all(|char| char.is_alphanumeric() || matches!(char, '-' | '_' | '#' | '@' | '$'))
        {
            self.faults.push(self.fault(token.span.clone(), format!("`{}` is no name", token.text)));
        }
        entry.name = Some(token.text.clone());
    }

    /// Reads the clause that `token` begins; false when nothing more of the statement can be understood.
    fn clause(&mut self, token: &Token, entry: &mut Entry) -> bool {
        let word = token.text.to_ascii_uppercase();
        match word.as_str() {
            _ if token.kind != TokenKind::Word => self.unknown(token),
            "PIC" | "PICTURE" => self.picture(entry),
            "USAGE" => {
                self.accept(&["IS"]);
                match self.take() {
                    Some(usage) => self.usage(usage, entry),
                    None => false,
                }
            }
            "REDEFINES" => match self.take() {
                Some(name) if name.kind == TokenKind::Word => {
                    entry.redefines = Some((name.text.clone(), name.span.clone()));
                    true
                }
                _ => self.expected("the name of the item that is redefined"),
            },
            "OCCURS" => self.occurs(token, entry),
            "SIGN" => {
                self.accept(&["IS"]);
                match self.take() {
                    Some(next) if next.is("LEADING") || next.is("TRAILING") => self.sign(next, entry),
                    _ => self.expected("LEADING or TRAILING"),
                }
            }
            "LEADING" | "TRAILING" => self.sign(token, entry),
            "SYNC" | "SYNCHRONIZED" => {
                self.accept(&["LEFT", "RIGHT"]);
                entry.synchronized = true;
                true
            }
            "JUST" | "JUSTIFIED" => {
                // Blanks at the start of a text are padding anyway.
                self.accept(&["RIGHT"]);
                true
            }
            "BLANK" => {
                self.accept(&["WHEN"]);
                entry.blank_when_zero = true;
                self.accept(&["ZERO", "ZEROS", "ZEROES"]) || self.expected("ZERO")
            }
            "VALUE" | "VALUES" => self.value(),
            "IS" => true,
            "GLOBAL" | "EXTERNAL" | "VOLATILE" => true,
            _ => self.usage(token, entry),
        }
    }

    fn expected(&mut self, what: &str) -> bool {
        // The token at fault was taken already.
        self.at = self.at.saturating_sub(1);
        self.faults.push(self.fault(self.here(), format!("expected {what}")));
        false
    }

    fn unknown(&self, token: &Token) -> bool {
        let words = CLAUSES.iter().copied().chain(USAGES.iter().map(|(name, _)| *name));
        let fault = self.fault(token.span.clone(), format!("`{}` begins no clause that is known", token.text));
        self.faults.push(match nearest(&token.text, words) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => {
                fault.help("known are PICTURE, USAGE, OCCURS, REDEFINES, SIGN, SYNC, JUSTIFIED, BLANK WHEN ZERO, VALUE")
            }
        });
        false
    }

    fn picture(&mut self, entry: &mut Entry) -> bool {
        self.accept(&["IS"]);
        let Some(token) = self.take().filter(|token| token.kind == TokenKind::Word) else {
            return self.expected("a PICTURE like `X(10)` or `S9(7)V99`");
        };
        match Picture::parse(&token.text) {
            Ok(picture) => entry.picture = Some((picture, token.span.clone())),
            Err(message) => {
                self.faults.push(self.fault(token.span.clone(), message));
                // Text of one character stands in, so that the rest of the copybook is checked.
                entry.picture = Picture::parse("X").ok().map(|picture| (picture, token.span.clone()));
            }
        }
        true
    }

    fn usage(&mut self, token: &Token, entry: &mut Entry) -> bool {
        if let Some((_, usage)) = USAGES.iter().find(|(name, _)| token.is(name)) {
            entry.usage = Some(*usage);
            return true;
        }
        if let Some(name) = OTHER_USAGES.iter().find(|name| token.is(name)) {
            self.faults.push(self.fault(token.span.clone(), format!("USAGE {name} is not supported yet")));
            return true;
        }
        self.unknown(token)
    }

    fn sign(&mut self, token: &Token, entry: &mut Entry) -> bool {
        let separate = self.accept(&["SEPARATE"]);
        self.accept(&["CHARACTER"]);
        entry.sign = Some(Sign { leading: token.is("LEADING"), separate });
        true
    }

    fn occurs(&mut self, clause: &Token, entry: &mut Entry) -> bool {
        let Some(first) = self.number() else { return self.expected("a number of occurrences") };
        let mut occurs = OccursClause { min: first, max: first, depending: None, span: clause.span.clone() };
        if self.accept(&["TO"]) {
            let Some(max) = self.number() else { return self.expected("the largest number of occurrences") };
            occurs.max = max;
        }
        self.accept(&["TIMES"]);
        loop {
            if self.accept(&["DEPENDING"]) {
                self.accept(&["ON"]);
                let span = self.here();
                let mut path = Vec::new();
                loop {
                    match self.take() {
                        Some(name) if name.kind == TokenKind::Word => path.push(name.text.clone()),
                        _ => return self.expected("the name of the counter"),
                    }
                    if !self.accept(&["OF", "IN"]) {
                        break;
                    }
                }
                occurs.depending = Some((path, span));
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
        if occurs.depending.is_none() {
            if occurs.min != occurs.max {
                // Without a counter the table always has all its elements.
                occurs.min = occurs.max;
            }
        } else if occurs.min == occurs.max {
            // `OCCURS 5 DEPENDING ON N`: none to five.
            occurs.min = 0;
        }
        if occurs.max == 0 || occurs.min > occurs.max {
            self.faults.push(self.fault(clause.span.clone(), "the table can have no elements"));
        }
        entry.occurs = Some(occurs);
        true
    }

    fn number(&mut self) -> Option<usize> {
        let token = self.take()?;
        if is_number(token) { token.text.parse().ok() } else { None }
    }

    /// Passes over names, which end with the next clause.
    fn names(&mut self) {
        const ENDS: &[&str] = &["ASCENDING", "DESCENDING", "INDEXED", "DEPENDING"];
        while let Some(token) = self.peek() {
            let ends = token.kind != TokenKind::Word || is_clause(token) || ENDS.iter().any(|word| token.is(word));
            if ends {
                return;
            }
            self.at += 1;
        }
    }

    /// Passes over the values of a VALUE clause: they say what a program starts with, not what a file holds.
    fn value(&mut self) -> bool {
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
            "ALL",
            "THRU",
            "THROUGH",
            "IS",
            "ARE",
            "X",
            "N",
            "G",
            "Z",
            "H",
            "NX",
        ];
        while let Some(token) = self.peek() {
            let unsigned = token.text.trim_start_matches(['+', '-']);
            let is_value = match token.kind {
                TokenKind::Period => return true,
                TokenKind::Literal => true,
                TokenKind::Word if is_clause(token) => return true,
                TokenKind::Word => {
                    FIGURATIVE.iter().any(|word| token.is(word))
                        || (unsigned.chars().all(|char| char.is_ascii_digit() || matches!(char, '.' | ',' | 'E' | 'e'))
                            && unsigned.contains(|char: char| char.is_ascii_digit()))
                }
            };
            if !is_value {
                return self.unknown(token);
            }
            self.at += 1;
        }
        true
    }
}
