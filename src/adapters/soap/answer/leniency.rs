//! What of an answer was not as SOAP and HTTP want it, and was taken all the same: counted, so that nothing is lenient in
//! silence, and told where a mapping takes nothing of the kind.

use super::Head;
use super::envelope::Verdict;
use crate::adapters::soap::Version;

/// What was not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leniency {
    /// Something stood before or behind the envelope.
    Junk,
    /// Parts came that nothing had announced.
    Parts,
    /// It was compressed although nothing said so.
    Compressed,
    /// A message came with a status of failure.
    Status,
    /// A fault came with a status of success.
    FaultStatus,
    /// It was in another encoding than was said.
    Encoding,
    /// It said no media type, or another than its SOAP has: `text/xml` for SOAP 1.1 (section 6), `application/soap+xml` for
    /// SOAP 1.2 (part 2, section 7.1.4).
    ContentType,
    /// It was of the other SOAP than what was sent: an answer is of the same (SOAP 1.2 part 1, appendix A).
    Version,
}

impl Leniency {
    /// The word for it, in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Leniency::Junk => "junk_around_the_envelope",
            Leniency::Parts => "parts_unannounced",
            Leniency::Compressed => "compression_unannounced",
            Leniency::Status => "message_with_failure_status",
            Leniency::FaultStatus => "fault_with_success_status",
            Leniency::Encoding => "wrong_encoding",
            Leniency::ContentType => "wrong_content_type",
            Leniency::Version => "other_soap_version",
        }
    }

    /// It as a clause, with what the answer's head says of it.
    fn clause(self, head: &Head<'_>) -> String {
        let said = |what: &str| format!("{what} {}", head.status);
        match self {
            Leniency::Junk => "something stands before or behind its envelope".to_owned(),
            Leniency::Parts => "it is in parts that nothing had announced, or by another boundary".to_owned(),
            Leniency::Compressed => "it is compressed although nothing says so".to_owned(),
            Leniency::Status => said("it is a message with the status"),
            Leniency::FaultStatus => said("it is a fault with the status"),
            Leniency::Encoding => "it is in another encoding than it says".to_owned(),
            Leniency::ContentType => match bare(head.media_type) {
                None => "it has no content type".to_owned(),
                Some(kind) if kind.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/")) => {
                    "its content type, or that of its part with the envelope, is none of SOAP's".to_owned()
                }
                Some(kind) => format!("its content type is `{}`", super::fault::shortened(kind, 100)),
            },
            Leniency::Version => match head.asked {
                Version::V11 => "it is of SOAP 1.2, and what was sent is of SOAP 1.1".to_owned(),
                Version::V12 => "it is of SOAP 1.1, and what was sent is of SOAP 1.2".to_owned(),
            },
        }
    }
}

/// All of it as a sentence's end.
pub(in crate::adapters::soap) fn told(leniencies: &[Leniency], head: &Head<'_>) -> String {
    let clauses: Vec<String> = leniencies.iter().map(|leniency| leniency.clause(head)).collect();
    clauses.join("; ")
}

/// What does not fit together of an answer and its head; `root` is what the part with the envelope says to be, where it is in
/// parts.
pub(super) fn of_head(verdict: &Verdict, head: &Head<'_>, root: Option<&str>) -> Vec<Leniency> {
    let is_success = (200..300).contains(&head.status);
    let (version, wrong_status, may_be_other) = match verdict {
        Verdict::Message(version) => (*version, (!is_success).then_some(Leniency::Status), false),
        Verdict::Fault(fault) => {
            // Whoever does not know the version that was sent says so in its own.
            (fault.version, is_success.then_some(Leniency::FaultStatus), fault.code == "VersionMismatch")
        }
        Verdict::Other(_) => return Vec::new(),
    };
    let is_other = version != head.asked && !may_be_other;
    let right = match version {
        Version::V11 => "text/xml",
        Version::V12 => "application/soap+xml",
    };
    let is = |right: &str| bare(root.or(head.media_type)).is_some_and(|kind| kind.eq_ignore_ascii_case(right));
    // That of XOP packages, whichever SOAP is in them.
    let is_right = is(right) || (root.is_some() && is("application/xop+xml"));
    let wrong_kind = (!is_right).then_some(Leniency::ContentType);
    [wrong_status, wrong_kind, is_other.then_some(Leniency::Version)].into_iter().flatten().collect()
}

/// A media type without its parameters; `None` where nothing is said.
fn bare(media_type: Option<&str>) -> Option<&str> {
    media_type.and_then(|kind| kind.split(';').next()).map(str::trim).filter(|kind| !kind.is_empty())
}
