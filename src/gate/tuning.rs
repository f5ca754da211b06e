//! A gate's settings as they are written, so that an operator's values can be laid over the configuration's and be
//! judged by the same rules.

use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::config::{BREAKER, Config, RETRY, SECTION};
use crate::diagnostic::{
    Diagnostic, Entries, Faults, Node, Presence, Section, SourceText, Table, Written, nearest, parse,
};

/// Settings by name, as JSON; those of a table below as `breaker.failures`.
pub type Values = Map<String, Value>;

/// What only the configuration says.
const ONLY_IN_FILE: &str = "calendar";

/// Tables below the gate's.
const BELOW: &[(&str, &Section)] = &[("breaker", &BREAKER), ("retry", &RETRY)];

/// The values of a table that lies in a file.
pub fn written(node: &Node) -> Values {
    let mut values = Values::new();
    if let Written::Table(entries) = &node.value {
        for (name, node) in entries.iter().filter(|(name, _)| *name != ONLY_IN_FILE) {
            put(&mut values, name.clone(), json(node));
        }
    }
    values
}

/// Values with those of tables below under names of their own: `{"breaker": {"failures": 3}}` becomes
/// `{"breaker.failures": 3}`.
pub fn flat(nested: Values) -> Values {
    let mut values = Values::new();
    nested.into_iter().for_each(|(name, value)| put(&mut values, name, value));
    values
}

fn put(values: &mut Values, name: String, value: Value) {
    match value {
        Value::Object(below) => {
            below.into_iter().for_each(|(part, value)| put(values, format!("{name}.{part}"), value));
        }
        value => {
            values.insert(name, value);
        }
    }
}

/// All settings: the values given, and the defaults of the others; null is a setting without one.
pub fn complete(values: &Values) -> Values {
    let mut all = Values::new();
    add_defaults(&mut all, "", &SECTION);
    all.extend(values.iter().map(|(name, value)| (name.clone(), value.clone())));
    all
}

fn add_defaults(all: &mut Values, above: &str, section: &Section) {
    for key in section.keys.iter().filter(|key| key.name != ONLY_IN_FILE) {
        let name = format!("{above}{}", key.name);
        if let Some((_, below)) = BELOW.iter().find(|(table, _)| above.is_empty() && *table == key.name) {
            add_defaults(all, &format!("{name}."), below);
            continue;
        }
        let value = match key.presence {
            Presence::Default(text) => default_value(text),
            Presence::Required | Presence::Optional => Value::Null,
        };
        all.insert(name, value);
    }
}

/// A default, which is TOML, as JSON.
fn default_value(text: &str) -> Value {
    let source = Arc::new(SourceText { name: "default".to_owned(), text: format!("value = {text}") });
    let root = parse(&source, &Faults::new());
    root.as_table().and_then(|table| table.get("value")).map_or(Value::Null, json)
}

/// The settings with an operator's values over those of the configuration; or everything that is wrong with them. What
/// only the configuration says is taken from `base`.
pub fn overlay(base: &Config, configured: &Values, over: &Values) -> Result<Config, Vec<String>> {
    // Each value lies at its name, so that a fault's place tells whose it is.
    let names: Vec<&str> = configured.iter().chain(over).map(|(name, _)| name.as_str()).collect();
    let source = Arc::new(SourceText { name: "an operator's values".to_owned(), text: names.join("\n") });
    let mut root = Node { source, span: 0..0, key_span: 0..0, value: Written::Table(Entries::new()) };
    let mut wrong = Vec::new();
    let mut at = 0;
    for (name, value) in configured.iter().chain(over) {
        let span = at..at + name.len();
        at = span.end + 1;
        let parts: Vec<&str> = name.split('.').collect();
        match parts.first() {
            Some(&ONLY_IN_FILE) => {
                wrong.push(format!("`{ONLY_IN_FILE}` is set in the configuration only; an unplanned one is a freeze"));
            }
            Some(first) if SECTION.key(first).is_none() => wrong.push(unknown(first)),
            _ => insert(&mut root, &parts, &span, value),
        }
    }
    wrong.dedup();
    let faults = Faults::new();
    let read = Table::new(&root, &SECTION, &faults).and_then(|table| Config::read(&table));
    wrong.extend(faults.into_sorted().into_iter().map(|fault| {
        let message = with_whole_name(&fault, &fault.message);
        match &fault.help {
            Some(help) => format!("{message} ({})", with_whole_name(&fault, help)),
            None => message,
        }
    }));
    match read {
        Some(config) if wrong.is_empty() => Ok(Config { calendar: base.calendar.clone(), ..config }),
        Some(_) | None => Err(wrong),
    }
}

/// A name that no setting has. Those that cannot be set are not offered.
fn unknown(name: &str) -> String {
    let known = SECTION.keys.iter().map(|key| key.name).filter(|name| *name != ONLY_IN_FILE);
    let help = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known keys are: {}", known.collect::<Vec<_>>().join(", ")),
    };
    format!("unknown key `{name}` in `{}` ({help})", SECTION.path)
}

/// What is said of a fault; of a setting in a table below with that table's name: `breaker.failures`.
fn with_whole_name(fault: &Diagnostic, said: &str) -> String {
    let whole = fault.source.text.get(fault.span.clone()).unwrap_or_default();
    match whole.rsplit_once('.') {
        Some((_, last)) => match said.strip_prefix(&format!("`{last}`")) {
            Some(rest) => format!("`{whole}`{rest}"),
            None => said.to_owned(),
        },
        None => said.to_owned(),
    }
}

fn insert(node: &mut Node, parts: &[&str], span: &Range<usize>, value: &Value) {
    let Some((first, rest)) = parts.split_first() else {
        (node.span, node.key_span) = (span.clone(), span.clone());
        node.value = from_json(node, value);
        return;
    };
    if !matches!(node.value, Written::Table(_)) {
        node.value = Written::Table(Entries::new());
    }
    let empty = Node { value: Written::Table(Entries::new()), ..node.clone() };
    if let Written::Table(entries) = &mut node.value {
        insert(entries.entry((*first).to_owned()).or_insert(empty), rest, span, value);
    }
}

fn from_json(place: &Node, value: &Value) -> Written {
    let node = |value| Node { value: from_json(place, value), ..place.clone() };
    match value {
        // A null stands for no value; where it gets here it is one that does not fit.
        Value::Null => Written::Table(Entries::new()),
        Value::Bool(flag) => Written::Boolean(*flag),
        Value::Number(number) => number.as_i64().map_or_else(|| Written::Float(number.to_string()), Written::Integer),
        Value::String(text) => Written::String(text.clone()),
        Value::Array(elements) => Written::Array(elements.iter().map(node).collect()),
        Value::Object(members) => {
            Written::Table(members.iter().map(|(name, value)| (name.clone(), node(value))).collect())
        }
    }
}

fn json(node: &Node) -> Value {
    match &node.value {
        Written::String(text) | Written::Datetime(text) => Value::from(text.as_str()),
        Written::Integer(number) => Value::from(*number),
        Written::Float(text) => text.parse::<f64>().map_or(Value::Null, Value::from),
        Written::Boolean(flag) => Value::from(*flag),
        Written::Array(elements) => elements.iter().map(json).collect(),
        Written::Table(entries) => {
            Value::Object(entries.iter().map(|(name, node)| (name.clone(), json(node))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Values, complete, flat, overlay, written};
    use crate::diagnostic::{Faults, SourceText, parse};
    use crate::gate::Config;
    use serde_json::{Value, json};
    use std::path::Path;
    use std::time::Duration;

    fn values(value: Value) -> Values {
        match value {
            Value::Object(values) => flat(values),
            other => panic!("{other} is no object"),
        }
    }

    fn in_file(text: &str) -> Values {
        let source = SourceText::new(Path::new("t.toml"), text.to_owned());
        written(&parse(&source, &Faults::new()))
    }

    #[test]
    fn what_is_written_is_read_back_with_its_defaults() {
        let file = in_file("max_in_flight = 8\nsync_share = 0.25\nbreaker = { failures = 3 }\ncalendar = []");
        assert_eq!(Value::Object(file.clone()), json!({"max_in_flight": 8, "sync_share": 0.25, "breaker.failures": 3}));
        let all = complete(&file);
        for (name, value) in [
            ("max_in_flight", json!(8)),
            ("queue", json!(256)),
            ("queue_timeout", json!("500ms")),
            ("settle", json!("5s")),
            ("breaker.failures", json!(3)),
            ("breaker.window", json!("30s")),
            ("retry.attempts", json!(2)),
            ("retry.budget", json!(0.1)),
        ] {
            assert_eq!(all.get(name), Some(&value), "{name}");
        }
        assert!(["calendar", "breaker", "retry"].iter().all(|name| !all.contains_key(*name)));
    }

    #[test]
    fn an_operators_values_go_over_the_files() {
        let file = in_file("max_in_flight = 8\nqueue = 10\nbreaker = { failures = 3, window = \"1m\" }");
        let over = values(json!({"max_in_flight": 2, "queue_timeout": "2s", "breaker": {"failures": 7}}));
        let config = overlay(&Config::default(), &file, &over).unwrap();
        assert_eq!((config.max_in_flight, config.queue, config.queue_timeout), (2, 10, Duration::from_secs(2)));
        assert_eq!((config.breaker.failures, config.breaker.window), (7, Duration::from_secs(60)));
        assert_eq!(overlay(&Config::default(), &Values::new(), &Values::new()), Ok(Config::default()));
    }

    #[test]
    fn every_fault_is_told_in_the_words_of_the_file() {
        let over = values(json!({
            "max_inflight": 2, "max_in_flight": 0, "queue": "many", "settle": 5, "breaker": {"failures": 2.5},
            "calendar": [], "sync_share": null,
        }));
        let wrong = overlay(&Config::default(), &Values::new(), &over).unwrap_err();
        let said = wrong.join("\n");
        for words in [
            "unknown key `max_inflight` in `backends.NAME.gate` (did you mean `max_in_flight`?)",
            "`max_in_flight`: 0 is outside 1 to 10000",
            "`queue`: expected an integer, found a string",
            "`settle`: expected a string, found an integer",
            "`breaker.failures`: expected an integer, found a float",
            "`calendar` is set in the configuration only",
            "`sync_share`: expected a number",
        ] {
            assert!(said.contains(words), "{words} is not in\n{said}");
        }
        assert_eq!(wrong.len(), 7);
        let one = |value: Value| overlay(&Config::default(), &Values::new(), &values(value)).unwrap_err().join("\n");
        // What cannot be set is not offered.
        let unknown = one(json!({"speed": 2}));
        assert!(unknown.contains("known keys are: max_in_flight") && !unknown.contains("calendar"), "{unknown}");
        assert!(one(json!({"calender": []})).contains("known keys are"), "it is not offered either");
        for (value, words) in [
            (json!({"queue_timeout": "10d"}), "`queue_timeout`: `10d` is longer than 1h"),
            (json!({"breaker": {"window": "9d"}}), "`breaker.window`: `9d` is longer than 1d"),
            (json!({"retry": {"attempts": 9}}), "`retry.attempts`: 9 is outside 1 to 5"),
            (json!({"retry.bugdet": 0.5}), "unknown key `bugdet` in `backends.NAME.gate.retry`"),
            (json!({"breaker": 3}), "must be a table"),
        ] {
            let said = one(value);
            assert!(said.contains(words), "{words} is not in {said}");
        }
        let retry = overlay(&Config::default(), &Values::new(), &values(json!({"retry": {"attempts": 1}}))).unwrap();
        assert_eq!((retry.retry.attempts, retry.retry.budget), (1, 0.1));
    }
}
