//! Dates and times of SQL Server as they are written in a cell, and back.
//!
//! A `datetime` counts in ticks of 1/300 second; the server shows them in milliseconds, which end in 0, 3 or 7, and so
//! do we.

use tiberius::time::{Date, DateTime, DateTime2, DateTimeOffset, SmallDateTime, Time};

/// Days from 0001-01-01 to 1900-01-01.
const TO_1900: i64 = 693_595;
/// Days from 0001-01-01 to 9999-12-31.
const LAST_DAY: i64 = 3_652_058;
/// Nanoseconds of a day.
const DAY: u64 = 86_400_000_000_000;

/// Appends two digits.
fn two(number: u64, out: &mut Vec<u8>) {
    out.push(b'0' + (number / 10 % 10) as u8);
    out.push(b'0' + (number % 10) as u8);
}

/// Appends the date of a day, counted from 0001-01-01; `None` outside of the years 1 to 9999.
fn day(days: i64, out: &mut Vec<u8>) -> Option<()> {
    if !(0..=LAST_DAY).contains(&days) {
        return None;
    }
    // Years that begin in March, in cycles of 400: http://howardhinnant.github.io/date_algorithms.html
    let shifted = days + 306;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = (year_of_era + era * 400 + i64::from(month <= 2)) as u64;
    two(year / 100, out);
    two(year % 100, out);
    out.push(b'-');
    two(month as u64, out);
    out.push(b'-');
    two(day as u64, out);
    Some(())
}

/// Appends a time of day in nanoseconds.
fn time_of_day(nanoseconds: u64, out: &mut Vec<u8>) {
    let (seconds, mut fraction) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    two(seconds / 3600, out);
    out.push(b':');
    two(seconds / 60 % 60, out);
    out.push(b':');
    two(seconds % 60, out);
    if fraction > 0 {
        out.push(b'.');
        let mut unit = 100_000_000;
        while fraction > 0 {
            out.push(b'0' + (fraction / unit) as u8);
            fraction %= unit;
            unit /= 10;
        }
    }
}

fn both(days: i64, nanoseconds: u64, out: &mut Vec<u8>) -> Option<()> {
    day(days, out)?;
    out.push(b'T');
    time_of_day(nanoseconds, out);
    Some(())
}

/// Nanoseconds of a time; `None` where it is none of a day.
fn nanoseconds(time: Time) -> Option<u64> {
    let unit = 10u64.checked_pow(u32::from(9u8.checked_sub(time.scale())?))?;
    time.increments().checked_mul(unit).filter(|all| *all < DAY)
}

/// Appends a `date`.
pub(super) fn date(value: Date, out: &mut Vec<u8>) -> Option<()> {
    day(i64::from(value.days()), out)
}

/// Appends a `time`.
pub(super) fn time(value: Time, out: &mut Vec<u8>) -> Option<()> {
    time_of_day(nanoseconds(value)?, out);
    Some(())
}

/// Appends a `datetime`.
pub(super) fn datetime(value: DateTime, out: &mut Vec<u8>) -> Option<()> {
    let ticks = u64::from(value.seconds_fragments());
    let milliseconds = (ticks * 10 + 1) / 3;
    (milliseconds < 86_400_000).then_some(())?;
    both(TO_1900 + i64::from(value.days()), milliseconds * 1_000_000, out)
}

/// Appends a `smalldatetime`: the driver gives its minutes as they came.
pub(super) fn smalldatetime(value: SmallDateTime, out: &mut Vec<u8>) -> Option<()> {
    let minutes = u64::from(value.seconds_fragments());
    (minutes < 1440).then_some(())?;
    both(TO_1900 + i64::from(value.days()), minutes * 60_000_000_000, out)
}

/// Appends a `datetime2`.
pub(super) fn datetime2(value: DateTime2, out: &mut Vec<u8>) -> Option<()> {
    both(i64::from(value.date().days()), nanoseconds(value.time())?, out)
}

/// Appends a `datetimeoffset`: it travels in UTC, and is written as its clock showed it.
pub(super) fn datetimeoffset(value: DateTimeOffset, out: &mut Vec<u8>) -> Option<()> {
    let offset = i64::from(value.offset());
    let utc = nanoseconds(value.datetime2().time())? as i64;
    let local = utc + offset * 60_000_000_000;
    let days = i64::from(value.datetime2().date().days()) + local.div_euclid(DAY as i64);
    both(days, local.rem_euclid(DAY as i64) as u64, out)?;
    if offset == 0 {
        out.push(b'Z');
        return Some(());
    }
    out.push(if offset < 0 { b'-' } else { b'+' });
    let minutes = offset.unsigned_abs();
    two(minutes / 60, out);
    out.push(b':');
    two(minutes % 60, out);
    Some(())
}

/// Reads a date in its canonical form.
pub(super) fn read_date(text: &str) -> Option<Date> {
    let date: jiff::civil::Date = text.parse().ok()?;
    let first = jiff::civil::date(1, 1, 1);
    let days = first.until((jiff::Unit::Day, date)).ok()?.get_days();
    u32::try_from(days).ok().map(Date::new)
}

/// Reads a time in its canonical form; to 100 nanoseconds, which is all that the server keeps.
pub(super) fn read_time(text: &str) -> Option<Time> {
    let time: jiff::civil::Time = text.parse().ok()?;
    Some(time_of(time))
}

fn time_of(time: jiff::civil::Time) -> Time {
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    let increments = seconds * 10_000_000 + i64::from(time.subsec_nanosecond()) / 100;
    Time::new(increments.unsigned_abs(), 7)
}

/// Reads a date with a time in its canonical form.
pub(super) fn read_datetime(text: &str) -> Option<DateTime2> {
    let (date, time) = text.split_once('T')?;
    Some(DateTime2::new(read_date(date)?, read_time(time)?))
}

/// Reads a date with a time and an offset in its canonical form.
pub(super) fn read_datetimeoffset(text: &str) -> Option<DateTimeOffset> {
    let (_, rest) = text.split_once('T')?;
    let sign = rest.find(['+', '-', 'Z'])?;
    let offset = match rest.get(sign..)? {
        "Z" => 0,
        written => {
            let minutes = written.get(1..3)?.parse::<i16>().ok()? * 60 + written.get(4..6)?.parse::<i16>().ok()?;
            if written.starts_with('-') { -minutes } else { minutes }
        }
    };
    let zoned: jiff::Timestamp = text.parse().ok()?;
    let utc = zoned.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let date = read_date(&utc.date().to_string())?;
    Some(DateTimeOffset::new(DateTime2::new(date, time_of(utc.time())), offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<String> {
        let mut out = Vec::new();
        write(&mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        // Made by Python: (date(y, m, d) - date(1, 1, 1)).days
        for (days, expected) in [
            (0, Some("0001-01-01")),
            (58, Some("0001-02-28")),
            (639_905, Some("1753-01-01")),
            (693_594, Some("1899-12-31")),
            (693_595, Some("1900-01-01")),
            (730_178, Some("2000-02-29")),
            (739_947, Some("2026-11-28")),
            (3_652_058, Some("9999-12-31")),
            (3_652_059, None),
        ] {
            assert_eq!(written(|out| date(Date::new(days), out)).as_deref(), expected, "{days}");
            if let Some(text) = expected {
                assert_eq!(read_date(text).map(Date::days), Some(days));
            }
        }
    }

    #[test]
    fn ticks_are_shown_as_the_server_shows_them() {
        for (days, ticks, expected) in [
            (0, 0, Some("1900-01-01T00:00:00")),
            (-53_690, 1, Some("1753-01-01T00:00:00.003")),
            (0, 2, Some("1900-01-01T00:00:00.007")),
            (0, 3, Some("1900-01-01T00:00:00.01")),
            (2_958_463, 25_919_999, Some("9999-12-31T23:59:59.997")),
            (0, 25_920_000, None),
        ] {
            assert_eq!(written(|out| datetime(DateTime::new(days, ticks), out)).as_deref(), expected);
        }
        let small = written(|out| smalldatetime(SmallDateTime::new(65_535, 1439), out));
        assert_eq!(small.as_deref(), Some("2079-06-06T23:59:00"));
    }

    #[test]
    fn fractions_have_no_zeros_at_their_end() {
        for (increments, scale, expected) in [
            (863_999_999_999, 7, Some("23:59:59.9999999")),
            (864_000_000_000, 7, None),
            (86_399, 0, Some("23:59:59")),
            (1, 3, Some("00:00:00.001")),
            (10, 3, Some("00:00:00.01")),
            (1, 10, None),
        ] {
            assert_eq!(written(|out| time(Time::new(increments, scale), out)).as_deref(), expected);
        }
        let value = DateTime2::new(Date::new(739_947), Time::new(600, 0));
        for (offset, expected) in [
            (0, "2026-11-28T00:10:00Z"),
            (60, "2026-11-28T01:10:00+01:00"),
            (-11, "2026-11-27T23:59:00-00:11"),
            (840, "2026-11-28T14:10:00+14:00"),
        ] {
            let text = written(|out| datetimeoffset(DateTimeOffset::new(value, offset), out)).unwrap();
            assert_eq!(text, expected);
            let read = read_datetimeoffset(&text).unwrap();
            assert_eq!((read.offset(), read.datetime2().date().days()), (offset, 739_947));
            assert_eq!(read.datetime2().time().increments(), 600 * 10_000_000);
        }
        let read = read_datetime("2026-11-28T23:59:59.1234567").unwrap();
        assert_eq!(written(|out| datetime2(read, out)).as_deref(), Some("2026-11-28T23:59:59.1234567"));
        assert!(read_datetime("2026-02-30T00:00:00").is_none() && read_time("25:00:00").is_none());
    }
}
