//! Words, literals, pseudo-text and periods. The character-string of a PICTURE is one word, whatever stands in it.

use std::sync::Arc;

use super::Spot;
use super::source::Text;
use crate::diagnostic::{Faults, SourceText};

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// As written; a literal with its quotes, pseudo-text without its delimiters.
    pub(super) text: String,
    /// Its place in the source.
    pub(super) spot: Spot,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Word,
    Literal,
    /// What stands between `==` and `==`.
    Pseudo,
    Period,
}

impl Token {
    /// True for this word in any case.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// True for one of these words in any case.
    pub(super) fn is_one_of(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }
}

/// The tokens of a source's text.
pub(super) fn tokens(text: &Text, source: &Arc<SourceText>, faults: &Faults) -> Vec<Token> {
    let mut tokens = Vec::new();
    let spot = |from: usize, to: usize| {
        let last = text.origins[to - 1] + text.chars[to - 1].len_utf8();
        // A word that goes on in the next line has everything between its parts.
        Spot { source: Arc::clone(source), span: text.origins[from]..last.max(text.origins[from]) }
    };
    push_tokens(&text.chars, &spot, &mut tokens, faults);
    tokens
}

/// The tokens of a text that stands in the place of another.
pub(super) fn push_text(text: &str, spot: &Spot, tokens: &mut Vec<Token>, faults: &Faults) {
    let chars: Vec<char> = text.chars().collect();
    push_tokens(&chars, &|_, _| spot.clone(), tokens, faults);
}

/// Appends the tokens of `chars`; `spot` answers where a range of them comes from. What stands before in `tokens` tells
/// whether a picture is due.
fn push_tokens(chars: &[char], spot: &dyn Fn(usize, usize) -> Spot, tokens: &mut Vec<Token>, faults: &Faults) {
    let mut at = 0;
    while let Some(&char) = chars.get(at) {
        let ends_here = |index: usize| chars.get(index).is_none_or(|char| char.is_whitespace());
        let (kind, end) = match char {
            _ if char.is_whitespace() || matches!(char, ',' | ';') => {
                at += 1;
                continue;
            }
            '.' if !picture_follows(tokens) => (TokenKind::Period, at + 1),
            '"' | '\'' => match literal_end(chars, at) {
                Some(end) => (TokenKind::Literal, end),
                None => {
                    faults.push(spot(at, at + 1).fault("the literal is not closed"));
                    break;
                }
            },
            '=' if chars.get(at + 1) == Some(&'=') => match pseudo_end(chars, at + 2) {
                Some(end) => {
                    let text = chars[at + 2..end - 2].iter().collect();
                    tokens.push(Token { kind: TokenKind::Pseudo, text, spot: spot(at, end) });
                    at = end;
                    continue;
                }
                None => {
                    faults.push(spot(at, at + 2).fault("the pseudo-text is not closed by `==`"));
                    break;
                }
            },
            '*' if starts_with(chars, at, "*CBL") || starts_with(chars, at, "*CONTROL") => {
                // A directive of the compiler's listing: it takes its line.
                at += chars[at..].iter().take_while(|char| **char != '\n').count();
                continue;
            }
            _ => {
                let is_picture = picture_follows(tokens);
                let mut end = at;
                while !ends_here(end) {
                    let stops = match chars[end] {
                        '.' | ',' | ';' => ends_here(end + 1),
                        '"' | '\'' => !is_picture,
                        '=' => !is_picture && chars.get(end + 1) == Some(&'='),
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
        tokens.push(Token { kind, text: chars[at..end].iter().collect(), spot: spot(at, end) });
        at = end;
    }
}

/// True when the next word is the character-string of a PICTURE.
pub(super) fn picture_follows(tokens: &[Token]) -> bool {
    let is_picture = |token: &Token| token.is("PIC") || token.is("PICTURE");
    match tokens {
        [.., before, last] if last.is("IS") => is_picture(before),
        [.., last] => is_picture(last),
        [] => false,
    }
}

fn starts_with(chars: &[char], at: usize, word: &str) -> bool {
    let behind = chars.get(at + word.len());
    word.chars().enumerate().all(|(index, char)| chars.get(at + index).is_some_and(|c| c.eq_ignore_ascii_case(&char)))
        && behind.is_none_or(|char| !char.is_alphanumeric() && *char != '-')
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

/// The offset behind the `==` that closes pseudo-text.
fn pseudo_end(chars: &[char], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match (chars.get(at)?, chars.get(at + 1)) {
            ('=', Some('=')) => return Some(at + 2),
            _ => at += 1,
        }
    }
}
