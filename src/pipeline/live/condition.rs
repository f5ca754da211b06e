//! What a list is asked for, as conditions in SQL with bound values.
//!
//! A condition is never negated by what stands around it, so that rows of which the database knows neither way, since there is
//! no value, are left out by whatever asks for a value. Texts are compared by the collation of their column.

use super::LiveError;
use super::list::LiveQuery;
use super::rows::Table;
use crate::adapters::sql::Dialect;
use crate::decode::rows::ColumnKind;
use crate::mapping::{Bound, FieldType, LiveColumn, LiveRows};
use crate::record::Decimal;
use crate::staging::{Comparison, Condition, Filter, Scalar};

/// Values that are bound at most: SQL Server takes 2100, and others no more than they have been built for.
const MOST_VALUES: usize = 1000;

/// A condition with what is bound to it.
pub(super) type Written = (String, Vec<Bound>);

/// How conditions are put together.
enum Joint {
    All,
    Any,
}

/// All that must hold; `None` where nothing can.
pub(super) fn all(table: &Table<'_>, live: &LiveRows, query: &LiveQuery) -> Result<Option<Vec<Written>>, LiveError> {
    let mut written = Vec::with_capacity(query.filters.len() + query.groups.len());
    for filter in &query.filters {
        match one(table, live, filter)? {
            Some(condition) => written.push(condition),
            None => return Ok(None),
        }
    }
    for group in &query.groups {
        match grouped(table, live, group)? {
            Some(condition) => written.push(condition),
            None => return Ok(None),
        }
    }
    let values: usize = written.iter().map(|(_, bound)| bound.len()).sum();
    if values > MOST_VALUES { Err(LiveError::TooMany { values, most: MOST_VALUES }) } else { Ok(Some(written)) }
}

/// A group; `None` where nothing fits it.
fn grouped(table: &Table<'_>, live: &LiveRows, condition: &Condition) -> Result<Option<Written>, LiveError> {
    let (parts, joint) = match condition {
        Condition::Field(filter) => return one(table, live, filter),
        Condition::All(parts) => (parts, Joint::All),
        Condition::Any(parts) => (parts, Joint::Any),
    };
    let (mut texts, mut bound) = (Vec::with_capacity(parts.len()), Vec::new());
    for part in parts {
        match (grouped(table, live, part)?, &joint) {
            (Some((text, values)), _) => {
                texts.push(text);
                bound.extend(values);
            }
            (None, Joint::All) => return Ok(None),
            (None, Joint::Any) => {}
        }
    }
    let word = if matches!(joint, Joint::All) { " and " } else { " or " };
    Ok((!texts.is_empty()).then(|| (format!("({})", texts.join(word)), bound)))
}

/// A filter; `None` where nothing fits it.
fn one(table: &Table<'_>, live: &LiveRows, filter: &Filter) -> Result<Option<Written>, LiveError> {
    let column = live.filter(&filter.path).ok_or(LiveError::Reloaded)?;
    let quoted = table.quoted(&column.column);
    let refused = |why: &'static str| LiveError::NotAsked { path: filter.path.clone(), why };
    match filter.comparison {
        Comparison::Equal | Comparison::NotEqual | Comparison::In | Comparison::NotIn => {}
        Comparison::Prefix => {
            return prefix(table, column, filter).map_err(refused);
        }
        _ if column.is_ordered() => {}
        _ => return Err(refused("its values are translated")),
    }
    Ok(compared(&quoted, column, filter))
}

/// A filter by a comparison; `None` where nothing fits it.
fn compared(column: &str, rules: &LiveColumn, filter: &Filter) -> Option<Written> {
    let bind = |value: &Scalar| text(rules.field_type(), value).and_then(|text| rules.bind(&text));
    let sign = match (filter.comparison, filter.values.as_slice()) {
        (Comparison::Equal, [Scalar::Null]) => return Some((format!("{column} is null"), Vec::new())),
        (Comparison::NotEqual, [Scalar::Null]) => return Some((format!("{column} is not null"), Vec::new())),
        (Comparison::In, values) => return one_of(column, values.iter().filter_map(bind).collect()),
        (Comparison::NotIn, values) => {
            let bound: Vec<Bound> = values.iter().filter_map(bind).collect();
            let places = vec!["?"; bound.len()].join(", ");
            return Some(match bound.is_empty() {
                true => ("1 = 1".to_owned(), Vec::new()),
                false => (format!("({column} not in ({places}) or {column} is null)"), bound),
            });
        }
        (Comparison::NotEqual, values) => {
            return match values.first().and_then(bind) {
                Some(bound) => Some((format!("({column} <> ? or {column} is null)"), vec![bound])),
                // All are other than what none can be.
                None => Some(("1 = 1".to_owned(), Vec::new())),
            };
        }
        (Comparison::Equal, _) => "=",
        (Comparison::Greater, _) => ">",
        (Comparison::GreaterOrEqual, _) => ">=",
        (Comparison::Less, _) => "<",
        (Comparison::LessOrEqual, _) => "<=",
        (Comparison::Prefix, _) => return None,
    };
    let bound = filter.values.first().and_then(bind)?;
    Some((format!("{column} {sign} ?"), vec![bound]))
}

fn one_of(column: &str, bound: Vec<Bound>) -> Option<Written> {
    let places = vec!["?"; bound.len()].join(", ");
    (!bound.is_empty()).then(|| (format!("{column} in ({places})"), bound))
}

/// What begins so; the error says why it cannot be asked. Of a field that lists its values these are asked for. A text takes
/// a database of which it is known that it compares beginnings character by character: where two may count as one letter, as
/// `ch` does in some collations of SQL Server, a text would not begin with the first of them.
fn prefix(table: &Table<'_>, rules: &LiveColumn, filter: &Filter) -> Result<Option<Written>, &'static str> {
    let (column, dialect) = (table.quoted(&rules.column), table.shape.dialect);
    let Some(Scalar::Text(beginning)) = filter.values.first() else { return Ok(None) };
    if let Some(listed) = rules.listed(beginning) {
        return Ok(one_of(&column, listed));
    }
    let is_text = matches!(table.shape.kind(&rules.column), Some(ColumnKind::Text { .. }));
    if !is_text || rules.field_type() != FieldType::String {
        return Err("it is not known to be a text there");
    }
    if beginning.contains('\0') {
        return Ok(None);
    }
    let like = || (format!("{column} like ? escape '!'"), escaped(beginning, "!%_", |odd| format!("!{odd}")) + "%");
    let (condition, pattern) = match dialect {
        Dialect::Postgres if table.shape.tells_spellings(&rules.column) => like(),
        Dialect::MySql => like(),
        // Its `like` takes `a` for `A`.
        Dialect::Sqlite => (format!("{column} glob ?"), escaped(beginning, "*?[", |odd| format!("[{odd}]")) + "*"),
        _ => return Err("its database is not known to compare the beginnings of texts as they are written"),
    };
    Ok(Some((condition, vec![Bound::Text(pattern)])))
}

/// A text in which characters that mean something in a pattern mean themselves.
fn escaped(text: &str, odd: &str, escape: impl Fn(char) -> String) -> String {
    text.chars().map(|c| if odd.contains(c) { escape(c) } else { c.to_string() }).collect()
}

/// A value as a caller wrote it.
fn text(field_type: FieldType, value: &Scalar) -> Option<String> {
    match (value, field_type) {
        (Scalar::Null, _) => None,
        (Scalar::Text(text), _) => Some(text.clone()),
        (Scalar::Integer(number), FieldType::Boolean) => Some((*number == 1).to_string()),
        (Scalar::Integer(number), FieldType::Decimal { scale, .. }) => {
            Decimal::new(i128::from(*number), scale).ok().map(|number| number.to_string())
        }
        (Scalar::Integer(number), _) => Some(number.to_string()),
        // Up to 15 digits: the shortest text of the double is the decimal that it came from.
        (Scalar::Number(number), FieldType::Decimal { scale, .. }) => Some(format!("{number:.*}", usize::from(scale))),
        (Scalar::Number(number), _) => Some(number.to_string()),
    }
}

/// Behind a key, in the order of its columns.
pub(super) fn behind(table: &Table<'_>, live: &LiveRows, after: &str) -> Option<Written> {
    let key = live.of_key(after)?;
    let quoted: Vec<String> = key.iter().map(|(column, _)| table.quoted(column)).collect();
    let (mut choices, mut bound) = (Vec::new(), Vec::new());
    for last in 0..key.len() {
        let mut terms: Vec<String> = quoted.iter().take(last).map(|name| format!("{name} = ?")).collect();
        terms.extend(quoted.get(last).map(|name| format!("{name} > ?")));
        bound.extend(key.iter().take(last + 1).map(|(_, value)| value.clone()));
        choices.push(format!("({})", terms.join(" and ")));
    }
    Some((format!("({})", choices.join(" or ")), bound))
}
