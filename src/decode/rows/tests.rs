//! Files of rows, written by hand and by the writer, whole and broken.

use std::io::Cursor;
use std::sync::Arc;

use proptest::prelude::*;

use super::{BatchWriter, CellFault, Column, ColumnKind, MAGIC, Padding, Settings};
use crate::decode::testing::{is_sound, read, read_from, resumes};
use crate::decode::{Decoder, Format, Item, JsonOptions, Resume, StreamFault};
use crate::diagnostic::Faults;
use crate::record::{Decimal, FieldKind, RejectCode, Scope, Value};

fn compile(settings: Settings) -> Decoder {
    Format::Rows(settings).compile(&|_| None, &Faults::new()).unwrap()
}

fn column(name: &str, kind: ColumnKind, declared: &str) -> Column {
    Column { name: name.to_owned(), kind, declared: declared.to_owned(), nullable: None }
}

const TEXT: ColumnKind = ColumnKind::Text { max_chars: None };

/// A file written byte by byte: two columns, a row with values, one with NULL and a fault.
fn by_hand() -> Vec<u8> {
    let head = br#"{"columns":[{"name":"No","kind":"integer","declared":"int","nullable":false},{"name":"Name","kind":"text","max_chars":30,"declared":"varchar(30)","nullable":true}]}"#;
    let mut file = MAGIC.to_vec();
    file.extend((head.len() as u32).to_le_bytes());
    file.extend(head);
    // 4 bytes: `42` is 2+2, `A"b` is 3+2.
    file.extend(b"\x07\0\0\0\x0442\x05A\"b");
    // NULL; a value that was cut off, of which `AB` is there.
    file.extend(b"\x06\0\0\0\x00\x01\x04\x02AB");
    file
}

#[test]
fn a_file_as_its_description_says() {
    let file = by_hand();
    let decoder = compile(Settings::default());
    let begin = file.len() as u64 - 21;
    let expected = [
        r#"{"No":42,"Name":"A\"b"}"#.to_owned(),
        format!(
            "value.truncated: record 2 at byte {}: field Name: expected the whole text, found bytes 41 42",
            begin + 11 + 4
        ),
    ];
    assert_eq!(read(&decoder, &file), expected);
    resumes(&decoder, &file);
    let mut reader = decoder.reader(Cursor::new(&file), Resume::default()).unwrap();
    assert_eq!(reader.resume_point(), Resume { offset: begin, records: 0, line: 0 });
    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("a record is due") };
    assert_eq!((record.raw, record.position.offset, record.position.line), (&b"\x0442\x05A\"b"[..], begin + 4, None));
    let mut out = Vec::new();
    let options = JsonOptions { meta: true, hex: true, ..JsonOptions::default() };
    decoder.write_json(&record, &options, &mut out).unwrap();
    let expected = format!(
        r#"{{"_offset":{},"_length":7,"_record":1,"No":42,"No_hex":"3432","Name":"A\"b","Name_hex":"412262"}}"#,
        begin + 4
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    // A dead letter is found again by where its own bytes begin.
    let position = record.position;
    let mut again = decoder.reader_at(Cursor::new(&file), position).unwrap();
    let Some(Item::Record(record)) = again.next().unwrap() else { panic!("a record is due") };
    assert_eq!(record.position, position);
}

/// A file of one row, each cell of its own kind.
fn one_row(cells: &[(&str, ColumnKind, Cell)]) -> Vec<u8> {
    let columns: Vec<Column> = cells.iter().map(|(name, kind, _)| column(name, *kind, "")).collect();
    write(columns, &[cells.iter().map(|(_, _, cell)| cell.clone()).collect()])
}

#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Value(Vec<u8>),
    Fault(CellFault, Vec<u8>),
}

fn value(text: &str) -> Cell {
    Cell::Value(text.as_bytes().to_vec())
}

fn write(columns: Vec<Column>, rows: &[Vec<Cell>]) -> Vec<u8> {
    let mut writer = BatchWriter::new(columns.into());
    for row in rows {
        writer.begin();
        for cell in row {
            match cell {
                Cell::Null => writer.null(),
                Cell::Value(bytes) => writer.value(bytes),
                Cell::Fault(fault, raw) => writer.fault(*fault, raw),
            }
        }
        writer.end();
    }
    let batch = writer.take();
    assert_eq!(batch.rows, rows.len() as u64);
    batch.bytes.to_vec()
}

#[test]
fn values_of_every_kind() {
    let file = one_row(&[
        ("b", ColumnKind::Boolean, value("1")),
        ("i", ColumnKind::Integer, value("-9223372036854775808")),
        ("d", ColumnKind::Decimal { precision: 38, scale: 10 }, value("-9999999999999999999999999999.9999999999")),
        ("f", ColumnKind::Float, value("1e300")),
        ("t", TEXT, value("Grüße\n")),
        ("x", ColumnKind::Bytes { max: None }, Cell::Value(vec![0, 0xAB])),
        ("day", ColumnKind::Date, value("1753-01-01")),
        ("at", ColumnKind::DateTimeOffset, value("2026-11-28T23:59:59.5+01:00")),
        ("id", ColumnKind::Uuid, value("0197f7a2-0000-7000-8000-000000000000")),
        ("n", ColumnKind::Decimal { precision: 5, scale: 2 }, Cell::Null),
        ("n", TEXT, Cell::Null),
    ]);
    let expected = concat!(
        r#"{"b":true,"i":-9223372036854775808,"d":-9999999999999999999999999999.9999999999,"f":1e300,"t":"Grüße\n","#,
        r#""x":"00AB","day":"1753-01-01","at":"2026-11-28T23:59:59.5+01:00","#,
        r#""id":"0197f7a2-0000-7000-8000-000000000000","n":null,"n_2":null}"#
    );
    assert_eq!(read(&compile(Settings::default()), &file), [expected]);
}

/// What a mapping gets of a cell.
fn cell(kind: ColumnKind, declared: &str, cell: Cell, padding: Padding) -> String {
    let file = write(vec![column("C", kind, declared)], &[vec![cell]]);
    let decoder = compile(Settings { padding, ..Settings::default() });
    let slot = decoder.layout().resolve(None, "C").unwrap().slot;
    let mut reader = decoder.reader(Cursor::new(file), Resume::default()).unwrap();
    let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("a record is due") };
    match record.fields.read(slot, Scope::ROOT) {
        Ok(value) => {
            let mut out = Vec::new();
            let is_short = record.fields.write_text(slot, Scope::ROOT, &mut out);
            assert!(is_short || out.is_empty());
            if let (true, Value::Text(text)) = (is_short, &value) {
                assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), *text);
            }
            if let Some(units) = record.fields.read_units(slot, Scope::ROOT) {
                let Value::Decimal(number) = value else { panic!("{value:?}") };
                assert_eq!(number.units(), i128::from(units));
            }
            format!("{value:?}")
        }
        Err(fault) => format!("{}: {}, {}", fault.code.as_str(), fault.expected, fault.found),
    }
}

#[test]
fn faults_are_told_with_their_bytes() {
    let check = |kind, fault, raw: &[u8], expected: &str| {
        assert_eq!(cell(kind, "", Cell::Fault(fault, raw.to_vec()), Padding::Fixed), expected);
    };
    let encoding = "encoding.unmappable: text in the encoding of its column, bytes 81 8D";
    check(TEXT, CellFault::Encoding, &[0x81, 0x8D], encoding);
    let long = format!(
        "value.too_long: text no longer than what is read of its column, bytes{} ... (40 in all)",
        " 41".repeat(32)
    );
    check(TEXT, CellFault::TooLong, &[0x41; 40], &long);
    check(
        ColumnKind::Date,
        CellFault::Invalid,
        b"2026-00-00",
        "value.bad_date: date, bytes 32 30 32 36 2D 30 30 2D 30 30",
    );
    // What MySQL has for no date is what a mapping may take for NULL.
    check(ColumnKind::Date, CellFault::Invalid, b"0000-00-00", "Text(\"0000-00-00\")");
    check(ColumnKind::DateTime, CellFault::Invalid, b"0000-00-00 00:00:00.000", "Text(\"0000-00-00T00:00:00\")");
    check(
        ColumnKind::Time,
        CellFault::Invalid,
        b"0000-00-00",
        "value.bad_date: time, bytes 30 30 30 30 2D 30 30 2D 30 30",
    );
    let decimal = ColumnKind::Decimal { precision: 5, scale: 2 };
    check(decimal, CellFault::Invalid, b"", "value.bad_type: decimal(5,2), no bytes");
    check(decimal, CellFault::Truncated, b"1", "value.truncated: the whole decimal(5,2), bytes 31");
    // Values that are none of their kind, as nobody writes them.
    let check = |kind, bytes: &[u8], expected: &str| {
        assert_eq!(cell(kind, "", Cell::Value(bytes.to_vec()), Padding::Fixed), expected);
    };
    check(TEXT, b"a\xFF", "encoding.unmappable: text, bytes 61 FF");
    check(ColumnKind::Boolean, b"t", "value.bad_type: boolean, bytes 74");
    check(ColumnKind::Integer, b"1e3", "value.bad_type: integer, bytes 31 65 33");
    check(ColumnKind::Float, b"nan", "value.bad_type: float, bytes 6E 61 6E");
    check(ColumnKind::Float, b"NaN", "Float(NaN)");
    check(decimal, b"1.20", "Decimal(Decimal { units: 120, scale: 2 })");
    check(decimal, b"-0.05", "Decimal(Decimal { units: -5, scale: 2 })");
    check(decimal, b"7", "Decimal(Decimal { units: 7, scale: 0 })");
    check(ColumnKind::Integer, b"-12", "Decimal(Decimal { units: -12, scale: 0 })");
    check(ColumnKind::Integer, b"99999999999999999999", "Decimal(Decimal { units: 99999999999999999999, scale: 0 })");
}

#[test]
fn blanks_that_the_database_has_put_there_are_padding() {
    let check = |declared, padding, expected: &str| {
        assert_eq!(cell(TEXT, declared, value("ab  "), padding), format!("Text({expected:?})"), "{declared}");
    };
    for declared in ["char(4)", "CHAR (4)", "nchar(4)", "bpchar", "CHARACTER(4)", "NATIONAL CHARACTER(4)"] {
        check(declared, Padding::Fixed, "ab");
        check(declared, Padding::All, "ab");
        check(declared, Padding::None, "ab  ");
    }
    for declared in ["varchar(4)", "character varying(4)", "text", "", "nvarchar"] {
        check(declared, Padding::Fixed, "ab  ");
        check(declared, Padding::All, "ab");
        check(declared, Padding::None, "ab  ");
    }
    assert_eq!(cell(ColumnKind::Bytes { max: None }, "char(4)", value("a "), Padding::All), "Bytes([97, 32])");
}

fn lost(settings: Settings, wanted: &[&str], columns: Vec<Column>) -> String {
    let decoder = compile(settings);
    for name in wanted {
        decoder.layout().resolve(None, name).unwrap();
    }
    match decoder.reader(Cursor::new(write(columns, &[])), Resume::default()) {
        Ok(_) => "fits".to_owned(),
        Err(StreamFault::Layout { code: RejectCode::FileUnreadable, message, .. }) => message,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn columns_go_by_their_names_wherever_they_stand() {
    let open = Settings::default;
    let money = ColumnKind::Decimal { precision: 9, scale: 2 };
    let has = || vec![column("ORDER_NO", ColumnKind::Integer, "int"), column("Amount", money, "decimal(9,2)")];
    assert_eq!(lost(open(), &["Amount", "ORDER_NO"], has()), "fits");
    assert_eq!(lost(open(), &["AMOUNT", "order_no"], has()), "fits");
    let gone = "the rows do not fit the mapping: the column `ORDERNO` is gone (renamed to `ORDER_NO`?); they have `ORDER_NO`, `Amount`";
    assert_eq!(lost(open(), &["ORDERNO"], has()), gone);
    // As it is written goes before the same in other letters, of which there may be several.
    let twins = || vec![column("a", TEXT, ""), column("A", TEXT, "")];
    assert_eq!(lost(open(), &["a", "A"], twins()), "fits");
    let same = vec![column("b", TEXT, ""), column("B", TEXT, "")];
    let same = [same, vec![column("b", TEXT, "")]].concat();
    assert!(lost(open(), &["b"], same).contains("several columns are called `b`"));
    // A column that became another: drift. Another length of the same kind is none.
    let declared = || Settings { columns: Some(has().into()), ..Settings::default() };
    let wider = ColumnKind::Decimal { precision: 12, scale: 2 };
    let now = |kind, said| vec![column("ORDER_NO", ColumnKind::Integer, "int"), column("Amount", kind, said)];
    assert_eq!(lost(declared(), &["Amount"], now(wider, "decimal(12,2)")), "fits");
    assert_eq!(lost(declared(), &["ORDER_NO"], now(TEXT, "varchar(9)")), "fits");
    let retyped = "the rows do not fit the mapping: `Amount` was decimal(9,2) and is varchar(9) now; they have `ORDER_NO`, `Amount`";
    assert_eq!(lost(declared(), &["Amount"], now(TEXT, "varchar(9)")), retyped);
}

#[test]
fn declared_columns_are_known_before_any_file() {
    let columns: Arc<[Column]> =
        vec![column("No", ColumnKind::Integer, "int"), column("Name", TEXT, ""), column("name", TEXT, "")].into();
    let decoder = compile(Settings { columns: Some(columns), ..Settings::default() });
    let layout = decoder.layout();
    let kind = layout.resolve(None, "NO").unwrap().kind;
    assert_eq!(kind, FieldKind::Number { digits: 20, scale: 0, signed: true });
    assert_eq!(layout.names(), ["No", "Name", "name"]);
    assert!(layout.says_null());
    let refused = |name| {
        let refused = layout.resolve(None, name).unwrap_err();
        (refused.reason, refused.nearest)
    };
    assert_eq!(refused("NAME").0, "several columns are called `NAME`; tell them apart by AS");
    assert_eq!(refused("Nam"), ("there is no column `Nam`".to_owned(), Some("Name".to_owned())));
}

#[test]
fn what_is_no_file_of_rows_is_told() {
    let said = |data: &[u8]| read_from(&compile(Settings::default()), data, Resume::default()).join("\n");
    let whole = by_hand();
    for (data, expected) in [
        (&b""[..], "lost: it has 0 bytes; a file of rows begins with `TBROWS1`"),
        (b"a;b;c;d;e;f\n1;2", "lost: it is no file of rows: it does not begin with `TBROWS1`"),
        (b"TBROWS1\n\x01", "lost: its head would be longer than 4194304 bytes, or its length is cut off"),
        (b"TBROWS1\n\xFF\xFF\xFF\xFF", "lost: its head would be longer than 4194304 bytes, or its length is cut off"),
        (&whole[..60], "lost: its head has 164 bytes, of which 48 are there"),
        (b"TBROWS1\n\x02\0\0\0{]", "lost: its head is not the JSON of its columns"),
        (b"TBROWS1\n\x0e\0\0\0{\"columns\":12}", "lost: its head is not the JSON of its columns"),
    ] {
        assert!(said(data).starts_with(expected), "{}", said(data));
    }
    let inside = Resume { offset: 20, records: 0, line: 0 };
    assert!(read_from(&compile(Settings::default()), &whole, inside)[0].contains("no row begins at byte 20"));
}

#[test]
fn rows_that_are_not_whole_are_rejects() {
    let whole = by_hand();
    let begin = whole.len() - 21;
    let with = |rows: &[u8]| [&whole[..begin], rows].concat();
    let decoder = compile(Settings::default());
    let after = |rows: &[u8]| {
        let data = with(rows);
        resumes(&decoder, &data);
        read(&decoder, &data)
    };
    let good = b"\x07\0\0\0\x0442\x05A\"b";
    for (row, expected) in [
        (&b"\x02\0\0\0\x00\x0a"[..], "a cell 2 at byte 1 that does not fit the 2 bytes of the row"),
        (b"\x01\0\0\0\x00", "a cell 2 at byte 1 that does not fit the 1 bytes of the row"),
        (b"\0\0\0\0", "a cell 1 at byte 0 that does not fit the 0 bytes of the row"),
        (b"\x03\0\0\0\x00\x00\x00", "1 more bytes behind the last cell"),
        (b"\x04\0\0\0\x00\x01\x09\x00", "a cell 2 at byte 1 that does not fit the 4 bytes of the row"),
        (b"\x06\0\0\0\x00\xff\xff\xff\xff\xff", "a cell 2 at byte 1 that does not fit the 6 bytes of the row"),
    ] {
        let found = after(&[row, good].concat());
        let expected =
            format!("framing.bad_length: record 1 at byte {}: expected a row of 2 cells, found {expected}", begin + 4);
        assert_eq!(found, [expected, r#"{"No":42,"Name":"A\"b"}"#.to_owned()]);
    }
    for cut in [1, 3, 4, 10] {
        let found = after(&good[..cut]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("framing.truncated: record 1 at byte"), "{found:?}");
    }
    // A length that nobody holds in memory is gone over.
    let found = after(b"\xFF\xFF\xFF\xFFabc");
    assert!(found[0].contains("framing.record_too_long") && found[0].contains("found 4294967295 bytes"), "{found:?}");
    let long =
        [&(crate::decode::MAX_RECORD as u32 + 1).to_le_bytes()[..], &vec![0; crate::decode::MAX_RECORD + 1]].concat();
    let found = read(&decoder, &with(&[&long[..], good].concat()));
    assert_eq!((found.len(), found[1].as_str()), (2, r#"{"No":42,"Name":"A\"b"}"#));
}

fn kinds() -> impl Strategy<Value = ColumnKind> {
    prop_oneof![
        Just(TEXT),
        Just(ColumnKind::Bytes { max: Some(9) }),
        Just(ColumnKind::Boolean),
        Just(ColumnKind::Integer),
        (0u8..9).prop_map(|scale| ColumnKind::Decimal { precision: 20, scale }),
        Just(ColumnKind::DateTime),
    ]
}

/// A value in the canonical form of its column, or none.
fn cells(kind: ColumnKind) -> BoxedStrategy<Cell> {
    let value = match kind {
        ColumnKind::Bytes { .. } => proptest::collection::vec(any::<u8>(), 0..300).boxed(),
        ColumnKind::Boolean => any::<bool>().prop_map(|truth| vec![b'0' + u8::from(truth)]).boxed(),
        ColumnKind::Integer => any::<i64>().prop_map(|number| number.to_string().into_bytes()).boxed(),
        ColumnKind::Decimal { scale, .. } => any::<i64>()
            .prop_map(move |units| crate::record::Decimal::new(units.into(), scale).unwrap().to_string().into_bytes())
            .boxed(),
        _ => ".{0,40}".prop_map(String::into_bytes).boxed(),
    };
    let faults = vec![CellFault::Encoding, CellFault::TooLong, CellFault::Invalid, CellFault::Truncated];
    let fault = (proptest::sample::select(faults), proptest::collection::vec(any::<u8>(), 0..20));
    prop_oneof![6 => value.prop_map(Cell::Value), 2 => Just(Cell::Null), 1 => fault.prop_map(|(fault, raw)| Cell::Fault(fault, raw))]
        .boxed()
}

fn files() -> impl Strategy<Value = (Vec<Column>, Vec<Vec<Cell>>)> {
    proptest::collection::vec(kinds(), 1..7).prop_flat_map(|kinds| {
        let columns = kinds.iter().enumerate().map(|(n, kind)| column(&format!("C{n}"), *kind, "")).collect();
        let row: Vec<_> = kinds.into_iter().map(cells).collect();
        (Just(columns), proptest::collection::vec(row, 0..12))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back((columns, rows) in files()) {
        let file = write(columns.clone(), &rows);
        let decoder = compile(Settings::default());
        let slots: Vec<_> =
            columns.iter().map(|column| decoder.layout().resolve(None, &column.name).unwrap().slot).collect();
        let mut reader = decoder.reader(Cursor::new(&file), Resume::default()).unwrap();
        for (number, row) in rows.iter().enumerate() {
            let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("record {number} is due") };
            let offset = record.position.offset as usize;
            prop_assert_eq!(record.raw, &file[offset..offset + record.position.length as usize]);
            prop_assert_eq!(record.position.record, number as u64 + 1);
            for ((slot, column), written) in slots.iter().zip(&columns).zip(row) {
                match (record.fields.read(*slot, Scope::ROOT), written) {
                    (Ok(Value::Null), Cell::Null) | (Err(_), Cell::Fault(..)) => {}
                    (Ok(Value::Text(text)), Cell::Value(bytes)) => prop_assert_eq!(text.as_bytes(), &bytes[..]),
                    (Ok(Value::Bytes(read)), Cell::Value(bytes)) => prop_assert_eq!(&read[..], &bytes[..]),
                    (Ok(Value::Boolean(truth)), Cell::Value(bytes)) => prop_assert_eq!(&bytes[..], if truth { b"1" } else { b"0" }),
                    (Ok(Value::Decimal(number)), Cell::Value(bytes)) => {
                        let text = number.to_string();
                        prop_assert_eq!(text.as_bytes(), &bytes[..]);
                        let short = record.fields.read_units(*slot, Scope::ROOT);
                        prop_assert!(short.is_none_or(|units| i128::from(units) == number.units()), "{:?}", column);
                        let mut out = Vec::new();
                        let is_written = record.fields.write_number(*slot, Scope::ROOT, 38, &mut out);
                        prop_assert_eq!(&out[..], if is_written { &bytes[..] } else { b"" });
                    }
                    (read, written) => panic!("{column:?}: {written:?} is read as {read:?}"),
                }
            }
        }
        prop_assert!(reader.next().unwrap().is_none());
        resumes(&decoder, &file);
    }

    /// What is taken as it is written is what the number would be written as.
    #[test]
    fn a_number_as_it_is_written(text in "-?[0-9]{0,4}[.]?[0-9]{0,3}", scale in 0u8..4, most in 0usize..8) {
        if super::row::is_written(text.as_bytes(), scale.into(), most) {
            let number = Decimal::parse(&text, b'.', None).unwrap();
            prop_assert_eq!((number.to_string(), number.scale()), (text.clone(), scale));
            prop_assert!(number.units().unsigned_abs() < 10u128.pow(most as u32));
        } else if let (true, Ok(number)) = (most > 6, Decimal::parse(&text, b'.', None)) {
            let is_as_written = number.to_string() == text && number.scale() == scale;
            prop_assert!(!is_as_written || text.trim_matches(['-', '.']).len() > most, "{}", text);
        }
    }

    #[test]
    fn any_bytes_are_read_to_an_end(mut rows in proptest::collection::vec(any::<u8>(), 0..200), at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let decoder = compile(Settings::default());
        let mut file = by_hand();
        file.append(&mut rows);
        let length = file.len();
        file[at.index(length)] = byte;
        let lines = read_from(&decoder, &file, Resume::default());
        prop_assert!(lines.iter().all(|line| is_sound(line)), "{:?}", lines);
        resumes(&decoder, &file);
    }
}
