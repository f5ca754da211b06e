//! How fast messages of X12 and EDIFACT become JSON, held against copying the same bytes in the same process.
//!
//!     cargo bench --bench edi
//!     cargo bench --bench edi -- 1000        # so many MB of each, made while they are read, and the peak of memory
//!
//! Everything is on: control numbers and counts are checked as always, JSON has each message's offset and length, and the
//! input is hashed as landing does it. Prints MB/s of input by the clock and of CPU and, because machines differ, the ratio
//! to a loop that copies each message's bytes and as many bytes as its JSON has. Then the command, with its peak of memory.
//! The best of several rounds counts: what disturbs a round only makes it slower.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and has sound inputs"
)]

#[path = "support/clock.rs"]
mod clock;
#[path = "support/measure.rs"]
mod measure;
#[path = "support/memory.rs"]
mod memory;
#[path = "support/numbers.rs"]
mod numbers;

use std::hint::black_box;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use clock::cpu;
use measure::{best, print_command};
use memory::peak;
use numbers::Numbers;
use sha2::{Digest, Sha256};
use tollbridge::decode::{Decoder, Format, Item, JsonOptions, Place, Resume, edi, idoc};
use tollbridge::diagnostic::{Faults, SourceText};

const MESSAGES: usize = 20_000;
const ROUNDS: usize = 5;
/// As many as the command reads: the kernel counts its time in hundredths of a second.
const MOST_MESSAGES: usize = 5 * MESSAGES;

const SCHEMA: &str = include_str!("../fixtures/edi/850.toml");
const LIST: &str = "E2EDK01005 E1EDK01\n ACTION 3\n KZABS 1\n CURCY 3\n BELNR 35\nE2EDP01007 E1EDP01\n POSEX 6\n MENGE 15\n VPREI 15\nE2EDP19002 E1EDP19\n QUALF 3\n IDTNR 35\n KTEXT 70\n";

/// One file of messages, made piece by piece.
#[derive(Clone, Copy)]
struct Shape {
    begin: fn() -> String,
    /// A message by its number, from 1.
    message: fn(usize, &mut Numbers) -> String,
    end: fn(usize) -> String,
}

const X12: Shape = Shape {
    begin: || {
        let isa = "ISA*00*          *00*          *ZZ*SENDER         *14*5412345000013  *261031*0102*U*00401*000000905*0*P*>~\n";
        format!("{isa}GS*PO*SENDER*RECEIVER*20261031*0102*77*X*004010~\n")
    },
    message: |number, numbers| {
        let mut body =
            format!("ST*850*{number:06}~\nBEG*00*SA*PO-{number:08}**20261031~\nREF*DP*{:03}~\n", numbers.below(999));
        body.push_str("N1*BT*Mueller & Soehne GmbH*9*5412345000013~\nN3*Industriestrasse 17~\nN4*Springfield*IL*62701*US~\nN1*ST*Dock 7~\n");
        let lines = 1 + numbers.below(12);
        for line in 1..=lines {
            let (quantity, cents, sku) = (1 + numbers.below(500), numbers.below(100_000), numbers.below(1_000_000_000));
            body.push_str(&format!(
                "PO1*{line}*{quantity}*EA*{}.{:02}**VN*SKU{sku:09}*UP*{:012}~\n",
                cents / 100,
                cents % 100,
                sku * 7
            ));
            body.push_str("PID*F****Socket head cap screw M6x20, zinc plated~\n");
        }
        let segments = 9 + 2 * lines;
        body.push_str(&format!("CTT*{lines}~\nSE*{segments}*{number:06}~\n"));
        body
    },
    end: |messages| format!("GE*{messages}*77~\nIEA*1*000000905~\n"),
};

const EDIFACT: Shape = Shape {
    begin: || "UNA:+.? '\r\nUNB+UNOC:3+5412345000013:14+4012345000023:14+261031:1002+REF1'\r\n".to_owned(),
    message: |number, numbers| {
        let mut body =
            format!("UNH+{number}+ORDERS:D:96A:UN:EAN008'\r\nBGM+220+PO{number:08}+9'\r\nDTM+137:20261031:102'\r\n");
        body.push_str("NAD+BY+5412345000013::9++Mueller ?+ Soehne:GmbH+Industriestrasse 17+Springfield++62701+US'\r\n");
        let lines = 1 + numbers.below(12);
        for line in 1..=lines {
            let (quantity, cents, sku) = (1 + numbers.below(500), numbers.below(100_000), numbers.below(1_000_000_000));
            body.push_str(&format!("LIN+{line}++{:013}:EN'\r\nPIA+1+SKU{sku:09}:SA'\r\n", sku * 7));
            body.push_str("IMD+F++:::Socket head cap screw M6x20'\r\n");
            body.push_str(&format!("QTY+21:{quantity}:PCE'\r\nPRI+AAA:{}.{:02}'\r\n", cents / 100, cents % 100));
        }
        body.push_str(&format!("UNS+S'\r\nUNT+{}+{number}'\r\n", 6 + 5 * lines));
        body
    },
    end: |messages| format!("UNZ+{messages}+REF1'\r\n"),
};

const FLAT: Shape = Shape {
    begin: String::new,
    message: |number, numbers| {
        let mut body = format!("{:<10}800{number:016}{:<495}\n", "EDI_DC40", "740 3012  ORDERS05");
        let mut segment = |name: &str, own: usize, parent: usize, level: usize, data: &str| {
            body.push_str(&format!("{name:<30}800{number:016}{own:06}{parent:06}{level:02}{data:<1000}\n"));
        };
        segment("E2EDK01005", 1, 0, 1, &format!("000XEUR45{number:08}"));
        let lines = 1 + numbers.below(4) as usize;
        for line in 0..lines {
            segment(
                "E2EDP01007",
                2 + 2 * line,
                0,
                1,
                &format!("{line:06}{:>15}{:>15}", numbers.below(500), numbers.below(99_999)),
            );
            segment(
                "E2EDP19002",
                3 + 2 * line,
                2 + 2 * line,
                2,
                &format!("001{:<35}{:<70}", format!("SKU{line:09}"), "Socket head cap screw M6x20"),
            );
        }
        body
    },
    end: |_| String::new(),
};

impl Shape {
    fn whole(self, messages: usize) -> Vec<u8> {
        let mut numbers = Numbers(7);
        let mut out = (self.begin)();
        (1..=messages).for_each(|number| out.push_str(&(self.message)(number, &mut numbers)));
        out.push_str(&(self.end)(messages));
        out.into_bytes()
    }
}

/// A file of any size that is made while it is read. It can only be read from its start.
struct Made {
    shape: Shape,
    numbers: Numbers,
    messages: usize,
    number: usize,
    piece: Vec<u8>,
    at: usize,
}

impl Made {
    fn new(shape: Shape, messages: usize) -> Made {
        Made { shape, numbers: Numbers(7), messages, number: 0, piece: (shape.begin)().into_bytes(), at: 0 }
    }
}

impl Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.piece.len() {
            self.number += 1;
            self.at = 0;
            self.piece = match self.number {
                number if number <= self.messages => (self.shape.message)(number, &mut self.numbers).into_bytes(),
                number if number == self.messages + 1 => (self.shape.end)(self.messages).into_bytes(),
                _ => return Ok(0),
            };
            if self.piece.is_empty() {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

impl Seek for Made {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        match to {
            SeekFrom::Start(0) if self.number == 0 && self.at == 0 => Ok(0),
            _ => Err(std::io::Error::other("this file is made only once")),
        }
    }
}

/// Decodes everything; answers the records and the bytes of JSON.
fn decode(decoder: &Decoder, input: impl Read + Seek) -> (usize, usize) {
    let options = JsonOptions { meta: true, ..JsonOptions::default() };
    let mut reader = decoder.reader(input, Resume::default()).expect("the data has a header");
    let mut out = Vec::with_capacity(1 << 20);
    let (mut records, mut written) = (0, 0);
    while let Some(item) = reader.next().expect("the data is in memory") {
        match item {
            Item::Record(record) => {
                decoder.write_json(&record, &options, &mut out).expect("the record is good");
                records += 1;
            }
            Item::Reject(reject) => panic!("{}", reject.sentence()),
            Item::Skipped => {}
        }
        out.push(b'\n');
        if out.len() > 256 << 10 {
            written += out.len();
            black_box(&out);
            out.clear();
        }
    }
    (records, written + out.len())
}

/// Copies the input and as much as the JSON, message by message.
fn copy(data: &[u8], json: usize) {
    let per_record = vec![b'x'; json / MESSAGES];
    let (mut input, mut out) = (Vec::with_capacity(1 << 20), Vec::with_capacity(1 << 20));
    for bytes in data.chunks(data.len() / MESSAGES) {
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

/// As landing does it while it copies.
fn hash(data: &[u8]) {
    let mut hash = Sha256::new();
    data.chunks(64 << 10).for_each(|piece| hash.update(piece));
    black_box(hash.finalize());
}

fn report(name: &str, decoder: &Decoder, shape: Shape, options: &[&str]) {
    let data = shape.whole(MESSAGES);
    let (records, json) = decode(decoder, Cursor::new(&data));
    assert_eq!(records, MESSAGES, "every message is read");
    let decoding = best(ROUNDS, || {
        hash(&data);
        decode(decoder, Cursor::new(&data));
    });
    let copying = best(ROUNDS, || copy(&data, json));
    println!(
        "{name:<34} {} in, x{:.1} out; copying {}; ratio {:.3}",
        decoding.rates(data.len()),
        json as f64 / data.len() as f64,
        copying.rates(data.len()),
        copying.cpu.as_secs_f64() / decoding.cpu.as_secs_f64()
    );
    let folder = tempfile::tempdir().expect("there is room for the input");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("850.toml"), SCHEMA).expect("there is room for the schema");
    std::fs::write(path("list.txt"), LIST).expect("there is room for the list");
    std::fs::write(path("data"), shape.whole(MOST_MESSAGES)).expect("there is room for the input");
    let options: Vec<String> = options
        .iter()
        .map(|word| if word.contains('.') { path(word).display().to_string() } else { (*word).to_owned() })
        .collect();
    print_command(name, &path("data"), &options, ROUNDS);
}

/// Reads so many MB that are made on the way; the time of making them is taken off.
fn large(name: &str, decoder: &Decoder, shape: Shape, megabytes: usize) {
    let sample = shape.whole(1000).len();
    // A trailer counts messages in six digits.
    let messages = (megabytes * 1_000_000 / (sample / 1000)).min(999_999);
    let start = cpu();
    let bytes = std::io::copy(&mut Made::new(shape, messages), &mut std::io::sink()).expect("nothing fails");
    let making = (cpu() - start).as_secs_f64();
    let start = cpu();
    let (records, _) = decode(decoder, Made::new(shape, messages));
    let decoding = (cpu() - start).as_secs_f64() - making;
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{name:<34} {megabytes:>6.0} MB, {records} records: {:>6.0} MB/s of CPU; peak of memory {} MB",
        megabytes / decoding,
        peak()
    );
}

fn main() {
    let compile = |format: Format| {
        let texts = |path: &str| {
            let text = if path == "850.toml" { SCHEMA } else { LIST };
            Some(Arc::clone(&SourceText::new(Path::new(path), text.to_owned())))
        };
        format.compile(&texts, &Faults::new()).expect("the layout is sound")
    };
    let generic = compile(Format::Edi(edi::Settings::default()));
    let place = Place::command_line("bench");
    let schema = edi::Settings { schema: Some(("850.toml".to_owned(), place.clone())), ..edi::Settings::default() };
    let schema = compile(Format::Edi(schema));
    let idoc = compile(Format::Idoc(idoc::Settings {
        segments: Some(("list".to_owned(), place)),
        ..idoc::Settings::default()
    }));
    let all = [
        ("X12, generic", &generic, X12, &["--format", "edi"][..]),
        ("EDIFACT, generic", &generic, EDIFACT, &["--format", "edi"]),
        ("X12, by a schema", &schema, X12, &["--format", "edi", "--schema", "850.toml"]),
        ("IDoc, flat, by a list", &idoc, FLAT, &["--format", "idoc", "--segments", "list.txt"]),
    ];
    match std::env::args().skip(1).find_map(|argument| argument.parse().ok()) {
        Some(megabytes) => all.into_iter().for_each(|(name, decoder, shape, _)| large(name, decoder, shape, megabytes)),
        None => {
            all.into_iter().for_each(|(name, decoder, shape, options)| report(name, decoder, shape, options));
        }
    }
}
