//! A caller who is known: whose requests these are, and what they may.

use std::sync::Arc;

use serde_json::{Map, Value};

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
        Caller { id: id.to_owned(), name: client.name.to_string(), scopes, client, claims: Map::new() }
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

/// Whether one of these scopes covers `wanted`.
pub fn covers(scopes: &[String], wanted: &str) -> bool {
    // `read` and `write` are those of every resource.
    let of_all =
        wanted.rsplit_once(':').map(|(_, manner)| manner).filter(|manner| matches!(*manner, "read" | "write"));
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
    use std::sync::Arc;

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
