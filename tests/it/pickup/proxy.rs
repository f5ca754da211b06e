//! A line between client and server that can be slow, cut, or dead.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What the line does to what the server sends.
#[derive(Default)]
struct Line {
    /// After so many bytes of one connection it is cut; 0 is never.
    cut_after: AtomicU64,
    /// After so many bytes of one connection nothing comes any more; 0 is never.
    silent_after: AtomicU64,
    /// Pause after each piece, in milliseconds.
    pause: AtomicU64,
    /// Bytes that came through from the server, over all connections.
    passed: AtomicU64,
    is_over: AtomicBool,
}

/// A listener in front of a server; over when dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    line: Arc<Line>,
}

impl Proxy {
    pub(crate) fn to(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Line::default());
        let shared = Arc::clone(&line);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if shared.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", server))) else { continue };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || forward(from, to, None));
                let line = Arc::clone(&shared);
                std::thread::spawn(move || forward(server, client, Some(&line)));
            }
        });
        Proxy { port, line }
    }

    pub(crate) fn cut_after(&self, bytes: u64) {
        self.line.cut_after.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn silent_after(&self, bytes: u64) {
        self.line.silent_after.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn pause(&self, pause: Duration) {
        self.line.pause.store(pause.as_millis() as u64, Ordering::Relaxed);
    }

    /// Bytes that came from the server since the last time this was asked.
    pub(crate) fn passed(&self) -> u64 {
        self.line.passed.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, line: Option<&Line>) {
    let (mut buffer, mut sent) = ([0; 16 << 10], 0u64);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if let Some(line) = line {
            let reached = |limit: &AtomicU64| {
                let limit = limit.load(Ordering::Relaxed);
                limit > 0 && sent + count as u64 > limit
            };
            if reached(&line.cut_after) {
                break;
            }
            while reached(&line.silent_after) && !line.is_over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
            }
            std::thread::sleep(Duration::from_millis(line.pause.load(Ordering::Relaxed)));
            line.passed.fetch_add(count as u64, Ordering::Relaxed);
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        sent += count as u64;
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
