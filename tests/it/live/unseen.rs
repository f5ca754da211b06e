//! Records that their caller may not see: nothing that is answered, whatever is asked, tells them from records that are not
//! there.

use serde_json::{Value, json};

use super::erp::{Erp, Reply, envelope, order};
use super::fresh::freeze;
use super::site::{LiveSite, Running};
use crate::facade::client::{Answer, exchange, request};

/// What the service says of a number that it does not know, and what that means.
const FAULTS: &str = "[[source.soap.faults]]\ncode = \"NoSuchOrder\"\nstatus = 404\ntitle = \"No such order\"\n";

const ROWS: &str = "rows = { status = \"claims.status\" }\n";

/// Callers see the orders that are as their key says.
struct Scene {
    erp: Erp,
    site: Running,
    /// Who sees the open ones.
    open: String,
    /// Who sees all.
    all: String,
}

/// Order 1 is open, 2 is closed, and there are no others.
fn of_the_service(number: &str) -> Reply {
    match number {
        "1" => Reply::order("1", "1.00"),
        "2" => Reply::Answer(200, "text/xml", order("2", "2.00").replace(">OP<", ">CL<")),
        _ => Reply::fault(500, "NoSuchOrder", "company 77 has no such order"),
    }
}

impl Scene {
    fn new(serve: &str, more: &str) -> Scene {
        let erp = Erp::start(|call| match call.body.contains("<CreateOrder ") {
            true => Reply::Answer(200, "text/xml", envelope("<CreateOrderResponse xmlns=\"urn:erp\"/>")),
            false => of_the_service(&call.order_no),
        });
        let site = LiveSite::new(&erp.url()).serve(&format!("{serve}\n{ROWS}{FAULTS}{more}")).start();
        let key = |scopes: &[&str], claim: &[&str]| {
            let mut arguments = vec!["keys", "create", "caller"];
            scopes.iter().for_each(|scope| arguments.extend(["--scope", scope]));
            claim.iter().for_each(|claim| arguments.extend(["--claim", claim]));
            site.site.json(&arguments).0[0]["key"].as_str().unwrap().to_owned()
        };
        let (open, all) = (key(&["read", "write"], &["status=open"]), key(&["*"], &[]));
        Scene { erp, site, open, all }
    }

    fn ask(&self, key: &str, (method, path): (&str, &str), more: &[(&str, &str)], body: &str) -> Answer {
        let bearer = format!("Bearer {key}");
        let fields = [&[("Authorization", bearer.as_str())], more].concat();
        exchange(self.site.address(), &request(method, path, &fields, body.as_bytes())).expect("an answer")
    }

    fn get(&self, key: &str, number: &str, directives: &str) -> Answer {
        let more: &[(&str, &str)] = &[("Cache-Control", directives)];
        self.ask(key, ("GET", &format!("/v1/orders/{number}")), more, "")
    }

    /// Asserts that of order 2, which is not theirs, the bearer of `open` is told what is told of 9, which is not there.
    #[track_caller]
    fn are_alike(&self, status: u16, ask: impl Fn(&str) -> Answer) {
        let told = |number: &str| {
            let answer = ask(number);
            assert_eq!(answer.status, status, "{number}: {}", answer.text());
            let mut body = answer.json();
            let members = body.as_object_mut().unwrap();
            members.remove("request_id");
            members.remove("instance");
            let text = Value::Object(members.clone()).to_string().replace(&format!("`{number}`"), "`N`");
            let fields = answer.head.lines().skip(1).filter_map(|line| line.split_once(':'));
            (text, fields.map(|(name, _)| name.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(told("2"), told("9"));
    }
}

#[test]
fn a_service_that_says_no_by_a_fault_tells_nothing_of_those_that_it_has() {
    for serve in ["mode = \"live\"", "mode = \"hybrid\"\nmax_age = \"1h\""] {
        let scene = Scene::new(serve, "");
        assert_eq!(scene.get(&scene.open, "1", "max-age=60").status, 200);
        scene.are_alike(404, |number| scene.get(&scene.open, number, "no-cache"));
        // Whoever sees all is told in the service's own words.
        let said = scene.get(&scene.all, "9", "no-cache").json();
        assert_eq!((&said["title"], &said["soap"]["code"]), (&json!("No such order"), &json!("NoSuchOrder")), "{said}");
        assert_eq!(scene.get(&scene.all, "2", "no-cache").status, 200);
    }
}

#[test]
fn what_is_staged_for_others_answers_nobody_else() {
    let scene = Scene::new("mode = \"hybrid\"\nmax_age = \"1h\"", "");
    for number in ["1", "2"] {
        assert_eq!(scene.get(&scene.all, number, "max-age=60").status, 200);
        scene.site.until(|| (scene.get(&scene.all, number, "only-if-cached").status == 200).then_some(()));
    }
    assert_eq!(scene.get(&scene.open, "1", "only-if-cached").status, 200);
    scene.are_alike(504, |number| scene.get(&scene.open, number, "only-if-cached"));
    scene.are_alike(404, |number| scene.get(&scene.open, number, "max-age=60"));
    // When it has come into sight since it was staged, it is there.
    scene.erp.script(|call| Reply::order(&call.order_no, "3.00"));
    assert_eq!(scene.get(&scene.open, "2", "max-age=60").status, 200);
    // What is answered is staged behind the answer.
    let until_staged = |amount: &str| {
        scene.site.until(|| scene.get(&scene.all, "2", "only-if-cached").text().contains(amount).then_some(()));
    };
    until_staged("3.00");
    scene.erp.script(|call| of_the_service(&call.order_no));
    assert_eq!(scene.get(&scene.all, "2", "no-cache").status, 200);
    until_staged("2.00");
    // Nor while the service is closed, and all that is answered is what is staged.
    freeze(&scene.site, "POST");
    assert_eq!(
        (scene.get(&scene.open, "1", "max-stale").status, scene.get(&scene.all, "2", "max-stale").status),
        (200, 200)
    );
    scene.are_alike(503, |number| scene.get(&scene.open, number, "max-stale"));
}

const OPERATIONS: &str = r#"
[operations.create]
body = { order_no = { field = "order_no" }, status = { field = "status" } }
[operations.create.soap]
operation = "urn:erp/CreateOrder"
envelope = '''
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<CreateOrder xmlns="urn:erp"><OrderNo>{order_no}</OrderNo><Status>{status}</Status></CreateOrder>
</s:Body></s:Envelope>'''
[operations.update]
body = { status = { field = "status" } }
[operations.update.soap]
operation = "urn:erp/CreateOrder"
envelope = '''
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
<CreateOrder xmlns="urn:erp"><OrderNo>{key}</OrderNo><Status>{status}</Status></CreateOrder>
</s:Body></s:Envelope>'''
"#;

#[test]
fn writes_are_told_alike_and_a_new_record_can_be_made_where_there_is_none() {
    let scene = Scene::new("mode = \"live\"", OPERATIONS);
    let sent = |number: &str| {
        scene.erp.calls().iter().filter(|call| call.body.contains("<CreateOrder ") && call.order_no == number).count()
    };
    let write = |key: &str, method: &str, path: &str, idempotency: &str, more: &[(&str, &str)], body: &str| {
        let fields = [("Idempotency-Key", idempotency), ("Content-Type", "application/json")];
        scene.ask(key, (method, path), &[&fields, more].concat(), body)
    };
    scene.are_alike(404, |number| {
        let path = format!("/v1/orders/{number}");
        write(&scene.open, "PATCH", &path, &format!("u{number}"), &[], r#"{"status":"open"}"#)
    });
    assert_eq!((sent("2"), sent("9")), (0, 0));
    // A number that is taken by somebody else's is told like any that is; one that is free, by a fault, is made.
    let create = |number: &str| {
        let body = json!({ "order_no": number, "status": "open" }).to_string();
        write(&scene.open, "POST", "/v1/orders", &format!("c{number}"), &[], &body)
    };
    create("2").problem(409, "operation-conflict");
    let made = create("8");
    assert_eq!((made.status, sent("2"), sent("8")), (201, 0, 1), "{}", made.text());
    // A record that is gone is none of any tag, and that is no fault of its backend.
    let tag = [("If-Match", "\"00000000000000000000000000000000\"")];
    let answer = write(&scene.all, "PATCH", "/v1/orders/9", "gone", &tag, r#"{"status":"open"}"#);
    answer.problem(412, "precondition-failed");
}
