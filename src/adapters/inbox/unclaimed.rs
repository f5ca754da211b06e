//! Files in an inbox that no mapping reads: they would lie there for ever, and nobody would know.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// So many are named.
const NAMED: usize = 10;

/// Of a name so many characters are shown.
const LONGEST: usize = 200;

/// So many are remembered, so that each is told once. How many there are is known all the same.
const REMEMBERED: usize = 1000;

/// New ones are told no more often than this.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Files that no mapping reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unclaimed {
    /// How many there are.
    pub files: usize,
    /// Names of the first of them, in their order.
    pub first: Vec<String>,
}

impl Unclaimed {
    fn of<'n>(names: impl Iterator<Item = &'n str>) -> Unclaimed {
        let (mut files, mut first) = (0, BTreeSet::new());
        for name in names {
            files += 1;
            first.insert(name);
            if first.len() > NAMED {
                first.pop_last();
            }
        }
        Unclaimed { files, first: first.into_iter().map(shown).collect() }
    }
}

/// A name that anybody may have chosen, on one line and not without end.
fn shown(name: &str) -> String {
    let mut shown: String = name.chars().take(LONGEST).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if shown.len() < name.len() && name.chars().nth(LONGEST).is_some() {
        shown.push('\u{2026}');
    }
    shown
}

/// Says how many and which: `2 files: a, b`.
impl fmt::Display for Unclaimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.files == 1 { "file" } else { "files" };
        write!(f, "{} {plural}: {}", self.files, self.first.join(", "))?;
        match self.files - self.first.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// Those of one inbox, as of the last look.
#[derive(Default)]
pub(super) struct Lying(Mutex<Known>);

#[derive(Default)]
struct Known {
    now: Unclaimed,
    /// Since when it was seen, and whether it was told.
    files: HashMap<String, (Instant, bool)>,
    told: Option<Instant>,
}

impl Lying {
    /// As of the last look.
    pub(super) fn now(&self) -> Unclaimed {
        self.0.lock().now.clone()
    }

    /// A look has found these. Answers all of them, and such as are to be told now: they have been there for so long, and
    /// were not told before.
    pub(super) fn found(&self, names: &HashSet<&str>, there_for: Duration, at: Instant) -> (Unclaimed, Unclaimed) {
        let mut known = self.0.lock();
        known.now = Unclaimed::of(names.iter().copied());
        known.files.retain(|name, _| names.contains(name.as_str()));
        for name in names {
            if known.files.len() >= REMEMBERED {
                break;
            }
            if !known.files.contains_key(*name) {
                known.files.insert((*name).to_owned(), (at, false));
            }
        }
        let mut untold = Unclaimed::default();
        if known.told.is_none_or(|told| at.duration_since(told) >= TOLD_EVERY) {
            let is_due = |(since, is_told): &(Instant, bool)| !is_told && at.duration_since(*since) >= there_for;
            let due = known.files.iter().filter(|(_, seen)| is_due(seen)).map(|(name, _)| name.as_str());
            untold = Unclaimed::of(due);
            known.files.values_mut().filter(|seen| is_due(seen)).for_each(|seen| seen.1 = true);
        }
        if untold.files > 0 {
            known.told = Some(at);
        }
        (known.now.clone(), untold)
    }
}

#[cfg(test)]
mod tests {
    use super::{Lying, REMEMBERED, TOLD_EVERY, Unclaimed};
    use std::collections::HashSet;
    use std::time::{Duration, Instant};

    #[test]
    fn each_is_told_once_when_it_has_been_there_for_a_while() {
        let (lying, start, settled) = (Lying::default(), Instant::now(), Duration::from_secs(5));
        let look = |names: &[&str], seconds: u64| {
            let names: HashSet<&str> = names.iter().copied().collect();
            let (all, untold) = lying.found(&names, settled, start + Duration::from_secs(seconds));
            assert_eq!(all.files, names.len());
            untold.first
        };
        let none: [&str; 0] = [];
        assert_eq!(look(&["b", "a"], 0), none);
        assert_eq!(look(&["b", "a"], 5), ["a", "b"]);
        assert_eq!(look(&["b", "a", "c"], 6), none, "c has just come");
        assert_eq!(look(&["b", "a", "c"], 64), none, "no more often than every minute");
        assert_eq!(look(&["b", "a", "c"], 65), ["c"]);
        // One that went and came again is news.
        assert_eq!(look(&["b", "c"], 200), none);
        assert_eq!(look(&["b", "a", "c"], 201), none);
        assert_eq!(look(&["b", "a", "c"], 206), ["a"]);
        assert_eq!(lying.now().first, ["a", "b", "c"]);
    }

    #[test]
    fn a_name_is_one_line() {
        let long = "x".repeat(300);
        let names = ["a\n\u{1b}[2Jb", &long, "\u{e4}"];
        let expected =
            ["a\u{fffd}\u{fffd}[2Jb".to_owned(), format!("{}\u{2026}", "x".repeat(200)), "\u{e4}".to_owned()];
        assert_eq!(Unclaimed::of(names.into_iter()).first, expected);
    }

    #[test]
    fn little_is_kept_of_many() {
        let lying = Lying::default();
        let names: Vec<String> = (0..5 * REMEMBERED).map(|number| format!("{number:05}")).collect();
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        let (all, untold) = lying.found(&names, Duration::ZERO, Instant::now());
        assert_eq!((all.files, all.first.len(), all.first[0].as_str()), (5000, 10, "00000"));
        assert_eq!((untold.files, lying.0.lock().files.len()), (REMEMBERED, REMEMBERED));
        assert!(
            all.to_string().starts_with("5000 files: 00000, 00001, ") && all.to_string().ends_with(" and 4990 more")
        );
        assert_eq!(lying.found(&names, Duration::ZERO, Instant::now() + TOLD_EVERY).1, Unclaimed::default());
    }
}
