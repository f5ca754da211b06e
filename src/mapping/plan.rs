//! What runs per record: the compiled rules walked in the order in which the document is written. No name is
//! looked up, no tree of values built; the first bad field decides the reject.

use std::sync::Arc;

use super::condition::Condition;
use super::controls::{Controls, Trailer};
use super::place::{Place, Walk};
use super::scalar::{Fault, Scalar};
use super::totals::Control;
use crate::record::{ContentHash, Document, Position, RawRecord, Reject, RejectCode, Scope, Slot, Value, key};

/// How a field of the document is made.
#[derive(Debug)]
pub(super) enum Rule {
    Scalar(Box<Scalar>),
    /// JSON that is the same in every record.
    Constant(Vec<u8>),
    Object(Vec<Field>),
    Array(Box<Array>),
}

/// A field of an object.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    /// `"name":` as JSON, with a comma before it for all but an object's first field.
    pub(super) label: Vec<u8>,
    /// Which part of the key it is.
    pub(super) key: Option<usize>,
    pub(super) rule: Rule,
}

/// One element for each occurrence of a repeating group.
#[derive(Debug)]
pub(super) struct Array {
    pub(super) place: Place,
    pub(super) skip: Option<Condition>,
    pub(super) element: Rule,
}

/// Everything that decides what becomes of a record; needs no decoder.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) fields: Vec<Field>,
    pub(super) key_parts: usize,
    pub(super) skip: Vec<Condition>,
    pub(super) trailer: Option<Trailer>,
    pub(super) controls: Vec<Control>,
    /// Where a source says what became of a row: `D` when it was deleted.
    pub(super) operation: Option<Slot>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// It is good.
    Document(Document),
    /// It is bad.
    Reject(Reject),
    /// A rule of the mapping leaves it out.
    Skipped,
    /// It is the trailer, which carries the file's control totals.
    Trailer,
    /// The source says that the record is not there any more.
    Deleted {
        /// The key of its document.
        key: String,
        /// Where that is said.
        position: Position,
    },
}

/// What the mapping's conditions make of a record before it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Data,
    Skipped,
    Trailer,
}

impl Rules {
    /// The trailer is asked for first: a `skip` for all that is no data may well hold for it too.
    pub(super) fn classify(&self, walk: &Walk<'_>, scratch: &mut Vec<u8>) -> Class {
        if self.trailer.as_ref().is_some_and(|trailer| trailer.when.holds(walk, scratch)) {
            Class::Trailer
        } else if self.skip.iter().any(|condition| condition.holds(walk, scratch)) {
            Class::Skipped
        } else {
            Class::Data
        }
    }
}

/// Runs a plan; has scratch space, so one for each thread.
pub struct Mapper {
    rules: Arc<Rules>,
    controls: Option<Controls>,
    key_spans: Vec<(usize, usize)>,
    /// Documents are written here and leave in a buffer of their exact size.
    buffer: Vec<u8>,
}

/// One giant among the documents must not hold its room for ever.
const LARGEST_BUFFER: usize = 1 << 20;

/// Longer keys fit into no URL.
pub const LONGEST_KEY: usize = 1024;

impl Mapper {
    pub(super) fn new(rules: Arc<Rules>) -> Mapper {
        let key_spans = vec![(0, 0); rules.key_parts];
        let controls = Controls::new(&rules);
        Mapper { rules, controls, key_spans, buffer: Vec::new() }
    }

    /// Maps one record, and counts it for the control totals.
    pub fn map(&mut self, record: &RawRecord<'_>) -> Mapped {
        let walk = Walk::new(record.fields);
        if self.rules.operation.is_some_and(|slot| is_deleted(record, slot)) {
            // Of what is gone there may be no more than its key.
            return match self.key_alone(walk) {
                Ok(key) => Mapped::Deleted { key, position: record.position },
                Err(fault) => Mapped::Reject(reject(*fault, None, record)),
            };
        }
        let class = self.rules.classify(&walk, &mut self.buffer);
        if let Some(controls) = &mut self.controls {
            controls.count(record, class);
        }
        match class {
            Class::Trailer => Mapped::Trailer,
            Class::Skipped => Mapped::Skipped,
            Class::Data => match self.document(record, walk) {
                Ok(document) => {
                    if let Some(controls) = &mut self.controls {
                        controls.accept(record.raw);
                    }
                    Mapped::Document(document)
                }
                Err(fault) => Mapped::Reject(reject(*fault, self.readable_key(walk), record)),
            },
        }
    }

    /// The key of a record that a rule leaves out, so that whoever goes on behind it can say where.
    pub fn key_of(&mut self, record: &RawRecord<'_>) -> Result<String, Box<Reject>> {
        self.key_alone(Walk::new(record.fields)).map_err(|fault| Box::new(reject(*fault, None, record)))
    }

    /// The key of a record that is bad elsewhere, so that it can be found by it.
    fn readable_key(&mut self, walk: Walk<'_>) -> Option<String> {
        self.key_alone(walk).ok()
    }

    fn key_alone(&mut self, mut walk: Walk<'_>) -> Result<String, Box<Fault>> {
        let rules = Arc::clone(&self.rules);
        let mut scratch = Vec::new();
        write_key_fields(&rules.fields, &mut walk, &mut scratch, &mut self.key_spans)?;
        self.key(&scratch)
    }

    /// The control totals so far; `None` when the mapping has no `trailer`.
    pub fn controls(&self) -> Option<&Controls> {
        self.controls.as_ref()
    }

    /// The same, to count a record that the decoder refused.
    pub fn controls_mut(&mut self) -> Option<&mut Controls> {
        self.controls.as_mut()
    }

    fn document(&mut self, record: &RawRecord<'_>, mut walk: Walk<'_>) -> Result<Document, Box<Fault>> {
        self.buffer.clear();
        self.buffer.shrink_to(LARGEST_BUFFER);
        write_object(&self.rules.fields, &mut walk, &mut self.buffer, &mut self.key_spans)?;
        let key = self.key(&self.buffer)?;
        let payload = self.buffer.clone();
        Ok(Document { key, hash: ContentHash::of(&payload), payload, position: record.position })
    }

    /// The key's parts as they stand in the document.
    fn key(&self, payload: &[u8]) -> Result<String, Box<Fault>> {
        let mut key = String::with_capacity(32);
        for (index, &(start, end)) in self.key_spans.iter().enumerate() {
            if index > 0 {
                key.push(key::SEPARATOR);
            }
            let json = payload.get(start..end).unwrap_or_default();
            let before = key.len();
            match json {
                [b'"', text @ .., b'"'] if !text.contains(&b'\\') => {
                    key::encode_part(&String::from_utf8_lossy(text), &mut key)
                }
                [b'"', ..] => {
                    let text: String = serde_json::from_slice(json).unwrap_or_default();
                    key::encode_part(&text, &mut key);
                }
                _ => key::encode_part(&String::from_utf8_lossy(json), &mut key),
            }
            if key.len() == before {
                return Err(bad_key("a value in every field of the key", "an empty text"));
            }
        }
        if key.len() > LONGEST_KEY {
            return Err(bad_key(
                "a key of at most 1024 characters in its URL form",
                &format!("{} characters", key.len()),
            ));
        }
        if key == "." || key == ".." {
            return Err(bad_key("a key that can stand in a URL", &format!("`{key}`, which URLs take for a folder")));
        }
        Ok(key)
    }
}

fn is_deleted(record: &RawRecord<'_>, slot: Slot) -> bool {
    matches!(record.fields.read(slot, Scope::ROOT), Ok(Value::Text(operation)) if operation == "D")
}

fn bad_key(expected: &str, found: &str) -> Box<Fault> {
    Box::new(Fault {
        code: RejectCode::BadKey,
        expected: expected.to_owned(),
        found: found.to_owned(),
        path: String::new(),
        span: None,
    })
}

fn write_object(
    fields: &[Field],
    walk: &mut Walk<'_>,
    out: &mut Vec<u8>,
    key_spans: &mut [(usize, usize)],
) -> Result<(), Box<Fault>> {
    out.push(b'{');
    for field in fields {
        out.extend_from_slice(&field.label);
        let start = out.len();
        write(&field.rule, walk, out, key_spans).map_err(|fault| below(&field.name, fault))?;
        if let Some(span) = field.key.and_then(|part| key_spans.get_mut(part)) {
            *span = (start, out.len());
        }
    }
    out.push(b'}');
    Ok(())
}

/// Writes the fields of the key alone, wherever they stand in the document.
fn write_key_fields(
    fields: &[Field],
    walk: &mut Walk<'_>,
    out: &mut Vec<u8>,
    key_spans: &mut [(usize, usize)],
) -> Result<(), Box<Fault>> {
    for field in fields {
        match (&field.rule, field.key) {
            (rule, Some(part)) => {
                let start = out.len();
                write(rule, walk, out, key_spans)?;
                if let Some(span) = key_spans.get_mut(part) {
                    *span = (start, out.len());
                }
            }
            (Rule::Object(inner), None) => write_key_fields(inner, walk, out, key_spans)?,
            (_, None) => {}
        }
    }
    Ok(())
}

fn write(
    rule: &Rule,
    walk: &mut Walk<'_>,
    out: &mut Vec<u8>,
    key_spans: &mut [(usize, usize)],
) -> Result<(), Box<Fault>> {
    match rule {
        Rule::Scalar(scalar) => scalar.write(walk, out),
        Rule::Constant(json) => {
            out.extend_from_slice(json);
            Ok(())
        }
        Rule::Object(fields) => write_object(fields, walk, out, key_spans),
        Rule::Array(array) => array.write(walk, out, key_spans),
    }
}

impl Array {
    fn write(
        &self,
        walk: &mut Walk<'_>,
        out: &mut Vec<u8>,
        key_spans: &mut [(usize, usize)],
    ) -> Result<(), Box<Fault>> {
        let (slot, outer) = (self.place.slot, walk.scope(self.place));
        let count = walk.fields.count(slot, outer).map_err(|fault| {
            Box::new(Fault {
                code: fault.code,
                expected: fault.expected,
                found: fault.found,
                path: String::new(),
                span: walk.fields.span(slot, outer),
            })
        })?;
        out.push(b'[');
        let start = out.len();
        for index in 0..count {
            let scope: Scope = walk.fields.element(slot, outer, index);
            walk.enter(self.place.level + 1, scope);
            if self.skip.as_ref().is_some_and(|skip| skip.holds(walk, out)) {
                continue;
            }
            if out.len() > start {
                out.push(b',');
            }
            write(&self.element, walk, out, key_spans).map_err(|fault| below(&format!("[{index}]"), fault))?;
        }
        out.push(b']');
        Ok(())
    }
}

/// Puts the outer name before the path: `lines` + `[2].quantity`.
fn below(name: &str, mut fault: Box<Fault>) -> Box<Fault> {
    let dot = if fault.path.is_empty() || fault.path.starts_with('[') { "" } else { "." };
    fault.path = format!("{name}{dot}{}", fault.path);
    fault
}

fn reject(fault: Fault, key: Option<String>, record: &RawRecord<'_>) -> Reject {
    // What is wrong with the bytes may be wrong with the whole record.
    let of_bytes = matches!(
        fault.code,
        RejectCode::BadDigit | RejectCode::BadSign | RejectCode::Blank | RejectCode::Unmappable | RejectCode::BadCount
    );
    let hint = fault.span.filter(|_| of_bytes).and_then(|(from, _)| record.fields.hint(from));
    Reject {
        code: fault.code,
        field: Some(fault.path).filter(|path| !path.is_empty()),
        field_span: fault.span,
        expected: fault.expected,
        found: hint.map(|hint| format!("{}; {hint}", fault.found)).unwrap_or(fault.found),
        key,
        position: record.position,
        raw: record.raw.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Mapped, Mapper};
    use crate::mapping::testing::{Double, Held, blank_number, compile, number, text};
    use crate::record::RejectCode;

    fn map(fields: Vec<(&'static str, Held)>, mapping: &str) -> Mapped {
        let double = Double::new(fields);
        let (rules, _) = compile(&double, mapping).unwrap();
        Mapper::new(rules).map(&double.record())
    }

    fn key(fields: Vec<(&'static str, Held)>, mapping: &str) -> Result<String, (RejectCode, Option<String>)> {
        match map(fields, mapping) {
            Mapped::Document(document) => Ok(document.key),
            Mapped::Reject(reject) => Err((reject.code, reject.field)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys() {
        let one = "key = ['a']\n[fields]\na = { from = 'A' }";
        let two = "key = ['b', 'o.a']\n[fields]\no = { object = { a = { from = 'A' } } }\nb = { from = 'B' }";
        assert_eq!(key(vec![("A", text("a/b~c \"d\""))], one), Ok("a%2Fb%7Ec%20%22d%22".to_owned()));
        assert_eq!(key(vec![("A", number("-1.50"))], one), Ok("-1.50".to_owned()));
        assert_eq!(key(vec![("A", text("x")), ("B", text("ü"))], two), Ok("%C3%BC~x".to_owned()));
        let bad = Err((RejectCode::BadKey, Some("a".to_owned())));
        assert_eq!(key(vec![("A", text(" "))], one), bad);
        assert_eq!(key(vec![("A", blank_number(3, 0))], one), bad);
        assert_eq!(key(vec![("A", text(".."))], one), Err((RejectCode::BadKey, None)));
        assert_eq!(key(vec![("A", text(&"x".repeat(2000)))], one), Err((RejectCode::BadKey, None)));
    }

    #[test]
    fn key_fields_are_judged_when_compiled() {
        let double = Double::new(vec![("A", text("x")), ("T", Held::Table(vec![vec![("B", text("y"))]]))]);
        let faults = |mapping: &str| compile(&double, mapping).map(|_| ()).unwrap_err().join("\n");
        let fields = "[fields]\na = { from = 'A', blank = 'null' }\nt = { from = 'T', each = { b = { from = 'B' } } }\nc = { constant = 1 }\nd = { from = 'A', default = 'x' }";
        for (key, words) in [
            ("['a']", "can be null"),
            ("['t']", "no single value"),
            ("['t.b']", "lies inside the array `t`"),
            ("['d']", "has a default"),
            ("['c']", "the same in every record"),
            ("['x']", "no field `x`"),
            ("[]", "names no field"),
        ] {
            let found = faults(&format!("key = {key}\n{fields}"));
            assert!(found.contains(words), "{key}: {found}");
        }
    }

    #[test]
    fn rejects_carry_what_a_person_needs() {
        let Mapped::Reject(reject) = map(vec![("A", text("x"))], "[fields]\na = { from = 'A', type = 'integer' }")
        else {
            panic!("no reject")
        };
        assert_eq!((reject.code, reject.field.as_deref()), (RejectCode::BadDigit, Some("a")));
        assert_eq!((reject.field_span, reject.raw.as_slice()), (Some((0, 10)), b"raw".as_slice()));
        assert_eq!(reject.position.record, 1);
    }

    #[test]
    fn skipped_and_trailer() {
        let mapping = "[source]\nskip = \"A = 'H'\"\ntrailer = { when = \"A = 'T'\" }\n[fields]\na = { from = 'A' }";
        assert_eq!(map(vec![("A", text("H"))], mapping), Mapped::Skipped);
        assert_eq!(map(vec![("A", text("T"))], mapping), Mapped::Trailer);
        assert!(matches!(map(vec![("A", text("D"))], mapping), Mapped::Document(_)));
    }
}
