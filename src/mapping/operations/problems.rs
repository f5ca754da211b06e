//! `problems`: what codes of the backend mean to callers.

use super::keys;
use crate::diagnostic::{Entries, Faults, Table, Written};

/// What a code of the database means to callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownProblem {
    /// What a procedure returns, SQLSTATE, the database's own number, or a kind of fault.
    pub code: String,
    /// What callers are told.
    pub detail: String,
    /// The status of the answer.
    pub status: u16,
}

/// Reads `problems`; entries with faults are left out.
pub(super) fn compile(table: &Table<'_>, faults: &Faults) -> Vec<KnownProblem> {
    let mut problems = Vec::new();
    for (code, node) in table.free("problems") {
        let mut node = node.clone();
        if let Written::String(_) = node.value {
            let inner = node.clone();
            node.value = Written::Table(Entries::from_iter([("detail".to_owned(), inner)]));
        }
        let Some(inner) = Table::new(&node, &keys::PROBLEM, faults) else { continue };
        let detail = inner.filled("detail");
        let status = inner.read("status", |node| match node.value {
            Written::Integer(status @ (404 | 409 | 412 | 422)) => Ok(u16::try_from(status).unwrap_or(422)),
            _ => Err("expected 404, 409, 412 or 422".to_owned()),
        });
        if let (Some(detail), Some(status)) = (detail, status) {
            problems.push(KnownProblem { code: code.to_owned(), detail, status });
        }
    }
    problems
}
