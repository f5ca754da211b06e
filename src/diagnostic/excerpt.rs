//! The lines of a file that a fault shows: short enough for a terminal, and without the secrets in them.

use std::ops::Range;

/// More lines than these say no more.
const MOST_LINES: usize = 12;

/// Of a longer line only what is around the fault is shown; in bytes.
const LONGEST: usize = 400;

/// Words in a key after which a secret follows.
const SECRETS: [&str; 11] = [
    "passw",
    "passphrase",
    "secret",
    "token",
    "pwd",
    "api_key",
    "api-key",
    "apikey",
    "authorization",
    "credential",
    "cookie",
];

/// Part of a text.
pub(super) struct Excerpt {
    /// What is shown.
    pub(super) text: String,
    /// The number of its first line, from 1.
    pub(super) line: usize,
    /// The fault in it.
    pub(super) span: Range<usize>,
}

/// The lines that `span` lies in. Any span will do: it is brought to where characters begin.
pub(super) fn excerpt(text: &str, span: Range<usize>) -> Excerpt {
    let start = floor(text, span.start);
    let end = ceil(text, span.end.max(start));
    let from = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let to = text[end..].find('\n').map_or(text.len(), |newline| end + newline);
    let line = text[..from].matches('\n').count() + 1;
    let (mut to, mut end) = (to, end);
    if text[from..to].matches('\n').count() >= MOST_LINES {
        to = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        end = to;
    }
    let (mut from, mut cut) = (from, false);
    if to - from > LONGEST {
        let context = LONGEST / 4;
        (from, cut) = (floor(text, from.max(start.saturating_sub(context))), true);
        to = ceil(text, to.min(start + LONGEST - context));
        end = end.min(to);
    }
    let mut shown = mask(&text[from..to]);
    // What moves the cursor has no place on a terminal.
    shown = shown.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { plain(c) } else { c }).collect();
    let (start, end) = (floor(&shown, start - from), ceil(&shown, end - from));
    Excerpt { span: start..end, line: if cut { line.max(1) } else { line }, text: shown }
}

/// A character of as many bytes that only shows that there is something.
fn plain(control: char) -> char {
    if control.len_utf8() == 1 { '?' } else { '\u{BF}' }
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// Puts stars over passwords in addresses and over values of keys that hold secrets, byte for byte.
fn mask(text: &str) -> String {
    let mut hidden: Vec<Range<usize>> = Vec::new();
    let lower = text.to_ascii_lowercase();
    for (at, scheme) in lower.match_indices("://") {
        let begin = at + scheme.len();
        let authority = &text[begin..begin + ends_at(&text[begin..], |c| c.is_whitespace() || "\"'/".contains(c))];
        if let Some(host) = authority.rfind('@')
            && let Some(colon) = authority[..host].find(':')
        {
            hidden.push(begin + colon + 1..begin + host);
        }
    }
    for word in SECRETS {
        for (at, _) in lower.match_indices(word) {
            let behind = &text[at + word.len()..];
            let name =
                behind.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_-\"'".contains(c)).trim_start();
            let Some(value) = name.strip_prefix(['=', ':']).map(str::trim_start) else { continue };
            let begin = text.len() - value.len();
            match value.chars().next() {
                // A reference to a secret is none, and neither is a truth value.
                None | Some('{') => {}
                Some(quote @ ('"' | '\'')) => {
                    hidden.push(begin + 1..begin + 1 + ends_at(&value[1..], |c| c == quote || c == '\n'));
                }
                Some(_) if value.starts_with("true") || value.starts_with("false") => {}
                Some(_) => hidden.push(begin..begin + ends_at(value, |c| c.is_whitespace() || ";\"',}".contains(c))),
            }
        }
    }
    let mut masked = text.to_owned();
    for range in hidden {
        let stars = "*".repeat(range.len());
        masked.replace_range(range, &stars);
    }
    masked
}

fn ends_at(text: &str, is_end: impl Fn(char) -> bool) -> usize {
    text.find(is_end).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, excerpt, mask};

    #[test]
    fn the_lines_of_the_fault_and_no_more() {
        let found = excerpt("one\ntwo\nthree\n", 4..7);
        assert_eq!((found.text.as_str(), found.line, found.span), ("two", 2, 0..3));
        let found = excerpt("one\ntwo\nthree", 5..10);
        assert_eq!((found.text.as_str(), found.line, found.span), ("two\nthree", 2, 1..6));
        let found = excerpt("", 3..9);
        assert_eq!((found.text.as_str(), found.line, found.span), ("", 1, 0..0));
        let many = "x\n".repeat(100);
        assert_eq!(excerpt(&many, 0..200).text, "x");
    }

    #[test]
    fn a_span_within_a_character_is_brought_to_its_ends() {
        let found = excerpt("äöü", 1..3);
        assert_eq!((found.text.as_str(), found.span), ("äöü", 0..4));
    }

    #[test]
    fn long_lines_are_cut_and_controls_are_not_sent_to_the_terminal() {
        let text = format!("{}{}{}", "ä".repeat(5000), "BAD", "ö".repeat(5000));
        let found = excerpt(&text, 10_000..10_003);
        assert_eq!(&found.text[found.span.clone()], "BAD");
        assert!(found.text.len() <= LONGEST + 4);
        let found = excerpt("a\u{1b}[2Jb\u{85}c", 0..1);
        assert_eq!(found.text, "a?[2Jb\u{BF}c");
    }

    #[test]
    fn secrets_are_masked_where_they_are() {
        for (written, shown) in [
            ("password = \"hunter2\"", "password = \"*******\""),
            ("db_password='x y' # z", "db_password='***' # z"),
            ("url = \"postgres://u:se@cret@h/d\"", "url = \"postgres://u:*******@h/d\""),
            ("c = \"Driver=X;PWD=geheim;Database=d\"", "c = \"Driver=X;PWD=******;Database=d\""),
            ("client_secret = { env = \"S\" }", "client_secret = { env = \"S\" }"),
            ("\"token\": 12345,", "\"token\": *****,"),
            ("url = \"sqlite:var/staging.db\"", "url = \"sqlite:var/staging.db\""),
            ("passwords are bad", "passwords are bad"),
        ] {
            assert_eq!(mask(written), shown);
        }
    }
}
