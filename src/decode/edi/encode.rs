//! The way back: messages become interchanges again.
//!
//! What a message is in comes from its `_interchange` and `_group`: a record that has the same as the one before goes into
//! the same interchange and group, any other begins anew. Headers are written from `header`, with the separators of
//! `separators`; trailers are made, so that counts and control numbers are right. The text of an element may not hold a
//! separator where the standard has no release character.

use std::borrow::Cow;
use std::rc::Rc;

use super::Inner;
use super::schema::{self, Schema};
use super::segment::{behind_binary, find_end, is_id};
use super::syntax::{Separators, Standard, code_page, start};
use crate::decode::CodePage;
use crate::decode::code_page::PageWriter;
use crate::decode::encode::{EncodeFault, Json, RecordWriter};

/// Writes the interchanges of one file.
pub(in crate::decode) struct Writer<'a> {
    edi: &'a Inner,
    open: Option<Open>,
}

/// What all segments of an interchange are written by.
pub(super) struct Pen {
    pub(super) standard: Standard,
    pub(super) separators: Separators,
    encoding: CodePage,
    page: PageWriter,
    line_end: String,
}

/// An interchange that has no trailer yet.
#[derive(Clone)]
struct Open {
    pen: Rc<Pen>,
    /// The bytes before its first group or message.
    header: Rc<[u8]>,
    control: Rc<[u8]>,
    groups: u64,
    messages: u64,
    group: Option<OpenGroup>,
}

#[derive(Clone)]
struct OpenGroup {
    header: Rc<[u8]>,
    control: Rc<[u8]>,
    messages: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(edi: &'a Inner) -> Writer<'a> {
        Writer { edi, open: None }
    }
}

impl RecordWriter for Writer<'_> {
    fn record(&mut self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let (pen, header, control) = interchange(member(value, "_interchange")?, self.edi.encoding.as_ref())
            .map_err(|fault| fault.below("_interchange"))?;
        let group = match value.member("_group") {
            None | Some(Json::Null) => None,
            Some(group) => Some(group_header(&pen, group).map_err(|fault| fault.below("_group"))?),
        };
        let mut open = match self.open.clone() {
            Some(open) if open.header == header => open,
            before => {
                if let Some(mut before) = before {
                    before.close(out);
                }
                out.extend_from_slice(&header);
                Open { pen: Rc::new(pen), header, control, groups: 0, messages: 0, group: None }
            }
        };
        if open.group.as_ref().map(|group| &group.header) != group.as_ref().map(|(header, _)| header) {
            open.close_group(out);
            if let Some((header, control)) = group {
                out.extend_from_slice(&header);
                open.groups += 1;
                open.group = Some(OpenGroup { header, control, messages: 0 });
            }
        }
        let counted = message(self.edi, &open.pen, value, open.group.is_some(), out)?;
        if counted {
            open.messages += 1;
            if let Some(group) = &mut open.group {
                group.messages += 1;
            }
        }
        self.open = Some(open);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        if let Some(mut open) = self.open.take() {
            open.close(out);
        }
        Ok(())
    }
}

impl Open {
    fn close_group(&mut self, out: &mut Vec<u8>) {
        if let Some(group) = self.group.take() {
            let name = if self.pen.standard == Standard::X12 { "GE" } else { "UNE" };
            self.pen.trailer(name, group.messages, &group.control, out);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        self.close_group(out);
        // UNZ counts groups where there are any, else messages.
        let groups = self.pen.standard == Standard::X12 || self.groups > 0;
        let name = if self.pen.standard == Standard::X12 { "IEA" } else { "UNZ" };
        self.pen.trailer(name, if groups { self.groups } else { self.messages }, &self.control, out);
    }
}

fn member<'j, 'a>(value: &'j Json<'a>, name: &str) -> Result<&'j Json<'a>, EncodeFault> {
    match value {
        Json::Object(_) => value.member(name).ok_or_else(|| EncodeFault::here("a value", "nothing").below(name)),
        _ => Err(EncodeFault::here("an object", value)),
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

fn text_member<'j>(value: &'j Json<'_>, name: &str) -> Result<&'j str, EncodeFault> {
    member(value, name).and_then(|value| text(value).map_err(|fault| fault.below(name)))
}

/// A pen, the bytes of a header, and its control number.
type Begun = (Pen, Rc<[u8]>, Rc<[u8]>);

/// The bytes of a header, and its control number.
type Heading = (Rc<[u8]>, Rc<[u8]>);

/// Reads what is said of an interchange; answers its pen, the bytes of its header, and its control number.
fn interchange(value: &Json<'_>, encoding: Option<&CodePage>) -> Result<Begun, EncodeFault> {
    let standard = match text_member(value, "standard")? {
        "X12" => Standard::X12,
        "EDIFACT" => Standard::Edifact,
        other => return Err(EncodeFault::here("X12 or EDIFACT", other).below("standard")),
    };
    let written = member(value, "separators")?;
    let below = |name: &'static str| move |fault: EncodeFault| fault.below(name).below("separators");
    let optional = |name: &'static str| match written.member(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) if text.len() == 1 => Ok(text.bytes().next()),
        Some(other) => Err(below(name)(EncodeFault::here("one ASCII character", other))),
    };
    let one = |name: &'static str| {
        optional(name)?.ok_or_else(|| below(name)(EncodeFault::here("one ASCII character", "nothing")))
    };
    let separators = Separators {
        element: one("element")?,
        component: one("component")?,
        repetition: optional("repetition")?,
        release: optional("release")?,
        segment: one("segment")?,
    };
    let line_end = match written.member("line_end") {
        None => "",
        Some(value) => text(value).map_err(below("line_end"))?,
    };
    if !matches!(line_end, "" | "\n" | "\r" | "\r\n") {
        return Err(below("line_end")(EncodeFault::here("a line end or nothing", format!("{line_end:?}"))));
    }
    let header = member(value, "header")?;
    let level = || header.member("01").and_then(|first| first.member("01")).and_then(|level| text(level).ok());
    let page = match (encoding, standard) {
        (Some(page), _) => page.clone(),
        (None, Standard::X12) => CodePage::utf8(),
        (None, Standard::Edifact) => level().and_then(code_page).ok_or_else(|| {
            EncodeFault::here("a syntax level that names a code page", level().unwrap_or("none")).below("header")
        })?,
    };
    let pen = Pen { standard, separators, page: page.writer(), encoding: page, line_end: line_end.to_owned() };
    let mut bytes = Vec::new();
    let advised = matches!(written.member("advice"), Some(Json::Boolean(true)));
    let decimal = match written.member("decimal_mark") {
        Some(Json::Text(mark)) if *mark == "," => b',',
        _ => b'.',
    };
    let mut control = Vec::new();
    match standard {
        Standard::X12 => {
            pen.isa(header, &mut bytes).map_err(|fault| fault.below("header"))?;
            pen.data(text_member(header, "13").map_err(|fault| fault.below("header"))?, &mut control)
                .map_err(|fault| fault.below("13").below("header"))?;
        }
        Standard::Edifact => {
            if advised {
                let Separators { element, component, repetition, release, segment } = separators;
                bytes.extend_from_slice(b"UNA");
                let (release, repetition) = (release.unwrap_or(b' '), repetition.unwrap_or(b' '));
                bytes.extend_from_slice(&[component, element, decimal, release, repetition, segment]);
                bytes.extend_from_slice(line_end.as_bytes());
            }
            pen.segment(header, Some(&["UNB"]), &mut bytes).map_err(|fault| fault.below("header"))?;
            control = pen.control(header, "05").map_err(|fault| fault.below("header"))?;
        }
    }
    // What was written must be understood as it was meant.
    let understood = start(&bytes, encoding);
    if !understood.is_ok_and(|found| found.separators == separators && found.standard == standard) {
        let expected = "a header that says the separators, which must differ from one another and from data";
        return Err(EncodeFault::here(expected, "another one").below("separators"));
    }
    Ok((pen, bytes.into(), control.into()))
}

fn group_header(pen: &Pen, value: &Json<'_>) -> Result<Heading, EncodeFault> {
    let (name, control) = if pen.standard == Standard::X12 { ("GS", "06") } else { ("UNG", "05") };
    let header = member(value, "header")?;
    let mut bytes = Vec::new();
    let written = pen.segment(header, Some(&[name]), &mut bytes).and_then(|_| pen.control(header, control));
    let control = written.map_err(|fault| fault.below("header"))?;
    Ok((bytes.into(), control.into()))
}

/// Appends a message with its trailer; answers whether envelopes count it.
fn message(edi: &Inner, pen: &Pen, value: &Json<'_>, in_group: bool, out: &mut Vec<u8>) -> Result<bool, EncodeFault> {
    let start = out.len();
    let (name, trailer, control) = match pen.standard {
        Standard::X12 => ("ST", "SE", "02"),
        Standard::Edifact => ("UNH", "UNT", "01"),
    };
    let (header, count) = match &edi.described {
        None => {
            let Json::Array(segments) = member(value, "segments")? else {
                return Err(EncodeFault::here("an array of segments", member(value, "segments")?).below("segments"));
            };
            let names: &[&str] = if in_group || pen.standard == Standard::Edifact { &[name] } else { &["TA1"] };
            let fault = |index: usize| move |fault: EncodeFault| fault.below(index).below("segments");
            for (index, segment) in segments.iter().enumerate() {
                pen.segment(&segment, (index == 0).then_some(names), out).map_err(fault(index))?;
            }
            let Some(first) = segments.iter().next() else {
                return Err(EncodeFault::here(format!("a segment {}", names[0]), "nothing").below("segments"));
            };
            if names == ["TA1"] {
                let only = segments.len() == 1;
                return if only {
                    Ok(false)
                } else {
                    Err(fault(1)(EncodeFault::here("nothing behind TA1", "a segment")))
                };
            }
            (first, segments.len())
        }
        Some(described) => {
            let header = member(value, "_header")?;
            if pen.standard == Standard::X12 && !in_group {
                return Err(EncodeFault::here("a group", "none").below("_group"));
            }
            pen.segment(header, Some(&[name]), out).map_err(|fault| fault.below("_header"))?;
            (Cow::Borrowed(header), 1 + schema::write_segments(&described.schema, pen, value, out)?)
        }
    };
    let control = pen.control(&header, control)?;
    if let Some(described) = &edi.described {
        verify(&described.schema, pen, &out[start..])?;
    }
    pen.trailer(trailer, count as u64 + 1, &control, out);
    Ok(true)
}

/// Reads the message back by the schema: what it would not take must not be written.
fn verify(schema: &Schema, pen: &Pen, bytes: &[u8]) -> Result<(), EncodeFault> {
    let message = super::message::Message::of(pen.standard, pen.separators, &pen.encoding, bytes);
    let kind = message.kind().unwrap_or_default();
    if pen.standard != schema.standard || kind != schema.message {
        return Err(EncodeFault::here(format!("a message of type {}", schema.message), kind).below("_header"));
    }
    schema::build(schema, &message, schema::Tree::default()).map(drop).map_err(|(segment, bad)| {
        let element = bad.element.map(|element| format!(", element {element}")).unwrap_or_default();
        EncodeFault::here(bad.fault.expected, format!("{} in {}{element}", bad.fault.found, message.place(segment)))
    })
}

/// Bytes of each element of ISA, in order.
const ISA_WIDTHS: [usize; 16] = [2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1, 1];

impl Pen {
    fn end(&self, out: &mut Vec<u8>) {
        out.push(self.separators.segment);
        out.extend_from_slice(self.line_end.as_bytes());
    }

    fn trailer(&self, name: &str, count: u64, control: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(name.as_bytes());
        out.push(self.separators.element);
        out.extend_from_slice(count.to_string().as_bytes());
        out.push(self.separators.element);
        out.extend_from_slice(control);
        self.end(out);
    }

    /// A control number as it is written: an element, or its first component.
    fn control(&self, header: &Json<'_>, name: &str) -> Result<Vec<u8>, EncodeFault> {
        let mut control = Vec::new();
        let written = match header.member(name) {
            None => Ok(()),
            Some(value) => self.simple(value, &mut control),
        };
        written.map_err(|fault| fault.below(name))?;
        if control.is_empty() {
            return Err(EncodeFault::here("a control number", "nothing").below(name));
        }
        Ok(control)
    }

    /// ISA: its elements have the widths that the standard gives them.
    fn isa(&self, header: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        out.extend_from_slice(b"ISA");
        for (index, width) in ISA_WIDTHS.into_iter().enumerate() {
            let name = format!("{:02}", index + 1);
            out.push(self.separators.element);
            let from = out.len();
            let text = text_member(header, &name)?;
            // ISA11 and ISA16 hold separators.
            let written = if index == 10 || index == 15 {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            } else {
                self.data(text, out)
            };
            written.map_err(|fault| fault.below(&name))?;
            let length = out.len() - from;
            if length > width {
                let expected = format!("at most {width} bytes");
                return Err(EncodeFault::here(expected, format!("{length} bytes")).below(name));
            }
            out.resize(from + width, b' ');
        }
        self.end(out);
        Ok(())
    }

    /// Appends a segment from `{"id":"BEG","01":...}` with its terminator. `names`: those that it may have.
    pub(super) fn segment(
        &self,
        value: &Json<'_>,
        names: Option<&[&str]>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeFault> {
        let Json::Object(members) = value else { return Err(EncodeFault::here("a segment as an object", value)) };
        let id = text_member(value, "id")?;
        let fits = names.map_or_else(|| is_id(id.as_bytes()) && !self.is_service(id), |names| names.contains(&id));
        if !fits {
            let expected = names.map_or_else(|| "the name of a segment".to_owned(), |names| names.join(" or "));
            return Err(EncodeFault::here(expected, format!("{id:?}")).below("id"));
        }
        let start = out.len();
        out.extend_from_slice(id.as_bytes());
        let elements = members.iter().filter(|(name, _)| name != "id");
        let binary = self.standard == Standard::X12 && matches!(id, "BIN" | "BDS");
        self.numbered(elements.map(|(name, value)| (&**name, value)), self.separators.element, out, |value, out| {
            if binary { self.raw(value, out) } else { self.element(value, out) }
        })?;
        self.closed(start, out)
    }

    /// Service segments end messages and are made here, not taken from data.
    fn is_service(&self, id: &str) -> bool {
        match self.standard {
            Standard::X12 => matches!(id, "ISA" | "GS" | "ST" | "SE" | "GE" | "IEA"),
            Standard::Edifact => matches!(id, "UNA" | "UNB" | "UNG" | "UNH" | "UNT" | "UNE" | "UNZ"),
        }
    }

    /// Ends the segment that begins at `start`, if it ends there and nowhere before.
    pub(super) fn closed(&self, start: usize, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        out.push(self.separators.segment);
        let segment = out.get(start..).unwrap_or_default();
        let end = segment.len() - 1;
        let behind = behind_binary(segment, &self.separators).ok();
        let found = behind.and_then(|behind| Some(behind + find_end(segment.get(behind..)?, &self.separators)?));
        if found != Some(end) {
            let expected = "a length of binary data that is its length";
            return Err(EncodeFault::here(expected, "another one"));
        }
        // A reader takes it for a file that somebody has wrapped.
        let is_binary = segment.starts_with(b"BIN") || segment.starts_with(b"BDS");
        let is_broken = segment[..end].iter().any(|byte| matches!(byte, b'\r' | b'\n'));
        if self.standard == Standard::X12 && is_broken && !is_binary {
            return Err(EncodeFault::here("a segment without line ends", "a line end in one of its elements"));
        }
        out.extend_from_slice(self.line_end.as_bytes());
        Ok(())
    }

    /// Writes values by number, a separator before each, in the order of their numbers.
    fn numbered<'j, 'a: 'j>(
        &self,
        members: impl Iterator<Item = (&'j str, &'j Json<'a>)>,
        separator: u8,
        out: &mut Vec<u8>,
        write: impl Fn(&Json<'_>, &mut Vec<u8>) -> Result<(), EncodeFault>,
    ) -> Result<(), EncodeFault> {
        let mut numbered = Vec::new();
        for (name, value) in members {
            let number = name.parse::<usize>().ok().filter(|number| (1..=999).contains(number));
            let number = number.filter(|_| name.len() >= 2 && name.bytes().all(|byte| byte.is_ascii_digit()));
            let wrong = || EncodeFault::here("the number of an element, 01 to 999, as name", format!("{name:?}"));
            numbered.push((number.ok_or_else(wrong)?, name, value));
        }
        numbered.sort_by_key(|(number, ..)| *number);
        let mut at = 0;
        // Separators of what is empty are only written before something that is not.
        let mut whole = out.len();
        for (number, name, value) in numbered {
            if number == at {
                return Err(EncodeFault::here("each number once", format!("{number:02} again")).below(name));
            }
            out.resize(out.len() + number - at, separator);
            let from = out.len();
            write(value, out).map_err(|fault| fault.below(name))?;
            if out.len() > from {
                whole = out.len();
            }
            at = number;
        }
        out.truncate(whole);
        Ok(())
    }

    /// An element: a value, its repetitions, or its components.
    fn element(&self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let Json::Array(repetitions) = value else { return self.repetition(value, out) };
        let Some(separator) = self.separators.repetition else {
            return Err(EncodeFault::here("one value, as the interchange has no repetition separator", value));
        };
        for (index, one) in repetitions.iter().enumerate() {
            if index > 0 {
                out.push(separator);
            }
            self.repetition(&one, out).map_err(|fault| fault.below(index))?;
        }
        Ok(())
    }

    fn repetition(&self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let Json::Object(members) = value else { return self.simple(value, out) };
        let start = out.len();
        let parts = members.iter().map(|(name, value)| (&**name, value));
        self.numbered(parts, self.separators.component, out, |value, out| self.simple(value, out))?;
        // The first component has no separator before it.
        if out.len() > start {
            out.remove(start);
        }
        Ok(())
    }

    fn simple(&self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.data(text(value)?, out)
    }

    /// Data of a segment that says how long it is: separators are data there.
    fn raw(&self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.encoded(text(value)?, out)
    }

    fn encoded(&self, text: &str, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.page
            .write(text, out)
            .map_err(|unencodable| EncodeFault::here(format!("text in {}", self.encoding.name()), unencodable))
    }

    /// Appends text, separators in it released.
    pub(super) fn data(&self, text: &str, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let start = out.len();
        self.encoded(text, out)?;
        let Separators { element, component, repetition, release, segment } = self.separators;
        let cuts = |byte: &u8| {
            [element, component, segment].contains(byte) || repetition == Some(*byte) || release == Some(*byte)
        };
        if !out[start..].iter().any(cuts) {
            return Ok(());
        }
        let Some(release) = release else {
            out.truncate(start);
            let expected = "text without the separators of the interchange";
            return Err(EncodeFault::here(expected, format!("{text:?}")));
        };
        let written = out.split_off(start);
        for byte in written {
            if cuts(&byte) {
                out.push(release);
            }
            out.push(byte);
        }
        Ok(())
    }

    /// Appends a separator.
    pub(super) fn separator(&self, separator: u8, count: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + count, separator);
    }
}
