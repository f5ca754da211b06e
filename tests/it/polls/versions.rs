//! Versions of a resource that poll one service: what they ask in common it is asked once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{all_sent, list, list_text, polled, sent, site_at};
use crate::live::erp::{Erp, Reply};
use crate::site::Site;
use crate::tables::documents_of;

const DAY: &str = "2026-01-01T00:00:00Z";

/// The second version of what is polled so: its field has another name.
fn second(mapping: &str) -> String {
    mapping.replace("version = 1", "version = 2").replace("name = {", "title = {")
}

fn both(erp: &Erp, mapping: &str) -> Site {
    let site = site_at(&erp.url(), "", mapping);
    site.write("mappings/items.v2.toml", second(mapping).as_bytes());
    site
}

fn of(site: &Site, version: u32) -> BTreeMap<String, Value> {
    documents_of(&format!("items.v{version}"), &site.path("var/staging.db"))
}

fn keys(site: &Site, version: u32) -> Vec<u32> {
    let mut keys: Vec<u32> = of(site, version).keys().map(|key| key.parse().unwrap()).collect();
    keys.sort_unstable();
    keys
}

/// How often the service was called for a run of all, and what that came to.
fn run(erp: &Erp, site: &Site) -> (usize, Vec<Value>) {
    let before = erp.count();
    let (said, _) = site.json(&["sync", "--all"]);
    for line in said.iter().filter(|line| line["error"].is_null()) {
        let number = |name: &str| line[name].as_u64().unwrap();
        let sum = number("staged") + number("unchanged") + number("dead") + number("skipped");
        assert_eq!(number("read"), sum, "{line}");
    }
    (erp.count() - before, said)
}

fn numbers(lines: &[Value], name: &str) -> Vec<u64> {
    lines.iter().map(|line| line[name].as_u64().unwrap_or_else(|| panic!("{line}"))).collect()
}

#[test]
fn every_page_is_asked_for_once() {
    let erp = Erp::start(|call| match sent(call, "P").as_deref() {
        Some("1") => list(&[(1, DAY), (2, DAY)], ""),
        Some("2") => list(&[(3, DAY), (4, DAY)], ""),
        _ => list(&[(5, DAY)], ""),
    });
    let site = both(&erp, &polled("<P>{page}</P>", "snapshot = true\nmax_deleted = 30\npage = { size = 2 }"));
    let (calls, lines) = run(&erp, &site);
    assert_eq!((calls, numbers(&lines, "staged")), (3, vec![5, 5]), "{lines:?}");
    assert_eq!(
        (&lines[0]["read_together_with"], &lines[1]["read_together_with"]),
        (&json!(["items.v2"]), &json!(["items.v1"]))
    );
    assert_eq!((of(&site, 1)["3"]["name"].clone(), of(&site, 2)["3"]["title"].clone()), (json!("n3"), json!("n3")));

    // One of them is named, and both have what is new, and what is gone.
    erp.script(|call| match sent(call, "P").as_deref() {
        Some("1") => list(&[(1, DAY), (6, DAY)], ""),
        Some("2") => list(&[(3, DAY), (4, DAY)], ""),
        _ => list(&[(5, DAY)], ""),
    });
    let before = erp.count();
    let (said, _) = site.json(&["sync", "items.v2"]);
    assert_eq!((said.len(), said[0]["deleted"].as_u64(), erp.count() - before), (1, Some(1), 3), "{said:?}");
    assert_eq!((keys(&site, 1), keys(&site, 2)), (vec![1, 3, 4, 5, 6], vec![1, 3, 4, 5, 6]));
    let (trace, _) = site.json(&["trace", "items.v1", "6"]);
    assert!(trace[0].to_string().contains("poll List"), "{trace:?}");
    // Who is named to read everything does it alone.
    let before = erp.count();
    let (said, _) = site.json(&["sync", "items.v1", "--full"]);
    assert_eq!((erp.count() - before, &said[0]["read_together_with"]), (3, &json!([])), "{said:?}");
}

/// What was odd about an answer is in the notes of whoever has staged it; it is counted once.
#[test]
fn what_was_odd_about_an_answer_is_told_to_all_who_have_it() {
    let erp = Erp::start(|_| Reply::Answer(200, "text/html", list_text(&[(1, DAY)], "")));
    let site = both(&erp, &polled("", "snapshot = true"));
    let (calls, lines) = run(&erp, &site);
    assert_eq!((calls, numbers(&lines, "staged")), (1, vec![1, 1]), "{lines:?}");
    for line in &lines {
        assert!(line["notes"].to_string().contains("do not allow it: wrong_content_type 1"), "{line}");
    }
}

#[test]
fn a_version_that_comes_later_asks_from_the_start_and_then_along() {
    let erp = Erp::start(|_| list(&[(1, "2026-01-05T00:00:00Z"), (2, "2026-01-03T00:00:00Z")], ""));
    let watermark = "watermark = { member = \"At\", overlap = \"5m\", start = \"1970-01-01T00:00:00Z\" }";
    let mapping = polled("<W>{watermark}</W>", watermark);
    let site = site_at(&erp.url(), "", &mapping);
    assert_eq!(run(&erp, &site).0, 1);
    site.write("mappings/items.v2.toml", second(&mapping).as_bytes());
    let (calls, lines) = run(&erp, &site);
    assert_eq!((calls, numbers(&lines, "staged")), (2, vec![0, 2]), "{lines:?}");
    assert_eq!(all_sent(&erp, "W")[1..], ["2026-01-04T23:55:00Z", "1970-01-01T00:00:00Z"]);
    erp.script(|_| list(&[(3, "2026-01-06T00:00:00Z")], ""));
    let (calls, lines) = run(&erp, &site);
    assert_eq!((calls, numbers(&lines, "staged")), (1, vec![1, 1]), "{lines:?}");
    assert_eq!((keys(&site, 1), keys(&site, 2)), (vec![1, 2, 3], vec![1, 2, 3]));
    // One that goes is missed by none.
    std::fs::remove_file(site.path("mappings/items.v1.toml")).unwrap();
    erp.script(|_| list(&[(4, "2026-01-07T00:00:00Z")], ""));
    let (calls, lines) = run(&erp, &site);
    assert_eq!((calls, lines.len(), keys(&site, 2)), (1, 1, vec![1, 2, 3, 4]));
}

#[test]
fn what_one_version_is_refused_the_other_has() {
    let all: Vec<(u32, &str)> = (1..=10).map(|no| (no, DAY)).collect();
    let erp = Erp::start(move |_| list(&all, ""));
    let mapping = polled("", "snapshot = true\nmax_deleted = 10");
    let site = both(&erp, &mapping);
    site.write("mappings/items.v2.toml", second(&mapping).replace("max_deleted = 10", "max_deleted = 90").as_bytes());
    run(&erp, &site);
    erp.script(|_| list(&[(1, DAY), (2, DAY), (11, DAY)], ""));
    let (calls, lines) = run(&erp, &site);
    assert!(lines[0]["error"].as_str().unwrap().contains("8 of 11 documents"), "{lines:?}");
    assert_eq!((calls, lines[1]["deleted"].as_u64(), &lines[1]["error"]), (1, Some(8), &Value::Null), "{lines:?}");
    assert_eq!((keys(&site, 1).len(), keys(&site, 2)), (11, vec![1, 2, 11]));
    // What nobody could say is not asked for again by each.
    erp.script(|_| Reply::Answer(503, "text/plain", "closed".to_owned()));
    let (calls, lines) = run(&erp, &site);
    assert!(lines.iter().all(|line| line["error"].is_string()), "{lines:?}");
    assert_eq!(calls, 1, "{lines:?}");
    assert!(lines[1]["error"].as_str().unwrap().contains("shares with another version"), "{lines:?}");
}

/// Polls for both that are killed at any moment, also between what the one has got and the other has not: each goes on where it
/// stands, nothing is lost, doubled or taken for gone, and as soon as both stand at one place a page is asked for once.
#[test]
fn a_poll_for_both_that_is_killed_goes_on() {
    let mut seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1;
    std::io::Write::write_all(&mut std::io::stderr(), format!("seed {seed}\n").as_bytes()).unwrap();
    // The last page is no full one, be it with one less.
    const ALL: u32 = 58;
    const SIZE: u32 = 5;
    let serve = |missing: Option<u32>| {
        move |call: &crate::live::erp::Call| {
            let page: u32 = sent(call, "P").unwrap().parse().unwrap();
            let day = |no: u32| format!("2026-01-{:02}T00:00:00Z", 1 + no % 28);
            let all: Vec<(u32, String)> = (1..=ALL).filter(|no| Some(*no) != missing).map(|no| (no, day(no))).collect();
            let from = (((page - 1) * SIZE) as usize).min(all.len());
            let rows: Vec<(u32, &str)> =
                all[from..].iter().take(SIZE as usize).map(|(no, day)| (*no, day.as_str())).collect();
            list(&rows, "")
        }
    };
    let watermark = "watermark = { member = \"At\", overlap = \"400d\", start = \"1970-01-01T00:00:00Z\" }";
    for (asks, way) in [("", "snapshot = true\nmax_deleted = 30"), ("<W>{watermark}</W>", watermark)] {
        let erp = Erp::start(serve(None));
        let mapping = polled(&format!("<P>{{page}}</P>{asks}"), &format!("{way}\npage = {{ size = {SIZE} }}"));
        let (calm, broken) = (both(&erp, &mapping), both(&erp, &mapping));
        let began = std::time::Instant::now();
        let (pages, lines) = run(&erp, &calm);
        let whole = began.elapsed();
        assert_eq!(numbers(&lines, "staged"), [u64::from(ALL); 2], "{way}: {lines:?}");
        let mut killed = 0;
        for _ in 0..20 {
            if killed == 6 {
                break;
            }
            let mut command = broken.command(&["sync", "--all", "--full"]);
            if killed > 0 {
                command = broken.command(&["sync", "--all"]);
            }
            let quiet = std::process::Stdio::null;
            let mut child = command.stdout(quiet()).stderr(quiet()).spawn().unwrap();
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            std::thread::sleep(std::time::Duration::from_micros(seed % whole.as_micros().max(1) as u64));
            killed += u32::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(killed > 0, "{way}");
        run(&erp, &broken);
        for version in [1, 2] {
            assert_eq!(of(&broken, version), of(&calm, version), "{way}, version {version}");
            assert_eq!(of(&broken, version).len(), ALL as usize);
        }
        // They stand together again: each page is asked for once, and what is gone is gone for both.
        erp.script(serve(Some(17)));
        let (calls, lines) = run(&erp, &broken);
        assert_eq!((calls, &lines[0]["read_together_with"]), (pages, &json!(["items.v2"])), "{way}: {lines:?}");
        let left = if way.starts_with("snapshot") { ALL - 1 } else { ALL };
        assert_eq!(
            (keys(&broken, 1).len(), keys(&broken, 2).len()),
            (left as usize, left as usize),
            "{way}: {lines:?}"
        );
    }
}

#[test]
fn check_says_why_two_versions_call_apart() {
    let erp = Erp::start(|_| list(&[(1, DAY)], ""));
    let mapping = polled("", "snapshot = true");
    let site = both(&erp, &mapping);
    let doubts = || site.json(&["check", "--offline"]).0[0]["doubts"].to_string();
    assert!(!doubts().contains("each for itself"), "{}", doubts());
    let other = second(&mapping).replace("backend = \"erp\"\n", "backend = \"erp\"\nschedule = \"every 1h\"\n");
    site.write("mappings/items.v2.toml", other.as_bytes());
    assert!(doubts().contains("they differ in `schedule`;"), "{}", doubts());
    let (calls, lines) = run(&erp, &site);
    assert_eq!((calls, numbers(&lines, "staged")), (2, vec![1, 1]), "{lines:?}");
}
