//! What the schema of a service wants of a value that is sent to it: judged with the body before anything is kept or sent,
//! and said in the body's own schema as far as that has words for it.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::bound::Bound;
use super::described::{BASE64, bound, nines};
use crate::mapping::pattern::portable;
use crate::mapping::types::{DATE_PATTERN, TIME_PATTERN, Type};
use crate::record::Decimal;
use crate::wsdl::{Builtin, Facets, JsonKind, TypeId, Types, Variety, WhiteSpace};

/// The type of a place in a request at which a value stands alone.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    types: Arc<Types>,
    ty: TypeId,
}

impl Wanted {
    pub(super) fn new(types: &Arc<Types>, ty: TypeId) -> Wanted {
        Wanted { types: Arc::clone(types), ty }
    }

    /// Whether the service takes a value; else what it wants, as a phrase. What is not sent is not judged.
    pub(super) fn check(&self, bound: &Bound) -> Result<(), String> {
        let Some(text) = sent(bound) else { return Ok(()) };
        match self.types.builtin(self.ty) {
            // It is written with a prefix of the envelope's.
            Some(Builtin::QName | Builtin::Notation) => Ok(()),
            // Of a moment only its day is sent.
            Some(Builtin::Date) if text.as_bytes().get(10) == Some(&b'T') => {
                self.types.check(self.ty, text.get(..10).unwrap_or_default())
            }
            _ => self.types.check(self.ty, &text),
        }
    }

    /// The built-in type and what is said beyond it; `None` for lists, and for what may be of several types.
    fn atomic(&self) -> Option<(Builtin, WhiteSpace, Option<&Facets>)> {
        let simple = self.types.simple(self.ty)?;
        match simple.variety {
            Variety::Atomic(builtin) => Some((builtin, simple.white_space, simple.facets.as_deref())),
            _ => None,
        }
    }

    /// Whether it has bounds for a decimal of so many digits.
    pub(super) fn bounds(&self, precision: u8) -> bool {
        self.atomic().is_some_and(|(builtin, _, facets)| {
            let has = |facets: &Facets| {
                let is_shorter = facets.total_digits.is_some_and(|most| most < u32::from(precision));
                facets.min.is_some() || facets.max.is_some() || is_shorter
            };
            builtin.range().is_some() || facets.is_some_and(has)
        })
    }

    /// Adds what a JSON Schema can say of it, for values of a type.
    pub(super) fn describe(&self, of: Type, schema: &mut Map<String, Value>, patterns: &mut Vec<String>) {
        let Some((builtin, white_space, facets)) = self.atomic() else { return };
        match of {
            Type::String => {
                patterns.extend(form(builtin));
                if let Some(facets) = facets {
                    texts((facets, builtin, white_space), schema, patterns);
                }
            }
            Type::Integer | Type::Decimal { .. } | Type::Number => {
                if let Some((least, most)) = builtin.range() {
                    narrow(schema, "minimum", &least.to_string());
                    narrow(schema, "maximum", &most.to_string());
                }
                if let Some(facets) = facets {
                    numbers(facets, of, schema, patterns);
                }
            }
            _ => {}
        }
    }
}

/// A value as it is sent; `None` where nothing is.
pub(super) fn sent(bound: &Bound) -> Option<String> {
    match bound {
        Bound::Bytes(bytes) => Some(STANDARD.encode(bytes)),
        bound => bound.text(),
    }
}

/// Texts that have the form of a built-in type; it may say less than the type takes.
fn form(builtin: Builtin) -> Option<String> {
    let zone = "(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])?";
    Some(match builtin {
        Builtin::Boolean => "^(true|false|1|0)$".to_owned(),
        Builtin::Decimal => "^[+-]?[0-9]{1,64}(\\.[0-9]{1,64})?$".to_owned(),
        Builtin::Float | Builtin::Double => "^[+-]?[0-9]{1,64}(\\.[0-9]{1,64})?([eE][+-]?[0-9]{1,3})?$".to_owned(),
        Builtin::Date => format!("^{DATE_PATTERN}{zone}$"),
        Builtin::Time => format!("^{TIME_PATTERN}{zone}$"),
        Builtin::DateTime => format!("^{DATE_PATTERN}T{TIME_PATTERN}{zone}$"),
        Builtin::Year => "^[0-9]{4}$".to_owned(),
        Builtin::YearMonth => "^[0-9]{4}-(0[1-9]|1[0-2])$".to_owned(),
        Builtin::MonthDay => "^--(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$".to_owned(),
        Builtin::Day => "^---(0[1-9]|[12][0-9]|3[01])$".to_owned(),
        Builtin::Month => "^--(0[1-9]|1[0-2])$".to_owned(),
        Builtin::Duration => "^-?P([0-9]{1,9}D(T[0-9]{1,9}S)?|[0-9]{1,9}[YM]|T[0-9]{1,9}[HMS])$".to_owned(),
        Builtin::HexBinary => "^([0-9A-Fa-f]{2})*$".to_owned(),
        Builtin::Base64Binary => BASE64.to_owned(),
        Builtin::Language => "^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*$".to_owned(),
        Builtin::NmToken => "^[A-Za-z0-9._-]+$".to_owned(),
        Builtin::NameText | Builtin::NcName | Builtin::Id | Builtin::IdRef | Builtin::Entity => {
            "^[A-Za-z_][A-Za-z0-9._-]*$".to_owned()
        }
        _ if matches!(builtin.json(), JsonKind::Integer | JsonKind::LargeInteger) => whole(builtin.range()?),
        _ => return None,
    })
}

/// Whole numbers within a range: those of so many digits that all of them are.
fn whole((least, most): (i128, i128)) -> String {
    let digits = |bound: i128| bound.unsigned_abs().checked_ilog10().unwrap_or_default().max(1);
    let mut all = Vec::new();
    match digits(most) {
        _ if most < 1 => all.extend((most == 0).then(|| "0".to_owned())),
        digits if least > 0 => all.push(format!("[1-9][0-9]{{0,{}}}", digits - 1)),
        digits => all.push(format!("[0-9]{{1,{digits}}}")),
    }
    if least < 0 {
        all.push(format!("-[1-9][0-9]{{0,{}}}", digits(least) - 1));
    }
    format!("^({})$", all.join("|"))
}

fn texts(
    (facets, builtin, white_space): (&Facets, Builtin, WhiteSpace),
    schema: &mut Map<String, Value>,
    patterns: &mut Vec<String>,
) {
    if !matches!(builtin, Builtin::HexBinary | Builtin::Base64Binary | Builtin::QName | Builtin::Notation) {
        if let Some(most) = facets.max_length {
            narrow(schema, "maxLength", &most.to_string());
        }
        match facets.min_length {
            // Blanks that are taken away do not count.
            Some(least) if white_space == WhiteSpace::Collapse => {
                patterns.push(format!("^[ \\t\\n\\r]*([^ \\t\\n\\r][ \\t\\n\\r]*){{{least}}}"));
            }
            Some(least) => narrow(schema, "minLength", &least.to_string()),
            None => {}
        }
    }
    if !facets.enumeration.is_empty() {
        schema.insert("enum".to_owned(), facets.enumeration.iter().map(|text| Value::from(&**text)).collect());
    }
    for step in &facets.patterns {
        let said: Option<Vec<String>> = step.iter().map(|pattern| portable(pattern.words()?)).collect();
        match said {
            Some(said) => patterns.push(said.join("|")),
            None => {
                let own: Vec<&str> = step.iter().map(|pattern| &*pattern.text).collect();
                schema.entry("x-pattern").or_insert_with(|| own.join("|").into());
            }
        }
    }
}

fn numbers(facets: &Facets, of: Type, schema: &mut Map<String, Value>, patterns: &mut Vec<String>) {
    let limits = [(&facets.min, "minimum", "exclusiveMinimum"), (&facets.max, "maximum", "exclusiveMaximum")];
    for (limit, within, without) in limits {
        match limit {
            Some((text, true)) => narrow(schema, within, text),
            Some((text, false)) => narrow(schema, without, text),
            None => {}
        }
    }
    let short = |digits: Option<u32>| digits.and_then(|digits| u8::try_from(digits).ok());
    let scale = match of {
        Type::Decimal { scale, .. } => scale,
        _ => 0,
    };
    let fraction = short(facets.fraction_digits).filter(|fraction| *fraction < scale);
    let behind = fraction.unwrap_or(scale);
    if let Some(total) = short(facets.total_digits).filter(|total| *total >= behind) {
        let most = nines(total, behind);
        narrow(schema, "minimum", &format!("-{most}"));
        narrow(schema, "maximum", &most);
    }
    if let Some(fraction) = fraction {
        schema.insert("x-scale".to_owned(), fraction.into());
        let digits = if fraction == 0 { String::new() } else { format!("(\\.[0-9]{{1,{fraction}}})?") };
        patterns.push(format!("^-?[0-9]+{digits}$"));
    }
}

/// Puts a limit in force, unless there is a narrower one.
fn narrow(schema: &mut Map<String, Value>, name: &str, limit: &str) {
    let Ok(number) = Decimal::parse(limit.trim(), b'.', None) else { return };
    let known = schema.get(name).and_then(|known| Decimal::parse_json(&known.to_string()).ok());
    let is_lower = name.to_ascii_lowercase().contains("min");
    if known.is_none_or(|known| if is_lower { number > known } else { number < known }) {
        schema.extend(bound(number, is_lower).map(|bound| (name.to_owned(), bound)));
    }
}

#[cfg(test)]
mod tests {
    use super::{form, narrow, whole};
    use crate::wsdl::Builtin;
    use regex::Regex;
    use serde_json::{Map, json};

    #[test]
    fn whole_numbers_of_so_many_digits_are_within_the_range() {
        for builtin in Builtin::ALL.iter().filter(|builtin| builtin.range().is_some()) {
            let (least, most) = builtin.range().unwrap();
            let pattern = Regex::new(&whole((least, most))).unwrap();
            for digits in 1..=38u32 {
                for text in ["9".repeat(digits as usize), format!("-{}", "9".repeat(digits as usize))] {
                    let is_within = (least..=most).contains(&text.parse::<i128>().unwrap());
                    assert!(is_within || !pattern.is_match(&text), "{builtin:?} {text}");
                }
            }
            for number in [-1, 0, 1] {
                assert_eq!(
                    pattern.is_match(&number.to_string()),
                    (least..=most).contains(&number),
                    "{builtin:?} {number}"
                );
            }
        }
    }

    #[test]
    fn forms_can_be_read() {
        for builtin in Builtin::ALL {
            if let Some(form) = form(*builtin) {
                assert!(form.starts_with('^') && form.ends_with('$'), "{form}");
                Regex::new(&form).unwrap();
            }
        }
    }

    #[test]
    fn the_narrower_of_two_limits_counts() {
        let mut schema = Map::from_iter([("minimum".to_owned(), json!(-5)), ("maxLength".to_owned(), json!(80))]);
        for (name, limit) in
            [("minimum", "-7"), ("minimum", " +3.50"), ("maximum", "1e3"), ("maxLength", "40"), ("maxLength", "60")]
        {
            narrow(&mut schema, name, limit);
        }
        assert_eq!(json!(schema), json!({ "minimum": 3.5, "maxLength": 40 }));
    }
}
