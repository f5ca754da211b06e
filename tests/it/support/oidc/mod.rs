//! Who gives tokens: an OpenID provider that nobody here wrote (`oidc-provider` of npm), and an issuer of ours that signs
//! whatever a test wants, wrong things above all.

mod forger;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub(crate) use forger::{Forger, Signer, jwt};

/// A running provider. It is stopped when it is dropped, and ends by itself when the tests do.
pub(crate) struct Provider {
    server: Child,
    port: u16,
}

impl Provider {
    pub(crate) fn start() -> Provider {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/oidc/node/server.mjs");
        let mut command = Command::new("node");
        command.arg(source).env("OIDC_PEER", super::npm("oidc-peer")).stdin(Stdio::piped()).stdout(Stdio::piped());
        // What it says of itself is of no interest.
        let mut server = command.stderr(Stdio::null()).spawn().expect("node is installed: scripts/setup test");
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the provider starts: see scripts/setup test");
        Provider { server, port }
    }

    /// What `iss` of its tokens says.
    pub(crate) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A signed token of `webshop` with these scopes.
    pub(crate) fn token(&self, scope: &str) -> String {
        self.token_for("https://api.example/", scope)
    }

    /// A token that says nothing by itself.
    pub(crate) fn opaque_token(&self, scope: &str) -> String {
        self.token_for("https://api.example/opaque", scope)
    }

    fn token_for(&self, resource: &str, scope: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("scope", scope), ("resource", resource)];
        let answer = self.post("token", &form);
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// Takes a token back (RFC 7009).
    pub(crate) fn revoke(&self, token: &str) {
        self.post("token/revocation", &[("token", token)]);
    }

    fn post(&self, path: &str, form: &[(&str, &str)]) -> serde_json::Value {
        // `webshop` with its secret, encoded as RFC 6749 section 2.3.1 says.
        let login = "Basic d2Vic2hvcDpzM2NyZXQlMjAlMjYlMjBtb3Jl";
        let url = format!("{}/{path}", self.issuer());
        let mut answer = ureq::post(url).header("Authorization", login).send_form(form.iter().copied()).unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Signs by a new key from now on; the ones before stay published unless they are dropped.
    pub(crate) fn rotate(&self, algorithm: &str, drop: bool) {
        let drop = if drop { "&drop=1" } else { "" };
        ureq::get(format!("{}/test/rotate?alg={algorithm}{drop}", self.issuer())).call().unwrap();
    }

    /// How often it was asked for `keys` or for `introspections`.
    pub(crate) fn count(&self, what: &str) -> u64 {
        let url = format!("{}/test/counts", self.issuer());
        let said = ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str::<serde_json::Value>(&said).unwrap()[what].as_u64().unwrap()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
