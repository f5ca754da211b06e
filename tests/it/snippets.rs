//! The programs that the README shows: each is taken out of it as it stands, and run by its interpreter beside the demo.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::demo::demo_with_orders;
use crate::facade::client::{exchange, request};
use crate::readme::{block_after, readme};
use crate::site::{Service, Site};

/// Only reached when something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// The forms of each program.
const FORMS: [&str; 3] = ["sh", "mjs", "py"];

/// A program of the README in a folder of its own.
struct Snippet {
    name: String,
    folder: TempDir,
    key: String,
}

impl Snippet {
    /// The one of this name, calling this address instead of the demo's.
    fn new(name: &str, address: &str, key: &str) -> Snippet {
        let readme = readme();
        let text = block_after(&readme, &format!("<!-- run: {name} -->"));
        let demo = "http://127.0.0.1:8080";
        assert!(text.contains(demo), "{name} calls the demo");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text.replace(demo, &format!("http://{address}"))).unwrap();
        Snippet { name: name.to_owned(), folder, key: key.to_owned() }
    }

    fn command(&self) -> Command {
        let program = match Path::new(&self.name).extension().and_then(|form| form.to_str()) {
            Some("sh") => "bash",
            Some("mjs") => "node",
            _ => "python3",
        };
        let mut command = Command::new(program);
        command.arg(&self.name).current_dir(self.folder.path()).env("KEY", &self.key).stdin(Stdio::null());
        command
    }

    /// What it prints when it runs to its good end.
    #[track_caller]
    fn run(&self) -> String {
        let done = self.command().output();
        let done = done.unwrap_or_else(|fault| panic!("{}: {fault}: `scripts/setup test` installs it", self.name));
        let (said, told) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "{} ended with {}: {told}\n{said}", self.name, done.status);
        said.into_owned()
    }
}

/// The demo as `make run` serves it, read to the end of all its sources; and its key.
fn served(demo: &Site) -> (Service, String) {
    let service = demo.serve();
    let key = service.until(|| demo_key(demo));
    ["customers", "orders", "prices", "stock"].into_iter().for_each(|resource| filled(&service, resource));
    (service, key)
}

/// Waits until a resource is read to its end.
fn filled(service: &Service, resource: &str) {
    service.until(|| {
        let (_, runs) = service.admin("GET", &format!("/admin/v1/runs?resource={resource}.v1"));
        let runs: Value = serde_json::from_str(&runs).ok()?;
        runs["data"].as_array()?.iter().any(|run| run["state"] == "succeeded").then_some(())
    });
}

fn rows(service: &Service, path: &str, key: &str) -> Vec<Value> {
    let page: Value = serde_json::from_str(&service.get(path, key).unwrap()).unwrap();
    assert_eq!(page["page"]["next"], Value::Null);
    page["data"].as_array().unwrap().clone()
}

#[test]
fn readers_take_every_page_and_only_what_is_new() {
    let demo = demo_with_orders();
    let (service, key) = served(&demo);
    // In two pages that are larger than theirs.
    let path = "/v1/customers?segment=trade&limit=1000&sort=customer_no&customer_since";
    let mut customers = rows(&service, &path.replace("customer_since", "customer_since[lt]=2010-01-01"), &key);
    customers.extend(rows(&service, &path.replace("customer_since", "customer_since[gte]=2010-01-01"), &key));
    customers.extend(rows(&service, &path.replace("customer_since", "customer_since[null]=true"), &key));
    customers.sort_by_key(|customer| customer["customer_no"].as_str().unwrap().to_owned());
    assert!(customers.len() > 500, "{} are one page", customers.len());
    let text = |customer: &Value, name: &str| customer[name].as_str().unwrap().to_owned();
    let expected: String =
        customers.iter().map(|one| format!("{} {}\n", text(one, "customer_no"), text(one, "name"))).collect();
    for form in ["mjs", "py"] {
        let said = Snippet::new(&format!("reader.{form}"), &service.address(), &key).run();
        assert_eq!(said, format!("{expected}200 304\n"), "{form}");
    }
    let reader = Snippet::new("reader.sh", &service.address(), &key);
    let said = reader.run();
    let pages = said.strip_suffix("2026000003 200\n2026000003 304\n").unwrap_or_else(|| panic!("{said}"));
    let pages: Vec<Value> = pages.lines().map(|page| serde_json::from_str(page).unwrap()).collect();
    let read: String = pages
        .iter()
        .flat_map(|page| page["data"].as_array().unwrap())
        .map(|one| format!("{} {}\n", text(one, "customer_no"), text(one, "name")))
        .collect();
    assert_eq!((pages.len(), read), (customers.len().div_ceil(500), expected));
    let order = std::fs::read_to_string(reader.folder.path().join("2026000003.json")).unwrap();
    assert_eq!(Ok(order), service.get("/v1/orders/2026000003", &key));
}

#[test]
fn writers_enter_an_order() {
    let demo = demo_with_orders();
    let (service, key) = served(&demo);
    for form in FORMS {
        let said = Snippet::new(&format!("writer.{form}"), &service.address(), &key).run();
        let number = said.trim().trim_start_matches("{\"order_no\":\"").trim_end_matches("\"}").to_owned();
        let order: Value =
            serde_json::from_str(&service.get(&format!("/v1/web-orders/{number}"), &key).unwrap()).unwrap();
        assert_eq!(
            (&order["customer"], &order["amount"]),
            (&"Frey".into(), &serde_json::json!(12.5)),
            "{form}: {said}"
        );
    }
    let (operations, _) = demo.json(&["operations", "list"]);
    assert_eq!(operations.len(), FORMS.len(), "one each: {operations:?}");
}

/// What a writer meets on a bad day, as this service tells it: after what is not the end it sends the same again.
const BAD_DAY: [(&str, &str, &str); 7] = [
    ("429 Too Many Requests", "Retry-After: 0\r\n", r#"{"code":"rate-limited","detail":"too many"}"#),
    ("503 Service Unavailable", "Retry-After: 0\r\n", r#"{"code":"backend-busy","detail":"full"}"#),
    ("202 Accepted", "Retry-After: 0\r\nLocation: /v1/operations/7\r\n", r#"{"id":"7","state":"running"}"#),
    ("409 Conflict", "Retry-After: 0\r\n", r#"{"code":"operation-running","detail":"it goes on"}"#),
    ("504 Gateway Timeout", "Location: /v1/operations/7\r\n", r#"{"code":"outcome-unknown","detail":"who knows"}"#),
    ("", "", ""),
    // The rest of it does not come.
    ("504 Gateway Timeout", "Retry-After: 0\r\n", r#"{"code":"outcome-unkn..."#),
];

/// A server that answers so, one request after the other, and at last with `end`; the heads of what it was sent.
fn scripted(end: (&'static str, &'static str)) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = std::thread::spawn(move || {
        let mut heads = Vec::new();
        for (status, fields, body) in BAD_DAY.into_iter().chain([(end.0, "", end.1)]) {
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut request = BufReader::new(socket.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                request.read_line(&mut line).unwrap();
                if let Some(said) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = said.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut sent = vec![0; length];
            request.read_exact(&mut sent).unwrap();
            head.push_str(&String::from_utf8(sent).unwrap());
            heads.push(head);
            if !status.is_empty() {
                let (length, body) = (body.len(), body.trim_end_matches('.'));
                let answer = format!(
                    "HTTP/1.1 {status}\r\n{fields}Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                socket.write_all(answer.as_bytes()).unwrap();
            }
        }
        heads
    });
    (address, serving)
}

#[test]
fn writers_send_the_same_again_until_they_know() {
    for form in FORMS {
        let (address, serving) = scripted(("201 Created", r#"{"order_no":"4713"}"#));
        let said = Snippet::new(&format!("writer.{form}"), &address, "k").run();
        assert!(said.contains("4713"), "{form}: {said}");
        let heads = serving.join().unwrap();
        let key = |head: &String| {
            let of = |line: &str| line.to_ascii_lowercase().strip_prefix("idempotency-key: ").map(str::to_owned);
            head.lines().find_map(of).unwrap()
        };
        assert_eq!((heads.len(), key(&heads[0]).len()), (BAD_DAY.len() + 1, 36), "{form}");
        assert!(heads.iter().all(|head| key(head) == key(&heads[0])), "{form}: {heads:#?}");
        let body = |head: &String| serde_json::from_str::<Value>(head.lines().last().unwrap()).unwrap();
        assert!(heads.iter().all(|head| body(head)["customer"] == "Frey"), "{form}: {heads:#?}");
    }
}

#[test]
fn writers_take_a_no_that_stays() {
    for form in FORMS {
        let no = r#"{"code":"operation-conflict","detail":"there is such an order","errors":[]}"#;
        let (address, serving) = scripted(("409 Conflict", no));
        let writer = Snippet::new(&format!("writer.{form}"), &address, "k");
        let done = writer.command().output().unwrap();
        let told = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert!(!done.status.success() && told.contains("operation-conflict"), "{form}: {told}");
        assert_eq!(serving.join().unwrap().len(), BAD_DAY.len() + 1, "{form}");
    }
}

/// A follower that runs until it is dropped, with the lines that it prints.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn of(snippet: &Snippet) -> Following {
        // A shell has children of its own, which end with it.
        let mut child = snippet.command().process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Following { child, lines }
    }

    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line in time")
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        drop(Command::new("kill").args(["-s", "KILL", "--", &group]).status());
        drop(self.child.wait());
    }
}

/// The copy that a follower keeps: key and record.
fn copy_of(snippet: &Snippet) -> BTreeMap<String, Value> {
    let folder = snippet.folder.path();
    if snippet.name.ends_with(".py") {
        let db = rusqlite::Connection::open(folder.join("prices.db")).unwrap();
        let mut select = db.prepare("SELECT key, record FROM prices").unwrap();
        let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
        return rows.map(Result::unwrap).map(|(key, record)| (key, serde_json::from_str(&record).unwrap())).collect();
    }
    let files = std::fs::read_dir(folder.join("prices")).unwrap().map(|file| file.unwrap().path());
    let records = files.filter(|path| path.extension().is_some_and(|form| form == "json"));
    let key = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    records.map(|path| (key(&path), serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())).collect()
}

/// Whether a follower has taken all records and its place.
fn has_begun(snippet: &Snippet) -> bool {
    match snippet.name.ends_with(".py") {
        false => snippet.folder.path().join("prices/cursor").exists(),
        true => rusqlite::Connection::open(snippet.folder.path().join("prices.db")).is_ok_and(|db| {
            db.query_row("SELECT count(*) FROM place", [], |row| row.get::<_, u32>(0)).is_ok_and(|count| count == 1)
        }),
    }
}

#[test]
fn followers_keep_a_copy_and_go_on_where_they_were() {
    let demo = demo_with_orders();
    // As it is, but for the hour that nobody wants to wait: then the table is looked through for what is gone.
    let mapping = std::fs::read_to_string(demo.path("mappings/prices.v1.toml")).unwrap();
    let quick = mapping.replace("\"every 1h\"", "\"every 2s\"").replace("\"every 10s\"", "\"every 1s\"");
    assert_ne!(quick, mapping);
    demo.write("mappings/prices.v1.toml", quick.as_bytes());
    let (service, key) = served(&demo);
    let table = |statement: &str| {
        let db = rusqlite::Connection::open(demo.path("var/wws.sqlite")).unwrap();
        db.busy_timeout(PATIENCE).unwrap();
        assert_eq!(db.execute(statement, []).unwrap(), 1, "{statement}");
    };

    let snippets = FORMS.map(|form| Snippet::new(&format!("follower.{form}"), &service.address(), &key));
    let followers = snippets.each_ref().map(Following::of);
    for snippet in &snippets {
        service.until(|| has_begun(snippet).then_some(()));
    }
    table(
        "UPDATE PREISE SET PREIS = 999.99, GEAENDERT = '2026-10-30 15:34:00' WHERE ARTNR = 'CBL-100000' AND LISTE = 'HA'",
    );
    for (follower, snippet) in followers.iter().zip(&snippets) {
        assert_eq!(follower.line(), "updated CBL-100000~trade", "{}", snippet.name);
    }
    table("DELETE FROM PREISE WHERE ARTNR = 'CBL-100000' AND LISTE = 'EV'");
    for (follower, snippet) in followers.iter().zip(&snippets) {
        assert_eq!(follower.line(), "deleted CBL-100000~retail", "{}", snippet.name);
    }
    drop(followers);

    // What comes while they are away is told when they come again, and nothing else.
    table("DELETE FROM PREISE WHERE ARTNR = 'LVR-100013' AND LISTE = 'EV'");
    service.until(|| (service.get("/v1/prices/LVR-100013~retail", &key) == Err(404)).then_some(()));
    let followers = snippets.each_ref().map(Following::of);
    for (follower, snippet) in followers.iter().zip(&snippets) {
        assert_eq!(follower.line(), "deleted LVR-100013~retail", "{}", snippet.name);
    }
    table("INSERT INTO PREISE VALUES ('NEW-1', 'HA', '2026-01-01', 1.50, 'EUR', NULL, '2026-10-30 15:35:00')");
    for (follower, snippet) in followers.iter().zip(&snippets) {
        assert_eq!(follower.line(), "created NEW-1~trade", "{}", snippet.name);
    }
    drop(followers);
    same_as_served(&snippets, &service, &key);

    // The database is lost, and filled anew: the place of a follower is of a feed that is no more.
    let places = snippets.each_ref().map(place_of);
    service.signal("TERM");
    service.wait();
    std::fs::remove_file(demo.path("var/staging.db")).unwrap();
    for beside in ["var/staging.db-wal", "var/staging.db-shm"] {
        assert!(!demo.path(beside).exists(), "{beside} goes with an orderly end");
    }
    let service = demo.serve_again(&service);
    filled(&service, "prices");
    let key = demo_key(&demo).unwrap();
    let snippets = snippets.map(|snippet| Snippet { key: key.clone(), ..snippet });
    let followers = snippets.each_ref().map(Following::of);
    for (snippet, place) in snippets.iter().zip(&places) {
        service.until(|| (has_begun(snippet) && place_of(snippet) != *place).then_some(()));
    }
    table("UPDATE PREISE SET PREIS = 2.50, GEAENDERT = '2026-10-30 15:36:00' WHERE ARTNR = 'NEW-1'");
    for (follower, snippet) in followers.iter().zip(&snippets) {
        assert_eq!(follower.line(), "updated NEW-1~trade", "{}", snippet.name);
    }
    drop(followers);
    same_as_served(&snippets, &service, &key);
}

/// A service with two prices, whose first answer with all of them breaks off behind the first.
fn breaking() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It ends with the tests.
    std::thread::spawn(move || {
        let (mut waiting, mut lists) = (Vec::new(), 0);
        let price = |list: &str| format!("{{\"sku\":\"A\",\"price_list\":\"{list}\",\"price\":1.5}}\n");
        let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
        for mut socket in listener.incoming().map_while(Result::ok) {
            let mut head = String::new();
            let mut lines = BufReader::new(socket.try_clone().unwrap());
            while lines.read_line(&mut head).unwrap_or(0) > 2 {}
            let path = head.split(' ').nth(1).unwrap_or_default();
            let body = match path {
                "/v1/prices/changes?since=now" => chunk("{\"since\":\"C\"}") + "0\r\n\r\n",
                "/v1/prices" => {
                    lists += 1;
                    // Whoever asks for cursors is told the end.
                    let end = if head.contains("cursors=true") { chunk("{\"$next\":null}\n") } else { String::new() };
                    let whole = chunk(&price("retail")) + &end + "0\r\n\r\n";
                    let rest = if lists == 1 { String::new() } else { whole };
                    chunk(&price("trade")) + &rest
                }
                // Nothing changes.
                _ => {
                    waiting.push(socket);
                    continue;
                }
            };
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
            socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    });
    address
}

#[test]
fn followers_do_not_take_what_broke_off_for_whole() {
    for form in FORMS {
        let snippet = Snippet::new(&format!("follower.{form}"), &breaking(), "k");
        let follower = Following::of(&snippet);
        let begun = (0..PATIENCE.as_millis() / 50).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            has_begun(&snippet)
        });
        assert!(begun, "{form}");
        drop(follower);
        assert_eq!(copy_of(&snippet).into_keys().collect::<Vec<_>>(), ["A~retail", "A~trade"], "{form}");
    }
}

/// The key that `make run` shows.
fn demo_key(demo: &Site) -> Option<String> {
    let key = std::fs::read_to_string(demo.path("var/demo.key")).ok()?;
    key.ends_with('\n').then(|| key.trim().to_owned())
}

/// What a follower has written down of its place.
fn place_of(snippet: &Snippet) -> String {
    let folder = snippet.folder.path();
    if snippet.name.ends_with(".py") {
        let db = rusqlite::Connection::open(folder.join("prices.db")).unwrap();
        return db.query_row("SELECT cursor FROM place", [], |row| row.get(0)).unwrap();
    }
    std::fs::read_to_string(folder.join("prices/cursor")).unwrap_or_default()
}

/// The copies of followers are what the service has.
#[track_caller]
fn same_as_served(snippets: &[Snippet], service: &Service, key: &str) {
    let bearer = format!("Bearer {key}");
    let fields = [("Authorization", bearer.as_str()), ("Accept", "application/x-ndjson")];
    let lines = exchange(service.address().parse().unwrap(), &request("GET", "/v1/prices", &fields, b"")).unwrap();
    let of = |line: &str| {
        let price: Value = serde_json::from_str(line).unwrap();
        (format!("{}~{}", price["sku"].as_str().unwrap(), price["price_list"].as_str().unwrap()), price)
    };
    let expected: BTreeMap<String, Value> = lines.text().lines().map(of).collect();
    assert!(expected.len() > 5000 && expected["CBL-100000~trade"]["price"] == 999.99, "{}", expected.len());
    for snippet in snippets {
        let copy = copy_of(snippet);
        assert_eq!(copy.len(), expected.len(), "{}", snippet.name);
        assert!(copy == expected, "{} has another copy", snippet.name);
    }
}
