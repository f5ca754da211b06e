//! Workbooks of before 1997 (BIFF5), whose texts are in the code page of the machine that wrote them, put together by hand
//! after [MS-XLS] and [MS-CFB].

use super::super::{OnError, Settings, Sheet};
use super::all;

/// A container with one stream, in sectors of 512 bytes: those of the table, the directory, and what is in the stream.
fn container(mut stream: Vec<u8>) -> Vec<u8> {
    const END: u32 = 0xFFFF_FFFE;
    const FREE: u32 = 0xFFFF_FFFF;
    // What is shorter would lie in another place.
    stream.resize(stream.len().max(4096).next_multiple_of(512), 0);
    let sectors = stream.len() / 512;
    let tables = (1..110).find(|tables| tables + 1 + sectors <= 128 * tables).unwrap() as u32;
    let entry = |name: &str, kind: u8, start: u32, size: usize| {
        let mut entry: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let length = entry.len() as u16;
        entry.resize(64, 0);
        entry.extend(length.to_le_bytes());
        entry.extend([kind, 1]);
        entry.extend([FREE, FREE, if kind == 5 { 1 } else { FREE }].map(u32::to_le_bytes).concat());
        entry.resize(116, 0);
        entry.extend(start.to_le_bytes());
        entry.extend((size as u64).to_le_bytes());
        entry
    };
    let mut header = vec![0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];
    header.resize(24, 0);
    header.extend([0x3E, 0, 3, 0, 0xFE, 0xFF, 9, 0, 6, 0]);
    header.resize(44, 0);
    header.extend([tables, tables, 0, 4096, END, 0, END, 0].map(u32::to_le_bytes).concat());
    header.extend((0..tables).flat_map(u32::to_le_bytes));
    header.resize(512, 0xFF);
    let chain = (tables + 2..tables + 1 + sectors as u32).chain([END]);
    let own = (0..tables).map(|_| 0xFFFF_FFFD).chain([END]);
    let table: Vec<u32> = own.chain(chain).chain(std::iter::repeat(FREE)).take(128 * tables as usize).collect();
    let mut directory = [entry("Root Entry", 5, END, 0), entry("Book", 2, tables + 1, stream.len())].concat();
    directory.resize(512, 0);
    [header, table.into_iter().flat_map(u32::to_le_bytes).collect(), directory, stream].concat()
}

fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), data].concat()
}

/// A cell by row and column, with the number of its format.
fn cell(kind: u16, row: u8, column: u8, format: u8, value: &[u8]) -> Vec<u8> {
    record(kind, &[&[row, 0, column, 0, format, 0][..], value].concat())
}

fn label(row: u8, column: u8, text: &[u8]) -> Vec<u8> {
    cell(0x0204, row, column, 0, &[&[text.len() as u8, 0][..], text].concat())
}

/// A workbook with one sheet whose name and texts are in a code page.
fn workbook(page: u16, name: &[u8], cells: &[Vec<u8>]) -> Vec<u8> {
    workbook_with(&[], page, name, cells)
}

/// The same, with more records that are about the whole of it.
fn workbook_with(more: &[Vec<u8>], page: u16, name: &[u8], cells: &[Vec<u8>]) -> Vec<u8> {
    let format = |number: u8| record(0xE0, &[&[0, 0, number, 0][..], &[0; 12]].concat());
    let begin = |kind: u8| record(0x0809, &[0, 5, kind, 0, 0, 0, 0, 0]);
    let globals = |at: u32| {
        let sheet = [&at.to_le_bytes()[..], &[0, 0, name.len() as u8], name].concat();
        let formats = [format(0), format(14), format(46)].concat();
        let page = record(0x42, &page.to_le_bytes());
        [begin(5), page, formats, record(0x85, &sheet), more.concat(), record(0x0A, b"")].concat()
    };
    let at = globals(0).len() as u32;
    let size = record(0x0200, &[0, 0, 9, 0, 0, 0, 4, 0, 0, 0]);
    container([globals(at), begin(0x10), size, cells.concat(), record(0x0A, b"")].concat())
}

/// Numbers in all their forms, what formulas ended in, and texts in Cyrillic letters.
#[test]
fn cells_of_an_old_workbook() {
    // A formula: its value, flags, and two bytes of it; a text comes in a record of its own.
    let formula = |row: u8, column: u8, value: [u8; 8]| {
        cell(0x06, row, column, 0, &[&value[..], &[0; 6], &[3, 0, 0x1E, 1, 0]].concat())
    };
    let cells = [
        label(0, 0, b"\xD2\xEE\xE2\xE0\xF0"),
        label(0, 1, b"\xD6\xE5\xED\xE0"),
        label(0, 2, b"\xC4\xE0\xF2\xE0"),
        label(0, 3, b"X"),
        label(1, 0, b"\xCC\xEE\xEB\xEE\xEA\xEE"),
        // A whole number of hundredths, and a day.
        cell(0x027E, 1, 1, 0, &(1999u32 << 2 | 3).to_le_bytes()),
        cell(0x0203, 1, 2, 1, &44_562f64.to_le_bytes()),
        formula(1, 3, [0, 0, 0, 0, 0, 0, 0xFF, 0xFF]),
        record(0x0207, b"\x02\0\xE4\xE0"),
        // Text with formats within it, whole numbers side by side, and an error.
        cell(0x00D6, 2, 0, 0, b"\x03\0\xD7\xE0\xE9\x01\0\0"),
        record(
            0xBD,
            &[
                &[2, 0, 1, 0][..],
                &[0, 0],
                &(7u32 << 2 | 2).to_le_bytes(),
                &[1, 0],
                &(44_562u32 << 2 | 2).to_le_bytes(),
                &[2, 0],
            ]
            .concat(),
        ),
        formula(2, 3, [2, 0, 0x2A, 0, 0, 0, 0xFF, 0xFF]),
        label(3, 0, b"\xB9 1"),
        formula(3, 1, 0.5f64.to_le_bytes()),
        cell(0x0205, 3, 3, 0, &[1, 0]),
        cell(0x0205, 4, 3, 0, &[0x07, 1]),
    ];
    let settings = |errors| Settings { sheet: Sheet::Named("Цены".into()), errors, ..Settings::default() };
    let content = workbook(1251, b"\xD6\xE5\xED\xFB", &cells);
    let rows = [
        r#"{"Товар":"Молоко","Цена":19.99,"Дата":"2022-01-01","X":"да"}"#,
        r#"{"Товар":"Чай","Цена":7,"Дата":"2022-01-01","X":null}"#,
        r#"{"Товар":"№ 1","Цена":0.5,"Дата":null,"X":true}"#,
        r#"{"Товар":null,"Цена":null,"Дата":null,"X":null}"#,
    ];
    assert_eq!(all(settings(OnError::Null), &content), rows);
    let told = |what: &str, place: &str| format!("value.bad_type {what} in {place} of sheet `Цены`");
    let strict = [rows[0].to_owned(), told("#N/A", "D3"), rows[2].to_owned(), told("#DIV/0!", "D5")];
    assert_eq!(all(settings(OnError::Reject), &content), strict);
}

/// A text of one letter takes four bytes in the file and ten times as much in memory, and so does a cell that has it.
#[test]
fn many_small_texts() {
    // A list of so many texts: the count of those in cells, that of the texts, and then each with its length and flags.
    let texts = |count: usize| {
        let text = [1, 0, 0, b'x'];
        let first = record(0xFC, &[&[0; 8][..], &text.repeat(count.min(2000))].concat());
        let more = (2000..count).step_by(2000).map(|from| record(0x3C, &text.repeat((count - from).min(2000))));
        [first].into_iter().chain(more).collect::<Vec<_>>()
    };
    let shared = |row: u8, number: u32| cell(0xFD, row, 0, 0, &number.to_le_bytes());
    let content = workbook_with(&texts(40_000), 1252, b"S", &[shared(0, 0), shared(1, 39_999)]);
    assert!((160_000..180_000).contains(&content.len()), "{}", content.len());
    let with = |max_bytes: u64| Settings { header: false, max_bytes, ..Settings::default() };
    let found = all(with(2 << 20), &content);
    // Letters of such lists are none of a code page, so that what stands behind them may be read too.
    assert!(found.len() == 2 && found.iter().all(|row| row.starts_with(r#"{"A":"x"#)), "{found:?}");
    let found = all(with(1 << 20), &content);
    assert!(
        found.len() == 1 && found[0].starts_with("! the workbook has texts and cells that take more than 1 MiB"),
        "{found:?}"
    );
    // The same text in very many cells: of each sheet 250 rows of 250 columns.
    let long = [&[0xF0, 0, 0][..], &[b'y'; 240]].concat();
    let list = record(0xFC, &[&[0; 8][..], &long].concat());
    let cells: Vec<_> =
        (0..=249).flat_map(|row| (0..=249).map(move |column| cell(0xFD, row, column, 0, &[0; 4]))).collect();
    let content = workbook_with(&[list], 1252, b"S", &cells);
    assert!((800_000..1 << 20).contains(&content.len()), "{}", content.len());
    let found = all(with(16 << 20), &content);
    assert!(found.len() == 1 && found[0].contains("has texts and cells that take more than 16 MiB"), "{found:?}");
    assert_eq!(all(with(64 << 20), &content).len(), 250);
}

/// A number takes what it takes in a list and laid out, and no more; what is said of too many is enough for them.
#[test]
fn many_numbers() {
    let number = 1.5f64.to_le_bytes();
    let cells: Vec<_> =
        (0..=249).flat_map(|row| (0..=249).map(move |column| cell(0x0203, row, column, 0, &number))).collect();
    let content = workbook_with(&[], 1252, b"S", &cells);
    let with = |max_mib: u64| Settings { header: false, max_bytes: max_mib << 20, ..Settings::default() };
    let needed = (62_500 * (32 + 40)) / (1 << 20) + 1;
    let found = all(with(needed - 1), &content);
    let expected = format!("more than {} MiB, and may have no more: raise `max_mib` to {needed}, or", needed - 1);
    assert!(found.len() == 1 && found[0].contains(&expected), "{found:?}");
    let found = all(with(needed), &content);
    assert!(found.len() == 250 && found[249].starts_with(r#"{"A":1.5,"B":1.5,"#), "{}", found.len());
}

/// Days of workbooks that count from 1904 on, and lengths of time.
#[test]
fn days_from_1904_on() {
    let days = |row: u8, format: u8, days: f64| cell(0x0203, row, 0, format, &days.to_le_bytes());
    let cells = [days(0, 1, 43_100.0), days(1, 1, 0.25), days(2, 1, 60.0), days(3, 2, 2.5), days(4, 1, 2_957_004.0)];
    let settings = Settings { header: false, ..Settings::default() };
    let from_1904 = workbook_with(&[record(0x22, &[1, 0])], 1252, b"S", &cells);
    let told = |shown: &str| format!(r#"{{"A":"{shown}"}}"#);
    let no_date = "value.bad_type 2957004, which is no date of a workbook in A5 of sheet `S`".to_owned();
    let expected = [told("2022-01-01"), told("06:00:00"), told("1904-03-01"), told("60:00:00"), no_date];
    assert_eq!(all(settings.clone(), &from_1904), expected);
    let no_day = "value.bad_type 1900-02-29, a day that never was in A3 of sheet `S`".to_owned();
    let expected = [told("2017-12-31"), told("06:00:00"), no_day, told("60:00:00"), told("9995-12-31")];
    assert_eq!(all(settings, &workbook(1252, b"S", &cells)), expected);
}

#[test]
fn code_pages_of_old_workbooks() {
    let read = |page: u16, text: &[u8]| {
        let settings = Settings { header: false, ..Settings::default() };
        all(settings, &workbook(page, b"S", &[label(0, 0, text)]))
    };
    assert_eq!(read(1252, b"caf\xE9 \x80"), [r#"{"A":"café €"}"#]);
    assert_eq!(read(1250, b"\xE8\x9A"), [r#"{"A":"čš"}"#]);
    assert_eq!(read(932, b"\x93\xFA\x96\x7B"), [r#"{"A":"日本"}"#]);
    // A page that nobody knows is told, and no text is guessed.
    let unknown = read(9999, b"a");
    assert!(unknown.len() == 1 && unknown[0].starts_with("! the workbook is damaged: "), "{unknown:?}");
    // Sheets of before there were containers.
    let oldest = [&[0x09, 4, 6, 0, 0, 0, 0x10, 0, 0, 0][..], &[0; 100]].concat();
    let found = all(Settings::default(), &oldest);
    assert!(found[0].starts_with("! the file is no workbook"), "{found:?}");
}
