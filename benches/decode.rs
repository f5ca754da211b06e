//! How fast records become JSON, held against copying the same bytes in the same process.
//!
//!     cargo bench --bench decode
//!
//! Everything is on: JSON has each record's offset and length, rejects are put into words, the input is hashed as landing
//! does it, and the records are counted against what the file should have. Prints MB/s of input by the clock and of CPU and,
//! because machines differ, the ratio to a loop that copies each record's bytes and as many bytes as its JSON has. Then the
//! command, on one thread and on two, with its peak of memory. The best of several rounds counts: what disturbs a round
//! only makes it slower. An argument runs the cases whose names contain it: `cargo bench --bench decode -- numbers`.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and has sound inputs")]

#[path = "support/measure.rs"]
mod measure;
#[path = "support/orders.rs"]
mod orders;
mod support;

use std::hint::black_box;
use std::io::Cursor;
use std::path::Path;

use measure::{best, print_command};
use orders::{COPYBOOK, orders};
use sha2::{Digest, Sha256};
use support::{Numbers, ebcdic, packed};
use tollbridge::decode::{CodePage, Decoder, Format, Item, JsonOptions, Place, Resume, cobol, csv, fixed_width};
use tollbridge::diagnostic::{Faults, SourceText};

const RECORDS: usize = 100_000;
const ROUNDS: usize = 7;
/// How often the command reads the same data, one behind the other: the kernel counts its time in hundredths of a second.
const REPEATS: usize = 8;

/// The fields of the stock list, counted from 1.
const STOCK: &str = "sku,1,12\nname,13,40\nquantity,53,7\nprice,60,9\ncounted,69,8\n";

/// A copybook of 160 numbers of all usages, 1.5 kB a record.
fn numbers_copybook() -> String {
    let mut text = "       01  NUMBERS-REC.\n".to_owned();
    for index in 0..160 {
        let picture = match index % 8 {
            0 => "S9(9)V99 COMP-3",
            1 => "9(18)",
            2 => "S9(9) COMP",
            3 => "S9(13)V99",
            4 => "S9(15)V99 COMP-3",
            5 => "S9(4) COMP",
            6 => "S9(9)V99",
            _ => "S9(17) COMP-3",
        };
        text += &format!("           05  NUMBER-{index:03}        PIC {picture}.\n");
    }
    text
}

fn numbers() -> Vec<u8> {
    let mut made = Numbers(17);
    let mut out = Vec::new();
    for _ in 0..RECORDS / 5 {
        for index in 0..160 {
            match index % 8 {
                0 => packed(made.below(1_000_000_000), 11, &mut out),
                1 => ebcdic(&format!("{:018}", made.below(1 << 31)), 18, &mut out),
                2 => out.extend((made.below(1_000_000_000) as u32).to_be_bytes()),
                3 => ebcdic(&format!("{:015}", made.below(1 << 31)), 15, &mut out),
                4 => packed(made.below(1 << 31) * 1000, 17, &mut out),
                5 => out.extend((made.below(9_999) as u16).to_be_bytes()),
                6 => ebcdic(&format!("{:011}", made.below(1_000_000_000)), 11, &mut out),
                _ => packed(made.below(1 << 31), 17, &mut out),
            }
        }
    }
    out
}

fn customers() -> Vec<u8> {
    let mut numbers = Numbers(11);
    let mut out = b"customer_no;name;street;zip;city;since;limit;note\r\n".to_vec();
    for record in 0..RECORDS {
        out.extend(format!("{record:08};").bytes());
        out.extend(b"M\xFCller & S\xF6hne GmbH;\"Hauptstra\xDFe 5; Hof\";");
        let (zip, since, limit) = (numbers.below(99_999), 1 + numbers.below(28), numbers.below(100_000));
        out.extend(format!("{zip:05};Springfield;{since:02}.01.2020;{limit},50;said \"\"yes\"\"\r\n").bytes());
    }
    out
}

fn stock() -> Vec<u8> {
    let mut numbers = Numbers(13);
    let mut out = Vec::new();
    for record in 0..RECORDS {
        out.extend(format!("SKU{record:09}").bytes());
        out.extend(b"Schl\x81sselschalter, zweipolig             ");
        out.extend(format!("{:07}{:09}20261122\r\n", numbers.below(9_999_999), numbers.below(99_999_999)).bytes());
    }
    out
}

fn compile(format: &Format) -> Decoder {
    let named = |name: &str| {
        let text = if name == "bench.cpy" { COPYBOOK.to_owned() } else { numbers_copybook() };
        Some(SourceText::new(Path::new(name), text))
    };
    format.compile(&named, &Faults::new()).expect("the layout is sound")
}

/// Decodes everything; answers the bytes of JSON.
fn decode(decoder: &Decoder, data: &[u8], records: usize) -> usize {
    let options = JsonOptions { meta: true, ..JsonOptions::default() };
    let mut hash = Sha256::new();
    data.chunks(64 << 10).for_each(|piece| hash.update(piece));
    black_box(hash.finalize());
    let mut reader = decoder.reader(Cursor::new(data), Resume::default()).expect("the data has a header");
    let mut out = Vec::with_capacity(1 << 20);
    let (mut written, mut found) = (0, 0);
    while let Some(item) = reader.next().expect("the data is in memory") {
        match item {
            Item::Record(record) => {
                decoder.write_json(&record, &options, &mut out).expect("the record is good");
                found += 1;
            }
            Item::Reject(reject) => out.extend_from_slice(reject.sentence().as_bytes()),
            Item::Skipped => continue,
        }
        out.push(b'\n');
        if out.len() > 256 << 10 {
            written += out.len();
            black_box(&out);
            out.clear();
        }
    }
    assert_eq!(found, records, "every record is read");
    written + out.len()
}

/// Copies the input and as much as the JSON, record by record.
fn copy(data: &[u8], json: usize) {
    let record = data.len() / RECORDS;
    let per_record = vec![b'x'; json / RECORDS];
    let (mut input, mut out) = (Vec::with_capacity(1 << 20), Vec::with_capacity(1 << 20));
    for bytes in data.chunks(record) {
        input.extend_from_slice(bytes);
        out.extend_from_slice(&per_record);
        if out.len() > 256 << 10 {
            black_box((&input, &out));
            input.clear();
            out.clear();
        }
    }
    black_box((&input, &out));
}

fn report(name: &str, format: &Format, data: &[u8], records: usize, options: &[&str]) {
    if std::env::args().skip(1).any(|wanted| !wanted.starts_with('-') && !name.contains(&wanted)) {
        return;
    }
    let decoder = compile(format);
    let json = decode(&decoder, data, records);
    let decoding = best(ROUNDS, || {
        decode(&decoder, data, records);
    });
    let copying = best(ROUNDS, || copy(data, json));
    println!(
        "{name:<34} {} in, x{:.1} out; copying {}; ratio {:.3}",
        decoding.rates(data.len()),
        json as f64 / data.len() as f64,
        copying.rates(data.len()),
        copying.cpu.as_secs_f64() / decoding.cpu.as_secs_f64()
    );
    let folder = tempfile::tempdir().expect("there is room for the input");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("bench.cpy"), COPYBOOK).expect("there is room for the copybook");
    std::fs::write(path("numbers.cpy"), numbers_copybook()).expect("there is room for the copybook");
    std::fs::write(path("stock.spec"), STOCK).expect("there is room for the list");
    // The header of CSV comes once: one amid the records would be told.
    let head = if options.contains(&"csv") { memchr::memchr(b'\n', data).map_or(0, |end| end + 1) } else { 0 };
    let whole = [&data[..head], &data[head..].repeat(REPEATS)].concat();
    std::fs::write(path("data"), whole).expect("there is room for the input");
    let options: Vec<String> = options
        .iter()
        .map(|word| match word.split_once('.') {
            Some((_, "cpy" | "spec")) => path(word).display().to_string(),
            _ => (*word).to_owned(),
        })
        .collect();
    print_command(name, &path("data"), &options, ROUNDS);
}

fn main() {
    let page = |name: &str| CodePage::find(name).expect("the code page is known");
    let place = || Place::command_line("bench");
    let cobol = cobol::Settings::new("bench.cpy".to_owned(), page("cp037"), place());
    report("cobol, 263 bytes, cp037", &Format::Cobol(cobol), &orders(RECORDS), RECORDS, &["--copybook", "bench.cpy"]);
    let cobol = cobol::Settings::new("numbers.cpy".to_owned(), page("cp037"), place());
    report(
        "cobol, 160 numbers, 1.5 kB",
        &Format::Cobol(cobol),
        &numbers(),
        RECORDS / 5,
        &["--copybook", "numbers.cpy"],
    );
    let csv =
        csv::Settings { delimiter: ";".to_owned(), encoding: page("windows-1252").into(), ..csv::Settings::default() };
    report(
        "csv, 8 columns, windows-1252",
        &Format::Csv(csv),
        &customers(),
        RECORDS,
        &["--format", "csv", "--delimiter", ";", "--encoding", "windows-1252"],
    );
    let field = |name: &str, start, length| fixed_width::Field {
        name: name.to_owned(),
        start,
        length,
        record: None,
        form: fixed_width::Form::default(),
    };
    let fields = vec![
        field("sku", 0, 12),
        field("name", 12, 40),
        field("quantity", 52, 7),
        field("price", 59, 9),
        field("counted", 68, 8),
    ];
    let stock_settings = fixed_width::Settings {
        encoding: page("cp850"),
        ..fixed_width::Settings::new(fixed_width::Fields::Inline(fields))
    };
    report(
        "fixed width, 5 fields, cp850",
        &Format::FixedWidth(stock_settings),
        &stock(),
        RECORDS,
        &["--format", "fixed-width", "--spec", "stock.spec", "--encoding", "cp850"],
    );
}
