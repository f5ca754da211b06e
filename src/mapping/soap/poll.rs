//! A service that is polled: how what changed is asked for, and how an answer leads to the next.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::keys::{PAGE, TOKEN, WATERMARK, WINDOW};
use super::pieces::{Known, PlaceFacts};
use crate::decode::xml::ValuePath;
use crate::diagnostic::{self, Node, Table};
use crate::mapping::rows::{Overlap, overlap};

/// How a service is polled.
#[derive(Clone, Debug, PartialEq)]
pub struct Polling {
    /// How what changed is asked for.
    pub changes: PollChanges,
    /// How an answer leads to the next.
    pub paging: Paging,
    /// A full reading that would take away more of the documents, in percent, takes away none.
    pub max_deleted: u8,
    /// More pages in a row are taken for a loop.
    pub max_pages: u64,
}

/// How what changed is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum PollChanges {
    /// It is not: everything is read each time.
    Snapshot,
    /// By a value that grows with each change, which is sent as `{watermark}`.
    Watermark(PollWatermark),
    /// By spans of time, which are sent as `{from}` and `{to}`.
    Window(Window),
}

/// A value of a record that grows with each change.
#[derive(Clone, Debug, PartialEq)]
pub struct PollWatermark {
    /// The record's member, as `from` of a field names it.
    pub member: String,
    /// How far behind the last value reading begins again.
    pub overlap: Overlap,
    /// What `{watermark}` is before anything was read.
    pub start: Option<String>,
}

/// Spans of time, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// How long a span is.
    pub step: Duration,
    /// How far behind the end of the span before one begins.
    pub overlap: Duration,
    /// How far behind now the last one ends.
    pub lag: Duration,
    /// Where the first one begins.
    pub start: Timestamp,
    /// How a moment is sent.
    pub form: MomentForm,
}

/// How a moment is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct MomentForm {
    /// By this pattern of `strftime`; as in ISO 8601 when absent.
    pub format: Option<String>,
    /// The zone whose time is meant; UTC, with its `Z`, when absent.
    pub zone: Option<TimeZone>,
}

impl MomentForm {
    /// The moment, as it is sent.
    pub fn write(&self, moment: Timestamp) -> String {
        let zoned = moment.to_zoned(self.zone.clone().unwrap_or(TimeZone::UTC));
        match (&self.format, &self.zone) {
            // That it can be written was tried when it was read.
            (Some(format), _) => jiff::fmt::strtime::format(format, &zoned).unwrap_or_default(),
            (None, Some(_)) => zoned.datetime().to_string(),
            (None, None) => moment.to_string(),
        }
    }
}

/// How an answer leads to the next.
#[derive(Clone, Debug, PartialEq)]
pub enum Paging {
    /// One answer has everything.
    None,
    /// By a number, which is sent as `{page}`.
    Number {
        /// The first.
        start: u64,
        /// How much it grows.
        step: u64,
        /// So many records a full page has: one that has less is the last. Without it the last is one that has none.
        size: Option<u64>,
    },
    /// By what the answer names, which is sent as `{token}`.
    Token {
        /// Where it stands in the answer; the last one has none there.
        path: ValuePath,
    },
}

impl Polling {
    /// Reads the keys of `[source.soap]` that are about polling; `Ok(None)` where it has none of them, so that it is called
    /// for one record. `Err` after a fault was reported.
    pub(in crate::mapping) fn read(table: &Table<'_>) -> Result<Option<Polling>, ()> {
        let ways = super::POLLED;
        // What is called for one record has none of the keys.
        if ways.iter().all(|name| table.section().key(name).is_none()) {
            return Ok(None);
        }
        let others = ["page", "token", "max_deleted", "max_pages"];
        if ways.iter().all(|name| !table.has(name)) {
            let Some(node) = others.iter().find_map(|name| table.get(name)) else { return Ok(None) };
            let fault =
                node.key_fault("this is for a service that is polled, and nothing says how what changed is found");
            table.fail(fault.help("say `watermark`, `window`, or `snapshot = true`"));
            return Err(());
        }
        let changes = match table.exactly_one(&ways) {
            Some("watermark") => {
                table.table("watermark", &WATERMARK).and_then(|inner| watermark(&inner)).map(PollChanges::Watermark)
            }
            Some("window") => table.table("window", &WINDOW).and_then(|inner| window(&inner)).map(PollChanges::Window),
            Some(_) => table
                .read("snapshot", |node| match node.value {
                    diagnostic::Written::Boolean(true) => Ok(()),
                    _ => Err("expected true; leave it out otherwise".to_owned()),
                })
                .map(|()| PollChanges::Snapshot),
            None => None,
        };
        let paging = match (table.has("page"), table.get("token")) {
            (true, Some(token)) => {
                table.fail(token.key_fault("pages are told by a number or by a token, not by both"));
                None
            }
            (true, None) => table.table("page", &PAGE).and_then(|inner| number(&inner)),
            (false, Some(_)) => table
                .table("token", &TOKEN)
                .and_then(|inner| inner.read("path", value_path).map(|path| Paging::Token { path })),
            (false, None) => Some(Paging::None),
        };
        let max_deleted = table.integer("max_deleted", 0..=100).and_then(|percent| u8::try_from(percent).ok());
        if let (Some(node), Some(changes)) = (table.get("max_deleted"), &changes)
            && *changes != PollChanges::Snapshot
        {
            table.fail(node.key_fault("`max_deleted` has no meaning here: only a snapshot finds what was deleted"));
        }
        let max_pages = table.integer("max_pages", 1..=i64::MAX).and_then(|most| u64::try_from(most).ok());
        match (changes, paging, max_deleted, max_pages) {
            (Some(changes), Some(paging), Some(max_deleted), Some(max_pages)) if !table.failed() => {
                Ok(Some(Polling { changes, paging, max_deleted, max_pages }))
            }
            _ => Err(()),
        }
    }

    /// The name of the place that a request needs, so that calls do not all ask the same.
    pub(in crate::mapping) fn needed(&self) -> Vec<&'static str> {
        let mut names = match &self.changes {
            PollChanges::Snapshot => Vec::new(),
            PollChanges::Watermark(_) => vec!["watermark"],
            PollChanges::Window(_) => vec!["from", "to"],
        };
        names.extend(match &self.paging {
            Paging::None => None,
            Paging::Number { .. } => Some("page"),
            Paging::Token { .. } => Some("token"),
        });
        names
    }
}

/// What a poll knows when it calls.
impl Known for Polling {
    fn place(&self, name: &str, _: Option<&str>) -> Option<PlaceFacts> {
        let may_be_absent = match (name, &self.changes, &self.paging) {
            ("watermark", PollChanges::Watermark(watermark), _) => watermark.start.is_none(),
            ("from" | "to", PollChanges::Window(_), _)
            | ("page", _, Paging::Number { .. })
            | ("size", _, Paging::Number { size: Some(_), .. }) => false,
            ("token", _, Paging::Token { .. }) => true,
            _ => return None,
        };
        Some(PlaceFacts { name: name.into(), may_be_absent })
    }

    fn names(&self, _: Option<&str>) -> Vec<String> {
        let mut names: Vec<String> = self.needed().into_iter().map(str::to_owned).collect();
        if let Paging::Number { size: Some(_), .. } = self.paging {
            names.push("size".to_owned());
        }
        names
    }
}

fn watermark(table: &Table<'_>) -> Option<PollWatermark> {
    let member = table.filled("member");
    let lag = table.read("overlap", overlap);
    let start = table.read("start", |node| match &node.value {
        diagnostic::Written::String(text) | diagnostic::Written::Datetime(text) if !text.is_empty() => Ok(text.clone()),
        diagnostic::Written::Integer(number) => Ok(number.to_string()),
        _ => Err(format!("expected a string, a date or an integer, found {}", node.kind())),
    });
    Some(PollWatermark { member: member?, overlap: lag.unwrap_or(Overlap::None), start }).filter(|_| !table.failed())
}

fn window(table: &Table<'_>) -> Option<Window> {
    let (step, overlap, lag) = (table.positive_duration("step"), table.duration("overlap"), table.duration("lag"));
    let zone = table.read("zone", |node| {
        let name = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
        TimeZone::get(name).map_err(|_| format!("`{name}` is no time zone like \"Europe/Berlin\""))
    });
    let format = table.read("format", |node| {
        let format = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
        let sample = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
        match jiff::fmt::strtime::format(format, &sample) {
            Ok(text) if text != format => Ok(format.to_owned()),
            Ok(_) => Err(format!("`{format}` has nothing of a time in it: it is like \"%Y-%m-%d\"")),
            Err(error) => Err(format!("`{format}` cannot be written: {error}")),
        }
    });
    let start = table.read("start", |node| moment(node, zone.as_ref()));
    if let (Some(step), Some(overlap), Some(node)) = (step, overlap, table.get("overlap"))
        && overlap >= step
    {
        table.fail(node.fault("an overlap as long as the `step` never gets on"));
    }
    let form = MomentForm { format, zone };
    Some(Window { step: step?, overlap: overlap?, lag: lag?, start: start?, form }).filter(|_| !table.failed())
}

/// A moment: with an offset, or in the zone.
fn moment(node: &Node, zone: Option<&TimeZone>) -> Result<Timestamp, String> {
    let text = match &node.value {
        diagnostic::Written::String(text) | diagnostic::Written::Datetime(text) => text,
        _ => return Err(format!("expected a moment, found {}", node.kind())),
    };
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let civil: civil::DateTime =
        text.parse().map_err(|_| format!("`{text}` is no moment like \"2026-01-01\" or \"2026-01-01T00:00:00Z\""))?;
    let zoned = civil.to_zoned(zone.cloned().unwrap_or(TimeZone::UTC)).map_err(|error| error.to_string())?;
    Ok(zoned.timestamp())
}

fn number(table: &Table<'_>) -> Option<Paging> {
    let positive = |name: &str| table.integer(name, 1..=1_000_000).and_then(|number| u64::try_from(number).ok());
    let start = table.integer("start", 0..=i64::MAX).and_then(|number| u64::try_from(number).ok());
    let (step, size) = (positive("step"), positive("size"));
    Some(Paging::Number { start: start?, step: step?, size }).filter(|_| !table.failed())
}

/// A path into the answer.
pub(in crate::mapping) fn value_path(node: &Node) -> Result<ValuePath, String> {
    match node.as_str() {
        Some(text) => ValuePath::parse(text),
        None => Err(format!("expected a string, found {}", node.kind())),
    }
}
