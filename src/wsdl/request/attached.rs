//! Parts that go beside an envelope (SOAP with attachments, as a WSDL's MIME binding declares them; [`super::packaged`] has
//! those of MTOM).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{ATTACHMENTS, Input, Writer};
use crate::wsdl::Attachment;

/// What is in a part, in base64.
const DATA: &str = "data";
/// Its content type, where the WSDL leaves it open.
const CONTENT_TYPE: &str = "content_type";

/// A part that goes beside an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The name that the WSDL has for it; `binary` of what was taken out of the envelope.
    pub part: Box<str>,
    /// The content id by which the envelope means it (an `xop:Include`), where it was taken out of it.
    pub id: Option<Box<str>>,
    /// Its content type.
    pub content_type: Box<str>,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Attachment {
    /// The content type of a part that names none: the first that is declared, leaves nothing open and can be sent.
    fn usual(&self) -> &str {
        let is_one = |kind: &&str| !kind.contains('*') && is_type(kind);
        self.content_types.iter().map(|kind| &**kind).find(is_one).unwrap_or("application/octet-stream")
    }

    /// Whether a content type is one of those that are declared.
    fn takes(&self, content_type: &str) -> bool {
        let bare = |text: &str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let wanted = bare(content_type);
        self.content_types.iter().map(|declared| bare(declared)).any(|declared| {
            declared == wanted
                || declared == "*/*"
                || declared.strip_suffix("/*").is_some_and(|kind| wanted.split('/').next() == Some(kind))
        })
    }
}

impl Writer<'_> {
    /// The parts of a request, and all that is wrong with them.
    pub(super) fn attachments(&mut self, given: Option<&Input<'_>>) -> Vec<Attached> {
        let operation = std::sync::Arc::clone(&self.plan.operation);
        let declared = &operation.input.attachments;
        if declared.is_empty() {
            return Vec::new();
        }
        let back = self.faults.enter(ATTACHMENTS);
        let members = match given {
            Some(Input::Object(members)) => members.as_slice(),
            None | Some(Input::Null) => &[],
            Some(other) => {
                self.wrong::<()>("an object", other);
                &[]
            }
        };
        let mut attached = Vec::new();
        for attachment in declared {
            let Some((_, value)) = members.iter().find(|(name, _)| *name == *attachment.part) else {
                self.faults.push_at(&attachment.part, "it is missing");
                continue;
            };
            let back = self.faults.enter(&attachment.part);
            attached.extend(self.attachment(attachment, value));
            self.faults.leave(back);
        }
        for (name, _) in members {
            if !declared.iter().any(|attachment| *attachment.part == **name) {
                let names: Vec<&str> = declared.iter().map(|attachment| &*attachment.part).collect();
                self.faults.push_at(name, format!("there is no such part; there are: {}", names.join(", ")));
            }
        }
        self.faults.leave(back);
        attached
    }

    fn attachment(&mut self, attachment: &Attachment, value: &Input<'_>) -> Option<Attached> {
        let (data, content_type) = match value {
            Input::Object(members) => {
                for (name, _) in members.iter().filter(|(name, _)| *name != DATA && *name != CONTENT_TYPE) {
                    self.faults.push_at(name, format!("a part has `{DATA}` and `{CONTENT_TYPE}`"));
                }
                (value.member(DATA), value.member(CONTENT_TYPE))
            }
            other => (Some(other), None),
        };
        let bytes = match data {
            Some(Input::Text(text)) => match STANDARD.decode(text.as_bytes()) {
                Ok(bytes) => Some(bytes),
                Err(_) => {
                    self.faults.push("it is no base64");
                    None
                }
            },
            Some(other) => self.wrong("a string in base64", other),
            None => {
                self.faults.push_at(DATA, "it is missing");
                None
            }
        };
        let content_type = match content_type {
            None | Some(Input::Null) => Some(attachment.usual().to_owned()),
            Some(Input::Text(text)) if !is_type(text) || !attachment.takes(text) => {
                let detail = format!("`{text}` is none of: {}", attachment.content_types.join(", "));
                self.faults.push_at(CONTENT_TYPE, detail);
                None
            }
            Some(Input::Text(text)) => Some(text.to_string()),
            Some(other) => self.wrong("a content type", other),
        };
        Some(Attached { part: attachment.part.clone(), id: None, content_type: content_type?.into(), bytes: bytes? })
    }
}

/// Whether a text can stand as a content type in a field.
fn is_type(text: &str) -> bool {
    text.contains('/') && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}
