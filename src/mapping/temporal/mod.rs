//! Dates and times: a format is compiled once, then read digit by digit. Nothing is guessed: a day that does
//! not exist, a time that the clock skipped, or a text that goes on after the format ends is a fault.
//!
//! Directives are those of `strptime`: `%Y %y %m %d %j %H %I %M %S %f %p %b %B %z %%`, and `%.f` for a fraction of a
//! second with its point where there is one.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::mapping::json::write_padded;

/// What a field is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mapping) enum Moment {
    Date,
    Time,
    Datetime,
}

/// A compiled format.
#[derive(Clone, Debug)]
pub(in crate::mapping) struct Format {
    text: String,
    parts: Vec<Part>,
    /// `%Y%m%d` and nothing else: the format of most old dates.
    compact_date: bool,
    /// As moments are written: what is read without a fraction can be taken as it is.
    iso: bool,
    pivot: i16,
    fraction: bool,
    /// The fraction may be missing.
    loose: bool,
    offset: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Literal(u8),
    /// A number of at most `width` digits; `full` when all of them must be there.
    Number {
        what: Unit,
        width: u8,
        full: bool,
    },
    Fraction,
    /// A point and a fraction, or neither.
    LooseFraction,
    MonthName,
    HalfOfDay,
    Offset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Year,
    YearOfCentury,
    Month,
    Day,
    DayOfYear,
    Hour,
    HourOfHalf,
    Minute,
    Second,
}

/// Why a text is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mapping) struct Misread {
    /// What is wrong.
    pub(in crate::mapping) phrase: &'static str,
    /// The text follows the format, but there is no such moment.
    pub(in crate::mapping) follows_format: bool,
}

/// The text does not follow the format.
fn form<T>(phrase: &'static str) -> Result<T, Misread> {
    Err(Misread { phrase, follows_format: false })
}

/// There is no such moment.
fn calendar(phrase: &'static str) -> Misread {
    Misread { phrase, follows_format: true }
}

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
struct Read {
    year: i16,
    month: i8,
    day: i8,
    day_of_year: Option<i16>,
    hour: i8,
    afternoon: Option<bool>,
    minute: i8,
    second: i8,
    nanosecond: i32,
    offset_seconds: Option<i32>,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl Format {
    /// Compiles a format for `moment`. Two-digit years below `pivot` are 20YY, the others 19YY.
    pub(in crate::mapping) fn compile(text: &str, moment: Moment, pivot: i16) -> Result<Format, String> {
        let mut parts = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                parts.push(Part::Literal(byte));
                continue;
            }
            let number = |what, width| Part::Number { what, width, full: false };
            parts.push(match bytes.next() {
                Some(b'.') if bytes.next() == Some(b'f') => Part::LooseFraction,
                Some(b'Y') => number(Unit::Year, 4),
                Some(b'y') => number(Unit::YearOfCentury, 2),
                Some(b'm') => number(Unit::Month, 2),
                Some(b'd') => number(Unit::Day, 2),
                Some(b'j') => number(Unit::DayOfYear, 3),
                Some(b'H') => number(Unit::Hour, 2),
                Some(b'I') => number(Unit::HourOfHalf, 2),
                Some(b'M') => number(Unit::Minute, 2),
                Some(b'S') => number(Unit::Second, 2),
                Some(b'f') => Part::Fraction,
                Some(b'b' | b'B') => Part::MonthName,
                Some(b'p') => Part::HalfOfDay,
                Some(b'z') => Part::Offset,
                Some(b'%') => Part::Literal(b'%'),
                other => {
                    let directive = other.map(char::from).map(String::from).unwrap_or_default();
                    return Err(format!(
                        "`%{directive}` is no directive; there are %Y %y %m %d %j %H %I %M %S %f %.f %p %b %B %z and %%"
                    ));
                }
            });
        }
        check(&parts, moment)?;
        // Beside another number only the full width tells where one ends; a year is always written in full.
        for index in 0..parts.len() {
            let digits = |part: Option<&Part>| matches!(part, Some(Part::Number { .. } | Part::Fraction));
            let crowded = digits(index.checked_sub(1).and_then(|i| parts.get(i))) || digits(parts.get(index + 1));
            if let Part::Number { what, full, .. } = &mut parts[index] {
                *full = crowded || matches!(what, Unit::Year | Unit::YearOfCentury);
            }
        }
        Ok(Format {
            text: text.to_owned(),
            compact_date: text == "%Y%m%d",
            iso: matches!(text, "%Y-%m-%d" | "%Y-%m-%dT%H:%M:%S" | "%Y-%m-%dT%H:%M:%S%.f"),
            fraction: parts.contains(&Part::Fraction) || parts.contains(&Part::LooseFraction),
            loose: parts.contains(&Part::LooseFraction),
            offset: parts.contains(&Part::Offset),
            parts,
            pivot,
        })
    }

    /// The format as written.
    pub(in crate::mapping) fn text(&self) -> &str {
        &self.text
    }

    /// True when it reads an offset from UTC.
    pub(in crate::mapping) fn has_offset(&self) -> bool {
        self.offset
    }

    /// True when it reads a fraction of a second.
    pub(in crate::mapping) fn has_fraction(&self) -> bool {
        self.fraction
    }

    /// True when it reads a fraction of a second where there is one.
    pub(in crate::mapping) fn is_loose(&self) -> bool {
        self.loose
    }

    /// The fewest characters it takes.
    pub(in crate::mapping) fn shortest(&self) -> usize {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Number { width, full: true, .. } => usize::from(*width),
                Part::MonthName => 3,
                Part::HalfOfDay => 2,
                Part::LooseFraction => 0,
                _ => 1,
            })
            .sum()
    }

    /// Reads `text` and appends it in ISO 8601, without quotes. A datetime with an offset or in a zone is
    /// written in UTC.
    pub(in crate::mapping) fn convert(
        &self,
        text: &str,
        moment: Moment,
        zone: Option<&TimeZone>,
        out: &mut Vec<u8>,
    ) -> Result<(), Misread> {
        if self.compact_date {
            let date = compact_date(text.as_bytes())?;
            write_date(date, out);
            return Ok(());
        }
        if self.iso && zone.is_none() && is_iso(text.as_bytes(), moment) {
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        let read = self.read(text)?;
        match moment {
            Moment::Date => write_date(read.date()?, out),
            Moment::Time => {
                let time = read.time()?;
                write_time(time, self.digits(time, false), out);
            }
            Moment::Datetime => {
                let local = DateTime::from_parts(read.date()?, read.time()?);
                let instant = match (read.offset_seconds, zone) {
                    (Some(seconds), _) => Some(at_offset(local, seconds)?),
                    (None, Some(zone)) => Some(in_zone(local, zone)?),
                    (None, None) => None,
                };
                let written = instant.map_or(local, |instant| TimeZone::UTC.to_datetime(instant));
                write_date(written.date(), out);
                out.push(b'T');
                write_time(written.time(), self.digits(written.time(), instant.is_some()), out);
                if instant.is_some() {
                    out.push(b'Z');
                }
            }
        }
        Ok(())
    }

    /// The day that `text` says, as the source counts days.
    pub(in crate::mapping) fn day(&self, text: &str) -> Option<Date> {
        if self.compact_date {
            return compact_date(text.as_bytes()).ok();
        }
        self.read(text).and_then(|read| read.date()).ok()
    }

    /// How many digits of a fraction are written: none, all, or those that say something. Texts of different length still
    /// sort, unless a `Z` stands behind them.
    fn digits(&self, time: Time, utc: bool) -> usize {
        match (self.fraction, self.loose && !utc) {
            (false, _) => 0,
            (true, false) => 9,
            (true, true) => {
                let mut digits = 9;
                let mut rest = time.subsec_nanosecond();
                while digits > 0 && rest % 10 == 0 {
                    rest /= 10;
                    digits -= 1;
                }
                digits
            }
        }
    }

    fn read(&self, text: &str) -> Result<Read, Misread> {
        let mut rest = text.as_bytes();
        let mut read = Read::default();
        for part in &self.parts {
            match *part {
                Part::Literal(expected) => match rest.split_first() {
                    Some((&byte, tail)) if byte == expected => rest = tail,
                    _ => return form("the text does not follow the format"),
                },
                Part::Number { what, width, full } => {
                    let number = take_number(&mut rest, usize::from(width), full)?;
                    read.set(what, number, self.pivot);
                }
                Part::Fraction => read.nanosecond = take_fraction(&mut rest)?,
                Part::LooseFraction => {
                    if let Some(tail) = rest.strip_prefix(b".") {
                        rest = tail;
                        read.nanosecond = take_fraction(&mut rest)?;
                    }
                }
                Part::MonthName => read.month = take_month(&mut rest)?,
                Part::HalfOfDay => read.afternoon = Some(take_half(&mut rest)?),
                Part::Offset => read.offset_seconds = Some(take_offset(&mut rest)?),
            }
        }
        if rest.is_empty() { Ok(read) } else { form("the text goes on after the format ends") }
    }
}

/// What a format must have and must not have to make a `moment`.
fn check(parts: &[Part], moment: Moment) -> Result<(), String> {
    let count =
        |wanted: Unit| parts.iter().filter(|p| matches!(p, Part::Number { what, .. } if *what == wanted)).count();
    let others = |wanted: Part| parts.iter().filter(|part| **part == wanted).count();
    let year = count(Unit::Year) + count(Unit::YearOfCentury);
    let month = count(Unit::Month) + others(Part::MonthName);
    let (day, day_of_year) = (count(Unit::Day), count(Unit::DayOfYear));
    let (hour, half) = (count(Unit::Hour), count(Unit::HourOfHalf));
    let (minute, second) = (count(Unit::Minute), count(Unit::Second));
    let fraction = others(Part::Fraction) + others(Part::LooseFraction);
    let (am_pm, offset) = (others(Part::HalfOfDay), others(Part::Offset));
    if [year, month, day, day_of_year, hour + half, minute, second, fraction, am_pm, offset].iter().any(|n| *n > 1) {
        return Err("says the same thing twice".to_owned());
    }
    let date_parts = year + month + day + day_of_year;
    let time_parts = hour + half + minute + second + fraction + am_pm;
    if moment == Moment::Date && time_parts + offset > 0 {
        return Err("has parts of a time; a date has only %Y or %y, %m or %b, %d or %j (or declare a datetime)".into());
    }
    if moment == Moment::Time && date_parts + offset > 0 {
        return Err(
            "has parts of a date; a time has only %H or %I with %p, %M, %S and %f (or declare a datetime)".into()
        );
    }
    if moment != Moment::Time {
        if year == 0 {
            return Err("has no year (%Y or %y)".to_owned());
        }
        if !matches!((month, day, day_of_year), (1, 1, 0) | (0, 0, 1)) {
            return Err("needs a month and a day (%m %d), or the day of the year (%j)".to_owned());
        }
    }
    if moment != Moment::Date {
        if hour + half == 0 {
            return Err("has no hour (%H, or %I with %p)".to_owned());
        }
        if half != am_pm {
            return Err("%I and %p go together".to_owned());
        }
        if second > minute || fraction > second {
            return Err("leaves out a unit between two others".to_owned());
        }
    }
    Ok(())
}

impl Read {
    fn set(&mut self, unit: Unit, number: i16, pivot: i16) {
        match unit {
            Unit::Year => self.year = number,
            Unit::YearOfCentury => self.year = if number < pivot { 2000 + number } else { 1900 + number },
            Unit::Month => self.month = number as i8,
            Unit::Day => self.day = number as i8,
            Unit::DayOfYear => self.day_of_year = Some(number),
            Unit::Hour | Unit::HourOfHalf => self.hour = number as i8,
            Unit::Minute => self.minute = number as i8,
            Unit::Second => self.second = number as i8,
        }
    }

    fn date(&self) -> Result<Date, Misread> {
        match self.day_of_year {
            None => date(self.year, self.month, self.day),
            Some(day) => {
                let first = date(self.year, 1, 1)?;
                if !(1..=first.days_in_year()).contains(&day) {
                    return Err(calendar("the year has no such day"));
                }
                first.checked_add(jiff::Span::new().days(day - 1)).map_err(|_| calendar("the year has no such day"))
            }
        }
    }

    fn time(&self) -> Result<Time, Misread> {
        let hour = match self.afternoon {
            None => self.hour,
            Some(_) if !(1..=12).contains(&self.hour) => return Err(calendar("the hour is not from 1 to 12")),
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        Time::new(hour, self.minute, self.second, self.nanosecond).map_err(|_| calendar("there is no such time of day"))
    }
}

fn date(year: i16, month: i8, day: i8) -> Result<Date, Misread> {
    if year == 0 {
        return Err(calendar("there is no year 0"));
    }
    Date::new(year, month, day).map_err(|_| calendar("there is no such day"))
}

/// Whether it is a day of the calendar, or one with a time of it in whole seconds, as they are written.
fn is_iso(text: &[u8], moment: Moment) -> bool {
    let two = |at: usize| match text.get(at..at + 2) {
        Some([tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    };
    let is = |at: usize, mark: u8| text.get(at) == Some(&mark);
    let (Some(century), Some(year), Some(month), Some(day)) = (two(0), two(2), two(5), two(8)) else { return false };
    let year = u16::from(century) * 100 + u16::from(year);
    let days = match month {
        2 => 28 + u8::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    let is_day = is(4, b'-') && is(7, b'-') && year > 0 && (1..=days).contains(&day);
    let is_time = || {
        let parts = [two(11), two(14), two(17)];
        is(10, b'T')
            && is(13, b':')
            && is(16, b':')
            && parts[0] < Some(24)
            && parts[1] < Some(60)
            && parts[2] < Some(60)
            && parts.iter().all(Option::is_some)
    };
    match moment {
        Moment::Date => text.len() == 10 && is_day,
        Moment::Datetime => text.len() == 19 && is_day && is_time(),
        Moment::Time => false,
    }
}

fn compact_date(text: &[u8]) -> Result<Date, Misread> {
    let digits: &[u8; 8] = text.try_into().or_else(|_| form("the text is not eight digits long"))?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return form("the text is not eight digits");
    }
    let pair = |at: usize| i16::from(digits[at] - b'0') * 10 + i16::from(digits[at + 1] - b'0');
    date(pair(0) * 100 + pair(2), pair(4) as i8, pair(6) as i8)
}

fn at_offset(local: DateTime, seconds: i32) -> Result<Timestamp, Misread> {
    jiff::tz::Offset::from_seconds(seconds)
        .and_then(|offset| offset.to_timestamp(local))
        .map_err(|_| calendar("the moment is out of range"))
}

/// The hour that comes twice when clocks go back is taken the first time; the hour that they skip is a fault.
fn in_zone(local: DateTime, zone: &TimeZone) -> Result<Timestamp, Misread> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
        return Err(calendar("the clock of the time zone skips this time"));
    }
    ambiguous.compatible().map_err(|_| calendar("the moment is out of range"))
}

fn take_number(rest: &mut &[u8], width: usize, full: bool) -> Result<i16, Misread> {
    let digits = rest.iter().take(width).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || (full && digits < width) {
        return form("digits are missing");
    }
    let (number, tail) = rest.split_at(digits);
    *rest = tail;
    Ok(number.iter().fold(0, |sum, byte| sum * 10 + i16::from(byte - b'0')))
}

fn take_fraction(rest: &mut &[u8]) -> Result<i32, Misread> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 9 {
        return form("the fraction of the second is not 1 to 9 digits");
    }
    let (fraction, tail) = rest.split_at(digits);
    *rest = tail;
    let number = fraction.iter().fold(0i32, |sum, byte| sum * 10 + i32::from(byte - b'0'));
    Ok(number * 10i32.pow(9 - digits as u32))
}

fn take_month(rest: &mut &[u8]) -> Result<i8, Misread> {
    let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (name, tail) = rest.split_at(letters);
    *rest = tail;
    let is = |month: &&str| {
        let month = month.as_bytes();
        name.eq_ignore_ascii_case(month) || name.eq_ignore_ascii_case(&month[..3])
    };
    let found = MONTHS.iter().position(is);
    found.map(|index| index as i8 + 1).map_or_else(|| form("there is no month of this name"), Ok)
}

fn take_half(rest: &mut &[u8]) -> Result<bool, Misread> {
    let (half, tail) = rest.split_at_checked(2).map_or_else(|| form("AM or PM is missing"), Ok)?;
    *rest = tail;
    match half.to_ascii_lowercase().as_slice() {
        b"am" => Ok(false),
        b"pm" => Ok(true),
        _ => form("AM or PM is missing"),
    }
}

/// `Z`, `+02`, `+0200` or `+02:00`.
fn take_offset(rest: &mut &[u8]) -> Result<i32, Misread> {
    const WRONG: Misread = Misread { phrase: "the offset from UTC is not Z or +hh:mm", follows_format: false };
    let (&sign, tail) = rest.split_first().ok_or(WRONG)?;
    *rest = tail;
    let sign = match sign {
        b'Z' | b'z' => return Ok(0),
        b'+' => 1,
        b'-' => -1,
        _ => return Err(WRONG),
    };
    let hours = take_number(rest, 2, true).map_err(|_| WRONG)?;
    if rest.first() == Some(&b':') {
        *rest = &rest[1..];
    }
    let minutes = if rest.first().is_some_and(u8::is_ascii_digit) { take_number(rest, 2, true)? } else { 0 };
    if hours > 23 || minutes > 59 {
        return Err(WRONG);
    }
    Ok(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60))
}

fn write_date(date: Date, out: &mut Vec<u8>) {
    write_padded(out, date.year().unsigned_abs().into(), 4);
    out.push(b'-');
    write_padded(out, date.month().unsigned_abs().into(), 2);
    out.push(b'-');
    write_padded(out, date.day().unsigned_abs().into(), 2);
}

/// With a fraction always nine digits, so that the texts sort as the times do.
fn write_time(time: Time, digits: usize, out: &mut Vec<u8>) {
    for (index, number) in [time.hour(), time.minute(), time.second()].into_iter().enumerate() {
        if index > 0 {
            out.push(b':');
        }
        write_padded(out, number.unsigned_abs().into(), 2);
    }
    if digits > 0 {
        out.push(b'.');
        write_padded(out, time.subsec_nanosecond().unsigned_abs(), 9);
        out.truncate(out.len() - (9 - digits));
    }
}
