//! Requests by the WSDL of the demo: what is sent for them, and what is told of those that do not fit.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use super::template::Compiler;
use crate::diagnostic::{Faults, SourceText, parse};
use crate::mapping::soap::pieces::{Given, Known, PlaceFacts};
use crate::wsdl::{Choice, Offline, Plan, Settings, import};

struct Places;

impl Known for Places {
    fn place(&self, name: &str, array: Option<&str>) -> Option<PlaceFacts> {
        let known = ["no", "name", "maybe"].contains(&name) || (array == Some("lines") && name == "sku");
        known.then(|| PlaceFacts { name: name.into(), may_be_absent: name == "maybe" })
    }

    fn names(&self, _: Option<&str>) -> Vec<String> {
        ["no", "name", "maybe"].map(str::to_owned).to_vec()
    }

    fn has_array(&self, name: &str) -> bool {
        name == "lines"
    }
}

struct Values(HashMap<&'static str, &'static str>);

impl Given for Values {
    fn text(&self, name: &str, element: Option<(&str, usize)>) -> Option<Cow<'_, str>> {
        match (name, element) {
            ("sku", Some((_, index))) => Some(format!("s{index}").into()),
            _ => self.0.get(name).map(|text| Cow::Borrowed(*text)),
        }
    }

    fn count(&self, _: &str) -> usize {
        2
    }
}

fn plan(operation: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo/erp.wsdl");
    let imported = import(&path.to_string_lossy(), &Settings::default(), &mut Offline).unwrap();
    imported.wsdl.plan(operation, &Choice::default()).unwrap()
}

/// What is sent for a request of this operation, or the faults.
fn body(operation: &str, written: &str, values: &[(&'static str, &'static str)]) -> Result<String, String> {
    let plan = plan(operation);
    let faults = Faults::new();
    let root = parse(&SourceText::new(Path::new("m.toml"), format!("r = {written}")), &faults);
    let node = root.as_table().unwrap()["r"].clone();
    let compiler = Compiler { types: &plan.types, known: &Places, faults: &faults };
    let template = compiler.request(&node, plan.operation.input.body.ty, operation);
    let Some(template) = template else {
        return Err(faults.into_sorted().iter().map(|fault| format!("{fault}\n")).collect());
    };
    let envelope = plan.request(&template.render(&Values(values.iter().copied().collect())));
    envelope.map(|envelope| envelope.body).map_err(|faults| format!("{faults:?}"))
}

#[test]
fn values_go_where_the_schema_has_them() {
    let sent = body(
        "CreateOrder",
        "{ Amount = 12.50, Customer = 'c {name}', Reference = '{no}' }",
        &[("no", "<1>"), ("name", "n")],
    )
    .unwrap();
    // In the order of the schema, escaped.
    let at = |text: &str| sent.find(text).unwrap_or_else(|| panic!("no {text} in {sent}"));
    assert!(at("&lt;1&gt;") < at("c n") && at("c n") < at("12.50"), "{sent}");
    let sent = body("GetOrder", "{ OrderNo = '{no}' }", &[("no", "4711")]).unwrap();
    assert!(sent.contains(">4711<"), "{sent}");
    // A key that is no number is nothing that the service knows.
    assert!(body("GetOrder", "{ OrderNo = '{no}' }", &[("no", "x")]).unwrap_err().contains("OrderNo"));
}

#[test]
fn what_does_not_fit_is_told_at_its_place() {
    let check = |operation: &str, written: &str, words: &[&str]| {
        let told = body(operation, written, &[]).unwrap_err();
        for words in words {
            assert!(told.contains(words), "{written}: no `{words}` in {told}");
        }
    };
    check(
        "GetOrder",
        "{ OrderN = '{no}' }",
        &["m.toml:1:7", "no member `OrderN`", "did you mean `OrderNo`?", "has no `OrderNo`"],
    );
    check("GetOrder", "{ OrderNo = 'abc' }", &["a whole number", "xs:int"]);
    check("GetOrder", "{ OrderNo = 99999999999 }", &["in the range of its type"]);
    check("GetOrder", "{ OrderNo = true }", &["a whole number"]);
    check("GetOrder", "{ OrderNo = ['{no}'] }", &["a single value, found an array"]);
    check("GetOrder", "{ OrderNo = '{nmae}' }", &["`{nmae}` is nothing", "did you mean `{name}`?"]);
    check("GetOrder", "{ OrderNo = '{maybe}' }", &["has no value in every call"]);
    check("GetOrder", "{ OrderNo = '{no' }", &["a brace that belongs to no place"]);
    check("GetOrder", "'4711'", &["`GetOrder` is an object, found a string", "OrderNo"]);
    check(
        "CreateOrder",
        "{ Reference = true, Customer = '', Amount = 'x' }",
        &["`Reference` is a text", "a decimal number"],
    );
}

/// Headers that the operation declares are written beside the body, by their types.
#[test]
fn headers_are_sent_as_they_are_declared() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/wsdl/shop.wsdl");
    let imported = import(&path.to_string_lossy(), &Settings::default(), &mut Offline).unwrap();
    let compile = |written: &str, needed: &[&str]| {
        let plan = imported.wsdl.plan("Place", &Choice::default()).unwrap();
        let faults = Faults::new();
        let root = parse(&SourceText::new(Path::new("m.toml"), format!("r = {written}")), &faults);
        let typed = super::typed::compile(plan, &root.as_table().unwrap()["r"], &Places, needed, &faults);
        typed.ok_or_else(|| faults.into_sorted().iter().map(|fault| format!("{fault}\n")).collect::<String>())
    };
    let order = "{ Order = { \"@id\" = 7, Customer = { Name = \"{name}\" }, Card = \"1234 5678 1234 5678\", \
        Line = [{ \"@type\" = \"Service\", Sku = \"S2\", Hours = \"PT2H\" }], By = \"me\", At = \"2026-11-28T12:00:00\" } }";
    let typed =
        compile(&format!("{{ headers = {{ Session = {{ Token = \"t-{{no}}\" }} }}, body = {order} }}"), &["no"])
            .unwrap();
    let values = Values([("no", "<7>"), ("name", "n")].into_iter().collect());
    let envelope = typed.render(&values).unwrap().envelope;
    let (header, body) = envelope.split_once("Header>").unwrap().1.split_once("Header>").unwrap();
    assert!(header.contains("t-&lt;7&gt;") && body.contains(">n<"), "{envelope}");
    // What must be there and may be nil is nil.
    assert!(body.contains("ShipOn") && body.contains("nil=\"true\""), "{envelope}");
    let check = |written: &str, words: &[&str]| {
        let told = compile(written, &[]).map(|_| ()).unwrap_err();
        words.iter().for_each(|word| assert!(told.contains(word), "no `{word}` in {told}"));
    };
    let with = |headers: &str| format!("{{ headers = {headers}, body = {order} }}");
    check(&with("{ Sesion = {} }"), &["no header `Sesion`", "did you mean `Session`?"]);
    check(&with("{ Session = { Tokn = \"x\" } }"), &["no member `Tokn`", "did you mean `Token`?"]);
    check(&with("7"), &["`headers` is an object"]);
    check("{ headers = {} }", &["has no `Order`"]);
}
