//! A folder with a configuration, as an operator has it, and the program run in it.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long something that is certain to happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder with `tollbridge.toml`; removed when dropped.
pub(crate) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// An empty one.
    pub(crate) fn new() -> Site {
        Site { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One with the mappings given as (file name, text), and an inbox for their backend `erp`.
    pub(crate) fn with_mappings(mappings: &[(&str, &str)]) -> Site {
        let site = Site::new();
        let config = "[backends.erp.files]\ninbox = \"inbox\"\nstable_for = \"0s\"\n[backends.erp.gate]\nsettle = \"0s\"\n[telemetry]\nlog = \"text\"\n";
        site.write("tollbridge.toml", config.as_bytes());
        std::fs::create_dir(site.path("inbox")).unwrap();
        for (name, text) in mappings {
            site.write(&format!("mappings/{name}"), text.as_bytes());
        }
        site
    }

    /// Puts a file into the inbox, whole.
    pub(crate) fn deliver(&self, name: &str, content: &[u8]) {
        self.write("delivery", content);
        std::fs::rename(self.path("delivery"), self.path("inbox").join(name)).unwrap();
    }

    /// The files of a folder, by name; none when there is no folder.
    pub(crate) fn listing(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Writes a file, with the folders above it.
    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Copies a file, or a folder with all below it.
    pub(crate) fn copy(&self, from: &Path, name: &str) {
        if from.is_file() {
            return self.write(name, &std::fs::read(from).unwrap());
        }
        for entry in std::fs::read_dir(from).unwrap() {
            let below = entry.unwrap().file_name();
            self.copy(&from.join(&below), &format!("{name}/{}", below.to_str().unwrap()));
        }
    }

    /// The program in this folder, with only what the test says in its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
        command.current_dir(self.folder.path()).env_remove("TOLLBRIDGE_CONFIG").args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The lines of JSON that a command prints, and its exit code.
    pub(crate) fn json(&self, arguments: &[&str]) -> (Vec<Value>, i32) {
        let output = self.run(&[arguments, &["--json"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {line}\n{said}"));
        (text.lines().map(parse).collect(), output.status.code().unwrap())
    }

    /// Starts the service on free ports.
    pub(crate) fn serve(&self) -> Service {
        self.serve_with(&[])
    }

    /// Starts the service where another one was.
    pub(crate) fn serve_again(&self, before: &Service) -> Service {
        self.serve_again_with(before, &[])
    }

    /// The same, with more in its environment.
    pub(crate) fn serve_again_with(&self, before: &Service, variables: &[(&str, &str)]) -> Service {
        self.serve_in(before.api.clone(), before.admin.clone(), variables)
    }

    /// Starts the service by another program (`unshare -rm sh -c ...`), which becomes it at the end of these words. What it
    /// writes to stderr goes into the file `log`.
    pub(crate) fn serve_by(&self, words: &[&str]) -> Service {
        let (api, admin) = free_addresses();
        let mut command = Command::new(words[0]);
        command.current_dir(self.folder.path()).env_remove("TOLLBRIDGE_CONFIG").args(&words[1..]);
        command.args([env!("CARGO_BIN_EXE_tollbridge"), "serve"]);
        command.env("TOLLBRIDGE__SERVER__LISTEN", &api).env("TOLLBRIDGE__SERVER__ADMIN_LISTEN", &admin);
        let log = std::fs::File::create(self.path("log")).unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Service { child: Mutex::new(child), api, admin, folder: self.folder.path().to_owned() }
    }

    /// Starts the service on free ports, with more in its environment.
    pub(crate) fn serve_with(&self, variables: &[(&str, &str)]) -> Service {
        let (api, admin) = free_addresses();
        self.serve_in(api, admin, variables)
    }

    fn serve_in(&self, api: String, admin: String, variables: &[(&str, &str)]) -> Service {
        let mut command = self.command(&["serve"]);
        command.envs(variables.iter().copied());
        command.env("TOLLBRIDGE__SERVER__LISTEN", &api).env("TOLLBRIDGE__SERVER__ADMIN_LISTEN", &admin);
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        Service { child: Mutex::new(child), api, admin, folder: self.folder.path().to_owned() }
    }
}

/// Two that nobody listens at: one that is free again might be given a second time.
fn free_addresses() -> (String, String) {
    let both = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [api, admin] = both.each_ref().map(|listener| listener.local_addr().unwrap().to_string());
    (api, admin)
}

/// A running service; killed when dropped.
pub(crate) struct Service {
    child: Mutex<Child>,
    api: String,
    admin: String,
    folder: PathBuf,
}

impl Service {
    /// Sends a signal: `HUP`, `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits until the process has ended by itself; answers its exit code.
    pub(crate) fn wait(&self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.lock().unwrap().try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the service does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A request to the admin listener: status and body.
    pub(crate) fn admin(&self, method: &str, path: &str) -> (u16, String) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = format!("http://{}{path}", self.admin);
        let answer = if method == "POST" { agent.post(url).send_empty() } else { agent.get(url).call() };
        match answer {
            Ok(mut answer) => (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap_or_default()),
            Err(_) => (0, String::new()),
        }
    }

    /// Where the console listens.
    pub(crate) fn admin_address(&self) -> &str {
        &self.admin
    }

    /// A file below the folder that it runs in.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Where the facade listens.
    pub(crate) fn address(&self) -> String {
        self.api.clone()
    }

    /// The body of a good answer, else the status; 0 when nobody answers.
    pub(crate) fn get(&self, path: &str, key: &str) -> Result<String, u16> {
        get(&self.api, path, key)
    }

    /// Asks again and again until there is an answer.
    pub(crate) fn until<T>(&self, ask: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            if let Ok(Some(status)) = self.child.lock().unwrap().try_wait() {
                panic!("the service ended with {status}");
            }
            assert!(Instant::now() < deadline, "no answer in {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Runs a command that writes to stdout and succeeds; the most memory it had while it wrote, in kB.
pub(crate) fn peak_memory(command: &mut Command) -> u64 {
    peak_memory_of(command, 0)
}

/// The same of a command that ends with this exit code.
pub(crate) fn peak_memory_of(command: &mut Command, code: i32) -> u64 {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let (mut buffer, mut peak) = (vec![0u8; 1 << 20], 0);
    while stdout.read(&mut buffer).unwrap() > 0 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse().ok());
        peak = peak.max(kilobytes.unwrap_or(0));
    }
    assert_eq!(child.wait().unwrap().code(), Some(code));
    peak
}

/// Asks the facade at `address`.
pub(crate) fn get(address: &str, path: &str, key: &str) -> Result<String, u16> {
    let request = ureq::get(format!("http://{address}{path}"));
    match request.header("Authorization", format!("Bearer {}", key.trim())).call() {
        Ok(mut answer) => {
            let mut text = String::new();
            answer.body_mut().as_reader().read_to_string(&mut text).map_err(|_| 0u16)?;
            Ok(text)
        }
        Err(ureq::Error::StatusCode(status)) => Err(status),
        Err(_) => Err(0),
    }
}
