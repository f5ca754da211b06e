//! What a live call adds to the time that the service itself takes: the same order, asked of a SOAP service directly and as
//! `GET /v1/orders/{no}` of the program that stands before it, one after the other over connections that are kept.
//!
//!     cargo bench --bench soap_call
//!     cargo bench --bench soap_call -- 0        # of a service that answers at once; the number is its time in milliseconds
//!
//! The program is the one that was built with it, with its gate, key, metrics and staging; the service is a thread a
//! connection. Both are asked in turns; the figures are medians over all turns, and what is between them.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a benchmark prints, and has sound inputs")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TURNS: usize = 10;
const CALLS: usize = 200;
const MAPPING: &str = r#"resource = "orders"
version  = 1
key      = ["order_no"]
[source]
backend = "erp"
[source.soap]
operation   = "GetOrder"
request     = { OrderNo = "{order_no}" }
record_path = "/GetOrderResponse/Order"
[fields]
order_no  = { from = "OrderNo", type = "string" }
reference = { from = "Reference", type = "string" }
customer  = { from = "Customer", type = "string" }
amount    = { from = "Amount", type = "decimal(11,2)" }
status    = { from = "Status", type = "string", values = { OPEN = "open", CLOSED = "closed" } }
"#;

/// A service that takes this long for a call.
fn service(takes: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, takes));
        }
    });
    address
}

fn serve(stream: TcpStream, takes: Duration) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let body = message(&mut reader)?.1;
        let text = String::from_utf8_lossy(&body);
        let number = text.split("OrderNo>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or("0");
        std::thread::sleep(takes);
        let answer = format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><GetOrderResponse xmlns=\"urn:demo:erp\">\
             <Order><OrderNo>{number}</OrderNo><Reference>WEB-{number}</Reference><Customer>Müller &amp; Söhne</Customer>\
             <Amount>1234.50</Amount><Status>OPEN</Status></Order></GetOrderResponse></s:Body></s:Envelope>"
        );
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", answer.len());
        writer.write_all([head.as_bytes(), answer.as_bytes()].concat().as_slice()).ok()?;
    }
}

/// The first line and the body of a message.
fn message(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first, body))
}

/// A connection that is kept.
struct Client {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Client {
    fn to(address: SocketAddr) -> Client {
        let writer = TcpStream::connect(address).expect("it listens");
        writer.set_nodelay(true).expect("a socket");
        Client { reader: BufReader::new(writer.try_clone().expect("a socket")), writer }
    }

    /// How long the answer took.
    fn ask(&mut self, request: &str) -> Duration {
        let began = Instant::now();
        self.writer.write_all(request.as_bytes()).expect("it is sent");
        let (status, body) = message(&mut self.reader).expect("an answer");
        let took = began.elapsed();
        assert!(status.contains(" 200 "), "{status} {}", String::from_utf8_lossy(&body));
        took
    }
}

/// The program before the service; it ends when this is dropped.
struct Program {
    child: Child,
    address: SocketAddr,
    key: String,
    _folder: tempfile::TempDir,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(service: SocketAddr) -> Program {
    let folder = tempfile::tempdir().expect("a folder");
    let free = || TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let (address, admin) = (free(), free());
    let config = format!(
        "[server]\nlisten = \"{address}\"\nadmin_listen = \"{admin}\"\n[backends.erp.soap]\nwsdl = \"erp.wsdl\"\n\
         endpoint = \"http://{service}/erp\"\n[telemetry]\nlevel = \"warn\"\n"
    );
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).expect("it is written");
    std::fs::create_dir(folder.path().join("mappings")).expect("a folder");
    write("tollbridge.toml", config.as_bytes());
    write("mappings/orders.v1.toml", MAPPING.as_bytes());
    write("erp.wsdl", include_bytes!("../fixtures/demo/erp.wsdl"));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
        command.current_dir(Path::new(folder.path())).args(arguments);
        command
    };
    let made = run(&["--json", "keys", "create", "bench", "--scope", "*"]).output().expect("it runs");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("a key");
    let key = made["key"].as_str().expect("a key").to_owned();
    let child = run(&["serve"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "the program does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    Program { child, address, key, _folder: folder }
}

fn median(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    let at = ((times.len() as f64 * part) as usize).min(times.len() - 1);
    times[at].as_secs_f64() * 1e3
}

fn main() {
    let millis = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(5);
    let service = service(Duration::from_millis(millis));
    let program = program(service);
    let (mut direct, mut through) = (Client::to(service), Client::to(program.address));
    let (mut alone, mut before) = (Vec::new(), Vec::new());
    let mut number = 0u32;
    for turn in 0..=TURNS {
        let mut turned = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            number += 1;
            let body = format!(
                "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><GetOrder xmlns=\"urn:demo:erp\">\
                 <OrderNo>{number}</OrderNo></GetOrder></s:Body></s:Envelope>"
            );
            let head = "POST /erp HTTP/1.1\r\nHost: erp\r\nContent-Type: text/xml\r\nSOAPAction: \"urn:demo:erp/GetOrder\"\r\n";
            turned.0.push(direct.ask(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())));
            let key = &program.key;
            let get = format!(
                "GET /v1/orders/{number} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\n\r\n",
                program.address
            );
            turned.1.push(through.ask(&get));
        }
        // The first turn is a warm one.
        if turn > 0 {
            alone.append(&mut turned.0);
            before.append(&mut turned.1);
        }
    }
    println!("a service that takes {millis} ms, {} calls each, one after the other", TURNS * CALLS);
    for (name, part) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let (alone, before) = (median(&mut alone, part), median(&mut before, part));
        println!(
            "soap: live call {name}: {before:.2} ms, the service alone {alone:.2} ms, added {:.2} ms",
            before - alone
        );
    }
}
