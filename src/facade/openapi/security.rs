//! Who may call, as the description says it: what the configuration takes, and what each operation needs.

use serde_json::{Map, Value, json};

use crate::http::auth::covers;
use crate::http::auth::token::KeysAt;
use crate::http::{AuthConfig, ServerConfig};

const API_KEY: &str = "apiKey";

/// What of the configuration the description depends on.
#[derive(Clone, Debug)]
pub(in crate::facade) struct About {
    schemes: Vec<(String, Value)>,
    /// Scopes of callers who show nothing; empty where these are not taken.
    anonymous: Vec<String>,
    /// Records on a page where the caller does not say.
    pub(super) page: usize,
    /// Records on a page at most.
    pub(super) most: usize,
    /// Whether `/docs` and `/openapi.json` are served.
    pub(in crate::facade) docs: bool,
}

impl About {
    pub(in crate::facade) fn new(server: &ServerConfig, auth: &AuthConfig) -> About {
        let mut schemes = Vec::new();
        if auth.api_keys {
            let key = json!({
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "tb_<id>_<secret>",
                "description": "An API key, made with `tollbridge keys create NAME --scope SCOPE`.",
            });
            schemes.push((API_KEY.to_owned(), key));
        }
        for (issuer, number) in auth.issuers.iter().zip(1..) {
            let name = if number == 1 { "oidc".to_owned() } else { format!("oidc{number}") };
            let whom = format!("An access token of {} for {}.", issuer.issuer, issuer.audience.join(" or "));
            let scheme = match &issuer.keys {
                KeysAt::Discovery(_) => {
                    let base = issuer.issuer.trim_end_matches('/');
                    let url = format!("{base}/.well-known/openid-configuration");
                    json!({ "type": "openIdConnect", "openIdConnectUrl": url, "description": whom })
                }
                // It says nothing of itself that a client could read.
                KeysAt::Url(_) | KeysAt::File(_) => {
                    json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": whom })
                }
            };
            schemes.push((name, scheme));
        }
        if !auth.certificates.is_empty() {
            let words = "A client certificate that the operator has entered.";
            schemes.push(("mutualTls".to_owned(), json!({ "type": "mutualTLS", "description": words })));
        }
        let (page, most, docs) = (server.page_size, server.max_page_size, server.docs);
        About { schemes, anonymous: auth.anonymous.clone(), page, most, docs }
    }

    /// The schemes, by name.
    pub(super) fn schemes(&self) -> Value {
        Value::Object(self.schemes.iter().cloned().collect())
    }

    /// What an operation needs: one of these scopes, shown by one of the schemes. Without scopes anybody known will do.
    pub(super) fn needs(&self, scopes: &[&str]) -> Value {
        let mut ways: Vec<Value> = Vec::new();
        for (scheme, _) in &self.schemes {
            if scopes.is_empty() {
                ways.push(json!({ (scheme.as_str()): [] }));
            }
            ways.extend(scopes.iter().map(|scope| json!({ (scheme.as_str()): [scope] })));
        }
        let is_open = scopes.is_empty() || scopes.iter().any(|scope| covers(&self.anonymous, scope));
        if !self.anonymous.is_empty() && is_open {
            ways.push(json!({}));
        }
        Value::Array(ways)
    }

    /// What holds for all operations that say nothing else.
    pub(super) fn usual(&self) -> Value {
        self.needs(&[])
    }
}

impl Default for About {
    fn default() -> About {
        About::new(&ServerConfig::default(), &AuthConfig::default())
    }
}

/// An operation that needs nothing.
pub(super) fn nothing() -> Value {
    Value::Array(vec![Value::Object(Map::new())])
}
