//! The callers' HTTP, down to the single byte.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A connection between two requests.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// When it was made.
    pub(super) since: Instant,
}

impl Connection {
    /// Whether something comes although everything that was asked is answered.
    pub(super) async fn says_more(mut self) -> bool {
        let mut byte = [0];
        let more = tokio::time::timeout(Duration::from_millis(50), self.stream.read(&mut byte)).await;
        !self.buffer.is_empty() || matches!(more, Ok(Ok(1..)))
    }
}

/// One answer, whole.
pub(super) struct Answer {
    pub(super) status: u16,
    body: Vec<u8>,
}

impl Answer {
    /// Whether this is the answer to a request for this order.
    pub(super) fn names(&self, key: &str) -> bool {
        memchr::memmem::find(&self.body, key.as_bytes()).is_some()
    }

    /// The reason that a refusal names; empty when it names none.
    pub(super) fn reason(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let named = text.split_once("\"reason\":").and_then(|(_, rest)| rest.split('"').nth(1));
        named.unwrap_or_default().to_owned()
    }
}

/// Sends a request and reads its answer, and the connection too if it stays open.
pub(super) async fn exchange(
    kept: Option<Connection>,
    address: SocketAddr,
    request: &[u8],
    reads: Option<usize>,
) -> Result<(Answer, Option<Connection>), String> {
    let mut connection = match kept {
        Some(connection) => connection,
        None => connect(address, reads.is_some()).await.map_err(|error| format!("connect: {error}"))?,
    };
    if !connection.buffer.is_empty() {
        return Err("more was answered than asked".to_owned());
    }
    connection.stream.write_all(request).await.map_err(|error| format!("send: {error}"))?;
    let (answer, stays) = receive(&mut connection, reads).await?;
    Ok((answer, stays.then_some(connection)))
}

async fn connect(address: SocketAddr, small_window: bool) -> io::Result<Connection> {
    let socket = TcpSocket::new_v4()?;
    if small_window {
        socket.set_recv_buffer_size(1024)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(Connection { stream, buffer: Vec::new(), since: Instant::now() })
}

/// Reads one answer; whether the connection stays open after it.
async fn receive(connection: &mut Connection, reads: Option<usize>) -> Result<(Answer, bool), String> {
    let head_end = loop {
        if let Some(end) = memchr::memmem::find(&connection.buffer, b"\r\n\r\n") {
            break end + 4;
        }
        fill(connection, reads).await?;
    };
    let head = String::from_utf8_lossy(&connection.buffer[..head_end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    let field = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim().to_ascii_lowercase())
        })
    };
    let closes = field("connection").is_some_and(|value| value == "close") || head.starts_with("HTTP/1.0");
    connection.buffer.drain(..head_end);
    let body = match field("content-length") {
        Some(length) => {
            let length: usize = length.parse().map_err(|_| "a length that is no number")?;
            while connection.buffer.len() < length {
                fill(connection, reads).await?;
            }
            connection.buffer.drain(..length).collect()
        }
        None if field("transfer-encoding").is_some() => return Err("a chunked answer".to_owned()),
        // Until the end of the connection.
        None => {
            while fill(connection, reads).await.is_ok() {}
            std::mem::take(&mut connection.buffer)
        }
    };
    Ok((Answer { status, body }, !closes))
}

async fn fill(connection: &mut Connection, reads: Option<usize>) -> Result<(), String> {
    let mut bytes = [0; 16 * 1024];
    let most = match reads {
        Some(per_second) => {
            tokio::time::sleep(Duration::from_secs(1) / per_second.max(1) as u32).await;
            1
        }
        None => bytes.len(),
    };
    match connection.stream.read(&mut bytes[..most]).await {
        Ok(0) => Err("the connection ended before the answer did".to_owned()),
        Ok(count) => {
            connection.buffer.extend_from_slice(&bytes[..count]);
            Ok(())
        }
        Err(error) => Err(format!("receive: {error}")),
    }
}
