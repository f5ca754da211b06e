//! One record as a mapping sees it: its JSON, looked through when the first field is asked for.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use crate::decode::reader::foreign_slot;
use crate::decode::whole::WHOLE;
use crate::record::{Decimal, FieldFault, Fields, RejectCode, Scope, Slot, Value};
use crate::wsdl::VALUE;

/// What a value is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reading {
    /// As JSON has it.
    Json,
    /// Bytes in base64.
    Base64,
    /// Bytes in hex.
    Hex,
}

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Begins {
    /// At the record.
    Record,
    /// At the answer: its value stands around the records.
    Answer,
    /// At the blocks of the envelope's header.
    Header,
}

/// Where a slot leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    /// The members of the repeating values that it lies in, from the record on. Only tells slots apart.
    pub(super) within: Vec<String>,
    /// Members from the innermost of those on, or from where the path begins.
    pub(super) path: Vec<String>,
    /// Each of several.
    pub(super) repeats: bool,
    /// Where the path begins.
    pub(super) from: Begins,
    pub(super) reading: Reading,
}

/// A value of a record's JSON.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Its name as it is written, without quotes.
    key: (u32, u32),
    value: (u32, u32),
    /// Index behind the last node in it.
    end: u32,
    /// How many values are directly in it.
    count: u32,
}

/// A text that is JSON of our own making, with its values in one list.
#[derive(Debug, Default)]
struct Text {
    json: Vec<u8>,
    nodes: OnceCell<Vec<Node>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Stepped {
    slot: u32,
    scope: u32,
    index: usize,
    node: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Record {
    text: Text,
    around: Text,
    header: Text,
    asked: Vec<Asked>,
    shown: Vec<String>,
    stepped: Cell<Option<Stepped>>,
}

impl Text {
    fn nodes(&self) -> &[Node] {
        self.nodes.get_or_init(|| index(&self.json))
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes().get(at as usize)
    }

    fn bytes(&self, (from, to): (u32, u32)) -> &[u8] {
        self.json.get(from as usize..to as usize).unwrap_or_default()
    }

    fn value(&self, at: u32) -> &[u8] {
        self.node(at).map_or(&[], |node| self.bytes(node.value))
    }

    /// The value of a member.
    fn member(&self, object: u32, name: &str) -> Option<u32> {
        let end = self.node(object)?.end;
        if self.value(object).first() != Some(&b'{') {
            return None;
        }
        let mut at = object + 1;
        while at < end {
            let node = self.node(at)?;
            let key = self.bytes(node.key);
            if key == name.as_bytes() || memchr::memchr(b'\\', key).is_some() && unescaped(key) == name {
                return Some(at);
            }
            at = node.end;
        }
        None
    }

    fn find(&self, from: u32, path: &[String]) -> Option<u32> {
        path.iter().try_fold(from, |at, name| self.member(at, name))
    }
}

impl Record {
    /// For slots of a layout, in their order, with their names for messages.
    pub(super) fn new(asked: Vec<Asked>, shown: Vec<String>) -> Record {
        Record { asked, shown, ..Record::default() }
    }

    /// Whether values around the records are asked for.
    pub(super) fn asks_around(&self) -> bool {
        self.asked.iter().any(|asked| asked.from == Begins::Answer)
    }

    /// Whether values of the envelope's header are asked for.
    pub(super) fn asks_header(&self) -> bool {
        self.asked.iter().any(|asked| asked.from == Begins::Header)
    }

    /// Takes the JSON of the next record, and leaves a buffer for the one behind it.
    pub(super) fn take(&mut self, json: &mut Vec<u8>) {
        std::mem::swap(&mut self.text.json, json);
        self.text.nodes.take();
        self.stepped.set(None);
    }

    /// Takes what is around the record.
    pub(super) fn take_around(&mut self, json: Vec<u8>) {
        self.around = Text { json, nodes: OnceCell::new() };
    }

    /// Takes the blocks of the envelope's header.
    pub(super) fn take_header(&mut self, json: Vec<u8>) {
        self.header = Text { json, nodes: OnceCell::new() };
    }

    /// What a slot asks for.
    fn asked(&self, slot: Slot) -> Option<&Asked> {
        self.asked.get(slot.0 as usize)
    }

    /// Where a slot's value is; `None` where there is none.
    fn find(&self, slot: Slot, scope: Scope) -> Result<(&Text, Option<u32>, &Asked), FieldFault> {
        let asked = self.asked(slot).ok_or_else(foreign_slot)?;
        let (text, from) = match asked.from {
            Begins::Record => (&self.text, scope.0),
            Begins::Answer => (&self.around, 0),
            Begins::Header => (&self.header, 0),
        };
        Ok((text, text.find(from, &asked.path), asked))
    }

    fn read_node<'a>(text: &'a Text, at: u32, reading: Reading) -> Result<Value<'a>, FieldFault> {
        // Of text with attributes, the text.
        let at = if text.value(at).first() == Some(&b'{') { text.member(at, VALUE).unwrap_or(at) } else { at };
        let value = text.value(at);
        let wrong = |expected: &str, found: String| FieldFault {
            code: RejectCode::BadType,
            expected: expected.to_owned(),
            found,
        };
        match value {
            [b'"', inner @ .., b'"'] => {
                let text = match memchr::memchr(b'\\', inner) {
                    None => String::from_utf8_lossy(inner),
                    Some(_) => Cow::Owned(unescaped(inner)),
                };
                bytes_of(text, reading)
            }
            b"null" | b"" => Ok(Value::Null),
            b"true" => Ok(Value::Boolean(true)),
            b"false" => Ok(Value::Boolean(false)),
            [b'{', ..] => Err(wrong("a single value", "elements or attributes in it".to_owned())),
            [b'[', ..] => Err(wrong("a single value, or a field with `each`", "several".to_owned())),
            number => {
                let written = String::from_utf8_lossy(number);
                if written.contains(['E', 'e']) {
                    let parsed = written.parse().map_err(|_| wrong("a number", written.clone().into_owned()))?;
                    return Ok(Value::Float(parsed));
                }
                Decimal::parse(&written, b'.', None).map(Value::Decimal).map_err(|error| FieldFault {
                    code: RejectCode::Overflow,
                    expected: "a number of up to 38 digits".to_owned(),
                    found: format!("{written}: {error}"),
                })
            }
        }
    }
}

fn bytes_of(text: Cow<'_, str>, reading: Reading) -> Result<Value<'_>, FieldFault> {
    use base64::Engine;
    let bytes = match reading {
        Reading::Json => return Ok(Value::Text(text)),
        Reading::Base64 => base64::engine::general_purpose::STANDARD.decode(text.as_bytes()).ok(),
        Reading::Hex => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let pairs = text.as_bytes().chunks(2);
            pairs.map(|pair| Some((digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?) as u8)).collect()
        }
    };
    bytes.map(|bytes| Value::Bytes(Cow::Owned(bytes))).ok_or_else(|| FieldFault {
        code: RejectCode::BadType,
        expected: "bytes".to_owned(),
        found: text.chars().take(40).collect(),
    })
}

impl Fields for Record {
    fn read(&self, slot: Slot, scope: Scope) -> Result<Value<'_>, FieldFault> {
        let asked = self.asked(slot).ok_or_else(foreign_slot)?;
        if asked.repeats {
            return Record::read_node(&self.text, scope.0, asked.reading);
        }
        let (text, found, asked) = self.find(slot, scope)?;
        found.map_or(Ok(Value::Null), |at| Record::read_node(text, at, asked.reading))
    }

    fn write_text(&self, slot: Slot, scope: Scope, out: &mut Vec<u8>) -> bool {
        if slot == WHOLE {
            out.extend_from_slice(&self.text.json);
            return true;
        }
        let Ok((text, Some(at), asked)) = self.find(slot, scope) else { return false };
        let value = text.value(at);
        let is_text = matches!(value, [b'"', inner @ .., b'"'] if !inner.trim_ascii().is_empty());
        if asked.repeats || asked.reading != Reading::Json || !is_text || memchr::memchr(b'\\', value).is_some() {
            return false;
        }
        out.extend_from_slice(value);
        true
    }

    fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault> {
        if slot == WHOLE {
            return Ok(1);
        }
        let (text, found, _) = self.find(slot, scope)?;
        let Some(at) = found else { return Ok(0) };
        Ok(match text.value(at).first() {
            Some(b'[') => text.node(at).map_or(0, |node| node.count as usize),
            // Null is no value; what no schema describes stands alone when there is one of it.
            Some(b'n') => 0,
            _ => 1,
        })
    }

    fn element(&self, slot: Slot, scope: Scope, index: usize) -> Scope {
        let before = self.stepped.get().filter(|own| (own.slot, own.scope) == (slot.0, scope.0) && own.index <= index);
        let (mut at, mut node) = match before {
            Some(own) => (own.index, own.node),
            None => {
                let first = self.find(slot, scope).ok().and_then(|(_, found, _)| found).unwrap_or(u32::MAX);
                (0, if self.text.value(first).first() == Some(&b'[') { first + 1 } else { first })
            }
        };
        while at < index {
            node = self.text.node(node).map_or(u32::MAX, |node| node.end);
            at += 1;
        }
        self.stepped.set(Some(Stepped { slot: slot.0, scope: scope.0, index, node }));
        Scope(node)
    }

    fn span(&self, _slot: Slot, _scope: Scope) -> Option<(u32, u32)> {
        // The bytes of the record are XML, and where a value lay there is not kept.
        None
    }

    fn name(&self, slot: Slot) -> &str {
        self.shown.get(slot.0 as usize).map_or("", String::as_str)
    }
}

/// The text of a JSON string without its quotes.
fn unescaped(inner: &[u8]) -> String {
    let quoted = [b"\"", inner, b"\""].concat();
    serde_json::from_slice(&quoted).unwrap_or_default()
}

/// Finds the values in JSON that is sound.
fn index(json: &[u8]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut key = (0, 0);
    let mut at = 0usize;
    while let Some(&byte) = json.get(at) {
        let from = at as u32;
        let end = match byte {
            b'"' => string_end(json, at),
            b'{' | b'[' => at + 1,
            b'}' | b']' => {
                if let Some(object) = open.pop() {
                    let behind = nodes.len() as u32;
                    if let Some(node) = nodes.get_mut(object) {
                        (node.end, node.value.1) = (behind, from + 1);
                    }
                }
                at += 1;
                continue;
            }
            b',' => {
                at += 1;
                continue;
            }
            _ => at + json[at..].iter().take_while(|byte| !matches!(byte, b',' | b'}' | b']')).count().max(1),
        };
        if byte == b'"' && json.get(end) == Some(&b':') {
            key = (from + 1, end as u32 - 1);
            at = end + 1;
            continue;
        }
        if let Some(node) = open.last().and_then(|object| nodes.get_mut(*object)) {
            node.count += 1;
        }
        let number = nodes.len();
        nodes.push(Node { key, value: (from, end as u32), end: number as u32 + 1, count: 0 });
        key = (0, 0);
        if matches!(byte, b'{' | b'[') {
            open.push(number);
        }
        at = end;
    }
    nodes
}

/// Behind the quote that ends a string.
fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if json[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::{Asked, Begins, Reading, Record};
    use crate::record::{Decimal, Fields, Scope, Slot, Value};

    #[test]
    fn values_are_found_in_json() {
        let asked = |path: &[&str], repeats: bool, reading: Reading| Asked {
            within: Vec::new(),
            path: path.iter().map(|name| (*name).to_owned()).collect(),
            repeats,
            from: Begins::Record,
            reading,
        };
        let slots = vec![
            asked(&["a", "b"], false, Reading::Json),
            asked(&["list"], true, Reading::Json),
            asked(&["no"], false, Reading::Json),
            asked(&["amount"], false, Reading::Json),
            asked(&["hex"], false, Reading::Hex),
            asked(&["b64"], false, Reading::Base64),
            asked(&["one"], true, Reading::Json),
            asked(&["t"], false, Reading::Json),
        ];
        let mut record = Record::new(slots, vec!["a.b".to_owned()]);
        let json = br#"{"a":{"x":[{}],"b":"q\"\u0041"},"list":[{"no":1},{"no":-2.50},{"no":null}],"amount":{"@c":"EUR","value":58.10},"hex":"0aFF","b64":"aGk=","one":true,"t":"plain"}"#;
        record.take(&mut json.to_vec());
        let read = |slot, scope| record.read(Slot(slot), Scope(scope)).unwrap();
        assert_eq!(read(0, 0), Value::Text("q\"A".into()));
        assert_eq!(record.count(Slot(1), Scope::ROOT), Ok(3));
        let decimal = |text| Value::Decimal(Decimal::parse(text, b'.', None).unwrap());
        for (index, expected) in [decimal("1"), decimal("-2.50"), Value::Null].into_iter().enumerate() {
            let scope = record.element(Slot(1), Scope::ROOT, index);
            assert_eq!(record.read(Slot(2), scope).unwrap(), expected);
        }
        assert_eq!((read(3, 0), read(2, 0)), (decimal("58.10"), Value::Null));
        assert_eq!((read(4, 0), read(5, 0)), (Value::Bytes(vec![10, 255].into()), Value::Bytes(b"hi".to_vec().into())));
        assert_eq!(record.count(Slot(6), Scope::ROOT), Ok(1));
        assert_eq!(record.read(Slot(6), record.element(Slot(6), Scope::ROOT, 0)).unwrap(), Value::Boolean(true));
        let mut out = Vec::new();
        assert!(
            record.write_text(Slot(7), Scope::ROOT, &mut out) && !record.write_text(Slot(0), Scope::ROOT, &mut out)
        );
        assert_eq!(out, b"\"plain\"");
        assert_eq!(record.name(Slot(0)), "a.b");
        assert!(record.read(Slot(9), Scope::ROOT).is_err());
    }
}
