//! REPLACING and REPLACE: words of a text give way to others (ISO/IEC 1989, text manipulation).
//!
//! A pattern is matched by words, without regard to case. One that is a single word also matches a part of a word,
//! where its ends are no letters or where other characters than letters lie beside it: `:TAG:` in `:TAG:-NAME`, `LEN` in
//! `X(LEN)`. LEADING and TRAILING match the start or the end of a word.

use super::Spot;
use super::lexer::{Token, TokenKind, push_text};
use crate::diagnostic::Faults;

/// A pattern and what stands in its place.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    place: Place,
    pattern: Vec<Token>,
    by: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Anywhere,
    Leading,
    Trailing,
}

/// The pairs `a BY b` of a statement.
pub(super) fn pairs(mut tokens: &[Token], spot: &Spot, faults: &Faults) -> Option<Vec<Replacement>> {
    let mut replacements = Vec::new();
    while let Some(first) = tokens.first() {
        let place = match first {
            word if word.is("LEADING") => Place::Leading,
            word if word.is("TRAILING") => Place::Trailing,
            _ => Place::Anywhere,
        };
        if place != Place::Anywhere {
            tokens = &tokens[1..];
        }
        let (pattern, rest) = operand(tokens);
        let (by, rest) = match rest {
            [by, rest @ ..] if by.is("BY") && !pattern.is_empty() => operand(rest),
            _ => {
                let found = rest.first().unwrap_or(first);
                faults.push(found.spot.fault(format!("expected `== == BY == ==`, found `{}`", found.text)));
                return None;
            }
        };
        if by.is_empty() {
            faults.push(first.spot.fault("nothing stands behind BY"));
            return None;
        }
        let mut words = Vec::new();
        push_text(&text_of(pattern), &first.spot, &mut words, faults);
        if words.is_empty() || (place != Place::Anywhere && words.len() != 1) {
            let what =
                if words.is_empty() { "the text to replace is empty" } else { "expected one word or a part of one" };
            faults.push(first.spot.fault(what));
            return None;
        }
        replacements.push(Replacement { place, pattern: words, by: text_of(by) });
        tokens = rest;
    }
    if replacements.is_empty() {
        faults.push(spot.fault("nothing is replaced"));
        return None;
    }
    Some(replacements)
}

/// Pseudo-text, a literal, or a name with what qualifies it; and what stands behind.
fn operand(tokens: &[Token]) -> (&[Token], &[Token]) {
    let mut length = usize::from(!tokens.is_empty());
    while let Some([of, _]) = tokens.get(length..length + 2)
        && of.is_one_of(&["OF", "IN"])
    {
        length += 2;
    }
    tokens.split_at(length)
}

fn text_of(tokens: &[Token]) -> String {
    let texts: Vec<&str> = tokens.iter().map(|token| token.text.trim()).collect();
    texts.join(" ")
}

/// The words with all replacements made.
pub(super) fn apply(tokens: &[Token], replacements: &[Replacement], faults: &Faults) -> Vec<Token> {
    let mut replaced = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let sequence =
            replacements.iter().find(|r| r.place == Place::Anywhere && begins_with(&tokens[at..], &r.pattern));
        if let Some(found) = sequence {
            push_text(&found.by, &token.spot, &mut replaced, faults);
            at += found.pattern.len();
            continue;
        }
        match (token.kind == TokenKind::Word).then(|| within(&token.text, replacements)).flatten() {
            Some(text) => push_text(&text, &token.spot, &mut replaced, faults),
            None => replaced.push(token.clone()),
        }
        at += 1;
    }
    replaced
}

fn begins_with(tokens: &[Token], pattern: &[Token]) -> bool {
    let same = |(token, wanted): (&Token, &Token)| {
        token.kind == wanted.kind
            && match token.kind {
                TokenKind::Word => token.text.eq_ignore_ascii_case(&wanted.text),
                _ => token.text == wanted.text,
            }
    };
    tokens.len() >= pattern.len() && tokens.iter().zip(pattern).all(same)
}

/// A word with the parts replaced that match; `None` when none does.
fn within(word: &str, replacements: &[Replacement]) -> Option<String> {
    let chars: Vec<char> = word.chars().collect();
    let (mut text, mut changed, mut at) = (String::new(), false, 0);
    'chars: while at < chars.len() {
        for replacement in replacements {
            let [pattern] = replacement.pattern.as_slice() else { continue };
            let pattern: Vec<char> = pattern.text.chars().collect();
            let end = at + pattern.len();
            let matches = chars
                .get(at..end)
                .is_some_and(|part| part.iter().zip(&pattern).all(|(a, b)| a.eq_ignore_ascii_case(b)));
            let fits = match replacement.place {
                Place::Leading => at == 0,
                Place::Trailing => end == chars.len(),
                Place::Anywhere => {
                    let free = |inner: Option<&char>, outer: Option<&char>| {
                        inner.is_some_and(|char| !is_letter(*char)) || outer.is_none_or(|char| !is_letter(*char))
                    };
                    let before = at.checked_sub(1).and_then(|index| chars.get(index));
                    free(pattern.first(), before) && free(pattern.last(), chars.get(end))
                }
            };
            if matches && fits {
                text.push_str(&replacement.by);
                changed = true;
                at = end;
                continue 'chars;
            }
        }
        text.push(chars[at]);
        at += 1;
    }
    changed.then_some(text)
}

/// What words are made of.
fn is_letter(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '-' | '_')
}

/// Carries out the REPLACE statements of a text, in which COPY has been carried out.
pub(super) fn replace_statements(tokens: Vec<Token>, faults: &Faults) -> Vec<Token> {
    if !tokens.iter().any(|token| token.is("REPLACE")) {
        return tokens;
    }
    let mut replaced: Vec<Token> = Vec::with_capacity(tokens.len());
    // The lists that are in force, the last one first: `ALSO` puts one before the others, `LAST OFF` takes it away.
    let mut lists: Vec<Vec<Replacement>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        let next = rest.iter().position(|token| token.is("REPLACE")).unwrap_or(rest.len());
        let active: Vec<Replacement> = lists.iter().rev().flatten().cloned().collect();
        if active.is_empty() {
            replaced.extend_from_slice(&rest[..next]);
        } else {
            replaced.extend(apply(&rest[..next], &active, faults));
        }
        let Some(statement) = rest.get(next) else { break };
        let Some(length) = rest[next..].iter().position(|token| token.kind == TokenKind::Period) else {
            faults.push(statement.spot.fault("REPLACE has no period at its end"));
            break;
        };
        match &rest[next + 1..next + length] {
            [off] if off.is("OFF") => lists.clear(),
            [last, off] if last.is("LAST") && off.is("OFF") => {
                lists.pop();
            }
            [also, list @ ..] if also.is("ALSO") => lists.extend(pairs(list, &also.spot, faults)),
            list => {
                lists.clear();
                lists.extend(pairs(list, &statement.spot, faults));
            }
        }
        at += next + length + 1;
    }
    replaced
}
