//! The demo's old order system, a SOAP service with a WSDL: it is slow, and it locks up when more than four calls come at
//! once, as such systems do. `make run` starts it beside Tollbridge; it forgets its orders when it ends.
//!
//! `fragile_erp [PORT]` listens on 127.0.0.1, port 9000 unless another is named (0 for any free one), and says where.
//! `GET /erp?wsdl` is its description, and everything else about it is in there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const WSDL: &str = include_str!("../fixtures/demo/erp.wsdl");

/// How long a call takes.
const ALONE: Duration = Duration::from_millis(60);
/// More calls at once lock it.
const BEARS: usize = 4;
/// So long.
const LOCKED: Duration = Duration::from_secs(4);

struct Order {
    number: u64,
    reference: String,
    customer: String,
    amount: String,
    status: &'static str,
}

#[derive(Default)]
struct Shop {
    orders: BTreeMap<u64, Order>,
    at_work: usize,
    locked_until: Option<Instant>,
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "9000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    let mut out = std::io::stdout();
    writeln!(out, "http://{}/erp", listener.local_addr()?)?;
    out.flush()?;
    run(&listener);
    Ok(())
}

/// Takes calls for ever.
pub(crate) fn run(listener: &TcpListener) {
    let mut shop = Shop::default();
    for number in 1..=12 {
        let status = if number % 3 == 0 { "CLOSED" } else { "OPEN" };
        let (reference, customer) = (format!("WEB-{number:04}"), format!("Customer {number} & Sons"));
        let amount = format!("{}.{:02}", 100 + 17 * number, number * 7 % 100);
        shop.orders.insert(4700 + number, Order { number: 4700 + number, reference, customer, amount, status });
    }
    let shop = Arc::new(Mutex::new(shop));
    for stream in listener.incoming() {
        let (Ok(stream), shop) = (stream, Arc::clone(&shop)) else { continue };
        std::thread::spawn(move || {
            // Whoever hangs up has had enough.
            let _ = serve(&stream, &shop);
        });
    }
}

fn open(shop: &Mutex<Shop>) -> MutexGuard<'_, Shop> {
    shop.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers the requests of a connection, one after the other.
fn serve(stream: &TcpStream, shop: &Mutex<Shop>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (status, text) = match head.split(' ').next() {
            Some("GET") => ("200 OK", WSDL.to_owned()),
            _ => worked(&String::from_utf8_lossy(&body), shop),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
            text.len()
        );
        (&mut &*stream).write_all(&[head.as_bytes(), text.as_bytes()].concat())?;
    }
}

/// Does a call, as slowly as it does everything.
fn worked(body: &str, shop: &Mutex<Shop>) -> (&'static str, String) {
    {
        let mut shop = open(shop);
        shop.at_work += 1;
        if shop.at_work > BEARS {
            shop.locked_until = Some(Instant::now() + LOCKED);
        }
    }
    std::thread::sleep(ALONE);
    while let Some(until) = open(shop).locked_until.filter(|until| *until > Instant::now()) {
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }
    let mut shop = open(shop);
    shop.at_work -= 1;
    match answered(body, &mut shop) {
        Ok(inner) => ("200 OK", envelope(&inner)),
        Err(fault) => ("500 Internal Server Error", envelope(&fault)),
    }
}

fn answered(body: &str, shop: &mut Shop) -> Result<String, String> {
    let text = |name: &str| element(body, name).unwrap_or_default();
    if body.contains("GetOrderByReference") {
        let reference = text("Reference");
        let found = shop.orders.values().find(|order| order.reference == reference);
        return Ok(response("GetOrderByReference", found.map(shown).as_deref().unwrap_or("")));
    }
    if body.contains("CreateOrder") {
        let reference = text("Reference");
        if let Some(known) = shop.orders.values().find(|order| order.reference == reference) {
            return Err(fault(
                "Client.Duplicate",
                "the reference is taken",
                &format!(
                    "<DuplicateReference xmlns=\"urn:demo:erp\"><OrderNo>{}</OrderNo></DuplicateReference>",
                    known.number
                ),
            ));
        }
        let number = shop.orders.keys().next_back().map_or(4700, |number| number + 1);
        let (customer, amount) = (text("Customer"), text("Amount"));
        let order = Order { number, reference, customer, amount, status: "OPEN" };
        let inner = format!("<OrderNo>{number}</OrderNo>");
        shop.orders.insert(number, order);
        return Ok(response("CreateOrder", &inner));
    }
    if body.contains("GetOrder") {
        let number = text("OrderNo");
        let found = number.parse().ok().and_then(|number: u64| shop.orders.get(&number));
        return match found {
            Some(order) => Ok(response("GetOrder", &shown(order))),
            None => Err(fault(
                "Client.NotFound",
                &format!("there is no order {}", escaped(&number)),
                "<NoSuchOrder xmlns=\"urn:demo:erp\"/>",
            )),
        };
    }
    Err(fault("Client", "this operation is not known", ""))
}

/// What stands in the first element of this local name.
fn element(body: &str, name: &str) -> Option<String> {
    let mut rest = body;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, inner) = after.split_once('>')?;
        let local = tag.split([' ', '/']).next()?.rsplit(':').next()?;
        if local == name && !tag.starts_with('/') && !tag.ends_with('/') {
            let text = inner.split('<').next()?;
            let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
            return Some(plain.replace("&amp;", "&"));
        }
        rest = inner;
    }
    None
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn shown(order: &Order) -> String {
    format!(
        "<Order><OrderNo>{}</OrderNo><Reference>{}</Reference><Customer>{}</Customer><Amount>{}</Amount><Status>{}</Status></Order>",
        order.number,
        escaped(&order.reference),
        escaped(&order.customer),
        escaped(&order.amount),
        order.status
    )
}

fn response(operation: &str, inner: &str) -> String {
    format!("<{operation}Response xmlns=\"urn:demo:erp\">{inner}</{operation}Response>")
}

fn fault(code: &str, reason: &str, detail: &str) -> String {
    format!(
        "<s:Fault><faultcode>s:{code}</faultcode><faultstring>{reason}</faultstring><detail>{detail}</detail></s:Fault>"
    )
}

fn envelope(inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{inner}</s:Body></s:Envelope>"
    )
}
