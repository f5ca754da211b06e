//! Rows out of the driver, in blocks of columns; and into files of rows.
//!
//! While the driver fetches a block on the connection's thread, another thread writes the one before. A block is a few
//! MiB at most, whatever the columns are: wide ones make it have fewer rows. Every column has room for one unit more than
//! a value may have, so that what is too long shows by its length and is never taken for the whole.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use odbc_api::buffers::{BinColumnSlice, BufferDesc, ColumnarDynBuffer, Indicator, NullableSlice, TextColumnSlice};
use odbc_api::handles::StatementRef;
use odbc_api::parameter::{Binary, Text, VarCell, VarKind, WideText};
use odbc_api::{Cursor, CursorImpl, CursorRow, Error};

use super::Setup;
use super::canon;
use super::columns::{Ask, Planned};
use super::control::Control;
use super::session::Session;
use crate::decode::code_page::CodePage;
use crate::decode::rows::{BatchWriter, CellFault, ColumnKind};

/// The most bytes of a block. Two are in use at a time.
const BLOCK: usize = 2 << 20;

/// The rows of the first block: most questions have no more.
const FIRST: usize = 32;

/// Above this width of a row it is read value by value, in pieces.
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
    pub(super) max_rows_per_second: Option<u32>,
}

type Rows<'s> = CursorImpl<StatementRef<'s>>;

impl Fetch<'_> {
    /// Fetches to the end. The cursor comes back, so that whoever has the statement closes it or goes on to its next
    /// result.
    pub(super) fn all<'s>(&self, cursor: Rows<'s>, sink: &mut dyn Sink) -> Result<StatementRef<'s>, Broken> {
        let width: usize = self.plan.iter().map(|planned| planned.ask.width()).sum();
        if !self.session.quirks.fetches_blocks || width > WIDE_ROW {
            return self.by_value(cursor, sink);
        }
        let most = (BLOCK / width.max(1)).clamp(1, self.setup.config.batch_rows);
        let most = match self.max_rows_per_second {
            // So that the pace is kept over fractions of a second.
            Some(rate) => most.min(usize::try_from(rate / 5).unwrap_or(usize::MAX).max(1)),
            None => most,
        };
        let mut pace = Pace::new(self.max_rows_per_second);
        let first = most.min(FIRST);
        let (mut cursor, mut block, mut writing) = (cursor, self.block(first)?, Writing::new(self));
        loop {
            let fetched;
            (cursor, block, fetched) = step(cursor, block)?;
            let rows = match fetched {
                Ok(Some(rows)) => rows,
                Ok(None) => return Ok(cursor.into_stmt()),
                Err(error) => return Err(left(cursor, Broken::Driver(error))),
            };
            if let Err(broken) = writing.block(&block, sink) {
                return Err(left(cursor, broken));
            }
            pace.wait(rows, self.control);
            if rows >= first {
                drop(block);
                return self.overlapping(cursor, most, sink, pace);
            }
        }
    }

    /// The same with two blocks: one is fetched while the other is written.
    fn overlapping<'s>(
        &self,
        cursor: Rows<'s>,
        most: usize,
        sink: &mut dyn Sink,
        mut pace: Pace,
    ) -> Result<StatementRef<'s>, Broken> {
        let (mut cursor, mut spare) = (cursor, vec![self.block(most)?, self.block(most)?]);
        let mut trust = !self.setup.widths_lie.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            let (full, to_write) = sync_channel::<ColumnarDynBuffer>(1);
            let (written, empty) = sync_channel::<ColumnarDynBuffer>(2);
            let mut writing = Writing::new(self);
            let writer = std::thread::Builder::new().name("odbc-rows".to_owned()).spawn_scoped(scope, move || {
                while let Ok(block) = to_write.recv() {
                    writing.block(&block, sink)?;
                    if written.send(block).is_err() {
                        break;
                    }
                }
                Ok::<(), Broken>(())
            });
            let writer = match writer {
                Ok(writer) => writer,
                Err(fault) => return Err(Broken::Driver(Error::FailedReadingInput(fault))),
            };
            let fetched = loop {
                let mut block = match spare.pop() {
                    Some(block) => block,
                    None => match empty.recv() {
                        Ok(block) => block,
                        // The writer has ended, and says why when it is joined.
                        Err(_) => break Ok((cursor, false)),
                    },
                };
                if trust && self.setup.widths_lie.load(Ordering::Relaxed) {
                    // What is bound from now on has room for what the driver gives.
                    trust = false;
                    spare.clear();
                    block = match self.block(most) {
                        Ok(block) => block,
                        Err(error) => break Err((error, Some(cursor))),
                    };
                }
                let (next, block, fetched) = match step(cursor, block) {
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

    fn block(&self, rows: usize) -> Result<ColumnarDynBuffer, Error> {
        let lies = self.setup.widths_lie.load(Ordering::Relaxed);
        let max_value = self.setup.config.max_value;
        let descriptions = self.plan.iter().map(|planned| match planned.ask {
            Ask::Text { wide: true, units, declared } => {
                let units = if declared && lies { max_value / 2 } else { units };
                BufferDesc::WText { max_str_len: units + 1 }
            }
            Ask::Text { units, declared, .. } => {
                let units = if declared && lies { max_value } else { units };
                BufferDesc::Text { max_str_len: units + 1 }
            }
            Ask::Ascii { units } => BufferDesc::Text { max_str_len: units + 1 },
            Ask::Long => BufferDesc::I64 { nullable: true },
            Ask::Double => BufferDesc::F64 { nullable: true },
            Ask::Single => BufferDesc::F32 { nullable: true },
            Ask::Bytes { units, declared } => {
                let units = if declared && lies { max_value } else { units };
                BufferDesc::Binary { max_bytes: units + 1 }
            }
        });
        let descriptions: Vec<_> = descriptions.collect();
        let width: usize = descriptions.iter().map(BufferDesc::bytes_per_row).sum();
        let rows = rows.min((2 * BLOCK / width.max(1)).max(1));
        ColumnarDynBuffer::try_from_descs(rows, descriptions)
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
            Ask::Text { wide: true, .. } => match read::<WideText>(row, number, limit / 2, &mut pieces.units)? {
                false => out.null(),
                true => writing.wide(&pieces.units, limit / 2, false, out),
            },
            Ask::Bytes { .. } => match read::<Binary>(row, number, limit, &mut pieces.bytes)? {
                false => out.null(),
                true => writing.bytes(&pieces.bytes, limit, false, out),
            },
            Ask::Text { .. } => match read::<Text>(row, number, limit, &mut pieces.bytes)? {
                false => out.null(),
                true => writing.narrow(&pieces.bytes, limit, false, out),
            },
            // A float's text has all its digits from drivers that are read in this way.
            Ask::Ascii { .. } | Ask::Long | Ask::Double | Ask::Single => {
                match read::<Text>(row, number, 512, &mut pieces.bytes)? {
                    false => out.null(),
                    true => canon::ascii(planned.column.kind, &pieces.bytes, &mut writing.scratch, out),
                }
            }
        }
        Ok(())
    }
}

/// A cursor, its block, and how many rows were fetched into it; `None` at the end.
type Step<'s> = (Rows<'s>, ColumnarDynBuffer, Result<Option<usize>, Error>);

/// Fetches one block.
fn step(cursor: Rows<'_>, block: ColumnarDynBuffer) -> Result<Step<'_>, Error> {
    let mut bound = cursor.bind_buffer(block)?;
    let fetched = bound.fetch().map(|block| block.map(ColumnarDynBuffer::num_rows));
    let (cursor, block) = bound.unbind()?;
    Ok((cursor, block, fetched))
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

/// Reads a value in pieces, until one unit more is there than it may have. False for NULL.
fn read<K: VarKind>(
    row: &mut CursorRow<'_>,
    number: u16,
    limit: usize,
    value: &mut Vec<K::Element>,
) -> Result<bool, Error> {
    const PIECE: usize = 8192;
    value.clear();
    let mut piece = vec![K::ZERO; PIECE];
    loop {
        if let Some(last) = piece.last_mut() {
            *last = K::ZERO;
        }
        let mut target = VarCell::<&mut [K::Element], K>::from_buffer(piece.as_mut_slice(), Indicator::NoTotal);
        row.get_data(number, &mut target)?;
        let indicator = target.indicator();
        let room = PIECE - K::TERMINATING_ZEROES;
        let (got, is_last) = match indicator {
            Indicator::Null => return Ok(false),
            Indicator::NoTotal => (room, false),
            Indicator::Length(bytes) => {
                let units = bytes / size_of::<K::Element>();
                (units.min(room), units <= room)
            }
        };
        value.extend_from_slice(piece.get(..got).unwrap_or_default());
        if is_last || value.len() > limit {
            value.truncate(limit + 1);
            return Ok(true);
        }
    }
}

/// A column of a block.
enum View<'b> {
    Narrow {
        cells: TextColumnSlice<'b, u8>,
        limit: usize,
        declared: bool,
    },
    Wide {
        cells: TextColumnSlice<'b, u16>,
        limit: usize,
        declared: bool,
    },
    Ascii {
        cells: TextColumnSlice<'b, u8>,
        kind: ColumnKind,
    },
    Long(NullableSlice<'b, i64>),
    Double(NullableSlice<'b, f64>),
    Single(NullableSlice<'b, f32>),
    Bytes {
        cells: BinColumnSlice<'b>,
        limit: usize,
        declared: bool,
    },
    /// A buffer of another type than was asked for; there is none.
    Nothing,
}

/// Writes blocks into a file of rows.
struct Writing<'w> {
    plan: &'w [Planned],
    setup: &'w Setup,
    page: &'w CodePage,
    scratch: Vec<u8>,
}

impl<'w> Writing<'w> {
    fn new(fetch: &Fetch<'w>) -> Writing<'w> {
        Writing { plan: fetch.plan, setup: fetch.setup, page: &fetch.session.page, scratch: Vec::new() }
    }

    fn block(&mut self, block: &ColumnarDynBuffer, sink: &mut dyn Sink) -> Result<(), Broken> {
        let views: Vec<_> = self.plan.iter().enumerate().map(|(index, planned)| view(block, index, planned)).collect();
        for row in 0..block.num_rows() {
            let out = sink.writer();
            out.begin();
            for view in &views {
                self.cell(view, row, out);
            }
            out.end();
            if !sink.row() {
                return Err(Broken::Enough);
            }
        }
        Ok(())
    }

    fn cell(&mut self, view: &View<'_>, row: usize, out: &mut BatchWriter) {
        match view {
            View::Narrow { cells, limit, declared } => match cells.get(row) {
                Some(raw) => self.narrow(raw, *limit, *declared, out),
                None => out.null(),
            },
            View::Ascii { cells, kind } => match cells.get(row) {
                Some(raw) => canon::ascii(*kind, raw, &mut self.scratch, out),
                None => out.null(),
            },
            View::Wide { cells, limit, declared } => match cells.get(row) {
                Some(units) => self.wide(units, *limit, *declared, out),
                None => out.null(),
            },
            View::Bytes { cells, limit, declared } => match cells.get(row) {
                Some(raw) => self.bytes(raw, *limit, *declared, out),
                None => out.null(),
            },
            View::Long(cells) => match cells.get(row) {
                Some(value) => out.value(itoa::Buffer::new().format(*value).as_bytes()),
                None => out.null(),
            },
            View::Double(cells) => match cells.get(row) {
                Some(value) => canon::double(*value, &mut self.scratch, out),
                None => out.null(),
            },
            View::Single(cells) => match cells.get(row) {
                Some(value) => canon::single(*value, &mut self.scratch, out),
                None => out.null(),
            },
            View::Nothing => out.fault(CellFault::Invalid, &[]),
        }
    }

    fn narrow(&self, raw: &[u8], limit: usize, declared: bool, out: &mut BatchWriter) {
        if raw.len() > limit {
            return out.fault(self.over(declared), &raw[..limit]);
        }
        if self.page.is_utf8() {
            return match std::str::from_utf8(raw) {
                Ok(_) => out.value(raw),
                Err(_) => out.fault(CellFault::Encoding, raw),
            };
        }
        match self.page.decode(raw) {
            Ok(text) => out.value(text.as_bytes()),
            Err(_) => out.fault(CellFault::Encoding, raw),
        }
    }

    fn wide(&mut self, units: &[u16], limit: usize, declared: bool, out: &mut BatchWriter) {
        match units.get(..limit) {
            Some(kept) if units.len() > limit => {
                let raw: Vec<u8> = kept.iter().flat_map(|unit| unit.to_le_bytes()).collect();
                out.fault(self.over(declared), &raw);
            }
            _ => canon::wide(units, &mut self.scratch, out),
        }
    }

    fn bytes(&self, raw: &[u8], limit: usize, declared: bool, out: &mut BatchWriter) {
        if raw.len() > limit { out.fault(self.over(declared), &raw[..limit]) } else { out.value(raw) }
    }

    /// The fault of a value for which there is no room. Where the driver has said that there is none as long, it is not
    /// believed any more.
    fn over(&self, declared: bool) -> CellFault {
        if !declared {
            return CellFault::TooLong;
        }
        self.setup.widths_lie.store(true, Ordering::Relaxed);
        CellFault::Truncated
    }
}

fn view<'b>(block: &'b ColumnarDynBuffer, index: usize, planned: &Planned) -> View<'b> {
    let cells = block.column(index);
    let found = match planned.ask {
        // A buffer may have been made wider than was planned.
        Ask::Text { wide: true, declared, .. } => {
            cells.as_wide_text().map(|cells| View::Wide { limit: cells.max_len() - 1, declared, cells })
        }
        Ask::Text { declared, .. } => {
            cells.as_text().map(|cells| View::Narrow { limit: cells.max_len() - 1, declared, cells })
        }
        Ask::Ascii { .. } => cells.as_text().map(|cells| View::Ascii { cells, kind: planned.column.kind }),
        Ask::Long => cells.as_nullable_slice::<i64>().map(View::Long),
        Ask::Double => cells.as_nullable_slice::<f64>().map(View::Double),
        Ask::Single => cells.as_nullable_slice::<f32>().map(View::Single),
        Ask::Bytes { units, declared } => cells.as_binary().map(|cells| View::Bytes { limit: units, declared, cells }),
    };
    found.unwrap_or(View::Nothing)
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
        control.sleep_until(due);
    }
}

/// What the columns of a plan are.
pub(super) fn columns(plan: &[Planned]) -> Arc<[crate::decode::rows::Column]> {
    plan.iter().map(|planned| planned.column.clone()).collect()
}
