//! Tokens of answers (MS-TDS 2.2.7).

use super::encode::{self, wide};
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::value::types::SqlType;

/// Bits of the status of DONE.
pub(crate) mod done {
    pub(crate) const MORE: u16 = 0x01;
    pub(crate) const ERROR: u16 = 0x02;
    pub(crate) const COUNT: u16 = 0x10;
    pub(crate) const ATTENTION: u16 = 0x20;
    pub(crate) const SERVER_ERROR: u16 = 0x100;
}

/// Which DONE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Of a statement of a batch.
    Batch = 0xFD,
    /// Of a procedure.
    Procedure = 0xFE,
    /// Of a statement in a procedure.
    InProcedure = 0xFF,
}

pub(crate) const ROW: u8 = 0xD1;
pub(crate) const ROW_WITH_NULLS: u8 = 0xD2;

/// A column of a result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) declared: SqlType,
    pub(crate) nullable: bool,
    pub(crate) identity: bool,
    pub(crate) computed: bool,
}

impl Column {
    pub(crate) fn new(name: &str, declared: SqlType) -> Column {
        Column { name: name.to_owned(), declared, nullable: true, identity: false, computed: false }
    }
}

/// Text with its length in units, in a byte.
fn short_text(text: &str, out: &mut Vec<u8>) {
    let bytes = wide(text);
    out.push((bytes.len() / 2) as u8);
    out.extend_from_slice(&bytes);
}

/// Text with its length in units, in two bytes.
fn text(text: &str, out: &mut Vec<u8>) {
    let bytes = wide(text);
    out.extend_from_slice(&((bytes.len() / 2) as u16).to_le_bytes());
    out.extend_from_slice(&bytes);
}

/// A token with its length in two bytes.
fn sized(token: u8, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[token, 0, 0]);
    let start = out.len();
    fill(out);
    let length = ((out.len() - start) as u16).to_le_bytes();
    out[start - 2..start].copy_from_slice(&length);
}

pub(crate) fn done(kind: Done, status: u16, command: u16, rows: u64, out: &mut Vec<u8>) {
    out.push(kind as u8);
    out.extend_from_slice(&status.to_le_bytes());
    out.extend_from_slice(&command.to_le_bytes());
    out.extend_from_slice(&rows.to_le_bytes());
}

/// What changed in the session: its new and its old value.
pub(crate) fn changed(kind: u8, new: &str, old: &str, out: &mut Vec<u8>) {
    sized(0xE3, out, |out| {
        out.push(kind);
        short_text(new, out);
        short_text(old, out);
    });
}

/// The same of values that are bytes.
pub(crate) fn changed_bytes(kind: u8, new: &[u8], old: &[u8], out: &mut Vec<u8>) {
    sized(0xE3, out, |out| {
        out.push(kind);
        for bytes in [new, old] {
            out.push(bytes.len() as u8);
            out.extend_from_slice(bytes);
        }
    });
}

pub(crate) fn error(fault: &SqlFault, server: &str, out: &mut Vec<u8>) {
    let message = Message { number: fault.number, state: fault.state, class: fault.class, text: &fault.message };
    said(0xAA, &message, server, &fault.procedure, out);
}

pub(crate) fn info(number: i32, class: u8, message: &str, server: &str, out: &mut Vec<u8>) {
    said(0xAB, &Message { number, state: 1, class, text: message }, server, "", out);
}

struct Message<'a> {
    number: i32,
    state: u8,
    class: u8,
    text: &'a str,
}

fn said(token: u8, message: &Message<'_>, server: &str, procedure: &str, out: &mut Vec<u8>) {
    sized(token, out, |out| {
        out.extend_from_slice(&message.number.to_le_bytes());
        out.extend_from_slice(&[message.state, message.class]);
        text(message.text, out);
        short_text(server, out);
        short_text(procedure, out);
        out.extend_from_slice(&1u32.to_le_bytes());
    });
}

/// The login is accepted; the version is TDS 7.4.
/// A token of integrated authentication.
pub(crate) fn sspi(token: &[u8], out: &mut Vec<u8>) {
    out.push(0xED);
    out.extend_from_slice(&u16::try_from(token.len()).unwrap().to_le_bytes());
    out.extend_from_slice(token);
}

pub(crate) fn login_ack(version: [u8; 4], out: &mut Vec<u8>) {
    sized(0xAD, out, |out| {
        out.push(1);
        out.extend_from_slice(&[0x74, 0, 0, 0x04]);
        short_text("Microsoft SQL Server", out);
        out.extend_from_slice(&version);
    });
}

/// Features that were asked for and are there.
pub(crate) fn features(acknowledged: &[(u8, &[u8])], out: &mut Vec<u8>) {
    out.push(0xAE);
    for (feature, data) in acknowledged {
        out.push(*feature);
        out.extend_from_slice(&(data.len() as u32).to_le_bytes());
        out.extend_from_slice(data);
    }
    out.push(0xFF);
}

pub(crate) fn columns(columns: &[Column], out: &mut Vec<u8>) {
    out.push(0x81);
    out.extend_from_slice(&(columns.len() as u16).to_le_bytes());
    for column in columns {
        let user = if column.declared == SqlType::RowVersion { 80u32 } else { 0 };
        out.extend_from_slice(&user.to_le_bytes());
        // The second bit of each pair: whether it can be written is unknown.
        let flags =
            u16::from(column.nullable) | 0x08 | u16::from(column.identity) << 4 | u16::from(column.computed) << 5;
        out.extend_from_slice(&flags.to_le_bytes());
        encode::type_info(&column.declared, column.nullable, out);
        if matches!(column.declared, SqlType::Text(_) | SqlType::NText(_) | SqlType::Image) {
            out.push(1);
            text("t", out);
        }
        short_text(&column.name, out);
    }
}

/// The columns by which rows are ordered, from 1.
pub(crate) fn order(columns: &[u16], out: &mut Vec<u8>) {
    sized(0xA9, out, |out| columns.iter().for_each(|column| out.extend_from_slice(&column.to_le_bytes())));
}

pub(crate) fn return_status(status: i32, out: &mut Vec<u8>) {
    out.push(0x79);
    out.extend_from_slice(&status.to_le_bytes());
}

/// A value that comes out of a parameter.
pub(crate) fn return_value(
    ordinal: u16,
    name: &str,
    declared: &SqlType,
    value: rusqlite::types::ValueRef<'_>,
    out: &mut Vec<u8>,
) -> Result<(), SqlFault> {
    out.push(0xAC);
    out.extend_from_slice(&ordinal.to_le_bytes());
    short_text(name, out);
    out.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0]);
    encode::type_info(declared, true, out);
    match value {
        rusqlite::types::ValueRef::Null => encode::null(declared, out),
        value => encode::value(declared, true, value, out)?,
    }
    Ok(())
}
