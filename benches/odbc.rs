//! Rows out of PostgreSQL by ODBC, up to the records of a decoder, against a bare fetch of the same rows with the same crate,
//! in one process.
//!
//! The driver is the limit: what counts is how many rows come a second of this process's own CPU time, and that fetching
//! and writing overlap, so that the wall clock shows no more than the driver's time. `cargo bench --bench odbc`
//! starts the server itself. Where a Python has `arrow_odbc` (`PYTHON=path/to/python`), it reads the same rows as well.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a benchmark")]

#[cfg(feature = "odbc")]
#[allow(dead_code, reason = "shared with the tests")]
#[path = "../tests/it/support/postgres.rs"]
mod postgres;

#[cfg(feature = "odbc")]
fn main() {
    run::all();
}

#[cfg(not(feature = "odbc"))]
fn main() {
    println!("built without ODBC: nothing to measure");
}

#[cfg(feature = "odbc")]
mod run {
    use std::hint::black_box;
    use std::io::Cursor;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use odbc_api::buffers::{BufferDesc, ColumnarDynBuffer};
    use odbc_api::{ConnectionOptions, Cursor as _, ResultSetMetadata};
    use tollbridge::adapters::odbc::{Config, SECTION, Source};
    use tollbridge::adapters::sql::{Database, Isolation, Query};
    use tollbridge::decode::rows::Settings;
    use tollbridge::decode::{Format, Item, Resume};
    use tollbridge::diagnostic::{Faults, SourceText, Table, parse};
    use tollbridge::gate::{self, Gate, Lane};

    use super::postgres::Postgres;

    const ROWS: u64 = 1_000_000;
    const ROUNDS: usize = 5;
    const ASK: &str = "select * from t";

    /// What a pass took.
    #[derive(Clone, Copy)]
    struct Took {
        wall: f64,
        cpu: f64,
    }

    pub(super) fn all() {
        let server = Postgres::start();
        server.sql(
            "postgres",
            &format!(
                "create table t as select i::int as id, (i % 1000)::int as customer, i::bigint * 7919 as reference,
                   ('ORD-' || lpad(i::text, 10, '0'))::varchar(20) as no, (i % 100000 * 0.37)::numeric(11,2) as amount,
                   (i % 977)::numeric(9,3) as quantity, (i / 7.0)::float8 as rate, i % 3 = 0 as is_open,
                   date '2020-01-01' + (i % 2000)::int as day, timestamp '2020-01-01' + i * interval '1 second' as changed,
                   ('Customer ' || i % 5000 || ' of somewhere')::varchar(60) as name,
                   case when i % 10 = 0 then null else ('note ' || md5(i::text))::varchar(80) end as note
                 from generate_series(1, {ROWS}) i"
            ),
        );
        server.sql("postgres", "vacuum analyze t");
        let connection = server.connection("postgres");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let source = source(&connection);
        println!("{ROWS} rows x 12 columns of PostgreSQL, {ROUNDS} rounds; the middle one of each");
        let (mut bare, mut tuned, mut ours, mut arrow) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        // Before the bare fetch, whose buffers are larger.
        ours.push(measured(|| runtime.block_on(ask(&source))));
        let highest = status("VmHWM:") / 1024;
        for _ in 0..ROUNDS {
            bare.push(measured(|| fetch_bare(&connection, 10_000, 5000)));
            tuned.push(measured(|| fetch_bare(&connection, 1024, 1024)));
            ours.push(measured(|| runtime.block_on(ask(&source))));
            arrow.extend(fetch_arrow(&connection));
        }
        let (bare, tuned, ours) = (middle(bare), middle(tuned), middle(ours));
        let told = |name: &str, took: Took| {
            println!(
                "  {name:<38} {:>9.0} rows/s  {:>9.0} rows a CPU-second; ours: {:>3.0}% of the rows a CPU-second, {:>3.0}% of \
                 the wall time",
                ROWS as f64 / took.wall,
                ROWS as f64 / took.cpu,
                100.0 * took.cpu / ours.cpu,
                100.0 * ours.wall / took.wall,
            );
        };
        told("query(), to records", ours);
        told("bare odbc-api, columns", bare);
        told("the same, blocks of the best size", tuned);
        if arrow.is_empty() {
            println!("  arrow_odbc: this Python has it not");
        } else {
            told("arrow_odbc", middle(arrow));
        }
        println!("  highest memory of ours: {highest} MiB");
    }

    /// What arrow-odbc takes for the same rows, where it is installed.
    fn fetch_arrow(connection: &str) -> Option<Took> {
        const SCRIPT: &str = "\
import sys, time, arrow_odbc
began, before = time.perf_counter(), time.process_time()
reader = arrow_odbc.read_arrow_batches_from_odbc(query=sys.argv[2], connection_string=sys.argv[1], batch_size=5000)
rows = sum(batch.num_rows for batch in reader)
print(rows, time.perf_counter() - began, time.process_time() - before)
";
        let string = format!("{connection};UseDeclareFetch=1;Fetch=10000;BoolsAsChar=0;LFConversion=0");
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let run = std::process::Command::new(python).args(["-c", SCRIPT, &string, ASK]).output().ok()?;
        let told = String::from_utf8(run.stdout).unwrap();
        let numbers: Vec<f64> = told.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let [rows, wall, cpu] = numbers[..] else { return None };
        assert_eq!(rows, ROWS as f64);
        Some(Took { wall, cpu })
    }

    fn source(connection: &str) -> Arc<Source> {
        let text = format!("connection = '{connection}'");
        let text = SourceText::new(Path::new("bench.toml"), text);
        let faults = Faults::new();
        let root = parse(&text, &faults);
        let table = Table::new(&root, &SECTION, &faults).unwrap();
        Arc::new(Source::new(Config::read(&table, Path::new("/")).unwrap()))
    }

    async fn ask(source: &Arc<Source>) -> u64 {
        let gate = Gate::new("db", gate::Config::default(), None);
        let permit = gate.acquire(Lane::Interactive, None).await.unwrap();
        let query = Query {
            sql: ASK.to_owned(),
            parameters: Vec::new(),
            isolation: Isolation::ReadCommitted,
            batch_rows: 10_000,
            batch_bytes: 4 << 20,
            max_rows_per_second: None,
            timeout: Duration::from_secs(600),
        };
        let mut rows = source.query(permit, query).await.unwrap();
        let settings = Settings { columns: Some(Arc::clone(&rows.columns)), ..Settings::default() };
        let decoder = Format::Rows(settings).compile(&|_| None, &Faults::new()).unwrap();
        let mut count = 0;
        while let Some(batch) = rows.batches.recv().await {
            let mut reader = decoder.reader(Cursor::new(batch.unwrap().bytes), Resume::default()).unwrap();
            while let Some(item) = reader.next().unwrap() {
                let Item::Record(record) = item else { panic!("every row can be read") };
                black_box(record.raw.len());
                count += 1;
            }
        }
        count
    }

    /// The same driver, the same options, the best buffers that the types allow; nobody looks at the values.
    fn fetch_bare(connection: &str, held: usize, rows: usize) -> u64 {
        let string = format!("{connection};UseDeclareFetch=1;Fetch={held};BoolsAsChar=0;LFConversion=0");
        let environment = odbc_api::environment().unwrap();
        let connection = environment.connect_with_connection_string(&string, ConnectionOptions::default()).unwrap();
        let mut cursor = connection.execute(ASK, (), None).unwrap().unwrap();
        let columns = u16::try_from(cursor.num_result_cols().unwrap()).unwrap();
        let descriptions: Vec<_> = (1..=columns)
            .map(|column| {
                let kind = cursor.col_data_type(column).unwrap();
                BufferDesc::from_data_type(kind, true).unwrap_or(BufferDesc::Text { max_str_len: 255 })
            })
            .collect();
        let mut block = cursor.bind_buffer(ColumnarDynBuffer::from_descs(rows, descriptions)).unwrap();
        let mut count = 0;
        while let Some(rows) = block.fetch().unwrap() {
            count += rows.num_rows() as u64;
        }
        count
    }

    fn measured(pass: impl FnOnce() -> u64) -> Took {
        let (began, before) = (Instant::now(), cpu());
        assert_eq!(pass(), ROWS);
        Took { wall: began.elapsed().as_secs_f64(), cpu: cpu() - before }
    }

    fn middle(mut passes: Vec<Took>) -> Took {
        passes.sort_by(|one, other| one.cpu.total_cmp(&other.cpu));
        let cpu = passes[passes.len() / 2].cpu;
        passes.sort_by(|one, other| one.wall.total_cmp(&other.wall));
        Took { wall: passes[passes.len() / 2].wall, cpu }
    }

    /// The CPU seconds of this process so far, all threads together. The kernel counts in hundredths.
    fn cpu() -> f64 {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        ticks / 100.0
    }

    fn status(name: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }
}
