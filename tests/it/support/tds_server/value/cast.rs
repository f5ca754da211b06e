//! Values as they are kept in SQLite, and how they become values of another type.
//!
//! Whole numbers and bits are INTEGER, floats REAL, bytes BLOB. Everything else is TEXT in the form in which SQL Server
//! shows it: `-12.50`, `2026-11-28 23:59:59.123`, a GUID in capitals. BLOB in a text column is sent as it is: text that
//! no encoding can say. A `sql_variant` is TEXT with its type before it: `decimal(5,2):1.50`.

use rusqlite::types::Value;

use super::collation::Collation;
use super::exact;
use super::moment::{DAY, Moment, YEAR_1900};
use super::types::{Family, MAX, SqlType};
use crate::support::tds_server::error::SqlFault;

/// A value in the form of a type, as an assignment makes it.
pub(crate) fn cast(value: Value, to: &SqlType) -> Result<Value, SqlFault> {
    if value == Value::Null {
        return Ok(value);
    }
    match to.family() {
        Family::Whole => whole(&value, to),
        Family::Exact => number(&value, to),
        Family::Binary64 => float(&value, to),
        Family::Temporal => temporal(&value, to),
        Family::Text => text(value, to),
        Family::Bytes => bytes(value, to),
        Family::Variant => variant(value),
    }
}

fn failed(value: &Value, to: &SqlType) -> SqlFault {
    let text = plain(value);
    match to.family() {
        Family::Temporal => {
            SqlFault::new(241, "Conversion failed when converting date and/or time from character string.")
        }
        Family::Exact | Family::Binary64 => {
            SqlFault::new(8114, format!("Error converting data type nvarchar to {}.", to.word()))
        }
        _ => SqlFault::new(
            245,
            format!("Conversion failed when converting the nvarchar value '{text}' to data type {}.", to.word()),
        ),
    }
}

fn overflow(to: &SqlType) -> SqlFault {
    SqlFault::new(8115, format!("Arithmetic overflow error converting expression to data type {}.", to.word()))
}

/// The value as text without type.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02X}")).collect(),
    }
}

fn whole(value: &Value, to: &SqlType) -> Result<Value, SqlFault> {
    let number = match value {
        Value::Integer(number) => i128::from(*number),
        Value::Real(number) => *number as i128,
        Value::Text(text) if text.eq_ignore_ascii_case("true") => 1,
        Value::Text(text) if text.eq_ignore_ascii_case("false") => 0,
        Value::Text(text) if text.trim().is_empty() => 0,
        Value::Text(text) => {
            let (mantissa, scale) = exact::parse(text).ok_or_else(|| failed(value, to))?;
            mantissa / 10i128.pow(u32::from(scale))
        }
        Value::Blob(bytes) => {
            bytes.iter().rev().take(8).rev().fold(0u64, |all, byte| all << 8 | u64::from(*byte)) as i64 as i128
        }
        Value::Null => 0,
    };
    let (least, most): (i128, i128) = match to {
        SqlType::Bit => return Ok(Value::Integer(i64::from(number != 0))),
        SqlType::TinyInt => (0, 255),
        SqlType::SmallInt => (i128::from(i16::MIN), i128::from(i16::MAX)),
        SqlType::Int => (i128::from(i32::MIN), i128::from(i32::MAX)),
        _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
    };
    if number < least || number > most {
        return Err(overflow(to));
    }
    Ok(Value::Integer(number as i64))
}

fn number(value: &Value, to: &SqlType) -> Result<Value, SqlFault> {
    let parsed = match value {
        Value::Text(text) => exact::parse(text),
        Value::Real(number) => exact::parse(&number.to_string()),
        other => exact::parse(&plain(other)),
    };
    let (precision, scale) = to.digits();
    let mantissa = exact::rescale(parsed.ok_or_else(|| failed(value, to))?, scale).ok_or_else(|| overflow(to))?;
    let fits = match to {
        SqlType::Money => i64::try_from(mantissa).is_ok(),
        SqlType::SmallMoney => i32::try_from(mantissa).is_ok(),
        _ => mantissa.unsigned_abs() < 10u128.pow(u32::from(precision)),
    };
    if fits { Ok(Value::Text(exact::format(mantissa, scale))) } else { Err(overflow(to)) }
}

fn float(value: &Value, to: &SqlType) -> Result<Value, SqlFault> {
    let number = match value {
        Value::Integer(number) => *number as f64,
        Value::Real(number) => *number,
        other => plain(other).trim().parse().map_err(|_| failed(value, to))?,
    };
    Ok(Value::Real(if *to == SqlType::Real { f64::from(number as f32) } else { number }))
}

fn temporal(value: &Value, to: &SqlType) -> Result<Value, SqlFault> {
    let moment = match value {
        Value::Text(text) => Moment::parse(text).ok_or_else(|| failed(value, to))?,
        // Days since 1900, as `datetime` takes numbers.
        Value::Integer(days) => Moment { days: YEAR_1900 + days, ..Moment::default() },
        _ => return Err(failed(value, to)),
    };
    let out_of_range = || {
        SqlFault::new(
            242,
            format!(
                "The conversion of a nvarchar data type to a {} data type resulted in an out-of-range value.",
                to.word()
            ),
        )
    };
    let text = match to {
        SqlType::Date => moment.date(),
        SqlType::Time(scale) => moment.rounded(*scale).clock(*scale),
        SqlType::SmallDateTime => {
            let moment = Moment { ticks: (moment.ticks + 300_000_000) / 600_000_000 * 600_000_000, ..moment }.plus(0);
            if !(0..=65_535).contains(&(moment.days - YEAR_1900)) {
                return Err(out_of_range());
            }
            format!("{} {}", moment.date(), moment.clock(0))
        }
        SqlType::DateTime => {
            let (moment, units) = moment.in_three_hundredths();
            if moment.days < super::moment::days_of(1753, 1, 1) {
                return Err(out_of_range());
            }
            let moment = Moment { ticks: (units * 10_000_000 + 150) / 300, ..moment }.rounded(3);
            format!("{} {}", moment.date(), moment.clock(3))
        }
        SqlType::DateTimeOffset(scale) => {
            let moment = moment.rounded(*scale);
            format!("{} {} {}", moment.date(), moment.clock(*scale), moment.zone())
        }
        SqlType::DateTime2(scale) => {
            let moment = moment.rounded(*scale);
            format!("{} {}", moment.date(), moment.clock(*scale))
        }
        _ => return Err(failed(value, to)),
    };
    debug_assert!(moment.ticks < DAY);
    Ok(Value::Text(text))
}

fn text(value: Value, to: &SqlType) -> Result<Value, SqlFault> {
    if let (Value::Blob(_), true) = (&value, to.collation().is_some()) {
        return Ok(value);
    }
    let text = match (to, value) {
        (SqlType::Guid, Value::Blob(bytes)) => guid_text(&bytes).ok_or_else(|| failed(&Value::Blob(bytes), to))?,
        (SqlType::Guid, value) => guid(&plain(&value)).ok_or_else(|| {
            SqlFault::new(8169, "Conversion failed when converting from a character string to uniqueidentifier.")
        })?,
        (_, value) => plain(&value),
    };
    let too_long = || {
        SqlFault::new(
            2628,
            format!(
                "String or binary data would be truncated. Truncated value: '{}'.",
                text.chars().take(20).collect::<String>()
            ),
        )
    };
    let fitting = |units: usize, limit: u16| match units {
        _ if limit == MAX || units <= usize::from(limit) => Ok(usize::from(limit) - units.min(usize::from(limit))),
        _ => Err(too_long()),
    };
    let blanks = match to {
        SqlType::Char(limit, collation) => fitting(narrow_length(&text, collation), *limit)?,
        SqlType::NChar(limit, _) => fitting(text.encode_utf16().count(), *limit)?,
        SqlType::VarChar(limit, collation) => fitting(narrow_length(&text, collation), *limit).map(|_| 0)?,
        SqlType::NVarChar(limit, _) => fitting(text.encode_utf16().count(), *limit).map(|_| 0)?,
        _ => 0,
    };
    Ok(Value::Text(text + &" ".repeat(blanks)))
}

fn narrow_length(text: &str, collation: &Collation) -> usize {
    if text.is_ascii() { text.len() } else { collation.encode(text).len() }
}

/// A GUID's text in the form of SQL Server.
fn guid(text: &str) -> Option<String> {
    let text = text.trim().trim_matches(['{', '}']);
    let shape = text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.as_bytes()[*at] == b'-');
    let hex = text.bytes().filter(|byte| *byte != b'-').all(|byte| byte.is_ascii_hexdigit());
    (shape && hex).then(|| text.to_ascii_uppercase())
}

/// The first three groups travel with their low byte first.
pub(crate) const GUID_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

pub(crate) fn guid_text(bytes: &[u8]) -> Option<String> {
    let bytes: &[u8; 16] = bytes.try_into().ok()?;
    let hex: String = GUID_ORDER.iter().map(|at| format!("{:02X}", bytes[*at])).collect();
    Some(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

fn bytes(value: Value, to: &SqlType) -> Result<Value, SqlFault> {
    let bytes = match value {
        Value::Blob(bytes) => bytes,
        Value::Integer(number) => match to {
            SqlType::Binary(length) if *length < 8 => number.to_be_bytes()[8 - usize::from(*length)..].to_vec(),
            SqlType::RowVersion | SqlType::Binary(_) => number.to_be_bytes().to_vec(),
            // An int has four bytes.
            _ => i32::try_from(number).map_or(number.to_be_bytes().to_vec(), |number| number.to_be_bytes().to_vec()),
        },
        Value::Text(text) => Collation::DEFAULT.encode(&text),
        other => return Err(failed(&other, to)),
    };
    let fixed = |length: usize| {
        let mut bytes = bytes.clone();
        bytes.resize(length, 0);
        bytes
    };
    Ok(Value::Blob(match to {
        SqlType::RowVersion => fixed(8),
        SqlType::Binary(length) if bytes.len() > usize::from(*length) => return Err(SqlFault::truncated()),
        SqlType::Binary(length) => fixed(usize::from(*length)),
        SqlType::VarBinary(length) if *length != MAX && bytes.len() > usize::from(*length) => {
            return Err(SqlFault::truncated());
        }
        _ => bytes,
    }))
}

/// A value that brings its type along; what has none gets that of its form.
fn variant(value: Value) -> Result<Value, SqlFault> {
    Ok(Value::Text(match value {
        Value::Integer(number) if i32::try_from(number).is_ok() => format!("int:{number}"),
        Value::Integer(number) => format!("bigint:{number}"),
        Value::Real(number) => format!("float:{number}"),
        Value::Blob(_) => format!("varbinary(8000):{}", plain(&value)),
        Value::Text(text) if unwrap_variant(&text).is_some() => text,
        other => format!("nvarchar(4000):{}", plain(&other)),
    }))
}

/// The type and value in the text of a `sql_variant`.
pub(crate) fn unwrap_variant(text: &str) -> Option<(SqlType, Value)> {
    let (declared, rest) = text.split_once(':')?;
    let (declared, collation) = match declared.split_once(" COLLATE ") {
        Some((declared, name)) => (declared, Collation::named(name)?),
        None => (declared, Collation::DEFAULT),
    };
    let (word, arguments) = match declared.split_once('(') {
        Some((word, arguments)) => (word, arguments.strip_suffix(')')?),
        None => (declared, ""),
    };
    let arguments: Vec<u16> = arguments.split(',').filter_map(|part| part.parse().ok()).collect();
    let declared = SqlType::named(word, &arguments, collation)?;
    let value = if declared.family() == Family::Bytes {
        let pairs = rest.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        Value::Blob(pairs.map(byte).collect::<Option<_>>()?)
    } else {
        Value::Text(rest.to_owned())
    };
    Some((declared, cast(value, &declared).ok()?))
}
