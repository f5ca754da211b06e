//! How a mapped type compares in the staging database.

use crate::mapping::FieldType;
use crate::staging::ColumnType;

/// The column of a field that may be filtered or sorted by; `None` for types that cannot be.
pub fn column(field_type: FieldType) -> Option<ColumnType> {
    match field_type {
        FieldType::String | FieldType::Date | FieldType::Time | FieldType::Datetime => Some(ColumnType::Text),
        FieldType::Integer { as_string: false } => Some(ColumnType::Integer),
        // All digits of a whole number written as text are a scaled integer of scale 0.
        FieldType::Integer { as_string: true } => Some(ColumnType::ScaledInteger { scale: 0 }),
        FieldType::Decimal { as_string: false, .. } | FieldType::Number => Some(ColumnType::Number),
        FieldType::Decimal { as_string: true, precision, scale } => {
            (precision <= 18).then_some(ColumnType::ScaledInteger { scale })
        }
        FieldType::Boolean => Some(ColumnType::Boolean),
        FieldType::Bytes | FieldType::Object | FieldType::Array | FieldType::Any => None,
    }
}
