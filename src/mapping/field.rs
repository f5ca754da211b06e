//! A field's rules as written become a compiled rule and its schema. Everything that can be known to be
//! wrong before the first record is reported here, at its place in the file.

use std::collections::HashMap;
use std::sync::Arc;

use super::condition::Condition;
use super::json;
use super::literal;
use super::lookup::Lookup;
use super::number::NumberStyle;
use super::place::{MAX_DEPTH, Place, Surroundings};
use super::plan::{Array, Field, Rule};
use super::scalar_rules;
use super::schema::{self, Shape};
use super::sections::{FIELD, NOT_IN_FIELD, without_unavailable};
use super::types::Type;
use crate::diagnostic::{Entries, Faults, Node, Table, nearest};
use crate::record::{FieldKind, Resolved};

/// What all fields of a mapping share.
pub(super) struct Context<'a> {
    pub(super) lookups: &'a HashMap<String, Option<Arc<Lookup>>>,
    pub(super) style: NumberStyle,
    pub(super) faults: &'a Faults,
}

/// Compiles a table of fields in the order they are written.
pub(super) fn compile_fields(
    entries: &Entries,
    within: &Surroundings<'_>,
    context: &Context<'_>,
) -> Option<(Vec<Field>, Shape)> {
    let (mut fields, mut shapes) = (Vec::new(), Vec::new());
    let mut sound = true;
    for (name, node) in entries {
        if !is_name(name) {
            let fault = node.key_fault(format!("`{name}` is no name for a field"));
            context
                .faults
                .push(fault.help("a name has up to 64 letters, digits, `_` or `-`, and starts with a letter or `_`"));
            sound = false;
        }
        match compile_field(node, within, context) {
            Some((rule, shape)) => {
                let mut label = json::string(name);
                label.push(b':');
                fields.push(Field { name: name.clone(), label, key: None, rule });
                shapes.push((name.clone(), shape));
            }
            None => sound = false,
        }
    }
    sound.then(|| (fields, schema::object(shapes)))
}

fn is_name(name: &str) -> bool {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    starts_well && name.len() <= 64 && name.bytes().all(part)
}

fn compile_field(node: &Node, within: &Surroundings<'_>, context: &Context<'_>) -> Option<(Rule, Shape)> {
    let before = context.faults.len();
    let node = without_unavailable(node, "fields.NAME", NOT_IN_FIELD, context.faults);
    if context.faults.len() > before && node.as_table().is_some_and(|entries| !entries.contains_key("from")) {
        return None;
    }
    let table = Table::new(&node, &FIELD, context.faults)?;
    let (title, description) = (table.filled("title"), table.filled("description"));
    let declared = declared_type(&table);
    let makers = ["constant", "object", "each"].map(|name| table.has(name));
    let made = match makers {
        [true, false, false] => constant(&table, declared),
        [false, true, false] => object(&table, declared, within, context),
        [false, false, true] => each(&table, declared, within, context),
        [false, false, false] => single(&table, declared, within, context),
        _ => {
            table.fail(node.key_fault("a field takes only one of `constant`, `object`, `each`"));
            None
        }
    };
    let (rule, mut shape) = made?;
    schema::annotate(&mut shape, title, description);
    (!table.failed() && context.faults.len() == before).then_some((rule, shape))
}

fn declared_type(table: &Table<'_>) -> Option<Type> {
    table.read("type", |node| match node.as_str() {
        Some(text) => Type::parse(text),
        None => Err(format!("expected a string, found {}", node.kind())),
    })
}

/// Reports every written key that has no place beside `with`.
fn only(table: &Table<'_>, with: &str, allowed: &[&str]) {
    for name in table.node().as_table().into_iter().flat_map(Entries::keys) {
        let known = FIELD.key(name).is_some();
        if known && !allowed.contains(&name.as_str()) && name != "title" && name != "description" && name != "type" {
            misplaced(table, name, &format!("beside `{with}`"), &format!("`{with}` goes with: {}", allowed.join(", ")));
        }
    }
}

/// Reports that a key has no place where it stands.
pub(super) fn misplaced(table: &Table<'_>, name: &str, place: &str, help: &str) {
    if let Some(node) = table.get(name) {
        table.fail(node.key_fault(format!("`{name}` has no place {place}")).help(help));
    }
}

fn mismatched(table: &Table<'_>, declared: Option<Type>, wanted: Type) {
    if let Some(declared) = declared
        && declared != wanted
        && let Some(node) = table.get("type")
    {
        table.fail(
            node.fault(format!("the field is an {}, not `{}`", wanted.name(), declared.name())).help("take `type` out"),
        );
    }
}

fn constant(table: &Table<'_>, declared: Option<Type>) -> Option<(Rule, Shape)> {
    only(table, "constant", &["constant", "as"]);
    let node = table.get("constant")?;
    let Some(value_type) = declared.or_else(|| literal::type_of(node)) else {
        table.fail(node.fault(format!("a constant is a string, a number or a boolean, found {}", node.kind())));
        return None;
    };
    let as_string = scalar_rules::as_string(table, value_type, None)?;
    let json = table.read("constant", |node| literal::value(node, value_type, as_string, false))?;
    let mut facts = scalar_rules::bare_facts(value_type, as_string);
    facts.values = Some(vec![json.clone()]);
    Some((Rule::Constant(json), schema::scalar(&facts)))
}

fn object(
    table: &Table<'_>,
    declared: Option<Type>,
    within: &Surroundings<'_>,
    context: &Context<'_>,
) -> Option<(Rule, Shape)> {
    only(table, "object", &["object", "from"]);
    mismatched(table, declared, Type::Object);
    let inner = match table.get("from") {
        None => within.clone(),
        Some(_) => {
            let (place, resolved) = resolve(table, within)?;
            if resolved.repeats || resolved.kind != FieldKind::Group {
                let (is, help) =
                    if resolved.repeats { ("repeats", "use `each`") } else { ("is no group", "take `from` out") };
                fail_at(table, "from", format!("`{}` {is}", table.string("from")?), help);
                return None;
            }
            within.inside(place)
        }
    };
    let (fields, shape) = compile_fields(fields_of(table, "object")?, &inner, context)?;
    Some((Rule::Object(fields), shape))
}

fn each(
    table: &Table<'_>,
    declared: Option<Type>,
    within: &Surroundings<'_>,
    context: &Context<'_>,
) -> Option<(Rule, Shape)> {
    only(table, "each", &["each", "from", "skip"]);
    mismatched(table, declared, Type::Array);
    if !table.has("from") {
        table.fail(table.node().key_fault("`each` needs `from`").help("name the repeating group of the layout"));
        return None;
    }
    let (place, resolved) = resolve(table, within)?;
    if !resolved.repeats {
        fail_at(
            table,
            "from",
            format!("`{}` does not repeat", table.string("from")?),
            "use `object` for a group, or a plain `from`",
        );
        return None;
    }
    if usize::from(within.level()) >= MAX_DEPTH {
        fail_at(table, "from", format!("repeating groups nest deeper than {MAX_DEPTH}"), "flatten the mapping");
        return None;
    }
    let inner = within.inside_each(place);
    let skip = table.get("skip").map(|node| Condition::compile(node, &inner, context.style, context.faults));
    let (element, shape) = if resolved.kind == FieldKind::Group {
        let (fields, shape) = compile_fields(fields_of(table, "each")?, &inner, context)?;
        (Rule::Object(fields), shape)
    } else {
        let node = table.get("each")?;
        let node = without_unavailable(node, "fields.NAME.each", NOT_IN_FIELD, context.faults);
        let rules = Table::new(&node, &FIELD, context.faults)?;
        if let Some(from) = rules.get("from") {
            let fault = from.key_fault("the elements of a single field have no `from` of their own");
            rules.fail(fault.help("write rules like `type` here; `from` stands outside"));
            return None;
        }
        let element = Place { slot: place.slot, level: place.level + 1 };
        let made = scalar_rules::compile(&rules, declared_type(&rules), element, resolved.kind, context)?;
        if rules.failed() {
            return None;
        }
        made
    };
    if matches!(skip, Some(None)) {
        return None;
    }
    let array = Array { place, skip: skip.flatten(), element };
    Some((Rule::Array(Box::new(array)), schema::array(shape)))
}

fn single(
    table: &Table<'_>,
    declared: Option<Type>,
    within: &Surroundings<'_>,
    context: &Context<'_>,
) -> Option<(Rule, Shape)> {
    if !table.has("from") {
        let fault = table.node().key_fault("the field has no `from`");
        table.fail(fault.help("say what makes it: `from`, `constant`, `object` or `each`"));
        return None;
    }
    misplaced(table, "skip", "in a single field", "it belongs beside `each`");
    let (place, resolved) = resolve(table, within)?;
    if resolved.repeats {
        let from = table.string("from")?;
        let each = if resolved.kind == FieldKind::Group { "each = { name = { from = \"...\" } }" } else { "each = {}" };
        fail_at(table, "from", format!("`{from}` repeats"), &format!("add `{each}` to make an array of it"));
        return None;
    }
    if resolved.kind == FieldKind::Group {
        fail_at(
            table,
            "from",
            format!("`{}` is a group", table.string("from")?),
            "add `object = {...}`, or name one of its fields",
        );
        return None;
    }
    scalar_rules::compile(table, declared, place, resolved.kind, context)
}

fn fields_of<'a>(table: &Table<'a>, name: &str) -> Option<&'a Entries> {
    let node = table.get(name)?;
    match node.as_table() {
        Some(entries) if !entries.is_empty() => Some(entries),
        Some(_) => {
            table.fail(node.fault(format!("`{name}` has no fields")));
            None
        }
        None => {
            table.fail(node.fault(format!("`{name}` must be a table of fields, found {}", node.kind())));
            None
        }
    }
}

fn fail_at(table: &Table<'_>, name: &str, message: String, help: &str) {
    if let Some(node) = table.get(name) {
        table.fail(node.fault(message).help(help));
    }
}

/// Finds what `from` names in the layout.
fn resolve(table: &Table<'_>, within: &Surroundings<'_>) -> Option<(Place, Resolved)> {
    let name = table.filled("from")?;
    match within.resolve(&name) {
        Ok(found) => Some(found),
        Err(unresolved) => {
            if let Some(node) = table.get("from") {
                let fault = node.fault(unresolved.reason);
                table.fail(match unresolved.nearest {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None => fault,
                });
            }
            None
        }
    }
}

/// The table of `[lookups]` that a field names; `None` after reporting that there is none.
pub(super) fn lookup(table: &Table<'_>, context: &Context<'_>) -> Option<Arc<Lookup>> {
    let name = table.filled("lookup")?;
    match context.lookups.get(&name) {
        // A lookup with faults of its own has reported them where it stands.
        Some(found) => found.clone(),
        None => {
            if let Some(node) = table.get("lookup") {
                let fault = node.fault(format!("there is no `[lookups.{name}]`"));
                table.fail(match nearest(&name, context.lookups.keys().map(String::as_str)) {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None => fault.help(format!("add `[lookups.{name}]` with `csv`, `key` and `value`")),
                });
            }
            None
        }
    }
}
