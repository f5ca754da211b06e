//! How fast a file of several record types becomes nested documents, and what a second core adds.
//!
//!     cargo bench --bench segments
//!
//! Records lie behind descriptor words; companies have contacts, contacts have calls. First in this process on one thread,
//! everything on (offsets, the hash of landing), in MB/s of input by the clock and of CPU, held against copying the same
//! bytes; then the command `decode` on one thread and on two, with offsets, output to nowhere, with its peak of memory. The
//! best of several rounds counts: what disturbs a round makes it dearer.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and has sound inputs")]

#[path = "support/measure.rs"]
mod measure;
mod support;

use std::hint::black_box;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use measure::{best, print_command};
use sha2::{Digest, Sha256};
use support::{Numbers, ebcdic, packed};
use tollbridge::decode::{CodePage, Decoder, Format, Item, JsonOptions, Place, Resume, cobol};
use tollbridge::diagnostic::{Faults, SourceText};

const COMPANIES: usize = 60_000;
const ROUNDS: usize = 7;

const COPYBOOK: &str = "
       01  COMPANY.
           05  SEGMENT-ID        PIC X(5).
           05  COMPANY-ID        PIC X(10).
           05  COMPANY-NAME      PIC X(15).
           05  ADDRESS           PIC X(25).
           05  TAXPAYER          PIC 9(8).
           05  TURNOVER          PIC S9(9)V99 COMP-3.
       01  CONTACT.
           05  SEGMENT-ID        PIC X(5).
           05  COMPANY-ID        PIC X(10).
           05  PHONE-NUMBER      PIC X(17).
           05  CONTACT-PERSON    PIC X(28).
       01  CALL.
           05  SEGMENT-ID        PIC X(5).
           05  CALLED-ON         PIC 9(8).
           05  MINUTES           PIC S9(4) COMP.
           05  COST              PIC S9(5)V99 COMP-3.
           05  NOTE              PIC X(40).
";

/// Companies with up to 7 contacts and those with up to 3 calls.
fn companies() -> Vec<u8> {
    let mut numbers = Numbers(17);
    let mut out = Vec::new();
    let mut record = Vec::new();
    let put = |record: &mut Vec<u8>, out: &mut Vec<u8>| {
        out.extend([((record.len() + 4) >> 8) as u8, (record.len() + 4) as u8, 0, 0]);
        out.append(record);
    };
    for company in 0..COMPANIES {
        let id = format!("{company:010}");
        ebcdic("C", 5, &mut record);
        ebcdic(&id, 10, &mut record);
        ebcdic(["ACME", "DUPONT SARL", "YAMADA KK"][numbers.below(3) as usize], 15, &mut record);
        ebcdic(&format!("{} INDUSTRIAL ROAD", 1 + numbers.below(999)), 25, &mut record);
        ebcdic(&format!("{:08}", numbers.below(100_000_000)), 8, &mut record);
        packed(numbers.below(1_000_000_000), 11, &mut record);
        put(&mut record, &mut out);
        for _ in 0..numbers.below(8) {
            ebcdic("P", 5, &mut record);
            ebcdic(&id, 10, &mut record);
            ebcdic(&format!("+{:015}", numbers.below(1_000_000_000)), 17, &mut record);
            ebcdic(["JANENE NAZIRI", "TYESHA DELENA", "MABELLE AGASSIZ"][numbers.below(3) as usize], 28, &mut record);
            put(&mut record, &mut out);
            for _ in 0..numbers.below(4) {
                ebcdic("L", 5, &mut record);
                ebcdic(&format!("2026{:02}{:02}", 1 + numbers.below(12), 1 + numbers.below(28)), 8, &mut record);
                record.extend((numbers.below(600) as u16).to_be_bytes());
                packed(numbers.below(1_000_000), 7, &mut record);
                ebcdic(
                    ["CALLED BACK", "NOBODY THERE", "ORDERED TEN MORE OF THE USUAL"][numbers.below(3) as usize],
                    40,
                    &mut record,
                );
                put(&mut record, &mut out);
            }
        }
    }
    out
}

fn decoder() -> Decoder {
    let page = CodePage::find("cp037").expect("the code page is known");
    let pair = |id: &str, record: &str| (id.to_owned(), record.to_owned());
    let below = |parent: &str, child: &str| (parent.to_owned(), vec![child.to_owned()]);
    let settings = cobol::Settings {
        framing: cobol::Framing::RdwBig,
        segments: Some(cobol::SegmentSettings {
            field: "SEGMENT-ID".to_owned(),
            map: vec![pair("C", "COMPANY"), pair("P", "CONTACT"), pair("L", "CALL")],
            children: vec![below("COMPANY", "CONTACT"), below("CONTACT", "CALL")],
            unknown: cobol::Unknown::Reject,
        }),
        ..cobol::Settings::new("bench.cpy".to_owned(), page, Place::command_line("bench"))
    };
    let source = SourceText::new(Path::new("bench.cpy"), COPYBOOK.to_owned());
    let format = Format::Cobol(settings);
    format.compile(&|_| Some(Arc::clone(&source)), &Faults::new()).expect("the layout is sound")
}

/// Decodes everything; answers the bytes of JSON.
fn decode(decoder: &Decoder, data: &[u8]) -> usize {
    let options = JsonOptions { meta: true, ..JsonOptions::default() };
    let mut hash = Sha256::new();
    data.chunks(64 << 10).for_each(|piece| hash.update(piece));
    black_box(hash.finalize());
    let mut reader = decoder.reader(Cursor::new(data), Resume::default()).expect("the data is in memory");
    let mut out = Vec::with_capacity(1 << 20);
    let mut written = 0;
    while let Some(item) = reader.next().expect("the data is in memory") {
        match item {
            Item::Record(record) => decoder.write_json(&record, &options, &mut out).expect("every record is sound"),
            Item::Reject(_) | Item::Skipped => unreachable!("every record belongs to a company"),
        }
        if out.len() > 256 << 10 {
            written += out.len();
            black_box(&out);
            out.clear();
        }
    }
    written + out.len()
}

/// Copies the input once and as many bytes as the JSON has.
fn copy(data: &[u8], json: usize) {
    let mut out = Vec::with_capacity(1 << 20);
    let mut left = json;
    for piece in data.chunks(64 << 10) {
        // The JSON has more bytes than the input, but not twice as many.
        out.extend_from_slice(piece);
        out.extend_from_slice(piece);
        out.extend_from_slice(&piece[..left.min(piece.len())]);
        left = left.saturating_sub(piece.len());
        black_box(&out);
        out.clear();
    }
}

fn main() {
    let data = companies();
    let decoder = decoder();
    let json = decode(&decoder, &data);
    let decoding = best(ROUNDS, || {
        black_box(decode(&decoder, &data));
    });
    let copying = best(ROUNDS, || copy(&data, json));
    let name = "cobol, nested, rdw, cp037";
    println!(
        "{name:<34} {} in, x{:.1} out; copying {}; ratio {:.3}",
        decoding.rates(data.len()),
        json as f64 / data.len() as f64,
        copying.rates(data.len()),
        copying.cpu.as_secs_f64() / decoding.cpu.as_secs_f64()
    );

    let folder = tempfile::tempdir().expect("there is room for the input");
    let (file, copybook) = (folder.path().join("companies.dat"), folder.path().join("bench.cpy"));
    std::fs::write(&file, data.repeat(4)).expect("there is room for the input");
    std::fs::write(&copybook, COPYBOOK).expect("there is room for the copybook");
    let mut options = vec!["--copybook".to_owned(), copybook.display().to_string()];
    let segments = "--framing rdw-be --segment-field SEGMENT-ID --segment-map C=COMPANY --segment-map P=CONTACT \
                    --segment-map L=CALL --segment-children COMPANY=CONTACT --segment-children CONTACT=CALL";
    options.extend(segments.split_whitespace().map(str::to_owned));
    print_command(name, &file, &options, ROUNDS);
}
