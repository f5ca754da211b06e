//! Reading a schema from its TOML file, with every fault at its place.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::super::path::{self, Pattern, Target};
use super::super::segment::is_id;
use super::super::syntax::Standard;
use super::{Element, Holds, Kind, Schema, Segment, Simple, Use, What, json_key};
use crate::diagnostic::{Faults, Key, Presence, Section, SourceText, Table, nearest, parse};

/// How deep loops may lie in one another.
const MAX_DEPTH: usize = 8;

/// The most elements of a segment or components of an element.
const MOST_ELEMENTS: usize = 999;

const fn key(name: &'static str, shape: &'static str, presence: Presence, doc: &'static str) -> Key {
    Key { name, shape, presence, doc }
}

/// The top level of a schema.
pub static SCHEMA: Section = Section {
    path: "schema of [source.edi]",
    doc: "A message's structure, in a file of its own that `schema` names.",
    keys: &[
        key("standard", "\"x12\" | \"edifact\"", Presence::Required, "the standard of the message"),
        key(
            "message",
            "string",
            Presence::Required,
            "its type, like \"850\" or \"ORDERS\"; messages of another type have none of the names",
        ),
        key("version", "string", Presence::Optional, "what the version must begin with, like \"004010\" or \"D:96A\""),
        key(
            "segments",
            "tables",
            Presence::Required,
            "the elements of each segment, by the segment's name: `[segments.BEG]`",
        ),
        key(
            "structure",
            "array of tables",
            Presence::Required,
            "segments and loops in order, without the message's header and trailer",
        ),
    ],
};

/// `[segments.NAME]` of a schema.
pub static SEGMENT: Section = Section {
    path: "segments.NAME of a schema",
    doc: "A segment.",
    keys: &[key(
        "elements",
        "array of tables",
        Presence::Required,
        "its elements in order; `{}` for one that must be empty",
    )],
};

/// An element of a segment of a schema.
pub static ELEMENT: Section = Section {
    path: "segments.NAME.elements of a schema",
    doc: "An element, or a component of one.",
    keys: &[
        key("name", "string", Presence::Optional, "what mappings call it; without a name it must be empty"),
        key(
            "type",
            "AN | ID | A | N0 to N9 | R | DT | TM, or as in EDIFACT: an..35, n..15, a3",
            Presence::Default("\"AN\""),
            "text, code, letters, number with implied decimals, number with a decimal mark, date, time",
        ),
        key("min", "integer", Presence::Optional, "fewest characters; of numbers only digits count"),
        key("max", "integer", Presence::Optional, "most characters; 999999 when absent"),
        key(
            "required",
            "boolean",
            Presence::Default("false"),
            "it must not be empty where its segment (or composite) is there",
        ),
        key("values", "array of strings", Presence::Optional, "the codes that it may be"),
        key(
            "components",
            "array of tables",
            Presence::Optional,
            "it is a composite of these, which are written like elements",
        ),
        key(
            "repeat",
            "integer",
            Presence::Default("1"),
            "how often it may be there; more than once makes an array of it",
        ),
    ],
};

/// An element of `structure` or `content` of a schema.
pub static CONTENT: Section = Section {
    path: "structure of a schema",
    doc: "A place for a segment or a loop.",
    keys: &[
        key(
            "segment",
            "string",
            Presence::Optional,
            "the segment's name, with `[...]` for those with a value: `N1[ST]`, `DTM[137]`, `REF[01=DP]`",
        ),
        key(
            "loop",
            "string",
            Presence::Optional,
            "a loop of this name, begun by the first segment of its `content`; instead of `segment`",
        ),
        key("name", "string", Presence::Optional, "what mappings call the segment; its own name when absent"),
        key("min", "integer", Presence::Default("0"), "how often it must be there"),
        key("max", "integer", Presence::Default("1"), "how often it may be there; more than once makes an array of it"),
        key("content", "array of tables", Presence::Optional, "segments and loops of a loop, in order"),
    ],
};

struct Reading<'a> {
    faults: &'a Faults,
    segments: IndexMap<String, Segment>,
    uses: Vec<Use>,
}

/// Reads a schema; `None` when there were faults.
pub(in crate::decode::edi) fn read(source: &Arc<SourceText>, faults: &Faults) -> Option<Schema> {
    let before = faults.len();
    let root = parse(source, faults);
    if faults.len() > before {
        return None;
    }
    let table = Table::new(&root, &SCHEMA, faults)?;
    let standard = table.one_of("standard", &[("x12", Standard::X12), ("edifact", Standard::Edifact)]);
    let message = table.filled("message");
    let version = table.filled("version");
    let mut reading = Reading { faults, segments: IndexMap::new(), uses: Vec::new() };
    for (name, node) in table.free("segments") {
        let Some(segment) = Table::new(node, &SEGMENT, faults) else { continue };
        if !is_id(name.as_bytes()) {
            let fault = node.key_fault(format!("`{name}` is no name of a segment"));
            table.fail(fault.help("it has two or three capital letters and digits, like `PO1`"));
        }
        let elements = reading.elements(&segment, "elements", false);
        reading.segments.insert(name.to_owned(), Segment { elements });
    }
    table.read("segments", |_| Ok(()));
    let content = reading.content(&table, "structure", 0);
    if content.is_empty() && faults.len() == before {
        table.fail(table.node().key_fault("`structure` has no segment"));
    }
    let (standard, message) = (standard?, message?);
    let (uses, segments) = (reading.uses, reading.segments.into_values().collect());
    (faults.len() == before).then_some(Schema { standard, message, version, uses, content, segments })
}

impl Reading<'_> {
    fn elements(&self, table: &Table<'_>, key: &str, inner: bool) -> Vec<Element> {
        let mut names = HashSet::new();
        let mut elements = Vec::new();
        for element in table.tables(key, &ELEMENT) {
            let name = element.filled("name");
            if let (Some(name), Some(node)) = (&name, element.get("name")) {
                if name.contains(['.', '/', '['])
                    || name.starts_with('_')
                    || name.bytes().all(|byte| byte.is_ascii_digit())
                {
                    element.fail(
                        node.fault(format!(
                            "`{name}` is no name: it has `.`, `/` or `[`, begins with `_` or is a number"
                        )),
                    );
                }
                if !names.insert(name.clone()) {
                    element.fail(node.fault(format!("there is another element `{name}`")));
                }
            }
            if let Some(element) = self.element(&element, name, inner) {
                elements.push(element);
            }
        }
        if elements.len() > MOST_ELEMENTS {
            table.fail(table.node().key_fault(format!("more than {MOST_ELEMENTS} elements")));
        }
        elements
    }

    fn element(&self, table: &Table<'_>, name: Option<String>, inner: bool) -> Option<Element> {
        let required = table.boolean("required");
        let repeat = table.integer("repeat", 1..=100_000);
        let holds = if table.has("components") {
            for name in ["type", "min", "max", "values"] {
                if let Some(node) = table.get(name) {
                    table.fail(node.key_fault(format!("`{name}` belongs to the components of a composite")));
                }
            }
            if inner {
                table.fail(table.node().fault("a component has no components"));
            }
            Holds::Composite(self.elements(table, "components", true))
        } else {
            Holds::Value(self.simple(table)?)
        };
        if inner && table.has("repeat") {
            table.fail(table.node().fault("components do not repeat"));
        }
        if name.is_none() && (table.has("required") || table.has("components")) {
            table.fail(table.node().fault("an element that may be there needs a `name`"));
        }
        let key = json_key(name.as_deref().unwrap_or_default(), "");
        Some(Element { name, key, required: required?, repeat: usize::try_from(repeat?).ok()?, holds })
    }

    fn simple(&self, table: &Table<'_>) -> Option<Simple> {
        let (kind, lengths, written) = table.read("type", |node| {
            let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
            let (kind, lengths) = kind(text).ok_or_else(|| format!("`{text}` is no type of an element"))?;
            Ok((kind, lengths, text.to_owned()))
        })?;
        let (mut min, mut max) = lengths.unwrap_or((0, 999_999));
        if lengths.is_some() && (table.has("min") || table.has("max")) {
            table.fail(table.node().fault(format!("`{written}` says the length already")));
        }
        min = table.integer("min", 0..=999_999).map_or(min, |value| value as usize);
        max = table.integer("max", 1..=999_999).map_or(max, |value| value as usize);
        if min > max {
            table.fail(table.node().fault(format!("`min` {min} is more than `max` {max}")));
        }
        let values = table.strings("values").unwrap_or_default();
        Some(Simple { kind, min, max, values, written })
    }

    fn content(&mut self, table: &Table<'_>, key: &str, depth: usize) -> Vec<usize> {
        let mut names = HashSet::new();
        let mut found = Vec::new();
        for place in table.tables(key, &CONTENT) {
            let Some(what) = place.exactly_one(&["segment", "loop"]) else { continue };
            let (min, max) = (place.integer("min", 0..=1_000_000), place.integer("max", 1..=1_000_000));
            let (Some(min), Some(max)) = (min, max) else { continue };
            if min > max {
                place.fail(place.node().fault(format!("`min` {min} is more than `max` {max}")));
            }
            let Some(name) = place.filled(if place.has("name") { "name" } else { what }) else { continue };
            let name = if place.has("name") { name } else { name.split('[').next().unwrap_or_default().to_owned() };
            if !names.insert(name.clone()) {
                let fault = place.node().fault(format!("there is another `{name}` beside it"));
                place.fail(fault.help("give one of them a `name` of its own"));
            }
            let given = what == "loop" || place.has("name");
            if given && (name.contains(['.', '/', '[']) || name.starts_with('_')) {
                place.fail(
                    place.node().fault(format!("`{name}` is no name: it has `.`, `/` or `[`, or begins with `_`")),
                );
            }
            let index = self.uses.len();
            let (min, max) = (min as usize, max as usize);
            // The place of the use is taken before that of what is within it.
            let key = json_key(&name, if max > 1 { "[" } else { "" });
            self.uses.push(Use { name, key, min, max, what: What::Loop(Vec::new()) });
            let made = if what == "segment" { self.segment_use(&place) } else { self.loop_use(&place, depth) };
            if let (Some(made), Some(place)) = (made, self.uses.get_mut(index)) {
                place.what = made;
                found.push(index);
            }
        }
        found
    }

    fn segment_use(&self, place: &Table<'_>) -> Option<What> {
        let (text, node) = (place.filled("segment")?, place.get("segment")?);
        if place.has("content") {
            place.fail(node.fault("a segment has no `content`; `loop` has"));
        }
        let pattern: Option<Pattern> = match path::parse(&text).map(|path| path.target) {
            Ok(Target::Runs(run)) if run.ends.is_none() => Some(run.pattern),
            _ => None,
        };
        let Some(pattern) = pattern else {
            place.fail(node.fault(format!("`{text}` is no segment like `BEG` or `N1[ST]`")));
            return None;
        };
        let Some(segment) = self.segments.get_index_of(&pattern.id) else {
            let fault = node.fault(format!("`segments` has no `{}`", pattern.id));
            place.fail(match nearest(&pattern.id, self.segments.keys().map(String::as_str)) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("add `[segments.{}]` with its `elements`", pattern.id)),
            });
            return None;
        };
        Some(What::Segment { pattern, segment })
    }

    fn loop_use(&mut self, place: &Table<'_>, depth: usize) -> Option<What> {
        if depth + 1 >= MAX_DEPTH {
            place.fail(place.node().fault(format!("loops lie more than {MAX_DEPTH} deep in one another")));
            return None;
        }
        if place.has("name") {
            place.fail(place.node().fault("`loop` says the name already"));
        }
        if !place.has("content") {
            place.fail(place.node().fault("a loop needs `content`"));
            return None;
        }
        let before = self.faults.len();
        let content = self.content(place, "content", depth + 1);
        let first = content.first().and_then(|first| self.uses.get(*first));
        let begins = |first: &Use| matches!(first.what, What::Segment { .. }) && first.max == 1;
        if self.faults.len() == before && !first.is_some_and(begins) {
            place.fail(place.node().fault("the first thing in a loop is the segment that begins it, once"));
        }
        Some(What::Loop(content))
    }
}

/// A type as it is written, and fewest and most characters where it says them.
fn kind(text: &str) -> Option<(Kind, Option<(usize, usize)>)> {
    let fixed = match text {
        "AN" | "ID" => Some(Kind::Text),
        "A" => Some(Kind::Letters),
        "R" => Some(Kind::Real),
        "DT" => Some(Kind::Date),
        "TM" => Some(Kind::Time),
        _ => None,
    };
    if let Some(kind) = fixed {
        return Some((kind, None));
    }
    if let [b'N', digit @ b'0'..=b'9'] = text.as_bytes() {
        return Some((Kind::Implied(digit - b'0'), None));
    }
    let letters = text.bytes().take_while(u8::is_ascii_lowercase).count();
    let (kind, length) = text.split_at(letters);
    let kind = match kind {
        "an" => Kind::Text,
        "a" => Kind::Letters,
        "n" => Kind::Real,
        _ => return None,
    };
    let number = |text: &str| text.parse::<usize>().ok().filter(|number| (1..=999_999).contains(number));
    let lengths = match length.strip_prefix("..") {
        Some(most) => (0, number(most)?),
        None => (number(length)?, number(length)?),
    };
    Some((kind, Some(lengths)))
}
