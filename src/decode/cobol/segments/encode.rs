//! Documents of several records from JSON: each record is written where it stands, then those below it, kind by kind.
//!
//! Records of several types below one parent stand in the order of `segment_children`: how they were mixed in the file,
//! the document does not say.

use std::collections::HashSet;

use super::super::encode::{Type, Writer, collect_names, has_fillers, is_added};
use super::{Kind, Segments};
use crate::decode::encode::{EncodeFault, Json};

/// What `decode` adds to records of several types when it is asked to.
const ADDED: [&str; 2] = ["_segment", "_id"];

impl Writer<'_> {
    /// The records of a document of a kind.
    fn document_of(&mut self, segments: &Segments, kind: u16, value: &Json<'_>) -> Result<Vec<Vec<u8>>, EncodeFault> {
        let mut records = Vec::new();
        self.part(segments, kind, value, usize::from(has_fillers(value)), &mut records)?;
        Ok(records)
    }

    /// The records of a document whose kind is to be found out: what is written tells it.
    pub(in crate::decode::cobol) fn document(
        &mut self,
        segments: &Segments,
        value: &Json<'_>,
    ) -> Result<Vec<Vec<u8>>, EncodeFault> {
        if let Some(Json::Text(name)) = value.member("_segment") {
            let named = segments.roots().find(|&kind| segments.name(kind) == name);
            return match named {
                Some(kind) => self.document_of(segments, kind, value),
                None => Err(EncodeFault::here(of_kinds(segments), format!("{name:?}")).below("_segment")),
            };
        }
        if let Some(kind) = self.told(segments, value)? {
            return self.document_of(segments, kind, value);
        }
        let roots: Vec<u16> = segments.roots().collect();
        let mut wrong: Option<EncodeFault> = None;
        for &kind in &roots {
            let covers = self.types.get(usize::from(kind)).is_some_and(|layout| covers(layout, segments, kind, value));
            if roots.len() > 1 && !covers {
                continue;
            }
            match self.document_of(segments, kind, value) {
                Ok(records) => return Ok(records),
                // A fault at a value says more than that the record is of another type.
                Err(fault) if wrong.as_ref().is_none_or(|wrong| wrong.pointer.is_empty()) => wrong = Some(fault),
                Err(_) => {}
            }
        }
        Err(wrong.unwrap_or_else(|| {
            EncodeFault::here(format!("a record of {}", of_kinds(segments)), "one with other members than any of them")
        }))
    }

    /// The kind that the field which tells the types apart has in JSON; `None` where the document does not have it in the
    /// open, or a value that only bytes can tell.
    fn told(&self, segments: &Segments, value: &Json<'_>) -> Result<Option<u16>, EncodeFault> {
        for &item in &segments.field_items {
            let Some(name) = self.record.plan.items.get(item).and_then(|item| item.name.as_deref()) else { continue };
            let Some(written) = value.member(name) else { continue };
            let (Json::Text(_) | Json::Number(_)) = written else { continue };
            let id = written.as_text()?.unwrap_or_default();
            let Some(kind) = segments.router.kind_of_id(id) else { continue };
            if segments.roots().all(|root| root != kind) {
                let expected = format!("a record of {}", of_kinds(segments));
                return Err(EncodeFault::here(expected, format!("{written}, of {}", segments.name(kind))).below(name));
            }
            return Ok(Some(kind));
        }
        Ok(None)
    }

    /// Appends a record and all below it.
    fn part(
        &mut self,
        segments: &Segments,
        kind: u16,
        value: &Json<'_>,
        which: usize,
        records: &mut Vec<Vec<u8>>,
    ) -> Result<(), EncodeFault> {
        let (Some(of), Some(layout)) = (segments.kinds.get(usize::from(kind)), self.types.get(usize::from(kind)))
        else {
            return Ok(());
        };
        let below = below(segments, of, which);
        let mut beside: Vec<&str> = below.iter().map(|(_, name)| name.as_str()).collect();
        beside.extend(ADDED);
        let written = self.record.write(layout, which, value, &beside)?;
        let bytes = self.cut(written);
        match segments.route(self.record.plan, &bytes) {
            Ok(found) if found == kind => {}
            Ok(found) => {
                return Err(EncodeFault::here(
                    format!("a record {}", segments.name(kind)),
                    format!("one that reads as {}", segments.name(found)),
                ));
            }
            Err(unroutable) => return Err(EncodeFault::here(unroutable.expected, unroutable.found)),
        }
        records.push(bytes);
        for (child, name) in &below {
            let elements = match value.member(name) {
                Some(Json::Array(elements)) => elements.as_slice(),
                None | Some(Json::Null) => &[],
                Some(other) => {
                    let expected = format!("an array of records {}", segments.name(*child));
                    return Err(EncodeFault::here(expected, other).below(name));
                }
            };
            for (index, element) in elements.iter().enumerate() {
                let written = self.part(segments, *child, element, which, records);
                written.map_err(|fault| fault.below(index).below(name))?;
            }
        }
        Ok(())
    }
}

/// The kinds below one, with the names of their arrays.
fn below(segments: &Segments, kind: &Kind, which: usize) -> Vec<(u16, String)> {
    let of = |&child: &u16| Some((child, segments.kinds.get(usize::from(child))?.member[which].text()));
    kind.children.iter().filter_map(of).collect()
}

/// The kinds that begin a document, for messages.
fn of_kinds(segments: &Segments) -> String {
    let names: Vec<&str> = segments.roots().map(|kind| segments.name(kind)).collect();
    names.join(" or ")
}

/// Whether a kind has all members of an object.
fn covers(layout: &Type<'_>, segments: &Segments, kind: u16, value: &Json<'_>) -> bool {
    let (Json::Object(given), Some(kind)) = (value, segments.kinds.get(usize::from(kind))) else { return true };
    let which = usize::from(has_fillers(value));
    let below = below(segments, kind, which);
    let mut known: HashSet<&str> = below.iter().map(|(_, name)| name.as_str()).chain(ADDED).collect();
    collect_names(&layout.shapes[which].members, &mut known);
    given.iter().all(|(name, _)| known.contains(name.as_ref()) || is_added(name, &known))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::tests::{company, framed};
    use crate::decode::encode::Json;
    use crate::decode::{Item, JsonOptions, Resume};

    #[test]
    fn documents_become_their_records() {
        let decoder = company(|_| {});
        // Those of one document by type, as JSON has them.
        let data = framed("H001 CAcme DHR_ P41xy P07a_ DIT_ AParis ARome_ CNone T02");
        for meta in [false, true] {
            let mut encoder = decoder.encoder().unwrap();
            let mut out = Vec::new();
            let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
            while let Some(item) = reader.next().unwrap() {
                let Item::Record(record) = item else { panic!("all are sound") };
                let mut json = Vec::new();
                decoder.write_json(&record, &JsonOptions { meta, ..JsonOptions::default() }, &mut json).unwrap();
                encoder.record(&Json::parse(&String::from_utf8(json).unwrap()).unwrap(), &mut out).unwrap();
            }
            encoder.finish(&mut out).unwrap();
            assert_eq!(out, data);
        }
    }

    #[test]
    fn documents_that_are_none() {
        let decoder = company(|_| {});
        let check = |text: &str, expected: &str| {
            let fault = decoder.encoder().unwrap().record(&Json::parse(text).unwrap(), &mut Vec::new()).unwrap_err();
            assert_eq!(fault.to_string(), expected);
        };
        check("[]", ": expected an object, found an array");
        check(r#"{"TYP":"H","DAY":"x"}"#, r#"/DAY: expected PIC 9(3), found "x", which is no number"#);
        check(r#"{"TYP":"C","DAY":1}"#, "/DAY: expected a member that the copybook has, found 1");
        check(
            r#"{"TYP":"D","DNAME":"HR"}"#,
            r#"/TYP: expected a record of HEAD or COMPANY or TAIL, found "D", of DEPT"#,
        );
        check(r#"{"_segment":"CAR"}"#, r#"/_segment: expected HEAD or COMPANY or TAIL, found "CAR""#);
        check(
            r#"{"TYP":"C","NAME":"a","DEPT":[{"TYP":"D","DNAME":"b","PERSON":3}]}"#,
            "/DEPT/0/PERSON: expected an array of records PERSON, found 3",
        );
        check(
            r#"{"TYP":"C","NAME":"a","DEPT":null,"SIZE":3}"#,
            "/SIZE: expected a member that the copybook has, found 3",
        );
    }
}
