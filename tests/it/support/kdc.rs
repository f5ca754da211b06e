//! A Kerberos domain of its own: MIT's KDC on a free port, with a service and an account in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::postgres::{free_port, until};

/// The realm.
pub(crate) const REALM: &str = "ERP.TEST";

/// The account that may log in, and its password.
pub(crate) const ACCOUNT: &str = "svc";
const PASSWORD: &str = "s3cret";

/// A running domain. It ends when it is dropped.
pub(crate) struct Kdc {
    folder: tempfile::TempDir,
    server: Option<Child>,
}

impl Kdc {
    /// With a service, as `MSSQLSvc/localhost:1433`, whose key is in the file `service.keytab`; the key of the account is
    /// in `account.keytab`.
    pub(crate) fn start(service: &str) -> Kdc {
        let folder = tempfile::tempdir().unwrap();
        let (port, path) = (free_port(), folder.path().display().to_string());
        let client = format!(
            "[libdefaults]\ndefault_realm = {REALM}\ndns_lookup_kdc = false\ndns_lookup_realm = false\nrdns = false\n\
             udp_preference_limit = 1\nkdc_timesync = 0\n[realms]\n{REALM} = {{\nkdc = 127.0.0.1:{port}\n}}\n"
        );
        let server = format!(
            "[kdcdefaults]\nkdc_listen = \"\"\nkdc_tcp_listen = 127.0.0.1:{port}\n[realms]\n{REALM} = {{\n\
             database_name = {path}/db\nkey_stash_file = {path}/stash\nacl_file = {path}/acl\n}}\n\
             [logging]\nkdc = FILE:{path}/kdc.log\n"
        );
        std::fs::write(folder.path().join("krb5.conf"), client).unwrap();
        std::fs::write(folder.path().join("kdc.conf"), server).unwrap();
        let mut kdc = Kdc { folder, server: None };
        kdc.run("/usr/sbin/kdb5_util", &["create", "-s", "-P", "master", "-r", REALM]);
        kdc.admin(&format!("addprinc -pw {PASSWORD} {ACCOUNT}"));
        kdc.admin(&format!("ktadd -norandkey -k {path}/account.keytab {ACCOUNT}"));
        kdc.admin(&format!("addprinc -randkey {service}"));
        kdc.admin(&format!("ktadd -k {path}/service.keytab {service}"));
        kdc.begin(port);
        kdc
    }

    fn begin(&mut self, port: u16) {
        // It goes when the tests do.
        let mut command = self.command("setpriv");
        command.args(["--pdeathsig", "KILL", "/usr/sbin/krb5kdc", "-n"]).stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(command.spawn().expect("krb5-kdc is installed by scripts/setup test"));
        until("the KDC answers", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    /// Ends it; nobody answers any more.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// A file of it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The variables by which a program finds it, and its tickets in a file.
    pub(crate) fn variables(&self, tickets: &str) -> Vec<(&'static str, PathBuf)> {
        vec![("KRB5_CONFIG", self.path("krb5.conf")), ("KRB5CCNAME", self.path(tickets))]
    }

    /// Gets a ticket for the account, good for so long, into a file.
    pub(crate) fn ticket(&self, tickets: &str, lasts: Duration) {
        let lasts = format!("{}s", lasts.as_secs());
        let mut command = Command::new("kinit");
        command.args(["-l", &lasts, ACCOUNT]).envs(self.variables(tickets)).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut kinit = command.spawn().expect("krb5-user is installed by scripts/setup test");
        writeln!(kinit.stdin.take().unwrap(), "{PASSWORD}").unwrap();
        assert!(kinit.wait().unwrap().success());
    }

    /// Asks the domain's administration.
    pub(crate) fn admin(&self, question: &str) {
        self.run("/usr/sbin/kadmin.local", &["-q", question]);
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env("KRB5_CONFIG", self.path("krb5.conf")).env("KRB5_KDC_PROFILE", self.path("kdc.conf"));
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let ran = self.command(program).args(arguments).output().expect("krb5-kdc is installed by scripts/setup test");
        assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        self.stop();
    }
}
