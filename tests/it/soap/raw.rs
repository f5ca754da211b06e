//! A server that says what it is told to say, byte by byte, and keeps what it was sent.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is done with a request.
#[derive(Clone, Debug)]
pub(super) enum Say {
    /// These bytes, and the connection is closed.
    Bytes(Vec<u8>),
    /// These pieces, with so long between them.
    Pieces(Vec<Vec<u8>>, Duration),
}

/// The answer with status, fields and body.
pub(super) fn http(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A good answer with this envelope.
pub(super) fn xml(body: &str) -> Say {
    Say::Bytes(http("200 OK", "Content-Type: text/xml; charset=utf-8\r\n", body.as_bytes()))
}

type Script = dyn Fn(usize, &str) -> Say + Send + Sync;

/// The running server.
pub(super) struct Raw {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    /// One that says the same to everybody.
    pub(super) fn saying(say: Say) -> Raw {
        Raw::start(move |_, _| say.clone())
    }

    /// One that answers the n-th request, which is given with its head.
    pub(super) fn start(script: impl Fn(usize, &str) -> Say + Send + Sync + 'static) -> Raw {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, script): (_, Arc<Script>) = (Arc::clone(&requests), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), kept, script) = (stream, Arc::clone(&kept), Arc::clone(&script)) else { continue };
                std::thread::spawn(move || serve(stream, &kept, &*script));
            }
        });
        Raw { port, requests }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/erp", self.port)
    }

    /// What was sent so far, heads and bodies.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, kept: &Mutex<Vec<String>>, script: &Script) {
    let mut request = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let field = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            if body.len() >= field.unwrap_or(0) {
                break;
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&buffer[..length]),
        }
    }
    let text = String::from_utf8(request).unwrap();
    let number = {
        let mut kept = kept.lock().unwrap();
        kept.push(text.clone());
        kept.len() - 1
    };
    let pieces = match script(number, &text) {
        Say::Bytes(bytes) => (vec![bytes], Duration::ZERO),
        Say::Pieces(pieces, between) => (pieces, between),
    };
    for (at, piece) in pieces.0.iter().enumerate() {
        if at > 0 {
            std::thread::sleep(pieces.1);
        }
        if stream.write_all(piece).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    // Until the other side has seen it.
    let _ = stream.read(&mut buffer);
}
