//! Connections: accepts them, bounds them, and lets go of them in order.
//!
//! No peer can hold anything for ever: the number of connections is bounded (more wait in the kernel's queue),
//! a request's head must arrive in time, an idle connection is closed, a peer that stops reading is cut off
//! (`stream`). On shutdown the listener closes at once, idle connections with it; what is in flight is
//! answered with `Connection: close` (or after GOAWAY), and cut only when the time for that is over.

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{DATE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::{Service, ServiceExt};

use super::idle::{Activity, Answering};
use super::stream::BoundedStream;
use super::timer::ConnectionTimer;
use super::{Certificate, Peer, ServerConfig, Tls};

/// Bytes of a request's head that `hyper` takes before it answers 431 by itself; the edge refuses far less,
/// with a problem.
const MAX_HEAD: usize = 128 * 1024;

/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;

/// After a failed accept (no file descriptors left) the listener rests this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What connections may cost.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections at once.
    pub connections: usize,
    /// For a request's head, and for idle connections.
    pub head_within: Duration,
    /// Without progress in sending.
    pub write_within: Duration,
    /// For what is in flight on shutdown.
    pub drain_within: Duration,
}

impl From<&ServerConfig> for ConnectionLimits {
    fn from(config: &ServerConfig) -> ConnectionLimits {
        ConnectionLimits {
            connections: config.max_connections,
            head_within: config.header_timeout,
            write_within: config.write_timeout,
            drain_within: config.shutdown_timeout,
        }
    }
}

/// How a listener ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that had to be cut because they did not finish in time.
    pub cut: usize,
}

/// Serves `service` on `listener` until `shutdown`, then finishes what is in flight.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    shutdown: impl Future<Output = ()>,
    limits: ConnectionLimits,
) -> Drained
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    serve_with(listener, None, service, shutdown, limits).await
}

/// As [`serve`], over TLS where there is any. Each request has its [`Peer`] with it.
pub async fn serve_with<S, B>(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    service: S,
    shutdown: impl Future<Output = ()>,
    limits: ConnectionLimits,
) -> Drained
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let protocol = protocol(limits);
    let permits = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let (socket, address, permit) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = next_connection(&listener, &permits) => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (service, protocol, watcher) = (service.clone(), protocol.clone(), graceful.watcher());
        let peer = Peer { address: address.ip(), is_secure: tls.is_some(), certificate: None };
        match &tls {
            None => {
                connections.spawn(async move {
                    let _permit = permit;
                    converse(socket, peer, service, protocol, watcher, limits).await;
                });
            }
            Some(tls) => {
                let acceptor = tls.acceptor();
                connections.spawn(async move {
                    let _permit = permit;
                    let stream = match timeout(limits.head_within, acceptor.accept(socket)).await {
                        Ok(Ok(stream)) => stream,
                        Ok(Err(fault)) => return tracing::debug!(cause = %fault, "no TLS with a peer"),
                        Err(_) => return tracing::debug!("no TLS with a peer in time"),
                    };
                    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                    let certificate = shown.map(|der| Arc::new(Certificate::read(der)));
                    converse(stream, Peer { certificate, ..peer }, service, protocol, watcher, limits).await;
                });
            }
        }
    }
    drop(listener);
    let in_time = timeout(limits.drain_within, graceful.shutdown()).await.is_ok();
    while connections.try_join_next().is_some() {}
    let cut = if in_time { 0 } else { connections.len() };
    connections.shutdown().await;
    Drained { cut }
}

/// Answers the requests of one connection.
async fn converse<T, S, B>(
    stream: T,
    peer: Peer,
    service: S,
    mut protocol: Builder<TokioExecutor>,
    watcher: Watcher,
    limits: ConnectionLimits,
) where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let stream = TokioIo::new(BoundedStream::new(stream, limits.head_within, limits.write_within));
    let peer = Arc::new(peer);
    let activity = Arc::new(Activity::default());
    let requests = Arc::clone(&activity);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(&peer));
        let (service, under_way) = (service.clone(), requests.begin());
        async move {
            let mut response = service.oneshot(request).await?;
            dated(response.headers_mut());
            Ok::<_, Infallible>(response.map(|body| Answering { body, _under_way: under_way }))
        }
    });
    protocol.http1().timer(ConnectionTimer::default());
    let connection = protocol.serve_connection(stream, service).into_owned();
    let ended = tokio::select! {
        ended = watcher.watch(connection) => ended,
        () = activity.idle(limits.head_within) => return tracing::debug!("nothing was asked on a connection any more"),
    };
    if let Err(fault) = ended {
        tracing::debug!(cause = describe(&*fault), "connection ended early");
    }
}

thread_local! {
    /// The second that this thread has written last, and how.
    static LAST_DATE: RefCell<Option<(i64, HeaderValue)>> = const { RefCell::new(None) };
}

/// When it is answered (RFC 9110 section 6.6.1). Of `hyper` each thread would go on with the time before, after the clock was
/// put back, until that comes again.
fn dated(headers: &mut HeaderMap) {
    if let Some(date) = date_of(Timestamp::now()) {
        headers.entry(DATE).or_insert(date);
    }
}

/// A moment as a date; written once in a second on each thread, and whenever the clock says another second than before.
fn date_of(moment: Timestamp) -> Option<HeaderValue> {
    let second = moment.as_second();
    LAST_DATE.with_borrow_mut(|last| match last {
        Some((of, date)) if *of == second => Some(date.clone()),
        _ => {
            let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).ok()?;
            let date = HeaderValue::try_from(text).ok()?;
            *last = Some((second, date.clone()));
            Some(date)
        }
    })
}

/// A connection and the right to hold it.
async fn next_connection(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let Ok(permit) = Arc::clone(permits).acquire_owned().await else {
            // The semaphore is never closed.
            std::future::pending::<()>().await;
            continue;
        };
        match listener.accept().await {
            Ok((socket, address)) => {
                // Answers are written whole; waiting to fill a packet would only delay them.
                let _best_effort = socket.set_nodelay(true);
                return (socket, address, permit);
            }
            Err(fault) if is_of_one_peer(&fault) => {}
            Err(fault) => {
                tracing::warn!(cause = %fault, "connections cannot be accepted at the moment");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn protocol(limits: ConnectionLimits) -> Builder<TokioExecutor> {
    let mut protocol = Builder::new(TokioExecutor::new());
    protocol.http1().header_read_timeout(limits.head_within).max_buf_size(MAX_HEAD);
    protocol
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .keep_alive_interval(limits.head_within)
        .keep_alive_timeout(limits.head_within);
    protocol
}

/// The peer went away between connecting and being accepted; the listener itself is well.
fn is_of_one_peer(fault: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(fault.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn describe(fault: &(dyn Error + 'static)) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::date_of;

    #[test]
    fn a_date_is_that_of_its_second_whichever_way_the_clock_goes() {
        let check = |moment: &str, date: &str| {
            let found = date_of(moment.parse().unwrap()).unwrap();
            assert_eq!(found.to_str().unwrap(), date, "{moment}");
        };
        check("2026-11-29T01:12:04Z", "Sun, 29 Nov 2026 01:12:04 GMT");
        check("2026-11-29T01:12:04.999Z", "Sun, 29 Nov 2026 01:12:04 GMT");
        check("2026-11-29T01:12:05Z", "Sun, 29 Nov 2026 01:12:05 GMT");
        // Put back, and forward again.
        check("2026-11-29T00:12:05Z", "Sun, 29 Nov 2026 00:12:05 GMT");
        check("2026-11-29T01:12:05.5Z", "Sun, 29 Nov 2026 01:12:05 GMT");
    }
}
