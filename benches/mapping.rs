//! What mapping costs on top of decoding: nanoseconds a record, on the orders of the documents' fixture (263
//! bytes, 24 fields, EBCDIC) repeated in memory. The ratio is mapping against decoding the same records to JSON
//! in the same process.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, run by hand")]

use std::fs;
use std::hint::black_box;
use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use tollbridge::decode::{Decoder, Item, JsonOptions, Resume};
use tollbridge::diagnostic::{Faults, SourceText};
use tollbridge::mapping::{self, Mapped, Plan};
use tollbridge::record::RawRecord;

const RECORDS: usize = 100_000;
const LENGTH: usize = 263;

fn plan(folder: &Path) -> Plan {
    let read = |name: &str| Some(SourceText::new(Path::new(name), fs::read_to_string(folder.join(name)).ok()?));
    let source = read("orders.toml").unwrap();
    let faults = Faults::new();
    mapping::compile(&source, &read, &faults).unwrap()
}

/// The best of five: what the machine can do when nobody disturbs it.
fn measure(decoder: &Decoder, input: &[u8], mut work: impl FnMut(&RawRecord<'_>)) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let started = Instant::now();
        let mut reader = decoder.reader(Cursor::new(input), Resume::default()).unwrap();
        while let Some(item) = reader.next().unwrap() {
            if let Item::Record(record) = item {
                work(&record);
            }
        }
        best = best.min(started.elapsed());
    }
    best
}

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/mapping/documents");
    let plan = plan(&folder);
    // The first record of the fixture is sound.
    let record = fs::read(folder.join("orders.dat")).unwrap()[..LENGTH].to_vec();
    let input = record.repeat(RECORDS);

    let framing = measure(&plan.decoder, &input, |record| {
        black_box(record.raw);
    });
    let mut out = Vec::new();
    let json = measure(&plan.decoder, &input, |record| {
        out.clear();
        plan.decoder.write_json(record, &JsonOptions::default(), &mut out).unwrap();
        black_box(&out);
    });
    let mut mapper = plan.mapper();
    let mapped = measure(&plan.decoder, &input, |record| {
        let mapped = mapper.map(record);
        assert!(matches!(mapped, Mapped::Document(_)));
        black_box(mapped);
    });
    let nanos = |time: Duration| time.as_nanos() as f64 / RECORDS as f64;
    println!("framing alone          {:8.0} ns a record", nanos(framing));
    println!("decode to JSON         {:8.0} ns a record", nanos(json));
    println!("decode and map         {:8.0} ns a record", nanos(mapped));
    println!("mapping / decoding     {:8.2}", nanos(mapped) / nanos(json));
}
