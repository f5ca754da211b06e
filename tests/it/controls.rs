//! What a file of several record types must balance to: judged exactly, before anything of the file is visible.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use tollbridge::decode::{Item, Resume};
use tollbridge::diagnostic::{Faults, SourceText};
use tollbridge::mapping::{self, Plan};

use crate::site::Site;

/// In ASCII, one record a line, so that the files below can be read.
const COPYBOOK: &str = "
       01 FH.
          05 TYP PIC X.
          05 SEQ PIC 9(3).
       01 BH.
          05 TYP PIC X.
          05 BNO PIC 9(2).
       01 EN.
          05 TYP PIC X.
          05 NO PIC 9(2).
          05 ACCT PIC 9(4).
          05 AMT PIC S9(3)V99 SIGN LEADING SEPARATE.
       01 BT.
          05 TYP PIC X.
          05 CNT PIC 9(2).
          05 TOT PIC S9(5)V99 SIGN LEADING SEPARATE.
          05 HSH PIC 9(4).
       01 FT.
          05 TYP PIC X.
          05 BATCHES PIC 9(2).
          05 RECORDS PIC 9(4).
          05 GRAND PIC S9(5)V99 SIGN LEADING SEPARATE.
";

const SOURCE: &str = r#"
resource = "batches"
version = 1
key = ["no"]
[source]
backend = "erp"
[source.cobol]
files = "*.TXT"
copybook = "c.cpy"
framing = "line"
encoding = "ascii"
segment_field = "TYP"
segment_map = { H = "FH", B = "BH", E = "EN", T = "BT", Z = "FT" }
"#;

const NESTED: &str = "segment_children = { BH = ['EN', 'BT'] }\nskip = \"TYP in ('H', 'Z')\"\n";
const FLAT: &str = "skip = \"TYP != 'B'\"\n";
const FIELDS: &str = "[fields]\nno = { from = 'BNO' }\n";

const CONTROLS: &str = r#"
controls = [
  { count = "EN", equals = "BT.CNT", within = "BH" },
  { sum = "EN.AMT", equals = "BT.TOT", within = "BH" },
  { hash = "EN.ACCT", digits = 4, equals = "BT.HSH", within = "BH" },
  { sequence = "EN.NO", within = "BH", first = 1 },
  { sequence = "BH.BNO" },
  { count = "BH", equals = "FT.BATCHES" },
  { count = "*", equals = "FT.RECORDS" },
  { sum = ["EN.AMT"], equals = "FT.GRAND" },
  { file_sequence = "FH.SEQ" },
]
"#;

fn compile(source: &str) -> Result<Plan, Vec<String>> {
    let text = SourceText::new(Path::new("m.toml"), source.to_owned());
    let copybook = SourceText::new(Path::new("c.cpy"), COPYBOOK.to_owned());
    let faults = Faults::new();
    let plan = mapping::compile(&text, &|_| Some(Arc::clone(&copybook)), &faults);
    plan.ok_or_else(|| faults.into_sorted().iter().map(ToString::to_string).collect())
}

/// The verdict of the controls over a file: `code: expected / found (field) at line`.
fn verdict(plan: &Plan, file: &str) -> Result<i64, String> {
    let mut reader = plan.decoder.reader(Cursor::new(file.as_bytes()), Resume::default()).unwrap();
    let mut mapper = plan.mapper();
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::Record(record) => drop(mapper.map(&record)),
            Item::Reject(reject) => mapper.controls_mut().unwrap().add_undecodable(reject.position),
            Item::Skipped => {}
        }
    }
    let controls = mapper.controls().unwrap();
    controls.verdict().map(|()| controls.file_sequence().unwrap_or(-1)).map_err(|reject| {
        let field = reject.field.unwrap_or_default();
        format!("{}: {} / {} ({field})", reject.code.as_str(), reject.expected, reject.found)
    })
}

/// Two batches, 0.10 + -5.00 and 999.99, of accounts 9999 + 1 and 42; ten records in all.
const GOOD: &str =
    "H017\nB01\nE019999+00010\nE020001-00500\nT02-00004900000\nB02\nE010042+99999\nT01+00999990042\nZ020009+0099509\n";

#[test]
fn balanced_files_nested_and_side_by_side() {
    for children in [NESTED, FLAT] {
        let plan = compile(&format!("{SOURCE}{children}{CONTROLS}{FIELDS}")).unwrap();
        assert_eq!(verdict(&plan, GOOD), Ok(17));
    }
}

#[test]
fn what_is_expected_and_what_is_found() {
    let check = |change: &[(&str, &str)], expected: &str| {
        let mut file = GOOD.to_owned();
        for (from, to) in change {
            assert!(file.contains(from), "{from}");
            file = file.replacen(from, to, 1);
        }
        for children in [NESTED, FLAT] {
            let plan = compile(&format!("{SOURCE}{children}{CONTROLS}{FIELDS}")).unwrap();
            assert_eq!(verdict(&plan, &file).unwrap_err(), expected, "{children} {file}");
        }
    };
    check(&[("T02", "T03")], "control.total: 3 records EN, as BT.CNT says / 2 (EN)");
    check(&[("E020001-00500\n", "")], "control.total: 2 records EN, as BT.CNT says / 1 (EN)");
    check(&[("-0000490", "-0000491")], "control.total: the total -4.91 of EN.AMT, as BT.TOT says / -4.90 (EN.AMT)");
    check(&[("E019999", "E019998")], "control.total: the hash total 0 of EN.ACCT, as BT.HSH says / 9999 (EN.ACCT)");
    check(&[("E02", "E03")], "control.sequence: 2 in EN.NO, one more than before / 3 (EN.NO)");
    check(&[("E010042", "E020042")], "control.sequence: 1 in EN.NO, the first one / 2 (EN.NO)");
    check(&[("B02", "B04")], "control.sequence: 2 in BH.BNO, one more than before / 4 (BH.BNO)");
    check(&[("Z02", "Z01")], "control.total: 1 records BH, as FT.BATCHES says / 2 (BH)");
    check(&[("0009+", "0010+")], "control.total: 10 records *, as FT.RECORDS says / 9 (*)");
    check(&[("+0099509", "+0099510")], "control.total: the total 995.10 of EN.AMT, as FT.GRAND says / 995.09 (EN.AMT)");
    // A missing trailer: of a group, of the file.
    check(
        &[("T02-00004900000\n", "")],
        "control.missing_trailer: a trailer BT before the next BH / none in the BH of record 2 (EN)",
    );
    check(&[("Z020009+0099509\n", "")], "control.missing_trailer: a trailer FT / the end of the file without it (BH)");
    check(
        &[("H017\n", ""), ("0009+", "0008+")],
        "control.sequence: the file's number in FH.SEQ / no such record in the file (FH.SEQ)",
    );
    // Something behind the trailer.
    check(
        &[("0099509\n", "0099509\nB03\nT00+00000000000\n")],
        "control.total: no records to count behind the trailer FT / one behind it (BH)",
    );
    check(
        &[("T01+00999990042\n", "T01+00999990042\nT01+00999990042\n")],
        "control.total: one trailer BT for each BH / another one (EN)",
    );
    // A summand that is none: the total cannot be verified.
    check(
        &[("-00500", "-00x00")],
        "control.total: a number in EN.AMT / no digit: 78 at byte 4 of 2D3030783030 (EN.AMT)",
    );
}

#[test]
fn records_that_cannot_be_read_are_told_of() {
    let plan = compile(&format!("{SOURCE}{NESTED}{CONTROLS}{FIELDS}")).unwrap();
    // An unknown record in the middle of a batch: none of the batch's records can be vouched for.
    let file = GOOD.replacen("E020001", "X\nE020001", 1);
    let found = verdict(&plan, &file).err().unwrap();
    assert_eq!(found, "control.total: 2 records BH, as FT.BATCHES says / 1, and 1 records that could not be read (BH)");
}

#[test]
fn totals_are_exact_and_never_overflow_unseen() {
    let controls = "controls = [{ hash = \"EN.ACCT\", digits = 37, equals = \"BT.HSH\", within = \"BH\" }]\n";
    let plan = compile(&format!("{SOURCE}{NESTED}{controls}{FIELDS}")).unwrap();
    assert_eq!(verdict(&plan, "B01\nE019999+00010\nT01+00000109999\n"), Ok(-1));
}

#[test]
fn controls_that_are_written_wrong() {
    let check = |controls: &str, expected: &str| {
        let found = compile(&format!("{SOURCE}{NESTED}controls = [{controls}]\n{FIELDS}")).err().unwrap();
        assert!(found.iter().any(|fault| fault.contains(expected)), "{found:?}");
    };
    check("{ count = 'EX', equals = 'BT.CNT' }", "there is no record type `EX` (did you mean");
    check("{ count = 'EN' }", "`count` needs `equals`");
    check("{ sum = 'AMT', equals = 'BT.TOT' }", "`AMT` does not say of which record type");
    check("{ sum = 'EN.AMTS', equals = 'BT.TOT' }", "the copybook has no `AMTS` (did you mean `AMT`?)");
    check("{ hash = 'EN.ACCT', equals = 'BT.HSH' }", "`hash` needs `digits`");
    check("{ sequence = 'EN.NO', equals = 'BT.CNT' }", "`equals` has no place beside `sequence`");
    check("{ sequence = ['EN.NO', 'BH.BNO'] }", "`sequence` takes one field");
    check("{ count = 'EN', sum = 'EN.AMT', equals = 'BT.CNT' }", "takes only one of `count`, `sum`");
    check("{ file_sequence = 'FH.SEQ' }, { file_sequence = 'BH.BNO' }", "a file has one `file_sequence`");
    let plain = SOURCE.replace("segment_field = \"TYP\"\n", "record = 'EN'\n");
    let plain: String =
        plain.lines().filter(|line| !line.starts_with("segment_map")).map(|l| format!("{l}\n")).collect();
    let fields = "[fields]\nno = { from = 'NO' }\n";
    let found = compile(&format!("{plain}controls = [{{ count = 'EN', equals = 'BT.CNT' }}]\n{fields}")).err().unwrap();
    assert!(found[0].contains("`controls` need record types"), "{found:?}");
}

fn numbered(number: u32) -> String {
    // Each file brings batches of its own.
    GOOD.replace("H017", &format!("H{number:03}"))
        .replace("B01", &format!("B{:02}", number % 40 * 2))
        .replace("B02", &format!("B{:02}", number % 40 * 2 + 1))
}

#[test]
fn a_file_that_does_not_balance_is_refused_whole_and_files_come_in_turn() {
    let site = Site::with_mappings(&[("batches.v1.toml", &format!("{SOURCE}{NESTED}{CONTROLS}{FIELDS}"))]);
    site.write("mappings/c.cpy", COPYBOOK.as_bytes());
    let sync = |name: &str, content: &str| {
        site.deliver(name, content.as_bytes());
        let (summary, code) = site.json(&["sync", "batches"]);
        let counts = ["read", "staged", "dead", "skipped", "refused_records"];
        let counts = counts.map(|name| summary[0][name].as_u64().unwrap());
        (counts, code)
    };
    let newest = || {
        let (letters, _) = site.json(&["dead-letters", "list"]);
        let letter = letters.iter().max_by_key(|letter| letter["id"].as_i64()).unwrap().clone();
        format!(
            "{} {} / {}",
            letter["code"].as_str().unwrap(),
            letter["expected"].as_str().unwrap(),
            letter["found"].as_str().unwrap()
        )
    };
    assert_eq!(sync("F017.TXT", &numbered(17)), ([4, 2, 0, 2, 0], 0));
    // Not balanced: nothing of it is staged.
    assert_eq!(sync("F018.TXT", &numbered(18).replace("T02", "T03")), ([4, 0, 0, 4, 2], 1));
    assert_eq!(newest(), "control.total 3 records EN, as BT.CNT says / 2");
    // Out of turn.
    assert_eq!(sync("F019.TXT", &numbered(19)), ([4, 0, 0, 4, 2], 1));
    assert_eq!(newest(), "control.sequence file number 18, one more than that of the file before / file number 19");
    // Mended, then the next; both take their turn.
    assert_eq!(sync("F018.TXT", &numbered(18)), ([4, 2, 0, 2, 0], 0));
    assert_eq!(sync("F019.TXT", &numbered(19)), ([4, 2, 0, 2, 0], 0));
    // A file that was staged may be read again.
    site.deliver("F018.TXT", numbered(18).as_bytes());
    let (summary, code) = site.json(&["sync", "batches", "--full"]);
    assert_eq!((summary[0]["unchanged"].as_u64(), code), (Some(2), 0), "{summary:?}");
    // Breaks off: without its trailer it is no file.
    let cut: String = numbered(20).lines().take(5).map(|line| format!("{line}\n")).collect();
    assert_eq!(sync("F020.TXT", &cut).1, 1);
    assert!(newest().starts_with("control.missing_trailer a trailer FT"), "{}", newest());
    // The log tells what was due as well as what was found.
    site.deliver("F021.TXT", numbered(21).as_bytes());
    let output = site.run(&["sync", "batches"]);
    let log = String::from_utf8_lossy(&output.stderr);
    let line = log.lines().find(|line| line.contains("refused a file as a whole")).unwrap_or_else(|| panic!("{log}"));
    assert!(
        line.contains("expected file number 20, one more than that of the file before, found file number 21"),
        "{line}"
    );
}
