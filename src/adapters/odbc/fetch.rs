//! Rows out of the driver, in blocks of columns; and into files of rows.
//!
//! While the driver fetches a block on the connection's thread, another thread writes the one before.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use odbc_api::handles::StatementRef;
use odbc_api::parameter::{Binary, Text, WideText};
use odbc_api::{Cursor, CursorRow, Error};

use super::Setup;
use super::block::{Block, Rows, Shape, read, step};
use super::columns::{Ask, Planned};
use super::control::Control;
use super::portal::Portal;
use super::session::Session;
use super::writing::Writing;
use crate::decode::rows::BatchWriter;

/// Above this width of a row it is read value by value, in pieces, where a block would need a cell for each.
const WIDE_ROW: usize = 4 << 20;

/// Where rows go.
pub(super) trait Sink: Send {
    /// The writer of the rows.
    fn writer(&mut self) -> &mut BatchWriter;

    /// A row is complete. False where no more are wanted.
    fn row(&mut self) -> bool;
}

/// Why fetching ended before the end.
pub(super) enum Broken {
    /// The driver failed.
    Driver(Error),
    /// No more rows are wanted.
    Enough,
}

impl From<Error> for Broken {
    fn from(error: Error) -> Broken {
        Broken::Driver(error)
    }
}

/// How a result is fetched.
pub(super) struct Fetch<'f> {
    pub(super) session: &'f Session,
    pub(super) setup: &'f Setup,
    pub(super) control: &'f Control,
    pub(super) plan: &'f [Planned],
    /// The columns that the one of the plan is cut into, where a row comes as one text ([`super::line`]).
    pub(super) cut: Option<&'f [Planned]>,
    pub(super) max_rows_per_second: Option<u32>,
}

impl Fetch<'_> {
    /// Fetches to the end. The cursor comes back, so that whoever has the statement closes it or goes on to its next
    /// result.
    pub(super) fn all<'s>(
        &self,
        cursor: Rows<'s>,
        mut portal: Option<Portal>,
        sink: &mut dyn Sink,
    ) -> Result<StatementRef<'s>, Broken> {
        let quirks = self.session.quirks;
        let width: usize = self.plan.iter().map(|planned| planned.ask.width()).sum();
        if !quirks.fetches_blocks || (width > WIDE_ROW && !quirks.gives_again) {
            return self.by_value(cursor, sink);
        }
        let most = match self.max_rows_per_second {
            // So that the pace is kept over fractions of a second.
            Some(rate) => usize::try_from(rate / 5).unwrap_or(usize::MAX).clamp(1, self.setup.config.batch_rows),
            None => self.setup.config.batch_rows,
        };
        let mut shape = Shape::new(self.plan, self.setup, quirks.gives_again, most);
        let mut pace = Pace::new(self.max_rows_per_second);
        let (mut cursor, mut block, mut writing) = (cursor, shape.block()?, Writing::new(self));
        loop {
            let fetched;
            (cursor, block, fetched) = step(cursor, block, &mut shape, portal.as_mut())?;
            let rows = match fetched {
                Ok(Some(rows)) => rows,
                Ok(None) => return Ok(cursor.into_stmt()),
                Err(error) => return Err(left(cursor, Broken::Driver(error))),
            };
            if !writing.block(&block, sink) {
                return Err(left(cursor, Broken::Enough));
            }
            pace.wait(rows, self.control);
            if rows >= block.capacity() {
                drop(block);
                return self.overlapping(cursor, portal, shape, sink, pace);
            }
        }
    }

    /// The same with several blocks: one is fetched while another is written.
    fn overlapping<'s>(
        &self,
        cursor: Rows<'s>,
        mut portal: Option<Portal>,
        mut shape: Shape<'_>,
        sink: &mut dyn Sink,
        mut pace: Pace,
    ) -> Result<StatementRef<'s>, Broken> {
        let ahead = shape.ahead();
        let mut cursor = cursor;
        let mut spare = (0..ahead).map(|_| shape.block()).collect::<Result<Vec<_>, _>>()?;
        std::thread::scope(|scope| {
            let (full, to_write) = sync_channel::<Block>(ahead - 1);
            let (written, empty) = sync_channel::<Block>(ahead);
            let mut writing = Writing::new(self);
            let writer = std::thread::Builder::new().name("odbc-rows".to_owned()).spawn_scoped(scope, move || {
                while let Ok(block) = to_write.recv() {
                    if !writing.block(&block, sink) {
                        return Err(Broken::Enough);
                    }
                    // Where all is fetched nobody takes blocks back; those that wait are written all the same.
                    let _ = written.send(block);
                }
                Ok::<(), Broken>(())
            });
            let writer = match writer {
                Ok(writer) => writer,
                Err(fault) => return Err(Broken::Driver(Error::FailedReadingInput(fault))),
            };
            let fetched = loop {
                let block = match spare.pop() {
                    Some(block) => block,
                    None => match empty.recv() {
                        Ok(block) => block,
                        // The writer has ended, and says why when it is joined.
                        Err(_) => break Ok((cursor, false)),
                    },
                };
                let block = match shape.fitting(block) {
                    Ok(block) => block,
                    Err(error) => break Err((error, Some(cursor))),
                };
                let (next, block, fetched) = match step(cursor, block, &mut shape, portal.as_mut()) {
                    Ok(step) => step,
                    Err(error) => break Err((error, None)),
                };
                cursor = next;
                let rows = match fetched {
                    Ok(Some(rows)) => rows,
                    Ok(None) => break Ok((cursor, true)),
                    Err(error) => break Err((error, Some(cursor))),
                };
                if full.send(block).is_err() || self.control.stopped().is_some() {
                    break Ok((cursor, false));
                }
                pace.wait(rows, self.control);
            };
            drop(full);
            drop(empty);
            let joined = writer.join().unwrap_or(Err(Broken::Enough));
            match (fetched, joined) {
                (Err((error, cursor)), _) => {
                    let broken = Broken::Driver(error);
                    Err(match cursor {
                        Some(cursor) => left(cursor, broken),
                        None => broken,
                    })
                }
                (Ok((cursor, _)), Err(broken)) => Err(left(cursor, broken)),
                (Ok((cursor, true)), Ok(())) => Ok(cursor.into_stmt()),
                (Ok((cursor, false)), Ok(())) => Err(left(cursor, Broken::Enough)),
            }
        })
    }

    /// Value by value: where the driver gives no blocks, and where rows are too wide for them.
    fn by_value<'s>(&self, cursor: Rows<'s>, sink: &mut dyn Sink) -> Result<StatementRef<'s>, Broken> {
        let (mut cursor, mut writing, mut pieces) = (cursor, Writing::new(self), Pieces::default());
        let mut pace = Pace::new(self.max_rows_per_second);
        loop {
            let mut row = match cursor.next_row() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(cursor.into_stmt()),
                Err(error) => return Err(left(cursor, Broken::Driver(error))),
            };
            let out = sink.writer();
            out.begin();
            for (number, planned) in (1u16..).zip(self.plan) {
                if let Err(error) = self.value(&mut row, number, planned, &mut writing, &mut pieces, out) {
                    return Err(left(cursor, Broken::Driver(error)));
                }
            }
            out.end();
            if !sink.row() || self.control.stopped().is_some() {
                return Err(left(cursor, Broken::Enough));
            }
            pace.wait(1, self.control);
        }
    }

    fn value(
        &self,
        row: &mut CursorRow<'_>,
        number: u16,
        planned: &Planned,
        writing: &mut Writing<'_>,
        pieces: &mut Pieces,
        out: &mut BatchWriter,
    ) -> Result<(), Error> {
        let limit = self.setup.config.max_value;
        match planned.ask {
            Ask::Text { wide: true, .. } => {
                match read::<WideText>(limit / 2, &mut pieces.units, |cell| row.get_data(number, cell))? {
                    false => out.null(),
                    true => writing.wide(&pieces.units, limit / 2, false, out),
                }
            }
            Ask::Bytes { .. } => match read::<Binary>(limit, &mut pieces.bytes, |cell| row.get_data(number, cell))? {
                false => out.null(),
                true => writing.bytes(&pieces.bytes, limit, false, out),
            },
            Ask::Text { .. } => match read::<Text>(limit, &mut pieces.bytes, |cell| row.get_data(number, cell))? {
                false => out.null(),
                true => writing.narrow(&pieces.bytes, limit, false, out),
            },
            Ask::Marked { units } => match read::<Text>(units, &mut pieces.bytes, |cell| row.get_data(number, cell))? {
                false => out.null(),
                true => writing.marked(&pieces.bytes, units, out),
            },
            // A float's text has all its digits from drivers that are read in this way.
            ask => match read::<Text>(512, &mut pieces.bytes, |cell| row.get_data(number, cell))? {
                false => out.null(),
                true => {
                    let is_doubted = matches!(ask, Ask::Ascii { is_doubted: true, .. });
                    writing.ascii(planned.column.kind, is_doubted, &pieces.bytes, out);
                }
            },
        }
        Ok(())
    }
}

/// Leaves a result behind without closing it, which asks a connection that may be gone and must not fail: freeing the
/// statement closes it as well.
fn left(cursor: Rows<'_>, broken: Broken) -> Broken {
    cursor.into_stmt();
    broken
}

/// What is collected of one value.
#[derive(Default)]
struct Pieces {
    bytes: Vec<u8>,
    units: Vec<u16>,
}

/// Keeps to so many rows a second.
struct Pace {
    rate: Option<u32>,
    began: Instant,
    rows: f64,
}

impl Pace {
    fn new(rate: Option<u32>) -> Pace {
        Pace { rate, began: Instant::now(), rows: 0.0 }
    }

    fn wait(&mut self, rows: usize, control: &Control) {
        let Some(rate) = self.rate else { return };
        self.rows += rows as f64;
        let due = self.began + std::time::Duration::from_secs_f64(self.rows / f64::from(rate.max(1)));
        let _pause = control.pause();
        control.sleep_until(due);
    }
}

/// What the columns of a plan are.
pub(super) fn columns(plan: &[Planned]) -> Arc<[crate::decode::rows::Column]> {
    plan.iter().map(|planned| planned.column.clone()).collect()
}
