//! Whether a text is a value of a simple type: its white space, its form, its facets.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Builtin, Facets, Simple, TypeId, TypeKind, Types, Variety, WhiteSpace};
use crate::wsdl::lexical;

/// How deep lists and unions may lie in one another.
const MAX_DEPTH: usize = 32;

impl WhiteSpace {
    /// The text with its white space dealt with.
    pub fn normalized(self, text: &str) -> Cow<'_, str> {
        let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
        match self {
            WhiteSpace::Preserve => Cow::Borrowed(text),
            WhiteSpace::Replace if text.contains(['\t', '\n', '\r']) => {
                Cow::Owned(text.replace(['\t', '\n', '\r'], " "))
            }
            WhiteSpace::Replace => Cow::Borrowed(text),
            WhiteSpace::Collapse => {
                let trimmed = text.trim_matches(is_space);
                let is_plain = !trimmed.contains(['\t', '\n', '\r']) && !trimmed.contains("  ");
                if is_plain {
                    return Cow::Borrowed(trimmed);
                }
                Cow::Owned(trimmed.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
            }
        }
    }
}

impl Types {
    /// Whether a text is a value of this type; else what was expected, as a phrase. Types that are not simple take any.
    pub fn check(&self, ty: TypeId, text: &str) -> Result<(), String> {
        self.check_below(ty, text, 0)
    }

    fn check_below(&self, ty: TypeId, text: &str, depth: usize) -> Result<(), String> {
        let Some(simple) = self.simple(ty).filter(|_| depth < MAX_DEPTH) else { return Ok(()) };
        let text = simple.white_space.normalized(text);
        match &simple.variety {
            Variety::Atomic(builtin) => {
                lexical::check(*builtin, &text)?;
                match &simple.facets {
                    Some(facets) => facets.check(&text, Some(*builtin), length(*builtin, &text)),
                    None => Ok(()),
                }
            }
            Variety::List(item) => {
                let mut count = 0;
                for word in text.split_ascii_whitespace() {
                    self.check_below(*item, word, depth + 1).map_err(|expected| format!("a list, each {expected}"))?;
                    count += 1;
                }
                simple.facets.as_ref().map_or(Ok(()), |facets| facets.check(&text, None, count))
            }
            Variety::Union(members) => {
                self.member_of(members, &text, depth).ok_or_else(|| "what one of several types takes".to_owned())?;
                simple.facets.as_ref().map_or(Ok(()), |facets| facets.check(&text, None, text.chars().count() as u64))
            }
        }
    }

    /// The first of several types that takes a text.
    fn member_of(&self, members: &[TypeId], text: &str, depth: usize) -> Option<TypeId> {
        members.iter().copied().find(|member| self.check_below(*member, text, depth + 1).is_ok())
    }

    /// The first type of a union that takes a text.
    pub fn union_member(&self, members: &[TypeId], text: &str) -> Option<TypeId> {
        self.member_of(members, text, 0)
    }

    /// The built-in type that a simple type comes down to; `None` for lists and unions, and what is not simple.
    pub fn builtin(&self, ty: TypeId) -> Option<Builtin> {
        match self.simple(ty)?.variety {
            Variety::Atomic(builtin) => Some(builtin),
            _ => None,
        }
    }

    /// What a list's text is made of.
    pub fn list_item(&self, ty: TypeId) -> Option<TypeId> {
        match &self.get(ty).kind {
            TypeKind::Simple(Simple { variety: Variety::List(item), .. }) => Some(*item),
            _ => None,
        }
    }
}

/// What is counted by the facets of length.
fn length(builtin: Builtin, text: &str) -> u64 {
    match builtin {
        Builtin::HexBinary => text.len() as u64 / 2,
        Builtin::Base64Binary => {
            let significant = text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').count();
            significant as u64 * 3 / 4
        }
        _ => text.chars().count() as u64,
    }
}

impl Facets {
    fn check(&self, text: &str, builtin: Option<Builtin>, length: u64) -> Result<(), String> {
        if !self.lists(text, builtin) {
            return Err(format!("one of {}", self.choices()));
        }
        let has_length = !matches!(builtin, Some(Builtin::QName | Builtin::Notation));
        if let Some(least) = self.min_length.filter(|least| has_length && length < *least) {
            return Err(format!("at least {least} {}", unit(builtin)));
        }
        if let Some(most) = self.max_length.filter(|most| has_length && length > *most) {
            return Err(format!("at most {most} {}", unit(builtin)));
        }
        self.check_value(text, builtin)
    }

    /// Whether a text, its white space dealt with, is one of the values that are listed; any is where none are.
    pub fn lists(&self, text: &str, builtin: Option<Builtin>) -> bool {
        self.enumeration.is_empty() || self.enumeration.iter().any(|own| is_same(own, text, builtin))
    }

    /// Whether there are any that look at more than a list of values and a length.
    pub fn look_at_values(&self) -> bool {
        !self.patterns.is_empty()
            || self.min.is_some()
            || self.max.is_some()
            || self.total_digits.is_some()
            || self.fraction_digits.is_some()
    }

    /// What a text, its white space dealt with, should have been, as a phrase; `None` where it keeps to all of them.
    pub fn wanted(&self, text: &str, builtin: Option<Builtin>) -> Option<String> {
        let length = match builtin {
            Some(builtin) => length(builtin, text),
            None => text.split_ascii_whitespace().count() as u64,
        };
        self.check(text, builtin, length).err()
    }

    /// Whether a text, its white space dealt with, keeps to its patterns, its bounds and its number of digits; else what
    /// was expected, as a phrase.
    pub fn check_value(&self, text: &str, builtin: Option<Builtin>) -> Result<(), String> {
        if let Some(step) = self.patterns.iter().find(|step| !step.iter().any(|pattern| pattern.fits(text))) {
            let patterns: Vec<&str> = step.iter().map(|pattern| &*pattern.text).collect();
            return Err(format!("a text that fits `{}`", patterns.join("|")));
        }
        let Some(builtin) = builtin else { return Ok(()) };
        if let Some((bound, is_within)) = &self.min
            && let Some(order) = order(builtin, text, bound)
            && !(order == Ordering::Greater || (*is_within && order == Ordering::Equal))
        {
            return Err(format!("{} {bound}", if *is_within { "at least" } else { "more than" }));
        }
        if let Some((bound, is_within)) = &self.max
            && let Some(order) = order(builtin, text, bound)
            && !(order == Ordering::Less || (*is_within && order == Ordering::Equal))
        {
            return Err(format!("{} {bound}", if *is_within { "at most" } else { "less than" }));
        }
        self.check_digits(text)
    }

    fn check_digits(&self, text: &str) -> Result<(), String> {
        if self.total_digits.is_none() && self.fraction_digits.is_none() {
            return Ok(());
        }
        let Some((_, whole, fraction)) = decimal_parts(text) else { return Ok(()) };
        if let Some(most) = self.fraction_digits.filter(|most| fraction.len() > *most as usize) {
            return Err(format!("at most {most} digits behind the point"));
        }
        match self.total_digits.filter(|most| whole.len() + fraction.len() > *most as usize) {
            Some(most) => Err(format!("at most {most} digits")),
            None => Ok(()),
        }
    }

    /// The first values of the enumeration, for messages.
    fn choices(&self) -> String {
        const SHOWN: usize = 10;
        let shown: Vec<String> = self.enumeration.iter().take(SHOWN).map(|text| format!("`{text}`")).collect();
        let more = self.enumeration.len().saturating_sub(SHOWN);
        if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
    }
}

fn unit(builtin: Option<Builtin>) -> &'static str {
    match builtin {
        None => "items",
        Some(Builtin::HexBinary | Builtin::Base64Binary) => "bytes",
        Some(_) => "characters",
    }
}

fn is_same(own: &str, text: &str, builtin: Option<Builtin>) -> bool {
    let own = builtin.map_or(Cow::Borrowed(own), |builtin| builtin.white_space().normalized(own));
    own == text
        || builtin.is_some_and(|builtin| is_number(builtin) && order(builtin, &own, text) == Some(Ordering::Equal))
        || (builtin == Some(Builtin::Boolean)
            && matches!((&*own, text), ("true", "1") | ("1", "true") | ("false", "0") | ("0", "false")))
}

fn is_number(builtin: Builtin) -> bool {
    builtin == Builtin::Decimal || builtin.range().is_some() || matches!(builtin, Builtin::Float | Builtin::Double)
}

/// How two values compare; `None` where that cannot be said.
fn order(builtin: Builtin, one: &str, other: &str) -> Option<Ordering> {
    let (one, other) = (one.trim(), other.trim());
    match builtin {
        Builtin::Float | Builtin::Double => {
            let float = |text: &str| match text {
                "INF" => Some(f64::INFINITY),
                "-INF" => Some(f64::NEG_INFINITY),
                text => text.parse::<f64>().ok(),
            };
            float(one)?.partial_cmp(&float(other)?)
        }
        builtin if is_number(builtin) => decimal_order(one, other),
        // Of the same zone and as many digits, what is later comes later in the alphabet.
        Builtin::Date | Builtin::DateTime | Builtin::Time | Builtin::Year | Builtin::YearMonth => {
            let zone = |text: &str| {
                let at = text
                    .find(['Z', '+'])
                    .or_else(|| text.rfind('-').filter(|at| text.len() - at == 6 && text[*at..].contains(':')));
                at.map_or("", |at| text.get(at..).unwrap_or_default()).to_owned()
            };
            let (own, others) = (zone(one), zone(other));
            let is_alike = own == others && !one.starts_with('-') && !other.starts_with('-');
            let year = |text: &str| text.find('-').unwrap_or(text.len());
            (is_alike && year(one) == year(other))
                .then(|| one.trim_end_matches(&*own).cmp(other.trim_end_matches(&*others)))
        }
        _ => None,
    }
}

/// Sign, digits before and behind the point, without zeros that mean nothing.
fn decimal_parts(text: &str) -> Option<(bool, &str, &str)> {
    let text = text.trim();
    if !lexical::is_decimal(text) {
        return None;
    }
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    Some((is_negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction))
}

/// Exact, however long the numbers are.
fn decimal_order(one: &str, other: &str) -> Option<Ordering> {
    let (one, other) = (decimal_parts(one)?, decimal_parts(other)?);
    let magnitude = (one.1.len(), one.1, one.2).cmp(&(other.1.len(), other.1, other.2));
    Some(match (one.0, other.0) {
        (false, false) => magnitude,
        (true, true) => magnitude.reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    })
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::{Builtin, WhiteSpace, decimal_order, order};

    #[test]
    fn decimals_compare_exactly() {
        let order = |one, other| decimal_order(one, other).unwrap();
        assert_eq!(order("10.10", "+010.1"), Ordering::Equal);
        assert_eq!(order("-0.0", "0"), Ordering::Equal);
        assert_eq!(order("9", "10"), Ordering::Less);
        assert_eq!(order("-9", "-10"), Ordering::Greater);
        assert_eq!(order("0.09", "0.1"), Ordering::Less);
        assert_eq!(
            order("99999999999999999999999999999999999999999.9", "99999999999999999999999999999999999999999.91"),
            Ordering::Less
        );
        assert_eq!(decimal_order("1e5", "2"), None);
    }

    #[test]
    fn dates_compare_within_a_zone() {
        assert_eq!(order(Builtin::Date, "2026-01-31", "2026-02-01"), Some(Ordering::Less));
        assert_eq!(order(Builtin::Date, "2026-01-31Z", "2026-02-01"), None);
        assert_eq!(
            order(Builtin::DateTime, "2026-01-31T10:00:00-05:00", "2026-01-31T10:00:00-05:00"),
            Some(Ordering::Equal)
        );
        assert_eq!(order(Builtin::Date, "12026-01-31", "2026-02-01"), None);
        assert_eq!(order(Builtin::Float, "INF", "1e300"), Some(Ordering::Greater));
    }

    #[test]
    fn white_space_is_dealt_with() {
        assert_eq!(WhiteSpace::Preserve.normalized(" a\tb "), " a\tb ");
        assert_eq!(WhiteSpace::Replace.normalized(" a\tb\n"), " a b ");
        assert_eq!(WhiteSpace::Collapse.normalized(" a\t\n b  c "), "a b c");
    }
}
