//! What stands for no value in a column, besides NULL: the words of `null_if`, and the days and blanks of a preset. The mapping
//! makes null of them, so whoever asks the database for what has a value, or has none, must say them too.

use jiff::civil::{Date, DateTime, Time};

use crate::decode::rows::ColumnKind;
use crate::diagnostic::{Entries, Node, Written};
use crate::mapping::literal;
use crate::mapping::operations::Bound;
use crate::mapping::preset::Preset;
use crate::mapping::types::Type;
use crate::record::Decimal;

/// What means null in the source.
#[derive(Clone, Debug, Default)]
pub(super) struct Nulls {
    texts: Vec<String>,
    numbers: Vec<Decimal>,
    days: Vec<Date>,
    is_blank_null: bool,
    /// The field is a text itself.
    is_text: bool,
}

/// Something in a column that is no value, as a database can be asked for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Null {
    /// What is equal to this.
    Is(Bound),
    /// Any moment from the first to before the second.
    Within(Bound, Bound),
    /// Any moment from this on.
    From(Bound),
    /// A text of blanks alone.
    Blank,
}

impl Nulls {
    /// Of a field as it is written.
    pub(super) fn of(written: &Entries, value_type: Type, preset: Option<&Preset>) -> Nulls {
        let mut nulls = Nulls { is_text: value_type == Type::String, ..Nulls::default() };
        match (written.get("null_if"), preset) {
            (Some(node), _) => {
                let single = std::slice::from_ref(node);
                for word in node.as_array().unwrap_or(single) {
                    match &word.value {
                        Written::String(text) => nulls.text(text),
                        // What is no number is a fault of the field.
                        _ => nulls.numbers.extend(number(word)),
                    }
                }
            }
            (None, Some(preset)) => {
                nulls.days = preset.empty_days(value_type);
                let (texts, numbers) = preset.empty_words(value_type);
                nulls.texts.extend(texts.iter().map(|text| (*text).to_owned()));
                nulls.numbers.extend(numbers.iter().map(|number| Decimal::from_i64(*number)));
            }
            (None, None) => {}
        }
        // A blank that the field lists is a value, unless `null_if` says otherwise.
        let is_value = || lists_blank(written) || value_type == Type::Boolean && preset.is_some_and(has_blank_truth);
        nulls.is_blank_null |= preset.is_some_and(|preset| preset.blank_is_null(value_type)) && !is_value();
        nulls
    }

    fn text(&mut self, text: &str) {
        match text.trim().is_empty() {
            true => self.is_blank_null = true,
            false => self.texts.push(text.to_owned()),
        }
    }

    /// As a column of this kind has them; `None` where they cannot be told apart there from what is a value. Of a field that
    /// is `worded` the column has texts, whose forms the mapping knows.
    pub(super) fn in_column(&self, kind: Option<ColumnKind>, worded: bool) -> Option<Vec<Null>> {
        let mut found = Vec::new();
        // Nobody has said what the column holds: only a text is compared with texts.
        let is_unknown = kind.is_none() && !self.is_text && !worded;
        for text in self.texts.iter().filter(|_| !is_unknown) {
            found.extend(in_words(text, kind)?.map(Null::Is));
        }
        for number in &self.numbers {
            found.extend(in_numbers(*number, kind)?.map(Null::Is));
        }
        for day in &self.days {
            found.extend(on_day(*day, kind, worded)?);
        }
        let may_be_blank = !is_unknown && matches!(kind, None | Some(ColumnKind::Text { .. }));
        found.extend((self.is_blank_null && may_be_blank).then_some(Null::Blank));
        Some(found)
    }

    /// Whether a value that is bound is one of them: then no record has it.
    pub(super) fn has(&self, bound: &Bound) -> bool {
        let Some(text) = bound.text() else { return false };
        let is_number = || {
            let Ok(number) = Decimal::parse(&text, b'.', None) else { return false };
            let mut words = self.texts.iter().filter_map(|word| Decimal::parse(word, b'.', None).ok());
            let is_bound_so = matches!(bound, Bound::Integer(_) | Bound::Decimal(_) | Bound::Float(_));
            self.numbers.contains(&number) || is_bound_so && words.any(|word| word == number)
        };
        let is_day = || {
            let day = text.get(..10).and_then(|day| day.parse::<Date>().ok());
            day.is_some_and(|day| self.days.contains(&day))
        };
        let is_blank = self.is_blank_null && text.trim_ascii().is_empty();
        is_blank || self.texts.iter().any(|known| *known == text.trim_ascii()) || is_number() || is_day()
    }
}

/// Whether the field says what a blank is, in one of its lists. What a file has for it nobody knows here.
fn lists_blank(written: &Entries) -> bool {
    let is_blank = |node: &Node| node.as_str().is_some_and(|text| text.trim().is_empty());
    let lists = |name: &str| {
        written.get(name).is_some_and(|node| {
            let single = std::slice::from_ref(node);
            node.as_array().unwrap_or(single).iter().any(is_blank)
        })
    };
    let is_listed = || {
        let entries = written.get("values").and_then(Node::as_table);
        entries.is_some_and(|entries| entries.keys().any(|text| text.trim().is_empty()))
    };
    written.get("lookup").is_some() || lists("true_if") || lists("false_if") || is_listed()
}

fn has_blank_truth(preset: &Preset) -> bool {
    let (truths, falsehoods) = preset.truths();
    truths.texts.iter().chain(&falsehoods.texts).any(|text| text.trim().is_empty())
}

/// A number as a mapping has it.
fn number(node: &Node) -> Option<Decimal> {
    literal::number(node).ok()
}

/// A word, in a column of this kind: nothing where none there can be it.
fn in_words(text: &str, kind: Option<ColumnKind>) -> Option<Option<Bound>> {
    let written = |kind, is_it: bool| Some(is_it.then(|| Bound::Written(kind, text.to_owned())));
    match kind {
        None | Some(ColumnKind::Text { .. }) => Some(Some(Bound::Text(text.to_owned()))),
        Some(kind @ ColumnKind::Date) => written(kind, text.parse::<Date>().is_ok_and(|it| it.to_string() == text)),
        Some(kind @ ColumnKind::DateTime) => {
            written(kind, text.parse::<DateTime>().is_ok_and(|it| it.to_string() == text))
        }
        Some(kind @ ColumnKind::Time) => written(kind, text.parse::<Time>().is_ok_and(|it| it.to_string() == text)),
        Some(ColumnKind::Integer | ColumnKind::Decimal { .. }) => match Decimal::parse(text, b'.', None) {
            Ok(number) => in_numbers(number, kind),
            Err(_) => Some(None),
        },
        Some(_) => None,
    }
}

/// A number, in a column of this kind: nothing where none there can be it. In a text it may be written in several ways.
fn in_numbers(number: Decimal, kind: Option<ColumnKind>) -> Option<Option<Bound>> {
    match kind {
        Some(ColumnKind::Integer) => Some(number.rescale(0).ok().and_then(Decimal::to_i64).map(Bound::Integer)),
        Some(ColumnKind::Decimal { scale, .. }) => Some(number.rescale(scale).ok().map(Bound::Decimal)),
        // What these hold is written with signs that no number has.
        Some(ColumnKind::Date | ColumnKind::DateTime | ColumnKind::DateTimeOffset | ColumnKind::Time) => Some(None),
        _ => None,
    }
}

/// A day, at any time of it, in a column of this kind. Where that is not known it may be one of dates or of moments.
fn on_day(day: Date, kind: Option<ColumnKind>, worded: bool) -> Option<Vec<Null>> {
    let midnight = |day: Date| Bound::Written(ColumnKind::DateTime, day.at(0, 0, 0, 0).to_string());
    let date = || Null::Is(Bound::Written(ColumnKind::Date, day.to_string()));
    let moments = || match day.tomorrow() {
        Ok(next) => Null::Within(midnight(day), midnight(next)),
        // The last day there is.
        Err(_) => Null::From(midnight(day)),
    };
    match kind {
        Some(ColumnKind::Date) => Some(vec![date()]),
        Some(ColumnKind::DateTime) => Some(vec![moments()]),
        None if !worded => Some(vec![date(), moments()]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Option<ColumnKind> = Some(ColumnKind::Text { max_chars: None });
    const DECIMAL: Option<ColumnKind> = Some(ColumnKind::Decimal { precision: 9, scale: 2 });

    fn nulls(texts: &[&str], numbers: &[i64], days: &[&str]) -> Nulls {
        let mut nulls = Nulls::default();
        texts.iter().for_each(|text| nulls.text(text));
        nulls.numbers = numbers.iter().map(|number| Decimal::from_i64(*number)).collect();
        nulls.days = days.iter().map(|day| day.parse().unwrap()).collect();
        nulls
    }

    #[test]
    fn words_are_what_a_column_can_hold() {
        let words = nulls(&["N/A", "0", "1900-01-01", " "], &[], &[]);
        let is = |bound: Bound| Null::Is(bound);
        let text = |text: &str| is(Bound::Text(text.to_owned()));
        assert_eq!(words.in_column(TEXT, false), Some(vec![text("N/A"), text("0"), text("1900-01-01"), Null::Blank]));
        let date = Bound::Written(ColumnKind::Date, "1900-01-01".to_owned());
        assert_eq!(words.in_column(Some(ColumnKind::Date), false), Some(vec![is(date)]));
        // A moment is written with its time: the word is none.
        assert_eq!(words.in_column(Some(ColumnKind::DateTime), false), Some(vec![]));
        assert_eq!(words.in_column(Some(ColumnKind::Integer), false), Some(vec![is(Bound::Integer(0))]));
        assert_eq!(words.in_column(Some(ColumnKind::Float), false), None);
        assert_eq!(nulls(&[], &[0], &[]).in_column(TEXT, false), None, "it may be written 00");
        let zero = Decimal::from_i64(0).rescale(2).unwrap();
        assert_eq!(nulls(&[], &[0], &[]).in_column(DECIMAL, false), Some(vec![is(Bound::Decimal(zero))]));
    }

    #[test]
    fn a_word_is_the_number_that_is_bound() {
        let zero = nulls(&["0"], &[], &[]);
        let decimal = |text: &str| Bound::Decimal(Decimal::parse(text, b'.', None).unwrap());
        assert!(zero.has(&decimal("0.00")) && zero.has(&Bound::Integer(0)) && zero.has(&Bound::Text("0".to_owned())));
        assert!(!zero.has(&decimal("0.01")) && !zero.has(&Bound::Text("0.00".to_owned())));
    }

    #[test]
    fn what_a_query_brings_is_compared_with_texts_only_where_it_is_one() {
        let words = |is_text| Nulls { is_text, ..nulls(&["00000000", ""], &[], &[]) };
        assert_eq!(words(false).in_column(None, false), Some(vec![]), "NULL alone is asked for");
        let is = Null::Is(Bound::Text("00000000".to_owned()));
        assert_eq!(words(true).in_column(None, false), Some(vec![is.clone(), Null::Blank]));
        assert_eq!(words(false).in_column(None, true), Some(vec![is, Null::Blank]));
    }

    #[test]
    fn a_day_is_all_of_it() {
        let days = nulls(&[], &[], &["1753-01-01"]);
        let at = |text: &str| Bound::Written(ColumnKind::DateTime, text.to_owned());
        let day = Null::Within(at("1753-01-01T00:00:00"), at("1753-01-02T00:00:00"));
        assert_eq!(days.in_column(Some(ColumnKind::DateTime), false), Some(vec![day]));
        assert_eq!(days.in_column(TEXT, false), None);
        let last = nulls(&[], &[], &["9999-12-31"]);
        let end = Null::From(at("9999-12-31T00:00:00"));
        assert_eq!(last.in_column(Some(ColumnKind::DateTime), false), Some(vec![end]));
        assert!(last.has(&at("9999-12-31T23:59:59")));
        assert!(days.has(&at("1753-01-01T12:00:00")) && !days.has(&at("1753-01-02T00:00:00")));
    }
}
