//! How fast XML becomes JSON, and what unpacking costs.
//!
//!     cargo bench --bench containers
//!
//! Prints MB a CPU-second of input (unpacked), and ratios to work done in the same process: for XML to a bare walk over the
//! events of quick-xml, which makes nothing of them; for compressed files to the same file plain. The best of several
//! rounds counts.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and has sound inputs")]

#[path = "support/clock.rs"]
mod clock;

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{Cursor, Write};

use clock::cpu;
use tollbridge::decode::{Decoder, Format, Item, JsonOptions, Resume, csv, xml};
use tollbridge::diagnostic::Faults;

const RECORDS: usize = 60_000;
const ROUNDS: usize = 5;

/// The best CPU time of some rounds.
fn best(mut work: impl FnMut()) -> f64 {
    let round = |work: &mut dyn FnMut()| {
        let before = cpu();
        // The clock is coarse.
        (0..4).for_each(|_| work());
        (cpu() - before).as_secs_f64() / 4.0
    };
    (0..ROUNDS).map(|_| round(&mut work)).fold(f64::INFINITY, f64::min).max(0.001)
}

fn orders() -> Vec<u8> {
    let mut text =
        String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<o:Orders xmlns:o=\"urn:orders\" batch=\"7\">\n");
    for record in 0..RECORDS {
        let _ = write!(
            text,
            "  <o:Order id=\"{record}\" status=\"OP\">\n    <o:Customer><o:Name>M\u{fc}ller &amp; S\u{f6}hne</o:Name>\
             <o:City>K\u{f6}ln</o:City></o:Customer>\n    <o:Date>2026-01-02</o:Date>\n    <o:Total>{}.50</o:Total>\n",
            record % 1000
        );
        for line in 0..3 {
            let _ = writeln!(
                text,
                "    <o:Line no=\"{line}\"><o:Sku>ART-{:06}</o:Sku><o:Qty>{}</o:Qty></o:Line>",
                record * 7 % 999_983,
                record % 9
            );
        }
        text.push_str("  </o:Order>\n");
    }
    text.push_str("</o:Orders>\n");
    text.into_bytes()
}

fn table() -> Vec<u8> {
    let mut text = String::from("no;name;city;street;amount;date\n");
    for row in 0..RECORDS * 4 {
        let random = row.wrapping_mul(2_654_435_761) % 1_000_003;
        let _ = writeln!(
            text,
            "{row:08};Customer {random};Town {};Street {};{random}.{:02};2026-01-{:02}",
            row % 997,
            random % 89,
            row % 100,
            1 + row % 28
        );
    }
    text.into_bytes()
}

fn decoder(format: Format) -> Decoder {
    format.compile(&|_| None, &Faults::new()).expect("a sound layout")
}

/// Decodes to JSON; answers its length.
fn decode(decoder: &Decoder, content: &[u8]) -> usize {
    let mut reader = decoder.reader(Cursor::new(content), Resume::default()).expect("a sound file");
    let (mut out, mut total) = (Vec::new(), 0);
    while let Some(item) = reader.next().expect("a sound file") {
        if let Item::Record(record) = item {
            decoder.write_json(&record, &JsonOptions::default(), &mut out).expect("a sound record");
            out.push(b'\n');
            if out.len() > 1 << 18 {
                total += black_box(&out).len();
                out.clear();
            }
        }
    }
    total + out.len()
}

fn walk(content: &[u8]) -> usize {
    let mut reader = quick_xml::NsReader::from_reader(content);
    let (mut buffer, mut count) = (Vec::new(), 0);
    loop {
        buffer.clear();
        match reader.read_resolved_event_into(&mut buffer).expect("a sound document").1 {
            quick_xml::events::Event::Eof => return count,
            _ => count += 1,
        }
    }
}

fn main() {
    let content = orders();
    let megabytes = content.len() as f64 / 1e6;
    let bare = best(|| {
        black_box(walk(&content));
    });
    println!("xml: quick-xml events alone   {:7.0} MB/s", megabytes / bare);
    let prefixed = xml::Settings {
        namespaces: vec![("o".to_owned(), "urn:orders".to_owned())],
        ..xml::Settings::new("/o:Orders/o:Order".to_owned())
    };
    for (name, settings) in
        [("by namespace", prefixed), ("by local name", xml::Settings::new("/Orders/Order".to_owned()))]
    {
        let decoder = decoder(Format::Xml(settings));
        let time = best(|| {
            black_box(decode(&decoder, &content));
        });
        let skipped = best(|| {
            let from = Resume { offset: content.len() as u64 - 20, records: RECORDS as u64, line: 0 };
            black_box(decoder.reader(Cursor::new(&content), from).map(|reader| reader.resume_point()).ok());
        });
        println!(
            "xml: to JSON, {name:14}  {:7.0} MB/s  {:5.2} of the bare walk; passed over when resuming {:7.0} MB/s",
            megabytes / time,
            bare / time,
            megabytes / skipped
        );
    }

    let content = table();
    let megabytes = content.len() as f64 / 1e6;
    let decoder = decoder(Format::Csv(csv::Settings { delimiter: ";".to_owned(), ..csv::Settings::default() }));
    let plain = best(|| {
        black_box(decode(&decoder, &content));
    });
    println!("csv: to JSON, plain           {:7.0} MB/s", megabytes / plain);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&content).expect("memory");
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(&content).expect("memory");
    let packed = [
        ("gzip", gzip.finish().expect("memory")),
        ("zstd", zstd::encode_all(&content[..], 3).expect("memory")),
        ("bzip2", bzip2.finish().expect("memory")),
    ];
    for (name, packed) in packed {
        let whole = best(|| {
            black_box(decode(&decoder, &packed));
        });
        let unpack = best(|| decoder.verify(Cursor::new(&packed)).expect("a sound file"));
        println!(
            "csv: to JSON, {name:5}           {:7.0} MB/s  {:5.2} of plain; unpacking alone {:7.0} MB/s, {:4.1} to one",
            megabytes / whole,
            plain / whole,
            megabytes / unpack,
            content.len() as f64 / packed.len() as f64
        );
    }
}
