//! Files of several record types: decoded, inspected, and mapped to nested documents.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::site::Site;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/decode/segments").join(name)
}

fn tollbridge(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollbridge")).args(arguments).output().unwrap()
}

const MAP: &[&str] =
    &["FH=FILE-HEADER", "BH=BATCH-HEADER", "EN=ENTRY-REC", "AD=ADDENDA-REC", "BT=BATCH-TRAILER", "FT=FILE-TRAILER"];

/// `decode`, or `inspect`, of the bank's file with its record types.
fn bank(command: &str, more: &[&str]) -> Output {
    let (data, copybook) = (fixture("bank.dat"), fixture("bank.cpy"));
    let mut arguments = vec![command, data.to_str().unwrap(), "--copybook", copybook.to_str().unwrap()];
    arguments.extend(["--segment-field", "REC-TYPE"]);
    MAP.iter().for_each(|pair| arguments.extend(["--segment-map", pair]));
    arguments.extend(more);
    tollbridge(&arguments)
}

const NESTED: &[&str] =
    &["--segment-children", "BATCH-HEADER=ENTRY-REC,BATCH-TRAILER", "--segment-children", "ENTRY-REC=ADDENDA-REC"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn records_of_several_types_side_by_side_and_nested() {
    let read = |name: &str| std::fs::read_to_string(fixture(name)).unwrap();
    // Both were written by another program.
    let flat = bank("decode", &["--framing", "rdw-be"]);
    assert_eq!((text(&flat.stdout), text(&flat.stderr)), (read("bank.flat.ndjson"), String::new()));
    let nested = bank("decode", &[NESTED, &["--framing", "rdw-be", "--rdw-adjust", "-4"]].concat());
    assert_eq!((text(&nested.stdout), text(&nested.stderr)), (read("bank.ndjson"), String::new()));
    for threads in ["2", "5"] {
        let on_threads = bank("decode", &[NESTED, &["--framing", "rdw-be", "--threads", threads]].concat());
        assert_eq!(text(&on_threads.stdout), read("bank.ndjson"));
    }
    let entries = bank("decode", &["--framing", "rdw-be", "--filter", "REC-TYPE=EN"]);
    let expected = read("bank.flat.ndjson")
        .lines()
        .filter(|line| line.contains(r#""EN""#))
        .map(|l| format!("{l}\n"))
        .collect::<String>();
    assert_eq!(text(&entries.stdout), expected);
}

#[test]
fn the_framing_is_found_out_and_its_evidence_shown() {
    let found = bank("decode", &[NESTED, &["--framing", "auto"]].concat());
    assert_eq!(text(&found.stdout), std::fs::read_to_string(fixture("bank.ndjson")).unwrap());
    let said = "framing rdw-be, rdw_adjust -4: consumes the file exactly, 17 records; 17 of the first 17 are as the copybook says; no other does both\n";
    assert_eq!(text(&found.stderr), said);

    let shown = bank("inspect", &[]);
    assert_eq!(shown.status.code(), Some(0));
    let table = text(&shown.stdout);
    assert!(table.ends_with("\nframing: rdw-be, rdw_adjust -4\n"), "{table}");
    assert!(table.contains("fixed") && table.contains("at byte 416 expected a record of 32 bytes"), "{table}");
    let shown = bank("inspect", &["--json"]);
    let evidence: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(evidence["framing"], "rdw-be, rdw_adjust -4");
    assert_eq!(evidence["candidates"][3]["records"], 17);

    // Four bytes of text are a line and a record.
    let folder = tempfile::tempdir().unwrap();
    let (data, copybook) = (folder.path().join("d"), folder.path().join("c"));
    std::fs::write(&data, b"abcd").unwrap();
    std::fs::write(&copybook, "01 R. 05 A PIC X(4).").unwrap();
    let (data, copybook) = (data.to_str().unwrap(), copybook.to_str().unwrap());
    let options = [data, "--copybook", copybook, "--encoding", "ascii"];
    let several = tollbridge(&[&["decode"], &options[..], &["--framing", "auto"]].concat());
    assert_eq!((several.status.code(), text(&several.stdout)), (Some(2), String::new()));
    let said = text(&several.stderr);
    assert!(said.contains("more than one framing explains the file") && said.contains("line: consumes"), "{said}");
    assert_eq!(tollbridge(&[&["inspect"], &options[..]].concat()).status.code(), Some(1));
}

#[test]
fn documents_become_the_file_that_they_came_from() {
    let (nested, copybook) = (fixture("bank.ndjson"), fixture("bank.cpy"));
    let encode = |more: &[&str]| {
        let mut arguments = vec!["encode", nested.to_str().unwrap(), "--copybook", copybook.to_str().unwrap()];
        arguments.extend(["--segment-field", "REC-TYPE"]);
        MAP.iter().for_each(|pair| arguments.extend(["--segment-map", pair]));
        arguments.extend(NESTED);
        arguments.extend(more);
        tollbridge(&arguments)
    };
    let written = encode(&["--framing", "rdw-be"]);
    assert_eq!(text(&written.stderr), "");
    assert_eq!(written.stdout, std::fs::read(fixture("bank.dat")).unwrap());
    let refused = encode(&["--framing", "auto"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("say with --framing how it is to be written"));
}

#[test]
fn options_that_do_not_fit() {
    let check = |options: &[&str], expected: &str| {
        let (data, copybook) = (fixture("bank.dat"), fixture("bank.cpy"));
        let start = ["decode", data.to_str().unwrap(), "--copybook", copybook.to_str().unwrap()];
        let output = tollbridge(&[&start, options].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    check(&[], "the copybook has several records: choose one with --record");
    check(&["--segment-map", "A=B"], "--segment-map needs --segment-field");
    check(&["--segment-field", "REC-TYPE"], "--segment-field needs --segment-map");
    check(&["--segment-field", "REC-TYP", "--segment-map", "FH=FILE-HEADER"], "did you mean `REC-TYPE`?");
    check(&["--segment-field", "REC-TYPE", "--segment-map", "FH=FILE-HEADR"], "did you mean `FILE-HEADER`?");
    check(&["--segment-map", "FH"], "is not of the form NAME=VALUE");
    check(&["--framing", "length-field"], "framing `length-field` needs `length_field`");
    check(&["--frame-header", "4:3:2", "--framing", "header"], "the length ends behind the header's 4 bytes");
}

const MAPPING: &str = r#"
resource = "batches"
version = 1
key = ["number"]

[source]
backend = "erp"

[source.cobol]
files = "*.DAT"
copybook = "bank.cpy"
framing = "auto"
segment_field = "REC-TYPE"
segment_map = { FH = "FILE-HEADER", BH = "BATCH-HEADER", EN = "ENTRY-REC", AD = "ADDENDA-REC", BT = "BATCH-TRAILER", FT = "FILE-TRAILER" }
segment_children = { BATCH-HEADER = ["ENTRY-REC", "BATCH-TRAILER"], ENTRY-REC = "ADDENDA-REC" }
skip = "REC-TYPE in ('FH', 'FT')"

[fields]
number = { from = "BATCH-NO", type = "integer" }
name = { from = "BATCH-NAME" }

[fields.entries]
from = "ENTRY-REC"
skip = "ACCOUNT = 5"

[fields.entries.each]
account = { from = "ACCOUNT", as = "string" }
amount = { from = "AMOUNT", type = "decimal(11,2)" }
batch = { from = "BATCH-NAME" }
notes = { from = "ADDENDA-REC", each = { text = { from = "NOTE" } } }
"#;

fn site(mapping: &str) -> Site {
    let site = Site::with_mappings(&[("batches.v1.toml", mapping)]);
    site.copy(&fixture("bank.cpy"), "mappings/bank.cpy");
    site
}

fn payroll() -> Value {
    json!({"number": 1, "name": "PAYROLL", "entries": [
        {"account": "12345678", "amount": 150.00, "batch": "PAYROLL", "notes": [{"text": "Müller & Söhne"}]},
        {"account": "87654321", "amount": -2.50, "batch": "PAYROLL", "notes": []},
    ]})
}

#[test]
fn a_mapping_reads_nested_documents() {
    let site = site(MAPPING);
    let data = std::fs::read(fixture("bank.dat")).unwrap();
    site.write("by-hand", &data);
    let (shown, code) = site.json(&["preview", "batches.v1", "by-hand"]);
    assert_eq!((code, shown.len()), (0, 3), "{shown:?}");
    assert_eq!(shown[0], payroll());

    site.deliver("BANK1.DAT", &data);
    let (summary, code) = site.json(&["sync", "batches"]);
    assert_eq!(code, 0, "{summary:?}");
    let counts = ["read", "staged", "skipped", "dead"].map(|name| summary[0][name].as_u64().unwrap());
    assert_eq!(counts, [5, 3, 2, 0], "{summary:?}");
    let (trace, _) = site.json(&["trace", "batches", "1"]);
    let version = trace[0].to_string();
    // The document begins behind the file's header and its own descriptor word.
    assert!(version.contains("\"offset\":23"), "{version}");
}

#[test]
fn a_bad_record_takes_its_document_to_the_dead_letters_and_a_replay_brings_it_back() {
    let strict = MAPPING.replace("skip = \"ACCOUNT = 5\"", "").replace("type = \"decimal(11,2)\"", "max = 1000");
    let site = site(&strict);
    site.deliver("BANK1.DAT", &std::fs::read(fixture("bank.dat")).unwrap());
    let (summary, code) = site.json(&["sync", "batches"]);
    assert_eq!(code, 1, "{summary:?}");
    let (letters, _) = site.json(&["dead-letters", "list"]);
    let letter = &letters[0];
    let shown = letter.to_string();
    assert!(shown.contains("entries[2].amount") && shown.contains("99999.99"), "{shown}");
    let id = letter["id"].to_string();
    let (whole, _) = site.json(&["dead-letters", "show", &id]);
    let raw = whole[0].to_string();
    // All records of the document, from its header to its trailer: BH in EBCDIC first.
    assert!(raw.contains("c2c80001"), "{raw}");

    site.write("mappings/batches.v1.toml", MAPPING.as_bytes());
    let (replayed, code) = site.json(&["dead-letters", "replay", &id]);
    assert_eq!(code, 0, "{replayed:?}");
    let (trace, _) = site.json(&["trace", "batches", "1"]);
    assert_eq!(trace[0]["document"], payroll(), "{trace:?}");
}

/// The README's example of several record types, as it stands there, over the bank's file.
#[test]
fn the_readmes_example_runs() {
    let readme = crate::readme::readme();
    let (_, behind) = readme.split_once("```toml\n[source.cobol]\nfiles = \"BANK*.DAT\"").unwrap();
    let (example, _) = behind.split_once("```").unwrap();
    let head = "resource = \"batches\"\nversion = 1\nkey = [\"number\"]\n[source]\nbackend = \"erp\"\n";
    let site = site(&format!("{head}[source.cobol]\nfiles = \"BANK*.DAT\"{example}"));
    let data = std::fs::read(fixture("bank.dat")).unwrap();
    site.deliver("BANK17.DAT", &data);
    let (summary, code) = site.json(&["sync", "batches"]);
    assert_eq!((summary[0]["staged"].as_u64(), code), (Some(3), 0), "{summary:?}");
    let (trace, _) = site.json(&["trace", "batches", "3"]);
    let notes = &trace[0]["document"]["entries"][1]["notes"];
    assert_eq!(notes, &json!([{ "text": "x".repeat(30) }]), "{trace:?}");

    // One cent more in an entry, the file's number one higher: it no longer balances.
    let mut wrong = data.clone();
    let amount = wrong.windows(6).position(|bytes| bytes == b"\x00\x00\x00\x15\x00\x0C").unwrap();
    wrong[amount + 5] = 0x1C;
    wrong[10] += 1;
    site.deliver("BANK18.DAT", &wrong);
    let (_, code) = site.json(&["sync", "batches"]);
    let (letters, _) = site.json(&["dead-letters", "list"]);
    assert_eq!((code, letters[0]["code"].as_str()), (1, Some("control.total")), "{letters:?}");
    assert_eq!(letters[0]["expected"], "the total 100147.49 of ENTRY-REC.AMOUNT, as BATCH-TRAILER.T-TOTAL says");
}

#[test]
fn lines_of_fixed_columns_have_types_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let spec = "T,1,1\nNO,2,3,ORDER\nSKU,2,4,LINE\nQTY,6,2,LINE\n";
    std::fs::write(path("spec"), spec).unwrap();
    std::fs::write(path("data"), "O001\nLSAW1 2\nLNAIL99\nO002\n").unwrap();
    let (data, spec) = (path("data"), path("spec"));
    let start = ["decode", &data, "--spec", &spec, "--segment-field", "T", "--segment-map", "O=ORDER"];
    let nested = ["--segment-map", "L=LINE", "--segment-children", "ORDER=LINE"];
    let expected = concat!(
        r#"{"T":"O","NO":"001","LINE":[{"T":"L","SKU":"SAW1","QTY":"2"},{"T":"L","SKU":"NAIL","QTY":"99"}]}"#,
        "\n",
        r#"{"T":"O","NO":"002","LINE":[]}"#,
        "\n"
    );
    for threads in ["1", "2"] {
        let output = tollbridge(&[&start[..], &nested, &["--threads", threads]].concat());
        assert_eq!((text(&output.stdout), text(&output.stderr)), (expected.to_owned(), String::new()));
    }
    let output = tollbridge(&start);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("a record type `LINE` that `segment_map` does not have"));
}

/// The records of the bank's file, taken out of their descriptor words here.
fn bank_records() -> Vec<Vec<u8>> {
    let data = std::fs::read(fixture("bank.dat")).unwrap();
    let mut rest = data.as_slice();
    let mut records = Vec::new();
    while let [high, low, 0, 0, behind @ ..] = rest {
        let (record, next) = behind.split_at(usize::from(u16::from_be_bytes([*high, *low])) - 4);
        records.push(record.to_vec());
        rest = next;
    }
    assert_eq!((records.len(), rest), (17, &[][..]));
    records
}

/// The same records in every framing give the same documents, when the framing is said and when it is found out.
#[test]
fn every_framing_gives_the_same_documents() {
    let records = bank_records();
    let each = |frame: &dyn Fn(&[u8]) -> Vec<u8>| records.iter().flat_map(|record| frame(record)).collect::<Vec<u8>>();
    let blocks = |self_counted: u16| {
        let block = |chunk: &[Vec<u8>]| {
            let word = |length: usize| [(length as u16 + self_counted).to_be_bytes(), [0, 0]].concat();
            let inner: Vec<u8> =
                chunk.iter().flat_map(|record| [word(record.len()), record.clone()].concat()).collect();
            [word(inner.len()), inner].concat()
        };
        records.chunks(3).flat_map(block).collect::<Vec<u8>>()
    };
    let little =
        |extra: u16| move |record: &[u8]| [&[0, 0], &(record.len() as u16 + extra).to_le_bytes()[..], record].concat();
    let headed = |record: &[u8]| [b"#!", &(record.len() as u16 + 6).to_le_bytes()[..], b"..", record].concat();
    let padded = |record: &[u8]| [record, &vec![0x40; 32 - record.len()]].concat();
    let affixed = |record: &[u8]| [b"<", record, &vec![0x40; 32 - record.len()], b">>"].concat();
    let header: &[&str] = &["--frame-header", "6:2:2:little:frame"];
    let affixes: &[&str] =
        &["--record-prefix", "1", "--record-suffix", "2", "--header-bytes", "3", "--footer-bytes", "4"];
    let files: [(&str, Vec<u8>, &[&str]); 9] = [
        ("rdw-le", each(&little(0)), &[]),
        ("rdw-le", each(&little(4)), &["--rdw-adjust", "-4"]),
        ("rdw-be", each(&|record| [&(record.len() as u16).to_be_bytes()[..], &[0, 0], record].concat()), &[]),
        ("bdw", blocks(4), &[]),
        ("bdw", blocks(0), &[]),
        ("header", each(&headed), header),
        ("odo", records.concat(), &[]),
        ("fixed", each(&padded), &[]),
        ("fixed", [b"HDR".to_vec(), each(&affixed), b"ENDE".to_vec()].concat(), affixes),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    let expected = std::fs::read_to_string(fixture("bank.ndjson")).unwrap();
    for (framing, data, more) in files {
        std::fs::write(&path, data).unwrap();
        for framing in [framing, "auto"] {
            let copybook = fixture("bank.cpy");
            let mut arguments = vec!["decode", path.to_str().unwrap(), "--copybook", copybook.to_str().unwrap()];
            arguments.extend(["--segment-field", "REC-TYPE", "--framing", framing]);
            MAP.iter().for_each(|pair| arguments.extend(["--segment-map", pair]));
            arguments.extend(NESTED.iter().chain(more));
            let output = tollbridge(&arguments);
            assert_eq!(text(&output.stdout), expected, "{framing} {more:?}\n{}", text(&output.stderr));
        }
    }
}
