//! Values that are bound to a statement, as the driver sends them.
//!
//! A date with a time travels as text where it has at most three digits of fraction: text takes the type of the column that
//! it is compared with, `datetime` or `datetime2`, and means the same moment in both. As a `datetime2` it would differ from
//! a `datetime` by parts of a millisecond.

use std::borrow::Cow;

use tiberius::numeric::Numeric;
use tiberius::{ColumnData, IntoSql, ToSql, Uuid};

use super::moment;
use crate::adapters::sql::Value;
use crate::decode::rows::ColumnKind;
use crate::record::Decimal;

/// The longest text that is sent as `nvarchar(4000)`, in bytes, as the driver counts.
const SHORT: usize = 4000;

/// The most bytes of a text that a `varchar` takes which is not `max`.
pub(super) const NARROW: usize = 8000;

/// A value that is bound.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bound(pub(super) ColumnData<'static>);

impl ToSql for Bound {
    fn to_sql(&self) -> ColumnData<'_> {
        match &self.0 {
            ColumnData::String(Some(text)) => ColumnData::String(Some(Cow::Borrowed(text))),
            ColumnData::Binary(Some(bytes)) => ColumnData::Binary(Some(Cow::Borrowed(bytes))),
            other => other.clone(),
        }
    }
}

impl IntoSql<'static> for Bound {
    fn into_sql(self) -> ColumnData<'static> {
        self.0
    }
}

/// Binds all values of a statement.
pub(super) fn all(values: &[Value]) -> Result<Vec<Bound>, String> {
    let each = values.iter().enumerate();
    each.map(|(at, value)| of(value).ok_or_else(|| format!("value {} cannot be bound: {value:?}", at + 1))).collect()
}

/// Binds a value; `None` where it is not what its kind says.
pub(super) fn of(value: &Value) -> Option<Bound> {
    let data = match value {
        Value::Null(kind) => null(*kind),
        Value::Boolean(flag) => ColumnData::Bit(Some(*flag)),
        Value::Integer(number) => ColumnData::I64(Some(*number)),
        Value::Decimal(number) => decimal(*number),
        Value::Float(number) => ColumnData::F64(Some(*number)),
        Value::Text(text) => ColumnData::String(Some(Cow::Owned(text.clone()))),
        Value::Bytes(bytes) => ColumnData::Binary(Some(Cow::Owned(bytes.clone()))),
        Value::Written(kind, text) => written(*kind, text)?,
    };
    Some(Bound(data))
}

fn null(kind: ColumnKind) -> ColumnData<'static> {
    match kind {
        ColumnKind::Boolean => ColumnData::Bit(None),
        ColumnKind::Integer => ColumnData::I64(None),
        ColumnKind::Decimal { .. } => ColumnData::Numeric(None),
        ColumnKind::Float => ColumnData::F64(None),
        ColumnKind::Text { .. } | ColumnKind::DateTime => ColumnData::String(None),
        ColumnKind::Bytes { .. } => ColumnData::Binary(None),
        ColumnKind::Date => ColumnData::Date(None),
        ColumnKind::Time => ColumnData::Time(None),
        ColumnKind::DateTimeOffset => ColumnData::DateTimeOffset(None),
        ColumnKind::Uuid => ColumnData::Guid(None),
    }
}

/// The driver counts a digit before the point even where there is none: what would have 39 then travels as text.
fn decimal(number: Decimal) -> ColumnData<'static> {
    let numeric = Numeric::new_with_scale(number.units(), number.scale());
    if numeric.precision() <= 38 {
        ColumnData::Numeric(Some(numeric))
    } else {
        ColumnData::String(Some(Cow::Owned(number.to_string())))
    }
}

fn written(kind: ColumnKind, text: &str) -> Option<ColumnData<'static>> {
    Some(match kind {
        ColumnKind::Date => ColumnData::Date(Some(moment::read_date(text)?)),
        ColumnKind::Time => ColumnData::Time(Some(moment::read_time(text)?)),
        ColumnKind::DateTime => {
            let moment = moment::read_datetime(text)?;
            match text.split_once('.').is_none_or(|(_, fraction)| fraction.len() <= 3) {
                true => ColumnData::String(Some(Cow::Owned(text.to_owned()))),
                false => ColumnData::DateTime2(Some(moment)),
            }
        }
        ColumnKind::DateTimeOffset => ColumnData::DateTimeOffset(Some(moment::read_datetimeoffset(text)?)),
        ColumnKind::Uuid => ColumnData::Guid(Some(Uuid::parse_str(text).ok()?)),
        ColumnKind::Boolean => ColumnData::Bit(Some(match text {
            "1" => true,
            "0" => false,
            _ => return None,
        })),
        ColumnKind::Integer => ColumnData::I64(Some(text.parse().ok()?)),
        ColumnKind::Decimal { .. } => decimal(Decimal::parse(text, b'.', None).ok()?),
        ColumnKind::Float => ColumnData::F64(Some(text.parse().ok()?)),
        ColumnKind::Text { .. } => ColumnData::String(Some(Cow::Owned(text.to_owned()))),
        ColumnKind::Bytes { .. } => ColumnData::Binary(Some(Cow::Owned(text.as_bytes().to_vec()))),
    })
}

/// Whether it is text that every code page writes alike, and short enough for a `varchar`.
pub(super) fn is_plain_text(bound: &Bound) -> bool {
    matches!(&bound.0, ColumnData::String(Some(text)) if text.is_ascii() && text.len() <= NARROW)
}

/// The declarations of parameters, as `sp_executesql` takes them: `@P1 bigint,@P2 nvarchar(4000)`.
pub(super) fn declarations(bound: &[Bound]) -> String {
    let each = bound.iter().enumerate().map(|(at, bound)| format!("@P{} {}", at + 1, type_name(&bound.0)));
    each.collect::<Vec<_>>().join(",")
}

/// The type that a parameter is declared with, so that it is the one that travels.
fn type_name(data: &ColumnData<'_>) -> String {
    match data {
        ColumnData::U8(_) => "tinyint".to_owned(),
        ColumnData::I16(_) => "smallint".to_owned(),
        ColumnData::I32(_) => "int".to_owned(),
        ColumnData::I64(_) => "bigint".to_owned(),
        ColumnData::F32(_) => "float(24)".to_owned(),
        ColumnData::F64(_) => "float(53)".to_owned(),
        ColumnData::Bit(_) => "bit".to_owned(),
        ColumnData::String(Some(text)) if text.len() > SHORT => "nvarchar(max)".to_owned(),
        ColumnData::String(_) => "nvarchar(4000)".to_owned(),
        ColumnData::Guid(_) => "uniqueidentifier".to_owned(),
        ColumnData::Binary(Some(bytes)) if bytes.len() <= NARROW => "varbinary(8000)".to_owned(),
        ColumnData::Binary(_) => "varbinary(max)".to_owned(),
        ColumnData::Numeric(Some(number)) => format!("numeric({},{})", number.precision(), number.scale()),
        ColumnData::Numeric(None) => "numeric(38,0)".to_owned(),
        ColumnData::Xml(_) => "xml".to_owned(),
        ColumnData::DateTime(_) => "datetime".to_owned(),
        ColumnData::SmallDateTime(_) => "smalldatetime".to_owned(),
        ColumnData::Time(_) => "time".to_owned(),
        ColumnData::Date(_) => "date".to_owned(),
        ColumnData::DateTime2(_) => "datetime2".to_owned(),
        ColumnData::DateTimeOffset(_) => "datetimeoffset".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_travel_as_their_type() {
        let written = |kind, text: &str| Value::Written(kind, text.to_owned());
        let decimal = |text: &str| Value::Decimal(Decimal::parse(text, b'.', None).unwrap());
        let values = [
            Value::Integer(1),
            Value::Text("ü".repeat(2001)),
            decimal("-1234.50"),
            decimal("0.00000000000000000000000000000000000001"),
            written(ColumnKind::DateTime, "2026-11-28T23:59:59.003"),
            written(ColumnKind::DateTime, "2026-11-28T23:59:59.1234567"),
            written(ColumnKind::Date, "2026-11-28"),
            written(ColumnKind::Uuid, "0197f7a2-0000-7000-8000-0000000000ab"),
            Value::Null(ColumnKind::Bytes { max: None }),
        ];
        assert_eq!(
            declarations(&all(&values).unwrap()),
            "@P1 bigint,@P2 nvarchar(max),@P3 numeric(6,2),@P4 nvarchar(4000),@P5 nvarchar(4000),@P6 datetime2,@P7 date,\
             @P8 uniqueidentifier,@P9 varbinary(max)"
        );
        let fault = all(&[Value::Integer(1), written(ColumnKind::Date, "2026-02-30")]).unwrap_err();
        assert!(fault.starts_with("value 2 cannot be bound"), "{fault}");
    }
}
