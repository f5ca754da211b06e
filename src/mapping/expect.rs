//! `expect_every` of a source: when a file should have come, so that a feed that has gone silent is noticed.

use std::time::Duration;

use jiff::Timestamp;

use super::schedule::CronSchedule;
use crate::diagnostic::{Node, Written, format_duration, parse_duration};

/// How often files are expected.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// Never longer apart than this.
    Every(Duration),
    /// One for each time of a calendar, at most `within` late.
    Times {
        /// The calendar.
        calendar: Box<CronSchedule>,
        /// How late a file may be.
        within: Duration,
    },
}

impl Expectation {
    /// Reads `"1d"`, `"cron 0 6 * * 1-5"` or `{ cron = "0 6 * * 1-5", zone = "Europe/Berlin", within = "2h" }`.
    pub(super) fn read(node: &Node) -> Result<Expectation, String> {
        const WITHIN: Duration = Duration::from_secs(3600);
        let times = |expression: &str, zone: Option<&str>, within: Duration| {
            let calendar = Box::new(CronSchedule::new(expression, zone)?);
            Ok(Expectation::Times { calendar, within })
        };
        match &node.value {
            Written::String(text) => match (text.strip_prefix("cron "), parse_duration(text)) {
                (Some(expression), _) => times(expression.trim(), None, WITHIN),
                (None, Some(pause)) if !pause.is_zero() => Ok(Expectation::Every(pause)),
                _ => Err(format!("\"{text}\" is no length of time like \"1d\", and no \"cron 0 6 * * 1-5\"")),
            },
            Written::Table(entries) => {
                if let Some(unknown) = entries.keys().find(|key| !["cron", "zone", "within"].contains(&key.as_str())) {
                    return Err(format!("unknown key `{unknown}`; an expectation has `cron`, `zone` and `within`"));
                }
                let text = |key: &str| match entries.get(key) {
                    None => Ok(None),
                    Some(node) => node.as_str().map(Some).ok_or_else(|| format!("`{key}` must be a string")),
                };
                let within = match text("within")? {
                    None => WITHIN,
                    Some(text) => parse_duration(text).ok_or_else(|| format!("`{text}` is no length of time"))?,
                };
                times(text("cron")?.ok_or("an expectation that is a table needs `cron`")?, text("zone")?, within)
            }
            _ => Err(format!("expected a length of time or a table, found {}", node.kind())),
        }
    }

    /// Whether a file is overdue. `last` is when the last one came; where none ever came, `since` is when
    /// somebody began to wait.
    pub fn is_silent(&self, last: Option<Timestamp>, since: Timestamp, now: Timestamp) -> bool {
        let last = last.unwrap_or(since);
        match self {
            Expectation::Every(pause) => Duration::try_from(now.duration_since(last)).is_ok_and(|quiet| quiet > *pause),
            Expectation::Times { calendar, within } => {
                // The file for the last time that is over may have come since the grace of the time before ended.
                let due = now.checked_sub(*within).ok().and_then(|latest| calendar.before(latest));
                let earliest = due.and_then(|due| calendar.before(due)).and_then(|time| time.checked_add(*within).ok());
                earliest.is_some_and(|earliest| last <= earliest)
            }
        }
    }

    /// As a person would write it.
    pub fn describe(&self) -> String {
        match self {
            Expectation::Every(pause) => format_duration(*pause),
            Expectation::Times { calendar, within } => {
                let zone = calendar.zone.iana_name().unwrap_or("UTC");
                format!("cron {} ({zone}) within {}", calendar.expression, format_duration(*within))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Expectation;
    use crate::diagnostic::{Faults, SourceText, parse};

    fn read(written: &str) -> Result<Expectation, String> {
        let source = SourceText::new(Path::new("t.toml"), format!("expect = {written}"));
        let root = parse(&source, &Faults::new());
        Expectation::read(&root.as_table().unwrap()["expect"])
    }

    fn check(written: &str, last: Option<&str>, now: &str, is_silent: bool) {
        let since = "2026-03-02T00:00:00Z".parse().unwrap();
        let last = last.map(|last| last.parse().unwrap());
        let found = read(written).unwrap().is_silent(last, since, now.parse().unwrap());
        assert_eq!(found, is_silent, "{written} last {last:?} now {now}");
    }

    #[test]
    fn a_length_of_time() {
        check("'1d'", Some("2026-03-09T05:00:00Z"), "2026-03-10T04:59:00Z", false);
        check("'1d'", Some("2026-03-09T05:00:00Z"), "2026-03-10T05:01:00Z", true);
        check("'1d'", None, "2026-03-02T23:00:00Z", false);
        check("'1d'", None, "2026-03-03T01:00:00Z", true);
        check("'1d'", Some("2026-03-11T05:00:00Z"), "2026-03-10T05:01:00Z", false);
    }

    #[test]
    fn working_days_at_six() {
        let written = "{ cron = '0 6 * * 1-5', within = '2h' }";
        // Monday 2026-03-09. The file of Friday says nothing about Monday's, an early or a late one does.
        check(written, Some("2026-03-06T05:50:00Z"), "2026-03-09T07:59:00Z", false);
        check(written, Some("2026-03-06T05:50:00Z"), "2026-03-09T08:01:00Z", true);
        check(written, Some("2026-03-06T07:30:00Z"), "2026-03-09T08:01:00Z", true);
        check(written, Some("2026-03-09T05:50:00Z"), "2026-03-09T08:01:00Z", false);
        check(written, Some("2026-03-09T07:30:00Z"), "2026-03-09T08:01:00Z", false);
        check(written, Some("2026-03-06T05:50:00Z"), "2026-03-08T12:00:00Z", false);
        check(
            "{ cron = '0 6 * * *', zone = 'Europe/Berlin' }",
            Some("2026-03-06T05:30:00Z"),
            "2026-03-07T05:59:00Z",
            false,
        );
        check(
            "{ cron = '0 6 * * *', zone = 'Europe/Berlin' }",
            Some("2026-03-06T05:30:00Z"),
            "2026-03-07T06:01:00Z",
            true,
        );
    }

    #[test]
    fn faults_say_what_is_right() {
        for (written, words) in [
            ("'daily'", "no length of time"),
            ("'0s'", "no length of time"),
            ("'cron 99 * * * *'", "no cron expression"),
            ("{ zone = 'UTC' }", "needs `cron`"),
            ("{ cron = '0 6 * * *', late = '1h' }", "unknown key `late`"),
            ("{ cron = '0 6 * * *', within = 'soon' }", "no length of time"),
            ("1", "expected a length of time"),
        ] {
            let fault = read(written).unwrap_err();
            assert!(fault.contains(words), "{written}: {fault}");
        }
    }
}
