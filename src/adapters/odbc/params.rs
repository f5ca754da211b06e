//! What is bound to the placeholders of a statement.

use std::num::NonZeroUsize;

use odbc_api::buffers::Indicator;
use odbc_api::parameter::{InputParameter, VarBinaryBox, VarCharBox, VarWCharBox, WithDataType};
use odbc_api::sys::ParamType;
use odbc_api::{Bit, DataType};

use super::quirks::TextWidth;
use super::raw::{self, Arguments};
use super::session::Session;
use crate::adapters::sql::{Argument, Certainty, Dialect, SqlError, SqlErrorKind, Value};
use crate::decode::rows::ColumnKind;

/// Binds values that go in.
pub(super) fn values(session: &Session, values: &[Value]) -> Result<Arguments, SqlError> {
    if !values.is_empty() && !session.quirks.binds {
        let message = "this driver binds no values: the statement must be written without them";
        return Err(session.reporter.says(SqlErrorKind::Statement, Certainty::NotBegun, message));
    }
    let bound: Result<Vec<_>, _> = values.iter().map(|value| one(session, value).map(raw::Argument::In)).collect();
    Ok(Arguments(bound?))
}

/// Binds the arguments of a procedure. Room for what comes out is as long as `max_value`.
pub(super) fn arguments(session: &Session, given: &[Argument], max_value: usize) -> Result<Arguments, SqlError> {
    let bound: Result<Vec<_>, SqlError> = given
        .iter()
        .map(|argument| match argument.out {
            None => one(session, &argument.value).map(raw::Argument::In),
            Some(kind) => two_way(session, &argument.value, kind, max_value),
        })
        .collect();
    Ok(Arguments(bound?))
}

fn one(session: &Session, value: &Value) -> Result<Box<dyn InputParameter>, SqlError> {
    Ok(match value {
        Value::Null(kind) => Box::new(WithDataType::new(VarCharBox::null(), sql_type(session, *kind, 1))),
        Value::Boolean(truth) => match session.dialect {
            Dialect::Postgres | Dialect::SqlServer | Dialect::MySql => Box::new(Bit::from_bool(*truth)),
            _ => integer(session, i64::from(*truth)),
        },
        Value::Integer(number) => integer(session, *number),
        Value::Decimal(number) => {
            let text = number.to_string();
            let scale = i16::from(number.scale());
            let precision = text.bytes().filter(u8::is_ascii_digit).count();
            narrow(text.into_bytes(), DataType::Decimal { precision, scale })
        }
        Value::Float(number) => Box::new(*number),
        Value::Text(text) => return self::text(session, text),
        Value::Bytes(bytes) => binary(bytes.clone()),
        Value::Written(kind, text) => {
            let text = as_sql(*kind, text);
            let kind = sql_type(session, *kind, text.len());
            narrow(text.into_bytes(), kind)
        }
    })
}

fn integer(session: &Session, number: i64) -> Box<dyn InputParameter> {
    if let Ok(small) = i32::try_from(number) {
        // The type that functions and operators have most often; it becomes a wider one by itself, and no narrower one.
        Box::new(small)
    } else if session.quirks.binds_bigint {
        Box::new(number)
    } else {
        narrow(number.to_string().into_bytes(), DataType::Decimal { precision: 19, scale: 0 })
    }
}

fn text(session: &Session, text: &str) -> Result<Box<dyn InputParameter>, SqlError> {
    if session.text == TextWidth::Wide {
        let units: Vec<u16> = text.encode_utf16().collect();
        return Ok(Box::new(wide(units)));
    }
    let bytes = encoded(session, text)?;
    let kind = varchar(bytes.len());
    Ok(narrow(bytes, kind))
}

fn encoded(session: &Session, text: &str) -> Result<Vec<u8>, SqlError> {
    session.narrow(text).map_err(|c| {
        let message = format!("`{c}` cannot be said in {}, the `encoding` of this source", session.page.name());
        session.reporter.says(SqlErrorKind::Statement, Certainty::NotBegun, message)
    })
}

/// Drivers cannot bind a text of no length in a buffer of none.
fn narrow(bytes: Vec<u8>, kind: DataType) -> Box<dyn InputParameter> {
    Box::new(WithDataType::new(filled(bytes), kind))
}

fn filled(mut bytes: Vec<u8>) -> VarCharBox {
    let length = bytes.len();
    bytes.push(0);
    VarCharBox::from_buffer(bytes.into_boxed_slice(), Indicator::Length(length))
}

fn wide(mut units: Vec<u16>) -> WithDataType<VarWCharBox> {
    let length = units.len();
    let kind = wvarchar(length);
    units.push(0);
    WithDataType::new(VarWCharBox::from_buffer(units.into_boxed_slice(), Indicator::Length(length * 2)), kind)
}

fn binary(mut bytes: Vec<u8>) -> Box<dyn InputParameter> {
    let length = bytes.len();
    let kind = varbinary(length);
    bytes.push(0);
    Box::new(WithDataType::new(VarBinaryBox::from_buffer(bytes.into_boxed_slice(), Indicator::Length(length)), kind))
}

// What is longer than these is long to SQL Server, and to others who learned from it.
fn varchar(length: usize) -> DataType {
    let width = NonZeroUsize::new(length.max(1));
    if length > 8000 { DataType::LongVarchar { length: width } } else { DataType::Varchar { length: width } }
}

fn wvarchar(length: usize) -> DataType {
    let width = NonZeroUsize::new(length.max(1));
    if length > 4000 { DataType::WLongVarchar { length: width } } else { DataType::WVarchar { length: width } }
}

fn varbinary(length: usize) -> DataType {
    let width = NonZeroUsize::new(length.max(1));
    if length > 8000 { DataType::LongVarbinary { length: width } } else { DataType::Varbinary { length: width } }
}

/// A canonical text as SQL writes it: a blank instead of `T`.
fn as_sql(kind: ColumnKind, text: &str) -> String {
    match kind {
        ColumnKind::DateTime => text.replacen('T', " ", 1),
        ColumnKind::DateTimeOffset => text.replacen('T', " ", 1).replace('Z', "+00:00"),
        _ => text.to_owned(),
    }
}

/// The type that a value is bound as which is given in text.
fn sql_type(session: &Session, kind: ColumnKind, length: usize) -> DataType {
    // SQLite has no types that a text could be bound as, and takes a time for what its driver makes of it.
    if session.dialect == Dialect::Sqlite {
        return match kind {
            ColumnKind::Bytes { .. } => varbinary(length),
            _ => varchar(length),
        };
    }
    match kind {
        ColumnKind::Boolean if matches!(session.dialect, Dialect::Postgres | Dialect::SqlServer) => DataType::Bit,
        ColumnKind::Boolean => DataType::Integer,
        ColumnKind::Integer if !session.quirks.binds_bigint => DataType::Decimal { precision: 19, scale: 0 },
        ColumnKind::Integer => DataType::BigInt,
        ColumnKind::Decimal { precision, scale } => {
            DataType::Decimal { precision: usize::from(precision), scale: i16::from(scale) }
        }
        ColumnKind::Float => DataType::Double,
        ColumnKind::Date => DataType::Date,
        ColumnKind::Time => DataType::Time { precision: 0 },
        // The digits of the fraction that the text has, as far as databases keep them.
        ColumnKind::DateTime => DataType::Timestamp { precision: length.saturating_sub(20).min(7) as i16 },
        ColumnKind::Bytes { .. } => varbinary(length),
        ColumnKind::Text { .. } | ColumnKind::DateTimeOffset | ColumnKind::Uuid => varchar(length),
    }
}

/// An argument that comes out, with what goes in.
fn two_way(session: &Session, value: &Value, kind: ColumnKind, room: usize) -> Result<raw::Argument, SqlError> {
    let (way, text) = match value {
        Value::Null(_) => (ParamType::Output, None),
        Value::Boolean(truth) => (ParamType::InputOutput, Some(i64::from(*truth).to_string())),
        Value::Integer(number) => (ParamType::InputOutput, Some(number.to_string())),
        Value::Decimal(number) => (ParamType::InputOutput, Some(number.to_string())),
        Value::Float(number) => (ParamType::InputOutput, Some(number.to_string())),
        Value::Text(text) => (ParamType::InputOutput, Some(text.clone())),
        Value::Written(kind, text) => (ParamType::InputOutput, Some(as_sql(*kind, text))),
        Value::Bytes(bytes) => {
            let (buffer, indicator) = roomy(bytes.clone(), room, 0, 1);
            let cell = VarBinaryBox::from_buffer(buffer, indicator);
            return Ok(raw::Argument::Bytes(ParamType::InputOutput, WithDataType::new(cell, varbinary(room))));
        }
    };
    let kind = match kind {
        ColumnKind::Bytes { .. } => {
            let cell = VarBinaryBox::from_buffer(vec![0; room + 1].into_boxed_slice(), Indicator::Null);
            return Ok(raw::Argument::Bytes(way, WithDataType::new(cell, varbinary(room))));
        }
        ColumnKind::Text { .. } if session.text == TextWidth::Wide => {
            let units = text.map(|text| text.encode_utf16().collect::<Vec<_>>());
            let is_null = units.is_none();
            let (buffer, indicator) = roomy(units.unwrap_or_default(), room / 2, 0, 2);
            let indicator = if is_null { Indicator::Null } else { indicator };
            let cell = VarWCharBox::from_buffer(buffer, indicator);
            return Ok(raw::Argument::Wide(way, WithDataType::new(cell, wvarchar(room / 2))));
        }
        ColumnKind::Text { .. } => varchar(room.min(8000)),
        kind => sql_type(session, kind, 64),
    };
    let bytes = text.map(|text| encoded(session, &text)).transpose()?;
    let is_null = bytes.is_none();
    let (buffer, indicator) = roomy(bytes.unwrap_or_default(), room, 0, 1);
    let indicator = if is_null { Indicator::Null } else { indicator };
    let cell = VarCharBox::from_buffer(buffer, indicator);
    Ok(raw::Argument::Text(way, WithDataType::new(cell, kind)))
}

/// A buffer with room behind what is in it, and how many bytes that is.
fn roomy<T: Copy>(mut units: Vec<T>, room: usize, zero: T, width: usize) -> (Box<[T]>, Indicator) {
    let length = units.len();
    units.resize(length.max(room) + 1, zero);
    (units.into_boxed_slice(), Indicator::Length(length * width))
}
