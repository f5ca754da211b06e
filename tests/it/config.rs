//! The configuration: every fault of every file in one go, values from the environment, refusals.

use serde_json::json;

use crate::site::Site;

/// A resource of a backend `erp`.
pub(crate) const MAPPING: &str = r#"
resource = "items"
version = 1
key = ["id"]
[source]
backend = "erp"
schedule = "manual"
[source.csv]
files = "*.csv"
columns = ["ID"]
header = false
[fields]
id = { from = "ID" }
"#;

fn said(site: &Site, arguments: &[&str]) -> (String, i32) {
    let output = site.run(arguments);
    (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code().unwrap())
}

#[test]
fn two_backends_at_one_database_are_told_so() {
    let site = Site::new();
    let one = "host = \"erp.example\"\ndatabase = \"live\"\nusername = \"a\"\npassword = { env = \"X\" }\nencryption = \"required\"\n";
    site.write("tollbridge.toml", format!("[backends.erp.mssql]\n{one}[backends.shop.mssql]\n{one}").as_bytes());
    let output = site.run(&["check", "--offline"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("backend `erp` asks the same database, mssql://") && !said.contains("inbox"), "{said}");
}

#[test]
fn all_faults_of_all_files_are_reported_at_once_with_place_and_help() {
    let site = Site::with_mappings(&[
        ("a.v1.toml", &MAPPING.replace("backend = \"erp\"", "backend = \"epr\"")),
        ("b.v1.toml", &MAPPING.replace("\"items\"", "\"Items\"").replace("from = \"ID\"", "form = \"ID\"")),
    ]);
    site.write(
        "tollbridge.toml",
        b"mapings = \"x\"\n[server]\nlisten = \"nowhere\"\n[backends.erp.files]\ninbox = \"inbox\"\nstable_for = \"5 s\"\n",
    );
    let (faults, code) = said(&site, &["check"]);
    assert_eq!(code, 2, "{faults}");
    for expected in [
        "tollbridge.toml:1:1",
        "did you mean `mappings`?",
        "tollbridge.toml:3:10",
        "tollbridge.toml:6:14",
        "no length of time",
        "a.v1.toml:6:11",
        "did you mean `erp`?",
        "b.v1.toml:2:12",
        "`form`",
        "did you mean `from`?",
        "^^^",
    ] {
        assert!(faults.contains(expected), "no {expected} in\n{faults}");
    }
    let (report, code) = site.json(&["check"]);
    assert_eq!((code, &report[0]["ok"]), (2, &json!(false)));
    assert!(report[0]["faults"].as_array().unwrap().iter().any(|fault| fault["line"] == 6 && fault["column"] == 11));
}

#[test]
fn an_open_listener_without_authentication_is_refused() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let base = "[backends.erp.files]\ninbox = \"inbox\"\n[server]\nlisten = \"0.0.0.0:0\"\n[auth]\napi_keys = false\nanonymous = [\"read\"]\n";
    site.write("tollbridge.toml", base.as_bytes());
    for command in ["check", "serve"] {
        let (faults, code) = said(&site, &[command]);
        assert_eq!(code, 2, "{faults}");
        assert!(faults.contains("can be reached from other machines"), "{faults}");
    }
}

#[test]
fn the_environment_overrides_and_its_faults_name_the_variable() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let run = |name: &str, value: &str| {
        let output = site.command(&["check"]).env(name, value).output().unwrap();
        (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code().unwrap())
    };
    assert_eq!(run("TOLLBRIDGE__BACKENDS__ERP__GATE__MAX_IN_FLIGHT", "2").1, 0);
    let (faults, code) = run("TOLLBRIDGE__BACKENDS__ERP__GATE__MAX_IN_FLIGHT", "0");
    assert_eq!(code, 2);
    assert!(faults.contains("$TOLLBRIDGE__BACKENDS__ERP__GATE__MAX_IN_FLIGHT:1:1"), "{faults}");
    assert_eq!(run("TOLLBRIDGE__SERVER__LISTEN", "127.0.0.1:9999").1, 0);
    let (faults, code) = run("TOLLBRIDGE__SERVER__LISTNE", "127.0.0.1:9999");
    assert_eq!(code, 2);
    assert!(faults.contains("did you mean `listen`?"), "{faults}");
}

#[test]
fn a_backend_that_is_not_there_ends_with_three() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    std::fs::remove_dir(site.path("inbox")).unwrap();
    assert_eq!(said(&site, &["check", "--offline"]).1, 0);
    let (faults, code) = said(&site, &["check"]);
    assert_eq!(code, 3, "{faults}");
    assert!(faults.contains("check that the folder exists"), "{faults}");
    assert_eq!(said(&site, &["sync", "items"]).1, 3);
}

#[test]
fn a_missing_configuration_says_where_it_was_looked_for() {
    let site = Site::new();
    let (fault, code) = said(&site, &["--config", "nowhere.toml", "check"]);
    assert_eq!(code, 2);
    assert!(fault.contains("nowhere.toml not found"), "{fault}");
}

#[test]
fn a_fault_of_syntax_stands_alone() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    site.write("tollbridge.toml", b"[server\nlisten = 1\n[backends.erp.files]\ninbox = \"inbox\"\n");
    let (faults, code) = said(&site, &["check"]);
    assert_eq!(code, 2);
    assert!(faults.contains("tollbridge.toml:1:") && !faults.contains("there is no backend"), "{faults}");
}

#[test]
fn a_secret_in_a_faulty_line_is_not_shown() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    site.write("tollbridge.toml", b"[staging]\nurl = \"mysql://tolly:hunter2@db/x\"\npassword = \"hunter3\"\n");
    let (faults, code) = said(&site, &["check"]);
    assert_eq!(code, 2);
    assert!(faults.contains("tolly") && !faults.contains("hunter"), "{faults}");
}

#[test]
fn keys_can_be_revoked_while_a_mapping_is_broken() {
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let (made, _) = site.json(&["keys", "create", "me"]);
    site.write("mappings/broken.v1.toml", b"resource = 7\n");
    assert_eq!(said(&site, &["keys", "list"]).1, 0);
    let (revoked, code) = site.json(&["keys", "revoke", made[0]["id"].as_str().unwrap()]);
    assert_eq!((code, &revoked[0]["revoked"]), (0, &json!(true)));
}

#[test]
fn an_environment_that_is_no_text_is_no_matter() {
    use std::os::unix::ffi::OsStrExt;
    let site = Site::with_mappings(&[("items.v1.toml", MAPPING)]);
    let output = site.command(&["check"]).env("FOO", std::ffi::OsStr::from_bytes(b"\xff")).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}
