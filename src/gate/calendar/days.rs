//! On which days a window begins: weekdays, days of the month, days from its end.

use jiff::civil::Date;

use crate::diagnostic::{Node, Written};

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A set of days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Days(Vec<Part>);

/// Days from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Of the week, Monday is 0; a range may go over its end.
    Week { from: usize, to: usize },
    /// Of the month, from 1, or from its end, from -1; a range from its end goes on in the next month.
    Month { from: i8, to: i8 },
}

impl Days {
    /// Reads a string, or an array of them.
    pub(super) fn read(node: &Node) -> Result<Days, String> {
        let texts: Vec<&str> = match &node.value {
            Written::String(text) => vec![text],
            Written::Array(elements) => elements
                .iter()
                .map(|element| element.as_str().ok_or_else(|| format!("expected strings, found {}", element.kind())))
                .collect::<Result<_, _>>()?,
            _ => return Err(format!("expected a string, found {}", node.kind())),
        };
        let parts: Vec<&str> = texts.iter().flat_map(|text| text.split(',')).map(str::trim).collect();
        let days = parts.into_iter().map(part).collect::<Result<Vec<_>, _>>()?;
        if days.is_empty() { Err("names no day".to_owned()) } else { Ok(Days(days)) }
    }

    /// Whether a day is in the set.
    pub(super) fn has(&self, date: Date) -> bool {
        self.0.iter().any(|some| some.has(date))
    }
}

impl Part {
    fn has(self, date: Date) -> bool {
        match self {
            Part::Week { from, to } => {
                let day = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs());
                if from <= to { (from..=to).contains(&day) } else { day >= from || day <= to }
            }
            Part::Month { from, to } => {
                let (day, last) = (date.day(), date.days_in_month());
                let counted = |number: i8| if number < 0 { last + 1 + number } else { number };
                if from < 0 && to > 0 {
                    day >= counted(from) || day <= to
                } else {
                    (counted(from)..=counted(to)).contains(&day)
                }
            }
        }
    }
}

fn part(text: &str) -> Result<Part, String> {
    let unknown = || {
        format!(
            "\"{text}\" is no day like \"mon\", \"mon-fri\", \"1\", \"10..12\", \"last\", \"-1\", \"-3..-1\", \"-2..2\""
        )
    };
    let lower = text.to_ascii_lowercase();
    if let Some((from, to)) = lower.split_once("..") {
        let (from, to) = (month_day(from).ok_or_else(unknown)?, month_day(to).ok_or_else(unknown)?);
        if (from < 0) == (to < 0) && from > to {
            return Err(format!("\"{text}\" ends before it begins"));
        }
        return Ok(Part::Month { from, to });
    }
    if let Some(day) = month_day(&lower) {
        return Ok(Part::Month { from: day, to: day });
    }
    let (from, to) = lower.split_once('-').unwrap_or((&lower, &lower));
    let week_day = |name: &str| WEEKDAYS.iter().position(|known| *known == name.trim());
    let (from, to) = week_day(from).zip(week_day(to)).ok_or_else(unknown)?;
    Ok(Part::Week { from, to })
}

fn month_day(text: &str) -> Option<i8> {
    match text.trim() {
        "last" => Some(-1),
        number => number.parse::<i8>().ok().filter(|day| *day != 0 && (-31..=31).contains(day)),
    }
}
