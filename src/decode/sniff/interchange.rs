//! What is in an interchange or a file of IDocs: separators, who sends what, messages and segments by number. The decoder
//! itself reads them, as far as the sample reaches.

use std::io::Cursor;

use indexmap::IndexMap;
use serde_json::Value;

use super::{Report, Sample, advice};
use crate::decode::{Format, Item, JsonOptions, Resume, edi, idoc};
use crate::diagnostic::Faults;

/// So many different things of one kind are listed.
const LISTED: usize = 40;

/// Names with how often each was there, in the order in which they came.
#[derive(Default)]
struct Counts(IndexMap<String, usize>);

impl Counts {
    fn add(&mut self, name: String) {
        *self.0.entry(name).or_default() += 1;
    }

    fn shown(&self) -> String {
        let shown = self.0.iter().take(LISTED).map(|(name, count)| format!("{name} {count}"));
        let more = self.0.len().saturating_sub(LISTED);
        let more = (more > 0).then(|| format!("and {more} others"));
        shown.chain(more).collect::<Vec<_>>().join(", ")
    }
}

/// Every record of the sample as JSON, and what is wrong with the first that is bad. The last one of a sample that is
/// not the whole file may be cut off.
fn records(format: &Format, sample: &Sample<'_>, whole: bool, mut each: impl FnMut(&Value)) -> (usize, Option<String>) {
    let (mut count, mut wrong) = (0, None);
    let Some(decoder) = format.compile(&|_| None, &Faults::new()) else { return (0, None) };
    let mut reader = match decoder.reader(Cursor::new(sample.start), Resume::default()) {
        Ok(reader) => reader,
        Err(fault) => return (0, Some(fault.to_string())),
    };
    let mut text = Vec::new();
    loop {
        match reader.next() {
            Ok(None) => break,
            Ok(Some(Item::Skipped)) => {}
            Ok(Some(Item::Reject(reject))) => _ = wrong.get_or_insert_with(|| reject.sentence()),
            Ok(Some(Item::Record(record))) => {
                text.clear();
                match decoder.write_json(&record, &JsonOptions::default(), &mut text) {
                    Ok(()) => {
                        count += 1;
                        each(&serde_json::from_slice(&text).unwrap_or_default());
                    }
                    Err(reject) => _ = wrong.get_or_insert_with(|| reject.sentence()),
                }
            }
            Err(fault) => {
                wrong.get_or_insert_with(|| fault.to_string());
                break;
            }
        }
    }
    (count, wrong.filter(|_| whole))
}

/// A mark with control characters written out.
fn visible(mark: &str) -> String {
    mark.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(String::new, |text| text.trim().to_owned())
}

fn reach(whole: bool, count: usize, what: &str) -> String {
    if whole { format!("{count} {what}") } else { format!("{count} {what} in the part that was looked at") }
}

/// Adds what an interchange of X12 or EDIFACT holds.
pub(super) fn edi(report: &mut Report, sample: &Sample<'_>, whole: bool) {
    let (mut separators, mut envelopes) = (Counts::default(), Counts::default());
    let (mut groups, mut messages, mut segments) = (Counts::default(), Counts::default(), Counts::default());
    let (count, wrong) = records(&Format::Edi(edi::Settings::default()), sample, whole, |message| {
        let interchange = &message["_interchange"];
        if let Some(marks) = interchange["separators"].as_object() {
            let shown = marks.iter().filter_map(|(name, mark)| Some(format!("{name} {}", visible(mark.as_str()?))));
            separators.add(shown.collect::<Vec<_>>().join(" "));
        }
        let header: Vec<String> = interchange["header"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name != "id")
            .map(|(_, value)| match value {
                Value::Object(parts) => parts.values().map(text).collect::<Vec<_>>().join(":"),
                other => text(other),
            })
            .collect();
        envelopes.add(header.join(" "));
        if let Some(group) = message["_group"]["header"].as_object() {
            groups.add(group.values().map(text).collect::<Vec<_>>().join(" "));
        }
        let version = text(&message["_version"]);
        messages.add(format!("{} {version}", text(&message["_type"])).trim().to_owned() + ":");
        message["segments"].as_array().into_iter().flatten().for_each(|segment| segments.add(text(&segment["id"])));
    });
    for (about, counts) in [("separators", &separators), ("interchange", &envelopes), ("group", &groups)] {
        for (shown, messages) in counts.0.iter().take(LISTED) {
            report.add(about, shown.clone(), reach(whole, *messages, "messages"));
        }
    }
    report.add("messages", messages.shown(), reach(whole, count, "of them, by type and version"));
    report.add("segments", segments.shown(), "how often each is there");
    if let Some(wrong) = wrong {
        report.add("faults", "not all of it can be read", wrong);
    }
    advice::plain(report, sample, "edi");
}

/// Adds what a flat file of IDocs holds.
pub(super) fn idoc(report: &mut Report, sample: &Sample<'_>, whole: bool) {
    let (mut types, mut partners, mut segments) = (Counts::default(), Counts::default(), Counts::default());
    let (count, wrong) = records(&Format::Idoc(idoc::Settings::default()), sample, whole, |document| {
        let control = &document["EDI_DC40"];
        let named = |name: &str| text(&control[name]);
        let extension = named("CIMTYP");
        let extension = if extension.is_empty() { String::new() } else { format!(" with {extension}") };
        types.add(format!("{}{extension} as {}:", named("IDOCTYP"), named("MESTYP")));
        partners.add(format!("{} to {}", partner(&named("SNDPRN")), partner(&named("RCVPRN"))));
        count_segments(document, &mut segments);
    });
    report.add("basic type", types.shown(), reach(whole, count, "IDocs, by basic type and message type"));
    report.add("partners", partners.shown(), "sender and receiver, with how many IDocs");
    report.add("segments", segments.shown(), "how often each is there; a list of segments cuts their data into fields");
    if let Some(wrong) = wrong {
        report.add("faults", "not all of it can be read", wrong);
    }
    advice::plain(report, sample, "idoc");
}

/// A file may leave out who it is from.
fn partner(name: &str) -> &str {
    if name.is_empty() { "(nobody)" } else { name }
}

fn count_segments(value: &Value, counts: &mut Counts) {
    for (name, below) in value.as_object().into_iter().flatten() {
        for segment in below.as_array().into_iter().flatten() {
            counts.add(name.clone());
            count_segments(segment, counts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Report, Sample, sniff};

    fn look(bytes: &[u8], size: u64) -> Report {
        sniff(&Sample { start: bytes, size, path: "in/a.edi" })
    }

    fn found(report: &Report, about: &str) -> Vec<String> {
        let own = report.evidence.iter().filter(|evidence| evidence.about == about);
        own.map(|evidence| format!("{} | {}", evidence.found, evidence.because)).collect()
    }

    #[test]
    fn an_interchange() {
        let text = b"UNA:+.? 'UNB+UNOC:3+ME+YOU+261031:1200+7'UNH+1+ORDERS:D:96A:UN'BGM+220+1'LIN+1'LIN+2'UNT+5+1'\
            UNH+2+ORDERS:D:96A:UN'BGM+220+2'UNT+3+2'UNZ+2+7'";
        let report = look(text, text.len() as u64);
        assert_eq!(report.kind, "edifact");
        assert_eq!(found(&report, "messages"), ["ORDERS D:96A:UN: 2 | 2 of them, by type and version"], "{report:#?}");
        assert_eq!(found(&report, "segments"), ["UNH 2, BGM 2, LIN 2 | how often each is there"], "{report:#?}");
        assert_eq!(found(&report, "interchange"), ["UNOC:3 ME YOU 261031:1200 7 | 2 messages"], "{report:#?}");
        assert!(found(&report, "separators")[0].starts_with("element + component :"), "{report:#?}");
        assert_eq!(report.command.as_deref(), Some("tollbridge decode in/a.edi --format edi"));
        // What is cut off is no fault of a part, and one of the whole.
        let cut = &text[..text.len() - 12];
        assert!(found(&look(cut, text.len() as u64), "faults").is_empty());
        assert_eq!(found(&look(cut, cut.len() as u64), "faults").len(), 1);
    }

    #[test]
    fn flat_idocs() {
        let mut control = [b' '; 524];
        let mut put = |at: usize, text: &str| control[at..at + text.len()].copy_from_slice(text.as_bytes());
        for (at, text) in [(0, "EDI_DC40"), (10, "100"), (13, "0000000000000001"), (39, "ORDERS05"), (99, "ORDERS")] {
            put(at, text);
        }
        let segment = |name: &str, number: usize| {
            format!("{name:<30}100{:<16}{number:06}{:06}02{}\n", "0000000000000001", 0, "x")
        };
        let mut file = control.to_vec();
        file.push(b'\n');
        for (number, name) in (1..).zip(["E2EDK01", "E2EDP01", "E2EDP01"]) {
            file.extend(segment(name, number).bytes());
        }
        let report = look(&file, file.len() as u64);
        assert_eq!(report.kind, "idoc");
        assert_eq!(
            found(&report, "basic type"),
            ["ORDERS05 as ORDERS: 1 | 1 IDocs, by basic type and message type"],
            "{report:#?}"
        );
        assert!(found(&report, "segments")[0].starts_with("E2EDK01 1, E2EDP01 2 | "), "{report:#?}");
        assert_eq!(report.command.as_deref(), Some("tollbridge decode in/a.edi --format idoc"));
    }
}
