//! A SOAP service over real sockets that does what a test says, and counts what it really had to do.
//!
//! It goes on with a call when its caller leaves, as such services do: what is in flight is counted by the work.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A call as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The head's lines.
    pub(crate) head: String,
    /// The envelope.
    pub(crate) body: String,
    /// What stands in its `OrderNo`, unescaped.
    pub(crate) order_no: String,
}

impl Call {
    /// The first field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What the service does with a call.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers with this status, media type and body.
    Answer(u16, &'static str, String),
    /// Sends the head of an answer and half of its body, then closes the connection.
    Cut(String),
    /// Closes the connection without an answer.
    Gone,
    /// Answers byte by byte, with so long between two of them.
    Drip(Duration, String),
    /// Works for so long, then does the other.
    After(Duration, Box<Reply>),
}

impl Reply {
    /// An order, as the service has it.
    pub(crate) fn order(order_no: &str, amount: &str) -> Reply {
        Reply::Answer(200, "text/xml; charset=utf-8", order(order_no, amount))
    }

    /// A fault of SOAP 1.1.
    pub(crate) fn fault(status: u16, code: &str, reason: &str) -> Reply {
        let fault = format!("<s:Fault><faultcode>{code}</faultcode><faultstring>{reason}</faultstring></s:Fault>");
        Reply::Answer(status, "text/xml", envelope(&fault))
    }

    pub(crate) fn after(self, time: Duration) -> Reply {
        Reply::After(time, Box::new(self))
    }
}

/// The envelope of an order.
pub(crate) fn order(order_no: &str, amount: &str) -> String {
    envelope(&format!(
        "<GetOrderResponse xmlns=\"urn:erp\"><Order><OrderNo>{order_no}</OrderNo><Amount>{amount}</Amount>\
         <Status>OP</Status></Order></GetOrderResponse>"
    ))
}

/// An envelope with this in its body.
pub(crate) fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{body}</s:Body></s:Envelope>"
    )
}

type Script = dyn Fn(&Call) -> Reply + Send + Sync;

struct Shared {
    script: Mutex<Arc<Script>>,
    calls: Mutex<Vec<Call>>,
    in_flight: AtomicUsize,
    most: AtomicUsize,
    connections: AtomicUsize,
    is_down: AtomicBool,
}

/// The running service; it stops taking connections when dropped.
pub(crate) struct Erp {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Erp {
    /// One that does this with every call.
    pub(crate) fn start(script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Erp {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(script)),
            calls: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            is_down: AtomicBool::new(false),
        });
        let taken = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if taken.is_down.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&taken)) else { continue };
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Erp { address, shared }
    }

    /// One that has every order, at 12.50.
    pub(crate) fn with_every_order() -> Erp {
        Erp::start(|call| Reply::order(&call.order_no, "12.50"))
    }

    /// Does this from now on.
    pub(crate) fn script(&self, script: impl Fn(&Call) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap().clone()
    }

    /// How many calls so far.
    pub(crate) fn count(&self) -> usize {
        self.shared.calls.lock().unwrap().len()
    }

    /// How many it works on now.
    pub(crate) fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::SeqCst)
    }

    /// The most that it ever worked on at once.
    pub(crate) fn most_in_flight(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }

    /// How many connections it has taken so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The URL of its endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/erp", self.address)
    }
}

impl Drop for Erp {
    fn drop(&mut self) {
        self.shared.is_down.store(true, Ordering::SeqCst);
        // Wakes the thread that takes connections.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        self.connections.fetch_add(1, Ordering::SeqCst);
        let mut rest = Vec::new();
        while let Some(call) = receive(&mut stream, &mut rest) {
            let is_probe = call.head.starts_with("GET ");
            if !is_probe {
                self.calls.lock().unwrap().push(call.clone());
            }
            let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            let script = Arc::clone(&self.script.lock().unwrap());
            let mut reply = script(&call);
            while let Reply::After(time, next) = reply {
                std::thread::sleep(time);
                reply = *next;
            }
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            let sent = match &reply {
                Reply::Answer(status, media_type, body) => stream.write_all(&answer(*status, media_type, body)),
                Reply::Drip(pause, body) => answer(200, "text/xml", body).chunks(1).try_for_each(|byte| {
                    std::thread::sleep(*pause);
                    stream.write_all(byte)
                }),
                Reply::Cut(body) => {
                    let whole = answer(200, "text/xml", body);
                    let _ = stream.write_all(&whole[..whole.len() - body.len() / 2]);
                    Err(ErrorKind::Other.into())
                }
                Reply::Gone | Reply::After(..) => Err(ErrorKind::Other.into()),
            };
            if sent.is_err() {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

fn answer(status: u16, media_type: &str, body: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body.as_bytes()].concat()
}

/// One request; `None` when the connection ends.
fn receive(stream: &mut TcpStream, rest: &mut Vec<u8>) -> Option<Call> {
    let mut buffer = [0; 4096];
    let mut fill = |rest: &mut Vec<u8>| match stream.read(&mut buffer) {
        Ok(0) | Err(_) => None,
        Ok(count) => {
            rest.extend_from_slice(&buffer[..count]);
            Some(())
        }
    };
    let end = loop {
        if let Some(at) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        fill(rest)?;
    };
    let head = String::from_utf8(rest.drain(..end).collect()).ok()?;
    let mut call = Call { head, body: String::new(), order_no: String::new() };
    let length: usize = call.field("content-length").unwrap_or("0").parse().ok()?;
    while rest.len() < length {
        fill(rest)?;
    }
    call.body = String::from_utf8(rest.drain(..length).collect()).ok()?;
    let inner = call.body.split_once("<OrderNo>").and_then(|(_, rest)| rest.split_once("</OrderNo>"));
    let inner = inner.map(|(inner, _)| inner).unwrap_or_default();
    let unescaped = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    call.order_no = unescaped.replace("&apos;", "'").replace("&amp;", "&");
    Some(call)
}
