//! Connections to one server: made when needed, kept for the next call.
//!
//! A connection carries one call at a time. So many are open as calls are in flight, which the gate bounds.
//!
//! Whoever waits for an answer moves the bytes of its connection as well. A task of its own for each would have to be woken
//! for every step of a call, and to wake whoever waits. So nothing moves on a connection that waits for its next call: that it
//! was closed meanwhile is found when it is used.

use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant as Deadline, timeout};
use tokio_rustls::TlsConnector;

use super::SoapError;
use super::binding::binding;
use super::config::{Endpoint, Pem};
use super::ntlm::Ntlm;
use crate::adapters::{own, tls};

/// What moves the bytes of a connection.
type Moving = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// What sends a call.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    /// `None` where a task of its own has it, and when it has ended.
    moving: Option<Moving>,
    /// What an account is bound to: the server's certificate.
    pub(super) binding: Option<Vec<u8>>,
    /// Whether the server knows by now who speaks over it.
    pub(super) is_known: bool,
    /// Whether it has carried a call since then without being asked again.
    pub(super) has_carried: bool,
    /// How often in a row it was asked again right after it was let in.
    pub(super) in_vain: u32,
}

impl Line {
    fn new(sender: SendRequest<Full<Bytes>>, moving: Moving, binding: Option<Vec<u8>>) -> Line {
        Line { sender, moving: Some(moving), binding, is_known: false, has_carried: false, in_vain: 0 }
    }

    fn step(&mut self, context: &mut Context<'_>) {
        if let Some(moving) = &mut self.moving
            && moving.as_mut().poll(context).is_ready()
        {
            self.moving = None;
        }
    }

    /// Waits for something that comes over it, and moves it meanwhile.
    pub(super) async fn until<T>(&mut self, awaited: impl Future<Output = T>) -> T {
        let mut awaited = pin!(awaited);
        poll_fn(|context| {
            self.step(context);
            let awaits = awaited.as_mut().poll(context);
            if awaits.is_ready() || self.moving.is_none() {
                return awaits;
            }
            // What is awaited may have let it go on: sent something, or made room.
            self.step(context);
            awaited.as_mut().poll(context)
        })
        .await
    }

    /// Moves it as far as it goes without waiting.
    async fn catch_up(&mut self) {
        poll_fn(|context| {
            self.step(context);
            Poll::Ready(())
        })
        .await;
    }

    /// Waits until it can carry a call; whether it can, or was closed.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|context| {
            self.step(context);
            self.sender.poll_ready(context)
        })
        .await
        .is_ok()
    }

    /// Goes on by itself from now on: for whoever does not always wait for it.
    pub(super) fn by_itself(&mut self) {
        if let Some(moving) = self.moving.take() {
            // It ends when the line is dropped or the server closes; whoever waits for an answer is told by the line.
            tokio::spawn(moving);
        }
    }
}

/// A connection that nothing was sent over for this long is not trusted any more: servers close theirs after five
/// seconds and more.
const KEPT: Duration = Duration::from_secs(4);

/// The most connections that wait for a call.
const WAITING: usize = 64;

/// So long is a certificate of ours used that was read from a file.
const OWN: Duration = Duration::from_secs(60);

/// A server, the connections to it that wait for their next call, and how more are made.
pub(super) struct Lines {
    endpoint: Endpoint,
    ca: Option<PathBuf>,
    own: Option<Pem>,
    pub(super) patience: Duration,
    /// The account of Windows that connections are let in by.
    pub(super) ntlm: Option<Arc<Ntlm>>,
    waiting: Arc<Mutex<Waiting>>,
    tls: Mutex<Option<(Arc<ClientConfig>, Instant)>>,
}

impl Lines {
    /// Touches nothing yet. A connection is waited for as long as `patience`.
    pub(super) fn new(endpoint: &Endpoint, ca: Option<&PathBuf>, own: Option<&Pem>, patience: Duration) -> Lines {
        Lines {
            endpoint: endpoint.clone(),
            ca: ca.cloned(),
            own: own.cloned(),
            patience,
            ntlm: None,
            waiting: Arc::default(),
            tls: Mutex::default(),
        }
    }

    /// Lets connections in by an account of Windows.
    pub(super) fn with_ntlm(self, ntlm: Option<Arc<Ntlm>>) -> Lines {
        Lines { ntlm, ..self }
    }

    /// Sends it over a connection that is there, or a new one, and waits for the answer's head. A kept connection that
    /// turns out to be closed before anything was sent over it makes room for the next: no call has begun. Its time is over
    /// then, for whoever has to wait before it is begun; the caller ends what has begun.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        until: Deadline,
    ) -> Result<(Response<Incoming>, Line), SoapError> {
        if let Some(ntlm) = &self.ntlm {
            return self.send_known(ntlm, request, until).await;
        }
        let mut request = request;
        loop {
            let (mut line, is_new) = self.any().await?;
            match self.over(&mut line, is_new, request).await? {
                Sent::Answered(response) => return Ok((response, line)),
                Sent::Not(unsent) => request = unsent,
            }
        }
    }

    /// A connection that is there, or a new one; which of both.
    pub(super) async fn any(&self) -> Result<(Line, bool), SoapError> {
        match self.take() {
            Some(line) => Ok((line, false)),
            None => Ok((self.new_line().await?, true)),
        }
    }

    /// A new connection.
    pub(super) async fn new_line(&self) -> Result<Line, SoapError> {
        self.open().await.map_err(|none| self.none(none))
    }

    /// Sends it over this connection.
    pub(super) async fn over(
        &self,
        line: &mut Line,
        is_new: bool,
        request: Request<Full<Bytes>>,
    ) -> Result<Sent, SoapError> {
        line.catch_up().await;
        if !is_new && line.sender.is_closed() {
            return Ok(Sent::Not(request));
        }
        let sent = line.sender.try_send_request(request);
        let mut failed = match line.until(sent).await {
            Ok(response) => return Ok(Sent::Answered(response)),
            Err(failed) => failed,
        };
        match failed.take_message() {
            Some(unsent) if !is_new => Ok(Sent::Not(unsent)),
            Some(_) => Err(self.unreachable(failed.error().to_string())),
            None if failed.error().is_parse() => Err(SoapError::Cut { reason: format!("no HTTP: {}", failed.error()) }),
            None => {
                // The server says so before it looks at a call: of TLS 1.3, what it thinks of our certificate.
                if is_new && let Some(reason) = refusal(failed.error()) {
                    return Err(self.unreachable(reason));
                }
                Err(SoapError::Lost { endpoint: self.endpoint.describe(), reason: failed.error().to_string() })
            }
        }
    }

    pub(super) fn unreachable(&self, reason: String) -> SoapError {
        SoapError::Unreachable { endpoint: self.endpoint.describe(), reason }
    }

    fn none(&self, NoLine { reason, is_ours }: NoLine) -> SoapError {
        if is_ours { SoapError::Own { reason } } else { self.unreachable(reason) }
    }

    /// One that was used before and is still good.
    pub(super) fn take(&self) -> Option<Line> {
        let mut waiting = self.waiting.lock();
        waiting.let_go();
        // The newest: the others may grow old.
        let at = waiting.lines.iter().rposition(|(line, _)| line.sender.is_ready())?;
        Some(waiting.lines.remove(at).0)
    }

    /// Keeps one whose answer was read to its end.
    pub(super) async fn keep(&self, mut line: Line) {
        line.catch_up().await;
        let mut waiting = self.waiting.lock();
        if line.sender.is_closed() || waiting.lines.len() >= WAITING {
            return;
        }
        waiting.lines.push((line, Instant::now()));
        if !waiting.is_tended {
            waiting.is_tended = true;
            tokio::spawn(tend(Arc::downgrade(&self.waiting)));
        }
    }

    /// A new one. While there is none no call has begun, so that nothing is waited for beyond `patience`.
    pub(super) async fn open(&self) -> Result<Line, NoLine> {
        let opened = timeout(self.patience, self.connect()).await;
        opened.unwrap_or_else(|_| Err(NoLine::from(format!("no connection within {} s", self.patience.as_secs_f32()))))
    }

    async fn connect(&self) -> Result<Line, NoLine> {
        let endpoint = &self.endpoint;
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
        let stream = stream.map_err(|error| match own::lack(&error) {
            Some(reason) => NoLine { reason, is_ours: true },
            None => NoLine::from(error.to_string()),
        })?;
        // A small call must not wait for the answer to the one before it.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        if !endpoint.is_secure {
            return Ok(self.led_in(speak(stream, None).await?));
        }
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| error.to_string())?;
        let connector = TlsConnector::from(self.settings()?);
        let stream = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let binding = certificate.filter(|_| self.ntlm.is_some()).and_then(|certificate| binding(certificate));
        Ok(self.led_in(speak(stream, binding).await?))
    }

    /// A new connection, of which the settings say how it is let in.
    fn led_in(&self, mut line: Line) -> Line {
        // Between the messages of an account of Windows other things are waited for.
        if self.ntlm.is_some() {
            line.by_itself();
        }
        line
    }

    /// Read once: a file of certificates is large. A certificate of ours may be renewed while the service runs.
    fn settings(&self) -> Result<Arc<ClientConfig>, String> {
        let mut known = self.tls.lock();
        if let Some((settings, since)) = &*known
            && (self.own.is_none() || since.elapsed() < OWN)
        {
            return Ok(Arc::clone(settings));
        }
        let made = match &self.own {
            None => tls::settings(self.ca.as_deref())?,
            Some(own) => {
                let key = own.key.reveal().map_err(|error| error.to_string())?;
                tls::settings_with(self.ca.as_deref(), &own.certificate, key.reveal())?
            }
        };
        Ok(Arc::clone(&known.insert((made, Instant::now())).0))
    }
}

/// Connections that wait for their next call, with the time since which they do.
#[derive(Default)]
struct Waiting {
    lines: Vec<(Line, Instant)>,
    /// Whether somebody closes those that are too old when no call comes.
    is_tended: bool,
}

impl Waiting {
    fn let_go(&mut self) {
        self.lines.retain(|(line, since)| since.elapsed() < KEPT && !line.sender.is_closed());
    }
}

/// Closes connections that nobody uses any more, until there are none.
async fn tend(waiting: Weak<Mutex<Waiting>>) {
    let mut pause = KEPT;
    loop {
        tokio::time::sleep(pause).await;
        let Some(waiting) = waiting.upgrade() else { return };
        let mut waiting = waiting.lock();
        waiting.let_go();
        // The first is the oldest.
        let Some((_, since)) = waiting.lines.first() else {
            waiting.is_tended = false;
            return;
        };
        pause = KEPT.saturating_sub(since.elapsed());
    }
}

/// What became of a request.
pub(super) enum Sent {
    /// The head of its answer has come.
    Answered(Response<Incoming>),
    /// A kept connection was closed before anything was sent over it.
    Not(Request<Full<Bytes>>),
}

/// Why there is no connection.
pub(super) struct NoLine {
    pub(super) reason: String,
    /// For something that this machine lacks.
    is_ours: bool,
}

impl From<String> for NoLine {
    fn from(reason: String) -> NoLine {
        NoLine { reason, is_ours: false }
    }
}

/// What a server may say of a client's certificate (RFC 8446 section 6.2).
const REFUSALS: [AlertDescription; 10] = [
    AlertDescription::HandshakeFailure,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::DecryptError,
    AlertDescription::CertificateRequired,
];

/// What a server says in TLS of a client that it does not take. It says so after the handshake, and has read nothing.
fn refusal(error: &hyper::Error) -> Option<String> {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let tls = inner.downcast_ref::<rustls::Error>().or_else(|| {
            let inner = inner.downcast_ref::<std::io::Error>()?.get_ref()?;
            inner.downcast_ref::<rustls::Error>()
        });
        if let Some(rustls::Error::AlertReceived(alert)) = tls
            && REFUSALS.contains(alert)
        {
            return Some(format!("the server refused our TLS: {alert:?}"));
        }
        cause = inner.source();
    }
    None
}

/// HTTP over a stream.
pub(super) async fn speak(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    binding: Option<Vec<u8>>,
) -> Result<Line, String> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    Ok(Line::new(sender, Box::pin(connection), binding))
}

#[cfg(test)]
mod tests {
    use super::{Lines, WAITING};
    use crate::adapters::soap::body::whole;
    use crate::adapters::soap::config::Endpoint;
    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::Request;
    use std::net::SocketAddr;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;
    use tokio::time::{Instant, timeout};

    /// Long enough for whatever has to happen.
    const LONG: Duration = Duration::from_secs(60);

    /// A server that answers each call on its connection, `closing` it behind the answer or not; tells of each connection when
    /// it ends and how many calls it carried.
    async fn server(closing: bool) -> (SocketAddr, mpsc::UnboundedReceiver<usize>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ended, told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let ended = ended.clone();
                tokio::spawn(async move { ended.send(carries(stream, closing).await).unwrap_or_default() });
            }
        });
        (address, told)
    }

    /// Answers calls until the connection ends; how many.
    async fn carries(mut stream: TcpStream, closing: bool) -> usize {
        let (mut calls, mut read) = (0, Vec::new());
        loop {
            while let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                read.drain(..end + 4);
                calls += 1;
                // In two pieces, which do not come at once.
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nfour").await.unwrap();
                tokio::task::yield_now().await;
                stream.write_all(b"more").await.unwrap();
                if closing {
                    return calls;
                }
            }
            match stream.read_buf(&mut read).await {
                Ok(0) | Err(_) => return calls,
                Ok(_) => {}
            }
        }
    }

    fn lines(address: SocketAddr) -> Lines {
        Lines::new(&Endpoint::parse(&format!("http://{address}/")).unwrap(), None, None, LONG)
    }

    async fn call(lines: &Lines) -> Bytes {
        let request = Request::get("/").header("host", "erp").body(Full::default()).unwrap();
        let asked = async {
            let (response, line) = lines.send(request, Instant::now() + LONG).await.unwrap();
            whole(response, line, lines, 100).await.unwrap().0
        };
        timeout(LONG, asked).await.expect("an answer")
    }

    #[tokio::test]
    async fn a_connection_carries_call_after_call_and_is_closed_when_none_comes_any_more() {
        let (address, mut ended) = server(false).await;
        let lines = lines(address);
        for _ in 0..50 {
            assert_eq!(call(&lines).await, "fourmore");
        }
        assert_eq!(timeout(LONG, ended.recv()).await.expect("it is closed"), Some(50));
        // And so again.
        assert_eq!(call(&lines).await, "fourmore");
        assert_eq!(timeout(LONG, ended.recv()).await.expect("it is closed"), Some(1));
    }

    /// That a kept connection was closed is found when it is used, and the call goes over another one.
    #[tokio::test]
    async fn a_connection_that_was_closed_behind_its_answer_carries_no_other_call() {
        let (address, mut ended) = server(true).await;
        let lines = lines(address);
        for _ in 0..10 {
            assert_eq!(call(&lines).await, "fourmore");
            assert_eq!(timeout(LONG, ended.recv()).await.expect("it is closed"), Some(1));
            // So that the runtime hears of it.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn calls_at_the_same_time_have_connections_of_their_own() {
        let (address, mut ended) = server(false).await;
        let lines = std::sync::Arc::new(lines(address));
        let calls = (0..2 * WAITING).map(|_| {
            let lines = std::sync::Arc::clone(&lines);
            tokio::spawn(async move { call(&lines).await })
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap(), "fourmore");
        }
        drop(lines);
        let mut carried = 0;
        while carried < 2 * WAITING {
            carried += timeout(LONG, ended.recv()).await.expect("it is closed").unwrap();
        }
    }
}
