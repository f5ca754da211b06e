//! The matrix of COBOL clauses in `docs/cobol.md` says what the code does: every row's example is compiled.
//!
//! `UPDATE_REFERENCE=1 cargo test --test it cobol_matrix` writes the last column anew.

use std::path::{Path, PathBuf};

use tollbridge::decode::{Decoder, Format};
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

/// The example as a copybook: below a record, in the columns that it keeps to.
fn whole(example: &str) -> String {
    match example {
        numbered if numbered.starts_with("000100") => format!("000050 01  R.\n{numbered:<72}ORD00010\n"),
        free if free.contains("*>") || free.starts_with(">>") => format!("01 R.\n{}\n", free.replace(" ⏎ ", "\n")),
        // An entry a line: none goes beyond column 72.
        other => format!("       01 R.\n           {}\n", other.replace(". ", ".\n           ")),
    }
}
