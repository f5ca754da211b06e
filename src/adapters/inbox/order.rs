//! In which order files are read.

use std::cmp::Ordering;

use regex::Regex;

use super::Candidate;
use crate::diagnostic::{Node, Written};

/// In which order the files of an inbox are read. What comes later wins where two files have the same record.
#[derive(Clone, Debug)]
pub enum Order {
    /// By name.
    Name,
    /// By the time of their last change, then by name.
    Modified,
    /// By what the expression's one group finds in the name: as a number where it is one. A file without one
    /// comes after all others. A file waits for those before it that are not complete yet.
    Sequence(Regex),
}

impl PartialEq for Order {
    fn eq(&self, other: &Order) -> bool {
        match (self, other) {
            (Order::Name, Order::Name) | (Order::Modified, Order::Modified) => true,
            (Order::Sequence(one), Order::Sequence(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

impl Eq for Order {}

impl Order {
    /// Reads `"name"`, `"mtime"` or `{ sequence = "regex with one group" }`.
    pub(super) fn read(node: &Node) -> Result<Order, String> {
        const CHOICES: &str = "expected \"name\", \"mtime\" or { sequence = \"regex with one group\" }";
        match &node.value {
            Written::String(text) if text == "name" => Ok(Order::Name),
            Written::String(text) if text == "mtime" => Ok(Order::Modified),
            Written::Table(entries) if entries.len() == 1 => {
                let text = entries.get("sequence").and_then(Node::as_str).ok_or(CHOICES)?;
                let regex = Regex::new(text).map_err(|error| format!("`{text}` is no regular expression: {error}"))?;
                match regex.captures_len() {
                    2 => Ok(Order::Sequence(regex)),
                    groups => Err(format!("`{text}` has {} groups; write one, around the sequence", groups - 1)),
                }
            }
            _ => Err(CHOICES.to_owned()),
        }
    }

    /// Sorts them.
    pub(super) fn sort(&self, files: &mut [Candidate]) {
        match self {
            Order::Name => files.sort_by(|a, b| a.name.cmp(&b.name)),
            Order::Modified => {
                files.sort_by(|a, b| (a.stamp.modified, &a.name).cmp(&(b.stamp.modified, &b.name)));
            }
            Order::Sequence(_) => files.sort_by(|a, b| self.compare(&a.name, &b.name)),
        }
    }

    /// The first of these names, where files wait for those before them.
    pub(super) fn first_in_sequence<'n>(&self, names: &'n [String]) -> Option<&'n str> {
        let Order::Sequence(_) = self else { return None };
        names.iter().map(String::as_str).min_by(|a, b| self.compare(a, b))
    }

    /// Whether one name comes before another.
    pub(super) fn is_before(&self, one: &str, other: &str) -> bool {
        self.compare(one, other) == Ordering::Less
    }

    fn compare(&self, a: &str, b: &str) -> Ordering {
        let by_sequence = match (self.sequence(a), self.sequence(b)) {
            (Some(a), Some(b)) => compare_sequences(a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        by_sequence.then_with(|| a.cmp(b))
    }

    fn sequence<'n>(&self, name: &'n str) -> Option<&'n str> {
        let Order::Sequence(regex) = self else { return None };
        regex.captures(name)?.get(1).map(|found| found.as_str())
    }
}

/// Digits of any number as numbers, anything else as text.
fn compare_sequences(a: &str, b: &str) -> Ordering {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(a) || !is_number(b) {
        return a.cmp(b);
    }
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Stamp;
    use super::*;
    use crate::diagnostic::{Faults, SourceText, parse};

    fn read(written: &str) -> Result<Order, String> {
        let source = SourceText::new(Path::new("t.toml"), format!("order = {written}"));
        let root = parse(&source, &Faults::new());
        Order::read(&root.as_table().unwrap()["order"])
    }

    fn sorted(written: &str, names: &[(&str, i64)]) -> Vec<String> {
        let candidate = |(name, modified): &(&str, i64)| Candidate {
            name: (*name).to_owned(),
            size: 0,
            path: (*name).into(),
            stamp: Stamp { modified: (*modified, 0), ..Stamp::default() },
            beside: None,
        };
        let mut files: Vec<_> = names.iter().map(candidate).collect();
        read(written).unwrap().sort(&mut files);
        files.into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn by_name_by_time_and_by_number() {
        let files = [("B10", 1), ("A9", 3), ("X", 0), ("C010", 2), ("A100000000000000000000000", 4)];
        assert_eq!(sorted("'name'", &files), ["A100000000000000000000000", "A9", "B10", "C010", "X"]);
        assert_eq!(sorted("'mtime'", &files), ["X", "B10", "C010", "A9", "A100000000000000000000000"]);
        let by_number = sorted("{ sequence = '([0-9]+)' }", &files);
        assert_eq!(by_number, ["A9", "B10", "C010", "A100000000000000000000000", "X"]);
        let by_text = sorted("{ sequence = '^(.)' }", &[("b2", 0), ("a9", 0), ("b1", 0)]);
        assert_eq!(by_text, ["a9", "b1", "b2"]);
    }

    #[test]
    fn only_a_sequence_makes_files_wait() {
        let names = ["A10", "B9", "C"].map(str::to_owned);
        let order = read("{ sequence = '([0-9]+)' }").unwrap();
        assert_eq!(order.first_in_sequence(&names), Some("B9"));
        assert!(order.is_before("B9", "A10") && !order.is_before("B9", "A9"));
        assert_eq!(read("'name'").unwrap().first_in_sequence(&names), None);
    }

    #[test]
    fn faults() {
        for (written, words) in [
            ("'size'", "expected \"name\""),
            ("{ sequence = '[' }", "no regular expression"),
            ("{ sequence = 'x' }", "has 0 groups"),
            ("{ sequence = '(a)(b)' }", "has 2 groups"),
        ] {
            let fault = read(written).unwrap_err();
            assert!(fault.contains(words), "{written}: {fault}");
        }
    }
}
