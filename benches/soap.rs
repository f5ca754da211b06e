//! How fast the answer of a SOAP service becomes NDJSON, typed by its WSDL, held against a bare scan of the same bytes by
//! quick-xml's `NsReader` in the same process.
//!
//!     scripts/peers && cargo bench --bench soap
//!     cargo bench --bench soap -- 1000        # so many thousand orders, made while they are read, and the peak of memory
//!
//! Prints MB/s of input per second of CPU, and the ratio: what the scan takes of what the decoding takes. The best of several
//! rounds counts: what disturbs a round only makes it slower. Then zeep and strong-soap, where `scripts/peers` has installed
//! them, read an answer of fewer such orders, and what we do is printed as a multiple of what they do.
//! `benches/support/soap_zeep.py FILE` and `soap_strong.js FILE` measure them on any file of such orders, which
//! `-- write FILE N` writes with its WSDL beside it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark prints, and has sound inputs"
)]

#[path = "support/installed.rs"]
mod installed;
#[path = "support/memory.rs"]
mod memory;
#[path = "support/numbers.rs"]
mod numbers;
#[path = "support/soap_peers.rs"]
mod soap_peers;

use std::hint::black_box;
use std::io::{Cursor, Read, Seek, SeekFrom};

use memory::peak;
use numbers::Numbers;
use quick_xml::NsReader;
use quick_xml::events::Event;
use tollbridge::decode::soap::{Settings, Soap};
use tollbridge::decode::{Decoder, Item, JsonOptions, Resume};
use tollbridge::wsdl::{Choice, Fetched, Settings as Import, Web, import};

const ORDERS: usize = 100_000;
const ROUNDS: usize = 7;
const WSDL: &str = include_str!("support/orders.wsdl");

struct Text;

impl Web for Text {
    fn get(&mut self, _: &str, _: u64) -> Result<Fetched, String> {
        Ok(Fetched { bytes: WSDL.as_bytes().to_vec(), charset: None })
    }
}

fn decoder() -> Decoder {
    let imported = import("http://bench/orders.wsdl", &Import::default(), &mut Text).expect("a sound WSDL");
    let plan = imported.wsdl.plan("ListOrders", &Choice::default()).expect("the operation is there");
    let record_path = Some("/ListOrdersResponse/Orders/Order".to_owned());
    let soap = Soap::new(plan, Settings { record_path, ..Settings::default() }).expect("the path is one");
    Decoder::of_soap(soap)
}

fn begin(orders: usize) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n<soap:Header/>\n<soap:Body>\n<m:ListOrdersResponse \
         xmlns:m=\"http://bench.example/orders/msg\" xmlns:o=\"http://bench.example/orders/types\">\n<m:Total>{orders}</m:Total>\n<m:Orders>\n"
    )
}

const END: &str = "</m:Orders>\n</m:ListOrdersResponse>\n</soap:Body>\n</soap:Envelope>\n";
const CITIES: [&str; 8] = ["Zürich", "Gdańsk", "Lyon", "Malmö", "Porto", "Graz", "Brno", "Cork"];
const NAMES: [&str; 6] =
    ["Smith &amp; Sons", "Müller GmbH", "ACME &lt;West&gt;", "O'Neill Ltd", "Ørsted A/S", "Foo Bar Inc"];
const STATES: [&str; 4] = ["OPEN", "SHIPPED", "CLOSED", "CANCELLED"];

fn order(number: usize, numbers: &mut Numbers) -> String {
    let lines = numbers.below(5);
    let mut out = format!("<o:Order id=\"{}\" status=\"{}\"", 1_000_000 + number, STATES[numbers.below(4) as usize]);
    out.push_str(&format!(" priority=\"{}\">", numbers.below(5)));
    out.push_str(&format!("<o:Customer type=\"{}\">", ["B", "C"][numbers.below(2) as usize]));
    out.push_str(&format!("<o:Name>{}</o:Name>", NAMES[numbers.below(6) as usize]));
    out.push_str(&format!("<o:Address><o:City>{}</o:City>", CITIES[numbers.below(8) as usize]));
    out.push_str(&format!("<o:Zip>{:05}</o:Zip></o:Address></o:Customer>", numbers.below(100_000)));
    let mut date =
        || format!("20{:02}-{:02}-{:02}", 10 + numbers.below(15), 1 + numbers.below(12), 1 + numbers.below(28));
    let created = date();
    let time = format!("{:02}:{:02}:{:02}", numbers.below(24), numbers.below(60), numbers.below(60));
    out.push_str(&format!("<o:Created>{created}T{time}Z</o:Created>"));
    out.push_str(&format!(
        "<o:Amount currency=\"EUR\">{}.{:02}</o:Amount>",
        numbers.below(100_000),
        numbers.below(100)
    ));
    out.push_str(&format!("<o:Paid>{}</o:Paid>", numbers.below(2) == 1));
    if numbers.below(3) == 0 {
        out.push_str("<o:ShippedOn xsi:nil=\"true\"/>");
    } else {
        let mut date =
            || format!("20{:02}-{:02}-{:02}", 10 + numbers.below(15), 1 + numbers.below(12), 1 + numbers.below(28));
        out.push_str(&format!("<o:ShippedOn>{}</o:ShippedOn>", date()));
    }
    if numbers.below(4) == 0 {
        out.push_str(&format!("<o:Note>line {} &amp; more</o:Note>", numbers.below(1000)));
    }
    out.push_str("<o:Lines>");
    for line in 1..=lines {
        let (sku, quantity) = (numbers.below(1_000_000), 1 + numbers.below(99));
        out.push_str(&format!("<o:Line no=\"{line}\"><o:Sku>SKU-{sku:06}</o:Sku><o:Qty>{quantity}</o:Qty></o:Line>"));
    }
    out.push_str("</o:Lines></o:Order>\n");
    out
}

fn whole(orders: usize) -> Vec<u8> {
    let mut numbers = Numbers(12345);
    let mut out = begin(orders);
    (0..orders).for_each(|number| out.push_str(&order(number, &mut numbers)));
    out.push_str(END);
    out.into_bytes()
}

/// Orders that the first piece of an answer has, which alone can be gone back to.
const FIRST: usize = 200;

/// An answer of any size that is made while it is read.
struct Made {
    orders: usize,
    number: usize,
    numbers: Numbers,
    piece: Vec<u8>,
    at: usize,
}

impl Made {
    fn new(orders: usize) -> Made {
        let mut numbers = Numbers(12345);
        let mut piece = begin(orders);
        (0..FIRST).for_each(|number| piece.push_str(&order(number, &mut numbers)));
        Made { orders, number: FIRST, numbers, piece: piece.into_bytes(), at: 0 }
    }
}

impl Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.piece.len() {
            self.piece = match self.number {
                number if number < self.orders => order(number, &mut self.numbers).into_bytes(),
                number if number == self.orders => END.as_bytes().to_vec(),
                _ => return Ok(0),
            };
            self.number += 1;
            self.at = 0;
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
            SeekFrom::Start(at) if self.number == FIRST && at <= self.piece.len() as u64 => {
                self.at = at as usize;
                Ok(at)
            }
            SeekFrom::Current(0) if self.number == FIRST => Ok(self.at as u64),
            _ => Err(std::io::Error::other("this answer is made only once")),
        }
    }
}

/// Seconds of CPU that this process has used.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|word| word.parse::<f64>().ok()).unwrap_or_default() / 1e9
}

/// Decodes everything; answers the records and the bytes of JSON.
fn decode(decoder: &Decoder, input: impl Read + Seek) -> (usize, usize) {
    let options = JsonOptions::default();
    let mut reader = decoder.reader(input, Resume::default()).expect("it has an envelope");
    let mut out = Vec::with_capacity(1 << 20);
    let (mut records, mut written) = (0, 0);
    while let Some(item) = reader.next().expect("the answer is sound") {
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

/// Looks at every event with its name resolved, and does nothing with it.
fn scan(data: &[u8]) -> usize {
    let text = std::str::from_utf8(data).expect("UTF-8");
    let mut reader = NsReader::from_str(text);
    let mut events = 0;
    loop {
        match reader.read_resolved_event().expect("sound XML") {
            (_, Event::Eof) => return events,
            (namespace, event) => {
                black_box((namespace, event));
                events += 1;
            }
        }
    }
}

fn best(mut work: impl FnMut()) -> f64 {
    let round = |_| {
        let start = cpu();
        work();
        cpu() - start
    };
    (0..ROUNDS).map(round).fold(f64::MAX, f64::min)
}

/// Writes an answer of so many orders, and its WSDL beside it.
fn write(file: &str, orders: usize) {
    std::fs::write(file, whole(orders)).expect("the file can be written");
    std::fs::write(format!("{file}.wsdl"), WSDL).expect("the file can be written");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let decoder = decoder();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["write", file, orders] => write(file, orders.parse().expect("a number")),
        [thousands] => {
            let orders = thousands.parse::<usize>().expect("a number") * 1000;
            let (records, json) = decode(&decoder, Made::new(orders));
            println!("soap: {records} orders, {} MB of JSON, at most {} MB of memory", json / 1_000_000, peak());
        }
        _ => {
            let data = whole(ORDERS);
            let (records, json) = decode(&decoder, Cursor::new(&data));
            assert_eq!(records, ORDERS, "every order is read");
            let decoding = best(|| {
                black_box(decode(&decoder, Cursor::new(&data)));
            });
            let scanning = best(|| {
                black_box(scan(&data));
            });
            let megabytes = data.len() as f64 / 1e6;
            println!("soap: quick-xml NsReader, scan alone  {:6.0} MB/s", megabytes / scanning);
            println!(
                "soap: to NDJSON by the WSDL           {:6.0} MB/s  {:5.2} of the scan; {:.1} MB of JSON of {megabytes:.1}",
                megabytes / decoding,
                scanning / decoding,
                json as f64 / 1e6
            );
            let folder = tempfile::tempdir().expect("a folder can be made");
            let answer = folder.path().join("answer.xml");
            write(answer.to_str().expect("a path in UTF-8"), soap_peers::ORDERS);
            soap_peers::compare(&answer, megabytes / decoding);
        }
    }
}
