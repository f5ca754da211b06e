//! Requests: batches, calls of procedures, and what is asked of the transaction manager (MS-TDS 2.2.6.6 to 2.2.6.9).

use super::decode::{self, Parameter};
use super::packet::{self, Message};
use super::read::{Reader, broken, utf16};
use crate::support::tds_server::error::SqlFault;

/// What a client wants.
#[derive(Debug)]
pub(crate) enum Request {
    Batch(String),
    Calls(Vec<Call>),
    Begin(u8),
    Commit {
        begins: bool,
    },
    /// All of it, or up to a savepoint.
    Rollback {
        to: String,
        begins: bool,
    },
    Save(String),
}

/// A call of a procedure.
#[derive(Debug)]
pub(crate) struct Call {
    /// Its name; those with numbers have theirs.
    pub(crate) name: String,
    pub(crate) parameters: Vec<Parameter>,
}

impl Request {
    /// What people see of it.
    pub(crate) fn text(&self) -> String {
        match self {
            Request::Batch(text) => text.clone(),
            Request::Calls(calls) => calls.iter().map(Call::text).collect::<Vec<_>>().join("; "),
            Request::Begin(_) => "BEGIN TRANSACTION".to_owned(),
            Request::Commit { .. } => "COMMIT".to_owned(),
            Request::Rollback { .. } => "ROLLBACK".to_owned(),
            Request::Save(name) => format!("SAVE TRANSACTION {name}"),
        }
    }

    /// Whether it only begins or ends a transaction.
    pub(crate) fn is_of_transaction(&self) -> bool {
        !matches!(self, Request::Batch(_) | Request::Calls(_))
    }
}

impl Call {
    fn text(&self) -> String {
        let statement = self.parameters.iter().find_map(|parameter| match &parameter.value {
            rusqlite::types::Value::Text(text) if self.is_dynamic() && !text.trim_start().starts_with('@') => {
                Some(text)
            }
            _ => None,
        });
        statement.map_or_else(|| self.name.clone(), |statement| format!("{}: {statement}", self.name))
    }

    fn is_dynamic(&self) -> bool {
        ["sp_executesql", "sp_prepare", "sp_prepexec"].contains(&self.name.as_str())
    }
}

pub(crate) fn read(message: &Message) -> Result<Request, SqlFault> {
    let mut reader = Reader(&message.payload);
    let length = reader.u32()? as usize;
    // Old clients send no headers before a batch: what would be a length is text then.
    if (4..=message.payload.len()).contains(&length) {
        reader.take(length - 4)?;
    } else {
        reader = Reader(&message.payload);
    }
    match message.kind {
        packet::BATCH => Ok(Request::Batch(utf16(reader.0))),
        packet::RPC => calls(&mut reader).map(Request::Calls),
        packet::TRANSACTION => transaction(&mut reader),
        kind => Err(SqlFault::new(4002, format!("Requests of type {kind:#04x} are not served here."))),
    }
}

fn calls(reader: &mut Reader<'_>) -> Result<Vec<Call>, SqlFault> {
    let mut calls = Vec::new();
    while !reader.0.is_empty() {
        let units = reader.u16()?;
        let name = if units == 0xFFFF { numbered(reader.u16()?)?.to_owned() } else { reader.utf16(units.into())? };
        let _options = reader.u16()?;
        let mut parameters = Vec::new();
        // Another call follows behind one of these bytes.
        while !reader.0.is_empty() && !matches!(reader.0[0], 0x80 | 0xFE | 0xFF) {
            parameters.push(decode::parameter(reader)?);
        }
        if !reader.0.is_empty() {
            reader.u8()?;
        }
        calls.push(Call { name, parameters });
    }
    if calls.is_empty() { Err(broken()) } else { Ok(calls) }
}

fn numbered(number: u16) -> Result<&'static str, SqlFault> {
    const NAMES: [&str; 16] = [
        "",
        "sp_cursor",
        "sp_cursoropen",
        "sp_cursorprepare",
        "sp_cursorexecute",
        "sp_cursorprepexec",
        "sp_cursorunprepare",
        "sp_cursorfetch",
        "sp_cursoroption",
        "sp_cursorclose",
        "sp_executesql",
        "sp_prepare",
        "sp_execute",
        "sp_prepexec",
        "sp_prepexecrpc",
        "sp_unprepare",
    ];
    NAMES.get(usize::from(number)).copied().filter(|name| !name.is_empty()).ok_or_else(broken)
}

fn transaction(reader: &mut Reader<'_>) -> Result<Request, SqlFault> {
    let kind = reader.u16()?;
    let name = |reader: &mut Reader<'_>| -> Result<String, SqlFault> {
        let length = usize::from(reader.u8()?);
        Ok(utf16(reader.take(length)?))
    };
    match kind {
        5 => Ok(Request::Begin(reader.u8()?)),
        7 => {
            name(reader)?;
            Ok(Request::Commit { begins: reader.u8()? & 1 != 0 })
        }
        8 => {
            let to = name(reader)?;
            Ok(Request::Rollback { to, begins: reader.u8()? & 1 != 0 })
        }
        9 => Ok(Request::Save(name(reader)?)),
        other => Err(SqlFault::new(4002, format!("Requests {other} of the transaction manager are not served here."))),
    }
}
