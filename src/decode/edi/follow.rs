//! What is open while a file is read, and what its headers and trailers have to say of one another.

use std::sync::Arc;

use super::envelope::{GROUP, Header, Interchange, Seen, Sighting, Syntax, same_number};
use super::segment::{Span, released, text_of};
use super::syntax::{Standard, may_start};
use crate::decode::reader::length32;
use crate::record::RejectCode;

/// The interchange that is open, and its group.
pub(super) struct Open {
    pub(super) interchange: Interchange,
    pub(super) again: bool,
    pub(super) groups: Seen,
    pub(super) group_count: u64,
    /// Messages outside of groups.
    pub(super) messages: Seen,
    pub(super) message_count: u64,
    pub(super) group: Option<OpenGroup>,
}

pub(super) struct OpenGroup {
    pub(super) header: Arc<Header>,
    pub(super) again: bool,
    pub(super) messages: Seen,
    pub(super) message_count: u64,
}

/// What a segment is to the envelopes, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Start,
    GroupHeader,
    MessageHeader,
    MessageTrailer,
    GroupTrailer,
    InterchangeTrailer,
    Acknowledgement,
    Other,
}

impl Role {
    pub(super) fn of(standard: Standard, segment: &[u8], id: &[u8]) -> Role {
        match (standard, id) {
            (_, b"ISA" | b"UNA" | b"UNB") if may_start(segment) => Role::Start,
            (_, _) if segment.starts_with(b"UNA") && may_start(segment) => Role::Start,
            (Standard::X12, b"GS") | (Standard::Edifact, b"UNG") => Role::GroupHeader,
            (Standard::X12, b"ST") | (Standard::Edifact, b"UNH") => Role::MessageHeader,
            (Standard::X12, b"SE") | (Standard::Edifact, b"UNT") => Role::MessageTrailer,
            (Standard::X12, b"GE") | (Standard::Edifact, b"UNE") => Role::GroupTrailer,
            (Standard::X12, b"IEA") | (Standard::Edifact, b"UNZ") => Role::InterchangeTrailer,
            (Standard::X12, b"TA1") => Role::Acknowledgement,
            _ => Role::Other,
        }
    }
}

/// The names of the service segments, for messages.
pub(super) struct Names {
    pub(super) message: (&'static str, &'static str),
    pub(super) group: (&'static str, &'static str),
    pub(super) interchange: (&'static str, &'static str),
}

pub(super) fn names(standard: Standard) -> Names {
    match standard {
        Standard::X12 => Names { message: ("ST", "SE"), group: ("GS", "GE"), interchange: ("ISA", "IEA") },
        Standard::Edifact => Names { message: ("UNH", "UNT"), group: ("UNG", "UNE"), interchange: ("UNB", "UNZ") },
    }
}

/// What is wrong, before it is a reject: code, expected, found, and the field with its place.
pub(super) struct Wrong {
    pub(super) code: RejectCode,
    pub(super) expected: String,
    pub(super) found: String,
    pub(super) field: Option<(String, Span)>,
}

impl Wrong {
    pub(super) fn new(code: RejectCode, expected: impl Into<String>, found: impl Into<String>) -> Wrong {
        Wrong { code, expected: expected.into(), found: found.into(), field: None }
    }

    pub(super) fn at(self, field: impl Into<String>, span: Span) -> Wrong {
        Wrong { field: Some((field.into(), span)), ..self }
    }
}

impl Open {
    /// Counts a message and enters its control number, in its group or in the interchange.
    pub(super) fn enter(&mut self, number: &[u8]) -> Sighting {
        let (seen, count) = match &mut self.group {
            Some(group) => (&mut group.messages, &mut group.message_count),
            None => (&mut self.messages, &mut self.message_count),
        };
        *count += 1;
        seen.enter(number)
    }

    /// What is wrong with where a message stands, or with its number.
    pub(super) fn sighted(&self, sighting: Sighting, number: &str, header: &str) -> Option<Wrong> {
        let duplicate = |expected: String| Some(Wrong::new(RejectCode::Duplicate, expected, "the same number again"));
        match (&self.group, sighting) {
            _ if self.again => {
                let number = self.interchange.control_number();
                duplicate(format!("an interchange other than {number}, which has come before in the file"))
            }
            (None, _) if self.interchange.syntax.standard == Standard::X12 => {
                Some(Wrong::new(RejectCode::Envelope, format!("GS before {header}"), "no group"))
            }
            (Some(group), _) if group.again => {
                let number = group.header.value(GROUP, "control_number");
                duplicate(format!("a group other than {number}, which has come before in the interchange"))
            }
            (_, Sighting::Again) => duplicate(format!("a control number other than {number}")),
            (_, Sighting::TooMany) => {
                Some(Wrong::new(RejectCode::Envelope, "at most 999999 messages in a group", "more"))
            }
            (_, Sighting::New) => None,
        }
    }
}

/// The control number of a message, from its header.
pub(super) fn control_number<'a>(syntax: &Syntax, header: &'a [u8]) -> &'a [u8] {
    syntax.value(header, (if syntax.standard == Standard::X12 { 2 } else { 1 }, 0))
}

/// True when two control numbers of EDIFACT are the same text, however it is released and padded.
pub(super) fn same_text(syntax: &Syntax, one: &[u8], other: &[u8]) -> bool {
    let text = |data| released(data, &syntax.separators);
    one == other || text(one).trim_ascii_end() == text(other).trim_ascii_end()
}

/// True when the text is this number; leading zeros do not count.
pub(super) fn counts(text: &[u8], count: u64) -> bool {
    let digits = !text.is_empty() && text.len() <= 18 && text.iter().all(u8::is_ascii_digit);
    digits && text.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0')) == count
}

/// Holds the trailer of a group or interchange against its header.
pub(super) fn verify(
    syntax: &Syntax,
    segment: &[u8],
    (header, trailer): (&str, &str),
    number: &[u8],
    count: u64,
) -> Option<Wrong> {
    let shown = |data: &[u8]| format!("`{}`", text_of(data, &syntax.separators));
    let span = Span { from: 0, to: length32(segment.len()) };
    let (own_count, own_number) = (syntax.value(segment, (1, 0)), syntax.value(segment, (2, 0)));
    // In X12 these are numbers, in EDIFACT texts.
    let same = match syntax.standard {
        Standard::X12 => same_number(own_number, number),
        Standard::Edifact => same_text(syntax, own_number, number),
    };
    if !same {
        let expected = format!("the control number {} of {header}", shown(number));
        return Some(Wrong::new(RejectCode::Envelope, expected, shown(own_number)).at(format!("{trailer}.02"), span));
    }
    (!counts(own_count, count)).then(|| {
        let what = if trailer == "GE" || trailer == "UNE" { "messages" } else { "groups or messages" };
        let expected = format!("{count}, the number of {what}");
        Wrong::new(RejectCode::ControlTotal, expected, shown(own_count)).at(format!("{trailer}.01"), span)
    })
}
