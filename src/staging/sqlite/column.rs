//! Declared fields as generated columns.
//!
//! A column is VIRTUAL: it costs nothing in the table, only in its index, and declaring one more field rewrites
//! no row. Its expression reads the field out of the payload by a JSON path whose every label is quoted.

use crate::staging::{ColumnType, IndexedField};

/// A declared field with its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// Path and type.
    pub(super) field: IndexedField,
    /// The column's name: only `a-z 0-9 _`.
    pub(super) name: String,
    /// Readers may be bounded by it: each change notes its value.
    pub(super) bounds: bool,
}

/// The column's name: unique by its number, readable by the path.
pub(super) fn column_name(number: i64, path: &str) -> String {
    let readable =
        |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '_' };
    let path: String = path.chars().take(48).map(readable).collect();
    format!("f_{number}_{path}")
}

/// The column's type and expression, as `ALTER TABLE ... ADD COLUMN` takes them.
pub(super) fn column_definition(column: &Column) -> String {
    let value = format!("json_extract(payload, {})", sql_text(&json_path(&column.field.path)));
    let (affinity, expression) = match column.field.column {
        ColumnType::Text => ("TEXT", value),
        ColumnType::Integer | ColumnType::Boolean => ("INTEGER", value),
        ColumnType::Number => ("REAL", value),
        // All digits as one integer: "-0.05" is -005.
        ColumnType::ScaledInteger { .. } => ("INTEGER", format!("CAST(replace({value}, '.', '') AS INTEGER)")),
    };
    format!("{} {affinity} GENERATED ALWAYS AS ({expression}) VIRTUAL", column.name)
}

/// The type's text in the database.
pub(super) fn column_type_text(column: ColumnType) -> String {
    match column {
        ColumnType::Text => "text".to_owned(),
        ColumnType::Integer => "integer".to_owned(),
        ColumnType::Number => "number".to_owned(),
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::ScaledInteger { scale } => format!("scaled({scale})"),
    }
}

/// The type with this text.
pub(super) fn parse_column_type(text: &str) -> Option<ColumnType> {
    Some(match text {
        "text" => ColumnType::Text,
        "integer" => ColumnType::Integer,
        "number" => ColumnType::Number,
        "boolean" => ColumnType::Boolean,
        _ => {
            let scale = text.strip_prefix("scaled(")?.strip_suffix(')')?;
            ColumnType::ScaledInteger { scale: scale.parse().ok()? }
        }
    })
}

/// `customer.crm_id` as `$."customer"."crm_id"`. A label is quoted as JSON quotes it, which is how SQLite reads it.
fn json_path(path: &str) -> String {
    let labels = path.split('.').map(|label| format!(".{}", serde_json::Value::from(label)));
    std::iter::once("$".to_owned()).chain(labels).collect()
}

/// A text literal of SQL.
fn sql_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use rusqlite::types::Value;

    use super::*;

    /// The column's value for a payload.
    fn read(path: &str, column: ColumnType, payload: &str) -> Value {
        let connection = Connection::open_in_memory().unwrap();
        let field = IndexedField { path: path.to_owned(), column };
        let column = Column { name: column_name(7, path), field, bounds: false };
        let table = format!("CREATE TABLE doc (payload TEXT NOT NULL, {})", column_definition(&column));
        connection.execute_batch(&table).unwrap();
        connection.execute("INSERT INTO doc (payload) VALUES (?1)", [payload]).unwrap();
        connection.query_row(&format!("SELECT {} FROM doc", column.name), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_name_that_json_allows_is_found() {
        for label in
            ["plain", "a b", "a'b", "a\"b", "a\\b", "Straße", "$", "#-1", "[0]", "select", "a\tb", "--", "😀", "a/b"]
        {
            let payload = serde_json::json!({ "other": 1, label: { label: "found" } }).to_string();
            let path = format!("{label}.{label}");
            assert_eq!(read(&path, ColumnType::Text, &payload), Value::Text("found".to_owned()), "{label}");
        }
    }

    #[test]
    fn values_compare_as_their_type() {
        let scaled = ColumnType::ScaledInteger { scale: 2 };
        for (column, json, expected) in [
            (ColumnType::Text, r#""x""#, Value::Text("x".to_owned())),
            (ColumnType::Text, "null", Value::Null),
            (ColumnType::Integer, "-9007199254740993", Value::Integer(-9007199254740993)),
            (ColumnType::Number, "12", Value::Real(12.0)),
            (ColumnType::Number, "-0.10", Value::Real(-0.1)),
            (scaled, r#""1234567890123456.78""#, Value::Integer(123456789012345678)),
            (scaled, r#""-0.05""#, Value::Integer(-5)),
            (scaled, "null", Value::Null),
            (ColumnType::Boolean, "true", Value::Integer(1)),
            (ColumnType::Boolean, "false", Value::Integer(0)),
        ] {
            assert_eq!(read("x", column, &format!(r#"{{"x":{json}}}"#)), expected, "{json} as {column:?}");
            assert_eq!(read("x", column, "{}"), Value::Null, "absent as {column:?}");
        }
    }

    #[test]
    fn types_read_back() {
        let all = [ColumnType::Text, ColumnType::Integer, ColumnType::Number, ColumnType::Boolean];
        for column in all.into_iter().chain((0..=18).map(|scale| ColumnType::ScaledInteger { scale })) {
            assert_eq!(parse_column_type(&column_type_text(column)), Some(column));
        }
    }
}
