//! How records are written: whole or cut to some fields, with what belongs to them beside their own fields.

use std::sync::Arc;

use serde::de::Error;

use super::catalog::Published;
use super::cursor::Seal;
use super::list::next_url;
use super::projection::Projection;
use super::value;
use crate::record::key::encode_part;
use crate::staging::{Comparison, Filter, Included, ListQuery, Related, Rows, Scalar};

/// The form of a record in an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// Some fields only.
    pub(super) fields: Option<Projection>,
    /// What stands beside them, in the order in which staging was asked for it.
    pub(super) beside: Vec<Beside>,
}

/// Related records in an answer.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    /// The member under which they stand.
    pub(super) name: String,
    pub(super) target: Arc<Published>,
    /// What the caller may see of the target.
    pub(super) only: Vec<Filter>,
    /// The field of the target that they are found by; none when there is one by its key at most.
    pub(super) field: Option<String>,
    /// The parameters that ask the target itself for records in this form, to be carried to where the rest of them are.
    pub(super) form: String,
    pub(super) shape: Shape,
}

impl Shape {
    /// Whether documents are sent as they are stored.
    pub(super) fn is_plain(&self) -> bool {
        self.fields.is_none() && self.beside.is_empty()
    }

    /// All records, separated by commas.
    pub(super) fn join(&self, rows: Rows, included: &[Included], seal: &Seal) -> Result<Vec<u8>, serde_json::Error> {
        if self.is_plain() {
            return Ok(rows.into_joined());
        }
        let mut out = Vec::with_capacity(rows.bytes());
        for (number, payload) in rows.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            self.write(payload, (number, included), seal, &mut out)?;
        }
        Ok(out)
    }

    /// Appends one record, the document number `row` of those beside which `included` stands.
    pub(super) fn write(
        &self,
        payload: &[u8],
        (row, included): (usize, &[Included]),
        seal: &Seal,
        out: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let start = out.len();
        match &self.fields {
            None => out.extend_from_slice(payload),
            Some(fields) => fields.write(payload, out)?,
        }
        if self.beside.is_empty() {
            return Ok(());
        }
        if out.pop() != Some(b'}') {
            return Err(serde_json::Error::custom("a document is no object"));
        }
        let mut is_first = out.len() == start + 1;
        for (beside, included) in self.beside.iter().zip(included) {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            serde_json::to_writer(&mut *out, &beside.name)?;
            out.push(b':');
            let nothing = Related::default();
            beside.write(included.of.get(row).unwrap_or(&nothing), included, seal, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

impl Beside {
    fn write(
        &self,
        related: &Related,
        included: &Included,
        seal: &Seal,
        out: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let one = |place: u32, out: &mut Vec<u8>| {
            let place = place as usize;
            let payload = included.rows.get(place).ok_or_else(|| serde_json::Error::custom("a record is not there"))?;
            self.shape.write(payload, (place, &included.included), seal, out)
        };
        let Some(field) = &self.field else {
            return match related.rows.first() {
                Some(place) => one(*place, out),
                None => {
                    out.extend_from_slice(b"null");
                    Ok(())
                }
            };
        };
        out.extend_from_slice(b"{\"data\":[");
        for (number, place) in related.rows.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            one(*place, out)?;
        }
        match related.next.as_ref().and_then(|(value, key)| self.rest(field, value, key, seal)) {
            // Only characters of a URL: nothing to escape.
            Some(next) => out.extend_from_slice(format!("],\"next\":\"{next}\",\"complete\":false}}").as_bytes()),
            None => out.extend_from_slice(b"],\"next\":null,\"complete\":true}"),
        }
        Ok(())
    }

    /// Where the records behind `key` are that have this value in `field`.
    fn rest(&self, field: &str, text: &str, key: &str, seal: &Seal) -> Option<String> {
        let exposure = &self.target.exposure;
        let declared = exposure.filter.iter().find(|declared| declared.path == field)?;
        let values = vec![value::parse(declared.field_type, text).ok()?];
        let filters = vec![Filter { path: field.to_owned(), comparison: Comparison::Equal, values }];
        let question = ListQuery { filters, only: self.only.clone(), ..ListQuery::default() };
        let cursor = seal.close(exposure, &question, &[Scalar::Text(key.to_owned())]);
        let mut carried = String::new();
        encode_part(field, &mut carried);
        carried.push('=');
        encode_part(text, &mut carried);
        if !self.form.is_empty() {
            carried.push('&');
            carried.push_str(&self.form);
        }
        Some(next_url(&self.target, &carried, &cursor))
    }
}
