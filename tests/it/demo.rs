//! The demo, end to end: what is broken is found, and what is sound is served to the byte.
//!
//! `fixtures/demo/generate.py` wrote data, broken records and expected documents without knowing the mappings;
//! here the program itself reads a copy of the demo as `make run` lays it out.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::site::Site;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo")
}

/// One file of the demo with what is wrong in it.
struct Summary(Value);

impl Summary {
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(fixtures().join("data").join(self.text("file"))).unwrap()
    }

    fn broken(&self) -> &[Value] {
        self.0["broken"].as_array().unwrap()
    }
}

fn summaries() -> Vec<Summary> {
    let listing = std::fs::read(fixtures().join("broken.json")).unwrap();
    serde_json::from_slice::<Vec<Value>>(&listing).unwrap().into_iter().map(Summary).collect()
}

/// Lines of `expected.ndjson`: resource, key, and the document as text.
fn expected() -> Vec<(String, String, String)> {
    let text = std::fs::read_to_string(fixtures().join("expected.ndjson")).unwrap();
    let split = |line: &str| {
        let head: Value = serde_json::from_str(line).unwrap();
        let document = line.split_once("\"document\":").unwrap().1.strip_suffix('}').unwrap();
        (head["resource"].as_str().unwrap().into(), head["key"].as_str().unwrap().into(), document.to_owned())
    };
    text.lines().map(split).collect()
}

#[allow(dead_code, reason = "its `main` is `make run`'s")]
#[path = "../../examples/fragile_erp.rs"]
mod fragile_erp;

/// The demo with its old order system running, at another port than `make run` has it.
pub(crate) fn demo_with_orders() -> Site {
    let demo = demo();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the tests.
    std::thread::spawn(move || fragile_erp::run(&listener));
    let config = std::fs::read_to_string(demo.path("tollbridge.toml")).unwrap();
    demo.write("tollbridge.toml", config.replace("127.0.0.1:9000", &address.to_string()).as_bytes());
    demo
}

#[test]
fn an_order_of_the_old_system_is_read_and_entered() {
    let demo = demo_with_orders();
    let service = demo.serve();
    // The key that `make run` prints.
    let key =
        service.until(|| std::fs::read_to_string(demo.path("var/demo.key")).ok().filter(|key| key.ends_with('\n')));
    let key = key.trim().to_owned();
    service.until(|| service.get("/health/ready", &key).ok());
    let order: Value = serde_json::from_str(&service.get("/v1/web-orders/4701", &key).unwrap()).unwrap();
    let expected = json!({"order_no": "4701", "reference": "WEB-0001", "customer": "Customer 1 & Sons", "amount": 117.07, "status": "open"});
    assert_eq!(order, expected);
    assert_eq!(service.get("/v1/web-orders/9", &key), Err(404));
    let (bearer, body) = (format!("Bearer {key}"), br#"{"customer":"Frey & Co","amount":12.50}"#);
    let fields =
        [("Authorization", bearer.as_str()), ("Content-Type", "application/json"), ("Idempotency-Key", "WEB-9001")];
    let address = service.address().parse().unwrap();
    let post = || {
        let answer = crate::facade::client::exchange(
            address,
            &crate::facade::client::request("POST", "/v1/web-orders", &fields, body),
        );
        let answer = answer.unwrap();
        (answer.status, answer.json())
    };
    let (status, entered) = post();
    assert_eq!((status, &entered["order_no"]), (201, &json!("4713")), "{entered}");
    assert_eq!(post(), (201, entered));
    // The gate keeps the old system whole: of twenty at once it sees four, and never locks up.
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..20)
            .map(|number| {
                let (service, key) = (&service, &key);
                scope.spawn(move || service.get(&format!("/v1/web-orders/{}", 4701 + number % 12), key).is_ok())
            })
            .collect();
        assert!(asked.into_iter().all(|asked| asked.join().unwrap()));
    });
    assert!(began.elapsed() < std::time::Duration::from_secs(4), "it was locked: {:?}", began.elapsed());
}

/// A copy of the demo, as `make run` lays it out.
fn demo() -> Site {
    let demo = Site::new();
    demo.copy(&fixtures().join("tollbridge.toml"), "tollbridge.toml");
    demo.copy(&fixtures().join("mappings"), "mappings");
    demo.copy(&fixtures().join("erp.wsdl"), "erp.wsdl");
    demo.copy(&fixtures().join("data"), "var/inbox");
    demo.copy(&fixtures().join("database"), "var");
    demo
}

#[test]
fn the_data_is_what_its_generator_writes() {
    let generator = fixtures().join("generate.py");
    let checked = Command::new("python3").arg(generator).arg("--check").output();
    let checked = checked.expect("python3 is needed: `scripts/setup test` installs it");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn every_file_has_records_enough_and_some_broken_ones() {
    for summary in summaries() {
        assert!(summary.0["staged"].as_u64().unwrap() >= 2000, "{}", summary.text("resource"));
        assert!(summary.broken().len() >= 6, "{}", summary.text("resource"));
        let mapping = fixtures().join(format!("mappings/{}.toml", summary.text("resource")));
        assert!(mapping.is_file(), "{}", mapping.display());
    }
}

#[test]
fn the_configuration_and_its_mappings_are_sound() {
    let (report, exit) = demo_with_orders().json(&["check"]);
    // The driver of SQLite gives cause for a doubt, whatever is asked of it.
    let doubts = report[0]["doubts"].as_array().unwrap();
    assert!(doubts.iter().all(|doubt| doubt.as_str().unwrap().contains("the driver of SQLite")), "{report:?}");
    assert_eq!((doubts.len(), exit, &report[0]["faults"]), (1, 0, &json!([])), "{report:?}");
    assert!(report[0]["backends"].as_array().unwrap().iter().all(|backend| backend["reachable"] == true), "{report:?}");
    assert_eq!(report[0]["resources"], json!(["customers.v1", "orders.v1", "prices.v1", "stock.v1", "web-orders.v1"]));
}

#[test]
fn documents_come_out_to_the_byte() {
    let demo = demo();
    for summary in summaries() {
        let (resource, file) = (summary.text("resource"), fixtures().join("data").join(summary.text("file")));
        let shown = demo.run(&["preview", resource, &file.display().to_string()]);
        assert_eq!(shown.status.code(), Some(1), "{}", String::from_utf8_lossy(&shown.stderr));
        let documents = String::from_utf8(shown.stdout).unwrap();
        assert_eq!(documents.lines().count() as u64, summary.0["staged"].as_u64().unwrap(), "{resource}");
        let documents: HashSet<&str> = documents.lines().collect();
        for (_, key, document) in expected().iter().filter(|(of, ..)| of == resource) {
            assert!(documents.contains(document.as_str()), "{resource} {key}: {document}");
        }
    }
}

#[test]
fn every_broken_record_is_found() {
    let demo = demo();
    let (runs, exit) = demo.json(&["sync", "--all"]);
    assert_eq!(exit, 1, "{runs:?}");
    let runs: BTreeMap<&str, &Value> = runs.iter().map(|run| (run["resource"].as_str().unwrap(), run)).collect();
    for summary in summaries() {
        let run = runs[summary.text("resource")];
        assert_eq!(run["state"], "succeeded", "{run}");
        assert_eq!((&run["unchanged"], &run["files"]), (&json!(0), &json!(1)), "{run}");
        for count in ["read", "staged", "dead", "skipped"] {
            assert_eq!(run[count], summary.0[count], "{count} of {run}");
        }
        every_broken_record_of(&demo, &summary);
    }

    let prices: Value = serde_json::from_slice(&std::fs::read(fixtures().join("broken_rows.json")).unwrap()).unwrap();
    let run = runs[prices["resource"].as_str().unwrap()];
    assert_eq!((&run["read"], &run["dead"], &run["state"]), (&prices["read"], &prices["dead"], &json!("succeeded")));
    let (letters, _) = demo.json(&["dead-letters", "list", "--resource", "prices.v1"]);
    let what = |found: &Value| ["key", "field", "code"].map(|name| found[name].as_str().unwrap().to_owned());
    let mut found: Vec<_> = letters.iter().map(what).collect();
    let mut expected: Vec<_> = prices["broken"].as_array().unwrap().iter().map(what).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    // The files are known now, and have left the inbox. Of the table the last rows are looked at once more.
    let (again, exit) = demo.json(&["sync", "--all"]);
    assert_eq!(exit, 0, "{again:?}");
    assert!(again.iter().all(|run| run["read"] == 0 || run["resource"] == "prices.v1"), "{again:?}");
    assert!(again.iter().all(|run| run["staged"] == 0), "{again:?}");
    assert_eq!(std::fs::read_dir(demo.path("var/inbox")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(demo.path("var/archive")).unwrap().count(), 3);
}

fn every_broken_record_of(demo: &Site, summary: &Summary) {
    let resource = summary.text("resource");
    let (letters, _) = demo.json(&["dead-letters", "list", "--resource", resource]);
    let by_record: BTreeMap<u64, &Value> =
        letters.iter().map(|found| (found["record"].as_u64().unwrap(), found)).collect();
    let bytes = summary.bytes();
    for broken in summary.broken() {
        let what = format!("{resource}: {broken}");
        let found = by_record.get(&broken["record"].as_u64().unwrap()).unwrap_or_else(|| panic!("{what}: {letters:?}"));
        for name in ["record", "line", "offset", "length", "key", "field", "code"] {
            assert_eq!(found[name], broken[name], "{name} of {what}, found {found}");
        }
        if broken.get("field_offset").is_some() {
            assert_eq!(
                (&found["field_offset"], &found["field_length"]),
                (&broken["field_offset"], &broken["field_length"]),
                "{what}"
            );
        }

        let id = found["id"].to_string();
        let (shown, _) = demo.json(&["dead-letters", "show", &id]);
        let (start, length) =
            (broken["offset"].as_u64().unwrap() as usize, broken["length"].as_u64().unwrap() as usize);
        let raw: String = bytes[start..start + length].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(shown[0]["raw"], json!(raw), "{what}");

        // By its key where that could be read, and by its place in any case.
        let place = format!("record:{}", broken["record"]);
        for key in broken["key"].as_str().into_iter().chain([place.as_str()]) {
            let (trace, exit) = demo.json(&["trace", resource, key]);
            assert_eq!(exit, 0, "{what}");
            assert_eq!(trace[0]["dead_letters"][0]["id"], found["id"], "{what}");
            assert_eq!(trace[0]["document"], Value::Null, "{what}");
        }
    }
    assert_eq!(letters.len(), summary.broken().len(), "{letters:?}");
}

#[test]
fn the_demo_serves_what_its_files_say() {
    let demo = demo();
    let service = demo.serve();
    let key = service.until(|| std::fs::read_to_string(demo.path("var/demo.key")).ok());
    for (resource, id, document) in expected() {
        let path = format!("/v1/{}/{id}", resource.strip_suffix(".v1").unwrap());
        // The first sync goes on while the service answers already.
        let found = service.until(|| service.get(&path, &key).ok());
        assert_eq!(found, document, "{path}");
    }
    for summary in summaries() {
        let name = summary.text("resource").strip_suffix(".v1").unwrap();
        for id in summary.broken().iter().filter_map(|broken| broken["key"].as_str()) {
            assert_eq!(service.get(&format!("/v1/{name}/{id}"), &key), Err(404), "{name} {id} is broken");
        }
    }
}
