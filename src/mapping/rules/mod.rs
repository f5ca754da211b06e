//! The rules of one value, as written, judged against its declared type and its layout.

mod conversion;
mod moments;
mod numbers;
mod phrase;

use super::convert::{Bounds, Convert};
use super::field::{Context, misplaced};
use super::literal;
use super::place::Place;
use super::plan::Rule;
use super::scalar::{OnBlank, Scalar, Short, Trim};
use super::schema::{self, Facts, Shape};
use super::types::Type;
use crate::diagnostic::Table;
use crate::record::{Decimal, FieldKind};
use conversion::{gives_null, listed, matches, takes_blank};
use moments::Moments;

pub(super) use numbers::{as_string, decimal_point, grouping};

/// What is known of a value before its conversion is chosen.
#[derive(Clone, Copy)]
struct Known {
    value_type: Type,
    kind: FieldKind,
    as_string: bool,
    bounds: Bounds,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Blank {
    Null,
    Zero,
    Reject,
}

/// Compiles the rules of the value at `place`.
pub(in crate::mapping) fn compile(
    table: &Table<'_>,
    declared: Option<Type>,
    place: Place,
    kind: FieldKind,
    context: &Context<'_>,
) -> Option<(Rule, Shape)> {
    let translated = table.has("values") || table.has("lookup");
    let own = Type::of(kind)?;
    let value_type = declared.unwrap_or(if translated { Type::String } else { own });
    if matches!(value_type, Type::Object | Type::Array) {
        fail(
            table,
            "type",
            format!("`{}` is a single field, not an {}", table.string("from").unwrap_or_default(), value_type.name()),
            "",
        );
        return None;
    }
    // What kind a database's column has shows when it is read.
    let is_open = context.says_null && matches!((kind, value_type), (FieldKind::Text { .. }, Type::Bytes));
    if !translated
        && !is_open
        && let Err(why) = value_type.fits(kind)
    {
        fail(table, "type", format!("this field of the layout cannot become `{}`", value_type.name()), why);
    }
    refuse_misplaced(table, value_type, kind);

    let style = numbers::style(table, context.style, kind);
    let as_string = numbers::as_string(table, value_type, Some(kind))?;
    let bounds = numbers::bounds(table, value_type);
    let blank = table.one_of("blank", &[("null", Blank::Null), ("zero", Blank::Zero), ("reject", Blank::Reject)]);
    let required = table.boolean("required")?;
    let moments = Moments::read(table, value_type, kind, context.says_null);
    let (utc, fraction, loose) = (moments.utc, moments.fraction, moments.loose);
    let offset_as_given = moments.offset_as_given;
    let preset = context.preset;
    let own_nulls = table.read("null_if", |node| matches(node, kind));
    let by_preset = preset.filter(|_| !table.has("null_if"));
    let null_if = own_nulls.or_else(|| by_preset.map(|preset| preset.null_if(value_type, kind))).unwrap_or_default();
    let empty_days = by_preset.map(|preset| preset.empty_days(value_type)).unwrap_or_default();
    let default = table.read("default", |node| literal::value(node, value_type, as_string, utc));
    let known = Known { value_type, kind, as_string, bounds };
    let convert = conversion::convert(table, known, moments, empty_days, context)?;

    let empty_is_null = null_if.texts.iter().any(|text| text.trim().is_empty());
    let blank_is_value = blank.is_none() && !empty_is_null && takes_blank(&convert);
    let on_blank = match blank {
        _ if required || empty_is_null => OnBlank::Null,
        Some(blank) => written_blank(table, blank, value_type, as_string),
        None if default.is_some() || preset.is_some_and(|preset| preset.blank_is_null(value_type)) => OnBlank::Null,
        None => blank_of(value_type, &convert),
    };
    if required {
        for name in ["default", "blank"] {
            misplaced(table, name, "in a required field", "a required field has always a value of its own");
        }
    }
    let by_rule =
        matches!(on_blank, OnBlank::Null) || !null_if.is_empty() || table.has("null_if") || gives_null(&convert);
    let nullable = (by_rule || context.says_null) && !required && default.is_none();
    if let Some(json) = &default {
        keeps_rules(table, "default", json, &convert, bounds);
    }
    if let OnBlank::Zero(json) = &on_blank {
        keeps_rules(table, "blank", json, &convert, bounds);
    }
    let null = if required { None } else { Some(default.clone().unwrap_or_else(|| b"null".to_vec())) };

    let text_rules = matches!(convert, Convert::Text(_));
    let pattern = table.string("pattern");
    let max_chars = if let FieldKind::Text { max_chars } = kind { max_chars.map(|n| n as usize) } else { None };
    let plain_case = !table.has("case") && default.is_none();
    let facts = Facts {
        value_type,
        as_string,
        nullable,
        null_by_rule: by_rule && nullable,
        digits: numbers::digits(value_type, kind, &style, bounds),
        bounds,
        min_length: if text_rules { length(table, "min_length") } else { None },
        max_length: if text_rules { length(table, "max_length").or(max_chars.filter(|_| plain_case)) } else { None },
        pattern: pattern.as_deref().filter(|_| text_rules),
        utc,
        fraction,
        loose,
        offset_as_given,
        values: listed(&convert, &on_blank, default.as_ref()),
    };
    let shape = schema::scalar(&facts);
    let unsigned = matches!(kind, FieldKind::Number { signed: false, .. });
    let width = match kind {
        FieldKind::Number { digits, scale: 0, .. }
            if value_type.is_moment() || (unsigned && value_type == Type::String) =>
        {
            digits
        }
        _ => 0,
    };
    let trim = table.one_of("trim", &[("both", Trim::Both), ("left", Trim::Left), ("right", Trim::Right)]).unwrap_or(
        match preset {
            Some(preset) if preset.is_padded() && text_rules => Trim::Right,
            _ => Trim::AsLayout,
        },
    );
    let short = match (kind, &convert) {
        (FieldKind::Number { scale, .. }, _) => {
            let is_plain = context.says_null && null_if.is_empty() && style.implied_scale.is_none();
            Short::Number { scale, written: if is_plain { convert.keeps(scale) } else { None } }
        }
        (FieldKind::Text { .. }, Convert::Text(rules))
            if rules.is_empty() && trim == Trim::AsLayout && null_if.is_empty() =>
        {
            Short::Text
        }
        _ => Short::None,
    };
    let scalar = Scalar {
        place,
        trim,
        short,
        null_if,
        says_null: context.says_null,
        on_blank,
        blank_is_said: blank.is_some() && matches!(kind, FieldKind::Number { .. } | FieldKind::Float),
        blank_is_value,
        null,
        style,
        width: usize::from(width),
        expected: phrase::expected(table, value_type, &convert, style, bounds),
        convert,
        in_key: false,
    };
    Some((Rule::Scalar(Box::new(scalar)), shape))
}

fn written_blank(table: &Table<'_>, blank: Blank, value_type: Type, as_string: bool) -> OnBlank {
    match blank {
        Blank::Null => OnBlank::Null,
        Blank::Reject => OnBlank::Reject,
        Blank::Zero if value_type.is_number() => {
            let scale = if let Type::Decimal { scale, .. } = value_type { usize::from(scale) } else { 0 };
            let zero = if scale == 0 { "0".to_owned() } else { format!("0.{:0<scale$}", "") };
            OnBlank::Zero(if as_string { format!("\"{zero}\"") } else { zero }.into_bytes())
        }
        Blank::Zero => {
            fail(table, "blank", "only a number can be zero".to_owned(), "use \"null\" or \"reject\"");
            OnBlank::Reject
        }
    }
}

/// What a blank becomes when the mapping does not say: an empty text is a text, everything else a reject.
fn blank_of(value_type: Type, convert: &Convert) -> OnBlank {
    let is_text = matches!(value_type, Type::String | Type::Any) && !matches!(convert, Convert::Lookup(_));
    if is_text { OnBlank::Keep } else { OnBlank::Reject }
}

fn fail(table: &Table<'_>, name: &str, message: String, help: &str) {
    let node = table.get(name).unwrap_or_else(|| table.node());
    let fault = if table.has(name) { node.fault(message) } else { node.key_fault(message) };
    table.fail(if help.is_empty() { fault } else { fault.help(help) });
}

/// What stands in for a value must keep the field's own rules, or documents would break their schema.
fn keeps_rules(table: &Table<'_>, name: &str, json: &[u8], convert: &Convert, bounds: Bounds) {
    let kept = match convert {
        Convert::Text(rules) => {
            let text: String = serde_json::from_slice(json).unwrap_or_default();
            rules.write(&text, &mut Vec::new()).is_ok()
        }
        _ => {
            let text = String::from_utf8_lossy(json);
            let number = Decimal::parse(text.trim_matches('"'), b'.', None).ok();
            number.is_none_or(|number| {
                bounds.min.is_none_or(|min| number >= min) && bounds.max.is_none_or(|max| number <= max)
            })
        }
    };
    if !kept {
        let given = String::from_utf8_lossy(json);
        fail(table, name, format!("{given} breaks the field's own rules"), "change it, or the rule");
    }
}

/// Keys that do nothing for this type would mislead whoever reads the mapping.
fn refuse_misplaced(table: &Table<'_>, value_type: Type, kind: FieldKind) {
    let place = format!("in a field of type `{}`", value_type.name());
    let refuse = |names: &[&str], wrong: bool, help: &str| {
        for name in names.iter().filter(|_| wrong) {
            misplaced(table, name, &place, help);
        }
    };
    let is_text = matches!(kind, FieldKind::Text { .. });
    let translated = table.has("values") || table.has("lookup");
    refuse(&["format", "century_pivot"], !value_type.is_moment(), "it belongs to date, time and datetime");
    refuse(&["zone"], value_type != Type::Datetime, "it belongs to datetime");
    refuse(&["true_if", "false_if"], value_type != Type::Boolean, "it belongs to boolean");
    refuse(&["pattern", "min_length", "max_length", "case"], value_type != Type::String, "it belongs to string");
    refuse(
        &["min", "max"],
        !value_type.is_number() && !value_type.is_moment(),
        "it belongs to numbers, dates and times",
    );
    refuse(&["as"], !matches!(value_type, Type::Integer | Type::Decimal { .. }), "it belongs to integer and decimal");
    let number_text = value_type.is_number() && is_text;
    refuse(&["decimal_point", "grouping"], !number_text, "it belongs to numbers that the source writes as text");
    let whole = matches!(kind, FieldKind::Number { scale: 0, .. });
    refuse(
        &["implied_scale"],
        !(value_type.is_number() && (is_text || whole)),
        "it belongs to numbers written without a decimal point",
    );
    refuse(&["trim"], !is_text, "it belongs to text");
    if translated {
        let place = if table.has("values") { "beside `values`" } else { "beside `lookup`" };
        for name in ["pattern", "min_length", "max_length", "min", "max", "case", "format", "true_if", "false_if"] {
            misplaced(table, name, place, "the table itself says what may be there");
        }
    }
    if table.has("values") {
        misplaced(table, "lookup", "beside `values`", "take one of them out");
        if table.has("unknown") {
            misplaced(table, "values_default", "beside `unknown`", "take one of them out");
        }
    } else {
        misplaced(table, "values_default", "without `values`", "it says what a value outside `values` becomes");
        misplaced(table, "unknown", "without `values`", "it says what happens to a value outside `values`");
    }
}

fn length(table: &Table<'_>, name: &str) -> Option<usize> {
    table.integer(name, 0..=1_000_000).map(|length| length as usize)
}

/// The facts of a value without rules.
pub(super) fn bare_facts(value_type: Type, as_string: bool) -> Facts<'static> {
    Facts {
        value_type,
        as_string,
        nullable: false,
        null_by_rule: false,
        digits: None,
        bounds: Bounds::default(),
        min_length: None,
        max_length: None,
        pattern: None,
        utc: false,
        fraction: false,
        loose: false,
        offset_as_given: false,
        values: None,
    }
}
