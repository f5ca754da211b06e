//! Blocks of columns that the driver fills, and how wide and long they are.
//!
//! A block has a bounded number of bytes. Where the driver gives a value once more that had no room in its cell, cells are
//! as wide as values were seen to be; what is longer is asked for by itself, in pieces. Elsewhere a cell is as wide as the
//! column may be.

use std::sync::atomic::Ordering;

use odbc_api::buffers::{BufferDesc, ColumnarDynBuffer, Indicator};
use odbc_api::handles::{AsStatementRef, Statement, StatementRef};
use odbc_api::parameter::{Binary, Text, VarCell, VarKind, WideText};
use odbc_api::{Cursor, CursorImpl, Error};

use super::columns::{Ask, Planned};
use super::portal::Portal;
use super::{Setup, raw};

/// The most bytes of a block whose cells are as wide as columns may be.
const BLOCK: usize = 2 << 20;

/// The same of a block whose cells are as wide as values are: it stays in the processor's cache while it is filled and
/// written.
const SNUG: usize = 512 << 10;

/// The rows of the first block: most questions have no more. The driver holds as many, whatever their length.
const FIRST: usize = 32;
const FIRST_SNUG: usize = 16;

/// The units of a cell, of columns that are wider, before a value was seen.
const UNSEEN: usize = 256;

/// The most units of a cell. What is longer is read in pieces.
const CELL: usize = 4096;

/// A driver that fetches as many rows as a block has holds about so many bytes, by what was seen of them.
const HELD: usize = 2 << 20;

/// The most rows of a block where a row may have any length; what comes next may be longer than all that was seen.
const BOUNDLESS: usize = 256;

/// Rows that are not wider may be fetched by the thousand, whatever they turn out to be.
const BOUNDED: usize = 32 << 10;

/// Rows as they were fetched.
pub(super) struct Block {
    pub(super) cells: ColumnarDynBuffer,
    /// The units of each column that are no fault.
    pub(super) rooms: Vec<usize>,
    /// Values that had no room, by row and column.
    pub(super) long: Vec<Long>,
    capacity: usize,
    version: u32,
}

impl Block {
    /// How many rows it has room for.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }
}

/// A value that had no room in its cell.
pub(super) struct Long {
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) value: Whole,
}

/// A value as it was read by itself.
pub(super) enum Whole {
    Text(Vec<u8>),
    Wide(Vec<u16>),
    Bytes(Vec<u8>),
}

impl Whole {
    fn units(&self) -> usize {
        match self {
            Whole::Text(raw) | Whole::Bytes(raw) => raw.len(),
            Whole::Wide(units) => units.len(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Whole::Text(raw) | Whole::Bytes(raw) => raw.len(),
            Whole::Wide(units) => 2 * units.len(),
        }
    }
}

/// How blocks are made. It learns from those that were filled.
pub(super) struct Shape<'p> {
    plan: &'p [Planned],
    setup: &'p Setup,
    /// Whether the driver gives a value again that had no room.
    gives_again: bool,
    rooms: Vec<usize>,
    most: usize,
    rows: usize,
    has_seen: bool,
    trusts: bool,
    version: u32,
}

impl<'p> Shape<'p> {
    /// For blocks of at most so many rows.
    pub(super) fn new(plan: &'p [Planned], setup: &'p Setup, gives_again: bool, most: usize) -> Shape<'p> {
        let trusts = !setup.widths_lie.load(Ordering::Relaxed);
        let mut shape =
            Shape { plan, setup, gives_again, rooms: Vec::new(), most, rows: 0, has_seen: false, trusts, version: 0 };
        shape.rooms = plan.iter().map(|planned| shape.widest(planned.ask)).collect();
        let mut first = FIRST;
        if gives_again {
            let is_bounded = shape.width() <= BOUNDED;
            shape.most = if is_bounded { most } else { most.min(BOUNDLESS) };
            shape.rooms.iter_mut().for_each(|room| *room = (*room).min(UNSEEN));
            first = FIRST_SNUG;
        }
        shape.rows = first.min(shape.most).min((BLOCK / shape.width().max(1)).max(1));
        shape
    }

    /// The units that a value of a column has at most that is no fault.
    fn widest(&self, ask: Ask) -> usize {
        let limit = self.setup.config.max_value;
        match ask {
            Ask::Text { wide: true, declared: true, .. } if !self.trusts => limit / 2,
            Ask::Text { declared: true, .. } | Ask::Bytes { declared: true, .. } if !self.trusts => limit,
            Ask::Text { units, .. } | Ask::Bytes { units, .. } | Ask::Ascii { units, .. } => units,
            Ask::Marked { units } => units,
            Ask::Long | Ask::Double | Ask::Single | Ask::Bit => 0,
        }
    }

    /// The bytes of a row.
    fn width(&self) -> usize {
        self.plan.iter().zip(&self.rooms).map(|(planned, room)| description(planned.ask, *room).bytes_per_row()).sum()
    }

    /// How many blocks there are. Small ones are many, so that neither thread waits for the other to be woken.
    pub(super) fn ahead(&self) -> usize {
        if self.gives_again { BLOCK / SNUG } else { 2 }
    }

    /// An empty block.
    pub(super) fn block(&self) -> Result<Block, Error> {
        let descriptions = self.plan.iter().zip(&self.rooms).map(|(planned, room)| description(planned.ask, *room));
        let cells = ColumnarDynBuffer::try_from_descs(self.rows, descriptions)?;
        // The unit beyond the room shows that a value is too long only where nothing else does.
        let spare = usize::from(self.gives_again);
        let limit = self.setup.config.max_value;
        let rooms = self.plan.iter().zip(&self.rooms).map(|(planned, room)| match planned.ask {
            Ask::Text { wide: true, .. } => (room + spare).min(limit / 2),
            Ask::Text { .. } | Ask::Bytes { .. } => (room + spare).min(limit),
            _ => *room,
        });
        let rooms = rooms.collect();
        Ok(Block { cells, rooms, long: Vec::new(), capacity: self.rows, version: self.version })
    }

    /// The block if it is as blocks are made now, else another.
    pub(super) fn fitting(&mut self, block: Block) -> Result<Block, Error> {
        if self.trusts && self.setup.widths_lie.load(Ordering::Relaxed) {
            // What is bound from now on has room for what the driver gives.
            self.trusts = false;
            self.rooms = self.plan.iter().map(|planned| self.widest(planned.ask)).collect();
            self.resize(BLOCK, 0);
        }
        if block.version == self.version { Ok(block) } else { self.block() }
    }

    /// Makes use of what was seen. After the first blocks they have as many rows as may be.
    pub(super) fn learn(&mut self, block: &Block, rows: usize) {
        if !self.gives_again {
            if !self.has_seen {
                self.has_seen = true;
                self.resize(BLOCK, 0);
            }
            return;
        }
        if rows == 0 || (self.has_seen && block.long.is_empty()) {
            return;
        }
        let mut seen = vec![0; self.plan.len()];
        if !self.has_seen {
            self.rooms.iter_mut().zip(self.plan).for_each(|(room, planned)| {
                if matches!(planned.ask, Ask::Text { .. } | Ask::Bytes { .. }) {
                    *room = 0;
                }
            });
            for (index, (planned, longest)) in self.plan.iter().zip(&mut seen).enumerate() {
                *longest = longest_of(&block.cells, index, planned.ask, rows);
            }
        }
        for long in &block.long {
            if let Some(longest) = seen.get_mut(long.column) {
                *longest = long.value.units().max(*longest);
            }
        }
        for (index, longest) in seen.into_iter().enumerate() {
            let Some(planned) = self.plan.get(index) else { continue };
            let widest = self.widest(planned.ask);
            if let (Some(room), Ask::Text { .. } | Ask::Bytes { .. }) = (self.rooms.get_mut(index), planned.ask) {
                // A little more than was seen.
                let wanted = (longest + longest / 4 + 16).next_multiple_of(16).min(CELL);
                *room = wanted.max(*room).min(widest);
            }
        }
        self.has_seen = true;
        let long: usize = block.long.iter().map(|long| long.value.size()).sum();
        self.resize(SNUG, long / rows);
    }

    /// So many rows as have room; `beyond` are the bytes that a row has outside of its cells.
    fn resize(&mut self, room: usize, beyond: usize) {
        let width = self.width().max(1);
        let rows = (room / width).min(HELD / (width + beyond)).clamp(1, self.most.max(1));
        self.rows = rows;
        self.version += 1;
    }

    /// Asks once more for the values that had no room. The statement stands at the block, and nothing is bound to it.
    pub(super) fn ask_again(
        &self,
        statement: &mut StatementRef<'_>,
        block: &mut Block,
        rows: usize,
    ) -> Result<(), Error> {
        block.long.clear();
        if !self.gives_again {
            return Ok(());
        }
        let mut cut: Vec<(usize, usize)> = Vec::new();
        for (column, planned) in self.plan.iter().enumerate() {
            cut.extend(cut_of(&block.cells, column, planned.ask, rows).into_iter().map(|row| (row, column)));
        }
        cut.sort_unstable();
        let (mut at, limit) = (None, self.setup.config.max_value);
        for (row, column) in cut {
            if at != Some(row) {
                raw::go_to(statement, row)?;
                at = Some(row);
            }
            let number = u16::try_from(column + 1).unwrap_or(u16::MAX);
            let value = match self.plan.get(column).map(|planned| planned.ask) {
                Some(Ask::Text { wide: true, .. }) => {
                    let mut units = Vec::new();
                    read::<WideText>(limit / 2, &mut units, |cell| {
                        statement.get_data(number, cell).into_result(statement)
                    })?;
                    Whole::Wide(units)
                }
                Some(Ask::Bytes { .. }) => {
                    let mut bytes = Vec::new();
                    read::<Binary>(limit, &mut bytes, |cell| statement.get_data(number, cell).into_result(statement))?;
                    Whole::Bytes(bytes)
                }
                ask => {
                    let mut bytes = Vec::new();
                    // A row that comes as one text is longer than a value may be.
                    let limit = ask.map_or(limit, |ask| limit.max(self.widest(ask)));
                    read::<Text>(limit, &mut bytes, |cell| statement.get_data(number, cell).into_result(statement))?;
                    Whole::Text(bytes)
                }
            };
            block.long.push(Long { row, column, value });
        }
        Ok(())
    }
}

/// A result that is being fetched.
pub(super) type Rows<'s> = CursorImpl<StatementRef<'s>>;

/// A cursor, its block, and how many rows were fetched into it; `None` at the end.
pub(super) type Step<'s> = (Rows<'s>, Block, Result<Option<usize>, Error>);

/// Fetches one block; through a portal, more rows are asked for where those that were are read.
pub(super) fn step<'s>(
    cursor: Rows<'s>,
    block: Block,
    shape: &mut Shape<'_>,
    portal: Option<&mut Portal>,
) -> Result<Step<'s>, Error> {
    let Block { cells, rooms, long, capacity, version } = block;
    let (mut cursor, mut cells, mut fetched) = filled(cursor, cells)?;
    if let Some(portal) = portal {
        if matches!(fetched, Ok(None)) && portal.goes_on() {
            (cursor, cells, fetched) = filled(portal.next(cursor, capacity)?, cells)?;
        }
        if let Ok(Some(rows)) = fetched {
            portal.came(rows);
        }
    }
    let mut block = Block { cells, rooms, long, capacity, version };
    let fetched = match fetched {
        Ok(Some(rows)) => {
            let asked = shape.ask_again(&mut cursor.as_stmt_ref(), &mut block, rows);
            shape.learn(&block, rows);
            asked.map(|()| Some(rows))
        }
        fetched => fetched,
    };
    Ok((cursor, block, fetched))
}

/// A cursor, cells, and how many rows were fetched into them.
type Filled<'s> = (Rows<'s>, ColumnarDynBuffer, Result<Option<usize>, Error>);

fn filled(cursor: Rows<'_>, cells: ColumnarDynBuffer) -> Result<Filled<'_>, Error> {
    let mut bound = cursor.bind_buffer(cells)?;
    let fetched = bound.fetch().map(|block| block.map(ColumnarDynBuffer::num_rows));
    let (cursor, cells) = bound.unbind()?;
    Ok((cursor, cells, fetched))
}

/// What is bound to a column.
fn description(ask: Ask, room: usize) -> BufferDesc {
    // Room for one unit more, by which a value that is too long is known.
    match ask {
        Ask::Text { wide: true, .. } => BufferDesc::WText { max_str_len: room + 1 },
        Ask::Text { .. } | Ask::Marked { .. } | Ask::Ascii { .. } => BufferDesc::Text { max_str_len: room + 1 },
        Ask::Bytes { .. } => BufferDesc::Binary { max_bytes: room + 1 },
        Ask::Long => BufferDesc::I64 { nullable: true },
        Ask::Double => BufferDesc::F64 { nullable: true },
        Ask::Single => BufferDesc::F32 { nullable: true },
        Ask::Bit => BufferDesc::Bit { nullable: true },
    }
}

/// The rows whose cell of a column is full, so that more may be there.
fn cut_of(cells: &ColumnarDynBuffer, column: usize, ask: Ask, rows: usize) -> Vec<usize> {
    let cells = cells.column(column);
    match ask {
        Ask::Text { wide: true, .. } => match cells.as_wide_text() {
            Some(cells) if cells.has_truncated_values().is_some() => {
                let is_full = |row: &usize| cells.get(*row).is_some_and(|units| units.len() >= cells.max_len());
                (0..rows).filter(is_full).collect()
            }
            _ => Vec::new(),
        },
        Ask::Text { .. } => match cells.as_text() {
            Some(cells) if cells.has_truncated_values().is_some() => {
                let is_full = |row: &usize| cells.get(*row).is_some_and(|raw| raw.len() >= cells.max_len());
                (0..rows).filter(is_full).collect()
            }
            _ => Vec::new(),
        },
        Ask::Bytes { .. } => match cells.as_binary() {
            Some(cells) if cells.has_truncated_values().is_some() => {
                let full = (0..rows).filter_map(|row| cells.get(row)).map(<[u8]>::len).max().unwrap_or(0);
                (0..rows).filter(|row| cells.get(*row).is_some_and(|raw| raw.len() >= full)).collect()
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The units of the longest value of a column, as far as its cells have it.
fn longest_of(cells: &ColumnarDynBuffer, column: usize, ask: Ask, rows: usize) -> usize {
    let cells = cells.column(column);
    let longest = match ask {
        Ask::Text { wide: true, .. } => {
            cells.as_wide_text().and_then(|cells| (0..rows).filter_map(|row| Some(cells.get(row)?.len())).max())
        }
        Ask::Text { .. } => {
            cells.as_text().and_then(|cells| (0..rows).filter_map(|row| Some(cells.get(row)?.len())).max())
        }
        Ask::Bytes { .. } => {
            cells.as_binary().and_then(|cells| (0..rows).filter_map(|row| Some(cells.get(row)?.len())).max())
        }
        _ => None,
    };
    longest.unwrap_or(0)
}

/// A piece of a value.
pub(super) type Piece<'p, K> = VarCell<&'p mut [<K as VarKind>::Element], K>;

/// Reads a value in pieces, until one unit more is there than it may have. False for NULL.
pub(super) fn read<K: VarKind>(
    limit: usize,
    value: &mut Vec<K::Element>,
    mut next: impl FnMut(&mut Piece<'_, K>) -> Result<(), Error>,
) -> Result<bool, Error> {
    const PIECE: usize = 8192;
    value.clear();
    let mut piece = vec![K::ZERO; PIECE];
    loop {
        if let Some(last) = piece.last_mut() {
            *last = K::ZERO;
        }
        let mut target = Piece::<K>::from_buffer(piece.as_mut_slice(), Indicator::NoTotal);
        next(&mut target)?;
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
