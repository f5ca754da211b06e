//! One value that a caller sends, judged and made what a statement takes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::bound::{Bound, kind_of};
use crate::decode::Json;
use crate::decode::rows::ColumnKind;
use crate::mapping::types::{DATE_PATTERN, TIME_PATTERN, Type, decimal_text_pattern};
use crate::record::Decimal;
use crate::wsdl::impossible;

/// The rules of one value.
#[derive(Clone, Debug)]
pub(in crate::mapping) struct Scalar {
    pub(super) value_type: Type,
    pub(super) pattern: Option<Regex>,
    pub(super) min_length: Option<usize>,
    pub(super) max_length: Option<usize>,
    pub(super) min: Option<Limit>,
    pub(super) max: Option<Limit>,
    /// Every value that is taken, as text, with what is bound for it.
    pub(in crate::mapping) values: Option<Vec<(String, Bound)>>,
    /// A date or time is bound as text of this form.
    pub(in crate::mapping) format: Option<String>,
    pub(super) zone: Option<TimeZone>,
    /// It is sent in XML, which cannot hold every character.
    pub(super) is_of_xml: bool,
    /// What is bound for null.
    pub(super) null: Bound,
}

/// Texts that XML can hold (XML 1.0, section 2.2), as a regular expression.
const XML_PATTERN: &str = "^[^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\\uFFFE\\uFFFF]*$";

/// A smallest or largest value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Limit {
    Number(Decimal),
    Moment(String),
}

impl Limit {
    fn shown(&self) -> String {
        match self {
            Limit::Number(number) => number.to_string(),
            Limit::Moment(text) => text.clone(),
        }
    }
}

impl Scalar {
    pub(super) fn of(value_type: Type) -> Scalar {
        Scalar {
            value_type,
            pattern: None,
            min_length: None,
            max_length: None,
            min: None,
            max: None,
            values: None,
            format: None,
            zone: None,
            is_of_xml: false,
            null: Bound::Null(kind_of(value_type)),
        }
    }

    /// The value to bind; the fault says what is expected.
    pub(in crate::mapping) fn read(&self, json: &Json<'_>) -> Result<Bound, String> {
        if let Some(values) = &self.values {
            let text = word(json);
            let found = values.iter().find(|(known, _)| known == text).map(|(_, bound)| bound.clone());
            return found.ok_or_else(|| {
                let known: Vec<_> = values.iter().map(|(known, _)| format!("\"{known}\"")).collect();
                expected(format!("one of {}", known.join(", ")), json)
            });
        }
        match self.value_type {
            Type::Boolean => match json {
                Json::Boolean(truth) => Ok(Bound::Boolean(*truth)),
                _ => Err(expected("true or false", json)),
            },
            Type::Integer => self
                .number(json, 38, 0, "a whole number")
                .map(|number| i64::try_from(number.units()).map_or(Bound::Decimal(number), Bound::Integer)),
            Type::Decimal { precision, scale } => {
                let phrase = format!("a number of up to {precision} digits, {scale} of them behind the point");
                self.number(json, precision, scale, &phrase).map(Bound::Decimal)
            }
            Type::Number => self.float(json),
            Type::Date | Type::Time | Type::Datetime => self.moment(json),
            Type::Bytes => match json {
                Json::Text(text) => match STANDARD.decode(text.as_ref()) {
                    Ok(bytes) => Ok(Bound::Bytes(bytes)),
                    Err(_) => Err("expected bytes in base64".to_owned()),
                },
                _ => Err(expected("bytes in base64", json)),
            },
            Type::String | Type::Any | Type::Object | Type::Array => self.text(json),
        }
    }

    /// A value that [`Scalar::read`] takes, as a document of the resource has it: not in the words and forms of the backend.
    pub(super) fn told(&self, json: &Json<'_>) -> Option<String> {
        if let Some(values) = &self.values {
            let text = word(json);
            return values.iter().find(|(known, _)| known == text).map(|(known, _)| known.clone());
        }
        match self.value_type {
            Type::Date | Type::Time | Type::Datetime => self.canonical(json).ok().map(|moment| moment.served),
            _ => self.read(json).ok()?.text(),
        }
    }

    /// The value of a part of a record's key, which is text in a URL.
    pub(in crate::mapping) fn read_text(&self, text: &str) -> Option<Bound> {
        let json = match self.value_type {
            _ if self.values.is_some() => Json::Text(text.into()),
            Type::Integer | Type::Decimal { .. } | Type::Number => Json::Number(text),
            Type::Boolean => Json::Boolean(text == "true"),
            _ => Json::Text(text.into()),
        };
        self.read(&json).ok()
    }

    fn text(&self, json: &Json<'_>) -> Result<Bound, String> {
        let Json::Text(text) = json else { return Err(expected("a string", json)) };
        let length = text.chars().count();
        if let Some(least) = self.min_length.filter(|least| length < *least) {
            return Err(format!("expected at least {least} characters, found {length}"));
        }
        if let Some(most) = self.max_length.filter(|most| length > *most) {
            return Err(format!("expected at most {most} characters, found {length}"));
        }
        if let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            return Err(expected(format!("a string that matches {}", pattern.as_str()), json));
        }
        if let Some(char) = impossible(text).filter(|_| self.is_of_xml) {
            let char = u32::from(char);
            return Err(format!("expected a string without the character U+{char:04X}, which XML cannot hold"));
        }
        if text.contains('\0') {
            return Err("expected a string without the character U+0000".to_owned());
        }
        Ok(Bound::Text(text.clone().into_owned()))
    }

    /// An exact number, sent as a JSON number or as a string.
    fn number(&self, json: &Json<'_>, precision: u8, scale: u8, phrase: &str) -> Result<Decimal, String> {
        let text = match json {
            Json::Number(text) => *text,
            Json::Text(text) => text.as_ref(),
            _ => return Err(expected(phrase, json)),
        };
        let exact = Decimal::parse(text, b'.', None).and_then(|number| number.rescale(scale));
        let number = exact
            .ok()
            .filter(|number| number.integer_digits() <= u32::from(precision.saturating_sub(scale)))
            .ok_or_else(|| expected(phrase, json))?;
        self.within(|limit| match limit {
            Limit::Number(limit) => Some(number.cmp(limit)),
            Limit::Moment(_) => None,
        })
        .map_err(|phrase| expected(phrase, json))?;
        Ok(number)
    }

    fn float(&self, json: &Json<'_>) -> Result<Bound, String> {
        let Json::Number(text) = json else { return Err(expected("a number", json)) };
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        let number = number.ok_or_else(|| expected("a number that a binary double can hold", json))?;
        self.within(|limit| match limit {
            Limit::Number(limit) => limit.to_string().parse::<f64>().ok().and_then(|limit| number.partial_cmp(&limit)),
            Limit::Moment(_) => None,
        })
        .map_err(|phrase| expected(phrase, json))?;
        Ok(Bound::Float(number))
    }

    /// What a moment looks like, as a phrase.
    fn moment_form(&self) -> &'static str {
        match self.value_type {
            Type::Date => "a date like 2026-01-31",
            Type::Time => "a time like 23:59:59",
            _ if self.zone.is_some() => "a timestamp with its offset, like 2026-01-31T23:59:59Z",
            _ => "a timestamp without an offset, like 2026-01-31T23:59:59",
        }
    }

    /// A date, time or timestamp in its canonical forms.
    fn canonical(&self, json: &Json<'_>) -> Result<Moment, String> {
        let wrong = || expected(self.moment_form(), json);
        let Json::Text(text) = json else { return Err(wrong()) };
        let plain = |text: String, kind, formatted| Moment { served: text.clone(), canonical: text, kind, formatted };
        Ok(match (self.value_type, &self.zone) {
            (Type::Date, _) => {
                let date: Date = text.parse().ok().filter(|_| text.len() == 10).ok_or_else(wrong)?;
                plain(date.to_string(), ColumnKind::Date, self.form(date))
            }
            (Type::Time, _) => {
                let time: Time = text.parse().ok().filter(|_| !text.contains(['-', 'T', 'Z'])).ok_or_else(wrong)?;
                plain(time.to_string(), ColumnKind::Time, self.form(time))
            }
            (_, Some(zone)) => {
                let has_time = text.contains(['T', 't', ' ']);
                let moment: Timestamp = text.parse().ok().filter(|_| has_time).ok_or_else(wrong)?;
                let local = moment.to_zoned(zone.clone()).datetime();
                let known = plain(local.to_string(), ColumnKind::DateTime, self.form(local));
                Moment { served: moment.to_string(), ..known }
            }
            (_, None) => {
                let has_time = text.contains(['T', 't', ' ']);
                let is_local = has_time && text.parse::<Timestamp>().is_err() && !text.contains('[');
                let local: DateTime = text.parse().ok().filter(|_| is_local).ok_or_else(wrong)?;
                plain(local.to_string(), ColumnKind::DateTime, self.form(local))
            }
        })
    }

    fn moment(&self, json: &Json<'_>) -> Result<Bound, String> {
        let Moment { canonical, kind, formatted, .. } = self.canonical(json)?;
        let form = self.moment_form();
        self.within(|limit| match limit {
            Limit::Moment(limit) => Some(canonical.cmp(limit)),
            Limit::Number(_) => None,
        })
        .map_err(|phrase| expected(phrase, json))?;
        match formatted {
            None => Ok(Bound::Written(kind, canonical)),
            Some(Ok(text)) => Ok(Bound::Text(text)),
            Some(Err(error)) => Err(format!("expected {form}: {error}")),
        }
    }

    /// As text, where a form is declared.
    fn form(&self, moment: impl Into<BrokenDownTime>) -> Option<Result<String, jiff::Error>> {
        let form = self.format.as_deref()?;
        Some(moment.into().to_string(form))
    }

    /// Whether a value lies within its limits; `compare` is the value against a limit.
    fn within(&self, compare: impl Fn(&Limit) -> Option<std::cmp::Ordering>) -> Result<(), String> {
        if let Some(min) = self.min.as_ref().filter(|min| compare(min).is_some_and(std::cmp::Ordering::is_lt)) {
            return Err(format!("at least {}", min.shown()));
        }
        if let Some(max) = self.max.as_ref().filter(|max| compare(max).is_some_and(std::cmp::Ordering::is_gt)) {
            return Err(format!("at most {}", max.shown()));
        }
        Ok(())
    }

    /// JSON Schema (2020-12) of what is taken.
    pub(super) fn schema(&self, is_nullable: bool) -> Value {
        let mut schema = Map::new();
        let mut put = |name: &str, value: Value| schema.insert(name.to_owned(), value);
        let of_kind = |kind: &str| if is_nullable { json!([kind, "null"]) } else { json!(kind) };
        if let Some(values) = &self.values {
            let mut listed: Vec<Value> = values.iter().map(|(text, _)| self.listed(text)).collect();
            if is_nullable {
                listed.push(Value::Null);
            }
            put("enum", Value::Array(listed));
            return Value::Object(schema);
        }
        let mut kind = "string";
        match self.value_type {
            Type::Integer => kind = "integer",
            Type::Number => kind = "number",
            Type::Boolean => kind = "boolean",
            Type::Decimal { precision, scale } => {
                put(
                    "type",
                    if is_nullable { json!(["number", "string", "null"]) } else { json!(["number", "string"]) },
                );
                put("x-precision", json!(precision));
                put("x-scale", json!(scale));
                let is_signed = !matches!(&self.min, Some(Limit::Number(min)) if *min >= Decimal::from_i64(0));
                let pattern = decimal_text_pattern(precision, scale, is_signed);
                put("pattern", json!(format!("^{pattern}$")));
                for (name, limit, sign) in [("minimum", &self.min, "-"), ("maximum", &self.max, "")] {
                    let most = nines(precision, scale);
                    if let (None, Ok(most)) = (limit, serde_json::from_str(&format!("{sign}{most}"))) {
                        put(name, most);
                    }
                }
            }
            Type::Date => drop(put("format", json!("date"))),
            Type::Datetime if self.zone.is_some() => drop(put("format", json!("date-time"))),
            Type::Time => drop(put("pattern", json!(format!("^{TIME_PATTERN}$")))),
            Type::Datetime => {
                put("pattern", json!(format!("^{DATE_PATTERN}[T ]{TIME_PATTERN}$")));
            }
            Type::Bytes => drop(put("contentEncoding", json!("base64"))),
            _ => {}
        }
        if !matches!(self.value_type, Type::Decimal { .. }) {
            put("type", of_kind(kind));
        }
        let is_text = matches!(self.value_type, Type::String | Type::Any | Type::Object | Type::Array);
        match (&self.pattern, self.is_of_xml && is_text) {
            (Some(pattern), false) => drop(put("pattern", json!(pattern.as_str()))),
            (Some(pattern), true) => {
                put("pattern", json!(pattern.as_str()));
                put("allOf", json!([{ "pattern": XML_PATTERN }]));
            }
            (None, true) => drop(put("pattern", json!(XML_PATTERN))),
            (None, false) => {}
        }
        if let Some(length) = self.min_length {
            put("minLength", json!(length));
        }
        if let Some(length) = self.max_length {
            put("maxLength", json!(length));
        }
        for (name, limit) in [("minimum", &self.min), ("maximum", &self.max)] {
            if let Some(Limit::Number(number)) = limit
                && let Ok(number) = serde_json::from_str(&number.to_string())
            {
                put(name, number);
            }
        }
        Value::Object(schema)
    }

    fn listed(&self, text: &str) -> Value {
        match self.value_type {
            Type::Boolean => json!(text == "true"),
            Type::Integer => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
            _ => json!(text),
        }
    }
}

/// A date, time or timestamp that a caller has sent.
struct Moment {
    /// As a document has it: a timestamp with its offset in UTC.
    served: String,
    /// As it is compared and bound: a timestamp in the field's zone.
    canonical: String,
    kind: ColumnKind,
    /// As text, where a form is declared.
    formatted: Option<Result<String, jiff::Error>>,
}

/// A single value as the text that a table of values has for it.
fn word<'j>(json: &'j Json<'_>) -> &'j str {
    match json {
        Json::Text(text) => text.as_ref(),
        Json::Number(text) => text,
        Json::Boolean(true) => "true",
        Json::Boolean(false) => "false",
        _ => "",
    }
}

/// The largest number of so many digits, so many of them behind the point.
fn nines(precision: u8, scale: u8) -> String {
    let nines = |count: u8| "9".repeat(usize::from(count));
    match (precision.saturating_sub(scale), scale) {
        (whole, 0) => nines(whole),
        (0, scale) => format!("0.{}", nines(scale)),
        (whole, scale) => format!("{}.{}", nines(whole), nines(scale)),
    }
}

fn expected(what: impl std::fmt::Display, found: &Json<'_>) -> String {
    format!("expected {what}, found {found}")
}
