//! The times in which a backend is not to be called: nightly batches, month end.
//!
//! A window begins on the days it names at a wall-clock time of its zone and ends at another, on the next day when that
//! is not later. Where the clock is moved it is kept on the safe side: it begins with the earlier and ends with the
//! later of two equal times; a time that is skipped counts as the moment of the change where a window begins, and as if
//! the clock had not been moved where it ends. A window that would vanish so keeps its length after the change.

mod days;

#[cfg(test)]
mod tests;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::diagnostic::{Key, Presence, Section, Table};
use days::Days;

/// Keys of `[[backends.NAME.gate.calendar]]`.
pub static CALENDAR: Section = Section {
    path: "backends.NAME.gate.calendar",
    doc: "A time in which the backend is not called: callers are refused with the time when it ends, scheduled runs \
          wait for it; `calendar` is an array of these. Where the clock is moved a window is kept on the safe side: from \
          the first of two equal times to the second; a begin that is skipped is the change itself, an end that is \
          skipped comes as if the clock had not been moved, and a window that would vanish keeps its length.",
    keys: &[
        Key {
            name: "closed",
            shape: "\"HH:MM-HH:MM\"",
            presence: Presence::Required,
            doc: "from when to when; on the next day where the end is not later than the begin; `24:00` is the end of \
                  a day",
        },
        Key {
            name: "days",
            shape: "string | array of strings",
            presence: Presence::Default("\"mon-sun\""),
            doc: "on which days it begins, separated by commas: weekdays (`mon`, `mon-fri`), days of the month (`1`, \
                  `10..12`), and from its end (`-1` or `last` is the last day, `-3..-1` the last three, `-2..2` from \
                  the last but one to the second of the next month)",
        },
        Key {
            name: "zone",
            shape: "IANA time zone",
            presence: Presence::Default("\"UTC\""),
            doc: "where the clock hangs: `Europe/Berlin`",
        },
        Key {
            name: "reason",
            shape: "string",
            presence: Presence::Default("\"closed by the calendar\""),
            doc: "what operators and the log are told",
        },
    ],
};

/// How far a next window is looked for: a 31st follows another within 62 days.
const LOOKED_AHEAD: i64 = 70;

/// All windows of a backend.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calendar(Vec<Window>);

/// A window of the calendar, as it is written.
#[derive(Clone, Debug, PartialEq)]
struct Window {
    begin: Time,
    end: Time,
    ends_next_day: bool,
    days: Days,
    zone: TimeZone,
    reason: String,
}

/// One time in which the backend is not called: from `from`, before `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

impl Calendar {
    /// Reads the array `calendar` of a gate's table; `None` after reporting what is wrong.
    pub fn read(gate: &Table<'_>) -> Option<Calendar> {
        let written = match gate.get("calendar") {
            Some(node) => node.as_array().map(<[_]>::len),
            None => Some(0),
        };
        let windows: Vec<Window> = gate.tables("calendar", &CALENDAR).iter().filter_map(Window::read).collect();
        (written == Some(windows.len())).then_some(Calendar(windows))
    }

    /// The window that a moment lies in; of several the one that ends last.
    pub fn covering(&self, at: Timestamp) -> Option<Span> {
        let spans = self.0.iter().flat_map(|window| window.around(at));
        spans.filter(|span| span.from <= at && at < span.until).max_by_key(|span| span.until)
    }

    /// The next window that begins after a moment.
    pub fn next(&self, at: Timestamp) -> Option<Span> {
        self.0.iter().filter_map(|window| window.next(at)).min_by_key(|span| span.from)
    }
}

impl Window {
    fn read(table: &Table<'_>) -> Option<Window> {
        let hours = table.read("closed", |node| {
            let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
            hours(text).ok_or_else(|| {
                format!("\"{text}\" is no time from one minute to another like \"02:00-04:30\", \"22:00-24:00\"")
            })
        });
        let days = table.read("days", Days::read);
        let zone = table.read("zone", |node| {
            let name = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
            TimeZone::get(name)
                .map_err(|_| format!("`{name}` is no time zone of the IANA database like \"Europe/Berlin\""))
        });
        let reason = table.filled("reason");
        let (begin, end, ends_next_day) = hours?;
        (!table.failed()).then_some(Window { begin, end, ends_next_day, days: days?, zone: zone?, reason: reason? })
    }

    /// The window as it is on this day, if it begins on it.
    fn on(&self, date: Date) -> Option<Span> {
        if !self.days.has(date) {
            return None;
        }
        let last = if self.ends_next_day { date.tomorrow().ok()? } else { date };
        let (begin, end) = (date.to_datetime(self.begin), last.to_datetime(self.end));
        let (from, until) = (self.first(begin)?, self.last(end)?);
        let written = || end.duration_since(begin);
        let until = if until > from { until } else { from.checked_add(written()).ok()? };
        Some(Span { from, until, reason: self.reason.clone() })
    }

    /// The first moment at which the clock shows this time, or would have.
    fn first(&self, time: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(time).ok(),
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(time).ok(),
            AmbiguousOffset::Gap { before, .. } => {
                let unmoved = before.to_timestamp(time).ok()?;
                let change = self.zone.preceding(unmoved.checked_add(SignedDuration::from_secs(1)).ok()?).next();
                Some(change.map_or(unmoved, |change| change.timestamp()))
            }
        }
    }

    /// The last moment at which the clock shows this time, or would have, had it not been moved.
    fn last(&self, time: DateTime) -> Option<Timestamp> {
        match self.zone.to_ambiguous_timestamp(time).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(time).ok(),
            AmbiguousOffset::Fold { after, .. } => after.to_timestamp(time).ok(),
            AmbiguousOffset::Gap { before, .. } => before.to_timestamp(time).ok(),
        }
    }

    fn day(&self, at: Timestamp, offset: i64) -> Option<Date> {
        at.to_zoned(self.zone.clone()).date().checked_add(offset.days()).ok()
    }

    /// The windows that may have begun before a moment and not ended.
    fn around(&self, at: Timestamp) -> impl Iterator<Item = Span> + '_ {
        (-2..=1).filter_map(move |offset| self.on(self.day(at, offset)?))
    }

    fn next(&self, at: Timestamp) -> Option<Span> {
        (-1..=LOOKED_AHEAD).filter_map(|offset| self.on(self.day(at, offset)?)).find(|span| span.from > at)
    }
}

/// `02:00-04:30`: begin, end, and whether that is on the next day.
fn hours(text: &str) -> Option<(Time, Time, bool)> {
    let (begin, end) = text.split_once('-')?;
    let (begin, end) = (minutes(begin.trim())?, minutes(end.trim())?);
    if begin == end || begin == 24 * 60 {
        return None;
    }
    let time =
        |minutes: u16| Time::new(i8::try_from(minutes / 60 % 24).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok();
    Some((time(begin)?, time(end)?, end < begin || end == 24 * 60))
}

fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let is_written_out = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_written_out.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    (minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour * 60 + minute)
}
