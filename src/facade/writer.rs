//! Records in the format that the caller chose.

use hyper::header::HeaderValue;

use super::accept::{Chosen, Format};
use super::cbor;
use super::csv::Columns;
use super::shape::Shape;
use crate::http::{Problem, Reason};
use crate::mapping::Exposure;

/// Writes documents, which are in shape already, one after the other.
pub(super) struct Writer {
    format: Format,
    columns: Option<Columns>,
    has_names: bool,
    is_raw: bool,
    /// Whether a stream says now and then how to go on.
    pub(super) says_cursors: bool,
}

impl Writer {
    /// For records of a resource. Parameters of the media type that mean something must mean something that we know.
    pub(super) fn new(chosen: &Chosen, exposure: &Exposure, shape: &Shape) -> Result<Writer, Problem> {
        let format = chosen.format();
        let one_of = |name: &'static str, words: [&str; 2]| match chosen.parameter(name) {
            None => Ok(false),
            Some(word) if word == words[0] => Ok(false),
            Some(word) if word == words[1] => Ok(true),
            Some(_) => Err(Reason::NotAcceptable
                .because(format!("`Accept`: `{name}` of `{}` is `{}` or `{}`", chosen.media_type, words[0], words[1]))),
        };
        let (mut is_bare, mut is_raw, mut says_cursors) = (false, false, false);
        match format {
            Format::Csv if !shape.beside.is_empty() => {
                return Err(Reason::InvalidParameter
                    .because("`include`: a line of CSV has no place for other records")
                    .hint("ask for them in JSON, NDJSON or CBOR, or read their own resource as CSV"));
            }
            Format::Csv => {
                is_bare = one_of("header", ["present", "absent"])?;
                is_raw = one_of("formulas", ["escaped", "raw"])?;
            }
            Format::Ndjson | Format::CborSequence => says_cursors = one_of("cursors", ["false", "true"])?,
            Format::Json | Format::Cbor => {}
        }
        let columns = (format == Format::Csv).then(|| Columns::new(&exposure.schema, shape.fields.as_ref(), !is_raw));
        Ok(Writer { format, columns, has_names: !is_bare, is_raw, says_cursors })
    }

    pub(super) fn content_type(&self) -> HeaderValue {
        match (self.format, self.has_names) {
            (Format::Csv, true) => HeaderValue::from_static("text/csv; charset=utf-8; header=present"),
            (Format::Csv, false) => HeaderValue::from_static("text/csv; charset=utf-8; header=absent"),
            (format, _) => HeaderValue::from_static(format.media_type()),
        }
    }

    /// What tells the entity tag of this form from that of JSON.
    pub(super) fn suffix(&self) -> String {
        let mut suffix = self.format.suffix().unwrap_or("").to_owned();
        for (differs, word) in [(self.is_raw, "-raw"), (!self.has_names, "-bare"), (self.says_cursors, "-cursors")] {
            if differs {
                suffix.push_str(word);
            }
        }
        suffix
    }

    /// Appends what stands before the first record.
    pub(super) fn begin(&self, out: &mut Vec<u8>) {
        if let (Some(columns), true) = (&self.columns, self.has_names) {
            columns.write_names(out);
        }
    }

    /// Whether records stand in it as they are stored, a line each.
    pub(super) fn takes_lines(&self) -> bool {
        self.format == Format::Ndjson
    }

    /// Appends a record, with what ends it in a sequence.
    pub(super) fn write(&self, document: &[u8], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        if let Some(columns) = &self.columns {
            return columns.write(document, out);
        }
        match self.format {
            Format::Cbor | Format::CborSequence => cbor::write(document, out)?,
            _ => out.extend_from_slice(document),
        }
        if self.format == Format::Ndjson {
            out.push(b'\n');
        }
        Ok(())
    }

    /// Appends a line that is no record: where to go on when the stream breaks off behind it (`$next`), null at the end.
    pub(super) fn write_aside(&self, line: &serde_json::Value, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let line = serde_json::to_vec(line)?;
        match self.format {
            Format::CborSequence => cbor::write(&line, out)?,
            _ => {
                out.extend_from_slice(&line);
                out.push(b'\n');
            }
        }
        Ok(())
    }
}
