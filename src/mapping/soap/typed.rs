//! Calls that are written by the WSDL: the plan of an operation, and a request that was checked against it.

use super::pieces::{Given, Known};
use super::services::{ServiceWsdl, Services};
use super::template::{Compiler, Template};
use crate::diagnostic::{Diagnostic, Entries, Faults, Node, Written, nearest};
use crate::wsdl::{self, ATTACHMENTS, Attached, BODY, HEADERS, Plan};

/// What is sent: an envelope, and what goes beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The envelope.
    pub envelope: String,
    /// Parts beside it.
    pub attachments: Vec<Attached>,
    /// It goes as an XOP package (MTOM), whether anything is beside it or not.
    pub is_package: bool,
}

/// A call, ready to be made with the values of its places.
#[derive(Clone, Debug)]
pub(in crate::mapping) struct Typed {
    pub(in crate::mapping) plan: Plan,
    template: Template,
    /// Whether it goes as an XOP package (MTOM), its bytes beside the envelope.
    pub(in crate::mapping) is_packaged: bool,
}

impl Typed {
    /// The message with these values; the fault says what the schema does not allow.
    pub(in crate::mapping) fn render(&self, given: &dyn Given) -> Result<Sent, String> {
        let request = self.template.render(given);
        let envelope = match self.is_packaged {
            true => self.plan.packaged_request(&request),
            false => self.plan.request(&request),
        };
        let envelope = envelope.map_err(|faults| {
            let told = faults.iter().take(5).map(|fault| match fault.pointer.as_str() {
                "" => fault.detail.clone(),
                pointer => format!("{pointer}: {}", fault.detail),
            });
            told.collect::<Vec<_>>().join("; ")
        })?;
        Ok(Sent {
            envelope: envelope.to_text(&[], ""),
            attachments: envelope.attachments,
            is_package: self.is_packaged,
        })
    }

    /// What it asks, whatever the values.
    pub(in crate::mapping) fn question(&self) -> String {
        format!("{} {:?}", self.plan.operation.name, self.template)
    }
}

/// What is wrong with an operation's name or its WSDL, where it is written.
pub(in crate::mapping) fn plan_of(
    services: &dyn Services,
    backend: Option<&str>,
    operation: &Node,
    faults: &Faults,
) -> Option<Plan> {
    let name = operation.as_str()?;
    let fail = |fault: Diagnostic| {
        faults.push(fault);
        None
    };
    // A backend that is not named, or is none, is a fault elsewhere.
    let backend = backend?;
    match services.wsdl(backend) {
        ServiceWsdl::Unknown => None,
        ServiceWsdl::None => {
            let fault = operation.fault(format!("backend `{backend}` names no WSDL that would have the operation"));
            fail(fault.help("add `wsdl` to its `[backends.NAME.soap]`, or write the `envelope` out"))
        }
        ServiceWsdl::Unreadable(reason) => {
            fail(operation.fault(format!("the WSDL of backend `{backend}` cannot be read: {reason}")))
        }
        ServiceWsdl::Read { wsdl, choice, .. } => match wsdl.plan_preferring(name, &choice) {
            Ok(plan) => Some(plan),
            Err(wsdl::NoPlan::Unknown { .. })
                if choice.port.as_ref().is_some_and(|port| !wsdl.ports().any(|known| known == port)) =>
            {
                let port = choice.port.as_deref().unwrap_or_default();
                let fault = operation.fault(format!("the WSDL of backend `{backend}` has no port `{port}`"));
                let ports: Vec<&str> = wsdl.ports().collect();
                fail(fault.help(format!("its `port` is one of: {}", ports.join(", "))))
            }
            Err(fault @ wsdl::NoPlan::Ambiguous { .. }) => {
                let fault = operation.fault(fault.to_string());
                fail(fault.help("say by `port` of the backend which of them is at its `endpoint`"))
            }
            Err(wsdl::NoPlan::Unknown { .. }) => {
                let names = || wsdl.operations.iter().map(|operation| &*operation.name);
                let fault = operation.fault(format!("the WSDL of backend `{backend}` has no operation `{name}`"));
                fail(match nearest(name, names()) {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None => {
                        let mut names: Vec<&str> = names().collect();
                        names.dedup();
                        names.truncate(30);
                        fault.help(format!("there are: {}", names.join(", ")))
                    }
                })
            }
        },
    }
}

/// Compiles a request for the operation of a plan.
pub(in crate::mapping) fn compile(
    plan: Plan,
    request: &Node,
    known: &dyn Known,
    needed: &[&str],
    faults: &Faults,
) -> Option<Typed> {
    let before = faults.len();
    let compiler = Compiler { types: &plan.types, known, faults };
    let name = plan.operation.name.to_string();
    let template = match request.as_table().filter(|entries| is_apart(&plan, entries)) {
        None => {
            if let Some(part) = plan.operation.input.attachments.first() {
                let fault = request
                    .key_fault(format!("the request has no part `{}`, which goes beside the envelope", part.part));
                let help = format!(
                    "write {{ {BODY} = {{ ... }}, {ATTACHMENTS} = {{ {} = \"{{field}}\" }} }}, in base64",
                    part.part
                );
                faults.push(fault.help(help));
            }
            compiler.request(request, plan.operation.input.body.ty, &name)?
        }
        Some(entries) => apart(&compiler, &plan, request, entries)?,
    };
    for place in needed.iter().filter(|place| !template.uses(place)) {
        let fault =
            request.key_fault(format!("the request has no place for `{{{place}}}`: every call would ask the same"));
        faults.push(fault.help(format!("write \"{{{place}}}\" where the service expects it")));
    }
    let is_packaged = plan.operation.requires_mtom;
    (faults.len() == before).then_some(Typed { plan, template, is_packaged })
}

/// Whether headers, body and attachments are written apart: the request has nothing but these.
fn is_apart(plan: &Plan, entries: &Entries) -> bool {
    !entries.is_empty() && entries.keys().all(|name| plan.operation.input.is_part(name))
}

/// Compiles headers, body and attachments, each by its types.
fn apart(compiler: &Compiler<'_>, plan: &Plan, request: &Node, parts: &Entries) -> Option<Template> {
    let (headers, body) = (parts.get(HEADERS), parts.get(BODY));
    let nothing = Node { value: Written::Table(Entries::default()), ..request.clone() };
    let known = &plan.operation.input.headers;
    let of = |name: &str| known.iter().find(|header| *header.json == *name);
    let mut blocks = Vec::new();
    let headers = headers.unwrap_or(&nothing);
    let Some(entries) = headers.as_table() else {
        compiler.faults.push(headers.fault(format!("`{HEADERS}` is an object, found {}", headers.kind())));
        return None;
    };
    let mut is_sound = true;
    for (name, node) in entries {
        let Some(header) = of(name) else {
            let fault = node.key_fault(format!("the operation has no header `{name}`"));
            compiler.faults.push(match nearest(name, known.iter().map(|header| &*header.json)) {
                Some(near) => fault.help(format!("did you mean `{near}`?")),
                None => fault.help(format!("there are: {}", listed(plan))),
            });
            is_sound = false;
            continue;
        };
        match compiler.request(node, header.element.ty, name) {
            Some(block) => blocks.push((name.as_str().into(), block)),
            None => is_sound = false,
        }
    }
    for header in known.iter().filter(|header| header.is_required && !entries.contains_key(&*header.json)) {
        compiler.faults.push(headers.fault(format!("`{HEADERS}` has no `{}`, which the service needs", header.json)));
        is_sound = false;
    }
    let body = compiler.request(body.unwrap_or(&nothing), plan.operation.input.body.ty, &plan.operation.name)?;
    let attached = attachments(compiler, plan, parts.get(ATTACHMENTS).unwrap_or(&nothing))?;
    let mut message = vec![(BODY.into(), body)];
    for (name, members) in [(HEADERS, blocks), (ATTACHMENTS, attached)] {
        if !members.is_empty() {
            message.push((name.into(), Template::Object(members)));
        }
    }
    is_sound.then_some(Template::Object(message))
}

/// Compiles what goes beside the envelope: each part a text in base64, or a table of it and its content type.
fn attachments(compiler: &Compiler<'_>, plan: &Plan, written: &Node) -> Option<Vec<(Box<str>, Template)>> {
    let declared = &plan.operation.input.attachments;
    let Some(entries) = written.as_table() else {
        compiler.faults.push(written.fault(format!("`{ATTACHMENTS}` is an object, found {}", written.kind())));
        return None;
    };
    let before = compiler.faults.len();
    let mut parts = Vec::new();
    for (name, node) in entries {
        if !declared.iter().any(|attachment| *attachment.part == **name) {
            let names: Vec<&str> = declared.iter().map(|attachment| &*attachment.part).collect();
            let fault = node.key_fault(format!("the operation has no part `{name}` beside its envelope"));
            compiler.faults.push(fault.help(format!("there are: {}", names.join(", "))));
            continue;
        }
        parts.extend(compiler.open(node, name).map(|part| (name.as_str().into(), part)));
    }
    for attachment in declared.iter().filter(|attachment| !entries.contains_key(&*attachment.part)) {
        compiler
            .faults
            .push(written.fault(format!("`{ATTACHMENTS}` has no `{}`, which the service needs", attachment.part)));
    }
    (compiler.faults.len() == before).then_some(parts)
}

/// The headers that an operation declares.
fn listed(plan: &Plan) -> String {
    let names: Vec<&str> = plan.operation.input.headers.iter().map(|header| &*header.json).collect();
    names.join(", ")
}
