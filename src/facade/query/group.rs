//! Filters put together: `or=(status=open,and(amount[gte]=100,amount[lt]=200))`, and `and=(...)` likewise.
//!
//! ```text
//! group = "(" term *( "," term ) ")"
//! term  = ( "or" / "and" ) group  /  filter "=" value
//! value = text  /  "(" text *( "," text ) ")"      the second for [in] and [nin]
//! text  = any characters but , ( ) "  /  '"' any characters, \" and \\ for " and \ '"'
//! ```
//!
//! The parameter is decoded before it is read, so a client may encode what it likes. A filter is written as it is
//! outside of a group. Faults say at which character they are.

use std::borrow::Cow;

use super::filter::{Doubt, MAX_VALUES, Test};
use crate::facade::catalog::Published;
use crate::http::{Problem, Reason};
use crate::staging::Condition;

/// Groups within groups at most.
const MAX_DEPTH: usize = 4;

/// Filters in one parameter at most.
const MAX_TERMS: usize = 64;

/// Reads the value of `or` or `and`, and adds to the doubts about values.
pub(super) fn parse(
    published: &Published,
    parameter: &str,
    text: &str,
    doubts: &mut Vec<Doubt>,
) -> Result<Condition, Problem> {
    let mut reader = Reader { published, parameter, text, at: 0, terms: 0, doubts: Vec::new() };
    let group = reader.group(parameter == "or", 1)?;
    match reader.rest() {
        "" => {
            doubts.append(&mut reader.doubts);
            Ok(group)
        }
        _ => Err(reader.fault("the group has ended before")),
    }
}

/// Reads the values of a filter that takes several, written as in a group, where the brackets may be left out. Clients encode
/// commas or do not as they like, so the text is one that was decoded, and a value with a comma stands in double quotes.
pub(super) fn list<'t>(published: &'t Published, name: &'t str, text: &'t str) -> Result<Vec<Cow<'t, str>>, Problem> {
    let mut reader = Reader { published, parameter: name, text, at: 0, terms: 0, doubts: Vec::new() };
    let is_bracketed = reader.take('(');
    let mut values = vec![reader.value()?];
    while reader.take(',') {
        // One more than there may be is told by who counts them.
        if values.len() > MAX_VALUES {
            break;
        }
        values.push(reader.value()?);
    }
    if is_bracketed && values.len() <= MAX_VALUES {
        reader.expect(')')?;
    }
    match reader.rest() {
        rest if rest.is_empty() || values.len() > MAX_VALUES => Ok(values),
        _ => Err(reader.fault("the list has ended before").hint("a list is written like a,b or (a,\"b, c\")")),
    }
}

struct Reader<'t> {
    published: &'t Published,
    parameter: &'t str,
    text: &'t str,
    /// In bytes.
    at: usize,
    terms: usize,
    doubts: Vec<Doubt>,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn fault(&self, what: &str) -> Problem {
        self.fault_at(self.at, what)
    }

    fn fault_at(&self, at: usize, what: &str) -> Problem {
        let problem = Reason::InvalidParameter.because(what.to_owned()).at(&self.place(at));
        problem.hint("a group is written like (status=open,and(amount[gte]=10,amount[lt]=20))")
    }

    fn take(&mut self, wanted: char) -> bool {
        let is_there = self.rest().starts_with(wanted);
        self.at += if is_there { wanted.len_utf8() } else { 0 };
        is_there
    }

    fn expect(&mut self, wanted: char) -> Result<(), Problem> {
        if self.take(wanted) {
            return Ok(());
        }
        let found = match self.rest().chars().next() {
            Some(found) => format!("`{found}`"),
            None => "the end".to_owned(),
        };
        Err(self.fault(&format!("expected `{wanted}`, found {found}")))
    }

    fn group(&mut self, is_any: bool, depth: usize) -> Result<Condition, Problem> {
        if depth > MAX_DEPTH {
            return Err(self.fault(&format!("groups within groups go {MAX_DEPTH} deep at most")));
        }
        self.expect('(')?;
        let mut conditions = Vec::new();
        loop {
            conditions.push(self.term(depth)?);
            if self.take(')') {
                break;
            }
            if !self.take(',') {
                self.expect(')')?;
            }
        }
        Ok(if is_any { Condition::Any(conditions) } else { Condition::All(conditions) })
    }

    fn term(&mut self, depth: usize) -> Result<Condition, Problem> {
        let begin = self.at;
        let name = self.until(&['=', '(', ')', ',']);
        if let ("or" | "and", true) = (name, self.rest().starts_with('(')) {
            return self.group(name == "or", depth + 1);
        }
        if name.is_empty() {
            return Err(self.fault("expected a filter like `status=open`, or a group like `or(...)`"));
        }
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(self.fault_at(begin, &format!("more than {MAX_TERMS} filters")));
        }
        let test = Test::parse(self.published, name).map_err(|problem| problem.at(&self.place(begin)))?;
        self.expect('=')?;
        let values = self.values(&test)?;
        let mut doubts = Vec::new();
        let filter = test.with(&values, &mut doubts).map_err(|problem| problem.at(&self.place(begin)))?;
        let place = self.place(begin);
        self.doubts.extend(doubts.into_iter().map(|doubt| Doubt { problem: doubt.problem.at(&place), ..doubt }));
        Ok(Condition::Field(filter))
    }

    fn place(&self, at: usize) -> String {
        let character = self.text.get(..at).unwrap_or(self.text).chars().count() + 1;
        format!("`{}`, at character {character}", self.parameter)
    }

    fn values(&mut self, test: &Test<'_>) -> Result<Vec<Cow<'t, str>>, Problem> {
        if !test.takes_several() {
            return Ok(vec![self.value()?]);
        }
        // One value needs no brackets.
        if !self.take('(') {
            return Ok(vec![self.value()?]);
        }
        let mut values = vec![self.value()?];
        while !self.take(')') {
            if !self.take(',') {
                self.expect(')')?;
            }
            if values.len() == MAX_VALUES {
                return Err(self.fault(&format!("more than {MAX_VALUES} values")));
            }
            values.push(self.value()?);
        }
        Ok(values)
    }

    fn value(&mut self) -> Result<Cow<'t, str>, Problem> {
        if !self.take('"') {
            let value = self.until(&[',', '(', ')', '"']);
            if self.rest().starts_with(['(', '"']) {
                return Err(self.fault("a value that has one of `,()\"` is written in double quotes"));
            }
            return Ok(Cow::Borrowed(value));
        }
        let mut value = String::new();
        loop {
            value.push_str(self.until(&['"', '\\']));
            if self.take('"') {
                return Ok(Cow::Owned(value));
            }
            if !self.take('\\') {
                return Err(self.fault("the double quote is not closed"));
            }
            match self.rest().chars().next() {
                Some(character @ ('"' | '\\')) => {
                    value.push(character);
                    self.at += 1;
                }
                _ => return Err(self.fault("after `\\` comes `\"` or `\\`")),
            }
        }
    }

    /// What stands before the first of these characters, or all that is left.
    fn until(&mut self, ends: &[char]) -> &'t str {
        let rest = self.rest();
        let taken = rest.find(ends).and_then(|at| rest.get(..at)).unwrap_or(rest);
        self.at += taken.len();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::facade::catalog::tests::published;
    use crate::staging::{Condition, Scalar};
    use proptest::prelude::*;

    /// A condition, written shortly.
    fn written(condition: &Condition) -> String {
        let list = |conditions: &[Condition]| conditions.iter().map(written).collect::<Vec<_>>().join(" ");
        match condition {
            Condition::All(conditions) => format!("all[{}]", list(conditions)),
            Condition::Any(conditions) => format!("any[{}]", list(conditions)),
            Condition::Field(filter) => {
                let values = filter.values.iter().map(|value| match value {
                    Scalar::Null => "null".to_owned(),
                    Scalar::Text(text) => format!("'{text}'"),
                    Scalar::Integer(number) => number.to_string(),
                    Scalar::Number(number) => number.to_string(),
                });
                format!("{}:{:?}:{}", filter.path, filter.comparison, values.collect::<Vec<_>>().join("|"))
            }
        }
    }

    fn check(parameter: &str, text: &str, expected: &str) {
        let group = parse(&published(), parameter, text, &mut Vec::new());
        assert_eq!(
            group.map(|group| written(&group)).map_err(|problem| problem.detail().to_owned()).as_deref(),
            Ok(expected)
        );
    }

    fn refused(text: &str, part: &str) {
        let problem = parse(&published(), "or", text, &mut Vec::new()).unwrap_err();
        assert!(problem.detail().contains(part), "{text}: {}", problem.detail());
    }

    #[test]
    fn groups() {
        check("or", "(status=open,amount[gt]=5)", "any[status:Equal:'open' amount:Greater:5]");
        check("and", "(status=open)", "all[status:Equal:'open']");
        check(
            "or",
            "(status=a,and(amount[gte]=1.5,or(customer.vip=true,ordered_on[lt]=2026-01-31)))",
            "any[status:Equal:'a' all[amount:GreaterOrEqual:1.5 any[customer.vip:Equal:1 ordered_on:Less:'2026-01-31']]]",
        );
        check("or", "(status[in]=(open,closed),status[nin]=a)", "any[status:In:'open'|'closed' status:NotIn:'a']");
        check("or", "(status[null]=true,status=)", "any[status:Equal:null status:Equal:'']");
        check(
            "or",
            r#"(status="a,(b)\"\\c",status[in]=("x,y",z))"#,
            r#"any[status:Equal:'a,(b)"\c' status:In:'x,y'|'z']"#,
        );
        check("or", "(status=a=b)", "any[status:Equal:'a=b']");
        check("or", "(status=Köln & co)", "any[status:Equal:'Köln & co']");
    }

    #[test]
    fn faults_say_where_they_are() {
        refused("", "character 1: expected `(`, found the end");
        refused("status=open", "character 1: expected `(`, found `s`");
        refused("()", "character 2: expected a filter");
        refused("(status=open", "character 13: expected `)`, found the end");
        refused("(status=open,)", "character 14: expected a filter");
        refused("(status=open)x", "character 14: the group has ended before");
        refused("(status)", "character 8: expected `=`, found `)`");
        refused("(status=ü,color=red)", "character 11: `color` is no parameter");
        refused("(status=a,amount=x)", "character 11: `amount`: expected a decimal number");
        refused("(status[like]=a)", "character 2: `status[like]`: operators of `status`");
        refused("(status=a(b)", "character 10: a value that has one of");
        refused("(status=\"a)", "character 12: the double quote is not closed");
        refused("(status=\"a\\n\")", "after `\\`");
        refused("(status=\"a\"b)", "character 12: expected `)`, found `b`");
        refused("(or(and(or(and(status=a)))))", "4 deep at most");
        refused(&format!("({}status=a)", "status=a,".repeat(64)), "more than 64 filters");
        refused(&format!("(status[in]=(a{}))", ",a".repeat(200)), "more than 200 values");
        refused("(not(status=a))", "`not` is no parameter");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[(),=\"\\\\a-dor\\[\\] ]{0,40}") {
            let _ = parse(&published(), "or", &text, &mut Vec::new());
        }

        #[test]
        fn any_value_can_be_quoted(value in "\\PC{0,20}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let group = parse(&published(), "or", &format!("(status=\"{quoted}\",status=x)"), &mut Vec::new()).unwrap();
            let Condition::Any(conditions) = group else { panic!() };
            let Some(Condition::Field(filter)) = conditions.first() else { panic!() };
            prop_assert_eq!(&filter.values, &[Scalar::Text(value)]);
        }
    }
}
