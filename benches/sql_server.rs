//! How fast rows of a SQL Server become rows that are landed, held against a bare loop of the driver over the same rows of
//! the same server in the same run.
//!
//!     cargo bench --bench sql_server [-- ROWS]
//!
//! The server runs on threads of its own in this process, or is the one of `TOLLBRIDGE_TEST_MSSQL_URL`
//! (`mssql://user:password@host:port/database`, encrypted). Rates are rows per second of the client thread's own processor
//! time, so that neither the server's share nor a busy machine matters much. The bare loop looks at every value and keeps
//! none of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use rusqlite::types::Value;
use tiberius::{AuthMethod, Client, EncryptionLevel, QueryItem};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt;
use tollbridge::adapters::sql::{Database, Isolation, Query};
use tollbridge::adapters::sql_server::{Config, Encryption, Login, SqlServer, Trust};
use tollbridge::gate::{self, Gate, Lane};
use tollbridge::secret::SecretRef;

mod support {
    #[allow(dead_code, unused_imports, reason = "the tests use the rest")]
    #[path = "../../tests/it/support/tds_server/mod.rs"]
    pub(crate) mod tds_server;
}
use support::tds_server;

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;

/// Twelve columns as an old ERP has them.
const COLUMNS: [(&str, &str); 12] = [
    ("id", "int"),
    ("code", "varchar(20)"),
    ("name", "nvarchar(60)"),
    ("city", "nvarchar(40)"),
    ("price", "decimal(18,4)"),
    ("quantity", "int"),
    ("total", "decimal(11,2)"),
    ("changed", "datetime2(3)"),
    ("delivered", "date"),
    ("blocked", "bit"),
    ("weight", "float"),
    ("note", "nvarchar(100)"),
];

fn row(number: u64, cells: &mut Vec<Value>) {
    let n = number as i64;
    cells.push(Value::Integer(n));
    cells.push(Value::Text(format!("A-{n:08}")));
    cells.push(Value::Text(format!("Customer number {n} of M\u{fc}nchen")));
    cells.push(Value::Text(["K\u{f6}ln", "Oslo", "Basel", "Z\u{fc}rich"][number as usize % 4].to_owned()));
    cells.push(Value::Text(format!("{}.{:04}", n % 100_000, n % 10_000)));
    cells.push(Value::Integer(n % 500));
    cells.push(Value::Text(format!("-{}.{:02}", n % 1_000_000, n % 100)));
    cells.push(Value::Text(format!("2026-{:02}-{:02} 12:{:02}:{:02}.123", n % 12 + 1, n % 28 + 1, n % 60, n % 59)));
    cells.push(Value::Text(format!("2025-{:02}-{:02}", n % 12 + 1, n % 28 + 1)));
    cells.push(Value::Integer(n % 2));
    cells.push(Value::Real(n as f64 / 7.0));
    cells.push(if n % 3 == 0 { Value::Null } else { Value::Text(format!("remark {n} about the delivery")) });
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the kernel keeps schedstat"))
}

/// Where it is, and who may come in.
struct Place {
    host: String,
    port: u16,
    database: String,
    user: String,
    password: String,
    is_ours: bool,
}

fn place(server: Option<&tds_server::TdsServer>) -> Place {
    let owned = str::to_owned;
    match (server, std::env::var("TOLLBRIDGE_TEST_MSSQL_URL")) {
        (None, Ok(url)) => {
            let (login, rest) = url.strip_prefix("mssql://").unwrap().rsplit_once('@').unwrap();
            let ((user, password), (address, database)) =
                (login.split_once(':').unwrap(), rest.split_once('/').unwrap());
            let (host, port) = address.rsplit_once(':').unwrap_or((address, "1433"));
            Place {
                host: owned(host),
                port: port.parse().unwrap(),
                database: owned(database),
                user: owned(user),
                password: owned(password),
                is_ours: false,
            }
        }
        (server, _) => Place {
            host: owned("127.0.0.1"),
            port: server.unwrap().port(),
            database: owned("erp"),
            user: owned("bridge"),
            password: owned("Pa$$w0rd"),
            is_ours: true,
        },
    }
}

/// The driver alone.
async fn bare(place: &Place, sql: &str) -> u64 {
    let mut config = tiberius::Config::new();
    config.host(&place.host);
    config.port(place.port);
    config.database(&place.database);
    config.authentication(AuthMethod::sql_server(&place.user, &place.password));
    config.encryption(if place.is_ours { EncryptionLevel::NotSupported } else { EncryptionLevel::Required });
    config.trust_cert();
    let stream = TcpStream::connect(config.get_addr()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut client = Client::connect(config, stream.compat_write()).await.unwrap();
    let mut rows = client.query(sql, &[]).await.unwrap();
    let mut count = 0;
    while let Some(item) = rows.try_next().await.unwrap() {
        if let QueryItem::Row(row) = item {
            for (_, data) in row.cells() {
                black_box(data);
            }
            count += 1;
        }
    }
    count
}

/// All of ours: gate, pool, cells, batches, channel.
async fn ours(door: &SqlServer, gate: &std::sync::Arc<Gate>, sql: &str) -> u64 {
    let query = Query {
        sql: sql.to_owned(),
        parameters: Vec::new(),
        isolation: Isolation::ReadCommitted,
        batch_rows: 10_000,
        batch_bytes: 1 << 20,
        max_rows_per_second: None,
        timeout: Duration::from_secs(600),
    };
    let permit = gate.acquire(Lane::Sync, Some(Duration::from_secs(30))).await.unwrap();
    let mut rows = door.query(permit, query).await.unwrap();
    let mut count = 0;
    while let Some(batch) = rows.batches.recv().await {
        count += black_box(batch.unwrap()).rows;
    }
    count
}

fn main() {
    let rows = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(200_000u64);
    let server = std::env::var_os("TOLLBRIDGE_TEST_MSSQL_URL").is_none().then(|| {
        let settings = tds_server::Settings {
            encryption: tds_server::Encryption::NotSupported,
            ..tds_server::Settings::default()
        };
        let server = tds_server::TdsServer::with(settings, "");
        server.generates("dbo.bench_rows", &COLUMNS, rows, row);
        server
    });
    let place = place(server.as_ref());
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, &place.password).unwrap();
    let door = SqlServer::new(Config {
        host: place.host.clone(),
        port: Some(place.port),
        instance: None,
        database: Some(place.database.clone()),
        login: Login::Sql { username: place.user.clone(), password: SecretRef::File(password) },
        encryption: if place.is_ours { Encryption::Off } else { Encryption::Required },
        trust: if place.is_ours { Trust::System } else { Trust::Anybody },
        certificate_host: None,
        application_name: "tollbridge bench".to_owned(),
        read_intent: false,
        connect_timeout: Duration::from_secs(15),
        timeout: Duration::from_secs(600),
        lock_timeout: Duration::from_secs(5),
        max_value_bytes: 1 << 20,
        check_after: Duration::from_secs(300),
    });
    let settings = gate::Config { sync_share: 1.0, ..gate::Config::default() };
    let gate = Gate::new("erp", settings, None);
    // One thread for all of the client: what it costs is what this thread costs.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let columns: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let sql = format!("SELECT {} FROM dbo.bench_rows", columns.join(", "));
    let (mut best_bare, mut best_ours) = (0f64, 0f64);
    for round in 0..ROUNDS {
        for is_ours in [false, true] {
            let (busy, begun) = (processor_time(), Instant::now());
            let count = match is_ours {
                false => runtime.block_on(bare(&place, &sql)),
                true => runtime.block_on(ours(&door, &gate, &sql)),
            };
            let rate = count as f64 / (processor_time() - busy).as_secs_f64();
            let best = if is_ours { &mut best_ours } else { &mut best_bare };
            *best = best.max(rate);
            let name = if is_ours { "ours" } else { "bare" };
            println!(
                "round {round} {name}: {count} rows, {rate:.0} rows/CPU-s, {:.2} s",
                begun.elapsed().as_secs_f64()
            );
        }
    }
    println!("best: bare {best_bare:.0}, ours {best_ours:.0} rows/CPU-s: {:.2} of it", best_ours / best_bare);
}
