//! Values from the environment: `TOLLBRIDGE__SERVER__LISTEN=127.0.0.1:9000` overrides `server.listen`.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Entries, Faults, Node, SourceText, Written, parse};

const PREFIX: &str = "TOLLBRIDGE__";

/// Puts the variables that begin with the prefix into the tree. A value that reads as TOML is one (`4`, `true`,
/// `["a"]`); anything else is a string. Faults in a value point to the variable.
pub(super) fn apply(root: &mut Node, environment: impl IntoIterator<Item = (String, String)>, faults: &Faults) {
    let mut variables: Vec<_> = environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    for (name, text) in variables {
        let path: Vec<&str> = name[PREFIX.len()..].split("__").collect();
        let source = Arc::new(SourceText { name: format!("${name}"), text });
        let whole = 0..source.text.len();
        if path.iter().any(|part| part.is_empty()) {
            let fault = Diagnostic::new(&source, whole, format!("`{name}` names no configuration key"));
            faults.push(fault.help("write TOLLBRIDGE__SECTION__KEY"));
            continue;
        }
        let node = Node { value: value(&source.text), span: whole.clone(), key_span: whole, source };
        insert(root, &path, node, faults);
    }
}

/// The value of a variable.
fn value(text: &str) -> Written {
    let attempt = Faults::new();
    let source = Arc::new(SourceText { name: String::new(), text: format!("value = {text}") });
    let mut root = parse(&source, &attempt);
    let plain = || Written::String(text.to_owned());
    match &mut root.value {
        Written::Table(entries) if attempt.is_empty() && entries.len() == 1 => {
            entries.shift_remove("value").map_or_else(plain, |node| node.value)
        }
        _ => plain(),
    }
}

fn insert(node: &mut Node, path: &[&str], new: Node, faults: &Faults) {
    let Written::Table(entries) = &mut node.value else {
        let message = format!("`{}` goes below a key that is no table", new.source.name);
        faults.push(new.fault(message));
        return;
    };
    let Some((first, rest)) = path.split_first() else { return };
    let name = existing(entries, first);
    if rest.is_empty() {
        entries.insert(name, new);
        return;
    }
    let below = entries.entry(name).or_insert_with(|| Node { value: Written::Table(Entries::new()), ..new.clone() });
    insert(below, rest, new, faults);
}

/// Variables are upper case, names need not be: an existing key is found in any case.
fn existing(entries: &Entries, part: &str) -> String {
    let found =
        entries.keys().find(|key| key.eq_ignore_ascii_case(part) || key.replace('-', "_").eq_ignore_ascii_case(part));
    found.cloned().unwrap_or_else(|| part.to_ascii_lowercase())
}
