//! The facade beside what else makes an API of a table: Datasette and ROAPI, and PostgREST where it is installed; its latency at half
//! of what it can do; and its export beside bare streaming of the same rows.
//!
//! All serve the same 100,000 orders, asked one by one by key over the same 16 connections, in turns; the figures are the
//! medians. Requests per CPU-second count the server's own threads: on a machine that has other work as well they say more than
//! the clock does. The export is of 1,000,000 records as NDJSON; beside it a thread writes the same payloads from a prepared
//! statement into its socket.
//!
//! `scripts/peers && cargo bench --bench peers [-- SECONDS_PER_TURN] [by-key|latency|export]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark")]

#[path = "support/api.rs"]
mod api;
#[path = "support/installed.rs"]
mod installed;

use std::io::{BufWriter, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};

use api::{CONNECTIONS, key_of, load, median, payload_of, receive, runtime, start_facade};
use installed::installed;

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
        let facade = Served { name: "facade", address, key, path: our_path, process: None };
        let mut all = vec![facade];
        if wants("by-key") {
            all.extend(peers(folder.path()));
        }
        println!("GET one of {ROWS} records by key, {CONNECTIONS} connections, {TURNS} turns of {seconds} s");
        let most = compare(&client, &all, turn);
        if wants("latency") {
            let facade = &all[0];
            let times = client.block_on(paced(facade.address, &facade.key, most / 2.0, turn * 3));
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

/// One that is compared.
struct Served {
    name: &'static str,
    address: SocketAddr,
    /// What it is asked with; others take no keys, and pass it over.
    key: String,
    /// Where a record is.
    path: fn(u64) -> String,
    /// `None` is this process.
    process: Option<Process>,
}

/// A process that was started for this, and ends with it.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Process {
    /// CPU time of its threads, from the kernel's own count in nanoseconds.
    fn cpu(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        let of = |task: PathBuf| -> Option<u64> {
            std::fs::read_to_string(task.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
        };
        Duration::from_nanos(tasks.filter_map(|task| of(task.unwrap().path())).sum())
    }
}

/// Asks all in turns, and prints what each can do and how the first compares; the first's requests a second.
fn compare(client: &Runtime, all: &[Served], turn: Duration) -> f64 {
    let mut figures: Vec<(Vec<f64>, Vec<f64>)> = all.iter().map(|_| Default::default()).collect();
    for _ in 0..TURNS {
        for (served, (by_clock, by_cpu)) in all.iter().zip(&mut figures) {
            let Served { address, key, path, process, .. } = served;
            let (before, began) = (process.as_ref().map(Process::cpu), Instant::now());
            let (clock, of_ours) = client.block_on(load(*address, "facade", key, *path, turn));
            let answered = clock * began.elapsed().as_secs_f64();
            by_clock.push(clock);
            by_cpu.push(match (process, before) {
                (Some(process), Some(before)) => answered / process.cpu().saturating_sub(before).as_secs_f64(),
                _ => of_ours,
            });
        }
    }
    let figures: Vec<(f64, f64)> =
        figures.into_iter().map(|(by_clock, by_cpu)| (median(by_clock), median(by_cpu))).collect();
    let (clock, cpu) = figures[0];
    for (served, (theirs, by_cpu)) in all.iter().zip(&figures) {
        let name = served.name;
        println!(
            "  {name:<10}  {theirs:>8.0} requests/s, {by_cpu:>8.0} a CPU-second; the facade has {:.1} and {:.1} times as many",
            clock / theirs,
            cpu / by_cpu
        );
    }
    clock
}

/// Starts a program that serves at a port; waits until it answers the path of a record with that record.
fn start(program: &Path, arguments: &[String], port: u16, path: fn(u64) -> String) -> Option<Process> {
    let mut command = Command::new(program);
    let child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let process = Process(child.ok()?);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let (path, key) = (path(1), key_of(1));
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(200));
        let Ok(mut socket) = TcpStream::connect(address) else { continue };
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        let is_whole = socket.read_to_string(&mut answer).is_ok();
        if is_whole
            && answer.starts_with("HTTP/1.1 200")
            && answer.contains(&key)
            && answer.matches("please deliver").count() == 1
        {
            return Some(process);
        }
    }
    None
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn our_path(number: u64) -> String {
    format!("/v1/orders/{}", key_of(number % ROWS))
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

/// The others, with the same orders.
fn peers(folder: &Path) -> Vec<Served> {
    let (database, lines) = table(folder);
    let bin = installed().join("bin");
    let (first, second, third) = (free_port(), free_port(), free_port());
    let datasette = format!("serve --immutable {} -h 127.0.0.1 -p {first}", database.display());
    let roapi =
        format!("--addr-http 127.0.0.1:{second} --addr-postgres 127.0.0.1:{third} --table orders={}", lines.display());
    let mut found = Vec::new();
    let mut add = |name: &'static str, program: &Path, arguments: &str, port: u16, path: fn(u64) -> String| {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        match start(program, &arguments, port, path) {
            None => println!("  {name:<10}  did not answer with the record; `scripts/peers` installs it"),
            process => {
                let address = SocketAddr::from(([127, 0, 0, 1], port));
                found.push(Served { name, address, key: "none".to_owned(), path, process });
            }
        }
    };
    add("datasette", &bin.join("datasette"), &datasette, first, datasette_path);
    add("roapi", &bin.join("roapi"), &roapi, second, roapi_path);

    // It reads its settings from the environment: PGRST_DB_URI names a database with the table `orders`.
    let postgrest = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("postgrest"))
        .find(|program| program.is_file());
    match (postgrest, std::env::var_os("PGRST_DB_URI")) {
        (Some(program), Some(_)) => {
            let port = std::env::var("PGRST_SERVER_PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
            add("postgrest", &program, "", port, postgrest_path);
        }
        _ => println!("  postgrest   is not here, or PGRST_DB_URI names no database: not compared"),
    }
    found
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
    let before = own_memory();
    let (done, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(before)));
    let watching = std::thread::spawn({
        let (done, most) = (done.clone(), most.clone());
        move || {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(own_memory(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    });
    println!("export of {EXPORTED} records as NDJSON, {TURNS} turns");
    let (mut theirs, mut own) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let speed = |(bytes, time): (u64, Duration)| bytes as f64 / 1e6 / time.as_secs_f64();
        theirs.push(speed(drain(bare, "")));
        own.push(speed(drain(address, &request)));
    }
    done.store(true, Ordering::Relaxed);
    watching.join().unwrap();
    let (theirs, own) = (median(theirs), median(own));
    println!("  bare    {theirs:>8.0} MB/s");
    println!(
        "  facade  {own:>8.0} MB/s, {:.2} of bare; memory grew by {} MB at its most",
        own / theirs,
        most.load(Ordering::Relaxed) - before
    );
}

/// The memory of this process that is its own, in MB: without the pages of files that are mapped, of which the kernel takes back
/// what it needs.
fn own_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).unwrap_or_default() / 1024
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
