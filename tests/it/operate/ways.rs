//! Fields of every type that bound rows, and every way in which a caller may write their values: what is taken is the caller's
//! own value at the backend, and all that would be another's is refused.

use serde_json::{Value, json};

use super::bulk;
use super::site::{self, Running, with};
use crate::facade::client::exchange;

/// A type of the field that bounds rows.
struct Kind {
    /// The column of the backend.
    column: &'static str,
    /// The field, but for where it comes from.
    field: &'static str,
    /// The caller's value in the backend, and in the claim.
    own: (&'static str, &'static str),
    /// Of somebody else, in the backend.
    other: &'static str,
    /// Ways to write the caller's own.
    taken: &'static [&'static str],
    /// Ways to write what is not.
    refused: &'static [&'static str],
}

const KINDS: [Kind; 10] = [
    Kind {
        column: "integer",
        field: "type = \"integer\"",
        own: ("1250", "1250"),
        other: "125",
        taken: &["1250", "\"1250\"", "1250.0", "\"1250.00\"", "\"01250\"", "1.25e3", "12500e-1"],
        refused: &[
            "125",
            "\"125\"",
            "125.0",
            "\"125.0\"",
            "\"12.50\"",
            "\"1.250\"",
            "\"0.1250\"",
            "1.25e2",
            "\"1.25e3\"",
            "\"1250 \"",
            "1250.5",
            "12500e-2",
            "-1250",
            "null",
            "true",
            "\"\"",
            "[1250]",
            "{}",
            "17976931348623158e292",
            "99999999999999999999",
        ],
    },
    Kind {
        column: "numeric(9,2)",
        field: "type = \"decimal(9,2)\"",
        own: ("12.5", "12.50"),
        other: "1250",
        taken: &["12.5", "12.50", "\"12.50\"", "\"12.500\"", "\"012.5\"", "1.25e1"],
        refused: &["1250", "\"1250\"", "125.0", "\"125.0\"", "12.51", "1.25e2", "-12.5", "null", "\"\"", "1e400"],
    },
    Kind {
        column: "varchar(30)",
        field: "type = \"decimal(18,4)\"",
        own: ("'12.5000'", "12.50"),
        other: "'125000.0000'",
        taken: &["12.5", "\"12.5000\"", "\"12.5\"", "12.50000"],
        refused: &["125000", "\"125000\"", "1250.00", "\"1250.00\"", "\"1.25000\"", "125000.0", "null", "\"12.50001\""],
    },
    Kind {
        column: "varchar(30)",
        field: "type = \"decimal(18,0)\"",
        own: ("'1250'", "1250"),
        other: "'125'",
        taken: &["1250", "\"1250\"", "1250.0", "\"1250.0\""],
        refused: &["125", "\"125\"", "\"125.0\"", "\"12.50\"", "125.0", "null"],
    },
    Kind {
        column: "double",
        field: "type = \"number\"",
        own: ("1250", "1250"),
        other: "125",
        taken: &["1250", "1250.0", "1.25e3", "12500e-1"],
        refused: &["125", "\"125.0\"", "\"1250\"", "1250.0000001", "125e0", "null", "1e400"],
    },
    Kind {
        column: "varchar(1)",
        field: "type = \"boolean\", true_if = [\"Y\"], false_if = [\"N\"]",
        own: ("'Y'", "true"),
        other: "'N'",
        taken: &["true", "\"true\""],
        refused: &["false", "\"false\"", "\"Y\"", "\"N\"", "1", "0", "\"1\"", "null"],
    },
    Kind {
        column: "varchar(10)",
        field: "type = \"date\", format = \"%d.%m.%Y\"",
        own: ("'31.01.2026'", "2026-01-31"),
        other: "'01.02.2026'",
        taken: &["\"2026-01-31\""],
        refused: &["\"2026-02-01\"", "\"31.01.2026\"", "\"2026-1-31\"", "\"2026-01-31T00:00:00\"", "20260131", "null"],
    },
    Kind {
        column: "varchar(30)",
        field: "type = \"datetime\", format = \"%Y-%m-%d %H:%M:%S\", zone = \"Europe/Berlin\"",
        own: ("'2026-01-31 12:00:00'", "2026-01-31T11:00:00Z"),
        other: "'2026-01-31 11:00:00'",
        taken: &["\"2026-01-31T11:00:00Z\"", "\"2026-01-31T12:00:00+01:00\"", "\"2026-01-31 06:00:00.000-05:00\""],
        refused: &["\"2026-01-31T12:00:00Z\"", "\"2026-01-31T11:00:00\"", "\"2026-01-31T11:00:00+01:00\"", "null"],
    },
    Kind {
        column: "varchar(10)",
        field: "type = \"string\", values = { \"01\" = \"north\", \"02\" = \"south\" }",
        own: ("'01'", "north"),
        other: "'02'",
        taken: &["\"north\"", "\"\\u006eorth\""],
        refused: &["\"south\"", "\"01\"", "\"02\"", "1", "\"North\"", "\"north \"", "null"],
    },
    Kind {
        column: "varchar(10)",
        field: "type = \"string\"",
        own: ("'1250'", "1250"),
        other: "'125.0'",
        taken: &["\"1250\"", "\"\\u00312\\u00350\""],
        refused: &["\"125.0\"", "\"1250.0\"", "\" 1250\"", "\"1250 \"", "1250", "\"\"", "null", "[\"1250\"]"],
    },
];

/// A service whose first record is the caller's, and the second another's; and the caller's key.
fn site_of(kind: &Kind) -> (Running, String) {
    let mapping = format!(
        "resource = \"orders\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.table]\n\
         table = \"orders\"\nsnapshot = true\n[fields]\nno = {{ from = \"no\", type = \"string\" }}\n\
         owner = {{ from = \"owner\", {} }}\nnote = {{ from = \"note\", type = \"string\" }}\n\
         [serve]\nrows = {{ owner = \"claims.owner\" }}\n",
        kind.field
    );
    let operations = "[operations.create]\nsql = \"insert into orders values (:no, :owner, 'new')\"\nexpect = 1\n\
        body = { no = { field = \"no\" }, owner = { field = \"owner\" } }\n\
        [operations.update]\nsql = \"update orders set owner = coalesce(:owner, owner), note = coalesce(:note, note) \
        where no = :key\"\nexpect = 1\n[operations.update.body]\n\
        owner = { field = \"owner\", required = false, nullable = true }\nnote = { field = \"note\", required = false }\n";
    let tables = format!(
        "create table orders (no varchar(10) primary key, owner {}, note varchar(20)); \
         insert into orders values ('1', {}, 'x'), ('2', {}, 'y')",
        kind.column, kind.own.0, kind.other
    );
    let site = with(operations).mapping(&mapping).sqlite(&tables);
    let synced = site.site.run(&["sync", "orders.v1"]);
    assert!(synced.status.success(), "{} {synced:?}", kind.field);
    let claim = format!("owner={}", kind.own.1);
    let scopes = ["--scope", "orders:read", "--scope", "orders:write"];
    let arguments = [&["keys", "create", "a", "--claim", claim.as_str()][..], &scopes].concat();
    let key = site.site.json(&arguments).0[0]["key"].as_str().unwrap().to_owned();
    (site, key)
}

/// The records that are not the caller's at the backend.
fn others(site: &Running, kind: &Kind) -> String {
    site.sql(&format!("select no from orders where owner is null or owner <> {} order by no", kind.own.0))
}

#[test]
fn what_is_taken_is_the_caller_s_own_however_it_is_written() {
    for kind in &KINDS {
        let (site, key) = site_of(kind);
        let send = |method: &str, path: &str, idempotency: &str, body: &str| {
            exchange(site.address(), &site::bytes(&key, method, path, idempotency, &[], body)).unwrap()
        };
        for (number, way) in kind.refused.iter().enumerate() {
            let named = format!("{} {way}", kind.field);
            let body = format!("{{\"note\":\"bad\",\"owner\":{way}}}");
            let patched = send("PATCH", "/v1/orders/1", &format!("p{number}"), &body);
            assert!(matches!(patched.status, 403 | 422), "{named}: {patched:?}");
            let body = format!("{{\"no\":\"n{number}\",\"owner\":{way}}}");
            let made = send("POST", "/v1/orders", &format!("c{number}"), &body);
            assert!(matches!(made.status, 403 | 422), "{named}: {made:?}");
            // As a line of many.
            let line = format!("{{\"operation\":\"update\",\"key\":\"1\",\"body\":{{\"owner\":{way}}}}}\n");
            let media = [("Content-Type", "application/x-ndjson")];
            let answer = exchange(site.address(), &bulk::bytes(&key, &format!("b{number}"), &media, &line)).unwrap();
            let told = &bulk::lines(&answer)[0];
            assert!(told["status"] == 403 || told["status"] == 422 || told["status"] == 400, "{named}: {told}");
            assert_eq!(others(&site, kind), "2", "{named}");
        }
        assert_eq!(site.operations(), Vec::<Value>::new(), "{}: nothing was written down", kind.field);
        for (number, way) in kind.taken.iter().enumerate() {
            let named = format!("{} {way}", kind.field);
            let body = format!("{{\"note\":\"{number}\",\"owner\":{way}}}");
            let patched = send("PATCH", "/v1/orders/1", &format!("t{number}"), &body);
            assert_eq!(patched.status, 200, "{named}: {patched:?}");
            let body = format!("{{\"no\":\"m{number}\",\"owner\":{way}}}");
            let made = send("POST", "/v1/orders", &format!("m{number}"), &body);
            assert_eq!(made.status, 201, "{named}: {made:?}");
            assert_eq!(others(&site, kind), "2", "{named}");
        }
        // What was written is what its caller sees.
        assert!(site.site.run(&["sync", "orders.v1"]).status.success());
        let bearer = format!("Bearer {key}");
        let list = crate::facade::client::request("GET", "/v1/orders?limit=100", &[("Authorization", &bearer)], b"");
        let seen = exchange(site.address(), &list).unwrap().json();
        assert_eq!(seen["data"].as_array().map(Vec::len), Some(1 + kind.taken.len()), "{}: {seen}", kind.field);
    }
}

#[test]
fn a_field_that_is_left_out_is_judged_by_what_is_bound_for_it() {
    let (mapping, tables) = (
        "resource = \"orders\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.table]\n\
         table = \"orders\"\nsnapshot = true\n[fields]\nno = { from = \"no\", type = \"string\" }\n\
         owner = { from = \"owner\", type = \"string\", null_if = \"\" }\n\
         [serve]\nrows = { owner = \"claims.owner\" }\n",
        "create table orders (no varchar(10) primary key, owner varchar(10)); \
         insert into orders values ('1', 'A'), ('2', 'B')",
    );
    let operations = "[operations.update]\nsql = \"update orders set owner = :owner where no = :key\"\n\
        body = { owner = { field = \"owner\", required = false, default = \"B\" } }\n\
        [operations.clear]\nsql = \"update orders set owner = :owner where no = :key\"\n\
        body = { owner = { field = \"owner\", required = false } }\n";
    let site = with(operations).mapping(mapping).sqlite(tables);
    assert!(site.site.run(&["sync", "orders.v1"]).status.success());
    for (customer, expected) in [("A", 403), ("B", 200)] {
        let claim = format!("owner={customer}");
        let arguments =
            ["keys", "create", customer, "--claim", &claim, "--scope", "orders:read", "--scope", "orders:write"];
        let key = site.site.json(&arguments).0[0]["key"].as_str().unwrap().to_owned();
        let path = if customer == "A" { "/v1/orders/1" } else { "/v1/orders/2" };
        let send = |method: &str, path: &str, idempotency: &str, body: &str| {
            exchange(site.address(), &site::bytes(&key, method, path, idempotency, &[], body)).unwrap()
        };
        // The default is B's.
        let left_out = send("PATCH", path, "a", "{}");
        assert_eq!(left_out.status, expected, "{left_out:?}");
        // The backend's word for no value is bound: the record would be nobody's.
        send("POST", &format!("{path}/clear"), "b", "{}").problem(403, "insufficient-scope");
        let own = json!({ "owner": customer }).to_string();
        assert_eq!(send("POST", &format!("{path}/clear"), "c", &own).status, 200);
    }
    assert_eq!(site.sql("select no, owner from orders order by no"), "1|A\n2|B");
}

#[test]
fn a_mask_is_judged_in_every_body_that_the_operation_reads() {
    let mapping = "resource = \"orders\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"erp\"\n[source.table]\n\
        table = \"orders\"\nsnapshot = true\n[fields]\nno = { from = \"no\", type = \"string\" }\n\
        amount = { from = \"amount\", type = \"decimal(9,2)\" }\n[serve]\nmask = { amount = \"money:read\" }\n";
    let operations = "[operations.update]\n\
        sql = \"update orders set amount = coalesce(:amount, amount), size = :size where no = :key\"\n\
        [operations.update.body]\namount = { field = \"amount\", required = false, nullable = true }\n\
        size = { type = \"number\", required = false }\n";
    let tables = "create table orders (no varchar(10) primary key, amount numeric(9,2), size double); \
        insert into orders values ('1', 731, 0)";
    let site = with(operations).mapping(mapping).sqlite(tables);
    assert!(site.site.run(&["sync", "orders.v1"]).status.success());
    let key = site::new_key(&site.site, "m", &["orders:read", "orders:write"]);
    let deep = format!(r#"{{"amount":9,"deep":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let bodies = [
        r#"{"amount":99999,"size":17976931348623158e292}"#,
        r#"{"size":17976931348623158e292,"amount":99999}"#,
        r#"{"amount":null,"size":1e400}"#,
        r#"{"\u0061mount":5}"#,
        r#"{"amount":"5"}"#,
        r#"{"amount":{}}"#,
        &deep,
    ];
    for (number, body) in bodies.iter().enumerate() {
        let send = site::bytes(&key, "PATCH", "/v1/orders/1", &format!("k{number}"), &[], body);
        let refused = exchange(site.address(), &send).unwrap();
        refused.problem(403, "insufficient-scope");
        assert_eq!(refused.json()["errors"][0]["pointer"], "#/amount", "{body}");
        let line = format!("{{\"operation\":\"update\",\"key\":\"1\",\"body\":{body}}}\n");
        let media = [("Content-Type", "application/x-ndjson")];
        let answer = exchange(site.address(), &bulk::bytes(&key, &format!("b{number}"), &media, &line)).unwrap();
        let told = &bulk::lines(&answer)[0];
        assert_eq!(told["status"], 403, "{body}: {told}");
    }
    assert_eq!((site.operations().len(), site.sql("select amount, size from orders").as_str()), (0, "731|0"));
    // Two of a name are no body.
    let twice = site::bytes(&key, "PATCH", "/v1/orders/1", "t", &[], r#"{"size":1,"size":2}"#);
    exchange(site.address(), &twice).unwrap().problem(400, "malformed-body");
    // The rest of it is written.
    let large = site::bytes(&key, "PATCH", "/v1/orders/1", "u", &[], r#"{"size":17976931348623157e292}"#);
    assert_eq!(exchange(site.address(), &large).unwrap().status, 200);
}
