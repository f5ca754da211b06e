//! Documents as CSV (RFC 4180), the fields of the schema as columns.
//!
//! A field in an object is a column under its dotted path; an array is one cell with its JSON. Null is an empty cell, an
//! empty text is `""`. Numbers are written as in JSON, digit by digit.
//!
//! A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula and runs it. What an old system holds was
//! typed in by somebody, so a text that begins so gets an apostrophe before it, which spreadsheets do not show; a number,
//! negative ones included, stays what it is. `Accept: text/csv; formulas=raw` leaves all as it is, for programs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::projection::Projection;

/// The columns of an answer.
pub(super) struct Columns {
    names: Vec<String>,
    root: Fields,
    escapes: bool,
}

#[derive(Default)]
struct Fields(HashMap<String, Place>);

enum Place {
    Cell(usize),
    Object(Fields),
}

impl Columns {
    /// Those of a schema, or of the fields that are wanted. `escapes` makes formulas harmless.
    pub(super) fn new(schema: &Value, wanted: Option<&Projection>, escapes: bool) -> Columns {
        let mut names = Vec::new();
        let root = fields(schema, wanted, "", &mut names);
        Columns { names, root, escapes }
    }

    /// Appends the line of names.
    pub(super) fn write_names(&self, out: &mut Vec<u8>) {
        for (number, name) in self.names.iter().enumerate() {
            separate(number, out);
            cell(name, self.escapes, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Appends a document's line.
    pub(super) fn write(&self, document: &[u8], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let mut cells: Vec<Option<&str>> = vec![None; self.names.len()];
        serde_json::Deserializer::from_slice(document)
            .deserialize_map(Fill { fields: &self.root, cells: &mut cells })?;
        for (number, json) in cells.into_iter().enumerate() {
            separate(number, out);
            match json {
                None | Some("null") => {}
                Some(json) if json.starts_with('"') => {
                    let text: Cow<'_, str> = serde_json::from_str(json)?;
                    cell(&text, self.escapes, out);
                }
                // Numbers, booleans, arrays and objects begin like no formula, but for a minus that is one.
                Some(json) => cell(json, false, out),
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

fn fields(schema: &Value, wanted: Option<&Projection>, above: &str, names: &mut Vec<String>) -> Fields {
    let mut found = Fields::default();
    for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let below = match wanted.map(|wanted| wanted.below(name)) {
            None => None,
            Some(Some(below)) => below,
            Some(None) => continue,
        };
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        let place = match schema.get("properties") {
            Some(_) => Place::Object(fields(schema, below, &path, names)),
            None => {
                names.push(path);
                Place::Cell(names.len() - 1)
            }
        };
        found.0.insert(name.clone(), place);
    }
    found
}

fn separate(number: usize, out: &mut Vec<u8>) {
    if number > 0 {
        out.push(b',');
    }
}

/// Appends a cell, quoted where it must be.
fn cell(text: &str, escapes: bool, out: &mut Vec<u8>) {
    let escape = escapes && is_formula(text);
    let quote = text.is_empty() || text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'));
    if quote {
        out.push(b'"');
    }
    if escape {
        out.push(b'\'');
    }
    match quote {
        true => text.bytes().for_each(|byte| {
            if byte == b'"' {
                out.push(b'"');
            }
            out.push(byte);
        }),
        false => out.extend_from_slice(text.as_bytes()),
    }
    if quote {
        out.push(b'"');
    }
}

/// Whether a spreadsheet would take it for a formula. The wide forms of the characters are taken for them in some languages.
fn is_formula(text: &str) -> bool {
    match text.chars().next() {
        Some('-') => !is_number(text.strip_prefix('-').unwrap_or(text)),
        Some('=' | '+' | '@' | '\t' | '\r' | '\n' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}') => true,
        _ => false,
    }
}

/// Whether these are digits, perhaps with a point among them.
fn is_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(fraction)
}

struct Fill<'f, 'c, 'd> {
    fields: &'f Fields,
    cells: &'c mut Vec<Option<&'d str>>,
}

impl<'de> Visitor<'de> for Fill<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        use serde::de::Error;
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            let value: &'de RawValue = map.next_value()?;
            match self.fields.0.get(name.as_ref()) {
                None => {}
                Some(Place::Cell(at)) => {
                    if let Some(cell) = self.cells.get_mut(*at) {
                        *cell = Some(value.get());
                    }
                }
                Some(Place::Object(below)) if value.get().starts_with('{') => {
                    let fill = Fill { fields: below, cells: self.cells };
                    serde_json::Deserializer::from_str(value.get()).deserialize_map(fill).map_err(A::Error::custom)?;
                }
                Some(Place::Object(_)) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Columns, Projection};
    use serde_json::{Value, json};

    fn schema() -> Value {
        let text = json!({ "type": "string" });
        json!({ "properties": {
            "no": text,
            "amount": { "type": "number" },
            "customer": { "type": "object", "properties": { "name": text, "vip": { "type": "boolean" } } },
            "lines": { "type": "array", "items": { "properties": { "sku": text } } },
        } })
    }

    fn check(fields: Option<&str>, escapes: bool, document: &str, expected: &str) {
        let projection = fields.map(|fields| Projection::parse(&schema(), fields).unwrap());
        let columns = Columns::new(&schema(), projection.as_ref(), escapes);
        let mut out = Vec::new();
        columns.write(document.as_bytes(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\r\n"), "{document}");
    }

    #[test]
    fn documents_become_lines() {
        let mut names = Vec::new();
        Columns::new(&schema(), None, true).write_names(&mut names);
        assert_eq!(names, b"no,amount,customer.name,customer.vip,lines\r\n");
        let full = r#"{"no":"1","amount":-10.50000000000000000001,"customer":{"name":"a, \"b\"","vip":true},"lines":[{"sku":"x"}]}"#;
        check(None, true, full, r#"1,-10.50000000000000000001,"a, ""b""",true,"[{""sku"":""x""}]""#);
        check(Some("customer.vip,no"), true, full, "1,true");
        check(None, true, r#"{"no":"","customer":null,"amount":null}"#, "\"\",,,,");
        check(None, true, r#"{"more":1,"customer":{"name":"two\nlines"}}"#, ",,\"two\nlines\",,");
        check(None, true, "{}", ",,,,");
    }

    #[test]
    fn formulas_are_made_harmless_and_numbers_are_not_touched() {
        let one = |text: &str, escapes: bool, expected: &str| {
            check(Some("no"), escapes, &json!({ "no": text }).to_string(), expected);
        };
        one("=1+1", true, "'=1+1");
        one("=1+1", false, "=1+1");
        one("+49 89 1", true, "'+49 89 1");
        one("@SUM(A1)", true, "'@SUM(A1)");
        one("-2+3+cmd|' /C calc'!A0", true, "'-2+3+cmd|' /C calc'!A0");
        one("\t=1", true, "'\t=1");
        one("\r=1", true, "\"'\r=1\"");
        one("=HYPERLINK(\"http://x\",\"y\")", true, "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
        one("\u{ff1d}1", true, "'\u{ff1d}1");
        one("-12.50", true, "-12.50");
        one("-", true, "'-");
        one("-1.", true, "'-1.");
        one("a=1", true, "a=1");
    }
}
