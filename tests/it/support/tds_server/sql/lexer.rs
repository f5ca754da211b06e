//! T-SQL's words and signs.

use crate::support::tds_server::error::SqlFault;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A word without quotes: a keyword or a name.
    Word(String),
    /// A name in brackets or double quotes.
    Name(String),
    /// Text, and whether it is `N'...'`.
    Text(String, bool),
    Number(String),
    Bytes(Vec<u8>),
    /// `@name`, with its `@`.
    Variable(String),
    /// `@@NAME`, without its `@@`, in capitals.
    System(String),
    Sign(&'static str),
}

const SIGNS: [&str; 28] = [
    "<>", "<=", ">=", "!=", "!<", "!>", "+=", "-=", "::", "(", ")", ",", ";", ".", "=", "<", ">", "+", "-", "*", "/",
    "%", "&", "|", "^", "~", "{", "}",
];

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '#' | '$' | '@')
}

/// The tokens of a batch; comments are none.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, SqlFault> {
    let mut found = Vec::new();
    let mut rest = text.trim_start_matches('\u{FEFF}');
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Ok(found) };
        let word_length = |text: &str| text.find(|c| !is_word(c)).unwrap_or(text.len());
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
        } else if rest.starts_with("/*") {
            rest = comment_end(rest)?;
        } else if let Some(quoted) = rest.strip_prefix('\'') {
            let (text, after) = quote(quoted, '\'')?;
            found.push(Token::Text(text, false));
            rest = after;
        } else if let Some(quoted) = rest.strip_prefix("N'").or_else(|| rest.strip_prefix("n'")) {
            let (text, after) = quote(quoted, '\'')?;
            found.push(Token::Text(text, true));
            rest = after;
        } else if let Some(quoted) = rest.strip_prefix('[') {
            let (name, after) = quote(quoted, ']')?;
            found.push(Token::Name(name));
            rest = after;
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let (name, after) = quote(quoted, '"')?;
            found.push(Token::Name(name));
            rest = after;
        } else if let Some(system) = rest.strip_prefix("@@") {
            let length = word_length(system);
            found.push(Token::System(system[..length].to_ascii_uppercase()));
            rest = &system[length..];
        } else if first == '@' {
            let length = word_length(rest);
            found.push(Token::Variable(rest[..length].to_owned()));
            rest = &rest[length..];
        } else if rest.starts_with("0x") || rest.starts_with("0X") {
            let digits = &rest[2..];
            let length = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
            let even = if length % 2 == 0 { digits[..length].to_owned() } else { format!("0{}", &digits[..length]) };
            let pair = |at: usize| u8::from_str_radix(&even[at..at + 2], 16).unwrap_or(0);
            found.push(Token::Bytes((0..even.len()).step_by(2).map(pair).collect()));
            rest = &digits[length..];
        } else if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            let length = number_length(rest);
            found.push(Token::Number(rest[..length].to_owned()));
            rest = &rest[length..];
        } else if is_word(first) {
            let length = word_length(rest);
            found.push(Token::Word(rest[..length].to_owned()));
            rest = &rest[length..];
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            found.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            return Err(SqlFault::syntax(&first.to_string()));
        }
    }
}

/// What comes behind a comment; comments nest.
fn comment_end(text: &str) -> Result<&str, SqlFault> {
    let (mut depth, mut at) = (0, 0);
    let bytes = text.as_bytes();
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return Ok(&text[at + 2..]),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    Err(SqlFault::new(113, "Missing end comment mark '*/'.").class(15))
}

/// What stands up to a closing quote, which is doubled inside, and the rest.
fn quote(text: &str, close: char) -> Result<(String, &str), SqlFault> {
    let mut inside = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != close {
            inside.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == close) {
            inside.push(c);
            chars.next();
        } else {
            return Ok((inside, &text[at + 1..]));
        }
    }
    let start: String = text.chars().take(20).collect();
    Err(SqlFault::new(105, format!("Unclosed quotation mark after the character string '{start}'.")).class(15))
}

fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut at = digits(0);
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        if bytes.get(sign).is_some_and(u8::is_ascii_digit) {
            at = digits(sign);
        }
    }
    at
}
