//! A `soap` backend's settings.

mod account;
mod header;
mod login;
mod session;
mod wsse;

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use super::Version;
use crate::diagnostic::{Key, Presence, Section, Table};
use crate::secret::{SHAPE, SecretRef};
use wsse::flip;

pub use crate::web::Endpoint;
pub use account::{ACCOUNT, Account};
pub use login::{BASIC, Login, MTLS, NTLM, OAUTH2, OAuth2, Pem, Windows};
pub use session::{Carrier, SESSION, Session, Template};
pub use wsse::{SIGN, VERIFY, Verify, WSSE, Wsse};

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
            name: "soap",
            shape: "\"1.1\" | \"1.2\"",
            presence: Presence::Default("\"1.1\""),
            doc: "which SOAP is spoken where the WSDL has both, and by `doctor`; an `envelope` is of its own",
        },
        Key {
            name: "wsdl",
            shape: "path or URL",
            presence: Presence::Optional,
            doc: "what describes the service: a file beside the configuration, or `http://`, `https://`. The address that it names is not used: `endpoint` is",
        },
        Key {
            name: "wsdl_hosts",
            shape: "array of strings",
            presence: Presence::Default("[]"),
            doc: "hosts (`host` or `host:port`) beside that of `wsdl` from which schemas may be fetched that it imports; from others nothing is",
        },
        Key {
            name: "port",
            shape: "string",
            presence: Presence::Optional,
            doc: "the WSDL's port that is at `endpoint`, where several have an operation of the same name",
        },
        Key {
            name: "timeout",
            shape: "duration",
            presence: Presence::Default("\"10s\""),
            doc: "how long a call may take; whoever waits then gets 504. Of a poll: until its answer begins, and between two pieces of it",
        },
        Key {
            name: "late",
            shape: "duration",
            presence: Presence::Default("\"30s\""),
            doc: "how much longer its answer is waited for, since the service still works on it; the call counts as failed, and as lingering in its place until then, and for `settle` longer when no answer comes",
        },
        Key {
            name: "max_answer_mib",
            shape: "integer",
            presence: Presence::Default("16"),
            doc: "an answer of more MiB, unpacked, is not taken, 1 to 1024",
        },
        Key {
            name: "max_stream_mib",
            shape: "integer",
            presence: Presence::Default("4096"),
            doc: "the same for answers that are read while they come, 1 to 1048576",
        },
        Key {
            name: "compression",
            shape: "boolean",
            presence: Presence::Default("true"),
            doc: "tell the service that its answers may come compressed (gzip, deflate)",
        },
        Key { name: "basic", shape: "table", presence: Presence::Optional, doc: "user name and password: see below" },
        Key { name: "bearer", shape: SHAPE, presence: Presence::Optional, doc: "a token sent with each call" },
        Key {
            name: "oauth2",
            shape: "table",
            presence: Presence::Optional,
            doc: "a token that is asked for: see below",
        },
        Key {
            name: "ntlm",
            shape: "table",
            presence: Presence::Optional,
            doc: "a Windows account, as IIS asks for it: see below",
        },
        Key {
            name: "mtls",
            shape: "table",
            presence: Presence::Optional,
            doc: "a certificate by which the service knows us: see below",
        },
        Key { name: "wsse", shape: "table", presence: Presence::Optional, doc: "WS-Security: see below" },
        Key {
            name: "account",
            shape: "table",
            presence: Presence::Optional,
            doc: "an account in a block of SOAP's header, as services have it that know no WS-Security: see below",
        },
        Key {
            name: "refused",
            shape: "array of strings",
            presence: Presence::Default("[]"),
            doc: "codes of faults by which the service says that it does not take the account of `basic`, `wsse` or `account`, beside a 401 and those of WS-Security (`FailedAuthentication`, `InvalidSecurityToken`): after such an answer the account is left alone for a while, so that it is not locked",
        },
        Key {
            name: "session",
            shape: "table",
            presence: Presence::Optional,
            doc: "logging in by an operation: see below",
        },
        Key {
            name: "addressing",
            shape: "boolean",
            presence: Presence::Default("false"),
            doc: "send headers of WS-Addressing 1.0: To, Action (as the WSDL declares it, else that of SOAP, else by its rule), MessageID, and ReplyTo, which is this connection. What an answer says of addresses is not followed",
        },
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

/// What is sent as a header field of the operator's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// This text.
    Text(HeaderValue),
    /// The secret that is there.
    Secret(SecretRef),
}

/// Where a description of a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wsdl {
    /// In this file.
    File(PathBuf),
    /// At this URL.
    Url(Endpoint),
}

/// A `soap` backend's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where it is called.
    pub endpoint: Endpoint,
    /// The SOAP that is spoken where no envelope says which.
    pub soap_version: Version,
    /// How long a call may take.
    pub timeout: Duration,
    /// How much longer a late answer is waited for.
    pub late: Duration,
    /// The most bytes of an answer, unpacked.
    pub max_answer: usize,
    /// The most bytes of an answer that is read while it comes.
    pub max_stream: u64,
    /// Whether answers may come compressed.
    pub takes_compressed: bool,
    /// What describes the service: a path that starts at the configuration's folder, or a URL.
    pub wsdl: Option<Wsdl>,
    /// Hosts from which schemas may be fetched, in lower case.
    pub wsdl_hosts: Vec<String>,
    /// The port of the WSDL that is at the endpoint; any when absent.
    pub port: Option<String>,
    /// Who we are to it.
    pub login: Login,
    /// A certificate of ours.
    pub mtls: Option<Pem>,
    /// WS-Security.
    pub wsse: Option<Wsse>,
    /// An account in a block of SOAP's header.
    pub account: Option<Account>,
    /// Codes of faults that say that our account is not taken, beside those that all services have.
    pub refused: Vec<String>,
    /// Logging in.
    pub session: Option<Session>,
    /// Whether headers of WS-Addressing are sent.
    pub addressing: bool,
    /// Header fields beyond ours.
    pub headers: Vec<(HeaderName, Field)>,
    /// Who vouches for the server; the system's list when absent.
    pub ca: Option<PathBuf>,
}

impl Config {
    /// Of a service of which nothing but its address is known.
    pub fn of_endpoint(url: &str) -> Result<Config, String> {
        let endpoint = Endpoint::parse(url)?;
        Ok(Config {
            endpoint,
            soap_version: Version::V11,
            timeout: Duration::from_secs(10),
            late: Duration::from_secs(20),
            max_answer: 16 << 20,
            max_stream: 16 << 20,
            takes_compressed: true,
            wsdl: None,
            wsdl_hosts: Vec::new(),
            port: None,
            login: Login::None,
            mtls: None,
            wsse: None,
            account: None,
            refused: Vec::new(),
            session: None,
            addressing: false,
            headers: Vec::new(),
            ca: None,
        })
    }

    /// Reads the table; relative paths start at `base`. `None` after a fault was reported.
    pub fn read(table: &Table<'_>, base: &Path) -> Option<Config> {
        let endpoint = table.read("endpoint", |node| match node.as_str() {
            Some(text) => Endpoint::parse(text),
            None => Err(format!("expected a string, found {}", node.kind())),
        });
        let soap_version = table.one_of("soap", &[("1.1", Version::V11), ("1.2", Version::V12)]);
        let timeout = table.positive_duration("timeout");
        let late = table.duration("late");
        let max_answer = table.integer("max_answer_mib", 1..=1024);
        let max_stream = table.integer("max_stream_mib", 1..=1 << 20);
        let takes_compressed = table.boolean("compression");
        let wsdl = flip(table.get("wsdl").map(|_| {
            table.read("wsdl", |node| match node.as_str() {
                Some(text) if text.starts_with("http://") || text.starts_with("https://") => {
                    Endpoint::parse(text).map(Wsdl::Url)
                }
                Some(text) if !text.is_empty() => Ok(Wsdl::File(base.join(text))),
                _ => Err("expected a path or a URL".to_owned()),
            })
        }));
        let wsdl_hosts = table.strings("wsdl_hosts");
        let login = login::read(table, base);
        let mtls = flip(table.get("mtls").map(|_| Pem::read(&table.table("mtls", &MTLS)?, base)));
        let wsse = flip(table.get("wsse").map(|_| Wsse::read(&table.table("wsse", &WSSE)?, base)));
        let session = flip(table.get("session").map(|_| Session::read(&table.table("session", &SESSION)?, base)));
        let account = flip(table.get("account").map(|_| Account::read(&table.table("account", &ACCOUNT)?, base)));
        let refused = table.strings("refused");
        let port = table.filled("port");
        let addressing = table.boolean("addressing");
        let mut headers = Vec::new();
        for (name, node) in table.free("headers") {
            match header::read(name, node, base) {
                Ok(header) => headers.push(header),
                Err(fault) => table.fail(*fault),
            }
        }
        let ca = table.filled("ca").map(|path| base.join(path));
        for name in ["ca", "mtls"] {
            if let (Some(node), Some(false)) = (table.get(name), endpoint.as_ref().map(|endpoint| endpoint.is_secure)) {
                table.fail(node.key_fault(format!("`{name}` has no meaning where `endpoint` is `http://`")));
            }
        }
        if let (Some(Login::Ntlm(account)), Some(endpoint)) = (&login, &endpoint)
            && !endpoint.is_secure
            && !endpoint.is_local()
            && !account.over_http
            && let Some(node) = table.get("ntlm")
        {
            let fault = "over `http://` passwords can be guessed from what `ntlm` sends";
            table.fail(node.key_fault(fault).help("write `https://`, or `over_http = true` if that must be"));
        }
        if table.failed() {
            return None;
        }
        Some(Config {
            endpoint: endpoint?,
            soap_version: soap_version?,
            timeout: timeout?,
            late: late?,
            max_answer: usize::try_from(max_answer?).ok()? << 20,
            max_stream: u64::try_from(max_stream?).ok()? << 20,
            takes_compressed: takes_compressed?,
            wsdl: wsdl?,
            wsdl_hosts: wsdl_hosts?.into_iter().map(|host| host.to_ascii_lowercase()).collect(),
            login: login?,
            port,
            mtls: mtls?,
            wsse: wsse?,
            account: account?,
            refused: refused?,
            session: session?,
            addressing: addressing?,
            headers,
            ca,
        })
    }

    /// What a person should know of it although it works.
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let has_secret = self.login != Login::None
            || self.session.is_some()
            || self.account.is_some()
            || self.wsse.as_ref().is_some_and(|wsse| wsse.account.is_some())
            || self.headers.iter().any(|(_, field)| matches!(field, Field::Secret(_)));
        if !self.endpoint.is_secure && !self.endpoint.is_local() && has_secret {
            let place = self.endpoint.describe();
            doubts.push(format!("{place}: password, token or key can be read on the way; call it by `https://`"));
        }
        if let Login::OAuth2(oauth2) = &self.login
            && !oauth2.token_url.is_secure
            && !oauth2.token_url.is_local()
        {
            let place = oauth2.token_url.describe();
            doubts.push(format!("{place}: secret and token can be read on the way; call it by `https://`"));
        }
        doubts
    }
}
