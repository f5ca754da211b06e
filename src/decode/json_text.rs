//! JSON text as a [`Json`], in one pass: numbers stay as they are written, and a string is borrowed where nothing in it is
//! escaped.

use std::borrow::Cow;
use std::collections::HashSet;

use super::encode::{Elements, Json, JsonFault};

/// Reads one value (RFC 8259), whose arrays and objects may lie `depth` deep in one another.
pub(super) fn parse(text: &str, depth: usize) -> Result<Json<'_>, JsonFault> {
    let mut parser = Parser { text, at: 0, most: depth };
    let value = parser.value(depth)?;
    parser.blanks();
    match parser.peek() {
        None => Ok(value),
        Some(_) => Err(parser.wrong("the end of the value")),
    }
}

/// The elements of a sound array, from its bracket on.
pub(super) fn elements(text: &str) -> impl Iterator<Item = Json<'_>> {
    let mut parser = Parser { text, at: 0, most: usize::MAX };
    let mut numbers = 0..;
    std::iter::from_fn(move || parser.element(numbers.next()?, usize::MAX).ok().flatten())
}

/// How many elements of an array are held as values.
const MOST_HELD: usize = 10_000;

/// How many members an object may have.
const MAX_MEMBERS: usize = 250_000;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    most: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        self.at += self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    /// What is due here and is not there.
    fn wrong(&self, expected: &str) -> JsonFault {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            None => "the end".to_owned(),
            Some(char) if char.is_control() => format!("U+{:04X}", u32::from(char)),
            Some(char) => format!("`{char}`"),
        };
        JsonFault::here(format!("{found} at byte {}, where {expected} is due", self.at))
    }

    fn expect(&mut self, byte: u8, expected: &str) -> Result<(), JsonFault> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonFault> {
        self.blanks();
        let deeper = || {
            let fault = || JsonFault::here(format!("arrays and objects lie more than {} deep", self.most));
            depth.checked_sub(1).ok_or_else(fault)
        };
        match self.peek() {
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'{') => {
                let deeper = deeper()?;
                self.object(deeper)
            }
            Some(b'[') => {
                let deeper = deeper()?;
                self.array(deeper)
            }
            Some(b't') => self.word("true", Json::Boolean(true)),
            Some(b'f') => self.word("false", Json::Boolean(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, JsonFault> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.wrong("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, JsonFault> {
        let mut members = Vec::new();
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a name in quotes"));
            }
            let name = self.string()?;
            self.blanks();
            self.expect(b':', "`:`")?;
            if members.len() == MAX_MEMBERS {
                return Err(JsonFault::here(format!("an object has more than {MAX_MEMBERS} members")));
            }
            let value = self.value(depth).map_err(|fault| fault.below(&name))?;
            members.push((name, value));
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    if let Some(name) = twice(&members) {
                        let fault = JsonFault::here(format!("the name `{name}` stands twice in one object"));
                        return Err(fault.below(name));
                    }
                    return Ok(Json::Object(members));
                }
                _ => return Err(self.wrong("`,` or `}`")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, JsonFault> {
        let start = self.at;
        let (mut elements, mut count) = (Vec::new(), 0);
        while let Some(element) = self.element(count, depth)? {
            if count == MOST_HELD {
                elements = Vec::new();
            }
            if count < MOST_HELD {
                elements.push(element);
            }
            count += 1;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        Ok(Json::Array(if count > MOST_HELD { Elements::of_text(text, count) } else { elements.into() }))
    }

    /// The element of this number of an array, from the bracket or the comma before it on; `None` when its end is behind.
    fn element(&mut self, number: usize, depth: usize) -> Result<Option<Json<'a>>, JsonFault> {
        self.blanks();
        let is_end = match self.peek() {
            _ if number == 0 => {
                self.at += 1;
                self.blanks();
                self.peek() == Some(b']')
            }
            Some(b',') => {
                self.at += 1;
                false
            }
            Some(b']') => true,
            _ => return Err(self.wrong("`,` or `]`")),
        };
        if is_end {
            self.at += 1;
            return Ok(None);
        }
        self.value(depth).map(Some).map_err(|fault| fault.below(number))
    }

    fn digits(&mut self) -> Result<(), JsonFault> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.wrong("a digit"));
        }
        self.at += count;
        Ok(())
    }

    fn number(&mut self) -> Result<Json<'a>, JsonFault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            // Behind a zero that begins a number no digit may stand.
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ if self.at == start => return Err(self.wrong("a value")),
            _ => return Err(self.wrong("a digit")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Json::Number(self.text.get(start..self.at).unwrap_or_default()))
    }

    /// A string, from its quote on.
    fn string(&mut self) -> Result<Cow<'a, str>, JsonFault> {
        self.at += 1;
        let mut start = self.at;
        let mut made = String::new();
        loop {
            let is_special = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < b' ';
            let Some(length) = self.rest().iter().position(is_special) else {
                self.at = self.text.len();
                return Err(self.wrong("the quote that ends a string"));
            };
            self.at += length;
            let piece = self.text.get(start..self.at).unwrap_or_default();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if made.is_empty() {
                        return Ok(Cow::Borrowed(piece));
                    }
                    made.push_str(piece);
                    return Ok(Cow::Owned(made));
                }
                Some(b'\\') => {
                    made.push_str(piece);
                    made.push(self.escaped()?);
                    start = self.at;
                }
                _ => return Err(self.wrong("an escape in place of a control character")),
            }
        }
    }

    /// What an escape stands for, from its backslash on.
    fn escaped(&mut self) -> Result<char, JsonFault> {
        self.at += 1;
        let char = match self.peek() {
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            _ => return Err(self.wrong("a character that can be escaped")),
        };
        self.at += 1;
        Ok(char)
    }

    fn unit(&mut self) -> Result<u32, JsonFault> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.wrong("a hexadecimal digit"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn unicode(&mut self) -> Result<char, JsonFault> {
        let first = self.unit()?;
        if let Some(char) = char::from_u32(first) {
            return Ok(char);
        }
        let second = match self.rest() {
            [b'\\', b'u', ..] if first < 0xDC00 => {
                self.at += 2;
                self.unit()?.checked_sub(0xDC00).filter(|low| *low < 0x400)
            }
            _ => None,
        };
        let pair = second.and_then(|low| char::from_u32(0x10000 + ((first - 0xD800) << 10) + low));
        pair.ok_or_else(|| self.wrong("the other half of a character"))
    }
}

/// A name that two members have: one of the two values would be lost.
fn twice<'m>(members: &'m [(Cow<'_, str>, Json<'_>)]) -> Option<&'m str> {
    /// Up to here comparing each with each is quicker than hashing.
    const FEW: usize = 12;
    if members.len() <= FEW {
        let mut names = members.iter().enumerate();
        return names
            .find_map(|(at, (name, _))| members[..at].iter().any(|(other, _)| other == name).then_some(name.as_ref()));
    }
    let mut known = HashSet::with_capacity(members.len());
    members.iter().map(|(name, _)| name.as_ref()).find(|name| !known.insert(*name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::encode::Json;
    use super::parse;

    /// The same value as another reader has it; numbers are compared as they are written.
    fn same(json: &Json<'_>, value: &Value) -> bool {
        match (json, value) {
            (Json::Null, Value::Null) => true,
            (Json::Boolean(one), Value::Bool(other)) => one == other,
            (Json::Number(one), Value::Number(other)) => {
                // The other reader is off by some last bits of a float.
                let (one, other) = (one.parse::<f64>().unwrap(), other.as_f64().unwrap());
                one == other || (one - other).abs() <= one.abs() * 1e-14
            }
            (Json::Text(one), Value::String(other)) => one == other,
            (Json::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(&one, other))
            }
            (Json::Object(members), Value::Object(other)) => {
                other.iter().all(|(name, value)| json.member(name).is_some_and(|own| same(own, value)))
                    && members.iter().all(|(name, _)| other.contains_key(name.as_ref()))
            }
            _ => false,
        }
    }

    fn agrees(text: &str) {
        match (parse(text, 64), serde_json::from_str::<Value>(text)) {
            (Ok(json), Ok(value)) => assert!(same(&json, &value), "{text}"),
            (Err(_), Err(_)) => {}
            // Numbers that no float is as large as are numbers here.
            (Ok(_), Err(error)) if error.to_string().contains("out of range") => {}
            (ours, theirs) => panic!("{text}: {ours:?}, {theirs:?}"),
        }
    }

    #[test]
    fn what_is_wrong_says_where() {
        let fault = |text: &str| parse(text, 64).unwrap_err().to_string();
        assert_eq!(fault("{\"a\" 1}"), "`1` at byte 5, where `:` is due");
        assert_eq!(fault("{\"a\":"), "the end at byte 5, where a value is due");
        assert_eq!(fault("[1 \u{e4}]"), "`\u{e4}` at byte 3, where `,` or `]` is due");
        assert_eq!(fault("\"a\nb\""), "U+000A at byte 2, where an escape in place of a control character is due");
        assert_eq!(fault("\"\\ud800\\u0041\""), "`\"` at byte 13, where the other half of a character is due");
        assert_eq!(fault("1 2"), "`2` at byte 2, where the end of the value is due");
        assert_eq!(fault("\"abc"), "the end at byte 4, where the quote that ends a string is due");
    }

    #[test]
    fn and_by_which_pointer() {
        let pointer = |text: &str| parse(text, 4).unwrap_err().pointer().to_owned();
        assert_eq!(
            (pointer(""), pointer("{\"a\" 1}"), pointer("[1 2]")),
            (String::new(), String::new(), String::new())
        );
        assert_eq!(pointer("{\"a\":[0,{\"b/c~\":tru}]}"), "/a/1/b~1c~0");
        assert_eq!(pointer("[[],[1,2,]]"), "/1/2");
        assert_eq!(pointer("{\"a\":[[[[]]]]}"), "/a/0/0/0");
        assert_eq!(pointer("[{\"a\":1,\"a\":2}]"), "/0/a");
    }

    #[test]
    fn odd_texts_are_judged_as_others_judge_them() {
        for text in [
            "",
            " ",
            "0",
            "-",
            "-0",
            "01",
            "1.",
            ".5",
            "1e",
            "1e+",
            "1E-5",
            "1.5e3",
            "+1",
            "tru",
            "true",
            "nul",
            "null ",
            "[]",
            "[,]",
            "[1,]",
            "{}",
            "{,}",
            "{\"a\":1,}",
            "{a:1}",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u00e4\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ud83dx\"",
            "\"\\/\\b\\f\\n\\r\\t\\\\\\\"\"",
            "\u{feff}1",
            "\u{a0}1",
            "[[[[1]]]]",
            "\"\u{7f}\"",
            "\"\\u0000\"",
            "[1]x",
            "nan",
            "\t\r\n 1 \n",
        ] {
            agrees(text);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_as_others_judge_it(text in "[\\[\\]{}:,\"\\\\u0-9a-f.eE+ -]{0,24}") {
            agrees(&text);
        }

        #[test]
        fn values_are_read_as_others_read_them(text in "\\PC{0,20}", number in any::<f64>().prop_filter("finite", |number| number.is_finite()), names in proptest::collection::vec("\\PC{0,6}", 0..4)) {
            let members: serde_json::Map<String, Value> = names.into_iter().map(|name| (name, serde_json::json!([text, number, null]))).collect();
            agrees(&Value::Object(members).to_string());
        }
    }

    #[test]
    fn a_name_stands_once_in_an_object() {
        let many = |last: &str| {
            let members: Vec<String> = (0..40).map(|number| format!("\"m{number}\":0")).collect();
            format!("{{{},\"{last}\":1}}", members.join(","))
        };
        for (text, twice) in [(r#"{"a":1,"b":2,"a":1}"#.to_owned(), "a"), (many("m7"), "m7")] {
            let fault = parse(&text, 9).unwrap_err();
            assert_eq!(fault.to_string(), format!("the name `{twice}` stands twice in one object"));
        }
        assert!(parse(&many("m40"), 9).is_ok());
        assert!(parse(r#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#, 9).is_ok());
    }
}
