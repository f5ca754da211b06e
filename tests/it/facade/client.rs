//! A plain HTTP client over a socket, so that a test can say every byte it sends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Only reached when something is broken.
const LONG: Duration = Duration::from_secs(30);

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|fault| panic!("{fault}: {self:?}"))
    }

    /// Asserts that this is a problem with this status and code, complete in form; answers its detail and hint.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> String {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{body:#}");
        assert_eq!(self.field("content-type"), Some("application/problem+json"));
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("https://tollbridge.dev/problems/{code}"));
        assert_eq!(body["request_id"].as_str(), self.field("x-request-id"));
        assert!(body["title"].is_string() && body["instance"].is_string());
        format!("{} {}", body["detail"].as_str().unwrap(), body["hint"].as_str().unwrap_or(""))
    }
}

/// A connection that stays open.
pub(crate) struct Connection {
    pub(crate) socket: TcpStream,
    /// What was read beyond the last answer.
    rest: Vec<u8>,
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Connection {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.set_write_timeout(Some(LONG)).unwrap();
        Connection { socket, rest: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    /// Says that nothing more will be sent. A peer who has refused what came may be gone already: that is its answer.
    pub(crate) fn end_sending(&mut self) {
        match self.socket.shutdown(Shutdown::Write) {
            Err(fault) if fault.kind() != std::io::ErrorKind::NotConnected => panic!("{fault}"),
            _ => {}
        }
    }

    /// Reads one answer; `None` when the connection ends before one.
    pub(crate) fn receive(&mut self, has_body: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill() {
                return None;
            }
        };
        let head = String::from_utf8(self.rest.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        if !has_body || matches!(status, 204 | 304) {
            return Some(answer);
        }
        if answer.field("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                if chunk.is_empty() {
                    return Some(answer);
                }
                answer.body.extend(chunk);
            }
            return None;
        }
        let length: usize = answer.field("content-length").unwrap_or("0").parse().unwrap();
        while self.rest.len() < length {
            if !self.fill() {
                return None;
            }
        }
        answer.body = self.rest.drain(..length).collect();
        Some(answer)
    }

    /// One chunk of a chunked body; empty at its end, `None` when it breaks off.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let end = loop {
            if let Some(at) = self.rest.windows(2).position(|window| window == b"\r\n") {
                break at;
            }
            if !self.fill() {
                return None;
            }
        };
        let size = std::str::from_utf8(&self.rest[..end]).unwrap().to_owned();
        let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
        self.rest.drain(..end + 2);
        while self.rest.len() < size + 2 {
            if !self.fill() {
                return None;
            }
        }
        let chunk = self.rest.drain(..size).collect();
        self.rest.drain(..2);
        Some(chunk)
    }

    fn fill(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        match self.socket.read(&mut buffer) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.rest.extend_from_slice(&buffer[..count]);
                true
            }
        }
    }

    /// Waits for the other side to close; answers whether it did.
    pub(crate) fn is_closed_by_peer(&mut self) -> bool {
        loop {
            match self.socket.read(&mut [0; 1024]) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(fault) => return fault.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }
}

/// Sends bytes on a connection of its own and reads one answer.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut connection = Connection::to(address);
    connection.send(request);
    connection.receive(!request.starts_with(b"HEAD "))
}

/// A request of one method with fields, and perhaps a body.
pub(crate) fn request(method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str("Host: localhost\r\n");
    }
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}
