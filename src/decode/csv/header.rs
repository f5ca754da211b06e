//! How the header of a file differs from the one that was declared, told so that a person sees what the sender did:
//! which columns are new, gone, called otherwise, or elsewhere.

use std::collections::{HashMap, HashSet};

use super::settings::HeaderMatch;
use crate::diagnostic::nearest;

/// The most columns that a message lists.
const LISTED: usize = 50;

/// So many columns are looked at to find what another has become.
const COMPARED: usize = 500;

/// The message about a header that does not match what was declared; `None` when it does.
pub(super) fn difference(declared: &[String], found: &[String], how: HeaderMatch) -> Option<String> {
    let declared: Vec<&str> = declared.iter().map(|name| name.trim()).collect();
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    let same = match how {
        HeaderMatch::Contains => declared.iter().all(|name| found.contains(name)),
        HeaderMatch::SameColumns => {
            let (mut left, mut right) = (declared.clone(), found.clone());
            left.sort_unstable();
            right.sort_unstable();
            left == right
        }
        HeaderMatch::Identical => declared == found,
    };
    if same {
        return None;
    }
    if how == HeaderMatch::Contains {
        let gone = declared.iter().copied().filter(|name| !found.contains(name)).collect::<Vec<_>>();
        return Some(lacks(&gone, &found, |name| declared.contains(&name)));
    }
    let place_of: HashMap<&str, usize> = declared.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (at, name) in found.iter().enumerate() {
        seen.entry(name).or_insert(at);
    }
    let mut changes = Vec::new();
    let mut is_paired = HashSet::new();
    for (at, name) in declared.iter().enumerate().filter(|(_, name)| !seen.contains_key(*name)) {
        let is_new = |other: &&str| !place_of.contains_key(*other) && !is_paired.contains(other);
        // What stands in its place, if all the others kept theirs; else what it may have become.
        let in_place = found.get(at).copied().filter(|_| found.len() == declared.len()).filter(is_new);
        let near = in_place.or_else(|| nearest(name, found.iter().take(COMPARED).copied().filter(is_new)));
        match near {
            Some(near) => {
                is_paired.insert(near);
                changes.push(format!("`{name}` is now called `{near}`"));
            }
            None => changes.push(format!("`{name}` is gone")),
        }
    }
    for (at, name) in found.iter().enumerate() {
        if seen.get(name).is_some_and(|first| *first < at) {
            changes.push(format!("`{name}` stands a second time (column {})", at + 1));
        } else if !place_of.contains_key(name) && !is_paired.contains(name) {
            changes.push(format!("`{name}` is new (column {})", at + 1));
        }
    }
    if how == HeaderMatch::Identical {
        let firsts = found.iter().enumerate().filter(|(at, name)| seen.get(*name) == Some(at));
        let common: Vec<(usize, usize)> =
            firsts.filter_map(|(at, name)| place_of.get(name).map(|from| (*from, at))).collect();
        let in_order = longest_rising(&common);
        for (from, to) in common.into_iter().filter(|(from, _)| !in_order.contains(from)) {
            let name = declared.get(from).copied().unwrap_or_default();
            changes.push(match from == to {
                true => format!("`{name}` (column {}) stands elsewhere among the others", from + 1),
                false => format!("`{name}` has moved from column {} to {}", from + 1, to + 1),
            });
        }
    }
    let more = changes.len().saturating_sub(LISTED);
    changes.truncate(LISTED);
    if more > 0 {
        changes.push(format!("{more} more changes"));
    }
    Some(format!("the header has changed: {}; it is now {}", changes.join(", "), listed(&found)))
}

/// The message about columns that a header lacks.
pub(super) fn lacks(gone: &[&str], found: &[&str], is_known: impl Fn(&str) -> bool) -> String {
    let told = gone.iter().map(|name| {
        match nearest(name, found.iter().take(COMPARED).copied().filter(|other| !is_known(other))) {
            Some(near) => format!("`{name}` (renamed to `{near}`?)"),
            None => format!("`{name}`"),
        }
    });
    let plural = if gone.len() == 1 { "column" } else { "columns" };
    format!("the header lacks the {plural} {}; it has {}", told.collect::<Vec<_>>().join(", "), listed(found))
}

fn listed(names: &[&str]) -> String {
    let listed: Vec<_> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > LISTED { format!(" and {} more", names.len() - LISTED) } else { String::new() };
    listed.join(", ") + &more
}

/// Of columns with the places that they had, in the order of those that they have, a longest part whose old places
/// rise: those that did not move. Of equally long ones, one with the most columns that kept their very place.
fn longest_rising(places: &[(usize, usize)]) -> HashSet<usize> {
    // For each the length of the longest such part that ends there with its columns in place, and the one before it.
    let mut best: Vec<((usize, usize), Option<usize>)> = Vec::new();
    for (at, (from, to)) in places.iter().enumerate() {
        let before = (0..at).filter(|&other| places[other].0 < *from).max_by_key(|&other| best[other].0);
        let (length, in_place) = before.map_or((0, 0), |before| best[before].0);
        best.push(((length + 1, in_place + usize::from(from == to)), before));
    }
    let mut at = (0..best.len()).max_by_key(|&at| best[at].0);
    let mut part = HashSet::new();
    while let Some(this) = at {
        part.insert(places[this].0);
        at = best[this].1;
    }
    part
}

#[cfg(test)]
mod tests {
    use super::{HeaderMatch, difference};

    fn check(how: HeaderMatch, declared: &str, found: &str, expected: Option<&str>) {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let message = difference(&names(declared), &names(found), how);
        assert_eq!(message.as_deref(), expected, "{declared} / {found}");
    }

    #[test]
    fn what_counts_as_the_same() {
        check(HeaderMatch::Contains, "a,b", "x,b,a", None);
        check(HeaderMatch::SameColumns, "a,b", "b,a", None);
        check(HeaderMatch::Identical, "a,b", "a,b", None);
        check(
            HeaderMatch::Contains,
            "customer_no,b",
            "customer_nr,c",
            Some(
                "the header lacks the columns `customer_no` (renamed to `customer_nr`?), `b` (renamed to `c`?); it has `customer_nr`, `c`",
            ),
        );
    }

    #[test]
    fn changes_are_told_one_by_one() {
        let check = |declared: &str, found: &str, changes: &str| {
            let listed = found.split(',').map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let expected = format!("the header has changed: {changes}; it is now {listed}");
            self::check(HeaderMatch::Identical, declared, found, Some(&expected));
        };
        check("a,b,c", "a,b,c,telephone", "`telephone` is new (column 4)");
        check("a,b,town", "a,b", "`town` is gone");
        check("no,town,zip", "no,Ort,zip", "`town` is now called `Ort`");
        check("no,town", "x,no,Town", "`town` is now called `Town`, `x` is new (column 1)");
        check("a,b,c,d", "a,d,b,c", "`d` has moved from column 4 to 2");
        check("NO,NAME,PRICE", "NO,EAN,PRICE,NAME", "`EAN` is new (column 2), `NAME` has moved from column 2 to 4");
        check("a,b", "a,b,a", "`a` stands a second time (column 3)");
        check("a,b,street", "b,a,fax", "`street` is now called `fax`, `b` has moved from column 2 to 1");
        self::check(
            HeaderMatch::SameColumns,
            "a,b",
            "b,a,telephone",
            Some("the header has changed: `telephone` is new (column 3); it is now `b`, `a`, `telephone`"),
        );
    }

    /// A header of very many columns is compared in time.
    #[test]
    fn wide_headers() {
        let names: Vec<String> = (0..3000).map(|n| format!("c{n}")).collect();
        let reversed: Vec<String> = names.iter().rev().cloned().collect();
        let message = difference(&names, &reversed, HeaderMatch::Identical).unwrap();
        assert!(message.ends_with("and 2950 more"), "{message}");
        assert!(message.contains(", 2949 more changes; it is now"), "{message}");
    }
}
