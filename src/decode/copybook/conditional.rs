//! Conditional compilation: lines that the compiler was told to leave out (`>>IF`, `$IF`), by what was defined before
//! (`>>DEFINE`, `$SET CONSTANT`, or the compiler's options).
//!
//! Directives are those of ISO/IEC 1989:2014 §7.3 as far as GnuCOBOL and IBM's compilers agree on them, and conditions that are
//! joined by AND and OR as IBM's have them (GnuCOBOL 3 refuses those); a name that was not defined can only be asked whether
//! it is.

use std::collections::HashMap;

use super::Spot;

/// What is defined, and the conditions that are open in a text.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    defined: HashMap<String, String>,
    open: Vec<Branch>,
}

/// An `>>IF` that has no `>>END-IF` yet.
#[derive(Debug)]
struct Branch {
    spot: Spot,
    /// Whether the lines around it are compiled.
    outer: bool,
    /// Whether the lines now are, and whether some were.
    takes: bool,
    took: bool,
    is_else: bool,
}

/// A piece of a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Word(String),
    Literal(String),
    Sign(String),
}

impl Conditions {
    /// With what the compiler's options defined.
    pub(super) fn new(defined: &[(String, String)]) -> Conditions {
        let defined = defined.iter().map(|(name, value)| (name.to_uppercase(), value.clone())).collect();
        Conditions { defined, open: Vec::new() }
    }

    /// Whether lines are compiled.
    pub(super) fn takes(&self) -> bool {
        self.open.last().is_none_or(|branch| branch.takes)
    }

    /// Another text begins or ends: conditions do not reach beyond it. Answers those that are open in this one.
    pub(super) fn enter(&mut self) -> usize {
        self.open.len()
    }

    /// The text that was entered ends; answers the place of a condition that is still open in it.
    pub(super) fn leave(&mut self, entered: usize) -> Option<Spot> {
        let open = self.open.drain(entered.min(self.open.len())..).next();
        open.map(|branch| branch.spot)
    }

    /// Carries out a directive; `None` where it is none of conditional compilation, else what is wrong with it.
    pub(super) fn directive(&mut self, text: &str, entered: usize, spot: &Spot) -> Option<Result<(), String>> {
        let pieces = pieces(text);
        let words: Vec<String> = pieces.iter().map(Piece::shown).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let takes = self.takes();
        let in_text = self.open.len() > entered;
        Some(match words.as_slice() {
            ["IF", ..] => {
                let held = if takes { self.holds(&pieces[1..]) } else { Ok(false) };
                let holds = *held.as_ref().unwrap_or(&false);
                self.open.push(Branch { spot: spot.clone(), outer: takes, takes: holds, took: holds, is_else: false });
                held.map(|_| ())
            }
            ["ELIF" | "ELSE-IF", ..] | ["ELSE", "IF", ..] if in_text => {
                let skipped = if words[0] == "ELSE" { 2 } else { 1 };
                let wanted = self.open.last().is_some_and(|branch| branch.outer && !branch.took && !branch.is_else);
                let held = if wanted { self.holds(&pieces[skipped..]) } else { Ok(false) };
                if let Some(branch) = self.open.last_mut() {
                    branch.takes = *held.as_ref().unwrap_or(&false);
                    branch.took |= branch.takes;
                }
                held.map(|_| ())
            }
            ["ELSE"] if in_text => match self.open.last_mut() {
                Some(branch) if !branch.is_else => {
                    branch.takes = branch.outer && !branch.took;
                    (branch.took, branch.is_else) = (true, true);
                    Ok(())
                }
                _ => Err("a second ELSE for one IF".to_owned()),
            },
            ["END-IF" | "END" | "ENDIF"] if in_text => {
                self.open.pop();
                Ok(())
            }
            ["ELSE" | "ELIF" | "ELSE-IF" | "END-IF" | "END" | "ENDIF", ..] => {
                Err("no IF is open in this text".to_owned())
            }
            ["DEFINE", ..] => {
                if takes {
                    self.define(&pieces[1..])
                } else {
                    Ok(())
                }
            }
            ["SET", "CONSTANT", ..] => {
                if takes {
                    self.define(&pieces[2..])
                } else {
                    Ok(())
                }
            }
            _ if !takes => Ok(()),
            _ => return None,
        })
    }

    fn define(&mut self, pieces: &[Piece]) -> Result<(), String> {
        let overrides = pieces.iter().any(|piece| piece.is("OVERRIDE"));
        // `$SET CONSTANT N (5)` has its value in brackets.
        let is_bracket = |piece: &Piece| matches!(piece, Piece::Sign(sign) if sign == "(" || sign == ")");
        let pieces: Vec<&Piece> = pieces.iter().filter(|piece| !piece.is("CONSTANT") && !is_bracket(piece)).collect();
        let Some((Piece::Word(name), rest)) = pieces.split_first() else {
            return Err("DEFINE needs a name".to_owned());
        };
        let rest: Vec<&Piece> = rest.iter().copied().filter(|piece| !piece.is("AS") && !piece.is("OVERRIDE")).collect();
        match rest.as_slice() {
            [off] if off.is("OFF") => {
                self.defined.remove(name);
                Ok(())
            }
            // What the compiler's options say, and nothing where they say nothing.
            [parameter] if parameter.is("PARAMETER") => Ok(()),
            [] => self.set(name, String::new(), overrides),
            [Piece::Literal(value)] => self.set(name, value.clone(), overrides),
            [Piece::Word(value)] => {
                let value = self.defined.get(value).cloned().unwrap_or_else(|| value.clone());
                self.set(name, value, overrides)
            }
            _ => Err("what is defined must be one value".to_owned()),
        }
    }

    /// Defines a name. That it has another value already, by an earlier directive or by what the compiler was told, is a
    /// fault unless the directive says OVERRIDE (ISO/IEC 1989:2014 §7.3.5).
    fn set(&mut self, name: &str, value: String, overrides: bool) -> Result<(), String> {
        match self.defined.get(name) {
            Some(known) if *known != value && !overrides => Err(format!(
                "`{name}` is defined as `{known}` already, and here as `{value}`: OVERRIDE, or OFF before it, would say that \
                 this is meant"
            )),
            _ => {
                self.defined.insert(name.to_owned(), value);
                Ok(())
            }
        }
    }

    /// Whether a condition holds: comparisons and questions whether something is defined, joined by AND, OR and NOT, with
    /// brackets. Which part decides does not matter: every part must be one that can be carried out.
    fn holds(&self, pieces: &[Piece]) -> Result<bool, String> {
        let is_filler = |piece: &&Piece| !["IS", "THEN", "THAN", "TO"].iter().any(|word| piece.is(word));
        let pieces: Vec<&Piece> = pieces.iter().filter(is_filler).collect();
        if pieces.is_empty() {
            return Err("IF needs a condition".to_owned());
        }
        let mut rest = pieces.as_slice();
        let holds = self.any(&mut rest, MAX_BRACKETS)?;
        match rest {
            [] => Ok(holds),
            [piece, ..] => Err(format!("`{}` is due nowhere in this condition", piece.shown())),
        }
    }

    /// Conditions joined by OR.
    fn any(&self, rest: &mut &[&Piece], brackets: usize) -> Result<bool, String> {
        let mut holds = self.all(rest, brackets)?;
        while take(rest, "OR") {
            holds |= self.all(rest, brackets)?;
        }
        Ok(holds)
    }

    /// Conditions joined by AND, which binds closer.
    fn all(&self, rest: &mut &[&Piece], brackets: usize) -> Result<bool, String> {
        let mut holds = self.one(rest, brackets)?;
        while take(rest, "AND") {
            holds &= self.one(rest, brackets)?;
        }
        Ok(holds)
    }

    fn one(&self, rest: &mut &[&Piece], brackets: usize) -> Result<bool, String> {
        if take(rest, "NOT") {
            return self.one(rest, brackets).map(|holds| !holds);
        }
        if !take(rest, "(") {
            return self.asks(rest);
        }
        let deeper = brackets.checked_sub(1).ok_or_else(|| "the brackets lie too deep".to_owned())?;
        let holds = self.any(rest, deeper)?;
        if take(rest, ")") { Ok(holds) } else { Err("`(` is not closed".to_owned()) }
    }

    /// One comparison, or the question whether a name is defined.
    fn asks(&self, rest: &mut &[&Piece]) -> Result<bool, String> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        const HELP: &str = "comparisons of two values, and DEFINED, are carried out, joined by AND and OR";
        let Some((subject, behind)) = rest.split_first() else { return Err(HELP.to_owned()) };
        *rest = behind;
        let negated = take(rest, "NOT");
        if take(rest, "DEFINED") || take(rest, "SET") {
            let defined = matches!(subject, Piece::Word(name) if self.defined.contains_key(name));
            return Ok(defined != negated);
        }
        let [sign, behind @ ..] = *rest else { return Err(HELP.to_owned()) };
        let sign = sign.shown();
        let mut wanted: &[_] = match sign.as_str() {
            "=" | "EQUAL" | "EQUALS" => &[Equal],
            ">" | "GREATER" => &[Greater],
            "<" | "LESS" => &[Less],
            ">=" => &[Greater, Equal],
            "<=" => &[Less, Equal],
            "<>" => &[Less, Greater],
            "AND" | "OR" | ")" => return Err(HELP.to_owned()),
            other => return Err(format!("`{other}` compares nothing")),
        };
        *rest = behind;
        if let ([or, equal, ..], "GREATER" | "LESS") = (*rest, sign.as_str())
            && or.is("OR")
            && equal.is("EQUAL")
        {
            wanted = if sign == "LESS" { &[Less, Equal] } else { &[Greater, Equal] };
            *rest = &rest[2..];
        }
        let Some((other, behind)) = rest.split_first() else { return Err(HELP.to_owned()) };
        *rest = behind;
        let (one, other) = (self.value(subject)?, self.value(other)?);
        let ordering = match (one.parse::<i128>(), other.parse::<i128>()) {
            (Ok(one), Ok(other)) => one.cmp(&other),
            _ => one.trim_end().cmp(other.trim_end()),
        };
        Ok(wanted.contains(&ordering) != negated)
    }

    fn value(&self, piece: &Piece) -> Result<String, String> {
        match piece {
            Piece::Literal(value) => Ok(value.clone()),
            Piece::Word(number) if number.parse::<i128>().is_ok() => Ok(number.clone()),
            Piece::Word(name) => match self.defined.get(name) {
                Some(value) => Ok(value.clone()),
                None => Err(format!("`{name}` is not defined: say by `define` what the compiler was told")),
            },
            Piece::Sign(sign) => Err(format!("`{sign}` is no value")),
        }
    }
}

/// How deep brackets may lie in one another.
const MAX_BRACKETS: usize = 50;

/// Takes the next piece, if it is this word or sign.
fn take(rest: &mut &[&Piece], wanted: &str) -> bool {
    let is_next =
        rest.first().is_some_and(|piece| piece.is(wanted) || matches!(piece, Piece::Sign(own) if own == wanted));
    if is_next {
        *rest = &rest[1..];
    }
    is_next
}

impl Piece {
    fn is(&self, word: &str) -> bool {
        matches!(self, Piece::Word(own) if own == word)
    }

    fn shown(&self) -> String {
        match self {
            Piece::Word(text) | Piece::Sign(text) => text.clone(),
            Piece::Literal(text) => format!("'{text}'"),
        }
    }
}

/// Words in upper case, literals without their quotes, and signs.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while let Some(&char) = chars.get(at) {
        let run = |of: &dyn Fn(char) -> bool| chars[at..].iter().take_while(|char| of(**char)).count();
        let length = match char {
            '"' | '\'' => {
                let length = chars[at + 1..].iter().take_while(|other| **other != char).count();
                pieces.push(Piece::Literal(chars[at + 1..at + 1 + length].iter().collect()));
                length + 2
            }
            '=' | '<' | '>' => {
                let length = run(&|char| matches!(char, '=' | '<' | '>'));
                pieces.push(Piece::Sign(chars[at..at + length].iter().collect()));
                length
            }
            '(' | ')' => {
                pieces.push(Piece::Sign(char.to_string()));
                1
            }
            _ if char.is_alphanumeric() || matches!(char, '-' | '_' | '+') => {
                let length = run(&|char| char.is_alphanumeric() || matches!(char, '-' | '_' | '+'));
                pieces.push(Piece::Word(chars[at..at + length].iter().collect::<String>().to_uppercase()));
                length
            }
            '*' if chars.get(at + 1) == Some(&'>') => break,
            _ => 1,
        };
        at += length;
    }
    pieces
}
