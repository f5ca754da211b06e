//! Connections: who holds them, for how long, and how they end.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tollbridge::http::{ConnectionLimits, Drained, ServerConfig, serve};

use super::app::{Options, TestApp};
use super::client::{Connection, request};

/// A listener whose every answer waits to be let go.
struct Slow {
    runtime: Runtime,
    address: SocketAddr,
    arrived: Arc<Notify>,
    go: Arc<Notify>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Drained>,
}

impl Slow {
    fn start(limits: ConnectionLimits) -> Slow {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (arrived, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (told, wait) = (arrived.clone(), go.clone());
        let service = tower::service_fn(move |_: Request<Incoming>| {
            let (told, wait) = (told.clone(), wait.clone());
            async move {
                told.notify_one();
                wait.notified().await;
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"slow"))))
            }
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, served) = runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            (address, tokio::spawn(serve(listener, service, async { drop(stopped.await) }, limits)))
        });
        Slow { runtime, address, arrived, go, stop, served }
    }

    fn begin_request(&self) -> Connection {
        let mut connection = Connection::to(self.address);
        connection.send(&request("GET", "/", &[], b""));
        self.runtime.block_on(self.arrived.notified());
        connection
    }
}

fn limits() -> ConnectionLimits {
    ConnectionLimits::from(&ServerConfig::default())
}

fn is_refused(address: SocketAddr) -> bool {
    std::net::TcpStream::connect(address).is_err()
}

/// Shuts down while a request is under way; answers what its answer says of the connection.
fn shut_down_in_flight() -> Option<String> {
    let slow = Slow::start(limits());
    let mut idle = Connection::to(slow.address);
    let mut busy = slow.begin_request();
    drop(slow.stop);
    assert!(idle.is_closed_by_peer(), "an idle connection ends at once");
    assert!(is_refused(slow.address), "no new connection is taken");
    assert!(!slow.served.is_finished(), "a request is still under way");
    slow.go.notify_one();
    let answer = busy.receive(true).unwrap();
    assert_eq!((answer.status, answer.text()), (200, "slow"));
    assert!(busy.is_closed_by_peer());
    assert_eq!(slow.runtime.block_on(slow.served).unwrap(), Drained { cut: 0 });
    answer.field("connection").map(str::to_owned)
}

/// Connections are told one after the other: one that is told later than the idle one, and later than it is let go, ends
/// without having said so. As a rule it says so.
#[test]
fn shutdown_finishes_what_is_in_flight() {
    let mut said = None;
    for _ in 0..20 {
        said = shut_down_in_flight();
        if said.is_some() {
            break;
        }
    }
    assert_eq!(said.as_deref(), Some("close"));
}

#[test]
fn shutdown_cuts_what_does_not_finish() {
    let slow = Slow::start(ConnectionLimits { drain_within: Duration::from_millis(100), ..limits() });
    let mut busy = slow.begin_request();
    drop(slow.stop);
    assert_eq!(slow.runtime.block_on(slow.served).unwrap(), Drained { cut: 1 });
    assert!(busy.receive(true).is_none());
}

#[test]
fn a_running_service_ends_with_its_connections() {
    let mut app = TestApp::start();
    let mut connection = app.connect();
    connection.send(&request("GET", "/health/live", &[], b""));
    assert_eq!(connection.receive(true).map(|answer| answer.status), Some(200));
    assert_eq!(app.stop(), Drained { cut: 0 });
    assert!(connection.is_closed_by_peer());
    assert!(is_refused(app.address));
}

#[test]
fn a_peer_who_does_not_go_on_is_let_go() {
    let server = ServerConfig { header_timeout: Duration::from_millis(200), ..ServerConfig::default() };
    let app = TestApp::with(Options { server, ..Options::default() });
    for beginning in [
        &b""[..],
        b"G",
        b"P",
        b"PRI * HTTP/2.0\r\n\r\nS",
        b"GET / HTTP/1.1\r\nHost: loc",
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf",
        // A complete preface, then silence: the peer answers no ping.
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ] {
        let mut connection = app.connect();
        connection.send(beginning);
        assert!(connection.is_closed_by_peer(), "{}", String::from_utf8_lossy(beginning));
    }
}

/// On HTTP/2, one that answers every ping and asks for nothing.
#[test]
fn a_peer_who_only_lives_is_let_go() {
    use std::io::{Read, Write};
    let server = ServerConfig { header_timeout: Duration::from_millis(300), ..ServerConfig::default() };
    let app = TestApp::with(Options { server, ..Options::default() });
    let mut connection = app.connect();
    connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    connection.socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let (mut pings, mut head) = (0, [0; 9]);
    // A frame (RFC 9113 section 4.1): three bytes of length, type, flags, stream.
    while connection.socket.read_exact(&mut head).is_ok() {
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        connection.socket.read_exact(&mut payload).unwrap();
        let is_ping = head[3] == 6 && head[4] & 1 == 0;
        if is_ping {
            pings += 1;
            head[4] = 1;
            let _it_may_be_closed_by_now = connection.socket.write_all(&[&head[..], &payload].concat());
        }
        assert!(pings < 100, "it is never let go");
    }
}

#[test]
fn a_slow_trickle_of_fields_is_no_way_around_the_limit() {
    let server = ServerConfig { header_timeout: Duration::from_millis(300), ..ServerConfig::default() };
    let app = TestApp::with(Options { server, ..Options::default() });
    let mut connection = app.connect();
    connection.send(b"GET / HTTP/1.1\r\n");
    let mut sent = 0;
    while sent < 100 && std::io::Write::write_all(&mut connection.socket, b"X-A: b\r\n").is_ok() {
        std::thread::sleep(Duration::from_millis(20));
        sent += 1;
    }
    assert!(sent < 100, "the connection outlived its limit");
}

#[test]
fn more_connections_than_allowed_wait_their_turn() {
    let server = ServerConfig { max_connections: 2, ..ServerConfig::default() };
    let app = TestApp::with(Options { server, ..Options::default() });
    let ask = request("GET", "/health/live", &[], b"");
    let (mut first, mut second, mut third) = (app.connect(), app.connect(), app.connect());
    for connection in [&mut first, &mut second] {
        connection.send(&ask);
        assert_eq!(connection.receive(true).map(|answer| answer.status), Some(200));
    }
    third.send(&ask);
    third.socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(third.receive(true).is_none(), "the third waits");
    drop(first);
    third.socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(third.receive(true).map(|answer| answer.status), Some(200));
}

/// Asks over HTTP/2 for a path by a method, which is written as HPACK has it; answers the frames of the answer: kind and
/// payload.
fn frames(app: &TestApp, method: &[u8], path: &str) -> Vec<(u8, Vec<u8>)> {
    let mut connection = app.connect();
    let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // HEADERS on stream 1, ending headers and stream: the method, http, the path, authority localhost.
    let mut block = [method, &[0x86, 0x04, path.len() as u8], path.as_bytes()].concat();
    block.extend_from_slice(&[0x01, 9]);
    block.extend_from_slice(b"localhost");
    hello.extend_from_slice(&[0, 0, block.len() as u8, 0x01, 0x05, 0, 0, 0, 1]);
    hello.extend_from_slice(&block);
    connection.send(&hello);
    let mut frames = Vec::new();
    loop {
        let mut head = [0; 9];
        std::io::Read::read_exact(&mut connection.socket, &mut head).unwrap();
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        std::io::Read::read_exact(&mut connection.socket, &mut payload).unwrap();
        frames.push((head[3], payload.clone()));
        // DATA or HEADERS that end the stream.
        if head[8] == 1 && head[4] & 1 == 1 {
            return frames;
        }
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;

#[test]
fn http_2_is_spoken_too() {
    let app = TestApp::start();
    // GET stands in the static table.
    let frames = frames(&app, &[0x82], "/health/live");
    let headers = frames.iter().find(|(kind, _)| *kind == HEADERS).unwrap();
    assert_eq!(headers.1.first(), Some(&0x88), "`:status 200` of the static table");
    let body: Vec<u8> = frames.iter().filter(|(kind, _)| *kind == DATA).flat_map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(body, b"{\"status\":\"alive\"}");
}

/// A peer takes a body behind the head for a broken stream (RFC 9113 section 8.1.1).
#[test]
fn head_has_no_body_over_http_2_either() {
    let app = TestApp::start();
    // A good answer, a page, and a problem.
    for (path, status) in [("/health/live", Some(0x88)), ("/docs", Some(0x88)), ("/v1/orders", None)] {
        let frames = frames(&app, b"\x02\x04HEAD", path);
        let headers: Vec<_> = frames.iter().filter(|(kind, _)| *kind == HEADERS).collect();
        assert_eq!(headers.len(), 1, "{path}");
        assert!(status.is_none_or(|status| headers[0].1.first() == Some(&status)), "{path}");
        assert!(frames.iter().all(|(kind, _)| *kind != DATA), "{path}: {frames:?}");
    }
}
