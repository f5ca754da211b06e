//! How fast rows become JSON and JSON rows, held against copying the same bytes in the same process; and what a second
//! thread adds.
//!
//!     cargo bench --bench csv
//!
//! Rates are MB of the file per second of this thread's own processor time, over several rounds, so that a busy machine
//! matters less. What two threads add is told by the clock in the best of several rounds, and needs two idle cores to
//! mean anything.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and has sound inputs")]

use std::hint::black_box;
use std::io::Cursor;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use tollbridge::decode::csv::{Charset, Settings};
use tollbridge::decode::{Decoder, Format, Item, Json, JsonOptions, Reader, Resume, fixed_width};
use tollbridge::diagnostic::Faults;

const ROWS: usize = 200_000;
const ROUNDS: u32 = 7;
const PART: usize = 256 << 10;

/// Customers as an old system writes them: semicolons, decimal commas, some quotes and line ends in cells.
fn customers() -> String {
    let mut text = "CUSTNO;NAME;STREET;ZIP;CITY;SINCE;BALANCE;BLOCKED\r\n".to_owned();
    let names = ["Jürgen Müller", "Zoë Lefèvre", "José Núñez", "Anna Smith", "Søren Ångström"];
    let cities = ["Köln", "Zürich", "Málaga", "Oslo"];
    for row in 0..ROWS {
        let name = names[row % 5];
        let name = if row % 50 == 0 { format!("\"{name} \"\"the old\"\"; son\"") } else { name.to_owned() };
        let street = format!("{} Rue de l'Église", row % 399 + 1);
        let street = if row % 200 == 0 { format!("\"{street}\n2nd floor\"") } else { street };
        let (zip, city) = (row * 7919 % 98_999 + 1000, cities[row % 4]);
        let (month, day) = (row % 12 + 1, row % 28 + 1);
        text +=
            &format!("{row:08};{name};{street};{zip:05};{city};2019{month:02}{day:02};{},50;N\r\n", row * 31 % 999_999);
    }
    text
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the kernel keeps schedstat"))
}

/// Processor time of one round. The kernel counts it in steps of a few milliseconds, so several are measured as one.
fn busy(mut work: impl FnMut()) -> Duration {
    work();
    let start = processor_time();
    (0..ROUNDS).for_each(|_| work());
    (processor_time() - start) / ROUNDS
}

/// Time of the best round by the clock.
fn wall(mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}

fn compile(format: &Format) -> Decoder {
    format.compile(&|_| None, &Faults::new()).expect("the layout is sound")
}

fn open<'a>(decoder: &Decoder, data: &'a [u8]) -> Reader<Cursor<&'a [u8]>> {
    decoder.reader(Cursor::new(data), Resume::default()).expect("the data has a header")
}

/// What becomes of JSON that is only measured.
fn seen(piece: &[u8]) {
    black_box(piece.len());
}

/// Decodes everything; hands the JSON on in pieces.
fn decode(decoder: &Decoder, data: &[u8], mut piece: impl FnMut(&[u8])) {
    let (mut reader, mut out) = (open(decoder, data), Vec::with_capacity(2 * PART));
    while let Some(item) = reader.next().expect("the data is in memory") {
        let Item::Record(record) = item else { continue };
        decoder.write_json(&record, &JsonOptions::default(), &mut out).expect("the record is good");
        out.push(b'\n');
        if out.len() > PART {
            piece(&out);
            out.clear();
        }
    }
    piece(&out);
}

/// Decodes everything on so many threads, which take parts of the file in turn.
fn decode_on_threads(decoder: &Decoder, data: &[u8], threads: usize) {
    let mut reader = open(decoder, data);
    let detached = decoder.detached(&reader).expect("rows are written from their own bytes");
    std::thread::scope(|scope| {
        let mut inboxes = Vec::new();
        for _ in 0..threads {
            let (inbox, parts) = sync_channel(2);
            let detached = detached.clone();
            scope.spawn(move || {
                let (mut out, mut rejects) = (Vec::new(), Vec::new());
                for part in parts {
                    out.clear();
                    detached
                        .write_stretch(part, &JsonOptions::default(), &mut out, &mut rejects)
                        .expect("it is in memory");
                    black_box(&out);
                }
            });
            inboxes.push(inbox);
        }
        let mut turn = inboxes.iter().cycle();
        while let Some(part) = reader.stretch(PART, &JsonOptions::default()).expect("the data is in memory") {
            turn.next().expect("there are threads").send(part).expect("the thread lives");
        }
    });
}

fn report(name: &str, format: &Format, data: &[u8]) {
    let decoder = compile(format);
    let mut json = Vec::new();
    decode(&decoder, data, |piece| json.extend_from_slice(piece));
    let decoding = busy(|| decode(&decoder, data, seen));
    let mut copy = Vec::with_capacity(json.len() + data.len());
    let copying = busy(|| {
        copy.clear();
        copy.extend_from_slice(data);
        copy.extend_from_slice(&json);
        black_box(&copy);
    });
    let lines: Vec<&str> = std::str::from_utf8(&json).expect("JSON is UTF-8").lines().collect();
    let mut file = Vec::with_capacity(data.len() + 1024);
    let encoding = busy(|| {
        file.clear();
        let mut encoder = decoder.encoder().expect("it can be written");
        for line in &lines {
            let record = Json::parse(line).expect("the line is JSON");
            encoder.record(&record, &mut file).expect("the record fits");
        }
        encoder.finish(&mut file).expect("the file can be ended");
    });
    assert!(file == data, "{name}: what was decoded is not encoded as it was");
    let rate = |time: Duration| data.len() as f64 / 1e6 / time.as_secs_f64();
    let ratio = copying.as_secs_f64() / decoding.as_secs_f64();
    let (decode, encode) = (rate(decoding), rate(encoding));
    println!("{name:<28} decode {decode:>5.0} MB/s of the file, {ratio:.3} of copying; encode {encode:>5.0} MB/s");
}

fn main() {
    let text = customers();
    let csv = |name: &str| {
        let encoding = Charset::find(name).expect("the encoding is known");
        Format::Csv(Settings { encoding, delimiter: ";".to_owned(), ..Settings::default() })
    };
    let latin: Vec<u8> = text.chars().map(|char| u8::try_from(u32::from(char)).expect("it is in Latin-1")).collect();
    report("csv, windows-1252", &csv("windows-1252"), &latin);
    report("csv, utf-8", &csv("utf-8"), text.as_bytes());
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    report("csv, utf-16le", &csv("utf-16le"), &utf16);
    let bars = text.replace(';', "||");
    let wide = Settings { delimiter: "||".to_owned(), ..Settings::default() };
    report("csv, `||` between cells", &Format::Csv(wide), bars.replace("|| son", "; son").as_bytes());

    let field = |name: &str, start, length| fixed_width::Field {
        name: name.to_owned(),
        start,
        length,
        record: None,
        form: fixed_width::Form::default(),
    };
    let fields = vec![field("NO", 0, 8), field("NAME", 8, 40), field("ZIP", 48, 8), field("SINCE", 56, 8)];
    let lines: String =
        (0..ROWS).map(|row| format!("{row:08}{:<40}{:<8}20190131\r\n", "Jürgen Müller", row % 98_999)).collect();
    let lines: Vec<u8> = lines.chars().map(|char| u8::try_from(u32::from(char)).expect("it is in Latin-1")).collect();
    let page = tollbridge::decode::CodePage::find("windows-1252").expect("the code page is known");
    let settings = fixed_width::Settings::new(fixed_width::Fields::Inline(fields));
    report(
        "fixed width, windows-1252",
        &Format::FixedWidth(fixed_width::Settings { encoding: page, ..settings }),
        &lines,
    );

    let decoder = compile(&csv("windows-1252"));
    let [one, two] = [1, 2].map(|threads| wall(|| decode_on_threads(&decoder, &latin, threads)));
    let times = one.as_secs_f64() / two.as_secs_f64();
    println!("csv on two threads           {times:.2} times as fast as on one, which another one feeds");
    let alone = wall(|| decode(&decoder, &latin, seen));
    println!("                             {:.2} times as fast as all in one", alone.as_secs_f64() / two.as_secs_f64());
}
