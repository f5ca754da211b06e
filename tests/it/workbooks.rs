//! Workbooks in binary parts (.xlsb), put together byte by byte after [MS-XLSB], through `decode`.

use std::process::{Command, Output};

use serde_json::Value;

/// A zip archive whose members are stored as they are.
fn archive(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut locals, mut entries) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let (size, length) = ((content.len() as u32).to_le_bytes(), (name.len() as u16).to_le_bytes());
        // Version, flags, method, time, date; checksum, both sizes, and the lengths of the name and of what is added.
        let head = [&[20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0][..], &crc.sum().to_le_bytes(), &size, &size, &length, &[0, 0]];
        let offset = (locals.len() as u32).to_le_bytes();
        entries.extend([b"PK\x01\x02\x14\0", &head.concat()[..], &[0; 10], &offset, name.as_bytes()].concat());
        locals.extend([b"PK\x03\x04", &head.concat()[..], name.as_bytes(), content].concat());
    }
    let (count, size, at) = (members.len() as u16, entries.len() as u32, locals.len() as u32);
    let counts = [count.to_le_bytes(), count.to_le_bytes()].concat();
    let end = [b"PK\x05\x06\0\0\0\0", &counts[..], &size.to_le_bytes(), &at.to_le_bytes(), &[0, 0]].concat();
    [locals, entries, end].concat()
}

/// A record: its kind and its length in groups of seven bits, then its data.
fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    assert!(data.len() < 128);
    let kind = if kind < 128 { vec![kind as u8] } else { vec![kind as u8 & 0x7F | 0x80, (kind >> 7) as u8] };
    [&kind[..], &[data.len() as u8], data].concat()
}

/// A text: its length in units of UTF-16, and these.
fn wide(text: &str) -> Vec<u8> {
    let units: Vec<u16> = text.encode_utf16().collect();
    let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    [&(units.len() as u32).to_le_bytes()[..], &bytes].concat()
}

fn row(number: u32) -> Vec<u8> {
    record(0, &[&number.to_le_bytes()[..], &[0, 0, 0, 0, 0x2C, 1, 0, 0, 0, 0, 0, 0, 0]].concat())
}

/// A cell of a kind, with its column and the number of its format in the list.
fn cell(kind: u16, column: u32, format: u32, value: &[u8]) -> Vec<u8> {
    record(kind, &[&column.to_le_bytes()[..], &format.to_le_bytes(), value].concat())
}

fn number(column: u32, format: u32, value: f64) -> Vec<u8> {
    cell(5, column, format, &value.to_le_bytes())
}

/// A whole number in thirty bits, of hundredths where that is said.
fn whole(column: u32, format: u32, value: u32, hundredths: bool) -> Vec<u8> {
    cell(2, column, format, &(value << 2 | 2 | u32::from(hundredths)).to_le_bytes())
}

/// A workbook with one sheet, whose days are counted from 1904 or from 1900 on.
fn workbook(from_1904: bool, rows: &[Vec<u8>]) -> Vec<u8> {
    const RELATIONSHIPS: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let related = |parts: &[(&str, &str, &str)]| {
        let part = |(id, kind, target): &(&str, &str, &str)| {
            format!("<Relationship Id=\"{id}\" Type=\"{OFFICE}/{kind}\" Target=\"{target}\"/>")
        };
        let parts: String = parts.iter().map(part).collect();
        format!("<Relationships xmlns=\"{RELATIONSHIPS}\">{parts}</Relationships>").into_bytes()
    };
    // The first bit of the properties; no theme, no name of the code.
    let properties = record(153, &[&[u8::from(from_1904), 0, 0, 0][..], &[0; 8]].concat());
    let sheet = record(156, &[&[0, 0, 0, 0, 1, 0, 0, 0][..], &wide("rId1"), &wide("Days")].concat());
    let book = [record(131, b""), properties, record(143, b""), sheet, record(144, b""), record(132, b"")].concat();
    // General, a day, a day with its time, a length of time, and one that is written out.
    let formats: Vec<u8> = [0u16, 14, 22, 46, 164]
        .iter()
        .flat_map(|format| record(47, &[&[0, 0][..], &format.to_le_bytes(), &[0; 12]].concat()))
        .collect();
    let written = record(44, &[&164u16.to_le_bytes()[..], &wide("yyyy\\-mm\\-dd")].concat());
    let styles = [
        [record(278, b""), record(615, &1u32.to_le_bytes()), written, record(616, b"")].concat(),
        [record(617, &5u32.to_le_bytes()), formats, record(618, b""), record(279, b"")].concat(),
    ];
    let size = [0, rows.len() as u32 - 1, 0, 5].map(u32::to_le_bytes).concat();
    let data = [
        [record(129, b""), record(148, &size), record(145, b"")].concat(),
        rows.concat(),
        [record(146, b""), record(130, b"")].concat(),
    ];
    archive(&[
        (
            "[Content_Types].xml",
            b"<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>".to_vec(),
        ),
        ("_rels/.rels", related(&[("rId1", "officeDocument", "xl/workbook.bin")])),
        ("xl/workbook.bin", book),
        (
            "xl/_rels/workbook.bin.rels",
            related(&[("rId1", "worksheet", "worksheets/sheet1.bin"), ("rId2", "styles", "styles.bin")]),
        ),
        ("xl/styles.bin", styles.concat()),
        ("xl/worksheets/sheet1.bin", data.concat()),
    ])
}

fn decode(content: &[u8], options: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("days.xlsb");
    std::fs::write(&path, content).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
    command.args(["decode", path.to_str().unwrap(), "--format", "excel", "--no-header"]).args(options).output().unwrap()
}

/// Serial numbers of the manual: 2022-01-01 is 44562 days from 1900 and 43100 from 1904 on, and the two calendars are 1462 days
/// apart, of which one never was.
#[test]
fn days_of_binary_workbooks_count_from_where_the_workbook_says() {
    let rows = [
        [
            row(0),
            number(0, 1, 43_100.0),
            number(1, 2, 43_100.75),
            number(2, 1, 0.25),
            number(3, 3, 2.5),
            whole(4, 4, 43_100, false),
            number(5, 0, 43_100.0),
        ]
        .concat(),
        [row(1), whole(0, 4, 60, false), whole(1, 2, 4_310_050, true)].concat(),
        [row(2), number(0, 1, 2_957_003.0), number(1, 4, 2_957_004.0)].concat(),
    ];
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let rejected = |output: &Output| -> Vec<(Value, Value)> {
        let told = text(&output.stderr);
        let rejects = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{told}")));
        rejects.map(|reject| (reject["line"].clone(), reject["found"].clone())).collect()
    };
    let later = decode(&workbook(true, &rows), &[]);
    let expected = [
        r#"{"A":"2022-01-01","B":"2022-01-01T18:00:00","C":"06:00:00","D":"60:00:00","E":"2022-01-01","F":43100}"#,
        r#"{"A":"1904-03-01","B":"2022-01-01T12:00:00","C":null,"D":null,"E":null,"F":null}"#,
    ];
    assert_eq!(text(&later.stdout).lines().collect::<Vec<_>>(), expected, "{}", text(&later.stderr));
    let no_date = "2957004, which is no date of a workbook in B3 of sheet `Days`";
    assert_eq!(rejected(&later), [(3.into(), no_date.into())]);

    let earlier = decode(&workbook(false, &rows), &[]);
    let expected = [
        r#"{"A":"2017-12-31","B":"2017-12-31T18:00:00","C":"06:00:00","D":"60:00:00","E":"2017-12-31","F":43100}"#,
        r#"{"A":"9995-12-30","B":"9995-12-31","C":null,"D":null,"E":null,"F":null}"#,
    ];
    assert_eq!(text(&earlier.stdout).lines().collect::<Vec<_>>(), expected, "{}", text(&earlier.stderr));
    let no_day = "1900-02-29, a day that never was in A2 of sheet `Days`";
    assert_eq!(rejected(&earlier), [(2.into(), no_day.into())]);
    // The part that is looked at does not have it.
    let part = decode(&workbook(false, &rows), &["--range", "B2:B2"]);
    assert_eq!(text(&part.stdout), "{\"B\":\"2017-12-31T12:00:00\"}\n", "{}", text(&part.stderr));
}

/// What the sentence of a refusal names is an option of the commands as well as a key of mappings.
#[test]
fn a_workbook_that_is_too_large_is_read_with_more_room() {
    let head = [row(0), cell(6, 0, 0, &wide("no")), cell(6, 1, 0, &wide("weight"))].concat();
    let rows: Vec<Vec<u8>> = std::iter::once(head)
        .chain((1..=20_000).map(|at| [row(at), number(0, 0, f64::from(at)), number(1, 0, 0.5)].concat()))
        .collect();
    let content = workbook(false, &rows);
    assert!(content.len() > 1 << 20 && content.len() < 2 << 20);
    let refused = decode(&content, &["--max-mib", "1"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.stdout.is_empty() && !refused.status.success(), "{told}");
    assert!(told.contains("has more than 1 MiB, and may have no more: raise `max_mib`"), "{told}");
    let read = decode(&content, &["--max-mib", "2"]);
    assert_eq!(read.stdout.iter().filter(|byte| **byte == b'\n').count(), 20_001);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("days.xlsb");
    std::fs::write(&path, &content).unwrap();
    let inspect = |mib: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
        let looked = command.args(["inspect", path.to_str().unwrap(), "--max-mib", mib]).output().unwrap();
        String::from_utf8(looked.stdout).unwrap()
    };
    assert!(inspect("1").contains("raise `max_mib`"), "{}", inspect("1"));
    let seen = inspect("2");
    assert!(seen.contains("20001 rows in A1:B20001"), "{seen}");
    assert!(seen.contains("--format excel --max-mib 2") && seen.contains("\nmax_mib = 2\n"), "{seen}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
    let foreign =
        command.args(["decode", path.to_str().unwrap(), "--format", "csv", "--max-mib", "2"]).output().unwrap();
    let told = String::from_utf8(foreign.stderr).unwrap();
    assert!(told.contains("--max-mib belongs to --format excel"), "{told}");
}
