//! An `mssql` backend's settings.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::adapters::inbox::remote;
use crate::diagnostic::{Key, Presence, Section, Table};
use crate::secret::{self, SecretRef};

/// Keys of `[backends.NAME.mssql]`.
pub static SECTION: Section = Section {
    path: "backends.NAME.mssql",
    doc: "A SQL Server (2012 and newer; older ones are reached by `odbc`). So many connections are open as the gate lets in.",
    keys: &[
        remote::HOST,
        Key {
            name: "port",
            shape: "integer",
            presence: Presence::Optional,
            doc: "its port; default 1433, with `instance` the one that SQL Browser says",
        },
        Key {
            name: "instance",
            shape: "string",
            presence: Presence::Optional,
            doc: "a named instance: SQL Browser (UDP port 1434) is asked for its port",
        },
        Key {
            name: "database",
            shape: "string",
            presence: Presence::Optional,
            doc: "the database; default is the login's own",
        },
        Key {
            name: "authentication",
            shape: "\"sql\"",
            presence: Presence::Default("\"sql\""),
            doc: "how to log in: by name and password of the server. Windows accounts (Kerberos, NTLM) log in by `odbc`",
        },
        remote::USERNAME,
        Key { name: "password", shape: secret::SHAPE, presence: Presence::Required, doc: "where its password is" },
        Key {
            name: "encryption",
            shape: "\"required\" | \"login-only\" | \"off\"",
            presence: Presence::Default("\"required\""),
            doc: "TLS for everything, for the login only, or not at all. What is written is what happens: a server that wants something else is not used",
        },
        Key {
            name: "ca",
            shape: "path",
            presence: Presence::Optional,
            doc: "PEM file of the certificates that vouch for the server; those of the system when absent",
        },
        Key {
            name: "certificate_host",
            shape: "string",
            presence: Presence::Optional,
            doc: "the name in the server's certificate, where it is not `host`",
        },
        Key {
            name: "trust_server_certificate",
            shape: "boolean",
            presence: Presence::Default("false"),
            doc: "take any certificate, like the one that SQL Server makes for itself: what is sent is encrypted, but perhaps to somebody else",
        },
        Key {
            name: "application_name",
            shape: "string",
            presence: Presence::Default("\"tollbridge\""),
            doc: "what the server's administrators see as program",
        },
        Key {
            name: "read_intent",
            shape: "boolean",
            presence: Presence::Default("false"),
            doc: "only reads: an availability group may send us to a readable secondary",
        },
        Key {
            name: "connect_timeout",
            shape: "duration",
            presence: Presence::Default("\"15s\""),
            doc: "how long a connection may take, login included",
        },
        Key {
            name: "timeout",
            shape: "duration",
            presence: Presence::Default("\"30s\""),
            doc: "how long a statement may take that says nothing else; then it is cancelled",
        },
        Key {
            name: "lock_timeout",
            shape: "duration",
            presence: Presence::Default("\"5s\""),
            doc: "how long a statement waits for a lock that somebody else holds",
        },
        Key {
            name: "max_value_bytes",
            shape: "integer",
            presence: Presence::Default("1048576"),
            doc: "a value of more bytes is not read whole: its row becomes a dead letter; 4096 to 268435456",
        },
        Key {
            name: "check_after",
            shape: "duration",
            presence: Presence::Default("\"5m\""),
            doc: "a connection that nobody used for so long is closed instead of used",
        },
    ],
};

/// How much is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Everything.
    Required,
    /// The login.
    LoginOnly,
    /// Nothing.
    Off,
}

impl Encryption {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Encryption::Required => "required",
            Encryption::LoginOnly => "login-only",
            Encryption::Off => "off",
        }
    }
}

/// Whom we take for the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Whoever has a certificate that the system's list vouches for.
    System,
    /// Whoever has a certificate that this file vouches for.
    File(PathBuf),
    /// Anybody.
    Anybody,
}

/// An `mssql` backend's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The server's name or address.
    pub host: String,
    /// Its port, or that of the instance; `None` where SQL Browser is to be asked.
    pub port: Option<u16>,
    /// The named instance.
    pub instance: Option<String>,
    /// The database.
    pub database: Option<String>,
    /// Who logs in.
    pub username: String,
    /// Where the password is.
    pub password: SecretRef,
    /// How much is encrypted.
    pub encryption: Encryption,
    /// Whom we take for the server.
    pub trust: Trust,
    /// The name in its certificate, where it is another.
    pub certificate_host: Option<String>,
    /// Who we are to the administrators.
    pub application_name: String,
    /// Whether we only read.
    pub read_intent: bool,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a statement may take.
    pub timeout: Duration,
    /// How long a statement waits for a lock.
    pub lock_timeout: Duration,
    /// The most bytes of a value.
    pub max_value_bytes: usize,
    /// A connection that was idle for so long is not used again.
    pub check_after: Duration,
}

impl Config {
    /// Reads the table; relative paths start at `base`. `None` after a fault was reported.
    pub fn read(table: &Table<'_>, base: &Path) -> Option<Config> {
        let host = table.filled("host");
        let instance = table.has("instance").then(|| table.read("instance", |node| instance(node.as_str())));
        let port = match table.get("port") {
            None => None,
            Some(_) => table.integer("port", 1..=65535).and_then(|port| u16::try_from(port).ok()),
        };
        let (username, password) = (table.filled("username"), SecretRef::read(table, "password", base));
        table.read("authentication", |node| authentication(node.as_str()));
        let encryption = table.one_of(
            "encryption",
            &[("required", Encryption::Required), ("login-only", Encryption::LoginOnly), ("off", Encryption::Off)],
        );
        let trust = trust(table, encryption, base);
        let max_value_bytes = table.integer("max_value_bytes", 4096..=1 << 28);
        let wait = |name: &str| remote::patience(table, name);
        let (connect_timeout, timeout) = (wait("connect_timeout"), wait("timeout"));
        let (lock_timeout, check_after) = (wait("lock_timeout"), wait("check_after"));
        let (application_name, read_intent) = (table.filled("application_name"), table.boolean("read_intent"));
        let optional = |name: &str| table.has(name).then(|| table.filled(name)).flatten();
        let (database, certificate_host) = (optional("database"), optional("certificate_host"));
        if table.failed() {
            return None;
        }
        let instance = instance.flatten();
        Some(Config {
            host: host?,
            port: port.or(instance.is_none().then_some(1433)),
            instance,
            database,
            username: username?,
            password: password?,
            encryption: encryption?,
            trust: trust?,
            certificate_host,
            application_name: application_name?,
            read_intent: read_intent?,
            connect_timeout: connect_timeout?,
            timeout: timeout?,
            lock_timeout: lock_timeout?,
            max_value_bytes: usize::try_from(max_value_bytes?).ok()?,
            check_after: check_after?,
        })
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let instance = self.instance.as_deref().map(|name| format!("\\{name}")).unwrap_or_default();
        let database = self.database.as_deref().map(|name| format!("/{name}")).unwrap_or_default();
        format!("mssql://{host}{port}{instance}{database}")
    }

    /// What a person should know of it although it works.
    pub fn doubts(&self) -> Vec<String> {
        let (place, mut doubts) = (self.place(), Vec::new());
        let is_local = self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if is_local {
            return doubts;
        }
        match self.encryption {
            Encryption::Required => {}
            Encryption::LoginOnly => {
                doubts.push(format!("{place}: rows can be read on the way; write encryption = \"required\""));
            }
            Encryption::Off => doubts
                .push(format!("{place}: password and rows can be read on the way; write encryption = \"required\"")),
        }
        if self.trust == Trust::Anybody && self.encryption != Encryption::Off {
            doubts.push(format!(
                "{place}: any certificate is taken, so somebody else may answer in the server's place; name by `ca` who \
                 vouches for it"
            ));
        }
        doubts
    }
}

fn instance(text: Option<&str>) -> Result<String, String> {
    match text {
        Some(name) if !name.is_empty() && name.len() <= 16 && name.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(name.to_owned())
        }
        _ => Err("expected an instance's name of at most 16 characters, without the host".to_owned()),
    }
}

/// Windows accounts need libraries of the system that the program is not built with.
fn authentication(text: Option<&str>) -> Result<(), String> {
    match text {
        Some("sql") => Ok(()),
        Some("kerberos" | "integrated" | "windows" | "ntlm") => Err(
            "this build logs in by name and password of the server only (\"sql\"): Kerberos and NTLM need libraries \
                 of the system; with a Windows account reach the server by `odbc` and Microsoft's driver \
                 (Trusted_Connection=yes)"
                .to_owned(),
        ),
        _ => Err("expected \"sql\"".to_owned()),
    }
}

fn trust(table: &Table<'_>, encryption: Option<Encryption>, base: &Path) -> Option<Trust> {
    let anybody = table.boolean("trust_server_certificate")?;
    let ca = table.has("ca").then(|| table.filled("ca").map(|path| base.join(path)));
    if let Some(node) = table.get("ca").filter(|_| anybody) {
        table.fail(node.key_fault("`ca` has no meaning where `trust_server_certificate` takes any certificate"));
    }
    for name in ["ca", "certificate_host"] {
        if let Some(node) = table.get(name).filter(|_| encryption == Some(Encryption::Off)) {
            table.fail(node.key_fault(format!("`{name}` has no meaning where `encryption` is off")));
        }
    }
    match (anybody, ca) {
        (true, _) => Some(Trust::Anybody),
        (false, None) => Some(Trust::System),
        (false, Some(path)) => path.map(Trust::File),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Faults, SourceText, parse};

    fn read(text: &str) -> Result<Config, String> {
        let source = SourceText::new(Path::new("t.toml"), text.to_owned());
        let faults = Faults::new();
        let root = parse(&source, &faults);
        let config = Table::new(&root, &SECTION, &faults).and_then(|table| Config::read(&table, Path::new("/etc")));
        config.ok_or_else(|| faults.into_sorted().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    const LOGIN: &str = "host = \"erp\"\nusername = \"svc\"\npassword = { env = \"P\" }\n";

    #[test]
    fn what_is_written_is_what_there_is() {
        let config = read(LOGIN).unwrap();
        assert_eq!((config.encryption, &config.trust, config.port), (Encryption::Required, &Trust::System, Some(1433)));
        assert_eq!((config.place().as_str(), config.doubts().len()), ("mssql://erp:1433", 0));
        let more = "instance = \"NAV\"\ndatabase = \"live\"\nca = \"ca.pem\"\nmax_value_bytes = 4096";
        let config = read(&format!("{LOGIN}{more}")).unwrap();
        assert_eq!((config.port, config.place().as_str()), (None, "mssql://erp\\NAV/live"));
        assert_eq!((config.trust, config.max_value_bytes), (Trust::File("/etc/ca.pem".into()), 4096));
        for (written, words) in [
            ("encryption = \"off\"", "password and rows can be read"),
            ("encryption = \"login-only\"", "rows can be read"),
            ("trust_server_certificate = true", "any certificate is taken"),
        ] {
            let doubts = read(&format!("{LOGIN}{written}")).unwrap().doubts();
            assert!(doubts.len() == 1 && doubts[0].contains(words), "{doubts:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (written, words) in [
            ("authentication = \"kerberos\"", "Kerberos and NTLM need libraries"),
            ("authentication = \"ntlm\"", "by `odbc`"),
            ("authentication = \"x\"", "expected \"sql\""),
            ("encryption = \"prefer\"", "not one of"),
            ("encryption = \"off\"\nca = \"x\"", "`ca` has no meaning where `encryption` is off"),
            ("trust_server_certificate = true\nca = \"x\"", "takes any certificate"),
            ("instance = \"erp\\\\NAV 1\"", "expected an instance's name"),
            ("timeout = \"1ms\"", "from \"1s\""),
            ("max_value_bytes = 1", "outside 4096"),
        ] {
            let fault = read(&format!("{LOGIN}{written}")).unwrap_err();
            assert!(fault.contains(words), "{written}: {fault}");
        }
        let fault = read("host = \"erp\"").unwrap_err();
        assert!(fault.contains("no `username`") && fault.contains("no `password`"), "{fault}");
    }
}
