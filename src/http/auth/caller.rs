//! A caller who is known: whose requests these are, and what they may.

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::token::claim_at;
use crate::http::clients::Client;
use crate::http::{Problem, Reason};

/// A known caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The key's public id, a token's subject, or `anonymous`.
    pub id: String,
    /// The client's name: the key's, what a token calls it, or `anonymous`.
    pub name: String,
    /// Who of the client it is: the client's name alone, or with what tells its callers apart (the subject of a token, the
    /// claims of a key). What somebody has asked for is told to the same one only.
    pub principal: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Whose requests they are.
    pub client: Arc<Client>,
    /// What is known of it beside: a token's claims, or those that its key was made with.
    pub claims: Map<String, Value>,
}

impl Caller {
    /// A caller of whom nothing else is known.
    pub fn new(id: &str, client: Arc<Client>, scopes: Vec<String>) -> Caller {
        let name = client.name.to_string();
        Caller { id: id.to_owned(), principal: name.clone(), name, scopes, client, claims: Map::new() }
    }

    /// With what is known of it beside. A key that replaces another one has the same claims, so it is the same caller.
    pub(super) fn with_claims(self, claims: Map<String, Value>) -> Caller {
        let principal = match claims.is_empty() {
            true => self.principal,
            // Maps are sorted by their names where they come from.
            false => principal(&self.name, "claims", &Value::Object(claims.clone()).to_string()),
        };
        Caller { principal, claims, ..self }
    }

    /// The bearer of a token with these claims. The next token of the same subject is the same caller, whatever else it says.
    pub(super) fn of_token(self, claims: Map<String, Value>) -> Caller {
        // Whatever kind of value the subject is: there are issuers that have numbers.
        let who: Vec<Value> = ["iss", "sub"].into_iter().filter_map(|name| claims.get(name).cloned()).collect();
        let principal = principal(&self.name, "token", &Value::from(who).to_string());
        Caller { principal, claims, ..self }
    }

    /// Whether one of the caller's scopes covers `wanted`: itself, `*`, or `read` for every `...:read`.
    pub fn may(&self, wanted: &str) -> bool {
        covers(&self.scopes, wanted)
    }

    /// Whether the caller has this very scope, or `*`: what `read` does not give.
    pub fn has(&self, wanted: &str) -> bool {
        self.scopes.iter().any(|scope| scope == wanted || scope == "*")
    }

    /// What is known of the caller at a path of claims.
    pub fn claim(&self, path: &[String]) -> Option<&Value> {
        claim_at(&self.claims, path)
    }

    /// The 403 that names the missing scope (RFC 6750 section 3.1), unless the caller has it.
    pub fn require(&self, wanted: &str) -> Result<(), Problem> {
        if self.may(wanted) {
            return Ok(());
        }
        let detail = format!("this needs the scope `{wanted}`, which \"{}\" does not have", self.name);
        let hint = format!(
            "ask the operator for a key with it (tollbridge keys create NAME --scope {wanted}), or the issuer for a token"
        );
        let challenge =
            format!("Bearer realm=\"tollbridge\", error=\"insufficient_scope\", scope=\"{}\"", plain(wanted));
        Err(Reason::InsufficientScope.because(detail).hint(hint).challenge(&challenge))
    }
}

/// A client's name with a digest of what tells its callers apart. No name has a line break.
fn principal(client: &str, kind: &str, what: &str) -> String {
    let digest = Sha256::digest(format!("{kind}\0{what}").as_bytes());
    digest.iter().take(16).fold(format!("{client}\n"), |text, byte| format!("{text}{byte:02x}"))
}

/// Whether one of these scopes covers `wanted`.
pub fn covers(scopes: &[String], wanted: &str) -> bool {
    // `read` and `write` are those of every resource.
    let of_all = wanted.rsplit_once(':').map(|(_, manner)| manner).filter(|manner| matches!(*manner, "read" | "write"));
    scopes.iter().any(|scope| scope == wanted || scope == "*" || of_all == Some(scope))
}

/// A scope as it can stand in a challenge.
fn plain(scope: &str) -> String {
    scope.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')).collect()
}

#[cfg(test)]
mod tests {
    use super::Caller;
    use crate::http::clients::{Client, ClientConfig};
    use serde_json::{Map, json};
    use std::sync::Arc;

    #[test]
    fn callers_of_one_client_are_told_apart() {
        let client = Arc::new(Client::new("web", &ClientConfig::default()));
        let caller = |id: &str| Caller::new(id, Arc::clone(&client), Vec::new());
        let claims = |json: serde_json::Value| json.as_object().unwrap().clone();
        let key = |id: &str, customer: &str| caller(id).with_claims(claims(json!({ "customer": customer }))).principal;
        assert_eq!(caller("1").with_claims(Map::new()).principal, "web");
        // A key that replaces another one is the same caller.
        assert_eq!(key("1", "A"), key("2", "A"));
        assert_ne!(key("1", "A"), key("1", "B"));
        let token = |json: serde_json::Value| caller("1").of_token(claims(json)).principal;
        let ann = token(json!({ "iss": "i", "sub": "ann", "exp": 1, "customer": "A" }));
        assert_eq!(ann, token(json!({ "iss": "i", "sub": "ann", "exp": 2, "customer": ["A", "B"] })));
        assert_ne!(ann, token(json!({ "iss": "i", "sub": "bob", "exp": 1, "customer": "A" })));
        assert_ne!(ann, token(json!({ "iss": "j", "sub": "ann", "exp": 1, "customer": "A" })));
        // Of an issuer whose subjects are numbers, too.
        let number = |sub: i64| token(json!({ "iss": "i", "sub": sub, "exp": 1 }));
        assert_ne!(number(7), number(8));
        assert_eq!(number(7), number(7));
        // Nor is who says nothing of it the bearer of a key.
        assert_ne!(token(json!({ "iss": "i", "exp": 1 })), "web");
        assert!(ann.starts_with("web\n"));
    }

    #[test]
    fn scopes() {
        let check = |scopes: &[&str], wanted: &str, expected: bool| {
            let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let client = Arc::new(Client::new("web", &ClientConfig::default()));
            let caller = Caller::new("id", client, scopes);
            assert_eq!(caller.may(wanted), expected, "{wanted} with {caller:?}");
            match caller.require(wanted) {
                Ok(()) => assert!(expected),
                Err(problem) => assert!(problem.detail().contains(wanted)),
            }
        };
        check(&["*"], "orders:read", true);
        check(&["*"], "admin", true);
        check(&["read"], "orders:read", true);
        check(&["read"], "pii:read", true);
        check(&["read"], "admin", false);
        check(&["read"], "orders:write", false);
        check(&["write"], "orders:write", true);
        check(&["write"], "orders:read", false);
        check(&["write"], "admin", false);
        check(&["orders:read"], "orders:read", true);
        check(&["orders:read"], "stock:read", false);
        check(&["order"], "orders:read", false);
        check(&[], "orders:read", false);
    }
}
