//! A server from the time when TLS ended at 1.0: the front of another one, made by the system's OpenSSL in a process of its
//! own. rustls, which ours is made with, never spoke it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::wire::tls::certificates;

/// The running front; ends when dropped.
pub(crate) struct OldTls {
    process: Child,
    port: u16,
    said: Arc<Mutex<Vec<String>>>,
}

impl OldTls {
    /// Before a server that does not encrypt itself.
    pub(crate) fn before(port: u16) -> OldTls {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/tds_server/old_tls.py");
        let mut process = Command::new("/usr/bin/python3")
            .args(["-W", "ignore::DeprecationWarning"])
            .arg(program)
            .arg(port.to_string())
            .arg(certificates())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed by scripts/setup test");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next().expect("it says its port").unwrap().parse().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let of_thread = Arc::clone(&said);
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| of_thread.lock().unwrap().push(line)));
        OldTls { process, port, said }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The versions of TLS that were agreed on so far, `refused` where none was.
    pub(crate) fn handshakes(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

impl Drop for OldTls {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
