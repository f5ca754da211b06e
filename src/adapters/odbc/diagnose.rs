//! Looking step by step for what keeps us out of a database. What can be seen without the driver is looked at before it,
//! since drivers tell little of why they do not connect.

use std::path::Path;
use std::time::Duration;

use super::error::Reporter;
use super::quirks::Quirks;
use super::{Config, session};
use crate::adapters::finding;
use crate::adapters::sql::{Dialect, Finding, Server, SqlError, SqlErrorKind};

/// How long resolving a name and connecting may take each.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the driver is there, as the driver manager knows it.
pub(super) fn driver(config: &Config) -> Finding {
    let reporter = Reporter { place: config.place(), secret: None };
    let environment = match session::environment(&reporter) {
        Ok(environment) => environment,
        Err(error) => return Finding::wrong("driver", error.message, "install unixODBC"),
    };
    if let Some(name) = config.connection.get("Driver") {
        if name.contains('/') {
            return if Path::new(name).exists() {
                Finding::well("driver", with_doubt(config, &format!("the driver {name} is there")))
            } else {
                Finding::wrong(
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
            return Finding::well("driver", with_doubt(config, &format!("the driver `{name}` is installed")));
        }
        let there = if drivers.is_empty() { "none".to_owned() } else { drivers.join(", ") };
        return Finding::wrong(
            "driver",
            format!("no driver `{name}` is installed"),
            format!("install it, or write one of these as `Driver=`: {there}"),
        );
    }
    let name = config.connection.get("DSN").unwrap_or_default();
    let mut sources: Vec<_> =
        environment.data_sources().unwrap_or_default().into_iter().map(|source| source.server_name).collect();
    if name.is_empty() || sources.iter().any(|source| source.eq_ignore_ascii_case(name)) {
        return Finding::well("driver", with_doubt(config, "the data source is known to the driver manager"));
    }
    sources.sort();
    let there = if sources.is_empty() { "none".to_owned() } else { sources.join(", ") };
    Finding::wrong(
        "driver",
        format!("there is no data source `{name}`"),
        format!("add it to odbc.ini, or name one of these: {there}"),
    )
}

/// That neither driver nor file could be looked at.
pub(super) fn unseen(time: Duration) -> Finding {
    Finding::wrong(
        "driver",
        format!("looking for the driver and its file took longer than {} s", time.as_secs_f32()),
        "look whether the folders of unixODBC, of the driver and of its file can be read: a share that does not answer?",
    )
}

/// With what is peculiar to the driver, where a person should know of it.
fn with_doubt(config: &Config, found: &str) -> String {
    match config.quirks().and_then(|quirks| quirks.doubt) {
        Some(doubt) => format!("{found}; {doubt}"),
        None => found.to_owned(),
    }
}

/// The file of a driver that reads files; `None` where it is no such driver.
pub(super) fn file(config: &Config) -> Option<Finding> {
    let quirks = config.quirks()?;
    let path = quirks.file.iter().find_map(|key| config.connection.get(key))?;
    if path.starts_with(':') {
        return None;
    }
    Some(match std::fs::File::open(path) {
        Ok(_) => Finding::well("connect", format!("the file {path} can be read")),
        Err(fault) => Finding::wrong(
            "connect",
            format!("the file {path} cannot be read: {fault}"),
            "correct the path in `connection` (it starts at the configuration's folder), or let the service read it",
        ),
    })
}

/// Host and port that the connection string names; `None` where it names none, a socket, or what stands elsewhere.
pub(super) fn host(config: &Config) -> Option<(String, u16)> {
    let quirks = config.quirks();
    if quirks.is_some_and(|quirks| !quirks.file.is_empty()) {
        return None;
    }
    if quirks.is_some_and(|quirks| quirks.sections.iter().any(|key| config.connection.get(key).is_some())) {
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
    let found = finding::reach(host, port, PATIENCE).await;
    let is_reached = found.iter().all(|finding| finding.is_well);
    findings.extend(found);
    is_reached
}

/// What a failed login means.
pub(super) fn refused(error: &SqlError) -> Finding {
    if error.message.contains("file is not a database") {
        let hint = "name a file of SQLite in `connection`; one that was encrypted looks like this, too";
        return Finding::wrong("connect", "the file is no database", hint);
    }
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
    Finding::wrong(step, said, hint)
}

/// What was found once we are in; `encoding` is what texts say of it.
pub(super) fn inside(
    config: &Config,
    server: &Server,
    tables: &Result<usize, SqlError>,
    encoding: Option<Finding>,
) -> Vec<Finding> {
    let who = server.login.as_deref().unwrap_or("the account");
    let mut findings = vec![Finding::well("login", format!("{who} is let in"))];
    findings.push(match tables {
        Ok(0) => Finding::wrong(
            "rights",
            format!("{who} sees no table"),
            "grant it the tables to be read, or name another database or schema",
        ),
        Ok(1) => Finding::well("rights", format!("{who} sees one table or view")),
        Ok(count) => Finding::well("rights", format!("{who} sees {count} tables and views")),
        Err(error) if matches!(error.kind, SqlErrorKind::Timeout | SqlErrorKind::Cancelled) => Finding::wrong(
            "rights",
            format!("what {who} may see was not told in time"),
            "see what holds the database up (a lock on its catalog?), or give `timeout` more",
        ),
        Err(error) => Finding::wrong("rights", error.message.clone(), "let the account read the catalog"),
    });
    findings.push(Finding::well("version", server.product.clone()));
    if let Some(found) = encoding {
        findings.push(found);
    } else if let Some(encoding) = &server.encoding {
        let read = match config.text.or_else(|| Some(config.quirks()?.text)) {
            Some(super::TextWidth::Wide) => "UTF-16".to_owned(),
            _ => config.encoding.clone(),
        };
        findings.push(Finding::well("encoding", format!("text is kept in {encoding} and read in {read}")));
    }
    match server.clock_ahead_ms {
        Some(ahead) if ahead.abs() > 5_000 => findings.push(Finding::wrong(
            "clock",
            format!("its clock is {} s {} ours", ahead.abs() / 1000, if ahead > 0 { "ahead of" } else { "behind" }),
            "set both clocks by NTP; until then a watermark of times needs an overlap that is longer",
        )),
        Some(ahead) => findings.push(Finding::well("clock", format!("its clock is {} ms off ours", ahead.abs()))),
        None => {}
    }
    findings
}
