//! Versions of a resource: from one reading, judged at the start, told to operators.

use serde_json::{Value, json};

use crate::site::Site;

fn mapping(version: u32, price: &str, serve: &str) -> String {
    format!(
        "resource = \"articles\"\nversion = {version}\nkey = [\"sku\"]\n[source]\nbackend = \"erp\"\n\
         [source.csv]\nfiles = \"*.csv\"\n[fields]\nsku = {{ from = \"SKU\" }}\n{price}\n[serve]\n{serve}\n"
    )
}

const PRICE_1: &str = "price = { from = \"PRICE\", type = \"decimal(9,2)\" }";
const PRICE_2: &str =
    "cost = { object = { amount = { from = \"PRICE\", type = \"decimal(9,2)\" } } }\nnote = { from = \"NOTE\" }";

fn documents(site: &Site, resource: &str, keys: &[&str]) -> Vec<Value> {
    let document = |key: &&str| site.json(&["trace", resource, key]).0[0]["document"].clone();
    keys.iter().map(document).collect()
}

#[test]
fn a_new_version_is_filled_from_landing_and_both_go_on_from_one_reading() {
    let site = Site::with_mappings(&[("articles.v1.toml", &mapping(1, PRICE_1, ""))]);
    site.deliver("1.csv", b"SKU,PRICE,NOTE\nA,1.00,old\nB,2.00,\n");
    site.deliver("2.csv", b"SKU,PRICE,NOTE\nA,1.50,new\nC,x,bad\n");
    let (runs, _) = site.json(&["sync", "articles.v1"]);
    assert_eq!((&runs[0]["staged"], &runs[0]["dead"]), (&json!(3), &json!(1)), "{runs:?}");
    assert_eq!((site.listing("inbox").len(), site.listing("archive").len()), (0, 2));

    // Nothing is left at the backend, and nothing is asked of it.
    std::fs::remove_dir_all(site.path("archive")).unwrap();
    site.write("mappings/articles.v2.toml", mapping(2, PRICE_2, "").as_bytes());
    let (runs, _) = site.json(&["sync", "articles.v2"]);
    assert_eq!(
        (&runs[0]["resource"], &runs[0]["staged"], &runs[0]["dead"]),
        (&"articles.v2".into(), &json!(3), &json!(1))
    );
    let expected = |amount: &str, note: Value| json!({ "cost": { "amount": serde_json::from_str::<Value>(amount).unwrap() }, "note": note });
    for (found, (amount, note)) in
        documents(&site, "articles.v2", &["A", "B"]).iter().zip([("1.50", json!("new")), ("2.00", json!(""))])
    {
        let expected = expected(amount, note);
        assert_eq!((&found["cost"], &found["note"]), (&expected["cost"], &expected["note"]), "{found}");
    }
    let (again, _) = site.json(&["sync", "articles.v2"]);
    assert_eq!(again[0]["read"], json!(0), "{again:?}");

    // A file that comes now is fetched once, landed once, and is in both.
    let landed = || walk(&site.path("var/landing"));
    let before = landed();
    site.deliver("3.csv", b"SKU,PRICE,NOTE\nD,4.00,x\n");
    let (runs, _) = site.json(&["sync", "articles.v1"]);
    assert_eq!((runs.len(), &runs[0]["staged"]), (1, &json!(1)), "{runs:?}");
    assert_eq!(documents(&site, "articles.v2", &["D"])[0]["cost"]["amount"], json!(4.00));
    assert_eq!((landed() - before, site.listing("inbox").len()), (1, 0));

    // When the old version is gone the new one fetches, and knows what both had.
    std::fs::remove_file(site.path("mappings/articles.v1.toml")).unwrap();
    site.deliver("4.csv", b"SKU,PRICE,NOTE\nD,5.00,x\n");
    let (runs, _) = site.json(&["sync", "articles.v2"]);
    assert_eq!((&runs[0]["read"], &runs[0]["staged"]), (&json!(1), &json!(1)), "{runs:?}");
    assert_eq!(documents(&site, "articles.v2", &["D"])[0]["cost"]["amount"], json!(5.00));
}

/// How many files lie below a folder that are blobs by their names.
fn walk(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let count = |entry: std::fs::DirEntry| match entry.path().is_dir() {
        true => walk(&entry.path()),
        false => usize::from(entry.file_name().len() >= 40),
    };
    entries.map(|entry| count(entry.unwrap())).sum()
}

#[test]
fn what_a_mapping_says_of_its_end_is_judged() {
    let faults = |serve: &str| {
        let site = Site::with_mappings(&[
            ("articles.v1.toml", &mapping(1, PRICE_1, serve)),
            ("articles.v2.toml", &mapping(2, PRICE_2, "")),
        ]);
        let output = site.run(&["check", "--offline"]);
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap(),
        )
    };
    let sound =
        "deprecated = \"2026-12-01\"\nsunset = 2027-06-01T12:00:00Z\nsuccessor = 2\nnotice = \"https://example.com/x\"";
    assert_eq!(faults(sound).0, 0, "{}", faults(sound).1);
    for (serve, part) in [
        ("sunset = \"2026-12-01\"\ndeprecated = \"2027-06-01\"", "before `deprecated`"),
        ("deprecated = \"soon\"", "a day like"),
        ("deprecated = \"2026-12-01\"\nsuccessor = 3", "no other mapping of that version"),
        ("deprecated = \"2026-12-01\"\nsuccessor = 1", "no other mapping of that version"),
        ("notice = \"example.com\"", "expected a URL"),
    ] {
        let (code, said) = faults(serve);
        assert!(code == 2 && said.contains(part), "{serve}: {code} {said}");
    }
}

#[test]
fn operators_see_who_must_move() {
    let serve = "deprecated = \"2026-01-01\"\nsuccessor = 2";
    let site = Site::with_mappings(&[
        ("articles.v1.toml", &mapping(1, PRICE_1, serve)),
        ("articles.v2.toml", &mapping(2, PRICE_2, "")),
    ]);
    site.deliver("1.csv", b"SKU,PRICE,NOTE\nA,1.00,old\n");
    site.json(&["sync", "--all"]);
    let (made, _) = site.json(&["keys", "create", "webshop", "--scope", "read"]);
    let key = made[0]["key"].as_str().unwrap();
    let service = site.serve();
    service.until(|| service.get("/v1/articles/A", key).ok());
    let (status, told) = service.admin("GET", "/admin/v1/versions");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (status, &told["data"][0]["resource"], &told["data"][0]["client"]),
        (200, &"articles.v1".into(), &"webshop".into())
    );
    assert!(told["data"][0]["requests"].as_u64().unwrap() >= 1 && told["data"][0]["last_at"].is_string());
    let (_, page) = service.admin("GET", "/");
    assert!(page.contains("Deprecated versions in use") && page.contains("webshop"), "{page}");
}

#[test]
fn a_relation_to_a_version_that_ends_is_told_by_check() {
    let before = "[serve.relations.before]\nresource = \"articles.v1\"\nkey = \"sku\"";
    let doubts = |first: &str, second: &str| {
        let site = Site::with_mappings(&[
            ("articles.v1.toml", &mapping(1, PRICE_1, first)),
            ("articles.v2.toml", &mapping(2, PRICE_2, &format!("{second}\n{before}"))),
        ]);
        let (lines, code) = site.json(&["check"]);
        assert_eq!(code, 0, "{lines:?}");
        lines[0]["doubts"].to_string()
    };
    let ends = doubts("deprecated = \"2026-01-01\"\nsunset = \"2099-01-01\"\nsuccessor = 2", "");
    for part in [
        "articles.v2: `serve.relations.before` leads to articles.v1",
        "comes to its end at 2099-01-01T00:00:00Z: from then on `include=before` is a 410",
        "its place is taken by articles.v2",
    ] {
        assert!(ends.contains(part), "{part}: {ends}");
    }
    let old = doubts("deprecated = \"2026-01-01\"", "");
    assert!(old.contains("is deprecated since 2026-01-01T00:00:00Z"), "{old}");
    for (first, second) in [("", ""), ("sunset = \"2099-01-01\"", "sunset = \"2098-01-01\"")] {
        assert!(!doubts(first, second).contains("relations"));
    }
}
