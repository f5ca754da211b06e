//! SQL Server's types, as a column or parameter is declared.

use std::fmt;

use super::collation::Collation;

/// The length of `(max)`.
pub(crate) const MAX: u16 = 0xFFFF;

/// A declared type. Lengths are in bytes for the narrow and binary ones, in UTF-16 units for the wide ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum SqlType {
    Bit,
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Real,
    Float,
    SmallMoney,
    Money,
    Decimal(u8, u8),
    Numeric(u8, u8),
    SmallDateTime,
    DateTime,
    Date,
    Time(u8),
    DateTime2(u8),
    DateTimeOffset(u8),
    Guid,
    Char(u16, Collation),
    VarChar(u16, Collation),
    NChar(u16, Collation),
    NVarChar(u16, Collation),
    Text(Collation),
    NText(Collation),
    Binary(u16),
    VarBinary(u16),
    Image,
    /// On the wire it is a `binary(8)`.
    RowVersion,
    Xml,
    Variant,
}

/// How values are compared and stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Whole,
    Exact,
    Binary64,
    Temporal,
    Text,
    Bytes,
    Variant,
}

impl SqlType {
    pub(crate) const TEXT: SqlType = SqlType::NVarChar(4000, Collation::DEFAULT);

    /// `sysname`.
    pub(crate) const NAME: SqlType = SqlType::NVarChar(128, Collation::DEFAULT);

    pub(crate) fn family(&self) -> Family {
        use SqlType::*;
        match self {
            Bit | TinyInt | SmallInt | Int | BigInt => Family::Whole,
            SmallMoney | Money | Decimal(..) | Numeric(..) => Family::Exact,
            Real | Float => Family::Binary64,
            SmallDateTime | DateTime | Date | Time(_) | DateTime2(_) | DateTimeOffset(_) => Family::Temporal,
            Guid | Char(..) | VarChar(..) | NChar(..) | NVarChar(..) | SqlType::Text(_) | NText(_) | Xml => {
                Family::Text
            }
            Binary(_) | VarBinary(_) | Image | RowVersion => Family::Bytes,
            Variant => Family::Variant,
        }
    }

    /// The type that a word and its arguments name; `None` where they name none.
    pub(crate) fn named(word: &str, arguments: &[u16], collation: Collation) -> Option<SqlType> {
        use SqlType::*;
        let first = arguments.first().copied();
        let scale = || u8::try_from(first.unwrap_or(7)).ok().filter(|scale| *scale <= 7);
        let exact = || {
            let precision = u8::try_from(first.unwrap_or(18)).ok().filter(|digits| (1..=38).contains(digits))?;
            let scale = u8::try_from(arguments.get(1).copied().unwrap_or(0)).ok().filter(|s| *s <= precision)?;
            Some((precision, scale))
        };
        let length = first.unwrap_or(1);
        Some(match word.to_ascii_lowercase().as_str() {
            "bit" => Bit,
            "tinyint" => TinyInt,
            "smallint" => SmallInt,
            "int" | "integer" => Int,
            "bigint" => BigInt,
            "real" => Real,
            "float" if first.is_some_and(|bits| bits <= 24) => Real,
            "float" => Float,
            "smallmoney" => SmallMoney,
            "money" => Money,
            "decimal" | "dec" => exact().map(|(p, s)| Decimal(p, s))?,
            "numeric" => exact().map(|(p, s)| Numeric(p, s))?,
            "smalldatetime" => SmallDateTime,
            "datetime" => DateTime,
            "date" => Date,
            "time" => Time(scale()?),
            "datetime2" => DateTime2(scale()?),
            "datetimeoffset" => DateTimeOffset(scale()?),
            "uniqueidentifier" => Guid,
            "char" | "character" => Char(length, collation),
            "varchar" => VarChar(length, collation),
            "nchar" => NChar(length, collation),
            "nvarchar" => NVarChar(length, collation),
            "sysname" => SqlType::NAME,
            "text" => SqlType::Text(collation),
            "ntext" => NText(collation),
            "binary" => Binary(length),
            "varbinary" => VarBinary(length),
            "image" => Image,
            "rowversion" | "timestamp" => RowVersion,
            "xml" => Xml,
            "sql_variant" => Variant,
            _ => return None,
        })
    }

    /// The name without arguments.
    pub(crate) fn word(&self) -> &'static str {
        use SqlType::*;
        match self {
            Bit => "bit",
            TinyInt => "tinyint",
            SmallInt => "smallint",
            Int => "int",
            BigInt => "bigint",
            Real => "real",
            Float => "float",
            SmallMoney => "smallmoney",
            Money => "money",
            Decimal(..) => "decimal",
            Numeric(..) => "numeric",
            SmallDateTime => "smalldatetime",
            DateTime => "datetime",
            Date => "date",
            Time(_) => "time",
            DateTime2(_) => "datetime2",
            DateTimeOffset(_) => "datetimeoffset",
            Guid => "uniqueidentifier",
            Char(..) => "char",
            VarChar(..) => "varchar",
            NChar(..) => "nchar",
            NVarChar(..) => "nvarchar",
            SqlType::Text(_) => "text",
            NText(_) => "ntext",
            Binary(_) => "binary",
            VarBinary(_) => "varbinary",
            Image => "image",
            RowVersion => "timestamp",
            Xml => "xml",
            Variant => "sql_variant",
        }
    }

    /// `system_type_id` of `sys.types`.
    pub(crate) fn id(&self) -> u8 {
        use SqlType::*;
        match self {
            Image => 34,
            SqlType::Text(_) => 35,
            Guid => 36,
            Date => 40,
            Time(_) => 41,
            DateTime2(_) => 42,
            DateTimeOffset(_) => 43,
            TinyInt => 48,
            SmallInt => 52,
            Int => 56,
            SmallDateTime => 58,
            Real => 59,
            Money => 60,
            DateTime => 61,
            Float => 62,
            Variant => 98,
            NText(_) => 99,
            Bit => 104,
            Decimal(..) => 106,
            Numeric(..) => 108,
            SmallMoney => 122,
            BigInt => 127,
            VarBinary(_) => 165,
            VarChar(..) => 167,
            Binary(_) => 173,
            Char(..) => 175,
            RowVersion => 189,
            NVarChar(..) => 231,
            NChar(..) => 239,
            Xml => 241,
        }
    }

    /// `max_length` of `sys.columns`: in bytes, -1 for max.
    pub(crate) fn bytes(&self) -> i64 {
        use SqlType::*;
        match *self {
            Bit | TinyInt => 1,
            SmallInt => 2,
            Int | Real | SmallMoney | SmallDateTime => 4,
            BigInt | Float | Money | DateTime | RowVersion => 8,
            Decimal(p, _) | Numeric(p, _) => i64::from(decimal_bytes(p)),
            Date => 3,
            Time(s) => i64::from(time_bytes(s)),
            DateTime2(s) => i64::from(time_bytes(s)) + 3,
            DateTimeOffset(s) => i64::from(time_bytes(s)) + 5,
            Guid | SqlType::Text(_) | NText(_) | Image => 16,
            VarChar(MAX, _) | NVarChar(MAX, _) | VarBinary(MAX) | Xml => -1,
            Char(n, _) | VarChar(n, _) | Binary(n) | VarBinary(n) => i64::from(n),
            NChar(n, _) | NVarChar(n, _) => i64::from(n) * 2,
            Variant => 8016,
        }
    }

    /// `precision` and `scale` of `sys.columns`.
    pub(crate) fn digits(&self) -> (u8, u8) {
        use SqlType::*;
        match *self {
            Bit => (1, 0),
            TinyInt => (3, 0),
            SmallInt => (5, 0),
            Int => (10, 0),
            BigInt => (19, 0),
            Real => (24, 0),
            Float => (53, 0),
            SmallMoney => (10, 4),
            Money => (19, 4),
            Decimal(p, s) | Numeric(p, s) => (p, s),
            SmallDateTime => (16, 0),
            DateTime => (23, 3),
            Date => (10, 0),
            Time(s) => (if s == 0 { 8 } else { 9 + s }, s),
            DateTime2(s) => (if s == 0 { 19 } else { 20 + s }, s),
            DateTimeOffset(s) => (if s == 0 { 26 } else { 27 + s }, s),
            _ => (0, 0),
        }
    }

    pub(crate) fn collation(&self) -> Option<Collation> {
        use SqlType::*;
        match *self {
            Char(_, c) | VarChar(_, c) | NChar(_, c) | NVarChar(_, c) | SqlType::Text(c) | NText(c) => Some(c),
            _ => None,
        }
    }

    /// Whether values travel in UTF-16.
    pub(crate) fn is_wide(&self) -> bool {
        matches!(self, SqlType::NChar(..) | SqlType::NVarChar(..) | SqlType::NText(_) | SqlType::Xml)
    }

    /// Whether values travel in chunks.
    pub(crate) fn is_chunked(&self) -> bool {
        matches!(self, SqlType::VarChar(MAX, _) | SqlType::NVarChar(MAX, _) | SqlType::VarBinary(MAX) | SqlType::Xml)
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        use SqlType::*;
        out.write_str(self.word())?;
        match *self {
            VarChar(MAX, _) | NVarChar(MAX, _) | VarBinary(MAX) => out.write_str("(max)"),
            Char(n, _) | VarChar(n, _) | NChar(n, _) | NVarChar(n, _) | Binary(n) | VarBinary(n) => {
                write!(out, "({n})")
            }
            Decimal(p, s) | Numeric(p, s) => write!(out, "({p},{s})"),
            Time(s) | DateTime2(s) | DateTimeOffset(s) => write!(out, "({s})"),
            _ => Ok(()),
        }
    }
}

/// The bytes of a decimal, its sign included (MS-TDS 2.2.5.5.1.6).
pub(crate) fn decimal_bytes(precision: u8) -> u8 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

/// The bytes of a time of this scale (MS-TDS 2.2.5.5.1.8).
pub(crate) fn time_bytes(scale: u8) -> u8 {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}
