//! The rules of one value, as written, judged against its declared type and its layout.

use jiff::tz::TimeZone;
use regex::Regex;

use super::field::{Context, lookup, misplaced};
use super::literal;
use super::lookup::Missing;
use super::number::NumberStyle;
use super::place::Place;
use super::plan::Rule;
use super::scalar::{Bounds, Case, Convert, Matches, OnBlank, Otherwise, Scalar, TextRules, Trim};
use super::schedule::time_zone;
use super::schema::{self, Facts, Shape};
use super::temporal::{Format, Moment};
use super::types::Type;
use crate::diagnostic::{Entries, Node, Table, Written};
use crate::record::{Decimal, FieldKind};

/// JSON numbers of up to so many digits are exact doubles.
const DOUBLE_DIGITS: u8 = 15;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Blank {
    Null,
    Zero,
    Reject,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Reject,
    Null,
    Keep,
}

/// Compiles the rules of the value at `place`.
pub(super) fn compile(
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
    if !translated && let Err(why) = value_type.fits(kind) {
        fail(table, "type", format!("this field of the layout cannot become `{}`", value_type.name()), why);
    }
    refuse_misplaced(table, value_type, kind);

    let style = style(table, context.style, kind);
    let as_string = as_string(table, value_type, Some(kind))?;
    let bounds = bounds(table, value_type);
    let blank = table.one_of("blank", &[("null", Blank::Null), ("zero", Blank::Zero), ("reject", Blank::Reject)]);
    let required = table.boolean("required")?;
    let zone = table.read("zone", |node| time_zone(node.as_str().unwrap_or_default()));
    let formats = formats(table, value_type, kind);
    let utc = zone.is_some() || formats.iter().any(Format::has_offset);
    let fraction = formats.iter().any(Format::has_fraction);
    if table.has("zone") && formats.iter().any(Format::has_offset) {
        misplaced(table, "zone", "beside a format with %z", "the data itself says the offset");
    }
    if formats.iter().any(|format| format.has_fraction() != fraction) {
        fail(
            table,
            "format",
            "some formats have a fraction of a second and some have none".to_owned(),
            "texts of different length do not sort; make them two fields or add %f",
        );
    }
    if utc && zone.is_none() && formats.iter().any(|format| !format.has_offset()) {
        fail(
            table,
            "format",
            "some formats have an offset and some have none".to_owned(),
            "add %z to all of them, or name a `zone`",
        );
    }

    let null_if = table.read("null_if", |node| matches(node, kind)).unwrap_or_default();
    let default = table.read("default", |node| literal::value(node, value_type, as_string, utc));
    let convert = convert(table, value_type, kind, as_string, bounds, context, formats, zone, utc)?;

    // What a blank and what null become.
    let is_text = value_type == Type::String || value_type == Type::Any;
    let empty_is_null = null_if.texts.iter().any(|text| text.trim().is_empty());
    let blank_is_value = blank.is_none() && !empty_is_null && takes_blank(&convert);
    let on_blank = match blank {
        _ if required => OnBlank::Null,
        Some(Blank::Null) => OnBlank::Null,
        Some(Blank::Reject) => OnBlank::Reject,
        Some(Blank::Zero) if value_type.is_number() => {
            let zero =
                Decimal::ZERO.rescale(if let Type::Decimal { scale, .. } = value_type { scale } else { 0 }).ok()?;
            OnBlank::Zero(if as_string { format!("\"{zero}\"") } else { zero.to_string() }.into_bytes())
        }
        Some(Blank::Zero) => {
            fail(table, "blank", "only a number can be zero".to_owned(), "use \"null\" or \"reject\"");
            OnBlank::Reject
        }
        None if default.is_some() || empty_is_null => OnBlank::Null,
        None if matches!(convert, Convert::Lookup(_)) => OnBlank::Reject,
        None if is_text => OnBlank::Keep,
        None => OnBlank::Reject,
    };
    if required {
        for name in ["default", "blank"] {
            misplaced(table, name, "in a required field", "a required field has always a value of its own");
        }
    }
    let gives_null = matches!(on_blank, OnBlank::Null) || table.has("null_if") || convert_gives_null(&convert);
    let nullable = gives_null && !required && default.is_none();
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
        digits: digits(value_type, kind, &style, bounds),
        bounds,
        min_length: if text_rules { length(table, "min_length") } else { None },
        max_length: if text_rules { length(table, "max_length").or(max_chars.filter(|_| plain_case)) } else { None },
        pattern: pattern.as_deref().filter(|_| text_rules),
        utc,
        fraction,
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
    let scalar = Scalar {
        place,
        trim: table
            .one_of("trim", &[("both", Trim::Both), ("left", Trim::Left), ("right", Trim::Right)])
            .unwrap_or(Trim::AsLayout),
        null_if,
        on_blank,
        blank_is_value,
        null,
        style,
        width: usize::from(width),
        expected: expected(table, value_type, &convert, style, bounds),
        convert,
        in_key: false,
    };
    Some((Rule::Scalar(Box::new(scalar)), shape))
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

fn style(table: &Table<'_>, common: NumberStyle, kind: FieldKind) -> NumberStyle {
    let mut style = common;
    if let Some(point) = table.read("decimal_point", decimal_point) {
        style.point = point;
    }
    if table.has("grouping") {
        style.grouping = table.read("grouping", grouping).flatten();
    }
    if style.grouping == Some(style.point) {
        fail(
            table,
            if table.has("grouping") { "grouping" } else { "decimal_point" },
            "decimal point and grouping are the same".to_owned(),
            "",
        );
    }
    if !matches!(kind, FieldKind::Text { .. }) {
        style = NumberStyle::PLAIN;
    }
    style.implied_scale = table.integer("implied_scale", 0..=38).map(|scale| scale as u8);
    style
}

/// Reads `decimal_point`.
pub(super) fn decimal_point(node: &Node) -> Result<u8, String> {
    match node.as_str() {
        Some(".") => Ok(b'.'),
        Some(",") => Ok(b','),
        _ => Err("expected \".\" or \",\"".to_owned()),
    }
}

/// Reads `grouping`; an empty text is none.
pub(super) fn grouping(node: &Node) -> Result<Option<u8>, String> {
    match node.as_str().map(str::as_bytes) {
        Some([]) => Ok(None),
        Some([mark @ (b'.' | b',' | b'\'' | b'_' | b' ')]) => Ok(Some(*mark)),
        _ => Err("expected one of \".\", \",\", \"'\", \"_\", \" \"".to_owned()),
    }
}

/// Whether an integer or decimal is written as a JSON string; reports an `as` that is neither.
pub(super) fn as_string(table: &Table<'_>, value_type: Type, kind: Option<FieldKind>) -> Option<bool> {
    if table.has("as") {
        return table.one_of("as", &[("number", false), ("string", true)]);
    }
    Some(match (value_type, kind) {
        (Type::Decimal { precision, .. }, _) => precision > DOUBLE_DIGITS,
        (Type::Integer | Type::Any, Some(FieldKind::Number { digits, .. })) => digits > DOUBLE_DIGITS,
        _ => false,
    })
}

fn bounds(table: &Table<'_>, value_type: Type) -> Bounds {
    if !value_type.is_number() {
        return Bounds::default();
    }
    let bounds = Bounds { min: table.read("min", literal::number), max: table.read("max", literal::number) };
    if let (Some(min), Some(max)) = (bounds.min, bounds.max)
        && min > max
    {
        fail(table, "max", format!("max {max} is less than min {min}"), "");
    }
    bounds
}

fn length(table: &Table<'_>, name: &str) -> Option<usize> {
    table.integer(name, 0..=1_000_000).map(|length| length as usize)
}

fn formats(table: &Table<'_>, value_type: Type, kind: FieldKind) -> Vec<Format> {
    let (moment, iso) = match value_type {
        Type::Date => (Moment::Date, "%Y-%m-%d"),
        Type::Time => (Moment::Time, "%H:%M:%S"),
        Type::Datetime => (Moment::Datetime, "%Y-%m-%dT%H:%M:%S"),
        _ => return Vec::new(),
    };
    let pivot = table.integer("century_pivot", 0..=100).unwrap_or(69) as i16;
    let width = match kind {
        FieldKind::Number { digits, .. } => Some(u32::from(digits)),
        FieldKind::Text { max_chars } => max_chars,
        _ => None,
    };
    let written = table.strings("format");
    if written.is_none() && table.has("format") {
        return Vec::new();
    }
    let written = written.unwrap_or_else(|| {
        let compact = matches!(kind, FieldKind::Number { digits: 8, .. }) && moment == Moment::Date;
        vec![if compact { "%Y%m%d" } else { iso }.to_owned()]
    });
    let mut formats = Vec::new();
    for text in &written {
        match Format::compile(text, moment, pivot) {
            Ok(format) => formats.push(format),
            Err(message) => fail(table, "format", format!("format `{text}`: {message}"), ""),
        }
    }
    if let (Some(width), Some(format)) = (width, formats.first())
        && formats.iter().all(|format| format.shortest() > width as usize)
    {
        let shortest = format.shortest();
        let message = format!(
            "format `{}` takes {shortest} characters at least, and the layout's field has {width}",
            format.text()
        );
        let place = if table.has("format") { "format" } else { "type" };
        fail(table, place, message, "say by `format` how the source writes it, like format = \"%Y%m%d\"");
    }
    formats
}

/// Values of the source: numbers where the source has numbers, else texts (and numbers where written so).
fn matches(node: &Node, kind: FieldKind) -> Result<Matches, String> {
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

#[expect(clippy::too_many_arguments, reason = "the one place where all that was read comes together")]
fn convert(
    table: &Table<'_>,
    value_type: Type,
    kind: FieldKind,
    as_string: bool,
    bounds: Bounds,
    context: &Context<'_>,
    formats: Vec<Format>,
    zone: Option<TimeZone>,
    utc: bool,
) -> Option<Convert> {
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
            Convert::Decimal { precision, scale, as_string, bounds }
        }
        Type::Number => Convert::Number { bounds },
        Type::Boolean => Convert::Boolean {
            truths: table.read("true_if", |node| matches(node, kind)),
            falsehoods: table.read("false_if", |node| matches(node, kind)),
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
            Convert::Moment { moment, formats, zone, min, max }
        }
        Type::Bytes => Convert::Bytes,
        Type::Any | Type::Object | Type::Array => Convert::Any { as_string },
    })
}

/// A decimal must hold every value that the layout's field can have.
fn holds(table: &Table<'_>, kind: FieldKind, precision: u8, scale: u8) {
    let FieldKind::Number { digits, scale: layout_scale, .. } = kind else { return };
    let implied = table.integer("implied_scale", 0..=38).unwrap_or(0) as u8;
    let layout_scale = layout_scale + implied;
    let whole = digits.saturating_sub(layout_scale);
    if layout_scale > scale || whole > precision - scale {
        let wanted = Type::Decimal { precision: (whole + layout_scale).max(1), scale: layout_scale }.name();
        let message =
            format!("decimal({precision},{scale}) cannot hold every value of the layout's field, which needs {wanted}");
        fail(table, "type", message, &format!("declare it {wanted}, and narrow it by `min` and `max`"));
    }
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
fn takes_blank(convert: &Convert) -> bool {
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

fn convert_gives_null(convert: &Convert) -> bool {
    match convert {
        Convert::Values { otherwise, .. } => matches!(otherwise, Otherwise::Null),
        Convert::Lookup(lookup) => lookup.missing == Missing::Null,
        _ => false,
    }
}

/// Every value that the field can have, where it can be listed.
fn listed(convert: &Convert, on_blank: &OnBlank, default: Option<&Vec<u8>>) -> Option<Vec<Vec<u8>>> {
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

/// The most digits that a number can have.
fn digits(value_type: Type, kind: FieldKind, style: &NumberStyle, bounds: Bounds) -> Option<u8> {
    let by_bounds = match (bounds.min, bounds.max) {
        (Some(min), Some(max)) => Some(min.integer_digits().max(max.integer_digits()) as u8),
        _ => None,
    };
    let by_layout = match kind {
        FieldKind::Number { digits, .. } => Some(digits),
        FieldKind::Text { max_chars } => max_chars.and_then(|chars| u8::try_from(chars).ok()),
        _ => None,
    };
    match value_type {
        Type::Decimal { precision, .. } => Some(precision),
        Type::Integer => {
            let implied = style.implied_scale.unwrap_or(0);
            [by_bounds, by_layout.map(|digits| digits.saturating_sub(implied))].into_iter().flatten().min()
        }
        _ => None,
    }
}

/// The phrase for rejects.
fn expected(table: &Table<'_>, value_type: Type, convert: &Convert, style: NumberStyle, bounds: Bounds) -> String {
    let word = |text: &String| if text.trim().is_empty() { "blank".to_owned() } else { format!("`{text}`") };
    let list = |texts: &[String]| texts.iter().map(word).collect::<Vec<_>>().join(", ");
    let mut phrase = match convert {
        Convert::Values { texts, numbers, .. } => {
            let known =
                texts.iter().map(|(text, _)| text.clone()).chain(numbers.iter().map(|(number, _)| number.to_string()));
            let known: Vec<String> = known.collect();
            if known.len() <= 12 {
                format!("one of {}", list(&known))
            } else {
                format!("one of {} known values", known.len())
            }
        }
        Convert::Lookup(lookup) => format!("a value that lookup {} has", lookup.name),
        Convert::Boolean { truths, falsehoods } => {
            let words = |matches: &Option<Matches>, words: &str| match matches {
                Some(matches) => {
                    let numbers = matches.numbers.iter().map(ToString::to_string);
                    list(&matches.texts.iter().cloned().chain(numbers).collect::<Vec<_>>())
                }
                None => words.to_owned(),
            };
            format!("{} for true or {} for false", words(truths, "true/yes/y/t/1"), words(falsehoods, "false/no/n/f/0"))
        }
        Convert::Moment { formats, min, max, .. } => {
            let formats: Vec<_> = formats.iter().map(Format::text).collect();
            let mut phrase = format!("{} {}", value_type.name(), formats.join(" or "));
            for (word, bound) in [("from", min), ("to", max)] {
                if let Some(bound) = bound {
                    phrase.push_str(&format!(" {word} {bound}"));
                }
            }
            phrase
        }
        _ => value_type.name(),
    };
    if value_type.is_number() {
        phrase.push_str(&style.describe());
    }
    if let Some(min) = bounds.min {
        phrase.push_str(&format!(", at least {min}"));
    }
    if let Some(max) = bounds.max {
        phrase.push_str(&format!(", at most {max}"));
    }
    if let Convert::Text(rules) = convert {
        if let Some(pattern) = &rules.pattern {
            phrase.push_str(&format!(" matching {pattern}"));
        }
        if let Some(length) = rules.min_length {
            phrase.push_str(&format!(", at least {length} characters"));
        }
        if let Some(length) = rules.max_length {
            phrase.push_str(&format!(", at most {length} characters"));
        }
    }
    if table.boolean("required") == Some(true) {
        phrase.push_str(", required");
    }
    phrase
}

/// The facts of a value without rules.
pub(super) fn bare_facts(value_type: Type, as_string: bool) -> Facts<'static> {
    Facts {
        value_type,
        as_string,
        nullable: false,
        digits: None,
        bounds: Bounds::default(),
        min_length: None,
        max_length: None,
        pattern: None,
        utc: false,
        fraction: false,
        values: None,
    }
}
