//! Where answers go: collected into pieces, which the session writes; with the faults of rows.

use std::sync::Arc;

use rusqlite::types::{Value, ValueRef};
use tokio::sync::mpsc::Sender;

use super::Stop;
use super::control::Control;
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::faults::Faults;
use crate::support::tds_server::value::types::SqlType;
use crate::support::tds_server::wire::encode;
use crate::support::tds_server::wire::tokens::{self, Column, Done, done};

/// A piece of an answer.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// Rows so far.
    Rows(u64),
    /// What was written so far is to be seen although it fills no packet.
    Show,
    /// What was sent is to be torn off.
    Tear,
    /// The connection ends; behind a whole answer or without one.
    Close(bool),
}

/// Bytes that are collected before they are handed over.
const ENOUGH: usize = 32 * 1024;

pub(crate) struct Sink {
    out: Vec<u8>,
    pieces: Sender<Piece>,
    control: Arc<Control>,
    pub(crate) faults: Faults,
    pub(crate) server: String,
    /// A DONE, until it is known whether more follows.
    pending: Option<(Done, u16, u16, u64)>,
    rows: u64,
    is_mute: bool,
    /// Rows that are kept instead of sent.
    kept: Option<Vec<Vec<Value>>>,
}

impl Sink {
    pub(crate) fn new(pieces: Sender<Piece>, control: Arc<Control>, faults: Faults, server: String) -> Sink {
        Sink { out: Vec::new(), pieces, control, faults, server, pending: None, rows: 0, is_mute: false, kept: None }
    }

    /// Sends nothing: keeps the rows of the last result.
    pub(crate) fn kept(server: String) -> Sink {
        let (pieces, _) = tokio::sync::mpsc::channel(1);
        let sink = Sink::new(pieces, Arc::default(), Faults::default(), server);
        Sink { kept: Some(Vec::new()), ..sink }
    }

    pub(crate) fn kept_rows(self) -> Vec<Vec<Value>> {
        self.kept.unwrap_or_default()
    }

    /// Nothing that follows is told.
    pub(crate) fn mute(&mut self) {
        self.is_mute = true;
    }

    /// Where the next token goes.
    pub(crate) fn token(&mut self) -> &mut Vec<u8> {
        if let Some((kind, status, command, rows)) = self.pending.take() {
            tokens::done(kind, status | done::MORE, command, rows, &mut self.out);
        }
        &mut self.out
    }

    pub(crate) fn done(&mut self, kind: Done, status: u16, command: u16, rows: u64) {
        self.token();
        self.pending = Some((kind, status, command, rows));
    }

    pub(crate) fn columns(&mut self, columns: &[Column], order: &[u16]) -> Result<(), Stop> {
        if let Some(kept) = &mut self.kept {
            kept.clear();
        }
        let out = self.token();
        tokens::columns(columns, out);
        if !order.is_empty() {
            tokens::order(order, out);
        }
        self.control.check()
    }

    /// One row.
    pub(crate) fn row<'v>(
        &mut self,
        columns: &[Column],
        cell: impl Fn(usize) -> Result<ValueRef<'v>, SqlFault>,
    ) -> Result<(), Stop> {
        self.before_row()?;
        if let Some(kept) = &mut self.kept {
            let owned = |at| cell(at).map(|value| Value::try_from(value).unwrap_or(Value::Null));
            kept.push((0..columns.len()).map(owned).collect::<Result<_, _>>()?);
        }
        let start = self.out.len();
        let mut nulls = vec![0u8; columns.len().div_ceil(8)];
        let mut count = 0;
        for at in 0..columns.len() {
            if cell(at)? == ValueRef::Null {
                nulls[at / 8] |= 1 << (at % 8);
                count += 1;
            }
        }
        // One NULL is told in its place, more of them before all: both forms travel.
        let has_bits = count > 1;
        self.out.push(if has_bits { tokens::ROW_WITH_NULLS } else { tokens::ROW });
        if has_bits {
            self.out.extend_from_slice(&nulls);
        }
        let mut spoilt = false;
        for (at, column) in columns.iter().enumerate() {
            match cell(at)? {
                ValueRef::Null if has_bits => {}
                ValueRef::Null => encode::null(&column.declared, &mut self.out),
                value if !spoilt && self.spoils(&column.declared) => {
                    spoilt = true;
                    self.spoil(&column.declared, value)?;
                }
                value => encode::value(&column.declared, column.nullable, value, &mut self.out)?,
            }
        }
        self.rows += 1;
        if self.faults.cut_after_rows.is_some_and(|rows| self.rows > rows) {
            let half = start + (self.out.len() - start) / 2;
            self.out.truncate(half.max(start + 1));
            self.hand_over()?;
            let _ = self.pieces.blocking_send(Piece::Tear);
            return Err(Stop::Cancelled);
        }
        if self.out.len() >= ENOUGH { self.hand_over() } else { Ok(()) }
    }

    fn before_row(&mut self) -> Result<(), Stop> {
        self.control.check()?;
        if let Some((rows, time)) = self.faults.stall_mid_rows
            && self.rows == rows
        {
            self.hand_over()?;
            self.pieces.blocking_send(Piece::Show).map_err(|_| Stop::Cancelled)?;
            self.control.sleep(time)?;
        }
        if self.faults.bad_token_after_rows == Some(self.rows) {
            self.out.push(0x11);
        }
        Ok(())
    }

    fn spoils(&self, declared: &SqlType) -> bool {
        let sized = matches!(declared, SqlType::NVarChar(..) | SqlType::VarChar(..)) && !declared.is_chunked();
        (self.faults.too_long && sized) || (self.faults.invalid_utf16 && declared.is_wide())
    }

    fn spoil(&mut self, declared: &SqlType, value: ValueRef<'_>) -> Result<(), SqlFault> {
        let mut bytes = match value {
            ValueRef::Text(text) if declared.is_wide() => encode::wide(&String::from_utf8_lossy(text)),
            ValueRef::Text(text) => text.to_vec(),
            other => other.as_blob().map(<[u8]>::to_vec).unwrap_or_default(),
        };
        if self.faults.too_long {
            let length = usize::try_from(declared.bytes()).unwrap_or(0) + 20;
            let filler: &[u8] = if declared.is_wide() { &[b'x', 0] } else { b"x" };
            while bytes.len() < length {
                bytes.extend_from_slice(filler);
            }
        } else {
            bytes.extend_from_slice(&[0x3D, 0xD8]);
        }
        encode::value(declared, true, ValueRef::Blob(&bytes), &mut self.out)
    }

    /// Hands over what was collected.
    pub(crate) fn hand_over(&mut self) -> Result<(), Stop> {
        let bytes = std::mem::replace(&mut self.out, Vec::with_capacity(ENOUGH + 1024));
        self.control.check()?;
        if self.is_mute || self.kept.is_some() {
            return Ok(());
        }
        for piece in [Piece::Bytes(bytes), Piece::Rows(self.rows)] {
            self.pieces.blocking_send(piece).map_err(|_| Stop::Cancelled)?;
        }
        Ok(())
    }

    /// The end of the answer.
    pub(crate) fn finish(mut self, closes: bool) {
        let (kind, status, command, rows) = self.pending.take().unwrap_or((Done::Batch, 0, 0, 0));
        tokens::done(kind, status, command, rows, &mut self.out);
        if !self.is_mute {
            let _ = self.pieces.blocking_send(Piece::Bytes(self.out));
            let _ = self.pieces.blocking_send(Piece::Rows(self.rows));
        }
        if closes {
            let _ = self.pieces.blocking_send(Piece::Close(!self.is_mute));
        }
    }
}
