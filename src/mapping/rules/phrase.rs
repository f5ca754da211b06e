//! What a reject says was expected.

use crate::diagnostic::Table;
use crate::mapping::convert::{Bounds, Convert, Matches};
use crate::mapping::number::NumberStyle;
use crate::mapping::temporal::Format;
use crate::mapping::types::Type;

/// The phrase: `decimal(11,2), at least 0`.
pub(super) fn expected(
    table: &Table<'_>,
    value_type: Type,
    convert: &Convert,
    style: NumberStyle,
    bounds: Bounds,
) -> String {
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
