//! A way to a server that can be blocked: what is sent goes nowhere then, and nobody is told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Hands everything on to a port, as long as it is not stopped.
pub(crate) struct Proxy {
    port: u16,
    is_stopped: Arc<AtomicBool>,
    /// How many ways have something that does not pass.
    held: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) fn before(server: u16) -> Proxy {
        Proxy::made(server, None)
    }

    /// One that stops by itself when these bytes come, from whichever side: they do not pass any more.
    pub(crate) fn stopping_at(server: u16, bytes: &[u8]) -> Proxy {
        Proxy::made(server, Some(bytes.to_vec()))
    }

    fn made(server: u16, last: Option<Vec<u8>>) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_stopped = Arc::new(AtomicBool::new(false));
        let held = Arc::new(AtomicUsize::new(0));
        let (stopped, holding) = (Arc::clone(&is_stopped), Arc::clone(&held));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", server))) else { continue };
                let ways = [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)];
                for (from, to) in ways {
                    let (stopped, holding, last) = (Arc::clone(&stopped), Arc::clone(&holding), last.clone());
                    std::thread::spawn(move || pass(from, to, (&stopped, &holding), last.as_deref()));
                }
            }
        });
        Proxy { port, is_stopped, held }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Nothing passes from now on.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
    }

    /// Whether something would pass, which nobody gets now.
    pub(crate) fn holds(&self) -> bool {
        self.held.load(Ordering::SeqCst) > 0
    }

    /// What was held back passes, and all that follows.
    pub(crate) fn go_on(&self) {
        self.is_stopped.store(false, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, (is_stopped, held): (&AtomicBool, &AtomicUsize), last: Option<&[u8]>) {
    let mut buffer = [0; 16384];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if last.is_some_and(|last| buffer[..length].windows(last.len()).any(|bytes| bytes == last)) {
            is_stopped.store(true, Ordering::SeqCst);
        }
        if is_stopped.load(Ordering::SeqCst) {
            held.fetch_add(1, Ordering::SeqCst);
            while is_stopped.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            held.fetch_sub(1, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.go_on();
    }
}
