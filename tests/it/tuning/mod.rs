//! What operators decide about gates: live, kept, audited, and closed times.

mod closed;
mod command;
mod live;
mod simulate;

use std::process::Output;

use serde_json::Value;

use crate::site::{Service, Site};

const MAPPING: &str = r#"
resource = "items"
version = 1
key = ["id"]
[source]
backend = "erp"
schedule = "every 100ms"
[source.csv]
files = "items*.csv"
[fields]
id = { from = "ID" }
"#;

fn site() -> Site {
    Site::with_mappings(&[("items.v1.toml", MAPPING)])
}

/// Writes the configuration with these lines in the gate's table.
fn configure(site: &Site, gate: &str) {
    let text = format!(
        "[backends.erp.files]\ninbox = \"inbox\"\nstable_for = \"0s\"\n[backends.erp.gate]\nsettle = \"0s\"\n{gate}\n[telemetry]\nlog = \"text\"\n"
    );
    site.write("tollbridge.toml", text.as_bytes());
}

/// `tollbridge gate ...` beside a service.
pub(crate) fn gate(site: &Site, service: &Service, arguments: &[&str]) -> Output {
    let mut command = site.command(&[&["gate"], arguments].concat());
    command.env("TOLLBRIDGE__SERVER__ADMIN_LISTEN", service.admin_address()).env("USER", "anna");
    command.output().unwrap()
}

/// The lines of JSON of a gate command that goes well.
#[track_caller]
pub(crate) fn gate_json(site: &Site, service: &Service, arguments: &[&str]) -> Vec<Value> {
    let output = gate(site, service, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The gate of the one backend, once the service answers.
fn erp(service: &Service) -> Value {
    service.until(|| {
        let (status, body) = service.admin("GET", "/admin/v1/gates/erp");
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    })
}

fn actions(site: &Site, service: &Service) -> Vec<String> {
    let entries = gate_json(site, service, &["audit"]);
    entries.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}
