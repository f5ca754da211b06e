//! Texts with places in them: `{order_no}` stands for a value that is known when a call is made, `{{` and `}}` are braces.

use std::borrow::Cow;

use crate::diagnostic::{Diagnostic, nearest};
use crate::record::key::{SEPARATOR, decode_part};
use crate::wsdl::TypeId;

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mapping) enum Piece {
    /// It stands as it is.
    Text(String),
    /// The value of this name.
    Place(Box<str>),
}

/// What is known of the places where a text is compiled.
pub(in crate::mapping) trait Known {
    /// The place of a name, of one of the body's array whose elements a part is written for; `None` where there is none.
    fn place(&self, name: &str, array: Option<&str>) -> Option<PlaceFacts>;

    /// All names, for messages.
    fn names(&self, array: Option<&str>) -> Vec<String>;

    /// Whether it would be known, were it written without a fault, which is told elsewhere.
    fn is_broken(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// The value of a place goes alone into what is of this type; answers what is wrong with that.
    fn goes_into(&self, place: &str, array: Option<&str>, ty: TypeId) -> Result<(), String> {
        let _ = (place, array, ty);
        Ok(())
    }

    /// Whether there is an array of this name.
    fn has_array(&self, name: &str) -> bool {
        let _ = name;
        false
    }
}

/// What is known of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::mapping) struct PlaceFacts {
    /// The name under which its value is asked for.
    pub(in crate::mapping) name: Box<str>,
    /// Whether there may be no value: a token has none at the first call.
    pub(in crate::mapping) may_be_absent: bool,
}

/// The values of places when a call is made.
pub trait Given {
    /// The value of a name, of one of the elements of an array; `None` where there is none.
    fn text(&self, name: &str, element: Option<(&str, usize)>) -> Option<Cow<'_, str>>;

    /// How many elements an array has.
    fn count(&self, array: &str) -> usize {
        let _ = array;
        0
    }
}

/// A text cut at its places: names with the byte at which their brace stands.
pub(in crate::mapping) enum Cut<'t> {
    Text(String),
    Name(&'t str, usize),
}

/// Cuts a text; the fault is the byte of a brace that belongs to no place.
pub(in crate::mapping) fn cut(text: &str) -> Result<Vec<Cut<'_>>, usize> {
    let mut cuts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(position) = rest.find(['{', '}']) {
        plain.push_str(&rest[..position]);
        rest = &rest[position..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            plain.push_str(&rest[..1]);
            rest = &rest[2..];
            continue;
        }
        let at = text.len() - rest.len();
        let name = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')).map(|(name, _)| name);
        let name = name.filter(|name| !name.contains(['{', '<', '\n'])).ok_or(at)?;
        if !plain.is_empty() {
            cuts.push(Cut::Text(std::mem::take(&mut plain)));
        }
        cuts.push(Cut::Name(name, at));
        rest = &rest[name.len() + 2..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        cuts.push(Cut::Text(plain));
    }
    Ok(cuts)
}

/// Adds to the fault of an unknown name which one may be meant.
pub(in crate::mapping) fn suggest(fault: Diagnostic, name: &str, known: &[String]) -> Diagnostic {
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => fault.help(format!("did you mean `{{{near}}}`?")),
        None if known.is_empty() => fault,
        None => fault.help(format!("there are: {{{}}}", known.join("}, {"))),
    }
}

/// The fields of the key as places: what a call for one record knows.
pub(super) struct KeyPlaces<'k>(pub(super) &'k [String]);

impl Known for KeyPlaces<'_> {
    fn place(&self, name: &str, _: Option<&str>) -> Option<PlaceFacts> {
        let found = match (name, self.0) {
            ("key", [only]) => Some(only),
            _ => self.0.iter().find(|field| *field == name),
        };
        found.map(|field| PlaceFacts { name: field.as_str().into(), may_be_absent: false })
    }

    fn names(&self, _: Option<&str>) -> Vec<String> {
        self.0.to_vec()
    }
}

/// The parts of a key by the names of its fields.
pub(super) struct KeyValues<'k> {
    fields: &'k [String],
    parts: Vec<Cow<'k, str>>,
}

impl<'k> KeyValues<'k> {
    /// Of a key in its canonical form; `None` for what is none.
    pub(super) fn of(fields: &'k [String], key: &'k str) -> Option<KeyValues<'k>> {
        let parts: Vec<_> = key.split(SEPARATOR).map(decode_part).collect::<Result<_, _>>().ok()?;
        (parts.len() == fields.len()).then_some(KeyValues { fields, parts })
    }
}

impl Given for KeyValues<'_> {
    fn text(&self, name: &str, _: Option<(&str, usize)>) -> Option<Cow<'_, str>> {
        let part = self.fields.iter().position(|field| field == name)?;
        self.parts.get(part).map(|part| Cow::Borrowed(part.as_ref()))
    }
}

/// What a poll knows when it makes a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollValues {
    /// Up to where was read before.
    pub watermark: Option<String>,
    /// The number of the page.
    pub page: Option<u64>,
    /// So many records a page has.
    pub size: Option<u64>,
    /// What the answer before has named.
    pub token: Option<String>,
    /// Where the window begins.
    pub from: Option<String>,
    /// Where the window ends.
    pub to: Option<String>,
}

impl Given for PollValues {
    fn text(&self, name: &str, _: Option<(&str, usize)>) -> Option<Cow<'_, str>> {
        let number = |number: Option<u64>| number.map(|number| Cow::Owned(number.to_string()));
        let text = |text: &'_ Option<String>| text.clone().map(Cow::Owned);
        match name {
            "watermark" => text(&self.watermark),
            "page" => number(self.page),
            "size" => number(self.size),
            "token" => text(&self.token),
            "from" => text(&self.from),
            "to" => text(&self.to),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, cut};

    #[test]
    fn a_text_is_cut_at_its_places() {
        let shown = |text: &str| {
            cut(text).map(|cuts| {
                let one = |cut: &Cut<'_>| match cut {
                    Cut::Text(text) => format!("'{text}'"),
                    Cut::Name(name, at) => format!("{name}@{at}"),
                };
                cuts.iter().map(one).collect::<Vec<_>>().join(" ")
            })
        };
        assert_eq!(shown("{a}"), Ok("a@0".to_owned()));
        assert_eq!(shown("x{{{a}}}y{b}"), Ok("'x{' a@3 '}y' b@9".to_owned()));
        assert_eq!(shown(""), Ok(String::new()));
        assert_eq!(shown("a}b"), Err(1));
        assert_eq!(shown("ü{b"), Err(2));
        assert_eq!(shown("{a<}"), Err(0));
    }
}
