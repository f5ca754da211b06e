//! Windows against moments worked out by hand from the zones' rules: Berlin is at UTC+1, and from 2026-03-29 01:00 UTC to
//! 2026-10-25 01:00 UTC at UTC+2; New York is at UTC-5, and from 2026-03-08 07:00 UTC at UTC-4.

use std::path::Path;

use jiff::Timestamp;

use super::{Calendar, Span};
use crate::diagnostic::{Faults, SourceText, Table, parse};
use crate::gate::{Closure, Freeze, Hours, SECTION};

fn read(calendar: &str) -> Result<Calendar, Vec<String>> {
    let source = SourceText::new(Path::new("t.toml"), format!("calendar = {calendar}"));
    let faults = Faults::new();
    let root = parse(&source, &faults);
    let read = Table::new(&root, &SECTION, &faults).and_then(|table| Calendar::read(&table));
    let said: Vec<String> = faults.into_sorted().iter().map(ToString::to_string).collect();
    assert_eq!(read.is_some(), said.is_empty(), "{said:?}");
    read.ok_or(said)
}

fn calendar(text: &str) -> Calendar {
    read(text).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

/// The window that begins first after a moment is this one, and it holds from its first moment to its end.
#[track_caller]
fn next(calendar: &Calendar, after: &str, from: &str, until: &str) {
    let found = calendar.next(at(after)).map(|span| (span.from, span.until));
    assert_eq!(found, Some((at(from), at(until))));
    let inside = |moment: Timestamp| calendar.covering(moment).map(|span| span.until);
    let tick = jiff::SignedDuration::from_nanos(1);
    assert_eq!(inside(at(from)), Some(at(until)));
    assert_eq!(inside(at(until).checked_sub(tick).unwrap()), Some(at(until)));
    assert_eq!(inside(at(until)), None);
    assert_eq!(inside(at(from).checked_sub(tick).unwrap()), None);
}

#[test]
fn a_window_follows_its_zones_clock() {
    let night = calendar(r#"[{ closed = "02:00-04:30", zone = "Europe/Berlin", reason = "nightly batch" }]"#);
    next(&night, "2026-01-09T12:00:00Z", "2026-01-10T01:00:00Z", "2026-01-10T03:30:00Z");
    next(&night, "2026-07-09T12:00:00Z", "2026-07-10T00:00:00Z", "2026-07-10T02:30:00Z");
    next(&night, "2026-07-10T00:00:00Z", "2026-07-11T00:00:00Z", "2026-07-11T02:30:00Z");
    assert_eq!(night.covering(at("2026-07-10T01:00:00Z")).unwrap().reason, "nightly batch");
    let utc = calendar(r#"[{ closed = "02:00-04:30" }]"#);
    next(&utc, "2026-07-09T12:00:00Z", "2026-07-10T02:00:00Z", "2026-07-10T04:30:00Z");
    assert_eq!(calendar("[]").next(at("2026-07-09T12:00:00Z")), None);
}

#[test]
fn over_midnight_and_whole_days() {
    let late = calendar(r#"[{ closed = "22:00-01:00", days = "fri", zone = "Europe/Berlin" }]"#);
    // 2026-01-09 is a Friday; the window ends on Saturday.
    next(&late, "2026-01-05T00:00:00Z", "2026-01-09T21:00:00Z", "2026-01-10T00:00:00Z");
    next(&late, "2026-01-09T21:00:00Z", "2026-01-16T21:00:00Z", "2026-01-17T00:00:00Z");
    let sunday = calendar(r#"[{ closed = "00:00-24:00", days = "sun" }]"#);
    next(&sunday, "2026-01-09T00:00:00Z", "2026-01-11T00:00:00Z", "2026-01-12T00:00:00Z");
    let to_midnight = calendar(r#"[{ closed = "23:00-00:00", days = "sun" }]"#);
    next(&to_midnight, "2026-01-09T00:00:00Z", "2026-01-11T23:00:00Z", "2026-01-12T00:00:00Z");
}

#[test]
fn a_window_in_the_skipped_hour_is_kept_on_the_safe_side() {
    let berlin = |closed: &str| calendar(&format!(r#"[{{ closed = "{closed}", zone = "Europe/Berlin" }}]"#));
    let before = "2026-03-28T12:00:00Z";
    // At 01:00 UTC the clock goes from 02:00 to 03:00. The end by the clock holds: half an hour less.
    next(&berlin("01:30-03:30"), before, "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z");
    // The begin is skipped: from the change on.
    next(&berlin("02:30-04:30"), before, "2026-03-29T01:00:00Z", "2026-03-29T02:30:00Z");
    next(&berlin("02:00-04:30"), before, "2026-03-29T01:00:00Z", "2026-03-29T02:30:00Z");
    // The end is skipped: as if the clock had not been moved.
    next(&berlin("01:30-02:30"), before, "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z");
    // Both are skipped.
    next(&berlin("02:15-02:45"), before, "2026-03-29T01:00:00Z", "2026-03-29T01:45:00Z");
    // It would vanish, from 03:00 to 03:00: it keeps its hour.
    next(&berlin("02:00-03:00"), before, "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z");
    let york = calendar(r#"[{ closed = "02:15-03:45", zone = "America/New_York" }]"#);
    next(&york, "2026-03-08T00:00:00-04:00", "2026-03-08T07:00:00Z", "2026-03-08T07:45:00Z");
}

#[test]
fn a_window_in_the_repeated_hour_takes_both() {
    let berlin = |closed: &str| calendar(&format!(r#"[{{ closed = "{closed}", zone = "Europe/Berlin" }}]"#));
    let before = "2026-10-24T12:00:00Z";
    // At 01:00 UTC the clock goes from 03:00 back to 02:00.
    next(&berlin("02:00-03:00"), before, "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z");
    next(&berlin("02:15-02:45"), before, "2026-10-25T00:15:00Z", "2026-10-25T01:45:00Z");
    next(&berlin("01:30-02:30"), before, "2026-10-24T23:30:00Z", "2026-10-25T01:30:00Z");
    next(&berlin("02:30-04:00"), before, "2026-10-25T00:30:00Z", "2026-10-25T03:00:00Z");
}

#[test]
fn days_of_the_week_and_of_the_month() {
    let first_day = |days: &str, after: &str| {
        let calendar = calendar(&format!(r#"[{{ closed = "12:00-13:00", days = {days} }}]"#));
        let mut dates = Vec::new();
        let mut moment = at(after);
        for _ in 0..4 {
            moment = calendar.next(moment).unwrap().from;
            dates.push(moment.to_string()[5..10].to_owned());
        }
        dates.join(" ")
    };
    let january = "2026-01-01T00:00:00Z";
    // 2026-01-01 is a Thursday.
    assert_eq!(first_day(r#""mon-wed""#, january), "01-05 01-06 01-07 01-12");
    assert_eq!(first_day(r#""fri-mon""#, january), "01-02 01-03 01-04 01-05");
    assert_eq!(first_day(r#""Sat, sun""#, january), "01-03 01-04 01-10 01-11");
    assert_eq!(first_day(r#""last""#, january), "01-31 02-28 03-31 04-30");
    assert_eq!(first_day(r#""-1""#, "2028-01-01T00:00:00Z"), "01-31 02-29 03-31 04-30");
    assert_eq!(first_day(r#""31""#, january), "01-31 03-31 05-31 07-31");
    assert_eq!(first_day(r#""-31""#, "2026-01-02T00:00:00Z"), "03-01 05-01 07-01 08-01");
    assert_eq!(first_day(r#""10..12""#, january), "01-10 01-11 01-12 02-10");
    assert_eq!(first_day(r#""-2..-1""#, january), "01-30 01-31 02-27 02-28");
    assert_eq!(first_day(r#""-2..2""#, "2026-01-15T00:00:00Z"), "01-30 01-31 02-01 02-02");
    assert_eq!(first_day(r#""30..last""#, january), "01-30 01-31 03-30 03-31");
    assert_eq!(first_day(r#"["1", "sun"]"#, january), "01-01 01-04 01-11 01-18");
}

#[test]
fn a_gate_opens_at_the_end_of_the_last_window_in_a_row() {
    let closed = |is_freeze, reason: &str, since: &str, until: Option<&str>| {
        Some(Closure { is_freeze, reason: reason.to_owned(), since: at(since), until: until.map(at) })
    };
    let two = calendar(
        r#"[{ closed = "02:00-04:00", reason = "batch" }, { closed = "04:00-05:00", days = "sat", reason = "backup" }]"#,
    );
    // 2026-01-10 is a Saturday.
    let hours = Hours::at(&two, None, at("2026-01-10T02:30:00Z"));
    assert_eq!(hours.closed, closed(false, "batch", "2026-01-10T02:00:00Z", Some("2026-01-10T05:00:00Z")));
    assert_eq!(hours.next.as_ref().map(|next| next.from), Some(at("2026-01-11T02:00:00Z")));
    assert_eq!(hours.changes_at(), Some(at("2026-01-10T05:00:00Z")));
    let hours = Hours::at(&two, None, at("2026-01-10T05:00:00Z"));
    assert_eq!((hours.closed.clone(), hours.changes_at()), (None, Some(at("2026-01-11T02:00:00Z"))));

    let freeze = |until: Option<&str>| Freeze {
        reason: "stock taking".to_owned(),
        since: at("2026-01-09T20:00:00Z"),
        until: until.map(at),
    };
    let now = at("2026-01-09T21:00:00Z");
    let hours = Hours::at(&two, Some(&freeze(Some("2026-01-10T03:00:00Z"))), now);
    assert_eq!(hours.closed, closed(true, "stock taking", "2026-01-09T20:00:00Z", Some("2026-01-10T05:00:00Z")));
    let hours = Hours::at(&two, Some(&freeze(Some("2026-01-09T22:00:00Z"))), now);
    assert_eq!(hours.closed, closed(true, "stock taking", "2026-01-09T20:00:00Z", Some("2026-01-09T22:00:00Z")));
    let hours = Hours::at(&two, Some(&freeze(None)), now);
    assert_eq!(hours.closed, closed(true, "stock taking", "2026-01-09T20:00:00Z", None));
    // A freeze whose time is over is none.
    assert_eq!(Hours::at(&two, Some(&freeze(Some("2026-01-09T21:00:00Z"))), now).closed, None);
    // Closed for ever: nobody knows an end.
    let always = calendar(r#"[{ closed = "00:00-24:00" }]"#);
    assert_eq!(Hours::at(&always, None, now).closed.unwrap().until, None);
}

#[test]
fn faults_are_told_at_their_place() {
    let refused = |calendar: &str, words: &[&str]| {
        let said = read(calendar).unwrap_err().join("\n");
        for words in words {
            assert!(said.contains(words), "{calendar}: {words} is not in {said}");
        }
    };
    refused(r#"[{ days = "mon" }]"#, &["t.toml:1:13: `backends.NAME.gate.calendar` has no `closed`"]);
    for wrong in
        ["2-4", "02:00", "02:00-02:00", "24:00-01:00", "02:60-03:00", "2:00-4:00", "25:00-26:00", "+1:00-02:00"]
    {
        refused(&format!(r#"[{{ closed = "{wrong}" }}]"#), &["is no time from one minute to another", wrong]);
    }
    for wrong in ["", "mon,", "monday", "0", "32", "-32", "1-5", "mon..fri", "5..", "x"] {
        refused(&format!(r#"[{{ closed = "02:00-03:00", days = "{wrong}" }}]"#), &["is no day like"]);
    }
    refused(r#"[{ closed = "02:00-03:00", days = "5..1" }]"#, &["ends before it begins"]);
    refused(r#"[{ closed = "02:00-03:00", days = "-1..-3" }]"#, &["ends before it begins"]);
    refused(r#"[{ closed = "02:00-03:00", days = [] }]"#, &["names no day"]);
    refused(r#"[{ closed = "02:00-03:00", zone = "Berlin" }]"#, &["`Berlin` is no time zone"]);
    refused(r#"[{ closed = "02:00-03:00", zon = "UTC" }]"#, &["did you mean `zone`?"]);
    refused(r#"[{ closed = "2", zone = "X" }, { closed = "3" }]"#, &["1:24", "`X`", "1:54", "\"3\""]);
    refused(r#"{ closed = "02:00-03:00" }"#, &["must be an array of tables"]);
    refused("[3]", &["must be a table"]);
}

#[test]
fn a_span_says_what_it_is() {
    let span = calendar(r#"[{ closed = "02:00-03:00" }]"#).next(at("2026-01-01T00:00:00Z"));
    let (from, until) = (at("2026-01-01T02:00:00Z"), at("2026-01-01T03:00:00Z"));
    assert_eq!(span, Some(Span { from, until, reason: "closed by the calendar".to_owned() }));
}
