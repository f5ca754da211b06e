//! The facade beside what else makes an API of a table: Datasette and ROAPI, and PostgREST where it is installed; its latency at half
//! of what it can do; and its export beside bare streaming of the same rows.
//!
//! All serve the same 100,000 orders, asked one by one by key over the same 16 connections, one server after the other. The
//! export is of 1,000,000 records as NDJSON; beside it a thread writes the same payloads from a prepared statement into its socket.
//!
//! `scripts/peers && cargo bench --bench peers [-- SECONDS_PER_TURN] [by-key|latency|export]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark")]

#[path = "support/api.rs"]
mod api;
#[path = "support/memory.rs"]
mod memory;

use std::io::{BufWriter, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Builder;

use api::{CONNECTIONS, key_of, load, median, payload_of, receive, runtime, start_facade};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: u64 = 100_000;
const EXPORTED: u64 = 1_000_000;
const TURNS: usize = 3;

fn main() {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(3.0);
    let turn = Duration::from_secs_f64(seconds);
    let part = std::env::args().skip(1).find(|argument| ["by-key", "latency", "export"].contains(&argument.as_str()));
    let wants = |name: &str| part.as_deref().is_none_or(|part| part == name);
    let folder = tempfile::tempdir().unwrap();
    if wants("by-key") || wants("latency") {
        let ours = runtime("facade");
        let (address, key) = ours.block_on(start_facade(&folder.path().join("staging.db"), ROWS));
        let client = Builder::new_current_thread().enable_all().build().unwrap();
        let path = |number: u64| format!("/v1/orders/{}", key_of(number % ROWS));
        let turns: Vec<f64> =
            (0..TURNS).map(|_| client.block_on(load(address, "facade", &key, path, turn)).0).collect();
        let most = median(turns);
        println!("GET one of {ROWS} records by key, {CONNECTIONS} connections, {TURNS} turns of {seconds} s");
        println!("  facade      {most:>8.0} requests/s, with keys, metrics and validators");
        if wants("by-key") {
            beside(folder.path(), most, turn);
        }
        if wants("latency") {
            let times = client.block_on(paced(address, &key, most / 2.0, turn * 3));
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
            println!("latency at half of that, {:.0} requests/s in the clock's pace", most / 2.0);
            println!(
                "  p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, most {:.2} ms",
                at(0.5),
                at(0.99),
                at(0.999),
                at(1.0)
            );
        }
    }
    if wants("export") {
        export(folder.path());
    }
}

/// A server that was started for this, and ends with it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts a program that serves at a port; waits until it answers this path.
fn start(program: &Path, arguments: &[String], port: u16, path: &str) -> Option<Server> {
    let mut command = Command::new(program);
    let child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let server = Server(child.ok()?);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(200));
        let Ok(mut socket) = TcpStream::connect(address) else { continue };
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut head = [0; 12];
        if socket.read_exact(&mut head).is_ok() && &head[9..] == b"200" {
            return Some(server);
        }
    }
    None
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn datasette_path(number: u64) -> String {
    format!("/orders/orders/{}.json?_shape=objects", key_of(number % ROWS))
}

fn roapi_path(number: u64) -> String {
    format!("/api/tables/orders?filter%5Border_no%5D='{}'", key_of(number % ROWS))
}

fn postgrest_path(number: u64) -> String {
    format!("/orders?order_no=eq.{}", key_of(number % ROWS))
}

/// Where `scripts/peers` puts what it installs.
fn installed() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    cache.or_else(home).unwrap_or_default().join("tollbridge-bench/peers")
}

/// The same question to the others.
fn beside(folder: &Path, ours: f64, turn: Duration) {
    let (database, lines) = table(folder);
    let peers = installed().join("bin");
    let client = Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |name: &str, server: Option<Server>, port: u16, path: fn(u64) -> String| {
        let Some(_server) = server else {
            println!("  {name:<10}  did not start; `scripts/peers` installs it");
            return;
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let turns: Vec<f64> =
            (0..TURNS).map(|_| client.block_on(load(address, "none", "none", path, turn)).0).collect();
        let theirs = median(turns);
        println!("  {name:<10}  {theirs:>8.0} requests/s; the facade has {:.1} times as many", ours / theirs);
    };
    let text = |path: &Path| path.display().to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();

    let port = free_port();
    let arguments = words(&["serve", "--immutable", &text(&database), "-h", "127.0.0.1", "-p", &port.to_string()]);
    ask("datasette", start(&peers.join("datasette"), &arguments, port, &datasette_path(1)), port, datasette_path);

    let (port, other) = (free_port(), free_port());
    let arguments = words(&[
        "--addr-http",
        &format!("127.0.0.1:{port}"),
        "--addr-postgres",
        &format!("127.0.0.1:{other}"),
        "--table",
        &format!("orders={}", lines.display()),
    ]);
    ask("roapi", start(&peers.join("roapi"), &arguments, port, &roapi_path(1)), port, roapi_path);

    // It reads its settings from the environment: PGRST_DB_URI names a database with the table `orders`.
    let postgrest = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("postgrest"))
        .find(|program| program.is_file());
    match (postgrest, std::env::var_os("PGRST_DB_URI")) {
        (Some(program), Some(_)) => {
            let port = std::env::var("PGRST_SERVER_PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
            ask("postgrest", start(&program, &[], port, &postgrest_path(1)), port, postgrest_path);
        }
        _ => println!("  postgrest   is not here, or PGRST_DB_URI names no database: not compared"),
    }
}

/// The orders as a table of SQLite and as lines.
fn table(folder: &Path) -> (PathBuf, PathBuf) {
    let (database, lines) = (folder.join("orders.db"), folder.join("orders.ndjson"));
    let mut connection = Connection::open(&database).unwrap();
    let names = ["order_no", "ordered_on", "status", "amount", "customer", "note", "lines"];
    connection
        .execute_batch(
            "CREATE TABLE orders (order_no TEXT PRIMARY KEY, ordered_on TEXT, status TEXT, amount REAL, customer TEXT, \
             note TEXT, lines TEXT)",
        )
        .unwrap();
    let mut out = BufWriter::new(std::fs::File::create(&lines).unwrap());
    let transaction = connection.transaction().unwrap();
    {
        let mut insert = transaction.prepare("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)").unwrap();
        for number in 0..ROWS {
            let order: Value = serde_json::from_str(&payload_of(number)).unwrap();
            // What is nested is text to a table.
            let cell = |name: &str| match &order[name] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let cells = names.map(cell);
            insert.execute(rusqlite::params_from_iter(&cells)).unwrap();
            let line: serde_json::Map<String, Value> =
                names.iter().zip(&cells).map(|(name, cell)| ((*name).to_owned(), cell.as_str().into())).collect();
            serde_json::to_writer(&mut out, &line).unwrap();
            out.write_all(b"\n").unwrap();
        }
    }
    transaction.commit().unwrap();
    out.flush().unwrap();
    (database, lines)
}

/// The time that each answer took from when it was due, sorted: whoever is late is late for the next as well.
async fn paced(address: SocketAddr, key: &str, rate: f64, length: Duration) -> Vec<Duration> {
    let every = Duration::from_secs_f64(CONNECTIONS as f64 / rate);
    let began = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for caller in 0..CONNECTIONS {
        let key = key.to_owned();
        running.spawn(async move {
            let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
            socket.set_nodelay(true).unwrap();
            let mut buffer = vec![0; 256 * 1024];
            let mut times = Vec::new();
            let mut due = began + every.mul_f64(caller as f64 / CONNECTIONS as f64);
            let mut number = caller as u64 * 1_000_003;
            while due < began + length {
                tokio::time::sleep_until(due.into()).await;
                let path = format!("/v1/orders/{}", key_of(number % ROWS));
                let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
                socket.write_all(request.as_bytes()).await.unwrap();
                receive(&mut socket, &mut buffer).await;
                times.push(due.elapsed());
                due += every;
                number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            }
            times
        });
    }
    let mut times: Vec<Duration> = running.join_all().await.into_iter().flatten().collect();
    times.sort();
    times
}

/// Reads everything that a server sends for this request; answers bytes and time.
fn drain(address: SocketAddr, request: &str) -> (u64, Duration) {
    let began = Instant::now();
    let mut socket = TcpStream::connect(address).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match socket.read(&mut buffer).unwrap() {
            0 => return (bytes, began.elapsed()),
            read => bytes += read as u64,
        }
    }
}

/// All records as NDJSON, and the same payloads straight from a statement.
fn export(folder: &Path) {
    let path = folder.join("export.db");
    let ours = runtime("facade");
    let (address, key) = ours.block_on(start_facade(&path, EXPORTED));
    let bare = start_bare_export(path);
    let request = format!(
        "GET /v1/orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
         Accept: application/x-ndjson\r\nConnection: close\r\n\r\n"
    );
    // Once unmeasured, so that the file is in memory for both.
    drain(bare, "");
    let before = memory::peak();
    println!("export of {EXPORTED} records as NDJSON, {TURNS} turns");
    let (mut theirs, mut own) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let speed = |(bytes, time): (u64, Duration)| bytes as f64 / 1e6 / time.as_secs_f64();
        theirs.push(speed(drain(bare, "")));
        own.push(speed(drain(address, &request)));
    }
    let (theirs, own) = (median(theirs), median(own));
    println!("  bare    {theirs:>8.0} MB/s");
    println!(
        "  facade  {own:>8.0} MB/s, {:.2} of bare; memory at its most grew by {} MB",
        own / theirs,
        memory::peak() - before
    );
}

/// A thread that writes all payloads to whoever connects.
fn start_bare_export(path: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).unwrap();
        connection.execute_batch("PRAGMA mmap_size=1073741824").unwrap();
        for socket in listener.incoming() {
            let mut out = BufWriter::with_capacity(1 << 16, socket.unwrap());
            let mut select = connection.prepare_cached("SELECT payload FROM doc_1 ORDER BY key").unwrap();
            let mut rows = select.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                out.write_all(row.get_ref(0).unwrap().as_bytes().unwrap()).unwrap();
                out.write_all(b"\n").unwrap();
            }
            out.flush().unwrap();
        }
    });
    address
}
