//! An FTP server written by others (pyftpdlib), with certificates made by OpenSSL.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The password of the user `erp`.
pub(crate) const PASSWORD: &str = "Zollbrücke 7";

/// A running server; ended when dropped. Its folder holds `home/outbox`, `ca.pem` and `other.pem`.
pub(crate) struct Ftpd {
    folder: tempfile::TempDir,
    child: Child,
    pub(crate) port: u16,
}

impl Ftpd {
    /// `options`: `explicit`, `implicit` or `off`, and `nofacts` for a server that knows no MLSD.
    pub(crate) fn start(options: &[&str]) -> Ftpd {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("home/outbox")).unwrap();
        certificates(folder.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/pickup/ftpd.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).arg(folder.path()).args(options);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("no FTP server: run scripts/setup test ({line})"));
        Ftpd { folder, child, port }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file into the outbox, whole.
    pub(crate) fn deliver(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path("delivery"), content).unwrap();
        std::fs::rename(self.path("delivery"), self.path("home/outbox").join(name)).unwrap();
    }

    /// Names in a folder of the server.
    pub(crate) fn listing(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path("home").join(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What data connections suffer from now on.
    pub(crate) fn limit(&self, limits: &str) {
        std::fs::write(self.path("limits.new"), limits).unwrap();
        std::fs::rename(self.path("limits.new"), self.path("limits")).unwrap();
    }

    /// The backend's settings.
    pub(crate) fn backend(&self, more: &str) -> String {
        format!(
            "[backends.erp.ftps]\nhost = \"127.0.0.1\"\nport = {}\nusername = \"erp\"\n\
             password = {{ file = \"secret\" }}\ninbox = \"/outbox\"\nstable_for = \"0s\"\n{more}\n",
            self.port,
        )
    }

    /// The line that trusts the server.
    pub(crate) fn ca(&self, name: &str) -> String {
        format!("ca = \"{}\"", self.path(name).display())
    }
}

impl Drop for Ftpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two authorities, and a server's certificate of the first.
fn certificates(folder: &Path) {
    let openssl = |arguments: &[&str]| {
        let made = Command::new("openssl").current_dir(folder).args(arguments).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    for name in ["ca", "other"] {
        let (key_file, certificate, subject) = (format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}"));
        let files = ["-keyout", &key_file, "-out", &certificate, "-days", "2", "-subj", &subject];
        openssl(&[&["req", "-x509"], &key[..], &files[..]].concat());
    }
    openssl(&[&["req"], &key[..], &["-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=ftp"]].concat());
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let sign =
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt";
    openssl(&sign.split(' ').collect::<Vec<_>>());
    let pem = ["server.crt", "server.key"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap()).concat();
    std::fs::write(folder.join("server.pem"), pem).unwrap();
}
