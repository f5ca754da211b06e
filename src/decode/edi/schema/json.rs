//! A message as JSON by the names of its schema.

use super::super::message::{Data, Message};
use super::super::segment::{components, elements, repetitions};
use super::value::read;
use super::{Element, Holds, Schema, Tree, What};
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
        out.push(b',');
        write_string(&place.name, out);
        out.extend_from_slice(if place.max > 1 { b":[" } else { b":" });
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
        let Some(name) = element.name.as_ref().filter(|_| !written.is_empty()) else { continue };
        out.push(b',');
        write_string(name, out);
        out.push(b':');
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
        Holds::Value(simple) => match read(message, data, simple)? {
            Value::Decimal(number) => number.write(out),
            Value::Text(text) => write_string(&text, out),
            _ => out.extend_from_slice(b"null"),
        },
        Holds::Composite(parts) => {
            let Some(syntax) = message.syntax() else { return Ok(()) };
            let start = out.len();
            for (part, written) in parts.iter().zip(components(data.bytes, &syntax.separators)) {
                let Some(name) = part.name.as_ref().filter(|_| !written.is_empty()) else { continue };
                out.push(b',');
                write_string(name, out);
                out.push(b':');
                repetition(message, data.piece(written), part, out)?;
            }
            close(start, out);
        }
    }
    Ok(())
}
