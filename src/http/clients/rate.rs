//! `"200/s burst 400"`: how often a client may ask.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;

/// Most requests in a unit of time, and most at once.
const MOST: u32 = 1_000_000;

/// A burst that takes longer than this to come back is a mistake.
const LONGEST_FILL: Duration = Duration::from_secs(31 * 24 * 3600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

impl Unit {
    const ALL: [(&'static str, Unit); 3] = [("s", Unit::Second), ("m", Unit::Minute), ("h", Unit::Hour)];

    fn letter(self) -> &'static str {
        Unit::ALL.iter().find(|(_, unit)| *unit == self).map_or("s", |(letter, _)| letter)
    }
}

/// A rate with its burst: a bucket of `burst` requests that fills evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    unit: Unit,
    burst: NonZeroU32,
}

impl Rate {
    /// Of requests without a valid key, all together.
    pub(super) const OF_FAILED_LOGINS: Rate = Rate::per_second(20, 200);

    /// Of such requests from one address, or for one key.
    pub(super) const OF_FAILED_LOGINS_EACH: Rate = Rate::per_second(5, 50);

    /// So many a second, and so many at once; at least one of each.
    pub(crate) const fn per_second(count: u32, burst: u32) -> Rate {
        match (NonZeroU32::new(count), NonZeroU32::new(burst)) {
            (Some(count), Some(burst)) => Rate { count, unit: Unit::Second, burst },
            _ => Rate { count: NonZeroU32::MIN, unit: Unit::Second, burst: NonZeroU32::MIN },
        }
    }

    /// Reads `COUNT/s`, `COUNT/m` or `COUNT/h`, perhaps with ` burst COUNT`.
    pub fn parse(text: &str) -> Result<Rate, String> {
        let wrong = || format!("`{text}` is no rate like \"200/s\", \"100/m burst 20\" or \"1000/h\"");
        let words: Vec<&str> = text.split(' ').collect();
        let (rate, burst) = match words.as_slice() {
            [rate] => (*rate, None),
            [rate, "burst", burst] => (*rate, Some(*burst)),
            _ => return Err(wrong()),
        };
        let (count, letter) = rate.split_once('/').ok_or_else(wrong)?;
        let (_, unit) = Unit::ALL.into_iter().find(|(known, _)| *known == letter).ok_or_else(wrong)?;
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.parse().ok().filter(|number| plain && (1..=MOST).contains(number));
            number.and_then(NonZeroU32::new).ok_or_else(|| match plain {
                true => format!("`{digits}` in `{text}` is outside 1 to {MOST}"),
                false => wrong(),
            })
        };
        let count = number(count)?;
        let burst = burst.map_or(Ok(count), number)?;
        let rate = Rate { count, unit, burst };
        if rate.fill() > LONGEST_FILL {
            let days = rate.fill().as_secs() / 86_400;
            return Err(format!("a burst of {burst} takes {days} days to come back; the longest is 31 days"));
        }
        Ok(rate)
    }

    /// As `governor` counts.
    pub(super) fn quota(self) -> Quota {
        let quota = match self.unit {
            Unit::Second => Quota::per_second(self.count),
            Unit::Minute => Quota::per_minute(self.count),
            Unit::Hour => Quota::per_hour(self.count),
        };
        quota.allow_burst(self.burst)
    }

    /// Most at once.
    pub fn burst(self) -> u32 {
        self.burst.get()
    }

    /// The time in which one more comes.
    pub(super) fn interval(self) -> Duration {
        self.quota().replenish_interval()
    }

    /// The time in which an empty bucket fills.
    pub fn fill(self) -> Duration {
        self.interval().saturating_mul(self.burst.get())
    }
}

impl fmt::Display for Rate {
    /// As written; the burst only where it is not the number before the `/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.unit.letter())?;
        if self.burst == self.count { Ok(()) } else { write!(f, " burst {}", self.burst) }
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;
    use std::time::Duration;

    #[test]
    fn rates_read_and_write() {
        let check = |text: &str, burst: u32, interval: Duration| {
            let rate = Rate::parse(text).unwrap();
            assert_eq!((rate.burst(), rate.interval(), rate.to_string().as_str()), (burst, interval, text));
        };
        check("200/s burst 400", 400, Duration::from_millis(5));
        check("1/s", 1, Duration::from_secs(1));
        check("100/m", 100, Duration::from_millis(600));
        check("2/h burst 90", 90, Duration::from_secs(1800));
        check("1000000/s", 1_000_000, Duration::from_micros(1));
        assert_eq!(Rate::parse("5/s burst 5").unwrap().to_string(), "5/s");
        assert_eq!(Rate::parse("7/m").unwrap().fill().as_secs_f64().round(), 60.0);
    }

    #[test]
    fn what_is_no_rate() {
        let check = |text: &str, part: &str| {
            let said = Rate::parse(text).unwrap_err();
            assert!(said.contains(part), "{text}: {said}");
        };
        for text in
            ["", "200", "/s", "200/", "200/d", "200 /s", "200/s burst", "200/s burst x", "-1/s", "+1/s", "1.5/s"]
        {
            check(text, "is no rate");
        }
        for text in ["200/s  burst 4", " 200/s", "200/s burst 4 x", "200/s brust 4", "200/S"] {
            check(text, "is no rate");
        }
        check("0/s", "outside 1 to 1000000");
        check("1000001/s", "outside 1 to 1000000");
        check("1/s burst 0", "outside 1 to 1000000");
        check("99999999999999999999/s", "outside 1 to 1000000");
        check("1/h burst 1000000", "days to come back");
    }
}
