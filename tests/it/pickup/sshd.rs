//! OpenSSH's own server on a free port, with keys and a home of its own.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The password that lets in where the server was started with one.
pub(crate) const PASSWORD: &str = "Zollbrücke 7";

/// A running sshd; ended when dropped. Its folder holds `outbox`, the private key `user` and `known_hosts`.
pub(crate) struct Sshd {
    folder: tempfile::TempDir,
    child: Child,
    /// Whether it was started by root for somebody who is not.
    is_privileged: bool,
    pub(crate) port: u16,
    pub(crate) user: String,
}

impl Sshd {
    pub(crate) fn start() -> Sshd {
        Sshd::with(false, "")
    }

    /// One with further lines of its configuration.
    pub(crate) fn configured(lines: &str) -> Sshd {
        Sshd::with(false, lines)
    }

    /// One that knows [`PASSWORD`] of root: it is started where it sees another /etc/shadow, which takes root.
    pub(crate) fn with_password() -> Sshd {
        Sshd::with(true, "")
    }

    fn with(has_password: bool, lines: &str) -> Sshd {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for key in ["host", "user", "other"] {
            keygen(&["-q", "-t", "ed25519", "-N", "", "-C", key, "-f", at(key).to_str().unwrap()]);
        }
        std::fs::copy(at("user.pub"), at("authorized")).unwrap();
        std::fs::create_dir(at("outbox")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin yes\nPasswordAuthentication yes\nSubsystem sftp internal-sftp\nLogLevel ERROR\n{lines}\n",
            at("host").display(),
            at("authorized").display(),
        );
        std::fs::write(at("sshd_config"), config).unwrap();
        let user = if has_password { "root".to_owned() } else { words("id", &["-un"]) };
        if user == "root" {
            // Where a privileged sshd keeps nothing, but wants a folder for it.
            assert!(root("mkdir").args(["-p", "/run/sshd"]).status().unwrap().success());
        }
        let sshd = "/usr/sbin/sshd";
        assert!(Path::new(sshd).exists(), "there is no {sshd}: run scripts/setup test");
        let mut command = if has_password {
            let hash = words("openssl", &["passwd", "-6", PASSWORD]);
            std::fs::write(at("shadow"), format!("root:{hash}:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n"))
                .unwrap();
            let mut command = root("unshare");
            let script = "mount --bind \"$1\" /etc/shadow && exec \"$2\" -D -e -f \"$3\"";
            command.args(["-m", "sh", "-c", script, "sh"]).arg(at("shadow")).arg(sshd).arg(at("sshd_config"));
            command
        } else {
            let mut command = Command::new(sshd);
            command.args(["-D", "-e", "-f"]).arg(at("sshd_config"));
            command
        };
        // A group of its own, so that its sessions end with it.
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).spawn().unwrap();
        let sshd = Sshd { folder, child, is_privileged: has_password, port, user };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "sshd does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        let host_key = std::fs::read_to_string(sshd.path("host.pub")).unwrap();
        let known = format!("# known\n[127.0.0.1]:{port} {host_key}");
        std::fs::write(sshd.path("known_hosts"), known).unwrap();
        sshd
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file into the outbox, whole.
    pub(crate) fn deliver(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path("delivery"), content).unwrap();
        std::fs::rename(self.path("delivery"), self.path("outbox").join(name)).unwrap();
    }

    /// Names in a folder of the server.
    pub(crate) fn listing(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The fingerprint of one of the keys, as ssh-keygen says it.
    pub(crate) fn fingerprint(&self, key: &str) -> String {
        let said = words("ssh-keygen", &["-lf", self.path(&format!("{key}.pub")).to_str().unwrap()]);
        said.split(' ').nth(1).unwrap().to_owned()
    }

    /// The backend's settings by key, for a port that may be another than the server's own.
    pub(crate) fn backend(&self, port: u16, more: &str) -> String {
        format!(
            "[backends.erp.sftp]\nhost = \"127.0.0.1\"\nport = {port}\nusername = \"{}\"\ninbox = \"{}\"\n\
             stable_for = \"0s\"\n{more}\n",
            self.user,
            self.path("outbox").display(),
        )
    }

    /// The lines that let in and trust.
    pub(crate) fn trusted(&self) -> String {
        let key = self.path("user");
        format!("private_key = \"{}\"\nhost_key = \"{}\"", key.display(), self.fingerprint("host"))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let mut kill = if self.is_privileged { root("kill") } else { Command::new("kill") };
        let _ = kill.args(["-s", "KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// A program run as root: by sudo where we are not.
pub(crate) fn root(program: &str) -> Command {
    if words("id", &["-u"]) == "0" {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

/// Makes or changes a key.
pub(crate) fn keygen(arguments: &[&str]) {
    let made = Command::new("ssh-keygen").args(arguments).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// What a program says.
fn words(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
