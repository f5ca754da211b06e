//! The rules about whole files: duplicates, empty files, trailers that are still to come.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{items, letters, site, staged, staging, sync};
use crate::site::Site;

fn local(more: &str) -> Site {
    site(&format!("[backends.erp.files]\ninbox = \"inbox\"\nstable_for = \"0s\"\n{more}\n"))
}

#[test]
fn known_content_under_a_new_name_is_refused_and_read_when_a_person_says_so() {
    let site = local("");
    site.deliver("items1.csv", &items(0..5));
    assert_eq!(staged(&sync(&site).0), 5);
    site.deliver("items2.csv", &items(5..9));
    site.deliver("items3.csv", &items(0..5));
    let (run, code, said) = sync(&site);
    assert_eq!((staged(&run), run["read"].as_u64(), code), (4, Some(4), 1), "{run}\n{said}");
    assert_eq!(run["refused"], json!(["items3.csv"]));
    assert_eq!(site.listing("rejected"), ["items3.csv"]);
    let (list, _) = site.json(&["dead-letters", "list"]);
    assert_eq!(list.len(), 1);
    assert_eq!((&list[0]["code"], &list[0]["record"]), (&json!("file.duplicate"), &json!(0)));
    assert!(list[0]["found"].as_str().unwrap().contains("the content of items1.csv"), "{}", list[0]);

    let id = list[0]["id"].to_string();
    let replayed = site.run(&["dead-letters", "replay", &id]);
    assert_eq!(replayed.status.code(), Some(0), "{}", String::from_utf8_lossy(&replayed.stderr));
    assert_eq!(letters(&site), []);
    let (again, code) = (site.run(&["dead-letters", "replay", &id]), 1);
    assert_eq!(again.status.code(), Some(code));

    // The same name once more is no duplicate but a delivery: another file may have come between.
    site.deliver("items1.csv", &items(0..5));
    let (run, code, _) = sync(&site);
    assert_eq!((run["unchanged"].as_u64(), code), (Some(5), 0), "{run}");
}

#[test]
fn duplicates_are_skipped_or_read_where_that_is_the_rule() {
    for (rule, read) in [("skip", 0), ("read", 5)] {
        let site = local(&format!("duplicates = \"{rule}\""));
        site.deliver("items1.csv", &items(0..5));
        sync(&site);
        site.deliver("items2.csv", &items(0..5));
        let (run, code, said) = sync(&site);
        assert_eq!((run["read"].as_u64(), code), (Some(read), 0), "{rule}: {run}\n{said}");
        assert_eq!(site.listing("archive"), ["items1.csv", "items2.csv"]);
        assert_eq!(letters(&site), []);
    }
    // A full run reads all that lies there.
    let site = local("");
    site.write("archive", b"in the way");
    site.deliver("items1.csv", &items(0..5));
    sync(&site);
    site.write("rejected", b"in the way");
    site.deliver("items2.csv", &items(0..5));
    sync(&site);
    let (runs, _) = site.json(&["sync", "items", "--full"]);
    assert_eq!(runs[0]["unchanged"], 10, "{}", runs[0]);
}

#[test]
fn files_of_no_bytes() {
    for (rule, folder, code) in [("reject", "rejected", 1), ("skip", "archive", 0), ("read", "rejected", 1)] {
        let site = local(&format!("empty = \"{rule}\""));
        site.deliver("items1.csv", b"");
        let (run, exit, said) = sync(&site);
        assert_eq!((exit, site.listing(folder)), (code, vec!["items1.csv".to_owned()]), "{rule}: {run}\n{said}");
        let codes: Vec<String> = letters(&site).into_iter().map(|(code, _)| code).collect();
        let expected: &[&str] = match rule {
            "reject" => &["file.empty"],
            "skip" => &[],
            _ => &["file.unreadable"],
        };
        assert_eq!(codes, expected, "{rule}");
    }
    let site = local("empty = \"wait\"");
    site.deliver("items1.csv", b"");
    let (run, code, _) = sync(&site);
    assert_eq!((run["state"].as_str(), &run["unsettled"], code), (Some("idle"), &json!(["items1.csv"]), 0), "{run}");
    assert_eq!(run["waiting"], json!(["items1.csv is empty as yet"]));
    site.deliver("items1.csv", &items(0..2));
    assert_eq!(staged(&sync(&site).0), 2);
}

const STOCK: &str = r#"
resource = "items"
version = 1
key = ["id"]
[source]
backend = "erp"
[source.fixed_width]
files = "stock*.txt"
fields = [ { name = "KIND", start = 1, length = 1 }, { name = "ID", start = 2, length = 4 } ]
trailer = { when = "KIND = 'T'", count = "ID" }
[fields]
id = { from = "ID" }
"#;

#[test]
fn a_file_without_its_trailer_waits_and_then_is_truncated() {
    let site = local("trailer_wait = \"1h\"");
    site.write("mappings/items.v1.toml", STOCK.as_bytes());
    site.deliver("stock1.txt", b"D0001\nD0002\n");
    for _ in 0..2 {
        let (run, code, said) = sync(&site);
        assert_eq!(
            (run["read"].as_u64(), &run["unsettled"], code),
            (Some(0), &json!(["stock1.txt"]), 0),
            "{run}\n{said}"
        );
        assert_eq!(run["waiting"], json!(["stock1.txt waits for its trailer"]));
    }
    let (files, _) = (site.listing("inbox"), ());
    assert_eq!(files, ["stock1.txt"]);
    // The sender goes on writing: with the trailer it is whole.
    site.deliver("stock1.txt", b"D0001\nD0002\nD0003\nT0003\n");
    let (run, code, said) = sync(&site);
    assert_eq!((staged(&run), code), (3, 0), "{run}\n{said}");

    // One that got no further for longer than that.
    site.deliver("stock2.txt", b"D0004\nD00");
    let path = site.path("inbox/stock2.txt");
    let old = SystemTime::now() - Duration::from_secs(7200);
    fs::File::open(&path).unwrap().set_modified(old).unwrap();
    // A change of the file's status is a change as well, and it has just happened: the clocks must agree.
    let (run, _, said) = sync(&site);
    assert_eq!(run["unsettled"], json!(["stock2.txt"]), "{run}\n{said}");
    super::change(&site, "[backends.erp.files]\ninbox = \"inbox\"\nstable_for = \"0s\"\ntrailer_wait = \"10ms\"");
    let (run, code, said) = sync(&site);
    assert_eq!((&run["refused"], code), (&json!(["stock2.txt"]), 1), "{run}\n{said}");
    assert_eq!(site.listing("rejected"), ["stock2.txt"]);
    let codes: Vec<_> = letters(&site).into_iter().map(|(code, _)| code).collect();
    assert!(codes.contains(&"control.missing_trailer".to_owned()), "{codes:?}");
}

/// A file that is not taken says what it waits for, to people and to programs.
#[test]
fn what_a_file_waits_for_is_said() {
    let site = local("done_file = \"{name}.done\"\norder = { sequence = '([0-9]+)' }");
    site.deliver("items1.csv", &items(0..1));
    site.deliver("items2.csv", &items(1..2));
    site.deliver("items2.csv.done", b"");
    let at_once = ["sync", "items", "--wait", "0s"];
    let run = site.json(&at_once).0.remove(0);
    assert_eq!(run["unsettled"], json!(["items1.csv", "items2.csv"]));
    let waiting = [
        "items1.csv waits for its done file items1.csv.done",
        "items2.csv waits for items1.csv, which comes before it",
    ];
    assert_eq!(run["waiting"], json!(waiting));
    let said = site.run(&at_once).stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(waiting.iter().all(|line| said.contains(line)) && !said.contains("still being written"), "{said}");
    // A run that waits sees it come, and is over then: it does not wait for so long.
    let mut patient = site.command(&["sync", "items", "--json", "--wait", "1h"]);
    let patient = patient.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let runs = || staging(&site).query_row("SELECT count(*) FROM run", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(runs(), 0, "nothing is read while a file is waited for");
    site.deliver("items1.csv.done", b"");
    let output = patient.wait_with_output().unwrap();
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((staged(&run), &run["unsettled"], runs()), (2, &json!([]), 1), "{run}");
    let wrong = site.run(&["sync", "items", "--wait", "soon"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("no length of time like"), "{wrong:?}");
}

/// A file that no mapping means is told wherever people look, once in the log, and is gone from there when it is gone.
#[test]
fn files_that_no_mapping_reads_are_told() {
    let site = super::site(
        "[backends.erp.files]\ninbox = \"inbox\"\nstable_for = \"100ms\"\ndone_file = \"{name}.done\"\n\
         match_case = false\nrecursive = true\npoll = \"100ms\"",
    );
    let mapping = fs::read_to_string(site.path("mappings/items.v1.toml")).unwrap();
    let often = mapping.replace("backend = \"erp\"", "backend = \"erp\"\nschedule = \"every 100ms\"");
    site.write("mappings/items.v1.toml", often.as_bytes());
    // A second mapping of the same inbox, which nothing runs, claims its files all the same.
    let other = mapping.replace("\"items\"", "\"prices\"").replace("items*.csv", "prices*.csv");
    site.write("mappings/prices.v1.toml", other.as_bytes());
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let passed_over = [".hidden", "items3.csv.part", "items4.csv.done", "PRICES.csv"];
    passed_over.iter().for_each(|name| site.deliver(name, b"x"));
    site.deliver("ITEMS1.CSV", &items(0..2));
    site.deliver("ITEMS1.CSV.done", b"");
    let (run, _, told) = sync(&site);
    assert_eq!((staged(&run), &run["unclaimed"]), (2, &json!({"files": 0, "first": []})), "{told}");
    let doctor = site.run(&["doctor", "erp"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("each read by a mapping or passed over"), "{doctor:?}");
    assert_eq!(doctor.status.code(), Some(0));

    site.deliver("ITMES1.CSV", &items(5..9));
    site.write("inbox/sub/<b>&.txt", b"x");
    // PRICES.csv has no done file, and is not waited for here.
    let command = site.run(&["sync", "--all", "--wait", "0s"]);
    let line = "erp: no mapping reads 2 files: ITMES1.CSV, sub/<b>&.txt";
    assert_eq!(said(&command).matches(line).count(), 1, "{}", said(&command));
    assert_eq!(sync(&site).0["unclaimed"], json!({"files": 2, "first": ["ITMES1.CSV", "sub/<b>&.txt"]}));
    let (doctor, code) = site.json(&["doctor", "erp"]);
    let step = doctor[0]["steps"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&step["step"], &step["ok"], code), (&json!("files"), &json!(false), 1), "{doctor:?}");
    assert!(step["said"].as_str().unwrap().contains("no mapping reads 2 files: ITMES1.CSV"), "{step}");

    let service = site.serve_by(&["env"]);
    let unclaimed = |count: u32| format!("tollbridge_inbox_unclaimed_files{{backend=\"erp\"}} {count}\n");
    let metric =
        |count: u32| service.until(|| service.admin("GET", "/metrics").1.contains(&unclaimed(count)).then_some(()));
    metric(2);
    let inboxes: Value = serde_json::from_str(&service.admin("GET", "/admin/v1/inboxes").1).unwrap();
    let inbox = &inboxes["data"][0];
    assert_eq!((&inbox["unclaimed"], &inbox["resources"]), (&json!(2), &json!(2)), "{inboxes}");
    assert_eq!(inbox["unclaimed_names"], json!(["ITMES1.CSV", "sub/<b>&.txt"]));
    let page = service.admin("GET", "/").1;
    assert!(page.contains("ITMES1.CSV, sub/&lt;b&gt;&amp;.txt"), "{page}");
    let log = || fs::read_to_string(site.path("log")).unwrap();
    let told = || log().lines().filter(|line| line.contains("that no mapping reads")).count();
    service.until(|| (told() == 1).then_some(()));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(told(), 1, "{}", log());
    fs::remove_file(site.path("inbox/sub/<b>&.txt")).unwrap();
    fs::rename(site.path("inbox/ITMES1.CSV"), site.path("inbox/ITEMS2.CSV")).unwrap();
    metric(0);
    assert!(!service.admin("GET", "/").1.contains("ITMES1"));
}
