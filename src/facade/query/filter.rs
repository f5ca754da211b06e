//! One filter: which field, which operator, which values.

use std::borrow::Cow;

use serde_json::Value;

use super::names_of;
use crate::facade::catalog::Published;
use crate::facade::value;
use crate::http::{Problem, Reason};
use crate::mapping::{FieldType, Fraction, Offset, QueryField};
use crate::staging::{Comparison, Filter, Scalar};

/// Values of one `[in]` or `[nin]` at most.
pub(in crate::facade) const MAX_VALUES: usize = 200;

/// The operators as written in brackets, with what they do. `null` is handled apart.
pub(in crate::facade) const OPERATORS: &[(&str, Comparison)] = &[
    ("ne", Comparison::NotEqual),
    ("gt", Comparison::Greater),
    ("gte", Comparison::GreaterOrEqual),
    ("lt", Comparison::Less),
    ("lte", Comparison::LessOrEqual),
    ("in", Comparison::In),
    ("nin", Comparison::NotIn),
    ("prefix", Comparison::Prefix),
];

/// A value that is taken or not by what is staged.
#[derive(Debug)]
pub(in crate::facade) struct Doubt {
    /// Records by which it is judged.
    pub(in crate::facade) filter: Filter,
    /// How they judge it.
    pub(in crate::facade) test: DoubtTest,
    /// What is answered where it is not taken.
    pub(in crate::facade) problem: Problem,
}

/// How staged records judge a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::facade) enum DoubtTest {
    /// The field does not declare it: no record can have it, but for those that are still staged from before its `values` were
    /// changed. There must be one.
    IsThere,
    /// The column that the field is read from has an offset from UTC in all its rows or in none. Where there is a record it must
    /// have one, as the value does, or must not.
    HasOffset(bool),
}

/// A field with what is asked of it, without the values.
#[derive(Clone, Copy)]
pub(super) struct Test<'a> {
    /// As it was written: `amount[gte]`.
    name: &'a str,
    field: &'a QueryField,
    operator: Operator,
    /// Of the resource.
    schema: &'a Value,
}

#[derive(Clone, Copy)]
enum Operator {
    Null,
    Compare(Comparison),
}

impl<'a> Test<'a> {
    /// Reads `field` or `field[operator]`.
    pub(super) fn parse(published: &'a Published, name: &'a str) -> Result<Test<'a>, Problem> {
        let (path, operator) = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
            Some((path, operator)) => (path, Some(operator)),
            None => (name, None),
        };
        let allowed = &published.exposure.filter;
        let Some(field) = allowed.iter().find(|field| field.path == path) else {
            let problem = Reason::UnknownParameter.because(format!("`{name}` is no parameter of this resource"));
            let fields = names_of(allowed, "fields to filter by");
            let taken: Vec<&str> = super::parameters_of(&published.exposure).collect();
            let hint = format!("{fields}; parameters: {}", taken.join(", "));
            return Err(problem.hint(match path {
                "page" | "offset" | "skip" | "start" => format!("a list goes on where `page.next` leads; {hint}"),
                _ => hint,
            }));
        };
        let operator = match operator {
            None => Operator::Compare(Comparison::Equal),
            Some("null") => Operator::Null,
            Some(operator) => {
                match super::operators_taken(&published.exposure, field).find(|(name, _)| *name == operator) {
                    Some((_, comparison)) => Operator::Compare(*comparison),
                    None => {
                        let known: Vec<&str> =
                            super::operators_taken(&published.exposure, field).map(|(name, _)| *name).collect();
                        let detail = format!("`{name}`: operators of `{path}` are {}, null", known.join(", "));
                        return Err(Reason::UnknownParameter.because(detail));
                    }
                }
            }
        };
        Ok(Test { name, field, operator, schema: &published.exposure.schema })
    }

    /// Whether it takes a list of values.
    pub(super) fn takes_several(&self) -> bool {
        matches!(self.operator, Operator::Compare(Comparison::In | Comparison::NotIn))
    }

    /// The filter with these values; one, unless it takes several. Values that are not declared are put to the doubts.
    pub(super) fn with(&self, texts: &[Cow<'_, str>], doubts: &mut Vec<Doubt>) -> Result<Filter, Problem> {
        let refused = |detail: String| Err(Reason::InvalidParameter.because(format!("`{}`: {detail}", self.name)));
        let path = self.field.path.clone();
        let comparison = match self.operator {
            Operator::Compare(comparison) => comparison,
            Operator::Null => {
                let comparison = match texts {
                    [text] if text == "true" => Comparison::Equal,
                    [text] if text == "false" => Comparison::NotEqual,
                    _ => return refused("expected true or false".to_owned()),
                };
                return Ok(Filter { path, comparison, values: vec![Scalar::Null] });
            }
        };
        if texts.len() > MAX_VALUES {
            return refused(format!("more than {MAX_VALUES} values"));
        }
        let mut comparison = comparison;
        let mut values = Vec::with_capacity(texts.len());
        for text in texts {
            let value = match comparison {
                // The beginning of a date is no date.
                Comparison::Prefix => Ok(Scalar::Text(text.clone().into_owned())),
                Comparison::Greater | Comparison::GreaterOrEqual | Comparison::Less | Comparison::LessOrEqual => {
                    value::parse_bound(self.field.field_type, text).map(|bound| {
                        if bound.is_behind {
                            comparison = behind(comparison);
                        }
                        bound.at
                    })
                }
                _ => value::parse(self.field.field_type, text),
            };
            match value {
                Ok(value) => values.push(value),
                Err(expected) => return refused(format!("expected {expected}, found `{text}`")),
            }
        }
        self.doubt_undeclared(comparison, &values, texts, doubts);
        self.doubt_offset(comparison, &values, texts, doubts);
        Ok(Filter { path, comparison, values })
    }

    /// Doubts values that are not declared: a misspelt one would find nothing, and nobody would be told why. Bounds and
    /// beginnings need not be values.
    fn doubt_undeclared(
        &self,
        comparison: Comparison,
        values: &[Scalar],
        texts: &[Cow<'_, str>],
        doubts: &mut Vec<Doubt>,
    ) {
        use Comparison::{Equal, In, NotEqual, NotIn};
        if !matches!(comparison, Equal | NotEqual | In | NotIn) {
            return;
        }
        let Some(declared) = value::declared(self.schema, &self.field.path) else { return };
        let may_be = |value: &Scalar| {
            declared.iter().any(|text| value::parse(self.field.field_type, text).is_ok_and(|known| known == *value))
        };
        for (value, text) in values.iter().zip(texts).filter(|(value, _)| !may_be(value)) {
            let filter = Filter {
                path: self.field.path.clone(),
                comparison: Equal,
                values: std::slice::from_ref(value).to_vec(),
            };
            if doubts.iter().any(|doubt| doubt.filter == filter) {
                continue;
            }
            let detail = format!("`{}`: no record has the value `{text}`", self.name);
            let written: Vec<String> = declared.iter().map(|text| value::quoted(text)).collect();
            let hint = format!("values of `{}`: {}", self.field.path, written.join(", "));
            let problem = Reason::InvalidParameter.because(detail).hint(hint);
            doubts.push(Doubt { filter, test: DoubtTest::IsThere, problem });
        }
    }

    /// Doubts timestamps of a field that has an offset, or none, as its column does: texts of the two forms compare as nothing that
    /// anybody means.
    fn doubt_offset(&self, comparison: Comparison, values: &[Scalar], texts: &[Cow<'_, str>], doubts: &mut Vec<Doubt>) {
        let FieldType::Datetime { offset: Offset::AsRead, .. } = self.field.field_type else { return };
        if comparison == Comparison::Prefix {
            return;
        }
        for (value, text) in values.iter().zip(texts) {
            let Scalar::Text(read) = value else { continue };
            let test = DoubtTest::HasOffset(read.ends_with('Z'));
            if doubts.iter().any(|doubt| doubt.test == test && doubt.filter.path == self.field.path) {
                continue;
            }
            let path = self.field.path.clone();
            let filter = Filter { path, comparison: Comparison::NotEqual, values: vec![Scalar::Null] };
            let offset = if read.ends_with('Z') { Offset::Local } else { Offset::Utc };
            let expected = value::describe(FieldType::Datetime { offset, fraction: Fraction::Absent });
            let detail = format!("`{}`: expected {expected}, found `{text}`", self.name);
            doubts.push(Doubt { filter, test, problem: Reason::InvalidParameter.because(detail) });
        }
    }
}

/// What a bound right behind a value means of that value.
fn behind(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::GreaterOrEqual => Comparison::Greater,
        Comparison::Less => Comparison::LessOrEqual,
        other => other,
    }
}

/// The operators that make sense for a field, besides equality and `null`.
pub(in crate::facade) fn operators_of(field: &QueryField) -> impl Iterator<Item = &'static (&'static str, Comparison)> {
    let (ordered, text) = (value::is_ordered(field.field_type), value::is_text(field.field_type));
    OPERATORS.iter().filter(move |(_, comparison)| match comparison {
        Comparison::Equal | Comparison::NotEqual | Comparison::In | Comparison::NotIn => true,
        Comparison::Prefix => text,
        _ => ordered,
    })
}
