//! A layout and record in one for the tests of this module: named values, groups and tables, held in memory.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::field::{Compiled, Context, compile_fields};
use super::lookup::Lookup;
use super::number::NumberStyle;
use super::place::Surroundings;
use super::plan::{Mapped, Mapper, Rules};
use super::schema::Shape;
use super::sections::MAPPING;
use super::{serve, source};
use crate::diagnostic::{Faults, Key, Presence, Section, SourceText, Table, nearest, parse};
use crate::mapping::preset::Preset;
use crate::record::{
    Decimal, FieldFault, FieldKind, Fields, Layout, Position, RawRecord, RejectCode, Resolved, Scope, Slot, Unresolved,
    Value,
};

/// A value of the double.
#[derive(Clone, Debug)]
pub(in crate::mapping) enum Held {
    Text(String),
    Number(Decimal, FieldKind),
    Float(f64),
    Bytes(Vec<u8>),
    /// A field that the layout cannot read.
    Bad,
    /// A number that is blank.
    Blank(FieldKind),
    /// A binary number whose bytes are blanks.
    Filled(Decimal, FieldKind),
    /// A value that the source says is NULL.
    Null,
    Group(Vec<(&'static str, Held)>),
    /// Rows of a repeating group; all have the fields of the first.
    Table(Vec<Vec<(&'static str, Held)>>),
    /// A repeating single field.
    List(Vec<Held>),
}

pub(in crate::mapping) fn text(text: &str) -> Held {
    Held::Text(text.to_owned())
}

/// A signed number with as many digits as are written.
pub(in crate::mapping) fn number(text: &str) -> Held {
    let number = Decimal::parse(text, b'.', None).unwrap();
    let digits = text.bytes().filter(u8::is_ascii_digit).count() as u8;
    Held::Number(number, FieldKind::Number { digits, scale: number.scale(), signed: true })
}

/// An unsigned whole number of so many digits.
pub(in crate::mapping) fn unsigned(value: i64, digits: u8) -> Held {
    Held::Number(Decimal::from_i64(value), FieldKind::Number { digits, scale: 0, signed: false })
}

pub(in crate::mapping) fn blank_number(digits: u8, scale: u8) -> Held {
    Held::Blank(FieldKind::Number { digits, scale, signed: true })
}

pub(in crate::mapping) fn bad() -> Held {
    Held::Bad
}

struct Named {
    name: &'static str,
    parent: Option<usize>,
    kind: FieldKind,
    repeats: bool,
}

/// The double: slots are indices into `names`; a scope is a row, in which slots have values.
pub(in crate::mapping) struct Double {
    names: Vec<Named>,
    rows: Vec<Vec<Option<Held>>>,
    /// For a table in a row: the rows of its occurrences.
    occurrences: Vec<((usize, usize), Vec<usize>)>,
    /// As databases say it.
    pub(in crate::mapping) says_null: bool,
    /// The mapping's.
    pub(in crate::mapping) preset: Option<&'static Preset>,
}

impl Double {
    pub(in crate::mapping) fn new(fields: Vec<(&'static str, Held)>) -> Double {
        let mut double = Double {
            names: Vec::new(),
            rows: vec![Vec::new()],
            occurrences: Vec::new(),
            says_null: false,
            preset: None,
        };
        double.declare(&fields, None);
        double.fill(&fields, None, 0);
        double
    }

    fn declare(&mut self, fields: &[(&'static str, Held)], parent: Option<usize>) {
        for (name, held) in fields {
            let slot = self.names.len();
            let (kind, repeats) = match held {
                Held::List(items) => (kind(&items[0]), true),
                Held::Table(_) => (FieldKind::Group, true),
                other => (kind(other), false),
            };
            self.names.push(Named { name, parent, kind, repeats });
            match held {
                Held::Group(inner) => self.declare(inner, Some(slot)),
                Held::Table(rows) => self.declare(&rows[0], Some(slot)),
                _ => {}
            }
        }
    }

    fn fill(&mut self, fields: &[(&'static str, Held)], parent: Option<usize>, row: usize) {
        for (name, held) in fields {
            let slot = self.names.iter().position(|known| known.name == *name && known.parent == parent).unwrap();
            match held {
                Held::Group(inner) => self.fill(inner, Some(slot), row),
                Held::Table(rows) => {
                    let made: Vec<usize> = rows.iter().map(|_| self.row()).collect();
                    for (inner, &made) in rows.iter().zip(&made) {
                        self.fill(inner, Some(slot), made);
                    }
                    self.occurrences.push(((row, slot), made));
                }
                Held::List(items) => {
                    let made: Vec<usize> = items.iter().map(|_| self.row()).collect();
                    for (item, &made) in items.iter().zip(&made) {
                        self.put(made, slot, item.clone());
                    }
                    self.occurrences.push(((row, slot), made));
                }
                other => self.put(row, slot, other.clone()),
            }
        }
    }

    fn row(&mut self) -> usize {
        self.rows.push(Vec::new());
        self.rows.len() - 1
    }

    fn put(&mut self, row: usize, slot: usize, held: Held) {
        let row = &mut self.rows[row];
        row.resize(row.len().max(slot + 1), None);
        row[slot] = Some(held);
    }

    pub(in crate::mapping) fn record(&self) -> RawRecord<'_> {
        RawRecord { raw: b"raw", position: Position { record: 1, offset: 0, length: 3, line: Some(1) }, fields: self }
    }

    fn rows_of(&self, slot: Slot, scope: Scope) -> &[usize] {
        let wanted = (scope.0 as usize, slot.0 as usize);
        self.occurrences.iter().find(|(at, _)| *at == wanted).map(|(_, rows)| rows.as_slice()).unwrap_or_default()
    }
}

fn kind(held: &Held) -> FieldKind {
    match held {
        Held::Text(_) | Held::Bad | Held::Null => FieldKind::Text { max_chars: None },
        Held::Number(_, kind) | Held::Filled(_, kind) | Held::Blank(kind) => *kind,
        Held::Float(_) => FieldKind::Float,
        Held::Bytes(bytes) => FieldKind::Bytes { length: Some(bytes.len() as u32) },
        Held::Group(_) | Held::Table(_) | Held::List(_) => FieldKind::Group,
    }
}

impl Layout for Double {
    fn resolve(&self, parent: Option<Slot>, name: &str) -> Result<Resolved, Unresolved> {
        let parent = parent.map(|slot| slot.0 as usize);
        // Below the parent, with no repeating group in between.
        let below = |mut slot: usize| loop {
            match self.names[slot].parent {
                up if up == parent => return true,
                Some(up) if !self.names[up].repeats => slot = up,
                _ => return false,
            }
        };
        let named = |slot: &usize| self.names[*slot].name == name;
        let direct = (0..self.names.len()).filter(named).find(|&slot| self.names[slot].parent == parent);
        let found = direct.or_else(|| (0..self.names.len()).filter(named).find(|&slot| below(slot)));
        found
            .map(|slot| Resolved {
                slot: Slot(slot as u32),
                kind: self.names[slot].kind,
                repeats: self.names[slot].repeats,
            })
            .ok_or_else(|| Unresolved {
                reason: format!("there is no field `{name}`"),
                nearest: nearest(name, self.names.iter().map(|known| known.name)).map(str::to_owned),
            })
    }

    fn names(&self) -> Vec<String> {
        self.names.iter().map(|known| known.name.to_owned()).collect()
    }

    fn says_null(&self) -> bool {
        self.says_null
    }
}

impl Fields for Double {
    fn read(&self, slot: Slot, scope: Scope) -> Result<Value<'_>, FieldFault> {
        let fault = |code, found: &str| FieldFault { code, expected: "layout".to_owned(), found: found.to_owned() };
        match self.rows[scope.0 as usize].get(slot.0 as usize).and_then(Option::as_ref) {
            None | Some(Held::Null) => Ok(Value::Null),
            Some(Held::Text(text)) => Ok(Value::Text(Cow::Borrowed(text))),
            Some(Held::Number(number, _) | Held::Filled(number, _)) => Ok(Value::Decimal(*number)),
            Some(Held::Float(number)) => Ok(Value::Float(*number)),
            Some(Held::Bytes(bytes)) => Ok(Value::Bytes(Cow::Borrowed(bytes))),
            Some(Held::Blank(_)) => Err(fault(RejectCode::Blank, "40404040")),
            Some(_) => Err(fault(RejectCode::BadDigit, "nibble A")),
        }
    }

    fn filled(&self, slot: Slot, scope: Scope) -> Option<FieldFault> {
        let held = self.rows[scope.0 as usize].get(slot.0 as usize)?.as_ref()?;
        let found = "blanks (40404040)".to_owned();
        let fault = FieldFault { code: RejectCode::Blank, expected: "layout".to_owned(), found };
        matches!(held, Held::Filled(..)).then_some(fault)
    }

    fn count(&self, slot: Slot, scope: Scope) -> Result<usize, FieldFault> {
        Ok(self.rows_of(slot, scope).len())
    }

    fn element(&self, slot: Slot, scope: Scope, index: usize) -> Scope {
        Scope(self.rows_of(slot, scope)[index] as u32)
    }

    fn span(&self, slot: Slot, _scope: Scope) -> Option<(u32, u32)> {
        Some((slot.0 * 10, 10))
    }

    fn name(&self, slot: Slot) -> &str {
        self.names[slot.0 as usize].name
    }
}

/// Compiles a mapping's `key`, `[fields]` and `[lookups]` against a double. The fault texts leave the file's
/// name out: `2:5: message (help)`.
pub(in crate::mapping) fn compile(double: &Double, mapping: &str) -> Result<(Arc<Rules>, Shape), Vec<String>> {
    let faults = Faults::new();
    let compiled = compile_into(double, mapping, &faults);
    let found: Vec<String> =
        faults.into_sorted().iter().map(|fault| fault.to_string().trim_start_matches("m.toml:").to_owned()).collect();
    if found.is_empty() { Ok(compiled.unwrap()) } else { Err(found) }
}

fn compile_into(double: &Double, mapping: &str, faults: &Faults) -> Option<(Arc<Rules>, Shape)> {
    let source = SourceText::new(Path::new("m.toml"), mapping.to_owned());
    let root = parse(&source, faults);
    let table = Table::new(&root, &MAPPING, faults)?;
    let file = SourceText::new(Path::new("ids.csv"), "erp,uuid\n1,one\n2,two\n".to_owned());
    let texts = |path: &str| (path == "ids.csv").then(|| Arc::clone(&file));
    let lookups = table
        .free("lookups")
        .map(|(name, node)| (name.to_owned(), Lookup::compile(name, node, &texts, faults).map(Arc::new)))
        .collect();
    let says_null = double.says_null();
    let context = Context { lookups: &lookups, style: NumberStyle::PLAIN, says_null, preset: double.preset, faults };
    let entries = table.get("fields")?.as_table()?;
    let Compiled { mut fields, shape, .. } = compile_fields(entries, &Surroundings::record(double), &context);
    let key = if table.has("key") { serve::key(&table, &mut fields, &shape)? } else { Vec::new() };
    let (mut skip, mut trailer) = (Vec::new(), None);
    if let Some(node) = table.get("source") {
        let table = Table::new(node, &SOURCE_LIKE, faults)?;
        skip = source::skip(&table, double, NumberStyle::PLAIN, faults);
        trailer = source::trailer(&table, double, NumberStyle::PLAIN, faults);
    }
    Some((
        Arc::new(Rules { fields, key_parts: key.len(), skip, trailer, controls: Vec::new(), operation: None }),
        shape,
    ))
}

/// What a format's table has for the mapping, without a format.
static SOURCE_LIKE: Section = Section {
    path: "source",
    doc: "",
    keys: &[
        Key { name: "skip", shape: "", presence: Presence::Optional, doc: "" },
        Key { name: "trailer", shape: "", presence: Presence::Optional, doc: "" },
    ],
};

/// Maps the double's one record: the document's JSON, or `code path: expected X, found Y`. Every document is
/// held against the schema that the same rules gave.
pub(in crate::mapping) fn map(double: &Double, mapping: &str) -> Result<String, String> {
    let (rules, shape) = compile(double, mapping).map_err(|faults| faults.join("\n"))?;
    match Mapper::new(rules).map(&double.record()) {
        Mapped::Document(document) => {
            let json = String::from_utf8(document.payload).unwrap();
            validate(&shape.schema, &json);
            Ok(json)
        }
        Mapped::Reject(reject) => {
            let field = reject.field.unwrap_or_default();
            Err(format!("{} {field}: expected {}, found {}", reject.code.as_str(), reject.expected, reject.found))
        }
        other => panic!("{other:?}"),
    }
}

/// Holds a document against a schema, formats included.
pub(in crate::mapping) fn validate(schema: &serde_json::Value, json: &str) {
    let document: serde_json::Value = serde_json::from_str(json).unwrap();
    let mut compiler = boon::Compiler::new();
    compiler.set_default_draft(boon::Draft::V2020_12);
    compiler.enable_format_assertions();
    compiler.add_resource("http://localhost/schema", schema.clone()).unwrap();
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("http://localhost/schema", &mut schemas).unwrap();
    if let Err(error) = schemas.validate(&document, index) {
        panic!("{json} breaks {schema:#}: {error:#}");
    }
}

/// One field `F` of the source, one field `f` of the mapping with these rules.
pub(in crate::mapping) fn check(held: Held, rules: &str, expected: Result<&str, &str>) {
    let double = Double::new(vec![("F", held)]);
    let mapped = map(&double, &format!("[fields]\nf = {{ from = \"F\", {rules} }}"));
    match (mapped, expected) {
        (Ok(json), Ok(value)) => assert_eq!(json, format!("{{\"f\":{value}}}"), "{rules}"),
        (Err(found), Err(words)) => assert!(found.contains(words), "{rules}: {found}"),
        (found, _) => panic!("{rules}: {found:?}, not {expected:?}"),
    }
}
