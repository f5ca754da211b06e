//! Words, literals and periods. The character-string of a PICTURE is one word, whatever stands in it.

use std::ops::Range;
use std::sync::Arc;

use super::source::Text;
use crate::diagnostic::{Diagnostic, Faults, SourceText};

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// As written; a literal with its quotes.
    pub(super) text: String,
    /// Its place in the source.
    pub(super) span: Range<usize>,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Word,
    Literal,
    Period,
}

impl Token {
    /// True for this word in any case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }
}

pub(super) fn tokens(text: &Text, source: &Arc<SourceText>, faults: &Faults) -> Vec<Token> {
    let chars = &text.chars;
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(&char) = chars.get(at) {
        let ends_here = |index: usize| chars.get(index).is_none_or(|char| char.is_whitespace());
        let (kind, end) = match char {
            _ if char.is_whitespace() || matches!(char, ',' | ';') => {
                at += 1;
                continue;
            }
            '.' if !picture_follows(&tokens) => (TokenKind::Period, at + 1),
            '"' | '\'' => match literal_end(chars, at) {
                Some(end) => (TokenKind::Literal, end),
                None => {
                    let from = text.origins[at];
                    faults.push(Diagnostic::new(source, from..from + 1, "the literal is not closed"));
                    break;
                }
            },
            _ => {
                let is_picture = picture_follows(&tokens);
                let mut end = at;
                while !ends_here(end) {
                    let stops = match chars[end] {
                        '.' | ',' | ';' => ends_here(end + 1),
                        '"' | '\'' => !is_picture,
                        _ => false,
                    };
                    if stops {
                        break;
                    }
                    end += 1;
                }
                (TokenKind::Word, end.max(at + 1))
            }
        };
        let last = text.origins[end - 1] + chars[end - 1].len_utf8();
        tokens.push(Token { kind, text: chars[at..end].iter().collect(), span: text.origins[at]..last });
        at = end;
    }
    tokens
}

/// True when the next word is the character-string of a PICTURE.
fn picture_follows(tokens: &[Token]) -> bool {
    let is_picture = |token: &Token| token.is("PIC") || token.is("PICTURE");
    match tokens {
        [.., before, last] if last.is("IS") => is_picture(before),
        [.., last] => is_picture(last),
        [] => false,
    }
}

/// The offset behind the literal that begins at `at`; a doubled quote does not end it.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let quote = *chars.get(at)?;
    let mut end = at + 1;
    loop {
        let char = *chars.get(end)?;
        match char {
            '\n' => return None,
            _ if char == quote && chars.get(end + 1) == Some(&quote) => end += 2,
            _ if char == quote => return Some(end + 1),
            _ => end += 1,
        }
    }
}
