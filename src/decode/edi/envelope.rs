//! Interchanges and groups: what their headers say, and which control numbers have been seen in them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use super::json::write_segment;
use super::segment::{components, elements, released};
use super::syntax::{Separators, Standard, Start};
use crate::decode::CodePage;
use crate::decode::code_page::Unmappable;
use crate::decode::json::write_string;

/// The values of an interchange by name, in the order in which JSON has them.
pub(super) const INTERCHANGE: &[&str] = &[
    "standard",
    "syntax",
    "version",
    "sender_qualifier",
    "sender",
    "receiver_qualifier",
    "receiver",
    "date",
    "time",
    "control_number",
    "test",
];

/// The values of a group by name.
pub(super) const GROUP: &[&str] = &["type", "sender", "receiver", "date", "time", "control_number", "version"];

/// Where a value stands: element and component, both from 1; component 0 is an element that is read whole.
type At = (usize, usize);

const X12_INTERCHANGE: &[(&str, At)] = &[
    ("version", (12, 0)),
    ("sender_qualifier", (5, 0)),
    ("sender", (6, 0)),
    ("receiver_qualifier", (7, 0)),
    ("receiver", (8, 0)),
    ("date", (9, 0)),
    ("time", (10, 0)),
    ("control_number", (13, 0)),
    ("test", (15, 0)),
];

const EDIFACT_INTERCHANGE: &[(&str, At)] = &[
    ("syntax", (1, 1)),
    ("version", (1, 2)),
    ("sender_qualifier", (2, 2)),
    ("sender", (2, 1)),
    ("receiver_qualifier", (3, 2)),
    ("receiver", (3, 1)),
    ("date", (4, 1)),
    ("time", (4, 2)),
    ("control_number", (5, 1)),
    ("test", (11, 1)),
];

const X12_GROUP: &[(&str, At)] = &[
    ("type", (1, 0)),
    ("sender", (2, 0)),
    ("receiver", (3, 0)),
    ("date", (4, 0)),
    ("time", (5, 0)),
    ("control_number", (6, 0)),
    ("version", (8, 0)),
];

const EDIFACT_GROUP: &[(&str, At)] = &[
    ("type", (1, 1)),
    ("sender", (2, 1)),
    ("receiver", (3, 1)),
    ("date", (4, 1)),
    ("time", (4, 2)),
    ("control_number", (5, 1)),
];

/// What the segments of an interchange are read by.
#[derive(Clone, Debug)]
pub(super) struct Syntax {
    pub(super) standard: Standard,
    pub(super) separators: Separators,
    pub(super) classes: [u8; 256],
    pub(super) encoding: CodePage,
}

impl Syntax {
    /// The text of data, released and decoded.
    pub(super) fn text(&self, data: &[u8]) -> Result<String, Unmappable> {
        self.encoding.decode(&released(data, &self.separators)).map(|text| text.into_owned())
    }

    /// The value at a place of a segment, empty where there is none.
    pub(super) fn value<'a>(&self, segment: &'a [u8], (element, component): At) -> &'a [u8] {
        let element = elements(segment, &self.separators).nth(element).unwrap_or_default();
        match component {
            0 => element,
            number => components(element, &self.separators).nth(number - 1).unwrap_or_default(),
        }
    }
}

/// The header of an interchange or a group: its segment, its values by name, and both as JSON.
#[derive(Clone, Debug)]
pub(super) struct Header {
    /// The segment's bytes without terminator.
    pub(super) segment: Vec<u8>,
    /// The values in the order of [`INTERCHANGE`] or [`GROUP`].
    pub(super) values: Vec<Option<String>>,
    /// Value of the member `_interchange` or `_group`.
    pub(super) json: Vec<u8>,
}

impl Header {
    /// The value with this name.
    pub(super) fn value(&self, names: &[&str], name: &str) -> &str {
        let index = names.iter().position(|own| *own == name);
        index.and_then(|index| self.values.get(index)).and_then(Option::as_deref).unwrap_or_default()
    }
}

/// An interchange that has begun.
#[derive(Clone, Debug)]
pub(super) struct Interchange {
    pub(super) syntax: Arc<Syntax>,
    pub(super) header: Arc<Header>,
}

/// What stands behind the segments' terminators, as the writer needs it: nothing or a line end.
pub(super) fn line_end(behind: &[u8]) -> &'static str {
    match behind {
        [b'\r', b'\n', ..] => "\r\n",
        [b'\n', ..] => "\n",
        [b'\r', ..] => "\r",
        _ => "",
    }
}

impl Interchange {
    /// Reads the header. `behind` are the bytes behind its terminator.
    pub(super) fn new(start: &Start, segment: &[u8], behind: &[u8]) -> Result<Interchange, Unmappable> {
        let separators = start.separators;
        let classes = separators.classes();
        let encoding = start.encoding.clone();
        let syntax = Syntax { standard: start.standard, separators, classes, encoding };
        let places = match start.standard {
            Standard::X12 => X12_INTERCHANGE,
            Standard::Edifact => EDIFACT_INTERCHANGE,
        };
        let mut values = values(&syntax, segment, INTERCHANGE, places)?;
        values[0] = Some(start.standard.name().to_owned());
        let mut json = members(INTERCHANGE, &values);
        let one = |byte: u8| char::from(byte).to_string();
        let optional = |byte: Option<u8>| byte.map(one);
        let mut separators_json = serde_json::json!({
            "element": one(separators.element),
            "component": one(separators.component),
            "repetition": optional(separators.repetition),
            "release": optional(separators.release),
            "segment": one(separators.segment),
            "line_end": line_end(behind),
        });
        if start.standard == Standard::Edifact {
            separators_json["advice"] = start.advice.is_some().into();
            if let Some(mark) = start.advice {
                separators_json["decimal_mark"] = one(mark).into();
            }
        }
        json.extend_from_slice(format!(",\"separators\":{separators_json},\"header\":").as_bytes());
        write_header(&syntax, segment, &mut json)?;
        json.push(b'}');
        let header = Header { segment: segment.to_vec(), values, json };
        Ok(Interchange { syntax: Arc::new(syntax), header: Arc::new(header) })
    }

    /// One of which nothing is known but how its segments are cut.
    pub(super) fn bare(standard: Standard, separators: Separators, encoding: CodePage) -> Interchange {
        let syntax = Syntax { standard, separators, classes: separators.classes(), encoding };
        let header = Header { segment: Vec::new(), values: Vec::new(), json: b"null".to_vec() };
        Interchange { syntax: Arc::new(syntax), header: Arc::new(header) }
    }

    /// Reads the header of a group of this interchange.
    pub(super) fn group(&self, segment: &[u8]) -> Result<Header, Unmappable> {
        let syntax = &*self.syntax;
        let places = match syntax.standard {
            Standard::X12 => X12_GROUP,
            Standard::Edifact => EDIFACT_GROUP,
        };
        let mut values = values(syntax, segment, GROUP, places)?;
        if syntax.standard == Standard::Edifact {
            let version = syntax.value(segment, (7, 0));
            values[6] = Some(syntax.text(version)?).filter(|version| !version.is_empty());
        }
        let mut json = members(GROUP, &values);
        json.extend_from_slice(b",\"header\":");
        write_header(syntax, segment, &mut json)?;
        json.push(b'}');
        Ok(Header { segment: segment.to_vec(), values, json })
    }

    /// By what an interchange is known in its file: who sent it to whom, and its control number.
    pub(super) fn identity(&self) -> u128 {
        let mut identity = Vec::new();
        for name in ["sender_qualifier", "sender", "receiver_qualifier", "receiver", "control_number"] {
            identity.extend_from_slice(self.header.value(INTERCHANGE, name).as_bytes());
            identity.push(0);
        }
        xxh3_128(&identity)
    }

    /// The control number.
    pub(super) fn control_number(&self) -> &str {
        self.header.value(INTERCHANGE, "control_number")
    }
}

/// The blanks that fill the elements of ISA are no part of their values. ISA11 and ISA16 hold separators, which cut
/// nothing there.
fn write_header(syntax: &Syntax, segment: &[u8], out: &mut Vec<u8>) -> Result<(), Unmappable> {
    if !segment.starts_with(b"ISA") {
        return write_segment(syntax, segment, out);
    }
    out.extend_from_slice(b"{\"id\":\"ISA\"");
    for (number, element) in segment.split(|byte| *byte == syntax.separators.element).enumerate().skip(1) {
        out.extend_from_slice(format!(",\"{number:02}\":").as_bytes());
        write_string(syntax.encoding.decode(element)?.trim_ascii_end(), out);
    }
    out.push(b'}');
    Ok(())
}

fn values(
    syntax: &Syntax,
    segment: &[u8],
    names: &[&str],
    places: &[(&str, At)],
) -> Result<Vec<Option<String>>, Unmappable> {
    let value = |name: &&str| {
        let Some((_, place)) = places.iter().find(|(own, _)| own == name) else { return Ok(None) };
        let text = syntax.text(syntax.value(segment, *place))?;
        Ok(Some(text.trim_end().to_owned()).filter(|text| !text.is_empty()))
    };
    names.iter().map(value).collect()
}

/// An object that is not closed yet.
fn members(names: &[&str], values: &[Option<String>]) -> Vec<u8> {
    let mut json = vec![b'{'];
    for (name, value) in names.iter().zip(values) {
        if json.len() > 1 {
            json.push(b',');
        }
        json.extend_from_slice(format!("\"{name}\":").as_bytes());
        match value {
            Some(value) => write_string(value, &mut json),
            None => json.extend_from_slice(b"null"),
        }
    }
    json
}

/// The most messages that a group can have: its trailer counts them in six digits.
const MOST_NUMBERS: usize = 1_000_000;

/// Control numbers that have been seen. Numbers that follow one another take the room of one.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By number of digits: first and last of a run.
    runs: BTreeMap<(usize, u64), u64>,
    others: HashSet<u128>,
}

/// What a control number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    New,
    Again,
    /// There are more of them than a group can have.
    TooMany,
}

impl Seen {
    /// Enters a number.
    pub(super) fn enter(&mut self, number: &[u8]) -> Sighting {
        let digits = number.iter().all(u8::is_ascii_digit) && (1..=18).contains(&number.len());
        if !digits {
            return if self.others.len() >= MOST_NUMBERS {
                Sighting::TooMany
            } else if self.others.insert(xxh3_128(number)) {
                Sighting::New
            } else {
                Sighting::Again
            };
        }
        let width = number.len();
        let value = number.iter().fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0'));
        let before = self.runs.range(..=(width, value)).next_back().map(|(key, last)| (*key, *last));
        let before = before.filter(|((own, _), _)| *own == width);
        if before.is_some_and(|(_, last)| last >= value) {
            return Sighting::Again;
        }
        let joins = before.filter(|(_, last)| last + 1 == value).map(|(key, _)| key);
        if joins.is_none() && self.runs.len() >= MOST_NUMBERS {
            return Sighting::TooMany;
        }
        let last = self.runs.remove(&(width, value + 1)).unwrap_or(value);
        self.runs.insert(joins.unwrap_or((width, value)), last);
        Sighting::New
    }
}

/// True when two control numbers that the standard has as numbers are the same: leading zeros do not count.
pub(super) fn same_number(one: &[u8], other: &[u8]) -> bool {
    fn bare(number: &[u8]) -> &[u8] {
        let number = number.trim_ascii();
        let zeros = number.iter().take_while(|byte| **byte == b'0').count();
        if number.iter().all(u8::is_ascii_digit) { &number[zeros..] } else { number }
    }
    bare(one) == bare(other) && one.trim_ascii().is_empty() == other.trim_ascii().is_empty()
}

#[cfg(test)]
mod tests {
    use super::{Seen, Sighting, same_number};
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn runs_take_the_room_of_one() {
        let mut seen = Seen::default();
        for number in (1..=1000u32).rev().chain(1001..5000) {
            assert_eq!(seen.enter(format!("{number:09}").as_bytes()), Sighting::New);
        }
        assert_eq!(seen.runs.len(), 1);
        assert_eq!(seen.enter(b"000004999"), Sighting::Again);
        // As texts these differ.
        assert_eq!(seen.enter(b"4999"), Sighting::New);
    }

    #[test]
    fn leading_zeros_do_not_count() {
        for (one, other, same) in
            [("000000905", "905", true), ("0", "0000", true), ("", "0", false), ("A01", "A1", false), ("7 ", "7", true)]
        {
            assert_eq!(same_number(one.as_bytes(), other.as_bytes()), same, "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(numbers in proptest::collection::vec("[0-9]{1,2}|[A-B]", 0..200)) {
            let (mut seen, mut set) = (Seen::default(), HashSet::new());
            for number in &numbers {
                let expected = if set.insert(number) { Sighting::New } else { Sighting::Again };
                prop_assert_eq!(seen.enter(number.as_bytes()), expected);
            }
        }
    }
}
