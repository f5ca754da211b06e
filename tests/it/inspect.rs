//! The command `inspect` on files of data: what it finds, and that what it proposes reads the file.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::site::Site;

fn tollbridge(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollbridge")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn inspected(path: &Path) -> serde_json::Value {
    let output = tollbridge(&["inspect", path.to_str().unwrap(), "--json"]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn found(report: &serde_json::Value, about: &str) -> String {
    let evidence = report["evidence"].as_array().unwrap().iter().find(|evidence| evidence["about"] == about);
    evidence.map(|evidence| evidence["found"].as_str().unwrap().to_owned()).unwrap_or_default()
}

/// Runs the proposed command as a shell does; answers the lines of its result. Nothing may be rejected; how many records
/// options have left out may be said.
fn decoded(report: &serde_json::Value, folder: &Path) -> Vec<serde_json::Value> {
    let program = env!("CARGO_BIN_EXE_tollbridge");
    let command = report["command"].as_str().unwrap().replacen("tollbridge", &format!("'{program}'"), 1);
    let output = Command::new("bash").args(["-c", &command]).current_dir(folder).output().unwrap();
    let said = text(&output.stderr);
    let more: Vec<&str> = said.lines().filter(|line| !line.contains(" records were left out by --")).collect();
    assert_eq!((output.status.code(), more.as_slice()), (Some(0), [].as_slice()), "{command}");
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write(folder: &tempfile::TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_messy_csv_file_and_a_command_that_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = b"Kundenliste, Stand 31.10.2026\r\n\r\nKundennr;Name;Limit;Seit;Ort\r\n".to_vec();
    for number in 1..60 {
        let row = [
            format!("{number:05};").into_bytes(),
            b"M\xFCller; ".to_vec().iter().fold(b"\"".to_vec(), |mut cell, byte| {
                cell.push(*byte);
                cell
            }),
            format!("\"\"S\u{f6}hne\"\"\";1.{number:03},50;{:02}.10.2026;", number % 28 + 1)
                .chars()
                .map(|c| c as u8)
                .collect(),
            b"K\xF6ln\r\n".to_vec(),
        ];
        data.extend(row.concat());
    }
    data.extend(b"Summe: 59\r\n");
    let path = write(&folder, "kunden 2026.csv", &data);
    let report = inspected(&path);
    assert_eq!(report["kind"], "csv");
    let about = ["encoding", "line ends", "delimiter", "quote", "preamble", "header", "footer"];
    assert_eq!(
        about.map(|about| found(&report, about)),
        ["windows-1252", "CRLF", ";", "\"", "2 lines", "yes", "1 lines"]
    );
    let columns: Vec<_> = report["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["name"].as_str().unwrap(), c["type"].as_str().unwrap()))
        .collect();
    let expected =
        [("Kundennr", "string"), ("Name", "string"), ("Limit", "decimal(6,2)"), ("Seit", "date"), ("Ort", "string")];
    assert_eq!(columns, expected);
    assert_eq!(
        (&report["columns"][3]["format"], &report["columns"][2]["decimal_point"]),
        (&"%d.%m.%Y".into(), &",".into())
    );
    let records = decoded(&report, folder.path());
    assert_eq!(records.len(), 59);
    assert_eq!(
        records[0],
        serde_json::json!({"Kundennr":"00001","Name":"Müller; \"Söhne\"","Limit":"1.001,50","Seit":"02.10.2026","Ort":"Köln"})
    );
    let toml = report["toml"].as_str().unwrap();
    assert_eq!(
        toml,
        "[source]\nbackend = \"BACKEND\"\ndecimal_point = \",\"\ngrouping = \".\"\n[source.csv]\nfiles = \"kunden*.csv\"\nencoding = \"windows-1252\"\ndelimiter = \";\"\npreamble_lines = 2\nfooter_lines = 1\ncolumns = [\"Kundennr\", \"Name\", \"Limit\", \"Seit\", \"Ort\"]\nheader_match = \"identical\"\n"
    );
    // The table does in a mapping what the command does.
    let head = "resource = \"customers\"\nversion = 1\nkey = [\"no\"]\n";
    let fields = "[fields]\nno = { from = \"Kundennr\" }\nlimit = { from = \"Limit\", type = \"decimal(6,2)\" }\n";
    let mapping = format!("{head}{}{fields}", toml.replace("BACKEND", "erp"));
    let site = Site::with_mappings(&[("customers.v1.toml", &mapping)]);
    let (records, code) = site.json(&["preview", "customers", path.to_str().unwrap()]);
    assert_eq!((code, records.len(), &records[0]), (0, 59, &serde_json::json!({"no":"00001","limit":1001.50})));
    let shown = text(&tollbridge(&["inspect", path.to_str().unwrap()]).stdout);
    assert!(shown.contains("\nIn a mapping:\n\n[source]\n") && shown.contains("date %d.%m.%Y"), "{shown}");
}

#[test]
fn dialects_of_all_kinds_and_commands_that_read_them() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, data: &[u8], about: &[(&str, &str)], records: usize, first: &str| {
        let path = write(&folder, name, data);
        let report = inspected(&path);
        for (about, expected) in about {
            assert_eq!(found(&report, about), *expected, "{name} {about}");
        }
        let lines = decoded(&report, folder.path());
        assert_eq!((lines.len(), lines[0].to_string()), (records, first.to_owned()), "{name}");
    };
    check(
        "tabs.txt",
        b"a\tb\n1\t2,5\n2\t3,5\n",
        &[("delimiter", "tab"), ("line ends", "LF")],
        2,
        r#"{"a":"1","b":"2,5"}"#,
    );
    check(
        "wide.txt",
        b"x||y\r1||a|b\r2||c\r",
        &[("delimiter", "||"), ("line ends", "CR")],
        2,
        r#"{"x":"1","y":"a|b"}"#,
    );
    check(
        "bare.csv",
        b"1,a,5\n2,b,6\n3,a,7\n",
        &[("header", "no")],
        3,
        r#"{"column_1":"1","column_2":"a","column_3":"5"}"#,
    );
    check(
        "notes.csv",
        b"# by hand\nno,name\n1,\"say \\\"a\\\", b\"\n# note\n2,\"\\\"\"\nno,name\n3,c\n",
        &[("comments", "#"), ("escape", "\\"), ("repeated header", "1 rows")],
        3,
        r#"{"no":"1","name":"say \"a\", b"}"#,
    );
    check("units.csv", b"a\x1Fb\n1\x1Fx\n2\x1Fy\n", &[("delimiter", "\"\\u{1f}\"")], 2, r#"{"a":"1","b":"x"}"#);
    check("nul.csv", b"a,b\n1,x\0\n2,y\n", &[("NUL", "1 characters")], 2, r#"{"a":"1","b":"x"}"#);
    let utf16: Vec<u8> =
        "\u{feff}no;wert\r\n1;3,50 €\r\n2;4,00 €\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check("excel.csv", &utf16, &[("encoding", "utf-16"), ("delimiter", ";")], 2, r#"{"no":"1","wert":"3,50 €"}"#);
    check(
        "cp850.csv",
        b"no;ort\n1;K\x94ln\n2;Z\x81rich\n3;M\x81nchen\n",
        &[("encoding", "cp850")],
        3,
        r#"{"no":"1","ort":"Köln"}"#,
    );
}

#[test]
fn columns_and_records_without_delimiters() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String =
        (0..50).map(|n| format!("{n:06}  {:<12}{:>8}.50\n", ["Hammer", "Saw", "Pliers"][n % 3], n * 7)).collect();
    let path = write(&folder, "stock.txt", lines.as_bytes());
    let report = inspected(&path);
    assert_eq!((&report["kind"], &found(&report, "line length")[..]), (&"fixed_width".into(), "31 characters"));
    assert_eq!(report["spec"], serde_json::json!(["field_1,1,8", "field_2,9,17", "field_3,26,6"]));
    let spec: Vec<_> = report["spec"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    write(&folder, "fields.spec", spec.join("\n").as_bytes());
    let records = decoded(&report, folder.path());
    assert_eq!(records[1], serde_json::json!({"field_1":"000001","field_2":"Saw","field_3":"7.50"}));

    // A title before the lines, and the ruler in place of the list.
    let path = write(&folder, "titled.txt", format!("Stock\n{lines}").as_bytes());
    let report = inspected(&path);
    write(&folder, "fields.spec", b"NO     ARTICLE           PRICE\n------  ==========       ------\n");
    let records = decoded(&report, folder.path());
    assert_eq!(records[1], serde_json::json!({"NO":"000001","ARTICLE":"Saw","PRICE":"7.50"}));

    let orders = inspected(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo/data/ORD20261031.DAT"));
    assert_eq!(orders["kind"], "records");
    // The demo's generator writes 280 bytes a record, and cuts nothing off.
    assert_eq!(found(&orders, "record length"), "280 bytes");
    assert!(orders["toml"].as_str().unwrap().contains("[source.cobol]\nfiles = \"ORD*.DAT\"\ncopybook = "));
}

/// A CSV file of a host: its lines end with NL.
#[test]
fn csv_in_ebcdic_is_csv() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (1..40).map(|n| format!("{n};ARTICLE {n};{}.50\u{85}", n * 3)).collect();
    let page = tollbridge::decode::CodePage::find("cp037").unwrap();
    let data = page.encode(&format!("NO;NAME;PRICE\u{85}{rows}")).unwrap();
    assert_eq!((data[0], data[13]), (0xD5, 0x15));
    let report = inspected(&write(&folder, "host.csv", &data));
    assert_eq!((&report["kind"], found(&report, "delimiter").as_str()), (&"csv".into(), ";"));
    let records = decoded(&report, folder.path());
    assert_eq!(
        (records.len(), &records[1]),
        (39, &serde_json::json!({"NO": "2", "NAME": "ARTICLE 2", "PRICE": "6.50"}))
    );
}

/// What is proposed for a workbook and an XML file decodes them.
#[test]
fn workbooks_and_xml_are_outlined() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let folder = tempfile::tempdir().unwrap();
    let expected = std::fs::read_to_string(fixtures.join("decode/excel/rows.ndjson")).unwrap();
    for name in ["rows.xlsx", "rows.ods"] {
        std::fs::copy(fixtures.join("decode/excel").join(name), folder.path().join(name)).unwrap();
        let report = inspected(&folder.path().join(name));
        assert_eq!(report["kind"], "excel");
        assert_eq!(found(&report, "sheet"), "Notes");
        let column = &report["columns"][3];
        assert_eq!(
            (&column["name"], &column["type"], &column["format"]),
            (&"Am".into(), &"date".into(), &"%Y-%m-%d".into())
        );
        assert!(report["toml"].as_str().unwrap().ends_with("sheet = \"Data\"\nrange = \"A3:H\"\n"), "{report}");
        let records = decoded(&report, folder.path());
        let first: serde_json::Value = serde_json::from_str(expected.lines().next().unwrap()).unwrap();
        assert_eq!((records.len(), &records[0]), (expected.lines().count(), &first));
    }
    let xml = write(&folder, "orders.xml", b"<a><h>x</h><o n='1'><l>1</l><l>2</l></o><o n='2'><l>3</l></o></a>");
    let report = inspected(&xml);
    assert_eq!(found(&report, "record_path"), "/a/o");
    let records = decoded(&report, folder.path());
    assert_eq!(records, [serde_json::json!({"@n": "1", "l": ["1", "2"]}), serde_json::json!({"@n": "2", "l": ["3"]})]);
}

#[test]
fn idocs_that_do_not_say_who_they_are_from() {
    let folder = tempfile::tempdir().unwrap();
    let mut control = [b' '; 524];
    let mut put = |at: usize, text: &[u8]| control[at..at + text.len()].copy_from_slice(text);
    put(0, b"EDI_DC40");
    put(13, b"0000000000000001");
    put(39, b"ORDERS05");
    put(99, b"ORDERS");
    put(277, b"SHOP");
    let report = inspected(&write(&folder, "one.idoc", &[&control[..], b"\n"].concat()));
    assert_eq!((report["kind"].as_str(), found(&report, "partners").as_str()), (Some("idoc"), "(nobody) to SHOP 1"));
}

#[test]
fn other_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, data: &[u8], kind: &str| assert_eq!(inspected(&write(&folder, name, data))["kind"], kind);
    check("a.gz", b"\x1F\x8B\x08\0", "gzip");
    check("b.xml", b"<?xml version='1.0'?><a/>", "xml");
    check("c.edi", b"UNB+UNOC:3+A+B+261031:1200+1'", "edifact");
    check("empty.csv", b"", "empty");
    check("noise", &[1, 2, 3, 0, 255, 254, 4, 5, 6, 7, 8, 200, 14, 15, 16], "binary");
    check("prose.txt", b"This is a text.\nIt has lines, and nothing more.\nNo table at all\n", "text");
    let output = tollbridge(&["inspect", "/does/not/exist"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot read /does/not/exist"));
    // A copybook is a copybook by what it says, too.
    let copybook = write(&folder, "layout.txt", b"000100 01  REC.\n000200     05  A PIC X(3).\n");
    assert!(text(&tollbridge(&["inspect", copybook.to_str().unwrap()]).stdout).contains("X(3)"));
}

/// The standard input is looked at like a file: text, what is packed, and copybooks.
#[test]
fn the_standard_input() {
    use std::io::Write;
    use std::process::Stdio;
    let look = |input: &[u8]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
        command.args(["inspect", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
        text(&output.stdout)
    };
    let csv = look(b"no;name\n1;Saw\n2;Axe\n");
    assert!(
        csv.starts_with("-: delimited text, 20 bytes\n") && csv.contains("tollbridge decode - --format csv"),
        "{csv}"
    );
    let copybook = look(b"       01 R.\n          05 A PIC X(4).\n");
    assert!(copybook.contains("X(4)") && copybook.contains("LEVEL"), "{copybook}");
}

/// Nothing rejects blanks where a number uses all its bits, so they are told before anything is mapped.
#[test]
fn numbers_that_are_filled_with_blanks_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let copybook = "01 R. 05 A PIC X(4). 05 N PIC S9(9) COMP-5. 05 F COMP-2. 05 P PIC S9(3) COMP-3. 05 C BINARY-CHAR.";
    std::fs::write(path("r.cpy"), copybook).unwrap();
    let record = |number: &[u8], float: &[u8]| [b"\xC1\xC2\x40\x40", number, float, b"\x12\x3C\x40"].concat();
    let (blank, float) = ([0x40; 8], b"\x41\x10\0\0\0\0\0\0");
    let all = [record(&blank[..4], float), record(b"\0\0\0\x07", &blank), record(&blank[..4], float)];
    std::fs::write(path("data"), all.concat()).unwrap();
    let inspect = |more: &[&str]| {
        let output = tollbridge(&[&["inspect", &path("data"), "--copybook", &path("r.cpy")], more].concat());
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
        text(&output.stdout)
    };
    let shown = inspect(&[]);
    let told: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("blanks: ")).collect();
    assert_eq!(told.len(), 2, "{shown}");
    for (told, start) in told.iter().zip(["N is filled with blanks in 2 of 3", "F is filled with blanks in 1 of 3"]) {
        assert!(told.starts_with(start), "{told}");
    }
    let evidence: serde_json::Value = serde_json::from_str(&inspect(&["--json"])).unwrap();
    assert_eq!(
        evidence["filled_with_blanks"],
        serde_json::json!([{ "field": "N", "records": 2, "sample": 3 }, { "field": "F", "records": 1, "sample": 3 }])
    );
    // What they are told to say decides.
    let decode = |more: &[&str]| {
        let output = tollbridge(&[&["decode", &path("data"), "--copybook", &path("r.cpy")], more].concat());
        text(&output.stdout).lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(decode(&[]), r#"{"A":"AB","N":1077952576,"F":1.0,"P":123,"C":64}"#);
    assert_eq!(decode(&["--blank", "null"]), r#"{"A":"AB","N":null,"F":1.0,"P":123,"C":64}"#);
}
