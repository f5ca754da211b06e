//! What is written in the configuration, and what is wrong with it.

use std::path::Path;
use std::time::Duration;

use super::config;

#[test]
fn settings_are_read_and_paths_start_at_the_configuration() {
    let read = config(
        "connection = 'Driver=SQLite3;Database=old/legacy.sqlite'\ntimeout = '3s'\nmax_value_bytes = 1000\nbatch_rows = 7",
        Path::new("/site"),
    )
    .unwrap();
    assert_eq!(read.connection.get("database"), Some("/site/old/legacy.sqlite"));
    assert_eq!((read.timeout, read.connect_timeout), (Duration::from_secs(3), Duration::from_secs(10)));
    assert_eq!((read.max_value, read.batch_rows), (1000, 7));
    assert_eq!(read.place(), "odbc:Driver=SQLite3;Database=/site/old/legacy.sqlite");
    let server = config("connection = 'Driver=PostgreSQL Unicode;Database=erp'", Path::new("/site")).unwrap();
    assert_eq!(server.connection.get("Database"), Some("erp"));
}

#[test]
fn a_secret_in_the_string_is_refused_and_not_shown() {
    for text in ["DSN=old;PWD=hunter2", "DSN=old;Password={hunter2}", "DSN=old;pwd = hunter2"] {
        let fault = config(&format!("connection = '{text}'"), Path::new("/")).unwrap_err();
        assert!(fault.contains("a secret is not written here"), "{fault}");
        assert!(!fault.contains("hunter2"), "{fault}");
    }
    let fault = config("connection = 'DSN=old'\npassword = 'hunter2'", Path::new("/")).unwrap_err();
    assert!(fault.contains("a secret is not written here") && !fault.contains("hunter2"), "{fault}");
}

#[test]
fn what_cannot_be_meant_is_a_fault_at_its_line() {
    for (text, words) in [
        ("connection = 'Server=x'", "names neither a driver"),
        ("connection = 'Driver={x'", "has no `}`"),
        ("connection = 'DSN=x;UID=a'\nusername = 'b'", "stands in `connection` already"),
        ("connection = 'DSN=x'\ntext = 'wide'\nencoding = 'latin1'", "has no meaning"),
        ("connection = 'DSN=x'\nencoding = 'klingon'", "unknown code page"),
        ("connection = 'DSN=x'\nquirks = 'sqlite4'", "is none of"),
        ("connection = 'DSN=x'\ndialect = 'cobol'", "is not one of"),
        ("connection = 'DSN=x'\ntimeout = '0s'", "longer than nothing"),
        ("connection = 'DSN=x'\nmax_value_bytes = 1", "max_value_bytes"),
        ("connection = 'DSN=x'\nhost = 'y'", "host"),
    ] {
        let fault = config(text, Path::new("/")).unwrap_err();
        assert!(fault.contains(words), "{text}: {fault}");
        assert!(fault.contains("tollbridge.toml:"), "{fault}");
    }
}
