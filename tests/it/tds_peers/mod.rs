//! The TDS server of the tests, held against clients that others wrote: tiberius, pytds, pymssql, FreeTDS with its
//! `tsql` and its ODBC driver. What they read is what the server was told to hold.

mod faults;
mod freetds;
mod python;
mod sql;
mod tiberius_client;
mod tracking;
mod types;

use std::io::Write;
use std::process::{Command, Stdio};

use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::support::tds_server::TdsServer;

/// What a program writes when it is given this to read, and what it complains; it must end well.
fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> (String, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program} is installed by scripts/setup test: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (told, complained) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{told}\n{complained}", output.status);
    (told, complained)
}

/// A Python program, with the server's port as its first argument.
fn python(server: &TdsServer, program: &str) -> String {
    run("/usr/bin/python3", &["-c", program, &server.port().to_string()], &[], "").0
}

type Peer = Client<Compat<TcpStream>>;

/// tiberius without encryption.
fn config(server: &TdsServer) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(server.port());
    config.authentication(AuthMethod::sql_server("bridge", "Pa$$w0rd"));
    config.encryption(EncryptionLevel::NotSupported);
    config.trust_cert();
    config.application_name("tollbridge test");
    config
}

async fn connect(config: Config) -> tiberius::Result<Peer> {
    let stream = TcpStream::connect(config.get_addr()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Client::connect(config, stream.compat_write()).await
}

async fn peer(server: &TdsServer) -> Peer {
    connect(config(server)).await.unwrap()
}

/// The number of the error that the server told.
fn number(error: &tiberius::error::Error) -> u32 {
    match error {
        tiberius::error::Error::Server(told) => told.code(),
        other => panic!("not told by the server: {other}"),
    }
}
