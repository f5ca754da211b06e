//! Whether an answer is signed by whom we trust, and what of it.
//!
//! A good signature says nothing of an element that merely looks like the one that was signed. So the answer must have
//! one envelope, one header, one body, one signature, and each id once; the signed element must be that body itself; and
//! whoever reads the answer is given the very bytes that were signed, not those that came.

use aws_lc_rs::digest::{self, Algorithm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use uppsala::{Document, NodeId};

use super::identity::{Trusted, algorithm};
use super::ids::{canonical, digest, ids, parse};
use super::{DS, EXC_C14N, SHA256, WSSE, WSU};
use crate::adapters::soap::answer::envelope::NAMESPACES;

/// The most references of a signature.
const MOST_REFERENCES: usize = 64;

/// A clock that differs by less is right.
const SKEW: SignedDuration = SignedDuration::from_secs(300);

/// What is asked of an answer's signature.
pub(in crate::adapters::soap) struct Wanted<'w> {
    pub(in crate::adapters::soap) trusted: &'w Trusted,
    /// SHA-1 is taken as well.
    pub(in crate::adapters::soap) takes_sha1: bool,
    /// A time must be signed, and good at this time.
    pub(in crate::adapters::soap) now: Option<Timestamp>,
}

/// An envelope with the body that was signed, and nothing else; or why its signature is not taken.
pub(in crate::adapters::soap) fn verified(text: &str, wanted: &Wanted<'_>) -> Result<String, String> {
    let doc = parse(text)?;
    let envelope = doc.document_element().ok_or("it is empty")?;
    let soap = NAMESPACES.iter().find(|soap| is(&doc, envelope, soap, "Envelope")).ok_or("it is no envelope")?;
    let header = only(&doc, envelope, soap, "Header")?;
    let body = only(&doc, envelope, soap, "Body")?;
    let security = only(&doc, header, WSSE, "Security")?;
    let signature = only(&doc, security, DS, "Signature")?;
    let info = only(&doc, signature, DS, "SignedInfo")?;
    let known = ids(&doc)?;

    // Is it their signature of what it says?
    let method = only(&doc, info, DS, "CanonicalizationMethod")?;
    let form = canonical(&doc, info, &prefixes(&doc, method)?)?;
    let method = attribute(&doc, only(&doc, info, DS, "SignatureMethod")?, "Algorithm");
    let method = algorithm(method, wanted.takes_sha1).ok_or_else(|| format!("it is signed by `{method}`"))?;
    let value = decoded(&doc, only(&doc, signature, DS, "SignatureValue")?)?;
    if !wanted.trusted.has_signed(&form, &value, method) {
        return Err("no certificate that is trusted has signed it, or it was changed on the way".to_owned());
    }

    // Does what it says hold of what is there?
    let references = doc.child_elements_by_name_ns(info, DS, "Reference");
    if references.len() > MOST_REFERENCES {
        return Err("its signature has too many references".to_owned());
    }
    let mut signed = None;
    let mut is_timed = false;
    let timestamp = match wanted.now {
        Some(now) => Some((only(&doc, security, WSU, "Timestamp")?, now)),
        None => None,
    };
    for reference in references {
        let uri = attribute(&doc, reference, "URI");
        let id = uri.strip_prefix('#').filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| format!("it signs `{uri}`, which is no part of it"))?;
        let node = *known.get(id).ok_or_else(|| format!("it has no element with the id `{id}`"))?;
        let form = canonical(&doc, node, &transform(&doc, reference)?)?;
        let method = attribute(&doc, only(&doc, reference, DS, "DigestMethod")?, "Algorithm");
        let method = digest_by(method, wanted.takes_sha1).ok_or_else(|| format!("its digest is `{method}`"))?;
        let value: String = doc.text_content_deep(only(&doc, reference, DS, "DigestValue")?);
        let value: String = value.split_ascii_whitespace().collect();
        if digest(method, &form) != value {
            return Err(format!("the element with the id `{id}` is not what was signed"));
        }
        if node == body {
            signed = Some(form);
        } else if timestamp.is_some_and(|(timestamp, _)| node == timestamp) {
            is_timed = true;
        }
    }
    if let Some((timestamp, now)) = timestamp {
        if !is_timed {
            return Err("its time is not signed".to_owned());
        }
        in_time(&doc, timestamp, now)?;
    }
    let signed = signed.ok_or("its body is not signed")?;
    let signed = String::from_utf8(signed).map_err(|_| "its body is no text")?;
    Ok(wrapped(&doc, envelope, soap, &signed))
}

/// The signed body in an envelope of its own. Prefixes of the envelope are bound in it as they were: values may use them.
/// Its default namespace is not: the canonical form of an element without a namespace does not say that it has none.
fn wrapped(doc: &Document<'_>, envelope: NodeId, soap: &str, body: &str) -> String {
    let mut text = format!("<tbsoap:Envelope xmlns:tbsoap=\"{soap}\"");
    if let Some(element) = doc.element(envelope) {
        for (prefix, namespace) in
            element.namespace_declarations.iter().filter(|(prefix, _)| !prefix.is_empty() && prefix != "tbsoap")
        {
            let namespace = quick_xml::escape::escape(&**namespace);
            text.push_str(&format!(" xmlns:{prefix}=\"{namespace}\""));
        }
    }
    format!("{text}>{body}</tbsoap:Envelope>")
}

fn is(doc: &Document<'_>, node: NodeId, namespace: &str, name: &str) -> bool {
    doc.element(node).is_some_and(|element| element.matches_name_ns(namespace, name))
}

/// The only child of this name.
fn only(doc: &Document<'_>, parent: NodeId, namespace: &str, name: &str) -> Result<NodeId, String> {
    match doc.child_elements_by_name_ns(parent, namespace, name).as_slice() {
        [one] => Ok(*one),
        [] => Err(format!("it has no `{name}` where one belongs")),
        _ => Err(format!("it has more than one `{name}`")),
    }
}

fn attribute<'d>(doc: &'d Document<'_>, node: NodeId, name: &str) -> &'d str {
    let found = doc.element(node).and_then(|element| {
        element.attributes.iter().find(|other| other.name.namespace_uri.is_none() && other.name.local_name == name)
    });
    found.map_or("", |attribute| &attribute.value)
}

/// The transforms of a reference: exclusive canonicalization and nothing else. Others could make the signed element
/// another than the one that is there.
fn transform(doc: &Document<'_>, reference: NodeId) -> Result<Vec<String>, String> {
    let transforms = only(doc, reference, DS, "Transforms")?;
    prefixes(doc, only(doc, transforms, DS, "Transform")?)
}

/// The prefixes that a canonicalization keeps.
fn prefixes(doc: &Document<'_>, method: NodeId) -> Result<Vec<String>, String> {
    let name = attribute(doc, method, "Algorithm");
    if name != EXC_C14N {
        return Err(format!("it is signed in the form `{name}`"));
    }
    match doc.child_elements_by_name_ns(method, EXC_C14N, "InclusiveNamespaces").as_slice() {
        [] => Ok(Vec::new()),
        [list] => {
            let list = attribute(doc, *list, "PrefixList").split_ascii_whitespace();
            Ok(list.map(str::to_owned).collect())
        }
        _ => Err("its canonical form has more than one list of prefixes".to_owned()),
    }
}

fn digest_by(name: &str, takes_sha1: bool) -> Option<&'static Algorithm> {
    match name {
        SHA256 => Some(&digest::SHA256),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Some(&digest::SHA384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Some(&digest::SHA512),
        "http://www.w3.org/2000/09/xmldsig#sha1" if takes_sha1 => Some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
        _ => None,
    }
}

fn decoded(doc: &Document<'_>, node: NodeId) -> Result<Vec<u8>, String> {
    let text: String = doc.text_content_deep(node).split_ascii_whitespace().collect();
    STANDARD.decode(text).map_err(|_| "its signature is no base64".to_owned())
}

fn in_time(doc: &Document<'_>, timestamp: NodeId, now: Timestamp) -> Result<(), String> {
    let time = |name: &str| -> Result<Option<Timestamp>, String> {
        match doc.child_elements_by_name_ns(timestamp, WSU, name).as_slice() {
            [] => Ok(None),
            [one] => {
                let text = doc.text_content_deep(*one);
                text.trim().parse().map(Some).map_err(|_| format!("`{}` is no time", text.trim()))
            }
            _ => Err(format!("it has more than one `{name}`")),
        }
    };
    let created = time("Created")?.ok_or("its time has no `Created`")?;
    let far = |time: Timestamp, by: SignedDuration| time.checked_add(by).unwrap_or(Timestamp::MAX);
    if created > far(now, SKEW) {
        return Err(format!("it is from {created}, which is still to come: compare the clocks"));
    }
    // Without an end it is good for five minutes.
    let expires = time("Expires")?.unwrap_or_else(|| far(created, SKEW));
    if far(expires, SKEW) < now {
        return Err(format!("it was good until {expires}: compare the clocks"));
    }
    Ok(())
}
