//! Types and values of parameters (MS-TDS 2.2.5.4 to 2.2.5.6).

use rusqlite::types::Value;

use super::read::{Reader, broken, utf16};
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::value::cast::guid_text;
use crate::support::tds_server::value::collation::Collation;
use crate::support::tds_server::value::exact;
use crate::support::tds_server::value::moment::{Moment, YEAR_1900};
use crate::support::tds_server::value::types::{MAX, SqlType, time_bytes};

/// A parameter of a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    /// With its `@`; empty where its place says what it is.
    pub(crate) name: String,
    pub(crate) is_out: bool,
    pub(crate) declared: SqlType,
    pub(crate) value: Value,
}

pub(crate) fn parameter(reader: &mut Reader<'_>) -> Result<Parameter, SqlFault> {
    let units = reader.u8()?;
    let name = reader.utf16(units.into())?;
    let flags = reader.u8()?;
    let (declared, value) = typed(reader)?;
    Ok(Parameter { name, is_out: flags & 1 != 0, declared, value })
}

/// How the length of a value is told.
enum Length {
    Fixed(usize),
    Byte,
    Short,
    Long,
    Chunks,
}

fn typed(reader: &mut Reader<'_>) -> Result<(SqlType, Value), SqlFault> {
    use SqlType::*;
    let token = reader.u8()?;
    let unknown = || {
        SqlFault::new(
            8009,
            format!(
                "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. Unknown data type {token:#04x}."
            ),
        )
    };
    let fixed = |declared: SqlType, length: usize| (declared, Length::Fixed(length));
    let (declared, length) = match token {
        0x30 => fixed(TinyInt, 1),
        0x32 => fixed(Bit, 1),
        0x34 => fixed(SmallInt, 2),
        0x38 => fixed(Int, 4),
        0x3A => fixed(SmallDateTime, 4),
        0x3B => fixed(Real, 4),
        0x3C => fixed(Money, 8),
        0x3D => fixed(DateTime, 8),
        0x3E => fixed(Float, 8),
        0x7A => fixed(SmallMoney, 4),
        0x7F => fixed(BigInt, 8),
        0x1F => fixed(Int, 0),
        0x26 => match reader.u8()? {
            1 => (TinyInt, Length::Byte),
            2 => (SmallInt, Length::Byte),
            4 => (Int, Length::Byte),
            _ => (BigInt, Length::Byte),
        },
        0x68 => (reader.u8().map(|_| Bit)?, Length::Byte),
        0x6D => (if reader.u8()? == 4 { Real } else { Float }, Length::Byte),
        0x6E => (if reader.u8()? == 4 { SmallMoney } else { Money }, Length::Byte),
        0x6F => (if reader.u8()? == 4 { SmallDateTime } else { DateTime }, Length::Byte),
        0x24 => (reader.u8().map(|_| Guid)?, Length::Byte),
        0x6A | 0x6C => {
            let _length = reader.u8()?;
            let (precision, scale) = (reader.u8()?, reader.u8()?);
            (if token == 0x6A { Decimal(precision, scale) } else { Numeric(precision, scale) }, Length::Byte)
        }
        0x28 => (Date, Length::Byte),
        0x29 => (Time(reader.u8()?), Length::Byte),
        0x2A => (DateTime2(reader.u8()?), Length::Byte),
        0x2B => (DateTimeOffset(reader.u8()?), Length::Byte),
        0xA5 => match reader.u16()? {
            MAX => (VarBinary(MAX), Length::Chunks),
            length => (VarBinary(length), Length::Short),
        },
        0xAD => (Binary(reader.u16()?), Length::Short),
        0xA7 | 0xAF | 0xE7 | 0xEF => {
            let size = reader.u16()?;
            let collation = Collation::of_wire(reader.collation()?);
            let units = if size == MAX { MAX } else { size / 2 };
            let declared = match token {
                0xA7 => VarChar(size, collation),
                0xAF => Char(size, collation),
                0xE7 => NVarChar(units, collation),
                _ => NChar(units, collation),
            };
            (declared, if size == MAX { Length::Chunks } else { Length::Short })
        }
        0xF1 => {
            if reader.u8()? != 0 {
                return Err(unknown());
            }
            (Xml, Length::Chunks)
        }
        0x22 => (reader.u32().map(|_| Image)?, Length::Long),
        0x23 | 0x63 => {
            let _size = reader.u32()?;
            let collation = Collation::of_wire(reader.collation()?);
            (if token == 0x23 { Text(collation) } else { NText(collation) }, Length::Long)
        }
        0x62 => (reader.u32().map(|_| Variant)?, Length::Long),
        _ => return Err(unknown()),
    };
    let bytes = match length {
        Length::Fixed(0) => None,
        Length::Fixed(length) => Some(reader.take(length)?.to_vec()),
        Length::Byte => match reader.u8()? {
            0 => None,
            length => Some(reader.take(length.into())?.to_vec()),
        },
        Length::Short => match reader.u16()? {
            0xFFFF => None,
            length => Some(reader.take(length.into())?.to_vec()),
        },
        Length::Long => match reader.u32()? {
            0xFFFF_FFFF => None,
            length => Some(reader.take(length as usize)?.to_vec()),
        },
        Length::Chunks => chunks(reader)?,
    };
    let value = match bytes {
        None => Value::Null,
        Some(bytes) => value(&declared, &bytes)?,
    };
    Ok((declared, value))
}

fn chunks(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, SqlFault> {
    let total = reader.u64()?;
    if total == u64::MAX {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    loop {
        let length = reader.u32()? as usize;
        if length == 0 {
            break;
        }
        bytes.extend_from_slice(reader.take(length)?);
    }
    let is_unknown = total == 0xFFFF_FFFF_FFFF_FFFE;
    if !is_unknown && total != bytes.len() as u64 { Err(broken()) } else { Ok(Some(bytes)) }
}

fn little(bytes: &[u8]) -> i128 {
    bytes.iter().rev().fold(0, |all, byte| all << 8 | i128::from(*byte))
}

fn signed(bytes: &[u8]) -> i64 {
    let shift = 64 - 8 * bytes.len().min(8) as u32;
    ((little(bytes) as i64) << shift) >> shift
}

fn value(declared: &SqlType, bytes: &[u8]) -> Result<Value, SqlFault> {
    use SqlType::*;
    let part = |from: usize, until: usize| bytes.get(from..until).ok_or_else(broken);
    Ok(match *declared {
        Bit | TinyInt => Value::Integer(i64::from(bytes[0])),
        SmallInt | Int | BigInt => Value::Integer(signed(bytes)),
        Real => Value::Real(f64::from(f32::from_le_bytes(bytes.try_into().map_err(|_| broken())?))),
        Float => Value::Real(f64::from_le_bytes(bytes.try_into().map_err(|_| broken())?)),
        SmallMoney => Value::Text(exact::format(signed(bytes).into(), 4)),
        Money => {
            let number = i128::from(signed(part(0, 4)?)) << 32 | little(part(4, 8)?);
            Value::Text(exact::format(number, 4))
        }
        Decimal(_, scale) | Numeric(_, scale) => {
            let magnitude = little(&bytes[1..]);
            Value::Text(exact::format(if bytes[0] == 0 { -magnitude } else { magnitude }, scale))
        }
        SmallDateTime => {
            let days = YEAR_1900 + little(part(0, 2)?) as i64;
            let moment = Moment { days, ticks: little(part(2, 4)?) as i64 * 600_000_000, offset: None };
            Value::Text(format!("{} {}", moment.date(), moment.clock(0)))
        }
        DateTime => {
            let days = YEAR_1900 + signed(part(0, 4)?);
            let ticks = (little(part(4, 8)?) as i64 * 10_000_000 + 150) / 300;
            let moment = Moment { days, ticks, offset: None }.rounded(3);
            Value::Text(format!("{} {}", moment.date(), moment.clock(3)))
        }
        Date => Value::Text(Moment { days: little(bytes) as i64, ..Moment::default() }.date()),
        Time(scale) => Value::Text(clock(part(0, time_bytes(scale).into())?, scale).clock(scale)),
        DateTime2(scale) | DateTimeOffset(scale) => {
            let end = usize::from(time_bytes(scale));
            let mut moment = clock(part(0, end)?, scale);
            moment.days = little(part(end, end + 3)?) as i64;
            if matches!(declared, DateTime2(_)) {
                Value::Text(format!("{} {}", moment.date(), moment.clock(scale)))
            } else {
                let offset = signed(part(end + 3, end + 5)?) as i16;
                moment.offset = Some(offset);
                let moment = moment.plus(i128::from(offset) * 600_000_000);
                Value::Text(format!("{} {} {}", moment.date(), moment.clock(scale), moment.zone()))
            }
        }
        Guid => Value::Text(guid_text(bytes).ok_or_else(broken)?),
        Char(_, collation) | VarChar(_, collation) | Text(collation) => Value::Text(collation.decode(bytes)),
        NChar(..) | NVarChar(..) | NText(_) => Value::Text(utf16(bytes)),
        // Its byte order mark says that it is UTF-16.
        Xml => Value::Text(utf16(bytes).trim_start_matches('\u{FEFF}').to_owned()),
        Binary(_) | VarBinary(_) | Image | RowVersion => Value::Blob(bytes.to_vec()),
        Variant => return Err(SqlFault::new(8009, "A sql_variant is no parameter here.")),
    })
}

fn clock(bytes: &[u8], scale: u8) -> Moment {
    let ticks = little(bytes) as i64 * 10i64.pow(u32::from(7 - scale.min(7)));
    Moment { ticks, ..Moment::default() }
}
