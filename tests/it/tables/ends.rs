//! The end of a process whose driver does not come back: it ends by itself all the same, with the exit code that it should
//! have, and has told all that it had to tell.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{FIELDS, Legacy};
use crate::support::mariadb::MariaDb;
use crate::support::postgres::{Postgres, until};
use crate::support::proxy::Proxy;

/// A statement that no server sees: the way to it stops at this name.
const QUERY: &str = "[source.query]\nsql = 'select NO, NAME, QTY from NEVER_SEEN'\nsnapshot = true\ntimeout = '1s'\n";
const NAME: &str = "NEVER_SEEN";

/// How long a process is waited for that would never end by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits for the end of a process.
fn ended(child: &mut Child) -> Option<i32> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() >= end {
            child.kill().unwrap();
            panic!("a process waits for its driver");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A run whose driver is held up, and stays so until the process is gone.
fn run_is_held_up(old: &Legacy, way: &Proxy) {
    for is_json in [true, false] {
        let arguments: &[&str] = if is_json { &["sync", "items", "--json"] } else { &["sync", "items"] };
        let mut child = old.site.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let code = ended(&mut child);
        assert!(way.holds(), "the driver was not held up");
        let output = child.wait_with_output().unwrap();
        let (said, noted) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        // A backend that cannot be reached.
        assert_eq!(code, Some(3), "{said}{noted}");
        let told = if is_json { &said } else { &noted };
        assert!(told.contains("the driver does not come back") && told.ends_with('\n'), "{said}{noted}");
        if is_json {
            let line: Value = serde_json::from_str(said.trim_end()).unwrap();
            assert_eq!((&line["state"], &line["resource"]), (&"failed".into(), &"items.v1".into()), "{said}");
        }
        old.balances();
    }
    assert!(old.documents().is_empty());
}

/// Once amid a statement, and once before anybody has logged in.
fn runs_are_held_up(server: u16, name: &[u8], legacy: impl Fn(u16) -> Legacy) {
    let way = Proxy::stopping_at(server, name);
    run_is_held_up(&legacy(way.port()), &way);
    let way = Proxy::before(server);
    way.stop();
    run_is_held_up(&legacy(way.port()), &way);
}

fn behind(connection: &str, (from, to): (u16, u16), account: &str) -> Legacy {
    let connection = connection.replace(&format!("Port={from}"), &format!("Port={to}"));
    Legacy::with_backend(&format!("connection = \"{connection}\"\n{account}"), QUERY, FIELDS)
}

#[test]
fn a_run_that_postgresql_holds_up_ends() {
    let server = Postgres::shared();
    let connection = server.connection("postgres");
    runs_are_held_up(server.port, NAME.as_bytes(), |port| behind(&connection, (server.port, port), ""));
}

#[test]
fn a_run_that_mariadb_holds_up_ends() {
    let server = MariaDb::shared();
    let (connection, account) = (server.connection("mysql"), server.account());
    runs_are_held_up(server.port(), NAME.as_bytes(), |port| behind(&connection, (server.port(), port), &account));
}

/// The service, at SIGTERM: what runs is given up, and the end is that of every day.
#[test]
fn a_service_whose_driver_is_held_up_ends_at_sigterm() {
    let server = Postgres::shared();
    let way = Proxy::stopping_at(server.port, NAME.as_bytes());
    let old = behind(&server.connection("postgres"), (server.port, way.port()), "");
    old.mapping("schedule = 'every 1s'", &QUERY.replace("'1s'", "'1h'"), FIELDS);
    let service = old.site.serve_by(&["env"]);
    until("the driver is held up", || way.holds());
    service.signal("TERM");
    assert_eq!(service.wait(), Some(0));
    assert!(way.holds(), "the driver was let go");
    let log = std::fs::read_to_string(old.site.path("log")).unwrap();
    assert!(log.trim_end().ends_with("stopped") && log.ends_with('\n'), "{log}");
    old.balances();
}

/// The same while somebody waits for a live read: he is answered or cut off, and nobody waits for longer than the
/// configuration says.
#[test]
fn a_service_whose_live_read_is_held_up_ends_at_sigterm() {
    let server = Postgres::shared();
    let way = Proxy::stopping_at(server.port, NAME.to_lowercase().as_bytes());
    let old = behind(&server.connection("postgres"), (server.port, way.port()), "");
    let database = server.database("tables_ends", "");
    server.sql(&database, "create table never_seen (no text primary key, name text, qty integer)");
    old.reconfigure("Database=postgres", &format!("Database={database}"));
    let config = std::fs::read_to_string(old.site.path("tollbridge.toml")).unwrap();
    old.site.write("tollbridge.toml", format!("[server]\nshutdown_timeout = \"1s\"\n{config}").as_bytes());
    let live = format!("{FIELDS}[serve]\nmode = 'live'\n");
    old.mapping("", "[source.table]\ntable = 'never_seen'\nsnapshot = true\ntimeout = '1h'\n", &live);
    let (made, _) = old.site.json(&["keys", "create", "tests", "--scope", "read"]);
    let key = made[0]["key"].as_str().unwrap().to_owned();
    let service = old.site.serve_by(&["env"]);
    let address = service.address();
    service.until(|| std::net::TcpStream::connect(&address).ok());
    let asking = std::thread::spawn(move || crate::site::get(&address, "/v1/items/a", &key));
    until("the driver is held up", || way.holds());
    service.signal("TERM");
    assert_eq!(service.wait(), Some(0));
    assert!(way.holds(), "the driver was let go");
    let log = std::fs::read_to_string(old.site.path("log")).unwrap();
    assert!(log.trim_end().ends_with("stopped") && log.ends_with('\n'), "{log}");
    assert!(asking.join().unwrap().is_err());
}
