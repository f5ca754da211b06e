//! Formats against days and texts whose meaning is known.

use super::{Format, Moment};
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn convert(format: &str, moment: Moment, zone: Option<&str>, text: &str) -> Result<String, String> {
    let format = Format::compile(format, moment, 69)?;
    let zone = zone.map(|name| TimeZone::get(name).unwrap());
    let mut out = Vec::new();
    format.convert(text, moment, zone.as_ref(), &mut out).map_err(|misread| misread.phrase.to_owned())?;
    Ok(String::from_utf8(out).unwrap())
}

fn check(format: &str, moment: Moment, text: &str, expected: Option<&str>) {
    assert_eq!(convert(format, moment, None, text).ok().as_deref(), expected, "{format} {text}");
}

#[test]
fn dates() {
    check("%Y%m%d", Moment::Date, "20240229", Some("2024-02-29"));
    check("%Y%m%d", Moment::Date, "20230229", None);
    check("%Y%m%d", Moment::Date, "19000229", None);
    check("%Y%m%d", Moment::Date, "20000229", Some("2000-02-29"));
    check("%Y%m%d", Moment::Date, "00000101", None);
    check("%Y%m%d", Moment::Date, "2024022", None);
    check("%Y%m%d", Moment::Date, "2024 229", None);
    check("%d.%m.%Y", Moment::Date, "1.2.2026", Some("2026-02-01"));
    check("%d.%m.%Y", Moment::Date, "01.02.26", None);
    check("%d.%m.%Y", Moment::Date, "01.02.2026 ", None);
    check("%y%j", Moment::Date, "24366", Some("2024-12-31"));
    check("%y%j", Moment::Date, "23366", None);
    check("%y%m%d", Moment::Date, "681231", Some("2068-12-31"));
    check("%y%m%d", Moment::Date, "690101", Some("1969-01-01"));
    check("%d-%b-%Y", Moment::Date, "07-MAR-2026", Some("2026-03-07"));
    check("%d-%b-%Y", Moment::Date, "07-Mrz-2026", None);
    check("%d%m%Y", Moment::Date, "1012026", None);
}

#[test]
fn pivot_decides_the_century() {
    let format = Format::compile("%y%m%d", Moment::Date, 30).unwrap();
    for (text, expected) in [("290101", "2029-01-01"), ("300101", "1930-01-01")] {
        let mut out = Vec::new();
        format.convert(text, Moment::Date, None, &mut out).unwrap();
        assert_eq!(out, expected.as_bytes());
    }
}

#[test]
fn times_and_datetimes() {
    check("%H%M%S", Moment::Time, "235959", Some("23:59:59"));
    check("%H%M%S", Moment::Time, "240000", None);
    check("%H:%M", Moment::Time, "7:05", Some("07:05:00"));
    check("%I:%M %p", Moment::Time, "12:30 AM", Some("00:30:00"));
    check("%I:%M %p", Moment::Time, "12:30 pm", Some("12:30:00"));
    check("%I:%M %p", Moment::Time, "13:30 PM", None);
    check("%Y%m%d%H%M%S", Moment::Datetime, "20260131120000", Some("2026-01-31T12:00:00"));
    check("%Y-%m-%d %H:%M:%S.%f", Moment::Datetime, "2026-01-31 12:00:00.5", Some("2026-01-31T12:00:00.500000000"));
    for (text, expected) in [
        ("2026-01-31T12:00:00", Some("2026-01-31T12:00:00")),
        ("2026-01-31T12:00:00.5", Some("2026-01-31T12:00:00.5")),
        ("2026-01-31T12:00:00.0070000", Some("2026-01-31T12:00:00.007")),
        ("2026-01-31T12:00:00.", None),
        ("2026-01-31T12:00:00.5+01:00", None),
    ] {
        check("%Y-%m-%dT%H:%M:%S%.f", Moment::Datetime, text, expected);
    }
    check("%H:%M:%S%.f", Moment::Time, "07:00:00.100", Some("07:00:00.1"));
    let offset = "%Y-%m-%dT%H:%M:%S%.f%z";
    check(offset, Moment::Datetime, "2026-01-01T00:30:00.5+01:00", Some("2025-12-31T23:30:00.500000000Z"));
    check(offset, Moment::Datetime, "2026-01-01T00:30:00Z", Some("2026-01-01T00:30:00.000000000Z"));
    check("%Y-%m-%dT%H:%M:%S%z", Moment::Datetime, "2026-01-01T00:30:00+01:00", Some("2025-12-31T23:30:00Z"));
    check("%Y-%m-%dT%H:%M:%S%z", Moment::Datetime, "2026-01-01T00:30:00Z", Some("2026-01-01T00:30:00Z"));
}

#[test]
fn zones() {
    let berlin = |text| convert("%Y-%m-%d %H:%M", Moment::Datetime, Some("Europe/Berlin"), text).ok();
    assert_eq!(berlin("2026-01-15 12:00").as_deref(), Some("2026-01-15T11:00:00Z"));
    assert_eq!(berlin("2026-07-15 12:00").as_deref(), Some("2026-07-15T10:00:00Z"));
    assert_eq!(berlin("2026-10-25 02:30").as_deref(), Some("2026-10-25T00:30:00Z"));
    assert_eq!(berlin("2026-03-29 02:30"), None);
}

#[test]
fn formats_are_judged_when_compiled() {
    for (format, moment, words) in [
        ("%Q", Moment::Date, "no directive"),
        ("%Y%m%", Moment::Date, "no directive"),
        ("%Y%m", Moment::Date, "month and a day"),
        ("%m%d", Moment::Date, "no year"),
        ("%H:%M:%S%.g", Moment::Time, "no directive"),
        ("%H:%M:%S.%f%.f", Moment::Time, "twice"),
        ("%Y%m%d%H", Moment::Date, "parts of a time"),
        ("%Y%m%d %Y", Moment::Date, "twice"),
        ("%H:%M %d", Moment::Time, "parts of a date"),
        ("%M:%S", Moment::Time, "no hour"),
        ("%I:%M", Moment::Time, "go together"),
        ("%H:%S", Moment::Time, "leaves out"),
        ("%Y%m%d", Moment::Datetime, "no hour"),
    ] {
        let message = Format::compile(format, moment, 69).unwrap_err();
        assert!(message.contains(words), "{format}: {message}");
    }
}

/// What is taken as it is is what would be written.
#[test]
fn moments_as_they_are_written() {
    let slowly = |moment, text: &str| match moment {
        Moment::Date => text.parse::<jiff::civil::Date>().ok().map(|date| date.to_string()),
        _ => text.parse::<jiff::civil::DateTime>().ok().map(|time| time.to_string()),
    };
    let days = [
        "2024-02-29",
        "2023-02-29",
        "2100-02-29",
        "2000-02-29",
        "0000-01-01",
        "0001-01-01",
        "9999-12-31",
        "2026-04-31",
        "2026-13-01",
        "2026-00-10",
        "2026-01-00",
        "2026-01-32",
        "2026/01/01",
        "2026-01-0a",
        "+026-01-01",
    ];
    for day in days {
        let expected = slowly(Moment::Date, day).filter(|found| found == day && !day.starts_with("0000"));
        check("%Y-%m-%d", Moment::Date, day, expected.as_deref());
        for time in
            ["T00:00:00", "T23:59:59", "T24:00:00", "T12:60:00", "T12:00:60", "T12:00:61", " 12:00:00", "T1a:00:00"]
        {
            let text = format!("{day}{time}");
            let same = slowly(Moment::Datetime, &text).filter(|found| *found == text && !day.starts_with("0000"));
            for format in ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%.f"] {
                check(format, Moment::Datetime, &text, same.as_deref());
            }
        }
    }
    check("%Y-%m-%dT%H:%M:%S", Moment::Datetime, "2026-01-01T12:00:00.5", None);
    check("%Y-%m-%dT%H:%M:%S%.f", Moment::Datetime, "2026-01-01T12:00:00.50", Some("2026-01-01T12:00:00.5"));
    let zoned = convert("%Y-%m-%dT%H:%M:%S%.f", Moment::Datetime, Some("Europe/Berlin"), "2026-01-01T12:00:00");
    assert!(zoned.unwrap().starts_with("2026-01-01T11:00:00"));
}

proptest! {
    /// Every day that the calendar has comes back; the reference is jiff's own printing.
    #[test]
    fn every_day_comes_back(days in 0i32..3_000_000) {
        let first = jiff::civil::Date::new(1, 1, 1).unwrap();
        let date = first.checked_add(jiff::Span::new().days(days)).unwrap();
        let compact = date.strftime("%Y%m%d").to_string();
        prop_assert_eq!(convert("%Y%m%d", Moment::Date, None, &compact), Ok(date.to_string()));
        let ordinal = date.strftime("%Y/%j").to_string();
        prop_assert_eq!(convert("%Y/%j", Moment::Date, None, &ordinal), Ok(date.to_string()));
        prop_assert_eq!(convert("%Y-%m-%d", Moment::Date, None, &date.to_string()), Ok(date.to_string()));
    }

    #[test]
    fn never_panics(text in any::<String>(), digits in "[0-9.:+-]{0,24}") {
        for format in ["%Y%m%d", "%d.%m.%y", "%y%j"] {
            let _ = convert(format, Moment::Date, None, &text);
            let _ = convert(format, Moment::Date, None, &digits);
        }
        let _ = convert("%Y-%m-%dT%H:%M:%S.%f%z", Moment::Datetime, None, &digits);
    }
}
