//! The JSON Schema (2020-12) of an operation's messages, for descriptions of the REST interface.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{
    ATTACHMENTS, Attachment, BODY, Builtin, Complex, Content, Element, Facets, HEADERS, JsonKind, Member, Message,
    Plan, TYPE, TypeId, TypeKind, Types, VALUE, Variety, XSI_TYPE,
};

/// Types that are derived from one, of which more are not listed.
const MOST_DERIVED: usize = 50;

/// Which way a message goes: what a caller must give, and what an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A request: what is required is required, and nothing else is taken.
    In,
    /// A response, where services leave out and add.
    Out,
}

impl Plan {
    /// What a request must be like.
    pub fn request_schema(&self) -> Value {
        self.schema(&self.operation.input, Way::In)
    }

    /// What a response is like; `None` where there is none.
    pub fn response_schema(&self) -> Option<Value> {
        self.operation.output.as_ref().map(|output| self.schema(output, Way::Out))
    }

    fn schema(&self, message: &Message, way: Way) -> Value {
        let mut drawing = Drawing { types: &self.types, way, wanted: Vec::new(), named: HashSet::new() };
        let body = match &message.body.root {
            Some(root) => drawing.element(root),
            None => drawing.reference(message.body.ty),
        };
        // What comes beside an answer stands where the answer names it.
        let attached = if way == Way::In { message.attachments.as_slice() } else { &[] };
        let root = if message.headers.is_empty() && attached.is_empty() {
            body
        } else {
            let headers =
                message.headers.iter().map(|header| (header.json.to_string(), drawing.element(&header.element)));
            let headers: Map<String, Value> = headers.collect();
            let required = message.headers.iter().filter(|header| header.is_required && way == Way::In);
            let required: Vec<&str> = required.map(|header| &*header.json).collect();
            let headers = json!({ "type": "object", "properties": headers, "required": required });
            let mut parts = json!({ "body": body });
            let mut needed = vec![BODY];
            if !message.headers.is_empty() {
                parts[HEADERS] = headers;
            }
            if !attached.is_empty() {
                parts[ATTACHMENTS] = attachments(attached);
                needed.push(ATTACHMENTS);
            }
            json!({ "type": "object", "properties": parts, "required": needed })
        };
        let mut definitions = Map::new();
        while let Some(id) = drawing.wanted.pop() {
            let name = drawing.name(id);
            definitions.insert(name, drawing.definition(id));
        }
        definitions.sort_keys();
        let mut schema = Map::new();
        schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        match root {
            Value::Object(members) => schema.extend(members),
            other => {
                schema.insert("allOf".to_owned(), json!([other]));
            }
        }
        if !definitions.is_empty() {
            schema.insert("$defs".to_owned(), Value::Object(definitions));
        }
        Value::Object(schema)
    }
}

/// Parts beside an envelope: each in base64, alone or with its content type.
fn attachments(attached: &[Attachment]) -> Value {
    let data = json!({ "type": "string", "contentEncoding": "base64" });
    let one = |_: &Attachment| {
        let apart = json!({ "data": data, "content_type": { "type": "string" } });
        let apart =
            json!({ "type": "object", "properties": apart, "required": ["data"], "additionalProperties": false });
        json!({ "anyOf": [data, apart] })
    };
    let parts: Map<String, Value> = attached.iter().map(|part| (part.part.to_string(), one(part))).collect();
    let names: Vec<&str> = attached.iter().map(|part| &*part.part).collect();
    json!({ "type": "object", "properties": parts, "required": names, "additionalProperties": false })
}

struct Drawing<'t> {
    types: &'t Types,
    way: Way,
    /// Types whose definition is due.
    wanted: Vec<TypeId>,
    named: HashSet<TypeId>,
}

impl Drawing<'_> {
    fn element(&mut self, element: &Element) -> Value {
        let own = self.reference(element.ty);
        if element.is_nillable { json!({ "anyOf": [own, { "type": "null" }] }) } else { own }
    }

    /// A schema for a place of this type: types that contain others are defined once.
    fn reference(&mut self, id: TypeId) -> Value {
        let types = self.types;
        match &types.get(id).kind {
            TypeKind::Any | TypeKind::Untyped => json!({}),
            TypeKind::Map | TypeKind::Simple(_) => self.definition(id),
            TypeKind::Array(array) => {
                let mut schema = self.reference(array.item);
                for _ in 0..array.dimensions {
                    schema = json!({ "type": "array", "items": schema });
                }
                schema
            }
            TypeKind::Complex(_) => {
                let mut all: Vec<Value> = Vec::new();
                let (mut open, mut next) = (vec![id], 0);
                while let Some(id) = open.get(next).copied().filter(|_| next < MOST_DERIVED) {
                    next += 1;
                    open.extend(types.derived(id));
                    if !types.get(id).is_abstract {
                        all.push(self.link(id));
                    }
                }
                match all.len() {
                    1 => all.pop().unwrap_or_default(),
                    0 => json!({ "type": "object" }),
                    _ => json!({ "anyOf": all }),
                }
            }
        }
    }

    fn link(&mut self, id: TypeId) -> Value {
        if self.named.insert(id) {
            self.wanted.push(id);
        }
        json!({ "$ref": format!("#/$defs/{}", self.name(id)) })
    }

    /// A name of its own for each type, that needs no escape in a pointer.
    fn name(&self, id: TypeId) -> String {
        match self.types.get(id).name {
            Some(name) => {
                let local = self.types.names.local(name.local);
                let local: String = local.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                format!("{local}.{}", id.0)
            }
            None => format!("type.{}", id.0),
        }
    }

    fn definition(&mut self, id: TypeId) -> Value {
        let types = self.types;
        match &types.get(id).kind {
            TypeKind::Simple(_) => self.text(id, 0),
            TypeKind::Complex(complex) => self.complex(id, complex),
            TypeKind::Map => json!({ "type": "object" }),
            TypeKind::Array(_) | TypeKind::Any | TypeKind::Untyped => json!({}),
        }
    }

    fn complex(&mut self, id: TypeId, complex: &Complex) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        if let Some(name) = self.types.get(id).name {
            let has_own = complex.attributes.iter().any(|attribute| *attribute.json == *TYPE);
            let member = if has_own { XSI_TYPE } else { TYPE };
            properties.insert(member.to_owned(), json!({ "const": self.types.names.local(name.local) }));
        }
        for attribute in &complex.attributes {
            properties.insert(attribute.json.to_string(), self.text(attribute.ty, 0));
            if attribute.is_required && attribute.preset.is_none() {
                required.push(attribute.json.to_string());
            }
        }
        let mut is_open = complex.any_attribute;
        match &complex.content {
            Content::Empty => {}
            Content::Text(text) => {
                properties.insert(VALUE.to_owned(), self.text(*text, 0));
                required.push(VALUE.to_owned());
            }
            Content::DataSet => is_open = true,
            Content::Elements(elements) => {
                for member in &elements.members {
                    properties.insert(member.json.to_string(), self.member(member));
                    if !member.is_optional && member.element.preset.is_none() {
                        required.push(member.json.to_string());
                    }
                }
                if let Some(mixed) = &elements.mixed {
                    properties.insert(mixed.to_string(), json!({ "type": "string" }));
                }
                if let Some(any) = &elements.any {
                    let item = json!({ "type": "object", "minProperties": 1, "maxProperties": 1 });
                    properties.insert(any.to_string(), json!({ "type": "array", "items": item }));
                }
            }
        }
        let mut schema = json!({ "type": "object", "properties": properties });
        if let Value::Object(members) = &mut schema
            && self.way == Way::In
        {
            if !required.is_empty() {
                members.insert("required".to_owned(), required.into());
            }
            if !is_open {
                members.insert("additionalProperties".to_owned(), false.into());
            }
        }
        schema
    }

    fn member(&mut self, member: &Member) -> Value {
        let own = self.element(&member.element);
        if member.is_many { json!({ "type": "array", "items": own }) } else { own }
    }

    fn text(&self, id: TypeId, depth: usize) -> Value {
        let Some(simple) = self.types.simple(id).filter(|_| depth < 8) else { return json!({}) };
        match &simple.variety {
            Variety::List(item) => json!({ "type": "array", "items": self.text(*item, depth + 1) }),
            Variety::Union(members) => {
                let all: Vec<Value> = members.iter().map(|member| self.text(*member, depth + 1)).collect();
                if all.is_empty() { json!({}) } else { json!({ "anyOf": all }) }
            }
            Variety::Atomic(builtin) => scalar(*builtin, simple.facets.as_deref()),
        }
    }
}

/// The schema of one value. Numbers that a double does not hold are strings, or numbers with all their digits.
fn scalar(builtin: Builtin, facets: Option<&Facets>) -> Value {
    let mut schema = match builtin.json() {
        JsonKind::Boolean => return json!({ "type": "boolean" }),
        JsonKind::Float => return json!({ "type": ["number", "string"] }),
        JsonKind::LargeInteger => json!({ "type": ["string", "integer"] }),
        JsonKind::Decimal => json!({ "type": ["string", "number"] }),
        JsonKind::Integer => match builtin.range() {
            // The range of a type of at most 32 bits.
            Some((min, max)) => json!({ "type": "integer", "minimum": min as i64, "maximum": max as i64 }),
            None => json!({ "type": "integer" }),
        },
        JsonKind::Text => json!({ "type": "string" }),
    };
    let (Value::Object(members), JsonKind::Text) = (&mut schema, builtin.json()) else { return schema };
    if builtin == Builtin::Base64Binary {
        members.insert("contentEncoding".to_owned(), "base64".into());
        return schema;
    }
    let Some(facets) = facets.filter(|_| builtin != Builtin::HexBinary) else { return schema };
    if let Some(least) = facets.min_length {
        members.insert("minLength".to_owned(), least.into());
    }
    if let Some(most) = facets.max_length {
        members.insert("maxLength".to_owned(), most.into());
    }
    if !facets.enumeration.is_empty() {
        members.insert("enum".to_owned(), facets.enumeration.iter().map(|text| Value::from(&**text)).collect());
    }
    schema
}
