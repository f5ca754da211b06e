//! What `decode` takes of memory, whatever the format: as much for a small file as for a large one.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::site::peak_memory_of;

/// A format with a file of any length.
struct Case {
    name: &'static str,
    options: Vec<String>,
    /// Bytes of the smaller file; the larger one has six times as many.
    size: usize,
    head: &'static str,
    /// The record with this number, from 1.
    record: Box<dyn Fn(usize) -> Vec<u8>>,
    /// What is behind so many records.
    tail: fn(usize) -> String,
    /// `--threads 2` makes a difference.
    on_threads: bool,
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)).unwrap()
}

fn words(options: &str) -> Vec<String> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").display().to_string();
    options.split_whitespace().map(|word| word.replace("FIXTURES", &fixtures)).collect()
}

fn same(record: Vec<u8>) -> Box<dyn Fn(usize) -> Vec<u8>> {
    Box::new(move |_| record.clone())
}

const MIB: usize = 1 << 20;

fn cases() -> Vec<Case> {
    let nothing = |_| String::new();
    let bank = "--copybook FIXTURES/decode/segments/bank.cpy --framing rdw-be --rdw-adjust -4 --segment-field REC-TYPE \
                --segment-map FH=FILE-HEADER --segment-map BH=BATCH-HEADER --segment-map EN=ENTRY-REC \
                --segment-map AD=ADDENDA-REC --segment-map BT=BATCH-TRAILER --segment-map FT=FILE-TRAILER \
                --segment-children BATCH-HEADER=ENTRY-REC,BATCH-TRAILER --segment-children ENTRY-REC=ADDENDA-REC";
    let idocs = fixture("edi/orders.idoc");
    let second = memchr::memmem::find(&idocs[1..], b"EDI_DC40").unwrap() + 1;
    let case = |name, size, options: &str, record| Case {
        name,
        options: words(options),
        size,
        head: "",
        record,
        tail: nothing,
        on_threads: false,
    };
    vec![
        Case {
            on_threads: true,
            ..case(
                "cobol",
                2 * MIB,
                "--copybook FIXTURES/decode/orders.cpy",
                same(fixture("decode/orders.bin")[..263].to_vec()),
            )
        },
        Case { on_threads: true, ..case("nested records", MIB, bank, same(fixture("decode/segments/bank.dat"))) },
        Case {
            on_threads: true,
            head: "no;text;amount;day\n",
            ..case(
                "csv",
                2 * MIB,
                "--format csv --delimiter ;",
                Box::new(|number| format!("{number};\"a text\";1.234,50;2026-01-02\n").into_bytes()),
            )
        },
        Case {
            on_threads: true,
            ..case(
                "fixed width",
                2 * MIB,
                "--format fixed-width --spec SPEC",
                Box::new(|number| format!("ABCDEFGHsome text   {number:010}\n").into_bytes()),
            )
        },
        Case {
            head: "ISA*00*          *00*          *ZZ*BUYER          *14*4012345000016  *261101*0830*U*00401*000000042*0*P*|~\
                   GS*PO*BUYER*SELLER*20261101*0830*7*X*004010~",
            tail: |count| format!("GE*{count}*7~IEA*1*000000042~\n"),
            ..case(
                "x12",
                MIB,
                "--format edi",
                Box::new(|number| {
                    format!(
                        "ST*850*{number:09}~BEG*00*SA*PO-1001**20261001~N1*BT*Acme Corp~\
                         PO1*10*1*EA*1.62**VN*SKU-0011~CTT*1~SE*6*{number:09}~\n"
                    )
                    .into_bytes()
                }),
            )
        },
        Case {
            head: "UNB+UNOC:3+BUYER:ZZ+4012345000016:14+261101:0830+42'",
            tail: |count| format!("UNZ+{count}+42'\n"),
            ..case(
                "edifact",
                MIB,
                "--format edi",
                Box::new(|number| {
                    format!(
                        "UNH+{number}+ORDERS:D:96A:UN:EAN008'BGM+220+PO-1001+9'LIN+10++SKU-0011:SA'QTY+21:1'\
                         UNT+5+{number}'\n"
                    )
                    .into_bytes()
                }),
            )
        },
        case("idoc", 8 * MIB, "--format idoc --encoding latin1", same(idocs[..second].to_vec())),
        Case {
            head: "<a>",
            tail: |_| "</a>".to_owned(),
            ..case("xml", MIB, "--format xml --record-path /a/b", same(b"<b><c>a text</c><d>12</d></b>".to_vec()))
        },
    ]
}

/// Holds that the second peak, in kB, is about the first and below 64 MiB. A machine that is busy may be looked at too late,
/// or have threads wait for each other with full hands; what follows the file does so every time.
fn stays(name: &str, peaks: impl Fn() -> (u64, u64)) {
    let mut told = Vec::new();
    for _ in 0..3 {
        let (small, large) = peaks();
        if small > 0 && large > 0 && large < small + 4096 && large < 64 * 1024 {
            return;
        }
        told.push(format!("{small} kB, then {large} kB"));
    }
    panic!("{name}: {told:?}");
}

/// Six times the input takes no more memory.
#[test]
fn memory_does_not_follow_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("f.spec");
    std::fs::write(&spec, "a,1,8\nb,9,12\nc,21,10\n").unwrap();
    let path = folder.path().join("data");
    let peak = |case: &Case, size: usize, threads: &str| {
        let count = size / (case.record)(1).len();
        let mut file = BufWriter::new(std::fs::File::create(&path).unwrap());
        file.write_all(case.head.as_bytes()).unwrap();
        (1..=count).for_each(|number| file.write_all(&(case.record)(number)).unwrap());
        file.write_all((case.tail)(count).as_bytes()).unwrap();
        file.into_inner().unwrap();
        let options = case.options.iter().map(|word| word.replace("SPEC", spec.to_str().unwrap()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
        command.arg("decode").arg(&path).args(options).args(["--threads", threads]);
        peak_memory_of(&mut command, 0)
    };
    for case in cases() {
        for threads in if case.on_threads { &["1", "2"][..] } else { &["1"] } {
            let name = format!("{}, {threads} threads", case.name);
            stays(&name, || (peak(&case, case.size, threads), peak(&case, 6 * case.size, threads)));
        }
    }
}

/// Writes a workbook with so many rows: a text of a few that are shared, and a number.
const WORKBOOK: &str = r#"
import sys, zipfile
path, rows = sys.argv[1], int(sys.argv[2])
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
texts = ["text", "number"] + ["a text that is shared, %d" % i for i in range(100)]
with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
    book.writestr("_rels/.rels", f"<Relationships xmlns='{PACKAGE}'><Relationship Id='r1' Type='{OFFICE}/officeDocument' Target='xl/workbook.xml'/></Relationships>")
    book.writestr("xl/workbook.xml", f"<workbook xmlns='{MAIN}' xmlns:r='{OFFICE}'><sheets><sheet name='One' sheetId='1' r:id='r1'/></sheets></workbook>")
    book.writestr("xl/_rels/workbook.xml.rels", f"<Relationships xmlns='{PACKAGE}'><Relationship Id='r1' Type='{OFFICE}/worksheet' Target='worksheets/sheet1.xml'/><Relationship Id='r2' Type='{OFFICE}/sharedStrings' Target='sharedStrings.xml'/></Relationships>")
    shared = "".join(f"<si><t>{text}</t></si>" for text in texts)
    book.writestr("xl/sharedStrings.xml", f"<sst xmlns='{MAIN}' count='{rows}' uniqueCount='{len(texts)}'>{shared}</sst>")
    with book.open("xl/worksheets/sheet1.xml", "w") as sheet:
        sheet.write(f"<worksheet xmlns='{MAIN}'><sheetData>".encode())
        sheet.write(b"<row r='1'><c r='A1' t='s'><v>0</v></c><c r='B1' t='s'><v>1</v></c></row>")
        for row in range(2, rows + 2):
            sheet.write(b"<row r='%d'><c r='A%d' t='s'><v>%d</v></c><c r='B%d'><v>%d.5</v></c></row>" % (row, row, 2 + row % 100, row, row * 7919))
        sheet.write(b"</sheetData></worksheet>")
"#;

/// Rows of an .xlsx file are streamed as well: twenty times as many take no more memory.
#[test]
fn memory_does_not_follow_the_rows_of_a_workbook() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.xlsx");
    let peak = |rows: usize| {
        let written = Command::new("python3").args(["-c", WORKBOOK]).arg(&path).arg(rows.to_string()).status().unwrap();
        assert!(written.success());
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
        command.arg("decode").arg(&path).args(["--format", "excel"]).stderr(Stdio::inherit());
        peak_memory_of(&mut command, 0)
    };
    stays("excel", || (peak(5_000), peak(100_000)));
}
