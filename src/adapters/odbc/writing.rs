//! Blocks of columns into files of rows.

use std::sync::atomic::Ordering;

use odbc_api::Bit;
use odbc_api::buffers::{BinColumnSlice, NullableSlice, TextColumnSlice};

use super::block::{Block, Long, Whole};
use super::columns::{Ask, Planned};
use super::fetch::{Fetch, Sink};
use super::{Setup, canon, line, told};
use crate::decode::code_page::CodePage;
use crate::decode::rows::{BatchWriter, CellFault, ColumnKind};

/// What psqlodbc says of the time `infinity`, and of the last second of the year 9999.
const FOR_EVER: &[u8] = b"9999-12-31 23:59:59";

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
    /// Text with a letter before it.
    Marked {
        cells: TextColumnSlice<'b, u8>,
        limit: usize,
    },
    /// ASCII, which may not be taken as it is.
    Doubted {
        cells: TextColumnSlice<'b, u8>,
        kind: ColumnKind,
    },
    Bit(NullableSlice<'b, Bit>),
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
pub(super) struct Writing<'w> {
    plan: &'w [Planned],
    cut: Option<&'w [Planned]>,
    setup: &'w Setup,
    page: &'w CodePage,
    /// The longest value, in bytes.
    limit: usize,
    /// Whether years may lack their leading zeros.
    has_short_years: bool,
    scratch: Vec<u8>,
}

impl<'w> Writing<'w> {
    pub(super) fn new(fetch: &Fetch<'w>) -> Writing<'w> {
        let Fetch { session, setup, plan, cut, .. } = *fetch;
        let (page, has_short_years) = (&session.page, session.quirks.writes_short_years);
        Writing { plan, cut, setup, page, limit: setup.config.max_value, has_short_years, scratch: Vec::new() }
    }

    /// Writes all rows of a block. False where no more are wanted.
    pub(super) fn block(&mut self, block: &Block, sink: &mut dyn Sink) -> bool {
        let cells = &block.cells;
        if let Some(plan) = self.cut {
            return self.lines(plan, block, sink);
        }
        let views: Vec<_> = self.plan.iter().enumerate().map(|(index, planned)| view(block, index, planned)).collect();
        let mut long = block.long.iter().peekable();
        for row in 0..cells.num_rows() {
            let out = sink.writer();
            out.begin();
            if long.peek().is_some_and(|long| long.row == row) {
                for (column, view) in views.iter().enumerate() {
                    match long.next_if(|long| long.row == row && long.column == column) {
                        Some(long) => self.long(&long.value, out),
                        None => self.cell(view, row, out),
                    }
                }
            } else {
                for view in &views {
                    self.cell(view, row, out);
                }
            }
            out.end();
            if !sink.row() {
                return false;
            }
        }
        true
    }

    /// The same of rows that came as one text each.
    fn lines(&mut self, plan: &[Planned], block: &Block, sink: &mut dyn Sink) -> bool {
        let cells = block.cells.column(0).as_text();
        let mut long = block.long.iter().peekable();
        for row in 0..block.cells.num_rows() {
            let raw = match long.next_if(|long| long.row == row) {
                Some(Long { value: Whole::Text(raw), .. }) => Some(raw.as_slice()),
                _ => cells.as_ref().and_then(|cells| cells.get(row)),
            };
            let out = sink.writer();
            out.begin();
            line::write(plan, raw.unwrap_or_default(), out, |planned, value, out| match planned.column.kind {
                ColumnKind::Text { .. } => self.narrow(value, self.limit, false, out),
                kind => canon::ascii(kind, value, &mut self.scratch, out),
            });
            out.end();
            if !sink.row() {
                return false;
            }
        }
        true
    }

    /// A value for which its cell had no room, and which was asked for once more.
    fn long(&mut self, value: &Whole, out: &mut BatchWriter) {
        match value {
            Whole::Text(raw) => self.narrow(raw, self.limit, false, out),
            Whole::Wide(units) => self.wide(units, self.limit / 2, false, out),
            Whole::Bytes(raw) => self.bytes(raw, self.limit, false, out),
        }
    }

    /// A value that was read by itself.
    pub(super) fn ascii(&mut self, kind: ColumnKind, is_doubted: bool, raw: &[u8], out: &mut BatchWriter) {
        if !is_doubted {
            canon::ascii(kind, raw, &mut self.scratch, out);
        } else if self.has_short_years {
            canon::ascii(kind, &canon::with_whole_year(raw), &mut self.scratch, out);
        } else if raw == FOR_EVER {
            out.fault(CellFault::Invalid, raw);
        } else {
            canon::ascii(kind, raw, &mut self.scratch, out);
        }
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
            View::Doubted { cells, kind } => match cells.get(row) {
                Some(raw) => self.ascii(*kind, true, raw, out),
                None => out.null(),
            },
            View::Marked { cells, limit } => match cells.get(row) {
                Some(raw) => self.marked(raw, *limit, out),
                None => out.null(),
            },
            View::Bit(cells) => match cells.get(row) {
                Some(bit) => out.value(if bit.as_bool() { b"1" } else { b"0" }),
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

    /// A value of SQLite's that says what it is.
    pub(super) fn marked(&self, raw: &[u8], limit: usize, out: &mut BatchWriter) {
        let limit = limit - 1;
        match raw {
            [told::TEXT, text @ ..] => self.narrow(text, limit, false, out),
            [mark @ (told::HEX | told::BYTES), digits @ ..] => {
                let raw: Vec<u8> = digits.chunks_exact(2).filter_map(byte).collect();
                match *mark {
                    _ if digits.len() > limit => out.fault(CellFault::TooLong, &raw),
                    told::BYTES => out.fault(CellFault::Invalid, &raw),
                    _ => self.narrow(&raw, limit, false, out),
                }
            }
            number => self.narrow(number, limit, false, out),
        }
    }

    pub(super) fn narrow(&self, raw: &[u8], limit: usize, declared: bool, out: &mut BatchWriter) {
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

    pub(super) fn wide(&mut self, units: &[u16], limit: usize, declared: bool, out: &mut BatchWriter) {
        match units.get(..limit) {
            Some(kept) if units.len() > limit => {
                let raw: Vec<u8> = kept.iter().flat_map(|unit| unit.to_le_bytes()).collect();
                out.fault(self.over(declared), &raw);
            }
            _ => canon::wide(units, &mut self.scratch, out),
        }
    }

    pub(super) fn bytes(&self, raw: &[u8], limit: usize, declared: bool, out: &mut BatchWriter) {
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

/// The byte of two hexadecimal digits.
fn byte(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn view<'b>(block: &'b Block, index: usize, planned: &Planned) -> View<'b> {
    let cells = block.cells.column(index);
    let limit = block.rooms.get(index).copied().unwrap_or(0);
    let found = match planned.ask {
        Ask::Text { wide: true, declared, .. } => {
            cells.as_wide_text().map(|cells| View::Wide { limit, declared, cells })
        }
        Ask::Text { declared, .. } => cells.as_text().map(|cells| View::Narrow { limit, declared, cells }),
        Ask::Ascii { is_doubted: false, .. } => {
            cells.as_text().map(|cells| View::Ascii { cells, kind: planned.column.kind })
        }
        Ask::Ascii { .. } => cells.as_text().map(|cells| View::Doubted { cells, kind: planned.column.kind }),
        Ask::Marked { .. } => cells.as_text().map(|cells| View::Marked { cells, limit }),
        Ask::Bit => cells.as_nullable_slice::<Bit>().map(View::Bit),
        Ask::Long => cells.as_nullable_slice::<i64>().map(View::Long),
        Ask::Double => cells.as_nullable_slice::<f64>().map(View::Double),
        Ask::Single => cells.as_nullable_slice::<f32>().map(View::Single),
        Ask::Bytes { declared, .. } => cells.as_binary().map(|cells| View::Bytes { limit, declared, cells }),
    };
    found.unwrap_or(View::Nothing)
}
