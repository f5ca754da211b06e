//! Answers of services that nobody here wrote, held against what other clients read in them (see `fixtures/soap`).

use base64::Engine;
use serde_json::Value;

use super::{plan_in, read, soap};
use crate::decode::soap::Numbers;

/// Both are the same, but for what other clients say otherwise: attributes without `@`, nothing where there is an empty
/// list or null, numbers as strings, bytes in hex, and the one value in the answer for the answer.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(own), Value::Object(other)) => {
            let strip = |name: &str| name.trim_start_matches('@').to_owned();
            own.iter().all(|(name, value)| match other.get(&strip(name)) {
                Some(theirs) => same(value, theirs),
                None => is_nothing(value),
            }) && other.iter().all(|(name, value)| {
                own.contains_key(name) || own.contains_key(&format!("@{name}")) || is_nothing(value)
            })
        }
        (Value::Array(own), Value::Array(other)) => {
            own.len() == other.len() && own.iter().zip(other).all(|(own, other)| same(own, other))
        }
        (Value::String(own), Value::String(other)) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(own);
            let hex = bytes.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            own == other || hex.as_ref() == Ok(other)
        }
        (Value::Number(own), Value::String(other)) => own.to_string() == *other,
        (Value::String(own), Value::Number(other)) => other.to_string() == *own,
        (own, Value::Null) => is_nothing(own),
        (own, other) => own == other,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        // That an empty text is one zeep does not say.
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_nothing),
        _ => false,
    }
}

/// The name of the operation of a call's file.
fn operation(stack: &str, call: &str) -> String {
    let words = match call {
        "get-order-nil" => "get-order",
        "list-orders-none" | "list-orders-end" => "list-orders",
        other => other,
    };
    let name: String = words.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect();
    if stack == "php" { name[..1].to_lowercase() + &name[1..] } else { name }
}

#[test]
fn other_clients_read_the_same() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/soap");
    let (mut compared, mut different) = (0, Vec::new());
    for stack in ["spyne", "spyne-12", "node", "node-12", "php"] {
        let folder = format!("{root}/{stack}");
        for file in std::fs::read_dir(&folder).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let Some(call) = name.strip_suffix(".json").filter(|call| !call.starts_with("fault")) else { continue };
            let theirs = std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
            let theirs: Value = serde_json::from_str(&theirs).unwrap();
            let answer = std::fs::read(format!("{folder}/{call}.response.xml")).unwrap();
            let plan = plan_in(&format!("{folder}/service.wsdl"), &operation(stack, call));
            let found = read(&soap(&plan, |settings| settings.numbers = Numbers::Text), &answer);
            assert_eq!(found.lost, None, "{stack} {call}");
            // A call that says nothing back.
            if found.lines.is_empty() {
                assert_eq!(theirs, Value::Null, "{stack} {call}");
                continue;
            }
            let ours: Value =
                serde_json::from_str(&found.lines[0]).unwrap_or_else(|_| panic!("{stack} {call}: {:?}", found.lines));
            let only = ours.as_object().and_then(|own| own.values().next().filter(|_| own.len() == 1));
            if !same(&ours, &theirs) && !only.is_some_and(|only| same(only, &theirs)) {
                different.push(format!("{stack} {call}: {ours}\n{theirs}"));
            }
            compared += 1;
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(compared > 25, "{compared}");
}
