//! Broken files: nothing is lost, every record is accounted for, whole files are refused when the mapping says so.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
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
price = { from = "PRICE", type = "decimal(9,2)", decimal_point = "," }
since = { from = "SINCE", type = "date", format = "%Y%m%d" }
unit = { from = "UNIT", values = { ST = "piece", M = "metre" } }
"#;

const HEADER: &str = "ID;PRICE;SINCE;UNIT\n";

/// A row with its fate.
#[derive(Clone, Debug)]
enum Row {
    Good { id: u8 },
    Bad { row: &'static str, code: &'static str },
    Blank,
}

fn row() -> impl Strategy<Value = Row> {
    let bad = |row, code| Just(Row::Bad { row, code });
    prop_oneof![
        6 => any::<u8>().prop_map(|id| Row::Good { id }),
        1 => bad("A;1,00;20260101\n", "framing.column_count"),
        1 => bad("A;1,00;20260101;ST;more\n", "framing.column_count"),
        1 => bad("A;1,0x;20260101;ST\n", "numeric.bad_digit"),
        1 => bad("A;1,005;20260101;ST\n", "numeric.inexact"),
        1 => bad("A;1,00;20260231;ST\n", "value.bad_date"),
        1 => bad(";1,00;20260101;ST\n", "key.invalid"),
        1 => bad("A;1,00;20260101;KG\n", "value.unknown"),
        1 => bad("A;;20260101;ST\n", "value.blank"),
        1 => Just(Row::Blank),
    ]
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn every_record_of_generated_broken_files_is_accounted_for() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let mut runner = TestRunner::new(ProptestConfig { cases: 24, ..ProptestConfig::default() });
    let case = std::cell::Cell::new(0);
    let mut open = 0;
    let files = std::cell::RefCell::new(Vec::new());
    runner
        .run(&proptest::collection::vec(row(), 0..60), |rows| {
            files.borrow_mut().push(rows);
            Ok(())
        })
        .unwrap();
    for rows in files.into_inner() {
        case.set(case.get() + 1);
        // The case's number stands in the first row, so that no two files have the same content.
        let mut content = format!("{HEADER}case{};1,00;20260101;ST\n", case.get());
        let (mut good, mut blank, mut codes) = (1, 0, Vec::new());
        for row in &rows {
            match row {
                Row::Good { id } => {
                    good += 1;
                    content.push_str(&format!("{id};{},00;20260101;M\n", case.get()));
                }
                Row::Bad { row, code } => {
                    codes.push((*code).to_owned());
                    content.push_str(row);
                }
                Row::Blank => {
                    blank += 1;
                    content.push('\n');
                }
            }
        }
        let name = format!("items{}.csv", case.get());
        site.deliver(&name, content.as_bytes());
        let (runs, code) = site.json(&["sync", "items"]);
        let run = &runs[0];
        assert_eq!(code, i32::from(!codes.is_empty()), "{content}\n{run}");
        let (staged, unchanged) = (number(run, "staged"), number(run, "unchanged"));
        assert_eq!((staged + unchanged, number(run, "dead")), (good, codes.len() as u64), "{content}\n{run}");
        let read = good + codes.len() as u64 + blank;
        assert_eq!((number(run, "read"), number(run, "skipped")), (read, blank), "{content}\n{run}");

        open += codes.len();
        let (letters, _) = site.json(&["dead-letters", "list", "--limit", "100000"]);
        assert_eq!(letters.len(), open, "{content}");
        let mut found: Vec<_> =
            letters.iter().filter(|l| l["file"] == name.as_str()).map(|l| l["code"].clone()).collect();
        found.reverse();
        assert_eq!(found, codes.iter().map(|code| json!(code)).collect::<Vec<_>>(), "{content}");
    }
}

#[test]
fn bytes_without_meaning_are_all_accounted_for() {
    let mapping = r#"
resource = "records"
version = 1
key = ["no"]
[source]
backend = "erp"
[source.cobol]
files = "*.bin"
copybook = "records.cpy"
encoding = "cp037"
framing = "fixed"
[fields]
no = { from = "NO" }
amount = { from = "AMT", type = "decimal(5,2)" }
count = { from = "CNT", type = "integer" }
"#;
    let site = Site::with_mappings(&[("records.v1.toml", mapping)]);
    let copybook = "       01  REC.\n           05  NO   PIC X(4).\n           05  AMT  PIC S9(3)V99 COMP-3.\n           05  CNT  PIC 9(3).\n";
    site.write("mappings/records.cpy", copybook.as_bytes());
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    for size in [1usize, 9, 10, 11, 999, 1000, 12_345] {
        let mut byte = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as u8
        };
        let content: Vec<u8> = (0..size).map(|_| byte()).collect();
        site.deliver(&format!("{size}.bin"), &content);
        let (runs, _) = site.json(&["sync", "records"]);
        let run = &runs[0];
        let accounted = ["staged", "unchanged", "dead", "skipped"].map(|name| number(run, name)).iter().sum::<u64>();
        assert_eq!((number(run, "read"), accounted), (size.div_ceil(10) as u64, size.div_ceil(10) as u64), "{run}");
    }
}

#[test]
fn a_file_is_refused_as_a_whole_where_the_mapping_says_so() {
    let strict = MAPPING.replace("backend = \"erp\"", "backend = \"erp\"\non_reject = \"file\"");
    let site = Site::with_mappings(&[("items.v1.toml", &strict)]);
    site.deliver("items1.csv", format!("{HEADER}A;1,00;20260101;ST\nB;x;20260101;ST\n").as_bytes());
    let (runs, code) = site.json(&["sync", "items"]);
    assert_eq!(code, 1);
    let expected = [("read", 2), ("staged", 0), ("dead", 1), ("skipped", 1), ("refused_records", 1)];
    assert!(expected.iter().all(|(name, count)| number(&runs[0], name) == *count), "{}", runs[0]);
    assert_eq!(runs[0]["refused"], json!(["items1.csv"]));
    assert_eq!((site.listing("rejected"), site.listing("archive")), (vec!["items1.csv".to_owned()], vec![]));
    let (letters, _) = site.json(&["dead-letters", "list"]);
    let codes: Vec<_> = letters.iter().map(|letter| letter["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["file.refused", "numeric.bad_digit"]);

    // Mended and delivered again it goes through.
    site.deliver("items1.csv", format!("{HEADER}A;1,00;20260101;ST\nB;2,00;20260101;ST\n").as_bytes());
    let (runs, code) = site.json(&["sync", "items"]);
    assert_eq!((code, number(&runs[0], "staged")), (0, 2), "{}", runs[0]);
}

#[test]
fn a_file_that_cannot_be_read_at_all_is_refused_and_said_so() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    site.deliver("items1.csv", b"ID;PREIS;SINCE;UNIT\nA;1,00;20260101;ST\n");
    let (runs, code) = site.json(&["sync", "items"]);
    assert_eq!((code, &runs[0]["refused"]), (1, &json!(["items1.csv"])), "{}", runs[0]);
    let (letters, _) = site.json(&["dead-letters", "list"]);
    assert_eq!(letters.len(), 1);
    assert!(letters[0]["found"].as_str().unwrap().contains("PRICE"), "{}", letters[0]);
}

#[test]
fn an_old_dead_letter_never_overwrites_newer_data() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    site.deliver("items1.csv", format!("{HEADER}A;1,00;20260101;KG\n").as_bytes());
    site.run(&["sync", "items"]);
    site.deliver("items2.csv", format!("{HEADER}A;2,00;20260201;ST\n").as_bytes());
    site.run(&["sync", "items"]);
    let mended = MAPPING.replace("M = \"metre\"", "M = \"metre\", KG = \"kilogram\"");
    site.write("mappings/items.v1.toml", mended.as_bytes());
    let replayed = site.run(&["dead-letters", "replay", "1"]);
    assert_eq!(replayed.status.code(), Some(1));
    let said = String::from_utf8_lossy(&replayed.stderr).into_owned();
    assert!(said.contains("older than what is staged"), "{said}");
    let (trace, _) = site.json(&["trace", "items", "A"]);
    assert_eq!(trace[0]["document"]["unit"], "piece");
    assert_eq!(site.run(&["dead-letters", "discard", "1"]).status.code(), Some(0));
}
