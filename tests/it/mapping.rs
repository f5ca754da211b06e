//! Mapping files from end to end: what is wrong with one is said all at once and at its place; what is right
//! turns real files into documents that keep to their own schema, or into rejects that say why.

use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use tollbridge::decode::{Item, Resume};
use tollbridge::diagnostic::{Faults, SourceText};
use tollbridge::mapping::{self, Mapped, Origin, Plan};
use tollbridge::record::Reject;

fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/mapping").join(folder)
}

fn compile(path: &Path) -> Result<Plan, String> {
    let named = |path: &Path, text: String| SourceText::new(Path::new(path.file_name().unwrap()), text);
    let source = named(path, fs::read_to_string(path).unwrap());
    let read = |name: &str| {
        let path = path.with_file_name(name);
        fs::read_to_string(&path).ok().map(|text| named(&path, text))
    };
    compile_text(&source, &read)
}

fn compile_text(source: &Arc<SourceText>, read: &dyn Fn(&str) -> Option<Arc<SourceText>>) -> Result<Plan, String> {
    let faults = Faults::new();
    let plan = mapping::compile(source, read, &faults);
    let faults = faults.into_sorted();
    assert_eq!(plan.is_none(), !faults.is_empty(), "a plan comes without faults, and only so");
    plan.ok_or_else(|| faults.iter().map(|fault| fault.render(false) + "\n\n").collect())
}

/// Compares with the file, or writes it when `UPDATE_GOLDEN` is set.
fn golden(path: &Path, found: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, found).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, expected, "{} differs; UPDATE_GOLDEN=1 rewrites it", path.display());
}

fn mappings(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixtures(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    found.sort();
    found
}

#[test]
fn faults_are_reported_all_at_once() {
    let all = mappings("faults");
    assert!(all.len() >= 6, "{all:?}");
    for path in all {
        let shown = compile(&path).map(|_| ()).unwrap_err();
        golden(&path.with_extension("txt"), &shown);
    }
}

fn show_reject(out: &mut String, reject: &Reject) {
    let span = reject.field_span.map(|(offset, length)| format!(" +{offset}:{length}")).unwrap_or_default();
    writeln!(out, "reject {}{span} {}", reject.code.as_str(), reject.sentence()).unwrap();
}

/// Maps a whole file: documents with their keys, rejects with their sentences, and the verdict on the totals.
fn run(plan: &Plan, input: &Path) -> String {
    let mut out = String::new();
    let mut mapper = plan.mapper();
    let mut reader = plan.decoder.reader(File::open(input).unwrap(), Resume::default()).unwrap();
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::Record(record) => match mapper.map(&record) {
                Mapped::Document(document) => {
                    let json = String::from_utf8(document.payload).unwrap();
                    validate(plan, &json);
                    writeln!(out, "{} {json}", document.key).unwrap();
                }
                Mapped::Reject(reject) => show_reject(&mut out, &reject),
                Mapped::Skipped => out.push_str("skipped\n"),
                Mapped::Trailer => out.push_str("trailer\n"),
                Mapped::Deleted { key, .. } => writeln!(out, "{key} deleted").unwrap(),
            },
            Item::Reject(reject) => {
                show_reject(&mut out, &reject);
                if let Some(controls) = mapper.controls_mut() {
                    controls.add_undecodable(reject.position);
                }
            }
            Item::Skipped => out.push_str("no record\n"),
        }
    }
    match mapper.controls().map(|controls| controls.verdict()) {
        None => {}
        Some(Ok(())) => out.push_str("totals agree\n"),
        Some(Err(reject)) => show_reject(&mut out, &reject),
    }
    out
}

fn validate(plan: &Plan, json: &str) {
    let mut compiler = boon::Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource("http://localhost/schema", plan.exposure.schema.clone()).unwrap();
    let mut schemas = boon::Schemas::new();
    let index = compiler.compile("http://localhost/schema", &mut schemas).unwrap();
    if let Err(error) = schemas.validate(&serde_json::from_str(json).unwrap(), index) {
        panic!("{json}: {error:#}");
    }
}

#[test]
fn files_become_documents_and_rejects() {
    for (name, input) in [("customers", "customers.csv"), ("stock", "stock.dat"), ("orders", "orders.dat")] {
        let path = fixtures("documents").join(format!("{name}.toml"));
        let plan = compile(&path).unwrap_or_else(|faults| panic!("{faults}"));
        golden(&path.with_extension("out"), &run(&plan, &path.with_file_name(input)));
        let schema = serde_json::to_string_pretty(&plan.exposure.schema).unwrap() + "\n";
        golden(&path.with_extension("schema.json"), &schema);
    }
}

#[test]
fn the_facade_learns_what_it_may_ask() {
    let plan = compile(&fixtures("documents").join("customers.toml")).unwrap();
    let exposure = &plan.exposure;
    assert_eq!(exposure.id.to_string(), "customers.v2");
    assert_eq!(exposure.key, ["region", "customer_no"]);
    assert_eq!((exposure.title.as_str(), exposure.read_scope.as_str()), ("Customers", "crm:read"));
    let filters: Vec<_> =
        exposure.filter.iter().map(|field| format!("{} {:?}", field.path, field.field_type)).collect();
    assert_eq!(
        filters,
        [
            "region String",
            "since Date",
            "credit Decimal { precision: 18, scale: 2, as_string: true }",
            "blocked Boolean",
            "name.sort String",
        ]
    );
    assert_eq!(plan.schedule.describe(), "every 30s");
    assert_eq!(plan.backend, "erp");
    assert!(matches!(&plan.origin, Origin::Files(names) if names == "customers*.csv"));
}

#[test]
fn texts_are_named_and_hashed() {
    let path = fixtures("documents").join("customers.toml");
    let source = SourceText::new(Path::new("customers.toml"), fs::read_to_string(&path).unwrap());
    assert_eq!(mapping::texts(&source), ["crm_ids.csv"]);
    let stock = fs::read_to_string(fixtures("documents").join("stock.toml")).unwrap();
    assert_eq!(mapping::texts(&SourceText::new(Path::new("stock.toml"), stock)), ["stock.spec"]);

    let hash = |mapping: &str, lookup: &str| {
        let source = SourceText::new(Path::new("m.toml"), mapping.to_owned());
        let file = SourceText::new(Path::new("crm_ids.csv"), lookup.to_owned());
        compile_text(&source, &|name| (name == "crm_ids.csv").then(|| file.clone())).unwrap().hash
    };
    let table = "erp_no,crm_uuid\n1,a\n";
    let first = hash(&source.text, table);
    assert_eq!(first.len(), 64);
    assert_eq!(first, hash(&source.text, table));
    assert_ne!(first, hash(&source.text, "erp_no,crm_uuid\n1,b\n"));
    assert_ne!(first, hash(&format!("{}\n", source.text), table));
}

/// What a copybook copies is asked for by its path, belongs to the mapping's hash, and is read again when it changes.
#[test]
fn copied_texts_are_found_and_hashed() {
    let mapping = "resource = \"a\"\nversion = 1\nkey = [\"no\"]\n[source]\nbackend = \"b\"\n[source.cobol]\n\
                   files = \"*\"\ncopybook = \"copy/main.cpy\"\n[fields]\nno = { from = \"ORD-NO\" }\n";
    let source = SourceText::new(Path::new("m.toml"), mapping.to_owned());
    assert_eq!(mapping::texts(&source), ["copy/main.cpy"]);
    let compiled = |copied: &str| {
        let text = |name: &str| {
            let text = match name {
                "copy/main.cpy" => "       01 R.\n           COPY PART REPLACING ==:T:== BY ==ORD==.\n",
                "copy/PART.cpy" => copied,
                _ => return None,
            };
            Some(SourceText::new(Path::new(name), text.to_owned()))
        };
        compile_text(&source, &text)
    };
    let first = compiled("           05 :T:-NO PIC X(4).\n").unwrap();
    assert_eq!(first.decoder.copied(), ["copy/PART.cpy"]);
    assert_ne!(first.hash, compiled("           05 :T:-NO PIC X(5).\n").unwrap().hash);
}

#[test]
fn every_key_of_every_section_is_documented() {
    let sections = mapping::sections();
    let paths: Vec<_> = sections.iter().map(|section| section.path).collect();
    for path in [
        "mapping",
        "source",
        "source.csv",
        "source.fixed_width",
        "source.cobol",
        "fields.NAME",
        "lookups.NAME",
        "serve",
    ] {
        assert_eq!(paths.iter().filter(|known| **known == path).count(), 1, "{path}");
    }
    for section in sections {
        assert!(section.keys.iter().all(|key| !key.doc.is_empty()), "{}", section.path);
    }
}

const ANYTHING: &str = r#"
resource = "any"
version = 1
key = ["id"]
[source]
backend = "b"
[source.csv]
files = "*"
ragged = "pad"
[fields]
id = { from = "id" }
whole = { from = "n", type = "integer", blank = "null" }
exact = { from = "n", type = "decimal(20,4)", blank = "zero", null_if = ["-"] }
day = { from = "d", type = "date", format = ["%Y%m%d", "%d.%m.%y"], blank = "null", null_if = [0] }
flag = { from = "f", type = "boolean", blank = "null" }
kind = { from = "f", values = { y = "yes", n = "no" }, unknown = "null" }
text = { from = "t", trim = "both", max_length = 12, blank = "null" }
"#;

fn anything() -> Plan {
    compile_text(&SourceText::new(Path::new("any.toml"), ANYTHING.to_owned()), &|_| None).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever stands in the file: each record is a document that keeps to the schema, or a reject that says
    /// what was expected. Never a panic, never a record that is neither.
    #[test]
    fn a_record_is_a_document_or_a_reject(
        rows in prop::collection::vec(("[a-z~/ü\"]{0,3}", "[-+0-9.]{0,9}|[0-9]{1,30}", "[0-9.]{0,8}|2024(0[1-9]|1[0-2])[0-3][0-9]", "[yYnNx ]{0,2}", "\\PC{0,14}"), 1..8)
    ) {
        let plan = anything();
        let quote = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
        let mut file = "id,n,d,f,t\n".to_owned();
        for (id, n, d, f, t) in &rows {
            writeln!(file, "{},{},{},{},{}", quote(id), quote(n), quote(d), quote(f), quote(t)).unwrap();
        }
        let mut reader = plan.decoder.reader(std::io::Cursor::new(file.into_bytes()), Resume::default()).unwrap();
        let mut mapper = plan.mapper();
        let mut seen = 0;
        while let Some(item) = reader.next().unwrap() {
            let Item::Record(record) = item else { panic!("not a record") };
            seen += 1;
            match mapper.map(&record) {
                Mapped::Document(document) => {
                    prop_assert!(!document.key.is_empty());
                    validate(&plan, std::str::from_utf8(&document.payload).unwrap());
                }
                Mapped::Reject(reject) => {
                    prop_assert!(!reject.expected.is_empty() && !reject.found.is_empty());
                    prop_assert_eq!(reject.raw.as_slice(), record.raw);
                    prop_assert_eq!(reject.position, record.position);
                }
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(seen, rows.len());
    }

    /// Decimals against a reference that only knows digits as text.
    #[test]
    fn decimals_are_exact(negative: bool, whole in "0|[1-9][0-9]{0,15}", fraction in "[0-9]{0,4}") {
        let plan = anything();
        let sign = if negative { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        let file = format!("id,n,d,f,t\nk,{sign}{whole}{point}{fraction},,,\n");
        let mut reader = plan.decoder.reader(std::io::Cursor::new(file.into_bytes()), Resume::default()).unwrap();
        let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("no record") };
        let all_zero = format!("{whole}{fraction}").bytes().all(|digit| digit == b'0');
        let sign = if all_zero { "" } else { sign };
        let exact = format!("\"exact\":\"{sign}{whole}.{fraction:0<4}\"");
        let whole_only = fraction.bytes().all(|digit| digit == b'0');
        let safe = whole.len() < 16 || whole.parse::<u64>().unwrap() < (1 << 53);
        match plan.mapper().map(&record) {
            Mapped::Document(document) => {
                prop_assert!(whole_only && safe);
                let json = String::from_utf8(document.payload).unwrap();
                prop_assert!(json.contains(&exact), "{} lacks {}", json, exact);
                let integer = format!("\"whole\":{sign}{whole},");
                prop_assert!(json.contains(&integer), "{} lacks {}", json, integer);
            }
            Mapped::Reject(reject) => {
                let code = if whole_only { "numeric.overflow" } else { "numeric.inexact" };
                prop_assert_eq!(reject.code.as_str(), code);
            }
            other => panic!("{other:?}"),
        }
    }

    /// Whatever bytes a mainframe sends: a document that keeps to the schema, or a reject.
    #[test]
    fn any_bytes_are_a_document_or_a_reject(noise in prop::collection::vec((0usize..263, any::<u8>()), 0..12)) {
        let plan = compile(&fixtures("documents").join("orders.toml")).unwrap();
        let mut bytes = fs::read(fixtures("documents").join("orders.dat")).unwrap()[..263].to_vec();
        for (at, byte) in noise {
            bytes[at] = byte;
        }
        let mut reader = plan.decoder.reader(std::io::Cursor::new(bytes), Resume::default()).unwrap();
        let Some(Item::Record(record)) = reader.next().unwrap() else { panic!("no record") };
        match plan.mapper().map(&record) {
            Mapped::Document(document) => validate(&plan, std::str::from_utf8(&document.payload).unwrap()),
            Mapped::Reject(reject) => prop_assert!(reject.field.is_some() && reject.field_span.is_some()),
            other => panic!("{other:?}"),
        }
    }

    /// A mapping file cut and mixed in any way is faults or a plan, never a panic; every fault lies in its file.
    #[test]
    fn damaged_mappings_are_faults(which in 0usize..3, cuts in prop::collection::vec((0usize..3000, 0usize..40, "[a-z0-9\"'={}\\[\\], .%(-]{0,6}"), 1..4)) {
        let name = ["customers.toml", "stock.toml", "orders.toml"][which];
        let mut text = fs::read_to_string(fixtures("documents").join(name)).unwrap();
        for (at, length, put) in cuts {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            if text.is_char_boundary(at) && text.is_char_boundary(end) {
                text.replace_range(at..end, &put);
            }
        }
        let source = SourceText::new(Path::new(name), text);
        let read = |name: &str| {
            let text = fs::read_to_string(fixtures("documents").join(name)).ok()?;
            Some(SourceText::new(Path::new(name), text))
        };
        let faults = Faults::new();
        mapping::texts(&source);
        let plan = mapping::compile(&source, &read, &faults);
        prop_assert_eq!(plan.is_none(), !faults.is_empty());
        for fault in faults.into_sorted() {
            prop_assert!(!fault.message.is_empty() && fault.span.start <= fault.source.text.len());
            fault.render(false);
        }
    }
}
