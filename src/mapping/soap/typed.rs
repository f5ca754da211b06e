//! Calls that are written by the WSDL: the plan of an operation, and a request that was checked against it.

use super::pieces::{Given, Known};
use super::services::{ServiceWsdl, Services};
use super::template::{Compiler, Template};
use crate::diagnostic::{Diagnostic, Faults, Node, nearest};
use crate::wsdl::{self, Choice, Plan};

/// A call, ready to be made with the values of its places.
#[derive(Clone, Debug)]
pub(in crate::mapping) struct Typed {
    pub(in crate::mapping) plan: Plan,
    template: Template,
}

impl Typed {
    /// The envelope with these values; the fault says what the schema does not allow.
    pub(in crate::mapping) fn render(&self, given: &dyn Given) -> Result<String, String> {
        let envelope = self.plan.request(&self.template.render(given)).map_err(|faults| {
            let told = faults.iter().take(5).map(|fault| match fault.pointer.as_str() {
                "" => fault.detail.clone(),
                pointer => format!("{pointer}: {}", fault.detail),
            });
            told.collect::<Vec<_>>().join("; ")
        })?;
        Ok(envelope.to_text(&[], ""))
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
        ServiceWsdl::Read { wsdl, .. } => match wsdl.plan(name, &Choice::default()) {
            Ok(plan) => Some(plan),
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
            Err(other) => fail(operation.fault(other.to_string())),
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
    let template = compiler.request(request, plan.operation.input.body.ty, &name)?;
    for place in needed.iter().filter(|place| !template.uses(place)) {
        let fault =
            request.key_fault(format!("the request has no place for `{{{place}}}`: every call would ask the same"));
        faults.push(fault.help(format!("write \"{{{place}}}\" where the service expects it")));
    }
    (faults.len() == before).then_some(Typed { plan, template })
}
