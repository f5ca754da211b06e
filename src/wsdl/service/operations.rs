//! Operations, as the ports and bindings of a WSDL offer them.

use std::collections::{HashMap, HashSet};

use super::Importer;
use super::messages::Asked;
use crate::wsdl::import::finding::FindingCode;
use crate::wsdl::import::well_known::{SOAP_11, SOAP_12, WSDL};
use crate::wsdl::schema::At;
use crate::wsdl::{Operation, SoapVersion, Style};

/// A port, or a binding that no port has.
#[derive(Clone, Copy)]
struct Port<'a> {
    service: &'a str,
    name: &'a str,
    address: Option<&'a str>,
    binding: At<'a>,
    /// A policy demands XOP packages of all its operations.
    requires_mtom: bool,
}

/// More operations are not read.
const MAX_OPERATIONS: usize = 20_000;

impl<'a> Importer<'a> {
    /// All operations, by service, port and the order of the binding.
    pub(super) fn operations(&mut self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for port in self.ports() {
            let before = operations.len();
            self.of_port(port, &mut operations);
            let mut known: HashMap<Box<str>, usize> = HashMap::new();
            for operation in &mut operations[before..] {
                let count = known.entry(operation.name.clone()).or_default();
                *count += 1;
                if *count > 1 {
                    operation.name = format!("{}_{count}", operation.name).into();
                }
            }
        }
        operations
    }

    fn ports(&mut self) -> Vec<Port<'a>> {
        let (mut ports, mut used) = (Vec::new(), HashSet::new());
        for service in self.declared.services.all.clone() {
            for node in service.node.children().filter(|child| child.is(WSDL, "port")) {
                let at = service.to(node);
                let binding = node.attr("binding").unwrap_or_default();
                let Some((found, is_local)) = self.declared.bindings.find(node, binding) else {
                    let message = format!("the port's binding `{binding}` is not declared; the port is left out");
                    self.note(FindingCode::UnknownName, at, message);
                    continue;
                };
                if is_local {
                    let message = format!("the binding `{binding}` is not declared; one with this local name is taken");
                    self.note(FindingCode::TakenByLocalName, at, message);
                }
                used.insert(found);
                let address = node.children().find(|child| child.local() == "address");
                let binding = self.declared.bindings.all[found];
                ports.push(Port {
                    service: service.node.attr("name").unwrap_or_default(),
                    name: node.attr("name").unwrap_or_default(),
                    address: address.and_then(|address| address.attr("location")),
                    binding,
                    requires_mtom: self.demands_mtom(at) || self.demands_mtom(binding),
                });
            }
        }
        // A WSDL without a service describes an interface: what it binds can be called all the same.
        for (index, binding) in self.declared.bindings.all.clone().into_iter().enumerate() {
            if !used.contains(&index) {
                let requires_mtom = self.demands_mtom(binding);
                ports.push(Port { service: "", name: "", address: None, binding, requires_mtom });
            }
        }
        ports
    }

    /// Whether the policies of a binding, a port or an operation demand XOP packages.
    fn demands_mtom(&mut self, at: At<'a>) -> bool {
        for uri in self.declared.policies.missing(at.node) {
            let message = format!("the policy `{uri}` is not declared; what it demands is not known");
            self.note(FindingCode::Odd, at, message);
        }
        self.declared.policies.demand_mtom(at.node)
    }

    fn of_port(&mut self, port: Port<'a>, operations: &mut Vec<Operation>) {
        let at = port.binding;
        let name = at.node.attr("name").unwrap_or_default();
        let soap =
            at.node.children().find(|child| child.local() == "binding" && matches!(child.uri(), SOAP_11 | SOAP_12));
        let Some(soap) = soap else {
            self.note(FindingCode::LeftOut, at, format!("the binding `{name}` is not for SOAP, and left out"));
            return;
        };
        let transport = soap.attr("transport").unwrap_or_default().trim();
        if !transport.is_empty() && !transport.to_ascii_lowercase().contains("http") {
            let message = format!("the binding `{name}` has the transport `{transport}`, and is left out");
            self.note(FindingCode::LeftOut, at, message);
            return;
        }
        let port_type = at.node.attr("type").unwrap_or_default();
        let Some((found, is_local)) = self.declared.port_types.find(at.node, port_type) else {
            let message =
                format!("the port type `{port_type}` of the binding `{name}` is not declared; it is left out");
            self.note(FindingCode::UnknownName, at, message);
            return;
        };
        if is_local {
            let message = format!("the port type `{port_type}` is not declared; one with this local name is taken");
            self.note(FindingCode::TakenByLocalName, at, message);
        }
        let port_type = self.declared.port_types.all[found];
        for node in at.node.children().filter(|child| child.is(WSDL, "operation")) {
            if operations.len() >= MAX_OPERATIONS {
                let message = format!("there are more than {MAX_OPERATIONS} operations; the rest is left out");
                self.note(FindingCode::TooLarge, at.to(node), message);
                return;
            }
            let soap = (soap.uri(), soap.attr("style"));
            operations.extend(self.operation(port, port_type, at.to(node), soap));
        }
    }

    fn operation(
        &mut self,
        port: Port<'a>,
        port_type: At<'a>,
        at: At<'a>,
        (soap, style): (&'a str, Option<&'a str>),
    ) -> Option<Operation> {
        let name = at.node.attr("name").unwrap_or_default().trim();
        let Some(declared) = overload(port_type, at) else {
            let message = format!("the operation `{name}` is not in the port type of its binding; it is left out");
            self.note(FindingCode::UnknownName, at, message);
            return None;
        };
        let child = |at: At<'a>, local: &'static str| {
            at.node.children().find(|child| child.is(WSDL, local)).map(|child| at.to(child))
        };
        let Some(input) = child(declared, "input") else {
            let message =
                format!("the operation `{name}` has no input: the service calls, and is not called; it is left out");
            self.note(FindingCode::LeftOut, at, message);
            return None;
        };
        let extension = at.node.children().find(|child| child.is(soap, "operation"));
        let is_rpc = extension.and_then(|extension| extension.attr("style")).or(style) == Some("rpc");
        let asked = |binding, wrapper: String| Asked { binding, soap, is_rpc, wrapper };
        let (sent, is_encoded) = self.message(input, &asked(child(at, "input"), name.to_owned()));
        let answered = child(declared, "output")
            .map(|output| self.message(output, &asked(child(at, "output"), format!("{name}Response"))).0);
        let faults = declared.node.children().filter(|child| child.is(WSDL, "fault"));
        let faults = faults.map(|fault| self.fault(declared.to(fault))).collect();
        self.compiler.drain();
        let style = self.style(name, &sent, is_rpc, is_encoded);
        if is_encoded && style != Style::RpcEncoded {
            self.note(FindingCode::Odd, at, "a document is said to be encoded; it is taken as literal");
        }
        let bound_input = child(at, "input");
        let requires_mtom =
            port.requires_mtom || self.demands_mtom(at) || bound_input.is_some_and(|bound| self.demands_mtom(bound));
        let action = extension.and_then(|extension| extension.attr("soapAction")).unwrap_or_default();
        let is_one_way = answered.is_none();
        let documentation = child(declared, "documentation").and_then(|node| node.node.text());
        let documentation = documentation.map(str::trim).filter(|text| !text.is_empty());
        Some(Operation {
            name: name.into(),
            service: port.service.into(),
            port: port.name.into(),
            binding: port.binding.node.attr("name").unwrap_or_default().into(),
            version: if soap == SOAP_12 { SoapVersion::V12 } else { SoapVersion::V11 },
            style,
            action: action.into(),
            addressing_action: self.addressing_action(action, (port_type, declared, input), is_one_way).into(),
            address: port.address.map(Into::into),
            requires_mtom,
            input: sent,
            output: answered,
            faults,
            documentation: documentation.map(Into::into),
            findings: Vec::new(),
            is_degraded: false,
        })
    }

    /// The action of WS-Addressing: as it is declared, else that of SOAP, else made by its rule (WS-Addressing Metadata,
    /// 4.4.1 to 4.4.4).
    fn addressing_action(
        &self,
        action: &str,
        (port_type, operation, input): (At<'a>, At<'a>, At<'a>),
        is_one_way: bool,
    ) -> String {
        let spaces = ["http://www.w3.org/2007/05/addressing/metadata", "http://www.w3.org/2006/05/addressing/wsdl"];
        if let Some(action) = spaces.iter().find_map(|uri| input.node.attr_of(uri, "Action")) {
            return action.to_owned();
        }
        if !action.is_empty() {
            return action.to_owned();
        }
        let namespace = &self.compiler.schemas.contexts[port_type.context].namespace;
        let separator = if namespace.starts_with("urn:") { ':' } else { '/' };
        let gap = if namespace.ends_with(separator) { String::new() } else { separator.to_string() };
        let message = match input.node.attr("name") {
            Some(name) => name.to_owned(),
            // What names of messages are where none are said (WSDL 1.1 section 2.4.5).
            None => format!(
                "{}{}",
                operation.node.attr("name").unwrap_or_default(),
                if is_one_way { "" } else { "Request" }
            ),
        };
        format!("{namespace}{gap}{}{separator}{message}", port_type.node.attr("name").unwrap_or_default())
    }
}

/// The operation of a port type that a binding's operation means: by name, and where there are several, by the names of
/// their messages.
fn overload<'a>(port_type: At<'a>, bound: At<'a>) -> Option<At<'a>> {
    let name = bound.node.attr("name").map(str::trim);
    let same: Vec<At<'a>> = port_type
        .node
        .children()
        .filter(|child| child.is(WSDL, "operation") && child.attr("name").map(str::trim) == name)
        .map(|child| port_type.to(child))
        .collect();
    let message = |at: At<'a>, local: &str| {
        at.node.children().find(|child| child.is(WSDL, local)).and_then(|child| child.attr("name"))
    };
    let fits = |at: &&At<'a>| {
        ["input", "output"].iter().all(|local| match (message(**at, local), message(bound, local)) {
            (Some(own), Some(bound)) => own == bound,
            _ => true,
        })
    };
    if same.len() > 1 { same.iter().find(fits).copied() } else { same.first().copied() }
}
