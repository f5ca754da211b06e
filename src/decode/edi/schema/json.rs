//! A message as JSON by the names of its schema.

use super::super::message::{Data, Message};
use super::super::segment::{components, elements, repetitions};
use super::value::read;
use super::{Element, Holds, Kind, Schema, Simple, Tree, What};
use crate::decode::json::write_string;
use crate::record::{FieldFault, Value};

/// Appends `,"name":value` for everything within an instance. A fault comes with its segment.
pub(in crate::decode::edi) fn write_json(
    schema: &Schema,
    message: &Message,
    tree: &Tree,
    out: &mut Vec<u8>,
) -> Result<(), (usize, FieldFault)> {
    within(schema, message, tree, 0, &schema.content, out)
}

fn within(
    schema: &Schema,
    message: &Message,
    tree: &Tree,
    parent: usize,
    content: &[usize],
    out: &mut Vec<u8>,
) -> Result<(), (usize, FieldFault)> {
    let mut children = tree.within(parent).peekable();
    for &number in content {
        let Some(place) = schema.uses.get(number) else { continue };
        let is_own = |child: &usize| tree.instances.get(*child).is_some_and(|child| child.place == number);
        if children.next_if(is_own).map(|child| member(schema, message, tree, child, out)).transpose()?.is_none() {
            continue;
        }
        while let Some(child) = children.next_if(is_own) {
            out.push(b',');
            instance(schema, message, tree, child, out)?;
        }
        if place.max > 1 {
            out.push(b']');
        }
    }
    Ok(())
}

/// The first instance of a place, with the name before it.
fn member(
    schema: &Schema,
    message: &Message,
    tree: &Tree,
    child: usize,
    out: &mut Vec<u8>,
) -> Result<(), (usize, FieldFault)> {
    let place = tree.instances.get(child).and_then(|child| schema.uses.get(child.place));
    if let Some(place) = place {
        out.extend_from_slice(&place.key);
    }
    instance(schema, message, tree, child, out)
}

fn instance(
    schema: &Schema,
    message: &Message,
    tree: &Tree,
    child: usize,
    out: &mut Vec<u8>,
) -> Result<(), (usize, FieldFault)> {
    let Some(own) = tree.instances.get(child) else { return Ok(()) };
    let start = out.len();
    match schema.uses.get(own.place).map(|place| &place.what) {
        Some(What::Segment { .. }) => {
            segment(message, own.segment, schema.elements(own.place), out).map_err(|fault| (own.segment, fault))?;
        }
        Some(What::Loop(content)) => within(schema, message, tree, child, content, out)?,
        None => {}
    }
    close(start, out);
    Ok(())
}

/// Ends an object: the comma before its first member becomes its bracket.
fn close(start: usize, out: &mut Vec<u8>) {
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

fn segment(message: &Message, index: usize, declared: &[Element], out: &mut Vec<u8>) -> Result<(), FieldFault> {
    let Some(syntax) = message.syntax() else { return Ok(()) };
    let data = message.segment(index);
    for (element, written) in declared.iter().zip(elements(data.bytes, &syntax.separators).skip(1)) {
        if written.is_empty() || element.name.is_none() {
            continue;
        }
        out.extend_from_slice(&element.key);
        let written = data.piece(written);
        if element.repeat == 1 {
            repetition(message, written, element, out)?;
            continue;
        }
        out.push(b'[');
        for (number, one) in repetitions(written.bytes, &syntax.separators).enumerate() {
            if number > 0 {
                out.push(b',');
            }
            repetition(message, written.piece(one), element, out)?;
        }
        out.push(b']');
    }
    Ok(())
}

fn repetition(message: &Message, data: Data<'_>, element: &Element, out: &mut Vec<u8>) -> Result<(), FieldFault> {
    if data.bytes.is_empty() {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match &element.holds {
        Holds::Value(simple) => match as_written(message, data, simple) {
            Some(true) => {
                out.push(b'"');
                out.extend_from_slice(data.bytes);
                out.push(b'"');
            }
            Some(false) => out.extend_from_slice(data.bytes),
            None => value(message, data, simple, out)?,
        },
        Holds::Composite(parts) => {
            let Some(syntax) = message.syntax() else { return Ok(()) };
            let start = out.len();
            for (part, written) in parts.iter().zip(components(data.bytes, &syntax.separators)) {
                if written.is_empty() || part.name.is_none() {
                    continue;
                }
                out.extend_from_slice(&part.key);
                repetition(message, data.piece(written), part, out)?;
            }
            close(start, out);
        }
    }
    Ok(())
}

fn value(message: &Message, data: Data<'_>, simple: &Simple, out: &mut Vec<u8>) -> Result<(), FieldFault> {
    match read(message, data, simple)? {
        Value::Decimal(number) => number.write(out),
        Value::Text(text) => write_string(&text, out),
        _ => out.extend_from_slice(b"null"),
    }
    Ok(())
}

/// How data that was checked before is JSON as it is written: in quotes, or alone; `None` where it is not.
fn as_written(message: &Message, data: Data<'_>, simple: &Simple) -> Option<bool> {
    match simple.kind {
        Kind::Implied(0) | Kind::Real => is_number(data.bytes).then_some(false),
        Kind::Implied(_) => None,
        _ => message.is_ascii(data).then_some(true),
    }
}

/// True for digits with at most one point between them, none of them a zero that JSON does not have.
fn is_number(bytes: &[u8]) -> bool {
    let whole = memchr::memchr(b'.', bytes).unwrap_or(bytes.len());
    let (before, behind) = bytes.split_at(whole);
    let digits = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    digits(before) && (before[0] != b'0' || before.len() == 1) && (behind.is_empty() || digits(&behind[1..]))
}

#[cfg(test)]
mod tests {
    use super::is_number;
    use crate::record::Decimal;

    #[test]
    fn numbers_that_stand_as_they_are() {
        for (text, stands) in [
            ("0", true),
            ("7", true),
            ("120", true),
            ("0.5", true),
            ("0.0", true),
            ("19.90", true),
            ("", false),
            (".5", false),
            ("5.", false),
            ("007", false),
            ("00.5", false),
            ("-1", false),
            ("+1", false),
            ("1,5", false),
            ("1.2.3", false),
            ("1e5", false),
        ] {
            assert_eq!(is_number(text.as_bytes()), stands, "{text}");
            if stands {
                let mut written = Vec::new();
                Decimal::parse(text, b'.', None).unwrap().write(&mut written);
                assert_eq!(written, text.as_bytes());
            }
        }
    }
}
