//! A command's way to the admin API of the service that runs beside it: one request, one answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A service that takes longer is not well.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers of the admin API are no larger.
const MOST: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no service answers at {address} (`server.admin_listen`): {source}; start it with `tollbridge serve`")]
    Nobody {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Somebody listens, but it is no service of ours, or it is not well.
    #[error("what listens at {address} (`server.admin_listen`) gave no answer of the admin API: {reason}")]
    Strange {
        /// Where.
        address: SocketAddr,
        /// What came instead.
        reason: String,
    },
}

/// Where the admin API is reached from this machine, if it listens at `listen`.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let host = match listen.ip() {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    };
    SocketAddr::new(host, listen.port())
}

/// Sends a request, with a key where one is needed; answers status and body.
pub async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    key: Option<&str>,
    body: Option<&Value>,
) -> Result<(u16, Value), ClientError> {
    let strange = |reason: String| ClientError::Strange { address, reason };
    let socket = match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(|source| ClientError::Nobody { address, source })?,
        Err(late) => return Err(ClientError::Nobody { address, source: late.into() }),
    };
    let mut builder = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, address.to_string())
        .header(ACCEPT, "application/json");
    if let Some(key) = key {
        builder = builder.header(AUTHORIZATION, format!("Bearer {key}"));
    }
    let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    if body.is_some() {
        builder = builder.header(CONTENT_TYPE, "application/json");
    }
    let request = builder.body(Full::new(bytes)).map_err(|fault| strange(fault.to_string()))?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await;
    let (mut sender, connection) = shaken.map_err(|fault| strange(fault.to_string()))?;
    let connection = tokio::spawn(connection);
    let answered = async {
        let response = sender.send_request(request).await.map_err(|fault| strange(fault.to_string()))?;
        let status = response.status().as_u16();
        let bytes =
            Limited::new(response.into_body(), MOST).collect().await.map_err(|fault| strange(fault.to_string()))?;
        let body =
            serde_json::from_slice(&bytes.to_bytes()).map_err(|_| strange(format!("status {status}, no JSON")))?;
        Ok((status, body))
    };
    let answer = timeout(PATIENCE, answered).await;
    connection.abort();
    answer.unwrap_or_else(|_| Err(strange(format!("nothing within {} seconds", PATIENCE.as_secs()))))
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn an_address_of_all_networks_is_reached_on_this_machine() {
        let check = |listen: &str, expected: &str| {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
        };
        check("0.0.0.0:8081", "127.0.0.1:8081");
        check("[::]:8081", "[::1]:8081");
        check("10.1.2.3:9", "10.1.2.3:9");
    }
}
