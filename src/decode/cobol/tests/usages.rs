//! Values of every usage, sign and picture, from bytes made by hand.

use super::{compile, ebcdic, read, read_with, settings, with_fields};
use crate::decode::cobol::{Compiler, EditedAs, FloatFormat, Overpunch};
use crate::decode::{Blank, CodePage, Json, JsonOptions, Resume};
use crate::record::{Decimal, Scope, Value};

#[test]
fn binary_numbers_of_every_kind() {
    let copybook = "01 R. 05 A BINARY-CHAR. 05 B BINARY-SHORT UNSIGNED. 05 C PIC 9(7) COMP-X. 05 D PIC X(2) COMP-X.
        05 E PIC S9(4) COMP-5. 05 F INDEX. 05 G POINTER. 05 H PIC S9(4) COMP. 05 I PIC S9(3) COMP-N.";
    let big = b"\xFE\xFF\xFE\x01\x02\x03\xFF\xFE\x80\x00\x00\x00\x00\x07\x00\x00\x10\x00\xFF\xFF\xFF\xFE";
    let expected = r#"{"A":-2,"B":65534,"C":66051,"D":65534,"E":-32768,"F":7,"G":4096,"H":-1,"I":-2}"#;
    assert_eq!(read(&compile(copybook, settings(|_| {})), big), [expected]);
    // The machine's own byte order concerns all but COMP, COMP-X and COMP-N.
    let little =
        b"\xFE\xFE\xFF\x01\x02\x03\xFF\xFE\x00\x80\x07\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\xFF\xFF\xFF\xFE";
    let gnu = compile(copybook, settings(|s| s.reading.compiler = Compiler::Gnu));
    assert_eq!(read(&gnu, little), [expected]);
    // As GnuCOBOL 3.1 writes 300 in each.
    let usages = "01 R. 05 A PIC 9(3) COMP-N. 05 B PIC 9(4) COMP-5. 05 C PIC 9(3) COMP-X.";
    let gnu = compile(usages, settings(|s| s.reading.compiler = Compiler::Gnu));
    assert_eq!(read(&gnu, b"\x01\x2C\x2C\x01\x01\x2C"), [r#"{"A":300,"B":300,"C":300}"#]);
    let overflow = compile("01 R. 05 A PIC 9(2) COMP.", settings(|_| {}));
    assert_eq!(
        read(&overflow, b"\x00\x64"),
        [
            "numeric.overflow: record 1 at byte 0: field A: expected PIC 9(2) COMP, found a number that its picture cannot hold (0064)"
        ]
    );
    let full = settings(|s| s.reading.binary_range = crate::decode::cobol::BinaryRange::Full);
    assert_eq!(read(&compile("01 R. 05 A PIC 9(2) COMP.", full), b"\xFF\xFF"), [r#"{"A":65535}"#]);
}

#[test]
fn floats_in_every_format() {
    let copybook = "01 R. 05 A COMP-1. 05 B COMP-2. 05 C FLOAT-SHORT.";
    let read_as = |format, bytes: &[u8]| read(&compile(copybook, settings(|s| s.float = Some(format))), bytes);
    let expected = [r#"{"A":-118.625,"B":0.1,"C":1.0}"#];
    let ieee = [&(-118.625f32).to_be_bytes()[..], &0.1f64.to_be_bytes(), &1f32.to_be_bytes()].concat();
    assert_eq!(read_as(FloatFormat::Ieee, &ieee), expected);
    let little = [&(-118.625f32).to_le_bytes()[..], &0.1f64.to_le_bytes(), &1f32.to_le_bytes()].concat();
    assert_eq!(read_as(FloatFormat::IeeeLittle, &little), expected);
    let ibm = [b"\xC2\x76\xA0\x00".as_slice(), b"\x40\x19\x99\x99\x99\x99\x99\x9A", b"\x41\x10\x00\x00"].concat();
    assert_eq!(read_as(FloatFormat::Ibm, &ibm), expected);
}

#[test]
fn wide_characters() {
    let copybook = "01 R. 05 A PIC N(4). 05 B PIC G(3) DISPLAY-1. 05 C PIC S9(3) NATIONAL SIGN TRAILING SEPARATE.
        05 D PIC ZZ9.9 NATIONAL. 05 E PIC X(8). 05 F PIC U(2).";
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let record = |a: &str, c: &str| {
        let double = b"\x45\x62\x45\x66\x40\x40".as_slice();
        let mixed = b"\xC1\x0E\x45\x62\x0F\x40\x40\x40".as_slice();
        [&wide(a)[..], double, &wide(c), &wide(" 12.5"), mixed, "é€   ".as_bytes()].concat()
    };
    let decoder = compile(copybook, settings(|s| s.encoding = CodePage::find("cp930").unwrap()));
    assert_eq!(
        read(&decoder, &record("日é  ", "012-")),
        [r#"{"A":"日é","B":"日本","C":-12,"D":12.5,"E":"A日","F":"é€"}"#]
    );
    assert_eq!(
        read(&decoder, &record("a", "012-")[..]).first().map(|line| line.starts_with("framing.truncated")),
        Some(true)
    );
    assert_eq!(
        read(&decoder, &record("abcd", "0x2-")),
        [
            "numeric.bad_digit: record 1 at byte 0: field C: expected PIC S9(3) NATIONAL SIGN TRAILING SEPARATE, found no digit: 00 at byte 3 of 003000780032002D"
        ]
    );
    assert_eq!(
        read(&decoder, &record("abcd", "    ")),
        [
            "value.blank: record 1 at byte 0: field C: expected PIC S9(3) NATIONAL SIGN TRAILING SEPARATE, found blanks (0020002000200020)"
        ]
    );
    let mut broken = record("abcd", "012-");
    broken[0] = 0xD8;
    assert_eq!(
        read(&decoder, &broken),
        [
            "encoding.unmappable: record 1 at byte 0: field A: expected PIC N(4) in UTF-16, found byte D8 after 0 bytes of the text"
        ]
    );
}

#[test]
fn edited_numbers_as_numbers_or_text() {
    let copybook = "01 R. 05 A PIC Z.ZZ9,99-. 05 B PIC F(4)9,99. 05 C PIC ZZ9PP. 05 D PIC 99/99. 05 E PIC *(4)9.";
    let change = |s: &mut crate::decode::cobol::Settings| {
        s.reading.decimal_comma = true;
        s.reading.currency = Some('F');
    };
    let data = ebcdic("1.234,50-   F1,00 1212/31**123");
    assert_eq!(
        read(&compile(copybook, settings(change)), &data),
        [r#"{"A":-1234.50,"B":1.00,"C":1200,"D":1231,"E":123}"#]
    );
    let text = settings(|s| {
        change(s);
        (s.reading.edited, s.trim) = (EditedAs::Text, crate::decode::Trim::None);
    });
    assert_eq!(
        read(&compile(copybook, text), &data),
        [r#"{"A":"1.234,50-","B":"   F1,00","C":" 12","D":"12/31","E":"**123"}"#]
    );
}

#[test]
fn signs_of_ascii_compilers() {
    let copybook = "01 R. 05 A PIC S9(3). 05 B PIC S9(3) SIGN LEADING. 05 C PIC S99 SIGN TRAILING SEPARATE.";
    let with = |overpunch: Overpunch| {
        compile(
            copybook,
            settings(|s| {
                s.encoding = CodePage::find("ascii").unwrap();
                s.reading.overpunch = Some(overpunch);
            }),
        )
    };
    let expected = [r#"{"A":-123,"B":-123,"C":-12}"#];
    assert_eq!(read(&with(Overpunch::MicroFocus), b"12sq2312-"), expected);
    assert_eq!(read(&with(Overpunch::Translated), b"12LJ2312-"), expected);
    assert_eq!(read(&with(Overpunch::Realia), b"12#!2312-"), expected);
    assert_eq!(read(&with(Overpunch::Auto), b"12LJ2312-"), expected);
    assert_eq!(read(&with(Overpunch::Auto), b"12sq2312-"), expected);
    let wrong = read(&with(Overpunch::MicroFocus), b"12LJ2312-").remove(0);
    assert!(wrong.starts_with("numeric.bad_digit: record 1 at byte 0: field A"), "{wrong}");
}

#[test]
fn blank_numbers_and_justified_text() {
    let copybook = "01 R. 05 A PIC 9(3) BLANK WHEN ZERO. 05 B PIC X(5) JUSTIFIED RIGHT. 05 C PIC S9(3) COMP-3.";
    let data = [ebcdic("     ab "), vec![0x40; 2]].concat();
    let decoder = compile(copybook, settings(|s| s.trim = crate::decode::Trim::Left));
    let options = JsonOptions { blank: Blank::Null, ..JsonOptions::default() };
    assert_eq!(read_with(&decoder, &data, Resume::default(), &options), [r#"{"A":0,"B":"ab ","C":null}"#]);
}

#[test]
fn other_names_and_names_of_values_are_in_the_table() {
    let copybook = "01 R. 05 A PIC X(2). 88 YES VALUE 'Y' 'J'. 05 B PIC 9(3). 66 AB RENAMES A THRU B. 77 Q PIC X.";
    let decoder = compile(copybook, settings(|_| {}));
    let rows: Vec<_> = decoder
        .describe()
        .iter()
        .map(|row| format!("{} {:?} {} {}", row.depth, row.level, row.name, row.picture))
        .collect();
    assert_eq!(
        rows,
        ["0 Some(1) R ", "1 Some(5) A X(2)", "2 Some(88) YES 'Y', 'J'", "1 Some(5) B 9(3)", "1 Some(66) AB X(5)"]
    );
    let slot = decoder.layout().resolve(None, "AB").unwrap().slot;
    super::with_fields(&decoder, &ebcdic("xy123"), |fields| {
        let text = fields.read(slot, crate::record::Scope::ROOT).unwrap();
        assert_eq!(text, crate::record::Value::Text("xy123".into()));
    });
    // Level 77 stands beside the record, not in it.
    assert!(decoder.layout().resolve(None, "Q").is_err());
    assert_eq!(read(&decoder, &ebcdic("xy123")), [r#"{"A":"xy","B":123}"#]);
}

/// Only blanks are what a program writes for zero under these pictures.
#[test]
fn low_values_are_no_blank_zero() {
    for clauses in ["PIC Z(4)", "PIC 9(4) BLANK WHEN ZERO"] {
        let decoder = compile(&format!("01 R. 05 A {clauses}."), settings(|_| {}));
        assert_eq!(read(&decoder, b"\x40\x40\x40\x40"), [r#"{"A":0}"#]);
        let low = read(&decoder, &[0; 4]);
        assert!(low.len() == 1 && low[0].starts_with("value.blank"), "{low:?}");
    }
}

/// External floating point, in bytes made by hand from the rules of the manual: `E` is C5, `+` 4E, `-` 60, `.` 4B.
#[test]
fn external_floating_point() {
    let copybook = "01 R. 05 A PIC +9.9(4)E+99. 05 B PIC -9V9(2)E-99 OCCURS 2. 05 C PIC +9.9E+99 NATIONAL. 05 D PIC X.";
    let decoder = compile(copybook, settings(|_| {}));
    let national = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let data = [
        b"\x4E\xF1\x4B\xF2\xF3\xF4\xF5\xC5\x4E\xF0\xF2\x40\xF1\xF2\xF3\xC5\x60\xF0\xF1\x60\xF9\xF9\xF9\xC5\x40\xF9\xF9"
            .to_vec(),
        national("-2.5E+00"),
        ebcdic("z"),
    ]
    .concat();
    let line = r#"{"A":123.45,"B":[0.123,-999E97],"C":-2.5,"D":"z"}"#;
    assert_eq!(read(&decoder, &data), [line]);
    let mut encoder = decoder.encoder().unwrap();
    let mut out = Vec::new();
    encoder.record(&Json::parse(line).unwrap(), &mut out).unwrap();
    assert_eq!(out, data);
    // What is none is told; a blank one is a blank number.
    let mut broken = data.clone();
    broken[7] = 0xC6;
    let told = read(&decoder, &broken);
    assert!(told[0].starts_with("numeric.bad_digit") && told[0].contains("no digit: C6 at byte 8"), "{told:?}");
    let mut blank = data.clone();
    blank[..11].fill(0x40);
    assert!(read(&decoder, &blank)[0].starts_with("value.blank"));
    let options = JsonOptions { blank: Blank::Null, ..JsonOptions::default() };
    assert!(read_with(&decoder, &blank, Resume::default(), &options)[0].starts_with(r#"{"A":null,"#));
    // To a mapping it is the exact decimal number.
    let slot = |name: &str| decoder.layout().resolve(None, name).unwrap().slot;
    with_fields(&decoder, &data, |fields| {
        let number = fields.read(slot("A"), Scope::ROOT).unwrap();
        assert_eq!(number, Value::Decimal(Decimal::parse("123.45", b'.', None).unwrap()));
    });
    let fault = encoder.record(&Json::parse(&line.replace("123.45", "123.456")).unwrap(), &mut out).unwrap_err();
    assert!(fault.to_string().starts_with("/A: expected PIC +9.9(4)E+99, found 123.456"), "{fault}");
}

/// Blanks are legal bytes of numbers that use all their bits. They stay the number that they are, until it is said that
/// they are none.
#[test]
fn blanks_that_could_be_numbers() {
    let full = settings(|s| s.reading.binary_range = crate::decode::cobol::BinaryRange::Full);
    let plain = settings(|_| {});
    // 1077952576 is 4 times 40 hex; as a hexadecimal float 40 is the exponent 0 and
    // 404040 is a quarter and a little.
    for (clauses, settings, number, zero) in [
        ("PIC S9(9) COMP-5", &plain, "1077952576", "0"),
        ("PIC S9(7)V99 COMP-5", &plain, "10779525.76", "0.00"),
        ("PIC 9(9) COMP-X", &plain, "1077952576", "0"),
        ("PIC X(2) COMP-X", &plain, "16448", "0"),
        ("BINARY-LONG", &plain, "1077952576", "0"),
        ("PIC S9(9) COMP", &full, "1077952576", "0"),
        ("COMP-1", &plain, "0.2509804", "0"),
        ("COMP-2", &plain, "0.25098039215686274", "0"),
    ] {
        let decoder = compile(&format!("01 R. 05 A {clauses}. 05 B PIC X."), settings.clone());
        let length = decoder.describe()[1].length.unwrap();
        let record = |byte: u8| [vec![byte; length], ebcdic("z")].concat();
        let said = |record: &[u8], blank: Blank| {
            let options = JsonOptions { blank, ..JsonOptions::default() };
            read_with(&decoder, record, Resume::default(), &options)
        };
        let value = |value: &str| [format!(r#"{{"A":{value},"B":"z"}}"#)];
        let blanks = record(0x40);
        assert_eq!(said(&blanks, Blank::Unsaid), value(number), "{clauses}");
        assert_eq!(said(&blanks, Blank::Null), value("null"), "{clauses}");
        assert_eq!(said(&blanks, Blank::Zero), value(zero), "{clauses}");
        let told = said(&blanks, Blank::Reject);
        let start = "value.blank: record 1 at byte 0: field A: expected ";
        let end = format!("found blanks ({})", "40".repeat(length));
        assert!(told.len() == 1 && told[0].starts_with(start) && told[0].ends_with(&end), "{clauses}: {told:?}");
        // One byte that is none makes it a number, and low values are zero.
        let mut number = blanks.clone();
        number[length - 1] = 0x41;
        assert_eq!(said(&number, Blank::Null), said(&number, Blank::Unsaid), "{clauses}");
        let low = said(&record(0), Blank::Reject);
        assert!(low[0].starts_with(r#"{"A":0"#), "{clauses}: {low:?}");
        // To a mapping that says what a blank is, it is one.
        let slot = decoder.layout().resolve(None, "A").unwrap().slot;
        for (record, expected) in [(&blanks, true), (&number, false)] {
            with_fields(&decoder, record, |fields| {
                assert!(fields.read(slot, Scope::ROOT).is_ok());
                let found = fields.filled(slot, Scope::ROOT).map(|fault| (fault.code, fault.found));
                let fault = (crate::record::RejectCode::Blank, format!("blanks ({})", "40".repeat(length)));
                assert_eq!(found, expected.then_some(fault), "{clauses}");
            });
        }
    }
    // A single byte is too likely to be the number 64, and what cannot be a number is no question.
    let byte = compile("01 R. 05 A BINARY-CHAR. 05 B PIC S9(3) COMP-3.", settings(|_| {}));
    let options = JsonOptions { blank: Blank::Null, ..JsonOptions::default() };
    assert_eq!(read_with(&byte, b"\x40\x40\x40", Resume::default(), &options), [r#"{"A":64,"B":null}"#]);
    // In ASCII files a blank is 20.
    let ascii = compile("01 R. 05 A PIC S9(4) COMP-5.", settings(|s| s.encoding = CodePage::find("ascii").unwrap()));
    assert_eq!(
        read_with(&ascii, b"\x20\x20\x40\x40", Resume::default(), &options),
        [r#"{"A":null}"#, r#"{"A":16448}"#]
    );
}
