//! Elements of a message by their ids, canonical forms and digests: what signing and verifying share.

use std::collections::HashMap;

use aws_lc_rs::digest::{self, Algorithm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bergshamra_c14n::{C14nMode, canonicalize_doc};
use bergshamra_xml::NodeSet;
use uppsala::{Document, NodeId, Parser};

/// Elements may be nested so deep.
const MOST_DEPTH: u32 = 256;

/// Reads a message: without a DOCTYPE, so without entities.
pub(super) fn parse(text: &str) -> Result<Document<'_>, String> {
    let parser = Parser::new().with_max_depth(MOST_DEPTH).with_forbid_dtd(true).with_forbid_entities(true);
    parser.parse(text).map_err(|error| error.to_string())
}

/// All elements that have an id, whoever's idea of an id it is. Two of the same are a fault: then nobody can say which
/// one is signed.
pub(super) fn ids(doc: &Document<'_>) -> Result<HashMap<String, NodeId>, String> {
    let mut found = HashMap::new();
    for node in doc.descendants(doc.root()) {
        let Some(element) = doc.element(node) else { continue };
        for attribute in &element.attributes {
            let name = &*attribute.name.local_name;
            let is_id = name.eq_ignore_ascii_case("id") || name == "AssertionID";
            if is_id && found.insert(attribute.value.to_string(), node).is_some_and(|other| other != node) {
                return Err(format!("two elements have the id `{}`", attribute.value));
            }
        }
    }
    Ok(found)
}

/// The exclusive canonical form of an element, without comments.
pub(super) fn canonical(doc: &Document<'_>, node: NodeId, prefixes: &[String]) -> Result<Vec<u8>, String> {
    let set = NodeSet::tree_without_comments(node, doc);
    canonicalize_doc(doc, C14nMode::Exclusive, Some(&set), prefixes).map_err(|error| error.to_string())
}

/// A digest in base64.
pub(super) fn digest(algorithm: &'static Algorithm, bytes: &[u8]) -> String {
    STANDARD.encode(digest::digest(algorithm, bytes))
}
