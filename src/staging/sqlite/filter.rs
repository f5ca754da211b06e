//! Filters as conditions, and which index a list is read along.
//!
//! SQLite keeps no statistics here, so left alone it guesses: with a filter and an order on two columns it may walk
//! a million rows along the order to find the three that match. So the choice is made by counting, at most
//! [`FEW`] entries of an index: a filter that few rows pass leads, and its rows are sorted; otherwise the list is read
//! along its order, where what is asked for is then met soon. A `+` before a column is how SQLite is told not to
//! use that column's index.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::column::Column;
use super::fault::Fault;
use super::resource::Resource;
use crate::staging::{ColumnType, Comparison, Filter, Scalar, StagingError};

/// Up to this many rows are sorted rather than walking along the order.
const FEW: i64 = 5000;

/// Stands for the column's name in a condition.
const COLUMN: &str = "{column}";

/// Conditions with the values they bind, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) sql: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    pub(super) fn add(&mut self, sql: String, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql);
        self.values.extend(values);
    }

    pub(super) fn clause(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!(" WHERE {}", self.sql.join(" AND ")) }
    }
}

/// How a condition can use its column's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// One value: the rows lie together, ordered by key.
    Point,
    /// Some stretches.
    Range,
    /// Not at all.
    All,
}

/// One condition on one column.
#[derive(Clone, Debug)]
struct Condition<'r> {
    column: &'r str,
    sql: String,
    values: Vec<Value>,
    reach: Reach,
}

/// The conditions of a list.
#[derive(Debug, Default)]
pub(super) struct Filters<'r> {
    conditions: Vec<Condition<'r>>,
}

/// Which index a list is read along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access<'r> {
    /// Of the first sort column, or of the key.
    Order,
    /// Of this column, in the order of the key: nothing is sorted.
    Point(&'r str),
    /// Of this column; what is found is sorted.
    Filter(&'r str),
}

impl<'r> Filters<'r> {
    /// Checks the filters against the declared fields.
    pub(super) fn new(resource: &'r Resource, asked: &[Filter]) -> Result<Filters<'r>, StagingError> {
        let mut conditions = Vec::new();
        for filter in asked {
            conditions.push(condition(resource, filter)?);
        }
        Ok(Filters { conditions })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// All conditions, each free to use its index.
    pub(super) fn free(&self) -> Conditions {
        self.render(|_| true)
    }

    /// All conditions, where only `leading`'s may use its index.
    pub(super) fn led_by(&self, leading: Option<&str>) -> Conditions {
        self.render(|column| Some(column) == leading)
    }

    fn render(&self, uses_index: impl Fn(&str) -> bool) -> Conditions {
        let mut rendered = Conditions::default();
        for condition in &self.conditions {
            let plus = if uses_index(condition.column) { "" } else { "+" };
            let sql = condition.sql.replace(COLUMN, &format!("{plus}{}", condition.column));
            rendered.add(sql, condition.values.iter().cloned());
        }
        rendered
    }

    /// Chooses the index; `first` is the first sort column.
    pub(super) fn access(
        &self,
        connection: &Connection,
        resource: &Resource,
        first: Option<&str>,
    ) -> Result<Access<'r>, Fault> {
        if let [only] = self.conditions.as_slice() {
            match only.reach {
                Reach::Point if first.is_none() => return Ok(Access::Point(only.column)),
                _ if first == Some(only.column) => return Ok(Access::Order),
                _ => {}
            }
        }
        let mut best: Option<(i64, &'r str)> = None;
        for condition in self.conditions.iter().filter(|condition| condition.reach != Reach::All) {
            let column = condition.column;
            let rows = self.count_few(connection, resource, column)?;
            if best.is_none_or(|(fewest, _)| rows < fewest) {
                best = Some((rows, column));
            }
        }
        match best {
            Some((rows, column)) if rows < FEW => Ok(Access::Filter(column)),
            _ if first.is_some() => Ok(Access::Order),
            _ => {
                let point = self.conditions.iter().find(|condition| condition.reach == Reach::Point);
                Ok(point.map_or(Access::Order, |condition| Access::Point(condition.column)))
            }
        }
    }

    /// Rows that pass the conditions on this column, counted in its index up to [`FEW`].
    fn count_few(&self, connection: &Connection, resource: &Resource, column: &str) -> Result<i64, Fault> {
        let mut conditions = Conditions::default();
        for condition in self.conditions.iter().filter(|condition| condition.column == column) {
            conditions.add(condition.sql.replace(COLUMN, column), condition.values.iter().cloned());
        }
        let sql =
            format!("SELECT count(*) FROM (SELECT 1 FROM doc_{} {} LIMIT {FEW})", resource.number, conditions.clause());
        let values = params_from_iter(conditions.values);
        Ok(connection.prepare_cached(&sql)?.query_row(values, |row| row.get(0))?)
    }
}

fn condition<'r>(resource: &'r Resource, filter: &Filter) -> Result<Condition<'r>, StagingError> {
    let column = column(resource, &filter.path)?;
    let make = |reach: Reach, sql: String, values: Vec<Value>| {
        Ok(Condition { column: column.name.as_str(), sql, values, reach })
    };
    let values: Result<Vec<Value>, StagingError> =
        filter.values.iter().map(|scalar| bound(resource, column, scalar)).collect();
    let mut values = values?;

    if filter.comparison == Comparison::In {
        let asks_null = values.contains(&Value::Null);
        values.retain(|value| *value != Value::Null);
        let places = vec!["?"; values.len()].join(", ");
        let null = if asks_null { " OR {column} IS NULL" } else { "" };
        return make(Reach::Range, format!("({COLUMN} IN ({places}){null})"), values);
    }
    let (Some(value), true) = (values.pop(), values.is_empty()) else {
        return Err(bad(resource, format!("{} is compared with one value", filter.path)));
    };
    let operator = match (filter.comparison, &value) {
        (Comparison::Equal, Value::Null) => return make(Reach::Point, "{column} IS NULL".to_owned(), vec![]),
        (Comparison::Equal | Comparison::In, _) => return make(Reach::Point, "{column} = ?".to_owned(), vec![value]),
        (Comparison::NotEqual, _) => return make(Reach::All, "{column} IS NOT ?".to_owned(), vec![value]),
        (_, Value::Null) => {
            return Err(bad(resource, format!("{} is compared with null, which has no order", filter.path)));
        }
        (Comparison::Prefix, Value::Text(prefix)) => {
            let from = Value::Text(prefix.clone());
            return match after_prefix(prefix) {
                Some(end) => {
                    make(Reach::Range, "({column} >= ? AND {column} < ?)".to_owned(), vec![from, Value::Text(end)])
                }
                None => make(Reach::Range, "{column} >= ?".to_owned(), vec![from]),
            };
        }
        (Comparison::Prefix, _) => {
            return Err(bad(resource, format!("{} is not text and has no prefix", filter.path)));
        }
        (Comparison::Greater, _) => ">",
        (Comparison::GreaterOrEqual, _) => ">=",
        (Comparison::Less, _) => "<",
        (Comparison::LessOrEqual, _) => "<=",
    };
    make(Reach::Range, format!("{COLUMN} {operator} ?"), vec![value])
}

/// The least text greater than every text with this prefix, by code point; none when there is no such text.
fn after_prefix(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            other => char::from_u32(other as u32 + 1),
        };
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

/// The declared field's column.
pub(super) fn column<'r>(resource: &'r Resource, path: &str) -> Result<&'r Column, StagingError> {
    let found = resource.columns.iter().find(|column| column.field.path == path);
    found.ok_or_else(|| StagingError::UndeclaredField { resource: resource.id.clone(), path: path.to_owned() })
}

/// The value as it is bound, if it is of the column's type.
pub(super) fn bound(resource: &Resource, column: &Column, scalar: &Scalar) -> Result<Value, StagingError> {
    match (column.field.column, scalar) {
        (_, Scalar::Null) => Ok(Value::Null),
        (ColumnType::Text, Scalar::Text(text)) => Ok(Value::Text(text.clone())),
        (ColumnType::Integer | ColumnType::ScaledInteger { .. } | ColumnType::Boolean, Scalar::Integer(integer)) => {
            Ok(Value::Integer(*integer))
        }
        (ColumnType::Number, Scalar::Number(number)) if !number.is_nan() => Ok(Value::Real(*number)),
        (ColumnType::Number, Scalar::Integer(integer)) => Ok(Value::Integer(*integer)),
        (expected, _) => {
            Err(bad(resource, format!("{} is {expected:?} and cannot be compared with {scalar:?}", column.field.path)))
        }
    }
}

/// A question that does not fit.
pub(super) fn bad(resource: &Resource, reason: String) -> StagingError {
    StagingError::BadQuery { resource: resource.id.clone(), reason }
}

#[cfg(test)]
mod tests {
    use super::after_prefix;

    #[test]
    fn the_end_of_a_prefix_is_the_next_text() {
        for (prefix, end) in [
            ("", None),
            ("a", Some("b")),
            ("az", Some("a{")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
            ("\u{d7ff}", Some("\u{e000}")),
            ("ß", Some("à")),
        ] {
            assert_eq!(after_prefix(prefix).as_deref(), end, "{prefix:?}");
        }
    }
}
