//! WSDLs that somebody spoiled, on purpose or not: an import ends, and whatever it gives can be asked for everything.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;

use super::import_from;
use crate::wsdl::import::{Fetched, FindingCode, Limits, Location, Settings, Source};
use crate::wsdl::testing::schema;
use crate::wsdl::{Input, Wsdl};

/// Documents in memory.
struct Memory(HashMap<String, Vec<u8>>);

impl Source for Memory {
    fn read(&mut self, location: &Location, _: u64) -> Result<Fetched, (FindingCode, String)> {
        let found = self.0.get(&location.to_string()).cloned();
        let bytes = found.ok_or((FindingCode::MissingDocument, "there is none".to_owned()))?;
        Ok(Fetched { bytes, charset: None })
    }
}

const FILES: [(&str, &str); 2] = [
    ("shop.wsdl", include_str!("../../../fixtures/wsdl/shop.wsdl")),
    ("shop/types.xsd", include_str!("../../../fixtures/wsdl/shop/types.xsd")),
];

fn read(files: &[(&str, &[u8])]) {
    let mut source = Memory(files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect());
    let root = Location::File(files[0].0.to_owned());
    let settings = Settings { limits: Limits { total: 1 << 20, ..Limits::default() }, ..Settings::default() };
    if let Ok(imported) = import_from(&root, &settings, &mut source) {
        ask(&imported.wsdl);
    }
}

/// Asks for all that a WSDL can be asked for.
fn ask(wsdl: &Wsdl) {
    for operation in wsdl.operations.iter().take(20) {
        let plan = wsdl.plan_of(operation);
        plan.response_skeleton();
        plan.request_schema();
        plan.response_schema();
        let skeleton = plan.request_skeleton();
        for value in [json!({}), json!(null), json!([]), json!("x"), skeleton] {
            let _ = plan.request(&Input::from(&value));
        }
    }
}

proptest! {
    #[test]
    fn spoiled_documents(which in 0..FILES.len(), edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..400usize, 0..5u8), 1..5)) {
        let mut texts: Vec<(&str, Vec<u8>)> = FILES.iter().map(|(name, text)| (*name, text.as_bytes().to_vec())).collect();
        let text = &mut texts[which].1;
        for (at, from, length, kind) in edits {
            let words: Vec<&[u8]> = text.split(|byte| b"\"<> ".contains(byte)).collect();
            let (one, other) = (words[at.index(words.len())].to_vec(), words[from.index(words.len())].to_vec());
            let at = at.index(text.len());
            let end = (at + length).min(text.len());
            match kind {
                0 => drop(text.drain(at..end)),
                1 => {
                    let piece = text[at..end].to_vec();
                    text.splice(at..at, piece);
                }
                2 => text.truncate(end.max(1)),
                3 => {
                    let place = memchr::memmem::find(text, &one).unwrap_or(0);
                    text.splice(place..place + one.len(), other);
                }
                _ => text[at] = text[at].wrapping_add(length as u8),
            }
            if text.is_empty() {
                break;
            }
        }
        let files: Vec<(&str, &[u8])> = texts.iter().map(|(name, text)| (*name, text.as_slice())).collect();
        read(&files);
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read(&[("a.wsdl", &bytes)]);
        read(&[("a.wsdl", schema("<xs:include schemaLocation='b.xsd'/>").as_bytes()), ("b.xsd", &bytes)]);
    }
}

/// Texts that are small and mean much.
#[test]
fn groups_that_double_at_each_step() {
    let mut groups =
        String::from("<xs:group name='G0'><xs:sequence><xs:element name='E' type='xs:int'/></xs:sequence></xs:group>");
    for level in 1..40 {
        let below = level - 1;
        groups.push_str(&format!("<xs:group name='G{level}'><xs:sequence><xs:group ref='t:G{below}'/><xs:group ref='t:G{below}'/></xs:sequence></xs:group>"));
    }
    let bomb = schema(&format!(
        "{groups}<xs:element name='OpResponse'/><xs:element name='Op'><xs:complexType><xs:group ref='t:G39'/></xs:complexType></xs:element>"
    ));
    read(&[("a.wsdl", bomb.as_bytes())]);
}

#[test]
fn a_chain_where_every_step_holds_all_before_it() {
    let mut chain = String::from(
        "<xs:complexType name='T0'><xs:sequence><xs:element name='E' type='xs:int'/></xs:sequence></xs:complexType>",
    );
    for level in 1..3000 {
        chain.push_str(&format!("<xs:complexType name='T{level}'><xs:complexContent><xs:extension base='t:T{}'><xs:sequence><xs:element name='E{level}' type='xs:int'/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>", level - 1));
    }
    let bomb = schema(&format!("{chain}<xs:element name='OpResponse'/><xs:element name='Op' type='t:T2999'/>"));
    read(&[("a.wsdl", bomb.as_bytes())]);
}

#[test]
fn elements_that_substitute_each_other() {
    let all: String = (0..800).map(|n| format!("<xs:element name='S{n}' substitutionGroup='t:S{}'/><xs:complexType name='C{n}'><xs:sequence><xs:element ref='t:S0' maxOccurs='unbounded'/></xs:sequence></xs:complexType>", (n + 1) % 800)).collect();
    let bomb = schema(&format!("{all}<xs:element name='OpResponse'/><xs:element name='Op' type='t:C0'/>"));
    read(&[("a.wsdl", bomb.as_bytes())]);
}
