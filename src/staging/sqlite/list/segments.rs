//! Where a page begins: the place behind a row, cut into segments that an index can serve.

use rusqlite::types::Value;

use super::super::filter::{Sql, bad, bound};
use super::{Criterion, Question};
use crate::staging::{Scalar, StagingError};

/// A stretch of the order.
pub(super) struct Segment<'a> {
    /// What holds in it; nothing of the first page.
    pub(super) place: Sql,
    /// What is left to order by, before the key.
    pub(super) order: &'a [Criterion<'a>],
}

/// A column's being this value.
pub(super) fn equal(name: &str, value: &Value) -> Sql {
    match value {
        Value::Null => Sql { text: format!("{name} IS NULL"), values: vec![] },
        value => Sql { text: format!("{name} = ?"), values: vec![value.clone()] },
    }
}

/// The segments that follow one another in the asked order. `judged`: they are not searched in an index.
pub(super) fn of<'a>(question: &'a Question<'_>, judged: bool) -> Result<Vec<Segment<'a>>, StagingError> {
    let order: &[Criterion<'_>] = &question.order;
    let Some(after) = &question.query.after else { return Ok(vec![Segment { place: Sql::default(), order }]) };
    let Some((Scalar::Text(key), values)) = after.split_last() else {
        return Err(bad(question.resource, "the place to go on after ends with a key".to_owned()));
    };
    if values.len() != order.len() {
        return Err(bad(question.resource, "the place to go on after belongs to another order".to_owned()));
    }

    let plus = if judged { "+" } else { "" };
    // `equals` holds for the columns before the one at hand.
    let mut equals = Sql::default();
    let mut beyond = Vec::new();
    for (depth, (criterion, scalar)) in order.iter().zip(values).enumerate() {
        let name = format!("{plus}{}", criterion.column.name);
        let value = bound(question.resource, criterion.column, scalar)?;
        let with = |text: String, values: Vec<Value>, order: &'a [Criterion<'a>]| {
            let mut place = equals.clone();
            place.also("", &Sql { text, values });
            Segment { place, order }
        };
        let is_null = value == Value::Null;
        beyond.push(match (criterion.descending, is_null) {
            (false, false) => vec![with(format!("{name} > ?"), vec![value.clone()], &order[depth..])],
            (false, true) => vec![with(format!("{name} IS NOT NULL"), vec![], &order[depth..])],
            (true, false) => vec![
                with(format!("{name} < ?"), vec![value.clone()], &order[depth..]),
                with(format!("{name} IS NULL"), vec![], &order[depth + 1..]),
            ],
            (true, true) => vec![],
        });
        equals.also("", &equal(&name, &value));
    }
    equals.also("", &Sql { text: format!("{plus}key > ?"), values: vec![Value::Text(key.clone())] });
    let mut segments = vec![Segment { place: equals, order: &[] }];
    segments.extend(beyond.into_iter().rev().flatten());
    Ok(segments)
}

/// All segments as one condition; nothing of the first page.
pub(super) fn anywhere(question: &Question<'_>) -> Result<Sql, StagingError> {
    let mut all = Sql::default();
    for segment in of(question, true)?.iter().filter(|segment| !segment.place.text.is_empty()) {
        all.push(if all.text.is_empty() { "((" } else { ") OR (" });
        all.add(&segment.place);
    }
    if !all.text.is_empty() {
        all.push("))");
    }
    Ok(all)
}
