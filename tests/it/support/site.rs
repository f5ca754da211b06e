//! An installation in a temporary folder: configuration, mappings, inbox, and the real program run against it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test gives up: only reached when something is broken.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Site {
    folder: TempDir,
}

/// What a command printed, and its exit code.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// stdout as JSON, a value a line.
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}\n{}", self.stderr));
        self.stdout.lines().map(parse).collect()
    }

    pub(crate) fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

impl Site {
    /// An installation with an empty inbox and the mappings given as (file name, text).
    pub(crate) fn new(mappings: &[(&str, &str)]) -> Site {
        let site = Site { folder: tempfile::tempdir().unwrap() };
        for folder in ["inbox", "mappings"] {
            fs::create_dir(site.path(folder)).unwrap();
        }
        for (name, text) in mappings {
            fs::write(site.path("mappings").join(name), text).unwrap();
        }
        site.configure("");
        site
    }

    /// Writes the configuration, with more of it at the end.
    pub(crate) fn configure(&self, more: &str) {
        let text = format!(
            r#"
[server]
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
[backends.erp.files]
inbox = "inbox"
stable_for = "0s"
[telemetry]
log = "text"
{more}"#
        );
        fs::write(self.path("tollbridge.toml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file into the inbox, whole.
    pub(crate) fn deliver(&self, name: &str, content: &[u8]) {
        fs::write(self.path("delivery"), content).unwrap();
        fs::rename(self.path("delivery"), self.path("inbox").join(name)).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
        command.arg("--config").arg(self.path("tollbridge.toml")).args(arguments).current_dir(self.folder.path());
        command.env_remove("TOLLBRIDGE_CONFIG").stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        Ran {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// Starts the service and waits until it answers.
    pub(crate) fn serve(&self) -> Server {
        let log = fs::File::create(self.path("serve.log")).unwrap();
        let mut child = self.command(&["serve"]).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = |name: &str| -> String {
            for line in lines.by_ref() {
                let line = line.unwrap();
                if let Some(url) = line.trim().strip_prefix(name) {
                    let host = url.trim().strip_prefix("http://").unwrap();
                    return format!("http://{}", host.split('/').next().unwrap());
                }
            }
            panic!("the service did not start: {}", fs::read_to_string(self.path("serve.log")).unwrap());
        };
        let (api, admin) = (address("API "), address("console "));
        Server { child, api, admin, log: self.path("serve.log") }
    }
}

/// A running service; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) api: String,
    pub(crate) admin: String,
    log: PathBuf,
}

impl Server {
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits for the process to end by itself; answers its exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        let status = eventually("the service ends", || self.child.try_wait().unwrap());
        status.code()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tries until it has an answer.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = attempt() {
            return answer;
        }
        assert!(started.elapsed() < LONG, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The files of a folder, by name.
pub(crate) fn listing(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
