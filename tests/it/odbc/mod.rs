//! Databases behind ODBC drivers: real drivers against real servers.

mod catalog;
mod doctor;
mod faults;
mod fences;
mod freetds;
mod mariadb;
mod mdb;
mod memory;
mod postgres;
mod settings;
mod sqlite;
mod standstill;
mod stopping;
mod ticking;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tollbridge::adapters::odbc::{Config, SECTION, Source};
use tollbridge::adapters::sql::{
    Action, Argument, Database, Isolation, Query, SqlError, Step, StepOutcome, Transaction, Value,
};
use tollbridge::decode::rows::{Column, RowBatch};
use tollbridge::diagnostic::{Faults, SourceText, Table, parse};
use tollbridge::gate::{Gate, Lane, Permit};

/// A source with its gate.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) source: Arc<Source>,
    pub(crate) gate: Arc<Gate>,
}

/// A cell of a row, as a test writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    /// The number of its fault, and its raw bytes.
    Fault(u8, Vec<u8>),
}

/// A result, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) columns: Arc<[Column]>,
    pub(crate) rows: Vec<Vec<Cell>>,
    pub(crate) batches: usize,
}

/// Reads the settings of a source.
pub(crate) fn config(text: &str, base: &Path) -> Result<Config, String> {
    let source = SourceText::new(Path::new("tollbridge.toml"), text.to_owned());
    let faults = Faults::new();
    let root = parse(&source, &faults);
    let read = Table::new(&root, &SECTION, &faults).and_then(|table| Config::read(&table, base));
    read.ok_or_else(|| faults.take_sorted().iter().map(|fault| fault.render(false)).collect::<Vec<_>>().join("\n"))
}

impl Site {
    /// A source with a connection string and further settings.
    pub(crate) fn new(connection: &str, further: &str) -> Site {
        Site::with_cap(connection, further, 4)
    }

    pub(crate) fn with_cap(connection: &str, further: &str, cap: usize) -> Site {
        let text = format!("connection = '{connection}'\n{further}");
        let source = Arc::new(Source::new(config(&text, Path::new("/")).unwrap()));
        let settings = tollbridge::gate::Config {
            max_in_flight: cap,
            queue_timeout: Duration::from_secs(60),
            settle: Duration::from_millis(300),
            sync_share: 1.0,
            ..tollbridge::gate::Config::default()
        };
        Site { source, gate: Gate::new("db", settings, None) }
    }

    pub(crate) async fn permit(&self) -> Permit {
        self.gate.acquire(Lane::Interactive, Some(Duration::from_secs(60))).await.unwrap()
    }

    /// Asks and takes all.
    pub(crate) async fn ask(&self, sql: &str, parameters: &[Value]) -> Result<Answer, SqlError> {
        self.query(Query { parameters: parameters.to_vec(), ..query(sql) }).await
    }

    pub(crate) async fn query(&self, query: Query) -> Result<Answer, SqlError> {
        let mut rows = self.source.query(self.permit().await, query).await?;
        let mut answer = Answer { columns: Arc::clone(&rows.columns), rows: Vec::new(), batches: 0 };
        while let Some(batch) = rows.batches.recv().await {
            answer.rows.extend(cells(&batch?));
            answer.batches += 1;
        }
        Ok(answer)
    }

    /// Does one statement, by itself.
    pub(crate) async fn execute(&self, sql: &str, parameters: &[Value]) -> Result<StepOutcome, SqlError> {
        let steps = vec![statement(sql, parameters)];
        self.steps(steps, false).await.map(|mut outcomes| outcomes.remove(0))
    }

    pub(crate) async fn steps(&self, steps: Vec<Step>, is_atomic: bool) -> Result<Vec<StepOutcome>, SqlError> {
        let (timeout, max_rows) = (Duration::from_secs(30), 1000);
        let work = Transaction { guard: None, steps, is_atomic, commit_after: None, fence: None, timeout, max_rows };
        self.source.transact(self.permit().await, work).await.map(|done| done.steps)
    }

    /// Calls that the database may be at work on.
    pub(crate) fn in_flight(&self) -> usize {
        self.gate.status().in_flight()
    }

    /// Waits until nothing is in flight.
    pub(crate) async fn settled(&self) {
        let end = tokio::time::Instant::now() + Duration::from_secs(60);
        while self.in_flight() > 0 {
            assert!(tokio::time::Instant::now() < end, "permits do not come back");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(crate) fn query(sql: &str) -> Query {
    Query {
        sql: sql.to_owned(),
        parameters: Vec::new(),
        isolation: Isolation::ReadCommitted,
        batch_rows: 1000,
        batch_bytes: 1 << 20,
        max_rows_per_second: None,
        timeout: Duration::from_secs(60),
    }
}

pub(crate) fn statement(sql: &str, parameters: &[Value]) -> Step {
    Step::of(Action::Statement { sql: sql.to_owned(), parameters: parameters.to_vec() })
}

pub(crate) fn procedure(name: &str, arguments: Vec<Argument>) -> Step {
    Step::of(Action::Procedure { name: name.to_owned(), arguments })
}

pub(crate) fn text(value: &str) -> Cell {
    Cell::Text(value.to_owned())
}

/// The cells of a file of rows, read by the words of its format: head, rows with their lengths, cells with LEB128.
pub(crate) fn cells(batch: &RowBatch) -> Vec<Vec<Cell>> {
    let bytes = &batch.bytes[..];
    assert_eq!(&bytes[..8], b"TBROWS1\n");
    let head = u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
    let head_text: serde_json::Value = serde_json::from_slice(&bytes[12..12 + head]).unwrap();
    let columns = head_text["columns"].as_array().unwrap().len();
    let (mut at, mut rows) = (12 + head, Vec::new());
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let mut row = &bytes[at + 4..at + 4 + length];
        let mut cells = Vec::new();
        while !row.is_empty() {
            cells.push(match leb128(&mut row) {
                0 => Cell::Null,
                1 => {
                    let (fault, rest) = row.split_first().unwrap();
                    row = rest;
                    let (raw, rest) = row.split_at(leb128(&mut { row }) as usize + size(row));
                    let raw = raw[size(row)..].to_vec();
                    row = rest;
                    Cell::Fault(*fault, raw)
                }
                length => {
                    let (value, rest) = row.split_at(length as usize - 2);
                    row = rest;
                    match std::str::from_utf8(value) {
                        Ok(value) => text(value),
                        Err(_) => text(&value.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>()),
                    }
                }
            });
        }
        assert_eq!(cells.len(), columns);
        rows.push(cells);
        at += 4 + length;
    }
    assert_eq!(rows.len() as u64, batch.rows);
    rows
}

fn leb128(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return number;
        }
    }
}

fn size(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1
}
