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
use super::preset::Preset;
use super::rules;
use super::schema::{self, Shape};
use super::sections::{FIELD, NOT_IN_FIELD, without_unavailable};
use super::types::Type;
use crate::diagnostic::{Entries, Faults, Node, Table, nearest};
use crate::record::{FieldKind, Resolved, Wanted};

/// What all fields of a mapping share.
pub(super) struct Context<'a> {
    pub(super) lookups: &'a HashMap<String, Option<Arc<Lookup>>>,
    pub(super) style: NumberStyle,
    /// The source says NULL: see [`Layout::says_null`](crate::record::Layout::says_null).
    pub(super) says_null: bool,
    /// What is so where a field does not say otherwise.
    pub(super) preset: Option<&'static Preset>,
    pub(super) faults: &'a Faults,
}

/// A table of fields, compiled.
pub(super) struct Compiled {
    pub(super) fields: Vec<Field>,
    pub(super) shape: Shape,
    /// False when a field has faults; its shape then says no more than that it is there.
    pub(super) sound: bool,
}

/// Compiles a table of fields in the order they are written.
pub(super) fn compile_fields(entries: &Entries, within: &Surroundings<'_>, context: &Context<'_>) -> Compiled {
    let (mut fields, mut shapes) = (Vec::new(), Vec::new());
    let mut sound = true;
    for (name, node) in entries {
        if !is_name(name) {
            let fault = node.key_fault(format!("`{name}` is no name for a field"));
            let help = "a name has up to 64 letters, digits, `_` or `-`, and starts with a letter or `_`";
            context.faults.push(fault.help(help));
            sound = false;
        }
        match compile_field(node, within, context) {
            Some((rule, shape)) => {
                let mut label = if fields.is_empty() { Vec::new() } else { vec![b','] };
                json::write_string(&mut label, name);
                label.push(b':');
                fields.push(Field { name: name.clone(), label, key: None, rule });
                shapes.push((name.clone(), shape));
            }
            None => {
                shapes.push((name.clone(), Shape::broken()));
                sound = false;
            }
        }
    }
    Compiled { fields, shape: schema::object(shapes), sound }
}

impl Compiled {
    fn into_rule(self) -> Option<(Rule, Shape)> {
        self.sound.then_some((Rule::Object(self.fields), self.shape))
    }
}

/// Reports what is wrong with the words of a table of fields alone, for when there is no layout to judge the
/// rest by.
pub(super) fn check_words(entries: &Entries, faults: &Faults) {
    for node in entries.values() {
        let node = without_unavailable(node, "fields.NAME", NOT_IN_FIELD, faults);
        let Some(table) = Table::new(&node, &FIELD, faults) else { continue };
        declared_type(&table);
        for name in ["object", "each"] {
            let inner = table.get(name).and_then(Node::as_table);
            // The elements of a repeating single field have rules where those of a group have fields.
            if let Some(inner) = inner
                && inner.values().all(|node| node.as_table().is_some())
            {
                check_words(inner, faults);
            }
        }
    }
}

pub(super) fn is_name(name: &str) -> bool {
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
    let as_string = rules::as_string(table, value_type, None)?;
    let json = table.read("constant", |node| literal::value(node, value_type, as_string, false))?;
    let mut facts = rules::bare_facts(value_type, as_string);
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
            let (place, resolved) = resolve(table, within, Wanted::Group)?;
            if resolved.repeats || resolved.kind != FieldKind::Group {
                let (is, help) =
                    if resolved.repeats { ("repeats", "use `each`") } else { ("is no group", "take `from` out") };
                fail_at(table, "from", format!("`{}` {is}", table.string("from")?), help);
                return None;
            }
            within.inside(place)
        }
    };
    compile_fields(fields_of(table, "object")?, &inner, context).into_rule()
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
    let (place, resolved) = resolve(table, within, wanted_by_each(table))?;
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
        compile_fields(fields_of(table, "each")?, &inner, context).into_rule()?
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
        let made = rules::compile(&rules, declared_type(&rules), element, resolved.kind, context)?;
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
    let (place, resolved) = resolve(table, within, Wanted::Value)?;
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
    if declared.is_none() && table.has("type") {
        return None; // What the other rules mean depends on the type.
    }
    rules::compile(table, declared, place, resolved.kind, context)
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

/// A table of tables has the fields of a group, any other the rules of a single field.
fn wanted_by_each(table: &Table<'_>) -> Wanted {
    let inner = table.get("each").and_then(Node::as_table);
    let has_fields =
        inner.is_some_and(|inner| !inner.is_empty() && inner.values().all(|node| node.as_table().is_some()));
    if has_fields { Wanted::EachGroup } else { Wanted::EachValue }
}

/// Finds what `from` names in the layout.
fn resolve(table: &Table<'_>, within: &Surroundings<'_>, wanted: Wanted) -> Option<(Place, Resolved)> {
    let name = table.filled("from")?;
    match within.resolve_as(&name, wanted) {
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

#[cfg(test)]
mod tests {
    use crate::mapping::testing::{Double, Held, bad, blank_number, compile, map, number, text};

    fn order() -> Double {
        let line = |sku: &str, quantity: Held| vec![("SKU", text(sku)), ("L-QTY", quantity)];
        Double::new(vec![
            ("ORD-NO", text("A 1")),
            ("AMOUNT", number("12.50")),
            ("PRICE", Held::Float(0.5)),
            ("CUSTOMER", Held::Group(vec![("NAME", text("M\u{fc}ller")), ("NO", number("7"))])),
            ("LINE", Held::Table(vec![line("x", number("1")), line("", blank_number(1, 0)), line("y", number("2"))])),
            ("TAG", Held::List(vec![text("a"), text("b")])),
            ("NO", text("outer")),
        ])
    }

    fn check(mapping: &str, expected: Result<&str, &str>) {
        let mapped = map(&order(), mapping);
        assert_eq!(mapped.as_ref().map(String::as_str).map_err(String::as_str), expected);
    }

    #[test]
    fn objects_and_arrays() {
        check(
            "[fields]\nb = { from = 'ORD-NO' }\na = { constant = 1.50 }\nc = { object = { n = { from = 'NAME' }, t = { constant = 'x' } } }",
            Ok(r#"{"b":"A 1","a":1.50,"c":{"n":"Müller","t":"x"}}"#),
        );
        check(
            "[fields]\nc = { from = 'CUSTOMER', object = { no = { from = 'NO' } } }\nno = { from = 'NO' }",
            Ok(r#"{"c":{"no":7},"no":"outer"}"#),
        );
        check(
            "[fields]\nlines = { from = 'LINE', skip = \"SKU is blank\", each = { sku = { from = 'SKU' }, q = { from = 'L-QTY' }, order = { from = 'ORD-NO' } } }",
            Ok(r#"{"lines":[{"sku":"x","q":1,"order":"A 1"},{"sku":"y","q":2,"order":"A 1"}]}"#),
        );
        check("[fields]\ntags = { from = 'TAG', each = { case = 'upper' } }", Ok(r#"{"tags":["A","B"]}"#));
    }

    #[test]
    fn rejects_name_the_path() {
        check(
            "[fields]\nlines = { from = 'LINE', each = { o = { object = { q = { from = 'L-QTY' } } } } }",
            Err("value.blank lines[1].o.q: expected layout in L-QTY, found 40404040"),
        );
        check(
            "[fields]\ntags = { from = 'TAG', each = { values = { a = 'x' } } }",
            Err("value.unknown tags[1]: expected one of `a` in TAG, found \"b\""),
        );
    }

    #[test]
    fn the_first_bad_field_decides() {
        let double = Double::new(vec![("A", bad()), ("B", text("x"))]);
        let mapped = map(&double, "[fields]\nb = { from = 'B', type = 'integer' }\na = { from = 'A' }");
        assert!(mapped.unwrap_err().starts_with("numeric.bad_digit b:"));
    }

    fn faults(mapping: &str, expected: &[&str]) {
        let found = compile(&order(), mapping).map(|_| ()).unwrap_err();
        assert_eq!(found, expected, "{mapping}");
    }

    fn field(rules: &str, expected: &[&str]) {
        faults(&format!("[fields]\nf = {{ {rules} }}"), expected);
    }

    #[test]
    fn names_and_makers() {
        field("from = 'ORD-NUM'", &["2:14: there is no field `ORD-NUM` (did you mean `ORD-NO`?)"]);
        field(
            "form = 'ORD-NO'",
            &[
                "2:1: the field has no `from` (say what makes it: `from`, `constant`, `object` or `each`)",
                "2:7: unknown key `form` in `fields.NAME` (did you mean `from`?)",
            ],
        );
        field("from = 'CUSTOMER'", &["2:14: `CUSTOMER` is a group (add `object = {...}`, or name one of its fields)"]);
        field(
            "from = 'LINE'",
            &["2:14: `LINE` repeats (add `each = { name = { from = \"...\" } }` to make an array of it)"],
        );
        field("from = 'TAG'", &["2:14: `TAG` repeats (add `each = {}` to make an array of it)"]);
        field(
            "from = 'ORD-NO', each = { a = { from = 'SKU' } }",
            &["2:14: `ORD-NO` does not repeat (use `object` for a group, or a plain `from`)"],
        );
        field("from = 'SKU'", &["2:14: there is no field `SKU` (did you mean `SKU`?)"]);
        field(
            "each = { a = { from = 'SKU' } }",
            &["2:1: `each` needs `from` (name the repeating group of the layout)"],
        );
        field("from = 'LINE', object = { a = { from = 'SKU' } }", &["2:14: `LINE` repeats (use `each`)"]);
        field("object = {}", &["2:16: `object` has no fields"]);
        field("constant = [1]", &["2:18: a constant is a string, a number or a boolean, found an array"]);
        field(
            "constant = 1, from = 'ORD-NO'",
            &["2:21: `from` has no place beside `constant` (`constant` goes with: constant, as)"],
        );
        field(
            "constant = 1, object = { a = { constant = 1 } }",
            &["2:1: a field takes only one of `constant`, `object`, `each`"],
        );
        field(
            "from = 'ORD-NO', expr = 'a + b'",
            &[
                "2:24: `expr` in `fields.NAME` is not available for this kind of source yet (computed fields are not there yet; use `values`, `lookup`, `constant` or compute in the caller)",
            ],
        );
        faults(
            "[fields]\n\"a.b\" = { from = 'ORD-NO' }",
            &[
                "2:1: `a.b` is no name for a field (a name has up to 64 letters, digits, `_` or `-`, and starts with a letter or `_`)",
            ],
        );
        faults("[fields]\nf = 'ORD-NO'", &["2:5: `fields.NAME` must be a table, found a string"]);
    }

    #[test]
    fn types_against_the_layout() {
        field(
            "from = 'AMOUNT', type = 'decimal(3,1)'",
            &[
                "2:31: decimal(3,1) cannot hold every value of the layout's field, which needs decimal(4,2) (declare it decimal(4,2), and narrow it by `min` and `max`)",
            ],
        );
        field(
            "from = 'AMOUNT', type = 'integer'",
            &["2:31: the layout's field has decimals, an integer has none (declare it decimal(4,2))"],
        );
        field(
            "from = 'PRICE', type = 'decimal(4,2)'",
            &[
                "2:30: this field of the layout cannot become `decimal(4,2)` (a binary float is inexact and can only be a `number`)",
            ],
        );
        field(
            "from = 'ORD-NO', type = 'strnig'",
            &[
                "2:31: `type`: there is no type `strnig`; did you mean `string`? (`type` is string | integer | decimal(p,s) | number | boolean | date | time | datetime | bytes | object | array | any: what it becomes; as the layout says when absent)",
            ],
        );
        field(
            "from = 'AMOUNT', type = 'date'",
            &[
                "2:31: format `%Y-%m-%d` takes 8 characters at least, and the layout's field has 4 (say by `format` how the source writes it, like format = \"%Y%m%d\")",
            ],
        );
    }

    #[test]
    fn rules_against_each_other() {
        field(
            "from = 'ORD-NO', min = 3",
            &["2:24: `min` has no place in a field of type `string` (it belongs to numbers, dates and times)"],
        );
        field("from = 'AMOUNT', min = 3, max = 2", &["2:39: max 2 is less than min 3"]);
        field(
            "from = 'AMOUNT', pattern = 'x'",
            &["2:24: `pattern` has no place in a field of type `decimal(4,2)` (it belongs to string)"],
        );
        field(
            "from = 'ORD-NO', pattern = '('",
            &[
                "2:34: `pattern`: no regular expression: unclosed group (`pattern` is regular expression: a string must match it somewhere: anchor it by ^ and $)",
            ],
        );
        field("from = 'ORD-NO', values = { A = 1 }", &["2:39: `values.A`: expected a string, found an integer"]);
        field("from = 'ORD-NO', values = {}", &["2:33: `values` is empty (write `values = { OP = \"open\" }`)"]);
        field(
            "from = 'ORD-NO', values = { A = 'a' }, pattern = 'a'",
            &["2:46: `pattern` has no place beside `values` (the table itself says what may be there)"],
        );
        field(
            "from = 'ORD-NO', unknown = 'null'",
            &["2:24: `unknown` has no place without `values` (it says what happens to a value outside `values`)"],
        );
        field("from = 'ORD-NO', blank = 'zero'", &["2:32: only a number can be zero (use \"null\" or \"reject\")"]);
        field(
            "from = 'ORD-NO', required = true, default = 'x'",
            &["2:41: `default` has no place in a required field (a required field has always a value of its own)"],
        );
        field(
            "from = 'AMOUNT', null_if = ['x']",
            &[
                "2:34: `null_if`: the layout's field is a number, and \"x\" is none (`null_if` is array of strings or numbers: values of the source that mean null)",
            ],
        );
        field(
            "from = 'ORD-NO', type = 'date', format = '%Y%m'",
            &["2:48: format `%Y%m`: needs a month and a day (%m %d), or the day of the year (%j)"],
        );
        field(
            "from = 'ORD-NO', type = 'date', default = '1.1.2026'",
            &[
                "2:49: `default`: `1.1.2026` is not written like 2026-12-31 (`default` is value of the field's type: takes the place of null and of blank)",
            ],
        );
        field(
            "from = 'ORD-NO', type = 'datetime', zone = 'Berlin'",
            &[
                "2:50: `zone`: `Berlin` is no time zone of the IANA database like \"Europe/Berlin\" (`zone` is string: IANA time zone of a datetime, which is then served in UTC)",
            ],
        );
        field(
            "from = 'ORD-NO', lookup = 'id'",
            &["2:33: there is no `[lookups.id]` (add `[lookups.id]` with `csv`, `key` and `value`)"],
        );
        field(
            "from = 'LINE', skip = \"SKUU = 'x'\", each = { s = { from = 'SKU' } }",
            &["2:30: there is no field `SKUU` (did you mean `SKU`?)"],
        );
    }

    #[test]
    fn what_stands_in_keeps_the_rules() {
        field(
            "from = 'ORD-NO', pattern = '^[0-9]+$', default = 'none'",
            &["2:56: \"none\" breaks the field's own rules (change it, or the rule)"],
        );
        field(
            "from = 'AMOUNT', min = 1, blank = 'zero'",
            &["2:41: 0.00 breaks the field's own rules (change it, or the rule)"],
        );
    }

    #[test]
    fn lookups() {
        let with = |missing: &str, rules: &str| {
            format!(
                "[fields]\nf = {{ from = 'N', {rules} }}\n[lookups.ids]\ncsv = 'ids.csv'\nkey = 'erp'\nvalue = 'uuid'\nmissing = '{missing}'"
            )
        };
        let map = |held: Held, missing: &str, rules: &str| map(&Double::new(vec![("N", held)]), &with(missing, rules));
        assert_eq!(map(text("1"), "reject", "lookup = 'ids'").as_deref(), Ok(r#"{"f":"one"}"#));
        assert_eq!(map(number("2"), "reject", "lookup = 'ids'").as_deref(), Ok(r#"{"f":"two"}"#));
        assert_eq!(map(text("3"), "null", "lookup = 'ids'").as_deref(), Ok(r#"{"f":null}"#));
        assert_eq!(map(text("3"), "keep", "lookup = 'ids'").as_deref(), Ok(r#"{"f":"3"}"#));
        let rejected = map(text("3"), "reject", "lookup = 'ids'").unwrap_err();
        assert_eq!(rejected, "value.unknown f: expected a value that lookup ids has in N, found \"3\"");
        assert!(map(text(""), "reject", "lookup = 'ids'").unwrap_err().starts_with("value.blank"));
    }
}
