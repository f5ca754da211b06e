//! Writes of callers who see some records, or a part of each, where what they saw is not what is there any more: judged by
//! what the backend has now, and told as far as may be seen now.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::bulk;
use super::site::{self, Data, Running, with};
use crate::facade::client::{Answer, Connection, exchange, request};

const MAPPING: &str = r#"
resource = "orders"
version = 1
key = ["no"]
[source]
backend = "erp"
[source.table]
table = "orders"
snapshot = true
[fields]
no = { from = "no", type = "string" }
customer = { from = "customer", type = "string" }
amount = { from = "amount", type = "decimal(9,2)", min = 0 }
note = { from = "note", type = "string" }
[serve]
rows = { customer = "claims.customer" }
mask = { amount = "money:read" }
"#;

const OPERATIONS: &str = r#"
[operations.create]
sql = "insert into orders (no, customer, amount, note) values (:no, :customer, 1, :note)"
expect = 1
answer = "record"
problems = { constraint = { status = 409, detail = "there is such an order" } }
[operations.create.body]
no = { field = "no" }
customer = { field = "customer" }
note = { field = "note", required = false }

[operations.update]
sql = "update orders set amount = coalesce(:amount, amount), note = coalesce(:note, note) where no = :key"
expect = 1
[operations.update.body]
amount = { field = "amount", required = false }
note = { field = "note", required = false }

[operations.delete]
sql = "delete from orders where no = :key"
expect = 1

[operations.give]
sql = "update orders set customer = 'B' where no = :key"
answer = "record"

[operations.steps]
sql = ["update orders set note = 'one' where no = :key", "update orders set note = 'two' where no = :key"]
transaction = false
"#;

const TABLES: &str = "create table orders (no varchar(10) primary key, customer varchar(10), amount numeric(9,2), note \
    varchar(20)); insert into orders values ('1', 'A', 731, 'x'), ('2', 'B', 942, 'y'), ('3', 'A', 5, 'z')";

/// A scene with all records read, and a caller of customer A.
struct Scene {
    site: Running,
    a: String,
}

/// A new key that writes for a customer.
fn key(site: &Running, name: &str, customer: &str, scopes: &[&str]) -> (String, String) {
    let claim = format!("customer={customer}");
    let mut arguments = vec!["keys", "create", name, "--claim", claim.as_str()];
    scopes.iter().for_each(|scope| arguments.extend(["--scope", scope]));
    let (made, code) = site.site.json(&arguments);
    assert_eq!(code, 0, "{made:?}");
    (made[0]["key"].as_str().unwrap().to_owned(), made[0]["id"].as_str().unwrap().to_owned())
}

impl Scene {
    fn of(site: Running) -> Scene {
        let synced = site.site.run(&["sync", "orders.v1"]);
        assert!(synced.status.success(), "{synced:?}");
        let a = key(&site, "a", "A", &["orders:read", "orders:write"]).0;
        Scene { site, a }
    }

    fn sqlite(operations: &str) -> Scene {
        Scene::of(with(operations).mapping(MAPPING).sqlite(TABLES))
    }

    #[track_caller]
    fn write(&self, method: &str, path: &str, idempotency: &str, body: &str) -> Answer {
        self.write_as(&self.a, method, path, idempotency, &[], body)
    }

    #[track_caller]
    fn write_as(
        &self,
        key: &str,
        method: &str,
        path: &str,
        idempotency: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        exchange(self.site.address(), &site::bytes(key, method, path, idempotency, more, body)).expect("an answer")
    }

    fn get(&self, key: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {key}");
        exchange(self.site.address(), &request("GET", path, &[("Authorization", &bearer)], b"")).expect("an answer")
    }

    /// Does something at the backend beside the service.
    fn beside(&self, sql: &str) {
        match &self.site.data {
            Data::File(folder) => {
                let path = folder.path().join("legacy.sqlite");
                rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
            }
            _ => drop(self.site.sql(sql)),
        }
    }

    fn rows(&self) -> String {
        self.site.sql("select no, customer, note from orders order by no")
    }
}

/// Record 1 was read as one of A's, and is B's at the backend by now; 3 is gone there, 4 has come and is B's.
fn what_was_given_away_is_not_written_to(scene: &Scene) {
    scene.beside("update orders set customer = 'B' where no = '1'");
    scene.beside("delete from orders where no = '3'");
    scene.beside("insert into orders values ('4', 'B', 4, 'w')");
    let before = "1|B|x\n2|B|y\n4|B|w";
    let refused = scene.write("PATCH", "/v1/orders/1", "a", r#"{"note":"mine"}"#).problem(404, "no-such-record");
    scene.write("DELETE", "/v1/orders/1", "b", "").problem(404, "no-such-record");
    // In steps that stand for themselves, too, of which none is done.
    scene.write("POST", "/v1/orders/1/steps", "c", "").problem(404, "no-such-record");
    // One that is not there at all is told of alike.
    let gone = scene.write("PATCH", "/v1/orders/3", "d", r#"{"note":"mine"}"#).problem(404, "no-such-record");
    assert_eq!(refused.replace("`1`", "`3`"), gone);
    assert_eq!(scene.rows(), before);
    // The same key tries again, should it be A's again.
    scene.beside("update orders set customer = 'A' where no = '1'");
    assert_eq!(scene.write("PATCH", "/v1/orders/1", "a", r#"{"note":"mine"}"#).status, 200);
    assert_eq!(scene.write("POST", "/v1/orders/1/steps", "c", "").status, 200);
    assert_eq!(scene.write("DELETE", "/v1/orders/1", "b", "").status, 200);
    // Whoever sees all writes to all.
    let all = scene.site.key.clone();
    assert_eq!(scene.write_as(&all, "PATCH", "/v1/orders/2", "e", &[], r#"{"note":"all"}"#).status, 200);
    assert_eq!(scene.rows(), "2|B|all\n4|B|w");
    let unknown = scene.site.operations().iter().filter(|one| one["state"] == "unknown").count();
    assert_eq!(unknown, 0);
}

#[test]
fn what_was_given_away_at_the_backend_is_not_written_to() {
    what_was_given_away_is_not_written_to(&Scene::sqlite(OPERATIONS));
}

#[test]
fn nor_in_postgres() {
    what_was_given_away_is_not_written_to(&Scene::of(with(OPERATIONS).mapping(MAPPING).postgres(TABLES)));
}

#[test]
fn nor_in_mariadb() {
    what_was_given_away_is_not_written_to(&Scene::of(with(OPERATIONS).mapping(MAPPING).mariadb(TABLES)));
}

#[test]
fn nor_in_sql_server() {
    let settings = crate::support::tds_server::Settings::default();
    what_was_given_away_is_not_written_to(&Scene::of(with(OPERATIONS).mapping(MAPPING).sql_server(settings, TABLES)));
}

#[test]
fn a_row_that_is_judged_is_kept_from_others_until_it_is_written() {
    let operations = OPERATIONS.replace(
        "sql = \"update orders set amount = coalesce(:amount, amount), note",
        "sql = [\"select pg_sleep(1)\", \"update orders set amount = coalesce(:amount, amount), note",
    );
    let operations = operations.replace(
        "where no = :key\"\nexpect = 1\n[operations.update.body]",
        "where no = :key\"]\n[operations.update.body]",
    );
    assert_ne!(operations, OPERATIONS);
    let scene = Scene::of(with(&operations).mapping(MAPPING).postgres(TABLES));
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| scene.write("PATCH", "/v1/orders/1", "a", r#"{"note":"mine"}"#).status);
        let asleep =
            "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";
        scene.site.service.until(|| (scene.site.sql(asleep) == "1").then_some(()));
        // Whoever gives the row away now comes behind the write.
        scene.beside("update orders set customer = 'B', note = note || '!' where no = '1'");
        assert_eq!(writing.join().unwrap(), 200);
    });
    assert_eq!(scene.site.sql("select customer, note from orders where no = '1'"), "B|mine!");
}

#[test]
fn an_account_that_may_read_and_not_lock_is_judged_all_the_same() {
    let site = with("").mapping(MAPPING).postgres(TABLES);
    let Data::Postgres(server, name) = &site.data else { panic!("no PostgreSQL") };
    // It changes the row by a function of the owner's, and may not lock it.
    let account = "create role clerk login; grant select on orders to clerk; \
        create function note(text, text) returns int language sql security definer as \
        $$ update orders set note = $2 where no = $1; select 1 $$";
    server.sql(name, account);
    let connection = server.connection(name).replace("UID=tb", "UID=clerk");
    let operations = "[operations.note]\nsql = \"select note(:key, :note)\"\nbody = { note = \"string\" }\n";
    let scene = Scene::of(with(operations).mapping(MAPPING).over(&connection, server.clone(), name));
    assert_eq!(scene.write("POST", "/v1/orders/1/note", "a", r#"{"note":"mine"}"#).status, 200);
    scene.beside("update orders set customer = 'B' where no = '1'");
    scene.write("POST", "/v1/orders/1/note", "b", r#"{"note":"again"}"#).problem(404, "no-such-record");
    assert_eq!(scene.site.sql("select note from orders where no = '1'"), "mine");
}

#[test]
fn a_create_replaces_nothing_that_its_caller_does_not_see() {
    let replacing = OPERATIONS.replace("sql = \"insert into", "sql = \"insert or replace into");
    let scene = Scene::sqlite(&replacing);
    // One that was read as B's, and one that nobody here has read yet.
    scene.beside("insert into orders values ('4', 'B', 4, 'w')");
    let checked = scene.site.site.run(&["check", "--offline"]);
    assert!(!String::from_utf8_lossy(&checked.stderr).contains("serve.rows"), "{checked:?}");
    for (no, idempotency) in [("2", "a"), ("4", "b")] {
        let taken = scene.write("POST", "/v1/orders", idempotency, &format!(r#"{{"no":"{no}","customer":"A"}}"#));
        // As a key that is taken is told of: in the mapping's own words.
        assert!(taken.problem(409, "operation-conflict").contains("there is such an order"), "{taken:?}");
    }
    assert_eq!(scene.rows(), "1|A|x\n2|B|y\n3|A|z\n4|B|w");
    // Its own it replaces, and a new one it makes.
    for (no, idempotency) in [("1", "c"), ("5", "d")] {
        let body = format!(r#"{{"no":"{no}","customer":"A","note":"new"}}"#);
        assert_eq!(scene.write("POST", "/v1/orders", idempotency, &body).status, 201);
    }
    assert_eq!(scene.rows(), "1|A|new\n2|B|y\n3|A|z\n4|B|w\n5|A|new");
}

#[test]
fn what_lies_where_nobody_can_be_asked_is_judged_by_what_is_staged() {
    // The records come from files, the writes go to a database.
    let mapping = MAPPING.replace(
        "backend = \"erp\"\n[source.table]\ntable = \"orders\"\nsnapshot = true",
        "backend = \"files\"\nschedule = \"manual\"\n[source.csv]\nfiles = \"orders*.csv\"",
    );
    assert_ne!(mapping, MAPPING);
    let replacing = OPERATIONS
        .replace("sql = \"insert into", "backend = \"erp\"\nsql = \"insert or replace into")
        .replace("answer = \"record\"\n", "")
        .replace("[operations.update]", "[operations.update]\nbackend = \"erp\"")
        .replace("[operations.delete]", "[operations.delete]\nbackend = \"erp\"")
        .replace("[operations.give]", "[operations.give]\nbackend = \"erp\"")
        .replace("[operations.steps]", "[operations.steps]\nbackend = \"erp\"");
    let sections =
        "[backends.files.files]\ninbox = \"in\"\nstable_for = \"0s\"\n[backends.files.gate]\nsettle = \"0s\"\n";
    let site = with(&replacing).mapping(&mapping).sections(sections).sqlite(TABLES);
    site.site.write("in/orders1.csv", b"no,customer,amount,note\n1,A,731,x\n2,B,942,y\n");
    let scene = Scene::of(site);
    // Which is told to whoever looks.
    let checked = scene.site.site.run(&["check", "--offline"]);
    let said = [checked.stdout, checked.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(said.contains("(`serve.rows`: customer) is judged by what is staged"), "{said}");
    scene.write("POST", "/v1/orders", "a", r#"{"no":"2","customer":"A"}"#).problem(409, "operation-conflict");
    scene.write("PATCH", "/v1/orders/2", "b", r#"{"note":"mine"}"#).problem(404, "no-such-record");
    assert_eq!(scene.write("PATCH", "/v1/orders/1", "c", r#"{"note":"mine"}"#).status, 200);
    assert_eq!(scene.rows(), "1|A|mine\n2|B|y\n3|A|z");
}

#[test]
fn a_record_is_told_to_whoever_may_read_it_now() {
    let scene = Scene::sqlite(OPERATIONS);
    // It is done, and B's from then on.
    let given = scene.write("POST", "/v1/orders/1/give", "a", "");
    let told = given.json();
    assert_eq!((given.status, &told["state"], &told["result"]), (200, &json!("succeeded"), &Value::Null), "{told:#}");
    assert_eq!(
        (given.field("etag"), scene.site.sql("select customer from orders where no = '1'").as_str()),
        (None, "B")
    );
    let status = scene.get(&scene.a, told["href"].as_str().unwrap());
    assert_eq!((&status.json()["state"], &status.json()["result"]), (&json!("succeeded"), &Value::Null));
    assert!(!given.text().contains("\"B\"") && !status.text().contains("\"B\""));
    // Sent again it is told as it was, though the record is nobody's that the caller sees.
    let again = scene.write("POST", "/v1/orders/1/give", "a", "");
    assert_eq!((again.status, again.field("idempotent-replayed")), (200, Some("true")), "{again:?}");
    assert_eq!(again.json()["result"], Value::Null);
    scene.write("POST", "/v1/orders/1/give", "b", "").problem(404, "no-such-record");
    // Who sees a part is told a part, of the status as well.
    let made = scene.write("POST", "/v1/orders", "c", r#"{"no":"7","customer":"A"}"#);
    let part = json!({ "no": "7", "customer": "A", "note": null });
    assert_eq!((made.status, made.json()), (201, part.clone()));
    let link = made.field("link").unwrap();
    let href = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    assert_eq!(scene.get(&scene.a, &href).json()["result"], part);
    // Who may write and not read is told that it is done.
    let writer = key(&scene.site, "w", "A", &["orders:write"]).0;
    let made = scene.write_as(&writer, "POST", "/v1/orders", "d", &[], r#"{"no":"8","customer":"A"}"#);
    assert_eq!((made.status, &made.json()["result"], made.field("etag")), (201, &Value::Null, None));
    assert_eq!(made.field("location"), Some("/v1/orders/8"));
    let status = scene.get(&writer, made.json()["href"].as_str().unwrap()).json();
    assert_eq!((&status["state"], &status["result"]), (&json!("succeeded"), &Value::Null));
}

#[test]
fn a_write_that_took_its_record_away_is_told_again() {
    let scene = Scene::sqlite(OPERATIONS);
    let first = scene.write("DELETE", "/v1/orders/1", "a", "");
    let again = scene.write("DELETE", "/v1/orders/1", "a", "");
    assert_eq!((first.status, again.status, again.field("idempotent-replayed")), (200, 200, Some("true")), "{again:?}");
    scene.write("DELETE", "/v1/orders/1", "b", "").problem(404, "no-such-record");
    // A line of a bulk likewise.
    let line = "{\"operation\":\"delete\",\"key\":\"3\"}\n";
    let media = [("Content-Type", "application/x-ndjson")];
    for replayed in [false, true] {
        let answer = exchange(scene.site.address(), &bulk::bytes(&scene.a, "k", &media, line)).unwrap();
        let told = &bulk::lines(&answer)[0];
        assert_eq!((&told["status"], told["replayed"] == true), (&json!(200), replayed), "{told}");
    }
}

#[test]
fn who_sees_a_part_says_by_its_tag_which_state_is_meant() {
    for mode in ["staged", "live", "hybrid"] {
        let serve = if mode == "hybrid" {
            "[serve]\nmode = \"hybrid\"\nmax_age = \"1h\""
        } else {
            &format!("[serve]\nmode = \"{mode}\"")
        };
        let mapping = MAPPING.replace("[serve]", serve);
        let site = with(OPERATIONS).mapping(&mapping).sqlite(TABLES);
        let scene = match mode {
            "staged" => Scene::of(site),
            _ => {
                let a = key(&site, "a", "A", &["orders:read", "orders:write"]).0;
                Scene { site, a }
            }
        };
        let tag = |key: &str, path: &str| scene.get(key, path).field("etag").unwrap().to_owned();
        let (whole, part) = (tag(&scene.site.key, "/v1/orders/1"), tag(&scene.a, "/v1/orders/1"));
        assert_ne!(whole, part);
        let patch = |key: &str, idempotency: &str, tag: &str, body: &str| {
            scene.write_as(key, "PATCH", "/v1/orders/1", idempotency, &[("If-Match", tag)], body)
        };
        // A tag of the whole would tell who guesses what is hidden that the guess is right.
        patch(&scene.a, "a", &whole, r#"{"note":"n"}"#).problem(412, "precondition-failed");
        let shown = "\"00000000000000000000000000000000\"";
        patch(&scene.a, "b", shown, r#"{"note":"n"}"#).problem(412, "precondition-failed");
        // And the other way round.
        patch(&scene.site.key, "c", &part, r#"{"note":"n"}"#).problem(412, "precondition-failed");
        assert_eq!(patch(&scene.a, "d", &part, r#"{"note":"n"}"#).status, 200, "{mode}");
        // The state is another one now.
        patch(&scene.a, "e", &part, r#"{"note":"m"}"#).problem(412, "precondition-failed");
        let now = if mode == "staged" {
            assert!(scene.site.site.run(&["sync", "orders.v1"]).status.success());
            tag(&scene.a, "/v1/orders/1")
        } else {
            tag(&scene.a, "/v1/orders/1")
        };
        assert_eq!(patch(&scene.a, "f", &now, r#"{"note":"m"}"#).status, 200, "{mode}");
        // Of what is hidden as well, and in whatever form it was read.
        scene.beside("update orders set amount = amount + 1 where no = '3'");
        if mode == "staged" {
            assert!(scene.site.site.run(&["sync", "orders.v1"]).status.success());
        }
        let cbor = request(
            "GET",
            "/v1/orders/3",
            &[("Authorization", &format!("Bearer {}", scene.a)), ("Accept", "application/cbor")],
            b"",
        );
        let cbor = exchange(scene.site.address(), &cbor).unwrap().field("etag").unwrap().to_owned();
        let made = scene.write_as(&scene.a, "PATCH", "/v1/orders/3", "g", &[("If-Match", &cbor)], r#"{"note":"c"}"#);
        assert_eq!(made.status, 200, "{mode}: {made:?}");
    }
}

#[test]
fn the_answer_of_a_write_has_the_tag_of_what_is_seen_of_the_record() {
    let scene = Scene::sqlite(OPERATIONS);
    let made = scene.write("POST", "/v1/orders", "a", r#"{"no":"7","customer":"A"}"#);
    assert_eq!(made.field("etag"), scene.get(&scene.a, "/v1/orders/7").field("etag"), "{made:?}");
    let tag = made.field("etag").unwrap().to_owned();
    let patched = scene.write_as(&scene.a, "PATCH", "/v1/orders/7", "b", &[("If-Match", &tag)], r#"{"note":"n"}"#);
    assert_eq!(patched.status, 200, "{patched:?}");
}

#[test]
fn what_is_hidden_is_not_written() {
    let scene = Scene::sqlite(OPERATIONS);
    let refused = scene.write("PATCH", "/v1/orders/1", "a", r#"{"note":"n","amount":1}"#);
    refused.problem(403, "insufficient-scope");
    let problem = refused.json();
    assert_eq!(
        (&problem["reason"], &problem["errors"][0]["pointer"]),
        (&json!("masked"), &json!("#/amount")),
        "{problem:#}"
    );
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("`money:read`"), "{problem:#}");
    // Null is a value, too.
    scene.write("PATCH", "/v1/orders/1", "b", r#"{"amount":null}"#).problem(403, "insufficient-scope");
    assert_eq!(scene.site.operations(), Vec::<Value>::new(), "nothing was written down");
    assert_eq!(scene.site.sql("select amount, note from orders where no = '1'"), "731|x");
    let sees = key(&scene.site, "s", "A", &["orders:read", "orders:write", "money:read"]).0;
    assert_eq!(scene.write_as(&sees, "PATCH", "/v1/orders/1", "c", &[], r#"{"amount":2}"#).status, 200);
    // In a bulk it is the line that is refused.
    let sent = "{\"operation\":\"update\",\"key\":\"1\",\"body\":{\"amount\":3}}\n{\"operation\":\"update\",\"key\":\"1\",\"body\":{\"note\":\"b\"}}\n";
    let media = [("Content-Type", "application/x-ndjson")];
    let answer = exchange(scene.site.address(), &bulk::bytes(&scene.a, "k", &media, sent)).unwrap();
    let told = bulk::lines(&answer);
    assert_eq!((&told[0]["status"], &told[1]["status"]), (&json!(403), &json!(200)), "{told:?}");
    assert_eq!(scene.site.sql("select amount, note from orders where no = '1'"), "2|b");
}

#[test]
fn two_who_call_by_one_name_do_not_share_their_writes() {
    let scene = Scene::sqlite(OPERATIONS);
    let b = key(&scene.site, "a", "B", &["orders:read", "orders:write"]).0;
    let by_a = scene.write("PATCH", "/v1/orders/1", "same", r#"{"note":"n"}"#);
    let by_b = scene.write_as(&b, "PATCH", "/v1/orders/2", "same", &[], r#"{"note":"n"}"#);
    assert_eq!((by_a.status, by_b.status, by_b.field("idempotent-replayed")), (200, 200, None), "{by_b:?}");
    assert_eq!(scene.rows(), "1|A|n\n2|B|n\n3|A|z");
    let href = by_a.json()["href"].as_str().unwrap().to_owned();
    assert_eq!(scene.get(&scene.a, &href).status, 200);
    scene.get(&b, &href).problem(404, "no-such-operation");
    // A key in the place of another one is the same caller.
    let (made, code) = scene.site.site.json(&["keys", "rotate", &key_id(&scene, &by_a)]);
    assert_eq!(code, 0, "{made:?}");
    let next = made[0]["key"].as_str().unwrap();
    let again = scene.write_as(next, "PATCH", "/v1/orders/1", "same", &[], r#"{"note":"n"}"#);
    assert_eq!((again.status, again.field("idempotent-replayed")), (200, Some("true")), "{again:?}");
    assert_eq!(scene.get(next, &href).status, 200);
}

/// The id of the key of an operation.
fn key_id(scene: &Scene, answer: &Answer) -> String {
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let (shown, code) = scene.site.site.json(&["operations", "show", &id]);
    assert_eq!(code, 0, "{shown:?}");
    shown[0]["caller"].as_str().unwrap().to_owned()
}

#[test]
fn one_that_is_parked_is_judged_when_it_is_begun() {
    let parked = OPERATIONS.replace("[operations.update]\n", "[operations.update]\nparked = true\n");
    let scene = Scene::sqlite(&parked);
    let admin = ("TOLLBRIDGE__SERVER__ADMIN_LISTEN", scene.site.service.admin_address());
    let mut freeze = scene.site.site.command(&["gate", "freeze", "erp", "--reason", "stock taking", "--for", "3s"]);
    assert!(freeze.env(admin.0, admin.1).output().unwrap().status.success());
    let (first, second) = (
        scene.write("PATCH", "/v1/orders/1", "a", r#"{"note":"n"}"#),
        scene.write("PATCH", "/v1/orders/3", "b", r#"{"note":"n"}"#),
    );
    assert_eq!((first.status, second.status), (202, 202), "{first:?}");
    scene.beside("update orders set customer = 'B' where no = '1'");
    let (first, second) = (scene.site.until_over(&first), scene.site.until_over(&second));
    assert_eq!((&first["state"], &first["problem"]["status"]), (&json!("failed"), &json!(404)), "{first:#}");
    assert_eq!(second["state"], "succeeded");
    assert_eq!(scene.rows(), "1|B|x\n2|B|y\n3|A|n");
}

#[test]
fn a_bulk_ends_when_its_key_is_revoked() {
    let scene = Scene::sqlite(OPERATIONS);
    let (key, id) = key(&scene.site, "c", "A", &["orders:read", "orders:write"]);
    let mut connection = Connection::to(scene.site.address());
    let head = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: \"k\"\r\n\
         Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    connection.send(head.as_bytes());
    let line = |no: u32| {
        let line = format!("{{\"body\":{{\"no\":\"{no}\",\"customer\":\"A\"}}}}\n");
        format!("{:x}\r\n{line}\r\n", line.len())
    };
    connection.send(line(10).as_bytes());
    assert_eq!(connection.receive(false).unwrap().status, 200);
    let told = |chunk: Option<Vec<u8>>| serde_json::from_slice::<Value>(&chunk.unwrap()).unwrap();
    assert_eq!(told(connection.chunk())["status"], 201);
    assert!(scene.site.site.run(&["keys", "revoke", &id]).status.success());
    // It is looked at now and then, and blank lines say that more is to come.
    for _ in 0..12 {
        std::thread::sleep(Duration::from_millis(500));
        connection.send(b"1\r\n\n\r\n");
    }
    // What comes behind the line that is refused is not begun.
    connection.send(format!("{}{}", line(11), line(12)).as_bytes());
    let refused = told(connection.chunk());
    assert_eq!((&refused["line"], &refused["status"]), (&json!(14), &json!(401)), "{refused}");
    assert_eq!(connection.chunk().as_deref(), Some(&[][..]), "it has ended");
    assert_eq!(scene.site.sql("select no from orders where no > '10' and length(no) > 1"), "");
}

#[test]
fn a_feed_ends_when_its_key_is_revoked() {
    let scene = Scene::sqlite(OPERATIONS);
    let (key, id) = key(&scene.site, "c", "A", &["orders:read"]);
    let bearer = format!("Bearer {key}");
    let mut followers: Vec<Connection> = Vec::new();
    for accept in ["text/event-stream", "application/x-ndjson"] {
        let mut connection = Connection::to(scene.site.address());
        let fields = [("Authorization", bearer.as_str()), ("Accept", accept), ("Prefer", "wait=60")];
        connection.send(&request("GET", "/v1/orders/changes?since=now", &fields, b""));
        assert_eq!(connection.receive(false).unwrap().status, 200);
        followers.push(connection);
    }
    assert!(!followers[0].chunk().unwrap().is_empty());
    let began = Instant::now();
    assert!(scene.site.site.run(&["keys", "revoke", &id]).status.success());
    for follower in &mut followers {
        assert_eq!(follower.chunk().as_deref(), Some(&[][..]), "it has ended");
    }
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    // What comes then comes to nobody.
    assert_eq!(scene.get(&key, "/v1/orders/1").status, 401);
}

#[test]
fn a_live_list_tells_those_who_see_some_of_no_other() {
    let mapping = MAPPING.replace("[serve]", "[serve]\nmode = \"live\"\nfilter = [\"customer\"]");
    let tables = format!("{TABLES}; insert into orders values ('8', 'A', -1, 'bad'), ('9', 'B', -1, 'bad')");
    let site = with(OPERATIONS).mapping(&mapping).sqlite(&tables);
    let a = key(&site, "a", "A", &["orders:read"]).0;
    let scene = Scene { site, a };
    let rejected = |key: &str| scene.get(key, "/v1/orders").json()["page"]["rejected"].clone();
    assert_eq!((rejected(&scene.site.key), rejected(&scene.a)), (json!(2), json!(0)));
}

/// Databases that take `a` for `A` give rows of both, of which the caller sees those of its own. Where the page goes on is behind
/// one that it does not see.
#[test]
fn where_a_live_list_goes_on_tells_no_key_that_its_reader_does_not_see() {
    let mapping = MAPPING.replace("[serve]", "[serve]\nmode = \"live\"\nfilter = [\"customer\"]");
    let tables = TABLES.replace("customer varchar(10)", "customer varchar(10) collate nocase");
    let more = "('7', 'a', 1, ''), ('8', 'a', 1, ''), ('HIDDEN', 'a', 1, ''), ('Z', 'A', 1, '')";
    let site = with(OPERATIONS).mapping(&mapping).sqlite(&format!("{tables}; insert into orders values {more}"));
    let a = key(&site, "a", "A", &["orders:read"]).0;
    let scene = Scene { site, a };
    let (mut path, mut seen) = ("/v1/orders?limit=5".to_owned(), Vec::new());
    loop {
        let page = scene.get(&scene.a, &path).json();
        seen.extend(page["data"].as_array().unwrap().iter().map(|order| order["no"].as_str().unwrap().to_owned()));
        let Some(next) = page["page"]["next"].as_str() else { break };
        let held = URL_SAFE_NO_PAD.decode(next.split("cursor=").nth(1).unwrap()).unwrap();
        assert!(!held.windows(6).any(|bytes| bytes == b"HIDDEN"), "{next}");
        path = next.to_owned();
    }
    assert_eq!(seen, ["1", "3", "Z"]);
}
