//! The command `encode`, run as people run it: what `decode` reads of a file becomes the file again.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn tollbridge(arguments: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollbridge"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // A command that reads no stdin closes it.
    let writer = std::thread::spawn(move || drop(input.write_all(&stdin)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Decodes the file and encodes what came of it; the bytes must be those of the file.
fn round_trip(file: &Path, options: &[&str]) {
    let file = file.to_str().unwrap();
    let decoded = tollbridge(&[&["decode", file], options].concat(), b"");
    assert_eq!(text(&decoded.stderr), "");
    let encoded = tollbridge(&[&["encode", "-"], options].concat(), &decoded.stdout);
    assert_eq!(text(&encoded.stderr), "");
    assert_eq!(encoded.status.code(), Some(0));
    assert!(encoded.stdout == std::fs::read(file).unwrap(), "{file} does not come back as it was");
}

#[test]
fn what_was_read_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("c.csv");
    std::fs::write(&csv, b"NO;NAME\r\n1;\"M\xFCller; \"\"S\xF6hne\"\"\"\r\n2;\"two\nlines\"\r\n").unwrap();
    round_trip(&csv, &["--format", "csv", "--delimiter", ";", "--encoding", "windows-1252"]);
    let (spec, lines) = (folder.path().join("s.spec"), folder.path().join("s.txt"));
    std::fs::write(&spec, "sku,1,5\nqty,6,3\n").unwrap();
    std::fs::write(&lines, b"Schl\x8112 \r\nx    1  \r\n").unwrap();
    round_trip(&lines, &["--spec", spec.to_str().unwrap(), "--encoding", "cp850"]);
}

#[test]
fn faults_have_a_line_and_a_pointer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.csv");
    let input = "\u{feff}{\"a\":\"1\"}\n\n{\"a\":[]}\n{\"a\":\n{\"a\":\"4\"}";
    let output = tollbridge(&["encode", "-", "--format", "csv", "--output", path.to_str().unwrap()], input.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(std::fs::read(&path).unwrap(), b"a\r\n1\r\n4\r\n");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left in the folder");
    let faults: Vec<serde_json::Value> =
        text(&output.stderr).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        faults[0],
        serde_json::json!({
            "code": "value.bad_type", "line": 3, "pointer": "/a", "expected": "a text", "found": "an array"
        })
    );
    assert_eq!((&faults[1]["line"], &faults[1]["pointer"]), (&4.into(), &"".into()));
    assert_eq!(faults[1]["expected"], "a JSON object on one line");
    assert_eq!(faults.len(), 2);
}

#[test]
fn what_cannot_be_done_says_why() {
    let check = |arguments: &[&str], expected: &str| {
        let output = tollbridge(arguments, b"");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    check(&["encode", "-"], "say what the file is");
    check(&["encode", "/does/not/exist", "--format", "csv"], "cannot read /does/not/exist");
    check(&["encode", "-", "--format", "csv", "--framing", "line"], "--framing belongs to --format cobol");
    check(&["encode", "-", "--format", "csv", "--output", "/does/not/exist"], "cannot write the output");
}

#[test]
fn a_layout_that_cannot_be_written_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("t.cpy"), "       01 R.\n          05 A PIC X.\n").unwrap();
    std::fs::write(path("in"), "{\"A\":\"a\"}\n{\"A\":\"b\"}\n").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tollbridge"))
        .args(["encode", &path("in"), "--copybook", &path("t.cpy"), "--header-bytes", "3", "--output", &path("out")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "the layout says too little to be written: expected a layout that says what all bytes are, found `header_bytes`, which only counts them\n"
    );
    assert!(!Path::new(&path("out")).exists());
}

#[test]
fn what_is_only_read_says_what_to_do() {
    let refused = |arguments: &[&str]| {
        let output = tollbridge(&[&["encode", "-"], arguments].concat(), b"");
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr)
    };
    let said = refused(&["--format", "excel"]);
    assert!(said.contains("workbooks are only read; write --format csv"), "{said}");
}

/// IDocs are written flat unless `--form` says XML, from which they read back as they were.
#[test]
fn idocs_are_written_in_both_forms() {
    let orders = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/edi/orders.xml");
    let read = tollbridge(&["decode", orders.to_str().unwrap(), "--format", "idoc"], b"");
    assert_eq!(read.stdout.iter().filter(|byte| **byte == b'\n').count(), 24);
    let written = tollbridge(&["encode", "-", "--format", "idoc", "--form", "xml"], &read.stdout);
    assert_eq!(text(&written.stderr), "");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("o.xml");
    std::fs::write(&path, &written.stdout).unwrap();
    assert!(tollbridge(&["decode", path.to_str().unwrap(), "--format", "idoc"], b"").stdout == read.stdout);
    let foreign = tollbridge(&["encode", "-", "--format", "csv", "--form", "xml"], b"");
    assert!(text(&foreign.stderr).contains("--form belongs to --format idoc"));
}

/// A line of JSON may be six times as long as the record that it is of. Beyond that, memory has room for the record itself
/// and little else, and a record that could not be read again is refused.
#[test]
fn memory_has_a_bound_for_records_at_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let limit = 16 << 20;
    std::fs::write(path("text.cpy"), "       01 R.\n          05 X PIC X(16777216).\n").unwrap();
    let table =
        "          05 T OCCURS 16384.\n             15 P PIC S9(7)V99 COMP-3.\n             15 X PIC X(1019).\n";
    std::fs::write(path("table.cpy"), format!("       01 R.\n{table}")).unwrap();
    let element = format!("{{\"P\":1234.56,\"X\":\"{}\"}}", "\\\"".repeat(1019));
    let inputs = [
        ("text.cpy", format!("{{\"X\":\"{}\"}}\n", "\\u0041".repeat(limit - 100))),
        ("table.cpy", format!("{{\"T\":[{}]}}\n", vec![element; 16384].join(","))),
    ];
    for (copybook, json) in inputs {
        std::fs::write(path("data.json"), json).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
        let peak =
            crate::site::peak_memory(command.args(["encode", &path("data.json"), "--copybook", &path(copybook)]));
        assert!(peak > 0 && peak < 176 * 1024, "{copybook}: {peak} kB");
    }
    // In XML each of these takes five bytes.
    let long = format!("{{\"c\":\"{}\"}}\n", "&".repeat(limit / 4));
    let output = tollbridge(&["encode", "-", "--format", "xml", "--record-path", "/a/b"], long.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("a record of at most 16777216 bytes"), "{}", text(&output.stderr));
}
