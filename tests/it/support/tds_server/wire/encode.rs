//! Types and values of results (MS-TDS 2.2.5.4 to 2.2.5.6).

use rusqlite::types::{Value, ValueRef};

use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::value::cast::{GUID_ORDER, cast, unwrap_variant};
use crate::support::tds_server::value::collation::Collation;
use crate::support::tds_server::value::exact;
use crate::support::tds_server::value::moment::{Moment, YEAR_1900};
use crate::support::tds_server::value::types::{MAX, SqlType, decimal_bytes, time_bytes};

/// The most bytes in a chunk of a long value.
const CHUNK: usize = 8000;

/// TYPE_INFO. A column that is never NULL has a type without length where there is one.
pub(crate) fn type_info(declared: &SqlType, nullable: bool, out: &mut Vec<u8>) {
    use SqlType::*;
    let narrow = |token: u8, size: u16, collation: &Collation, out: &mut Vec<u8>| {
        out.push(token);
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&collation.wire);
    };
    if let (Some(token), false) = (fixed(declared), nullable) {
        return out.push(token);
    }
    match *declared {
        Bit => out.extend_from_slice(&[0x68, 1]),
        TinyInt => out.extend_from_slice(&[0x26, 1]),
        SmallInt => out.extend_from_slice(&[0x26, 2]),
        Int => out.extend_from_slice(&[0x26, 4]),
        BigInt => out.extend_from_slice(&[0x26, 8]),
        Real => out.extend_from_slice(&[0x6D, 4]),
        Float => out.extend_from_slice(&[0x6D, 8]),
        SmallMoney => out.extend_from_slice(&[0x6E, 4]),
        Money => out.extend_from_slice(&[0x6E, 8]),
        SmallDateTime => out.extend_from_slice(&[0x6F, 4]),
        DateTime => out.extend_from_slice(&[0x6F, 8]),
        Decimal(p, s) => out.extend_from_slice(&[0x6A, decimal_bytes(p), p, s]),
        Numeric(p, s) => out.extend_from_slice(&[0x6C, decimal_bytes(p), p, s]),
        Date => out.push(0x28),
        Time(s) => out.extend_from_slice(&[0x29, s]),
        DateTime2(s) => out.extend_from_slice(&[0x2A, s]),
        DateTimeOffset(s) => out.extend_from_slice(&[0x2B, s]),
        Guid => out.extend_from_slice(&[0x24, 16]),
        VarChar(size, ref collation) => narrow(0xA7, size, collation, out),
        Char(size, ref collation) => narrow(0xAF, size, collation, out),
        NVarChar(MAX, ref collation) => narrow(0xE7, MAX, collation, out),
        NVarChar(units, ref collation) => narrow(0xE7, units * 2, collation, out),
        NChar(units, ref collation) => narrow(0xEF, units * 2, collation, out),
        VarBinary(size) => out.extend_from_slice(&[0xA5, size.to_le_bytes()[0], size.to_le_bytes()[1]]),
        Binary(size) => out.extend_from_slice(&[0xAD, size.to_le_bytes()[0], size.to_le_bytes()[1]]),
        RowVersion => out.extend_from_slice(&[0xAD, 8, 0]),
        Xml => out.extend_from_slice(&[0xF1, 0]),
        Image => out.extend_from_slice(&[0x22, 0xFF, 0xFF, 0xFF, 0x7F]),
        Text(ref collation) => {
            out.extend_from_slice(&[0x23, 0xFF, 0xFF, 0xFF, 0x7F]);
            out.extend_from_slice(&collation.wire);
        }
        NText(ref collation) => {
            out.extend_from_slice(&[0x63, 0xFE, 0xFF, 0xFF, 0x7F]);
            out.extend_from_slice(&collation.wire);
        }
        Variant => out.extend_from_slice(&[0x62, 0x49, 0x1F, 0, 0]),
    }
}

/// The token of a type without length.
fn fixed(declared: &SqlType) -> Option<u8> {
    Some(match declared {
        SqlType::TinyInt => 0x30,
        SqlType::Bit => 0x32,
        SqlType::SmallInt => 0x34,
        SqlType::Int => 0x38,
        SqlType::SmallDateTime => 0x3A,
        SqlType::Real => 0x3B,
        SqlType::Money => 0x3C,
        SqlType::DateTime => 0x3D,
        SqlType::Float => 0x3E,
        SqlType::SmallMoney => 0x7A,
        SqlType::BigInt => 0x7F,
        _ => return None,
    })
}

/// NULL in a row that says so cell by cell.
pub(crate) fn null(declared: &SqlType, out: &mut Vec<u8>) {
    use SqlType::*;
    match declared {
        _ if declared.is_chunked() => out.extend_from_slice(&[0xFF; 8]),
        Char(..) | VarChar(..) | NChar(..) | NVarChar(..) | Binary(_) | VarBinary(_) | RowVersion => {
            out.extend_from_slice(&[0xFF; 2]);
        }
        Variant => out.extend_from_slice(&[0; 4]),
        _ => out.push(0),
    }
}

/// A value that is not NULL.
pub(crate) fn value(
    declared: &SqlType,
    nullable: bool,
    value: ValueRef<'_>,
    out: &mut Vec<u8>,
) -> Result<(), SqlFault> {
    use SqlType::*;
    let has_length = nullable || fixed(declared).is_none();
    match declared {
        Variant => return variant(value, out),
        Char(_, collation) | VarChar(_, collation) | Text(collation) => match value {
            ValueRef::Blob(bytes) => long_or_short(declared, bytes, out),
            ValueRef::Text(text) if text.is_ascii() => long_or_short(declared, text, out),
            _ => long_or_short(declared, &collation.encode(&text_of(value)?), out),
        },
        NChar(..) | NVarChar(..) | NText(_) | Xml => match value {
            ValueRef::Blob(bytes) => long_or_short(declared, bytes, out),
            _ => long_or_short(declared, &wide(&text_of(value)?), out),
        },
        Binary(_) | VarBinary(_) | Image | RowVersion => {
            let ValueRef::Blob(bytes) = value else { return value_cast(declared, nullable, value, out) };
            long_or_short(declared, bytes, out);
        }
        _ => {
            let at = out.len();
            if has_length {
                out.push(0);
            }
            if !short(declared, value, out)? {
                out.truncate(at);
                return value_cast(declared, nullable, value, out);
            }
            if has_length {
                out[at] = (out.len() - at - 1) as u8;
            }
        }
    }
    Ok(())
}

/// A value that is not kept in the form of its type: brought into it first.
fn value_cast(declared: &SqlType, nullable: bool, found: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), SqlFault> {
    let owned = Value::try_from(found).map_err(|error| SqlFault::new(0, error.to_string()))?;
    let inner = match &owned {
        Value::Text(text) => unwrap_variant(text).map(|(_, value)| value),
        _ => None,
    };
    let turned = cast(inner.unwrap_or(owned), declared)?;
    if ValueRef::from(&turned) == found {
        return Err(SqlFault::new(0, format!("{turned:?} is no {declared}")));
    }
    value(declared, nullable, ValueRef::from(&turned), out)
}

fn text_of(value: ValueRef<'_>) -> Result<String, SqlFault> {
    match value {
        ValueRef::Text(text) => Ok(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Integer(number) => Ok(number.to_string()),
        ValueRef::Real(number) => Ok(number.to_string()),
        _ => Err(SqlFault::new(0, "no text")),
    }
}

pub(crate) fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn long_or_short(declared: &SqlType, bytes: &[u8], out: &mut Vec<u8>) {
    if declared.is_chunked() {
        // An even number says the length before, an odd one does not: both forms travel.
        let total = if bytes.len() % 4 < 2 { bytes.len() as u64 } else { 0xFFFF_FFFF_FFFF_FFFE };
        out.extend_from_slice(&total.to_le_bytes());
        for chunk in bytes.chunks(CHUNK) {
            out.extend_from_slice(&(chunk.len() as u32).to_le_bytes());
            out.extend_from_slice(chunk);
        }
        out.extend_from_slice(&[0; 4]);
    } else if matches!(declared, SqlType::Text(_) | SqlType::NText(_) | SqlType::Image) {
        // A text pointer and a timestamp, which mean nothing to those who read.
        out.push(16);
        out.extend_from_slice(b"dummy textptr\0\0\0dummyTS\0");
        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(bytes);
    } else {
        out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        out.extend_from_slice(bytes);
    }
}

/// The bytes of a value with a short length; false when it is not kept in the form of its type.
fn short(declared: &SqlType, value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<bool, SqlFault> {
    use SqlType::*;
    let text = match value {
        ValueRef::Text(text) => std::str::from_utf8(text).unwrap_or(""),
        _ => "",
    };
    match (declared, value) {
        (Bit, ValueRef::Integer(number)) => out.push(u8::from(number != 0)),
        (TinyInt, ValueRef::Integer(number)) => out.push(number as u8),
        (SmallInt, ValueRef::Integer(number)) => out.extend_from_slice(&(number as i16).to_le_bytes()),
        (Int, ValueRef::Integer(number)) => match i32::try_from(number) {
            Ok(number) => out.extend_from_slice(&number.to_le_bytes()),
            Err(_) => return Ok(false),
        },
        (BigInt, ValueRef::Integer(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (Real, ValueRef::Real(number)) => out.extend_from_slice(&(number as f32).to_le_bytes()),
        (Float, ValueRef::Real(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (Money | SmallMoney | Decimal(..) | Numeric(..), ValueRef::Text(_)) => {
            let (_, scale) = declared.digits();
            let Some(mantissa) = exact::parse(text).and_then(|number| exact::rescale(number, scale)) else {
                return Ok(false);
            };
            match declared {
                SmallMoney => out.extend_from_slice(&(mantissa as i32).to_le_bytes()),
                Money => {
                    out.extend_from_slice(&((mantissa >> 32) as i32).to_le_bytes());
                    out.extend_from_slice(&(mantissa as u32).to_le_bytes());
                }
                _ => {
                    let (precision, _) = declared.digits();
                    out.push(u8::from(mantissa >= 0));
                    let bytes = mantissa.unsigned_abs().to_le_bytes();
                    out.extend_from_slice(&bytes[..usize::from(decimal_bytes(precision)) - 1]);
                }
            }
        }
        (Guid, ValueRef::Text(_)) => {
            let hex: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
            let byte = |at: usize| u8::from_str_radix(std::str::from_utf8(hex.get(at * 2..at * 2 + 2)?).ok()?, 16).ok();
            match (0..16).map(byte).collect::<Option<Vec<u8>>>() {
                Some(bytes) => out.extend(GUID_ORDER.iter().map(|at| bytes[*at])),
                None => return Ok(false),
            }
        }
        (SmallDateTime | DateTime | Date | Time(_) | DateTime2(_) | DateTimeOffset(_), ValueRef::Text(_)) => {
            match Moment::parse(text) {
                Some(moment) => temporal(declared, moment, out),
                None => return Ok(false),
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn temporal(declared: &SqlType, moment: Moment, out: &mut Vec<u8>) {
    let clock = |moment: Moment, scale: u8, out: &mut Vec<u8>| {
        let units = moment.ticks / 10i64.pow(u32::from(7 - scale.min(7)));
        out.extend_from_slice(&units.to_le_bytes()[..usize::from(time_bytes(scale))]);
    };
    let date = |moment: Moment, out: &mut Vec<u8>| out.extend_from_slice(&moment.days.to_le_bytes()[..3]);
    match *declared {
        SqlType::SmallDateTime => {
            out.extend_from_slice(&((moment.days - YEAR_1900) as u16).to_le_bytes());
            out.extend_from_slice(&((moment.ticks / 600_000_000) as u16).to_le_bytes());
        }
        SqlType::DateTime => {
            let (moment, units) = moment.in_three_hundredths();
            out.extend_from_slice(&((moment.days - YEAR_1900) as i32).to_le_bytes());
            out.extend_from_slice(&(units as u32).to_le_bytes());
        }
        SqlType::Date => date(moment, out),
        SqlType::Time(scale) => clock(moment, scale, out),
        SqlType::DateTime2(scale) => {
            clock(moment, scale, out);
            date(moment, out);
        }
        SqlType::DateTimeOffset(scale) => {
            let offset = moment.offset.unwrap_or(0);
            // In UTC, with the offset beside it.
            let utc = moment.plus(-i128::from(offset) * 600_000_000);
            clock(utc, scale, out);
            date(utc, out);
            out.extend_from_slice(&offset.to_le_bytes());
        }
        _ => {}
    }
}

/// A value with its own type before it (MS-TDS 2.2.5.5.4).
fn variant(value: ValueRef<'_>, out: &mut Vec<u8>) -> Result<(), SqlFault> {
    use SqlType::*;
    let owned = Value::try_from(value).map_err(|error| SqlFault::new(0, error.to_string()))?;
    let Value::Text(kept) = cast(owned, &Variant)? else { return Err(SqlFault::new(0, "no variant")) };
    let (declared, inner) = unwrap_variant(&kept).ok_or_else(|| SqlFault::new(0, format!("no variant: {kept}")))?;
    let mut bytes = Vec::new();
    let (token, properties): (u8, Vec<u8>) = match declared {
        Decimal(p, s) => (0x6A, vec![p, s]),
        Numeric(p, s) => (0x6C, vec![p, s]),
        Guid => (0x24, vec![]),
        Date => (0x28, vec![]),
        Time(s) => (0x29, vec![s]),
        DateTime2(s) => (0x2A, vec![s]),
        DateTimeOffset(s) => (0x2B, vec![s]),
        Binary(n) | VarBinary(n) => {
            let token = if matches!(declared, Binary(_)) { 0xAD } else { 0xA5 };
            (token, n.to_le_bytes().to_vec())
        }
        Char(n, collation) | VarChar(n, collation) => {
            let token = if matches!(declared, Char(..)) { 0xAF } else { 0xA7 };
            (token, [&collation.wire[..], &n.to_le_bytes()].concat())
        }
        NChar(n, collation) | NVarChar(n, collation) => {
            let token = if matches!(declared, NChar(..)) { 0xEF } else { 0xE7 };
            (token, [&collation.wire[..], &(n * 2).to_le_bytes()].concat())
        }
        other => (fixed(&other).ok_or_else(|| SqlFault::new(0, format!("{other} is no variant")))?, vec![]),
    };
    match (&inner, &declared) {
        (Value::Text(text), NChar(..) | NVarChar(..)) => bytes = wide(text),
        (Value::Text(text), Char(_, collation) | VarChar(_, collation)) => bytes = collation.encode(text),
        (Value::Blob(blob), _) => bytes.clone_from(blob),
        _ => {
            short(&declared, ValueRef::from(&inner), &mut bytes)?;
        }
    }
    out.extend_from_slice(&((2 + properties.len() + bytes.len()) as u32).to_le_bytes());
    out.extend_from_slice(&[token, properties.len() as u8]);
    out.extend_from_slice(&properties);
    out.extend_from_slice(&bytes);
    Ok(())
}
