//! The rules of picking files up: the same keys for every kind of inbox.

use std::time::Duration;

use glob::{MatchOptions, Pattern};

use super::Order;
use crate::diagnostic::{Key, Presence, Table, Written};

pub(in crate::adapters) const STABLE_FOR: Key = Key {
    name: "stable_for",
    shape: "duration",
    presence: Presence::Default("\"5s\""),
    doc: "a file is taken when neither its size nor its time has changed for this long",
};
pub(in crate::adapters) const DONE_FILE: Key = Key {
    name: "done_file",
    shape: "string",
    presence: Presence::Optional,
    doc: "a file is taken only when this one is there too; `{name}` stands for the file's name: \"{name}.done\"",
};
pub(in crate::adapters) const IGNORE: Key = Key {
    name: "ignore",
    shape: "array of patterns",
    presence: Presence::Default("[\"*.tmp\", \"*.part\", \"*.filepart\", \"*~\"]"),
    doc: "names of files in flight, in any case: senders write under them and rename; names that begin with a dot are always passed over",
};
pub(in crate::adapters) const TRAILER_WAIT: Key = Key {
    name: "trailer_wait",
    shape: "duration",
    presence: Presence::Optional,
    doc: "a file without the trailer that its mapping asks for is left for so long after its last change, then refused as truncated; refused at once when absent",
};
pub(in crate::adapters) const RECURSIVE: Key = Key {
    name: "recursive",
    shape: "boolean",
    presence: Presence::Default("false"),
    doc: "looks into folders below the inbox too; links are never followed",
};
pub(in crate::adapters) const MATCH_CASE: Key = Key {
    name: "match_case",
    shape: "boolean",
    presence: Presence::Default("true"),
    doc: "false takes `orders.dat` where the mapping says `ORD*.DAT`",
};
pub(in crate::adapters) const ORDER: Key = Key {
    name: "order",
    shape: "\"name\" | \"mtime\" | { sequence = \"regex with one group\" }",
    presence: Presence::Default("\"name\""),
    doc: "in which order files are read; with a sequence a file also waits for those before it that are not complete yet",
};
pub(in crate::adapters) const DUPLICATES: Key = Key {
    name: "duplicates",
    shape: "\"reject\" | \"skip\" | \"read\"",
    presence: Presence::Default("\"reject\""),
    doc: "what happens to a file whose content was read before under another name: a dead letter that can be replayed; archived unread; read",
};
pub(in crate::adapters) const EMPTY: Key = Key {
    name: "empty",
    shape: "\"reject\" | \"skip\" | \"wait\" | \"read\"",
    presence: Presence::Default("\"reject\""),
    doc: "what happens to a file of 0 bytes: a dead letter; archived unread; left until it has content; read as its format says",
};
pub(in crate::adapters) const POLL: Key = Key {
    name: "poll",
    shape: "duration",
    presence: Presence::Default("\"5s\""),
    doc: "how often a `watch` schedule looks where the system does not tell of new files (network shares, servers)",
};

/// What happens to content that was read before under another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// The file is refused.
    Reject,
    /// The file counts as read.
    Skip,
    /// It is read like any other.
    Read,
}

/// What happens to a file of 0 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// The file is refused.
    Reject,
    /// The file counts as read.
    Skip,
    /// It stays until it has content.
    Wait,
    /// It is read like any other.
    Read,
}

/// When a file is complete, which files count, and in which order they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pickup {
    /// How long a file must be unchanged.
    pub stable_for: Duration,
    /// Name of the file that announces another, with `{name}` in it.
    pub done_file: Option<String>,
    /// Names of files in flight.
    pub ignore: Vec<Pattern>,
    /// How long a file may be without its trailer.
    pub trailer_wait: Option<Duration>,
    /// Whether folders below the inbox count.
    pub recursive: bool,
    /// Whether `a` and `A` differ in names.
    pub match_case: bool,
    /// What is read first.
    pub order: Order,
    /// Known content under a new name.
    pub duplicates: Duplicates,
    /// Files of 0 bytes.
    pub empty: Empty,
    /// Pause between looks where nobody tells.
    pub poll: Duration,
}

impl Pickup {
    /// Reads the keys from the table of any kind of inbox; reports all faults before it answers `None`.
    pub(in crate::adapters) fn read(table: &Table<'_>) -> Option<Pickup> {
        let stable_for = table.duration("stable_for");
        let done_file = table.read("done_file", |node| match node.as_str() {
            Some(done) if done.contains("{name}") && !done.contains('/') && done != "{name}" => Ok(done.to_owned()),
            _ => Err("must be a file name with `{name}` and more in it, like \"{name}.done\"".to_owned()),
        });
        let ignore = table.read("ignore", |node| {
            let fault = || "expected an array of patterns like \"*.tmp\"".to_owned();
            let Written::Array(elements) = &node.value else { return Err(fault()) };
            let pattern = |text: &str| {
                Pattern::new(&text.to_lowercase()).map_err(|error| format!("`{text}` is no pattern: {}", error.msg))
            };
            elements.iter().map(|element| pattern(element.as_str().ok_or_else(fault)?)).collect::<Result<Vec<_>, _>>()
        });
        let trailer_wait = table.duration("trailer_wait");
        let (recursive, match_case) = (table.boolean("recursive"), table.boolean("match_case"));
        let order = table.read("order", Order::read);
        let duplicates = table.one_of(
            "duplicates",
            &[("reject", Duplicates::Reject), ("skip", Duplicates::Skip), ("read", Duplicates::Read)],
        );
        let empty = table.one_of(
            "empty",
            &[("reject", Empty::Reject), ("skip", Empty::Skip), ("wait", Empty::Wait), ("read", Empty::Read)],
        );
        let poll = table.read("poll", |node| {
            let pause = node.as_str().and_then(crate::diagnostic::parse_duration);
            pause
                .filter(|pause| *pause >= Duration::from_millis(100))
                .ok_or_else(|| "must be a length of time of at least \"100ms\"".to_owned())
        });
        if table.has("done_file") && done_file.is_none() || table.has("trailer_wait") && trailer_wait.is_none() {
            return None;
        }
        Some(Pickup {
            stable_for: stable_for?,
            done_file,
            ignore: ignore?,
            trailer_wait,
            recursive: recursive?,
            match_case: match_case?,
            order: order?,
            duplicates: duplicates?,
            empty: empty?,
            poll: poll?,
        })
    }

    /// Whether a file of this name (below the inbox) is one that the pattern means: neither hidden, nor in
    /// flight, nor a file that announces another.
    pub fn wants(&self, pattern: &Pattern, name: &str) -> bool {
        self.fits(pattern, name) && self.is_content(name)
    }

    /// Whether a file of this name was put there to be read, and none of the patterns means it.
    pub(super) fn is_unclaimed(&self, patterns: &[Pattern], name: &str) -> bool {
        self.is_content(name) && !patterns.iter().any(|pattern| self.fits(pattern, name))
    }

    fn fits(&self, pattern: &Pattern, name: &str) -> bool {
        let options = MatchOptions { case_sensitive: self.match_case, ..MatchOptions::default() };
        pattern.matches_with(last_part(name), options)
    }

    /// Whether it is no file that is passed over in any case.
    fn is_content(&self, name: &str) -> bool {
        let last = last_part(name);
        !name.split('/').any(|part| part.starts_with('.'))
            && !self.is_done_file(last)
            && !self.ignore.iter().any(|ignored| ignored.matches(&last.to_lowercase()))
    }

    /// The name, below the inbox, of the file that announces `name`.
    pub(super) fn done_file_of(&self, name: &str) -> Option<String> {
        let done = self.done_file.as_ref()?;
        let (folder, last) = name.rsplit_once('/').map_or(("", name), |(folder, last)| (folder, last));
        let done = done.replace("{name}", last);
        Some(if folder.is_empty() { done } else { format!("{folder}/{done}") })
    }

    fn is_done_file(&self, last: &str) -> bool {
        let parts = self.done_file.as_ref().and_then(|done| done.split_once("{name}"));
        let (case, last) = (|text: &str| if self.match_case { text.to_owned() } else { text.to_lowercase() }, last);
        parts.is_some_and(|(before, after)| {
            let (before, after, last) = (case(before), case(after), case(last));
            last.strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(after.as_str()))
                .is_some_and(|name| !name.is_empty())
        })
    }
}

/// The name without the folders.
fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
