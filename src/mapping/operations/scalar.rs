//! One value that a caller sends, judged and made what a statement takes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use regex::Regex;

use super::bound::{Bound, kind_of};
use super::wanted::Wanted;
use crate::decode::Json;
use crate::decode::rows::ColumnKind;
use crate::mapping::types::Type;
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
    /// What the places want where a service is sent it.
    pub(super) wanted: Vec<Wanted>,
    /// What is bound for null.
    pub(super) null: Bound,
}

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
            wanted: Vec::new(),
            null: Bound::Null(kind_of(value_type)),
        }
    }

    /// What it is.
    pub(in crate::mapping) fn value_type(&self) -> Type {
        self.value_type
    }

    /// The value to bind; the fault says what is expected.
    pub(in crate::mapping) fn read(&self, json: &Json<'_>) -> Result<Bound, String> {
        let bound = self.judged(json)?;
        for wanted in &self.wanted {
            wanted.check(&bound).map_err(|phrase| expected(phrase, json))?;
        }
        Ok(bound)
    }

    fn judged(&self, json: &Json<'_>) -> Result<Bound, String> {
        if let Some(values) = &self.values {
            return listed(values, json).map(|(_, bound)| bound.clone()).ok_or_else(|| {
                let known: Vec<_> = values.iter().map(|(known, _)| format!("\"{known}\"")).collect();
                expected(format!("one of {}", known.join(", ")), json)
            });
        }
        match self.value_type {
            Type::Boolean => match json {
                Json::Boolean(truth) => Ok(Bound::Boolean(*truth)),
                _ => Err(expected("true or false", json)),
            },
            Type::Integer => {
                let number = self.number(json, 38, 0, "a whole number")?;
                match (i64::try_from(number.units()), json) {
                    (Ok(number), _) => Ok(Bound::Integer(number)),
                    // Longer ones are no numbers to most who speak JSON.
                    (Err(_), Json::Number(_)) if !self.is_limited(number) => {
                        Err(expected("a whole number of at most 64 bits, or a longer one as a string", json))
                    }
                    (Err(_), _) => Ok(Bound::Decimal(number)),
                }
            }
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

    /// Some value of its type, whatever its limits are.
    pub(super) fn sample(&self) -> Bound {
        if let Some((_, bound)) = self.values.iter().flatten().next() {
            return bound.clone();
        }
        let json = match self.value_type {
            Type::Integer | Type::Decimal { .. } | Type::Number => Json::Number("1"),
            Type::Boolean => Json::Boolean(true),
            Type::Date => Json::Text("2026-01-31".into()),
            Type::Time => Json::Text("12:00:00".into()),
            Type::Datetime if self.zone.is_some() => Json::Text("2026-01-31T12:00:00Z".into()),
            Type::Datetime => Json::Text("2026-01-31T12:00:00".into()),
            Type::Bytes => Json::Text("MQ==".into()),
            Type::String | Type::Any | Type::Object | Type::Array => return Bound::Text("1".to_owned()),
        };
        let free = Scalar { min: None, max: None, ..self.clone() };
        free.judged(&json).unwrap_or_else(|_| self.null.clone())
    }

    /// A value that [`Scalar::read`] takes, as a document of the resource has it: not in the words and forms of the backend.
    pub(super) fn told(&self, json: &Json<'_>) -> Option<String> {
        if let Some(values) = &self.values {
            return listed(values, json).map(|(known, _)| known.clone());
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
        let exact = match json {
            Json::Number(text) => Decimal::parse_json(text),
            Json::Text(text) => Decimal::parse(text, b'.', None),
            _ => return Err(expected(phrase, json)),
        };
        let number = exact
            .and_then(|number| number.rescale(scale))
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

    /// Whether the mapping says how large, or how far below zero, such a number may be.
    fn is_limited(&self, number: Decimal) -> bool {
        if number > Decimal::ZERO { self.max.is_some() } else { self.min.is_some() }
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

/// What a table of values has for a single one. A number may be written in more than one way.
fn listed<'v>(values: &'v [(String, Bound)], json: &Json<'_>) -> Option<&'v (String, Bound)> {
    let text = word(json);
    let found = values.iter().find(|(known, _)| known == text);
    found.or_else(|| {
        let number = matches!(json, Json::Number(_)).then(|| Decimal::parse_json(text).ok()).flatten()?;
        values.iter().find(|(known, _)| Decimal::parse(known, b'.', None).is_ok_and(|known| known == number))
    })
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

fn expected(what: impl std::fmt::Display, found: &Json<'_>) -> String {
    format!("expected {what}, found {found}")
}
