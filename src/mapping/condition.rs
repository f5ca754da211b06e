//! Conditions over a record, for `skip` and `trailer.when`:
//!
//! ```text
//! REC-TYPE = 'H' or (REC-TYPE = 'D' and not AMOUNT > 0)
//! NAME starts with 'TEST'     NAME is blank     KIND in ('A', 'B')     "Order No" != ''
//! ```
//!
//! A condition over a field that cannot be read is neither true nor false, and what is not true skips
//! nothing: a damaged record is never taken for a header.

use std::cmp::Ordering;
use std::ops::Range;

use super::number::NumberStyle;
use super::place::{Place, Surroundings, Walk};
use crate::diagnostic::{Diagnostic, Faults, Node};
use crate::record::{Decimal, FieldKind, RejectCode, Value};

/// A compiled condition.
#[derive(Debug)]
pub(super) enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Not(Box<Condition>),
    Compare { place: Place, test: Test, with: Literal, style: NumberStyle },
    In { place: Place, with: Vec<Literal>, style: NumberStyle },
    StartsWith { place: Place, prefix: String },
    Blank { place: Place },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug)]
pub(super) enum Literal {
    Text(String),
    Number(Decimal),
}

impl Condition {
    /// Compiles the condition at `node`; every fault points at the word that is wrong.
    pub(super) fn compile(
        node: &Node,
        within: &Surroundings<'_>,
        style: NumberStyle,
        faults: &Faults,
    ) -> Option<Condition> {
        let Some(text) = node.as_str() else {
            faults.push(node.fault(format!("a condition is a string like \"REC-TYPE = 'H'\", found {}", node.kind())));
            return None;
        };
        let mut parser = Parser { tokens: Vec::new(), at: 0, within, style, length: text.len() };
        let parsed = tokens(text).and_then(|tokens| {
            parser.tokens = tokens;
            let condition = parser.any()?;
            match parser.peek() {
                None => Ok(condition),
                Some(token) => Err(Wrong::new(&token.span, "expected `and`, `or` or the end of the condition")),
            }
        });
        parsed.map_err(|wrong| faults.push(wrong.at(node, text))).ok()
    }

    /// True when the condition holds for certain. `scratch` is left as it was.
    pub(super) fn holds(&self, walk: &Walk<'_>, scratch: &mut Vec<u8>) -> bool {
        self.truth(walk, scratch) == Some(true)
    }

    /// Kleene's logic: `None` is "cannot be known".
    fn truth(&self, walk: &Walk<'_>, scratch: &mut Vec<u8>) -> Option<bool> {
        match self {
            Condition::Any(parts) => fold(parts, walk, scratch, true),
            Condition::All(parts) => fold(parts, walk, scratch, false),
            Condition::Not(part) => part.truth(walk, scratch).map(|truth| !truth),
            Condition::Compare { place, test, with, style } => {
                let order = compare(&read(walk, *place)?, with, *style)?;
                Some(match test {
                    Test::Equal => order == Ordering::Equal,
                    Test::NotEqual => order != Ordering::Equal,
                    Test::Less => order == Ordering::Less,
                    Test::LessOrEqual => order != Ordering::Greater,
                    Test::Greater => order == Ordering::Greater,
                    Test::GreaterOrEqual => order != Ordering::Less,
                })
            }
            Condition::In { place, with, style } => {
                let value = read(walk, *place)?;
                Some(with.iter().any(|literal| compare(&value, literal, *style) == Some(Ordering::Equal)))
            }
            Condition::StartsWith { place, prefix } => match read(walk, *place)? {
                Value::Text(text) => Some(text.starts_with(prefix.as_str())),
                _ => None,
            },
            Condition::Blank { place } if is_text(walk, *place, scratch) => Some(false),
            Condition::Blank { place } => match walk.fields.read(place.slot, walk.scope(*place)) {
                Ok(Value::Null) => Some(true),
                Ok(Value::Text(text)) => Some(text.trim_ascii().is_empty()),
                Ok(_) => Some(walk.fields.filled(place.slot, walk.scope(*place)).is_some()),
                Err(fault) if fault.code == RejectCode::Blank => Some(true),
                Err(_) => None,
            },
        }
    }
}

fn fold(parts: &[Condition], walk: &Walk<'_>, scratch: &mut Vec<u8>, decisive: bool) -> Option<bool> {
    let mut outcome = Some(!decisive);
    for part in parts {
        match part.truth(walk, scratch) {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => outcome = None,
        }
    }
    outcome
}

/// True for a text that is there and not blank, found the short way where the format has one.
fn is_text(walk: &Walk<'_>, place: Place, scratch: &mut Vec<u8>) -> bool {
    let start = scratch.len();
    let written = walk.fields.write_text(place.slot, walk.scope(place), scratch);
    scratch.truncate(start);
    written
}

fn read<'a>(walk: &Walk<'a>, place: Place) -> Option<Value<'a>> {
    match walk.fields.read(place.slot, walk.scope(place)) {
        Ok(Value::Null) => Some(Value::Text("".into())),
        Ok(value) => Some(value),
        Err(_) => None,
    }
}

/// Blanks behind a text do not count, as in COBOL.
fn compare(value: &Value<'_>, with: &Literal, style: NumberStyle) -> Option<Ordering> {
    match (value, with) {
        (Value::Text(text), Literal::Text(literal)) => {
            Some(text.trim_end_matches(' ').cmp(literal.trim_end_matches(' ')))
        }
        (Value::Text(text), Literal::Number(number)) => style.parse(text).ok().map(|read| read.cmp(number)),
        (Value::Decimal(read), Literal::Number(number)) => Some(read.cmp(number)),
        _ => None,
    }
}

/// What is wrong, at bytes of the condition's text.
struct Wrong {
    span: Range<usize>,
    message: String,
    help: Option<String>,
}

impl Wrong {
    fn new(span: &Range<usize>, message: impl Into<String>) -> Wrong {
        Wrong { span: span.clone(), message: message.into(), help: None }
    }

    fn at(self, node: &Node, text: &str) -> Diagnostic {
        let mut fault = node.fault(self.message);
        // The place within the string is only known where it was written without escapes.
        let written = node.source.text.get(node.span.clone()).unwrap_or_default();
        for quotes in [3, 1] {
            if written.get(quotes..quotes + text.len()) == Some(text) && written.len() == text.len() + 2 * quotes {
                let start = node.span.start + quotes;
                fault.span = start + self.span.start..start + self.span.end;
                break;
            }
        }
        match self.help {
            Some(help) => fault.help(help),
            None => fault,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// A field's name, or a word of the language.
    Word(String),
    /// A field's name in double quotes.
    Name(String),
    Text(String),
    Number(Decimal),
    Sign(&'static str),
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    span: Range<usize>,
}

fn tokens(text: &str) -> Result<Vec<Token>, Wrong> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let start = at;
        let kind = match first {
            _ if first.is_whitespace() => {
                at += first.len_utf8();
                continue;
            }
            '\'' | '"' => {
                let content = quoted(text, &mut at, first)?;
                if first == '"' { Kind::Name(content) } else { Kind::Text(content) }
            }
            '-' | '+' | '0'..='9' => {
                let end = text[at..]
                    .find(|c: char| !(c.is_ascii_digit() || matches!(c, '-' | '+' | '.')))
                    .map_or(text.len(), |n| at + n);
                at = end;
                let number = Decimal::parse(&text[start..end], b'.', None)
                    .map_err(|_| Wrong::new(&(start..end), "this is no number; a text stands in single quotes"))?;
                Kind::Number(number)
            }
            // `@`, `#`, `/` and `:` are parts of names in XML: `@kind`, `#text`, `/o:Orders/@batch`.
            _ if first.is_alphabetic() || matches!(first, '_' | '@' | '#' | '/') => {
                let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '#' | '/' | ':');
                at = text[at..].find(|c| !is_part(c)).map_or(text.len(), |n| at + n);
                Kind::Word(text[start..at].to_owned())
            }
            _ => {
                let signs = ["!=", "<>", "<=", ">=", "==", "=", "<", ">", "(", ")", ","];
                let Some(sign) = signs.into_iter().find(|sign| text[at..].starts_with(sign)) else {
                    return Err(Wrong::new(
                        &(at..at + first.len_utf8()),
                        format!("`{first}` has no meaning in a condition"),
                    ));
                };
                at += sign.len();
                Kind::Sign(sign)
            }
        };
        tokens.push(Token { kind, span: start..at });
    }
    Ok(tokens)
}

/// Text between quotes; a doubled quote stands for itself.
fn quoted(text: &str, at: &mut usize, quote: char) -> Result<String, Wrong> {
    let start = *at;
    let mut content = String::new();
    let mut rest = text[start + 1..].char_indices().peekable();
    while let Some((offset, c)) = rest.next() {
        if c != quote {
            content.push(c);
        } else if rest.peek().is_some_and(|(_, next)| *next == quote) {
            content.push(quote);
            rest.next();
        } else {
            *at = start + 1 + offset + 1;
            return Ok(content);
        }
    }
    Err(Wrong::new(&(start..text.len()), "the closing quote is missing"))
}

struct Parser<'a, 'b> {
    tokens: Vec<Token>,
    at: usize,
    within: &'a Surroundings<'b>,
    style: NumberStyle,
    length: usize,
}

impl Parser<'_, '_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self, expected: &str) -> Result<Token, Wrong> {
        let token = self
            .peek()
            .cloned()
            .ok_or_else(|| Wrong::new(&(self.length..self.length), format!("expected {expected}")))?;
        self.at += 1;
        Ok(token)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token { kind: Kind::Word(w), .. }) if w.eq_ignore_ascii_case(word));
        self.at += usize::from(found);
        found
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token { kind: Kind::Sign(s), .. }) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Condition, Wrong> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    fn all(&mut self) -> Result<Condition, Wrong> {
        let mut parts = vec![self.one()?];
        while self.take_word("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn one(&mut self) -> Result<Condition, Wrong> {
        if self.take_word("not") {
            return Ok(Condition::Not(Box::new(self.one()?)));
        }
        if self.take_sign("(") {
            let inner = self.any()?;
            let token = self.next("`)`")?;
            return if token.kind == Kind::Sign(")") {
                Ok(inner)
            } else {
                Err(Wrong::new(&token.span, "expected `)`"))
            };
        }
        self.test()
    }

    fn test(&mut self) -> Result<Condition, Wrong> {
        const OPERATORS: &str = "`=`, `!=`, `<`, `<=`, `>`, `>=`, `in (...)`, `starts with` or `is blank`";
        let (place, kind) = self.field()?;
        if self.take_word("is") {
            let negated = self.take_word("not");
            let token = self.next("`blank`")?;
            if !matches!(&token.kind, Kind::Word(word) if word.eq_ignore_ascii_case("blank")) {
                return Err(Wrong::new(&token.span, "expected `blank`"));
            }
            let blank = Condition::Blank { place };
            return Ok(if negated { Condition::Not(Box::new(blank)) } else { blank });
        }
        if self.take_word("starts") {
            self.take_word("with");
            let token = self.next("a text in single quotes")?;
            return match (token.kind, kind) {
                (Kind::Text(prefix), FieldKind::Text { .. }) => Ok(Condition::StartsWith { place, prefix }),
                (Kind::Text(_), _) => Err(Wrong::new(&token.span, "only a text can start with something")),
                _ => Err(Wrong::new(&token.span, "expected a text in single quotes")),
            };
        }
        let style = self.style;
        if self.take_word("in") {
            let open = self.next("`(`")?;
            if open.kind != Kind::Sign("(") {
                return Err(Wrong::new(&open.span, "expected `(`"));
            }
            let mut with = vec![self.literal(kind)?];
            while self.take_sign(",") {
                with.push(self.literal(kind)?);
            }
            let close = self.next("`,` or `)`")?;
            if close.kind != Kind::Sign(")") {
                return Err(Wrong::new(&close.span, "expected `,` or `)`"));
            }
            return Ok(Condition::In { place, with, style });
        }
        let token = self.next(OPERATORS)?;
        let test = match token.kind {
            Kind::Sign("=" | "==") => Test::Equal,
            Kind::Sign("!=" | "<>") => Test::NotEqual,
            Kind::Sign("<") => Test::Less,
            Kind::Sign("<=") => Test::LessOrEqual,
            Kind::Sign(">") => Test::Greater,
            Kind::Sign(">=") => Test::GreaterOrEqual,
            _ => return Err(Wrong::new(&token.span, format!("expected {OPERATORS}"))),
        };
        Ok(Condition::Compare { place, test, with: self.literal(kind)?, style })
    }

    fn field(&mut self) -> Result<(Place, FieldKind), Wrong> {
        let token = self.next("a field of the layout")?;
        let (Kind::Word(name) | Kind::Name(name)) = token.kind else {
            return Err(Wrong::new(&token.span, "expected a field of the layout"));
        };
        let (place, resolved) = self.within.resolve(&name).map_err(|unresolved| Wrong {
            span: token.span.clone(),
            message: unresolved.reason,
            help: unresolved.nearest.map(|near| format!("did you mean `{near}`?")),
        })?;
        if resolved.repeats || matches!(resolved.kind, FieldKind::Group) {
            return Err(Wrong::new(
                &token.span,
                format!("`{name}` is a group or repeats; a condition asks single fields"),
            ));
        }
        Ok((place, resolved.kind))
    }

    fn literal(&mut self, kind: FieldKind) -> Result<Literal, Wrong> {
        const EXPECTED: &str = "a text in single quotes or a number";
        let token = self.next(EXPECTED)?;
        match (token.kind, kind) {
            (Kind::Text(text), FieldKind::Number { .. }) => match Decimal::parse(&text, b'.', None) {
                Ok(number) => Ok(Literal::Number(number)),
                Err(_) => Err(Wrong::new(&token.span, "the field is a number, and this is none")),
            },
            (Kind::Text(text), FieldKind::Text { .. }) => Ok(Literal::Text(text)),
            (Kind::Number(number), FieldKind::Text { .. } | FieldKind::Number { .. }) => Ok(Literal::Number(number)),
            (Kind::Text(_) | Kind::Number(_), _) => {
                Err(Wrong::new(&token.span, "the field can only be asked for `is blank`"))
            }
            _ => Err(Wrong::new(&token.span, format!("expected {EXPECTED}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Condition;
    use crate::diagnostic::{Faults, SourceText, parse};
    use crate::mapping::number::NumberStyle;
    use crate::mapping::place::{Surroundings, Walk};
    use crate::mapping::testing::{Double, bad, number, text};
    use std::path::Path;

    fn record() -> Double {
        Double::new(vec![
            ("REC-TYPE", text("D ")),
            ("NAME", text("TEST it's")),
            ("AMOUNT", number("12.50")),
            ("COUNT", text("007")),
            ("EMPTY", text("")),
            ("BROKEN", bad()),
            ("Order No", text("A1")),
        ])
    }

    fn compile(condition: &str) -> Result<Condition, String> {
        let double = record();
        let faults = Faults::new();
        let source = SourceText::new(Path::new("t.toml"), format!("skip = \"\"\"{condition}\"\"\""));
        let root = parse(&source, &faults);
        let node = &root.as_table().unwrap()["skip"];
        Condition::compile(node, &Surroundings::record(&double), NumberStyle::PLAIN, &faults)
            .ok_or_else(|| faults.into_sorted().iter().map(ToString::to_string).collect())
    }

    fn check(condition: &str, expected: bool) {
        let double = record();
        let compiled = compile(condition).unwrap();
        assert_eq!(compiled.holds(&Walk::new(&double), &mut Vec::new()), expected, "{condition}");
    }

    #[test]
    fn holds() {
        check("REC-TYPE = 'D'", true);
        check("REC-TYPE != 'D'", false);
        check("REC-TYPE in ('H', 'T')", false);
        check("REC-TYPE in ('H', 'D')", true);
        check("NAME starts with 'TEST'", true);
        check("NAME = 'TEST it''s'", true);
        check("AMOUNT = 12.5 and AMOUNT < '13'", true);
        check("AMOUNT >= 13 or not COUNT = 8", true);
        check("COUNT = 7", true);
        check("COUNT = '7'", false);
        check("EMPTY is blank and NAME is not blank", true);
        check("(REC-TYPE = 'H' or REC-TYPE = 'D') and \"Order No\" = 'A1'", true);
        check("REC-TYPE = 'H' and REC-TYPE = 'T' or REC-TYPE = 'D'", true);
    }

    #[test]
    fn what_cannot_be_read_never_skips() {
        check("BROKEN = 'H'", false);
        check("BROKEN != 'H'", false);
        check("not BROKEN = 'H'", false);
        check("BROKEN is blank", false);
        check("BROKEN = 'H' or REC-TYPE = 'D'", true);
        check("BROKEN != 'H' and REC-TYPE = 'D'", false);
    }

    #[test]
    fn faults_point_at_the_word() {
        for (condition, expected) in [
            ("REC-TIPE = 'H'", "t.toml:1:11: there is no field `REC-TIPE` (did you mean `REC-TYPE`?)"),
            ("REC-TYPE = 'H", "t.toml:1:22: the closing quote is missing"),
            ("REC-TYPE ~ 'H'", "t.toml:1:20: `~` has no meaning in a condition"),
            ("REC-TYPE = H", "t.toml:1:22: expected a text in single quotes or a number"),
            ("REC-TYPE = 'H' 'I'", "t.toml:1:26: expected `and`, `or` or the end of the condition"),
            ("AMOUNT = 'x'", "t.toml:1:20: the field is a number, and this is none"),
            (
                "REC-TYPE",
                "t.toml:1:19: expected `=`, `!=`, `<`, `<=`, `>`, `>=`, `in (...)`, `starts with` or `is blank`",
            ),
            ("(REC-TYPE = 'H'", "t.toml:1:26: expected `)`"),
        ] {
            assert_eq!(compile(condition).unwrap_err(), expected, "{condition}");
        }
    }
}
