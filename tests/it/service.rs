//! The running service: new files, reload, shutdown.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use crate::site::Site;

const MAPPING: &str = r#"
resource = "items"
version = 1
key = ["id"]
[source]
backend = "erp"
schedule = "watch"
[source.csv]
files = "items*.csv"
delimiter = ";"
[fields]
id = { from = "ID" }
price = { from = "PRICE", type = "decimal(9,2)", decimal_point = "," }
"#;

fn site() -> (Site, String) {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let (made, code) = site.json(&["keys", "create", "test", "--scope", "read"]);
    assert_eq!(code, 0);
    let key = made[0]["key"].as_str().unwrap().to_owned();
    (site, key)
}

#[test]
fn a_delivered_file_appears_and_a_later_one_changes_it() {
    let (site, key) = site();
    site.deliver("items1.csv", b"ID;PRICE\nA;1,50\nB;2,00\n");
    let service = site.serve();
    let first = service.until(|| service.get("/v1/items/A", &key).ok());
    assert_eq!(first, r#"{"id":"A","price":1.50}"#);
    site.deliver("items2.csv", b"ID;PRICE\nA;1,75\nB;2,00\nC;x\n");
    service.until(|| service.get("/v1/items/A", &key).ok().filter(|body| body.contains("1.75")));
    service.until(|| (site.listing("archive").len() == 2).then_some(()));

    // The old content delivered again is news, although the ledger knows it.
    site.deliver("items1.csv", b"ID;PRICE\nA;1,50\nB;2,00\n");
    service.until(|| service.get("/v1/items/A", &key).ok().filter(|body| body.contains("1.50")));
    service.until(|| (site.listing("archive").len() == 3).then_some(()));

    // A run is closed after its file has moved.
    let runs = service.until(|| {
        let (status, runs) = service.admin("GET", "/admin/v1/runs");
        assert_eq!(status, 200);
        let runs: Value = serde_json::from_str(&runs).unwrap();
        let runs = runs["data"].as_array().unwrap().clone();
        runs.iter().all(|run| run["state"] != "running").then_some(runs)
    });
    assert_eq!(runs.len(), 3, "{runs:?}");
    assert!(runs.iter().all(|run| run["balanced"] == true && run["state"] == "succeeded"), "{runs:?}");
    assert_eq!((&runs[1]["staged"], &runs[1]["unchanged"], &runs[1]["dead"]), (&1.into(), &1.into(), &1.into()));

    let (status, metrics) = service.admin("GET", "/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("tollbridge_records_total{resource=\"items.v1\",outcome=\"dead\"} 1"), "{metrics}");
    assert!(metrics.contains("tollbridge_breaker_state{backend=\"erp\"} 0"), "{metrics}");
    let (trace, code) = site.json(&["trace", "items", "A"]);
    assert_eq!((code, trace[0]["versions"].as_array().unwrap().len()), (0, 3), "{trace:?}");
}

#[test]
fn a_mended_mapping_brings_a_dead_letter_back() {
    let (site, key) = site();
    site.deliver("items1.csv", b"ID;PRICE\nA;1,505\n");
    let service = site.serve();
    let letter = service.until(|| {
        let (letters, _) = site.json(&["dead-letters", "list"]);
        letters.first().cloned()
    });
    let id = letter["id"].to_string();
    let again = site.run(&["dead-letters", "replay", &id]);
    assert_eq!(again.status.code(), Some(1), "{}", String::from_utf8_lossy(&again.stderr));

    site.write("mappings/items.v1.toml", MAPPING.replace("decimal(9,2)", "decimal(9,3)").as_bytes());
    service.signal("HUP");
    let (status, _) = service.until(|| {
        let answer = service.admin("POST", &format!("/admin/v1/dead-letters/{id}/replay"));
        let settled = service.get("/v1/items/A", &key).is_ok();
        settled.then_some(answer)
    });
    assert_eq!(status, 200);
    assert_eq!(service.get("/v1/items/A", &key).as_deref(), Ok(r#"{"id":"A","price":1.505}"#));
    let (letters, _) = site.json(&["dead-letters", "list", "--all"]);
    assert_eq!(letters[0]["state"], "replayed");
    assert_eq!(site.run(&["dead-letters", "discard", &id]).status.code(), Some(1));
}

#[test]
fn a_reload_drops_no_request_and_faults_change_nothing() {
    let (site, key) = site();
    site.deliver("items1.csv", b"ID;PRICE\nA;1,50\n");
    let service = site.serve();
    service.until(|| service.get("/v1/items/A", &key).ok());

    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failed = std::thread::scope(|scope| {
        let asking = (service.address(), key.clone());
        let (stop, asked) = (&stop, &asked);
        let caller = scope.spawn(move || {
            let mut failed = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let answer = crate::site::get(&asking.0, "/v1/items/A", &asking.1);
                failed.extend(answer.err());
                asked.fetch_add(1, Ordering::Relaxed);
            }
            failed
        });
        for round in 2..6 {
            let next = MAPPING.replace("version = 1", &format!("version = {round}"));
            site.write(&format!("mappings/items.v{round}.toml"), next.as_bytes());
            service.signal("HUP");
            service.until(|| service.get(&format!("/v{round}/items"), &key).ok());
        }
        // Broken: refused with its faults, and the old stays.
        site.write("mappings/items.v9.toml", MAPPING.replace("from = \"ID\"", "form = \"ID\"").as_bytes());
        service.signal("HUP");
        let (status, faults) = service.admin("POST", "/admin/v1/reload");
        assert!((400..500).contains(&status), "{status}: {faults}");
        assert!(faults.contains("did you mean `from`?"), "{faults}");
        assert!(service.get("/v5/items", &key).is_ok());
        stop.store(true, Ordering::Relaxed);
        caller.join().unwrap()
    });
    assert_eq!(failed, Vec::<u16>::new());
    assert!(asked.load(Ordering::Relaxed) > 5);
}

#[test]
fn it_stops_when_told_and_goes_on_when_started_again() {
    let (site, key) = site();
    site.deliver("items1.csv", b"ID;PRICE\nA;1,50\n");
    let service = site.serve();
    service.until(|| service.get("/v1/items/A", &key).ok());
    service.signal("TERM");
    assert_eq!(service.wait(), Some(0));
    site.deliver("items2.csv", b"ID;PRICE\nA;9,99\n");
    let service = site.serve();
    service.until(|| service.get("/v1/items/A", &key).ok().filter(|body| body.contains("9.99")));
}

#[test]
fn a_command_leaves_the_tables_of_a_running_service_alone() {
    let (site, key) = site();
    site.write("mappings/items.v1.toml", format!("{MAPPING}[serve]\nsort = [\"price\"]\n").as_bytes());
    site.deliver("items1.csv", b"ID;PRICE\nA;1,50\nB;2,00\n");
    let service = site.serve();
    service.until(|| service.get("/v1/items/A", &key).ok());
    // The mapping is edited, but not taken over yet.
    site.write("mappings/items.v1.toml", MAPPING.as_bytes());
    for command in [&["preview", "items"][..], &["trace", "items", "A"], &["sync", "items"], &["keys", "list"]] {
        assert_eq!(site.run(command).status.code(), Some(0), "{command:?}");
    }
    assert!(service.get("/v1/items?sort=-price", &key).unwrap().contains("2.00"));
}

#[test]
fn the_start_tells_where_things_are_that_are_served() {
    use std::io::{BufRead, BufReader};
    for (docs, is_told) in [("true", true), ("false", false)] {
        let (site, _) = site();
        let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = site.command(&["serve"]);
        command.env("TOLLBRIDGE__SERVER__DOCS", docs).env("TOLLBRIDGE__SERVER__LISTEN", free());
        command.env("TOLLBRIDGE__SERVER__ADMIN_LISTEN", free());
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        for line in lines {
            said.push(line);
            if said.last().unwrap().contains("console") {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(said.iter().any(|line| line.contains("/v1")), "{said:?}");
        assert_eq!(said.iter().any(|line| line.contains("/docs")), is_told, "{said:?}");
    }
}

/// What is peculiar to a driver is told where somebody asks, and by the service once; not by each command.
#[test]
fn commands_are_about_what_they_are_asked_for() {
    let (site, _) = site();
    let shop = "\n[backends.shop.odbc]\nconnection = \"Driver=SQLite3;Database=var/shop.db\"\n";
    let config = std::fs::read_to_string(site.path("tollbridge.toml")).unwrap();
    site.write("tollbridge.toml", format!("{config}{shop}").as_bytes());
    rusqlite::Connection::open(site.path("var/shop.db")).unwrap().execute_batch("create table t (id int)").unwrap();
    site.deliver("items1.csv", b"ID;PRICE\nA;1,50\n");
    let told = |arguments: &[&str]| {
        let output = site.run(arguments);
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let doubt = "another last digit";
    for quiet in [&["sync", "items.v1"][..], &["dead-letters", "list"], &["trace", "items.v1", "A"]] {
        assert!(!told(quiet).contains(doubt), "{quiet:?}: {}", told(quiet));
    }
    for asked in [&["check"][..], &["doctor", "shop"]] {
        assert!(told(asked).contains(doubt), "{asked:?}: {}", told(asked));
    }
    let service = site.serve_by(&["env"]);
    service.until(|| service.get("/health/live", "").ok());
    let log = std::fs::read_to_string(site.path("log")).unwrap();
    assert_eq!(log.matches(doubt).count(), 1, "{log}");
}
