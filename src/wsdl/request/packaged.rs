//! Bytes that go beside an envelope although its schema has them in it: XOP packages (XML-binary Optimized Packaging 1.0), as
//! MTOM sends them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Attached, Writer};
use crate::wsdl::{Builtin, TypeId, Variety};

/// The namespace of `Include`.
const XOP: &str = "http://www.w3.org/2004/08/xop/include";

impl Writer<'_> {
    /// Writes the text of an element; or, of bytes that go apart, where they are.
    pub(super) fn content(&mut self, ty: TypeId, text: &str) {
        match self.taken_apart(ty, text) {
            Some(id) => self.out.push_str(&format!("<xop:Include xmlns:xop=\"{XOP}\" href=\"cid:{id}\"/>")),
            None => self.escaped(text, false),
        }
    }

    /// The content id of an element's bytes, where they go apart.
    fn taken_apart(&mut self, ty: TypeId, text: &str) -> Option<Box<str>> {
        let is_base64 =
            self.plan.types.simple(ty).is_some_and(|simple| simple.variety == Variety::Atomic(Builtin::Base64Binary));
        let apart = self.apart.as_mut().filter(|_| is_base64)?;
        // The schema's base64 may have blanks in it; the bytes are the same.
        let bare: String = text.split_ascii_whitespace().collect();
        // What is none was told as a fault.
        let bytes = STANDARD.decode(bare).ok().filter(|bytes| !bytes.is_empty())?;
        // Nothing in it would have to be escaped: some compare the reference with the id letter by letter.
        let id: Box<str> = format!("binary{}-{}@tollbridge", apart.len() + 1, uuid::Uuid::now_v7().simple()).into();
        let content_type = "application/octet-stream".into();
        apart.push(Attached { part: "binary".into(), id: Some(id.clone()), content_type, bytes });
        Some(id)
    }
}
