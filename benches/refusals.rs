//! What a loop of refusals takes from those who are served, with refusals held back and without.
//!
//! Five hundred connections of a client that has used up its rate ask again and again without waiting, in the same
//! process and on the same cores, while eight connections of another client read one record. The figures are medians of
//! the turns; the ratio is against the same reading while nobody else asks.
//!
//! `cargo bench --bench refusals [-- SECONDS_PER_TURN]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tollbridge::facade::{self, Facade, Setup};
use tollbridge::http::clients::{ClientConfig, Hold, Rate};
use tollbridge::http::{
    AuthConfig, Clients, ClientsConfig, ConnectionLimits, Health, ServerConfig, generate_key, serve,
};
use tollbridge::landing::{self, Landing};
use tollbridge::mapping::{Exposure, Mode};
use tollbridge::pipeline::Bridge;
use tollbridge::pipeline::live::Live;
use tollbridge::pipeline::operate::{Operate, Veil};
use tollbridge::staging::sqlite::{Config, SqliteStaging};
use tollbridge::staging::{ResourceSpec, Staging};
use tollbridge::telemetry::Metrics;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LOOPING: usize = 500;
const SERVED: usize = 8;
const TURNS: usize = 3;

/// Never reached: nothing is held back.
const NEVER: Hold = Hold { time: Duration::ZERO, above: 1_000_000_000 };

struct Site {
    address: SocketAddr,
    served: String,
    looping: String,
}

fn main() {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(3.0);
    let turn = Duration::from_secs_f64(seconds);
    let folder = tempfile::tempdir().unwrap();
    let server = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let [holding, plain] = [("held", Hold::default()), ("plain", NEVER)]
        .map(|(name, hold)| server.block_on(start(&folder.path().join(name), hold)));
    let client = Builder::new_current_thread().enable_all().build().unwrap();
    println!("{SERVED} connections served, {LOOPING} refused in a loop, {TURNS} turns of {seconds} s");
    let mut figures: [Vec<Turn>; 3] = Default::default();
    for _ in 0..TURNS {
        figures[0].push(client.block_on(load(&holding, 0, turn)));
        figures[1].push(client.block_on(load(&plain, LOOPING, turn)));
        figures[2].push(client.block_on(load(&holding, LOOPING, turn)));
    }
    let [quiet, plain, held] = figures.map(|turns| {
        let of = |figure: fn(&Turn) -> f64| median(turns.iter().map(figure).collect());
        (of(|turn| turn.served), of(|turn| turn.p99_ms), of(|turn| turn.refused))
    });
    for (name, (served, p99, refused)) in [("nobody refused", quiet), ("refused at once", plain), ("held back", held)] {
        let ratio = served / quiet.0;
        println!("  {name:<16}{served:>8.0} served/s  p99 {p99:>7.1} ms  {refused:>7.0} refused/s  ratio {ratio:.2}");
    }
}

async fn start(folder: &Path, hold: Hold) -> Site {
    std::fs::create_dir(folder).unwrap();
    let staging: Arc<dyn Staging> =
        Arc::new(SqliteStaging::open(&folder.join("staging.db"), &Config::default()).unwrap());
    staging
        .prepare(&ResourceSpec { id: "orders.v1".parse().unwrap(), indexed: Vec::new(), bounds: Vec::new() })
        .await
        .unwrap();
    let mut keys = Vec::new();
    for name in ["served", "looping"] {
        let (key, stored) = generate_key(name, &["read".to_owned()]).unwrap();
        staging.add_api_key(stored).await.unwrap();
        keys.push(key);
    }
    let (server, metrics) = (ServerConfig::default(), Arc::new(Metrics::new()));
    let limits = ConnectionLimits::from(&server);
    let looping = ClientConfig { rate: Some(Rate::parse("1/h").unwrap()), ..ClientConfig::default() };
    let clients = ClientsConfig::new([("looping".to_owned(), looping)]);
    let clients = Clients::new(clients, metrics.clone(), CancellationToken::new()).holding(hold);
    let landing = landing::Config { path: folder.join("landing"), keep: Duration::from_secs(60) };
    let bridge = Bridge::new(staging.clone(), Arc::new(Landing::open(&landing).unwrap()), metrics.clone());
    let bridge = Arc::new(bridge);
    let live = Arc::new(Live::new(bridge.clone()));
    let facade = Arc::new(Facade::new(Setup {
        operate: Arc::new(Operate::new(bridge, live.clone(), Veil::new([9; 32]))),
        live,
        health: Arc::new(Health::new(staging.clone())),
        staging,
        server,
        auth: AuthConfig::default(),
        clients: Arc::new(clients),
        cursor_secret: [1; 32],
        metrics,
    }));
    facade.publish(vec![Exposure {
        id: "orders.v1".parse().unwrap(),
        title: "Orders".to_owned(),
        description: None,
        key: vec!["order_no".to_owned()],
        filter: Vec::new(),
        sort: Vec::new(),
        relations: Vec::new(),
        access: Default::default(),
        read_scope: "orders:read".to_owned(),
        mode: Mode::Staged,
        max_age: None,
        stale_if_error: None,
        lists: false,
        operations: Vec::new(),
        retirement: tollbridge::mapping::Retirement::default(),
        fault_statuses: Vec::new(),
        example: None,
        schema: json!({ "type": "object" }),
    }]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, facade::service(facade), std::future::pending(), limits));
    let looping = keys.pop().unwrap();
    Site { address, served: keys.pop().unwrap(), looping }
}

/// One turn's figures, a second.
struct Turn {
    served: f64,
    p99_ms: f64,
    refused: f64,
}

async fn load(site: &Site, looping: usize, turn: Duration) -> Turn {
    let done = Arc::new(AtomicBool::new(false));
    let (mut refused, mut served) = (JoinSet::new(), JoinSet::new());
    for _ in 0..looping {
        refused.spawn(ask(site.address, site.looping.clone(), done.clone()));
    }
    // The loop is under way before anything is measured.
    tokio::time::sleep(Duration::from_millis(if looping > 0 { 1500 } else { 0 })).await;
    let started = Instant::now();
    for _ in 0..SERVED {
        served.spawn(ask(site.address, site.served.clone(), done.clone()));
    }
    tokio::time::sleep(turn).await;
    done.store(true, Ordering::Relaxed);
    let took = started.elapsed().as_secs_f64();
    let mut times: Vec<f64> = served.join_all().await.concat();
    let refusals = refused.join_all().await.concat().len() as f64;
    times.sort_by(f64::total_cmp);
    let p99_ms = times[times.len() * 99 / 100] * 1000.0;
    Turn { served: times.len() as f64 / took, p99_ms, refused: refusals / (took + 1.5) }
}

/// Asks again and again until it is over; the seconds that each answer took.
async fn ask(address: SocketAddr, key: String, done: Arc<AtomicBool>) -> Vec<f64> {
    let request = format!("GET /v1/orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (mut buffer, mut times) = (vec![0; 8 * 1024], Vec::new());
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut filled = 0;
        while !is_whole(&buffer[..filled]) {
            let read = socket.read(&mut buffer[filled..]).await.unwrap();
            assert!(read > 0, "the server closed the connection");
            filled += read;
        }
        times.push(began.elapsed().as_secs_f64());
    }
    times
}

/// Whether these bytes are one whole answer.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return false };
    let head = std::str::from_utf8(&bytes[..end]).unwrap().to_ascii_lowercase();
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
    bytes.len() >= end + 4 + length.unwrap().trim().parse::<usize>().unwrap()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
