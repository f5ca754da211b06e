//! SIGKILL at any moment, then a restart, ends with exactly the staging of an undisturbed run.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tollbridge::record::ResourceId;
use tollbridge::staging::sqlite::{Config, SqliteStaging};
use tollbridge::staging::{DeadLetterFilter, ListQuery, Staging};

use crate::site::Site;

const MAPPING: &str = r#"
resource = "items"
version = 1
key = ["id"]
[source]
backend = "erp"
schedule = "manual"
[source.fixed_width]
files = "ITEMS*.TXT*"
encoding = "cp850"
fields = [
    { name = "ID", start = 1, length = 8 },
    { name = "NAME", start = 9, length = 24 },
    { name = "QTY", start = 33, length = 6 },
]
[fields]
id = { from = "ID" }
name = { from = "NAME" }
quantity = { from = "QTY", type = "integer" }
[serve]
filter = ["quantity"]
sort = ["id"]
"#;

/// Lines with keys in no order, some of them twice, some of them broken.
fn file(lines: u64, salt: u64) -> Vec<u8> {
    let mut content = Vec::new();
    for line in 0..lines {
        let id = (line * 7_919 + salt) % (lines * 9 / 10);
        let quantity = if line % 997 == 3 { "12X456".to_owned() } else { format!("{:06}", (line + salt) % 1_000_000) };
        content.extend(format!("{id:08}{:24}{quantity}\r\n", format!("Item {id} of {line}")).bytes());
    }
    content
}

/// Sequence, key, version, hash, and the input's path with the offset in it.
type Entry = (u64, String, u64, [u8; 16], Option<(String, u64)>);

/// Everything of the staging database that must not depend on how often the process died.
#[derive(Debug, PartialEq)]
struct Contents {
    documents: Vec<Vec<u8>>,
    feed: Vec<Entry>,
    dead: Vec<(String, u64, String, Option<String>)>,
    balance: (u64, u64, u64, u64, u64),
    files: Vec<(String, String, u64)>,
}

fn contents(site: &Site) -> Contents {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let staging = SqliteStaging::open(&site.path("var/staging.db"), &Config::default()).unwrap();
        let id: ResourceId = "items.v1".parse().unwrap();
        let mut documents = Vec::new();
        let mut query = ListQuery { limit: 5000, ..ListQuery::default() };
        loop {
            let page = staging.list(&id, query.clone()).await.unwrap();
            documents.extend(page.rows.iter().map(<[u8]>::to_vec));
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
        let changes = staging.feed(&id, 0, usize::MAX >> 1).await.unwrap().changes;
        let feed = changes.iter().map(|c| {
            (
                c.sequence,
                c.key.clone(),
                c.version,
                c.hash.0,
                c.input.as_ref().map(|input| (input.path.clone(), input.position.offset)),
            )
        });
        let filter = DeadLetterFilter { limit: 100_000, ..DeadLetterFilter::default() };
        let mut dead: Vec<_> = staging
            .dead_letters(&filter)
            .await
            .unwrap()
            .into_iter()
            .map(|d| (d.path, d.reject.position.offset, d.reject.code.as_str().to_owned(), d.reject.field))
            .collect();
        dead.sort();
        let mut balance = (0, 0, 0, 0, 0);
        for run in staging.runs(Some(&id), 1000).await.unwrap() {
            let b = run.balance;
            assert!(b.holds(), "{run:?}");
            balance = (
                balance.0 + b.read,
                balance.1 + b.staged,
                balance.2 + b.unchanged,
                balance.3 + b.dead,
                balance.4 + b.skipped,
            );
        }
        let mut files: Vec<_> = staging
            .files(Some(&id), 100)
            .await
            .unwrap()
            .into_iter()
            .map(|f| (f.path, f.state.as_str().to_owned(), f.checkpoint.records))
            .collect();
        files.sort();
        Contents { documents, feed: feed.collect(), dead, balance, files }
    })
}

fn site() -> Site {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    site.deliver("ITEMS1.TXT", &file(30_000, 1));
    site.deliver("ITEMS2.TXT.gz", &gzip(&file(20_000, 2)));
    site
}

/// In members of odd lengths, so that records lie across them.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    for part in content.chunks(100_001) {
        let mut member = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::default());
        member.write_all(part).unwrap();
        member.finish().unwrap();
    }
    packed
}

/// The same items, each with lines below it: orders of several record types, some of them broken, with what belongs to
/// none between them.
const NESTED: &str = r#"
segment_field = "KIND"
segment_map = { I = "ITEM", L = "LINE" }
segment_children = { ITEM = "LINE" }
controls = [{ sequence = "ITEM.SEQ" }]
fields = [
    { name = "KIND", start = 1, length = 1 },
    { name = "ID", start = 2, length = 8, record = "ITEM" },
    { name = "NAME", start = 10, length = 24, record = "ITEM" },
    { name = "QTY", start = 34, length = 6, record = "ITEM" },
    { name = "SEQ", start = 40, length = 6, record = "ITEM" },
    { name = "PART", start = 2, length = 6, record = "LINE" },
]
[fields]
parts = { from = "LINE", each = { part = { from = "PART" } } }
"#;

fn nested_site() -> Site {
    let (head, rest) = MAPPING.split_once("fields = [").unwrap();
    let (_, fields) = rest.split_once("[fields]\n").unwrap();
    let site = Site::with_mappings(&[("items.v1.toml", &format!("{head}{NESTED}{fields}"))]);
    for (name, lines, salt) in [("ITEMS1.TXT", 30_000, 1), ("ITEMS2.TXT.gz", 20_000, 2)] {
        let mut content = Vec::new();
        // What comes first belongs to no item, and what has no type stands behind one.
        content.extend_from_slice(b"L000000\r\n");
        for (number, line) in file(lines, salt).split_inclusive(|byte| *byte == b'\n').enumerate() {
            let item = line.strip_suffix(b"\r\n").unwrap();
            content.extend([b"I", item, format!("{number:06}\r\n").as_bytes()].concat());
            (0..number % 3).for_each(|part| content.extend(format!("L{part:06}\r\n").bytes()));
            if number % 4_999 == 7 {
                content.extend_from_slice(b"?\r\n");
            }
        }
        site.deliver(name, &if name.ends_with(".gz") { gzip(&content) } else { content });
    }
    site
}

#[test]
fn killed_at_twenty_random_moments_it_ends_as_if_undisturbed() {
    kill(site, 50_000);
}

#[test]
fn killed_in_the_middle_of_documents_it_ends_as_if_undisturbed() {
    // Beside the items one orphan a file, six and four records of no type.
    kill(nested_site, 50_000 + 2 + 6 + 4);
}

fn kill(site: fn() -> Site, read: u64) {
    let calm = site();
    let started = Instant::now();
    let ran = calm.run(&["sync", "items"]);
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
    let whole = started.elapsed();
    let expected = contents(&calm);
    assert_eq!(expected.balance.0, read);

    // The moments are spread over the time that the run takes in all, by a generator whose seed is shown.
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    let mut random = seed;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below.max(1)
    };
    let mut killed = 0;
    let mut disturbed = site();
    while killed < 20 {
        let mut child =
            disturbed.command(&["sync", "items"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // A third of the moments lie in the first steps, where files are claimed and runs begun.
        let reach = if next(3) == 0 { whole / 8 } else { whole };
        std::thread::sleep(Duration::from_micros(next(reach.as_micros() as u64)));
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        killed += u32::from(ended.is_none());
        if ended.is_some() {
            // It came to its end in spite of all: compare, and go on with a fresh one.
            assert_eq!(contents(&disturbed), expected, "seed {seed}");
            disturbed = site();
        }
    }
    disturbed.run(&["sync", "items"]);
    assert_eq!(contents(&disturbed), expected, "seed {seed}");
    assert_eq!(disturbed.listing("inbox"), Vec::<String>::new());
    assert_eq!(disturbed.listing("archive"), ["ITEMS1.TXT", "ITEMS2.TXT.gz"]);
}
