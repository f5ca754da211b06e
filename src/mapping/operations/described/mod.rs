//! JSON Schema (2020-12) of a single value of a body. What it says is taken is taken: a schema that cannot say a rule exactly
//! says less than is taken, not more.
//!
//! It says more where there are no words: how many digits of a number stand behind the point (`x-scale`; many validators divide
//! by `multipleOf` in binary floating point), the bounds of timestamps that have an offset (`x-minimum`, `x-maximum`) and of
//! texts that are numbers of more digits than a JSON number has, and patterns that only the `regex` crate can read (`x-pattern`).

use serde_json::{Map, Value, json};

use super::scalar::{Limit, Scalar};
use super::spans;
use crate::mapping::pattern::{keeps_out, portable};
use crate::mapping::types::{DATE_PATTERN, TIME_PATTERN, Type, decimal_text_pattern};
use crate::record::Decimal;

/// Characters that no text may have, and texts without them as a regular expression.
struct Banned {
    ranges: &'static [(char, char)],
    pattern: &'static str,
}

/// What databases and files end a text with.
const NUL: Banned = Banned { ranges: &[('\0', '\0')], pattern: "^[^\\x00]*$" };

/// What XML cannot hold (XML 1.0, section 2.2).
const NO_XML: Banned = Banned {
    ranges: &[('\0', '\u{8}'), ('\u{b}', '\u{c}'), ('\u{e}', '\u{1f}'), ('\u{fffe}', '\u{ffff}')],
    pattern: "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\uFFFE\\uFFFF]*$",
};

/// What texts of any kind fit: it says nothing of a field to people.
pub const TEXT_PATTERNS: [&str; 2] = [NUL.pattern, NO_XML.pattern];

/// Bytes in base64 (RFC 4648, section 4), with padding, and no bits in the last character that say nothing.
pub(super) const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// Numbers of so few digits are exact as JSON numbers everywhere.
const EXACT_DIGITS: u8 = 15;

/// The years that two digits stand for.
const SHORT_YEARS: (&str, &str) = ("1969-01-01", "2068-12-31");

impl Scalar {
    /// What is taken.
    pub(super) fn schema(&self, is_nullable: bool) -> Value {
        let mut schema = Map::new();
        if let Some(values) = &self.values {
            let mut listed: Vec<Value> = values.iter().map(|(text, _)| self.listed(text)).collect();
            if is_nullable {
                listed.push(Value::Null);
            }
            schema.insert("enum".to_owned(), Value::Array(listed));
            return Value::Object(schema);
        }
        let mut patterns = Vec::new();
        let mut kinds = vec![match self.value_type {
            Type::Integer => "integer",
            Type::Decimal { .. } | Type::Number => "number",
            Type::Boolean => "boolean",
            _ => "string",
        }];
        match self.value_type {
            Type::Integer => self.whole(&mut schema),
            Type::Decimal { precision, scale } => {
                if let Some(pattern) = self.digits((precision, scale), &mut schema) {
                    kinds.push("string");
                    patterns.push(pattern);
                }
            }
            Type::Number => self.limits(&mut schema),
            Type::Date | Type::Time | Type::Datetime => self.moments(&mut schema, &mut patterns),
            Type::Bytes => {
                schema.insert("contentEncoding".to_owned(), json!("base64"));
                patterns.push(BASE64.to_owned());
            }
            Type::String | Type::Any | Type::Object | Type::Array => self.texts(&mut schema, &mut patterns),
            Type::Boolean => {}
        }
        if is_nullable {
            kinds.push("null");
        }
        for (length, name) in [(self.min_length, "minLength"), (self.max_length, "maxLength")] {
            schema.extend(length.map(|length| (name.to_owned(), json!(length))));
        }
        for wanted in &self.wanted {
            wanted.describe(self.value_type, &mut schema, &mut patterns);
        }
        if let Some(listed) = schema.get_mut("enum").and_then(Value::as_array_mut).filter(|_| is_nullable) {
            listed.push(Value::Null);
        }
        let kinds = if let [kind] = kinds[..] { json!(kind) } else { json!(kinds) };
        let mut schema: Map<String, Value> = [("type".to_owned(), kinds)].into_iter().chain(schema).collect();
        let mut patterns = patterns.into_iter();
        schema.extend(patterns.next().map(|first| ("pattern".to_owned(), Value::from(first))));
        let more: Vec<Value> = patterns.map(|pattern| json!({ "pattern": pattern })).collect();
        if !more.is_empty() {
            schema.insert("allOf".to_owned(), Value::Array(more));
        }
        Value::Object(schema)
    }

    /// The limits of a number, as far as there are any.
    fn limits(&self, schema: &mut Map<String, Value>) {
        for (name, limit) in [("minimum", &self.min), ("maximum", &self.max)] {
            if let Some(Limit::Number(number)) = limit {
                schema.extend(bound(*number, name == "minimum").map(|bound| (name.to_owned(), bound)));
            }
        }
    }

    /// Whole numbers that every client has: those of 64 bits, where the mapping says nothing else.
    fn whole(&self, schema: &mut Map<String, Value>) {
        schema.extend([("minimum".to_owned(), json!(i64::MIN)), ("maximum".to_owned(), json!(i64::MAX))]);
        self.limits(schema);
    }

    /// Exact numbers; the pattern is that of a text, where it can be one.
    fn digits(&self, (precision, scale): (u8, u8), schema: &mut Map<String, Value>) -> Option<String> {
        schema.extend([("x-precision".to_owned(), json!(precision)), ("x-scale".to_owned(), json!(scale))]);
        for (name, sign) in [("minimum", "-"), ("maximum", "")] {
            let most = Decimal::parse(&format!("{sign}{}", nines(precision, scale)), b'.', None);
            let most = most.ok().and_then(|most| bound(most, name == "minimum"));
            schema.extend(most.map(|most| (name.to_owned(), most)));
        }
        self.limits(schema);
        let least = match &self.min {
            Some(Limit::Number(number)) => Some(*number),
            _ => None,
        };
        // Of texts a pattern says no limit but that they have no sign.
        let is_bounded = self.wanted.iter().any(|wanted| wanted.bounds(precision));
        let is_said = !is_bounded && self.max.is_none() && least.is_none_or(|least| least == Decimal::ZERO);
        if !is_said && precision <= EXACT_DIGITS {
            return None;
        }
        let is_signed = least.is_none_or(|least| least < Decimal::ZERO);
        Some(format!("^{}$", decimal_text_pattern(precision, scale, is_signed)))
    }

    fn moments(&self, schema: &mut Map<String, Value>, patterns: &mut Vec<String>) {
        match (self.value_type, &self.zone) {
            (Type::Date, _) => drop(schema.insert("format".to_owned(), json!("date"))),
            (Type::Time, _) => patterns.push(format!("^{TIME_PATTERN}$")),
            (_, None) => patterns.push(format!("^{DATE_PATTERN}[T ]{TIME_PATTERN}$")),
            (_, Some(_)) => drop(schema.insert("format".to_owned(), json!("date-time"))),
        }
        let limits = [("x-minimum", &self.min), ("x-maximum", &self.max)].map(|(name, limit)| match limit {
            Some(Limit::Moment(text)) => (name, Some(text.as_str())),
            _ => (name, None),
        });
        if self.zone.is_some() {
            // In the field's zone, while callers write any.
            schema.extend(limits.iter().filter_map(|(name, limit)| Some(((*name).to_owned(), json!((*limit)?)))));
        }
        let has_short_year = self.value_type != Type::Time && self.format.as_deref().is_some_and(has_short_year);
        let short = |limit: &'static str| has_short_year.then_some(limit);
        let own = |limit: Option<&str>| limit.filter(|_| self.zone.is_none()).map(str::to_owned);
        let [(_, least), (_, most)] = limits;
        let first = own(least).into_iter().chain(short(SHORT_YEARS.0).map(str::to_owned));
        patterns.extend(first.map(|first| spans::from(&first)));
        // Of a day the last moment counts, too.
        let last = short(SHORT_YEARS.1).map(|last| spans::up_to(last).replace("(\\.0+)?$", ""));
        patterns.extend(own(most).map(|last| spans::up_to(&last)).into_iter().chain(last));
    }

    fn texts(&self, schema: &mut Map<String, Value>, patterns: &mut Vec<String>) {
        let own = self.pattern.as_ref().map(regex::Regex::as_str);
        match own.map(|own| (own, portable(own))) {
            Some((_, Some(said))) => patterns.push(said),
            Some((own, None)) => drop(schema.insert("x-pattern".to_owned(), json!(own))),
            None => {}
        }
        let banned = if self.is_of_xml { NO_XML } else { NUL };
        if !own.is_some_and(|own| keeps_out(own, banned.ranges)) {
            patterns.push(banned.pattern.to_owned());
        }
    }

    fn listed(&self, text: &str) -> Value {
        match (self.value_type, text) {
            (Type::Boolean, "true") => json!(true),
            (Type::Boolean, "false") => json!(false),
            (Type::Integer, _) => {
                serde_json::from_str(text).ok().filter(Value::is_number).unwrap_or_else(|| json!(text))
            }
            _ => json!(text),
        }
    }
}

/// Whether a form of dates has years of two digits: `%y`, whatever flags and width it has.
fn has_short_year(form: &str) -> bool {
    form.split('%').skip(1).any(|directive| {
        let letter = directive.trim_start_matches(|c: char| "-_0^#".contains(c) || c.is_ascii_digit());
        letter.starts_with(['y', 'g', 'D'])
    })
}

/// A limit of numbers as JSON has it: where it has more digits than that can hold, the next one within.
pub(super) fn bound(limit: Decimal, is_least: bool) -> Option<Value> {
    let written: Value = serde_json::from_str(&limit.to_string()).ok()?;
    let Some(float) = written.as_f64().filter(|_| written.is_f64()) else { return Some(written) };
    let is_within = |written: Decimal| if is_least { written >= limit } else { written <= limit };
    match Decimal::parse_json(&written.to_string()) {
        Ok(number) if is_within(number) => Some(written),
        _ => Some(json!(if is_least { float.next_up() } else { float.next_down() })),
    }
}

/// The largest number of so many digits, so many of them behind the point.
pub(super) fn nines(precision: u8, scale: u8) -> String {
    let nines = |count: u8| "9".repeat(usize::from(count));
    match (precision.saturating_sub(scale), scale) {
        (whole, 0) => nines(whole),
        (0, scale) => format!("0.{}", nines(scale)),
        (whole, scale) => format!("{}.{}", nines(whole), nines(scale)),
    }
}

#[cfg(test)]
mod tests;
