//! The way to a server, step by step: name, port, socket, greeting, TLS, login. A diagnosis goes the same way.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tiberius::error::Error;
use tiberius::{AuthMethod, Client, EncryptionLevel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::config::{Config, Encryption, Login};
use super::envelope::Envelope;
use super::line::{Control, Line, Way};
use super::prelogin::{self, Greeting, HEADER, wish};
use super::{fault, kerberos, tls};
use crate::adapters::own;
use crate::adapters::sql::{Certainty, SqlError, SqlErrorKind};

/// How long SQL Browser may take: one datagram there and one back.
const BROWSER: Duration = Duration::from_secs(2);

/// A connection on which nothing has come for so long is asked whether it is still there,
const KEEPALIVE: Duration = Duration::from_secs(30);

/// and again each time after so long, until the system gives it up.
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(10);

/// Bytes of a packet that we ask for: fewer packets than at the default of 4096, and all servers grant it.
const PACKET: u32 = 8000;

/// The driver on a line.
pub(super) type Driver = Client<Compat<Line>>;

/// A connection to a server that has let us in.
pub(super) struct Connection {
    /// The driver.
    pub(super) client: Driver,
    /// What is known and wanted of its line.
    pub(super) control: Arc<Control>,
    /// The server's version.
    pub(super) version: (u8, u8, u16),
    /// What it must do before it waits for its next call.
    pub(super) release: Option<String>,
}

/// A step that failed: what is wrong, and what to do.
fn failed(config: &Config, kind: SqlErrorKind, said: impl std::fmt::Display, remedy: &str) -> SqlError {
    fault::own(&config.place(), kind, Certainty::NotBegun, format!("{said}; {remedy}"))
}

/// A login that goes on although nobody waits for it any more; it is over when this is.
pub(super) type Behind = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Why there is no connection, and what goes on all the same.
pub(super) struct Unconnected {
    pub(super) error: SqlError,
    pub(super) goes_on: GoesOn,
}

/// What the server may be at work on although nobody waits for it any more.
pub(super) enum GoesOn {
    Nothing,
    /// A login that cannot be ended.
    Login(Behind),
    /// A request whose connection was closed.
    Request,
}

/// A connection, by all steps. A server may send us to another one, once.
pub(super) async fn connect(config: &Config) -> Result<Connection, Unconnected> {
    let deadline = Instant::now() + config.connect_timeout;
    match through(config, deadline).await {
        Err(Stop::Routed(host, port)) => {
            let there = Config { host, port: Some(port), instance: None, ..config.clone() };
            through(&there, deadline).await.map_err(|stop| stop.told(&there))
        }
        ended => ended.map_err(|stop| stop.told(config)),
    }
}

/// Why we are not let in.
pub(super) enum Stop {
    Failed(SqlError),
    Routed(String, u16),
    /// The time is over.
    Late(Option<Behind>),
}

impl Stop {
    pub(super) fn told(self, config: &Config) -> Unconnected {
        match self {
            Stop::Failed(error) => Unconnected { error, goes_on: GoesOn::Nothing },
            Stop::Routed(host, port) => {
                let error = fault::of(&config.place(), Certainty::NotBegun, &Error::Routing { host, port });
                Unconnected { error, goes_on: GoesOn::Nothing }
            }
            Stop::Late(behind) => {
                let said = format!("nobody has let us in within {:?}", config.connect_timeout);
                let remedy = match config.login {
                    Login::Sql { .. } => "look whether the server is up; `doctor` looks step by step",
                    Login::Kerberos { .. } => {
                        "look whether the server and those of the domain (port 88) are up; `doctor` looks step by step"
                    }
                };
                let goes_on = behind.map_or(GoesOn::Nothing, GoesOn::Login);
                Unconnected { error: failed(config, SqlErrorKind::Unreachable, said, remedy), goes_on }
            }
        }
    }
}

async fn through(config: &Config, deadline: Instant) -> Result<Connection, Stop> {
    let reached = async {
        let addresses = resolve(config).await?;
        let port = port(config, &addresses).await?;
        let mut socket = dial(config, &addresses, port).await?;
        let greeting = greet(config, &mut socket).await?;
        let way = secure(config, socket, &greeting).await?;
        Ok((way, greeting, port))
    };
    let reached = timeout_at(deadline, reached).await.map_err(|_| Stop::Late(None))?;
    let (way, greeting, port) = reached.map_err(Stop::Failed)?;
    login(config, way, &greeting, port, deadline).await
}

/// The addresses of the host.
pub(super) async fn resolve(config: &Config) -> Result<Vec<SocketAddr>, SqlError> {
    let remedy = "look at `host`, and at the name servers of this machine";
    let unknown = |reason: String| {
        failed(config, SqlErrorKind::Unreachable, format!("the name `{}` is not known ({reason})", config.host), remedy)
    };
    let found: Vec<_> = match lookup_host((config.host.as_str(), 0)).await {
        Ok(found) => found.collect(),
        Err(error) => return Err(own_fault(config, &error).unwrap_or_else(|| unknown(error.to_string()))),
    };
    if found.is_empty() { Err(unknown("no address".to_owned())) } else { Ok(found) }
}

/// What this machine lacks, where that is why there is no connection.
fn own_fault(config: &Config, error: &io::Error) -> Option<SqlError> {
    let said = format!("no connection can be made: {}", own::lack(error)?);
    Some(failed(
        config,
        SqlErrorKind::Own,
        said,
        "raise the limit of open files, or look at the name servers of this machine",
    ))
}

/// The port; of a named instance SQL Browser knows it ([MS-SQLR]).
pub(super) async fn port(config: &Config, addresses: &[SocketAddr]) -> Result<u16, SqlError> {
    if let Some(port) = config.port {
        return Ok(port);
    }
    let instance = config.instance.as_deref().unwrap_or_default();
    let mut reason = String::new();
    for address in addresses {
        match timeout(BROWSER, browse(*address, instance)).await {
            Ok(Ok(Some(port))) => return Ok(port),
            Ok(Ok(None)) => {
                let said = format!("SQL Browser knows no instance `{instance}` that listens to TCP");
                let remedy = "look at `instance` and whether TCP/IP is switched on for it, or write its `port`";
                return Err(failed(config, SqlErrorKind::Unreachable, said, remedy));
            }
            Ok(Err(error)) => reason = format!(" ({error})"),
            Err(_) => {}
        }
    }
    let said = format!("SQL Browser does not answer at UDP port 1434{reason}");
    let remedy = "start the service SQL Server Browser and let UDP port 1434 through, or write the instance's `port`";
    Err(failed(config, SqlErrorKind::Unreachable, said, remedy))
}

async fn browse(mut address: SocketAddr, instance: &str) -> io::Result<Option<u16>> {
    // CLNT_UCAST_INST: the byte 4 and the name.
    if address.port() == 0 {
        address.set_port(1434);
    }
    let unspecified: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(unspecified).await?;
    socket.connect(address).await?;
    let mut question = vec![4];
    question.extend_from_slice(instance.as_bytes());
    socket.send(&question).await?;
    let mut answer = [0; 4096];
    let length = socket.recv(&mut answer).await?;
    Ok(port_of(answer.get(..length).unwrap_or_default()))
}

/// The TCP port in an answer of SQL Browser: the byte 5, a length, and `name;value;` pairs.
fn port_of(answer: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(answer.get(3..)?).into_owned();
    let mut words = text.split(';');
    while let Some(name) = words.next() {
        if name.eq_ignore_ascii_case("tcp") {
            return words.next()?.parse().ok();
        }
        words.next();
    }
    None
}

/// A socket to the first address that takes one.
pub(super) async fn dial(config: &Config, addresses: &[SocketAddr], port: u16) -> Result<TcpStream, SqlError> {
    let mut reason = None;
    // One that does not answer leaves time for the others.
    let share = config.connect_timeout.checked_div(addresses.len() as u32 + 1).unwrap_or(config.connect_timeout);
    for address in addresses {
        let address = SocketAddr::new(address.ip(), port);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                // Without it a question waits for the acknowledgement of the one before.
                let _ = socket.set_nodelay(true);
                // A connection that a router has forgotten ends while an answer is waited for, however long.
                let probes = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_AGAIN);
                let _ = SockRef::from(&socket).set_tcp_keepalive(&probes);
                return Ok(socket);
            }
            Ok(Err(error)) => reason = Some(error),
            Err(_) => {}
        }
    }
    if let Some(own) = reason.as_ref().and_then(|error| own_fault(config, error)) {
        return Err(own);
    }
    let (said, remedy) = match &reason {
        Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => (
            format!("nothing listens at port {port}"),
            "look at `port`, whether the server is up, and whether TCP/IP is switched on in its Configuration Manager",
        ),
        Some(error) => (format!("port {port} cannot be reached ({error})"), "look at routes and firewalls on the way"),
        None => (
            format!("nobody answers at port {port}"),
            "a firewall on the way may drop what we send, or the machine is down: look at `host` and `port`",
        ),
    };
    Err(failed(config, SqlErrorKind::Unreachable, said, remedy))
}

/// What the server says first.
pub(super) async fn greet(config: &Config, socket: &mut TcpStream) -> Result<Greeting, SqlError> {
    let wanted = match config.encryption {
        Encryption::Required => wish::ON,
        Encryption::LoginOnly => wish::LOGIN,
        Encryption::Off => wish::CANNOT,
    };
    let no_server = |said: String| {
        let remedy =
            "look at `host` and `port`: another service may be there, or something between us ends connections";
        failed(config, SqlErrorKind::Unreachable, said, remedy)
    };
    let ended =
        |error: io::Error| no_server(format!("the server ends the connection before it says anything ({error})"));
    let hello = prelogin::hello(wanted, config.instance.as_deref().unwrap_or_default());
    socket.write_all(&hello).await.map_err(ended)?;
    let mut payload = Vec::new();
    loop {
        let mut head = [0; HEADER];
        socket.read_exact(&mut head).await.map_err(ended)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if head[0] != 0x04 || length < HEADER || payload.len() > 1 << 16 {
            return Err(no_server("what answers there is no SQL Server".to_owned()));
        }
        let from = payload.len();
        payload.resize(from + length - HEADER, 0);
        socket.read_exact(&mut payload[from..]).await.map_err(ended)?;
        if head[1] & 1 != 0 {
            break;
        }
    }
    prelogin::greeting(&payload).ok_or_else(|| no_server("what answers there is no SQL Server".to_owned()))
}

/// Encryption as it is written, or none of it.
pub(super) async fn secure(config: &Config, socket: TcpStream, greeting: &Greeting) -> Result<Way, SqlError> {
    let refused = |said: String, remedy: &str| Err(failed(config, SqlErrorKind::Tls, said, remedy));
    let product = prelogin::product(greeting.version);
    match (config.encryption, greeting.encryption) {
        (Encryption::Off, wish::CANNOT) => return Ok(Way::Plain(socket)),
        (Encryption::Off, _) => {
            return refused(
                format!("{product} insists on encryption, and `encryption` is \"off\""),
                "write encryption = \"required\"",
            );
        }
        (_, wish::CANNOT) => {
            return refused(
                format!("{product} offers no encryption, and `encryption` is \"{}\"", config.encryption.as_str()),
                "give the server a certificate, or write encryption = \"off\" if everybody on the way may read along",
            );
        }
        (Encryption::LoginOnly, wish::ON | wish::MUST) => {
            return refused(
                format!("{product} insists on encrypting everything, and `encryption` is \"login-only\""),
                "write encryption = \"required\"",
            );
        }
        (Encryption::Required, wish::LOGIN) => {
            return refused(
                format!("{product} wants to encrypt the login only, and `encryption` is \"required\""),
                "switch on Force Encryption at the server, or write encryption = \"login-only\"",
            );
        }
        _ => {}
    }
    let remedy = "look at `ca` and `certificate_host`";
    let settings = tls::settings(config).map_err(|said| failed(config, SqlErrorKind::Tls, said, remedy))?;
    let name = tls::name(config).map_err(|said| failed(config, SqlErrorKind::Tls, said, remedy))?;
    match TlsConnector::from(settings).connect(name, Envelope::new(socket)).await {
        Ok(mut stream) => {
            stream.get_mut().0.open();
            Ok(Way::Tls(Box::new(stream)))
        }
        Err(error) => {
            let fault = tls::fault(&error);
            refused(format!("{} ({product})", fault.said), &fault.remedy)
        }
    }
}

/// Logs in, until then at the latest. The port is that at which the server was found.
pub(super) async fn login(
    config: &Config,
    way: Way,
    greeting: &Greeting,
    port: u16,
    deadline: Instant,
) -> Result<Connection, Stop> {
    let place = config.place();
    let (method, host) = match &config.login {
        Login::Sql { username, password } => {
            let password = password.reveal().map_err(|error| {
                Stop::Failed(fault::own(&place, SqlErrorKind::Secret, Certainty::NotBegun, error.to_string()))
            })?;
            (AuthMethod::sql_server(username, password.reveal()), &config.host)
        }
        Login::Kerberos { spn_host } => {
            let method = kerberos::method()
                .map_err(|said| Stop::Failed(fault::own(&place, SqlErrorKind::Driver, Certainty::NotBegun, said)))?;
            (method, spn_host.as_ref().unwrap_or(&config.host))
        }
    };
    let mut settings = tiberius::Config::new();
    // The line is there already: by these two the driver names the server to its domain.
    settings.host(host);
    settings.port(port);
    if let Some(database) = &config.database {
        settings.database(database);
    }
    settings.application_name(&config.application_name);
    settings.authentication(method);
    // Below the driver, the line does what is written.
    settings.encryption(EncryptionLevel::NotSupported);
    settings.readonly(config.read_intent);
    settings.packet_size(PACKET);
    // Our own clocks end what takes too long; the driver's would end the connection, too.
    settings.handshake_timeout(None);
    settings.command_timeout(None);
    // Text that is no UTF-16 is found by us, cell by cell; else the row's text would end the whole reading.
    settings.lossy_utf16_decoding(true);
    let (line, control) = Line::new(way, &greeting.plain, config.encryption == Encryption::LoginOnly);
    let connected = match &config.login {
        Login::Sql { .. } => {
            timeout_at(deadline, Client::connect(settings, line.compat_write())).await.map_err(|_| None)
        }
        Login::Kerberos { .. } => kerberos::connect(settings, line, deadline).await.map_err(Some),
    };
    let connected = connected.map_err(Stop::Late)?;
    match connected {
        Ok(client) => Ok(Connection { client, control, version: greeting.version, release: None }),
        Err(Error::Routing { host, port }) => Err(Stop::Routed(host, port)),
        Err(Error::Io { message, .. }) => Err(Stop::Failed(failed(
            config,
            SqlErrorKind::Lost,
            format!("the server ends the connection while we log in ({message})"),
            "its error log says why",
        ))),
        Err(error) => Err(Stop::Failed(match &config.login {
            Login::Kerberos { .. } => kerberos::fault(&place, host, port, &error),
            Login::Sql { .. } => fault::of(&place, Certainty::NotBegun, &error),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::port_of;

    #[test]
    fn an_answer_of_sql_browser_is_read() {
        let text = b"ServerName;ERP;InstanceName;NAV;IsClustered;No;Version;11.0.2100.60;tcp;50123;np;\\\\ERP\\pipe;;";
        let answer = [&[5, text.len() as u8, 0], &text[..]].concat();
        assert_eq!(port_of(&answer), Some(50123));
        assert_eq!(port_of(b"\x05\x10\x00ServerName;ERP;np;x;;"), None);
        for end in 0..answer.len() {
            let _ = port_of(&answer[..end]);
        }
    }
}
