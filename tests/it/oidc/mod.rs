//! Access tokens over sockets: of a provider that nobody here wrote, and of an issuer that signs what must not be taken.

mod asked;
mod doctor;
mod hostile;
mod keys;
mod provider;

use std::path::Path;

use tollbridge::diagnostic::{Faults, SourceText, Table, parse};
use tollbridge::http::{AUTH, AuthConfig};

use crate::facade::app::{Options, TestApp};
use crate::facade::client::Answer;

/// `[auth]` as it is written.
fn auth(text: &str) -> AuthConfig {
    let source = SourceText::new(Path::new("tollbridge.toml"), text.to_owned());
    let faults = Faults::new();
    let root = parse(&source, &faults);
    let read = Table::new(&root, &AUTH, &faults).and_then(|table| AuthConfig::read(&table, Path::new("/")));
    let faults: Vec<String> = faults.into_sorted().iter().map(ToString::to_string).collect();
    read.unwrap_or_else(|| panic!("{faults:?}"))
}

/// An app that takes tokens of this issuer for `tollbridge`, with more keys of `[auth.oidc]`.
fn app(issuer: &str, more: &str) -> TestApp {
    let auth = auth(&format!("[oidc]\nissuer = \"{issuer}\"\naudience = \"tollbridge\"\n{more}"));
    let app = TestApp::with(Options { auth, ..Options::default() });
    app.stage_orders(3);
    app
}

fn get(app: &TestApp, path: &str, token: &str) -> Answer {
    app.send_as_is("GET", path, &[("Authorization", &format!("Bearer {token}"))], b"")
}

/// Seconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
