//! How fast rows of a database are read from where they were landed.
//!
//!     cargo bench --bench rows
//!
//! Prints MB a CPU-second, and ratios to one pass over the same bytes that copies each row into a buffer of its own.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and has sound inputs")]

#[path = "support/clock.rs"]
mod clock;

use std::hint::black_box;
use std::io::Cursor;

use clock::cpu;
use tollbridge::decode::rows::{BatchWriter, Column, ColumnKind, Settings};
use tollbridge::decode::{Decoder, Format, Item, JsonOptions, Resume};
use tollbridge::diagnostic::Faults;
use tollbridge::record::Scope;

const ROWS: u64 = 300_000;
const ROUNDS: usize = 5;

/// The best CPU time of some rounds, in seconds.
fn best(mut work: impl FnMut()) -> f64 {
    let mut round = || {
        let before = cpu();
        // The clock is coarse.
        (0..4).for_each(|_| work());
        (cpu() - before).as_secs_f64() / 4.0
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min).max(0.001)
}

/// Twelve columns as an old table of orders has them.
fn table() -> (Vec<Column>, Vec<u8>) {
    let text = ColumnKind::Text { max_chars: Some(40) };
    let money = ColumnKind::Decimal { precision: 11, scale: 2 };
    let kinds = [
        ("order_no", ColumnKind::Integer, "bigint"),
        ("customer", text, "varchar(40)"),
        ("city", text, "char(20)"),
        ("street", text, "varchar(40)"),
        ("amount", money, "decimal(11,2)"),
        ("tax", money, "decimal(11,2)"),
        ("ordered_on", ColumnKind::Date, "date"),
        ("changed_at", ColumnKind::DateTime, "datetime"),
        ("is_open", ColumnKind::Boolean, "bit"),
        ("weight", ColumnKind::Float, "float"),
        ("note", text, "varchar(40)"),
        ("version", ColumnKind::Bytes { max: Some(8) }, "rowversion"),
    ];
    let columns: Vec<Column> = kinds
        .into_iter()
        .map(|(name, kind, declared)| Column {
            name: name.to_owned(),
            kind,
            declared: declared.to_owned(),
            nullable: None,
        })
        .collect();
    let mut writer = BatchWriter::new(columns.clone().into());
    for row in 0..ROWS {
        let random = row.wrapping_mul(2_654_435_761) % 1_000_003;
        writer.begin();
        writer.value((1_000_000_000 + row).to_string().as_bytes());
        writer.value(format!("Customer M\u{fc}ller {random}").as_bytes());
        writer.value(format!("{:20}", format!("Town {}", random % 997)).as_bytes());
        writer.value(format!("Long Street {}", random % 89).as_bytes());
        writer.value(format!("{random}.{:02}", row % 100).as_bytes());
        writer.value(format!("{}.19", random % 1000).as_bytes());
        writer.value(format!("2026-01-{:02}", 1 + row % 28).as_bytes());
        writer.value(format!("2026-01-{:02}T12:34:56.{:03}", 1 + row % 28, row % 1000).as_bytes());
        writer.value(if row % 3 == 0 { b"1" } else { b"0" });
        writer.value(b"12.5");
        if row % 2 == 0 {
            writer.null()
        } else {
            writer.value(b"leave at the gate")
        }
        writer.value(&row.to_be_bytes());
        writer.end();
    }
    (columns, writer.take().bytes.to_vec())
}

fn each(decoder: &Decoder, file: &[u8], mut what: impl FnMut(&tollbridge::record::RawRecord<'_>)) {
    let mut reader = decoder.reader(Cursor::new(file), Resume::default()).expect("a sound file");
    while let Some(item) = reader.next().expect("a sound file") {
        if let Item::Record(record) = item {
            what(&record);
        }
    }
}

fn main() {
    let (columns, file) = table();
    let megabytes = file.len() as f64 / 1e6;
    let mut at = file.len();
    // What copying costs: the frames alone are followed, each row becomes bytes of its own.
    let head = 12 + u32::from_le_bytes(file[8..12].try_into().expect("four bytes")) as usize;
    let copying = best(|| {
        at = head;
        while let Some(frame) = file.get(at..at + 4) {
            let length = u32::from_le_bytes(frame.try_into().expect("four bytes")) as usize;
            black_box(file[at + 4..at + 4 + length].to_vec());
            at += 4 + length;
        }
    });
    println!("rows: each row copied          {:7.0} MB/s  ({:.1} MB)", megabytes / copying, megabytes);
    let settings = Settings { columns: Some(columns.clone().into()), ..Settings::default() };
    let decoder = Format::Rows(settings).compile(&|_| None, &Faults::new()).expect("a sound layout");
    let resolve = |name: &String| decoder.layout().resolve(None, name).expect("a column").slot;
    let slots: Vec<_> = columns.iter().map(|column| resolve(&column.name)).collect();
    let told = |what: &str, time: f64| {
        println!("rows: {what:25}{:7.0} MB/s  {:5.2} of copying", megabytes / time, copying / time);
    };
    let records = best(|| {
        each(&decoder, &file, |record| {
            black_box(record.raw.len());
        });
    });
    told("cells found", records);
    let values = best(|| {
        each(&decoder, &file, |record| {
            for &slot in &slots {
                drop(black_box(record.fields.read(slot, Scope::ROOT)));
            }
        });
    });
    told("every value read", values);
    let mut out = Vec::new();
    let json = best(|| {
        each(&decoder, &file, |record| {
            out.clear();
            decoder.write_json(record, &JsonOptions::default(), &mut out).expect("a sound record");
            black_box(&out);
        });
    });
    told("to JSON", json);
}
