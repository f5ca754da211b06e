//! Logging in by a Kerberos ticket: the program itself, a KDC of MIT's, and GSSAPI at the server. What the program is told
//! of tickets stands in its environment.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::facade::client::{exchange, request};
use crate::site::Site;
use crate::support::kdc::{ACCOUNT, Kdc, REALM};
use crate::support::proxy::Proxy;
use crate::support::seat;
use crate::support::tds_server::{Acceptor, Encryption, Settings, TdsServer};

/// Kerberos 5 (RFC 4121).
const KERBEROS: &str = "1.2.840.113554.1.2.2";

/// A domain, a server of SQL Server's protocol in it, and the program beside.
struct Domain {
    kdc: Kdc,
    server: TdsServer,
    site: Site,
}

/// What `doctor` says in the end: step, whether it is well, words and remedy.
struct Told {
    step: String,
    is_well: bool,
    said: String,
    remedy: String,
}

impl Domain {
    fn new() -> Domain {
        // The key is of the name, not of the port: the server finds its own only when it listens.
        let kdc = Kdc::start("MSSQLSvc/placeholder:1");
        let (config, keytab) = (kdc.path("krb5.conf"), kdc.path("service.keytab"));
        let variables: [(&str, &Path); 2] = [("KRB5_CONFIG", &config), ("KRB5_KTNAME", &keytab)];
        let acceptor = Acceptor::start(KERBEROS, &variables);
        let settings = Settings {
            logins: vec![(format!("{ACCOUNT}@{REALM}"), String::new())],
            encryption: Encryption::Off,
            acceptor: Some(Arc::new(acceptor)),
            ..Settings::default()
        };
        let script = "CREATE TABLE dbo.orders (no int NOT NULL PRIMARY KEY, customer nvarchar(40));
                      INSERT INTO dbo.orders VALUES (1, N'M\u{fc}ller')";
        let server = TdsServer::with(settings, script);
        let service = format!("MSSQLSvc/localhost:{}", server.port());
        kdc.admin(&format!("addprinc -randkey {service}"));
        kdc.admin(&format!("ktadd -k {} {service}", kdc.path("service.keytab").display()));
        let site = Site::new();
        let domain = Domain { kdc, server, site };
        domain.configure("encryption = \"required\"");
        domain
    }

    fn configure(&self, lines: &str) {
        let text = format!(
            "[backends.erp.mssql]\nhost = \"localhost\"\nport = {}\ndatabase = \"erp\"\nauthentication = \"kerberos\"\n\
             connect_timeout = \"5s\"\nca = \"{}\"\n{lines}\n[telemetry]\nlog = \"text\"\n",
            self.server.port(),
            self.server.authority().display(),
        );
        self.site.write("tollbridge.toml", text.as_bytes());
    }

    /// The program with tickets from a file and more in its environment.
    fn program(&self, mut command: Command, tickets: &str, more: &[(&str, PathBuf)]) -> std::process::Output {
        command.envs(self.kdc.variables(tickets)).envs(more.iter().cloned()).output().unwrap()
    }

    fn told(&self, command: Command, tickets: &str, more: &[(&str, PathBuf)]) -> Told {
        let output = self.program(command, tickets, more);
        let text = String::from_utf8(output.stdout).unwrap();
        let said: Value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr)));
        let steps = said["steps"].as_array().unwrap();
        // The first that is wrong, else the login.
        let login = |step: &&Value| step["step"] == "login";
        let shown = steps.iter().find(|step| step["ok"] == false).or_else(|| steps.iter().find(login)).unwrap();
        let word = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
        Told { step: word("step"), is_well: shown["ok"] == true, said: word("said"), remedy: word("remedy") }
    }

    fn doctor(&self, tickets: &str, more: &[(&str, PathBuf)]) -> Told {
        self.told(self.site.command(&["doctor", "erp", "--json"]), tickets, more)
    }

    fn by_keytab(&self, keytab: &str) -> [(&'static str, PathBuf); 1] {
        [("KRB5_CLIENT_KTNAME", self.kdc.path(keytab))]
    }
}

fn wrong(told: &Told, said: &str, remedy: &str) {
    assert!(!told.is_well && told.step == "login", "{}: {}", told.step, told.said);
    assert!(told.said.contains(said), "{}", told.said);
    assert!(told.remedy.contains(remedy), "{}", told.remedy);
}

#[test]
fn a_ticket_or_a_key_table_lets_us_in() {
    let domain = Domain::new();
    domain.kdc.ticket("tickets", Duration::from_secs(600));
    for encryption in ["required", "login-only"] {
        domain.configure(&format!("encryption = \"{encryption}\""));
        let told = domain.doctor("tickets", &[]);
        assert!(told.is_well, "{encryption}: {}: {}", told.step, told.said);
        assert_eq!(told.said, "the account of our Kerberos ticket is let in");
    }
    // Without a ticket, the key table is enough; the ticket is got on the way.
    let told = domain.doctor("by-keytab", &domain.by_keytab("account.keytab"));
    assert!(told.is_well, "{}: {}", told.step, told.said);
    let sessions = domain.server.report().sessions;
    assert!(sessions.len() >= 3 && sessions.iter().all(|session| session.user == format!("{ACCOUNT}@{REALM}")));

    // Its rows are read like any other's.
    let read = domain.site.command(&["inspect", "--backend", "erp", "--table", "dbo.orders"]);
    let output = domain.program(read, "tickets", &[]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && shown.contains("customer"),
        "{shown}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn what_keeps_a_ticket_out_is_told() {
    let mut domain = Domain::new();
    wrong(&domain.doctor("no-tickets", &[]), "there is no Kerberos ticket", "kinit");
    wrong(
        &domain.doctor("no-tickets", &domain.by_keytab("nowhere.keytab")),
        "there is no Kerberos ticket",
        "KRB5_CLIENT_KTNAME",
    );

    domain.kdc.ticket("short", Duration::from_secs(1));
    std::thread::sleep(Duration::from_secs(3));
    wrong(&domain.doctor("short", &[]), "our Kerberos ticket has expired", "KRB5_CLIENT_KTNAME");

    domain.kdc.ticket("tickets", Duration::from_secs(600));
    wrong(&domain.doctor("tickets", &[("KRB5_CONFIG", "/dev/null".into())]), "told of no domain", "default_realm");

    domain.configure("spn_host = \"sql7.erp.test\"");
    let told = domain.doctor("tickets", &[]);
    wrong(&told, "the domain knows no such service", "`spn_host`");
    assert!(told.said.contains(&format!("MSSQLSvc/sql7.erp.test:{}", domain.server.port())), "{}", told.said);

    // The domain knows the name, and the server has another key for it.
    let other = format!("MSSQLSvc/other.erp.test:{}", domain.server.port());
    domain.kdc.admin(&format!("addprinc -randkey {other}"));
    domain.configure("spn_host = \"other.erp.test\"");
    wrong(&domain.doctor("tickets", &[]), "untrusted domain", "has the key of MSSQLSvc/other.erp.test");
    domain.configure("");

    // Our clock is twenty minutes ahead.
    let mut skewed = Command::new("faketime");
    skewed.args(["-f", "+20m", env!("CARGO_BIN_EXE_tollbridge"), "doctor", "erp", "--json"]);
    skewed.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").current_dir(domain.site.path(""));
    let told = domain.told(skewed, "skewed", &domain.by_keytab("account.keytab"));
    wrong(&told, "clock", "NTP");

    // The account's password has changed since its key table was written.
    domain.kdc.admin(&format!("cpw -pw another {ACCOUNT}"));
    wrong(&domain.doctor("old-key", &domain.by_keytab("account.keytab")), "key", "key table anew");

    domain.kdc.stop();
    wrong(&domain.doctor("none", &domain.by_keytab("account.keytab")), "no server of the domain answers", "port 88");
}

const MAPPING: &str = r#"
resource = "orders"
version = 1
key = ["order_no"]
[source]
backend = "erp"
[source.table]
table = "dbo.orders"
snapshot = true
[fields]
order_no = { from = "no", type = "integer" }
customer = { from = "customer" }
[serve]
mode = "live"
"#;

/// The domain says nothing, and the thread that asks it cannot be ended: it may yet log in. Until it is over its place is not
/// given to another, so that there never are more sessions than the cap.
#[test]
fn the_place_of_a_login_that_goes_on_is_not_given_to_another() {
    let domain = Domain::new();
    domain.configure(
        "[backends.erp.gate]\nmax_in_flight = 1\nqueue_timeout = \"200ms\"\nsettle = \"100ms\"\nbreaker = { failures = 0 }\nretry = { attempts = 1 }",
    );
    let text = std::fs::read_to_string(domain.site.path("tollbridge.toml")).unwrap();
    let text = text.replace("connect_timeout = \"5s\"", "connect_timeout = \"1s\"");
    domain.site.write("tollbridge.toml", text.as_bytes());
    domain.site.write("mappings/orders.v1.toml", MAPPING.as_bytes());
    // The way to the domain can be blocked.
    let known = std::fs::read_to_string(domain.kdc.path("krb5.conf")).unwrap();
    let port = known.split_once("kdc = 127.0.0.1:").unwrap().1.lines().next().unwrap();
    let way = Proxy::before(port.parse().unwrap());
    let behind = known.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{}", way.port()));
    domain.site.write("krb5.conf", behind.as_bytes());
    way.stop();
    let (conf, tickets) = (domain.site.path("krb5.conf"), domain.site.path("tickets"));
    let keytab = domain.kdc.path("account.keytab");
    let variables =
        [("KRB5_CONFIG", &conf), ("KRB5CCNAME", &tickets), ("KRB5_CLIENT_KTNAME", &keytab)].map(|(name, path)| {
            // All of them are made of UTF-8.
            (name, path.to_str().unwrap())
        });
    let service = domain.site.serve_with(&variables);
    service.until(|| (service.admin("GET", "/health/ready").0 == 200).then_some(()));
    let (made, code) = domain.site.json(&["keys", "create", "reader", "--scope", "read"]);
    assert_eq!(code, 0, "{made:?}");
    let bearer = format!("Bearer {}", made[0]["key"].as_str().unwrap());
    let ask = || {
        let get = request("GET", "/v1/orders/1", &[("Authorization", &bearer)], b"");
        exchange(seat::address(&service), &get).unwrap()
    };
    ask().problem(503, "backend-unavailable");
    let gate = |what: &str| seat::gate(&service)[what].as_u64().unwrap();
    // The first was told long ago, and its place is still taken.
    let next = ask();
    next.problem(503, "backend-busy");
    assert_eq!(next.json()["reason"], "deadline");
    assert_eq!((gate("interactive_in_flight"), gate("granted_total"), gate("lingering")), (0, 1, 1));
    assert!(domain.server.report().sessions.is_empty());
    way.go_on();
    let found = service.until(|| Some(ask()).filter(|answer| answer.status == 200));
    assert_eq!(found.json()["customer"], "M\u{fc}ller");
    service.until(|| (gate("interactive_in_flight") == 0 && gate("lingering") == 0).then_some(()));
}

/// A ticket of somebody for whom the server has no login.
#[test]
fn an_account_without_a_login_is_told() {
    let domain = Domain::new();
    domain.kdc.admin("addprinc -pw x stranger");
    let keytab = domain.kdc.path("stranger.keytab");
    domain.kdc.admin(&format!("ktadd -norandkey -k {} stranger", keytab.display()));
    let told = domain.doctor("stranger", &domain.by_keytab("stranger.keytab"));
    wrong(&told, "Login failed", "CREATE LOGIN");
}
