//! XML as it is written: prefixes for namespaces, and what must be escaped. No default namespace is ever declared, so an
//! unqualified name needs nothing.

use crate::wsdl::import::well_known::{XML, XSD, XSI};

/// The namespaces of an envelope. All are declared at its outermost element.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    /// URI and prefix, by their first use.
    used: Vec<(String, String)>,
    count: usize,
}

impl Prefixes {
    /// The prefix of a namespace.
    pub(super) fn of(&mut self, uri: &str) -> &str {
        let known = self.used.iter().position(|(own, _)| own == uri);
        let index = known.unwrap_or_else(|| {
            let prefix = match uri {
                XSI => "xsi".to_owned(),
                XSD => "xsd".to_owned(),
                XML => "xml".to_owned(),
                _ => {
                    self.count += 1;
                    format!("ns{}", self.count)
                }
            };
            self.used.push((uri.to_owned(), prefix));
            self.used.len() - 1
        });
        self.used.get(index).map_or("", |(_, prefix)| prefix)
    }

    /// Takes a prefix for a namespace that has none yet.
    pub(super) fn reserve(&mut self, uri: &str, prefix: &str) {
        if !self.used.iter().any(|(own, _)| own == uri) {
            self.used.push((uri.to_owned(), prefix.to_owned()));
        }
    }

    /// The declarations, each with a blank before it.
    pub(super) fn declarations(&self) -> String {
        let mut out = String::new();
        for (uri, prefix) in self.used.iter().filter(|(uri, _)| uri != XML) {
            out.push_str(&format!(" xmlns:{prefix}=\""));
            escape(uri, true, &mut out);
            out.push('"');
        }
        out
    }
}

/// Appends a text; in an attribute, line ends and tabs would become blanks.
pub(super) fn escape(text: &str, in_attribute: bool, out: &mut String) {
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            // Only behind `]]`, but nobody minds.
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '"' if in_attribute => out.push_str("&quot;"),
            '\n' if in_attribute => out.push_str("&#10;"),
            '\t' if in_attribute => out.push_str("&#9;"),
            char => out.push(char),
        }
    }
}

/// The first character that XML 1.0 cannot hold.
pub(crate) fn impossible(text: &str) -> Option<char> {
    text.chars()
        .find(|char| matches!(char, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'))
}

/// Whether a text can be the local name of an element.
pub(super) fn is_local_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}
