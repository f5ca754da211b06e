//! Conditions on declared fields, as SQL on their columns.
//!
//! Every condition is cut into stretches of its column's index: `ne` is what lies before and what lies behind, `in` with
//! null is the values and the nulls. So whatever is asked can be searched in an index, by itself or as one of several
//! ([`access`](super::list::access)), and can as well be judged row by row. Values are always bound, never written into
//! the statement; the only names in it are columns made by [`column`](super::column).

use rusqlite::types::Value;

use super::column::Column;
use super::resource::Resource;
use crate::staging::{ColumnType, Comparison, Condition, Filter, Scalar, StagingError};

/// Stands for the column's name in a condition.
const COLUMN: &str = "{column}";

/// SQL with the values it binds, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

impl Sql {
    /// Adds text that binds nothing.
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds text with its values.
    pub(super) fn add(&mut self, other: &Sql) {
        self.text.push_str(&other.text);
        self.values.extend(other.values.iter().cloned());
    }

    /// Adds a condition to those of a clause that begins with `first`.
    pub(super) fn also(&mut self, first: &str, condition: &Sql) {
        self.push(if self.text.is_empty() { first } else { " AND " });
        self.add(condition);
    }
}

/// A stretch of a column's index.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    sql: String,
    values: Vec<Value>,
    /// One value: the rows lie together, ordered by key.
    pub(super) is_point: bool,
}

/// A condition on one column: one of the stretches, no two of which have a row in common.
#[derive(Clone, Debug)]
pub(super) struct Leaf<'r> {
    pub(super) column: &'r str,
    pub(super) stretches: Vec<Stretch>,
    /// The same in one piece, shorter, for judging row by row.
    whole: Option<Stretch>,
}

/// A condition.
#[derive(Clone, Debug)]
pub(super) enum Tree<'r> {
    Leaf(Leaf<'r>),
    All(Vec<Tree<'r>>),
    Any(Vec<Tree<'r>>),
}

impl Stretch {
    /// The condition, of a column of this name.
    pub(super) fn render(&self, name: &str) -> Sql {
        Sql { text: self.sql.replace(COLUMN, name), values: self.values.clone() }
    }
}

impl Leaf<'_> {
    fn render(&self, name: &str, out: &mut Sql) {
        if let Some(whole) = &self.whole {
            out.add(&whole.render(name));
            return;
        }
        for (number, stretch) in self.stretches.iter().enumerate() {
            out.push(if number == 0 { "(" } else { " OR " });
            out.add(&stretch.render(name));
        }
        out.push(if self.stretches.is_empty() { "0" } else { ")" });
    }
}

impl<'r> Tree<'r> {
    /// Checks a condition against the declared fields.
    pub(super) fn new(resource: &'r Resource, condition: &Condition) -> Result<Tree<'r>, StagingError> {
        let all = |conditions: &[Condition]| {
            conditions.iter().map(|condition| Tree::new(resource, condition)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match condition {
            Condition::Field(filter) => Tree::Leaf(leaf(resource, filter)?),
            Condition::All(conditions) => Tree::All(all(conditions)?),
            Condition::Any(conditions) => Tree::Any(all(conditions)?),
        })
    }

    /// The condition; `name` says what stands for a column.
    pub(super) fn render(&self, name: &dyn Fn(&str) -> String, out: &mut Sql) {
        let (trees, between, none) = match self {
            Tree::Leaf(leaf) => return leaf.render(&name(leaf.column), out),
            Tree::All(trees) => (trees, " AND ", "1"),
            Tree::Any(trees) => (trees, " OR ", "0"),
        };
        if trees.is_empty() {
            out.push(none);
        }
        for (number, tree) in trees.iter().enumerate() {
            out.push(if number == 0 { "(" } else { between });
            tree.render(name, out);
        }
        out.push(if trees.is_empty() { "" } else { ")" });
    }
}

/// Conditions that must all hold, as one without an index of its own: `name` says what stands for a column.
pub(super) fn render_all(trees: &[Tree<'_>], name: &dyn Fn(&str) -> String) -> Sql {
    let mut out = Sql::default();
    for (number, tree) in trees.iter().enumerate() {
        out.push(if number == 0 { "" } else { " AND " });
        tree.render(name, &mut out);
    }
    out
}

/// A name that SQLite does not look up in an index.
pub(super) fn judged(column: &str) -> String {
    format!("+{column}")
}

/// Filters that must all hold.
pub(super) fn all_of<'r>(resource: &'r Resource, filters: &[Filter]) -> Result<Vec<Tree<'r>>, StagingError> {
    filters.iter().map(|filter| leaf(resource, filter).map(Tree::Leaf)).collect()
}

fn leaf<'r>(resource: &'r Resource, filter: &Filter) -> Result<Leaf<'r>, StagingError> {
    let column = column(resource, &filter.path)?;
    let values: Result<Vec<Value>, StagingError> =
        filter.values.iter().map(|scalar| bound(resource, column, scalar)).collect();
    let values = values?;
    let whole = whole(filter.comparison, &values);
    Ok(Leaf { column: column.name.as_str(), stretches: stretches(resource, filter, values)?, whole })
}

/// Conditions that take several stretches, in one piece.
fn whole(comparison: Comparison, values: &[Value]) -> Option<Stretch> {
    let make = |sql: String, values: Vec<Value>| Some(Stretch { sql, values, is_point: false });
    match comparison {
        Comparison::NotEqual if !values.contains(&Value::Null) => make(format!("{COLUMN} IS NOT ?"), values.to_vec()),
        Comparison::NotIn if !values.contains(&Value::Null) => {
            let places = vec!["?"; values.len()].join(", ");
            make(format!("({COLUMN} IS NULL OR {COLUMN} NOT IN ({places}))"), values.to_vec())
        }
        _ => None,
    }
}

fn stretches(resource: &Resource, filter: &Filter, mut values: Vec<Value>) -> Result<Vec<Stretch>, StagingError> {
    let make = |is_point: bool, sql: &str, values: Vec<Value>| Stretch { sql: sql.to_owned(), values, is_point };
    let null = || make(true, "{column} IS NULL", vec![]);
    let some = || make(false, "{column} IS NOT NULL", vec![]);
    if let Comparison::In | Comparison::NotIn = filter.comparison {
        let asks_null = values.contains(&Value::Null);
        values.retain(|value| *value != Value::Null);
        values.sort_by(order);
        values.dedup();
        if filter.comparison == Comparison::NotIn {
            // Nulls are none of the values, unless null is one.
            return Ok(if asks_null { between(values, None) } else { between(values, Some(null())) });
        }
        let is_one = values.len() == 1;
        let places = vec!["?"; values.len()].join(", ");
        let among = (!values.is_empty()).then(|| make(is_one, &format!("{COLUMN} IN ({places})"), values));
        return Ok(among.into_iter().chain(asks_null.then(null)).collect());
    }
    let (Some(value), true) = (values.pop(), values.is_empty()) else {
        return Err(bad(resource, format!("{} is compared with one value", filter.path)));
    };
    let sign = match (filter.comparison, &value) {
        (Comparison::Equal, Value::Null) => return Ok(vec![null()]),
        (Comparison::NotEqual, Value::Null) => return Ok(vec![some()]),
        (Comparison::NotEqual, _) => return Ok(between(vec![value], Some(null()))),
        (Comparison::Equal | Comparison::In | Comparison::NotIn, _) => {
            return Ok(vec![make(true, "{column} = ?", vec![value])]);
        }
        (_, Value::Null) => {
            return Err(bad(resource, format!("{} is compared with null, which has no order", filter.path)));
        }
        (Comparison::Prefix, Value::Text(prefix)) => {
            let from = Value::Text(prefix.clone());
            return Ok(vec![match after_prefix(prefix) {
                Some(end) => make(false, "({column} >= ? AND {column} < ?)", vec![from, Value::Text(end)]),
                None => make(false, "{column} >= ?", vec![from]),
            }]);
        }
        (Comparison::Prefix, _) => {
            return Err(bad(resource, format!("{} is not text and has no prefix", filter.path)));
        }
        (Comparison::Greater, _) => ">",
        (Comparison::GreaterOrEqual, _) => ">=",
        (Comparison::Less, _) => "<",
        (Comparison::LessOrEqual, _) => "<=",
    };
    Ok(vec![make(false, &format!("{COLUMN} {sign} ?"), vec![value])])
}

/// What lies before, between and behind these values, which are in order; `nulls` as well, if they count as different.
fn between(values: Vec<Value>, nulls: Option<Stretch>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = nulls.into_iter().collect();
    let make = |sql: &str, values: Vec<Value>| Stretch { sql: sql.to_owned(), values, is_point: false };
    let mut before: Option<Value> = None;
    for value in values {
        stretches.push(match before.replace(value.clone()) {
            None => make("{column} < ?", vec![value]),
            Some(before) => make("({column} > ? AND {column} < ?)", vec![before, value]),
        });
    }
    stretches.push(match before {
        Some(last) => make("{column} > ?", vec![last]),
        None => make("{column} IS NOT NULL", vec![]),
    });
    stretches
}

/// Values of one column, in the order that its index has.
fn order(one: &Value, other: &Value) -> std::cmp::Ordering {
    match (one, other) {
        (Value::Text(one), Value::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
        (Value::Integer(one), Value::Integer(other)) => one.cmp(other),
        _ => number(one).total_cmp(&number(other)),
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Integer(integer) => *integer as f64,
        Value::Real(number) => *number,
        _ => f64::NEG_INFINITY,
    }
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
