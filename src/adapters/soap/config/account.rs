//! `[backends.NAME.soap.account]`: who calls, in a block of SOAP's header that is the service's own.

use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::session::{Template, well_formed};
use crate::adapters::soap::mask::mask;
use crate::diagnostic::{Key, Presence, Section, Table};
use crate::secret::{SHAPE, SecretRef};

/// The table.
pub static ACCOUNT: Section = Section {
    path: "backends.NAME.soap.account",
    doc: "An account that each call has in a block of SOAP's header, like the `AuthHeader` of many services of .NET. Services with WS-Security have it in `wsse`.",
    keys: &[
        Key {
            name: "element",
            shape: "string",
            presence: Presence::Required,
            doc: "the block's XML; `{username}` and `{password}` are those below, escaped, and `{{` and `}}` are braces: `<AuthHeader xmlns=\"urn:erp\"><User>{username}</User><Password>{password}</Password></AuthHeader>`",
        },
        Key { name: "username", shape: "string", presence: Presence::Optional, doc: "who calls" },
        Key { name: "password", shape: SHAPE, presence: Presence::Required, doc: "where the password or key is" },
    ],
};

/// An account in a block of SOAP's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The block, with the places `username` and `password`.
    pub element: Template,
    /// Who calls.
    pub username: String,
    /// Where the password is.
    pub password: SecretRef,
    /// The local names of the elements and attributes that the password stands in: nobody is shown what is in them.
    pub secret_names: Vec<String>,
}

/// Stands for the password while the block is looked at.
const SAMPLE: &str = "\u{f8ff}";

impl Account {
    pub(super) fn read(table: &Table<'_>, base: &Path) -> Option<Account> {
        let element = table.read("element", |node| {
            let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
            let template = Template::parse(text.trim(), &["username", "password"])?;
            let sample = template.filled(&[("username", "u"), ("password", SAMPLE)]);
            if !sample.starts_with('<') || !well_formed(&sample) {
                return Err("it is no XML".to_owned());
            }
            let names = names(&sample);
            if names.is_empty() {
                return Err("it has no place for the `{password}`".to_owned());
            }
            let without = template.filled(&[]);
            if mask(&without) != without {
                return Err(
                    "a secret is written out in it: write `{password}`, and where that is in `password`".to_owned()
                );
            }
            Ok((template, names))
        });
        let username = table.filled("username");
        let password = SecretRef::read(table, "password", base);
        let (element, secret_names) = element?;
        Some(Account { element, username: username.unwrap_or_default(), password: password?, secret_names })
    }
}

/// The local names of what the sample stands in.
fn names(xml: &str) -> Vec<String> {
    let mut reader = Reader::from_str(xml);
    let (mut open, mut names) = (Vec::new(), Vec::new());
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(start) => {
                names.extend(attributes(&start));
                open.push(start.local_name().as_ref().to_owned());
            }
            Event::Empty(start) => names.extend(attributes(&start)),
            Event::End(_) => drop(open.pop()),
            Event::Text(text) if text.contains(SAMPLE) => names.extend(open.last().cloned()),
            Event::CData(text) if text.contains(SAMPLE) => names.extend(open.last().cloned()),
            Event::Eof => break,
            _ => {}
        }
    }
    names
}

fn attributes(start: &BytesStart<'_>) -> Vec<String> {
    let secret = start.attributes().flatten().filter(|attribute| attribute.value.contains(SAMPLE));
    secret.map(|attribute| attribute.key.local_name().as_ref().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn secrets_are_found_where_they_stand() {
        assert_eq!(names("<a:A xmlns:a='u' k:Ticket='\u{f8ff}'><b/><a:Pin>\u{f8ff}</a:Pin></a:A>"), ["Ticket", "Pin"]);
        assert!(names("<A><!--\u{f8ff}--></A>").is_empty());
    }
}
