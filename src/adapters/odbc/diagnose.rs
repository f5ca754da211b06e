//! Looking step by step for what keeps us out of a database. What can be seen without the driver is looked at before it,
//! since drivers tell little of why they do not connect.

use std::path::Path;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::error::Reporter;
use super::quirks::Quirks;
use super::{Config, session};
use crate::adapters::sql::{Dialect, Finding, Server, SqlError, SqlErrorKind};

/// How long resolving a name and connecting may take each.
const PATIENCE: Duration = Duration::from_secs(5);

fn well(step: &'static str, said: impl Into<String>) -> Finding {
    Finding { step, said: said.into(), remedy: None, is_well: true }
}

fn wrong(step: &'static str, said: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { step, said: said.into(), remedy: Some(remedy.into()), is_well: false }
}

/// Whether the driver is there, as the driver manager knows it.
pub(super) fn driver(config: &Config) -> Finding {
    let reporter = Reporter { place: config.place(), secret: None };
    let environment = match session::environment(&reporter) {
        Ok(environment) => environment,
        Err(error) => return wrong("driver", error.message, "install unixODBC"),
    };
    if let Some(name) = config.connection.get("Driver") {
        if name.contains('/') {
            return if Path::new(name).exists() {
                well("driver", format!("the driver {name} is there"))
            } else {
                wrong(
                    "driver",
                    format!("there is no file {name}"),
                    "install the driver, or correct `Driver=` in `connection`",
                )
            };
        }
        let mut drivers: Vec<_> =
            environment.drivers().unwrap_or_default().into_iter().map(|driver| driver.description).collect();
        drivers.sort();
        if drivers.iter().any(|driver| driver.eq_ignore_ascii_case(name)) {
            return well("driver", format!("the driver `{name}` is installed"));
        }
        let there = if drivers.is_empty() { "none".to_owned() } else { drivers.join(", ") };
        return wrong(
            "driver",
            format!("no driver `{name}` is installed"),
            format!("install it, or write one of these as `Driver=`: {there}"),
        );
    }
    let name = config.connection.get("DSN").unwrap_or_default();
    let mut sources: Vec<_> =
        environment.data_sources().unwrap_or_default().into_iter().map(|source| source.server_name).collect();
    if name.is_empty() || sources.iter().any(|source| source.eq_ignore_ascii_case(name)) {
        return well("driver", "the data source is known to the driver manager");
    }
    sources.sort();
    let there = if sources.is_empty() { "none".to_owned() } else { sources.join(", ") };
    wrong(
        "driver",
        format!("there is no data source `{name}`"),
        format!("add it to odbc.ini, or name one of these: {there}"),
    )
}

/// The file of a driver that reads files; `None` where it is no such driver.
pub(super) fn file(config: &Config) -> Option<Finding> {
    let quirks = config.quirks()?;
    let path = quirks.file.iter().find_map(|key| config.connection.get(key))?;
    if path.starts_with(':') {
        return None;
    }
    Some(match std::fs::File::open(path) {
        Ok(_) => well("connect", format!("the file {path} can be read")),
        Err(fault) => wrong(
            "connect",
            format!("the file {path} cannot be read: {fault}"),
            "correct the path in `connection` (it starts at the configuration's folder), or let the service read it",
        ),
    })
}

/// Host and port that the connection string names; `None` where it names none, or a socket.
pub(super) fn host(config: &Config) -> Option<(String, u16)> {
    let quirks = config.quirks();
    if quirks.is_some_and(|quirks| !quirks.file.is_empty()) {
        return None;
    }
    let named = config.connection.first(&["Server", "Servername", "Host", "Hostname", "System", "HostName", "IP"])?;
    let named = named.trim_start_matches("tcp:");
    let (host, port) = match named.split_once(',') {
        Some((host, port)) => (host, port.trim().parse().ok()),
        None => (named, None),
    };
    if host.is_empty() || host.starts_with('/') || host.contains('\\') {
        return None;
    }
    let written = config.connection.first(&["Port", "PortNumber", "Service"]).and_then(|port| port.parse().ok());
    Some((host.to_owned(), port.or(written).or_else(|| usual_port(config, quirks))?))
}

fn usual_port(config: &Config, quirks: Option<&'static Quirks>) -> Option<u16> {
    Some(match config.dialect.or_else(|| quirks?.dialect)? {
        Dialect::Postgres => 5432,
        Dialect::MySql => 3306,
        Dialect::SqlServer => 1433,
        Dialect::Oracle => 1521,
        Dialect::Firebird => 3050,
        Dialect::Db2 if quirks.is_some_and(|quirks| quirks.name == "ibmi") => 8471,
        Dialect::Db2 => 50000,
        _ => return None,
    })
}

/// Resolves and connects. Ends at the first that fails.
pub(super) async fn reach(host: &str, port: u16, findings: &mut Vec<Finding>) -> bool {
    let addresses: Vec<_> = match timeout(PATIENCE, lookup_host((host, port))).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(fault)) => {
            let remedy = "correct the host in `connection`, or add it to the name server or /etc/hosts";
            findings.push(wrong("resolve", format!("`{host}` has no address: {fault}"), remedy));
            return false;
        }
        Err(_) => {
            findings.push(wrong(
                "resolve",
                format!("the name server says nothing of `{host}`"),
                "look at /etc/resolv.conf",
            ));
            return false;
        }
    };
    let listed: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    findings.push(well("resolve", format!("`{host}` is {}", listed.join(", "))));
    match timeout(PATIENCE, TcpStream::connect(&addresses[..])).await {
        Ok(Ok(_)) => {
            findings.push(well("connect", format!("port {port} answers")));
            true
        }
        Ok(Err(fault)) => {
            let remedy = "is the server running, does it listen on this port and address, and is there a firewall?";
            findings.push(wrong("connect", format!("port {port} does not answer: {fault}"), remedy));
            false
        }
        Err(_) => {
            let remedy = "a firewall may swallow the packets: let this machine through to the port";
            findings.push(wrong("connect", format!("port {port} says nothing within 5 s"), remedy));
            false
        }
    }
}

/// What a failed login means.
pub(super) fn refused(error: &SqlError) -> Finding {
    let step = match error.kind {
        SqlErrorKind::Driver => "driver",
        SqlErrorKind::Tls => "tls",
        SqlErrorKind::Unreachable | SqlErrorKind::Timeout | SqlErrorKind::Lost | SqlErrorKind::Busy => "connect",
        SqlErrorKind::Rights => "rights",
        _ => "login",
    };
    let (said, hint) = match error.message.rsplit_once("; ") {
        Some((said, hint)) => (said.to_owned(), hint.to_owned()),
        None => (error.message.clone(), "look at `connection`, `username` and `password`".to_owned()),
    };
    wrong(step, said, hint)
}

/// What was found once we are in.
pub(super) fn inside(config: &Config, server: &Server, tables: &Result<usize, SqlError>) -> Vec<Finding> {
    let who = server.login.as_deref().unwrap_or("the account");
    let mut findings = vec![well("login", format!("{who} is let in"))];
    findings.push(match tables {
        Ok(0) => wrong(
            "rights",
            format!("{who} sees no table"),
            "grant it the tables to be read, or name another database or schema",
        ),
        Ok(1) => well("rights", format!("{who} sees one table or view")),
        Ok(count) => well("rights", format!("{who} sees {count} tables and views")),
        Err(error) => wrong("rights", error.message.clone(), "let the account read the catalog"),
    });
    findings.push(well("version", server.product.clone()));
    if let Some(encoding) = &server.encoding {
        let read = match config.text.or_else(|| Some(config.quirks()?.text)) {
            Some(super::TextWidth::Wide) => "UTF-16".to_owned(),
            _ => config.encoding.clone(),
        };
        findings.push(well("encoding", format!("text is kept in {encoding} and read in {read}")));
    }
    match server.clock_ahead_ms {
        Some(ahead) if ahead.abs() > 5_000 => findings.push(wrong(
            "clock",
            format!("its clock is {} s {} ours", ahead.abs() / 1000, if ahead > 0 { "ahead of" } else { "behind" }),
            "set both clocks by NTP; until then a watermark of times needs an overlap that is longer",
        )),
        Some(ahead) => findings.push(well("clock", format!("its clock is {} ms off ours", ahead.abs()))),
        None => {}
    }
    findings
}
