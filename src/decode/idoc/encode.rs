//! The way back: IDocs become a flat file, one record a line, every record filled up with blanks.
//!
//! Numbers of segments are those of `_segment` where they are given, else counted; parents and levels come from how the
//! segments lie in one another. XML is read only: the flat form is what file ports of every release take.

use super::segments::{CONTROL, CONTROL_FIELDS, CONTROL_NAME, DATA, PREFIX, Segment};
use super::{Inner, MAX_DEPTH};
use crate::decode::code_page::PageWriter;
use crate::decode::encode::{EncodeFault, Json, RecordWriter};

/// Writes the IDocs of one file.
pub(in crate::decode) struct Writer<'a> {
    idoc: &'a Inner,
    page: PageWriter,
}

/// What every data record of an IDoc has in common, and how far their numbers are.
struct Numbering<'j> {
    client: &'j str,
    document: &'j str,
    last: u32,
}

/// A segment that waits to be written.
struct Child<'j, 'a> {
    name: &'j str,
    /// Its index in the array.
    index: usize,
    value: &'j Json<'a>,
    number: Option<u32>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(idoc: &'a Inner) -> Writer<'a> {
        Writer { idoc, page: idoc.encoding.writer() }
    }
}

impl RecordWriter for Writer<'_> {
    fn record(&mut self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let control = value.member(CONTROL_NAME);
        let control = control.ok_or_else(|| EncodeFault::here("a control record", "nothing").below(CONTROL_NAME))?;
        self.control(control, out).map_err(|fault| fault.below(CONTROL_NAME))?;
        let text_of = |name: &str| control.member(name).map_or(Ok(""), text).map_err(|fault| fault.below(name));
        let below = |fault: EncodeFault| fault.below(CONTROL_NAME);
        let client = text_of("MANDT").map_err(below)?;
        let document = text_of("DOCNUM").map_err(below)?;
        let mut numbering = Numbering { client, document, last: 0 };
        let Json::Object(members) = value else { return Err(EncodeFault::here("an object", value)) };
        // What `decode --meta` and `--hex` add is no segment.
        let segments = members.iter().filter(|(name, _)| name != CONTROL_NAME && !name.starts_with('_'));
        self.children(segments.map(|(name, value)| (&**name, value)), 0, 1, &mut numbering, out)
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

impl Writer<'_> {
    fn control(&self, value: &Json<'_>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let Json::Object(members) = value else { return Err(EncodeFault::here("an object", value)) };
        for (name, _) in members {
            if !CONTROL_FIELDS.iter().any(|(own, _)| own == name) {
                return Err(EncodeFault::here("a field of EDI_DC40", format!("{name:?}")).below(name));
            }
        }
        let start = out.len();
        for (name, length) in CONTROL_FIELDS {
            let written = match value.member(name) {
                None if name == "TABNAM" => self.column(CONTROL_NAME, length, out),
                None => self.column("", length, out),
                Some(value) => text(value).and_then(|text| self.column(text, length, out)),
            };
            written.map_err(|fault| fault.below(name))?;
        }
        if !super::flat::is_control(&out[start..]) {
            let found = value.member("TABNAM").map(ToString::to_string).unwrap_or_default();
            return Err(EncodeFault::here(CONTROL_NAME, found).below("TABNAM"));
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
        let encoding = &self.idoc.encoding;
        self.page
            .write(text, out)
            .map_err(|unencodable| EncodeFault::here(format!("text in {}", encoding.name()), unencodable))?;
        let columns = if encoding.is_utf8() { text.chars().count() } else { out.len() - start };
        if columns > length {
            return Err(EncodeFault::here(format!("at most {length} characters"), format!("{columns}")));
        }
        out.resize(out.len() + length - columns, b' ');
        Ok(())
    }

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
        let Json::Object(members) = child.value else {
            return Err(EncodeFault::here("a segment as an object", child.value));
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
        let definition = declared.map_or(child.name, |segment| &segment.definition);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'-');
        if definition.is_empty() || !definition.bytes().all(plain) || super::flat::is_control(definition.as_bytes()) {
            return Err(EncodeFault::here("the name of a segment", format!("{definition:?}")));
        }
        let start = out.len();
        self.column(definition, 30, out)?;
        self.column(numbering.client, 3, out)?;
        self.column(numbering.document, 16, out)?;
        out.extend_from_slice(format!("{number:06}{parent:06}{level:02}").as_bytes());
        debug_assert!(out.len() >= start + PREFIX);
        self.data(child.value, declared, out)?;
        out.push(b'\n');
        let segments = members.iter().filter(|(name, value)| name != "_segment" && matches!(value, Json::Array(_)));
        self.children(segments.map(|(name, value)| (&**name, value)), number, level + 1, numbering, out)
    }

    /// Appends the 1000 characters of a segment's data.
    fn data(&self, value: &Json<'_>, declared: Option<&Segment>, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let Json::Object(members) = value else { return Ok(()) };
        let fields = members.iter().filter(|(name, value)| name != "_segment" && !matches!(value, Json::Array(_)));
        let Some(declared) = declared else {
            for (name, _) in fields {
                if name != "SDATA" {
                    return Err(
                        EncodeFault::here("SDATA, as there is no list of fields", format!("{name:?}")).below(name)
                    );
                }
            }
            let data = value.member("SDATA").map_or(Ok(""), text);
            return data.and_then(|data| self.column(data, DATA, out)).map_err(|fault| fault.below("SDATA"));
        };
        for (name, _) in fields {
            if !declared.fields.iter().any(|field| field.name == *name) {
                let expected = format!("a field of {} or an array of segments", declared.kind);
                return Err(EncodeFault::here(expected, format!("{name:?}")).below(name));
            }
        }
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::Settings;
    use crate::decode::testing::{encode, read};
    use crate::decode::{CodePage, Decoder, Format, Place};
    use crate::diagnostic::{Faults, SourceText};

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/edi").join(name)).unwrap()
    }

    fn decoder(list: Option<&str>, encoding: &str) -> Decoder {
        let source = SourceText::new(Path::new("l.txt"), list.unwrap_or_default().to_owned());
        let segments = list.map(|_| ("l.txt".to_owned(), Place::command_line("--segments l.txt")));
        let settings = Settings { encoding: CodePage::find(encoding).unwrap(), segments };
        Format::Idoc(settings).compile(&|_| Some(Arc::clone(&source)), &Faults::new()).unwrap()
    }

    fn listed(encoding: &str) -> Decoder {
        decoder(Some(&String::from_utf8(fixture("orders05.parser.txt")).unwrap()), encoding)
    }

    #[test]
    fn what_was_read_is_written_as_it_was() {
        // The third IDoc is broken.
        let data = fixture("orders.idoc");
        let starts: Vec<_> = memchr::memmem::find_iter(&data, b"EDI_DC40").collect();
        let data = [&data[..starts[2]], &data[starts[3]..]].concat();
        for decoder in [listed("latin1"), decoder(None, "latin1")] {
            let lines = read(&decoder, &data);
            assert_eq!(lines.len(), 24);
            assert!(encode(&decoder, &lines).unwrap() == data);
        }
        // XML becomes the flat form of the same IDocs.
        let xml = String::from_utf8(fixture("orders.xml")).unwrap().replace("beside", "");
        let lines = read(&listed("utf-8"), xml.as_bytes());
        let flat = encode(&listed("latin1"), &lines).unwrap();
        assert!(memchr::memmem::find(&flat, &data[starts[0]..starts[2]]).is_some());
        assert_eq!(read(&listed("latin1"), &flat), lines);
    }

    #[test]
    fn what_cannot_be_written_says_where() {
        let decoder = listed("latin1");
        let check = |edit: &dyn Fn(&mut Value), expected: &str| {
            let mut idoc =
                json!({"EDI_DC40": {"DOCNUM": "1"}, "E1EDP01": [{"POSEX": "1", "E1EDP19": [{"QUALF": "001"}]}]});
            assert!(encode(&decoder, &[idoc.to_string()]).is_ok());
            edit(&mut idoc);
            let fault = encode(&decoder, &[idoc.to_string()]).unwrap_err().to_string();
            assert!(fault.contains(expected), "{fault}");
        };
        check(&|idoc| *idoc = json!({}), "/EDI_DC40: expected a control record, found nothing");
        check(&|idoc| idoc["EDI_DC40"]["DOCNO"] = json!(1), "/EDI_DC40/DOCNO: expected a field of EDI_DC40");
        check(
            &|idoc| idoc["EDI_DC40"]["TABNAM"] = json!("EDI_DC"),
            "/EDI_DC40/TABNAM: expected EDI_DC40, found \"EDI_DC\"",
        );
        check(
            &|idoc| idoc["EDI_DC40"]["DOCNUM"] = json!("12345678901234567"),
            "/EDI_DC40/DOCNUM: expected at most 16 characters, found 17",
        );
        check(&|idoc| idoc["E1EDP99"] = json!([{}]), "/E1EDP99/0: expected a segment of the list");
        check(&|idoc| idoc["E1EDP01"] = json!({}), "/E1EDP01: expected an array of segments, found an object");
        check(
            &|idoc| idoc["E1EDP01"][0]["POSEX"] = json!("1234567"),
            "/E1EDP01/0/POSEX: expected at most 6 characters, found 7",
        );
        check(&|idoc| idoc["E1EDP01"][0]["POSEX"] = json!("a\nb"), "/E1EDP01/0/POSEX: expected text in one line");
        check(&|idoc| idoc["E1EDP01"][0]["POSEX"] = json!("\u{20ac}"), "/E1EDP01/0/POSEX: expected text in iso-8859-1");
        check(&|idoc| idoc["E1EDP01"][0]["X"] = json!("1"), "/E1EDP01/0/X: expected a field of E1EDP01");
        check(&|idoc| idoc["E1EDP01"][0]["_segment"] = json!("1"), "/E1EDP01/0/_segment: expected a number");
        check(
            &|idoc| {
                idoc["E1EDP01"][0]["_segment"] = json!(5);
                idoc["E1EDP01"][0]["E1EDP19"][0]["_segment"] = json!(4);
            },
            "/E1EDP01/0/E1EDP19/0/_segment: expected a number above 5",
        );
        let plain = self::decoder(None, "latin1");
        let idoc = json!({"EDI_DC40": {}, "E2X": [{"_segment": 1, "A": "x"}]}).to_string();
        assert!(encode(&plain, &[idoc]).unwrap_err().to_string().contains("/E2X/0/A: expected SDATA"));
    }

    /// Segments that lie in one another: kinds, values and what is below, by depth.
    fn segments(depth: u32) -> BoxedStrategy<Vec<(usize, String, Vec<Value>)>> {
        let below: BoxedStrategy<Vec<Value>> = if depth == 0 {
            Just(Vec::new()).boxed()
        } else {
            segments(depth - 1).prop_map(|all| all.into_iter().map(|one| json!(one)).collect()).boxed()
        };
        proptest::collection::vec((0usize..5, "[A-Za-z0-9\u{e4}\u{df}]{1,3}", below), 0..4).boxed()
    }

    const KINDS: [(&str, &str); 5] =
        [("E1EDK01", "ACTION"), ("E1EDK03", "IDDAT"), ("E1EDKA1", "PARVW"), ("E1EDP01", "POSEX"), ("E1EDP19", "KTEXT")];

    /// The members of an IDoc or segment; numbers are given as they are written out, segments of a kind together.
    fn members(all: &[Value], last: &mut u32) -> serde_json::Map<String, Value> {
        let mut members = serde_json::Map::new();
        let mut sorted: Vec<&Value> = all.iter().collect();
        // Arrays come in the order of their first segments, so segments of one kind are put side by side.
        sorted.sort_by_key(|segment| segment[0].as_u64());
        for segment in sorted {
            let (kind, field) = KINDS[segment[0].as_u64().unwrap() as usize];
            *last += 1;
            let mut own = serde_json::Map::new();
            own.insert("_segment".to_owned(), json!(*last));
            own.insert(field.to_owned(), segment[1].clone());
            own.extend(self::members(segment[2].as_array().unwrap(), last));
            members.entry(kind).or_insert_with(|| json!([])).as_array_mut().unwrap().push(Value::Object(own));
        }
        members
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(idocs in proptest::collection::vec(segments(3), 1..4), utf8 in any::<bool>()) {
            let decoder = listed(if utf8 { "utf-8" } else { "latin1" });
            let records: Vec<String> = idocs.into_iter().enumerate().map(|(index, all)| {
                let all: Vec<Value> = all.into_iter().map(|one| json!(one)).collect();
                let mut record = serde_json::Map::new();
                record.insert("EDI_DC40".to_owned(), json!({"TABNAM": "EDI_DC40", "DOCNUM": format!("{index:016}"), "SNDPRN": "\u{c4}"}));
                record.extend(members(&all, &mut 0));
                Value::Object(record).to_string()
            }).collect();
            let bytes = encode(&decoder, &records).unwrap();
            prop_assert_eq!(read(&decoder, &bytes), records);
        }
    }
}
