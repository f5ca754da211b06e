//! The facade against bare axum handlers over the same rows of the same SQLite file, in one process.
//!
//! The bare server does the least that answers: one route, one prepared statement on a connection of the thread,
//! the payload's bytes. The facade does all it does: ids, keys, limits, metrics, validators, freshness. Both get
//! the same requests from the same keep-alive client over 16 connections, in turns; the figures are the medians of
//! the turns. Requests per CPU-second count the server's threads only, so the client's share does not blur them.
//!
//! `cargo bench --bench facade [-- SECONDS_PER_TURN] [record|page]`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark")]

#[path = "support/api.rs"]
mod api;

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path as UrlPath;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::get;
use rusqlite::{Connection, OpenFlags};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use api::{CONNECTIONS, key_of, load, median, runtime, start_facade};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: u64 = 100_000;
const TURNS: usize = 5;

fn main() {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(3.0);
    let turn = Duration::from_secs_f64(seconds);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("staging.db");
    let bare_runtime = runtime("bare");
    let our_runtime = runtime("facade");
    let (ours, key) = our_runtime.block_on(start_facade(&path, ROWS));
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
