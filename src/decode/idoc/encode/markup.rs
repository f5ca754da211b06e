//! IDocs as XML, as SAP's XML ports have it: `<ORDERS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1">...`.
//!
//! The document's element is called as the first IDoc's IDOCTYP. Fields that hold nothing are left out. Characters that
//! the encoding does not have become references.

use super::super::segments::{CONTROL_FIELDS, CONTROL_NAME, Segment};
use super::{check_fields, fields, text};
use crate::decode::CodePage;
use crate::decode::code_page::PageWriter;
use crate::decode::encode::{EncodeFault, Json};
use crate::decode::xml::{check_characters, escaped};

/// The document's element where no IDoc names it.
const NAMELESS: &str = "IDOCS";

/// Writes elements.
pub(super) struct Markup<'a> {
    encoding: &'a CodePage,
    page: PageWriter,
    /// The name of the document's element; `None` before the first IDoc.
    root: Option<String>,
}

impl<'a> Markup<'a> {
    pub(super) fn new(encoding: &'a CodePage) -> Markup<'a> {
        Markup { encoding, page: encoding.writer(), root: None }
    }

    /// Appends the XML declaration.
    pub(super) fn declare(&self, out: &mut Vec<u8>) {
        let encoding = if self.encoding.is_utf8() { "UTF-8" } else { self.encoding.name() };
        out.extend_from_slice(format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>\n").as_bytes());
    }

    /// Begins an IDoc, and before the first one the document.
    pub(super) fn open(&self, kind: &str, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        if self.root.is_none() {
            let root = root(kind);
            check_name(&root).map_err(|fault| fault.below("IDOCTYP"))?;
            out.extend_from_slice(format!("<{root}>\n").as_bytes());
        }
        out.extend_from_slice(b"<IDOC BEGIN=\"1\">\n");
        Ok(())
    }

    /// Ends an IDoc.
    pub(super) fn close(&mut self, kind: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"</IDOC>\n");
        // Only now it is sure that the document's element is written.
        self.root.get_or_insert_with(|| root(kind));
    }

    /// Ends the document.
    pub(super) fn finish(&self, out: &mut Vec<u8>) {
        let end = match &self.root {
            Some(root) => format!("</{root}>\n"),
            None => format!("<{NAMELESS}>\n</{NAMELESS}>\n"),
        };
        out.extend_from_slice(end.as_bytes());
    }

    /// Appends the control record, its fields in the order of the dictionary.
    pub(super) fn control(&self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.start(CONTROL_NAME, out);
        for (name, length) in CONTROL_FIELDS {
            let written = match value.member(name) {
                None if name == "TABNAM" => self.field(name, CONTROL_NAME, Some(length), out),
                None => Ok(()),
                Some(value) => text(value).and_then(|text| self.field(name, text, Some(length), out)),
            };
            written.map_err(|fault| fault.below(name))?;
        }
        self.end(CONTROL_NAME, out);
        Ok(())
    }

    /// Begins a segment and appends its fields: those of the list in its order, without one as they come.
    pub(super) fn segment(
        &self,
        name: &str,
        value: &Json<'_>,
        declared: Option<&Segment>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeFault> {
        check_name(name)?;
        if name == CONTROL_NAME || name == "IDOC" {
            return Err(EncodeFault::here("the name of a segment", format!("{name:?}")));
        }
        self.start(name, out);
        let Some(declared) = declared else {
            let mut before: Vec<&str> = Vec::new();
            for (name, value) in fields(value) {
                let mut written = || {
                    if name == "SDATA" {
                        let expected = "the fields of the segment, as a list of segments has them for a flat file";
                        return Err(EncodeFault::here(expected, "data that is not cut into fields"));
                    }
                    if before.contains(&name) {
                        return Err(EncodeFault::here("a field once", "it again"));
                    }
                    check_name(name)?;
                    self.field(name, text(value)?, None, out)
                };
                written().map_err(|fault| fault.below(name))?;
                before.push(name);
            }
            return Ok(());
        };
        check_fields(value, declared)?;
        for field in &declared.fields {
            let text = value.member(&field.name).map_or(Ok(""), text);
            let written = text.and_then(|text| self.field(&field.name, text, Some(field.length), out));
            written.map_err(|fault| fault.below(&field.name))?;
        }
        Ok(())
    }

    fn start(&self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("<{} SEGMENT=\"1\">", escaped_name(name)).as_bytes());
    }

    /// Ends a segment.
    pub(super) fn end(&self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("</{}>\n", escaped_name(name)).as_bytes());
    }

    fn field(&self, name: &str, text: &str, length: Option<usize>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        if text.is_empty() {
            return Ok(());
        }
        let columns = text.chars().count();
        if let Some(length) = length.filter(|length| columns > *length) {
            return Err(EncodeFault::here(format!("at most {length} characters"), format!("{columns}")));
        }
        check_characters(text)?;
        let name = escaped_name(name);
        out.extend_from_slice(format!("<{name}>").as_bytes());
        self.characters(&escaped(text, false), out);
        out.extend_from_slice(format!("</{name}>").as_bytes());
        Ok(())
    }

    fn characters(&self, mut text: &str, out: &mut Vec<u8>) {
        loop {
            let start = out.len();
            let Err(unencodable) = self.page.write(text, out) else { return };
            out.truncate(start);
            let (before, rest) = text.split_at_checked(unencodable.index).unwrap_or((text, ""));
            // The page has written these before it stopped.
            let _ = self.page.write(before, out);
            let Some(char) = rest.chars().next() else { return };
            out.extend_from_slice(format!("&#{};", u32::from(char)).as_bytes());
            text = &rest[char.len_utf8()..];
        }
    }
}

/// The name of the document's element.
fn root(kind: &str) -> String {
    if kind.is_empty() { NAMELESS.to_owned() } else { escaped_name(kind) }
}

/// SAP's way to write the slashes of a customer's namespace, `/ABC/E1X`, in names of XML.
fn escaped_name(name: &str) -> String {
    name.replace('/', "_-")
}

fn check_name(name: &str) -> Result<(), EncodeFault> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'/'));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    if first && bytes.all(plain) {
        Ok(())
    } else {
        Err(EncodeFault::here("a name of letters and digits", format!("{name:?}")))
    }
}
