//! The facade against bare axum handlers over the same rows of the same SQLite file, in one process.
//!
//! The bare server does the least that answers: one route, one prepared statement on a connection of the thread,
//! the payload's bytes. The facade does all it does: ids, keys, limits, metrics, validators, freshness. Both get
//! the same requests from the same keep-alive client over 16 connections, in turns; the figures are the medians of
//! the turns. Requests per CPU-second count the server's threads only, so the client's share does not blur them.
//!
//! `cargo bench --bench facade [-- SECONDS_PER_TURN] [record|page]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark")]

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Path as UrlPath;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::get;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tollbridge::facade::{self, Facade, Setup};
use tollbridge::http::{
    AuthConfig, Clients, ClientsConfig, ConnectionLimits, Health, ServerConfig, generate_key, serve,
};
use tollbridge::landing::{self, Landing};
use tollbridge::mapping::{Exposure, FieldType, Mode, QueryField};
use tollbridge::pipeline::Bridge;
use tollbridge::pipeline::live::Live;
use tollbridge::pipeline::operate::Operate;
use tollbridge::record::{BlobId, ContentHash, Document, Position, ResourceId};
use tollbridge::staging::sqlite::{Config, SqliteStaging};
use tollbridge::staging::{Batch, Checkpoint, FileState, ResourceSpec, RunOutcome, Staging};
use tollbridge::telemetry::Metrics;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: u64 = 100_000;
const CONNECTIONS: usize = 16;
const TURNS: usize = 5;

fn main() {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(3.0);
    let turn = Duration::from_secs_f64(seconds);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    let bare_runtime = runtime("bare");
    let our_runtime = runtime("facade");
    let (ours, key) = our_runtime.block_on(start_facade(&path));
    let bare = bare_runtime.block_on(start_bare(path));
    let client = Builder::new_current_thread().enable_all().build().unwrap();
    println!(
        "{ROWS} rows of about 700 bytes, {CONNECTIONS} connections, 2 server threads, {TURNS} turns of {seconds} s"
    );
    let wanted = std::env::args().skip(1).find(|argument| argument == "record" || argument == "page");
    for (name, make) in [("GET one record", point as fn(u64) -> String), ("GET a page of 100", page)] {
        if wanted.as_deref().is_some_and(|wanted| !name.contains(wanted)) {
            continue;
        }
        let mut figures: [Vec<(f64, f64)>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..TURNS {
            for (server, (address, threads)) in [(bare, "bare"), (ours, "facade")].into_iter().enumerate() {
                figures[server].push(client.block_on(load(address, threads, &key, make, turn)));
            }
        }
        let [bare, ours] = figures.map(|turns| {
            let (per_second, per_cpu): (Vec<f64>, Vec<f64>) = turns.into_iter().unzip();
            (median(per_second), median(per_cpu))
        });
        println!("{name}");
        println!("  bare    {:>8.0} requests/s  {:>8.0} per CPU-second of the server", bare.0, bare.1);
        println!("  facade  {:>8.0} requests/s  {:>8.0} per CPU-second of the server", ours.0, ours.1);
        println!("  ratio   {:>8.2}             {:>8.2}", ours.0 / bare.0, ours.1 / bare.1);
    }
}

fn runtime(name: &str) -> Runtime {
    Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build().unwrap()
}

fn key_of(number: u64) -> String {
    format!("{:010}", number * 7919 % 10_000_000_019)
}

fn payload_of(number: u64) -> String {
    let lines: Vec<String> = (0..6)
        .map(|line| {
            format!(
                "{{\"sku\":\"SKU-{:06}\",\"quantity\":{},\"price\":\"{}.{:02}\"}}",
                number + line,
                line + 1,
                number % 999,
                line
            )
        })
        .collect();
    format!(
        "{{\"order_no\":\"{}\",\"ordered_on\":\"2026-{:02}-{:02}\",\"status\":\"open\",\"amount\":{}.50,\
         \"customer\":{{\"name\":\"Customer number {number}\",\"city\":\"Springfield\",\"street\":\"Evergreen Terrace {}\"}},\
         \"note\":\"please deliver to the rear entrance before noon\",\"lines\":[{}]}}",
        key_of(number),
        number % 12 + 1,
        number % 28 + 1,
        number % 100_000,
        number % 742,
        lines.join(",")
    )
}

async fn start_facade(path: &Path) -> (SocketAddr, String) {
    let staging: Arc<dyn Staging> = Arc::new(SqliteStaging::open(path, &Config::default()).unwrap());
    fill(&*staging).await;
    let health = Arc::new(Health::new(staging.clone()));
    let server = ServerConfig::default();
    let limits = ConnectionLimits::from(&server);
    let (key, stored) = generate_key("bench", &["orders:read".to_owned()]).unwrap();
    staging.add_api_key(stored).await.unwrap();
    let metrics = Arc::new(Metrics::new());
    let landing = landing::Config { path: path.with_extension("landing"), keep: Duration::from_secs(60) };
    let bridge = Bridge::new(staging.clone(), Arc::new(Landing::open(&landing).unwrap()), metrics.clone());
    let bridge = Arc::new(bridge);
    let live = Arc::new(Live::new(bridge.clone()));
    let facade = Arc::new(Facade::new(Setup {
        staging,
        server,
        auth: AuthConfig::default(),
        clients: Arc::new(Clients::new(ClientsConfig::default(), metrics.clone(), CancellationToken::new())),
        cursor_secret: [1; 32],
        metrics,
        health,
        operate: Arc::new(Operate::new(bridge, live.clone())),
        live,
    }));
    facade.publish(vec![exposure()]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, facade::router(facade), std::future::pending(), limits));
    (address, key)
}

fn exposure() -> Exposure {
    Exposure {
        id: "orders.v1".parse().unwrap(),
        title: "Orders".to_owned(),
        description: None,
        key: vec!["order_no".to_owned()],
        filter: vec![QueryField { path: "status".to_owned(), field_type: FieldType::String }],
        sort: Vec::new(),
        relations: Vec::new(),
        access: Default::default(),
        read_scope: "orders:read".to_owned(),
        mode: Mode::Staged,
        max_age: Some(Duration::from_secs(300)),
        stale_if_error: None,
        lists: false,
        operations: Vec::new(),
        schema: json!({ "type": "object" }),
    }
}

async fn fill(staging: &dyn Staging) {
    let id: ResourceId = "orders.v1".parse().unwrap();
    staging.prepare(&ResourceSpec { id: id.clone(), indexed: Vec::new(), bounds: Vec::new() }).await.unwrap();
    let run = staging.begin_run(&id, "command", "mapping").await.unwrap();
    let blob = BlobId([7; 32]);
    let file = staging.claim_file(&id, "ORD.DAT", ROWS * 100, blob).await.unwrap();
    for first in (0..ROWS).step_by(10_000) {
        let documents = (first..first + 10_000)
            .map(|number| {
                let payload = payload_of(number).into_bytes();
                let position = Position { record: number + 1, offset: number * 100, length: 100, line: None };
                Document { key: key_of(number), hash: ContentHash::of(&payload), payload, position }
            })
            .collect();
        let read = first + 10_000;
        let batch = Batch {
            run: run.clone(),
            resource: id.clone(),
            file: file.id,
            blob,
            documents,
            rejects: Vec::new(),
            skipped: 0,
            checkpoint: Checkpoint { offset: read * 100, records: read, line: 0 },
            file_state: if read == ROWS { FileState::Staged } else { FileState::Claimed },
            resolves: None,
            deletions: Vec::new(),
            source: None,
            snapshot: None,
            once: None,
        };
        staging.commit(batch).await.unwrap();
    }
    staging.finish_run(&run, RunOutcome::Succeeded).await.unwrap();
}

thread_local! {
    /// The bare server's connection of this thread, with its statements cached.
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

fn with_connection<T>(path: &Path, read: impl FnOnce(&Connection) -> T) -> T {
    CONNECTION.with_borrow_mut(|connection| {
        let connection = connection.get_or_insert_with(|| {
            let connection =
                Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                    .unwrap();
            connection.execute_batch("PRAGMA mmap_size=1073741824; PRAGMA cache_size=-4096").unwrap();
            connection
        });
        read(connection)
    })
}

async fn start_bare(path: PathBuf) -> SocketAddr {
    let (one, many) = (Arc::new(path.clone()), Arc::new(path));
    let json =
        |bytes: Vec<u8>| Response::builder().header(CONTENT_TYPE, "application/json").body(Body::from(bytes)).unwrap();
    let record = get(move |UrlPath(key): UrlPath<String>| async move {
        let payload = with_connection(&one, |connection| {
            let mut select = connection.prepare_cached("SELECT payload FROM doc_1 WHERE key = ?1").unwrap();
            select.query_row([key], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec())).unwrap()
        });
        json(payload)
    });
    let list = get(move |axum::extract::RawQuery(query): axum::extract::RawQuery| async move {
        let after = query.as_deref().and_then(|query| query.strip_prefix("cursor=")).unwrap_or("").to_owned();
        let body = with_connection(&many, |connection| {
            let sql = "SELECT payload FROM doc_1 WHERE key > ?1 ORDER BY key LIMIT 100";
            let mut select = connection.prepare_cached(sql).unwrap();
            let mut rows = select.query([after]).unwrap();
            let mut body = b"{\"data\":[".to_vec();
            while let Some(row) = rows.next().unwrap() {
                if body.len() > 9 {
                    body.push(b',');
                }
                body.extend_from_slice(row.get_ref(0).unwrap().as_bytes().unwrap());
            }
            body.extend_from_slice(b"]}");
            body
        });
        json(body)
    });
    let router = Router::new().route("/v1/orders/{key}", record).route("/v1/orders", list);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn point(number: u64) -> String {
    format!("/v1/orders/{}", key_of(number % ROWS))
}

/// The first page: the bare handler has no cursors to open, so neither server gets one.
fn page(_: u64) -> String {
    "/v1/orders".to_owned()
}

/// Requests per second, and per CPU-second of the threads with this name.
async fn load(address: SocketAddr, threads: &str, key: &str, make: fn(u64) -> String, turn: Duration) -> (f64, f64) {
    let done = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..CONNECTIONS as u64)
        .map(|caller| {
            let (done, count, key) = (done.clone(), count.clone(), key.to_owned());
            async move {
                let mut socket = TcpStream::connect(address).await.unwrap();
                socket.set_nodelay(true).unwrap();
                let mut buffer = vec![0; 256 * 1024];
                let mut number = caller * 1_000_003;
                while !done.load(Ordering::Relaxed) {
                    let path = make(number);
                    let request = format!(
                        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nAccept: */*\r\n\r\n"
                    );
                    socket.write_all(request.as_bytes()).await.unwrap();
                    receive(&mut socket, &mut buffer).await;
                    count.fetch_add(1, Ordering::Relaxed);
                    number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                }
            }
        })
        .collect();
    let (before, started) = (cpu_of(threads), Instant::now());
    let stop = async {
        tokio::time::sleep(turn).await;
        done.store(true, Ordering::Relaxed);
    };
    let mut running = tokio::task::JoinSet::new();
    callers.into_iter().for_each(|caller| drop(running.spawn(caller)));
    stop.await;
    let (answered, took, cpu) = (count.load(Ordering::Relaxed) as f64, started.elapsed(), cpu_of(threads) - before);
    running.join_all().await;
    (answered / took.as_secs_f64(), answered / cpu.as_secs_f64())
}

/// Reads one whole answer.
async fn receive(socket: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    let mut whole = None;
    while whole.is_none_or(|whole| filled < whole) {
        let read = socket.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "the server closed the connection");
        filled += read;
        if whole.is_none()
            && let Some(end) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n")
        {
            let head = std::str::from_utf8(&buffer[..end]).unwrap();
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let field =
                head.split("\r\n").find(|line| line.len() > 15 && line[..15].eq_ignore_ascii_case("content-length:"));
            whole = Some(end + 4 + field.unwrap()[15..].trim().parse::<usize>().unwrap());
        }
    }
}

/// CPU time of this process's threads of one name, from the kernel's own count in nanoseconds.
fn cpu_of(name: &str) -> Duration {
    let mut total = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        let matches = std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name);
        if matches && let Ok(stat) = std::fs::read_to_string(task.join("schedstat")) {
            total += stat.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
    Duration::from_nanos(total)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
