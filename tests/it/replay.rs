//! The way back from dead letters, and from interruptions: nothing lost, and never an older record over a newer one.

use serde_json::{Value, json};

use crate::site::Site;

const MAPPING: &str = r#"
resource = "items"
version = 1
key = ["id"]
[source]
backend = "erp"
[source.csv]
files = "items*.csv"
delimiter = ";"
[fields]
id = { from = "ID" }
price = { from = "PRICE", type = "decimal(9,2)", max = 100 }
"#;

fn mended() -> String {
    MAPPING.replace("max = 100", "max = 1000")
}

fn site(mapping: &str) -> Site {
    Site::with_mappings(&[("items.v1.toml", mapping)])
}

fn sync(site: &Site, name: &str, rows: &str) -> Value {
    site.deliver(name, format!("ID;PRICE\n{rows}").as_bytes());
    let (summary, code) = site.json(&["sync", "items"]);
    assert!(code <= 1, "{summary:?}");
    summary[0].clone()
}

fn price(site: &Site, key: &str) -> Value {
    let (trace, code) = site.json(&["trace", "items", key]);
    if code == 0 { trace[0]["document"]["price"].clone() } else { Value::Null }
}

/// The numbers of the open letters, oldest first.
fn open(site: &Site) -> Vec<String> {
    let (letters, _) = site.json(&["dead-letters", "list"]);
    let mut ids: Vec<i64> = letters.iter().map(|letter| letter["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids.iter().map(ToString::to_string).collect()
}

fn replay(site: &Site, id: &str) -> (bool, String) {
    let output = site.run(&["dead-letters", "replay", id]);
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_record_goes_back_unless_what_is_staged_is_newer() {
    // A later line of the same file, also one that changes nothing.
    for rows in ["1;10\n1;200\n1;30\n", "1;30\n1;200\n1;30\n"] {
        let site = site(MAPPING);
        sync(&site, "items1.csv", rows);
        site.write("mappings/items.v1.toml", mended().as_bytes());
        let (done, said) = replay(&site, &open(&site)[0]);
        assert!(!done && said.contains("is older than what is staged"), "{rows}: {said}");
        assert_eq!(price(&site, "1"), json!(30.0), "{rows}");
    }
    // A later file that changes nothing.
    let site = site(MAPPING);
    sync(&site, "items1.csv", "1;10\n");
    sync(&site, "items2.csv", "1;200\n");
    sync(&site, "items3.csv", "1;10\n2;20\n");
    site.write("mappings/items.v1.toml", mended().as_bytes());
    let (done, said) = replay(&site, &open(&site)[0]);
    assert!(!done && said.contains("from items3.csv once more, unchanged"), "{said}");
    assert_eq!(price(&site, "1"), json!(10.0));
}

#[test]
fn the_newest_of_several_goes_back_although_an_older_one_went_before_it() {
    let site = site(MAPPING);
    sync(&site, "items1.csv", "1;200\n");
    sync(&site, "items2.csv", "1;300\n");
    site.write("mappings/items.v1.toml", mended().as_bytes());
    let letters = open(&site);
    assert_eq!((replay(&site, &letters[0]).0, price(&site, "1")), (true, json!(200.0)));
    let (done, said) = replay(&site, &letters[1]);
    assert!(done, "{said}");
    assert_eq!(price(&site, "1"), json!(300.0));
}

#[test]
fn a_refused_file_goes_back_as_a_whole_unless_another_came_since() {
    let whole = MAPPING.replace("backend = \"erp\"", "backend = \"erp\"\non_reject = \"file\"");
    let site = site(&whole);
    sync(&site, "items1.csv", "1;10\n2;200\n");
    assert_eq!(price(&site, "1"), Value::Null);
    let letters = open(&site);
    assert_eq!(letters.len(), 2);
    site.write("mappings/items.v1.toml", whole.replace("max = 100", "max = 1000").as_bytes());
    let is_whole = |id: &String| site.json(&["dead-letters", "show", id]).0[0]["record"] == 0;
    let (file, record): (Vec<_>, Vec<_>) = letters.iter().partition(|id| is_whole(id));
    let (done, said) = replay(&site, record[0]);
    assert!(!done && said.contains("replay the dead letter of the file itself"), "{said}");
    let (done, said) = replay(&site, file[0]);
    assert!(done, "{said}");
    assert_eq!((price(&site, "1"), price(&site, "2")), (json!(10.0), json!(200.0)));
    assert_eq!(open(&site), Vec::<String>::new());

    sync(&site, "items3.csv", "1;5000\n");
    sync(&site, "items4.csv", "1;20\n");
    site.write("mappings/items.v1.toml", whole.replace("max = 100", "max = 9000").as_bytes());
    let letters = open(&site);
    let file = letters.iter().find(|id| is_whole(id)).unwrap();
    let (done, said) = replay(&site, file);
    assert!(!done && said.contains("is older than items4.csv"), "{said}");
    assert_eq!(price(&site, "1"), json!(20.0));
}

#[test]
fn every_bad_record_of_a_refused_file_is_a_dead_letter_however_many() {
    let whole = MAPPING.replace("backend = \"erp\"", "backend = \"erp\"\non_reject = \"file\"");
    let site = site(&whole);
    let rows: String = (0..12_000).map(|n| format!("{n};{}\n", if n % 6 == 0 { 10 } else { 200 })).collect();
    let summary = sync(&site, "items1.csv", &rows);
    assert_eq!(
        (&summary["read"], &summary["dead"], &summary["skipped"]),
        (&json!(12_000), &json!(10_000), &json!(2000))
    );
    let more: String = (0..26_000).map(|n| format!("{n};200\n")).collect();
    let summary = sync(&site, "items2.csv", &more);
    assert_eq!((&summary["read"], &summary["dead"], &summary["skipped"]), (&json!(26_000), &json!(26_000), &json!(0)));
    let (letters, _) = site.json(&["dead-letters", "list", "--limit", "50000"]);
    assert_eq!(letters.len(), 10_000 + 26_000 + 2);
}

#[test]
fn a_file_that_was_begun_is_read_to_its_end_although_another_has_taken_its_place() {
    let site = site(MAPPING);
    let rows: String = (0..300_000).map(|n| format!("{n};10\n")).collect();
    site.deliver("items1.csv", format!("ID;PRICE\n{rows}").as_bytes());
    let mut child = site.command(&["sync", "items"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let ledger = || {
        let path = site.path("var/staging.db");
        let database = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        database.query_row("SELECT next_records FROM file", [], |row| row.get::<_, i64>(0)).ok()
    };
    while ledger().unwrap_or(0) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ledger().unwrap() < 300_000, "it was killed too late to show anything");
    let summary = sync(&site, "items1.csv", "0;99\n");
    assert_eq!(summary["dead"], json!(0));
    assert_eq!(price(&site, "299999"), json!(10.0));
    assert_eq!(price(&site, "0"), json!(99.0), "the newer file comes last");
    let (again, _) = site.json(&["sync", "items"]);
    assert_eq!(again[0]["state"], "idle");
}

#[test]
fn a_finished_file_that_stays_is_not_read_again_when_its_rights_change() {
    use std::os::unix::fs::PermissionsExt;
    let site = site(MAPPING);
    let config = std::fs::read_to_string(site.path("tollbridge.toml")).unwrap();
    // Nowhere to move to.
    site.write("taken", b"");
    let config = config.replace("stable_for", "archive = \"taken/archive\"\nstable_for");
    site.write("tollbridge.toml", config.as_bytes());
    sync(&site, "items1.csv", "1;10\n");
    let newer = sync(&site, "items2.csv", "1;20\n");
    assert_eq!((&newer["staged"], site.listing("inbox").len()), (&json!(1), 2));
    let file = site.path("inbox/items1.csv");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (again, _) = site.json(&["sync", "items"]);
    assert_eq!(again[0]["state"], "idle");
    assert_eq!(price(&site, "1"), json!(20.0));
}

#[test]
fn one_inbox_has_one_backend_however_it_is_written() {
    let site = site(MAPPING);
    let config = "[backends.erp.files]\ninbox = \"inbox\"\n[backends.shop.files]\ninbox = \"inbox/../inbox\"\n";
    site.write("tollbridge.toml", config.as_bytes());
    let output = site.run(&["check", "--offline"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("has the same folder"), "{said}");
}

/// What is delivered anew is as new as its delivery, also when the same bad record was there long before.
#[test]
fn a_bad_record_that_comes_again_goes_over_what_came_between() {
    let site = site(MAPPING);
    let config = std::fs::read_to_string(site.path("tollbridge.toml")).unwrap();
    site.write("tollbridge.toml", config.replace("stable_for", "duplicates = \"read\"\nstable_for").as_bytes());
    sync(&site, "items1.csv", "1;200\n");
    let before = site.json(&["dead-letters", "show", &open(&site)[0]]).0[0]["created_at"].clone();
    sync(&site, "items2.csv", "1;10\n");
    assert_eq!(price(&site, "1"), json!(10.0));
    sync(&site, "items3.csv", "1;200\n");
    let letters = open(&site);
    assert_eq!(letters.len(), 1, "it is one letter");
    let letter = site.json(&["dead-letters", "show", &letters[0]]).0[0].clone();
    assert!(letter["created_at"].as_str().unwrap() > before.as_str().unwrap(), "{letter} {before}");
    site.write("mappings/items.v1.toml", mended().as_bytes());
    let (done, said) = replay(&site, &letters[0]);
    assert!(done, "{said}");
    assert_eq!(price(&site, "1"), json!(200.0));
}
