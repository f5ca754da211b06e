//! The facade over orders, made for a benchmark, and a client that asks it over keep-alive connections.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
use tollbridge::pipeline::operate::{Operate, Veil};
use tollbridge::record::{BlobId, ContentHash, Document, Position, ResourceId};
use tollbridge::staging::sqlite::{Config, SqliteStaging};
use tollbridge::staging::{Batch, Checkpoint, FileState, ResourceSpec, RunOutcome, Staging};
use tollbridge::telemetry::Metrics;

pub(crate) const CONNECTIONS: usize = 16;

pub(crate) fn runtime(name: &str) -> Runtime {
    Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build().unwrap()
}

pub(crate) fn key_of(number: u64) -> String {
    format!("{:010}", number * 7919 % 10_000_000_019)
}

pub(crate) fn payload_of(number: u64) -> String {
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

pub(crate) async fn start_facade(path: &Path, rows: u64) -> (SocketAddr, String) {
    let staging: Arc<dyn Staging> = Arc::new(SqliteStaging::open(path, &Config::default()).unwrap());
    fill(&*staging, rows).await;
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
        operate: Arc::new(Operate::new(bridge, live.clone(), Veil::new([9; 32]))),
        live,
    }));
    facade.publish(vec![exposure()]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, facade::service(facade), std::future::pending(), limits));
    (address, key)
}

pub(crate) fn exposure() -> Exposure {
    Exposure {
        id: "orders.v1".parse().unwrap(),
        title: "Orders".to_owned(),
        description: None,
        key: vec!["order_no".to_owned()],
        filter: vec![QueryField { path: "status".to_owned(), field_type: FieldType::String }],
        sort: Vec::new(),
        relations: Vec::new(),
        access: Default::default(),
        retirement: Default::default(),
        fault_statuses: Vec::new(),
        example: None,
        read_scope: "orders:read".to_owned(),
        mode: Mode::Staged,
        max_age: Some(Duration::from_secs(300)),
        stale_if_error: None,
        lists: false,
        operations: Vec::new(),
        schema: json!({ "type": "object" }),
    }
}

pub(crate) async fn fill(staging: &dyn Staging, rows: u64) {
    let id: ResourceId = "orders.v1".parse().unwrap();
    staging.prepare(&ResourceSpec { id: id.clone(), indexed: Vec::new(), bounds: Vec::new() }).await.unwrap();
    let run = staging.begin_run(&id, "command", "mapping").await.unwrap();
    let blob = BlobId([7; 32]);
    let file = staging.claim_file(&id, "ORD.DAT", rows * 100, blob).await.unwrap();
    for first in (0..rows).step_by(10_000) {
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
            refused: 0,
            checkpoint: Checkpoint { offset: read * 100, records: read, line: 0 },
            file_state: if read == rows { FileState::Staged } else { FileState::Claimed },
            resolves: None,
            deletions: Vec::new(),
            source: None,
            snapshot: None,
            keyless: 0,
            is_keyed: false,
            once: None,
        };
        staging.commit(batch).await.unwrap();
    }
    staging.finish_run(&run, RunOutcome::Succeeded).await.unwrap();
}

/// Requests per second, and per CPU-second of the threads with this name.
pub(crate) async fn load(
    address: SocketAddr,
    threads: &str,
    key: &str,
    make: fn(u64) -> String,
    turn: Duration,
) -> (f64, f64) {
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
    // A thread that has ended in between is counted no more.
    let cpu = cpu_of(threads).saturating_sub(before);
    let (answered, took) = (count.load(Ordering::Relaxed) as f64, started.elapsed());
    running.join_all().await;
    (answered / took.as_secs_f64(), answered / cpu.as_secs_f64())
}

/// Reads one whole answer, of a length that its head says or in chunks.
pub(crate) async fn receive(socket: &mut TcpStream, buffer: &mut [u8]) {
    let mut filled = 0;
    // Where the answer ends; of one in chunks that shows at its last bytes.
    let mut whole = None;
    let mut is_chunked = false;
    loop {
        let read = socket.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "the server closed the connection");
        filled += read;
        if whole.is_none()
            && !is_chunked
            && let Some(end) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n")
        {
            let head = std::str::from_utf8(&buffer[..end]).unwrap();
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            let field =
                head.split("\r\n").find(|line| line.len() > 15 && line[..15].eq_ignore_ascii_case("content-length:"));
            is_chunked = field.is_none();
            whole = field.map(|field| end + 4 + field[15..].trim().parse::<usize>().unwrap());
        }
        if whole.is_some_and(|whole| filled >= whole) || is_chunked && buffer[..filled].ends_with(b"\r\n0\r\n\r\n") {
            return;
        }
    }
}

/// CPU time of this process's threads of one name, from the kernel's own count in nanoseconds.
pub(crate) fn cpu_of(name: &str) -> Duration {
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

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
