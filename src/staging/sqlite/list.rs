//! A page of documents: filters, order, and going on after a row.
//!
//! "After this row" for an order of several columns, some descending, with nulls, is not one condition that an
//! index can serve. It is cut into segments that follow one another in the order: the rows equal in all columns
//! but with a greater key, then those equal in all but the last column and beyond it there, and so on. Each segment
//! is a range of an index; the page is filled from one after the other, all in one snapshot. Nothing is skipped by
//! counting, so page 500 costs what page 1 costs.
//!
//! Values are always bound, never written into the statement; the only names in it are columns made by
//! [`column`](super::column).

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::column::Column;
use super::convert::timestamp_or_null;
use super::fault::Fault;
use super::resource::Resource;
use crate::staging::{ColumnType, Comparison, Filter, ListQuery, Page, Scalar, StagingError};

/// Conditions with the values they bind, in order.
#[derive(Clone, Debug, Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn add(&mut self, sql: String, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql);
        self.values.extend(values);
    }

    fn clause(&self) -> String {
        if self.sql.is_empty() { String::new() } else { format!(" WHERE {}", self.sql.join(" AND ")) }
    }
}

/// A sort criterion with its column.
struct Criterion<'r> {
    column: &'r Column,
    descending: bool,
}

/// One statement of a page.
struct Segment {
    sql: String,
    values: Vec<Value>,
}

/// Reads a page.
pub(super) fn page(connection: &Connection, resource: &Resource, query: &ListQuery) -> Result<Page, Fault> {
    let filters = filters(resource, &query.filters)?;
    let order = order(resource, query)?;
    let segments = segments(resource, &filters, &order, query.after.as_deref())?;
    let limit = query.limit.max(1);

    let snapshot = connection.unchecked_transaction()?;
    let mut page = Page::default();
    let mut last_row = None;
    'page: for segment in segments {
        let mut select = snapshot.prepare_cached(&segment.sql)?;
        // One row more than asked for tells whether there is a next page.
        let wanted = limit.saturating_sub(page.rows.len()).saturating_add(1);
        let wanted = Value::Integer(i64::try_from(wanted).unwrap_or(i64::MAX));
        let mut rows = select.query(params_from_iter(segment.values.into_iter().chain([wanted])))?;
        while let Some(row) = rows.next()? {
            if page.rows.len() == limit {
                page.next = last_row.map(|id| place(&snapshot, resource, &order, id)).transpose()?;
                break 'page;
            }
            last_row = Some(row.get(0)?);
            page.rows.push(row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?);
        }
    }
    if query.count {
        page.total = Some(total(&snapshot, resource, &filters)?);
    }
    let as_of = "SELECT as_of FROM resource WHERE id = ?1";
    page.as_of = snapshot.prepare_cached(as_of)?.query_row([resource.number], |row| timestamp_or_null(row, 0))?;
    Ok(page)
}

/// The sort values and the key of a row: where the next page goes on.
fn place(connection: &Connection, resource: &Resource, order: &[Criterion<'_>], id: i64) -> Result<Vec<Scalar>, Fault> {
    let columns: String = order.iter().map(|criterion| format!("{}, ", criterion.column.name)).collect();
    let sql = format!("SELECT {columns}key FROM doc_{} WHERE id = ?1", resource.number);
    let read = |row: &Row<'_>| (0..=order.len()).map(|index| row.get(index).map(scalar)).collect();
    let place: rusqlite::Result<Vec<Scalar>> = connection.prepare_cached(&sql)?.query_row([id], read);
    Ok(place?)
}

fn scalar(value: Value) -> Scalar {
    match value {
        Value::Null | Value::Blob(_) => Scalar::Null,
        Value::Integer(integer) => Scalar::Integer(integer),
        Value::Real(number) => Scalar::Number(number),
        Value::Text(text) => Scalar::Text(text),
    }
}

fn total(connection: &Connection, resource: &Resource, filters: &Conditions) -> Result<u64, Fault> {
    let number = resource.number;
    let sql = if filters.sql.is_empty() {
        format!("SELECT documents FROM resource WHERE id = {number}")
    } else {
        format!("SELECT count(*) FROM doc_{number}{}", filters.clause())
    };
    let values = params_from_iter(&filters.values);
    Ok(connection.prepare_cached(&sql)?.query_row(values, |row| super::convert::count(row, 0))?)
}

/// The statements that follow one another in the asked order.
fn segments(
    resource: &Resource,
    filters: &Conditions,
    order: &[Criterion<'_>],
    after: Option<&[Scalar]>,
) -> Result<Vec<Segment>, StagingError> {
    let Some(after) = after else { return Ok(vec![segment(resource, filters.clone(), order)]) };
    let Some((Scalar::Text(key), values)) = after.split_last() else {
        return Err(bad(resource, "the place to go on after ends with a key".to_owned()));
    };
    if values.len() != order.len() {
        return Err(bad(resource, "the place to go on after belongs to another order".to_owned()));
    }

    // `equal` holds for the columns before the one at hand; from the longest such prefix to the shortest.
    let mut equal = filters.clone();
    let mut beyond = Vec::new();
    for (depth, (criterion, scalar)) in order.iter().zip(values).enumerate() {
        let name = &criterion.column.name;
        let value = bound(resource, criterion.column, scalar)?;
        let with = |sql: String, values: Vec<Value>, rest: &[Criterion<'_>]| {
            let mut conditions = equal.clone();
            conditions.add(sql, values);
            segment(resource, conditions, rest)
        };
        let is_null = value == Value::Null;
        let mut here = Vec::new();
        match (criterion.descending, is_null) {
            (false, false) => here.push(with(format!("{name} > ?"), vec![value.clone()], &order[depth..])),
            (false, true) => here.push(with(format!("{name} IS NOT NULL"), vec![], &order[depth..])),
            (true, false) => {
                here.push(with(format!("{name} < ?"), vec![value.clone()], &order[depth..]));
                here.push(with(format!("{name} IS NULL"), vec![], &order[depth + 1..]));
            }
            (true, true) => {}
        }
        beyond.push(here);
        if is_null {
            equal.add(format!("{name} IS NULL"), []);
        } else {
            equal.add(format!("{name} = ?"), [value]);
        }
    }
    equal.add("key > ?".to_owned(), [Value::Text(key.clone())]);
    let mut segments = vec![segment(resource, equal, &[])];
    segments.extend(beyond.into_iter().rev().flatten());
    Ok(segments)
}

fn segment(resource: &Resource, conditions: Conditions, order: &[Criterion<'_>]) -> Segment {
    let mut criteria = String::new();
    for criterion in order {
        criteria.push_str(&criterion.column.name);
        criteria.push_str(if criterion.descending { " DESC, " } else { ", " });
    }
    let sql = format!(
        "SELECT id, payload FROM doc_{}{} ORDER BY {criteria}key LIMIT ?",
        resource.number,
        conditions.clause()
    );
    Segment { sql, values: conditions.values }
}

fn order<'r>(resource: &'r Resource, query: &ListQuery) -> Result<Vec<Criterion<'r>>, StagingError> {
    let criterion = |sort: &crate::staging::SortKey| {
        Ok(Criterion { column: column(resource, &sort.path)?, descending: sort.descending })
    };
    query.sort.iter().map(criterion).collect()
}

fn filters(resource: &Resource, asked: &[Filter]) -> Result<Conditions, StagingError> {
    let mut conditions = Conditions::default();
    for filter in asked {
        add_filter(resource, filter, &mut conditions)?;
    }
    Ok(conditions)
}

fn add_filter(resource: &Resource, filter: &Filter, conditions: &mut Conditions) -> Result<(), StagingError> {
    let column = column(resource, &filter.path)?;
    let name = &column.name;
    let values: Result<Vec<Value>, StagingError> =
        filter.values.iter().map(|scalar| bound(resource, column, scalar)).collect();
    let mut values = values?;

    if filter.comparison == Comparison::In {
        let asks_null = values.contains(&Value::Null);
        values.retain(|value| *value != Value::Null);
        let places = vec!["?"; values.len()].join(", ");
        let null = if asks_null { format!(" OR {name} IS NULL") } else { String::new() };
        conditions.add(format!("({name} IN ({places}){null})"), values);
        return Ok(());
    }
    let (Some(value), true) = (values.pop(), values.is_empty()) else {
        return Err(bad(resource, format!("{} is compared with one value", filter.path)));
    };
    let operator = match (filter.comparison, &value) {
        (Comparison::Equal, Value::Null) => {
            conditions.add(format!("{name} IS NULL"), []);
            return Ok(());
        }
        (Comparison::NotEqual, _) => "IS NOT",
        (_, Value::Null) => {
            return Err(bad(resource, format!("{} is compared with null, which has no order", filter.path)));
        }
        (Comparison::Prefix, Value::Text(prefix)) => {
            conditions.add(format!("{name} >= ?"), [Value::Text(prefix.clone())]);
            if let Some(end) = after_prefix(prefix) {
                conditions.add(format!("{name} < ?"), [Value::Text(end)]);
            }
            return Ok(());
        }
        (Comparison::Prefix, _) => {
            return Err(bad(resource, format!("{} is not text and has no prefix", filter.path)));
        }
        (Comparison::Greater, _) => ">",
        (Comparison::GreaterOrEqual, _) => ">=",
        (Comparison::Less, _) => "<",
        (Comparison::LessOrEqual, _) => "<=",
        (Comparison::Equal | Comparison::In, _) => "=",
    };
    conditions.add(format!("{name} {operator} ?"), [value]);
    Ok(())
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

fn column<'r>(resource: &'r Resource, path: &str) -> Result<&'r Column, StagingError> {
    let found = resource.columns.iter().find(|column| column.field.path == path);
    found.ok_or_else(|| StagingError::UndeclaredField { resource: resource.id.clone(), path: path.to_owned() })
}

/// The value as it is bound, if it is of the column's type.
fn bound(resource: &Resource, column: &Column, scalar: &Scalar) -> Result<Value, StagingError> {
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

fn bad(resource: &Resource, reason: String) -> StagingError {
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
