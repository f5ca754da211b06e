//! Inboxes of thousands of files: the work grows with the number of files and not with its square, and no statement goes
//! through a table that grows.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::{letters, site, staged, staging, sync};
use crate::site::{Service, Site};

/// How often each statement to the staging database was carried out while a service watched the inbox, until so many files
/// count as done.
fn statements(site: &Site, files: usize, done: &dyn Fn(&Service) -> usize) -> BTreeMap<String, u64> {
    let service = telling(site);
    let mut before = 0;
    while before < files {
        // However slow it is, it goes on.
        before = service.until(|| Some(done(&service)).filter(|now| *now > before));
    }
    assert_eq!(before, files);
    drop(service);
    counts(&std::fs::read_to_string(site.path("log")).unwrap())
}

/// A service whose log tells all statements.
fn telling(site: &Site) -> Service {
    let level = "TOLLBRIDGE__TELEMETRY__LEVEL=info,tollbridge::staging::statements=trace";
    site.serve_by(&["env", "TOLLBRIDGE__TELEMETRY__LOG=json", level])
}

/// How often a log tells each statement.
fn counts(log: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for event in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        if let Some(sql) = event["sql"].as_str() {
            *counts.entry(sql.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Files that were moved to the archive.
fn archived(site: &Site, files: usize) -> BTreeMap<String, u64> {
    statements(site, files, &|_| site.listing("archive").len())
}

/// Of the statements that are carried out for each file, those that go through a table that grows with files and records:
/// through all its rows, or all those of a resource.
fn scans(site: &Site, statements: &BTreeMap<String, u64>, files: usize) -> Vec<String> {
    const GROWING: [&str; 4] = ["file", "file_sequence", "dead_letter", "run"];
    const OF_RESOURCES: [&str; 3] = ["doc_", "feed_", "gone_"];
    // These have only what is not finished.
    const SMALL: [&str; 2] = ["file_unfinished", "run_going_on"];
    let is_growing =
        |table: &str| GROWING.contains(&table) || OF_RESOURCES.iter().any(|prefix| table.starts_with(prefix));
    let connection = staging(site);
    let mut scans = Vec::new();
    let of_files = statements.iter().filter(|(_, count)| **count >= files as u64).map(|(sql, _)| sql);
    let is_plain = |sql: &&String| ["SELECT", "UPDATE", "INSERT", "DELETE"].iter().any(|verb| sql.starts_with(verb));
    for sql in of_files.filter(is_plain) {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut steps = plan.raw_query();
        while let Some(step) = steps.next().unwrap() {
            let detail: String = step.get("detail").unwrap();
            let mut words = detail.split(' ');
            let (how, table) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            // What goes along an index from its end stops at the first row that will do.
            let of_resource = how == "SEARCH" && detail.ends_with("(resource=?)") && !sql.ends_with("LIMIT 1");
            let is_small = words.any(|word| SMALL.contains(&word));
            if is_growing(table) && (how == "SCAN" || of_resource) && !is_small {
                scans.push(format!("{detail}: {sql}"));
            }
        }
    }
    scans
}

/// What such a statement is known by.
#[test]
fn statements_that_go_through_all_files_are_found() {
    let site = watched("");
    assert_eq!(sync(&site).1, 0);
    let all = |sql: &str| scans(&site, &BTreeMap::from([(sql.to_owned(), 1)]), 1).len();
    assert_eq!(all("SELECT max(size) FROM file WHERE resource = ?1"), 1);
    assert_eq!(all("UPDATE run SET error = NULL WHERE resource = ?1 AND state = ?2"), 1);
    assert_eq!(all("SELECT path FROM file WHERE delivery = ?1"), 1);
    assert_eq!(all("SELECT max(number) FROM file_sequence JOIN file ON file.id = file WHERE file.resource = ?1"), 1);
    assert_eq!(all("SELECT path FROM file WHERE resource = ?1 AND path = ?2"), 0);
    assert_eq!(all("SELECT id FROM file WHERE state = 'claimed'"), 0);
}

/// Does the same with few files and with many: the statements grow with the files, and none goes through all of them. Answers
/// the site with many.
fn grows((few, many): (usize, usize), run: &dyn Fn(usize) -> (Site, BTreeMap<String, u64>)) -> Site {
    let ((_few, of_few), (site, of_many)) = (run(few), run(many));
    assert_in_proportion(&of_few, &of_many, (few, many));
    assert_eq!(scans(&site, &of_many, many), Vec::<String>::new());
    site
}

/// The statements for many files are those for few, for each file. What is done now and then, with or without files, is less
/// than that.
fn assert_in_proportion(few: &BTreeMap<String, u64>, many: &BTreeMap<String, u64>, (from, to): (usize, usize)) {
    let of_files = few.values().filter(|count| **count >= from as u64).count();
    assert!(of_files > 1, "{few:?}");
    for (sql, count) in many {
        let most = few.get(sql).copied().unwrap_or_default() * to as u64 / from as u64 + to as u64 / 2;
        assert!(*count <= most, "{count} times, where {most} are due at most: {sql}");
    }
}

/// A site whose inbox is watched.
fn watched(backend: &str) -> Site {
    let site = site(&format!("[backends.erp.files]\ninbox = \"inbox\"\nstable_for = \"0s\"\n{backend}"));
    let mapping = std::fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    let watched = mapping.replace("backend = \"erp\"", "backend = \"erp\"\nschedule = \"watch\"");
    site.write("mappings/items.v1.toml", watched.as_bytes());
    site
}

/// Each file has a record that all have, and one of its own, with what is said of them.
fn fill(site: &Site, files: usize, of: &dyn Fn(usize) -> String) {
    // The last ones come first: the order is that of the names.
    for file in (0..files).rev() {
        let content = format!("ID;NAME\n0;{}\n", of(file));
        site.write(&format!("inbox/items{file:05}.csv"), content.as_bytes());
    }
}

fn own(file: usize) -> String {
    format!("{file}\n{};x", file + 1)
}

#[test]
fn work_grows_with_the_files_and_no_faster() {
    const FEW: usize = 250;
    const MANY: usize = 2000;
    let run = |files: usize| {
        let site = watched("");
        fill(&site, files, &own);
        let counts = archived(&site, files);
        assert_eq!(site.listing("inbox"), Vec::<String>::new());
        assert_eq!(letters(&site), []);
        (site, counts)
    };
    let site = grows((FEW, MANY), &run);
    // They were read in their order: the last one has the last word, and the records of their own came one after the other.
    let connection = staging(&site);
    let last: String = connection.query_row("SELECT payload FROM doc_1 WHERE key = '0'", [], |row| row.get(0)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&last).unwrap()["name"], (MANY - 1).to_string());
    let own = "SELECT key FROM feed_1 JOIN doc_1 ON doc_1.id = document WHERE key <> '0' ORDER BY feed_1.sequence";
    let mut keys = connection.prepare(own).unwrap();
    let keys: Vec<String> = keys.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(keys, (1..=MANY).map(|id| id.to_string()).collect::<Vec<_>>());
}

/// Files that cannot be moved away stay, are looked up once each, and are not read again.
#[test]
fn an_inbox_that_cannot_be_emptied() {
    const FEW: usize = 100;
    const MANY: usize = 800;
    let run = |files: usize| {
        let site = watched("archive = \"full\"\n");
        site.write("full", b"this is no folder");
        fill(&site, files, &own);
        let (summary, code, said) = sync(&site);
        assert_eq!((staged(&summary), code), (2 * files as u64, 0), "{summary}\n{said}");
        // Another process finds them all, and knows them.
        let stuck = |service: &Service| {
            let (_, metrics) = service.admin("GET", "/metrics");
            let line =
                metrics.lines().find_map(|line| line.strip_prefix("tollbridge_inbox_unmoved_files{backend=\"erp\"} "));
            line.and_then(|count| count.parse().ok()).unwrap_or(0)
        };
        let counts = statements(&site, files, &stuck);
        assert_eq!(site.listing("inbox").len(), files);
        (site, counts)
    };
    let site = grows((FEW, MANY), &run);
    let runs: i64 = staging(&site).query_row("SELECT count(*) FROM run", [], |row| row.get(0)).unwrap();
    assert_eq!(runs, 1, "nothing was read again");
}

const NUMBERED: &str = r#"
resource = "batches"
version = 1
key = ["no"]
[source]
backend = "erp"
schedule = "watch"
[source.cobol]
files = "*.TXT"
copybook = "c.cpy"
framing = "line"
encoding = "ascii"
segment_field = "TYP"
segment_map = { H = "FH", E = "EN" }
skip = "TYP = 'H'"
controls = [{ file_sequence = "FH.SEQ" }]
[fields]
no = { from = "NO" }
"#;

/// Each file says its own number, which has to be one more than the highest before it.
#[test]
fn the_highest_number_is_found_without_a_look_at_all() {
    const FEW: usize = 40;
    const MANY: usize = 320;
    let run = |files: usize| {
        let site = Site::with_mappings(&[("batches.v1.toml", NUMBERED)]);
        let copybook = "       01 FH.\n           05 TYP PIC X.\n           05 SEQ PIC 9(5).\n\
                        \x20      01 EN.\n           05 TYP PIC X.\n           05 NO PIC 9(5).\n";
        site.write("mappings/c.cpy", copybook.as_bytes());
        for file in 1..=files {
            site.write(&format!("inbox/{file:05}.TXT"), format!("H{file:05}\nE{file:05}\n").as_bytes());
        }
        let counts = archived(&site, files);
        assert_eq!(letters(&site), []);
        (site, counts)
    };
    let site = grows((FEW, MANY), &run);
    // One is missing.
    site.write("inbox/99999.TXT", format!("H{:05}\nE99999\n", MANY + 2).as_bytes());
    assert_eq!(site.json(&["sync", "batches"]).1, 1);
    assert_eq!(letters(&site).len(), 1);
}

/// A second version is told of each file that the first one has fetched, and of no others.
#[test]
fn a_version_that_is_fed_is_not_held_against_all_files() {
    const FILES: usize = 60;
    let site = watched("");
    let mapping = std::fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    site.write("mappings/items.v2.toml", mapping.replace("version = 1", "version = 2").as_bytes());
    // One comes when the one before it is done.
    let delivered = Cell::new(0);
    let next = |_: &Service| {
        let done = site.listing("archive").len();
        if done == delivered.get() && done < FILES {
            delivered.set(done + 1);
            site.deliver(&format!("items{done:05}.csv"), format!("ID;NAME\n{done};x\n").as_bytes());
        }
        done
    };
    let counts = statements(&site, FILES, &next);
    // The last one may not be fed yet when the service ends.
    assert_eq!(scans(&site, &counts, FILES / 2), Vec::<String>::new());
    let told =
        |(sql, count): &(&String, &u64)| sql.contains("file.turn >") && sql.contains("NOT EXISTS") && **count >= 50;
    assert_eq!(counts.iter().filter(told).count(), 1, "{counts:?}");
    // What is missing still is seen by the next process, which holds them all against each other.
    assert_eq!(site.json(&["sync", "items.v2"]).1, 0);
    let fed = "SELECT count(*) FROM file JOIN resource ON resource.id = resource WHERE name = 'items.v2' AND state = 'staged'";
    assert_eq!(staging(&site).query_row(fed, [], |row| row.get::<_, i64>(0)).unwrap(), FILES as i64);
}

/// For a dead letter the files are looked at that came after its own, and no list of all others.
#[test]
fn a_replay_does_not_go_through_the_ledger() {
    let run = |files: usize| {
        let site = site("[backends.erp.files]\ninbox = \"inbox\"\nstable_for = \"0s\"\n");
        let strict = |most: u32| {
            let mapping =
                super::ITEMS.replace("id = {", "no = { from = \"NAME\", type = \"integer\", max = MAX }\nid = {");
            site.write("mappings/items.v1.toml", mapping.replace("MAX", &most.to_string()).as_bytes());
        };
        strict(9999);
        fill(&site, files, &|file| format!("{file}\n{};1", file + 1));
        // A bad record, and two files behind it.
        site.write("inbox/items90000.csv", b"ID;NAME\n0;10000\n");
        site.write("inbox/items90001.csv", b"ID;NAME\nB;1\n");
        site.write("inbox/items90002.csv", b"ID;NAME\nC;1\n");
        assert_eq!(sync(&site).1, 1);
        strict(10_000);
        let (list, _) = site.json(&["dead-letters", "list"]);
        let service = telling(&site);
        service.until(|| (service.admin("GET", "/metrics").0 == 200).then_some(()));
        let log = || std::fs::read_to_string(site.path("log")).unwrap();
        let before = log().len();
        let replay = service.admin("POST", &format!("/admin/v1/dead-letters/{}/replay", list[0]["id"]));
        let said = log().split_off(before);
        assert_eq!((replay.0, letters(&site)), (200, vec![]), "{replay:?}");
        drop(service);
        // Others go on looking after what is theirs.
        let is_of_files = |sql: &str| sql.contains(" FROM file JOIN ") || sql.contains("UPDATE file ");
        (site, counts(&said).into_iter().filter(|(sql, _)| is_of_files(sql)).collect::<BTreeMap<_, _>>())
    };
    let ((_few, few), (site, many)) = (run(20), run(300));
    assert_eq!(few, many);
    assert!(many.keys().any(|sql| sql.contains("file.turn > coalesce")), "{many:?}");
    assert_eq!(scans(&site, &many, 1), Vec::<String>::new());
}
