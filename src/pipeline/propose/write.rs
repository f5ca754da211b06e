//! An operation that by its name changes something: proposed as a write of a resource, for a person to put into its
//! mapping.

use super::names::{bare, plain_name};
use super::quoted;
use super::service::{Fields, builtin, members, mtom, whole, wrapped};
use crate::wsdl::{Member, Plan, TypeId, TypeKind};

/// How deep what is sent is proposed.
const DEEPEST: usize = 4;

/// Verbs with which such names begin, and the name that the write has then.
const VERBS: [(&str, &str); 33] = [
    ("add", "create"),
    ("create", "create"),
    ("enter", "create"),
    ("insert", "create"),
    ("new", "create"),
    ("place", "create"),
    ("register", "create"),
    ("submit", "create"),
    ("change", "update"),
    ("edit", "update"),
    ("modify", "update"),
    ("patch", "update"),
    ("put", "update"),
    ("replace", "update"),
    ("save", "update"),
    ("set", "update"),
    ("update", "update"),
    ("upsert", "update"),
    ("delete", "delete"),
    ("remove", "delete"),
    ("approve", ""),
    ("assign", ""),
    ("book", ""),
    ("cancel", ""),
    ("close", ""),
    ("confirm", ""),
    ("execute", ""),
    ("lock", ""),
    ("notify", ""),
    ("post", ""),
    ("release", ""),
    ("send", ""),
    ("unlock", ""),
];

/// The verb of an operation, and what the write is called.
fn verb(operation: &str) -> Option<&'static str> {
    let name = plain_name(operation);
    let first = name.split('_').next().unwrap_or_default().to_owned();
    VERBS.iter().find(|(verb, _)| *verb == first).map(|(_, named)| *named)
}

/// Whether an operation changes something, as far as its name tells.
pub(super) fn changes_something(operation: &str) -> bool {
    verb(operation).is_some()
}

/// The text of the write, a part of a mapping.
pub(super) fn propose(backend: &str, plan: &Plan) -> String {
    let operation = &plan.operation;
    let name = match verb(&operation.name) {
        Some(named) if !named.is_empty() => named.to_owned(),
        _ => plain_name(&operation.name),
    };
    let (mut body, mut sent, mut left) = (Vec::new(), Vec::new(), 0);
    let whole = whole(plan).map(|(own, _)| plain_name(&own));
    if let Some(field) = &whole {
        let rules = Fields { plan, left: &mut 0 }.type_rules(operation.input.body.ty).0;
        body.push(format!("{field} = {}", type_of(&rules)));
    }
    for member in members(plan, operation.input.body.ty) {
        if let Some((field, value)) = part(plan, member, Some(""), 0, &mut left) {
            body.push(field);
            sent.push(value);
        }
    }
    let mut lines = vec![
        format!("# Proposed from the operation {} of port {}.", operation.name, operation.port),
        match operation.output {
            Some(_) => "# By its name it changes something, so this is no resource of its own, but a write of one: put it into \
                        that mapping."
                .to_owned(),
            None => "# It answers nothing, so this is no resource of its own, but a write of one: put it into that mapping."
                .to_owned(),
        },
        "# The types are the WSDL's; nothing was called. Read every line before it is used.".to_owned(),
    ];
    lines.extend(mtom(plan).map(str::to_owned));
    lines.extend([
        match name.as_str() {
            "create" => "[operations.create]        # POST on the resource".to_owned(),
            "update" => {
                "[operations.update]        # PATCH and PUT on a record; `{key}` is a field of its key".to_owned()
            }
            "delete" => "[operations.delete]        # DELETE on a record; `{key}` is a field of its key".to_owned(),
            other => format!("[operations.{other}]        # POST on a record, below its name"),
        },
        format!("backend = {}", quoted(backend)),
    ]);
    match body.is_empty() {
        true => {}
        false => lines.push(format!("body    = {{ {} }}", body.join(", "))),
    }
    let of_members = members(plan, operation.input.body.ty).iter().map(|member| plain_name(&member.json));
    let sent_names: Vec<String> = of_members.chain(whole.clone()).collect();
    let answered = answered(plan, &sent_names);
    if !answered.is_empty() {
        let named: Vec<String> = answered.iter().map(|(name, _)| format!("{name} = \":{name}\"")).collect();
        lines.push(format!("answer  = {{ {} }}", named.join(", ")));
    }
    lines.push(String::new());
    lines.push(format!("[operations.{name}.soap]"));
    lines.push(format!("operation = {}", quoted(&operation.name)));
    lines.push(match whole {
        Some(field) => format!("body      = \"{{{field}}}\""),
        None => format!("body      = {{ {} }}", sent.join(", ")),
    });
    if left > 0 {
        lines.push(format!("# {left} more members are not proposed: `inspect` shows them"));
    }
    if !answered.is_empty() {
        let taken: Vec<String> = answered.iter().map(|(name, path)| format!("{name} = {}", quoted(path))).collect();
        lines.push(format!("take      = {{ {} }}", taken.join(", ")));
    }
    lines.push(String::new());
    lines.push(
        "# An operation that finds out whether a write is done whose answer was lost. Without it that stays unknown:"
            .to_owned(),
    );
    lines.push("# send `{operation_id}` as a reference above, and ask for it here.".to_owned());
    lines.push(format!("# [operations.{name}.reconcile.soap]"));
    lines.push("# operation = \"...\"".to_owned());
    lines.push("# body      = { Reference = \"{operation_id}\" }".to_owned());
    lines.push("# found     = \"/...Response/...\"".to_owned());
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The type among the rules of a field.
fn type_of(rules: &[String]) -> &str {
    rules.iter().find_map(|rule| rule.strip_prefix("type = ")).unwrap_or("\"string\"")
}

/// A field of what callers send, and where it goes; `place` is the way to it, and `None` within the elements of a list.
fn part(plan: &Plan, member: &Member, place: Option<&str>, depth: usize, left: &mut usize) -> Option<(String, String)> {
    let json = &*member.json;
    let name = plain_name(json);
    let own = member.element.ty;
    let is_optional = member.is_optional || member.element.is_nillable;
    let key = bare(json);
    if builtin(plan, own).is_some() && !member.is_many {
        return Some(scalar(plan, (json, own), place, is_optional));
    }
    let TypeKind::Complex(complex) = &plan.types.get(own).kind else {
        *left += 1;
        return None;
    };
    // Lists within objects, objects within the elements of lists, and lists of texts are left to a person.
    let within = match (member.is_many, place) {
        _ if depth >= DEEPEST => None,
        (true, Some("")) => Some(None),
        (false, Some("")) => Some(Some(name.clone())),
        (false, Some(place)) => Some(Some(format!("{place}/{name}"))),
        (true, Some(_)) | (_, None) => None,
    };
    let Some(within) = within else {
        *left += 1;
        return None;
    };
    let mut parts: Vec<_> =
        members(plan, own).iter().filter_map(|member| part(plan, member, within.as_deref(), depth + 1, left)).collect();
    if parts.is_empty() {
        *left += 1;
        return None;
    }
    for attribute in &complex.attributes {
        let one = scalar(plan, (&attribute.json, attribute.ty), within.as_deref(), !attribute.is_required);
        match parts.iter().any(|(field, _)| field.split(' ').next() == one.0.split(' ').next()) {
            true => *left += 1,
            false => parts.push(one),
        }
    }
    // What is in it must be there: a place of something that callers may leave out has no value in every call.
    let is_optional = is_optional && (member.is_many || !needs(plan, own, depth));
    let (fields, values): (Vec<String>, Vec<String>) = parts.into_iter().unzip();
    let (fields, values) = (fields.join(", "), values.join(", "));
    Some(match member.is_many {
        true => (
            format!("{name} = {{ each = {{ {fields} }}{} }}", if is_optional { ", required = false" } else { "" }),
            format!("{key} = {{ each = \"{name}\", item = {{ {values} }} }}"),
        ),
        false => (
            format!("{name} = {{ object = {{ {fields} }}{} }}", if is_optional { ", required = false" } else { "" }),
            format!("{key} = {{ {values} }}"),
        ),
    })
}

/// The same of a single value.
fn scalar(plan: &Plan, (json, own): (&str, TypeId), place: Option<&str>, is_optional: bool) -> (String, String) {
    let (name, key) = (plain_name(json), bare(json));
    let rules = Fields { plan, left: &mut 0 }.type_rules(own).0;
    let type_name = type_of(&rules);
    let field = match is_optional {
        true => format!("{name} = {{ type = {type_name}, required = false }}"),
        false => format!("{name} = {type_name}"),
    };
    let way = match place {
        None | Some("") => name,
        Some(place) => format!("/{place}/{name}"),
    };
    (field, format!("{key} = \"{{{way}}}\""))
}

/// Whether an object has a value that cannot be left out, nor be empty.
fn needs(plan: &Plan, ty: TypeId, depth: usize) -> bool {
    let TypeKind::Complex(complex) = &plan.types.get(ty).kind else { return false };
    let is_hard = |ty| builtin(plan, ty).is_some_and(|builtin| !builtin.takes_empty());
    let of_member = |member: &Member| {
        let own = member.element.ty;
        // Objects within it are proposed as needed, too, where they need something.
        let is_object = !member.is_many && matches!(plan.types.get(own).kind, TypeKind::Complex(_));
        let must_be = !member.is_optional && !member.element.is_nillable && !member.is_many;
        must_be && (is_hard(own) || (is_object && depth < DEEPEST && needs(plan, own, depth + 1)))
    };
    complex.attributes.iter().any(|attribute| attribute.is_required && is_hard(attribute.ty))
        || members(plan, ty).iter().any(of_member)
}

/// Single values of the answer, with their names, which are none of those that are sent, and places.
fn answered(plan: &Plan, sent: &[String]) -> Vec<(String, String)> {
    let Some(body) = plan.operation.output.as_ref().map(|output| &output.body) else { return Vec::new() };
    let Some(root) = &body.root else { return Vec::new() };
    let own = plan.types.names.local(root.name.local);
    let (path, ty) = wrapped(plan, &format!("/{own}"), body.ty);
    let named = |json: &str| {
        let name = plain_name(json);
        if sent.contains(&name) { format!("new_{name}") } else { name }
    };
    if builtin(plan, ty).is_some() {
        return vec![(named(own), path)];
    }
    let single =
        members(plan, ty).iter().filter(|member| !member.is_many && builtin(plan, member.element.ty).is_some());
    let place = |member: &Member| format!("{path}/{}", plan.types.names.local(member.element.name.local));
    single.take(8).map(|member| (named(&member.json), place(member))).collect()
}
