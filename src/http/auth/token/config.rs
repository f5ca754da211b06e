//! `[auth.oidc]`: whose tokens are taken, and what they may.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::algorithm::Algorithm;
use crate::diagnostic::{Key, Node, Presence, Section, Table};
use crate::http::auth::is_scope;
use crate::secret::{SHAPE, SecretRef};
use crate::web::Endpoint;

/// `[auth.oidc]`.
pub static OIDC: Section = Section {
    path: "auth.oidc",
    doc: "Callers may send an access token of this issuer (a JWT, RFC 9068) as `Authorization: Bearer TOKEN`. Several issuers are written as `[[auth.oidc]]`. Keys are looked up by OpenID Connect discovery unless `jwks_url` or `jwks_file` says where they are; while the issuer cannot be reached, the last keys go on.",
    keys: &[
        Key {
            name: "issuer",
            shape: "URL",
            presence: Presence::Required,
            doc: "who signs: exactly what `iss` says. `https://`, or `http://` on this machine",
        },
        Key {
            name: "audience",
            shape: "string or array of strings",
            presence: Presence::Required,
            doc: "whom tokens are for: `aud` must have one of these",
        },
        Key {
            name: "scopes_claim",
            shape: "path",
            presence: Presence::Default("\"scope\""),
            doc: "the claim that has the scopes, as text with blanks between or as an array: `scope`, `scp`, `realm_access.roles`",
        },
        Key {
            name: "scopes",
            shape: "table",
            presence: Presence::Optional,
            doc: "what the values of that claim mean here, like `{ \"erp-reader\" = [\"orders:read\"] }`; values that it does not list mean nothing. Without it they are scopes as they stand, other than `*` and `admin`, which only this table gives",
        },
        Key {
            name: "client_claim",
            shape: "path",
            presence: Presence::Optional,
            doc: "the claim that names the client, for rates, fairness and the audit; the first of `client_id`, `azp`, `sub` when absent",
        },
        Key {
            name: "client_prefix",
            shape: "string",
            presence: Presence::Default("\"oidc:\""),
            doc: "stands before that name, so that nobody gets the name of an API key: `[clients.\"oidc:webshop\"]`. \"\" shares names with API keys",
        },
        Key {
            name: "algorithms",
            shape: "array of strings",
            presence: Presence::Default("[\"RS256\", \"PS256\", \"ES256\", \"ES384\", \"EdDSA\"]"),
            doc: "the signature algorithms that are taken, of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA",
        },
        Key {
            name: "typ",
            shape: "string",
            presence: Presence::Optional,
            doc: "what `typ` of a token's header must be, like `at+jwt`; when absent, `at+jwt`, `JWT` or nothing",
        },
        Key {
            name: "leeway",
            shape: "duration",
            presence: Presence::Default("\"30s\""),
            doc: "by how much clocks may differ, 5 minutes at most",
        },
        Key {
            name: "remember",
            shape: "duration",
            presence: Presence::Default("\"5m\""),
            doc: "for how long a checked token is believed without being checked again, and never beyond its end; 1 hour at most",
        },
        Key {
            name: "jwks_url",
            shape: "URL",
            presence: Presence::Optional,
            doc: "where the issuer's keys are, without discovery",
        },
        Key {
            name: "jwks_file",
            shape: "path",
            presence: Presence::Optional,
            doc: "a file with the issuer's keys; it is read again like a URL is asked again",
        },
        Key {
            name: "refresh",
            shape: "duration",
            presence: Presence::Default("\"10m\""),
            doc: "how old keys may be before they are asked for again, beside the requests",
        },
        Key {
            name: "retry",
            shape: "duration",
            presence: Presence::Default("\"30s\""),
            doc: "keys are asked for at most so often, whatever tokens name as their key",
        },
        Key {
            name: "keep_keys",
            shape: "duration",
            presence: Presence::Default("\"24h\""),
            doc: "for how long the last keys go on while the issuer cannot be reached",
        },
        Key {
            name: "timeout",
            shape: "duration",
            presence: Presence::Default("\"5s\""),
            doc: "how long asking the issuer may take",
        },
        Key {
            name: "ca",
            shape: "path",
            presence: Presence::Optional,
            doc: "PEM file of the certificates that vouch for its server; those of the system when absent",
        },
        Key {
            name: "introspection",
            shape: "table",
            presence: Presence::Optional,
            doc: "tokens that are no JWT are asked for at the issuer",
        },
    ],
};

/// `[auth.oidc.introspection]`.
pub static INTROSPECTION: Section = Section {
    path: "auth.oidc.introspection",
    doc: "Asks the issuer whether a token is good that is no JWT (RFC 7662). One issuer may have it.",
    keys: &[
        Key {
            name: "url",
            shape: "URL",
            presence: Presence::Optional,
            doc: "where is asked; as discovery says when absent",
        },
        Key { name: "client_id", shape: "string", presence: Presence::Required, doc: "who asks" },
        Key { name: "client_secret", shape: SHAPE, presence: Presence::Required, doc: "where its secret is" },
        Key {
            name: "cache",
            shape: "duration",
            presence: Presence::Default("\"30s\""),
            doc: "for how long an answer is believed: a revoked token works so much longer; 5 minutes at most",
        },
    ],
};

/// An issuer whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerConfig {
    /// Who signs, as `iss` says.
    pub issuer: String,
    /// Whom tokens are for.
    pub audience: Vec<String>,
    /// The path of the claim with scopes.
    pub scopes_claim: Vec<String>,
    /// What its values mean; `None` when they are scopes.
    pub scopes: Option<BTreeMap<String, Vec<String>>>,
    /// The path of the claim with the client's name.
    pub client_claim: Option<Vec<String>>,
    /// Stands before the client's name.
    pub client_prefix: String,
    /// What may have signed.
    pub algorithms: Vec<Algorithm>,
    /// The `typ` that is demanded, in lower case and without `application/`.
    pub kind: Option<String>,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// For how long a checked token is believed.
    pub remember: Duration,
    /// Where its keys are.
    pub keys: KeysAt,
    /// How old keys may be.
    pub refresh: Duration,
    /// Between two times of asking for keys.
    pub retry: Duration,
    /// For how long old keys go on.
    pub keep_keys: Duration,
    /// How long asking may take.
    pub timeout: Duration,
    /// Who vouches for its server.
    pub ca: Option<PathBuf>,
    /// Where tokens are asked for that are no JWT.
    pub introspection: Option<IntrospectionConfig>,
}

/// Where keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysAt {
    /// As the document at this address says.
    Discovery(Endpoint),
    /// At this address.
    Url(Endpoint),
    /// In this file.
    File(PathBuf),
}

/// How tokens are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntrospectionConfig {
    /// Where; as discovery says when `None`.
    pub url: Option<Endpoint>,
    /// Who asks.
    pub client_id: String,
    /// With which secret.
    pub client_secret: SecretRef,
    /// For how long an answer is believed.
    pub cache: Duration,
}

/// Clocks that differ by more are wrong.
const MOST_LEEWAY: Duration = Duration::from_secs(300);

impl IssuerConfig {
    /// Reads `oidc` of `[auth]`: one table, or an array of them. `None` after reporting what is wrong.
    pub fn read_all(auth: &Table<'_>, base: &Path) -> Option<Vec<IssuerConfig>> {
        let Some(node) = auth.get("oidc") else { return Some(Vec::new()) };
        let tables = match node.as_array() {
            Some(_) => auth.tables("oidc", &OIDC),
            None => auth.table("oidc", &OIDC).into_iter().collect(),
        };
        let written = node.as_array().map_or(1, <[Node]>::len);
        let issuers: Vec<IssuerConfig> = tables.iter().filter_map(|table| IssuerConfig::read(table, base)).collect();
        if issuers.len() < written {
            return None;
        }
        for (number, issuer) in issuers.iter().enumerate() {
            if issuers.iter().take(number).any(|other| other.issuer == issuer.issuer) {
                auth.fail(node.key_fault(format!("issuer `{}` stands in `auth.oidc` twice", issuer.issuer)));
                return None;
            }
        }
        if issuers.iter().filter(|issuer| issuer.introspection.is_some()).count() > 1 {
            let fault = node.key_fault("two issuers have `introspection`");
            auth.fail(fault.help("a token that is no JWT does not say whose it is: ask one issuer"));
            return None;
        }
        Some(issuers)
    }

    fn read(table: &Table<'_>, base: &Path) -> Option<IssuerConfig> {
        let at = table.read("issuer", |node| {
            let text = text_of(node)?;
            let endpoint = url(node)?;
            if text.contains(['?', '#']) {
                return Err(format!("`{text}` has more than a path, which no issuer has"));
            }
            let discovery = format!("{}/.well-known/openid-configuration", text.trim_end_matches('/'));
            Ok((text.to_owned(), endpoint.is_secure, Endpoint::parse(&discovery)?))
        });
        let audience = table.strings("audience");
        if let (Some([]), Some(node)) = (audience.as_deref(), table.get("audience")) {
            table.fail(node.fault("`audience` names nobody").help("tokens for others must not be taken"));
        }
        let scopes_claim = table.read("scopes_claim", claim);
        let client_claim = table.read("client_claim", claim);
        let client_prefix = table.read("client_prefix", |node| match text_of(node)? {
            text if text.chars().count() <= 40 && !text.chars().any(char::is_control) => Ok(text.to_owned()),
            _ => Err("at most 40 printable characters".to_owned()),
        });
        let scopes = table.get("scopes").map(|_| scopes(table));
        let algorithms = table.read("algorithms", algorithms);
        let kind = table.filled("typ").map(|kind| kind.to_ascii_lowercase());
        let kind = kind.map(|kind| kind.strip_prefix("application/").map(str::to_owned).unwrap_or(kind));
        let leeway = table.duration_up_to("leeway", MOST_LEEWAY);
        let remember = table.duration_up_to("remember", Duration::from_secs(3600));
        let refresh = table.positive_duration("refresh");
        let retry = table.positive_duration("retry");
        let keep_keys = table.duration("keep_keys");
        let timeout = table.positive_duration("timeout");
        let ca = table.filled("ca").map(|path| base.join(path));
        let jwks_url = table.read("jwks_url", url);
        let jwks_file = table.filled("jwks_file").map(|path| base.join(path));
        if let (true, Some(node)) = (table.has("jwks_url"), table.get("jwks_file")) {
            table.fail(node.key_fault("keys are at `jwks_url` or in `jwks_file`, not both"));
        }
        let introspection = table.get("introspection").map(|_| {
            let inner = table.table("introspection", &INTROSPECTION)?;
            IntrospectionConfig::read(&inner, base)
        });
        if let (Some(refresh), Some(keep), Some(node)) = (refresh, keep_keys, table.get("keep_keys"))
            && keep < refresh
        {
            table.fail(node.fault("`keep_keys` is shorter than `refresh`: there would be no keys in between"));
        }
        if table.failed() {
            return None;
        }
        let (issuer, _, discovery) = at?;
        let keys = match (jwks_url, jwks_file) {
            (_, Some(file)) => KeysAt::File(file),
            (Some(url), _) => KeysAt::Url(url),
            (None, None) => KeysAt::Discovery(discovery),
        };
        let introspection = match introspection {
            Some(read) => Some(read?),
            None => None,
        };
        if let (Some(IntrospectionConfig { url: None, .. }), KeysAt::Url(_) | KeysAt::File(_)) = (&introspection, &keys)
            && let Some(node) = table.get("introspection")
        {
            table.fail(node.key_fault("without discovery, `introspection` needs its `url`"));
            return None;
        }
        let scopes = match scopes {
            Some(read) => Some(read?),
            None => None,
        };
        Some(IssuerConfig {
            issuer,
            audience: audience?,
            scopes_claim: scopes_claim?,
            scopes,
            client_claim,
            client_prefix: client_prefix?,
            algorithms: algorithms?,
            kind,
            leeway: leeway?,
            remember: remember?,
            keys,
            refresh: refresh?,
            retry: retry?,
            keep_keys: keep_keys?,
            timeout: timeout?,
            ca,
            introspection,
        })
    }
}

impl IntrospectionConfig {
    fn read(table: &Table<'_>, base: &Path) -> Option<IntrospectionConfig> {
        let at = table.read("url", url);
        let client_id = table.filled("client_id");
        let client_secret = SecretRef::read(table, "client_secret", base);
        let cache = table.duration_up_to("cache", Duration::from_secs(300));
        if table.failed() {
            return None;
        }
        Some(IntrospectionConfig { url: at, client_id: client_id?, client_secret: client_secret?, cache: cache? })
    }
}

fn text_of(node: &Node) -> Result<&str, String> {
    node.as_str().ok_or_else(|| format!("expected a string, found {}", node.kind()))
}

/// An address whose answers can be believed.
fn url(node: &Node) -> Result<Endpoint, String> {
    let text = text_of(node)?;
    trusted(text).map_err(|why| format!("`{text}`: {why}"))
}

/// An address over TLS, or on this machine.
pub(super) fn trusted(text: &str) -> Result<Endpoint, String> {
    let endpoint = Endpoint::parse(text)?;
    match endpoint.is_secure || endpoint.is_local() {
        true => Ok(endpoint),
        false => Err("over `http://` anybody on the way could put in keys; use `https://`".to_owned()),
    }
}

/// The path of a claim. A name with dots in it (a URL, as some issuers have) is one name.
fn claim(node: &Node) -> Result<Vec<String>, String> {
    let text = text_of(node)?;
    if text.contains("://") {
        return Ok(vec![text.to_owned()]);
    }
    let path: Vec<String> = text.split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) { Err(format!("`{text}` is no claim")) } else { Ok(path) }
}

fn algorithms(node: &Node) -> Result<Vec<Algorithm>, String> {
    let elements = node.as_array().ok_or_else(|| format!("expected an array of strings, found {}", node.kind()))?;
    let named = |element: &Node| {
        let name = text_of(element)?;
        Algorithm::named(name).ok_or_else(|| match name {
            "none" | "HS256" | "HS384" | "HS512" => {
                format!("`{name}` is never taken: whoever can check such a token can make one")
            }
            _ => format!("`{name}` is no algorithm that can be taken"),
        })
    };
    let read: Result<Vec<Algorithm>, String> = elements.iter().map(named).collect();
    read.and_then(|read| if read.is_empty() { Err("no algorithm: nobody could call".to_owned()) } else { Ok(read) })
}

fn scopes(table: &Table<'_>) -> Option<BTreeMap<String, Vec<String>>> {
    let mut read = BTreeMap::new();
    for (value, node) in table.free("scopes") {
        let single = std::slice::from_ref(node);
        let mut granted = Vec::new();
        for element in node.as_array().unwrap_or(single) {
            match element.as_str() {
                Some(scope) if is_scope(scope) => granted.push(scope.to_owned()),
                Some(other) => {
                    let fault = element.fault(format!("`{other}` is no scope"));
                    table.fail(fault.help("scopes look like `*`, `read`, `admin` or `orders:read`"));
                }
                None => table.fail(element.fault(format!("expected scopes, found {}", element.kind()))),
            }
        }
        read.insert(value.to_owned(), granted);
    }
    (!table.failed()).then_some(read)
}
