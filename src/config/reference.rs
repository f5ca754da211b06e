//! The reference tables of `docs`, made from the lists of keys that the readers use.

use std::fmt::Write;

use super::sections;
use crate::adapters::{AdapterConfig, soap};
use crate::diagnostic::{Presence, Section};
use crate::{gate, http, mapping, telemetry};

/// All sections of `tollbridge.toml` as Markdown.
pub fn config_reference() -> String {
    let mut all = vec![
        &sections::ROOT,
        &http::SERVER,
        &http::CORS,
        &http::TLS,
        &http::AUTH,
        &http::auth::CERTIFICATES,
        &http::auth::token::OIDC,
        &http::auth::token::INTROSPECTION,
        &http::clients::SECTION,
        &sections::STAGING,
        &sections::LANDING,
        &sections::BACKEND,
    ];
    all.extend(AdapterConfig::KINDS.iter().filter_map(|kind| AdapterConfig::section(kind)));
    all.extend([
        &soap::BASIC,
        &soap::OAUTH2,
        &soap::NTLM,
        &soap::MTLS,
        &soap::WSSE,
        &soap::SIGN,
        &soap::VERIFY,
        &soap::ACCOUNT,
        &soap::SESSION,
    ]);
    all.extend([&gate::SECTION, &gate::BREAKER, &gate::RETRY, &gate::calendar::CALENDAR]);
    all.push(&telemetry::SECTION);
    render(&all)
}

/// All sections of a mapping file as Markdown.
pub fn mapping_reference() -> String {
    render(&mapping::sections())
}

fn render(sections: &[&'static Section]) -> String {
    let mut text = String::new();
    for section in sections {
        let title = match section.path {
            path if path.ends_with(".toml") => format!("top level of `{path}`"),
            path => format!("`[{path}]`"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "#### {title}\n\n{}\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |",
            section.doc
        );
        for key in section.keys {
            let default = match key.presence {
                Presence::Required => "required".to_owned(),
                Presence::Optional => "none".to_owned(),
                Presence::Default(value) => format!("`{value}`"),
            };
            let shape = key.shape.replace('|', "\\|");
            let _ = writeln!(text, "| `{}` | {shape} | {default} | {} |", key.name, key.doc.replace('|', "\\|"));
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
