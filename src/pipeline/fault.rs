//! What a fault of a service means by its mapping, and what calls of services have in common.

use std::io::Cursor;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::adapters::soap::{Fault, SoapError, Trouble, Version};
use crate::decode::soap::{Settings, Soap};
use crate::decode::xml::{ValuePath, pick};
use crate::mapping::{FaultFacts, FaultRule, Judgement, Operation, SaidNo, SoapVersion};
use crate::wsdl::Plan;

/// How a call ended, for the metrics.
pub(super) fn outcome_of(error: &SoapError) -> &'static str {
    match error {
        SoapError::Fault(_) => "fault",
        SoapError::Denied { .. } | SoapError::Login { .. } | SoapError::Secret(_) | SoapError::Unsendable { .. } => {
            "denied"
        }
        SoapError::Own { .. } => "own_resources",
        SoapError::Unreachable { .. } => "unreachable",
        SoapError::NoEnvelope { .. }
        | SoapError::Odd { .. }
        | SoapError::Cut { .. }
        | SoapError::TooLarge { .. }
        | SoapError::Untrusted { .. } => "bad_answer",
        SoapError::Lost { .. } | SoapError::Silent { .. } => "lost",
    }
}

/// The SOAP of a mapping in the adapter's words.
pub(super) fn version(version: SoapVersion) -> Version {
    match version {
        SoapVersion::V11 => Version::V11,
        SoapVersion::V12 => Version::V12,
    }
}

/// The faults that the mapping says pass: the service is in trouble then, and its gate is to know.
pub(super) fn trouble(judgement: &Arc<Judgement>) -> Trouble {
    let judgement = Arc::clone(judgement);
    match judgement.rules.iter().any(|rule| rule.passes) {
        true => Trouble::of(move |fault| rule(&judgement, fault).is_some_and(|rule| rule.passes)),
        false => Trouble::default(),
    }
}

/// An answer that is a no, as the fault that it means.
pub(super) fn of_answer(no: SaidNo) -> Box<Fault> {
    Box::new(Fault { code: no.code, reason: no.message, ..Fault::default() })
}

/// What the mapping says of a fault.
pub(super) fn rule<'j>(judgement: &'j Judgement, fault: &Fault) -> Option<&'j FaultRule> {
    let paths = judgement.paths();
    let detail = fault.detail.as_ref().filter(|_| !paths.is_empty());
    let below: Vec<ValuePath> = paths.iter().map(|path| path.below(&["detail"])).collect();
    // A detail that cannot be read says nothing at these places.
    let values = detail.and_then(|detail| pick(Cursor::new(&detail[..]), &below.iter().collect::<Vec<_>>()).ok());
    let values = values.unwrap_or_else(|| vec![None; paths.len()]);
    let facts = FaultFacts {
        code: &fault.code,
        subcodes: &fault.subcodes,
        detail: fault.subcodes.last().map(String::as_str),
        values: &values,
    };
    judgement.rule(facts)
}

/// A service's own no, as callers are told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceFault {
    /// Its code.
    pub code: String,
    /// What it says to people; empty where it says nothing.
    pub reason: String,
    /// The status of the answer, where the mapping or the fault's code says one.
    pub status: Option<u16>,
    /// The problem's title, where the mapping says one.
    pub title: Option<String>,
    /// Whether it passes by itself.
    pub passes: bool,
    /// All of it as a JSON object: `version`, `code`, `subcodes`, `actor`, `detail`.
    pub soap: String,
}

/// Codes that say that our own credentials are no good (WS-Security, section 12): no fault of the caller's.
const OF_CREDENTIALS: [&str; 8] = [
    "FailedAuthentication",
    "FailedCheck",
    "InvalidSecurity",
    "InvalidSecurityToken",
    "MessageExpired",
    "SecurityTokenUnavailable",
    "UnsupportedAlgorithm",
    "UnsupportedSecurityToken",
];

/// A fault as callers are told it. `plan` types its detail.
pub(super) fn told(judgement: &Judgement, plan: Option<&Plan>, fault: &Fault) -> ServiceFault {
    let rule = rule(judgement, fault);
    // Codes of SOAP 1.1 may be made more precise behind a dot.
    let kind = fault.code.split('.').next().unwrap_or_default();
    let codes = || std::iter::once(&fault.code).chain(&fault.subcodes);
    let is_ours = codes().any(|code| OF_CREDENTIALS.contains(&code.as_str()));
    let usual = plan.map(|_| match kind {
        _ if fault.status == 503 => 503,
        "Client" | "Sender" if !is_ours && !fault.says_trouble() => 422,
        _ => 502,
    });
    let typed = plan.and_then(|plan| typed(plan, fault));
    let subcodes: Vec<&str> = match &typed {
        Some(typed) => typed.subcodes.iter().map(|code| code.local.as_str()).collect(),
        None => fault.subcodes.iter().map(String::as_str).collect(),
    };
    let detail = typed.as_ref().and_then(|typed| typed.detail.as_ref());
    let detail = detail.and_then(|detail| String::from_utf8(detail.json.clone()).ok());
    let detail: Option<Box<RawValue>> = detail.and_then(|json| RawValue::from_string(json).ok());
    let version = match fault.version {
        Version::V11 => "1.1",
        Version::V12 => "1.2",
    };
    let mut soap = json!({ "version": version, "code": fault.code, "subcodes": subcodes });
    if !fault.actor.is_empty() {
        soap["actor"] = json!(fault.actor);
    }
    let mut soap = soap.to_string();
    if let Some(detail) = detail {
        // As it was read, with all its digits.
        soap.pop();
        soap.push_str(",\"detail\":");
        soap.push_str(detail.get());
        soap.push('}');
    }
    ServiceFault {
        code: fault.code.clone(),
        reason: fault.reason.clone(),
        status: rule.map(|rule| rule.status).or(usual),
        title: rule.and_then(|rule| rule.title.clone()),
        passes: rule.map_or_else(|| fault.says_trouble(), |rule| rule.passes),
        soap,
    }
}

/// The fault once more, read by the plan.
fn typed(plan: &Plan, fault: &Fault) -> Option<crate::decode::soap::Fault> {
    let detail = std::str::from_utf8(fault.detail.as_ref()?).ok()?;
    let envelope = SoapVersion::V11.envelope();
    let text = format!("<s:Envelope xmlns:s=\"{envelope}\"><s:Body><s:Fault>{detail}</s:Fault></s:Body></s:Envelope>");
    let soap = Soap::new(plan.clone(), Settings::default()).ok()?;
    let typed = soap.fault(text.as_bytes())?;
    let mut subcodes = fault.subcodes.clone();
    // The adapter counts the first element of the detail among them.
    if let Some(element) = typed.detail.as_ref().and_then(|detail| detail.element.as_ref())
        && subcodes.last() == Some(&element.local)
    {
        subcodes.pop();
    }
    let name = |local: String| crate::decode::soap::FaultName { namespace: String::new(), local };
    Some(crate::decode::soap::Fault { subcodes: subcodes.into_iter().map(name).collect(), ..typed })
}

/// An answer that is no fault and a no all the same is one.
pub(super) fn judged(operation: &Operation, envelope: &[u8]) -> Result<(), Box<Fault>> {
    judged_by(&operation.judgement, envelope)
}

/// See [`judged`].
pub(super) fn judged_by(judgement: &Judgement, envelope: &[u8]) -> Result<(), Box<Fault>> {
    let Some(error_when) = &judgement.error_when else { return Ok(()) };
    // What cannot be read is found when it is decoded.
    let Ok(values) = pick(Cursor::new(envelope), &error_when.paths()) else { return Ok(()) };
    match error_when.judge(&values) {
        Some(no) => Err(of_answer(no)),
        None => Ok(()),
    }
}
