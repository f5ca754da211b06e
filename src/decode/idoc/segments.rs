//! Which fields a segment has: the list that a person gives, and the control record, which is always the same.
//!
//! Two forms are read. SAP's own is the parser report of transaction WE60 (report RSEIDOC3, whose documentation has its
//! grammar): tokens one a line, `BEGIN_SEGMENT NAME`, its attributes, fields with `NAME`, `LENGTH` and the place of their
//! first character in the data record. The plain one is a line `SEGMENT` or `SEGMENT TYPE` for each segment and an
//! indented line `FIELD LENGTH` for each field.

use std::collections::HashMap;
use std::sync::Arc;

use super::tree::NUMBER_NAME;
use crate::diagnostic::{Diagnostic, Faults, SourceText};

/// Characters of a data record before SDATA: SEGNAM 30, MANDT 3, DOCNUM 16, SEGNUM 6, PSGNUM 6, HLEVEL 2.
pub(super) const PREFIX: usize = 63;

/// Characters of SDATA.
pub(super) const DATA: usize = 1000;

/// Characters of the control record EDI_DC40.
pub(super) const CONTROL: usize = 524;

/// The name of the control record.
pub(super) const CONTROL_NAME: &str = "EDI_DC40";

/// The fields of EDI_DC40 with their lengths, in order (dictionary structure EDI_DC40).
pub(super) const CONTROL_FIELDS: [(&str, usize); 36] = [
    ("TABNAM", 10),
    ("MANDT", 3),
    ("DOCNUM", 16),
    ("DOCREL", 4),
    ("STATUS", 2),
    ("DIRECT", 1),
    ("OUTMOD", 1),
    ("EXPRSS", 1),
    ("TEST", 1),
    ("IDOCTYP", 30),
    ("CIMTYP", 30),
    ("MESTYP", 30),
    ("MESCOD", 3),
    ("MESFCT", 3),
    ("STD", 1),
    ("STDVRS", 6),
    ("STDMES", 6),
    ("SNDPOR", 10),
    ("SNDPRT", 2),
    ("SNDPFC", 2),
    ("SNDPRN", 10),
    ("SNDSAD", 21),
    ("SNDLAD", 70),
    ("RCVPOR", 10),
    ("RCVPRT", 2),
    ("RCVPFC", 2),
    ("RCVPRN", 10),
    ("RCVSAD", 21),
    ("RCVLAD", 70),
    ("CREDAT", 8),
    ("CRETIM", 6),
    ("REFINT", 14),
    ("REFGRP", 14),
    ("REFMES", 14),
    ("ARCKEY", 70),
    ("SERIAL", 20),
];

/// A field: characters from the start of its record (EDI_DC40) or of SDATA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) start: usize,
    pub(super) length: usize,
}

/// A segment of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its name in flat files: `E2EDK01005`.
    pub(super) definition: String,
    /// Its name in XML, and in ours: `E1EDK01`.
    pub(super) kind: String,
    pub(super) fields: Vec<Field>,
}

/// All segments of a list.
#[derive(Debug, Default)]
pub(super) struct Segments {
    all: Vec<Segment>,
    by_definition: HashMap<String, usize>,
    by_kind: HashMap<String, usize>,
}

impl Segments {
    /// The segment with this name in flat files.
    pub(super) fn definition(&self, name: &str) -> Option<&Segment> {
        self.by_definition.get(name).and_then(|index| self.all.get(*index))
    }

    /// The segment with this name of its type.
    pub(super) fn kind(&self, name: &str) -> Option<&Segment> {
        self.by_kind.get(name).and_then(|index| self.all.get(*index))
    }

    /// All in the order of the list.
    pub(super) fn all(&self) -> &[Segment] {
        &self.all
    }

    fn add(&mut self, mut segment: Segment) -> Result<(), String> {
        // As XML writes the slashes of a customer's namespace, so that both forms have the same names.
        segment.kind = segment.kind.replace('/', "_-");
        for field in &mut segment.fields {
            field.name = field.name.replace('/', "_-");
        }
        let again = |name: &str| format!("there is another segment `{name}`");
        if self.by_definition.contains_key(&segment.definition) {
            // The same segment may stand at several places of an IDoc type.
            let same = self.definition(&segment.definition) == Some(&segment);
            return if same { Ok(()) } else { Err(again(&segment.definition)) };
        }
        if segment.kind == CONTROL_NAME || self.by_kind.contains_key(&segment.kind) {
            return Err(again(&segment.kind));
        }
        self.by_definition.insert(segment.definition.clone(), self.all.len());
        self.by_kind.insert(segment.kind.clone(), self.all.len());
        self.all.push(segment);
        Ok(())
    }
}

/// The control record as a segment.
pub(super) fn control() -> Segment {
    let mut start = 0;
    let field = |(name, length): (&str, usize)| {
        start += length;
        Field { name: name.to_owned(), start: start - length, length }
    };
    let fields = CONTROL_FIELDS.into_iter().map(field).collect();
    Segment { definition: CONTROL_NAME.to_owned(), kind: CONTROL_NAME.to_owned(), fields }
}

/// A line of a list: where it stands, whether it is indented, its first word and what follows it.
struct Line<'a> {
    span: std::ops::Range<usize>,
    indented: bool,
    word: &'a str,
    rest: &'a str,
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut at = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = at;
        at += line.len();
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            return None;
        }
        let from = start + (line.len() - line.trim_start().len());
        let (word, rest) = content.split_once(char::is_whitespace).unwrap_or((content, ""));
        Some(Line { span: from..from + content.len(), indented: from > start, word, rest: rest.trim() })
    })
}

/// Reads a list of either form; `None` when there were faults.
pub(super) fn read(source: &Arc<SourceText>, faults: &Faults) -> Option<Segments> {
    let before = faults.len();
    let is_report = lines(&source.text).next().is_some_and(|line| line.word.starts_with("BEGIN_"));
    let fault = |line: &Line<'_>, message: String, help: &'static str| {
        faults.push(Diagnostic::new(source, line.span.clone(), message).help(help));
    };
    let segments = if is_report { report(&source.text, &fault) } else { plain(&source.text, &fault) };
    if segments.all.is_empty() && faults.len() == before {
        faults.push(Diagnostic::new(source, 0..source.text.len(), "the list has no segment"));
    }
    (faults.len() == before).then_some(segments)
}

type Fault<'f> = dyn Fn(&Line<'_>, String, &'static str) + 'f;

fn plain(text: &str, fault: &Fault<'_>) -> Segments {
    const HELP: &str =
        "a segment is a line `SEGMENT TYPE`, like `E2EDK01005 E1EDK01`; its fields are indented lines `FIELD LENGTH`";
    let mut segments = Segments::default();
    let mut open: Option<(Line<'_>, Segment)> = None;
    let mut finish = |open: &mut Option<(Line<'_>, Segment)>| {
        if let Some((line, segment)) = open.take()
            && let Err(message) = segments.add(segment)
        {
            fault(&line, message, HELP);
        }
    };
    for line in lines(text) {
        if !line.indented {
            finish(&mut open);
            let kind = if line.rest.is_empty() { line.word } else { line.rest };
            if kind.contains([' ', '\t']) || !is_name(line.word) || !is_name(kind) {
                fault(&line, format!("`{} {}` is no segment", line.word, line.rest), HELP);
                continue;
            }
            let segment = Segment { definition: line.word.to_owned(), kind: kind.to_owned(), fields: Vec::new() };
            open = Some((line, segment));
            continue;
        }
        let length = line.rest.parse::<usize>().ok().filter(|length| (1..=DATA).contains(length));
        let (Some((_, segment)), Some(length)) = (&mut open, length) else {
            fault(&line, format!("`{} {}` is no field of a segment", line.word, line.rest), HELP);
            continue;
        };
        let start = segment.fields.last().map_or(0, |last| last.start + last.length);
        add_field(segment, Field { name: line.word.to_owned(), start, length }, &line, fault);
    }
    finish(&mut open);
    segments
}

fn add_field(segment: &mut Segment, field: Field, line: &Line<'_>, fault: &Fault<'_>) {
    const HELP: &str = "the fields of a segment lie one behind the other in its 1000 characters";
    if field.start + field.length > DATA {
        fault(line, format!("the fields up to `{}` take more than {DATA} characters", field.name), HELP);
    } else if segment.fields.iter().any(|other| other.name == field.name) {
        fault(line, format!("there is another field `{}`", field.name), HELP);
    } else if !is_name(&field.name) || field.name == NUMBER_NAME {
        fault(line, format!("`{}` is no name of a field", field.name), HELP);
    } else {
        segment.fields.push(field);
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 30
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'/' | b'-'))
}

/// Attributes of segments, groups and fields that say nothing about where data lies.
const IGNORED: [&str; 9] =
    ["EXTENSION", "QUALIFIED", "LEVEL", "STATUS", "LOOPMIN", "LOOPMAX", "TEXT", "TYPE", "FIELD_POS"];

fn report(text: &str, fault: &Fault<'_>) -> Segments {
    const HELP: &str = "this is read as the parser report of WE60 (report RSEIDOC3)";
    let mut segments = Segments::default();
    let mut in_segments = false;
    let mut open: Option<Segment> = None;
    // The field that is being described: name, first character, length.
    let mut field: Option<(String, Option<usize>, Option<usize>)> = None;
    for line in lines(text) {
        match line.word {
            "BEGIN_SEGMENT_SECTION" => in_segments = true,
            "END_SEGMENT_SECTION" => in_segments = false,
            // The record types before the segments are known; what is said of them is passed over.
            _ if !in_segments => {}
            "BEGIN_IDOC" | "END_IDOC" | "BEGIN_GROUP" | "END_GROUP" | "BEGIN_FIELDS" | "VALUE" | "VALUE_TEXT" => {}
            "BEGIN_SEGMENT" => {
                let (definition, kind) = (line.rest.to_owned(), line.rest.to_owned());
                if !is_name(&definition) {
                    fault(&line, format!("`{definition}` is no name of a segment"), HELP);
                }
                open = Some(Segment { definition, kind, fields: Vec::new() });
            }
            "SEGMENTTYPE" => match &mut open {
                Some(segment) if is_name(line.rest) => segment.kind = line.rest.to_owned(),
                _ => fault(&line, format!("SEGMENTTYPE `{}` outside of a segment, or no name", line.rest), HELP),
            },
            "NAME" | "END_FIELDS" => {
                if let (Some(segment), Some(described)) = (&mut open, field.take()) {
                    end_field(segment, described, &line, fault);
                }
                if line.word == "NAME" {
                    field = Some((line.rest.to_owned(), None, None));
                }
            }
            "LENGTH" | "CHARACTER_FIRST" | "BYTE_FIRST" | "CHARACTER_LAST" | "BYTE_LAST" => {
                let number = line.rest.parse::<usize>().ok();
                match (&mut field, number) {
                    (Some((_, _, length)), Some(number)) if line.word == "LENGTH" => *length = Some(number),
                    (Some((_, first, _)), Some(number)) if line.word.ends_with("_FIRST") => *first = Some(number),
                    (Some((_, Some(first), length)), Some(last)) if length.is_none() => {
                        *length = (last + 1).checked_sub(*first)
                    }
                    (Some(_), Some(_)) => {}
                    _ => fault(&line, format!("`{} {}` outside of a field, or no number", line.word, line.rest), HELP),
                }
            }
            "END_SEGMENT" => match open.take() {
                Some(segment) => {
                    if let Err(message) = segments.add(segment) {
                        fault(&line, message, HELP);
                    }
                }
                None => fault(&line, "END_SEGMENT without BEGIN_SEGMENT".to_owned(), HELP),
            },
            word if IGNORED.contains(&word) => {}
            word => fault(&line, format!("`{word}` is not known here"), HELP),
        }
    }
    segments
}

fn end_field(
    segment: &mut Segment,
    (name, first, length): (String, Option<usize>, Option<usize>),
    line: &Line<'_>,
    fault: &Fault<'_>,
) {
    const HELP: &str =
        "a field has LENGTH and CHARACTER_FIRST (or BYTE_FIRST), counted from the start of the data record";
    // Characters are counted from 1 over the whole data record.
    let start = first.and_then(|first| first.checked_sub(PREFIX + 1));
    match (start, length) {
        (Some(start), Some(length)) if length > 0 => add_field(segment, Field { name, start, length }, line, fault),
        _ => fault(line, format!("the field `{name}` before this line has no place in SDATA"), HELP),
    }
}

#[cfg(test)]
mod tests {
    use super::{CONTROL, Field, control, read};
    use crate::diagnostic::{Faults, SourceText};
    use proptest::prelude::*;
    use std::path::Path;

    fn list(text: &str) -> Result<Vec<String>, Vec<String>> {
        let faults = Faults::new();
        let source = SourceText::new(Path::new("l.txt"), text.to_owned());
        let shown = |field: &Field| format!("{}@{}+{}", field.name, field.start, field.length);
        match read(&source, &faults) {
            Some(segments) => Ok(segments
                .all()
                .iter()
                .map(|segment| {
                    let fields: Vec<_> = segment.fields.iter().map(shown).collect();
                    format!("{}={} {}", segment.definition, segment.kind, fields.join(" "))
                })
                .collect()),
            None => Err(faults.into_sorted().iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn the_control_record_has_its_length() {
        let last = control().fields.pop().unwrap();
        assert_eq!(last.start + last.length, CONTROL);
    }

    #[test]
    fn the_plain_form() {
        let text = "# ORDERS05\nE2EDK01005 E1EDK01\n  ACTION 3\n\tCURCY 3\n\nE2EDP01 \n  POSEX 6\n";
        assert_eq!(list(text).unwrap(), ["E2EDK01005=E1EDK01 ACTION@0+3 CURCY@3+3", "E2EDP01=E2EDP01 POSEX@0+6"]);
        let faults = list("  X 1\nE1 E2 E3\nE1\n  A 0\n  B 3\n  B 4\n  C 999\nE1\n").unwrap_err();
        let expected = [
            "l.txt:1:3: `X 1` is no field",
            "`E1 E2 E3` is no segment",
            "`A 0` is no field",
            "another field `B`",
            "more than 1000",
            "another segment `E1`",
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        faults.iter().zip(expected).for_each(|(fault, expected)| assert!(fault.contains(expected), "{fault}"));
        assert!(list("").unwrap_err()[0].contains("no segment"));
    }

    #[test]
    fn the_parser_report() {
        let text = "BEGIN_RECORD_SECTION\n  BEGIN_CONTROL_RECORD\n    BEGIN_FIELDS\n      NAME TABNAM\n    END_FIELDS\n  END_CONTROL_RECORD\n\
            END_RECORD_SECTION\nBEGIN_SEGMENT_SECTION\n  BEGIN_IDOC ORDERS05\n    BEGIN_SEGMENT E2EDK01005\n      SEGMENTTYPE E1EDK01\n      LEVEL 01\n\
            STATUS MANDATORY\n LOOPMIN 0000000001\n LOOPMAX 0000000001\n BEGIN_FIELDS\n NAME ACTION\n TEXT Action code for BEGIN_IDOC\n TYPE CHARACTER\n\
            LENGTH 000003\n FIELD_POS 0001\n CHARACTER_FIRST 000064\n CHARACTER_LAST 000066\n VALUE 'A'\n VALUE_TEXT Any\n NAME KZABS\n TYPE CHARACTER\n\
            BYTE_FIRST 000067\n BYTE_LAST 000070\n END_FIELDS\n END_SEGMENT\n BEGIN_GROUP 1\n LEVEL 02\n BEGIN_SEGMENT E2EDP01\n SEGMENTTYPE E1EDP01\n\
            QUALIFIED\n BEGIN_FIELDS\n NAME POSEX\n LENGTH 6\n CHARACTER_FIRST 64\n END_FIELDS\n END_SEGMENT\n END_GROUP\n END_IDOC\nEND_SEGMENT_SECTION\n";
        assert_eq!(list(text).unwrap(), ["E2EDK01005=E1EDK01 ACTION@0+3 KZABS@3+4", "E2EDP01=E1EDP01 POSEX@0+6"]);
        let faults = list(&text.replace("CHARACTER_FIRST 64", "CHARACTER_FIRST 63").replace("QUALIFIED", "QUALITY"))
            .unwrap_err();
        assert!(
            faults[0].contains("`QUALITY` is not known here")
                && faults[1].contains("the field `POSEX` before this line has no place"),
            "{faults:?}"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "([A-Z_]{1,12}|[0-9]{1,4}| |\n|BEGIN_SEGMENT|NAME|LENGTH|BEGIN_SEGMENT_SECTION\n){0,40}") {
            let _ = list(&text);
        }
    }
}
