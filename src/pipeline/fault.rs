//! What a fault of a service means by its mapping, and what calls of services have in common.

use std::io::Cursor;

use crate::adapters::soap::{Fault, SoapError, Version};
use crate::decode::xml::{ValuePath, pick};
use crate::mapping::{FaultFacts, FaultRule, Judgement, SaidNo, SoapVersion};

/// How a call ended, for the metrics.
pub(super) fn outcome_of(error: &SoapError) -> &'static str {
    match error {
        SoapError::Fault(_) => "fault",
        SoapError::Denied { .. } | SoapError::Login { .. } | SoapError::Secret(_) | SoapError::Unsendable { .. } => {
            "denied"
        }
        SoapError::Unreachable { .. } => "unreachable",
        SoapError::NoEnvelope { .. }
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
