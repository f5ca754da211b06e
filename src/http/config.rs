//! `[server]` and `[auth]`: where the listeners are, what a request may cost, and who may call.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::auth::KnownCertificate;
use super::auth::token::IssuerConfig;
use super::cors::{CORS, Cors};
use super::proxies::{Proxies, Told};
use super::tls::{TLS, TlsConfig};
use crate::diagnostic::{Faults, Key, Node, Presence, Section, SourceText, Table, parse};

const fn key(name: &'static str, shape: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { name, shape, presence: Presence::Default(default), doc }
}

/// `[server]`.
pub static SERVER: Section = Section {
    path: "server",
    doc: "The listeners and what one request or connection may cost.",
    keys: &[
        key("listen", "address:port", "\"127.0.0.1:8080\"", "where the REST API listens"),
        key(
            "admin_listen",
            "address:port",
            "\"127.0.0.1:8081\"",
            "where console, admin API and `/metrics` listen. Open to everyone on a loopback address; elsewhere \
             every request needs an API key with the scope `admin`",
        ),
        key("request_timeout", "duration", "\"30s\"", "an answer that takes longer becomes a 504 problem"),
        key(
            "header_timeout",
            "duration",
            "\"10s\"",
            "a request's head must arrive within this time; also how long an idle connection is kept",
        ),
        key("write_timeout", "duration", "\"30s\"", "a connection whose peer takes no byte for so long is closed"),
        key(
            "shutdown_timeout",
            "duration",
            "\"30s\"",
            "on shutdown, requests in flight have this long to finish before they are cut off",
        ),
        key("max_connections", "integer", "1024", "connections per listener; more wait to be accepted"),
        key("max_body", "size", "\"1MiB\"", "a larger request body is a 413 problem"),
        key("page_size", "integer", "100", "records on a page when the caller sets no `limit`"),
        key("max_page_size", "integer", "1000", "the largest `limit` a caller may set"),
        Key {
            name: "tls",
            shape: "table",
            presence: Presence::Optional,
            doc: "listen with TLS; without it, a proxy has to",
        },
        key(
            "trusted_proxies",
            "array of addresses and networks",
            "[]",
            "proxies whose word counts about whose request it is, like `[\"10.0.0.0/8\"]`: of what they tell the right-most \
             address that is none of theirs",
        ),
        key(
            "forwarded",
            "\"x-forwarded-for\" | \"forwarded\"",
            "\"x-forwarded-for\"",
            "the field in which these proxies tell it; the other one is not read",
        ),
        key("docs", "boolean", "true", "serve `/docs` and `/openapi.json`, which need no key"),
        key(
            "heartbeat",
            "duration",
            "\"15s\"",
            "a follower of changes hears at least so often that the connection lives",
        ),
        Key {
            name: "cors",
            shape: "table",
            presence: Presence::Optional,
            doc: "which pages of other origins may call from a browser",
        },
    ],
};

/// `[auth]`.
pub static AUTH: Section = Section {
    path: "auth",
    doc: "Who may call the REST API. Keys are made with `tollbridge keys create`; `[auth.oidc]` names issuers of tokens.",
    keys: &[
        key("api_keys", "boolean", "true", "callers send `Authorization: Bearer KEY`"),
        Key {
            name: "oidc",
            shape: "table or array of tables",
            presence: Presence::Optional,
            doc: "callers send `Authorization: Bearer TOKEN`, a token of this issuer",
        },
        Key {
            name: "certificates",
            shape: "array of tables",
            presence: Presence::Optional,
            doc: "callers show a certificate",
        },
        Key {
            name: "anonymous",
            shape: "array of scopes",
            presence: Presence::Optional,
            doc: "what callers without a key may do, like `[\"read\"]`; only accepted while `server.listen` is a \
                  loopback address",
        },
        Key {
            name: "demo_key",
            shape: "path",
            presence: Presence::Optional,
            doc: "for demos: a file that keeps a key for reading and writing, made on the first start, so that the service can \
                  print a request that works; only accepted while `server.listen` is a loopback address",
        },
    ],
};

/// Settings of `[server]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The facade.
    pub listen: SocketAddr,
    /// The console.
    pub admin_listen: SocketAddr,
    /// For the whole of an answer up to its first byte.
    pub request_timeout: Duration,
    /// For a request's head, and for idle connections.
    pub header_timeout: Duration,
    /// Without progress in sending.
    pub write_timeout: Duration,
    /// For what is in flight on shutdown.
    pub shutdown_timeout: Duration,
    /// Per listener.
    pub max_connections: usize,
    /// Bytes of a request's body.
    pub max_body: usize,
    /// Default `limit`.
    pub page_size: usize,
    /// Largest `limit`.
    pub max_page_size: usize,
    /// Whether `/docs` and `/openapi.json` are there.
    pub docs: bool,
    /// The longest silence towards a follower of changes.
    pub heartbeat: Duration,
    /// Which pages may call from a browser.
    pub cors: Option<Cors>,
    /// What is listened with, where that is TLS.
    pub tls: Option<TlsConfig>,
    /// Whose word counts about whose request it is.
    pub proxies: Proxies,
}

/// Settings of `[auth]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// Whether API keys are taken.
    pub api_keys: bool,
    /// Whose tokens are taken.
    pub issuers: Vec<IssuerConfig>,
    /// Whose the certificates are that callers show.
    pub certificates: Vec<KnownCertificate>,
    /// Scopes of callers without a key.
    pub anonymous: Vec<String>,
    /// The file that keeps a demo's key, as written.
    pub demo_key: Option<String>,
}

impl ServerConfig {
    /// Reads `[server]`; `None` after reporting what is wrong. Relative paths start at `base`.
    pub fn read(table: &Table<'_>, base: &Path) -> Option<ServerConfig> {
        let positive = |name: &'static str| {
            table.duration(name).filter(|time| {
                if time.is_zero()
                    && let Some(node) = table.get(name)
                {
                    table.fail(node.fault(format!("`{name}` must be longer than nothing")));
                }
                !time.is_zero()
            })
        };
        let listen = table.read("listen", address);
        let admin_listen = table.read("admin_listen", address);
        let request_timeout = positive("request_timeout");
        let header_timeout = positive("header_timeout");
        let write_timeout = positive("write_timeout");
        let shutdown_timeout = table.duration("shutdown_timeout");
        let max_connections = count(table, "max_connections", 1_000_000);
        let max_body = table.read("max_body", size);
        let page_size = count(table, "page_size", 10_000);
        let max_page_size = count(table, "max_page_size", 10_000);
        let docs = table.boolean("docs");
        let heartbeat = positive("heartbeat");
        let cors = table.table("cors", &CORS).and_then(|table| Cors::read(&table));
        let tls = table.get("tls").map(|_| table.table("tls", &TLS).and_then(|tls| TlsConfig::read(&tls, base)));
        let words = [("x-forwarded-for", Told::XForwardedFor), ("forwarded", Told::Forwarded)];
        let told = table.one_of("forwarded", &words);
        let proxies = table.read("trusted_proxies", |node| Proxies::read(node, told.unwrap_or_default()));
        if let (Some(page), Some(max)) = (page_size, max_page_size)
            && page > max
        {
            let node = table.get("page_size").or_else(|| table.get("max_page_size")).unwrap_or(table.node());
            let fault = node.fault(format!("`page_size` ({page}) is larger than `max_page_size` ({max})"));
            table.fail(fault.help("lower the one or raise the other"));
        }
        if table.failed() {
            return None;
        }
        Some(ServerConfig {
            listen: listen?,
            admin_listen: admin_listen?,
            request_timeout: request_timeout?,
            header_timeout: header_timeout?,
            write_timeout: write_timeout?,
            shutdown_timeout: shutdown_timeout?,
            max_connections: max_connections?,
            max_body: max_body?,
            page_size: page_size?,
            max_page_size: max_page_size?,
            docs: docs?,
            heartbeat: heartbeat?,
            cors,
            tls: match tls {
                Some(read) => Some(read?),
                None => None,
            },
            proxies: proxies?,
        })
    }
}

impl AuthConfig {
    /// Whether the clients of tokens are called like this, and nobody else is to be.
    pub fn is_of_tokens(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let prefixes = self.issuers.iter().map(|issuer| issuer.client_prefix.to_lowercase());
        prefixes.filter(|prefix| !prefix.is_empty()).any(|prefix| name.starts_with(&prefix))
    }

    /// Whether callers can say who they are.
    pub fn asks_who(&self) -> bool {
        self.api_keys || !self.issuers.is_empty() || !self.certificates.is_empty()
    }

    /// Reads `[auth]`; `None` after reporting what is wrong. Relative paths start at `base`.
    pub fn read(table: &Table<'_>, base: &Path) -> Option<AuthConfig> {
        let api_keys = table.boolean("api_keys");
        let issuers = IssuerConfig::read_all(table, base);
        let certificates = KnownCertificate::read_all(table);
        let anonymous = table.strings("anonymous").unwrap_or_default();
        let demo_key = table.filled("demo_key");
        if let Some(bad) = anonymous.iter().find(|scope| !super::auth::is_scope(scope))
            && let Some(node) = table.get("anonymous")
        {
            table.fail(node.fault(format!("`{bad}` is no scope")).help("scopes look like `read` or `orders:read`"));
        }
        if anonymous.iter().any(|scope| scope == "*" || scope == "admin")
            && let Some(node) = table.get("anonymous")
        {
            table.fail(node.fault("`anonymous` cannot be everything").help("name what callers may do: [\"read\"]"));
        }
        if table.failed() {
            return None;
        }
        Some(AuthConfig { api_keys: api_keys?, issuers: issuers?, certificates: certificates?, anonymous, demo_key })
    }
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        defaults(&SERVER, |table| ServerConfig::read(table, Path::new("")))
    }
}

impl Default for AuthConfig {
    fn default() -> AuthConfig {
        defaults(&AUTH, |table| AuthConfig::read(table, Path::new("")))
    }
}

#[expect(clippy::expect_used, reason = "the defaults are constants of this file, and a test reads them")]
fn defaults<T>(section: &'static Section, read: fn(&Table<'_>) -> Option<T>) -> T {
    let source = SourceText::new("defaults".as_ref(), String::new());
    let faults = Faults::new();
    let root = parse(&source, &faults);
    Table::new(&root, section, &faults).and_then(|table| read(&table)).expect("defaults are valid")
}

fn count(table: &Table<'_>, name: &'static str, most: i64) -> Option<usize> {
    table.integer(name, 1..=most).and_then(|number| usize::try_from(number).ok())
}

fn address(node: &Node) -> Result<SocketAddr, String> {
    let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric.parse().map_err(|_| {
        format!("`{text}` is not an IP address and port like \"127.0.0.1:8080\", \"0.0.0.0:8080\" or \"[::1]:8080\"")
    })
}

/// Bytes, with one of the units `B KiB MiB GiB`.
fn size(node: &Node) -> Result<usize, String> {
    let text = node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes = factor.and_then(|factor: usize| number.parse::<usize>().ok()?.checked_mul(factor));
    bytes.ok_or_else(|| format!("`{text}` is no size like \"64KiB\" or \"1MiB\""))
}

/// Why the listeners cannot be opened as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenerFault {
    /// Nobody is asked who they are, and everyone can reach the listener.
    #[error(
        "`server.listen` = {0} can be reached from other machines while `auth.api_keys` is off; \
         set `api_keys = true` or listen on 127.0.0.1"
    )]
    OpenToTheNetwork(SocketAddr),
    /// Anonymous callers, and everyone can reach the listener.
    #[error(
        "`auth.anonymous` is only accepted on a loopback listener, and `server.listen` = {0} can be reached from \
         other machines; remove `anonymous` or listen on 127.0.0.1"
    )]
    AnonymousFromTheNetwork(SocketAddr),
    /// The admin listener can be reached, and there are no keys to ask for.
    #[error(
        "`server.admin_listen` = {0} can be reached from other machines, which needs keys with the scope `admin`; \
         set `auth.api_keys = true` or listen on 127.0.0.1"
    )]
    AdminOpenToTheNetwork(SocketAddr),
    /// A key printed at every start, and everyone can reach the listener.
    #[error(
        "`auth.demo_key` is only accepted on a loopback listener, and `server.listen` = {0} can be reached from \
         other machines; remove `demo_key` and make a key with `tollbridge keys create`"
    )]
    DemoKeyFromTheNetwork(SocketAddr),
    /// No keys and no anonymous scopes.
    #[error("`auth.api_keys` is off and `auth.anonymous` is empty, so nobody could call; set `anonymous = [\"read\"]`")]
    NobodyMayCall,
    /// Certificates are known, and nobody vouches for them.
    #[error(
        "`auth.certificates` needs `server.tls` with a `client_ca`: without an authority that vouches for them no \
         certificate is taken"
    )]
    CertificatesOfNobody,
    /// Both listeners at one place.
    #[error("`server.listen` and `server.admin_listen` are both {0}; give the admin listener a port of its own")]
    SameAddress(SocketAddr),
}

impl ListenerFault {
    /// The key to point at: section and name.
    pub fn key(&self) -> (&'static str, &'static str) {
        match self {
            ListenerFault::OpenToTheNetwork(_) => ("server", "listen"),
            ListenerFault::AnonymousFromTheNetwork(_) => ("auth", "anonymous"),
            ListenerFault::DemoKeyFromTheNetwork(_) => ("auth", "demo_key"),
            ListenerFault::AdminOpenToTheNetwork(_) | ListenerFault::SameAddress(_) => ("server", "admin_listen"),
            ListenerFault::CertificatesOfNobody => ("auth", "certificates"),
            ListenerFault::NobodyMayCall => ("auth", "api_keys"),
        }
    }
}

/// All that forbids opening the listeners; nothing may listen unless this is empty.
pub fn check_listeners(server: &ServerConfig, auth: &AuthConfig) -> Vec<ListenerFault> {
    let mut faults = Vec::new();
    let (listen, admin) = (server.listen, server.admin_listen);
    if !is_loopback(listen.ip()) && !auth.asks_who() {
        faults.push(ListenerFault::OpenToTheNetwork(listen));
    }
    if !is_loopback(listen.ip()) && !auth.anonymous.is_empty() {
        faults.push(ListenerFault::AnonymousFromTheNetwork(listen));
    }
    if !is_loopback(listen.ip()) && auth.demo_key.is_some() {
        faults.push(ListenerFault::DemoKeyFromTheNetwork(listen));
    }
    if !is_loopback(admin.ip()) && !auth.asks_who() {
        faults.push(ListenerFault::AdminOpenToTheNetwork(admin));
    }
    if !auth.asks_who() && auth.anonymous.is_empty() {
        faults.push(ListenerFault::NobodyMayCall);
    }
    let has_authority = server.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if !auth.certificates.is_empty() && !has_authority {
        faults.push(ListenerFault::CertificatesOfNobody);
    }
    if listen == admin && listen.port() != 0 {
        faults.push(ListenerFault::SameAddress(listen));
    }
    faults
}

/// True for 127.0.0.0/8 and ::1, also written as an IPv4 address within IPv6.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::{AUTH, AuthConfig, ListenerFault, SERVER, ServerConfig, check_listeners};
    use crate::diagnostic::{Faults, SourceText, Table, parse};
    use std::path::Path;

    fn faults_of(text: &str, server: bool) -> Vec<String> {
        let source = SourceText::new(Path::new("t.toml"), text.to_owned());
        let faults = Faults::new();
        let root = parse(&source, &faults);
        let section = if server { &SERVER } else { &AUTH };
        if let Some(table) = Table::new(&root, section, &faults) {
            let auth = |table| AuthConfig::read(table, Path::new("")).is_some();
            let read = if server { ServerConfig::read(&table, Path::new("")).is_some() } else { auth(&table) };
            assert_eq!(read, faults.is_empty());
        }
        faults.into_sorted().iter().map(|fault| fault.message.clone()).collect()
    }

    #[test]
    fn defaults_are_valid_and_safe() {
        let (server, auth) = (ServerConfig::default(), AuthConfig::default());
        assert_eq!((server.page_size, server.max_page_size, server.max_body), (100, 1000, 1 << 20));
        assert!(auth.api_keys && auth.anonymous.is_empty());
        assert_eq!(check_listeners(&server, &auth), []);
    }

    #[test]
    fn bad_settings_say_what_is_wrong() {
        let check = |text: &str, server: bool, part: &str| {
            let faults = faults_of(text, server);
            assert!(faults.iter().any(|fault| fault.contains(part)), "{text}: {faults:?}");
        };
        check("listen = \"erp-bridge:80\"", true, "is not an IP address and port");
        check("max_body = \"1MB\"", true, "is no size");
        check("max_body = \"99999999999999999999GiB\"", true, "is no size");
        check("page_size = 500\nmax_page_size = 100", true, "larger than `max_page_size`");
        check("header_timeout = \"0s\"", true, "longer than nothing");
        check("trusted_proxies = [\"proxy.example\"]", true, "no address or network");
        check("[tls]\ncert = \"c\"", true, "`server.tls` has no `key`");
        check("[tls]\ncert = \"c\"\nkey = \"-----BEGIN PRIVATE KEY-----\"", true, "a secret is not written here");
        check("[tls]\ncert = \"c\"\nkey = \"k\"\nclient_certificates = \"required\"", true, "needs `client_ca`");
        check("[[certificates]]\nclient = \"a\"", false, "needs one of `dns`");
        check("[[certificates]]\nclient = \"anonymous\"\ndns = \"x\"", false, "cannot be a client's name");
        check("[[certificates]]\nclient = \"a\"\nfingerprint = \"12\"", false, "64 digits");
        check("[oidc]\nissuer = \"http://id.example\"\naudience = \"a\"", false, "over `http://` anybody");
        check("[oidc]\nissuer = \"https://id.example\"", false, "`auth.oidc` has no `audience`");
        check("[oidc]\nissuer = \"https://a\"\naudience = \"a\"\nalgorithms = [\"HS256\"]", false, "never taken");
        check("[oidc]\nissuer = \"https://a\"\naudience = []", false, "names nobody");
        check("anonymous = [\"*\"]", false, "cannot be everything");
        check("anonymous = [\"re ad\"]", false, "is no scope");
        assert_eq!(faults_of("listen = \"localhost:80\"\nadmin_listen = \"[::1]:81\"", true), Vec::<String>::new());
    }

    #[test]
    fn listeners_beyond_loopback_need_authentication() {
        let check = |listen: &str, admin: &str, api_keys: bool, anonymous: &[&str], expected: &[ListenerFault]| {
            let (listen, admin_listen) = (listen.parse().unwrap(), admin.parse().unwrap());
            let server = ServerConfig { listen, admin_listen, ..ServerConfig::default() };
            let anonymous = anonymous.iter().map(|scope| (*scope).to_owned()).collect();
            assert_eq!(
                check_listeners(&server, &AuthConfig { api_keys, anonymous, ..AuthConfig::default() }),
                expected,
                "{listen}"
            );
        };
        let open = "0.0.0.0:80".parse().unwrap();
        check("127.0.0.1:80", "127.0.0.1:81", true, &[], &[]);
        check("[::ffff:127.0.0.1]:80", "[::1]:81", false, &["read"], &[]);
        check("0.0.0.0:80", "127.0.0.1:81", true, &[], &[]);
        check(
            "0.0.0.0:80",
            "127.0.0.1:81",
            false,
            &[],
            &[ListenerFault::OpenToTheNetwork(open), ListenerFault::NobodyMayCall],
        );
        check("0.0.0.0:80", "127.0.0.1:81", true, &["read"], &[ListenerFault::AnonymousFromTheNetwork(open)]);
        check("127.0.0.1:81", "0.0.0.0:80", true, &[], &[]);
        check("127.0.0.1:81", "0.0.0.0:80", false, &["read"], &[ListenerFault::AdminOpenToTheNetwork(open)]);
        check(
            "127.0.0.1:80",
            "127.0.0.1:80",
            true,
            &[],
            &[ListenerFault::SameAddress("127.0.0.1:80".parse().unwrap())],
        );
        check("127.0.0.1:0", "127.0.0.1:0", true, &[], &[]);
    }
}
