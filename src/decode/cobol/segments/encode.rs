//! Documents of several records from JSON: each record is written where it stands, then those below it, kind by kind.
//!
//! Records of several types below one parent stand in the order of their `_id`s, where `decode` was asked for these, and
//! else in that of `segment_children`: how they were mixed in the file, such a document does not say.

use std::borrow::Cow;
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
        for Child { kind, name, index, value } in children(segments, value, &below)? {
            let written = self.part(segments, kind, &value, which, records);
            written.map_err(|fault| fault.below(index).below(name))?;
        }
        Ok(())
    }
}

/// A record below another one in a document.
struct Child<'v, 'a> {
    kind: u16,
    /// The array that it stands in, and where.
    name: &'v str,
    index: usize,
    value: Cow<'v, Json<'a>>,
}

/// The records below one in the order in which they are written: where `_id`s say how those of several types were mixed,
/// as they say; else type by type. An order that `_id`s leave half said is refused.
fn children<'v, 'a>(
    segments: &Segments,
    value: &'v Json<'a>,
    below: &'v [(u16, String)],
) -> Result<Vec<Child<'v, 'a>>, EncodeFault> {
    let mut children = Vec::new();
    let mut types = 0;
    for (kind, name) in below {
        match value.member(name) {
            Some(Json::Array(elements)) => {
                types += usize::from(!elements.is_empty());
                let of = elements.iter().enumerate();
                children.extend(of.map(|(index, value)| Child { kind: *kind, name, index, value }));
            }
            None | Some(Json::Null) => {}
            Some(other) => {
                let expected = format!("an array of records {}", segments.name(*kind));
                return Err(EncodeFault::here(expected, other).below(name));
            }
        }
    }
    if types < 2 || children.iter().all(|child| child.value.member("_id").is_none()) {
        return Ok(children);
    }
    let mut ordered: Vec<(u64, Child<'v, 'a>)> = Vec::with_capacity(children.len());
    for child in children {
        let id = child.value.member("_id");
        let ordinal = match id {
            Some(Json::Text(id)) => id.rsplit('.').next().and_then(|ordinal| ordinal.parse::<u64>().ok()),
            _ => None,
        };
        let in_turn = |ordinal: &u64| match ordered.last() {
            Some((before, last)) => last.name != child.name || before < ordinal,
            None => true,
        };
        let Some(ordinal) = ordinal.filter(in_turn) else {
            let expected = "an `_id` behind that of the record before it, or none in any record beside it";
            let found = id.map_or("nothing".to_owned(), ToString::to_string);
            return Err(EncodeFault::here(expected, found).below("_id").below(child.index).below(child.name));
        };
        ordered.push((ordinal, child));
    }
    ordered.sort_by_key(|(ordinal, _)| *ordinal);
    if let Some([_, (_, child)]) = ordered.array_windows::<2>().find(|[one, next]| one.0 == next.0) {
        let fault = EncodeFault::here("an `_id` of its own", "that of another record beside it");
        return Err(fault.below("_id").below(child.index).below(child.name));
    }
    Ok(ordered.into_iter().map(|(_, child)| child).collect())
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

    /// How records of several types were mixed, the `_id`s say.
    #[test]
    fn what_was_mixed_stays_so() {
        let decoder = company(|_| {});
        let data = framed("CAcme AParis DHR_ P41xy P07a_ ARome_ DIT_ CNone T02");
        let read = |meta: bool| {
            let mut reader = decoder.reader(Cursor::new(&data), Resume::default()).unwrap();
            let mut lines = Vec::new();
            while let Some(item) = reader.next().unwrap() {
                let Item::Record(record) = item else { panic!("all are sound") };
                let mut json = Vec::new();
                decoder.write_json(&record, &JsonOptions { meta, ..JsonOptions::default() }, &mut json).unwrap();
                lines.push(String::from_utf8(json).unwrap());
            }
            lines
        };
        let write = |lines: &[String]| {
            let mut encoder = decoder.encoder().unwrap();
            let mut out = Vec::new();
            let each = |line: &String| encoder.record(&Json::parse(line).unwrap(), &mut out);
            lines.iter().try_for_each(each).map_err(|fault| fault.to_string())?;
            encoder.finish(&mut out).unwrap();
            Ok::<_, String>(out)
        };
        assert_eq!(write(&read(true)).unwrap(), data);
        // Without them type by type.
        let sorted = framed("CAcme DHR_ P41xy P07a_ DIT_ AParis ARome_ CNone T02");
        assert_eq!(write(&read(false)).unwrap(), sorted);
        // An order that is half said, or said twice, is none.
        let with = |from: &str, to: &str| {
            let changed: Vec<String> = read(true).iter().map(|line| line.replace(from, to)).collect();
            assert_ne!(changed, read(true));
            write(&changed).unwrap_err()
        };
        let behind = "expected an `_id` behind that of the record before it, or none in any record beside it";
        assert_eq!(with(r#","_id":"1.3""#, ""), format!("/ADDRESS/1/_id: {behind}, found nothing"));
        assert_eq!(with(r#""_id":"1.3""#, r#""_id":"1.0""#), format!("/ADDRESS/1/_id: {behind}, found \"1.0\""));
        assert_eq!(with(r#""_id":"1.3""#, r#""_id":"x""#), format!("/ADDRESS/1/_id: {behind}, found \"x\""));
        let own = "expected an `_id` of its own, found that of another record beside it";
        assert_eq!(with(r#""_id":"1.3""#, r#""_id":"1.2""#), format!("/ADDRESS/1/_id: {own}"));
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
