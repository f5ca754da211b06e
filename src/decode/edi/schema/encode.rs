//! Messages from the names of a schema.

use super::super::encode::Pen;
use super::super::syntax::Separators;
use super::{Element, Holds, Kind, Schema, Simple, What};
use crate::decode::encode::{EncodeFault, Json};
use crate::record::Decimal;

/// Appends the segments of a message that its names describe; answers how many.
pub(in crate::decode::edi) fn write_segments(
    schema: &Schema,
    pen: &Pen,
    value: &Json<'_>,
    out: &mut Vec<u8>,
) -> Result<usize, EncodeFault> {
    content(schema, pen, value, &schema.content, true, out)
}

fn content(
    schema: &Schema,
    pen: &Pen,
    value: &Json<'_>,
    content: &[usize],
    outermost: bool,
    out: &mut Vec<u8>,
) -> Result<usize, EncodeFault> {
    let Json::Object(members) = value else { return Err(EncodeFault::here("an object", value)) };
    let names = || content.iter().filter_map(|number| schema.uses.get(*number)).map(|place| place.name.as_str());
    // What stands around the message has names of its own.
    let own = |name: &str| !(outermost && name.starts_with('_'));
    known(members.iter().map(|(name, _)| &**name).filter(|name| own(name)), names)?;
    let mut count = 0;
    for &number in content {
        let Some(place) = schema.uses.get(number) else { continue };
        let Some(value) = value.member(&place.name).filter(|value| **value != Json::Null) else { continue };
        let one = |value: &Json<'_>, out: &mut Vec<u8>| match &place.what {
            What::Segment { pattern, .. } => {
                let start = out.len();
                out.extend_from_slice(pattern.id.as_bytes());
                elements(pen, value, schema.elements(number), out)?;
                pen.closed(start, out)?;
                Ok(1)
            }
            What::Loop(inner) => {
                let first = inner.first().and_then(|first| schema.uses.get(*first)).map_or("", |first| &*first.name);
                if value.member(first).is_none_or(|first| *first == Json::Null) {
                    return Err(EncodeFault::here("the segment that begins the loop", "nothing").below(first));
                }
                self::content(schema, pen, value, inner, false, out)
            }
        };
        let below = |fault: EncodeFault| fault.below(&place.name);
        match value {
            Json::Array(all) if place.max > 1 => {
                for (index, value) in all.iter().enumerate() {
                    count += one(&value, out).map_err(|fault| below(fault.below(index)))?;
                }
            }
            _ if place.max > 1 => return Err(below(EncodeFault::here("an array", value))),
            _ => count += one(value, out).map_err(below)?,
        }
    }
    Ok(count)
}

/// Refuses a name that the schema does not have: what it holds would be lost.
fn known<'n, 's, N: Iterator<Item = &'s str>>(
    written: impl Iterator<Item = &'n str>,
    names: impl Fn() -> N,
) -> Result<(), EncodeFault> {
    for name in written {
        if !names().any(|known| known == name) {
            let known: Vec<_> = names().collect();
            return Err(EncodeFault::here(format!("one of {}", known.join(", ")), format!("{name:?}")).below(name));
        }
    }
    Ok(())
}

fn elements(pen: &Pen, value: &Json<'_>, declared: &[Element], out: &mut Vec<u8>) -> Result<(), EncodeFault> {
    let Separators { element, repetition, .. } = pen.separators;
    parts(pen, value, declared, element, true, out, |value, element, out| {
        let Json::Array(all) = value else { return one(pen, value, element, out) };
        let Some(separator) = repetition.filter(|_| element.repeat > 1) else {
            return Err(EncodeFault::here("one value", value));
        };
        for (index, value) in all.iter().enumerate() {
            if index > 0 {
                out.push(separator);
            }
            one(pen, &value, element, out).map_err(|fault| fault.below(index))?;
        }
        Ok(())
    })
}

/// Values by name in the order of their declarations; `leading`: a separator before the first one too.
fn parts(
    pen: &Pen,
    value: &Json<'_>,
    declared: &[Element],
    separator: u8,
    leading: bool,
    out: &mut Vec<u8>,
    write: impl Fn(&Json<'_>, &Element, &mut Vec<u8>) -> Result<(), EncodeFault>,
) -> Result<(), EncodeFault> {
    let Json::Object(members) = value else { return Err(EncodeFault::here("an object", value)) };
    let names = || declared.iter().filter_map(|element| element.name.as_deref());
    known(members.iter().map(|(name, _)| &**name), names)?;
    let mut owed = usize::from(leading);
    for element in declared {
        let name = element.name.as_deref().unwrap_or_default();
        if let Some(value) = value.member(name).filter(|value| **value != Json::Null) {
            let from = out.len();
            pen.separator(separator, owed, out);
            let start = out.len();
            write(value, element, out).map_err(|fault| fault.below(name))?;
            if out.len() == start {
                out.truncate(from);
            } else {
                owed = 0;
            }
        }
        owed += 1;
    }
    Ok(())
}

fn one(pen: &Pen, value: &Json<'_>, element: &Element, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
    match (&element.holds, value) {
        (_, Json::Null) => Ok(()),
        (Holds::Value(simple), _) => pen.data(&text(value, simple)?, out),
        (Holds::Composite(inner), _) => {
            parts(pen, value, inner, pen.separators.component, false, out, |value, element, out| {
                one(pen, value, element, out)
            })
        }
    }
}

/// The text of a value of its declared type.
fn text(value: &Json<'_>, simple: &Simple) -> Result<String, EncodeFault> {
    let written = match value {
        Json::Text(text) => &**text,
        Json::Number(text) => text,
        _ => return Err(EncodeFault::here(simple.written.clone(), value)),
    };
    let number = || Decimal::parse(written, b'.', None);
    let wrong = || EncodeFault::here(format!("{}, an exact number", simple.written), value);
    match simple.kind {
        Kind::Implied(scale) => {
            let number = number().and_then(|number| number.rescale(scale)).map_err(|_| wrong())?;
            Ok(number.units().to_string())
        }
        Kind::Real => Ok(number().map_err(|_| wrong())?.to_string()),
        Kind::Text | Kind::Letters | Kind::Date | Kind::Time => Ok(written.to_owned()),
    }
}
