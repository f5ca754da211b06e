//! A question whose answer streams: rows become batches while the next ones are read.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use tiberius::{QueryItem, QueryStream, Row, ToSql};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::cell::{self, Cells, Reading};
use super::connect::Connection;
use super::exchange::{Trouble, judged};
use super::fault;
use super::kind;
use super::shape::Shape;
use super::watch::{Watch, Why};
use super::{Inner, bind};
use crate::adapters::sql::{Certainty, Query, Rows, SqlError, SqlErrorKind};
use crate::decode::rows::{BatchWriter, Column, ColumnKind, RowBatch};

/// Batches that wait for who reads them.
const AHEAD: usize = 2;

/// Rows that are looked at for the scale of decimals, where nobody has described it.
const LOOKED_AT: usize = 256;

/// Where the answer goes.
pub(super) type Reply = oneshot::Sender<Result<Rows, SqlError>>;

/// Asks on a connection, and hands over what comes. An error goes where the answer went so far.
pub(super) async fn ask(
    inner: &Inner,
    connection: &mut Connection,
    watch: &mut Watch<'_>,
    query: &Query,
    reply: Reply,
) -> (Result<(), Trouble>, Exit) {
    let mut exit = Exit::Reply(reply);
    let ended = attempt(inner, connection, watch, query, &mut exit).await;
    (ended, exit)
}

/// Where an error goes.
pub(super) enum Exit {
    /// To who waits for the columns.
    Reply(Reply),
    /// Behind the batches.
    Batches(mpsc::Sender<Result<RowBatch, SqlError>>),
    /// Nobody waits any more.
    Nowhere,
}

impl Exit {
    /// Tells an error.
    pub(super) async fn fail(self, error: SqlError) {
        match self {
            Exit::Reply(reply) => drop(reply.send(Err(error))),
            Exit::Batches(batches) => drop(batches.send(Err(error)).await),
            Exit::Nowhere => {}
        }
    }
}

async fn attempt(
    inner: &Inner,
    connection: &mut Connection,
    watch: &mut Watch<'_>,
    query: &Query,
    exit: &mut Exit,
) -> Result<(), Trouble> {
    let told = |kind, message: String| Trouble::Told(fault::own(&inner.place, kind, Certainty::NotBegun, message));
    let bound = bind::all(&query.parameters).map_err(|message| told(SqlErrorKind::Statement, message))?;
    let shape = inner.shapes.of(&inner.place, connection, watch, &query.sql, &bound).await?;
    let parameters: Vec<&dyn ToSql> = bound.iter().map(|bound| bound as &dyn ToSql).collect();
    let control = Arc::clone(&connection.control);
    let is_observed = shape.columns.is_none();
    if is_observed {
        control.observe();
    }
    let client = &mut connection.client;
    let asked =
        watch.drive(async move { client.query(shape_sql(&shape), &parameters).await.map(|stream| (stream, shape)) });
    let asked = asked.await;
    let (mut stream, shape) = judged(&inner.place, asked, watch.why())?;
    let first = judged(&inner.place, watch_next(watch, &mut stream).await, watch.why())?;
    let wire = match first {
        Some(QueryItem::Metadata(metadata)) => metadata.columns().to_vec(),
        _ => {
            let said = "the statement has no result; write a SELECT";
            return Err(told(SqlErrorKind::Statement, said.to_owned()));
        }
    };
    let (columns, readings, early, is_over) = match described(&shape, &wire) {
        Ok(Some((columns, readings))) => (columns, readings, Vec::new(), false),
        other => {
            if other.is_err() {
                inner.shapes.forget(&query.sql);
            }
            let (early, is_over) = look_ahead(inner, watch, &mut stream, &wire).await?;
            let (columns, readings) = cell::by_rows(&wire, &early);
            (columns, readings, early, is_over)
        }
    };
    let columns: Arc<[Column]> = columns.into();
    let (sender, batches) = mpsc::channel(AHEAD);
    if let Exit::Reply(reply) = std::mem::replace(exit, Exit::Batches(sender.clone())) {
        if reply.send(Ok(Rows { columns: Arc::clone(&columns), batches })).is_err() {
            watch.stop(Why::Left);
        }
        let there = sender.clone();
        watch.wait_for(Box::pin(async move { there.closed().await }));
    }
    let cells = Cells::new(readings, inner.config.max_value_bytes);
    let mut flow = Flow {
        cells: if is_observed { cells.seen(&control, 0) } else { cells },
        writer: BatchWriter::new(columns),
        sender,
        query,
        pace: Pace::new(query.max_rows_per_second),
    };
    let ended = pump(inner, watch, &mut stream, early, is_over, &mut flow).await;
    if flow.sender.is_closed() {
        *exit = Exit::Nowhere;
    }
    ended
}

fn shape_sql(shape: &Shape) -> String {
    shape.sql.clone()
}

async fn watch_next(
    watch: &mut Watch<'_>,
    stream: &mut QueryStream<'_>,
) -> Result<tiberius::Result<Option<QueryItem>>, super::watch::Abandoned> {
    let mut next = watch.drive(stream.try_next()).await;
    // What was stopped is read to its end.
    while watch.why().is_some() && matches!(next, Ok(Ok(Some(_)))) {
        next = watch.drive(stream.try_next()).await;
    }
    next
}

/// The columns, and how they are read.
type Described = (Vec<Column>, Vec<Reading>);

/// The columns as described; `None` where nothing is, an error where something else came.
fn described(shape: &Shape, wire: &[tiberius::Column]) -> Result<Option<Described>, ()> {
    let Some(described) = &shape.columns else { return Ok(None) };
    if described.len() != wire.len() {
        return Err(());
    }
    let each = described.iter().zip(wire).map(|(described, wire)| {
        let wire = wire.column_type();
        let kind = match described.kind {
            Some(kind) => kind,
            None => kind::of_wire(wire, None).unwrap_or(ColumnKind::Bytes { max: None }),
        };
        if !kind::agrees(kind, wire) {
            return Err(());
        }
        let (name, declared) = (described.name.clone(), described.declared.clone());
        Ok((Column { name, kind, declared, nullable: described.nullable }, Reading { kind, wire, is_guessed: false }))
    });
    each.collect::<Result<Vec<_>, ()>>().map(|all| Some(all.into_iter().unzip()))
}

/// The first rows, until every decimal's scale is known.
async fn look_ahead(
    inner: &Inner,
    watch: &mut Watch<'_>,
    stream: &mut QueryStream<'_>,
    wire: &[tiberius::Column],
) -> Result<(Vec<Row>, bool), Trouble> {
    let decimals: Vec<_> = (0..wire.len())
        .filter(|at| wire.get(*at).is_some_and(|column| kind::of_wire(column.column_type(), None).is_none()))
        .collect();
    let mut rows: Vec<Row> = Vec::new();
    let is_known = |rows: &[Row]| {
        decimals.iter().all(|at| {
            rows.iter().any(|row| matches!(row.get_column_data(*at), Ok(tiberius::ColumnData::Numeric(Some(_)))))
        })
    };
    while rows.len() < LOOKED_AT && !is_known(&rows) {
        match judged(&inner.place, watch_next(watch, stream).await, watch.why())? {
            Some(QueryItem::Row(row)) => rows.push(row),
            Some(QueryItem::Metadata(_)) => return Err(several(inner, watch, stream).await),
            None => return Ok((rows, true)),
        }
    }
    Ok((rows, false))
}

/// What is more than a result is not read.
async fn several(inner: &Inner, watch: &mut Watch<'_>, stream: &mut QueryStream<'_>) -> Trouble {
    let said = "the statement has more than one result; write one SELECT";
    let error = fault::own(&inner.place, SqlErrorKind::Statement, Certainty::NotBegun, said);
    watch.stop(Why::Left);
    match watch_next(watch, stream).await {
        Ok(Ok(_)) => Trouble::Told(error),
        Ok(Err(other)) if fault::is_in_step(&other) => Trouble::Told(error),
        _ => Trouble::Broken(error),
    }
}

/// Rows on their way to batches.
struct Flow<'q> {
    cells: Cells,
    writer: BatchWriter,
    sender: mpsc::Sender<Result<RowBatch, SqlError>>,
    query: &'q Query,
    pace: Pace,
}

async fn pump(
    inner: &Inner,
    watch: &mut Watch<'_>,
    stream: &mut QueryStream<'_>,
    early: Vec<Row>,
    is_over: bool,
    flow: &mut Flow<'_>,
) -> Result<(), Trouble> {
    for row in early {
        flow.row(watch, &row).await;
    }
    let mut is_over = is_over;
    while !is_over {
        match judged(&inner.place, watch_next(watch, stream).await, watch.why())? {
            Some(QueryItem::Row(row)) => flow.row(watch, &row).await,
            Some(QueryItem::Metadata(_)) => return Err(several(inner, watch, stream).await),
            None => is_over = true,
        }
    }
    if flow.writer.rows() > 0 {
        flow.send(watch).await;
    }
    // Whoever left before the last batch has not had all of it.
    match watch.why() {
        None => Ok(()),
        Some(why) => Err(Trouble::Told(super::exchange::stopped(&inner.place, why, true))),
    }
}

impl Flow<'_> {
    async fn row(&mut self, watch: &mut Watch<'_>, row: &Row) {
        self.cells.row(row, &mut self.writer);
        if self.writer.rows() >= u64::from(self.query.batch_rows.max(1)) || self.writer.size() >= self.query.batch_bytes
        {
            self.send(watch).await;
        }
        if let Some(pause) = self.pace.after_row() {
            tokio::select! {
                () = tokio::time::sleep(pause) => watch.extend(pause),
                () = self.sender.closed() => watch.stop(Why::Left),
            }
        }
    }

    /// Hands over a batch. Who is slow to take it is waited for, and not held against the server.
    async fn send(&mut self, watch: &mut Watch<'_>) {
        let batch = self.writer.take();
        if watch.why().is_some() {
            return;
        }
        let batch = match self.sender.try_send(Ok(batch)) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Closed(_)) => return watch.stop(Why::Left),
            Err(mpsc::error::TrySendError::Full(batch)) => batch,
        };
        let since = Instant::now();
        if self.sender.send(batch).await.is_err() {
            return watch.stop(Why::Left);
        }
        watch.extend(since.elapsed());
    }
}

/// Keeps to so many rows a second.
struct Pace {
    per_second: Option<u32>,
    since: Instant,
    rows: u64,
}

impl Pace {
    fn new(per_second: Option<u32>) -> Pace {
        Pace { per_second: per_second.filter(|rate| *rate > 0), since: Instant::now(), rows: 0 }
    }

    /// How long to wait now; it is looked at ten times a second.
    fn after_row(&mut self) -> Option<Duration> {
        let rate = u64::from(self.per_second?);
        self.rows += 1;
        if !self.rows.is_multiple_of((rate / 10).max(1)) {
            return None;
        }
        let due = Duration::from_secs_f64(self.rows as f64 / rate as f64);
        due.checked_sub(self.since.elapsed()).filter(|pause| !pause.is_zero())
    }
}
