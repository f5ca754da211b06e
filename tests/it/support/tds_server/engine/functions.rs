//! Functions and collations that SQLite lacks.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, Error};

use super::Vars;
use crate::support::tds_server::Shared;
use crate::support::tds_server::error::SqlFault;
use crate::support::tds_server::sql::lexer::tokens;
use crate::support::tds_server::sql::parser::{Facts, Parser};
use crate::support::tds_server::value::cast::{cast, plain};
use crate::support::tds_server::value::exact;
use crate::support::tds_server::value::moment::{Moment, date_of, days_of};
use crate::support::tds_server::value::types::SqlType;

fn fault(fault: &SqlFault) -> Error {
    Error::UserFunctionError(format!("TS{}:{}", fault.number, fault.message).into())
}

fn other(message: &str) -> Error {
    fault(&SqlFault::new(8116, message))
}

fn moment(context: &Context<'_>, at: usize) -> rusqlite::Result<Option<Moment>> {
    match context.get::<Value>(at)? {
        Value::Null => Ok(None),
        value => {
            let read = Moment::parse(&plain(&value));
            let wrong = || {
                fault(&SqlFault::new(241, "Conversion failed when converting date and/or time from character string."))
            };
            read.map(Some).ok_or_else(wrong)
        }
    }
}

/// Types by the names in which `ts_cast` has them.
fn declared(name: &str, known: &mut HashMap<String, SqlType>) -> rusqlite::Result<SqlType> {
    if let Some(found) = known.get(name) {
        return Ok(*found);
    }
    let tokens = tokens(name).map_err(|error| fault(&error))?;
    let facts = Facts::default();
    let mut parser = Parser::new(&tokens, Arc::default(), &[], &facts, HashMap::new());
    let made = parser.declared().map_err(|error| fault(&error))?;
    known.insert(name.to_owned(), made);
    Ok(made)
}

pub(crate) fn register(connection: &Connection, shared: &Arc<Shared>, vars: &Arc<Mutex<Vars>>) -> rusqlite::Result<()> {
    connection.create_collation("ts_number", |a, b| exact::compare(a, b).unwrap_or_else(|| a.cmp(b)))?;
    connection.create_collation("ts_moment", |a, b| match (Moment::parse(a), Moment::parse(b)) {
        (Some(a), Some(b)) => a.absolute().cmp(&b.absolute()),
        _ => a.cmp(b),
    })?;
    connection.create_collation("ts_text", compare_text)?;
    connection.create_collation("ts_binary", |a, b| a.trim_end_matches(' ').cmp(b.trim_end_matches(' ')))?;
    of_types(connection)?;
    of_moments(connection)?;
    of_numbers(connection)?;
    of_session(connection, shared, vars)
}

/// Without regard to case and to blanks at the end.
fn compare_text(a: &str, b: &str) -> Ordering {
    let folded = |text: &str| text.trim_end_matches(' ').chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
    if a == b { Ordering::Equal } else { folded(a).cmp(&folded(b)) }
}

const PURE: FunctionFlags = FunctionFlags::SQLITE_UTF8.union(FunctionFlags::SQLITE_DETERMINISTIC);
const LIVE: FunctionFlags = FunctionFlags::SQLITE_UTF8;

fn of_types(connection: &Connection) -> rusqlite::Result<()> {
    let turn = |tries: bool| {
        let known = Mutex::new(HashMap::new());
        move |context: &mut Context<'_>| -> rusqlite::Result<Value> {
            let name: String = context.get(1)?;
            let to = declared(&name, &mut known.lock().unwrap())?;
            match cast(context.get(0)?, &to) {
                Err(_) if tries => Ok(Value::Null),
                made => made.map_err(|error| fault(&error)),
            }
        }
    };
    connection.create_scalar_function("ts_cast", 2, PURE, turn(false))?;
    connection.create_scalar_function("ts_try_cast", 2, PURE, turn(true))?;
    connection.create_scalar_function("ts_hex", 3, PURE, |context| {
        let (value, style, name): (Value, i64, String) = (context.get(0)?, context.get(1)?, context.get(2)?);
        let to = declared(&name, &mut HashMap::new())?;
        let prefix = if style == 1 { "0x" } else { "" };
        match value {
            Value::Blob(_) if style != 0 => Ok(Value::Text(format!("{prefix}{}", plain(&value)))),
            Value::Text(text) if style != 0 => {
                let digits = text.trim_start_matches("0x").as_bytes();
                let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
                let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
                let bytes = bytes.ok_or_else(|| other("Error converting data type varchar to varbinary."))?;
                cast(Value::Blob(bytes), &to).map_err(|error| fault(&error))
            }
            value => cast(value, &to).map_err(|error| fault(&error)),
        }
    })?;
    connection.create_scalar_function("ts_datalength", 2, PURE, |context| {
        let name: String = context.get(1)?;
        let to = declared(&name, &mut HashMap::new())?;
        Ok(match context.get::<Value>(0)? {
            Value::Null => None,
            Value::Blob(bytes) => Some(bytes.len() as i64),
            value if to.is_wide() => Some(plain(&value).encode_utf16().count() as i64 * 2),
            value => {
                let text = plain(&value);
                Some(to.collation().map_or(text.len(), |collation| collation.encode(&text).len()) as i64)
            }
        })
    })?;
    connection.create_scalar_function("ts_joined", 2, PURE, |context| {
        let (a, b): (Option<Vec<u8>>, Option<Vec<u8>>) = (context.get(0)?, context.get(1)?);
        Ok(a.zip(b).map(|(a, b)| [a, b].concat()))
    })?;
    connection.create_scalar_function("ts_like", 3, PURE, |context| {
        let [text, pattern, escape] = [0, 1, 2].map(|at| context.get::<Value>(at));
        let (text, pattern, escape) = (text?, pattern?, escape?);
        if text == Value::Null || pattern == Value::Null {
            return Ok(None);
        }
        let fold = |value: &Value| plain(value).to_lowercase().chars().collect::<Vec<_>>();
        Ok(Some(like(&fold(&text), &fold(&pattern), plain(&escape).chars().next())))
    })?;
    connection.create_scalar_function("ts_replicate", 2, PURE, |context| {
        let (text, times): (Option<String>, Option<i64>) = (context.get(0)?, context.get(1)?);
        Ok(text.zip(times).map(|(text, times)| text.repeat(usize::try_from(times).unwrap_or(0).min(100_000_000))))
    })?;
    connection.create_scalar_function("ts_newid", 0, LIVE, |_| {
        Ok(uuid::Uuid::now_v7().hyphenated().to_string().to_ascii_uppercase())
    })?;
    connection.create_scalar_function("ts_fail", 2, LIVE, |context| -> rusqlite::Result<Option<i64>> {
        let (number, message): (i32, String) = (context.get(0)?, context.get(1)?);
        Err(fault(&SqlFault::new(number, message)))
    })
}

fn like(text: &[char], pattern: &[char], escape: Option<char>) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    match first {
        c if Some(*c) == escape && !rest.is_empty() => {
            text.first() == rest.first() && like(&text[1..], &rest[1..], escape)
        }
        '%' => (0..=text.len()).any(|at| like(&text[at..], rest, escape)),
        '_' => !text.is_empty() && like(&text[1..], rest, escape),
        '[' => {
            let Some(end) = rest.iter().position(|c| *c == ']') else { return false };
            let (set, negated) = match rest[..end].split_first() {
                Some(('^', set)) => (set, true),
                _ => (&rest[..end], false),
            };
            let Some(c) = text.first() else { return false };
            let ranged = set.windows(3).any(|w| w[1] == '-' && w[0] <= *c && *c <= w[2]);
            (ranged || set.contains(c)) != negated && like(&text[1..], &rest[end + 1..], escape)
        }
        c => text.first() == Some(c) && like(&text[1..], rest, escape),
    }
}

fn of_moments(connection: &Connection) -> rusqlite::Result<()> {
    connection.create_scalar_function("ts_now", 0, LIVE, |_| {
        let now = Moment::now();
        Ok(format!("{} {}", now.date(), now.clock(7)))
    })?;
    connection.create_scalar_function("ts_dateadd", 3, PURE, |context| {
        let (part, count): (String, Option<i64>) = (context.get(0)?, context.get(1)?);
        let (Some(moment), Some(count)) = (moment(context, 2)?, count) else { return Ok(None) };
        let moved = match part.as_str() {
            "year" | "yy" | "yyyy" => months(moment, count * 12),
            "quarter" | "qq" => months(moment, count * 3),
            "month" | "mm" | "m" => months(moment, count),
            part => moment.plus(i128::from(count) * unit(part)?),
        };
        let zone = moved.offset.map_or(String::new(), |_| format!(" {}", moved.zone()));
        Ok(Some(format!("{} {}{zone}", moved.date(), moved.clock(7))))
    })?;
    connection.create_scalar_function("ts_add_days", 2, PURE, |context| {
        let days: Option<f64> = context.get(1)?;
        let (Some(moment), Some(days)) = (moment(context, 0)?, days) else { return Ok(None) };
        let moved = moment.plus((days * 864e9) as i128);
        Ok(Some(format!("{} {}", moved.date(), moved.clock(7))))
    })?;
    connection.create_scalar_function("ts_datediff", 3, PURE, |context| {
        let part: String = context.get(0)?;
        let (Some(from), Some(until)) = (moment(context, 1)?, moment(context, 2)?) else { return Ok(None) };
        let of_months = |moment: Moment| {
            let (year, month, _) = date_of(moment.days);
            year * 12 + month - 1
        };
        Ok(Some(match part.as_str() {
            "year" | "yy" | "yyyy" => of_months(until).div_euclid(12) - of_months(from).div_euclid(12),
            "month" | "mm" | "m" => of_months(until) - of_months(from),
            part => {
                let unit = unit(part)?;
                (until.absolute().div_euclid(unit) - from.absolute().div_euclid(unit)) as i64
            }
        }))
    })?;
    connection.create_scalar_function("ts_datepart", 2, PURE, |context| {
        let part: String = context.get(0)?;
        let Some(moment) = moment(context, 1)? else { return Ok(None) };
        let (year, month, day) = date_of(moment.days);
        let seconds = moment.ticks / 10_000_000;
        Ok(Some(match part.as_str() {
            "year" | "yy" | "yyyy" => year,
            "month" | "mm" | "m" => month,
            "day" | "dd" | "d" => day,
            "hour" | "hh" => seconds / 3600,
            "minute" | "mi" | "n" => seconds / 60 % 60,
            "second" | "ss" | "s" => seconds % 60,
            "millisecond" | "ms" => moment.ticks / 10_000 % 1000,
            _ => return Err(other("This part of a date is not served here.")),
        }))
    })
}

/// A part of a date in 100 ns.
fn unit(part: &str) -> rusqlite::Result<i128> {
    Ok(match part {
        "week" | "wk" | "ww" => 7 * 864_000_000_000,
        "day" | "dd" | "d" | "dayofyear" | "dy" => 864_000_000_000,
        "hour" | "hh" => 36_000_000_000,
        "minute" | "mi" | "n" => 600_000_000,
        "second" | "ss" | "s" => 10_000_000,
        "millisecond" | "ms" => 10_000,
        "microsecond" | "mcs" => 10,
        _ => return Err(other("This part of a date is not served here.")),
    })
}

fn months(moment: Moment, count: i64) -> Moment {
    let (year, month, day) = date_of(moment.days);
    let all = year * 12 + month - 1 + count;
    let (year, month) = (all.div_euclid(12), all.rem_euclid(12) + 1);
    let last = days_of(if month == 12 { year + 1 } else { year }, month % 12 + 1, 1) - days_of(year, month, 1);
    Moment { days: days_of(year, month, day.min(last)), ..moment }
}

struct Sum;

impl Aggregate<Option<(i128, u8)>, Option<String>> for Sum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Option<(i128, u8)>> {
        Ok(None)
    }

    fn step(&self, context: &mut Context<'_>, all: &mut Option<(i128, u8)>) -> rusqlite::Result<()> {
        let value = context.get::<Value>(0)?;
        let Some(next) = exact::parse(&plain(&value)) else { return Ok(()) };
        let before = all.unwrap_or((0, next.1));
        let scale = before.1.max(next.1);
        let sum = exact::rescale(before, scale).zip(exact::rescale(next, scale)).and_then(|(a, b)| a.checked_add(b));
        *all = Some((sum.ok_or_else(|| other("Arithmetic overflow error."))?, scale));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, all: Option<Option<(i128, u8)>>) -> rusqlite::Result<Option<String>> {
        Ok(all.flatten().map(|(mantissa, scale)| exact::format(mantissa, scale)))
    }
}

fn of_numbers(connection: &Connection) -> rusqlite::Result<()> {
    connection.create_aggregate_function("ts_sum", 1, PURE, Sum)?;
    connection.create_scalar_function("ts_calculate", 4, PURE, |context| {
        let (sign, scale): (String, u8) = (context.get(0)?, context.get(3)?);
        let (a, b): (Value, Value) = (context.get(1)?, context.get(2)?);
        let (Some(a), Some(b)) = (exact::parse(&plain(&a)), exact::parse(&plain(&b))) else { return Ok(None) };
        let overflow =
            || fault(&SqlFault::new(8115, "Arithmetic overflow error converting expression to data type numeric."));
        let both = a.1.max(b.1);
        let level = |number| exact::rescale(number, both).ok_or_else(overflow);
        let made = match sign.as_str() {
            "+" => (level(a)?.checked_add(level(b)?).ok_or_else(overflow)?, both),
            "-" => (level(a)?.checked_sub(level(b)?).ok_or_else(overflow)?, both),
            "*" => (a.0.checked_mul(b.0).ok_or_else(overflow)?, a.1 + b.1),
            _ => {
                if b.0 == 0 {
                    return Err(fault(&SqlFault::new(8134, "Divide by zero error encountered.")));
                }
                (exact::rescale((a.0, a.1), a.1 + b.1 + scale + 1).ok_or_else(overflow)? / b.0, a.1 + scale + 1)
            }
        };
        Ok(Some(exact::format(exact::rescale(made, scale).ok_or_else(overflow)?, scale)))
    })?;
    connection.create_scalar_function("ts_round", -1, PURE, |context| {
        let (value, places): (Value, i64) = (context.get(0)?, if context.len() > 1 { context.get(1)? } else { 0 });
        let Value::Text(text) = &value else { return Ok(value) };
        let Some(number) = exact::parse(text) else { return Ok(Value::Null) };
        let places = u8::try_from(places).unwrap_or(0).min(number.1);
        let rounded = exact::rescale(number, places).and_then(|mantissa| exact::rescale((mantissa, places), number.1));
        Ok(rounded.map_or(Value::Null, |mantissa| Value::Text(exact::format(mantissa, number.1))))
    })?;
    connection.create_scalar_function("ts_mask", -1, PURE, |context| {
        let mut mask = vec![0u8; context.len().div_ceil(8)];
        let last = mask.len() - 1;
        for at in 0..context.len() {
            if context.get::<bool>(at)? {
                mask[last - at / 8] |= 1 << (at % 8);
            }
        }
        Ok(mask)
    })?;
    connection.create_scalar_function("ts_lsn", 2, PURE, |context| {
        let (number, slot): (i64, i64) = (context.get(0)?, context.get(1)?);
        Ok([&number.to_be_bytes()[..], &(slot as u16).to_be_bytes()].concat())
    })?;
    connection.create_scalar_function("ts_lsn_step", 2, PURE, |context| {
        let (lsn, step): (Option<Vec<u8>>, i64) = (context.get(0)?, context.get(1)?);
        let Some(lsn) = lsn else { return Ok(None) };
        let number = lsn.iter().fold(0u128, |all, byte| all << 8 | u128::from(*byte));
        let moved = number.wrapping_add_signed(i128::from(step)).to_be_bytes();
        Ok(Some(moved[6..].to_vec()))
    })
}

fn of_session(connection: &Connection, shared: &Arc<Shared>, vars: &Arc<Mutex<Vars>>) -> rusqlite::Result<()> {
    let of = Arc::clone(shared);
    connection.create_scalar_function("ts_sequence", 0, LIVE, move |_| Ok(of.next() as i64))?;
    let (of, spid) = (Arc::clone(shared), vars.lock().unwrap().spid);
    connection
        .create_scalar_function("ts_rowversion", 0, LIVE, move |_| Ok(of.rowversion(spid).to_be_bytes().to_vec()))?;
    let (of, own) = (Arc::clone(shared), Arc::clone(vars));
    connection.create_scalar_function("ts_identity", 1, LIVE, move |context| {
        let number = of.identity(context.get(0)?);
        own.lock().unwrap().identity = Some(number);
        Ok(number)
    })?;
    let (of, own) = (Arc::clone(shared), Arc::clone(vars));
    connection.create_scalar_function("ts_session", -1, LIVE, move |context| {
        let name: String = context.get(0)?;
        let arguments: Vec<Value> = (1..context.len()).map(|at| context.get(at)).collect::<Result<_, _>>()?;
        Ok(super::super::facts::answer(&name, &arguments, &of, &own.lock().unwrap()))
    })
}
