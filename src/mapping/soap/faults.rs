//! What faults of a service mean to callers, and which of its answers are faults although they do not say so.

use super::keys::{ERROR, FAULT};
use super::poll::value_path;
use crate::decode::xml::ValuePath;
use crate::diagnostic::{Node, Table, Written};

/// How answers of an operation are judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// What faults mean; the first that fits counts.
    pub rules: Vec<FaultRule>,
    /// Which answers are a no.
    pub error_when: Option<ErrorWhen>,
}

/// What a fault means.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultRule {
    code: Option<String>,
    subcode: Option<String>,
    detail: Option<String>,
    place: Option<(ValuePath, Vec<String>)>,
    /// The status of the answer.
    pub status: u16,
    /// The problem's title.
    pub title: Option<String>,
    /// Whether it passes by itself.
    pub passes: bool,
    /// Whether what was to be done may be done all the same.
    pub is_unknown: bool,
}

/// Which answers are a no although they are no fault.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorWhen {
    path: ValuePath,
    test: Test,
    code: Option<ValuePath>,
    message: Option<ValuePath>,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Present,
    Equals(Vec<String>),
    Not(Vec<String>),
}

/// A fault as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct FaultFacts<'f> {
    /// Its code without prefix.
    pub code: &'f str,
    /// Its subcodes.
    pub subcodes: &'f [String],
    /// The name of the first element of its detail.
    pub detail: Option<&'f str>,
    /// The values at [`Judgement::paths`], in their order.
    pub values: &'f [Option<String>],
}

/// A no of an answer that is no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidNo {
    /// Its code.
    pub code: String,
    /// Its words to people; empty where there are none.
    pub message: String,
}

impl Judgement {
    /// Reads `error_when` and `faults`.
    pub(in crate::mapping) fn read(table: &Table<'_>) -> Option<Judgement> {
        let error_when = match table.has("error_when") {
            true => Some(error_when(&table.table("error_when", &ERROR)?)?),
            false => None,
        };
        let rules = Judgement::faults(table)?;
        Some(Judgement { rules, error_when }).filter(|_| !table.failed())
    }

    /// Reads `faults` alone.
    pub(in crate::mapping) fn faults(table: &Table<'_>) -> Option<Vec<FaultRule>> {
        table.tables("faults", &FAULT).iter().map(rule).collect()
    }

    /// The statuses that faults have, each once.
    pub(in crate::mapping) fn statuses(&self) -> Vec<u16> {
        let mut statuses: Vec<u16> = self.rules.iter().map(|rule| rule.status).collect();
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }

    /// The places in a fault's detail that rules go by.
    pub fn paths(&self) -> Vec<&ValuePath> {
        self.rules.iter().filter_map(|rule| rule.place.as_ref().map(|(path, _)| path)).collect()
    }

    /// What a fault means; `None` where nothing is said of it.
    pub fn rule(&self, facts: FaultFacts<'_>) -> Option<&FaultRule> {
        let mut values = facts.values.iter();
        self.rules.iter().find(|rule| {
            let value = rule.place.as_ref().map(|_| values.next().cloned().flatten());
            rule.fits(facts, value.flatten().as_deref())
        })
    }
}

impl FaultRule {
    fn fits(&self, facts: FaultFacts<'_>, value: Option<&str>) -> bool {
        let same = |wanted: &Option<String>, is: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(is);
        same(&self.code, &|wanted| facts.code == wanted)
            && same(&self.subcode, &|wanted| facts.subcodes.iter().any(|own| own == wanted))
            && same(&self.detail, &|wanted| facts.detail == Some(wanted))
            && self.place.as_ref().is_none_or(|(_, equals)| {
                value.is_some_and(|value| equals.is_empty() || equals.iter().any(|wanted| wanted == value))
            })
    }
}

impl ErrorWhen {
    /// Where anything stands at a path.
    pub(in crate::mapping) fn present(path: ValuePath) -> ErrorWhen {
        ErrorWhen { path, test: Test::Present, code: None, message: None }
    }

    /// Reads `path`, `equals` and `not` of a table.
    pub(in crate::mapping) fn read(table: &Table<'_>) -> Option<ErrorWhen> {
        let (path, test) = tested(table);
        Some(ErrorWhen { path: path?, test, code: None, message: None }).filter(|_| !table.failed())
    }

    /// The places in an answer that it goes by.
    pub fn paths(&self) -> Vec<&ValuePath> {
        std::iter::once(&self.path).chain(&self.code).chain(&self.message).collect()
    }

    /// Whether an answer with these values at [`ErrorWhen::paths`] is a no.
    pub fn judge(&self, values: &[Option<String>]) -> Option<SaidNo> {
        let mut values = values.iter();
        let found = values.next().cloned().flatten();
        let is_no = match (&self.test, found.as_deref()) {
            (Test::Present, found) => found.is_some_and(|text| !text.is_empty()),
            (Test::Equals(wanted), found) => found.is_some_and(|text| wanted.iter().any(|one| one == text)),
            (Test::Not(wanted), found) => found.is_none_or(|text| wanted.iter().all(|one| one != text)),
        };
        let mut next = |path: &Option<ValuePath>| path.as_ref().and_then(|_| values.next().cloned().flatten());
        let (code, message) = (next(&self.code), next(&self.message));
        let code = if self.code.is_some() { code } else { found };
        is_no.then(|| SaidNo { code: code.unwrap_or_default(), message: message.unwrap_or_default() })
    }
}

fn error_when(table: &Table<'_>) -> Option<ErrorWhen> {
    let (path, test) = tested(table);
    let (code, message) = (table.read("code", value_path), table.read("message", value_path));
    Some(ErrorWhen { path: path?, test, code, message }).filter(|_| !table.failed())
}

/// A path, and what stands there.
fn tested(table: &Table<'_>) -> (Option<ValuePath>, Test) {
    let path = table.read("path", value_path);
    let (equals, not) = (table.read("equals", texts), table.read("not", texts));
    if let (Some(_), Some(node)) = (&equals, table.get("not")) {
        table.fail(node.key_fault("it goes by `equals` or by `not`, not by both"));
    }
    let test = match (equals, not) {
        (Some(wanted), _) => Test::Equals(wanted),
        (None, Some(wanted)) => Test::Not(wanted),
        (None, None) => Test::Present,
    };
    (path, test)
}

fn rule(table: &Table<'_>) -> Option<FaultRule> {
    let (code, subcode, detail) = (table.filled("code"), table.filled("subcode"), table.filled("detail"));
    let (path, equals) = (table.read("path", value_path), table.read("equals", texts));
    if let (None, Some(node)) = (&path, table.get("equals")) {
        table.fail(node.key_fault("`equals` needs a `path`: what equals it?"));
    }
    let status = table.integer("status", 400..=599).and_then(|status| u16::try_from(status).ok());
    let (title, passes, is_unknown) = (table.filled("title"), table.boolean("retry"), table.boolean("unknown"));
    let place = path.map(|path| (path, equals.unwrap_or_default()));
    let (status, passes, is_unknown) = (status?, passes?, is_unknown?);
    Some(FaultRule { code, subcode, detail, place, status, title, passes, is_unknown }).filter(|_| !table.failed())
}

/// A text or several.
fn texts(node: &Node) -> Result<Vec<String>, String> {
    let single = std::slice::from_ref(node);
    let text = |node: &Node| match &node.value {
        Written::String(text) => Ok(text.clone()),
        Written::Integer(number) => Ok(number.to_string()),
        Written::Boolean(truth) => Ok(truth.to_string()),
        _ => Err(format!("expected a string or an array of strings, found {}", node.kind())),
    };
    let texts: Vec<String> = node.as_array().unwrap_or(single).iter().map(text).collect::<Result<_, _>>()?;
    if texts.is_empty() { Err("names nothing".to_owned()) } else { Ok(texts) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{FaultFacts, Judgement, SaidNo};
    use crate::diagnostic::{Faults, SourceText, Table, parse};
    use crate::mapping::soap::keys::SECTION;

    fn read(written: &str) -> Result<Judgement, String> {
        let faults = Faults::new();
        let root = parse(&SourceText::new(Path::new("m.toml"), written.to_owned()), &faults);
        let table = Table::new(&root, &SECTION, &faults).unwrap();
        let read = Judgement::read(&table);
        read.ok_or_else(|| faults.into_sorted().iter().map(|fault| fault.render(false)).collect())
    }

    #[test]
    fn the_first_rule_counts_of_which_all_is_so() {
        let judgement = read(
            "[[faults]]\ncode = 'Client'\npath = '/OrderFault/Code'\nequals = ['E404', 'E410']\nstatus = 404\ntitle = 'No such order'\n\
             [[faults]]\ndetail = 'Locked'\nstatus = 503\nretry = true\n[[faults]]\nsubcode = 'Busy'\npath = '/X/Y'\n[[faults]]\ncode = 'Client'\nstatus = 400",
        )
        .unwrap();
        assert_eq!(judgement.paths().len(), 2);
        let status = |code: &str, subcodes: &[&str], detail: Option<&str>, values: [Option<&str>; 2]| {
            let subcodes: Vec<String> = subcodes.iter().map(|code| (*code).to_owned()).collect();
            let values = values.map(|value| value.map(str::to_owned));
            let facts = FaultFacts { code, subcodes: &subcodes, detail, values: &values };
            judgement.rule(facts).map(|rule| (rule.status, rule.passes))
        };
        assert_eq!(status("Client", &[], None, [Some("E410"), None]), Some((404, false)));
        assert_eq!(status("Client", &[], None, [Some("E500"), None]), Some((400, false)));
        assert_eq!(status("Client", &[], None, [None, None]), Some((400, false)));
        assert_eq!(status("Server", &[], Some("Locked"), [Some("E404"), None]), Some((503, true)));
        assert_eq!(status("Receiver", &["Busy", "More"], None, [None, Some("")]), Some((422, false)));
        assert_eq!(status("Receiver", &["Busy"], None, [None, None]), None);
    }

    #[test]
    fn an_answer_may_be_a_no() {
        let judge = |written: &str, values: &[Option<&str>]| {
            let error = read(written).unwrap().error_when.unwrap();
            assert_eq!(error.paths().len(), values.len());
            let values: Vec<_> = values.iter().map(|value| value.map(str::to_owned)).collect();
            error.judge(&values)
        };
        let no = |code: &str, message: &str| Some(SaidNo { code: code.to_owned(), message: message.to_owned() });
        let equals = "error_when = { path = '/R/Type', equals = 'Error', code = '/R/Code', message = '/R/Text' }";
        assert_eq!(judge(equals, &[Some("Error"), Some("7"), Some("locked")]), no("7", "locked"));
        assert_eq!(judge(equals, &[Some("Ok"), None, None]), None);
        assert_eq!(judge(equals, &[None, None, None]), None);
        let not = "error_when = { path = '/R/@success', not = true, message = '/R/Text' }";
        assert_eq!(judge(not, &[Some("false"), Some("x")]), no("false", "x"));
        assert_eq!(judge(not, &[Some("true"), None]), None);
        assert_eq!(judge(not, &[None, None]), no("", ""));
        let present = "error_when = { path = '/R/Error' }";
        assert_eq!(judge(present, &[Some("E1")]), no("E1", ""));
        assert_eq!(judge(present, &[Some("")]), None);
    }

    #[test]
    fn what_is_written_wrong_is_told() {
        let check = |written: &str, words: &str| {
            let fault = read(written).unwrap_err();
            assert!(fault.contains(words), "{written}: {fault}");
        };
        check("error_when = { path = 'R' }", "no path");
        check("error_when = { path = '/R', equals = 'a', not = 'b' }", "not by both");
        check("[[faults]]\nequals = 'x'", "needs a `path`");
        check("[[faults]]\nstatus = 200", "outside 400 to 599");
        check("[[faults]]\ncod = 'x'", "did you mean `code`?");
        check("faults = 3", "array of tables");
    }
}
