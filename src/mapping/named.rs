//! What a mapping names beside itself: copybooks, field lists, envelopes, lookup tables, and services with their WSDLs.
//! What is wrong with a name is left for compiling to report.

use std::sync::Arc;

use super::soap::{self, ServiceWsdl, Services};
use crate::decode::Format;
use crate::diagnostic::{Entries, Faults, Node, Section, SourceText, Table, parse};
use crate::wsdl::SoapVersion;

/// The files that the mapping needs beside itself (copybook, field list, lookup tables), as written: relative
/// to the mapping file. Faults are left for [`compile`] to report.
pub fn texts(source: &Arc<SourceText>) -> Vec<String> {
    let faults = Faults::new();
    let root = parse(source, &faults);
    texts_of(&root, &faults)
}

/// What a table says under a name.
fn entry(table: &Node, name: &str) -> Option<Node> {
    table.as_table().and_then(|entries| entries.get(name)).cloned()
}

/// The calls of services that an operation is made of: the write, and the question what became of it.
fn calls_of(operation: &Node) -> impl Iterator<Item = Node> {
    let tables = [Some(operation.clone()), entry(operation, "reconcile")];
    tables.into_iter().flatten().filter_map(|table| entry(&table, soap::KIND))
}

/// The files that the layouts of these kinds name which a table has.
fn texts_of_layout(
    table: &Node,
    kinds: &[&str],
    section: impl Fn(&str) -> Option<&'static Section>,
    faults: &Faults,
) -> Vec<String> {
    let written = kinds.iter().filter_map(|kind| Some((*kind, entry(table, kind)?)));
    let format = |(kind, node): (&str, Node)| Format::read(kind, &Table::new(&node, section(kind)?, faults)?);
    written.filter_map(format).flat_map(|format| format.texts()).collect()
}

pub(super) fn texts_of(root: &Node, faults: &Faults) -> Vec<String> {
    let mut texts = Vec::new();
    let source = entry(root, "source");
    if let Some(source) = &source {
        texts.extend(texts_of_layout(source, Format::KINDS, Format::section, faults));
    }
    if let Some(node) = source.as_ref().and_then(|source| entry(source, soap::KIND)) {
        for called in [Some(node.clone()), entry(&node, "by_key")].into_iter().flatten() {
            texts.extend(entry(&called, "envelope").as_ref().and_then(Node::as_str).and_then(soap::file));
        }
    }
    let operations = entry(root, "operations");
    let written = operations.as_ref().and_then(Node::as_table).into_iter().flat_map(Entries::values);
    for file in written.filter_map(|operation| entry(operation, "file")) {
        texts.extend(texts_of_layout(&file, Format::WRITTEN_KINDS, Format::written_section, faults));
    }
    for operation in operations.as_ref().and_then(Node::as_table).into_iter().flat_map(Entries::values) {
        let envelopes = calls_of(operation).filter_map(|called| entry(&called, "envelope"));
        texts.extend(envelopes.filter_map(|envelope| envelope.as_str().and_then(soap::file)));
    }
    let lookups = entry(root, "lookups");
    for lookup in lookups.as_ref().and_then(Node::as_table).into_iter().flat_map(Entries::values) {
        texts.extend(entry(lookup, "csv").as_ref().and_then(Node::as_str).map(str::to_owned));
    }
    texts.dedup();
    texts
}

/// The backends whose WSDL a mapping needs, as they are written. Faults are left for [`compile`] to report.
pub fn services_of(source: &Arc<SourceText>) -> Vec<String> {
    services_in(&parse(source, &Faults::new()))
}

fn services_in(root: &Node) -> Vec<String> {
    let text = |table: &Node, name: &str| entry(table, name).as_ref().and_then(Node::as_str).map(str::to_owned);
    let source = entry(root, "source");
    let own = source.as_ref().and_then(|source| text(source, "backend"));
    let mut needed = Vec::new();
    let called = source.as_ref().and_then(|source| entry(source, soap::KIND));
    let by_key = called.as_ref().and_then(|called| entry(called, "by_key"));
    if [called, by_key].into_iter().flatten().any(|called| entry(&called, "envelope").is_none()) {
        needed.extend(own.clone());
    }
    let operations = entry(root, "operations");
    for operation in operations.as_ref().and_then(Node::as_table).into_iter().flat_map(Entries::values) {
        if calls_of(operation).any(|called| entry(&called, "envelope").is_none()) {
            needed.extend(text(operation, "backend").or_else(|| own.clone()));
        }
    }
    needed.sort();
    needed.dedup();
    needed
}

/// What the services that a mapping needs say of themselves, hashed, by backend.
pub(super) fn service_hashes(root: &Node, services: &dyn Services) -> Vec<(String, String)> {
    let hash = |backend: String| match services.wsdl(&backend) {
        // What is usual is not told: nothing is made anew because of it.
        ServiceWsdl::Read { hash, choice, .. } => match (&choice.port, choice.version) {
            (None, None | Some(SoapVersion::V11)) => Some((backend, hash.to_string())),
            (port, version) => Some((backend, format!("{hash} {port:?} {version:?}"))),
        },
        _ => None,
    };
    services_in(root).into_iter().filter_map(hash).collect()
}
