//! The way back: IDocs become a flat file, or XML.
//!
//! Numbers of segments are those of `_segment` where they are given, else counted; parents and levels come from how the
//! segments lie in one another. XML has no numbers: there the order of the elements is that of the numbers.

mod columns;
mod markup;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::segments::{CONTROL_FIELDS, CONTROL_NAME, Segment};
use super::settings::Form;
use super::{Inner, MAX_DEPTH};
use crate::decode::encode::{EncodeFault, Json, RecordWriter};
use columns::Columns;
use markup::Markup;

/// Writes the IDocs of one file.
pub(in crate::decode) struct Writer<'a> {
    idoc: &'a Inner,
    form: Target<'a>,
}

enum Target<'a> {
    Flat(Columns<'a>),
    Xml(Markup<'a>),
}

/// What every data record of an IDoc has in common, and how far their numbers are.
struct Numbering<'j> {
    client: &'j str,
    document: &'j str,
    last: u32,
}

/// Where a segment stands.
#[derive(Clone, Copy)]
struct Standing {
    number: u32,
    parent: u32,
    level: usize,
}

/// A segment that waits to be written.
struct Child<'j, 'a> {
    name: &'j str,
    /// Its index in the array.
    index: usize,
    value: Cow<'j, Json<'a>>,
    number: Option<u32>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(idoc: &'a Inner) -> Writer<'a> {
        let form = match idoc.form {
            Form::Flat => Target::Flat(Columns::new(&idoc.encoding)),
            Form::Xml => Target::Xml(Markup::new(&idoc.encoding)),
        };
        Writer { idoc, form }
    }
}

impl RecordWriter for Writer<'_> {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        if let Target::Xml(markup) = &self.form {
            markup.declare(out);
        }
        Ok(())
    }

    fn record(&mut self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let control = value.member(CONTROL_NAME);
        let control = control.ok_or_else(|| EncodeFault::here("a control record", "nothing").below(CONTROL_NAME))?;
        let text_of = |name: &str| control.member(name).map_or(Ok(""), text).map_err(|fault| fault.below(name));
        let below = |fault: EncodeFault| fault.below(CONTROL_NAME);
        check_control(control).map_err(below)?;
        match &self.form {
            Target::Flat(columns) => columns.control(control, out),
            Target::Xml(markup) => {
                text_of("IDOCTYP").and_then(|kind| markup.open(kind, out)).and_then(|()| markup.control(control, out))
            }
        }
        .map_err(below)?;
        let client = text_of("MANDT").map_err(below)?;
        let document = text_of("DOCNUM").map_err(below)?;
        let mut numbering = Numbering { client, document, last: 0 };
        let Json::Object(members) = value else { return Err(EncodeFault::here("an object", value)) };
        // What `decode --meta` and `--hex` add is no segment; the name of a segment may begin with `_-`.
        let is_added = |name: &str| matches!(name, "_offset" | "_length" | "_record" | "_hex");
        let segments = members.iter().filter(|(name, value)| {
            name != CONTROL_NAME && (!is_added(name) || matches!(value, Json::Array(_) | Json::Object(_)))
        });
        self.children(segments.map(|(name, value)| (&**name, value)), 0, 1, &mut numbering, out)?;
        if let Target::Xml(markup) = &mut self.form {
            markup.close(text_of("IDOCTYP").map_err(below)?, out);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        if let Target::Xml(markup) = &self.form {
            markup.finish(out);
        }
        Ok(())
    }
}

/// The text of a value: a string, or a number as it is written.
fn text<'j>(value: &'j Json<'_>) -> Result<&'j str, EncodeFault> {
    match value {
        Json::Text(text) => Ok(text),
        Json::Number(text) => Ok(text),
        Json::Null => Ok(""),
        _ => Err(EncodeFault::here("a text", value)),
    }
}

/// A control record has only its own fields, and says that it is one where it says so.
fn check_control(value: &Json<'_>) -> Result<(), EncodeFault> {
    let Json::Object(members) = value else { return Err(EncodeFault::here("an object", value)) };
    for (name, _) in members {
        if !CONTROL_FIELDS.iter().any(|(own, _)| own == name) {
            return Err(EncodeFault::here("a field of EDI_DC40", format!("{name:?}")).below(name));
        }
    }
    match value.member("TABNAM") {
        Some(given) if !text(given).is_ok_and(|text| super::flat::is_control(text.as_bytes())) => {
            Err(EncodeFault::here(CONTROL_NAME, given).below("TABNAM"))
        }
        _ => Ok(()),
    }
}

/// The fields of a segment: its members that are neither segments nor its number.
fn fields<'j, 'a>(value: &'j Json<'a>) -> impl Iterator<Item = (&'j str, &'j Json<'a>)> {
    let members = if let Json::Object(members) = value { members.as_slice() } else { &[] };
    let own = members.iter().filter(|(name, value)| name != "_segment" && !matches!(value, Json::Array(_)));
    own.map(|(name, value)| (&**name, value))
}

/// Every field of the value is one of the segment of the list.
fn check_fields(value: &Json<'_>, declared: &Segment) -> Result<(), EncodeFault> {
    match fields(value).find(|(name, _)| !declared.fields.iter().any(|field| field.name == *name)) {
        Some((name, _)) => {
            let expected = format!("a field of {} or an array of segments", declared.kind);
            Err(EncodeFault::here(expected, format!("{name:?}")).below(name))
        }
        None => Ok(()),
    }
}

impl Writer<'_> {
    /// Writes segments that lie in one parent, in the order of their numbers, each before what lies in it.
    fn children<'j, 'a: 'j>(
        &self,
        members: impl Iterator<Item = (&'j str, &'j Json<'a>)>,
        parent: u32,
        level: usize,
        numbering: &mut Numbering<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeFault> {
        let mut children = Vec::new();
        for (name, value) in members {
            let Json::Array(all) = value else {
                return Err(EncodeFault::here("an array of segments", value).below(name));
            };
            for (index, value) in all.iter().enumerate() {
                let number = match value.member("_segment") {
                    None => None,
                    Some(Json::Number(text))
                        if text.parse::<u32>().is_ok_and(|number| (1..=999_999).contains(&number)) =>
                    {
                        text.parse().ok()
                    }
                    Some(other) => {
                        let fault = EncodeFault::here("a number from 1 to 999999", other);
                        return Err(fault.below("_segment").below(index).below(name));
                    }
                };
                children.push(Child { name, index, value, number });
            }
        }
        if children.iter().all(|child| child.number.is_some()) {
            children.sort_by_key(|child| child.number);
        }
        for child in children {
            let below = |fault: EncodeFault| fault.below(child.index).below(child.name);
            self.segment(&child, parent, level, numbering, out).map_err(below)?;
        }
        Ok(())
    }

    fn segment(
        &self,
        child: &Child<'_, '_>,
        parent: u32,
        level: usize,
        numbering: &mut Numbering<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeFault> {
        let Json::Object(members) = &*child.value else {
            return Err(EncodeFault::here("a segment as an object", &child.value));
        };
        if level > MAX_DEPTH {
            return Err(EncodeFault::here(format!("segments at most {MAX_DEPTH} deep in one another"), "more"));
        }
        let number = child.number.unwrap_or(numbering.last + 1);
        if number <= numbering.last || number > 999_999 {
            let expected = format!("a number above {} and at most 999999", numbering.last);
            return Err(EncodeFault::here(expected, number).below("_segment"));
        }
        numbering.last = number;
        let declared = match &self.idoc.segments {
            None => None,
            Some(segments) => {
                let found = segments.kind(child.name);
                Some(found.ok_or_else(|| EncodeFault::here("a segment of the list", format!("{:?}", child.name)))?)
            }
        };
        match &self.form {
            Target::Flat(columns) => {
                let standing = Standing { number, parent, level };
                columns.segment(child.name, declared, standing, numbering, out)?;
                columns.data(&child.value, declared, out)?;
            }
            Target::Xml(markup) => markup.segment(child.name, &child.value, declared, out)?,
        }
        let segments = members.iter().filter(|(name, value)| name != "_segment" && matches!(value, Json::Array(_)));
        self.children(segments.map(|(name, value)| (&**name, value)), number, level + 1, numbering, out)?;
        if let Target::Xml(markup) = &self.form {
            markup.end(child.name, out);
        }
        Ok(())
    }
}
