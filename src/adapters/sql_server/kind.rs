//! What the values of a column are: by the type that the server describes, or else by the type that travels.

use tiberius::ColumnType;

use crate::decode::rows::ColumnKind;

/// The base of a declared type in lower case, and its numbers: `decimal(11,2)`, `nvarchar(max)` (no number).
pub(super) fn parts(declared: &str) -> (String, Vec<u32>) {
    let (base, rest) = declared.split_once('(').unwrap_or((declared, ""));
    let numbers = rest.trim_end_matches(')').split(',').filter_map(|number| number.trim().parse().ok()).collect();
    (base.trim().to_ascii_lowercase(), numbers)
}

/// The kind of a declared type; `None` where it is one of nobody's but the database's own.
pub(super) fn of_declared(declared: &str) -> Option<ColumnKind> {
    let (base, numbers) = parts(declared);
    let first = numbers.first().copied();
    Some(match base.as_str() {
        "bit" => ColumnKind::Boolean,
        "tinyint" | "smallint" | "int" | "bigint" => ColumnKind::Integer,
        "decimal" | "numeric" => {
            let precision = first.and_then(|number| u8::try_from(number).ok()).unwrap_or(18).min(38);
            let scale = numbers.get(1).and_then(|number| u8::try_from(*number).ok()).unwrap_or(0).min(precision);
            ColumnKind::Decimal { precision, scale }
        }
        "money" => ColumnKind::Decimal { precision: 19, scale: 4 },
        "smallmoney" => ColumnKind::Decimal { precision: 10, scale: 4 },
        "real" | "float" => ColumnKind::Float,
        "char" | "varchar" | "nchar" | "nvarchar" | "sysname" => ColumnKind::Text { max_chars: first },
        "text" | "ntext" | "xml" | "sql_variant" => ColumnKind::Text { max_chars: None },
        "binary" | "varbinary" => ColumnKind::Bytes { max: first },
        "image" => ColumnKind::Bytes { max: None },
        "timestamp" | "rowversion" => ColumnKind::Bytes { max: Some(8) },
        "date" => ColumnKind::Date,
        "time" => ColumnKind::Time,
        "datetime" | "smalldatetime" | "datetime2" => ColumnKind::DateTime,
        "datetimeoffset" => ColumnKind::DateTimeOffset,
        "uniqueidentifier" => ColumnKind::Uuid,
        _ => return None,
    })
}

/// The kind of a type that travels. The scale of a decimal is known from its first value only: `None` until then.
pub(super) fn of_wire(wire: ColumnType, scale: Option<u8>) -> Option<ColumnKind> {
    Some(match wire {
        ColumnType::Bit | ColumnType::Bitn => ColumnKind::Boolean,
        ColumnType::Int1 | ColumnType::Int2 | ColumnType::Int4 | ColumnType::Int8 | ColumnType::Intn => {
            ColumnKind::Integer
        }
        ColumnType::Float4 | ColumnType::Float8 | ColumnType::Floatn => ColumnKind::Float,
        ColumnType::Money => ColumnKind::Decimal { precision: 19, scale: 4 },
        ColumnType::Money4 => ColumnKind::Decimal { precision: 10, scale: 4 },
        ColumnType::Decimaln | ColumnType::Numericn => ColumnKind::Decimal { precision: 38, scale: scale? },
        ColumnType::Datetime4 | ColumnType::Datetime | ColumnType::Datetimen | ColumnType::Datetime2 => {
            ColumnKind::DateTime
        }
        ColumnType::Daten => ColumnKind::Date,
        ColumnType::Timen => ColumnKind::Time,
        ColumnType::DatetimeOffsetn => ColumnKind::DateTimeOffset,
        ColumnType::Guid => ColumnKind::Uuid,
        ColumnType::BigVarBin | ColumnType::BigBinary | ColumnType::Image | ColumnType::Udt => {
            ColumnKind::Bytes { max: None }
        }
        ColumnType::BigVarChar
        | ColumnType::BigChar
        | ColumnType::NVarchar
        | ColumnType::NChar
        | ColumnType::Text
        | ColumnType::NText
        | ColumnType::Xml
        | ColumnType::SSVariant
        | ColumnType::Null => ColumnKind::Text { max_chars: None },
    })
}

/// Whether what travels is what was described.
pub(super) fn agrees(kind: ColumnKind, wire: ColumnType) -> bool {
    let travelling = of_wire(wire, Some(0));
    travelling.is_some_and(|other| std::mem::discriminant(&kind) == std::mem::discriminant(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_have_kinds() {
        for (declared, expected) in [
            ("decimal(38,10)", Some(ColumnKind::Decimal { precision: 38, scale: 10 })),
            ("numeric(5)", Some(ColumnKind::Decimal { precision: 5, scale: 0 })),
            ("money", Some(ColumnKind::Decimal { precision: 19, scale: 4 })),
            ("nvarchar(50)", Some(ColumnKind::Text { max_chars: Some(50) })),
            ("nvarchar(max)", Some(ColumnKind::Text { max_chars: None })),
            ("varbinary(max)", Some(ColumnKind::Bytes { max: None })),
            ("timestamp", Some(ColumnKind::Bytes { max: Some(8) })),
            ("datetime2(7)", Some(ColumnKind::DateTime)),
            ("hierarchyid", None),
        ] {
            assert_eq!(of_declared(declared), expected, "{declared}");
        }
        assert!(agrees(ColumnKind::Decimal { precision: 19, scale: 4 }, ColumnType::Decimaln));
        assert!(!agrees(ColumnKind::Integer, ColumnType::NVarchar));
    }
}
