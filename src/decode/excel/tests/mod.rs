//! Workbooks that other programs wrote, resumed at every row and garbled.

mod old;
mod strange;

use std::io::{Cursor, Write};

use proptest::prelude::*;

use super::{Area, OnError, Settings, Sheet};
use crate::decode::{Decoder, Format, Item, JsonOptions, Resume, StreamFault};
use crate::diagnostic::Faults;
use crate::record::{RejectCode, Scope, Value};

/// Workbooks that other programs wrote: see `fixtures/decode/excel/generate.py`.
macro_rules! fixture {
    ($name:literal) => {
        (include_bytes!(concat!("../../../../fixtures/decode/excel/", $name))).as_slice()
    };
}

const ROWS: &str = include_str!("../../../../fixtures/decode/excel/rows.ndjson");

fn decoder(settings: Settings) -> Decoder {
    Format::Excel(settings).compile(&|_| None, &Faults::new()).unwrap()
}

/// The sheet with the rows, of which the first two say nothing.
fn data() -> Settings {
    Settings { sheet: Sheet::Named("Data".into()), range: Area::parse("A3:H").unwrap(), ..Settings::default() }
}

fn kinds() -> Settings {
    Settings { sheet: Sheet::Named("Kinds".into()), ..Settings::default() }
}

fn items(settings: Settings, content: &[u8], from: Resume) -> Vec<String> {
    let decoder = decoder(settings);
    let mut reader = match decoder.reader(Cursor::new(content), from) {
        Ok(reader) => reader,
        Err(fault) => return vec![format!("! {fault}")],
    };
    let mut lines = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        lines.push(match item {
            Item::Skipped => "skipped".to_owned(),
            Item::Reject(reject) => format!("{} {}", reject.code.as_str(), reject.found),
            Item::Record(record) => {
                let mut out = Vec::new();
                match decoder.write_json(&record, &JsonOptions::default(), &mut out) {
                    Ok(()) => String::from_utf8(out).unwrap(),
                    Err(reject) => format!("{} {}", reject.code.as_str(), reject.found),
                }
            }
        });
    }
    lines
}

fn all(settings: Settings, content: &[u8]) -> Vec<String> {
    items(settings, content, Resume::default())
}

#[test]
fn workbooks_of_every_kind_say_the_same() {
    let expected: Vec<_> = ROWS.lines().collect();
    for (name, content) in [
        ("xlsx", fixture!("rows.xlsx")),
        ("xlsx from 1904 on", fixture!("rows1904.xlsx")),
        ("xls", fixture!("rows.xls")),
        ("ods", fixture!("rows.ods")),
    ] {
        let found = all(data(), content);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(found.len(), expected.len(), "{name}");
    }
    let expected: Vec<_> = include_str!("../../../../fixtures/decode/excel/rows_xlsb.ndjson").lines().collect();
    assert_eq!(all(data(), fixture!("rows.xlsb")), expected);
}

#[test]
fn kinds_of_cells() {
    let found = all(kinds(), fixture!("rows.xlsx"));
    assert_eq!(
        found,
        [
            "value.bad_type #N/A in B2 of sheet `Kinds`",
            r#"{"Name":"formula","Value":2}"#,
            r#"{"Name":"duration","Value":"25:30:00"}"#,
            r#"{"Name":"merged","Value":"both"}"#,
            r#"{"Name":null,"Value":"second"}"#,
            r#"{"Name":null,"Value":"third"}"#,
            r#"{"Name":"large","Value":1e300}"#,
            "value.bad_type 1900-02-29, a day that never was in B9 of sheet `Kinds`",
            "value.bad_type -1, which is no date of a workbook in B10 of sheet `Kinds`",
            "value.bad_type a formula without a stored value in B11 of sheet `Kinds`",
            r#"{"Name":"empty","Value":null}"#,
        ]
    );
    let found = all(Settings { errors: OnError::Null, fill_merged: true, ..kinds() }, fixture!("rows.xlsx"));
    assert_eq!(found[0], r#"{"Name":"error","Value":null}"#);
    assert_eq!(found[3..6], ["both", "second", "third"].map(|v| format!(r#"{{"Name":"merged","Value":"{v}"}}"#)));
    let found = all(Settings { fill_merged: true, ..kinds() }, fixture!("rows.xls"));
    assert_eq!(found, [r#"{"Name":"merged","Value":"both"}"#, r#"{"Name":"merged","Value":"second"}"#]);
}

#[test]
fn sheets_ranges_and_headers() {
    let first = |settings: Settings| all(settings, fixture!("rows.xlsx"))[0].clone();
    let with = |range: &str| Settings { range: Area::parse(range).unwrap(), ..data() };
    assert_eq!(first(Settings { sheet: Sheet::At(2), ..data() }), ROWS.lines().next().unwrap());
    assert_eq!(first(with("B3:C4")), r#"{"Artikel":"Müller & Söhne","Preis":19.99}"#);
    assert_eq!(all(with("B3:C4"), fixture!("rows.xlsx")).len(), 1);
    let header_row = Settings { range: Area::ALL, header_row: Some(3), ..data() };
    assert_eq!(first(header_row), ROWS.lines().next().unwrap());
    assert_eq!(first(Settings { header: false, ..with("A4:B") }), r#"{"A":"0001","B":"Müller & Söhne"}"#);
    let fault = |settings: Settings, expected: &str| {
        let found = all(settings, fixture!("rows.xlsx"));
        assert!(found.len() == 1 && found[0].starts_with("! ") && found[0].contains(expected), "{found:?}");
    };
    fault(Settings { sheet: Sheet::At(9), ..data() }, "no sheet number 9; it has `Notes`, `Data`, `Kinds`");
    fault(Settings { sheet: Sheet::Named("data".into()), ..data() }, "no sheet `data`");
    fault(Settings { header_row: Some(2), range: Area::ALL, ..data() }, "row 2 is blank");
    fault(with("A900:B"), "it is empty");
}

#[test]
fn a_mapping_asks_by_name() {
    let decoder = decoder(data());
    let get = |name: &str| decoder.layout().resolve(None, name).unwrap().slot;
    let [price, active, no] = ["Preis", "Aktiv", "No"].map(get);
    let mut reader = decoder.reader(Cursor::new(fixture!("rows.xlsx")), Resume::default()).unwrap();
    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!() };
    let read = |slot| record.fields.read(slot, Scope::ROOT).unwrap();
    let Value::Decimal(found) = read(price) else { panic!() };
    assert_eq!((found.to_string().as_str(), read(active)), ("19.99", Value::Boolean(true)));
    assert_eq!(read(no), Value::Text("0001".into()));
    assert_eq!((record.position.offset, record.position.line), (3, Some(4)));
    let raw = String::from_utf8_lossy(record.raw);
    assert!(raw.starts_with(r#"{"A4":"0001","B4":"Müller & Söhne","C4":"19.99","#), "{raw}");
    get("Preiss");
    let Err(StreamFault::Layout { message, .. }) =
        decoder.reader(Cursor::new(fixture!("rows.xlsx")), Resume::default())
    else {
        panic!()
    };
    assert!(
        message.starts_with("sheet `Data`: the header lacks the column `Preiss` (renamed to `Preis`?)"),
        "{message}"
    );
}

#[test]
fn resuming_at_every_row_gives_the_same_rest() {
    for content in [fixture!("rows.xlsx"), fixture!("rows.xls"), fixture!("rows.ods"), fixture!("rows.xlsb")] {
        let decoder = decoder(data());
        let whole = all(data(), content);
        let mut reader = decoder.reader(Cursor::new(content), Resume::default()).unwrap();
        let mut points = vec![reader.resume_point()];
        let mut records = Vec::new();
        while let Some(item) = reader.next().unwrap() {
            let Item::Record(record) = item else { panic!() };
            records.push(record.position);
            points.push(reader.resume_point());
        }
        for (index, point) in points.iter().enumerate() {
            assert_eq!(items(data(), content, *point), whole[index..]);
        }
        for (index, position) in records.iter().enumerate() {
            let from = Resume { offset: position.offset, records: index as u64, line: 0 };
            let mut reader = decoder.reader(Cursor::new(content), from).unwrap();
            let Some(Item::Record(record)) = reader.next().unwrap() else { panic!() };
            assert_eq!(record.position, *position);
        }
    }
}

#[test]
fn what_is_no_workbook_or_too_large() {
    let check = |settings: Settings, content: &[u8], code: RejectCode, expected: &str| match decoder(settings)
        .reader(Cursor::new(content), Resume::default())
        .map(|_| ())
    {
        Err(StreamFault::Layout { code: found, message, .. }) => {
            assert!(found == code && message.contains(expected), "{message}");
        }
        other => panic!("{other:?}"),
    };
    let unreadable = RejectCode::FileUnreadable;
    check(data(), b"", unreadable, "the file is no workbook");
    check(data(), b"No;Artikel\n", unreadable, "the file is no workbook");
    let zip = include_bytes!("../../../../fixtures/decode/compressed/deflate.zip");
    check(data(), zip, unreadable, "a zip archive, and no workbook");
    let large = vec![b'x'; 2 << 20];
    check(Settings { max_bytes: 1 << 20, ..data() }, &large, RejectCode::TooLarge, "has more than 1 MiB");
    check(
        Settings { max_bytes: 8 << 10, ..data() },
        fixture!("rows.xlsx"),
        RejectCode::TooLarge,
        "unpacks to more than",
    );
    check(Settings::default(), fixture!("corners.xls"), RejectCode::TooLarge, "are read at most");
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let locked = [&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1][..], &[0; 600], &name].concat();
    check(data(), &locked, unreadable, "has a password");
    check(data(), &fixture!("rows.xlsx")[..3000], unreadable, "it breaks off");
}

/// A zip archive of stored members.
fn archive<C: AsRef<[u8]>>(members: &[(&str, C)]) -> Vec<u8> {
    let (mut locals, mut entries) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let (name, content) = (name.as_bytes(), content.as_ref());
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let (size, length) = ((content.len() as u32).to_le_bytes(), (name.len() as u16).to_le_bytes());
        let fixed =
            [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0], &crc.sum().to_le_bytes()[..], &size, &size, &length, &[0, 0]].concat();
        let offset = (locals.len() as u32).to_le_bytes();
        entries.extend([b"PK\x01\x02\x14\0", &fixed[..], &[0; 10], &offset, name].concat());
        locals.extend([b"PK\x03\x04", &fixed[..], name, content].concat());
    }
    let count = (members.len() as u16).to_le_bytes();
    let end = [
        b"PK\x05\x06\0\0\0\0",
        &count[..],
        &count,
        &(entries.len() as u32).to_le_bytes(),
        &(locals.len() as u32).to_le_bytes(),
        &[0, 0],
    ];
    [&locals[..], &entries, &end.concat()].concat()
}

/// Room is made for as many texts as a workbook says it has: it must not say too many.
#[test]
fn a_workbook_cannot_ask_for_all_memory() {
    let comment = "x".repeat(70_000);
    let texts = format!("<!--{comment}--><sst count='1' uniqueCount='9999999999'>");
    let content = archive(&[("xl/sharedStrings.xml", &texts)]);
    assert_eq!(all(data(), &content), ["! the workbook says that it has 9999999999 texts"]);
}

/// A workbook with these rows in its second sheet, as XML.
fn sheet(rows: &str) -> Vec<u8> {
    with_text(rows, "b")
}

/// The same with another second text.
fn with_text(rows: &str, text: &str) -> Vec<u8> {
    let texts = format!("<si><t>a</t></si><si><t>{text}</t></si>");
    archive(&parts(&format!("<sheetData>{rows}</sheetData>"), &texts, "<cellXfs><xf numFmtId='0'/></cellXfs>"))
}

/// The parts of a workbook: of its second sheet what is in it, its texts, and its styles.
fn parts(sheet: &str, texts: &str, styles: &str) -> Vec<(&'static str, String)> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
    let part = |name: &str, content: &str| format!("<{name} xmlns='{MAIN}'>{content}</{name}>");
    vec![
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns='{PACKAGE}'><Relationship Id='r1' Type='{OFFICE}/officeDocument' \
                 Target='xl/workbook.xml'/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns='{MAIN}' xmlns:r='{OFFICE}'><workbookPr date1904='0'/><sheets><sheet name='One' \
                 sheetId='1' r:id='r1'/><sheet name='Two' sheetId='2' r:id='r2'/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns='{PACKAGE}'><Relationship Id='r1' Type='{OFFICE}/worksheet' \
                 Target='worksheets/sheet2.xml'/><Relationship Id='r2' Type='{OFFICE}/worksheet' \
                 Target='worksheets/sheet1.xml'/><Relationship Id='r3' Type='{OFFICE}/sharedStrings' \
                 Target='sharedStrings.xml'/></Relationships>"
            ),
        ),
        ("xl/sharedStrings.xml", format!("<sst xmlns='{MAIN}' count='2' uniqueCount='2'>{texts}</sst>")),
        ("xl/styles.xml", part("styleSheet", styles)),
        ("xl/worksheets/sheet1.xml", part("worksheet", sheet)),
        // What is wrong with another sheet is nothing to this one.
        (
            "xl/worksheets/sheet2.xml",
            part("worksheet", "<sheetData><row r='1'><c r='ZZZZ1'><v>1</v></c></row></sheetData>"),
        ),
    ]
}

/// The second sheet, of which all rows are records.
fn two() -> Settings {
    Settings { sheet: Sheet::Named("Two".into()), header: false, errors: OnError::Null, ..Settings::default() }
}

/// Other readers of workbooks differ in what they make of these; here each is told with its cell.
#[test]
fn what_a_sheet_must_not_have_is_told() {
    let read = |rows: &str| all(two(), &sheet(rows));
    let number = |place: &str, value: &str| format!("<c r='{place}'><v>{value}</v></c>");
    let row = |row: &str, cells: &[String]| format!("<row r='{row}'>{}</row>", cells.concat());
    // Rows and cells in any order are where they say that they are.
    let order = row("3", &[number("B3", "4"), number("A3", "3")])
        + &row("1", &[number("A1", "1")])
        + &row("3", &[number("C3", "5")]);
    assert_eq!(read(&order), [r#"{"A":1,"B":null,"C":null}"#, r#"{"A":3,"B":4,"C":5}"#]);
    // Two values for one cell: no matter which is meant, the record is refused, and the next one is read.
    for twice in [
        row("1", &[number("A1", "1"), number("B1", "2"), number("A1", "3")]),
        row("1", &[number("A1", "1")]) + &row("1", &[number("A1", "1")]),
    ] {
        let expected = ["value.bad_type more than one value in A1 of sheet `Two`", r#"{"A":7"#];
        let found = read(&(twice + &row("2", &[number("A2", "7")])));
        assert!(found[0] == expected[0] && found[1].starts_with(expected[1]), "{found:?}");
    }
    let check = |rows: &str, expected: &str| {
        assert_eq!(read(rows), [format!("! the workbook is damaged: in sheet `Two` {expected}")], "{rows}");
    };
    check(&row("1", &[number("XFE1", "1")]), "a cell says that it is `XFE1`, which no sheet has");
    check(&row("1048577", &[number("A1048577", "1")]), "a row says that it is row `1048577`");
    check(&row("1", &[number("MWLQKWV1", "1")]), "a cell says that it is `MWLQKWV1`, which no sheet has");
    check(&row("1", &[number("A1", "1"), number("B2", "2")]), "the cell B2 lies in row 1");
    check(&row("1", &["<c r='A1' t='s'><v>b</v></c>".to_owned()]), "the cell A1 has the text number `b`");
    // Cells that do not say where they are go on to the right.
    let right = "<row r='1'><c r='XFD1'><v>1</v></c><c><v>2</v></c></row>";
    assert_eq!(read(right), ["! the workbook is damaged: sheet `Two` has a cell XFE1, which no sheet has"]);
    for (value, told) in [("NaN", "NaN"), ("INF", "inf"), ("-Infinity", "-inf"), ("1e999", "inf")] {
        let expected = format!("value.bad_type {told}, which is no number in A1 of sheet `Two`");
        assert_eq!(read(&row("1", &[number("A1", value)])), [expected]);
    }
    assert_eq!(read(&row("1", &["<c r='A1' t='s'><v>1</v></c>".to_owned()])), [r#"{"A":"b"}"#]);
}

/// Rows that are streamed say what the same rows say when they are held, because one of them is out of order.
#[test]
fn many_rows_are_streamed() {
    let rows = |range: std::ops::Range<u32>| -> String {
        let cell = |row: u32| format!("<c r='A{row}'><v>{row}</v></c><c r='C{row}' t='s'><v>{}</v></c>", row % 2);
        range.map(|row| format!("<row r='{row}'>{}</row>", cell(row))).collect()
    };
    let header = "<row r='1'><c r='A1' t='str'><v>No</v></c><c r='C1' t='str'><v>T</v></c></row>";
    let streamed = sheet(&format!("{header}{}", rows(2..20_002)));
    let held = sheet(&format!("{header}{}{}", rows(20_001..20_002), rows(2..20_001)));
    let settings = || Settings { sheet: Sheet::Named("Two".into()), footer_rows: 3, ..Settings::default() };
    let found = all(settings(), &streamed);
    assert_eq!(found.len(), 20_000);
    assert_eq!(found[18_000], r#"{"No":18002,"T":"a"}"#);
    assert_eq!(found[19_996..], [r#"{"No":19998,"T":"a"}"#, "skipped", "skipped", "skipped"]);
    assert_eq!(all(settings(), &held), found);
    for row in [2, 700, 19_999, 20_001] {
        let from = Resume { offset: row, records: row - 1, line: row };
        assert_eq!(items(settings(), &streamed, from), found[row as usize - 1..], "{row}");
    }
    // Whoever stops amid the rows leaves nothing behind that waits.
    let decoder = decoder(settings());
    let mut reader = decoder.reader(Cursor::new(streamed), Resume::default()).unwrap();
    assert!(matches!(reader.next(), Ok(Some(Item::Record(_)))));
    drop(reader);
}

/// A text that is there once may stand in every cell of a row, and a row is held.
#[test]
fn a_row_cannot_ask_for_all_memory() {
    let cells: String = ('A'..='F').map(|column| format!("<c r='{column}1' t='s'><v>1</v></c>")).collect();
    let content = with_text(&format!("<row r='1'>{cells}</row>"), &"b".repeat(3000));
    let read = |max_bytes| {
        let sheet = Sheet::Named("Two".into());
        all(Settings { sheet, header: false, max_bytes, ..Settings::default() }, &content)
    };
    let refused = read(16 << 10);
    assert!(refused.len() == 1 && refused[0].contains("has a row whose cells take more than"), "{refused:?}");
    let whole = read(64 << 10);
    assert!(whole.len() == 1 && whole[0].len() > 18_000, "{whole:?}");
}

/// Totals and remarks below a table.
#[test]
fn rows_at_the_end_that_are_no_records() {
    let with = |footer_rows: u32, range: &str| Settings { footer_rows, range: Area::parse(range).unwrap(), ..data() };
    for content in [fixture!("rows.xlsx"), fixture!("rows.xls"), fixture!("rows.ods")] {
        let whole = all(data(), content);
        let count = whole.len();
        for rows in 0..=count {
            let found = all(with(rows as u32, "A3:H"), content);
            assert_eq!(found[..count - rows], whole[..count - rows]);
            assert!(found.len() == count && found[count - rows..].iter().all(|line| line == "skipped"), "{found:?}");
        }
        let found = all(with(count as u32 + 1, "A3:H"), content);
        let expected = format!(
            "! sheet `Data`: rows at its end that are no records are due, {} of them, and it has {count}",
            count + 1
        );
        assert_eq!(found, [expected]);
        assert_eq!(
            all(with(1, "A3:H3"), content),
            ["! sheet `Data`: rows at its end that are no records are due, 1 of them, and it has 0"]
        );
    }
}

/// A packed workbook is unpacked once, and not taken for an archive.
#[test]
fn a_workbook_may_be_compressed() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(fixture!("rows.xlsx")).unwrap();
    assert_eq!(all(data(), &gzip.finish().unwrap()).len(), ROWS.lines().count());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_bytes_are_too_strange(
        which in 0usize..4,
        cut in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        is_cut in any::<bool>(),
    ) {
        let content = [fixture!("rows.xlsx"), fixture!("rows.xls"), fixture!("rows.ods"), fixture!("rows.xlsb")][which];
        let mut content = content.to_vec();
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }
        if is_cut {
            content.truncate(cut.index(content.len()));
        }
        all(data(), &content);
    }
}
