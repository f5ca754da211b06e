//! The commands `decode` and `inspect`, run as people run them.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/decode").join(name)
}

fn tollbridge(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollbridge")).args(arguments).output().unwrap()
}

/// A file with this content in a folder that lives as long as the guard.
fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path.display().to_string())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// `code record field` of every line.
fn rejects(stderr: &[u8]) -> Vec<String> {
    let told = |line: &str| {
        let reject: serde_json::Value = serde_json::from_str(line).unwrap();
        let field = reject["field"].as_str().unwrap_or("-").to_owned();
        format!("{} {} {field}", reject["code"].as_str().unwrap(), reject["record"])
    };
    text(stderr).lines().map(told).collect()
}

#[test]
fn cobol_records_and_their_rejects() {
    let (data, copybook) = (fixture("orders.bin"), fixture("orders.cpy"));
    let arguments = ["decode", data.to_str().unwrap(), "--copybook", copybook.to_str().unwrap()];
    let output = tollbridge(&arguments);
    // Written by another decoder.
    assert_eq!(text(&output.stdout), std::fs::read_to_string(fixture("orders.ndjson")).unwrap());
    assert_eq!(
        rejects(&output.stderr),
        ["value.blank 3 AMOUNT", "numeric.bad_sign 4 CUST-NO", "numeric.overflow 5 QTY", "framing.truncated 7 -"]
    );
    assert_eq!(output.status.code(), Some(1));

    let on_threads = tollbridge(&[&arguments[..], &["--threads", "3"]].concat());
    assert_eq!(on_threads.stdout, output.stdout);
    assert_eq!(on_threads.stderr, output.stderr);

    let blank = tollbridge(&[&arguments[..], &["--blank", "null", "--meta"]].concat());
    let third = text(&blank.stdout).lines().nth(2).unwrap().to_owned();
    assert!(
        third.starts_with(r#"{"_offset":526,"_length":263,"_record":3,"#) && third.contains(r#""AMOUNT":null"#),
        "{third}"
    );
}

#[test]
fn csv_and_fixed_width() {
    let (_folder, path) = file("c.csv", b"no;name\n1;M\xFCller\n2\n");
    let output = tollbridge(&["decode", &path, "--format", "csv", "--delimiter", ";", "--encoding", "windows-1252"]);
    assert_eq!(text(&output.stdout), "{\"no\":\"1\",\"name\":\"Müller\"}\n");
    assert_eq!(rejects(&output.stderr), ["framing.column_count 2 -"]);
    let output =
        tollbridge(&["decode", &path, "--format", "csv", "--no-header", "--encoding", "latin1", "--quote", ""]);
    assert_eq!(text(&output.stdout).lines().next(), Some("{\"column_1\":\"no;name\"}"));
    assert_eq!(output.status.code(), Some(0));

    let (_other, spec) = file("s.spec", b"sku,1,3\nqty,4,2\n");
    let (_third, data) = file("s.txt", b"abc 1\nde\n");
    let output = tollbridge(&["decode", &data, "--spec", &spec]);
    assert_eq!(text(&output.stdout), "{\"sku\":\"abc\",\"qty\":\"1\"}\n");
    assert_eq!(rejects(&output.stderr), ["framing.record_too_short 2 sku"]);
    let output = tollbridge(&["decode", &data, "--spec", &spec, "--pad", "--threads", "2"]);
    assert_eq!(text(&output.stdout), "{\"sku\":\"abc\",\"qty\":\"1\"}\n{\"sku\":\"de\",\"qty\":\"\"}\n");
}

#[test]
fn what_cannot_be_done_says_why() {
    let check = |arguments: &[&str], expected: &str| {
        let output = tollbridge(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
        assert_eq!(text(&output.stdout), "");
    };
    let (_folder, data) = file("x", b"x");
    let (_other, wrong) = file("wrong.cpy", b"       01 R.\n          05 A PIC Q.\n          05 B PIC 9(40).\n");
    check(&["decode", &data], "say what the file is");
    check(&["decode", &data, "--copybook", "/does/not/exist"], "cannot read /does/not/exist");
    check(&["decode", &data, "--copybook", &wrong], "wrong.cpy:2:20");
    check(&["decode", &data, "--copybook", &wrong], "wrong.cpy:3:20");
    check(&["inspect", &wrong], "`9(40)` has more than 38 digits");
    check(&["decode", &data, "--format", "csv", "--framing", "line"], "--framing belongs to --format cobol");
    check(&["decode", &data, "--format", "csv", "--encoding", "windws-1252"], "did you mean `windows-1252`?");
    check(&["decode", "/does/not/exist", "--format", "csv"], "cannot read /does/not/exist");
    let (_third, empty) = file("empty.csv", b"");
    check(&["decode", &empty, "--format", "csv"], "the file is empty");
    let (_fourth, several) = file("several.cpy", b"01 A. 05 X PIC X. 01 B. 05 Y PIC X.");
    check(&["decode", &data, "--copybook", &several], "choose one with --record (A, B)");
}

#[test]
fn inspect_shows_the_layout() {
    let copybook = fixture("orders.cpy");
    let output = tollbridge(&["inspect", copybook.to_str().unwrap()]);
    let table = text(&output.stdout);
    let line = table.lines().find(|line| line.contains("L-PRICE")).unwrap();
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!(words, ["10", "L-PRICE", "S9(7)V99", "COMP-3", "decimal(9,2)", "159", "163", "5"]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let lines = "a,b\n".repeat(300_000);
    let (_folder, path) = file("long.csv", lines.as_bytes());
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollbridge"))
        .args(["decode", &path, "--format", "csv", "--no-header"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut start = [0u8; 10];
    child.stdout.take().unwrap().read_exact(&mut start).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

/// Ten times the input takes no more memory.
#[test]
fn memory_does_not_follow_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let record = &std::fs::read(fixture("orders.bin")).unwrap()[..263];
    let peak = |records: usize| -> u64 {
        let path = folder.path().join("orders.bin");
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
        (0..records).for_each(|_| file.write_all(record).unwrap());
        file.into_inner().unwrap();
        let copybook = fixture("orders.cpy");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollbridge"))
            .args(["decode", path.to_str().unwrap(), "--copybook", copybook.to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut buffer = vec![0u8; 1 << 20];
        let mut peak = 0;
        while stdout.read(&mut buffer).unwrap() > 0 {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let line = status.lines().find(|line| line.starts_with("VmHWM:"));
            let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse().ok());
            peak = peak.max(kilobytes.unwrap_or(0));
        }
        assert!(child.wait().unwrap().success());
        peak
    };
    let (small, large) = (peak(8_000), peak(80_000));
    assert!(small > 0 && large < small + 4_096, "{small} kB, then {large} kB");
    assert!(large < 64 * 1024, "{large} kB");
}

#[test]
fn copied_texts_maps_and_rules() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    write("copy/PART.cpy", b"           10 :P:-A PIC X(2).\n");
    write("secret.cpy", b"           10 S PIC X.\n");
    let copybook = write(
        "copy/main.cpy",
        b"       01 R.\n          05 T PIC X.\n          05 G.\n          COPY PART REPLACING ==:P:== BY ==ONE==.\n\
          \x20         05 H REDEFINES G PIC 9(2).\n          05 F PIC X.\n          05 L PIC X OCCURS 0 TO 2 DEPENDING ON F.\n",
    );
    let data = write("data", b"anxY..b12N..");
    let with =
        ["decode", &data, "--copybook", &copybook, "--encoding", "ascii", "--odo-map", "F:N=0,Y=1", "--view", "H:T=b"];
    let output = tollbridge(&with);
    assert_eq!(
        text(&output.stdout),
        "{\"T\":\"a\",\"G\":{\"ONE-A\":\"nx\"},\"F\":\"Y\",\"L\":[\".\"]}\n{\"T\":\"b\",\"H\":12,\"F\":\"N\",\"L\":[]}\n"
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let outside = write("copy/outside.cpy", b"       01 R.\n          COPY '../secret'.\n          05 A PIC X.\n");
    let output = tollbridge(&["decode", &data, "--copybook", &outside]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("only texts in the copybook's own folder are copied"),
        "{}",
        text(&output.stderr)
    );
    let output = tollbridge(&["inspect", &copybook, "--odo-map", "F:N=0,Y=1"]);
    assert!(text(&output.stdout).contains("ONE-A"), "{}", text(&output.stderr));
    let output = tollbridge(&["decode", &data, "--copybook", &copybook, "--odo-map", "F"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("not of the form FIELD:A=0,B=1"), "{}", text(&output.stderr));
}
