//! SOAP servers that nobody here wrote, on free ports: spyne, the npm package `soap`, and PHP's ext-soap; and one that lets
//! in accounts of Windows by what gss-ntlmssp says of them.
//!
//! The services on them are ours, and alike: orders that are read by key and by reference, listed, and created once a
//! reference; a slow operation, faults with a typed detail, logins. What paths they have is told by their sources.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::postgres::{free_port, until};

/// The account that the services know.
pub(crate) const USER: &str = "svc";
/// Its password: everything that XML could be broken with.
pub(crate) const PASSWORD: &str = "s3cret & <safe>";

/// A running server. It is stopped when it is dropped, and ends by itself when the tests do.
pub(crate) struct SoapServer {
    server: Child,
    port: u16,
    is_secure: bool,
    // Lives as long as the server.
    _folder: Option<tempfile::TempDir>,
}

impl SoapServer {
    /// spyne, with options of `spyne/server.py`.
    pub(crate) fn spyne(options: &[&str]) -> SoapServer {
        let mut command = Command::new("/usr/bin/python3");
        command.arg(source("spyne/server.py")).args(options);
        let mut started = SoapServer::told(command);
        started.is_secure = options.contains(&"--cert");
        started
    }

    /// One that lets in accounts of Windows, with options of `windows/server.py`.
    pub(crate) fn windows(options: &[&str]) -> SoapServer {
        let mut command = Command::new("/usr/bin/python3");
        command.arg(source("windows/server.py")).args(options);
        let mut started = SoapServer::told(command);
        started.is_secure = options.contains(&"--cert");
        started
    }

    /// The npm package `soap`.
    pub(crate) fn node() -> SoapServer {
        let mut command = Command::new("node");
        command.arg(source("node/server.js")).env("SOAP_PEER", packages());
        SoapServer::told(command)
    }

    /// PHP's ext-soap.
    pub(crate) fn php() -> SoapServer {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        // It does not look whether anybody still wants it; so it goes when we do. It has no workers, which would not: one
        // call at a time is enough.
        let server = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "php", "-S", &format!("127.0.0.1:{port}")])
            .arg(source("php/server.php"))
            .env("ORDERS_STATE", folder.path().join("state.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("PHP is installed: scripts/setup test");
        let started = SoapServer { server, port, is_secure: false, _folder: Some(folder) };
        until("PHP answers", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        started
    }

    /// One that says its port when it listens, and ends with its standard input.
    fn told(mut command: Command) -> SoapServer {
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| {
            panic!("{}: {error}; it is installed by scripts/setup test", command.get_program().display())
        });
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the server tells its port: see what it wrote above");
        SoapServer { server, port, is_secure: false, _folder: None }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it is called.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://127.0.0.1:{}/{path}", if self.is_secure { "https" } else { "http" }, self.port)
    }

    /// What it counts itself, of spyne and the npm package: `calls`, `logins`, `created`, `notified`, `at_work`, `most`.
    pub(crate) fn count(&self, what: &str) -> u64 {
        let said = ureq::get(&self.url("stats")).call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str::<serde_json::Value>(&said).unwrap()[what].as_u64().unwrap()
    }

    /// Has the server of Windows' accounts forget who was let in, as one does that begins anew.
    pub(crate) fn recycle(&self) {
        ureq::get(&self.url("recycle")).call().unwrap();
    }

    /// Has it end the connection of the next one who says who he is.
    pub(crate) fn crash(&self) {
        ureq::get(&self.url("crash")).call().unwrap();
    }

    /// Has it leave the next one who says who he is without an answer.
    pub(crate) fn hang(&self) {
        ureq::get(&self.url("hang")).call().unwrap();
    }
}

impl SoapServer {
    /// The same of a server that wants a certificate: this one, with its key.
    pub(crate) fn count_by(&self, certificate: &str, key: &str, what: &str) -> u64 {
        let url = self.url("stats");
        let said = Command::new("curl").args(["-s", "-k", "--cert", certificate, "--key", key, &url]).output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&said.stdout).unwrap()[what].as_u64().unwrap()
    }
}

impl Drop for SoapServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/soap").join(name)
}

/// Where `scripts/setup test` keeps what the npm package needs.
fn packages() -> PathBuf {
    super::npm("soap-peer")
}
