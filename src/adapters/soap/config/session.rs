//! Services where one logs in by an operation first.

use std::path::Path;
use std::time::Duration;

use hyper::header::HeaderName;

use super::header::is_ours;
use super::wsse::flip;
use crate::adapters::soap::Version;
use crate::adapters::soap::account::called;
use crate::adapters::soap::answer::envelope::NAMESPACES;
use crate::adapters::soap::splice::with_blocks;
use crate::diagnostic::{Key, Presence, Section, Table};
use crate::secret::{SHAPE, SecretRef};

/// Keys of `[backends.NAME.soap.session]`.
pub static SESSION: Section = Section {
    path: "backends.NAME.soap.session",
    doc: "A service where one logs in by an operation first. The session is shared by all calls, begun by the first that needs it, and begun once more when the service says that it is over. Cookies of the login's answer are sent back in any case.",
    keys: &[
        Key {
            name: "operation",
            shape: "string",
            presence: Presence::Default("\"\""),
            doc: "the SOAPAction of the login",
        },
        Key {
            name: "envelope",
            shape: "string",
            presence: Presence::Required,
            doc: "what is sent to log in: the XML itself, or the name of its file; `{username}` and `{password}` are those below, escaped; `{{` and `}}` are braces",
        },
        Key { name: "username", shape: "string", presence: Presence::Optional, doc: "who logs in" },
        Key { name: "password", shape: SHAPE, presence: Presence::Optional, doc: "where the password is" },
        Key {
            name: "token",
            shape: "string",
            presence: Presence::Optional,
            doc: "the name of the element of the login's answer whose text is the session's token; none where cookies do",
        },
        Key {
            name: "header",
            shape: "string",
            presence: Presence::Optional,
            doc: "the HTTP header field that the token is sent in",
        },
        Key {
            name: "element",
            shape: "string",
            presence: Presence::Optional,
            doc: "the XML of the SOAP header that the token is sent in, like `<s:Session xmlns:s=\"urn:erp\">{token}</s:Session>`",
        },
        Key {
            name: "expired",
            shape: "array of strings",
            presence: Presence::Default("[]"),
            doc: "codes of faults, or the names of the elements of their details, by which the service says that the session is over; status 401 always does",
        },
        Key {
            name: "mtom",
            shape: "boolean",
            presence: Presence::Optional,
            doc: "send the login as an XOP package (MTOM); as a policy of the WSDL demands when absent",
        },
        Key {
            name: "lasts",
            shape: "duration",
            presence: Presence::Optional,
            doc: "how long a session is used at most",
        },
    ],
};

/// How one logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The login's action.
    pub action: String,
    /// Its envelope, with places for name and password.
    pub envelope: Template,
    /// Of which SOAP it is.
    pub version: Version,
    /// Who logs in.
    pub username: String,
    /// With which password.
    pub password: Option<SecretRef>,
    /// The element of the answer that has the token.
    pub token: Option<String>,
    /// Where the token goes.
    pub carrier: Carrier,
    /// Codes of faults that say that the session is over.
    pub expired: Vec<String>,
    /// Whether the login is sent as an XOP package (MTOM), where that is said; else the WSDL says it.
    pub is_package: Option<bool>,
    /// How long it is used at most.
    pub lasts: Option<Duration>,
}

/// Where a session's token goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Cookies are all there is.
    Cookies,
    /// Into this header field of HTTP.
    Field(HeaderName),
    /// Into this block of SOAP's header.
    Block(Template),
}

/// A text with places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(String),
}

impl Template {
    /// Reads `{name}` as a place, and `{{` and `}}` as braces.
    pub(super) fn parse(text: &str, places: &[&str]) -> Result<Template, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                plain.push_str(&rest[..1]);
                rest = &rest[2..];
                continue;
            }
            let place = rest.strip_prefix('{').and_then(|inner| inner.split_once('}')).map(|(place, _)| place);
            let place = place.filter(|place| places.contains(place));
            let place = place.ok_or_else(|| {
                format!("a brace that belongs to none of {{{}}}; a brace itself is written twice", places.join("}, {"))
            })?;
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
            pieces.push(Piece::Place(place.to_owned()));
            rest = &rest[place.len() + 2..];
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Ok(Template(pieces))
    }

    /// The text with these values, escaped, in the places.
    pub(in crate::adapters::soap) fn filled(&self, values: &[(&str, &str)]) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Place(place) => {
                    let value = values.iter().find(|(name, _)| name == place).map_or("", |(_, value)| value);
                    text.push_str(&quick_xml::escape::escape(value));
                }
            }
        }
        text
    }
}

impl Session {
    /// The name of the element by which one logs in.
    pub fn element(&self) -> Option<String> {
        called(self.envelope.filled(&[]).as_bytes())
    }

    pub(super) fn read(table: &Table<'_>, base: &Path) -> Option<Session> {
        let action = table.read("operation", |node| match node.as_str() {
            Some(text) if text.chars().all(|c| c.is_ascii_graphic() && c != '"') => Ok(text.to_owned()),
            _ => Err("expected a URI, without blanks and quotes".to_owned()),
        });
        let envelope = table.read("envelope", |node| {
            let written = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
            let text = match written.trim_start().starts_with('<') {
                true => written.to_owned(),
                false => std::fs::read_to_string(base.join(written))
                    .map_err(|error| format!("the file {written} cannot be read: {error}"))?,
            };
            let template = Template::parse(text.trim(), &["username", "password"])?;
            let sample = template.filled(&[]);
            with_blocks(&sample, "", None).ok_or("it is no envelope of SOAP 1.1 or 1.2")?;
            let version = if sample.contains(NAMESPACES[1]) { Version::V12 } else { Version::V11 };
            Ok((template, version))
        });
        let password = SecretRef::read(table, "password", base);
        let username = table.filled("username");
        let token = table.filled("token");
        let field = table.get("header").map(|_| {
            table.read("header", |node| match node.as_str().map(str::parse::<HeaderName>) {
                Some(Ok(name)) if !is_ours(&name) => Ok(name),
                _ => Err("expected the name of a header field that is not written by the service itself".to_owned()),
            })
        });
        let block = table.get("element").map(|_| {
            table.read("element", |node| {
                let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
                let template = Template::parse(text, &["token"])?;
                let sample = template.filled(&[("token", "t")]);
                match well_formed(&sample) && sample.contains('t') {
                    true => Ok(template),
                    false => Err("it is no XML".to_owned()),
                }
            })
        });
        let carrier = match (flip(field)?, flip(block)?) {
            (Some(_), Some(_)) => {
                let node = table.get("element")?;
                table.fail(node.key_fault("a token goes into `header` or into `element`, not both"));
                return None;
            }
            (Some(field), None) => Carrier::Field(field),
            (None, Some(block)) => Carrier::Block(block),
            (None, None) => Carrier::Cookies,
        };
        match (table.get("token"), &carrier) {
            (Some(node), Carrier::Cookies) => {
                table.fail(node.key_fault("a `token` needs `header` or `element`, which say where it is sent"));
            }
            (None, Carrier::Field(_) | Carrier::Block(_)) => {
                table.fail(
                    table.node().key_fault("`header` and `element` need `token`: which element of the answer has it"),
                );
            }
            _ => {}
        }
        let expired = table.strings("expired");
        let is_package = flip(table.get("mtom").map(|_| table.boolean("mtom")));
        let lasts = flip(table.get("lasts").map(|_| table.positive_duration("lasts")));
        if table.failed() {
            return None;
        }
        let (envelope, version) = envelope?;
        Some(Session {
            action: action?,
            envelope,
            version,
            username: username.unwrap_or_default(),
            password,
            token,
            carrier,
            expired: expired?,
            is_package: is_package?,
            lasts: lasts?,
        })
    }
}

pub(super) fn well_formed(text: &str) -> bool {
    let mut reader = quick_xml::NsReader::from_str(text);
    let mut depth = 0usize;
    loop {
        match reader.read_event() {
            Ok(quick_xml::events::Event::Start(_)) => depth += 1,
            Ok(quick_xml::events::Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(quick_xml::events::Event::Eof) => return depth == 0,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}
