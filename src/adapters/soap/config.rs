//! A `soap` backend's settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use hyper::http::uri::Uri;

use crate::diagnostic::{Diagnostic, Key, Node, Presence, Section, Table};
use crate::secret::{SHAPE, SecretRef};

/// Keys of `[backends.NAME.soap]`.
pub static SECTION: Section = Section {
    path: "backends.NAME.soap",
    doc: "A SOAP service, called while somebody waits for the answer. It is called over HTTP/1.1; redirects are not followed.",
    keys: &[
        Key {
            name: "endpoint",
            shape: "URL",
            presence: Presence::Required,
            doc: "where it is called, `http://` or `https://`",
        },
        Key {
            name: "timeout",
            shape: "duration",
            presence: Presence::Default("\"10s\""),
            doc: "how long a call may take; whoever waits then gets 504",
        },
        Key {
            name: "late",
            shape: "duration",
            presence: Presence::Default("\"30s\""),
            doc: "how much longer its answer is waited for, since the service still works on it; the call keeps its place until then, and `settle` longer when no answer comes",
        },
        Key {
            name: "max_answer_mib",
            shape: "integer",
            presence: Presence::Default("16"),
            doc: "an answer of more MiB is not taken, 1 to 1024",
        },
        Key { name: "basic", shape: "table", presence: Presence::Optional, doc: "user name and password: see below" },
        Key { name: "bearer", shape: SHAPE, presence: Presence::Optional, doc: "a token sent with each call" },
        Key {
            name: "headers",
            shape: "table of strings or secrets",
            presence: Presence::Optional,
            doc: "header fields sent with each call, like `{ \"X-Tenant\" = \"01\", \"X-Api-Key\" = { env = \"ERP_KEY\" } }`; what looks like a credential is only taken as a reference to a secret",
        },
        Key {
            name: "ca",
            shape: "path",
            presence: Presence::Optional,
            doc: "PEM file of the certificates that vouch for the server; those of the system when absent",
        },
    ],
};

/// Keys of `[backends.NAME.soap.basic]`.
pub static BASIC: Section = Section {
    path: "backends.NAME.soap.basic",
    doc: "HTTP basic authentication (RFC 7617).",
    keys: &[
        Key { name: "username", shape: "string", presence: Presence::Required, doc: "the account's name" },
        Key { name: "password", shape: SHAPE, presence: Presence::Required, doc: "where its password is" },
    ],
};

/// Header fields that are ours to write.
const OURS: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "soapaction",
    "te",
    "transfer-encoding",
];

/// Who we are to the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Nobody in particular.
    None,
    /// A user with a password.
    Basic {
        /// The user's name.
        username: String,
        /// Where the password is.
        password: SecretRef,
    },
    /// The bearer of a token.
    Bearer(SecretRef),
}

/// What is sent as a header field of the operator's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// This text.
    Text(HeaderValue),
    /// The secret that is there.
    Secret(SecretRef),
}

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Over TLS.
    pub is_secure: bool,
    /// The host's name or address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Host and port as they are sent.
    pub authority: HeaderValue,
    /// Path and query.
    pub path: Uri,
}

impl Endpoint {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Endpoint, String> {
        const SHAPE: &str = "write it like \"https://erp.example:8443/services/orders\"";
        let uri: Uri = text.parse().map_err(|_| format!("`{text}` is no URL; {SHAPE}"))?;
        let is_secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("`{text}` is no URL of HTTP; {SHAPE}")),
        };
        let authority = uri.authority().ok_or_else(|| format!("`{text}` names no host; {SHAPE}"))?;
        if authority.as_str().contains('@') {
            return Err("an account does not belong into the URL: say it by `basic` or `bearer`".to_owned());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let sent = HeaderValue::from_str(authority.as_str()).map_err(|_| format!("`{text}` is no URL; {SHAPE}"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = path.parse().map_err(|_| format!("`{text}` is no URL; {SHAPE}"))?;
        Ok(Endpoint { is_secure, host, port, authority: sent, path })
    }

    /// For people.
    pub fn describe(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority.to_str().unwrap_or(&self.host), self.path)
    }

    /// Whether it is on this machine.
    fn is_local(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// A `soap` backend's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it is called.
    pub endpoint: Endpoint,
    /// How long a call may take.
    pub timeout: Duration,
    /// How much longer a late answer is waited for.
    pub late: Duration,
    /// The most bytes of an answer.
    pub max_answer: usize,
    /// Who we are to it.
    pub login: Login,
    /// Header fields beyond ours.
    pub headers: Vec<(HeaderName, Field)>,
    /// Who vouches for the server; the system's list when absent.
    pub ca: Option<PathBuf>,
}

impl Config {
    /// Reads the table; relative paths start at `base`. `None` after a fault was reported.
    pub fn read(table: &Table<'_>, base: &Path) -> Option<Config> {
        let endpoint = table.read("endpoint", |node| match node.as_str() {
            Some(text) => Endpoint::parse(text),
            None => Err(format!("expected a string, found {}", node.kind())),
        });
        let timeout = table.positive_duration("timeout");
        let late = table.duration("late");
        let max_answer = table.integer("max_answer_mib", 1..=1024);
        let login = login(table, base);
        let mut headers = Vec::new();
        for (name, node) in table.free("headers") {
            match header(name, node, base) {
                Ok(header) => headers.push(header),
                Err(fault) => table.fail(*fault),
            }
        }
        let ca = table.filled("ca").map(|path| base.join(path));
        if let (Some(node), Some(false)) = (table.get("ca"), endpoint.as_ref().map(|endpoint| endpoint.is_secure)) {
            table.fail(node.key_fault("`ca` has no meaning where `endpoint` is `http://`"));
        }
        if table.failed() {
            return None;
        }
        Some(Config {
            endpoint: endpoint?,
            timeout: timeout?,
            late: late?,
            max_answer: usize::try_from(max_answer?).ok()? << 20,
            login: login?,
            headers,
            ca,
        })
    }

    /// What a person should know of it although it works.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let has_secret =
            self.login != Login::None || self.headers.iter().any(|(_, field)| matches!(field, Field::Secret(_)));
        if !self.endpoint.is_secure && !self.endpoint.is_local() && has_secret {
            let place = self.endpoint.describe();
            doubts.push(format!("{place}: password, token or key can be read on the way; call it by `https://`"));
        }
        doubts
    }
}

fn login(table: &Table<'_>, base: &Path) -> Option<Login> {
    let basic = table.get("basic").map(|_| {
        let inner = table.table("basic", &BASIC)?;
        let username = inner.read("username", |node| match node.as_str() {
            Some(name) if !name.is_empty() && !name.contains([':', '\r', '\n']) => Ok(name.to_owned()),
            _ => Err("expected a name without `:`".to_owned()),
        });
        let password = SecretRef::read(&inner, "password", base);
        Some(Login::Basic { username: username?, password: password? })
    });
    let bearer = table.get("bearer").map(|_| SecretRef::read(table, "bearer", base).map(Login::Bearer));
    match (basic, bearer) {
        (Some(_), Some(_)) => {
            if let Some(node) = table.get("bearer") {
                table.fail(node.key_fault("a service takes `basic` or `bearer`, not both"));
            }
            None
        }
        (Some(login), None) | (None, Some(login)) => login,
        (None, None) => Some(Login::None),
    }
}

fn header(name: &str, node: &Node, base: &Path) -> Result<(HeaderName, Field), Box<Diagnostic>> {
    let fault = |message: String| Box::new(node.key_fault(message));
    let field: HeaderName = name.parse().map_err(|_| fault(format!("`{name}` is no name of a header field")))?;
    if OURS.contains(&field.as_str()) {
        return Err(fault(format!(
            "`{name}` is written by the service itself; for the account there are `basic` and `bearer`"
        )));
    }
    if node.as_table().is_some() {
        let secret = SecretRef::parse(node, base).map_err(|message| fault(format!("`{name}`: {message}")))?;
        return Ok((field, Field::Secret(secret)));
    }
    let text = node.as_str().ok_or_else(|| fault(format!("expected a string or {SHAPE}, found {}", node.kind())))?;
    if (looks_secret(field.as_str()) || is_login(text))
        && let Some(fault) = SecretRef::literal(name, node)
    {
        return Err(Box::new(fault));
    }
    let value = HeaderValue::from_str(text)
        .map_err(|_| fault(format!("the value of `{name}` cannot stand in a header field")))?;
    Ok((field, Field::Text(value)))
}

/// Words that stand in the names of header fields with credentials in them.
const SECRET_WORDS: [&str; 12] = [
    "apikey",
    "auth",
    "authentication",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "passphrase",
    "password",
    "pwd",
    "secret",
    "token",
];

/// Whether a field of this name, in lower case, has a credential: `x-api-key`, `ocp-apim-subscription-key`,
/// `x-auth-token`, `cookie`.
fn looks_secret(name: &str) -> bool {
    let mut words = name.split(['-', '_', '.']);
    let last = name.rsplit(['-', '_', '.']).next().unwrap_or(name);
    (last.ends_with("key") && name != "idempotency-key") || words.any(|word| SECRET_WORDS.contains(&word))
}

/// Whether a value is one of HTTP's ways to say who one is (RFC 7617, RFC 6750).
fn is_login(value: &str) -> bool {
    let scheme = value.trim_start().split_once(' ').map_or("", |(scheme, _)| scheme);
    ["basic", "bearer", "digest", "negotiate", "ntlm"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}
