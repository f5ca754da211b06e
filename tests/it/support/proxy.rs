//! A way to a server that can be blocked: what is sent goes nowhere then, and nobody is told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Hands everything on to a port, as long as it is not stopped.
pub(crate) struct Proxy {
    port: u16,
    is_stopped: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn before(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_stopped = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&is_stopped);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", server))) else { continue };
                let ways = [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)];
                for (from, to) in ways {
                    let stopped = Arc::clone(&stopped);
                    std::thread::spawn(move || pass(from, to, &stopped));
                }
            }
        });
        Proxy { port, is_stopped }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Nothing passes from now on.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
    }

    /// What was held back passes, and all that follows.
    pub(crate) fn go_on(&self) {
        self.is_stopped.store(false, Ordering::SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, is_stopped: &AtomicBool) {
    let mut buffer = [0; 16384];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        while is_stopped.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}
