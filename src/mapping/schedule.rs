//! When a resource is read from its source. The scheduler asks; this knows no clock.

use std::str::FromStr;
use std::time::Duration;

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};

use crate::diagnostic::{Node, Written, format_duration, parse_duration};

/// When the next run is due.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// So long after the last look.
    Every(Duration),
    /// At the times of a cron expression.
    Cron(Box<CronSchedule>),
    /// As soon as the source shows something new.
    Watch,
    /// Only on command.
    Manual,
}

/// A cron expression of five fields, or six with seconds first, in a time zone.
#[derive(Clone, Debug)]
pub struct CronSchedule {
    /// As written.
    pub expression: String,
    /// Where the wall clock hangs.
    pub zone: TimeZone,
    cron: Cron,
}

impl Schedule {
    /// Whether runs are due at the same times.
    pub fn is_like(&self, other: &Schedule) -> bool {
        match (self, other) {
            (Schedule::Every(own), Schedule::Every(theirs)) => own == theirs,
            (Schedule::Cron(own), Schedule::Cron(theirs)) => {
                own.expression == theirs.expression && own.zone == theirs.zone
            }
            (Schedule::Watch, Schedule::Watch) | (Schedule::Manual, Schedule::Manual) => true,
            _ => false,
        }
    }

    /// The moment of the next run after `last`; `None` when nothing is ever due by the clock alone
    /// (`watch`, `manual`, or a cron expression without a future).
    pub fn next(&self, last: Timestamp) -> Option<Timestamp> {
        match self {
            Schedule::Every(pause) => last.checked_add(*pause).ok(),
            Schedule::Cron(schedule) => {
                let last = last.to_zoned(schedule.zone.clone());
                schedule.cron.find_next_occurrence(&last, false).ok().map(|next| next.timestamp())
            }
            Schedule::Watch | Schedule::Manual => None,
        }
    }

    /// Reads `"every 30s"`, `"watch"`, `"manual"`, `"cron 0 2 * * *"` or `{ cron = "0 2 * * *", zone = "Europe/Berlin" }`.
    pub(super) fn read(node: &Node) -> Result<Schedule, String> {
        match &node.value {
            Written::String(text) => Schedule::parse(text),
            Written::Table(entries) => {
                if let Some(unknown) = entries.keys().find(|key| *key != "cron" && *key != "zone") {
                    return Err(format!("unknown key `{unknown}`; a schedule has `cron` and `zone`"));
                }
                let text = |key: &str| match entries.get(key) {
                    None => Ok(None),
                    Some(node) => node.as_str().map(Some).ok_or_else(|| format!("`{key}` must be a string")),
                };
                let expression = text("cron")?.ok_or("a schedule that is a table needs `cron`")?;
                CronSchedule::new(expression, text("zone")?).map(|schedule| Schedule::Cron(Box::new(schedule)))
            }
            _ => Err(format!("expected a string or a table, found {}", node.kind())),
        }
    }

    fn parse(text: &str) -> Result<Schedule, String> {
        let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
        match (first, rest.trim()) {
            ("watch", "") => Ok(Schedule::Watch),
            ("manual", "") => Ok(Schedule::Manual),
            ("every", length) => match parse_duration(length) {
                Some(pause) if pause >= Duration::from_millis(100) => Ok(Schedule::Every(pause)),
                Some(_) => Err("the shortest pause between two looks is 100ms".to_owned()),
                None => Err(format!("`{length}` is no length of time like \"30s\", \"5m\", \"1h\"")),
            },
            ("cron", expression) => {
                CronSchedule::new(expression, None).map(|schedule| Schedule::Cron(Box::new(schedule)))
            }
            _ => Err(format!("\"{text}\" is not \"every 30s\", \"cron 0 2 * * *\", \"watch\" or \"manual\"")),
        }
    }

    /// As a person would write it.
    pub fn describe(&self) -> String {
        match self {
            Schedule::Every(pause) => format!("every {}", format_duration(*pause)),
            Schedule::Cron(schedule) => {
                format!("cron {} ({})", schedule.expression, schedule.zone.iana_name().unwrap_or("UTC"))
            }
            Schedule::Watch => "watch".to_owned(),
            Schedule::Manual => "manual".to_owned(),
        }
    }
}

impl CronSchedule {
    /// The last time of the calendar before this moment.
    pub(super) fn before(&self, moment: Timestamp) -> Option<Timestamp> {
        let moment = moment.to_zoned(self.zone.clone());
        self.cron.find_previous_occurrence(&moment, false).ok().map(|time| time.timestamp())
    }

    pub(super) fn new(expression: &str, zone: Option<&str>) -> Result<CronSchedule, String> {
        let cron = Cron::from_str(expression)
            .map_err(|error| format!("`{expression}` is no cron expression of five or six fields: {error}"))?;
        let zone = zone.map_or(Ok(TimeZone::UTC), time_zone)?;
        Ok(CronSchedule { expression: expression.to_owned(), zone, cron })
    }
}

/// The IANA time zone of this name.
pub(super) fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("`{name}` is no time zone of the IANA database like \"Europe/Berlin\""))
}

#[cfg(test)]
mod tests {
    use super::Schedule;
    use crate::diagnostic::{Faults, SourceText, parse};
    use std::path::Path;

    fn read(written: &str) -> Result<Schedule, String> {
        let source = SourceText::new(Path::new("t.toml"), format!("schedule = {written}"));
        let root = parse(&source, &Faults::new());
        Schedule::read(&root.as_table().unwrap()["schedule"])
    }

    fn check(written: &str, last: &str, expected: Option<&str>) {
        let next = read(written).unwrap().next(last.parse().unwrap());
        assert_eq!(next.map(|t| t.to_string()).as_deref(), expected, "{written}");
    }

    #[test]
    fn next_run() {
        check("\"every 30s\"", "2026-01-01T00:00:00Z", Some("2026-01-01T00:00:30Z"));
        check("\"cron 0 2 * * *\"", "2026-01-01T00:00:00Z", Some("2026-01-01T02:00:00Z"));
        check("\"cron */10 * * * * *\"", "2026-01-01T00:00:00Z", Some("2026-01-01T00:00:10Z"));
        let berlin = "{ cron = \"0 4 * * *\", zone = \"Europe/Berlin\" }";
        check(berlin, "2026-01-01T00:00:00Z", Some("2026-01-01T03:00:00Z"));
        check(berlin, "2026-07-01T00:00:00Z", Some("2026-07-01T02:00:00Z"));
        check("\"watch\"", "2026-01-01T00:00:00Z", None);
        check("\"manual\"", "2026-01-01T00:00:00Z", None);
    }

    #[test]
    fn faults_say_what_is_right() {
        for (written, words) in [
            ("\"hourly\"", "is not \"every 30s\""),
            ("\"every 30\"", "no length of time"),
            ("\"every 1ms\"", "shortest pause"),
            ("\"cron 99 * * * *\"", "no cron expression"),
            ("{ cron = \"0 4 * * *\", zone = \"Berlin\" }", "no time zone"),
            ("{ corn = \"0 4 * * *\" }", "unknown key `corn`"),
            ("{ zone = \"UTC\" }", "needs `cron`"),
            ("3", "expected a string or a table"),
        ] {
            let message = read(written).unwrap_err();
            assert!(message.contains(words), "{written}: {message}");
        }
    }
}
