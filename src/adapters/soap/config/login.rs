//! Who we are to a service, as HTTP knows it: `basic`, `bearer`, `oauth2`, `ntlm`, `mtls`.

use std::path::{Path, PathBuf};

use super::Endpoint;
use crate::diagnostic::{Key, Presence, Section, Table};
use crate::secret::{SHAPE, SecretRef};

/// Keys of `[backends.NAME.soap.basic]`.
pub static BASIC: Section = Section {
    path: "backends.NAME.soap.basic",
    doc: "HTTP basic authentication (RFC 7617).",
    keys: &[
        Key { name: "username", shape: "string", presence: Presence::Required, doc: "the account's name" },
        Key { name: "password", shape: SHAPE, presence: Presence::Required, doc: "where its password is" },
    ],
};

/// Keys of `[backends.NAME.soap.oauth2]`.
pub static OAUTH2: Section = Section {
    path: "backends.NAME.soap.oauth2",
    doc: "A token for which we ask with our own credentials (RFC 6749, client credentials). It is kept until shortly before its end, and asked for once more when the service answers 401.",
    keys: &[
        Key { name: "token_url", shape: "URL", presence: Presence::Required, doc: "where the token is asked for" },
        Key { name: "client_id", shape: "string", presence: Presence::Required, doc: "who asks" },
        Key { name: "client_secret", shape: SHAPE, presence: Presence::Required, doc: "where its secret is" },
        Key {
            name: "scope",
            shape: "string",
            presence: Presence::Optional,
            doc: "what it is asked for; several with blanks between",
        },
        Key {
            name: "audience",
            shape: "string",
            presence: Presence::Optional,
            doc: "for which service it is asked, where the server wants to know",
        },
        Key {
            name: "client",
            shape: "\"basic\" | \"body\"",
            presence: Presence::Default("\"basic\""),
            doc: "how id and secret are sent: by HTTP basic authentication, or in the body",
        },
        Key {
            name: "timeout",
            shape: "duration",
            presence: Presence::Default("\"10s\""),
            doc: "how long asking for it may take",
        },
        Key {
            name: "ca",
            shape: "path",
            presence: Presence::Optional,
            doc: "PEM file of the certificates that vouch for its server; those of the system when absent",
        },
    ],
};

/// Keys of `[backends.NAME.soap.ntlm]`.
pub static NTLM: Section = Section {
    path: "backends.NAME.soap.ntlm",
    doc: "A Windows account, as IIS asks for it (NTLMv2, over TLS bound to the server's certificate). A server that wants Kerberos and refuses NTLM is reached through a proxy that speaks it.",
    keys: &[
        Key {
            name: "username",
            shape: "string",
            presence: Presence::Required,
            doc: "the account: `'DOMAIN\\name'` (in single quotes), `name@domain.example`, or the name of an account of the server's own",
        },
        Key { name: "password", shape: SHAPE, presence: Presence::Required, doc: "where its password is" },
        Key {
            name: "over_http",
            shape: "boolean",
            presence: Presence::Default("false"),
            doc: "use it although `endpoint` is `http://`: whoever reads along can try passwords against what is sent for as long as he likes, and pass the call on as somebody else's",
        },
    ],
};

/// Keys of `[backends.NAME.soap.mtls]`.
pub static MTLS: Section = Section {
    path: "backends.NAME.soap.mtls",
    doc: "A certificate by which the service knows us (mutual TLS). Renewed files are in force for new connections after a minute.",
    keys: &PEM,
};

/// A certificate with its key.
pub(super) const PEM: [Key; 2] = [
    Key {
        name: "certificate",
        shape: "path",
        presence: Presence::Required,
        doc: "PEM file of the certificate, with those between it and its authority behind it",
    },
    Key {
        name: "key",
        shape: SHAPE,
        presence: Presence::Required,
        doc: "where its private key is, in PEM without a passphrase",
    },
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
    /// The bearer of a token that is asked for.
    OAuth2(Box<OAuth2>),
    /// An account of Windows.
    Ntlm(Windows),
}

/// An account of Windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Its name; with its domain where that is written behind an `@`.
    pub user: String,
    /// The domain that is written before it; empty when none is.
    pub domain: String,
    /// Where the password is.
    pub password: SecretRef,
    /// Whether it is used without TLS.
    pub over_http: bool,
}

/// Where tokens are asked for, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuth2 {
    /// Where.
    pub token_url: Endpoint,
    /// Who asks.
    pub client_id: String,
    /// With which secret.
    pub client_secret: SecretRef,
    /// For what.
    pub scope: Option<String>,
    /// For which service.
    pub audience: Option<String>,
    /// Whether id and secret go into the body.
    pub is_in_body: bool,
    /// How long it may take.
    pub timeout: std::time::Duration,
    /// Who vouches for the server.
    pub ca: Option<PathBuf>,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pem {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// Where the key is.
    pub key: SecretRef,
}

impl Pem {
    pub(super) fn read(table: &Table<'_>, base: &Path) -> Option<Pem> {
        let certificate = table.filled("certificate").map(|path| base.join(path));
        let key = SecretRef::read(table, "key", base);
        Some(Pem { certificate: certificate?, key: key? })
    }
}

/// The ways to say it. A service takes one.
const WAYS: [&str; 4] = ["basic", "bearer", "oauth2", "ntlm"];

pub(super) fn read(table: &Table<'_>, base: &Path) -> Option<Login> {
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
    let oauth2 = table.get("oauth2").map(|_| {
        let inner = table.table("oauth2", &OAUTH2)?;
        read_oauth2(&inner, base).map(Box::new).map(Login::OAuth2)
    });
    let ntlm = table.get("ntlm").map(|_| {
        let inner = table.table("ntlm", &NTLM)?;
        let username = inner.read("username", |node| windows(node.as_str()));
        let password = SecretRef::read(&inner, "password", base);
        let over_http = inner.boolean("over_http");
        let (domain, user) = username?;
        Some(Login::Ntlm(Windows { user, domain, password: password?, over_http: over_http? }))
    });
    let written: Vec<&str> = WAYS.into_iter().filter(|way| table.has(way)).collect();
    if let [first, .., last] = written.as_slice() {
        if let Some(node) = table.get(last) {
            table.fail(node.key_fault(format!("a service takes `{first}` or `{last}`, not both")));
        }
        return None;
    }
    basic.or(bearer).or(oauth2).or(ntlm).unwrap_or(Some(Login::None))
}

/// Domain and name of a Windows account.
fn windows(text: Option<&str>) -> Result<(String, String), String> {
    let wrong = "expected 'DOMAIN\\name', name@domain or a name";
    let text = text.filter(|text| !text.chars().any(char::is_control)).ok_or(wrong)?;
    let (domain, user) = match text.split_once('\\') {
        Some(("", _)) => return Err(wrong.to_owned()),
        Some(parts) => parts,
        None => ("", text),
    };
    let is_one = !user.is_empty() && !user.contains('\\');
    if is_one { Ok((domain.to_owned(), user.to_owned())) } else { Err(wrong.to_owned()) }
}

fn read_oauth2(table: &Table<'_>, base: &Path) -> Option<OAuth2> {
    let token_url = table.read("token_url", |node| match node.as_str() {
        Some(text) => Endpoint::parse(text),
        None => Err(format!("expected a string, found {}", node.kind())),
    });
    let client_id = table.filled("client_id");
    let client_secret = SecretRef::read(table, "client_secret", base);
    let (scope, audience) = (table.filled("scope"), table.filled("audience"));
    let is_in_body = table.one_of("client", &[("basic", false), ("body", true)]);
    let timeout = table.positive_duration("timeout");
    let ca = table.filled("ca").map(|path| base.join(path));
    Some(OAuth2 {
        token_url: token_url?,
        client_id: client_id?,
        client_secret: client_secret?,
        scope,
        audience,
        is_in_body: is_in_body?,
        timeout: timeout?,
        ca,
    })
}
