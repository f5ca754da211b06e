//! IDocs in both forms, and what is wrong with them.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::Settings;
use crate::decode::testing::{is_sound, read, read_from, resumes};
use crate::decode::{CodePage, Decoder, Format, Item, MAX_RECORD, Place, Resume};
use crate::diagnostic::{Faults, SourceText};
use crate::record::{FieldKind, Scope, Slot, Value};

/// The columns of EDI_DC40 up to RCVPRN, as SAP documents them; what is behind is blank.
fn control(number: &str) -> String {
    let head =
        format!("{:<10}{:<3}{number:0>16}{:<4}{:<2}{}{}{}{}", "EDI_DC40", "800", "700", "30", "1", "2", " ", " ");
    let types = format!("{:<30}{:<30}{:<30}{:<3}{:<3}{:<1}{:<6}{:<6}", "ORDERS05", "", "ORDERS", "", "", "", "", "");
    let sender = format!("{:<10}{:<2}{:<2}{:<10}{:<21}{:<70}", "SAPPRD", "LS", "", "PRDCLNT800", "", "");
    let receiver = format!("{:<10}{:<2}{:<2}{:<10}{:<21}{:<70}", "FILE", "KU", "", "0000100001", "", "");
    format!("{head}{types}{sender}{receiver}{:<8}{:<6}{:<132}", "20261031", "010203", "")
}

/// A data record, its data filled up to 1000 characters.
fn data(segment: &str, number: &str, numbers: (&str, &str, &str), content: &str) -> String {
    let (own, parent, level) = numbers;
    format!("{segment:<30}{:<3}{number:0>16}{own:<6}{parent:<6}{level:<2}{content:<1000}", "800")
}

const LIST: &str = "# an order\nE2EDK01005 E1EDK01\n  ACTION 3\n  CURCY 3\n  BELNR 35\nE2EDK03 E1EDK03\n  IDDAT 3\n  DATUM 8\n\
    E2EDP01001 E1EDP01\n  POSEX 6\n  MENGE 15\nE2EDP19 E1EDP19\n  QUALF 3\n  IDTNR 35\n  KTEXT 70\n";

fn records(number: &str) -> Vec<String> {
    let segment = |name, numbers, content: &str| data(name, number, numbers, content);
    vec![
        control(number),
        segment("E2EDK01005", ("000001", "000000", "01"), "000EUR4500000001"),
        segment("E2EDK03", ("000002", "000000", "01"), "01220261031"),
        segment("E2EDK03", ("000003", "000000", "01"), "00220261105"),
        segment("E2EDP01001", ("000004", "000000", "01"), "000010         5.000"),
        segment("E2EDP19", ("000005", "000004", "02"), "001A-1"),
        segment("E2EDP19", ("000006", "000004", "02"), &format!("002{:<35}{}", "4000862141404", "Schraube \"M6\"")),
        segment("E2EDP01001", ("000007", "000000", "01"), "000020         1.000"),
    ]
}

fn flat(number: &str) -> String {
    records(number).join("\n") + "\n"
}

const EXPECTED: &str = concat!(
    r#""E1EDK01":[{"_segment":1,"ACTION":"000","CURCY":"EUR","BELNR":"4500000001"}],"#,
    r#""E1EDK03":[{"_segment":2,"IDDAT":"012","DATUM":"20261031"},{"_segment":3,"IDDAT":"002","DATUM":"20261105"}],"#,
    r#""E1EDP01":[{"_segment":4,"POSEX":"000010","MENGE":"         5.000","#,
    r#""E1EDP19":[{"_segment":5,"QUALF":"001","IDTNR":"A-1"},{"_segment":6,"QUALF":"002","IDTNR":"4000862141404","KTEXT":"Schraube \"M6\""}]},"#,
    r#"{"_segment":7,"POSEX":"000020","MENGE":"         1.000"}]}"#,
);

const XML: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- an order -->\n<ORDERS05>\n<IDOC BEGIN=\"1\">\n<EDI_DC40 SEGMENT=\"1\"><TABNAM>EDI_DC40</TABNAM>",
    "<MANDT>800</MANDT><DOCNUM>0000000000000007</DOCNUM><DOCREL>700</DOCREL><STATUS>30</STATUS><DIRECT>1</DIRECT><OUTMOD>2</OUTMOD>",
    "<IDOCTYP>ORDERS05</IDOCTYP><CIMTYP/><MESTYP>ORDERS</MESTYP><SNDPOR>SAPPRD</SNDPOR><SNDPRT>LS</SNDPRT><SNDPRN>PRDCLNT800</SNDPRN>",
    "<RCVPOR>FILE</RCVPOR><RCVPRT>KU</RCVPRT><RCVPRN>0000100001</RCVPRN><CREDAT>20261031</CREDAT><CRETIM>010203</CRETIM></EDI_DC40>\n",
    "<E1EDK01 SEGMENT=\"1\"><ACTION>000</ACTION><CURCY>EUR</CURCY><BELNR>45000<![CDATA[00]]>001</BELNR></E1EDK01>\n",
    "<E1EDK03 SEGMENT=\"1\"><IDDAT>012</IDDAT><DATUM>20261031</DATUM></E1EDK03><E1EDK03 SEGMENT='1'><IDDAT>002</IDDAT><DATUM>20261105</DATUM></E1EDK03>",
    "<E1EDP01 SEGMENT=\"1\"><POSEX>000010</POSEX><MENGE>         5.000</MENGE><E1EDP19 SEGMENT=\"1\"><QUALF>001</QUALF><IDTNR>A-1</IDTNR></E1EDP19>",
    "<E1EDP19><QUALF>002</QUALF><IDTNR>4000862141404</IDTNR><KTEXT>Schraube &quot;M&#54;\"</KTEXT></E1EDP19></E1EDP01>",
    "<E1EDP01 SEGMENT=\"1\"><POSEX>000020</POSEX><MENGE>         1.000</MENGE></E1EDP01></IDOC>\n</ORDERS05>\n",
);

fn compile(list: Option<&str>, encoding: &str) -> Decoder {
    let source = SourceText::new(Path::new("l.txt"), list.unwrap_or_default().to_owned());
    let place = Place::command_line("--segments l.txt");
    let segments = list.map(|_| ("l.txt".to_owned(), place));
    let settings = Settings { encoding: CodePage::find(encoding).unwrap(), segments, ..Settings::default() };
    Format::Idoc(settings).compile(&|_| Some(Arc::clone(&source)), &Faults::new()).unwrap()
}

fn listed() -> Decoder {
    compile(Some(LIST), "utf-8")
}

#[test]
fn the_control_record_is_as_long_as_it_should_be() {
    assert_eq!(control("7").len(), 524);
    assert_eq!(data("X", "7", ("", "", ""), "").len(), 1063);
}

#[test]
fn flat_and_xml_are_the_same_json() {
    let lines = read(&listed(), flat("7").as_bytes());
    assert_eq!(lines.len(), 1, "{lines:?}");
    let expected = concat!(
        r#"{"EDI_DC40":{"TABNAM":"EDI_DC40","MANDT":"800","DOCNUM":"0000000000000007","DOCREL":"700","STATUS":"30","DIRECT":"1","#,
        r#""OUTMOD":"2","IDOCTYP":"ORDERS05","MESTYP":"ORDERS","SNDPOR":"SAPPRD","SNDPRT":"LS","SNDPRN":"PRDCLNT800","RCVPOR":"FILE","#,
        r#""RCVPRT":"KU","RCVPRN":"0000100001","CREDAT":"20261031","CRETIM":"010203"},"#,
    );
    assert_eq!(lines[0], format!("{expected}{EXPECTED}"));
    assert_eq!(read(&listed(), XML.as_bytes()), lines);
    // XML needs no list.
    assert_eq!(read(&compile(None, "utf-8"), XML.as_bytes()), lines);
    let latin = XML.replace("UTF-8", "iso-8859-1").replace("Schraube", "Schr\u{e4}ube");
    let latin: Vec<u8> = latin.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    assert_eq!(read(&listed(), &latin), [lines[0].replace("Schraube", "Schräube")]);
}

#[test]
fn several_idocs_and_every_framing() {
    let one = read(&listed(), flat("7").as_bytes()).remove(0);
    let both = vec![one.clone(), one.replace("0000000000000007", "0000000000000008")];
    let lines = flat("7") + &flat("8");
    assert_eq!(read(&listed(), lines.as_bytes()), both);
    assert_eq!(read(&listed(), lines.replace('\n', "\r\n").as_bytes()), both);
    assert_eq!(read(&listed(), format!("\u{feff}\n{lines}\n\u{1a}").as_bytes()), both);
    let cut: String = lines.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    assert_eq!(read(&listed(), cut.as_bytes()), both);
    let fixed = records("7").concat() + &records("8").concat();
    assert_eq!(read(&listed(), fixed.as_bytes()), both);
    assert_eq!(read(&listed(), format!("{fixed}\n").as_bytes()), both);
    let xml = XML.replace(
        "</IDOC>",
        &format!(
            "</IDOC><!-- > -->{}</IDOC>",
            &XML[XML.find("<IDOC").unwrap()..XML.find("</IDOC>").unwrap()].replace("007</DOC", "008</DOC")
        ),
    );
    assert_eq!(read(&listed(), xml.as_bytes()), both);
}

#[test]
fn without_a_list_a_flat_segment_has_its_data() {
    let lines = read(&compile(None, "utf-8"), flat("7").as_bytes());
    assert!(lines[0].contains(r#""E2EDK01005":[{"_segment":1,"SDATA":"000EUR4500000001"}]"#), "{}", lines[0]);
    assert!(lines[0].contains(r#""E2EDP19":[{"_segment":5,"SDATA":"001A-1"}"#), "{}", lines[0]);
}

#[test]
fn characters_and_code_pages() {
    let text = flat("7").replace("Schraube \"M6\"", "Schräubchen €1");
    let lines = read(&listed(), text.as_bytes());
    assert!(lines[0].contains(r#""KTEXT":"Schräubchen €1""#), "columns are characters: {lines:?}");
    let latin: Vec<u8> = text.replace('€', "E").chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    assert!(read(&compile(Some(LIST), "latin1"), &latin)[0].contains(r#""KTEXT":"Schräubchen E1""#));
    let wrong = read(&listed(), &latin);
    assert!(
        wrong[0].starts_with(
            "encoding.unmappable: record 1 at byte 0: field E1EDP19.KTEXT (segment 6): expected text in utf-8"
        ),
        "{wrong:?}"
    );
}

#[test]
fn levels_tell_where_numbers_do_not() {
    let record = |segment, level, content| data(segment, "7", ("", "", level), content);
    let all = [
        control("7"),
        record("E2EDP01001", "01", "000010"),
        record("E2EDP19", "02", "001"),
        record("E2EDP19", "02", "002"),
        record("E2EDP01001", "01", "000020"),
    ];
    let lines = read(&listed(), all.join("\n").as_bytes());
    assert!(lines[0].ends_with(r#""E1EDP01":[{"_segment":1,"POSEX":"000010","E1EDP19":[{"_segment":2,"QUALF":"001"},{"_segment":3,"QUALF":"002"}]},{"_segment":4,"POSEX":"000020"}]}"#), "{lines:?}");
}

#[test]
fn one_bad_idoc_is_rejected_alone() {
    let check = |edit: &dyn Fn(&mut Vec<String>), expected: &str| {
        let mut bad = records("7");
        edit(&mut bad);
        let lines = read(&listed(), format!("{}\n{}", bad.join("\n"), flat("8")).as_bytes());
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[0].contains(expected), "{}", lines[0]);
        assert!(lines[1].contains("0000000000000008"));
    };
    check(
        &|all| all[5] = data("E2EDP19", "7", ("000005", "000009", "02"), ""),
        "structure.envelope: record 1 at byte 0: field E2EDP19.PSGNUM (data record 5): expected the number of a segment before it, found 9",
    );
    check(
        &|all| all[5] = data("E2EDP19", "7", ("000004", "000004", "02"), ""),
        "field E2EDP19.SEGNUM (data record 5): expected a segment number above 4, found 4",
    );
    check(
        &|all| all[5] = data("E2EDP19", "7", ("00000x", "000004", "02"), ""),
        "numeric.bad_digit: record 1 at byte 0: field E2EDP19.SEGNUM (data record 5): expected digits or blanks, found `00000x`",
    );
    check(
        &|all| all[5] = data("E2EDP19", "9", ("000005", "000004", "02"), ""),
        "expected the DOCNUM 0000000000000007 of the control record, found 0000000000000009",
    );
    check(
        &|all| all[5] = data("E2EDP18", "7", ("000005", "000004", "02"), ""),
        "structure.bad_segment: record 1 at byte 0: field E2EDP18.SEGNAM (data record 5): expected a segment of the list, found `E2EDP18`",
    );
    check(
        &|all| all[5] = data("E2EDK03", "7", ("000005", "000004", "02"), "01220261031X"),
        "framing.record_too_long: record 1 at byte 0: field E2EDK03.SDATA (data record 5): expected at most 11 characters of data, as the list has it, found `X` behind it",
    );
    check(&|all| all[5].push('x'), "expected a data record of 1063 characters, found 1064 characters");
    check(
        &|all| all[5].truncate(60),
        "framing.record_too_short: record 1 at byte 0: field E2EDP19 (data record 5): expected a data record with its 63 characters before SDATA, found 60 characters",
    );
    check(&|all| all[0].push('x'), "expected a control record of 524 characters");
    let lines =
        read(&listed(), format!("{}{}", flat("7"), flat("8").replace("EDI_DC40  800", "EDI_DC41  800")).as_bytes());
    assert!(
        lines.len() == 1 && lines[0].starts_with("structure.envelope") && lines[0].contains("field EDI_DC41"),
        "{lines:?}"
    );
}

#[test]
fn bad_xml_is_rejected_alone() {
    let check = |from: &str, to: &str, expected: &str| {
        assert!(XML.contains(from), "{from}");
        let idoc = &XML[XML.find("<IDOC").unwrap()..XML.find("</ORDERS05>").unwrap()];
        let text = XML.replace(from, to).replace("</ORDERS05>", &format!("{idoc}</ORDERS05>"));
        let lines = read(&listed(), text.as_bytes());
        assert_eq!(lines.len(), 2, "{from}: {lines:#?}");
        assert!(lines[0].contains(expected), "{from}: {}", lines[0]);
        assert!(lines[1].starts_with('{'));
    };
    check("</CURCY>", "</CURC>", "structure.bad_segment: record 1 at byte");
    check("&quot;", "&eur;", "expected an entity of XML's own, found the entity `eur`");
    check("<CURCY>", "text<CURCY>", "expected fields and segments, found text in E1EDK01 beside its fields");
    check(
        "<ACTION>000</ACTION>",
        "<ACTION>000</ACTION><ACTION>001</ACTION>",
        "expected the field ACTION once, found it again",
    );
    check("<ACTION>000</ACTION>", "<AKTION>000</AKTION>", "structure.unexpected");
    check(
        "<E1EDK01 SEGMENT=\"1\">",
        "<E1EDK99 SEGMENT=\"1\"/><E1EDK01 SEGMENT=\"1\">",
        "expected a segment of the list, found `E1EDK99`",
    );
    check("<EDI_DC40 SEGMENT=\"1\">", "<EDI_DC41 SEGMENT=\"1\">", "structure.bad_segment");
    check(
        "</E1EDP19></E1EDP01>",
        "</E1EDP19><POSEX>1</POSEX></E1EDP01>",
        "expected fields before the segments of a segment",
    );
    let deep = format!("{}<X>1</X>{}", "<E1EDK01 SEGMENT=\"1\">".repeat(40), "</E1EDK01>".repeat(40));
    check(
        "<E1EDK01 SEGMENT=\"1\"><ACTION>",
        &format!("{deep}<E1EDK01 SEGMENT=\"1\"><ACTION>"),
        "segments at most 24 deep in one another",
    );
}

#[test]
fn files_that_end_early_or_are_no_idocs() {
    let lost = |data: &[u8]| read(&listed(), data).pop().unwrap_or_default();
    assert!(lost(b"").contains("no IDoc file"));
    assert!(lost(b"id;name\n").contains("no IDoc file: it begins with \"id;name\\n\""));
    assert!(lost(b"EDI_DC  000").contains("of release 3"));
    assert!(lost(b"\xFF\xFE<\0").contains("UTF-16"));
    assert!(lost(b"<?xml version='1.0' encoding='klingon'?><A/>").contains("unknown code page `klingon`"));
    assert!(lost(b"<!DOCTYPE A [<!ENTITY x 'y'>]><A/>").contains("document type declaration"));
    assert!(lost(b"<!-- nothing -->").contains("no element"));
    let fixed = records("7").concat();
    assert!(lost(&fixed.as_bytes()[..fixed.len() - 10]).contains("framing.truncated"));
    let end = XML.find("</IDOC>").unwrap();
    assert!(lost(&XML.as_bytes()[..end]).contains("framing.truncated at"), "{}", lost(&XML.as_bytes()[..end]));
    assert!(lost(&XML.as_bytes()[..end + 8]).contains("the file ends before </ORDERS05>"));
    let stray = XML.replace("<IDOC BEGIN=\"1\">", "<IDOK/><IDOC BEGIN=\"1\">");
    assert!(read(&listed(), stray.as_bytes())[0].contains("expected an element IDOC, found <IDOK>"));
}

/// The last line of a flat file is whole when it has a line end, or all its characters.
#[test]
fn a_file_that_is_cut_in_its_last_line() {
    let whole = read(&listed(), flat("7").as_bytes());
    let both = flat("6") + &flat("7");
    let end = both.len();
    let at = |length: usize| read(&listed(), &both.as_bytes()[..length]);
    assert_eq!(at(end)[1..], whole);
    assert_eq!(at(end - 1)[1..], whole, "only the line end is missing");
    for cut in [end - 2, end - 900, end - 1000 - 1] {
        let lines = at(cut);
        assert!(lines.len() == 2 && lines[0].starts_with('{'), "{lines:?}");
        let length = 1063 - (end - 1 - cut);
        let expected = format!(
            "framing.truncated: record 2 at byte {}: field E2EDP01001 (data record 7): expected a last line of 1063 \
             characters, or one that ends, found the file ends after {length} of them, without a line end",
            end / 2
        );
        assert_eq!(lines[1], expected);
    }
    // Within the columns before the data, and within the control record.
    assert!(at(end - 1030)[1].starts_with("framing.record_too_short"));
    assert!(at(end / 2 + 300)[1].starts_with("framing.truncated: record 2 at byte"));
    // Lines without their blanks.
    let cut: String = both.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    assert_eq!(read(&listed(), cut.as_bytes())[1..], whole);
    assert!(read(&listed(), &cut.as_bytes()[..cut.len() - 2])[1].starts_with("framing.truncated"));
}

#[test]
fn an_idoc_that_is_too_long_is_not_held() {
    let record = data("E2EDP19", "7", ("", "", ""), "001") + "\n";
    let long = record.repeat(MAX_RECORD / record.len() + 3000);
    let lines = read(&listed(), format!("{}\n{long}{}", control("7"), flat("8")).as_bytes());
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("framing.record_too_long: record 1 at byte 0: expected an IDoc"));
    let segments = "<E1EDP19 SEGMENT=\"1\"><QUALF>001</QUALF></E1EDP19>";
    let long = segments.repeat(MAX_RECORD / segments.len() + 30_000);
    let idoc = &XML[XML.find("<IDOC").unwrap()..XML.find("</ORDERS05>").unwrap()];
    let lines = read(&listed(), XML.replace("</IDOC>", &format!("{long}</IDOC>{idoc}")).as_bytes());
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("framing.record_too_long") && lines[1].starts_with('{'));
}

struct Reading {
    decoder: Decoder,
    data: Vec<u8>,
}

impl Reading {
    /// Reads values of the first IDoc.
    fn first<T>(&self, read: impl Fn(&dyn crate::record::Fields) -> T) -> T {
        let mut reader = self.decoder.reader(Cursor::new(&self.data), Resume::default()).unwrap();
        loop {
            if let Some(Item::Record(record)) = reader.next().unwrap() {
                return read(record.fields);
            }
        }
    }

    fn value(&self, name: &str) -> Result<Option<String>, String> {
        let slot = self
            .decoder
            .layout()
            .resolve(None, name)
            .map_err(|unresolved| format!("{} {:?}", unresolved.reason, unresolved.nearest))?
            .slot;
        self.first(|fields| match fields.read(slot, Scope::ROOT) {
            Ok(Value::Text(text)) => Ok(Some(text.into_owned())),
            Ok(_) => Ok(None),
            Err(fault) => Err(format!("expected {}, found {}", fault.expected, fault.found)),
        })
    }
}

#[test]
fn values_by_name() {
    let both = [
        Reading { decoder: listed(), data: flat("7").into_bytes() },
        Reading { decoder: compile(None, "utf-8"), data: XML.as_bytes().to_vec() },
    ];
    for reading in &both {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(reading.value(name), Ok(expected.map(str::to_owned)), "{name}")
        };
        check("EDI_DC40.DOCNUM", Some("0000000000000007"));
        check("EDI_DC40.REFINT", None);
        check("E1EDK01.BELNR", Some("4500000001"));
        check("E1EDK03[IDDAT=012].DATUM", Some("20261031"));
        check("E1EDK03[IDDAT=099].DATUM", None);
        check("E1EDP01[POSEX=000010]/E1EDP19[QUALF=002].IDTNR", Some("4000862141404"));
        check("E1EDP01[POSEX=000020]/E1EDP19.IDTNR", None);
        assert_eq!(
            reading.value("E1EDK03.DATUM").unwrap_err(),
            "expected one segment E1EDK03, found more than one: segments 2 and 3"
        );
        let layout = reading.decoder.layout();
        let lines = layout.resolve(None, "E1EDP01").unwrap();
        assert!(lines.repeats && lines.kind == FieldKind::Group);
        let below = |name: &str| layout.resolve(Some(lines.slot), name).unwrap().slot;
        let (position, text, products) = (below("POSEX"), below("E1EDP19[QUALF=002].KTEXT"), below("E1EDP19"));
        let number = layout.resolve(Some(products), "IDTNR").unwrap().slot;
        let outside = layout.resolve(Some(lines.slot), "EDI_DC40.DOCNUM");
        assert!(outside.is_err() && layout.resolve(Some(lines.slot), "/E1EDK01.BELNR").is_err(), "found around it");
        reading.first(|fields| {
            let text_of = |slot: Slot, scope| match fields.read(slot, scope) {
                Ok(Value::Text(text)) => text.into_owned(),
                other => format!("{other:?}"),
            };
            assert_eq!(fields.count(lines.slot, Scope::ROOT), Ok(2));
            let line = fields.element(lines.slot, Scope::ROOT, 0);
            assert_eq!(
                (text_of(position, line), text_of(text, line)),
                ("000010".to_owned(), "Schraube \"M6\"".to_owned())
            );
            assert_eq!(fields.count(products, line), Ok(2));
            assert_eq!(text_of(number, fields.element(products, line, 0)), "A-1");
            assert_eq!(text_of(number, fields.element(products, line, 1)), "4000862141404");
            let second = fields.element(lines.slot, Scope::ROOT, 1);
            assert_eq!((text_of(position, second), fields.count(products, second)), ("000020".to_owned(), Ok(0)));
            assert!(fields.span(position, second).is_some());
        });
    }
    let listed = &both[0];
    assert!(listed.value("E1EDK01.BELN").unwrap_err().contains("has no field `BELN` Some(\"BELNR\")"));
    assert!(listed.value("E1EDK1.BELNR").unwrap_err().contains("no segment `E1EDK1` Some(\"E1EDK01\")"));
    assert!(listed.value("E1EDK03[IDAT=1].DATUM").unwrap_err().contains("Some(\"IDDAT\")"));
    assert!(listed.value("EDI_DC40.DOCNO").unwrap_err().contains("DOCNUM"));
    for wrong in ["", "E1EDK01.", "A.B.C", "E1EDK01[IDDAT].X", "E1EDK01[IDDAT=1.X", "é.X"] {
        assert!(listed.value(wrong).is_err(), "{wrong}");
    }
    let names = listed.decoder.layout().names();
    assert!(names.contains(&"EDI_DC40.DOCNUM".to_owned()) && names.contains(&"E1EDP19.KTEXT".to_owned()));
    let described = listed.decoder.describe();
    let row = described.iter().find(|row| row.name == "CURCY").unwrap();
    assert_eq!((row.offset, row.length), (Some(66), Some(3)));
}

#[test]
fn resuming_anywhere_gives_the_rest() {
    let lines = format!("{}\n\n{}x\n{}", flat("7"), flat("8"), flat("9"));
    resumes(&listed(), lines.as_bytes());
    resumes(&listed(), (records("7").concat() + &records("8").concat()).as_bytes());
    let idoc = &XML[XML.find("<IDOC").unwrap()..XML.find("</ORDERS05>").unwrap()];
    let xml = XML.replace(
        "</ORDERS05>",
        &format!("{idoc}<X/>{}{idoc}<!-- c --></ORDERS05><!-- end -->", idoc.replace("CURCY>", "CURC>")),
    );
    resumes(&listed(), xml.as_bytes());
    resumes(&listed(), &xml.as_bytes()[..2500]);
}

proptest! {
    #[test]
    fn any_bytes_in_any_place(edits in proptest::collection::vec((0usize..3000, any::<u8>()), 0..12), form in 0..3) {
        let mut data = match form {
            0 => flat("7").into_bytes(),
            1 => records("7").concat().into_bytes(),
            _ => XML.as_bytes().to_vec(),
        };
        for (at, byte) in edits {
            let length = data.len();
            data[at % length] = byte;
        }
        for decoder in [listed(), compile(None, "latin1")] {
            for line in read_from(&decoder, &data, Resume::default()) {
                prop_assert!(is_sound(&line), "{}", line);
            }
            resumes(&decoder, &data);
        }
    }

    #[test]
    fn any_bytes_at_all(bytes in proptest::collection::vec(any::<u8>(), 0..300), start in 0..4usize) {
        let start = ["", "EDI_DC40  ", "<A><IDOC>", "<?xml version='1.0'?><A><IDOC><EDI_DC40 SEGMENT='1'>"][start];
        read_from(&listed(), &[start.as_bytes(), &bytes].concat(), Resume::default());
    }

    #[test]
    fn any_markup(pieces in proptest::collection::vec(proptest::sample::select(vec!["<A>", "</A>", "<B/>", "x", "&amp;", "&#0;", "&#x110000;", "<!--", "-->", "<![CDATA[", "]]>", "<IDOC>", "</IDOC>", "<?p", "?>", "<E1 SEGMENT='1'>", "</E1>", "<E1 a='>'>", "\r\n"]), 0..30)) {
        let data = format!("<R><IDOC><EDI_DC40 SEGMENT='1'/>{}</IDOC></R>", pieces.concat());
        for line in read_from(&compile(None, "utf-8"), data.as_bytes(), Resume::default()) {
            prop_assert!(is_sound(&line), "{}", line);
        }
        resumes(&compile(None, "utf-8"), data.as_bytes());
    }
}
