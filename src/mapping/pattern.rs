//! Regular expressions of a mapping in the words of JSON Schema, which are those of ECMA-262.
//!
//! A mapping has those of the `regex` crate. Most are the same in both. What the other cannot say (flags, properties of
//! Unicode, classes that are taken from one another) is not published as a pattern: one that cannot be read stops generated
//! clients. Classes like `\d` are ASCII's there and Unicode's here: the schema says less than is taken.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    AssertionKind, Ast, ClassAsciiKind, ClassBracketed, ClassPerl, ClassPerlKind, ClassSet, ClassSetItem, ClassUnicode,
    ClassUnicodeKind, GroupKind, RepetitionKind, RepetitionRange,
};
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// The same pattern in those words; `None` where they cannot say it.
pub(super) fn portable(pattern: &str) -> Option<String> {
    let ast = Parser::new().parse(pattern).ok()?;
    let mut out = String::with_capacity(pattern.len() + 8);
    write(&ast, &mut out)?;
    Some(out)
}

/// Whether no text that fits a pattern has a character of these ranges.
pub(super) fn keeps_out(pattern: &str, ranges: &[(char, char)]) -> bool {
    let Ok(hir) = regex_syntax::parse(pattern) else { return false };
    let (before, behind) = (hir.properties().look_set_prefix(), hir.properties().look_set_suffix());
    before.contains(Look::Start) && behind.contains(Look::End) && !lets_in(&hir, ranges)
}

fn lets_in(hir: &Hir, ranges: &[(char, char)]) -> bool {
    let meets = |from: char, to: char| ranges.iter().any(|(first, last)| from <= *last && *first <= to);
    match hir.kind() {
        HirKind::Literal(literal) => {
            std::str::from_utf8(&literal.0).map_or(true, |text| text.chars().any(|char| meets(char, char)))
        }
        HirKind::Class(Class::Unicode(class)) => class.iter().any(|range| meets(range.start(), range.end())),
        HirKind::Class(Class::Bytes(_)) => true,
        kind => kind.subs().iter().any(|part| lets_in(part, ranges)),
    }
}

/// Appends a pattern; `None` where it cannot be said.
fn write(ast: &Ast, out: &mut String) -> Option<()> {
    match ast {
        Ast::Empty(_) => {}
        Ast::Literal(literal) => character(literal.c, "\\^$.|?*+()[]{}", out),
        // ECMA-262 has more ends of lines.
        Ast::Dot(_) => out.push_str("[^\\n]"),
        Ast::Assertion(assertion) => out.push_str(match assertion.kind {
            AssertionKind::StartLine | AssertionKind::StartText => "^",
            AssertionKind::EndLine | AssertionKind::EndText => "$",
            AssertionKind::WordBoundary => "\\b",
            AssertionKind::NotWordBoundary => "\\B",
            _ => return None,
        }),
        Ast::ClassPerl(class) => out.push_str(perl(class)),
        Ast::ClassBracketed(class) => bracketed(class, out)?,
        Ast::Repetition(repetition) => {
            if matches!(*repetition.ast, Ast::Assertion(_) | Ast::Repetition(_) | Ast::Empty(_)) {
                return None;
            }
            write(&repetition.ast, out)?;
            match &repetition.op.kind {
                RepetitionKind::ZeroOrOne => out.push('?'),
                RepetitionKind::ZeroOrMore => out.push('*'),
                RepetitionKind::OneOrMore => out.push('+'),
                RepetitionKind::Range(RepetitionRange::Exactly(count)) => out.push_str(&format!("{{{count}}}")),
                RepetitionKind::Range(RepetitionRange::AtLeast(least)) => out.push_str(&format!("{{{least},}}")),
                RepetitionKind::Range(RepetitionRange::Bounded(least, most)) => {
                    out.push_str(&format!("{{{least},{most}}}"));
                }
            }
            if !repetition.greedy {
                out.push('?');
            }
        }
        Ast::Group(group) => {
            out.push_str(match &group.kind {
                GroupKind::CaptureIndex(_) | GroupKind::CaptureName { .. } => "(",
                GroupKind::NonCapturing(flags) if flags.items.is_empty() => "(?:",
                GroupKind::NonCapturing(_) => return None,
            });
            write(&group.ast, out)?;
            out.push(')');
        }
        Ast::Alternation(alternation) => {
            for (number, branch) in alternation.asts.iter().enumerate() {
                if number > 0 {
                    out.push('|');
                }
                write(branch, out)?;
            }
        }
        Ast::Concat(concat) => concat.asts.iter().try_for_each(|part| write(part, out))?,
        Ast::ClassUnicode(class) if is_digits(class) => out.push_str("\\d"),
        Ast::Flags(_) | Ast::ClassUnicode(_) => return None,
    }
    Some(())
}

fn bracketed(class: &ClassBracketed, out: &mut String) -> Option<()> {
    let ClassSet::Item(item) = &class.kind else { return None };
    out.push_str(if class.negated { "[^" } else { "[" });
    member(item, out)?;
    out.push(']');
    Some(())
}

fn member(item: &ClassSetItem, out: &mut String) -> Option<()> {
    const SPECIAL: &str = "\\]^-[";
    match item {
        ClassSetItem::Empty(_) => {}
        ClassSetItem::Literal(literal) => character(literal.c, SPECIAL, out),
        ClassSetItem::Range(range) => {
            character(range.start.c, SPECIAL, out);
            out.push('-');
            character(range.end.c, SPECIAL, out);
        }
        ClassSetItem::Perl(class) => out.push_str(perl(class)),
        ClassSetItem::Ascii(class) if !class.negated => out.push_str(ascii(&class.kind)),
        ClassSetItem::Unicode(class) if is_digits(class) => out.push_str("\\d"),
        ClassSetItem::Union(union) => union.items.iter().try_for_each(|item| member(item, out))?,
        ClassSetItem::Ascii(_) | ClassSetItem::Unicode(_) | ClassSetItem::Bracketed(_) => return None,
    }
    Some(())
}

/// `\p{Nd}`, as `\d` of XML Schema is read.
fn is_digits(class: &ClassUnicode) -> bool {
    !class.negated && matches!(&class.kind, ClassUnicodeKind::Named(name) if name == "Nd")
}

fn character(char: char, special: &str, out: &mut String) {
    match char {
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\x{:02X}", u32::from(char))),
        _ if special.contains(char) => out.extend(['\\', char]),
        _ => out.push(char),
    }
}

const fn perl(class: &ClassPerl) -> &'static str {
    match (&class.kind, class.negated) {
        (ClassPerlKind::Digit, false) => "\\d",
        (ClassPerlKind::Digit, true) => "\\D",
        (ClassPerlKind::Space, false) => "\\s",
        (ClassPerlKind::Space, true) => "\\S",
        (ClassPerlKind::Word, false) => "\\w",
        (ClassPerlKind::Word, true) => "\\W",
    }
}

/// `[:alpha:]` and the like, as they stand between brackets.
const fn ascii(kind: &ClassAsciiKind) -> &'static str {
    match kind {
        ClassAsciiKind::Alnum => "0-9A-Za-z",
        ClassAsciiKind::Alpha => "A-Za-z",
        ClassAsciiKind::Ascii => "\\x00-\\x7F",
        ClassAsciiKind::Blank => " \\t",
        ClassAsciiKind::Cntrl => "\\x00-\\x1F\\x7F",
        ClassAsciiKind::Digit => "0-9",
        ClassAsciiKind::Graph => "!-~",
        ClassAsciiKind::Lower => "a-z",
        ClassAsciiKind::Print => " -~",
        ClassAsciiKind::Punct => "!-/:-@\\[-`{-~",
        ClassAsciiKind::Space => "\\t\\n\\x0B\\x0C\\r ",
        ClassAsciiKind::Upper => "A-Z",
        ClassAsciiKind::Word => "0-9A-Z_a-z",
        ClassAsciiKind::Xdigit => "0-9A-Fa-f",
    }
}

#[cfg(test)]
mod tests {
    use super::{keeps_out, portable};
    use proptest::prelude::*;
    use regex::Regex;

    #[test]
    fn what_is_the_same_in_both_stays_as_it_is() {
        for pattern in [
            "^[0-9]{10}$",
            "^[A-Za-z0-9 ]{1,40}$",
            "^(OP|CL)-[^,;]+?(x|)$",
            "^\\d{2,}\\.\\w*\\s?[\\W\\d]\\bö$",
            "^(?:a|b){3}/c",
            "",
        ] {
            assert_eq!(portable(pattern).as_deref(), Some(pattern));
        }
    }

    #[test]
    fn what_is_said_otherwise_is_translated_and_what_cannot_be_said_is_not() {
        let check = |pattern: &str, expected: Option<&str>| {
            assert_eq!(portable(pattern).as_deref(), expected, "{pattern}");
        };
        check(r"\A(?P<year>[0-9]{4})\z", Some("^([0-9]{4})$"));
        check(r"a.b", Some(r"a[^\n]b"));
        check(r"^[[:alpha:]_]+$", Some("^[A-Za-z_]+$"));
        check(r"^[]a-]$", Some(r"^[\]a\-]$"));
        check(r"^a\-b\/c\x{20AC}\x07$", Some("^a-b/c\u{20ac}\\x07$"));
        check(r"^a]b}$", Some(r"^a\]b\}$"));
        check(r"^(?:[A-Z]{2}\p{Nd}+[\p{Nd}x])$", Some(r"^(?:[A-Z]{2}\d+[\dx])$"));
        for pattern in [
            r"(?i)^[a-z]+$",
            r"^(?i:abc)$",
            r"^\p{L}+$",
            r"^[\pN]$",
            r"^[a-z&&[^x]]$",
            r"^[a-z--x]$",
            r"^[[:^alpha:]]$",
            r"^(?x) a$",
            r"\b{start}a",
            r"^*a",
            r"a**",
            "(",
        ] {
            check(pattern, None);
        }
    }

    #[test]
    fn what_is_anchored_and_has_no_such_character_keeps_it_out() {
        let nul = [('\0', '\0')];
        for (pattern, expected) in [
            ("^[0-9]{4}$", true),
            (r"\A(a|b)+\z", true),
            ("^(?:a|[b-d])$", true),
            ("^[0-9]+", false),
            ("[0-9]+$", false),
            ("^a$|b", false),
            ("^[^,]*$", false),
            (r"^a\x00$", false),
            ("^.$", false),
            ("(", false),
        ] {
            assert_eq!(keeps_out(pattern, &nul), expected, "{pattern}");
        }
    }

    proptest! {
        /// Said with the characters that mean the same in both, a pattern takes the same texts as before.
        #[test]
        fn it_means_the_same(
            pattern in r"(\^)?((\[\^?[a-c\]\[.-]{1,4}\]|[a-d.]|\\[.\-\[\]{}|]|\(([ab]|a\|b|\[\^c\])\))([*+?]|\{1,2\})?\??){0,4}(\$)?",
            texts in proptest::collection::vec("[a-d.\\-\\[\\]{}|\n]{0,6}", 1..30),
        ) {
            if let (Ok(own), Some(said)) = (Regex::new(&pattern), portable(&pattern)) {
                let said = Regex::new(&said).unwrap();
                for text in &texts {
                    prop_assert_eq!(own.is_match(text), said.is_match(text), "{} {} {}", own, said, text);
                }
            }
        }
    }
}
