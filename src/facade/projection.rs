//! Sparse answers: some of a document's fields, cut from its bytes.
//!
//! Values are copied as they are written, so a decimal keeps every digit. A dotted path reaches into objects, and
//! into the objects of an array. Fields keep the document's order.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::http::{Problem, Reason};

/// Which fields are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Projection {
    /// Below a field: nothing more means all of it.
    wanted: BTreeMap<String, Option<Projection>>,
}

impl Projection {
    /// Reads `a,b.c`; every path must be in the schema.
    pub(super) fn parse(schema: &Value, text: &str) -> Result<Projection, Problem> {
        let mut projection = Projection::default();
        for path in text.split(',') {
            let mut below = schema;
            for name in path.split('.') {
                let properties = properties_of(below);
                let Some(found) = properties.and_then(|properties| properties.get(name)) else {
                    let problem = Reason::UnknownParameter.because(format!("`fields`: there is no field `{path}`"));
                    let names: Vec<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
                    return Err(problem.hint(format!("fields here: {}", names.join(", "))));
                };
                below = found;
            }
            projection.add(path);
        }
        Ok(projection)
    }

    /// All that an object's schema has. What a schema does not tell of is there as a whole.
    pub(super) fn of_schema(schema: &Value) -> Projection {
        let below = |schema: &Value| properties_of(schema).map(|_| Projection::of_schema(schema));
        let properties = properties_of(schema).into_iter().flatten();
        Projection { wanted: properties.map(|(name, schema)| (name.clone(), below(schema))).collect() }
    }

    /// What is wanted of this and is in the other as well.
    pub(super) fn within(self, other: &Projection) -> Projection {
        let both = self.wanted.into_iter().filter_map(|(name, wanted)| {
            let below = match (wanted, other.wanted.get(&name)?) {
                (wanted, None) => wanted,
                (None, Some(limit)) => Some(limit.clone()),
                (Some(wanted), Some(limit)) => Some(wanted.within(limit)),
            };
            Some((name, below))
        });
        Projection { wanted: both.collect() }
    }

    fn add(&mut self, path: &str) {
        match path.split_once('.') {
            None => {
                self.wanted.insert(path.to_owned(), None);
            }
            Some((name, rest)) => {
                let below = self.wanted.entry(name.to_owned()).or_insert_with(|| Some(Projection::default()));
                if let Some(below) = below {
                    below.add(rest);
                }
            }
        }
    }

    /// What is wanted of a field: nothing, all of it (`Some(None)`), or some of it.
    pub(super) fn below(&self, name: &str) -> Option<Option<&Projection>> {
        self.wanted.get(name).map(Option::as_ref)
    }

    /// Appends the wanted part of a document.
    pub(super) fn write(&self, document: &[u8], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::Deserializer::from_slice(document).deserialize_map(Cut { projection: self, out })
    }

    fn write_value(&self, value: &RawValue, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'{') => self.write(text.as_bytes(), out),
            Some(b'[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(text)?;
                out.push(b'[');
                for (number, element) in elements.into_iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    self.write_value(element, out)?;
                }
                out.push(b']');
                Ok(())
            }
            // Null where an object could be.
            _ => {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
    }
}

/// The properties of an object's schema, or of the objects in an array's.
fn properties_of(schema: &Value) -> Option<&serde_json::Map<String, Value>> {
    let object = if schema.get("items").is_some() { schema.get("items") } else { Some(schema) };
    object?.get("properties")?.as_object()
}

struct Cut<'p, 'o> {
    projection: &'p Projection,
    out: &'o mut Vec<u8>,
}

impl<'de> Visitor<'de> for Cut<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        use serde::de::Error;
        self.out.push(b'{');
        let mut first = true;
        while let Some(name) = map.next_key::<String>()? {
            let value: &RawValue = map.next_value()?;
            let Some(below) = self.projection.wanted.get(&name) else { continue };
            if !first {
                self.out.push(b',');
            }
            first = false;
            serde_json::to_writer(&mut *self.out, &name).map_err(A::Error::custom)?;
            self.out.push(b':');
            match below {
                None => self.out.extend_from_slice(value.get().as_bytes()),
                Some(below) => below.write_value(value, self.out).map_err(A::Error::custom)?,
            }
        }
        self.out.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Projection;
    use serde_json::json;

    fn check(fields: &str, document: &str, expected: &str) {
        let leaf = json!({ "type": "string" });
        let schema = json!({ "properties": {
            "no": leaf, "amount": leaf,
            "customer": { "type": "object", "properties": { "name": leaf, "city": leaf } },
            "lines": { "type": "array", "items": { "properties": { "sku": leaf, "qty": leaf } } },
        } });
        let mut out = Vec::new();
        Projection::parse(&schema, fields).unwrap().write(document.as_bytes(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{fields}");
        assert!(Projection::parse(&schema, &format!("{fields},none")).is_err());
    }

    #[test]
    fn fields_are_cut_and_numbers_keep_their_digits() {
        let document = r#"{"no":"1","amount":10.50000000000000000001,"customer":{"name":"a\"b","city":null},"lines":[{"sku":"x","qty":1},{"sku":"y","qty":2}]}"#;
        check("amount", document, r#"{"amount":10.50000000000000000001}"#);
        check("amount,no", document, r#"{"no":"1","amount":10.50000000000000000001}"#);
        check("customer.name", document, r#"{"customer":{"name":"a\"b"}}"#);
        check("customer.name,customer", document, r#"{"customer":{"name":"a\"b","city":null}}"#);
        check("customer,customer.name", document, r#"{"customer":{"name":"a\"b","city":null}}"#);
        check("lines.sku", document, r#"{"lines":[{"sku":"x"},{"sku":"y"}]}"#);
        check("customer.name", r#"{"customer":null}"#, r#"{"customer":null}"#);
        check("amount", "{}", "{}");
    }
}
