//! What is written is read back by a reader that knows nothing of how it was written: names with their namespaces, by any
//! XML parser. Values are made by the plan itself, with chance.

use proptest::prelude::*;
use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use serde_json::{Map, Value, json};

use super::Input;
use crate::wsdl::testing::{plan, schema};
use crate::wsdl::{Builtin, Complex, Content, Elements, Particle, Plan, Term, TypeId, TypeKind, Types, Variety};

const SCHEMA: &str = "<xs:element name='OpResponse'/>
 <xs:element name='Op'><xs:complexType><xs:sequence>
   <xs:element name='Id' type='xs:long'/><xs:element name='Node' type='t:Node' minOccurs='0' maxOccurs='unbounded'/>
   <xs:choice maxOccurs='3'><xs:element name='A' type='xs:date'/><xs:sequence><xs:element name='B' type='xs:boolean'/><xs:element name='C' type='t:Tags' form='unqualified'/></xs:sequence></xs:choice>
   <xs:all><xs:element name='Late' type='t:Price' nillable='true'/><xs:element name='Maybe' type='xs:string' minOccurs='0'/></xs:all>
 </xs:sequence><xs:attribute name='mark' type='t:Colour' use='required'/></xs:complexType></xs:element>
 <xs:complexType name='Node'><xs:sequence><xs:element name='Name' type='xs:string'/><xs:element name='Node' type='t:Node' minOccurs='0' maxOccurs='2'/></xs:sequence><xs:attribute name='n' type='xs:int'/></xs:complexType>
 <xs:complexType name='Price'><xs:simpleContent><xs:extension base='xs:decimal'><xs:attribute name='currency' form='qualified' type='xs:string'/></xs:extension></xs:simpleContent></xs:complexType>
 <xs:simpleType name='Tags'><xs:list itemType='xs:int'/></xs:simpleType>
 <xs:simpleType name='Colour'><xs:restriction base='xs:string'><xs:enumeration value='red'/><xs:enumeration value='blue &amp; &lt;'/></xs:restriction></xs:simpleType>";

/// A source of chance that a seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count.max(1)
    }
}

fn made(types: &Types, ty: TypeId, dice: &mut Dice, depth: usize) -> Value {
    match &types.get(ty).kind {
        TypeKind::Simple(_) => text(types, ty, dice),
        TypeKind::Complex(complex) => {
            let mut object = Map::new();
            for attribute in &complex.attributes {
                if attribute.is_required || dice.below(2) == 0 {
                    object.insert(attribute.json.to_string(), text(types, attribute.ty, dice));
                }
            }
            match &complex.content {
                Content::Text(inner) => {
                    object.insert("value".to_owned(), text(types, *inner, dice));
                }
                Content::Elements(elements) => particle(types, elements, &elements.tree, dice, depth, &mut object),
                _ => {}
            }
            Value::Object(object)
        }
        _ => Value::Null,
    }
}

fn particle(
    types: &Types,
    elements: &Elements,
    part: &Particle,
    dice: &mut Dice,
    depth: usize,
    object: &mut Map<String, Value>,
) {
    let spread = u64::from(part.max.unwrap_or(3).min(3).saturating_sub(part.min)) + 1;
    let count = if depth > 4 { part.min } else { part.min + dice.below(spread) as u32 };
    for _ in 0..count {
        match &part.term {
            Term::Member(index) => {
                let member = &elements.members[*index];
                let value = if member.element.is_nillable && dice.below(3) == 0 {
                    Value::Null
                } else {
                    made(types, member.element.ty, dice, depth + 1)
                };
                match object.get_mut(&*member.json) {
                    Some(Value::Array(values)) => values.push(value),
                    _ if member.is_many => {
                        object.insert(member.json.to_string(), json!([value]));
                    }
                    _ => {
                        object.insert(member.json.to_string(), value);
                    }
                }
            }
            Term::Sequence(parts) | Term::All(parts) => {
                parts.iter().for_each(|part| particle(types, elements, part, dice, depth, object));
            }
            Term::Choice(parts) => {
                let chosen = dice.below(parts.len() as u64) as usize;
                particle(types, elements, &parts[chosen], dice, depth, object);
            }
            Term::Any(_) => {}
        }
    }
}

/// A text as a string, so that it is compared as it is written.
fn text(types: &Types, ty: TypeId, dice: &mut Dice) -> Value {
    let simple = types.simple(ty).unwrap();
    if let Variety::List(item) = simple.variety {
        let count = dice.below(4);
        return (0..count).map(|_| text(types, item, dice)).collect();
    }
    if let Some(facets) = simple.facets.as_ref().filter(|facets| !facets.enumeration.is_empty()) {
        return (*facets.enumeration[dice.below(facets.enumeration.len() as u64) as usize]).into();
    }
    let samples: &[&str] = match types.builtin(ty).unwrap() {
        Builtin::Boolean => &["true", "false", "1"],
        Builtin::Int => &["0", "-7", "2147483647"],
        Builtin::Long => &["9223372036854775807", "-1"],
        Builtin::Decimal => &["10.10", "-0.5", "12345678901234567890.123"],
        Builtin::Date => &["2026-11-28", "2024-02-29Z"],
        _ => &["", "a", " x ", "<&>\"'", "]]>", "\u{e4}\u{1f600}", "a\r\nb", "\t"],
    };
    samples[dice.below(samples.len() as u64) as usize].into()
}

/// An element as any parser sees it.
#[derive(Debug, Default)]
struct Seen {
    name: (String, String),
    attributes: Vec<((String, String), String)>,
    children: Vec<Seen>,
    text: String,
}

fn seen(text: &str) -> Seen {
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open = vec![Seen::default()];
    loop {
        let uri = |result: ResolveResult<'_>| match result {
            ResolveResult::Bound(namespace) => namespace.0.to_owned(),
            ResolveResult::Unbound => String::new(),
            ResolveResult::Unknown(prefix) => panic!("{prefix:?} is not declared"),
        };
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                let (namespace, local) = reader.resolver().resolve_element(start.name());
                let name = (uri(namespace), local.into_inner().to_owned());
                let mut attributes = Vec::new();
                for attribute in start.attributes() {
                    let attribute = attribute.unwrap();
                    if attribute.key.as_namespace_binding().is_none() {
                        let (namespace, local) = reader.resolver().resolve_attribute(attribute.key);
                        let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).unwrap();
                        attributes.push(((uri(namespace), local.into_inner().to_owned()), value.into_owned()));
                    }
                }
                open.push(Seen { name, attributes, ..Seen::default() });
            }
            Event::End(_) => {
                let done = open.pop().unwrap();
                open.last_mut().unwrap().children.push(done);
            }
            Event::Text(text) => open.last_mut().unwrap().text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let char = match reference.resolve_char_ref().unwrap() {
                    Some(char) => char,
                    None => match &*reference.xml10_content() {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        other => panic!("&{other};"),
                    },
                };
                open.last_mut().unwrap().text.push(char);
            }
            Event::Eof => return open.pop().unwrap().children.pop().unwrap(),
            _ => {}
        }
    }
}

/// The JSON that an element means.
fn read(plan: &Plan, ty: TypeId, element: &Seen) -> Value {
    let types = &plan.types;
    let nil = ("http://www.w3.org/2001/XMLSchema-instance".to_owned(), "nil".to_owned());
    if element.attributes.iter().any(|(name, value)| *name == nil && value == "true") {
        assert!(element.children.is_empty() && element.text.is_empty());
        return Value::Null;
    }
    let value = |ty: TypeId, text: &str| match &types.simple(ty).unwrap().variety {
        Variety::List(_) => text.split(' ').filter(|word| !word.is_empty()).map(Value::from).collect(),
        _ => text.into(),
    };
    let Complex { attributes, content, .. } = match &types.get(ty).kind {
        TypeKind::Complex(complex) => complex,
        _ => return value(ty, &element.text),
    };
    let mut object = Map::new();
    for attribute in attributes {
        let own = element.attributes.iter().find(|((namespace, local), _)| {
            *namespace == types.names.namespace(attribute.name.namespace)
                && *local == types.names.local(attribute.name.local)
        });
        if let Some((_, text)) = own {
            object.insert(attribute.json.to_string(), value(attribute.ty, text));
        }
    }
    match content {
        Content::Text(inner) => {
            object.insert("value".to_owned(), value(*inner, &element.text));
        }
        Content::Elements(elements) => {
            for child in &element.children {
                let name = types.names.find(child.name.0.as_bytes(), child.name.1.as_bytes());
                let index = elements.find(name.unwrap()).unwrap();
                let member = &elements.members[index];
                let own = read(plan, member.element.ty, child);
                match object.get_mut(&*member.json) {
                    Some(Value::Array(values)) => values.push(own),
                    _ if member.is_many => {
                        object.insert(member.json.to_string(), json!([own]));
                    }
                    known => {
                        assert!(known.is_none(), "{} occurs twice", member.json);
                        object.insert(member.json.to_string(), own);
                    }
                }
            }
        }
        _ => {}
    }
    Value::Object(object)
}

proptest! {
    #[test]
    fn what_is_written_is_what_was_given(seed in any::<u64>()) {
        thread_local!(static PLAN: Plan = plan(&schema(SCHEMA)));
        let plan = PLAN.with(Plan::clone);
        let ty = plan.operation.input.body.ty;
        let value = made(&plan.types, ty, &mut Dice(seed), 0);
        let envelope = plan.request(&Input::from(&value)).unwrap();
        let root = seen(&envelope.to_text(&[], ""));
        let body = &root.children[0].children[0];
        prop_assert_eq!(read(&plan, ty, body), value);
    }

    #[test]
    fn any_json_is_written_or_refused(seed in any::<u64>()) {
        thread_local!(static PLAN: Plan = plan(&schema(SCHEMA)));
        let plan = PLAN.with(Plan::clone);
        let mut dice = Dice(seed);
        let mut value = made(&plan.types, plan.operation.input.body.ty, &mut dice, 0);
        spoil(&mut value, &mut dice);
        if let Ok(envelope) = plan.request(&Input::from(&value)) {
            seen(&envelope.to_text(&[], ""));
        }
    }
}

/// Puts something else in the place of a few values.
fn spoil(value: &mut Value, dice: &mut Dice) {
    if dice.below(8) == 0 {
        *value = match dice.below(9) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(1.5e300),
            3 => json!("\u{0}<x>"),
            4 => json!([[], {}]),
            5 => json!({"@type": "Node", "value": []}),
            6 => json!({"_any": [{"{urn:x}y": [1]}], "Id": {}}),
            7 => json!({"@xsi:type": "{http://www.w3.org/2001/XMLSchema}int"}),
            _ => std::mem::take(value).to_string().into(),
        };
        return;
    }
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| spoil(value, dice)),
        Value::Object(members) => members.values_mut().for_each(|value| spoil(value, dice)),
        _ => {}
    }
}
