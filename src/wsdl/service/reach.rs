//! What each operation reaches: a finding degrades only those operations whose messages come to it.

use std::collections::{HashMap, HashSet};

use crate::wsdl::import::finding::Finding;
use crate::wsdl::{Content, Operation, TypeId, TypeKind, Types, Variety};

/// Enters the findings of types into the operations that reach them, and the other way round.
pub(super) fn enter(
    operations: &mut [Operation],
    types: &Types,
    findings: &mut [Finding],
    faulty: &HashMap<TypeId, Vec<usize>>,
) {
    // Only what leads to a faulty type is of interest, so most WSDLs are done here.
    if faulty.is_empty() {
        return;
    }
    for (number, operation) in operations.iter_mut().enumerate() {
        let reached = reached(operation, types);
        let mut found: Vec<usize> = reached.iter().filter_map(|ty| faulty.get(ty)).flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        operation.is_degraded = reached.iter().any(|ty| matches!(types.get(*ty).kind, TypeKind::Untyped))
            || found.iter().any(|index| findings.get(*index).is_some_and(|finding| finding.code.leaves_untyped()));
        for index in &found {
            if let Some(finding) = findings.get_mut(*index).filter(|finding| finding.code.leaves_untyped()) {
                finding.degrades.push(u32::try_from(number).unwrap_or(u32::MAX));
            }
        }
        operation.findings = found;
    }
}

/// Every type that an operation's messages may hold, types derived from them left out.
fn reached(operation: &Operation, types: &Types) -> HashSet<TypeId> {
    let messages = std::iter::once(&operation.input).chain(&operation.output);
    let mut open: Vec<TypeId> = Vec::new();
    for message in messages {
        open.push(message.body.ty);
        open.extend(message.headers.iter().map(|header| header.element.ty));
    }
    open.extend(operation.faults.iter().filter_map(|fault| fault.detail.as_ref()).map(|detail| detail.ty));
    let mut seen = HashSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let ty = types.get(id);
        open.extend(ty.base);
        match &ty.kind {
            TypeKind::Complex(complex) => {
                open.extend(complex.attributes.iter().map(|attribute| attribute.ty));
                match &complex.content {
                    Content::Text(text) => open.push(*text),
                    Content::Elements(elements) => open.extend(elements.members.iter().map(|member| member.element.ty)),
                    Content::Empty | Content::DataSet => {}
                }
            }
            TypeKind::Array(array) => open.push(array.item),
            TypeKind::Simple(simple) => match &simple.variety {
                Variety::List(item) => open.push(*item),
                Variety::Union(members) => open.extend(members),
                Variety::Atomic(_) => {}
            },
            TypeKind::Map | TypeKind::Any | TypeKind::Untyped => {}
        }
    }
    seen
}
