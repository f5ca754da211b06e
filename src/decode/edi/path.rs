//! Names of places in a message that no schema describes.
//!
//! | name | means |
//! | --- | --- |
//! | `BEG.03` | element 3 of the one segment BEG |
//! | `DTM.01.02` | its component |
//! | `N1[ST].02`, `N1[01=ST].02`, `DTM[01.01=137].01.02` | of the segment whose element has that value |
//! | `PO1` | every segment PO1, for `each` |
//! | `PO1..CTT` | every PO1 with what follows it, up to the next PO1 or a CTT; `PO1..CTT\|SE` for several |
//! | `N1[ST]../N4.01` | within the run that begins at N1[ST] |
//! | `/BEG.03` | from within a run: of the whole message |
//! | `DMG.05[]` | every repetition of an element, for `each` |
//! | `02`, `02.01` | within `each`: of the segment that the run begins with |
//! | `ISA.06`, `GS.08`, `UNB.02.01` | of the headers around the message |
//! | `_interchange.sender`, `_group.version`, `_type`, `_version`, `_control_number` | the same for both standards |

use super::envelope::{GROUP, INTERCHANGE};
use super::segment::is_id;
use crate::diagnostic::nearest;

/// An element or a component: numbers from 1, component 0 is the whole element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) element: usize,
    pub(super) component: usize,
}

/// Segments by name and values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) id: String,
    pub(super) values: Vec<(Item, String)>,
}

/// Segments from one that fits to before the next of its name or of one that ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) pattern: Pattern,
    /// `None` where it is the segment alone.
    pub(super) ends: Option<Vec<String>>,
}

/// A value around the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Envelope {
    Interchange(usize),
    Group(usize),
    Type,
    Version,
    ControlNumber,
    /// An item of the header of the interchange.
    InterchangeHeader(Item),
    /// An item of the header of the group.
    GroupHeader(Item),
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// An item of the one segment that fits.
    Value(Pattern, Item),
    /// An item of the segment that the scope begins with.
    Own(Item),
    /// All segments or runs, for `each`.
    Runs(Run),
    /// All repetitions of an element, for `each`; of the own segment without a pattern.
    Repetitions(Option<Pattern>, usize),
    Envelope(Envelope),
}

/// A name, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Begins at the record, wherever it is used.
    pub(super) rooted: bool,
    /// Runs to go into first; each must be there at most once.
    pub(super) through: Vec<Run>,
    pub(super) target: Target,
}

/// The headers that can be named, and whether they are the interchange's.
const HEADERS: [(&str, bool); 4] = [("ISA", true), ("UNB", true), ("GS", false), ("UNG", false)];

/// Understands a name. The fault is one sentence, and the nearest name where there is one.
pub(super) fn parse(name: &str) -> Result<Path, (String, Option<String>)> {
    let wrong = |reason: &str| (format!("`{name}` names no place of a message: {reason}"), None);
    if let Some(envelope) = name.strip_prefix('_') {
        return envelope_value(envelope).map(|target| Path { rooted: true, through: Vec::new(), target });
    }
    let (rooted, rest) = name.strip_prefix('/').map_or((false, name), |rest| (true, rest));
    let mut steps = split(rest, '/').into_iter();
    let last = steps.next_back().unwrap_or_default();
    let mut through = Vec::new();
    for step in steps {
        match run(step).map_err(|reason| wrong(&reason))? {
            Run { ends: None, .. } => return Err(wrong("before `/` stands a run of segments, like `N1[ST]..`")),
            run => through.push(run),
        }
    }
    let target = target(last).map_err(|reason| wrong(&reason))?;
    if matches!(target, Target::Envelope(_)) && !through.is_empty() {
        return Err(wrong("an envelope does not lie within a run"));
    }
    if matches!(target, Target::Own(_) | Target::Repetitions(None, _)) && rooted && through.is_empty() {
        return Err(wrong("an element needs its segment before it, like `BEG.03`"));
    }
    Ok(Path { rooted, through, target })
}

fn envelope_value(name: &str) -> Result<Target, (String, Option<String>)> {
    let index = |names: &[&str], name: &str| names.iter().position(|own| *own == name);
    let found = match name.split_once('.') {
        Some(("interchange", value)) => index(INTERCHANGE, value).map(Envelope::Interchange),
        Some(("group", value)) => index(GROUP, value).map(Envelope::Group),
        Some(_) => None,
        None => match name {
            "type" => Some(Envelope::Type),
            "version" => Some(Envelope::Version),
            "control_number" => Some(Envelope::ControlNumber),
            _ => None,
        },
    };
    found.map(Target::Envelope).ok_or_else(|| {
        let known: Vec<String> = names().collect();
        let near = nearest(&format!("_{name}"), known.iter().map(String::as_str)).map(str::to_owned);
        (format!("a message has no value `_{name}`"), near)
    })
}

/// The names that every message has.
pub(super) fn names() -> impl Iterator<Item = String> {
    let own = ["_type", "_version", "_control_number"].into_iter().map(str::to_owned);
    let interchange = INTERCHANGE.iter().map(|name| format!("_interchange.{name}"));
    own.chain(interchange).chain(GROUP.iter().map(|name| format!("_group.{name}")))
}

fn target(text: &str) -> Result<Target, String> {
    if text.contains("..") {
        return Ok(Target::Runs(run(text)?));
    }
    let (text, repeated) = text.strip_suffix("[]").map_or((text, false), |text| (text, true));
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !text.is_empty() {
        let item = item(text)?;
        return if repeated { repetitions(None, item) } else { Ok(Target::Own(item)) };
    }
    let parts = split(text, '.');
    let (head, items) = parts.split_first().ok_or("it is empty")?;
    if items.is_empty() {
        if repeated {
            return Err("`[]` stands behind an element".to_owned());
        }
        return Ok(Target::Runs(Run { pattern: pattern(head)?, ends: None }));
    }
    let item = item(&items.join("."))?;
    let header = HEADERS.iter().find(|(id, _)| id == head);
    if repeated {
        if header.is_some() {
            return Err("an element of a header has no repetitions".to_owned());
        }
        return repetitions(Some(pattern(head)?), item);
    }
    match header {
        Some((_, true)) => Ok(Target::Envelope(Envelope::InterchangeHeader(item))),
        Some((_, false)) => Ok(Target::Envelope(Envelope::GroupHeader(item))),
        None => Ok(Target::Value(pattern(head)?, item)),
    }
}

fn repetitions(pattern: Option<Pattern>, item: Item) -> Result<Target, String> {
    match item.component {
        0 => Ok(Target::Repetitions(pattern, item.element)),
        _ => Err("elements repeat, their components do not".to_owned()),
    }
}

fn run(text: &str) -> Result<Run, String> {
    let Some((start, ends)) = text.split_once("..") else {
        return Ok(Run { pattern: pattern(text)?, ends: None });
    };
    let ends: Vec<String> = ends.split('|').filter(|end| !end.is_empty()).map(str::to_owned).collect();
    if let Some(end) = ends.iter().find(|end| !is_id(end.as_bytes())) {
        return Err(format!("`{end}` is no name of a segment"));
    }
    Ok(Run { pattern: pattern(start)?, ends: Some(ends) })
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let (id, rest) = text.find('[').map_or((text, ""), |at| text.split_at(at));
    if !is_id(id.as_bytes()) {
        return Err(format!("`{id}` is no name of a segment (two or three capital letters and digits)"));
    }
    let mut values = Vec::new();
    if !rest.is_empty() {
        let inner = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or("`]` is missing")?;
        for condition in inner.split(',') {
            let (at, value) = match condition.split_once('=') {
                Some((at, value)) => (item(at.trim())?, value.trim()),
                None => (Item { element: 1, component: 0 }, condition.trim()),
            };
            if value.is_empty() {
                return Err("a value is missing between `[` and `]`".to_owned());
            }
            values.push((at, value.to_owned()));
        }
    }
    Ok(Pattern { id: id.to_owned(), values })
}

fn item(text: &str) -> Result<Item, String> {
    let number = |text: &str| text.parse::<usize>().ok().filter(|number| (1..=999).contains(number));
    let found = match text.split_once('.') {
        Some((element, component)) => number(element).zip(number(component)),
        None => number(text).map(|element| (element, 0)),
    };
    let found = found.map(|(element, component)| Item { element, component });
    found.ok_or_else(|| format!("`{text}` is neither an element (`03`) nor a component (`03.01`)"))
}

/// Splits where no bracket is open.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0i32);
    for (at, char) in text.char_indices() {
        match char {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ if char == separator && depth <= 0 => {
                parts.push(&text[from..at]);
                from = at + char.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::{Envelope, Item, Path, Pattern, Run, Target, parse};
    use proptest::prelude::*;

    fn segments(id: &str, values: &[(usize, usize, &str)]) -> Pattern {
        let value = |(element, component, value): &(usize, usize, &str)| {
            (Item { element: *element, component: *component }, (*value).to_owned())
        };
        Pattern { id: id.to_owned(), values: values.iter().map(value).collect() }
    }

    #[test]
    fn names_are_understood() {
        let check = |name: &str, target: Target| {
            assert_eq!(parse(name), Ok(Path { rooted: false, through: Vec::new(), target }), "{name}");
        };
        let item = |element, component| Item { element, component };
        check("BEG.03", Target::Value(segments("BEG", &[]), item(3, 0)));
        check("DTM[137].01.02", Target::Value(segments("DTM", &[(1, 0, "137")]), item(1, 2)));
        check("REF[01=DP,02.01=a.b].02", Target::Value(segments("REF", &[(1, 0, "DP"), (2, 1, "a.b")]), item(2, 0)));
        check("PO1", Target::Runs(Run { pattern: segments("PO1", &[]), ends: None }));
        let ends = Some(vec!["CTT".to_owned(), "AMT".to_owned()]);
        check("PO1..CTT|AMT", Target::Runs(Run { pattern: segments("PO1", &[]), ends }));
        check("02", Target::Own(item(2, 0)));
        check("DMG.05[]", Target::Repetitions(Some(segments("DMG", &[])), 5));
        check("05[]", Target::Repetitions(None, 5));
        check("ISA.06", Target::Envelope(Envelope::InterchangeHeader(item(6, 0))));
        check("UNG.02.01", Target::Envelope(Envelope::GroupHeader(item(2, 1))));
        let run = Run { pattern: segments("N1", &[(1, 0, "ST")]), ends: Some(Vec::new()) };
        let path = parse("/N1[ST]../N4.01").unwrap();
        assert_eq!(
            (path.rooted, path.through, path.target),
            (true, vec![run], Target::Value(segments("N4", &[]), item(1, 0)))
        );
        assert_eq!(parse("_type").unwrap().target, Target::Envelope(Envelope::Type));
    }

    #[test]
    fn names_that_are_none() {
        let check = |name: &str, expected: &str| {
            let (reason, near) = parse(name).unwrap_err();
            assert!(format!("{reason} {near:?}").contains(expected), "{name}: {reason} {near:?}");
        };
        check("", "`` is no name of a segment");
        check("beg.03", "`beg` is no name of a segment");
        check("BEG.3a", "neither an element");
        check("BEG.00", "neither an element");
        check("BEG.01.02.03", "neither an element");
        check("N1[ST.02", "`]` is missing");
        check("N1[].02", "a value is missing");
        check("N1/N4.01", "like `N1[ST]..`");
        check("N1..x/N4.01", "`x` is no name");
        check("/02", "needs its segment");
        check("PO1[]", "behind an element");
        check("DMG.05.01[]", "components do not");
        check("_interchange.sendr", "_interchange.sender");
        check("_typ", "_type");
    }

    proptest! {
        #[test]
        fn no_name_panics(name in "[A-Z0-9_./|=,\\[\\]é]{0,20}") {
            let _ = parse(&name);
        }
    }
}
