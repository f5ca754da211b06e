//! The way back: the JSON that `decode` writes of a record becomes the record's bytes again, by the same layout.
//!
//! What comes in is text, read into a [`Json`] that keeps every number as it is written, so that a decimal of 38 digits
//! passes through unharmed. What goes out is the record with its framing. A value that the layout cannot hold is an
//! [`EncodeFault`] that names it by JSON pointer; nothing of its record is written.

use std::borrow::Cow;
use std::fmt;

use super::member_names::is_meta;
use super::{Decoder, Kind, json_text};

/// How deep arrays and objects may lie in one another.
const MAX_DEPTH: usize = 256;

/// A JSON value with its numbers as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number, as it is written.
    Number(&'a str),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    Array(Elements<'a>),
    /// An object, in the order in which it is written; of a name that stands twice, both.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// The elements of an array. Of a long one the text is kept, and read again when they are asked for: memory follows the
/// text and not the number of values in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elements<'a>(Held<'a>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Held<'a> {
    Values(Vec<Json<'a>>),
    /// From the bracket on; it was read once, so it is sound.
    Text {
        text: &'a str,
        count: usize,
    },
}

impl<'a> Elements<'a> {
    /// The elements of an array that is sound, from its bracket on.
    pub(super) fn of_text(text: &'a str, count: usize) -> Elements<'a> {
        Elements(Held::Text { text, count })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Held::Values(values) => values.len(),
            Held::Text { count, .. } => *count,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One after another.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'_, Json<'a>>> {
        let (held, text) = match &self.0 {
            Held::Values(values) => (values.as_slice(), "[]"),
            Held::Text { text, .. } => (&[][..], *text),
        };
        held.iter().map(Cow::Borrowed).chain(json_text::elements(text).map(Cow::Owned))
    }
}

impl<'a> From<Vec<Json<'a>>> for Elements<'a> {
    fn from(values: Vec<Json<'a>>) -> Elements<'a> {
        Elements(Held::Values(values))
    }
}

/// The text is not one JSON value, or one that lies too deep.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub struct JsonFault {
    said: String,
    pointer: String,
}

impl JsonFault {
    /// At the value itself.
    pub(super) fn here(said: String) -> JsonFault {
        JsonFault { said, pointer: String::new() }
    }

    /// JSON pointer (RFC 6901) of the value that is read when nothing fits any more; empty for the whole text.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The fault with a step of the pointer put before it.
    pub(super) fn below(mut self, step: impl fmt::Display) -> JsonFault {
        put_before(&mut self.pointer, step);
        self
    }
}

/// Puts a step before a pointer: a member's name, or an element's index.
fn put_before(pointer: &mut String, step: impl fmt::Display) {
    let step = step.to_string().replace('~', "~0").replace('/', "~1");
    pointer.insert_str(0, &step);
    pointer.insert(0, '/');
}

impl<'a> Json<'a> {
    /// Reads one value (RFC 8259).
    pub fn parse(text: &'a str) -> Result<Json<'a>, JsonFault> {
        json_text::parse(text, MAX_DEPTH)
    }

    /// The member of an object. A name stands in it once.
    pub fn member(&self, name: &str) -> Option<&Json<'a>> {
        let Json::Object(members) = self else { return None };
        members.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// The value at a JSON pointer, to be changed. A long array on the way to it is read into memory.
    pub fn at_mut(&mut self, pointer: &str) -> Option<&mut Json<'a>> {
        let Some(below) = pointer.strip_prefix('/') else { return Some(self) };
        let (step, _) = below.split_once('/').unwrap_or((below, ""));
        let name = step.replace("~1", "/").replace("~0", "~");
        let inner = match self {
            Json::Object(members) => members.iter_mut().find(|(own, _)| *own == name).map(|(_, value)| value)?,
            Json::Array(Elements(held)) => {
                if let Held::Text { text, .. } = *held {
                    *held = Held::Values(json_text::elements(text).collect());
                }
                let Held::Values(values) = held else { return None };
                values.get_mut(name.parse::<usize>().ok()?)?
            }
            _ => return None,
        };
        inner.at_mut(&below[step.len()..])
    }

    /// Puts another value at a JSON pointer, or with `None` takes a member away there; answers whether there is one.
    pub fn replace(&mut self, pointer: &str, value: Option<Json<'a>>) -> bool {
        let Some(value) = value else {
            let Some((above, name)) = pointer.rsplit_once('/') else { return false };
            let name = name.replace("~1", "/").replace("~0", "~");
            let Some(Json::Object(members)) = self.at_mut(above) else { return false };
            let before = members.len();
            members.retain(|(own, _)| *own != name);
            return members.len() < before;
        };
        let place = self.at_mut(pointer);
        place.map(|place| *place = value).is_some()
    }

    /// The members of an object without those that `decode --meta` adds: `_offset`, `_length` and `_record`, as numbers.
    /// `own` tells names that are the layout's all the same.
    pub(super) fn members(
        &self,
        own: impl Fn(&str) -> bool,
    ) -> Result<impl Iterator<Item = &(Cow<'a, str>, Json<'a>)>, EncodeFault> {
        let Json::Object(members) = self else { return Err(EncodeFault::here("an object", self)) };
        Ok(members.iter().filter(move |(name, value)| !(matches!(value, Json::Number(_)) && is_meta(name, &own))))
    }

    /// The text of a value for a layout that holds text: a string, or a number or boolean as it is written. `None` for
    /// null.
    pub(super) fn as_text(&self) -> Result<Option<&str>, EncodeFault> {
        match self {
            Json::Text(text) => Ok(Some(text)),
            Json::Number(text) => Ok(Some(text)),
            Json::Boolean(value) => Ok(Some(if *value { "true" } else { "false" })),
            Json::Null => Ok(None),
            Json::Array(_) | Json::Object(_) => Err(EncodeFault::here("a text", self)),
        }
    }

    /// The name of the kind, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Boolean(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::Text(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

/// For messages: numbers and short strings as they are written, of the rest the kind.
impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Number(text) => f.write_str(text),
            Json::Text(text) if text.len() <= 80 => write!(f, "{text:?}"),
            Json::Boolean(value) => write!(f, "{value}"),
            _ => f.write_str(self.kind()),
        }
    }
}

/// A value that the layout cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: expected {expected}, found {found}")]
pub struct EncodeFault {
    /// JSON pointer (RFC 6901) of the value, `/LINE-ITEM/2/SKU`; empty for the record itself.
    pub pointer: String,
    /// What the layout can hold there, as a phrase: `PIC S9(9)V99 COMP-3`.
    pub expected: String,
    /// What is there instead, as a phrase.
    pub found: String,
}

impl EncodeFault {
    /// The fault with a step of the pointer put before it: a member's name, or an element's index.
    pub(super) fn below(mut self, step: impl fmt::Display) -> EncodeFault {
        put_before(&mut self.pointer, step);
        self
    }

    /// A fault at the value itself.
    pub(super) fn here(expected: impl Into<String>, found: impl fmt::Display) -> EncodeFault {
        EncodeFault { pointer: String::new(), expected: expected.into(), found: found.to_string() }
    }
}

/// What a format does to write its records.
pub(super) trait RecordWriter {
    /// What stands before the first record: the header row of a CSV file, the envelope of an interchange.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let _ = out;
        Ok(())
    }

    /// Appends one record with its framing. After a fault `out` may hold a part of it.
    fn record(&mut self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault>;

    /// What stands behind the last record.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let _ = out;
        Ok(())
    }
}

/// Writes records by a layout. Made by [`Decoder::encoder`].
pub struct Encoder<'a> {
    writer: Box<dyn RecordWriter + 'a>,
    begun: bool,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(writer: impl RecordWriter + 'a) -> Encoder<'a> {
        Encoder { writer: Box::new(writer), begun: false }
    }

    /// Appends one record, and before the first one what the format puts there. After a fault `out` is as it was and the
    /// next record can be written.
    pub fn record(&mut self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let start = out.len();
        let begun = self.begun;
        let written = self.begin(out).and_then(|()| self.writer.record(value, out));
        if written.is_err() {
            out.truncate(start);
            self.begun = begun;
        }
        written
    }

    /// Appends what the format puts behind the last record, and before it what comes first where there was no record.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.begin(out)?;
        self.writer.finish(out)
    }

    /// Appends what the format puts before the first record, unless that was done. A fault here is one of the layout: no
    /// record of it can be written.
    pub fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        if !self.begun {
            self.writer.begin(out)?;
            self.begun = true;
        }
        Ok(())
    }
}

impl Decoder {
    /// A writer of records in this layout; each call begins a new file. `None` for a layout that is only read: a framing
    /// that is to be found out from a file.
    pub fn encoder(&self) -> Option<Encoder<'_>> {
        match &self.0 {
            Kind::Csv(csv) => Some(Encoder::new(csv.writer())),
            Kind::FixedWidth(fixed_width) => Some(Encoder::new(fixed_width.writer())),
            Kind::Cobol(cobol) => cobol.writer().map(Encoder::new),
            Kind::Edi(edi) => Some(Encoder::new(edi.writer())),
            Kind::Idoc(idoc) => Some(Encoder::new(idoc.writer())),
            Kind::Xml(xml) => Some(Encoder::new(xml.writer())),
            Kind::Excel(_) | Kind::Rows(_) | Kind::Soap(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EncodeFault, Json, MAX_DEPTH};

    #[test]
    fn numbers_stay_as_they_are_written() {
        let text = r#"{"a": 12345678901234567890123456789012345678.10, "b":[ -0.0,1E5 ], "c\u0041":"x\ny", "d":null}"#;
        let json = Json::parse(text).unwrap();
        assert_eq!(json.member("a"), Some(&Json::Number("12345678901234567890123456789012345678.10")));
        assert_eq!(json.member("b"), Some(&Json::Array(vec![Json::Number("-0.0"), Json::Number("1E5")].into())));
        assert_eq!(json.member("cA"), Some(&Json::Text("x\ny".into())));
        assert_eq!(json.member("d"), Some(&Json::Null));
    }

    #[test]
    fn depth_is_bounded_and_broken_text_a_fault() {
        assert!(Json::parse(&format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH))).is_ok());
        assert!(Json::parse(&format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1))).is_err());
        assert!(Json::parse(&"[".repeat(1_000_000)).is_err());
        for broken in ["", "{", "{\"a\":}", "1 2", "\"\\ud800\"", "nul"] {
            assert!(Json::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn long_arrays_are_the_same_as_short_ones() {
        let element = |number: usize| format!(r#" {{"n":{number},"of":[[],"x\n",null]}} "#);
        for count in [0, 1, 9_999, 10_000, 10_001, 25_000] {
            let text = format!("[{}]", (0..count).map(element).collect::<Vec<_>>().join(","));
            let Json::Array(elements) = Json::parse(&text).unwrap() else { panic!("an array") };
            assert_eq!((elements.len(), elements.is_empty()), (count, count == 0));
            assert_eq!(elements.iter().count(), count);
            for (number, read) in elements.iter().enumerate() {
                let text = element(number);
                assert_eq!(*read, Json::parse(&text).unwrap());
            }
        }
        let faulty = format!("[{}1,]", "1,".repeat(20_000));
        assert!(Json::parse(&faulty).is_err());
        let wide: Vec<String> = (0..=250_000).map(|number| format!("\"{number}\":1")).collect();
        let fault = Json::parse(&format!("{{{}}}", wide.join(","))).unwrap_err();
        assert_eq!(fault.to_string(), "an object has more than 250000 members");
    }

    #[test]
    fn a_value_is_replaced_where_it_stands() {
        let mut json = Json::parse(r#"{"a":[{"b/c":1},2],"d":null}"#).unwrap();
        assert!(json.replace("/a/0/b~1c", Some(Json::Text("x".into()))) && json.replace("/d", Some(Json::Number("7"))));
        for missing in ["/e", "/a/2", "/a/x", "/d/f"] {
            assert!(!json.replace(missing, Some(Json::Null)) && !json.replace(missing, None), "{missing}");
        }
        assert_eq!(json, Json::parse(r#"{"a":[{"b/c":"x"},2],"d":7}"#).unwrap());
        assert!(json.replace("/a/0/b~1c", None) && json.replace("/d", None) && !json.replace("/a/1", None));
        assert_eq!(json, Json::parse(r#"{"a":[{},2]}"#).unwrap());
        assert!(json.replace("", Some(Json::Null)) && !json.replace("", None));
        assert_eq!(json, Json::Null);
        let long = format!("[{}1]", "{\"a\":1},".repeat(20_000));
        let mut json = Json::parse(&long).unwrap();
        assert!(json.replace("/19999/a", Some(Json::Null)) && !json.replace("/20001", Some(Json::Null)));
        assert_eq!(json.at_mut("/19999/a"), Some(&mut Json::Null));
        assert_eq!(json.at_mut("/20000"), Some(&mut Json::Number("1")));
    }

    #[test]
    fn pointers_are_escaped() {
        let fault = EncodeFault::here("a number", "a string").below("A/B~").below(2).below("T");
        assert_eq!(fault.pointer, "/T/2/A~1B~0");
    }
}
