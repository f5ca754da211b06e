//! What only SOAP's encoding knows: arrays with their item types and sizes, and Apache's maps.

use super::Writer;
use super::element::MAX_DEPTH;
use super::input::Input;
use crate::wsdl::import::well_known::XSD;
use crate::wsdl::{Array, Element, Name, NamespaceId};

impl Writer<'_> {
    /// `Map` of Apache's XML-SOAP.
    pub(super) fn map(&mut self, uri: &str, local: &str, value: &Input<'_>, name: Option<Name>) {
        let Input::Object(members) = value else {
            self.wrong::<()>("an object", value);
            return;
        };
        self.open(uri, local);
        if let Some(name) = name {
            self.says_type(name);
        }
        self.out.push('>');
        for (key, value) in members {
            let back = self.faults.enter(key);
            self.out.push_str("<item>");
            self.anything("", "key", &Input::Text(key.as_ref().into()), true);
            self.anything("", "value", value, true);
            self.out.push_str("</item>");
            self.faults.leave(back);
        }
        self.close(uri, local);
    }

    /// An array as SOAP encodes it.
    pub(super) fn array(
        &mut self,
        uri: &str,
        local: &str,
        value: &Input<'_>,
        array: &Array,
        (element, ty): (&Element, Option<Name>),
    ) {
        let types = std::sync::Arc::clone(&self.plan.types);
        let mut extents = Vec::new();
        let mut items = Vec::new();
        if !flatten(value, usize::from(array.dimensions.max(1)), 0, &mut extents, &mut items) {
            let expected = if array.dimensions > 1 { "arrays of arrays of one length" } else { "an array" };
            self.faults.push(format!("expected {expected}, found {}", value.kind()));
            return;
        }
        self.open(uri, local);
        let encoding = self.plan.operation.version.encoding();
        let item = match types.get(array.item).name {
            Some(name) => self.name(name),
            None => (XSD.to_owned(), "anyType".to_owned()),
        };
        let item = self.prefixed(&item.0, &item.1);
        let sizes: Vec<String> = extents.iter().map(usize::to_string).collect();
        if encoding == crate::wsdl::SoapVersion::V11.encoding() {
            if self.plan.operation.style.is_encoded() {
                match ty {
                    Some(name) => self.says_type(name),
                    None => self.says(encoding, "Array"),
                }
            }
            self.attribute(encoding, "arrayType", &format!("{item}[{}]", sizes.join(",")));
        } else {
            self.attribute(encoding, "itemType", &item);
            self.attribute(encoding, "arraySize", &sizes.join(" "));
        }
        self.out.push('>');
        let name = array.item_name.unwrap_or(Name { namespace: NamespaceId::NONE, local: element.name.local });
        let (item_uri, item_local) = match array.item_name {
            Some(_) => self.name(name),
            None => (String::new(), "item".to_owned()),
        };
        let own = Element { name, ty: array.item, is_nillable: true, is_abstract: false, preset: None };
        for (index, value) in items {
            let lengths: Vec<usize> = index.iter().map(|index| self.faults.enter_index(*index)).collect();
            self.depth += 1;
            if self.depth < MAX_DEPTH {
                self.typed(&item_uri, &item_local, &own, value);
            } else {
                self.faults.push(format!("values lie more than {MAX_DEPTH} deep"));
            }
            self.depth -= 1;
            if let Some(first) = lengths.first() {
                self.faults.leave(*first);
            }
        }
        self.close(uri, local);
    }
}

/// The items of an array of some dimensions, each with its indexes; false where it is none.
fn flatten<'i, 'a>(
    value: &'i Input<'a>,
    dimensions: usize,
    depth: usize,
    extents: &mut Vec<usize>,
    items: &mut Vec<(Vec<usize>, &'i Input<'a>)>,
) -> bool {
    let Input::Array(elements) = value else { return false };
    match extents.get(depth) {
        None => extents.push(elements.len()),
        Some(extent) if *extent != elements.len() => return false,
        Some(_) => {}
    }
    for (index, element) in elements.iter().enumerate() {
        if depth + 1 == dimensions {
            items.push((vec![index], element));
        } else {
            let from = items.len();
            if !flatten(element, dimensions, depth + 1, extents, items) {
                return false;
            }
            items.iter_mut().skip(from).for_each(|(indexes, _)| indexes.insert(0, index));
        }
    }
    true
}
