//! A MariaDB of our own, on a free port and in a folder that goes with it.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};

use super::postgres::{folder, free_port, is_root, signal, unprivileged, until};

/// The password of the account `tb`: everything that a connection string could be broken with.
pub(crate) const PASSWORD: &str = "p+w-x.41";

/// A running server. It is stopped when it is dropped, on a panic as well.
pub(crate) struct MariaDb {
    folder: tempfile::TempDir,
    server: Mutex<Child>,
    port: u16,
}

impl MariaDb {
    /// The server that tests share while one of them uses it.
    pub(crate) fn shared() -> Arc<MariaDb> {
        static SERVER: Mutex<Weak<MariaDb>> = Mutex::new(Weak::new());
        let mut shared = SERVER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(MariaDb::start());
        *shared = Arc::downgrade(&server);
        server
    }

    /// One of a test's own.
    pub(crate) fn start() -> MariaDb {
        let folder = folder();
        let data = folder.path().join("data");
        // In a folder of its own: a server that starts removes the temporary tables that it finds, those of others too.
        let made = unprivileged("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display()))
            .env("TMPDIR", folder.path())
            .output()
            .expect("MariaDB is installed: scripts/setup test");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let first = folder.path().join("first.sql");
        let account = format!(
            "create user tb@'127.0.0.1' identified by '{PASSWORD}'; grant all on *.* to tb@'127.0.0.1' with grant option;"
        );
        // One statement a line.
        std::fs::write(&first, account.replace("; ", ";\n")).unwrap();
        if is_root() {
            std::os::unix::fs::chown(&first, Some(super::postgres::NOBODY), Some(super::postgres::NOBODY)).unwrap();
        }
        std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
        let port = free_port();
        let server = unprivileged("/usr/sbin/mariadbd")
            .args([
                "--no-defaults",
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--innodb-flush-log-at-trx-commit=0",
            ])
            .args(["--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=5"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--socket={}", folder.path().join("socket").display()))
            .arg(format!("--pid-file={}", folder.path().join("pid").display()))
            .arg(format!("--init-file={}", first.display()))
            .arg(format!("--port={port}"))
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let started = MariaDb { folder, server: Mutex::new(server), port };
        until("MariaDB answers", || started.ask("mysql", "select 1").is_ok());
        started
    }

    fn ask(&self, database: &str, text: &str) -> Result<String, String> {
        let asked = Command::new("mariadb")
            .args(["--no-defaults", "--batch", "--skip-column-names", "--default-character-set=utf8mb4", "-utb"])
            .arg(format!("--password={PASSWORD}"))
            .args(["-h", "127.0.0.1", "-P", &self.port.to_string(), "-e", text, database])
            .output()
            .unwrap();
        match asked.status.success() {
            true => Ok(String::from_utf8(asked.stdout).unwrap().trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&asked.stderr).into_owned()),
        }
    }

    /// What the client says to statements, without heads.
    pub(crate) fn sql(&self, database: &str, text: &str) -> String {
        self.ask(database, text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    /// A database of a test's own.
    pub(crate) fn database(&self, name: &str, options: &str) -> String {
        self.sql("mysql", &format!("create database {name} {options}"));
        name.to_owned()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How to connect to a database by ODBC; the password is apart.
    pub(crate) fn connection(&self, database: &str) -> String {
        format!("Driver=MariaDB Unicode;Server=127.0.0.1;Port={};Database={database}", self.port)
    }

    /// Account and password, as settings of a source.
    pub(crate) fn account(&self) -> String {
        let path = self.folder.path().join("password");
        format!("username = 'tb'\npassword = {{ file = '{}' }}", path.display())
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let mut server = self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        signal(&server, "-KILL");
        let _ = server.wait();
    }
}
