//! Names of a WSDL, as mappings have them.

use super::quoted;

/// A name as fields have it: `OrderNo` becomes `order_no`.
pub(super) fn plain_name(json: &str) -> String {
    let mut name = String::new();
    let characters: Vec<char> = json.trim_start_matches('@').chars().collect();
    for (at, character) in characters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| characters.get(at));
        let after = characters.get(at + 1);
        let begins = character.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase() || before.is_ascii_digit())
                || (before.is_some_and(|before| before.is_uppercase())
                    && after.is_some_and(|after| after.is_lowercase())));
        if begins {
            name.push('_');
        }
        match character.to_ascii_lowercase() {
            plain if plain.is_ascii_alphanumeric() => name.push(plain),
            _ => name.push('_'),
        }
    }
    let name = name.trim_matches('_').to_owned();
    match name.chars().next() {
        Some(first) if first.is_ascii_alphabetic() => name.chars().take(64).collect(),
        Some(_) => format!("f_{name}").chars().take(64).collect(),
        None => "field".to_owned(),
    }
}

/// The resource that an operation is about: `ListOrders` becomes `orders`, `GetOrder` `order`.
pub(super) fn resource(operation: &str) -> String {
    let name = plain_name(operation).replace('_', "-");
    let verbs = ["list-", "get-all-", "get-", "find-", "search-", "read-", "query-", "fetch-"];
    let stem = verbs.iter().find_map(|verb| name.strip_prefix(verb)).unwrap_or(&name);
    let stem = stem.split("-by-").next().unwrap_or(stem);
    let plain: String = stem.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40).collect();
    if plain.is_empty() { "records".to_owned() } else { plain }
}

/// A key of TOML, in quotes where it needs them.
pub(super) fn bare(name: &str) -> String {
    let is_bare = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') && !name.is_empty();
    if is_bare { name.to_owned() } else { quoted(name) }
}
