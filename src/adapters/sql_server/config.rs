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
            shape: "\"sql\" | \"kerberos\"",
            presence: Presence::Default("\"sql\""),
            doc: "how to log in: by name and password of the server, or by the Kerberos ticket of the system (a build with the feature `kerberos`). By NTLM one logs in by `odbc`",
        },
        Key {
            name: "username",
            shape: "string",
            presence: Presence::Optional,
            doc: "who logs in; needed where no ticket says it",
        },
        Key {
            name: "password",
            shape: secret::SHAPE,
            presence: Presence::Optional,
            doc: "where its password is; needed where no ticket says who logs in",
        },
        Key {
            name: "spn_host",
            shape: "string",
            presence: Presence::Optional,
            doc: "the name under which the domain knows the server (`MSSQLSvc/NAME:PORT`), where it is not `host`; for `kerberos`",
        },
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

/// Who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// A login of the server's own.
    Sql {
        /// Its name.
        username: String,
        /// Where its password is.
        password: SecretRef,
    },
    /// Whoever the system's Kerberos ticket is for.
    Kerberos {
        /// The host in the server's service principal name, where it is another.
        spn_host: Option<String>,
    },
}

impl Login {
    /// Who that is, for people.
    pub fn who(&self) -> &str {
        match self {
            Login::Sql { username, .. } => username,
            Login::Kerberos { .. } => "the account of our Kerberos ticket",
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
    pub login: Login,
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
        let login = login(table, base);
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
            login: login?,
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

/// Reads who logs in.
fn login(table: &Table<'_>, base: &Path) -> Option<Login> {
    let is_kerberos = table.read("authentication", |node| authentication(node.as_str()))?;
    let (without, with): (&[&str], &[&str]) =
        if is_kerberos { (&["username", "password"], &[]) } else { (&["spn_host"], &["username", "password"]) };
    for name in without {
        if let Some(node) = table.get(name) {
            let word = if is_kerberos { "kerberos" } else { "sql" };
            table.fail(node.key_fault(format!("`{name}` has no meaning where `authentication` is \"{word}\"")));
        }
    }
    for name in with.iter().filter(|name| !table.has(name)) {
        table.fail(table.node().key_fault(format!("`{}` has no `{name}`", SECTION.path)));
    }
    if is_kerberos {
        let spn_host = table.has("spn_host").then(|| table.read("spn_host", |node| spn_host(node.as_str())));
        return match spn_host {
            Some(host) => Some(Login::Kerberos { spn_host: Some(host?) }),
            None => Some(Login::Kerberos { spn_host: None }),
        };
    }
    let (username, password) = (table.filled("username"), SecretRef::read(table, "password", base));
    Some(Login::Sql { username: username?, password: password? })
}

/// Whether the ticket logs in.
fn authentication(text: Option<&str>) -> Result<bool, String> {
    match text {
        Some("sql") => Ok(false),
        Some("kerberos") if cfg!(feature = "kerberos") => Ok(true),
        Some("kerberos") => {
            Err("this build has no Kerberos: build it with `--features kerberos` (which takes the headers of \
                                 libkrb5 and libclang), or reach the server by `odbc`"
                .to_owned())
        }
        Some("integrated" | "windows") => Err("expected \"sql\" or \"kerberos\"".to_owned()),
        Some("ntlm") => {
            Err("NTLM is not spoken to SQL Server: use \"kerberos\", or reach it by `odbc` and FreeTDS with a user \
                             named DOMAIN\\name"
                .to_owned())
        }
        _ => Err("expected \"sql\" or \"kerberos\"".to_owned()),
    }
}

/// A host in a service principal name: what else such a name has is ours.
fn spn_host(text: Option<&str>) -> Result<String, String> {
    match text {
        Some(name)
            if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) =>
        {
            Ok(name.to_owned())
        }
        _ => Err("expected the name of a host, without `MSSQLSvc/` and port".to_owned()),
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
            ("authentication = \"ntlm\"", "by `odbc` and FreeTDS"),
            ("authentication = \"windows\"", "expected \"sql\" or \"kerberos\""),
            ("authentication = \"x\"", "expected \"sql\""),
            ("spn_host = \"erp\"", "`spn_host` has no meaning where `authentication` is \"sql\""),
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

    #[test]
    fn a_ticket_says_who_logs_in() {
        let kerberos = "host = \"erp.example\"\nauthentication = \"kerberos\"\n";
        if !cfg!(feature = "kerberos") {
            assert!(read(kerberos).unwrap_err().contains("this build has no Kerberos"));
            return;
        }
        assert_eq!(read(kerberos).unwrap().login, Login::Kerberos { spn_host: None });
        let config = read(&format!("{kerberos}spn_host = \"SQL1.example\"")).unwrap();
        assert_eq!(config.login, Login::Kerberos { spn_host: Some("SQL1.example".to_owned()) });
        for (written, words) in [
            ("username = \"svc\"", "`username` has no meaning"),
            ("password = { env = \"P\" }", "`password` has no meaning"),
            ("spn_host = \"MSSQLSvc/erp:1433\"", "without `MSSQLSvc/`"),
        ] {
            let fault = read(&format!("{kerberos}{written}")).unwrap_err();
            assert!(fault.contains(words), "{written}: {fault}");
        }
    }
}
