//! What the columns of a result are, and how their values are asked for. Drivers lie about types; so a column is what the
//! database calls it, where that is known, and what the driver says of it only where it is not.

use odbc_api::handles::{AsStatementRef, SqlResult, Statement, StatementRef};
use odbc_api::{ColumnDescription, DataType, Error, Nullability};

use super::quirks::TextWidth;
use super::raw;
use super::session::Session;
use crate::adapters::sql::Dialect;
use crate::decode::rows::{Column, ColumnKind};

/// How the values of a column are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Text of the database, in bytes of the code page or in UTF-16. The most units a value has that is no fault.
    Text { wide: bool, units: usize, declared: bool },
    /// Text with a letter before it that says what it is ([`super::told`]). The most units, with the letter.
    Marked { units: usize },
    /// ASCII: numbers, dates. It is doubted where what the driver says of a time is not always what it is.
    Ascii { units: usize, is_doubted: bool },
    /// A bit.
    Bit,
    /// A whole number of 64 bits.
    Long,
    /// A double.
    Double,
    /// A single.
    Single,
    /// Bytes.
    Bytes { units: usize, declared: bool },
}

impl Ask {
    /// How many bytes a row has of it in a block.
    pub(super) fn width(self) -> usize {
        match self {
            Ask::Text { wide: true, units, .. } => 2 * (units + 2) + 8,
            Ask::Text { units, .. } | Ask::Marked { units } | Ask::Ascii { units, .. } | Ask::Bytes { units, .. } => {
                units + 2 + 8
            }
            Ask::Double | Ask::Long => 16,
            Ask::Single => 12,
            Ask::Bit => 9,
        }
    }
}

/// A column, and how it is asked for.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) column: Column,
    pub(super) ask: Ask,
}

/// The widest that a column is declared; what is said to be wider has no width.
const WIDEST: u32 = 10_485_760;

/// Longest texts of numbers and times. What is longer is no such value.
const DIGITS: usize = 64;

/// How numbers and times are asked for, mostly.
pub(super) const ASCII: Ask = Ask::Ascii { units: DIGITS, is_doubted: false };

/// Finds out what the columns of a result are.
pub(super) fn describe(
    session: &Session,
    mut statement: StatementRef<'_>,
    max_value: usize,
) -> Result<Vec<Planned>, Error> {
    let count = statement.num_result_cols().into_result(&statement)?;
    let mut planned = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let mut described = ColumnDescription { name: Vec::with_capacity(128), ..ColumnDescription::default() };
    for number in 1..=u16::try_from(count).unwrap_or(0) {
        let mut column = statement.as_stmt_ref();
        column.describe_col(number, &mut described).into_result(&column)?;
        let words = raw::type_name(&mut column, number).map(|name| session.said(&name)).unwrap_or_default();
        let words = match session.dialect {
            Dialect::Sqlite => with_numbers(words, described.data_type, column.col_precision(number)),
            _ => words,
        };
        let kind = kind_of(session.dialect, &words, described.data_type);
        let nullable = match described.nullability {
            Nullability::Unknown => None,
            Nullability::Nullable => Some(true),
            Nullability::NoNulls => Some(false),
        };
        let octets = column.col_octet_length(number).into_result(&column).unwrap_or(0);
        let (chars, bytes) = widths(described.data_type, octets);
        let kind = match kind {
            ColumnKind::Text { .. } if session.quirks.keeps_widths => ColumnKind::Text { max_chars: chars },
            ColumnKind::Bytes { .. } if session.quirks.keeps_widths => ColumnKind::Bytes { max: bytes },
            kind => kind,
        };
        let declared = declared(&words, described.data_type, kind);
        let ask = ask_for(session, kind, &words, max_value);
        let column = Column { name: session.said(&described.name), kind, declared, nullable };
        planned.push(Planned { column, ask });
    }
    Ok(planned)
}

fn ask_for(session: &Session, kind: ColumnKind, words: &str, max_value: usize) -> Ask {
    // A text of SQLite's may stand in any column, whatever its type: a driver that is asked for a number makes one of it.
    let is_loose = session.dialect == Dialect::Sqlite;
    match kind {
        ColumnKind::Integer if session.quirks.gives_longs && is_long(words) => Ask::Long,
        ColumnKind::Boolean if session.quirks.gives_bits => Ask::Bit,
        ColumnKind::Float if is_loose || session.quirks.gives_digits => ASCII,
        ColumnKind::Float if is_single(session.dialect, words) => Ask::Single,
        ColumnKind::Float => Ask::Double,
        ColumnKind::Text { max_chars } => {
            let wide = session.text == TextWidth::Wide;
            // A character has at most four bytes in UTF-8 and in the encodings of ASCII machines, and two units in UTF-16.
            let per_char = if wide { 2 } else { 4 };
            let limit = if wide { max_value / 2 } else { max_value };
            match max_chars.and_then(|chars| usize::try_from(chars).ok()).map(|chars| chars.saturating_mul(per_char)) {
                Some(units) if units <= limit => Ask::Text { wide, units, declared: true },
                _ => Ask::Text { wide, units: limit, declared: false },
            }
        }
        ColumnKind::Bytes { max } => match max.and_then(|max| usize::try_from(max).ok()) {
            Some(units) if units <= max_value => Ask::Bytes { units, declared: true },
            _ => Ask::Bytes { units: max_value, declared: false },
        },
        ColumnKind::DateTime | ColumnKind::DateTimeOffset
            if session.quirks.bends_values && session.dialect == Dialect::Postgres =>
        {
            Ask::Ascii { units: DIGITS, is_doubted: true }
        }
        ColumnKind::Date | ColumnKind::DateTime | ColumnKind::DateTimeOffset if session.quirks.writes_short_years => {
            Ask::Ascii { units: DIGITS, is_doubted: true }
        }
        _ => ASCII,
    }
}

/// The name of a type of SQLite's with its numbers. The driver says the name alone, the precision as a width, and the scale
/// in the place of the precision, or the precision again where there is no scale.
fn with_numbers(words: String, described: DataType, told: SqlResult<isize>) -> String {
    let (DataType::Varchar { length: Some(width) }, SqlResult::Success(scale)) = (described, told) else {
        return words;
    };
    match (words.to_lowercase().as_str(), usize::try_from(scale)) {
        ("decimal" | "dec", Ok(scale)) if width.get() <= 38 && scale < width.get() => {
            format!("{words}({width},{scale})")
        }
        _ => words,
    }
}

/// The width that a type says of itself, in characters and in bytes. Drivers say 0 or something huge of what has none;
/// 0 bytes mean that nothing is known.
fn widths(kind: DataType, octets: isize) -> (Option<u32>, Option<u32>) {
    if octets <= 0 {
        return (None, None);
    }
    let length = match kind {
        DataType::Char { length }
        | DataType::WChar { length }
        | DataType::Varchar { length }
        | DataType::WVarchar { length }
        | DataType::Binary { length }
        | DataType::Varbinary { length } => length,
        _ => None,
    };
    let width = length.and_then(|length| u32::try_from(length.get()).ok()).filter(|length| *length <= WIDEST);
    (width, width)
}

/// A type's own words, with its numbers where the words have none.
fn declared(words: &str, described: DataType, kind: ColumnKind) -> String {
    let words = words.trim();
    if words.is_empty() || words.contains('(') {
        return words.to_owned();
    }
    match (kind, described) {
        (ColumnKind::Decimal { precision, scale }, _) => format!("{words}({precision},{scale})"),
        (ColumnKind::Text { max_chars: Some(chars) }, DataType::Varchar { .. } | DataType::Char { .. })
        | (ColumnKind::Text { max_chars: Some(chars) }, DataType::WVarchar { .. } | DataType::WChar { .. }) => {
            format!("{words}({chars})")
        }
        _ => words.to_owned(),
    }
}

/// The name of a type without its numbers and without what is said beside it, in lower case; and the numbers.
pub(super) fn parted(words: &str) -> (String, Vec<u32>) {
    let lower = words.trim().to_lowercase();
    let (name, rest) = lower.split_once('(').unwrap_or((lower.as_str(), ""));
    let (inner, after) = rest.split_once(')').unwrap_or((rest, ""));
    let numbers = inner.split(',').filter_map(|number| number.trim().parse().ok()).collect();
    let mut name = format!("{} {}", name.trim(), after.trim());
    for extra in ["unsigned", "zerofill", "identity", "auto_increment", "not null"] {
        name = name.replace(extra, "");
    }
    (name.split_whitespace().collect::<Vec<_>>().join(" "), numbers)
}

/// Whether all values of the type have room in 64 bits, whatever the database.
fn is_long(words: &str) -> bool {
    let names = ["int2", "int4", "int8", "smallint", "integer", "bigint", "serial", "bigserial"];
    !words.to_lowercase().contains("unsigned") && names.contains(&parted(words).0.as_str())
}

/// Whether a floating-point number has 24 bits. `real` is a double to MySQL, and `float` is not.
fn is_single(dialect: Dialect, words: &str) -> bool {
    let (name, numbers) = parted(words);
    match (dialect, name.as_str()) {
        (Dialect::MySql, "float") => numbers.first().is_none_or(|bits| *bits <= 24),
        (Dialect::MySql, _) => false,
        (_, "real" | "float4" | "binary_float" | "smallfloat") => true,
        _ => false,
    }
}

/// What the values of a column are: by the type's own words, and where these say nothing by what the driver says.
pub(super) fn kind_of(dialect: Dialect, words: &str, described: DataType) -> ColumnKind {
    let (name, numbers) = parted(words);
    by_words(dialect, &name, &numbers, described).unwrap_or_else(|| by_driver(described))
}

/// The rules, by dialect and the type's own words.
fn by_words(dialect: Dialect, name: &str, numbers: &[u32], described: DataType) -> Option<ColumnKind> {
    use Dialect::{Informix, MySql, Oracle, Postgres, SqlServer, Sqlite};
    Some(match (dialect, name) {
        (_, "bool" | "boolean" | "logical" | "yesno") => ColumnKind::Boolean,
        (MySql, "bit") if described != DataType::Bit => ColumnKind::Bytes { max: None },
        (Postgres, "bit" | "varbit") => ColumnKind::Text { max_chars: None },
        // A truth has a name; of a `bit(5)` psqlodbc says that it is unknown, and a bit.
        (Postgres, "unknown") if described == DataType::Bit => ColumnKind::Text { max_chars: None },
        (_, "bit") => ColumnKind::Boolean,
        (_, "int" | "integer" | "int2" | "int4" | "int8" | "smallint" | "bigint" | "tinyint" | "mediumint")
        | (Postgres, "serial" | "bigserial" | "smallserial" | "oid" | "xid" | "cid")
        | (Informix, "serial" | "serial8" | "bigserial")
        | (MySql, "year")
        | (Sqlite, "unsigned big int" | "big int") => ColumnKind::Integer,
        // Text in the form of the server's locale.
        (Postgres, "money") => ColumnKind::Text { max_chars: None },
        (_, "money" | "smallmoney") => ColumnKind::Decimal { precision: 19, scale: 4 },
        (Sqlite, "numeric" | "decimal" | "dec" | "number") => match numbers {
            [precision, scale] => decimal(*precision, *scale)?,
            [precision] => decimal(*precision, 0)?,
            // Without numbers it may have any decimals.
            _ => ColumnKind::Text { max_chars: None },
        },
        (Postgres, "numeric") => match described {
            DataType::Numeric { precision, scale } | DataType::Decimal { precision, scale }
                if !is_boundless(precision, scale) =>
            {
                decimal(u32::try_from(precision).ok()?, u32::try_from(scale).ok()?)?
            }
            _ => ColumnKind::Text { max_chars: None },
        },
        (_, "numeric" | "decimal" | "number" | "dec" | "decfloat") => match described {
            DataType::Numeric { precision, scale } | DataType::Decimal { precision, scale } if scale >= 0 => {
                decimal(u32::try_from(precision).ok()?, u32::try_from(scale).ok()?)?
            }
            DataType::Double | DataType::Float { .. } => ColumnKind::Text { max_chars: None },
            _ => match numbers {
                [precision, scale] => decimal(*precision, *scale)?,
                _ => ColumnKind::Text { max_chars: None },
            },
        },
        (
            _,
            "real" | "float4" | "float8" | "float" | "double" | "double precision" | "binary_float" | "binary_double"
            | "smallfloat",
        ) => ColumnKind::Float,
        (Oracle, "date") => ColumnKind::DateTime,
        (_, "date") => ColumnKind::Date,
        (Postgres, "timetz") | (_, "time with time zone") => ColumnKind::Text { max_chars: None },
        (_, "time" | "time without time zone") => ColumnKind::Time,
        (SqlServer, "timestamp" | "rowversion") => ColumnKind::Bytes { max: Some(8) },
        (_, "timestamptz" | "timestamp with time zone" | "datetimeoffset") => ColumnKind::DateTimeOffset,
        (_, "timestamp" | "timestamp without time zone" | "datetime" | "datetime2" | "smalldatetime") => {
            ColumnKind::DateTime
        }
        (_, "uuid" | "uniqueidentifier" | "guid") => ColumnKind::Uuid,
        (_, "bytea" | "blob" | "tinyblob" | "mediumblob" | "longblob" | "binary" | "varbinary" | "image" | "raw")
        | (_, "long raw" | "long binary" | "long varbinary" | "long varbyte" | "byte") => {
            ColumnKind::Bytes { max: None }
        }
        (
            _,
            "json" | "jsonb" | "xml" | "text" | "clob" | "nclob" | "varchar" | "char" | "bpchar" | "nvarchar" | "nchar",
        ) => ColumnKind::Text { max_chars: None },
        _ => return None,
    })
}

/// Of a `numeric` without numbers psqlodbc says 28 digits, and the decimals of the first rows.
fn is_boundless(precision: usize, scale: i16) -> bool {
    precision == 0 || precision > 38 || scale < 0 || precision == 28
}

fn decimal(precision: u32, scale: u32) -> Option<ColumnKind> {
    let (precision, scale) = (u8::try_from(precision).ok()?, u8::try_from(scale).ok()?);
    let fits = (1..=38).contains(&precision) && scale <= precision;
    Some(if fits { ColumnKind::Decimal { precision, scale } } else { ColumnKind::Text { max_chars: None } })
}

/// The rules for types whose words are not known.
fn by_driver(described: DataType) -> ColumnKind {
    const GUID: i16 = -11;
    match described {
        DataType::Bit => ColumnKind::Boolean,
        DataType::TinyInt | DataType::SmallInt | DataType::Integer | DataType::BigInt => ColumnKind::Integer,
        DataType::Numeric { precision, scale } | DataType::Decimal { precision, scale } => {
            let numbers = u32::try_from(precision).ok().zip(u32::try_from(scale).ok());
            let kind = numbers.and_then(|(precision, scale)| decimal(precision, scale));
            kind.unwrap_or(ColumnKind::Text { max_chars: None })
        }
        DataType::Real | DataType::Double | DataType::Float { .. } => ColumnKind::Float,
        DataType::Date => ColumnKind::Date,
        DataType::Time { .. } => ColumnKind::Time,
        DataType::Timestamp { .. } => ColumnKind::DateTime,
        DataType::Binary { .. } | DataType::Varbinary { .. } | DataType::LongVarbinary { .. } => {
            ColumnKind::Bytes { max: None }
        }
        DataType::Other { data_type, .. } if data_type.0 == GUID => ColumnKind::Uuid,
        _ => ColumnKind::Text { max_chars: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_what_the_database_calls_it() {
        use ColumnKind::*;
        let varchar = DataType::Varchar { length: std::num::NonZeroUsize::new(18) };
        let numeric = |precision, scale| DataType::Numeric { precision, scale };
        let text = Text { max_chars: None };
        for (dialect, words, described, expected) in [
            (Dialect::Postgres, "bool", varchar, Boolean),
            (Dialect::Postgres, "timestamptz", DataType::Timestamp { precision: 6 }, DateTimeOffset),
            (Dialect::Postgres, "numeric", numeric(11, 2), Decimal { precision: 11, scale: 2 }),
            (Dialect::Postgres, "numeric", numeric(28, 6), text),
            (Dialect::Sqlite, "DECIMAL(11,2)", varchar, Decimal { precision: 11, scale: 2 }),
            (Dialect::Sqlite, "decimal", varchar, text),
            (Dialect::Sqlite, "INTEGER", DataType::BigInt, Integer),
            (Dialect::MySql, "INT UNSIGNED", DataType::Integer, Integer),
            (Dialect::MySql, "bit", DataType::Binary { length: None }, Bytes { max: None }),
            (Dialect::MySql, "bit", DataType::Bit, Boolean),
            (Dialect::SqlServer, "timestamp", DataType::Binary { length: None }, Bytes { max: Some(8) }),
            (Dialect::SqlServer, "int identity", DataType::Integer, Integer),
            (Dialect::SqlServer, "money", numeric(19, 4), Decimal { precision: 19, scale: 4 }),
            (Dialect::Oracle, "DATE", DataType::Timestamp { precision: 0 }, DateTime),
            (Dialect::Generic, "", DataType::Double, Float),
            (Dialect::Generic, "whatever", varchar, text),
        ] {
            assert_eq!(kind_of(dialect, words, described), expected, "{dialect:?} {words}");
        }
    }
}
