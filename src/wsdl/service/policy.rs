//! What the policies of a WSDL (WS-Policy 1.2 and 1.5, attached as WS-PolicyAttachment has it) demand of whoever calls, as far
//! as it is heeded here: that messages are XOP packages (MTOM).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::wsdl::import::dom::Node;
use crate::wsdl::import::well_known::XML;

/// The namespaces of WS-Policy.
const POLICY: [&str; 3] = [
    "http://schemas.xmlsoap.org/ws/2004/09/policy",
    "http://www.w3.org/ns/ws-policy",
    "http://www.w3.org/2006/07/ws-policy",
];

/// The assertions that a message is an XOP package: that of 2004, which WCF and Metro write, and the W3C's.
const MTOM: [(&str, &str); 2] = [
    ("http://schemas.xmlsoap.org/ws/2004/09/policy/optimizedmimeserialization", "OptimizedMimeSerialization"),
    ("http://www.w3.org/2007/08/soap12-mtom-policy", "MTOM"),
];

/// The namespace of WS-Security's ids, which policies have.
const WSU: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";

/// Policies that refer to each other are followed so far.
const MOST_DEPTH: u32 = 16;

/// The policies that stand for themselves in the WSDLs of a closure, to be referred to.
#[derive(Default)]
pub(super) struct Policies<'a> {
    all: Vec<Node<'a>>,
    by_name: HashMap<&'a str, usize>,
    /// The first of each document.
    by_id: HashMap<&'a str, Vec<usize>>,
    depth: Cell<u32>,
    /// What is known by now of each; of one that is looked at just now, that it demands nothing: policies that refer to each
    /// other in a circle say nothing.
    known: RefCell<Vec<Option<bool>>>,
}

impl<'a> Policies<'a> {
    /// Takes in those of a WSDL.
    pub(super) fn take(&mut self, definitions: Node<'a>) {
        for policy in definitions.children().filter(|child| is_of_policy(*child, "Policy")) {
            let index = self.all.len();
            if let Some(name) = policy.attr("Name") {
                self.by_name.entry(name).or_insert(index);
            }
            for id in [policy.attr_of(WSU, "Id"), policy.attr_of(XML, "id"), policy.attr("Id")].into_iter().flatten() {
                let same = self.by_id.entry(id).or_default();
                if !same.iter().any(|known| self.all.get(*known).is_none_or(|known| is_beside(*known, policy))) {
                    same.push(index);
                }
            }
            self.all.push(policy);
        }
        self.known.get_mut().resize(self.all.len(), None);
    }

    /// Whether what is attached to a binding, a port or an operation demands XOP packages.
    pub(super) fn demand_mtom(&self, subject: Node<'a>) -> bool {
        subject.children().any(|child| is_policy(child) && self.demands(child))
            || uris(subject).any(|uri| self.demanded_by(subject, uri))
    }

    /// What is attached by reference, and is nowhere.
    pub(super) fn missing(&self, subject: Node<'a>) -> Vec<&'a str> {
        let references = subject.children().filter(|child| is_of_policy(*child, "PolicyReference"));
        let named = references.filter_map(|reference| reference.attr("URI")).chain(uris(subject));
        named.filter(|uri| self.find(subject, uri).is_none()).collect()
    }

    /// Whether no way to fulfil it does without.
    fn demands(&self, node: Node<'a>) -> bool {
        if MTOM.iter().any(|(uri, local)| node.is(uri, local)) {
            let is_optional = |uri: &str| matches!(node.attr_of(uri, "Optional").map(str::trim), Some("true" | "1"));
            return !POLICY.iter().any(|uri| is_optional(uri));
        }
        // What stands within other assertions is theirs.
        if !POLICY.contains(&node.uri()) {
            return false;
        }
        match node.local() {
            "Policy" | "All" => node.children().any(|child| self.demands(child)),
            "ExactlyOne" => node.children().next().is_some() && node.children().all(|child| self.demands(child)),
            "PolicyReference" => node.attr("URI").is_some_and(|uri| self.demanded_by(node, uri)),
            _ => false,
        }
    }

    fn demanded_by(&self, at: Node<'a>, uri: &str) -> bool {
        let Some(index) = self.find(at, uri) else { return false };
        if let Some(known) = self.known.borrow()[index] {
            return known;
        }
        if self.depth.get() >= MOST_DEPTH {
            return false;
        }
        self.depth.set(self.depth.get() + 1);
        self.known.borrow_mut()[index] = Some(false);
        let demands = self.demands(self.all[index]);
        self.known.borrow_mut()[index] = Some(demands);
        self.depth.set(self.depth.get() - 1);
        demands
    }

    /// The policy that a reference means: by its id, in the same document first, or by its name.
    fn find(&self, at: Node<'a>, uri: &str) -> Option<usize> {
        let uri = uri.trim();
        let named = uri.split_once('#').and_then(|(_, id)| self.by_id.get(id)).map_or(&[][..], Vec::as_slice);
        let beside = named.iter().find(|index| is_beside(self.all[**index], at));
        beside.or_else(|| self.by_name.get(uri)).or_else(|| named.first()).copied()
    }
}

/// Whether both are of one document.
fn is_beside(one: Node<'_>, other: Node<'_>) -> bool {
    one.root().is_same(other.root())
}

fn is_of_policy(node: Node<'_>, local: &str) -> bool {
    node.local() == local && POLICY.contains(&node.uri())
}

/// Whether it is a policy, or a reference to one.
fn is_policy(node: Node<'_>) -> bool {
    is_of_policy(node, "Policy") || is_of_policy(node, "PolicyReference")
}

/// The references that stand in an attribute.
fn uris<'a>(subject: Node<'a>) -> impl Iterator<Item = &'a str> {
    POLICY.iter().filter_map(move |uri| subject.attr_of(uri, "PolicyURIs")).flat_map(str::split_whitespace)
}

#[cfg(test)]
mod tests {
    use crate::wsdl::testing::{imported, schema};
    use crate::wsdl::{Choice, FindingCode};

    const P12: &str = "http://schemas.xmlsoap.org/ws/2004/09/policy";
    const P15: &str = "http://www.w3.org/ns/ws-policy";
    const OMA: &str = "http://schemas.xmlsoap.org/ws/2004/09/policy/optimizedmimeserialization";

    /// A WSDL with these policies at its top, and this in its binding, in the binding's operation, in its input, and in the
    /// port.
    fn document(policies: &str, [binding, operation, input, port]: [&str; 4]) -> String {
        let spaces = format!(
            "xmlns:p='{P12}' xmlns:q='{P15}' xmlns:o='{OMA}' xmlns:m='http://www.w3.org/2007/08/soap12-mtom-policy' \
             xmlns:u='http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd' \
             xmlns:sp='urn:sp' xmlns:t="
        );
        schema("<xs:element name='Op'/><xs:element name='OpResponse'/>")
            .replace("xmlns:t=", &spaces)
            .replacen("<w:types>", &format!("{policies}<w:types>"), 1)
            .replace("<s:binding ", &format!("{binding}<s:binding "))
            .replace("<s:operation ", &format!("{operation}<s:operation "))
            .replace("<w:input><s:body", &format!("<w:input>{input}<s:body"))
            .replace("<s:address ", &format!("{port}<s:address "))
    }

    fn requires(text: &str) -> bool {
        let imported = imported(&[("t.wsdl", text)]);
        assert_eq!(imported.wsdl.findings, [], "{text}");
        imported.wsdl.plan("Op", &Choice::default()).unwrap().operation.requires_mtom
    }

    #[test]
    fn a_policy_demands_mtom_where_nothing_goes_without() {
        for (policy, expected) in [
            ("<o:OptimizedMimeSerialization/>", true),
            ("<m:MTOM/>", true),
            ("<o:MTOM/>", false),
            ("<o:OptimizedMimeSerialization p:Optional='true'/>", false),
            ("<m:MTOM q:Optional=' 1 '/>", false),
            ("<m:MTOM q:Optional='false'/>", true),
            // As WCF writes it.
            ("<p:ExactlyOne><p:All><o:OptimizedMimeSerialization/><sp:Other/></p:All></p:ExactlyOne>", true),
            ("<p:ExactlyOne><p:All><o:OptimizedMimeSerialization/></p:All><p:All/></p:ExactlyOne>", false),
            ("<p:ExactlyOne><o:OptimizedMimeSerialization/><p:All><m:MTOM/></p:All></p:ExactlyOne>", true),
            ("<p:ExactlyOne/>", false),
            ("<p:All><sp:Other/><p:Policy><m:MTOM/></p:Policy></p:All>", true),
            // What stands within an assertion of another kind is about that.
            ("<sp:Transport><p:Policy><m:MTOM/></p:Policy></sp:Transport>", false),
            ("", false),
        ] {
            let inline = format!("<p:Policy>{policy}</p:Policy>");
            assert_eq!(requires(&document("", [&inline, "", "", ""])), expected, "{policy}");
            let newer =
                inline.replace("p:Policy", "q:Policy").replace("p:All", "q:All").replace("p:Exactly", "q:Exactly");
            let referred = newer.replacen("<q:Policy>", "<q:Policy u:Id='x'>", 1);
            let reference = document(&referred, ["<q:PolicyReference URI='#x'/>", "", "", ""]);
            assert_eq!(requires(&reference), expected, "{policy}");
        }
    }

    #[test]
    fn a_policy_may_be_attached_anywhere_and_lie_anywhere() {
        let policy = "<p:Policy u:Id='x' Name='urn:mtom'><o:OptimizedMimeSerialization/></p:Policy>";
        for at in 0..4 {
            let mut places = [""; 4];
            places[at] = "<p:PolicyReference URI='#x'/>";
            assert!(requires(&document(policy, places)), "{at}");
            places[at] = "<p:PolicyReference URI='urn:mtom'/>";
            assert!(requires(&document(policy, places)), "{at}");
        }
        assert!(!requires(&document(policy, [""; 4])), "nothing has it");
        let by_attribute = document(policy, [""; 4]).replace("<w:port ", "<w:port p:PolicyURIs=' urn:mtom ' ");
        assert!(requires(&by_attribute));
        // From one to the next, and in a circle.
        let chain = "<p:Policy u:Id='a'><p:PolicyReference URI='#b'/></p:Policy><q:Policy xml:id='b'><p:All>\
                     <p:PolicyReference URI='#a'/><p:PolicyReference URI='#x'/></p:All></q:Policy>";
        let reference = ["<p:PolicyReference URI='#a'/>", "", "", ""];
        assert!(requires(&document(&format!("{chain}{policy}"), reference)));
        let circle = chain.replace("<p:PolicyReference URI='#x'/>", "");
        assert!(!requires(&document(&circle, reference)));
        // Each twice the one before it: no burden.
        let doubled: String = (0..200)
            .map(|at| {
                let next = format!("<p:PolicyReference URI='#x{}'/>", at + 1);
                format!("<p:Policy u:Id='x{at}'>{next}{next}</p:Policy>")
            })
            .collect();
        let last = "<p:Policy u:Id='x200'/>";
        assert!(!requires(&document(&format!("{doubled}{last}"), ["<p:PolicyReference URI='#x0'/>", "", "", ""])));
    }

    #[test]
    fn a_policy_of_another_document_is_found_and_one_that_is_nowhere_told() {
        let import = "<w:import namespace='urn:p' location='p.wsdl'/>";
        let text = document(import, ["<p:PolicyReference URI='p.wsdl#x'/>", "", "", ""]);
        let policies = format!(
            "<w:definitions xmlns:w='http://schemas.xmlsoap.org/wsdl/' targetNamespace='urn:p'><Policy xmlns='{P15}' \
             xml:id='x'><MTOM xmlns='http://www.w3.org/2007/08/soap12-mtom-policy'/></Policy></w:definitions>"
        );
        let found = imported(&[("t.wsdl", &text), ("p.wsdl", &policies)]);
        assert!(found.wsdl.plan("Op", &Choice::default()).unwrap().operation.requires_mtom);
        let found = imported(&[("t.wsdl", &document("", ["<p:PolicyReference URI='#gone'/>", "", "", ""]))]);
        assert!(!found.wsdl.plan("Op", &Choice::default()).unwrap().operation.requires_mtom);
        let [finding] = found.wsdl.findings.as_slice() else { panic!("{:?}", found.wsdl.findings) };
        assert_eq!((finding.code, found.wsdl.operations[0].is_degraded), (FindingCode::Odd, false));
        assert!(finding.message.contains("the policy `#gone` is not declared"), "{finding}");
    }
}
