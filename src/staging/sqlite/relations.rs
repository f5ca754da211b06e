//! Related documents: one question for each relation, whatever the number of documents beside which they are wanted.
//!
//! The values that link are read out of the payloads and handed to SQLite as one JSON array, so that the statement is
//! always the same; each value is then looked up in the index of the key or of the declared field. All of it reads the
//! snapshot of the page.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::documents::by_fields;
use super::fault::Fault;
use super::filter::{all_of, column, render_all};
use super::list::statement;
use super::resource::{Registry, Resource};
use crate::record::key::{SEPARATOR, encode_part};
use crate::staging::{ColumnType, INCLUDED_BYTES, Include, Included, Link, Related, Rows, StagingError};

/// Reads what is wanted beside `parents`. `connection` is in a transaction.
pub(super) fn include(
    connection: &Connection,
    registry: &Registry,
    parents: &Rows,
    wanted: &[Include],
) -> Result<Vec<Included>, Fault> {
    let mut room = INCLUDED_BYTES;
    beside(connection, registry, parents, wanted, &mut room)
}

fn beside(
    connection: &Connection,
    registry: &Registry,
    parents: &Rows,
    wanted: &[Include],
    room: &mut usize,
) -> Result<Vec<Included>, Fault> {
    let mut all = Vec::with_capacity(wanted.len());
    for include in wanted {
        let before = *room;
        let mut included = by_fields(connection, registry, &include.resource, |resource| {
            let mut left = before;
            let included = match &include.link {
                Link::Key(paths) => by_key(connection, resource, include, (parents, paths), &mut left),
                Link::Field { from, field, limit } => {
                    by_field(connection, resource, include, (parents, from), (field, *limit), &mut left)
                }
            };
            included.map(|included| (included, left))
        })
        .map(|(included, left)| {
            *room = left;
            included
        })?;
        included.included = beside(connection, registry, &included.rows, &include.include, room)?;
        all.push(included);
    }
    Ok(all)
}

/// Documents whose key is told by their parents.
fn by_key(
    connection: &Connection,
    resource: &Resource,
    include: &Include,
    (parents, paths): (&Rows, &[String]),
    room: &mut usize,
) -> Result<Included, Fault> {
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut keys: Vec<String> = Vec::new();
    let mut of: Vec<Option<usize>> = Vec::with_capacity(parents.len());
    for parent in parents.iter() {
        let key = key_at(parent, paths);
        of.push(key.map(|key| {
            *numbers.entry(key).or_insert_with_key(|key| {
                keys.push(key.clone());
                keys.len() - 1
            })
        }));
    }
    let only = render_all(&all_of(resource, &include.only)?, &|column| format!("+d.{column}"));
    let bounded = if only.text.is_empty() { String::new() } else { format!(" AND {}", only.text) };
    let sql = format!(
        "SELECT wanted.key, d.payload FROM json_each(?) AS wanted CROSS JOIN doc_{} AS d ON d.key = wanted.value{bounded}",
        resource.number
    );
    let mut found: Vec<Option<u32>> = vec![None; keys.len()];
    let mut included = Included::default();
    let values = std::iter::once(array(keys.iter().map(|key| json(key)))).chain(only.values);
    let mut select = statement(connection, &sql)?;
    let mut rows = select.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        let number = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX);
        let place =
            push(&mut included.rows, row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?, resource, room)?;
        if let Some(found) = found.get_mut(number) {
            *found = Some(place);
        }
    }
    let place = |number: Option<usize>| number.and_then(|number| found.get(number).copied().flatten());
    included.of =
        of.into_iter().map(|number| Related { rows: place(number).into_iter().collect(), next: None }).collect();
    Ok(included)
}

/// Documents with a field of the value that their parents have.
fn by_field(
    connection: &Connection,
    resource: &Resource,
    include: &Include,
    (parents, from): (&Rows, &str),
    (field, limit): (&str, usize),
    room: &mut usize,
) -> Result<Included, Fault> {
    let column = column(resource, field)?;
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let (mut texts, mut values): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut of: Vec<Option<usize>> = Vec::with_capacity(parents.len());
    for parent in parents.iter() {
        let value = raw_at(parent, from).and_then(|raw| Some((text_of(raw)?, value_of(raw, column.field.column)?)));
        of.push(value.map(|(text, value)| {
            *numbers.entry(value).or_insert_with_key(|value| {
                values.push(value.clone());
                texts.push(text);
                values.len() - 1
            })
        }));
    }
    let only = render_all(&all_of(resource, &include.only)?, &|column| format!("+e.{column}"));
    let bounded = if only.text.is_empty() { String::new() } else { format!(" AND {}", only.text) };
    let (number, name) = (resource.number, &column.name);
    let sql = format!(
        "SELECT wanted.key, d.payload, d.key FROM json_each(?) AS wanted CROSS JOIN doc_{number} AS d ON d.id IN \
         (SELECT e.id FROM doc_{number} AS e INDEXED BY doc_{number}_{name} WHERE e.{name} = wanted.value{bounded} \
         ORDER BY e.key LIMIT ?) ORDER BY wanted.key, d.key"
    );
    // One more than may be there tells whether there are more.
    let most = Value::Integer(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX));
    let bound = std::iter::once(array(values.iter().cloned())).chain(only.values).chain([most]);
    let mut found: Vec<Related> = vec![Related::default(); values.len()];
    let mut included = Included::default();
    let mut last_key = String::new();
    let mut select = statement(connection, &sql)?;
    let mut rows = select.query(params_from_iter(bound))?;
    while let Some(row) = rows.next()? {
        let number = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX);
        let (Some(related), Some(text)) = (found.get_mut(number), texts.get(number)) else { continue };
        if related.rows.len() == limit {
            related.next = Some((text.clone(), std::mem::take(&mut last_key)));
            continue;
        }
        let payload = row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
        related.rows.push(push(&mut included.rows, payload, resource, room)?);
        last_key = row.get(2)?;
    }
    included.of =
        of.into_iter().map(|number| number.and_then(|number| found.get(number).cloned()).unwrap_or_default()).collect();
    Ok(included)
}

fn push(rows: &mut Rows, payload: &[u8], resource: &Resource, room: &mut usize) -> Result<u32, Fault> {
    let too_much = || StagingError::TooMuch { resource: resource.id.clone(), bytes: INCLUDED_BYTES };
    *room = room.checked_sub(payload.len()).ok_or_else(too_much)?;
    let place = u32::try_from(rows.len()).map_err(|_| too_much())?;
    rows.push(payload, 0);
    Ok(place)
}

/// A JSON array of values that are JSON already.
fn array(values: impl Iterator<Item = String>) -> Value {
    let mut text = "[".to_owned();
    for value in values {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&value);
    }
    text.push(']');
    Value::Text(text)
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The key that the values at these paths make; none when one of them is null or is not there.
fn key_at(document: &[u8], paths: &[String]) -> Option<String> {
    let mut key = String::new();
    for (number, path) in paths.iter().enumerate() {
        if number > 0 {
            key.push(SEPARATOR);
        }
        encode_part(&text_of(raw_at(document, path)?)?, &mut key);
    }
    Some(key)
}

/// A scalar's text: a string without its quotes, anything else as it is written.
fn text_of(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str(raw.get()).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.get().to_owned()),
    }
}

/// A scalar as its column compares it, in JSON.
fn value_of(raw: &RawValue, column: ColumnType) -> Option<String> {
    let text = text_of(raw)?;
    match column {
        ColumnType::Text => Some(json(&text)),
        ColumnType::Integer => text.parse::<i64>().ok().map(|number| number.to_string()),
        ColumnType::Number => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|_| text),
        ColumnType::ScaledInteger { .. } => {
            text.replacen('.', "", 1).parse::<i64>().ok().map(|number| number.to_string())
        }
        ColumnType::Boolean => text.parse::<bool>().ok().map(|truth| truth.to_string()),
    }
}

/// The value at a dotted path of a document.
fn raw_at<'d>(document: &'d [u8], path: &str) -> Option<&'d RawValue> {
    let (mut names, mut within) = (path.split('.'), document);
    let first = names.next()?;
    let mut found = member(within, first)?;
    for name in names {
        within = found.get().as_bytes();
        found = member(within, name)?;
    }
    Some(found)
}

fn member<'d>(object: &'d [u8], name: &str) -> Option<&'d RawValue> {
    if object.first() != Some(&b'{') {
        return None;
    }
    serde_json::Deserializer::from_slice(object).deserialize_map(Member(name)).ok().flatten()
}

/// Reads one member of an object and passes over the others.
struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Name<'de>>()? {
            if name.0 == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::{key_at, raw_at, value_of};
    use crate::staging::ColumnType;

    #[test]
    fn values_are_found_by_their_paths() {
        let document =
            r#"{"a":{"b":"x\"y","l":[1]},"e\"s":7,"n":null,"a.b":1,"big":12345678901234567890.10}"#.as_bytes();
        let at = |path: &str| raw_at(document, path).map(serde_json::value::RawValue::get);
        assert_eq!(at("a.b"), Some(r#""x\"y""#));
        assert_eq!(at("e\"s"), Some("7"));
        assert_eq!(at("big"), Some("12345678901234567890.10"));
        assert_eq!((at("a.c"), at("x"), at("n.b"), at("a.l.b"), at("")), (None, None, None, None, None));
        let key = |paths: &[&str]| key_at(document, &paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
        assert_eq!(key(&["a.b", "e\"s"]).as_deref(), Some("x%22y~7"));
        assert_eq!((key(&["n"]), key(&["a"]), key(&["a.b", "x"])), (None, None, None));
    }

    #[test]
    fn values_are_compared_as_their_column_does() {
        let check = |json: &str, column: ColumnType, expected: Option<&str>| {
            let raw = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
            assert_eq!(value_of(&raw, column).as_deref(), expected, "{json} as {column:?}");
        };
        check(r#""a\"b""#, ColumnType::Text, Some(r#""a\"b""#));
        check("7", ColumnType::Text, Some(r#""7""#));
        check("7", ColumnType::Integer, Some("7"));
        check(r#""7""#, ColumnType::Integer, Some("7"));
        check(r#""-0.05""#, ColumnType::ScaledInteger { scale: 2 }, Some("-5"));
        check("12.50", ColumnType::Number, Some("12.50"));
        check("true", ColumnType::Boolean, Some("true"));
        check(r#""x""#, ColumnType::Integer, None);
        check("null", ColumnType::Text, None);
    }
}
