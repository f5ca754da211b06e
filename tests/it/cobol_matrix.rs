//! The matrix of COBOL clauses in `docs/cobol.md` says what the code does: every row's example is compiled, and reads bytes
//! that were made by hand, and writes them again.
//!
//! `UPDATE_REFERENCE=1 cargo test --test it cobol_matrix` writes the last column anew. What the bytes read as is written by
//! hand, so that a row cannot lie in what its columns do not show.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use tollbridge::decode::{Decoder, Format, Item, Json, JsonOptions, Resume};
use tollbridge::diagnostic::{Faults, SourceText, Table, parse};

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cobol.md")
}

/// The texts that the examples copy.
fn text(path: &str, example: &str) -> Option<String> {
    match path {
        "t.cpy" => Some(example.to_owned()),
        "LIB" | "SHARED/LIB" => Some("       05 :TAG:-A PIC 9(4).".to_owned()),
        "PLAIN" => Some("       05 P-A PIC X(2).".to_owned()),
        _ => None,
    }
}

fn compile(settings: &str, example: &str) -> Result<Decoder, String> {
    let settings = &settings.replace("; ", "\n");
    let toml = format!("files = \"x\"\ncopybook = \"t.cpy\"\n{}\n", settings.replace(", ", "\n"));
    // A comma inside of a table is none between settings.
    let toml = if settings.contains('{') { format!("files = \"x\"\ncopybook = \"t.cpy\"\n{settings}\n") } else { toml };
    let faults = Faults::new();
    let root = parse(&SourceText::new(Path::new("t.toml"), toml), &faults);
    let section = Format::section("cobol").unwrap();
    let format = Table::new(&root, section, &faults).and_then(|table| Format::read("cobol", &table));
    assert!(faults.is_empty(), "{settings}: {:?}", faults.into_sorted());
    let decoder = format
        .unwrap()
        .compile(&|path| text(path, example).map(|text| SourceText::new(Path::new(path), text)), &faults);
    decoder.ok_or_else(|| faults.into_sorted().last().map(|fault| fault.message.clone()).unwrap_or_default())
}

/// What the last column says: the last elementary item, or the fault.
fn becomes(settings: &str, example: &str) -> String {
    match compile(settings, example) {
        Err(fault) => format!("refused: {fault}"),
        Ok(decoder) => {
            // Everything that is read is written too.
            assert!(decoder.encoder().is_some());
            let rows = decoder.describe();
            let last =
                rows.iter().rfind(|row| row.length.is_some() && row.kind != "group").expect("an elementary item");
            let values =
                rows.iter().filter(|row| row.level == Some(88)).map(|row| format!(", {} = {}", row.name, row.picture));
            let occurs = last.occurs.as_ref().map(|occurs| format!(", {occurs} times")).unwrap_or_default();
            format!(
                "{} {} at {}, {} {}{occurs}{}",
                last.name,
                last.kind,
                last.offset.unwrap_or_default(),
                last.length.unwrap_or_default(),
                if last.length == Some(1) { "byte" } else { "bytes" },
                values.collect::<String>()
            )
        }
    }
}

#[test]
fn every_row_is_what_the_code_does() {
    let written = std::fs::read_to_string(page()).unwrap();
    let mut rows = 0;
    let mut refused = 0;
    let line = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let (Some(settings), Some(example)) = (cells.get(1), cells.get(2)) else { return line.to_owned() };
        if !line.starts_with("| ") || !example.starts_with('`') {
            return line.to_owned();
        }
        rows += 1;
        let example = example.trim_matches('`');
        let found = becomes(settings.trim_matches('`'), &whole(example));
        refused += usize::from(found.starts_with("refused"));
        format!("| {} | {settings} | `{example}` | {found} |", cells[0].trim_start_matches("| "))
    };
    let wanted: Vec<String> = written.lines().map(line).collect();
    let wanted = format!("{}\n", wanted.join("\n"));
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(page(), &wanted).unwrap();
        return;
    }
    assert_eq!(written, wanted, "run: UPDATE_REFERENCE=1 cargo test --test it cobol_matrix");
    assert!(rows > 60 && refused > 8, "{rows} rows, {refused} refused");
}

/// The rows of the matrix: clause, settings, example, and what becomes of it.
fn rows(page: &str) -> Vec<[String; 4]> {
    let cells = |line: &str| -> Option<[String; 4]> {
        let cells: Vec<String> = line.strip_prefix("| ")?.trim_end_matches('|').split(" | ").map(clean).collect();
        cells.try_into().ok().filter(|[_, _, example, _]: &[String; 4]| example.starts_with('`'))
    };
    let plain = |cell: String| cell.trim_matches('`').to_owned();
    let rows = page.lines().filter_map(cells);
    rows.map(|[clause, settings, example, becomes]| [clause, plain(settings), plain(example), becomes]).collect()
}

fn clean(cell: &str) -> String {
    cell.trim().to_owned()
}

/// What a record of these bytes reads as, and whether that is written as the same bytes.
fn reads(decoder: &Decoder, bytes: &[u8]) -> (String, bool) {
    let mut reader = decoder.reader(Cursor::new(bytes), Resume::default()).unwrap();
    let mut text = Vec::new();
    match reader.next() {
        Ok(Some(Item::Record(record))) => {
            if let Err(reject) = decoder.write_json(&record, &JsonOptions::default(), &mut text) {
                return (reject.sentence(), false);
            }
        }
        Ok(Some(Item::Reject(reject))) => return (reject.sentence(), false),
        Ok(_) => return ("nothing".to_owned(), false),
        Err(fault) => return (fault.to_string(), false),
    }
    let text = String::from_utf8(text).unwrap();
    assert!(reader.next().unwrap().is_none(), "{text}: more than one record");
    let (mut encoder, mut written) = (decoder.encoder().unwrap(), Vec::new());
    let done = encoder.record(&Json::parse(&text).unwrap(), &mut written);
    let done = done.is_ok() && encoder.finish(&mut written).is_ok();
    (text, done && written == bytes)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn every_row_reads_its_bytes() {
    let page = std::fs::read_to_string(page()).unwrap();
    let mut unread: BTreeSet<&str> = VALUES.iter().map(|(clause, ..)| *clause).collect();
    let mut wrong = Vec::new();
    for [clause, settings, example, becomes] in rows(&page) {
        if becomes.starts_with("refused") {
            continue;
        }
        let Some((known, hex, expected)) = VALUES.iter().find(|(known, ..)| *known == clause) else {
            wrong.push(format!("{clause}: there are no bytes for it"));
            continue;
        };
        unread.remove(known);
        let decoder = compile(&settings, &whole(&example)).unwrap();
        let (found, is_same) = reads(&decoder, &bytes(hex));
        if found != *expected || !is_same {
            wrong.push(format!("{clause}: {hex} reads as {found} (written the same: {is_same}), expected {expected}"));
        }
    }
    assert!(wrong.is_empty() && unread.is_empty(), "{}\nnot in the matrix: {unread:?}", wrong.join("\n"));
}

/// For every clause a record by hand, after the manuals: letters in code page 37 unless the row says otherwise.
const VALUES: &[(&str, &str, &str)] = &[
    ("fixed format, sequence numbers, columns 73-80", "C1C2C3C4", r#"{"A":"ABCD"}"#),
    ("free format", "C1C2C3C4", r#"{"A":"ABCD"}"#),
    (
        "comment lines (`*`, `/`) and lines for the debugger (`D`), which are not compiled",
        "C1C2C3C4",
        r#"{"A":"ABCD"}"#,
    ),
    ("continued lines (`-`), within a word and within a literal", "C1C2C3C4", r#"{"CUST-NAME":"ABCD"}"#),
    ("`COPY ... REPLACING` of pseudo-text, parts of words", "F0F0F4F2", r#"{"CUST-A":42}"#),
    ("`COPY ... REPLACING LEADING`, `TRAILING`", "C1C2", r#"{"CUST-A":"AB"}"#),
    ("`COPY ... OF` library: a folder beside the copybook", "F1F2F3F4", r#"{"A-A":1234}"#),
    ("`REPLACE`, `REPLACE ALSO`, `REPLACE OFF`", "C1C2C3C4", r#"{"A":"ABCD"}"#),
    ("`EJECT`, `SKIP1` to `SKIP3`, `TITLE`", "C1", r#"{"A":"A"}"#),
    (
        "conditional compilation: `>>DEFINE`, `>>IF`, `>>ELIF`, `>>ELSE`, `>>END-IF`; `$IF`, `$SET CONSTANT`",
        "C1",
        r#"{"A":"A"}"#,
    ),
    ("by what the compiler was told", "C1C2C3", r#"{"A":"ABC"}"#),
    ("conditions joined by AND, OR and NOT, with brackets, as IBM's compilers take them", "C1", r#"{"A":"A"}"#),
    ("01 to 49, FILLER, nesting to any depth", "40C2", r#"{"A":{"B":{"C":"B"}}}"#),
    ("several 01: one of them, or all as record types (see the framings)", "C1C2", r#"{"B":"AB"}"#),
    ("66 RENAMES: one more readable field", "C1C2", r#"{"A":"A","B":"B"}"#),
    ("77: beside the records, not in them", "C1", r#"{"A":"A"}"#),
    ("88: the names of values, shown by `inspect`", "D1", r#"{"A":"J"}"#),
    (
        "other levels within one group, as IBM's and Micro Focus' compilers take them",
        "C1C2",
        r#"{"A":{"B":"A","C":"B"}}"#,
    ),
    ("78, and 01 with CONSTANT: one literal", "C1C2C3C4", r#"{"A":"ABCD"}"#),
    ("REDEFINES, also of groups and several times", "F1F2F3F4", r#"{"A":"1234","B":1234}"#),
    ("the same, as Micro Focus' compiler takes it", "C1C2C3C4", r#"{"A":"AB","B":"ABCD"}"#),
    ("REDEFINES with a rule that chooses", "F1 F0F0F4F2", r#"{"T":1,"B":42}"#),
    ("alternatives that are record types of their own", "C2 F0F0F4F2", r#"{"T":"B","B":42}"#),
    ("OCCURS, INDEXED BY, KEY", "C1C2C3", r#"{"A":["A","B","C"]}"#),
    ("OCCURS DEPENDING ON", "F2 C1C2 40", r#"{"N":2,"A":["A","B"]}"#),
    ("items behind it", "F2 C1C2 E9 40", r#"{"N":2,"A":["A","B"],"B":"Z"}"#),
    ("nested, several", "F2 F1 C1 F2 C2C3 40404040", r#"{"N":2,"A":[{"M":1,"B":["A"]},{"M":2,"B":["B","C"]}]}"#),
    ("counters that are no numbers", "E8 C1", r#"{"N":"Y","A":["A"]}"#),
    (
        "in an alternative: what follows it there moves, what follows the alternatives stays",
        "C2 F1 C1 E4 404040404040 E9",
        r#"{"K":"B","B":{"N":1,"T":["A"],"U":"U"},"Z":"Z"}"#,
    ),
    (
        "in the alternative that a record ends with: the one that is meant says where",
        "C2 F1 C1",
        r#"{"K":"B","B":{"N":1,"T":["A"]}}"#,
    ),
    ("X, A, and mixtures with 9", "C1C2C3 C4C5 F6", r#"{"A":"ABCDE6"}"#),
    ("alphanumeric edited (B, 0, /)", "C1C2 40 C3C4 61 C5", r#"{"A":"AB CD/E"}"#),
    ("JUSTIFIED", "4040404040 C1C2C3", r#"{"A":"ABC"}"#),
    ("N, USAGE NATIONAL: UTF-16, high byte first", "00C4 0062 0020 0020", r#"{"A":"Äb"}"#),
    ("G, DISPLAY-1: double-byte characters of the code page", "4562 4566 4040 4040", r#"{"A":"日本"}"#),
    ("U: UTF-8 of at most four bytes a character", "C3A4 E282AC 2020202020202020202020", r#"{"A":"ä€"}"#),
    ("GROUP-USAGE NATIONAL", "0041 0062", r#"{"A":{"B":"Ab"}}"#),
    ("9, S, V", "F0F0F0F0F1F2F3F4D5", r#"{"A":-123.45}"#),
    ("P: zeros that are not stored", "F0F0F1C2", r#"{"A":12000}"#),
    ("P behind the point", "F1F2D3", r#"{"A":-0.00123}"#),
    ("SIGN LEADING SEPARATE", "60 F0F0F4F2", r#"{"A":-42}"#),
    ("SIGN LEADING, over the first digit", "D0F0F4F2", r#"{"A":-42}"#),
    ("SIGN TRAILING SEPARATE", "F0F0F4F2 60", r#"{"A":-42}"#),
    ("signs over digits in ASCII, translated from EBCDIC", "303132 4E", r#"{"A":-125}"#),
    ("the same, as Micro Focus' and GnuCOBOL's compilers write them", "303132 75", r#"{"A":-125}"#),
    ("the same, as Realia's compiler writes them", "303132 25", r#"{"A":-125}"#),
    ("BLANK WHEN ZERO", "40404040", r#"{"A":0}"#),
    ("NATIONAL", "0030 0030 0034 0032", r#"{"A":42}"#),
    (
        "edited: Z, *, +, -, CR, DB, B, 0, /, comma, point, currency",
        "5B F1 6B F2F3F4 4B F5F6 C3D9",
        r#"{"A":-1234.56}"#,
    ),
    ("edited with check protection and DB", "5C5C5C F5 4B F0F0 C4C2", r#"{"A":-5.00}"#),
    ("edited with a floating sign", "40 4E F1F2", r#"{"A":12}"#),
    ("edited with strokes, blanks and zeros that are inserted", "F1F2 61 F3F4 40 F5F6 F0F0", r#"{"A":123456}"#),
    ("edited, as text", "5B F1 6B F2F3F4 4B F5F6 C3D9", r#"{"A":"$1,234.56CR"}"#),
    ("DECIMAL-POINT IS COMMA", "F1 4B F2F3F4 6B F5F0 60", r#"{"A":-1234.50}"#),
    ("CURRENCY SIGN IS", "4040 C6 F1F2F3 4B F4F5", r#"{"A":123.45}"#),
    (
        "external floating point: of Enterprise COBOL alone (GnuCOBOL 3 leaves the exponent out)",
        "4E F1 4B F2F3F4F5 C5 4E F0F3",
        r#"{"A":1234.5}"#,
    ),
    ("the same, with an implied point", "60 F1F2F3F4F5 C5 60 F0F3", r#"{"A":-0.0012345}"#),
    ("COMP-3, PACKED-DECIMAL", "000123456D", r#"{"A":-1234.56}"#),
    ("COMP-6, PACKED-DECIMAL WITH NO SIGN", "00012345", r#"{"A":12345}"#),
    ("COMP, COMP-4, BINARY", "FFFFFFD6", r#"{"A":-42}"#),
    ("one byte for two digits", "D6", r#"{"A":-42}"#),
    ("as few bytes as hold the digits", "FFFFD6", r#"{"A":-42}"#),
    ("TRUNC(BIN)", "7530", r#"{"A":30000}"#),
    ("COMP-5, the low byte first", "D6FF", r#"{"A":-42}"#),
    ("COMP-5, the high byte first", "FFD6", r#"{"A":-42}"#),
    ("COMP-X, of digits", "010000", r#"{"A":65536}"#),
    ("COMP-X, of bytes", "010001", r#"{"A":65537}"#),
    ("COMP-N", "012C", r#"{"A":300}"#),
    ("BINARY-CHAR, -SHORT, -LONG, -DOUBLE, UNSIGNED", "FFFFFFFE", r#"{"A":4294967294}"#),
    ("COMP-1, COMP-2, FLOAT-SHORT, FLOAT-LONG: IBM hexadecimal", "C276A00000000000", r#"{"A":-118.625}"#),
    ("the same: IEEE 754, the low byte first", "0040EDC2", r#"{"A":-118.625}"#),
    ("the same: IEEE 754, the high byte first", "C2ED4000", r#"{"A":-118.625}"#),
    ("INDEX", "00000007", r#"{"A":7}"#),
    ("POINTER, FUNCTION-POINTER", "0000000000001000", r#"{"A":4096}"#),
    ("PROCEDURE-POINTER", "0000000000000007", r#"{"A":7}"#),
    ("FLOAT-BINARY-32, -64: IEEE 754 in the machine's byte order", "000000000000F83F", r#"{"A":1.5}"#),
    (
        "FLOAT-DECIMAL-16, -34: IEEE 754-2008, the coefficient in binary",
        "0F00000000000000 0000000000003E30",
        r#"{"A":1.5}"#,
    ),
    ("SYNCHRONIZED, as IBM's compilers align", "C1 000000 FFFFFFD6", r#"{"A":"A","B":-42}"#),
    (
        "SYNCHRONIZED in tables, as GnuCOBOL aligns",
        "FFFFFFD6 000000 C1 00000007 000000 C2",
        r#"{"A":[{"B":-42,"C":"A"},{"B":7,"C":"B"}]}"#,
    ),
    ("VALUE, GLOBAL, EXTERNAL, VOLATILE: passed over", "C1C2C3", r#"{"A":"ABC"}"#),
    ("fixed length", "C1C2C3C4", r#"{"A":"ABCD"}"#),
    ("lines: what is missing at the end is blanks", "4142 0A", r#"{"A":"AB"}"#),
    ("record descriptor words that count themselves", "0008 0000 C1C2C3C4", r#"{"A":"ABCD"}"#),
    ("record descriptor words that do not", "0004 0000 C1C2C3C4", r#"{"A":"ABCD"}"#),
    ("record descriptor words, the low byte first", "0000 0800 C1C2C3C4", r#"{"A":"ABCD"}"#),
    ("blocks of such records (RECFM=VB)", "000C 0000 0008 0000 C1C2C3C4", r#"{"A":"ABCD"}"#),
    ("a header of the sender's own", "0004 C1C2C3C4", r#"{"A":"ABCD"}"#),
    ("the length in an item of the record", "F0F6 C1C2C3C4", r#"{"L":6,"A":"ABCD"}"#),
    ("behind the last element of the tables", "F2 C1C2", r#"{"N":2,"A":["A","B"]}"#),
    ("spanned records (RECFM=VBS)", "000C0000 00080000 C1C2C3C4", r#"{"A":"ABCD"}"#),
];

/// The example as a copybook: below a record, in the columns that it keeps to.
fn whole(example: &str) -> String {
    match example {
        numbered if numbered.starts_with("000100") => format!("000050 01  R.\n{numbered:<72}ORD00010\n"),
        free if free.contains("*>") || free.starts_with(">>") => format!("01 R.\n{}\n", free.replace(" ⏎ ", "\n")),
        // An entry a line: none goes beyond column 72. An indicator stands in column 7.
        other => {
            let has_indicator = |line: &str| line.starts_with(['*', '/', '-']) || line.starts_with("D ");
            let line = |line: &str| format!("{}{line}\n", " ".repeat(if has_indicator(line) { 6 } else { 11 }));
            let entries = other.replace(" ⏎ ", "\n").replace(". ", ".\n");
            format!("       01 R.\n{}", entries.lines().map(line).collect::<String>())
        }
    }
}
