//! Where answers go: collected into pieces, which the session writes; with the faults of rows.

use std::sync::Arc;

use rusqlite::types::{Value, ValueRef};
use tokio::sync::mpsc::Sender;

use super::Stop;
use super::control::Control;
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::faults::Faults;
use crate::support::tds_server::value::cast::{cast, unwrap_variant};
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

/// A value in another type than its own.
fn turned(value: ValueRef<'_>, own: &SqlType, to: &SqlType) -> Result<Value, SqlFault> {
    let value = Value::try_from(value).map_err(|error| SqlFault::new(0, error.to_string()))?;
    let inner = match (&value, own) {
        (Value::Text(text), SqlType::Variant) => unwrap_variant(text).map(|(_, inner)| inner),
        _ => None,
    };
    cast(inner.unwrap_or(value), to)
}

/// Whether TEXTSIZE bounds its values.
fn is_long(declared: &SqlType) -> bool {
    let is_old = matches!(declared, SqlType::Text(_) | SqlType::NText(_) | SqlType::Image);
    is_old || (declared.is_chunked() && *declared != SqlType::Xml)
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
    /// How the results to come are to look, instead of as they are.
    sets: Vec<Vec<Column>>,
    /// How the present one is to look.
    set: Option<Vec<Column>>,
    /// The most bytes of a long value.
    pub(crate) text_size: usize,
    /// Rows that are kept instead of sent.
    kept: Option<Vec<Vec<Value>>>,
}

impl Sink {
    pub(crate) fn new(pieces: Sender<Piece>, control: Arc<Control>, faults: Faults, server: String) -> Sink {
        Sink {
            out: Vec::new(),
            pieces,
            control,
            faults,
            server,
            pending: None,
            rows: 0,
            is_mute: false,
            sets: Vec::new(),
            set: None,
            text_size: usize::MAX,
            kept: None,
        }
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

    /// Results to come are to look like this (WITH RESULT SETS).
    pub(crate) fn retype(&mut self, sets: Vec<Vec<Column>>) {
        self.sets = sets;
        self.set = None;
    }

    pub(crate) fn columns(&mut self, columns: &[Column], order: &[u16]) -> Result<(), Stop> {
        if let Some(kept) = &mut self.kept {
            kept.clear();
        }
        self.set = if self.sets.is_empty() { None } else { Some(self.sets.remove(0)) };
        if self.set.as_ref().is_some_and(|set| set.len() != columns.len()) {
            let message =
                "EXECUTE statement failed because its WITH RESULT SETS clause specified another number of columns.";
            return Err(SqlFault::new(11_537, message).into());
        }
        let set = self.set.clone();
        let out = self.token();
        tokens::columns(set.as_deref().unwrap_or(columns), out);
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
        let set = self.set.take();
        for (at, own) in columns.iter().enumerate() {
            let column = set.as_ref().map_or(own, |set| &set[at]);
            match cell(at)? {
                ValueRef::Null if has_bits => {}
                ValueRef::Null => encode::null(&column.declared, &mut self.out),
                value if !spoilt && self.spoils(&column.declared) => {
                    spoilt = true;
                    self.spoil(&column.declared, value)?;
                }
                value if column.declared != own.declared => {
                    let turned = turned(value, &own.declared, &column.declared)?;
                    encode::value(&column.declared, column.nullable, (&turned).into(), &mut self.out)?;
                }
                value if self.text_size < usize::MAX && is_long(&column.declared) => {
                    let bytes = encode::bytes(&column.declared, value)?;
                    let most =
                        bytes.len().min(if column.declared.is_wide() { self.text_size & !1 } else { self.text_size });
                    let cut = ValueRef::Blob(&bytes[..most]);
                    encode::value(&column.declared, column.nullable, cut, &mut self.out)?;
                }
                value => encode::value(&column.declared, column.nullable, value, &mut self.out)?,
            }
        }
        self.set = set;
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
        let mut bytes = encode::bytes(declared, value)?;
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
