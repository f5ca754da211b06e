//! What a list is asked for, as conditions in SQL with bound values.
//!
//! A condition is never negated by what stands around it, so that rows of which the database knows neither way, since there is
//! no value, are left out by whatever asks for a value. Texts are compared by the collation of their column.

use std::iter::repeat;

use super::LiveError;
use super::list::LiveQuery;
use super::rows::Table;
use crate::adapters::sql::Dialect;
use crate::decode::rows::ColumnKind;
use crate::mapping::{Bound, FieldType, LiveColumn, LiveRows, Null};
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
    for (filter, is_asked) in query.filters.iter().zip(repeat(true)).chain(query.only.iter().zip(repeat(false))) {
        let column = match is_asked {
            true => Some(asked(live, filter)?),
            false => live.bound(&filter.path),
        };
        // What bounds its caller's sight, and cannot be asked for, is judged of what comes.
        let Some(column) = column else { continue };
        match one(table, column, filter, is_asked)? {
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
        Condition::Field(filter) => return one(table, asked(live, filter)?, filter, true),
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

/// The column of a declared filter.
fn asked<'l>(live: &'l LiveRows, filter: &Filter) -> Result<&'l LiveColumn, LiveError> {
    live.filter(&filter.path).ok_or(LiveError::Reloaded)
}

/// A filter; `None` where nothing fits it. What nobody has asked for bounds what its caller sees: it leaves out rather too many
/// than none, and what comes is judged once more.
fn one(table: &Table<'_>, column: &LiveColumn, filter: &Filter, is_asked: bool) -> Result<Option<Written>, LiveError> {
    let (kind, dialect) = (table.shape.compared_as(&column.column), table.shape.dialect);
    let quoted = table.quoted(&column.column);
    let refused = |why: &'static str| LiveError::NotAsked { path: filter.path.clone(), why };
    let unknown = |why: &'static str| LiveError::NotCompared { path: filter.path.clone(), why };
    let asks_null = matches!(filter.values.as_slice(), [Scalar::Null]);
    if is_asked && !asks_null && column.is_spelt(kind, dialect) {
        return Err(unknown("its column is a text there, and texts are compared letter by letter"));
    }
    let is_trimmed = dialect != Dialect::SqlServer || table.shape.is_orderable(&column.column);
    let nulls = column.nulls(kind).filter(|nulls| is_trimmed || !nulls.contains(&Null::Blank));
    let known = || nulls.as_deref().ok_or_else(|| unknown("what means null there may be written in several ways"));
    let is_value =
        |condition: Written| -> Result<Written, LiveError> { Ok(has_value(&quoted, condition, known()?, dialect)) };
    match (filter.comparison, asks_null) {
        (Comparison::Equal, true) => Ok(Some(has_none(&quoted, known()?, dialect))),
        (Comparison::NotEqual, true) => is_value((format!("{quoted} is not null"), Vec::new())).map(Some),
        (Comparison::Equal | Comparison::NotEqual | Comparison::In | Comparison::NotIn, _) => {
            Ok(compared(table, column, filter))
        }
        (Comparison::Prefix, _) => {
            let beginning = prefix(table, column, filter).map_err(refused)?;
            beginning.map(is_value).transpose()
        }
        _ if column.is_ordered() => compared(table, column, filter).map(is_value).transpose(),
        _ => Err(refused("its values are translated")),
    }
}

/// A text without the blanks at its end.
fn trimmed(column: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Firebird | Dialect::Informix => format!("trim(trailing from {column})"),
        _ => format!("rtrim({column})"),
    }
}

/// That a column has what means null, or that it has a value and not that.
fn means(column: &str, null: &Null, dialect: Dialect, is_null: bool) -> Written {
    match null {
        Null::Is(word) => (format!("{column} {} ?", if is_null { "=" } else { "<>" }), vec![word.clone()]),
        Null::Within(first, end) => {
            let text = match is_null {
                true => format!("({column} >= ? and {column} < ?)"),
                false => format!("({column} < ? or {column} >= ?)"),
            };
            (text, vec![first.clone(), end.clone()])
        }
        Null::From(first) => (format!("{column} {} ?", if is_null { ">=" } else { "<" }), vec![first.clone()]),
        // An empty text is NULL to Oracle.
        Null::Blank if dialect == Dialect::Oracle => {
            (format!("rtrim({column}) is {}null", if is_null { "" } else { "not " }), Vec::new())
        }
        Null::Blank => {
            let trimmed = trimmed(column, dialect);
            (format!("{trimmed} {} ''", if is_null { "=" } else { "<>" }), Vec::new())
        }
    }
}

/// That there is no value: NULL, or what else means it.
fn has_none(column: &str, nulls: &[Null], dialect: Dialect) -> Written {
    let null = (format!("{column} is null"), Vec::new());
    joined(null, nulls.iter().map(|null| means(column, null, dialect, true)), " or ")
}

/// A condition that holds for values alone, of which nothing is kept that means none.
fn has_value(column: &str, condition: Written, nulls: &[Null], dialect: Dialect) -> Written {
    joined(condition, nulls.iter().map(|null| means(column, null, dialect, false)), " and ")
}

/// A condition and others, as one.
fn joined(first: Written, others: impl Iterator<Item = Written>, word: &str) -> Written {
    let (texts, bound): (Vec<String>, Vec<Vec<Bound>>) = std::iter::once(first).chain(others).unzip();
    match texts.len() {
        1 => (texts.concat(), bound.concat()),
        _ => (format!("({})", texts.join(word)), bound.concat()),
    }
}

/// A filter by a comparison with values; `None` where nothing fits it.
fn compared(table: &Table<'_>, rules: &LiveColumn, filter: &Filter) -> Option<Written> {
    let column = &*table.quoted(&rules.column);
    // A bound may well be a word for nothing: what lies beyond it is none.
    let bound = |value: &Scalar| {
        let bound = text(rules.field_type(), value).and_then(|text| rules.bind(&text))?;
        Some(table.fitting(&rules.column, bound))
    };
    let bind = |value: &Scalar| bound(value).filter(|bound| !rules.is_null(bound));
    let sign = match (filter.comparison, filter.values.as_slice()) {
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
        (Comparison::Equal, values) => {
            return Some((format!("{column} = ?"), vec![values.first().and_then(bind)?]));
        }
        (Comparison::Greater, _) => ">",
        (Comparison::GreaterOrEqual, _) => ">=",
        (Comparison::Less, _) => "<",
        (Comparison::LessOrEqual, _) => "<=",
        (Comparison::Prefix, _) => return None,
    };
    Some((format!("{column} {sign} ?"), vec![filter.values.first().and_then(bound)?]))
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
        bound.extend(key.iter().take(last + 1).map(|(column, value)| table.fitting(column, value.clone())));
        choices.push(format!("({})", terms.join(" and ")));
    }
    Some((format!("({})", choices.join(" or ")), bound))
}
