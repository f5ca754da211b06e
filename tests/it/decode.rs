//! The commands `decode` and `inspect`, run as people run them.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::site::{peak_memory, peak_memory_of};

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

    // Blank lines are no records, and nobody has to ask for that.
    let (_blank, path) = file("b.csv", b"no,name\n\n1,a\n\n\n2,b\n\n");
    let output = tollbridge(&["decode", &path, "--format", "csv"]);
    assert_eq!(text(&output.stdout), "{\"no\":\"1\",\"name\":\"a\"}\n{\"no\":\"2\",\"name\":\"b\"}\n");
    assert_eq!(text(&output.stderr), "4 blank lines were left out\n");

    // A first line that is no row costs itself, and not the width of the others.
    let (_broken, path) = file("q.csv", b"\"a,b\nc,d\ne,f\n");
    let output = tollbridge(&["decode", &path, "--format", "csv", "--no-header"]);
    assert_eq!(
        text(&output.stdout),
        "{\"column_1\":\"c\",\"column_2\":\"d\"}\n{\"column_1\":\"e\",\"column_2\":\"f\"}\n"
    );
    assert_eq!(rejects(&output.stderr), ["framing.bad_quote 1 -"]);

    let (_other, spec) = file("s.spec", b"sku,1,3\nqty,4,2\n");
    let (_third, data) = file("s.txt", b"abc 1\nde\n");
    let output = tollbridge(&["decode", &data, "--spec", &spec]);
    assert_eq!(text(&output.stdout), "{\"sku\":\"abc\",\"qty\":\"1\"}\n");
    assert_eq!(rejects(&output.stderr), ["framing.record_too_short 2 sku"]);
    let output = tollbridge(&["decode", &data, "--spec", &spec, "--pad", "--threads", "2"]);
    assert_eq!(text(&output.stdout), "{\"sku\":\"abc\",\"qty\":\"1\"}\n{\"sku\":\"de\",\"qty\":\"\"}\n");
}

#[test]
fn csv_as_it_comes() {
    let (_folder, path) = file("m.csv", b"Report\nno||name\n# a note\n1||a\\||b\nno||name\n2\n3||\0c\nTOTAL\n");
    let layout = ["decode", &path, "--format", "csv", "--delimiter", "||", "--escape", "\\", "--comment", "#"];
    let policies = ["--preamble-lines", "1", "--footer-lines", "1", "--ragged", "pad", "--nul", "strip"];
    let header = ["--repeated-header", "skip", "--columns", "no,name", "--header-match", "identical"];
    let all = [&layout[..], &policies, &header].concat();
    let output = tollbridge(&all);
    assert_eq!(text(&output.stderr), "2 records were left out by --comment and --repeated-header skip\n");
    assert_eq!(
        text(&output.stdout),
        "{\"no\":\"1\",\"name\":\"a||b\"}\n{\"no\":\"2\",\"name\":null}\n{\"no\":\"3\",\"name\":\"c\"}\n"
    );
    let output = tollbridge(&[&all[..], &["--threads", "2"]].concat());
    assert_eq!(text(&output.stdout).lines().count(), 3);

    let changed =
        tollbridge(&[&layout[..], &policies, &["--columns", "name,no", "--header-match", "identical"]].concat());
    assert_eq!(changed.status.code(), Some(2));
    assert!(text(&changed.stderr).contains("the header has changed: `no` has moved from column 2 to 1"));

    let units: Vec<u8> = "\u{feff}a,b\r\n1,\u{20ac}\r\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let (_other, path) = file("u.csv", &units);
    let output = tollbridge(&["decode", &path, "--format", "csv", "--encoding", "utf-16", "--threads", "2"]);
    assert_eq!(text(&output.stdout), "{\"a\":\"1\",\"b\":\"\u{20ac}\"}\n");
}

/// What another program writes in its dialects is read as it was meant: the csv module of Python is the peer.
#[test]
fn csv_of_another_writer() {
    let script = r#"
import csv, json, random, sys
rng = random.Random(5)
folder = sys.argv[1]
alphabet = ['a', 'Z', '7', ' ', ',', ';', '\t', '"', "'", '\\', '\n', '\r', '|', '#', '\u00e4', '\u20ac']
dialects = {
    'excel': dict(dialect='excel'),
    'tabs': dict(delimiter='\t', lineterminator='\n'),
    'all': dict(delimiter=';', quoting=csv.QUOTE_ALL, lineterminator='\n'),
    'escaped': dict(quoting=csv.QUOTE_NONE, escapechar='\\', lineterminator='\r\n'),
    'both': dict(quotechar="'", doublequote=False, escapechar='\\', lineterminator='\n'),
}
for name, dialect in dialects.items():
    with open(f'{folder}/{name}.csv', 'w', encoding='cp1252', newline='') as out, \
            open(f'{folder}/{name}.ndjson', 'w', encoding='utf-8') as expected:
        writer = csv.writer(out, **dialect)
        writer.writerow(['no', 'first', 'second'])
        for number in range(400):
            cells = [''.join(rng.choices(alphabet, k=rng.randrange(7))) for _ in range(2)]
            writer.writerow([number, *cells])
            row = {'no': str(number), 'first': cells[0], 'second': cells[1]}
            expected.write(json.dumps(row, ensure_ascii=False, separators=(',', ':')) + '\n')
"#;
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("python3").args(["-c", script]).arg(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let check = |name: &str, options: &[&str]| {
        let path = |ending: &str| folder.path().join(format!("{name}.{ending}"));
        let csv = path("csv").display().to_string();
        let layout = [&["--format", "csv", "--encoding", "windows-1252"], options].concat();
        let output = tollbridge(&[&["decode", &csv], &layout[..]].concat());
        assert_eq!(text(&output.stderr), "", "{name}");
        assert_eq!(text(&output.stdout), std::fs::read_to_string(path("ndjson")).unwrap(), "{name}");
        let threads = tollbridge(&[&["decode", &csv], &layout[..], &["--threads", "2"]].concat());
        assert!(threads.stdout == output.stdout, "{name}");
        // And back: Python reads what is written here.
        let written = path("written").display().to_string();
        let ndjson = path("ndjson").display().to_string();
        let output = tollbridge(&[&["encode", &ndjson, "--output", &written], &layout[..]].concat());
        assert_eq!(text(&output.stderr), "", "{name}");
        let decoded = tollbridge(&[&["decode", &written], &layout[..]].concat());
        assert_eq!(text(&decoded.stdout), std::fs::read_to_string(&ndjson).unwrap(), "{name}");
    };
    check("excel", &[]);
    // Of the line ends it only quotes the one that it writes.
    check("tabs", &["--delimiter", "tab", "--line-end", "lf"]);
    check("all", &["--delimiter", ";"]);
    check("escaped", &["--quote", "", "--escape", "\\"]);
    check("both", &["--quote", "'", "--escape", "\\", "--line-end", "lf"]);
    let read_back = r#"
import csv, json, sys
folder = sys.argv[1]
for name, dialect in {'excel': {}, 'tabs': {'delimiter': '\t'}, 'all': {'delimiter': ';'}}.items():
    with open(f'{folder}/{name}.written', encoding='cp1252', newline='') as f:
        rows = list(csv.DictReader(f, **dialect))
    with open(f'{folder}/{name}.ndjson', encoding='utf-8') as f:
        assert rows == [json.loads(line) for line in f], name
"#;
    let read = Command::new("python3").args(["-c", read_back]).arg(folder.path()).output().unwrap();
    assert!(read.status.success(), "{}", text(&read.stderr));
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

/// Records at the limit of what a record may have: memory follows their bytes once, and not what JSON makes of them.
#[test]
fn memory_does_not_follow_the_text_of_large_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    // Packed numbers, and texts of nothing but quotes.
    let mut element = b"\x01\x23\x45\x67\x8C".to_vec();
    element.resize(1024, 0x7F);
    std::fs::write(path("data"), element.repeat(16 << 10)).unwrap();
    let items = "             15 P PIC S9(7)V99 COMP-3.\n             15 X PIC X(1019).\n";
    let table = format!("          05 T OCCURS 16384.\n{items}");
    std::fs::write(path("table.cpy"), format!("       01 R.\n{table}")).unwrap();
    let views = "          05 A REDEFINES T.\n            10 W PIC X(16777216).\n";
    let group = format!("          05 T.\n            10 U OCCURS 16384.\n{items}");
    std::fs::write(path("views.cpy"), format!("       01 R.\n{group}{views}")).unwrap();
    let peak = |copybook: &str, threads: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
        peak_memory(command.args(["decode", &path("data"), "--copybook", &path(copybook), "--threads", threads]))
    };
    for copybook in ["table.cpy", "views.cpy"] {
        let one = peak(copybook, "1");
        assert!(one > 0 && one < 72 * 1024, "{copybook}: {one} kB");
    }
    // The record is there a second time while it is written.
    let two = peak("table.cpy", "2");
    assert!(two < 88 * 1024, "{two} kB");
}

/// XML records at the limit and far beyond it, of one text and of many elements: what is too long is told by its first
/// bytes, and memory follows neither the record nor what is shown of it.
#[test]
fn memory_does_not_follow_large_records_of_xml() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.xml");
    // Enough behind it that the command is still there when its memory is looked at.
    let rest = "<b><c>x</c></b>".repeat(20_000);
    let write = |record: &str| std::fs::write(&path, format!("<a><b>{record}</b>{rest}</a>")).unwrap();
    let told = folder.path().join("told");
    let peak = |code: i32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
        command.args(["decode", path.to_str().unwrap(), "--format", "xml", "--record-path", "/a/b", "--threads", "1"]);
        let peak = peak_memory_of(command.stderr(std::fs::File::create(&told).unwrap()), code);
        assert!(peak > 0);
        (peak, std::fs::read_to_string(&told).unwrap())
    };
    // What the program takes of itself, its own pages included, is told by a record that is small.
    write("<c>x</c>");
    let (own, _) = peak(0);
    let long = 30 << 20;
    // Of many elements some are held until they are too many.
    let records = [("<c>a text</c>".repeat(long / 13), 58), (format!("<c>{}</c>", "a text ".repeat(long / 7)), 42)];
    for (record, most) in records {
        write(&record);
        let (kilobytes, told) = peak(1);
        assert!(kilobytes < own + most * 1024, "{kilobytes} kB of which {own} are there anyway");
        let reject: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(reject["code"], "framing.record_too_long");
        let raw = reject["raw"].as_str().unwrap();
        assert!(raw.starts_with("3c623e3c633e61207465787") && raw.len() == 2 << 16, "{}", raw.len());
    }
    // As many elements as are held at once, and one long text: its JSON is handed on while it is written. Where there are
    // references in it, the text without them is there once.
    let fits = (16 << 20) - 100;
    let records = [
        ("<c>a text</c>".repeat(249_000), 44),
        ("<c/>".repeat(490_000), 42),
        (format!("<c>{}</c>", "a text ".repeat(fits / 7)), 34),
        (format!("<c>{}</c>", "a &gt; b".repeat(fits / 8)), 46),
    ];
    for (record, most) in records {
        write(&record);
        let (kilobytes, told) = peak(0);
        assert!(kilobytes < own + most * 1024 && told.is_empty(), "{kilobytes} kB of which {own} are there anyway");
    }
    // A record that is bad for another reason is told by its first bytes as well, and by how many it has.
    write(&format!("<c>{}\u{1}</c>", "a text ".repeat(fits / 7)));
    let (kilobytes, told) = peak(1);
    let reject: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(kilobytes < own + 54 * 1024, "{kilobytes} kB of which {own} are there anyway");
    assert_eq!(reject["raw"].as_str().map(str::len), Some(2 << 16));
    assert_eq!(reject["raw_length"].as_u64(), reject["length"].as_u64());
}

#[test]
fn pipes_are_read_once_and_in_order() {
    let data = std::fs::read(fixture("orders.bin")).unwrap();
    let copybook = fixture("orders.cpy").display().to_string();
    let feed = |path: &str, more: &[&str], data: Vec<u8>| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tollbridge"))
            .args(["decode", path, "--copybook", &copybook])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || input.write_all(&data));
        let output = child.wait_with_output().unwrap();
        let _ = writer.join().unwrap();
        output
    };
    let piped = |path: &str, more: &[&str]| feed(path, more, data.clone());
    let expected = std::fs::read_to_string(fixture("orders.ndjson")).unwrap();
    for path in ["-", "/dev/stdin"] {
        for threads in ["1", "3"] {
            let output = piped(path, &["--threads", threads]);
            assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
        }
    }
    // Every framing goes through the whole of it: more than is kept of its start cannot be read a second time.
    let auto = piped("-", &["--framing", "auto"]);
    assert_eq!(text(&auto.stdout).lines().count(), 0, "the last record is cut off, so no framing explains it");
    let output = feed("-", &["--framing", "auto"], data[..263].repeat(6000));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let told = text(&output.stderr);
    assert!(told.contains("it is a pipe, and this layout has to go back in it: put it into a file first"), "{told}");
    let footer = piped("-", &["--footer-bytes", "3"]);
    assert_eq!(footer.status.code(), Some(2));
    let told = text(&footer.stderr);
    assert!(told.contains("it is a pipe, and this layout has to know where it ends"), "{told}");
}

#[test]
fn what_filters_leave_out_is_counted() {
    let (_folder, copybook) = file(
        "t.cpy",
        b"       01 A.\n          05 K PIC X.\n          05 V PIC X.\n       01 B.\n          05 K PIC X.\n          05 W PIC X.\n",
    );
    let (_other, data) = file("t.txt", b"A1\nBx\nBy\nA2\nBz\nA1\n");
    let output = tollbridge(&[
        "decode",
        &data,
        "--copybook",
        &copybook,
        "--framing",
        "line",
        "--encoding",
        "utf-8",
        "--segment-field",
        "K",
        "--segment-map",
        "A=A",
        "--segment-map",
        "B=B",
        "--segment-children",
        "A=B",
        "--filter",
        "V=2",
    ]);
    assert_eq!(text(&output.stdout), "{\"K\":\"A\",\"V\":\"2\",\"B\":[{\"K\":\"B\",\"W\":\"z\"}]}\n");
    assert_eq!(text(&output.stderr), "4 records were left out by --filter\n");
}
