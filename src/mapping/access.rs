//! `rows` and `mask` of `[serve]`: which records and which fields a caller sees, beyond the scope that reading takes.

use std::collections::HashSet;

use serde_json::Value;

use super::exposure::QueryField;
use super::schema::Shape;
use super::serve::{comparable, find, scope};
use crate::diagnostic::{Entries, Faults, Node, nearest};

/// Scopes that masks may name in all: what a caller sees depends on each.
const MOST_MASKS: usize = 32;

/// What of a resource is not for everybody who may read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Records are seen by whom all of these fit.
    pub rows: Vec<RowBound>,
    /// Fields are seen by whoever has their scope.
    pub mask: Vec<Masked>,
}

/// A record's field that must be as a claim of the caller says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowBound {
    /// The field.
    pub field: QueryField,
    /// The path of the claim.
    pub claim: Vec<String>,
}

/// A field that takes a scope of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    /// Its path; it may lie in the objects of an array.
    pub path: String,
    /// The scope.
    pub scope: String,
}

/// Reads `rows` and `mask` of `[serve]`; `key` are the paths of the key's fields.
pub(super) fn access(serve: &Node, key: &[String], shape: &Shape, faults: &Faults) -> Access {
    let entry = |name: &str| serve.as_table().and_then(|entries| entries.get(name));
    let mut access = Access::default();
    for (path, node) in entry("rows").into_iter().flat_map(|node| entries(node, "rows", faults)) {
        if let Some(bound) = row_bound(path, node, shape, faults) {
            access.rows.push(bound);
        }
    }
    for (path, node) in entry("mask").into_iter().flat_map(|node| entries(node, "mask", faults)) {
        if let Some(masked) = masked(path, node, key, shape, faults) {
            access.mask.push(masked);
        }
    }
    let scopes: HashSet<&str> = access.mask.iter().map(|masked| masked.scope.as_str()).collect();
    if scopes.len() > MOST_MASKS
        && let Some(node) = entry("mask")
    {
        faults.push(node.key_fault(format!("`mask` has {} scopes; at most {MOST_MASKS}", scopes.len())));
    }
    access
}

/// Faults bodies of `[operations]` that take a field by which rows are bounded under another path: what is written is judged
/// by the field's own, and under another it would pass unseen.
pub(super) fn check_bodies(rows: &[RowBound], operations: &Entries, faults: &Faults) {
    for operation in operations.values() {
        let body = operation.as_table().and_then(|entries| entries.get("body")).and_then(Node::as_table);
        if let Some(body) = body.filter(|_| !rows.is_empty()) {
            check_body(rows, body, "", faults);
        }
    }
}

/// `below` is the path of the object that these are members of, with its dot.
fn check_body(rows: &[RowBound], body: &Entries, below: &str, faults: &Faults) {
    for (name, node) in body {
        let Some(member) = node.as_table() else { continue };
        let path = format!("{below}{name}");
        if let Some(inner) = member.get("object").and_then(Node::as_table) {
            check_body(rows, inner, &format!("{path}."), faults);
        }
        // No field that bounds rows lies in an array.
        if let Some(inner) = member.get("each").and_then(Node::as_table) {
            check_body(rows, inner, &format!("{path}[]."), faults);
        }
        let Some(field) = member.get("field") else { continue };
        let bound = rows.iter().find(|bound| Some(bound.field.path.as_str()) == field.as_str());
        if let Some(bound) = bound.filter(|bound| bound.field.path != path) {
            let bound = &bound.field.path;
            let fault = field.fault(format!("`{bound}` bounds rows (`serve.rows`), and is taken as `{path}` here"));
            faults.push(fault.help(format!("take it as `{bound}`: by that what callers write is judged")));
        }
    }
}

fn entries<'n>(node: &'n Node, name: &str, faults: &Faults) -> Vec<(&'n str, &'n Node)> {
    match node.as_table() {
        Some(entries) => entries.iter().map(|(path, node)| (path.as_str(), node)).collect(),
        None => {
            faults.push(node.fault(format!("`{name}` must be a table, found {}", node.kind())));
            Vec::new()
        }
    }
}

fn row_bound(path: &str, node: &Node, shape: &Shape, faults: &Faults) -> Option<RowBound> {
    let found = find(faults, node, path, shape)?;
    if found.broken {
        return None;
    }
    if let Err(why) = comparable(found) {
        faults.push(node.key_fault(format!("`{path}` cannot bound rows: {why}")));
        return None;
    }
    let claim = node.as_str().and_then(|text| text.strip_prefix("claims.")).map(|claim| claim.split('.'));
    let claim: Vec<String> = claim.into_iter().flatten().map(str::to_owned).collect();
    if claim.is_empty() || claim.iter().any(String::is_empty) {
        let fault = node.fault("expected a claim of the caller, like \"claims.customer\"");
        faults
            .push(fault.help(
                "a token has claims, and so has an API key: `tollbridge keys create NAME --claim customer=4711`",
            ));
        return None;
    }
    Some(RowBound { field: QueryField { path: path.to_owned(), field_type: found.field_type }, claim })
}

fn masked(path: &str, node: &Node, key: &[String], shape: &Shape, faults: &Faults) -> Option<Masked> {
    let mut below = &shape.schema;
    for name in path.split('.') {
        let properties = properties_of(below);
        let Some(found) = properties.and_then(|properties| properties.get(name)) else {
            let fault = node.key_fault(format!("there is no field `{path}`"));
            let names: Vec<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            faults.push(match nearest(name, names.iter().copied()) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("fields there: {}", names.join(", "))),
            });
            return None;
        };
        below = found;
    }
    if key.iter().any(|part| part == path || part.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'))) {
        let fault = node.key_fault(format!("`{path}` is part of the key, which stands in every URL"));
        faults.push(fault.help("the key cannot be masked; bound the rows instead (`rows`)"));
        return None;
    }
    match scope(node) {
        Ok(scope) => Some(Masked { path: path.to_owned(), scope }),
        Err(why) => {
            faults.push(node.fault(why));
            None
        }
    }
}

/// The properties of an object's schema, or of the objects in an array's.
fn properties_of(schema: &Value) -> Option<&serde_json::Map<String, Value>> {
    schema.get("items").unwrap_or(schema).get("properties")?.as_object()
}
