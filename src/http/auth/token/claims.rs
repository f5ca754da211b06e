//! What a token says, judged (RFC 7519, RFC 9068), and what it means here: a client, scopes, claims.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::Refusal;
use super::config::IssuerConfig;
use crate::http::auth::{is_key_name, is_scope};
use crate::http::clients::ANONYMOUS;

/// More scopes of one token are not read.
const MOST_SCOPES: usize = 256;

/// Claims that name the client, in order, where the configuration names none.
const CLIENT: [&str; 3] = ["client_id", "azp", "sub"];

/// What a token gives its bearer.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http::auth) struct Grant {
    /// Who it is for the audit: the subject.
    pub(in crate::http::auth) id: String,
    /// Which client.
    pub(in crate::http::auth) client: String,
    pub(in crate::http::auth) scopes: Vec<String>,
    pub(in crate::http::auth) claims: Map<String, Value>,
    /// For so long it is good, leeway included; `None` when it does not say.
    pub(in crate::http::auth) good_for: Option<Duration>,
    /// SHA-256 of the certificate that its bearer must show (RFC 8705).
    pub(in crate::http::auth) bound_to: Option<[u8; 32]>,
}

/// A moment, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Now(pub(super) f64);

impl Now {
    pub(super) fn get() -> Now {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Now(since.unwrap_or_default().as_secs_f64())
    }
}

/// How the claims of a token came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Signed, in the token itself: all that makes it one must be there.
    Signed,
    /// By the issuer, who was asked: it may leave out what it has judged.
    Asked,
}

/// Judges claims whose origin is certain.
pub(super) fn judge(config: &IssuerConfig, claims: Map<String, Value>, told: Told, now: Now) -> Result<Grant, Refusal> {
    let is_signed = told == Told::Signed;
    match claims.get("iss") {
        Some(Value::String(issuer)) if *issuer == config.issuer => {}
        None if !is_signed => {}
        _ => return Err(Refusal::Invalid("it is of another issuer")),
    }
    if (is_signed || claims.contains_key("aud")) && !is_for(config, claims.get("aud")) {
        return Err(Refusal::Invalid("it is for somebody else"));
    }
    let leeway = config.leeway.as_secs_f64();
    let until = moment(&claims, "exp")?;
    let good_for = match until {
        None if is_signed => return Err(Refusal::Invalid("it has no end")),
        None => None,
        Some(until) if until + leeway <= now.0 => return Err(Refusal::Invalid("it has expired")),
        Some(until) => Some(Duration::try_from_secs_f64(until + leeway - now.0).unwrap_or(Duration::MAX)),
    };
    if moment(&claims, "nbf")?.is_some_and(|from| from - leeway > now.0) {
        return Err(Refusal::Invalid("it is not good yet"));
    }
    if moment(&claims, "iat")?.is_some_and(|at| at - leeway > now.0) {
        return Err(Refusal::Invalid("it was made in the future"));
    }
    let bound_to = match claims.get("cnf") {
        None => None,
        Some(bound) => {
            Some(certificate(bound).ok_or(Refusal::Invalid("it is bound to a key that cannot be shown here"))?)
        }
    };
    let client = client(config, &claims).ok_or(Refusal::Invalid("it does not say whose it is"))?;
    let id = claims.get("sub").and_then(Value::as_str).filter(|subject| is_key_name(subject));
    let id = id.map_or_else(|| client.clone(), str::to_owned);
    let scopes = scopes(config, &claims);
    Ok(Grant { id, client, scopes, claims, good_for, bound_to })
}

fn is_for(config: &IssuerConfig, audience: Option<&Value>) -> bool {
    let is_ours = |value: &Value| value.as_str().is_some_and(|text| config.audience.iter().any(|ours| ours == text));
    match audience {
        Some(Value::Array(all)) => all.iter().all(Value::is_string) && all.iter().any(is_ours),
        Some(one) => is_ours(one),
        None => false,
    }
}

/// The certificate that a token is bound to; `None` where it is something else, or more.
fn certificate(bound: &Value) -> Option<[u8; 32]> {
    let members = bound.as_object().filter(|members| members.len() == 1)?;
    let digest = URL_SAFE_NO_PAD.decode(members.get("x5t#S256")?.as_str()?).ok()?;
    digest.try_into().ok()
}

/// A moment in a claim; whatever else stands there is a fault.
fn moment(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(Refusal::Invalid("a time in it is no number")),
    }
}

/// The value at a path of claims.
pub(in crate::http::auth) fn at<'c>(claims: &'c Map<String, Value>, path: &[String]) -> Option<&'c Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(claims.get(first)?, |value, name| value.get(name))
}

fn client(config: &IssuerConfig, claims: &Map<String, Value>) -> Option<String> {
    let said = match &config.client_claim {
        Some(path) => at(claims, path),
        None => CLIENT.iter().find_map(|name| claims.get(*name)),
    };
    let name = format!("{}{}", config.client_prefix, said?.as_str().filter(|said| !said.is_empty())?);
    // Nobody becomes who calls without a key.
    (is_key_name(&name) && name != ANONYMOUS).then_some(name)
}

fn scopes(config: &IssuerConfig, claims: &Map<String, Value>) -> Vec<String> {
    let values: Vec<&str> = match at(claims, &config.scopes_claim) {
        Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
        Some(Value::Array(elements)) => elements.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let values = values.into_iter().take(MOST_SCOPES);
    let mut scopes: Vec<String> = match &config.scopes {
        Some(table) => values.filter_map(|value| table.get(value)).flatten().cloned().collect(),
        // What gives everything is given by an operator's word only.
        None => values.filter(|value| is_scope(value) && !matches!(*value, "*" | "admin")).map(str::to_owned).collect(),
    };
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

#[cfg(test)]
mod tests {
    use super::super::config::{IssuerConfig, OIDC};
    use super::{Grant, Now, Refusal, Told, judge};
    use crate::diagnostic::{Faults, Key, Presence, Section, SourceText, Table, parse};
    use serde_json::{Value, json};
    use std::path::Path;

    static AUTH: Section = Section {
        path: "auth",
        doc: "",
        keys: &[Key { name: "oidc", shape: "table", presence: Presence::Optional, doc: "" }],
    };

    /// `[auth.oidc]` of https://id.example for `tollbridge`, with these keys.
    fn config(more: &str) -> IssuerConfig {
        let text = format!("[oidc]\nissuer = \"https://id.example\"\naudience = \"tollbridge\"\n{more}");
        let source = SourceText::new(Path::new("t.toml"), text);
        let faults = Faults::new();
        let root = parse(&source, &faults);
        let table = Table::new(&root, &AUTH, &faults).unwrap();
        let read = IssuerConfig::read_all(&table, Path::new(""));
        assert_eq!(faults.into_sorted().iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
        read.unwrap().remove(0)
    }

    fn good() -> Value {
        json!({ "iss": "https://id.example", "aud": "tollbridge", "exp": 1100, "sub": "s1", "client_id": "web",
            "scope": "orders:read read" })
    }

    fn judged(config: &IssuerConfig, claims: Value, told: Told) -> Result<Grant, &'static str> {
        let Value::Object(claims) = claims else { panic!("no object") };
        judge(config, claims, told, Now(1000.0)).map_err(|refusal| match refusal {
            Refusal::Invalid(why) => why,
            Refusal::Unavailable(_) => "unavailable",
        })
    }

    #[test]
    fn defaults_are_valid() {
        assert_eq!(OIDC.keys.first().map(|key| key.name), Some("issuer"));
        let config = config("");
        assert_eq!((config.algorithms.len(), config.leeway.as_secs(), config.remember.as_secs()), (5, 30, 300));
    }

    #[test]
    fn claims_are_judged() {
        let config = config("");
        let check = |name: &str, value: Value, expected: Result<(), &str>| {
            let mut claims = good();
            match value {
                Value::String(text) if text == "-" => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value,
            }
            let found = judged(&config, claims, Told::Signed).map(drop);
            match (found, expected) {
                (Err(found), Err(expected)) if found.contains(expected) => {}
                (found, expected) => assert_eq!(found, expected, "{name}"),
            }
        };
        check("iss", json!("https://id.example"), Ok(()));
        for other in [json!("https://id.example/"), json!("https://ID.example"), json!(null), json!(7), json!("-")] {
            check("iss", other, Err("another issuer"));
        }
        check("aud", json!(["other", "tollbridge"]), Ok(()));
        for other in [json!("tollbridge2"), json!([]), json!(["other"]), json!({ "tollbridge": 1 }), json!("-")] {
            check("aud", other, Err("somebody else"));
        }
        check("aud", json!(["tollbridge", 7]), Err("somebody else"));
        check("exp", json!(971), Ok(()));
        check("exp", json!(970), Err("expired"));
        check("exp", json!(-1), Err("expired"));
        check("exp", json!(0), Err("expired"));
        check("exp", json!(1e300), Ok(()));
        check("exp", json!("1100"), Err("no number"));
        check("exp", json!(null), Err("no number"));
        check("nbf", json!(1030), Ok(()));
        check("nbf", json!(1031), Err("not good yet"));
        check("iat", json!(1031), Err("in the future"));
        check("iat", json!(5.5), Ok(()));
        check("cnf", json!({ "jkt": "x" }), Err("bound to a key"));
        check("cnf", json!({ "x5t#S256": "AAAA" }), Err("bound to a key"));
        check("cnf", json!({ "x5t#S256": "A".repeat(43), "jkt": "x" }), Err("bound to a key"));
        check("cnf", json!({ "x5t#S256": "A".repeat(43) }), Ok(()));
        check("client_id", json!(""), Err("whose it is"));
        check("client_id", json!("a\nb"), Err("whose it is"));
        check("client_id", json!({}), Err("whose it is"));
        let mut claims = good();
        claims.as_object_mut().unwrap().remove("exp");
        assert_eq!(judged(&config, claims, Told::Signed).map(drop), Err("it has no end"));
    }

    #[test]
    fn who_was_asked_may_leave_out_what_was_judged() {
        let config = config("");
        let grant = judged(&config, json!({ "client_id": "web", "scope": "read" }), Told::Asked).unwrap();
        assert_eq!((grant.client.as_str(), grant.good_for), ("oidc:web", None));
        let others = json!({ "client_id": "web", "aud": "other" });
        assert_eq!(judged(&config, others, Told::Asked).map(drop), Err("it is for somebody else"));
        let others = json!({ "client_id": "web", "iss": "https://other" });
        assert_eq!(judged(&config, others, Told::Asked).map(drop), Err("it is of another issuer"));
    }

    #[test]
    fn what_claims_mean() {
        let check = |more: &str, claims: Value, client: &str, scopes: &[&str]| {
            let mut all = good();
            for (name, value) in claims.as_object().unwrap() {
                all[name] = value.clone();
            }
            let grant = judged(&config(more), all, Told::Signed).unwrap();
            assert_eq!(
                (grant.client.as_str(), grant.scopes),
                (client, scopes.iter().map(ToString::to_string).collect())
            );
        };
        check("", json!({}), "oidc:web", &["orders:read", "read"]);
        check("", json!({ "scope": "* admin read READ x:" }), "oidc:web", &["read"]);
        check("", json!({ "scope": ["read", "read", 7] }), "oidc:web", &["read"]);
        check("", json!({ "scope": { "read": true } }), "oidc:web", &[]);
        check("client_prefix = \"\"", json!({ "azp": "other" }), "web", &["orders:read", "read"]);
        check("client_claim = \"sub\"", json!({}), "oidc:s1", &["orders:read", "read"]);
        let roles = json!({ "realm_access": { "roles": ["boss", "reader", "other"] } });
        let table = "scopes_claim = \"realm_access.roles\"\n[oidc.scopes]\nboss = [\"*\"]\nreader = \"stock:read\"\n";
        check(table, roles, "oidc:web", &["*", "stock:read"]);
    }

    #[test]
    fn nobody_becomes_who_calls_without_a_key() {
        let config = config("client_prefix = \"\"");
        let mut claims = good();
        claims["client_id"] = "anonymous".into();
        assert_eq!(judged(&config, claims, Told::Signed).map(drop), Err("it does not say whose it is"));
    }
}
