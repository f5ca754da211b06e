//! Reads Rust source far enough to know which paths it names, and where.
//!
//! A small lexer rather than a parser: comments, strings and characters are told apart from code, `use` trees
//! are spread out into single paths, and `super` is resolved against the file's place. It knows nothing of
//! macros' insides beyond their tokens, which is what is wanted: a path in a macro call counts as well.

use std::path::{Path, PathBuf};

/// One source file, read.
pub(super) struct Source {
    /// Path below the repository.
    pub(super) path: PathBuf,
    /// Every path the code names, from the crate's root or another crate's name.
    pub(super) paths: Vec<Named>,
    /// Every string literal, without its quotes.
    pub(super) strings: Vec<Named>,
}

/// Something named at a line.
pub(super) struct Named {
    /// `crate::staging::Batch`, `std::fs::File`; or a string's text.
    pub(super) text: String,
    /// From 1.
    pub(super) line: usize,
    /// True inside `#[cfg(test)] mod ... { }`.
    pub(super) test: bool,
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    /// `::`
    PathSeparator,
    Sign(char),
}

/// Reads `path` (below `root`).
pub(super) fn read(root: &Path, path: &Path) -> Source {
    let text = std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let tokens = tokens(&text);
    let mut found = Walk { module: module_of(path), ..Walk::default() };
    found.run(&tokens);
    Source { path: path.to_owned(), paths: found.paths, strings: found.strings }
}

/// `src/staging/sqlite/mod.rs` is `staging::sqlite`; `src/lib.rs` is the root.
fn module_of(path: &Path) -> Vec<String> {
    let below = path.strip_prefix("src").unwrap_or(path).with_extension("");
    let mut module: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// Code as tokens with their lines; comments are left out.
fn tokens(text: &str) -> Vec<(Token, usize)> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut found = Vec::new();
    let (mut index, mut line) = (0, 1);
    while index < chars.len() {
        let (start, start_line) = (index, line);
        match at(index) {
            '/' if at(index + 1) == '/' => {
                while index < chars.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            '/' if at(index + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(index), at(index + 1)) {
                        ('/', '*') => (depth, index) = (depth + 1, index + 2),
                        ('*', '/') => (depth, index) = (depth - 1, index + 2),
                        _ => index += 1,
                    }
                    if depth == 0 || index >= chars.len() {
                        break;
                    }
                }
            }
            '"' => {
                index += 1;
                while index < chars.len() && at(index) != '"' {
                    index += if at(index) == '\\' { 2 } else { 1 };
                }
                found.push((Token::Text(chars[start + 1..index.min(chars.len())].iter().collect()), start_line));
                index += 1;
            }
            'r' if raw_string_hashes(&chars, index).is_some() => {
                let hashes = raw_string_hashes(&chars, index).unwrap_or(0);
                let body = index + 2 + hashes;
                index = body;
                while index < chars.len() && !(at(index) == '"' && (1..=hashes).all(|n| at(index + n) == '#')) {
                    index += 1;
                }
                found.push((Token::Text(chars[body..index.min(chars.len())].iter().collect()), start_line));
                index += 1 + hashes;
            }
            // A character, unless it is a lifetime.
            '\'' if at(index + 1) == '\\' => {
                index += 3;
                while index < chars.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            }
            '\'' if at(index + 2) == '\'' => index += 3,
            letter if letter.is_alphanumeric() || letter == '_' => {
                while at(index).is_alphanumeric() || at(index) == '_' {
                    index += 1;
                }
                // `b"..."` and `br"..."`: the prefix belongs to the string that follows.
                let word: String = chars[start..index].iter().collect();
                let raw_bytes = word == "br" && raw_string_hashes(&chars, index - 1).is_some();
                if raw_bytes {
                    index -= 1;
                } else if !(word == "b" && matches!(at(index), '"' | '\'')) {
                    found.push((Token::Word(word), start_line));
                }
            }
            ':' if at(index + 1) == ':' => {
                found.push((Token::PathSeparator, start_line));
                index += 2;
            }
            sign => {
                if !sign.is_whitespace() {
                    found.push((Token::Sign(sign), start_line));
                }
                index += 1;
            }
        }
        line += chars[start..index.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    found
}

/// The number of `#` when a raw string begins at `index` (an `r` that ends no longer word).
fn raw_string_hashes(chars: &[char], index: usize) -> Option<usize> {
    let hashes = chars[index + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(index) == Some(&'r') && chars.get(index + 1 + hashes) == Some(&'"')).then_some(hashes)
}

/// A `{ }` that has been entered.
struct Scope {
    /// It is the body of `mod name`.
    module: bool,
    /// It, or one around it, is marked `#[cfg(test)]`.
    test: bool,
}

#[derive(Default)]
struct Walk {
    module: Vec<String>,
    paths: Vec<Named>,
    strings: Vec<Named>,
    scopes: Vec<Scope>,
    /// `#[cfg(test)]` was read, the item it marks not yet.
    cfg_test: bool,
}

impl Walk {
    fn run(&mut self, tokens: &[(Token, usize)]) {
        let word = |index: usize| match tokens.get(index) {
            Some((Token::Word(word), _)) => Some(word.as_str()),
            _ => None,
        };
        let sign = |index: usize, wanted: char| matches!(tokens.get(index), Some((Token::Sign(s), _)) if *s == wanted);
        let mut index = 0;
        while index < tokens.len() {
            let (token, line) = &tokens[index];
            match token {
                Token::Sign('#')
                    if sign(index + 1, '[') && word(index + 2) == Some("cfg") && word(index + 4) == Some("test") =>
                {
                    self.cfg_test = true;
                    index += 7;
                    continue;
                }
                Token::Word(keyword) if keyword == "mod" && word(index + 1).is_some() && sign(index + 2, '{') => {
                    self.module.push(word(index + 1).unwrap_or_default().to_owned());
                    self.enter(true);
                    index += 3;
                    continue;
                }
                Token::Sign('{') => self.enter(false),
                Token::Sign('}') => self.leave(),
                Token::Sign(';') => self.cfg_test = false,
                Token::Text(text) => {
                    let named = Named { text: text.clone(), line: *line, test: self.in_test() };
                    self.strings.push(named);
                }
                Token::Word(keyword) if keyword == "use" => {
                    index = self.tree(tokens, index + 1, &[]);
                    continue;
                }
                Token::Word(_) if matches!(tokens.get(index + 1), Some((Token::PathSeparator, _))) => {
                    index = self.tree(tokens, index, &[]);
                    continue;
                }
                _ => {}
            }
            index += 1;
        }
    }

    /// Reads a path or `use` tree from `index` on, below `prefix`; answers the index behind it.
    fn tree(&mut self, tokens: &[(Token, usize)], mut index: usize, prefix: &[String]) -> usize {
        let mut path = prefix.to_vec();
        let line = tokens.get(index).map_or(0, |(_, line)| *line);
        loop {
            match tokens.get(index) {
                Some((Token::Word(word), _)) => path.push(word.clone()),
                Some((Token::Sign('{'), _)) => {
                    index += 1;
                    while !matches!(tokens.get(index), None | Some((Token::Sign('}'), _))) {
                        index = self.tree(tokens, index, &path);
                        // Over `as name` and the comma, to the next branch.
                        while !matches!(tokens.get(index), None | Some((Token::Sign(',' | '}'), _))) {
                            index += 1;
                        }
                        index += usize::from(matches!(tokens.get(index), Some((Token::Sign(','), _))));
                    }
                    return index + 1;
                }
                Some((Token::Sign('*'), _)) if path.len() > prefix.len() || !prefix.is_empty() => {}
                _ => {
                    // `use ::name`, `<T as x::Y>`, `$name`: nothing that begins a path.
                    return index.max(1) + usize::from(path.len() == prefix.len());
                }
            }
            index += 1;
            if !matches!(tokens.get(index), Some((Token::PathSeparator, _))) {
                break;
            }
            index += 1;
            // The turbofish `collect::<T>()` ends a path; what stands inside is read on its own.
            if matches!(tokens.get(index), Some((Token::Sign('<'), _))) {
                break;
            }
        }
        let text = self.resolved(&path).join("::");
        self.paths.push(Named { text, line, test: self.in_test() });
        index
    }

    /// `super::x` in `crate::a::b` is `crate::a::x`.
    fn resolved(&self, path: &[String]) -> Vec<String> {
        let leading = path.iter().take_while(|word| *word == "super" || *word == "self").count();
        if leading == 0 {
            return path.to_vec();
        }
        let supers = path[..leading].iter().filter(|word| *word == "super").count();
        let stays = self.module.len().saturating_sub(supers);
        let mut full = vec!["crate".to_owned()];
        full.extend_from_slice(&self.module[..stays]);
        full.extend_from_slice(&path[leading..]);
        full
    }

    fn enter(&mut self, module: bool) {
        self.scopes.push(Scope { module, test: self.in_test() });
        self.cfg_test = false;
    }

    fn leave(&mut self) {
        if self.scopes.pop().is_some_and(|scope| scope.module) {
            self.module.pop();
        }
    }

    fn in_test(&self) -> bool {
        self.cfg_test || self.scopes.last().is_some_and(|scope| scope.test)
    }
}

#[test]
fn paths_are_found_where_they_are_named() {
    fn check(text: &str, expected: &[&str]) {
        let mut walk = Walk { module: vec!["a".into(), "b".into()], ..Walk::default() };
        walk.run(&tokens(text));
        let found: Vec<_> =
            walk.paths.iter().map(|p| format!("{}{}", p.text, if p.test { " (test)" } else { "" })).collect();
        assert_eq!(found, expected, "{text}");
    }
    check(
        "use crate::staging::{Batch, sqlite::{self, Open as O}};",
        &["crate::staging::Batch", "crate::staging::sqlite::self", "crate::staging::sqlite::Open"],
    );
    check(
        "use std::{fs, io::*};\nfn f() { std::net::TcpStream::connect(x) }",
        &["std::fs", "std::io", "std::net::TcpStream::connect"],
    );
    check("use super::super::staging;", &["crate::staging"]);
    check("#[cfg(test)] mod tests { use super::x; } use super::y;", &["crate::a::b::x (test)", "crate::a::y"]);
    check(
        "// use crate::staging;\n/* crate::x::y */ \"crate::z::z\"; r#\"crate::q\"#; b'\"'; '\\''; 'x'; &'a str",
        &[],
    );
    check("Vec::<crate::gate::Permit>::new()", &["Vec", "crate::gate::Permit"]);
    check("#[cfg(test)] use std::fs;\nuse std::io;", &["std::fs (test)", "std::io"]);
    check("macro_rules! m { () => { $crate::gate::x } }", &["crate::gate::x"]);
}
