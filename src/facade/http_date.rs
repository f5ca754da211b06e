//! Dates of HTTP (RFC 9110 section 5.6.7): one form is written, three are read.

use hyper::header::HeaderValue;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

/// The form that is sent: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn write(moment: Timestamp) -> Option<HeaderValue> {
    let mut text = String::with_capacity(29);
    DateTimePrinter::new().print_timestamp_rfc9110(&moment, &mut text).ok()?;
    HeaderValue::from_str(&text).ok()
}

/// A date in one of the three forms; the two old ones are `Sunday, 06-Nov-94 08:49:37 GMT` and
/// `Sun Nov  6 08:49:37 1994`. `now` tells which century two digits mean.
pub(super) fn read(text: &str, now: Timestamp) -> Option<Timestamp> {
    let parsed = |form: &str, text: &str| {
        let broken = BrokenDownTime::parse(form, text).ok()?;
        broken.to_datetime().ok()?.to_zoned(TimeZone::UTC).ok()
    };
    let four_digits = parsed("%a, %d %b %Y %H:%M:%S GMT", text).or_else(|| parsed("%a %b %e %H:%M:%S %Y", text));
    if let Some(moment) = four_digits {
        return Some(moment.timestamp());
    }
    // The day of the week is that of a year that is not known yet.
    let (day, rest) = text.split_once(", ")?;
    let moment = parsed("%d-%b-%y %H:%M:%S GMT", rest).filter(|_| day.ends_with("day"))?;
    // Two digits that seem to be more than 50 years ahead are of the past.
    let this_year = now.to_zoned(TimeZone::UTC).year();
    let year = (moment.year() % 100) + this_year - this_year % 100;
    let year = match year {
        ahead if ahead > this_year + 50 => ahead - 100,
        behind if behind <= this_year - 50 => behind + 100,
        year => year,
    };
    moment.with().year(year).build().ok().map(|moment| moment.timestamp())
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use jiff::Timestamp;

    #[test]
    fn three_forms_are_read_and_one_is_written() {
        let now: Timestamp = "2026-11-28T00:00:00Z".parse().unwrap();
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(read(text, now), expected.map(|moment| moment.parse().unwrap()), "{text}");
        };
        // The examples of RFC 9110.
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            check(text, Some("1994-11-06T08:49:37Z"));
        }
        check("Wed Nov 16 08:49:37 1994", Some("1994-11-16T08:49:37Z"));
        check("Wednesday, 01-Jan-76 00:00:00 GMT", Some("2076-01-01T00:00:00Z"));
        check("Saturday, 01-Jan-77 00:00:00 GMT", Some("1977-01-01T00:00:00Z"));
        for text in ["", "yesterday", "Sun, 06 Nov 1994 08:49:37 +0100", "Sun, 31 Feb 1994 08:49:37 GMT", "784111777"] {
            check(text, None);
        }
        let moment: Timestamp = "1994-11-06T08:49:37.9Z".parse().unwrap();
        assert_eq!(write(moment).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
