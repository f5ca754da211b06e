//! The way back of nesting: a document becomes its records again, each before those below it.
//!
//! Records of several types below one parent stand in the order of `segment_children`: how they were mixed in the file,
//! the document does not say.

#![allow(dead_code, reason = "the writer of records takes them from here")]

use super::super::plan::Plan;
use super::Segments;
use crate::decode::encode::{EncodeFault, Json};

/// The member in which `decode --meta` writes the record type.
const SEGMENT: &str = "_segment";

impl Segments {
    /// Calls `write` for every record of the document with its kind and the object that has its items, in the order in
    /// which they stand in a file.
    pub(in crate::decode::cobol) fn each_record(
        &self,
        plan: &Plan,
        document: &Json<'_>,
        write: &mut dyn FnMut(u16, &Json<'_>) -> Result<(), EncodeFault>,
    ) -> Result<(), EncodeFault> {
        let kind = self.kind_of_json(plan, document)?;
        self.below(kind, document, write)
    }

    fn below(
        &self,
        kind: u16,
        object: &Json<'_>,
        write: &mut dyn FnMut(u16, &Json<'_>) -> Result<(), EncodeFault>,
    ) -> Result<(), EncodeFault> {
        write(kind, object)?;
        for &child in self.kinds.get(usize::from(kind)).map(|kind| kind.children.as_slice()).unwrap_or_default() {
            let name = &self.kinds[usize::from(child)].member_name;
            match object.member(name) {
                None | Some(Json::Null) => {}
                Some(Json::Array(elements)) => {
                    for (index, element) in elements.iter().enumerate() {
                        let written = self.below(child, element, write);
                        written.map_err(|fault| fault.below(index).below(name))?;
                    }
                }
                Some(other) => {
                    return Err(EncodeFault::here(format!("an array of records {name}"), other).below(name));
                }
            }
        }
        Ok(())
    }

    /// The kind of a document: by `_segment`, else by the item that tells the types apart.
    fn kind_of_json(&self, plan: &Plan, document: &Json<'_>) -> Result<u16, EncodeFault> {
        let known = || self.kinds.iter().map(|kind| kind.name.as_str()).collect::<Vec<_>>().join(", ");
        if !matches!(document, Json::Object(_)) {
            return Err(EncodeFault::here("an object", document));
        }
        if let Some(written) = document.member(SEGMENT) {
            let found = match written {
                Json::Text(name) => self.kinds.iter().position(|kind| kind.name == *name),
                _ => None,
            };
            let kind = found.and_then(|kind| u16::try_from(kind).ok());
            return kind.ok_or_else(|| EncodeFault::here(format!("one of {}", known()), written).below(SEGMENT));
        }
        let names = self.field_items.iter().filter_map(|&item| plan.items[item].name.as_deref());
        for name in names {
            let Some(written) = document.member(name) else { continue };
            let id = match written {
                Json::Text(text) => text.as_ref(),
                Json::Number(text) => text,
                _ => continue,
            };
            if let Some(kind) = self.router.kind_of_id(id) {
                return Ok(kind);
            }
            return Err(EncodeFault::here("a value of `segment_map`", written).below(name));
        }
        Err(EncodeFault::here(format!("a member {SEGMENT}: one of {}", known()), "none"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::super::frame_writer::FrameWriter;
    use super::super::tests::{company, framed};
    use crate::decode::encode::Json;
    use crate::decode::{Item, JsonOptions, Kind, Resume};

    /// Takes documents apart and puts the records' bytes, known by their text, together again: the same file.
    #[test]
    fn documents_become_their_records() {
        let decoder = company(|_| {});
        let Kind::Cobol(cobol) = &decoder.0 else { panic!("a copybook was compiled") };
        let compiled = &cobol.compiled;
        let segments = compiled.segments.as_deref().unwrap();
        let data = framed("H001 CAcme DHR_ P41xy P07a_ DIT_ AParis ARome_ CNone T02");
        let mut writer = FrameWriter::new(&compiled.plan, &compiled.measure, Some(segments)).unwrap();
        let mut out = Vec::new();
        for meta in [false, true] {
            out.clear();
            let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
            while let Some(item) = reader.next().unwrap() {
                let Item::Record(record) = item else { panic!("all are sound") };
                let mut json = Vec::new();
                decoder.write_json(&record, &JsonOptions { meta, ..JsonOptions::default() }, &mut json).unwrap();
                let text = String::from_utf8(json).unwrap();
                let document = Json::parse(&text).unwrap();
                // The records of the document in the order of the file, which has them by type already.
                let mut parts = record.fields.parts().iter();
                let mut write = |kind: u16, object: &Json<'_>| {
                    let part = parts.next().unwrap();
                    assert_eq!(segments.kind_of_part(part), kind, "{object:?}");
                    let from = part.offset as usize;
                    writer.record(&record.raw[from..from + part.length as usize], &mut out)
                };
                segments.each_record(&compiled.plan, &document, &mut write).unwrap();
            }
            writer.finish(&mut out);
            assert_eq!(out, data);
        }
    }

    #[test]
    fn documents_that_are_none() {
        let decoder = company(|_| {});
        let Kind::Cobol(cobol) = &decoder.0 else { panic!("a copybook was compiled") };
        let segments = cobol.compiled.segments.as_deref().unwrap();
        let check = |text: &str, expected: &str| {
            let document = Json::parse(text).unwrap();
            let fault = segments.each_record(&cobol.compiled.plan, &document, &mut |_, _| Ok(())).unwrap_err();
            assert_eq!(fault.to_string(), expected);
        };
        check("[]", ": expected an object, found an array");
        check(r#"{"TYP":"X"}"#, r#"/TYP: expected a value of `segment_map`, found "X""#);
        check(
            r#"{"_segment":"CAR"}"#,
            r#"/_segment: expected one of HEAD, COMPANY, DEPT, PERSON, ADDRESS, TAIL, found "CAR""#,
        );
        check(r#"{"TYP":"C","DEPT":[{"PERSON":3}]}"#, "/DEPT/0/PERSON: expected an array of records PERSON, found 3");
        check("{}", ": expected a member _segment: one of HEAD, COMPANY, DEPT, PERSON, ADDRESS, TAIL, found none");
    }
}
