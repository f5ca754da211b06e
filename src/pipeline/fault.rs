//! What a fault of a service means by its mapping, and what calls of services have in common.

use crate::adapters::soap::{Fault, SoapError, Version};
use crate::mapping::{FaultFacts, FaultRule, Judgement, SaidNo, SoapVersion};

/// How a call ended, for the metrics.
pub(super) fn outcome_of(error: &SoapError) -> &'static str {
    match error {
        SoapError::Fault(_) => "fault",
        SoapError::Denied { .. } | SoapError::Secret(_) => "denied",
        SoapError::Unreachable { .. } => "unreachable",
        SoapError::NoEnvelope { .. } | SoapError::Cut { .. } | SoapError::TooLarge { .. } => "bad_answer",
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

/// An answer that is a no, as the fault that it means.
pub(super) fn of_answer(no: SaidNo) -> Fault {
    Fault { code: no.code, reason: no.message, ..Fault::default() }
}

/// What the mapping says of a fault.
pub(super) fn rule<'j>(judgement: &'j Judgement, fault: &Fault) -> Option<&'j FaultRule> {
    let values: Vec<Option<String>> = judgement.paths().iter().map(|_| None).collect();
    let facts = FaultFacts {
        code: &fault.code,
        subcodes: &fault.subcodes,
        detail: fault.subcodes.last().map(String::as_str),
        values: &values,
    };
    judgement.rule(facts)
}
