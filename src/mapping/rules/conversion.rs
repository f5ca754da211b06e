//! From the rules as written to the conversion that runs.

use jiff::civil::Date;
use regex::Regex;

use super::length;
use super::moments::Moments;
use super::numbers::{DOUBLE_DIGITS, holds};
use super::{Known, fail};
use crate::diagnostic::{Entries, Node, Table, Written};
use crate::mapping::convert::{Case, Convert, Matches, Otherwise, TextRules};
use crate::mapping::field::{Context, lookup};
use crate::mapping::literal;
use crate::mapping::lookup::Missing;
use crate::mapping::scalar::OnBlank;
use crate::mapping::temporal::Moment;
use crate::mapping::types::Type;
use crate::record::{Decimal, FieldKind};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Reject,
    Null,
    Keep,
}

/// Chooses the conversion.
pub(super) fn convert(
    table: &Table<'_>,
    known: Known,
    moments: Moments,
    empty_days: Vec<Date>,
    context: &Context<'_>,
) -> Option<Convert> {
    let Known { value_type, kind, as_string, bounds } = known;
    let Moments { formats, zone, utc, .. } = moments;
    if table.has("values") {
        return values(table, value_type, kind, as_string);
    }
    if table.has("lookup") {
        if value_type != Type::String {
            fail(table, "type", "a lookup gives a string".to_owned(), "take `type` out");
        }
        return lookup(table, context).map(Convert::Lookup);
    }
    Some(match value_type {
        Type::String => Convert::Text(TextRules {
            case: table.one_of("case", &[("upper", Case::Upper), ("lower", Case::Lower)]),
            pattern: table.read("pattern", |node| {
                Regex::new(node.as_str().unwrap_or_default()).map_err(|error| {
                    let words = error.to_string();
                    let last = words.lines().last().unwrap_or_default();
                    format!("no regular expression: {}", last.trim_start_matches("error: "))
                })
            }),
            min_length: length(table, "min_length"),
            max_length: {
                let (min, max) = (length(table, "min_length"), length(table, "max_length"));
                if min.zip(max).is_some_and(|(min, max)| min > max) {
                    fail(table, "max_length", "max_length is less than min_length".to_owned(), "");
                }
                max
            },
        }),
        Type::Integer => {
            let known = match kind {
                FieldKind::Number { digits, .. } => digits <= DOUBLE_DIGITS,
                FieldKind::Text { max_chars } => max_chars.is_some_and(|chars| chars <= u32::from(DOUBLE_DIGITS)),
                _ => false,
            };
            if let FieldKind::Number { scale: 1.., .. } = kind {
                let own = Type::of(kind).map(Type::name).unwrap_or_default();
                fail(
                    table,
                    "type",
                    "the layout's field has decimals, an integer has none".to_owned(),
                    &format!("declare it {own}"),
                );
            }
            Convert::Integer { as_string, safe: !as_string && !known && !table.has("as"), bounds }
        }
        Type::Decimal { precision, scale } => {
            holds(table, kind, precision, scale);
            Convert::Decimal { scale, largest: 10u128.pow(precision.into()) - 1, as_string, bounds }
        }
        Type::Number => Convert::Number { bounds },
        Type::Boolean => match context.preset.filter(|_| !table.has("true_if") && !table.has("false_if")) {
            Some(preset) => {
                let (truths, falsehoods) = preset.truths();
                Convert::Boolean { truths: Some(truths), falsehoods: Some(falsehoods) }
            }
            None => Convert::Boolean {
                truths: table.read("true_if", |node| matches(node, kind)),
                falsehoods: table.read("false_if", |node| matches(node, kind)),
            },
        },
        Type::Date | Type::Time | Type::Datetime => {
            let min = table.read("min", |node| literal::moment(node, value_type, utc));
            let max = table.read("max", |node| literal::moment(node, value_type, utc));
            if min.is_some() && max.is_some() && min > max {
                fail(table, "max", "max is before min".to_owned(), "");
            }
            let moment = match value_type {
                Type::Date => Moment::Date,
                Type::Time => Moment::Time,
                _ => Moment::Datetime,
            };
            Convert::Moment { moment, formats, zone, min, max, empty_days }
        }
        Type::Bytes => Convert::Bytes,
        Type::Any | Type::Object | Type::Array => Convert::Any { as_string },
    })
}

/// Values of the source: numbers where the source has numbers, else texts (and numbers where written so).
pub(super) fn matches(node: &Node, kind: FieldKind) -> Result<Matches, String> {
    let mut matches = Matches::default();
    let single = std::slice::from_ref(node);
    for element in node.as_array().unwrap_or(single) {
        match (&element.value, kind) {
            (Written::String(text), FieldKind::Number { .. }) if text.trim().is_empty() => {
                matches.texts.push(text.clone())
            }
            (Written::String(text), FieldKind::Number { .. }) => match literal::number(element) {
                Ok(number) => matches.numbers.push(number),
                Err(_) => return Err(format!("the layout's field is a number, and \"{text}\" is none")),
            },
            (Written::String(text), _) => matches.texts.push(text.clone()),
            (Written::Integer(_) | Written::Float(_), FieldKind::Text { .. } | FieldKind::Number { .. }) => {
                matches.numbers.push(literal::number(element)?);
            }
            _ => return Err(format!("expected strings or numbers, found {}", element.kind())),
        }
    }
    Ok(matches)
}

fn values(table: &Table<'_>, value_type: Type, kind: FieldKind, as_string: bool) -> Option<Convert> {
    let node = table.get("values")?;
    let mut texts: Vec<(String, Vec<u8>)> = Vec::new();
    let mut numbers: Vec<(Decimal, Vec<u8>)> = Vec::new();
    for (name, entry) in table.free("values") {
        let json = match literal::value(entry, value_type, as_string, false) {
            Ok(json) => json,
            Err(message) => {
                table.fail(entry.fault(format!("`values.{name}`: {message}")));
                continue;
            }
        };
        let number = matches!(kind, FieldKind::Number { .. }).then(|| Decimal::parse(name, b'.', None));
        let twice = match number {
            Some(Err(_)) if name.trim().is_empty() => {
                texts.push((String::new(), json));
                false
            }
            Some(Err(_)) => {
                table.fail(entry.key_fault(format!("the layout's field is a number, and \"{name}\" is none")));
                false
            }
            Some(Ok(number)) => {
                let twice = numbers.iter().any(|(known, _)| *known == number);
                numbers.push((number, json));
                twice
            }
            None => {
                let twice = texts.iter().any(|(known, _)| known == name.trim());
                texts.push((name.trim().to_owned(), json));
                twice
            }
        };
        if twice {
            table.fail(entry.key_fault(format!("`{name}` stands in `values` twice")));
        }
    }
    if node.as_table().is_some_and(Entries::is_empty) {
        fail(table, "values", "`values` is empty".to_owned(), "write `values = { OP = \"open\" }`");
    }
    texts.sort_by(|a, b| a.0.cmp(&b.0));
    let unknown =
        table.one_of("unknown", &[("reject", Unknown::Reject), ("null", Unknown::Null), ("keep", Unknown::Keep)]);
    if unknown == Some(Unknown::Keep) && value_type != Type::String {
        fail(table, "unknown", "only a string can be kept as it is".to_owned(), "");
    }
    let otherwise =
        match (table.read("values_default", |node| literal::value(node, value_type, as_string, false)), unknown) {
            (Some(json), _) => Otherwise::Write(json),
            (None, Some(Unknown::Null)) => Otherwise::Null,
            (None, Some(Unknown::Keep)) => Otherwise::Keep,
            (None, _) => Otherwise::Reject,
        };
    Some(Convert::Values { texts, numbers, otherwise })
}

/// Whether a blank is a value like any other: it is listed, or everything that is not listed is a fault of
/// its own.
pub(super) fn takes_blank(convert: &Convert) -> bool {
    let lists = |matches: &Option<Matches>| {
        matches.as_ref().is_some_and(|matches| matches.texts.iter().any(|text| text.trim().is_empty()))
    };
    match convert {
        Convert::Values { texts, .. } => texts.iter().any(|(text, _)| text.is_empty()),
        Convert::Boolean { truths, falsehoods } => lists(truths) || lists(falsehoods),
        Convert::Lookup(lookup) => lookup.get("").is_some(),
        _ => false,
    }
}

/// Whether a value that is there can become null.
pub(super) fn gives_null(convert: &Convert) -> bool {
    match convert {
        Convert::Values { otherwise, .. } => matches!(otherwise, Otherwise::Null),
        Convert::Lookup(lookup) => lookup.missing == Missing::Null,
        Convert::Moment { empty_days, .. } => !empty_days.is_empty(),
        _ => false,
    }
}

/// Every value that the field can have, where it can be listed.
pub(super) fn listed(convert: &Convert, on_blank: &OnBlank, default: Option<&Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let Convert::Values { texts, numbers, otherwise } = convert else { return None };
    let mut all: Vec<Vec<u8>> = texts.iter().map(|(_, json)| json.clone()).collect();
    all.extend(numbers.iter().map(|(_, json)| json.clone()));
    match otherwise {
        Otherwise::Keep => return None,
        Otherwise::Write(json) => all.push(json.clone()),
        Otherwise::Reject | Otherwise::Null => {}
    }
    if let OnBlank::Zero(json) = on_blank {
        all.push(json.clone());
    }
    all.extend(default.cloned());
    Some(all)
}
