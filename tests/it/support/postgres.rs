//! A PostgreSQL of our own, on a free port and in a folder that goes with it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// The user `nobody`: PostgreSQL and MariaDB do not run as root.
pub(crate) const NOBODY: u32 = 65534;

/// A running server. It is stopped when it is dropped, on a panic as well.
pub(crate) struct Postgres {
    folder: tempfile::TempDir,
    server: Mutex<Child>,
    pub(crate) port: u16,
}

/// Whether this process must run servers as somebody else.
pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|about| std::os::unix::fs::MetadataExt::uid(&about) == 0)
}

/// A command that is run as nobody where we are root.
pub(crate) fn unprivileged(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.stdin(Stdio::null());
    command
}

/// A folder that belongs to whom servers run as.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if is_root() {
        std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    folder
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < end, "not within two minutes: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn programs() -> PathBuf {
    let mut found: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed: scripts/setup test")
        .map(|entry| entry.unwrap().path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL is installed: scripts/setup test")
}

impl Postgres {
    /// The server that tests share while one of them uses it.
    pub(crate) fn shared() -> Arc<Postgres> {
        static SERVER: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SERVER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Postgres::start());
        *shared = Arc::downgrade(&server);
        server
    }

    /// Starts one.
    pub(crate) fn start() -> Postgres {
        let folder = folder();
        let made = unprivileged(programs().join("initdb"))
            .args(["--username=tb", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .arg("-D")
            .arg(folder.path().join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // One account needs a password.
        let rules = folder.path().join("data/pg_hba.conf");
        let others = std::fs::read_to_string(&rules).unwrap();
        std::fs::write(&rules, format!("host all careful 127.0.0.1/32 scram-sha-256\n{others}")).unwrap();
        let port = free_port();
        let server = run(folder.path(), port);
        let started = Postgres { folder, server: Mutex::new(server), port };
        started.wait();
        started
    }

    fn wait(&self) {
        until("PostgreSQL answers", || {
            Command::new(programs().join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()
                .unwrap()
                .success()
        });
    }

    /// Ends it without any farewell, as a crash does.
    pub(crate) fn crash(&self) {
        let mut server = self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        signal(&server, "-QUIT");
        server.wait().unwrap();
    }

    /// Starts it again after a crash.
    pub(crate) fn restart(&self) {
        *self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = run(self.folder.path(), self.port);
        self.wait();
    }

    /// What `psql` says to statements, without heads: a line a row, `|` between columns.
    pub(crate) fn sql(&self, database: &str, text: &str) -> String {
        let asked = Command::new(programs().join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "tb", "-d", database])
            .args(["-p", &self.port.to_string(), "-c", text])
            .env("PGCLIENTENCODING", "UTF8")
            .output()
            .unwrap();
        assert!(asked.status.success(), "{text}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8(asked.stdout).unwrap().trim_end().to_owned()
    }

    /// What it has written to its log so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("log")).unwrap()).into_owned()
    }

    /// A database of a test's own.
    pub(crate) fn database(&self, name: &str, options: &str) -> String {
        self.sql("postgres", &format!("create database {name} {options}"));
        name.to_owned()
    }

    /// How to connect to a database by ODBC.
    pub(crate) fn connection(&self, database: &str) -> String {
        format!("Driver=PostgreSQL Unicode;Server=127.0.0.1;Port={};Database={database};UID=tb", self.port)
    }
}

fn run(folder: &Path, port: u16) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    unprivileged(programs().join("postgres"))
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-p", &port.to_string(), "-k", ""])
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "deadlock_timeout=200ms"])
        .args(["-c", "shared_buffers=64MB", "-c", "max_connections=60"])
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Sends a signal to a process of ours.
pub(crate) fn signal(process: &Child, signal: &str) {
    let _ = Command::new("kill").args([signal, &process.id().to_string()]).status();
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut server = self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        signal(&server, "-QUIT");
        let _ = server.wait();
    }
}
