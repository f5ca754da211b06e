//! EDI and IDocs, end to end: the same orders in five forms become the same documents.
//!
//! `fixtures/edi/generate.py` writes data and documents without knowing the program or the mappings.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::site::Site;

/// Resource, its file, the code that its third order is rejected with, and how many records a rule leaves out.
const FORMS: [(&str, &str, &str, u64); 5] = [
    ("x12", "orders.x12", "control.total", 1),
    ("x12_schema", "orders.x12", "control.total", 1),
    ("edifact", "orders.edi", "control.total", 0),
    ("idoc", "orders.idoc", "structure.envelope", 0),
    ("xml", "orders.xml", "structure.bad_segment", 0),
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/edi")
}

fn site() -> Site {
    let site = Site::with_mappings(&[]);
    site.copy(&fixtures().join("mappings"), "mappings");
    // What mappings name lies beside them, and is no mapping.
    site.copy(&fixtures().join("orders05.parser.txt"), "mappings/orders05.parser.txt");
    site.copy(&fixtures().join("850.toml"), "schemas/850.toml");
    let mapping = std::fs::read_to_string(site.path("mappings/x12_schema.v1.toml")).unwrap();
    site.write("mappings/x12_schema.v1.toml", mapping.replace("\"850.toml\"", "\"../schemas/850.toml\"").as_bytes());
    site
}

fn expected() -> String {
    std::fs::read_to_string(fixtures().join("expected.ndjson")).unwrap()
}

#[test]
fn the_data_is_what_its_generator_writes() {
    let checked = Command::new("python3").arg(fixtures().join("generate.py")).arg("--check").output();
    let checked = checked.expect("python3 is needed: `scripts/setup test` installs it");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn every_form_previews_to_the_same_documents() {
    let site = site();
    let (report, exit) = site.json(&["check", "--offline"]);
    assert_eq!(exit, 0, "{report:?}");
    for (resource, file, code, _) in FORMS {
        let file = fixtures().join(file);
        let output = site.run(&["preview", resource, file.to_str().unwrap()]);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected(), "{resource}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(code), "{resource}: {said}");
    }
}

#[test]
fn every_form_is_synced_traced_and_its_one_bad_order_kept() {
    let site = site();
    for file in ["orders.edi", "orders.idoc", "orders.xml", "orders.x12"] {
        site.deliver(file, &std::fs::read(fixtures().join(file)).unwrap());
    }
    // The two mappings of one file want it each for itself.
    let (runs, exit) = site.json(&["sync", "x12"]);
    assert_eq!((exit, &runs[0]["staged"]), (1, &json!(24)), "{runs:?}");
    site.deliver("orders.x12", &std::fs::read(fixtures().join("orders.x12")).unwrap());
    for (resource, _, code, skipped) in FORMS {
        if resource != "x12" {
            let (runs, exit) = site.json(&["sync", resource]);
            assert_eq!(exit, 1, "{runs:?}");
            let run = &runs[0];
            let balance = (&run["read"], &run["staged"], &run["dead"], &run["skipped"]);
            assert_eq!(balance, (&json!(25 + skipped), &json!(24), &json!(1), &json!(skipped)), "{resource}: {run}");
        }
        let (trace, _) = site.json(&["trace", resource, "PO-1025"]);
        assert!(trace[0].to_string().contains("\"order_no\":\"PO-1025\""), "{trace:?}");
        let (letters, _) = site.json(&["dead-letters", "list"]);
        let id = format!("{resource}.v1");
        let own: Vec<_> = letters.iter().filter(|letter| letter["resource"] == json!(id)).collect();
        assert_eq!(own.len(), 1, "{letters:?}");
        assert_eq!(own[0]["code"], json!(code), "{own:?}");
    }
}

/// `decode` of the command line: one line an order, the bad one on stderr.
#[test]
fn the_decode_command_reads_all_of_them() {
    let path = |name: &str| fixtures().join(name).to_str().unwrap().to_owned();
    let (schema, segments) = (path("850.toml"), path("orders05.parser.txt"));
    let check = |arguments: &[&str], lines: usize, contains: &str, code: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_tollbridge")).arg("decode").args(arguments).output().unwrap();
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(out.lines().count(), lines, "{arguments:?}: {err}");
        assert!(out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
        assert!(out.contains(contains) && err.contains(code), "{arguments:?}: {err}");
    };
    let x12 = path("orders.x12");
    check(
        &[&x12, "--format", "edi", "--encoding", "latin1"],
        25,
        r#"{"id":"N1","01":"BT","02":"Grün+Blau: Farben?"}"#,
        "control.total",
    );
    check(
        &[&x12, "--format", "edi", "--encoding", "latin1", "--schema", &schema],
        24,
        r#""number":"PO-1025""#,
        "a message of type 850",
    );
    check(
        &[&path("orders.edi"), "--format", "edi", "--meta"],
        24,
        r#"{"id":"NAD","01":"BY","04":"Grün+Blau: Farben?"}"#,
        "control.total",
    );
    check(
        &[&path("orders.idoc"), "--format", "idoc", "--encoding", "latin1"],
        24,
        r#""SDATA":"AG"#,
        "structure.envelope",
    );
    check(
        &[&path("orders.idoc"), "--format", "idoc", "--encoding", "latin1", "--segments", &segments],
        24,
        r#""PARVW":"WE","NAME1":"Lager 25""#,
        "structure.envelope",
    );
    check(&[&path("orders.xml"), "--format", "idoc"], 24, r#""NAME1":"Ôrsted <Nord>""#, "structure.bad_segment");
    let refused = |arguments: &[&str], expected: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_tollbridge")).arg("decode").args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    refused(&[&x12, "--format", "csv", "--schema", &schema], "--schema belongs to --format edi");
    refused(&[&x12, "--format", "edi", "--segments", &schema], "--segments belongs to --format idoc");
    refused(&[&x12, "--format", "edi", "--encoding", "cp037"], "an interchange cannot be in cp037");
    refused(&[&x12, "--format", "idoc"], "no IDoc file");
    refused(&[&x12, "--format", "edi", "--schema", &x12], "orders.x12:1");
}
