//! Arrays as SOAP 1.1 encodes them (section 5.4.2): a restriction of `SOAP-ENC:Array` that says in `wsdl:arrayType`, or by
//! its only element, what its items are.

use super::compiler::{At, Compiler};
use crate::wsdl::import::finding::FindingCode;
use crate::wsdl::import::well_known::WSDL;
use crate::wsdl::{Array, TypeKind};

/// More dimensions than anybody sends.
const MAX_DIMENSIONS: usize = 16;

impl<'a> Compiler<'a> {
    /// An array, by what it restricts or extends.
    pub(super) fn array(&mut self, at: At<'a>, base: Array) -> TypeKind {
        let mut array = base;
        let said = at.node.xsd_children("attribute").find_map(|attribute| {
            Some((attribute, attribute.attr_of(WSDL, "arrayType").or_else(|| attribute.attr("arrayType"))?))
        });
        if let Some((attribute, text)) = said {
            let (name, bounds) = text.split_at(text.find('[').unwrap_or(text.len()));
            array.item = self.type_of(at.to(attribute), name);
            let dimensions = bounds.matches(['[', ',']).count().max(1);
            if dimensions > MAX_DIMENSIONS {
                let message = format!("an array has more than {MAX_DIMENSIONS} dimensions; so many are taken");
                self.note(FindingCode::TooLarge, at, message);
            }
            array.dimensions = u8::try_from(dimensions.min(MAX_DIMENSIONS)).unwrap_or(1);
        }
        let content = at.node.children().find(|child| matches!(child.xsd(), "sequence" | "choice" | "all" | "group"));
        if let Some(element) = content.and_then(|content| self.only_element(content, at)) {
            array.item_name = Some(element.name);
            if said.is_none() {
                array.item = element.ty;
            }
        }
        TypeKind::Array(array)
    }
}
