//! From the bytes that a service answers with to an envelope, and what that is.

mod captured;
pub(super) mod ending;
pub(super) mod envelope;
mod fault;
pub(super) mod inflate;
mod inline;
mod leniency;
pub(super) mod multipart;

use bytes::Bytes;
use encoding_rs::Encoding;

use super::mask;
use super::{Fault, Version};
use envelope::Verdict;

pub use captured::{is_in_parts, unpacked};
pub use leniency::Leniency;
pub use multipart::{Part, Parts};

pub(super) use leniency::told as told_of;

/// What came back: an envelope with a message in it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The whole envelope, in UTF-8 where it says which encoding it is in. What it repeats of our credentials is masked.
    /// Empty where a call has only one way.
    pub envelope: Bytes,
    /// What came beside it, by content id.
    pub parts: Parts,
    /// What was not as it should be.
    pub leniencies: Vec<Leniency>,
}

impl Answer {
    /// The envelope with its parts in the places that mean them, in base64: of an `xop:Include`, and of an empty element
    /// with an `href` that begins with `cid:`. `None` when it would have more than `most` bytes.
    pub fn inlined(&self, most: usize) -> Option<Bytes> {
        if self.parts.is_empty() {
            return Some(self.envelope.clone());
        }
        inline::inlined(&self.envelope, &self.parts, most)
    }
}

/// What is known of an answer beside its bytes.
pub(super) struct Head<'h> {
    pub(super) status: u16,
    pub(super) media_type: Option<&'h str>,
    /// It was compressed, and nothing had said so.
    pub(super) was_compressed: bool,
    /// The SOAP of what was sent.
    pub(super) asked: Version,
}

/// What an answer is.
pub(super) enum Weighed {
    Message(Answer),
    Fault(Box<Fault>),
    /// Neither, named; with the beginning of what it was, masked, for the log.
    Other(String, String),
}

/// So much of what is no envelope is told to the log.
const TOLD: usize = 2048;

/// Says what an answer is.
pub(super) fn weigh(body: Bytes, head: &Head<'_>) -> Weighed {
    let mut leniencies = Vec::new();
    if head.was_compressed {
        leniencies.push(Leniency::Compressed);
    }
    let (root, parts, charset, root_type) = match multipart::split(&body, head.media_type) {
        Some(Ok(package)) => {
            if package.is_surprise {
                leniencies.push(Leniency::Parts);
            }
            let charset = charset(&package.content_type);
            (package.root, package.parts, charset, Some(package.content_type))
        }
        Some(Err(reason)) => return Weighed::Other(format!("parts that cannot be read: {reason}"), told(&body)),
        None => (body, Parts::default(), head.media_type.and_then(charset), None),
    };
    let root_type = root_type.as_deref();
    let Some(text) = envelope::text(&root, charset) else {
        // What it is may be told all the same; its bytes stay, and whoever reads them names the place.
        let lossy = String::from_utf8_lossy(&root);
        let verdict = envelope::judge(&lossy);
        leniencies.extend(leniency::of_head(&verdict, head, root_type));
        return match verdict {
            Verdict::Message(_) => Weighed::Message(Answer { envelope: root.clone(), parts, leniencies }),
            Verdict::Fault(fault) => Weighed::Fault(Box::new(Fault { leniencies, ..*fault })),
            Verdict::Other(found) => Weighed::Other(found, told(&root)),
        };
    };
    let is_utf8 = matches!(text, std::borrow::Cow::Borrowed(_));
    let says_other = charset.or_else(|| envelope::declared(&root)).is_some_and(|said| said != encoding_rs::UTF_8);
    if is_utf8 && says_other && !text.is_ascii() {
        leniencies.push(Leniency::Encoding);
    }
    let (verdict, range) = match (envelope::judge(&text), envelope::within(&text)) {
        (verdict @ (Verdict::Message(_) | Verdict::Fault(_)), None) => (verdict, 0..text.len()),
        (verdict @ (Verdict::Message(_) | Verdict::Fault(_)), Some(range)) => {
            leniencies.push(Leniency::Junk);
            (verdict, range)
        }
        (Verdict::Other(found), Some(range)) => match envelope::judge(&text[range.clone()]) {
            Verdict::Other(_) => (Verdict::Other(found), range),
            verdict => {
                leniencies.push(Leniency::Junk);
                (verdict, range)
            }
        },
        (Verdict::Other(found), None) => (Verdict::Other(found), 0..text.len()),
    };
    leniencies.extend(leniency::of_head(&verdict, head, root_type));
    match verdict {
        Verdict::Fault(fault) => Weighed::Fault(Box::new(Fault { leniencies, ..*fault })),
        Verdict::Other(found) => Weighed::Other(found, mask::mask(fault::shortened(&text, TOLD))),
        Verdict::Message(_) => {
            let is_whole = range == (0..text.len());
            let says_utf8 = envelope::declared(&root).is_none_or(|said| said == encoding_rs::UTF_8);
            let plain = match is_utf8 && is_whole && says_utf8 && root.len() == text.len() {
                true => root,
                false => Bytes::copy_from_slice(envelope::without_declaration(&text[range]).as_bytes()),
            };
            Weighed::Message(Answer { envelope: plain, parts, leniencies })
        }
    }
}

/// What does not fit together of a beginning that is known to be in one piece, and its head.
pub(super) fn odd_head(verdict: &Verdict, head: &Head<'_>) -> Vec<Leniency> {
    leniency::of_head(verdict, head, None)
}

/// The beginning of what is no envelope, for the log.
pub(super) fn told(body: &[u8]) -> String {
    mask::mask(&String::from_utf8_lossy(&body[..body.len().min(TOLD)]))
}

/// The encoding that a media type says.
pub(super) fn charset(media_type: &str) -> Option<&'static Encoding> {
    Encoding::for_label(multipart::parameter(media_type, "charset")?.as_bytes())
}
