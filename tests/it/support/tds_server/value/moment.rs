//! Dates and times: text that people write, and numbers that travel.

/// A moment as stored: days since 0001-01-01, 100 ns since midnight, and minutes of offset where it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) days: i64,
    pub(crate) ticks: i64,
    pub(crate) offset: Option<i16>,
}

/// 100 ns a day.
pub(crate) const DAY: i64 = 864_000_000_000;

/// Days from 0001-01-01 to 1900-01-01.
pub(crate) const YEAR_1900: i64 = 693_595;

/// Days since 0001-01-01 (Howard Hinnant's algorithm of civil days).
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 306
}

/// Year, month and day.
pub(crate) fn date_of(days: i64) -> (i64, i64, i64) {
    let z = days + 306;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let m = (5 * of_year + 2) / 153;
    let day = of_year - (153 * m + 2) / 5 + 1;
    let month = if m < 10 { m + 3 } else { m - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

impl Moment {
    /// Reads `2026-11-28`, `20261128`, `23:59:59.1234567`, both with a blank or `T`, and an offset behind.
    pub(crate) fn parse(text: &str) -> Option<Moment> {
        let text = text.trim();
        let (date, rest) = match text.find(['T', ' ']) {
            Some(at) if !text[..at].contains(':') => (&text[..at], text[at + 1..].trim()),
            _ if text.contains(':') => ("1900-01-01", text),
            _ => (text, ""),
        };
        let numbers: Vec<i64> = if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) {
            [&date[..4], &date[4..6], &date[6..]].iter().filter_map(|part| part.parse().ok()).collect()
        } else {
            date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?
        };
        let [year, month, day] = numbers[..] else { return None };
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day < 1 {
            return None;
        }
        let days = days_of(year, month, day);
        if date_of(days) != (year, month, day) {
            return None;
        }
        let (clock, offset) = match rest.strip_suffix('Z') {
            Some(clock) => (clock, Some(0)),
            None => match rest.rfind(['+', '-']) {
                Some(at) => (rest[..at].trim(), Some(offset(&rest[at..])?)),
                None => (rest, None),
            },
        };
        Some(Moment { days, ticks: if clock.is_empty() { 0 } else { ticks(clock)? }, offset })
    }

    pub(crate) fn now() -> Moment {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let ticks = i64::try_from(since.as_nanos() / 100).unwrap_or(0);
        Moment { days: days_of(1970, 1, 1) + ticks / DAY, ticks: ticks % DAY, offset: None }
    }

    /// With its ticks rounded to this many digits of a second.
    pub(crate) fn rounded(self, scale: u8) -> Moment {
        let unit = 10i64.pow(u32::from(7 - scale.min(7)));
        self.with_ticks((self.ticks + unit / 2) / unit * unit)
    }

    /// Rounded to 1/300 s, as `datetime` is, and the count of these units.
    pub(crate) fn in_three_hundredths(self) -> (Moment, i64) {
        let units = (self.ticks * 300 + 5_000_000) / 10_000_000;
        let moment = Moment { days: self.days + units / 25_920_000, ..self };
        (moment, units % 25_920_000)
    }

    fn with_ticks(self, ticks: i64) -> Moment {
        Moment { days: self.days + ticks.div_euclid(DAY), ticks: ticks.rem_euclid(DAY), ..self }
    }

    /// Moved by so many 100 ns.
    pub(crate) fn plus(self, ticks: i128) -> Moment {
        let all = i128::from(self.days) * i128::from(DAY) + i128::from(self.ticks) + ticks;
        let day = i128::from(DAY);
        Moment { days: all.div_euclid(day) as i64, ticks: all.rem_euclid(day) as i64, ..self }
    }

    /// 100 ns since 0001-01-01, in UTC where there is an offset.
    pub(crate) fn absolute(self) -> i128 {
        let offset = i128::from(self.offset.unwrap_or(0)) * 600_000_000;
        i128::from(self.days) * i128::from(DAY) + i128::from(self.ticks) - offset
    }

    pub(crate) fn date(self) -> String {
        let (year, month, day) = date_of(self.days);
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// The clock with so many digits behind the second.
    pub(crate) fn clock(self, digits: u8) -> String {
        let seconds = self.ticks / 10_000_000;
        let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if digits == 0 {
            return clock;
        }
        let fraction = format!("{:07}", self.ticks % 10_000_000);
        format!("{clock}.{}", &fraction[..usize::from(digits.min(7))])
    }

    pub(crate) fn zone(self) -> String {
        let minutes = self.offset.unwrap_or(0);
        let sign = if minutes < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
    }
}

fn offset(text: &str) -> Option<i16> {
    let (hours, minutes) = text[1..].split_once(':')?;
    let minutes = hours.parse::<i16>().ok()? * 60 + minutes.parse::<i16>().ok()?;
    (minutes <= 14 * 60).then_some(if text.starts_with('-') { -minutes } else { minutes })
}

fn ticks(clock: &str) -> Option<i64> {
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let parts: Vec<i64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..60).contains(&second) || fraction.len() > 9 {
        return None;
    }
    let padded = format!("{fraction:0<7}");
    let fraction: i64 = padded[..7].parse().ok()?;
    Some((hour * 3600 + minute * 60 + second) * 10_000_000 + fraction)
}
