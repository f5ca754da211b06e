//! Picking files up, from real folders and real servers: what is taken, when, once, and what happens when the
//! other side misbehaves.

mod crowded;
pub(crate) mod ftpd;
mod ftps;
mod kill;
pub(crate) mod local;
mod many;
pub(crate) mod proxy;
mod rules;
mod sftp;
pub(crate) mod sshd;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use crate::site::Site;

/// A resource of CSV files.
const ITEMS: &str = r#"
resource = "items"
version = 1
key = ["id"]
[source]
backend = "erp"
[source.csv]
files = "items*.csv"
delimiter = ";"
[fields]
id = { from = "ID" }
name = { from = "NAME" }
"#;

/// A file of the resource: one record for each id.
fn items(ids: std::ops::Range<u32>) -> Vec<u8> {
    let mut content = b"ID;NAME\n".to_vec();
    for id in ids {
        content.extend_from_slice(format!("{id};Item number {id}\n").as_bytes());
    }
    content
}

/// A site whose backend `erp` is as the TOML says, with the resource of [`ITEMS`].
fn site(backend: &str) -> Site {
    let site = Site::with_mappings(&[("items.v1.toml", ITEMS)]);
    site.write(
        "tollbridge.toml",
        format!("{backend}\n[backends.erp.gate]\nsettle = \"0s\"\n[telemetry]\nlog = \"text\"\n").as_bytes(),
    );
    site
}

/// One run; answers its summary, its exit code and what was said beside it.
fn sync(site: &Site) -> (Value, i32, String) {
    let output = site.run(&["sync", "items", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().next().unwrap_or_else(|| panic!("no summary: {said}"));
    (serde_json::from_str(line).unwrap(), output.status.code().unwrap(), said)
}

/// How many records a run staged.
fn staged(run: &Value) -> u64 {
    run["staged"].as_u64().unwrap_or_else(|| panic!("{run}"))
}

/// The staging database of a site, to look into.
fn staging(site: &Site) -> Connection {
    Connection::open_with_flags(site.path("var/staging.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// Open dead letters: code and file.
fn letters(site: &Site) -> Vec<(String, String)> {
    let (letters, _) = site.json(&["dead-letters", "list"]);
    let text = |letter: &Value, name: &str| letter[name].as_str().unwrap().to_owned();
    letters.iter().map(|letter| (text(letter, "code"), text(letter, "file"))).collect()
}

/// What `check` says, and its exit code.
fn check(site: &Site) -> (String, i32) {
    let output = site.run(&["check"]);
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code().unwrap())
}

/// Replaces the site's backend.
fn change(site: &Site, backend: &str) {
    site.write(
        "tollbridge.toml",
        format!("{backend}\n[backends.erp.gate]\nsettle = \"0s\"\n[telemetry]\nlog = \"text\"\n").as_bytes(),
    );
}

/// In hex, by another program.
fn sha256(content: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("content");
    std::fs::write(&path, content).unwrap();
    let output = std::process::Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}
