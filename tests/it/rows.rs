//! Files of rows, as a person looks at them: `decode --format rows`, `inspect`. The file is made by
//! `fixtures/rows/generate.py`.

use std::path::PathBuf;
use std::process::{Command, Output};

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/rows/orders.rows")
}

fn tollbridge(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollbridge")).args(arguments).arg(fixture()).output().unwrap()
}

fn lines(bytes: &[u8]) -> Vec<String> {
    std::str::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn rows_are_shown_as_they_were_landed() {
    let output = tollbridge(&["decode", "--format", "rows"]);
    assert_eq!(output.status.code(), Some(1));
    let good = [
        r#"{"No_":"ORD-1","Amount":1234.50000000000000000000,"Posting Date":"2026-11-28T00:00:00","Open":true,"timestamp":"0001020304050607","Note":"grün","Weight":0.1}"#,
        r#"{"No_":"ORD-2","Amount":-0.00000000000000000001,"Posting Date":"1753-01-01T00:00:00","Open":false,"timestamp":"0000000000000000","Note":null,"Weight":null}"#,
    ];
    assert_eq!(lines(&output.stdout), good);
    let rejects: Vec<serde_json::Value> =
        lines(&output.stderr).iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let text = |index: usize, name: &str| rejects[index][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(rejects.len(), 2, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        (text(0, "code"), text(0, "field"), text(0, "found")),
        ("encoding.unmappable".into(), "Note".into(), "bytes 81 8D".into())
    );
    assert_eq!((text(1, "code"), text(1, "field")), ("value.bad_type".into(), "Amount".into()));
    assert!(text(1, "raw").contains("31322c3530"), "{}", rejects[1]);
}

#[test]
fn the_columns_are_shown_with_their_types() {
    let output = tollbridge(&["inspect"]);
    assert_eq!(output.status.code(), Some(0));
    let lines = lines(&output.stdout);
    assert_eq!(lines.len(), 8);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&lines[2]), ["Amount", "decimal(38,20)", "decimal(38,20)"]);
    assert_eq!(words(&lines[3]), ["Posting", "Date", "datetime", "datetime"]);
    let output = tollbridge(&["--json", "inspect"]);
    let fields: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&fields["fields"][5]["picture"], &fields["fields"][5]["type"]), (&"char(12)".into(), &"text".into()));
}
