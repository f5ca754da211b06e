//! Faults of SOAP 1.1 (section 4.4) and 1.2 (part 1, section 5.4). Services mix the two; so elements are known by their
//! names, whatever the envelope is.

use std::io::Read;

use super::machine::{Machine, Outcome, Piece, Stop};
use super::names::local;
use super::scalar::trim;
use super::tag::Tag;
use super::text::Leaf;
use super::untyped::Groups;
use crate::wsdl::{Name, Plan, SoapVersion};

/// Codes in one another.
const MAX_CODES: usize = 16;
/// Texts of a reason.
const MAX_REASONS: usize = 64;

/// A qualified name that a fault has, as texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultName {
    /// The namespace; empty for none, or where the prefix is not bound.
    pub namespace: String,
    /// The local name.
    pub local: String,
}

/// What a service answers when it does not do what is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// The SOAP of its envelope, when that is known.
    pub version: Option<SoapVersion>,
    /// `Client` or `Server` (1.1), `Sender` or `Receiver` (1.2), or what the service calls it.
    pub code: FaultName,
    /// What makes the code more precise, from the outside in (1.2).
    pub subcodes: Vec<FaultName>,
    /// What is wrong, in English where there is a choice, else in the first language.
    pub reason: String,
    /// The same in all languages: the language, empty where it is not said, and the text.
    pub reasons: Vec<(String, String)>,
    /// Who found it (`faultactor`, `Node`).
    pub actor: Option<String>,
    /// In what role (1.2).
    pub role: Option<String>,
    /// What the service says beyond that.
    pub detail: Option<FaultDetail>,
}

/// The detail of a fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultDetail {
    /// Its first element; `None` where it is a text.
    pub element: Option<FaultName>,
    /// The fault of the WSDL that has this element.
    pub declared: Option<String>,
    /// Its elements as one JSON object, typed where a schema knows them: `{"NotFound":{"wanted":"99"}}`.
    pub json: Vec<u8>,
}

impl Fault {
    /// Whether it says that what was asked is wrong, so that asking again is of no use. `None` where the code says neither.
    pub fn is_sender(&self) -> Option<bool> {
        // Codes of SOAP 1.1 may be made more precise behind a dot.
        match self.code.local.split('.').next().unwrap_or_default() {
            "Client" | "Sender" => Some(true),
            "Server" | "Receiver" => Some(false),
            _ => None,
        }
    }

    /// One sentence for logs and messages.
    pub fn sentence(&self) -> String {
        let codes = std::iter::once(&self.code).chain(&self.subcodes).map(|code| code.local.as_str());
        let codes: Vec<&str> = codes.filter(|code| !code.is_empty()).collect();
        let reason: String = self.reason.chars().take(300).collect();
        match (codes.join("/"), reason.as_str()) {
            (codes, "") => format!("the service answered with the fault {codes}"),
            (codes, reason) => format!("the service answered with the fault {codes}: {reason}"),
        }
    }
}

impl<R: Read> Machine<R> {
    /// Reads a fault, from its open tag to its end.
    pub(super) fn read_fault(&mut self, tag: &Tag, plan: &Plan, version: Option<SoapVersion>) -> Outcome<Fault> {
        self.begin = tag.at;
        let mut fault = Fault { version, ..Fault::default() };
        self.each(tag, |own, child, name| {
            match name {
                b"faultcode" => fault.code = own.fault_name(child)?,
                b"Code" => own.codes(child, &mut fault)?,
                b"faultstring" => {
                    let text = own.fault_text(child)?;
                    fault.reasons.push((String::new(), text));
                }
                b"Reason" => own.each(child, |own, text, _| {
                    let lang = own.attributes.iter().find(|raw| own.bytes(raw.name) == b"xml:lang").copied();
                    let lang = lang.map(|raw| own.attribute_text(&raw)).transpose()?.unwrap_or_default();
                    let text = own.fault_text(text)?;
                    if fault.reasons.len() < MAX_REASONS {
                        fault.reasons.push((lang, text));
                    }
                    Ok(())
                })?,
                b"faultactor" | b"Node" => fault.actor = Some(own.fault_text(child)?),
                b"Role" => fault.role = Some(own.fault_text(child)?),
                b"detail" | b"Detail" => fault.detail = own.detail(child, plan)?,
                _ => own.skip(child)?,
            }
            Ok(())
        })?;
        let english = fault.reasons.iter().find(|(lang, _)| lang == "en" || lang.starts_with("en-"));
        fault.reason = english.or(fault.reasons.first()).map(|(_, text)| text.clone()).unwrap_or_default();
        Ok(fault)
    }

    /// Reads each element in an open one. What is said of each reads it to its end.
    fn each(&mut self, tag: &Tag, mut read: impl FnMut(&mut Self, &Tag, &[u8]) -> Outcome<()>) -> Outcome<()> {
        while let Some(piece) = self.piece_in(tag)? {
            match piece {
                Piece::Start(child) => {
                    let scope = self.names.scope;
                    self.open(&child)?;
                    let name = local(child.written(self.window.bytes())).to_vec();
                    read(self, &child, &name)?;
                    self.names.scope = scope;
                }
                Piece::End { name } => return self.check_end(tag, name),
                _ => {}
            }
        }
        Ok(())
    }

    /// The text of an element, without blanks at its ends; elements in it are left out.
    fn fault_text(&mut self, tag: &Tag) -> Outcome<String> {
        let text = match self.leaf(tag, false)? {
            Leaf::Plain(from, to) => self.bytes((from, to)),
            Leaf::Made => &self.text,
        };
        Ok(String::from_utf8_lossy(trim(text)).into_owned())
    }

    fn fault_name(&mut self, tag: &Tag) -> Outcome<FaultName> {
        let text = self.fault_text(tag)?;
        let Ok(resolved) = self.names.element(&self.types.names, text.as_bytes()) else {
            return Ok(FaultName::default());
        };
        let namespace = self.names.uri(resolved.space).to_owned();
        let name = text.split_once(':').map_or(text.as_str(), |(_, local)| local).to_owned();
        Ok(FaultName { namespace, local: name })
    }

    /// A code of SOAP 1.2 with those in it.
    fn codes(&mut self, tag: &Tag, fault: &mut Fault) -> Outcome<()> {
        let mut codes = Vec::new();
        self.subcodes(tag, &mut codes)?;
        let mut codes = codes.into_iter();
        fault.code = codes.next().unwrap_or_default();
        fault.subcodes = codes.collect();
        Ok(())
    }

    fn subcodes(&mut self, tag: &Tag, codes: &mut Vec<FaultName>) -> Outcome<()> {
        self.each(tag, |own, child, name| match name {
            b"Value" => {
                let name = own.fault_name(child)?;
                codes.push(name);
                Ok(())
            }
            b"Subcode" if codes.len() < MAX_CODES => {
                own.deeper(child)?;
                own.subcodes(child, codes)?;
                own.depth -= 1;
                Ok(())
            }
            _ => own.skip(child),
        })
    }

    fn detail(&mut self, tag: &Tag, plan: &Plan) -> Outcome<Option<FaultDetail>> {
        let mut detail = FaultDetail::default();
        let mut groups = Groups::default();
        let start = self.out.len();
        let mut texts = Vec::new();
        while let Some(piece) = self.piece_in(tag)? {
            match piece {
                Piece::Start(child) => {
                    let (at, scope) = (self.at, self.names.scope);
                    self.open(&child)?;
                    let resolved = self.resolve(&child)?;
                    let name = local(child.written(self.window.bytes())).to_vec();
                    if detail.element.is_none() {
                        let local = String::from_utf8_lossy(&name).into_owned();
                        detail.element =
                            Some(FaultName { namespace: self.names.uri(resolved.space).to_owned(), local });
                        detail.declared = declared(plan, resolved.name()).map(str::to_owned);
                    }
                    self.names.scope = scope;
                    let from = self.out.len();
                    match self.free(&child) {
                        Ok(()) => groups.add(name, from, self.out.len()),
                        Err(stop) if matches!(*stop, Stop::Document(_)) => return Err(stop),
                        // A fault is told even if its detail is none of its schema.
                        Err(_) => {
                            self.out.truncate(from);
                            (self.at, self.depth) = (at, 0);
                            self.skip(&child)?;
                        }
                    }
                    self.names.scope = scope;
                }
                Piece::End { name } => {
                    self.check_end(tag, name)?;
                    break;
                }
                Piece::Text(from, to) | Piece::CData(from, to) => texts.extend_from_slice(self.bytes((from, to))),
                Piece::Remark => {}
            }
        }
        let mut json = groups.written(&self.out);
        self.out.truncate(start);
        if detail.element.is_none() {
            if trim(&texts).is_empty() {
                return Ok(None);
            }
            json = super::shape::key(crate::wsdl::VALUE).into_vec();
            let text = String::from_utf8_lossy(trim(&texts)).into_owned();
            crate::decode::json::write_string(&text, &mut json);
        }
        super::object::close(0, &mut json);
        detail.json = String::from_utf8_lossy(&json).into_owned().into_bytes();
        Ok(Some(detail))
    }
}

/// The fault of the WSDL that has this element in its detail.
fn declared(plan: &Plan, name: Option<Name>) -> Option<&str> {
    let is_it = |fault: &&crate::wsdl::Fault| fault.detail.as_ref().is_some_and(|detail| Some(detail.name) == name);
    plan.operation.faults.iter().find(is_it).map(|fault| &*fault.name)
}
