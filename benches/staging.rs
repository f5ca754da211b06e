//! The staging database against a bare rusqlite loop on the same payloads, beside it in the same process.
//!
//! `cargo bench --bench staging [rows] [rounds]`. Every figure is a rate, and a ratio to the bare loop; the two take
//! turns, and the median of the rounds is printed. `cpu` is the same ratio in CPU time of the whole process, which
//! also counts what other threads do (sorting, copying the log). `ONLY="ordered keys, 2"` measures a part.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for the one who measures")]

use std::sync::Arc;

use rusqlite::Connection;
use tollbridge::record::{BlobId, ContentHash, Document, Position, ResourceId};
use tollbridge::staging::sqlite::{Config, SqliteStaging};
use tollbridge::staging::{
    Batch, Checkpoint, ColumnType, Comparison, FileState, Filter, IndexedField, ListQuery, ResourceSpec, Scalar,
    SortKey, Staging,
};

#[path = "support/bare.rs"]
mod bare;

use bare::{BATCH, Clock, Spent};

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let rows = numbers.first().copied().unwrap_or(300_000);
    let rounds = numbers.get(1).copied().unwrap_or(3);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();

    println!("{rows} documents of about 700 bytes, {BATCH} a transaction; rows/s, median of {rounds}");
    println!("{:52} {:>10} {:>10} {:>7} {:>7}", "", "staging", "bare", "ratio", "cpu");
    let only = std::env::var("ONLY").unwrap_or_default();
    for (shuffled, order) in [(true, "random keys"), (false, "ordered keys")] {
        for fields in [0, 2] {
            if !format!("{order}, {fields} indexed").contains(&only) {
                continue;
            }
            let mut rounds_of: [Vec<Pair>; 6] = Default::default();
            for _ in 0..rounds {
                let measured = runtime.block_on(write_round(rows, shuffled, fields));
                for (kept, pair) in rounds_of.iter_mut().zip(measured) {
                    kept.push(pair);
                }
            }
            let passes = ["all new", "10% changed", "none changed"];
            let against = ["", ", bare indexed too"];
            for (n, pairs) in rounds_of.into_iter().enumerate().filter(|(n, _)| *n < 3 || fields > 0) {
                report(&format!("{order}, {fields} indexed: {}{}", passes[n % 3], against[n / 3]), rows, pairs);
            }
        }
    }
    println!("\nreads/s");
    runtime.block_on(reads(rows.min(300_000), rounds));
}

#[derive(Clone, Copy, Default)]
struct Pair {
    staging: Spent,
    bare: Spent,
}

fn report(what: &str, count: usize, mut pairs: Vec<Pair>) {
    let ratio = |pair: &Pair| pair.bare.wall.as_secs_f64() / pair.staging.wall.as_secs_f64();
    pairs.sort_by(|one, other| ratio(one).total_cmp(&ratio(other)));
    let median = pairs[pairs.len() / 2];
    let rate = |spent: Spent| count as f64 / spent.wall.as_secs_f64();
    let cpu = median.bare.cpu.as_secs_f64() / median.staging.cpu.as_secs_f64();
    let (staging, bare) = (rate(median.staging), rate(median.bare));
    println!("{what:52} {staging:>10.0} {bare:>10.0} {:>6.0}% {:>6.0}%", ratio(&median) * 100.0, cpu * 100.0);
}

/// Documents in file order; every tenth differs from round to round.
fn documents(rows: usize, shuffled: bool, changed: bool) -> Vec<Document> {
    let row = |n: usize| {
        // A permutation of 0..2^32 that looks random (an odd factor).
        let number = if shuffled { (n as u32).wrapping_mul(2_654_435_761) } else { n as u32 };
        let key = format!("{number:010}");
        let status = ["open", "closed", "held"][n % 3];
        let edition = usize::from(changed && n.is_multiple_of(10));
        let filler = "Ersatzteil für Kreiselpumpe, Baureihe 7; ".repeat(11);
        let payload = format!(
            r#"{{"order_no":"{key}","ordered_on":"2026-{:02}-{:02}","amount":"{}.{:02}","status":"{status}","edition":{edition},"customer":{{"name":"Müller & Söhne KG","crm_id":"C{:06}"}},"lines":[{{"sku":"A-{}","quantity":{}}}],"note":"{filler}"}}"#,
            n % 12 + 1,
            n % 28 + 1,
            n % 100_000,
            n % 100,
            n % 50_000,
            n % 977,
            n % 13,
        );
        let position = Position { record: n as u64 + 1, offset: n as u64 * 300, length: 300, line: None };
        let payload = payload.into_bytes();
        Document { key, hash: ContentHash::of(&payload), payload, position }
    };
    (0..rows).map(row).collect()
}

fn spec(fields: usize) -> ResourceSpec {
    let fields =
        [("ordered_on", ColumnType::Text), ("amount", ColumnType::ScaledInteger { scale: 2 })].into_iter().take(fields);
    let indexed = fields.map(|(path, column)| IndexedField { path: path.to_owned(), column }).collect();
    ResourceSpec { id: ResourceId::new("orders", 1).unwrap(), indexed, bounds: Vec::new() }
}

/// Keys and payloads, for the bare loop.
fn rows_of(documents: &[Document]) -> impl Iterator<Item = (&str, &str)> {
    documents.iter().map(|document| (document.key.as_str(), std::str::from_utf8(&document.payload).unwrap()))
}

async fn staging_write(staging: &Arc<dyn Staging>, id: &ResourceId, content: u8, documents: &[Document]) -> Spent {
    let run = staging.begin_run(id, "command", "hash").await.unwrap();
    let blob = BlobId([content; 32]);
    let file = staging.claim_file(id, &format!("ORD{content}"), 1, blob).await.unwrap().id;
    let mut checkpoint = Checkpoint::default();
    let mut batches = Vec::new();
    for batch in documents.chunks(BATCH) {
        checkpoint =
            Checkpoint { offset: checkpoint.offset + 1, records: checkpoint.records + batch.len() as u64, line: 0 };
        batches.push(Batch {
            run: run.clone(),
            resource: id.clone(),
            file,
            blob,
            documents: batch.to_vec(),
            rejects: Vec::new(),
            skipped: 0,
            refused: 0,
            checkpoint,
            file_state: FileState::Claimed,
            resolves: None,
            deletions: Vec::new(),
            source: None,
            snapshot: None,
            keyless: 0,
            is_keyed: false,
            once: None,
        });
    }
    let clock = Clock::start();
    for batch in batches {
        staging.commit(batch).await.unwrap();
    }
    clock.stop()
}

async fn write_round(rows: usize, shuffled: bool, fields: usize) -> [Pair; 6] {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let staging: Arc<dyn Staging> =
        Arc::new(SqliteStaging::open(&folder.path().join("staging.db"), &Config::default()).unwrap());
    let spec = spec(fields);
    staging.prepare(&spec).await.unwrap();
    let mut bare = bare::database(&folder.path().join("bare.db"), 0);
    let mut bare_indexed = bare::database(&folder.path().join("bare_indexed.db"), fields);

    let (first, second) = (documents(rows, shuffled, false), documents(rows, shuffled, true));
    let mut pairs = [Pair::default(); 6];
    for (pass, documents) in [&first, &second, &second].into_iter().enumerate() {
        pairs[pass].staging = staging_write(&staging, &spec.id, pass as u8, documents).await;
        pairs[pass].bare = bare::write(&mut bare, rows_of(documents));
        let staging = pairs[pass].staging;
        if fields > 0 {
            pairs[pass + 3] = Pair { staging, bare: bare::write(&mut bare_indexed, rows_of(documents)) };
        }
    }
    pairs
}

async fn reads(rows: usize, rounds: usize) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let staging: Arc<dyn Staging> =
        Arc::new(SqliteStaging::open(&folder.path().join("staging.db"), &Config::default()).unwrap());
    let spec = spec(2);
    let id = &spec.id;
    staging.prepare(&spec).await.unwrap();
    let bare_path = folder.path().join("bare.db");
    let mut writer = bare::database(&bare_path, 0);
    let documents = documents(rows, true, false);
    staging_write(&staging, id, 0, &documents).await;
    bare::write(&mut writer, rows_of(&documents));
    drop(writer);
    // The bare reader: an own connection with the settings it comes with.
    let bare = Connection::open(&bare_path).unwrap();
    let count = rows.min(100_000);
    let key = |n: usize| &documents[(n * 7919) % rows].key;

    let mut pairs = Vec::new();
    for _ in 0..rounds {
        let clock = Clock::start();
        for n in 0..count {
            assert!(staging.document(id, key(n)).await.unwrap().is_some());
        }
        let staging = clock.stop();
        let clock = Clock::start();
        for n in 0..count {
            let mut select = bare.prepare_cached("SELECT payload FROM t WHERE key = ?").unwrap();
            let payload: Vec<u8> = select.query_row([key(n)], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec())).unwrap();
            assert!(!payload.is_empty());
        }
        pairs.push(Pair { staging, bare: clock.stop() });
    }
    report("one document by key", count, pairs);

    let pages = count / 50;
    let mut pairs = Vec::new();
    for _ in 0..rounds {
        let clock = Clock::start();
        for n in 0..pages {
            let after = Some(vec![Scalar::Text(key(n).clone())]);
            let query = ListQuery { after, limit: 100, ..ListQuery::default() };
            assert!(staging.list(id, query).await.unwrap().rows.len() <= 100);
        }
        let staging = clock.stop();
        let clock = Clock::start();
        for n in 0..pages {
            let mut select = bare.prepare_cached("SELECT payload FROM t WHERE key > ? ORDER BY key LIMIT 100").unwrap();
            let mut rows = select.query([key(n)]).unwrap();
            let mut page = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                page.extend_from_slice(row.get_ref(0).unwrap().as_bytes().unwrap());
            }
            assert!(page.len() < 1 << 20);
        }
        pairs.push(Pair { staging, bare: clock.stop() });
    }
    report("100 documents by key", pages, pairs);

    // Orders and filters, against a bare database with the same indexes and the statement one would write.
    let indexed_path = folder.path().join("bare_indexed.db");
    let mut writer = bare::database(&indexed_path, 2);
    bare::write(&mut writer, rows_of(&documents));
    drop(writer);
    let bare = Connection::open(&indexed_path).unwrap();
    let sort = |path: &str| vec![SortKey { path: path.to_owned(), descending: true }];
    let date = |n: usize| format!("2026-{:02}-{:02}", n % 12 + 1, n % 28 + 1);
    let on = |n: usize| Filter {
        path: "ordered_on".to_owned(),
        comparison: Comparison::Equal,
        values: vec![Scalar::Text(date(n))],
    };
    type Case<'c> = (&'c str, &'c str, Box<dyn Fn(usize) -> ListQuery + 'c>);
    let base = || ListQuery { limit: 100, ..ListQuery::default() };
    let cases: [Case<'_>; 4] = [
        ("of one day", "WHERE f1 = ?1 ORDER BY key", Box::new(|n| ListQuery { filters: vec![on(n)], ..base() })),
        (
            "newest day first",
            "WHERE ?1 <> '' ORDER BY f1 DESC, key",
            Box::new(|_| ListQuery { sort: sort("ordered_on"), ..base() }),
        ),
        (
            "largest amount first",
            "WHERE ?1 <> '' ORDER BY f2 DESC, key",
            Box::new(|_| ListQuery { sort: sort("amount"), ..base() }),
        ),
        (
            "of one day, largest amount first",
            "WHERE f1 = ?1 ORDER BY f2 DESC, key",
            Box::new(|n| ListQuery { filters: vec![on(n)], sort: sort("amount"), ..base() }),
        ),
    ];
    let pages = 40;
    for (what, sql, query) in cases {
        let sql = format!("SELECT payload FROM t {sql} LIMIT 100");
        let mut pairs = Vec::new();
        for _ in 0..rounds {
            let clock = Clock::start();
            for n in 0..pages {
                assert_eq!(staging.list(id, query(n)).await.unwrap().rows.len(), 100);
            }
            let staging = clock.stop();
            let clock = Clock::start();
            for n in 0..pages {
                let mut select = bare.prepare_cached(&sql).unwrap();
                let mut rows = select.query([date(n)]).unwrap();
                let mut page = Vec::new();
                while let Some(row) = rows.next().unwrap() {
                    page.extend_from_slice(row.get_ref(0).unwrap().as_bytes().unwrap());
                }
                assert!(!page.is_empty());
            }
            pairs.push(Pair { staging, bare: clock.stop() });
        }
        report(&format!("100 documents {what}"), pages, pairs);
    }
}
