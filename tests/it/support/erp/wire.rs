//! The ERP's HTTP: requests in, work, answers out.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{Shared, State};

/// Accepts connections while the ERP is up, until it is over.
pub(super) async fn listen(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    mut changes: watch::Receiver<State>,
    cuts: watch::Receiver<usize>,
) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(TcpListener::from_std(listener).unwrap());
    loop {
        let state = *changes.borrow_and_update();
        match (state, &listener) {
            (State::Over, _) => return,
            (State::Dead, _) => {
                listener = None;
                if changes.changed().await.is_err() {
                    return;
                }
            }
            // Connections of its life before may still hold the port for a moment.
            (State::Up, None) => match TcpListener::bind(address).await {
                Ok(bound) => listener = Some(bound),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            },
            (State::Up, Some(listening)) => tokio::select! {
                accepted = listening.accept() => {
                    if let Ok((stream, _)) = accepted {
                        tokio::spawn(serve(stream, Arc::clone(&shared), changes.clone(), cuts.clone()));
                    }
                }
                _ = changes.changed() => {}
            },
        }
    }
}

/// Answers the requests of one connection, one after the other.
async fn serve(
    mut stream: TcpStream,
    shared: Arc<Shared>,
    mut changes: watch::Receiver<State>,
    mut cuts: watch::Receiver<usize>,
) {
    cuts.mark_unchanged();
    let _ = stream.set_nodelay(true);
    // Accepted in the moment it died.
    if *changes.borrow_and_update() != State::Up {
        return reset(&stream);
    }
    let mut buffer = Vec::new();
    loop {
        let key = tokio::select! {
            key = request(&mut stream, &mut buffer) => key,
            _ = changes.changed() => return reset(&stream),
            _ = cuts.changed() => return reset(&stream),
        };
        let Some(key) = key else { return };
        let (call, took) = shared.floor().begin(key.clone(), shared.now());
        let end = {
            let toil = toil(&shared, took);
            tokio::pin!(toil);
            let end = tokio::select! {
                end = attended(&mut stream, &mut buffer, &shared, call, toil.as_mut()) => end,
                _ = cuts.changed() => End::Cut,
                _ = changes.changed() => End::Died,
            };
            if end == End::Cut {
                shared.floor().cut();
                reset(&stream);
                drop(stream);
                tokio::select! {
                    () = toil => {}
                    _ = changes.changed() => {}
                }
                return shared.floor().end(call, shared.now());
            }
            end
        };
        shared.floor().end(call, shared.now());
        match end {
            End::Done => {}
            End::Left => return,
            End::Cut | End::Died => return reset(&stream),
        }
        let manner = shared.floor().manner;
        let answer = answer(&key, shared.settings.note, manner.fault);
        let sent = if manner.half_a_body { &answer[..answer.len() - 60] } else { &answer[..] };
        let written = tokio::select! {
            written = stream.write_all(sent) => written,
            _ = changes.changed() => return reset(&stream),
        };
        if written.is_err() || manner.half_a_body {
            return;
        }
    }
}

/// So that the other side sees a reset, as of a process that has died.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// How the work on a call ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// The caller waits for the answer.
    Done,
    /// It is done, but the caller has hung up.
    Left,
    /// The connection was cut off; the work goes on.
    Cut,
    /// With the ERP itself.
    Died,
}

/// The work of one call.
async fn toil(shared: &Shared, took: Duration) {
    let due = shared.floor().worked(shared.now()) + took;
    loop {
        let left = shared.floor().left_until(due, shared.now());
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(left).await;
    }
    let after = shared.floor().manner.first_byte_after;
    if !after.is_zero() {
        tokio::time::sleep(after).await;
    }
}

/// Works on a call to its end, whether or not the caller stays.
async fn attended(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    shared: &Shared,
    call: usize,
    mut toil: Pin<&mut impl Future<Output = ()>>,
) -> End {
    let mut end = End::Done;
    let mut bytes = [0; 1024];
    loop {
        tokio::select! {
            () = &mut toil => return end,
            read = stream.read(&mut bytes), if end == End::Done => match read {
                Ok(count) if count > 0 => buffer.extend_from_slice(&bytes[..count]),
                _ => {
                    end = End::Left;
                    shared.floor().left(call, shared.now());
                }
            },
        }
    }
}

/// Reads one request: the number of the order that it asks for. `None` at the end of the connection.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    let mut bytes = [0; 4096];
    loop {
        if let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            let head = std::str::from_utf8(&buffer[..end]).ok()?;
            let length = head.lines().skip(1).find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let whole = end + 4 + length.unwrap_or(0);
            if buffer.len() >= whole {
                let body = std::str::from_utf8(&buffer[end + 4..whole]).ok()?;
                let path = head.split(' ').nth(1)?;
                let key = match body.split_once("OrderNo>") {
                    Some((_, rest)) => rest.split('<').next()?,
                    None => path.rsplit('/').next()?,
                };
                let key = key.to_owned();
                buffer.drain(..whole);
                return Some(key);
            }
        }
        match stream.read(&mut bytes).await {
            Ok(count) if count > 0 => buffer.extend_from_slice(&bytes[..count]),
            _ => return None,
        }
    }
}

/// The answer to a request for one order.
fn answer(key: &str, note: usize, fault: bool) -> Vec<u8> {
    const OPEN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
        <soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>";
    const CLOSE: &str = "</soap:Body></soap:Envelope>";
    let (status, inner) = if fault {
        let fault =
            "<soap:Fault><faultcode>soap:Server</faultcode><faultstring>no such order</faultstring></soap:Fault>";
        ("500 Internal Server Error", fault.to_owned())
    } else {
        let note = "n".repeat(note);
        let order = format!(
            "<GetOrderResponse xmlns=\"urn:erp\"><Order><OrderNo>{key}</OrderNo><Status>OPEN</Status>\
             <Amount>120.50</Amount><Note>{note}</Note></Order></GetOrderResponse>"
        );
        ("200 OK", order)
    };
    let length = OPEN.len() + inner.len() + CLOSE.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), OPEN.as_bytes(), inner.as_bytes(), CLOSE.as_bytes()].concat()
}
