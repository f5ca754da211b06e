//! The TDS server of the tests, held against clients that others wrote: tiberius, pytds, pymssql, FreeTDS with its
//! `tsql` and its ODBC driver. What they read is what the server was told to hold.

mod python;
mod tiberius_client;
mod types;

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::tds_server::TdsServer;

/// What a program writes when it is given this to read; it must end well.
fn run(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is installed by scripts/setup test: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{told}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A Python program, with the server's port as its first argument.
fn python(server: &TdsServer, program: &str) -> String {
    run("/usr/bin/python3", &["-c", program, &server.port().to_string()], "")
}
