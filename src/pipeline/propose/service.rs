//! What a WSDL says of an operation becomes a mapping: request, records, fields with their types, and a key, each with its
//! reason, for a person to read before it is used.

use std::fmt::Write;

use super::names::{bare, plain_name, resource};
use super::{quoted, write};
use crate::wsdl::{Builtin, Complex, Content, Facets, JsonKind, Member, Plan, TypeId, TypeKind, VALUE, Variety};

/// How deep fields are proposed; what lies deeper is left to a person.
const DEEPEST: usize = 5;
/// The most fields.
const MOST: usize = 400;

/// The text of a mapping file for an operation of a backend's WSDL.
///
/// What by its name changes something, or answers nothing, is proposed as a write, never as something that is called to read.
/// The fault: nothing can be proposed.
pub fn propose_service(backend: &str, plan: &Plan) -> Result<String, String> {
    if plan.operation.output.is_none() || write::changes_something(&plan.operation.name) {
        return Ok(write::propose(backend, plan));
    }
    let operation = &plan.operation;
    let inputs = inputs(plan);
    let records = records(plan, &inputs);
    let polled = match (records.is_list, inputs.iter().any(|input| input.is_scalar)) {
        (true, _) => paging(plan, &inputs),
        // Nothing asks for one of several: there is one.
        (false, false) => Polled { lines: vec!["snapshot    = true".to_owned()], ..Polled::default() },
        (false, true) => Polled::default(),
    };
    let is_polled = !polled.lines.is_empty();
    let mut fields = Vec::new();
    let mut left = 0;
    if let Some(ty) = records.ty {
        fields = Fields { plan, left: &mut left }.of(ty, 0);
    }
    if fields.is_empty() {
        let why = "nothing of what it answers has a type that could be proposed as a field";
        return Err(format!("{}: {why}; `inspect` shows it", operation.name));
    }
    let Some(key) = key(&fields, &inputs, is_polled) else {
        let why = "its records have no single value that could be a key";
        return Err(format!("{}: {why}; `inspect` shows them", operation.name));
    };
    let mut text = String::new();
    let mut line = |written: String| {
        text.push_str(&written);
        text.push('\n');
    };
    line(format!(
        "# Proposed from the operation {} of port {} ({}, SOAP {}).",
        operation.name,
        operation.port,
        operation.style.as_str(),
        operation.version.as_str()
    ));
    line("# The types are the WSDL's; nothing was called. Read every line before it is used.".to_owned());
    mtom(plan).into_iter().for_each(|words| line(words.to_owned()));
    operation.documentation.iter().flat_map(|text| text.lines()).for_each(|words| line(format!("# {}", words.trim())));
    line(format!("resource = {}", quoted(&resource(&operation.name))));
    line("version  = 1".to_owned());
    line(format!("title    = {}", quoted(&operation.name)));
    line(format!("# {}", key.why));
    line(format!("key      = [{}]", quoted(&key.field)));
    line(String::new());
    line("[source]".to_owned());
    line(format!("backend  = {}", quoted(backend)));
    if is_polled {
        line(
            "schedule = \"every 15m\"   # how often the service is asked; a gate bounds how much at a time".to_owned(),
        );
    }
    line(String::new());
    line("[source.soap]".to_owned());
    line(format!("operation   = {}", quoted(&operation.name)));
    let of_key = |input: &Given| (!is_polled && input.name == key.input).then(|| quoted(&format!("{{{}}}", key.field)));
    line(format!("request     = {}", request(&inputs, &|input| of_key(input).or_else(|| polled.place(&input.name)))));
    let has_place = |input: &Given| of_key(input).or_else(|| polled.place(&input.name)).is_some();
    for input in inputs.iter().filter(|input| input.is_left_out && !has_place(input)) {
        line(format!(
            "# {} can be sent as well{}: {}",
            input.name,
            if input.is_scalar { "" } else { " (an object)" },
            input.type_name
        ));
    }
    line(format!("# {}", records.why));
    line(format!("record_path = {}", quoted(&records.path)));
    polled.lines.iter().for_each(|written| line(written.clone()));
    if !is_polled {
        unknown_record(plan).into_iter().for_each(&mut line);
    }
    line(String::new());
    line("[fields]".to_owned());
    for field in &fields {
        field.reason.iter().for_each(|reason| line(format!("# {reason}")));
        line(format!("{} = {}", field.name, field.rules));
    }
    if left > 0 {
        line(format!("# {left} more members are not proposed: `inspect` shows them"));
    }
    if records.is_list {
        line(String::new());
        line("[serve]".to_owned());
        line("filter = []   # fields that callers may search by".to_owned());
        // Numbers of any length are not compared by every database.
        let sorts = |field: &&Field| field.builtin.is_some_and(|builtin| builtin.json() != JsonKind::LargeInteger);
        let sort = fields.iter().find(|field| field.name == key.field).filter(sorts).map(|field| quoted(&field.name));
        line(format!("sort   = [{}]", sort.unwrap_or_default()));
    }
    Ok(text)
}

/// What is said of an operation whose calls are XOP packages.
pub(super) fn mtom(plan: &Plan) -> Option<&'static str> {
    let words =
        "# A policy of the WSDL demands MTOM: each call is sent as an XOP package, without a word in the mapping.";
    plan.operation.requires_mtom.then_some(words)
}

/// How a fault is named that says that there is no such record; the first that the WSDL declares stands for it.
fn unknown_record(plan: &Plan) -> [String; 4] {
    let declared = plan.operation.faults.iter().find_map(|fault| fault.detail.as_ref());
    let detail = declared.map(|detail| plan.types.names.local(detail.name.local));
    [
        "# A fault that says that there is no such record becomes a 404 where it is named, by its detail or its code:"
            .to_owned(),
        "# [[source.soap.faults]]".to_owned(),
        detail.map_or("# code   = \"Client.NotFound\"".to_owned(), |detail| format!("# detail = {}", quoted(detail))),
        "# status = 404".to_owned(),
    ]
}

/// Where the records are.
struct Records {
    path: String,
    ty: Option<TypeId>,
    is_list: bool,
    why: String,
}

fn records(plan: &Plan, inputs: &[Given]) -> Records {
    let none = |why: &str| Records { path: "/".to_owned(), ty: None, is_list: false, why: why.to_owned() };
    let Some(body) = plan.operation.output.as_ref().map(|output| &output.body) else {
        return none("the operation answers nothing");
    };
    let root = body.root.as_ref().map(|root| plan.types.names.local(root.name.local)).unwrap_or_default();
    let start = format!("/{root}");
    let wrapped = wrapped(plan, &start, body.ty);
    let is_asked = |member: &Member| {
        builtin(plan, member.element.ty).is_some()
            && inputs.iter().any(|input| input.is_scalar && !pages(&input.name) && same_name(&input.name, &member.json))
    };
    if members(plan, wrapped.1).iter().any(is_asked) {
        let why = "the request names a member of what is answered: it is one record".to_owned();
        return Records { path: wrapped.0, ty: Some(wrapped.1), is_list: false, why };
    }
    // The list that lies nearest.
    let mut open = vec![(start.clone(), body.ty)];
    for _ in 0..DEEPEST {
        let mut below = Vec::new();
        for (path, ty) in &open {
            for member in members(plan, *ty) {
                let path = format!("{path}/{}", plan.types.names.local(member.element.name.local));
                let own = member.element.ty;
                if let (true, TypeKind::Complex(_)) = (member.is_many, &plan.types.get(own).kind) {
                    let why =
                        format!("{} may stand there many times", plan.types.names.local(member.element.name.local));
                    return Records { path, ty: Some(own), is_list: true, why };
                }
                if let (false, TypeKind::Array(array)) = (member.is_many, &plan.types.get(own).kind)
                    && matches!(plan.types.get(array.item).kind, TypeKind::Complex(_))
                {
                    let item = array.item_name.map_or("item", |name| plan.types.names.local(name.local));
                    let why = format!("{} is an array", plan.types.names.local(member.element.name.local));
                    return Records { path: format!("{path}/{item}"), ty: Some(array.item), is_list: true, why };
                }
                if !member.is_many {
                    below.push((path, own));
                }
            }
        }
        open = below;
    }
    // Else what the answer wraps.
    let (path, ty) = wrapped;
    Records { path, ty: Some(ty), is_list: false, why: "the answer has no list: it is one record".to_owned() }
}

/// What an answer is when what only wraps it is taken off.
pub(super) fn wrapped(plan: &Plan, start: &str, ty: TypeId) -> (String, TypeId) {
    let (mut path, mut ty) = (start.to_owned(), ty);
    while let [only] = members(plan, ty)
        && matches!(plan.types.get(only.element.ty).kind, TypeKind::Complex(_))
        && !only.is_many
    {
        path = format!("{path}/{}", plan.types.names.local(only.element.name.local));
        ty = only.element.ty;
    }
    (path, ty)
}

/// Whether two names are one, however they are written.
fn same_name(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.trim_start_matches('@').to_ascii_lowercase().replace(['_', '-'], "");
    plain(one) == plain(other)
}

pub(super) fn members(plan: &Plan, ty: TypeId) -> &[Member] {
    match &plan.types.get(ty).kind {
        TypeKind::Complex(complex) => complex.elements().map_or(&[], |elements| elements.members.as_slice()),
        _ => &[],
    }
}

/// A member of the request, or all of it where that is a text.
struct Given {
    name: String,
    /// The request is this text itself.
    is_whole: bool,
    type_name: String,
    is_scalar: bool,
    is_left_out: bool,
    sample: String,
}

fn inputs(plan: &Plan) -> Vec<Given> {
    let input = |member: &Member| {
        let ty = member.element.ty;
        let builtin = builtin(plan, ty);
        let is_scalar = builtin.is_some() && !member.is_many;
        let is_needed = !member.is_optional && !member.element.is_nillable;
        let type_name = match builtin {
            Some(builtin) => format!("xs:{}", builtin.name()),
            None => plan.types.get(ty).name.map_or("an object".to_owned(), |name| plan.types.names.display(name)),
        };
        let sample = match builtin {
            _ if member.is_many => "[]",
            Some(builtin) => sample(builtin),
            None => "{}",
        };
        let sample = sample.to_owned();
        let name = member.json.to_string();
        Given { name, is_whole: false, type_name, is_scalar, is_left_out: !is_needed, sample }
    };
    if let Some((name, builtin)) = whole(plan) {
        let (type_name, sample) = (format!("xs:{}", builtin.name()), sample(builtin).to_owned());
        return vec![Given { name, is_whole: true, type_name, is_scalar: true, is_left_out: false, sample }];
    }
    members(plan, plan.operation.input.body.ty).iter().map(input).collect()
}

/// A value of a built-in type, as TOML has it.
fn sample(builtin: Builtin) -> &'static str {
    match builtin.json() {
        JsonKind::Boolean => "false",
        JsonKind::Integer | JsonKind::LargeInteger | JsonKind::Decimal | JsonKind::Float => "0",
        JsonKind::Text => "\"\"",
    }
}

/// The name of the request's one element and its type, where that is a text (document/literal bare).
pub(super) fn whole(plan: &Plan) -> Option<(String, Builtin)> {
    let body = &plan.operation.input.body;
    let root = body.root.as_ref()?;
    Some((plan.types.names.local(root.name.local).to_owned(), builtin(plan, body.ty)?))
}

/// The built-in type of a text; `None` for an object.
pub(super) fn builtin(plan: &Plan, ty: TypeId) -> Option<Builtin> {
    match &plan.types.get(ty).kind {
        TypeKind::Simple(simple) => Some(match simple.variety {
            Variety::Atomic(builtin) => builtin,
            _ => Builtin::String,
        }),
        _ => None,
    }
}

fn facets(plan: &Plan, ty: TypeId) -> Option<&Facets> {
    plan.types.simple(ty)?.facets.as_deref()
}

/// The request: what is needed, and what has a place.
fn request(inputs: &[Given], place: &dyn Fn(&Given) -> Option<String>) -> String {
    if let [input] = inputs
        && input.is_whole
    {
        return place(input).unwrap_or_else(|| input.sample.clone());
    }
    let mut written = Vec::new();
    for input in inputs {
        let place = place(input).filter(|_| input.is_scalar);
        match place {
            Some(place) => written.push(format!("{} = {place}", bare(&input.name))),
            None if !input.is_left_out => written.push(format!("{} = {}", bare(&input.name), input.sample)),
            None => {}
        }
    }
    if written.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", written.join(", ")) }
}

/// How a list is read page by page, as far as names tell.
#[derive(Default)]
struct Polled {
    places: Vec<(String, String)>,
    lines: Vec<String>,
}

impl Polled {
    fn place(&self, name: &str) -> Option<String> {
        self.places.iter().find(|(own, _)| own == name).map(|(_, place)| place.clone())
    }
}

fn paging(plan: &Plan, inputs: &[Given]) -> Polled {
    let mut polled = Polled::default();
    let find = |words: &[&str]| {
        let is_it = |input: &&Given| input.is_scalar && is_one_of(&input.name, words);
        inputs.iter().find(is_it).map(|input| input.name.clone())
    };
    polled.lines.push(
        "# everything is read each time; `watermark` or `window` asks for what has changed where the service can"
            .to_owned(),
    );
    polled.lines.push("snapshot    = true".to_owned());
    let (size, token, offset, page) = (find(&SIZE), find(&TOKEN), find(&OFFSET), find(&PAGE));
    let next = next_path(plan, token.as_deref());
    match (token, next, offset, page) {
        (Some(input), Some(path), _, _) => {
            polled.places.push((input.clone(), quoted("{token}")));
            // A page of a size that is told is the service's own no more.
            polled.places.extend(size.iter().map(|size| (size.clone(), "100".to_owned())));
            polled.lines.push(format!("# the answer names the next page, and {input} asks for it"));
            polled.lines.push(format!("token       = {{ path = {} }}", quoted(&path)));
        }
        (_, _, Some(input), _) => {
            polled.places.push((input.clone(), quoted("{page}")));
            polled.lines.push(format!("# by its name, {input} is how many records are passed over"));
            polled.lines.push("page        = { start = 0, step = 100, size = 100 }".to_owned());
        }
        (_, _, _, Some(input)) => {
            polled.places.push((input.clone(), quoted("{page}")));
            polled.lines.push(format!("# by its name, {input} is the number of a page"));
            polled.lines.push("page        = { start = 1, size = 100 }".to_owned());
        }
        _ => return polled,
    }
    if let Some(size) = size.filter(|_| polled.places.iter().any(|(_, place)| place.contains("{page}"))) {
        polled.places.push((size, quoted("{size}")));
    }
    polled
}

/// Names of what a request pages by.
const SIZE: [&str; 8] = ["limit", "pagesize", "size", "count", "top", "maxresults", "maxrecords", "rows"];
const TOKEN: [&str; 6] = ["token", "pagetoken", "nexttoken", "cursor", "continuationtoken", "continuation"];
const OFFSET: [&str; 6] = ["offset", "skip", "start", "startindex", "first", "from"];
const PAGE: [&str; 4] = ["page", "pagenumber", "pageno", "pageindex"];

fn is_one_of(name: &str, words: &[&str]) -> bool {
    let plain = name.to_ascii_lowercase().replace(['_', '-'], "");
    words.contains(&plain.as_str())
}

/// Whether a request pages by what has this name.
fn pages(name: &str) -> bool {
    [&SIZE[..], &TOKEN, &OFFSET, &PAGE].iter().any(|words| is_one_of(name, words))
}

/// Where an answer names its next page, by its name: that of the `token` that the request takes, perhaps.
fn next_path(plan: &Plan, token: Option<&str>) -> Option<String> {
    let body = &plan.operation.output.as_ref()?.body;
    let root = plan.types.names.local(body.root.as_ref()?.name.local);
    let mut open = vec![(format!("/{root}"), body.ty)];
    for _ in 0..3 {
        let mut below = Vec::new();
        for (path, ty) in &open {
            for member in members(plan, *ty).iter().filter(|member| !member.is_many) {
                let name = plan.types.names.local(member.element.name.local);
                let plain = name.to_ascii_lowercase();
                let is_next = plain.starts_with("next")
                    || plain.ends_with("token")
                    || token.is_some_and(|token| same_name(token, name));
                if builtin(plan, member.element.ty).is_some() && is_next {
                    return Some(format!("{path}/{name}"));
                }
                below.push((format!("{path}/{name}"), member.element.ty));
            }
        }
        open = below;
    }
    None
}

/// A proposed field.
struct Field {
    name: String,
    from: String,
    rules: String,
    reason: Option<String>,
    builtin: Option<Builtin>,
    is_needed: bool,
}

pub(super) struct Fields<'p> {
    pub(super) plan: &'p Plan,
    pub(super) left: &'p mut usize,
}

impl Fields<'_> {
    fn of(&mut self, ty: TypeId, depth: usize) -> Vec<Field> {
        let mut fields: Vec<Field> = Vec::new();
        let kind = &self.plan.types.get(ty).kind;
        let add = |fields: &mut Vec<Field>, mut field: Field| {
            let stem = field.name.clone();
            let mut number = 2;
            while fields.iter().any(|known| known.name == field.name) {
                field.name = format!("{stem}_{number}");
                number += 1;
            }
            fields.push(field);
        };
        match kind {
            TypeKind::Simple(_) => {
                let field = self.scalar(VALUE, ty, false);
                add(&mut fields, field);
            }
            TypeKind::Complex(complex) => {
                if let Content::Text(text) = &complex.content {
                    let field = self.scalar(VALUE, *text, true);
                    add(&mut fields, field);
                }
                for member in complex.elements().map_or(&[][..], |elements| elements.members.as_slice()) {
                    match self.member(member, depth) {
                        Some(field) if fields.len() < MOST => add(&mut fields, field),
                        _ => *self.left += 1,
                    }
                }
                for attribute in &complex.attributes {
                    let field = self.scalar(&attribute.json, attribute.ty, attribute.is_required);
                    add(&mut fields, field);
                }
            }
            _ => {}
        }
        fields
    }

    fn member(&mut self, member: &Member, depth: usize) -> Option<Field> {
        let (ty, json) = (member.element.ty, &*member.json);
        let needed = !member.is_optional && !member.element.is_nillable;
        let nested = |own: &mut Self, ty| {
            let inner = if depth + 1 < DEEPEST { own.of(ty, depth + 1) } else { Vec::new() };
            (!inner.is_empty()).then(|| table(&inner))
        };
        let field = |from: &str, rules: String| Field {
            name: plain_name(json),
            from: from.to_owned(),
            rules,
            reason: None,
            builtin: None,
            is_needed: false,
        };
        if let TypeKind::Array(array) = &self.plan.types.get(ty).kind {
            let inner = nested(self, array.item)?;
            return Some(field(json, format!("{{ from = {}, each = {inner} }}", quoted(json))));
        }
        if member.is_many {
            return Some(match builtin(self.plan, ty) {
                Some(_) => {
                    let rules = self.type_rules(ty).0;
                    field(json, format!("{{ from = {}, each = {{ {} }} }}", quoted(json), rules.join(", ")))
                }
                None => {
                    let inner = nested(self, ty)?;
                    field(json, format!("{{ from = {}, each = {inner} }}", quoted(json)))
                }
            });
        }
        if builtin(self.plan, ty).is_some() {
            return Some(self.scalar(json, ty, needed));
        }
        let TypeKind::Complex(complex) = &self.plan.types.get(ty).kind else { return None };
        if let Some(item) = list_of(complex) {
            let from = format!("{json}.{}", item.json);
            let rules = match builtin(self.plan, item.element.ty) {
                Some(_) => format!("{{ {} }}", self.type_rules(item.element.ty).0.join(", ")),
                None => nested(self, item.element.ty)?,
            };
            return Some(field(&from, format!("{{ from = {}, each = {rules} }}", quoted(&from))));
        }
        let inner = nested(self, ty)?;
        Some(field(json, format!("{{ from = {}, object = {inner} }}", quoted(json))))
    }

    fn scalar(&mut self, from: &str, ty: TypeId, is_needed: bool) -> Field {
        let (mut rules, reason) = self.type_rules(ty);
        rules.insert(0, format!("from = {}", quoted(from)));
        let builtin = builtin(self.plan, ty);
        let reason = reason.map(|reason| format!("{from}: {reason}"));
        let rules = format!("{{ {} }}", rules.join(", "));
        Field { name: plain_name(from), from: from.to_owned(), rules, reason, builtin, is_needed }
    }

    /// What a text is, as rules of a field, and what is to be said of it.
    pub(super) fn type_rules(&self, ty: TypeId) -> (Vec<String>, Option<String>) {
        let Some(builtin) = builtin(self.plan, ty) else { return (vec!["type = \"string\"".to_owned()], None) };
        let facets = facets(self.plan, ty);
        let mut reason = None;
        let type_name = match builtin.json() {
            JsonKind::Boolean => "boolean".to_owned(),
            JsonKind::Integer | JsonKind::LargeInteger => "integer".to_owned(),
            JsonKind::Float => "number".to_owned(),
            JsonKind::Decimal => match facets.and_then(|facets| facets.total_digits.zip(facets.fraction_digits)) {
                Some((digits, scale)) if digits <= 38 => format!("decimal({digits},{scale})"),
                _ => {
                    reason =
                        Some("the schema does not say how many digits it has: correct this when you know".to_owned());
                    "decimal(28,6)".to_owned()
                }
            },
            JsonKind::Text => match builtin {
                Builtin::Date => "date".to_owned(),
                Builtin::DateTime => "datetime".to_owned(),
                Builtin::Time => "time".to_owned(),
                Builtin::Base64Binary | Builtin::HexBinary => "bytes".to_owned(),
                _ => "string".to_owned(),
            },
        };
        if let Some(values) = facets.map(|facets| &facets.enumeration).filter(|values| !values.is_empty()) {
            let mut listed = String::new();
            for value in values.iter().take(12) {
                let _ = write!(listed, "{}{value}", if listed.is_empty() { "" } else { ", " });
            }
            reason = Some(format!("one of {listed}; `values` gives them other words"));
        }
        let mut rules = vec![format!("type = \"{type_name}\"")];
        if matches!(builtin, Builtin::Date | Builtin::DateTime | Builtin::Time) {
            rules.push("blank = \"null\"".to_owned());
        }
        (rules, reason)
    }
}

/// The only member of a type that does nothing but hold a list.
fn list_of(complex: &Complex) -> Option<&Member> {
    complex.list_member()
}

fn table(fields: &[Field]) -> String {
    let written: Vec<String> = fields.iter().map(|field| format!("{} = {}", field.name, field.rules)).collect();
    format!("{{ {} }}", written.join(", "))
}

/// What is proposed as the key.
struct Key {
    field: String,
    /// The member of the request that asks for it.
    input: String,
    why: String,
}

/// Whether a value of this type can be a key: it has one spelling, and is not nothing where it is blank.
fn is_key(builtin: Builtin) -> bool {
    match builtin.json() {
        JsonKind::Float => false,
        JsonKind::Text => !matches!(
            builtin,
            Builtin::Base64Binary | Builtin::HexBinary | Builtin::Date | Builtin::DateTime | Builtin::Time
        ),
        _ => true,
    }
}

fn key(fields: &[Field], inputs: &[Given], is_list: bool) -> Option<Key> {
    let single = || fields.iter().filter(|field| field.builtin.is_some_and(is_key));
    if !is_list {
        for input in inputs.iter().filter(|input| input.is_scalar && !pages(&input.name)) {
            if let Some(field) = single().find(|field| same_name(&field.from, &input.name)) {
                let why = format!("the request asks by {}, and the record has a member of that name", input.name);
                return Some(Key { field: field.name.clone(), input: input.name.clone(), why });
            }
        }
    }
    const ENDS: [&str; 8] = ["number", "no", "nr", "id", "key", "code", "num", "guid"];
    let ends = |field: &&Field| field.name.rsplit('_').next().is_some_and(|last| ENDS.contains(&last));
    let by_name = single().filter(|field| field.is_needed).find(ends).or_else(|| single().find(ends));
    let first = by_name.or_else(|| single().find(|field| field.is_needed)).or_else(|| single().next());
    let input = inputs.iter().find(|input| input.is_scalar).map(|input| input.name.clone()).unwrap_or_default();
    let field = first?;
    let why = match by_name {
        Some(_) => format!("by its name, {} tells records apart: make sure that it does", field.from),
        None => format!("nothing tells which member is the key; {} is a guess", field.from),
    };
    Some(Key { field: field.name.clone(), input, why })
}
