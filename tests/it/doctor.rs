//! `doctor BACKEND`: one broken thing at a time, each told with its cause and what to do.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use crate::site::Site;
use crate::support::soap::SoapServer;

/// A site with this configuration of its only backend.
fn site(backend: &str) -> Site {
    let site = Site::new();
    site.write("tollbridge.toml", format!("{backend}\n[telemetry]\nlog = \"text\"\n").as_bytes());
    site
}

/// The steps that a diagnosis shows, and its exit code.
fn diagnosed(site: &Site, backend: &str) -> (Vec<Value>, i32) {
    let (lines, code) = site.json(&["doctor", backend]);
    (lines[0]["steps"].as_array().unwrap().clone(), code)
}

/// The last step: it is wrong, at this place, for this reason, and there is something to do.
fn wrong(site: &Site, backend: &str, step: &str, said: &str) {
    let (steps, code) = diagnosed(site, backend);
    let last = steps.last().unwrap();
    assert_eq!((&last["step"], &last["ok"]), (&step.into(), &false.into()), "{steps:?}");
    assert!(last["said"].as_str().unwrap().contains(said), "{last}");
    assert!(!last["remedy"].as_str().unwrap().is_empty(), "{last}");
    assert_ne!(code, 0);
    assert!(steps[..steps.len() - 1].iter().all(|step| step["ok"] == true), "{steps:?}");
}

/// Answers every connection with these bytes, after its request was read; each on a thread of its own.
fn answering(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(bytes);
            });
        }
    });
    port
}

fn soap(endpoint: &str) -> Site {
    site(&format!("[backends.erp.soap]\nendpoint = \"{endpoint}\"\n"))
}

#[test]
fn an_inbox_that_works_and_one_that_is_not_there() {
    let site = site("[backends.erp.files]\ninbox = \"inbox\"\n");
    wrong(&site, "erp", "inbox", "cannot be read");
    std::fs::create_dir(site.path("inbox")).unwrap();
    let (steps, code) = diagnosed(&site, "erp");
    assert_eq!((steps.len(), &steps[0]["ok"], code), (1, &true.into(), 0), "{steps:?}");
    let output = site.run(&["doctor", "erp"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("ok     inbox") && text.contains("can be read"), "{text}");
}

#[test]
fn a_backend_that_nobody_knows() {
    let site = site("[backends.erp.files]\ninbox = \"inbox\"\n");
    let output = site.run(&["doctor", "epr"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("there is no backend epr; the configuration has: erp"), "{said}");
}

#[test]
fn a_service_whose_name_or_port_is_wrong() {
    wrong(&soap("http://no-such-host.invalid/erp"), "erp", "resolve", "the name `no-such-host.invalid` is not known");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    wrong(&soap(&format!("http://127.0.0.1:{port}/erp")), "erp", "connect", "nothing listens at port");
}

#[test]
fn a_service_that_does_not_speak_what_is_expected() {
    let plain = answering(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    wrong(&soap(&format!("https://127.0.0.1:{plain}/erp")), "erp", "tls", "does not speak TLS");
    let odd = answering(b"220 mail.example ESMTP\r\n");
    wrong(&soap(&format!("http://127.0.0.1:{odd}/erp")), "erp", "answer", "");
    let missing = answering(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    wrong(&soap(&format!("http://127.0.0.1:{missing}/erp")), "erp", "answer", "404");
    let good = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let (steps, code) = diagnosed(&soap(&format!("http://127.0.0.1:{good}/erp")), "erp");
    assert_eq!(
        steps.iter().map(|step| step["step"].as_str().unwrap()).collect::<Vec<_>>(),
        ["resolve", "connect", "answer"]
    );
    assert_eq!(code, 0, "{steps:?}");
}

/// A service of strangers that answers, and does not do what is wanted: each for one reason, told by the command.
#[test]
fn a_service_that_answers_and_does_not_let_us_in() {
    let server = SoapServer::spyne(&[]);
    let of = |path: &str, more: &str, password: &str| {
        let url = server.url(path);
        let site = site(&format!("[backends.erp.soap]\nendpoint = \"{url}\"\nwsdl = \"orders.wsdl\"\n{more}\n"));
        let wsdl = ureq::get(server.url("soap11?wsdl")).call().unwrap().body_mut().read_to_string().unwrap();
        site.write("orders.wsdl", wsdl.as_bytes());
        site.write("password", password.as_bytes());
        site
    };
    let account = |more: &str| {
        format!("wsse = {{ username = \"svc\", password = {{ file = \"password\" }}, digest = true{more} }}")
    };
    let good = "s3cret & <safe>";
    let told = |site: &Site, code: i32, step: &str, said: &str, remedy: &str| {
        let (steps, exit) = diagnosed(site, "erp");
        let wrong: Vec<&Value> = steps.iter().filter(|step| step["ok"] == false).collect();
        let [wrong] = wrong.as_slice() else { panic!("{steps:?}") };
        assert_eq!((&wrong["step"], exit), (&step.into(), code), "{steps:?}");
        assert!(wrong["said"].as_str().unwrap().contains(said), "{wrong}");
        assert!(wrong["remedy"].as_str().unwrap().contains(remedy), "{wrong}");
        // People read the same.
        let text = String::from_utf8(site.run(&["doctor", "erp"]).stdout).unwrap();
        let line =
            text.lines().position(|line| line.starts_with(&format!("WRONG  {step} "))).expect("a line of its own");
        assert!(
            text.lines().nth(line + 1).unwrap().contains(&format!("what to do: {}", wrong["remedy"].as_str().unwrap())),
            "{text}"
        );
        assert!(!text.contains(good), "{text}");
    };
    let (steps, code) = diagnosed(&of("secured", &account(""), good), "erp");
    let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert!(code == 0 && names.contains(&"login") && names.last() == Some(&"wsdl"), "{steps:?}");
    // The account.
    let site = of("secured", &account(""), "wrong");
    told(
        &site,
        1,
        "login",
        "it does not take our account (FailedAuthentication",
        "check wsse.username and wsse.password",
    );
    // The clock: the login is not tried with it.
    let site = of("secured", &account(", clock_offset = \"-10m\""), good);
    told(&site, 1, "clock", "s ahead of ours", "wsse.clock_offset = \"");
    // The WSDL.
    let site = of("soap11", "", good);
    site.write("orders.wsdl", b"<definitions");
    told(&site, 1, "wsdl", "orders.wsdl", "correct `wsdl` of the backend");
}

#[test]
fn a_secret_that_is_not_there_is_told_before_anything_is_called() {
    let site = site(
        "[backends.erp.soap]\nendpoint = \"http://no-such-host.invalid/erp\"\nbasic = { username = \"svc\", password = { file = \"no-such-file\" } }\n",
    );
    wrong(&site, "erp", "secret", "no-such-file");
    // One that stands in a block of SOAP's header.
    let account = self::site(
        "[backends.erp.soap]\nendpoint = \"http://no-such-host.invalid/erp\"\naccount = { element = \"<A><Pin>{password}</Pin></A>\", password = { file = \"no-such-pin\" } }\n",
    );
    wrong(&account, "erp", "secret", "no-such-pin");
}

#[test]
fn a_backend_that_is_closed_is_left_alone() {
    let closed = "[backends.erp.soap]\nendpoint = \"http://127.0.0.1:1/erp\"\n[backends.erp.gate]\ncalendar = [{ closed = \"00:00-24:00\", days = \"mon-sun\", zone = \"UTC\", reason = \"moved away\" }]\n";
    let site = site(closed);
    let output = site.run(&["doctor", "erp"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("moved away") && said.contains("not asked now"), "{said}");
}

#[test]
fn tables_are_looked_for_in_databases_only() {
    let site = site("[backends.erp.files]\ninbox = \"inbox\"\n");
    for arguments in [vec!["inspect", "--backend", "erp"], vec!["infer", "--backend", "erp", "--table", "T"]] {
        let output = site.run(&arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("backend erp is no database"), "{said}");
    }
    let output = site.run(&["infer", "--backend", "erp", "--table", "a b"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("--table: "));
}

/// A site whose backend is a SQLite file, read through its ODBC driver.
fn legacy(sql: &str) -> Site {
    let site = site("[backends.old.odbc]\nconnection = \"Driver=SQLite3;Database=legacy.sqlite\"\n");
    let database = rusqlite::Connection::open(site.path("legacy.sqlite")).unwrap();
    database.execute_batch(sql).unwrap();
    site
}

const ITEMS: &str = "create table ITEMS (ITEM_NO char(6) not null primary key, NAME varchar(40) not null,
    PRICE decimal(9,2), ACTIVE char(1), ADDED integer, LAST_CHANGED datetime not null);
    create index ITEMS_BY_NAME on ITEMS (NAME);
    with recursive n (i) as (select 1 union all select i + 1 from n where i < 60)
    insert into ITEMS select printf('%06d', i), 'Item ' || i, i + 0.5, iif(i % 3, 'Y', 'N'),
        20261101 + i % 28, iif(i % 5, '2026-11-28 10:00:00', '1899-12-30 00:00:00') from n;";

#[test]
fn a_database_is_diagnosed_step_by_step() {
    let site = legacy(ITEMS);
    let (steps, code) = diagnosed(&site, "old");
    let names: Vec<_> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert!(["driver", "connect", "login", "rights", "version"].iter().all(|step| names.contains(step)), "{steps:?}");
    assert!(steps.iter().all(|step| step["ok"] == true), "{steps:?}");
    assert_eq!(code, 0);
    std::fs::remove_file(site.path("legacy.sqlite")).unwrap();
    wrong(&site, "old", "connect", "legacy.sqlite cannot be read");
    let unknown = self::site("[backends.old.odbc]\nconnection = \"Driver=No Such Driver;Database=x\"\n");
    wrong(&unknown, "old", "driver", "no driver `No Such Driver` is installed");
}

#[test]
fn a_table_is_shown_with_the_ways_to_keep_up_with_it() {
    let site = legacy(ITEMS);
    let (tables, code) = site.json(&["inspect", "--backend", "old"]);
    assert_eq!((tables[0]["tables"].clone(), code), (serde_json::json!(["ITEMS"]), 0));
    let (shown, code) = site.json(&["inspect", "--backend", "old", "--table", "ITEMS"]);
    let shown = &shown[0];
    assert_eq!((shown["key"].clone(), code), (serde_json::json!(["ITEM_NO"]), 0), "{shown}");
    let columns: Vec<_> =
        shown["columns"].as_array().unwrap().iter().map(|column| column["type"].as_str().unwrap()).collect();
    assert_eq!(columns, ["text", "text", "decimal(9,2)", "text", "integer", "datetime"], "{shown}");
    let ways = shown["modes"].as_array().unwrap();
    let possible: Vec<_> =
        ways.iter().filter(|way| way["possible"] == true).map(|way| way["name"].as_str().unwrap()).collect();
    assert_eq!(possible, ["timestamp", "snapshot"], "{shown}");
    let text = String::from_utf8(site.run(&["inspect", "--backend", "old", "--table", "ITEMS"]).stdout).unwrap();
    assert!(text.starts_with("table ITEMS") && text.contains("ITEMS_BY_NAME"), "{text}");
    let missing = site.run(&["inspect", "--backend", "old", "--table", "ITMES"]);
    assert_ne!(missing.status.code(), Some(0));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("ITMES"));
}

#[test]
fn what_is_proposed_for_a_table_is_a_mapping_that_reads_it() {
    let site = legacy(ITEMS);
    let output = site.run(&["infer", "--backend", "old", "--table", "ITEMS"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "key      = [\"item_no\"]",
        "active       = { from = \"ACTIVE\", type = \"boolean\", true_if = [\"Y\"], false_if = [\"N\"] }",
        "added        = { from = \"ADDED\", type = \"date\", format = \"%Y%m%d\" }",
        "# 1899-12-30 comes 12 times: no date, as FoxPro and Access write it",
        "price        = { from = \"PRICE\", type = \"decimal(9,2)\" }",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
    site.write("mappings/items.v1.toml", text.as_bytes());
    let check = site.run(&["check", "--offline"]);
    assert_eq!(check.status.code(), Some(0), "{}\n{text}", String::from_utf8_lossy(&check.stderr));
    let (lines, code) = site.json(&["sync", "items"]);
    assert_eq!((lines[0]["staged"].clone(), lines[0]["dead"].clone(), code), (60.into(), 0.into(), 0), "{lines:?}");
}
