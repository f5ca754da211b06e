//! Workbooks put together by hand, of the kinds that programs write which are not the well-known one, and of those that
//! nobody should write.

use super::super::{OnError, Settings, Sheet};
use super::{all, archive, parts, two, with_text};

const PLAIN: &str = "<cellXfs><xf numFmtId='0'/></cellXfs>";

fn rows(rows: &str) -> String {
    format!("<sheetData>{rows}</sheetData>")
}

fn read(sheet: &str, texts: &str) -> Vec<String> {
    all(two(), &archive(&parts(sheet, texts, PLAIN)))
}

/// Rich text, phonetic signs, texts in the cell, characters that XML cannot hold, and texts that are empty.
#[test]
fn texts_in_all_forms() {
    let texts = "<si/><si><r><rPr><b/></rPr><t>Mü</t></r><r><t xml:space='preserve'>ller &amp; </t></r><r><t>Co</t></r>\
                 <rPh sb='0' eb='1'><t>kana</t></rPh></si><si><t>a_x000D_b_x005F_x000D_</t></si>\
                 <si><t><![CDATA[<c>]]></t></si><si><t></t></si><si><t>last</t></si>";
    let shared: String =
        (0..6).map(|text| format!("<row><c t='s'><v>{text}</v></c><c t='n'><v>1</v></c></row>")).collect();
    let found = read(&rows(&shared), texts);
    let expected = ["null", "\"Müller & Co\"", "\"a\\rb_x000D_\"", "\"<c>\"", "null", "\"last\""];
    assert_eq!(found, expected.map(|text| format!(r#"{{"A":{text},"B":1}}"#)));
    let inline = "<row><c t='inlineStr'><is><r><t>x</t></r><r><t>&lt;y</t></r></is></c><c t='str'><v>p &#x20AC; q</v></c>\
                  <c t='inlineStr'><v>0</v><is><t>z</t></is></c></row>";
    assert_eq!(read(&rows(inline), ""), [r#"{"A":"x<y","B":"p € q","C":"z"}"#]);
}

/// What a formula ended in counts, an error costs its cell and no other, also where no library knows it.
#[test]
fn what_formulas_ended_in() {
    let cells = "<row r='1'><c r='A1'><f>1+1</f><v>2</v></c><c r='B1' t='str'><f>\"a\"</f><v>a</v></c>\
                 <c r='C1' t='b'><f>1=1</f><v>1</v></c></row>\
                 <row r='2'><c r='A2' t='e'><f>NA()</f><v>#N/A</v></c><c r='B2'><v>1</v></c></row>\
                 <row r='3'><c r='A3' t='e'><f>SORT(B:B)</f><v>#SPILL!</v></c><c r='B3'><v>2</v></c></row>\
                 <row r='4'><c r='A4'><f t='shared' ref='A4:A5' si='0'>B4</f><v>7</v></c><c r='B4' t='e'><v>#BUSY!</v></c></row>\
                 <row r='5'><c r='A5'><f t='shared' si='0'/><v>8</v></c><c r='B5'><v>3</v></c></row>\
                 <row r='6'><c r='A6'><f t='shared' si='0'/></c><c r='B6'><v>4</v></c></row>";
    let found = read(&rows(cells), "");
    let expected = [
        r#"{"A":2,"B":"a","C":true}"#,
        r#"{"A":null,"B":1,"C":null}"#,
        r#"{"A":null,"B":2,"C":null}"#,
        r#"{"A":7,"B":null,"C":null}"#,
        r#"{"A":8,"B":3,"C":null}"#,
        r#"{"A":null,"B":4,"C":null}"#,
    ];
    assert_eq!(found, expected);
    let strict = Settings { errors: OnError::Reject, ..two() };
    let found = all(strict, &archive(&parts(&rows(cells), "", PLAIN)));
    let told = |what: &str, place: &str| format!("value.bad_type {what} in {place} of sheet `Two`");
    let rejected = [
        expected[0].to_owned(),
        told("#N/A", "A2"),
        told("#SPILL!", "A3"),
        told("#BUSY!", "B4"),
        expected[4].to_owned(),
        told("a formula without a stored value", "A6"),
    ];
    assert_eq!(found, rejected);
}

/// Serial numbers of the manual, by both epochs: 2022-01-01 is 44562 days from 1900 and 43100 from 1904 on.
#[test]
fn days_of_both_epochs() {
    let styles = "<numFmts><numFmt numFmtId='170' formatCode='yyyy\\-mm\\-dd;@'/></numFmts><cellXfs><xf numFmtId='0'/>\
                  <xf numFmtId='14'/><xf numFmtId='22'/><xf numFmtId='21'/><xf numFmtId='46'/><xf numFmtId='170'/></cellXfs>";
    let cell = |style: u32, value: &str| format!("<c s='{style}'><v>{value}</v></c>");
    let row = |days: u32| {
        let cells = [cell(1, &days.to_string()), cell(2, &format!("{days}.75")), cell(3, "0.5"), cell(4, "1.25")];
        rows(&format!("<row>{}{}{}</row>", cells.concat(), cell(5, &days.to_string()), cell(9, &days.to_string())))
    };
    let expected = |days: u32| {
        [format!(
            r#"{{"A":"2022-01-01","B":"2022-01-01T18:00:00","C":"12:00:00","D":"30:00:00","E":"2022-01-01","F":{days}}}"#
        )]
    };
    assert_eq!(all(two(), &archive(&parts(&row(44_562), "", styles))), expected(44_562));
    let mut from_1904 = parts(&row(43_100), "", styles);
    from_1904[1].1 = from_1904[1].1.replace("date1904='0'", "date1904='1'");
    assert_eq!(all(two(), &archive(&from_1904)), expected(43_100));
}

/// The ends of both calendars, by hand: day 1 is 1900-01-01, or 1904-01-02; there was no 1900-02-29; 1904 was a leap year.
#[test]
fn days_at_the_ends_of_both_epochs() {
    let styles = "<cellXfs><xf numFmtId='14'/></cellXfs>";
    let check = |from_1904: bool, days: &[(&str, Result<&str, &str>)]| {
        let cells: String = days.iter().map(|(value, _)| format!("<row><c s='0'><v>{value}</v></c></row>")).collect();
        let mut content = parts(&rows(&cells), "", styles);
        if from_1904 {
            content[1].1 = content[1].1.replace("date1904='0'", "date1904='true'");
        }
        let found = all(Settings { errors: OnError::Reject, ..two() }, &archive(&content));
        let expected = days.iter().enumerate().map(|(row, (_, shown))| match shown {
            Ok(shown) => format!(r#"{{"A":"{shown}"}}"#),
            Err(why) => format!("value.bad_type {why} in A{} of sheet `Two`", row + 1),
        });
        assert_eq!(found, expected.collect::<Vec<_>>());
    };
    let no_date = "which is no date of a workbook";
    check(
        false,
        &[
            // Of the day before the first one only the time is told.
            ("0", Ok("00:00:00")),
            ("0.5", Ok("12:00:00")),
            ("1", Ok("1900-01-01")),
            ("31", Ok("1900-01-31")),
            ("32", Ok("1900-02-01")),
            ("59", Ok("1900-02-28")),
            ("59.75", Ok("1900-02-28T18:00:00")),
            ("60", Err("1900-02-29, a day that never was")),
            ("60.75", Err("1900-02-29, a day that never was")),
            ("61", Ok("1900-03-01")),
            ("366", Ok("1900-12-31")),
            ("367", Ok("1901-01-01")),
            ("1461", Ok("1903-12-31")),
            ("1462", Ok("1904-01-01")),
            ("36585", Ok("2000-02-29")),
            ("73109", Ok("2100-02-28")),
            ("73110", Ok("2100-03-01")),
            ("2958465", Ok("9999-12-31")),
            ("2958465.5", Ok("9999-12-31T12:00:00")),
            ("2958466", Err(&format!("2958466, {no_date}"))),
            ("-1", Err(&format!("-1, {no_date}"))),
            ("-0.25", Err(&format!("-0.25, {no_date}"))),
        ],
    );
    check(
        true,
        &[
            // 1904-01-01 itself, which a column of times shows as midnight.
            ("0", Ok("00:00:00")),
            ("0.5", Ok("12:00:00")),
            ("1", Ok("1904-01-02")),
            ("59", Ok("1904-02-29")),
            ("60", Ok("1904-03-01")),
            ("60.75", Ok("1904-03-01T18:00:00")),
            ("365", Ok("1904-12-31")),
            ("366", Ok("1905-01-01")),
            ("35123", Ok("2000-02-29")),
            ("2957003", Ok("9999-12-31")),
            ("2957003.5", Ok("9999-12-31T12:00:00")),
            ("2957004", Err(&format!("2957004, {no_date}"))),
            ("2958465", Err(&format!("2958465, {no_date}"))),
            ("-1", Err(&format!("-1, {no_date}"))),
        ],
    );
}

/// What a sheet says of its size is nothing to go by, and rows without cells are none.
#[test]
fn sizes_that_are_said() {
    let cells = "<row r='2'><c r='B2'><v>1</v></c></row><row r='1048576'><c r='XFD1048576'><v>2</v></c></row>";
    let narrow = Settings { range: super::Area::parse("B:C").unwrap(), ..two() };
    for dimension in ["", "<dimension ref='A1'/>", "<dimension ref='A1:XFD1048576'/>", "<dimension ref='C3:D4'/>"] {
        let sheet = format!("{dimension}{}", rows(cells));
        let content = archive(&parts(&sheet, "", PLAIN));
        assert_eq!(all(narrow.clone(), &content), [r#"{"B":1}"#], "{dimension}");
        let found = all(two(), &content);
        assert!(found.len() == 2 && found[1].ends_with(r#""XFD":2}"#), "{dimension}");
    }
    let blank = format!("{}<row><c><v>5</v></c></row>", "<row/>".repeat(100_000));
    assert_eq!(read(&rows(&blank), ""), [r#"{"A":5}"#]);
}

/// Hidden sheets count, and are read when they are asked for.
#[test]
fn hidden_sheets() {
    let mut hidden = parts(&rows("<row><c><v>1</v></c></row>"), "", PLAIN);
    hidden[1].1 = hidden[1].1.replace("name='Two'", "state='veryHidden' name='Two'");
    assert_eq!(all(two(), &archive(&hidden)), [r#"{"A":1}"#]);
    assert_eq!(all(Settings { sheet: Sheet::At(2), ..two() }, &archive(&hidden)), [r#"{"A":1}"#]);
}

/// Each part is missing once.
#[test]
fn parts_that_are_missing() {
    let whole = parts(&rows("<row><c t='s'><v>0</v></c></row>"), "<si><t>a</t></si>", PLAIN);
    assert_eq!(all(two(), &archive(&whole)), [r#"{"A":"a"}"#]);
    for missing in [
        "_rels/.rels",
        "xl/workbook.xml",
        "xl/_rels/workbook.xml.rels",
        "xl/sharedStrings.xml",
        "xl/worksheets/sheet1.xml",
    ] {
        let rest: Vec<_> = whole.iter().filter(|(name, _)| *name != missing).cloned().collect();
        let found = all(two(), &archive(&rest));
        assert!(found.len() == 1 && found[0].starts_with("! the workbook "), "{missing}: {found:?}");
    }
    // Without styles it can be read all the same.
    let rest: Vec<_> = whole.iter().filter(|(name, _)| *name != "xl/styles.xml").cloned().collect();
    assert_eq!(all(two(), &archive(&rest)), [r#"{"A":"a"}"#]);
}

/// Small files that would take gigabytes.
#[test]
fn bombs_are_refused() {
    let one = rows("<row><c><v>1</v></c></row>");
    let refused = |content: &[u8], expected: &str| {
        let found = all(two(), content);
        assert!(
            found.len() == 1 && found[0].starts_with("! the workbook ") && found[0].contains(expected),
            "{found:?}"
        );
    };
    // A name of a megabyte that a thousand formats go by.
    let (name, formats) = ("0".repeat(1_000_000), "<xf numFmtId='170'/>".repeat(1000));
    let styles = format!("<numFmts><numFmt numFmtId='170' formatCode='{name}'/></numFmts><cellXfs>{formats}</cellXfs>");
    refused(&archive(&parts(&one, "", &styles)), "has formats that take up to");
    let fonts = format!("<fonts>{}</fonts>{PLAIN}", "<font/>".repeat(2_000_000));
    refused(&archive(&parts(&one, "", &fonts)), "has formats that take up to");
    refused(&archive(&parts(&one, "<!DOCTYPE x [<!ENTITY a 'b'>]>", PLAIN)), "has a document type");
    // One text of three megabytes, in one cell and in very many.
    let text = "t".repeat(3 << 20);
    let cells = |count: usize| "<row><c t='s'><v>1</v></c></row>".repeat(count);
    let found = all(two(), &with_text(&cells(1), &text));
    assert!(found.len() == 1 && found[0].len() > 3 << 20);
    let small = Settings { max_bytes: 4 << 20, ..two() };
    assert_eq!(all(small, &with_text(&cells(20), &text)).len(), 20);
}

/// A binary workbook of one sheet.
fn binary(records: &[u8]) -> Vec<u8> {
    let wide = |text: &str| -> Vec<u8> {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        [&(units.len() as u32 / 2).to_le_bytes()[..], &units].concat()
    };
    let sheet = [vec![0; 4], vec![1, 0, 0, 0], wide("rId1"), wide("Two")].concat();
    let workbook =
        [&[0x83, 1, 0, 0x8F, 1, 0, 0x9C, 1, sheet.len() as u8][..], &sheet, &[0x90, 1, 0, 0x84, 1, 0]].concat();
    let content =
        [&[0x81, 1, 0, 0x94, 1, 16][..], &[0; 16], &[0x91, 1, 0], records, &[0x92, 1, 0, 0x82, 1, 0]].concat();
    let main = "<Relationships><Relationship Id='rId1' Type='http://schemas.openxmlformats.org/officeDocument/2006/\
                relationships/worksheet' Target='worksheets/sheet1.bin'/></Relationships>";
    archive(&[
        ("xl/workbook.bin", workbook),
        ("xl/_rels/workbook.bin.rels", main.as_bytes().to_vec()),
        ("xl/worksheets/sheet1.bin", content),
    ])
}

/// In a binary workbook the error that a formula ended in is a record of its own, which must not read as an empty cell.
#[test]
fn errors_of_binary_workbooks() {
    let cell = |kind: u8, column: u8, value: &[u8]| {
        [&[kind, 8 + value.len() as u8, column, 0, 0, 0, 0, 0, 0, 0][..], value].concat()
    };
    let row = |number: u8| vec![0, 8, number, 0, 0, 0, 0, 0, 0, 0];
    // A formula's value is followed by flags and the formula.
    let formula = [0u8; 10];
    let number = |column: u8, value: f64| cell(9, column, &[&value.to_le_bytes()[..], &formula].concat());
    let error = |kind: u8, column: u8, code: u8| cell(kind, column, &[&[code][..], &formula].concat());
    let records = [
        row(0),
        number(0, 1.5),
        error(0x0B, 1, 0x2A),
        number(2, 2.5),
        row(1),
        error(0x0B, 0, 0x07),
        row(2),
        error(0x03, 0, 0x17),
        error(0x03, 1, 0x99),
        cell(0x0A, 2, &[1]),
        row(3),
        number(0, 4.0),
        error(0x0B, 1, 0x00),
    ]
    .concat();
    let found = all(two(), &binary(&records));
    let expected = [
        r#"{"A":1.5,"B":null,"C":2.5}"#,
        r#"{"A":null,"B":null,"C":null}"#,
        r#"{"A":null,"B":null,"C":true}"#,
        r#"{"A":4,"B":null,"C":null}"#,
    ];
    assert_eq!(found, expected);
    let found = all(Settings { errors: OnError::Reject, ..two() }, &binary(&records));
    let told = [("#N/A", "B1"), ("#DIV/0!", "A2"), ("#REF!", "A3"), ("#NULL!", "B4")];
    assert_eq!(found, told.map(|(what, place)| format!("value.bad_type {what} in {place} of sheet `Two`")));
    // The error of the second cell in its row is told where the first is not read.
    let second = Settings { errors: OnError::Reject, range: super::Area::parse("B3:C3").unwrap(), ..two() };
    assert_eq!(all(second, &binary(&records)), ["value.bad_type the error 153 in B3 of sheet `Two`"]);
    // Rows in any order are where they say that they are.
    let mixed = [row(5), error(0x0B, 0, 0x2A), number(1, 1.0), row(2), number(0, 3.0)].concat();
    let found = all(Settings { errors: OnError::Reject, ..two() }, &binary(&mixed));
    assert_eq!(found, [r#"{"A":3,"B":null}"#, "value.bad_type #N/A in A6 of sheet `Two`"]);
    // Cells of which the library knows nothing are told, not left out.
    let short = [row(0), vec![0x10, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
    let found = all(two(), &binary(&short));
    assert_eq!(found, ["! the workbook is damaged: in sheet `Two` row 1 has a cell that does not say its column"]);
}

/// In an .ods file an error is a text, beside which stands that it is one.
#[test]
fn errors_of_open_documents() {
    let cell = |attributes: &str, text: &str| {
        format!(
            "<table:table-cell office:value-type=\"string\" {attributes}><text:p>{text}</text:p></table:table-cell>"
        )
    };
    let error = "table:formula=\"of:=NA()\" office:string-value=\"\" calcext:value-type=\"error\"";
    let row = |cells: &[String]| format!("<table:table-row>{}</table:table-row>", cells.concat());
    let rows = [
        row(&[cell("", "No"), cell("", "Was")]),
        row(&[cell("", "1"), cell("calcext:value-type=\"string\"", "#N/A")]),
        row(&[cell("", "2"), cell(error, "#N/A")]),
        row(&[cell("", "3"), cell(error, "Err:502")]),
    ]
    .concat();
    let document = format!(
        "<office:document-content><office:body><office:spreadsheet><table:table table:name=\"Two\">{rows}</table:table>\
         </office:spreadsheet></office:body></office:document-content>"
    );
    let content = archive(&[
        ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", "<manifest:manifest></manifest:manifest>"),
        ("content.xml", document.as_str()),
    ]);
    let with = |errors| Settings { errors, header: true, ..two() };
    let found = all(with(OnError::Reject), &content);
    let told = |what: &str, place: &str| format!("value.bad_type {what} in {place} of sheet `Two`");
    assert_eq!(found, [r##"{"No":"1","Was":"#N/A"}"##.to_owned(), told("#N/A", "B3"), told("Err:502", "B4")]);
    let found = all(with(OnError::Null), &content);
    assert_eq!(found[1..], [r#"{"No":"2","Was":null}"#, r#"{"No":"3","Was":null}"#]);
}
