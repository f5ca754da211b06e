//! A COBOL compiler as the peer: its programs write files that we read, and read files that we write.
//!
//! The programs are `fixtures/gnucobol`, with the copybooks that they and we share. They move numbers made up here to
//! fields of every usage; what those fields must hold is worked out here from the same numbers.

use std::fmt::Write as _;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tollbridge::decode::cobol::{Compiler, Framing, Odo, Overpunch, Settings};
use tollbridge::decode::{CodePage, Decoder, Format, Item, Json, JsonOptions, Place, Resume, Trim};
use tollbridge::diagnostic::{Faults, SourceText};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/gnucobol").join(name)
}

/// Compiles a program; answers its path.
fn cobc(folder: &Path, program: &str, options: &[&str]) -> PathBuf {
    let path = folder.join(format!("{program}{}", options.concat().replace(['-', '='], "_")));
    let output = Command::new("cobc")
        .args(["-x", "-o"])
        .arg(&path)
        .args(options)
        .arg(format!("{program}.cbl"))
        .current_dir(fixture(""))
        .output()
        .expect("cobc is there: scripts/setup test installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// Runs a program with these files; answers what it shows.
fn run(program: &Path, environment: &[(&str, &Path)]) -> String {
    let output = Command::new(program).envs(environment.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn compile(copybook: &str, change: impl FnOnce(&mut Settings)) -> Decoder {
    let text = std::fs::read_to_string(fixture(copybook)).unwrap();
    let source = SourceText::new(Path::new(copybook), text);
    let page = CodePage::find("windows-1252").unwrap();
    let mut settings = Settings::new(copybook.to_owned(), page, Place::command_line("test"));
    settings.reading.compiler = Compiler::Gnu;
    change(&mut settings);
    let faults = Faults::new();
    let decoder = Format::Cobol(settings).compile(&|path| (path == copybook).then(|| Arc::clone(&source)), &faults);
    decoder.unwrap_or_else(|| panic!("{:#?}", faults.into_sorted()))
}

fn decode(decoder: &Decoder, data: &[u8]) -> Vec<String> {
    let mut reader = decoder.reader(Cursor::new(data), Resume::default()).unwrap();
    let mut lines = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::Record(record) => {
                let mut out = Vec::new();
                decoder
                    .write_json(&record, &JsonOptions::default(), &mut out)
                    .unwrap_or_else(|r| panic!("{}", r.sentence()));
                lines.push(String::from_utf8(out).unwrap());
            }
            Item::Reject(reject) => panic!("{}", reject.sentence()),
            Item::Skipped => {}
        }
    }
    lines
}

fn encode(decoder: &Decoder, records: &[String]) -> Vec<u8> {
    let mut encoder = decoder.encoder().unwrap();
    let mut out = Vec::new();
    for record in records {
        encoder.record(&Json::parse(record).unwrap(), &mut out).unwrap_or_else(|fault| panic!("{fault}"));
    }
    encoder.finish(&mut out).unwrap();
    out
}

/// What one record is made of.
struct Made {
    nine: i64,
    four: i64,
    eighteen: i64,
    two: i64,
    text: String,
}

fn made() -> Vec<Made> {
    let mut state = 20_261_128u64;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 24) % limit
    };
    let mut all: Vec<Made> = (0..300)
        .map(|_| {
            let mut number = |digits: u32| {
                let limit = 10u64.pow(1 + below(u64::from(digits)) as u32);
                let number = below(limit) as i64;
                if below(2) == 0 { number } else { -number }
            };
            let (nine, four, eighteen) = (number(9), number(4), number(18));
            let text = (0..10).map(|at| match below(7) {
                0 if at > 0 && at < 9 => ' ',
                1 => char::from(b'0' + below(10) as u8),
                2 => char::from(b'A' + below(26) as u8),
                _ => char::from(b'a' + below(26) as u8),
            });
            Made { nine, four, eighteen, text: text.collect(), two: below(100) as i64 }
        })
        .collect();
    for (nine, four, eighteen, two) in [
        (999_999_999, 9_999, 999_999_999_999_999_999, 99),
        (-999_999_999, -9_999, -999_999_999_999_999_999, 99),
        (0, 0, 0, 0),
        (1, 1, 1, 1),
        (-1, -1, -1, 1),
    ] {
        all.push(Made { nine, four, eighteen, two, text: "0123456789".to_owned() });
    }
    all
}

/// `units` with so many digits behind the point.
fn decimal(units: i64, scale: usize) -> String {
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let (minus, point) = (if units < 0 { "-" } else { "" }, if scale > 0 { "." } else { "" });
    format!("{minus}{whole}{point}{fraction}")
}

fn float(number: f64) -> String {
    serde_json::Number::from_f64(number).unwrap().to_string()
}

/// The record as JSON, worked out from the rules of MOVE: signs are lost in unsigned fields, digits in short ones.
fn expected(number: usize, made: &Made) -> String {
    let Made { nine, four, eighteen, two, text } = made;
    let (nine, four, eighteen, two) = (*nine, *four, *eighteen, *two);
    let v = |units: i64| decimal(units, 2);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let edited_text = format!("{} {}/{}", part(0, 2), part(2, 4), part(4, 5));
    let table: Vec<String> =
        (1..=3).map(|index| format!(r#"{{"A-T-CHAR":"t","A-T-4":{},"A-T-END":"e"}}"#, four * index)).collect();
    let long = four.abs() * 1000 + two;
    format!(
        concat!(
            r#"{{"R-NO":{no},"SIGNS":{{"S-TRAILING":{v},"S-LEADING":{v},"S-TRAILING-S":{v},"S-LEADING-S":{v},"S-NONE":{u}}},"#,
            r#""PACKED-ONES":{{"P-SIGNED":{v},"P-EVEN":{even},"P-UNSIGNED":{u},"P-BARE":{u}}},"#,
            r#""BINARIES":{{"B-2":{minus},"B-4":{four},"B-9":{v},"B-18":{eighteen},"B-U4":{abs},"N-4":{four},"N-9":{nine},"#,
            r#""N-18":{eighteen},"X-2":{two},"X-4":{abs},"X-7":{long},"X-CHARS":{long},"C-CHAR":{two},"C-UCHAR":{two},"#,
            r#""C-SHORT":{four},"C-LONG":{nine},"C-DOUBLE":{big},"C-INDEX":{two}}},"#,
            r#""FLOATS":{{"F-SHORT":{eighth},"F-LONG":{parts},"F-SHORT-2":{whole}}},"#,
            r#""SCALED":{{"V-HIGH":{high},"V-LOW":{low},"V-BINARY":{hundreds}}},"#,
            r#""EDITED":{{"E-1":{v},"E-2":{v},"E-3":{v},"E-4":{v},"E-5":{v},"E-6":{abs},"E-7":{six},"E-8":{four},"E-9":{u},"#,
            r#""E-10":{two},"E-11":{abs},"E-12":{v},"E-13":{v},"E-14":{stars}}},"ZERO-BLANK":{abs},"#,
            r#""TEXTS":{{"T-LEFT":"{text}","T-RIGHT":"{text}","T-ALPHA":"{alpha}","T-EDITED":"{edited}"}},"#,
            r#""PLACED":{{"A-CHAR":"a","A-2":{four},"A-CHAR-2":"a","A-4":{nine},"A-CHAR-3":"a","A-8":{eighteen},"#,
            r#""A-TABLE":[{table}],"A-DOUBLE":{quarter}}},"R-END":"END"}}"#
        ),
        no = number + 1,
        v = v(nine),
        u = v(nine.abs()),
        even = v(four),
        minus = -two,
        four = four,
        abs = four.abs(),
        nine = nine,
        eighteen = eighteen,
        big = eighteen.abs(),
        two = two,
        long = long,
        eighth = float(four as f64 / 8.0),
        parts = float(nine as f64 / 64.0),
        whole = float(four as f64),
        quarter = float(four as f64 / 4.0),
        high = four * 1000,
        low = decimal(four, 6),
        hundreds = four * 100,
        six = nine.abs() % 1_000_000,
        stars = v(four.abs()),
        text = text,
        alpha = part(0, 5).trim(),
        edited = edited_text.trim(),
        table = table.join(","),
    )
}

#[test]
fn records_of_a_cobol_program_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output, ours) = (folder.path().join("in"), folder.path().join("out"), folder.path().join("ours"));
    let made = made();
    let mut lines = String::new();
    for record in &made {
        let Made { nine, four, eighteen, two, text } = record;
        let _ = writeln!(lines, "{nine:+010}{four:+05}{eighteen:+019}{two:02}{text}");
    }
    std::fs::write(&input, lines).unwrap();
    let expected: Vec<String> = made.iter().enumerate().map(|(number, record)| expected(number, record)).collect();
    for (options, overpunch) in [(&[][..], Overpunch::MicroFocus), (&["-fsign=EBCDIC"], Overpunch::Translated)] {
        let writer = cobc(folder.path(), "write", options);
        run(&writer, &[("DD_IN", &input), ("DD_OUT", &output)]);
        let data = std::fs::read(&output).unwrap();
        for overpunch in [overpunch, Overpunch::Auto] {
            let decoder = compile("record.cpy", |s| s.reading.overpunch = Some(overpunch));
            let read = decode(&decoder, &data);
            assert_eq!(read.len(), expected.len());
            for (read, expected) in read.iter().zip(&expected) {
                assert_eq!(read, expected);
            }
        }
        // What we write is what the program wrote, byte by byte.
        let decoder = compile("record.cpy", |s| s.reading.overpunch = Some(overpunch));
        let written = encode(&decoder, &expected);
        let length = data.len() / made.len();
        for (number, (written, data)) in written.chunks(length).zip(data.chunks(length)).enumerate() {
            assert_eq!(written, data, "record {}: {}", number + 1, expected[number]);
        }
        assert_eq!(written.len(), data.len());
        std::fs::write(&ours, &written).unwrap();
        let reader = cobc(folder.path(), "read", options);
        let shown = run(&reader, &[("DD_IN", &ours)]);
        let shown: Vec<&str> = shown.lines().collect();
        for (number, (shown, made)) in shown.chunks(23).zip(&made).enumerate() {
            let v = decimal(made.nine, 2);
            let wanted = [
                format!("{:06}", number + 1),
                v.clone(),
                v.clone(),
                v.clone(),
                v.clone(),
                v.clone(),
                decimal(made.nine.abs(), 2),
                v.clone(),
                made.four.to_string(),
                made.eighteen.to_string(),
                made.nine.to_string(),
                made.eighteen.to_string(),
                (made.four.abs() * 1000 + made.two).to_string(),
                made.four.to_string(),
                made.nine.to_string(),
            ];
            let trimmed: Vec<&str> = shown.iter().map(|line| line.trim()).collect();
            assert_eq!(trimmed[..15], wanted);
            assert_eq!(
                trimmed[16..19],
                [made.nine.to_string(), made.eighteen.to_string(), (made.four * 3).to_string()]
            );
            assert_eq!(shown[19..21], [format!("[{}  ]", made.text), format!("[  {}]", made.text)]);
        }
        assert_eq!(shown.len(), 23 * made.len());
    }
}

#[test]
fn tables_of_varying_length_of_a_cobol_program() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let mut expected = Vec::new();
    for orders in 0..=5i64 {
        for notes in 1..=3 {
            let order =
                |sub: i64| format!(r#"{{"O-NO":{},"O-AMOUNT":{}}}"#, sub * 1000 + orders, decimal(-1025 * sub, 2));
            let list: Vec<String> = (1..=orders).map(order).collect();
            let texts: Vec<String> = (1..=notes).map(|sub| format!("\"NOTE {sub}\"")).collect();
            expected.push(format!(
                r#"{{"N-ORDERS":{orders},"ORDERS":[{}],"N-NOTES":{notes},"NOTES":[{}],"R-END":"END"}}"#,
                list.join(","),
                texts.join(",")
            ));
        }
    }
    for (slide, odo) in [(true, Odo::Variable), (false, Odo::Fixed)] {
        let options: &[&str] = if slide { &["-fcomplex-odo", "-fodoslide"] } else { &["-fcomplex-odo"] };
        let writer = cobc(folder.path(), "tables", options);
        let full = if slide { "N" } else { "Y" };
        run(&writer, &[("DD_OUT", &output), ("FULL", Path::new(full))]);
        let data = std::fs::read(&output).unwrap();
        let decoder = compile("tables.cpy", |s| {
            (s.framing, s.rdw_adjust, s.odo, s.trim) = (Framing::RdwBig, Some(0), Some(odo), Trim::Right);
        });
        assert_eq!(decode(&decoder, &data), expected, "{odo:?}");
        if slide {
            assert_eq!(encode(&decoder, &expected), data);
        } else {
            assert_eq!(decode(&decoder, &encode(&decoder, &expected)), expected);
        }
    }
}
