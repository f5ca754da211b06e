//! Operations as people write them, and what callers send.

use std::path::Path;
use std::sync::Arc;

use super::{Bound, Brought, NotARequest, ReadyAction, ReadyStep, Verb, WriteOperation, WriteRequest};
use crate::decode::Json;
use crate::decode::rows::ColumnKind;
use crate::diagnostic::{Faults, SourceText};
use crate::mapping::compile;
use crate::record::Decimal;
use jiff::Timestamp;

/// When the writes of these tests were accepted: 2026-03-29T01:00:05.678Z, when clocks go forward in Berlin.
pub(super) const ACCEPTED: Timestamp = Timestamp::constant(1_774_746_005, 678_000_000);

const HEAD: &str = r#"
resource = "orders"
version = 1
key = ["order_no"]
[source]
backend = "erp"
[source.csv]
files = "*.csv"
[fields]
order_no = { from = "NO" }
status = { from = "ST", values = { OP = "open", CL = "closed" } }
phase = { from = "PH", values = { A = "new", B = "new" } }
ordered_on = { from = "DT", type = "date", format = "%Y%m%d", null_if = ["00000000"] }
amount = { from = "AMT", type = "decimal(9,2)", min = 0 }
vip = { from = "VIP", type = "boolean", true_if = ["J"], false_if = ["N"] }
region = { from = "RG", lookup = "regions" }
[lookups.regions]
csv = "regions.csv"
key = "a"
value = "b"
"#;

fn mapping(operations: &str) -> Result<Vec<Arc<WriteOperation>>, Vec<String>> {
    let faults = Faults::new();
    let source = SourceText::new(Path::new("m.toml"), format!("{HEAD}{operations}"));
    let texts = |name: &str| Some(SourceText::new(Path::new(name), "a,b\n1,north\n".to_owned()));
    match compile(&source, &texts, &faults) {
        Some(plan) => Ok(plan.operations),
        None => Err(faults.into_sorted().iter().map(ToString::to_string).collect()),
    }
}

pub(super) fn one(operations: &str) -> Arc<WriteOperation> {
    let mut all = mapping(operations).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// The operation's text must be refused, with these words.
fn refused(operations: &str, words: &[&str]) {
    let faults = mapping(operations).expect_err("a fault");
    for word in words {
        assert!(faults.iter().any(|fault| fault.contains(word)), "no `{word}` in {faults:#?}");
    }
}

fn request(write: &WriteOperation, body: &str, key: Option<&str>) -> WriteRequest {
    let json = Json::parse(body).unwrap();
    write.read(Some(&json), key).unwrap_or_else(|fault| panic!("{body}: {fault:?}"))
}

/// The faults of a body, as `pointer detail`.
fn faults(write: &WriteOperation, body: &str) -> Vec<String> {
    let json = Json::parse(body).unwrap();
    match write.read(Some(&json), Some("7")) {
        Err(NotARequest::Body(faults)) => faults.into_iter().map(|f| format!("{} {}", f.pointer, f.detail)).collect(),
        other => panic!("{body}: {other:?}"),
    }
}

fn values(step: &ReadyStep) -> &[Bound] {
    match &step.action {
        ReadyAction::Whole => panic!("it is no statement"),
        ReadyAction::Statement(_, values) => values,
        ReadyAction::Procedure(..) => panic!("{step:?}"),
    }
}

const CREATE: &str = r#"
[operations.create]
sql = "insert into orders (no, st, dt, amt, vip, note) values (:order_no, :status, :ordered_on, :amount, :vip, :note)"
expect = 1
serial = "order_no"
[operations.create.body]
order_no = { field = "order_no", pattern = "^[0-9]{4}$" }
status = { field = "status", required = false, default = "open" }
ordered_on = { field = "ordered_on", nullable = true }
amount = { field = "amount" }
vip = { field = "vip" }
note = { type = "string", max_length = 5, required = false, nullable = true }
"#;

#[test]
fn values_are_bound_as_the_source_has_them() {
    let create = one(CREATE);
    assert_eq!(
        (create.exposed.verb, create.exposed.scope.as_str(), create.backend.as_str()),
        (Verb::Create, "orders:write", "erp")
    );
    let body = r#"{"order_no":"0007","ordered_on":"2026-02-28","amount":12.5,"vip":true}"#;
    let asked = request(&create, body, None);
    let given = create.given(&asked, "k", "id", "web", ACCEPTED);
    let steps = create.steps(&given);
    let [step] = steps.as_slice() else { panic!("{steps:?}") };
    let text = |text: &str| Bound::Text(text.to_owned());
    let expected = [
        text("0007"),
        text("OP"),
        text("20260228"),
        Bound::Decimal(Decimal::parse("12.50", b'.', None).unwrap()),
        text("J"),
        Bound::Null(ColumnKind::Text { max_chars: None }),
    ];
    assert_eq!((values(step), step.expect), (expected.as_slice(), Some((1, 1))));
    assert_eq!(create.serial(&given).as_deref(), Some("order_no=0007"));
    assert_eq!(create.created(&given, &[]).as_deref(), Some("0007"));
    // What stands for nothing there is bound for null.
    let asked = request(&create, &body.replace("\"2026-02-28\"", "null").replace("true", "false"), None);
    let steps = create.steps(&create.given(&asked, "k", "id", "web", ACCEPTED));
    assert_eq!((&values(&steps[0])[2], &values(&steps[0])[4]), (&text("00000000"), &text("N")));
}

#[test]
fn every_fault_of_a_body_is_told_at_once() {
    let create = one(CREATE);
    let body =
        r#"{"order_no":"7","status":"lost","ordered_on":"2026-02-30","amount":-0.001,"vipp":true,"note":"too long"}"#;
    assert_eq!(
        faults(&create, body),
        [
            "/vipp there is no such field; did you mean `vip`?",
            "/order_no expected a string that matches ^[0-9]{4}$, found \"7\"",
            "/status expected one of \"open\", \"closed\", found \"lost\"",
            "/ordered_on expected a date like 2026-01-31, found \"2026-02-30\"",
            "/amount expected a number of up to 9 digits, 2 of them behind the point, found -0.001",
            "/vip it is missing",
            "/note expected at most 5 characters, found 8",
        ]
    );
    assert_eq!(faults(&create, "[]"), [" expected an object, found an array"]);
    let low = faults(&create, r#"{"order_no":"0001","ordered_on":null,"amount":"-1.00","vip":false}"#);
    assert_eq!(low, ["/amount expected at least 0, found \"-1.00\""]);
}

#[test]
fn bodies_that_say_the_same_are_the_same() {
    let create = one(CREATE);
    let canonical = |body: &str| request(&create, body, None).canonical;
    let one = canonical(r#"{"order_no":"0007","amount":12.50,"vip":true,"ordered_on":"2026-02-28"}"#);
    let other = canonical(
        "{ \"vip\" : true, \"ordered_on\":\"2026-02-28\",\"amount\":12.5, \"order_no\":\"\\u00300\\u00307\" }",
    );
    assert_eq!(one, other);
    assert_ne!(one, canonical(r#"{"order_no":"0007","amount":12.51,"vip":true,"ordered_on":"2026-02-28"}"#));
}

#[test]
fn steps_are_done_for_each_element_and_take_what_earlier_ones_bring() {
    let place = one(r#"
[operations.create]
sql = [
  { sql = "insert into head (city, ref) values (:city, :idempotency_key)", with = { city = "/address/city" }, take = { order_no = { from = "ID", type = "integer" } } },
  { sql = "insert into line (no, sku, qty) values (:order_no, :sku, :qty)", each = "lines", expect = 1 },
  "update head set done = 1 where no = :order_no and by = :client",
]
[operations.create.body]
address = { object = { city = "string" } }
lines = { each = { sku = "string", qty = { type = "integer", min = 1 } }, max_items = 3 }
[operations.create.answer]
order_no = { from = ":order_no", type = "integer" }
total = { from = "TOTAL", type = "decimal(9,2)" }
"#);
    let body = r#"{"address":{"city":"Ulm"},"lines":[{"sku":"a","qty":1},{"sku":"b","qty":2}]}"#;
    let asked = request(&place, body, None);
    let given = place.given(&asked, "k1", "id", "web", ACCEPTED);
    let steps = place.steps(&given);
    assert_eq!(steps.len(), 4);
    let id = Bound::Taken { step: 0, from: "ID".to_owned(), kind: ColumnKind::Integer };
    assert_eq!(values(&steps[0]), [Bound::Text("Ulm".to_owned()), Bound::Text("k1".to_owned())]);
    assert_eq!(values(&steps[2]), [id.clone(), Bound::Text("b".to_owned()), Bound::Integer(2)]);
    assert_eq!(values(&steps[3]), [id, Bound::Text("web".to_owned())]);
    let row = |fields: &[(&str, Option<&str>)]| {
        Brought(fields.iter().map(|(name, value)| ((*name).to_owned(), value.map(|v| v.as_bytes().to_vec()))).collect())
    };
    let brought = [row(&[("id", Some("42"))]), row(&[]), row(&[]), row(&[("total", Some("9.5"))])];
    let answer = place.answer(&given, &brought).unwrap();
    assert_eq!(answer.as_deref(), Ok("{\"order_no\":42,\"total\":9.50}"));
    assert_eq!(place.created(&given, &brought).as_deref(), Some("42"));
    let missing = place.answer(&given, &brought[..3]).unwrap();
    assert_eq!(missing, Err("`total` of the answer: no step has brought `TOTAL`".to_owned()));
    let odd = [row(&[("id", Some("x"))]), row(&[]), row(&[]), row(&[("total", None)])];
    assert_eq!(place.answer(&given, &odd).unwrap(), Err("`order_no` of the answer: `x` is no integer".to_owned()));

    let wrong = r#"{"address":{"town":1},"lines":[{"sku":"a","qty":0},{"sku":2,"qty":1.5}]}"#;
    assert_eq!(
        faults(&place, wrong),
        [
            "/address/town there is no such field; there are: city",
            "/address/city it is missing",
            "/lines/0/qty expected at least 1, found 0",
            "/lines/1/sku expected a string, found 2",
            "/lines/1/qty expected a whole number, found 1.5",
        ]
    );
    assert_eq!(
        faults(&place, r#"{"address":{"city":"x"},"lines":[0,0,0,0]}"#),
        ["/lines expected at most 3 elements, found 4"]
    );
}

#[test]
fn a_procedure_has_arguments_in_and_out() {
    let cancel = one(r#"
[operations.cancel]
procedure = { name = "dbo.cancel_order", arguments = { no = ":key", why = "/reason", by = ":client", mode = { value = 3 }, left = { out = "integer" } }, returns = [0, 4] }
problems = { 51 = "the order is locked", P0001 = { status = 409, detail = "it is delivered" } }
reconcile = { sql = "select 1 from cancelled where no = :order_no and ref = :operation_id" }
timeout = "5s"
parked = true
transaction = false
[operations.cancel.body]
reason = "string"
"#);
    assert_eq!((cancel.exposed.verb, cancel.is_atomic, cancel.exposed.is_parked), (Verb::Action, false, true));
    let asked = request(&cancel, r#"{"reason":"no stock"}"#, Some("a%2Fb"));
    let given = cancel.given(&asked, "k", "op-1", "web", ACCEPTED);
    let steps = cancel.steps(&given);
    let text = |text: &str| Bound::Text(text.to_owned());
    let argument = |name: &str, bound: Bound, out| (name.to_owned(), bound, out);
    let expected = ReadyAction::Procedure(
        "dbo.cancel_order".to_owned(),
        vec![
            argument("no", text("a/b"), None),
            argument("why", text("no stock"), None),
            argument("by", text("web"), None),
            argument("mode", Bound::Integer(3), None),
            argument("left", Bound::Null(ColumnKind::Integer), Some(ColumnKind::Integer)),
        ],
    );
    assert_eq!((&steps[0].action, steps[0].returns.as_slice()), (&expected, [0, 4].as_slice()));
    let (sql, bound) = cancel.reconcile(&given).unwrap();
    assert_eq!(sql, "select 1 from cancelled where no = ? and ref = ?");
    assert_eq!(bound, [text("a/b"), text("op-1")]);
    let codes: Vec<_> = cancel.problems.iter().map(|rule| (rule.code.as_str(), rule.status)).collect();
    assert_eq!(codes, [("51", 422), ("P0001", 409)]);
    assert!(matches!(cancel.read(None, None), Err(NotARequest::Key)));
    assert!(matches!(cancel.read(None, Some("1")), Err(NotARequest::Body(_))));
}

#[test]
fn what_is_written_wrong_is_told_at_its_place() {
    refused(
        "[operations.create]\nsql = \"insert into t values (:order_nr, 'x')\"\n[operations.create.body]\norder_no = \"string\"\n",
        &["m.toml:22:7: `:order_nr` is nothing that is known here (did you mean `:order_no`?)"],
    );
    let create =
        |sql: &str, body: &str| format!("[operations.create]\nsql = \"{sql}\"\n[operations.create.body]\n{body}\n");
    refused(&create("select :a", "a = 'string'\nb = 'string'"), &["`/b` is taken from callers, but nothing uses it"]);
    refused(&create("select :a", "a = { type = 'strng' }"), &["there is no type `strng`; did you mean `string`?"]);
    refused(&create("select :a", "a = {}"), &["`a` has no `type`"]);
    refused(&create("select :a", "a = { field = 'statis' }"), &["did you mean `status`?"]);
    refused(&create("select :a", "a = { field = 'phase' }"), &["`new` stands for `A` and for `B` in `fields.phase`"]);
    refused(
        &create("select :a", "a = { field = 'region' }"),
        &["cannot be translated back: its values come from a table"],
    );
    refused(
        &create("select :a", "a = { type = 'integer', pattern = 'x' }"),
        &["this has no meaning in a value of type `integer`"],
    );
    refused(
        &create("select :a", "a = { type = 'string', default = 'x' }"),
        &["`default` has no meaning for a field that must be there"],
    );
    refused(
        &create("select :a", "a = { type = 'integer', required = false, default = 'x' }"),
        &["expected a whole number, found \\\"x\\\""].map(|_| "expected a whole number"),
    );
    refused(&create("select '", "a = 'string'"), &["has no end"]);
    refused(&create("select 1; drop table t", "a = 'string'"), &["write one statement"]);
    refused("[operations.create]\ntitle = 'x'\n", &["needs one of `sql`, `procedure`"]);
    refused("[operations.lineage]\nsql = 'select 1'\n", &["`lineage` cannot be an operation"]);
    refused("[operations.Cancel]\nsql = 'select 1'\n", &["`Cancel` is no name for an operation"]);
    refused(
        "[operations.create]\nsqll = 'select 1'\nsql = 'select 1'\n",
        &["unknown key `sqll`", "did you mean `sql`?"],
    );
    refused(
        "[operations.update]\nsql = 'select :order_no'\nbody = { order_no = 'string' }\n",
        &["is a field of the body and of the key in the path"],
    );
    refused("[operations.create]\nsql = ['select 1', 'select 2']\nexpect = 1\n", &["of which step?"]);
    refused(
        "[operations.create]\nsql = 'select 1'\nanswer = 'record'\n",
        &["records of this resource are not read at the backend one by one"],
    );
    refused(
        "[operations.create]\nsql = 'select 1'\nproblems = { 1 = { detail = 'x', status = 500 } }\n",
        &["expected 404, 409, 412 or 422"],
    );
    refused("[operations.create]\nsql = 'select 1'\nexpect = [2, 1]\n", &["2 is more than 1"]);
    refused(
        "[operations.delete]\nsql = 'delete from t where no = :order_no'\nserial = 'nobody'\n",
        &["`:nobody` is nothing that is known here"],
    );
    // Where a field has a fault, whoever names it is told nothing more: what stands first would lead away from it.
    for fault in ["a = { type = 'strng' }", "a = { type = 'string', pattern = '[' }", "a = { field = 'statis' }"] {
        let operation = create("select :a, :c", &format!("{fault}\nb = 'string'"));
        refused(&operation, &["`:c` is nothing"]);
        let told = mapping(&operation).expect_err("faults");
        assert!(!told.iter().any(|fault| fault.contains("`:a` is nothing")), "{told:#?}");
    }
    refused("[operations.create]\nsql = [{ sql = 'select 1', each = 'lines' }]\n", &["the body has no array `lines`"]);
    refused(
        "[operations.create]\nprocedure = { name = 'p', arguments = { a = '/x', b = {}, c = 5 } }\n",
        &["the body has no single value at `/x`"],
    );
}

#[test]
fn the_commit_point_is_a_step() {
    let place = |more: &str| {
        format!(
            "[operations.create]\nsql = ['select :a', {{ sql = 'select :b', each = 'l' }}, 'select 3']\n{more}\n\
             [operations.create.body]\na = 'string'\nl = {{ each = {{ b = 'string' }} }}\n"
        )
    };
    let point = |more: &str, elements: &str| {
        let create = one(&place(more));
        let asked = request(&create, &format!("{{\"a\":\"x\",\"l\":[{elements}]}}"), None);
        create.commit_point(&create.given(&asked, "k", "id", "web", ACCEPTED))
    };
    // A step that is done for each element is as many.
    assert_eq!(point("commit_after = 1", r#"{"b":"1"},{"b":"2"}"#), Some(1));
    assert_eq!(point("commit_after = 2", r#"{"b":"1"},{"b":"2"}"#), Some(3));
    assert_eq!(point("commit_after = 2", ""), Some(1));
    for all in ["", "commit_after = 3"] {
        assert_eq!(point(all, ""), None);
    }
    refused(&place("commit_after = 4"), &["m.toml:23:16: there are 3 steps, and none of number 4"]);
    refused(&place("commit_after = 0"), &["commit_after"]);
    refused(&place("commit_after = 1\ntransaction = false"), &["there is no transaction to commit"]);
    refused("[operations.create]\nsql = 'select 1'\ncommit_after = 2\n", &["there is one step, and none of number 2"]);
}

#[test]
fn stamps_tell_when_the_write_was_accepted() {
    let operation = |stamps: &str| {
        format!("[operations.create]\nsql = 'select :a, :b, :c, :d, :e'\n[operations.create.stamps]\n{stamps}")
    };
    let create = one(&operation(
        r#"
a = { type = "date", zone = "Asia/Tokyo" }
b = { type = "time", zone = "Europe/Berlin" }
c = {}
d = "%y%m%d%H%M"
e = { format = "%Y-%m-%dT%H:%M:%S%.3f%:z", zone = "Europe/Berlin" }
"#,
    ));
    let asked = create.read(None, None).unwrap();
    let steps = create.steps(&create.given(&asked, "k", "id", "web", ACCEPTED));
    let written = |kind, text: &str| Bound::Written(kind, text.to_owned());
    let expected = [
        written(ColumnKind::Date, "2026-03-29"),
        written(ColumnKind::Time, "03:00:05"),
        written(ColumnKind::DateTime, "2026-03-29T01:00:05"),
        Bound::Text("2603290100".to_owned()),
        Bound::Text("2026-03-29T03:00:05.678+02:00".to_owned()),
    ];
    assert_eq!(values(&steps[0]), expected);
    assert_eq!(create.exposed.body, None, "callers have no say in it");

    let one_of = |stamp: &str| format!("[operations.update]\nsql = 'select 1'\n[operations.update.stamps]\n{stamp}\n");
    refused(&one_of("a = { type = 'integer' }"), &["a stamp is a date, time or datetime, not of type `integer`"]);
    refused(&one_of("a = '%Q%'"), &["is no form of a time"]);
    refused(&one_of("a = ''"), &["it is empty"]);
    refused(&one_of("a = { zone = 'Europe/Atlantis' }"), &["there is no time zone `Europe/Atlantis`"]);
    refused(&one_of("a = { kind = 'date' }"), &["unknown key `kind`"]);
    refused(&one_of("'a-b' = {}"), &["`a-b` is no name for a value"]);
    for known in ["order_no", "client", "version"] {
        refused(&one_of(&format!("{known} = {{}}")), &[&format!("`{known}` is known already")]);
    }
    let taken = "[operations.create]\nsql = { sql = 'select 1', take = { a = { from = 'x', type = 'date' } } }\nstamps = { a = {} }\n";
    refused(taken, &["`a` is known already"]);
}

#[test]
fn schemas_say_what_is_taken() {
    let create = one(CREATE);
    let schema = create.exposed.body.clone().unwrap();
    assert_eq!(schema["required"], serde_json::json!(["order_no", "ordered_on", "amount", "vip"]));
    assert_eq!(schema["properties"]["status"]["enum"], serde_json::json!(["open", "closed"]));
    assert_eq!(schema["properties"]["amount"]["minimum"], 0);
    assert_eq!(schema["properties"]["note"]["type"], serde_json::json!(["string", "null"]));
    assert_eq!(schema["additionalProperties"], false);
}

proptest::proptest! {
    /// Whatever a caller sends is judged, never a panic; and what is taken is bound.
    #[test]
    fn no_body_panics(text in "[ -~\u{e9}]{0,40}", number in "-?[0-9]{1,30}(\\.[0-9]{1,12})?(e[0-9]{1,3})?") {
        let create = one(CREATE);
        let quoted = serde_json::to_string(&text).unwrap();
        for body in [
            format!("{{\"order_no\":{quoted},\"ordered_on\":{quoted},\"amount\":{number},\"vip\":true,\"note\":{quoted}}}"),
            format!("{{{quoted}:{number},\"amount\":{quoted},\"status\":{number}}}"),
        ] {
            if let Ok(json) = Json::parse(&body)
                && let Ok(asked) = create.read(Some(&json), None)
            {
                let steps = create.steps(&create.given(&asked, "k", "id", "web", ACCEPTED));
                proptest::prop_assert_eq!(values(&steps[0]).len(), 6);
            }
        }
    }
}
