//! Steps, procedures, what they bring, and what becomes of all of them when one fails.

use serde_json::json;

use super::site::{TABLES, with};

#[test]
fn ordered_steps_are_done_together_and_take_what_earlier_ones_bring() {
    let operations = r#"
[operations.create]
sql = [
  { sql = "insert into head (city, ref) values (:city, :operation_id) returning no", with = { city = "/address/city" }, take = { order_no = { from = "no", type = "integer" } } },
  { sql = "insert into line (no, sku, qty) values (:order_no, :sku, :qty)", each = "lines", expect = 1 },
  "select no, count(*) as lines, sum(qty) as total from line where no = :order_no group by no",
]
[operations.create.body]
address = { object = { city = "string" } }
lines = { each = { sku = "string", qty = { type = "decimal(9,3)" } } }
[operations.create.answer]
order_no = { from = ":order_no", type = "integer" }
lines = { from = "lines", type = "integer" }
total = { from = "total", type = "decimal(12,3)" }
"#;
    let tables = "create table orders (no varchar(10), status varchar(2), amount numeric(9,2)); \
        create table head (no serial primary key, city text, ref text); \
        create table line (no integer, sku text, qty numeric(9,3) check (qty > 0))";
    let site = with(operations).postgres(tables);
    let body = r#"{"address":{"city":"Ulm"},"lines":[{"sku":"a","qty":1.5},{"sku":"b","qty":"2.125"}]}"#;
    let made = site.write("POST", "/v1/orders", "a", body);
    assert_eq!((made.status, made.text()), (201, r#"{"order_no":1,"lines":2,"total":3.625}"#), "{made:?}");
    assert_eq!(made.field("location"), Some("/v1/orders/1"));
    // The second line breaks a rule: nothing of it is left.
    let broken = site.write("POST", "/v1/orders", "b", &body.replace("\"2.125\"", "0"));
    broken.problem(422, "operation-refused");
    assert_eq!(broken.json()["reason"], "constraint");
    assert_eq!(site.sql("select count(*) from head, line"), "2");
    // No line at all is none.
    let none = site.write("POST", "/v1/orders", "c", r#"{"address":{"city":"Ulm"},"lines":[]}"#);
    let status = none.json();
    assert_eq!((none.status, &status["state"]), (201, &json!("succeeded")));
    assert!(status["note"].as_str().unwrap().contains("no step has brought `lines`"), "{status:#}");
}

#[test]
fn functions_of_a_database_say_no_in_their_own_words() {
    let operations = r#"
[operations.cancel]
sql = "select left_over, state from cancel_order(:order_no, :reason)"
problems = { P0002 = { status = 409, detail = "the order is on its way" } }
[operations.cancel.body]
reason = { type = "string", max_length = 20 }
[operations.cancel.answer]
left_over = { from = "left_over", type = "decimal(9,2)" }
state = { from = "state", values = { CL = "closed" } }
"#;
    let tables = "create table orders (no varchar(10), status varchar(2), amount numeric(9,2)); \
        insert into orders values ('1', 'OP', 10.50), ('2', 'SH', 1), ('3', 'XX', 1); \
        create function cancel_order(which text, why text) returns table (left_over numeric(9,2), state varchar(2)) as $$ \
        begin \
          if exists (select 1 from orders where no = which and status = 'SH') then \
            raise exception 'order % is shipped', which using errcode = 'P0002'; end if; \
          if exists (select 1 from orders where no = which and status = 'XX') then \
            raise exception 'order % is frozen: %', which, why; end if; \
          return query update orders set status = 'CL', amount = amount - 10 where no = which \
            returning orders.amount, orders.status; \
        end $$ language plpgsql";
    let site = with(operations).postgres(tables);
    let done = site.write("POST", "/v1/orders/1/cancel", "a", r#"{"reason":"no stock"}"#);
    assert_eq!((done.status, done.text()), (200, r#"{"left_over":0.50,"state":"closed"}"#), "{done:?}");
    let shipped = site.write("POST", "/v1/orders/2/cancel", "b", r#"{"reason":"no stock"}"#);
    assert!(shipped.problem(409, "operation-conflict").contains("the order is on its way"));
    let frozen = site.write("POST", "/v1/orders/3/cancel", "c", r#"{"reason":"late"}"#);
    assert!(frozen.problem(422, "operation-refused").contains("order 3 is frozen: late"), "{}", frozen.text());
    assert_eq!(site.sql("select no, status from orders order by no"), "1|CL\n2|SH\n3|XX");
}

#[test]
fn procedures_have_arguments_in_and_out() {
    let operations = r#"
[operations.book]
procedure = { name = "book", arguments = { which = ":order_no", plus = "/amount", total = { out = "decimal(9,2)" } } }
[operations.book.body]
amount = { field = "amount" }
[operations.book.answer]
total = { from = "total", type = "decimal(9,2)" }
"#;
    let tables = "create table orders (no varchar(10), status varchar(2), amount numeric(9,2)); \
        insert into orders values ('1', 'OP', 10.50); \
        create function book(which varchar, plus numeric, out total numeric) as $$ \
        begin update orders set amount = amount + plus where no = which returning amount into total; end \
        $$ language plpgsql";
    let site = with(operations).postgres(tables);
    let done = site.write("POST", "/v1/orders/1/book", "a", r#"{"amount":0.25}"#);
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(site.sql("select amount from orders"), "10.75");
    assert_eq!(done.text(), r#"{"total":10.75}"#);
}

#[test]
fn a_deadlock_is_tried_again_and_nobody_is_told() {
    let operations = r#"
[operations.swap]
sql = [
  { sql = "update orders set amount = amount + 1 where no = :order_no", expect = 1 },
  "select pg_sleep(0.5)",
  { sql = "update orders set amount = amount + 1 where no = :other", expect = 1 },
]
attempts = 5
body = { other = "string" }
"#;
    let site =
        with(operations).postgres(&format!("{TABLES}; insert into orders values ('1', 'OP', 0), ('2', 'OP', 0)"));
    std::thread::scope(|scope| {
        let swap = |from: &'static str, to: &'static str| {
            let site = &site;
            scope.spawn(move || {
                let body = format!("{{\"other\":\"{to}\"}}");
                site.write("POST", &format!("/v1/orders/{from}/swap"), from, &body).status
            })
        };
        let both = [swap("1", "2"), swap("2", "1")];
        assert_eq!(both.map(|one| one.join().unwrap()), [200, 200]);
    });
    assert_eq!(site.sql("select amount from orders order by no"), "2.00\n2.00");
    let attempts: u64 = site.operations().iter().map(|operation| operation["attempts"].as_u64().unwrap()).sum();
    assert!(attempts >= 3, "one was the victim of a deadlock: {attempts}");
}

#[test]
fn operations_with_the_same_serial_key_go_one_at_a_time() {
    let operations = r#"
[operations.touch]
sql = [
  { sql = "insert into seen select :order_no, pg_backend_pid() where pg_try_advisory_xact_lock(hashtext(:order_no))", expect = 1 },
  "select pg_sleep(0.2)",
]
serial = "order_no"
"#;
    let site = with(operations).postgres(&format!("{TABLES}; create table seen (no text, pid integer)"));
    std::thread::scope(|scope| {
        let site = &site;
        let all: Vec<_> = (0..6)
            .map(|number| {
                let path = format!("/v1/orders/{}/touch", number % 2);
                scope.spawn(move || site.write("POST", &path, &number.to_string(), "").status)
            })
            .collect();
        // Two at once would find the lock taken, and be refused.
        all.into_iter().for_each(|one| assert_eq!(one.join().unwrap(), 200));
    });
    assert_eq!(site.sql("select no, count(*) from seen group by no order by no"), "0|3\n1|3");
}

/// The README's example is right as it stands.
#[test]
fn the_example_of_the_readme_is_right() {
    use crate::readme::{block_after, readme};
    let readme = readme();
    let example = block_after(&readme, "<!-- write: orders.v1.toml -->");
    let tables = format!("{TABLES}; create table lines (no text, sku text, qty integer)");
    let site = with(example).postgres(&format!(
        "{tables}; create function cancel_order(no varchar, why varchar, out \"left\" numeric) as $$ \
         begin \"left\" := 1.5; end $$ language plpgsql"
    ));
    let body = r#"{"order_no":"4711","amount":12.50,"lines":[{"sku":"A1","qty":2}]}"#;
    let made = site.write("POST", "/v1/orders", "a", body);
    assert_eq!((made.status, made.text()), (201, r#"{"order_no":"4711"}"#), "{made:?}");
    let cancelled = site.write("POST", "/v1/orders/4711/cancel", "b", r#"{"reason":"late"}"#);
    assert_eq!((cancelled.status, cancelled.text()), (200, r#"{"left":1.50}"#), "{cancelled:?}");
    assert_eq!(site.write("PATCH", "/v1/orders/4711", "c", r#"{"status":"closed"}"#).status, 200);
    site.write("PATCH", "/v1/orders/1", "d", r#"{"status":"closed"}"#).problem(404, "no-such-record");
    assert_eq!(site.write("DELETE", "/v1/orders/4711", "e", "").status, 200);
}

#[test]
fn what_is_done_in_part_is_not_begun_again() {
    let operations = "[operations.create]\ntransaction = false\n\
        sql = [\"insert into orders (no, ref) values (:order_no, 'one')\", \
        \"insert into orders (no, ref) values (:other, 'one')\"]\n\
        reconcile = { sql = \"select no from orders where ref = :idempotency_key\" }\n\
        body = { order_no = \"string\", other = \"string\" }\n";
    let site = with(operations).sqlite(TABLES);
    let body = r#"{"order_no":"1","other":"2"}"#;
    site.write("POST", "/v1/orders", "a", body).problem(504, "outcome-unknown");
    site.service.until(|| (site.operations()[0]["reason"] == "partly_done").then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(2));
    let kept = &site.operations()[0];
    assert_eq!((kept["state"].as_str(), kept["attempts"].as_u64()), (Some("unknown"), Some(1)), "{kept:#}");
    assert!(kept["detail"].as_str().unwrap().contains("look up at the backend"), "{kept:#}");
    site.write("POST", "/v1/orders", "a", body).problem(504, "outcome-unknown");
    assert_eq!(site.sql("select no from orders"), "1");
}
