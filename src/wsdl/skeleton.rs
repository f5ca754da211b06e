//! What the JSON of a message looks like, as an example whose values are the names of their types. For people who have
//! never seen the service.

use serde_json::{Map, Value, json};

use super::{
    ATTACHMENTS, Builtin, Content, Element, HEADERS, JsonKind, Member, Message, Plan, TypeId, TypeKind, Types, Variety,
};

/// Values of a skeleton: schemas of whole industries would fill pages.
const MOST: usize = 3_000;

impl Plan {
    /// The JSON of a request: the body, and under `headers` and `attachments` those that the WSDL declares.
    pub fn request_skeleton(&self) -> Value {
        self.types.message_skeleton(&self.operation.input, true)
    }

    /// The JSON of a response; null where there is none.
    pub fn response_skeleton(&self) -> Value {
        self.operation.output.as_ref().map_or(Value::Null, |output| self.types.message_skeleton(output, false))
    }
}

impl Types {
    fn message_skeleton(&self, message: &Message, is_request: bool) -> Value {
        let mut drawing = Drawing { types: self, open: Vec::new(), left: MOST };
        let body = match &message.body.root {
            Some(root) => drawing.element(root),
            None => drawing.ty(message.body.ty),
        };
        // What comes beside an answer stands where the answer names it.
        let attached = if is_request { message.attachments.as_slice() } else { &[] };
        if message.headers.is_empty() && attached.is_empty() {
            return body;
        }
        let headers: Map<String, Value> =
            message.headers.iter().map(|header| (header.json.to_string(), drawing.element(&header.element))).collect();
        let parts =
            attached.iter().map(|part| (part.part.to_string(), format!("base64 ({})", part.content_types.join(", "))));
        let attached: Map<String, Value> = parts.map(|(name, text)| (name, text.into())).collect();
        let mut skeleton = json!({ "body": body });
        for (name, members) in [(HEADERS, headers), (ATTACHMENTS, attached)] {
            if !members.is_empty() {
                skeleton[name] = members.into();
            }
        }
        skeleton
    }

    /// The JSON of a type.
    pub fn skeleton(&self, ty: TypeId) -> Value {
        Drawing { types: self, open: Vec::new(), left: MOST }.ty(ty)
    }
}

struct Drawing<'t> {
    types: &'t Types,
    open: Vec<TypeId>,
    left: usize,
}

impl Drawing<'_> {
    fn element(&mut self, element: &Element) -> Value {
        match self.ty(element.ty) {
            Value::String(text) if element.is_nillable => Value::String(format!("{text} or null")),
            value => value,
        }
    }

    fn ty(&mut self, id: TypeId) -> Value {
        let ty = self.types.get(id);
        let Some(left) = self.left.checked_sub(1) else { return "…".into() };
        self.left = left;
        if self.open.contains(&id) {
            let name =
                ty.name.map_or("the same again".to_owned(), |name| self.types.names.local(name.local).to_owned());
            return format!("… {name}").into();
        }
        match &ty.kind {
            TypeKind::Any => "anything".into(),
            TypeKind::Untyped => "untyped".into(),
            TypeKind::Map => json!({ "…": "anything" }),
            TypeKind::Array(array) => {
                self.open.push(id);
                let mut value = self.ty(array.item);
                self.open.pop();
                for _ in 0..array.dimensions {
                    value = json!([value]);
                }
                value
            }
            TypeKind::Simple(_) => self.text(id),
            TypeKind::Complex(complex) => {
                self.open.push(id);
                let mut object = Map::new();
                for attribute in &complex.attributes {
                    object.insert(attribute.json.to_string(), self.text(attribute.ty));
                }
                match &complex.content {
                    Content::Empty => {}
                    Content::Text(text) => {
                        object.insert(super::VALUE.to_owned(), self.text(*text));
                    }
                    Content::DataSet => {
                        object.insert("…".to_owned(), json!([{ "…": "anything" }]));
                    }
                    Content::Elements(elements) => {
                        for member in &elements.members {
                            let value = self.member(member);
                            object.insert(member.json.to_string(), value);
                        }
                        if let Some(mixed) = &elements.mixed {
                            object.insert(mixed.to_string(), "string".into());
                        }
                        if let Some(any) = &elements.any {
                            object.insert(any.to_string(), json!([{ "…": "anything" }]));
                        }
                    }
                }
                self.open.pop();
                Value::Object(object)
            }
        }
    }

    fn member(&mut self, member: &Member) -> Value {
        let value = self.element(&member.element);
        if member.is_many { json!([value]) } else { value }
    }

    fn text(&mut self, id: TypeId) -> Value {
        self.types.text_name(id, 0)
    }
}

impl Types {
    /// What the JSON of a simple type is, in a few words.
    fn text_name(&self, id: TypeId, depth: usize) -> Value {
        const SHOWN: usize = 8;
        let Some(simple) = self.simple(id).filter(|_| depth < 8) else { return "anything".into() };
        match &simple.variety {
            Variety::List(item) => json!([self.text_name(*item, depth + 1)]),
            Variety::Union(members) => {
                let names: Vec<String> = members
                    .iter()
                    .take(SHOWN)
                    .map(|member| match self.text_name(*member, depth + 1) {
                        Value::String(text) => text,
                        other => other.to_string(),
                    })
                    .collect();
                names.join(" or ").into()
            }
            Variety::Atomic(builtin) => match &simple.facets {
                Some(facets) if !facets.enumeration.is_empty() => {
                    let values: Vec<&str> = facets.enumeration.iter().take(SHOWN).map(|text| &**text).collect();
                    let more = if facets.enumeration.len() > SHOWN { "|…" } else { "" };
                    format!("{}{more}", values.join("|")).into()
                }
                _ => json_name(*builtin).into(),
            },
        }
    }
}

/// What stands for a built-in type: its JSON, with the form of the text where it has one.
fn json_name(builtin: Builtin) -> String {
    let kind = match builtin.json() {
        JsonKind::Text => "string",
        JsonKind::Boolean => return "boolean".to_owned(),
        JsonKind::Integer => "integer",
        JsonKind::LargeInteger | JsonKind::Decimal => "number",
        JsonKind::Float => "float",
    };
    let is_plain = matches!(
        builtin,
        Builtin::String | Builtin::NormalizedString | Builtin::Token | Builtin::AnySimple | Builtin::Int
    );
    if is_plain { kind.to_owned() } else { format!("{kind} ({})", builtin.name()) }
}
