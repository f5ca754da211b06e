//! Tokens of integrated authentication, accepted by the system's GSSAPI in a process of its own, whose environment says
//! by which keys or accounts.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

/// The running process.
#[derive(Debug)]
pub(crate) struct Acceptor {
    process: Mutex<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

/// What a token has led to.
#[derive(Debug)]
pub(crate) struct Step {
    /// What the client is to be told.
    pub(crate) token: Vec<u8>,
    /// Whose it is, when that is known.
    pub(crate) name: Option<String>,
}

impl Acceptor {
    /// With these variables; a mechanism is an object identifier.
    pub(crate) fn start(mechanism: &str, variables: &[(&str, &Path)]) -> Acceptor {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/tds_server/acceptor.py");
        let mut process = Command::new("/usr/bin/python3")
            .arg(program)
            .arg(mechanism)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3-gssapi is installed by scripts/setup test");
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Acceptor { process: Mutex::new((process, input, BufReader::new(output))) }
    }

    /// The next token of a session; `None` where it is refused.
    pub(crate) fn step(&self, session: u16, token: &[u8]) -> Option<Step> {
        let mut process = self.process.lock().unwrap();
        let hex: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(process.1, "{session} {hex}").unwrap();
        let mut line = String::new();
        process.2.read_line(&mut line).unwrap();
        let mut words = line.trim_end().splitn(3, ' ');
        let (word, token) = (words.next().unwrap(), words.next().unwrap_or_default());
        assert!(matches!(word, "more" | "done" | "no"), "{line}");
        let pairs = token.as_bytes().chunks(2);
        let token = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        let name = (word == "done").then(|| words.next().unwrap().to_owned());
        (word != "no").then_some(Step { token, name })
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap();
        let _ = process.0.kill();
        let _ = process.0.wait();
    }
}
