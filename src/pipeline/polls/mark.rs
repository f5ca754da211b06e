//! The order of watermarks as services write them, and what lies before one: numbers, moments with and without an offset,
//! days; any other text by its characters.

use std::cmp::Ordering;

use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Timestamp};

use crate::mapping::Overlap;
use crate::record::Decimal;

/// What a watermark is.
enum Mark {
    Number(Decimal),
    Moment(Timestamp),
    /// A time without an offset.
    Civil(DateTime),
    Day(Date),
}

impl Mark {
    fn of(text: &str) -> Option<Mark> {
        if let Ok(number) = Decimal::parse(text, b'.', None) {
            return Some(Mark::Number(number));
        }
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Some(Mark::Moment(moment));
        }
        if text.len() <= 10 {
            return text.parse::<Date>().ok().map(Mark::Day);
        }
        text.parse::<DateTime>().ok().map(Mark::Civil)
    }
}

/// So far may a service's clock, or its time zone, be ahead of ours.
const AHEAD: SignedDuration = SignedDuration::from_hours(26);

/// Whether a time has not come yet: nothing can have changed then, and whoever asks for what changed after it hears nothing.
pub(super) fn is_ahead(value: &str, now: Timestamp) -> bool {
    let limit = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    let as_if_utc = |civil: DateTime| jiff::tz::TimeZone::UTC.to_timestamp(civil).unwrap_or(Timestamp::MAX);
    match Mark::of(value) {
        Some(Mark::Moment(moment)) => moment > limit,
        Some(Mark::Civil(civil)) => as_if_utc(civil) > limit,
        Some(Mark::Day(day)) => as_if_utc(day.to_datetime(jiff::civil::Time::midnight())) > limit,
        Some(Mark::Number(_)) => false,
        // At the end of all time there is no such moment any more.
        None => value.get(..19).and_then(|civil| civil.parse().ok()).is_some_and(|civil| as_if_utc(civil) > limit),
    }
}

/// Whether one comes before the other.
pub(super) fn is_less(one: &str, other: &str) -> bool {
    let order = match (Mark::of(one), Mark::of(other)) {
        (Some(Mark::Number(one)), Some(Mark::Number(other))) => one.cmp(&other),
        (Some(Mark::Moment(one)), Some(Mark::Moment(other))) => one.cmp(&other),
        (Some(Mark::Civil(one)), Some(Mark::Civil(other))) => one.cmp(&other),
        (Some(Mark::Day(one)), Some(Mark::Day(other))) => one.cmp(&other),
        _ => one.cmp(other),
    };
    order == Ordering::Less
}

/// Where reading begins when it has come to this value. The fault: the overlap does not fit it.
pub(super) fn begin(value: &str, overlap: Overlap) -> Result<String, String> {
    let misfit = |what: &str| Err(format!("the watermark's `overlap` is {what}, but its value is `{value}`"));
    let gone = || format!("nothing lies so far before the watermark `{value}`");
    match (overlap, Mark::of(value)) {
        (Overlap::None, _) => Ok(value.to_owned()),
        (Overlap::Number(number), Some(Mark::Number(mark))) => {
            let unit = 10i128.checked_pow(u32::from(mark.scale())).ok_or_else(gone)?;
            let less = i128::from(number).checked_mul(unit).and_then(|by| mark.units().checked_sub(by));
            let less = less.and_then(|units| Decimal::new(units, mark.scale()).ok()).ok_or_else(gone)?;
            Ok(less.to_string())
        }
        (Overlap::Time(length), Some(Mark::Moment(mark))) => {
            let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
            mark.checked_sub(length).map(|earlier| earlier.to_string()).map_err(|_| gone())
        }
        (Overlap::Time(length), Some(Mark::Civil(mark))) => {
            let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
            mark.checked_sub(length).map(|earlier| earlier.to_string()).map_err(|_| gone())
        }
        (Overlap::Time(length), Some(Mark::Day(mark))) => {
            let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
            let earlier = mark.to_datetime(jiff::civil::Time::midnight()).checked_sub(length);
            earlier.map(|earlier| earlier.date().to_string()).map_err(|_| gone())
        }
        (Overlap::Number(_), _) => misfit("a number"),
        (Overlap::Time(_), _) => misfit("a length of time"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{begin, is_ahead, is_less};
    use crate::mapping::Overlap;

    #[test]
    fn values_have_the_order_of_what_they_are() {
        for (less, more) in [
            ("9", "10"),
            ("-1.5", "-1"),
            ("2026-01-02T00:30:00+02:00", "2026-01-01T23:00:00Z"),
            ("2026-01-01T10:00:00.9", "2026-01-01T10:00:01"),
            ("2026-01-09", "2026-01-10"),
            ("a9", "b1"),
        ] {
            assert!(is_less(less, more) && !is_less(more, less) && !is_less(less, less), "{less} {more}");
        }
    }

    #[test]
    fn what_has_not_come_yet_is_ahead() {
        let now = "2026-01-10T12:00:00Z".parse().unwrap();
        for value in
            ["9999-12-31", "9999-12-31T23:59:59.999Z", "9999-12-31T00:00:00", "2026-01-11T15:00:00Z", "2026-01-12"]
        {
            assert!(is_ahead(value, now), "{value}");
        }
        for value in ["2026-01-11", "2026-01-11T13:00:00", "2026-01-10T12:00:00Z", "99991231", "z", ""] {
            assert!(!is_ahead(value, now), "{value}");
        }
    }

    #[test]
    fn reading_begins_before_the_last_value() {
        let minutes = |number: u64| Overlap::Time(Duration::from_secs(60 * number));
        let check = |value: &str, overlap, expected: &str| assert_eq!(begin(value, overlap).as_deref(), Ok(expected));
        check("2026-01-01T00:00:00Z", minutes(5), "2025-12-31T23:55:00Z");
        check("2026-01-01T02:00:00.250+02:00", minutes(5), "2025-12-31T23:55:00.25Z");
        check("2026-01-01T00:00:00", minutes(5), "2025-12-31T23:55:00");
        check("2026-01-01", minutes(5), "2025-12-31");
        check("1000", Overlap::Number(100), "900");
        check("anything", Overlap::None, "anything");
        assert!(begin("1000", minutes(5)).unwrap_err().contains("length of time"));
        assert!(begin("2026-01-01", Overlap::Number(1)).unwrap_err().contains("a number"));
    }
}
