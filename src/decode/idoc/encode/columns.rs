//! IDocs as a flat file, one record a line, every record filled up with blanks.

use super::super::flat::is_control;
use super::super::segments::{CONTROL, CONTROL_FIELDS, CONTROL_NAME, DATA, PREFIX, Segment};
use super::{Numbering, Standing, check_fields, fields, text};
use crate::decode::CodePage;
use crate::decode::code_page::PageWriter;
use crate::decode::encode::{EncodeFault, Json};

/// Writes records of fixed columns.
pub(super) struct Columns<'a> {
    encoding: &'a CodePage,
    page: PageWriter,
}

impl<'a> Columns<'a> {
    pub(super) fn new(encoding: &'a CodePage) -> Columns<'a> {
        Columns { encoding, page: encoding.writer() }
    }

    /// Appends the control record.
    pub(super) fn control(&self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let start = out.len();
        for (name, length) in CONTROL_FIELDS {
            let written = match value.member(name) {
                None if name == "TABNAM" => self.column(CONTROL_NAME, length, out),
                None => self.column("", length, out),
                Some(value) => text(value).and_then(|text| self.column(text, length, out)),
            };
            written.map_err(|fault| fault.below(name))?;
        }
        debug_assert!(out.len() >= start + CONTROL);
        out.push(b'\n');
        Ok(())
    }

    /// Appends text, filled up with blanks to so many columns.
    fn column(&self, text: &str, length: usize, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        if text.contains(['\n', '\r', '\0']) {
            return Err(EncodeFault::here("text in one line", format!("{text:?}")));
        }
        let start = out.len();
        self.page
            .write(text, out)
            .map_err(|unencodable| EncodeFault::here(format!("text in {}", self.encoding.name()), unencodable))?;
        let columns = if self.encoding.is_utf8() { text.chars().count() } else { out.len() - start };
        if columns > length {
            return Err(EncodeFault::here(format!("at most {length} characters"), format!("{columns}")));
        }
        out.resize(out.len() + length - columns, b' ');
        Ok(())
    }

    /// Appends the 63 characters before a segment's data.
    pub(super) fn segment(
        &self,
        name: &str,
        declared: Option<&Segment>,
        at: Standing,
        numbering: &Numbering<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeFault> {
        // The name of a customer's namespace has slashes here.
        let definition = declared.map_or_else(|| name.replace("_-", "/"), |segment| segment.definition.clone());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'-');
        if definition.is_empty() || !definition.bytes().all(plain) || is_control(definition.as_bytes()) {
            return Err(EncodeFault::here("the name of a segment", format!("{definition:?}")));
        }
        let start = out.len();
        self.column(&definition, 30, out)?;
        self.column(numbering.client, 3, out)?;
        self.column(numbering.document, 16, out)?;
        let Standing { number, parent, level } = at;
        out.extend_from_slice(format!("{number:06}{parent:06}{level:02}").as_bytes());
        debug_assert!(out.len() >= start + PREFIX);
        Ok(())
    }

    /// Appends the 1000 characters of a segment's data, and ends the line.
    pub(super) fn data(
        &self,
        value: &Json<'_>,
        declared: Option<&Segment>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeFault> {
        match declared {
            Some(declared) => self.fields(value, declared, out)?,
            None => {
                if let Some((name, _)) = fields(value).find(|(name, _)| *name != "SDATA") {
                    let expected = "SDATA, as there is no list of fields";
                    return Err(EncodeFault::here(expected, format!("{name:?}")).below(name));
                }
                let data = value.member("SDATA").map_or(Ok(""), text);
                data.and_then(|data| self.column(data, DATA, out)).map_err(|fault| fault.below("SDATA"))?;
            }
        }
        out.push(b'\n');
        Ok(())
    }

    fn fields(&self, value: &Json<'_>, declared: &Segment, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        check_fields(value, declared)?;
        let mut at = 0;
        for field in &declared.fields {
            // Fields lie one behind the other; a report may leave characters between them.
            self.column("", field.start.saturating_sub(at), out)?;
            let written = value.member(&field.name).map_or(Ok(""), text);
            written.and_then(|text| self.column(text, field.length, out)).map_err(|fault| fault.below(&field.name))?;
            at = field.start + field.length;
        }
        self.column("", DATA.saturating_sub(at), out)
    }
}
