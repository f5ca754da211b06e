//! How far a service is read, and what it is asked next. Staging keeps the text of it, in the transaction of each page.
//!
//! A reading is a turn: the pages of one question. It goes on after a crash with the page at which it stood; where the
//! service does not know its token any more, it begins anew. Nothing here asks anybody: facts of an answer in, what to ask
//! next out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::mark;
use crate::mapping::{Paging, PollChanges, PollValues, Polling, Window};
use crate::staging::SourcePosition;

/// The form of the text. Another form is no fault: the service is then read from the beginning.
const FORM: u32 = 1;

/// Where a source stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) form: u32,
    /// What is asked, hashed: another question begins anew.
    pub(super) source: String,
    /// The greatest watermark that is staged.
    pub(super) mark: Option<String>,
    /// Up to where spans of time are read.
    pub(super) until: Option<String>,
    /// The reading that is going on.
    pub(super) turn: Option<Turn>,
}

/// A reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Turn {
    /// The snapshot in staging that notes what was seen.
    pub(super) snapshot: Option<i64>,
    /// The watermark that is sent.
    pub(super) from: Option<String>,
    /// The span of time that is asked for.
    pub(super) window: Option<(String, String)>,
    /// Which page comes next.
    pub(super) at: At,
    /// The greatest watermark so far.
    pub(super) greatest: Option<String>,
    /// What the page before had in it, hashed.
    pub(super) last: Option<String>,
    /// Pages so far.
    pub(super) pages: u64,
    /// A page before, by which pages that follow each other in a circle are told. A reading of an older program has none.
    #[serde(default)]
    pub(super) anchor: Option<Anchor>,
}

/// A page that all later ones are held against. It is set anew whenever twice as many were read (Brent's way to find a circle):
/// so a circle is found before it was gone through a second time, give or take one, and one page is kept, not all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Anchor {
    /// What it has named as the next, hashed.
    pub(super) token: Option<String>,
    /// What was in it, hashed.
    pub(super) content: Option<String>,
}

/// Which page comes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum At {
    /// The first, or the only one.
    First,
    /// The page of this number.
    Page(u64),
    /// The page that the one before has named so.
    Token(String),
    /// None: all was read.
    End,
}

/// What of an answer is needed to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// How many records it has.
    pub(super) records: u64,
    /// What it names as the next page.
    pub(super) token: Option<String>,
    /// The greatest watermark in it.
    pub(super) greatest: Option<String>,
    /// A watermark in it that has not come yet, which counts for nothing.
    pub(super) ahead: Option<String>,
    /// What is in its records, hashed; `None` where there is none.
    pub(super) content: Option<String>,
}

impl Standing {
    pub(super) fn new(source: String) -> Standing {
        Standing { form: FORM, source, mark: None, until: None, turn: None }
    }

    /// Reads the text; `None` for one of another form, or of another question.
    pub(super) fn read(position: &SourcePosition, source: &str) -> Option<Standing> {
        let read: Option<Standing> = serde_json::from_str(&position.text).ok();
        read.filter(|standing| standing.form == FORM && standing.source == source)
    }

    pub(super) fn write(&self) -> SourcePosition {
        // Numbers and texts: JSON can say them.
        SourcePosition { text: serde_json::to_string(self).unwrap_or_default() }
    }

    /// The next reading; `None` where nothing is due. `snapshot` is that of a full reading. The fault: the overlap does
    /// not fit the watermark.
    pub(super) fn begin(
        &self,
        polling: &Polling,
        now: Timestamp,
        snapshot: Option<i64>,
    ) -> Result<Option<Turn>, String> {
        let fresh = Turn {
            snapshot,
            from: None,
            window: None,
            at: At::First,
            greatest: None,
            last: None,
            pages: 0,
            anchor: None,
        };
        match &polling.changes {
            PollChanges::Snapshot => Ok(Some(fresh)),
            PollChanges::Watermark(watermark) => {
                let from = match &self.mark {
                    Some(mark) => Some(mark::begin(mark, watermark.overlap)?),
                    None => watermark.start.clone(),
                };
                Ok(Some(Turn { from, greatest: self.mark.clone(), ..fresh }))
            }
            PollChanges::Window(window) => {
                let span = self.span(window, now);
                Ok(span.map(|(from, to)| Turn { window: Some((from.to_string(), to.to_string())), ..fresh }))
            }
        }
    }

    /// The next span of time.
    fn span(&self, window: &Window, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let after = |moment: Timestamp, length: Duration| {
            let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
            moment.checked_add(length).unwrap_or(Timestamp::MAX)
        };
        let before = |moment: Timestamp, length: Duration| {
            let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
            moment.checked_sub(length).unwrap_or(Timestamp::MIN)
        };
        let read: Option<Timestamp> = self.until.as_ref().and_then(|until| until.parse().ok());
        let base = read.unwrap_or(window.start);
        let to = after(base, window.step).min(before(now, window.lag));
        let from = if read.is_some() { before(base, window.overlap).max(window.start) } else { base };
        (to > base).then_some((from, to))
    }

    /// Where the source stands when the turn is over.
    pub(super) fn ended(&self, turn: &Turn) -> Standing {
        Standing {
            mark: turn.greatest.clone().or_else(|| self.mark.clone()),
            until: turn.window.as_ref().map(|(_, to)| to.clone()).or_else(|| self.until.clone()),
            turn: None,
            ..self.clone()
        }
    }
}

impl Turn {
    /// What is sent for the page that comes next.
    pub(super) fn values(&self, polling: &Polling) -> PollValues {
        let (page, size) = match (&polling.paging, &self.at) {
            (Paging::Number { size, .. }, At::Page(page)) => (Some(*page), *size),
            (Paging::Number { start, size, .. }, _) => (Some(*start), *size),
            _ => (None, None),
        };
        let token = if let At::Token(token) = &self.at { Some(token.clone()) } else { None };
        let moment = |text: &String| match (&polling.changes, text.parse::<Timestamp>()) {
            (PollChanges::Window(window), Ok(moment)) => window.form.write(moment),
            _ => text.clone(),
        };
        let (from, to) = match &self.window {
            Some((from, to)) => (Some(moment(from)), Some(moment(to))),
            None => (None, None),
        };
        PollValues { watermark: self.from.clone(), page, size, token, from, to }
    }

    /// The page that comes next, for people.
    pub(super) fn describe(&self) -> String {
        match &self.at {
            At::First | At::End => "the first page".to_owned(),
            At::Page(page) => format!("page {page}"),
            At::Token(token) => format!("the page `{token}`"),
        }
    }

    /// The turn behind this answer. The fault: the service goes in circles.
    pub(super) fn behind(&self, polling: &Polling, facts: &Facts) -> Result<Turn, String> {
        if facts.content.is_some() && facts.content == self.last {
            return Err(format!(
                "{} has the same records as the page before: the service goes in circles, or takes no notice of the page",
                self.describe()
            ));
        }
        let at = match &polling.paging {
            Paging::None => At::End,
            Paging::Number { start, step, size } => {
                let page = if let At::Page(page) = self.at { page } else { *start };
                let is_last = facts.records == 0 || size.is_some_and(|size| facts.records < size);
                if is_last { At::End } else { At::Page(page.saturating_add(*step)) }
            }
            Paging::Token { .. } => match facts.token.as_ref().filter(|token| !token.is_empty()) {
                None => At::End,
                Some(token) if self.at == At::Token(token.clone()) => {
                    return Err(format!("the page `{token}` names itself as the next: the service goes in circles"));
                }
                Some(token) => At::Token(token.clone()),
            },
        };
        let token =
            if let At::Token(token) = &at { Some(format!("{:032x}", xxh3_128(token.as_bytes()))) } else { None };
        self.circles(polling, token.as_ref(), facts)?;
        let pages = self.pages + 1;
        if at != At::End && pages >= polling.max_pages {
            return Err(format!("there is no end after {pages} pages (`max_pages`)"));
        }
        let greatest = match (&self.greatest, &facts.greatest) {
            (Some(known), Some(found)) if !mark::is_less(known, found) => Some(known.clone()),
            (known, found) => found.clone().or_else(|| known.clone()),
        };
        let last = facts.content.clone().or_else(|| self.last.clone());
        let anchor = match pages.is_power_of_two() {
            true => Some(Anchor { token, content: facts.content.clone() }),
            false => self.anchor.clone(),
        };
        Ok(Turn { at, greatest, last, pages, anchor, ..self.clone() })
    }

    /// Whether the service leads back to a page that was read.
    fn circles(&self, polling: &Polling, token: Option<&String>, facts: &Facts) -> Result<(), String> {
        let Some(anchor) = &self.anchor else { return Ok(()) };
        if token.is_some() && token == anchor.token.as_ref() {
            return Err(format!(
                "{} names a page as the next that was read before: the service goes in circles",
                self.describe()
            ));
        }
        // Where pages have names, these tell: what is in them may be there twice.
        let is_numbered = matches!(polling.paging, Paging::Number { .. });
        if is_numbered && facts.content.is_some() && facts.content == anchor.content {
            return Err(format!(
                "{} has the same records as a page long before: the service goes in circles",
                self.describe()
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Anchor, At, Facts, Standing, Turn};
    use crate::decode::xml::ValuePath;
    use crate::mapping::{MomentForm, Overlap, Paging, PollChanges, PollWatermark, Polling, Window};
    use jiff::Timestamp;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn polling(changes: PollChanges, paging: Paging) -> Polling {
        Polling { changes, paging, max_deleted: 10, max_pages: 50 }
    }

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn window(zone: Option<&str>, format: Option<&str>) -> PollChanges {
        PollChanges::Window(Window {
            step: 24 * HOUR,
            overlap: HOUR,
            lag: Duration::from_secs(300),
            start: moment("2026-01-01T00:00:00Z"),
            form: MomentForm {
                format: format.map(str::to_owned),
                zone: zone.map(|zone| jiff::tz::TimeZone::get(zone).unwrap()),
            },
        })
    }

    fn watermark(start: Option<&str>) -> PollChanges {
        let overlap = Overlap::Time(Duration::from_secs(300));
        PollChanges::Watermark(PollWatermark { member: "At".to_owned(), overlap, start: start.map(str::to_owned) })
    }

    fn page(content: &str, records: u64) -> Facts {
        Facts { records, content: Some(content.to_owned()), ..Facts::default() }
    }

    #[test]
    fn pages_are_numbered_until_one_is_not_full() {
        let poll = |size| polling(PollChanges::Snapshot, Paging::Number { start: 1, step: 1, size });
        let sized = poll(Some(3));
        let turn = Standing::new(String::new()).begin(&sized, Timestamp::UNIX_EPOCH, Some(7)).unwrap().unwrap();
        assert_eq!((turn.values(&sized).page, turn.values(&sized).size, turn.snapshot), (Some(1), Some(3), Some(7)));
        let second = turn.behind(&sized, &page("a", 3)).unwrap();
        assert_eq!((second.at.clone(), second.values(&sized).page), (At::Page(2), Some(2)));
        assert_eq!(second.behind(&sized, &page("b", 2)).unwrap().at, At::End);
        assert_eq!(second.behind(&sized, &Facts::default()).unwrap().at, At::End);
        // Without a size only a page without records is the last; one that says the same again is a loop.
        let open = poll(None);
        assert_eq!(second.behind(&open, &page("b", 1)).unwrap().at, At::Page(3));
        assert!(second.behind(&open, &page("a", 3)).unwrap_err().contains("page 2 has the same records"));
        let offset = polling(PollChanges::Snapshot, Paging::Number { start: 0, step: 100, size: Some(100) });
        assert_eq!(turn.behind(&offset, &page("a", 100)).unwrap().at, At::Page(100));
    }

    #[test]
    fn tokens_lead_on_until_there_is_none() {
        let poll = polling(PollChanges::Snapshot, Paging::Token { path: ValuePath::parse("/R/Next").unwrap() });
        let turn = Standing::new(String::new()).begin(&poll, Timestamp::UNIX_EPOCH, None).unwrap().unwrap();
        assert_eq!(turn.values(&poll).token, None);
        let named = |token: &str, content: &str| Facts { token: Some(token.to_owned()), ..page(content, 1) };
        let second = turn.behind(&poll, &named("t2", "a")).unwrap();
        assert_eq!(second.values(&poll).token.as_deref(), Some("t2"));
        assert!(second.behind(&poll, &named("t2", "b")).unwrap_err().contains("names itself"));
        assert!(second.behind(&poll, &named("t3", "a")).unwrap_err().contains("same records"));
        assert_eq!(second.behind(&poll, &named("", "b")).unwrap().at, At::End);
        assert_eq!(second.behind(&poll, &page("b", 1)).unwrap().at, At::End);
        // Two pages without records in a row are no loop; pages without end are.
        let (mut turn, mut number) = (second, 0);
        let fault = loop {
            number += 1;
            let facts = Facts { token: Some(format!("x{number}")), ..Facts::default() };
            match turn.behind(&poll, &facts) {
                Ok(next) => turn = next,
                Err(fault) => break fault,
            }
        };
        assert!(fault.contains("no end after 50 pages"), "{fault}");
    }

    /// A tail of pages that leads into a circle of pages, and how many are read of both until it is told.
    #[test]
    fn circles_of_any_length_are_told() {
        let by_token = polling(PollChanges::Snapshot, Paging::Token { path: ValuePath::parse("/R/Next").unwrap() });
        let by_number = polling(PollChanges::Snapshot, Paging::Number { start: 1, step: 1, size: None });
        for (mut poll, is_named) in [(by_token, true), (by_number, false)] {
            poll.max_pages = 100_000;
            for (tail, circle) in [(0, 2), (0, 3), (1, 2), (7, 1), (5, 12), (100, 3), (3, 100)] {
                let mut turn = Standing::new(String::new()).begin(&poll, Timestamp::UNIX_EPOCH, None).unwrap().unwrap();
                let nth = |read: u64| if read < tail { read } else { tail + (read - tail) % circle };
                let mut read = 0;
                let fault = loop {
                    let content = format!("records of {}", if is_named { read } else { nth(read) });
                    let token = is_named.then(|| format!("page {}", nth(read + 1)));
                    read += 1;
                    let facts = Facts { token, ..page(&content, 3) };
                    // As it is read again after a crash.
                    let standing = Standing { turn: Some(turn.clone()), ..Standing::new(String::new()) };
                    turn = Standing::read(&standing.write(), "").unwrap().turn.unwrap();
                    match turn.behind(&poll, &facts) {
                        Ok(next) => turn = next,
                        Err(fault) => break fault,
                    }
                };
                assert!(fault.contains("goes in circles"), "{fault}");
                assert!(read <= 2 * tail.max(circle) + circle + 2, "{tail} {circle}: {read} pages");
            }
        }
    }

    #[test]
    fn a_watermark_is_the_greatest_of_all_pages() {
        let poll =
            polling(watermark(Some("1970-01-01T00:00:00Z")), Paging::Number { start: 1, step: 1, size: Some(1) });
        let standing = Standing::new(String::new());
        let turn = standing.begin(&poll, Timestamp::UNIX_EPOCH, None).unwrap().unwrap();
        assert_eq!(turn.values(&poll).watermark.as_deref(), Some("1970-01-01T00:00:00Z"));
        let with = |greatest: &str, content: &str| Facts { greatest: Some(greatest.to_owned()), ..page(content, 1) };
        let turn = turn.behind(&poll, &with("2026-01-02T00:00:00Z", "a")).unwrap();
        let turn = turn.behind(&poll, &with("2026-01-01T23:00:00Z", "b")).unwrap();
        let turn = turn.behind(&poll, &Facts::default()).unwrap();
        assert_eq!(turn.at, At::End);
        let standing = standing.ended(&turn);
        assert_eq!((standing.mark.as_deref(), &standing.turn), (Some("2026-01-02T00:00:00Z"), &None));
        let next = standing.begin(&poll, Timestamp::UNIX_EPOCH, None).unwrap().unwrap();
        assert_eq!(next.values(&poll).watermark.as_deref(), Some("2026-01-01T23:55:00Z"));
        // A reading that brings nothing keeps the mark.
        let turn = next.behind(&poll, &Facts::default()).unwrap();
        assert_eq!(standing.ended(&turn).mark.as_deref(), Some("2026-01-02T00:00:00Z"));
        let none = Standing::new(String::new()).begin(
            &polling(watermark(None), Paging::None),
            moment("2026-01-01T00:00:00Z"),
            None,
        );
        assert_eq!(none.unwrap().unwrap().from, None);
    }

    #[test]
    fn spans_follow_one_another_up_to_now() {
        let poll = polling(window(None, None), Paging::None);
        let mut standing = Standing::new(String::new());
        let now = moment("2026-01-03T01:00:00Z");
        let mut spans = Vec::new();
        while let Some(turn) = standing.begin(&poll, now, None).unwrap() {
            let values = turn.values(&poll);
            spans.push(format!("{} {}", values.from.unwrap(), values.to.unwrap()));
            standing = standing.ended(&turn.behind(&poll, &Facts::default()).unwrap());
        }
        assert_eq!(
            spans,
            [
                "2026-01-01T00:00:00Z 2026-01-02T00:00:00Z",
                "2026-01-01T23:00:00Z 2026-01-03T00:00:00Z",
                "2026-01-02T23:00:00Z 2026-01-03T00:55:00Z",
            ]
        );
        // A clock that was set back asks for nothing.
        assert_eq!(standing.begin(&poll, moment("2025-01-01T00:00:00Z"), None), Ok(None));
        let poll = polling(window(Some("Europe/Berlin"), Some("%d.%m.%Y %H:%M")), Paging::None);
        let turn = Standing::new(String::new()).begin(&poll, now, None).unwrap().unwrap();
        assert_eq!(turn.values(&poll).from.as_deref(), Some("01.01.2026 01:00"));
    }

    #[test]
    fn what_is_written_reads_back() {
        let turn = Turn {
            snapshot: Some(3),
            from: Some("1".to_owned()),
            window: Some(("a".to_owned(), "b".to_owned())),
            at: At::Token("t".to_owned()),
            greatest: None,
            last: Some("h".to_owned()),
            pages: 4,
            anchor: Some(Anchor { token: Some("t".to_owned()), content: None }),
        };
        let standing = Standing { turn: Some(turn), mark: Some("m".to_owned()), ..Standing::new("q".to_owned()) };
        assert_eq!(Standing::read(&standing.write(), "q"), Some(standing.clone()));
        assert_eq!(Standing::read(&standing.write(), "other"), None);
        // That of an older program.
        let text = standing.write().text.replace(",\"anchor\":{\"token\":\"t\",\"content\":null}", "");
        let read = Standing::read(&crate::staging::SourcePosition { text }, "q").unwrap();
        let turn = standing.turn.clone().map(|turn| Turn { anchor: None, ..turn });
        assert_eq!(read, Standing { turn, ..standing });
        let other = crate::staging::SourcePosition { text: "{}".to_owned() };
        assert_eq!(Standing::read(&other, "q"), None);
    }
}
