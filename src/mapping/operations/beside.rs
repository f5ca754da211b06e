//! What an operation says beside its steps: where its commit is, what goes one at a time, under which key a new record is
//! known, and how to find out what became of it.

use super::answer::Answer;
use super::steps::{Origin, Scope, Step};
use super::{CreatedPart, Scalar, ServiceCall, ServiceLook, keys, soap};
use crate::diagnostic::Table;
use crate::sql::NamedSql;

/// How a backend is asked what became of an operation.
pub(super) enum Reconciling {
    Sql(NamedSql, Vec<Origin>),
    Service(Box<ServiceLook>),
}

/// How many steps are done before the commit; `None` for all.
pub(super) fn commit_after(table: &Table<'_>, is_atomic: Option<bool>, steps: Option<&[Step]>) -> Option<usize> {
    let node = table.get("commit_after")?;
    let count = steps?.len();
    let number = table.integer("commit_after", 1..=i64::MAX).and_then(|number| usize::try_from(number).ok())?;
    if is_atomic == Some(false) {
        let fault = node.key_fault("there is no transaction to commit");
        table.fail(
            fault.help("leave out `transaction = false`: steps behind `commit_after` stand for themselves anyway"),
        );
    } else if number > count {
        let steps = if count == 1 { "is one step".to_owned() } else { format!("are {count} steps") };
        table.fail(node.fault(format!("there {steps}, and none of number {number}")));
    }
    (number < count).then_some(number)
}

pub(super) fn serial(table: &Table<'_>, scope: &mut Scope<'_>) -> Vec<(String, Origin)> {
    let Some(node) = table.get("serial") else { return Vec::new() };
    let single = std::slice::from_ref(node);
    let mut fields = Vec::new();
    for element in node.as_array().unwrap_or(single) {
        let Some(name) = element.as_str() else {
            table.fail(element.fault(format!("`serial` lists fields by name, found {}", element.kind())));
            continue;
        };
        match scope.resolve(name, element, None) {
            Some(Origin::Taken { .. } | Origin::Version(_)) => {
                table.fail(element.fault(format!("`{name}` is not known before the backend is called")));
            }
            Some(origin) => fields.push((name.to_owned(), origin)),
            None => {}
        }
    }
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

/// Where the parts of a new record's key are known from, if all are.
pub(super) fn created(scope: &mut Scope<'_>, answer: &Answer) -> Option<Vec<CreatedPart>> {
    let mut parts = Vec::new();
    for name in scope.around.key {
        if answer.has(name) {
            parts.push(CreatedPart::Answered(name.clone()));
            continue;
        }
        let is_plain = |scalar: &Scalar| scalar.values.is_none() && scalar.format.is_none();
        if scope.input.scalar(std::slice::from_ref(name)).is_some_and(|scalar| !is_plain(scalar)) {
            return None;
        }
        parts.push(CreatedPart::Known(scope.find(name, None)?));
    }
    Some(parts)
}

pub(super) fn reconcile(
    table: &Table<'_>,
    scope: &mut Scope<'_>,
    backend: Option<&str>,
    called: Option<&ServiceCall>,
) -> Option<Reconciling> {
    let inner = table.table("reconcile", &keys::RECONCILE)?;
    if inner.exactly_one(&["sql", "soap"])? == "soap" {
        let taken = called.map(|call| call.taken.as_slice()).unwrap_or_default();
        let found = soap::look(&inner, backend, scope.around.services, scope, taken)?;
        return Some(Reconciling::Service(Box::new(found)));
    }
    inner.filled("sql")?;
    let node = inner.get("sql")?;
    let (sql, values) = scope.statement(node, &[], None)?;
    if values.iter().any(|origin| matches!(origin, Origin::Taken { .. } | Origin::Version(_))) {
        inner.fail(node.fault("what a step has brought, or the version was, is not known when its outcome is not"));
        return None;
    }
    Some(Reconciling::Sql(sql, values))
}
